"""Slices out of zip archives that nobody vouches for.

Of an archive's members only those named ``<number>.mat`` or ``cvind.mat`` are taken, and they are
written under these names: where an archive says that a member belongs is never followed. All
archives are checked before the first byte is written.
"""

import re
import shutil
import stat
import struct
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from tqdm import tqdm

from cameval.errors import DataError

WANTED = re.compile(r"([1-9][0-9]{0,6}|cvind)\.mat")
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flag bits: encrypted, strongly so, and its directory too
DAMAGES = (
    BadZipFile,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
    struct.error,
    zlib.error,
)  # what zipfile raises on damaged bytes


@dataclass(frozen=True)
class Limits:
    """How large what is unpacked may be: bytes of a member, of all, and how often its packed size.

    Real slices have 0.3 MB, 0.9 GB together, and are packed by a factor of 1.05.
    """

    member: int = 64 << 20
    total: int = 8 << 30
    ratio: float = 200.0


LIMITS = Limits()


@dataclass(frozen=True)
class Member:
    """One file of an archive."""

    archive: ZipFile
    info: ZipInfo

    def problem(self, message: str) -> DataError:
        """Return the error that names archive and member."""
        where = f"{self.archive.filename}: member {self.info.orig_filename!r}"
        return DataError(f"{where} {message}; do not use this archive")


def unpack(
    archives: Sequence[Path],
    folder: Path,
    *,
    present: Collection[str] = (),
    limits: Limits = LIMITS,
    progress: bool = True,
) -> tuple[str, ...]:
    """Write the slices of all archives into one folder, each whole or not at all.

    Parameters
    ----------
    archives
        Zip archives. Their folders and other files, such as a README, are passed over.
    folder
        Where to write; it must exist. Slices that are there are replaced.
    present
        Names of slices that came otherwise, and which must hence not be in an archive.
    limits
        How large the slices may be.
    progress
        Whether to show a bar, on a terminal.

    Returns
    -------
    tuple[str, ...]
        The names of the slices written, in the order of the archives.

    Raises
    ------
    DataError
        If an archive is damaged; if a member is a link, encrypted, too large, packed in a way other
        than "stored" and "deflated", or has an absolute path or one with ``..``; if two have one
        name; if the disk has not enough space; or if a slice cannot be written.
    """
    with ExitStack() as stack:
        stack.enter_context(disk_errors(folder))
        members: dict[str, Member] = {}
        for path in archives:
            if not path.is_file():  # a pipe would never end
                raise DataError(f"{path}: the archive must be a file, got none")
            with _blaming(path):
                archive = stack.enter_context(ZipFile(path))
            for info in archive.infolist():
                _plan(Member(archive, info), members, present)
        _check_sizes(members.values(), limits)
        new = [m.info.file_size for name, m in members.items() if not (folder / name).exists()]
        check_space(folder, sum(new))
        quiet = None if progress else True  # None: unless there is a terminal
        for name in tqdm(members, desc="unpacking", unit="file", disable=quiet):
            _write(members[name], folder / name)
    return tuple(members)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what a disk raises, from one that is full to a folder in a file's place, into a reason.

    Raises
    ------
    DataError
        If the system refuses to read or to write.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder}: files must be readable and writable there, got {error}; what came is kept: "
            "make room or mend the folder and try again, or name another"
        ) from error


def check_space(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk has no space for.

    Raises
    ------
    DataError
        If fewer than `needed` bytes are free where the folder is.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"{folder}: {needed / 1e6:,.1f} MB of disk space must be free, got {free / 1e6:,.1f} "
            "MB; make room or name another folder"
        )


def _plan(member: Member, members: dict[str, Member], present: Collection[str]) -> None:
    """Take a member, pass it over, or refuse it."""
    info = member.info
    path = info.orig_filename.replace("\\", "/")  # as it is in the archive, on every system
    if path.startswith("/") or re.match("[A-Za-z]:", path) or ".." in path.split("/"):
        raise member.problem("must have a path inside the archive's folder")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise member.problem("must be a file, got a symbolic link")
    if info.flag_bits & ENCRYPTED:
        raise member.problem("must not be encrypted")
    name = path.rpartition("/")[2]
    if not WANTED.fullmatch(name):
        return
    if name in members or name in present:
        raise member.problem(f"must be the only one of its name, got another {name}")
    members[name] = member


def _check_sizes(members: Collection[Member], limits: Limits) -> None:
    """Refuse what would fill the disk. The declared sizes hold: zipfile gives no byte more."""
    for member in members:
        info = member.info
        if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise member.problem(f"must be stored or deflated, got method {info.compress_type}")
        if info.file_size > limits.member:
            raise member.problem(
                f"must have at most {limits.member:,} bytes unpacked, got {info.file_size:,}"
            )
        if info.file_size > limits.ratio * info.compress_size:
            raise member.problem(
                f"must be at most {limits.ratio:g} times its packed size of "
                f"{info.compress_size:,} bytes, got {info.file_size:,}"
            )
    total = sum(member.info.file_size for member in members)
    if total > limits.total:
        raise DataError(
            f"all slices together must have at most {limits.total:,} bytes unpacked, got "
            f"{total:,}; do not use these archives"
        )


def _write(member: Member, path: Path) -> None:
    part = path.with_name(f".{path.name}.part")  # hidden: no reader takes it for a slice
    try:
        with created(part) as target:
            for chunk in _chunks(member):
                target.write(chunk)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def created(path: Path) -> BinaryIO:
    """Open a new file for writing; a link or a file that has its name is removed, not written."""
    path.unlink(missing_ok=True)
    return path.open("wb")


def _chunks(member: Member) -> Iterator[bytes]:
    with _blaming(member.archive.filename), member.archive.open(member.info) as source:
        while chunk := source.read(1 << 18):
            yield chunk


@contextmanager
def _blaming(archive: object) -> Iterator[None]:
    """Turn what zipfile raises on a damaged archive into a `DataError`."""
    try:
        yield
    except DataError:
        raise
    except DAMAGES as error:
        raise DataError(
            f"{archive}: the archive must be a whole zip file, got a damaged one ({error}); "
            "delete it and fetch it again"
        ) from error

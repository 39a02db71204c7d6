"""Download of the figshare brain tumor data: verified by size and md5, and unpacked safely.

Needs pooch, as in the extra ``study``: ``pip install '.[study]'`` in a checkout.
"""

import json
import re
import shutil
import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import urlopen
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from cameval._extras import needed_by
from cameval.data.figshare import FigshareDataset
from cameval.data.slices import CLASS_NAMES
from cameval.errors import DataError

__all__ = ["fetch_figshare"]

_RECORD = "https://api.figshare.com/v2/articles/1512427"
_PUBLISHED = (708, 1426, 930)
_NOTE = "download.json"
_BY_HAND = (
    "fetch the files of doi 10.6084/m9.figshare.1512427 with a browser, unpack the archives and "
    "put cvind.mat beside the slices"
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ ,()+.-]{0,149}(?<![ .])")
_SLICE = re.compile(r"([1-9][0-9]{0,6}|cvind)\.mat")
_LONGEST_RECORD, _LARGEST_FILE = 4 << 20, 4 << 30  # bytes; the archives have 0.2 GB each
_LARGEST_SLICE, _LARGEST_TOTAL, _MOST_RATIO = 64 << 20, 8 << 30, 200.0  # real ones: 0.3 MB, 0.9 GB
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_DAMAGES = (  # what zipfile raises on damaged bytes
    *(BadZipFile, EOFError, NotImplementedError, OSError, OverflowError, RuntimeError),
    *(ValueError, struct.error, zlib.error),
)


@dataclass(frozen=True)
class _Remote:
    """A file of the record: its name in the folder, its address, and what it must be."""

    name: str
    url: str
    size: int
    md5: str


def fetch_figshare(
    folder: str | PathLike[str],
    *,
    record: str = _RECORD,
    counts: Sequence[int] | None = _PUBLISHED,
    progress: bool = True,
) -> Path:
    """Fetch the brain-tumor data of figshare into a folder for `FigshareDataset`.

    Jun Cheng, brain tumor dataset, doi 10.6084/m9.figshare.1512427, CC BY 4.0: 3,064 slices in four
    archives of 880 MB, and the folds ``cvind.mat``. Until all is verified, archives and slices take
    1.8 GB. A file that is there and has the right md5 is not fetched again, and a folder that is
    complete is returned without access to the web.

    Parameters
    ----------
    folder
        Where the slices are written. It must hold no ``.mat`` files but those of an earlier call.
    record
        URL of the article in figshare's public API. Files come over https, unless the record
        itself comes over http.
    counts
        Slices of each class that must be there; None takes any.
    progress
        Whether to show bars.

    Returns
    -------
    pathlib.Path
        The folder, with all slices, ``cvind.mat`` and ``download.json``, which lists the files.

    Raises
    ------
    DataError
        If the folder holds other data; if the record or a file cannot be fetched or is not what it
        must be; if an archive is damaged or unsafe; if the disk has too little space; or if the
        slices are not those expected. What is complete stays for the next call.

    Examples
    --------
    >>> from cameval.data import FigshareDataset, fetch_figshare
    >>> slices = FigshareDataset(fetch_figshare("brain_tumors"))  # doctest: +SKIP

    A folder with other data is refused before anything is fetched:

    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import write_phantom
    >>> from cameval.errors import DataError
    >>> with TemporaryDirectory() as folder:
    ...     try:
    ...         fetch_figshare(write_phantom(folder, slices=3, patients=3, size=32))
    ...     except DataError as error:
    ...         print(str(error).partition(": ")[2])
    a folder to fetch into must hold no .mat files yet, got some; name another, or read this one \
if it holds the data
    """
    folder = Path(folder)
    try:
        note = _read_note(folder, record)
        if note.get("slices") == _measure(folder):
            return folder
        remotes = _read_record(record)
        _check_foreign(folder, remotes, note)
        _check_space(folder, 2 * sum(one.size for one in remotes) - sum(_measure(folder)))
        folder.mkdir(parents=True, exist_ok=True)
        note = {"record": record, "files": {one.name: one.md5 for one in remotes}}
        _write_note(folder, note)
        for one in remotes:
            _download(one, folder, progress)
        archives = [folder / one.name for one in remotes if one.name.endswith(".zip")]
        loose = [one.name for one in remotes if one.name.endswith(".mat")]
        written = _unpack(archives, folder, loose)
        _check_slices(folder, {*loose, *written}, counts)
        _write_note(folder, note | {"slices": _measure(folder)})
        for path in archives:
            path.unlink()
    except OSError as error:
        raise DataError(
            f"{folder}: files must be readable and writable there, got {error}; what is complete "
            "is kept: make space or repair the folder and try again"
        ) from error
    return folder


# --- The folder -----------------------------------------------------------------------------------


def _measure(folder: Path) -> list[int]:
    """Return the number of slices and their bytes: enough to see that one is missing."""
    sizes = [path.stat().st_size for path in folder.glob("[!.]*.mat")]
    return [len(sizes), sum(sizes)]


def _read_note(folder: Path, record: str) -> dict[str, Any]:
    """Return the note of an earlier call; refuse a folder with other data."""
    path = folder / _NOTE
    if not path.exists():
        if any(file.name != "cvind.mat" for file in folder.glob("[!.]*.mat")):
            raise DataError(
                f"{folder}: a folder to fetch into must hold no .mat files yet, got some; name "
                "another, or read this one if it holds the data"
            )
        return {}
    try:
        note = json.loads(path.read_bytes() if path.is_file() else b"")
        came = note["record"]
        {*note["files"]}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: must be the note of a download, got something else; name another folder"
        ) from error
    if came != record:
        raise DataError(f"{folder}: must hold the files of {record}, got those of {came}")
    return dict(note)


def _write_note(folder: Path, note: dict[str, Any]) -> None:
    with _whole(folder / _NOTE) as part:
        part.write_text(json.dumps(note, indent=2) + "\n")


def _check_foreign(folder: Path, remotes: Sequence[_Remote], note: dict[str, Any]) -> None:
    """Refuse to replace files that no earlier call has fetched."""
    for one in remotes:
        path = folder / one.name
        known = one.name in note.get("files", ()) or one.name.endswith(".zip")
        if path.exists() and not known and _md5_of(path) != one.md5:
            raise DataError(
                f"{folder}: must hold no other file named as one to fetch, got {one.name}; move "
                "it elsewhere, or name another folder"
            )


def _check_space(folder: Path, needed: int) -> None:
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise DataError(
            f"{folder}: {needed / 1e6:,.1f} MB of disk space must be free, got {free / 1e6:,.1f} MB"
        )


def _check_slices(folder: Path, fetched: set[str], counts: Sequence[int] | None) -> None:
    """Open every slice, and the folds; compare the numbers of slices with those expected."""
    strays = {path.name for path in folder.glob("[!.]*.mat")} - fetched
    if strays:
        raise DataError(f"{folder}: must hold no other .mat files, got {sorted(strays)[:3]}")
    slices = FigshareDataset(folder)
    slices.folds(folder / "cvind.mat")
    came = np.bincount(slices.labels, minlength=len(CLASS_NAMES)).tolist()
    if counts is not None and came != list(counts):
        names = ", ".join(CLASS_NAMES)
        raise DataError(
            f"{folder}: must hold {[*counts]} slices of {names}, got {came}; the record may have "
            f"changed: {_BY_HAND}"
        )


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a new hidden file, which gets its name when it is whole; links are not followed."""
    part = path.with_name(f".{path.name}.part")  # no reader takes it for a slice
    part.unlink(missing_ok=True)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


# --- The web --------------------------------------------------------------------------------------


def _read_record(source: str) -> list[_Remote]:
    """Return the files of an article, with names that can do no harm in a folder."""
    _check_url(source, {"http", "https"})
    schemes = {"https", urlsplit(source).scheme}
    try:
        with urlopen(source, timeout=30) as response:  # an error status raises
            body = response.read(_LONGEST_RECORD + 1)
    except (URLError, OSError) as error:
        raise DataError(
            f"{source}: the record must be within reach, got {error}; {_BY_HAND}"
        ) from error
    if len(body) > _LONGEST_RECORD:
        raise DataError(f"{source}: the record must have at most {_LONGEST_RECORD:,} bytes")
    try:
        files = [_read_file(fields, source, schemes) for fields in json.loads(body)["files"]]
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{source}: the record must be JSON with files of name, size, download_url and md5, "
            f"got {body[:60]!r}; {_BY_HAND}"
        ) from error
    names = [one.name.casefold() for one in files]
    if not names or len(set(names)) < len(names) or _NOTE in names:
        raise DataError(f"{source}: files must have names of their own, not {_NOTE}, got {names}")
    return files


def _read_file(fields: dict[str, Any], source: str, schemes: set[str]) -> _Remote:
    name, url, size = fields["name"], fields["download_url"], fields["size"]
    md5 = fields.get("computed_md5") or fields.get("supplied_md5")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DataError(f"{source}: a file must have a plain file name, got {name!r}")
    if type(size) is not int or not 0 <= size <= _LARGEST_FILE:
        raise DataError(f"{source}: {name} must have 0 to {_LARGEST_FILE:,} bytes, got {size!r}")
    if not isinstance(md5, str) or not re.fullmatch("[0-9a-fA-F]{32}", md5):
        raise DataError(f"{source}: the md5 of {name} must be 32 hexadecimal digits, got {md5!r}")
    _check_url(url, schemes)
    return _Remote(name, url, size, md5.lower())


def _check_url(url: object, schemes: set[str]) -> None:
    try:
        parts = urlsplit(str(url))
        good = isinstance(url, str) and bool(parts.hostname) and parts.scheme in schemes
        good = good and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not re.fullmatch("[!-~]+", str(url)):
        wanted = " or ".join(f"{scheme}://" for scheme in sorted(schemes)) or "https://"
        raise DataError(f"a URL must be a valid one that starts with {wanted}, got {url!r}")


def _download(remote: _Remote, folder: Path, progress: bool) -> None:
    """Fetch a file unless it is there, in a few attempts; it gets its name once it is verified."""
    with needed_by("downloads need"):
        import pooch
        import requests

    pooch.get_logger().setLevel("WARNING")
    registry, urls = {remote.name: f"md5:{remote.md5}"}, {remote.name: remote.url}
    files = pooch.create(folder, "", registry=registry, urls=urls, retry_if_failed=3)
    get = pooch.HTTPDownloader(progressbar=progress, chunk_size=1 << 18, timeout=30)
    try:
        path = Path(files.fetch(remote.name, downloader=get))
    except (requests.RequestException, ValueError) as error:
        raise DataError(
            f"{remote.name}: the file must be within reach and have the md5 {remote.md5}, got "
            f"{error}; try again, or {_BY_HAND}"
        ) from error
    if path.stat().st_size != remote.size:
        raise DataError(f"{remote.name}: the size must be {remote.size:,} bytes, got another")


def _md5_of(path: Path) -> str:
    with needed_by("downloads need"):
        import pooch

    return str(pooch.file_hash(str(path), alg="md5")) if path.is_file() else ""


# --- The archives ---------------------------------------------------------------------------------


def _unpack(archives: Sequence[Path], folder: Path, loose: Sequence[str]) -> list[str]:
    """Write the slices of all archives into one folder, each whole or not at all.

    Only members named ``<number>.mat`` or ``cvind.mat`` are taken, and written under these names:
    a path in an archive is never followed. All archives are checked before the first byte is
    written, and zipfile gives no byte more than is declared.
    """
    members: dict[str, tuple[ZipFile, ZipInfo]] = {}
    with ExitStack() as stack:
        for path in archives:
            with _blaming(path):
                archive = stack.enter_context(ZipFile(path))
            for info in archive.infolist():
                name = _check_member(info, path)
                if name in members or name in loose:
                    raise DataError(f"{path}: {name} must be the only one, got another")
                if name:
                    members[name] = archive, info
        total = sum(info.file_size for _, info in members.values())
        if total > _LARGEST_TOTAL:
            raise DataError(f"slices must have at most {_LARGEST_TOTAL:,} bytes, got {total:,}")
        new = [
            info.file_size for name, (_, info) in members.items() if not (folder / name).exists()
        ]
        _check_space(folder, sum(new))
        for name, (archive, info) in members.items():
            with (
                _whole(folder / name) as part,
                part.open("wb") as target,
                _blaming(archive.filename),
                archive.open(info) as source,
            ):
                shutil.copyfileobj(source, target, 1 << 18)
    return list(members)


def _check_member(info: ZipInfo, archive: Path) -> str:
    """Return the name under which a member is written, "" if it is passed over."""
    path = info.orig_filename.replace("\\", "/")  # as it is in the archive, on every system
    name = path.rpartition("/")[2]
    taken = bool(_SLICE.fullmatch(name))
    problems = {
        "a path inside the archive": path.startswith("/")
        or ".." in path.split("/")
        or bool(re.match("[A-Za-z]:", path)),
        "no symbolic link": stat.S_ISLNK(info.external_attr >> 16),
        "no encryption": bool(info.flag_bits & _ENCRYPTED),
        "stored or deflated bytes": taken and info.compress_type not in (ZIP_STORED, ZIP_DEFLATED),
        f"at most {_LARGEST_SLICE:,} bytes": taken and info.file_size > _LARGEST_SLICE,
        f"at most {_MOST_RATIO:g} times its packed size": taken
        and info.file_size > _MOST_RATIO * info.compress_size,
    }
    for required, violated in problems.items():
        if violated:
            raise DataError(
                f"{archive}: member {info.orig_filename!r} must have {required}; do not use this "
                "archive"
            )
    return name if taken else ""


@contextmanager
def _blaming(archive: object) -> Iterator[None]:
    """Turn what zipfile raises on a damaged archive into a `DataError`."""
    try:
        yield
    except _DAMAGES as error:
        raise DataError(
            f"{archive}: the archive must be a whole zip file, got a damaged one ({error}); delete "
            "it and fetch it again"
        ) from error

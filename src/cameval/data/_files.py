"""Files and folders: what cannot be read is a `DataError`, what cannot be written an `OutputError`.

Both name the file. Nothing here waits: a named pipe, a socket or a device in the place of a file is
refused before it is opened.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cameval.errors import CamevalError, DataError, OutputError

__all__ = [
    "FILE",
    "FOLDER",
    "NOTHING",
    "check_file",
    "is_file",
    "kind_at",
    "list_folder",
    "open_file",
    "read_file",
    "same_file",
    "writing",
]

FILE, FOLDER, NOTHING = "a file", "a folder", "no such file"
"""What `kind_at` says of a file, of a folder, and of a path at which nothing lies."""

_KINDS = (
    (stat.S_ISDIR, FOLDER),
    (stat.S_ISREG, FILE),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def is_file(path: Path) -> bool:
    """Return whether a file that can be opened lies at a path, whatever the path is."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # missing, a loop of links, a name that no file can have
        return False


def kind_at(path: Path) -> str:
    """Return in words what lies at a path, or why nothing can."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING
    except OSError as error:
        return _reason(error)
    except ValueError as error:  # NUL, or half of a surrogate pair
        return f"a path that cannot be ({error})"
    return next((words for is_kind, words in _KINDS if is_kind(mode)), "a device")


def same_file(first: Path, second: Path) -> bool:
    """Return whether two paths lead to the same file or folder."""
    try:
        return first.samefile(second)
    except (OSError, ValueError):
        return False


def check_file(path: Path, wanted: str) -> None:
    """Raise a `DataError` if no file lies at a path; `wanted` says which kind of file is needed."""
    if is_file(path):
        return
    came = kind_at(path)
    if came == NOTHING:
        raise DataError(f"{path}: the file must exist, got {came}")
    raise DataError(f"{path}: {wanted} is needed, got {came}")


def open_file(path: Path, wanted: str) -> BinaryIO:
    """Open a file for reading."""
    check_file(path, wanted)
    try:
        return path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error


def read_file(path: Path, wanted: str) -> bytes:
    """Read a whole file."""
    with open_file(path, wanted) as stream:
        try:
            return stream.read()
        except (OSError, MemoryError) as error:
            raise _unreadable(path, error) from error


def list_folder(folder: Path) -> list[Path]:
    """Return what lies in a folder, in the order of the names."""
    came = kind_at(folder)
    if came != FOLDER:
        missing = "no such folder" if came == NOTHING else came
        raise DataError(f"{folder}: the folder must exist, got {missing}")
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: the folder must be readable, got {_reason(error)}") from error


def _unreadable(path: Path, error: OSError | MemoryError) -> DataError:
    return DataError(f"{path}: the file must be readable, got {_reason(error)}")


def _reason(error: OSError | MemoryError) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if number else str(error) or type(error).__name__


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the machine says while a file or a folder is written into an `OutputError`."""
    if "\0" in str(path):
        raise OutputError(f"{str(path)!r} must be a path without NUL")
    try:
        yield
    except CamevalError:
        raise
    except (OSError, UnicodeEncodeError, RuntimeError) as error:  # h5py closes with RuntimeError
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        raise OutputError(f"{path} must be writable, got {reason}") from error

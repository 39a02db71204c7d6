"""Reading and writing files and folders with typed errors that name the file.

A file that cannot be read is a `DataError`, one that cannot be written an `OutputError`. A named
pipe, a socket or a device is refused before it is opened, so that nothing waits.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from cameval.errors import CamevalError, DataError, OutputError

FILE, FOLDER, NOTHING = "a file", "a folder", "no such file"
"""What `kind_at` returns for a file, a folder, and a path without either."""

_KINDS = (
    (stat.S_ISDIR, FOLDER),
    (stat.S_ISREG, FILE),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)


def is_file(path: Path) -> bool:
    """Return whether there is a regular file at a path."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # missing, a loop of links, a name that no file can have
        return False


def kind_at(path: Path) -> str:
    """Return in words what is at a path, or why there can be nothing."""
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
    """Raise a `DataError` if there is no file at a path; `wanted` is the kind of file needed."""
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
    """Return the contents of a folder in the order of the names."""
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
def raise_output_errors(path: Path) -> Iterator[None]:
    """Raise system errors of writing a file or a folder as an `OutputError`."""
    if "\0" in str(path):
        raise OutputError(f"{str(path)!r} must be a path without NUL")
    try:
        yield
    except CamevalError:
        raise
    except (OSError, UnicodeEncodeError, RuntimeError) as error:  # h5py closes with RuntimeError
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        raise OutputError(f"{path} must be writable, got {reason}") from error

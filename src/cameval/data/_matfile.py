"""MATLAB v7.3 files through h5py, with typed errors.

Messages name the file and, if one field is wrong, the field.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cameval.data._files import FOLDER, kind_at, open_file
from cameval.data._hdf5 import READING_ERRORS, find_array
from cameval.errors import DataError

USERBLOCK = 512
"""Bytes that MATLAB keeps for its own header before the HDF5 part of the file."""


_LONGEST = 2**20
"""How many numbers a row or a column may hold."""


_KIND_NAMES = {"b": "booleans", "i": "integers", "u": "integers", "f": "floating-point numbers"}


def field_error(file: h5py.File, field: str, problem: str) -> DataError:
    """Return the error that says what is wrong with one field of one file."""
    return DataError(f"{file.filename}: {field} {problem}")


@contextmanager
def open_mat(path: Path) -> Iterator[h5py.File]:
    """Open a MATLAB v7.3 file for reading, and close it at the end."""
    _check_is_hdf5(path)
    try:
        file = h5py.File(path, "r")
    except READING_ERRORS as error:
        raise DataError(f"{path}: the file must be complete, {_damage(error)}") from error
    with file:
        yield file


def read_array(file: h5py.File, field: str, kinds: str) -> NDArray[Any]:
    """Read the array at `field`, as h5py shapes it, if its dtype is of one of `kinds`."""
    with _raise_data_errors(file, field):
        dataset = _find(file, field)
        if dataset.dtype.kind not in kinds:
            wanted = " or ".join(dict.fromkeys(_KIND_NAMES[kind] for kind in kinds))
            raise field_error(file, field, f"must hold {wanted}, got {dataset.dtype}")
        return np.asarray(dataset[()])


def read_vector(file: h5py.File, field: str, kinds: str) -> NDArray[Any]:
    """Read a row or a column, whichever way MATLAB wrote it, as one axis."""
    array = read_array(file, field, kinds)
    if array.size > _LONGEST:
        raise field_error(file, field, f"must have at most {_LONGEST} numbers, got {array.size}")
    if array.ndim == 0 or sum(side != 1 for side in array.shape) > 1:
        raise field_error(file, field, f"must be one row or one column, got shape {array.shape}")
    return array.reshape(-1)


def _check_is_hdf5(path: Path) -> None:
    if kind_at(path) == FOLDER:
        raise DataError(
            f"{path}: a .mat file is needed, got a folder; FigshareDataset reads folders"
        )
    with open_file(path, "a .mat file") as stream:
        header = stream.read(32)
    if header.startswith(b"MATLAB 5.0"):
        raise DataError(
            f"{path}: the file must be in MATLAB's v7.3 (HDF5) format, got the older v5 format; "
            "load it in MATLAB or Octave and save it again, in MATLAB with the option '-v7.3'"
        )
    if not h5py.is_hdf5(path):
        raise DataError(
            f"{path}: the file must be in MATLAB's v7.3 (HDF5) format, got {header!r} at its "
            "start and no HDF5 signature; fetch it again if it was cut off"
        )


@contextmanager
def _raise_data_errors(file: h5py.File, field: str) -> Iterator[None]:
    """Raise the errors of h5py on damaged bytes as a `DataError`."""
    try:
        yield
    except DataError:
        raise
    except READING_ERRORS as error:
        raise field_error(file, field, f"must be readable, {_damage(error)}") from error


def _find(file: h5py.File, field: str) -> h5py.Dataset:
    try:
        return find_array(file, field)
    except KeyError as error:
        raise field_error(file, field, f"must be there, got {error.args[0]}") from error


def _damage(error: BaseException) -> str:
    return f"got a damaged file ({str(error) or type(error).__name__}); fetch it again"

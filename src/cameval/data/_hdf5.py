"""HDF5 files and MATLAB v7.3 files: arrays of limited size, with typed errors.

An HDF5 file can name other files: by external links, external storage and virtual datasets. It can
ask for a filter that is loaded from a folder of plugins, and it can declare an array that is larger
than any memory in a few bytes. Each of these is refused before a value is read.

Messages name the file and, if one field is wrong, the field.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5l, h5z  # type: ignore[attr-defined]
from numpy.typing import NDArray

from cameval.data._files import FOLDER, kind_at, open_file
from cameval.errors import DataError

MOST_VALUES = 2**26
"""How many numbers an array may hold: 8192 x 8192 pixels."""


READING_ERRORS = (KeyError, OSError, RuntimeError, TypeError, ValueError, MemoryError)
"""What h5py raises on damaged bytes."""


_FILTERS = frozenset(
    {
        *(h5z.FILTER_DEFLATE, h5z.FILTER_SHUFFLE, h5z.FILTER_FLETCHER32),
        *(h5z.FILTER_SZIP, h5z.FILTER_NBIT, h5z.FILTER_SCALEOFFSET),
        h5z.FILTER_LZF,
    }
)
"""Filters that are part of HDF5 or of h5py."""


def find_array(file: h5py.File, name: str, *, stored: bool = False) -> h5py.Dataset:
    """Return the array at a path within a file, which is in this file and not too large.

    Parameters
    ----------
    file
        The file, open for reading.
    name
        The path, of groups and at its end the array.
    stored
        Whether every value takes its own bytes in the file: the array is then no larger than the
        file, and has no other limit.

    Raises
    ------
    KeyError
        If nothing has this name; with what is there instead.
    DataError
        If it is no array, is or could be in another file, needs a plugin, or is too large.
    """
    node: Any = file
    for part in name.split("/"):
        if not isinstance(node, h5py.Group):
            raise _error(file, name, f"must be in a group, got an array at {node.name}")
        node = _linked(file, name, node, part)
    if not isinstance(node, h5py.Dataset):
        raise _error(file, name, f"must be an array, got a {type(node).__name__.lower()}")
    _check_storage(file, name, node)
    size = None if node.shape is None else math.prod(node.shape)
    if size is None:
        raise _error(file, name, "must have axes, got an empty dataspace")
    if stored and size * node.dtype.itemsize > node.id.get_storage_size():
        raise _error(file, name, f"must be stored whole, got {size} values that are not all there")
    if not stored and size > MOST_VALUES:
        shape = " x ".join(map(str, node.shape))
        raise _error(file, name, f"must hold at most {MOST_VALUES} numbers, got {shape}")
    array: h5py.Dataset = node
    return array


def _error(file: h5py.File, name: str, problem: str) -> DataError:
    return DataError(f"{file.filename}: {name} {problem}")


def _linked(file: h5py.File, name: str, group: h5py.Group, part: str) -> Any:
    """Return what a hard link of a group leads to; other links can lead out of the file."""
    links = group.id.links
    word = part.encode()
    if not links.exists(word):
        held = ", ".join(islice(group, 9)) or "nothing"
        raise KeyError(f"{held} in {group.name} instead")
    if links.get_info(word).type != h5l.TYPE_HARD:
        raise _error(file, name, f"must be in the file itself, got a link at {group.name}/{part}")
    return group[part]


def _check_storage(file: h5py.File, name: str, array: h5py.Dataset) -> None:
    settings = array.id.get_create_plist()
    if settings.get_layout() == h5d.VIRTUAL:
        raise _error(file, name, "must be in the file itself, got a virtual dataset")
    if settings.get_external_count():
        raise _error(file, name, "must be in the file itself, got external storage")
    filters = [settings.get_filter(i)[0] for i in range(settings.get_nfilters())]
    if strange := [number for number in filters if number not in _FILTERS]:
        raise _error(file, name, f"must need no plugin of HDF5, got filter {strange[0]}")


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

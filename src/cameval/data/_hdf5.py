"""Arrays of untrusted HDF5 files: in the file itself, of limited size, without plugins.

An HDF5 file can name other files: by external links, external storage and virtual datasets. It can
ask for a filter that is loaded from a folder of plugins, and it can declare an array that is larger
than any memory in a few bytes. Each of these is refused before a value is read.
"""

import math
from itertools import islice
from typing import Any

import h5py
from h5py import h5d, h5l, h5z  # type: ignore[attr-defined]

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

"""Arrays in a file of NumPy's format ``.npz``, read faster than by `numpy.load`.

A run has thousands of small files, whose arrays have few different headers. Each header is parsed
once. Nothing is unpickled.
"""

from functools import lru_cache
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray


class _Layout(NamedTuple):
    """The layout of an array, as the header of a file ``.npy`` gives it."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


def load_arrays(file: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays that `numpy.savez` wrote, by name.

    Raises
    ------
    OSError
        If it is no plain file, or cannot be read.
    ValueError, BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error
        If the file is damaged, or an array holds objects.
    """
    if not file.is_file():
        raise OSError("no plain file")
    with ZipFile(BytesIO(file.read_bytes())) as archive:
        return {
            member.filename.removesuffix(".npy"): _array_of(archive.read(member))
            for member in archive.infolist()
        }


def _array_of(content: bytes) -> NDArray[Any]:
    """Return the array of the content of a file ``.npy``."""
    width = 2 if content[6:7] == b"\x01" else 4  # of the length of the header, by its version
    start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
    shape, fortran, dtype = _layout_of(content[:start])
    if len(content) != start + prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} in {len(content) - start} bytes")
    found = np.ndarray(shape, dtype, content, start, order="F" if fortran else "C")
    return found.copy(order="K")


@lru_cache(maxsize=1024)
def _layout_of(header: bytes) -> _Layout:
    """Return the layout that a header gives."""
    stream = BytesIO(header)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        layout = _Layout(*np.lib.format.read_array_header_1_0(stream))
    elif version == (2, 0):
        layout = _Layout(*np.lib.format.read_array_header_2_0(stream))
    else:
        raise ValueError(f"an array of the version {version} of NumPy's format")
    if layout.dtype.hasobject:
        raise ValueError("an array of objects, which are not unpickled")
    return layout

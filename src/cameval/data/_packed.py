"""File format of packed samples: lossless encoding, writing, validated reading.

An image that was scaled from whole numbers, ``k / scale`` with scale up to 65,535, is written as
these numbers, in 8 or 16 bits; their quotient is always rounded to the same float32. Any other
image is written as it is. The mask follows, eight pixels to a byte.

The file holds ``pixels``, the bytes of all samples one after the other; ``index``, a row of whole
numbers for each sample; and ``text``, a JSON document with names, groups, class names and what is
known of the sources.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cameval.data._files import NOTHING, kind_at, open_file, raise_output_errors
from cameval.data._hdf5 import READING_ERRORS, find_array
from cameval.data.samples import Sample
from cameval.errors import CamevalError, DataError

Bytes = NDArray[np.uint8]


_LARGEST = 65535


def encode(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[Bytes, int]:
    """Return image and mask as bytes, and the scale; 0 where the image is written as it is."""
    image = np.ascontiguousarray(image)
    scale, codes = _find_codes(image)
    pixels: Bytes = (image.astype("<f4") if codes is None else codes).reshape(-1).view(np.uint8)
    return np.concatenate([pixels, np.packbits(mask)]), scale


def decode(
    raw: Bytes, shape: tuple[int, ...], scale: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return image and mask; the inverse of `encode` for an image of that shape."""
    height, width = shape[:2]
    split = raw.size - _mask_bytes(shape)
    codes = raw[:split].view(_dtype(scale)).reshape(shape)
    image = np.divide(codes, np.float32(scale), dtype=np.float32) if scale else codes.astype("=f4")
    bits = np.unpackbits(raw[split:], count=height * width)
    return image, bits.view(np.bool_).reshape(height, width)


def size_in_bytes(shape: tuple[int, ...], scale: int) -> int:
    """Return how many bytes `encode` gives."""
    size = _dtype(scale).itemsize
    for side in shape:
        size *= side
    return size + _mask_bytes(shape)


def _dtype(scale: int) -> np.dtype[np.generic]:
    return np.dtype("<f4" if scale == 0 else "u1" if scale <= 255 else "<u2")


def _mask_bytes(shape: tuple[int, ...]) -> int:
    return (shape[0] * shape[1] + 7) // 8


def _find_codes(image: NDArray[np.float32]) -> tuple[int, NDArray[np.generic] | None]:
    """Return a scale that gives the image back bit by bit, and the whole numbers."""
    positive = image[image > 0]
    step = 1 / float(positive.min()) if positive.size else 1.0
    own = [round(step)] if step < _LARGEST else []
    for scale in (255, *own, _LARGEST):
        codes = np.rint(image * np.float32(scale)).astype(_dtype(scale))
        again = np.divide(codes, np.float32(scale), dtype=np.float32)
        if np.array_equal(again.view(np.uint32), image.view(np.uint32)):
            return scale, codes
    return 0, None


_FORMAT = "cameval samples"


_VERSION = 1


_CHUNK = 1 << 20


_COLUMNS = ("offset", "height", "width", "channels", "scale", "label")
"""One number of each for a sample; no channels (0) is an image without that axis."""


NO_LABEL = -1
"""Stands for None in the column of the labels."""


def write_samples(
    file: h5py.File, path: Path, samples: Iterator[Any], text: dict[str, Any]
) -> None:
    """Write samples, and text about all of them, into an open file that will be `path`."""
    pixels = file.create_dataset(
        "pixels", shape=(0,), maxshape=(None,), chunks=(_CHUNK,), dtype=np.uint8
    )
    names, groups, rows, end = [], [], [], 0
    for sample in samples:
        if not isinstance(sample, Sample):
            raise DataError(f"samples must be Sample records, got {type(sample).__name__}")
        raw, scale = encode(sample.image, sample.mask)
        with raise_output_errors(path):
            pixels.resize((end + raw.size,))
            pixels[end:] = raw
        height, width, channels = (*sample.image.shape, 0)[:3]
        label = NO_LABEL if sample.label is None else sample.label
        rows.append((end, height, width, channels, scale, label))
        names.append(sample.name)
        groups.append(sample.group)
        end += raw.size
    if not rows:
        raise DataError("samples to pack must be one or more, got none")
    content = json.dumps(text | {"names": names, "groups": groups})  # ASCII, whatever the names
    with raise_output_errors(path):
        file["index"] = np.array(rows, dtype="<i8")
        file["text"] = np.frombuffer(content.encode("ascii"), dtype=np.uint8)
        file.attrs["format"] = _FORMAT
        file.attrs["version"] = _VERSION


def check_is_file(path: Path) -> None:
    """Check that there is a file; a missing one, a folder and an invalid path differ in error."""
    if kind_at(path) == NOTHING:
        raise DataError(f"{path}: the file must exist, got no such file; write it with pack")
    open_file(path, "a cache").close()


@contextmanager
def open_cache(path: Path) -> Iterator[h5py.File]:
    """Open a cache of a known version, and close it at the end."""
    check_is_file(path)
    with raise_data_errors(path, "the file"):
        if not h5py.is_hdf5(path):
            raise _foreign(path, "no HDF5 signature")
        with h5py.File(path, "r") as file:
            kind, version = _attribute(file, "format"), _attribute(file, "version")
            if kind != _FORMAT:
                raise _foreign(path, f"format {kind!r}")
            if version != _VERSION:
                raise DataError(
                    f"{path}: the version of the cache must be {_VERSION}, got {version}; "
                    "read it with the cameval that wrote it, or delete it and pack again"
                )
            yield file


def _attribute(file: h5py.File, name: str) -> Any:
    """Return an attribute of a file that is one word or one number, else None."""
    if name not in file.attrs or file.attrs.get_id(name).shape != ():
        return None
    return file.attrs[name]


def _foreign(path: Path, came: str) -> DataError:
    return DataError(
        f"{path}: the file must be a cache written by pack, got {came}; if it was one that was "
        "cut off, delete it and pack again"
    )


@contextmanager
def raise_data_errors(path: Path, part: str) -> Iterator[None]:
    """Raise the errors of h5py on damaged bytes as a `DataError`."""
    try:
        yield
    except CamevalError:
        raise
    except READING_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise DataError(
            f"{path}: {part} must be readable, got {reason}; delete the file and pack again"
        ) from error


def _find(file: h5py.File, part: str, dtype: str, shape: tuple[int, ...]) -> Any:
    """Return a dataset whose dtype and axes are right; a side of -1 may be any."""
    try:
        found = find_array(file, part, stored=True)
    except KeyError:
        found = None
    came = "none" if found is None else f"{found.dtype} {found.shape}"
    if found is None or found.dtype != np.dtype(dtype) or not _fits(found.shape, shape):
        raise DataError(
            f"{file.filename}: {part} must be an array of {np.dtype(dtype)}, got {came}; delete "
            "the file and pack again"
        )
    return found


def _fits(came: tuple[int, ...] | None, shape: tuple[int, ...]) -> bool:
    return (
        came is not None
        and len(came) == len(shape)
        and all(side in (-1, here) for side, here in zip(shape, came, strict=True))
    )


def read_index(file: h5py.File) -> NDArray[np.int64]:
    """Read a row for each sample: its offset, height, width, channels, scale and label."""
    _find(file, "pixels", "u1", (-1,))
    index: NDArray[np.int64] = _find(file, "index", "<i8", (-1, len(_COLUMNS)))[()]
    least = (0, 1, 1, 0, 0, NO_LABEL)
    most = (2**62, 2**31, 2**31, 2**31, 2**16 - 1, 2**31 - 1)
    if not index.size or (index < least).any() or (index > most).any():
        raise DataError(
            f"{file.filename}: index must hold {', '.join(_COLUMNS)} of samples, got others; "
            "delete the file and pack again"
        )
    return index


def read_text(file: h5py.File, count: int) -> dict[str, Any]:
    """Read names, groups, class names and sources, which must all be there."""
    raw = _find(file, "text", "u1", (-1,))[()]
    try:
        text: dict[str, Any] = json.loads(raw.tobytes())
        lists = [text[key] for key in ("names", "groups", "class_names")]
        sizes = [len(words) for words in lists[:2]]
        worded = all(isinstance(word, str) for words in lists for word in words)
        noted = isinstance(text["sources"], dict) and isinstance(text["settings"], str)
        whole = worded and noted and sizes == [count, count]
        came = f"{sizes} names and groups for {count} samples"
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        whole, came = False, repr(error)
    if not whole:
        raise DataError(
            f"{file.filename}: text must hold names, groups and sources, got {came}; delete the "
            "file and pack again"
        )
    return text

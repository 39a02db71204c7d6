"""File format of packed samples: lossless encoding, writing, validated reading.

An image that was scaled from whole numbers, ``k / scale`` with scale up to 65,535, is written as
these numbers, in 8 or 16 bits; their quotient is always rounded to the same float32. Any other
image is written as it is. Masks take a bit for each pixel, empty ones nothing. Boxes and numbers of
instances keep their dtype.

The file holds ``pixels``, the bytes of all samples one after the other: a JSON document that
describes the sample, then its image, the truth of each target, and the ignored pixels. ``index`` is
a row for each sample with the start and the lengths of these; ``text`` is a JSON document with
names, groups, labels, class names and what is known of the sources.
"""

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cameval.data._files import NOTHING, kind_at, open_file, raise_output_errors
from cameval.data._hdf5 import READING_ERRORS, find_array
from cameval.data.samples import Sample
from cameval.data.targets import Target
from cameval.errors import CamevalError, DataError

Bytes = NDArray[np.uint8]


_LARGEST = 65535


_BROKEN = (ArithmeticError, AttributeError, IndexError, MemoryError, RecursionError)
"""What damaged descriptions raise beside `READING_ERRORS`."""


_EMPTY, _BITS, _UNION = "empty", "bits", "union of the instances"
"""How a mask is written."""


def encode(sample: Sample) -> Bytes:
    """Return the pixels of a sample as bytes, after a JSON document that describes them."""
    image = np.ascontiguousarray(sample.image)
    scale, codes = _find_codes(image)
    parts: list[Bytes] = [_bytes_of(image.astype("<f4") if codes is None else codes)]
    described: dict[str, Any] = {
        "image": [list(image.shape), scale],
        "axes": len(sample.shape),
        "targets": [_encode_target(target, parts) for target in sample.targets],
        "info": dict(sample.info),
        "ignore": sample.ignore is not None,
        "spacing": sample.spacing,
    }
    if sample.ignore is not None:
        parts.append(np.packbits(sample.ignore))
    text = json.dumps(described, allow_nan=False).encode("ascii")
    length = np.frombuffer(len(text).to_bytes(_LENGTH, "little"), np.uint8)
    return np.concatenate([length, np.frombuffer(text, np.uint8), *parts])


def _encode_target(target: Target, parts: list[Bytes]) -> list[Any]:
    """Return the description of a target, and append its bytes."""
    how = _UNION if target.instances is not None else _BITS if target.mask.any() else _EMPTY
    if how == _BITS:
        parts.append(np.packbits(target.mask))
    boxes = instances = None
    if target.boxes is not None:
        array = np.asarray(target.boxes)
        boxes = [array.dtype.str, list(array.shape)]
        parts.append(_bytes_of(array))
    if target.instances is not None:
        array = target.instances
        instances = [array.dtype.str, len(array) if array.dtype == np.bool_ else None, ""]
        if array.dtype == np.bool_:
            parts.append(np.packbits(array))
        else:
            codes = array.astype(np.min_scalar_type(int(array.max(initial=0))))
            instances[2] = codes.dtype.str
            parts.append(_bytes_of(codes))
    return [target.label, how, boxes, instances]


def _bytes_of(array: NDArray[Any]) -> Bytes:
    found: Bytes = np.frombuffer(array.tobytes(), np.uint8)
    return found


def decode(raw: Bytes, name: str, group: str) -> Sample:
    """Return a sample; the inverse of `encode`.

    Raises
    ------
    DataError
        If the bytes are not those of a sample.
    """
    try:
        rest = _Parts(raw)
        text = rest.take(int.from_bytes(rest.take(_LENGTH).tobytes(), "little"))
        described = json.loads(text.tobytes())
        shape, scale = described["image"]
        axes = described["axes"]
        if axes not in (2, 3) or len(shape) not in (axes, axes + 1):
            raise ValueError(f"an image of shape {shape}")
        size = tuple(shape[:axes])
        codes = rest.array(_dtype_of_scale(scale), shape)
        image = (
            np.divide(codes, np.float32(scale), dtype=np.float32)
            if scale
            else codes.astype("=f4", copy=False)
        )
        targets = [_decode_target(one, size, rest) for one in described["targets"]]
        ignore = rest.mask(size) if described["ignore"] else None
        if rest.raw.size:
            raise ValueError(f"{rest.raw.size} bytes too many")
        return Sample(
            name,
            image,
            group=group,
            targets=targets,
            info=described["info"],
            ignore=ignore,
            spacing=described["spacing"],
        )
    except CamevalError as error:
        raise DataError(str(error)) from error
    except (*READING_ERRORS, *_BROKEN) as error:
        raise DataError(f"got {str(error)[:200] or type(error).__name__}") from error


def _dtype_of(name: str) -> np.dtype[Any]:
    """Return the dtype of numbers of a name; of others NumPy may warn, or fail to parse them."""
    if not re.fullmatch(r"[<>|=]?[iuf]\d+", name):
        raise ValueError(f"a dtype of {name!r}")
    return np.dtype(name)


def _decode_target(described: list[Any], size: tuple[int, ...], rest: "_Parts") -> Target:
    label, how, boxes, instances = described
    mask = None
    if how == _BITS:
        mask = rest.mask(size)
    elif how == _EMPTY:
        mask = np.zeros(size, np.bool_)
    elif how != _UNION:
        raise ValueError(f"a mask of {how!r}")
    if boxes is not None:
        boxes = rest.array(_dtype_of(boxes[0]), boxes[1])
    if instances is not None:
        dtype, count, codes = instances
        if count is not None:
            instances = rest.mask((count, *size))
        else:
            instances = rest.array(_dtype_of(codes), size).astype(_dtype_of(dtype))
    return Target(label, mask, boxes, instances)  # type: ignore[arg-type]  # None is filled


class _Parts:
    """Bytes that are taken from the front; no more than there are."""

    def __init__(self, raw: Bytes) -> None:
        self.raw = raw

    def take(self, count: int) -> Bytes:
        """Return the next bytes."""
        if not 0 <= count <= self.raw.size:
            raise ValueError(f"{self.raw.size} bytes where {count} are described")
        first, self.raw = self.raw[:count], self.raw[count:]
        return first

    def array(self, dtype: np.dtype[Any], shape: Sequence[int]) -> NDArray[Any]:
        """Return the next array."""
        return self.take(_count(shape) * dtype.itemsize).copy().view(dtype).reshape(shape)

    def mask(self, shape: Sequence[int]) -> NDArray[np.bool_]:
        """Return the next mask."""
        count = _count(shape)
        bits = np.unpackbits(self.take((count + 7) // 8), count=count)
        return bits.view(np.bool_).reshape(shape)


def _count(shape: Sequence[int]) -> int:
    if not all(isinstance(side, int) and side >= 0 for side in shape):
        raise ValueError(f"a shape of {shape}")
    return math.prod(shape)


def _dtype_of_scale(scale: int) -> np.dtype[Any]:
    if not isinstance(scale, int) or not 0 <= scale <= _LARGEST:
        raise ValueError(f"a scale of {scale!r}")
    return np.dtype("<f4" if scale == 0 else "u1" if scale <= 255 else "<u2")


def _find_codes(image: NDArray[np.float32]) -> tuple[int, NDArray[np.generic] | None]:
    """Return a scale that gives the image back bit by bit, and the whole numbers."""
    positive = image[image > 0]
    step = 1 / float(positive.min()) if positive.size else 1.0
    own = [round(step)] if step < _LARGEST else []
    for scale in (255, *own, _LARGEST):
        codes = np.rint(image * np.float32(scale)).astype(_dtype_of_scale(scale))
        again = np.divide(codes, np.float32(scale), dtype=np.float32)
        if np.array_equal(again.view(np.uint32), image.view(np.uint32)):
            return scale, codes
    return 0, None


_FORMAT = "cameval samples"


_VERSION = 2


_CHUNK = 1 << 20


_LENGTH = 8
"""Bytes of the length of a description."""


_COLUMNS = ("offset", "size")
"""One number of each for a sample: where its bytes start, and how many there are."""


def write_samples(
    file: h5py.File, path: Path, samples: Iterator[Any], text: dict[str, Any]
) -> None:
    """Write samples, and text about all of them, into an open file that will be `path`."""
    pixels = file.create_dataset(
        "pixels", shape=(0,), maxshape=(None,), chunks=(_CHUNK,), dtype=np.uint8
    )
    names, groups, labels, rows, end = [], [], [], [], 0
    for sample in samples:
        if not isinstance(sample, Sample):
            raise DataError(f"samples must be Sample records, got {type(sample).__name__}")
        raw = encode(sample)
        with raise_output_errors(path):
            pixels.resize((end + raw.size,))
            pixels[end:] = raw
        rows.append((end, raw.size))
        names.append(sample.name)
        groups.append(sample.group)
        labels.append([target.label for target in sample.targets])
        end += raw.size
    if not rows:
        raise DataError("samples to pack must be one or more, got none")
    known = text | {"names": names, "groups": groups, "labels": labels}
    content = json.dumps(known)  # ASCII, whatever the names
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
                    f"{path}: the version of the cache must be {_VERSION}, got {version}; it is of "
                    "another version of cameval: delete it and pack again"
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
    """Read a row for each sample: the start of its bytes, and their number."""
    _find(file, "pixels", "u1", (-1,))
    index: NDArray[np.int64] = _find(file, "index", "<i8", (-1, len(_COLUMNS)))[()]
    if not index.size or (index < 0).any() or (index > 2**62).any():
        raise DataError(
            f"{file.filename}: index must hold {', '.join(_COLUMNS)} of samples, got others; "
            "delete the file and pack again"
        )
    return index


def read_text(file: h5py.File, count: int) -> dict[str, Any]:
    """Read names, groups, labels, class names and sources, which must all be there."""
    raw = _find(file, "text", "u1", (-1,))[()]
    try:
        text: dict[str, Any] = json.loads(raw.tobytes())
        lists = [text[key] for key in ("names", "groups", "class_names")]
        sizes = [len(words) for words in (*lists[:2], text["labels"])]
        worded = all(isinstance(word, str) for words in lists for word in words)
        labels = [label for own in text["labels"] for label in own]
        classes = all(label is None or (type(label) is int and label >= 0) for label in labels)
        noted = isinstance(text["sources"], dict) and isinstance(text["settings"], str)
        whole = worded and classes and all(text["labels"]) and noted and sizes == [count] * 3
        came = f"{sizes} names, groups and labels for {count} samples"
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        whole, came = False, repr(error)
    if not whole:
        raise DataError(
            f"{file.filename}: text must hold names, groups, labels and sources, got {came}; "
            "delete the file and pack again"
        )
    return text

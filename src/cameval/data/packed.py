"""The file of packed samples: what is in it, and every way in which one can be wrong.

Its parts are ``pixels``, the bytes of all samples one after the other (`cameval.data.codes`);
``index``, a row of whole numbers for each sample; and ``text``, a JSON document with names, groups,
class names and what is known of the sources.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cameval.data.codes import encode
from cameval.data.samples import Sample
from cameval.errors import CamevalError, DataError

__all__ = ["blaming", "check_is_file", "opened", "read_index", "read_text", "write_samples"]

_FORMAT = "cameval samples"
_VERSION = 1
_CHUNK = 1 << 20
_COLUMNS = ("offset", "height", "width", "channels", "scale", "label")
"""One number of each for a sample; no channels (0) is an image without that axis."""


def write_samples(file: h5py.File, samples: Iterator[Any], text: dict[str, Any]) -> None:
    """Write samples, and what is known of them together, into an open file."""
    pixels = file.create_dataset(
        "pixels", shape=(0,), maxshape=(None,), chunks=(_CHUNK,), dtype=np.uint8
    )
    names, groups, rows, end = [], [], [], 0
    for sample in samples:
        if not isinstance(sample, Sample):
            raise DataError(f"samples must be Sample records, got {type(sample).__name__}")
        raw, scale = encode(sample.image, sample.mask)
        pixels.resize((end + raw.size,))
        pixels[end:] = raw
        height, width, channels = (*sample.image.shape, 0)[:3]
        rows.append((end, height, width, channels, scale, int(sample.label)))
        names.append(sample.name)
        groups.append(sample.group)
        end += raw.size
    if not rows:
        raise DataError("samples to pack must be one or more, got none")
    file["index"] = np.array(rows, dtype="<i8")
    content = json.dumps(text | {"names": names, "groups": groups})  # ASCII, whatever the names
    file["text"] = np.frombuffer(content.encode("ascii"), dtype=np.uint8)
    file.attrs["format"] = _FORMAT
    file.attrs["version"] = _VERSION


def check_is_file(path: Path) -> None:
    """Tell a missing file and a folder."""
    if path.is_dir():
        raise DataError(f"{path}: a cache is needed, got a folder")
    if not path.exists():
        raise DataError(f"{path}: the file must exist, got no such file; write it with pack")


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a cache of a known version, and close it again."""
    check_is_file(path)
    with blaming(path, "the file"):
        if not h5py.is_hdf5(path):
            raise _foreign(path, "no HDF5 signature")
        with h5py.File(path, "r") as file:
            kind, version = file.attrs.get("format"), file.attrs.get("version")
            if kind != _FORMAT:
                raise _foreign(path, f"format {kind!r}")
            if version != _VERSION:
                raise DataError(
                    f"{path}: the version of the cache must be {_VERSION}, got {version}; "
                    "read it with the cameval that wrote it, or delete it and pack again"
                )
            yield file


def _foreign(path: Path, came: str) -> DataError:
    return DataError(
        f"{path}: the file must be a cache written by pack, got {came}; if it was one that was "
        "cut off, delete it and pack again"
    )


@contextmanager
def blaming(path: Path, part: str) -> Iterator[None]:
    """Turn what h5py raises on damaged bytes, which may be any of these, into a `DataError`."""
    try:
        yield
    except (CamevalError, PermissionError):
        raise
    except (KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: {part} must be readable, got {error}; delete the file and pack again"
        ) from error


def _find(file: h5py.File, part: str, dtype: str, shape: tuple[int, ...]) -> Any:
    """Return a dataset whose dtype and axes are right; a side of -1 may be any."""
    found = file.get(part)
    came = f"{found.dtype} {found.shape}" if isinstance(found, h5py.Dataset) else "none"
    if came == "none" or found.dtype != np.dtype(dtype) or not _fits(found.shape, shape):
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
    least, most = (0, 1, 1, 0, 0, 0), (2**62, 2**31, 2**31, 2**31, 2**16 - 1, 2**31)
    if not index.size or (index < least).any() or (index > most).any():
        raise DataError(
            f"{file.filename}: index must hold {', '.join(_COLUMNS)} of samples, got others; "
            "delete the file and pack again"
        )
    return index


def read_text(file: h5py.File, count: int) -> dict[str, Any]:
    """Read names, groups, class names and sources; the text has them all or is not ours."""
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

"""Arrays of numbers in files of maps: .npy, .npz, .pt, PNG and TIFF.

No code is run from any file, and what a file declares is compared with what it holds before memory
is taken for it.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, BinaryIO
from weakref import finalize
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import torch
from numpy.lib import format as npy_format
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cameval.data._files import check_file, open_file
from cameval.data.pictures import decode_picture
from cameval.data.readers import shorten_names
from cameval.errors import CamevalError, DataError

MAX_VALUES = 2**28
"""The most numbers that one array of a file may hold, as in a volume of 1024 x 512 x 512."""

_PICKLE = (
    "a pickle can run any code when it is read, so it is not read; if you trust it, convert it "
    "once with np.save('{stem}.npy', np.asarray(pickle.load(open('{name}', 'rb')), np.float32))"
)

REFUSED_SUFFIXES = {
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".dill"), _PICKLE),
    **dict.fromkeys(
        (".jpg", ".jpeg", ".bmp", ".webp", ".gif"),
        "this format is not read as a map; save the numbers as .npy, or as gray PNG or TIFF",
    ),
    **dict.fromkeys(
        (".nii", ".gz", ".dcm", ".mat", ".h5", ".hdf5", ".csv", ".exr", ".safetensors"),
        "this format is not read as a map; save the numbers as .npy: np.save('{stem}.npy', array)",
    ),
}
"""Suffixes of files that may hold maps and are not read, and what to do instead."""


@dataclass(frozen=True, eq=False)
class MapArrays:
    """The arrays of one file, each read when it is asked for.

    Parameters
    ----------
    keys
        Their names; one empty name for the array of a file without names.
    read
        From a name to the array as the file holds it, of a real dtype.
    close
        Closes the file.
    """

    keys: tuple[str, ...]
    read: Callable[[str], NDArray[Any]] = field(repr=False)
    close: Callable[[], None] = field(default=lambda: None, repr=False)


def open_arrays(path: Path) -> MapArrays:
    """Open a file of maps.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of a format that is not read. The message names it.
    """
    check_file(path, "a file of maps")
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        reason = REFUSED_SUFFIXES.get(suffix, "save the numbers as .npy: np.save(path, array)")
        kinds = ", ".join(_READERS)
        raise DataError(
            f"{path}: a map must be a file of {kinds}, got {suffix or 'no suffix'}; "
            f"{reason.format(stem=path.stem, name=path.name)}"
        )
    return _READERS[suffix](path)


def as_floats(array: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """Return a copy of real numbers in float32 if it holds them all exactly, or else in float64."""
    narrow = array.dtype.itemsize <= (4 if array.dtype.kind == "f" else 2)
    return array.astype(np.float32 if narrow else np.float64, order="C")


def _check_kind(dtype: np.dtype[Any], where: str) -> None:
    """Check that an array is of real numbers, before it is read."""
    if dtype.hasobject:
        raise DataError(
            f"{where}: the array must be of numbers, got dtype object, which is stored as a pickle "
            "and can run any code when it is read; save it again with "
            "np.save(path, np.asarray(array, np.float32))"
        )
    if dtype.kind == "b":
        raise DataError(
            f"{where}: the array must be of numbers, got bool; a mask is no map, and where it is "
            "meant to be one, save mask.astype(np.float32)"
        )
    if dtype.kind not in "fiu":
        raise DataError(
            f"{where}: the array must be of real numbers, got {dtype}; save it as float32"
        )


def _check_size(shape: tuple[int, ...], where: str) -> None:
    """Check that an array has at least one value and not too many, before it is read."""
    if any(length < 1 for length in shape):
        raise DataError(f"{where}: the array must have at least one value, got shape {shape}")
    if math.prod(shape) > MAX_VALUES:
        raise DataError(
            f"{where}: the array must have at most {MAX_VALUES} values, got shape {shape}; save "
            "each map in a file of its own"
        )


@contextmanager
def _raise_data_errors(where: str, what: str) -> Iterator[None]:
    """Raise what a decoder raises on damaged bytes as a `DataError`, and none of its warnings."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except CamevalError:
        raise
    except Exception as error:  # a decoder on damaged bytes raises anything
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise DataError(f"{where}: the file must be {what}, got: {reason[0][:200]}") from error


# NumPy


def _open_npy(path: Path) -> MapArrays:
    def read(_key: str) -> NDArray[Any]:
        with open_file(path, "a .npy file") as stream:
            return _read_npy(stream, path.stat().st_size, str(path))

    return MapArrays(("",), read)


def _read_npy(stream: BinaryIO, size: int, where: str) -> NDArray[Any]:
    """Read an array from a stream of this many bytes."""
    with _raise_data_errors(where, "an array written by np.save"):
        shape, by_columns, dtype = _read_header(stream)
        _check_kind(dtype, where)
        _check_size(shape, where)
        held = size - stream.tell()
        declared = math.prod(shape) * dtype.itemsize
        if held != declared:
            raise DataError(
                f"{where}: the array must have the size that its header declares, {shape} of "
                f"{dtype} or {declared} bytes, got {held} bytes; save it again"
            )
        data = stream.read(declared)
        if len(data) != declared:
            raise DataError(
                f"{where}: the array must be complete, got {len(data)} of {declared} bytes"
            )
        return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")


def _read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy_format.read_magic(stream)  # type: ignore[no-untyped-call,unused-ignore]
    if version not in ((1, 0), (2, 0)):  # later ones differ in the names of fields alone
        raise ValueError(f"version {version} of the format, which no array of numbers needs")
    readers: dict[tuple[int, int], Any] = {
        (1, 0): npy_format.read_array_header_1_0,
        (2, 0): npy_format.read_array_header_2_0,
    }
    shape, by_columns, dtype = readers[version](stream)
    return tuple(int(length) for length in shape), by_columns, dtype


def _open_npz(path: Path) -> MapArrays:
    with ExitStack() as stack:
        stream = stack.enter_context(open_file(path, "a .npz file"))
        with _raise_data_errors(str(path), "an archive written by np.savez"):
            archive = stack.enter_context(ZipFile(stream))
            names = archive.namelist()
        keys = tuple(name.removesuffix(".npy") for name in names if name.endswith(".npy"))
        if not keys or len(keys) != len(set(names)):
            raise DataError(
                f"{path}: the file must hold arrays of different names, as np.savez writes it, got "
                f"{shorten_names(names) or 'none'}"
            )
        close = stack.pop_all().close

    def read(key: str) -> NDArray[Any]:
        where = f"{path}: array {key!r}"
        with _raise_data_errors(where, "an array written by np.savez"):
            info = archive.getinfo(f"{key}.npy")
            with archive.open(info) as member:
                return _read_npy(member, info.file_size, where)  # type: ignore[arg-type]

    arrays = MapArrays(keys, read, close)
    finalize(arrays, close)
    return arrays


# torch


def _open_torch(path: Path) -> MapArrays:
    what = "a tensor, or a dict of tensors, written by torch.save"
    with _raise_data_errors(str(path), what):
        with ZipFile(path) as archive:
            if any(info.compress_type != ZIP_STORED for info in archive.infolist()):
                raise ValueError("compressed parts, which torch.save does not write")
        try:
            # The file is mapped, not read: a storage cannot be larger than what the file holds.
            found: object = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except UnpicklingError as error:
            raise DataError(
                f"{path}: the file must hold tensors alone, got other objects, which need code to "
                "be read, so it is not read; if you trust it, convert it once with "
                "torch.save(torch.as_tensor(torch.load(path, weights_only=False)), path)"
            ) from error
    pairs = list(_flat(found, path))
    tensors = dict(pairs)
    if not pairs or len(tensors) != len(pairs):
        raise DataError(
            f"{path}: the file must hold tensors of different names, got "
            f"{shorten_names([name for name, _ in pairs]) or 'none'}"
        )

    def read(key: str) -> NDArray[Any]:
        where = f"{path}: tensor {key!r}" if key else str(path)
        with _raise_data_errors(where, what):
            return _array_of(tensors[key], where)

    return MapArrays(tuple(tensors), read)


def _flat(found: object, path: Path, *outer: str) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a file by name; a dict in a dict has names with a slash."""
    if isinstance(found, Tensor):
        yield "/".join(outer), found
        return
    if not isinstance(found, Mapping) or len(outer) > 1:
        raise DataError(
            f"{path}: the file must hold a tensor, or a dict of tensors by name or class, got "
            f"{type(found).__name__}{f' as {outer[-1]!r}' if outer else ''}; save maps with "
            "torch.save(maps, path)"
        )
    for key, inner in found.items():
        if not isinstance(key, str | int) or isinstance(key, bool) or key == "":
            raise DataError(
                f"{path}: the names of tensors must be texts or class indices, got {key!r}"
            )
        yield from _flat(inner, path, *outer, str(key))


def _array_of(tensor: Tensor, where: str) -> NDArray[Any]:
    """Return the array of a tensor that is dense and all of whose numbers the file holds."""
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized or tensor.is_nested:
        kind = "quantized" if tensor.is_quantized else f"{tensor.layout} on {tensor.device}"
        raise DataError(f"{where}: the tensor must be dense, got {kind}; save tensor.to_dense()")
    _check_size(tuple(tensor.shape), where)
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise DataError(
            f"{where}: the file must hold every number of the tensor, got {tuple(tensor.shape)} "
            "with repeated numbers; save tensor.contiguous()"
        )
    tensor = tensor.detach()
    if tensor.is_floating_point() and tensor.element_size() < 4:
        tensor = tensor.float()  # bfloat16 and floats of 8 bits, which NumPy has not
    array: NDArray[Any] = tensor.numpy()
    _check_kind(array.dtype, where)
    return array


# Pictures


def _open_picture(path: Path) -> MapArrays:
    return MapArrays(("",), lambda _key: _read_picture(path))


def _read_picture(path: Path) -> NDArray[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is an error of ours
        picture, _ = decode_picture(path)
    if picture.format not in ("PNG", "TIFF"):
        raise DataError(
            f"{path}: a map must be a PNG or TIFF file, got {picture.format} under this name; "
            "save the numbers without loss"
        )
    if picture.mode not in ("1", "L", "I", "I;16", "I;16L", "I;16B", "F"):
        raise DataError(
            f"{path}: a map is one number per pixel, got a picture of mode {picture.mode}; save "
            "the numbers as gray PNG or TIFF, or as .npy, not a picture of them in colors"
        )
    raw = np.asarray(picture)
    if picture.mode == "I" and picture.format == "PNG":  # 16 bits, in Pillow before 11
        raw = raw.astype(np.uint16)
    _check_kind(raw.dtype, str(path))
    return raw


_READERS: dict[str, Callable[[Path], MapArrays]] = {
    ".npy": _open_npy,
    ".npz": _open_npz,
    **dict.fromkeys((".pt", ".pth"), _open_torch),
    **dict.fromkeys((".png", ".tif", ".tiff"), _open_picture),
}

MAP_SUFFIXES = frozenset(_READERS)
"""Suffixes, in lower case, of files of maps."""

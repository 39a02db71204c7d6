"""NumPy arrays and torch tensors: conversion, checks, checksums.

Public functions return the kind of array that they are given: NumPy in, NumPy out; torch in, torch
out, on the same device. Internally everything is torch. Arrays are checked here, once; the formulas
trust their input.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._deferred import holds
from cameval._memo import memoized
from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError

Array = TypeVar("Array", Tensor, NDArray[Any])
"""A torch tensor or a NumPy array; results are of the same kind as the input."""


Maps: TypeAlias = Tensor | NDArray[np.floating[Any]]
"""Score maps ``(..., H, W)``, real-valued, raw and signed."""


Masks: TypeAlias = Tensor | NDArray[np.bool_]
"""Boolean masks ``(..., H, W)``."""


Scores: TypeAlias = Tensor | NDArray[np.floating[Any]]
"""One number per image, shape ``(...)``."""


_WIDER = {
    **{torch.uint16: torch.int32, torch.uint32: torch.int64, torch.uint64: torch.float64},
    **dict.fromkeys(
        (torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz),
        torch.float32,
    ),
}
"""Dtypes for which torch has little arithmetic, and the dtypes that hold their values."""


_MOST_EXACT = 2**53
"""All integers up to this one are exact in float64."""


def as_tensor(array: object, name: str) -> Tensor:
    """Return `array` as a detached tensor, without a copy where that is possible."""
    if isinstance(array, Tensor):
        if array.layout != torch.strided or array.is_quantized or array.is_nested:
            raise ArrayTypeError(
                f"{name} must be a dense tensor of numbers, got {array.layout}, {array.dtype}; "
                "convert it first, as in to_dense() or dequantize()"
            )
        return array.detach()
    if isinstance(array, np.ndarray):
        sharable = array.dtype.isnative and array.flags.writeable and array.flags.c_contiguous
        native = array if sharable else array.astype(array.dtype.newbyteorder("="), order="C")
        if native.dtype == np.bool_ and native.size and native.view(np.uint8).max() > 1:
            native = native != 0  # Pillow's 1-bit pictures hold 255 for True
        try:
            return torch.from_numpy(native)
        except TypeError as error:
            raise ArrayTypeError(
                f"{name} must have a dtype that torch knows, got {array.dtype}; "
                "convert it first, as in array.astype(float)"
            ) from error
    raise ArrayTypeError(
        f"{name} must be a NumPy array or a torch tensor, got {type(array).__name__}"
    )


def dtype_or_type(value: object) -> str:
    """Return the dtype of a tensor, or the type of anything else, for error messages."""
    return str(value.dtype) if isinstance(value, Tensor) else type(value).__name__


def shape_or_type(value: object) -> str:
    """Return the shape of a tensor, or the type of anything else, for error messages."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def check_integers(tensor: Tensor, name: str) -> None:
    """Check that a tensor has an integer dtype."""
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise ArrayTypeError(f"{name} must be integers, got {tensor.dtype}")


def restore(result: Tensor, template: Array) -> Array:
    """Return `result` as an array of the same kind as `template`, on its device.

    A NumPy result without axes is a scalar, as from NumPy's own reductions.
    """
    if isinstance(template, Tensor):
        return result.to(template.device)
    array: NDArray[Any] = result.cpu().numpy()[()]
    return array


def as_scores(result: Tensor, template: Array) -> Array:
    """Return scores as an array of the same kind as `template`.

    Torch scores have torch's default dtype. NumPy scores are in float64, and a scalar without axes.
    """
    if isinstance(template, Tensor):
        return result.to(template.device, torch.get_default_dtype())
    scores: NDArray[Any] = result.cpu().numpy().astype(np.float64)[()]
    return scores


def exact(tensor: Tensor) -> Tensor:
    """Return `tensor` in float64, or in float32 on devices that have no float64."""
    return tensor.to(torch.float32 if tensor.device.type == "mps" else torch.float64)


def extremes(maps: Tensor, spatial_axes: int = 2) -> tuple[Tensor, Tensor]:
    """Return the minimum and the maximum of each map; NaN if it holds NaN."""
    return _extremes(maps, tuple(range(-spatial_axes, 0)))


@memoized
def _extremes(maps: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return maps.amin(axes), maps.amax(axes)


def finite_maps(maps: object, name: str = "maps") -> Tensor:
    """Check score maps ``(..., H, W)``: real, at least one pixel, finite.

    Unsigned integers and floating point of 8 bits, for which torch has little arithmetic, are
    returned in a wider dtype. Integers beyond 2**53, which float64 does not distinguish, are
    returned in float64.
    """
    tensor = as_tensor(maps, name)
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise ArrayTypeError(f"{name} must hold real numbers, got {tensor.dtype}")
    tensor = tensor.to(_WIDER.get(tensor.dtype, tensor.dtype))
    _check_image_axes(tensor, name)
    if tensor.dtype == torch.int64 and tensor.numel():
        low, high = (int(extreme) for extreme in tensor.aminmax())
        if max(-low, high) > _MOST_EXACT:
            tensor = exact(tensor)
    if not _is_finite(tensor):
        count = int((~tensor.isfinite()).sum())
        raise NonFiniteError(
            f"{name} must be finite, got {count} NaN or infinite values; "
            "look for an overflow in the network or mask the map before scoring it"
        )
    return tensor


def as_masks(masks: object, name: str) -> Tensor:
    """Check boolean masks ``(..., H, W)``."""
    tensor = as_tensor(masks, name)
    if tensor.dtype != torch.bool:
        raise ArrayTypeError(
            f"{name} must be boolean, got {tensor.dtype}; compare first, as in {name} > 0"
        )
    _check_image_axes(tensor, name)
    return tensor


def mask_pair(pred: object, target: object) -> tuple[Tensor, Tensor]:
    """Check that a predicted and a true mask have the same shape and kind, and return them."""
    _check_same_kind(pred, target, "pred", "target")
    pair = as_masks(pred, "pred"), as_masks(target, "target")
    _check_same_shape(*pair, "pred", "target")
    return pair


def maps_and_truth(maps: object, target: object) -> tuple[Tensor, Tensor]:
    """Check that score maps and true masks have the same shape and kind, and return them."""
    _check_same_kind(maps, target, "maps", "target")
    if _is_mask(maps) and not _is_mask(target):
        raise ArrayTypeError(
            f"maps must hold real numbers, got {as_tensor(maps, 'maps').dtype}, and target must be "
            f"boolean, got {as_tensor(target, 'target').dtype}; give the maps first, then the truth"
        )
    pair = finite_maps(maps), as_masks(target, "target")
    _check_same_shape(*pair, "maps", "target")
    return pair


def map_pair(maps: object, again: object) -> tuple[Tensor, Tensor]:
    """Check that two stacks of score maps have the same shape and kind, and return them."""
    _check_same_kind(maps, again, "maps", "again")
    pair = finite_maps(maps), finite_maps(again, "again")
    _check_same_shape(*pair, "maps", "again")
    return pair


def _is_mask(array: object) -> bool:
    return getattr(array, "dtype", None) in (torch.bool, np.dtype(np.bool_))


def _is_finite(tensor: Tensor) -> bool:
    """Tell whether all values are finite, from the extremes: ten times faster than from all."""
    if not tensor.is_floating_point():
        return True
    return holds(torch.stack(extremes(tensor)).isfinite().all())


def _check_image_axes(tensor: Tensor, name: str) -> None:
    if tensor.ndim < 2 or 0 in tensor.shape[-2:]:
        raise ShapeError(
            f"{name} must have shape (..., H, W) with at least one pixel, got {tuple(tensor.shape)}"
        )


def _check_same_kind(first: object, second: object, name: str, other: str) -> None:
    if isinstance(first, Tensor) != isinstance(second, Tensor):
        raise ArrayTypeError(
            f"{name} and {other} must both be NumPy arrays or both torch tensors, "
            f"got {type(first).__name__} and {type(second).__name__}"
        )


def _check_same_shape(first: Tensor, second: Tensor, name: str, other: str) -> None:
    if first.shape != second.shape:
        raise ShapeError(
            f"{name} and {other} must have one shape, "
            f"got {tuple(first.shape)} and {tuple(second.shape)}"
        )


def array_sum(array: NDArray[Any]) -> int:
    """Return a checksum of an array."""
    whole = np.ascontiguousarray(array)
    return crc32(whole.data, crc32(f"{whole.shape}".encode()))


def checksum(*tensors: Tensor) -> str:
    """Return a CRC-32 of dtypes, shapes and values of tensors, as eight hexadecimal digits."""
    value = 0
    for tensor in tensors:
        value = crc32(f"{tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        flat = tensor.detach().cpu().contiguous().flatten()
        value = crc32(flat.view(torch.uint8).numpy().data, value)
    return f"{value:08x}"


def same_ratio(cells: tuple[int, ...], pixels: tuple[int, ...]) -> bool:
    """Tell whether cells of one stride, in whole numbers, can cover an image ``(H, W)``.

    Examples
    --------
    >>> from cameval._arrays import same_ratio
    >>> same_ratio((15, 20), (480, 640)), same_ratio((15, 16), (480, 640))
    (True, False)
    """
    (h, w), (height, width) = cells, pixels
    return abs(h * width - w * height) <= max(height, width)


@contextmanager
def unwritten(what: str, *tensors: Tensor) -> Iterator[None]:
    """Check that a function does not write into tensors, which others are given, too.

    Tensors of ``torch.inference_mode`` do not count what is written into them, and are not checked.

    Raises
    ------
    SettingError
        If one of the tensors was changed in place.
    """
    counted = [(one, one._version) for one in tensors if not one.is_inference()]
    yield
    if any(one._version != before for one, before in counted):
        raise SettingError(
            f"{what} must not write into what it is given, got a tensor that it changed; work on "
            "a copy, as maps.clone()"
        )


def as_numpy(maps: Tensor) -> NDArray[Any]:
    """Return a NumPy array; half precision becomes float32, which scikit-image supports."""
    half = maps.dtype in (torch.float16, torch.bfloat16)
    array: NDArray[Any] = (maps.float() if half else maps).cpu().numpy()
    return array

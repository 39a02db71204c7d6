"""What is done to a raw map before a binarizer: upsampling it, scaling it to [0, 1].

Both are plain functions of the values; no method and no binarizer calls `normalize_maps` by itself.
"""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from cameval.arrays import Array, exact, finite_maps, restore
from cameval.errors import ArrayTypeError, SettingError, ShapeError

__all__ = ["is_constant", "normalize_maps", "upsample"]


def is_constant(maps: Array, /) -> Array:
    """Tell which maps have one value only, and therefore an empty mask from every binarizer.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.

    Returns
    -------
    Array
        One boolean per map, shape ``(...)``.

    Raises
    ------
    NonFiniteError
        If a value is NaN or infinite.

    Examples
    --------
    >>> is_constant(torch.tensor([[[2.0, 2.0]], [[2.0, 3.0]]]))
    tensor([ True, False])
    """
    return restore(constant(finite_maps(maps)), maps)


def constant(maps: Tensor) -> Tensor:
    """Return `is_constant` of checked maps."""
    return maps.amin((-2, -1)) == maps.amax((-2, -1))


def normalize_maps(maps: Array, /) -> Array:
    """Scale each map to [0, 1] by its own minimum and maximum.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.

    Returns
    -------
    Array
        Maps of the same shape, kind and floating dtype (integers become torch's default dtype).
        The minimum of each map is 0 and its maximum 1; a constant map becomes zeros.

    Raises
    ------
    NonFiniteError
        If a value is NaN or infinite.

    Examples
    --------
    >>> normalize_maps(torch.tensor([[-1.0, 0.0], [1.0, 3.0]]))
    tensor([[0.0000, 0.2500],
            [0.5000, 1.0000]])
    """
    tensor = finite_maps(maps)
    values = exact(tensor)
    low = values.amin((-2, -1), keepdim=True)
    span = values.amax((-2, -1), keepdim=True) - low
    scaled = (values - low) / span.where(span > 0, 1)
    dtype = tensor.dtype if tensor.is_floating_point() else torch.get_default_dtype()
    return restore(scaled.to(dtype), maps)


def upsample(coarse: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate coarse maps bilinearly to an image's size, and do nothing else to them.

    Pixel centers are half-integers (``align_corners=False``), values beyond the outermost centers
    are those of the border.

    Parameters
    ----------
    coarse
        Floating torch maps ``(..., h, w)``.
    size
        Height and width of the result.

    Returns
    -------
    Tensor
        Maps ``(..., H, W)`` of the same dtype on the same device, linear in `coarse` and within
        the range of its values. A coarse map with NaN becomes NaN.

    Raises
    ------
    ArrayTypeError
        If `coarse` is not a floating torch tensor.
    ShapeError
        If `coarse` has no ``(h, w)`` axes or no pixels.
    SettingError
        If `size` is not a pair of positive integers.

    Examples
    --------
    >>> upsample(torch.tensor([[0.0, 4.0]]), (1, 4))
    tensor([[0., 1., 3., 4.]])
    """
    if not isinstance(coarse, Tensor) or not coarse.is_floating_point():
        came = coarse.dtype if isinstance(coarse, Tensor) else type(coarse).__name__
        raise ArrayTypeError(f"coarse must be a floating torch tensor, got {came}")
    if coarse.ndim < 2 or 0 in coarse.shape[-2:]:
        raise ShapeError(
            f"coarse must have shape (..., h, w) with at least one pixel, got {tuple(coarse.shape)}"
        )
    height, width = check_size(size)
    if coarse.numel() == 0:
        return coarse.new_empty((*coarse.shape[:-2], height, width))
    stacked = coarse.reshape(-1, 1, *coarse.shape[-2:])
    fine = interpolate(stacked, size=(height, width), mode="bilinear", align_corners=False)
    # An average never leaves the range of its terms, but rounding may: keep constant maps constant.
    low, high = stacked.amin((-2, -1), keepdim=True), stacked.amax((-2, -1), keepdim=True)
    fine = fine.clamp(low, high)
    return fine.reshape(*coarse.shape[:-2], height, width)


def check_size(size: object) -> tuple[int, int]:
    """Return an image size as ``(H, W)``, both positive integers."""
    match size:
        case (int(height), int(width)) if height > 0 and width > 0:
            return height, width
    raise SettingError(f"size must be a pair of positive integers (H, W), got {size!r}")

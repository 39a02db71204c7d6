"""What is done to a raw map before a binarizer: upsampling it, scaling it to [0, 1].

Both are plain functions of the values; no method and no binarizer calls `normalize_maps` by itself.
"""

import torch
from torch import Tensor

from cameval.arrays import Array, exact, extremes, finite_maps, restore
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.geometry import Place, half_pixel_coordinates, receptive_field_coordinates

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
    low, high = extremes(maps)
    return low == high


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


def upsample(
    coarse: Tensor,
    size: tuple[int, ...],
    *,
    place: Place | None = None,
    image_size: tuple[int, ...] | None = None,
) -> Tensor:
    """Interpolate coarse maps linearly to an image's size, and do nothing else to them.

    Parameters
    ----------
    coarse
        Floating torch maps ``(..., h, w)``, or volumes ``(..., d, h, w)``.
    size
        Height and width of the result; three lengths for volumes.
    place
        Where the cells lie in the image. By default they fill it evenly: the half-pixel convention,
        ``align_corners=False``.
    image_size
        Size of the network's input, in whose pixels `place` is given; by default `size`.

    Returns
    -------
    Tensor
        Maps ``(..., H, W)`` of the same dtype on the same device, linear in `coarse` and within
        the range of its values; half precision becomes float32, so that neighboring pixels differ.
        Beyond the outermost cells the map keeps their values. A coarse map with NaN becomes NaN.

    Raises
    ------
    ArrayTypeError
        If `coarse` is not a floating torch tensor.
    ShapeError
        If `coarse` has no ``(h, w)`` axes or no pixels.
    SettingError
        If `size` is not two or three positive integers.

    Examples
    --------
    >>> upsample(torch.tensor([[0.0, 4.0]]), (1, 4))
    tensor([[0., 1., 3., 4.]])

    The same two cells, the first at the image's left edge and the second in its middle:

    >>> from cameval.geometry import Place
    >>> upsample(torch.tensor([[0.0, 4.0]]), (1, 4), place=Place(offset=0.5, stride=2))
    tensor([[0., 2., 4., 4.]])
    """
    if not isinstance(coarse, Tensor) or not coarse.is_floating_point():
        came = coarse.dtype if isinstance(coarse, Tensor) else type(coarse).__name__
        raise ArrayTypeError(f"coarse must be a floating torch tensor, got {came}")
    lengths = check_size(size)
    pixels = lengths if image_size is None else check_size(image_size)
    axes = tuple(range(-len(lengths), 0))
    if coarse.ndim < len(lengths) or 0 in coarse.shape[axes[0] :] or len(pixels) != len(lengths):
        raise ShapeError(
            "coarse must have shape (..., h, w) with at least one pixel, and one axis for each "
            f"length of {lengths} on {pixels}, got {tuple(coarse.shape)}"
        )
    if coarse.dtype in (torch.float16, torch.bfloat16):
        coarse = coarse.float()
    fine = coarse
    for axis, length, extent in zip(axes, lengths, pixels, strict=True):
        cells = coarse.shape[axis]
        coordinates = (
            half_pixel_coordinates(length, cells)
            if place is None
            else receptive_field_coordinates(length, extent, place)
        )
        weights = linear_weights(coordinates, cells).to(coarse.device, coarse.dtype)
        with torch.autocast(coarse.device.type, enabled=False):
            fine = (fine.movedim(axis, -1) @ weights.T).movedim(-1, axis)
    # An average never leaves the range of its terms, but rounding may: keep constant maps constant.
    return fine.clamp(coarse.amin(axes, keepdim=True), coarse.amax(axes, keepdim=True))


def linear_weights(coordinates: Tensor, cells: int) -> Tensor:
    """Weights ``(length, cells)`` of the two cells around each coordinate; edges are clamped."""
    inside = coordinates.clamp(0, cells - 1)
    return (1 - (inside[:, None] - torch.arange(cells)).abs()).clamp(min=0)


def check_size(size: object) -> tuple[int, ...]:
    """Return an image's size as ``(H, W)`` or ``(D, H, W)``, all positive integers."""
    match size:
        case (int(height), int(width)) if min(height, width) > 0:
            return height, width
        case (int(depth), int(height), int(width)) if min(depth, height, width) > 0:
            return depth, height, width
    raise SettingError(f"size must be a pair of positive integers (H, W), got {size!r}")

"""Maps on images: cell centers, upsampling, scaling to [0, 1].

Positions are in pixels of the network's input; the center of pixel k is at k + 0.5. No method and
no binarizer calls `normalize_maps` by itself.
"""

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from cameval._arrays import Array, dtype_or_type, exact, extremes, finite_maps, restore
from cameval._checks import check_size
from cameval._spatial import check_spatial_axes, check_volumes
from cameval.errors import ArrayTypeError, SettingError, ShapeError

__all__ = ["CellCenters", "is_constant", "normalize_maps", "upsample"]


@dataclass(frozen=True)
class CellCenters:
    """Centers of the receptive fields: cell i of a row lies at ``offset + stride * i`` pixels.

    Parameters
    ----------
    offset
        Center of the first cell.
    stride
        Distance between neighboring cells, positive.

    Raises
    ------
    SettingError
        If `stride` is not positive, or a number is not finite.

    Examples
    --------
    The first cell of a ResNet lies at the corner of the image, not half a cell inside:

    >>> from cameval.maps import CellCenters
    >>> CellCenters(offset=0.5, stride=32).centers(3)
    tensor([ 0.5000, 32.5000, 64.5000])

    The centers of other networks follow layer by layer, starting from the pixels; here through a
    convolution with padding and a pooling without:

    >>> pixels = CellCenters(offset=0.5, stride=1)
    >>> pixels.after(kernel=7, stride=2, padding=3).after(kernel=2, stride=2)
    CellCenters(offset=1.5, stride=4)
    """

    offset: float
    stride: float

    def __post_init__(self) -> None:
        if not (isfinite(self.offset) and isfinite(self.stride) and self.stride > 0):
            raise SettingError(
                f"offset must be finite and stride positive, got {self.offset} and {self.stride}"
            )

    def centers(self, cells: int) -> Tensor:
        """Return the centers of the first `cells` cells, in pixels."""
        return self.offset + self.stride * torch.arange(cells)

    def after(
        self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
    ) -> "CellCenters":
        """Return the centers of the cells after one more convolution or pooling.

        Parameters
        ----------
        kernel, stride, dilation
            Settings of the layer, along one axis.
        padding
            Cells added before the first one. Cells added after the last have no effect.

        Returns
        -------
        CellCenters
            Each new cell lies in the middle of its window.
        """
        return CellCenters(
            self.offset + self.stride * ((kernel - 1) * dilation / 2 - padding),
            self.stride * stride,
        )


def half_pixel_coordinates(length: int, cells: int) -> Tensor:
    """Return cell coordinates of `length` output pixels, where `cells` cells fill the image evenly.

    This is the convention of ``align_corners=False``: each cell covers an equal part of the image
    and lies at its middle.
    """
    return (torch.arange(length, dtype=torch.float64) + 0.5) * (cells / length) - 0.5


def receptive_field_coordinates(length: int, pixels: int, cell_centers: CellCenters) -> Tensor:
    """Return cell coordinates of `length` output pixels on `pixels` pixels of the image."""
    centers = (torch.arange(length, dtype=torch.float64) + 0.5) * (pixels / length)
    return (centers - cell_centers.offset) / cell_centers.stride


def window_coordinates(
    length: int,
    extent: int,
    cells: int,
    cell_centers: CellCenters | None,
    window: tuple[int, int],
) -> Tensor:
    """Return cell coordinates of `length` output pixels that cover a part of an input."""
    start, stop = window
    step = (stop - start) / length
    centers = start + (torch.arange(length, dtype=torch.float64) + 0.5) * step
    even = CellCenters(extent / cells / 2, extent / cells)
    placed = even if cell_centers is None else cell_centers
    return (centers - placed.offset) / placed.stride


def is_constant(maps: Array, /, *, spatial_axes: int = 2) -> Array:
    """Tell which maps have a single value. Every binarizer returns an empty mask for them.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    spatial_axes
        2 for images, 3 for volumes ``(..., D, H, W)``.

    Returns
    -------
    Array
        One boolean per map, shape ``(...)``.

    Raises
    ------
    NonFiniteError
        If a value is NaN or infinite.
    SettingError
        If `spatial_axes` is neither 2 nor 3.

    Examples
    --------
    >>> import torch
    >>> from cameval.maps import is_constant
    >>> is_constant(torch.tensor([[[2.0, 2.0]], [[2.0, 3.0]]]))
    tensor([ True, False])
    """
    axes = check_spatial_axes(spatial_axes)
    tensor = finite_maps(maps)
    check_volumes(tensor, axes, "maps")
    return restore(are_constant(tensor, axes), maps)


def are_constant(maps: Tensor, spatial_axes: int = 2) -> Tensor:
    """Tell which maps have a single value, as `is_constant`, for maps that are checked already."""
    low, high = extremes(maps, spatial_axes)
    return low == high


def normalize_maps(maps: Array, /, *, spatial_axes: int = 2) -> Array:
    """Scale each map to [0, 1] by its own minimum and maximum.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    spatial_axes
        2 for images, 3 for volumes ``(..., D, H, W)``.

    Returns
    -------
    Array
        Maps of the same shape, kind and floating dtype (integers become torch's default dtype).
        The minimum of each map is 0 and its maximum 1; a constant map becomes zeros.

    Raises
    ------
    NonFiniteError
        If a value is NaN or infinite.
    SettingError
        If `spatial_axes` is neither 2 nor 3.

    Examples
    --------
    >>> import torch
    >>> from cameval import normalize_maps
    >>> normalize_maps(torch.tensor([[-1.0, 0.0], [1.0, 3.0]]))
    tensor([[0.0000, 0.2500],
            [0.5000, 1.0000]])
    """
    axes = tuple(range(-check_spatial_axes(spatial_axes), 0))
    tensor = finite_maps(maps)
    check_volumes(tensor, len(axes), "maps")
    values = exact(tensor)
    low = values.amin(axes, keepdim=True)
    span = values.amax(axes, keepdim=True) - low
    scaled = (values - low) / span.where(span > 0, 1)
    dtype = tensor.dtype if tensor.is_floating_point() else torch.get_default_dtype()
    return restore(scaled.to(dtype), maps)


def upsample(
    coarse: Tensor,
    size: tuple[int, ...],
    *,
    cell_centers: CellCenters | None = None,
    image_size: tuple[int, ...] | None = None,
    window: tuple[tuple[int, int], ...] | None = None,
) -> Tensor:
    """Interpolate coarse maps linearly to the size of the image.

    Parameters
    ----------
    coarse
        Floating torch maps ``(..., h, w)``, or volumes ``(..., d, h, w)``.
    size
        Height and width of the result; three lengths for volumes.
    cell_centers
        Centers of the cells in the image. By default the cells fill the image evenly: the
        half-pixel convention, ``align_corners=False``.
    image_size
        Size of the network's input, in whose pixels `cell_centers` is given; by default `size`.
    window
        First and last pixel (exclusive) of the network's input, along each axis, that the result
        covers, as where the input is padded. By default all of it.

    Returns
    -------
    Tensor
        Maps ``(..., H, W)`` of the same dtype on the same device, linear in `coarse` and within
        the range of its values; half precision becomes float32, so that neighboring pixels differ.
        Beyond the centers of the outermost cells the map is constant. A coarse map with NaN becomes
        NaN.

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
    >>> import torch
    >>> from cameval.maps import upsample
    >>> upsample(torch.tensor([[0.0, 4.0]]), (1, 4))
    tensor([[0., 1., 3., 4.]])

    The same two cells, with centers at the left edge and in the middle of the image:

    >>> from cameval.maps import CellCenters
    >>> upsample(torch.tensor([[0.0, 4.0]]), (1, 4), cell_centers=CellCenters(offset=0.5, stride=2))
    tensor([[0., 2., 4., 4.]])
    """
    if not isinstance(coarse, Tensor) or not coarse.is_floating_point():
        raise ArrayTypeError(f"coarse must be a floating torch tensor, got {dtype_or_type(coarse)}")
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
    by_product = coarse.dtype == torch.float64 or _products_are_exact(coarse.device)
    for k, (axis, length, extent) in enumerate(zip(axes, lengths, pixels, strict=True)):
        cells = coarse.shape[axis]
        if window is not None:
            coordinates = window_coordinates(length, extent, cells, cell_centers, window[k])
        elif cell_centers is None:
            coordinates = half_pixel_coordinates(length, cells)
        else:
            coordinates = receptive_field_coordinates(length, extent, cell_centers)
        with torch.autocast(coarse.device.type, enabled=False):
            interpolate = _by_product if by_product else _by_two_cells
            fine = interpolate(fine.movedim(axis, -1), coordinates).movedim(-1, axis)
    # Rounding may leave the range of the values that are averaged: keep constant maps constant.
    return fine.clamp(coarse.amin(axes, keepdim=True), coarse.amax(axes, keepdim=True))


def _products_are_exact(device: torch.device) -> bool:
    """Tell whether the device computes matrix products of float32 in float32.

    TF32 on GPUs, and bfloat16 on CPUs with units for it, are settings of the process: to change
    them here would change products in other threads.
    """
    try:
        highest = torch.get_float32_matmul_precision() == "highest"
        asked = highest and not torch.backends.cuda.matmul.allow_tf32
    except RuntimeError:  # settings of torch's old and new interface are mixed
        asked = False
    if asked or device.type not in ("cpu", "cuda", "xpu"):
        return True
    return device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _by_product(maps: Tensor, coordinates: Tensor) -> Tensor:
    """Interpolate along the last axis by a product with the matrix of weights."""
    weights = linear_weights(coordinates, maps.shape[-1])
    return maps @ weights.to(maps.device, maps.dtype).T


def _by_two_cells(maps: Tensor, coordinates: Tensor) -> Tensor:
    """Interpolate along the last axis by a weighted sum of two cells, without a product."""
    cells = maps.shape[-1]
    weights = linear_weights(coordinates, cells)
    first = coordinates.clamp(0, cells - 1).floor().long().clamp(max=max(cells - 2, 0))
    second = (first + 1).clamp(max=cells - 1)
    shares = [weights.gather(1, at[:, None])[:, 0] for at in (first, second)]
    if cells == 1:
        shares[1] = torch.zeros_like(shares[1])
    one, other = (
        maps.index_select(-1, at.to(maps.device)) * share.to(maps.device, maps.dtype)
        for at, share in zip((first, second), shares, strict=True)
    )
    return one + other


def linear_weights(coordinates: Tensor, cells: int) -> Tensor:
    """Return the weights ``(length, cells)`` of the two cells next to each coordinate, clamped."""
    inside = coordinates.clamp(0, cells - 1)
    return (1 - (inside[:, None] - torch.arange(cells)).abs()).clamp(min=0)

"""Pooling of masks to the cells of a feature grid, along each axis of images or volumes."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cameval._arrays import as_masks, exact
from cameval._spatial import check_volumes
from cameval.errors import SettingError, ShapeError
from cameval.maps import CellCenters, half_pixel_coordinates, receptive_field_coordinates

Window = tuple[tuple[int, int], ...]
"""First and last pixel (exclusive) of the network's input along each axis."""


def pool(
    truth: Tensor,
    cells: tuple[int, ...],
    cell_centers: CellCenters | None = None,
    image_size: tuple[int, ...] | None = None,
    window: Window | None = None,
) -> Tensor:
    """Return the share of each cell that is true, ``(..., *cells)``, in double precision.

    With a window the mask covers this part of the image. A cell outside it gets the nearest pixel.
    """
    values = exact(truth)
    shares = [
        cell_shares(*lengths, cell_centers, None if window is None else window[axis]).to(values)
        for axis, lengths in enumerate(axis_lengths(truth, cells, image_size))
    ]
    return multiply_axes(values, shares).clamp(0, 1)


def multiply_axes(array: Tensor, matrices: Sequence[Tensor]) -> Tensor:
    """Multiply the last two or three axes of an array each by a matrix ``(new length, length)``."""
    *through, down, across = matrices
    for matrix in through:
        array = (matrix @ array.flatten(-2)).unflatten(-1, array.shape[-2:])
    return down @ array @ across.T


def axis_lengths(
    truth: Tensor, cells: tuple[int, ...], image_size: tuple[int, ...] | None
) -> Iterator[tuple[int, int, int]]:
    """Yield for each axis the numbers of mask pixels, of image pixels and of cells."""
    counts = check_cells(cells, "cells")
    size = tuple(truth.shape[-len(counts) :])
    extents = size if image_size is None else check_cells(image_size, "image_size")
    if len(extents) != len(counts):
        raise SettingError(
            f"image_size must have one length for each axis of the {len(counts)} of the cells, "
            f"got {image_size!r}"
        )
    return zip(size, extents, counts, strict=True)


def cell_shares(
    length: int,
    extent: int,
    cells: int,
    cell_centers: CellCenters | None,
    window: tuple[int, int] | None = None,
) -> Tensor:
    """Return the weight of each pixel in the mean of each cell, ``(cells, length)``; rows sum to 1.

    A point of the image belongs to the cell with the nearest center, so the cells tile the image. A
    cell outside the image gets the pixel at the image's edge. With a window the pixels fill this
    part of the image.
    """
    start, stop = (0, extent) if window is None else window
    stride = extent / cells if cell_centers is None else cell_centers.stride
    first = stride / 2 if cell_centers is None else cell_centers.offset
    between = first + stride * (torch.arange(1, cells, dtype=torch.float64) - 0.5)
    ends = torch.tensor([start, stop], dtype=torch.float64)
    edges = torch.cat([ends[:1], between.clamp(start, stop), ends[1:]]) - start
    edges = edges * (length / (stop - start))
    low, high = edges[:-1, None], edges[1:, None]
    pixels = torch.arange(length)
    overlap = (torch.minimum(high, pixels + 1) - torch.maximum(low, pixels)).clamp(min=0)
    at_edge = (pixels == low.clamp(max=length - 1)).to(overlap)
    overlap = overlap.where(overlap.sum(1, keepdim=True) > 0, at_edge)
    return overlap / overlap.sum(1, keepdim=True)


def nearest_cells(length: int, extent: int, cells: int, cell_centers: CellCenters | None) -> Tensor:
    """Return the cell with the nearest center for each pixel, ``(length,)``."""
    coordinates = (
        half_pixel_coordinates(length, cells)
        if cell_centers is None
        else receptive_field_coordinates(length, extent, cell_centers)
    )
    return (coordinates + 0.5).floor().long().clamp(0, cells - 1)


def check_cells(size: object, name: str, axes: int | None = None) -> tuple[int, ...]:
    """Check the lengths of a grid, two for images and three for volumes, and return them."""
    lengths = size if isinstance(size, tuple | list) else ()
    whole = all(isinstance(one, int) and not isinstance(one, bool) and one > 0 for one in lengths)
    if len(lengths) not in (2, 3) or not whole:
        raise SettingError(
            f"{name} must be a pair of positive integers (h, w), or three of volumes (d, h, w), "
            f"got {size!r}"
        )
    if axes is not None and len(lengths) != axes:
        raise SettingError(
            f"{name} must be {axes} lengths, one for each axis of the images or volumes, "
            f"got {size!r}"
        )
    return tuple(lengths)


def masks_on(truth: object, cells: object) -> tuple[Tensor, int]:
    """Check true masks, with an axis for each axis of the cells, and return that number too."""
    masks = as_masks(truth, "truth")
    axes = len(check_cells(cells, "cells"))
    if axes == 3:
        check_volumes(masks, axes, "truth")
    return masks, axes


def check_axes(array: Tensor, batch_truth: Tensor, name: str) -> None:
    """Check that maps have the spatial axes of the truth of a batch."""
    if array.ndim != batch_truth.ndim:
        raise ShapeError(
            f"{name} must have the {batch_truth.ndim - 1} spatial axes of the truth, got shape "
            f"{tuple(array.shape)} for {tuple(batch_truth.shape)}"
        )

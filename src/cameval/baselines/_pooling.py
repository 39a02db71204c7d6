"""Pooling of masks to the cells of a feature grid."""

from collections.abc import Iterator

import torch
from torch import Tensor

from cameval._arrays import exact
from cameval.errors import SettingError
from cameval.maps import CellCenters, half_pixel_coordinates, receptive_field_coordinates


def pool(
    truth: Tensor,
    cells: tuple[int, ...],
    cell_centers: CellCenters | None = None,
    image_size: tuple[int, ...] | None = None,
) -> Tensor:
    """Return the share of each cell that is true, ``(..., h, w)``, in double precision."""
    rows, columns = (
        cell_shares(length, extent, count, cell_centers).to(exact(truth))
        for length, extent, count in axis_lengths(truth, cells, image_size)
    )
    return (rows @ exact(truth) @ columns.T).clamp(0, 1)


def axis_lengths(
    truth: Tensor, cells: tuple[int, ...], image_size: tuple[int, ...] | None
) -> Iterator[tuple[int, int, int]]:
    """Yield for each axis the numbers of mask pixels, of image pixels and of cells."""
    size = tuple(truth.shape[-2:])
    extents = size if image_size is None else check_pair(image_size, "image_size")
    return zip(size, extents, check_pair(cells, "cells"), strict=True)


def cell_shares(length: int, extent: int, cells: int, cell_centers: CellCenters | None) -> Tensor:
    """Return the weight of each pixel in the mean of each cell, ``(cells, length)``; rows sum to 1.

    A point of the image belongs to the cell with the nearest center, so the cells tile the image. A
    cell outside the image gets the pixel at the image's edge.
    """
    stride = extent / cells if cell_centers is None else cell_centers.stride
    first = stride / 2 if cell_centers is None else cell_centers.offset
    between = first + stride * (torch.arange(1, cells, dtype=torch.float64) - 0.5)
    ends = torch.tensor([0.0, extent], dtype=torch.float64)
    edges = torch.cat([ends[:1], between.clamp(0, extent), ends[1:]]) * (length / extent)
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


def check_pair(size: object, name: str) -> tuple[int, int]:
    """Check a height and width and return them."""
    match size:
        case (int(height), int(width)) if min(height, width) > 0:
            return height, width
    raise SettingError(f"{name} must be a pair of positive integers (h, w), got {size!r}")

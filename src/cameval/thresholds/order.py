"""Thresholds from the order of a map's values."""

from collections.abc import Sequence
from fractions import Fraction
from math import floor

import numpy as np
import torch
from torch import Tensor

from cameval.arrays import exact
from cameval.sharing import shared, sharing_active
from cameval.thresholds.images import as_numpy

__all__ = [
    "by_partition",
    "by_selection",
    "by_sorting",
    "order_statistics",
    "ordered",
    "percentile",
    "top_area",
]


def percentile(maps: Tensor, q: float) -> Tensor:
    """Interpolate between the two order statistics around the percentile `q`, as NumPy does."""
    pixels = maps.shape[-2:].numel()
    position = (pixels - 1) * (q / 100)
    rank = floor(position)
    weight = position - rank
    low, high = order_statistics(maps, (rank, min(rank + 1, pixels - 1)))
    if weight < 0.5:
        return low + (high - low) * weight
    return high - (high - low) * (1 - weight)


def top_area(maps: Tensor, area: float) -> Tensor:
    """Return the largest value outside the ``floor(area * pixels)`` highest.

    The area is read as it is written: 0.29 of 100 pixels are 29, which the product of the two
    floating numbers is not.
    """
    pixels = maps.shape[-2:].numel()
    (threshold,) = order_statistics(maps, (pixels - 1 - floor(Fraction(str(area)) * pixels),))
    return threshold


def order_statistics(maps: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the values of these ranks, counted from 0, of each map.

    Where work is shared, the first to ask sorts for all.
    """
    if sharing_active():
        return by_sorting(maps, ranks)
    flat = maps.flatten(-2)
    return (by_partition if flat.is_cpu else by_selection)(flat, ranks)


def by_sorting(maps: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the order statistics of `ranks`, from the sorted maps."""
    values = ordered(maps)
    return [exact(values[..., rank]) for rank in ranks]


def by_partition(flat: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the order statistics of `ranks`, the fast way on a CPU."""
    values = np.partition(as_numpy(flat), ranks, axis=-1)[..., ranks]
    return list(torch.from_numpy(values.astype(np.float64)).unbind(-1))


def by_selection(flat: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the order statistics of `ranks`, the fast way on an accelerator."""
    return [exact(flat.kthvalue(rank + 1, dim=-1).values) for rank in ranks]


@shared
def ordered(maps: Tensor) -> Tensor:
    """Return the values of each map from low to high, shape ``(..., H * W)``."""
    flat = maps.flatten(-2)
    if not flat.is_cpu:
        return flat.sort(-1).values
    return torch.from_numpy(np.sort(as_numpy(flat), axis=-1))

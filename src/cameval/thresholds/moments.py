"""Thresholds from the mean, the standard deviation and the range of a map, in float64."""

import numpy as np
import torch
from torch import Tensor

from cameval.arrays import exact, extremes
from cameval.sharing import shared
from cameval.thresholds.images import as_numpy, few_by_few

__all__ = ["mean", "mean_sd", "range_fraction", "sd"]


@shared
def mean(maps: Tensor) -> Tensor:
    """Return the mean of each map, on a CPU without a copy in float64."""
    if not maps.is_cpu:
        return exact(maps).mean((-2, -1))
    return torch.as_tensor(as_numpy(maps).mean((-2, -1), dtype=np.float64))


@shared
def sd(maps: Tensor) -> Tensor:
    """Return the standard deviation of each map's pixels, from their distances to the mean."""

    def of_few(some: Tensor) -> Tensor:
        values = exact(some)
        return (values - values.mean((-2, -1), keepdim=True)).square_().mean((-2, -1)).sqrt()

    return few_by_few(maps, of_few)


def mean_sd(maps: Tensor, k: float) -> Tensor:
    """Return the mean plus `k` standard deviations of each map."""
    return mean(maps) + k * sd(maps)


def range_fraction(maps: Tensor, fraction: float) -> Tensor:
    """Return what lies that fraction of the way from the minimum to the maximum."""
    low, high = map(exact, extremes(maps))
    return low + fraction * (high - low)

"""Thresholds from the histogram of a map's values: Otsu's, with two classes or with more."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.filters import threshold_multiotsu, threshold_otsu
from torch import Tensor

from cameval.arrays import exact
from cameval.thresholds.images import MOST_BINS, as_numpy
from cameval.thresholds.order import ordered

__all__ = ["multi_otsu", "otsu"]

_BINS = 256
_SAFE_EXPONENT = 30  # values up to 2**30 and down to 2**-30 can be squared in float32

Choice = Callable[[NDArray[Any], NDArray[Any]], float]
"""From the pixels in each bin and the bins' centers to a threshold."""


def otsu(maps: Tensor) -> Tensor:
    """Return Otsu's threshold of each map."""

    def choose(counts: NDArray[Any], centers: NDArray[Any]) -> float:
        return float(threshold_otsu(hist=(counts, centers)))

    return _by_histogram(maps, _BINS, MOST_BINS, choose)


def multi_otsu(maps: Tensor, classes: int, nbins: int) -> Tensor:
    """Return the threshold of the top class of each map."""

    def choose(counts: NDArray[Any], centers: NDArray[Any]) -> float:
        shares = counts / counts.sum()
        possible = min(classes, np.count_nonzero(counts))
        return float(threshold_multiotsu(hist=(shares, centers), classes=possible)[-1])

    return _by_histogram(maps, nbins, nbins, choose)


def _by_histogram(maps: Tensor, bins: int, most_levels: int, choose: Choice) -> Tensor:
    """Choose the threshold of each map; that of a constant one is its value."""
    rows = as_numpy(ordered(maps)).reshape(-1, maps.shape[-2:].numel())
    found = [
        float(row[0]) if row[0] == row[-1] else _of_histogram(row, bins, most_levels, choose)
        for row in rows
    ]
    dtype = exact(maps.new_empty(0)).dtype
    return torch.tensor(found, dtype=dtype, device=maps.device).reshape(maps.shape[:-2])


def _of_histogram(values: NDArray[Any], bins: int, most_levels: int, choose: Choice) -> float:
    """Choose a threshold between sorted values, which are not all equal.

    Counting between NumPy's own bin edges is exact in sorted values, and faster than a histogram.
    A power of two brings values near 1 whose squares would overflow or vanish; it changes no
    rounding.
    """
    if values.dtype.kind in "iu":
        if int(values[-1]) - int(values[0]) < most_levels:
            offsets = values.astype(np.int64) - int(values[0])
            counts, low = np.bincount(offsets), int(values[0])
            apart = low if abs(low) >= MOST_BINS else 0  # or else the centers round to each other
            return apart + choose(counts, np.arange(counts.size) + (low - apart))
        values = values.astype(np.float64)
    _, exponent = np.frexp(max(-values[0], values[-1]))
    if abs(exponent) > _SAFE_EXPONENT:
        values = np.ldexp(values, -exponent)
    else:
        exponent = 0
    low, high = values[[0, -1]]
    edges = np.linspace(low, high, bins + 1, dtype=values.dtype)
    if (edges[1:] > edges[:-1]).all():
        below = np.searchsorted(values, edges)
        below[-1] = values.size  # the last bin holds its upper edge
        threshold = choose(np.diff(below), (edges[:-1] + edges[1:]) / 2.0)
    else:  # too narrow for so many bins: a bin for each value
        levels, counts = np.unique(values, return_counts=True)
        threshold = float(low) + choose(counts, levels.astype(np.float64) - float(low))
    return float(np.ldexp(threshold, exponent))

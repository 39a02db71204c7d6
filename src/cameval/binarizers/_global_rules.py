"""Formulas of thresholds for a whole map: moments, order statistics, Otsu's method."""

from collections.abc import Callable
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import as_numpy, exact, extremes
from cameval._deferred import holds
from cameval._memo import memoized
from cameval._sorting import SortedPixels, order_statistics, sort_values, sorted_maps
from cameval.binarizers._base import MOST_BINS, apply_in_batches, exact_dtype


@memoized
def mean(maps: Tensor) -> Tensor:
    """Return the mean of each map, on a CPU without a copy in float64."""
    if not maps.is_cpu:
        return exact(maps).mean((-2, -1))
    return torch.as_tensor(as_numpy(maps).mean((-2, -1), dtype=np.float64))


@memoized
def sd(maps: Tensor) -> Tensor:
    """Return the standard deviation of each map's pixels, from their distances to the mean."""

    def two_pass_sd(batch: Tensor) -> Tensor:
        values = exact(batch)
        return (values - values.mean((-2, -1), keepdim=True)).square_().mean((-2, -1)).sqrt()

    return apply_in_batches(maps, two_pass_sd)


def mean_sd(maps: Tensor, k: float) -> Tensor:
    """Return the mean plus `k` standard deviations of each map."""
    return mean(maps) + k * sd(maps)


def range_fraction(maps: Tensor, fraction: float) -> Tensor:
    """Return ``min + fraction * (max - min)`` of each map."""
    low, high = map(exact, extremes(maps))
    return low + fraction * (high - low)


def percentile(maps: Tensor, q: float) -> Tensor:
    """Interpolate between the two order statistics around the percentile `q`, as NumPy does."""
    pixels = maps.shape[-2:].numel()
    position = (pixels - 1) * (q / 100)
    rank = floor(position)
    weight = position - rank
    low, high = order_statistics(maps, (rank, min(rank + 1, pixels - 1)))
    from_low, from_high = low + (high - low) * weight, high - (high - low) * (1 - weight)
    threshold = from_low if weight < 0.5 else from_high
    if threshold.dtype == torch.float64:
        return threshold
    # In float32 a number between neighbors may round to the higher one, which lies above it.
    return threshold.where(threshold < high, low)


def top_area_threshold(maps: Tensor, area: float) -> Tensor:
    """Return the largest value outside the ``floor(area * pixels)`` highest.

    The area is taken as the decimal number that is written: 0.29 of 100 pixels are 29, although the
    floating-point product of the two is below 29.
    """
    pixels = maps.shape[-2:].numel()
    (threshold,) = order_statistics(maps, (pixels - 1 - floor(Fraction(str(area)) * pixels),))
    return threshold


_BINS = 256
_LARGEST_OFFSET = 8  # times the range of a map whose sums over bins are exact enough
_SAFE_EXPONENT = 30  # values up to 2**30 and down to 2**-30 can be squared in float32


Choice = Callable[[NDArray[Any], NDArray[Any]], float]
"""From the pixels in each bin and the bins' centers to a threshold."""


def otsu_threshold(maps: Tensor) -> Tensor:
    """Return Otsu's threshold of each map."""
    if not maps.is_cpu and maps.is_floating_point():
        threshold = _otsu_on_device(maps)
        if threshold is not None:
            return threshold
    from skimage.filters import threshold_otsu

    def choose(counts: NDArray[Any], centers: NDArray[Any]) -> float:
        return float(threshold_otsu(hist=(counts, centers)))

    return _histogram_thresholds(maps, _BINS, MOST_BINS, choose)


def _otsu_on_device(maps: Tensor) -> Tensor | None:
    """Return Otsu's threshold of each map on an accelerator; None for values that need the host.

    It is that of scikit-image on the bins of NumPy, in the arithmetic of the maps, of half
    precision in float32.
    """
    values = sort_values(maps)
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    low, high = values[..., :1], values[..., -1:]
    step = (high - low) / _BINS
    edges = torch.arange(_BINS + 1, device=maps.device, dtype=values.dtype) * step + low
    edges[..., -1:] = high
    exponent = torch.frexp(torch.maximum(-low, high)).exponent
    plain = (edges[..., 1:] > edges[..., :-1]).all(-1, keepdim=True)
    plain &= exponent.abs() <= _SAFE_EXPONENT
    # Beside a large offset the rounding of sums, which have another order here, would count.
    plain &= _LARGEST_OFFSET * (high - low) >= torch.maximum(low.abs(), high.abs())
    constant = low == high
    if not holds((plain | constant).all()):
        return None
    below = torch.searchsorted(values, edges)
    below[..., -1] = values.shape[-1]
    counts, centers = below.diff().to(values.dtype), (edges[..., :-1] + edges[..., 1:]) / 2
    weight, mean = _sum_and_mean(counts, centers)
    weight_above, mean_above = (
        each.flip(-1) for each in _sum_and_mean(counts.flip(-1), centers.flip(-1))
    )
    variance = weight[..., :-1] * weight_above[..., 1:]
    variance = variance * (mean[..., :-1] - mean_above[..., 1:]).square()
    threshold = centers.gather(-1, variance.argmax(-1, keepdim=True))[..., 0]
    return exact(threshold.where(~constant[..., 0], low[..., 0]))


def _sum_and_mean(counts: Tensor, centers: Tensor) -> tuple[Tensor, Tensor]:
    """Return the numbers of pixels up to each bin, and the means of their centers."""
    weight = counts.cumsum(-1)
    return weight, (counts * centers).cumsum(-1) / weight


def multi_otsu_threshold(maps: Tensor, classes: int, nbins: int) -> Tensor:
    """Return the threshold of the top class of each map."""
    from skimage.filters import threshold_multiotsu

    def choose(counts: NDArray[Any], centers: NDArray[Any]) -> float:
        shares = counts / counts.sum()
        possible = min(classes, np.count_nonzero(counts))
        return float(threshold_multiotsu(hist=(shares, centers), classes=possible)[-1])

    return _histogram_thresholds(maps, nbins, nbins, choose)


def _histogram_thresholds(maps: Tensor, bins: int, most_levels: int, choose: Choice) -> Tensor:
    """Choose the threshold of each map; that of a constant one is its value."""
    rows = sorted_maps(maps.cpu())
    thresholds = [_sorted_threshold(row, bins, most_levels, choose) for row in rows]
    found = torch.tensor(thresholds, dtype=exact_dtype(maps), device=maps.device)
    return found.reshape(maps.shape[:-2])


def _sorted_threshold(pixels: SortedPixels, bins: int, most_levels: int, choose: Choice) -> float:
    """Choose a threshold from the histogram of a map; that of a constant map is its value.

    In sorted values, counting between NumPy's own bin edges is exact, and faster than a histogram.
    Values whose squares would overflow or underflow are scaled by a power of two, which changes no
    rounding.
    """
    low, high = pixels.values_at((0, -1))
    if low == high:
        return float(low)
    count_below: Callable[[NDArray[Any]], NDArray[np.intp]] = pixels.count_below
    if low.dtype.kind in "iu":
        if int(high) - int(low) < most_levels:
            offsets = pixels.values.astype(np.int64) - int(low)
            counts, first = np.bincount(offsets), int(low)
            shift = first if abs(first) >= MOST_BINS else 0  # keeps the centers apart in float64
            return shift + choose(counts, np.arange(counts.size) + (first - shift))
        low, high = np.float64(low), np.float64(high)
        count_below = pixels.values.astype(np.float64).searchsorted
    _, exponent = np.frexp(max(-low, high))
    if abs(exponent) > _SAFE_EXPONENT:
        values = np.ldexp(pixels.values, -exponent)
        low, high = values[[0, -1]]
        count_below = values.searchsorted
    else:
        exponent = 0
    edges = np.linspace(low, high, bins + 1, dtype=low.dtype)
    if (edges[1:] > edges[:-1]).all():
        below = count_below(edges)
        below[-1] = pixels.keys.size  # the last bin holds its upper edge
        threshold = choose(np.diff(below), (edges[:-1] + edges[1:]) / 2.0)
    else:  # too narrow for so many bins: a bin for each value
        levels, counts = np.unique(np.ldexp(pixels.values, -exponent), return_counts=True)
        threshold = float(low) + choose(counts, levels.astype(np.float64) - float(low))
    return float(np.ldexp(threshold, exponent))

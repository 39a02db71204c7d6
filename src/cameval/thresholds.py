"""The arithmetic of the binarizers: rules from maps to thresholds.

A rule takes checked torch maps ``(..., H, W)`` and gives thresholds in float64, one for each map
``(...)`` or one for each pixel ``(..., H, W)``. `image_by_image` makes a rule of any function of
one NumPy map.
"""

from collections.abc import Callable, Sequence
from math import floor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.filters import threshold_otsu
from torch import Tensor

from cameval.arrays import exact
from cameval.maps import constant

__all__ = ["Rule", "image_by_image", "mean", "otsu", "percentile"]

Rule = Callable[[Tensor], Tensor]

_MOST_LEVELS = 2**16  # an integer map of a wider range is binned like a floating one


def mean(maps: Tensor) -> Tensor:
    """Return the mean of each map."""
    return exact(maps).mean((-2, -1))


def percentile(maps: Tensor, q: float) -> Tensor:
    """Interpolate between the two order statistics around the percentile `q`, as NumPy does."""
    flat = maps.flatten(-2)
    position = (flat.shape[-1] - 1) * (q / 100)
    rank = floor(position)
    weight = position - rank
    ranks = rank, min(rank + 1, flat.shape[-1] - 1)
    low, high = (by_partition if flat.is_cpu else by_selection)(flat, ranks)
    if weight < 0.5:
        return low + (high - low) * weight
    return high - (high - low) * (1 - weight)


def by_partition(flat: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the order statistics of `ranks`, the fast way on a CPU."""
    ordered = np.partition(_as_numpy(flat), ranks, axis=-1)[..., ranks]
    return list(torch.from_numpy(ordered.astype(np.float64)).unbind(-1))


def by_selection(flat: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the order statistics of `ranks`, the fast way on an accelerator."""
    return [exact(flat.kthvalue(rank + 1, dim=-1).values) for rank in ranks]


def otsu(maps: Tensor) -> Tensor:
    """Return Otsu's threshold of each map."""
    return image_by_image(maps, _otsu_of_image)


def _otsu_of_image(image: NDArray[Any]) -> float:
    """Return skimage's `threshold_otsu` of a map that is not constant, in half its time.

    Sorting counts the pixels between NumPy's own bin edges exactly. A power of two brings the
    values near 1, where their squares neither overflow nor vanish; it changes no rounding.
    """
    values = np.sort(image, axis=None)
    if image.dtype.kind in "iu":
        if int(values[-1]) - int(values[0]) < _MOST_LEVELS:
            return float(threshold_otsu(image))
        values = values.astype(np.float64)
    _, exponent = np.frexp(max(-values[0], values[-1]))
    values = np.ldexp(values, -exponent)
    low, high = values[[0, -1]]
    edges = np.linspace(low, high, 257, dtype=values.dtype)
    if (edges[1:] > edges[:-1]).all():
        below = np.searchsorted(values, edges[1:-1])
        counts = np.diff(below, prepend=0, append=values.size)
        threshold = float(threshold_otsu(hist=(counts, (edges[:-1] + edges[1:]) / 2.0)))
    else:  # too narrow for 256 bins: a bin for each value
        levels, counts = np.unique(values, return_counts=True)
        centers = levels.astype(np.float64) - float(low)
        threshold = float(low) + float(threshold_otsu(hist=(counts, centers)))
    return float(np.ldexp(threshold, exponent))


def image_by_image(maps: Tensor, function: Callable[[NDArray[Any]], object]) -> Tensor:
    """Apply a function of one NumPy map to each map that is not constant.

    Its result is a number, or an array with one number for each pixel.
    """
    varied = (~constant(maps)).flatten().tolist()
    images = _as_numpy(maps).reshape(-1, *maps.shape[-2:])
    found = [
        np.asarray(function(image.copy()) if varies else image[0, 0], dtype=np.float64)
        for image, varies in zip(images, varied, strict=True)
    ]
    stacked = np.stack(np.broadcast_arrays(*found)) if found else np.empty(0)
    thresholds = torch.from_numpy(stacked.reshape((*maps.shape[:-2], *stacked.shape[1:])))
    return thresholds.to(maps.device, exact(maps.new_empty(0)).dtype)


def _as_numpy(maps: Tensor) -> NDArray[Any]:
    """Return a NumPy array, half precision in float32, which scikit-image can work with."""
    half = maps.dtype in (torch.float16, torch.bfloat16)
    array: NDArray[Any] = (maps.float() if half else maps).cpu().numpy()
    return array

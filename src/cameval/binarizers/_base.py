"""From a threshold rule to masks: validation, and the comparison with the threshold."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Array, as_numpy, exact, finite_maps, restore
from cameval.errors import NonFiniteError
from cameval.maps import constant

MOST_BINS = 2**16
"""Integers of this size or more, or of a wider range, are binned like floating-point numbers."""


_FEW_PIXELS = 2**16  # whose temporaries in float64 stay in a core's cache


Rule: TypeAlias = Callable[[Tensor], Tensor]
"""From checked maps ``(..., H, W)`` to thresholds ``(...)`` or ``(..., H, W)``."""


def image_by_image(maps: Tensor, function: Callable[[NDArray[Any]], object]) -> Tensor:
    """Apply a function of one NumPy map to each map that is not constant.

    Its result is a number, or an array with one number for each pixel. Integers beyond `MOST_BINS`
    reach it in float64: scikit-image's histograms have a bin for every integer from 0 to the
    largest, whatever the map holds, and take 30 GiB for a value of 4e9.
    """
    varied = (~constant(maps)).flatten().tolist()
    images = as_numpy(maps).reshape(-1, *maps.shape[-2:])
    found = [
        np.asarray(function(_with_few_bins(image)) if varies else image[0, 0], dtype=np.float64)
        for image, varies in zip(images, varied, strict=True)
    ]
    stacked = np.stack(np.broadcast_arrays(*found)) if found else np.empty(0)
    thresholds = torch.from_numpy(stacked.reshape((*maps.shape[:-2], *stacked.shape[1:])))
    return thresholds.to(maps.device, exact(maps.new_empty(0)).dtype)


def _with_few_bins(image: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of a map, in float64 if it holds integers of many values."""
    wide = image.dtype.kind in "iu" and max(-int(image.min()), int(image.max())) >= MOST_BINS
    return image.astype(np.float64) if wide else image.copy()


def few_by_few(maps: Tensor, rule: Rule) -> Tensor:
    """Apply a rule to a few maps at a time on a CPU, which is much faster than to all at once."""
    if not maps.is_cpu:
        return rule(maps)
    images = maps.reshape(-1, *maps.shape[-2:])
    few = max(1, _FEW_PIXELS // maps.shape[-2:].numel())
    found = torch.cat([rule(some) for some in images.split(few)])
    return found.reshape((*maps.shape[:-2], *found.shape[1:]))


def above(maps: Tensor, threshold: Tensor) -> Tensor:
    """Return ``maps > threshold`` as in float64, the fast way on a CPU.

    No float32 number lies between a threshold and the next lower float32 number, so that number
    gives the same mask. It is worth looking for where it serves a whole map.
    """
    if not maps.is_cpu:
        return maps > threshold
    values, limits = as_numpy(maps), threshold.numpy()
    if values.dtype == np.float32 and limits.dtype == np.float64 and limits.size < values.size:
        with np.errstate(over="ignore"):
            rounded = limits.astype(np.float32)
        limits = np.where(rounded > limits, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    return torch.from_numpy(values > limits)


def thresholds(maps: Array, rule: Rule) -> Array:
    """Return the rule's thresholds of maps ``(..., H, W)`` in float64, checking the maps."""
    return restore(exact(_guarded(finite_maps(maps), rule)), maps)


def masks(maps: Array, rule: Rule) -> Array:
    """Return what lies strictly above the rule's thresholds, checking the maps."""
    tensor = finite_maps(maps)
    threshold = _guarded(tensor, rule)
    each_pixel = threshold.ndim == tensor.ndim
    return restore(above(tensor, threshold if each_pixel else threshold[..., None, None]), maps)


def _guarded(maps: Tensor, rule: Rule) -> Tensor:
    """Return ``rule(maps)``, and the value itself where a map is constant."""
    threshold, flat = rule(maps), constant(maps)
    _check_range(maps, threshold)
    if not flat.any():
        return threshold
    value = maps[..., 0, 0].to(threshold.dtype)
    if threshold.ndim == maps.ndim:
        return value[..., None, None].where(flat[..., None, None], threshold)
    return value.where(flat, threshold)


def _check_range(maps: Tensor, threshold: Tensor) -> None:
    """Raise an error where a map's values are too far apart for the arithmetic of its threshold."""
    if threshold.isfinite().all() or not maps.is_floating_point():
        return
    largest = float(maps.abs().max())
    if largest > torch.finfo(maps.dtype).max ** 0.5:
        raise NonFiniteError(
            f"maps must have a range in which thresholds can be computed, got values up to "
            f"{largest:g} in {maps.dtype}; divide them by a constant first"
        )

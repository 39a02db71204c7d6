"""What a binarizer is, and the way from a rule of thresholds to masks."""

from typing import Protocol

import torch
from torch import Tensor

from cameval.arrays import Array, exact, finite_maps, restore
from cameval.errors import NonFiniteError
from cameval.maps import constant
from cameval.thresholds import Rule, above

__all__ = ["Binarizer", "masks", "thresholds"]


class Binarizer(Protocol):
    """Any callable from torch maps to boolean masks of the same shape, each map by itself."""

    def __call__(self, maps: Tensor, /) -> Tensor:
        """Return boolean masks ``(..., H, W)`` of real maps ``(..., H, W)``."""
        ...


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

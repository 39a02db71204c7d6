"""Base class of the binarizers that have a threshold; application of a threshold rule to maps."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Array, as_numpy, exact, finite_maps, restore
from cameval._deferred import holds
from cameval._spatial import check_volumes
from cameval.errors import NonFiniteError
from cameval.maps import are_constant

MOST_BINS = 2**16
"""Integers of this size or more, or of a wider range, are binned like floating-point numbers."""


_BATCH_PIXELS = 2**16  # whose temporaries in float64 stay in a core's cache


Rule: TypeAlias = Callable[[Tensor], Tensor]
"""From checked maps ``(..., H, W)`` to thresholds ``(...)`` or ``(..., H, W)``."""


class ThresholdBinarizer(ABC):
    """A binarizer whose masks are ``map > threshold``.

    A subclass is a frozen dataclass with a label and one formula, `_rule`. One whose threshold
    depends on places has a setting `spatial_axes`.
    """

    label: ClassVar[str]
    sorts: ClassVar[bool] = False
    """Whether all pixels are sorted for the threshold, so that others can use their order."""
    spatial_axes: int = 2

    @abstractmethod
    def _rule(self, maps: Tensor, /) -> Tensor:
        """Return the thresholds of checked maps: ``(...)``, or ``(..., H, W)`` for each pixel."""

    def threshold(self, maps: Array, /) -> Array:
        """Return the thresholds of maps, in the units of the maps.

        Parameters
        ----------
        maps
            Real maps ``(..., H, W)``.

        Returns
        -------
        Array
            One threshold for each map, shape ``(...)``, or one for each pixel, shape
            ``(..., H, W)``, in float64 (float32 on devices without it). The threshold of a constant
            map is its value.

        Raises
        ------
        ArrayTypeError
            If the maps are not real numbers.
        ShapeError
            If the maps have fewer than two axes or no pixels.
        NonFiniteError
            If a map has NaN or infinity, or a range too wide for the arithmetic of the threshold.
        """
        return restore(exact(self._guarded_rule(self._checked(maps))), maps)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``; errors are those of `threshold`."""
        tensor = self._checked(maps)
        threshold = self._guarded_rule(tensor)
        per_pixel = threshold.ndim == tensor.ndim
        limits = threshold if per_pixel else threshold[..., None, None]
        return restore(mark_above(tensor, limits), maps)

    def _checked(self, maps: object) -> Tensor:
        tensor = finite_maps(maps)
        check_volumes(tensor, self.spatial_axes, "maps")
        return tensor

    def _guarded_rule(self, maps: Tensor) -> Tensor:
        """Apply the rule; the threshold of a constant map is its value."""
        threshold, flat = self._rule(maps), are_constant(maps, self.spatial_axes)
        _check_range(maps, threshold)
        if maps.is_cpu and not flat.any():
            return threshold
        value = maps.flatten(-self.spatial_axes)[..., 0].to(threshold.dtype)
        if threshold.ndim == maps.ndim:
            value, flat = (spread(each, self.spatial_axes) for each in (value, flat))
            return torch.where(flat, value, threshold)
        return value.where(flat, threshold)


def spread(values: Tensor, spatial_axes: int) -> Tensor:
    """Return one value for each map with an axis of length 1 for each spatial axis."""
    return values[(..., *[None] * spatial_axes)]


def mark_above(maps: Tensor, threshold: Tensor) -> Tensor:
    """Return ``maps > threshold`` as in float64, the fast way on a CPU.

    A float64 threshold can be replaced by the next lower float32 number: no float32 value lies
    between the two, so the mask is the same. This is done where one threshold serves many pixels.
    """
    if not maps.is_cpu:
        return maps > threshold
    # NumPy 1 would round a threshold without axes to the maps' precision.
    values, limits = as_numpy(maps), np.atleast_1d(threshold.numpy())
    if values.dtype == np.float32 and limits.dtype == np.float64 and limits.size < values.size:
        with np.errstate(over="ignore"):
            rounded = limits.astype(np.float32)
        limits = np.where(rounded > limits, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    return torch.from_numpy(values > limits)


def apply_per_image(
    maps: Tensor, function: Callable[[NDArray[Any]], object], spatial_axes: int = 2
) -> Tensor:
    """Apply a function of one NumPy map to each map that is not constant.

    The function returns a number, or an array with one number for each pixel. Integers beyond
    `MOST_BINS` are passed to it in float64: scikit-image's histograms have a bin for every integer
    from 0 to the largest, which takes 30 GiB for a value of 4e9.
    """
    varies = (~are_constant(maps, spatial_axes)).flatten().tolist()
    images = as_numpy(maps).reshape(len(varies), *maps.shape[-spatial_axes:])
    results = [
        np.asarray(function(_limit_bins(image)) if varied else image.flat[0], dtype=np.float64)
        for image, varied in zip(images, varies, strict=True)
    ]
    stacked = np.stack(np.broadcast_arrays(*results)) if results else np.empty(0)
    leading = maps.shape[:-spatial_axes]
    thresholds = torch.from_numpy(stacked.reshape((*leading, *stacked.shape[1:])))
    return thresholds.to(maps.device, exact_dtype(maps))


def apply_in_batches(maps: Tensor, rule: Rule, spatial_axes: int = 2) -> Tensor:
    """Apply a rule to small batches of maps on a CPU, which is much faster than to all at once."""
    if not maps.is_cpu:
        return rule(maps)
    leading, shape = maps.shape[:-spatial_axes], maps.shape[-spatial_axes:]
    size = max(1, _BATCH_PIXELS // shape.numel())
    batches = maps.reshape(leading.numel(), *shape).split(size)
    results = torch.cat([rule(batch) for batch in batches])
    return results.reshape((*leading, *results.shape[1:]))


def exact_dtype(maps: Tensor) -> torch.dtype:
    """Return the dtype of thresholds: float64, or float32 on devices that have no float64."""
    return exact(maps.new_empty(0)).dtype


def _limit_bins(image: NDArray[Any]) -> NDArray[Any]:
    """Return a copy of a map, in float64 if its integers would need too many bins."""
    wide = image.dtype.kind in "iu" and max(-int(image.min()), int(image.max())) >= MOST_BINS
    return image.astype(np.float64) if wide else image.copy()


def _check_range(maps: Tensor, threshold: Tensor) -> None:
    """Raise an error if a map's values are too far apart for the arithmetic of its threshold."""
    if not maps.is_floating_point() or holds(threshold.isfinite().all()):
        return
    largest = float(maps.abs().max())
    if largest > torch.finfo(maps.dtype).max ** 0.5:
        raise NonFiniteError(
            f"maps must have a range in which thresholds can be computed, got values up to "
            f"{largest:g} in {maps.dtype}; divide them by a constant first"
        )

"""Binarizers: from score maps to masks, each map by its own threshold.

A mask is ``map > threshold``, strictly. A binarizer is any callable from maps to masks; those here
are frozen dataclasses that also show their thresholds. Two rules hold for all of them:

- the threshold of a constant map is its value, so its mask is empty (`is_constant` finds them);
- a map with NaN or infinity raises `NonFiniteError`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Real
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_local
from torch import Tensor

from cameval import thresholds
from cameval.arrays import Array, exact, finite_maps, restore
from cameval.errors import NonFiniteError, SettingError, ShapeError
from cameval.maps import constant, is_constant
from cameval.thresholds import Rule

__all__ = [
    "AdaptiveBinarizer",
    "Binarizer",
    "MeanBinarizer",
    "MedianBinarizer",
    "OtsuBinarizer",
    "PercentileBinarizer",
    "SkimageBinarizer",
    "is_constant",
]


class Binarizer(Protocol):
    """Any callable from torch maps to boolean masks of the same shape, each map by itself."""

    def __call__(self, maps: Tensor, /) -> Tensor:
        """Return boolean masks ``(..., H, W)`` of real maps ``(..., H, W)``."""
        ...


@dataclass(frozen=True)
class MeanBinarizer:
    """Mark the pixels above the mean of their map.

    One of the paper's five thresholds. The mean is taken in float64.

    Examples
    --------
    >>> MeanBinarizer()(torch.tensor([[0.0, 1.0, 5.0]]))
    tensor([[False, False,  True]])
    """

    def threshold(self, maps: Array, /) -> Array:
        """Return the mean of each map, shape ``(...)``."""
        return _threshold(maps, thresholds.mean)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return _binarize(maps, thresholds.mean)


@dataclass(frozen=True)
class PercentileBinarizer:
    """Mark the pixels above a percentile of their map.

    ``PercentileBinarizer(95)`` marks 5 % of a map without ties, and less where the threshold falls
    into a block of equal values. The percentile is that of
    ``numpy.percentile(map, percentile, method="linear")`` in float64, over all pixels of a map.

    Parameters
    ----------
    percentile
        The percentile, in [0, 100).

    Raises
    ------
    SettingError
        If `percentile` is not a number in [0, 100).

    Examples
    --------
    >>> PercentileBinarizer(50)(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    tensor([[False, False,  True,  True]])
    >>> PercentileBinarizer(90.0)
    PercentileBinarizer(percentile=90)
    """

    percentile: float

    def __post_init__(self) -> None:
        """Check the setting, and write whole numbers as such."""
        if not isinstance(self.percentile, Real) or not 0 <= self.percentile < 100:
            raise SettingError(f"percentile must be in [0, 100), got {self.percentile}")
        plain = float(self.percentile)
        object.__setattr__(self, "percentile", int(plain) if plain.is_integer() else plain)

    def threshold(self, maps: Array, /) -> Array:
        """Return the percentile of each map, shape ``(...)``."""
        return _threshold(maps, self._of)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return _binarize(maps, self._of)

    def _of(self, maps: Tensor) -> Tensor:
        return thresholds.percentile(maps, self.percentile)


@dataclass(frozen=True)
class MedianBinarizer:
    """Mark the pixels above the median of their map: ``PercentileBinarizer(50)``, named.

    Examples
    --------
    >>> MedianBinarizer()(torch.tensor([[1.0, 2.0, 9.0]]))
    tensor([[False, False,  True]])
    """

    def threshold(self, maps: Array, /) -> Array:
        """Return the median of each map, shape ``(...)``."""
        return _threshold(maps, self._of)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return _binarize(maps, self._of)

    def _of(self, maps: Tensor) -> Tensor:
        return thresholds.percentile(maps, 50)


@dataclass(frozen=True)
class OtsuBinarizer:
    """Mark the pixels above Otsu's threshold, which best separates a map into two classes.

    The threshold is that of `skimage.filters.threshold_otsu`: 256 bins between the smallest and the
    largest value, in the dtype of the map (float32 for half precision). Integer maps have one bin
    for each value. Where scikit-image cannot answer, the definition still holds: values too small
    or too large to be squared are scaled by a power of two first, and a range too narrow for 256
    bins has one bin for each value.

    References
    ----------
    N. Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Trans. SMC 9 (1979).

    Examples
    --------
    >>> OtsuBinarizer()(torch.tensor([[0.0, 1.0, 8.0, 9.0]]))
    tensor([[False, False,  True,  True]])
    """

    def threshold(self, maps: Array, /) -> Array:
        """Return Otsu's threshold of each map, shape ``(...)``."""
        return _threshold(maps, thresholds.otsu)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return _binarize(maps, thresholds.otsu)


@dataclass(frozen=True)
class AdaptiveBinarizer:
    """Mark the pixels above the weighted mean (or the median) of their neighborhood.

    The thresholds are those of `skimage.filters.threshold_local`. Where a map is locally linear,
    pixel and threshold differ by rounding alone and the mask is arbitrary; a negative `offset`
    raises the thresholds and asks for a real difference.

    Parameters
    ----------
    block_size
        Side of the square neighborhood in pixels, odd and at least 3.
    method
        ``"gaussian"`` (standard deviation ``(block_size - 1) / 6``), ``"mean"`` or ``"median"``.
    offset
        Subtracted from each threshold, in units of the map.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    Examples
    --------
    >>> AdaptiveBinarizer(3, method="mean")(torch.eye(3))
    tensor([[ True, False, False],
            [False,  True, False],
            [False, False,  True]])
    """

    block_size: int = 51
    method: Literal["gaussian", "mean", "median"] = "gaussian"
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Check the settings."""
        size = self.block_size
        if not isinstance(size, Integral) or size < 3 or size % 2 == 0:
            raise SettingError(f"block_size must be an odd integer of at least 3, got {size}")
        if self.method not in ("gaussian", "mean", "median"):
            raise SettingError(
                f"method must be 'gaussian', 'mean' or 'median', got {self.method!r}"
            )
        if not isinstance(self.offset, Real) or not isfinite(self.offset):
            raise SettingError(f"offset must be a finite number, got {self.offset}")
        object.__setattr__(self, "block_size", int(size))
        object.__setattr__(self, "offset", float(self.offset))

    def threshold(self, maps: Array, /) -> Array:
        """Return the threshold of each pixel, shape ``(..., H, W)``."""
        return _threshold(maps, self._of)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return _binarize(maps, self._of)

    def _of(self, maps: Tensor) -> Tensor:
        def local(image: NDArray[Any]) -> object:
            return threshold_local(image, self.block_size, self.method, self.offset)

        found = thresholds.image_by_image(maps, local)
        return found if found.ndim == maps.ndim else _image(found).expand(maps.shape)


@dataclass(frozen=True, init=False, repr=False)
class SkimageBinarizer:
    """Mark the pixels above the threshold that a function of `skimage.filters` finds.

    Any callable from one NumPy map ``(H, W)`` to a number, or to one number for each pixel, will
    do. Half-precision maps reach it in float32.

    Parameters
    ----------
    function
        For example `skimage.filters.threshold_sauvola`. What it raises is not caught:
        `threshold_minimum` fails on maps without two modes.
    **options
        Keyword arguments of `function`, hashable if the binarizer shall be.

    Raises
    ------
    SettingError
        If `function` is not callable.

    Examples
    --------
    >>> from skimage.filters import threshold_li, threshold_sauvola
    >>> SkimageBinarizer(threshold_sauvola, window_size=25)
    SkimageBinarizer(threshold_sauvola, window_size=25)
    >>> SkimageBinarizer(threshold_li)(torch.tensor([[0.0, 1.0, 8.0, 9.0]]))
    tensor([[False, False,  True,  True]])
    """

    function: Callable[..., Any]
    options: tuple[tuple[str, Any], ...]

    def __init__(self, function: Callable[..., Any], /, **options: Any) -> None:
        if not callable(function):
            raise SettingError(f"function must be callable, got {function!r}")
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "options", tuple(sorted(options.items())))

    def __repr__(self) -> str:
        """Write the function's name and its options."""
        name = getattr(self.function, "__name__", repr(self.function))
        settings = [f"{option}={value!r}" for option, value in self.options]
        return f"{type(self).__name__}({', '.join([name, *settings])})"

    def threshold(self, maps: Array, /) -> Array:
        """Return one threshold for each map or, from a local function, for each pixel.

        The function never sees constant maps. If there are no others, one threshold for each map
        comes back.
        """
        return _threshold(maps, self._of)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return _binarize(maps, self._of)

    def _of(self, maps: Tensor) -> Tensor:
        def checked(image: NDArray[Any]) -> NDArray[Any]:
            threshold = np.asarray(self.function(image, **dict(self.options)))
            if threshold.shape not in ((), image.shape):
                name = getattr(self.function, "__name__", "function")
                raise ShapeError(
                    f"{name} must return one number or one for each of {image.shape} pixels, "
                    f"got shape {threshold.shape}; wrap it to choose one, "
                    f"as in SkimageBinarizer(lambda image: {name}(image)[-1])"
                )
            if np.isnan(threshold).any():
                raise NonFiniteError(f"{self} must find a threshold, got NaN")
            return threshold

        return thresholds.image_by_image(maps, checked)


def _threshold(maps: Array, rule: Rule) -> Array:
    return restore(_guarded(finite_maps(maps), rule), maps)


def _binarize(maps: Array, rule: Rule) -> Array:
    tensor = finite_maps(maps)
    threshold = _guarded(tensor, rule)
    return restore(
        tensor > (threshold if threshold.ndim == tensor.ndim else _image(threshold)), maps
    )


def _guarded(maps: Tensor, rule: Rule) -> Tensor:
    """Return ``rule(maps)``, and the value itself where a map is constant."""
    threshold, flat, value = rule(maps), constant(maps), exact(maps[..., 0, 0])
    if threshold.ndim == maps.ndim:
        return _image(value).where(_image(flat), threshold)
    return value.where(flat, threshold)


def _image(numbers: Tensor) -> Tensor:
    return numbers[..., None, None]

"""Binarizers from scikit-image's threshold functions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Array
from cameval.binarizers._base import image_by_image, masks, thresholds
from cameval.errors import NonFiniteError, SettingError, ShapeError

__all__ = ["SkimageBinarizer"]


@dataclass(frozen=True, init=False, repr=False)
class SkimageBinarizer:
    """Mark the pixels above the threshold that a function of `skimage.filters` finds.

    Any callable from one NumPy map ``(H, W)`` to a number, or to one number for each pixel, will
    do. Half-precision maps reach it in float32, and integer maps with a value of 2**16 or more, or
    -2**16 or less, in float64: scikit-image has a bin for every integer up to the largest.

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
        return thresholds(maps, self._of)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return masks(maps, self._of)

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

        return image_by_image(maps, checked)

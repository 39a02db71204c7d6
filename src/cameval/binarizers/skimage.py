"""Binarizer that uses any threshold function of scikit-image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cameval.binarizers._base import ThresholdBinarizer, apply_per_image
from cameval.errors import NonFiniteError, SettingError, ShapeError

__all__ = ["SkimageBinarizer"]

_GLOBAL = (
    "threshold_isodata",
    "threshold_li",
    "threshold_mean",
    "threshold_minimum",
    "threshold_otsu",
    "threshold_triangle",
    "threshold_yen",
)
"""Functions of `skimage.filters` with one threshold for a map, from the values of its pixels."""


@dataclass(frozen=True, init=False, repr=False)
class SkimageBinarizer(ThresholdBinarizer):
    """Mark the pixels above the threshold that a function of `skimage.filters` computes.

    The function can be any callable from one NumPy map ``(H, W)`` to a number, or to one number for
    each pixel. Half-precision maps are passed in float32, and integer maps with a value of 2**16 or
    more, or -2**16 or less, in float64: scikit-image has a bin for every integer up to the largest.
    Constant maps are not passed to the function; if all maps are constant, `threshold` returns one
    number for each map. Volumes and maps with ignored pixels are supported for scikit-image's
    functions of the whole map; for volumes with other functions, write a binarizer of your own.

    Parameters
    ----------
    function
        For example `skimage.filters.threshold_sauvola`. Its errors are not caught:
        `threshold_minimum` fails on maps without two modes.
    **options
        Keyword arguments of `function`; they must be hashable for the binarizer to be hashable.

    Raises
    ------
    SettingError
        If `function` is not callable.
    ShapeError
        In a call, if the function returns neither one number nor one for each pixel.
    NonFiniteError
        In a call, if the function returns NaN.

    Examples
    --------
    >>> import torch
    >>> from skimage.filters import threshold_li, threshold_sauvola
    >>> from cameval import SkimageBinarizer
    >>> SkimageBinarizer(threshold_sauvola, window_size=25)
    SkimageBinarizer(threshold_sauvola, window_size=25)
    >>> SkimageBinarizer(threshold_li)(torch.tensor([[0.0, 1.0, 8.0, 9.0]]))
    tensor([[False, False,  True,  True]])
    """

    label: ClassVar[str] = "skimage"

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

    @property
    def pixelwise(self) -> bool:
        """Whether the function is one of scikit-image's with one threshold for the whole map."""
        from skimage import filters

        return any(self.function is getattr(filters, name) for name in _GLOBAL)

    def _rule(self, maps: Tensor, /) -> Tensor:
        def checked_threshold(image: NDArray[Any]) -> NDArray[Any]:
            threshold = np.asarray(self.function(image, **dict(self.options)))
            if threshold.shape not in ((), image.shape):
                name = getattr(self.function, "__name__", "function")
                raise ShapeError(
                    f"{name} must return one number or one for each of {image.shape} pixels, "
                    f"got shape {threshold.shape}; wrap it to choose one, "
                    f"as in SkimageBinarizer(lambda image: {name}(image)[-1])"
                )
            if np.isnan(threshold).any():
                raise NonFiniteError(f"{self} must return a threshold, got NaN")
            return threshold

        return apply_per_image(maps, checked_threshold)

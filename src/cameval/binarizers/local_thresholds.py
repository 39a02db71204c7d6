"""Binarizers with one threshold for each pixel: adaptive, Niblack, Sauvola."""

from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray
from skimage.filters import threshold_local
from torch import Tensor

from cameval._arrays import Array
from cameval._checks import finite_number, odd_size
from cameval.binarizers import _local_rules as rules
from cameval.binarizers._base import image_by_image, masks, thresholds
from cameval.errors import SettingError

__all__ = ["AdaptiveBinarizer", "NiblackBinarizer", "SauvolaBinarizer"]


@dataclass(frozen=True)
class AdaptiveBinarizer:
    """Mark the pixels above the weighted mean (or the median) of their neighborhood.

    The thresholds are those of `skimage.filters.threshold_local`, up to rounding. Where a map is
    locally linear, pixel and threshold differ by rounding alone and the mask is arbitrary; a
    negative `offset` raises the thresholds and asks for a real difference.

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
        size = odd_size("block_size", self.block_size)
        if self.method not in ("gaussian", "mean", "median"):
            raise SettingError(
                f"method must be 'gaussian', 'mean' or 'median', got {self.method!r}"
            )
        object.__setattr__(self, "block_size", size)
        object.__setattr__(self, "offset", finite_number("offset", self.offset))

    def threshold(self, maps: Array, /) -> Array:
        """Return the threshold of each pixel, shape ``(..., H, W)``."""
        return thresholds(maps, self._of)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return masks(maps, self._of)

    def _of(self, maps: Tensor) -> Tensor:
        match self.method:
            case "gaussian":
                kernel = rules.gaussian((self.block_size - 1) / 6)
            case "mean":
                kernel = rules.box(self.block_size)
            case "median":
                found = image_by_image(maps, self._median)
                return found if found.ndim == maps.ndim else found[..., None, None].expand_as(maps)
        return rules.local_mean(maps, kernel, self.offset)

    def _median(self, image: NDArray[Any]) -> object:
        return threshold_local(image, self.block_size, "median", self.offset)


@dataclass(frozen=True)
class NiblackBinarizer:
    """Mark the pixels far above the mean of their neighborhood, in its standard deviations.

    The threshold is ``m - k s`` with mean m and standard deviation s of the window, that of
    `skimage.filters.threshold_niblack` up to rounding. It was made for dark text, which lies below
    it; with the negative default of `k` the mask is what lies a standard deviation *above* the
    mean. No positive factor and no offset of the map changes its mask, up to rounding.

    Parameters
    ----------
    window_size
        Side of the square window in pixels, odd and at least 3.
    k
        Negative to mark what stands out; scikit-image's 0.2 marks more than half of a smooth map.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    References
    ----------
    W. Niblack, "An Introduction to Digital Image Processing", Prentice-Hall, 1986.

    Examples
    --------
    >>> NiblackBinarizer(3)(torch.tensor([[0.0, 0.0, 4.0, 0.0, 0.0]]))
    tensor([[False, False,  True, False, False]])
    """

    window_size: int = 101
    k: float = -1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        object.__setattr__(self, "window_size", odd_size("window_size", self.window_size))
        object.__setattr__(self, "k", finite_number("k", self.k))

    def threshold(self, maps: Array, /) -> Array:
        """Return threshold of each pixel, shape ``(..., H, W)``."""
        return thresholds(maps, self._of)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return masks(maps, self._of)

    def _of(self, maps: Tensor) -> Tensor:
        return rules.niblack(maps, self.window_size, self.k)


@dataclass(frozen=True)
class SauvolaBinarizer:
    """Mark what Sauvola's threshold would call ink, were the map a negative.

    The method was made for dark text on bright paper: in a window without contrast the threshold
    lies far *below* the mean, so that the paper stays white. Read upright, a map of bright objects
    on a dark ground would be marked nearly whole. So it is read as a negative here: the map is
    scaled to [0, 1] by its own minimum and maximum and subtracted from 1, and the mask is what lies
    *below* ``m (1 + k (s / r - 1))`` there, with mean m and standard deviation s of the window.
    The threshold of the negative is that of `skimage.filters.threshold_sauvola` up to rounding.

    Parameters
    ----------
    window_size
        Side of the square window in pixels, odd and at least 3.
    k
        How far the threshold moves from the mean where the contrast is low: a larger one marks
        less.
    r
        Standard deviation of full contrast; of numbers in [0, 1] it is at most 0.5.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    References
    ----------
    J. Sauvola and M. Pietikainen, "Adaptive Document Image Binarization", Pattern Recognition 33
    (2000).

    Examples
    --------
    >>> SauvolaBinarizer(3)(torch.tensor([[0.0, 0.0, 4.0, 0.0, 0.0]]))
    tensor([[False, False,  True, False, False]])
    """

    window_size: int = 51
    k: float = 0.2
    r: float = 0.5

    def __post_init__(self) -> None:
        """Check the settings."""
        object.__setattr__(self, "window_size", odd_size("window_size", self.window_size))
        object.__setattr__(self, "k", finite_number("k", self.k))
        object.__setattr__(self, "r", finite_number("r", self.r))
        if self.r <= 0:
            raise SettingError(f"r must be positive, got {self.r}")

    def threshold(self, maps: Array, /) -> Array:
        """Return threshold of each pixel, in the units of the map, shape ``(..., H, W)``."""
        return thresholds(maps, self._of)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        return masks(maps, self._of)

    def _of(self, maps: Tensor) -> Tensor:
        return rules.sauvola(maps, self.window_size, self.k, self.r)

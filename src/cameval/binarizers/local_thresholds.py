"""Binarizers with one threshold for each pixel: adaptive, Niblack, Sauvola."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray
from torch import Tensor

from cameval._checks import finite_number, odd_size
from cameval._spatial import check_spatial_axes
from cameval.binarizers import _local_rules as rules
from cameval.binarizers._base import ThresholdBinarizer, apply_per_image, spread
from cameval.errors import SettingError

__all__ = ["AdaptiveBinarizer", "NiblackBinarizer", "SauvolaBinarizer"]


@dataclass(frozen=True)
class AdaptiveBinarizer(ThresholdBinarizer):
    """Mark the pixels above the weighted mean (or the median) of their neighborhood.

    The thresholds are those of `skimage.filters.threshold_local`, up to rounding. Where a map is
    locally linear, pixel and threshold differ by rounding only and the mask is arbitrary; a
    negative `offset` raises the thresholds, so that only larger differences are marked.

    Parameters
    ----------
    block_size
        Side of the square neighborhood in pixels, odd and at least 3.
    method
        ``"gaussian"`` (standard deviation ``(block_size - 1) / 6``), ``"mean"`` or ``"median"``.
    offset
        Number that is subtracted from each threshold, in units of the map.
    spatial_axes
        2 for images ``(..., H, W)``, 3 for volumes ``(..., D, H, W)``, where the neighborhood is a
        cube of voxels.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    Examples
    --------
    >>> import torch
    >>> from cameval import AdaptiveBinarizer
    >>> AdaptiveBinarizer(3, method="mean")(torch.eye(3))
    tensor([[ True, False, False],
            [False,  True, False],
            [False, False,  True]])
    """

    label: ClassVar[str] = "adaptive"
    from_sample: ClassVar[tuple[str, ...]] = ("spatial_axes",)

    block_size: int = 51
    method: Literal["gaussian", "mean", "median"] = "gaussian"
    offset: float = 0.0
    spatial_axes: int = 2

    def __post_init__(self) -> None:
        """Check the settings."""
        check_spatial_axes(self.spatial_axes)
        size = odd_size("block_size", self.block_size)
        if self.method not in ("gaussian", "mean", "median"):
            raise SettingError(
                f"method must be 'gaussian', 'mean' or 'median', got {self.method!r}"
            )
        object.__setattr__(self, "block_size", size)
        object.__setattr__(self, "offset", finite_number("offset", self.offset))

    def _rule(self, maps: Tensor, /) -> Tensor:
        match self.method:
            case "gaussian":
                kernel = rules.gaussian_kernel((self.block_size - 1) / 6)
            case "mean":
                kernel = rules.box_kernel(self.block_size)
            case "median":
                medians = apply_per_image(maps, self._local_median, self.spatial_axes)
                if medians.ndim == maps.ndim:
                    return medians
                return spread(medians, self.spatial_axes).expand_as(maps)  # all maps are constant
        return rules.local_mean(maps, kernel, self.offset, self.spatial_axes)

    def _local_median(self, image: NDArray[Any]) -> object:
        from skimage.filters import threshold_local

        return threshold_local(image, self.block_size, "median", self.offset)


@dataclass(frozen=True)
class NiblackBinarizer(ThresholdBinarizer):
    """Mark the pixels that exceed their neighborhood's mean by a number of standard deviations.

    The threshold is ``m - k s`` with mean m and standard deviation s of the window, that of
    `skimage.filters.threshold_niblack` up to rounding. The method was designed for dark text, which
    lies below the threshold; with the negative default of `k` the mask holds the pixels more than
    one standard deviation *above* the mean. A positive factor or an offset of the map does not
    change its mask, up to rounding.

    Parameters
    ----------
    window_size
        Side of the square window in pixels, odd and at least 3.
    k
        Factor of the standard deviation. Use a negative number to mark local peaks; scikit-image's
        default of 0.2 marks more than half of a smooth map.
    spatial_axes
        2 for images ``(..., H, W)``, 3 for volumes ``(..., D, H, W)``, where the window is a
        cube of voxels.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    References
    ----------
    W. Niblack, "An Introduction to Digital Image Processing", Prentice-Hall, 1986.

    Examples
    --------
    >>> import torch
    >>> from cameval.binarizers import NiblackBinarizer
    >>> NiblackBinarizer(3)(torch.tensor([[0.0, 0.0, 4.0, 0.0, 0.0]]))
    tensor([[False, False,  True, False, False]])
    """

    label: ClassVar[str] = "niblack"
    from_sample: ClassVar[tuple[str, ...]] = ("spatial_axes",)

    window_size: int = 101
    k: float = -1.0
    spatial_axes: int = 2

    def __post_init__(self) -> None:
        """Check the settings."""
        check_spatial_axes(self.spatial_axes)
        object.__setattr__(self, "window_size", odd_size("window_size", self.window_size))
        object.__setattr__(self, "k", finite_number("k", self.k))

    def _rule(self, maps: Tensor, /) -> Tensor:
        return rules.niblack_threshold(maps, self.window_size, self.k, self.spatial_axes)


@dataclass(frozen=True)
class SauvolaBinarizer(ThresholdBinarizer):
    """Mark the pixels below Sauvola's threshold in the inverted map.

    The method was designed for dark text on bright paper: in a window without contrast the
    threshold is far *below* the mean, so that blank paper is not marked. Applied directly to a map
    with bright objects, it would mark nearly the whole map. Here the map is inverted first: it is
    scaled to [0, 1] by its own minimum and maximum and subtracted from 1. The mask holds the pixels
    *below* ``m (1 + k (s / r - 1))`` in the inverted map, with mean m and standard deviation s of
    the window. The threshold of the inverted map is that of `skimage.filters.threshold_sauvola` up
    to rounding.

    Parameters
    ----------
    window_size
        Side of the square window in pixels, odd and at least 3.
    k
        Distance of the threshold from the mean where the contrast is low; a larger `k` marks fewer
        pixels.
    r
        Standard deviation at full contrast; for numbers in [0, 1] it is at most 0.5.
    spatial_axes
        2 for images ``(..., H, W)``, 3 for volumes ``(..., D, H, W)``, where the window is a
        cube of voxels.

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
    >>> import torch
    >>> from cameval.binarizers import SauvolaBinarizer
    >>> SauvolaBinarizer(3)(torch.tensor([[0.0, 0.0, 4.0, 0.0, 0.0]]))
    tensor([[False, False,  True, False, False]])
    """

    label: ClassVar[str] = "sauvola"
    from_sample: ClassVar[tuple[str, ...]] = ("spatial_axes",)

    window_size: int = 51
    k: float = 0.2
    r: float = 0.5
    spatial_axes: int = 2

    def __post_init__(self) -> None:
        """Check the settings."""
        check_spatial_axes(self.spatial_axes)
        object.__setattr__(self, "window_size", odd_size("window_size", self.window_size))
        object.__setattr__(self, "k", finite_number("k", self.k))
        object.__setattr__(self, "r", finite_number("r", self.r))
        if self.r <= 0:
            raise SettingError(f"r must be positive, got {self.r}")

    def _rule(self, maps: Tensor, /) -> Tensor:
        return rules.sauvola_threshold(maps, self.window_size, self.k, self.r, self.spatial_axes)

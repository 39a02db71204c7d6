"""Binarizers with one threshold for each map: mean, percentile, top area, Otsu and others."""

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

from torch import Tensor

from cameval._checks import finite_number, warn_user, whole_number
from cameval.binarizers import _global_rules as rules
from cameval.binarizers._base import ThresholdBinarizer
from cameval.errors import SettingError

__all__ = [
    "FractionOfMaxBinarizer",
    "MeanBinarizer",
    "MeanSDBinarizer",
    "MedianBinarizer",
    "MultiOtsuBinarizer",
    "OtsuBinarizer",
    "PercentileBinarizer",
    "PercentileWarning",
    "TopAreaBinarizer",
]


@dataclass(frozen=True)
class MeanBinarizer(ThresholdBinarizer):
    """Mark the pixels above the mean of their map.

    The mean is taken in float64.

    Examples
    --------
    >>> import torch
    >>> from cameval import MeanBinarizer
    >>> MeanBinarizer()(torch.tensor([[0.0, 1.0, 5.0]]))
    tensor([[False, False,  True]])
    """

    label: ClassVar[str] = "mean"
    pixelwise: ClassVar[bool] = True

    def _rule(self, maps: Tensor, /) -> Tensor:
        return rules.mean(maps)


@dataclass(frozen=True)
class MeanSDBinarizer(ThresholdBinarizer):
    """Mark the pixels more than `k` standard deviations above the mean of their map.

    The standard deviation is that of the map's pixels, divided by their number. A positive factor
    or an offset of the map does not change its mask.

    Parameters
    ----------
    k
        Number of standard deviations; a negative number gives a threshold below the mean.

    Raises
    ------
    SettingError
        If `k` is not a finite number.

    Examples
    --------
    >>> import torch
    >>> from cameval.binarizers import MeanSDBinarizer
    >>> MeanSDBinarizer(1)(torch.tensor([[0.0, 0.0, 0.0, 1.0]]))
    tensor([[False, False, False,  True]])
    """

    label: ClassVar[str] = "mean_sd"
    pixelwise: ClassVar[bool] = True

    k: float = 2.0

    def __post_init__(self) -> None:
        """Check the setting."""
        object.__setattr__(self, "k", finite_number("k", self.k))

    def _rule(self, maps: Tensor, /) -> Tensor:
        return rules.mean_sd(maps, self.k)


@dataclass(frozen=True)
class FractionOfMaxBinarizer(ThresholdBinarizer):
    """Mark the pixels above a fraction of the maximum of their map, scaled to [0, 1] first.

    The threshold is ``min + fraction * (max - min)``; for a map with minimum 0 it is the fraction
    of the maximum itself. A positive factor or an offset of the map does not change its mask.

    Parameters
    ----------
    fraction
        The fraction, in [0, 1).

    Raises
    ------
    SettingError
        If `fraction` is not a number in [0, 1).

    References
    ----------
    B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016: a threshold
    of 20 % of the maximum, then the largest component (see `LargestComponent`).

    Examples
    --------
    >>> import torch
    >>> from cameval.binarizers import FractionOfMaxBinarizer
    >>> FractionOfMaxBinarizer(0.5)(torch.tensor([[-1.0, 0.0, 0.5, 1.0]]))
    tensor([[False, False,  True,  True]])
    """

    label: ClassVar[str] = "fraction_of_max"
    pixelwise: ClassVar[bool] = True

    fraction: float = 0.2

    def __post_init__(self) -> None:
        """Check the setting."""
        if not isinstance(self.fraction, Real) or not 0 <= self.fraction < 1:
            raise SettingError(f"fraction must be in [0, 1), got {self.fraction}")
        object.__setattr__(self, "fraction", float(self.fraction))

    def _rule(self, maps: Tensor, /) -> Tensor:
        return rules.range_fraction(maps, self.fraction)


class PercentileWarning(UserWarning):
    """A percentile is between 0 and 1, as if it were a share: the 95th is 95, not 0.95."""


@dataclass(frozen=True)
class PercentileBinarizer(ThresholdBinarizer):
    """Mark the pixels above a percentile of their map.

    ``PercentileBinarizer(95)`` marks 5 % of a map without ties, and less if the threshold is within
    a block of equal values. The percentile is that of
    ``numpy.percentile(map, percentile, method="linear")`` in float64, over all pixels of a map.

    Parameters
    ----------
    percentile
        The percentile, in [0, 100).

    Raises
    ------
    SettingError
        If `percentile` is not a number in [0, 100).

    Warns
    -----
    PercentileWarning
        If `percentile` is in (0, 1), which marks almost the whole image.

    Examples
    --------
    >>> import torch
    >>> from cameval import PercentileBinarizer
    >>> PercentileBinarizer(50)(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    tensor([[False, False,  True,  True]])
    >>> PercentileBinarizer(90.0)
    PercentileBinarizer(percentile=90)
    """

    label: ClassVar[str] = "percentile"
    pixelwise: ClassVar[bool] = True

    percentile: float

    def __post_init__(self) -> None:
        """Check the setting; store whole numbers as integers."""
        if not isinstance(self.percentile, Real) or not 0 <= self.percentile < 100:
            raise SettingError(f"percentile must be in [0, 100), got {self.percentile}")
        plain = float(self.percentile)
        if 0 < plain < 1:
            warn_user(
                f"a percentile is in [0, 100): {plain:g} is the {plain:g}th, which marks almost "
                f"the whole image; write {100 * plain:g} for the {100 * plain:g}th",
                PercentileWarning,
            )
        object.__setattr__(self, "percentile", int(plain) if plain.is_integer() else plain)

    def _rule(self, maps: Tensor, /) -> Tensor:
        return rules.percentile(maps, self.percentile)


@dataclass(frozen=True)
class MedianBinarizer(ThresholdBinarizer):
    """Mark the pixels above the median of their map, as ``PercentileBinarizer(50)`` does.

    Examples
    --------
    >>> import torch
    >>> from cameval import MedianBinarizer
    >>> MedianBinarizer()(torch.tensor([[1.0, 2.0, 9.0]]))
    tensor([[False, False,  True]])
    """

    label: ClassVar[str] = "median"
    pixelwise: ClassVar[bool] = True

    def _rule(self, maps: Tensor, /) -> Tensor:
        return rules.percentile(maps, 50)


@dataclass(frozen=True)
class TopAreaBinarizer(ThresholdBinarizer):
    """Mark the highest pixels of each map, up to a share of the image.

    Of N pixels the ``k = floor(area * N)`` highest are marked. Equal values are marked together or
    not at all: a block of ties that extends beyond the k-th pixel is not marked, so the mask never
    covers more than the share. The threshold is the largest value outside the k highest.

    Parameters
    ----------
    area
        The share, in (0, 1), taken as the decimal number that is written: 0.29 of 100 pixels are
        29.

    Raises
    ------
    SettingError
        If `area` is not a number in (0, 1).

    Examples
    --------
    >>> import torch
    >>> from cameval.binarizers import TopAreaBinarizer
    >>> TopAreaBinarizer(0.5)(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    tensor([[False, False,  True,  True]])
    >>> TopAreaBinarizer(0.5)(torch.tensor([[1.0, 3.0, 3.0, 4.0]]))
    tensor([[False, False, False,  True]])
    """

    label: ClassVar[str] = "top_area"
    pixelwise: ClassVar[bool] = True

    area: float = 0.05

    def __post_init__(self) -> None:
        """Check the setting."""
        if not isinstance(self.area, Real) or not 0 < self.area < 1:
            raise SettingError(f"area must be in (0, 1), got {self.area}")
        object.__setattr__(self, "area", float(self.area))

    def _rule(self, maps: Tensor, /) -> Tensor:
        return rules.top_area_threshold(maps, self.area)


@dataclass(frozen=True)
class OtsuBinarizer(ThresholdBinarizer):
    """Mark the pixels above Otsu's threshold, which best separates a map into two classes.

    The threshold is that of `skimage.filters.threshold_otsu`: 256 bins between the smallest and the
    largest value, in the dtype of the map (float32 for half precision). Integer maps have one bin
    for each value. Two cases that scikit-image cannot compute are supported: values too small or
    too large to be squared are scaled by a power of two first, and a range too narrow for 256 bins
    has one bin for each value.

    References
    ----------
    N. Otsu, "A Threshold Selection Method from Gray-Level Histograms", IEEE Trans. SMC 9 (1979).

    Examples
    --------
    >>> import torch
    >>> from cameval import OtsuBinarizer
    >>> OtsuBinarizer()(torch.tensor([[0.0, 1.0, 8.0, 9.0]]))
    tensor([[False, False,  True,  True]])
    """

    label: ClassVar[str] = "otsu"
    sorts: ClassVar[bool] = True
    pixelwise: ClassVar[bool] = True

    def _rule(self, maps: Tensor, /) -> Tensor:
        return rules.otsu_threshold(maps)


@dataclass(frozen=True)
class MultiOtsuBinarizer(ThresholdBinarizer):
    """Mark the highest class of each map, which Otsu's criterion divides into several classes.

    The threshold is the last of `skimage.filters.threshold_multiotsu`: the center of the highest
    bin below the top class. Integer maps have one bin for each value if there are at most `nbins`.
    Two cases in which scikit-image raises are supported: a map that fills fewer bins than `classes`
    has as many classes as filled bins, and a range too narrow for the bins has one bin for each
    value.

    Parameters
    ----------
    classes
        Number of classes, at least 2. The computing time grows steeply with it.
    nbins
        Number of bins, at least `classes`. The default of scikit-image is 256.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    References
    ----------
    P.-S. Liao, T.-S. Chen and P.-C. Chung, "A Fast Algorithm for Multilevel Thresholding", Journal
    of Information Science and Engineering 17 (2001).

    Examples
    --------
    >>> import torch
    >>> from cameval.binarizers import MultiOtsuBinarizer
    >>> MultiOtsuBinarizer()(torch.tensor([[0.0, 0.0, 4.0, 4.0, 8.0, 9.0]]))
    tensor([[False, False, False, False,  True,  True]])
    """

    label: ClassVar[str] = "multi_otsu"
    sorts: ClassVar[bool] = True
    pixelwise: ClassVar[bool] = True

    classes: int = 3
    nbins: int = 64

    def __post_init__(self) -> None:
        """Check the settings."""
        object.__setattr__(self, "classes", whole_number("classes", self.classes, 2))
        object.__setattr__(self, "nbins", whole_number("nbins", self.nbins, 2))
        if self.nbins < self.classes:
            raise SettingError(
                f"nbins must be at least the number of classes, got {self.nbins} bins for "
                f"{self.classes} classes"
            )

    def _rule(self, maps: Tensor, /) -> Tensor:
        return rules.multi_otsu_threshold(maps, self.classes, self.nbins)

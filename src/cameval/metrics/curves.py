"""Threshold curves of a map, and metrics read from them.

Tied pixels are scored by the expectation over all their orders. Only the order of the pixels
matters, so signed raw maps need no scaling. Edge cases follow `cameval.metrics.properties`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from numbers import Real
from typing import Any, ClassVar, Generic

import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Array, exact, maps_and_truth, restore
from cameval._sorting import sort_values
from cameval.errors import SettingError, ShapeError
from cameval.metrics._ranked import Ranked
from cameval.metrics.counts import Counts
from cameval.metrics.properties import Takes, of_maps, undefined_without_truth, within
from cameval.metrics.ranking import score_ranks

__all__ = [
    "AreaToCover",
    "CoverageAtArea",
    "ThresholdCurve",
    "curve_at_areas",
    "max_iou",
    "threshold_curve",
]


@dataclass(frozen=True, eq=False)
class ThresholdCurve(Generic[Array]):
    """Scores of the masks of a map with an increasing number of its highest pixels.

    Attributes
    ----------
    area
        Share of the pixels that are marked, ascending, ``(K,)`` or ``(..., K)``.
    coverage, precision, iou, false_positive_rate
        Scores of the masks, ``(..., K)``. An empty truth gives NaN, except for the false-positive
        rate, which is NaN where every pixel is true.
    thresholds
        Thresholds of the masks ``map > threshold``, ``(K,)``, the last one minus infinity. None for
        a curve at fixed areas.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.metrics import threshold_curve
    >>> values, truth = np.array([[4.0, 3.0, 2.0, 1.0]]), np.array([[True, False, True, True]])
    >>> curve = threshold_curve(values, truth)
    >>> curve.thresholds
    array([  4.,   3.,   2.,   1., -inf])
    >>> curve.area
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    >>> curve.precision[1:], curve.iou[2:]
    (array([1.        , 0.5       , 0.66666667, 0.75      ]), array([0.25, 0.5 , 0.75]))
    """

    area: Array
    coverage: Array
    precision: Array
    iou: Array
    false_positive_rate: Array
    thresholds: Array | None = None


def threshold_curve(maps: Array, target: Array, /) -> ThresholdCurve[Array]:
    """Score the masks of all thresholds of one map, from no pixel to every pixel.

    Parameters
    ----------
    maps
        One real, finite map ``(H, W)``.
    target
        One boolean mask of the same shape.

    Returns
    -------
    ThresholdCurve
        One point for each distinct value of the map and one for minus infinity, in float64. A
        batch has no common thresholds: see `curve_at_areas`.

    Raises
    ------
    ArrayTypeError
        If `target` is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ or there is more than one map.
    NonFiniteError
        If a value of the map is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.metrics import threshold_curve
    >>> scores = np.array([[4.0, 3.0, 3.0, 1.0]])
    >>> curve = threshold_curve(scores, np.array([[True, True, False, False]]))
    >>> curve.thresholds, curve.iou.round(2)
    (array([  4.,   3.,   1., -inf]), array([0.  , 0.5 , 0.67, 0.5 ]))
    """
    scores, truth = maps_and_truth(maps, target)
    if scores.ndim != 2:
        raise ShapeError(
            f"maps must be one map (H, W), got {tuple(scores.shape)}; take one, as in maps[0], "
            "or curve_at_areas, which is for batches"
        )
    values = exact(sort_values(scores)).flip(-1)
    starts = torch.ones_like(values, dtype=torch.bool)
    starts[1:] = values[1:] != values[:-1]
    marked = _append(exact(starts.nonzero().squeeze(-1)), values.numel())
    thresholds = _append(values[starts], -torch.inf)
    return _curve(scores, truth, marked, maps, thresholds)


def curve_at_areas(
    maps: Array, target: Array, /, areas: Sequence[float] | NDArray[Any]
) -> ThresholdCurve[Array]:
    """Score the highest pixels of each map at fixed areas, so that curves can be averaged.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.
    areas
        Increasing shares of the pixels in [0, 1]. A part of a pixel counts by that part.

    Returns
    -------
    ThresholdCurve
        Scores ``(..., K)`` of K areas, in float64, for the expected number of true pixels among
        tied ones. `thresholds` is None.

    Raises
    ------
    ArrayTypeError
        If `target` is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    NonFiniteError
        If a value of the maps is NaN or infinite.
    SettingError
        If the areas do not increase, or are not in [0, 1].

    Examples
    --------
    The mean coverage of a dataset as a function of the area that is read:

    >>> import torch
    >>> from cameval.metrics import curve_at_areas
    >>> maps, masks = torch.rand(5, 32, 32), torch.rand(5, 32, 32) > 0.9
    >>> curve_at_areas(maps, masks, [0.0, 0.05, 0.1, 1.0]).coverage.mean(0).shape
    torch.Size([4])
    """
    shares = [check_share("areas", area, lowest=0) for area in areas]
    if not shares or sorted(set(shares)) != shares:
        raise SettingError(f"areas must increase from one to the next, got {list(areas)}")
    scores, truth = maps_and_truth(maps, target)
    pixels = scores.shape[-2:].numel()
    budget = torch.tensor([float(share * pixels) for share in shares], dtype=torch.float64)
    return _curve(scores, truth, budget, maps)


def _curve(
    scores: Tensor, truth: Tensor, marked: Tensor, template: Array, thresholds: Tensor | None = None
) -> ThresholdCurve[Array]:
    """Score the masks of the `marked` highest pixels, ``(K,)`` numbers of pixels."""
    ranked = Ranked.of(scores, truth)
    marked = marked.to(ranked.marked)
    both = ranked.expected_hits(marked)
    true = ranked.true.unsqueeze(-1).expand_as(both)
    pixels = torch.full_like(both, ranked.pixels)
    n = Counts(predicted=marked.expand_as(both), true=true, both=both, pixels=pixels)
    coverage, precision, jaccard = (
        restore(undefined_without_truth(scores, true), template)
        for scores in (
            n.recall,
            n.both / n.predicted.where(n.predicted > 0, 1),
            n.both / (n.predicted + n.true - n.both),
        )
    )
    return ThresholdCurve(
        area=restore(marked / ranked.pixels, template),
        coverage=coverage,
        precision=precision,
        iou=jaccard,
        false_positive_rate=restore(n.false_positive_rate, template),
        thresholds=None if thresholds is None else restore(thresholds, template),
    )


def _append(tensor: Tensor, value: float) -> Tensor:
    return torch.cat([tensor, tensor.new_tensor([value])])


@of_maps(higher_is_better=True, pixelwise=True, title="maximum IoU")
@within(0, 1)
def max_iou(maps: Array, target: Array, /) -> Array:
    """Highest `iou` of the map over all thresholds, chosen for each image with its truth.

    It is an upper bound of the IoU of this map for any single threshold for each image. It is not a
    bound for other maps, or for binarizers whose threshold varies over the image. The difference to
    the IoU of a binarizer on the same map is the loss by its threshold. Masks are
    ``map > threshold``, and the mask of all pixels is one of them: so the score is at least the
    truth's area share, and equals it for a constant map.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score in (0, 1] for each image, shape ``(...)``. An empty truth gives NaN.

    Raises
    ------
    ArrayTypeError
        If `target` is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    NonFiniteError
        If a value of the maps is NaN or infinite.

    References
    ----------
    J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020, on
    choosing thresholds on other images than those that are scored.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import max_iou
    >>> maps = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    >>> max_iou(maps, torch.tensor([[True, False, True, False]]))
    tensor(0.6667)
    """

    def formula(ranked: Ranked) -> Tensor:
        either = ranked.marked + ranked.true.unsqueeze(-1) - ranked.hits
        return (ranked.hits / either).amax(-1)

    return score_ranks(formula, maps, target)


@dataclass(frozen=True)
class CoverageAtArea:
    """Expected share of the truth among the highest pixels, for a fixed share of all pixels.

    For example, the highest 5 % of the pixels hold 72 % of the tumor. A constant map scores `area`.

    Parameters
    ----------
    area
        Share of the pixels, above 0 and at most 1, taken as the decimal number that is written:
        0.29 of 100 pixels are 29 pixels. A part of a pixel counts by that part.

    Raises
    ------
    SettingError
        If `area` is not in that range.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import CoverageAtArea
    >>> maps = torch.tensor([[4.0, 3.0, 3.0, 1.0]])
    >>> CoverageAtArea(0.5)(maps, torch.tensor([[True, True, False, False]]))
    tensor(0.7500)
    """

    label: ClassVar[str] = "coverage_at_area"
    takes: ClassVar[Takes] = "maps"
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)
    pixelwise: ClassVar[bool] = True

    area: float = 0.05

    def __post_init__(self) -> None:
        """Check the setting."""
        check_share("area", self.area)

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return f"coverage at {100 * self.area:g}% area"

    def __call__(self, maps: Array, target: Array, /) -> Array:
        """Return scores ``(...)`` in [0, 1] of maps and boolean masks ``(..., H, W)``.

        An empty truth gives NaN.
        """
        share = check_share("area", self.area)

        def formula(ranked: Ranked) -> Tensor:
            budget = ranked.marked.new_tensor([float(share * ranked.pixels)])
            return ranked.expected_hits(budget).squeeze(-1) / ranked.true

        return score_ranks(formula, maps, target)


@dataclass(frozen=True)
class AreaToCover:
    """Smallest share of the pixels, highest first, that is expected to cover a share of the truth.

    It is the inverse of `CoverageAtArea`: the smallest area whose coverage reaches `share`. Lower
    is better. A constant map scores `share`; a map that is higher on each true pixel than on every
    other scores `share` times the truth's area.

    Parameters
    ----------
    share
        Share of the true pixels to cover, above 0 and at most 1.

    Raises
    ------
    SettingError
        If `share` is not in that range.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import AreaToCover
    >>> maps = torch.tensor([[4.0, 3.0, 3.0, 1.0]])
    >>> AreaToCover(0.75)(maps, torch.tensor([[True, True, False, False]]))
    tensor(0.5000)
    """

    label: ClassVar[str] = "area_to_cover"
    takes: ClassVar[Takes] = "maps"
    higher_is_better: ClassVar[bool | None] = False
    value_range: ClassVar[tuple[float, float]] = (0, 1)
    pixelwise: ClassVar[bool] = True

    share: float = 0.9

    def __post_init__(self) -> None:
        """Check the setting."""
        check_share("share", self.share)

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return f"area to cover {100 * self.share:g}%"

    def __call__(self, maps: Array, target: Array, /) -> Array:
        """Return areas ``(...)`` in (0, 1] of maps and boolean masks ``(..., H, W)``.

        An empty truth gives NaN.
        """
        share = check_share("share", self.share)

        def formula(ranked: Ranked) -> Tensor:
            needed = (ranked.true * share.numerator / share.denominator).unsqueeze(-1)
            level = torch.searchsorted(ranked.hits, needed)
            above, marked, gained, hits = (
                each.gather(-1, level)
                for each in (ranked.above, ranked.marked, ranked.gained, ranked.hits)
            )
            part = (needed - (hits - gained)) / gained
            return (above + part * (marked - above)).squeeze(-1) / ranked.pixels

        return score_ranks(formula, maps, target)


def check_share(name: str, share: object, lowest: float | None = None) -> Fraction:
    """Return a share as the fraction that its decimal number is: above 0 or `lowest`, at most 1."""
    if isinstance(share, Real):
        exactly = Fraction(str(share)) if isfinite(share) else Fraction(-1)
        if 0 < exactly <= 1 or exactly == lowest:
            return exactly
    interval = "(0, 1]" if lowest is None else f"[{lowest}, 1]"
    raise SettingError(f"{name} must be a number in {interval}, got {share}")

"""Curves of a score map over all thresholds.

Tied pixels count by their expectation over all their orders. The order alone matters, so signed
raw maps are as good as scaled ones. Edge cases follow the one policy of `cameval.metrics.policy`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic

import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval.arrays import Array, exact, maps_and_truth, restore
from cameval.errors import SettingError, ShapeError
from cameval.metrics.counts import Counts
from cameval.metrics.order import Ranked
from cameval.metrics.policy import undefined_without_truth
from cameval.metrics.readings import check_share
from cameval.thresholds.order import ordered

__all__ = ["ThresholdCurve", "curve_at_areas", "threshold_curve"]


@dataclass(frozen=True, eq=False)
class ThresholdCurve(Generic[Array]):
    """Scores of ever larger masks of one map, from no pixel to more and more of the highest.

    Attributes
    ----------
    area
        Share of the pixels that are marked, ``(K,)`` or ``(..., K)`` and from low to high.
    coverage, precision, iou, false_positive_rate
        Scores of the masks, ``(..., K)``. An empty truth gives NaN for all but the false-positive
        rate, a truth of everything for that alone.
    thresholds
        Where the masks are those of a threshold: it, ``(K,)``, as in ``map > threshold``. The last
        one is minus infinity. None on a curve at fixed areas.
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
    values = exact(ordered(scores)).flip(-1)
    starts = torch.ones_like(values, dtype=torch.bool)
    starts[1:] = values[1:] != values[:-1]
    marked = _followed_by(exact(starts.nonzero().squeeze(-1)), values.numel())
    thresholds = _followed_by(values[starts], -torch.inf)
    return _curve(scores, truth, marked, maps, thresholds)


def curve_at_areas(
    maps: Array, target: Array, /, areas: Sequence[float] | NDArray[Any]
) -> ThresholdCurve[Array]:
    """Score the highest pixels of each map at fixed areas, where the curves of images can be added.

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
        Scores ``(..., K)`` of K areas, in float64. Precision, IoU and false-positive rate are those
        of the expected number of true pixels. `thresholds` is None.

    Raises
    ------
    ArrayTypeError
        If `target` is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    NonFiniteError
        If a value of the maps is NaN or infinite.
    SettingError
        If the areas do not increase or leave [0, 1].

    Examples
    --------
    The mean coverage of a dataset, against the share of the image that is read:

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
    """Score masks of `marked` highest pixels, ``(K,)``."""
    ranked = Ranked.of(scores, truth)
    marked = marked.to(ranked.marked)
    both = ranked.expected_hits(marked)
    true = ranked.true.unsqueeze(-1).expand_as(both)
    pixels = torch.full_like(both, ranked.pixels)
    n = Counts(predicted=marked.expand_as(both), true=true, both=both, pixels=pixels)
    coverage, precision, jaccard = (
        restore(undefined_without_truth(scores, true), template)
        for scores in (
            n.hit_rate,
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


def _followed_by(tensor: Tensor, value: float) -> Tensor:
    return torch.cat([tensor, tensor.new_tensor([value])])

"""Area bound, chance level, and skill above a baseline."""

from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from cameval._arrays import Array, as_scores, exact
from cameval.errors import ArrayTypeError, SettingError
from cameval.metrics.counts import score_counts
from cameval.metrics.overlap import iou
from cameval.metrics.properties import of_masks, within

__all__ = ["area_bound", "independent_iou", "skill"]

NAN = float("nan")


@of_masks(bounds=iou)
@within(0, 1)
def area_bound(pred: Array, target: Array, /) -> Array:
    """Upper bound of the IoU: the highest that a mask of the predicted area can have on this truth.

    With area shares p and g it is ``min(p, g) / max(p, g)``, and no mask of that area is above it.
    Where it is low, the binarizer and not the map decides the IoU: the 95th percentile marks 5 % of
    the frame, whatever the object's size. The bound is of this mask's area, so it bounds the `iou`
    of this mask and not that of other masks.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. An empty truth gives NaN, an empty
        prediction 0.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> pred, target = torch.tensor([[[True, True, True, True]], [[False, False, False, True]]])
    >>> area_bound(pred, target)
    tensor(0.2500)
    """
    return score_counts(
        lambda n: torch.minimum(n.predicted, n.true) / torch.maximum(n.predicted, n.true),
        pred,
        target,
    )


@overload
def independent_iou(pred_area: float, true_area: float, /) -> float: ...


@overload
def independent_iou(pred_area: Array, true_area: float | Array, /) -> Array: ...


@overload
def independent_iou(pred_area: float, true_area: Array, /) -> Array: ...


def independent_iou(pred_area: Any, true_area: Any, /) -> Any:
    """Return the expected IoU of a mask independent of the truth: ``p g / (p + g - p g)``.

    It is the ratio of the expected intersection to the expected union.

    Parameters
    ----------
    pred_area, true_area
        Area shares p and g in [0, 1]: numbers or arrays that broadcast.

    Returns
    -------
    float or Array
        Of the kind of the areas. An empty truth gives NaN.

    Raises
    ------
    ArrayTypeError
        If one area is a torch tensor and the other a NumPy array.
    SettingError
        If an area is not in [0, 1].

    Examples
    --------
    >>> round(independent_iou(0.05, 0.0169), 3)
    0.013
    """
    p, g = _numbers(areas=(pred_area, true_area))
    for name, area in (("pred_area", p), ("true_area", g)):
        if not ((area >= 0) & (area <= 1)).all():
            raise SettingError(f"{name} must be in [0, 1], got {area.tolist()}")
    return _restored((p * g / (p + g - p * g)).where(g > 0, NAN), pred_area, true_area)


@overload
def skill(score: float, floor: float, best: float = 1.0) -> float: ...


@overload
def skill(score: Array, floor: float | Array, best: float | Array = 1.0) -> Array: ...


@overload
def skill(score: float, floor: Array, best: float | Array = 1.0) -> Array: ...


def skill(score: Any, floor: Any, best: Any = 1.0) -> Any:
    r"""Return how far a score is from a floor, as a share of the distance to another score.

    .. math:: \frac{M - M_\mathrm{floor}}{M_\mathrm{best} - M_\mathrm{floor}}

    It is 0 for a score like the floor, negative for a worse one, and 1 for a score like `best`. It
    is at most 1 only if `best` is an upper bound.

    Parameters
    ----------
    score
        A score, or scores.
    floor
        What a blind map scores on the same images.
    best
        The best possible score, 0 for distances; or an upper bound of the same masks such as
        :func:`area_bound`. With a score that others can pass, such as that of
        :func:`truth_baseline` or :func:`reachable_iou`, the result can pass 1.

    Returns
    -------
    float or Array
        Of the kind of the scores. NaN where a score is NaN, or where the floor is the best.

    Raises
    ------
    ArrayTypeError
        If some are torch tensors and others NumPy arrays.

    Notes
    -----
    The skill of mean scores varies less than the mean of skills: where floor and best are close, a
    single image's skill is far from 0 and 1.

    Examples
    --------
    >>> round(skill(0.153, floor=0.105), 3), round(skill(0.153, floor=0.105, best=0.316), 3)
    (0.054, 0.227)
    """
    m, low, high = _numbers(scores=(score, floor, best))
    return _restored(((m - low) / (high - low)).where(high != low, NAN), score, floor, best)


def _numbers(**named: tuple[Any, ...]) -> list[Tensor]:
    """Return numbers and arrays of one kind as exact tensors."""
    ((name, values),) = named.items()
    if len({isinstance(value, Tensor) for value in values if _is_array(value)}) > 1:
        raise ArrayTypeError(f"{name} must be all NumPy arrays or all torch tensors, got both")
    return [
        exact(value) if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        for value in values
    ]


def _restored(result: Tensor, *values: Any) -> Any:
    """Return a number for numbers, else the kind of array that came."""
    template: Any = next(filter(_is_array, values), None)
    return result.item() if template is None else as_scores(result, template)


def _is_array(value: object) -> bool:
    return isinstance(value, Tensor | np.ndarray)

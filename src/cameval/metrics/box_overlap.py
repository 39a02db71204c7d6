"""Metrics that compare the boxes of two masks.

Boxes are those of `cameval.metrics.boxes`: half-open, nothing added to a side. Edge cases follow
the one policy of `cameval.metrics.policy`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cameval.arrays import Array, as_scores, exact, mask_pair
from cameval.metrics.boxes import Connectivity, areas, boxes_of, overlaps, shared_areas
from cameval.metrics.policy import of_masks, undefined_without_truth, within

__all__ = ["box_iou", "box_precision"]


@of_masks(higher_is_better=True)
@within(0, 1)
def box_iou(pred: Array, target: Array, /, connectivity: Connectivity = 8) -> Array:
    """IoU of the box of the prediction's largest component with the truth's best-matching box.

    Each component of the truth has a box; the one with the highest score counts.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.
    connectivity
        8 if pixels that share a corner are connected, 4 if only those that share a side are.

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
    SettingError
        If `connectivity` is neither 4 nor 8.

    References
    ----------
    J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020.

    Examples
    --------
    >>> pred, target = torch.zeros(2, 6, 6, dtype=torch.bool)
    >>> pred[0, :4] = pred[:4, 0] = target[:4, :4] = True
    >>> iou(pred, target), box_iou(pred, target)
    (tensor(0.4375), tensor(1.))
    """
    return _best_match(overlaps, pred, target, connectivity)


@of_masks(higher_is_better=True)
@within(0, 1)
def box_precision(pred: Array, target: Array, /, connectivity: Connectivity = 8) -> Array:
    """Share of the predicted box inside the truth's best-matching box (IoBB).

    The predicted box is that of the prediction's largest component. Each component of the truth has
    a box; the one with the highest score counts. A box of one pixel in the right place scores 1:
    never read it alone.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.
    connectivity
        8 if pixels that share a corner are connected, 4 if only those that share a side are.

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
    SettingError
        If `connectivity` is neither 4 nor 8.

    References
    ----------
    X. Wang et al., "ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on
    Weakly-Supervised Classification and Localization of Common Thorax Diseases", CVPR 2017.

    Examples
    --------
    >>> pred, target = torch.zeros(2, 6, 6, dtype=torch.bool)
    >>> pred[:2, :4] = target[:4, :3] = True
    >>> box_precision(pred, target)
    tensor(0.7500)
    """
    return _best_match(_inside, pred, target, connectivity)


def _best_match(
    formula: Callable[[Tensor, Tensor], Tensor],
    pred: Array,
    target: Array,
    connectivity: Connectivity,
) -> Array:
    """Score the first predicted box against all true ones by the formula, and keep the best."""
    pair = mask_pair(pred, target)
    images = zip(*(boxes_of(masks, connectivity) for masks in pair), strict=True)
    best = [
        formula(torch.from_numpy(found[:1]), torch.from_numpy(true)).max().item()
        if len(found) and len(true)
        else 0.0
        for found, true in images
    ]
    scores = torch.tensor(best, dtype=torch.float64).reshape(pair[1].shape[:-2])
    return as_scores(undefined_without_truth(scores, pair[1].any(-1).any(-1).cpu()), pred)


def _inside(first: Tensor, second: Tensor) -> Tensor:
    """Return the shares of the first boxes inside the second ones."""
    return exact(shared_areas(first, second)) / exact(areas(first))[..., :, None]

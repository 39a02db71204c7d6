"""Ranking: how well the values of a map rank the true pixels, without a threshold.

Tied pixels count by the expectation over all their orders. Only the order of the pixels matters, so
raw signed maps and scaled maps score the same. Each metric is a formula on `Ranked`: inside
``with memo():`` a map is sorted once for all of them.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cameval._arrays import Array, as_scores, maps_and_truth
from cameval.metrics._ranked import Ranked, ranked_images
from cameval.metrics.properties import of_maps, undefined_without_truth, within

__all__ = [
    "average_precision_skill",
    "iou_at_true_area",
    "pixel_auroc",
    "pixel_average_precision",
    "relevance_rank_accuracy",
]


@of_maps(pixelwise=True)
def score_ranks(formula: Callable[[Ranked], Tensor], maps: Array, target: Array, /) -> Array:
    """Score each map by a formula on its `Ranked` pixels; an empty truth gives NaN.

    Parameters
    ----------
    formula
        From `Ranked` to scores. NaN where the score is undefined.
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score for each image, shape ``(...)``.

    Raises
    ------
    ArrayTypeError
        If `target` is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    NonFiniteError
        If a value of the maps is NaN or infinite.

    Examples
    --------
    The share of the image that is at least as high as a true pixel, averaged over true pixels:

    >>> from functools import partial
    >>> import torch
    >>> from cameval.metrics.ranking import score_ranks
    >>> depth = partial(score_ranks, lambda r: (r.gained * r.marked).sum(-1) / r.true / r.pixels)
    >>> depth(torch.tensor([[4.0, 3.0, 2.0, 1.0]]), torch.tensor([[True, False, True, False]]))
    tensor(0.5000)
    """
    pair = maps_and_truth(maps, target)
    found = [undefined_without_truth(formula(r), r.true) for r in ranked_images(*pair)]
    scores = torch.cat(found) if found else pair[0].new_empty(0)
    return as_scores(scores.reshape(pair[0].shape[:-2]), maps)


@of_maps(higher_is_better=True, pixelwise=True, title="relevance rank accuracy")
@within(0, 1)
def relevance_rank_accuracy(maps: Array, target: Array, /) -> Array:
    """Share of true pixels among as many highest pixels as the truth has (R-precision).

    The mask of these pixels has the size of the truth, so this is its `precision`, `coverage` and
    `dice`.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. An empty truth gives NaN.

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
    L. Arras et al., "CLEVR-XAI: A Benchmark Dataset for the Ground Truth Evaluation of Neural
    Network Explanations", Information Fusion 81 (2022).

    Examples
    --------
    >>> import torch
    >>> from cameval import relevance_rank_accuracy
    >>> maps = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    >>> relevance_rank_accuracy(maps, torch.tensor([[True, False], [True, False]]))
    tensor(0.5000)
    """
    return score_ranks(_share_in_true_area, maps, target)


@of_maps(higher_is_better=True, pixelwise=True, title="IoU at true area")
@within(0, 1)
def iou_at_true_area(maps: Array, target: Array, /) -> Array:
    """IoU of the truth with as many highest pixels as the truth has.

    The mask has the size of the truth, so the score does not depend on a threshold. It is
    ``A / (2 - A)`` with the `relevance_rank_accuracy` A. Ties count by the expected number of true
    pixels.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. An empty truth gives NaN.

    Raises
    ------
    ArrayTypeError
        If `target` is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    NonFiniteError
        If a value of the maps is NaN or infinite.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import iou_at_true_area
    >>> maps = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    >>> iou_at_true_area(maps, torch.tensor([[True, False], [True, False]]))
    tensor(0.3333)
    """

    def formula(ranked: Ranked) -> Tensor:
        share = _share_in_true_area(ranked)
        return share / (2 - share)

    return score_ranks(formula, maps, target)


@of_maps(higher_is_better=True, pixelwise=True, title="AUROC")
@within(0, 1)
def pixel_auroc(maps: Array, target: Array, /) -> Array:
    """Area under the ROC curve: how often a true pixel is higher than another pixel.

    A tie counts half. The chance level is .5 for a truth of any size, and ``pixel_auroc - .5`` is
    the integral of `informedness` over the false-positive rate of all thresholds.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. A truth that is empty or covers the
        image gives NaN.

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
    J. A. Hanley and B. J. McNeil, "The Meaning and Use of the Area under a Receiver Operating
    Characteristic (ROC) Curve", Radiology 143 (1982).

    Examples
    --------
    >>> import torch
    >>> from cameval import pixel_auroc
    >>> maps = torch.tensor([[4.0, 3.0], [2.0, 2.0]])
    >>> pixel_auroc(maps, torch.tensor([[False, True], [True, False]]))
    tensor(0.3750)
    """

    def formula(ranked: Ranked) -> Tensor:
        others = (ranked.pixels - ranked.true).unsqueeze(-1)
        false_positives = ranked.marked - ranked.hits
        tied = ranked.marked - ranked.above - ranked.gained
        concordant = (ranked.gained * (others - false_positives + tied / 2)).sum(-1)
        return concordant / (ranked.true * (ranked.pixels - ranked.true))

    return score_ranks(formula, maps, target)


@of_maps(higher_is_better=True, pixelwise=True, title="AP")
@within(0, 1)
def pixel_average_precision(maps: Array, target: Array, /) -> Array:
    """Average precision: the precision of all thresholds, weighted by the gain in coverage.

    The chance level is the truth's area share: report `average_precision_skill` beside it.
    Thresholds are the distinct values of the map; the score does not depend on the order of tied
    pixels.

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
    N. Arun et al., "Assessing the Trustworthiness of Saliency Maps for Localizing Abnormalities in
    Medical Imaging", Radiology: Artificial Intelligence 3 (2021).

    Examples
    --------
    >>> import torch
    >>> from cameval import pixel_average_precision
    >>> maps = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    >>> pixel_average_precision(maps, torch.tensor([[True, False], [True, False]]))
    tensor(0.8333)
    """
    return score_ranks(_average_precision, maps, target)


@of_maps(higher_is_better=True, pixelwise=True, title="average precision skill")
def average_precision_skill(maps: Array, target: Array, /) -> Array:
    """`pixel_average_precision` beyond that of a constant map, divided by its maximum.

    With the truth's area share g it is ``(AP - g) / (1 - g)``: 0 for a constant map, 1 for a
    map that is higher on each true pixel than on every other, below 0 for a map that is worse than
    a constant one.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score of at most 1 for each image, shape ``(...)``. A truth that is empty or covers the
        image gives NaN.

    Raises
    ------
    ArrayTypeError
        If `target` is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    NonFiniteError
        If a value of the maps is NaN or infinite.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import average_precision_skill
    >>> maps = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    >>> average_precision_skill(maps, torch.tensor([[True, False], [True, False]]))
    tensor(0.6667)
    """

    def formula(ranked: Ranked) -> Tensor:
        chance = ranked.true / ranked.pixels
        return (_average_precision(ranked) - chance) / (1 - chance)

    return score_ranks(formula, maps, target)


def _share_in_true_area(ranked: Ranked) -> Tensor:
    return ranked.expected_hits(ranked.true.unsqueeze(-1)).squeeze(-1) / ranked.true


def _average_precision(ranked: Ranked) -> Tensor:
    """Return the average precision; the order of the sum does not depend on the batch."""
    precision = ranked.hits / ranked.marked
    return (ranked.gained * precision).cumsum(-1)[..., -1] / ranked.true

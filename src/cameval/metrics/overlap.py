"""Metrics of a predicted mask, each a formula on the counts of an image.

Those that correct for chance or for the size of the truth are in `corrected`, those with weights in
`weighted`. Edge cases follow the one policy of `cameval.metrics.policy`.
"""

import torch

from cameval.arrays import Array
from cameval.metrics.counts import score_counts
from cameval.metrics.policy import of_masks, within

__all__ = [
    "coverage",
    "dice",
    "false_positive_rate",
    "iou",
    "marked_area",
    "overlap_coefficient",
    "precision",
    "specificity",
    "volumetric_similarity",
]


@of_masks(higher_is_better=True)
@within(0, 1)
def iou(pred: Array, target: Array, /) -> Array:
    """Intersection over union (Jaccard index) of predicted and true masks.

    With area shares p and g of prediction and truth it is at most min(p, g) / max(p, g); see
    `area_cap`.

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

    References
    ----------
    H. Kang et al., "Towards a Quantitative Analysis of Class Activation Mapping for Deep
    Learning-based Computer-Aided Diagnosis", equation 1.

    Examples
    --------
    >>> iou(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(0.5000)
    """
    return score_counts(lambda n: n.both / (n.predicted + n.true - n.both), pred, target)


@of_masks(higher_is_better=True)
@within(0, 1)
def dice(pred: Array, target: Array, /) -> Array:
    """Dice coefficient (F1 score of the pixels), ``2 iou / (1 + iou)``.

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

    References
    ----------
    L. R. Dice, "Measures of the Amount of Ecologic Association Between Species", Ecology 26 (1945).

    Examples
    --------
    >>> dice(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(0.6667)
    """
    return score_counts(lambda n: 2 * n.both / (n.predicted + n.true), pred, target)


@of_masks(higher_is_better=True)
@within(0, 1)
def coverage(pred: Array, target: Array, /) -> Array:
    """Share of the truth inside the predicted mask (recall, sensitivity, hit rate).

    A mask of everything scores 1: never read it alone.

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
    >>> coverage(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(0.5000)
    """
    return score_counts(lambda n: n.hit_rate, pred, target)


@of_masks(higher_is_better=True)
@within(0, 1)
def precision(pred: Array, target: Array, /) -> Array:
    """Share of the predicted mask inside the truth (intersection over prediction).

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
    >>> precision(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(1.)
    """
    return score_counts(lambda n: n.both / n.predicted.clamp(min=1), pred, target)


@of_masks(higher_is_better=False)
@within(0, 1)
def false_positive_rate(pred: Array, target: Array, /) -> Array:
    """Share of the pixels outside the truth that are predicted; lower is better.

    It is defined without an object, where it is the marked share of the frame. A mask of nothing
    scores 0: never read it alone. Empty background lowers it, so crop both masks to where the
    object could be.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. A truth of everything gives NaN, an
        empty prediction 0.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> pred = torch.tensor([[True, True, False, False, False]])
    >>> target = torch.tensor([[True, False, False, False, False]])
    >>> false_positive_rate(pred, target)
    tensor(0.2500)
    """
    return score_counts(lambda n: n.false_positive_rate, pred, target, needs_truth=False)


@of_masks(higher_is_better=True)
@within(0, 1)
def specificity(pred: Array, target: Array, /) -> Array:
    """Share of the pixels outside the truth that are not predicted, ``1 - false_positive_rate``.

    It is defined without an object. A mask of nothing scores 1, and small masks score high: never
    read it alone.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. A truth of everything gives NaN, an
        empty prediction 1.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> pred = torch.tensor([[True, True, False, False, False]])
    >>> target = torch.tensor([[True, False, False, False, False]])
    >>> specificity(pred, target)
    tensor(0.7500)
    """
    return score_counts(lambda n: 1 - n.false_positive_rate, pred, target, needs_truth=False)


@of_masks
@within(0, 1)
def marked_area(pred: Array, target: Array, /) -> Array:
    """Share of the frame that is predicted, whatever is true; neither high nor low is better.

    It is defined without an object, and printed beside scores that large masks or small ones win.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One share in [0, 1] for each image, shape ``(...)``.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> pred, target = torch.ones(2, 4, dtype=torch.bool), torch.zeros(2, 4, dtype=torch.bool)
    >>> pred[0] = False
    >>> marked_area(pred, target)
    tensor(0.5000)
    """
    return score_counts(lambda n: n.predicted / n.pixels, pred, target, needs_truth=False)


@of_masks(higher_is_better=True)
@within(0, 1)
def overlap_coefficient(pred: Array, target: Array, /) -> Array:
    """Share of the smaller mask inside the larger (Szymkiewicz-Simpson coefficient).

    It is 1 exactly where one mask contains the other, so a mask of everything scores 1: never read
    it alone. `dice` is the product of it and `volumetric_similarity`, which tells a wrong place
    from a wrong size.

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

    References
    ----------
    G. G. Simpson, "Mammals and the Nature of Continents", American Journal of Science 241 (1943).

    Examples
    --------
    >>> overlap_coefficient(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(1.)
    """
    return score_counts(
        lambda n: n.both / torch.minimum(n.predicted, n.true).clamp(min=1), pred, target
    )


@of_masks(higher_is_better=True)
@within(0, 1)
def volumetric_similarity(pred: Array, target: Array, /) -> Array:
    """Likeness of the two areas p and g, ``1 - |p - g| / (p + g)``, wherever they are.

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

    References
    ----------
    A. A. Taha and A. Hanbury, "Metrics for Evaluating 3D Medical Image Segmentation: Analysis,
    Selection, and Tool", BMC Medical Imaging 15 (2015).

    Examples
    --------
    >>> volumetric_similarity(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(0.6667)
    """
    return score_counts(
        lambda n: 2 * torch.minimum(n.predicted, n.true) / (n.predicted + n.true), pred, target
    )

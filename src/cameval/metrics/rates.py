"""Pixel rates of a mask: coverage (recall), precision, false-positive rate, specificity, area.

Rates that do not need an object are defined without one: `false_positive_rate`, `specificity` and
`marked_area`. Other edge cases follow `cameval.metrics.properties`.
"""

from cameval._arrays import Array
from cameval.metrics.counts import formula_of_counts, score_counts
from cameval.metrics.properties import of_masks, within

__all__ = ["coverage", "false_positive_rate", "marked_area", "precision", "specificity"]


@formula_of_counts
@of_masks(higher_is_better=True, pixelwise=True, denominator=lambda n: n.true, title="coverage")
@within(0, 1)
def coverage(pred: Array, target: Array, /) -> Array:
    """Share of the truth inside the predicted mask (recall, sensitivity).

    A mask of all pixels scores 1: do not report it alone.

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
    >>> import torch
    >>> from cameval import coverage
    >>> coverage(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(0.5000)
    """
    return score_counts(lambda n: n.recall, pred, target)


@formula_of_counts
@of_masks(
    higher_is_better=True, pixelwise=True, denominator=lambda n: n.predicted, title="precision"
)
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
    >>> import torch
    >>> from cameval import precision
    >>> precision(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(1.)
    """
    return score_counts(lambda n: n.both / n.predicted.clamp(min=1), pred, target)


@formula_of_counts
@of_masks(
    higher_is_better=False,
    pixelwise=True,
    denominator=lambda n: n.pixels - n.true,
    title="false positive rate",
)
@within(0, 1)
def false_positive_rate(pred: Array, target: Array, /) -> Array:
    """Share of the pixels outside the truth that are predicted; lower is better.

    It is defined without an object, where it is the marked share of the image. An empty mask scores
    0: do not report it alone. Empty background lowers it: crop both masks to the region where the
    object can be.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. If every pixel is true it is NaN. An
        empty prediction gives 0.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import false_positive_rate
    >>> pred = torch.tensor([[True, True, False, False, False]])
    >>> target = torch.tensor([[True, False, False, False, False]])
    >>> false_positive_rate(pred, target)
    tensor(0.2500)
    """
    return score_counts(lambda n: n.false_positive_rate, pred, target, needs_truth=False)


@formula_of_counts
@of_masks(
    higher_is_better=True,
    pixelwise=True,
    denominator=lambda n: n.pixels - n.true,
    title="specificity",
)
@within(0, 1)
def specificity(pred: Array, target: Array, /) -> Array:
    """Share of the pixels outside the truth that are not predicted, ``1 - false_positive_rate``.

    It is defined without an object. An empty mask scores 1, and small masks score high: do not
    report it alone.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. If every pixel is true it is NaN. An
        empty prediction gives 1.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import specificity
    >>> pred = torch.tensor([[True, True, False, False, False]])
    >>> target = torch.tensor([[True, False, False, False, False]])
    >>> specificity(pred, target)
    tensor(0.7500)
    """
    return score_counts(lambda n: 1 - n.false_positive_rate, pred, target, needs_truth=False)


@formula_of_counts
@of_masks(pixelwise=True, denominator=lambda n: n.pixels, title="marked area")
@within(0, 1)
def marked_area(pred: Array, target: Array, /) -> Array:
    """Share of the image that is predicted; neither high nor low is better.

    It does not use the truth and is defined without an object. Report it beside scores that favor
    large or small masks.

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
    >>> import torch
    >>> from cameval.metrics import marked_area
    >>> pred, target = torch.ones(2, 4, dtype=torch.bool), torch.zeros(2, 4, dtype=torch.bool)
    >>> pred[0] = False
    >>> marked_area(pred, target)
    tensor(0.5000)
    """
    return score_counts(lambda n: n.predicted / n.pixels, pred, target, needs_truth=False)

"""Metrics of a predicted mask: four counts for each image, and a formula on them.

Counts add, so a pooled score is the formula of a sum; the functions here score each image by
itself. Edge cases follow the one policy of `cameval.metrics.policy`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from cameval.arrays import Array, as_scores, exact, mask_pair
from cameval.errors import SettingError
from cameval.metrics.policy import undefined_without_truth

__all__ = [
    "Counts",
    "coverage",
    "dice",
    "informedness",
    "iou",
    "precision",
    "score_counts",
    "size_standardized_iou",
]


@dataclass(frozen=True)
class Counts:
    """Numbers of pixels, one of each for an image; counts of disjoint pixels add.

    Attributes
    ----------
    predicted, true, both, pixels
        Pixels in the predicted mask, in the true mask, in both, and in all, as floating tensors.

    Examples
    --------
    >>> pred, target = torch.tensor([[True, True]]), torch.tensor([[True, False]])
    >>> total = Counts.of(pred, target) + Counts.of(target, target)
    >>> total.both / (total.predicted + total.true - total.both)  # the pooled IoU
    tensor(0.6667, dtype=torch.float64)
    """

    predicted: Tensor
    true: Tensor
    both: Tensor
    pixels: Tensor

    @classmethod
    def of(cls, pred: Tensor, target: Tensor) -> "Counts":
        """Count boolean masks ``(..., H, W)`` of one shape."""
        predicted, true, both = (_count(mask) for mask in (pred, target, pred & target))
        return cls(predicted, true, both, torch.full_like(true, pred.shape[-2:].numel()))

    def __add__(self, other: "Counts") -> "Counts":
        """Count the pixels of both."""
        return Counts(
            self.predicted + other.predicted,
            self.true + other.true,
            self.both + other.both,
            self.pixels + other.pixels,
        )

    @property
    def hit_rate(self) -> Tensor:
        """Share of the true pixels that are predicted."""
        return self.both / self.true

    @property
    def false_alarm_rate(self) -> Tensor:
        """Share of the other pixels that are predicted; NaN if every pixel is true."""
        return (self.predicted - self.both) / (self.pixels - self.true)


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


def informedness(pred: Array, target: Array, /) -> Array:
    """Youden's J: hit rate minus false-alarm rate.

    A mask that is independent of the truth, of whatever area, scores 0 in the mean. It forgives
    large masks, so compare it between masks of one area only.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One score in [-1, 1] for each image, shape ``(...)``. A truth that is empty or everything
        gives NaN, an empty prediction 0.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.

    References
    ----------
    W. J. Youden, "Index for Rating Diagnostic Tests", Cancer 3 (1950).

    Examples
    --------
    >>> pred = torch.tensor([[True, True, False, False, False]])
    >>> target = torch.tensor([[True, False, False, False, False]])
    >>> informedness(pred, target)
    tensor(0.7500)
    """
    return score_counts(lambda n: n.hit_rate - n.false_alarm_rate, pred, target)


def size_standardized_iou(pred: Array, target: Array, /, reference: float = 0.05) -> Array:
    """IoU that the mask would have if the truth covered the share `reference` of the image.

    Hit rate R and false-alarm rate F stay as they are; only the weights of true and other pixels
    change: ``r R / (r + (1 - r) F)`` with r the reference. So the score does not measure the size
    of the object. A mask of everything scores r; where the truth covers r, it is the IoU. It is the
    Jaccard form of the normalized Dice coefficient.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.
    reference
        Area share in (0, 1), to be reported with the score; for a study, the mean area share of
        the *training* masks, or that of the binarizer.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. A truth that is empty or everything
        gives NaN, an empty prediction 0.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    SettingError
        If `reference` is not in (0, 1).

    References
    ----------
    V. Raina et al., "Tackling Bias in the Dice Similarity Coefficient: Introducing nDSC for White
    Matter Lesion Segmentation", ISBI 2023.

    Examples
    --------
    >>> pred, target = torch.zeros(2, 10, 10, dtype=torch.bool)
    >>> pred[:4, :5] = target[:2, :2] = True
    >>> size_standardized_iou(pred, target, reference=0.10)
    tensor(0.4000)
    """
    if not 0 < reference < 1:
        raise SettingError(f"reference must be in (0, 1), got {reference}")
    r = reference
    return score_counts(lambda n: r * n.hit_rate / (r + (1 - r) * n.false_alarm_rate), pred, target)


def score_counts(formula: Callable[[Counts], Tensor], pred: Array, target: Array, /) -> Array:
    """Score each image by a formula on its counts; an empty truth gives NaN.

    Parameters
    ----------
    formula
        From `Counts` to scores. NaN where the score is undefined.
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One score for each image, shape ``(...)``.

    Examples
    --------
    Volumetric similarity in one line:

    >>> from functools import partial
    >>> similarity = partial(
    ...     score_counts,
    ...     lambda n: 1 - (n.predicted - n.true).abs() / (n.predicted + n.true),
    ... )
    >>> similarity(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(0.6667)
    """
    counts = Counts.of(*mask_pair(pred, target))
    return as_scores(undefined_without_truth(formula(counts), counts.true), pred)


def _count(mask: Tensor) -> Tensor:
    return exact(mask.view(torch.uint8).sum((-2, -1), dtype=torch.int32))

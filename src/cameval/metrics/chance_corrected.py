"""Mask metrics corrected for chance or for the size of the truth.

If every pixel is true, agreement and chance cannot be distinguished, so all of them are NaN. Other
edge cases follow `cameval.metrics.properties`.
"""

import torch
from torch import Tensor

from cameval._arrays import Array
from cameval.errors import SettingError
from cameval.metrics.counts import Counts, formula_of_counts, score_counts
from cameval.metrics.properties import of_masks, within

__all__ = [
    "chance_corrected_overlap",
    "cohen_kappa",
    "informedness",
    "matthews_correlation",
    "size_standardized_iou",
]

STANDARD_REFERENCE = 0.05
"""Default area share of `size_standardized_iou`."""


@formula_of_counts
@of_masks(higher_is_better=True, pixelwise=True, title="informedness")
@within(-1, 1)
def informedness(pred: Array, target: Array, /) -> Array:
    """Youden's J: recall minus false-positive rate.

    A mask that is independent of the truth scores 0 on average, whatever its area. False positives
    cost little where the truth is small, so large masks score high: compare it only between masks
    of one area.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One score in [-1, 1] for each image, shape ``(...)``. A truth that is empty or covers the
        image gives NaN, an empty prediction 0.

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
    >>> import torch
    >>> from cameval import informedness
    >>> pred = torch.tensor([[True, True, False, False, False]])
    >>> target = torch.tensor([[True, False, False, False, False]])
    >>> informedness(pred, target)
    tensor(0.7500)
    """
    return score_counts(lambda n: n.recall - n.false_positive_rate, pred, target)


@formula_of_counts
@of_masks(higher_is_better=True, pixelwise=True, title="sIoU")
@within(0, 1)
def size_standardized_iou(
    pred: Array, target: Array, /, reference: float = STANDARD_REFERENCE
) -> Array:
    """IoU that the mask would have if the truth covered the share `reference` of the image.

    Recall R and false-positive rate F are unchanged; only the weights of true and other pixels
    change: ``r R / (r + (1 - r) F)`` with r the reference. A mask of all pixels scores r; where the
    truth covers r, the score is the IoU. It is the Jaccard form of the normalized Dice coefficient.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.
    reference
        Area share in (0, 1), to be reported with the score. For a study use the mean area share of
        the *training* masks, or that of the binarizer.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. A truth that is empty or covers the
        image gives NaN, an empty prediction 0.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    SettingError
        If `reference` is not in (0, 1).

    Notes
    -----
    Only the share of true pixels in the formula is standardized: two masks with the same R and F
    score the same, whatever the size of their objects. Where R and F themselves depend on the size,
    so does the score. Spearman's correlation of the score with the area of the truth, on 597 slices
    with tumors of 1.5 % of the image (the median) and on 100 photographs of pets of 37 %, with that
    of `iou` in parentheses:

    ==================================================  =============  =============
    masks                                               tumors         pets
    ==================================================  =============  =============
    chance pixels, R = .6 and F = .02                   .06 (1.00)     -.10 (.96)
    the truth map on 7 x 7 cells, Otsu's threshold      .22 (.94)      .14 (.82)
    the truth map on 7 x 7 cells, 95th percentile       1.00 (1.00)    -1.00 (-1.00)
    5 % of the image, inside or around the truth        1.00 (1.00)    -1.00 (-1.00)
    ==================================================  =============  =============

    So it mostly removes the dependence on size for thresholds that adapt to the map, and not at all
    for masks of a fixed area.

    References
    ----------
    V. Raina et al., "Tackling Bias in the Dice Similarity Coefficient: Introducing nDSC for White
    Matter Lesion Segmentation", ISBI 2023.

    Examples
    --------
    >>> import torch
    >>> from cameval import size_standardized_iou
    >>> pred, target = torch.zeros(2, 10, 10, dtype=torch.bool)
    >>> pred[:4, :5] = target[:2, :2] = True
    >>> size_standardized_iou(pred, target, reference=0.10)
    tensor(0.4000)
    """
    if not 0 < reference < 1:
        raise SettingError(f"reference must be in (0, 1), got {reference}")
    r = reference
    return score_counts(
        lambda n: r * n.recall / (r + (1 - r) * n.false_positive_rate), pred, target
    )


@formula_of_counts
@of_masks(higher_is_better=True, pixelwise=True, title="Matthews correlation")
@within(-1, 1)
def matthews_correlation(pred: Array, target: Array, /) -> Array:
    """Matthews' correlation coefficient (phi): correlation of the two masks over the pixels.

    A mask that is independent of the truth scores 0, as does a mask of no pixels or of all pixels.
    It depends on the size of the truth.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One score in [-1, 1] for each image, shape ``(...)``. A truth that is empty or covers the
        image gives NaN, a prediction that is empty or covers the image 0.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.

    References
    ----------
    B. W. Matthews, "Comparison of the Predicted and Observed Secondary Structure of T4 Phage
    Lysozyme", Biochimica et Biophysica Acta 405 (1975).

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import matthews_correlation
    >>> pred = torch.tensor([[True, True, False, False, False]])
    >>> target = torch.tensor([[True, False, False, False, False]])
    >>> matthews_correlation(pred, target)
    tensor(0.6124)
    """

    def formula(n: Counts) -> Tensor:
        spread = _variance(n.predicted, n.pixels) * _variance(n.true, n.pixels)
        return _divide_by_maximum(_beyond_chance(n), spread.sqrt(), n)

    return score_counts(formula, pred, target)


@formula_of_counts
@of_masks(higher_is_better=True, pixelwise=True, title="Cohen's kappa")
@within(-1, 1)
def cohen_kappa(pred: Array, target: Array, /) -> Array:
    """Cohen's kappa: agreement over all pixels beyond that of independent masks.

    With area shares p and g of prediction and truth and i of both it is
    ``2 (i - p g) / (p + g - 2 p g)``.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One score in [-1, 1] for each image, shape ``(...)``. A truth that is empty or covers the
        image gives NaN, a prediction that is empty or covers the image 0.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.

    References
    ----------
    J. Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological
    Measurement 20 (1960).

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import cohen_kappa
    >>> pred = torch.tensor([[True, True, False, False, False]])
    >>> target = torch.tensor([[True, False, False, False, False]])
    >>> cohen_kappa(pred, target)
    tensor(0.5455)
    """

    def formula(n: Counts) -> Tensor:
        maximum = n.pixels * (n.predicted + n.true) - 2 * n.predicted * n.true
        return _divide_by_maximum(2 * _beyond_chance(n), maximum, n)

    return score_counts(formula, pred, target)


@formula_of_counts
@of_masks(higher_is_better=True, pixelwise=True, title="chance-corrected overlap")
def chance_corrected_overlap(pred: Array, target: Array, /) -> Array:
    """Overlap beyond chance, divided by its maximum for masks of these sizes (Loevinger's H).

    With area shares p and g of prediction and truth and i of both it is
    ``(i - p g) / (min(p, g) - p g)``: `overlap_coefficient` corrected for chance, and
    `matthews_correlation` divided by its maximum. It is 1 where one mask contains the other, so a
    mask that is large enough scores 1: do not report it alone.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

    Returns
    -------
    Array
        One score of at most 1 for each image, shape ``(...)``. A truth that is empty or covers the
        image gives NaN, a prediction that is empty or covers the image 0.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.

    References
    ----------
    E. E. Cureton, "Note on Phi/Phi max", Psychometrika 24 (1959).

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import chance_corrected_overlap
    >>> pred = torch.tensor([[True, True, False, False, False]])
    >>> target = torch.tensor([[True, False, False, False, False]])
    >>> chance_corrected_overlap(pred, target)
    tensor(1.)
    """

    def formula(n: Counts) -> Tensor:
        maximum = n.pixels * torch.minimum(n.predicted, n.true) - n.predicted * n.true
        return _divide_by_maximum(_beyond_chance(n), maximum, n)

    return score_counts(formula, pred, target)


def _beyond_chance(n: Counts) -> Tensor:
    """Return the overlap minus that of independent masks, ``i - p g``, times the squared pixels."""
    return n.pixels * n.both - n.predicted * n.true


def _variance(marked: Tensor, pixels: Tensor) -> Tensor:
    return marked * (pixels - marked)


def _divide_by_maximum(gain: Tensor, maximum: Tensor, n: Counts) -> Tensor:
    """Return the ratio; 0 for a constant mask, NaN if every pixel is true."""
    return (gain / maximum).where(maximum > 0, 0).where(n.true < n.pixels, float("nan"))

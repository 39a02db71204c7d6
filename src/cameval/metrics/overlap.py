"""Overlap of a mask with the truth: IoU, Dice, weighted forms, and the Boundary IoU.

Metrics that correct for chance or for the size of the truth are in `chance_corrected`, rates in
`rates`. Edge cases follow `cameval.metrics.properties`.
"""

from dataclasses import dataclass
from math import hypot, isfinite
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from cameval._arrays import Array, mask_pair, restore
from cameval._memo import memoized
from cameval._spatial import check_spatial_axes, check_volumes
from cameval.errors import SettingError
from cameval.metrics.counts import Counts, formula_of_counts, score_counts
from cameval.metrics.properties import Takes, of_masks, within

__all__ = [
    "BoundaryIoU",
    "FBeta",
    "Tversky",
    "dice",
    "iou",
    "overlap_coefficient",
    "volumetric_similarity",
]


@formula_of_counts
@of_masks(
    higher_is_better=True,
    pixelwise=True,
    denominator=lambda n: n.predicted + n.true - n.both,
    title="IoU",
)
@within(0, 1)
def iou(pred: Array, target: Array, /) -> Array:
    """Intersection over union (Jaccard index) of predicted and true masks.

    With area shares p and g of prediction and truth it is at most min(p, g) / max(p, g); see
    `area_bound`.

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
    >>> import torch
    >>> from cameval import iou
    >>> iou(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(0.5000)
    """
    return score_counts(lambda n: n.both / (n.predicted + n.true - n.both), pred, target)


@formula_of_counts
@of_masks(
    higher_is_better=True, pixelwise=True, denominator=lambda n: n.predicted + n.true, title="Dice"
)
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
    >>> import torch
    >>> from cameval import dice
    >>> dice(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(0.6667)
    """
    return score_counts(lambda n: 2 * n.both / (n.predicted + n.true), pred, target)


@formula_of_counts
@of_masks(higher_is_better=True, pixelwise=True, title="overlap coefficient")
@within(0, 1)
def overlap_coefficient(pred: Array, target: Array, /) -> Array:
    """Share of the smaller mask inside the larger (Szymkiewicz-Simpson coefficient).

    It is 1 exactly where one mask contains the other, so a mask of all pixels scores 1: do not
    report it alone. `dice` is its product with `volumetric_similarity`: a low overlap coefficient
    means a wrong position, a low volumetric similarity a wrong size.

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
    >>> import torch
    >>> from cameval.metrics import overlap_coefficient
    >>> overlap_coefficient(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(1.)
    """
    return score_counts(
        lambda n: n.both / torch.minimum(n.predicted, n.true).clamp(min=1), pred, target
    )


@formula_of_counts
@of_masks(higher_is_better=True, pixelwise=True, title="volumetric similarity")
@within(0, 1)
def volumetric_similarity(pred: Array, target: Array, /) -> Array:
    """Similarity of the two areas p and g, ``1 - |p - g| / (p + g)``, whatever their positions.

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
    >>> import torch
    >>> from cameval.metrics import volumetric_similarity
    >>> volumetric_similarity(torch.eye(2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.bool))
    tensor(0.6667)
    """
    return score_counts(
        lambda n: 2 * torch.minimum(n.predicted, n.true) / (n.predicted + n.true), pred, target
    )


@formula_of_counts
@dataclass(frozen=True)
class FBeta:
    """Weighted harmonic mean of `precision` and `coverage`, coverage `beta` times as important.

    With precision Q and coverage R it is ``(1 + beta**2) Q R / (beta**2 Q + R)``. ``FBeta(1)`` is
    `dice`; ``FBeta(2)`` weighs missed pixels more than false positives. It depends on the size of
    the truth.

    Parameters
    ----------
    beta
        A positive number.

    Raises
    ------
    SettingError
        If `beta` is not positive, or its square is not finite.

    References
    ----------
    C. J. van Rijsbergen, "Information Retrieval", second edition, Butterworths 1979, chapter 7.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import FBeta
    >>> pred, target = torch.ones(2, 2, dtype=torch.bool), torch.eye(2, dtype=torch.bool)
    >>> FBeta(2)(pred, target)
    tensor(0.8333)
    """

    label: ClassVar[str] = "f_beta"
    takes: ClassVar[Takes] = "masks"
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)
    pixelwise: ClassVar[bool] = True

    beta: float

    def __post_init__(self) -> None:
        """Check the setting."""
        square = self.beta * self.beta if isinstance(self.beta, Real) and self.beta > 0 else 0
        if not (square > 0 and isfinite(square)):
            raise SettingError(
                f"beta must be a positive number with a finite square, got {self.beta}"
            )

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return f"F{self.beta:g}"

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return scores ``(...)`` in [0, 1] of boolean masks ``(..., H, W)``.

        An empty truth gives NaN, an empty prediction 0.
        """
        square = self.beta * self.beta
        return score_counts(lambda n: (1 + square) * n.both / self.denominator(n), pred, target)

    def denominator(self, counts: Counts, /) -> Tensor:
        """Return the weighted numbers of pixels by which the score divides.

        Examples
        --------
        >>> import torch
        >>> from cameval.metrics import Counts, FBeta
        >>> pred, target = torch.ones(2, 2, dtype=torch.bool), torch.eye(2, dtype=torch.bool)
        >>> FBeta(1).denominator(Counts.of(pred, target))  # 4 predicted and 2 true pixels
        tensor(6., dtype=torch.float64)
        """
        return self.beta * self.beta * counts.true + counts.predicted


@formula_of_counts
@dataclass(frozen=True)
class Tversky:
    """Tversky index: overlap with separate weights for false positives and false negatives.

    With area shares p and g of prediction and truth and i of both it is
    ``i / (i + alpha (p - i) + beta (g - i))``. Weights of 1 and 1 give `iou`, ½ and ½ `dice`,
    0 and 1 `coverage`, 1 and 0 `precision`.

    Parameters
    ----------
    alpha
        Weight of a false-positive pixel, at least 0.
    beta
        Weight of a false-negative pixel, at least 0.

    Raises
    ------
    SettingError
        If a weight is negative or not finite, or both are 0.

    References
    ----------
    A. Tversky, "Features of Similarity", Psychological Review 84 (1977).

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import Tversky
    >>> pred, target = torch.ones(2, 2, dtype=torch.bool), torch.eye(2, dtype=torch.bool)
    >>> Tversky(alpha=0.3, beta=0.7)(pred, target)
    tensor(0.7692)
    """

    label: ClassVar[str] = "tversky"
    takes: ClassVar[Takes] = "masks"
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)
    pixelwise: ClassVar[bool] = True

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        """Check the settings."""
        for name, weight in (("alpha", self.alpha), ("beta", self.beta)):
            if not isinstance(weight, Real) or not (weight >= 0 and isfinite(weight)):
                raise SettingError(f"{name} must be a finite number of at least 0, got {weight}")
        if self.alpha == self.beta == 0:
            raise SettingError(
                "alpha and beta must not both be 0, got 0 and 0; give one of them a weight"
            )

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return f"Tversky index (alpha {self.alpha:g}, beta {self.beta:g})"

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return scores ``(...)`` in [0, 1] of boolean masks ``(..., H, W)``.

        An empty truth gives NaN, an empty prediction 0.
        """

        def formula(n: Counts) -> Tensor:
            return (n.both / self.denominator(n)).where(n.both > 0, 0)

        return score_counts(formula, pred, target)

    def denominator(self, counts: Counts, /) -> Tensor:
        """Return the weighted numbers of pixels by which the score divides.

        Examples
        --------
        >>> import torch
        >>> from cameval.metrics import Counts, Tversky
        >>> pred, target = torch.ones(2, 2, dtype=torch.bool), torch.eye(2, dtype=torch.bool)
        >>> counts = Counts.of(pred, target)  # 2 pixels in both, 2 false positives
        >>> Tversky(alpha=0.3, beta=0.7).denominator(counts)  # 2 + .3 * 2
        tensor(2.6000, dtype=torch.float64)
        """
        false_positives, false_negatives = (
            marked - counts.both for marked in (counts.predicted, counts.true)
        )
        return counts.both + self.alpha * false_positives + self.beta * false_negatives


@dataclass(frozen=True)
class BoundaryIoU:
    """IoU of the bands along the inside of both borders (boundary IoU).

    The band of a mask consists of its pixels with background within d pixels in chessboard distance
    (the mask minus d erosions by a square of 3 x 3). The outside of the image is background. The
    width d is `width` times the image's diagonal, rounded to whole pixels, at least 1. For masks no
    wider than twice d the bands are the masks, and the score is the `iou`. In volumes the square is
    a cube; distances are in voxels, whatever the spacing.

    Parameters
    ----------
    width
        Width of the band as a share of the image's diagonal, in (0, 1]. The paper's is .02: 6
        pixels of a 224 x 224 image.
    spatial_axes
        2 for images ``(..., H, W)``, 3 for volumes ``(..., D, H, W)``.

    Raises
    ------
    SettingError
        If `width` is not in (0, 1], or `spatial_axes` neither 2 nor 3.

    References
    ----------
    B. Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR
    2021, as in the released code; the text has Euclidean bands.

    Examples
    --------
    >>> import torch
    >>> from cameval import iou
    >>> from cameval.metrics import BoundaryIoU
    >>> pred, target = torch.zeros(2, 9, 9, dtype=torch.bool)
    >>> pred[1:8, 1:8] = target[1:8, 1:7] = True
    >>> iou(pred, target), BoundaryIoU()(pred, target)
    (tensor(0.8571), tensor(0.5862))
    """

    label: ClassVar[str] = "boundary_iou"
    takes: ClassVar[Takes] = "masks"
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)
    from_sample: ClassVar[tuple[str, ...]] = ("spatial_axes",)

    width: float = 0.02
    spatial_axes: int = 2

    def __post_init__(self) -> None:
        check_spatial_axes(self.spatial_axes)
        if not 0 < self.width <= 1:
            raise SettingError(f"width must be in (0, 1], got {self.width}")

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return f"boundary IoU (width {self.width:g})"

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return one score for each image, shape ``(...)``.

        Parameters
        ----------
        pred, target
            Boolean masks of one shape ``(..., H, W)``, or ``(..., D, H, W)``.

        Returns
        -------
        Array
            Scores in [0, 1]. An empty truth gives NaN, an empty prediction 0.
        """
        pair = mask_pair(pred, target)
        axes = self.spatial_axes
        check_volumes(pair[0], axes, "pred")
        pixels = max(1, round(self.width * hypot(*pair[0].shape[-axes:])))
        predicted, true = (_band(masks, pixels, axes).flatten(-axes, -2) for masks in pair)
        return iou(restore(predicted, pred), restore(true, pred))


@memoized
def _band(masks: Tensor, pixels: int, axes: int) -> Tensor:
    """Return the pixels that have background within a square of ``2 * pixels + 1`` around them."""
    side = 2 * pixels + 1
    margins = (pixels + 1, pixels) * axes
    background = pad((~masks).int(), margins, value=1)
    for axis in range(-axes, 0):  # the sum over a window is the difference of two running sums
        total = background.cumsum(axis, dtype=torch.int32)
        steps = total.shape[axis] - side
        background = total.narrow(axis, side, steps) - total.narrow(axis, 0, steps)
    return masks & (background > 0)

"""Outcome of each image: match, miss, or one mask inside the other; images without an object.

An overlap score tells how much two masks differ. An outcome tells in which way.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from cameval._arrays import Array, Scores, as_scores, as_tensor, exact, mask_pair
from cameval._checks import check_callable
from cameval._spatial import with_changed_settings
from cameval.errors import ArrayTypeError, SettingError
from cameval.metrics.chance_corrected import informedness, size_standardized_iou
from cameval.metrics.counts import Counts, formula_of_counts, score_counts
from cameval.metrics.overlap import iou, overlap_coefficient, volumetric_similarity
from cameval.metrics.properties import (
    Takes,
    Unit,
    denominator,
    higher_is_better,
    is_pixelwise,
    settings_from_sample,
    takes,
    title_of,
    unit_of,
)
from cameval.metrics.rates import coverage
from cameval.protocols import MaskMetric

__all__ = ["OUTCOMES", "Outcomes", "ZeroWithoutObject", "containment_metrics", "count_outcomes"]

OUTCOMES = ("match", "miss", "includes", "inside", "partial")
"""Names of the outcomes; an outcome's code is its index."""


@formula_of_counts
@dataclass(frozen=True)
class Outcomes:
    """Relation of a mask to the truth: the code of the first rule that holds.

    The code is an index into `OUTCOMES`. With `iou`, `coverage` R and `precision` Q:

    ====  ============  ======================================
    code  outcome       holds if
    ====  ============  ======================================
    0     ``match``     iou >= `match`
    1     ``miss``      R < `miss`
    2     ``includes``  R >= `includes` and Q < `loose`
    3     ``inside``    Q >= `inside` and R < `loose`
    4     ``partial``   none of these
    ====  ============  ======================================

    Codes are names, not amounts: count them (`count_outcomes`), do not average them.

    Parameters
    ----------
    match
        Least IoU of a match.
    miss
        Below this coverage the truth is missed. An empty prediction misses it.
    includes
        Least coverage of a mask that includes the truth.
    inside
        Least precision of a mask inside the truth.
    loose
        For ``includes`` and ``inside`` the smaller mask fills less than this share of the larger.

    Raises
    ------
    SettingError
        If a setting is not a number in (0, 1].

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import OUTCOMES, Outcomes
    >>> truth = torch.zeros(3, 1, 8, dtype=torch.bool)
    >>> truth[..., :2] = True
    >>> masks = torch.arange(8) < torch.tensor([3, 8, 0])[:, None, None]
    >>> codes = Outcomes()(masks, truth)
    >>> codes
    tensor([0., 2., 1.])
    >>> [OUTCOMES[int(code)] for code in codes]
    ['match', 'includes', 'miss']
    """

    label: ClassVar[str] = "outcome"
    takes: ClassVar[Takes] = "masks"
    higher_is_better: ClassVar[bool | None] = None
    categories: ClassVar[tuple[str, ...]] = OUTCOMES
    pixelwise: ClassVar[bool] = True

    match: float = 0.5
    miss: float = 0.1
    includes: float = 0.9
    inside: float = 0.9
    loose: float = 0.5

    def __post_init__(self) -> None:
        """Check the settings."""
        for name in (field.name for field in fields(self)):
            share: float = getattr(self, name)
            if not isinstance(share, Real) or not 0 < share <= 1:
                raise SettingError(f"{name} must be a number in (0, 1], got {share}")

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return with_changed_settings("outcome", self, *(field.name for field in fields(self)))

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return codes ``(...)`` of boolean masks ``(..., H, W)``, as floating numbers.

        An empty truth gives NaN.
        """
        return score_counts(self._code, pred, target)

    def _code(self, n: Counts) -> Tensor:
        jaccard = n.both / (n.predicted + n.true - n.both)
        recall, precision = n.recall, n.both / n.predicted.clamp(min=1)
        rules = (
            jaccard >= self.match,
            recall < self.miss,
            (recall >= self.includes) & (precision < self.loose),
            (precision >= self.inside) & (recall < self.loose),
            torch.ones_like(n.true, dtype=torch.bool),
        )
        return exact(torch.stack(rules).to(torch.uint8).argmax(0))  # the first that holds


def count_outcomes(codes: Scores, /) -> dict[str, int]:
    """Count each outcome, and the images without one.

    Parameters
    ----------
    codes
        Results of `Outcomes`, any shape.

    Returns
    -------
    dict of str to int
        One number for each of `OUTCOMES`, then ``"undefined"`` for NaN; together all codes.

    Raises
    ------
    ArrayTypeError
        If `codes` is not a floating array.
    SettingError
        If a code is neither NaN nor that of an outcome.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import count_outcomes
    >>> count_outcomes(torch.tensor([0.0, 2.0, 1.0, 2.0, float("nan")]))
    {'match': 1, 'miss': 1, 'includes': 2, 'inside': 0, 'partial': 0, 'undefined': 1}
    """
    tensor = as_tensor(codes, "codes")
    if not tensor.is_floating_point():
        raise ArrayTypeError(f"codes must be floating, got {tensor.dtype}")
    numbers = [int((tensor == code).sum()) for code in range(len(OUTCOMES))]
    undefined = int(tensor.isnan().sum())
    if strange := tensor.numel() - sum(numbers) - undefined:
        raise SettingError(
            f"codes must be whole numbers from 0 to {len(OUTCOMES) - 1} or NaN, got {strange} "
            "others; pass the result of Outcomes"
        )
    return dict(zip((*OUTCOMES, "undefined"), (*numbers, undefined), strict=True))


def containment_metrics(reference: float = 0.05) -> dict[str, MaskMetric]:
    """Return the metrics that together distinguish a wrong position from a wrong size, by name.

    For other thresholds of the outcomes: ``containment_metrics() | {"outcome": Outcomes(...)}``.

    Parameters
    ----------
    reference
        Reference of `size_standardized_iou`, to be reported with it.

    Returns
    -------
    dict of str to MaskMetric
        `iou`, `size_standardized_iou`, `coverage`, `informedness`, `overlap_coefficient`,
        `volumetric_similarity`, and ``outcome``.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import containment_metrics
    >>> masks, truth = torch.ones(2, 2, dtype=torch.bool), torch.eye(2, dtype=torch.bool)
    >>> for name, metric in containment_metrics().items():
    ...     print(f"{name:<21} {metric(masks, truth):.2f}")
    iou                   0.50
    size_standardized_iou 0.05
    coverage              1.00
    informedness          0.00
    overlap_coefficient   1.00
    volumetric_similarity 0.67
    outcome               0.00
    """
    return {
        "iou": iou,
        "size_standardized_iou": partial(size_standardized_iou, reference=reference),
        "coverage": coverage,
        "informedness": informedness,
        "overlap_coefficient": overlap_coefficient,
        "volumetric_similarity": volumetric_similarity,
        "outcome": Outcomes(),
    }


@dataclass(frozen=True)
class ZeroWithoutObject:
    """A metric of masks that scores 0 for any marked pixel on an image without an object.

    By default such images have no score. With this metric every marked negative image lowers the
    mean, so the mean depends on the number of negative images.

    Parameters
    ----------
    metric
        A metric of masks whose higher scores are better and whose worst score is 0, such as `iou`,
        `dice` or `precision`.
    both_empty
        Score in [0, 1] of an image with neither object nor marked pixel, for example 1. By default
        it has no score.

    Raises
    ------
    SettingError
        If `metric` is not marked as one of masks with higher scores better, or `both_empty` is
        neither None nor in [0, 1].

    References
    ----------
    A. Saporta et al., "Benchmarking Saliency Methods for Chest X-ray Interpretation", Nature
    Machine Intelligence 4 (2022), whose released code leaves out true negatives and can score
    false positives as 0.

    Examples
    --------
    >>> import torch
    >>> from cameval import iou
    >>> from cameval.metrics import ZeroWithoutObject
    >>> empty = torch.zeros(2, 2, dtype=torch.bool)
    >>> metric = ZeroWithoutObject(iou)
    >>> iou(~empty, empty), metric(~empty, empty), metric(empty, empty)
    (tensor(nan), tensor(0.), tensor(nan))
    >>> ZeroWithoutObject(iou, both_empty=1)(empty, empty)
    tensor(1.)
    """

    label: ClassVar[str] = "zero_without_object"
    takes: ClassVar[Takes] = "masks"
    higher_is_better: ClassVar[bool | None] = True

    metric: MaskMetric
    both_empty: float | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        check_callable("metric", self.metric, "cameval.metrics")
        if takes(self.metric) != "masks" or higher_is_better(self.metric) is not True:
            raise SettingError(
                "metric must take masks, have higher_is_better = True and 0 as its worst score, "
                f"got {self.metric!r}; mark it with of_masks(higher_is_better=True)"
            )
        if self.both_empty is not None and not (
            isinstance(self.both_empty, Real) and 0 <= self.both_empty <= 1
        ):
            raise SettingError(f"both_empty must be None or in [0, 1], got {self.both_empty!r}")

    @property
    def pixelwise(self) -> bool:
        """Whether the metric is one of the pixels' values only."""
        return is_pixelwise(self.metric)

    @property
    def from_sample(self) -> tuple[str, ...]:
        """The settings that the metric takes from each sample."""
        return settings_from_sample(self.metric)

    @property
    def unit(self) -> Unit | None:
        """The unit of the metric's lengths."""
        return unit_of(self.metric)

    @property
    def denominator(self) -> Callable[..., Any] | None:
        """The denominator of the metric; a score of 0 without an object has it as well."""
        return denominator(self.metric)

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        inner = title_of(self.metric) or getattr(self.metric, "label", None)
        if inner is None:
            inner = getattr(self.metric, "__name__", type(self.metric).__name__)
        empty = "" if self.both_empty is None else f", {self.both_empty:g} without marks"
        return f"{inner.replace('_', ' ')} (0 for marks on negatives{empty})"

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return scores ``(...)`` of boolean masks ``(..., H, W)``, or of volumes."""
        pair = mask_pair(pred, target)
        metric: Callable[..., Any] = self.metric
        result = metric(pred, target)  # of one NumPy image a scalar
        scores = exact(
            as_tensor(result if isinstance(result, Tensor) else np.asarray(result), "scores")
        )
        marked, object_there = (masks.flatten(scores.ndim).any(-1) for masks in pair)
        neither = float("nan") if self.both_empty is None else float(self.both_empty)
        without = torch.zeros_like(scores).masked_fill(~marked, neither)
        return as_scores(scores.where(object_there, without), pred)

    def __repr__(self) -> str:
        """Show a function by its name."""
        name = getattr(self.metric, "__name__", None) or repr(self.metric)
        return f"ZeroWithoutObject({name}, both_empty={self.both_empty})"

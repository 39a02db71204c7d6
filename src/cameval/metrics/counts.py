"""Pixel counts of masks, on which the metrics of masks are formulas.

Counts of disjoint pixels add, so a pooled score is the formula of summed counts. Inside
``with memo():`` each mask, and each pair of masks, is counted once for all metrics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Array, as_scores, exact, mask_pair
from cameval._memo import memoized
from cameval.metrics.properties import of_masks, undefined_without_truth

__all__ = ["Counts", "score_counts"]

F = TypeVar("F")

_LARGE = 64 * 64
"""From this number of pixels on, NumPy counts image by image faster than torch counts a batch."""


@dataclass(frozen=True)
class Counts:
    """Numbers of pixels for each image. Counts of disjoint pixels add.

    Attributes
    ----------
    predicted, true, both, pixels
        Pixels in the predicted mask, in the true mask, in both, and in all, as floating tensors.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import Counts
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
    @memoized
    def of(cls, pred: Tensor, target: Tensor) -> "Counts":
        """Count boolean masks ``(..., H, W)`` of one shape."""
        true = count_true(target)
        pixels = torch.full_like(true, pred.shape[-2:].numel())
        return cls(count_true(pred), true, _count_both(pred, target), pixels)

    def __add__(self, other: "Counts") -> "Counts":
        """Add the counts of disjoint pixels."""
        return Counts(
            self.predicted + other.predicted,
            self.true + other.true,
            self.both + other.both,
            self.pixels + other.pixels,
        )

    @property
    def recall(self) -> Tensor:
        """Share of the true pixels that are predicted (`coverage`).

        Examples
        --------
        >>> import torch
        >>> from cameval.metrics import Counts
        >>> pred, target = torch.tensor([[True, True, False]]), torch.tensor([[True, False, True]])
        >>> Counts.of(pred, target).recall
        tensor(0.5000, dtype=torch.float64)
        """
        return self.both / self.true

    @property
    def false_positive_rate(self) -> Tensor:
        """Share of the other pixels that are predicted; NaN if every pixel is true.

        Examples
        --------
        >>> import torch
        >>> from cameval.metrics import Counts
        >>> pred, target = torch.tensor([[True, True, False]]), torch.tensor([[True, False, False]])
        >>> Counts.of(pred, target).false_positive_rate
        tensor(0.5000, dtype=torch.float64)
        """
        return (self.predicted - self.both) / (self.pixels - self.true)


@of_masks(pixelwise=True)
def score_counts(
    formula: Callable[[Counts], Tensor], pred: Array, target: Array, /, *, needs_truth: bool = True
) -> Array:
    """Score each image by a formula on its counts.

    Parameters
    ----------
    formula
        From `Counts` to scores. NaN where the score is undefined.
    pred, target
        Boolean masks of one shape ``(..., H, W)``.
    needs_truth
        Whether an empty truth gives NaN, whatever the formula returns. Set it to False for scores
        that are defined without an object.

    Returns
    -------
    Array
        One score for each image, shape ``(...)``.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.

    Examples
    --------
    The size of the mask as a multiple of the size of the truth:

    >>> from functools import partial
    >>> import torch
    >>> from cameval.metrics import score_counts
    >>> size_ratio = partial(score_counts, lambda n: n.predicted / n.true)
    >>> size_ratio(torch.ones(2, 2, dtype=torch.bool), torch.eye(2, dtype=torch.bool))
    tensor(2.)
    """
    given: Any = pred
    counts = given if isinstance(given, Counts) else Counts.of(*mask_pair(pred, target))
    scores = formula(counts)
    if needs_truth:
        scores = undefined_without_truth(scores, counts.true)
    template: Any = counts.true if isinstance(given, Counts) else pred
    scored: Array = as_scores(scores, template)
    return scored


_FORMULAS: list[object] = [score_counts]


def formula_of_counts(metric: F) -> F:
    """Mark a metric of masks, or a class of metrics, as a formula of `Counts` by `score_counts`.

    It can be given counts in place of both masks, so it is called once for images of any sizes.
    The mark is of this object only: a function that wraps it is another metric.
    """
    _FORMULAS.append(metric)
    return metric


def is_formula_of_counts(metric: object) -> bool:
    """Tell whether a metric is marked as a formula of counts; a partial is as its function is."""
    while isinstance(metric, partial):
        metric = metric.func
    return any(one is metric or one is type(metric) for one in _FORMULAS)


def _count_both(pred: Tensor, target: Tensor) -> Tensor:
    """Return the number of pixels in both masks of each image, shape ``(...)``."""
    if not _counts_by_image(pred):
        return exact((pred & target).view(torch.uint8).sum((-2, -1), dtype=torch.int32))
    pairs = zip(_images(pred), _images(target), strict=True)
    counts = [np.count_nonzero(one & other) for one, other in pairs]
    return torch.tensor(counts, dtype=torch.float64).reshape(pred.shape[:-2])


@memoized
def count_true(mask: Tensor) -> Tensor:
    """Return the number of true pixels of each image, shape ``(...)``."""
    if not _counts_by_image(mask):
        return exact(mask.view(torch.uint8).sum((-2, -1), dtype=torch.int32))
    counts = [np.count_nonzero(image) for image in _images(mask)]
    return torch.tensor(counts, dtype=torch.float64).reshape(mask.shape[:-2])


def _counts_by_image(mask: Tensor) -> bool:
    return mask.is_cpu and mask.shape[-2:].numel() >= _LARGE


def _images(mask: Tensor) -> NDArray[np.bool_]:
    images: NDArray[np.bool_] = mask.reshape(-1, *mask.shape[-2:]).numpy()
    return images

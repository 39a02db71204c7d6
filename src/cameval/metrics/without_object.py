"""Scores of images without an object, where overlap is undefined by default."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import torch

from cameval._arrays import Array, as_scores, as_tensor, exact, mask_pair
from cameval.errors import SettingError
from cameval.metrics.properties import Takes, higher_is_better, takes

__all__ = ["ZeroWithoutObject"]


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

    metric: Callable[..., Any]
    both_empty: float | None = None

    def __post_init__(self) -> None:
        """Check the settings."""
        if takes(self.metric) != "masks" or higher_is_better(self.metric) is not True:
            raise SettingError(
                "metric must take masks, have higher_is_better = True and 0 as its worst score, "
                f"got {self.metric!r}; mark it with of_masks(higher_is_better=True)"
            )
        if self.both_empty is not None and not (
            isinstance(self.both_empty, Real) and 0 <= self.both_empty <= 1
        ):
            raise SettingError(f"both_empty must be None or in [0, 1], got {self.both_empty!r}")

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return scores ``(...)`` of boolean masks ``(..., H, W)``."""
        marked, object_there = (masks.any(-1).any(-1) for masks in mask_pair(pred, target))
        scores = exact(as_tensor(self.metric(pred, target), "scores"))
        neither = float("nan") if self.both_empty is None else float(self.both_empty)
        without = torch.zeros_like(scores).masked_fill(~marked, neither)
        return as_scores(scores.where(object_there, without), pred)

    def __repr__(self) -> str:
        """Show a function by its name."""
        name = getattr(self.metric, "__name__", None) or repr(self.metric)
        return f"ZeroWithoutObject({name}, both_empty={self.both_empty})"

"""What a metric is, and the one policy for its edge cases.

===============================  ==================================================================
case                             score
===============================  ==================================================================
empty truth, any prediction      NaN: undefined, to be counted and never dropped in silence
empty prediction, not the truth  the worst, 0 (for `informedness` also the level of chance)
everything predicted             the plain formula
everything true                  `informedness`, `size_standardized_iou` and `pixel_auroc` are NaN,
                                 for there is no pixel to raise a false alarm on
constant map                     `pixel_auroc` .5; `pixel_average_precision`,
                                 `relevance_rank_accuracy` and `pointing_game` the area share of the
                                 truth; `relevance_mass_accuracy` the same if the constant is
                                 positive, else NaN
ties in a map                    the expectation over all orders of the tied pixels
NaN or infinity in a map         `NonFiniteError`
other shapes or dtypes           an error: nothing is resized, masks are boolean
===============================  ==================================================================

Whether a score is defined depends on the truth (and on the map's positive part), never on how good
the prediction is.
"""

from typing import Protocol

from torch import Tensor

__all__ = ["MapMetric", "MaskMetric", "undefined_without_truth"]


class MaskMetric(Protocol):
    """Any callable from predicted and true torch masks to one score for each image."""

    def __call__(self, pred: Tensor, target: Tensor, /) -> Tensor:
        """Return scores ``(...)`` of boolean masks ``(..., H, W)``."""
        ...


class MapMetric(Protocol):
    """Any callable from torch score maps and true masks to one score for each image."""

    def __call__(self, maps: Tensor, target: Tensor, /) -> Tensor:
        """Return scores ``(...)`` of real maps and boolean masks ``(..., H, W)``."""
        ...


def undefined_without_truth(scores: Tensor, true: Tensor) -> Tensor:
    """Return `scores`, but NaN where no pixel is true."""
    return scores.where(true > 0, float("nan"))

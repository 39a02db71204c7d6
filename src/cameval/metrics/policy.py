"""What a metric is, and the one policy for its edge cases.

===============================  ==================================================================
case                             score
===============================  ==================================================================
empty truth, any prediction      NaN: undefined, to be counted and never dropped in silence
empty prediction, not the truth  the worst, 0 (for `informedness`, `matthews_correlation` and
                                 `cohen_kappa` also the level of chance); NaN for distances, or the
                                 image's diagonal if asked for; the false-alarm rate is 0
everything predicted             the plain formula
everything true                  NaN for all that counts false alarms: `false_positive_rate`,
                                 `specificity`, `informedness`, `size_standardized_iou`,
                                 `matthews_correlation`, `cohen_kappa`, `chance_corrected_overlap`,
                                 `pixel_auroc` and the skills, for there is no pixel to raise a
                                 false alarm on
constant map                     `pixel_auroc` .5; `pixel_average_precision`,
                                 `relevance_rank_accuracy`, `oracle_iou` and `pointing_game` the
                                 area share of the truth; `relevance_mass_accuracy` the same if the
                                 constant is positive, else NaN; skills 0
ties in a map                    the expectation over all orders of the tied pixels
NaN or infinity in a map         `NonFiniteError`
other shapes or dtypes           an error: nothing is resized, masks are boolean
===============================  ==================================================================

Whether a score is defined depends on the truth (and on the map's positive part), never on how good
the prediction is; distances to an empty prediction are the exception.

More is better, but for the metrics that `less_is_better` knows.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol, TypeVar

from torch import Tensor

__all__ = [
    "MapMetric",
    "MaskMetric",
    "NetworkMetric",
    "Takes",
    "less_is_better",
    "of_maps",
    "of_network",
    "takes",
    "undefined_without_truth",
]

Takes = Literal["masks", "maps", "network"]
"""What a metric is given: predicted masks, score maps, or the network itself."""

_LESS = frozenset(
    (
        "AreaToCover",
        "AverageSurfaceDistance",
        "CentroidDistance",
        "Deletion",
        "HausdorffDistance",
        "average_drop",
        "complexity",
        "false_positive_rate",
    )
)

F = TypeVar("F", bound=Callable[..., object])


class MaskMetric(Protocol):
    """Any callable from predicted and true torch masks to one score for each image."""

    def __call__(self, pred: Tensor, target: Tensor, /) -> Tensor:
        """Return scores ``(...)`` of boolean masks ``(..., H, W)``."""
        ...


class MapMetric(Protocol):
    """Any callable from torch score maps and true masks to one score for each image.

    It is marked with `of_maps`, or has a class attribute ``takes = "maps"``.
    """

    def __call__(self, maps: Tensor, target: Tensor, /) -> Tensor:
        """Return scores ``(...)`` of real maps and boolean masks ``(..., H, W)``."""
        ...


class NetworkMetric(Protocol):
    """Any callable that shows changed images to the network; it knows nothing of true masks.

    It is marked with `of_network`, or has a class attribute ``takes = "network"``.
    """

    def __call__(
        self,
        network: Callable[[Tensor], Tensor],
        images: Tensor,
        maps: Tensor,
        classes: Tensor,
        /,
    ) -> Tensor:
        """Return scores ``(N,)``.

        Parameters
        ----------
        network
            From images ``(N, channels, H, W)`` to logits ``(N, C)``, in evaluation mode, without a
            graph.
        images
            What the network saw, ``(N, channels, H, W)``, normalized.
        maps
            Raw maps on the images, ``(N, H, W)``.
        classes
            The class that each map explains, ``(N,)``.
        """
        ...


def of_maps(metric: F) -> F:
    """Mark a metric that scores the map itself: ``metric(maps, target)``.

    Unmarked, a metric is taken to score masks.

    Examples
    --------
    >>> @of_maps
    ... def mean_inside(maps, target):
    ...     return (maps * target).sum((-2, -1)) / target.sum((-2, -1))
    >>> takes(mean_inside), takes(iou)
    ('maps', 'masks')
    """
    metric.__dict__["takes"] = "maps"
    return metric


def of_network(metric: F) -> F:
    """Mark a metric that needs the network: ``metric(network, images, maps, classes)``."""
    metric.__dict__["takes"] = "network"
    return metric


def takes(metric: object) -> Takes:
    """Say what a metric is given; a ``functools.partial`` takes what its function takes."""
    while isinstance(metric, partial):
        metric = metric.func
    kind: Takes = getattr(metric, "takes", "masks")
    return kind


def less_is_better(described: str) -> bool:
    """Tell whether less of a metric is better, by its name or by what a record has for it.

    Of a metric that is not one of cameval's, more is taken to be better.

    Examples
    --------
    >>> from cameval.metrics.policy import less_is_better
    >>> less_is_better("false_positive_rate"), less_is_better("iou")
    (True, False)
    >>> less_is_better("HausdorffDistance(percentile=95)")
    True
    """
    return described.partition("(")[0] in _LESS


def undefined_without_truth(scores: Tensor, true: Tensor) -> Tensor:
    """Return `scores`, but NaN where no pixel is true."""
    return scores.where(true > 0, float("nan"))

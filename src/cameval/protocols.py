"""Protocols of the parts that users can plug in: methods, binarizers, metrics and baselines.

Each is a plain callable; there is no base class and no registry. Properties of a metric or baseline
(what it takes, whether higher is better, what it knows) are attributes that decorators set: see
`cameval.metrics.properties` and `cameval.baselines.properties`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from torch import Tensor

from cameval.data import Sample
from cameval.maps import CellCenters
from cameval.networks import Activations, Target

__all__ = [
    "Baseline",
    "BaselineInput",
    "Binarizer",
    "CAMMethod",
    "MapMetric",
    "MaskMetric",
    "Metric",
    "NetworkMetric",
]


class CAMMethod(Protocol):
    """From what a network's pass left behind to one raw map per image.

    A method is a function ``(activations, target) -> maps``. The target is one class per image
    ``(N,)``, or a function of the network's output; the maps are ``(N, h, w)`` on the feature grid:
    signed if the formula is, never scaled. A method with settings is a frozen dataclass with this
    ``__call__``.
    """

    def __call__(self, activations: Activations, target: Target, /) -> Tensor:
        """Map the target's score of each image."""
        ...


class Binarizer(Protocol):
    """Any callable from torch maps to boolean masks of the same shape, each map by itself."""

    def __call__(self, maps: Tensor, /) -> Tensor:
        """Return boolean masks ``(..., H, W)`` of real maps ``(..., H, W)``."""
        ...


class MaskMetric(Protocol):
    """Any callable from predicted and true torch masks to one score for each image.

    It is marked with `of_masks`, or has a class attribute ``takes = "masks"``.
    """

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
            graph. In an evaluation their softmax are the probabilities of the classes: a network of
            one logit has two there.
        images
            What the network saw, ``(N, channels, H, W)``, normalized.
        maps
            Raw maps on the images, ``(N, H, W)``.
        classes
            The class that each map explains, ``(N,)``.
        """
        ...


Metric: TypeAlias = MaskMetric | MapMetric | NetworkMetric


@dataclass(frozen=True, eq=False)
class BaselineInput:
    """Images that are scored together, on one grid.

    Parameters
    ----------
    samples
        The records, ``N`` of them.
    images
        What the network saw, ``(N, channels, h, w)``, normalized.
    truth
        True masks on the grid of the scores, ``(N, H, W)``.
    classes
        The class that each map explains, ``(N,)``.
    cells
        Height and width of the network's coarse maps.
    cell_centers
        Where these cells lie in the images; None lets the cells fill the image evenly.
    """

    samples: Sequence[Sample]
    images: Tensor
    truth: Tensor
    classes: Tensor
    cells: tuple[int, ...]
    cell_centers: CellCenters | None = None


class Baseline(Protocol):
    """Any callable from a batch to maps that the network's are compared with.

    A map must depend on its own sample alone, not on the rest of the batch.
    """

    def __call__(self, batch: BaselineInput, /) -> Tensor:
        """Return floating maps ``(N, H, W)`` on the grid of ``batch.truth``."""
        ...

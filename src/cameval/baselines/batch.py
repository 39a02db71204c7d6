"""What a blind map may know: a batch of images as they are evaluated."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from cameval.data import Sample
from cameval.geometry import Place

__all__ = ["Baseline", "Batch"]


@dataclass(frozen=True, eq=False)
class Batch:
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
    place
        Where these cells lie in the images, as the maps are laid on them; None lets the cells fill
        the image evenly.
    """

    samples: Sequence[Sample]
    images: Tensor
    truth: Tensor
    classes: Tensor
    cells: tuple[int, ...]
    place: Place | None = None


class Baseline(Protocol):
    """Any callable from a batch to maps that the network's are held against.

    A map must depend on its own sample alone, not on the rest of the batch.
    """

    def __call__(self, batch: Batch, /) -> Tensor:
        """Return floating maps ``(N, H, W)`` on the grid of ``batch.truth``."""
        ...

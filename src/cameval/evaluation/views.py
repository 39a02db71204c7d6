"""A batch as it is evaluated: what the network sees, and the true masks, grid by grid."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cameval.data import Sample
from cameval.errors import CamevalError, ClassIndexError, ShapeError
from cameval.evaluation.plan import Explained
from cameval.evaluation.prepare import Prepare
from cameval.extractor import choose

__all__ = ["Grid", "View"]


@dataclass(frozen=True, eq=False)
class Grid:
    """The samples whose maps are scored on grids of one size.

    Parameters
    ----------
    rows
        Their places in the batch, ``(n,)``.
    truth
        Their true masks, ``(n, H, W)``.
    """

    rows: Tensor
    truth: Tensor


@dataclass(frozen=True, eq=False)
class View:
    """A batch of N samples, prepared.

    Parameters
    ----------
    samples
        The records.
    images
        The network's input, ``(N, channels, h, w)``.
    grids
        The true masks, by size.
    """

    samples: Sequence[Sample]
    images: Tensor
    grids: Sequence[Grid]

    @classmethod
    def of(cls, samples: Sequence[Sample], prepare: Prepare, device: torch.device) -> "View":
        """Prepare every sample; what is wrong with one is said with its name."""
        images: list[Tensor] = []
        truths: list[Tensor] = []
        for sample in samples:
            try:
                image, truth = prepare(sample)
            except CamevalError as error:
                raise type(error)(f"sample {sample.name!r}: {error}") from error
            if truth.ndim != 2 or truth.dtype != torch.bool:
                raise ShapeError(
                    f"sample {sample.name!r}: prepare must return a boolean mask (H, W), "
                    f"got {truth.dtype} of shape {tuple(truth.shape)}"
                )
            if images and image.shape != images[0].shape:
                raise ShapeError(
                    f"sample {sample.name!r}: prepare must return images of one shape, "
                    f"got {tuple(image.shape)} after {tuple(images[0].shape)}; resize them"
                )
            images.append(image)
            truths.append(truth)
        sizes = [truth.shape for truth in truths]
        by_size = {
            size: [i for i, other in enumerate(sizes) if other == size]
            for size in dict.fromkeys(sizes)
        }
        grids = [
            Grid(torch.tensor(rows), torch.stack([truths[i] for i in rows]).to(device))
            for rows in by_size.values()
        ]
        return cls(samples, torch.stack(images).to(device), grids)

    @property
    def labels(self) -> Tensor:
        """The true classes, ``(N,)``."""
        return torch.tensor([sample.label for sample in self.samples])

    @property
    def areas(self) -> Tensor:
        """The share of the pixels that are true, ``(N,)``."""
        areas = torch.empty(len(self.samples), dtype=torch.float64)
        for grid in self.grids:
            areas[grid.rows] = grid.truth.cpu().double().mean((1, 2))
        return areas

    def classes(self, how: Explained, logits: Tensor) -> Tensor:
        """Return the classes that maps explain, ``(N,)``."""
        if how == "predicted":
            return choose(None, None, logits)
        if how == "true":
            outside = self.labels >= logits.shape[1]
            if outside.any():
                sample = self.samples[int(outside.nonzero()[0, 0])]
                raise ClassIndexError(
                    f"sample {sample.name!r}: label must be one of the network's "
                    f"{logits.shape[1]} classes, got {sample.label}"
                )
            return choose(self.labels, None, logits)
        classes = choose(how, None, logits)
        if classes.ndim != 1:
            raise ShapeError(f"classes must be one per image, got shape {tuple(classes.shape)}")
        return classes

"""Sources of the maps of a batch: the methods and the baselines."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cameval.data import Sample
from cameval.errors import CamevalError, ClassIndexError, DataError, NonFiniteError, ShapeError
from cameval.evaluation._plan import Plan, TargetClass
from cameval.evaluation.preparation import Prepare
from cameval.extractor import coarse_maps
from cameval.maps import CellCenters, upsample
from cameval.networks import Activations
from cameval.networks._outputs import count_classes
from cameval.networks.activations import without_graph
from cameval.protocols import Baseline, BaselineInput
from cameval.target_classes import choose_classes

NO_LABEL = -1
"""The label of a sample without a label, in arrays."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The samples of a batch whose true masks have one size.

    Parameters
    ----------
    rows
        Their indices in the batch, ``(n,)``.
    truth
        Their true masks, ``(n, H, W)``.
    """

    rows: Tensor
    truth: Tensor


@dataclass(frozen=True, eq=False)
class View:
    """A prepared batch of N samples.

    Parameters
    ----------
    samples
        The samples.
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
        """Prepare every sample; an error names it."""
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
        """The true classes, ``(N,)``; -1 where one is not known."""
        return torch.tensor([NO_LABEL if s.label is None else s.label for s in self.samples])

    @property
    def areas(self) -> Tensor:
        """The share of the pixels that are true, ``(N,)``."""
        areas = torch.empty(len(self.samples), dtype=torch.float64)
        for grid in self.grids:
            areas[grid.rows] = grid.truth.cpu().double().mean((1, 2))
        return areas

    def classes(self, how: TargetClass, logits: Tensor) -> Tensor:
        """Return the target classes, ``(N,)``; of one logit, 0 and 1.

        Raises
        ------
        DataError
            If the true classes are wanted and a sample has no label; it is named.
        ClassIndexError
            If one is no class of the network.
        ShapeError
            If there is not one class per image.
        """
        if how == "predicted":
            return choose_classes(None, None, logits)
        if how == "true":
            self._check_labels(count_classes(logits))
            how = _constant_function(self.labels)
        classes = choose_classes(how, None, logits)
        if classes.ndim != 1:
            raise ShapeError(f"classes must be one per image, got shape {tuple(classes.shape)}")
        return classes

    def _check_labels(self, classes: int) -> None:
        for sample in self.samples:
            if sample.label is None:
                raise DataError(
                    f"sample {sample.name!r}: maps of the true class need a label, got none; "
                    "give classes='predicted', or a label to each sample"
                )
            if sample.label >= classes:
                raise ClassIndexError(
                    f"sample {sample.name!r}: label must be one of the network's "
                    f"{classes} classes, got {sample.label}"
                )


def _constant_function(classes: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda _logits: classes


Source = Callable[[Grid], Tensor]
"""From samples of the batch to their maps ``(n, H, W)``, of the size of their masks."""


def map_sources(
    plan: Plan,
    view: View,
    activations: Activations,
    classes: Tensor,
    cell_centers: CellCenters | None,
) -> Iterator[Source]:
    """Yield the source of the maps of each method, then of each baseline."""
    for name, method in plan.methods.items():
        with without_graph():
            coarse = coarse_maps(activations, method, classes)
        _check_finite(coarse, view.samples, name)
        yield _MethodMaps(coarse, tuple(view.images.shape[2:]), cell_centers)
    cells = tuple(activations.features.shape[2:])
    for name, baseline in plan.baselines.items():
        yield _BaselineMaps(name, baseline, view, classes, cells, cell_centers)


@dataclass(frozen=True, eq=False)
class _MethodMaps:
    """The maps of a method, upsampled to the size of the true masks."""

    coarse: Tensor
    image_size: tuple[int, ...]
    cell_centers: CellCenters | None

    def __call__(self, grid: Grid) -> Tensor:
        coarse = self.coarse[grid.rows.to(self.coarse.device)]
        size = tuple(grid.truth.shape[1:])
        return upsample(coarse, size, cell_centers=self.cell_centers, image_size=self.image_size)


@dataclass(frozen=True, eq=False)
class _BaselineMaps:
    """The maps of a baseline."""

    name: str
    baseline: Baseline
    view: View
    classes: Tensor
    cells: tuple[int, ...]
    cell_centers: CellCenters | None

    def __call__(self, grid: Grid) -> Tensor:
        samples = [self.view.samples[row] for row in grid.rows.tolist()]
        rows = grid.rows.to(self.classes.device)
        images, classes = self.view.images[rows], self.classes[rows]
        maps: object = self.baseline(
            BaselineInput(samples, images, grid.truth, classes, self.cells, self.cell_centers)
        )
        if not isinstance(maps, Tensor) or maps.shape != grid.truth.shape:
            came = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
            raise ShapeError(
                f"baseline {self.name} must return maps of shape {tuple(grid.truth.shape)}, "
                f"got {came}"
            )
        _check_finite(maps, samples, self.name)
        return maps.to(grid.truth.device)


def _check_finite(maps: Tensor, samples: Sequence[Sample], source: str) -> None:
    good = maps.isfinite().flatten(1).all(1)
    if not good.all():
        name = samples[int((~good).nonzero()[0, 0])].name
        raise NonFiniteError(
            f"maps must be finite, got NaN or infinity from {source} for sample {name!r}; "
            "look for an overflow in the network"
        )

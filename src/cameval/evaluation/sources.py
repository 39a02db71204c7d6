"""The maps of a batch: those of the methods, and those of the baselines."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from cameval.baselines import Baseline, Batch
from cameval.data import Sample
from cameval.errors import NonFiniteError, ShapeError
from cameval.evaluation.plan import Plan
from cameval.evaluation.views import Grid, View
from cameval.extractor import coarse_maps
from cameval.geometry import Place
from cameval.maps import upsample
from cameval.networks import Activations
from cameval.networks.activations import without_graph

__all__ = ["Source", "sources"]

Source = Callable[[Grid], Tensor]
"""From some samples of the batch to their maps ``(n, H, W)``, on the grid of their masks."""


def sources(
    plan: Plan, view: View, activations: Activations, classes: Tensor, place: Place | None
) -> Iterator[Source]:
    """Yield what makes maps: each method, then each baseline."""
    for name, method in plan.methods.items():
        with without_graph():
            coarse = coarse_maps(activations, method, classes)
        _check_finite(coarse, view.samples, name)
        yield _Upsampled(coarse, tuple(view.images.shape[2:]), place)
    cells = tuple(activations.features.shape[2:])
    for name, baseline in plan.baselines.items():
        yield _Blind(name, baseline, view, classes, cells, place)


@dataclass(frozen=True, eq=False)
class _Upsampled:
    """The maps of a method, laid on each sample's own grid."""

    coarse: Tensor
    image_size: tuple[int, ...]
    place: Place | None

    def __call__(self, grid: Grid) -> Tensor:
        coarse = self.coarse[grid.rows.to(self.coarse.device)]
        size = tuple(grid.truth.shape[1:])
        return upsample(coarse, size, place=self.place, image_size=self.image_size)


@dataclass(frozen=True, eq=False)
class _Blind:
    """The maps of a baseline."""

    name: str
    baseline: Baseline
    view: View
    classes: Tensor
    cells: tuple[int, ...]
    place: Place | None

    def __call__(self, grid: Grid) -> Tensor:
        samples = [self.view.samples[row] for row in grid.rows.tolist()]
        rows = grid.rows.to(self.classes.device)
        images, classes = self.view.images[rows], self.classes[rows]
        maps: object = self.baseline(
            Batch(samples, images, grid.truth, classes, self.cells, self.place)
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

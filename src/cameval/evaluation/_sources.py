"""Prepared batches, and the sources of their maps: methods, maps made elsewhere, baselines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from cameval._arrays import unwritten
from cameval._deferred import holds
from cameval._memo import memoized
from cameval.baselines import ClassMeanBaseline
from cameval.data import Objects, Sample
from cameval.errors import (
    CamevalError,
    ClassIndexError,
    DataError,
    NonFiniteError,
    SettingError,
    ShapeError,
)
from cameval.evaluation._map_checks import check_map
from cameval.evaluation._plan import MapSource, Plan, TargetClass
from cameval.evaluation._sample_sums import image_sum
from cameval.evaluation.preparation import Preparation, Prepare, Prepared, Window
from cameval.evaluation.same_maps import map_sum
from cameval.extractor import coarse_maps
from cameval.maps import CellCenters, upsample
from cameval.networks import Activations
from cameval.networks.activations import without_graph
from cameval.protocols import Baseline, BaselineInput, CAMMethod
from cameval.target_classes import choose_classes

NO_LABEL = -1
"""The label of a sample without a label, in arrays."""

_CELLS = 7
"""Cells along each axis of a baseline's coarse maps where there is no network."""


@dataclass(frozen=True, eq=False)
class Grid:
    """The rows of a batch whose truth has one size, spacing and part of the input.

    Parameters
    ----------
    rows
        Their indices in the batch, ``(n,)``.
    truth
        Their true masks, ``(n, H, W)``, or ``(n, D, H, W)`` of volumes.
    keep
        The pixels that count, ``(n, H, W)``; None if all do.
    window
        The part of the network's input that the grid shows; None if all of it.
    spacing
        Distance between pixels along each axis; None if it is not known.
    prepared
        The rows as they were prepared.
    samples
        The sample of each row, with one target.
    """

    rows: Tensor
    truth: Tensor
    keep: Tensor | None
    window: Window | None
    spacing: tuple[float, ...] | None
    prepared: Sequence[Prepared] = field(repr=False)
    samples: Sequence[Sample] = field(repr=False)

    @property
    def axes(self) -> int:
        """The number of spatial axes, 2 or 3."""
        return self.truth.ndim - 1

    @cached_property
    def objects(self) -> list[Objects]:
        """The objects of each row; those of the mask's components if no others are known."""
        found: list[Objects] = []
        for prepared, sample in zip(self.prepared, self.samples, strict=True):
            mask = prepared.truth.cpu().numpy()
            (target,) = sample.targets
            if prepared.objects is not None:
                found.append(prepared.objects)
            elif mask.shape == target.mask.shape and (mask == target.mask).all():
                found.append(target.objects)
            else:
                found.append(Objects.of_components(mask))
        return found


@dataclass(frozen=True, eq=False)
class View:
    """A prepared batch of M samples with N targets: N rows.

    Parameters
    ----------
    samples
        The samples, M of them.
    rows
        The sample of each row, with one target.
    image_of
        The index of the sample of each row, ``(N,)``.
    place
        The number of the row's target among those of its sample, ``(N,)``.
    inputs
        The network's input of each sample; one tensor if all have one shape.
    grids
        The truth of the rows, by size.
    """

    samples: Sequence[Sample]
    rows: Sequence[Sample]
    image_of: Tensor
    place: Tensor
    inputs: Sequence[Tensor] | Tensor
    grids: Sequence[Grid]
    device: torch.device

    @classmethod
    def of(cls, samples: Sequence[Sample], prepare: Prepare, device: torch.device) -> "View":
        """Prepare every sample; an error names it."""
        images: list[Tensor] = []
        rows: list[Sample] = []
        prepared: list[Prepared] = []
        image_of: list[int] = []
        place: list[int] = []
        for k, sample in enumerate(samples):
            targets = sample.by_target()
            try:
                found = prepare_targets(prepare, targets)
            except CamevalError as error:
                raise type(error)(f"sample {sample.name!r}: {error}") from error
            for one in found:
                _check_prepared(one, sample.name)
            images.append(found[0].image)
            prepared += found
            rows += targets
            image_of += [k] * len(targets)
            place += range(len(targets))
        inputs: list[Tensor] | Tensor = images
        if len({image.shape for image in images}) == 1:  # each image is in memory once
            inputs = torch.stack(images)
            of_rows = zip(prepared, image_of, strict=True)
            prepared = [replace(one, image=inputs[k]) for one, k in of_rows]
        by_size: dict[object, list[int]] = {}
        for row, one in enumerate(prepared):
            key = (one.truth.shape, one.window, one.spacing, one.ignore is None, one.image.shape)
            by_size.setdefault(key, []).append(row)
        grids = [_grid(at, prepared, rows, device) for at in by_size.values()]
        where = torch.tensor(image_of), torch.tensor(place)
        return cls(samples, rows, *where, inputs, grids, device)

    @cached_property
    def images(self) -> Tensor:
        """The network's input, ``(M, channels, h, w)``."""
        if isinstance(self.inputs, Tensor):
            return self.inputs.to(self.device)
        first = self.inputs[0]
        for sample, image in zip(self.samples, self.inputs, strict=True):
            if image.shape != first.shape:
                raise ShapeError(
                    f"sample {sample.name!r}: prepare must return images of one shape, "
                    f"got {tuple(image.shape)} after {tuple(first.shape)}; resize them, "
                    "or set batch_size=1"
                )
        return torch.stack([*self.inputs]).to(self.device)

    @property
    def passes(self) -> int:
        """The highest number of targets of a sample."""
        return int(self.place.max()) + 1

    @property
    def labels(self) -> Tensor:
        """The class of each row's target, ``(N,)``; -1 where one is not known."""
        return torch.tensor([NO_LABEL if s.label is None else s.label for s in self.rows])

    def of_pass(self, number: int) -> tuple[Tensor, Tensor]:
        """Return the rows of the targets of one number, and for each sample one of its rows.

        A sample with fewer targets has its first row there.
        """
        rows = (self.place == number).nonzero()[:, 0]
        first = (self.place == 0).nonzero()[:, 0]
        of_sample = first.clone()
        of_sample[self.image_of[rows]] = rows
        return rows, of_sample

    def classes(self, how: TargetClass, logits: Tensor) -> Tensor:
        """Return the target class of each row, ``(N,)``; of one logit, 0 and 1.

        Raises
        ------
        DataError
            If the true classes are wanted and a target has no label; its sample is named.
        ClassIndexError
            If one is no class of the network.
        ShapeError
            If there is not one class per image.
        """
        if how in ("true", "given"):
            self._check_known()
            return self.labels.to(logits.device)
        fixed = None if isinstance(how, str) else how
        classes = choose_classes(fixed, None, logits)
        if classes.ndim != 1:
            raise ShapeError(f"classes must be one per image, got shape {tuple(classes.shape)}")
        return classes[self.image_of.to(classes.device)]

    def _check_known(self) -> None:
        for sample in self.rows:
            if sample.label is None:
                raise DataError(
                    f"sample {sample.name!r}: maps of the true class need a label, got none; "
                    "give classes='predicted', or a label to each sample"
                )

    def check_labels(self, classes: int) -> None:
        """Check that the labels that are known are classes of the network.

        Raises
        ------
        ClassIndexError
            If one is not; its sample is named.
        """
        for sample in self.rows:
            if sample.label is not None and sample.label >= classes:
                raise ClassIndexError(
                    f"sample {sample.name!r}: label must be one of the network's {classes} "
                    f"classes, 0 to {classes - 1}, got {sample.label}; labels are counted from 0: "
                    "number them as the network's outputs, or leave a label that is no class None"
                )


def prepare_targets(prepare: Prepare, targets: Sequence[Sample]) -> list[Prepared]:
    """Prepare one sample for each of its targets; a `Preparation` prepares the image once."""
    if type(prepare) is Preparation:
        image, window = prepare.image(targets[0])
        return [prepare.with_truth(target, image, window) for target in targets]
    found = [prepare(target) for target in targets]
    return [one if isinstance(one, Prepared) else Prepared(*one) for one in found]


def _check_prepared(prepared: Prepared, name: str) -> None:
    truth, ignore = prepared.truth, prepared.ignore
    axes = prepared.image.ndim - 1
    if truth.ndim not in (2, 3) or truth.dtype != torch.bool or truth.ndim != axes:
        raise ShapeError(
            f"sample {name!r}: prepare must return a boolean mask (H, W), or (D, H, W) of a "
            f"volume, with an image of {axes} axes and channels, "
            f"got {truth.dtype} of shape {tuple(truth.shape)}"
        )
    if ignore is not None and (ignore.shape != truth.shape or ignore.dtype != torch.bool):
        raise ShapeError(
            f"sample {name!r}: prepare must return boolean ignored pixels of the truth's shape, "
            f"got {ignore.dtype} of shape {tuple(ignore.shape)}"
        )
    if ignore is not None and ignore.all():
        raise DataError(f"sample {name!r}: ignore must leave at least one pixel, got all of them")


def _grid(
    at: Sequence[int], prepared: Sequence[Prepared], rows: Sequence[Sample], device: torch.device
) -> Grid:
    first = prepared[at[0]]
    kept = [~one.ignore for k in at if (one := prepared[k]).ignore is not None]
    truth = torch.stack([prepared[k].truth for k in at])
    if kept:
        truth = truth & torch.stack(kept)
    return Grid(
        torch.tensor(at),
        truth.to(device),
        torch.stack(kept).to(device) if kept else None,
        first.window,
        first.spacing,
        [prepared[k] for k in at],
        [rows[k] for k in at],
    )


class Source(Protocol):
    """The source of the maps of a batch."""

    def __call__(self, grid: Grid, /) -> Tensor:
        """Return the maps of rows of the batch, ``(n, H, W)``, of the size of their masks."""
        ...

    def again(self, view: View, classes: Tensor, /) -> "Source | None":
        """Return the source of the maps of other images; None if they cannot be made again."""
        ...


def map_sources(
    plan: Plan,
    view: View,
    activations: Activations | None,
    classes: Tensor,
    cell_centers: CellCenters | None,
) -> Iterator[Source]:
    """Yield the source of the maps of each method, of those made elsewhere, of each baseline."""
    cells: tuple[int, ...] = ()
    if activations is not None:
        cells = tuple(activations.features.shape[2:])
        wanted = _wanted_classes(view, classes)
        for name, method in plan.methods.items():
            coarse = _coarse_maps(view, activations, method, wanted, cell_centers)
            _check_finite(coarse, view.rows, name)
            yield MethodMaps(name, method, coarse, view, activations, cell_centers)
    image_size = () if activations is None else tuple(view.images.shape[2:])
    for name, source in plan.maps.items():
        yield GivenMaps(name, source, cells, cell_centers, image_size)
    for name, baseline in plan.baselines.items():
        yield _BaselineMaps(name, baseline, view, classes, cells, cell_centers)


def _wanted_classes(view: View, classes: Tensor) -> list[Tensor]:
    """Return the target class of each sample in each pass, from that of each row."""
    if view.passes == 1:
        return [classes]
    passes = [view.of_pass(number)[1] for number in range(view.passes)]
    return [classes[of_sample.to(classes.device)] for of_sample in passes]


def _coarse_maps(
    view: View,
    activations: Activations,
    method: CAMMethod,
    wanted: Sequence[Tensor],
    cell_centers: CellCenters | None,
) -> Tensor:
    """Return the coarse map of each row. The features are those of one pass for all targets."""
    known: list[tuple[Tensor, Tensor]] = []
    found: Tensor | None = None
    for number, classes in enumerate(wanted):
        alike = (maps for same, maps in known if same.is_cpu and torch.equal(same, classes))
        coarse = next(alike, None)
        if coarse is None:
            with without_graph():
                coarse = coarse_maps(activations, method, classes, cell_centers)
            known.append((classes, coarse))
        if len(wanted) == 1:
            return coarse
        if found is None:
            found = coarse.new_empty(len(view.rows), *coarse.shape[1:])
        rows, _ = view.of_pass(number)
        found[rows.to(found.device)] = coarse[view.image_of[rows].to(coarse.device)]
    assert found is not None
    return found


@dataclass(frozen=True, eq=False)
class MethodMaps:
    """The maps of a method, upsampled to the size of the true masks."""

    name: str
    method: CAMMethod
    coarse: Tensor
    view: View
    activations: Activations
    cell_centers: CellCenters | None

    def __call__(self, grid: Grid) -> Tensor:
        return upsample(
            self.coarse[grid.rows.to(self.coarse.device)],
            tuple(grid.truth.shape[1:]),
            cell_centers=self.cell_centers,
            image_size=tuple(self.view.images.shape[2:]),
            window=grid.window,
        )

    def again(self, view: View, classes: Tensor) -> Source:
        """Return the source of the maps of other images, of which the network is run."""
        activations = self.activations.network.activations(view.images)
        wanted = _wanted_classes(view, classes)
        coarse = _coarse_maps(view, activations, self.method, wanted, self.cell_centers)
        _check_finite(coarse, view.rows, self.name)
        return replace(self, coarse=coarse, view=view, activations=activations)


@dataclass(frozen=True, eq=False)
class GivenMaps:
    """Maps made elsewhere, resized to the size of the true masks.

    Those of the grid of the run's network are aligned as the maps of methods.
    """

    name: str
    source: MapSource
    cells: tuple[int, ...] = ()
    cell_centers: CellCenters | None = None
    image_size: tuple[int, ...] = ()
    sums: dict[int, int] = field(default_factory=dict)

    def __call__(self, grid: Grid) -> Tensor:
        maps = [given_map(self.source, self.name, sample) for sample in grid.samples]
        for row, one in zip(grid.rows.tolist(), maps, strict=True):
            self.sums[row] = map_sum(one)
        return torch.stack([self._resized(one, grid) for one in maps]).to(grid.truth.device)

    def _resized(self, given: Tensor, grid: Grid) -> Tensor:
        size = tuple(grid.truth.shape[1:])
        if given.shape == size:
            return given
        if tuple(given.shape) != self.cells or grid.window is not None:
            return upsample(given, size)
        return upsample(
            given, size, cell_centers=self.cell_centers, image_size=self.image_size or None
        )

    def again(self, view: View, classes: Tensor) -> None:
        """Return nothing: the maps cannot be made of other images."""


def given_map(source: MapSource, name: str, sample: Sample) -> Tensor:
    """Return the map of a sample from a source, checked; an error names both."""
    stretch = bool(getattr(source, "stretch", False))
    found = source(sample)
    try:
        return check_map(found, sample, stretch=stretch)
    except CamevalError as error:
        label = "" if sample.label is None else f" of class {sample.label}"
        raise type(error)(f"maps {name!r}, sample {sample.name!r}{label}: {error}") from error


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
        classes = self.classes[grid.rows.to(self.classes.device)]
        given = BaselineInput(
            grid.samples,
            _inputs_of(self.view, grid),
            grid.truth,
            classes,
            self.cells or (_CELLS,) * grid.axes,
            self.cell_centers,
            grid.window,
        )
        if isinstance(self.baseline, ClassMeanBaseline):
            _check_others(self.name, self.baseline, grid.samples)
        with unwritten(f"baseline {self.name}", given.images, given.truth):
            maps: object = self.baseline(given)
        if not isinstance(maps, Tensor) or maps.shape != grid.truth.shape:
            came = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
            raise ShapeError(
                f"baseline {self.name} must return maps of shape {tuple(grid.truth.shape)}, "
                f"got {came}"
            )
        _check_finite(maps, grid.samples, self.name)
        return maps.to(grid.truth.device)

    def again(self, view: View, classes: Tensor) -> Source:
        """Return the source of the maps of other images."""
        return replace(self, view=view, classes=classes)


def _check_others(name: str, baseline: ClassMeanBaseline, samples: Sequence[Sample]) -> None:
    """Check that a class mean is of none of the samples that are scored."""
    again = [one.name for one in samples if baseline.sources and image_sum(one) in baseline.sources]
    if again:
        raise SettingError(
            f"baseline {name} must be of other images than those that are scored, got {again[0]!r} "
            "in both; make it of the training images, or use "
            "cameval.baselines.LeaveGroupOutBaseline"
        )


@memoized
def _inputs_of(view: View, grid: Grid) -> Tensor:
    """Return the network's input of each row of a grid, on the device of its truth."""
    if isinstance(view.inputs, Tensor):
        of_rows = view.image_of[grid.rows]
        whole = len(of_rows) == len(view.inputs) and bool((of_rows.diff() == 1).all())
        return view.images if whole else view.images[of_rows.to(view.images.device)]
    return torch.stack([one.image for one in grid.prepared]).to(grid.truth.device)


def _check_finite(maps: Tensor, samples: Sequence[Sample], source: str) -> None:
    axes = tuple(range(1, maps.ndim))
    good = maps.amin(axes).isfinite() & maps.amax(axes).isfinite()
    if not holds(good.all()):
        name = samples[int((~good).nonzero()[0, 0])].name
        raise NonFiniteError(
            f"maps must be finite, got NaN or infinity from {source} for sample {name!r}; "
            "look for an overflow in the network"
        )

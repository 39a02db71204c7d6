"""The pictures of targets: photo, outlines of masks and of the truth, and maps of few values."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from cameval._spatial import binarize_kept, for_volumes, with_sample_settings
from cameval.data import Sample
from cameval.evaluation import Choice
from cameval.evaluation._plan import MapSource, Plan, TargetClass
from cameval.evaluation._sources import Grid, MethodMaps, Source, View, map_sources
from cameval.evaluation.preparation import Prepare
from cameval.extractor import Alignment, CAMExtractor
from cameval.maps import CellCenters
from cameval.metrics import pixel_auroc
from cameval.networks import CAMModel, LayerModel
from cameval.networks._precision import without_autocast
from cameval.protocols import Binarizer, CAMMethod
from cameval.report._mask_checks import MaskScore, is_noise
from cameval.report._outlines import trace_mask
from cameval.report._photos import Photo, photo_of

MOST_CELLS = 32
"""The most values of a map along each axis."""


@dataclass(frozen=True, eq=False)
class SmallMap:
    """A map as the page draws it: values on few cells, and the place of the cells.

    Parameters
    ----------
    cells
        Values ``(h, w)`` of 8 bits, from the lowest to the highest cell.
    places
        Two numbers for each axis, columns first: at share u of the grid's width, the column of the
        cells is the first number plus u times the second.
    ends
        The lowest and the highest value of the pixels that count, in units of the cells.
    values
        The map on the grid of the truth, scaled to [0, 1] by these.
    """

    cells: NDArray[np.uint8]
    places: tuple[float, ...]
    ends: tuple[float, float]
    values: NDArray[np.float32] = field(repr=False)

    def record(self) -> list[Any]:
        """Return width, height, places, ends and values, for JSON."""
        height, width = self.cells.shape
        values = b64encode(np.ascontiguousarray(self.cells).tobytes()).decode("ascii")
        numbers = [round(number, 4) for number in (*self.places, *self.ends)]
        return [width, height, *numbers, values]


@dataclass(frozen=True, eq=False)
class Drawn:
    """What is drawn of one target.

    Parameters
    ----------
    number, place
        The number of its sample, and its place among the targets of the sample.
    sample
        The sample with this target alone.
    photo
        The photo.
    grid
        Height and width of the grid of the truth.
    truth, ignored
        Outlines of the truth and of the pixels that count for nothing.
    masks
        Outlines of the mask of each target class, method and binarizer, in this order.
    maps
        The map of each target class and method; None if it is constant.
    scores
        The score of each mask; None where it is not computed again.
    remark
        What else is to be known, such as which slice of a volume it is.
    """

    number: int
    place: int
    sample: Sample
    photo: Photo
    grid: tuple[int, int]
    truth: list[list[int]]
    ignored: list[list[int]]
    masks: list[list[list[int]]]
    maps: list[SmallMap | None]
    scores: list[MaskScore | None]
    remark: str = ""

    def record(self, others: Sequence[int]) -> dict[str, Any]:
        """Return what the page draws, for JSON; `others` are targets of the same image."""
        height, width = self.grid
        return {
            "size": [width, height],
            "truth": self.truth,
            "ignored": self.ignored,
            "others": list(others),
            "masks": self.masks,
            "maps": [one and one.record() for one in self.maps],
        }


@dataclass(frozen=True, eq=False)
class Drawing:
    """Draws the targets of samples.

    Parameters
    ----------
    model
        The network, cut; None if all maps were made elsewhere.
    plan
        Methods, maps made elsewhere, target classes and binarizers.
    prepare
        As it was for the evaluation.
    cell_centers
        The centers of the cells, if maps are aligned by them.
    choices
        Choices of binarizers, each of which has a mask of every map.
    metric
        The metric by which the masks are scored again, if they are.
    """

    model: CAMModel | LayerModel | None
    plan: Plan
    prepare: Prepare
    cell_centers: CellCenters | None
    choices: Sequence[Choice] = ()
    metric: Callable[..., Any] | None = None

    @classmethod
    def of(
        cls,
        model: nn.Module | None,
        methods: Mapping[str, CAMMethod],
        maps: Mapping[str, MapSource],
        classes: Mapping[str, TargetClass],
        binarizers: Mapping[str, Binarizer],
        prepare: Prepare,
        alignment: Alignment,
        choices: Sequence[Choice] = (),
        metric: Callable[..., Any] | None = None,
    ) -> "Drawing":
        """Return what draws the maps of a network, or maps made elsewhere, or both."""
        plan = Plan(classes, methods, {}, binarizers, {"pixel_auroc": pixel_auroc}, maps)
        if model is None:
            return cls(None, plan, prepare, None, choices, metric)
        network = CAMExtractor(model, alignment=alignment).model
        assert isinstance(network, CAMModel | LayerModel)
        by_cells = alignment == "receptive_field"
        centers = network.cell_centers if by_cells else None
        return cls(network, plan, prepare, centers, choices, metric)

    def __call__(self, samples: Sequence[tuple[int, Sample]]) -> list[Drawn]:
        """Return what is drawn of each target of a batch of numbered samples."""
        with without_autocast():
            view = View.of([sample for _, sample in samples], self.prepare, self._device)
            if self.model is not None and not isinstance(view.inputs, Tensor):  # of several sizes
                return [drawn for one in samples for drawn in self([one])]
            rows: list[_Row] = [_Row() for _ in view.rows]
            for of_map, source in self._sources(view):
                for grid in view.grids:
                    self._add_source(rows, grid, of_map, source, view)
        return [
            row.finish(samples[int(k)][0], int(place))
            for row, k, place in zip(rows, view.image_of, view.place, strict=True)
        ]

    @property
    def _device(self) -> torch.device:
        tensors = () if self.model is None else self.model.parameters()
        return next((one.device for one in tensors), torch.device("cpu"))

    def _sources(self, view: View) -> Iterator[tuple[tuple[str, str], Source]]:
        """Yield each target class and method with the source of their maps."""
        activations = None
        chosen = [view.labels for _ in self.plan.target_class]
        if self.model is not None:
            activations = self.model.activations(view.images)
            logits = activations.logits
            chosen = [view.classes(how, logits) for how in self.plan.target_class.values()]
        for target_class, classes in zip(self.plan.target_class, chosen, strict=True):
            sources = map_sources(self.plan, view, activations, classes, self.cell_centers)
            for method, source in zip((*self.plan.methods, *self.plan.maps), sources, strict=True):
                yield (target_class, method), source

    @property
    def masks_of_map(self) -> int:
        """The number of masks of each map."""
        return len(self.plan.binarizers) + len(self.choices)

    def _binarizers(self, of_map: tuple[str, str], label: int | None) -> Iterator[Binarizer]:
        """Yield the binarizers of a map, and those that were chosen for it."""
        target_class, method = of_map
        yield from self.plan.binarizers.values()
        for choice in self.choices:
            yield self.plan.binarizers[choice.binarizer(target_class, "method", method, label)]

    def _add_source(
        self,
        rows: Sequence["_Row"],
        grid: Grid,
        of_map: tuple[str, str],
        source: Source,
        view: View,
    ) -> None:
        """Add the maps of a source and their masks to the rows of a grid."""
        maps = source(grid).detach()
        for k, (at, scores) in enumerate(zip(grid.rows.tolist(), maps, strict=True)):
            row = rows[at]
            if row.truth is None:
                row.begin(grid, k, self.prepare)
            keep = None if grid.keep is None else grid.keep[k]
            used = self._binarizers(of_map, grid.samples[k].label)
            masks = [_binarize(one, scores, keep, grid) for one in used]
            row.add(scores, masks, _Cells.of(source, at, grid, view))
            row.add_scores(scores, masks, self.metric)


@dataclass(frozen=True, eq=False)
class _Cells:
    """The coarse values of an image's map, and their places; see `SmallMap`."""

    values: Tensor
    places: tuple[float, ...]

    @classmethod
    def of(cls, source: Source, row: int, grid: Grid, view: View) -> "_Cells | None":
        """Return those of a method, if they are few; None for volumes and maps made elsewhere."""
        if not isinstance(source, MethodMaps) or grid.axes != 2:
            return None
        values = source.coarse[row].detach()
        if max(values.shape) > MOST_CELLS:
            return None
        places: list[float] = []
        for axis in (1, 0):
            extent, cells = int(view.images.shape[2 + axis]), int(values.shape[axis])
            start, stop = (0, extent) if grid.window is None else grid.window[axis]
            even = CellCenters(extent / cells / 2, extent / cells)
            at = source.cell_centers or even
            places += [(start - at.offset) / at.stride, (stop - start) / at.stride]
        return cls(values, tuple(places))


def _binarize(binarizer: Any, scores: Tensor, keep: Tensor | None, grid: Grid) -> NDArray[np.bool_]:
    """Return the mask of a map, as it was scored."""
    if grid.axes == 3:
        spacing = cast("tuple[float, float, float] | None", grid.spacing)
        fitted = for_volumes(binarizer, spacing=spacing)
    else:
        fitted = with_sample_settings(binarizer, spacing=grid.spacing, spatial_axes=2)
    if keep is None:
        return np.asarray(torch.as_tensor(fitted(scores[None]))[0].cpu())
    return np.asarray(binarize_kept(fitted, scores[None], keep)[0].cpu())


class _Row:
    """What is drawn of one target, source by source."""

    def __init__(self) -> None:
        self.truth: NDArray[np.bool_] | None = None
        self.sample: Sample
        self.photo: Photo
        self.keep: NDArray[np.bool_] | None = None
        self.slice: int | None = None
        self.remark = ""
        self.masks: list[list[list[int]]] = []
        self.maps: list[SmallMap | None] = []
        self.scores: list[MaskScore | None] = []

    def begin(self, grid: Grid, k: int, prepare: Prepare) -> None:
        """Take truth, ignored pixels and photo from a row of a grid."""
        self.truth = np.asarray(grid.truth[k].cpu())
        self.keep = None if grid.keep is None else np.asarray(grid.keep[k].cpu())
        self.sample = grid.samples[k]
        spacing = grid.spacing or (1.0,) * grid.axes
        seen = grid.prepared[k].image
        self.photo = photo_of(self.sample, prepare, seen, self.truth.shape, spacing)

    def add(self, scores: Tensor, masks: Sequence[NDArray[np.bool_]], cells: _Cells | None) -> None:
        """Add a map, its masks, and its coarse values."""
        assert self.truth is not None
        if self.truth.ndim == 3 and self.slice is None:
            self._choose_slice(masks)
        shown = scores if self.slice is None else scores[self.slice]
        keep = self.keep if self.keep is None or self.slice is None else self.keep[self.slice]
        self.maps.append(_small_map(shown.float().cpu(), keep, cells))
        for mask in masks:
            self.masks.append(trace_mask(mask if self.slice is None else mask[self.slice]))

    def add_scores(
        self,
        scores: Tensor,
        masks: Sequence[NDArray[np.bool_]],
        metric: Callable[..., Any] | None,
    ) -> None:
        """Add the scores of the masks of a map; None without a metric or a map."""
        assert self.truth is not None
        counted = scores if self.keep is None else scores[torch.from_numpy(self.keep)]
        if (
            metric is None
            or not len(counted)
            or is_noise(float(counted.min()), float(counted.max()))
        ):
            self.scores += [None] * len(masks)
        else:
            self.scores += [MaskScore.of(metric, one, self.truth, self.keep) for one in masks]

    def _choose_slice(self, masks: Sequence[NDArray[np.bool_]]) -> None:
        assert self.truth is not None
        self.slice, why = largest_slice(self.truth, *masks[:1])
        self.remark = f"slice {self.slice + 1} of {len(self.truth)}{why}"

    def finish(self, number: int, place: int) -> Drawn:
        """Return what is drawn."""
        assert self.truth is not None
        truth, ignored = self.truth, None if self.keep is None else ~self.keep
        photo = self.photo
        if self.slice is not None:
            truth, photo = truth[self.slice], photo.slice(self.slice)
            ignored = None if ignored is None else ignored[self.slice]
        return Drawn(
            number,
            place,
            self.sample,
            photo,
            (truth.shape[0], truth.shape[1]),
            trace_mask(truth),
            [] if ignored is None else trace_mask(ignored),
            self.masks,
            self.maps,
            self.scores,
            self.remark,
        )


def _small_map(
    scores: Tensor, keep: NDArray[np.bool_] | None, cells: _Cells | None
) -> SmallMap | None:
    """Return a map on few cells; None if it is constant where pixels count."""
    counted = scores if keep is None or not keep.any() else scores[torch.from_numpy(keep)]
    low, high = float(counted.min()), float(counted.max())
    if low == high:
        return None
    if cells is None:
        size = min(MOST_CELLS, scores.shape[0]), min(MOST_CELLS, scores.shape[1])
        values = adaptive_avg_pool2d(scores[None], size)[0]
        places = (-0.5, float(size[1]), -0.5, float(size[0]))
        cells = _Cells(values, places)
    few = cells.values.double().cpu()
    first, last = float(few.min()), float(few.max())
    if first == last:
        return None
    step = (last - first) / 255
    ends = (low - first) / step, (high - first) / step
    level = ((few - first) / step).round().byte().numpy()
    whole = ((scores - low) / (high - low)).clamp(0, 1)
    return SmallMap(level, cells.places, ends, whole.numpy())


def largest_slice(truth: NDArray[np.bool_], *masks: NDArray[np.bool_]) -> tuple[int, str]:
    """Return the number of the slice that is shown, and why it is that one."""
    for what, one in zip(("truth", "mask"), (truth, *masks), strict=False):
        if one.any():
            return int(one.sum((1, 2)).argmax()), f", where the {what} is largest"
    return len(truth) // 2, ", the middle"

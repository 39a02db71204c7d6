"""Scores of one batch: one forward pass, then every map, mask and metric of the plan."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import exact
from cameval._memo import memo
from cameval.data import Sample
from cameval.errors import ClassIndexError, NonFiniteError, ShapeError
from cameval.evaluation._grid_scores import score_grid
from cameval.evaluation._network_scores import ScoredNetwork, on_input
from cameval.evaluation._plan import Plan, Task, task_of
from cameval.evaluation._sources import NO_LABEL, Source, View, map_sources
from cameval.evaluation.meaning import CONSTANT, REASONS
from cameval.evaluation.preparation import Prepare
from cameval.maps import CellCenters
from cameval.networks import Activations, CAMModel, LayerModel
from cameval.networks._outputs import class_probabilities
from cameval.networks.activations import without_graph
from cameval.target_classes import choose_classes

Predictions: TypeAlias = Callable[[Sample], "tuple[int | None, float | None] | None"]
"""From a sample with one target to its predicted class and a probability; None if not known."""


@dataclass(frozen=True, eq=False)
class BatchScores:
    """The scores of a batch in the K columns of a plan: N rows, one for each sample and target.

    Parameters
    ----------
    sample, group
        Names, ``(N,)``.
    label, predicted
        Class indices, ``(N,)``; a label that is not known is -1.
    probability
        Probability of the predicted class, ``(N,)``.
    area
        Share of the pixels that are true, of those that are not ignored, ``(N,)``.
    present
        Whether the target has a true pixel, ``(N,)``, also if a crop or ignored pixels hide it.
    info
        The columns that a user adds, as a JSON object for each row, ``(N,)``.
    checksum
        Checksum of the contents of each sample, ``(N,)``.
    values
        Scores ``(N, K)``, NaN where undefined.
    codes
        Index into `REASONS` for each score, plus `CONSTANT` where the map is constant.
    weights
        Denominators of the scores that are ratios of pixel counts ``(N, K)``, NaN for others.
    """

    sample: NDArray[np.str_]
    group: NDArray[np.str_]
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probability: NDArray[np.float64]
    area: NDArray[np.float64]
    present: NDArray[np.bool_]
    info: NDArray[np.str_]
    checksum: NDArray[np.uint32]
    values: NDArray[np.float64]
    codes: NDArray[np.uint8]
    weights: NDArray[np.float64]

    def check(self, columns: int) -> None:
        """Check that the arrays are those of one batch, scored in this many columns.

        Raises
        ------
        ShapeError
            If they are not.
        """
        n, shape = len(self.sample), self.values.shape
        kinds = {"sample": "U", "group": "U", "label": "i", "predicted": "i", "probability": "f"}
        kinds |= {"area": "f", "present": "b", "info": "U", "checksum": "u"}
        kinds |= {"values": "f", "codes": "u", "weights": "f"}
        good = shape == self.codes.shape == self.weights.shape == (n, columns) and n > 0
        for name, kind in kinds.items():
            array = getattr(self, name)
            good &= array.dtype.kind == kind
            good &= name in ("values", "codes", "weights") or array.shape == (n,)
        good = good and all(_is_object(text) for text in self.info.tolist())
        if not good:
            raise ShapeError(
                f"scores of a batch must be of {n} samples and {columns} columns, got others"
            )
        if ((self.codes & ~np.uint8(CONSTANT)) >= len(REASONS)).any():
            raise ShapeError(
                f"codes must be below {len(REASONS)}, or that with the bit of constant maps, "
                "got others"
            )


def _is_object(text: str) -> bool:
    """Tell whether text is a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def fingerprint(sample: Sample) -> int:
    """Return a checksum of the contents of a sample."""
    words = f"{sample.name}\0{sample.group}\0{sample.image.shape}\0{sample.spacing}"
    found = crc32(np.ascontiguousarray(sample.image).data, crc32(words.encode()))
    arrays: list[NDArray[Any] | None] = [sample.ignore]
    for target in sample.targets:
        found = crc32(f"{target.label}".encode(), found)
        arrays += [target.mask, target.boxes, target.instances]
    for array in arrays:
        if array is not None:
            found = crc32(np.ascontiguousarray(array).data, found)
    return crc32(_info(sample).encode(), found) if sample.info else found


def _info(sample: Sample) -> str:
    """Return the columns that a user adds, as JSON."""
    return json.dumps(dict(sample.info), ensure_ascii=False)


def score_batch(
    model: CAMModel | LayerModel | None,
    plan: Plan,
    prepare: Prepare,
    samples: Sequence[Sample],
    *,
    cell_centers: CellCenters | None = None,
    device: torch.device | None = None,
    task: Task | None = None,
    probabilities: bool = False,
    predictions: Predictions | None = None,
) -> BatchScores:
    """Score every map of the plan on every target of the samples.

    Without a model all maps were made elsewhere, and so were the predictions, if there are any.
    """
    view = View.of(samples, prepare, device or torch.device("cpu"))
    activations = None if model is None else model.activations(view.images)
    if activations is not None:
        task_of(activations.logits, task)
        _check_logits(activations.logits, samples)
        chosen = [view.classes(how, activations.logits) for how in plan.target_class.values()]
    else:
        chosen = [view.labels for _ in plan.target_class]
    tables = [
        _Table.of(plan, view, activations, source, classes)
        for classes in chosen
        for source in map_sources(plan, view, activations, classes, cell_centers)
    ]
    if activations is not None:
        with memo(), without_graph():  # the same changed images serve all maps
            network = ScoredNetwork(view, activations, task, probabilities)
            for table in tables:
                table.score_network(plan, view, network)
    predicted, probability = (
        given_predictions(view, predictions)
        if activations is None
        else _predictions(view, activations.logits.cpu(), task, probabilities=probabilities)
    )
    sums = [fingerprint(sample) for sample in samples]
    return BatchScores(
        sample=np.array([row.name for row in view.rows]),
        group=np.array([row.group for row in view.rows]),
        label=view.labels.numpy(),
        predicted=predicted.numpy(),
        probability=probability.numpy(),
        area=view.areas.numpy(),
        present=np.array([bool(row.mask.any()) for row in view.rows]),
        info=np.array([_info(row) for row in view.rows]),
        checksum=np.array([sums[k] for k in view.image_of.tolist()], np.uint32),
        values=np.concatenate([table.values for table in tables], 1),
        codes=np.concatenate([table.codes for table in tables], 1),
        weights=np.concatenate([table.weights for table in tables], 1),
    )


def _predictions(
    view: View, logits: Tensor, task: Task | None, *, probabilities: bool
) -> tuple[Tensor, Tensor]:
    """Return the predicted class of each row, -1 for none, and a probability.

    In a multi-label task it is the label of the row, if its probability is above one half, and the
    probability is that of the label.
    """
    if task != "multilabel":
        predicted = choose_classes(None, None, logits)
        of_classes = class_probabilities(logits, already=probabilities)
        probability = of_classes.gather(1, predicted[:, None])[:, 0]
        return predicted[view.image_of], probability[view.image_of]
    labels = view.labels
    outside = labels >= logits.shape[1]
    if outside.any():
        name = view.rows[int(outside.nonzero()[0, 0])].name
        raise ClassIndexError(
            f"sample {name!r}: label must be one of the network's {logits.shape[1]} classes, got "
            f"{int(labels[outside][0])}"
        )
    known = labels != NO_LABEL
    numbers = exact(logits) if probabilities else exact(logits).sigmoid()
    of_label = numbers[view.image_of, labels.clamp(min=0)]
    probability = of_label.where(known, torch.nan)
    return labels.where(known & (of_label > 0.5), torch.tensor(NO_LABEL)), probability


def given_predictions(view: View, predictions: Predictions | None) -> tuple[Tensor, Tensor]:
    """Return the given class of each row, -1 for none, and its probability."""
    found = [None if predictions is None else predictions(row) for row in view.rows]
    classes = [NO_LABEL if one is None or one[0] is None else one[0] for one in found]
    numbers = [float("nan") if one is None or one[1] is None else one[1] for one in found]
    return torch.tensor(classes), torch.tensor(numbers, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class _Table:
    """The scores of the maps of one source, with columns as in `Plan.scores`."""

    values: NDArray[np.float64]
    codes: NDArray[np.uint8]
    weights: NDArray[np.float64]
    source: Source
    classes: Tensor
    on_images: Tensor | None  # the maps at the size of the images, if a metric needs the network

    @classmethod
    def of(
        cls,
        plan: Plan,
        view: View,
        activations: Activations | None,
        source: Source,
        classes: Tensor,
    ) -> "_Table":
        """Score the maps and masks, grid by grid."""
        count = len(view.rows)
        values = np.full((count, len(plan.scores)), np.nan)
        weights = np.full(values.shape, np.nan)
        codes = np.zeros(values.shape, np.uint8)
        on_images = None
        if activations is not None and plan.of_network:
            on_images = view.images.new_empty(count, *view.images.shape[2:])
        first, skipped = len(plan.of_maps), len(plan.of_network)
        columns = [*range(first), *range(first + skipped, values.shape[1])]
        for grid in view.grids:
            maps = source(grid)
            if on_images is not None:
                rows = grid.rows.to(on_images.device)
                on_images[rows] = on_input(maps, grid, on_images)
            at = np.ix_(grid.rows.numpy(), columns)
            with memo():
                values[at], codes[at], weights[at], flat = score_grid(plan, maps, grid)
            codes[grid.rows.numpy()] |= np.where(flat, CONSTANT, 0).astype(np.uint8)[:, None]
        return cls(values, codes, weights, source, classes, on_images)

    def score_network(self, plan: Plan, view: View, network: ScoredNetwork) -> None:
        """Score the maps with the metrics that run the network on changed images."""
        if self.on_images is None:
            return
        for number in range(view.passes):
            rows, of_sample = view.of_pass(number)
            images = view.image_of[rows].numpy()
            maps = self.on_images[of_sample.to(self.on_images.device)]
            classes = self.classes[of_sample.to(self.classes.device)]
            for column, (name, metric) in enumerate(plan.of_network.items(), len(plan.of_maps)):
                scores = network.score(metric, name, self.source, of_sample, maps, classes)
                at = rows.numpy()
                self.values[at, column] = scores[images]
                undefined = at[np.isnan(scores[images])]
                self.codes[undefined, column] |= REASONS.index("undefined")


def _check_logits(logits: Tensor, samples: Sequence[Sample]) -> None:
    good = logits.isfinite().flatten(1).all(1)
    if not good.all():
        name = samples[int((~good).nonzero()[0, 0])].name
        raise NonFiniteError(
            f"logits must be finite, got NaN or infinity for sample {name!r}; "
            "look for an overflow in the network, or for damaged weights"
        )

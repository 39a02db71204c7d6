"""Scores of one batch: one forward pass, then every map, mask and metric of the plan."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from cameval._arrays import as_numpy
from cameval._memo import memo
from cameval.data import Sample
from cameval.errors import CamevalError, NonFiniteError, ShapeError
from cameval.evaluation._plan import Plan, Task, task_of
from cameval.evaluation._sources import Source, View, map_sources
from cameval.evaluation.meaning import CONSTANT, REASONS
from cameval.evaluation.preparation import Prepare
from cameval.maps import CellCenters, are_constant, upsample
from cameval.metrics import Counts, takes
from cameval.networks import Activations, CAMModel, LayerModel
from cameval.networks._outputs import class_probabilities
from cameval.networks.activations import without_graph


def score_images(
    metric: Callable[..., object], name: str, given: Tensor, truth: Tensor
) -> NDArray[np.float64]:
    """Return the score of each image, ``(N,)``.

    A metric that returns a single number for a batch is called for each image by itself.

    Parameters
    ----------
    metric, name
        A metric of masks or maps, and its label.
    given
        Predicted masks or maps ``(N, H, W)``.
    truth
        True masks ``(N, H, W)``.

    Raises
    ------
    ShapeError
        If the metric does not return one score per image.
    NonFiniteError
        If a score is infinite.
    """
    scores = _call(metric, name, given, truth)
    numbers = _as_array(scores)
    if numbers is not None and numbers.ndim == 0:
        scores = [_call(metric, name, *pair) for pair in zip(given, truth, strict=True)]
    return check_scores(scores, name, len(given))


def check_scores(scores: object, name: str, count: int) -> NDArray[np.float64]:
    """Return the scores of a metric in float64, checked to be one for each image."""
    numbers = _as_array(scores)
    if numbers is None or numbers.shape != (count,):
        came = type(scores).__name__ if numbers is None else numbers.shape
        raise ShapeError(f"metric {name} must return one score per image, ({count},), got {came}")
    if np.isinf(numbers).any():
        raise NonFiniteError(
            f"metric {name} must return numbers, or NaN where it is undefined, got infinity"
        )
    return numbers


def _as_array(scores: object) -> NDArray[np.float64] | None:
    """Return scores in float64, whether they are a tensor, an array, a list or a number."""
    if isinstance(scores, Tensor):
        numbers: NDArray[np.float64] = scores.detach().cpu().double().numpy()
        return numbers
    if isinstance(scores, list | tuple):
        scores = [one.item() if isinstance(one, Tensor) else one for one in scores]
    if not isinstance(scores, np.ndarray | np.generic | float | int | list):
        return None
    try:
        return np.asarray(scores, np.float64)
    except (TypeError, ValueError):  # words, or rows of different lengths
        return None


def _call(metric: Callable[..., object], name: str, given: Tensor, truth: Tensor) -> object:
    """Call a metric with tensors or, if it cannot take these, with NumPy arrays."""
    try:
        return metric(given, truth)
    except CamevalError:
        raise
    except Exception as error:
        if isinstance(error, TypeError | AttributeError):
            try:
                return metric(as_numpy(given), as_numpy(truth))
            except Exception as again:
                error.add_note(f"called with NumPy arrays, the metric raised {again!r}")
        error.add_note(_note(metric, name, given))
        raise


def _note(metric: Any, name: str, given: Tensor) -> str:
    note = f"metric {name!r} was called with {given.dtype} {tuple(given.shape)} and true masks"
    if takes(metric) is None:
        note += (
            "; it does not say what it takes, so these are predicted masks: decorate a metric of "
            "maps with cameval.metrics.of_maps(higher_is_better=...)"
        )
    return note


@dataclass(frozen=True, eq=False)
class BatchScores:
    """The scores of a batch of N samples in the K columns of a plan.

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
        Whether the target has a true pixel, ``(N,)``.
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
        if not good:
            raise ShapeError(
                f"scores of a batch must be of {n} samples and {columns} columns, got others"
            )
        if ((self.codes & ~np.uint8(CONSTANT)) >= len(REASONS)).any():
            raise ShapeError(
                f"codes must be below {len(REASONS)}, or that with the bit of constant maps, "
                "got others"
            )


def fingerprint(sample: Sample) -> int:
    """Return a checksum of the contents of a sample."""
    words = f"{sample.name}\0{sample.group}\0{sample.label}\0{sample.image.shape}".encode()
    found = crc32(np.ascontiguousarray(sample.image).data, crc32(words))
    return crc32(np.ascontiguousarray(sample.mask).data, found)


def score_batch(
    model: CAMModel | LayerModel,
    plan: Plan,
    prepare: Prepare,
    samples: Sequence[Sample],
    *,
    cell_centers: CellCenters | None,
    device: torch.device,
    task: Task | None = None,
    probabilities: bool = False,
) -> BatchScores:
    """Score every map of the plan on every sample."""
    view = View.of(samples, prepare, device)
    activations = model.activations(view.images)
    task_of(activations.logits, task)
    _check_logits(activations.logits, samples)
    tables = [
        _Table.of(plan, view, activations, source, classes)
        for how in plan.target_class.values()
        for classes in [view.classes(how, activations.logits)]
        for source in map_sources(plan, view, activations, classes, cell_centers)
    ]
    with memo(), without_graph():  # the same changed images serve all maps
        for table in tables:
            table.score_network(plan, activations, probabilities=probabilities)
    logits = activations.logits.cpu()
    predicted = view.classes("predicted", logits)
    of_classes = class_probabilities(logits, already=probabilities)
    probability = of_classes.gather(1, predicted[:, None])[:, 0]
    return BatchScores(
        sample=np.array([sample.name for sample in samples]),
        group=np.array([sample.group for sample in samples]),
        label=view.labels.numpy(),
        predicted=predicted.numpy(),
        probability=probability.numpy(),
        area=view.areas.numpy(),
        present=view.areas.numpy() > 0,
        info=np.array([json.dumps(dict(sample.info)) for sample in samples]),
        checksum=np.array([fingerprint(sample) for sample in samples], np.uint32),
        values=np.concatenate([table.values for table in tables], 1),
        codes=np.concatenate([table.codes for table in tables], 1),
        weights=np.concatenate([np.full_like(table.values, np.nan) for table in tables], 1),
    )


@dataclass(frozen=True, eq=False)
class _Table:
    """The scores of the maps of one source, with columns as in `Plan.scores`."""

    values: NDArray[np.float64]
    codes: NDArray[np.uint8]
    classes: Tensor
    on_images: Tensor | None  # the maps at the size of the images, if a metric needs the network

    @classmethod
    def of(
        cls, plan: Plan, view: View, activations: Activations, source: Source, classes: Tensor
    ) -> "_Table":
        """Score the maps and masks, grid by grid."""
        images = activations.images
        values = np.full((len(images), len(plan.scores)), np.nan)
        codes = np.zeros(values.shape, np.uint8)
        on_images = images.new_empty(len(images), *images.shape[2:]) if plan.of_network else None
        first, skipped = len(plan.of_maps), len(plan.of_network)
        columns = [*range(first), *range(first + skipped, values.shape[1])]
        for grid in view.grids:
            maps = source(grid)
            if on_images is not None:
                rows = grid.rows.to(on_images.device)
                resized = upsample(maps, tuple(images.shape[2:]))
                on_images[rows] = resized.to(on_images.dtype)
            at = np.ix_(grid.rows.numpy(), columns)
            with memo():
                values[at], codes[at] = _score_maps(plan, maps, grid.truth)
                flat = are_constant(maps).cpu().numpy()
            codes[grid.rows.numpy()] |= np.where(flat, CONSTANT, 0).astype(np.uint8)[:, None]
        return cls(values, codes, classes, on_images)

    def score_network(self, plan: Plan, activations: Activations, *, probabilities: bool) -> None:
        """Score the maps with the metrics that run the network on changed images."""
        if self.on_images is None:
            return
        network = _with_logits(activations, probabilities=probabilities)
        for column, (name, metric) in enumerate(plan.of_network.items(), start=len(plan.of_maps)):
            scores = metric(network, activations.images, self.on_images, self.classes)
            self.values[:, column] = check_scores(scores, name, len(self.values))
            undefined = np.isnan(self.values[:, column])
            self.codes[undefined, column] |= REASONS.index("undefined")


def _with_logits(activations: Activations, *, probabilities: bool) -> Callable[[Tensor], Tensor]:
    """Return the network with one logit for each class, with the probabilities as softmax."""
    network = activations.network
    if activations.logits.shape[1] == 1:
        return lambda images: pad(network(images), (1, 0))  # of class 0 the logit is 0
    if not probabilities:
        return network

    def logits(images: Tensor) -> Tensor:
        shares = network(images)
        return shares.clamp_min(torch.finfo(shares.dtype).tiny).log()

    return logits


def _score_maps(
    plan: Plan, maps: Tensor, truth: Tensor
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Return the scores of the maps of one grid, and the reason code of each."""
    count = len(maps)
    columns: list[NDArray[np.float64]] = []
    reasons: list[NDArray[np.intp]] = []
    undefined = REASONS.index("undefined")
    positive = maps.amax((1, 2)).cpu().numpy() > 0
    for name, metric in plan.of_maps.items():
        columns.append(score_images(metric, name, maps, truth))
        reasons.append(np.where(positive, undefined, REASONS.index("map without a positive value")))
    for label, binarize in plan.binarizers.items() if plan.of_masks else ():
        masks = _check_masks(binarize(maps), label, maps)
        marked = Counts.of(masks, truth).predicted.cpu().numpy() > 0  # memoized for the metrics
        for name, metric in plan.of_masks.items():
            columns.append(score_images(metric, name, masks, truth))
            reasons.append(np.where(marked, undefined, REASONS.index("empty prediction")))
    if not columns:
        return np.empty((count, 0)), np.empty((count, 0), np.uint8)
    values = np.stack(columns, 1)
    of_truth = _reason_in_truth(truth)[:, None]
    why = np.where(of_truth > 0, of_truth, np.stack(reasons, 1))
    return values, np.where(np.isnan(values), why, 0).astype(np.uint8)


def _reason_in_truth(truth: Tensor) -> NDArray[np.intp]:
    """Return the reason code that the truth gives, which precedes all others; 0 if none."""
    counts = Counts.of(truth, truth)
    empty, full = (counts.true == 0).cpu().numpy(), (counts.true == counts.pixels).cpu().numpy()
    return np.select(
        [empty, full], [REASONS.index("empty truth"), REASONS.index("truth is everything")], 0
    )


def _check_masks(masks: object, name: str, maps: Tensor) -> Tensor:
    if isinstance(masks, Tensor) and masks.shape == maps.shape and masks.dtype == torch.bool:
        return masks
    came = (
        f"{masks.dtype} {tuple(masks.shape)}" if isinstance(masks, Tensor) else type(masks).__name__
    )
    raise ShapeError(
        f"binarizer {name} must return boolean masks of shape {tuple(maps.shape)}, got {came}"
    )


def _check_logits(logits: Tensor, samples: Sequence[Sample]) -> None:
    good = logits.isfinite().flatten(1).all(1)
    if not good.all():
        name = samples[int((~good).nonzero()[0, 0])].name
        raise NonFiniteError(
            f"logits must be finite, got NaN or infinity for sample {name!r}; "
            "look for an overflow in the network, or for damaged weights"
        )

"""Scores of one batch: one forward pass, then every map, mask and metric of the plan."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import exact
from cameval._deferred import deferred_checks, holds
from cameval._memo import memo
from cameval.data import Sample
from cameval.errors import NonFiniteError, ShapeError
from cameval.evaluation._grid_scores import (
    NUMBERS,
    GridScores,
    check_count,
    check_not_infinite,
    score_grid,
)
from cameval.evaluation._independence import IndependenceChecks
from cameval.evaluation._network_scores import ScoredNetwork, on_input
from cameval.evaluation._plan import Plan, Task, count_classes_of, task_of
from cameval.evaluation._sample_sums import fingerprint, image_sum, info_text, truth_sum
from cameval.evaluation._sources import NO_LABEL, GivenMaps, Grid, Source, View, map_sources
from cameval.evaluation.dark_images import brightest_of
from cameval.evaluation.meaning import CONSTANT, REASONS
from cameval.evaluation.preparation import Prepare
from cameval.maps import CellCenters
from cameval.metrics import Counts
from cameval.metrics.properties import denominator
from cameval.networks import CAMModel, LayerModel
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
    sums
        Checksums of the image and of the truth of each row, ``(N, 2)``.
    map_sums
        Checksums of the maps that were given, ``(N, M)``; 0 where there is none (`map_sum`).
    brightest
        The greatest value of each image, ``(N,)``; NaN where it is not judged (`brightest_of`).
    ignored
        Share of the pixels of the grid of the scores that are ignored, ``(N,)``.
    axes
        The number of spatial axes, ``(N,)``.
    spacing
        Distance between pixels along the last axes, ``(N, 3)``; NaN for other axes, and without
        one.
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
    sums: NDArray[np.uint32]
    map_sums: NDArray[np.uint32]
    brightest: NDArray[np.float32]
    ignored: NDArray[np.float64]
    axes: NDArray[np.int64]
    spacing: NDArray[np.float64]
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
        kinds |= {"area": "f", "present": "b", "info": "U", "checksum": "u", "brightest": "f"}
        kinds |= {"values": "f", "codes": "u", "weights": "f", "axes": "i", "spacing": "f"}
        kinds |= {"sums": "u", "map_sums": "u", "ignored": "f"}
        good = self.spacing.shape == (n, 3) and self.sums.shape == (n, 2)
        good &= self.map_sums.ndim == 2 and len(self.map_sums) == n
        good &= shape == self.codes.shape == self.weights.shape == (n, columns) and n > 0
        for name, kind in kinds.items():
            array = getattr(self, name)
            good &= array.dtype.kind == kind
            good &= name in _TABLES or array.shape == (n,)
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


_TABLES = ("values", "codes", "weights", "spacing", "sums", "map_sums")
"""What has more than one number for each row."""


def _is_object(text: str) -> bool:
    """Tell whether text is a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


@dataclass(frozen=True, eq=False)
class BatchScorer:
    """Scores every map of a plan on every target of a batch of samples.

    Without a model all maps were made elsewhere, and so were the predictions, if there are any.
    """

    model: CAMModel | LayerModel | None
    plan: Plan
    prepare: Prepare
    cell_centers: CellCenters | None = None
    device: torch.device | None = None
    task: Task | None = None
    probabilities: bool = False
    predictions: Predictions | None = None
    checks: IndependenceChecks = field(default_factory=IndependenceChecks)

    def __call__(self, samples: Sequence[Sample]) -> BatchScores:
        """Return the scores of samples."""
        return self.begin(samples)()

    def begin(self, samples: Sequence[Sample]) -> Callable[[], BatchScores]:
        """Run the network on samples, and return the function that scores the maps.

        Conditions for which an accelerator was not waited are looked at with the scores. If one of
        them is false, all is computed again, and the check fails where it is made.
        """
        with deferred_checks() as unseen:
            mapped = self._map(samples)

        def finish() -> BatchScores:
            found = mapped.scores(unseen)
            if found is None:
                found = self._map(samples).scores(None)
            assert found is not None
            return found

        return finish

    def _map(self, samples: Sequence[Sample]) -> "_MappedBatch":
        """Return the batch after the forward pass."""
        plan = self.plan
        view = View.of(samples, self.prepare, self.device or torch.device("cpu"))
        if self.model is None:
            activations = None
            chosen = [view.labels for _ in plan.target_class]
        else:
            activations = self.model.activations(view.images)
            task = task_of(activations.logits, self.task)
            view.check_labels(count_classes_of(activations.logits, task))
            _check_logits(activations.logits, samples)
            chosen = [view.classes(how, activations.logits) for how in plan.target_class.values()]
        sources = [
            (source, classes)
            for classes in chosen
            for source in map_sources(plan, view, activations, classes, self.cell_centers)
        ]
        network = None
        if activations is not None and plan.of_network:
            network = ScoredNetwork(view, activations, self.task, self.probabilities)
        logits = None if activations is None else activations.logits
        return _MappedBatch(self, view, sources, logits, network)


@dataclass(frozen=True, eq=False)
class _MappedBatch:
    """A batch after the forward pass of the network: what is left is to score its maps.

    Parameters
    ----------
    scorer, view
        What is computed, and the prepared samples.
    sources
        Each source of maps with the target class of each row, in the order of the table.
    logits
        The outputs of the network, ``(M, C)``, if there is one.
    network
        The network with its outputs, for metrics that run it again; None if none does.
    """

    scorer: BatchScorer
    view: View
    sources: Sequence[tuple[Source, Tensor]]
    logits: Tensor | None
    network: ScoredNetwork | None

    def scores(self, unseen: list[Tensor] | None) -> BatchScores | None:
        """Score every map on every target; return None if an unseen condition is false.

        Without a list of conditions each check waits for the device.
        """
        view, network = self.view, self.network
        images = None if network is None else view.images
        on_images = [
            images.new_empty(len(view.rows), *images.shape[2:]) if images is not None else None
            for _ in self.sources
        ]
        # Only here: what follows is not computed again, so its checks must not be put off.
        with ExitStack() as stack:
            more = [] if unseen is None else stack.enter_context(deferred_checks())
            found = list(self._score_grids(on_images))
        numbers = _to_host([each.numbers for _, each in found], [*(unseen or ()), *more])
        if numbers is None:
            return None
        source = np.concatenate([each for each, _ in found])
        row = np.concatenate([each.rows.numpy() for _, each in found])
        table = _Table.of(self.scorer.plan, (len(self.sources), len(view.rows)))
        table.fill(source, row, numbers)
        if network is not None:
            with memo(), without_graph():  # the same changed images serve all maps
                for k, (made, classes) in enumerate(self.sources):
                    maps = on_images[k]
                    assert maps is not None
                    table.score_network(k, view, network, made, maps, classes)
        predicted, probability = self._predictions()
        checksums = [fingerprint(sample) for sample in view.samples]
        image_sums = [image_sum(sample) for sample in view.samples]
        image_of = view.image_of.tolist()
        return BatchScores(
            sample=np.array([row.name for row in view.rows]),
            group=np.array([row.group for row in view.rows]),
            label=view.labels.numpy(),
            predicted=predicted.numpy(),
            probability=probability.numpy(),
            area=table.area,
            present=np.array([bool(row.mask.any()) for row in view.rows]),
            info=np.array([info_text(row) for row in view.rows]),
            checksum=np.array([checksums[k] for k in image_of], np.uint32),
            sums=np.array(
                [
                    [image_sums[k], truth_sum(row)]
                    for k, row in zip(image_of, view.rows, strict=True)
                ],
                np.uint32,
            ),
            map_sums=self._map_sums(),
            brightest=self._brightest()[image_of],
            ignored=1 - table.pixels / self._sizes(),
            **self._spacings(),
            values=_by_row(table.values),
            codes=_by_row(table.codes),
            weights=_by_row(table.weights),
        )

    def _map_sums(self) -> NDArray[np.uint32]:
        """Return the checksum of the map of each row by each source of given maps, ``(N, M)``."""
        given = [source.sums for source, _ in self.sources if isinstance(source, GivenMaps)]
        rows = range(len(self.view.rows))
        found = np.array([[sums.get(row, 0) for sums in given] for row in rows], np.uint32)
        return found.reshape(len(rows), len(given))

    def _brightest(self) -> NDArray[np.float32]:
        """Return the greatest value of each image that a network is given, ``(M,)``."""
        scorer, samples = self.scorer, self.view.samples
        if scorer.model is None:
            return np.full(len(samples), np.nan, np.float32)
        return np.array([brightest_of(one, scorer.prepare) for one in samples], np.float32)

    def _sizes(self) -> NDArray[np.float64]:
        """Return the number of pixels of the grid of each row, ``(N,)``."""
        sizes = np.ones(len(self.view.rows))
        for grid in self.view.grids:
            sizes[grid.rows.numpy()] = grid.truth[0].numel()
        return sizes

    def _spacings(self) -> dict[str, NDArray[Any]]:
        """Return the number of axes of each row, and its spacing on the grid of the scores."""
        n = len(self.view.rows)
        axes, spacing = np.zeros(n, np.int64), np.full((n, 3), np.nan)
        for grid in self.view.grids:
            rows = grid.rows.numpy()
            axes[rows] = grid.axes
            if grid.spacing is not None:
                spacing[rows, 3 - grid.axes :] = grid.spacing
        return {"axes": axes, "spacing": spacing}

    def _score_grids(
        self, on_images: Sequence[Tensor | None]
    ) -> Iterator[tuple[NDArray[np.intp], GridScores]]:
        """Yield the source of maps and their numbers, those of several sources together."""
        plan = self.scorer.plan
        for grid in self.view.grids:
            with memo():  # baselines share what they compute of an image
                for first, maps in _stacks([source for source, _ in self.sources], grid):
                    for k, of_source in enumerate(maps, first):
                        if (whole := on_images[k]) is not None:
                            whole[grid.rows.to(whole.device)] = on_input(of_source, grid, whole)
                    for each in score_grid(plan, maps, grid, self.scorer.checks):
                        rows = len(each.rows) // len(maps)
                        yield np.repeat(np.arange(first, first + len(maps)), rows), each

    def _predictions(self) -> tuple[Tensor, Tensor]:
        """Return the predicted class of each row, -1 for none, and its probability."""
        scorer = self.scorer
        if self.logits is None:
            return given_predictions(self.view, scorer.predictions)
        logits = self.logits.cpu()
        return _predictions(self.view, logits, scorer.task, probabilities=scorer.probabilities)


_AT_ONCE = 2**20
"""Pixels of the maps of several sources that are scored together. It bounds the memory."""


def _stacks(sources: Sequence[Source], grid: Grid) -> Iterator[tuple[int, Tensor]]:
    """Yield the maps ``(k, n, H, W)`` of k sources that follow each other, and the first's number.

    Maps of different dtypes are not put together, so that no value is rounded.
    """
    together: list[Tensor] = []
    for number, source in enumerate(sources):
        maps = source(grid)
        full = (len(together) + 1) * maps.numel() > _AT_ONCE
        if together and (full or maps.dtype != together[0].dtype):
            yield number - len(together), torch.stack(together)
            together = []
        together.append(maps)
    if together:
        yield len(sources) - len(together), torch.stack(together)


def _to_host(numbers: Sequence[Tensor], unseen: Sequence[Tensor]) -> NDArray[np.float64] | None:
    """Copy numbers in one piece, with the conditions; return None if one of these is false."""
    joined = torch.cat([*numbers])
    good = [condition.to(joined).reshape(1, 1) for condition in unseen]
    if good:
        seen = torch.cat(good).amin(0, keepdim=True).expand(1, joined.shape[1])
        joined = torch.cat([joined, seen])
    found: NDArray[np.float64] = joined.cpu().double().numpy()
    if not good:
        return found
    return found[:-1] if found[-1, 0] else None


def _by_row(table: NDArray[Any]) -> NDArray[Any]:
    """Return a table ``(sources, rows, columns)`` as ``(rows, sources * columns)``."""
    return np.ascontiguousarray(table.transpose(1, 0, 2)).reshape(table.shape[1], -1)


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
    """Values, reason codes and weights of S sources and N rows, ``(S, N, K)``, and areas.

    A row has its number of pixels that count, and the share of them that are true.
    """

    plan: Plan
    values: NDArray[np.float64]
    codes: NDArray[np.uint8]
    weights: NDArray[np.float64]
    area: NDArray[np.float64]  # (N,)
    pixels: NDArray[np.float64]  # (N,)

    @classmethod
    def of(cls, plan: Plan, shape: tuple[int, int]) -> "_Table":
        """Return the table of a plan without scores."""
        size = *shape, len(plan.scores)
        values, weights = np.full(size, np.nan), np.full(size, np.nan)
        area, pixels = np.full(shape[1], np.nan), np.full(shape[1], np.nan)
        return cls(plan, values, np.zeros(size, np.uint8), weights, area, pixels)

    def fill(
        self, source: NDArray[np.intp], row: NDArray[np.intp], numbers: NDArray[np.float64]
    ) -> None:
        """Write the scores of maps, from what `GridScores` has of them ``(m, C)``."""
        plan = self.plan
        constant, positive, true, pixels = numbers[:, : len(NUMBERS)].T
        self.area[row], self.pixels[row] = true / pixels, pixels
        counted = 2 * len(plan.binarizers) if plan.of_masks else 0
        counts, scores = np.split(numbers[:, len(NUMBERS) :], [counted], axis=1)
        given = iter(scores.T)
        undefined = REASONS.index("undefined")
        without = REASONS.index("map without a positive value")
        empty = REASONS.index("empty prediction")
        of_truth = np.select(
            [true == 0, true == pixels],
            [REASONS.index("empty truth"), REASONS.index("truth is everything")],
            0,
        )

        def write(column: int, name: str, found: NDArray[np.float64], why: NDArray[Any]) -> None:
            check_not_infinite(found, name)
            self.values[source, row, column] = found
            reason = np.where(of_truth > 0, of_truth, why)
            self.codes[source, row, column] = np.where(np.isnan(found), reason, 0)

        for column, name in enumerate(plan.of_maps):
            write(column, name, next(given), np.where(positive, undefined, without))
        column = len(plan.of_maps) + len(plan.of_network)
        for predicted, both in counts.T.reshape(-1, 2, len(numbers)):
            n = Counts(*map(torch.from_numpy, (predicted, true, both, pixels)))
            why = np.where(predicted > 0, undefined, empty)
            for name, metric in plan.of_masks.items():
                formula = name in plan.of_counts
                found = check_count(metric(n, n), name, len(true)) if formula else next(given)
                write(column, name, found, why)
                if (below := denominator(metric)) is not None:
                    self.weights[source, row, column] = below(n).double().numpy()
                column += 1
        self.codes[source, row] |= np.where(constant, CONSTANT, 0).astype(np.uint8)[:, None]

    def score_network(
        self,
        number: int,
        view: View,
        network: ScoredNetwork,
        source: Source,
        on_images: Tensor,
        classes: Tensor,
    ) -> None:
        """Write the scores of a source's maps that run the network on changed images."""
        for part in range(view.passes):
            rows, of_sample = view.of_pass(part)
            images = view.image_of[rows].numpy()
            maps = on_images[of_sample.to(on_images.device)]
            wanted = classes[of_sample.to(classes.device)]
            of_network = self.plan.of_network.items()
            for column, (name, metric) in enumerate(of_network, len(self.plan.of_maps)):
                scores = network.score(metric, name, source, of_sample, maps, wanted)
                at = rows.numpy()
                self.values[number, at, column] = scores[images]
                undefined = at[np.isnan(scores[images])]
                self.codes[number, undefined, column] |= REASONS.index("undefined")


def _check_logits(logits: Tensor, samples: Sequence[Sample]) -> None:
    good = logits.isfinite().flatten(1).all(1)
    if not holds(good.all()):
        name = samples[int((~good).nonzero()[0, 0])].name
        raise NonFiniteError(
            f"logits must be finite, got NaN or infinity for sample {name!r}; "
            "look for an overflow in the network, or for damaged weights"
        )

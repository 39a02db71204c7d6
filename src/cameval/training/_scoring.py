"""From a batch of a training loop to the record of its scores, and from records to results."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cameval._checks import warn_user
from cameval.data import Sample, Target
from cameval.distributed import number_of_processes, rank
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.evaluation import Prepared, Results
from cameval.evaluation._batch import BatchScorer
from cameval.evaluation._independence import IndependenceChecks
from cameval.evaluation._plan import Named, Plan, TargetClass, Task, check_task
from cameval.evaluation._run import Network, try_network
from cameval.evaluation._samples import as_sample
from cameval.evaluation.results import results_of
from cameval.extractor import CAMExtractor
from cameval.networks import adapt
from cameval.networks._images import check_images, explain_channels
from cameval.protocols import Binarizer, CAMMethod, Metric
from cameval.statistics import Interval
from cameval.training._records import Record, merge

Integers: TypeAlias = Tensor | NDArray[Any] | Sequence[Any]
"""Class indices: a tensor, an array or a list."""

Masks: TypeAlias = Tensor | NDArray[Any] | Sequence[Any]
"""True masks: a tensor or array of all, or a list of one for each image."""

Words: TypeAlias = Tensor | NDArray[Any] | Sequence[Any]
"""Names or groups: text or integers."""

_LARGEST = 20.0  # of normalized images: those of ImageNet are below 2.7


@dataclass(eq=False)
class Scorer:
    """What is scored, and the network of the last batch, which is cut and checked once."""

    plan: Plan
    task: Task | None
    confidence: float
    _given: nn.Module | CAMExtractor | None = None
    _network: Network | None = None
    _kind: Task | None = None
    _probabilities: bool = False
    _is_warned: bool = False
    _checks: IndependenceChecks = field(default_factory=IndependenceChecks)

    @classmethod
    def of(
        cls,
        method: Named[CAMMethod],
        binarizer: Named[Binarizer],
        metric: Named[Metric],
        task: Task | None,
        confidence: float,
    ) -> "Scorer":
        """Return the scorer of these things, each by its label."""
        if not 0 < confidence < 1:
            raise SettingError(f"confidence must be in (0, 1), got {confidence!r}")
        plan = Plan.of(
            classes="predicted",
            methods=method,
            binarizers=binarizer,
            metrics=metric,
            baselines={},
        )
        return cls(plan, check_task(task), float(confidence))

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle the settings, without the network."""
        kept = {"plan": self.plan, "task": self.task, "confidence": self.confidence}
        return kept | {"_checks": self._checks}

    @property
    def labels(self) -> list[str]:
        """The label of each score: of method, binarizer and metric, with slashes between."""
        parts = [(c.method, c.binarizer, c.metric) for c in self.plan.columns]
        return ["/".join(filter(None, words)) for words in parts]

    def forget(self) -> None:
        """Release the network; the next one is cut and checked again."""
        self._given = self._network = self._kind = None

    def record(
        self,
        net: nn.Module | CAMExtractor,
        images: Tensor,
        masks: Masks,
        classes: Integers | None = None,
        groups: Words | None = None,
        labels: Integers | None = None,
        names: Words | None = None,
    ) -> Record | None:
        """Return the scores of a batch; None if it has no image with a target."""
        _check_order(images, masks)
        check_images(images)
        images = images.detach()
        batch = _Batch.of(images, masks, classes, groups, labels, names, self.task)
        if not batch.samples:
            return None
        with (
            torch.autocast(images.device.type, enabled=False),
            explain_channels(net.model if isinstance(net, CAMExtractor) else net, images),
        ):
            network = self._cut(net, images)
            scores = BatchScorer(
                network.model,
                replace(self.plan, target_class={batch.chosen: batch.target_class}),
                batch.prepare,
                cell_centers=network.cell_centers,
                device=network.device,
                task=self.task,
                probabilities=self._probabilities,
                checks=self._checks,
            )(batch.samples)
        place = {sample.name: k for k, sample in zip(batch.image, batch.samples, strict=True)}
        image = np.array([place[name] for name in scores.sample.tolist()], np.int64)
        head = {
            "rank": rank(),
            "processes": number_of_processes(),
            "model": network.name,
            "task": self._kind,
            "chosen": batch.chosen,
            "named": names is not None,
        }
        renamed = replace(
            scores,
            sample=np.array([batch.names[k] for k in image]),
            group=np.array([batch.groups[k] for k in image]),
        )
        return Record(renamed, image, len(images), head)

    def results(self, records: Sequence[Record]) -> Results:
        """Return the table of all records."""
        scores = merge(records)
        head = records[0].head
        chosen: dict[str, TargetClass] = {head["chosen"]: "predicted"}
        plan = replace(self.plan, target_class=chosen)
        provenance = {
            "settings": {"model": head["model"], "task": head["task"], "class_names": None},
            "meanings": plan.meanings().to_record(),
            "columns": [list(vars(column).values()) for column in plan.columns],
        }
        return results_of([scores], plan.columns, provenance)

    def intervals(self, records: Sequence[Record]) -> dict[str, Interval]:
        """Return the mean of each score with its interval, by label."""
        table = self.results(records).summary(confidence=self.confidence)
        found = {}
        for label, row in zip(self.labels, table.itertuples(), strict=True):
            numbers: Any = row
            found[label] = Interval(
                estimate=float(numbers.mean),
                low=float(numbers.low),
                high=float(numbers.high),
                n=int(numbers.n),
                n_groups=int(numbers.n_groups),
                n_undefined=int(numbers.n_undefined),
            )
        return found

    def _cut(self, net: nn.Module | CAMExtractor, images: Tensor) -> Network:
        """Cut the network, or check again that the one of the last batch has no other hooks."""
        if self._network is None or net is not self._given:
            network = Network.of(net, self.plan.methods)
            trial = try_network(network, images[0].cpu(), self.task)
            self._given, self._network = net, network
            self._kind, self._probabilities = trial.task, trial.probabilities
            self._warn_of_range(images)
        return replace(self._network, model=adapt(self._network.model))

    def _warn_of_range(self, images: Tensor) -> None:
        """Warn once of images that are probably not normalized."""
        largest = float(images.max())
        if largest > _LARGEST and not self._is_warned:
            self._is_warned = True
            warn_user(
                f"images should be normalized as in training, got values up to {largest:g}; divide "
                "bytes by 255 and normalize them, unless the network takes this range"
            )


@dataclass(frozen=True, eq=False)
class _Batch:
    """The images of a batch that have a target, as samples.

    Parameters
    ----------
    samples
        The samples; they are named by the index of their image, and hold its truth alone.
    image
        The index of the image of each sample.
    names, groups
        Those of all images, empty where they were not given.
    chosen, target_class
        How the target class is chosen, in a word and for the plan.
    inputs
        The network's input for each image.
    """

    samples: list[Sample]
    image: list[int]
    names: list[str]
    groups: list[str]
    chosen: str
    target_class: TargetClass
    inputs: Tensor

    @classmethod
    def of(
        cls,
        images: Tensor,
        masks: Masks,
        classes: Integers | None,
        groups: Words | None,
        labels: Integers | None,
        names: Words | None,
        task: Task | None,
    ) -> "_Batch":
        """Check the parts of a batch and return its samples."""
        count, axes = len(images), images.ndim - 2
        if len(masks) != count:
            raise ShapeError(f"masks must be one for each of {count} images, got {len(masks)}")
        wanted = None if classes is None else _integers(classes, "classes", count)
        if wanted is None and task == "multilabel":
            raise SettingError("classes must be given in a multi-label task, got none")
        known = None if labels is None else _integers(labels, "labels", count)
        if wanted is not None and wanted.ndim == 2:
            if known is not None:
                raise SettingError("labels must be left out where images have several classes")
            targets = [
                list(zip(row.tolist(), _several(given, axes, len(row)), strict=True))
                for row, given in zip(wanted, masks, strict=True)
            ]
            targets = [[pair for pair in pairs if pair[0] >= 0] for pairs in targets]
            how: TargetClass = "true"
        else:
            if known is None and task == "multilabel":
                known = wanted
            if known is not None and known.ndim != 1:
                raise ShapeError(f"labels must have shape ({count},), got {tuple(known.shape)}")
            whose = [None] * count if known is None else [int(label) for label in known]
            targets = [
                [(label, _one(mask, axes))] for label, mask in zip(whose, masks, strict=True)
            ]
            chosen = None if wanted is None else torch.from_numpy(wanted)
            how = "predicted" if chosen is None else (lambda logits: chosen)
        image = [k for k in range(count) if targets[k]]
        return cls(
            [_sample(k, targets[k]) for k in image],
            image,
            [""] * count if names is None else _words(names, "names", count),
            [""] * count if groups is None else _words(groups, "groups", count),
            "predicted" if wanted is None else "classes",
            how,
            images,
        )

    def prepare(self, sample: Sample) -> Prepared:
        """Return the input of the network and the truth, on the mask's own pixels."""
        return Prepared(self.inputs[int(sample.name)], torch.from_numpy(sample.mask))


def _check_order(images: object, masks: object) -> None:
    """Check that the images are not masks, and the masks images.

    Raises
    ------
    ArrayTypeError
        If the images are boolean or hold 0 and 1 alone, and the masks hold more than two numbers.
    """
    if not isinstance(images, Tensor) or not isinstance(masks, Tensor | np.ndarray):
        return
    numbers = torch.as_tensor(masks)
    if not numbers.is_floating_point() or not ((images == 0) | (images == 1)).all():
        return
    if numbers.unique().numel() > 2:
        raise ArrayTypeError(
            f"images must come before masks, as in update(net, images, masks), got images of "
            f"{images.dtype} with 0 and 1 alone and masks of {numbers.dtype} with other numbers"
        )


def _sample(number: int, targets: Sequence[tuple[int | None, Any]]) -> Sample:
    """Return a sample that is named by its number; its image is empty."""
    size = tuple(targets[0][1].shape)
    parts = [
        as_sample(
            {"name": str(number), "image": np.zeros(size, np.float32), "mask": mask, "label": one},
            number,
        )
        for one, mask in targets
    ]
    if len(parts) == 1:
        return parts[0]
    several = [Target(part.label, part.mask) for part in parts]
    return Sample(str(number), parts[0].image, targets=several)


def _one(mask: Any, axes: int) -> Any:
    """Return the mask of an image; an axis of one channel is left out."""
    if not isinstance(mask, Tensor | np.ndarray):
        mask = np.asarray(mask)
    if mask.ndim == axes + 1 and len(mask) == 1:
        mask = mask[0]
    if mask.ndim != axes:
        raise ShapeError(
            f"masks must have {axes} axes for each image, got {tuple(mask.shape)}; of several "
            "targets an image, give classes (N, k) and masks (N, k, H, W)"
        )
    return mask


def _several(masks: Any, axes: int, count: int) -> list[Any]:
    """Return the masks of the targets of one image."""
    if len(masks) != count:
        raise ShapeError(
            f"masks must be one for each of the {count} classes of an image, got {len(masks)}"
        )
    return [_one(mask, axes) for mask in masks]


def _integers(given: Integers, what: str, count: int) -> NDArray[np.int64]:
    """Return class indices, ``(N,)`` or ``(N, k)``."""
    array = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    if array.dtype.kind not in "iu":
        raise ArrayTypeError(f"{what} must be integers, got {array.dtype}")
    if array.ndim not in (1, 2) or len(array) != count:
        raise ShapeError(
            f"{what} must be one for each of {count} images, got shape {tuple(array.shape)}"
        )
    return array.astype(np.int64)


def _words(given: Words, what: str, count: int) -> list[str]:
    """Return names or groups as text."""
    several = given.tolist() if isinstance(given, Tensor | np.ndarray) else list(given)
    if len(several) != count:
        raise ShapeError(f"{what} must be one for each of {count} images, got {len(several)}")
    for one in several:
        if not isinstance(one, str | int | np.integer) or isinstance(one, bool) or one == "":
            raise ArrayTypeError(f"{what} must be text or integers, got {one!r}")
    return [str(one) for one in several]

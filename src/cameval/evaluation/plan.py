"""What is evaluated: methods and baselines, binarizers and metrics, each with its label."""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar

from torch import Tensor

from cameval.baselines import Baseline, what_it_knows
from cameval.binarizers import Binarizer
from cameval.errors import SettingError
from cameval.evaluation.identity import digest_of, digest_or_none
from cameval.evaluation.meaning import (
    BaselineMeaning,
    BinarizerMeaning,
    ExplainedMeaning,
    Meanings,
    MethodMeaning,
    MetricMeaning,
)
from cameval.methods import CAMMethod
from cameval.metrics import (
    pixel_auroc,
    pixel_average_precision,
    pointing_game,
    size_standardized_iou,
)
from cameval.metrics.corrected import STANDARD_REFERENCE
from cameval.metrics.policy import (
    MapMetric,
    MaskMetric,
    NetworkMetric,
    bounds,
    categories,
    higher_is_better,
    takes,
    value_range,
)

__all__ = ["Column", "Explained", "Metric", "Named", "Plan", "label_of", "labeled"]

T = TypeVar("T")
Metric: TypeAlias = MaskMetric | MapMetric | NetworkMetric

Named: TypeAlias = Mapping[str, T] | Sequence[T] | T
"""One thing, several, or several by the labels that they get in the table."""

Explained: TypeAlias = Literal["predicted", "true"] | int | Callable[[Tensor], Tensor]
"""Which class a map explains: the predicted one, the true one, a fixed one, or what a function of
the logits ``(N, C)`` chooses, ``(N,)``."""


@dataclass(frozen=True, order=True)
class Column:
    """What one score of every sample is a score of.

    Parameters
    ----------
    explained
        Which class the map explains: ``"predicted"``, ``"true"`` or another label.
    kind
        ``"method"`` or ``"baseline"``.
    method
        Label of the method, or of the baseline, that made the map.
    binarizer
        Label of the binarizer that made the mask; empty for metrics that need none.
    metric
        Label of the metric.
    """

    explained: str
    kind: Literal["method", "baseline"]
    method: str
    binarizer: str
    metric: str


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that is done to one batch, by label."""

    explained: Mapping[str, Explained]
    methods: Mapping[str, CAMMethod]
    baselines: Mapping[str, Baseline]
    binarizers: Mapping[str, Binarizer]
    metrics: Mapping[str, Metric]

    def __post_init__(self) -> None:
        if not self.methods and not self.baselines:
            raise SettingError("methods must name at least one method, got none")
        if not self.metrics:
            raise SettingError("metrics must name at least one metric, got none")
        if self.of_masks and not self.binarizers:
            raise SettingError(
                "binarizers must name at least one for metrics of masks "
                f"({', '.join(self.of_masks)}), got none"
            )
        if both := sorted(set(self.methods) & set(self.baselines)):
            raise SettingError(
                f"methods and baselines must have different labels, got {both} twice"
            )
        for name, metric in self.metrics.items():
            if takes(metric) is None:
                warnings.warn(
                    f"metric {name!r} does not say what it takes, and is given masks; decorate it "
                    "with cameval.metrics.of_masks, of_maps or of_network",
                    stacklevel=3,
                )

    @property
    def of_masks(self) -> dict[str, Callable[..., Tensor]]:
        """The metrics of masks."""
        return self._taking("masks")

    @property
    def of_maps(self) -> dict[str, Callable[..., Tensor]]:
        """The metrics of maps."""
        return self._taking("maps")

    @property
    def of_network(self) -> dict[str, Callable[..., Tensor]]:
        """The metrics that need the network."""
        return self._taking("network")

    def _taking(self, kind: str) -> dict[str, Callable[..., Tensor]]:
        return {
            name: metric
            for name, metric in self.metrics.items()
            if (takes(metric) or "masks") == kind
        }

    @property
    def columns(self) -> list[Column]:
        """Every score that a sample gets, in the order of the table."""
        sources: list[tuple[Literal["method", "baseline"], str]] = [
            *(("method", name) for name in self.methods),
            *(("baseline", name) for name in self.baselines),
        ]
        return [
            Column(explained, kind, source, binarizer, metric)
            for explained in self.explained
            for kind, source in sources
            for binarizer, metric in self.scores
        ]

    @property
    def scores(self) -> list[tuple[str, str]]:
        """Binarizer and metric of every score that a map gets."""
        return [
            *(("", metric) for metric in (*self.of_maps, *self.of_network)),
            *((binarizer, metric) for binarizer in self.binarizers for metric in self.of_masks),
        ]

    def meanings(self) -> Meanings:
        """Return what every label stands for."""
        label = {id(metric): name for name, metric in self.metrics.items()}
        return Meanings(
            methods={name: MethodMeaning(_words(one)) for name, one in self.methods.items()},
            baselines={
                name: BaselineMeaning(_words(one), what_it_knows(one))
                for name, one in self.baselines.items()
            },
            binarizers={
                name: BinarizerMeaning(_words(one)) for name, one in self.binarizers.items()
            },
            metrics={
                name: MetricMeaning(
                    _words(one),
                    takes(one) or "masks",
                    higher_is_better(one),
                    categories(one),
                    label.get(id(bounds(one))),
                    value_range(one),
                    _reference(one),
                    _chance(one),
                )
                for name, one in self.metrics.items()
            },
            explained={
                name: ExplainedMeaning(_words(one), None if callable(one) else one)
                for name, one in self.explained.items()
            },
        )

    def identity(self) -> dict[str, Any]:
        """Return a digest of everything that is done, part by part and label by label.

        None stands for what has no contents that can be compared.
        """
        return {
            part: {name: digest_or_none(digest_of, thing) for name, thing in things.items()}
            for part, things in vars(self).items()
        }


def _words(thing: object) -> str:
    """Return how a thing is written, without addresses, which differ from process to process."""
    return re.sub(r" at 0x[0-9a-f]+", "", label_of(thing))


def _reference(metric: object) -> float | None:
    """Return the share of the image that scores are standardized to, if they are."""
    given = metric.keywords if isinstance(metric, partial) else {}
    inner = metric.func if isinstance(metric, partial) else metric
    if inner is not size_standardized_iou:
        return None
    return float(given.get("reference", STANDARD_REFERENCE))


def _chance(metric: object) -> Literal["half", "area"] | None:
    """Return what a map that is independent of the truth scores, where that is known."""
    if metric is pixel_auroc:
        return "half"
    return "area" if metric is pixel_average_precision or metric is pointing_game else None


def labeled(things: object, what: str) -> dict[str, Any]:
    """Give every thing its label: that of a mapping, or its own."""
    if isinstance(things, Mapping):
        strange = [name for name in things if not isinstance(name, str) or not name]
        if strange:
            raise SettingError(f"labels of {what} must be words, got {strange[0]!r}")
        return dict(things)
    several = list(things) if isinstance(things, Sequence) and not isinstance(things, str) else None
    labels: dict[str, Any] = {}
    for thing in [things] if several is None else several:
        label = label_of(thing)
        if label in labels:
            raise SettingError(
                f"{what} must have different labels, got {label!r} twice; "
                f"name them, as in {what}={{'first': ..., 'second': ...}}"
            )
        labels[label] = thing
    return labels


def label_of(thing: object) -> str:
    """Name a function by its name, a partial by its settings too, anything else by its repr."""
    if isinstance(thing, str):
        return thing
    if isinstance(thing, partial):
        settings = [repr(a) for a in thing.args]
        settings += [f"{name}={value!r}" for name, value in thing.keywords.items()]
        return f"{label_of(thing.func)}({', '.join(settings)})"
    name = getattr(thing, "__name__", None)
    return name if isinstance(name, str) else repr(thing)

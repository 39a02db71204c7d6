"""Plan: which maps, masks and scores `evaluate` computes for each sample, by label."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property, partial
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias, TypeVar, cast, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cameval._checks import check_callable, warn_user
from cameval._spatial import read_property
from cameval.baselines import knowledge_of, pattern_of
from cameval.binarizers import MedianBinarizer, PercentileBinarizer, TopAreaBinarizer
from cameval.data import Sample
from cameval.errors import SettingError, ShapeError
from cameval.evaluation._digests import digest_of, digest_or_none
from cameval.evaluation.labels import is_own_label, map_by_label, own_name, setting_text
from cameval.evaluation.meaning import (
    BaselineMeaning,
    BinarizerMeaning,
    Column,
    Meanings,
    MethodMeaning,
    MetricMeaning,
    TargetClassMeaning,
)
from cameval.methods import OtherClass, RandomCAM
from cameval.metrics import (
    ZeroWithoutObject,
    false_positive_rate,
    marked_area,
    pixel_auroc,
    pixel_average_precision,
    pointing_game,
    pointing_recall,
    question_of,
    size_standardized_iou,
    specificity,
)
from cameval.metrics.chance_corrected import STANDARD_REFERENCE
from cameval.metrics.counts import is_formula_of_counts
from cameval.metrics.properties import (
    Unit,
    bounds,
    categories,
    higher_is_better,
    settings_from_sample,
    takes,
    title_of,
    truth_of,
    unit_of,
    value_range,
)
from cameval.networks._outputs import count_classes
from cameval.protocols import Baseline, Binarizer, CAMMethod, Metric

T = TypeVar("T")


MapSource: TypeAlias = Callable[[Sample], Tensor | NDArray[np.floating[Any]]]
"""From a sample with one target to its map ``(H, W)``, of any size; ``(D, H, W)`` of a volume."""

GIVEN: Final = "given"
"""The target class of maps that were made elsewhere."""


Named: TypeAlias = Mapping[str, T] | Sequence[T] | T
"""One, several, or several by label; without labels each has its own, see `label_of`."""


TargetClass: TypeAlias = Literal["predicted", "true", "given"] | int | Callable[[Tensor], Tensor]
"""The class of the maps: the predicted one, the true one, a fixed one, what a function of the
logits ``(N, C)`` returns, ``(N,)``; or the one for which a map was made elsewhere."""


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that is computed of a batch, by label."""

    target_class: Mapping[str, TargetClass]
    methods: Mapping[str, CAMMethod]
    baselines: Mapping[str, Baseline]
    binarizers: Mapping[str, Binarizer]
    metrics: Mapping[str, Metric]
    maps: Mapping[str, MapSource] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        *,
        classes: Named[TargetClass],
        methods: Named[CAMMethod],
        baselines: Named[Baseline],
        binarizers: Named[Binarizer],
        metrics: Named[Metric],
        maps: Named[MapSource] = (),
    ) -> "Plan":
        """Return the plan of these things, each by its label."""
        return cls(
            target_class=_check_classes(map_by_label(classes, "classes")),
            methods=callables_by_label(methods, "methods", "cameval.methods"),
            maps=map_by_label(maps, "maps"),
            baselines=callables_by_label(baselines, "baselines", "cameval.baselines"),
            binarizers=callables_by_label(binarizers, "binarizers", "cameval.binarizers"),
            metrics=callables_by_label(metrics, "metrics", "cameval.metrics"),
        )

    def __post_init__(self) -> None:
        if not self.methods and not self.maps and not self.baselines:
            raise SettingError("methods must name at least one method, got none")
        if not self.metrics:
            raise SettingError("metrics must name at least one metric, got none")
        if self.of_masks and not self.binarizers:
            raise SettingError(
                "binarizers must name at least one for metrics of masks "
                f"({', '.join(self.of_masks)}), got none"
            )
        names = [*self.methods, *self.maps, *self.baselines]
        if both := sorted(name for name in set(names) if names.count(name) > 1):
            raise SettingError(
                f"methods, maps and baselines must have different labels, got {both} twice"
            )
        for name, metric in self.metrics.items():
            if takes(metric) is None:
                warn_user(
                    f"metric {name!r} does not say what it takes, and is given masks; decorate it "
                    "with cameval.metrics.of_masks, of_maps or of_network"
                )

    @cached_property
    def of_masks(self) -> dict[str, Callable[..., Tensor]]:
        """The metrics of masks."""
        return self._taking("masks")

    @cached_property
    def of_counts(self) -> dict[str, Callable[..., Tensor]]:
        """The metrics of masks that are formulas of numbers of pixels."""
        return {name: one for name, one in self.of_masks.items() if is_formula_of_counts(one)}

    @cached_property
    def of_mask_pixels(self) -> dict[str, Callable[..., Tensor]]:
        """The metrics of masks that need the masks themselves."""
        return {name: one for name, one in self.of_masks.items() if name not in self.of_counts}

    @cached_property
    def of_maps(self) -> dict[str, Callable[..., Tensor]]:
        """The metrics of maps."""
        return self._taking("maps")

    @cached_property
    def of_network(self) -> dict[str, Callable[..., Tensor]]:
        """The metrics that need the network."""
        return self._taking("network")

    def _taking(self, kind: str) -> dict[str, Callable[..., Tensor]]:
        return {
            name: cast("Callable[..., Tensor]", metric)  # also of one number for each image
            for name, metric in self.metrics.items()
            if (takes(metric) or "masks") == kind
        }

    @property
    def columns(self) -> list[Column]:
        """Every score that a sample gets, in the order of the table."""
        sources: list[tuple[Literal["method", "baseline"], str]] = [
            *(("method", name) for name in (*self.methods, *self.maps)),
            *(("baseline", name) for name in self.baselines),
        ]
        return [
            Column(target_class, kind, source, binarizer, metric)
            for target_class in self.target_class
            for kind, source in sources
            for binarizer, metric in self.scores
        ]

    @cached_property
    def scores(self) -> list[tuple[str, str]]:
        """Binarizer and metric of every score that a map gets."""
        return [
            *(("", metric) for metric in (*self.of_maps, *self.of_network)),
            *((binarizer, metric) for binarizer in self.binarizers for metric in self.of_masks),
        ]

    def meanings(self) -> Meanings:
        """Return what every label stands for."""
        label = {id(metric): name for name, metric in self.metrics.items()}
        titles = _titles(self.metrics)
        return Meanings(
            methods={
                name: MethodMeaning(setting_text(one), is_given, _is_control(one))
                for things, is_given in ((self.methods, False), (self.maps, True))
                for name, one in things.items()
            },
            baselines={
                name: BaselineMeaning(setting_text(one), knowledge_of(one), pattern_of(one))
                for name, one in self.baselines.items()
            },
            binarizers={
                name: BinarizerMeaning(_setting(one), marked=_marked(one))
                for name, one in self.binarizers.items()
            },
            metrics={
                name: MetricMeaning(
                    _setting(one),
                    takes(one) or "masks",
                    higher_is_better(one),
                    categories(one),
                    label.get(id(bounds(one))),
                    value_range(one),
                    _reference(one),
                    _chance(one),
                    _without_object(one),
                    truth_of(one),
                    question_of(one),
                    titles[name],
                    _unit(one),
                    read_property(one, "definition"),
                )
                for name, one in self.metrics.items()
            },
            target_class={
                name: TargetClassMeaning(setting_text(one), None if callable(one) else one)
                for name, one in self.target_class.items()
            },
        )

    def identity(self) -> dict[str, Any]:
        """Return a digest of everything that is done, part by part and label by label.

        None stands for what has no contents that can be compared.
        """
        parts = {each.name: getattr(self, each.name) for each in fields(self)}
        parts |= {"maps": {name: _with_files(one) for name, one in self.maps.items()}}
        return {
            part: {name: digest_or_none(digest_of, thing) for name, thing in things.items()}
            for part, things in parts.items()
        }


def callables_by_label(things: object, what: str, *packages: str) -> dict[str, Any]:
    """Return things by their labels, each of which is callable; `packages` have known ones."""
    listed = isinstance(things, Sequence) and not isinstance(things, str)
    values: Any = things.values() if isinstance(things, Mapping) else things if listed else [things]
    for one in values:
        check_callable(what, one, *packages)
    named = map_by_label(things, what)
    known = {word for package in packages for word in _names_in(package)}
    for label, thing in named.items():
        names = _names_of(thing)
        if label.casefold().replace(" ", "_") in known - names and names & known:
            raise SettingError(
                f"labels of {what} must not be the names of others, got {label!r} for "
                f"{setting_text(thing)}; leave the label out, or write another one"
            )
    return named


def _names_in(package: str) -> Iterator[str]:
    """Yield the names of what can be called in a package, as labels have them."""
    module = import_module(package)
    things = (getattr(module, name) for name in module.__all__)
    yield from (own_name(thing) for thing in things if callable(thing))


def _names_of(thing: object) -> set[str]:
    """Return the name of a thing, and those of the things that it has in its fields."""
    nested = fields(thing) if is_dataclass(thing) else ()
    inner = (getattr(thing, one.name, None) for one in nested)
    return {own_name(one) for one in (thing, *inner) if callable(one)}


def _check_classes(named: dict[str, TargetClass]) -> dict[str, TargetClass]:
    for one in named.values():
        fixed = isinstance(one, int) and not isinstance(one, bool)
        if one not in ("predicted", "true", GIVEN) and not fixed and not callable(one):
            raise SettingError(
                "classes must be 'predicted', 'true', a class index or a function of the logits, "
                f"got {one!r}"
            )
    if not named:
        raise SettingError("classes must name at least one target class, got none")
    return named


def _setting(thing: object) -> str:
    """Return how a thing is written in Python, and what it takes from each sample."""
    words = {"spacing": "spacing", "spatial_axes": "number of axes"}
    taken = " and ".join(words[name] for name in settings_from_sample(thing))
    return setting_text(thing) + (f", with the {taken} of each sample" if taken else "")


def _is_control(method: object) -> bool:
    """Tell whether a method is a control."""
    return isinstance(method, RandomCAM | OtherClass)


def _marked(binarizer: object) -> float | None:
    """Return the share of a map without ties that a binarizer marks, if it is always the same."""
    match binarizer:
        case PercentileBinarizer():
            return round(1 - binarizer.percentile / 100, 12)
        case TopAreaBinarizer():
            return binarizer.area
        case MedianBinarizer():
            return 0.5
    return None


def _with_files(source: MapSource) -> list[object]:
    """Return a source of maps with the names, sizes and times of change of its files, if any."""
    files = sorted(getattr(source, "sources", ()))
    stats = [(str(path), path.stat()) for path in files]
    return [source, [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]]


def _reference(metric: object) -> float | None:
    """Return the share of the image that scores are standardized to, if they are."""
    given = metric.keywords if isinstance(metric, partial) else {}
    inner = metric.func if isinstance(metric, partial) else metric
    if inner is not size_standardized_iou:
        return None
    return float(given.get("reference", STANDARD_REFERENCE))


def _unit(metric: object) -> Unit | None:
    """Return the unit of the lengths of a metric; of a pointing game that of its tolerance."""
    given = metric.keywords if isinstance(metric, partial) else {}
    inner = metric.func if isinstance(metric, partial) else metric
    if inner is pointing_game or inner is pointing_recall:
        return "spacing" if given.get("tolerance") and "spacing" not in given else None
    return unit_of(metric)


def _titles(metrics: Mapping[str, object]) -> dict[str, str | None]:
    """Return the title of each metric; None for a label that the user gave it.

    Metrics with the same title have their labels behind it.
    """
    known = {
        name: title_of(one) if is_own_label(name, one) else None for name, one in metrics.items()
    }
    shared = Counter(known.values())
    return {
        name: f"{title} ({name})" if title is not None and shared[title] > 1 else title
        for name, title in known.items()
    }


def _chance(metric: object) -> Literal["half", "area"] | None:
    """Return what a map that is independent of the truth scores, where that is known."""
    if metric is pixel_auroc:
        return "half"
    return "area" if metric is pixel_average_precision or metric is pointing_game else None


def _without_object(metric: object) -> Literal["marked", "unmarked", "zero"] | None:
    """Return what the score of a target without an object says of its mask, where it is known."""
    if isinstance(metric, ZeroWithoutObject):
        return "zero"
    if metric is false_positive_rate or metric is marked_area:
        return "marked"
    return "unmarked" if metric is specificity else None


Task: TypeAlias = Literal["multiclass", "binary", "multilabel"]
"""``"multiclass"``: one of several logits is the prediction. ``"binary"``: one logit, positive for
class 1, or two logits. ``"multilabel"``: each logit is positive where its class is present."""


def check_task(task: object) -> Task | None:
    """Check the name of a task; None leaves it to the number of logits.

    Raises
    ------
    SettingError
        If there is no such task.
    """
    if task is not None and task not in get_args(Task):
        raise SettingError(f"task must be one of {get_args(Task)} or None, got {task!r}")
    return cast(Task | None, task)


def task_of(logits: Tensor, asked: Task | None) -> Task:
    """Return the task of logits ``(N, C)``: the one asked for, else binary if there is one logit.

    Raises
    ------
    ShapeError
        If the logits are not ``(N, C)``.
    SettingError
        If the network has another number of logits than the task.
    """
    if logits.ndim != 2:
        raise ShapeError(
            "the network must return logits (N, C) to be evaluated, got shape "
            f"{tuple(logits.shape)}; wrap it in a module that picks them"
        )
    count = logits.shape[1]
    if asked == "binary" and count > 2:
        raise SettingError(f"a binary task must have one logit or two, got {count}")
    if asked == "multiclass" and count < 2:
        raise SettingError(
            "a multiclass task must have at least two logits, got 1; a network of one logit has "
            "the task 'binary'"
        )
    return asked or ("binary" if count == 1 else "multiclass")


def count_classes_of(logits: Tensor, task: Task) -> int:
    """Return the number of classes of logits ``(N, C)``: two of one logit that is not a label."""
    return logits.shape[1] if task == "multilabel" else count_classes(logits)

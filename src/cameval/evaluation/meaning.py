"""Meanings of the labels in a table, stored with the results."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from cameval.baselines import Knowledge
from cameval.errors import DataError
from cameval.metrics.properties import Takes

__all__ = ["REASONS", "Column", "Meanings", "Origin"]


@dataclass(frozen=True, order=True)
class Column:
    """What one score of every sample is a score of.

    Parameters
    ----------
    target_class
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

    target_class: str
    kind: Literal["method", "baseline"]
    method: str
    binarizer: str
    metric: str


REASONS = (
    "",
    "empty truth",
    "truth is everything",
    "empty prediction",
    "map without a positive value",
    "undefined",
)
"""Why a score is undefined, by its code; the first means that it is defined."""


CONSTANT = 0x80
"""Added to the code of a score whose map is constant."""


ChosenOn = Literal["other images", "other images of the same groups", "these same images"]
"""On which images binarizers were chosen, seen from those whose scores they give."""


T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """On which images binarizers were chosen, and by what.

    Parameters
    ----------
    chosen_on
        The images, seen from those that are scored.
    metric
        Label of the metric.
    higher_is_better
        Whether the binarizer with the highest mean was chosen, or that with the lowest.
    """

    chosen_on: ChosenOn
    metric: str
    higher_is_better: bool

    def __post_init__(self) -> None:
        _check(self.chosen_on in get_args(ChosenOn), "chosen_on", self.chosen_on)
        _check(isinstance(self.metric, str), "metric", self.metric)
        _check(isinstance(self.higher_is_better, bool), "higher_is_better", self.higher_is_better)


@dataclass(frozen=True)
class MethodMeaning:
    """What stands behind the label of a method: its setting, for people to read."""

    setting: str

    def __post_init__(self) -> None:
        _check_setting(self.setting)


@dataclass(frozen=True)
class MetricMeaning:
    """What stands behind the label of a metric.

    Parameters
    ----------
    setting
        How it is written, for people to read.
    takes
        What it is given.
    higher_is_better
        None where the metric does not say.
    categories
        Names of its codes, if its scores are codes.
    bounds
        Label of the metric that it is an upper bound of, on the same masks.
    value_range
        The least and the highest score that it can give; None where the metric does not say.
    reference
        The share of the image that scores are standardized to, if they are.
    chance
        What a map that is independent of the truth scores in expectation: ``"half"`` for .5,
        ``"area"`` for the truth's share of the image; None where that is neither, or not known.
    """

    setting: str
    takes: Takes
    higher_is_better: bool | None = None
    categories: tuple[str, ...] = ()
    bounds: str | None = None
    value_range: tuple[float, float] | None = None
    reference: float | None = None
    chance: Literal["half", "area"] | None = None

    def __post_init__(self) -> None:
        _check_setting(self.setting)
        _check(self.takes in get_args(Takes), "takes", self.takes)
        known = self.higher_is_better is None or isinstance(self.higher_is_better, bool)
        _check(known, "higher_is_better", self.higher_is_better)
        _check(isinstance(self.categories, tuple | list), "categories", self.categories)
        object.__setattr__(self, "categories", tuple(self.categories))
        _check(all(isinstance(c, str) for c in self.categories), "categories", self.categories)
        _check(self.bounds is None or isinstance(self.bounds, str), "bounds", self.bounds)
        if self.value_range is not None:
            _check(_are_ends(self.value_range), "value_range", self.value_range)
            object.__setattr__(self, "value_range", tuple(map(float, self.value_range)))
        number = self.reference is None or isinstance(self.reference, int | float)
        _check(number, "reference", self.reference)
        _check(self.chance in ("half", "area", None), "chance", self.chance)


@dataclass(frozen=True)
class BaselineMeaning:
    """What stands behind the label of a baseline.

    Parameters
    ----------
    setting
        How it is written, for people to read.
    knows
        What its maps are made of; None where the baseline does not say.
    """

    setting: str
    knows: Knowledge | None = None

    def __post_init__(self) -> None:
        _check_setting(self.setting)
        _check(self.knows is None or self.knows in get_args(Knowledge), "knows", self.knows)


@dataclass(frozen=True)
class BinarizerMeaning:
    """What stands behind the label of a binarizer.

    Parameters
    ----------
    setting
        How it is written, for people to read.
    origin
        How the binarizers behind it were chosen, each for its map; None where it is one binarizer.
    """

    setting: str
    origin: Origin | None = None

    def __post_init__(self) -> None:
        _check_setting(self.setting)
        if isinstance(self.origin, Mapping):
            object.__setattr__(self, "origin", _of(Origin, self.origin))
        _check(self.origin is None or isinstance(self.origin, Origin), "origin", self.origin)


@dataclass(frozen=True)
class TargetClassMeaning:
    """What stands behind a label of `target_class`.

    Parameters
    ----------
    setting
        How it is written, for people to read.
    classes
        ``"predicted"``, ``"true"`` or a class index; None for a function of the logits.
    """

    setting: str
    classes: Literal["predicted", "true"] | int | None = None

    def __post_init__(self) -> None:
        _check_setting(self.setting)
        index = isinstance(self.classes, int) and not isinstance(self.classes, bool)
        good = self.classes in ("predicted", "true", None) or index
        _check(good, "classes", self.classes)


Meaning: TypeAlias = (
    MethodMeaning | MetricMeaning | BaselineMeaning | BinarizerMeaning | TargetClassMeaning
)


@dataclass(frozen=True)
class Meanings:
    """What stands behind each label of a table, by label. What is missing is not known."""

    methods: Mapping[str, MethodMeaning] = field(default_factory=dict)
    baselines: Mapping[str, BaselineMeaning] = field(default_factory=dict)
    binarizers: Mapping[str, BinarizerMeaning] = field(default_factory=dict)
    metrics: Mapping[str, MetricMeaning] = field(default_factory=dict)
    target_class: Mapping[str, TargetClassMeaning] = field(default_factory=dict)

    @classmethod
    def of(cls, record: object) -> "Meanings":
        """Read what `to_record` wrote.

        Raises
        ------
        DataError
            If the record is another; the part is named.
        """
        if record is None:
            return cls()
        kinds: dict[str, type[Any]] = {
            "methods": MethodMeaning,
            "baselines": BaselineMeaning,
            "binarizers": BinarizerMeaning,
            "metrics": MetricMeaning,
            "target_class": TargetClassMeaning,
        }
        _check(isinstance(record, Mapping) and set(record) <= set(kinds), "meanings", record)
        assert isinstance(record, Mapping)
        parts: dict[str, Any] = {}
        for part, things in record.items():
            _check(isinstance(things, Mapping), part, things)
            parts[part] = {str(label): _of(kinds[part], thing) for label, thing in things.items()}
        return cls(**parts)

    def to_record(self) -> dict[str, Any]:
        """Return the meanings as what can be written as JSON."""
        return {
            part: {label: asdict(meaning) for label, meaning in things.items()}
            for part, things in vars(self).items()
        }

    def metric(self, label: str) -> MetricMeaning | None:
        """Return what stands behind the label of a metric, if that is known."""
        return self.metrics.get(label)

    def origin(self, binarizer: str) -> Origin | None:
        """Return how the binarizers behind a label were chosen; None where it is one binarizer."""
        found = self.binarizers.get(binarizer)
        return None if found is None else found.origin


def _of(kind: type[T], record: object) -> T:
    """Read one meaning."""
    if not isinstance(record, Mapping):
        raise DataError(f"{kind.__name__} must be a record, got {record!r:.60}")
    try:
        return kind(**record)
    except TypeError as error:
        raise DataError(f"{kind.__name__} must have its fields, got {record!r:.60}") from error


def _check_setting(setting: object) -> None:
    _check(isinstance(setting, str), "setting", setting)


def _are_ends(pair: object) -> bool:
    numbers = isinstance(pair, list | tuple) and len(pair) == 2
    return numbers and all(isinstance(n, int | float) and isfinite(n) for n in pair)  # type: ignore[attr-defined]


def _check(good: bool, what: str, came: object) -> None:
    if not good:
        raise DataError(f"meanings of a table: {what} must be one that is known, got {came!r:.60}")

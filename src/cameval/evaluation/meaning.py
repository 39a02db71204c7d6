"""Meanings of the labels in a table: direction of a metric, what a baseline knows, and others.

Nothing is inferred from a label, a repr or a sentence. What is not recorded is unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import inf, isinf, isnan
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from cameval.baselines import Knowledge, Pattern
from cameval.errors import DataError, SettingError
from cameval.metrics import MetricQuestion
from cameval.metrics.properties import Takes, Truth, Unit

__all__ = [
    "REASONS",
    "BaselineMeaning",
    "BinarizerMeaning",
    "Column",
    "Meanings",
    "MethodMeaning",
    "MetricMeaning",
    "Origin",
    "TargetClassMeaning",
]


@dataclass(frozen=True, order=True)
class Column:
    """The target class, method, binarizer and metric of one column of scores.

    Parameters
    ----------
    target_class
        Label of the target class of the map: ``"predicted"``, ``"true"`` or another.
    kind
        ``"method"`` or ``"baseline"``.
    method
        Label of the method or baseline of the map.
    binarizer
        Label of the binarizer of the mask; empty for metrics without one.
    metric
        Label of the metric.

    Examples
    --------
    >>> from cameval.evaluation import Column
    >>> column = Column("predicted", "method", "cam", "percentile:95", "iou")
    >>> column.method, column.binarizer, column.metric
    ('cam', 'percentile:95', 'iou')
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
"""Reasons why a score is undefined, by code; the first, empty one is for defined scores."""


CONSTANT = 0x80
"""Added to the code of a score whose map is constant."""


ChosenOn = Literal[
    "other images",
    "other images, perhaps of the same groups",
    "other images of the same groups",
    "these same images",
]
"""The images on which binarizers were chosen, relative to those that are scored.

Perhaps the groups are the same where each image of one part is a group of its own, as without
groups, and those of the other part are not.
"""


T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """The images and the metric by which binarizers were chosen.

    Parameters
    ----------
    chosen_on
        The images, relative to those that are scored.
    metric
        Label of the metric.
    higher_is_better
        Whether the binarizer with the highest mean was chosen, or that with the lowest.
    by
        ``"label"`` if one was chosen for each map and label, None if for each map.

    Raises
    ------
    DataError
        If a field is not what it must be.

    Examples
    --------
    >>> from cameval.evaluation import Origin
    >>> origin = Origin("other images", metric="iou", higher_is_better=True, by="label")
    >>> origin.chosen_on, origin.by
    ('other images', 'label')
    """

    chosen_on: ChosenOn
    metric: str
    higher_is_better: bool
    by: Literal["label"] | None = None

    def __post_init__(self) -> None:
        _check(self.chosen_on in get_args(ChosenOn), "chosen_on", self.chosen_on)
        _check(isinstance(self.metric, str), "metric", self.metric)
        _check(isinstance(self.higher_is_better, bool), "higher_is_better", self.higher_is_better)
        _check(self.by in ("label", None), "by", self.by)


@dataclass(frozen=True)
class MethodMeaning:
    """Meaning of the label of a method, or of maps made elsewhere.

    Parameters
    ----------
    setting
        How it is written in Python.
    given
        Whether the maps were made elsewhere.
    control
        Whether it is a control: :class:`~cameval.methods.RandomCAM`, or
        :class:`~cameval.methods.OtherClass`.

    Raises
    ------
    DataError
        If a field is not what it must be.

    Examples
    --------
    >>> from cameval.evaluation import MethodMeaning
    >>> MethodMeaning("grad_cam")
    MethodMeaning(setting='grad_cam', given=False, control=False)
    """

    setting: str
    given: bool = False
    control: bool = False

    def __post_init__(self) -> None:
        _check_setting(self.setting)
        _check(isinstance(self.given, bool), "given", self.given)
        _check(isinstance(self.control, bool), "control", self.control)


@dataclass(frozen=True)
class MetricMeaning:
    """Meaning of the label of a metric.

    Parameters
    ----------
    setting
        How it is written in Python.
    takes
        What the metric takes.
    higher_is_better
        None if the metric does not say.
    categories
        Names of its codes, if its scores are codes.
    bounds
        Label of the metric that it is an upper bound of, on the same masks.
    value_range
        The lowest and the highest possible score; None if the metric does not say. One end may be
        infinite, which may be given as None.
    reference
        The share of the image that scores are standardized to, if they are.
    chance
        The expected score of a map that is independent of the truth: ``"half"`` for .5, ``"area"``
        for the truth's share of the image; None for anything else.
    without_object
        The score of a target without an object: ``"marked"`` if it is above 0 where a pixel is
        marked, ``"unmarked"`` if it is below 1 there, ``"zero"`` if any marked pixel makes it 0;
        None for anything else.
    truth
        What of the truth the metric is given: the mask, or the objects.
    question
        The question that it answers, if that is documented. It is for readers: metrics that differ
        in nothing else are equal.
    title
        What reports and plots call it, with its settings; None for its label. It is for readers,
        too.
    unit
        ``"spacing"`` if a length, in its scores or its settings, is in the unit of the spacing of
        each sample. ``Meanings.title`` adds the unit to the title.
    definition
        What it is, as a phrase for the paragraph on methods; None if the metric does not say.

    Raises
    ------
    DataError
        If a field is not what it must be.

    Examples
    --------
    A distance has no highest value:

    >>> from cameval.evaluation import MetricMeaning
    >>> meaning = MetricMeaning("distance", "masks", higher_is_better=False, value_range=(0, None))
    >>> meaning.takes, meaning.higher_is_better, meaning.value_range
    ('masks', False, (0.0, inf))
    """

    setting: str
    takes: Takes
    higher_is_better: bool | None = None
    categories: tuple[str, ...] = ()
    bounds: str | None = None
    value_range: tuple[float, float] | None = None
    reference: float | None = None
    chance: Literal["half", "area"] | None = None
    without_object: Literal["marked", "unmarked", "zero"] | None = None
    truth: Truth = "mask"
    question: MetricQuestion | None = field(default=None, compare=False)
    title: str | None = field(default=None, compare=False)
    unit: Unit | None = field(default=None, compare=False)
    definition: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        _check_setting(self.setting)
        _check(self.title is None or isinstance(self.title, str), "title", self.title)
        known_words = self.definition is None or isinstance(self.definition, str)
        _check(known_words, "definition", self.definition)
        _check(self.unit is None or self.unit in get_args(Unit), "unit", self.unit)
        _check(self.takes in get_args(Takes), "takes", self.takes)
        known = self.higher_is_better is None or isinstance(self.higher_is_better, bool)
        _check(known, "higher_is_better", self.higher_is_better)
        _check(isinstance(self.categories, tuple | list), "categories", self.categories)
        object.__setattr__(self, "categories", tuple(self.categories))
        _check(all(isinstance(c, str) for c in self.categories), "categories", self.categories)
        _check(self.bounds is None or isinstance(self.bounds, str), "bounds", self.bounds)
        if self.value_range is not None:
            _check(_are_ends(self.value_range), "value_range", self.value_range)
            object.__setattr__(self, "value_range", _ends(self.value_range))
        number = self.reference is None or isinstance(self.reference, int | float)
        _check(number, "reference", self.reference)
        _check(self.chance in ("half", "area", None), "chance", self.chance)
        known_mark = self.without_object in ("marked", "unmarked", "zero", None)
        _check(known_mark, "without_object", self.without_object)
        _check(self.truth in get_args(Truth), "truth", self.truth)
        if isinstance(self.question, Mapping):
            object.__setattr__(self, "question", _question(self.question))
        known_question = self.question is None or isinstance(self.question, MetricQuestion)
        _check(known_question, "question", self.question)


@dataclass(frozen=True)
class BaselineMeaning:
    """Meaning of the label of a baseline.

    Parameters
    ----------
    setting
        How it is written in Python.
    knows
        The information that it uses; None if the baseline does not say.
    pattern
        What it marks, if it does not see the image; None if the baseline does not say.

    Raises
    ------
    DataError
        If a field is not what it must be.

    Examples
    --------
    >>> from cameval.evaluation import BaselineMeaning
    >>> BaselineMeaning("center_baseline", knows="nothing", pattern="center").pattern
    'center'
    """

    setting: str
    knows: Knowledge | None = None
    pattern: Pattern | None = None

    def __post_init__(self) -> None:
        _check_setting(self.setting)
        _check(self.knows is None or self.knows in get_args(Knowledge), "knows", self.knows)
        known = self.pattern is None or self.pattern in get_args(Pattern)
        _check(known, "pattern", self.pattern)


@dataclass(frozen=True)
class BinarizerMeaning:
    """Meaning of the label of a binarizer.

    Parameters
    ----------
    setting
        How it is written in Python.
    origin
        How the binarizers of the maps were chosen; None if the label is that of one binarizer.
    marked
        The share of a map without ties that it marks, if it is the same for all maps: .05 for the
        95th percentile.

    Raises
    ------
    DataError
        If a field is not what it must be.

    Examples
    --------
    >>> from cameval.evaluation import BinarizerMeaning, Origin
    >>> BinarizerMeaning("PercentileBinarizer(95)").origin is None
    True
    >>> chosen = BinarizerMeaning("chosen", Origin("other images", "iou", higher_is_better=True))
    >>> chosen.origin.chosen_on
    'other images'
    """

    setting: str
    origin: Origin | None = None
    marked: float | None = None

    def __post_init__(self) -> None:
        _check_setting(self.setting)
        if isinstance(self.origin, Mapping):
            object.__setattr__(self, "origin", _of(Origin, self.origin))
        _check(self.origin is None or isinstance(self.origin, Origin), "origin", self.origin)
        number = isinstance(self.marked, int | float) and 0 <= self.marked <= 1
        _check(self.marked is None or number, "marked", self.marked)


@dataclass(frozen=True)
class TargetClassMeaning:
    """Meaning of the label of a target class.

    Parameters
    ----------
    setting
        How it is written in Python.
    classes
        ``"predicted"``, ``"true"`` or a class index; ``"given"`` if all maps were made elsewhere;
        None for a function of the logits.

    Raises
    ------
    DataError
        If a field is not what it must be.

    Examples
    --------
    >>> from cameval.evaluation import TargetClassMeaning
    >>> TargetClassMeaning("2", classes=2)
    TargetClassMeaning(setting='2', classes=2)
    >>> print(TargetClassMeaning("a_function").classes)
    None
    """

    setting: str
    classes: Literal["predicted", "true", "given"] | int | None = None

    def __post_init__(self) -> None:
        _check_setting(self.setting)
        index = isinstance(self.classes, int) and not isinstance(self.classes, bool)
        good = self.classes in ("predicted", "true", "given", None) or index
        _check(good, "classes", self.classes)


ANY_UNIT = "px or unit of spacing"
"""The unit of a distance where it is not known which samples have a spacing."""


def with_unit(title: str, unit: str) -> str:
    """Return a title with a unit behind its settings, if it has any; no unit changes nothing.

    Examples
    --------
    >>> from cameval.evaluation.meaning import with_unit
    >>> with_unit("distance", "px"), with_unit("distance (contour)", "px")
    ('distance (px)', 'distance (contour, px)')
    """
    if not unit:
        return title
    return f"{title[:-1]}, {unit})" if title.endswith(")") else f"{title} ({unit})"


Meaning: TypeAlias = (
    MethodMeaning | MetricMeaning | BaselineMeaning | BinarizerMeaning | TargetClassMeaning
)


@dataclass(frozen=True)
class Meanings:
    """Meanings of the labels of a table. A label without an entry has no known meaning.

    Parameters
    ----------
    methods, baselines, binarizers, metrics, target_class
        The meanings by label.
    unit
        What titles say of the unit of distances that use the spacing of each sample, which only
        the evaluated samples tell; None if it is not known.

    Examples
    --------
    >>> from cameval.evaluation import Meanings, MetricMeaning
    >>> meanings = Meanings(metrics={"iou": MetricMeaning("iou", "masks", higher_is_better=True)})
    >>> meanings.metric("iou").higher_is_better, meanings.metric("other") is None
    (True, True)
    >>> Meanings.of(meanings.to_record()) == meanings
    True
    """

    methods: Mapping[str, MethodMeaning] = field(default_factory=dict)
    baselines: Mapping[str, BaselineMeaning] = field(default_factory=dict)
    binarizers: Mapping[str, BinarizerMeaning] = field(default_factory=dict)
    metrics: Mapping[str, MetricMeaning] = field(default_factory=dict)
    target_class: Mapping[str, TargetClassMeaning] = field(default_factory=dict)
    unit: str | None = field(default=None, compare=False)

    @property
    def parts(self) -> dict[str, Mapping[str, Any]]:
        """The meanings by kind and label."""
        return {name: part for name, part in vars(self).items() if name != "unit"}

    @classmethod
    def of(cls, record: object) -> "Meanings":
        """Return the meanings of a record that `to_record` returned.

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
        """Return the meanings as a dictionary for JSON."""
        return {
            part: {label: _record(meaning) for label, meaning in things.items()}
            for part, things in self.parts.items()
        }

    def metric(self, label: str) -> MetricMeaning | None:
        """Return the meaning of the label of a metric, or None if it is not known."""
        return self.metrics.get(label)

    def title(self, metric: str) -> str:
        """Return the title of a metric; without one its label, with blanks for underscores.

        The unit of a distance is in the title, unless the user gave the metric its label.

        Examples
        --------
        >>> from cameval.evaluation import Meanings, MetricMeaning
        >>> meanings = Meanings(metrics={"iou": MetricMeaning("iou", "masks", title="IoU")})
        >>> meanings.title("iou"), meanings.title("my_own")
        ('IoU', 'my own')
        >>> far = MetricMeaning("distance", "masks", title="distance", unit="spacing")
        >>> Meanings(metrics={"far": far}, unit="px").title("far")
        'distance (px)'
        """
        found = self.metrics.get(metric)
        if found is None or not found.title:
            return metric.replace("_", " ")
        return with_unit(found.title, (self.unit or ANY_UNIT) if found.unit else "")

    def origin(self, binarizer: str) -> Origin | None:
        """Return how the binarizers of a label were chosen; None if it is that of one binarizer.

        Examples
        --------
        >>> from cameval.evaluation import BinarizerMeaning, Meanings, Origin
        >>> origin = Origin("other images", "iou", higher_is_better=True)
        >>> meanings = Meanings(binarizers={"validated": BinarizerMeaning("chosen", origin)})
        >>> meanings.origin("validated").chosen_on, meanings.origin("otsu") is None
        ('other images', True)
        """
        found = self.binarizers.get(binarizer)
        return None if found is None else found.origin


def _of(kind: type[T], record: object) -> T:
    """Return one meaning of a record."""
    if not isinstance(record, Mapping):
        raise DataError(f"{kind.__name__} must be a record, got {record!r:.60}")
    try:
        return kind(**record)
    except TypeError as error:
        raise DataError(f"{kind.__name__} must have its fields, got {record!r:.60}") from error


def _question(record: Mapping[str, Any]) -> MetricQuestion:
    """Return the question of a metric of a record."""
    try:
        return _of(MetricQuestion, record)
    except SettingError as error:
        raise DataError(f"meanings of a table: {error}") from error


def _record(meaning: Meaning) -> dict[str, Any]:
    """Return a meaning for JSON, which has no infinite numbers."""
    record = asdict(meaning)
    if record.get("value_range") is not None:
        record["value_range"] = [None if isinf(end) else end for end in record["value_range"]]
    return record


def _check_setting(setting: object) -> None:
    _check(isinstance(setting, str), "setting", setting)


def _are_ends(pair: object) -> bool:
    """Tell whether a pair is a range: two numbers, of which one may be infinite (None in JSON)."""
    if not isinstance(pair, list | tuple) or len(pair) != 2 or tuple(pair) == (None, None):
        return False
    return all(n is None or (isinstance(n, int | float) and not isnan(n)) for n in pair)


def _ends(pair: Sequence[float | None]) -> tuple[float, float]:
    """Return a range as two numbers; None is infinite."""
    low, high = pair
    return -inf if low is None else float(low), inf if high is None else float(high)


def _check(good: bool, what: str, came: object) -> None:
    if not good:
        raise DataError(f"meanings of a table: {what} must be a known one, got {came!r:.60}")

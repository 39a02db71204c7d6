"""What was evaluated: models, target classes, methods, baselines, binarizers, metrics."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar, get_args

import pandas as pd

from cameval.baselines import Knowledge, Pattern
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import (
    BaselineMeaning,
    BinarizerMeaning,
    ChosenOn,
    Column,
    Meanings,
    MetricMeaning,
)

Role = Knowledge | None
"""What a baseline states that it knows; None if it does not state it."""


Table = TypeVar("Table", bound=ScoreTable)


@dataclass(frozen=True)
class Contents:
    """What was evaluated, by label; what is not known of a label is empty in its meaning.

    Parameters
    ----------
    models, target_classes, methods
        Labels.
    binarizers
        Labels with their meanings.
    baselines
        Labels with what each baseline knows.
    mask_metrics, map_metrics
        Metrics of masks, and metrics of maps, whose scores are averaged.
    category_metrics
        Metrics whose scores are codes of categories, which are counted.
    conventions
        Metrics of masks that score any mark on a negative as 0. They are of all targets, and are
        kept apart from metrics of targets with an object.
    patterns
        What each baseline marks that does not see the image, as far as it is known.
    given
        Labels of the methods whose maps were made elsewhere.
    controls
        Labels of the methods that are controls.
    has_network
        Whether a network was evaluated; otherwise all maps were made elsewhere.
    meanings
        The meanings of all labels, also of those that are left out here.
    """

    models: tuple[str, ...]
    target_classes: tuple[str, ...]
    methods: tuple[str, ...]
    baselines: Mapping[str, Role]
    binarizers: Mapping[str, BinarizerMeaning]
    mask_metrics: Mapping[str, MetricMeaning]
    map_metrics: Mapping[str, MetricMeaning]
    category_metrics: Mapping[str, MetricMeaning]
    conventions: Mapping[str, MetricMeaning] = field(default_factory=dict)
    patterns: Mapping[str, Pattern | None] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    controls: frozenset[str] = frozenset()
    has_network: bool = True
    meanings: Meanings = field(default_factory=Meanings)

    def title(self, metric: str) -> str:
        """Return the title of a metric on one line."""
        return one_line(self.meanings.title(metric))

    @property
    def averaged_metrics(self) -> dict[str, MetricMeaning]:
        """Metrics of masks, then metrics of maps."""
        return {**self.mask_metrics, **self.map_metrics}

    @property
    def object_metrics(self) -> dict[str, MetricMeaning]:
        """Metrics that are given the objects of a target, such as the share that is found."""
        averaged = self.averaged_metrics.items()
        return {label: meaning for label, meaning in averaged if meaning.truth == "objects"}

    @property
    def rivals(self) -> tuple[str, ...]:
        """Baselines that a map should beat: all that do not know the true mask."""
        return tuple(label for label, role in self.baselines.items() if role != "truth")

    @property
    def has_noise_alone(self) -> bool:
        """Whether all baselines that see nothing are random maps."""
        blind = [label for label, role in self.baselines.items() if role == "nothing"]
        return bool(blind) and all(self.patterns.get(label) == "noise" for label in blind)


def contents_of(results: ScoreTable) -> Contents:
    """Return what was evaluated."""
    columns, meanings = results.columns, results.meanings
    metrics = {
        label: meanings.metrics.get(label, MetricMeaning(label, "masks"))
        for label in _labels(columns, "metric")
    }
    averaged = {label: meaning for label, meaning in metrics.items() if not meaning.categories}
    of_masks = dict.fromkeys(c.metric for c in columns if c.binarizer)
    of_maps = dict.fromkeys(c.metric for c in columns if not c.binarizer)
    binarizers = {
        label: meanings.binarizers.get(label, BinarizerMeaning(label))
        for label in _labels(columns, "binarizer")
        if label
    }
    conventions = {
        label: averaged[label]
        for label in of_masks
        if label in averaged and averaged[label].without_object == "zero"
    }
    if len(conventions) == len(averaged) or results.samples["present"].all():
        conventions = {}
    averaged = {label: meaning for label, meaning in averaged.items() if label not in conventions}
    known = meanings.target_class.values()
    return Contents(
        models=tuple(map(str, results.samples["model"].unique())),
        target_classes=tuple(_labels(columns, "target_class")),
        methods=tuple(dict.fromkeys(c.method for c in columns if c.kind == "method")),
        baselines={
            c.method: meanings.baselines.get(c.method, BaselineMeaning(c.method)).knows
            for c in columns
            if c.kind == "baseline"
        },
        patterns={label: one.pattern for label, one in meanings.baselines.items()},
        binarizers=binarizers,
        mask_metrics={label: averaged[label] for label in of_masks if label in averaged},
        map_metrics={label: averaged[label] for label in of_maps if label in averaged},
        category_metrics={k: meaning for k, meaning in metrics.items() if meaning.categories},
        conventions=conventions,
        given=frozenset(label for label, one in meanings.methods.items() if one.given),
        controls=frozenset(label for label, one in meanings.methods.items() if one.control),
        has_network=not known or any(one.classes != "given" for one in known),
        meanings=meanings,
    )


def contents_of_page(results: ScoreTable, binarizer: str | None) -> Contents:
    """Return what was evaluated, with the binarizer that a page is about before the others."""
    contents = contents_of(results)
    first = binarizer or validated_binarizer(contents.binarizers)
    in_order = sorted(contents.binarizers, key=lambda label: label != first)
    return replace(contents, binarizers={label: contents.binarizers[label] for label in in_order})


def validated_binarizer(binarizers: Mapping[str, BinarizerMeaning]) -> str | None:
    """Return the first label of binarizers that were not chosen on the images that are scored."""
    chosen_on = {label: one.origin.chosen_on for label, one in binarizers.items() if one.origin}
    others: list[ChosenOn] = [one for one in get_args(ChosenOn) if one != "these same images"]
    found = [label for place in others for label, of in chosen_on.items() if of == place]
    return next(iter(found), None)


def count_hidden(samples: pd.DataFrame) -> tuple[int, int]:
    """Return how many objects have no pixel that is scored, and how many objects there are."""
    present = samples["present"].to_numpy(bool)
    return int((present & ~(samples["area"] > 0).to_numpy()).sum()), int(present.sum())


def count_rows(results: ScoreTable) -> dict[str, int]:
    """Return how many images, targets and groups results are of; models share what is the same."""
    samples = results.samples
    return {
        "image": int(samples["sample"].nunique()),
        "target": len(samples.drop_duplicates(["sample", "label"])),
        "group": int(samples["group"].nunique()),
    }


def with_object(results: Table, contents: Contents) -> Table:
    """Return the results of the targets with an object.

    They are those of all targets if there are no others, if a model has none, or if the only
    metrics are of all targets by their convention.
    """
    present = results.samples["present"].to_numpy(bool)
    averaged = contents.averaged_metrics.values()
    by_convention = any(meaning.without_object == "zero" for meaning in averaged)
    models = results.samples["model"]
    if by_convention or present.all() or set(models[present]) != set(models):
        return results
    return results.select(present=True)


def _labels(columns: tuple[Column, ...], field: str) -> list[str]:
    return list(dict.fromkeys(getattr(column, field) for column in columns))

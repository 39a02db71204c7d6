"""What was evaluated: models, target classes, methods, baselines, binarizers and metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from cameval.baselines import Knowledge
from cameval.evaluation import Column, Results
from cameval.evaluation.meaning import BaselineMeaning, BinarizerMeaning, MetricMeaning

Role = Knowledge | None
"""What a baseline states that it knows; None if it does not state it."""


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
    """

    models: tuple[str, ...]
    target_classes: tuple[str, ...]
    methods: tuple[str, ...]
    baselines: Mapping[str, Role]
    binarizers: Mapping[str, BinarizerMeaning]
    mask_metrics: Mapping[str, MetricMeaning]
    map_metrics: Mapping[str, MetricMeaning]
    category_metrics: Mapping[str, MetricMeaning]

    @property
    def averaged_metrics(self) -> dict[str, MetricMeaning]:
        """Metrics of masks, then metrics of maps."""
        return {**self.mask_metrics, **self.map_metrics}

    @property
    def rivals(self) -> tuple[str, ...]:
        """Baselines that a map should beat: all that do not know the true mask."""
        return tuple(label for label, role in self.baselines.items() if role != "truth")


def contents_of(results: Results, *, first_binarizer: str | None = None) -> Contents:
    """Return what was evaluated, with one binarizer before the others."""
    columns, meanings = results.columns, results.meanings
    metrics = {
        label: meanings.metrics.get(label, MetricMeaning(label, "masks"))
        for label in _labels(columns, "metric")
    }
    averaged = {label: meaning for label, meaning in metrics.items() if not meaning.categories}
    of_masks = dict.fromkeys(c.metric for c in columns if c.binarizer)
    of_maps = dict.fromkeys(c.metric for c in columns if not c.binarizer)
    binarizers = [label for label in _labels(columns, "binarizer") if label]
    return Contents(
        models=tuple(map(str, results.samples["model"].unique())),
        target_classes=tuple(_labels(columns, "target_class")),
        methods=tuple(dict.fromkeys(c.method for c in columns if c.kind == "method")),
        baselines={
            c.method: meanings.baselines.get(c.method, BaselineMeaning(c.method)).knows
            for c in columns
            if c.kind == "baseline"
        },
        binarizers={
            label: meanings.binarizers.get(label, BinarizerMeaning(label))
            for label in sorted(binarizers, key=lambda label: label != first_binarizer)
        },
        mask_metrics={label: averaged[label] for label in of_masks if label in averaged},
        map_metrics={label: averaged[label] for label in of_maps if label in averaged},
        category_metrics={k: meaning for k, meaning in metrics.items() if meaning.categories},
    )


def _labels(columns: tuple[Column, ...], field: str) -> list[str]:
    return list(dict.fromkeys(getattr(column, field) for column in columns))

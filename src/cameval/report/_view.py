"""Values that the sections of the report share: roles of the columns, scores, labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.baselines import Knowledge
from cameval.errors import SettingError
from cameval.evaluation import Column, Meanings, Origin, Results
from cameval.report._format import name
from cameval.statistics import ENOUGH_GROUPS

Role: TypeAlias = Knowledge | None
"""What a baseline says that it knows; None where it does not say."""


ROLES: dict[Role, str] = {
    "nothing": "blind",
    "labels": "labels alone",
    "image": "image alone",
    None: "baseline",
    "truth": "knows the truth",
}
"""How a baseline is marked in tables, in the order in which they stand there."""


BEST_OF: dict[Role, str] = {
    "nothing": "best blind map",
    "labels": "best of labels alone",
    "image": "best of image alone",
    None: "best baseline",
    "truth": "from the truth",
}
"""Title of the column that holds the best score of each kind."""


@dataclass(frozen=True)
class Score:
    """A row of `Results.summary`: a mean with its interval, and what it rests on."""

    n: int
    n_groups: int
    n_undefined: int
    n_constant: int
    mean: float
    low: float
    high: float
    median: float
    q25: float
    q75: float

    @property
    def few(self) -> bool:
        """Whether the interval is of so few groups that it may be too narrow."""
        return self.n_groups < ENOUGH_GROUPS

    @classmethod
    def of(cls, row: Any) -> "Score":
        """Take a row of the table apart."""
        return cls(**{field: getattr(row, field) for field in cls.__dataclass_fields__})


def scores_of(results: Results, metrics: Sequence[str]) -> dict[tuple[str, Column], Score]:
    """Return the score of each model and column of some metrics."""
    if not metrics:
        return {}
    table = results.select(metric=list(metrics)).summary()
    return {(str(row.model), _column(row)): Score.of(row) for row in table.itertuples(index=False)}


def _column(row: Any) -> Column:
    return Column(row.target_class, row.kind, row.method, row.binarizer, row.metric)


MOST_CLASSES = 25


MOST_MODELS = 6


_MOST_NAMES = 5


@dataclass(frozen=True)
class Preferred:
    """Whose scores the page is about, fixed in advance; None means the best on these images.

    Parameters
    ----------
    binarizer, method
        Labels.
    """

    binarizer: str | None = None
    method: str | None = None


@dataclass(frozen=True, eq=False)
class Facts:
    """Results, seen as the report needs them.

    Parameters
    ----------
    results
        What is reported.
    preferred
        Which method and binarizer the page is about.
    """

    results: Results
    preferred: Preferred = Preferred()

    def __post_init__(self) -> None:
        methods = self.methods or self.rivals
        for what, label, known in (
            ("binarizer", self.preferred.binarizer, self.binarizers),
            ("method", self.preferred.method, methods),
        ):
            if label is not None and label not in known:
                raise SettingError(
                    f"{what} must be one of those evaluated ({', '.join(known)}), got {label!r}"
                )

    # --- What there is ----------------------------------------------------------------------------

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings of the run, of the first where there are several."""
        return dict(self.results.provenance.get("settings") or {})

    @property
    def seed(self) -> int:
        """The seed of everything random."""
        return int(self.settings.get("seed") or 0)

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Names of the models."""
        return tuple(map(str, self.results.samples["model"].unique()))

    @cached_property
    def target_class(self) -> tuple[str, ...]:
        """Which classes the maps explain."""
        return self._labels("target_class")

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """Labels of the methods."""
        return tuple(dict.fromkeys(c.method for c in self.results.columns if c.kind == "method"))

    @property
    def meanings(self) -> Meanings:
        """What the labels stand for."""
        return self.results.meanings

    @cached_property
    def baselines(self) -> dict[str, Role]:
        """Labels of the baselines, and what each knows."""
        labels = dict.fromkeys(c.method for c in self.results.columns if c.kind == "baseline")
        known = self.meanings.baselines
        return {label: known[label].knows if label in known else None for label in labels}

    @cached_property
    def rivals(self) -> tuple[str, ...]:
        """Labels of the baselines that a map should beat: all that do not know the truth."""
        return tuple(label for label, role in self.baselines.items() if role != "truth")

    @cached_property
    def outcomes(self) -> tuple[str, ...]:
        """Labels of the metrics whose scores are codes of categories, which are counted."""
        return tuple(label for label in self._labels("metric") if self.categories(label))

    @cached_property
    def mask_metrics(self) -> tuple[str, ...]:
        """Labels of the metrics of masks."""
        found = dict.fromkeys(c.metric for c in self.results.columns if c.binarizer)
        return tuple(label for label in found if label not in self.outcomes)

    @cached_property
    def map_metrics(self) -> tuple[str, ...]:
        """Labels of the metrics that need no threshold."""
        found = dict.fromkeys(c.metric for c in self.results.columns if not c.binarizer)
        return tuple(label for label in found if label not in self.outcomes)

    @cached_property
    def binarizers(self) -> tuple[str, ...]:
        """Labels of the binarizers, the preferred one first."""
        labels = [label for label in self._labels("binarizer") if label]
        return tuple(sorted(labels, key=lambda label: label != self.preferred.binarizer))

    @cached_property
    def headline(self) -> str | None:
        """The metric that the page is about: the first of masks, or of maps, that is no bound."""
        several = (*self.mask_metrics, *self.map_metrics)
        scores = [label for label in several if self.bounded_by(label) is None]
        return next(iter(scores or several), None)

    @cached_property
    def bound(self) -> str | None:
        """The metric that is an upper bound of the headline, on the same masks."""
        if self.headline is None:
            return None
        bounds = (label for label in self.mask_metrics if self.bounded_by(label) == self.headline)
        return next(bounds, None)

    def bounded_by(self, metric: str) -> str | None:
        """Return the label of the metric that a metric is an upper bound of."""
        known = self.meanings.metric(metric)
        return None if known is None else known.bounds

    def categories(self, metric: str) -> tuple[str, ...]:
        """Return the names of the codes of a metric, if its scores are codes."""
        known = self.meanings.metric(metric)
        return () if known is None else known.categories

    def higher_is_better(self, metric: str | None) -> bool | None:
        """Tell whether more of a metric is better; None where it does not say."""
        known = self.meanings.metric(metric or "")
        return None if known is None else known.higher_is_better

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Between which ends the headline says that it lies; None where it does not say."""
        known = self.meanings.metric(self.headline or "")
        return None if known is None else known.value_range

    @property
    def counted(self) -> bool:
        """Whether it means something how many scores are above .5: more is better, of 1 at most."""
        return self.value_range == (0, 1) and bool(self.higher_is_better(self.headline))

    def within_range(
        self, values: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], tuple[float, float] | None]:
        """Return scores of the headline without what rounding adds, and the ends of its range.

        There are no ends if the metric does not say them, or says what is not so.
        """
        ends = self.value_range
        if ends is None or ((values < ends[0] - 1e-9) | (values > ends[1] + 1e-9)).any():
            return values, None
        return values.clip(*ends), ends

    # --- Scores -----------------------------------------------------------------------------------

    @cached_property
    def scores(self) -> dict[tuple[str, Column], Score]:
        """The score of each model and column."""
        return scores_of(self.results, [*self.mask_metrics, *self.map_metrics])

    def values(self, model: str, column: Column) -> NDArray[np.float64]:
        """Return the scores of a model's samples, one each."""
        values: NDArray[np.float64] = self.results.values[
            self.rows(model), self.results.columns.index(column)
        ]
        return values

    def rows(self, model: str) -> NDArray[np.bool_]:
        """Return which rows are a model's."""
        return (self.results.samples["model"] == model).to_numpy()

    def samples(self, model: str) -> pd.DataFrame:
        """Return a model's samples."""
        return self.results.samples[self.rows(model)]

    def samples_of(self, rows: NDArray[np.bool_]) -> str:
        """Name the first samples of some rows, and say how many more there are."""
        names = self.results.samples["sample"][rows].unique()
        more = len(names) - _MOST_NAMES
        several = [name(each, 24) for each in names[:_MOST_NAMES]]
        return ", ".join(several) + (f" and {more:,} more" if more > 0 else "")

    def best(self, model: str) -> Column | None:
        """Return the method and binarizer of a model that score best in the headline."""
        return self._best(model, self.candidates(model))

    def candidates(self, model: str) -> list[Column]:
        """Return the columns of a model that its headline is the best of."""
        prefer = self.preferred
        methods = (self.methods or self.rivals) if prefer.method is None else (prefer.method,)
        return [
            column
            for where, column in self.scores
            if where == model
            and column.metric == self.headline
            and column.method in methods
            and column.target_class == self.target_class[0]
            and (prefer.binarizer is None or column.binarizer in ("", prefer.binarizer))
        ]

    def chosen(self, binarizer: str) -> Origin | None:
        """Say how the binarizers behind a label were chosen, each for its map; else None."""
        return self.meanings.origin(binarizer)

    def best_baseline(self, model: str, column: Column, role: Role) -> Column | None:
        """Return the best baseline of a role, under the same binarizer and metric.

        Of a metric that does not say whether more is better none is the best.
        """
        several = [
            replace(column, kind="baseline", method=label)
            for label, known in self.baselines.items()
            if known == role
        ]
        if self.higher_is_better(column.metric) is None:
            return None
        return self._best(model, [one for one in several if (model, one) in self.scores])

    def beside(self, model: str, column: Column, metric: str | None) -> Score | None:
        """Return the score of the same map and mask in another metric."""
        return self.scores.get((model, replace(column, metric=metric))) if metric else None

    def _best(self, model: str, columns: list[Column]) -> Column | None:
        defined = [c for c in columns if not np.isnan(self.scores[model, c].mean)]
        if not defined:
            return columns[0] if columns else None
        higher = self.higher_is_better(defined[0].metric)
        if higher is None:
            return defined[0]
        pick = max if higher else min
        return pick(defined, key=lambda column: self.scores[model, column].mean)

    # --- Classes ----------------------------------------------------------------------------------

    def class_name(self, label: int) -> str:
        """Name a class."""
        names = self.results.class_names
        return name(names[label]) if 0 <= label < len(names) else f"class {label}"

    def target_class_words(self, target_class: str) -> str:
        """Say which class maps explain."""
        known = self.meanings.target_class.get(target_class)
        if known is None or not isinstance(known.classes, int):
            return f"the {name(target_class)} class"
        named = 0 <= known.classes < len(self.results.class_names)
        return f"{'class ' * named}{self.class_name(known.classes)}"

    def classes(self, model: str) -> tuple[list[int], int]:
        """Return the classes to show, and how many are left out: the most frequent are shown."""
        counts = self.samples(model)["label"].dropna().value_counts()
        chosen = sorted(counts.index, key=lambda label: (-counts[label], label))[:MOST_CLASSES]
        left_out = len(counts) - len(chosen)
        return [int(label) for label in (chosen if left_out else sorted(chosen))], left_out

    def labeled(self, model: str) -> bool:
        """Tell whether any image of a model has a label."""
        return bool(self.samples(model)["label"].notna().any())

    def classified(self, model: str) -> bool:
        """Tell whether labels and predictions name the same classes, as far as can be told."""
        samples, names = self.samples(model), self.results.class_names
        both = samples[["label", "predicted"]].dropna().to_numpy(np.int64)
        if not both.size:
            return False
        if names:
            return int(samples[["label", "predicted"]].max().max()) < len(names)
        label, predicted = both.T
        return bool(predicted.max() <= label.max() or (predicted == label).any())

    def labels(self, model: str) -> NDArray[np.int64]:
        """Return the labels of a model's samples; -1 where one is not known."""
        labels = self.samples(model)["label"].fillna(-1)
        return labels.to_numpy(np.int64)

    def correct(self, model: str) -> NDArray[np.bool_]:
        """Return which of a model's samples it classifies as they are labeled."""
        predicted = self.samples(model)["predicted"].fillna(-2)
        same: NDArray[np.bool_] = self.labels(model) == predicted.to_numpy(np.int64)
        return same

    def wrong(self, model: str) -> NDArray[np.bool_]:
        """Return which of a model's samples have a label that it does not predict."""
        predicted: NDArray[np.bool_] = self.samples(model)["predicted"].notna().to_numpy()
        return ~self.correct(model) & (self.labels(model) >= 0) & predicted

    def groups(self, model: str) -> NDArray[np.str_]:
        """Return the groups of a model's samples."""
        return self.samples(model)["group"].to_numpy().astype(str)

    def of_models(self) -> Iterator[tuple[str, Column]]:
        """Yield the first models with their best columns."""
        for model in self.models[:MOST_MODELS]:
            if (column := self.best(model)) is not None:
                yield model, column

    def _labels(self, field: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(getattr(column, field) for column in self.results.columns))

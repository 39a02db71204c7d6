"""Mean scores with intervals, and the scores and labels of single images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.evaluation._contents import Contents, Role
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._summaries import correct
from cameval.evaluation._undefined import count_reasons, reasons_of_summary
from cameval.evaluation.meaning import Column
from cameval.metrics.summary import share_above, share_below
from cameval.statistics import ENOUGH_GROUPS, Summary, describe

ROLES: dict[Role, str] = {
    "nothing": "blind",
    "labels": "labels",
    "image": "image",
    None: "unspecified",
    "truth": "truth",
}
"""What a baseline is called by what it knows, in the order of the tables."""


@dataclass(frozen=True)
class Score(Summary):
    """A row of `Results.summary`: a mean with its interval, quartiles and counts.

    Parameters
    ----------
    n_constant
        Number of constant maps.
    reasons
        Number of undefined scores of each reason.
    are_equal
        Whether all defined scores are equal, and there are several.
    """

    n_constant: int
    reasons: Mapping[str, int] = field(default_factory=dict, compare=False)
    are_equal: bool = field(default=False, compare=False)

    @property
    def has_few_groups(self) -> bool:
        """Whether the interval is of fewer than ten groups, and may be too narrow."""
        return self.n_groups < ENOUGH_GROUPS


@dataclass(frozen=True)
class Scores:
    """Mean scores, by model and column.

    Parameters
    ----------
    by_column
        The score of each model and column.
    baselines
        Labels of the baselines, with what each knows.
    directions
        Whether more of a metric is better, by label; None if that is not known.
    """

    by_column: Mapping[tuple[str, Column], Score]
    baselines: Mapping[str, Role]
    directions: Mapping[str, bool | None]

    def get(self, model: str, column: Column) -> Score | None:
        """Return the score of a column, if it was evaluated."""
        return self.by_column.get((model, column))

    def in_metric(self, model: str, column: Column, metric: str | None) -> Score | None:
        """Return the score of the same map and mask in another metric."""
        return self.get(model, replace(column, metric=metric)) if metric else None

    def best(self, model: str, columns: Sequence[Column]) -> Column | None:
        """Return the column with the best mean; the first if the direction is not known."""
        defined = [c for c in columns if not np.isnan(self.by_column[model, c].mean)]
        if not defined:
            return columns[0] if columns else None
        higher = self.directions[defined[0].metric]
        if higher is None:
            return defined[0]
        pick = max if higher else min
        return pick(defined, key=lambda column: self.by_column[model, column].mean)

    def best_baseline(self, model: str, column: Column, role: Role) -> Column | None:
        """Return the best baseline of a role, with the same binarizer and metric.

        There is none for a metric that does not state whether more is better.
        """
        if self.directions[column.metric] is None:
            return None
        columns = [
            replace(column, kind="baseline", method=label)
            for label, known in self.baselines.items()
            if known == role
        ]
        return self.best(model, [c for c in columns if (model, c) in self.by_column])


def scores_of(results: ScoreTable, contents: Contents) -> Scores:
    """Return the mean scores of all metrics that are averaged."""
    metrics = contents.averaged_metrics
    found: dict[tuple[str, Column], Score] = {}
    if metrics:
        averaged = results.select(metric=list(metrics))
        rows, reasons = averaged.summary().itertuples(index=False), reasons_of_summary(averaged)
        for row, why in zip(rows, reasons, strict=True):
            found[str(row.model), _column(row)] = _score(row, why)
        for model, column in _equal(averaged):
            found[model, column] = replace(found[model, column], are_equal=True)
    return Scores(
        found,
        contents.baselines,
        {label: meaning.higher_is_better for label, meaning in metrics.items()},
    )


def _equal(results: ScoreTable) -> Iterator[tuple[str, Column]]:
    """Yield each model and column whose defined scores are several equal ones."""
    models = results.samples["model"].astype(str).to_numpy()
    for model in dict.fromkeys(models.tolist()):
        values = results.values[models == model]
        defined = ~np.isnan(values)
        least = np.where(defined, values, np.inf).min(0)
        most = np.where(defined, values, -np.inf).max(0)
        for k in ((least == most) & (defined.sum(0) > 1)).nonzero()[0]:
            yield model, results.columns[k]


def _column(row: Any) -> Column:
    return Column(row.target_class, row.kind, row.method, row.binarizer, row.metric)


def _score(row: Any, reasons: Mapping[str, int]) -> Score:
    numbers = [name for name in Score.__dataclass_fields__ if name not in ("reasons", "are_equal")]
    return Score(**{name: getattr(row, name) for name in numbers}, reasons=reasons)


HIGH, LOW = 0.5, 0.01
"""Levels of scores in [0, 1]: the shares of images above the one and below the other are given."""


@dataclass(frozen=True, eq=False)
class Images:
    """The images of one model.

    Parameters
    ----------
    model
        Label of the model.
    samples
        Its rows of `Results.samples`.
    columns, scores, codes
        The columns of the results, and the score of each image in each with its code, ``(n, K)``.
    n_named
        How many classes have a name; 0 if names are not known.
    is_multilabel
        Whether the task is one with several labels.
    """

    model: str
    samples: pd.DataFrame
    columns: Sequence[Column]
    scores: NDArray[np.float64]
    codes: NDArray[np.uint8]
    n_named: int
    is_multilabel: bool = False

    def values(self, column: Column) -> NDArray[np.float64]:
        """Return the score of each image."""
        values: NDArray[np.float64] = self.scores[:, self.columns.index(column)]
        return values

    def reasons(self, column: Column, where: NDArray[np.bool_]) -> dict[str, int]:
        """Return how many scores of some images are undefined, by reason."""
        at = self.columns.index(column)
        return count_reasons(self.codes[where, at], self.scores[where, at])

    def describe(
        self,
        column: Column,
        where: NDArray[np.bool_],
        value_range: tuple[float, float] | None = None,
    ) -> Summary:
        """Return mean, interval and quartiles of some images, within a range."""
        kept, ends = clip_to_range(self.values(column)[where], value_range)
        return describe(kept, self.groups[where], bounds=ends)

    @cached_property
    def groups(self) -> NDArray[np.str_]:
        """The group of each image."""
        return self.samples["group"].to_numpy().astype(str)

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The label of each image; -1 if it has none."""
        return self.samples["label"].fillna(-1).to_numpy(np.int64)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """Which images have a prediction that is their label; see `Results.summary`."""
        if self.is_multilabel:
            return self._known_correct.fillna(False).to_numpy(bool)
        predicted = self.samples["predicted"].fillna(-2)
        same: NDArray[np.bool_] = self.labels == predicted.to_numpy(np.int64)
        return same

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """Which images have a label and another prediction."""
        if self.is_multilabel:
            return (~self._known_correct.fillna(True)).to_numpy(bool)
        predicted: NDArray[np.bool_] = self.samples["predicted"].notna().to_numpy()
        return ~self.correct & (self.labels >= 0) & predicted

    @cached_property
    def _known_correct(self) -> "pd.Series[bool]":
        return correct(self.samples, multilabel=True)

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Which targets have a true pixel."""
        return self.samples["present"].to_numpy(bool)

    @property
    def has_predictions(self) -> bool:
        """Whether anything that a classifier predicts is known."""
        return bool(self.samples[["predicted", "probability"]].notna().any(axis=None))

    @property
    def rated_class(self) -> str:
        """What the probabilities are of, as words after "the"."""
        return "class of the target" if self.is_multilabel else "predicted class"

    @property
    def has_labels(self) -> bool:
        """Whether any image has a label."""
        return bool(self.samples["label"].notna().any())

    @cached_property
    def has_accuracy(self) -> bool:
        """Whether labels and predictions are of the same classes, as far as can be known."""
        if self.is_multilabel:
            return bool((self.correct | self.wrong).any())
        both = self.samples[["label", "predicted"]].dropna().to_numpy(np.int64)
        if not both.size:
            return False
        if self.n_named:
            return int(self.samples[["label", "predicted"]].max().max()) < self.n_named
        label, predicted = both.T
        return bool(predicted.max() <= label.max() or (predicted == label).any())

    @cached_property
    def rated(self) -> NDArray[np.bool_]:
        """Which rows the accuracy counts; of several targets of an image, those with an object."""
        known = self.correct | self.wrong
        several = self.samples["sample"].duplicated().any()
        return known & self.present if several else known

    @property
    def accuracy(self) -> float:
        """The share of right predictions; NaN if it is not known, or of several labels."""
        if self.is_multilabel or not self.has_accuracy or not self.rated.any():
            return float("nan")
        return float(self.correct[self.rated].mean())

    def frequent_classes(self, most: int) -> tuple[list[int], int]:
        """Return the most frequent classes, and how many are left out."""
        counts = self.samples["label"].dropna().value_counts()
        chosen = sorted(counts.index, key=lambda label: (-counts[label], label))[:most]
        left_out = len(counts) - len(chosen)
        return [int(label) for label in (chosen if left_out else sorted(chosen))], left_out


def images_by_model(results: ScoreTable) -> dict[str, Images]:
    """Return the images of each model."""
    models = results.samples["model"]
    rows = {str(model): (models == model).to_numpy() for model in models.unique()}
    n_named, is_multilabel = len(results.class_names), results.task == "multilabel"
    return {
        model: Images(
            model,
            results.samples[at],
            results.columns,
            results.values[at],
            results.codes[at],
            n_named,
            is_multilabel,
        )
        for model, at in rows.items()
    }


def clip_to_range(
    values: NDArray[np.float64], value_range: tuple[float, float] | None
) -> tuple[NDArray[np.float64], tuple[float, float] | None]:
    """Return scores without rounding beyond their range, and the range.

    There is no range if it is not known, or if a score is outside by more than rounding.
    """
    if value_range is None:
        return values, None
    if ((values < value_range[0] - 1e-9) | (values > value_range[1] + 1e-9)).any():
        return values, None
    return values.clip(*value_range), value_range


def high_and_low_shares(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the shares of scores above `HIGH` and below `LOW`."""
    return share_above(values, HIGH), share_below(values, LOW)

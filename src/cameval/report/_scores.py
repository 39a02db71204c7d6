"""Mean scores with intervals, by model and column, and the best baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cameval.evaluation import Column, Results
from cameval.report._contents import Contents, Role
from cameval.statistics import ENOUGH_GROUPS, Summary

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
    """A row of `Results.summary`: a mean with its interval, quartiles and counts."""

    n_constant: int

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


def scores_of(results: Results, contents: Contents) -> Scores:
    """Return the mean scores of all metrics that are averaged."""
    metrics = contents.averaged_metrics
    table = results.select(metric=list(metrics)).summary() if metrics else None
    rows = [] if table is None else table.itertuples(index=False)
    return Scores(
        {(str(row.model), _column(row)): _score(row) for row in rows},
        contents.baselines,
        {label: meaning.higher_is_better for label, meaning in metrics.items()},
    )


def _column(row: Any) -> Column:
    return Column(row.target_class, row.kind, row.method, row.binarizer, row.metric)


def _score(row: Any) -> Score:
    return Score(**{field: getattr(row, field) for field in Score.__dataclass_fields__})

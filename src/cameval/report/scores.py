"""The scores of a page: means with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cameval.evaluation import Column, Results
from cameval.statistics import ENOUGH_GROUPS

__all__ = ["Score", "scores_of"]


@dataclass(frozen=True)
class Score:
    """A row of `Results.summary`: a mean with its interval, and what it rests on."""

    n: int
    n_groups: int
    n_undefined: int
    n_degenerate: int
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
    return Column(row.explained, row.kind, row.method, row.binarizer, row.metric)

"""How numbers are written, and how a table is shown in a terminal."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from textwrap import fill

import pandas as pd

from cameval.baselines import Knowledge
from cameval.evaluation import Results
from cameval.report import Cell, Table, table_of
from cameval.report._format import between, count_of, number, p_value, percent

__all__ = [
    "Cell",
    "Estimate",
    "Scores",
    "Tables",
    "between",
    "count_of",
    "estimate",
    "in_terminal",
    "number",
    "p_in_words",
    "p_value",
    "percent",
    "wrapped",
]

SMALLEST = 0.001
"""A p value below it is written as a bound."""


@dataclass(frozen=True)
class Estimate(Cell):
    """A number and its interval, as a cell of a table."""


def estimate(value: float, low: float, high: float) -> Estimate:
    """Write a number with its interval, as a cell of a table."""
    return Estimate(number(value), between(low, high))


class Scores:
    """Means with intervals, looked up by what they are scores of."""

    def __init__(self, results: Results) -> None:
        self.table = results.summary()
        self._meanings = results.meanings
        keys = self.table[["model", "method", "binarizer", "metric"]]
        rows = self.table.to_dict("records")
        self._rows = dict(zip(keys.itertuples(index=False, name=None), rows, strict=True))

    def __contains__(self, key: tuple[str, str, str, str]) -> bool:
        """Tell whether there is such a score."""
        return key in self._rows

    def mean(self, model: str, method: str, binarizer: str, metric: str = "iou") -> float:
        """Return a mean."""
        return float(self._rows[model, method, binarizer, metric]["mean"])

    def baselines(self, *knows: Knowledge) -> tuple[str, ...]:
        """Return the labels of the baselines that know one of these things of the slice."""
        known = self._meanings.baselines
        return tuple(label for label, meaning in known.items() if meaning.knows in knows)

    def best_of(
        self, model: str, several: Iterable[str], binarizer: str, metric: str = "iou"
    ) -> str:
        """Return the map with the highest mean."""
        return max(several, key=lambda method: self.mean(model, method, binarizer, metric))

    def cell(self, model: str, method: str, binarizer: str, metric: str = "iou") -> Estimate:
        """Return a mean with its interval, as a cell of a table."""
        row = self._rows[model, method, binarizer, metric]
        return estimate(row["mean"], row["low"], row["high"])

    def text(self, model: str, method: str, binarizer: str, metric: str = "iou") -> str:
        """Return a mean with its interval, in a sentence."""
        cell = self.cell(model, method, binarizer, metric)
        return f"{cell.text} {cell.detail}".strip()


class Tables:
    """The study's tables: on the page, each as CSV, and all as text."""

    def __init__(self, out: Path) -> None:
        self._out, self._folder, self._texts = out, out / "tables", list[str]()
        self._folder.mkdir(exist_ok=True)

    def add(self, name: str, frame: pd.DataFrame, caption: str) -> Table:
        """Keep a table, and return it as the page shows it."""
        frame.map(_plain).to_csv(self._folder / f"{name}.csv", index=False)
        self._texts.append(f"{caption}\n\n{in_terminal(frame)}\n")
        (self._out / "tables.txt").write_text("\n".join(self._texts))
        return table_of(frame, caption)


def p_in_words(p: float) -> str:
    """Write a p value in a sentence.

    Examples
    --------
    >>> p_in_words(0.0001), p_in_words(0.0312), p_in_words(float("nan"))
    ('p < .001', 'p = .031', 'not tested')
    """
    if isnan(p):
        return "not tested"
    return f"p {p_value(p)}" if p < SMALLEST else f"p = {p_value(p)}"


def wrapped(text: str) -> str:
    """Break a paragraph into lines that a terminal shows whole."""
    return fill(text, 98).replace("\u00a0", " ")  # a number and its % stay together


def in_terminal(table: pd.DataFrame) -> str:
    """Write a table so that it reads in a terminal."""
    return str(table.map(_plain).to_string(index=False))


def _plain(cell: object) -> str:
    """Write a cell in one line; what is below its text on the page follows in brackets."""
    if not isinstance(cell, Cell):
        return str(cell)
    if not cell.detail:
        return cell.text
    return f"{cell.text} {cell.detail if isinstance(cell, Estimate) else f'({cell.detail})'}"

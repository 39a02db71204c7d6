"""How numbers are written, and how a table is shown in a terminal."""

from textwrap import fill

import pandas as pd

from cameval.evaluation import Results
from cameval.report import Cell
from cameval.report.text import between, count_of, number, p_value, percent

__all__ = [
    "Cell",
    "Scores",
    "between",
    "count_of",
    "in_terminal",
    "number",
    "p_value",
    "percent",
    "wrapped",
]


class Scores:
    """Means with intervals, looked up by what they are scores of."""

    def __init__(self, results: Results) -> None:
        table = results.summary()
        keys = table[["model", "method", "binarizer", "metric"]].itertuples(index=False, name=None)
        self._rows = dict(zip(keys, table.to_dict("records"), strict=True))

    def __contains__(self, key: tuple[str, str, str, str]) -> bool:
        """Tell whether there is such a score."""
        return key in self._rows

    def mean(self, model: str, method: str, binarizer: str, metric: str = "iou") -> float:
        """Return a mean."""
        return float(self._rows[model, method, binarizer, metric]["mean"])

    def cell(self, model: str, method: str, binarizer: str, metric: str = "iou") -> Cell:
        """Return a mean with its interval, as a cell of a table."""
        row = self._rows[model, method, binarizer, metric]
        return Cell(number(row["mean"]), between(row["low"], row["high"]))

    def text(self, model: str, method: str, binarizer: str, metric: str = "iou") -> str:
        """Return a mean with its interval, in a sentence."""
        cell = self.cell(model, method, binarizer, metric)
        return f"{cell.text} {cell.detail}".strip()


def wrapped(text: str) -> str:
    """Break a paragraph into lines that a terminal shows whole."""
    return fill(text.replace("\u00a0", " "), 98)


def in_terminal(table: pd.DataFrame) -> str:
    """Write a table so that it reads in a terminal."""

    def written(cell: object) -> str:
        return f"{cell.text} {cell.detail}".strip() if isinstance(cell, Cell) else str(cell)

    return str(table.map(written).to_string(index=False))

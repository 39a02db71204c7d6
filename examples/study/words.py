"""How numbers are written, and how a table is shown in a terminal."""

from pathlib import Path
from textwrap import fill

import pandas as pd

from cameval.evaluation import Results
from cameval.report import Cell, Table, table_of
from cameval.report.text import between, count_of, number, p_value, percent

__all__ = [
    "Cell",
    "Scores",
    "Tables",
    "apart",
    "between",
    "count_of",
    "in_terminal",
    "number",
    "p_value",
    "percent",
    "verdict",
    "wrapped",
]


class Scores:
    """Means with intervals, looked up by what they are scores of."""

    def __init__(self, results: Results) -> None:
        self.table = results.summary()
        keys = self.table[["model", "method", "binarizer", "metric"]]
        rows = self.table.to_dict("records")
        self._rows = dict(zip(keys.itertuples(index=False, name=None), rows, strict=True))

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


def apart(tests: pd.DataFrame, reference: str, rival: str) -> str:
    """Say how far a map or network is ahead of, or behind, another, patient by patient."""
    clear, ahead, numbers = verdict(tests, reference, rival)
    word = "ahead" if ahead > 0 else "behind"
    return f"by patient {reference} is {clear} {word}, by {number(abs(ahead))} ({numbers})"


def verdict(tests: pd.DataFrame, first: str, second: str) -> tuple[str, float, str]:
    """Look a pair up in paired tests: whether it is clear, the difference, and both in numbers.

    ``first`` minus ``second``, whichever way around the table has them; what is clear is decided by
    the p value that is corrected for all comparisons of the table.
    """
    pairs = {(test["first"], test["second"]): test for test in tests.to_dict("records")}
    turned = (first, second) not in pairs
    test = pairs[(second, first) if turned else (first, second)]
    value, low, high = (float(test[name]) for name in ("difference", "low", "high"))
    if turned:
        value, low, high = -value, -high, -low
    p = p_value(test["p_holm"])
    corrected = f", corrected for {count_of(len(tests), 'comparison')}" if len(tests) > 1 else ""
    return (
        "clearly" if test["p_holm"] < 0.05 else "not clearly",
        value,
        f"difference {number(value)} {between(low, high)}, p {p if p[0] == '<' else '= ' + p}"
        f"{corrected}",
    )


def wrapped(text: str) -> str:
    """Break a paragraph into lines that a terminal shows whole."""
    return fill(text, 98).replace("\u00a0", " ")  # a number and its % stay together


def in_terminal(table: pd.DataFrame) -> str:
    """Write a table so that it reads in a terminal."""
    return str(table.map(_plain).to_string(index=False))


def _plain(cell: object) -> str:
    """Write a cell in one line; what is below its text on the page follows in brackets."""
    if not isinstance(cell, Cell) or not cell.detail:
        return cell.text if isinstance(cell, Cell) else str(cell)
    return f"{cell.text} {cell.detail if cell.detail.startswith('[') else f'({cell.detail})'}"

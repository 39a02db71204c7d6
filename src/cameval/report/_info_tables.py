"""Tables by the columns that users add to samples, such as view, scanner, sex and site."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.evaluation import Column
from cameval.evaluation._headline import Headline
from cameval.evaluation._info import names_of_info
from cameval.evaluation._scores import Images, Scores
from cameval.evaluation._words import one_line
from cameval.report._class_tables import mean_of
from cameval.report._fewer import has_fewer, notes_on_fewer
from cameval.report._names import Names
from cameval.report._score_tables import mean_cell
from cameval.report.sections import Block, Cell, Row, Section, Table

MOST_VALUES = 12
"""Columns with more values are left out."""


def info_section(
    images: Mapping[str, Images], headline: Headline, scores: Scores, names: Names
) -> Section:
    """Return the headline's scores by each column of users that has few values."""
    samples = pd.concat([images[model].samples for model in headline.columns] or [pd.DataFrame()])
    columns = names_of_info(samples) if len(samples) else []
    counts = {name: samples[name].nunique() for name in columns}
    tables = [
        _table(name, images, headline, scores, names)
        for name in columns
        if 2 <= counts[name] <= MOST_VALUES
    ]
    if not tables:
        return Section("parts", "Parts of the data")
    many = [one_line(name) for name in columns if counts[name] > MOST_VALUES]
    lead = (
        "Differences between parts are descriptive: they are not among the paired tests. In "
        f"brackets: the 95 % interval by {names.group}."
    )
    if _has_blind(headline, scores):
        lead += f" The best blind baseline has the best mean on all of these {names.row}s."
    if many:
        lead += f" With more than {MOST_VALUES} values, and not shown: {', '.join(many)}."
    return Section("parts", "Parts of the data", lead, tables)


def _table(
    name: str, images: Mapping[str, Images], headline: Headline, scores: Scores, names: Names
) -> Table:
    """Return the scores by one column."""
    has_blind = _has_blind(headline, scores)
    blocks = []
    for model, column in headline.columns.items():
        of_model, rows = images[model], []
        for title, where, look in _parts(of_model.samples[name], names):
            cells = _cells(of_model, column, where, headline, scores, names, has_blind=has_blind)
            rows.append(Row(Cell(title), cells, look))
        blocks.append(Block(rows, names.with_model(model, names.column(column))))
    titles = [
        *(one_line(name), f"n ({headline.title})" if has_fewer(blocks) else "n", names.groups),
        *(headline.title, *(["best blind baseline"] if has_blind else [])),
    ]
    caption = f"{headline.title} by {one_line(name)}{names.part}"
    return Table(caption, titles, blocks, notes_on_fewer(titles, blocks, names))


def _has_blind(headline: Headline, scores: Scores) -> bool:
    return any(scores.best_baseline(*best, "nothing") for best in headline.columns.items())


def _parts(values: "pd.Series[Any]", names: Names) -> list[tuple[str, NDArray[np.bool_], str]]:
    """Return the title, rows and look of each value, of missing ones, and of all."""
    known = values.dropna()
    parts = [
        (_title(value), (values == value).fillna(False).to_numpy(bool), "")
        for value in sorted(known.unique().tolist())
    ]
    if len(known) < len(values):
        parts.append(("not known", values.isna().to_numpy(bool), ""))
    return [*parts, (names.all_rows, np.ones(len(values), bool), "total")]


def _title(value: object) -> str:
    """Return a value as the head of a row."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(f"{value:g}" if isinstance(value, float) else value) or "(empty)"


def _cells(
    images: Images,
    column: Column,
    where: NDArray[np.bool_],
    headline: Headline,
    scores: Scores,
    names: Names,
    *,
    has_blind: bool,
) -> list[Cell]:
    summary = images.describe(column, where, headline.meaning.value_range)
    undefined = f"{summary.n_undefined:,} undefined" if summary.n_undefined else ""
    cells = [Cell(f"{summary.n:,}", undefined), Cell(f"{summary.n_groups:,}"), mean_cell(summary)]
    if has_blind:
        best = scores.best_baseline(images.model, column, "nothing")
        if best is None:
            return [*cells, Cell("")]
        guess = mean_of(images, best, where, summary.n, names)
        cells.append(replace(guess, detail=one_line(best.method, 24)))
    return cells

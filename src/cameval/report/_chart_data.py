"""The tables below the figures of the page: what the marks are, as numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation import Column
from cameval.evaluation._numbers import format_level, format_signed, with_minus
from cameval.evaluation._score_bins import LEAST_IN_COLUMN, MOST_DOTS, ScoreBins, score_bins
from cameval.evaluation._scores import Images
from cameval.evaluation._words import one_line
from cameval.report._chart import Charts
from cameval.report._class_tables import correctness_titles
from cameval.report._fewer import notes_on_fewer
from cameval.report._score_tables import compared_cell, map_row, maps_of
from cameval.report._verdict import Guess, Verdict
from cameval.report.formatting import (
    format_interval,
    format_number,
    format_p,
    format_percent,
)
from cameval.report.sections import Block, Cell, Row, Table
from cameval.statistics import ENOUGH_GROUPS

MOST_LISTED = 150
"""Up to so many images the data of a figure has a row for each."""


def pair_table(charts: Charts, verdict: Verdict, column: Column, guess: Guess) -> Table:
    """Return the one test of the verdict, with what other procedures give."""
    assert guess.comparison is not None  # `guessing_section`
    test, p = guess.comparison.test, guess.comparison.p
    ends = interval_text(test.low, test.high)
    effect_ends = interval_text(test.effect_low, test.effect_high)
    level = f", {format_level(guess.comparison.level)} interval" if ends else ""
    rows = [
        (f"mean difference{level}", f"{format_signed(test.difference)} {ends}"),
        ("p, corrected for all tests of the page", format_p(p)),
        ("p, not corrected", format_p(test.p)),
        ("effect", f"{format_signed(test.effect)} {effect_ends}"),
        (f"{charts.names.row}s", f"{test.n:,}"),
        (charts.names.groups, f"{test.n_groups:,}"),
        (f"{charts.names.groups} that differ", f"{test.n_differing:,}"),
    ]
    caption = f"{one_line(column.method)} minus {one_line(guess.column.method)}"
    return Table(
        charts.names.with_model(verdict.model, caption),
        ["quantity", "value"],
        [Block([Row(Cell(head), [Cell(value.strip())]) for head, value in rows])],
    )


def interval_text(low: float, high: float) -> str:
    return with_minus(format_interval(low, high))


def listing(charts: Charts, verdict: Verdict) -> Table | None:
    """Return the scores of each image, of up to 150."""
    images, column, guess = charts.images[verdict.model], verdict.column, verdict.guess
    if column is None or len(images.samples) > MOST_LISTED:
        return None
    names, samples = charts.names, images.samples
    titles, columns = [charts.headline.title], [images.values(column)]
    if guess is not None:
        titles.append("best guess")
        columns.append(images.values(guess.column))
    if charts.headline.bound and column.binarizer:
        of_bound = replace(column, metric=charts.headline.bound)
        if of_bound in images.columns:
            titles.append("bound")
            columns.append(images.values(of_bound))
    has_label = images.has_labels
    rows = []
    for k in range(len(samples)):
        cells = [Cell(format_number(float(values[k]))) for values in columns]
        cells.append(Cell(format_percent(float(samples["area"].iloc[k]))))
        if has_label:
            label = int(images.labels[k])
            cells.append(Cell("" if label < 0 else names.class_name(label)))
        rows.append(Row(Cell(one_line(samples["sample"].iloc[k], 60)), cells))
    return Table(
        names.with_model(verdict.model, f"{charts.headline.title} of each {names.row}"),
        [names.row, *titles, "object", *(["class"] if has_label else [])],
        [Block(rows)],
        look="scores",
    )


def means_by_class(images: Images, column: Column) -> dict[int, float]:
    values = images.values(column)
    labels = [int(label) for label in np.unique(images.labels) if label >= 0]
    parts = {label: values[(images.labels == label) & ~np.isnan(values)] for label in labels}
    return {label: float(part.mean()) for label, part in parts.items() if part.size}


def correlation_table(charts: Charts, verdict: Verdict, column: Column, on: str) -> Table:
    """Return the rank correlations of the maps, of the best guess and of the bound."""
    maps = [(one_line(column.method), column)]
    if on == "area":
        if verdict.guess is not None:
            maps.append(("best guess", verdict.guess.column))
        if charts.headline.bound and column.binarizer:
            maps.append(("bound", replace(column, metric=charts.headline.bound)))
    rows = []
    for head, one in maps:
        if one not in charts.results.columns:
            continue
        row = charts.results.dependence(
            one.metric,
            on=on,
            model=verdict.model,
            target_class=one.target_class,
            method=one.method,
            binarizer=one.binarizer,
        ).iloc[0]
        estimate, low, high = (float(row[key]) for key in ("estimate", "low", "high"))
        few = int(row["n_groups"]) < ENOUGH_GROUPS
        rows.append(
            Row(Cell(head), [Cell(format_number(estimate), format_interval(low, high), few)])
        )
    quantity = "the size of the object" if on == "area" else "the probability"
    title = charts.headline.title
    return Table(
        charts.names.with_model(
            verdict.model,
            f"Rank correlation of {title} with {quantity}"
            f"{within_classes(charts.images[verdict.model])}",
        ),
        ["map", "rank correlation"],
        [Block(rows)],
        [
            f"In brackets: the 95 % interval by {charts.names.group}. No bracket: fewer than three "
            f"{charts.names.groups}, or a correlation that is 1, \u22121 or not defined, also "
            f"without one of the {charts.names.groups}. It is not a test."
        ],
    )


def within_classes(images: Images) -> str:
    """Return " within classes" if there are several, so that images are ranked in their class."""
    return " within classes" if len(np.unique(images.labels)) > 1 else ""


@dataclass(frozen=True, eq=False)
class _Binned:
    """The images of a figure that counts them in bins: which they are, and their bins."""

    shown: NDArray[np.bool_]
    bins: ScoreBins


def _binned(charts: Charts, verdict: Verdict, column: Column, on: str) -> _Binned | None:
    """Return the bins of a figure; None if it has a dot for each image."""
    images = charts.images[verdict.model]
    x, scores = images.samples[on].to_numpy(np.float64), images.values(column)
    shown = ~np.isnan(scores) & (x > 0 if on == "area" else np.isfinite(x))
    if shown.sum() <= MOST_DOTS:
        return None
    shown &= np.isfinite(scores)
    ends = charts.headline.meaning.value_range
    return _Binned(shown, score_bins(x[shown], scores[shown], ends, log=on == "area"))


def describe_bins(charts: Charts, verdict: Verdict, column: Column, on: str) -> str:
    """Return how a figure of bins is read; nothing if it has a dot for each image."""
    found = _binned(charts, verdict, column, on)
    if found is None:
        return ""
    return (
        f"Rectangles count {charts.names.rows(int(found.shown.sum()))}: the stronger the color, "
        f"the more. Lines join the means of columns with at least {LEAST_IN_COLUMN}."
    )


def bin_table(charts: Charts, verdict: Verdict, column: Column, on: str) -> Table | None:
    """Return the means of each column of bins; None if the figure has a dot for each image."""
    found = _binned(charts, verdict, column, on)
    if found is None:
        return None
    images, shown, bins = charts.images[verdict.model], found.shown, found.bins
    maps = {f"mean {charts.headline.title}": images.values(column)}
    if images.has_accuracy and (images.wrong & shown).any():
        for name, where in zip(
            correctness_titles(images), (~images.wrong, images.wrong), strict=True
        ):
            maps[f"{name}"] = np.where(where, images.values(column), np.nan)
    if verdict.guess is not None:
        maps["best guess"] = images.values(verdict.guess.column)
    of_bound = replace(column, metric=charts.headline.bound or "")
    if on == "area" and column.binarizer and of_bound in images.columns:
        maps["bound"] = images.values(of_bound)
    means = [bins.means(values[shown]) for values in maps.values()]
    rows = [
        Row(
            Cell(
                f"{format_percent(float(bins.x_edges[k]))} to "
                f"{format_percent(float(bins.x_edges[k + 1]))}"
            ),
            [Cell(f"{int(count):,}"), *(Cell(format_number(float(one[k]))) for one in means)],
        )
        for k, count in enumerate(bins.counts.sum(1))
    ]
    quantity = "size of the object" if on == "area" else "probability"
    caption = f"Mean {charts.headline.title} by {quantity}"
    return Table(
        charts.names.with_model(verdict.model, caption),
        [quantity, f"{charts.names.row}s", *maps],
        [Block(rows)],
    )


def describe_correlations(table: Table, quantity: str) -> str:
    """Return the rank correlations of a table in one sentence."""
    (block,) = table.blocks
    cells = [(row.head.text, row.cells[0]) for row in block.rows]
    if not cells or cells[0][1].text == "\u2013":
        return f"The rank correlation with the {quantity} is not defined."
    texts = [f"{cell.text} {cell.detail}".strip() for _, cell in cells]
    sentence = f"Rank correlation with the {quantity}: {texts[0]}"
    others = [f"of the {head} {text}" for (head, _), text in zip(cells[1:], texts[1:], strict=True)]
    return f"{'; '.join([sentence, *others])}."


def threshold_table(
    charts: Charts, verdict: Verdict, column: Column, notes: Sequence[str]
) -> Table:
    """Return the mean of each map by binarizer."""
    contents, scores = charts.names.contents, charts.scores
    metric, rows = column.metric, []
    for one in maps_of(contents, column.target_class, column.binarizer, metric):
        means = [
            scores.get(verdict.model, replace(one, binarizer=label))
            for label in contents.binarizers
        ]
        most = max((mean.n for mean in means if mean is not None), default=0)
        cells = [compared_cell(mean, most, charts.names) for mean in means]
        rows.append(map_row(contents, one, cells))
    titles = ["map", *map(one_line, contents.binarizers)]
    return Table(
        charts.names.with_model(verdict.model, f"Mean {charts.headline.title} by binarizer"),
        titles,
        [Block(rows)],
        [*notes, *notes_on_fewer(titles, [Block(rows)], charts.names)],
    )

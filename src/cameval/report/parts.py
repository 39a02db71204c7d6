"""The page's tables of parts of the images: classes, right and wrong predictions."""

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation import Column
from cameval.metrics.summary import share_above, share_below
from cameval.report.cells import Block, Cell, Row, Table
from cameval.report.facts import Facts
from cameval.report.text import (
    NOTHING,
    between,
    count_of,
    metric_title,
    name,
    number,
    p_value,
    percent,
)
from cameval.statistics import bootstrap_difference, bootstrap_mean

__all__ = ["class_table", "correctness_table", "explained_table", "in_words", "shares"]

FOUND, LOST = 0.5, 0.01
"""Above the one an IoU says that the object was found, below the other that it was not."""


def in_words(facts: Facts, column: Column) -> str:
    """Name the map and the mask of a column."""
    return name(column.method) + (f", {name(column.binarizer)}" if column.binarizer else "")


def shares(facts: Facts, values: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the shares above and below what counts as found and lost, for metrics in [0, 1]."""
    defined = values[~np.isnan(values)]
    headline = facts.headline or ""
    if facts.less_is_better(headline) or (defined.size and not 0 <= defined.min() <= 1):
        return None
    if defined.size and defined.max() > 1:
        return None
    return share_above(values, FOUND), share_below(values, LOST)


def class_table(facts: Facts) -> Table | None:
    """Return the best map of each model, class by class."""
    blocks, notes = [], []
    counted = all(shares(facts, facts.values(*of)) for of in facts.of_models())
    cap = facts.labeled("area_cap")
    beside = cap if cap != facts.headline else None
    blind = any(facts.best_baseline(*of, "blind") for of in facts.of_models())
    for model, column in facts.of_models():
        labels, left_out = facts.classes(model)
        label_of = facts.samples(model)["label"].to_numpy()
        rows = [
            _class_row(facts, model, column, facts.class_name(label), label_of == label, counted)
            for label in labels
        ]
        values = facts.values(model, column)
        means = [
            np.nanmean(part)
            for label in dict.fromkeys(label_of.tolist())
            if not np.isnan(part := values[label_of == label]).all()
        ]
        everything = np.ones(len(label_of), bool)
        rows.append(_class_row(facts, model, column, "all images", everything, counted, "total"))
        width = len(rows[-1].cells)
        mean = number(float(np.mean(means))) if means else NOTHING
        blank = [Cell("")] * (width - 3)
        rows.append(Row(Cell("mean of classes"), [Cell(""), Cell(""), Cell(mean), *blank], "total"))
        if left_out:
            notes.append(
                f"{name(model)}: the {len(labels)} most frequent classes are shown, "
                f"{left_out} are left out; the last two rows are of all."
            )
        several = len(facts.models) > 1
        heading = f"{name(model)}: {in_words(facts, column)}" if several else ""
        blocks.append(Block(rows, heading))
    if not blocks:
        return None
    title = metric_title(facts.headline or "")
    return Table(
        f"{title} by true class" + ("" if len(blocks) > 1 else f", {in_words(facts, column)}"),
        [
            *("class", "images", "groups", title, "median", "quartiles"),
            *(("> .5", "< .01") if counted else ()),
            *(("area cap",) if beside else ()),
            *(("best blind map",) if blind else ()),
        ],
        blocks,
        notes,
    )


def _class_row(
    facts: Facts,
    model: str,
    column: Column,
    title: str,
    where: NDArray[np.bool_],
    counted: bool,
    look: str = "",
) -> Row:
    values = facts.values(model, column)[where]
    groups = facts.groups(model)[where]
    mean = bootstrap_mean(values, groups, seed=facts.seed)
    defined = values[~np.isnan(values)]
    quartiles = np.quantile(defined, [0.25, 0.5, 0.75]) if defined.size else [np.nan] * 3
    cells = [
        Cell(f"{len(values):,}", f"{mean.n_undefined} undefined" if mean.n_undefined else ""),
        Cell(f"{len(np.unique(groups)):,}"),
        Cell(number(mean.estimate), between(mean.low, mean.high)),
        Cell(number(quartiles[1])),
        Cell(between(quartiles[0], quartiles[2]).strip("[]").replace(", ", " to ")),
    ]
    if counted:
        found, lost = shares(facts, facts.values(model, column)[where]) or (np.nan, np.nan)
        cells += [Cell(percent(found)), Cell(percent(lost))]
    cap = facts.labeled("area_cap")
    if cap and cap != facts.headline:
        cells.append(_mean_of(facts, model, replace(column, metric=cap), where))
    if best := facts.best_baseline(model, column, "blind"):
        cells.append(replace(_mean_of(facts, model, best, where), detail=name(best.method, 24)))
    return Row(Cell(title), cells, look)


def _mean_of(facts: Facts, model: str, column: Column, where: NDArray[np.bool_]) -> Cell:
    if column not in facts.results.columns:
        return Cell("")
    values = facts.values(model, column)[where]
    return Cell(number(float(np.nanmean(values)) if not np.isnan(values).all() else np.nan))


def correctness_table(facts: Facts) -> Table | None:
    """Return the scores of images that a model classifies right, beside the others."""
    if not facts.labels_are_classes:
        return None
    blocks = []
    for model, column in facts.of_models():
        values, correct = facts.values(model, column), facts.correct(model)
        groups = facts.groups(model)
        rows = [
            _part_row(facts, title, values[where], groups[where])
            for title, where in (("right predictions", correct), ("wrong predictions", ~correct))
        ]
        gap = bootstrap_difference(values, correct, groups, seed=facts.seed)
        difference = Cell(number(gap.estimate), between(gap.low, gap.high))
        blank = Cell("")
        rows.append(Row(Cell("right minus wrong"), [blank, blank, difference, blank], "total"))
        blocks.append(Block(rows, name(model) if len(facts.models) > 1 else ""))
    if not blocks:
        return None
    title = metric_title(facts.headline or "")
    return Table(
        f"{title} where the prediction is right, and where it is wrong",
        ["images", "n", "groups", title, "median"],
        blocks,
    )


def _part_row(
    facts: Facts, title: str, values: NDArray[np.float64], groups: NDArray[np.str_]
) -> Row:
    if not values.size:
        return Row(Cell(title), [Cell("0"), Cell("0"), Cell(NOTHING), Cell(NOTHING)])
    mean = bootstrap_mean(values, groups, seed=facts.seed)
    median = float(np.nanmedian(values)) if mean.n else np.nan
    cells = [
        Cell(f"{mean.n:,}", f"{mean.n_undefined} undefined" if mean.n_undefined else ""),
        Cell(f"{mean.n_groups:,}"),
        Cell(number(mean.estimate), between(mean.low, mean.high)),
        Cell(number(median)),
    ]
    return Row(Cell(title), cells)


def explained_table(facts: Facts) -> Table | None:
    """Return maps of the predicted class beside those of the true one, and of others."""
    if len(facts.explained) < 2:
        return None
    first = facts.explained[0]
    blocks = []
    for model, column in facts.of_models():
        groups = facts.groups(model)
        parts = [("all images", np.ones(len(groups), bool))]
        if facts.labels_are_classes:
            correct = facts.correct(model)
            parts += [("right predictions", correct), ("wrong predictions", ~correct)]
        rows = []
        for (title, where), explained in product(parts, facts.explained):
            other = replace(column, explained=explained)
            values = facts.values(model, other)[where]
            row = _part_row(facts, f"{title}, {name(explained)} class", values, groups[where])
            difference = Cell("")
            if explained != first and values.size:
                gap = values - facts.values(model, column)[where]
                found = bootstrap_mean(gap, groups[where], seed=facts.seed)
                difference = Cell(number(found.estimate), between(found.low, found.high))
            rows.append(replace(row, cells=[*row.cells, difference]))
        heading = name(model) if len(facts.models) > 1 else ""
        tests = facts.results.compare(
            column.metric,
            over="explained",
            reference=first,
            model=model,
            method=column.method,
            binarizer=column.binarizer,
        )
        p = ", ".join(
            f"{name(t['first'])} {p_value(t['p_holm'])}" for t in tests.to_dict("records")
        )
        heading = f"{heading}{' · ' if heading else ''}p against the {name(first)} class: {p}"
        blocks.append(Block(rows, heading))
    if not blocks:
        return None
    title = metric_title(facts.headline or "")
    return Table(
        f"{title} by the class that the map explains",
        ["images and class", "n", "groups", title, "median", f"minus {name(first)} class"],
        blocks,
        [
            "p: sign-flip test over all images, Holm-corrected over "
            f"{count_of(len(facts.explained) - 1, 'comparison')}."
        ],
    )

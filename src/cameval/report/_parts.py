"""Tables by class, and by right and wrong predictions."""

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation import Column
from cameval.metrics.summary import share_above, share_below
from cameval.report._format import NOTHING, between, metric_title, name, number, percent
from cameval.report._view import Facts
from cameval.report.sections import Block, Cell, Row, Table
from cameval.statistics import ENOUGH_GROUPS, Summary, describe, difference_interval

BY_GROUP = "In brackets: the 95 % interval by group."


FOUND, LOST = 0.5, 0.01
"""Levels of scores in [0, 1]: how many are above the one, and how many below the other, is told."""


def in_words(facts: Facts, column: Column) -> str:
    """Name the map and the mask of a column."""
    if len(facts.target_class) < 2:
        return map_and_mask(column)
    return f"{map_and_mask(column)}, {facts.target_class_words(column.target_class)}"


def map_and_mask(column: Column) -> str:
    """Name the method and the binarizer of a column."""
    return ", ".join(map(name, filter(None, [column.method, column.binarizer])))


def of_model(facts: Facts, model: str, what: str) -> str:
    """Say of which model something is, where there are several."""
    return ": ".join(filter(None, [name(model) if len(facts.models) > 1 else "", what]))


def shares(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the shares of scores above `FOUND` and below `LOST`."""
    return share_above(values, FOUND), share_below(values, LOST)


def class_table(facts: Facts) -> Table | None:
    """Return the best map of each model, class by class."""
    blocks, notes = [], [BY_GROUP]
    labeled = any(facts.labeled(model) for model in facts.models)
    blind = any(facts.best_baseline(*of, "nothing") for of in facts.of_models())
    for model, column in facts.of_models():
        labels, left_out = facts.classes(model)
        label_of = facts.labels(model)
        rows = [
            _class_row(facts, model, column, facts.class_name(label), label_of == label)
            for label in labels
        ]
        if labels and (label_of < 0).any():
            rows.append(_class_row(facts, model, column, "without a label", label_of < 0))
        values = facts.values(model, column)
        means = [
            np.nanmean(part)
            for label in dict.fromkeys(label_of[label_of >= 0].tolist())
            if not np.isnan(part := values[label_of == label]).all()
        ]
        several = len(labels) + left_out > 1
        everything = np.ones(len(label_of), bool)
        rows.append(_class_row(facts, model, column, "all images", everything, "total"))
        if several:
            blank = [Cell("")] * (len(rows[-1].cells) - 3)
            mean = Cell(number(float(np.mean(means))) if means else NOTHING)
            rows.append(Row(Cell("mean of classes"), [Cell(""), Cell(""), mean, *blank], "total"))
        if left_out:
            of = f" of {name(model)}" if len(facts.models) > 1 else ""
            notes.append(
                f"The {len(labels)} most frequent classes{of} are shown, {left_out} are left out; "
                "the last two rows are of all."
            )
        blocks.append(Block(rows, of_model(facts, model, in_words(facts, column))))
    if not blocks:
        return None
    title = metric_title(facts.headline or "")
    notes += [
        "In the mean of classes each class weighs the same." * several,
        "The best blind map is the one with the best mean on all of these images." * blind,
    ]
    return Table(
        f"{title} {'by true class' if labeled else 'of all images'}",
        [
            *("class" if labeled else "images", "n", "groups", title, "median", "quartiles"),
            *(("> .5", "< .01") if facts.counted else ()),
            *((metric_title(facts.bound),) if facts.bound else ()),
            *(("best blind map",) if blind else ()),
        ],
        blocks,
        list(filter(None, notes)),
    )


def _class_row(
    facts: Facts,
    model: str,
    column: Column,
    title: str,
    where: NDArray[np.bool_],
    look: str = "",
) -> Row:
    values = facts.values(model, column)[where]
    groups = facts.groups(model)[where]
    found = _summary(facts, values, groups)
    cells = [
        *_described(found),
        Cell("" if np.isnan(found.q25) else f"{number(found.q25)} to {number(found.q75)}"),
    ]
    if facts.counted:
        cells += [Cell(percent(share)) for share in shares(values)]
    if facts.bound:
        cells.append(_mean_of(facts, model, replace(column, metric=facts.bound), where))
    if best := facts.best_baseline(model, column, "nothing"):
        cells.append(replace(_mean_of(facts, model, best, where), detail=name(best.method, 24)))
    return Row(Cell(title), cells, look)


def _mean_of(facts: Facts, model: str, column: Column, where: NDArray[np.bool_]) -> Cell:
    if column not in facts.results.columns:
        return Cell("")
    values = facts.values(model, column)[where]
    return Cell(number(float(np.nanmean(values)) if not np.isnan(values).all() else np.nan))


def correctness_table(facts: Facts) -> Table | None:
    """Return the scores of images that a model classifies right, beside the others."""
    blocks = []
    for model, column in facts.of_models():
        if not facts.classified(model):
            continue
        values, groups = facts.values(model, column), facts.groups(model)
        correct, wrong = facts.correct(model), facts.wrong(model)
        rows = [
            _part_row(facts, title, values[where], groups[where])
            for title, where in (("right predictions", correct), ("wrong predictions", wrong))
        ]
        known = correct | wrong
        kept, ends = facts.within_range(values[known])
        gap = difference_interval(kept, correct[known], groups[known], bounds=ends)
        defined = ~np.isnan(values)
        of_parts = [len(np.unique(groups[part & defined])) for part in (correct, wrong)]
        few = min(of_parts) < ENOUGH_GROUPS
        difference = Cell(number(gap.estimate), between(gap.low, gap.high), few)
        blank = Cell("")
        rows.append(Row(Cell("right minus wrong"), [blank, blank, difference, blank], "total"))
        blocks.append(Block(rows, of_model(facts, model, in_words(facts, column))))
    if not blocks:
        return None
    title = metric_title(facts.headline or "")
    return Table(
        f"{title} where the prediction is right, and where it is wrong",
        ["images", "n", "groups", title, "median"],
        blocks,
        [f"{BY_GROUP} Right minus wrong is a description, none of the tests of this page."],
    )


def _part_row(
    facts: Facts, title: str, values: NDArray[np.float64], groups: NDArray[np.str_]
) -> Row:
    if not values.size:
        return Row(Cell(title), [Cell("0"), Cell("0"), Cell(NOTHING), Cell(NOTHING)])
    return Row(Cell(title), _described(_summary(facts, values, groups)))


def _summary(facts: Facts, values: NDArray[np.float64], groups: NDArray[np.str_]) -> Summary:
    """Describe scores of the headline, within what the metric says that it can give."""
    kept, ends = facts.within_range(values)
    return describe(kept, groups, bounds=ends)


def _described(found: Summary) -> list[Cell]:
    """Write what there is of some images: number, groups, mean with interval, and median."""
    few = found.n_groups < ENOUGH_GROUPS
    return [
        Cell(f"{found.n:,}", f"{found.n_undefined:,} undefined" if found.n_undefined else ""),
        Cell(f"{found.n_groups:,}"),
        Cell(number(found.mean), between(found.low, found.high), few),
        Cell(number(found.median)),
    ]


def explained_table(facts: Facts) -> Table | None:
    """Return maps of the predicted class beside those of the true one, and of others."""
    if len(facts.target_class) < 2:
        return None
    blocks = []
    for model, column in facts.of_models():
        groups = facts.groups(model)
        parts = [("all images", np.ones(len(groups), bool))]
        if facts.classified(model):
            parts += [
                ("right predictions", facts.correct(model)),
                ("wrong predictions", facts.wrong(model)),
            ]
        rows = []
        for (title, where), target_class in product(parts, facts.target_class):
            values = facts.values(model, replace(column, target_class=target_class))[where]
            head = f"{title}, {facts.target_class_words(target_class)}"
            rows.append(_part_row(facts, head, values, groups[where]))
        blocks.append(Block(rows, of_model(facts, model, map_and_mask(column))))
    if not blocks:
        return None
    title = metric_title(facts.headline or "")
    return Table(
        f"{title} by the class that the map explains",
        ["images and class", "n", "groups", title, "median"],
        blocks,
        [BY_GROUP],
    )

"""Tables by class, by right and wrong predictions, and by target class."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation import Column
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._numbers import MISSING
from cameval.evaluation._scores import Images, Scores, clip_to_range, high_and_low_shares
from cameval.evaluation._words import map_and_mask, one_line
from cameval.report._fewer import has_fewer, mark_fewer, notes_on_fewer
from cameval.report._names import Names
from cameval.report._score_tables import mean_cell
from cameval.report.formatting import format_interval, format_number, format_percent
from cameval.report.sections import Block, Cell, Row, Table
from cameval.statistics import ENOUGH_GROUPS, Difference, Summary, difference_interval

MOST_CLASSES = 25
"""How many classes are shown, the most frequent."""


_MOST_OBJECT_METRICS = 3


def class_table(
    images: Mapping[str, Images],
    contents: Contents,
    headline: Headline,
    scores: Scores,
    names: Names,
) -> Table | None:
    """Return the scores of the headline's maps, class by class."""
    if not headline.columns:
        return None
    of_objects = object_metrics(contents, headline, images)
    blocks, counts = [], {}
    for model, column in headline.columns.items():
        rows = _class_rows(images[model], column, contents, headline, scores, names, of_objects)
        blocks.append(Block(rows, names.with_model(model, names.column(column))))
        counts[model] = _count_classes(images[model])
    has_labels = any(of_model.has_labels for of_model in images.values())
    of_what = f"{by_class(names)}{names.part}" if has_labels else f"of {names.all_rows}"
    has_blind = any(scores.best_baseline(*best, "nothing") for best in headline.columns.items())
    notes = [
        _by_group(names),
        *(
            f"The {shown} most frequent classes{names.of_model(model)} are shown, {left_out} are "
            "left out; the last two rows are of all classes."
            for model, (shown, left_out) in counts.items()
            if left_out
        ),
    ]
    if any(sum(count) > 1 for count in counts.values()):
        notes.append("The mean of classes gives each class the same weight; it has no interval.")
    if has_blind:
        notes.append(f"The best blind baseline has the best mean on all of these {names.row}s.")
        notes.append("Differences from it are not tested class by class.")
    titles = [
        "class" if has_labels else f"{names.row}s",
        *(f"n ({headline.title})" if has_fewer(blocks) else "n", names.groups),
        *(headline.title, "median", "quartiles"),
        *(("> .5", "< .01") if headline.is_unit_score else ()),
        *((contents.title(headline.bound),) if headline.bound else ()),
        *map(contents.title, of_objects),
        *(("best blind baseline",) if has_blind else ()),
    ]
    notes += notes_on_fewer(titles, blocks, names)
    return Table(f"{headline.title} {of_what}", titles, blocks, notes)


def _by_group(names: Names) -> str:
    """Explain the brackets of means."""
    return (
        f"In brackets: the 95 % interval of the mean, by {names.group}. No bracket: fewer than two "
        f"{names.groups}, or equal scores whose limits are not known."
    )


def object_metrics(
    contents: Contents, headline: Headline, images: Mapping[str, Images]
) -> list[str]:
    """Return the metrics of objects that tables by class show.

    They are shown if there are several classes, and at most three such metrics.
    """
    further = [label for label in contents.object_metrics if label != headline.metric]
    several = any(sum(_count_classes(of_model)) > 1 for of_model in images.values())
    return further if several and len(further) <= _MOST_OBJECT_METRICS else []


def _count_classes(images: Images) -> tuple[int, int]:
    """Return how many classes are shown, and how many are left out."""
    shown, left_out = images.frequent_classes(MOST_CLASSES)
    return len(shown), left_out


def of_metric(column: Column, metric: str, contents: Contents) -> Column:
    """Return the column of the same map in another metric, of its masks or of the map itself."""
    if metric in contents.map_metrics:
        return replace(column, binarizer="", metric=metric)
    return replace(column, metric=metric)


def by_class(names: Names) -> str:
    """Return the words for a split by label: the true class, or that of the target."""
    return "by class" if names.several or names.is_multilabel else "by true class"


def _class_rows(
    images: Images,
    column: Column,
    contents: Contents,
    headline: Headline,
    scores: Scores,
    names: Names,
    of_objects: Sequence[str],
) -> list[Row]:
    """Return the rows of a model: its most frequent classes, and all images."""
    further = [of_metric(column, metric, contents) for metric in of_objects]

    def row(title: str, where: NDArray[np.bool_], look: str = "") -> Row:
        cells = _class_cells(images, column, where, headline, scores, names, further)
        return Row(Cell(title), cells, look)

    labels, left_out = images.frequent_classes(MOST_CLASSES)
    label_of = images.labels
    rows = [row(names.class_name(label), label_of == label) for label in labels]
    if labels and (label_of < 0).any():
        rows.append(row("without a label", label_of < 0))
    rows.append(row(names.all_rows, np.ones(len(label_of), bool), "total"))
    if len(labels) + left_out > 1:
        blank = [Cell("")] * (len(rows[-1].cells) - 3)
        mean = Cell(format_number(_mean_of_classes(images.values(column), label_of)))
        rows.append(Row(Cell("mean of classes"), [Cell(""), Cell(""), mean, *blank], "total"))
    return rows


def _mean_of_classes(values: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the mean over classes of their mean scores; NaN if none is defined."""
    parts = [values[(labels == label) & ~np.isnan(values)] for label in _unique(labels)]
    means = [part.mean() for part in parts if part.size]
    return float(np.mean(means)) if means else float("nan")


def _unique(labels: NDArray[np.int64]) -> list[int]:
    return list(dict.fromkeys(labels[labels >= 0].tolist()))


def _class_cells(
    images: Images,
    column: Column,
    where: NDArray[np.bool_],
    headline: Headline,
    scores: Scores,
    names: Names,
    further: Sequence[Column],
) -> list[Cell]:
    summary = images.describe(column, where, headline.meaning.value_range)
    quartiles = f"{format_number(summary.q25)} to {format_number(summary.q75)}"
    cells = [*_summary_cells(summary), Cell("" if np.isnan(summary.q25) else quartiles)]
    if headline.is_unit_score:
        values = images.values(column)[where]
        cells += [Cell(format_percent(share)) for share in high_and_low_shares(values)]
    if headline.bound:
        further = [replace(column, metric=headline.bound), *further]
    cells += [mean_of(images, one, where, summary.n, names) for one in further]
    if best := scores.best_baseline(images.model, column, "nothing"):
        guess = mean_of(images, best, where, summary.n, names)
        cells.append(replace(guess, detail=one_line(best.method, 24)))
    return cells


def mean_of(images: Images, column: Column, where: NDArray[np.bool_], n: int, names: Names) -> Cell:
    """Return a mean of some images without its interval, marked if it is over fewer than `n`."""
    if column not in images.columns:
        return Cell("")
    summary = images.describe(column, where)
    reasons = images.reasons(column, where)
    return mark_fewer(Cell(format_number(summary.mean)), summary, n, reasons, names)


def correctness_table(
    images: Mapping[str, Images], headline: Headline, names: Names
) -> Table | None:
    """Return the scores of images with a right prediction, and of those with a wrong one."""
    blocks = []
    for model, column in headline.columns.items():
        of_model = images[model]
        if not of_model.has_accuracy or not np.any(right_and_wrong(of_model)):
            continue
        rows = [
            _part_row(of_model, column, headline, title, where)
            for title, where in zip(
                correctness_titles(of_model), right_and_wrong(of_model), strict=True
            )
        ]
        blank = Cell("")
        difference = _right_minus_wrong(of_model, column, headline)
        is_multilabel = of_model.is_multilabel
        head = Cell("predicted minus not predicted" if is_multilabel else "right minus wrong")
        rows.append(Row(head, [blank, blank, difference, blank], "total"))
        blocks.append(Block(rows, names.with_model(model, names.column(column))))
    if not blocks:
        return None
    several_labels = any(of_model.is_multilabel for of_model in images.values())
    parts = "predicted targets and of others" if several_labels else "right and wrong predictions"
    difference_of = "Predicted minus not predicted" if several_labels else "Right minus wrong"
    notes = [
        f"{_by_group(names)} {difference_of} is descriptive: it is not one of the paired tests."
    ]
    if several_labels:
        notes.append("Predicted: the probability of the class of the target is above .5.")
    elif names.several:
        notes.append("Right: the class that is predicted for the image is that of the target.")
    return Table(
        f"{headline.title} of {parts}",
        [f"{names.row}s", "n", names.groups, headline.title, "median"],
        blocks,
        notes,
    )


def right_and_wrong(images: Images) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where predictions are right, and where wrong; of several labels, of present ones."""
    if images.is_multilabel:
        return images.correct & images.present, images.wrong & images.present
    return images.correct, images.wrong


def correctness_titles(images: Images) -> tuple[str, str]:
    """Return what right and wrong predictions are called."""
    if images.is_multilabel:
        return "predicted targets", "targets not predicted"
    return "right predictions", "wrong predictions"


def difference_of_predictions(images: Images, column: Column, headline: Headline) -> Difference:
    """Return the mean score of right predictions minus that of wrong ones, with its interval."""
    right, wrong = right_and_wrong(images)
    known = right | wrong
    values = images.values(column)[known]
    kept, ends = clip_to_range(values, headline.meaning.value_range)
    return difference_interval(kept, right[known], images.groups[known], bounds=ends)


def _right_minus_wrong(images: Images, column: Column, headline: Headline) -> Cell:
    """Return the difference of the means of right and wrong predictions."""
    values, groups = images.values(column), images.groups
    right, wrong = right_and_wrong(images)
    defined = ~np.isnan(values)
    gap = difference_of_predictions(images, column, headline)
    n_groups = [len(np.unique(groups[part & defined])) for part in (right, wrong)]
    interval = format_interval(gap.low, gap.high)
    return Cell(format_number(gap.estimate), interval, min(n_groups) < ENOUGH_GROUPS)


def _part_row(
    images: Images, column: Column, headline: Headline, title: str, where: NDArray[np.bool_]
) -> Row:
    if not where.any():
        return Row(Cell(title), [Cell("0"), Cell("0"), Cell(MISSING), Cell(MISSING)])
    summary = images.describe(column, where, headline.meaning.value_range)
    return Row(Cell(title), _summary_cells(summary))


def _summary_cells(summary: Summary) -> list[Cell]:
    """Return number of images, groups, mean with interval, and median."""
    undefined = f"{summary.n_undefined:,} undefined" if summary.n_undefined else ""
    return [
        Cell(f"{summary.n:,}", undefined),
        Cell(f"{summary.n_groups:,}"),
        mean_cell(summary),
        Cell(format_number(summary.median)),
    ]


def target_class_table(
    contents: Contents, images: Mapping[str, Images], headline: Headline, names: Names
) -> Table | None:
    """Return the scores of maps for the predicted class, for the true one, and for others."""
    if len(contents.target_classes) < 2 or not headline.columns:
        return None
    blocks = []
    for model, column in headline.columns.items():
        of_model = images[model]
        parts = [(names.all_rows, np.ones(len(of_model.labels), bool))]
        if of_model.has_accuracy:
            right, wrong = correctness_titles(of_model)
            parts += zip((right, wrong), right_and_wrong(of_model), strict=True)
        rows = [
            _part_row(
                of_model,
                replace(column, target_class=label),
                headline,
                f"{title}, {names.target_class(label)}",
                where,
            )
            for (title, where), label in product(parts, contents.target_classes)
        ]
        blocks.append(Block(rows, names.with_model(model, map_and_mask(column))))
    return Table(
        f"{headline.title} by target class",
        [f"{names.row}s and target class", "n", names.groups, headline.title, "median"],
        blocks,
        [_by_group(names)],
    )

"""Tables of mean scores: further metrics, metrics of maps, and categories."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.evaluation import Column
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._scores import ROLES, Images, Score, Scores
from cameval.evaluation._words import one_line
from cameval.report._fewer import mark_fewer, notes_on_fewer
from cameval.report._names import Names, describe_binarizer
from cameval.report.formatting import format_interval, format_number, format_percent
from cameval.report.sections import Block, Cell, Row, Table
from cameval.statistics import ENOUGH_GROUPS, Summary


def mean_cell(summary: Summary | None) -> Cell:
    """Return a mean with its interval."""
    if summary is None:
        return Cell("")
    few = summary.n_groups < ENOUGH_GROUPS
    interval = format_interval(summary.low, summary.high)
    return Cell(format_number(summary.mean), interval, few)


def compared_cell(score: Score | None, n: int, names: Names) -> Cell:
    """Return a mean with its interval, marked if it is over fewer than `n` images."""
    cell = mean_cell(score)
    return cell if score is None else mark_fewer(cell, score, n, score.reasons, names)


def plain_cell(score: Score | None, n: int, names: Names) -> Cell:
    """Return a mean without its interval, marked if it is over fewer than `n` images."""
    if score is None:
        return Cell("")
    return mark_fewer(Cell(format_number(score.mean)), score, n, score.reasons, names)


def notes_on_scores(
    contents: Contents, headline: Headline, scores: Scores, names: Names
) -> list[str]:
    """Return what the means and columns of the table of all scores are."""
    notes = [_note_on_intervals(scores, names)]
    if headline.meaning.higher_is_better is None:
        notes.append(
            f"It is not known whether a higher {headline.title} is better, so no baseline is "
            "called the best."
        )
    if headline.bound:
        notes.append(
            f"The {contents.title(headline.bound)} is an upper bound of the {headline.title} of "
            "the same masks."
        )
    if "truth" in contents.baselines.values():
        notes.append(
            "Baselines that use the truth are no upper bound: another map may score better."
        )
    chosen = [one_line(label) for label, known in contents.binarizers.items() if known.origin]
    if chosen:
        notes.append(
            f"With {' and '.join(chosen)}, each method and each baseline has the binarizer that "
            "was chosen for it."
        )
    notes += [note_on_convention(title) for title in _conventions(contents)]
    notes += [
        f"{contents.title(label)}: the IoU that a mask with this recall and false-positive rate "
        "would have for an object whose share of the image is "
        f"{format_number(meaning.reference)}."
        for label, meaning in contents.mask_metrics.items()
        if meaning.reference is not None
    ]
    return notes


def other_table(
    contents: Contents, shown: Collection[str | None], scores: Scores, names: Names
) -> Table | None:
    """Return the metrics of masks that the table of all scores does not show."""
    others = {k: meaning for k, meaning in contents.mask_metrics.items() if k not in shown}
    if not others:
        return None
    blocks = _blocks_of_metrics(contents, scores, names, list(others), contents.binarizers)
    return _table_of_metrics("Other metrics of masks", others, blocks, scores, names)


def map_table(
    contents: Contents,
    shown: Collection[str | None],
    scores: Scores,
    names: Names,
    areas: "pd.Series[float]",
) -> Table | None:
    """Return the metrics of maps, with what they give for maps that ignore the truth."""
    metrics = {k: meaning for k, meaning in contents.map_metrics.items() if k not in shown}
    if not metrics:
        return None
    blocks = _blocks_of_metrics(contents, scores, names, list(metrics), ("",))
    table = _table_of_metrics("Metrics of maps", metrics, blocks, scores, names)
    mean_area = ""
    if (areas > 0).any():
        mean_area = f", here {format_number(float(areas[areas > 0].mean()))} on average"
    levels = {"half": ".500", "area": f"the object's share of the scored pixels{mean_area}"}
    expected: dict[str, list[str]] = {}
    for label, meaning in metrics.items():
        if meaning.chance is not None:
            expected.setdefault(levels[meaning.chance], []).append(contents.title(label))
    chance = [f"{' and '.join(titles)} {level}" for level, titles in expected.items()]
    text = f"Expected of maps that are independent of the truth: {'; '.join(chance)}."
    return replace(table, notes=[*table.notes, *([text] if chance else [])])


def category_table(contents: Contents, images: Mapping[str, Images], names: Names) -> Table | None:
    """Count the images of each category, of the metrics whose scores are categories."""
    metrics = contents.category_metrics
    titles = dict.fromkeys(title for known in metrics.values() for title in known.categories)
    blocks = []
    for label, meaning in metrics.items():
        for model, target_class, binarizer in blocks_of(contents, ("", *contents.binarizers)):
            rows = [
                map_row(
                    contents,
                    column,
                    _category_cells(meaning.categories, images[model].values(column), titles),
                )
                for column in maps_of(contents, target_class, binarizer, label)
                if column in images[model].columns
            ]
            heading = [contents.title(label)] if len(metrics) > 1 else []
            heading.append(heading_of(contents, names, model, target_class, binarizer))
            if rows:
                blocks.append(Block(rows, " · ".join(filter(None, heading))))
    if not blocks:
        return None
    of = f" of {contents.title(next(iter(metrics)))}" if len(metrics) == 1 else ""
    caption = f"Number of {names.row}s in each category{of}{names.part}"
    return Table(caption, ["map", *titles, "undefined"], blocks)


def _category_cells(
    categories: Sequence[str], codes: NDArray[np.float64], titles: Iterable[str]
) -> list[Cell]:
    """Return the number and the share of each category, in the order of the titles."""
    counts = {category: int((codes == code).sum()) for code, category in enumerate(categories)}
    counts["undefined"] = int(np.isnan(codes).sum())
    total = max(1, codes.size)
    return [
        Cell(f"{counts[t]:,}", format_percent(counts[t] / total)) if t in counts else Cell("")
        for t in (*titles, "undefined")
    ]


# --- Parts of tables ----------------------------------------------------------------------------
def _blocks_of_metrics(
    contents: Contents,
    scores: Scores,
    names: Names,
    metrics: Sequence[str],
    binarizers: Iterable[str],
) -> list[Block]:
    """Return the scores of all maps in some metrics."""
    blocks = []
    for model, target_class, binarizer in blocks_of(contents, binarizers):
        rows = []
        for column in maps_of(contents, target_class, binarizer, metrics[0]):
            in_metrics = [scores.in_metric(model, column, metric) for metric in metrics]
            if known := [score for score in in_metrics if score is not None]:
                most = max(score.n for score in known)
                cells = [compared_cell(score, most, names) for score in in_metrics]
                cells += count_cells(known)
                rows.append(map_row(contents, column, cells))
        blocks.append(Block(rows, heading_of(contents, names, model, target_class, binarizer)))
    return blocks


def _table_of_metrics(
    caption: str,
    metrics: Iterable[str],
    blocks: Sequence[Block],
    scores: Scores,
    names: Names,
) -> Table:
    headings = [metric_heading(label, names.contents) for label in metrics]
    titles = ["map", *headings, "n", "undefined", "constant maps"]
    notes = [_note_on_intervals(scores, names), *notes_on_fewer(titles, blocks, names)]
    return Table(caption + names.part, titles, blocks, notes)


def metric_heading(label: str, contents: Contents) -> str:
    """Return the name of a metric, with its direction where a reader may not expect it."""
    meaning = contents.meanings.metric(label)
    if meaning is not None and meaning.bounds is not None:
        return f"{contents.title(label)} (upper bound of {contents.title(meaning.bounds)})"
    directions = {True: "", False: " (lower is better)", None: " (direction not known)"}
    return contents.title(label) + directions[None if meaning is None else meaning.higher_is_better]


def _note_on_intervals(scores: Scores, names: Names) -> str:
    over = f"Scores are means over {names.row}s{names.with_object}"
    if all(np.isnan(score.low) for score in scores.by_column.values()):
        return (
            f"{over}. There are no intervals, which need two {names.groups} with different scores."
        )
    missing = any(np.isnan(one.low) and not np.isnan(one.mean) for one in scores.by_column.values())
    no_bracket = (
        f" No bracket: fewer than two {names.groups}, or equal scores whose limits are not known."
        if missing
        else ""
    )
    equal = any(one.are_equal and not np.isnan(one.low) for one in scores.by_column.values())
    of_equal = (
        f" Where all scores of a map are equal, each {names.group} counts as one {names.row}, so "
        "the interval is wider than that of scores that are almost equal."
        if equal
        else ""
    )
    return f"{over}, in brackets the 95 % interval by {names.group}.{no_bracket}{of_equal}"


def _conventions(contents: Contents) -> list[str]:
    """Return the names of the metrics that score any mark on a negative as 0."""
    metrics = contents.mask_metrics.items()
    return [contents.title(label) for label, one in metrics if one.without_object == "zero"]


def note_on_convention(title: str) -> str:
    """Explain a metric that scores any mark on a negative as 0."""
    return (
        f"{title}: the convention of CheXlocalize. Any mark on a negative scores 0, so that the "
        "mean depends on the number of negatives."
    )


def blocks_of(contents: Contents, binarizers: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield model, target class and binarizer of each block of a table."""
    for model in contents.models:
        for target_class in contents.target_classes:
            for binarizer in binarizers:
                yield model, target_class, binarizer


def maps_of(contents: Contents, target_class: str, binarizer: str, metric: str) -> Iterator[Column]:
    """Yield the columns of all maps, of the baselines by what they know."""
    for method in contents.methods:
        yield Column(target_class, "method", method, binarizer, metric)
    order = list(ROLES)
    for label, _ in sorted(contents.baselines.items(), key=lambda item: order.index(item[1])):
        yield Column(target_class, "baseline", label, binarizer, metric)


def heading_of(
    contents: Contents, names: Names, model: str, target_class: str, binarizer: str
) -> str:
    """Return what is the same in all rows of a block."""
    parts = []
    if len(contents.models) > 1:
        parts.append(one_line(model))
    if len(contents.target_classes) > 1:
        parts.append(f"maps for {names.target_class(target_class)}")
    if binarizer:
        parts.append(_binarizer_heading(binarizer, names))
    return " · ".join(parts)


def _binarizer_heading(label: str, names: Names) -> str:
    meaning = names.contents.binarizers[label]
    if meaning.origin is None:
        return one_line(label)
    return f"{one_line(label)}: {describe_binarizer(meaning, names)}"


def map_row(contents: Contents, column: Column, cells: Sequence[Cell]) -> Row:
    """Return the row of a map, in the look of its kind."""
    if column.kind == "method":
        return Row(Cell(one_line(column.method)), cells, "method")
    role = contents.baselines[column.method]
    look = "truth" if role == "truth" else "baseline"
    return Row(Cell(one_line(column.method), ROLES[role]), cells, look)


def count_cells(scores: Sequence[Score]) -> list[Cell]:
    """Return counts for a row of one or more metrics: a range where they differ."""
    cells = []
    for field in ("n", "n_undefined", "n_constant"):
        counts = [getattr(score, field) for score in scores]
        low, high = min(counts), max(counts)
        cells.append(Cell(f"{low:,}" if low == high else f"{low:,} to {high:,}"))
    return cells

"""The section of negatives: targets without a true pixel, beside those with an object."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation import Column
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._scores import Images, Scores
from cameval.evaluation.meaning import MetricMeaning
from cameval.report._fewer import mark_fewer, notes_on_fewer
from cameval.report._marks import are_marked, mark_metric, share_cell
from cameval.report._names import Names
from cameval.report._score_tables import (
    blocks_of,
    compared_cell,
    heading_of,
    map_row,
    maps_of,
    mean_cell,
    note_on_convention,
)
from cameval.report._targets import Targets
from cameval.report.formatting import format_count
from cameval.report.sections import Block, Cell, Section, Table

_MOST_MAP_METRICS = 2


def negatives_section(
    targets: Targets,
    everything: Mapping[str, Images],
    contents: Contents,
    headline: Headline,
    scores: Scores,
    names: Names,
) -> Section:
    """Return what is marked on negatives, and scores of all targets by a convention.

    `everything` has all targets of each model.
    """
    if not targets.n_negatives:
        return Section("negatives", "Negatives")
    tables = [_table_of_marks(everything, contents, headline, scores, names)]
    said = [
        names.with_model(model, sentence)
        for model, column in headline.columns.items()
        for sentence in describe_marks(everything[model], column, contents, names)
    ]
    tables += [_table_of_convention(everything, contents, names, m) for m in contents.conventions]
    shown = [table for table in tables if table is not None]
    lead = [*_describe(targets, shown, names), *said]
    return Section("negatives", "Negatives", lead, shown)


def _describe(targets: Targets, tables: list[Table], names: Names) -> list[str]:
    """Return how many negatives there are, and what their scores say."""
    samples = targets.everything.samples.drop_duplicates(["sample", "label"])
    negatives = samples[~samples["present"].to_numpy(bool)]
    images = format_count(negatives["sample"].nunique(), "image")
    of_images = f"in {images} of" if names.several else "of"
    groups = names.count_groups(negatives["group"].nunique())
    are = "is a negative: it has" if len(negatives) == 1 else "are negatives: they have"
    first = (
        f"{len(negatives):,} of {names.rows(len(samples))}, {of_images} {groups}, {are} no true "
        "pixel. Whatever is marked there is false."
    )
    if targets.are_split:
        first += (
            f" Scores in other sections are those of the {names.row}s with an object, except in "
            "columns that name negatives."
        )
    if not tables:
        first += (
            " No metric was evaluated that is defined without an object, such as the "
            "false-positive rate or the marked area, so it is not known what is marked there."
        )
    return [first]


def _table_of_marks(
    everything: Mapping[str, Images],
    contents: Contents,
    headline: Headline,
    scores: Scores,
    names: Names,
) -> Table | None:
    """Return what is marked on negatives, beside the scores of targets with an object."""
    known = {**contents.mask_metrics, **contents.conventions}
    marks = mark_metric(contents, everything)
    areas = [
        label
        for label, meaning in contents.mask_metrics.items()
        if meaning.without_object != "zero" and _is_defined(label, everything)
    ]
    if marks is None and not areas:
        return None
    beside = _metrics_beside(contents, headline) if names.are_split else []
    blocks = []
    for model, target_class, binarizer in blocks_of(contents, contents.binarizers):
        images = everything[model]
        negative, groups = ~images.present, images.groups[~images.present]
        rows = []
        for column in maps_of(contents, target_class, binarizer, marks or areas[0]):
            if column not in images.columns:
                continue
            cells = []
            if marks is not None:
                found = are_marked(images.values(column)[negative], known[marks])
                cells.append(share_cell(found, groups))
            cells += [_mean_on(images, column, label, negative, known, names) for label in areas]
            cells.append(Cell(f"{int(negative.sum()):,}"))
            for label, meaning in beside:
                one = column if meaning.takes == "masks" else _without_binarizer(column)
                n = int(images.present.sum())
                cells.append(compared_cell(scores.in_metric(model, one, label), n, names))
            cells += [Cell(f"{int(images.present.sum()):,}")] * bool(beside)
            rows.append(map_row(contents, column, cells))
        blocks.append(Block(rows, heading_of(contents, names, model, target_class, binarizer)))
    caption = "Marks on negatives"
    if beside:
        caption += f", beside scores of {names.row}s with an object"
    titles = [
        "map",
        *(["negatives with a mark"] if marks is not None else []),
        *(f"{contents.title(label)} of negatives" for label in areas),
        "n negatives",
        *(f"{contents.title(label)} with an object" for label, _ in beside),
        *(["n with an object"] if beside else []),
    ]
    notes = [
        f"In brackets: the 95 % interval by {names.group}.",
        *notes_on_fewer(titles, blocks, names),
    ]
    return Table(caption, titles, blocks, notes)


def _is_defined(metric: str, everything: Mapping[str, Images]) -> bool:
    """Tell whether a metric has a score of a negative."""
    return any(
        not np.isnan(images.values(column)[~images.present]).all()
        for images in everything.values()
        for column in images.columns
        if column.metric == metric
    )


def _metrics_beside(contents: Contents, headline: Headline) -> list[tuple[str, MetricMeaning]]:
    """Return the metrics of targets with an object that are shown: the headline's, and of maps."""
    of_maps = [*contents.map_metrics][:_MOST_MAP_METRICS]
    labels = dict.fromkeys([*([headline.metric] if headline.metric else []), *of_maps])
    return [(label, contents.averaged_metrics[label]) for label in labels]


def _without_binarizer(column: Column) -> Column:
    return Column(column.target_class, column.kind, column.method, "", column.metric)


def _mean_on(
    images: Images,
    column: Column,
    metric: str,
    where: NDArray[np.bool_],
    known: Mapping[str, MetricMeaning],
    names: Names,
) -> Cell:
    """Return the mean of a metric on some targets, marked if it is not over all of them."""
    of_metric = Column(*(column.target_class, column.kind, column.method, column.binarizer), metric)
    if of_metric not in images.columns:
        return Cell("")
    summary = images.describe(of_metric, where, known[metric].value_range)
    n, reasons = int(where.sum()), images.reasons(of_metric, where)
    return mark_fewer(mean_cell(summary), summary, n, reasons, names)


def _table_of_convention(
    everything: Mapping[str, Images], contents: Contents, names: Names, metric: str
) -> Table:
    """Return the scores of all targets in a metric that scores any mark on a negative as 0."""
    meaning, title = contents.conventions[metric], contents.title(metric)
    blocks = []
    for model, target_class, binarizer in blocks_of(contents, contents.binarizers):
        images = everything[model]
        rows = []
        for column in maps_of(contents, target_class, binarizer, metric):
            if column in images.columns:
                values = images.values(column)
                summary = images.describe(column, np.ones(len(values), bool), meaning.value_range)
                of_negatives = int((~np.isnan(values) & ~images.present).sum())
                counts = [summary.n, of_negatives, summary.n_undefined]
                cells = [mean_cell(summary), *(Cell(f"{count:,}") for count in counts)]
                rows.append(map_row(contents, column, cells))
        blocks.append(Block(rows, heading_of(contents, names, model, target_class, binarizer)))
    return Table(
        f"{title}: {names.row}s with an object and negatives in one mean",
        ["map", title, "n", "of them negatives", "undefined"],
        blocks,
        [note_on_convention(title)],
    )


def describe_marks(
    everything: Images, column: Column, contents: Contents, names: Names
) -> Iterator[str]:
    """Yield on how many negatives the masks have a mark."""
    negative = ~everything.present
    metric = mark_metric(contents, {everything.model: everything})
    if metric is None or not column.binarizer or not negative.any():
        return
    of_marks = replace(column, metric=metric)
    if of_marks not in everything.columns:
        return
    known = {**contents.mask_metrics, **contents.conventions}[metric]
    marked = are_marked(everything.values(of_marks)[negative], known)
    cell = share_cell(marked, everything.groups[negative])
    interval = f" {cell.detail}" if cell.detail else ""
    count = format_count(int(negative.sum()), names.row)
    yield f"The masks have a mark on {cell.text}{interval} of {count} without an object."

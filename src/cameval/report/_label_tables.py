"""Tables of several labels: three means, and each class with its positives and negatives."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation import Column, Results
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._numbers import MISSING
from cameval.evaluation._scores import Images, Scores
from cameval.evaluation._summaries import macro_means, pooled_means
from cameval.evaluation._words import one_line
from cameval.report._class_tables import MOST_CLASSES, object_metrics, of_metric
from cameval.report._fewer import mark_fewer, notes_on_fewer
from cameval.report._marks import are_marked, mark_metric, share_cell
from cameval.report._names import Names
from cameval.report._score_tables import blocks_of, heading_of, map_row, maps_of, mean_cell
from cameval.report._targets import Targets
from cameval.report.formatting import format_number
from cameval.report.sections import Block, Cell, Row, Table

_MOST_MAP_METRICS = 1


def means_table(
    targets: Targets, contents: Contents, headline: Headline, scores: Scores, names: Names
) -> Table | None:
    """Return the micro, macro and pooled means of every map, where images have several targets."""
    if headline.metric is None or not (names.several or names.is_multilabel):
        return None
    metric = headline.metric
    of_masks = metric in contents.mask_metrics
    found = [_Means.of(targets.scored, metric)]
    if targets.are_split:
        found.append(_Means.of(targets.everything, metric))
    has_macro, has_pooled = found[0].has_macro, [one.has_pooled for one in found]
    if not has_macro and not has_pooled[0]:
        return None
    blocks = []
    for model, target_class, binarizer in blocks_of(
        contents, contents.binarizers if of_masks else ("",)
    ):
        rows = []
        for column in maps_of(contents, target_class, binarizer, metric):
            if (score := scores.get(model, column)) is None:
                continue
            means = [found[0].at(model, column)[0]] if has_macro else []
            shown = zip(found, has_pooled, strict=True)
            means += [one.at(model, column)[1] for one, is_shown in shown if is_shown]
            cells = [mean_cell(score), *(Cell(format_number(mean)) for mean in means)]
            rows.append(map_row(contents, column, cells))
        blocks.append(Block(rows, heading_of(contents, names, model, target_class, binarizer)))
    rows_ = f"{names.row}s{names.with_object}"
    titles = ["micro"]
    notes = [f"Micro: the mean over {rows_}, with its 95 % interval by {names.group}."]
    if has_macro:
        titles.append("macro")
        notes.append("Macro: the mean over classes of the mean of each class.")
    if has_pooled[0]:
        titles.append("pooled")
        notes.append(f"Pooled: {headline.title} of the pixels of all these {names.row}s together.")
    kinds = " and ".join(filter(None, [", ".join(titles[:-1]), titles[-1]])).capitalize()
    if any(has_pooled[1:]):
        titles.append("pooled with negatives")
        notes.append("Pooled with negatives: the pixels that are marked on negatives count too.")
    caption = f"{kinds} means of {headline.title}{names.part}"
    return Table(caption, ["map", *titles], blocks, [" ".join(notes)])


class _Means:
    """Macro and pooled means of one metric, by model and column."""

    def __init__(self, found: Mapping[tuple[str, Column], tuple[float, float]]) -> None:
        self._found = found

    @classmethod
    def of(cls, results: Results, metric: str) -> "_Means":
        """Compute the means of all models and columns of a metric."""
        chosen = results.select(metric=metric)
        found = {}
        for model in chosen.samples["model"].unique():
            at = (chosen.samples["model"] == model).to_numpy()
            values, weights = chosen.values[at], chosen.weights[at]
            macro = macro_means(values, chosen.samples["label"][at])
            pooled = pooled_means(values, weights)
            for column, *means in zip(chosen.columns, macro, pooled, strict=True):
                found[str(model), column] = (float(means[0]), float(means[1]))
        return cls(found)

    def at(self, model: str, column: Column) -> tuple[float, float]:
        """Return the macro and the pooled mean of a column."""
        return self._found[model, column]

    @property
    def has_macro(self) -> bool:
        """Whether a macro mean is defined."""
        return not all(np.isnan(macro) for macro, _ in self._found.values())

    @property
    def has_pooled(self) -> bool:
        """Whether a pooled mean is defined."""
        return not all(np.isnan(pooled) for _, pooled in self._found.values())


def positives_table(
    everything: Mapping[str, Images],
    contents: Contents,
    headline: Headline,
    scores: Scores,
    names: Names,
) -> Table | None:
    """Return each class of a task with several labels, with its positives and negatives.

    `everything` has all targets of each model.
    """
    if not headline.columns or not names.is_multilabel:
        return None
    has_labels = any(images.has_labels for images in everything.values())
    if not has_labels:
        return None
    of_objects = object_metrics(contents, headline, everything)
    of_maps = [m for m in contents.map_metrics if m not in (headline.metric, *of_objects)]
    further = [*of_maps[:_MOST_MAP_METRICS], *of_objects]
    marks = mark_metric(contents, everything) if contents.binarizers else None
    has_negatives = any((~images.present).any() for images in everything.values())
    has_accuracy = any(images.has_accuracy for images in everything.values())
    has_blind = any(scores.best_baseline(*best, "nothing") for best in headline.columns.items())
    blocks, left_out = [], 0
    for model, column in headline.columns.items():
        images = everything[model]
        labels, more = images.frequent_classes(MOST_CLASSES)
        left_out = max(left_out, more)
        parts = [(names.class_name(label), images.labels == label, "") for label in labels]
        parts.append(("all classes", np.ones(len(images.labels), bool), "total"))
        rows = []
        for title, here, look in parts:
            positive, negative = here & images.present, here & ~images.present
            cells = [Cell(f"{int(positive.sum()):,}"), Cell(f"{int(negative.sum()):,}")]
            cells.append(_mean(images, column, positive, contents, names))
            for metric in further:
                one = of_metric(column, metric, contents)
                cells.append(_mean(images, one, positive, contents, names))
            if has_blind:
                best = scores.best_baseline(model, column, "nothing")
                cell, label = Cell(""), ""
                if best is not None:
                    cell = _mean(images, best, positive, contents, names)
                    label = one_line(best.method, 24)
                cells.append(replace(cell, detail=label, few_groups=False))
            if marks is not None and has_negatives:
                of_marks = replace(column, metric=marks)
                known = {**contents.mask_metrics, **contents.conventions}[marks]
                values = are_marked(images.values(of_marks)[negative], known)
                cells.append(share_cell(values, images.groups[negative]))
            if has_accuracy:
                cells += _rates(images, positive, negative)
            rows.append(Row(Cell(title), cells, look))
        blocks.append(Block(rows, names.with_model(model, names.column(column))))
    titles = [
        *("class", "positives", "negatives", headline.title),
        *map(contents.title, further),
        *(["best blind baseline"] if has_blind else []),
        *(["negatives with a mark"] if marks is not None and has_negatives else []),
        *(["sensitivity", "specificity", "accuracy"] if has_accuracy else []),
    ]
    notes = [
        f"{headline.title} and other scores of the truth are means over the positives, in brackets "
        f"the 95 % interval by {names.group}."
    ]
    if has_accuracy:
        notes.append(
            "Sensitivity, specificity and accuracy are those of the predictions, at a probability "
            "of .5."
        )
    if left_out:
        notes.append(
            f"The {MOST_CLASSES} most frequent classes are shown, {left_out} are left out; the "
            "last row is of all classes."
        )
    notes += notes_on_fewer(titles, blocks, names)
    return Table("Classes, their positives and negatives", titles, blocks, notes)


def _mean(
    images: Images, column: Column, where: NDArray[np.bool_], contents: Contents, names: Names
) -> Cell:
    """Return the mean on some targets, marked if it is not over all of them."""
    if column not in images.columns:
        return Cell("")
    if not where.any():
        return Cell(MISSING)
    value_range = contents.averaged_metrics[column.metric].value_range
    summary = images.describe(column, where, value_range)
    n, reasons = int(where.sum()), images.reasons(column, where)
    return mark_fewer(mean_cell(summary), summary, n, reasons, names)


def _rates(images: Images, positive: NDArray[np.bool_], negative: NDArray[np.bool_]) -> list[Cell]:
    """Return sensitivity, specificity and accuracy of a classifier."""
    known = images.correct | images.wrong
    return [
        share_cell(images.correct[where & known].astype(float), images.groups[where & known])
        for where in (positive, negative, positive | negative)
    ]

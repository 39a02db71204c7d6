"""The sections of figures: against guessing, classes, size, thresholds, predictions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from cameval.evaluation import Column
from cameval.evaluation._image_plots import LEAST_GROUPS, first_and_last, has_interval
from cameval.evaluation._numbers import format_number, format_short, format_signed
from cameval.evaluation._run_folder import runs
from cameval.evaluation._scores import Images
from cameval.evaluation._threshold_plot import repeated_choices
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import BinarizerMeaning
from cameval.report._chart import Charts, ChartSection
from cameval.report._chart_data import (
    MOST_LISTED,
    bin_table,
    correlation_table,
    describe_bins,
    describe_correlations,
    interval_text,
    listing,
    means_by_class,
    pair_table,
    threshold_table,
    within_classes,
)
from cameval.report._choices import choice_table
from cameval.report._class_tables import (
    by_class,
    correctness_titles,
    difference_of_predictions,
    right_and_wrong,
)
from cameval.report._names import Names, describe_origin, join_words
from cameval.report._svg import DESKTOP
from cameval.report._verdict import Verdict
from cameval.report.formatting import format_count
from cameval.report.sections import Section, Table

MOST_NAMED = 8
"""Up to so many binarizers are named below a figure."""


# --- Against guessing -----------------------------------------------------------------------------


def guessing_section(charts: Charts) -> ChartSection:
    """Return the figures of each image's score beside that of the best guess."""
    found = []
    for verdict, column in charts.shown:
        guess = verdict.guess
        if guess is None or not guess.n_both or guess.comparison is None:
            continue
        images = charts.images[verdict.model]
        ours, theirs = images.values(column), images.values(guess.column)
        higher = bool(charts.headline.meaning.higher_is_better)
        worse = guess.n_below
        equal = int((ours == theirs).sum())
        better = guess.n_both - worse - equal
        rows = charts.names.rows(guess.n_both)
        words = ("higher", "lower") if higher else ("better", "worse")
        text = f"{better:,} of {rows} score {words[0]} than the best guess, {worse:,} {words[1]}"
        text += f", {equal:,} the same." if equal else "."
        many = guess.n_both > MOST_LISTED
        each = "The bars count the differences" if many else f"Each line is one {charts.names.row}"
        found.append(
            charts.make(
                "pairs",
                verdict.model,
                column,
                title=f"{charts.headline.title} of the best guess and of the maps",
                label=text,
                caption=f"{text} {each}.",
                height=300,
                data=[pair_table(charts, verdict, column, guess), listing(charts, verdict)],
            )
        )
    row = charts.names.row
    lead = f"The same {row} twice: what the best guess scores, and what the network's map scores."
    if not charts.names.contents.has_network:
        lead = f"The same {row} twice: what the best guess scores, and what the map scores."
    return ChartSection("guessing", "Against guessing", lead if found else "", charts=found)


# --- Classes --------------------------------------------------------------------------------------


def class_section(charts: Charts, tables: Sequence[Table]) -> ChartSection:
    """Return the figures of the classes; `tables` are their data."""
    found = []
    for verdict, column in charts.shown:
        images = charts.images[verdict.model]
        means = means_by_class(images, column)
        if len(means) < 2:
            continue
        ordered = sorted(means, key=lambda label: means[label])
        title = charts.headline.title
        ends = _describe_ends(charts.names, means, ordered[0], ordered[-1])
        text = f"Mean {title} {by_class(charts.names)}: {ends}."
        n = min(len(means), 25)
        counts = sorted(int((images.labels == label).sum()) for label in means)
        few = ""
        if counts[len(counts) // 2] < 5:
            few = f" Few {charts.names.row}s in each class: read the dots, not the order."
        found.append(
            charts.make(
                "classes",
                verdict.model,
                column,
                title=f"{title} {by_class(charts.names)}",
                label=text,
                caption=f"{text}{few} {_describe_intervals(charts, images, column, ordered)}",
                height=110 + 23 * n,
            )
        )
    lead = ""
    if found:
        maps = f"{charts.headline.title} of the maps in each class."
        of_network = charts.names.contents.has_network
        lead = f"{maps}{' It does not tell how often a class is predicted.' * of_network}"
    folds = [Section("class-data", "Data", tables=tables)] if tables else []
    return ChartSection("classes", "Classes", lead, charts=found, folds=folds)


def _describe_ends(names: Names, means: Mapping[int, float], low: int, high: int) -> str:
    """Return the lowest and the highest mean; with two digits if these differ, else with three."""
    for write in (format_short, format_number):
        first, last = write(means[low]), write(means[high])
        if first != last:
            return f"from {first} ({names.class_name(low)}) to {last} ({names.class_name(high)})"
    return f"{first} in each class, to three decimals"


def _describe_intervals(
    charts: Charts, images: Images, column: Column, ordered: Sequence[int]
) -> str:
    """Return for which classes the figure has an interval."""
    first, last = first_and_last(ordered)
    scores = [
        images.describe(column, images.labels == label, charts.headline.meaning.value_range)
        for label in (*first, *last)
    ]
    without = [score for score in scores if not has_interval(score)]
    groups = charts.names.groups
    reasons = {
        f"fewer than {LEAST_GROUPS} {groups}": any(one.n_groups < LEAST_GROUPS for one in without),
        "equal scores": any(one.n_groups >= LEAST_GROUPS for one in without),
    }
    why = " or ".join(reason for reason, holds in reasons.items() if holds)
    if len(without) == len(scores):
        return f"No interval is drawn: each class has {why}."
    rule = f"A line is the 95 % interval of the mean, by {charts.names.group}"
    return f"{rule}; a class of {why} has none." if why else f"{rule}."


# --- Size and confidence --------------------------------------------------------------------------


def size_section(charts: Charts) -> ChartSection:
    """Return the figures of the score against the size of the object."""
    found = []
    for verdict, column in charts.shown:
        images = charts.images[verdict.model]
        areas = images.samples["area"].to_numpy(float)[~np.isnan(images.values(column))]
        if not (areas > 0).any():
            continue
        table = correlation_table(charts, verdict, column, "area")
        text = describe_correlations(table, f"size of the object{within_classes(images)}")
        binned = describe_bins(charts, verdict, column, "area")
        found.append(
            charts.make(
                "size",
                verdict.model,
                column,
                title=f"{charts.headline.title} by size of the object",
                label=f"{text} {binned}".strip(),
                caption=f"{text} {binned}".strip(),
                height=340 if binned else 300,
                data=[table, bin_table(charts, verdict, column, "area")],
            )
        )
    lead = ""
    if found:
        hollow = any(images.has_accuracy for images in charts.images.values())
        wrong = "Hollow: wrong prediction. " if hollow else ""
        blue = "Blue: what masks of this area can reach." if charts.headline.bound else ""
        gray = "Gray: the best guess. " if any(v.guess for v in charts.verdicts) else ""
        lead = f"Orange: the maps. {wrong}{gray}{blue}".strip()
    return ChartSection("size", "Object size", lead, charts=found)


def confidence_section(charts: Charts, folds: Sequence[Section]) -> ChartSection:
    """Return the figures of the score against the probability, with right and wrong predictions."""
    found = []
    for verdict, column in charts.shown:
        images = charts.images[verdict.model]
        known = images.samples["probability"].notna().to_numpy()
        if not (known & ~np.isnan(images.values(column))).any():
            continue
        table = correlation_table(charts, verdict, column, "probability")
        rated = f"probability of the {images.rated_class}{within_classes(images)}"
        text = describe_correlations(table, rated)
        binned = describe_bins(charts, verdict, column, "probability")
        found.append(
            charts.make(
                "confidence",
                verdict.model,
                column,
                title=f"{charts.headline.title} by probability",
                label=f"{text} {binned}".strip(),
                caption=f"{text} {binned}".strip(),
                height=340 if binned else 300,
                data=[table, bin_table(charts, verdict, column, "probability")],
            )
        )
    lead = [text for v, column in charts.shown if (text := _right_or_wrong(charts, v, column))]
    title = "Predictions"
    return ChartSection("predictions", title, lead, charts=found, folds=folds)


def _right_or_wrong(charts: Charts, verdict: Verdict, column: Column) -> str:
    """Return the difference between right and wrong predictions if its interval excludes 0."""
    images = charts.images[verdict.model]
    if not images.has_accuracy or not np.any(right_and_wrong(images)):
        return ""
    gap = difference_of_predictions(images, column, charts.headline)
    if np.isnan(gap.low) or gap.low <= 0 <= gap.high:
        return ""
    right, wrong = correctness_titles(images)
    text = (
        f"Mean {charts.headline.title} of {right} minus that of {wrong}: "
        f"{format_signed(gap.estimate)} {interval_text(gap.low, gap.high)}."
    )
    return charts.names.with_model(verdict.model, text)


# --- Thresholds -----------------------------------------------------------------------------------


def threshold_section(charts: Charts, notes: Sequence[str]) -> ChartSection:
    """Return the figures of the mean score of each method by binarizer; notes are of the data."""
    found = []
    binarizers = charts.names.contents.binarizers
    for verdict, column in charts.shown:
        if not column.binarizer:
            continue
        repeated = repeated_choices(
            charts.images[verdict.model], _drawn_maps(charts, verdict, column), binarizers
        )
        drawn = {label: one for label, one in binarizers.items() if label not in repeated}
        if len(drawn) < 2:
            continue
        table = threshold_table(charts, verdict, column, notes)
        means = {
            label: score.mean
            for label in drawn
            if (score := charts.scores.get(verdict.model, replace(column, binarizer=label)))
            and not np.isnan(score.mean)
        }
        higher = charts.headline.meaning.higher_is_better
        pick = min if higher is False else max
        best = pick(means, key=lambda label: means[label])
        title = charts.headline.title
        extreme = "lowest" if higher is False else "highest"
        text = (
            f"{one_line(column.method)}: {extreme} mean {title} {format_short(means[best])} by "
            f"{one_line(best)}"
        )
        origin = binarizers[best].origin
        chosen = "." if origin is not None else ", chosen on these same images."
        found.append(
            charts.make(
                "thresholds",
                verdict.model,
                column,
                title=f"Mean {title} by threshold",
                subtitle=_count_binarizers(drawn),
                label=f"{text}{chosen}",
                caption=" ".join(
                    [
                        f"{text}{chosen} {_describe_binarizers(drawn)}",
                        *(_describe_circle(label, charts.names) for label in repeated),
                    ]
                ),
                height=_height_of_thresholds(len(charts.names.contents.methods) + len(repeated)),
                data=[table],
            )
        )
    lead = "The mean score of each map by the share of the image that its masks mark."
    folds = [fold for fold in [_choices_fold(charts)] if not fold.empty]
    return ChartSection(
        "by-threshold", "Thresholds", lead if found else "", charts=found, folds=folds
    )


def _drawn_maps(charts: Charts, verdict: Verdict, column: Column) -> list[Column]:
    """Return the columns of the maps of the figure: methods, and the best guess."""
    methods = charts.names.contents.methods
    maps = [replace(column, kind="method", method=method) for method in methods]
    return maps + ([] if verdict.guess is None else [verdict.guess.column])


def _count_binarizers(binarizers: Mapping[str, BinarizerMeaning]) -> str:
    """Return how many binarizers there are, and how many choices of them."""
    n_chosen = sum(one.origin is not None for one in binarizers.values())
    counts = [format_count(len(binarizers) - n_chosen, "binarizer")]
    if n_chosen:
        counts.append(format_count(n_chosen, "choice"))
    return join_words(counts)


def _describe_circle(label: str, names: Names) -> str:
    """Return what a circle in the figure marks."""
    origin = names.contents.binarizers[label].origin
    assert origin is not None  # of a choice
    return f"A circle: {one_line(label)}, {describe_origin(origin, names)}."


def _choices_fold(charts: Charts) -> ChartSection:
    """Return which binarizers were chosen by their scores; empty if none was."""
    contents = charts.names.contents
    chosen = [label for label, one in contents.binarizers.items() if one.origin is not None]
    found = []
    for verdict, column in charts.shown if chosen else ():
        if not column.binarizer:
            continue
        text = (
            f"Mean {charts.headline.title} of each map with each binarizer; the stronger the "
            f"color, the better. With {join_words([one_line(label) for label in chosen])}, each "
            "map has the binarizer that was chosen for it. A frame: the best mean on these same "
            "images."
        )
        found.append(
            charts.make(
                "choices",
                verdict.model,
                column,
                title=f"Mean {charts.headline.title} by map and binarizer",
                subtitle=_count_binarizers(contents.binarizers),
                label=text,
                caption=text,
                height=120 + 26 * (len(contents.methods) + 1),
            )
        )
    table = choice_table(contents, charts.names, runs(charts.results.provenance))
    tables = [table] if table.blocks else []
    return ChartSection("choices", "Chosen binarizers", tables=tables, charts=found)


def _describe_binarizers(binarizers: Mapping[str, BinarizerMeaning]) -> str:
    """Return which binarizers are compared; many of a fixed share by the first and the last."""
    shares = {k: m.marked for k, m in binarizers.items() if m.marked is not None and not m.origin}
    fixed = sorted(shares, key=lambda label: shares[label])
    shown = [one_line(label) for label in binarizers if label not in shares]
    if len(fixed) > MOST_NAMED:
        first, last = one_line(fixed[0]), one_line(fixed[-1])
        shown.insert(0, f"{len(fixed)} of a fixed share, from {first} to {last}")
    else:
        shown[:0] = map(one_line, fixed)
    if len(shown) > MOST_NAMED:
        shown[MOST_NAMED:] = [f"{len(shown) - MOST_NAMED} more that the data names"]
    return f"Binarizers that are compared: {join_words(shown)}."


def _height_of_thresholds(n_marks: int) -> Callable[[int], float]:
    """Return the height by width: the legend has two columns where there is room."""
    rows = n_marks + 2  # the best guess, and the bound
    return lambda width: 260 + 17 * (rows if width < DESKTOP else -(-rows // 2))

"""The figures of the page: what each says, and its data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes

from cameval.evaluation import Column, Results
from cameval.evaluation._headline import Headline
from cameval.evaluation._plots import PlotKind
from cameval.evaluation._scores import Images, Scores
from cameval.evaluation._words import one_line
from cameval.report._class_tables import (
    by_class,
    correctness_titles,
    difference_of_predictions,
    right_and_wrong,
)
from cameval.report._names import Names
from cameval.report._score_tables import map_row, maps_of, mean_cell
from cameval.report._svg import DESKTOP, PHONE, Drawing, draw_twice, fit_to_page
from cameval.report._verdict import Guess, Verdict
from cameval.report.formatting import (
    format_interval,
    format_number,
    format_p,
    format_percent,
    format_short,
    format_signed,
    with_minus,
)
from cameval.report.sections import Block, Cell, Row, Section, Table

MOST_LISTED = 150
"""Up to so many images the data of a figure has a row for each."""


@dataclass(frozen=True)
class Chart:
    """A figure of one network.

    Parameters
    ----------
    title, subtitle
        The network, and its method and binarizer.
    drawing
        The figure.
    caption
        What it says.
    data
        Its tables.
    """

    title: str
    subtitle: str
    drawing: Drawing
    caption: str = ""
    data: Sequence[Table] = ()


@dataclass(frozen=True)
class ChartSection(Section):
    """A section of figures, followed by tables that are folded."""

    charts: Sequence[Chart] = ()
    folds: Sequence[Section] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not self.charts and all(fold.empty for fold in self.folds) and super().empty


@dataclass(frozen=True, eq=False)
class Charts:
    """What the figures are drawn from.

    Parameters
    ----------
    results
        The results that are scored.
    images, headline, scores, names
        As in `write_report`.
    verdicts
        One of each network.
    """

    results: Results
    images: Mapping[str, Images]
    headline: Headline
    scores: Scores
    names: Names
    verdicts: Sequence[Verdict]

    @property
    def shown(self) -> list[tuple[Verdict, Column]]:
        """The networks with a defined score, and their columns."""
        return [(v, v.column) for v in self.verdicts if v.column is not None and v.n_defined]

    def draw(
        self,
        kind: PlotKind,
        model: str,
        column: Column,
        *,
        title: str,
        label: str,
        height: float | Callable[[int], float],
        widths: tuple[int, int] = (DESKTOP, PHONE),
    ) -> Drawing:
        """Draw a plot of the results of one network in two widths."""

        def draw(axes: Axes) -> None:
            self.results.plot(
                kind,
                axes,
                model=model,
                method=column.method,
                binarizer=column.binarizer or None,
                metric=column.metric,
            )
            fit_to_page(axes)

        whose = self.names.with_model(model, title)
        return draw_twice(draw, title=whose, label=with_minus(label), height=height, widths=widths)

    def make(
        self,
        kind: PlotKind,
        model: str,
        column: Column,
        *,
        title: str,
        label: str,
        caption: str,
        height: float | Callable[[int], float],
        data: Sequence[Table | None] = (),
    ) -> Chart:
        """Return a figure of the results of one network."""
        several = len(self.names.contents.models) > 1
        return Chart(
            one_line(model, 40) if several else "",
            self.names.column(column),
            self.draw(kind, model, column, title=title, label=label, height=height),
            with_minus(caption),
            [table for table in data if table is not None],
        )


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
                data=[_pair_table(charts, verdict, column, guess), _listing(charts, verdict)],
            )
        )
    row = charts.names.row
    lead = f"The same {row} twice: what the best guess scores, and what the network's map scores."
    if not charts.names.contents.has_network:
        lead = f"The same {row} twice: what the best guess scores, and what the map scores."
    return ChartSection("guessing", "Against guessing", lead if found else "", charts=found)


def _pair_table(charts: Charts, verdict: Verdict, column: Column, guess: Guess) -> Table:
    """Return the one test of the verdict, with what other procedures give."""
    assert guess.comparison is not None  # `guessing_section`
    test, p = guess.comparison.test, guess.comparison.p
    rows = [
        ("mean difference", f"{format_signed(test.difference)} {_interval(test.low, test.high)}"),
        ("p, corrected for all tests of the page", format_p(p)),
        ("p, not corrected", format_p(test.p)),
        ("effect", f"{format_signed(test.effect)} {_interval(test.effect_low, test.effect_high)}"),
        (f"{charts.names.row}s", f"{test.n:,}"),
        ("groups", f"{test.n_groups:,}"),
        ("groups that differ", f"{test.n_differing:,}"),
    ]
    caption = f"{one_line(column.method)} minus {one_line(guess.column.method)}"
    return Table(
        charts.names.with_model(verdict.model, caption),
        ["quantity", "value"],
        [Block([Row(Cell(head), [Cell(value.strip())]) for head, value in rows])],
    )


def _interval(low: float, high: float) -> str:
    return with_minus(format_interval(low, high))


def _listing(charts: Charts, verdict: Verdict) -> Table | None:
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


# --- Classes --------------------------------------------------------------------------------------


def class_section(charts: Charts, tables: Sequence[Table]) -> ChartSection:
    """Return the figures of the classes; `tables` are their data."""
    found = []
    for verdict, column in charts.shown:
        images = charts.images[verdict.model]
        means = _means_by_class(images, column)
        if len(means) < 2:
            continue
        best = max(means, key=lambda label: means[label])
        worst = min(means, key=lambda label: means[label])
        title = charts.headline.title
        first, last = (
            f"{format_short(means[label])} ({charts.names.class_name(label)})"
            for label in (best, worst)
        )
        text = f"Mean {title} {by_class(charts.names)}: from {last} to {first}."
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
                caption=f"{text}{few}",
                height=110 + 23 * n,
            )
        )
    lead = "Which classes are found, and which are not." if found else ""
    folds = [Section("class-data", "Data", tables=tables)] if tables else []
    return ChartSection("classes", "Classes", lead, charts=found, folds=folds)


def _means_by_class(images: Images, column: Column) -> dict[int, float]:
    values = images.values(column)
    labels = [int(label) for label in np.unique(images.labels) if label >= 0]
    parts = {label: values[(images.labels == label) & ~np.isnan(values)] for label in labels}
    return {label: float(part.mean()) for label, part in parts.items() if part.size}


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
        text = describe_correlations(table, "size of the object")
        found.append(
            charts.make(
                "size",
                verdict.model,
                column,
                title=f"{charts.headline.title} by size of the object",
                label=text,
                caption=text,
                height=300,
                data=[table, _listing(charts, verdict)],
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
        text = describe_correlations(table, f"probability of the {images.rated_class}")
        found.append(
            charts.make(
                "confidence",
                verdict.model,
                column,
                title=f"{charts.headline.title} by probability",
                label=text,
                caption=text,
                height=300,
                data=[table],
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
        f"{format_signed(gap.estimate)} {_interval(gap.low, gap.high)}."
    )
    return charts.names.with_model(verdict.model, text)


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
        few = int(row["n_groups"]) < 10
        rows.append(
            Row(Cell(head), [Cell(format_number(estimate), format_interval(low, high), few)])
        )
    within = " within classes" if charts.images[verdict.model].has_labels else ""
    quantity = "the size of the object" if on == "area" else "the probability"
    title = charts.headline.title
    return Table(
        charts.names.with_model(
            verdict.model, f"Rank correlation of {title} with {quantity}{within}"
        ),
        ["map", "rank correlation"],
        [Block(rows)],
        look="",
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


# --- Thresholds -----------------------------------------------------------------------------------


def threshold_section(charts: Charts) -> ChartSection:
    """Return the figures of the mean score of each method by binarizer."""
    found = []
    binarizers = charts.names.contents.binarizers
    for verdict, column in charts.shown:
        if not column.binarizer or len(binarizers) < 2:
            continue
        table = _threshold_table(charts, verdict, column)
        means = {
            label: score.mean
            for label in binarizers
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
                label=f"{text}{chosen}",
                caption=f"{text}{chosen}",
                height=_height_of_thresholds(len(charts.names.contents.methods)),
                data=[table],
            )
        )
    lead = "The mean score of each map by the share of the image that its masks mark."
    return ChartSection("thresholds", "Thresholds", lead if found else "", charts=found)


def _height_of_thresholds(n_methods: int) -> Callable[[int], float]:
    """Return the height by width: the legend has two columns where there is room."""
    rows = n_methods + 2
    return lambda width: 260 + 17 * (rows if width < DESKTOP else -(-rows // 2))


def _threshold_table(charts: Charts, verdict: Verdict, column: Column) -> Table:
    """Return the mean of each map by binarizer."""
    contents, scores = charts.names.contents, charts.scores
    metric, rows = column.metric, []
    for one in maps_of(contents, column.target_class, column.binarizer, metric):
        cells = [
            mean_cell(scores.get(verdict.model, replace(one, binarizer=label)))
            for label in contents.binarizers
        ]
        rows.append(map_row(contents, one, cells))
    return Table(
        charts.names.with_model(verdict.model, f"Mean {charts.headline.title} by binarizer"),
        ["map", *map(one_line, contents.binarizers)],
        [Block(rows)],
    )

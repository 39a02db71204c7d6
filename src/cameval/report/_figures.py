"""Figures of the page: means, distributions, size and confidence."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, Literal
from unicodedata import category

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from cameval.evaluation import Column, Results
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._scores import Images, Scores
from cameval.evaluation._words import metric_title, one_line
from cameval.report._class_tables import MOST_CLASSES, by_class
from cameval.report._files import draw_png
from cameval.report._findings import format_correlation
from cameval.report._names import Names
from cameval.report.formatting import format_count
from cameval.report.sections import Picture

INK = "#222222"


STYLE: list[Any] = [
    "default",
    {
        "text.parse_math": False,  # a dollar in a name is a dollar
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": INK,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e4e4e4",
        "grid.linewidth": 0.7,
        "legend.frameon": False,
    },
]


def figure_text(text: str, longest: int = 26) -> str:
    """Return a name in characters of the figure's font.

    Others become a white square, and marks of direction are left out.
    """
    font = get_font(findfont("DejaVu Sans"))
    line = "".join(c for c in one_line(text, longest) if category(c) != "Cf")
    return "".join(c if font.get_char_index(ord(c)) else "\u25a1" for c in line)


def make_figure(height: float) -> tuple[Figure, Axes]:
    """Return a figure of a height in inches."""
    figure = Figure(figsize=(6.4, min(max(height, 2.2), 30)), layout="constrained")
    return figure, figure.subplots()


def start_at_zero(axes: Axes, which: Literal["x", "y"]) -> None:
    """Start an axis at zero if no value is below it."""
    k = "xy".index(which)
    data = [np.asarray(line.get_xydata(), float)[:, k] for line in axes.lines]
    data += [np.asarray(dots.get_offsets(), float)[:, k] for dots in axes.collections]
    values = np.concatenate([*data, [0.0]])
    if np.nanmin(values) >= 0:
        high = max(axes.get_xlim()[1] if which == "x" else axes.get_ylim()[1], 1e-3)
        (axes.set_xlim if which == "x" else axes.set_ylim)(-0.02 * high, high)


PALE = "#8a8a8a"


COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class _Drawing:
    """A figure with its words."""

    figure: Figure
    alt: str
    caption: str


def draw_figures(
    results: Results,
    images: Mapping[str, Images],
    contents: Contents,
    headline: Headline,
    scores: Scores,
    names: Names,
) -> list[Picture]:
    """Draw the figures of each model."""
    pictures = []
    for k, (model, column) in enumerate(headline.columns.items(), start=1):
        of_model = images[model]
        prefix, suffix = "", ""
        if len(contents.models) > 1:
            prefix, suffix = f"{one_line(model)}. ", f"-{k}"
        with matplotlib.style.context(STYLE):
            drawings = {
                "means": _draw_means(model, column, contents, scores, names),
                "classes": _draw_classes(of_model, column, scores, names),
                "size": _draw_sizes(results, of_model, column, headline.bound, names),
                "confidence": _draw_confidence(results, of_model, column, names),
            }
            pictures += [
                Picture(
                    f"{stem}{suffix}.png", one.alt, f"{prefix}{one.caption}", draw_png(one.figure)
                )
                for stem, one in drawings.items()
                if one is not None
            ]
    return pictures


# --- Means --------------------------------------------------------------------------------------
def _draw_means(
    model: str, column: Column, contents: Contents, scores: Scores, names: Names
) -> _Drawing:
    """Draw every map's mean with its interval, the baselines below."""
    maps = [replace(column, kind="method", method=label) for label in contents.methods]
    maps += [replace(column, kind="baseline", method=label) for label in contents.baselines]
    binarizers = tuple(contents.binarizers) if column.binarizer else ("",)
    step = 1 / (len(binarizers) + 1)
    has_few_groups = False
    figure, axes = make_figure(1.1 + 0.3 * len(maps) * max(1, 0.55 * len(binarizers)))
    styles = zip(binarizers, cycle(COLORS), cycle(MARKERS), strict=False)
    for k, (binarizer, color, marker) in enumerate(styles):
        for row, one in enumerate(maps):
            score = scores.get(model, replace(one, binarizer=binarizer))
            if score is None or np.isnan(score.mean):
                continue
            y = row + (k + 1) * step - 0.5
            if not np.isnan(score.low):
                has_few_groups |= score.has_few_groups
                axes.plot([score.low, score.high], [y, y], color=color, linewidth=1.6)
            inside = color if one.kind == "method" else "white"
            axes.plot(score.mean, y, marker, color=color, markerfacecolor=inside, markersize=5.5)
        if binarizer:
            axes.plot([], [], marker, color=color, label=figure_text(binarizer))
    count = len(contents.methods)
    if count < len(maps):
        axes.axhspan(count - 0.5, len(maps) - 0.5, color="#f4f4f4", zorder=0)
    axes.set_yticks(range(len(maps)), [figure_text(one.method) for one in maps])
    axes.set_ylim(len(maps) - 0.5, -0.5)
    axes.grid(False, axis="y")
    title = metric_title(column.metric)
    axes.set_xlabel(f"mean {figure_text(title)}")
    start_at_zero(axes, "x")
    if len(binarizers) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    target_class = ""
    if len(contents.target_classes) > 1:
        target_class = f" of maps for {names.target_class(column.target_class)}"
    return _Drawing(
        figure,
        f"Mean {title} with interval of {format_count(count, 'method')} and "
        f"{format_count(len(contents.baselines), 'baseline')}.",
        f"Mean {title}{target_class} with its 95 % interval by group."
        + (" Hollow, on gray: the baselines." if contents.baselines else "")
        + (" Intervals of fewer than ten groups may be too narrow." if has_few_groups else ""),
    )


# --- Classes ------------------------------------------------------------------------------------
def _draw_classes(images: Images, column: Column, scores: Scores, names: Names) -> _Drawing | None:
    """Draw the scores of each class: every image, and a box of the quartiles."""
    values, label_of = images.values(column), images.labels
    labels, left_out = images.frequent_classes(MOST_CLASSES)
    if np.isnan(values).all() or not labels:
        return None
    figure, axes = make_figure(1.1 + 0.42 * len(labels))
    best = scores.best_baseline(images.model, column, "nothing")
    for row, label in enumerate(labels):
        here = values[(label_of == label) & ~np.isnan(values)]
        if not here.size:
            continue
        jitter = (np.arange(here.size) * 0.618034 % 1 - 0.5) * 0.56
        size, alpha = (20, 0.65) if here.size < 200 else (6, 0.3)
        axes.scatter(np.sort(here), row + jitter, s=size, c=COLORS[0], alpha=alpha, linewidths=0)
        axes.boxplot(
            here,
            positions=[row],
            orientation="horizontal",
            widths=0.62,
            showfliers=False,
            showcaps=False,
            manage_ticks=False,
            medianprops={"color": INK, "linewidth": 2},
            boxprops={"color": INK},
            whiskerprops={"color": INK},
        )
        if best is not None:
            mean = images.describe(best, label_of == label).mean
            if not np.isnan(mean):
                axes.plot(mean, row, "D", color=COLORS[1], markersize=6, zorder=5)
    axes.set_yticks(
        range(len(labels)),
        [f"{figure_text(names.class_name(c))} ({int((label_of == c).sum())})" for c in labels],
    )
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(False, axis="y")
    title = metric_title(column.metric)
    axes.set_xlabel(f"{figure_text(title)} of each {names.row}")
    start_at_zero(axes, "x")
    text = f"{title} of each {names.row} {by_class(names)}, {names.column(column)}. Box: quartiles"
    if best is not None:
        text += f"; diamond: mean of the best blind baseline ({one_line(best.method)})"
    if left_out:
        others = format_count(left_out, "less frequent class", "less frequent classes")
        text += f". {others} {'is' if left_out == 1 else 'are'} left out"
    classes = format_count(len(labels), "class", "classes")
    return _Drawing(figure, f"Distribution of {title} in {classes}.", f"{text}.")


# --- Size and confidence ------------------------------------------------------------------------
def _draw_sizes(
    results: Results, images: Images, column: Column, bound: str | None, names: Names
) -> _Drawing | None:
    """Draw scores against the area of the true mask, with their upper bound."""
    values, area = images.values(column), images.samples["area"].to_numpy()
    shown = ~np.isnan(values) & (area > 0)
    if not shown.any():
        return None
    figure, axes = make_figure(3.9)
    text = ""
    if bound and column.binarizer:
        bounds = images.values(replace(column, metric=bound))
        text = _draw_bounds(axes, area[shown], bounds[shown], metric_title(bound))
    _scatter_by_class(axes, images, area, values, shown, names)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelsize=9)
    axes.set_xlabel("area of the true mask, share of the scored pixels (log)")
    title = metric_title(column.metric)
    axes.set_ylabel(figure_text(title))
    start_at_zero(axes, "y")
    return _Drawing(
        figure,
        f"Scatter of {title} against the area of the true mask.",
        f"{title} against the size of the object, {names.column(column)}.{text}"
        f"{_describe_correlation(results, images, column, 'area')}",
    )


def _draw_bounds(
    axes: Axes, area: NDArray[np.float64], bounds: NDArray[np.float64], title: str
) -> str:
    """Draw an upper bound, as a line if all masks have one area; return its words."""
    if (p := _fixed_area(area, bounds)) is None:
        axes.scatter(area, bounds, s=26, c=PALE, marker="_", linewidths=1.4)
        return f" Dashes: the upper bound ({title}) of each mask."
    xs = np.geomspace(area.min() / 1.3, min(1, area.max() * 1.3), 200)
    axes.plot(xs, np.minimum(xs, p) / np.maximum(xs, p), color=INK, linewidth=1.6)
    return f" Line: the upper bound ({title}) for masks of {100 * p:.1f} % of the image."


def _draw_confidence(
    results: Results, images: Images, column: Column, names: Names
) -> _Drawing | None:
    """Draw scores against the probability of the predicted class, or of that of the target."""
    values, p = images.values(column), images.samples["probability"].to_numpy()
    shown = ~np.isnan(values) & np.isfinite(p)
    if not shown.any():
        return None
    figure, axes = make_figure(3.9)
    correct, wrong = np.zeros((2, len(values)), bool)
    if images.has_accuracy:
        correct, wrong = images.correct, images.wrong
    right_word, wrong_word = ("found", "missed") if images.is_multilabel else ("right", "wrong")
    for where, color, marker, legend in (
        (correct, COLORS[0], "o", right_word),
        (wrong, COLORS[1], "X", wrong_word),
        (
            ~correct & ~wrong,
            PALE if images.has_accuracy else COLORS[0],
            "o",
            "no label" * images.has_accuracy,
        ),
    ):
        here = where & shown
        if here.any():
            label = f"{legend} ({int(here.sum())})" if legend else None
            axes.scatter(
                p[here], values[here], c=color, marker=marker, label=label, **_points(shown)
            )
    if images.has_accuracy:
        title = names.row if images.is_multilabel else "prediction"
        axes.legend(title=title, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_xlabel(f"probability of the {images.rated_class}")
    title = metric_title(column.metric)
    axes.set_ylabel(figure_text(title))
    start_at_zero(axes, "y")
    what = f"{title} against the probability of the {images.rated_class}"
    correlation = _describe_correlation(results, images, column, "probability")
    return _Drawing(figure, f"Scatter of {what}.", f"{what}, {names.column(column)}.{correlation}")


def _scatter_by_class(
    axes: Axes,
    images: Images,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    shown: NDArray[np.bool_],
    names: Names,
) -> None:
    label_of = images.labels
    labels = np.unique(label_of[shown & (label_of >= 0)]).tolist()
    if not 1 < len(labels) <= len(COLORS):
        axes.scatter(x[shown], y[shown], c=COLORS[0], **_points(shown))
        return
    for label, color, marker in zip(labels, COLORS, MARKERS, strict=False):
        here = shown & (label_of == label)
        title = figure_text(names.class_name(label), 20)
        axes.scatter(x[here], y[here], c=color, marker=marker, label=title, **_points(shown))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _points(shown: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the look of points: smaller and paler if there are many."""
    return {"linewidths": 0} | (
        {"s": 22, "alpha": 0.6} if shown.sum() < 500 else {"s": 9, "alpha": 0.35}
    )


def _fixed_area(area: NDArray[np.float64], bounds: NDArray[np.float64]) -> float | None:
    """Return the area of the masks, if all have about the same and their area bounds show it."""
    at = int(np.argmin(bounds))
    if not bounds[at] > 0:  # also where one is NaN
        return None
    possible = []
    for p in (area[at] / bounds[at], area[at] * bounds[at]):
        expected = np.minimum(area, p) / np.maximum(area, p)
        if p <= 1 and np.allclose(bounds, expected, rtol=0.02, atol=0):
            possible.append(float(p))
    if len(possible) == 2 and abs(possible[0] - possible[1]) > 0.02 * possible[0]:
        return None  # as of a single image: the masks may be smaller or larger than the object
    return next(iter(possible), None)


def _describe_correlation(results: Results, images: Images, column: Column, on: str) -> str:
    within = " within classes" if images.has_labels else ""
    correlation = format_correlation(results, images.model, column, on)
    return f" Rank correlation{within} {correlation}." if correlation else ""

"""Figures of the page: means, distributions, size and confidence."""

from collections.abc import Callable
from dataclasses import replace
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

from cameval.evaluation import Column
from cameval.report._findings import correlation
from cameval.report._format import count_of, metric_title, name, png
from cameval.report._parts import in_words
from cameval.report._view import Facts
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


def drawn(text: str, longest: int = 26) -> str:
    """Return a name that the figure's font can write.

    What the font lacks becomes a white square, and marks of direction are left out.
    """
    font = get_font(findfont("DejaVu Sans"))
    line = "".join(c for c in name(text, longest) if category(c) != "Cf")
    return "".join(c if font.get_char_index(ord(c)) else "\u25a1" for c in line)


def new_figure(height: float) -> tuple[Figure, Axes]:
    """Return a figure of a height in inches."""
    figure = Figure(figsize=(6.4, min(max(height, 2.2), 30)), layout="constrained")
    return figure, figure.subplots()


def from_zero(axes: Axes, which: Literal["x", "y"]) -> None:
    """Begin an axis at zero where no value is below it."""
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


def figures(facts: Facts) -> list[Picture]:
    """Draw the figures of each model."""
    pictures = []
    draws: tuple[Callable[[Facts, str, Column], tuple[Figure, str, str] | None], ...]
    draws = (_means, _by_class, _by_size, _by_confidence)
    for number_of, (model, column) in enumerate(facts.of_models(), start=1):
        of_model = f"{name(model)}. " if len(facts.models) > 1 else ""
        for stem, draw in zip(("means", "classes", "size", "confidence"), draws, strict=True):
            with matplotlib.style.context(STYLE):
                if (found := draw(facts, model, column)) is None:
                    continue
                figure, alt, caption = found
                data = png(figure)
            suffix = f"-{number_of}" if len(facts.models) > 1 else ""
            pictures.append(Picture(f"{stem}{suffix}.png", alt, f"{of_model}{caption}", data))
    return pictures


# --- Means --------------------------------------------------------------------------------------
def _means(facts: Facts, model: str, column: Column) -> tuple[Figure, str, str] | None:
    """Draw every map's mean with its interval, the baselines below."""
    sources = [("method", label) for label in facts.methods]
    sources += [("baseline", label) for label in facts.baselines]
    binarizers = facts.binarizers if column.binarizer else ("",)
    step = 1 / (len(binarizers) + 1)
    few = False
    height = 1.1 + 0.3 * len(sources) * max(1, 0.55 * len(binarizers))
    figure, axes = new_figure(height)
    styles = zip(binarizers, cycle(COLORS), cycle(MARKERS), strict=False)
    for k, (binarizer, color, marker) in enumerate(styles):
        for row, (kind, label) in enumerate(sources):
            at = replace(column, kind=kind, method=label, binarizer=binarizer)  # type: ignore[arg-type]
            score = facts.scores.get((model, at))
            if score is None or np.isnan(score.mean):
                continue
            y = row + (k + 1) * step - 0.5
            if not np.isnan(score.low):
                few |= score.few
                axes.plot([score.low, score.high], [y, y], color=color, linewidth=1.6)
            inside = color if kind == "method" else "white"
            axes.plot(score.mean, y, marker, color=color, markerfacecolor=inside, markersize=5.5)
        if binarizer:
            axes.plot([], [], marker, color=color, label=drawn(binarizer))
    count = len(facts.methods)
    if count < len(sources):
        axes.axhspan(count - 0.5, len(sources) - 0.5, color="#f4f4f4", zorder=0)
    axes.set_yticks(range(len(sources)), [drawn(label) for _, label in sources])
    axes.set_ylim(len(sources) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set_xlabel(f"mean {drawn(metric_title(column.metric))}")
    from_zero(axes, "x")
    if len(binarizers) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    title = metric_title(column.metric)
    return (
        figure,
        f"Mean {title} with interval of {count_of(len(facts.methods), 'method')} and "
        f"{count_of(len(facts.baselines), 'baseline')}.",
        f"Mean {title}{_of_class(facts, column)} with its 95 % interval by group."
        + (" On gray, hollow: the baselines." if facts.baselines else "")
        + (" Intervals of fewer than ten groups may be too narrow to trust." if few else ""),
    )


def _of_class(facts: Facts, column: Column) -> str:
    """Say which class the maps of a figure explain, where there are several."""
    if len(facts.target_class) < 2:
        return ""
    return f" of maps for {facts.target_class_words(column.target_class)}"


# --- Classes ------------------------------------------------------------------------------------
def _by_class(facts: Facts, model: str, column: Column) -> tuple[Figure, str, str] | None:
    """Draw the scores of each class: every image, and a box of the quartiles."""
    values = facts.values(model, column)
    label_of = facts.labels(model)
    labels, left_out = facts.classes(model)
    if np.isnan(values).all() or not labels:
        return None
    figure, axes = new_figure(1.1 + 0.42 * len(labels))
    best = facts.best_baseline(model, column, "nothing")
    for row, (label, color) in enumerate(zip(labels, cycle(COLORS[:1]), strict=False)):
        here = values[(label_of == label) & ~np.isnan(values)]
        if not here.size:
            continue
        jitter = (np.arange(here.size) * 0.618034 % 1 - 0.5) * 0.56
        size, alpha = (20, 0.65) if here.size < 200 else (6, 0.3)
        axes.scatter(np.sort(here), row + jitter, s=size, c=color, alpha=alpha, linewidths=0)
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
        if best:
            blind = facts.values(model, best)[label_of == label]
            if not np.isnan(blind).all():
                axes.plot(np.nanmean(blind), row, "D", color=COLORS[1], markersize=6, zorder=5)
    axes.set_yticks(
        range(len(labels)),
        [f"{drawn(facts.class_name(c))} ({int((label_of == c).sum())})" for c in labels],
    )
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set_xlabel(f"{drawn(metric_title(column.metric))} of each image")
    from_zero(axes, "x")
    title = metric_title(column.metric)
    text = f"{title} of each image by true class, {in_words(facts, column)}. Box: quartiles"
    if best:
        text += f"; diamond: mean of the best blind map ({name(best.method)})"
    if left_out:
        rest = count_of(left_out, "less frequent class", "less frequent classes")
        text += f". {rest} {'is' if left_out == 1 else 'are'} left out"
    classes = count_of(len(labels), "class", "classes")
    return figure, f"Distribution of {title} in {classes}.", f"{text}."


# --- Size and confidence ------------------------------------------------------------------------
def _by_size(facts: Facts, model: str, column: Column) -> tuple[Figure, str, str] | None:
    """Draw scores against the area of the truth, under the cap of the masks' areas."""
    values, area = facts.values(model, column), facts.samples(model)["area"].to_numpy()
    shown = ~np.isnan(values) & (area > 0)
    if not shown.any():
        return None
    figure, axes = new_figure(3.9)
    bound = facts.bound if column.metric == facts.headline else None
    title = metric_title(column.metric)
    text = ""
    if bound and column.binarizer:  # of area_bound it is a line where all masks are of one area
        caps = facts.values(model, replace(column, metric=bound))
        if (p := _fixed_area(area[shown], caps[shown])) is not None:
            xs = np.geomspace(area[shown].min() / 1.3, min(1, area[shown].max() * 1.3), 200)
            axes.plot(xs, np.minimum(xs, p) / np.maximum(xs, p), color=INK, linewidth=1.6)
            text = (
                f" Line: the upper bound ({metric_title(bound)}) for masks of {100 * p:.1f} % of "
                "the image."
            )
        else:
            axes.scatter(area[shown], caps[shown], s=26, c=PALE, marker="_", linewidths=1.4)
            text = f" Dashes: the upper bound ({metric_title(bound)}) of each image's mask."
    _scatter_by_class(facts, model, axes, area, values, shown)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:g} %"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", labelsize=9)
    axes.set_xlabel("area of the true mask, share of the image (log)")
    axes.set_ylabel(drawn(metric_title(column.metric)))
    from_zero(axes, "y")
    title = metric_title(column.metric)
    return (
        figure,
        f"Scatter of {title} against the area of the true mask.",
        f"{title} against the size of the object, {in_words(facts, column)}.{text}"
        f"{_correlation(facts, model, column, 'area')}",
    )


def _by_confidence(facts: Facts, model: str, column: Column) -> tuple[Figure, str, str] | None:
    """Draw scores against the probability of the predicted class."""
    values, p = facts.values(model, column), facts.samples(model)["probability"].to_numpy()
    shown = ~np.isnan(values) & np.isfinite(p)
    if not shown.any():
        return None
    figure, axes = new_figure(3.9)
    correct, wrong = np.zeros((2, len(values)), bool)
    if classified := facts.classified(model):
        correct, wrong = facts.correct(model), facts.wrong(model)
    for where, color, marker, title in (
        (correct, COLORS[0], "o", "right"),
        (wrong, COLORS[1], "X", "wrong"),
        (~correct & ~wrong, PALE if classified else COLORS[0], "o", "no label" * classified),
    ):
        here = where & shown
        if here.any():
            label = f"{title} ({int(here.sum())})" if title else None
            axes.scatter(
                p[here], values[here], c=color, marker=marker, label=label, **_points(shown)
            )
    if classified:
        axes.legend(title="prediction", loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_xlabel("probability of the predicted class")
    axes.set_ylabel(drawn(metric_title(column.metric)))
    from_zero(axes, "y")
    title = metric_title(column.metric)
    return (
        figure,
        f"Scatter of {title} against the probability of the predicted class.",
        f"{title} against the probability of the predicted class, {in_words(facts, column)}."
        f"{_correlation(facts, model, column, 'probability')}",
    )


def _scatter_by_class(
    facts: Facts,
    model: str,
    axes: Axes,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    shown: NDArray[np.bool_],
) -> None:
    label_of = facts.labels(model)
    labels = np.unique(label_of[shown & (label_of >= 0)]).tolist()
    if not 1 < len(labels) <= len(COLORS):
        axes.scatter(x[shown], y[shown], c=COLORS[0], **_points(shown))
        return
    for label, color, marker in zip(labels, COLORS, MARKERS, strict=False):
        here = shown & (label_of == label)
        title = drawn(facts.class_name(label), 20)
        axes.scatter(x[here], y[here], c=color, marker=marker, label=title, **_points(shown))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def _points(shown: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the look of points: smaller and paler where there are many."""
    return {"linewidths": 0} | (
        {"s": 22, "alpha": 0.6} if shown.sum() < 500 else {"s": 9, "alpha": 0.35}
    )


def _fixed_area(area: NDArray[np.float64], cap: NDArray[np.float64]) -> float | None:
    """Return the area of the masks, if all have about the same and their caps tell which."""
    at = int(np.argmin(cap))
    if not cap[at] > 0:  # also where one is NaN
        return None
    possible = []
    for p in (area[at] / cap[at], area[at] * cap[at]):
        expected = np.minimum(area, p) / np.maximum(area, p)
        if p <= 1 and np.allclose(cap, expected, rtol=0.02, atol=0):
            possible.append(float(p))
    if len(possible) == 2 and abs(possible[0] - possible[1]) > 0.02 * possible[0]:
        return None  # as of a single image: the masks may be smaller or larger than the object
    return next(iter(possible), None)


def _correlation(facts: Facts, model: str, column: Column, on: str) -> str:
    within = " within classes" if facts.labeled(model) else ""
    found = correlation(facts, model, column, on)
    return f" Rank correlation{within} {found}." if found else ""

"""Plots of single images: by class, against the guess, by size of the object, by probability."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cameval.errors import SettingError
from cameval.evaluation._binned_plots import plot_bins
from cameval.evaluation._numbers import format_short, format_signed
from cameval.evaluation._plot_marks import (
    FAINT,
    INK,
    clean,
    dots,
    fixed_area,
    score_axis,
    title,
)
from cameval.evaluation._plot_subject import Subject
from cameval.evaluation._score_bins import MOST_DOTS
from cameval.evaluation.meaning import Column
from cameval.plots._axes import BOUND, GUESS, NETWORK, matplotlib_module
from cameval.statistics import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES, MOST_AT_AN_END = 30, 12
"""Above the first number of classes the best and the worst are drawn, as many as the second."""


MOST_LINES = 150
"""Above this number of images pairs are drawn as a histogram of the differences."""


LEAST_GROUPS = 5
"""A class of fewer groups has no interval."""


# --- Classes ------------------------------------------------------------------------------------
def classes_of(subject: Subject) -> list[int]:
    """Return the labels with a defined score, the best mean first.

    Raises
    ------
    SettingError
        If there are fewer than two.
    """
    values, labels = subject.values(subject.column), subject.images.labels
    known = np.unique(labels[(labels >= 0) & ~np.isnan(values)]).tolist()
    if not subject.images.has_labels:
        raise SettingError(
            "a plot by class needs images with labels, got none; give samples labels"
        )
    if len(known) < 2:
        raise SettingError(
            f"a plot by class needs at least two classes with a score, got {len(known)}"
        )
    means = {k: float(np.nanmean(values[labels == k])) for k in known}
    sign = 1 if subject.higher_is_better is False else -1
    return sorted(known, key=lambda k: sign * means[k])


def first_and_last(ordered: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """Return the classes that are drawn; of many the first and the last, in two parts."""
    if len(ordered) <= MOST_CLASSES:
        return ordered, []
    return ordered[:MOST_AT_AN_END], ordered[-MOST_AT_AN_END:]


def has_interval(score: Summary) -> bool:
    """Tell whether the interval of a class is drawn."""
    return score.n_groups >= LEAST_GROUPS and not np.isnan(score.low)


def plot_classes(subject: Subject, axes: "Axes") -> None:
    """Draw the scores of each class: each image, the mean, and the mean of the best guess."""
    ordered = classes_of(subject)
    first, last = first_and_last(ordered)
    left_out = len(ordered) - len(first) - len(last)
    shown: list[int | None] = [*first, *[None] * bool(last), *last]
    values, labels = subject.values(subject.column), subject.images.labels
    scores = {
        label: subject.images.describe(subject.column, labels == label, subject.value_range)
        for label in (*first, *last)
    }
    has_any = any(map(has_interval, scores.values()))
    interval = f", 95 % interval by {subject.group}" if has_any else ""
    look: dict[str, Any] = {"s": 16, "alpha": 0.45}
    if len(values) >= 2000:
        look = {"s": 6, "alpha": 0.25}
    names = []
    for y, label in enumerate(shown):
        if label is None:
            names.append(f"({left_out} other classes)")
            continue
        where = labels == label
        here = values[where & ~np.isnan(values)]
        score = scores[label]
        is_first = y == 0
        axes.scatter(
            here, np.full(here.size, y), color=NETWORK, linewidths=0, zorder=2, **look,
            label=f"{subject.row}" if is_first else None,
        )  # fmt: skip
        if has_interval(score):
            axes.plot([score.low, score.high], [y, y], color=NETWORK, linewidth=2, zorder=3)
        axes.plot(  # the line of a single point is in the legend alone
            score.mean, y, "o-" if interval else "o", color=NETWORK, markeredgecolor="white",
            markersize=9, linewidth=2, zorder=5,
            label=f"mean of the {subject.row}s{interval}" if is_first else None,
        )  # fmt: skip
        if subject.guess is not None:
            guess = subject.images.describe(subject.guess, where, subject.value_range)
            of_guess = f"mean of the best guess ({subject.name(subject.guess.method)})"
            axes.plot(
                guess.mean, y, "D", color=GUESS, markeredgecolor="white", markersize=7, zorder=4,
                label=of_guess if is_first else None,
            )  # fmt: skip
        names.append(f"{subject.name(subject.class_name(label))} ({here.size})")
    axes.set_yticks(range(len(shown)), names, color=INK)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    clean(axes, "x")
    score_axis(axes, "x", subject.value_range)
    axes.set_xlabel(f"{subject.metric_name} of each {subject.row}")
    space = " " if len(shown) > 5 else "\n"  # beside few classes there is little height
    axes.set_ylabel(f"class{space}(number of {subject.row}s)")
    title(axes, f"{subject.metric_name} by class", subject.parts())


# --- Pairs --------------------------------------------------------------------------------------
def guess_of(subject: Subject) -> Column:
    """Return the best blind baseline.

    Raises
    ------
    SettingError
        If there is none, or no image has both scores.
    """
    if subject.guess is None:
        why = (
            f"{subject.title} does not say whether more is better"
            if subject.higher_is_better is None
            else "no blind baseline was evaluated with it"
        )
        raise SettingError(
            f"a plot in pairs needs the best blind baseline, got none: {why}; evaluate with "
            "baselines such as cameval.baselines.center_baseline"
        )
    both = subject.values(subject.guess) + subject.values(subject.column)
    if subject.column.kind != "method" or np.isnan(both).all():
        raise SettingError(
            "a plot in pairs needs images with a score of a method and of the best guess, got none"
        )
    return subject.guess


def plot_pairs(subject: Subject, axes: "Axes") -> None:
    """Draw the score of each image with the best guess and with the best map."""
    guess = guess_of(subject)
    pairs = np.stack([subject.values(guess), subject.values(subject.column)], 1)
    pairs = pairs[~np.isnan(pairs).any(1)]
    gain = (pairs[:, 1] - pairs[:, 0]) * (1 if subject.higher_is_better else -1)
    counts = f"{int((gain > 0).sum())} of {len(gain)} better", f"{int((gain < 0).sum())} worse"
    names = subject.name(guess.method), subject.name(subject.column.method)
    if len(pairs) > MOST_LINES:
        _draw_differences(axes, pairs[:, 1] - pairs[:, 0], gain, counts)
        clean(axes, "y")
        axes.set_xlabel(f"{subject.metric_name} of {names[1]} minus {names[0]} (best guess)")
        axes.set_ylabel(f"{subject.row}s")
    else:
        _draw_lines(axes, pairs, gain, counts)
        axes.set_xticks([0, 1], [f"{names[0]} (best guess)", names[1]], color=INK)
        clean(axes, "y")
        score_axis(axes, "y", subject.value_range)
        axes.set_xlabel("the same image with each")
        axes.set_ylabel(f"{subject.metric_name} of each {subject.row}")
    title(axes, f"{subject.metric_name} of the best guess and of the map", subject.parts())


def _draw_lines(
    axes: "Axes", pairs: NDArray[np.float64], gain: NDArray[np.float64], counts: tuple[str, str]
) -> None:
    """Draw a line for each image, and the means."""
    equal = f", {int((gain == 0).sum())} equal" if (gain == 0).any() else ""
    for some, color, style, label in (
        (pairs[gain > 0], NETWORK, "-", counts[0]),
        (pairs[gain <= 0], GUESS, (0, (4, 2)), counts[1] + equal),
    ):
        for k, pair in enumerate(some):
            axes.plot(
                [0, 1], pair, color=color, linestyle=style, linewidth=1, alpha=0.7,
                label=label if k == 0 else None,
            )  # fmt: skip
    means = pairs.mean(0)
    axes.plot([0, 1], means, "o-", color=INK, linewidth=3, markersize=7, label="mean", zorder=5)
    for x, side, shift in ((0, "right", -10), (1, "left", 10)):
        axes.annotate(
            format_short(means[x]), (x, means[x]), (shift, 0), textcoords="offset points", ha=side,
            va="center", color=INK, weight="bold",
        )  # fmt: skip
    axes.set_xlim(-0.25, 1.25)


def _draw_differences(
    axes: "Axes",
    differences: NDArray[np.float64],
    gain: NDArray[np.float64],
    counts: tuple[str, str],
) -> None:
    """Draw a histogram of the differences, with a line at 0 and one at the mean."""
    widest = max(float(np.abs(differences).max()), 1e-9)
    edges = np.linspace(-widest, widest, 41)  # 0 is an edge
    for where, color, hatch, label in (
        (gain > 0, NETWORK, "", counts[0]),
        (gain < 0, "white", "////", counts[1]),
        (gain == 0, FAINT, "", f"{int((gain == 0).sum())} equal"),
    ):
        if where.any():
            heights, _ = np.histogram(differences[where], edges)
            axes.bar(
                edges[:-1], heights, np.diff(edges), align="edge", color=color, hatch=hatch,
                edgecolor=GUESS if hatch else "white", linewidth=0.5, label=label,
            )  # fmt: skip
    axes.axvline(0, color=INK, linewidth=1.4)
    mean = float(differences.mean())
    axes.axvline(
        mean, color=INK, linewidth=1.4, linestyle=(0, (4, 2)), label=f"mean {format_signed(mean)}"
    )


# --- Size and probability -----------------------------------------------------------------------
def sizes_of(subject: Subject) -> NDArray[np.bool_]:
    """Return which images have a score and an object.

    Raises
    ------
    SettingError
        If none has.
    """
    area = subject.images.samples["area"].to_numpy(np.float64)
    shown: NDArray[np.bool_] = ~np.isnan(subject.values(subject.column)) & (area > 0)
    if not shown.any():
        raise SettingError("a plot by size needs images with an object and a score, got none")
    return shown


def plot_sizes(subject: Subject, axes: "Axes") -> None:
    """Draw scores against the area of the object, with the best guess and the bound."""
    shown = sizes_of(subject)
    ticker = matplotlib_module("ticker")
    area = subject.images.samples["area"].to_numpy(np.float64)
    axes.set_xscale("log")
    bound = subject.bound_of(subject.column)
    bounds = None if bound is None else subject.values(bound)
    is_binned = shown.sum() > MOST_DOTS
    if bounds is not None and (not is_binned or fixed_area(area[shown], bounds[shown]) is not None):
        _draw_bounds(axes, area[shown], bounds[shown])
        bounds = None
    if is_binned:
        plot_bins(
            subject, axes, area, shown, log=True, quantity="area", say=_percent, bounds=bounds
        )
    else:
        _scatter(subject, axes, area, shown)
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: _percent(x)))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    clean(axes, "both")
    score_axis(axes, "y", subject.value_range)
    axes.set_xlabel("area of the object, share of the scored pixels (log scale)")
    axes.set_ylabel(f"{subject.metric_name} of each {subject.row}")
    title(axes, f"{subject.metric_name} and size of the object", subject.parts())


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _draw_bounds(axes: "Axes", area: NDArray[np.float64], bounds: NDArray[np.float64]) -> None:
    """Draw an upper bound, as a line if all masks have one area."""
    if (p := fixed_area(area, bounds)) is None:
        axes.scatter(
            area, bounds, s=44, color=BOUND, marker="_", linewidths=1.6, zorder=2,
            label="bound of this mask",
        )  # fmt: skip
        return
    xs = np.geomspace(area.min() / 1.3, min(1, area.max() * 1.3), 200)
    heights = np.minimum(xs, p) / np.maximum(xs, p)
    axes.plot(
        xs, heights, color=BOUND, linewidth=1.6, zorder=2,
        label=f"bound of masks of {100 * p:.3g} % of the image",
    )  # fmt: skip


def confidences_of(subject: Subject) -> NDArray[np.bool_]:
    """Return which images have a score and a probability.

    Raises
    ------
    SettingError
        If none has.
    """
    p = subject.images.samples["probability"].to_numpy(np.float64)
    shown: NDArray[np.bool_] = ~np.isnan(subject.values(subject.column)) & np.isfinite(p)
    if not shown.any():
        raise SettingError(
            "a plot of confidence needs images with a probability and a score, got none; maps made "
            "elsewhere have probabilities if evaluate_maps is given predictions"
        )
    return shown


def plot_confidence(subject: Subject, axes: "Axes") -> None:
    """Draw scores against the probability of the predicted class, with the best guess."""
    shown = confidences_of(subject)
    ticker = matplotlib_module("ticker")
    p = subject.images.samples["probability"].to_numpy(np.float64)
    if shown.sum() > MOST_DOTS:
        plot_bins(subject, axes, p, shown, log=False, quantity="probability", say=_percent)
    else:
        _scatter(subject, axes, p, shown)
    clean(axes, "both")
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda x, _: _percent(x)))
    score_axis(axes, "y", subject.value_range)
    axes.set_xlabel(f"probability of the {subject.images.rated_class}")
    axes.set_ylabel(f"{subject.metric_name} of each {subject.row}")
    title(axes, f"{subject.metric_name} and confidence of the classifier", subject.parts())


def _scatter(
    subject: Subject, axes: "Axes", x: NDArray[np.float64], shown: NDArray[np.bool_]
) -> None:
    """Draw a dot for each image, hollow where the prediction is wrong, and the guess in gray."""
    images, values = subject.images, subject.values(subject.column)
    look: dict[str, Any] = dots(int(shown.sum()))
    if subject.guess is not None:
        axes.scatter(
            x[shown], subject.values(subject.guess)[shown], color=GUESS, marker="D", linewidths=0,
            zorder=3, label=f"best guess ({subject.name(subject.guess.method)})",
            s=look["s"] * 0.45, alpha=look["alpha"] * 0.8,
        )  # fmt: skip
    wrong = images.wrong & shown if images.has_accuracy else np.zeros_like(shown)
    name = subject.name(subject.column.method)
    words = ("right prediction", "wrong prediction")
    if images.is_multilabel:
        words = "predicted targets", "targets not predicted"
    for where, face, word in ((shown & ~wrong, NETWORK, words[0]), (wrong, "none", words[1])):
        if where.any():
            axes.scatter(
                x[where], values[where], facecolors=face, edgecolors=NETWORK,
                linewidths=1.3 if face == "none" else 0, zorder=4, s=look["s"],
                alpha=1 if face == "none" else look["alpha"],
                label=f"{name}, {word}" if wrong.any() else name,
            )  # fmt: skip

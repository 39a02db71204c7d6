"""Plots of many images: counts in two-dimensional bins, with the means of each column."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation._numbers import format_short
from cameval.evaluation._plot_marks import INK
from cameval.evaluation._plot_subject import Subject
from cameval.evaluation._score_bins import ScoreBins, score_bins
from cameval.plots._axes import BOUND, GUESS, NETWORK, matplotlib_module

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PALEST, STRONGEST = 0.1, 0.85
"""Opacity of a bin of few images, and of the one with the most."""


def plot_bins(
    subject: Subject,
    axes: "Axes",
    x: NDArray[np.float64],
    shown: NDArray[np.bool_],
    *,
    log: bool,
    quantity: str,
    say: Callable[[float], str],
    bounds: NDArray[np.float64] | None = None,
) -> None:
    """Draw how many images have which score, and means by column of maps, guess and bound.

    Parameters
    ----------
    subject, axes
        What is drawn, and where.
    x, shown
        The quantity of each image, and which images are drawn.
    log
        Whether the axis of the quantity is logarithmic.
    quantity, say
        Its name, and how a value of it is written.
    bounds
        The upper bound of each image, if it is drawn.
    """
    images, values = subject.images, subject.values(subject.column)
    kept = shown & np.isfinite(values)
    bins = score_bins(x[kept], values[kept], subject.value_range, log=log)
    _draw_counts(subject, axes, bins, quantity, say)
    wrong = images.wrong & kept if images.has_accuracy else np.zeros_like(kept)
    name = subject.name(subject.column.method)
    at = (bins.x_edges[:-1] + bins.x_edges[1:]) / 2
    if log:
        at = np.sqrt(bins.x_edges[:-1] * bins.x_edges[1:])
    if bounds is not None:
        means = bins.means(bounds[kept])
        _draw_means(axes, at, means, "mean bound of the masks", BOUND, "s")
    if subject.guess is not None:
        means = bins.means(subject.values(subject.guess)[kept])
        label = f"mean of the best guess ({subject.name(subject.guess.method)})"
        _draw_means(axes, at, means, label, GUESS, "D")
    if not wrong.any():
        _draw_means(axes, at, bins.means(values[kept]), f"mean of {name}", INK, "o")
        return
    words = (
        ("predicted targets", "targets not predicted")
        if images.is_multilabel
        else ("right prediction", "wrong prediction")
    )
    for where, word in ((kept & ~wrong, words[0]), (wrong, words[1])):
        means = bins.means(np.where(where, values, np.nan)[kept])
        is_hollow = word == words[1]
        _draw_means(axes, at, means, f"mean of {name}, {word}", INK, "o", is_hollow=is_hollow)


def _draw_counts(
    subject: Subject, axes: "Axes", bins: ScoreBins, quantity: str, say: Callable[[float], str]
) -> None:
    """Draw a rectangle for each bin with an image; the stronger its color, the more."""
    patches = matplotlib_module("patches")
    most = int(bins.counts.max())
    label = f"{subject.name(subject.column.method)}: {subject.row}s in a bin, up to {most:,}"
    score = subject.metric_name
    for column, row in np.argwhere(bins.counts).tolist():
        count = int(bins.counts[column, row])
        x, y = bins.x_edges[column : column + 2], bins.y_edges[row : row + 2]
        rows = subject.row if count == 1 else f"{subject.row}s"
        said = (
            f"{count:,} {rows}: {quantity} {say(x[0])} to {say(x[1])}, "
            f"{score} {format_short(y[0])} to {format_short(y[1])}"
        )
        rectangle = patches.Rectangle(
            (x[0], y[0]),
            x[1] - x[0],
            y[1] - y[0],
            facecolor=NETWORK,
            linewidth=0,
            alpha=PALEST + (STRONGEST - PALEST) * (count / most) ** 0.5,
            gid=f"title:{said}",
            zorder=1,
            label=label if count == most else None,
        )
        label = "" if count == most else label
        axes.add_patch(rectangle)
    axes.set_xlim(bins.x_edges[0], bins.x_edges[-1])
    axes.set_ylim(bins.y_edges[0], bins.y_edges[-1])


def _draw_means(
    axes: "Axes",
    x: NDArray[np.float64],
    means: NDArray[np.float64],
    label: str,
    color: str,
    marker: str,
    *,
    is_hollow: bool = False,
) -> None:
    """Draw the means of the columns that have one, as a line on a ground of white."""
    if np.isnan(means).all():
        return
    style: Any = (0, (4, 2)) if is_hollow else "-"
    axes.plot(x, means, color="white", linewidth=4, zorder=3, alpha=0.8)
    axes.plot(
        x,
        means,
        color=color,
        marker=marker,
        linestyle=style,
        linewidth=1.6,
        markersize=4.5,
        markerfacecolor="white" if is_hollow else color,
        zorder=4,
        label=label,
    )

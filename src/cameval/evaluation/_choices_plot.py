"""Plot of the mean score of each method with each binarizer, and of the best guess with each."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cameval.errors import SettingError
from cameval.evaluation._numbers import format_short
from cameval.evaluation._plot_marks import FAINT, INK, title
from cameval.evaluation._plot_subject import Subject
from cameval.evaluation.meaning import Column
from cameval.plots._axes import GUESS, NETWORK, matplotlib_module

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STRONGEST = 0.55
"""Opacity of the best mean; that of the worst is 0."""

MOST_WRITTEN = 24
"""With more binarizers the means are not written in the cells."""


@dataclass(frozen=True)
class _Row:
    """A row of the plot: a name, and the column of each binarizer with its mean."""

    name: str
    color: str
    cells: list[tuple[Column | None, float]]


def rows_of(subject: Subject) -> list[_Row]:
    """Return the rows: methods with the best first, controls, and the best guess.

    Raises
    ------
    SettingError
        If the metric is one of maps, which has no binarizer.
    """
    if not subject.column.binarizer:
        masks = ", ".join(subject.contents.mask_metrics)
        raise SettingError(
            f"a plot of choices needs a metric of masks, got {subject.column.metric!r}"
            + (f"; there are {masks}" if masks else "")
        )
    known = subject.results.meanings.methods
    rows, controls = list[_Row](), list[_Row]()
    for column in subject.methods:
        is_control = column.method in known and known[column.method].control
        name = subject.name(column.method) + " (control)" * is_control
        cells = [_cell(subject, replace(column, binarizer=b)) for b in subject.contents.binarizers]
        (controls if is_control else rows).append(
            _Row(name, GUESS if is_control else NETWORK, cells)
        )
    sign = 1 if subject.higher_is_better is False else -1
    if subject.higher_is_better is not None:
        for part in (rows, controls):
            part.sort(key=lambda row: min((sign * m for _, m in row.cells if m == m), default=9e9))
    guesses = [
        _cell(
            subject,
            subject.scores.best_baseline(
                subject.model, replace(subject.column, binarizer=b), "nothing"
            ),
        )
        for b in subject.contents.binarizers
    ]
    last = [_Row("best guess", GUESS, guesses)] if any(c is not None for c, _ in guesses) else []
    return [*rows, *controls, *last]


def _cell(subject: Subject, column: Column | None) -> tuple[Column | None, float]:
    score = None if column is None else subject.score(column)
    return column, float("nan") if score is None else score.mean


def plot_choices(subject: Subject, axes: "Axes") -> None:
    """Draw a cell for each mean; the stronger its color, the better."""
    patches = matplotlib_module("patches")
    rows = rows_of(subject)
    binarizers = [*subject.contents.binarizers]
    methods = [row for row in rows if row.color == NETWORK]
    worst, best = _ends(subject, rows)
    best_mean = _ends(subject, methods)[1] if methods else best
    fewer = subject.fewer(c for row in rows for c, _ in row.cells if c is not None)
    small = "small" if len(binarizers) <= 10 else "x-small"
    for y, row in enumerate(rows):
        for x, (column, mean) in enumerate(row.cells):
            if column is None or np.isnan(mean):
                continue
            share = 1.0 if best == worst else (mean - worst) / (best - worst)
            is_best = row.color == NETWORK and mean == best_mean
            said = f"{subject.name(column.method)}, {subject.name(column.binarizer)}"
            axes.add_patch(
                patches.Rectangle(
                    (x - 0.47, y - 0.44),
                    0.94,
                    0.88,
                    facecolor=row.color,
                    linewidth=0,
                    alpha=STRONGEST * share,
                    gid=f"title:{said}: {subject.metric_name} {format_short(mean)}",
                )
            )
            if is_best:
                axes.add_patch(
                    patches.Rectangle(
                        (x - 0.47, y - 0.44), 0.94, 0.88, facecolor="none", edgecolor=INK
                    )
                )
            if len(binarizers) <= MOST_WRITTEN:
                mark = "\u2020" * (column in fewer)
                axes.text(
                    x, y, format_short(mean) + mark, ha="center", va="center", color=INK,
                    fontsize=small, weight="bold" if is_best else "normal",
                )  # fmt: skip
    if rows[-1].name == "best guess":
        axes.axhline(len(rows) - 1.5, color=FAINT, linewidth=0.8)
    axes.set_xlim(-0.5, len(binarizers) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    names = [subject.name(binarizer, 16) for binarizer in binarizers]
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.tick_params(which="both", length=0, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    note = f"\n\u2020 mean over {subject.span_fewer(fewer.values())}" if fewer else ""
    axes.set_xlabel(f"binarizer{note}")
    axes.set_ylabel("map")
    title(axes, f"Mean {subject.metric_name} by map and binarizer", subject.parts(method=False)[:2])


def _ends(subject: Subject, rows: list[_Row]) -> tuple[float, float]:
    """Return the worst and the best mean."""
    means = [mean for row in rows for _, mean in row.cells if not np.isnan(mean)]
    ends = min(means, default=0.0), max(means, default=0.0)
    return ends[::-1] if subject.higher_is_better is False else ends

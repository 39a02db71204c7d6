"""`Results.plot`: the kinds of plots, and the plot of all methods with the best baselines."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

import numpy as np

from cameval.errors import SettingError
from cameval.evaluation._caution_words import NOISE_ALONE, describe_groups
from cameval.evaluation._choices_plot import plot_choices, rows_of
from cameval.evaluation._comparisons import Comparison, judge_against_guess
from cameval.evaluation._contents import Role
from cameval.evaluation._headline import describe_binarizer_choice
from cameval.evaluation._image_plots import (
    classes_of,
    confidences_of,
    guess_of,
    plot_classes,
    plot_confidence,
    plot_pairs,
    plot_sizes,
    sizes_of,
)
from cameval.evaluation._models_plot import height_of, pairs_of, plot_models
from cameval.evaluation._numbers import format_levels, format_short
from cameval.evaluation._plot_marks import (
    FAINT,
    INK,
    SYMBOL_WIDTH,
    ZONE,
    clean,
    label_once,
    legend_below,
    score_axis,
    title,
    wrap_note,
    write_at_the_right,
    write_difference,
)
from cameval.evaluation._plot_subject import Subject, subject_of
from cameval.evaluation._score_axis import axis_ends
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._scores import Score
from cameval.evaluation._threshold_plot import places_of, plot_thresholds
from cameval.evaluation._undefined import list_fewer
from cameval.evaluation._words import plural
from cameval.evaluation.meaning import Column
from cameval.plots._axes import BOUND, GUESS, NETWORK, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PlotKind: TypeAlias = Literal[
    "headline", "models", "classes", "pairs", "size", "thresholds", "choices", "confidence"
]
"""What `Results.plot` draws."""


def plot(
    results: ScoreTable,
    kind: PlotKind,
    axes: "Axes | None",
    *,
    model: str | None,
    method: str | None,
    binarizer: str | None,
    metric: str | None,
    names: Mapping[str, str] | None = None,
) -> "Axes":
    """Draw one plot of results, as `Results.plot`."""
    if kind not in get_args(PlotKind):
        raise SettingError(f"kind must be one of {', '.join(get_args(PlotKind))}, got {kind!r}")
    chosen = _KINDS[kind]
    subject = subject_of(
        results,
        model=model,
        method=method,
        binarizer=binarizer,
        metric=metric,
        names=names or {},
        of_all=chosen.of_all,
    )
    chosen.check(subject)
    shown = axes_or_new(axes, (chosen.width, chosen.height(subject)))
    chosen.draw(subject, shown)
    legend_below(shown)
    return shown


# --- Headline -----------------------------------------------------------------------------------
_WIDEST = 84
"""How many letters a row and the line of a subtitle have room for together."""

_KNOWN: Final[dict[Role, str]] = {
    "nothing": "blind: sees nothing",
    "labels": "uses labels or predictions",
    "image": "sees the image, no network",
}


def plot_headline(subject: Subject, axes: "Axes") -> None:
    """Draw mean and interval of each method, and the best blind and the best image baseline."""
    rows = _rows(subject)
    low, high = _ends(subject, rows)
    guess = subject.guess
    at_guess = subject.score(guess) if guess is not None else None
    if at_guess is not None:
        worst = low if subject.higher_is_better else high
        axes.axvspan(worst, at_guess.mean, color=ZONE, linewidth=0, zorder=0)
        if not np.isnan(at_guess.low):
            axes.axvspan(at_guess.low, at_guess.high, color="#DADEE2", linewidth=0, zorder=0.1)
        axes.axvline(at_guess.mean, color=GUESS, linewidth=1.2, zorder=0.2)
    labels, fewer = {}, subject.fewer(rows.values())
    for y, column in rows.items():
        score = subject.score(column)
        assert score is not None
        _draw_row(subject, axes, y, column, score)
        mark = "\u2020" if column in fewer else "\u2002" * bool(fewer)  # a space as wide
        labels[y] = f"{subject.name(column.method)}  {format_short(score.mean)}{mark}"
    axes.set_yticks(list(labels), list(labels.values()), color=INK)
    for text, column in zip(axes.get_yticklabels(), rows.values(), strict=True):
        if column == subject.column:
            text.set_fontweight("bold")
    axes.set_ylim(max(rows) + 0.6, -0.7)
    if len(subject.methods) < len(rows):
        axes.axhline(len(subject.methods) - 0.3, color=FAINT, linewidth=0.8)
    clean(axes, "x")
    axes.spines["left"].set_visible(False)
    score_axis(axes, "x", subject.value_range, (low, high))
    axes.set_xlabel(
        "\n".join(
            [
                f"mean {subject.metric_name} with 95 % interval by {subject.group}",
                *_notes(subject, rows),
            ]
        )
    )
    axes.set_ylabel("map")
    subtitle = "\n".join(_subtitle(subject, rows))
    title(axes, f"Mean {subject.metric_name} of each map", [subtitle], pad=11)
    _write_differences(subject, axes, rows)


def _subtitle(subject: Subject, rows: dict[float, Column]) -> list[str]:
    """Return the model, the binarizer, and of how many images and groups the plot is, in lines.

    The lines begin at the left of the axes: longer names of rows leave them less room.
    """
    longest = max(len(subject.name(column.method)) for column in rows.values())
    room = max(24, min(64, _WIDEST - longest))
    lines: list[str] = []
    for part in filter(None, [*subject.parts(method=False), subject.count_samples()]):
        line = f"{lines[-1]} \u00b7 {part}" if lines else part
        lines = [*lines[:-1], line] if len(line) <= room else [*lines, part]
    return lines


def _rows(subject: Subject) -> dict[float, Column]:
    """Return the columns from top to bottom, with the place of each; baselines after a gap."""
    known = subject.results.meanings.methods
    methods = subject.methods
    controls = [c for c in methods if c.method in known and known[c.method].control]
    ordered = [c for c in methods if c not in controls] + controls
    rows = {float(k): column for k, column in enumerate(ordered)}
    others = [subject.guess, subject.best("labels"), subject.best("image")]
    below = enumerate(column for column in others if column is not None)
    return rows | {len(methods) + 0.4 + k: column for k, column in below}


def _draw_row(subject: Subject, axes: "Axes", y: float, column: Column, score: Score) -> None:
    """Draw one mean with its interval, and the bound of its masks."""
    is_method = column.kind == "method"
    known = subject.results.meanings.methods.get(column.method)
    is_control = is_method and known is not None and known.control
    color, marker = (NETWORK, "o") if is_method else (GUESS, "D")
    if is_method:
        what = "control" if is_control else _name_of_maps(subject)
    else:
        what = "best guess" if column == subject.guess else "other baseline"
        color = GUESS if column == subject.guess else INK
        marker = "D" if column == subject.guess else "s"
    if not np.isnan(score.low):
        axes.plot([score.low, score.high], [y, y], color=color, linewidth=2, zorder=3)
    axes.plot(
        score.mean,
        y,
        marker,
        color=color,
        markerfacecolor="white" if is_control else color,
        markersize=7,
        zorder=4,
        label=label_once(axes, what),
    )
    bound = subject.bound_of(column)
    at_bound = None if bound is None or not is_method else subject.score(bound)
    if at_bound is not None and not np.isnan(at_bound.mean):
        ends = [score.mean, at_bound.mean]
        axes.plot(ends, [y, y], color=BOUND, linewidth=1, linestyle=(0, (1, 3)), zorder=2)
        axes.plot(
            at_bound.mean,
            y,
            "|",
            color=BOUND,
            markersize=13,
            markeredgewidth=2.2,
            zorder=3,
            label=label_once(axes, "bound of these masks"),
        )


def _name_of_maps(subject: Subject) -> str:
    """Return what the maps are that are no controls: of the network, if all of them are."""
    contents = subject.contents
    is_made_elsewhere = not contents.has_network or not contents.given.isdisjoint(contents.methods)
    return "map" if is_made_elsewhere else "map of the network"


def _ends(subject: Subject, rows: dict[float, Column]) -> tuple[float, float]:
    """Return the ends of an axis of the means, their intervals and bounds."""
    numbers: list[float] = []
    for column in rows.values():
        bound = subject.bound_of(column) if column.kind == "method" else None
        score = subject.score(column)
        at_bound = None if bound is None else subject.score(bound)
        numbers += [score.mean, score.low, score.high] if score is not None else []
        numbers += [at_bound.mean] if at_bound is not None else []
    return axis_ends(numbers, subject.value_range)


def _tests(subject: Subject, rows: dict[float, Column]) -> dict[float, Comparison]:
    """Return the test of each method against the guess, by its place."""
    guess = subject.guess.method if subject.guess is not None else ""
    found = {
        y: subject.family.find("method", subject.model, column.method, guess)
        for y, column in rows.items()
        if column.kind == "method"
    }
    return {y: test for y, test in found.items() if test is not None}


def _notes(subject: Subject, rows: dict[float, Column]) -> list[str]:
    """Return the lines below the name of the axis."""
    choice = describe_binarizer_choice(
        subject.contents, subject.headline, subject.model, subject.names
    )
    notes = [_about_differences(subject, rows), choice, *_cautions(subject)]
    return [*filter(None, notes), *_about_fewer(subject, rows)]


def _cautions(subject: Subject) -> list[str]:
    """Return what the page says of guesses, groups and images that are left out, in lines."""
    is_noise = subject.guess is not None and subject.judged.has_noise_alone
    cautions = [
        NOISE_ALONE if is_noise else "",
        describe_groups(subject.samples, subject.names),
        subject.describe_left_out(),
        subject.describe_skipped(),
    ]
    return [line for text in cautions for line in wrap_note(text)]


def _about_fewer(subject: Subject, rows: dict[float, Column]) -> list[str]:
    """Return the note on means over fewer images, in lines."""
    fewer = subject.fewer(rows.values())
    if not fewer:
        return []
    listed = list_fewer([(subject.name(column.method), one) for column, one in fewer.items()])
    rows_of = plural(subject.row, subject.names)
    return wrap_note(f"\u2020 mean over fewer {rows_of}: {listed}")


def _about_differences(subject: Subject, rows: dict[float, Column]) -> str:
    """Return the level of the intervals of differences, and how many tests it is adjusted for."""
    tests = _tests(subject, rows).values()
    levels = [test.level for test in tests if not np.isnan(test.test.low)]
    if not levels:
        return ""
    n = subject.family.size
    adjusted = f", adjusted for {n:,} tests" if n > 1 else ""
    return f"differences: {format_levels(levels)} interval{adjusted}"


def _write_differences(subject: Subject, axes: "Axes", rows: dict[float, Column]) -> None:
    """Write at the right how each method differs from the guess, and what each baseline sees."""
    if subject.guess is not None:
        head = "minus best guess"
        write_at_the_right(axes, -0.72, head, color=GUESS, indent=SYMBOL_WIDTH)
    for y, column in rows.items():
        if column.kind == "baseline":
            knows = subject.results.meanings.baselines[column.method].knows
            write_at_the_right(axes, y, _KNOWN[knows], color=GUESS, indent=SYMBOL_WIDTH)
    for y, found in _tests(subject, rows).items():
        higher = bool(subject.higher_is_better)
        verdict = judge_against_guess(found, subject.judged, higher_is_better=higher)
        write_difference(axes, y, found, verdict)


@dataclass(frozen=True)
class _Kind:
    """How a kind of plot is drawn.

    Parameters
    ----------
    draw
        Draws it.
    check
        Raises an error if it cannot be drawn, before a figure is made.
    height
        Height of a new figure in inches, by what is drawn.
    width
        Its width.
    of_all
        Whether it is of all models.
    """

    draw: Callable[[Subject, "Axes"], None]
    check: Callable[[Subject], object]
    height: Callable[[Subject], float] = lambda subject: 4.4
    width: float = 6.4
    of_all: bool = False


def _height_of_headline(subject: Subject) -> float:
    """Return the height of a headline figure, with its rows and its notes."""
    rows = _rows(subject)
    lines = len(_notes(subject, rows)) + len(_subtitle(subject, rows)) - 1
    return 1.79 + 0.36 * len(rows) + 0.18 * lines


def _height_of_classes(subject: Subject) -> float:
    """Return the height of a plot by class, at least that of its labels."""
    return 1.8 + 0.28 * min(max(len(classes_of(subject)), 5), 30)


_KINDS: Final[dict[PlotKind, _Kind]] = {
    "headline": _Kind(plot_headline, _rows, _height_of_headline, 8),
    "models": _Kind(plot_models, pairs_of, height_of, 8, of_all=True),
    "classes": _Kind(plot_classes, classes_of, _height_of_classes),
    "pairs": _Kind(plot_pairs, guess_of),
    "size": _Kind(plot_sizes, sizes_of),
    "thresholds": _Kind(plot_thresholds, places_of, width=7.2),
    "choices": _Kind(plot_choices, rows_of, lambda s: 1.7 + 0.36 * len(rows_of(s)), 7.2),
    "confidence": _Kind(plot_confidence, confidences_of),
}

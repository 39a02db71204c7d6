"""Plot of the paired differences between models, a row for each binarizer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cameval.errors import SettingError
from cameval.evaluation._comparisons import MOST_COMPARED, Comparison, Family, ModelPair
from cameval.evaluation._headline import MOST_MODELS
from cameval.evaluation._plot_marks import (
    FAINT,
    INK,
    clean,
    label_once,
    score_axis,
    title,
    write_difference,
)
from cameval.evaluation._plot_subject import Subject
from cameval.evaluation._score_axis import axis_ends
from cameval.plots._axes import GUESS, NETWORK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP = 0.35
"""Space between the rows of two pairs, in rows."""


def pairs_of(subject: Subject) -> list[ModelPair]:
    """Return the pairs of models: all of few, otherwise those of one model.

    Raises
    ------
    SettingError
        If there is one model only, or if no pair of models was tested in the metric.
    """
    models = subject.contents.models
    if len(models) < 2:
        raise SettingError(
            "a plot of models needs results of two models or more, got one "
            f"({', '.join(models)}); join the results of several with cameval.concat"
        )
    one = subject.given_model
    if one is None and len(models) > MOST_COMPARED:
        one = subject.model
    pairs = [
        pair
        for pair in _family_of(subject).model_pairs()
        if pair.metric == subject.column.metric
        and one in (None, pair.first, pair.second)
        and pair.is_tested
    ]
    if not pairs:
        of = "two models" if one is None else f"{one} and of another model"
        raise SettingError(
            f"a plot of models needs scores of the same images, in {subject.title} of "
            f"{subject.column.method}, of {of} among the first {MOST_MODELS}, got no test; "
            "give another method or metric, or select models"
        )
    return pairs


def _family_of(subject: Subject) -> Family:
    """Return the tests of a report if models are compared in the metric there, or those of it."""
    page = subject.page_family
    metrics = {pair.metric for pair in page.model_pairs() if pair.is_tested}
    return page if subject.column.metric in metrics else subject.family


def height_of(subject: Subject) -> float:
    """Return the height of a new figure in inches."""
    return 1.7 + 0.33 * sum(len(pair.tests) + 1 + _GAP for pair in pairs_of(subject))


def plot_models(subject: Subject, axes: "Axes") -> None:
    """Draw the difference of each pair with each binarizer, its interval, and a line at 0."""
    pairs = pairs_of(subject)
    labels: dict[float, str] = {}
    y = 0.0
    for k, pair in enumerate(pairs):
        if k:
            axes.axhline(y - 0.5 - _GAP / 2, color=FAINT, linewidth=0.8)
        _write_sides(subject, axes, y, pair)
        for test in pair.tests:
            y += 1
            _draw_test(subject, axes, y, test)
            labels[y] = subject.name(test.column.binarizer or test.column.method)
        y += 1 + _GAP
    axes.axvline(0, color=INK, linewidth=1, zorder=1)
    axes.set_yticks(list(labels), list(labels.values()), color=INK)
    axes.set_ylim(max(labels) + 0.6, -0.6)
    clean(axes, "x")
    axes.spines["left"].set_visible(False)
    last = axis_ends(_sizes(pairs))[1]
    score_axis(axes, "x", (-np.inf, np.inf), (-last, last))
    n = _family_of(subject).size
    adjusted = f"\np and interval adjusted for {n:,} tests" if n > 1 else ""
    axes.set_xlabel(
        f"difference in mean {subject.metric_name} with interval by {subject.group}{adjusted}"
    )
    column = pairs[0].tests[0].column
    axes.set_ylabel("binarizer" if column.binarizer else "map")
    what = f"Difference in mean {subject.metric_name} between models"
    title(axes, what, [subject.parts()[1], subject.name(column.method)])


def _sizes(pairs: Sequence[ModelPair]) -> list[float]:
    """Return all that is drawn, as distances from 0."""
    tests = [test.test for pair in pairs for test in pair.tests]
    return [abs(size) for test in tests for size in (test.difference, test.low, test.high)]


def _write_sides(subject: Subject, axes: "Axes", y: float, pair: ModelPair) -> None:
    """Write on which side of 0 each model is better, or has more of the metric."""
    word = "higher" if subject.higher_is_better is None else "better"
    left, right = (subject.name(model) for model in (pair.second, pair.first))
    if subject.higher_is_better is False:
        left, right = right, left
    for text, side, align in (
        (f"\u2190 {left} {word}", -1, "right"),
        (f"{right} {word} \u2192", 1, "left"),
    ):
        axes.annotate(
            text,
            (0, y),
            xytext=(6 * side, 0),
            textcoords="offset points",
            ha=align,
            va="center",
            color=INK,
            fontsize="small",
            annotation_clip=False,
        )


def _draw_test(subject: Subject, axes: "Axes", y: float, test: Comparison) -> None:
    """Draw one difference, filled where it is shown, and write it at the right."""
    found = test.test
    verdict = test.verdict(higher_is_better=subject.higher_is_better is not False)
    is_shown = verdict in ("better", "worse")
    color = NETWORK if is_shown else GUESS
    if not np.isnan([found.low, found.high]).any():
        axes.plot([found.low, found.high], [y, y], color=color, linewidth=2, zorder=3)
    if not np.isnan(found.difference):
        label = "difference shown" if is_shown else "no difference shown"
        axes.plot(
            found.difference,
            y,
            "o",
            color=color,
            markerfacecolor=color if is_shown else "white",
            markersize=7,
            zorder=4,
            label=label_once(axes, label),
        )
    write_difference(axes, y, test, verdict, colored=False)

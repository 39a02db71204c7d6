"""Plot of the mean score of each method by the share of the image that its masks mark."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from math import floor, log10
from typing import TYPE_CHECKING

import numpy as np

from cameval.errors import SettingError
from cameval.evaluation._plot_marks import (
    DASHES,
    FAINT,
    INK,
    MARKERS,
    clean,
    score_axis,
    title,
)
from cameval.evaluation._plot_subject import Subject
from cameval.evaluation._score_axis import round_ticks
from cameval.evaluation._scores import Images
from cameval.evaluation.meaning import BinarizerMeaning, Column
from cameval.plots._axes import BOUND, GUESS, NETWORK, matplotlib_module

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FIRST, _STEP = 0.21, 0.14
"""Place of the first binarizer whose share varies, and the distance of the next, beyond the last
share, in parts of it."""


def repeated_choices(
    images: Images, columns: Iterable[Column], binarizers: Mapping[str, BinarizerMeaning]
) -> dict[str, dict[Column, Sequence[str]]]:
    """Return the chosen binarizers whose scores are those of other binarizers, map by map.

    Such a choice is not drawn as a further binarizer.

    Parameters
    ----------
    images, columns
        The images of a model, and a column of each map.
    binarizers
        All binarizers.

    Returns
    -------
    dict
        By the label of the choice: for its column of each map, the binarizers of the same scores.
    """
    compared = [label for label, meaning in binarizers.items() if meaning.origin is None]
    found: dict[str, dict[Column, Sequence[str]]] = {}
    for label, meaning in binarizers.items():
        chosen = [replace(column, binarizer=label) for column in columns]
        chosen = [column for column in chosen if column in images.columns]
        if meaning.origin is None or not chosen:
            continue
        of_maps: dict[Column, Sequence[str]] = {
            column: _same_scores(images, column, compared) for column in chosen
        }
        if all(of_maps.values()):
            found[label] = of_maps
    return found


def _same_scores(images: Images, column: Column, binarizers: Sequence[str]) -> list[str]:
    """Return the binarizers with which a map has the scores of a column."""
    values = images.values(column)
    others = {label: replace(column, binarizer=label) for label in binarizers}
    return [
        label
        for label, other in others.items()
        if other in images.columns and np.array_equal(values, images.values(other), equal_nan=True)
    ]


@dataclass(frozen=True)
class _Places:
    """The place of each binarizer on the axis: those of a fixed share, and the others.

    A single binarizer of a fixed share is among the others, and `single` has its share in percent:
    through one place there is no line. The marks of the others are shifted to the right, so that
    those of several maps are apart. Choices that repeat other binarizers have no place. `last` is
    the share at which the axis of fixed shares ends, in percent.
    """

    fixed: dict[str, float]
    varying: dict[str, float]
    single: dict[str, float]
    repeated: Mapping[str, Mapping[Column, Sequence[str]]]
    last: float
    shift: float = 0.0

    def of(self, binarizer: str) -> float:
        """Return the place of a binarizer."""
        if binarizer in self.fixed:
            return self.fixed[binarizer]
        return self.varying[binarizer] + self.shift


def places_of(subject: Subject) -> _Places:
    """Return the place of each binarizer on the axis.

    Raises
    ------
    SettingError
        If the metric is one of maps, which has no threshold.
    """
    if not subject.column.binarizer:
        masks = ", ".join(label for label in subject.contents.mask_metrics)
        raise SettingError(
            f"a plot of thresholds needs a metric of masks, got {subject.column.metric!r}"
            + (f"; there are {masks}" if masks else "")
        )
    meanings = subject.contents.binarizers
    fixed = {
        label: 100 * meaning.marked
        for label, meaning in meanings.items()
        if meaning.marked is not None and meaning.origin is None
    }
    single = fixed if len(fixed) == 1 else {}
    if single:
        fixed = {}
    drawn_maps = [*subject.methods, *[one for one in [subject.guess] if one is not None]]
    repeated = repeated_choices(subject.images, drawn_maps, meanings)
    others = [label for label in meanings if label not in fixed and label not in repeated]
    last = _last_share(fixed.values())
    first = (1 + _FIRST) * last if fixed else 0.0
    return _Places(
        dict(sorted(fixed.items(), key=lambda item: item[1])),
        {label: first + _STEP * last * k for k, label in enumerate(others)},
        single,
        repeated,
        last,
    )


def _last_share(shares: Iterable[float]) -> float:
    """Return a round number from the largest share on, in percent; 100 if it is above half."""
    largest = max(shares, default=100.0)
    if largest > 50 or largest <= 0:
        return 100.0
    power = 10.0 ** floor(log10(largest))
    return next(end * power for end in (1, 2, 3, 4, 5, 6, 8, 10) if end * power > largest - 1e-9)


def plot_thresholds(subject: Subject, axes: "Axes") -> None:
    """Draw the mean of each method for each binarizer; a line joins those of a fixed share."""
    places = places_of(subject)
    best: list[tuple[float, Column]] = [(_best(subject, c, places), c) for c in subject.methods]
    at_choices: dict[str, list[tuple[float, float]]] = {label: [] for label in places.repeated}
    sign = 1 if subject.higher_is_better is False else -1
    best = sorted(((m, c) for m, c in best if not np.isnan(m)), key=lambda pair: sign * pair[0])
    # Of the order in the run, so that a method looks the same in the plots of all networks.
    looks = dict(zip(subject.contents.methods, zip(cycle(DASHES), cycle(MARKERS)), strict=False))
    for k, (_, column) in enumerate(best):
        dash, marker = looks[column.method]
        beside = replace(places, shift=0.02 * places.last * (k + 1))
        _draw(subject, axes, column, beside, NETWORK, dash, marker, subject.name(column.method))
        _add_choices(subject, column, beside, at_choices)
    if subject.guess is not None:
        name = f"best guess ({subject.name(subject.guess.method)})"
        _draw(subject, axes, subject.guess, places, GUESS, "-", "D", name)
        _add_choices(subject, subject.guess, places, at_choices)
    bound = subject.bound_of(subject.column)
    if bound is not None:
        name = f"bound of the masks of {subject.name(subject.column.method)}"
        _draw(subject, axes, bound, places, BOUND, "-", "_", name)
    for k, (label, points) in enumerate(at_choices.items()):
        if points:
            axes.plot(
                *zip(*points, strict=True), marker="o", linestyle="none", markersize=12 + 4 * k,
                markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.2,
                label=f"{subject.name(label)}, of each map",
            )  # fmt: skip
    _label_places(subject, axes, places)
    clean(axes, "y")
    score_axis(axes, "y", subject.value_range)
    axes.set_ylabel(f"mean {subject.metric_name}")
    title(axes, f"Mean {subject.metric_name} by threshold", subject.parts(method=False)[:2])


def _add_choices(
    subject: Subject,
    column: Column,
    places: _Places,
    points: Mapping[str, list[tuple[float, float]]],
) -> None:
    """Add the place of the binarizer that was chosen for a map, unless several have its scores."""
    for label, of_maps in places.repeated.items():
        same = of_maps.get(replace(column, binarizer=label), ())
        if len(same) == 1 and not np.isnan(mean := _mean(subject, column, same[0])):
            points[label].append((places.of(same[0]), mean))


def _best(subject: Subject, column: Column, places: _Places) -> float:
    means = [_mean(subject, column, label) for label in (*places.fixed, *places.varying)]
    if np.isnan(means).all():
        return float("nan")
    return float(np.nanmin(means) if subject.higher_is_better is False else np.nanmax(means))


def _mean(subject: Subject, column: Column, binarizer: str) -> float:
    score = subject.score(replace(column, binarizer=binarizer))
    return float("nan") if score is None else score.mean


def _draw(
    subject: Subject,
    axes: "Axes",
    column: Column,
    places: _Places,
    color: str,
    dash: object,
    marker: str,
    label: str,
) -> None:
    """Draw the means of one map: filled and joined for fixed shares, hollow for the others."""
    xs, ys = [*places.fixed.values()], [_mean(subject, column, b) for b in places.fixed]
    if xs:
        axes.plot(
            xs, ys, color=color, linestyle=dash, marker=marker, markersize=6, linewidth=1.6,
            markeredgewidth=2 if marker == "_" else 1, label=label,
        )  # fmt: skip
    single = [b for b in places.varying if b in places.single]
    hollow = [b for b in places.varying if b not in places.single]
    for shown, face, is_first in ((single, color, True), (hollow, "white", not single)):
        if shown:
            axes.plot(
                [places.varying[b] + places.shift for b in shown],
                [_mean(subject, column, b) for b in shown],
                color=color, linestyle="none", marker=marker, markersize=6, markerfacecolor=face,
                markeredgewidth=2 if marker == "_" else 1.4,
                label=label if is_first and not places.fixed else None,
            )  # fmt: skip


def _label_places(subject: Subject, axes: "Axes", places: _Places) -> None:
    """Write the shares and the binarizers on the axis."""
    ticker = matplotlib_module("ticker")
    end = places.last
    quarters = [0.0, 25.0, 50.0, 75.0, 100.0]
    shares = quarters if end == 100 else round_ticks(0, end, 5)
    shares = shares if places.fixed else []
    at = [*shares, *places.varying.values()]
    names = [f"{share:g} %" for share in shares]
    for label in places.varying:
        share = places.single.get(label)
        names.append(subject.name(label, 16) + ("" if share is None else f" ({share:g} %)"))
    axes.xaxis.set_major_locator(ticker.FixedLocator(at))
    axes.xaxis.set_major_formatter(ticker.FixedFormatter(names))
    for text, x in zip(axes.get_xticklabels(), at, strict=True):
        if x > end or (not shares and len(at) > 1):
            text.set(rotation=30, ha="right", rotation_mode="anchor")
    last = max(at)
    step = _STEP * end
    first = -0.03 * end if shares else -step / 2
    axes.set_xlim(first, last + step * 0.8 if places.varying else end * 1.03)
    if shares and places.varying:
        axes.axvline((1 + _FIRST / 2) * end, color=FAINT, linewidth=0.8)
    what = ["share of the image that is marked"] * bool(shares)
    what += ["binarizer (share of the image that is marked)"] * bool(places.single)
    if len(places.varying) > len(places.single):
        what.append("binarizers whose share varies (hollow)")
    axes.set_xlabel(";\n".join(what) + _about_fewer(subject, places), color=INK)


def _about_fewer(subject: Subject, places: _Places) -> str:
    """Return a line on how many images the means are over, if some are over fewer than others."""
    maps = [*subject.methods, *([] if subject.guess is None else [subject.guess])]
    columns = [
        replace(column, binarizer=label)
        for column in maps
        for label in (*places.fixed, *places.varying)
    ]
    if not subject.fewer(columns):
        return ""
    scores = [score for column in columns if (score := subject.score(column)) is not None]
    return f"\nmeans over {subject.span_fewer(scores)}"

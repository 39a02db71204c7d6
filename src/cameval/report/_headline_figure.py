"""The headline figure of one network: means with intervals beside the best guess, as SVG."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cameval.evaluation import Column
from cameval.evaluation._comparisons import judge_against_guess
from cameval.evaluation._numbers import with_minus
from cameval.evaluation._score_axis import axis_ends
from cameval.evaluation._scores import Score
from cameval.evaluation._undefined import find_fewer, span_fewer
from cameval.evaluation._words import one_line
from cameval.report._all_scores import describe_difference, tests_of
from cameval.report._answers import Known
from cameval.report._svg import Drawing
from cameval.report._svg_parts import (
    CHARACTER,
    Frame,
    Zone,
    about_fewer,
    axis_of,
    circle,
    diamond,
    figure_of,
    grid_of,
    lines_of,
    note_of,
    rule,
    text_at,
    title_of,
    with_head,
    with_note,
)
from cameval.report._verdict import Verdict, writer_of


@dataclass(frozen=True)
class _Line:
    """A row of the figure; `look` is ``"net"``, ``"control"`` or ``"guess"``."""

    name: str
    score: Score
    bound: float
    right: str
    look: str
    is_best: bool = False


_FRAMES = (
    Frame(592, 172, 432, 32, 28, 8, wide=True),
    Frame(326, 4, 322, 32, 44, 6, wide=False),
)


def draw_headline(
    verdict: Verdict, known: Known, *, verdicts: Sequence[Verdict], title: str, label: str
) -> Drawing:
    """Draw the figure of a network that has a score; figures of `verdicts` have the same axis."""
    lines, above = _lines(verdict, known)
    ends, write = _common_ends(verdicts, known), writer_of(verdicts)
    desktop, phone = (
        _draw(frame, lines, above, ends, write, verdict, known, title, label) for frame in _FRAMES
    )
    return Drawing(title, label, desktop, phone)


def _common_ends(verdicts: Sequence[Verdict], known: Known) -> tuple[float, float]:
    """Return the ends of the axis of all figures."""
    numbers: list[float] = []
    for verdict in verdicts:
        if verdict.n_defined:
            numbers.append(verdict.bound)
            for one in _lines(verdict, known)[0]:
                numbers += [one.score.mean, one.score.low, one.score.high, one.bound]
    return axis_ends(numbers, known.headline.meaning.value_range)


# --- Rows -----------------------------------------------------------------------------------------


def _lines(verdict: Verdict, known: Known) -> tuple[list[_Line], int]:
    """Return the rows, and how many are above the rule: methods by score, then the others."""
    assert verdict.column is not None  # it has a score
    column, model, scores = verdict.column, verdict.model, known.scores
    meanings = known.targets.scored.meanings.methods
    tests = tests_of([verdict], known.family)
    higher = known.headline.meaning.higher_is_better
    methods: list[_Line] = []
    controls: list[_Line] = []
    for label in known.contents.methods:
        one = replace(column, kind="method", method=label)
        score = scores.get(model, one)
        if score is None or np.isnan(score.mean):
            continue
        test = tests.get((model, one))
        right = ""
        if test is not None and higher is not None and not np.isnan(test.p):
            found = judge_against_guess(test, known.contents, higher_is_better=higher)
            right = with_minus(describe_difference(test, found))
        is_control = label in meanings and meanings[label].control
        bound = scores.in_metric(model, one, known.headline.bound) if one.binarizer else None
        line = _Line(
            one_line(label, 22),
            score,
            float("nan") if bound is None or is_control else bound.mean,
            right,
            "control" if is_control else "net",
            one == column,
        )
        (controls if is_control else methods).append(line)
    sign = 1 if higher is False else -1
    methods.sort(key=lambda line: 0 if higher is None else sign * line.score.mean)
    alone = "image without network" if known.contents.has_network else "image alone"
    others: list[tuple[Column | None, str]] = [
        (None if verdict.guess is None else verdict.guess.column, "blind baseline"),
        (scores.best_baseline(model, column, "labels"), "labels or predictions"),
        (scores.best_baseline(model, column, "image"), alone),
    ]
    if not methods and not controls:
        others = [(column, "")]
    baselines = [
        _Line(one_line(one.method, 22), score, float("nan"), what, "guess")
        for one, what in others
        if one is not None
        and (score := scores.get(model, one)) is not None
        and not np.isnan(score.mean)
    ]
    return [*methods, *controls, *baselines], len(methods)


# --- Drawing --------------------------------------------------------------------------------------


def _draw(
    frame: Frame,
    lines: Sequence[_Line],
    above: int,
    ends: tuple[float, float],
    write: Callable[[float], str],
    verdict: Verdict,
    known: Known,
    title: str,
    label: str,
) -> str:
    """Return the figure in one width."""
    frame, head = with_head(frame, known.headline.title)
    x = frame.place(ends)
    has_rule = 0 < above < len(lines)
    bottom = frame.top + frame.row * len(lines) + frame.gap * has_rule
    fewer = find_fewer({k: line.score for k, line in enumerate(lines)})
    rows, strips = [], [(frame.top - 4, bottom)] * frame.wide
    for k, line in enumerate(lines):
        top = frame.top + frame.row * k + frame.gap * (has_rule and k >= above)
        over = span_fewer([fewer[k]], known.names.rows) if k in fewer else ""
        rows += _row(frame, line, top, x, write, over)
        if not frame.wide:  # not behind the words
            strips.append((_middle(frame, top) - 11, _middle(frame, top) + 10))
    parts = _grounds(frame, ends, strips, verdict, known)
    parts += [*head, *_heads(frame, x, write, verdict, known), *rows]
    if has_rule:
        y = frame.top + frame.row * above + frame.gap / 2
        parts.append(rule(0, y, frame.width, y, "line"))
    axis, axis_height = axis_of(frame, ends, bottom, f"mean {known.headline.title}")
    about = about_fewer([(lines[k].name, one) for k, one in fewer.items()], known.names.row)
    note, height = note_of(frame, bottom + axis_height, about)
    return figure_of(frame, height, title, with_note(label, about), [*parts, *axis, *note])


def _grounds(
    frame: Frame,
    ends: tuple[float, float],
    strips: Sequence[tuple[float, float]],
    verdict: Verdict,
    known: Known,
) -> list[str]:
    """Return grid, the zone up to the guess, and its interval, between pairs of heights."""
    guess = verdict.guess
    score = None if guess is None else known.scores.get(verdict.model, guess.column)
    parts = []
    if score is not None:
        zone = Zone(score, ends, bool(known.headline.meaning.higher_is_better))
        parts += [box for strip in strips for box in zone.draw(frame, *strip)]
    parts += [line for strip in strips for line in grid_of(frame, ends, *strip)]
    if score is not None:
        x = frame.place(ends)(score.mean)
        parts.append(rule(x, frame.top - 8, x, frame.top - 3, "guess", 1.5))
        parts += [rule(x, top, x, bottom, "guess", 1.5) for top, bottom in strips]
    return parts


def _middle(frame: Frame, top: float) -> float:
    """Return the height of the marks of a row."""
    return top + (frame.row / 2 if frame.wide else frame.row - 13)


def _heads(
    frame: Frame,
    x: Callable[[float], float],
    write: Callable[[float], str],
    verdict: Verdict,
    known: Known,
) -> list[str]:
    """Return the words above the axis."""
    y = frame.top - 13
    parts, end = [], frame.left
    limit = frame.width - (125.0 if frame.wide else 0)
    guess = verdict.guess
    score = None if guess is None else known.scores.get(verdict.model, guess.column)
    heads = []
    if score is not None:
        heads.append((x(score.mean), f"best guess {write(score.mean)}", "guess"))
    if not np.isnan(verdict.bound):
        heads.append((x(verdict.bound), f"bound {write(verdict.bound)}", "truth"))
    widths = [CHARACTER * len(text) for _, text, _ in heads]
    for k, ((place, text, look), wide) in enumerate(zip(heads, widths, strict=True)):
        after = sum(widths[k + 1 :]) + 12 * (len(heads) - k - 1)
        left = min(max(place - wide / 2, end), limit - wide - after)
        parts.append(text_at(left, y, text, f"{look} bold"))
        end = left + wide + 12
    if frame.wide and guess is not None:
        parts.append(text_at(frame.width, y, "minus the best guess", "soft", "end"))
    return parts


def _row(
    frame: Frame,
    line: _Line,
    top: float,
    x: Callable[[float], float],
    write: Callable[[float], str],
    over: str,
) -> list[str]:
    """Return one row: its words, its interval, its mark, and the bound of its masks.

    `over` is over how many images it is, if it has a dagger for that.
    """
    look = "net" if line.look == "net" else "guess"
    ink = "ink" if line.look == "net" else "soft"
    bold = " bold" if line.is_best else ""
    number = write(line.score.mean)
    y = _middle(frame, top)
    if frame.wide:
        words = [
            text_at(frame.left - 46, y + 4, one_line(line.name, 16), ink + bold, "end"),
            text_at(
                frame.left - 12, y + 4, number, f"{look if look == 'net' else ink} bold", "end"
            ),
            text_at(frame.left - 11, y + 4, "\u2020" if over else "", "soft"),
            text_at(frame.width, y + 4, line.right, ink, "end"),
        ]
    else:
        number += "\u2020" if over else ""
        words = [
            text_at(frame.left, top + 15, line.name, ink + bold),
            text_at(frame.right, top + 15, f"{number} {line.right}".strip(), ink, "end"),
        ]
    center = x(line.score.mean)
    marks = [title_of(line.name, line.score, over), *lines_of(x, y, line.score, line.bound, look)]
    radius = 6 if line.is_best else 5
    if line.look == "guess":
        marks.append(diamond(center, y, radius * 0.95, f"{look} edge"))
    else:
        kind = "hollow" if line.look == "control" else f"{look} edge"
        marks.append(circle(center, y, radius, kind))
    return [*words, f"<g>{''.join(marks)}</g>"]

"""The differences between networks, a row for each binarizer, as SVG."""

from collections.abc import Sequence
from html import escape

import numpy as np

from cameval.evaluation._score_axis import axis_ends
from cameval.evaluation._words import one_line
from cameval.report._network_pairs import NetworkPair, PairRow
from cameval.report._svg import Drawing
from cameval.report._svg_parts import (
    Frame,
    axis_of,
    circle,
    figure_of,
    fitting,
    grid_of,
    rule,
    text_at,
)
from cameval.report._test_tables import has_interval

_FRAMES = (
    Frame(592, 172, 432, 6, 26, 24, wide=True),
    Frame(326, 4, 322, 6, 42, 24, wide=False),
)
"""The gap is the height of the names above the rows of a pair."""


def draw_pairs(pairs: Sequence[NetworkPair], *, title: str, label: str) -> Drawing:
    """Draw the pairs, those of each metric on an axis of their own with 0 in its middle."""
    parts: dict[str, list[NetworkPair]] = {}
    for pair in pairs:
        parts.setdefault(pair.metric, []).append(pair)
    desktop, phone = (_draw(frame, list(parts.values()), title, label) for frame in _FRAMES)
    return Drawing(title, label, desktop, phone)


def _draw(frame: Frame, parts: Sequence[Sequence[NetworkPair]], title: str, label: str) -> str:
    """Return the figure in one width."""
    top, drawn = frame.top, list[str]()
    for pairs in parts:
        drawn_here, top = _draw_metric(frame, pairs, top)
        drawn += drawn_here
        top += 30
    return figure_of(frame, top - 6, title, label, drawn)


def _draw_metric(frame: Frame, pairs: Sequence[NetworkPair], top: float) -> tuple[list[str], float]:
    """Return the rows of one metric, and where they end."""
    last = _last(pairs)
    ends = (-last, last)
    zero = frame.place(ends)(0)
    parts: list[str] = []
    for pair in pairs:
        parts += _names(frame, pair, zero, top + 14)
        top += frame.gap
        first, marks = top, list[str]()
        for row in pair.rows():
            strip = (top, top + frame.row) if frame.wide else (top + 19, top + frame.row - 1)
            if not frame.wide:
                marks += grid_of(frame, ends, *strip)
            marks.append(rule(zero, strip[0], zero, strip[1], "ink", 1.2))
            marks += _words(frame, row, top)
            if not np.isnan(row.difference):
                marks += _mark(frame, pair, row, ends, top)
            top += frame.row
        parts += [*grid_of(frame, ends, first, top), *marks] if frame.wide else marks
        top += 6
    axis, height = axis_of(frame, ends, top - 4, f"difference in {pairs[0].metric_title}")
    return [*parts, *axis], top + height - 24


def _last(pairs: Sequence[NetworkPair]) -> float:
    """Return the end of the axis."""
    numbers = []
    for pair in pairs:
        numbers += [abs(one) for one in pair.untested.values()]
        for one in (test.test for test in pair.tests):
            numbers += [abs(one.difference), abs(one.low), abs(one.high)]
    return axis_ends(numbers)[1]


def _names(frame: Frame, pair: NetworkPair, zero: float, y: float) -> list[str]:
    """Return on which side of 0 each network has the better maps."""
    left, right = pair.second, pair.first
    if not pair.higher_is_better:
        left, right = right, left
    room = min(zero - 4, frame.width - zero) - 66
    return [
        text_at(zero - 8, y, f"\u2190 {fitting(left, room)} better", "soft", "end"),
        text_at(zero + 8, y, f"{fitting(right, room)} better \u2192", "soft"),
    ]


def _words(frame: Frame, row: PairRow, top: float) -> list[str]:
    """Return the words of a row."""
    if frame.wide:
        y = top + frame.row / 2 + 4
        return [
            text_at(frame.left - 12, y, one_line(row.name, 22), "ink", "end"),
            text_at(frame.width, y, row.said, "ink", "end"),
        ]
    return [
        text_at(frame.left, top + 13, one_line(row.name, 16), "ink"),
        text_at(frame.right, top + 13, row.said, "ink", "end"),
    ]


def _mark(
    frame: Frame,
    pair: NetworkPair,
    row: PairRow,
    ends: tuple[float, float],
    top: float,
) -> list[str]:
    """Return the interval and the mark of a row: full where a difference is shown."""
    x = frame.place(ends)
    y = top + (frame.row / 2 if frame.wide else frame.row - 12)
    test = row.test
    is_clear = test is not None and pair.is_clear(test)
    marks = [f"<title>{escape(f'{pair.title}, {row.name}: {row.said}')}</title>"]
    if test is not None and has_interval(test):
        look = "net" if is_clear else "guess"
        marks.append(rule(x(test.test.low), y, x(test.test.high), y, look, 3))
    marks.append(circle(x(row.difference), y, 5.5, "net edge" if is_clear else "hollow"))
    return [f"<g>{''.join(marks)}</g>"]

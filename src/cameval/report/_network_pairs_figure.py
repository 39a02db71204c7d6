"""The differences between networks, a row for each binarizer, as SVG."""

from collections.abc import Sequence
from html import escape

from cameval.evaluation._comparisons import Comparison
from cameval.evaluation._score_axis import axis_ends
from cameval.evaluation._words import one_line
from cameval.report._network_pairs import NetworkPair
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


def draw_pairs(pairs: Sequence[NetworkPair], *, metric: str, title: str, label: str) -> Drawing:
    """Draw the pairs; the axis has 0 in its middle."""
    numbers = []
    for test in (test.test for pair in pairs for test in pair.tests):
        numbers += [abs(test.difference), abs(test.low), abs(test.high)]
    _, last = axis_ends(numbers)
    desktop, phone = (_draw(frame, pairs, last, metric, title, label) for frame in _FRAMES)
    return Drawing(title, label, desktop, phone)


def _draw(
    frame: Frame, pairs: Sequence[NetworkPair], last: float, metric: str, title: str, label: str
) -> str:
    """Return the figure in one width."""
    ends = (-last, last)
    zero = frame.place(ends)(0)
    top, parts = frame.top, []
    for pair in pairs:
        parts += _names(frame, pair, zero, top + 14)
        top += frame.gap
        first = top
        for test in pair.tests:
            strip = (top, top + frame.row) if frame.wide else (top + 19, top + frame.row - 1)
            parts += [*grid_of(frame, ends, *strip)] * (not frame.wide)
            parts.append(rule(zero, strip[0], zero, strip[1], "ink", 1.2))
            parts += _row(frame, pair, test, ends, top)
            top += frame.row
        if frame.wide:
            parts = [*grid_of(frame, ends, first, top), *parts]
        top += 6
    parts += axis_of(frame, ends, top - 4, f"difference in {metric}")
    return figure_of(frame, top + 20, title, label, parts)


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


def _row(
    frame: Frame, pair: NetworkPair, test: Comparison, ends: tuple[float, float], top: float
) -> list[str]:
    """Return one row: its words, its interval, and its mark."""
    x, found = frame.place(ends), test.test
    y = top + (frame.row / 2 if frame.wide else frame.row - 12)
    name, said = test.column.binarizer, pair.describe(test)
    if frame.wide:
        words = [
            text_at(frame.left - 12, y + 4, one_line(name, 22), "ink", "end"),
            text_at(frame.width, y + 4, said, "ink", "end"),
        ]
    else:
        words = [
            text_at(frame.left, top + 13, one_line(name, 16), "ink"),
            text_at(frame.right, top + 13, said, "ink", "end"),
        ]
    if found.n == 0:
        return words
    is_clear = test.verdict(higher_is_better=pair.higher_is_better) in ("better", "worse")
    look = "net" if is_clear else "guess"
    marks = [f"<title>{escape(f'{pair.title}: {said}')}</title>"]
    if has_interval(test):
        marks.append(rule(x(found.low), y, x(found.high), y, look, 3))
    marks.append(circle(x(found.difference), y, 5.5, "net edge" if is_clear else "hollow"))
    return [*words, f"<g>{''.join(marks)}</g>"]

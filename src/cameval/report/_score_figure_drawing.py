"""A `ScoreFigure` as SVG in two widths, and its numbers as a table."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from math import isnan

from cameval.evaluation._numbers import with_minus
from cameval.evaluation._score_axis import round_ticks
from cameval.evaluation._words import one_line
from cameval.report._chart import Chart
from cameval.report._svg import DESKTOP, PHONE, Drawing
from cameval.report._svg_parts import box, diamond, rule, text_at, tick_label
from cameval.report.formatting import format_interval, format_number, format_percent
from cameval.report.score_figure import MarkKind, ScoreFigure, ScoreMark, ScoreRow
from cameval.report.sections import Block, Cell, Row, Table

_LOOKS: dict[MarkKind, str] = {
    "score": "net",
    "guess": "guess",
    "baseline": "guess",
    "bound": "truth",
    "published": "ink",
}
_CHARACTER = 6.5
"""About how wide a character of 12 px is, in CSS pixels."""

_LONGEST = 22
"""Names are cut to so many characters."""


@dataclass(frozen=True)
class _Frame:
    """Where things are in one of the widths.

    Parameters
    ----------
    width, left, right
        Width of the figure, and the ends of the axis.
    top, row
        Where the rows begin, and their height.
    columns
        The right end of the column of each kind.
    wide
        Whether names and numbers are beside the axis, not above the marks.
    """

    width: int
    left: float
    right: float
    top: float
    row: float
    columns: dict[MarkKind, float]
    wide: bool


def chart_of(figure: ScoreFigure) -> Chart:
    """Return a figure as the page shows it."""
    title, label = one_line(figure.title, 200), with_minus(figure.label)
    desktop, phone = (_draw(figure, width, title, label) for width in (DESKTOP, PHONE))
    drawing = Drawing(title, label, desktop, phone)
    return Chart(title, "", drawing, with_minus(figure.caption), [_table(figure)])


def _table(figure: ScoreFigure) -> Table:
    """Return the numbers of the figure."""
    kinds = figure.kinds
    rows = []
    for row in figure.rows:
        marks = {mark.kind: mark for mark in row.marks}
        cells = [_cell(marks[kind], figure) if kind in marks else Cell("") for kind in kinds]
        rows.append(Row(Cell(row.name, row.detail), cells))
    return Table(figure.title, ["", *(figure.names[kind] for kind in kinds)], [Block(rows)])


def _cell(mark: ScoreMark, figure: ScoreFigure) -> Cell:
    return Cell(_number(mark, figure), f"{_interval(mark, figure)} {mark.detail}".strip())


def _number(mark: ScoreMark, figure: ScoreFigure) -> str:
    written = format_percent if figure.percent else format_number
    return mark.text or with_minus(written(mark.value))


def _interval(mark: ScoreMark, figure: ScoreFigure) -> str:
    if mark.text:
        return ""
    if isnan(mark.low) or not figure.percent:
        return with_minus(format_interval(mark.low, mark.high))
    return with_minus(f"[{format_percent(mark.low)}, {format_percent(mark.high)}]")


# --- Drawing --------------------------------------------------------------------------------------


def _draw(figure: ScoreFigure, width: int, title: str, label: str) -> str:
    """Return the figure in one width."""
    legend, legend_height = _legend(figure, width)
    frame = _frame(figure, width, legend_height)
    low, high = figure.ends

    def x(value: float) -> float:
        share = (min(max(value, low), high) - low) / (high - low)
        return frame.left + share * (frame.right - frame.left)

    n_rows = len(figure.rows)
    bottom = frame.top + frame.row * n_rows
    ticks = round_ticks(low, high)
    parts = [*legend]
    for kind, right in frame.columns.items():
        parts += _mark(kind, right - 10, frame.top - 14)
    grid = [(frame.top - 4, bottom)]
    if not frame.wide:  # not through the words
        grid = [(y - 24, y - 4) for y in (frame.top + frame.row * (k + 1) for k in range(n_rows))]
    parts += [rule(x(tick), y1, x(tick), y2, "line") for y1, y2 in grid for tick in ticks]
    for k, row in enumerate(figure.rows):
        parts += _row(figure, row, frame, frame.top + frame.row * k, x)
    for tick in ticks:
        text = f"{100 * tick:.3g}\u00a0%" if figure.percent else tick_label(tick)
        parts.append(text_at(x(tick), bottom + 15, text, "soft small", "middle"))
    height = bottom + 22
    return (
        f'<svg class="headline" viewBox="0 0 {width} {height:.0f}" width="{width}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _frame(figure: ScoreFigure, width: int, top: float) -> _Frame:
    columns: dict[MarkKind, float] = {}
    right = float(width)
    for kind in reversed(figure.kinds):
        marks = [mark for row in figure.rows for mark in row.marks if mark.kind == kind]
        columns[kind] = right
        right -= max(34, 12 + _CHARACTER * max(len(_number(mark, figure)) for mark in marks))
    if width < DESKTOP:
        return _Frame(width, 14, width - 20, top + 28, 44, columns, wide=False)
    longest = max(len(text[:_LONGEST]) for row in figure.rows for text in (row.name, row.detail))
    left = _CHARACTER * longest + 20
    tall = 38 if any(row.detail for row in figure.rows) else 28
    return _Frame(width, left, right - 18, top + 28, tall, columns, wide=True)


def _legend(figure: ScoreFigure, width: int) -> tuple[list[str], float]:
    """Return what the marks are, in as many lines as needed, and the height."""
    parts, x, y = list[str](), 0.0, 12.0
    for kind in figure.kinds:
        name = figure.names[kind]
        wide = 18 + _CHARACTER * len(name)
        if x and x + wide > width:
            x, y = 0.0, y + 18
        parts += [*_mark(kind, x + 7, y - 4), text_at(x + 18, y, name, f"{_ink(kind)} bold")]
        x += wide + 14
    return parts, y + 4


def _ink(kind: MarkKind) -> str:
    return "soft" if kind == "baseline" else _LOOKS[kind]


def _row(
    figure: ScoreFigure, row: ScoreRow, frame: _Frame, top: float, x: Callable[[float], float]
) -> list[str]:
    """Return one row: name, bar or line, marks, and numbers."""
    name = one_line(row.name, _LONGEST)
    y = top + frame.row / 2 if frame.wide else top + frame.row - 13
    words_at = y + 4 if frame.wide else top + 14
    bold = " bold" if row.apart else ""
    if frame.wide:
        at, anchor = frame.left - 14, "end"
        lifted = 6 if row.detail else 0
        parts = [
            text_at(at, words_at - lifted, name, f"ink{bold}", anchor),
            text_at(at, words_at + 8, one_line(row.detail, _LONGEST), "soft small", anchor),
        ]
    else:
        both = f"{name}, {row.detail}" if row.detail else name
        room = int((min(frame.columns.values()) - 34) / _CHARACTER)
        parts = [text_at(0, words_at, one_line(both, max(room, 12)), f"ink{bold}")]
    for kind, right in frame.columns.items():
        mark = next((one for one in row.marks if one.kind == kind), None)
        if mark is not None:
            number = _number(mark, figure)
            parts.append(text_at(right, words_at, number, f"{_ink(kind)} bold", "end"))
    score, bound, published = (row.find(kind) for kind in ("score", "bound", "published"))
    half = min(frame.row / 2 - 6, 12) if frame.wide else 8
    if bound is not None and figure.bars:
        parts.append(box(x(figure.ends[0]), x(bound.value), y - half, y + half, "room"))
    elif score is not None and bound is not None:
        parts.append(rule(x(score.value), y, x(bound.value), y, "truth", 1.3, "2 3"))
    elif score is not None and published is not None:
        parts.append(rule(x(score.value), y, x(published.value), y, "guess", 2))
    for kind in ("bound", "published", "baseline", "guess", "score"):
        if (mark := row.find(kind)) is not None:
            parts.append(_marked(figure, row, mark, x, y, half))
    if row.apart:
        end = top + frame.row
        parts.append(rule(0, end, frame.width, end, "line"))
    return parts


def _marked(
    figure: ScoreFigure,
    row: ScoreRow,
    mark: ScoreMark,
    x: Callable[[float], float],
    y: float,
    half: float,
) -> str:
    """Return a mark with its line and its words."""
    detail = f"{_interval(mark, figure)} {mark.detail}".strip()
    words = f"{row.name}, {figure.names[mark.kind]}: {_number(mark, figure)} {detail}".strip()
    parts = [f"<title>{escape(words)}</title>"]
    if not isnan(mark.low):
        wide = 3 if mark.kind == "score" else 1.3
        parts.append(rule(x(mark.low), y, x(mark.high), y, _LOOKS[mark.kind], wide))
    tall = half if figure.bars else 8
    return f"<g>{''.join([*parts, *_mark(mark.kind, x(mark.value), y, tall)])}</g>"


def _mark(kind: MarkKind, x: float, y: float, tall: float = 6) -> list[str]:
    """Return the shape of a kind of mark; a bound is a tick of twice the height."""
    if kind == "bound":
        return [rule(x, y - tall, x, y + tall, "truth", 2.4)]
    if kind == "published":
        place = f'x="{x - 6:.1f}" y="{y - 6:.1f}" width="12" height="12"'
        return [f'<rect class="published" {place}/>']
    if kind == "score":
        return [f'<circle class="net edge" cx="{x:.1f}" cy="{y:.1f}" r="5"/>']
    return [diamond(x, y, 6, "guess edge") if kind == "guess" else diamond(x, y, 5, "other")]

"""The headline figure of many networks: a row for the best maps of each, as SVG."""

from collections.abc import Sequence

import numpy as np

from cameval.evaluation._numbers import format_short
from cameval.evaluation._score_axis import axis_ends
from cameval.evaluation._undefined import Fewer, find_fewer, span_fewer
from cameval.evaluation._words import one_line
from cameval.report._answers import Known
from cameval.report._networks import NetworkRow
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
    fitting,
    grid_of,
    lines_of,
    note_of,
    rule,
    text_at,
    title_of,
    width_of,
    with_head,
    with_note,
)

_FRAMES = (
    Frame(592, 200, 430, 34, 42, 0, wide=True),
    Frame(326, 4, 322, 34, 66, 0, wide=False),
)


def draw_networks(rows: Sequence[NetworkRow], known: Known, *, title: str, label: str) -> Drawing:
    """Draw the rows; one of them has a score."""
    numbers = [row.bound for row in rows]
    for score in (one for row in rows for one in (row.score, row.guess) if one is not None):
        numbers += [score.mean, score.low, score.high]
    ends = axis_ends(numbers, known.headline.meaning.value_range)
    desktop, phone = (_draw(frame, rows, ends, known, title, label) for frame in _FRAMES)
    return Drawing(title, label, desktop, phone)


def _draw(
    frame: Frame,
    rows: Sequence[NetworkRow],
    ends: tuple[float, float],
    known: Known,
    title: str,
    label: str,
) -> str:
    """Return the figure in one width."""
    frame, head = with_head(frame, known.headline.title)
    bottom = frame.top + frame.row * len(rows)
    grid, zones, marks = [], [], []
    fewer = _fewer(rows)
    over = {at: span_fewer([one], known.names.rows) for at, one in fewer.items()}
    if frame.wide:
        grid += grid_of(frame, ends, frame.top - 4, bottom)
    for k, row in enumerate(rows):
        top = frame.top + frame.row * k
        first, last = _lines(frame, top)
        strip = first - 10, last + 8
        if not frame.wide:  # not through the words
            grid += grid_of(frame, ends, *strip)
        if row.guess is not None:
            zone = Zone(row.guess, ends, known.headline.meaning.higher_is_better)
            zones += zone.draw(frame, *strip)
        marks += _marks(frame, row, top, ends, (over.get((k, "map")), over.get((k, "guess"))))
    parts = [*zones, *grid, *head, *_heads(frame, rows), *marks]
    axis, height = axis_of(frame, ends, bottom, f"mean {known.headline.title}")
    named = [
        (one_line(rows[k].model, 40) + ", best guess" * (what == "guess"), one)
        for (k, what), one in fewer.items()
    ]
    about = about_fewer(named, known.names.row)
    note, height = note_of(frame, bottom + height, about)
    return figure_of(frame, height, title, with_note(label, about), [*parts, *axis, *note])


def _fewer(rows: Sequence[NetworkRow]) -> dict[tuple[int, str], Fewer]:
    """Return the means over fewer images, by number of the row, of the map or the guess."""
    scores = {(k, "map"): row.score for k, row in enumerate(rows)}
    scores |= {(k, "guess"): row.guess for k, row in enumerate(rows)}
    return find_fewer({at: score for at, score in scores.items() if score is not None})


def _heads(frame: Frame, rows: Sequence[NetworkRow]) -> list[str]:
    """Return the words above the axis, with the mark of each."""
    y = frame.top - 17
    looks = [("best map", "net", True)]
    looks.append(("best guess", "guess", any(row.guess is not None for row in rows)))
    looks.append(("bound", "truth", any(not np.isnan(row.bound) for row in rows)))
    parts, left = [], frame.left + 5
    for text, look, is_drawn in looks:
        if not is_drawn:
            continue
        if look == "truth":
            parts.append(rule(left, y - 7, left, y + 7, "truth", 2.4))
        elif look == "guess":
            parts.append(diamond(left, y, 5, "guess edge"))
        else:
            parts.append(circle(left, y, 5, "net edge"))
        parts.append(text_at(left + 10, y + 4, text, f"{look} bold"))
        left += 24 + CHARACTER * len(text)
    if frame.wide and any(row.difference for row in rows):
        parts.append(text_at(frame.width, y + 4, "minus the best guess", "soft", "end"))
    return parts


def _lines(frame: Frame, top: float) -> tuple[float, float]:
    """Return the places of the marks of the map and of the guess in a row."""
    first = top + (15 if frame.wide else 42)
    return first, first + (16 if frame.wide else 13)


def _marks(
    frame: Frame,
    row: NetworkRow,
    top: float,
    ends: tuple[float, float],
    over: tuple[str | None, str | None],
) -> list[str]:
    """Return one row: its words, and the marks of map, bound and guess.

    `over` is over how many images map and guess are, if they have a dagger for that.
    """
    first, last = _lines(frame, top)
    score, guess = row.score, row.guess
    ink = "ink" if row.score is not None else "soft"
    number = "" if score is None else format_short(score.mean)
    at_guess = "" if guess is None else format_short(guess.mean)
    daggers = ["\u2020" if one else "" for one in over]
    if frame.wide:
        end = frame.left - 46
        words = [
            text_at(end, first + 4, fitting(row.model, end), f"{ink} bold", "end"),
            text_at(end, last + 3, fitting(row.what, end, 11), "soft small", "end"),
            text_at(frame.left - 12, first + 4, number, "net bold", "end"),
            text_at(frame.left - 12, last + 3, at_guess, "guess small", "end"),
            text_at(frame.left - 11, first + 4, daggers[0], "soft"),
            text_at(frame.left - 11, last + 3, daggers[1], "soft small"),
            text_at(frame.width, first + 4, row.right, ink, "end"),
        ]
    else:
        right = f"{number}{daggers[0]} {row.right}".strip()
        below = f"best guess {at_guess}{daggers[1]}" if at_guess else ""
        left = frame.right - frame.left - 8
        model = fitting(row.model, left - width_of(right))
        what = fitting(row.what, left - width_of(below, 11), 11)
        words = [
            text_at(frame.left, top + 13, model, f"{ink} bold"),
            text_at(frame.right, top + 13, right, ink, "end"),
            text_at(frame.left, top + 28, what, "soft small"),
            text_at(frame.right, top + 28, below, "guess small", "end"),
        ]
    x, marks = frame.place(ends), []
    if guess is not None:
        said = title_of(f"best guess ({one_line(row.guess_label)})", guess, over[1] or "")
        marks += ["<g>", said, diamond(x(guess.mean), last, 5, "guess edge"), "</g>"]
    if score is not None:
        said = title_of(f"{one_line(row.model, 40)}, {row.what}", score, over[0] or "")
        lines = lines_of(x, first, score, row.bound, "net")
        marks += ["<g>", said, *lines, circle(x(score.mean), first, 5.5, "net edge"), "</g>"]
    return [*words, *marks]

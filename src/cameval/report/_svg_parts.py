"""Parts of figures: frame, axis, texts and marks as SVG, with the classes of the page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from unicodedata import east_asian_width

import numpy as np

from cameval.evaluation._numbers import with_minus
from cameval.evaluation._score_axis import round_ticks
from cameval.evaluation._scores import Score
from cameval.evaluation._undefined import Fewer, list_fewer
from cameval.evaluation._words import one_line
from cameval.report.formatting import format_interval, format_number

CHARACTER = 6.6
"""About how wide a bold character is, in CSS pixels."""


_NARROW, _WIDE = "fijlrtI.,:;'|!()[]- \u00a0", "MWmw@%"


def width_of(text: str, size: float = 12) -> float:
    """Return about how wide a bold text is, in CSS pixels.

    Examples
    --------
    >>> from cameval.report._svg_parts import width_of
    >>> round(width_of("resnet50")), round(width_of("W" * 8))
    (53, 94)
    """
    return size * sum(map(_width, text))


def _width(character: str) -> float:
    if east_asian_width(character) in "WF":
        return 1.05
    if character in _WIDE:
        return 0.98
    if character in _NARROW:
        return 0.38
    return 0.76 if character.isupper() else 0.61


def fitting(text: str, width: float, size: float = 12) -> str:
    """Return a user's name on one line, shortened to so many pixels.

    Examples
    --------
    >>> from cameval.report._svg_parts import fitting
    >>> fitting("densenet121-res224-all", 100)
    'densenet1…4-all'
    """
    longest = len(text)
    while longest > 3 and width_of(one_line(text, longest), size) > width:
        longest -= 1
    return one_line(text, longest)


def lines_within(text: str, width: float, size: float = 11, most: int = 2) -> list[str]:
    """Return a text in lines of so many pixels; the last one is shortened if there are too many.

    Examples
    --------
    >>> from cameval.report._svg_parts import lines_within
    >>> lines_within("mean surface distance (mm)", 140)
    ['mean surface distance', '(mm)']
    """
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if len(lines) == most or not lines[-1] or width_of(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [fitting(line.replace("\u00a0", " "), width, size) for line in lines]


@dataclass(frozen=True)
class Frame:
    """Where things are in one of the widths.

    Parameters
    ----------
    width, left, right
        Width of the figure, and the ends of the axis.
    top, row, gap
        Where the rows begin, their height, and the gap at the rule.
    wide
        Whether names and differences are beside the axis, not above the marks.
    """

    width: int
    left: float
    right: float
    top: float
    row: float
    gap: float
    wide: bool

    def place(self, ends: tuple[float, float]) -> Callable[[float], float]:
        """Return a function from a value to its place on the axis."""
        return lambda value: (
            self.left + (value - ends[0]) / (ends[1] - ends[0]) * (self.right - self.left)
        )


def figure_of(frame: Frame, height: float, title: str, label: str, parts: Iterable[str]) -> str:
    """Return the SVG element of one width."""
    return (
        f'<svg class="headline" viewBox="0 0 {frame.width} {height:.0f}" width="{frame.width}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def axis_of(
    frame: Frame, ends: tuple[float, float], bottom: float, name: str
) -> tuple[list[str], float]:
    """Return the ticks and the name of the axis, and how high they are.

    The name is beside the ticks, or below them if it is too long.
    """
    x, parts = frame.place(ends), []
    ticks = round_ticks(*ends)
    for tick in ticks:
        anchor, at = "middle", x(tick)
        if not frame.wide:
            anchor = "start" if at < frame.left + 8 else "end" if at > frame.right - 8 else anchor
        parts.append(text_at(at, bottom + 15, tick_label(tick), "soft small", anchor))
    if not frame.wide:
        return parts, 24
    end = x(ticks[-1]) + width_of(tick_label(ticks[-1]), 11) / 2 + 8
    if end + width_of(name, 11) <= frame.width:
        parts.append(text_at(frame.width, bottom + 15, name, "soft small", "end"))
        return parts, 24
    center = (frame.left + frame.right) / 2
    shown = fitting(name, 2 * min(center, frame.width - center), 11)
    parts.append(text_at(center, bottom + 30, shown, "soft small", "middle"))
    return parts, 39


def note_of(frame: Frame, bottom: float, text: str) -> tuple[list[str], float]:
    """Return what a dagger says, if there is one, below the axis, and where it ends."""
    lines = lines_within(f"\u2020 {text}", frame.width - frame.left, 9.8, most=8) if text else []
    parts = [
        text_at(frame.left, bottom + 10 + 15 * k, line, "soft small")
        for k, line in enumerate(lines)
    ]
    return parts, bottom + 15 * len(lines)


def about_fewer(named: Sequence[tuple[str, Fewer]], row: str) -> str:
    """Return the note on means with a dagger: over how many images, or targets, they are."""
    return f"mean over fewer {row}s: {list_fewer(named)}" if named else ""


def with_note(label: str, text: str) -> str:
    """Return what a figure says, with what a dagger says."""
    plain = text.replace("\u00a0", " ")
    return f"{label} {plain[0].upper()}{plain[1:]}." if plain else label


def with_head(frame: Frame, title: str) -> tuple[Frame, list[str]]:
    """Return the head of the column of numbers, in two lines if it is long, and room for it."""
    if not frame.wide:
        return frame, []
    lines = lines_within(title, frame.left - 12)
    x, y = frame.left - 12, frame.top - 13
    parts = [text_at(x, y + 14 * k, line, "soft", "end") for k, line in enumerate(lines)]
    return replace(frame, top=frame.top + 14 * (len(lines) - 1)), parts


def grid_of(frame: Frame, ends: tuple[float, float], top: float, bottom: float) -> list[str]:
    """Return the lines of the grid."""
    x = frame.place(ends)
    return [rule(x(tick), top, x(tick), bottom, "line") for tick in round_ticks(*ends)]


@dataclass(frozen=True)
class Zone:
    """What is up to the guess: a pale zone, and a band where its interval is.

    Parameters
    ----------
    guess
        The mean score of the guess.
    ends
        The ends of the axis.
    higher_is_better
        Of the metric; the zone begins at the worst end.
    """

    guess: Score
    ends: tuple[float, float]
    higher_is_better: bool | None

    def draw(self, frame: Frame, top: float, bottom: float) -> list[str]:
        """Return the boxes between two heights."""
        x, guess = frame.place(self.ends), self.guess
        worst = self.ends[1] if self.higher_is_better is False else self.ends[0]
        parts = [box(x(worst), x(guess.mean), top, bottom, "zone")]
        if not np.isnan(guess.low):
            low, high = max(guess.low, self.ends[0]), min(guess.high, self.ends[1])
            parts.append(box(x(low), x(high), top, bottom, "band"))
        return parts


def title_of(name: str, score: Score, fewer: str = "") -> str:
    """Return the title of a mark: what it is, and its score with its interval.

    `fewer` is over how many images it is, if they are fewer than of others.
    """
    interval = format_interval(score.low, score.high)
    said = with_minus(f"{name}: {format_number(score.mean)} {interval}".strip())
    said += f", over {fewer}" if fewer else ""
    return f"<title>{escape(said)}</title>"


def lines_of(
    x: Callable[[float], float], y: float, score: Score, bound: float, look: str
) -> list[str]:
    """Return the lines at a score: to the bound, if there is one, and its interval."""
    parts = []
    if not np.isnan(bound):
        at = x(bound)
        parts.append(rule(x(score.mean), y, at, y, "truth", 1.3, "2 3"))
        parts.append(rule(at, y - 7, at, y + 7, "truth", 2.4))
    if not np.isnan(score.low):
        parts.append(rule(x(score.low), y, x(score.high), y, look, 3))
    return parts


def tick_label(value: float) -> str:
    """Return a number at an axis, without its leading zero.

    Examples
    --------
    >>> from cameval.report._svg_parts import tick_label
    >>> tick_label(0.2), tick_label(1.0), tick_label(2500.0)
    ('.2', '1', '2,500')
    """
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    text = text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
    return with_minus(text)


def text_at(x: float, y: float, text: str, look: str, anchor: str = "start") -> str:
    """Return a text, if there is one."""
    if not text:
        return ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{look}" {place}>{escape(text)}</text>'


def rule(
    x1: float, y1: float, x2: float, y2: float, look: str, width: float = 1, dash: str = ""
) -> str:
    """Return a line."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line class="{look}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke-width="{width:g}"{dashes}/>'
    )


def box(x1: float, x2: float, top: float, bottom: float, look: str) -> str:
    """Return a filled rectangle."""
    left, wide = min(x1, x2), abs(x2 - x1)
    return (
        f'<rect class="{look}" x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" '
        f'height="{bottom - top:.1f}"/>'
    )


def circle(x: float, y: float, radius: float, look: str) -> str:
    """Return the mark of a map."""
    return f'<circle class="{look}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'


def diamond(x: float, y: float, size: float, look: str) -> str:
    """Return the mark of a guess."""
    points = f"M{x:.1f} {y - size:.1f}l{size:.1f} {size:.1f}l-{size:.1f} {size:.1f}"
    return f'<path class="{look}" d="{points}l-{size:.1f} -{size:.1f}z"/>'

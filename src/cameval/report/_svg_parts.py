"""Parts of figures: frame, axis, texts and marks as SVG, with the classes of the page."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from unicodedata import east_asian_width

import numpy as np

from cameval.evaluation._numbers import with_minus
from cameval.evaluation._words import one_line

CHARACTER = 6.6
"""About how wide a bold character is, in CSS pixels."""


_NARROW, _WIDE = "fijlrtI.,:;'|!()[]- ", "MWmw@%"


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


def range_of(
    value_range: tuple[float, float] | None, numbers: Iterable[float]
) -> tuple[float, float]:
    """Return the full range of the metric, or of what is drawn."""
    if value_range is not None and np.isfinite(value_range).all():
        return float(value_range[0]), float(value_range[1])
    drawn = list(numbers)
    low, high = min(0.0, float(np.nanmin(drawn))), max(0.0, float(np.nanmax(drawn)))
    return low, high if high > low else low + 1


def figure_of(frame: Frame, height: float, title: str, label: str, parts: Iterable[str]) -> str:
    """Return the SVG element of one width."""
    return (
        f'<svg class="headline" viewBox="0 0 {frame.width} {height:.0f}" width="{frame.width}" '
        f'height="{height:.0f}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def axis_of(frame: Frame, ends: tuple[float, float], bottom: float, name: str) -> list[str]:
    """Return the ticks and the name of the axis."""
    x, ticks = frame.place(ends), ticks_of(ends)
    parts = []
    for k, tick in enumerate(ticks):
        anchor = "middle"
        if not frame.wide:
            anchor = "start" if k == 0 else "end" if k == len(ticks) - 1 else "middle"
        parts.append(text_at(x(tick), bottom + 15, tick_label(tick), "soft small", anchor))
    if frame.wide:
        parts.append(text_at(frame.width, bottom + 15, name, "soft small", "end"))
    return parts


def ticks_of(ends: tuple[float, float]) -> list[float]:
    """Return the places of the grid."""
    return [float(tick) for tick in np.linspace(ends[0], ends[1], 6)]


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

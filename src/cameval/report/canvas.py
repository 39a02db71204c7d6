"""The look of the figures, and names that their font can write."""

from typing import Any, Literal
from unicodedata import category

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from cameval.report.text import name

__all__ = ["INK", "STYLE", "drawn", "from_zero", "new_figure"]

INK = "#222222"
STYLE: list[Any] = [
    "default",
    {
        "text.parse_math": False,  # a dollar in a name is a dollar
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": INK,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e4e4e4",
        "grid.linewidth": 0.7,
        "legend.frameon": False,
    },
]


def drawn(text: str, longest: int = 26) -> str:
    """Return a name that the figure's font can write.

    What the font lacks becomes a white square, and marks of direction are left out.
    """
    font = get_font(findfont("DejaVu Sans"))
    line = "".join(c for c in name(text, longest) if category(c) != "Cf")
    return "".join(c if font.get_char_index(ord(c)) else "\u25a1" for c in line)


def new_figure(height: float) -> tuple[Figure, Axes]:
    """Return a figure of a height in inches."""
    figure = Figure(figsize=(6.4, min(max(height, 2.2), 30)), layout="constrained")
    return figure, figure.subplots()


def from_zero(axes: Axes, which: Literal["x", "y"]) -> None:
    """Begin an axis at zero where no value is below it."""
    k = "xy".index(which)
    data = [np.asarray(line.get_xydata(), float)[:, k] for line in axes.lines]
    data += [np.asarray(dots.get_offsets(), float)[:, k] for dots in axes.collections]
    values = np.concatenate([*data, [0.0]])
    if np.nanmin(values) >= 0:
        high = max(axes.get_xlim()[1] if which == "x" else axes.get_ylim()[1], 1e-3)
        (axes.set_xlim if which == "x" else axes.set_ylim)(-0.02 * high, high)

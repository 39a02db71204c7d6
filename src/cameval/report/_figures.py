"""Styles of the figures of the page, and names in the characters of their font."""

from typing import Any
from unicodedata import category

from matplotlib.font_manager import findfont, get_font

from cameval.evaluation._words import one_line

STYLE: list[Any] = [
    "default",
    {
        "text.parse_math": False,  # a dollar in a name is a dollar
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#222222",
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#e4e4e4",
        "grid.linewidth": 0.7,
        "legend.frameon": False,
    },
]
"""The style of pictures."""


SVG_STYLE: list[Any] = [
    "default",
    {
        "text.parse_math": False,
        "font.size": 13.2,  # small texts have 11 px
        "axes.titlesize": 12,
        "axes.labelsize": 12,
        "xtick.labelsize": 11,
        "ytick.labelsize": 11,
        "legend.fontsize": 11,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "text.color": "#1b1d22",
        "axes.labelcolor": "#565d68",
        "axes.edgecolor": "#dfe2e7",
        "xtick.color": "#565d68",
        "ytick.color": "#565d68",
        "grid.color": "#dfe2e7",
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
    },
]
"""The style of figures that are drawn into the page; a unit is a CSS pixel."""


PALE = "#8a8a8a"


COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def figure_text(text: str, longest: int = 26) -> str:
    """Return a name in characters of the figure's font.

    Others become a white square, and marks of direction are left out.
    """
    font = get_font(findfont("DejaVu Sans"))
    line = "".join(c for c in one_line(text, longest) if category(c) != "Cf")
    return "".join(c if font.get_char_index(ord(c)) else "\u25a1" for c in line)

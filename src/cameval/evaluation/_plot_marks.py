"""Colors, numbers, texts and axes that all plots of results have in common."""

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final, Literal
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation._comparisons import Comparison, GuessVerdict
from cameval.evaluation._numbers import format_interval, format_signed, with_minus
from cameval.evaluation._score_axis import axis_ends, round_ticks
from cameval.evaluation._words import one_line
from cameval.plots._axes import GUESS, NETWORK, matplotlib_module, without_math

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT, ZONE = "#222222", "#C9CED4", "#F0F2F4"
"""Text and means; rules; the zone up to the guess."""


DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))


MARKERS = ("o", "s", "^", "D", "v", "P", "X")


LONGEST = 28
"""Letters of a name that is drawn."""


def drawn(text: object, longest: int = LONGEST) -> str:
    """Return a name on one line as it can be drawn: no formula, no character without a glyph.

    Characters that the font lacks become a white square; marks of direction are left out.
    """
    manager = matplotlib_module("font_manager")
    font = manager.get_font(manager.findfont(manager.FontProperties()))
    line = "".join(c for c in one_line(text, longest) if category(c) != "Cf")
    shown = "".join(c if font.get_char_index(ord(c)) else "\u25a1" for c in line)
    return without_math(shown)


def difference_text(difference: float, low: float, high: float) -> str:
    """Return a difference with its interval in brackets, if there is one.

    Examples
    --------
    >>> from cameval.evaluation._plot_marks import difference_text
    >>> difference_text(0.022, 0.002, 0.05), difference_text(0.022, float("nan"), float("nan"))
    ('+.022 [.002, .050]', '+.022')
    """
    return f"{format_signed(difference)} {with_minus(format_interval(low, high))}".strip()


_SYMBOLS: Final[dict[GuessVerdict, str]] = {"better": "▲", "worse": "▼", "open": "≈", "equal": "="}


def write_difference(
    axes: "Axes", y: float, found: Comparison, verdict: GuessVerdict, *, colored: bool = True
) -> None:
    """Write at the right of the axes what a test found: a symbol, the difference, its interval."""
    symbol = _SYMBOLS.get(verdict, "?")
    color = {"▲": NETWORK, "▼": GUESS}.get(symbol, INK) if colored else INK
    write_at_the_right(axes, y, symbol, color=color, family="DejaVu Sans")
    text = difference_text(found.test.difference, found.test.low, found.test.high)
    write_at_the_right(axes, y, text, color=INK, indent=SYMBOL_WIDTH)


SYMBOL_WIDTH = 16.0
"""Points from the left of a symbol to that of its difference."""


def write_at_the_right(
    axes: "Axes", y: float, text: str, *, color: str, indent: float = 0, family: str | None = None
) -> None:
    """Write small text in a row, at the right of the axes."""
    axes.annotate(
        text,
        (1, y),
        xycoords=axes.get_yaxis_transform(),
        xytext=(10 + indent, 0),
        textcoords="offset points",
        annotation_clip=False,
        color=color,
        fontsize="small",
        va="center",
        family=family,
    )


def wrap_note(text: str, width: int = 72) -> list[str]:
    """Return a note below an axis, in lines.

    Examples
    --------
    >>> from cameval.evaluation._plot_marks import wrap_note
    >>> wrap_note("mean over fewer images: cam 20 of 41", 24)
    ['mean over fewer images:', 'cam 20 of 41']
    """
    lines = wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\u00a0", " ") for line in lines]


def clean(axes: "Axes", grid: Literal["x", "y", "both"]) -> None:
    """Leave out the frame, and draw a faint grid below the marks."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.set_axisbelow(True)
    axes.grid(True, axis=grid, color="#E6E8EB", linewidth=0.7)
    axes.tick_params(which="both", length=0)


def title(axes: "Axes", what: str, of: Sequence[str], *, pad: float = 6) -> None:
    """Write what is drawn, and below it of what, at the left, `pad` points above the axes."""
    parts = " · ".join(filter(None, of))
    shown = f"{what}\n{parts}" if parts else what
    axes.set_title(shown, loc="left", pad=pad, fontsize="medium", color=INK)


def score_axis(
    axes: "Axes",
    which: Literal["x", "y"],
    value_range: tuple[float, float] | None,
    ends: tuple[float, float] | None = None,
) -> None:
    """Show a score from 0 to what is drawn, with ticks as ``.5``.

    Parameters
    ----------
    axes, which
        The axes, with all marks, and which of the two is the score.
    value_range
        The range of the score. If it is not known, Matplotlib chooses the ends.
    ends
        The ends, if they are known.
    """
    ticker = matplotlib_module("ticker")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: _tick(value)))
    if value_range is None:
        return
    if ends is None:
        drawn_to = axes.dataLim.intervalx if which == "x" else axes.dataLim.intervaly
        ends = axis_ends(drawn_to.tolist(), value_range)
    low, high = ends
    margin = 0.02 * (high - low)
    (axes.set_xlim if which == "x" else axes.set_ylim)(low - margin, high + margin)
    axis.set_major_locator(ticker.FixedLocator(round_ticks(low, high)))


def _tick(value: float) -> str:
    text = f"{abs(value):.3g}"
    return ("\u2212" if value < 0 else "") + (text[1:] if text.startswith("0.") else text)


def label_once(axes: "Axes", label: str) -> str | None:
    """Return the label of a mark for the legend, None if another mark has it."""
    return None if label in axes.get_legend_handles_labels()[1] else label


def legend_below(axes: "Axes") -> None:
    """Write the legend below the axes and their tick labels, if a mark has a label."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        longest = max(map(len, labels))
        columns = 3 if longest <= 26 else 2 if longest <= 40 else 1
        rotated = [len(text.get_text()) for text in axes.get_xticklabels() if text.get_rotation()]
        offset = 38 + 3 * max([0, *rotated]) + 14 * axes.get_xlabel().count("\n")  # in points
        transforms = matplotlib_module("transforms")
        figure: Any = axes.get_figure(root=True)
        below = transforms.ScaledTranslation(0, -offset / 72, figure.dpi_scale_trans)
        axes.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(0, 0),
            bbox_transform=axes.transAxes + below,
            ncols=min(columns, len(handles)),
            frameon=False,
            fontsize="small",
            borderaxespad=0,
            columnspacing=1.4,
            handletextpad=0.5,
        )


def dots(count: int) -> dict[str, Any]:
    """Return size and opacity of so many dots: smaller and paler if there are many."""
    if count < 300:
        return {"s": 26, "alpha": 0.75}
    return {"s": 12, "alpha": 0.5} if count < 1000 else {"s": 5, "alpha": 0.3}


def fixed_area(area: NDArray[np.float64], bounds: NDArray[np.float64]) -> float | None:
    """Return the area of the masks, if all have about the same and their area bounds show it."""
    at = int(np.argmin(bounds))
    if not bounds[at] > 0:  # also where one is NaN
        return None
    possible = []
    for p in (area[at] / bounds[at], area[at] * bounds[at]):
        expected = np.minimum(area, p) / np.maximum(area, p)
        if p <= 1 and np.allclose(bounds, expected, rtol=0.02, atol=0):
            possible.append(float(p))
    if len(possible) == 2 and abs(possible[0] - possible[1]) > 0.02 * possible[0]:
        return None  # as of a single image: the masks may be smaller or larger than the object
    return next(iter(possible), None)

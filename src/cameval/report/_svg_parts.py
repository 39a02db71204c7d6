"""Parts of figures that are written as SVG: text, lines and boxes, with the classes of the page."""

from html import escape

from cameval.report.formatting import with_minus


def text_at(x: float, y: float, text: str, look: str, anchor: str = "start") -> str:
    """Return a text, or nothing if it is empty."""
    if not text:
        return ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{look}" {place}>{escape(text)}</text>'


def rule_of(
    x1: float, y1: float, x2: float, y2: float, look: str, width: float = 1, dash: str = ""
) -> str:
    """Return a line."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line class="{look}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
        f'stroke-width="{width:g}"{dashes}/>'
    )


def box_of(x1: float, x2: float, top: float, bottom: float, look: str) -> str:
    """Return a box between two places on the axis."""
    left, wide = min(x1, x2), abs(x2 - x1)
    return (
        f'<rect class="{look}" x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" '
        f'height="{bottom - top:.1f}"/>'
    )


def diamond_at(x: float, y: float, size: float, look: str) -> str:
    """Return a diamond of half this height."""
    points = f"M{x:.1f} {y - size:.1f}l{size:.1f} {size:.1f}l-{size:.1f} {size:.1f}"
    return f'<path class="{look}" d="{points}l-{size:.1f} -{size:.1f}z"/>'


def tick_label(value: float) -> str:
    """Return a number at an axis, without its leading zero.

    Examples
    --------
    >>> tick_label(0.2), tick_label(1.0), tick_label(2500.0)
    ('.2', '1', '2,500')
    """
    text = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    text = text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
    return with_minus(text)

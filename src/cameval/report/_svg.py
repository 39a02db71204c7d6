"""Figures of matplotlib as inline SVG: text stays text, and colors follow the page."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from io import StringIO
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cameval.report._figures import SVG_STYLE

DESKTOP, PHONE = 496, 326
"""Widths of figures in CSS pixels: beside a column of contents, and on a phone."""

VARIABLES: Mapping[str, str] = {
    "#c2500a": "net",
    "#a84300": "net-text",
    "#6b7480": "guess",
    "#0067a8": "truth",
    "#1b1d22": "ink",
    "#565d68": "soft",
    "#dfe2e7": "line",
    "#eff0f2": "zone",
    "#d8dbe1": "band",
    "#ffffff": "ground",
    "#000000": "ink",
    "#222222": "ink",
    "#c9ced4": "line",
    "#e6e8eb": "line",
    "#f0f2f4": "zone",
    "#dadee2": "band",
}
"""Names of the CSS variables of the page by the colors with which figures are drawn."""


@dataclass(frozen=True)
class Drawing:
    """A figure in two widths.

    Parameters
    ----------
    title
        What it shows, in a few words.
    label
        What it says, in one sentence with numbers, for readers who cannot see it.
    desktop, phone
        SVG elements.
    """

    title: str
    label: str
    desktop: str
    phone: str


def draw_twice(
    draw: Callable[[Axes], object],
    *,
    title: str,
    label: str,
    height: float | Callable[[int], float],
    widths: tuple[int, int] = (DESKTOP, PHONE),
) -> Drawing:
    """Draw a figure in the two widths.

    Parameters
    ----------
    draw
        A function that draws in axes.
    title, label
        As of `Drawing`.
    height
        The height in CSS pixels, or a function that gives it for a width.
    widths
        The two widths in CSS pixels.
    """
    shown = []
    for width in widths:
        with matplotlib.style.context(SVG_STYLE):
            tall = height(width) if callable(height) else height
            figure = Figure(figsize=(width / 72, tall / 72), layout="constrained")
            draw(figure.subplots())
            shown.append(svg_of(figure, title=title, label=label))
    return Drawing(title, label, *shown)


def fit_to_page(axes: Axes) -> None:
    """Leave out the title, which the page has, and write the legend in the columns that fit."""
    axes.set_title("", loc="left")
    if axes.get_ylabel().startswith("class"):
        axes.set_ylabel("")
    handles, labels = axes.get_legend_handles_labels()
    legend = axes.get_legend()
    if legend is None:
        return
    legend.remove()
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)  # `draw_twice`
    width = figure.get_size_inches()[0] * 72
    columns = int(width // (6.6 * max(map(len, labels)) + 46))
    figure.legend(
        handles,
        labels,
        loc="outside lower left",
        ncols=max(1, min(columns, len(labels))),
        fontsize=11,
        frameon=False,
        handletextpad=0.5,
        columnspacing=1.4,
    )


def svg_of(figure: Figure, *, title: str, label: str) -> str:
    """Return a figure as an SVG element of a page; the same figure gives the same text.

    A unit of the figure, 1/72 inch, is a CSS pixel. The colors of `VARIABLES` become variables of
    the page. An artist whose gid begins with ``title:`` has the rest as its title.
    """
    stream = StringIO()
    salt = sha256(f"{title}\n{label}\n{figure.get_size_inches()}".encode()).hexdigest()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": salt, "svg.image_inline": True}
    with matplotlib.rc_context(settings):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' id="title:([^"]*)">', r"><title>\1</title>", text)
    text = _unique_ids(text, salt[:6])
    text = _merge_marks(_short_rectangles(_with_variables(text)))
    text = re.sub(r"\bfont: ?((?:\w+ )*)([\d.]+)px [^;\"]*", _font, text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    width, height = figure.get_size_inches() * 72
    head = (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(label)}"><title>{escape(title)}</title>'
    )
    return head + re.sub(r"\n\s*", "\n", text[text.index(">") + 1 :]).strip()


_RECTANGLE = re.compile(
    r'<g><title>([^<]*)</title>\s*<path d="M (\S+) (\S+)\s+L (\S+) \S+\s+L \S+ (\S+)[^"]*z\s*" '
    r'clip-path="[^"]*" style="fill: ([^;"]+); opacity: ([\d.]+)"/>\s*</g>'
)
"""A rectangle of one color, without an outline and with a title."""


def _short_rectangles(text: str) -> str:
    """Write rectangles that have a title as such, at tenths of a pixel."""

    def short(found: re.Match[str]) -> str:
        x, y, right, top = (float(found[k]) for k in (2, 3, 4, 5))
        left, wide, high = min(x, right), abs(right - x), abs(top - y)
        return (
            f'<rect x="{left:.1f}" y="{min(top, y):.1f}" width="{wide:.1f}" height="{high:.1f}" '
            f'style="fill: {found[6]}; opacity: {float(found[7]):.2f}">'
            f"<title>{found[1]}</title></rect>"
        )

    return _RECTANGLE.sub(short, text)


_MANY = 100
"""From so many equal marks on, they are one path."""

_USE = re.compile("<use [^>]*/>")

_ALONE = re.compile(
    r'<g clip-path="([^"]+)">\s*<use [^>]*/>\s*</g>'
    r'(?:\s*<g clip-path="\1">\s*<use [^>]*/>\s*</g>)+'
)
"""Marks of which each is in a group of its own."""

_MARKS = re.compile(
    r'<use href="#([^"]+)" x="[^"]*" y="[^"]*" style="([^"]*)"/>'
    rf'(?:\s*<use href="#\1" x="[^"]*" y="[^"]*" style="\2"/>){{{_MANY - 1},}}'
)


def _merge_marks(text: str) -> str:
    """Write many equal marks as one path, at tenths of a pixel; marks at the same place are one.

    A filled mark becomes a round dot of its size.
    """
    text = _ALONE.sub(
        lambda found: f'<g clip-path="{found[1]}">{"".join(_USE.findall(found[0]))}</g>', text
    )
    shapes = dict(re.findall(r'<path id="([^"]+)" d="M ([^"]*)"', text))

    def merged(found: re.Match[str]) -> str:
        shape, style = shapes[found[1]], found[2]
        size = max(abs(float(number)) for number in shape.split()[:2])
        places = re.findall(r' x="([^"]*)" y="([^"]*)"', found[0])
        ends = dict.fromkeys((round(float(x), 1), round(float(y), 1)) for x, y in places)
        if re.fullmatch(r"\S+ \S+\s+L \S+ \S+\s*", shape):
            path = "".join(f"M{x - size:.1f} {y:g}h{2 * size:.1f}" for x, y in ends)
            return f'<path d="{path}" style="{style}"/>'
        if "fill: none" in style:
            arc = f"a{size:.1f} {size:.1f} 0 1 0 "
            path = "".join(
                f"M{x - size:.1f} {y:g}{arc}{2 * size:.1f} 0{arc}{-2 * size:.1f} 0" for x, y in ends
            )
            return f'<path d="{path}" style="{style}"/>'
        color = re.search(r"fill: ([^;]+)", style)
        assert color is not None  # it is filled
        path = "".join(f"M{x:g} {y:g}h0" for x, y in ends)
        return (
            f'<path d="{path}" style="fill: none; stroke: {color[1]}; stroke-opacity: 0.6; '
            f'stroke-width: {2 * size:.1f}; stroke-linecap: round"/>'
        )

    return _MARKS.sub(merged, text)


def _unique_ids(text: str, salt: str) -> str:
    """Remove the ids to which nothing refers, and make the others those of this figure."""
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', text))

    def kept(found: re.Match[str]) -> str:
        return f' id="{salt}{found[1]}"' if found[1] in used else ""

    text = re.sub(r' id="([^"]*)"', kept, text)
    return re.sub(r'(url\(#|xlink:href="#|href="#)', rf"\g<1>{salt}", text)


def _with_variables(text: str) -> str:
    """Replace the colors of the figures by variables of the page."""

    def replaced(found: re.Match[str]) -> str:
        name = VARIABLES.get(found[2].lower())
        return f"{found[1]}: var(--{name})" if name else found[0]

    text = re.sub(r"\b(fill|stroke): (#[0-9a-fA-F]{6})", replaced, text)
    return text.replace("xlink:href", "href")


def _font(found: re.Match[str]) -> str:
    weight = f"font-weight: {found[1].strip()}; " if found[1].strip() else ""
    return f"{weight}font-size: {found[2]}px"

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
    text = _with_variables(text)
    text = re.sub(r"\bfont: ?((?:\w+ )*)([\d.]+)px [^;\"]*", _font, text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    width, height = figure.get_size_inches() * 72
    head = (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(label)}"><title>{escape(title)}</title>'
    )
    return head + re.sub(r"\n\s*", "\n", text[text.index(">") + 1 :]).strip()


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

"""Figures as SVG: text stays text, colors are variables of the page, many marks are one path."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from cameval.report._svg import VARIABLES, draw_twice, svg_of


def drawn(count: int = 5, label: str = 'A "line" & <dots>.') -> str:
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    x = np.linspace(0, 1, count)
    axes.scatter(x, x**2, s=26, color="#C2500A")
    axes.scatter(x, x, s=26, color="none", edgecolors="#C2500A")
    axes.scatter(x, 1 - x, s=26, color="#0067A8", marker="_")
    axes.plot([0, 1], [0, 1], color="#6B7480", gid="title:the guess, .43")
    axes.set_xlabel("share of <b>the image</b>")
    return svg_of(figure, title="Scores", label=label)


def test_text_stays_text_and_the_label_is_escaped() -> None:
    root = ElementTree.fromstring(drawn())
    words = ["".join(one.itertext()) for one in root.iter() if one.tag.endswith("text")]
    assert "share of <b>the image</b>" in words
    assert root.attrib["aria-label"] == 'A "line" & <dots>.'
    assert root.attrib["role"] == "img"
    titles = [one.text for one in root.iter() if one.tag.endswith("title")]
    assert titles == ["Scores", "the guess, .43"]


def test_the_same_figure_gives_the_same_text_and_other_figures_other_ids() -> None:
    assert drawn() == drawn()
    first, second = drawn(), drawn(label="Another.")
    ids = [re.findall(r' id="([^"]*)"', text) for text in (first, second)]
    assert ids[0]
    assert not {*ids[0]} & {*ids[1]}
    for text, found in zip((first, second), ids, strict=True):
        assert len({*found}) == len(found)
        used = re.findall(r'(?:url\(#|href="#)([^)"]+)', text)
        assert {*used} <= {*found}


def test_the_two_widths_have_ids_of_their_own() -> None:
    both = draw_twice(
        lambda axes: axes.scatter([0, 1], [0, 1]), title="T", label="L", height=lambda width: width
    )
    ids = [{*re.findall(r' id="([^"]*)"', text)} for text in (both.desktop, both.phone)]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_the_colors_of_the_page_are_variables() -> None:
    text = drawn()
    for color in VARIABLES:
        assert color not in text.lower()
    for name in ("net", "truth", "guess"):
        assert f"var(--{name})" in text
    assert "DejaVu" not in text


@pytest.mark.parametrize("count", [99, 400])
def test_many_marks_are_one_path_at_the_same_places(count) -> None:
    text = drawn(count)
    uses = re.findall(r"<use ", text)
    if count < 100:
        assert len(uses) >= 3 * count
        return
    assert len(uses) < 50  # of ticks
    paths = re.findall(r'<path d="(M[^"]*)" style="([^"]*)"', text)
    dots, rings, bars = (
        next(path for path, style in paths if part in path and words in style)
        for part, words in (("h0", "round"), ("a", "fill: none"), ("h", "--truth"))
    )
    few = re.findall(r'<use href="#(\w+)" x="([^"]*)" y="([^"]*)" style="fill: var', drawn(99))
    ends = [tuple(map(float, place)) for _, *place in few[:99]]
    found = [tuple(map(float, place)) for place in re.findall(r"M(\S+) ([\d.]+)h0", dots)]
    assert len(found) == 400
    for one in (ends[0], ends[-1]):
        assert min(abs(one[0] - x) + abs(one[1] - y) for x, y in found) < 0.15
    assert rings.count("M") == bars.count("M") == 400

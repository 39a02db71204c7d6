"""Headline figures: the axis ends at what is drawn, and on a phone no zone is behind words."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pages import made

from cameval import concat
from cameval.report import write_report
from cameval.report._svg import Drawing


def not_drawn(*_: object, **__: object) -> Drawing:
    return Drawing("", "", "<svg></svg>", "<svg></svg>")


def low(column) -> float:
    if column.metric == "area_bound":
        return 0.28
    return 0.16 if column.kind == "method" else 0.12


@pytest.fixture(scope="module", params=["one network", "five networks"])
def figures(request, tmp_path_factory) -> list[str]:
    """Return the figures of a page in both widths."""
    folder, names = tmp_path_factory.mktemp("page"), ("net",)
    if request.param == "five networks":
        names = tuple("abcde")
    parts = [made(20, models=(name,), binarizers=("p95",), value=low) for name in names]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cameval.report._chart.draw_twice", not_drawn)
        page = Path(write_report(concat(parts), folder)).read_text(encoding="utf-8")
    return re.findall(r'<svg class="headline".*?</svg>', page, re.DOTALL)[:2]


def boxes(figure: str, look: str) -> list[tuple[float, float]]:
    """Return top and bottom of the boxes of a look."""
    found = re.findall(rf'<rect class="{look}"[^>]* y="([\d.]+)"[^>]* height="([\d.]+)"', figure)
    return [(float(y), float(y) + float(height)) for y, height in found]


def test_the_axis_ends_at_what_is_drawn(figures) -> None:
    for figure in figures:
        ticks = re.findall(r'<text class="soft small" [^>]*>(0|\.\d+|1)</text>', figure)
        assert ticks[0] == "0"
        assert 0.25 <= float(ticks[-1]) <= 0.4
        assert len(re.findall('class="truth" x1', figure)) > 1  # the bound is inside
        ends = [float(x) for x in re.findall(r'<line class="truth" x1="([\d.]+)"', figure)]
        assert max(ends) <= float(re.findall(r'viewBox="0 0 (\d+)', figure)[0])


def test_on_a_phone_no_zone_is_behind_words(figures) -> None:
    _, phone = figures
    zones = [*boxes(phone, "zone"), *boxes(phone, "band")]
    words = [float(y) for y in re.findall(r'<text [^>]* y="([\d.]+)"', phone)]
    assert zones
    assert len(words) > 4
    for baseline in words:
        assert not any(top < baseline + 3 and baseline - 9 < bottom for top, bottom in zones)


@pytest.mark.usefixtures("no_figures")
def test_the_figures_of_networks_have_the_same_axis(tmp_path) -> None:
    parts = [
        made(20, models=(name,), binarizers=("p95",), value=lambda one, top=top: top * low(one))
        for name, top in (("a", 0.5), ("b", 2.0))
    ]
    page = Path(write_report(concat(parts), tmp_path)).read_text(encoding="utf-8")
    figures = re.findall(r'<svg class="headline".*?</svg>', page, re.DOTALL)
    axes = [re.findall(r'<text class="soft small" [^>]*>[^<]*</text>', one) for one in figures[:4]]
    ticks = [[text for text in axis if "mean IoU" not in text] for axis in axes]
    names = [re.sub(r' y="[^"]*"', "", " ".join(one)) for one in ticks]
    assert names[0] == names[2]  # wide
    assert names[1] == names[3]  # on a phone
    assert len(ticks[0]) > 2


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(
    ("maps", "guess", "texts"),
    [
        (0.0342, 0.0831, (".034", ".083")),
        (0.2342, 0.0831, (".234", ".083")),
        (0.4342, 0.4313, (".434", ".431")),
        (0.4342, 0.3313, (".43", ".33")),
    ],
)
def test_scores_have_three_digits_where_two_say_too_little(tmp_path, maps, guess, texts) -> None:
    def value(column) -> float:
        return 0.5 if column.metric == "area_bound" else maps if column.kind == "method" else guess

    results = made(20, models=("net",), binarizers=("p95",))
    values = np.tile([value(column) for column in results.columns], (20, 1))
    results = replace(results, values=values)
    page = Path(write_report(results, tmp_path)).read_text(encoding="utf-8")
    figure = re.findall(r'<svg class="headline".*?</svg>', page, re.DOTALL)[0]
    said = re.sub(r"<[^>]+>", "", page)
    assert f"with the true masks: {texts[0]}, best guess {texts[1]}." in " ".join(said.split())
    assert f">{texts[0]}</text>" in figure
    assert f">best guess {texts[1]}</text>" in figure
    assert re.search(rf'aria-label="[^"]*: {texts[0]} \[.*; best guess \(\w+\) {texts[1]};', figure)

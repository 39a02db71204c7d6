"""Headline figures: the axis ends at what is drawn, and on a phone no zone is behind words."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pages import KNOWN, made, undefined

from cameval import concat
from cameval.evaluation import REASONS, Results
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


def headlines(results: Results, folder: Path) -> list[str]:
    """Return the first figure of a page in both widths."""
    page = Path(write_report(results, folder)).read_text(encoding="utf-8")
    return re.findall(r'<svg class="headline".*?</svg>', page, re.DOTALL)[:2]


def without_scores(results: Results, counts: dict[str, int]) -> Results:
    """Return results in which the first images have no IoU of some maps."""
    for method, count in counts.items():
        at = [k for k, c in enumerate(results.columns) if (c.method, c.metric) == (method, "iou")]
        code = REASONS.index("empty prediction")
        results = undefined(results, np.ix_(range(count), at), code)
    return results


def texts_of(figure: str) -> list[str]:
    return [re.sub(r"<[^>]+>", "", one) for one in re.findall(r"<text .*?</text>", figure)]


def start(figure: str) -> str:
    (found,) = (text for text in texts_of(figure) if text.startswith("\u2020 mean"))
    return found


@pytest.mark.usefixtures("no_figures")
def test_a_mean_over_fewer_images_has_a_dagger_and_its_counts(tmp_path) -> None:
    results = made(20, models=("net",), binarizers=("p95",), value=low)
    for figure in headlines(results, tmp_path):
        assert "\u2020" not in figure
        assert "fewer" not in figure
    fewer = without_scores(results, {"cam": 6, "center": 1})
    wide, phone = headlines(fewer, tmp_path)
    for figure in (wide, phone):
        note = " ".join(texts_of(figure)[texts_of(figure).index(start(figure)) :])
        assert note == "\u2020 mean over fewer images: cam 14 of 20; center 19 of 20"
        assert re.search(r'aria-label="[^"]* Mean over fewer images: cam 14 of 20; ', figure)
        assert re.search(r"<title>cam: [^<]*, over 14 of 20 images</title>", figure)
        assert re.search(r"<title>grad_cam: [^<,]*(\[[^<]*\])?</title>", figure)
    assert texts_of(wide).count("\u2020") == 2
    assert sum("\u2020 " in text for text in texts_of(phone)) == 3  # two rows and the note
    tall = [float(re.findall(r'viewBox="0 0 \d+ (\d+)', one)[0]) for one in (wide, phone)]
    for figure, height in zip((wide, phone), tall, strict=True):
        assert max(map(float, re.findall(r'<text [^>]* y="([\d.]+)"', figure))) < height


@pytest.mark.usefixtures("no_figures")
def test_networks_over_fewer_images_have_a_dagger(tmp_path) -> None:
    counts = {"b": {"cam": 4, "grad_cam": 4}, "c": {"center": 3}}
    parts = [
        without_scores(
            made(20, models=(name,), binarizers=("p95",), value=low), counts.get(name, {})
        )
        for name in "abcde"
    ]
    for figure in headlines(concat(parts), tmp_path):
        note = " ".join(texts_of(figure)[texts_of(figure).index(start(figure)) :])
        assert note == "\u2020 mean over fewer images: b 16 of 20; c, best guess 17 of 20"
        assert len(re.findall("<title>[^<]*, over 1[67] of 20 images</title>", figure)) == 2
        assert sum("\u2020" in text for text in texts_of(figure)) == 3


NAME = "95% Hausdorff distance of surfaces (px)"


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("count", [1, 5])
def test_the_name_of_a_metric_is_whole_and_over_no_tick(tmp_path, count) -> None:
    own = {"iou": replace(KNOWN["iou"], title=NAME)}
    parts = [
        made(20, models=(name,), binarizers=("p95",), metrics=own, value=low)
        for name in "abcde"[:count]
    ]
    wide, _ = headlines(concat(parts), tmp_path)
    texts = texts_of(wide)
    assert NAME in f"{texts[0]} {texts[1]}"
    assert f"mean {NAME}" in texts
    places = dict(re.findall(r'<text [^>]* y="([\d.]+)" [^>]*>([^<]*)</text>', wide))
    at = {text: float(y) for y, text in places.items()}
    ticks = re.findall(r'<text class="soft small" [^>]* y="([\d.]+)" [^>]*>\.\d+</text>', wide)
    assert at[f"mean {NAME}"] >= max(map(float, ticks)) + 12


@pytest.mark.usefixtures("no_figures")
def test_a_short_name_of_a_metric_is_beside_the_ticks(tmp_path) -> None:
    results = made(20, models=("net",), binarizers=("p95",), value=low)
    wide, _ = headlines(results, tmp_path)
    (name,) = re.findall(r'y="([\d.]+)"[^>]*>mean IoU<', wide)
    assert name in re.findall(r'<text class="soft small" [^>]* y="([\d.]+)" [^>]*>0</text>', wide)

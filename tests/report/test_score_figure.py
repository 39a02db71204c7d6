"""Figures of a user's own: rows of marks on one axis, and their numbers."""

import re
from math import inf, nan

import pandas as pd
import pytest
from pages import Page, made, written

from cameval.errors import SettingError
from cameval.evaluation import Results
from cameval.report import ScoreFigure, ScoreMark, ScoreRow, Section, Table, table_of
from cameval.report._score_figure_drawing import chart_of

pytestmark = pytest.mark.usefixtures("no_figures")

NAMES = {
    "score": "ours",
    "guess": "best guess",
    "baseline": "class mean",
    "bound": "bound",
    "published": "the paper",
}
ROWS = [
    ScoreRow(
        "validated",
        [ScoreMark("score", 0.1), ScoreMark("bound", 0.3)],
        detail="12 slices",
        apart=True,
    ),
    ScoreRow(
        "percentile:95",
        [
            ScoreMark("published", 0.153, detail="(VGG-19)"),
            ScoreMark("score", 0.124, 0.075, 0.176),
            ScoreMark("guess", 0.099),
            ScoreMark("baseline", 0.12),
            ScoreMark("bound", nan),
        ],
    ),
]
LABEL = "At percentile:95 ours is .124, the paper has .153."


def figure(**changes) -> ScoreFigure:
    settings = {
        "title": "Mean IoU",
        "label": LABEL,
        "rows": ROWS,
        "names": NAMES,
        "ends": (0, 0.4),
    }
    return ScoreFigure(**{**settings, **changes})


def small() -> Results:
    return made(
        n=9,
        groups=3,
        methods=("cam",),
        baselines={"center": "nothing"},
        binarizers=("p95",),
        metrics=("iou",),
    )


def numbers(text: str, pattern: str) -> list[float]:
    return [float(value) for value in re.findall(pattern, text)]


def axis_of(svg: str) -> tuple[float, float]:
    """Return where 0 and .4 are, by the words below the axis."""
    places = dict(
        re.findall(r'<text class="soft small" x="([\d.]+)"[^>]*middle">([\d.]+)</text>', svg)
    )
    by_word = {word: float(x) for x, word in places.items()}
    return by_word["0"], by_word[".4"]


# --- What is drawn --------------------------------------------------------------------------------


@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_marks_lie_where_their_numbers_are_on_the_axis(width: str) -> None:
    svg = getattr(chart_of(figure()).drawing, width)
    zero, end = axis_of(svg)
    of_rows = svg[svg.index("ours: ") :]  # the marks before it are those of the legend
    place = numbers(of_rows, r'<circle class="net edge" cx="([\d.]+)"')
    expected = [zero + value / 0.4 * (end - zero) for value in (0.1, 0.124)]
    assert place == pytest.approx(expected, abs=0.06)
    (square,) = numbers(of_rows, r'<rect class="published" x="([\d.]+)"')
    assert square + 6 == pytest.approx(zero + 0.153 / 0.4 * (end - zero), abs=0.06)
    (interval,) = re.findall(r'<line class="net" x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"', of_rows)
    ends = [zero + value / 0.4 * (end - zero) for value in (0.075, 0.176)]
    assert [float(x) for x in interval] == pytest.approx(ends, abs=0.06)
    assert f'aria-label="{LABEL}"' in svg
    assert "<title>percentile:95, ours: .124 [.075, .176]</title>" in svg
    assert "<title>percentile:95, the paper: .153 (VGG-19)</title>" in svg
    assert "percentile:95, bound" not in svg


def test_a_line_beyond_the_axis_is_cut_off_and_its_text_replaces_the_ends() -> None:
    mark = ScoreMark("published", 0.928, 0.839, 1.017, text=".928 (.089)")
    one = figure(rows=[ScoreRow("accuracy", [mark])], ends=(0.8, 1))
    chart = chart_of(one)
    low, high = re.findall(
        r'<line class="ink" x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"', chart.drawing.desktop
    )[0]
    ticks = numbers(chart.drawing.desktop, r'class="soft small" x="([\d.]+)"')
    assert float(high) == ticks[-1]
    assert ticks[0] < float(low) < ticks[-1]
    cell = chart.data[0].blocks[0].rows[0].cells[0]
    assert (cell.text, cell.detail) == (".928 (.089)", "")


def test_a_bar_ends_at_the_bound_and_a_line_joins_two_scores() -> None:
    shares = [
        ScoreRow("glioma", [ScoreMark("score", 0.05), ScoreMark("bound", 0.35)], "285 slices"),
        ScoreRow("all", [ScoreMark("score", 0.1), ScoreMark("published", 0.2, text="20 %")]),
    ]
    svg = chart_of(figure(rows=shares, percent=True, bars=True)).drawing.desktop
    ((left, wide),) = re.findall(r'class="room" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', svg)
    ticks = numbers(svg, r'class="soft small" x="([\d.]+)"[^>]*middle"')
    assert float(wide) == pytest.approx((ticks[-1] - ticks[0]) * 0.35 / 0.4, abs=0.11)
    assert float(left) == ticks[0]
    assert ">5.0\u00a0%<" in svg
    assert ">20 %<" in svg
    (joined,) = re.findall(r'<line class="guess" x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"', svg)
    tenth = (ticks[-1] - ticks[0]) / 4
    assert float(joined[1]) - float(joined[0]) == pytest.approx(tenth, abs=0.11)


def test_the_table_has_every_number_of_the_figure() -> None:
    table: Table = chart_of(figure()).data[0]
    assert table.titles == ["", "ours", "best guess", "class mean", "bound", "the paper"]
    first, second = table.blocks[0].rows
    assert [cell.text for cell in first.cells] == [".100", "", "", ".300", ""]
    assert [cell.text for cell in second.cells] == [".124", ".099", ".120", "\u2013", ".153"]
    assert second.cells[0].detail == "[.075, .176]"
    assert second.cells[4].detail == "(VGG-19)"


@pytest.mark.parametrize(
    ("ends", "ticks"),
    [
        ((0, 0.4), ["0", ".1", ".2", ".3", ".4"]),
        ((0, 0.9), ["0", ".2", ".4", ".6", ".8"]),
        ((0, 1), ["0", ".2", ".4", ".6", ".8", "1"]),
        ((0.8, 1), [".8", ".85", ".9", ".95", "1"]),
        ((-5, 25), ["\u22125", "0", "5", "10", "15", "20", "25"]),
    ],
)
def test_ticks_are_round(ends: tuple[float, float], ticks: list[str]) -> None:
    rows = [ScoreRow("a", [ScoreMark("score", ends[1])])]
    svg = chart_of(figure(rows=rows, ends=ends)).drawing.desktop
    assert re.findall(r'class="soft small"[^>]*middle">([^<]*)<', svg) == ticks


# --- On the page ----------------------------------------------------------------------------------


def test_figures_come_after_paragraphs_and_before_tables(tmp_path) -> None:
    table = table_of(pd.DataFrame({"fold": ["first"], "IoU": [0.25]}), "By fold")
    one = Section("paper", "Against the paper", "In a word.", [table], figures=[figure()])
    alone = Section("alone", "Alone", figures=[figure(title="<Second> & last", caption="-.02")])
    page: Page = written(small(), tmp_path, sections=[one, alone])
    order = [page.source.index(text) for text in ("In a word.", LABEL, "<span>By fold</span>")]
    assert order == sorted(order)
    assert page.ids.index("paper") < page.ids.index("guessing")
    assert page.source.count('<svg class="headline" viewBox="0 0 326') == 3  # with the headline's
    assert page.table("Mean IoU").find("percentile:95", "the paper") == ".153 | (VGG-19)"
    assert "&lt;Second&gt; &amp; last" in page.source
    assert "\u2212.02" in page.source


def test_a_banner_is_first_and_an_opening_begins_the_headline(tmp_path) -> None:
    plain = written(small(), tmp_path / "plain")
    page = written(small(), tmp_path / "own", banner="Made up <images>", opening="Accuracy .955.")
    assert page.headline == f"Accuracy .955. {plain.headline}"
    assert page.chip == plain.chip
    banner = page.source.index('role="note">Made up &lt;images&gt;</p>')
    assert page.source.index('<section id="summary">') < banner < page.source.index("<h1>")
    assert 'class="banner"' not in plain.source


# --- What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScoreMark("dot", 0.1), "kind must be one of score, guess"),
        (lambda: ScoreMark("score", inf), "value must be finite or NaN, got inf"),
        (lambda: ScoreMark("score", 0.1, 0.2, 0.1), "low and high must be in this order"),
        (lambda: ScoreMark("score", 0.1, low=0.05), "or both NaN, got 0.05 and nan"),
        (lambda: ScoreRow(" ", []), "name must say what the row is"),
        (lambda: ScoreRow("a", [ScoreMark("score", 0.1)] * 2), "got 'score' twice"),
        (lambda: figure(title=""), "title must say what the figure shows"),
        (lambda: figure(label=" "), "label must say what the figure shows"),
        (lambda: figure(rows=[]), "rows of 'Mean IoU' must be at least one"),
        (lambda: figure(names={"score": "ours"}), "names must have one for 'bound'"),
        (lambda: figure(ends=(1, 0)), "ends must be finite and in order"),
        (lambda: figure(ends=(0, 0.11)), r"got 0.3 in the row 'validated'; give other ends"),
        (lambda: Section("a", "A", figures=figure()), "figures of 'a' must be a list"),
        (lambda: Section("a", "A", figures=["x"]), "must be a list of ScoreFigure, got str"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()

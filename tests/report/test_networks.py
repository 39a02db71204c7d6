"""Results of many networks: one figure with a row for each, and sentences that name the ends."""

import re

import pytest
from pages import Page, made, undefined, written

from cameval import concat
from cameval.evaluation import Results
from cameval.evaluation._numbers import format_short
from cameval.report import format_number, page_tests

pytestmark = pytest.mark.usefixtures("no_figures")


def of_networks(levels: dict[str, float], **options) -> Results:
    """Make results of networks whose first method has such means; the guess has .3."""
    parts = [
        made(
            40,
            groups=20,
            models=(model,),
            binarizers=("p95",),
            value=lambda c, level=level: (
                0.8
                if c.metric == "area_bound"
                else level + 0.05 * (c.method == "grad_cam")
                if c.kind == "method"
                else 0.3
            ),
            **options,
        )
        for model, level in levels.items()
    ]
    return concat(parts)


def rows_of(page: Page, class_: str) -> list[list[str]]:
    """Return the texts of a figure in each width, in their order."""
    figures = re.findall(r'<svg class="headline".*?</svg>', page.source, re.DOTALL)
    return [re.findall(rf'<text class="{class_}"[^>]*>([^<]*)<', one) for one in figures[:2]]


def test_many_networks_have_one_figure_and_their_own_are_folded(tmp_path) -> None:
    levels = {"a": 0.3, "b": 0.5, "c": 0.1, "d": 0.4, "e": 0.27}
    results = of_networks(levels)
    page = written(results, tmp_path)
    best = results.select(metric="iou", method="grad_cam").summary().set_index("model")["mean"]
    order = best.sort_values(ascending=False).index.tolist()
    assert order == ["b", "d", "a", "e", "c"]
    desktop, phone = rows_of(page, "ink bold")
    assert desktop == phone == order
    table = page.table("The best maps of each network")
    assert [head for _, head, _ in table.rows] == order
    for model in order:
        assert table.find(model, "IoU").split(" | ")[0] == format_number(best[model])
        assert table.find(model, "best map") == "grad_cam, p95"
    guess = results.select(metric="iou", method="center").summary().set_index("model")["mean"]
    assert table.find("b", "best guess") == f"{format_number(guess['b'])} | center"
    tests = page_tests(results)
    difference = tests.query("first == 'grad_cam' and second == 'center'").set_index("model")
    for model in order:
        row = difference.loc[model]
        said = table.find(model, "minus best guess")
        ends = f"[{row.low_holm:.3f}, {row.high_holm:.3f}]"
        assert said[2:] == f"{row.difference:+.3f} {ends}".replace("0.", ".")
    assert [table.find(model, "verdict")[0] for model in order] == list("▲▲▲≈▼")
    label = re.search(r'aria-label="(Mean IoU of the best maps[^"]*)"', page.source)[1]
    assert label.startswith(
        f"Mean IoU of the best maps of 5 networks: from {best['b']:.2f} (b)".replace("0.", ".")
    )
    assert label.endswith("better than its best guess: 3 of 5, worse: 1.")
    fold = page.source.index("The figure of each network")
    assert page.source.index('<svg class="headline"') < fold
    assert page.source.count('<section class="panel"', 0, fold) == 1
    assert page.source.count('<section class="panel"', fold) == 5
    assert f"from {format_short(best['c'])} (c) to {format_short(best['b'])} (b)" in page.says


def test_the_marks_of_a_row_are_at_their_values(tmp_path) -> None:
    levels = {"a": 0.3, "b": 0.5, "c": 0.1, "d": 0.4, "e": 0.27}
    results = of_networks(levels)
    page = written(results, tmp_path)
    figure = re.search(r'<svg class="headline".*?</svg>', page.source, re.DOTALL)[0]
    assert len(re.findall('<circle class="net edge"', figure)) == 1 + len(levels)  # the head
    assert len(re.findall('<path class="guess edge"', figure)) == 1 + len(levels)
    at = [float(x) for x in re.findall(r'<circle class="net edge" cx="([\d.]+)"', figure)[1:]]
    ticks = sorted({float(x) for x in re.findall(r'<line class="line" x1="([\d.]+)"', figure)})
    means = results.select(metric="iou", method="grad_cam").summary()["mean"].sort_values()
    expected = [ticks[0] + mean * (ticks[-1] - ticks[0]) for mean in means[::-1]]
    assert at == pytest.approx(expected, abs=0.06)


def test_networks_beyond_the_verdict_have_a_row_without_a_test(tmp_path) -> None:
    results = of_networks({k: 0.2 + 0.05 * i for i, k in enumerate("abcdefgh")})
    page = written(results, tmp_path)
    table = page.table("The best maps of each network")
    assert [head for _, head, _ in table.rows] == list("hgfedcba")
    assert [table.find(k, "verdict") == "not tested" for k in "hgf"] == [True, True, False]
    assert table.find("h", "minus best guess") == ""
    assert "first 6 networks of the results; 2 more networks are in the figure" in page.text
    figure = re.search(r'<svg class="headline".*?</svg>', page.source, re.DOTALL)[0]
    assert figure.count(">not tested</text>") == 2


def test_a_network_without_a_score_has_a_row_that_says_so(tmp_path) -> None:
    results = of_networks({"a": 0.3, "b": 0.5, "c": 0.1, "d": 0.4, "e": 0.27})
    none = undefined(results, (results.samples["model"] == "b").to_numpy(), 1)
    page = written(none, tmp_path)
    desktop, phone = rows_of(page, "soft bold")
    assert desktop == phone == ["b"]
    assert page.table("The best maps of each network").rows[-1][1] == "b"
    figure = re.search(r'<svg class="headline".*?</svg>', page.source, re.DOTALL)[0]
    assert figure.count(">no score</text>") == 1
    assert figure.count('<circle class="net edge"') == 5


def test_of_many_networks_by_a_distance_the_lowest_is_first(tmp_path) -> None:
    results = of_networks({"a": 0.3, "b": 0.5, "c": 0.1, "d": 0.4, "e": 0.27}, metrics=("hd",))
    page = written(results, tmp_path)
    assert rows_of(page, "ink bold")[0] == ["c", "e", "a", "d", "b"]

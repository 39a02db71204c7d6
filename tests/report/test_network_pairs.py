"""Which of two or three networks has the better maps: words, figure, terminal, and the tests."""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from pages import Page, made, written

from cameval import concat
from cameval.evaluation import Results
from cameval.report import page_tests, verdict_lines

pytestmark = pytest.mark.usefixtures("no_figures")

HIGH_AND_LOW = {
    "a": {"p75": 0.4, "p95": 0.3, "otsu": 0.5},
    "b": {"p75": 0.3, "p95": 0.4, "otsu": 0.5},
}
"""Networks of which each is better with one binarizer, and equal with the third."""


def of_networks(levels: Mapping[str, Mapping[str, float]], **options) -> Results:
    """Make results of networks whose maps have such means; the differences have no variance."""
    parts = [
        made(
            40,
            **{"groups": 20, "methods": ("cam",), **options},
            models=(model,),
            binarizers=tuple(of_model),
            value=lambda c, of_model=of_model: (
                of_model.get(c.binarizer, 0.2) if c.kind == "method" else 0.2
            ),
        )
        for model, of_model in levels.items()
    ]
    return concat(parts)


def differences_in(lines: list[str]) -> list[list[str]]:
    """Return binarizer and difference of each line that has them."""
    return [line.split(maxsplit=1) for line in lines if re.match(r"    \S", line)]


def figure_of(page: Page) -> str:
    """Return the figure of the differences, in the wide form."""
    return re.search(r'<svg class="headline"[^>]*><title>Difference.*?</svg>', page.source)[0]


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        (
            HIGH_AND_LOW,
            "Which network's maps find the object better depends on the binarizer: those of a with "
            "p75; those of b with p95.",
        ),
        (
            {"a": {"p75": 0.4, "p95": 0.4}, "b": {"p75": 0.3, "p95": 0.3}},
            "The maps of a find the object better than those of b with each of the 2 binarizers.",
        ),
        (
            {"a": {"p75": 0.3, "p95": 0.4}, "b": {"p75": 0.4, "p95": 0.4}},
            "The maps of b find the object better than those of a with p75; with p95 no difference "
            "is shown.",
        ),
        (
            {"a": {"p75": 0.4, "p95": 0.4}, "b": {"p75": 0.4, "p95": 0.4}},
            "No difference between the maps of a and b is shown with any binarizer.",
        ),
        (
            {"a": {"p75": 0.4}, "b": {"p75": 0.3}},
            "The maps of a find the object better than those of b.",
        ),
        (
            {"a": {"p75": 0.4}, "b": {"p75": 0.4}},
            "No difference between the maps of a and b is shown.",
        ),
        (
            {name: {f"p{k}": level for k in range(5)} for name, level in (("a", 0.3), ("b", 0.4))},
            "The maps of b find the object better than those of a with each of the 5 binarizers.",
        ),
    ],
)
def test_the_first_screen_and_the_terminal_say_which_is_better(levels, said, tmp_path) -> None:
    results = of_networks(levels)
    assert said in written(results, tmp_path).says
    assert said in " ".join(verdict_lines(results))


def test_of_too_few_groups_nothing_is_said(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW, groups=4)
    said = "The groups are too few to tell the maps of a from those of b."
    assert said in written(results, tmp_path).says
    assert said in " ".join(verdict_lines(results))


def test_a_binarizer_that_was_fixed_is_the_only_one(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW)
    lines = verdict_lines(results, binarizer="p95")
    assert "The maps of b find the object better than those of a." in lines
    tests = page_tests(results, binarizer="p95").query("kind == 'model'")
    assert tests["binarizer"].tolist() == ["p95"]


def test_less_may_be_better(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW, metrics=("hd",))
    page = written(results, tmp_path)
    assert "depends on the binarizer: those of a with p95; those of b with p75." in page.says
    words = re.findall(r'<text class="soft"[^>]*>([^<]*)</text>', figure_of(page))
    assert words == ["\u2190 a better", "b better \u2192"]


def test_numbers_are_those_of_the_tests_of_the_page(tmp_path) -> None:
    results = of_networks({**HIGH_AND_LOW, "c": {"p75": 0.32, "p95": 0.2, "otsu": 0.6}})
    rng = np.random.default_rng(1)
    results = replace(results, values=results.values + rng.normal(0, 0.03, results.values.shape))
    page = written(results, tmp_path)
    tests = page_tests(results).query("kind == 'model'")
    assert len(tests) == 9
    table = page.table("Difference in mean IoU between networks")
    lines = differences_in(verdict_lines(results))
    assert len(table.rows) == len(lines) == 9
    for row, (block, head, cells), line in zip(tests.itertuples(), table.rows, lines, strict=True):
        assert block == f"{row.first} minus {row.second}"
        assert head == line[0] == row.binarizer
        ends = f"[{row.low_holm:.3f}, {row.high_holm:.3f}]"
        number = f"{row.difference:+.3f} {ends}".replace("0.", ".")
        symbol = "\u2248" if row.p_holm >= 0.05 else "\u25b2" if row.difference > 0 else "\u25bc"
        assert cells == [f"{symbol} {number}"]
        assert line[1].replace("\u2212", "-") == cells[0]
    assert table.titles == ["binarizer", "difference"]  # p is in one table of the page


def test_the_marks_are_at_the_differences_and_full_where_one_is_shown(tmp_path) -> None:
    page = written(of_networks(HIGH_AND_LOW), tmp_path)
    figure = figure_of(page)
    ticks = [float(x) for x in re.findall(r'<line class="line" x1="([\d.]+)"', figure)]
    marks = re.findall(r'<circle class="([\w ]+)" cx="([\d.]+)"', figure)
    assert [look for look, _ in marks] == ["net edge", "net edge", "hollow"]
    first, second, third = (float(x) for _, x in marks)
    zero = (min(ticks) + max(ticks)) / 2
    assert third == pytest.approx(zero, abs=0.06)
    assert first - zero == pytest.approx(zero - second, abs=0.11)
    assert first > zero
    (rule,) = {float(x) for x in re.findall(r'<line class="ink" x1="([\d.]+)"', figure)}
    assert rule == pytest.approx(zero, abs=0.06)


def test_of_more_networks_the_pairs_are_counted(tmp_path) -> None:
    levels = {name: {"p75": 0.3, "p95": 0.3 + 0.05 * k} for k, name in enumerate("aabcd")}
    results = of_networks(levels)
    page = written(results, tmp_path)
    said = "Of 6 pairs of networks, a difference is shown for 6, with cam, p95 (Paired tests)."
    assert said in page.says
    assert "has the better maps?" not in page.text
    lines = verdict_lines(results)
    assert said in " ".join(lines)
    assert differences_in(lines) == []
    assert len(page_tests(results).query("kind == 'model'")) == 6


def test_networks_beyond_the_verdict_are_not_tested() -> None:
    results = of_networks({f"n{k}": {"p95": 0.2 + 0.05 * k} for k in range(8)})
    tests = page_tests(results).query("kind == 'model'")
    assert len(tests) == 15
    assert {*tests["first"], *tests["second"]} == {f"n{k}" for k in range(6)}


def test_a_metric_without_a_direction_has_no_better_network(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW, metrics=("unknown",))
    page = written(results, tmp_path)
    assert "better maps?" not in page.text
    assert page.table("Paired differences in unknown between models").rows


def test_names_stay_text(tmp_path) -> None:
    evil = "<script>alert(1)</script>"
    levels = {evil: HIGH_AND_LOW["a"], "b & <i>": HIGH_AND_LOW["b"]}
    page = written(of_networks(levels), tmp_path)
    assert evil not in page.source
    assert "<i>" not in page.source
    assert "&lt;i&gt;" in figure_of(page)

"""Which of two or three networks has the better maps: words, figure, terminal, and the tests."""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from pages import Page, made, written

from cameval import choose_binarizers, concat
from cameval.evaluation import Results
from cameval.report import format_p, page_tests, verdict_lines

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
    found = [re.fullmatch(r" {4}(\S.*?) +([^\w\s]? ?[+\u2212]?\.\d.*)", line) for line in lines]
    return [list(one.groups()) for one in found if one is not None]


def figure_of(page: Page) -> str:
    """Return the figure of the differences, in the wide form."""
    return re.search(r'<svg class="headline"[^>]*><title>Difference.*?</svg>', page.source)[0]


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        (
            HIGH_AND_LOW,
            "In IoU, it depends on the binarizer which has the better maps: a with p75; b with "
            "p95.",
        ),
        (
            {"a": {"p75": 0.4, "p95": 0.4}, "b": {"p75": 0.3, "p95": 0.3}},
            "In IoU, the maps of a are better than those of b with each of the 2 binarizers.",
        ),
        (
            {"a": {"p75": 0.3, "p95": 0.4}, "b": {"p75": 0.4, "p95": 0.4}},
            "In IoU, the maps of b are better than those of a with p75; with p95 no difference is "
            "shown.",
        ),
        (
            {"a": {"p75": 0.4, "p95": 0.4}, "b": {"p75": 0.4, "p95": 0.4}},
            "In IoU, no difference between the maps of a and b is shown with any binarizer.",
        ),
        (
            {"a": {"p75": 0.4}, "b": {"p75": 0.3}},
            "In IoU, the maps of a are better than those of b.",
        ),
        (
            {"a": {"p75": 0.4}, "b": {"p75": 0.4}},
            "In IoU, no difference between the maps of a and b is shown.",
        ),
        (
            {name: {f"p{k}": level for k in range(5)} for name, level in (("a", 0.3), ("b", 0.4))},
            "In IoU, the maps of b are better than those of a with each of the 5 binarizers.",
        ),
    ],
)
def test_the_first_screen_and_the_terminal_say_which_is_better(levels, said, tmp_path) -> None:
    results = of_networks(levels)
    assert said in written(results, tmp_path).says
    assert said in " ".join(verdict_lines(results))


def test_of_too_few_groups_nothing_is_said(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW, groups=4)
    said = "In IoU, the groups are too few to tell the maps of a from those of b."
    assert said in written(results, tmp_path).says
    assert said in " ".join(verdict_lines(results))


def test_of_several_methods_the_sentence_names_its_own(tmp_path) -> None:
    results = made(40, groups=20, methods=("cam", "grad_cam"), models=("a", "b"))
    assert "In IoU, for cam, no difference between" in written(results, tmp_path).says
    fixed = " ".join(" ".join(verdict_lines(results, method="grad_cam")).split())
    assert "In IoU, for grad_cam, no difference between" in fixed


def test_groups_that_are_too_few_after_a_correction_are_called_that(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW, groups=6)
    n = len(page_tests(results))
    said = (
        "In IoU, the groups are too few to tell the maps of a from those of b, after correction "
        f"for {n} tests."
    )
    assert said in written(results, tmp_path).says


def test_with_a_fixed_binarizer_the_others_are_not_tested(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW)
    lines = verdict_lines(results, binarizer="p95")
    assert "In IoU, the maps of b are better than those of a." in " ".join(lines)
    assert ["p75", "+.100 (not tested)"] in differences_in(lines)
    assert "With the 2 other binarizers it is .000 to +.100 (not tested)." in " ".join(lines)
    tests = page_tests(results, binarizer="p95").query("kind == 'model'")
    assert tests["binarizer"].tolist() == ["p95", ""]
    page = written(results, tmp_path, binarizer="p95")
    table = page.table("Difference in mean IoU and AUROC between networks")
    assert [head for _, head, _ in table.rows] == ["p95", "p75", "otsu", "AUROC"]
    assert table.rows[1][2] == ["+.100 (not tested)", "", ""]


def test_less_may_be_better(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW, metrics=("hd",))
    page = written(results, tmp_path)
    assert "which has the better maps: a with p95; b with p75." in page.says
    words = re.findall(r'<text class="soft"[^>]*>([^<]*)</text>', figure_of(page))
    assert words == ["\u2190 a better", "b better \u2192"]


def test_numbers_are_those_of_the_tests_of_the_page(tmp_path) -> None:
    results = of_networks({**HIGH_AND_LOW, "c": {"p75": 0.32, "p95": 0.2, "otsu": 0.6}})
    rng = np.random.default_rng(1)
    results = replace(results, values=results.values + rng.normal(0, 0.03, results.values.shape))
    page = written(results, tmp_path)
    tests = page_tests(results).query("kind == 'model'")
    assert len(tests) == 12
    table = page.table("Difference in mean IoU and AUROC between networks")
    by_pair = [f"{first} minus {second}" for first, second in ("ab", "ac", "bc")]
    assert [(block, head) for block, head, _ in table.rows] == [
        *((f"IoU: {pair}", name) for pair in by_pair for name in ("p75", "p95", "otsu")),
        *((f"AUROC: {pair}", "AUROC") for pair in by_pair),
    ]
    cells = {(block, head): cells for block, head, cells in table.rows}
    lines = differences_in(verdict_lines(results))
    assert len(lines) == 12
    for row, (name, said) in zip(tests.itertuples(), lines, strict=True):
        title = {"iou": "IoU", "pixel_auroc": "AUROC"}[row.metric]
        assert name == (row.binarizer or title)
        ends = f"[{row.low_holm:.3f}, {row.high_holm:.3f}]"
        number = f"{row.difference:+.3f} {ends}".replace("0.", ".")
        symbol = "\u2248" if row.p_holm >= 0.05 else "\u25b2" if row.difference > 0 else "\u25bc"
        corrected, alone = format_p(row.p_holm), format_p(row.p)
        cell = [f"{symbol} {number}", corrected, alone]
        assert cells[f"{title}: {row.first} minus {row.second}", name] == cell
        equals = corrected if corrected.startswith("<") else f"= {corrected}"
        p = f"p {equals}, {alone} alone"
        assert said.replace("\u2212", "-") == f"{symbol} {number}  {p}"
    size = len(page_tests(results))
    p_titles = [f"p, corrected for {size} tests", "p alone"]
    assert table.titles == ["binarizer", "difference", *p_titles]
    assert max(map(len, verdict_lines(results))) <= 80


def test_one_test_of_a_pair_is_told_with_both_p_and_compare_has_the_one_alone(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW)
    rng = np.random.default_rng(1)
    results = replace(results, values=results.values + rng.normal(0, 0.15, results.values.shape))
    (test,) = page_tests(results, binarizer="p95").query("kind == 'model' and metric == 'iou'").iloc
    assert test.p < test.p_holm
    corrected, alone = (f"{p:.3f}".removeprefix("0") for p in (test.p_holm, test.p))
    said = f"Test with p95: p = {corrected} corrected for {test.tests} tests, p = {alone} alone."
    assert said in written(results, tmp_path, binarizer="p95").says
    assert said in " ".join(verdict_lines(results, binarizer="p95"))
    table = results.compare("iou", over="model", reference="b", method="cam", binarizer="p95")
    assert format_p(table["p"].iloc[0]) == alone


def test_the_marks_are_at_the_differences_and_full_where_one_is_shown(tmp_path) -> None:
    page = written(of_networks(HIGH_AND_LOW), tmp_path)
    figure = figure_of(page)
    ticks = [float(x) for x in re.findall(r'<line class="line" x1="([\d.]+)"', figure)]
    marks = re.findall(r'<circle class="([\w ]+)" cx="([\d.]+)"', figure)
    assert [look for look, _ in marks] == ["net edge", "net edge", "hollow", "hollow"]  # AUROC
    first, second, third, _ = (float(x) for _, x in marks)
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
    said = "In IoU, a difference is shown for 6 of 6 pairs of networks, with cam, p95."
    assert said in page.says
    assert "has the better maps?" not in page.text
    lines = verdict_lines(results)
    assert said in " ".join(lines)
    assert differences_in(lines) == []
    assert len(page_tests(results).query("kind == 'model'")) == 6


def test_of_three_networks_the_pairs_are_counted_by_metric(tmp_path) -> None:
    results = of_networks({**HIGH_AND_LOW, "c": HIGH_AND_LOW["b"]})
    said = written(results, tmp_path).says
    assert (
        "In IoU, a difference is shown for 2 of 3 pairs of networks, with at least one binarizer; "
        "for 2 its sign depends on the binarizer. In AUROC, without a threshold, a difference is "
        "shown for 0 of 3 pairs of networks, with cam."
    ) in said


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


def test_a_metric_without_a_threshold_can_have_another_answer(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW)
    values = results.values.copy()
    rows = (results.samples["model"] == "b").to_numpy()
    for k, column in enumerate(results.columns):
        if column.metric == "pixel_auroc":
            values[rows, k] += 0.1
    page = written(replace(results, values=values), tmp_path)
    said = "In AUROC, without a threshold, the maps of b are better than those of a."
    assert said in page.says


def test_the_truth_at_the_grid_of_each_network_is_named_where_it_differs(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW)
    same = written(results, tmp_path / "same")
    assert "A map of the truth" not in same.says
    values = results.values.copy()
    rows = (results.samples["model"] == "b").to_numpy()
    for k, column in enumerate(results.columns):
        if column.method == "truth":
            values[rows, k] = 0.75
    page = written(replace(results, values=values), tmp_path / "other")
    assert re.search(
        r"A map of the truth at the grid of each scores \.\d+ \(a\) and \.75 \(b\)", page.says
    )


def test_each_network_has_its_own_chosen_threshold(tmp_path) -> None:
    results = of_networks(HIGH_AND_LOW)
    parts = []
    for model in "ab":
        one = results.select(model=model)
        chosen = choose_binarizers(renamed(one), "iou")
        parts.append(chosen.apply(one, "validated"))
    page = written(concat(parts), tmp_path, binarizer="validated")
    found = re.search(r"paired differences, cam(, each with[^<]*)<", page.source)[1]
    assert found == (", each with its own threshold, chosen on other images: otsu (a), otsu (b)")


def renamed(results: Results) -> Results:
    """Return the results as of other images, of other groups."""
    samples = results.samples.assign(
        sample="other " + results.samples["sample"], group="other " + results.samples["group"]
    )
    return replace(results, samples=samples)

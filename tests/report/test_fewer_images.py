"""Means of a row that are over fewer images than the row says are marked, with a note."""

from dataclasses import replace

import numpy as np
import pytest
from pages import KNOWN, Page, made, of_targets, undefined, written

from cameval import concat
from cameval.evaluation import REASONS, Results
from cameval.evaluation.meaning import MetricMeaning

pytestmark = pytest.mark.usefixtures("no_figures")

METRICS = {
    "iou": KNOWN["iou"],
    "distance": MetricMeaning("distance", "masks", higher_is_better=False),
}
EMPTY_TRUTH, EMPTY = REASONS.index("empty truth"), REASONS.index("empty prediction")
WHY = "\u2020 Over fewer images, as the score is undefined for the others. "


def without(results: Results, metric: str, count: int, code: int, **of: str) -> Results:
    """Return results in which the first images have no score of some columns."""
    at = [
        k
        for k, column in enumerate(results.columns)
        if column.metric == metric and all(getattr(column, f) == v for f, v in of.items())
    ]
    return undefined(results, np.ix_(range(count), at), code)


def notes(page: Page) -> list[str]:
    return [line.strip() for line in page.text.split("\n") if line.strip().startswith("\u2020")]


def test_a_mean_over_fewer_images_has_a_mark_and_the_table_a_note(tmp_path) -> None:
    whole = made(28, metrics=METRICS, methods=("cam",), groups=14)
    page = written(without(whole, "distance", 7, EMPTY, method="cam"), tmp_path)
    table = page.table("IoU of all maps")
    at = table.titles.index("distance (lower is better)") - 1
    words = "over 21 of 28 images; undefined in 7 (empty prediction 7)"
    for _, head, cells in table.rows:
        assert (f"\u2020 {words} | [" in cells[at]) == (head == "cam")
        assert "\u2020" not in "".join(cells[:at])
    assert notes(page) == [f"{WHY}distance (lower is better): {words}."]
    assert "Each mean of IoU is over 28 images; no score is undefined" in page.text
    hidden = f'<span class="fewer" title="{words}"><span aria-hidden="true">\u2020</span>'
    assert hidden + f'<span class="unseen"> {words}</span></span>' in page.source


def test_rows_without_a_difference_have_no_mark(tmp_path) -> None:
    page = written(made(28, metrics=METRICS, groups=14), tmp_path)
    assert "\u2020" not in page.text
    assert "Each mean is over 28 images;" in page.text
    both = made(28, metrics=METRICS, groups=14)
    for metric in METRICS:
        both = without(both, metric, 3, EMPTY_TRUTH)
    assert "\u2020" not in written(both, tmp_path / "both").text


def test_the_counts_of_a_row_name_their_metric_where_others_differ(tmp_path) -> None:
    results = made(28, metrics=METRICS, groups=14)
    equal = without(results, "iou", 2, EMPTY, method="cam")
    equal = without(equal, "distance", 2, EMPTY, method="cam")
    titles = written(equal, tmp_path / "equal").table("IoU of all maps").titles
    assert titles[-3:] == ["n", "undefined", "constant maps"]
    more = without(results, "iou", 2, EMPTY, method="cam")
    page = written(more, tmp_path / "more")
    titles = page.table("IoU of all maps").titles
    assert titles[-3:] == ["n (IoU)", "undefined (IoU)", "constant maps"]
    assert not notes(page)  # the distance is over more images than n


def test_counts_and_reasons_of_several_rows_are_ranges(tmp_path) -> None:
    results = made(28, metrics=METRICS, methods=("cam",), groups=14)
    results = without(results, "distance", 7, EMPTY, method="cam", binarizer="p95")
    results = without(results, "distance", 2, EMPTY_TRUTH, method="cam", binarizer="otsu")
    assert notes(written(results, tmp_path)) == [
        f"{WHY}distance (lower is better): over 21 to 26 of 28 images; undefined in 2 to 7 "
        "(empty truth 0 to 2, empty prediction 0 to 7)."
    ]


def test_a_score_that_is_undefined_for_no_known_reason_is_counted(tmp_path) -> None:
    results = made(28, metrics=METRICS, methods=("cam",), groups=14)
    page = written(without(results, "distance", 4, 0, method="cam"), tmp_path)
    assert notes(page)[0].endswith("undefined in 4 (reason not known 4).")


def test_tables_of_several_metrics_are_marked(tmp_path) -> None:
    results = made(28, metrics=("iou", "pixel_auroc"), methods=("cam",), groups=14)
    page = written(without(results, "pixel_auroc", 5, EMPTY_TRUTH, method="cam"), tmp_path)
    assert not notes(page)  # alone in its table
    auroc = KNOWN["pixel_auroc"]
    maps = {"pixel_auroc": auroc, "second": replace(auroc, title="second")}
    results = made(28, metrics={"iou": KNOWN["iou"], **maps}, methods=("cam",), groups=14)
    page = written(without(results, "second", 5, EMPTY_TRUTH, method="cam"), tmp_path / "two")
    assert notes(page) == [f"{WHY}second: over 23 of 28 images; undefined in 5 (empty truth 5)."]
    cells = {head: cells for _, head, cells in page.table("Metrics of maps").rows}
    assert ["\u2020" in one for one in cells["cam"][:2]] == [False, True]
    assert cells["cam"][2] == "23 to 28"


def test_tables_by_class_mark_the_best_guess(tmp_path) -> None:
    results = made(30, metrics=("iou",), methods=("cam",), groups=15)
    page = written(without(results, "iou", 6, EMPTY, kind="baseline"), tmp_path)
    table = page.table("IoU by true class")
    assert table.titles[1] == "n (IoU)"
    shown = {head: cells[-1].split(" | ")[0] for _, head, cells in table.rows}
    of_class = "over 8 of 10 images; undefined in 2 (empty prediction 2)"
    assert shown["round"].endswith(f"\u2020 {of_class}")
    assert shown["all images"].endswith("over 24 of 30 images; undefined in 6 (empty prediction 6)")
    ranges = "undefined in 2 to 6 of 10 to 30 images (empty prediction 2 to 6)."
    assert f"{WHY}best blind baseline: {ranges}" in notes(page)


def test_tables_by_label_mark_means_over_fewer_positives(tmp_path) -> None:
    metrics = ("iou", "pixel_auroc", "false_positive_rate")
    whole = made(60, metrics=metrics, methods=("cam",), groups=20)
    results = of_targets(whole, absent=lambda i: i % 5 == 0)
    present = np.flatnonzero(results.samples["present"].to_numpy(bool))
    at = [k for k, c in enumerate(results.columns) if c.metric == "pixel_auroc"]
    page = written(undefined(results, np.ix_(present[:4], at), EMPTY_TRUTH), tmp_path)
    table = page.table("Classes, their positives and negatives")
    cells = table.rows[-1][2]
    marked = cells[table.titles.index("AUROC") - 1]
    n = int(results.samples["present"].sum())
    assert f"\u2020 over {n - 4} of {n} targets; undefined in 4 (empty truth 4)" in marked
    assert "\u2020" not in cells[table.titles.index("IoU") - 1]
    table = page.table("Marks on negatives")
    at = table.titles.index("AUROC with an object") - 1
    assert all(f"\u2020 over {n - 4} of {n} targets" in cells[at] for _, _, cells in table.rows)


def test_the_table_of_networks_marks_the_guess(tmp_path) -> None:
    models = ("a", "b", "c", "d", "e")
    parts = [
        made(28, models=(model,), metrics=("iou",), methods=("cam",), binarizers=("p95",))
        for model in models
    ]
    parts[0] = without(parts[0], "iou", 3, EMPTY, kind="baseline")
    page = written(concat(parts), tmp_path)
    table = page.table("The best maps of each network")
    at = table.titles.index("best guess") - 1
    marked = {head: "\u2020 over 25 of 28 images" in cells[at] for _, head, cells in table.rows}
    assert marked == {model: model == "a" for model in models}


@pytest.mark.parametrize(("first", "told"), [(0.0, True), (1e-6, False)])
def test_equal_scores_are_told_of_where_they_happen(first, told, tmp_path) -> None:
    results = made(28, groups=14)
    values = np.zeros_like(results.values)
    values[0] = first
    page = written(replace(results, values=values, codes=np.zeros_like(results.codes)), tmp_path)
    note = "Where all scores of a map are equal, each group counts as one image"
    assert (note in page.text) is told

"""Marks of the table of LaTeX: means over fewer images than others, and less that is better."""

import numpy as np
import pytest
from pages import KNOWN, made, undefined

from cameval.evaluation import REASONS, Results
from cameval.evaluation.meaning import MetricMeaning

METRICS = {
    "iou": KNOWN["iou"],
    "distance": MetricMeaning("distance", "masks", higher_is_better=False),
}
MARK = r"$^\dagger$"


@pytest.fixture
def results() -> Results:
    """Return results in which the distance of a method has no score of 7 of 28 images."""
    whole = made(28, metrics=METRICS, binarizers=("otsu",), groups=14, baselines={})
    at = [k for k, c in enumerate(whole.columns) if (c.method, c.metric) == ("cam", "distance")]
    return undefined(whole, np.ix_(range(7), at), REASONS.index("empty prediction"))


def row_of(text: str, method: str) -> list[str]:
    (line,) = (one for one in text.splitlines() if one.startswith(f"{method} & "))
    return line.removesuffix(r" \\").split(" & ")


def test_a_mean_over_fewer_images_is_marked_with_counts_below(results) -> None:
    text = results.to_latex()
    iou, distance = row_of(text, "cam")[2:]
    assert distance.endswith("]" + MARK)
    assert MARK not in iou
    assert text.count(MARK) == 1
    words = "distance: over 21 of 28 images; undefined in 7 (empty prediction 7)"
    assert text.splitlines()[-3:] == [
        r"\bottomrule",
        rf"\multicolumn{{4}}{{l}}{{$\dagger$ {words}}} \\",
        r"\end{tabular}",
    ]
    names = {"image": "slice", "distance": "$d$"}
    assert r"$\dagger$ $d$: over 21 of 28 slices;" in results.to_latex(names=names)


def test_cells_with_their_n_and_tables_of_one_n_have_no_mark(results) -> None:
    for cell in ("mean (n)", "mean, n_undefined", "n_groups"):
        assert "dagger" not in results.to_latex(cell)
    assert MARK in results.to_latex("median")
    assert "dagger" not in results.select(method="grad_cam").to_latex()


def test_one_metric_is_marked_where_the_maps_leave_it_undefined(results) -> None:
    one = results.select(metric="distance")
    assert row_of(one.to_latex(), "cam")[-1].endswith(MARK)
    assert MARK not in row_of(one.to_latex(), r"grad\_cam")[-1]
    assert row_of(one.select(method="cam").to_latex(), "cam")[-1].endswith(MARK)


def test_one_metric_that_has_no_score_without_an_object_has_no_mark(results) -> None:
    negatives = undefined(results, np.s_[:5], REASONS.index("empty truth"))
    assert MARK not in negatives.select(metric="iou").to_latex()


def test_parts_are_marked_by_their_own_counts_and_reasons(results) -> None:
    text = results.to_latex("mean", by="class_name")
    assert [MARK in cell for cell in row_of(text, "cam")[2:]] == [False] * 3 + [True] * 3
    small = results.select(sample=[f"image {k}" for k in (0, *range(7, 28))])
    text = small.to_latex("mean", by="class_name")
    assert [MARK in cell for cell in row_of(text, "cam")[2:]] == [False] * 3 + [True, False, False]
    n = int((small.samples["label"] == 0).sum())
    words = f"over {n - 1} of {n} images; undefined in 1 (empty prediction 1)"
    assert rf"{{$\dagger$ distance: {words}}}" in text


def test_less_that_is_better_has_an_arrow(results) -> None:
    assert r"method & binarizer & IoU & distance $\downarrow$ \\" in results.to_latex("mean")
    named = results.to_latex("mean", names={"distance": "$d$ (mm)"})
    assert r" & IoU & $d$ (mm) $\downarrow$ \\" in named
    split = results.to_latex("mean", by="correct")
    assert r"\multicolumn{2}{c}{distance $\downarrow$}" in split
    unknown = made(6, metrics=("own",), binarizers=("otsu",), baselines={})
    assert "arrow" not in unknown.to_latex("mean")

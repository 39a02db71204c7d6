"""The section of the page that compares the study with the paper, and one p for each comparison."""

from dataclasses import replace
from math import isnan, nan

import numpy as np
import pandas as pd
import pytest
from pages import made
from study import against, comparisons, tables
from study.against import AtThreshold
from study.data import Slices, Study
from study.evaluation import MAP, P95, PAPER_BINARIZERS, VALIDATED
from study.settings import parse

from cameval.data import write_phantom
from cameval.report import (
    ScoreFigure,
    ScoreRow,
    format_interval,
    format_number,
    format_p,
    page_tests,
)

KINDS = ("meningioma", "glioma", "pituitary")


def find(figure: ScoreFigure, name: str, detail: str = "") -> ScoreRow:
    (row,) = [one for one in figure.rows if one.name == name and detail in one.detail]
    return row


def value(row: ScoreRow, kind: str) -> float:
    mark = row.find(kind)
    return nan if mark is None else mark.value


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    out = tmp_path_factory.mktemp("against")
    write_phantom(out / "phantom", slices=12, patients=6, size=32)
    settings, run = parse(["--protocol", "paper"])
    return Study(settings, run, Slices(out / "phantom", out / "packed.h5"), [])


def thresholds(low: float, high: float, *, validated: bool = False) -> list[AtThreshold]:
    """Return the numbers of the run by slice that the documentation has."""
    rows = {
        "mean": (0.051, 0.037, 0.086, 0.056),
        "median": (0.031, 0.034, 0.057, 0.034),
        "percentile:75": (0.056, 0.062, 0.076, 0.067),
        "percentile:90": (0.094, 0.091, 0.108, 0.169),
        "percentile:95": (0.124, 0.099, 0.120, 0.332),
    }
    rows = ({VALIDATED: (0.11, 0.1, 0.12, 0.3)} if validated else {}) | rows
    return [
        AtThreshold(name, iou, low, high, guess, "center", mean, bound)
        for name, (iou, guess, mean, bound) in rows.items()
    ]


LAST_FOLD = {  # slices; with an IoU above .5, with a bound above .5, with an IoU below .01
    "meningioma": (141, 26, 34, 26),
    "glioma": (285, 9, 102, 114),
    "pituitary": (186, 0, 3, 153),
}


@pytest.fixture(scope="module")
def at_p95() -> pd.DataFrame:
    """Scores of as many slices as the last fold by slice has, with its counts."""
    parts = []
    for label, (count, above, possible, below) in LAST_FOLD.items():
        iou, bound = np.full(count, 0.2), np.full(count, 0.4)
        iou[:above], iou[above : above + below], bound[:possible] = 0.6, 0.0, 0.9
        parts.append(pd.DataFrame({"label": label, "iou": iou, "area_bound": bound}))
    return pd.concat(parts, ignore_index=True)


# --- Figures --------------------------------------------------------------------------------------


def test_the_validated_threshold_is_first_and_the_papers_follow_in_its_order() -> None:
    figure = against.iou_figure(thresholds(0.05, 0.2, validated=True), "vgg16", 0)
    assert [row.name for row in figure.rows] == [VALIDATED, *PAPER_BINARIZERS]
    assert [row.apart for row in figure.rows] == [True, *[False] * 5]
    row = find(figure, P95)
    kinds = ("score", "guess", "baseline", "bound", "published")
    assert [value(row, kind) for kind in kinds] == [0.124, 0.099, 0.120, 0.332, 0.153]
    others = [one for one in figure.rows if one.name != P95]
    assert all(one.find("published") is None for one in others)
    assert figure.label == (
        "Mean IoU at percentile:95: vgg16 .124, the best guess (center) .099, the class-mean mask "
        ".120, the bound .332, the paper's VGG-19 .153."
    )
    assert figure.ends == (0, 0.4)
    assert "95 % intervals by patient" in figure.caption


def test_without_known_patients_there_is_no_interval() -> None:
    figure = against.iou_figure(thresholds(nan, nan), "vgg16", 1870)
    assert all(isnan(mark.low) for row in figure.rows for mark in row.marks)
    assert "No intervals: the patients of 1,870 slices are not known." in figure.caption


def test_success_is_shown_inside_what_was_possible(at_p95: pd.DataFrame) -> None:
    figure = against.above_figure(at_p95, KINDS)
    assert figure.bars
    found = {
        row.name: tuple(value(row, kind) for kind in ("score", "bound", "published"))
        for row in figure.rows
    }
    assert found["meningioma"] == pytest.approx((26 / 141, 34 / 141, 0.23))
    assert found["glioma"] == pytest.approx((9 / 285, 102 / 285, 0.05))
    assert found["pituitary"] == pytest.approx((0, 3 / 186, 0))
    assert found["all"][:2] == pytest.approx((35 / 612, 139 / 612))
    assert isnan(found["all"][2])
    assert "glioma 3.2 % of 35.8 % possible (the paper 5 %)" in figure.label.replace("\u00a0", " ")
    assert find(figure, "glioma").detail == "285 slices"


def test_misses_are_beside_the_papers(at_p95: pd.DataFrame) -> None:
    figure = against.below_figure(at_p95, KINDS)
    ours = [value(row, "score") for row in figure.rows]
    assert ours == pytest.approx([26 / 141, 114 / 285, 153 / 186, 293 / 612])
    assert [value(row, "published") for row in figure.rows] == [0.02, 0.33, 0.85, 0.42]
    assert "all 47.9 % (the paper 42 %)" in figure.label.replace("\u00a0", " ")


def predictions(*models: str) -> pd.DataFrame:
    """Return predictions of two folds: all right, and two of three."""
    one = pd.DataFrame(
        {
            "fold": [0, 0, 0, 1, 1, 1],
            "sample": list("abcdef"),
            "group": list("aabbcc"),
            "label": [0, 1, 2, 0, 1, 2],
            "predicted": [0, 1, 2, 0, 1, 1],
        }
    )
    return pd.concat([one.assign(model=model) for model in models], ignore_index=True)


def test_table_2_has_the_networks_of_both() -> None:
    figure = against.classification_figure(predictions("vgg16@448", "mobilenet_v2"))
    names = [(row.name, row.detail) for row in figure.rows]
    assert names == [(name, "vgg16@448") for name in ("accuracy", "precision", "recall", "F1")]
    accuracy = figure.rows[0]
    assert value(accuracy, "score") == pytest.approx(5 / 6)
    ours, theirs = accuracy.find("score"), accuracy.find("published")
    assert (ours.text, theirs.text) == (".833 (.236)", ".928 (.089)")
    assert (theirs.low, theirs.high) == pytest.approx((0.839, 1.017))
    assert "vgg16@448 accuracy .833 (.236), the paper .928 (.089)" in figure.label
    alone = against.classification_figure(predictions("mobilenet_v2"))
    rows = [(row.detail, *(mark.text for mark in row.marks)) for row in alone.rows]
    assert rows == [
        ("mobilenet_v2", ".833 (.236)"),
        ("alexnet", ".902 (.086)"),
        ("vgg16", ".928 (.089)"),
        ("vgg19", ".950 (.040)"),
    ]


# --- The section ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "data", "compared"),
    [("paper", "phantom", True), ("strict", "phantom", False), ("strict", "slices", True)],
)
def test_a_phantom_is_compared_by_the_papers_protocol_alone(
    study: Study, protocol: str, data: str, compared: bool
) -> None:
    settings = replace(study.settings, protocol=protocol, data=data)
    assert against.is_compared(replace(study, settings=settings)) == compared


def test_the_section_says_of_what_the_papers_numbers_are(
    study: Study, at_p95: pd.DataFrame
) -> None:
    def lead(**changes: str) -> str:
        other = replace(study, settings=replace(study.settings, **changes))
        section = against.against_the_paper(
            other, "vgg16", predictions("vgg16"), thresholds(0.05, 0.2), at_p95
        )
        assert (section.title, len(section.figures)) == ("Against the paper", 4)
        return str(section.lead)

    text = lead(data="slices")
    assert text.startswith(
        "At percentile:95, vgg16 has a mean IoU of .124, the paper's VGG-19 .153; the mean IoU of "
        "masks of this area cannot exceed .332."
    )
    assert "phantom" not in text
    assert "by patient" not in text
    assert lead().endswith("a phantom: a difference to the paper says nothing.")
    assert lead(protocol="strict", data="slices").endswith("The folds here are by patient.")


def test_the_opening_is_the_accuracy_with_its_spread() -> None:
    text = tables.describe_accuracy(predictions("vgg16"), "vgg16")
    assert text == "Accuracy .833 (SD .236 over 2 folds)."
    several = tables.describe_accuracy(predictions("vgg16", "vgg19"), "vgg19")
    assert several.startswith("Accuracy of vgg19 .833")


# --- One p for each comparison --------------------------------------------------------------------


def test_tests_of_all_slices_are_those_of_the_page() -> None:
    means = {MAP: 0.3, "center": 0.29, "class mean": 0.28, "intensity": 0.2, "edges": 0.295}
    knows = {"center": "nothing", "class mean": "labels", "intensity": "image", "edges": "image"}
    results = made(
        n=60,
        groups=20,
        methods=(MAP,),
        baselines=knows,
        binarizers=("median", P95),
        metrics=("iou",),
        value=lambda column: means[column.method] - 0.05 * (column.binarizer == "median"),
    )
    assert comparisons.best_binarizer(results) == P95
    page = page_tests(results, method=MAP)
    assert page["tests"].tolist() == [4] * 4
    table = comparisons.baseline_tests(results, P95, KINDS, 0, page)
    rows = table[table["class"] == "all"].set_index("baseline")
    for _, test in page[page["second"] != "edges"].iterrows():
        row = rows.loc[test["second"]]
        assert row["p"] == format_p(test["p_holm"])
        assert row["difference"].text == format_number(test["difference"])
        assert row["difference"].detail == format_interval(test["low_holm"], test["high_holm"])
    shown = comparisons.test_table(page)
    assert shown["p"].tolist() == page["p_holm"].map(format_p).tolist()
    assert shown["p uncorrected"].tolist() == page["p"].map(format_p).tolist()
    assert shown["confidence"].tolist() == [f"{one:.2%}" for one in page["confidence_holm"]]
    assert set(shown["binarizer"]) == {P95}
    assert set(shown["family"]) == {"paired tests of the page"}
    alone = comparisons.baseline_tests(results, P95, KINDS, 0)
    of_kinds = alone["class"] != "all"
    pd.testing.assert_frame_equal(table[of_kinds], alone[of_kinds])
    assert alone["p"].tolist() != table["p"].tolist()

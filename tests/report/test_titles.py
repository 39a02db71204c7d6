"""Reports, tables of LaTeX and texts name a metric by its title, not by its label."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from pages import written

from cameval import OtsuBinarizer, PercentileBinarizer, Sample, concat, dice, evaluate_maps, iou
from cameval.evaluation import Results
from cameval.metrics import (
    HausdorffDistance,
    ZeroWithoutObject,
    of_masks,
    size_standardized_iou,
)

pytestmark = pytest.mark.usefixtures("no_figures")

DISTANCE = "95% Hausdorff distance (px)"


@of_masks(higher_is_better=True, title="overlap of mine")
def of_mine(pred, target):
    return iou(pred, target)


of_mine.label = "iou"


@of_masks(higher_is_better=True)
def tumor_overlap(pred, target):
    return iou(pred, target)


def scored(metrics, name: str = "net") -> Results:
    """Score six maps with a square of another place each."""
    rng = np.random.default_rng(0)
    samples = []
    for k in range(6):
        mask = np.zeros((8, 8), bool)
        mask[k % 4 : k % 4 + 3, 2:5] = True
        image = ((mask + rng.random((8, 8))) / 2).astype(np.float32)
        samples.append(Sample(f"image {k}", image, mask, label=k % 2, group=f"person {k}"))
    return evaluate_maps(
        lambda sample: sample.image,
        samples,
        binarizers=[PercentileBinarizer(80), OtsuBinarizer()],
        metrics=metrics,
        name=name,
        progress=False,
    )


def titles(results: Results) -> list[str]:
    return [results.meanings.title(one) for one in dict.fromkeys(c.metric for c in results.columns)]


def test_a_report_has_the_titles_of_the_metrics(tmp_path) -> None:
    results = scored([of_mine, HausdorffDistance(), tumor_overlap, dice])
    page = written(results, tmp_path)
    table = page.table("overlap of mine of all maps")
    assert [one for one in table.titles if one.startswith(("overlap", "IoU"))] == [
        "overlap of mine"
    ]
    other = page.table("Other metrics of masks") if "Other metrics" in page.text else table
    assert f"{DISTANCE} (lower is better)" in [*table.titles, *other.titles]
    asked = page.table("What each metric asks")
    heads = [head for _, head, _ in asked.rows]
    for title in ("overlap of mine", DISTANCE, "tumor overlap", "Dice"):
        assert any(head.startswith(title) for head in heads), title
    assert "IoU of all maps" not in page.text


def test_latex_plots_and_texts_have_the_titles(tmp_path) -> None:
    results = scored([of_mine, HausdorffDistance()])
    head = r"overlap of mine & 95\% Hausdorff distance (px) $\downarrow$ \\"
    assert head in results.to_latex()
    assert r"O & 95\%" in results.to_latex(names={"iou": "O"})
    assert "overlap of mine" in results.methods_text()
    assert DISTANCE in results.methods_text()
    assert "mean overlap of mine ." in repr(results).replace("0.", ".")


def test_titles_are_saved_and_read_again(tmp_path) -> None:
    results = scored([of_mine, HausdorffDistance(), ZeroWithoutObject(iou)])
    expected = ["overlap of mine", DISTANCE, "IoU (0 for marks on negatives)"]
    assert titles(results) == expected
    results.to_csv(tmp_path / "scores.csv")
    assert titles(Results.from_csv(tmp_path / "scores.csv")) == expected


def test_results_of_before_have_the_words_of_the_label() -> None:
    results = scored([of_mine, size_standardized_iou])
    record = results.provenance["meanings"]
    before = {
        label: {k: v for k, v in one.items() if k != "title"}
        for label, one in record["metrics"].items()
    }
    provenance = results.provenance | {"meanings": record | {"metrics": before}}
    old = replace(results, provenance=provenance)
    assert titles(old) == ["iou", "size standardized iou"]


def test_runs_are_concatenated_with_their_titles() -> None:
    parts = [scored([of_mine, HausdorffDistance()], name) for name in ("first", "second")]
    assert titles(concat(parts)) == ["overlap of mine", DISTANCE]


def test_a_label_that_the_user_gave_is_shown() -> None:
    results = scored({"HD_95": HausdorffDistance(), "hausdorff_distance": HausdorffDistance(100)})
    assert titles(results) == ["HD 95", "Hausdorff distance (px)"]
    sized = partial(size_standardized_iou, reference=0.1)
    assert titles(scored({"size_standardized_iou": sized})) == ["sIoU (reference 0.1)"]


def test_equal_titles_have_their_labels() -> None:
    @of_masks(higher_is_better=True, title="IoU")
    def mine(pred, target):
        return iou(pred, target)

    assert titles(scored([iou, mine, dice])) == ["IoU (iou)", "IoU (mine)", "Dice"]

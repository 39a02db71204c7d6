"""Binarizers chosen on one part of the data and read on another."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from evaluations import PLAN, SMALL, samples, small_network

from cameval import evaluate
from cameval.errors import DataError, SettingError
from cameval.evaluation import Choice, Column, Results, choose_binarizers

MAPS = (("method", "cam"), ("method", "grad"), ("baseline", "center"))
BINARIZERS = ("p80", "p95", "otsu")


def made(
    means: dict[tuple[str, str], float] | None = None,
    *,
    start: int = 0,
    n: int = 6,
    explained: tuple[str, ...] = ("predicted",),
    metrics: tuple[str, ...] = ("iou", "coverage"),
    model: str = "net",
) -> Results:
    """Make results whose mean for (method, binarizer) is as given, else .1, without a network."""
    columns = tuple(
        Column(e, kind, method, binarizer, metric)
        for e in explained
        for kind, method in MAPS
        for binarizer, metric in [("", "auroc"), *((b, m) for b in BINARIZERS for m in metrics)]
    )
    rows = np.arange(start, start + n)
    table = pd.DataFrame(
        {
            "model": model,
            "sample": [f"image {i}" for i in rows],
            "group": [f"person {i // 2}" for i in rows],
            "label": rows % 2,
            "predicted": rows % 2,
            "probability": 0.9,
            "area": 0.01 + rows / 1000,
        }
    )
    level = [(means or {}).get((c.method, c.binarizer), 0.1) for c in columns]
    noise = np.linspace(-0.01, 0.01, n)[:, None] * np.arange(1, len(columns) + 1)
    values = np.array(level) + noise
    codes = (np.arange(values.size).reshape(values.shape) % 2 * 0x80).astype(np.uint8)
    settings = {"model": model, "binarizers": {b: f"{b}()" for b in BINARIZERS}}
    return Results(table, columns, values, codes, {"settings": settings, "started": str(start)})


BEST = {("cam", "p95"): 0.4, ("grad", "otsu"): 0.3, ("center", "p80"): 0.2}
CHOSEN = {"cam": "p95", "grad": "otsu", "center": "p80"}


def chosen(choice: Choice) -> dict[str, str]:
    return {column.method: column.binarizer for column in choice.columns}


def undefined(results: Results, binarizer: str) -> Results:
    where = [column.binarizer == binarizer for column in results.columns]
    return replace(results, values=np.where(where, np.nan, results.values))


def column_of(results: Results, method: str, binarizer: str, metric: str) -> np.ndarray:
    (found,) = results.select(method=method, binarizer=binarizer, metric=metric).values.T
    return found


# --- Choosing -------------------------------------------------------------------------------------


def test_each_map_gets_the_binarizer_of_the_highest_mean() -> None:
    validation = made(BEST)
    choice = choose_binarizers(validation)
    assert chosen(choice) == CHOSEN
    means = validation.pivot("iou")
    assert choice.scores == pytest.approx([means.loc[m, b] for m, b in CHOSEN.items()])
    table = choice.to_pandas()
    assert [*table.columns] == [*("explained", "kind", "method", "binarizer", "metric", "score")]
    assert table["method"].tolist() == [*CHOSEN]
    assert table["score"].tolist() == list(choice.scores)
    assert choice.model == "net"


def test_the_choice_is_by_the_metric_that_is_named() -> None:
    results = made(BEST)
    of_coverage = [c.metric == "coverage" for c in results.columns]
    turned = replace(results, values=np.where(of_coverage, 1 - results.values, results.values))
    assert chosen(choose_binarizers(turned, "iou")) == CHOSEN
    assert chosen(choose_binarizers(turned, "coverage"))["cam"] != "p95"


def test_least_is_chosen_where_less_is_better() -> None:
    less = {(m, b): 0.1 + 0.3 * (CHOSEN[m] != b) for _, m in MAPS for b in BINARIZERS}
    assert chosen(choose_binarizers(made(less), best="min")) == CHOSEN
    assert chosen(choose_binarizers(made(less))) != CHOSEN


def test_of_equals_the_first_is_chosen() -> None:
    results = made()
    flat = replace(results, values=np.full_like(results.values, 0.25))
    assert set(chosen(choose_binarizers(flat)).values()) == {"p80"}
    assert set(chosen(choose_binarizers(flat, best="min")).values()) == {"p80"}


def test_what_is_undefined_is_not_chosen() -> None:
    results = undefined(made(BEST), "p95")
    assert "p95" not in chosen(choose_binarizers(results)).values()
    half = made(BEST)
    values = half.values.copy()
    values[:3] = np.nan  # on some images only: the mean is of the others
    assert chosen(choose_binarizers(replace(half, values=values))) == CHOSEN
    nothing = replace(half, values=np.full_like(half.values, np.nan))
    with pytest.raises(DataError, match=r"a defined iou on some image .* for the method 'cam'"):
        choose_binarizers(nothing)


def test_a_choice_that_cannot_be_is_refused() -> None:
    validation = made()
    with pytest.raises(SettingError, match=r"metrics of masks \(iou, coverage\), got 'auroc'"):
        choose_binarizers(validation, "auroc")
    with pytest.raises(SettingError, match="best must be 'max' or 'min', got 'most'"):
        choose_binarizers(validation, best="most")
    both = Results.concat([validation, made(model="other")])
    with pytest.raises(SettingError, match="results must be of one model, got 2"):
        choose_binarizers(both)


# --- Reading --------------------------------------------------------------------------------------


def test_the_chosen_columns_are_those_of_the_binarizers() -> None:
    test = made(start=100)
    found = test.with_chosen(choose_binarizers(made(BEST)))
    assert len(found.columns) == len(test.columns) + len(MAPS) * 2
    assert len(set(found.columns)) == len(found.columns)
    for method, binarizer in CHOSEN.items():
        for metric in ("iou", "coverage"):
            np.testing.assert_array_equal(
                column_of(found, method, "validated", metric),
                column_of(test, method, binarizer, metric),
            )
            of_both = found.select(method=method, metric=metric)
            codes = of_both.select(binarizer=["validated", binarizer]).codes
            np.testing.assert_array_equal(codes[:, 0], codes[:, 1])
    kept = replace(found, provenance=test.provenance).select(binarizer=["", *BINARIZERS])
    assert kept.columns == test.columns
    np.testing.assert_array_equal(kept.values, test.values)
    np.testing.assert_array_equal(kept.codes, test.codes)


def test_the_choice_does_not_look_at_the_scores_that_it_is_read_on() -> None:
    choice = choose_binarizers(made(BEST))
    other = made({("cam", "p80"): 0.9, ("grad", "p80"): 0.9}, start=100)
    found = other.with_chosen(choice).pivot("iou")
    assert found.loc["cam", "validated"] == found.loc["cam", "p95"] < found.loc["cam", "p80"]


def test_a_class_that_was_not_validated_takes_the_choice_of_the_first() -> None:
    choice = choose_binarizers(made(BEST))
    test = made(start=100, explained=("true", "predicted")).with_chosen(choice)
    for explained in ("true", "predicted"):
        means = test.pivot("iou", explained=explained)
        assert all(means.loc[m, "validated"] == means.loc[m, b] for m, b in CHOSEN.items())
    both = made(BEST, explained=("predicted", "true"))
    columns = [c.explained == "true" and c.binarizer == "p80" for c in both.columns]
    own = choose_binarizers(replace(both, values=np.where(columns, 0.95, both.values)))
    assert own.binarizer("predicted", "method", "cam") == "p95"
    assert own.binarizer("true", "method", "cam") == "p80"
    assert own.binarizer("least", "method", "cam") == "p95"


def test_the_optimum_is_chosen_on_the_same_images_and_says_so() -> None:
    test = made({("cam", "p80"): 0.9}, start=100)
    both = test.with_chosen(choose_binarizers(made(BEST)))
    both = both.with_chosen(choose_binarizers(both), "test optimum")
    means = both.pivot("iou")
    assert (means["test optimum"] >= means["validated"]).all()
    assert means.loc["cam", "test optimum"] == means[[*BINARIZERS]].loc["cam"].max()
    described = both.provenance["settings"]["binarizers"]
    assert described["validated"] == "chosen on validation data by iou"
    assert described["test optimum"] == "chosen on these same images by iou"
    assert described["p80"] == "p80()"
    part = test.select(label=1).with_chosen(choose_binarizers(test), "test optimum")
    assert part.provenance["settings"]["binarizers"]["test optimum"].startswith("chosen on these")


def test_what_was_chosen_is_no_candidate() -> None:
    """After folds were put together, a label's scores are of several binarizers."""
    test = made(BEST, start=100)
    found = test.with_chosen(choose_binarizers(made(BEST)), "a")
    first = [c.binarizer == "a" for c in found.columns]
    better = replace(found, values=np.where(first, 0.99, found.values))
    assert chosen(choose_binarizers(better)) == CHOSEN


def test_what_cannot_be_read_is_refused() -> None:
    choice, test = choose_binarizers(made(BEST)), made(start=100)
    for label in ("p95", "", 3):
        with pytest.raises(SettingError, match="label must be a word that no binarizer has yet"):
            test.with_chosen(choice, label)
    with pytest.raises(SettingError, match=r"no binarizer has yet .*validated"):
        test.with_chosen(choice).with_chosen(choice)
    with pytest.raises(SettingError, match=r"results must be of one model, got 2.*Results\.concat"):
        Results.concat([test, made(start=100, model="other")]).with_chosen(choice)
    with pytest.raises(
        SettingError, match="got none for the baseline 'center', only for cam, grad"
    ):
        test.with_chosen(choose_binarizers(made(BEST).select(kind="method")))
    with pytest.raises(SettingError, match="chosen for the method 'cam', got no 'p95'"):
        test.select(binarizer=["p80", "otsu"]).with_chosen(choice)
    with pytest.raises(SettingError, match="a metric of masks for a binarizer, got none"):
        test.select(metric="auroc").with_chosen(choice)


def test_images_that_are_in_both_parts_are_refused() -> None:
    choice = choose_binarizers(made(BEST))
    with pytest.raises(SettingError, match="got 2 of 6 images in both"):
        made(start=4).with_chosen(choice)
    alike = made(start=4)  # the same names, of other images
    other = replace(alike, samples=alike.samples.assign(area=alike.samples["area"] + 0.5))
    assert "validated" in other.with_chosen(choice).provenance["chosen"]


# --- Folds and files ------------------------------------------------------------------------------


def test_folds_that_chose_differently_are_put_together() -> None:
    first = made(start=100).with_chosen(choose_binarizers(made(BEST)))
    second = made(start=200).with_chosen(choose_binarizers(made({("cam", "otsu"): 0.9})))
    both = Results.concat([first, second])
    expected = [*column_of(first, "cam", "p95", "iou"), *column_of(second, "cam", "otsu", "iou")]
    assert column_of(both, "cam", "validated", "iou").tolist() == expected
    settings = both.provenance["settings"]["binarizers"]
    assert settings["validated"] == "chosen on validation data by iou"
    assert "chosen" not in both.provenance  # what the first chose is not what all chose
    picks = [
        {b["method"]: b["binarizer"] for b in part["chosen"]["validated"]["binarizers"]}
        for part in both.provenance["parts"]
    ]
    assert picks[0] == CHOSEN
    assert picks[1]["cam"] == "otsu"
    alike = Results.concat([first, made(start=300).with_chosen(choose_binarizers(made(BEST)))])
    assert alike.provenance["chosen"] == first.provenance["chosen"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_choice_is_kept_in_files(kind, tmp_path) -> None:
    found = made(start=100).with_chosen(choose_binarizers(made(BEST)))
    getattr(found, f"to_{kind}")(tmp_path / f"table.{kind}")
    again = getattr(Results, f"from_{kind}")(tmp_path / f"table.{kind}")
    assert again.columns == found.columns
    np.testing.assert_array_equal(again.values, found.values)
    assert again.provenance == json.loads(json.dumps(found.provenance))
    record = again.provenance["chosen"]["validated"]
    assert (record["metric"], record["best"], record["images"]) == ("iou", "max", 6)
    assert {b["method"]: b["binarizer"] for b in record["binarizers"]} == CHOSEN
    assert all(isinstance(b["score"], float) for b in record["binarizers"])
    assert choose_binarizers(again) == choose_binarizers(found)


def test_of_an_evaluation_it_is_what_the_binarizer_alone_gives() -> None:
    data, options = samples(8), {**PLAN, "prepare": SMALL, "progress": False}
    validation, test = (
        evaluate(small_network(), part, baselines={}, **options) for part in (data[:4], data[4:])
    )
    choice = choose_binarizers(validation, "coverage")
    found = test.with_chosen(choice)
    for method in ("cam", "grad"):
        means = validation.pivot("coverage").loc[method]
        binarizer = choice.binarizer("predicted", "method", method)
        assert means[binarizer] == means.max()
        alone = evaluate(
            small_network(),
            data[4:],
            baselines={},
            **options
            | {
                "methods": {method: PLAN["methods"][method]},
                "binarizers": {"validated": PLAN["binarizers"][binarizer]},
            },
        )
        mine = found.select(method=method, binarizer="validated")
        assert mine.columns == alone.select(binarizer="validated").columns
        np.testing.assert_array_equal(mine.values, alone.select(binarizer="validated").values)

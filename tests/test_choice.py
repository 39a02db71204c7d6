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
from cameval.evaluation.plan import label_of
from cameval.metrics import (
    AverageSurfaceDistance,
    CentroidDistance,
    HausdorffDistance,
    dice,
    false_positive_rate,
)
from cameval.metrics.policy import less_is_better
from cameval.report.facts import Facts, Preferred
from cameval.report.findings import findings
from cameval.report.notes import settings as notes

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


def described(results: Results, **metrics: object) -> Results:
    """Say what stands behind the labels of metrics, as `evaluate` does."""
    settings = results.provenance["settings"] | {
        "metrics": {label: label_of(metric) for label, metric in metrics.items()}
    }
    return replace(results, provenance={**results.provenance, "settings": settings})


def distances(of: dict[str, list[float]]) -> Results:
    """Make results of one map whose distances are as given, binarizer by binarizer."""
    results = made(n=len(next(iter(of.values()))), metrics=("hd",))
    results = results.select(method="cam", metric="hd", binarizer=[*of])
    values = np.array([of[column.binarizer] for column in results.columns]).T
    return described(replace(results, values=values), hd=HausdorffDistance())


def meaning(results: Results, label: str = "validated") -> str:
    return results.provenance["settings"]["binarizers"][label]


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


@pytest.mark.parametrize("distance", [HausdorffDistance(), CentroidDistance(), false_positive_rate])
def test_the_direction_is_the_metrics_own(distance) -> None:
    results = made({(m, b): 0.1 + 0.3 * (CHOSEN[m] != b) for _, m in MAPS for b in BINARIZERS})
    choice = choose_binarizers(described(results, iou=distance))
    assert (choice.best, chosen(choice)) == ("min", CHOSEN)
    most = choose_binarizers(described(results, iou=distance), best="max")
    assert most.best == "max"
    assert chosen(most) != CHOSEN
    assert choose_binarizers(described(results, iou=dice)).best == "max"
    label = label_of(distance)  # without its settings a metric is known by its label
    assert choose_binarizers(made(metrics=(label,)), label).best == "min"


def test_of_our_metrics_less_is_better_of_distances_and_false_alarms() -> None:
    less = (HausdorffDistance(95), AverageSurfaceDistance(), CentroidDistance())
    assert all(less_is_better(label_of(metric)) for metric in less)
    assert less_is_better("false_positive_rate")
    assert not any(map(less_is_better, ("iou", "complexity of my own", "", "Deletions")))


def test_the_setting_says_where_the_least_was_chosen() -> None:
    validation, test = (described(made(start=k), iou=HausdorffDistance()) for k in (0, 100))
    least = test.with_chosen(choose_binarizers(validation))
    assert meaning(least) == "chosen on validation data by the least iou"
    assert least.provenance["chosen"]["validated"]["best"] == "min"
    facts = Facts(least, Preferred("validated", "cam"))
    text = " ".join(findings(facts, "net", None))
    assert "The binarizer was chosen on validation data by the least IoU." in text
    assert chosen(choose_binarizers(least)) == chosen(choose_binarizers(test))  # no candidate


def test_of_equals_the_first_is_chosen() -> None:
    results = made()
    flat = replace(results, values=np.full_like(results.values, 0.25))
    assert set(chosen(choose_binarizers(flat)).values()) == {"p80"}
    assert set(chosen(choose_binarizers(flat, best="min")).values()) == {"p80"}


def test_images_on_which_no_binarizer_is_defined_are_left_out() -> None:
    results = made(BEST)
    values = results.values.copy()
    for k, (_, method) in enumerate(MAPS):  # other images of each map
        values[k : k + 2, [column.method == method for column in results.columns]] = np.nan
    choice = choose_binarizers(replace(results, values=values))
    assert chosen(choice) == CHOSEN
    kept = [[2, 3, 4, 5], [0, 3, 4, 5], [0, 1, 4, 5]]
    expected = [
        np.mean([column_of(results, method, binarizer, "iou")[i] for i in rows])
        for (method, binarizer), rows in zip(CHOSEN.items(), kept, strict=True)
    ]
    assert choice.scores == pytest.approx(expected, rel=1e-12)


def test_a_binarizer_does_not_win_by_the_images_that_it_leaves_out() -> None:
    """One that leaves most masks empty has a distance on the easy images alone."""
    gaps = distances({"p80": [10.0] * 100, "p95": [9.0] + [np.nan] * 99})
    message = r"a defined hd wherever another has one, got 'p95' of the method 'cam' .* undefined "
    message += r"on 99 of 100 images; .*penalize_empty=True.*select\(binarizer=\['p80'\]\)"
    for best in ("max", "min", None):
        with pytest.raises(DataError, match=message):
            choose_binarizers(gaps, "hd", best=best)
    choice = choose_binarizers(gaps.select(binarizer=["p80"]), "hd")  # as the error says
    assert (chosen(choice), choice.scores) == ({"cam": "p80"}, (10.0,))
    full = distances({"p80": [10.0] * 100, "p95": [9.0] + [60.0] * 99})
    assert chosen(choose_binarizers(full, "hd")) == {"cam": "p80"}


def test_images_without_truth_are_no_gaps_of_a_binarizer() -> None:
    nan = float("nan")
    empty = distances({"p80": [nan, 3.0, 5.0], "p95": [nan, 4.0, 2.0]})
    choice = choose_binarizers(empty, "hd")
    assert (chosen(choice), choice.scores) == ({"cam": "p95"}, (3.0,))
    with pytest.raises(DataError, match=r"got 'p80' .* undefined on 1 of 2 images") as caught:
        choose_binarizers(distances({"p80": [nan, 3.0, nan], "p95": [nan, nan, 2.0]}), "hd")
    assert "leave it out" not in str(caught.value)  # for nothing would be left


def test_a_map_that_is_undefined_everywhere_is_named() -> None:
    results = made(BEST)
    nothing = replace(results, values=np.full_like(results.values, np.nan))
    with pytest.raises(DataError, match=r"a defined iou on some image .* for the method 'cam'"):
        choose_binarizers(nothing)
    center = [column.method == "center" for column in results.columns]
    one = replace(results, values=np.where(center, np.nan, results.values))
    with pytest.raises(DataError, match=r"got none of 6 for the baseline 'center' .*leave the map"):
        choose_binarizers(one)
    with pytest.raises(DataError, match=r"got 'p95' of the method 'cam' .* on 6 of 6 images"):
        choose_binarizers(undefined(results, "p95"))


def test_a_choice_that_cannot_be_is_refused() -> None:
    validation = made()
    with pytest.raises(SettingError, match=r"metrics of masks \(iou, coverage\), got 'auroc'"):
        choose_binarizers(validation, "auroc")
    with pytest.raises(SettingError, match=r"best must be 'max' or 'min', or None .* got 'most'"):
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
    optimum = choose_binarizers(both)
    both = both.with_chosen(optimum, "test optimum")
    means = both.pivot("iou")
    assert (means["test optimum"] >= means["validated"]).all()
    assert means.loc["cam", "test optimum"] == means[[*BINARIZERS]].loc["cam"].max()
    assert meaning(both) == "chosen on validation data by iou"
    assert meaning(both, "test optimum") == "chosen on these same images by iou"
    assert meaning(both, "p80") == "p80()"
    part = test.select(label=1).with_chosen(choose_binarizers(test), "test optimum")
    assert meaning(part, "test optimum").startswith("chosen on these same images")
    with pytest.raises(SettingError, match=r"got 'validated'; .*as in label='test optimum'"):
        test.with_chosen(optimum)


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
    with pytest.raises(SettingError, match="was made for, 'net', got 'other'; choose on valid"):
        made(start=100, model="other").with_chosen(choice)
    with pytest.raises(
        SettingError, match="got none for the baseline 'center', only for cam, grad"
    ):
        test.with_chosen(choose_binarizers(made(BEST).select(kind="method")))
    with pytest.raises(SettingError, match="chosen for the method 'cam', got no 'p95'"):
        test.select(binarizer=["p80", "otsu"]).with_chosen(choice)
    with pytest.raises(SettingError, match="a metric of masks for a binarizer, got none"):
        test.select(metric="auroc").with_chosen(choice)


def with_samples(results: Results, **columns: object) -> Results:
    return replace(results, samples=results.samples.assign(**columns))


def test_images_that_are_in_both_parts_are_refused() -> None:
    choice = choose_binarizers(made(BEST))
    with pytest.raises(SettingError, match=r"got 2 of 6 images in both .*; keep the parts apart"):
        made(start=4).with_chosen(choice)


@pytest.mark.parametrize("start", [0, 4])
def test_images_are_the_same_on_another_grid_of_the_truth(start) -> None:
    choice = choose_binarizers(made(BEST))
    test = made(start=start)
    finer = with_samples(test, area=test.samples["area"] + 0.001)
    with pytest.raises(SettingError, match=r"of its own where it is read|got 2 of 6 images"):
        finer.with_chosen(choice)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("sample", lambda s: s + " of another part"),
        ("group", lambda s: "other " + s),
        ("label", lambda s: s + 5),
    ],
)
def test_images_are_others_by_name_group_or_label_alone(column, change) -> None:
    choice = choose_binarizers(made(BEST))
    test = made(start=4)
    other = with_samples(test, **{column: change(test.samples[column])})
    assert "validated" in other.with_chosen(choice).provenance["chosen"]


def test_other_images_of_the_same_groups_are_not_called_validation_data() -> None:
    choice = choose_binarizers(made(BEST))
    test = made(start=100)
    shared = with_samples(test, group=["person 0", *test.samples["group"][1:]])
    found = shared.with_chosen(choice)
    assert meaning(found) == "chosen on other images of the same groups by iou"
    text = " ".join(findings(Facts(found, Preferred("validated", "cam")), "net", None))
    assert "of the same groups by IoU, which may be an optimistic choice." in text
    assert chosen(choose_binarizers(found)) == chosen(choose_binarizers(test))  # no candidate
    assert meaning(test.with_chosen(choice)) == "chosen on validation data by iou"


def test_images_that_are_each_their_own_group_share_none() -> None:
    alone, test = (with_samples(r, group=r.samples["sample"]) for r in (made(BEST), made(start=4)))
    other = with_samples(test, label=test.samples["label"] + 5)
    found = other.with_chosen(choose_binarizers(alone))
    assert meaning(found) == "chosen on validation data by iou"


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


def fold(start: int, *, on: int | None = None, by: str = "iou") -> Results:
    """Make a test part whose binarizers were chosen on the images from `on`, by default others."""
    choice = choose_binarizers(made(BEST, start=start + 500 if on is None else on), by)
    return made(start=start).with_chosen(choice, "chosen")


def test_a_label_must_have_come_about_alike_in_all_parts() -> None:
    message = "label 'chosen' must mean the same in all parts, got 'chosen on validation data by"
    for other in (fold(200, on=200), fold(200, by="coverage")):
        with pytest.raises(SettingError, match=f"{message} iou' in one and 'chosen on .* another;"):
            Results.concat([fold(100), other])
        kept = [part.select(binarizer=["", *BINARIZERS]) for part in (fold(100), other)]
        assert len(Results.concat(kept)) == 12  # what is not shown may differ
    unknown = replace(fold(200), provenance={})
    with pytest.raises(SettingError, match=f"{message} iou' in one and nothing that is known in"):
        Results.concat([fold(100), unknown])
    assert (
        meaning(Results.concat([fold(100), fold(200)]), "chosen")
        == "chosen on validation data by iou"
    )


def test_parts_that_were_put_together_before_keep_what_they_chose() -> None:
    inner = [Results.concat([fold(k), fold(k + 100)]) for k in (100, 300)]
    both = Results.concat([*inner, fold(500)])
    flat = Results.concat([fold(k) for k in (100, 200, 300, 400, 500)])
    assert both.provenance == flat.provenance
    assert [run["started"] for run in both.provenance["parts"]] == [f"{k}00" for k in range(1, 6)]
    assert [title for title, _ in notes(Facts(both))].count("Chosen as chosen") == 5


def test_records_that_lie_deeper_are_found() -> None:
    """Tables written before records were flat have parts within parts."""
    parts = [fold(100), fold(200)]
    inner = {"settings": {}, "parts": [part.provenance for part in parts]}
    both = Results.concat(parts)
    deep = replace(both, provenance=both.provenance | {"parts": [inner]})
    assert notes(Facts(deep)) == notes(Facts(both))
    assert Results.concat([deep, fold(300)]).provenance["parts"][:2] == inner["parts"]


def test_a_choice_made_after_parts_were_put_together_is_noted() -> None:
    folds = Results.concat([made(start=k) for k in (100, 200)])
    found = folds.with_chosen(choose_binarizers(made(BEST)), "chosen")
    assert ("Chosen as chosen", "p95 for cam; otsu for grad; p80 for center") in notes(Facts(found))
    again = Results.concat([found, fold(300)])
    assert [[*run["chosen"]] for run in again.provenance["parts"]] == [["chosen"]] * 3


def test_models_that_are_chosen_for_one_by_one_keep_their_own_choices() -> None:
    names = ("net", "other")
    validation, test = (
        Results.concat(
            [made({("cam", b): 0.9}, start=k, model=m) for m, b in zip(names, bs, strict=True)]
        )
        for k, bs in ((0, ("p95", "otsu")), (100, ("p80", "p80")))
    )
    both = Results.concat(
        [
            test.select(model=m).with_chosen(choose_binarizers(validation.select(model=m)))
            for m in names
        ]
    )
    picks = {
        run["settings"]["model"]: run["chosen"]["validated"]["binarizers"][0]["binarizer"]
        for run in both.provenance["parts"]
    }
    assert picks == {"net": "p95", "other": "otsu"}
    assert len(both.provenance["parts"]) == 2


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

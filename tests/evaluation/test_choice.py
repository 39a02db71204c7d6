"""Binarizers chosen on one part of the data and applied to another."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from evaluations import PLAN, SMALL, samples, small_network

import cameval
from cameval import evaluate
from cameval.baselines import knows
from cameval.errors import DataError, SettingError
from cameval.evaluation import (
    Choice,
    Column,
    Meanings,
    Origin,
    Results,
    choose_binarizers,
    concat,
)
from cameval.evaluation.meaning import BaselineMeaning, BinarizerMeaning, MetricMeaning
from cameval.metrics import (
    AverageSurfaceDistance,
    CentroidDistance,
    HausdorffDistance,
    Outcomes,
    dice,
    false_positive_rate,
    of_masks,
)
from cameval.metrics.properties import categories, higher_is_better

MAPS = (("method", "cam"), ("method", "grad"), ("baseline", "center"))
BINARIZERS = ("p80", "p95", "otsu")
METRICS = {
    "auroc": MetricMeaning("pixel_auroc", "maps", True),
    "iou": MetricMeaning("iou", "masks", True),
    "coverage": MetricMeaning("coverage", "masks", True),
}
MEANINGS = Meanings(
    binarizers={b: BinarizerMeaning(f"{b}()") for b in BINARIZERS},
    baselines={"center": BaselineMeaning("center_baseline", "nothing")},
    metrics=METRICS,
)


def made(
    means: dict[tuple[str, str], float] | None = None,
    *,
    start: int = 0,
    n: int = 6,
    target_class: tuple[str, ...] = ("predicted",),
    metrics: tuple[str, ...] = ("iou", "coverage"),
    model: str = "net",
) -> Results:
    """Make results whose mean for (method, binarizer) is as given, else .1, without a network."""
    columns = tuple(
        Column(e, kind, method, binarizer, metric)
        for e in target_class
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
            "present": True,
            "predicted": rows % 2,
            "probability": 0.9,
            "area": 0.01 + rows / 1000,
        }
    )
    level = [(means or {}).get((c.method, c.binarizer), 0.1) for c in columns]
    noise = np.linspace(-0.01, 0.01, n)[:, None] * np.arange(1, len(columns) + 1)
    values = np.array(level) + noise
    codes = (np.arange(values.size).reshape(values.shape) % 2 * 0x80).astype(np.uint8)
    provenance = {"settings": {"model": model}, "meanings": MEANINGS.to_record()}
    return Results(table, columns, values, codes, provenance | {"started": str(start)})


BEST = {("cam", "p95"): 0.4, ("grad", "otsu"): 0.3, ("center", "p80"): 0.2}
CHOSEN = {"cam": "p95", "grad": "otsu", "center": "p80"}


def test_the_best_method_is_that_of_the_best_mean_of_a_target_class() -> None:
    choice = choose_binarizers(made(BEST, target_class=("predicted", "true")))
    assert choice.best_method() == choice.best_method("true") == "cam"
    columns = tuple(
        Column(of, "method", method, "otsu", "error")
        for of in ("predicted", "true")
        for method in ("cam", "grad")
    )
    errors = Choice("error", False, "net", columns, (0.2, 0.1, 0.1, 0.1), frozenset())
    assert (errors.best_method(), errors.best_method("true")) == ("grad", "cam")
    with pytest.raises(SettingError, match=r"\(predicted, true\), got 'label'"):
        errors.best_method("label")
    by_label = Choice("iou", True, "net", columns[:2], (0.2, 0.3), frozenset(), labels=(None, 1))
    assert by_label.best_method() == "cam"


def chosen(choice: Choice) -> dict[str, str]:
    return {column.method: column.binarizer for column in choice.columns}


def undefined(results: Results, binarizer: str) -> Results:
    where = [column.binarizer == binarizer for column in results.columns]
    return replace(results, values=np.where(where, np.nan, results.values))


def saying(results: Results, **metrics: MetricMeaning | None) -> Results:
    """Say something else of some metrics, or with None nothing."""
    known = dict(results.meanings.metrics) | metrics
    known = {label: meaning for label, meaning in known.items() if meaning is not None}
    meanings = replace(results.meanings, metrics=known).to_record()
    return replace(results, provenance={**results.provenance, "meanings": meanings})


def said_by(metric: object) -> MetricMeaning:
    """Return what a metric says of itself."""
    return MetricMeaning("of mine", "masks", higher_is_better(metric), categories(metric))


def distances(of: dict[str, list[float]]) -> Results:
    """Make results of one map whose distances are as given, binarizer by binarizer."""
    results = made(n=len(next(iter(of.values()))), metrics=("hd",))
    results = results.select(method="cam", metric="hd", binarizer=[*of])
    values = np.array([of[column.binarizer] for column in results.columns]).T
    return saying(replace(results, values=values), hd=said_by(HausdorffDistance()))


def origin(results: Results, label: str = "validated") -> Origin | None:
    return results.meanings.binarizers[label].origin


ON_OTHERS = Origin("other images", "iou", True)
ON_THE_SAME = Origin("these same images", "iou", True)


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
    assert [*table.columns] == [
        *("target_class", "kind", "method", "binarizer", "metric", "score"),
        *("n_groups", "is_reliable"),
    ]
    assert table["method"].tolist() == [*CHOSEN]
    assert table["score"].tolist() == list(choice.scores)
    assert choice.model == "net"


def test_the_choice_is_by_the_metric_that_is_named() -> None:
    results = made(BEST)
    of_coverage = [c.metric == "coverage" for c in results.columns]
    turned = replace(results, values=np.where(of_coverage, 1 - results.values, results.values))
    assert chosen(choose_binarizers(turned, "iou")) == CHOSEN
    assert chosen(choose_binarizers(turned, "coverage"))["cam"] != "p95"


def least() -> Results:
    """Make results in which the score of what is to be chosen is the lowest."""
    return made({(m, b): 0.1 + 0.3 * (CHOSEN[m] != b) for _, m in MAPS for b in BINARIZERS})


def test_the_least_is_chosen_where_that_is_asked_for() -> None:
    of_mine = saying(least(), iou=MetricMeaning("of_mine", "masks"))
    choice = choose_binarizers(of_mine, higher_is_better=False)
    assert (choice.higher_is_better, chosen(choice)) == (False, CHOSEN)
    most = choose_binarizers(of_mine, higher_is_better=True)
    assert most.higher_is_better
    assert chosen(most) != CHOSEN


@pytest.mark.parametrize("distance", [HausdorffDistance(), CentroidDistance(), false_positive_rate])
def test_the_direction_is_the_metrics_own(distance) -> None:
    results = saying(least(), iou=said_by(distance))
    choice = choose_binarizers(results)
    assert (choice.higher_is_better, chosen(choice)) == (False, CHOSEN)
    assert choose_binarizers(results, higher_is_better=False) == choice
    with pytest.raises(SettingError, match="what the metric 'iou' says, False, got True"):
        choose_binarizers(results, higher_is_better=True)
    assert choose_binarizers(saying(least(), iou=said_by(dice))).higher_is_better
    with pytest.raises(SettingError, match="what the metric 'iou' says, True, got False"):
        choose_binarizers(least(), higher_is_better=False)


def test_no_name_says_which_direction_is_better() -> None:
    """A label is no meaning: a distance by the name alone is not known to be one."""
    for label in ("HausdorffDistance()", "false_positive_rate", "my_error", "iou"):
        unknown = saying(made(metrics=(label,)), **{label: None})
        for results in (unknown, saying(unknown, **{label: MetricMeaning(label, "masks")})):
            with pytest.raises(SettingError, match=r"must say whether higher is better .*of_masks"):
                choose_binarizers(results, label)
            assert choose_binarizers(results, label, higher_is_better=True).higher_is_better


class FromTorchmetrics:
    """One that says its direction as torchmetrics' do."""

    higher_is_better = False
    takes = "masks"

    def __call__(self, pred, target):
        """Return the distance."""
        return HausdorffDistance(penalize_empty=True)(pred, target)


@of_masks(higher_is_better=False)
def missed(pred, target):
    return 1 - cameval.coverage(pred, target)


def scaled_miss(pred, target, scale):
    return scale * missed(pred, target)


def share_missed_of(pred, target, scale=1.0):
    return scale * (1 - cameval.coverage(pred, target))


OWN = {
    "a function": missed,
    "a partial of one": partial(missed),
    "a marked partial": of_masks(partial(scaled_miss, scale=2.0), higher_is_better=False),
    "an object": FromTorchmetrics(),
    "a distance of ours": HausdorffDistance(penalize_empty=True),
}


@pytest.fixture(scope="module")
def of_own() -> Results:
    """Return an evaluation by metrics that say of themselves that less is better."""
    options = PLAN | {"metrics": OWN | {"coverage": cameval.coverage, "codes": Outcomes()}}
    options |= {"prepare": SMALL, "baselines": {}, "progress": False}
    return evaluate(small_network(), samples(4), **options)


@pytest.mark.parametrize("label", OWN)
def test_of_a_distance_of_the_users_the_least_is_chosen(of_own, label) -> None:
    choice = choose_binarizers(of_own, label)
    assert not choice.higher_is_better
    means = of_own.pivot(label)
    assert chosen(choice) == {method: means.loc[method].idxmin() for method in ("cam", "grad")}
    assert not means.eq(means.iloc[:, 0], axis=0).all().all()  # there is something to choose


def test_the_same_thing_by_error_and_by_score_is_chosen_alike(of_own) -> None:
    by_score = chosen(choose_binarizers(of_own, "coverage"))
    assert chosen(choose_binarizers(of_own, "a function")) == by_score


def test_codes_are_no_amounts_to_choose_by(of_own) -> None:
    message = "metric must be an amount to choose by, got 'codes', whose scores are codes of match"
    for asked in (None, True):
        with pytest.raises(SettingError, match=message):
            choose_binarizers(of_own, "codes", higher_is_better=asked)


def test_a_metric_that_does_not_say_its_direction_is_refused_after_an_evaluation() -> None:
    silent = of_masks(share_missed_of)
    options = PLAN | {"metrics": {"silent": silent}, "prepare": SMALL, "baselines": {}}
    results = evaluate(small_network(), samples(3), progress=False, **options)
    with pytest.raises(SettingError, match=r"'silent' must say .*of_masks\(higher_is_better=...\)"):
        choose_binarizers(results, "silent")


def test_of_our_metrics_less_is_better_of_distances_and_false_alarms() -> None:
    less = (HausdorffDistance(95), AverageSurfaceDistance(), CentroidDistance())
    assert [higher_is_better(metric) for metric in (*less, false_positive_rate)] == [False] * 4
    assert higher_is_better(cameval.iou)
    assert higher_is_better(lambda pred, target: 0) is None


def test_the_origin_says_that_the_least_was_chosen() -> None:
    distance = said_by(HausdorffDistance())
    validation, test = (saying(made(start=k), iou=distance) for k in (0, 100))
    found = choose_binarizers(validation).apply(test)
    assert origin(found) == Origin("other images", "iou", False)
    assert found.provenance["chosen"]["validated"]["higher_is_better"] is False
    assert chosen(choose_binarizers(found)) == chosen(choose_binarizers(test))  # no candidate


def test_of_equals_the_first_is_chosen() -> None:
    results = made()
    flat = replace(results, values=np.full_like(results.values, 0.25))
    assert set(chosen(choose_binarizers(flat)).values()) == {"p80"}
    distance = saying(flat, iou=MetricMeaning("d", "masks", False))
    assert set(chosen(choose_binarizers(distance)).values()) == {"p80"}


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
    for results in (gaps, saying(gaps, hd=MetricMeaning("hd", "masks", True))):
        with pytest.raises(DataError, match=message):
            choose_binarizers(results, "hd")
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
    for asked in ("max", 1, 0):
        with pytest.raises(SettingError, match=f"must be True, False or None, got {asked!r}"):
            choose_binarizers(validation, higher_is_better=asked)
    both = concat([validation, made(model="other")])
    with pytest.raises(SettingError, match="results must be of one model, got 2"):
        choose_binarizers(both)


# --- Reading --------------------------------------------------------------------------------------


def test_the_chosen_columns_are_those_of_the_binarizers() -> None:
    test = made(start=100)
    found = choose_binarizers(made(BEST)).apply(test)
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
    found = choice.apply(other).pivot("iou")
    assert found.loc["cam", "validated"] == found.loc["cam", "p95"] < found.loc["cam", "p80"]


def test_a_class_that_was_not_validated_takes_the_choice_of_the_first() -> None:
    choice = choose_binarizers(made(BEST))
    test = choice.apply(made(start=100, target_class=("true", "predicted")))
    for target_class in ("true", "predicted"):
        means = test.pivot("iou", target_class=target_class)
        assert all(means.loc[m, "validated"] == means.loc[m, b] for m, b in CHOSEN.items())
    both = made(BEST, target_class=("predicted", "true"))
    columns = [c.target_class == "true" and c.binarizer == "p80" for c in both.columns]
    own = choose_binarizers(replace(both, values=np.where(columns, 0.95, both.values)))
    assert own.binarizer("predicted", "method", "cam") == "p95"
    assert own.binarizer("true", "method", "cam") == "p80"
    assert own.binarizer("least", "method", "cam") == "p95"


def test_the_optimum_is_chosen_on_the_same_images_and_says_so() -> None:
    test = made({("cam", "p80"): 0.9}, start=100)
    both = choose_binarizers(made(BEST)).apply(test)
    optimum = choose_binarizers(both)
    both = optimum.apply(both, "test optimum")
    means = both.pivot("iou")
    assert (means["test optimum"] >= means["validated"]).all()
    assert means.loc["cam", "test optimum"] == means[[*BINARIZERS]].loc["cam"].max()
    assert origin(both) == ON_OTHERS
    assert origin(both, "test optimum") == ON_THE_SAME
    assert both.meanings.binarizers["p80"] == BinarizerMeaning("p80()")
    part = choose_binarizers(test).apply(test.select(label=1), "test optimum")
    assert origin(part, "test optimum") == ON_THE_SAME
    with pytest.raises(SettingError, match=r"got 'validated'; .*as in label='test optimum'"):
        optimum.apply(test)


def test_what_was_chosen_is_no_candidate() -> None:
    """After folds were put together, a label's scores are of several binarizers."""
    test = made(BEST, start=100)
    found = choose_binarizers(made(BEST)).apply(test, "a")
    first = [c.binarizer == "a" for c in found.columns]
    better = replace(found, values=np.where(first, 0.99, found.values))
    assert chosen(choose_binarizers(better)) == CHOSEN


def test_what_cannot_be_read_is_refused() -> None:
    choice, test = choose_binarizers(made(BEST)), made(start=100)
    for label in ("p95", "", 3):
        with pytest.raises(SettingError, match="label must be a word that no binarizer has yet"):
            choice.apply(test, label)
    with pytest.raises(SettingError, match=r"no binarizer has yet .*validated"):
        choice.apply(choice.apply(test))
    with pytest.raises(
        SettingError, match=r"results must be of one model, got 2.* together with concat"
    ):
        choice.apply(concat([test, made(start=100, model="other")]))
    with pytest.raises(SettingError, match="model of the choice, 'net', got 'other'; choose on"):
        choice.apply(made(start=100, model="other"))
    with pytest.raises(
        SettingError, match="got none for the baseline 'center', only for cam, grad"
    ):
        choose_binarizers(made(BEST).select(kind="method")).apply(test)
    with pytest.raises(SettingError, match="chosen for the method 'cam', got no 'p95'"):
        choice.apply(test.select(binarizer=["p80", "otsu"]))
    with pytest.raises(SettingError, match="a metric of masks for a binarizer, got none"):
        choice.apply(test.select(metric="auroc"))


def with_samples(results: Results, **columns: object) -> Results:
    return replace(results, samples=results.samples.assign(**columns))


def test_images_that_are_in_both_parts_are_refused() -> None:
    choice = choose_binarizers(made(BEST))
    with pytest.raises(SettingError, match=r"got 2 of 6 images in both .*; keep the parts apart"):
        choice.apply(made(start=4))


@pytest.mark.parametrize("start", [0, 4])
def test_images_are_the_same_on_another_grid_of_the_truth(start) -> None:
    choice = choose_binarizers(made(BEST))
    test = made(start=start)
    finer = with_samples(test, area=test.samples["area"] + 0.001)
    with pytest.raises(SettingError, match=r"must have another label|got 2 of 6 images"):
        choice.apply(finer)


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
    assert "validated" in choice.apply(other).provenance["chosen"]


def test_other_images_of_the_same_groups_are_not_called_validation_data() -> None:
    choice = choose_binarizers(made(BEST))
    test = made(start=100)
    shared = with_samples(test, group=["person 0", *test.samples["group"][1:]])
    found = choice.apply(shared)
    assert origin(found) == Origin("other images of the same groups", "iou", True)
    assert chosen(choose_binarizers(found)) == chosen(choose_binarizers(test))  # no candidate
    assert origin(choice.apply(test)) == ON_OTHERS


def test_images_that_are_each_their_own_group_share_none() -> None:
    alone, test = (with_samples(r, group=r.samples["sample"]) for r in (made(BEST), made(start=4)))
    other = with_samples(test, label=test.samples["label"] + 5)
    assert origin(choose_binarizers(alone).apply(other)) == ON_OTHERS


def test_images_without_groups_are_perhaps_of_the_same_groups() -> None:
    validation, test = made(BEST), made(start=100)
    without = [with_samples(one, group=one.samples["sample"]) for one in (validation, test)]
    perhaps = Origin("other images, perhaps of the same groups", "iou", True)
    assert origin(choose_binarizers(without[0]).apply(test)) == perhaps
    assert origin(choose_binarizers(validation).apply(without[1])) == perhaps


def test_images_without_labels_are_told_apart_by_name_and_group() -> None:
    def unlabeled(start: int) -> Results:
        results = made(BEST, start=start)
        labels = results.samples["label"].astype("Int64").mask(results.samples["label"] == 1)
        return with_samples(results, label=labels)

    choice = choose_binarizers(unlabeled(0))
    assert {label for _, _, label in choice.images} == {0, None}
    assert origin(choice.apply(unlabeled(100))) == ON_OTHERS
    assert origin(choice.apply(unlabeled(0), "optimum"), "optimum") == ON_THE_SAME
    with pytest.raises(SettingError, match="got 2 of 6 images in both"):
        choice.apply(unlabeled(4))


# --- Folds and files ------------------------------------------------------------------------------


def test_folds_that_chose_differently_are_put_together() -> None:
    first = choose_binarizers(made(BEST)).apply(made(start=100))
    second = choose_binarizers(made({("cam", "otsu"): 0.9})).apply(made(start=200))
    both = concat([first, second])
    expected = [*column_of(first, "cam", "p95", "iou"), *column_of(second, "cam", "otsu", "iou")]
    assert column_of(both, "cam", "validated", "iou").tolist() == expected
    assert origin(both) == ON_OTHERS
    assert "chosen" not in both.provenance  # what the first chose is not what all chose
    picks = [
        {b["method"]: b["binarizer"] for b in part["chosen"]["validated"]["binarizers"]}
        for part in both.provenance["parts"]
    ]
    assert picks[0] == CHOSEN
    assert picks[1]["cam"] == "otsu"
    alike = concat([first, choose_binarizers(made(BEST)).apply(made(start=300))])
    assert alike.provenance["chosen"] == first.provenance["chosen"]


def fold(start: int, *, on: int | None = None, by: str = "iou") -> Results:
    """Make a test part whose binarizers were chosen on the images from `on`, by default others."""
    choice = choose_binarizers(made(BEST, start=start + 500 if on is None else on), by)
    return choice.apply(made(start=start), "chosen")


def test_a_label_must_have_come_about_alike_in_all_parts() -> None:
    message = r"label 'chosen' must mean the same in all parts, got BinarizerMeaning\(.*'other ima"
    groups = choose_binarizers(made(BEST, start=700)).apply(
        with_samples(made(start=200), group=[f"person {k // 2}" for k in range(700, 706)]), "chosen"
    )
    for other in (fold(200, on=200), fold(200, by="coverage"), groups):
        with pytest.raises(SettingError, match=f"{message}ges', .* and BinarizerMeaning.*; leave"):
            concat([fold(100), other])
        kept = [part.select(binarizer=["", *BINARIZERS]) for part in (fold(100), other)]
        assert len(concat(kept)) == 12  # what is not shown may differ
    unknown = replace(fold(200), provenance={})
    with pytest.raises(SettingError, match=f"{message}ges', .* in one only; leave"):
        concat([fold(100), unknown])
    assert origin(concat([fold(100), fold(200)]), "chosen") == ON_OTHERS


def test_a_metric_must_mean_the_same_in_all_parts() -> None:
    other = saying(made(start=100), iou=MetricMeaning("iou", "masks", False))
    with pytest.raises(SettingError, match=r"label 'iou' must mean the same .*True.* and .*False"):
        concat([made(), other])
    kept = [part.select(metric=["coverage", "auroc"]) for part in (made(), other)]
    assert len(concat(kept)) == 12
    assert len(concat([made(), saying(made(start=100), iou=None)])) == 12  # nothing contradicts


def test_a_baseline_must_know_the_same_in_all_parts() -> None:
    def of(knowledge: str | None, start: int) -> Results:
        results = made(start=start)
        baselines = {"center": BaselineMeaning("center_baseline", knowledge)}
        meanings = replace(results.meanings, baselines=baselines).to_record()
        return replace(results, provenance={**results.provenance, "meanings": meanings})

    assert len(concat([of("nothing", 0), of("nothing", 100)])) == 12
    for other in ("truth", "image", None):
        with pytest.raises(SettingError, match="label 'center' must mean the same in all parts"):
            concat([of("nothing", 0), of(other, 100)])


def test_what_a_baseline_of_an_evaluation_knows_stays_with_it() -> None:
    def evaluated(baseline: object, start: int) -> Results:
        data = [replace(s, name=f"{start}/{s.name}") for s in samples(2)]
        options = PLAN | {"prepare": SMALL, "baselines": {"mine": baseline}, "progress": False}
        return evaluate(small_network(), data, **options)

    @knows("truth")
    def blind_center_map(batch):
        return batch.truth.float()

    @knows("nothing")
    def truth_itself(batch):
        return batch.truth.float() * 0 + 1

    seeing, blind = evaluated(blind_center_map, 0), evaluated(truth_itself, 1)
    found = [results.meanings.baselines["mine"].knows for results in (seeing, blind)]
    assert found == ["truth", "nothing"]
    with pytest.raises(SettingError, match="label 'mine' must mean the same"):
        concat([seeing, blind])
    silent = evaluated(lambda batch: batch.truth.float(), 2)
    assert silent.meanings.baselines["mine"].knows is None


def test_parts_that_were_put_together_before_keep_what_they_chose() -> None:
    inner = [concat([fold(k), fold(k + 100)]) for k in (100, 300)]
    both = concat([*inner, fold(500)])
    flat = concat([fold(k) for k in (100, 200, 300, 400, 500)])
    assert both.provenance == flat.provenance
    assert [run["started"] for run in both.provenance["parts"]] == [f"{k}00" for k in range(1, 6)]
    assert [[*run["chosen"]] for run in both.provenance["parts"]] == [["chosen"]] * 5


def test_records_that_lie_deeper_are_found() -> None:
    """Tables written before records were flat have parts within parts."""
    parts = [fold(100), fold(200)]
    inner = {"settings": {}, "parts": [part.provenance for part in parts]}
    both = concat(parts)
    deep = replace(both, provenance=both.provenance | {"parts": [inner]})
    assert concat([deep, fold(300)]).provenance["parts"][:2] == inner["parts"]


def test_a_choice_made_after_parts_were_put_together_is_noted() -> None:
    folds = concat([made(start=k) for k in (100, 200)])
    found = choose_binarizers(made(BEST)).apply(folds, "chosen")
    again = concat([found, fold(300)])
    assert [[*run["chosen"]] for run in again.provenance["parts"]] == [["chosen"]] * 3


def test_models_that_are_chosen_for_one_by_one_keep_their_own_choices() -> None:
    names = ("net", "other")
    validation, test = (
        concat([made({("cam", b): 0.9}, start=k, model=m) for m, b in zip(names, bs, strict=True)])
        for k, bs in ((0, ("p95", "otsu")), (100, ("p80", "p80")))
    )
    both = concat(
        [choose_binarizers(validation.select(model=m)).apply(test.select(model=m)) for m in names]
    )
    picks = {
        run["settings"]["model"]: run["chosen"]["validated"]["binarizers"][0]["binarizer"]
        for run in both.provenance["parts"]
    }
    assert picks == {"net": "p95", "other": "otsu"}
    assert len(both.provenance["parts"]) == 2


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_choice_is_kept_in_files(kind, tmp_path) -> None:
    found = choose_binarizers(made(BEST)).apply(made(start=100))
    getattr(found, f"to_{kind}")(tmp_path / f"table.{kind}")
    again = getattr(Results, f"from_{kind}")(tmp_path / f"table.{kind}")
    assert again.columns == found.columns
    np.testing.assert_array_equal(again.values, found.values)
    assert again.provenance == json.loads(json.dumps(found.provenance))
    assert again.meanings == found.meanings
    assert origin(again) == ON_OTHERS
    record = again.provenance["chosen"]["validated"]
    assert (record["metric"], record["higher_is_better"], record["images"]) == ("iou", True, 6)
    assert {b["method"]: b["binarizer"] for b in record["binarizers"]} == CHOSEN
    assert all(isinstance(b["score"], float) for b in record["binarizers"])
    assert choose_binarizers(again) == choose_binarizers(found)


def test_of_an_evaluation_it_is_what_the_binarizer_alone_gives() -> None:
    data, options = samples(8), {**PLAN, "prepare": SMALL, "progress": False}
    validation, test = (
        evaluate(small_network(), part, baselines={}, **options) for part in (data[:4], data[4:])
    )
    choice = choose_binarizers(validation, "coverage")
    found = choice.apply(test)
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


def test_a_choice_is_that_of_one_network_and_its_binarizers() -> None:
    def run(net, data, share: int, name: str = "net") -> Results:
        narrow = {"narrow": cameval.PercentileBinarizer(share)}
        return evaluate(net, data, name=name, **PLAN | {"binarizers": narrow, "prepare": SMALL})

    one, other = small_network(), small_network()
    with torch.no_grad():
        other.head.linear.weight.neg_()
    validation, test, other_validation, other_test = (samples(16)[k::4] for k in range(4))
    choice = choose_binarizers(run(one, validation, 95))
    assert "validated" in {c.binarizer for c in choice.apply(run(one, test, 95)).columns}
    with pytest.raises(SettingError, match="of the choice, got 'net' with other weights; choose"):
        choice.apply(run(other, test, 95))
    said = r"'narrow' must be that of the choice, Perc.*95\), got Percentile.*80\); evaluate both"
    with pytest.raises(SettingError, match=said):
        choice.apply(run(one, test, 80))
    folds = choose_binarizers(concat([run(one, validation, 95), run(other, other_validation, 95)]))
    both = folds.apply(concat([run(one, test, 95), run(other, other_test, 95)]))
    assert "validated" in {c.binarizer for c in both.columns}
    with pytest.raises(SettingError, match="label 'narrow' must mean the same in all parts"):
        concat([run(one, test, 95), run(other, test, 80, "other")])

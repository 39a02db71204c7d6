"""Binarizers chosen for each label, with fallbacks, against a loop over rows and labels."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import made as made_page
from target_rows import batch, made

from cameval.errors import SettingError
from cameval.evaluation import (
    Choice,
    Column,
    Meanings,
    Origin,
    Results,
    choose_binarizers,
    concat,
)
from cameval.evaluation.meaning import MetricMeaning

METHODS = ("cam", "grad")
BINARIZERS = ("p80", "p95", "otsu")
METRICS = ("iou", "coverage")
COLUMNS = [
    Column("true", "method", method, binarizer, metric)
    for method in METHODS
    for binarizer, metric in [("", "auroc"), *((b, m) for b in BINARIZERS for m in METRICS)]
]
MEANINGS = Meanings(
    metrics={m: MetricMeaning(m, "masks", True) for m in METRICS}
    | {"auroc": MetricMeaning("auroc", "maps", True)}
).to_record()


def results(labels, *, start: int = 0, seed: int = 0, undefined=()) -> Results:
    """Make results of rows with these labels, three targets a sample; -1 for no label.

    Rows whose label is in `undefined` have no score of any mask.
    """
    n = len(labels)
    rng = np.random.default_rng(seed)
    values = rng.random((n, len(COLUMNS)))
    of_masks = [bool(column.binarizer) for column in COLUMNS]
    absent = np.isin(labels, list(undefined))
    values[np.ix_(absent, of_masks)] = np.nan
    weights = np.where(of_masks, rng.integers(1, 50, values.shape).astype(float), np.nan)
    names = [f"image {(start + k) // 3}" for k in range(n)]
    found = made(
        batch(names, labels, values=values, weights=weights, present=~absent), columns=COLUMNS
    )
    return replace(found, provenance={**found.provenance, "meanings": MEANINGS})


def at(method: str, binarizer: str, metric: str) -> int:
    return COLUMNS.index(Column("true", "method", method, binarizer, metric))


def best(scores: np.ndarray, rows: np.ndarray, method: str) -> tuple[str, float] | None:
    """Return the binarizer with the highest mean IoU over some rows, by a loop."""
    found: tuple[str, float] | None = None
    for binarizer in BINARIZERS:
        column = [scores[i, at(method, binarizer, "iou")] for i in np.flatnonzero(rows)]
        defined = [value for value in column if value == value]
        if defined and (found is None or sum(defined) / len(defined) > found[1] + 1e-15):
            found = binarizer, sum(defined) / len(defined)
    return found


FOUR = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]
VALIDATION = results([0, 1, 2] * 8, undefined=[2])
"""Label 2 has no score. Label 3 is in the test only."""
TEST = results(FOUR, start=300, seed=1)


def test_each_label_has_the_binarizer_of_its_own_highest_mean() -> None:
    choice = choose_binarizers(VALIDATION, by="label")
    assert choice.by == "label"
    labels = VALIDATION.samples["label"].to_numpy(int)
    for method in METHODS:
        for label in (0, 1):
            expected = best(VALIDATION.values, labels == label, method)
            assert expected is not None
            assert choice.binarizer("true", "method", method, label) == expected[0]
            table = choice.to_pandas().query(f"method == '{method}' & label == {label}")
            assert table["score"].item() == pytest.approx(expected[1], rel=1e-12)
    own = {choice.binarizer("true", "method", m, label) for m in METHODS for label in (0, 1)}
    assert len(own) > 1  # there is something to choose


def test_a_label_without_a_score_falls_back_to_all_labels() -> None:
    choice = choose_binarizers(VALIDATION, by="label")
    overall = choose_binarizers(VALIDATION)
    assert [(column.method, label) for column, label in choice.fallbacks] == [
        (method, 2) for method in METHODS
    ]
    for method, score in zip(METHODS, overall.scores, strict=True):
        chosen = overall.binarizer("true", "method", method)
        for label in (2, 3, None):  # without a score, of the test only, not known
            assert choice.binarizer("true", "method", method, label) == chosen
        row = choice.to_pandas().query(f"method == '{method}' & label == 2")
        assert (row["binarizer"].item(), row["score"].item()) == (chosen, score)
        assert row["fallback"].item()


def test_the_table_and_the_record_have_a_row_for_each_map_and_label() -> None:
    choice = choose_binarizers(VALIDATION, by="label")
    table = choice.to_pandas()
    assert list(table.columns) == [
        *("label", "target_class", "kind", "method", "binarizer", "metric", "score"),
        *("n_groups", "is_reliable", "fallback"),
    ]
    assert len(table) == len(METHODS) * 4
    assert table["label"].dtype == "Int64"
    assert table["fallback"].dtype == bool
    for method in METHODS:
        part = table[table["method"] == method]
        assert [None if pd.isna(v) else v for v in part["label"]] == [None, 0, 1, 2]
        assert part["fallback"].tolist() == [False, False, False, True]
    record = json.loads(json.dumps(choice.record()))
    assert (record["by"], record["images"]) == ("label", 8)
    assert [row["label"] for row in record["binarizers"]] == [*[None, 0, 1] * 2, 2, 2]
    assert len(choice.images) == 24
    plain = choose_binarizers(VALIDATION)
    assert plain.by is None
    assert plain.fallbacks == ()
    assert "label" not in plain.to_pandas()


def test_each_row_has_the_score_of_the_binarizer_of_its_label() -> None:
    choice = choose_binarizers(VALIDATION, by="label")
    found = choice.apply(TEST)
    assert len(found.columns) == len(COLUMNS) + len(METHODS) * len(METRICS)
    for method in METHODS:
        for metric in METRICS:
            new = found.columns.index(Column("true", "method", method, "validated", metric))
            for row, label in enumerate(FOUR):
                k = at(method, choice.binarizer("true", "method", method, label), metric)
                assert found.values[row, new] == TEST.values[row, k]
                assert found.codes[row, new] == TEST.codes[row, k]
                assert found.weights[row, new] == TEST.weights[row, k]
    kept = found.select(binarizer=["", *BINARIZERS])
    assert kept.columns == TEST.columns
    np.testing.assert_array_equal(kept.values, TEST.values)


@given(
    st.lists(st.integers(-1, 3), min_size=3, max_size=15).filter(lambda ls: max(ls) >= 0),
    st.lists(st.integers(-1, 5), min_size=1, max_size=9),
    st.integers(0, 3),
    st.integers(0, 1000),
)
def test_it_is_what_a_loop_over_rows_gives(of_validation, of_test, undefined, seed) -> None:
    validation = apart(of_validation, 0, seed, undefined)
    test = apart(of_test, 10_000, seed + 1, None)
    of_masks = [bool(column.binarizer) for column in COLUMNS]
    if np.isnan(validation.values[:, of_masks]).all():
        return
    found = choose_binarizers(validation, by="label").apply(test)
    labels = np.array(of_validation)
    for method in METHODS:
        everything = best(validation.values, np.ones(len(labels), bool), method)
        assert everything is not None
        new = found.columns.index(Column("true", "method", method, "validated", "iou"))
        for row, label in enumerate(of_test):
            own = best(validation.values, (labels == label) & (labels >= 0), method)
            binarizer = (own or everything)[0]
            assert found.values[row, new] == test.values[row, at(method, binarizer, "iou")]


def apart(labels, start: int, seed: int, undefined: int | None) -> Results:
    """Make results in which each row is an image of its own."""
    made_of = results(list(range(len(labels))), start=start, seed=seed)
    shown = pd.array(labels, dtype="Int64")
    table = made_of.samples.assign(
        sample=[f"{start + k}" for k in range(len(labels))],
        group=[f"{start + k}" for k in range(len(labels))],
        label=pd.Series(shown).mask(pd.Series(shown) == -1),
    )
    values = made_of.values.copy()
    of_masks = [bool(column.binarizer) for column in COLUMNS]
    values[np.ix_(np.array(labels) == undefined, of_masks)] = np.nan
    return replace(made_of, samples=table, values=values)


def test_with_one_label_it_is_the_choice_for_all() -> None:
    one = VALIDATION.select(label=0)
    by_label, plain = choose_binarizers(one, by="label"), choose_binarizers(one)
    first, second = (choice.apply(TEST.select(label=0)) for choice in (by_label, plain))
    np.testing.assert_array_equal(first.values, second.values)
    assert by_label.images == plain.images


def test_on_the_same_images_no_choice_by_label_is_worse_than_one_for_all() -> None:
    by_label, plain = (
        choose_binarizers(TEST, by=by).apply(TEST, "optimum").select(binarizer="optimum")
        for by in ("label", None)
    )
    first, second = (
        each.select(metric="iou").summary(by="label")["mean"] for each in (by_label, plain)
    )
    assert (first >= second - 1e-12).all()


def test_the_least_is_chosen_for_each_label_where_less_is_better() -> None:
    distance = {**MEANINGS, "metrics": {**MEANINGS["metrics"]}}
    distance["metrics"]["iou"] = {"setting": "d", "takes": "masks", "higher_is_better": False}
    less = replace(VALIDATION, provenance={**VALIDATION.provenance, "meanings": distance})
    turned = replace(VALIDATION, values=-VALIDATION.values)
    first, second = choose_binarizers(less, by="label"), choose_binarizers(turned, by="label")
    assert first.columns == second.columns
    assert first.scores == pytest.approx([-score for score in second.scores])


def test_the_meaning_says_that_it_was_chosen_for_each_label(tmp_path) -> None:
    found = choose_binarizers(VALIDATION, by="label").apply(TEST)
    meaning = found.meanings.binarizers["validated"]
    assert meaning.setting == "chosen for each map and label"
    assert meaning.origin == Origin("other images", "iou", True, "label")
    for kind in ("csv", "parquet"):
        getattr(found, f"to_{kind}")(tmp_path / f"t.{kind}")
        again = getattr(Results, f"from_{kind}")(tmp_path / f"t.{kind}")
        assert again.meanings == found.meanings
        assert again.provenance["chosen"] == json.loads(json.dumps(found.provenance["chosen"]))
        np.testing.assert_array_equal(again.values, found.values)
        assert choose_binarizers(again, by="label") == choose_binarizers(found, by="label")
    assert choose_binarizers(found, by="label") == choose_binarizers(TEST, by="label")
    other = choose_binarizers(VALIDATION).apply(results(FOUR, start=600, seed=3))
    with pytest.raises(SettingError, match="label 'validated' must mean the same in all parts"):
        concat([found, other])


def test_a_choice_by_label_needs_labels() -> None:
    without = apart([-1] * 6, 0, 0, None)
    with pytest.raises(SettingError, match="a choice by label needs results with labels, got none"):
        choose_binarizers(without, by="label")
    for by in ("class", True, "group", 3):
        with pytest.raises(SettingError, match="by must be 'label' or None, got"):
            choose_binarizers(VALIDATION, by=by)
    found = choose_binarizers(VALIDATION, by="label").apply(apart([-1] * 6, 900, 0, None))
    overall = choose_binarizers(VALIDATION).apply(apart([-1] * 6, 900, 0, None))
    np.testing.assert_array_equal(found.values, overall.values)


def test_a_binarizer_that_the_results_lack_is_named_where_a_row_needs_it() -> None:
    values = VALIDATION.values.copy()
    labels = VALIDATION.samples["label"].to_numpy(int)
    values[:, at("cam", "p80", "iou")] = np.where(labels == 2, np.nan, 0.9)
    values[labels == 1, at("cam", "p95", "iou")] = 0.99
    choice = choose_binarizers(replace(VALIDATION, values=values).select(method="cam"), by="label")
    assert choice.binarizer("true", "method", "cam", 1) == "p95"
    assert choice.binarizer("true", "method", "cam", 0) != "p95"
    part = TEST.select(method="cam", binarizer=["p80", "otsu"])
    with pytest.raises(SettingError, match="chosen for the method 'cam', got no 'p95'"):
        choice.apply(part)
    assert "validated" in choice.apply(part.select(label=[0, 2])).provenance["chosen"]


def test_images_are_told_apart_by_name_group_and_label() -> None:
    choice = choose_binarizers(VALIDATION, by="label")
    assert ("image 0", "person image 0", 2) in choice.images
    with pytest.raises(SettingError, match="got 3 of 6 images in both"):
        choice.apply(results([0, 1, 2] * 2, start=21))
    same = choice.apply(VALIDATION, "optimum")
    assert same.meanings.binarizers["optimum"].origin == Origin(
        "these same images", "iou", True, "label"
    )


def test_a_choice_made_by_hand_is_for_each_map() -> None:
    column = Column("true", "method", "cam", "p80", "iou")
    choice = Choice("iou", True, "net", (column,), (0.5,), frozenset())
    assert choice.by is None
    assert choice.binarizer("true", "method", "cam", 7) == "p80"


def test_a_choice_is_shown_in_one_line() -> None:
    column = Column("predicted", "method", "cam", "otsu", "iou")
    images = frozenset({("a", "p", 0), ("a", "p", 1), ("b", "p", 0)})
    others = [replace(column, method=method) for method in ("cam", "grad_cam", "layer_cam")]
    assert "of each map: binarizers of 3 maps, model net, 2 images" in repr(
        Choice("iou", True, "net", tuple(others), (0.5,) * 3, images)
    )
    choice = Choice("iou", True, "net", (column,), (0.5,), images, labels=(1,))
    assert repr(choice) == (
        "Choice(by the highest iou of each map and label: binarizers of 1 map and 1 label, model "
        "net, 2 images, 1 group; to_pandas() lists them)"
    )


def test_a_choice_on_few_groups_has_a_caution() -> None:
    def label(i: int) -> int:
        return 0 if i % 12 < 10 else 1  # of ten groups, and of two

    validation = made_page(24, groups=12, label=label, methods=("cam",), baselines={})
    plain = choose_binarizers(validation)
    assert "24 images, 12 groups; to_pandas()" in repr(plain)
    assert plain.to_pandas()[["n_groups", "is_reliable"]].to_numpy().tolist() == [[12, True]]
    by_label = choose_binarizers(validation, by="label")
    assert (
        "12 groups; caution: 1 of 3 binarizers chosen on fewer than 10 groups; to_pandas()"
        in repr(by_label)
    )
    assert by_label.to_pandas()["n_groups"].tolist() == [12, 10, 2]
    assert by_label.to_pandas()["is_reliable"].tolist() == [True, True, False]
    record = by_label.record()
    assert (record["images"], record["groups"]) == (24, 12)
    assert [row["n_groups"] for row in record["binarizers"]] == [12, 10, 2]
    values = validation.values.copy()
    values[:18] = np.nan  # a group without a score does not count
    some = choose_binarizers(replace(validation, values=values))
    assert some.n_groups == (6,)

"""What is asked of a table of results: summaries, comparisons and dependence by class."""

from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest

from cameval.errors import SettingError
from cameval.evaluation._summaries import compare, dependence, summary
from cameval.evaluation.meaning import Column, Meanings, MetricMeaning
from cameval.statistics import describe, paired_tests, rank_correlation

COLUMNS = [Column("predicted", "method", name, "p95", "iou") for name in ("cam", "grad")]
N = 48


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "model": "net",
            "sample": [f"image {k}" for k in range(N)],
            "group": [f"p{k // 2}" for k in range(N)],
            "label": pd.array(np.arange(N) % 3, dtype="Int64"),
            "present": True,
            "predicted": pd.array(np.arange(N) % 2, dtype="Int64"),
            "probability": rng.random(N),
            "area": rng.random(N) + np.arange(N) % 3,
        }
    )


@pytest.fixture
def values():
    found = np.random.default_rng(1).random((N, 2)) + (np.arange(N) % 3)[:, None]
    found[5] = np.nan
    return found


def summarized(samples, values, by, meanings=None):
    nothing = np.zeros(values.shape, bool)
    known = Meanings() if meanings is None else meanings
    return summary(samples, COLUMNS, values, nothing, by, known, confidence=0.9)


def test_a_row_of_the_summary_is_the_description_of_its_column(samples, values):
    table = summarized(samples, values, ["model"])
    numbers = ["n", "n_groups", "n_undefined", "mean", "low", "high", "median", "q25", "q75"]
    for (_, row), column in zip(table.iterrows(), values.T, strict=True):
        expected = describe(column, samples["group"].to_numpy(str), confidence=0.9)
        assert tuple(row[numbers]) == astuple(expected)
        assert row["n_constant"] == 0
        assert row["is_reliable"]


def test_an_interval_of_few_groups_is_not_reliable(samples, values):
    for groups, reliable in [(1, False), (9, False), (10, True)]:
        few = samples.assign(group=[f"p{k % groups}" for k in range(N)])
        table = summarized(few, values, ["model"])
        assert table["is_reliable"].tolist() == [reliable] * 2
    with pytest.raises(SettingError, match="no column of the summary itself, got 'is_reliable'"):
        summarized(samples.assign(is_reliable=1), values, ["is_reliable"])


def test_intervals_end_where_the_metric_says_that_it_ends(samples):
    few = np.zeros((N, 2))
    few[:2] = 0.9
    within = Meanings(metrics={"iou": MetricMeaning("iou", "masks", True, value_range=(0, 1))})
    bounded, free = (summarized(samples, few, ["model"], m) for m in (within, None))
    assert (bounded["low"] == 0).all()
    assert (free["low"] < 0).all()
    assert (bounded["mean"] == free["mean"]).all()


def test_a_range_that_the_scores_contradict_is_not_believed(samples, values):
    wrong = Meanings(metrics={"iou": MetricMeaning("iou", "masks", True, value_range=(0, 1))})
    one, other = (summarized(samples, values, ["model"], m) for m in (wrong, None))
    pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize("missing", ["label", "predicted"])
def test_images_without_a_label_are_neither_right_nor_wrong_but_summarized(
    samples, values, missing
):
    samples.loc[:9, missing] = pd.NA
    table = summarized(samples, values, ["model", "correct"])
    assert table["n"].sum() + table["n_undefined"].sum() == values.size
    unknown = table[table["correct"].isna()]
    assert (unknown["n"] + unknown["n_undefined"]).tolist() == [10, 10]
    assert len(table[~table["correct"].isna()]) == 4
    samples[missing] = pd.array([pd.NA] * N, dtype="Int64")
    table = summarized(samples, values, ["model", "correct"])
    assert table["correct"].isna().all()
    assert table["n"].tolist() == [N - 1, N - 1]


def tidy(samples, values):
    parts = [
        samples.assign(
            target_class="predicted", method=c.method, binarizer="p95", metric="iou"
        ).assign(value=column)
        for c, column in zip(COLUMNS, values.T, strict=True)
    ]
    return pd.concat(parts, ignore_index=True)


def test_what_is_compared_are_the_means_of_the_summary(samples, values):
    samples["group"] = ["large"] * 12 + samples["group"].tolist()[12:]
    table = compare(tidy(samples, values), "method", None, 500, 3)
    means = summarized(samples, values, ["model"]).set_index("method")["mean"]
    (row,) = table.to_dict("records")
    assert row["difference"] == pytest.approx(means["cam"] - means["grad"])
    assert list(table.columns[:9]) == [
        *("first", "second", "difference", "low", "high", "p", "p_holm", "low_holm", "high_holm")
    ]
    assert {"effect", "effect_low", "effect_high", "n", "n_groups", "n_undefined"} <= set(row)
    (expected,) = paired_tests(
        {"cam": values[:, 0], "grad": values[:, 1]},
        samples["group"].to_numpy(str),
        resamples=500,
        seed=3,
    )
    assert row["p"] == expected.p
    assert (row["low"], row["high"]) == pytest.approx((expected.low, expected.high))


def test_dependence_is_within_the_labels(samples, values):
    table = dependence(samples, COLUMNS, values, "area")
    groups = samples["group"].to_numpy(str)
    area, label = samples["area"].to_numpy(), samples["label"].to_numpy(int)
    for row, column in zip(table.to_dict("records"), values.T, strict=True):
        expected = rank_correlation(area, column, groups, within=label)
        assert (row["estimate"], row["low"], row["high"]) == astuple(expected)[:3]
        assert abs(row["estimate"]) < 0.4
    samples["label"] = pd.array([pd.NA] * N, dtype="Int64")
    table = dependence(samples, COLUMNS, values, "area")
    expected = rank_correlation(area, values[:, 0], groups)
    assert table["estimate"][0] == expected.estimate
    assert table["estimate"][0] > 0.5

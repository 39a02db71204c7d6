"""The cluster bootstrap."""

from dataclasses import astuple
from itertools import product

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.statistics import (
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_means,
    describe,
    resampling,
)

NAN = float("nan")


def test_with_one_image_in_each_group_it_is_the_image_bootstrap():
    values = np.random.default_rng(1).random(30)
    interval = bootstrap_mean(values, np.arange(30), confidence=0.9, resamples=500, seed=7)
    drawn = np.random.default_rng(7).integers(30, size=(500, 30))
    expected = np.quantile(values[drawn].mean(1), [0.05, 0.95])
    assert interval.estimate == pytest.approx(values.mean())
    assert [interval.low, interval.high] == pytest.approx(expected)


def test_it_draws_whole_groups():
    rng = np.random.default_rng(1)
    groups = rng.integers(8, size=40)
    values = groups / 8 + rng.random(40)
    interval = bootstrap_mean(values, [f"p{g}" for g in groups], resamples=300, seed=3)
    members = [values[groups == g] for g in range(8)]
    drawn = np.random.default_rng(3).integers(8, size=(300, 8))
    means = [np.concatenate([members[g] for g in row]).mean() for row in drawn]
    assert [interval.low, interval.high] == pytest.approx(np.quantile(means, [0.025, 0.975]))


def test_images_of_one_patient_widen_the_interval():
    patient = np.repeat(np.arange(20), 10)
    values = np.repeat(np.random.default_rng(0).random(20), 10)
    by_patient = bootstrap_mean(values, patient, resamples=2000)
    by_image = bootstrap_mean(values, np.arange(200), resamples=2000)
    assert by_patient.estimate == by_image.estimate
    assert by_patient.high - by_patient.low > 2.5 * (by_image.high - by_image.low)


def test_the_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        patient_means = rng.normal(size=40)
        values = np.repeat(patient_means, 3) + rng.normal(size=120)
        interval = bootstrap_mean(
            values, np.repeat(np.arange(40), 3), confidence=0.8, resamples=400, seed=seed
        )
        covered += interval.low <= 0 <= interval.high
    assert 140 <= covered <= 180  # 160 expected, standard deviation 5.7


def test_undefined_values_are_left_out_and_counted():
    values, groups = [0.1, NAN, 0.3, NAN, 0.8], ["a", "a", "b", "c", "d"]
    interval = bootstrap_mean(values, groups)
    assert (interval.n, interval.n_groups, interval.n_undefined) == (3, 3, 2)
    defined = bootstrap_mean([0.1, 0.3, 0.8], ["a", "b", "d"])
    assert (interval.estimate, interval.low, interval.high) == (
        defined.estimate,
        defined.low,
        defined.high,
    )


def test_where_nothing_can_be_said_it_says_nan():
    nothing = bootstrap_mean([NAN, NAN], [1, 2])
    assert np.isnan([nothing.estimate, nothing.low, nothing.high]).all()
    assert (nothing.n, nothing.n_groups, nothing.n_undefined) == (0, 0, 2)
    single = bootstrap_mean([0.25, 0.75], [1, 1])
    assert single.estimate == 0.5
    assert np.isnan([single.low, single.high]).all()


def test_one_seed_gives_one_interval_however_it_is_cut(monkeypatch):
    values = np.random.default_rng(1).random(30)
    first = bootstrap_mean(values, np.arange(30), resamples=100, seed=5)
    monkeypatch.setattr(resampling, "_CHUNK", 70)
    assert bootstrap_mean(values, np.arange(30), resamples=100, seed=5) == first
    assert bootstrap_mean(values, np.arange(30), resamples=100, seed=6) != first


def test_tensors_are_as_good_as_arrays():
    values = torch.tensor([0.25, 0.5, 1.0], dtype=torch.bfloat16)
    interval = bootstrap_mean(values, torch.tensor([3, 1, 3]))
    assert interval == bootstrap_mean([0.25, 0.5, 1.0], [3, 1, 3])


@pytest.mark.parametrize(("values", "groups"), [([], []), ([1.0], [1, 2]), ([[1.0]], [[1]])])
def test_each_value_has_a_group(values, groups):
    with pytest.raises(ShapeError, match=r"values and groups must have one shape \(N,\)"):
        bootstrap_mean(values, groups)


def test_settings_and_values_are_checked():
    with pytest.raises(SettingError, match=r"confidence must be in \(0, 1\), got 95"):
        bootstrap_mean([1.0], [1], confidence=95)
    with pytest.raises(SettingError, match="resamples must be at least 1, got 0"):
        bootstrap_mean([1.0], [1], resamples=0)
    with pytest.raises(NonFiniteError, match="values must be finite or NaN"):
        bootstrap_mean([1.0, float("inf")], [1, 2])


@pytest.mark.parametrize(
    ("values", "groups", "error", "message"),
    [
        (["a"], [1], ArrayTypeError, "values must be real numbers"),
        ([1j], [1], ArrayTypeError, "values must be real numbers"),
        ([1.0, 2.0], [NAN, 1.0], NonFiniteError, "groups must all be known, got 1 missing"),
        ([1.0, 2.0], [None, "a"], NonFiniteError, "groups must all be known, got 1 missing"),
    ],
)
def test_what_is_not_a_number_or_a_group_is_refused(values, groups, error, message):
    with pytest.raises(error, match=message):
        bootstrap_mean(values, groups)
    with pytest.raises(error, match=message):
        bootstrap_means(np.array(values)[:, None], groups)


def test_a_seed_is_not_negative():
    with pytest.raises(SettingError, match="seed must not be negative, got -1"):
        bootstrap_mean([1.0], [1], seed=-1)


def test_the_order_of_the_images_does_not_matter():
    rng = np.random.default_rng(2)
    values, groups, strata = rng.random(60), np.arange(60) % 12, np.arange(60) % 3
    order = rng.permutation(60)
    for bca in (False, True):
        one = bootstrap_mean(values, groups, strata=strata, bca=bca)
        other = bootstrap_mean(values[order], groups[order], strata=strata[order], bca=bca)
        assert astuple(one) == pytest.approx(astuple(other), rel=1e-12)


def test_the_names_of_the_groups_matter_no_more_than_the_seed():
    values, groups = np.random.default_rng(2).random(60), np.arange(60) % 20
    one = bootstrap_mean(values, groups, resamples=20_000)
    other = bootstrap_mean(values, -groups, resamples=20_000)
    width = one.high - one.low
    assert abs(one.low - other.low) < 0.02 * width
    assert abs(one.high - other.high) < 0.02 * width


# Strata


def test_one_stratum_is_none():
    values, groups = np.random.default_rng(1).random(30), np.arange(30) // 2
    alone = bootstrap_mean(values, groups, strata=["all"] * 30, bca=True)
    assert alone == bootstrap_mean(values, groups, bca=True)


def test_groups_are_drawn_within_their_stratum():
    values = np.array([0.1, 5.0, 0.3, 5.5, 0.2, 6.5])
    groups, strata = ["a", "b", "a", "c", "d", "e"], ["x", "y", "x", "y", "x", "y"]
    outcomes = []  # of all equally likely draws: two of {a, d} and three of {b, c, e}
    for low, high in product(product("ad", repeat=2), product("bce", repeat=3)):
        drawn = [v for g in low + high for v, of in zip(values, groups, strict=True) if of == g]
        outcomes.append(np.mean(drawn))
    found = bootstrap_mean(values, groups, strata=strata, confidence=0.8, resamples=40_000)
    for end, level in ((found.low, 0.1), (found.high, 0.9)):  # .0015 is the standard error
        assert np.mean(np.array(outcomes) < end - 1e-9) <= level + 0.006
        assert np.mean(np.array(outcomes) <= end + 1e-9) >= level - 0.006
    plain = bootstrap_mean(values, groups, confidence=0.8)
    assert found.high - found.low < 0.5 * (plain.high - plain.low)


def test_strata_are_drawn_independently():
    up, groups = np.arange(8.0), np.arange(16)
    found = bootstrap_mean(np.concatenate([up, -up]), groups, strata=groups >= 8)
    error = np.sqrt(2 * up.var() / 8) / 2
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_a_stratum_of_one_group_does_not_vary():
    found = bootstrap_mean([1.0, 2.0, 3.0], [1, 1, 2], strata=["x", "x", "y"])
    assert found.estimate == 2
    assert np.isnan([found.low, found.high]).all()
    some = bootstrap_mean([1.0, 2.0, 3.0], [1, 2, 3], strata=["x", "x", "y"])
    assert (some.low, some.high) == pytest.approx((5 / 3, 7 / 3))


def test_a_group_lies_in_one_stratum():
    with pytest.raises(SettingError, match=r"got group .*'p'.* in .*'a'.* and .*'b'"):
        bootstrap_mean([1.0, 2.0, 3.0], ["p", "p", "q"], strata=["a", "b", "b"])
    with pytest.raises(ShapeError, match="strata and groups must have one shape"):
        bootstrap_mean([1.0, 2.0], [1, 2], strata=["a"])


# Bias-corrected and accelerated


def test_with_one_image_in_each_group_bca_is_scipys():
    values = np.random.default_rng(0).exponential(size=25)
    found = bootstrap_mean(values, np.arange(25), bca=True, resamples=100_000, confidence=0.9)
    theirs = scipy.stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=0.9,
        n_resamples=100_000,
        random_state=np.random.default_rng(1),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert abs(found.low - theirs.low) < 0.01 * width
    assert abs(found.high - theirs.high) < 0.01 * width
    plain = bootstrap_mean(values, np.arange(25), resamples=100_000, confidence=0.9)
    assert abs(found.high - plain.high) > 0.04 * width


def test_of_two_strata_bca_is_scipys_of_two_samples():
    few, many = np.array([0, 0.5, 1, 9]), -1.5 * np.random.default_rng(3).exponential(size=40)

    def mean(one, other, axis=-1):
        return (one.sum(axis) + other.sum(axis)) / 44

    theirs = scipy.stats.bootstrap(
        (few, many),
        mean,
        n_resamples=50_000,
        vectorized=True,
        random_state=np.random.default_rng(1),
    ).confidence_interval
    found = bootstrap_mean(
        np.concatenate([few, many]),
        np.arange(44),
        strata=np.arange(44) >= 4,
        bca=True,
        resamples=50_000,
    )
    width = theirs.high - theirs.low
    assert abs(found.low - theirs.low) < 0.015 * width
    assert abs(found.high - theirs.high) < 0.015 * width


def test_bca_of_a_constant_is_the_constant():
    found = bootstrap_mean(np.full(6, 0.25), np.arange(6) // 2, bca=True, resamples=100)
    assert (found.low, found.high) == (0.25, 0.25)


# Many columns


@given(st.data())
def test_many_columns_at_once_are_each_as_alone(data):
    n, k = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 4))
    cell = st.one_of(st.just(NAN), st.floats(-10, 10, width=16))
    values = np.array(data.draw(st.lists(cell, min_size=n * k, max_size=n * k))).reshape(n, k)
    groups = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)))
    settings = {
        "strata": data.draw(st.sampled_from([None, groups % 2])),
        "bca": data.draw(st.booleans()),
        "resamples": 20,
        "seed": data.draw(st.integers(0, 9)),
    }
    together = bootstrap_means(values, groups, **settings)
    assert len(together) == k
    for column, found in zip(values.T, together, strict=True):
        np.testing.assert_equal(astuple(found), astuple(bootstrap_mean(column, groups, **settings)))


@pytest.mark.parametrize(("values", "groups"), [([1.0], [1]), ([[1.0]], [1, 2]), ([[]][:0], [])])
def test_columns_have_a_row_for_each_group(values, groups):
    with pytest.raises(ShapeError, match=r"must have shapes \(N, K\) and \(N,\)"):
        bootstrap_means(values, groups)


# Differences


def test_a_difference_draws_the_patients_of_both_parts_together():
    rng = np.random.default_rng(4)
    groups = rng.integers(9, size=60)
    values, where = groups / 9 + rng.random(60), rng.random(60) < 0.6
    found = bootstrap_difference(values, where, groups, resamples=300, seed=3)
    drawn = np.random.default_rng(3).integers(9, size=(300, 9))
    outcomes = []
    for row in drawn:
        at = np.concatenate([np.flatnonzero(groups == g) for g in row])
        outcomes.append(values[at][where[at]].mean() - values[at][~where[at]].mean())
    assert [found.low, found.high] == pytest.approx(np.quantile(outcomes, [0.025, 0.975]))
    assert found.estimate == found.first - found.second
    assert found.first == pytest.approx(values[where].mean())
    assert (found.n_first, found.n_second) == (where.sum(), (~where).sum())


def test_what_patients_share_cancels_in_a_difference():
    groups = np.repeat(np.arange(30), 2)
    where = np.arange(60) % 2 == 0
    values = 10 * np.random.default_rng(0).normal(size=30)[groups] + where
    by_patient = bootstrap_difference(values, where, groups)
    by_image = bootstrap_difference(values, where, np.arange(60))
    assert by_patient.low == pytest.approx(1)
    assert by_patient.high == pytest.approx(1)
    assert by_image.high - by_image.low > 5


def test_differences_leave_out_and_count():
    values = [1.0, NAN, 3.0, 5.0, NAN, 2.0]
    where = torch.tensor([True, True, False, True, False, False])
    found = bootstrap_difference(values, where, [1, 2, 1, 3, 4, 5])
    assert (found.first, found.second, found.estimate) == (3, 2.5, 0.5)
    assert (found.n_first, found.n_second, found.n_groups, found.n_undefined) == (2, 2, 3, 2)
    assert not np.isnan([found.low, found.high]).any()


def test_a_difference_from_nothing_is_undefined():
    found = bootstrap_difference([1.0, 2.0], [True, True], [1, 2])
    assert (found.first, found.n_first, found.n_second) == (1.5, 2, 0)
    assert np.isnan([found.estimate, found.low, found.high, found.second]).all()
    single = bootstrap_difference([1.0, 2.0, 4.0], [True, True, False], [1, 2, 3])
    assert single.estimate == -2.5
    assert np.isnan([single.low, single.high]).all()


def test_differences_are_checked():
    with pytest.raises(ArrayTypeError, match="where must be boolean, got int64"):
        bootstrap_difference([1.0, 2.0], np.array([0, 1]), [1, 2])
    with pytest.raises(ShapeError, match="values, where and groups must have one shape"):
        bootstrap_difference([1.0, 2.0], [True], [1, 2])


# Summaries


def test_a_description_is_what_numpy_says():
    values = np.random.default_rng(0).random(40)
    values[::7] = NAN
    found, mean = describe(values, np.arange(40) // 3), bootstrap_mean(values, np.arange(40) // 3)
    assert (found.mean, found.low, found.high) == (mean.estimate, mean.low, mean.high)
    assert (found.n, found.n_groups, found.n_undefined) == (34, mean.n_groups, 6)
    quartiles = [found.q25, found.median, found.q75]
    assert quartiles == np.nanquantile(values, [0.25, 0.5, 0.75]).tolist()


def test_a_description_of_nothing_is_undefined():
    found = describe([NAN], [1])
    assert np.isnan(astuple(found)[3:]).all()
    assert (found.n, found.n_groups, found.n_undefined) == (0, 0, 1)

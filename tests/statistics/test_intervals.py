"""Intervals of means and of differences between parts; summaries."""

from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.statistics import (
    Interval,
    describe,
    describe_columns,
    difference_interval,
    mean_interval,
    mean_intervals,
)
from cameval.statistics.intervals import _freedom

NAN = float("nan")


def test_of_near_normal_images_that_are_groups_it_is_the_t_interval():
    values = np.random.default_rng(1).normal(5, 1, size=30)
    interval = mean_interval(values, np.arange(30), confidence=0.9)
    student = scipy.stats.t(29, values.mean(), scipy.stats.sem(values))
    assert interval.estimate == pytest.approx(values.mean())
    assert [interval.low, interval.high] == pytest.approx(student.interval(0.9))


def brute_force(values, groups):
    """Mean, its CR2 variance and the degrees of freedom, with one matrix for all images."""
    n = values.size
    hat = np.full((n, n), 1 / n)
    member = groups == np.unique(groups)[:, None]
    pulls, errors = [], (np.eye(n) - hat) @ values
    for here in member:
        leverage = np.eye(here.sum()) - hat[np.ix_(here, here)]
        root, directions = np.linalg.eigh(leverage)
        adjust = (directions / np.sqrt(root)) @ directions.T
        pulls.append((np.eye(n) - hat)[:, here] @ adjust @ np.full(here.sum(), 1 / n))
    pulls = np.array(pulls)
    variance = ((pulls @ values) ** 2).sum()
    spread = (errors**2).mean()
    sizes = member.sum(1)
    alike = np.clip((variance * n / spread - 1) / ((sizes**2).sum() / n - 1), 0, 1)
    model = np.where((groups == groups[:, None]), alike, 0) + (1 - alike) * np.eye(n)
    form = pulls @ model @ pulls.T
    return values.mean(), variance, np.trace(form) ** 2 / (form**2).sum()


def test_groups_of_several_sizes_have_the_cr2_variance_and_satterthwaites_freedom():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 7, 2, 2])
    values = 50 + rng.normal(size=9)[groups] + rng.normal(size=groups.size)
    mean, variance, freedom = brute_force(values, groups)
    assert 3 < freedom < 8
    found = mean_interval(values, [f"p{g}" for g in groups])
    student = scipy.stats.t(freedom, mean, np.sqrt(variance))
    assert [found.low, found.high] == pytest.approx(student.interval(0.95), rel=1e-9)


@given(st.lists(st.integers(1, 20), min_size=2, max_size=8))
def test_the_degrees_of_freedom_of_equal_groups_are_one_less_and_of_others_fewer(sizes):
    sizes = np.array([sizes], float)
    (freedom,) = _freedom(sizes / sizes.sum(), sizes)
    assert 1 - 1e-9 <= freedom <= sizes.size - 1 + 1e-9
    if np.ptp(sizes) == 0:
        assert freedom == pytest.approx(sizes.size - 1)


def test_images_of_one_patient_widen_the_interval():
    patient = np.repeat(np.arange(20), 10)
    values = np.repeat(np.random.default_rng(0).random(20), 10)
    by_patient = mean_interval(values, patient)
    by_image = mean_interval(values, np.arange(200))
    assert by_patient.estimate == by_image.estimate
    assert by_patient.high - by_patient.low > 2.5 * (by_image.high - by_image.low)


# Coverage: standard deviation .007 of a share of 1000 studies


def coverage(values, groups, true):
    found = mean_intervals(values, groups)
    return np.mean([one.low <= true <= one.high for one in found])


SIZES = {"one": [1], "five": [5], "unequal": [1, 2, 1, 5, 3, 13, 2, 8]}


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("n_groups", [10, 20, 50])
def test_intervals_cover_near_normal_means(n_groups, sizes):
    rng, groups = (
        np.random.default_rng(n_groups),
        np.repeat(np.arange(n_groups), np.resize(sizes, n_groups)),
    )
    values = rng.normal(size=(n_groups, 1000))[groups] + rng.normal(size=(groups.size, 1000))
    assert coverage(values, groups, 0) > 0.93


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("n_groups", [20, 50, 134])
def test_intervals_cover_the_means_of_scores_that_are_mostly_zero(n_groups, sizes):
    rng, groups = (
        np.random.default_rng(n_groups),
        np.repeat(np.arange(n_groups), np.resize(sizes, n_groups)),
    )
    shape = groups.size, 1000
    seen = (rng.random((n_groups, 1000)) < 0.4)[groups] & (rng.random(shape) < 0.6)
    assert coverage(np.where(seen, rng.beta(2, 5, shape), 0), groups, 0.4 * 0.6 * 2 / 7) > 0.90


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("n_groups", [20, 50, 134])
@pytest.mark.parametrize("share", [0.05, 0.95])
def test_intervals_cover_rare_shares(share, n_groups, sizes):
    rng, groups = (
        np.random.default_rng(n_groups),
        np.repeat(np.arange(n_groups), np.resize(sizes, n_groups)),
    )
    of_group = rng.beta(2 * share, 2 * (1 - share), (n_groups, 1000))[groups]
    values = rng.random((groups.size, 1000)) < of_group
    assert coverage(values, groups, share) > 0.90


# Skewed values and shares


def test_of_shares_with_one_image_in_each_group_it_is_wilsons_interval():
    values = np.array([1] * 2 + [0] * 18)
    found = mean_interval(values, range(20))
    # CR2 divides by n - 1: as many images less one
    t, n, p = scipy.stats.t(19).ppf(0.975), 19, 0.1
    center, margin = p + t**2 / 2 / n, t * np.sqrt(p * (1 - p) / n + t**2 / 4 / n**2)
    assert found.high == pytest.approx((center + margin) / (1 + t**2 / n))
    assert found.low == 0  # that of t would end below


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("images", [1, 7])
def test_shares_that_are_all_equal_have_an_interval(value, images):
    found = mean_interval(np.full(12 * images, value), np.repeat(np.arange(12), images))
    t = scipy.stats.t(11).ppf(0.975)
    far = t**2 / (12 + t**2)
    expected = (0, far) if value == 0 else (1 - far, 1)
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.estimate == value


def test_equal_values_without_bounds_have_no_interval_and_with_bounds_they_have():
    values = np.full(12, 0.25)
    without = mean_interval(values, np.arange(12))
    assert without.estimate == 0.25
    assert np.isnan([without.low, without.high]).all()
    assert not without.is_reliable
    within = mean_interval(values, np.arange(12), bounds=(0, 1))
    assert 0 < within.low < 0.25 < within.high < 0.6
    shifted = mean_interval(values * 10 - 3, np.arange(12), bounds=(-3, 7))
    assert (shifted.low, shifted.high) == pytest.approx((10 * within.low - 3, 10 * within.high - 3))


@given(st.lists(st.integers(0, 4).map(lambda k: k / 4), min_size=3, max_size=12))
def test_what_is_turned_round_has_the_interval_turned_round(values):
    values = np.array(values)
    groups = np.arange(values.size) // 2
    found, turned = mean_interval(values, groups), mean_interval(1 - values, groups)
    expected = 1 - found.estimate, 1 - found.high, 1 - found.low
    np.testing.assert_allclose(astuple(turned)[:3], expected, atol=1e-12)


@given(st.lists(st.floats(-3, 9, width=16), min_size=2, max_size=12))
def test_it_holds_the_mean_and_moves_with_the_values(values):
    values = np.array(values)
    groups = np.arange(values.size)
    found, moved = mean_interval(values, groups), mean_interval(8 + 2 * values, groups)
    if np.isnan(found.low):
        assert np.ptp(values) == 0
    elif not np.isin(values, (0, 1)).all() and not np.isin(8 + 2 * values, (0, 1)).all():
        assert found.low <= found.estimate <= found.high
        assert moved.low == pytest.approx(8 + 2 * found.low, rel=1e-6, abs=1e-6)
        assert moved.high == pytest.approx(8 + 2 * found.high, rel=1e-6, abs=1e-6)


def test_an_interval_ends_at_the_bounds():
    values, groups = [0.0, 0.1, 0.9, 0.8], [1, 2, 3, 4]
    free, bound = mean_interval(values, groups), mean_interval(values, groups, bounds=(0, 1))
    assert free.low < 0
    assert free.high > 0.99
    assert bound.low == 0
    assert bound.high <= 1
    with pytest.raises(SettingError, match=r"must lie within the bounds \(0, 0.5\), got .* to 0.9"):
        mean_interval(values, groups, bounds=(0, 0.5))
    with pytest.raises(SettingError, match="bounds must be two numbers in ascending order"):
        mean_interval(values, groups, bounds=(1, 0))
    assert np.isnan(mean_interval([NAN], [1], bounds=(0, 1)).estimate)


def test_only_intervals_of_ten_groups_are_reliable():
    values = np.random.default_rng(0).random(40)
    assert mean_interval(values, np.arange(40) % 10).is_reliable
    assert not mean_interval(values, np.arange(40) % 9).is_reliable
    assert not describe(values, np.arange(40) % 9).is_reliable
    assert not difference_interval(values, np.arange(40) < 20, np.arange(40) % 9).is_reliable


# What is left out, and what cannot be said


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((0.412, 0.38, 0.4449), ".412 [.380, .445]"),
        ((-0.0004, -0.5, 1.0), ".000 [-.500, 1.000]"),
        ((12.3456, -10.5, 20.0), "12.346 [-10.500, 20.000]"),
        ((0.5, np.nan, np.nan), ".500"),
        ((np.nan, np.nan, np.nan), "--"),
    ],
)
def test_as_text_it_is_the_estimate_with_its_ends(numbers, text):
    one = Interval(*numbers, n=3, n_groups=2, n_undefined=0)
    assert str(one) == f"{one}" == text
    assert repr(one).startswith("Interval(estimate=")


def test_undefined_values_are_left_out_and_counted():
    values, groups = [0.1, NAN, 0.3, NAN, 0.8], ["a", "a", "b", "c", "d"]
    interval = mean_interval(values, groups)
    assert (interval.n, interval.n_groups, interval.n_undefined) == (3, 3, 2)
    defined = mean_interval([0.1, 0.3, 0.8], ["a", "b", "d"])
    assert astuple(interval)[:3] == pytest.approx(astuple(defined)[:3])


def test_where_nothing_can_be_said_it_says_nan():
    nothing = mean_interval([NAN, NAN], [1, 2])
    assert np.isnan([nothing.estimate, nothing.low, nothing.high]).all()
    assert (nothing.n, nothing.n_groups, nothing.n_undefined) == (0, 0, 2)
    single = mean_interval([0.25, 0.75], [1, 1])
    assert single.estimate == 0.5
    assert np.isnan([single.low, single.high]).all()


def test_tensors_are_as_good_as_arrays():
    values = torch.tensor([0.25, 0.5, 1.0], dtype=torch.bfloat16)
    interval = mean_interval(values, torch.tensor([3, 1, 3]))
    assert interval == mean_interval([0.25, 0.5, 1.0], [3, 1, 3])


@pytest.mark.parametrize(("values", "groups"), [([], []), ([1.0], [1, 2]), ([[1.0]], [[1]])])
def test_each_value_has_a_group(values, groups):
    with pytest.raises(ShapeError, match=r"values and groups must have one shape \(N,\)"):
        mean_interval(values, groups)


def test_settings_and_values_are_checked():
    with pytest.raises(SettingError, match=r"confidence must be in \(0, 1\), got 95"):
        mean_interval([1.0], [1], confidence=95)
    with pytest.raises(NonFiniteError, match="values must be finite or NaN"):
        mean_interval([1.0, float("inf")], [1, 2])


@pytest.mark.parametrize(
    ("values", "groups", "error", "message"),
    [
        (["a"], [1], ArrayTypeError, "values must be real numbers"),
        ([1j], [1], ArrayTypeError, "values must be real numbers"),
        ([1.0, 2.0], [NAN, 1.0], NonFiniteError, "groups must all be known, got 1 missing"),
        ([1.0, 2.0], ["a", NAN], NonFiniteError, "groups must all be known, got 1 missing"),
        ([1.0, 2.0], [None, "a"], NonFiniteError, "groups must all be known, got 1 missing"),
    ],
)
def test_what_is_not_a_number_or_a_group_is_refused(values, groups, error, message):
    with pytest.raises(error, match=message):
        mean_interval(values, groups)
    with pytest.raises(error, match=message):
        mean_intervals(np.array(values)[:, None], groups)


def test_the_order_of_the_images_and_the_names_of_the_groups_do_not_matter():
    rng = np.random.default_rng(2)
    values, groups, strata = rng.random(60), np.arange(60) % 12, np.arange(60) % 3
    order = rng.permutation(60)
    one = mean_interval(values, groups, strata=strata)
    other = mean_interval(values[order], -groups[order], strata=strata[order])
    assert astuple(one) == pytest.approx(astuple(other), rel=1e-12)


# Strata


def test_one_stratum_is_none():
    values, groups = np.random.default_rng(1).random(30), np.arange(30) // 2
    alone = mean_interval(values, groups, strata=["all"] * 30)
    assert alone == mean_interval(values, groups)


def test_only_the_spread_within_strata_counts():
    rng = np.random.default_rng(0)
    low, high = rng.normal(10, 1, 12), rng.normal(90, 3, 8)
    found = mean_interval(np.concatenate([low, high]), range(20), strata=np.arange(20) >= 12)
    parts = [0.6**2 * low.var(ddof=1) / 12, 0.4**2 * high.var(ddof=1) / 8]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 11 + parts[1] ** 2 / 7)  # Welch
    margin = scipy.stats.t(freedom).ppf(0.975) * np.sqrt(sum(parts))
    assert found.estimate - found.low == pytest.approx(margin)
    assert found.high - found.estimate == pytest.approx(margin, rel=0.01)  # the score's is farther
    assert found.high - found.estimate >= margin


def test_strata_are_not_used_where_one_has_a_single_group():
    values = np.random.default_rng(0).random(9)
    strata = ["x"] * 8 + ["y"]
    assert mean_interval(values, range(9), strata=strata) == mean_interval(values, range(9))


def test_a_group_lies_in_one_stratum():
    with pytest.raises(SettingError, match=r"got group .*'p'.* in .*'a'.* and .*'b'"):
        mean_interval([1.0, 2.0, 3.0], ["p", "p", "q"], strata=["a", "b", "b"])
    with pytest.raises(ShapeError, match="strata and groups must have one shape"):
        mean_interval([1.0, 2.0], [1, 2], strata=["a"])


# Many columns


@given(st.data())
def test_many_columns_at_once_are_each_as_alone(data):
    n, k = data.draw(st.integers(1, 12)), data.draw(st.integers(0, 4))
    cell = st.one_of(st.just(NAN), st.sampled_from([0.0, 1.0]), st.floats(-10, 10, width=16))
    values = np.array(data.draw(st.lists(cell, min_size=n * k, max_size=n * k))).reshape(n, k)
    groups = np.array(data.draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)))
    settings = {"strata": data.draw(st.sampled_from([None, groups % 2])), "confidence": 0.9}
    together = mean_intervals(values, groups, **settings)
    assert len(together) == k
    for column, found in zip(values.T, together, strict=True):
        np.testing.assert_equal(astuple(found), astuple(mean_interval(column, groups, **settings)))


@pytest.mark.parametrize(("values", "groups"), [([1.0], [1]), ([[1.0]], [1, 2]), ([[]][:0], [])])
def test_columns_have_a_row_for_each_group(values, groups):
    with pytest.raises(ShapeError, match=r"must have shapes \(N, K\) and \(N,\)"):
        mean_intervals(values, groups)


# Differences


def test_of_two_parts_of_other_groups_a_difference_has_welchs_interval():
    rng = np.random.default_rng(4)
    values, where = rng.normal(size=30), np.arange(30) < 18
    found = difference_interval(values, where, range(30))
    theirs = scipy.stats.ttest_ind(values[where], values[~where], equal_var=False)
    expected = theirs.confidence_interval(0.95)
    assert found.estimate == found.first - found.second
    assert found.first == pytest.approx(values[where].mean())
    assert (found.n_first, found.n_second) == (18, 12)
    width = expected.high - expected.low
    assert found.low == pytest.approx(expected.low, abs=0.03 * width)
    assert found.high == pytest.approx(expected.high, abs=0.03 * width)


def test_what_patients_share_cancels_in_a_difference():
    groups = np.repeat(np.arange(30), 2)
    where = np.arange(60) % 2 == 0
    values = 10 * np.random.default_rng(0).normal(size=30)[groups] + where
    by_patient = difference_interval(values, where, groups)
    by_image = difference_interval(values, where, np.arange(60))
    assert by_patient.low == pytest.approx(1)
    assert by_patient.high == pytest.approx(1)
    assert by_image.high - by_image.low > 5


@pytest.mark.parametrize("n_groups", [12, 40])
def test_intervals_of_differences_cover(n_groups):
    rng, groups = (
        np.random.default_rng(n_groups),
        np.repeat(np.arange(n_groups), np.resize(SIZES["unequal"], n_groups)),
    )
    covered = []
    for _ in range(300):
        where = rng.random(groups.size) < rng.beta(2, 1, n_groups)[groups]
        zeros = rng.random(groups.size) < rng.beta(1, 1, n_groups)[groups]
        found = difference_interval(np.where(zeros, 0, rng.random(groups.size)), where, groups)
        covered.append(found.low <= 0 <= found.high)
    assert np.mean(covered) > 0.93


def test_parts_that_are_all_right_and_all_wrong_differ_uncertainly():
    where = np.arange(20) < 10
    found = difference_interval(where.astype(float), where, range(20))
    assert (found.estimate, found.high) == (1, 1)
    assert 0.4 < found.low < 0.8
    part = difference_interval(np.where(where, 0.5, np.arange(20)), where, range(20))
    assert np.isnan([part.low, part.high]).all()


def test_differences_leave_out_and_count():
    values = [1.0, NAN, 3.0, 5.0, NAN, 2.0]
    where = torch.tensor([True, True, False, True, False, False])
    found = difference_interval(values, where, [1, 2, 1, 3, 4, 5])
    assert (found.first, found.second, found.estimate) == (3, 2.5, 0.5)
    assert (found.n_first, found.n_second, found.n_groups, found.n_undefined) == (2, 2, 3, 2)
    assert not np.isnan([found.low, found.high]).any()


def test_a_difference_from_nothing_is_undefined():
    found = difference_interval([1.0, 2.0], [True, True], [1, 2])
    assert (found.first, found.n_first, found.n_second) == (1.5, 2, 0)
    assert np.isnan([found.estimate, found.low, found.high, found.second]).all()
    single = difference_interval([1.0, 2.0, 4.0], [True, True, False], [1, 2, 3])
    assert single.estimate == -2.5
    assert np.isnan([single.low, single.high]).all()


def test_differences_are_checked():
    with pytest.raises(ArrayTypeError, match="where must be boolean, got int64"):
        difference_interval([1.0, 2.0], np.array([0, 1]), [1, 2])
    with pytest.raises(ShapeError, match="values, where and groups must have one shape"):
        difference_interval([1.0, 2.0], [True], [1, 2])


# Summaries


def test_a_description_is_what_numpy_says():
    values = np.random.default_rng(0).random(40)
    values[::7] = NAN
    found, mean = describe(values, np.arange(40) // 3), mean_interval(values, np.arange(40) // 3)
    assert (found.mean, found.low, found.high) == (mean.estimate, mean.low, mean.high)
    assert (found.n, found.n_groups, found.n_undefined) == (34, mean.n_groups, 6)
    quartiles = [found.q25, found.median, found.q75]
    assert quartiles == np.nanquantile(values, [0.25, 0.5, 0.75]).tolist()
    assert describe_columns(values[:, None], np.arange(40) // 3) == [found]


def test_a_description_of_nothing_is_undefined():
    found = describe([NAN], [1])
    assert np.isnan(astuple(found)[3:]).all()
    assert (found.n, found.n_groups, found.n_undefined) == (0, 0, 1)


def test_more_confidence_needs_a_wider_interval():
    values = np.random.default_rng(0).random(40) ** 4
    found = [mean_interval(values, np.arange(40), confidence=c) for c in (0.5, 0.8, 0.95, 0.99)]
    for narrow, wide in pairwise(found):
        assert wide.low < narrow.low
        assert narrow.high < wide.high


@pytest.mark.parametrize("values", [[1, 1, 1], [0, 0, 0], [0, 1, 1], [0.25, 0.25, 0.25], [0.5]])
def test_one_group_has_no_interval_whatever_its_values(values):
    for bounds in (None, (0, 1)):
        found = mean_interval(values, ["one"] * len(values), bounds=bounds)
        assert found.estimate == pytest.approx(np.mean(values))
        assert np.isnan([found.low, found.high]).all()

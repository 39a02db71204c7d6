"""Tests of paired differences, families of them, and repeated splits."""

from dataclasses import astuple
from itertools import combinations, product
from unittest.mock import patch

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from cameval.errors import NonFiniteError, SettingError, ShapeError
from cameval.statistics import corrected_resampled_t, holm, paired_tests, sign_flip_test
from cameval.statistics.paired import flip_pairs

NAN = float("nan")


def naive_group_sums(first, second, groups):
    """Sum and number of the differences of each group, in sorted order."""
    found: dict = {}
    for a, b, group in zip(first, second, groups, strict=True):
        if a == a and b == b:
            found.setdefault(group, []).append(a - b)
    return [(sum(found[group]), len(found[group])) for group in sorted(found)]


# Sign flips


@given(st.lists(st.integers(-8, 8), min_size=1, max_size=7))
def test_few_groups_are_enumerated(differences):
    n, first = len(differences), np.array(differences)
    sums = [signs @ first for signs in product([-1, 1], repeat=n)]
    expected = np.mean([abs(one) >= abs(sum(differences)) for one in sums])
    assert sign_flip_test(first, np.zeros(n), range(n), resamples=128).p == expected
    # sums of tenths tie but for rounding
    assert sign_flip_test(first / 10, np.zeros(n), range(n), resamples=128).p == expected


@given(st.data())
def test_the_difference_is_that_of_the_means_of_the_images(data):
    n = data.draw(st.integers(1, 10))
    numbers = st.lists(st.one_of(st.just(NAN), st.floats(-9, 9)), min_size=n, max_size=n)
    first, second = data.draw(numbers), data.draw(numbers)
    groups = data.draw(st.lists(st.sampled_from("abcd"), min_size=n, max_size=n))
    sums = naive_group_sums(first, second, groups)
    found = sign_flip_test(first, second, groups, resamples=20)
    undefined = sum(a != a or b != b for a, b in zip(first, second, strict=True))
    assert (found.n, found.n_groups, found.n_undefined) == (n - undefined, len(sums), undefined)
    if sums:
        expected = np.nanmean(np.array(first) - np.array(second))
        assert found.difference == pytest.approx(expected, abs=1e-12)
        mirrored = sign_flip_test(second, first, groups, resamples=20)
        assert mirrored.difference == pytest.approx(-found.difference, abs=1e-12)
        assert mirrored.p == found.p
        np.testing.assert_allclose([mirrored.low, mirrored.high], [-found.high, -found.low])
    else:
        assert np.isnan([found.difference, found.p, found.effect, found.low, found.high]).all()


def test_it_is_the_difference_of_the_means_that_a_table_prints():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), [40] + [1] * 11)
    first, second = rng.random(51) + 0.5 * (groups == 0), rng.random(51)
    found = sign_flip_test(first, second, groups)
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert found.difference > 0


def naive_p(sums, sizes, d, signs):
    """How often random signs are at least as far from 0 if the mean difference is d."""
    left = np.array(sums) - np.array(sizes) * d
    return np.mean(np.abs(signs @ left) >= abs(left.sum()) - 1e-9)


def test_the_interval_holds_what_the_test_does_not_reject():
    rng = np.random.default_rng(3)
    groups = np.repeat(np.arange(9), rng.integers(1, 7, 9))
    first = rng.normal(0.4, 1, groups.size) + rng.normal(size=9)[groups]
    found = sign_flip_test(first, np.zeros(groups.size), groups, confidence=0.9)
    sums, sizes = np.transpose(naive_group_sums(first, np.zeros(groups.size), groups))
    signs = np.array([*product([-1, 1], repeat=9)])
    assert found.p == naive_p(sums, sizes, 0, signs)
    width = found.high - found.low
    for share in np.linspace(0.001, 0.999, 41):
        assert naive_p(sums, sizes, found.low + share * width, signs) >= 0.1
    for beyond in (0.001, 0.01, 0.1, 1, 10):
        assert naive_p(sums, sizes, found.low - beyond * width, signs) < 0.1
        assert naive_p(sums, sizes, found.high + beyond * width, signs) < 0.1


def excludes_0(low, high):
    return low > 0 or high < 0


@given(st.data())
def test_the_interval_excludes_0_exactly_if_p_is_below_the_level(data):
    limit = data.draw(st.sampled_from([1, 2**20]))  # 1: as with many groups, signs are random
    with patch("cameval.statistics._sign_flips.MOST_ENUMERATED", limit):
        check_intervals_and_levels(data)


def check_intervals_and_levels(data):
    n = data.draw(st.integers(1, 30))
    number = st.one_of(st.integers(-3, 5).map(float), st.floats(-1, 3, width=32))
    columns = {
        name: np.array(data.draw(st.lists(number, min_size=n, max_size=n))) for name in "abc"
    }
    groups = np.array(data.draw(st.lists(st.integers(0, 12), min_size=n, max_size=n)))
    confidence = data.draw(st.sampled_from([0.5, 0.8, 0.9, 0.95]))
    resamples = data.draw(st.sampled_from([39, 99, 199, 512]))
    alpha = round(1 - confidence, 12)
    for test in paired_tests(columns, groups, confidence=confidence, resamples=resamples):
        assert excludes_0(test.low, test.high) == (test.p < alpha)
        assert excludes_0(test.low_holm, test.high_holm) == (test.p_holm < alpha)
        if excludes_0(test.effect_low, test.effect_high):
            assert test.p < alpha
        if not np.isnan(test.low):
            assert test.low <= test.difference + 1e-9
            assert test.difference <= test.high + 1e-9
        if not np.isnan(test.low_holm):
            assert test.low_holm <= test.low
            assert test.high_holm >= test.high


@pytest.mark.parametrize("confidence", [0.8, 0.9])
def test_the_corrected_interval_is_not_narrower_by_rounding(confidence, monkeypatch):
    monkeypatch.setattr("cameval.statistics._sign_flips.MOST_ENUMERATED", 1)
    # .1 * .8 / .8 is above .1: a fifth pattern of 40 would be counted instead of a fourth
    a, c = np.zeros(18), np.zeros(18)
    b, groups = np.zeros(18), np.array([0] * 11 + [1, 2, 3, 4, 5, 3, 0])
    b[14:] = 1, -1, -3, -2
    c[13:] = -1, 0, -3, 0, -3
    for test in paired_tests({"a": a, "b": b, "c": c}, groups, confidence=confidence, resamples=39):
        if not np.isnan(test.low_holm):
            assert test.low_holm <= test.low
            assert test.high_holm >= test.high


def test_at_the_level_itself_0_is_not_excluded():
    # 19 resamples and the observed pattern: p is 1 of 20
    found = sign_flip_test(np.arange(1.0, 41), np.zeros(40), np.arange(40), resamples=19)
    assert found.p == 0.05
    assert np.isnan(found.low)


def test_random_flips_agree_with_all_flips(monkeypatch):
    differences = np.random.default_rng(5).normal(0.4, size=12)
    zeros, groups = np.zeros(12), np.arange(12)
    exact = sign_flip_test(differences, zeros, groups, resamples=4095)
    monkeypatch.setattr("cameval.statistics._sign_flips.MOST_ENUMERATED", 1)
    assert sign_flip_test(differences, zeros, groups, resamples=4096) == exact
    random = sign_flip_test(differences, zeros, groups, resamples=4095)
    assert (exact.n_patterns, exact.is_exact) == (4096, True)
    assert (random.n_patterns, random.is_exact) == (4096, False)
    theirs = scipy.stats.permutation_test(
        (differences, zeros), lambda a, b: np.mean(a - b), permutation_type="samples"
    )
    assert exact.p == pytest.approx(theirs.pvalue, abs=1e-12)
    assert 0.1 < exact.p < 0.5
    assert abs(random.p - exact.p) < 4 * np.sqrt(exact.p * (1 - exact.p) / 4095)
    width = exact.high - exact.low
    assert random.low == pytest.approx(exact.low, abs=0.05 * width)
    assert random.high == pytest.approx(exact.high, abs=0.05 * width)


def test_no_random_p_value_is_zero():
    found = sign_flip_test(np.arange(1.0, 41), np.zeros(40), np.arange(40), resamples=999)
    assert found.p == 1 / 1000


def naive_two_means(sums, sizes):
    """Return the smaller and the larger mean, of flipped and of other groups, in all patterns."""
    flipped = np.array([*product([False, True], repeat=len(sums))])[1:-1]
    with_sign = [((f * sums).sum(1) / (f * sizes).sum(1)) for f in (flipped, ~flipped)]
    return np.minimum(*with_sign), np.maximum(*with_sign)


def test_the_ends_are_order_statistics_of_all_patterns():
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(14), rng.integers(1, 5, 14))
    first = rng.normal(0.3, 1, groups.size)
    sums, sizes = np.transpose(naive_group_sums(first, np.zeros(groups.size), groups))
    lows, highs = map(np.sort, naive_two_means(sums, sizes))
    for confidence in (0.5, 0.95, 0.999):
        found = sign_flip_test(first, np.zeros(groups.size), groups, confidence=confidence)
        of_halves = int(np.ceil(round((1 - confidence) * 2**13, 6)))
        needed = 2 * of_halves - 2  # without no flip and all flips, which are always extreme
        assert found.low == pytest.approx(lows[needed - 1])
        assert found.high == pytest.approx(highs[-needed])
        assert found.n_patterns == 2**14


def test_up_to_twenty_groups_are_enumerated_and_the_least_p_is_said():
    rng = np.random.default_rng(0)
    for n, patterns, is_exact in ((5, 32, True), (20, 2**20, True), (21, 10_001, False)):
        found = sign_flip_test(rng.random(n) + 0.1, np.zeros(n), range(n))
        assert (found.n_patterns, found.is_exact) == (patterns, is_exact)
        assert found.least_p == found.p == (2 / patterns if is_exact else 1 / patterns)
    differences = rng.normal(size=30)
    differences[4:] = 0  # four groups of thirty differ, which random signs can only estimate
    found = sign_flip_test(differences, np.zeros(30), range(30))
    assert found.n_differing == 4
    assert found.least_p == min(found.p, 2 / 2**4)
    same = sign_flip_test(np.ones(6), np.ones(6), range(6))
    assert (same.p, same.least_p, same.n_patterns) == (1, 1, 64)
    nothing = sign_flip_test([NAN], [1.0], [1])
    assert np.isnan([nothing.p, nothing.least_p]).all()
    assert nothing.n_patterns == 0


@given(st.lists(st.integers(-4, 8), min_size=1, max_size=9), st.sampled_from([1, 2**20]))
def test_no_p_is_below_the_least(differences, limit):
    with patch("cameval.statistics._sign_flips.MOST_ENUMERATED", limit):
        found = sign_flip_test(differences, np.zeros(len(differences)), range(len(differences)))
        few = sign_flip_test(
            differences, np.zeros(len(differences)), range(len(differences)), resamples=7
        )
    assert found.least_p <= found.p
    assert 1 / few.n_patterns <= few.least_p <= few.p


def test_signs_do_not_depend_on_how_they_are_cut(monkeypatch):
    differences = np.random.default_rng(5).normal(size=30)
    first = sign_flip_test(differences, np.zeros(30), np.arange(30), resamples=500)
    monkeypatch.setattr("cameval.statistics._sign_flips._CHUNK", 70)
    assert sign_flip_test(differences, np.zeros(30), np.arange(30), resamples=500) == first


def test_equal_columns_do_not_differ_and_nothing_is_known_of_their_spread():
    found = sign_flip_test(np.full(30, 0.5), np.full(30, 0.5), np.arange(30))
    assert (found.difference, found.p, found.n_differing) == (0, 1, 0)
    assert np.isnan([found.low, found.high, found.effect, found.effect_low]).all()


def test_five_groups_have_no_interval_and_six_have_one():
    differences = np.array([0.3, 0.1, 0.2, 0.5, 0.4, 0.3])
    five = sign_flip_test(differences[:5], np.zeros(5), range(5))
    assert five.p == 1 / 16
    assert np.isnan([five.low, five.high, five.effect_low, five.effect_high]).all()
    six = sign_flip_test(differences, np.zeros(6), range(6))
    assert six.p == 1 / 32
    assert 0 < six.low < six.difference < six.high < 0.6


def simulated(effect, rng, times=400):
    """Return tests of 15 patients with 1 to 5 alike images."""
    groups = np.repeat(np.arange(15), rng.integers(1, 6, 15))
    found = []
    for seed in range(times):
        patient = rng.normal(effect, size=15)[groups]
        first = patient + 0.2 * rng.normal(size=groups.size)
        found.append(sign_flip_test(first, np.zeros(groups.size), groups, resamples=199, seed=seed))
    return found


def test_without_an_effect_p_values_are_uniform_and_with_one_the_interval_covers_it():
    p = np.array([one.p for one in simulated(0, np.random.default_rng(0))])
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01
    assert 0.02 < np.mean(p <= 0.05) < 0.085  # .05 expected, standard deviation .011
    covered = [one.low <= 0.8 <= one.high for one in simulated(0.8, np.random.default_rng(1))]
    assert np.mean(covered) > 0.92  # .95 expected


def test_an_effect_is_found_as_often_as_by_the_t_test():
    rng, p = np.random.default_rng(0), []
    for seed in range(400):
        first = rng.normal(0.8, np.sqrt(1.02), 15)
        p.append(sign_flip_test(first, np.zeros(15), range(15), resamples=199, seed=seed).p)
    noncentral = scipy.stats.nct(14, 0.8 / np.sqrt(1.02) * np.sqrt(15))
    power = noncentral.sf(scipy.stats.t(14).ppf(0.975))
    assert abs(np.mean(np.array(p) <= 0.05) - power) < 0.08


# Effect sizes


def test_the_effect_is_in_standard_deviations_of_the_images():
    rng = np.random.default_rng(1)
    first, second, groups = rng.random(40) + 0.2, rng.random(40), rng.integers(12, size=40)
    differences = first - second
    found = sign_flip_test(first, second, groups)
    assert found.effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.effect_low < found.low / differences.std(ddof=1) < found.effect
    assert found.effect < found.high / differences.std(ddof=1) < found.effect_high
    scaled = sign_flip_test(7 * first, 7 * second, groups)
    assert [scaled.effect_low, scaled.effect_high] == pytest.approx(
        [found.effect_low, found.effect_high]
    )


def test_the_interval_of_the_effect_covers_it():
    rng, covered = np.random.default_rng(0), []
    for seed in range(400):
        first = rng.normal(1.5, 1, 16)
        found = sign_flip_test(first, np.zeros(16), range(16), resamples=499, seed=seed)
        covered.append(found.effect_low <= 1.5 <= found.effect_high)
    assert np.mean(covered) > 0.92  # .95 expected, standard deviation .011


@pytest.mark.parametrize("n_groups", [6, 8, 15, 40])
def test_one_image_that_differs_shows_no_effect(n_groups):
    first = np.zeros(n_groups)
    first[0] = 0.1
    (found,) = paired_tests({"a": first, "b": np.zeros(n_groups)}, range(n_groups))
    assert found.p == 1
    assert found.low <= 0 <= found.high
    assert found.effect_low < 0 < found.effect_high
    assert found.n_differing == 1
    assert not found.is_reliable


def test_effects_of_what_never_varies_are_undefined():
    found = sign_flip_test(np.full(8, 0.75), np.full(8, 0.5), range(8))
    assert (found.difference, found.low, found.high, found.p) == (0.25, 0.25, 0.25, 2 / 2**8)
    assert np.isnan([found.effect, found.effect_low, found.effect_high]).all()


def test_only_ten_groups_that_differ_are_reliable():
    differences = np.random.default_rng(0).normal(size=30)
    assert sign_flip_test(differences[:10], np.zeros(10), range(10)).is_reliable
    assert not sign_flip_test(differences[:9], np.zeros(9), range(9)).is_reliable
    differences[9:] = 0
    assert not sign_flip_test(differences, np.zeros(30), range(30)).is_reliable


def test_pairs_are_checked():
    with pytest.raises(ShapeError, match="first, second and groups must have one shape"):
        sign_flip_test([1.0], [1.0, 2.0], [1])
    with pytest.raises(ShapeError, match="at least one value"):
        sign_flip_test([], [], [])
    with pytest.raises(NonFiniteError, match="second must be finite or NaN"):
        sign_flip_test([1.0], [np.inf], [1])
    with pytest.raises(SettingError, match="resamples must be at least 1"):
        sign_flip_test([1.0], [1.0], [1], resamples=0)
    with pytest.raises(SettingError, match="seed must not be negative, got -1"):
        sign_flip_test([1.0], [1.0], [1], seed=-1)


# Families


def test_holms_table_by_hand():
    p = [0.01, 0.04, 0.03, 0.005]  # sorted: .005 * 4, .01 * 3, .03 * 2, .04 raised to .06
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(torch.tensor(p, dtype=torch.float64)).tolist() == holm(p).tolist()
    assert holm([0.9, 0.8]).tolist() == [1, 1]
    assert holm([0.3]).tolist() == [0.3]


@given(st.lists(st.one_of(st.floats(0, 1), st.just(NAN)), min_size=1, max_size=8))
def test_holms_method_in_general(p):
    p = np.array(p)
    found, defined = holm(p), ~np.isnan(p)
    assert (np.isnan(found) == ~defined).all()
    m = defined.sum()
    assert (found[defined] >= p[defined]).all()
    assert (found[defined] <= np.minimum(m * p[defined], 1)).all()  # never worse than Bonferroni
    for one, other in combinations(np.flatnonzero(defined), 2):
        if p[one] <= p[other]:
            assert found[one] <= found[other]
    for level in (0.01, 0.05, 0.3):  # rejects as the step-down rule says
        rejected = set()
        for step, k in enumerate(sorted(np.flatnonzero(defined), key=lambda k: p[k])):
            if (m - step) * p[k] > level:
                break
            rejected.add(k)
        assert rejected == set(np.flatnonzero(found <= level))


def test_p_values_are_checked():
    with pytest.raises(SettingError, match=r"p_values must be in \[0, 1\]"):
        holm([0.5, 1.5])
    with pytest.raises(ShapeError, match="at least one value"):
        holm([])


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    found = {name: rng.random(40) + shift for name, shift in {"a": 0, "b": 0.1, "c": 0.4}.items()}
    found["c"][:4] = NAN  # the first two patients
    return found


def test_a_family_is_its_single_tests(columns):
    groups = np.arange(40) // 2
    tests = paired_tests(columns, groups, resamples=300, seed=1)
    assert [(t.first, t.second) for t in tests] == [("a", "b"), ("a", "c"), ("b", "c")]
    for test in tests:
        pair = columns[test.first], columns[test.second]
        one = sign_flip_test(*pair, groups, resamples=300, seed=1)
        for field in one.__dataclass_fields__:
            assert getattr(test, field) == getattr(one, field), field
    assert [t.p_holm for t in tests] == holm([t.p for t in tests]).tolist()
    assert [t.n_groups for t in tests] == [20, 18, 18]
    assert [t.n_undefined for t in tests] == [0, 4, 4]


def test_all_against_one(columns):
    tests = paired_tests(columns, np.arange(40), reference="b", resamples=50)
    assert [(t.first, t.second) for t in tests] == [("a", "b"), ("c", "b")]
    assert tests[1].difference > 0


def test_an_undefined_comparison_is_no_member_of_the_family(columns):
    columns["d"] = np.full(40, NAN)
    tests = paired_tests(columns, np.arange(40), reference="b", resamples=99)
    assert [np.isnan(t.p_holm) for t in tests] == [False, False, True]
    assert tests[1].p_holm == 2 * tests[1].p


def test_columns_may_have_any_name():
    tests = paired_tests({"groups": [1.0, 2.0], "first": [0.0, 0.0]}, [1, 2])
    assert tests[0].difference == 1.5


def test_families_are_checked(columns):
    with pytest.raises(SettingError, match=r"columns must be at least two, got \['a'\]"):
        paired_tests({"a": [1.0]}, [1])
    with pytest.raises(SettingError, match=r"reference must be one of .* got 'z'"):
        paired_tests(columns, np.arange(40), reference="z")
    with pytest.raises(ShapeError, match="a, b, c and groups must have one shape"):
        paired_tests(columns, np.arange(39))


# Repeated splits


def test_the_corrected_t_test_by_hand():
    differences = np.array([0.02, 0.04, 0.03, 0.01, 0.05])
    found = corrected_resampled_t([*differences, NAN], n_train=80, n_test=20, confidence=0.9)
    error = np.sqrt((1 / 5 + 20 / 80) * differences.var(ddof=1))
    student = scipy.stats.t(4)
    assert found.t == pytest.approx(0.03 / error)
    assert found.p == pytest.approx(2 * student.sf(0.03 / error))
    expected = 0.03 + np.array(student.interval(0.9)) * error
    assert [found.low, found.high] == pytest.approx(expected)
    assert (found.n, found.n_undefined) == (5, 1)


def test_without_a_test_part_it_is_the_plain_t_test():
    differences = np.random.default_rng(0).normal(size=8)
    found = corrected_resampled_t(differences, n_train=10**12, n_test=1)
    assert found.p == pytest.approx(scipy.stats.ttest_1samp(differences, 0).pvalue)


@pytest.mark.parametrize(("values", "mean"), [([NAN], NAN), ([0.5, NAN], 0.5), ([0.5, 0.5], 0.5)])
def test_splits_that_say_nothing(values, mean):
    found = corrected_resampled_t(values, n_train=8, n_test=2)
    np.testing.assert_equal(found.difference, mean)
    assert np.isnan([found.low, found.high, found.t, found.p]).all()


def test_splits_are_checked():
    with pytest.raises(SettingError, match="n_train and n_test must be positive, got 0 and 1"):
        corrected_resampled_t([1.0], n_train=0, n_test=1)
    with pytest.raises(SettingError, match=r"confidence must be in \(0, 1\)"):
        corrected_resampled_t([1.0], n_train=1, n_test=1, confidence=1)


def test_a_seed_repeats_a_test_and_another_draws_other_signs():
    rng = np.random.default_rng(0)
    first, second, groups = rng.normal(0.1, 1, 30), np.zeros(30), np.arange(30)
    ps = [sign_flip_test(first, second, groups, seed=seed).p for seed in (0, 0, 1, 2)]
    assert ps[0] == ps[1]
    assert len(set(ps)) == 3
    ps = [paired_tests({"a": first, "b": second}, groups, seed=seed)[0].p for seed in (0, 1, 2)]
    assert ps == [sign_flip_test(first, second, groups, seed=seed).p for seed in (0, 1, 2)]


def test_pairs_that_are_flipped_together_are_tested_alike() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.integers(0, 12, 90), np.repeat(np.arange(30), 3)
    uneven = np.minimum(np.arange(90) // 2, 29)  # as many groups, of other sizes
    first, second, third = rng.normal(size=(3, 90))
    third[many < 2] = np.nan
    nothing = np.full(90, np.nan)
    pairs = [
        *((first, second, many), (third, second, many), (first, third, many)),
        *((first, second, few), (second, first, uneven), (nothing, first, few)),
    ]
    flipped = flip_pairs(pairs, confidence=0.8, resamples=400, seed=5)
    for one, pair in zip(flipped, pairs, strict=True):
        for confidence in (0.95, 0.8):
            alone = sign_flip_test(*pair, confidence=confidence, resamples=400, seed=5)
            np.testing.assert_array_equal(astuple(one.test(confidence)), astuple(alone))

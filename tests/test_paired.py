"""Tests of paired differences, families of them, and repeated splits."""

from dataclasses import astuple
from itertools import combinations, product

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from cameval.errors import NonFiniteError, SettingError, ShapeError
from cameval.statistics import (
    bootstrap_mean,
    corrected_resampled_t,
    holm,
    paired_tests,
    sign_flip_test,
    wilcoxon_test,
)

NAN = float("nan")


def naive_group_differences(first, second, groups):
    """Mean difference of each group, in sorted order."""
    found: dict = {}
    for a, b, group in zip(first, second, groups, strict=True):
        if a == a and b == b:
            found.setdefault(group, []).append(a - b)
    return [sum(found[group]) / len(found[group]) for group in sorted(found)]


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
def test_differences_are_means_of_patient_means(data):
    n = data.draw(st.integers(1, 10))
    numbers = st.lists(st.one_of(st.just(NAN), st.floats(-9, 9)), min_size=n, max_size=n)
    first, second = data.draw(numbers), data.draw(numbers)
    groups = data.draw(st.lists(st.sampled_from("abcd"), min_size=n, max_size=n))
    expected = naive_group_differences(first, second, groups)
    found = sign_flip_test(first, second, groups, resamples=20)
    undefined = sum(a != a or b != b for a, b in zip(first, second, strict=True))
    assert (found.n, found.n_groups, found.n_undefined) == (n - undefined, len(expected), undefined)
    if expected:
        assert found.difference == pytest.approx(np.mean(expected), abs=1e-12)
        mirrored = sign_flip_test(second, first, groups, resamples=20)
        assert mirrored.difference == pytest.approx(-found.difference, abs=1e-12)
        assert mirrored.p == found.p
        one = bootstrap_mean(expected, np.arange(len(expected)), resamples=20)
        np.testing.assert_allclose([found.low, found.high], [one.low, one.high], atol=1e-12)
    else:
        assert np.isnan([found.difference, found.p, found.effect, found.low, found.high]).all()


def test_random_flips_agree_with_all_flips():
    differences = np.random.default_rng(5).normal(0.4, size=12)
    zeros, groups = np.zeros(12), np.arange(12)
    exact = sign_flip_test(differences, zeros, groups, resamples=4096)
    random = sign_flip_test(differences, zeros, groups, resamples=4095)
    theirs = scipy.stats.permutation_test(
        (differences, zeros), lambda a, b: np.mean(a - b), permutation_type="samples"
    )
    assert exact.p == pytest.approx(theirs.pvalue, abs=1e-12)
    assert 0.1 < exact.p < 0.5
    assert abs(random.p - exact.p) < 4 * np.sqrt(exact.p * (1 - exact.p) / 4095)


def test_no_random_p_value_is_zero():
    found = sign_flip_test(np.arange(1.0, 41), np.zeros(40), np.arange(40), resamples=999)
    assert found.p == 1 / 1000


def test_signs_do_not_depend_on_how_they_are_cut(monkeypatch):
    differences = np.random.default_rng(5).normal(size=30)
    first = sign_flip_test(differences, np.zeros(30), np.arange(30), resamples=500)
    monkeypatch.setattr("cameval.statistics.resampling._CHUNK", 70)
    assert sign_flip_test(differences, np.zeros(30), np.arange(30), resamples=500) == first


def test_equal_columns_do_not_differ():
    found = sign_flip_test([0.5, 0.25], [0.5, 0.25], [1, 2])
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)
    assert np.isnan([found.effect, found.effect_low, found.effect_high]).all()


def simulated_p(test, effect, rng, times=400):
    """P-values of 15 patients with 1 to 5 alike images."""
    groups = np.repeat(np.arange(15), rng.integers(1, 6, 15))
    found = []
    for seed in range(times):
        patient = rng.normal(effect, size=15)[groups]
        first = patient + 0.2 * rng.normal(size=groups.size)
        found.append(test(first, np.zeros(groups.size), groups, resamples=199, seed=seed).p)
    return np.array(found)


@pytest.mark.parametrize("test", [sign_flip_test, wilcoxon_test])
def test_without_an_effect_p_values_are_uniform(test):
    p = simulated_p(test, 0, np.random.default_rng(0))
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01
    assert 0.02 < np.mean(p <= 0.05) < 0.085  # .05 expected, standard deviation .011


@pytest.mark.parametrize("test", [sign_flip_test, wilcoxon_test])
def test_an_effect_is_found_as_often_as_by_the_t_test(test):
    p = simulated_p(test, 0.8, np.random.default_rng(0))
    noncentral = scipy.stats.nct(14, 0.8 / np.sqrt(1.02) * np.sqrt(15))
    power = noncentral.sf(scipy.stats.t(14).ppf(0.975))
    assert abs(np.mean(p <= 0.05) - power) < 0.08


def test_the_effect_is_in_standard_deviations():
    rng = np.random.default_rng(1)
    first, second, groups = rng.random(40) + 0.2, rng.random(40), rng.integers(12, size=40)
    differences = np.array(naive_group_differences(first, second, groups))
    assert differences.size == 11
    found = sign_flip_test(first, second, groups, resamples=300, seed=2)
    assert found.effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    drawn = differences[np.random.default_rng(2).integers(11, size=(300, 11))]
    effects = drawn.mean(1) / drawn.std(1, ddof=1)
    expected = np.quantile(effects, [0.025, 0.975])
    assert [found.effect_low, found.effect_high] == pytest.approx(expected)


# Signed ranks


def test_wilcoxon_is_scipys_on_patient_means():
    rng = np.random.default_rng(1)
    first, second, groups = rng.random(50) + 0.1, rng.random(50), rng.integers(20, size=50)
    differences = naive_group_differences(first, second, groups)
    found = wilcoxon_test(first, second, groups)
    assert found.p == pytest.approx(scipy.stats.wilcoxon(differences).pvalue)
    assert found.n_groups == len(differences)


def naive_rank_biserial(differences):
    nonzero = differences[differences != 0]
    ranks = scipy.stats.rankdata(np.abs(nonzero))
    return (ranks * np.sign(nonzero)).sum() / ranks.sum() if nonzero.size else 0.0


def test_the_rank_biserial_correlation_and_its_interval():
    differences = np.random.default_rng(3).integers(-3, 6, size=15).astype(float)  # ties and zeros
    found = wilcoxon_test(differences, np.zeros(15), np.arange(15), resamples=200, seed=4)
    assert found.effect == pytest.approx(naive_rank_biserial(differences))
    drawn = differences[np.random.default_rng(4).integers(15, size=(200, 15))]
    expected = np.quantile([naive_rank_biserial(row) for row in drawn], [0.025, 0.975])
    assert [found.effect_low, found.effect_high] == pytest.approx(expected)


def test_signed_ranks_at_the_edges():
    same = wilcoxon_test([1.0, 2.0], [1.0, 2.0], [1, 2], resamples=50)
    assert (same.p, same.effect, same.effect_low, same.effect_high) == (1, 0, 0, 0)
    nothing = wilcoxon_test([NAN], [1.0], [1])
    assert np.isnan(astuple(nothing)[:4]).all()
    assert (nothing.n, nothing.n_groups, nothing.n_undefined) == (0, 0, 1)
    single = wilcoxon_test([1.0, 2.0], [0.0, 0.0], [1, 1])
    assert (single.p, single.effect) == (1, 1)
    assert np.isnan([single.effect_low, single.effect_high]).all()


@pytest.mark.parametrize("test", [sign_flip_test, wilcoxon_test])
def test_pairs_are_checked(test):
    with pytest.raises(ShapeError, match="first, second and groups must have one shape"):
        test([1.0], [1.0, 2.0], [1])
    with pytest.raises(ShapeError, match="at least one value"):
        test([], [], [])
    with pytest.raises(NonFiniteError, match="second must be finite or NaN"):
        test([1.0], [np.inf], [1])
    with pytest.raises(SettingError, match="resamples must be at least 1"):
        test([1.0], [1.0], [1], resamples=0)


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
        assert test.p_wilcoxon == wilcoxon_test(*pair, groups).p
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

"""The cluster bootstrap."""

import numpy as np
import pytest
import torch

from cameval import statistics
from cameval.errors import NonFiniteError, SettingError, ShapeError
from cameval.statistics import bootstrap_mean

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
    monkeypatch.setattr(statistics, "_CHUNK", 70)
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

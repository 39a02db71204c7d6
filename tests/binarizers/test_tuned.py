"""Binarizers whose parameter a validation set chooses."""

import pickle
from math import isnan

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cameval.binarizers import (
    FittedBinarizer,
    MeanBinarizer,
    OtsuBinarizer,
    PercentileBinarizer,
    TopAreaBinarizer,
    TunedBinarizer,
)
from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.metrics import coverage, iou

PERCENTILES = [PercentileBinarizer(p) for p in (50, 75, 90, 95)]


def validation_set(n=6, share=0.1, seed=0):
    """Draw noisy maps whose highest pixels are the truth, nearly."""
    rng = np.random.default_rng(seed)
    maps = rng.normal(size=(n, 12, 15))
    noisy = maps + 0.3 * rng.normal(size=maps.shape)
    return maps, noisy > np.quantile(noisy, 1 - share, axis=(-2, -1), keepdims=True)


def mean_score(binarizer, metric, maps, truth):
    scores = [metric(binarizer(m), t) for m, t in zip(maps, truth, strict=True)]
    return np.mean([score for score in scores if not np.isnan(score)])


@settings(max_examples=30)
@given(st.integers(0, 1000), st.sampled_from([0.03, 0.1, 0.3]), st.integers(1, 6))
def test_the_best_mean_score_wins_however_the_set_is_cut(seed, share, size):
    maps, truth = validation_set(share=share, seed=seed)
    truth[1] = False
    expected = [mean_score(each, iou, maps, truth) for each in PERCENTILES]
    batches = [(maps[i : i + size], truth[i : i + size]) for i in range(0, 6, size)]
    fitted = TunedBinarizer(PERCENTILES, iou).fit(batches)
    assert [row.score for row in fitted.table] == pytest.approx(expected, abs=1e-6)
    assert fitted.binarizer == PERCENTILES[int(np.argmax(expected))]
    assert fitted.chosen in fitted.table
    assert fitted.chosen.score == max(row.score for row in fitted.table)
    assert {(row.images, row.undefined) for row in fitted.table} == {(5, 1)}


def test_a_fitted_binarizer_is_a_binarizer_and_a_value():
    maps, truth = validation_set()
    fitted = TunedBinarizer(PERCENTILES, iou).fit([(maps, truth)])
    np.testing.assert_array_equal(fitted(maps), fitted.binarizer(maps))
    assert isinstance(fitted(torch.from_numpy(maps[0])), torch.Tensor)
    copy = pickle.loads(pickle.dumps(fitted))
    assert copy == fitted
    assert hash(copy) == hash(fitted)
    best = fitted.chosen
    assert repr(fitted) == (
        f"FittedBinarizer(PercentileBinarizer(percentile=90), score={best.score:.4f}, images=6)"
    )
    with pytest.raises(AttributeError):
        fitted.binarizer = MeanBinarizer()


def test_candidates_may_be_functions_and_have_labels():
    def positive(maps):
        return maps > 0

    maps, truth = validation_set()
    fitted = TunedBinarizer([positive, OtsuBinarizer()], iou).fit([(maps, truth)])
    assert [row.label for row in fitted.table] == ["positive", "OtsuBinarizer()"]
    named = {"all": lambda maps: maps == maps, "few": TopAreaBinarizer(0.1)}
    assert TunedBinarizer(named, coverage).fit([(maps, truth)]).chosen.label == "all"
    assert TunedBinarizer(named, iou).fit([(maps, truth)]).chosen.label == "few"


def test_the_first_of_equal_candidates_wins():
    maps, truth = validation_set()
    twins = {"one": MeanBinarizer(), "two": MeanBinarizer()}
    assert TunedBinarizer(twins, iou).fit([(maps, truth)]).chosen.label == "one"


def test_batches_are_read_once_and_may_come_from_a_loader():
    maps, truth = (torch.from_numpy(array) for array in validation_set())
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(maps, truth), batch_size=4)
    tuned = TunedBinarizer(PERCENTILES, iou)
    whole = tuned.fit([(maps, truth)])
    assert tuned.fit(loader).chosen == whole.chosen
    assert tuned.fit((maps[i], truth[i]) for i in range(6)).chosen.images == 6


def test_a_candidate_without_a_score_is_never_chosen():
    def undefined_for_empty(pred, target):
        return iou(pred, target).where(pred.any(-1).any(-1), torch.nan)

    maps, truth = validation_set()
    candidates = {"none": lambda maps: maps > np.inf, "mean": MeanBinarizer()}
    fitted = TunedBinarizer(candidates, undefined_for_empty).fit([(maps, truth)])
    assert fitted.chosen.label == "mean"
    assert isnan(fitted.table[0].score)
    assert (fitted.table[0].images, fitted.table[0].undefined) == (0, 6)


def test_without_any_score_there_is_no_choice():
    maps, truth = validation_set()
    tuned = TunedBinarizer(PERCENTILES, iou)
    with pytest.raises(NonFiniteError, match="at least one image must have a score, got 6 images"):
        tuned.fit([(maps, truth & False)])
    with pytest.raises(NonFiniteError, match="got 0 images"):
        tuned.fit([])


def test_what_is_not_fitted_marks_nothing():
    tuned = TunedBinarizer([MeanBinarizer()], iou)
    with pytest.raises(SettingError, match=r"must be fitted before it is used.*fit\(batches\)"):
        tuned(torch.ones(2, 2))
    assert not isinstance(tuned, FittedBinarizer)


def test_batches_are_pairs():
    maps, truth = validation_set()
    tuned = TunedBinarizer(PERCENTILES, iou)
    with pytest.raises(ArrayTypeError, match="batches must hold pairs of maps and masks, got nda"):
        tuned.fit((maps, truth))
    with pytest.raises(ArrayTypeError, match="target must be boolean"):
        tuned.fit([(maps, truth.astype(float))])
    with pytest.raises(ShapeError, match="one shape"):
        tuned.fit([(maps, truth[:3])])
    with pytest.raises(NonFiniteError, match="maps must be finite"):
        tuned.fit([(np.where(truth, np.nan, maps), truth)])
    with pytest.raises(ShapeError, match=r"one score for each image, shape \(6,\), got \(\)"):
        TunedBinarizer(PERCENTILES, lambda pred, target: iou(pred, target).mean()).fit(
            [(maps, truth)]
        )


@pytest.mark.parametrize(
    ("candidates", "metric", "message"),
    [
        ([], iou, "candidates must hold at least one binarizer, got none"),
        ({}, iou, "candidates must hold at least one binarizer, got none"),
        (MeanBinarizer(), iou, "candidates must be a sequence or a mapping of binarizers"),
        (
            [MeanBinarizer(), MeanBinarizer()],
            iou,
            r"different labels, got 'MeanBinarizer\(\)' twic",
        ),
        ({"mean": "mean"}, iou, "candidate 'mean' must be callable, got 'mean'"),
        ([MeanBinarizer()], "iou", "metric must be callable, got 'iou'"),
    ],
)
def test_candidates_and_metric_are_checked(candidates, metric, message):
    with pytest.raises(SettingError, match=message):
        TunedBinarizer(candidates, metric)

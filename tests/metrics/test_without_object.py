"""Images without an object: what is defined there, and the option to score the rest."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import mask_pairs

from cameval.errors import SettingError
from cameval.evaluation.labels import label_of
from cameval.metrics import (
    BoundaryIoU,
    CentroidDistance,
    FBeta,
    HausdorffDistance,
    Outcomes,
    SurfaceDice,
    ZeroWithoutObject,
    box_iou,
    complexity,
    dice,
    false_positive_rate,
    iou,
    marked_area,
    of_masks,
    pixel_auroc,
    size_standardized_iou,
    specificity,
    volumetric_similarity,
)

EMPTY = np.zeros((1, 10, 10), bool)
HALF = EMPTY.copy()
HALF[:, :5] = True
SCORES = [iou, dice, volumetric_similarity, box_iou, BoundaryIoU(), SurfaceDice(1), FBeta(2)]


def test_false_positives_are_counted_where_there_is_no_object():
    assert false_positive_rate(HALF, EMPTY) == 0.5
    assert specificity(HALF, EMPTY) == 0.5
    assert marked_area(HALF, EMPTY) == 0.5
    assert false_positive_rate(EMPTY, EMPTY) == marked_area(EMPTY, EMPTY) == 0
    assert specificity(EMPTY, EMPTY) == 1
    assert false_positive_rate(~EMPTY, EMPTY) == marked_area(~EMPTY, EMPTY) == 1


@given(mask_pairs())
def test_the_marked_area_is_the_mean_of_the_mask_whatever_is_true(pair):
    pred, target = (mask.numpy() for mask in pair)
    assert marked_area(pred, target) == pytest.approx(pred.mean(), rel=1e-15)


@pytest.mark.parametrize("metric", SCORES, ids=label_of)
def test_marks_without_an_object_score_zero_on_request(metric):
    batch = np.concatenate([HALF, EMPTY, HALF]), np.concatenate([EMPTY, EMPTY, HALF])
    assert np.isnan(metric(*batch)).tolist() == [True, True, False]
    np.testing.assert_array_equal(ZeroWithoutObject(metric)(*batch), [0, np.nan, 1])
    np.testing.assert_array_equal(ZeroWithoutObject(metric, both_empty=1)(*batch), [0, 1, 1])


@given(mask_pairs(min_true=1))
def test_where_there_is_an_object_the_option_changes_nothing(pair):
    for metric in SCORES:
        assert torch.equal(ZeroWithoutObject(metric, 1.0)(*pair), metric(*pair))


def test_the_option_keeps_kinds_and_axes():
    pred, target = (
        torch.rand(2, 2, 3, 6, 5, generator=torch.Generator().manual_seed(0)) > 0.5
    ).unbind()
    target[0], pred[0, 1:], metric = False, False, ZeroWithoutObject(iou, both_empty=0.25)
    scores = metric(pred, target)
    assert scores.dtype == torch.get_default_dtype()
    assert scores[0].tolist() == [0, 0.25, 0.25]
    assert torch.equal(scores[1], iou(pred[1], target[1]))
    from_numpy = metric(pred.numpy(), target.numpy())
    assert from_numpy.dtype == np.float64
    np.testing.assert_allclose(from_numpy, scores, rtol=1e-6)


@pytest.mark.parametrize(
    "metric",
    [
        CentroidDistance(),  # 0 is the best
        HausdorffDistance(),
        Outcomes(),  # 0 is the name of an outcome
        marked_area,  # neither is better
        pixel_auroc,
        complexity,
        lambda pred, target: iou(pred, target),  # it does not say
        partial(CentroidDistance()),
    ],
)
def test_the_option_needs_scores_whose_higher_values_are_better(metric):
    with pytest.raises(
        SettingError, match=r"have higher_is_better = True.*of_masks\(higher_is_better"
    ):
        ZeroWithoutObject(metric)


def test_the_option_takes_metrics_of_ones_own_and_settings():
    own = of_masks(higher_is_better=True)(lambda pred, target: iou(pred, target))
    standardized = partial(size_standardized_iou, reference=0.1)
    for metric in (own, standardized):
        assert ZeroWithoutObject(metric)(HALF, EMPTY) == 0
        assert ZeroWithoutObject(metric)(HALF, HALF) == 1


@pytest.mark.parametrize("both_empty", [-0.1, 1.1, float("nan"), "1", float("inf")])
def test_both_empty_is_a_score(both_empty):
    with pytest.raises(SettingError, match=r"both_empty must be None or in \[0, 1\], got"):
        ZeroWithoutObject(iou, both_empty)


def test_the_option_is_named_by_its_metric():
    assert repr(ZeroWithoutObject(iou)) == "ZeroWithoutObject(iou, both_empty=None)"
    assert repr(ZeroWithoutObject(FBeta(2), 1)) == "ZeroWithoutObject(FBeta(beta=2), both_empty=1)"
    assert ZeroWithoutObject(iou) == ZeroWithoutObject(iou) != ZeroWithoutObject(dice)

"""Mask metrics against set arithmetic, scikit-learn, worked examples and each other."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score
from strategies import mask_pairs, masks
from torch.testing import assert_close

from cameval.baselines import area_cap
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.metrics import (
    Counts,
    coverage,
    dice,
    informedness,
    iou,
    precision,
    score_counts,
    share_above,
    share_below,
    size_standardized_iou,
)

METRICS = [iou, dice, coverage, precision, informedness, size_standardized_iou, area_cap]
every_metric = pytest.mark.parametrize("metric", METRICS)
NAN = float("nan")


def double(score):
    """Score in float64, as NumPy gets it."""

    def scored(pred, target, *args):
        return float(score(pred.numpy(), target.numpy(), *args))

    return scored


def as_set(mask):
    height, width = mask.shape
    return {(y, x) for y, x in product(range(height), range(width)) if mask[y, x]}


# Worked examples


def test_the_example_of_a_mask_five_times_too_large():
    pred, target = np.zeros((2, 10, 10), bool)
    pred[:4, :5] = target[:2, :2] = True
    assert iou(pred, target) == pytest.approx(0.2, abs=1e-15)
    assert dice(pred, target) == pytest.approx(1 / 3, abs=1e-15)
    assert coverage(pred, target) == 1
    assert precision(pred, target) == pytest.approx(0.2, abs=1e-15)
    assert informedness(pred, target) == pytest.approx(1 - 16 / 96, abs=1e-15)
    assert size_standardized_iou(pred, target, 0.04) == pytest.approx(0.2, abs=1e-15)
    assert size_standardized_iou(pred, target, reference=0.1) == pytest.approx(0.4, abs=1e-15)
    assert area_cap(pred, target) == pytest.approx(0.2, abs=1e-15)


@pytest.mark.parametrize(
    ("per_mille", "standardized", "smaller", "plain", "youden"),
    [
        (1, 0.518, 0.261, 0.020, 0.951),
        (2.5, 0.525, 0.266, 0.050, 0.952),
        (5, 0.538, 0.277, 0.100, 0.955),
        (10, 0.566, 0.300, 0.200, 0.960),
        (17, 0.611, 0.340, 0.340, 0.966),
        (25, 0.672, 0.403, 0.500, 0.974),
        (50, 1.0, 1.0, 1.0, 1.0),
    ],
)
def test_the_table_of_tumors_inside_a_p95_mask(per_mille, standardized, smaller, plain, youden):
    pred, target = np.zeros((2, 100, 100), bool)
    pred.flat[:500] = True
    target.flat[: int(per_mille * 10)] = True
    assert size_standardized_iou(pred, target) == pytest.approx(standardized, abs=6e-4)
    assert size_standardized_iou(pred, target, 0.017) == pytest.approx(smaller, abs=6e-4)
    assert iou(pred, target) == pytest.approx(plain, abs=6e-4)
    assert informedness(pred, target) == pytest.approx(youden, abs=6e-4)


# References


@given(mask_pairs(min_true=1))
def test_scores_are_arithmetic_on_sets_of_pixels(pair):
    pred, target = (as_set(mask) for mask in pair)
    rest = pair[0].numel() - len(target)
    assert double(iou)(*pair) == len(pred & target) / len(pred | target)
    assert double(dice)(*pair) == 2 * len(pred & target) / (len(pred) + len(target))
    assert double(coverage)(*pair) == len(pred & target) / len(target)
    assert double(precision)(*pair) == (len(pred & target) / len(pred) if pred else 0)
    if rest:
        alarm = len(pred - target) / rest
        hit = len(pred & target) / len(target)
        assert double(informedness)(*pair) == hit - alarm
        assert double(size_standardized_iou)(*pair) == 0.05 * hit / (0.05 + 0.95 * alarm)


@given(mask_pairs(min_true=1))
def test_scores_are_scikit_learns(pair):
    truth, pred = pair[1].flatten().numpy(), pair[0].flatten().numpy()
    references = {
        iou: jaccard_score,
        dice: f1_score,
        coverage: recall_score,
        precision: precision_score,
    }
    for metric, reference in references.items():
        assert double(metric)(*pair) == pytest.approx(reference(truth, pred, zero_division=0))


# Identities


@given(mask_pairs(min_true=1))
def test_the_scores_obey_their_identities(pair):
    jaccard, f1, hit, right = (double(metric)(*pair) for metric in (iou, dice, coverage, precision))
    assert 0 <= jaccard <= f1 <= 1
    assert f1 == pytest.approx(2 * jaccard / (1 + jaccard))
    assert jaccard <= double(area_cap)(*pair)
    if jaccard:
        assert 1 / jaccard == pytest.approx(1 / hit + 1 / right - 1)


@given(mask_pairs(min_true=1))
def test_at_the_truths_own_size_the_standardized_iou_is_the_iou(pair):
    share = pair[1].double().mean().item()
    if share < 1:
        standardized = double(size_standardized_iou)(*pair, share)
        assert standardized == pytest.approx(double(iou)(*pair))


@given(mask_pairs(min_true=1))
def test_iou_dice_and_cap_are_symmetric(pair):
    pred, target = pair
    if pred.any():
        for metric in (iou, dice, area_cap):
            assert metric(pred, target) == metric(target, pred)
        assert coverage(pred, target) == precision(target, pred)


@given(masks(min_true=1))
def test_the_truth_itself_is_perfect(mask):
    for metric in METRICS:
        undefined = mask.all() and metric in (informedness, size_standardized_iou)
        assert metric(mask, mask) == 1 or undefined


@given(st.integers(1, 99), st.integers(1, 99))
def test_of_independent_masks_the_standardized_iou_forgets_the_truths_size(width, height):
    pred, target = torch.zeros(2, 100, 100, dtype=torch.bool)
    pred[:, :width] = target[:height] = True
    p = width / 100
    expected = 0.05 * p / (0.05 + 0.95 * p)
    assert double(size_standardized_iou)(pred, target) == pytest.approx(expected)
    assert double(informedness)(pred, target) == pytest.approx(0, abs=1e-12)


def test_everything_predicted_scores_the_reference():
    everything = torch.ones(4, 4, dtype=torch.bool)
    target = torch.eye(4, dtype=torch.bool)
    assert size_standardized_iou(everything, target, reference=0.2).item() == pytest.approx(0.2)


# Counts


def test_counts_of_parts_add_up_to_the_counts_of_the_whole():
    pred, target = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0)) > 0.4
    whole = Counts.of(pred, target)
    total = Counts.of(pred[:, :3], target[:, :3]) + Counts.of(pred[:, 3:], target[:, 3:])
    for field in ("predicted", "true", "both", "pixels"):
        assert torch.equal(getattr(total, field), getattr(whole, field))
    assert whole.pixels.tolist() == [48] * 3


def test_a_formula_on_the_counts_is_a_metric():
    pred, target = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0)) > 0.4
    assert_close(score_counts(lambda n: n.hit_rate, pred, target), coverage(pred, target))


# Edges

SOME, NONE, ALL = ([True, False], [False, False], [True, True])


@pytest.mark.parametrize(
    ("pred", "target", "expected"),
    [  # iou, dice, coverage, precision, informedness, size_standardized_iou, area_cap
        (NONE, NONE, [NAN] * 7),
        (SOME, NONE, [NAN] * 7),
        (ALL, NONE, [NAN] * 7),
        (NONE, SOME, [0] * 7),
        (ALL, SOME, [0.5, 2 / 3, 1, 0.5, 0, 0.05, 0.5]),
        (NONE, ALL, [0, 0, 0, 0, NAN, NAN, 0]),
        (SOME, ALL, [0.5, 2 / 3, 0.5, 1, NAN, NAN, 0.5]),
        (ALL, ALL, [1, 1, 1, 1, NAN, NAN, 1]),
        (SOME, SOME, [1] * 7),
        ([False, True], SOME, [0, 0, 0, 0, -1, 0, 1]),
    ],
)
def test_the_policy_for_edge_cases(pred, target, expected):
    pred, target = np.array([pred]), np.array([target])
    scores = np.array([metric(pred, target) for metric in METRICS])
    np.testing.assert_allclose(scores, expected, rtol=1e-15)


@every_metric
def test_a_batch_is_scored_image_by_image_whatever_its_axes(metric):
    pred, target = torch.rand(2, 6, 5, 4, generator=torch.Generator().manual_seed(1)) > 0.5
    expected = torch.stack([metric(*pair) for pair in zip(pred, target, strict=True)])
    assert torch.equal(metric(pred, target), expected)
    assert torch.equal(metric(pred.mT, target.mT), expected)
    folded = metric(pred.reshape(2, 3, 5, 4), target.reshape(2, 3, 5, 4))
    assert torch.equal(folded, expected.reshape(2, 3))
    assert metric(pred[:0], target[:0]).shape == (0,)


@every_metric
def test_scores_are_of_the_masks_kind(metric):
    pred, target = torch.rand(2, 6, 5, 4, generator=torch.Generator().manual_seed(1)) > 0.5
    assert metric(pred, target).dtype == torch.get_default_dtype()
    scores = metric(pred.numpy(), target.numpy())
    assert isinstance(scores, np.ndarray)
    assert scores.dtype == np.float64
    assert isinstance(metric(pred[0].numpy(), target[0].numpy()), np.float64)
    readonly = target.numpy().T.copy()
    readonly.flags.writeable = False
    np.testing.assert_array_equal(metric(pred.numpy(), readonly.T), scores)


@every_metric
def test_only_boolean_masks_of_one_shape_and_kind_are_scored(metric):
    mask = torch.eye(3, dtype=torch.bool)
    with pytest.raises(ShapeError, match=r"got \(3, 3\) and \(2, 3\)"):
        metric(mask, mask[:2])
    with pytest.raises(ArrayTypeError, match="pred must be boolean"):
        metric(mask.float(), mask)
    with pytest.raises(ArrayTypeError, match="target must be boolean"):
        metric(mask, mask.int())
    with pytest.raises(ArrayTypeError, match="both be NumPy arrays or both torch tensors"):
        metric(mask, mask.numpy())


@pytest.mark.parametrize("reference", [0, 1, -0.1, NAN])
def test_the_reference_is_an_area_share(reference):
    mask = torch.eye(3, dtype=torch.bool)
    with pytest.raises(SettingError, match=r"reference must be in \(0, 1\), got"):
        size_standardized_iou(mask, mask, reference=reference)


# Shares of images


def test_shares_are_strict_and_of_the_defined_scores():
    scores = np.array([[0.0, 0.01, 0.5], [0.6, NAN, NAN]])
    assert share_above(scores, 0.5) == 0.25
    assert share_below(scores, 0.01) == 0.25
    assert share_below(torch.from_numpy(scores).float(), 0.01) == 0.25


def test_the_papers_shares_of_missed_tumors():
    missed = {"meningioma": (3, 141), "glioma": (95, 285), "pituitary": (159, 186)}
    scores = {name: np.where(np.arange(n) < few, 0.009, 0.01) for name, (few, n) in missed.items()}
    printed = [f"{share_below(each, 0.01):.0%}" for each in scores.values()]
    assert printed == ["2%", "33%", "85%"]
    assert f"{share_below(np.concatenate(list(scores.values())), 0.01):.0%}" == "42%"


def test_a_share_of_nothing_is_undefined():
    assert np.isnan(share_above(torch.tensor([NAN]), 0.5))
    assert np.isnan(share_below(np.array([]), 0.5))
    with pytest.raises(ArrayTypeError, match="scores must be floating"):
        share_above(np.array([1]), 0.5)

"""Metrics that correct for chance or size: worked examples, set forms, scikit-learn, identities."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mask_sets import as_set, double, frame, side_by_side
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, matthews_corrcoef
from strategies import mask_pairs

from cameval.baselines import area_bound
from cameval.errors import SettingError
from cameval.metrics import coverage, dice, informedness, iou, precision, size_standardized_iou
from cameval.metrics.chance_corrected import (
    chance_corrected_overlap,
    cohen_kappa,
    matthews_correlation,
)
from cameval.metrics.overlap import FBeta, overlap_coefficient, volumetric_similarity
from cameval.metrics.rates import false_positive_rate

NAN = float("nan")
CORRECTED = [informedness, matthews_correlation, cohen_kappa, chance_corrected_overlap]


def partial_truths():
    return mask_pairs(min_true=1).filter(lambda pair: not pair[1].all())


def varied():
    """Pairs of masks, neither of them constant."""
    return partial_truths().filter(lambda pair: 0 < pair[0].sum() < pair[0].numel())


# Worked examples


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (iou, 0.2),
        (dice, 1 / 3),
        (coverage, 1),
        (precision, 0.2),
        (overlap_coefficient, 1),
        (volumetric_similarity, 1 / 3),
        (false_positive_rate, 16 / 96),
        (informedness, 1 - 16 / 96),
        (chance_corrected_overlap, 1),
        (cohen_kappa, 2 * (0.04 - 0.008) / (0.24 - 0.016)),
        (matthews_correlation, 0.032 / (0.2 * 0.8 * 0.04 * 0.96) ** 0.5),
        (lambda p, t: size_standardized_iou(p, t, 0.04), 0.2),
        (lambda p, t: size_standardized_iou(p, t, reference=0.1), 0.4),
        (area_bound, 0.2),
    ],
)
def test_the_example_of_a_mask_five_times_too_large(metric, expected):
    pred, target = np.zeros((2, 10, 10), bool)
    pred[:4, :5] = target[:2, :2] = True
    assert metric(pred, target) == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("per_ten_thousand", "plain", "f1", "f2", "smaller", "standardized", "youden"),
    [
        (10, 0.020, 0.039, 0.093, 0.261, 0.518, 0.951),
        (25, 0.050, 0.095, 0.208, 0.266, 0.525, 0.952),
        (50, 0.100, 0.182, 0.357, 0.277, 0.538, 0.955),
        (100, 0.200, 0.333, 0.556, 0.300, 0.566, 0.960),
        (170, 0.340, 0.507, 0.720, 0.340, 0.611, 0.966),
        (250, 0.500, 0.667, 0.833, 0.403, 0.672, 0.974),
        (500, 1, 1, 1, 1, 1, 1),
    ],
)
def test_the_table_of_tumors_inside_a_mask_of_the_95th_percentile(
    per_ten_thousand, plain, f1, f2, smaller, standardized, youden
):
    pair = side_by_side(500, per_ten_thousand, per_ten_thousand, pixels=10_000)
    scores = [metric(*pair) for metric in (iou, dice, FBeta(2))]
    scores += [size_standardized_iou(*pair, 0.017), size_standardized_iou(*pair)]
    scores += [informedness(*pair)]
    printed = [plain, f1, f2, smaller, standardized, youden]
    assert scores == pytest.approx(printed, abs=5.0001e-4)
    assert [m(*pair) for m in (coverage, overlap_coefficient, chance_corrected_overlap)] == [1] * 3


# References


def correlation(pred, target, pixels):
    """Pearson's correlation of two masks as lists of 0 and 1."""
    return np.corrcoef(*([pixel in mask for pixel in sorted(pixels)] for mask in (pred, target)))[
        0, 1
    ]


def largest_correlation(predicted, true, pixels):
    """Try every overlap that masks of these sizes can have."""
    row = range(pixels)
    overlaps = range(max(0, predicted + true - pixels), min(predicted, true) + 1)
    pairs = ((row[:predicted], row[predicted - n : predicted - n + true]) for n in overlaps)
    return max(correlation(*pair, row) for pair in pairs)


@given(partial_truths())
def test_informedness_and_kappa_are_arithmetic_on_sets_of_pixels(pair):
    (pred, target), pixels = (as_set(mask) for mask in pair), frame(pair[0])
    hit = Fraction(len(pred & target), len(target))
    alarm = Fraction(len(pred - target), len(pixels - target))
    assert double(informedness)(*pair) == pytest.approx(float(hit - alarm), abs=1e-15)
    agreed = 1 - Fraction(len(pred ^ target), len(pixels))
    p, g = (Fraction(len(mask), len(pixels)) for mask in (pred, target))
    by_chance = p * g + (1 - p) * (1 - g)
    expected = (agreed - by_chance) / (1 - by_chance)
    assert double(cohen_kappa)(*pair) == pytest.approx(float(expected), abs=1e-15)


@given(partial_truths(), st.integers(1, 99).map(lambda percent: percent / 100))
def test_the_standardized_iou_is_an_iou_with_weighted_pixels(pair, reference):
    (pred, target), pixels = (as_set(mask) for mask in pair), frame(pair[0])
    share, rest = Fraction(reference), pixels - target
    weight = {pixel: share / len(target) for pixel in target}
    weight |= {pixel: (1 - share) / len(rest) for pixel in rest}
    both, either = (sum(weight[pixel] for pixel in s) for s in (pred & target, pred | target))
    score = double(size_standardized_iou)(*pair, reference)
    assert score == pytest.approx(float(both / either), rel=1e-14)


@given(varied())
def test_phi_is_pearsons_correlation_and_h_its_share_of_the_largest(pair):
    (pred, target), pixels = (as_set(mask) for mask in pair), frame(pair[0])
    phi = correlation(pred, target, pixels)
    assert double(matthews_correlation)(*pair) == pytest.approx(phi, abs=1e-13)
    most = largest_correlation(len(pred), len(target), len(pixels))
    assert double(chance_corrected_overlap)(*pair) == pytest.approx(phi / most, abs=1e-12)


@given(partial_truths())
def test_scores_are_scikit_learns(pair):
    truth, pred = pair[1].flatten().numpy(), pair[0].flatten().numpy()
    youden = balanced_accuracy_score(truth, pred, adjusted=True)
    assert double(informedness)(*pair) == pytest.approx(youden, abs=1e-14)
    matthews = matthews_corrcoef(truth, pred)
    assert double(matthews_correlation)(*pair) == pytest.approx(matthews, abs=1e-14)
    kappa = cohen_kappa_score(truth, pred)
    assert double(cohen_kappa)(*pair) == pytest.approx(kappa, abs=1e-14)


# Identities


@given(mask_pairs(min_true=1))
def test_at_the_truths_own_size_the_standardized_iou_is_the_iou(pair):
    share = pair[1].double().mean().item()
    if share < 1:
        standardized = double(size_standardized_iou)(*pair, share)
        assert standardized == pytest.approx(double(iou)(*pair), rel=1e-14)


@given(partial_truths(), st.sampled_from([0.01, 0.05, 0.5]))
def test_the_standardized_iou_is_the_jaccard_form_of_the_normalized_dice(pair, reference):
    pred, target = (as_set(mask) for mask in pair)
    hits, alarms, misses = (len(s) for s in (pred & target, pred - target, target - pred))
    odds = len(target) / (pair[0].numel() - len(target))
    scaled = alarms * odds * (1 - reference) / reference
    normalized = 2 * hits / (2 * hits + scaled + misses)
    score = double(size_standardized_iou)(*pair, reference)
    assert 2 * score / (1 + score) == pytest.approx(normalized, rel=1e-13)


@given(varied())
def test_the_corrected_scores_have_one_sign_and_an_order(pair):
    youden, phi, kappa, overlap = (double(metric)(*pair) for metric in CORRECTED)
    assert {np.sign(score) for score in (phi, kappa, overlap)} == {np.sign(phi)}
    assert abs(kappa) <= abs(phi) + 1e-15
    assert abs(phi) <= abs(overlap) + 1e-15
    assert youden == pytest.approx(phi * (double(spread)(*pair)), abs=1e-13)


def spread(pred, target):
    """Return the ratio of the standard deviations of the two masks."""
    return pred.std() / target.std()


@given(st.integers(1, 99), st.integers(1, 99))
def test_of_independent_masks_no_score_knows_the_truths_size(width, height):
    pred, target = torch.zeros(2, 100, 100, dtype=torch.bool)
    pred[:, :width] = target[:height] = True
    p = width / 100
    expected = 0.05 * p / (0.05 + 0.95 * p)
    assert double(size_standardized_iou)(pred, target) == pytest.approx(expected)
    assert double(informedness)(pred, target) == pytest.approx(0, abs=1e-15)
    for metric in CORRECTED[1:]:
        assert double(metric)(pred, target) == 0


def test_the_overlap_corrected_for_chance_has_no_lower_bound():
    pred, target = side_by_side(10, 900, 0)
    assert chance_corrected_overlap(pred, target) == pytest.approx(-9, rel=1e-14)


def test_everything_predicted_scores_the_reference():
    everything = torch.ones(4, 4, dtype=torch.bool)
    target = torch.eye(4, dtype=torch.bool)
    assert size_standardized_iou(everything, target, reference=0.2).item() == pytest.approx(0.2)


def test_large_images_are_exact():
    pred, target = np.zeros((2, 4096, 4096), bool)
    pred[:1000], target[:999] = True, True
    pixels = 4096
    p, g = Fraction(1000, pixels), Fraction(999, pixels)
    kappa = 2 * (g - p * g) / (p + g - 2 * p * g)
    assert cohen_kappa(pred, target) == float(kappa)
    assert chance_corrected_overlap(pred, target) == 1
    assert matthews_correlation(target, target) == 1


@pytest.mark.parametrize("reference", [0, 1, -0.1, NAN])
def test_the_reference_is_an_area_share(reference):
    mask = torch.eye(3, dtype=torch.bool)
    with pytest.raises(SettingError, match=r"reference must be in \(0, 1\), got"):
        size_standardized_iou(mask, mask, reference=reference)

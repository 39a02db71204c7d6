"""Mask metrics against set arithmetic, scikit-learn, worked examples and each other."""

from fractions import Fraction
from functools import partial, wraps
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mask_sets import as_set, double, frame
from sklearn.metrics import f1_score, fbeta_score, jaccard_score, precision_score, recall_score
from strategies import mask_pairs, masks
from torch.testing import assert_close

from cameval._memo import memo
from cameval.baselines import area_bound
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
from cameval.metrics.chance_corrected import (
    chance_corrected_overlap,
    cohen_kappa,
    matthews_correlation,
)
from cameval.metrics.counts import is_formula_of_counts
from cameval.metrics.outcome import Outcomes, ZeroWithoutObject
from cameval.metrics.overlap import FBeta, Tversky, overlap_coefficient, volumetric_similarity
from cameval.metrics.rates import false_positive_rate, marked_area, specificity
from cameval.metrics.summary import share_equal

NAN = float("nan")
NEEDS_REST = {  # what is undefined where every pixel is true
    false_positive_rate,
    specificity,
    informedness,
    size_standardized_iou,
    matthews_correlation,
    cohen_kappa,
    chance_corrected_overlap,
}

WITHOUT_OBJECT = {  # what is defined without an object, by the marked share of the image
    false_positive_rate: lambda area: area,
    specificity: lambda area: 1 - area,
    marked_area: lambda area: area,
}

# Predictions of two pixels and their truths; their scores.
NONE, SOME, OTHER, ALL = ([False, False], [True, False], [False, True], [True, True])
CASES = [(NONE, SOME), (ALL, SOME), (NONE, ALL), (SOME, ALL), (ALL, ALL), (SOME, SOME)]
CASES += [(OTHER, SOME)]
EDGE_CASES = {
    iou: [0, 1 / 2, 0, 1 / 2, 1, 1, 0],
    dice: [0, 2 / 3, 0, 2 / 3, 1, 1, 0],
    coverage: [0, 1, 0, 1 / 2, 1, 1, 0],
    precision: [0, 1 / 2, 0, 1, 1, 1, 0],
    overlap_coefficient: [0, 1, 0, 1, 1, 1, 0],
    volumetric_similarity: [0, 2 / 3, 0, 2 / 3, 1, 1, 1],
    area_bound: [0, 1 / 2, 0, 1 / 2, 1, 1, 1],
    FBeta(2): [0, 5 / 6, 0, 5 / 9, 1, 1, 0],
    Tversky(0.25, 0.75): [0, 1 / 1.25, 0, 1 / 1.75, 1, 1, 0],
    Tversky(1, 0): [0, 1 / 2, 0, 1, 1, 1, 0],
    false_positive_rate: [0, 1, NAN, NAN, NAN, 0, 1],
    specificity: [1, 0, NAN, NAN, NAN, 1, 0],
    marked_area: [0, 1, 0, 1 / 2, 1, 1 / 2, 1 / 2],
    informedness: [0, 0, NAN, NAN, NAN, 1, -1],
    matthews_correlation: [0, 0, NAN, NAN, NAN, 1, -1],
    cohen_kappa: [0, 0, NAN, NAN, NAN, 1, -1],
    chance_corrected_overlap: [0, 0, NAN, NAN, NAN, 1, -1],
    size_standardized_iou: [0, 0.05, NAN, NAN, NAN, 1, 0],
    Outcomes(): [1, 0, 1, 0, 0, 0, 1],
}
METRICS = list(EDGE_CASES)
every_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda m: getattr(m, "__name__", m))
every_size = pytest.mark.parametrize("size", [(5, 4), (80, 70)], ids=["small", "large"])


def some_masks(*shape):
    return torch.rand(2, *shape, generator=torch.Generator().manual_seed(1)) > 0.5


# References


@given(mask_pairs(min_true=1))
def test_scores_are_arithmetic_on_sets_of_pixels(pair):
    pred, target = (as_set(mask) for mask in pair)
    both, smaller = len(pred & target), min(len(pred), len(target))
    assert double(iou)(*pair) == both / len(pred | target)
    assert double(dice)(*pair) == 2 * both / (len(pred) + len(target))
    assert double(coverage)(*pair) == both / len(target)
    assert double(precision)(*pair) == (both / len(pred) if pred else 0)
    assert double(overlap_coefficient)(*pair) == (both / smaller if smaller else 0)
    likeness = 1 - Fraction(abs(len(pred) - len(target)), len(pred) + len(target))
    assert double(volumetric_similarity)(*pair) == float(likeness)
    if rest := frame(pair[0]) - target:
        assert double(false_positive_rate)(*pair) == len(pred & rest) / len(rest)
        assert double(specificity)(*pair) == pytest.approx(len(rest - pred) / len(rest), abs=1e-15)


WEIGHTS = st.integers(0, 40).map(lambda tenths: tenths / 8)


@given(mask_pairs(min_true=1), WEIGHTS, WEIGHTS.filter(bool))
def test_weighted_scores_are_arithmetic_on_sets_of_pixels(pair, weight, positive):
    pred, target = (as_set(mask) for mask in pair)
    both, alarms, misses = (Fraction(len(s)) for s in (pred & target, pred - target, target - pred))
    for alpha, beta in ((weight, positive), (positive, weight)):
        weighed = both + Fraction(alpha) * alarms + Fraction(beta) * misses
        expected = float(both / weighed) if both else 0
        assert double(Tversky(alpha, beta))(*pair) == pytest.approx(expected, rel=1e-14)
    square = Fraction(positive) ** 2
    expected = float((1 + square) * both / ((1 + square) * both + square * misses + alarms))
    assert double(FBeta(positive))(*pair) == pytest.approx(expected, rel=1e-14)


@given(mask_pairs(min_true=1), WEIGHTS.filter(bool))
def test_scores_are_scikit_learns(pair, beta):
    truth, pred = pair[1].flatten().numpy(), pair[0].flatten().numpy()
    references = {
        iou: jaccard_score,
        dice: f1_score,
        coverage: recall_score,
        precision: precision_score,
        FBeta(beta): partial(fbeta_score, beta=beta),
    }
    if not truth.all():
        references[specificity] = partial(recall_score, pos_label=0)
    for metric, reference in references.items():
        assert double(metric)(*pair) == pytest.approx(reference(truth, pred, zero_division=0))


# Identities


@given(mask_pairs(min_true=1))
def test_the_scores_obey_their_identities(pair):
    jaccard, f1, hit, right = (double(metric)(*pair) for metric in (iou, dice, coverage, precision))
    smaller, likeness = double(overlap_coefficient)(*pair), double(volumetric_similarity)(*pair)
    ratio = double(area_bound)(*pair)
    assert 0 <= jaccard <= f1 <= 1
    assert jaccard <= ratio
    assert f1 == pytest.approx(2 * jaccard / (1 + jaccard), rel=1e-14)
    assert f1 == pytest.approx(smaller * likeness, rel=1e-14)
    assert jaccard == pytest.approx(smaller * ratio / (1 + ratio - smaller * ratio), rel=1e-14)
    assert likeness == pytest.approx(2 * ratio / (1 + ratio), rel=1e-14)
    if jaccard:
        assert 1 / jaccard == pytest.approx(1 / hit + 1 / right - 1, rel=1e-13)


@given(mask_pairs(min_true=1))
def test_weighted_scores_have_the_plain_ones_among_them(pair):
    for weighted, plain in [
        (FBeta(1), dice),
        (Tversky(1, 1), iou),
        (Tversky(0.5, 0.5), dice),
        (Tversky(0, 1), coverage),
        (Tversky(1, 0), precision),
    ]:
        assert double(weighted)(*pair) == double(plain)(*pair)
    square = 2.5**2
    same = Tversky(1 / (1 + square), square / (1 + square))
    assert double(FBeta(2.5))(*pair) == pytest.approx(double(same)(*pair), rel=1e-14)


@given(mask_pairs(min_true=1))
def test_what_is_symmetric(pair):
    pred, target = pair
    if pred.any():
        for metric in (iou, dice, overlap_coefficient, volumetric_similarity, area_bound):
            assert metric(pred, target) == metric(target, pred)
        for metric in (matthews_correlation, cohen_kappa, chance_corrected_overlap):
            if not (pred.all() or target.all()):
                assert metric(pred, target) == metric(target, pred)
        assert coverage(pred, target) == precision(target, pred)


@given(masks(min_true=1))
def test_the_truth_itself_is_perfect(mask):
    best = {false_positive_rate: 0, Outcomes(): 0, marked_area: mask.double().mean().item()}
    for metric in METRICS:
        score = double(metric)(mask, mask)
        if mask.all() and metric in NEEDS_REST:
            assert np.isnan(score)
        else:
            assert score == best.get(metric, 1)


@given(mask_pairs(min_true=1))
def test_the_overlap_coefficient_is_1_exactly_where_one_mask_contains_the_other(pair):
    pred, target = (as_set(mask) for mask in pair)
    contained = bool(pred) and (pred <= target or target <= pred)
    assert (double(overlap_coefficient)(*pair) == 1) == contained


# Settings


@pytest.mark.parametrize("beta", [0, -1, NAN, float("inf"), 1e200, 1e-200, "1"])
def test_beta_is_a_positive_number(beta):
    with pytest.raises(SettingError, match=r"beta must be a positive number .*, got"):
        FBeta(beta)


@pytest.mark.parametrize("weight", [-1, NAN, float("inf"), "1"])
def test_weights_are_not_negative(weight):
    with pytest.raises(SettingError, match="alpha must be a finite number of at least 0, got"):
        Tversky(weight, 1)
    with pytest.raises(SettingError, match="beta must be a finite number of at least 0, got"):
        Tversky(1, weight)


def test_something_must_weigh():
    with pytest.raises(SettingError, match="alpha and beta must not both be 0"):
        Tversky(0, 0.0)


# Counts


def test_counts_of_parts_add_up_to_the_counts_of_the_whole():
    pred, target = some_masks(3, 8, 6)
    whole = Counts.of(pred, target)
    total = Counts.of(pred[:, :3], target[:, :3]) + Counts.of(pred[:, 3:], target[:, 3:])
    for field in ("predicted", "true", "both", "pixels"):
        assert torch.equal(getattr(total, field), getattr(whole, field))
    assert whole.pixels.tolist() == [48] * 3


def test_a_formula_on_the_counts_is_a_metric():
    pred, target = some_masks(3, 8, 6)
    assert_close(score_counts(lambda n: n.recall, pred, target), coverage(pred, target))


@pytest.mark.parametrize("leading", [(), (1,), (0,), (2, 3), (2, 0)])
@pytest.mark.parametrize("size", [(1, 1), (63, 64), (64, 64), (1, 5000), (70, 90)])
def test_pixels_are_counted_whatever_the_layout(leading, size):
    pred, target = some_masks(*leading, *size)
    for p, t in [
        (pred, target),
        (pred.mT, target.mT),
        (pred.flip(-1), target.flip(-1)),
        (pred[..., ::2, :], target[..., ::2, :]),
        (pred[..., :1].expand(pred.shape), target),
    ]:
        found = Counts.of(p, t)
        np.testing.assert_array_equal(found.predicted, p.numpy().sum((-2, -1)), strict=False)
        np.testing.assert_array_equal(found.true, t.numpy().sum((-2, -1)))
        np.testing.assert_array_equal(found.both, (p.numpy() & t.numpy()).sum((-2, -1)))
        assert {n.dtype for n in vars(found).values()} == {torch.float64}
        assert {n.shape for n in vars(found).values()} == {leading}


# Sharing


@every_metric
@every_size
def test_memoized_counts_change_no_score(metric, size):
    target = some_masks(3, *size)[1]

    def scores():
        for seed in range(4):  # masks that are forgotten, so that others may take their place
            pred = torch.rand(3, *size, generator=torch.Generator().manual_seed(seed)) > 0.7
            yield metric(pred, target), metric(pred.numpy(), target.numpy())
            yield metric(target, pred), metric(target.numpy(), pred.numpy())

    alone = list(scores())
    with memo():
        memoized = list(scores()) + list(scores())
    for (tensor, array), (same, also) in zip(memoized, alone * 2, strict=True):
        assert torch.equal(tensor, same)
        np.testing.assert_array_equal(array, also)


def test_two_masks_are_counted_once_and_the_truth_once_for_all_masks(monkeypatch):
    spy = Mock(side_effect=np.count_nonzero)
    monkeypatch.setattr("cameval.metrics.counts.np.count_nonzero", spy)
    images = 3
    (first, target), (second, _) = some_masks(images, 64, 64), some_masks(images, 64, 64)

    def calls(pred):
        spy.reset_mock()
        for metric in METRICS:
            metric(pred, target)
        return spy.call_count

    assert calls(first) == len(METRICS) * 3 * images
    with memo():
        assert calls(first) == 3 * images
        assert calls(second) == 2 * images
        assert calls(first) == 0
    assert calls(first) == len(METRICS) * 3 * images


# Edges


@every_metric
def test_edge_cases(metric):
    scores = [metric(*map(np.atleast_2d, case)) for case in CASES]
    np.testing.assert_allclose(scores, EDGE_CASES[metric], rtol=1e-15)


@every_metric
@pytest.mark.parametrize("pred", [NONE, SOME, ALL])
def test_an_empty_truth_leaves_every_score_undefined_that_needs_one(metric, pred):
    score = metric(np.array([pred]), np.array([NONE]))
    defined = WITHOUT_OBJECT.get(metric, lambda area: NAN)
    np.testing.assert_equal(score, defined(np.mean(pred)))


@given(mask_pairs())
def test_whether_a_score_is_defined_depends_on_the_truth_alone(pair):
    for metric in METRICS:
        undefined = metric in NEEDS_REST and bool(pair[1].all())
        undefined |= metric not in WITHOUT_OBJECT and not pair[1].any()
        assert np.isnan(double(metric)(*pair)) == undefined


@every_metric
@every_size
def test_a_batch_is_scored_image_by_image_whatever_its_axes(metric, size):
    pred, target = some_masks(6, *size)
    expected = torch.stack([metric(*pair) for pair in zip(pred, target, strict=True)])
    assert torch.equal(metric(pred, target), expected)
    assert torch.equal(metric(pred.mT, target.mT), expected)
    folded = metric(pred.reshape(2, 3, *size), target.reshape(2, 3, *size))
    assert torch.equal(folded, expected.reshape(2, 3))
    assert metric(pred[:0], target[:0]).shape == (0,)


@every_metric
@every_size
def test_scores_are_of_the_masks_kind(metric, size):
    pred, target = some_masks(6, *size)
    scored = metric(pred, target)
    assert scored.dtype == torch.get_default_dtype()
    scores = metric(pred.numpy(), target.numpy())
    assert isinstance(scores, np.ndarray)
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(scored.numpy(), scores.astype(np.float32))
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


# Shares of images


def test_shares_are_strict_and_of_the_defined_scores():
    scores = np.array([[0.0, 0.01, 0.5], [0.6, NAN, NAN]])
    assert share_above(scores, 0.5) == 0.25
    assert share_below(scores, 0.01) == 0.25
    assert share_equal(scores, 0.01) == 0.25
    assert share_equal(scores, 0.02) == 0
    assert share_below(torch.from_numpy(scores).float(), 0.01) == 0.25
    assert share_equal(torch.from_numpy(scores).float(), 0.01) == 0.25


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, NAN]), min_size=1), st.sampled_from([0.0, 0.25]))
def test_below_at_and_above_are_all_the_defined_scores(scores, level):
    shares = [share(np.array(scores), level) for share in (share_below, share_equal, share_above)]
    defined = [score for score in scores if score == score]
    if defined:
        expected = [sum(s < level for s in defined), defined.count(level)]
        expected.append(len(defined) - sum(expected))
        assert shares == [count / len(defined) for count in expected]
    else:
        assert np.isnan(shares).all()


def test_the_papers_shares_of_missed_tumors():
    missed = {"meningioma": (3, 141), "glioma": (95, 285), "pituitary": (159, 186)}
    scores = {name: np.where(np.arange(n) < few, 0.009, 0.01) for name, (few, n) in missed.items()}
    printed = [f"{share_below(each, 0.01):.0%}" for each in scores.values()]
    assert printed == ["2%", "33%", "85%"]
    assert f"{share_below(np.concatenate(list(scores.values())), 0.01):.0%}" == "42%"


@pytest.mark.parametrize("share", [share_above, share_below, share_equal])
def test_a_share_of_nothing_is_undefined(share):
    assert np.isnan(share(torch.tensor([NAN]), 0.5))
    assert np.isnan(share(np.array([]), 0.5))
    with pytest.raises(ArrayTypeError, match="scores must be floating"):
        share(np.array([1]), 0.5)


def test_a_formula_of_counts_takes_counts_in_place_of_masks():
    pred, target = torch.rand(2, 5, 70, 70) < torch.tensor([0.3, 0.6])[:, None, None, None]
    counts = Counts.of(pred, target)
    for metric in (iou, dice, partial(size_standardized_iou, reference=0.2), FBeta(2.0)):
        assert is_formula_of_counts(metric)
        assert torch.equal(metric(counts, counts), metric(pred, target))


def test_a_wrapper_of_a_formula_of_counts_is_given_masks():
    @wraps(iou)
    def of_left_half(pred, target):
        return iou(pred[..., :4], target[..., :4])

    assert not is_formula_of_counts(of_left_half)
    assert not is_formula_of_counts(ZeroWithoutObject(iou))

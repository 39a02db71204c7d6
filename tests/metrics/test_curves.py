"""Threshold curves, metrics from them, and PxAP, against loops over thresholds."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from sklearn.metrics import average_precision_score
from strategies import maps, masks

from cameval._memo import memo
from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.maps import normalize_maps
from cameval.metrics import coverage, iou, precision
from cameval.metrics.curves import (
    AreaToCover,
    CoverageAtArea,
    curve_at_areas,
    max_iou,
    threshold_curve,
)
from cameval.metrics.dataset import PxAP
from cameval.metrics.properties import takes
from cameval.metrics.ranking import pixel_auroc, relevance_rank_accuracy
from cameval.metrics.rates import false_positive_rate

CURVE_METRICS = [max_iou, CoverageAtArea(0.3), CoverageAtArea(1), AreaToCover(0.7), AreaToCover(1)]
every_metric = pytest.mark.parametrize(
    "metric",
    CURVE_METRICS,
    ids=lambda metric: getattr(metric, "__name__", repr(metric)),  # no address: workers compare ids
)
NAN = float("nan")

shares = st.sampled_from([0.01, 0.05, 0.1, 0.29, 1 / 3, 0.5, 0.7, 0.9, 0.95, 1, 1.0])


@st.composite
def scored(draw, min_true=1, shape=None):
    scores = draw(maps(shape))
    return scores.numpy(), draw(masks(tuple(scores.shape), min_true=min_true)).numpy()


def random_scored(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-4, 9, shape, generator=generator).float()  # many ties
    return scores, torch.rand(shape, generator=generator) > 0.6


def runs(scores, truth):
    """Count the pixels and the true pixels of each value, from the highest on."""
    for value in sorted(set(scores.ravel().tolist()), reverse=True):
        yield int((scores == value).sum()), int(truth[scores == value].sum())


def naive_coverage(scores, truth, area):
    """Fill the budget run by run, in exact fractions."""
    left, hits = Fraction(str(area)) * truth.size, Fraction(0)
    for pixels, true in runs(scores, truth):
        taken = min(left, pixels)
        hits += taken * Fraction(true, pixels)
        left -= taken
    return float(hits / int(truth.sum()))


def naive_area(scores, truth, share):
    """Read run by run until the share is covered, in exact fractions."""
    missing, read = Fraction(str(share)) * int(truth.sum()), Fraction(0)
    for pixels, true in runs(scores, truth):
        if missing <= true:
            return float((read + missing * pixels / true) / truth.size)
        missing, read = missing - true, read + pixels
    raise AssertionError("the whole image covers the truth")


# What is read off a curve


@given(scored(), shares)
def test_coverage_of_a_budget_is_what_filling_it_gives(pair, area):
    expected = naive_coverage(*pair, area)
    assert CoverageAtArea(area)(*pair) == pytest.approx(expected, abs=1e-12)


@given(scored(), shares)
def test_area_to_cover_is_what_reading_on_gives(pair, share):
    assert AreaToCover(share)(*pair) == pytest.approx(naive_area(*pair, share), abs=1e-12)


@given(scored(), shares)
def test_area_to_cover_is_the_inverse_of_coverage_at_area(pair, share):
    area = AreaToCover(share)(*pair)
    assert CoverageAtArea(area)(*pair) == pytest.approx(share, abs=1e-12)
    less = area * 0.999
    assert CoverageAtArea(less)(*pair) < share


@given(scored())
def test_coverage_of_the_truths_own_area_is_relevance_rank_accuracy(pair):
    scores, truth = pair
    got = CoverageAtArea(Fraction(int(truth.sum()), truth.size))(scores, truth)
    assert got == relevance_rank_accuracy(scores, truth)


@given(scored())
def test_the_max_iou_is_the_best_of_all_thresholds(pair):
    scores, truth = pair
    thresholds = [*np.unique(scores), scores.min() - 1]
    assert max_iou(*pair) == max(iou(scores > each, truth) for each in thresholds)


def test_a_budget_is_read_as_it_is_written():
    scores = np.arange(100.0)[None]
    truth = scores == 71  # the 29th highest; 0.29 * 100 is 28.999999999999996
    assert CoverageAtArea(0.29)(scores, truth) == 1
    assert CoverageAtArea(np.float32(0.29))(scores, truth) == 1
    assert CoverageAtArea(0.285)(scores, truth) == 0.5
    assert CoverageAtArea(0.28)(scores, truth) == 0
    truth = scores >= 0
    assert AreaToCover(0.29)(scores, truth) == 0.29


@pytest.mark.parametrize("value", [2.0, 0.0, -0.0, -1.0])
@pytest.mark.parametrize(
    ("true", "expected"),
    [  # max IoU, coverage of 0.3 and of all, area to cover 0.7 and all
        (1, [0.25, 0.3, 1, 0.7, 1]),
        (3, [0.75, 0.3, 1, 0.7, 1]),
        (4, [1, 0.3, 1, 0.7, 1]),
        (0, [NAN] * 5),
    ],
)
def test_a_constant_map_scores_chance(value, true, expected):
    scores, truth = np.full((2, 2), value), np.arange(4).reshape(2, 2) < true
    got = [metric(scores, truth) for metric in CURVE_METRICS]
    np.testing.assert_allclose(got, expected, rtol=1e-15)


@given(masks(min_true=1))
def test_the_truth_as_a_map_is_perfect(mask):
    truth = mask.numpy()
    g = truth.mean()
    assert max_iou(truth * 1.0, truth) == 1
    assert CoverageAtArea(0.5)(truth * 1.0, truth) == pytest.approx(min(1, 0.5 / g))
    assert AreaToCover(0.5)(truth * 1.0, truth) == pytest.approx(0.5 * g)


@every_metric
@given(scored())
def test_the_order_alone_matters(metric, pair):
    scores, truth = pair
    ranks = np.unique(scores, return_inverse=True)[1].reshape(scores.shape)
    assert metric(ranks**3 - 7, truth) == metric(scores, truth)


@every_metric
@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 66, 64)])
def test_a_batch_is_scored_image_by_image_whatever_its_axes_and_kind(metric, shape):
    scores, truth = random_scored(*shape)
    truth[0], truth[1] = False, True
    expected = torch.stack([metric(*pair) for pair in zip(scores, truth, strict=True)])
    kinds = (torch.float16, torch.bfloat16, torch.float64, torch.int16)
    for dtype in (torch.float32, *kinds):
        torch.testing.assert_close(
            metric(scores.to(dtype), truth), expected, rtol=0, atol=0, equal_nan=True
        )
    folded = metric(scores.unflatten(0, (2, 3)), truth.unflatten(0, (2, 3)))
    torch.testing.assert_close(folded.flatten(), expected, rtol=0, atol=0, equal_nan=True)
    assert metric(scores[:0], truth[:0]).shape == (0,)
    in_numpy = metric(scores.numpy(), truth.numpy())
    assert in_numpy.dtype == np.float64
    np.testing.assert_allclose(in_numpy, expected, rtol=1e-6)
    with memo():
        for _ in range(2):
            np.testing.assert_array_equal(metric(scores.numpy(), truth.numpy()), in_numpy)
    assert takes(metric) == "maps"


@pytest.mark.parametrize("share", [0, -0.1, 1.01, NAN, float("inf"), "0.5", None])
def test_a_share_is_above_zero_and_at_most_one(share):
    with pytest.raises(SettingError, match=r"area must be a number in \(0, 1\], got"):
        CoverageAtArea(share)
    with pytest.raises(SettingError, match=r"share must be a number in \(0, 1\], got"):
        AreaToCover(share)


# Curves


@given(scored())
def test_a_curve_holds_the_scores_of_its_thresholds(pair):
    scores, truth = pair
    curve = threshold_curve(scores, truth)
    assert curve.thresholds[-1] == -np.inf
    np.testing.assert_array_equal(curve.thresholds[:-1], np.unique(scores)[::-1])
    marked = [scores > each for each in curve.thresholds]
    expected = {
        "area": [mask.mean() for mask in marked],
        "coverage": [coverage(mask, truth) for mask in marked],
        "precision": [precision(mask, truth) for mask in marked],
        "iou": [iou(mask, truth) for mask in marked],
        "false_positive_rate": [false_positive_rate(mask, truth) for mask in marked],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(curve, name), values, rtol=1e-14, err_msg=name)
    assert max_iou(*pair) == curve.iou.max()


@given(scored())
def test_auroc_is_the_area_under_the_curve(pair):
    curve = threshold_curve(*pair)
    if not pair[1].all():
        youden = curve.coverage - curve.false_positive_rate
        area = trapezoid(youden, curve.false_positive_rate)
        assert pixel_auroc(*pair) - 0.5 == pytest.approx(area, abs=1e-12)


@given(scored(), st.lists(shares, min_size=1, unique=True).map(sorted))
def test_a_curve_at_areas_is_the_coverage_of_each_budget(pair, areas):
    curve = curve_at_areas(*pair, areas)
    expected = [CoverageAtArea(area)(*pair) for area in areas]
    np.testing.assert_array_equal(curve.coverage, expected)
    np.testing.assert_allclose(curve.area, areas, rtol=1e-14)
    assert curve.thresholds is None


def test_a_curve_at_areas_has_the_leading_axes_of_the_maps():
    scores, truth = random_scored(2, 3, 5, 4)
    areas = np.linspace(0, 1, 11)
    curve = curve_at_areas(scores, truth, areas)
    assert curve.area.shape == (11,)
    g = truth.double().mean((-2, -1))[..., None]
    hits = curve.coverage * g
    torch.testing.assert_close(curve.precision[..., 1:], (hits / curve.area)[..., 1:])
    torch.testing.assert_close(curve.iou, hits / (curve.area + g - hits))
    torch.testing.assert_close(curve.false_positive_rate, (curve.area - hits) / (1 - g))
    for name in ("coverage", "precision", "iou", "false_positive_rate"):
        values = getattr(curve, name)
        assert values.shape == (2, 3, 11)
        assert (values[..., 0] == 0).all()
        one = getattr(curve_at_areas(scores[1, 2].numpy(), truth[1, 2].numpy(), areas), name)
        np.testing.assert_array_equal(one, values[1, 2])


def test_curves_where_the_truth_says_nothing():
    scores = np.array([[1.0, 2.0, 2.0]])
    empty = threshold_curve(scores, np.zeros((1, 3), bool))
    np.testing.assert_allclose(empty.area, [0, 2 / 3, 1])
    for name in ("coverage", "precision", "iou"):
        assert np.isnan(getattr(empty, name)).all(), name
    np.testing.assert_allclose(empty.false_positive_rate, [0, 2 / 3, 1])  # needs no object
    full = threshold_curve(scores, np.ones((1, 3), bool))
    assert np.isnan(full.false_positive_rate).all()
    np.testing.assert_allclose(full.coverage, [0, 2 / 3, 1])
    np.testing.assert_allclose(full.precision, [0, 1, 1])


def test_a_curve_of_thresholds_is_of_one_map():
    scores, truth = random_scored(2, 3, 4)
    with pytest.raises(ShapeError, match=r"maps must be one map \(H, W\), got \(2, 3, 4\)"):
        threshold_curve(scores, truth)
    curve = threshold_curve(scores[0], truth[0])
    assert curve.iou.dtype == torch.float64
    both = threshold_curve(torch.tensor([[0.0, -0.0, 1.0]]), torch.tensor([[True, False, False]]))
    assert both.thresholds.tolist() == [1, 0, -torch.inf]


@pytest.mark.parametrize("areas", [[], [0.5, 0.5], [0.5, 0.1]])
def test_areas_increase(areas):
    with pytest.raises(SettingError, match="areas must increase from one to the next"):
        curve_at_areas(*random_scored(2, 3), areas)


@pytest.mark.parametrize("areas", [[-0.1, 1], [0.5, 1.1], [NAN]])
def test_areas_are_shares(areas):
    with pytest.raises(SettingError, match=r"areas must be a number in \[0, 1\], got"):
        curve_at_areas(*random_scored(2, 3), areas)


# The pooled histogram


@st.composite
def datasets(draw):
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)))
    return draw(maps(shape)), draw(masks(shape)), draw(masks(shape))


@given(datasets(), st.sampled_from([1, 4, 16]))
def test_pooled_average_precision_is_scikit_learns_of_all_counted_pixels(dataset, bins):
    scores, truth, ignored = dataset
    levels = np.floor(normalize_maps(scores.double()).numpy() * bins)
    pooled = PxAP.of(scores, truth, ignore=ignored, bins=bins)
    counted = ~ignored.numpy()
    true = truth.numpy()[counted]
    assert pooled.true.sum() == true.sum()
    assert pooled.true.sum() + pooled.other.sum() == counted.sum()
    assert len(pooled.true) == len(pooled.other) == bins + 1
    if true.any():
        expected = average_precision_score(true, levels[counted])
        assert pooled.average_precision == pytest.approx(expected, abs=1e-12)
    else:
        assert np.isnan(pooled.average_precision)


@given(datasets())
def test_the_pxap_of_a_dataset_is_the_sum_of_its_images(dataset):
    scores, truth, _ = dataset
    parts = [PxAP.of(*pair) for pair in zip(scores, truth, strict=True)]
    total = sum(parts[1:], parts[0])
    whole = PxAP.of(scores.numpy(), truth.numpy())
    np.testing.assert_array_equal(total.true, whole.true)
    np.testing.assert_array_equal(total.other, whole.other)


def test_a_bin_begins_at_its_edge_and_the_highest_has_its_own():
    scores = np.array([[0.0, 0.2499, 0.25, 0.5, 0.9999, 1.0]])
    pooled = PxAP.of(scores, scores > 0.3, bins=4)
    np.testing.assert_array_equal(pooled.true, [0, 0, 1, 1, 1])
    np.testing.assert_array_equal(pooled.other, [2, 1, 0, 0, 0])
    assert pooled.average_precision == 1


def test_a_dataset_of_constant_maps_scores_the_share_of_true_pixels():
    pooled = PxAP.of(torch.full((2, 2, 2), 3.0), torch.arange(8).reshape(2, 2, 2) < 3)
    assert pooled.average_precision == 3 / 8


def test_the_pxap_checks_its_inputs():
    scores, truth = random_scored(2, 3, 4)
    with pytest.raises(SettingError, match="bins must be a positive integer, got 0"):
        PxAP.of(scores, truth, bins=0)
    with pytest.raises(SettingError, match="bins must be the same for both, got 4 and 1000"):
        PxAP.of(scores, truth, bins=4) + PxAP.of(scores, truth)
    with pytest.raises(ShapeError, match="ignore and maps must have one shape"):
        PxAP.of(scores, truth, ignore=truth[0])
    with pytest.raises(ArrayTypeError, match="ignore must be boolean"):
        PxAP.of(scores, truth, ignore=scores)
    with pytest.raises(ArrayTypeError, match="ignore and maps must both be NumPy arrays or both"):
        PxAP.of(scores, truth, ignore=truth.numpy())


@pytest.mark.parametrize(
    "function",
    [*CURVE_METRICS, threshold_curve, PxAP.of, lambda *pair: curve_at_areas(*pair, [0.5])],
)
def test_only_finite_maps_and_boolean_truths_of_one_shape_are_scored(function):
    scores, truth = random_scored(3, 4)
    with pytest.raises(ShapeError, match="maps and target must have one shape"):
        function(scores, truth[:2])
    with pytest.raises(ArrayTypeError, match="target must be boolean"):
        function(scores, truth.float())
    with pytest.raises(ArrayTypeError, match="both be NumPy arrays or both torch tensors"):
        function(scores.numpy(), truth)
    with pytest.raises(NonFiniteError, match="maps must be finite"):
        function(scores / 0, truth)

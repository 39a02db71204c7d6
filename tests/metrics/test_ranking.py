"""Map metrics against scikit-learn, brute force over the orders of ties, and worked tables."""

from itertools import permutations
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from sklearn.metrics import average_precision_score, roc_auc_score
from strategies import maps, masks
from torch.testing import assert_close

from cameval import _sorting as order
from cameval._memo import memo
from cameval.errors import ArrayTypeError, NonFiniteError, ShapeError
from cameval.maps import normalize_maps
from cameval.metrics import coverage, dice, informedness, iou, precision
from cameval.metrics._ranked import Ranked
from cameval.metrics.mass import (
    relevance_mass_accuracy,
    relevance_mass_ratio,
    relevance_mass_skill,
)
from cameval.metrics.pointing import pointing_game
from cameval.metrics.properties import takes
from cameval.metrics.ranking import (
    average_precision_skill,
    iou_at_true_area,
    pixel_auroc,
    pixel_average_precision,
    relevance_rank_accuracy,
)

SHARES = [
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
    pixel_auroc,
    pixel_average_precision,
    iou_at_true_area,
]
MASSES = [relevance_mass_accuracy, relevance_mass_skill, relevance_mass_ratio]
METRICS = [*SHARES, relevance_mass_skill, relevance_mass_ratio, average_precision_skill]
RANKS = [metric for metric in METRICS if metric not in MASSES]
SIZED = [pixel_auroc, relevance_mass_skill, average_precision_skill]  # need a pixel outside
every_metric = pytest.mark.parametrize("metric", METRICS)
NAN = float("nan")


@st.composite
def scored(draw, min_true=1, shape=None):
    scores = draw(maps(shape))
    return scores.numpy(), draw(masks(tuple(scores.shape), min_true=min_true)).numpy()


def random_scored(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(-4, 9, shape, generator=generator).float()  # many ties
    return scores, torch.rand(shape, generator=generator) > 0.6


# References


@given(scored())
def test_auroc_is_scikit_learns(pair):
    scores, truth = pair
    if not truth.all():
        expected = roc_auc_score(truth.ravel(), scores.ravel())
        assert pixel_auroc(scores, truth) == pytest.approx(expected, abs=1e-12)


@given(scored())
def test_average_precision_is_scikit_learns(pair):
    scores, truth = pair
    expected = average_precision_score(truth.ravel(), scores.ravel())
    assert pixel_average_precision(scores, truth) == pytest.approx(expected, abs=1e-12)


@given(scored())
def test_auroc_counts_pairs_and_half_the_ties(pair):
    scores, truth = pair
    inside, outside = scores[truth][:, None], scores[~truth]
    if outside.size:
        expected = ((inside > outside) + 0.5 * (inside == outside)).mean()
        assert pixel_auroc(scores, truth) == pytest.approx(expected, abs=1e-12)


@given(scored(shape=(2, 3)))
def test_ties_count_by_the_mean_over_all_their_orders(pair):
    scores, truth = (each.ravel() for each in pair)
    orders = [list(order) for order in permutations(range(6))]
    sorted_ones = [order for order in orders if (np.diff(scores[order]) <= 0).all()]
    hits = np.array([truth[order] for order in sorted_ones])
    k = truth.sum()
    assert pointing_game(*pair) == pytest.approx(hits[:, 0].mean())
    assert relevance_rank_accuracy(*pair) == pytest.approx(hits[:, :k].sum(1).mean() / k)


@given(scored())
def test_relevance_mass_is_the_positive_sum_in_the_truth(pair):
    scores, truth = pair
    positive = np.maximum(scores.astype(np.float64), 0)
    if positive.any():
        expected = positive[truth].sum() / positive.sum()
        assert relevance_mass_accuracy(*pair) == pytest.approx(expected, abs=1e-12)
    else:
        assert np.isnan(relevance_mass_accuracy(*pair))


@given(scored())
def test_auroc_is_informedness_integrated_over_the_false_positive_rate(pair):
    scores, truth = pair
    if not truth.all():
        levels = [*np.unique(scores)[::-1], scores.min() - 1]
        youden = [informedness(scores > level, truth) for level in levels]
        alarms = [(scores > level)[~truth].mean() for level in levels]
        integral = trapezoid(youden, alarms)
        assert pixel_auroc(scores, truth) - 0.5 == pytest.approx(integral, abs=1e-12)


# Laws


@given(scored())
def test_scores_lie_between_zero_and_one(pair):
    for metric in SHARES:
        score = metric(*pair)
        assert np.isnan(score) or 0 <= score <= 1


@given(scored())
def test_rank_metrics_ignore_everything_but_the_order(pair):
    scores, truth = pair
    ranks = np.unique(scores, return_inverse=True)[1].reshape(scores.shape)
    for metric in RANKS:
        np.testing.assert_equal(metric(ranks**3 - 7, truth), metric(scores, truth))


@given(scored())
def test_reversing_the_map_mirrors_the_auroc(pair):
    scores, truth = pair
    if not truth.all():
        assert pixel_auroc(-scores, truth) == pytest.approx(1 - pixel_auroc(scores, truth))


@given(masks(min_true=1))
def test_the_truth_as_a_map_is_perfect(mask):
    for metric in METRICS:
        if metric is relevance_mass_ratio:
            assert_close(metric(mask.float(), mask), 1 / mask.float().mean())
        elif metric not in SIZED or not mask.all():
            assert metric(mask.float(), mask) == 1


def test_relevance_mass_depends_on_the_convention_for_negatives():
    scores = torch.tensor([[-1.0, 1.0], [2.0, 0.0]])
    truth = torch.tensor([[True, True], [False, False]])
    assert_close(relevance_mass_accuracy(scores, truth), torch.tensor(1 / 3))
    assert_close(relevance_mass_accuracy(scores.abs(), truth), torch.tensor(2 / 4))
    assert_close(relevance_mass_accuracy(normalize_maps(scores), truth), torch.tensor(2 / 6))


@given(scored())
def test_as_many_pixels_as_the_truth_have_one_score(pair):
    scores, truth = pair
    share = relevance_rank_accuracy(*pair)
    cut = np.sort(scores, axis=None)[-truth.sum()]
    if (scores >= cut).sum() == truth.sum():  # no tie at the cut: there is such a mask
        for metric in (precision, coverage, dice):
            assert metric(scores >= cut, truth) == share
        assert iou_at_true_area(*pair) == pytest.approx(iou(scores >= cut, truth), abs=1e-12)


@given(scored())
def test_skill_is_the_gain_over_chance(pair):
    g = pair[1].mean()
    if g < 1:
        won = (pixel_average_precision(*pair) - g) / (1 - g)
        assert average_precision_skill(*pair) == pytest.approx(won, abs=1e-12)
        mass = relevance_mass_accuracy(*pair)
        expected = [(mass - g) / (1 - g), mass / g]
        got = [relevance_mass_skill(*pair), relevance_mass_ratio(*pair)]
        assert got == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_average_precision_of_a_blind_map_is_near_chance_on_average():
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(400, 16, 16, generator=generator) > 0.8
    scores = torch.rand(400, 16, 16, generator=generator)
    assert abs(average_precision_skill(scores, truth).mean()) < 0.02
    assert abs(pixel_auroc(scores, truth).mean() - 0.5) < 0.01


# The one sorted pass

ROUTES = {  # settings of the module: pixels from which on images go one by one
    "batch": {"_LARGE": 10**9},
    "by image": {"_LARGE": 0},
}
DTYPES = [
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.uint8,
    torch.int16,
    torch.int32,
    torch.int64,
]
every_route = pytest.mark.parametrize("settings", ROUTES.values(), ids=ROUTES)


def levels(ranked):
    """Levels that hold true pixels, as plain numbers."""
    rows = zip(
        *(each.tolist() for each in (ranked.above, ranked.marked, ranked.gained)), strict=True
    )
    return [row for row in rows if row[2]]


def naive_levels(scores, truth):
    pairs = list(zip(scores.flatten().tolist(), truth.flatten().tolist(), strict=True))
    return [
        (
            sum(other > value for other, _ in pairs),
            sum(other >= value for other, _ in pairs),
            sum(true for other, true in pairs if other == value),
        )
        for value in sorted({value for value, true in pairs if true}, reverse=True)
    ]


@every_route
@given(st.data())
def test_levels_are_those_that_counting_finds(settings, data):
    scores, truth = (torch.from_numpy(each) for each in data.draw(scored(min_true=0)))
    dtype = data.draw(st.sampled_from(DTYPES))
    if not dtype.is_floating_point:
        scores = (scores * 8).round().clamp(min=torch.iinfo(dtype).min)
    scores = scores.to(dtype)
    with patch.multiple(order, **settings):
        ranked = Ranked.of(scores, truth)
    assert levels(ranked) == naive_levels(scores, truth)
    assert ranked.true == truth.sum()
    assert ranked.pixels == truth.numel()


@every_route
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype.is_floating_point])
def test_both_zeros_are_one_level(settings, dtype):
    scores = torch.tensor([[0.0, -0.0, 0.0, -0.0, -1.0, 1.0]], dtype=dtype)
    truth = torch.tensor([[False, True, True, False, False, False]])
    with patch.multiple(order, **settings):
        assert levels(Ranked.of(scores, truth)) == [(1, 5, 2)]
        assert pixel_auroc(scores, truth) == torch.tensor((1 + 2 / 2) / 4)


@every_route
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_neighboring_numbers_are_two_levels(settings, dtype):
    one = torch.tensor([1, 2**53, -(2**53), 3], dtype=dtype)
    if dtype.is_floating_point:
        next_one = torch.nextafter(one, torch.tensor(torch.inf, dtype=dtype))
    else:
        next_one = one + 1
    scores = torch.stack([one, next_one])
    truth = torch.tensor([[True] * 4, [False] * 4])
    with patch.multiple(order, **settings):
        assert levels(Ranked.of(scores, truth)) == naive_levels(scores, truth)


@every_route
def test_a_route_changes_no_bit_of_a_score(settings):
    scores, truth = random_scored(7, 9, 11)
    truth[0], truth[1] = False, True
    scores[2] = 1
    expected = [metric(scores.numpy(), truth.numpy()) for metric in RANKS]
    with patch.multiple(order, **settings):
        for metric, want in zip(RANKS, expected, strict=True):
            np.testing.assert_array_equal(metric(scores.numpy(), truth.numpy()), want)
            alone = [metric(*pair) for pair in zip(scores.numpy(), truth.numpy(), strict=True)]
            np.testing.assert_array_equal(alone, want)
            assert metric(scores[:0], truth[:0]).shape == (0,)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.4, 1.0])
def test_large_maps_are_scored_as_scikit_learn_scores_them(share):
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(2, 70, 70, generator=generator).mul(50).round() / 50
    truth = torch.rand(2, 70, 70, generator=generator) < share
    scores += truth
    if share in (0, 1):
        assert pixel_auroc(scores, truth).isnan().all()
        return
    for dtype in (np.float32, np.float64):
        maps_, masks_ = scores.numpy().astype(dtype), truth.numpy()
        flat = [(t.ravel(), s.ravel()) for s, t in zip(maps_, masks_, strict=True)]
        assert pixel_auroc(maps_, masks_) == pytest.approx([roc_auc_score(*each) for each in flat])
        expected = [average_precision_score(*each) for each in flat]
        assert pixel_average_precision(maps_, masks_) == pytest.approx(expected)


@every_metric
def test_memo_sorts_once_and_changes_no_bit(metric):
    scores, truth = random_scored(3, 70, 70)
    expected = metric(scores, truth)
    with memo(), patch.object(order, "_sort", wraps=order._sort) as sorting:
        for _ in range(2):
            for each in METRICS:
                each(scores, truth)
        assert sorting.call_count == 3
        assert torch.equal(metric(scores, truth), expected)


@every_metric
def test_the_arguments_stay_as_they_are(metric):
    scores, truth = random_scored(2, 70, 70)
    before = scores.clone(), truth.clone()
    metric(scores, truth)
    metric(scores.numpy(), truth.numpy())
    assert torch.equal(scores, before[0])
    assert torch.equal(truth, before[1])


@every_metric
def test_every_one_is_a_metric_of_maps(metric):
    assert takes(metric) == "maps"


# Edges


@pytest.mark.parametrize(
    ("value", "target", "chance", "rank"),
    [
        (2.0, [1, 0, 0, 0], 0.25, 0.25),
        (0.0, [1, 0, 0, 0], NAN, 0.25),
        (-0.0, [1, 0, 0, 0], NAN, 0.25),
        (-1.0, [1, 1, 0, 0], NAN, 0.5),
        (2.0, [1, 1, 1, 1], 1, 1),
        (2.0, [0, 0, 0, 0], NAN, NAN),
    ],
)
def test_a_constant_map_scores_chance(value, target, chance, rank):
    scores, truth = np.full((2, 2), value), np.array(target, bool).reshape(2, 2)
    full = truth.all()
    expected = {
        pointing_game: rank,
        relevance_rank_accuracy: rank,
        pixel_average_precision: rank,
        iou_at_true_area: rank / (2 - rank),
        pixel_auroc: NAN if full else 0.5 + 0 * rank,
        average_precision_skill: NAN if full else 0 * rank,
        relevance_mass_accuracy: chance,
        relevance_mass_ratio: 1 + 0 * chance,
        relevance_mass_skill: NAN if full else 0 * chance,
    }
    got = [metric(scores, truth) for metric in METRICS]
    np.testing.assert_array_equal(got, [expected[metric] for metric in METRICS])


def test_a_varied_map_is_undefined_where_the_truth_says_nothing():
    scores = np.array([[1.0, 2.0, 3.0]])
    for metric in METRICS:
        assert np.isnan(metric(scores, np.zeros((1, 3), bool)))
        full = metric(scores, np.ones((1, 3), bool))
        assert np.isnan(full) if metric in SIZED else full == 1


def test_several_maxima_hit_by_their_share():
    scores = np.array([[5, 5, 5, 0]])
    assert pointing_game(scores, np.array([[True, False, False, True]])) == 1 / 3


@every_metric
def test_a_batch_is_scored_image_by_image_whatever_its_axes(metric):
    scores, truth = random_scored(6, 5, 4)
    expected = torch.stack([metric(*pair) for pair in zip(scores, truth, strict=True)])
    assert torch.equal(metric(scores, truth), expected)
    assert_close(metric(scores.mT, truth.mT), expected)
    folded = metric(scores.reshape(2, 3, 5, 4), truth.reshape(2, 3, 5, 4))
    assert torch.equal(folded, expected.reshape(2, 3))
    assert metric(scores[:0], truth[:0]).shape == (0,)


@every_metric
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int16])
def test_the_dtype_of_a_map_does_not_matter(metric, dtype):
    scores, truth = random_scored(3, 5, 4)
    assert torch.equal(metric(scores.to(dtype), truth), metric(scores, truth))


@every_metric
def test_scores_are_of_the_maps_kind(metric):
    scores, truth = random_scored(3, 5, 4)
    assert metric(scores, truth).dtype == torch.get_default_dtype()
    expected = metric(scores.numpy(), truth.numpy())
    assert expected.dtype == np.float64
    assert isinstance(metric(scores[0].numpy(), truth[0].numpy()), np.float64)
    swapped = scores.numpy().astype(">f4")
    swapped.flags.writeable = False
    np.testing.assert_array_equal(metric(swapped, truth.numpy()), expected)


@every_metric
def test_only_finite_maps_and_boolean_truths_of_one_shape_are_scored(metric):
    scores, truth = random_scored(3, 5, 4)
    with pytest.raises(ShapeError, match="maps and target must have one shape"):
        metric(scores, truth[:2])
    with pytest.raises(ArrayTypeError, match="target must be boolean"):
        metric(scores, truth.float())
    with pytest.raises(ArrayTypeError, match="both be NumPy arrays or both torch tensors"):
        metric(scores.numpy(), truth)
    with pytest.raises(NonFiniteError, match="maps must be finite"):
        metric(scores / 0, truth)

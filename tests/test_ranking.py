"""Map metrics against scikit-learn, brute force over the orders of ties, and worked tables."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from strategies import maps, masks
from torch.testing import assert_close

from cameval.errors import ArrayTypeError, NonFiniteError, ShapeError
from cameval.maps import normalize_maps
from cameval.metrics import (
    informedness,
    pixel_auroc,
    pixel_average_precision,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)

METRICS = [
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
    pixel_auroc,
    pixel_average_precision,
]
RANKS = [metric for metric in METRICS if metric is not relevance_mass_accuracy]
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
def test_auroc_is_informedness_integrated_over_false_alarms(pair):
    scores, truth = pair
    if not truth.all():
        levels = [*np.unique(scores)[::-1], scores.min() - 1]
        youden = [informedness(scores > level, truth) for level in levels]
        alarms = [(scores > level)[~truth].mean() for level in levels]
        integral = np.trapezoid(youden, alarms)
        assert pixel_auroc(scores, truth) - 0.5 == pytest.approx(integral, abs=1e-12)


# Laws


@given(scored())
def test_scores_lie_between_zero_and_one(pair):
    for metric in METRICS:
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
        if metric is not pixel_auroc or not mask.all():
            assert metric(mask.float(), mask) == 1


def test_relevance_mass_depends_on_the_convention_for_negatives():
    scores = torch.tensor([[-1.0, 1.0], [2.0, 0.0]])
    truth = torch.tensor([[True, True], [False, False]])
    assert_close(relevance_mass_accuracy(scores, truth), torch.tensor(1 / 3))
    assert_close(relevance_mass_accuracy(scores.abs(), truth), torch.tensor(2 / 4))
    assert_close(relevance_mass_accuracy(normalize_maps(scores), truth), torch.tensor(2 / 6))


# Edges


@pytest.mark.parametrize(
    ("value", "target", "expected"),
    [  # pointing game, relevance mass, relevance rank, AUROC, average precision
        (2.0, [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.5, 0.25]),
        (0.0, [1, 0, 0, 0], [0.25, NAN, 0.25, 0.5, 0.25]),
        (-1.0, [1, 1, 0, 0], [0.5, NAN, 0.5, 0.5, 0.5]),
        (2.0, [1, 1, 1, 1], [1, 1, 1, NAN, 1]),
        (2.0, [0, 0, 0, 0], [NAN] * 5),
    ],
)
def test_a_constant_map_scores_chance(value, target, expected):
    scores, truth = np.full((2, 2), value), np.array(target, bool).reshape(2, 2)
    got = [metric(scores, truth) for metric in METRICS]
    np.testing.assert_array_equal(got, expected)


def test_a_varied_map_is_undefined_where_the_truth_says_nothing():
    scores = np.array([[1.0, 2.0, 3.0]])
    for metric in METRICS:
        assert np.isnan(metric(scores, np.zeros((1, 3), bool)))
        full = metric(scores, np.ones((1, 3), bool))
        assert np.isnan(full) if metric is pixel_auroc else full == 1


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

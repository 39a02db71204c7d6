"""The pointing game with a tolerance against SciPy's distance transform and by hand."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from strategies import maps, masks

from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.metrics import pointing
from cameval.metrics.pointing import pointing_game
from cameval.metrics.properties import higher_is_better, takes, value_range

NAN = float("nan")

tolerances = st.sampled_from([0, 0.5, 1, 1.3, 2, 2.1, 3.7, 5, 50])
spacings = st.sampled_from([1.0, 0.5, 2, (1.0, 2.0), (0.75, 0.25), (4, 0.5)])


@st.composite
def scored(draw, min_true=1):
    scores = draw(maps())
    return scores.numpy(), draw(masks(tuple(scores.shape), min_true=min_true)).numpy()


@given(scored(), tolerances, spacings)
def test_a_maximum_counts_by_its_distance_to_the_truth(pair, tolerance, spacing):
    scores, truth = pair
    sampling = spacing if isinstance(spacing, tuple) else (spacing, spacing)
    distance = distance_transform_edt(~truth, sampling=sampling)
    top = scores == scores.max()
    expected = (truth | (distance < tolerance))[top].mean()
    score = pointing_game(scores, truth, tolerance=tolerance, spacing=spacing)
    assert score == pytest.approx(expected)


@given(st.data(), tolerances, st.sampled_from([(1.0, 1.0, 1.0), (5, 1, 1), (0.5, 2, 1.25)]))
def test_a_maximum_of_a_volume_counts_by_its_distance_in_three_axes(data, tolerance, spacing):
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 3))
    scores = data.draw(maps((2, *shape)))
    truth = data.draw(masks((2, *shape)))
    game = pointing_game(scores, truth, tolerance=tolerance, spacing=spacing)
    assert game.shape == (2,)
    for score, one, true in zip(game.tolist(), scores.numpy(), truth.numpy(), strict=True):
        distance = distance_transform_edt(~true, sampling=spacing)
        near = (true | (distance < tolerance))[one == one.max()].mean()
        assert score == pytest.approx(near if true.any() else NAN, nan_ok=True)


def test_a_spacing_of_three_numbers_is_for_volumes():
    with pytest.raises(ShapeError, match=r"maps must be volumes \(..., D, H, W\)"):
        pointing_game(np.ones((2, 3)), np.ones((2, 3), bool), spacing=(5, 1, 1))


@given(scored(min_true=0), spacings)
def test_without_a_tolerance_the_share_of_true_maxima_counts(pair, spacing):
    scores, truth = pair
    expected = truth[scores == scores.max()].mean() if truth.any() else NAN
    np.testing.assert_allclose(pointing_game(scores, truth), expected, rtol=1e-12)
    np.testing.assert_equal(
        pointing_game(*pair, tolerance=0, spacing=spacing), pointing_game(*pair)
    )


@given(scored())
def test_more_tolerance_never_hurts_and_enough_always_hits(pair):
    scores = [pointing_game(*pair, tolerance=tolerance) for tolerance in (0, 1, 1.1, 2, 3, 4, 100)]
    assert scores == sorted(scores)
    assert scores[-1] == 1


@given(scored(), st.sampled_from([0.25, 2, 8]))
def test_only_the_ratio_of_tolerance_and_spacing_matters(pair, unit):
    scaled = pointing_game(*pair, tolerance=3 * unit, spacing=unit)
    assert scaled == pointing_game(*pair, tolerance=3)


@pytest.mark.parametrize(
    ("tolerance", "spacing", "expected"),
    [
        (5, 1.0, 0),  # the distance is 5, and must be below the tolerance
        (5.001, 1.0, 1),
        (2.5, 0.5, 0),
        (2.501, 0.5, 1),
        (6.4, (1.0, 1.0), 1),
        (6.4, (2.0, 1.0), 0),  # hypot(6, 4) = 7.2
        (7.3, (2.0, 1.0), 1),
    ],
)
def test_three_rows_down_and_four_columns_across(tolerance, spacing, expected):
    scores, truth = np.zeros((6, 7)), np.zeros((6, 7), bool)
    scores[1, 5], truth[4, 1] = 1, True
    game = partial(pointing_game, tolerance=tolerance, spacing=spacing)
    assert game(scores, truth) == expected
    assert game(scores[::-1, ::-1], truth[::-1, ::-1]) == expected
    swapped = spacing[::-1] if isinstance(spacing, tuple) else spacing
    assert game(scores.T, truth.T, spacing=swapped) == expected


def test_several_maxima_count_by_the_share_that_is_near():
    scores = np.array([[5.0, 0.0, 5.0, 0.0, 5.0, 5.0]])
    truth = np.array([[True, False, False, False, False, False]])
    assert pointing_game(scores, truth) == 1 / 4
    assert pointing_game(scores, truth, tolerance=2.5) == 2 / 4
    assert pointing_game(scores, truth, tolerance=4.5) == 3 / 4


@pytest.mark.parametrize(("true", "expected"), [(0, NAN), (1, 0.75), (4, 1)])
def test_a_constant_map_scores_the_share_of_the_image_that_is_near(true, expected):
    truth = np.arange(4).reshape(2, 2) < true
    score = pointing_game(np.full((2, 2), -3.0), truth, tolerance=1.2)
    np.testing.assert_equal(score, expected)


def test_a_map_of_many_maxima_is_looked_at_in_parts(monkeypatch):
    truth = torch.rand(3, 9, 8, generator=torch.Generator().manual_seed(0)) > 0.95
    truth[0] = False
    scores = torch.zeros(3, 9, 8)
    whole = pointing_game(scores, truth, tolerance=2)
    monkeypatch.setattr(pointing, "_AT_ONCE", 5)
    torch.testing.assert_close(pointing_game(scores, truth, tolerance=2), whole, equal_nan=True)


def test_a_batch_is_scored_image_by_image_whatever_its_axes_and_kind():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 20, (6, 5, 4), generator=generator)
    truth = torch.rand(6, 5, 4, generator=generator) > 0.8
    game = partial(pointing_game, tolerance=1.5)
    expected = torch.stack([game(*pair) for pair in zip(scores, truth, strict=True)])
    assert 0 < expected.mean() < 1
    for dtype in (torch.float16, torch.bfloat16, torch.float64, torch.uint8):
        assert torch.equal(game(scores.to(dtype), truth), expected)
    folded = game(scores.reshape(2, 3, 5, 4), truth.reshape(2, 3, 5, 4))
    assert torch.equal(folded, expected.reshape(2, 3))
    assert torch.equal(game(scores.mT, truth.mT), expected)
    assert game(scores[:0], truth[:0]).shape == (0,)
    assert isinstance(game(scores[0].numpy(), truth[0].numpy()), np.float64)
    np.testing.assert_allclose(game(scores.numpy(), truth.numpy()), expected, rtol=1e-6)


def test_the_variant_with_a_tolerance_is_a_partial_that_keeps_the_properties():
    variant = partial(pointing_game, tolerance=15)
    for metric in (pointing_game, variant):
        assert takes(metric) == "maps"
        assert higher_is_better(metric) is True
        assert value_range(metric) == (0, 1)


@pytest.mark.parametrize("tolerance", [-1, NAN, float("inf"), "3", None])
def test_the_tolerance_is_a_length(tolerance):
    with pytest.raises(SettingError, match="tolerance must be a finite number of at least 0, got"):
        pointing_game(np.ones((2, 3)), np.ones((2, 3), bool), tolerance=tolerance)


@pytest.mark.parametrize("spacing", [0, -1, NAN, float("inf"), "1", (1,), (1, 2, 3, 4), (1, 0)])
def test_the_spacing_is_one_length_or_two_or_three(spacing):
    with pytest.raises(SettingError, match="spacing must be one positive number, or two for rows"):
        pointing_game(np.ones((2, 3)), np.ones((2, 3), bool), tolerance=3, spacing=spacing)


def test_only_finite_maps_and_boolean_truths_of_one_shape_are_scored():
    scores, truth = np.ones((2, 3)), np.ones((2, 3), bool)
    with pytest.raises(ShapeError, match="maps and target must have one shape"):
        pointing_game(scores, truth[:1])
    with pytest.raises(ArrayTypeError, match="target must be boolean"):
        pointing_game(scores, scores)
    with pytest.raises(NonFiniteError, match="maps must be finite"):
        pointing_game(scores * np.inf, truth)

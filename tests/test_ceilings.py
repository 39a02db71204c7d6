"""What a coarse grid allows: pooling against sampled points, ceilings against every mask."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import mask_pairs, masks
from torch.nn.functional import adaptive_avg_pool2d
from torch.testing import assert_close

from cameval import PercentileBinarizer, Place, iou, upsample
from cameval.baselines import (
    Batch,
    area_cap,
    nearest_ceiling,
    oracle_map,
    resolution_ceiling,
    resolution_oracle,
)
from cameval.baselines.pooling import pool
from cameval.errors import ArrayTypeError, SettingError, ShapeError

NAN = float("nan")
grids = st.tuples(st.integers(1, 4), st.integers(1, 4))
places = st.none() | st.builds(
    Place,
    offset=st.integers(-8, 24).map(lambda eighths: eighths / 8),
    stride=st.integers(2, 24).map(lambda eighths: eighths / 8),
)


def centers(length: int, cells: int, place: Place | None) -> np.ndarray:
    """Return the positions of cells along an axis of an image."""
    if place is None:
        return (np.arange(cells) + 0.5) * length / cells
    return place.offset + place.stride * np.arange(cells)


def best_of_all_unions(truth, owner):
    """Try every set of cells; `owner` tells each pixel's."""
    names = np.unique(owner)
    best = 0.0
    for chosen in product([False, True], repeat=len(names)):
        marked = np.isin(owner, names[np.array(chosen)])
        if (marked | truth).any():
            best = max(best, (marked & truth).sum() / (marked | truth).sum())
    return best


# --- Pooling --------------------------------------------------------------------------------------


@given(masks(), grids, places)
def test_a_cell_holds_the_share_of_the_points_nearest_to_it(truth, cells, place):
    fine = 420  # points in a pixel; every border of evenly laid cells falls between two of them
    shares = []
    for length, count in zip(truth.shape, cells, strict=True):
        points = (np.arange(length * fine) + 0.5) / fine
        distance = np.abs(points[:, None] - centers(length, count, place))
        member = distance.argmin(1)[:, None] == np.arange(count)
        share = member.reshape(length, fine, count).sum(1).astype(float)
        for cell in np.flatnonzero(share.sum(0) == 0):  # it lies beyond the image
            share[0 if centers(length, count, place)[cell] < length / 2 else -1, cell] = 1
        shares.append(share / share.sum(0))
    expected = shares[0].T @ truth.double().numpy() @ shares[1]
    np.testing.assert_allclose(pool(truth, cells, place), expected, atol=0.02)


@given(grids, grids, st.integers(0, 99))
def test_pooling_to_whole_blocks_is_average_pooling(cells, block, seed):
    size = (2, cells[0] * block[0], cells[1] * block[1])
    truth = torch.rand(size, generator=torch.Generator().manual_seed(seed)) < 0.4
    assert_close(pool(truth, cells), adaptive_avg_pool2d(truth.double(), cells))


@given(masks(), grids)
def test_even_cells_keep_the_area(truth, cells):
    assert_close(pool(truth, cells).mean(), truth.double().mean())


@given(masks(), grids)
def test_even_cells_are_a_place_like_any_other(truth, cells):
    side = max(truth.shape)
    square = torch.zeros(side, side, dtype=torch.bool)
    square[: truth.shape[0], : truth.shape[1]] = truth
    stride = side / cells[0]
    place = Place(stride / 2, stride)
    assert_close(pool(square, (cells[0],) * 2, place), pool(square, (cells[0],) * 2))
    assert_close(
        oracle_map(square, (cells[0],) * 2, place=place), oracle_map(square, (cells[0],) * 2)
    )


@given(masks(), grids, places.filter(bool))
def test_places_are_in_pixels_of_the_image(truth, cells, place):
    doubled = Place(2 * place.offset, 2 * place.stride)
    image_size = (2 * truth.shape[0], 2 * truth.shape[1])
    assert_close(
        oracle_map(truth, cells, place=doubled, image_size=image_size),
        oracle_map(truth, cells, place=place),
    )
    assert_close(
        nearest_ceiling(truth, cells, place=doubled, image_size=image_size),
        nearest_ceiling(truth, cells, place=place),
        equal_nan=True,
    )


# --- Oracle maps ----------------------------------------------------------------------------------


@given(masks(), grids, places)
def test_the_oracle_is_upsampled_as_maps_are(truth, cells, place):
    expected = upsample(pool(truth, cells, place), tuple(truth.shape), place=place).float()
    scores = oracle_map(truth, cells, place=place)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, expected)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert_close(oracle_map(~truth, cells, place=place), 1 - scores)


def test_a_grid_of_pixels_draws_the_truth():
    truth = torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    assert torch.equal(oracle_map(truth, (6, 5)), truth.float())
    assert resolution_ceiling(truth, (6, 5)).tolist() == [1, 1, 1]
    assert nearest_ceiling(truth, (6, 5)).tolist() == [1, 1, 1]


def test_the_cells_of_a_resnet_reach_to_the_ends_of_the_image():
    truth = torch.zeros(1, 96, dtype=torch.bool)
    truth[:, 90:] = True  # beyond the window of 32 pixels around the last center, 64.5
    place = Place(0.5, 32)
    assert_close(pool(truth, (1, 3), place)[0], torch.tensor([0, 0, 6 / 47.5]).double())
    truth = torch.arange(96)[None] < 10
    assert_close(pool(truth, (1, 3), place)[0], torch.tensor([10 / 16.5, 0, 0]).double())


def test_the_oracle_of_a_batch_lies_where_the_maps_lie():
    truth = torch.zeros(2, 48, 48, dtype=torch.bool)
    truth[0, :8, :8] = truth[1, 30:, 20:31] = True
    for place in (None, Place(0.5, 32)):
        batch = Batch([], torch.zeros(2, 3, 96, 96), truth, torch.tensor([0, 1]), (3, 3), place)
        expected = oracle_map(truth, (3, 3), place=place, image_size=(96, 96))
        assert torch.equal(resolution_oracle(batch), expected)
    corner = resolution_oracle(batch)[0].flatten().argmax()
    assert corner == 0  # the first cell of such a network lies in the corner


# --- Ceilings -------------------------------------------------------------------------------------


@given(masks(min_true=1), grids, places)
def test_no_union_of_cells_beats_the_nearest_ceiling(truth, cells, place):
    while cells[0] * cells[1] > 9:  # 512 unions
        cells = (cells[0] - 1, cells[1] - 1)
    nearest = []
    for length, count in zip(truth.shape, cells, strict=True):
        position = (np.arange(length) + 0.5)[:, None]
        distance = np.abs(position - centers(length, count, place)).round(9)
        nearest.append(count - 1 - distance[:, ::-1].argmin(1))  # between two cells: the second
    owner = nearest[0][:, None] * cells[1] + nearest[1]
    expected = best_of_all_unions(truth.numpy(), owner)
    assert nearest_ceiling(truth, cells, place=place).item() == pytest.approx(expected, abs=1e-6)


@given(masks(min_true=1), grids, places)
def test_the_resolution_ceiling_is_the_best_of_all_thresholds(truth, cells, place):
    scores = oracle_map(truth, cells, place=place)
    ious = [iou(scores >= value, truth).item() for value in scores.unique()]
    assert resolution_ceiling(truth, cells, place=place).item() == pytest.approx(max(ious))


@given(masks(min_true=1), grids, places)
def test_a_ceiling_is_no_lower_than_marking_everything(truth, cells, place):
    area = truth.double().mean().item()
    for ceiling in (nearest_ceiling, resolution_ceiling):
        score = ceiling(truth, cells, place=place).item()
        assert area - 1e-6 <= score <= 1
    assert nearest_ceiling(truth, (1, 1), place=place).item() == pytest.approx(area)


@given(masks((12, 12), min_true=1), st.sampled_from([(1, 2), (1, 3), (2, 4), (3, 6), (4, 12)]))
def test_finer_cells_raise_the_nearest_ceiling(truth, cells):
    coarse, fine = ((count, count) for count in cells)
    assert nearest_ceiling(truth, fine) >= nearest_ceiling(truth, coarse) - 1e-6


@pytest.mark.parametrize("percentile", [50, 90, 95])
def test_no_threshold_lifts_the_oracle_above_its_ceiling(percentile):
    y, x = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    truth = torch.stack([(y - a) ** 2 + (x - 30) ** 2 < a**2 for a in (6, 9, 15)])
    pred = PercentileBinarizer(percentile)(oracle_map(truth, (7, 7)))
    assert (iou(pred, truth) <= resolution_ceiling(truth, (7, 7))).all()


def test_worked_ceilings():
    truth = torch.tensor([[True, True, True, False]])
    assert nearest_ceiling(truth, (1, 2)).item() == 0.75
    # Shares 1 and 1/2 become 1, 7/8, 5/8, 1/2: the first three pixels are the truth.
    assert resolution_ceiling(truth, (1, 2)).item() == 1
    middle = torch.tensor([[False, True, True, False]])
    assert nearest_ceiling(middle, (1, 2)).item() == 0.5
    assert resolution_ceiling(middle, (1, 2)).item() == 0.5  # the oracle map is constant
    shifted = Place(0, 2)  # cells at 0 and 2: two pixels around 2 and beyond belong to the second
    assert nearest_ceiling(middle, (1, 2), place=shifted).item() == pytest.approx(2 / 3)


@pytest.mark.parametrize("ceiling", [nearest_ceiling, resolution_ceiling])
def test_an_empty_truth_has_no_ceiling(ceiling):
    truth = torch.stack([torch.zeros(4, 4), torch.ones(4, 4)]).bool()
    assert_close(ceiling(truth, (2, 2)), torch.tensor([NAN, 1]), equal_nan=True)
    assert oracle_map(truth, (2, 2))[0].count_nonzero() == 0


@pytest.mark.parametrize("ceiling", [nearest_ceiling, resolution_ceiling])
def test_axes_in_front_and_kinds_of_arrays_are_kept(ceiling):
    truth = torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(0)) < 0.3
    scores = ceiling(truth, (2, 3))
    assert scores.shape == (2, 3)
    one = torch.stack([ceiling(mask, (2, 3)) for mask in truth.flatten(0, 1)])
    assert_close(scores.flatten(), one)
    from_numpy = ceiling(truth.numpy(), (2, 3))
    assert from_numpy.dtype == np.float64
    np.testing.assert_allclose(from_numpy, scores, rtol=1e-6)
    assert isinstance(oracle_map(truth.numpy(), (2, 3)), np.ndarray)


@pytest.mark.parametrize("function", [oracle_map, nearest_ceiling, resolution_ceiling])
def test_masks_and_sizes_are_checked(function):
    truth = torch.ones(4, 4, dtype=torch.bool)
    with pytest.raises(ArrayTypeError, match=r"truth must be boolean, got torch\.float32"):
        function(truth.float(), (2, 2))
    with pytest.raises(ShapeError, match="truth must have shape"):
        function(truth[0], (2, 2))
    for cells in ((0, 2), (2,), 2, (2, 2, 2)):
        with pytest.raises(SettingError, match="cells must be a pair of positive integers"):
            function(truth, cells)
    with pytest.raises(SettingError, match="image_size must be a pair of positive integers"):
        function(truth, (2, 2), image_size=(8,))


@given(mask_pairs(min_true=1))
def test_no_mask_beats_the_cap_of_its_area(pair):
    pred, truth = pair
    assert iou(pred, truth) <= area_cap(pred, truth)
    p, g = pred.sum().item(), truth.sum().item()
    assert area_cap(pred, truth).item() == pytest.approx(min(p, g) / max(p, g))

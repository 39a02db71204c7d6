"""Blind maps and masks, and the caps."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from cameval.baselines import (
    center_disc,
    center_map,
    class_mean_masks,
    independent_iou,
)
from cameval.binarizers import PercentileBinarizer
from cameval.errors import ArrayTypeError, ClassIndexError, DataError, SettingError, ShapeError

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@given(sizes)
def test_the_center_map_falls_with_the_distance_to_the_center(size):
    scores = center_map(size)
    assert scores.shape == size
    assert scores.dtype == torch.float32
    y, x = np.indices(size)
    distance = np.hypot(y - (size[0] - 1) / 2, x - (size[1] - 1) / 2)
    order = np.argsort(distance.ravel(), kind="stable")
    assert (np.diff(scores.numpy().ravel()[order]) <= 0).all()
    assert torch.equal(scores, scores.flip(0))
    assert torch.equal(scores, scores.flip(1))


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (3, 9)])
def test_the_center_map_is_one_at_the_center_and_zero_at_the_corners(size):
    scores = center_map(size)
    assert scores[size[0] // 2, size[1] // 2] == 1
    assert scores[0, 0] == (size == (1, 1))


@pytest.mark.parametrize("percentile", [50, 90, 95])
def test_a_percentile_of_the_center_map_is_a_centered_disc(percentile):
    mask = PercentileBinarizer(percentile)(center_map((224, 224)))
    share = mask.double().mean().item()
    assert torch.equal(mask, center_disc((224, 224), share))
    assert share == pytest.approx(1 - percentile / 100, abs=3e-4)


@given(sizes, st.floats(0.001, 1))
def test_no_other_disc_is_closer_to_the_asked_area(size, area):
    disc = center_disc(size, area)
    y, x = np.indices(size)
    distance = (2 * y - size[0] + 1) ** 2 + (2 * x - size[1] + 1) ** 2
    areas = [(distance <= radius).sum() for radius in np.unique(distance)]
    wanted = area * distance.size
    assert abs(disc.sum().item() - wanted) == min(abs(got - wanted) for got in areas)
    assert torch.equal(disc, torch.from_numpy(distance <= distance[disc.numpy()].max()))


def test_a_disc_of_everything_is_everything():
    assert center_disc((5, 8), 1).all()


@pytest.mark.parametrize("area", [0, -0.1, 1.1, float("nan")])
def test_the_area_of_a_disc_is_a_share(area):
    with pytest.raises(SettingError, match=r"area must be in \(0, 1\], got"):
        center_disc((5, 5), area)


def test_frames_have_pixels():
    for make in (center_map, center_disc):
        with pytest.raises(SettingError, match="size must be a pair of positive integers"):
            make((0, 5))


def test_the_mean_mask_of_a_class_is_the_mean_of_its_masks():
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(20, 5, 4, generator=generator) > 0.5
    labels = torch.arange(20) % 3
    means = class_mean_masks(masks, labels, 3)
    for c in range(3):
        assert_close(means[c], masks[labels == c].float().mean(0))
    from_numpy = class_mean_masks(masks.numpy(), labels.numpy(), 3)
    assert from_numpy.dtype == np.float64
    np.testing.assert_allclose(from_numpy, means, rtol=1e-6)


def test_class_means_need_a_label_for_each_mask_and_masks_for_each_class():
    masks, labels = np.ones((3, 2, 2), bool), np.array([0, 1, 1])
    with pytest.raises(DataError, match=r"every class must have a mask, got none of \[2, 3\]"):
        class_mean_masks(masks, labels, 4)
    with pytest.raises(ClassIndexError, match=r"labels must be in \[0, 1\), got \[1\]"):
        class_mean_masks(masks, labels, 1)
    with pytest.raises(ShapeError, match=r"got \(3, 2, 2\) and \(2,\)"):
        class_mean_masks(masks, labels[:2], 2)
    with pytest.raises(ShapeError, match=r"got \(2, 2\) and \(2,\)"):
        class_mean_masks(masks[0], labels[:2], 2)
    for strange in (labels.astype(float), labels > 0, labels * 1j):
        with pytest.raises(ArrayTypeError, match="labels must be integers"):
            class_mean_masks(masks, strange, 2)
    with pytest.raises(ArrayTypeError, match="masks must be boolean"):
        class_mean_masks(masks.astype(int), labels, 2)


def test_a_random_mask_has_the_expected_iou():
    generator = torch.Generator().manual_seed(0)
    pred = torch.rand(2000, 2000, generator=generator) < 0.3
    target = torch.rand(2000, 2000, generator=generator) < 0.1
    seen = ((pred & target).sum() / (pred | target).sum()).item()
    assert independent_iou(0.3, 0.1) == pytest.approx(seen, abs=1e-3)


def test_expected_ious_take_numbers_and_arrays():
    areas = np.array([0.0, 0.05, 1.0])
    expected = [np.nan, 0.0025 / 0.0975, 0.05]
    np.testing.assert_allclose(independent_iou(0.05, areas), expected)
    from_torch = independent_iou(torch.full((3,), 0.05), torch.from_numpy(areas))
    assert_close(from_torch, torch.tensor(expected, dtype=torch.float32), equal_nan=True)
    assert independent_iou(np.array([0.0, 1.0]), 0.2).tolist() == [0, 0.2]
    assert np.isnan(independent_iou(0.5, 0.0))


def test_areas_are_shares_of_one_kind():
    with pytest.raises(SettingError, match=r"true_area must be in \[0, 1\], got 1.5"):
        independent_iou(0.5, 1.5)
    with pytest.raises(SettingError, match=r"pred_area must be in"):
        independent_iou(float("nan"), 0.5)
    with pytest.raises(ArrayTypeError, match="areas must both be"):
        independent_iou(np.array([0.1]), torch.tensor([0.1]))

"""Binarizers of volumes and of maps with ignored pixels, against scikit-image and by hand."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage import filters
from skimage.measure import label
from smooth_maps import smooth_maps
from strategies import maps, masks, shapes

from cameval._spatial import binarize_kept, with_sample_settings
from cameval.binarizers import (
    AdaptiveBinarizer,
    FractionOfMaxBinarizer,
    LargestComponent,
    MeanBinarizer,
    MeanSDBinarizer,
    MedianBinarizer,
    MultiOtsuBinarizer,
    NiblackBinarizer,
    OtsuBinarizer,
    PercentileBinarizer,
    SauvolaBinarizer,
    SkimageBinarizer,
    TopAreaBinarizer,
    is_constant,
)
from cameval.errors import SettingError, ShapeError
from cameval.maps import normalize_maps
from cameval.metrics import is_pixelwise, on_volumes

GLOBAL = [
    MeanBinarizer(),
    MedianBinarizer(),
    PercentileBinarizer(75),
    TopAreaBinarizer(0.1),
    FractionOfMaxBinarizer(),
    MeanSDBinarizer(1.5),
    OtsuBinarizer(),
    MultiOtsuBinarizer(),
    SkimageBinarizer(filters.threshold_yen),
    SkimageBinarizer(filters.threshold_li, tolerance=0.1),
]
LOCAL = [
    AdaptiveBinarizer(3),
    AdaptiveBinarizer(5, "mean", offset=0.01),
    AdaptiveBinarizer(3, "median", offset=0.01),
    NiblackBinarizer(15),
    SauvolaBinarizer(15),
    SkimageBinarizer(filters.threshold_sauvola, window_size=3),
]
every_global = pytest.mark.parametrize("binarizer", GLOBAL, ids=repr)
OWN_LOCAL = [each for each in LOCAL if not isinstance(each, SkimageBinarizer)]


def volumes(count=2, shape=(7, 13, 11), seed=0):
    draw = np.random.default_rng(seed)
    return np.stack([ndimage.gaussian_filter(draw.normal(size=shape), 1.5) for _ in range(count)])


def test_global_thresholds_are_those_of_the_pixels_and_local_ones_are_not():
    assert all(map(is_pixelwise, GLOBAL))
    assert not any(map(is_pixelwise, LOCAL))
    assert not is_pixelwise(SkimageBinarizer(lambda image: image.mean()))
    assert not is_pixelwise(LargestComponent(MeanBinarizer()))


@every_global
@given(data=st.data())
def test_shuffling_the_pixels_shuffles_the_mask(binarizer, data):
    shape = data.draw(shapes())
    scores = data.draw(maps(shape)).round()
    order = torch.tensor(data.draw(st.permutations(range(scores.numel()))))
    shuffled = binarizer(scores.flatten()[order].reshape(shape))
    assert torch.equal(shuffled.flatten(), binarizer(scores).flatten()[order])


@every_global
@given(data=st.data())
def test_ignored_pixels_change_no_global_threshold(binarizer, data):
    scores = data.draw(maps()).round()
    keep = data.draw(masks(tuple(scores.shape)))
    ruined = scores.where(keep, torch.nan)
    found = binarize_kept(binarizer, ruined, keep)
    assert not found[~keep].any()
    if keep.any():
        assert torch.equal(found[keep], binarizer(scores[keep][None])[0])
    twice = binarize_kept(binarizer, torch.stack([ruined, ruined]), keep)
    assert torch.equal(twice, torch.stack([found, found]))


@every_global
def test_a_volume_is_binarized_as_the_list_of_its_voxels(binarizer):
    scores = torch.from_numpy(volumes())
    expected = torch.stack([binarizer(each.reshape(1, -1)).reshape(each.shape) for each in scores])
    in_volumes = on_volumes(binarizer)
    assert torch.equal(in_volumes(scores), expected)
    np.testing.assert_array_equal(in_volumes(scores.numpy()), expected)
    keep = scores[0] > -0.1
    kept = binarize_kept(in_volumes, scores, keep)
    assert torch.equal(kept[1][keep], binarizer(scores[1][keep][None])[0])


@pytest.mark.parametrize("method", ["gaussian", "mean", "median"])
@pytest.mark.parametrize("block_size", [3, 9, 31])
def test_adaptive_thresholds_of_volumes_are_scikit_images(method, block_size):
    block_size = min(block_size, 5) if method == "median" else block_size
    binarizer = AdaptiveBinarizer(block_size, method, offset=-0.01, spatial_axes=3)
    scores = volumes()
    for threshold, one in zip(binarizer.threshold(scores), scores, strict=True):
        expected = filters.threshold_local(one, block_size, method, offset=-0.01)
        np.testing.assert_allclose(threshold, expected, rtol=0, atol=1e-13)
    assert binarizer(scores[None, :, None]).shape == (1, 2, 1, 7, 13, 11)


@pytest.mark.parametrize("window_size", [3, 15])
def test_windows_of_volumes_are_those_of_a_brute_force(window_size):
    scores = volumes(1, (4, 6, 5))
    half = window_size // 2
    low, span = scores.min(), np.ptp(scores)
    scaled = np.pad((scores[0] - low) / span, half, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (window_size,) * 3)
    mean, sd = windows.mean((-3, -2, -1)), windows.std((-3, -2, -1))
    niblack = NiblackBinarizer(window_size, k=-0.5, spatial_axes=3).threshold(scores)[0]
    np.testing.assert_allclose(niblack, low + span * (mean + 0.5 * sd), rtol=0, atol=1e-9)
    sauvola = SauvolaBinarizer(window_size, 0.3, 0.4, spatial_axes=3).threshold(scores)[0]
    negative = (1 - mean) * (1 + 0.3 * (sd / 0.4 - 1))
    np.testing.assert_allclose(sauvola, low + span * (1 - negative), rtol=0, atol=1e-9)
    expected = filters.threshold_niblack(scores[0], window_size, -0.5)
    np.testing.assert_allclose(niblack, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("binarizer", OWN_LOCAL, ids=repr)
def test_a_volume_keeps_the_laws_of_an_image(binarizer):
    in_volumes = on_volumes(binarizer)
    assert in_volumes.spatial_axes == 3
    scores = torch.from_numpy(volumes(3)).float()
    scores[1] = 0.1
    found = in_volumes(scores)
    assert not found[1].any()
    assert found[0].any()
    assert torch.equal(found[2], in_volumes(scores[2]))
    assert torch.equal(in_volumes.threshold(scores)[1].unique(), torch.tensor([0.1]).double())
    assert not in_volumes(scores[1]).any()
    flat = smooth_maps(1)[0]
    depth_of_one = in_volumes(flat[None])[0]
    assert torch.equal(depth_of_one, binarizer(flat)) or "median" in repr(binarizer)
    with pytest.raises(ShapeError, match=r"maps must be volumes \(..., D, H, W\)"):
        in_volumes(flat)


@given(masks(shape=(3, 4, 3)))
def test_the_largest_component_of_a_volume_is_scikit_images(mask):
    kept = on_volumes(LargestComponent(MeanBinarizer()))(mask.float()).numpy()
    found = mask.numpy() if not mask.all() else np.zeros_like(mask.numpy())
    labels, count = label(found, connectivity=3, return_num=True)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    expected = labels == 1 + sizes.argmax() if count else found
    np.testing.assert_array_equal(kept, expected)


def test_components_reach_through_slices_and_inner_binarizers_get_their_axes():
    scores = torch.zeros(2, 1, 6)
    scores[0, 0, :2] = scores[0, 0, 4:] = scores[1, 0, 4] = 1
    kept = on_volumes(LargestComponent(MeanBinarizer()))(scores)
    assert kept.nonzero().tolist() == [[0, 0, 4], [0, 0, 5], [1, 0, 4]]
    inner = on_volumes(LargestComponent(AdaptiveBinarizer(3)))
    assert inner == LargestComponent(AdaptiveBinarizer(3, spatial_axes=3), spatial_axes=3)
    assert inner(torch.from_numpy(volumes())).any()
    with pytest.raises(SettingError, match="must be pixelwise or take spatial_axes"):
        on_volumes(LargestComponent(lambda maps: maps > 0))


def test_components_end_where_pixels_are_ignored():
    scores = torch.tensor([[9.0, 9, 9, 9, 9, 0, 9, 9, 9, 0]])
    binarizer = LargestComponent(OtsuBinarizer())
    assert binarizer(scores).sum() == 5
    keep = torch.tensor([[True, True, False, True, True, True, True, True, True, True]])
    found = binarize_kept(binarizer, scores, keep)
    assert found.nonzero()[:, 1].tolist() == [6, 7, 8]
    assert not binarize_kept(binarizer, scores, torch.zeros_like(keep)).any()


def test_the_area_is_a_share_of_the_kept_pixels():
    scores = torch.arange(20.0).reshape(4, 5)
    keep = scores % 2 == 0
    found = binarize_kept(TopAreaBinarizer(0.2), scores, keep)
    assert scores[found].tolist() == [16, 18]


def test_other_binarizers_see_the_lowest_kept_value_on_ignored_pixels():
    scores = smooth_maps(2).double()
    keep = torch.ones(scores.shape[1:], dtype=torch.bool)
    keep[:, -15:] = False
    for binarizer in (NiblackBinarizer(15), SauvolaBinarizer(15), AdaptiveBinarizer(11)):
        found = binarize_kept(binarizer, scores, keep)
        lowest = scores[:, keep].amin(-1)[:, None, None]
        assert torch.equal(found, binarizer(scores.where(keep, lowest)) & keep)
        assert not torch.equal(found, binarizer(scores) & keep)
    flat = torch.full((3, 4), 2.0)
    flat[0] = torch.nan
    assert not binarize_kept(AdaptiveBinarizer(3), flat, ~flat.isnan()).any()


def test_a_binarizer_of_ones_own_says_that_it_is_pixelwise():
    @dataclass(frozen=True)
    class Fixed:
        pixelwise: ClassVar[bool] = True
        value: float = 0.0

        def __call__(self, maps):
            return maps > self.value

    scores = torch.from_numpy(volumes())
    assert torch.equal(on_volumes(Fixed(0.1))(scores), scores > 0.1)
    inner = on_volumes(LargestComponent(Fixed(0.1)))
    assert 0 < inner(scores).sum() <= (scores > 0.1).sum()
    with pytest.raises(SettingError, match="pixelwise must be True or False, got 'yes'"):
        on_volumes(type("Odd", (), {"pixelwise": "yes", "__call__": lambda self, maps: maps})())


@pytest.mark.parametrize("axes", [1, 4, "3", None, True])
def test_the_number_of_axes_is_two_or_three(axes):
    builds = (AdaptiveBinarizer, NiblackBinarizer, SauvolaBinarizer)
    for build in (*builds, lambda **axes: LargestComponent(MeanBinarizer(), **axes)):
        with pytest.raises(SettingError, match="spatial_axes must be 2 for images or 3"):
            build(spatial_axes=axes)
    for function in (is_constant, normalize_maps):
        with pytest.raises(SettingError, match="spatial_axes must be 2 for images or 3"):
            function(torch.ones(2, 2, 2), spatial_axes=axes)


def test_settings_of_images_stay_as_they_are():
    for binarizer in GLOBAL + LOCAL:
        assert with_sample_settings(binarizer, spatial_axes=2, spacing=(1.0, 2.0)) is binarizer


def test_constant_volumes_and_volumes_scaled_to_one():
    scores = torch.tensor([[[[1.0, 1.0]], [[1.0, 3.0]]], [[[2.0, 2.0]], [[2.0, 2.0]]]])
    assert is_constant(scores).tolist() == [[True, False], [True, True]]
    assert is_constant(scores, spatial_axes=3).tolist() == [False, True]
    scaled = normalize_maps(scores, spatial_axes=3)
    assert scaled.tolist() == [[[[0, 0]], [[0, 1]]], [[[0, 0]], [[0, 0]]]]
    assert not on_volumes(FractionOfMaxBinarizer())(scores)[1].any()
    for function in (is_constant, normalize_maps):
        with pytest.raises(ShapeError, match="maps must be volumes"):
            function(torch.ones(2, 2), spatial_axes=3)

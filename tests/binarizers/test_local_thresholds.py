"""Thresholds of each pixel against scikit-image and SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage import filters
from smooth_maps import smooth_maps

from cameval.binarizers import (
    AdaptiveBinarizer,
    NiblackBinarizer,
    SauvolaBinarizer,
    SkimageBinarizer,
    _local_rules,
)
from cameval.errors import SettingError
from cameval.maps import normalize_maps


@pytest.mark.parametrize("block_size", [3, 11, 51, 301])
@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 1e-6), (np.float64, 1e-13)])
@pytest.mark.parametrize("method", ["gaussian", "mean"])
def test_adaptive_thresholds_are_scikit_images(method, dtype, error, block_size):
    for scores in smooth_maps(2, (130, 75)).numpy().astype(dtype):
        threshold = AdaptiveBinarizer(block_size, method, offset=-0.25).threshold(scores)
        expected = filters.threshold_local(scores, block_size, method, offset=-0.25)
        np.testing.assert_allclose(threshold, expected, rtol=0, atol=error * np.abs(scores).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_local_medians_are_scikit_images_to_the_last_bit(dtype):
    for scores in smooth_maps(2).numpy().astype(dtype):
        threshold = AdaptiveBinarizer(11, "median", offset=-0.25).threshold(scores)
        expected = filters.threshold_local(scores, 11, "median", offset=-0.25)
        np.testing.assert_array_equal(threshold, expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"block_size": 50}, "block_size must be an odd integer of at least 3, got 50"),
        ({"block_size": 1}, "got 1"),
        ({"block_size": 5.0}, "got 5.0"),
        ({"method": "generic"}, "method must be 'gaussian', 'mean' or 'median', got 'generic'"),
        ({"offset": float("inf")}, "offset must be a finite number, got inf"),
        ({"offset": None}, "offset must be a finite number, got None"),
    ],
)
def test_adaptive_settings_are_checked(settings, message):
    with pytest.raises(SettingError, match=message):
        AdaptiveBinarizer(**settings)


def test_adaptive_settings_have_one_name():
    assert repr(AdaptiveBinarizer(np.int64(5), offset=1)) == repr(AdaptiveBinarizer(5, offset=1.0))


@pytest.mark.parametrize("size", [(61, 83), (20, 20), (1, 30), (9, 2)])
@pytest.mark.parametrize(("window_size", "k"), [(3, -1.0), (21, 0.2), (101, -1.0)])
def test_niblacks_threshold_is_scikit_images(size, window_size, k):
    for scores in smooth_maps(2, size).numpy().astype(np.float64):
        threshold = NiblackBinarizer(window_size, k).threshold(scores)
        expected = filters.threshold_niblack(scores, window_size, k)
        np.testing.assert_allclose(threshold, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(61, 83), (20, 20), (1, 30)])
@pytest.mark.parametrize(("window_size", "k", "r"), [(3, 0.2, 0.5), (51, 0.5, 0.25)])
def test_sauvolas_threshold_is_scikit_images_of_the_negative(size, window_size, k, r):
    for scores in smooth_maps(2, size).numpy().astype(np.float64):
        low, span = scores.min(), np.ptp(scores)
        negative = 1 - (scores - low) / span
        expected = filters.threshold_sauvola(negative, window_size, k, r)
        binarizer = SauvolaBinarizer(window_size, k, r)
        threshold = binarizer.threshold(scores)
        np.testing.assert_allclose(1 - (threshold - low) / span, expected, rtol=0, atol=1e-6)
        clear = np.abs(negative - expected) > 1e-6
        np.testing.assert_array_equal(binarizer(scores)[clear], (negative < expected)[clear])


@pytest.mark.parametrize("binarizer", [NiblackBinarizer(), SauvolaBinarizer()], ids=repr)
def test_the_default_windows_mark_the_peak_and_little_else(binarizer):
    y, x = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    distance = ((y - 90) ** 2 + (x - 140) ** 2).sqrt()
    peak = torch.exp(-((distance / 40) ** 2))
    mask = binarizer(peak)
    assert mask[90, 140]
    assert not mask[distance > 60].any()
    assert 0.02 < mask.double().mean() < 0.12


def test_upright_sauvola_marks_most_of_a_smooth_map():
    scores = normalize_maps(smooth_maps(4, (224, 224)))
    upright = SkimageBinarizer(filters.threshold_sauvola, window_size=51, r=0.5)
    assert upright(scores).double().mean((-2, -1)).min() > 0.6
    assert SauvolaBinarizer()(scores).double().mean((-2, -1)).max() < 0.2


@pytest.mark.parametrize("binarizer", [NiblackBinarizer(15), SauvolaBinarizer(15)], ids=repr)
def test_windows_ignore_scale_and_offset(binarizer):
    scores = smooth_maps(2, (41, 53)).double()
    expected = binarizer.threshold(scores)
    for factor, offset in ((2.0**-300, 0), (2.0**300, 0), (3, 100), (1e-3, -5)):
        changed = binarizer.threshold(scores * factor + offset)
        assert torch.allclose((changed - offset) / factor, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("binarizer", [NiblackBinarizer(15), SauvolaBinarizer(15)], ids=repr)
def test_the_zeros_of_a_rectified_map_are_never_marked(binarizer):
    scores = smooth_maps(4, (41, 53)).clamp(min=0.5) - 0.5
    assert not (binarizer(scores) & (scores == 0)).any()


@given(
    st.integers(1, 150),
    st.sampled_from([1, 3, 5, 51, 201]),
    st.sampled_from(["reflect", "mirror"]),
)
def test_blocks_of_a_band_are_the_filter(length, size, edge):
    image = torch.randn(2, length, 3, dtype=torch.float64)
    smoothed = _local_rules.smooth(image, _local_rules.box_kernel(size, edge))
    for got, plain in zip(smoothed.numpy(), image.numpy(), strict=True):
        expected = ndimage.uniform_filter(plain, size, mode=edge)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_map_is_smoothed_to_the_same_bits_in_any_batch_and_layout(dtype):
    scores = smooth_maps(5, (223, 97)).to(dtype)
    kernel = _local_rules.gaussian_kernel(4.0)
    expected = _local_rules.smooth(scores, kernel)
    for each, one in zip(scores, expected, strict=True):
        assert torch.equal(_local_rules.smooth(each.clone(), kernel), one)
    shifted = torch.empty(scores.numel() + 1, dtype=dtype)[1:].view(scores.shape).copy_(scores)
    assert torch.equal(_local_rules.smooth(shifted, kernel), expected)
    transposed = scores.mT.contiguous().mT
    assert torch.equal(_local_rules.smooth(transposed, kernel), expected)


def test_autocast_does_not_coarsen_thresholds():
    scores = smooth_maps(1, (41, 53))
    expected = AdaptiveBinarizer(11).threshold(scores)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(AdaptiveBinarizer(11).threshold(scores), expected)


@pytest.mark.parametrize(
    ("build", "settings", "message"),
    [
        (NiblackBinarizer, {"window_size": 10}, "window_size must be an odd integer of at least 3"),
        (NiblackBinarizer, {"k": float("nan")}, "k must be a finite number, got nan"),
        (SauvolaBinarizer, {"window_size": 1}, "got 1"),
        (SauvolaBinarizer, {"k": "a"}, "k must be a finite number, got a"),
        (SauvolaBinarizer, {"r": 0}, "r must be positive, got 0"),
    ],
)
def test_window_settings_are_checked(build, settings, message):
    with pytest.raises(SettingError, match=message):
        build(**settings)

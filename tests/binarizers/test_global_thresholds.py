"""Thresholds of a whole map against NumPy, scikit-image and exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage import filters
from smooth_maps import smooth_maps
from strategies import maps
from torch.nn.functional import interpolate
from torch.testing import assert_close

from cameval.binarizers import (
    FractionOfMaxBinarizer,
    MeanBinarizer,
    MeanSDBinarizer,
    MedianBinarizer,
    MultiOtsuBinarizer,
    NiblackBinarizer,
    OtsuBinarizer,
    PercentileBinarizer,
    PercentileWarning,
    SauvolaBinarizer,
    TopAreaBinarizer,
    is_constant,
)
from cameval.errors import SettingError

# The mean


@given(maps())
def test_the_mean_is_numpys(scores):
    expected = scores.numpy().astype(np.float64).mean()
    assert_close(MeanBinarizer().threshold(scores), torch.tensor(expected))


def test_rounding_of_the_mean_fills_no_map():
    nearly = torch.full((1, 300, 300), 0.1)
    assert not MeanBinarizer()(nearly).any()
    nearly[0, 3, 4] = torch.nextafter(nearly[0, 3, 4], torch.tensor(1.0))
    assert MeanBinarizer()(nearly).sum() == 1


# Mean plus standard deviations, fraction of the maximum


@given(maps(), st.floats(-3, 3))
def test_mean_and_standard_deviations_are_numpys(scores, k):
    values = scores.numpy().astype(np.float64)
    expected = values.mean() + k * values.std()
    threshold = MeanSDBinarizer(k).threshold(scores.numpy())
    assert threshold == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(maps(), st.floats(0, 0.999))
def test_the_fraction_is_that_of_the_map_scaled_to_one(scores, fraction):
    threshold = FractionOfMaxBinarizer(fraction).threshold(scores).item()
    values = [Fraction(value) for value in scores.flatten().tolist()]
    exact = min(values) + Fraction(fraction) * (max(values) - min(values))
    assert threshold == pytest.approx(float(exact), rel=1e-14, abs=1e-13)


def test_an_offset_moves_the_fraction_of_the_maximum_with_it():
    scores = torch.tensor([[0.0, 1.0, 2.0, 4.0]])
    for offset in (-4, 0, 100):
        assert FractionOfMaxBinarizer(0.25).threshold(scores + offset) == 1 + offset
        assert FractionOfMaxBinarizer(0.25)(scores + offset).tolist() == [
            [False, False, True, True]
        ]


def test_no_fraction_marks_all_but_the_minimum():
    scores = torch.tensor([[3.0, 3.0, 3.5, 9.0]])
    assert FractionOfMaxBinarizer(0)(scores).tolist() == [[False, False, True, True]]


# Percentiles


@given(maps(), st.one_of(st.floats(1, 99.99), st.integers(0, 99)))
def test_the_percentile_is_numpys_to_the_last_bit(scores, percentile):
    threshold = PercentileBinarizer(percentile).threshold(scores.numpy())
    expected = np.percentile(scores.numpy().astype(np.float64), percentile, method="linear")
    assert threshold == expected or is_constant(scores)


@given(maps())
def test_the_median_is_the_fiftieth_percentile(scores):
    threshold = MedianBinarizer().threshold(scores)
    assert torch.equal(threshold, PercentileBinarizer(50).threshold(scores))
    assert threshold.item() == pytest.approx(np.median(scores.numpy().astype(float)), rel=1e-12)


@given(maps(), st.integers(0, 99), st.integers(0, 99))
def test_a_higher_percentile_selects_a_subset(scores, one, other):
    low, high = sorted((one, other))
    more, fewer = PercentileBinarizer(low)(scores), PercentileBinarizer(high)(scores)
    assert not (fewer & ~more).any()
    assert fewer.sum() <= (1 - high / 100) * scores.numel() + 1


@pytest.mark.parametrize(("side", "marked"), [(7, 3), (14, 10), (224, 2509)])
def test_without_ties_the_95th_percentile_marks_a_fixed_area(side, marked):
    scores = torch.randperm(side**2, generator=torch.Generator().manual_seed(side))
    mask = PercentileBinarizer(95)(scores.reshape(side, side).float())
    assert mask.sum() == marked


def test_a_threshold_inside_a_block_of_ties_marks_none_of_them():
    rectified = torch.zeros(10, 10)
    rectified[0, :5] = 1
    assert PercentileBinarizer(90)(rectified).sum() == 5


def test_whole_percentiles_have_one_name():
    assert repr(PercentileBinarizer(90.0)) == repr(PercentileBinarizer(90))
    assert repr(PercentileBinarizer(np.float32(97.5))) == "PercentileBinarizer(percentile=97.5)"
    assert len({PercentileBinarizer(90), PercentileBinarizer(90.0)}) == 1


@pytest.mark.parametrize("percentile", [100, 120, -1, float("nan"), "95", None])
def test_a_percentile_is_a_number_below_one_hundred(percentile):
    with pytest.raises(SettingError, match=r"percentile must be in \[0, 100\), got"):
        PercentileBinarizer(percentile)


@pytest.mark.parametrize("percentile", [0.95, 0.5, 0.001])
def test_a_share_in_place_of_a_percentile_is_warned_of_at_the_line_of_the_user(percentile):
    words = f"{percentile:g} is the {percentile:g}th, .*; write {100 * percentile:g} for"
    with pytest.warns(PercentileWarning, match=words) as said:
        PercentileBinarizer(percentile)
    assert said[0].filename == __file__


def test_other_percentiles_are_not_warned_of(recwarn):
    for percentile in (0, 1, 1.5, 99.5):
        PercentileBinarizer(percentile)
    assert not recwarn.list


# Areas


@given(maps(), st.integers(1, 99))
def test_the_top_area_is_the_largest_set_of_whole_ties_that_fits(scores, percent):
    marked = TopAreaBinarizer(percent / 100)(scores)
    allowed = percent * scores.numel() // 100
    levels = sorted(set(scores.flatten().tolist()), reverse=True)
    expected = torch.zeros_like(marked)
    for level in levels:
        if (scores >= level).sum() > allowed:
            break
        expected = scores >= level
    assert torch.equal(marked, expected)


def test_the_area_is_read_as_it_is_written():
    scores = torch.arange(100.0).reshape(10, 10)
    assert int(0.29 * 100) == 28
    assert TopAreaBinarizer(0.29)(scores).sum() == 29
    assert TopAreaBinarizer(0.999)(scores).sum() == 99
    assert TopAreaBinarizer(0.009)(scores).sum() == 0


def test_a_tie_at_the_edge_of_the_area_is_left_out_whole():
    scores = torch.zeros(10, 10)
    scores[0, :3], scores[1, :3] = 2, 1
    assert TopAreaBinarizer(0.05)(scores).sum() == 3
    assert TopAreaBinarizer(0.06)(scores).sum() == 6
    assert TopAreaBinarizer(0.5)(scores).sum() == 6
    assert TopAreaBinarizer(0.02)(scores).sum() == 0


@pytest.mark.parametrize(("cells", "share"), [(7, 0.0408), (14, 0.0459)])
def test_blocks_of_ties_cost_area(cells, share):
    scores = smooth_maps(3, (224, 224), cells, "nearest")
    for binarizer in (PercentileBinarizer(95), TopAreaBinarizer(0.05)):
        areas = binarizer(scores).double().mean((-2, -1))
        assert areas.sub(share).abs().max() < 1e-4


def test_a_bilinear_map_ties_in_its_corners_alone():
    coarse = torch.rand(3, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    coarse[..., 0, 0] = -1
    smooth = interpolate(coarse, size=(224, 224), mode="bilinear")[:, 0]
    marked = PercentileBinarizer(95)(smooth).sum((-2, -1))
    assert marked.tolist() == [2509] * 3
    smooth = interpolate(-coarse, size=(224, 224), mode="bilinear")[:, 0]
    assert (smooth == smooth.amax((-2, -1), keepdim=True)).sum((-2, -1)).tolist() == [16**2] * 3
    assert TopAreaBinarizer(255 / 224**2)(smooth).sum() == 0


def test_a_median_inside_the_zeros_of_a_rectified_map_marks_what_is_positive():
    rectified = (torch.arange(100.0) - 86).clamp(min=0).reshape(10, 10)
    assert MedianBinarizer().threshold(rectified) == 0
    assert MedianBinarizer()(rectified).sum() == 13


# Otsu


@given(maps(), st.sampled_from([torch.float32, torch.float64]))
def test_otsus_threshold_is_scikit_images(scores, dtype):
    scores = scores.to(dtype)
    if not is_constant(scores):
        assert OtsuBinarizer().threshold(scores) == filters.threshold_otsu(scores.numpy())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.normal(size=(31, 37)),
        lambda rng: rng.normal(size=(31, 37)) + rng.choice([0, 8], (31, 37)),
        lambda rng: rng.choice([0.1, 0.7], (31, 37)),
        lambda rng: rng.integers(0, 257, (31, 37)) / 256,
        lambda rng: np.maximum(rng.normal(size=(31, 37)), 0) * 1e-5,
        lambda rng: rng.normal(size=(31, 37)) * 1e-3 + 100,
        lambda rng: smooth_maps(1, seed=int(rng.integers(1000)))[0].numpy(),
    ],
    ids=["normal", "gap", "two values", "on edges", "rectified", "offset", "smooth"],
)
def test_otsus_threshold_is_scikit_images_on_many_maps(draw, dtype):
    rng = np.random.default_rng(0)
    for _ in range(30):
        scores = draw(rng).astype(dtype)
        assert OtsuBinarizer().threshold(scores) == filters.threshold_otsu(scores)


def test_otsu_gives_each_integer_a_bin_of_its_own():
    scores = np.random.default_rng(0).integers(-500, 9000, (20, 20))
    assert OtsuBinarizer().threshold(scores) == filters.threshold_otsu(scores)


def test_otsu_bins_integers_of_a_huge_range_as_numbers():
    scores = np.array([[0, 5, 2**40, 2**40 + 9]])
    np.testing.assert_array_equal(OtsuBinarizer()(scores), [[False, False, True, True]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_otsu_separates_values_too_close_for_its_bins(dtype):
    low = torch.tensor(1.0, dtype=dtype)
    high = torch.nextafter(low, low + 1)
    scores = torch.stack((low, high, low, low)).reshape(2, 2)
    assert torch.equal(OtsuBinarizer()(scores), scores == high)
    says = "Too many bins|invalid value"  # NumPy 2, NumPy 1
    with pytest.raises((ValueError, RuntimeWarning), match=says):  # what scikit-image says to them
        filters.threshold_otsu(scores.numpy())


# Otsu with several thresholds


@pytest.mark.parametrize(("classes", "nbins"), [(2, 256), (3, 64), (3, 256), (4, 32), (5, 16)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_top_class_is_scikit_images(classes, nbins, dtype):
    for scores in smooth_maps(3, (41, 53)).numpy().astype(dtype):
        threshold = MultiOtsuBinarizer(classes, nbins).threshold(scores)
        assert threshold == filters.threshold_multiotsu(scores, classes, nbins)[-1]


def test_integers_have_a_bin_each_while_these_suffice():
    scores = np.random.default_rng(0).integers(-9, 40, (20, 20)).astype(np.int16)
    assert MultiOtsuBinarizer().threshold(scores) == filters.threshold_multiotsu(scores, 3)[-1]
    wide = scores.astype(np.int64) * 1000
    binned = filters.threshold_multiotsu(wide.astype(float), 3, 64)[-1]
    assert MultiOtsuBinarizer().threshold(wide) == binned


@pytest.mark.parametrize(("largest", "binned"), [(63, False), (64, True)])
def test_integers_have_a_bin_each_up_to_exactly_the_number_of_bins(largest, binned):
    scores = np.random.default_rng(0).integers(0, largest + 1, (20, 20))
    scores[0, :2] = 0, largest
    one_bin_each = filters.threshold_multiotsu(scores, 3)[-1]
    as_floats = MultiOtsuBinarizer(nbins=64).threshold(scores.astype(float))
    expected, other = (as_floats, one_bin_each) if binned else (one_bin_each, as_floats)
    assert MultiOtsuBinarizer(nbins=64).threshold(scores) == expected != other


@given(maps(), st.integers(2, 4))
def test_a_map_with_few_levels_has_as_many_classes_as_bins_are_filled(scores, classes):
    values = scores.numpy()
    if (values == values[0, 0]).all():
        return
    filled = np.count_nonzero(np.histogram(values, 16)[0])
    expected = filters.threshold_multiotsu(values, min(classes, filled), 16)[-1]
    assert MultiOtsuBinarizer(classes, 16).threshold(values) == expected


def test_where_scikit_image_raises_the_top_level_is_marked():
    two = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="only 2 different values"):
        filters.threshold_multiotsu(two, 3)
    np.testing.assert_array_equal(MultiOtsuBinarizer(3)(two), two == 1)
    high = np.nextafter(np.float32(1), np.float32(2))
    narrow = np.array([[1, high, 1, 1]], dtype=np.float32)
    np.testing.assert_array_equal(MultiOtsuBinarizer(3)(narrow), narrow == high)


# Settings


@pytest.mark.parametrize(
    ("build", "settings", "message"),
    [
        (FractionOfMaxBinarizer, {"fraction": 1}, r"fraction must be in \[0, 1\), got 1"),
        (FractionOfMaxBinarizer, {"fraction": -0.1}, "got -0.1"),
        (FractionOfMaxBinarizer, {"fraction": "0.2"}, "got 0.2"),
        (TopAreaBinarizer, {"area": 0}, r"area must be in \(0, 1\), got 0"),
        (TopAreaBinarizer, {"area": 1.0}, "got 1.0"),
        (TopAreaBinarizer, {"area": float("nan")}, "got nan"),
        (MeanSDBinarizer, {"k": float("inf")}, "k must be a finite number, got inf"),
        (MeanSDBinarizer, {"k": None}, "got None"),
        (MultiOtsuBinarizer, {"classes": 1}, "classes must be an integer of at least 2, got 1"),
        (MultiOtsuBinarizer, {"classes": 3.0}, "got 3.0"),
        (MultiOtsuBinarizer, {"nbins": 0}, "nbins must be an integer of at least 2, got 0"),
        (MultiOtsuBinarizer, {"classes": 4, "nbins": 3}, "got 3 bins for 4 classes"),
    ],
)
def test_settings_are_checked(build, settings, message):
    with pytest.raises(SettingError, match=message):
        build(**settings)


def test_equal_settings_have_one_name():
    assert repr(TopAreaBinarizer(np.float64(0.1))) == repr(TopAreaBinarizer(0.1))
    assert repr(MeanSDBinarizer(2)) == repr(MeanSDBinarizer()) == "MeanSDBinarizer(k=2.0)"
    assert repr(MultiOtsuBinarizer(np.int64(4))) == "MultiOtsuBinarizer(classes=4, nbins=64)"
    assert repr(NiblackBinarizer(k=-1)) == (
        "NiblackBinarizer(window_size=101, k=-1.0, spatial_axes=2)"
    )
    assert repr(SauvolaBinarizer()) == (
        "SauvolaBinarizer(window_size=51, k=0.2, r=0.5, spatial_axes=2)"
    )


@pytest.mark.parametrize("binarizer", [MeanBinarizer(), MeanSDBinarizer(0.5)], ids=repr)
def test_a_constant_map_whose_mean_is_rounded_down_is_empty(binarizer):
    constants = np.random.default_rng(0).random(200)
    below = [value for value in constants if np.full((2, 3), value).mean() < value]
    assert len(below) > 3
    for value in below:
        assert not binarizer(np.full((2, 3), value)).any()


def test_the_widest_range_that_otsu_gives_a_bin_for_each_level():
    values = np.r_[0, 2**16 - 1, np.full(9, 1000), np.full(9, 50_000)].reshape(4, 5)
    assert OtsuBinarizer().threshold(values) == filters.threshold_otsu(values)
    wider = np.where(values == 2**16 - 1, 2**16, values)
    binned = OtsuBinarizer().threshold(wider)
    assert binned == filters.threshold_otsu(wider.astype(float))
    assert binned != OtsuBinarizer().threshold(values)

"""Binarizers against NumPy and scikit-image, image by image."""

import pickle
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage import filters
from strategies import maps
from torch.nn.functional import interpolate
from torch.testing import assert_close

from cameval import _sorting
from cameval.binarizers import (
    AdaptiveBinarizer,
    FractionOfMaxBinarizer,
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
from cameval.errors import NonFiniteError, SettingError, ShapeError

SAUVOLA = SkimageBinarizer(filters.threshold_sauvola, window_size=3)
GLOBAL = [
    MeanBinarizer(),
    MedianBinarizer(),
    PercentileBinarizer(75),
    PercentileBinarizer(95),
    OtsuBinarizer(),
    MultiOtsuBinarizer(),
    MultiOtsuBinarizer(4, nbins=32),
    MeanSDBinarizer(1.5),
    FractionOfMaxBinarizer(),
    TopAreaBinarizer(0.1),
    SkimageBinarizer(filters.threshold_yen),
]
LOCAL = [
    AdaptiveBinarizer(3),
    AdaptiveBinarizer(5, "mean"),
    AdaptiveBinarizer(3, "median", offset=0.01),
    NiblackBinarizer(15),
    SauvolaBinarizer(15),
    SAUVOLA,
]
every_binarizer = pytest.mark.parametrize("binarizer", GLOBAL + LOCAL, ids=repr)


def smooth_maps(n=6, size=(40, 50), dtype=torch.float32, seed=0):
    coarse = torch.randn(n, 1, 7, 7, generator=torch.Generator().manual_seed(seed))
    return interpolate(coarse, size=size, mode="bilinear")[:, 0].to(dtype)


# Laws of all binarizers


@every_binarizer
def test_a_mask_is_what_lies_strictly_above_the_threshold(binarizer):
    scores = smooth_maps()
    threshold = binarizer.threshold(scores)
    assert threshold.shape == (scores.shape if binarizer in LOCAL else scores.shape[:1])
    assert threshold.dtype == torch.float64
    above = scores > (threshold if binarizer in LOCAL else threshold[:, None, None])
    assert 0 < above.sum() < above.numel()
    assert torch.equal(binarizer(scores), above)


@every_binarizer
@pytest.mark.parametrize("value", [0.1, -0.3, 0.0, 7.0, 1e-30])
def test_a_constant_map_gives_an_empty_mask(binarizer, value):
    flat = torch.full((2, 37, 41), value)
    assert not binarizer(flat).any()
    assert torch.equal(binarizer.threshold(flat).unique(), flat[0, 0, :1].double())
    assert not binarizer(flat[:1, :1, :1]).any()


@every_binarizer
def test_constant_maps_do_not_disturb_their_neighbors(binarizer):
    scores = smooth_maps(3)
    scores[1] = 0.1
    masks = binarizer(scores)
    assert not masks[1].any()
    assert torch.equal(masks[0], binarizer(scores[0]))
    assert torch.equal(masks[2], binarizer(scores[2]))
    assert is_constant(scores).tolist() == [False, True, False]


@every_binarizer
def test_a_batch_is_binarized_map_by_map_whatever_its_axes(binarizer):
    scores = smooth_maps(6)
    expected = torch.stack([binarizer(each) for each in scores])
    assert torch.equal(binarizer(scores), expected)
    assert torch.equal(
        binarizer(scores.reshape(2, 1, 3, 40, 50)), expected.reshape(2, 1, 3, 40, 50)
    )
    assert torch.equal(binarizer(scores.mT), torch.stack([binarizer(each) for each in scores.mT]))
    empty = binarizer(scores[:0])
    assert empty.shape == (0, 40, 50)
    assert empty.dtype == torch.bool


@every_binarizer
def test_numpy_goes_in_and_numpy_comes_out(binarizer):
    scores = smooth_maps(2)
    expected = binarizer(scores).numpy()
    for array in (scores.numpy(), scores.numpy().astype(">f4"), np.asfortranarray(scores.numpy())):
        masks = binarizer(array)
        assert isinstance(masks, np.ndarray)
        assert masks.dtype == np.bool_
        np.testing.assert_array_equal(masks, expected)
    assert isinstance(binarizer.threshold(scores.numpy()), np.ndarray)
    single = binarizer.threshold(scores[0].numpy())
    assert single.shape == ((40, 50) if binarizer in LOCAL else ())


@every_binarizer
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int32, torch.uint8])
def test_narrow_dtypes_give_the_mask_of_their_values(binarizer, dtype):
    scores = (smooth_maps(2) * 30 + 120).to(dtype)
    wide = scores.to(torch.float32 if dtype.is_floating_point else torch.int64)
    assert torch.equal(binarizer(scores), binarizer(wide))


@every_binarizer
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_map_that_is_not_finite_raises(binarizer, bad):
    with pytest.raises(NonFiniteError, match="maps must be finite, got 1 NaN"):
        binarizer(torch.tensor([[0.0, bad]]))


@every_binarizer
def test_a_binarizer_is_a_value(binarizer):
    copy = pickle.loads(pickle.dumps(binarizer))
    assert copy == binarizer
    assert hash(copy) == hash(binarizer)
    assert len({repr(each) for each in GLOBAL + LOCAL}) == len(GLOBAL + LOCAL)
    with pytest.raises(AttributeError):
        binarizer.percentile = 3


@pytest.mark.parametrize("binarizer", [*GLOBAL, *LOCAL[:1]], ids=repr)
def test_a_positive_factor_changes_no_mask(binarizer):
    scores = smooth_maps()
    for factor in (2.0**-60, 0.5, 2.0**60):  # exact, and beyond what float32 can square
        if factor == 0.5 or binarizer != GLOBAL[-1]:
            assert torch.equal(binarizer(scores * factor), binarizer(scores))


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


# Percentiles


@given(maps(), st.one_of(st.floats(0, 99.99), st.integers(0, 99)))
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


@given(maps(shape=(3, 2, 5)), st.integers(0, 9), st.integers(0, 9))
def test_both_ways_to_order_statistics_agree(scores, one, other):
    flat = scores.flatten(-2)
    fast = _sorting.by_partition(flat, (one, other))
    for got, expected in zip(_sorting.by_selection(flat, (one, other)), fast, strict=True):
        assert torch.equal(got, expected)


def test_whole_percentiles_have_one_name():
    assert repr(PercentileBinarizer(90.0)) == repr(PercentileBinarizer(90))
    assert repr(PercentileBinarizer(np.float32(97.5))) == "PercentileBinarizer(percentile=97.5)"
    assert len({PercentileBinarizer(90), PercentileBinarizer(90.0)}) == 1


@pytest.mark.parametrize("percentile", [100, 120, -1, float("nan"), "95", None])
def test_a_percentile_is_a_number_below_one_hundred(percentile):
    with pytest.raises(SettingError, match=r"percentile must be in \[0, 100\), got"):
        PercentileBinarizer(percentile)


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


WIDE = {
    "int32": np.array([[-2_000_000_000, 2_000_000_000, 0, 5]], np.int32),
    "int64": np.array([[0, 4_000_000_000, 4_000_000_005, 5]], np.int64),
    "uint32": np.array([[2**32 - 1, 2**32 - 2, 0, 5]], np.uint32),
    "high and narrow": np.array([[4_000_000_000, 4_000_000_001, 4_000_000_009, 4_000_000_008]]),
    "all of int64": np.array([[-(2**63), 2**63 - 1, 0, 5]], np.int64),
    "uint64": np.array([[2**64 - 1, 2**63, 0, 5]], np.uint64),
    "not exact": np.array([[2**60, 0, 2**60 + 1, 2**59]], np.int64),
}
SKIMAGE = ["triangle", "otsu", "li", "yen", "isodata", "mean"]
OWN = [
    *(MeanBinarizer(), MedianBinarizer(), PercentileBinarizer(50), OtsuBinarizer()),
    *(AdaptiveBinarizer(3), AdaptiveBinarizer(3, "median"), MultiOtsuBinarizer()),
]


@pytest.mark.parametrize("scores", WIDE.values(), ids=WIDE)
@pytest.mark.parametrize("name", SKIMAGE)
def test_integers_of_a_huge_range_reach_scikit_image_as_numbers(scores, name):
    function = getattr(filters, f"threshold_{name}")
    floats = scores.astype(np.float64)
    masks = SkimageBinarizer(function)(scores)
    np.testing.assert_array_equal(masks, floats > function(floats))


@pytest.mark.parametrize("scores", WIDE.values(), ids=WIDE)
@pytest.mark.parametrize("binarizer", OWN, ids=repr)
def test_integers_of_a_huge_range_are_thresholded_as_numbers(scores, binarizer):
    expected = binarizer(scores.astype(np.float64))
    if scores is WIDE["high and narrow"] and isinstance(binarizer, MultiOtsuBinarizer):
        expected = binarizer(scores - scores.min())  # a bin for each value
    np.testing.assert_array_equal(binarizer(scores), expected)


@pytest.mark.parametrize("name", SKIMAGE)
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_integers_of_a_usual_range_have_scikit_images_own_threshold(name, dtype):
    scores = np.random.default_rng(0).integers(0, 100, (20, 20)).astype(dtype)
    function = getattr(filters, f"threshold_{name}")
    seen = []

    def noting(image):
        seen.append(image.dtype)
        return function(image)

    assert SkimageBinarizer(noting).threshold(scores) == function(scores)
    assert seen[0].kind in "iu"


def test_integers_that_float64_cannot_tell_apart_are_a_constant_map():
    scores = np.array([[2**60, 2**60 + 1, 2**60, 2**60]])
    for binarizer in (*OWN, SkimageBinarizer(filters.threshold_triangle)):
        assert not binarizer(scores).any()


@pytest.mark.parametrize(
    "binarizer", [MeanSDBinarizer(1), FractionOfMaxBinarizer(), SauvolaBinarizer(3)], ids=repr
)
def test_a_range_that_arithmetic_cannot_hold_is_told(binarizer):
    scores = np.array([[-1.7e308, 1.7e308, 0, 5]])
    with pytest.raises(NonFiniteError, match=r"got values up to 1\.7e\+308 in torch\.float64"):
        binarizer(scores)
    np.testing.assert_array_equal(binarizer(scores / 2.0**600), binarizer(scores / 2.0**900))


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_floating_point_of_8_bits_is_read(dtype):
    scores = torch.tensor([[1.0, 2.0, 4.0, 8.0]])
    for binarizer in (*OWN, SkimageBinarizer(filters.threshold_li)):
        assert torch.equal(binarizer(scores.to(dtype)), binarizer(scores))


# Local thresholds


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


# Anything of scikit-image


@pytest.mark.parametrize("name", ["li", "yen", "triangle", "isodata", "mean", "otsu"])
def test_any_global_threshold_of_scikit_image_plugs_in(name):
    function = getattr(filters, f"threshold_{name}")
    scores = smooth_maps().numpy()
    expected = np.stack([each > function(each) for each in scores])
    np.testing.assert_array_equal(SkimageBinarizer(function)(scores), expected)


@pytest.mark.parametrize("function", [filters.threshold_sauvola, filters.threshold_niblack])
def test_any_local_threshold_of_scikit_image_plugs_in(function):
    scores = smooth_maps().numpy()
    expected = np.stack([each > function(each, window_size=15, k=0.1) for each in scores])
    binarizer = SkimageBinarizer(function, window_size=15, k=0.1)
    np.testing.assert_array_equal(binarizer(scores), expected)


def test_its_name_says_the_function_and_the_options():
    assert repr(SkimageBinarizer(filters.threshold_li)) == "SkimageBinarizer(threshold_li)"
    one = SkimageBinarizer(filters.threshold_sauvola, window_size=25, k=0.1)
    other = SkimageBinarizer(filters.threshold_sauvola, k=0.1, window_size=25)
    assert repr(one) == "SkimageBinarizer(threshold_sauvola, k=0.1, window_size=25)"
    assert one == other
    assert hash(one) == hash(other)
    assert "partial" in repr(SkimageBinarizer(partial(filters.threshold_li)))


def test_several_thresholds_must_be_wrapped():
    binarizer = SkimageBinarizer(filters.threshold_multiotsu)
    with pytest.raises(
        ShapeError, match=r"threshold_multiotsu must return one number.*\(2,\).*wrap"
    ):
        binarizer(smooth_maps(1))
    top = SkimageBinarizer(lambda image: filters.threshold_multiotsu(image)[-1])
    image = smooth_maps(1)[0].numpy()
    np.testing.assert_array_equal(top(image), image > filters.threshold_multiotsu(image)[-1])


def test_a_function_that_is_none_or_finds_nothing_is_an_error():
    with pytest.raises(SettingError, match="function must be callable, got 'otsu'"):
        SkimageBinarizer("otsu")
    with pytest.raises(NonFiniteError, match="must find a threshold, got NaN"):
        SkimageBinarizer(lambda image: np.nan)(smooth_maps(1))


def test_a_function_that_works_in_place_leaves_the_users_map_alone():
    def halved(image):
        image /= 2
        return image.mean()

    maps = np.arange(12.0).reshape(3, 4)
    SkimageBinarizer(halved)(maps)
    assert (maps == np.arange(12.0).reshape(3, 4)).all()

"""The newer thresholds against NumPy and scikit-image, and the fast ways against the plain ones."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage import filters
from skimage.measure import label
from strategies import maps, masks
from torch.nn.functional import interpolate

from cameval import _sorting
from cameval._memo import memo, memo_active
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
    _base,
    _local_rules,
)
from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.maps import normalize_maps

ALL = [
    MeanBinarizer(),
    MedianBinarizer(),
    PercentileBinarizer(90),
    PercentileBinarizer(95),
    TopAreaBinarizer(),
    FractionOfMaxBinarizer(),
    MeanSDBinarizer(),
    OtsuBinarizer(),
    MultiOtsuBinarizer(),
    AdaptiveBinarizer(11),
    NiblackBinarizer(21),
    NiblackBinarizer(21, k=-0.5),
    SauvolaBinarizer(21),
    LargestComponent(PercentileBinarizer(90)),
]
every_binarizer = pytest.mark.parametrize("binarizer", ALL, ids=repr)


def smooth_maps(n=3, size=(41, 53), cells=7, mode="bilinear", seed=0):
    coarse = torch.randn(n, 1, cells, cells, generator=torch.Generator().manual_seed(seed))
    return interpolate(coarse, size=size, mode=mode)[:, 0]


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


# Areas


@given(maps(), st.integers(1, 99))
def test_the_top_area_is_the_largest_set_of_whole_ties_that_fits(scores, percent):
    marked = TopAreaBinarizer(percent / 100)(scores)
    room = percent * scores.numel() // 100
    levels = sorted(set(scores.flatten().tolist()), reverse=True)
    expected = torch.zeros_like(marked)
    for level in levels:
        if (scores >= level).sum() > room:
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


# Otsu with more classes


@pytest.mark.parametrize(("classes", "nbins"), [(2, 256), (3, 64), (3, 256), (4, 32), (5, 16)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_top_class_is_scikit_images(classes, nbins, dtype):
    for scores in smooth_maps().numpy().astype(dtype):
        threshold = MultiOtsuBinarizer(classes, nbins).threshold(scores)
        assert threshold == filters.threshold_multiotsu(scores, classes, nbins)[-1]


def test_integers_have_a_bin_each_while_these_suffice():
    scores = np.random.default_rng(0).integers(-9, 40, (20, 20)).astype(np.int16)
    assert MultiOtsuBinarizer().threshold(scores) == filters.threshold_multiotsu(scores, 3)[-1]
    wide = scores.astype(np.int64) * 1000
    binned = filters.threshold_multiotsu(wide.astype(float), 3, 64)[-1]
    assert MultiOtsuBinarizer().threshold(wide) == binned


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


# Windows


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
    scores = smooth_maps(2).double()
    expected = binarizer.threshold(scores)
    for factor, offset in ((2.0**-300, 0), (2.0**300, 0), (3, 100), (1e-3, -5)):
        changed = binarizer.threshold(scores * factor + offset)
        assert torch.allclose((changed - offset) / factor, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("binarizer", [NiblackBinarizer(15), SauvolaBinarizer(15)], ids=repr)
def test_the_zeros_of_a_rectified_map_are_never_marked(binarizer):
    scores = smooth_maps(4).clamp(min=0.5) - 0.5
    assert not (binarizer(scores) & (scores == 0)).any()


@given(
    st.integers(1, 150),
    st.sampled_from([1, 3, 5, 51, 201]),
    st.sampled_from(["reflect", "mirror"]),
)
def test_blocks_of_a_band_are_the_filter(length, size, edge):
    image = torch.randn(2, length, 3, dtype=torch.float64)
    smoothed = _local_rules.smooth(image, _local_rules.box(size, edge))
    for got, plain in zip(smoothed.numpy(), image.numpy(), strict=True):
        expected = ndimage.uniform_filter(plain, size, mode=edge)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_map_is_smoothed_to_the_same_bits_in_any_batch_and_layout(dtype):
    scores = smooth_maps(5, (223, 97)).to(dtype)
    kernel = _local_rules.gaussian(4.0)
    expected = _local_rules.smooth(scores, kernel)
    for each, one in zip(scores, expected, strict=True):
        assert torch.equal(_local_rules.smooth(each.clone(), kernel), one)
    shifted = torch.empty(scores.numel() + 1, dtype=dtype)[1:].view(scores.shape).copy_(scores)
    assert torch.equal(_local_rules.smooth(shifted, kernel), expected)
    transposed = scores.mT.contiguous().mT
    assert torch.equal(_local_rules.smooth(transposed, kernel), expected)


def test_autocast_does_not_coarsen_thresholds():
    scores = smooth_maps(1)
    expected = AdaptiveBinarizer(11).threshold(scores)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(AdaptiveBinarizer(11).threshold(scores), expected)


# The comparison


@given(
    maps(),
    st.one_of(
        st.floats(-100, 100),
        st.sampled_from([0.1, 1e300, -1e300, 1e-50, -1e-50, 3.5e38, -3.5e38, float("inf")]),
    ),
)
def test_float32_maps_are_compared_as_in_float64(scores, number):
    threshold = torch.tensor(number, dtype=torch.float64)
    expected = scores.numpy().astype(np.float64) > number
    np.testing.assert_array_equal(_base.above(scores, threshold), expected)


@pytest.mark.parametrize("value", [0.1, -0.1, 1e-42, -1e-42, 3e38])
def test_neighbors_of_a_threshold_are_told_apart(value):
    middle = np.float32(value)
    below, over = (np.nextafter(middle, np.float32(side)) for side in (-np.inf, np.inf))
    scores = torch.from_numpy(np.array([[below, middle, over]]))
    for number in (float(middle), float(np.nextafter(np.float64(middle), np.inf))):
        mask = _base.above(scores, torch.tensor(number, dtype=torch.float64))
        assert mask.tolist() == [[False, False, True]]
    number = float(np.nextafter(np.float64(middle), -np.inf))
    mask = _base.above(scores, torch.tensor(number, dtype=torch.float64))
    assert mask.tolist() == [[False, True, True]]


# Shared work


@every_binarizer
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int32])
def test_sharing_changes_no_mask(binarizer, dtype):
    scores = (smooth_maps() * 20).to(dtype)
    alone = binarizer(scores)
    with memo():
        for other in (PercentileBinarizer(75), MeanSDBinarizer(), NiblackBinarizer(21)):
            other(scores)
        assert torch.equal(binarizer(scores), alone)
        assert torch.equal(binarizer(scores[1:]), alone[1:])
        np.testing.assert_array_equal(binarizer(scores.numpy()), alone)


def test_many_binarizers_sort_once(monkeypatch):
    calls = []
    sort = np.sort
    monkeypatch.setattr(
        np, "sort", lambda *args, **kwargs: calls.append(1) or sort(*args, **kwargs)
    )
    scores = smooth_maps()
    with memo():
        for binarizer in ALL[:9]:
            binarizer(scores)
    assert len(calls) == 1


def test_whether_work_is_shared_can_be_asked():
    assert not memo_active()
    with memo():
        assert memo_active()
    assert not memo_active()


@given(maps(shape=(3, 2, 5)), st.integers(0, 9), st.integers(0, 9))
def test_sorting_gives_the_order_statistics_too(scores, one, other):
    plain = _sorting.by_partition(scores.flatten(-2), (one, other))
    for got, expected in zip(_sorting.by_sorting(scores, (one, other)), plain, strict=True):
        assert torch.equal(got, expected)


# The largest component


@given(masks())
def test_the_largest_component_is_scikit_images(mask):
    kept = LargestComponent(lambda maps: maps > 0)(mask.float()).numpy()
    labels, count = label(mask.numpy(), connectivity=2, return_num=True)
    if count == 0:
        assert not kept.any()
        return
    sizes = [(labels == number).sum() for number in range(1, count + 1)]
    assert kept.sum() == max(sizes)
    largest = [number for number in range(1, count + 1) if sizes[number - 1] == max(sizes)]
    first = min(largest, key=lambda number: np.flatnonzero(labels == number)[0])
    np.testing.assert_array_equal(kept, labels == first)


def test_corners_connect_and_the_first_of_equals_stays():
    picture = """
        .X..X
        X...X
        ....X
        X.X..
        XX.X.
    """
    scores = np.array([[float(c == "X") for c in row] for row in picture.split()])
    kept = LargestComponent(MeanBinarizer())(scores)
    assert kept.sum() == 5
    assert not kept[:3].any()
    tie = np.array([[1.0, 0, 1, 0, 1, 1, 0, 1, 1]])
    assert np.flatnonzero(LargestComponent(MeanBinarizer())(tie)).tolist() == [4, 5]


def test_the_largest_component_keeps_kind_and_axes_and_is_a_value():
    scores = smooth_maps(6)
    binarizer = LargestComponent(MeanBinarizer())
    kept = binarizer(scores)
    assert (kept & ~MeanBinarizer()(scores)).sum() == 0
    assert torch.equal(binarizer(scores.reshape(2, 3, 41, 53)), kept.reshape(2, 3, 41, 53))
    assert isinstance(binarizer(scores.numpy()), np.ndarray)
    np.testing.assert_array_equal(binarizer(scores[0].numpy()), kept[0])
    assert binarizer(scores[:0]).shape == (0, 41, 53)
    assert repr(binarizer) == "LargestComponent(binarizer=MeanBinarizer())"
    assert binarizer == LargestComponent(MeanBinarizer())
    assert hash(binarizer) == hash(LargestComponent(MeanBinarizer()))


def test_the_largest_component_checks_what_it_is_given():
    with pytest.raises(SettingError, match="binarizer must be callable, got 'otsu'"):
        LargestComponent("otsu")
    with pytest.raises(NonFiniteError, match="maps must be finite"):
        LargestComponent(lambda maps: maps > 0)(torch.tensor([[float("nan")]]))
    with pytest.raises(ArrayTypeError, match="masks must be boolean"):
        LargestComponent(lambda maps: maps)(torch.ones(2, 2))
    with pytest.raises(ShapeError, match=r"masks of the maps' shape \(2, 2\), got \(1, 2\)"):
        LargestComponent(lambda maps: maps[:1] > 0)(torch.ones(2, 2))


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
        (NiblackBinarizer, {"window_size": 10}, "window_size must be an odd integer of at least 3"),
        (NiblackBinarizer, {"k": float("nan")}, "k must be a finite number, got nan"),
        (SauvolaBinarizer, {"window_size": 1}, "got 1"),
        (SauvolaBinarizer, {"k": "a"}, "k must be a finite number, got a"),
        (SauvolaBinarizer, {"r": 0}, "r must be positive, got 0"),
    ],
)
def test_settings_are_checked(build, settings, message):
    with pytest.raises(SettingError, match=message):
        build(**settings)


def test_equal_settings_have_one_name():
    assert repr(TopAreaBinarizer(np.float64(0.1))) == repr(TopAreaBinarizer(0.1))
    assert repr(MeanSDBinarizer(2)) == repr(MeanSDBinarizer()) == "MeanSDBinarizer(k=2.0)"
    assert repr(MultiOtsuBinarizer(np.int64(4))) == "MultiOtsuBinarizer(classes=4, nbins=64)"
    assert repr(NiblackBinarizer(k=-1)) == "NiblackBinarizer(window_size=101, k=-1.0)"
    assert repr(SauvolaBinarizer()) == "SauvolaBinarizer(window_size=51, k=0.2, r=0.5)"

"""Maps of integers, of a huge range and of 8 bits."""

import numpy as np
import pytest
import torch
from skimage import filters

from cameval.binarizers import (
    AdaptiveBinarizer,
    FractionOfMaxBinarizer,
    MeanBinarizer,
    MeanSDBinarizer,
    MedianBinarizer,
    MultiOtsuBinarizer,
    OtsuBinarizer,
    PercentileBinarizer,
    SauvolaBinarizer,
    SkimageBinarizer,
)
from cameval.errors import NonFiniteError

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

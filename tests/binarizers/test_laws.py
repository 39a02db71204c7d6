"""Laws that every binarizer keeps."""

import pickle
from dataclasses import fields

import numpy as np
import pytest
import torch
from skimage import filters
from smooth_maps import smooth_maps

from cameval import binarizers
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
from cameval.binarizers._base import ThresholdBinarizer
from cameval.errors import NonFiniteError

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
    AdaptiveBinarizer(5, "mean", offset=0.01),  # of a constant map, below its minimum
    AdaptiveBinarizer(3, "median", offset=0.01),
    NiblackBinarizer(15),
    SauvolaBinarizer(15),
    SAUVOLA,
]
every_binarizer = pytest.mark.parametrize("binarizer", GLOBAL + LOCAL, ids=repr)
BUILT = GLOBAL + LOCAL


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


LABELS = {
    MeanBinarizer(): "mean",
    MedianBinarizer(): "median",
    PercentileBinarizer(95): "percentile",
    TopAreaBinarizer(): "top_area",
    FractionOfMaxBinarizer(): "fraction_of_max",
    MeanSDBinarizer(): "mean_sd",
    OtsuBinarizer(): "otsu",
    MultiOtsuBinarizer(): "multi_otsu",
    AdaptiveBinarizer(): "adaptive",
    NiblackBinarizer(): "niblack",
    SauvolaBinarizer(): "sauvola",
    SkimageBinarizer(filters.threshold_li): "skimage",
    LargestComponent(OtsuBinarizer()): "largest_component",
}


@pytest.mark.parametrize(("binarizer", "label"), LABELS.items(), ids=LABELS.values())
def test_a_label_is_the_word_of_the_class_and_no_setting(binarizer, label):
    assert type(binarizer).label == label
    assert "label" not in {field.name for field in fields(binarizer)}


def test_every_binarizer_of_the_package_has_a_label():
    public = [getattr(binarizers, name) for name in binarizers.__all__]
    classes = {cls for cls in public if isinstance(cls, type) and not issubclass(cls, Warning)}
    assert classes == {type(binarizer) for binarizer in LABELS}


def test_a_binarizer_needs_a_formula():
    class Formless(ThresholdBinarizer):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Formless()


def test_the_threshold_is_documented_once():
    for cls in (MeanBinarizer, AdaptiveBinarizer, SkimageBinarizer):
        assert cls.threshold is ThresholdBinarizer.threshold
        assert "the threshold of a constant" in " ".join(cls.threshold.__doc__.lower().split())

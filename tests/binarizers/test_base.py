"""The comparison with a threshold, order statistics, and memoization."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from smooth_maps import smooth_maps
from strategies import maps

from cameval import _sorting
from cameval._memo import memo, memo_active, memoized
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
    TopAreaBinarizer,
    _base,
)

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
    np.testing.assert_array_equal(_base.mark_above(scores, threshold), expected)


@pytest.mark.parametrize("value", [0.1, -0.1, 1e-42, -1e-42, 3e38])
def test_neighbors_of_a_threshold_are_told_apart(value):
    middle = np.float32(value)
    below, over = (np.nextafter(middle, np.float32(side)) for side in (-np.inf, np.inf))
    scores = torch.from_numpy(np.array([[below, middle, over]]))
    for number in (float(middle), float(np.nextafter(np.float64(middle), np.inf))):
        mask = _base.mark_above(scores, torch.tensor(number, dtype=torch.float64))
        assert mask.tolist() == [[False, False, True]]
    number = float(np.nextafter(np.float64(middle), -np.inf))
    mask = _base.mark_above(scores, torch.tensor(number, dtype=torch.float64))
    assert mask.tolist() == [[False, True, True]]


@given(maps(shape=(3, 2, 5)), st.integers(0, 9), st.integers(0, 9))
def test_both_ways_to_order_statistics_agree(scores, one, other):
    flat = scores.flatten(-2)
    fast = _sorting.select_by_partition(flat, (one, other))
    for got, expected in zip(_sorting.select_by_kthvalue(flat, (one, other)), fast, strict=True):
        assert torch.equal(got, expected)


@every_binarizer
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int32])
def test_sharing_changes_no_mask(binarizer, dtype):
    scores = (smooth_maps(3, (41, 53)) * 20).to(dtype)
    alone = binarizer(scores)
    with memo():
        for other in (PercentileBinarizer(75), MeanSDBinarizer(), NiblackBinarizer(21)):
            other(scores)
        assert torch.equal(binarizer(scores), alone)
        assert torch.equal(binarizer(scores[1:]), alone[1:])
        np.testing.assert_array_equal(binarizer(scores.numpy()), alone)


def test_many_binarizers_sort_once(monkeypatch):
    calls = []
    sort = _sorting._sort
    monkeypatch.setattr(_sorting, "_sort", lambda keys: calls.append(1) or sort(keys))
    scores = smooth_maps(3, (81, 53))
    with memo():
        for binarizer in ALL[:9]:
            binarizer(scores)
    assert len(calls) == 3


def test_whether_work_is_shared_can_be_asked():
    assert not memo_active()
    with memo():
        assert memo_active()
    assert not memo_active()


@given(maps(shape=(3, 2, 5)), st.integers(0, 9), st.integers(0, 9))
def test_sorting_gives_the_order_statistics_too(scores, one, other):
    plain = _sorting.select_by_partition(scores.flatten(-2), (one, other))
    for got, expected in zip(_sorting.select_by_sorting(scores, (one, other)), plain, strict=True):
        assert torch.equal(got, expected)


def test_tensors_at_one_address_are_told_apart_by_shape_strides_and_dtype():
    @memoized
    def doubled(values):
        return values * 2

    square = torch.arange(18, dtype=torch.float32).reshape(2, 3, 3)
    others = [square[:1], square.mT, square.reshape(3, 2, 3), square.view(torch.int32)]
    with memo():
        first = doubled(square)
        assert doubled(square) is first
        for other in others:  # all begin at the same place in memory
            assert other.data_ptr() == square.data_ptr()
            assert torch.equal(doubled(other), other * 2)

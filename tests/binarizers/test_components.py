"""The largest connected component of a mask."""

import numpy as np
import pytest
import torch
from hypothesis import given
from skimage.measure import label
from smooth_maps import smooth_maps
from strategies import masks

from cameval.binarizers import (
    LargestComponent,
    MeanBinarizer,
)
from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError


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
    scores = smooth_maps(6, (41, 53))
    binarizer = LargestComponent(MeanBinarizer())
    kept = binarizer(scores)
    assert (kept & ~MeanBinarizer()(scores)).sum() == 0
    assert torch.equal(binarizer(scores.reshape(2, 3, 41, 53)), kept.reshape(2, 3, 41, 53))
    assert isinstance(binarizer(scores.numpy()), np.ndarray)
    np.testing.assert_array_equal(binarizer(scores[0].numpy()), kept[0])
    assert binarizer(scores[:0]).shape == (0, 41, 53)
    assert repr(binarizer) == "LargestComponent(binarizer=MeanBinarizer(), spatial_axes=2)"
    assert binarizer == LargestComponent(MeanBinarizer())
    assert hash(binarizer) == hash(LargestComponent(MeanBinarizer()))


def test_the_largest_component_checks_what_it_is_given():
    with pytest.raises(SettingError, match="binarizer must be callable, got 'otsu'"):
        LargestComponent("otsu")
    with pytest.raises(SettingError, match=r"got the class MeanBinarizer; write MeanBinarizer\(\)"):
        LargestComponent(MeanBinarizer)
    with pytest.raises(NonFiniteError, match="maps must be finite"):
        LargestComponent(lambda maps: maps > 0)(torch.tensor([[float("nan")]]))
    with pytest.raises(ArrayTypeError, match="masks must be boolean"):
        LargestComponent(lambda maps: maps)(torch.ones(2, 2))
    with pytest.raises(ShapeError, match=r"masks of the maps' shape \(2, 2\), got \(1, 2\)"):
        LargestComponent(lambda maps: maps[:1] > 0)(torch.ones(2, 2))

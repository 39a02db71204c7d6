"""A map made elsewhere must fit the image of its sample."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cameval.data import Sample
from cameval.errors import ArrayTypeError, NonFiniteError, ShapeError
from cameval.evaluation._map_checks import check_map


def sample(*shape):
    image = np.zeros(shape, np.float32)
    return Sample("scan", image, image > 0)


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        *((np.float16, torch.float32), (np.float32, torch.float32), (np.float64, torch.float64)),
        *((np.uint8, torch.float32), (np.int16, torch.float32), (np.int64, torch.float64)),
        *((np.uint16, torch.float64), (">f4", torch.float32)),
    ],
)
def test_arrays_keep_their_values(dtype, wanted):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    found = check_map(array[::-1], sample(4, 6))
    assert found.dtype == wanted
    np.testing.assert_array_equal(found.numpy(), array[::-1])


def test_tensors_with_a_graph_and_leading_axes_are_taken():
    tensor = torch.ones(1, 1, 4, 6, requires_grad=True, dtype=torch.bfloat16)
    found = check_map(tensor, sample(8, 12))
    assert (found.shape, found.dtype, found.requires_grad) == ((4, 6), torch.float32, False)
    assert check_map(np.ones((1, 2, 3, 4)), sample(5, 6, 8)).shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        ([[1, 2]], ArrayTypeError, "the map must be a NumPy array or a torch tensor, got list"),
        (None, ArrayTypeError, "got NoneType"),
        (np.ones((4, 6)) > 0, ArrayTypeError, "the map must hold real numbers, got torch.bool"),
        (np.ones((4, 6), complex), ArrayTypeError, "the map must hold real numbers"),
        (np.array([["a"]]), ArrayTypeError, "the map must have a dtype that torch knows"),
        (torch.eye(4).to_sparse(), ArrayTypeError, "the map must be a dense tensor"),
        (np.ones((3, 4, 6)), ShapeError, r"must have 2 axes, as the image has, got \(3, 4, 6\)"),
        (np.ones(6), ShapeError, "at least one pixel"),
        (np.ones((0, 6)), ShapeError, "at least one pixel"),
        (np.full((4, 6), np.nan), NonFiniteError, "the map must be finite, got 24 NaN"),
        (np.ones((6, 4)), ShapeError, "must have the aspect ratio of the image, .* stretch=True"),
    ],
)
def test_what_does_not_fit_is_told(array, error, words):
    with pytest.raises(error, match=words):
        check_map(array, sample(40, 60))


def test_a_volume_needs_three_axes():
    with pytest.raises(ShapeError, match="must have 3 axes"):
        check_map(np.ones((4, 6)), sample(3, 4, 6))
    with pytest.raises(ShapeError, match="at least one value"):
        check_map(np.ones((0, 4, 6)), sample(3, 4, 6))


@given(
    st.integers(1, 900),
    st.integers(1, 900),
    st.integers(1, 64),
    st.sampled_from([np.ceil, np.floor]),
)
def test_maps_of_a_network_with_one_stride_are_taken(height, width, stride, rounding):
    cells = tuple(max(1, int(rounding(side / stride))) for side in (height, width))
    if rounding is np.floor and min(height, width) < stride:
        return  # such a network has no feature map
    assert check_map(np.ones(cells), sample(height, width)).shape == cells


@pytest.mark.parametrize(
    ("cells", "pixels", "taken"),
    [
        ((7, 7), (224, 224), True),
        ((7, 7), (224, 256), True),
        ((7, 7), (480, 640), False),
        ((15, 20), (480, 640), True),
        ((14, 20), (480, 640), True),
        ((13, 20), (480, 640), False),
        ((20, 15), (480, 640), False),
        ((224, 224), (480, 640), False),
        ((960, 1280), (480, 640), True),
        ((511, 512), (512, 512), True),
        ((510, 512), (512, 512), False),
    ],
)
def test_the_aspect_ratio_is_that_of_the_image_to_one_cell(cells, pixels, taken):
    check_map(np.ones(cells), sample(*pixels), stretch=True)
    check_map(np.ones((3, *cells)), sample(9, *pixels), stretch=True)
    if taken:
        check_map(np.ones(cells), sample(*pixels))
        check_map(np.ones((3, *cells)), sample(9, *pixels))
    else:
        for shape, image in ((cells, pixels), ((3, *cells), (9, *pixels))):
            with pytest.raises(ShapeError, match="aspect ratio"):
                check_map(np.ones(shape), sample(*image))

"""Upsampling and scaling of maps."""

import numpy as np
import pytest
import torch
from hypothesis import given
from skimage.transform import resize
from strategies import maps, shapes
from torch.testing import assert_close

from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.maps import is_constant, normalize_maps, upsample


@given(maps())
def test_a_normalized_map_runs_from_zero_to_one_unless_it_is_constant(scores):
    scaled = normalize_maps(scores)
    assert scaled.min() == 0
    assert scaled.max() == (0 if is_constant(scores) else 1)
    span = (scores.max() - scores.min()).item() or 1
    assert_close(scaled, (scores - scores.min()) / span)


@given(maps(shape=(3, 2, 2)))
def test_normalizing_a_batch_is_normalizing_each_map(batch):
    expected = torch.stack([normalize_maps(each) for each in batch])
    assert torch.equal(normalize_maps(batch), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_normalizing_keeps_floating_dtypes(dtype):
    scaled = normalize_maps(torch.tensor([[-1.0, 0.0, 3.0]], dtype=dtype))
    assert_close(scaled, torch.tensor([[0.0, 0.25, 1.0]], dtype=dtype))


def test_normalizing_survives_a_range_wider_than_the_dtype():
    wide = torch.tensor([[-6e4, 0.0, 6e4]], dtype=torch.float16)
    assert normalize_maps(wide).tolist() == [[0.0, 0.5, 1.0]]


def test_normalized_integers_get_the_default_dtype():
    assert normalize_maps(torch.tensor([[0, 1, 4]])).dtype == torch.get_default_dtype()
    scaled = normalize_maps(np.array([[0, 1, 4]], np.uint8))
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(scaled, [[0, 0.25, 1]])


def test_normalizing_refuses_nan():
    with pytest.raises(NonFiniteError):
        normalize_maps(torch.tensor([[float("nan"), 0.0]]))


def test_constant_maps_are_found_image_by_image():
    batch = np.zeros((2, 3, 4, 4))
    batch[1, 2, 0, 0] = 1
    found = is_constant(batch)
    assert found.shape == (2, 3)
    assert found.sum() == 5
    assert not found[1, 2]
    assert is_constant(np.ones((2, 2)))


@given(shapes(leading=1))
def test_upsampling_equals_scikit_image_with_edge_padding(shape):
    coarse = torch.randn(shape, dtype=torch.float64)
    size = (13, 17)
    fine = upsample(coarse, size)
    for got, each in zip(fine, coarse, strict=True):
        expected = resize(each.numpy(), size, order=1, mode="edge", anti_aliasing=False)
        assert_close(got, torch.from_numpy(expected))


def test_a_constant_map_stays_constant_at_any_size():
    coarse = torch.rand(50, 1, 1).expand(50, 7, 7)
    fine = upsample(coarse, (13, 31))
    assert torch.equal(fine, coarse[:, :1, :1].expand(50, 13, 31))


def test_upsampling_keeps_leading_axes_and_dtype():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        fine = upsample(torch.zeros(2, 3, 7, 7, dtype=dtype), (9, 8))
        assert fine.shape == (2, 3, 9, 8)
        assert fine.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert upsample(torch.zeros(7, 7), (9, 8)).shape == (9, 8)
    assert upsample(torch.zeros(0, 2, 7, 7), (9, 8)).shape == (0, 2, 9, 8)


@pytest.mark.parametrize("size", [224, (224,), (0, 3), (3.0, 3), None, "12"])
def test_a_size_is_a_pair_of_positive_integers(size):
    with pytest.raises(SettingError, match="size must be a pair of positive integers"):
        upsample(torch.zeros(7, 7), size)


def test_only_floating_tensors_with_pixels_are_upsampled():
    with pytest.raises(ArrayTypeError, match="got ndarray"):
        upsample(np.zeros((7, 7)), (9, 9))
    with pytest.raises(ArrayTypeError, match=r"got torch\.int64"):
        upsample(torch.zeros(7, 7, dtype=torch.int64), (9, 9))
    for shape in [(7,), (2, 0, 7)]:
        with pytest.raises(ShapeError, match=r"coarse must have shape \(\.\.\., h, w\)"):
            upsample(torch.zeros(shape), (9, 9))


def test_autocast_does_not_coarsen_what_is_upsampled():
    coarse = torch.tensor([[1e5, 3e5]])
    expected = upsample(coarse, (1, 4))
    for dtype in (torch.float16, torch.bfloat16):
        with torch.autocast("cpu", dtype=dtype):
            assert torch.equal(upsample(coarse, (1, 4)), expected)

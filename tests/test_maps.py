"""Scaling, upsampling and alignment of maps."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import resize
from strategies import maps, shapes
from torch import Tensor, nn
from torch.testing import assert_close

from cameval import CAMExtractor, CAMModel, GAPHead, cam
from cameval import maps as interpolation
from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.maps import (
    CellCenters,
    half_pixel_coordinates,
    is_constant,
    normalize_maps,
    receptive_field_coordinates,
    upsample,
)

strides = st.sampled_from([1, 2, 4, 8, 16, 32])
cells = st.integers(1, 9)


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


# --- Alignment -----------------------------------------------------------------------------------


def ramp(count: int) -> torch.Tensor:
    """Return a map whose values are the numbers of its columns."""
    return torch.arange(count, dtype=torch.float64).expand(2, count)


@pytest.mark.parametrize(
    ("offset", "stride"), [(0, 0), (0, -1), (math.nan, 1), (0, math.inf), (math.inf, 1)]
)
def test_cell_centers_are_finite_and_their_stride_is_positive(offset, stride):
    with pytest.raises(SettingError, match="offset must be finite and stride positive, got"):
        CellCenters(offset, stride)


@given(kernel=st.integers(1, 7), stride=st.integers(1, 4), padding=st.integers(0, 3))
def test_a_layer_puts_each_cell_in_the_middle_of_its_window(kernel, stride, padding):
    before = CellCenters(0.5, 1.0)
    after = before.after(kernel, stride, padding)
    for cell in range(3):
        first = cell * stride - padding
        window = [before.offset + before.stride * (first + k) for k in range(kernel)]
        assert after.centers(3)[cell] == sum(window) / kernel


def test_layers_one_after_the_other_and_dilation():
    assert CellCenters(0.5, 1).after(3, 2, 1).after(3, 2, 1) == CellCenters(0.5, 4)
    assert CellCenters(2, 4).after(3, dilation=5) == CellCenters(2, 4).after(11)


@given(cells=cells, stride=strides, length=st.integers(1, 40))
def test_cells_that_fill_the_image_evenly_need_no_centers(cells, stride, length):
    cell_centers, pixels = CellCenters(stride / 2, stride), cells * stride
    expected = half_pixel_coordinates(length, cells)
    assert_close(receptive_field_coordinates(length, pixels, cell_centers), expected)
    coarse = torch.rand(3, cells, cells, dtype=torch.float64)
    fine = upsample(coarse, (length, 7), cell_centers=cell_centers, image_size=(pixels, pixels))
    assert_close(fine, upsample(coarse, (length, 7)))


@given(cells=cells, offset=st.floats(-20, 40), stride=st.integers(1, 33))
def test_a_map_has_its_own_values_at_its_centers(cells, offset, stride):
    cell_centers = CellCenters(math.floor(offset) + 0.5, stride)  # the middle of a pixel
    length = 40 + cells * stride
    fine = upsample(ramp(cells), (2, length), cell_centers=cell_centers)[0]
    for cell, center in enumerate(cell_centers.centers(cells).tolist()):
        if 0 < center < length:
            assert fine[int(center)] == pytest.approx(cell)


@given(shift=st.integers(-9, 9), stride=strides, cells=cells)
def test_centers_further_right_give_a_map_further_right(shift, stride, cells):
    coarse = torch.rand(cells, cells, dtype=torch.float64)
    size = (50, 60)
    here = upsample(coarse, size, cell_centers=CellCenters(10.5, stride))
    there = upsample(coarse, size, cell_centers=CellCenters(10.5 + shift, stride))
    assert_close(there[10:40, 10:50], here[10 - shift : 40 - shift, 10 - shift : 50 - shift])


def test_a_map_is_constant_beyond_its_outermost_centers():
    fine = upsample(torch.tensor([[1.0, 5.0]]), (1, 12), cell_centers=CellCenters(4.5, 2))
    assert fine.tolist() == [[1, 1, 1, 1, 1, 3, 5, 5, 5, 5, 5, 5]]
    outside = upsample(torch.tensor([[1.0, 5.0]]), (1, 4), cell_centers=CellCenters(-90.0, 2))
    assert outside.tolist() == [[5, 5, 5, 5]]


@pytest.mark.parametrize("cells", [2, 3, 8])
def test_one_pixel_more_than_whole_cells_equals_align_corners(cells):
    coarse = torch.rand(1, 1, cells, cells, dtype=torch.float64)
    side = 32 * (cells - 1) + 1
    expected = F.interpolate(coarse, (side, side), mode="bilinear", align_corners=True)
    assert_close(upsample(coarse, (side, side), cell_centers=CellCenters(0.5, 32)), expected)


@given(factor=st.integers(1, 4), offset=st.floats(-5, 20), stride=st.integers(4, 16))
def test_a_smaller_map_holds_the_means_of_a_larger_one(factor, offset, stride):
    # A ramp is linear, so that the mean over a block of pixels is the value in its middle.
    cell_centers, image = CellCenters(offset, stride), (12, 12 * factor)
    wide = 3 + (12 * factor + 20) // 4
    coarse = torch.cat((-ramp(wide).flip(1)[:, :-1] * 1.0, ramp(wide)), 1)
    cell_centers = CellCenters(
        offset - stride * (wide - 1), stride
    )  # cells on both sides: nothing is clamped
    fine = upsample(coarse, image, cell_centers=cell_centers)
    small = upsample(coarse, (12, 12), cell_centers=cell_centers, image_size=image)
    assert_close(small, fine.unflatten(1, (12, factor)).mean(2))


def test_an_extractor_aligns_maps_by_the_cell_centers_of_the_model():
    features = nn.Conv2d(1, 4, 3, stride=4, padding=1)
    cell_centers = CellCenters(0.5, 1).after(3, stride=4, padding=1)
    model = CAMModel(features, GAPHead(nn.Linear(4, 2)), cell_centers=cell_centers)
    images = torch.rand(2, 1, 24, 32)
    for size in (None, (24, 32), (12, 40)):
        aligned = CAMExtractor(model, cam, alignment="receptive_field")(images, 1, size=size)
        expected = upsample(
            aligned.coarse, size or (24, 32), cell_centers=cell_centers, image_size=(24, 32)
        )
        assert torch.equal(aligned.maps, expected)
        custom = CAMExtractor(model, cam)(images, 1, size=size)
        assert torch.equal(custom.coarse, aligned.coarse)
        assert torch.equal(custom.maps, upsample(custom.coarse, size or (24, 32)))
        assert not torch.allclose(custom.maps, aligned.maps)


def test_a_map_is_scaled_in_double_precision_and_rounded_once():
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        values = torch.randn(4, 30, 40, generator=generator, dtype=torch.float64)
        scores = values.exp().to(dtype)
        values = scores.double()
        low, high = values.amin((1, 2), keepdim=True), values.amax((1, 2), keepdim=True)
        assert torch.equal(normalize_maps(scores), ((values - low) / (high - low)).to(dtype))


# --- Single precision -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "size", "settings"),
    [
        ((2, 7, 5), (31, 24), {}),
        ((1, 1, 1), (5, 6), {}),
        ((2, 1, 3), (4, 2), {}),
        ((3, 4, 5), (37, 41), {"cell_centers": CellCenters(0.5, 8), "image_size": (32, 40)}),
        ((2, 3, 4, 5), (9, 8, 7), {}),
        ((2, 7, 7), (50, 60), {"image_size": (224, 224), "window": ((10, 200), (0, 224))}),
    ],
)
def test_maps_are_interpolated_in_single_precision_without_products(
    monkeypatch, shape, size, settings
) -> None:
    coarse = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = upsample(coarse.double(), size, **settings)
    monkeypatch.setattr(interpolation, "_products_are_exact", lambda _: False)
    monkeypatch.setattr(Tensor, "__matmul__", None)  # it is not used
    found = upsample(coarse, size, **settings)
    assert_close(found.double(), expected, rtol=0, atol=1e-6)
    # What is not finite in one pixel's gradient is not finite in that of the sum.
    upsample(coarse.requires_grad_(), size, **settings).sum().backward()
    assert coarse.grad.isfinite().all()


def test_products_are_used_where_the_device_computes_them_in_single_precision(monkeypatch) -> None:
    asked = {"precision": "highest", "units": True}
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: asked["precision"])
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: asked["units"])
    devices = [torch.device(name) for name in ("cpu", "cuda", "mps")]
    assert [interpolation._products_are_exact(device) for device in devices] == [True, True, True]
    asked["precision"] = "high"
    assert [interpolation._products_are_exact(device) for device in devices] == [False, False, True]
    asked["units"] = False
    assert [interpolation._products_are_exact(device) for device in devices] == [True, False, True]

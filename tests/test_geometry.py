"""Laws of places, and of maps that are laid on the image by them."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from cameval import CAMExtractor, CAMModel, GAPHead, cam
from cameval.errors import SettingError
from cameval.maps import CellCenters, half_pixel_coordinates, receptive_field_coordinates, upsample

strides = st.sampled_from([1, 2, 4, 8, 16, 32])
cells = st.integers(1, 9)


def ramp(count: int) -> torch.Tensor:
    """Return a map whose values are the numbers of its columns."""
    return torch.arange(count, dtype=torch.float64).expand(2, count)


@pytest.mark.parametrize(
    ("offset", "stride"), [(0, 0), (0, -1), (math.nan, 1), (0, math.inf), (math.inf, 1)]
)
def test_a_place_is_finite_and_its_stride_positive(offset, stride):
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
def test_cells_that_fill_the_image_evenly_need_no_place(cells, stride, length):
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
def test_a_place_further_right_gives_a_map_further_right(shift, stride, cells):
    coarse = torch.rand(cells, cells, dtype=torch.float64)
    size = (50, 60)
    here = upsample(coarse, size, cell_centers=CellCenters(10.5, stride))
    there = upsample(coarse, size, cell_centers=CellCenters(10.5 + shift, stride))
    assert_close(there[10:40, 10:50], here[10 - shift : 40 - shift, 10 - shift : 50 - shift])


def test_beyond_the_outermost_cells_a_map_keeps_their_values():
    fine = upsample(torch.tensor([[1.0, 5.0]]), (1, 12), cell_centers=CellCenters(4.5, 2))
    assert fine.tolist() == [[1, 1, 1, 1, 1, 3, 5, 5, 5, 5, 5, 5]]
    outside = upsample(torch.tensor([[1.0, 5.0]]), (1, 4), cell_centers=CellCenters(-90.0, 2))
    assert outside.tolist() == [[5, 5, 5, 5]]


@pytest.mark.parametrize("cells", [2, 3, 8])
def test_one_pixel_more_than_whole_cells_is_what_align_corners_is_for(cells):
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


def test_an_extractor_lays_maps_by_the_place_of_the_model():
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

"""Components and areas of masks of images and volumes against scikit-image."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.measure import label
from strategies import masks

from cameval.errors import SettingError, ShapeError
from cameval.metrics import mask_shape


@given(st.data(), st.sampled_from([(4, 5), (3, 4, 3)]))
def test_components_are_counted_in_all_axes(data, size):
    both = data.draw(masks((2, *size)))
    shape = mask_shape(both, spatial_axes=len(size))
    counts = [label(mask.numpy(), connectivity=len(size)).max() for mask in both]
    assert shape.components.tolist() == counts
    torch.testing.assert_close(shape.area, both.flatten(1).float().mean(1))
    defined = ~shape.elongation.isnan()
    assert defined.tolist() == [len(size) == 2 and bool(mask.any()) for mask in both]
    assert torch.equal(defined, ~shape.irrectangularity.isnan())


def test_slices_of_a_volume_are_images_unless_told_otherwise():
    volume = np.zeros((2, 3, 4, 4), bool)
    volume[0, :, 1, 1] = volume[1, 0, 0, 0] = volume[1, 2, 3, 3] = True
    assert mask_shape(volume).components.shape == (2, 3)
    assert mask_shape(volume, spatial_axes=3).components.tolist() == [1, 2]
    assert isinstance(mask_shape(volume, spatial_axes=3).area, np.ndarray)
    with pytest.raises(ShapeError, match="masks must be volumes"):
        mask_shape(volume[0, 0], spatial_axes=3)
    with pytest.raises(SettingError, match="spatial_axes must be 2 for images or 3"):
        mask_shape(volume, spatial_axes=4)

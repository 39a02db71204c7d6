"""Any threshold of scikit-image."""

from functools import partial

import numpy as np
import pytest
from skimage import filters
from smooth_maps import smooth_maps

from cameval.binarizers import (
    SkimageBinarizer,
)
from cameval.errors import NonFiniteError, SettingError, ShapeError


@pytest.mark.parametrize("name", ["li", "yen", "triangle", "isodata", "mean", "otsu"])
def test_any_global_threshold_of_scikit_image_plugs_in(name):
    function = getattr(filters, f"threshold_{name}")
    scores = smooth_maps().numpy()
    expected = np.stack([each > function(each) for each in scores])
    np.testing.assert_array_equal(SkimageBinarizer(function)(scores), expected)


@pytest.mark.parametrize("function", [filters.threshold_sauvola, filters.threshold_niblack])
def test_any_local_threshold_of_scikit_image_plugs_in(function):
    scores = smooth_maps().numpy()
    expected = np.stack([each > function(each, window_size=15, k=0.1) for each in scores])
    binarizer = SkimageBinarizer(function, window_size=15, k=0.1)
    np.testing.assert_array_equal(binarizer(scores), expected)


def test_its_name_says_the_function_and_the_options():
    assert repr(SkimageBinarizer(filters.threshold_li)) == "SkimageBinarizer(threshold_li)"
    one = SkimageBinarizer(filters.threshold_sauvola, window_size=25, k=0.1)
    other = SkimageBinarizer(filters.threshold_sauvola, k=0.1, window_size=25)
    assert repr(one) == "SkimageBinarizer(threshold_sauvola, k=0.1, window_size=25)"
    assert one == other
    assert hash(one) == hash(other)
    assert "partial" in repr(SkimageBinarizer(partial(filters.threshold_li)))


def test_several_thresholds_must_be_wrapped():
    binarizer = SkimageBinarizer(filters.threshold_multiotsu)
    with pytest.raises(
        ShapeError, match=r"threshold_multiotsu must return one number.*\(2,\).*wrap"
    ):
        binarizer(smooth_maps(1))
    top = SkimageBinarizer(lambda image: filters.threshold_multiotsu(image)[-1])
    image = smooth_maps(1)[0].numpy()
    np.testing.assert_array_equal(top(image), image > filters.threshold_multiotsu(image)[-1])


def test_what_is_no_function_or_returns_nan_is_an_error():
    with pytest.raises(SettingError, match="function must be callable, got 'otsu'"):
        SkimageBinarizer("otsu")
    with pytest.raises(NonFiniteError, match="must return a threshold, got NaN"):
        SkimageBinarizer(lambda image: np.nan)(smooth_maps(1))


def test_a_function_that_works_in_place_leaves_the_users_map_alone():
    def halved(image):
        image /= 2
        return image.mean()

    maps = np.arange(12.0).reshape(3, 4)
    SkimageBinarizer(halved)(maps)
    assert (maps == np.arange(12.0).reshape(3, 4)).all()

"""Masks of another size than their image: a pixel is true where more than half of its area is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def resize_mask(mask: NDArray[np.bool_], size: Sequence[int]) -> NDArray[np.bool_]:
    """Return a mask on a grid of another size: true where more than half of a pixel's area is.

    The areas are exact, whole numbers: along each axis a new pixel is as long as the mask has
    pixels, and a pixel of the mask as long as there are new ones. A mask that is made larger by
    whole factors is repeated.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.data._mask_sizes import resize_mask
    >>> resize_mask(np.array([[True, True, False, False, False, True]]), (1, 4))
    array([[ True, False, False,  True]])
    """
    areas = mask.astype(np.int64)
    for axis, length in enumerate(size):
        areas = _lengths(areas, axis, length)
    marked: NDArray[np.bool_] = 2 * areas > mask.size
    return marked


def resize_numbers(numbers: NDArray[Any], size: Sequence[int]) -> NDArray[Any]:
    """Return numbers of objects on a grid of another size; each object is resized by itself."""
    found = np.zeros(tuple(size), numbers.dtype)
    for number in np.unique(numbers):
        if number:
            found[resize_mask(numbers == number, size)] = number
    return found


def same_view(mask: Sequence[int], image: Sequence[int]) -> bool:
    """Tell whether a mask of this size can show the whole image: the ratios of the sides are equal.

    The sides of one of the two may have been rounded to whole pixels.
    """
    (h, w), (height, width) = mask, image
    return abs(h * width - w * height) <= max(h, w, height, width)


def _lengths(values: NDArray[np.int64], axis: int, length: int) -> NDArray[np.int64]:
    """Return the sum of the values along an axis within each new pixel, by their lengths in it."""
    rows = np.moveaxis(values, axis, 0)
    none = np.zeros((1, *rows.shape[1:]), np.int64)
    whole, rest = np.divmod(np.arange(length + 1) * len(rows), length)
    before = np.concatenate([none, rows.cumsum(0)])[whole] * length
    part = np.concatenate([rows, none])[whole] * rest.reshape(-1, *(1,) * (rows.ndim - 1))
    return np.moveaxis(np.diff(before + part, axis=0), 0, axis)

"""Contours of masks as small elements, and the spacing of pixels, the unit of distances.

A spacing is the distance between neighboring pixels: one number, or one between rows and one
between columns. With ``spacing=0.49`` for pixels of 0.49 mm, lengths are in mm; with 1 they are in
pixels. With three numbers, ``spacing=(5, 0.49, 0.49)``, masks are volumes ``(..., D, H, W)`` and
the first number is the distance between slices.

An element lies at a corner where some of the adjacent pixels are in the mask and some are not. It
measures the length of the line (marching squares), or the area of the surface (marching cubes),
between the centers of these pixels.
"""

from functools import cache
from itertools import product
from math import hypot, isfinite
from numbers import Real
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cameval.errors import SettingError, ShapeError

Spacing: TypeAlias = float | tuple[float, float] | tuple[float, float, float]
"""Distance between pixels: of both axes, of rows and columns, or of slices, rows and columns."""


def pixel_size(spacing: object) -> tuple[float, ...]:
    """Check a spacing and return it along each axis of an image, or of a volume."""
    match spacing:
        case (Real(), Real()) | (Real(), Real(), Real()):
            size = tuple(map(float, spacing))
        case Real():
            size = (float(spacing), float(spacing))
        case _:
            size = (float("nan"),)
    if not all(isfinite(step) and step > 0 for step in size):
        raise SettingError(
            "spacing must be one positive number, or two for rows and columns, or three for "
            f"slices, rows and columns, got {spacing!r}"
        )
    return size


def flatten_pixels(masks: Tensor, spacing: Spacing, name: str = "masks") -> Tensor:
    """Return masks with one axis of pixels, ``(..., pixels)``, that of images or of volumes."""
    axes = len(pixel_size(spacing))
    if masks.ndim < axes:
        raise ShapeError(
            f"{name} must be volumes (..., D, H, W) where the spacing has three numbers, "
            f"got {tuple(masks.shape)}; give two numbers for images"
        )
    return masks.flatten(-axes)


Floats: TypeAlias = NDArray[np.float64]


Mask: TypeAlias = NDArray[np.bool_]


def contour_elements(mask: Mask, size: tuple[float, ...]) -> tuple[Mask, Floats]:
    """Return the places of a mask's contour elements, and their lengths or areas.

    Parameters
    ----------
    mask
        ``(H, W)`` or ``(D, H, W)``. The outside of the image is background.
    size
        Distance between pixels along each axis.

    Returns
    -------
    where, measures
        Arrays over the corners of the pixels, one more along each axis than there are pixels:
        whether there is an element, and its length or area, 0 where there is none.
    """
    padded = np.pad(mask, 1)
    codes = np.zeros([length + 1 for length in mask.shape], np.intp)
    for corner in _corners(mask.ndim):
        around = zip(corner, codes.shape, strict=True)
        codes = 2 * codes + padded[tuple(slice(start, start + count) for start, count in around)]
    table = np.array(_lengths(*size) if mask.ndim == 2 else _areas(*size))
    return (codes > 0) & (codes < len(table) - 1), table[codes]


def _corners(axes: int) -> list[tuple[int, ...]]:
    """Return the offsets of the pixels around a corner, from the highest digit of a code on."""
    return list(product((0, 1), repeat=axes))


@cache
def _lengths(down: float, across: float) -> tuple[float, ...]:
    """Return the length of the line for each code of 2 x 2 pixels."""
    cut = hypot(down, across) / 2  # the line around one pixel of the four
    both = {0b1100: across, 0b0011: across, 0b1010: down, 0b0101: down, 0b1001: 2 * cut}
    both |= {0b0110: 2 * cut, 0b0000: 0.0, 0b1111: 0.0}
    return tuple(both.get(code, cut) for code in range(16))


@cache
def _areas(*size: float) -> tuple[float, ...]:
    """Return the area of the surface for each code of 2 x 2 x 2 pixels."""
    areas = []
    for triangles in _triangles():
        first, second, third = np.moveaxis(triangles * size, 1, 0)
        doubled = np.linalg.norm(np.cross(second - first, third - first), axis=-1)
        areas.append(float(doubled.sum()) / 2)
    return tuple(areas)


@cache
def _triangles() -> list[Floats]:
    """Return the triangles of marching cubes for each code, ``(n, 3, 3)``, in pixels.

    A mask and its complement have the same surface: the surface is drawn around the smaller set of
    pixels, and for sets of one size around that of the smaller code.
    """
    from skimage.measure import marching_cubes

    triangles = [np.zeros((0, 3, 3))]
    for code in range(1, 255):
        smaller = min(code, 255 - code, key=lambda one: (one.bit_count(), one))
        digits = [smaller >> digit & 1 for digit in range(7, -1, -1)]
        cube = np.array(digits, float).reshape(2, 2, 2)
        points, faces, _, _ = marching_cubes(cube, 0.5, method="lorensen")
        triangles.append(points[faces].astype(np.float64))
    return [*triangles, triangles[0]]

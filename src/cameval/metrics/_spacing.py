"""Spacing of pixels: the unit of all distances between masks.

A spacing is the distance between neighboring pixels: one number, or one between rows and one
between columns. With ``spacing=0.49`` for pixels of 0.49 mm, lengths are in mm; with 1 they are in
pixels. With three numbers, ``spacing=(5, 0.49, 0.49)``, masks are volumes ``(..., D, H, W)`` and
the first number is the distance between slices.
"""

from math import isfinite
from numbers import Real
from typing import TypeAlias

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


def image_pixel_size(spacing: object) -> tuple[float, float]:
    """Check the spacing of images, which are no volumes, and return it along both axes."""
    size = pixel_size(spacing)
    if len(size) != 2:
        raise SettingError(
            "spacing must be one positive number, or two for rows and columns, for images are "
            f"scored one by one, got {spacing!r}"
        )
    return size[0], size[1]


def flatten_pixels(masks: Tensor, spacing: Spacing) -> Tensor:
    """Return masks with one axis of pixels, ``(..., pixels)``, that of images or of volumes."""
    axes = len(pixel_size(spacing))
    if masks.ndim < axes:
        raise ShapeError(
            "masks must be volumes (..., D, H, W) where the spacing has three numbers, "
            f"got {tuple(masks.shape)}; give two numbers for images"
        )
    return masks.flatten(-axes)

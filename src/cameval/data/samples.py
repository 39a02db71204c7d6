"""`Sample`: an image with its mask, label and group."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval.errors import ArrayTypeError, DataError, NonFiniteError, ShapeError

__all__ = ["Sample"]

_CLASSES = 2**31
"""A class index is below this number."""

_BITS_OF_ONE = np.float32(1).view(np.uint32)
"""Floats that are not negative are ordered as their bits, so one comparison checks [0, 1]."""


@dataclass(frozen=True, eq=False)
class Sample:
    """An image, the mask of the object in it, its class, and the group it belongs to.

    Parameters
    ----------
    name
        The name of the image in tables, such as a file name without suffix.
    image
        float32 array ``(H, W)`` or ``(H, W, C)`` with values in [0, 1].
    mask
        Boolean array ``(H, W)``, true on the object. It may be empty.
    label
        Class index, counted from 0; None where the class is not known. A whole number of another
        type, such as ``np.float64(3.0)``, is stored as an int.
    group
        The unit that is kept together when data is split or resampled, such as the patient. By
        default every image is its own group, with its name.

    Raises
    ------
    ArrayTypeError
        If image or mask is not a NumPy array of its dtype.
    ShapeError
        If the image is not ``(H, W)`` or ``(H, W, C)`` with at least one pixel, or the mask is not
        of its height and width.
    NonFiniteError
        If the image holds NaN or infinity.
    DataError
        If the image leaves [0, 1], the label is not one class index, or name or group is empty.

    Examples
    --------
    >>> image = np.zeros((4, 6), dtype=np.float32)
    >>> Sample("x-ray 7", image, image > 0.5, label=1, group="patient 3")
    Sample(name='x-ray 7', label=1, group='patient 3')
    >>> Sample("x-ray 8", image, image > 0.5)
    Sample(name='x-ray 8', label=None, group='x-ray 8')
    """

    name: str
    image: NDArray[np.float32] = field(repr=False)
    mask: NDArray[np.bool_] = field(repr=False)
    label: int | None = None
    group: str = None  # type: ignore[assignment]  # None becomes the name

    def __post_init__(self) -> None:
        """Check all parts."""
        _check_dtype(self.image, np.float32, "image", "divide it by its largest possible value")
        _check_dtype(self.mask, np.bool_, "mask", "compare first, as in mask > 0")
        if self.image.ndim not in (2, 3) or 0 in self.image.shape:
            raise ShapeError(
                "image must have shape (H, W) or (H, W, C) with at least one pixel, "
                f"got {self.image.shape}"
            )
        if self.mask.shape != self.image.shape[:2]:
            raise ShapeError(
                "mask must have the height and width of the image, "
                f"got {self.mask.shape} and {self.image.shape}"
            )
        if self.image.view(np.uint32).max() > _BITS_OF_ONE:
            _explain_range(self.image)
        object.__setattr__(self, "label", class_index(self.label, "label"))
        if self.group is None:
            object.__setattr__(self, "group", self.name)
        for what, word in (("name", self.name), ("group", self.group)):
            if not isinstance(word, str):
                raise DataError(f"{what} must be text, got {type(word).__name__}")
            if "\0" in word or "\r" in word or (not word.isascii() and not _is_text(word)):
                raise DataError(f"{what} must be text without NUL or carriage return, got {word!r}")
        if not self.name:
            raise DataError("name must not be empty, got ''")
        if not self.group:
            raise DataError(
                "group must not be empty, got ''; leave it out where every image stands for itself"
            )


def class_index(label: object, what: str) -> int | None:
    """Return a class index as an int, None as None, and raise a `DataError` on anything else."""
    if label is None:
        return None
    scalar = getattr(label, "ndim", None) == 0 and hasattr(label, "item")
    value: Any = label.item() if scalar else label  # type: ignore[attr-defined]
    row = isinstance(value, Sequence | Set) and not isinstance(value, str | bytes)
    if row or getattr(value, "ndim", None):
        raise DataError(
            f"{what} must be one class index or None, got {type(value).__name__} of "
            f"{len(value)} entries; an image of several classes has several targets, which "
            'task="multilabel" scores'
        )
    real = isinstance(value, Real) and not isinstance(value, bool)
    if real and 0 <= value < _CLASSES and value == int(value):
        return int(value)
    raise DataError(
        f"{what} must be a class index counted from 0, got {value!r}; "
        "leave it out, or give None, where the class is not known"
    )


def parse_class(text: str, what: str) -> int | None:
    """Return the class index that a text writes as a number, None if it is no number.

    Tables write whole numbers in many ways: 3, 3.0, 3e0. A number that is no class index is a
    `DataError`, as is one in a notation that is not plain, such as 3,0.
    """
    try:
        float(text.replace(",", "."))
    except ValueError:
        return None
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,4})?", text, re.ASCII | re.IGNORECASE):
        number = Decimal(text)
        if 0 <= number < _CLASSES and number == int(number):
            return int(number)
    raise DataError(f"{what} must be a class index from 0, got {text}; leave it empty if not known")


def _is_text(word: str) -> bool:
    """Tell whether a word can be written to a file; half of a surrogate pair cannot."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_dtype(array: object, dtype: type[np.generic], name: str, hint: str) -> None:
    if not isinstance(array, np.ndarray):
        raise ArrayTypeError(f"{name} must be a NumPy array, got {type(array).__name__}")
    came: np.dtype[Any] = array.dtype
    if came != np.dtype(dtype):
        raise ArrayTypeError(f"{name} must be {np.dtype(dtype)}, got {came}; {hint}")


def _explain_range(image: NDArray[np.float32]) -> None:
    """Raise the error of an image whose bits are not those of numbers in [0, 1]."""
    if not np.isfinite(image).all():
        raise NonFiniteError("image must be finite, got NaN or infinite values")
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 1:  # or else it holds a zero with a sign
        raise DataError(
            f"image must be in [0, 1], got [{low:g}, {high:g}]; scale it by its range first"
        )

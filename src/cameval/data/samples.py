"""One image with the mask of its object: what every reader gives and every evaluation takes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval.errors import ArrayTypeError, DataError, NonFiniteError, ShapeError

__all__ = ["Sample"]

_BITS_OF_ONE = np.float32(1).view(np.uint32)
"""As floats that are not negative order like their bits, one pass over these tells [0, 1]."""


@dataclass(frozen=True, eq=False)
class Sample:
    """An image, the mask of the object in it, its class, and the group it belongs to.

    Parameters
    ----------
    name
        What the image is called in tables: a file name without its suffix, an id.
    image
        float32 array ``(H, W)`` or ``(H, W, C)`` with values in [0, 1].
    mask
        Boolean array ``(H, W)``, true on the object. It may be empty.
    label
        Class index, counted from 0.
    group
        What belongs together when data is split or resampled, such as the patient. Where every
        image stands for itself, the name serves.

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
        If the image leaves [0, 1], the label is not a class index, or name or group is empty.

    Examples
    --------
    >>> image = np.zeros((4, 6), dtype=np.float32)
    >>> Sample("x-ray 7", image, image > 0.5, label=1, group="patient 3")
    Sample(name='x-ray 7', label=1, group='patient 3')
    """

    name: str
    image: NDArray[np.float32] = field(repr=False)
    mask: NDArray[np.bool_] = field(repr=False)
    label: int
    group: str

    def __post_init__(self) -> None:
        """Check the record once, so that nobody behind it has to."""
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
        whole = isinstance(self.label, int | np.integer) and not isinstance(self.label, bool)
        if not whole or self.label < 0:
            raise DataError(f"label must be a class index counted from 0, got {self.label!r}")
        for what, word in (("name", self.name), ("group", self.group)):
            if "\0" in word or "\r" in word or (not word.isascii() and not _is_text(word)):
                raise DataError(f"{what} must be text without NUL or carriage return, got {word!r}")
        if not self.name:
            raise DataError("name must not be empty, got ''")
        if not self.group:
            raise DataError(
                "group must not be empty, got ''; use the name where every image stands for itself"
            )


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
    """Raise what is wrong with an image that holds other bits than those of numbers in [0, 1]."""
    if not np.isfinite(image).all():
        raise NonFiniteError("image must be finite, got NaN or infinite values")
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 1:  # or else it holds a zero with a sign
        raise DataError(
            f"image must be in [0, 1], got [{low:g}, {high:g}]; scale it by its range first"
        )

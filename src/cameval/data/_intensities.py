"""Scaling of measured intensities, such as Hounsfield units, to [0, 1]."""

from collections.abc import Sequence
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval.errors import SettingError

MOST_VALUES = 2**29
"""How many numbers an image may hold by default: 2,048 slices of 512 x 512."""


def check_range(value_range: object) -> tuple[float, float] | None:
    """Return a range of intensities as two floats, checked; None as None."""
    if value_range is None:
        return None
    ends = tuple(value_range) if isinstance(value_range, Sequence | np.ndarray) else ()
    numbers = all(isinstance(end, Real) and isfinite(end) for end in ends)
    if len(ends) != 2 or not numbers or not ends[0] < ends[1]:
        raise SettingError(
            f"value_range must be two finite numbers, the lower one first, got {value_range!r}"
        )
    return float(ends[0]), float(ends[1])


def check_most_values(limit: object) -> int:
    """Return the largest number of values of an image, checked."""
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise SettingError(f"max_values must be a whole number from 1, got {limit!r}")
    return limit


def check_position(index: object, what: str) -> int | None:
    """Return an index that is counted from 0, checked; None as None."""
    if index is None or (isinstance(index, int) and not isinstance(index, bool) and index >= 0):
        return index
    raise SettingError(f"{what} must be a whole number from 0 or None, got {index!r}")


def to_unit(values: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    """Scale values so that `low` is 0 and `high` 1, clipped; of an empty range, zeros."""
    if not low < high:
        return np.zeros(values.shape, np.float32)
    scaled = (values.astype(np.float64) - low) / (high - low)
    return np.clip(scaled, 0, 1, out=scaled).astype(np.float32)

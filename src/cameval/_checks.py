"""Checks of settings: integers, finite numbers, sizes."""

from math import isfinite
from numbers import Integral, Real

from cameval.errors import SettingError


def finite_number(name: str, value: object) -> float:
    """Return a finite number as a float."""
    if not isinstance(value, Real) or not isfinite(value):
        raise SettingError(f"{name} must be a finite number, got {value}")
    return float(value)


def positive_number(name: str, value: object) -> float:
    """Return a finite, positive number as a float."""
    number = finite_number(name, value)
    if number <= 0:
        raise SettingError(f"{name} must be positive, got {value}")
    return number


def non_negative_number(name: str, value: object) -> float:
    """Return a finite number of at least 0 as a float."""
    number = finite_number(name, value)
    if number < 0:
        raise SettingError(f"{name} must not be negative, got {value}")
    return number


def odd_size(name: str, value: object) -> int:
    """Return an odd integer of at least 3, the side of a window with a central pixel."""
    if not isinstance(value, Integral) or value < 3 or value % 2 == 0:
        raise SettingError(f"{name} must be an odd integer of at least 3, got {value}")
    return int(value)


def whole_number(name: str, value: object, least: int) -> int:
    """Return an integer of at least `least`."""
    if not isinstance(value, Integral) or value < least:
        raise SettingError(f"{name} must be an integer of at least {least}, got {value}")
    return int(value)


def check_count(name: str, value: int) -> None:
    """Check that a setting is a positive integer."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise SettingError(f"{name} must be a positive integer, got {value!r}")


def check_noise(std: float) -> None:
    """Check that a standard deviation is finite and not negative."""
    if not 0 <= std < float("inf"):
        raise SettingError(f"std must be finite and not negative, got {std!r}")


def check_size(size: object) -> tuple[int, ...]:
    """Return the size of an image, ``(H, W)`` or ``(D, H, W)``, all positive integers."""
    match size:
        case (int(height), int(width)) if min(height, width) > 0:
            return height, width
        case (int(depth), int(height), int(width)) if min(depth, height, width) > 0:
            return depth, height, width
    raise SettingError(f"size must be a pair of positive integers (H, W), got {size!r}")

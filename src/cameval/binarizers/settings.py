"""Checks of the binarizers' settings."""

from math import isfinite
from numbers import Integral, Real

from cameval.errors import SettingError

__all__ = ["finite_number", "odd_size", "whole_number"]


def finite_number(name: str, value: object) -> float:
    """Return a finite number as a float."""
    if not isinstance(value, Real) or not isfinite(value):
        raise SettingError(f"{name} must be a finite number, got {value}")
    return float(value)


def odd_size(name: str, value: object) -> int:
    """Return the side of a window, which has a pixel in its middle."""
    if not isinstance(value, Integral) or value < 3 or value % 2 == 0:
        raise SettingError(f"{name} must be an odd integer of at least 3, got {value}")
    return int(value)


def whole_number(name: str, value: object, least: int) -> int:
    """Return an integer that is not below the least."""
    if not isinstance(value, Integral) or value < least:
        raise SettingError(f"{name} must be an integer of at least {least}, got {value}")
    return int(value)

"""Checks of settings: integers, finite numbers, sizes, callables; warnings at the user's line."""

import sys
import warnings
from importlib import import_module
from inspect import Parameter, signature
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


def check_callable(name: str, thing: object, *packages: str) -> None:
    """Check that a thing is callable and not a class; `packages` have those that cameval has.

    Raises
    ------
    SettingError
        If it is something else, such as the word of the command line. The message names the import
        that is meant.

    Examples
    --------
    >>> from cameval._checks import check_callable
    >>> check_callable("binarizers", "percentile:95", "cameval.binarizers")
    Traceback (most recent call last):
    cameval.errors.SettingError: binarizers must be callable, got 'percentile:95'; import it: \
from cameval import PercentileBinarizer, and write PercentileBinarizer(95)
    """
    if isinstance(thing, type):
        what = "instances" if name.endswith("s") else "an instance"
        raise SettingError(
            f"{name} must be {what}, got the class {thing.__name__}; write "
            f"{thing.__name__}({_settings_of(thing)})"
        )
    if not callable(thing):
        hint = _hint_of(thing, packages) if isinstance(thing, str) else ""
        raise SettingError(f"{name} must be callable, got {thing!r}{hint}")


def _hint_of(word: str, packages: tuple[str, ...]) -> str:
    """Return how to write what a word of the command line stands for."""
    label, _, settings = word.partition(":")
    for package in packages:
        module = import_module(package)
        for name in module.__all__:
            thing = getattr(module, name)
            if not callable(thing) or label not in (name, getattr(thing, "label", None)):
                continue
            place = "cameval" if name in import_module("cameval").__all__ else package
            if not isinstance(thing, type):
                return f"; import it: from {place} import {name}"
            written = _settings_of(thing) if not settings or ":" in settings else settings
            return f"; import it: from {place} import {name}, and write {name}({written})"
    return f"; those of cameval are in {' and '.join(packages)}" if packages else ""


def _settings_of(kind: type) -> str:
    """Return what is between the parentheses: nothing if a class needs no settings."""
    try:
        known = signature(kind).parameters.values()
    except (TypeError, ValueError):
        return "..."
    needed = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
    return "..." if any(p.default is p.empty and p.kind in needed for p in known) else ""


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line, outside of this package, that called it."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("cameval."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)

"""Packages that only some functions need, with the way to install them."""

from importlib import import_module
from typing import Any

from cameval.errors import SettingError


def import_extra(module: str, extra: str, purpose: str) -> Any:
    """Import a module of an extra; `purpose` is what needs it, in the plural."""
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        raise SettingError(
            f"{purpose} need {package}, got none; install it with pip install 'cameval[{extra}]'"
        ) from error


def import_medical(module: str, purpose: str) -> Any:
    """Import a module of the extra ``medical``; `purpose` is what needs it, in the plural."""
    return import_extra(module, "medical", purpose)

"""Scores of maps in a training loop: alone, as a `torchmetrics.Metric`, in a Lightning callback.

`MapScore` needs nothing else. `MapScoreMetric` needs torchmetrics and `MapScoreCallback` Lightning,
which come with ``pip install 'cameval[training]'``; they are imported when they are first used.
"""

from importlib import import_module
from typing import Any

from cameval.errors import SettingError
from cameval.training.map_score import MapScore

__all__ = ["MapScore"]

_EXTRA = {
    "MapScoreMetric": ("_torchmetrics", "torchmetrics"),
    "MapScoreCallback": ("_lightning", "lightning"),
}


def __getattr__(name: str) -> Any:
    """Import what needs a package of the extra.

    Raises
    ------
    SettingError
        If the package is not installed.
    """
    if name not in _EXTRA:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, package = _EXTRA[name]
    try:
        return getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise SettingError(
            f"{name} needs {package}, got none; install it with pip install 'cameval[training]'"
        ) from error

"""Scores of maps in a training loop: alone, as a `torchmetrics.Metric`, in a Lightning callback.

`MapScore` needs nothing else. `MapScoreMetric` needs torchmetrics and `MapScoreCallback` Lightning,
as in the extra ``training``: ``pip install '.[training]'`` in a checkout. They are imported when
they are first used; where a package is missing, that raises
:class:`cameval.errors.MissingPackageError`, which is an ``ImportError``.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cameval.training._lightning import MapScoreCallback
    from cameval.training._torchmetrics import MapScoreMetric
    from cameval.training.map_score import MapScore
else:
    from cameval._lazy import import_when_used

    __getattr__, _ = import_when_used(
        __name__,
        {
            "_lightning": ["MapScoreCallback"],
            "_torchmetrics": ["MapScoreMetric"],
            "map_score": ["MapScore"],
        },
    )

__all__ = ["MapScore"]
if find_spec("lightning"):
    __all__ += ["MapScoreCallback"]
if find_spec("torchmetrics"):
    __all__ += ["MapScoreMetric"]


def __dir__() -> list[str]:
    """Return the names of the package, without those whose packages are not installed."""
    return sorted({*globals(), *__all__})

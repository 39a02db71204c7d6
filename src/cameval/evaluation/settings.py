"""Settings of `evaluate`: how a run is done, and the default methods, binarizers and metrics.

Each function returns a new dictionary by label: ``default_metrics() | {"mine": f}`` has one more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TypedDict

from cameval._other_names import KEYWORDS
from cameval.baselines import (
    RandomBaseline,
    area_bound,
    center_baseline,
    edge_baseline,
    intensity_baseline,
    truth_baseline,
)
from cameval.binarizers import OtsuBinarizer, PercentileBinarizer
from cameval.errors import SettingError
from cameval.methods import grad_cam
from cameval.metrics import (
    coverage,
    false_positive_rate,
    informedness,
    iou,
    pixel_auroc,
    pixel_average_precision,
    pointing_game,
    precision,
    size_standardized_iou,
)
from cameval.networks._precision import Precision, check_precision
from cameval.protocols import Baseline, Binarizer, CAMMethod, Metric

__all__ = [
    "RunSettings",
    "default_baselines",
    "default_binarizers",
    "default_methods",
    "default_metrics",
]


class RunSettings(TypedDict, total=False):
    """Keyword arguments of `evaluate` that say how a run is done. Each may be left out.

    Parameters
    ----------
    batch_size
        Samples in a batch, by default 16. The last digits of a score may depend on it, as the
        network's do.
    workers
        Processes that read samples ahead, for datasets with a length; by default 0.
    out
        A folder to which the run is written batch by batch. An interrupted run that is started
        again with the same network, settings and samples continues, and ends with the same table;
        how many samples were scored before is then said on the standard error.
        All are compared by their contents: weights, structure and outputs of the network, the code
        of your functions and what they read, the attributes of your objects. By default nothing is
        written.
    name
        The model's name in the table, by default its class.
    class_names
        Names of the classes, one for each of the network's, for reports; by default those of the
        dataset, if it has any.
    seed
        Seed of the random baseline, and of the intervals of the results; by default 0.
    progress
        Whether to show a progress bar where the standard error is a terminal, and to say if a run
        is resumed; by default True.
    precision
        How the network computes. ``"exact"``, the default: as it is. ``"channels_last"``: with the
        channels last in memory, which is faster on most devices and changes the last digits.
        ``"folded"``: the same, with batch normalizations folded into the convolutions before them,
        where nothing else uses what the convolution returns. ``"bfloat16"``: in bfloat16 up to the
        features, where the device has units for it; the head, gradients, maps and scores are in
        single precision. A private copy of the network computes, and the network is not changed.

    Examples
    --------
    >>> from cameval.evaluation import RunSettings
    >>> quick: RunSettings = {"batch_size": 64, "progress": False}

    ``evaluate(net, samples, **quick)``
    """

    batch_size: int
    workers: int
    out: str | PathLike[str] | None
    name: str | None
    class_names: Sequence[str] | None
    seed: int
    progress: bool
    precision: Precision


def check_names(settings: Mapping[str, object], function: str) -> None:
    """Raise a TypeError, as Python does, if a keyword argument is no setting of a run."""
    for name in settings:
        if name not in RunSettings.__annotations__:
            known = f"settings of a run are {', '.join(RunSettings.__annotations__)}"
            raise TypeError(
                f"{function}() got an unexpected keyword argument {name!r}; "
                f"{KEYWORDS.get(name, known) if function == 'evaluate' else known}"
            )


@dataclass(frozen=True)
class Settings:
    """Checked settings of a run, with their defaults; see `RunSettings`.

    Raises
    ------
    SettingError
        If a number is out of its range, or the precision is none.
    """

    batch_size: int = 16
    workers: int = 0
    out: str | PathLike[str] | None = None
    name: str | None = None
    class_names: Sequence[str] | None = None
    seed: int = 0
    progress: bool = True
    precision: Precision = "exact"

    def __post_init__(self) -> None:
        for name, least in (("batch_size", 1), ("workers", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise SettingError(f"{name} must be an integer of at least {least}, got {value!r}")
        check_precision(self.precision)


def default_methods() -> dict[str, CAMMethod]:
    """Return the default method by its label.

    Examples
    --------
    >>> from cameval.evaluation import default_methods
    >>> list(default_methods())
    ['grad_cam']
    """
    return {"grad_cam": grad_cam}


def default_binarizers() -> dict[str, Binarizer]:
    """Return the default binarizers by label.

    Examples
    --------
    >>> from cameval.evaluation import default_binarizers
    >>> list(default_binarizers())
    ['percentile:95', 'otsu']
    """
    return {"percentile:95": PercentileBinarizer(95), "otsu": OtsuBinarizer()}


def default_metrics() -> dict[str, Metric]:
    """Return the default metrics by label: three of maps, then those of masks with their bound.

    The false-positive rate is defined on images without the object, too.

    Examples
    --------
    >>> from cameval.evaluation import default_metrics
    >>> list(default_metrics())[:4]
    ['pointing_game', 'pixel_auroc', 'pixel_average_precision', 'iou']
    """
    return {
        "pointing_game": pointing_game,
        "pixel_auroc": pixel_auroc,
        "pixel_average_precision": pixel_average_precision,
        "iou": iou,
        "area_bound": area_bound,
        "size_standardized_iou": size_standardized_iou,
        "coverage": coverage,
        "precision": precision,
        "informedness": informedness,
        "false_positive_rate": false_positive_rate,
    }


def default_baselines(seed: int = 0) -> dict[str, Baseline]:
    """Return the baselines that need no training, by label.

    Parameters
    ----------
    seed
        Seed of the random maps.

    Returns
    -------
    dict of str to Baseline
        ``"center"`` and ``"random"`` are blind, ``"intensity"`` and ``"edges"`` use the image, and
        ``"truth"`` uses the ground truth.

    Examples
    --------
    >>> from cameval.evaluation import default_baselines
    >>> list(default_baselines())
    ['center', 'random', 'intensity', 'edges', 'truth']
    """
    return {
        "center": center_baseline,
        "random": RandomBaseline(seed=seed),
        "intensity": intensity_baseline,
        "edges": edge_baseline,
        "truth": truth_baseline,
    }

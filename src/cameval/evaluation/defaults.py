"""Default methods, binarizers, metrics and baselines of `evaluate`.

Each function returns a new dictionary by label: ``default_metrics() | {"mine": f}`` has one more.
"""

from cameval.baselines import (
    RandomBaseline,
    area_bound,
    center_baseline,
    edge_baseline,
    intensity_baseline,
    truth_baseline,
)
from cameval.binarizers import OtsuBinarizer, PercentileBinarizer
from cameval.methods import grad_cam
from cameval.metrics import (
    coverage,
    informedness,
    iou,
    pixel_auroc,
    pixel_average_precision,
    pointing_game,
    precision,
    size_standardized_iou,
)
from cameval.protocols import Baseline, Binarizer, CAMMethod, Metric

__all__ = ["default_baselines", "default_binarizers", "default_methods", "default_metrics"]


def default_methods() -> dict[str, CAMMethod]:
    """Return the default method by its label.

    Examples
    --------
    >>> list(default_methods())
    ['grad_cam']
    """
    return {"grad_cam": grad_cam}


def default_binarizers() -> dict[str, Binarizer]:
    """Return the default binarizers by label.

    Examples
    --------
    >>> list(default_binarizers())
    ['percentile:95', 'otsu']
    """
    return {"percentile:95": PercentileBinarizer(95), "otsu": OtsuBinarizer()}


def default_metrics() -> dict[str, Metric]:
    """Return the default metrics by label: three of maps, then those of masks with their bound.

    Examples
    --------
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

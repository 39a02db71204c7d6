"""What is evaluated when nothing is said: enough that no number stands alone."""

from cameval.baselines import Baseline, area_cap, default_baselines
from cameval.binarizers import Binarizer, OtsuBinarizer, PercentileBinarizer
from cameval.evaluation.plan import Metric
from cameval.methods import CAMMethod, grad_cam
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

__all__ = ["BINARIZERS", "METHODS", "METRICS", "baselines"]

METHODS: dict[str, CAMMethod] = {"grad_cam": grad_cam}
BINARIZERS: dict[str, Binarizer] = {"p95": PercentileBinarizer(95), "otsu": OtsuBinarizer()}
METRICS: dict[str, Metric] = {
    "pointing_game": pointing_game,
    "pixel_auroc": pixel_auroc,
    "pixel_average_precision": pixel_average_precision,
    "iou": iou,
    "area_cap": area_cap,
    "size_standardized_iou": size_standardized_iou,
    "coverage": coverage,
    "precision": precision,
    "informedness": informedness,
}


def baselines(seed: int) -> dict[str, Baseline]:
    """Return the baselines that need no training."""
    return default_baselines(seed)

"""Scores of masks and maps against true masks, one for each image.

`overlap` scores masks, `ranking` scores maps, `policy` says what happens at the edges.
"""

from cameval.metrics.overlap import (
    Counts,
    coverage,
    dice,
    informedness,
    iou,
    precision,
    score_counts,
    size_standardized_iou,
)
from cameval.metrics.policy import MapMetric, MaskMetric
from cameval.metrics.ranking import (
    pixel_auroc,
    pixel_average_precision,
    pointing_game,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)
from cameval.metrics.summary import share_above, share_below

__all__ = [
    "Counts",
    "MapMetric",
    "MaskMetric",
    "coverage",
    "dice",
    "informedness",
    "iou",
    "pixel_auroc",
    "pixel_average_precision",
    "pointing_game",
    "precision",
    "relevance_mass_accuracy",
    "relevance_rank_accuracy",
    "score_counts",
    "share_above",
    "share_below",
    "size_standardized_iou",
]

"""Scores of masks, maps and networks, one for each image.

Masks: `overlap`, `weighted`, `corrected`, `outcome`, `without_object`, boxes (`box_overlap`) and
borders (`surface`, `boundary`, `centroid`). Maps: `ranking`, `pointing`, `mass`, `curves`.
Networks: `faithfulness`, `perturbation`, `road`, `adcc`. `policy` says what happens at the edges.
"""

from cameval.metrics.boundary import BoundaryIoU
from cameval.metrics.boxes import (
    box_intersections,
    box_iou,
    box_precision,
    component_boxes,
    largest_box,
    pairwise_box_iou,
)
from cameval.metrics.centroid import CentroidDistance, equivalent_radius, image_diagonal
from cameval.metrics.chance_corrected import (
    chance_corrected_overlap,
    cohen_kappa,
    informedness,
    matthews_correlation,
    size_standardized_iou,
)
from cameval.metrics.counts import Counts, score_counts
from cameval.metrics.curves import (
    AreaToCover,
    CoverageAtArea,
    ThresholdCurve,
    curve_at_areas,
    max_iou,
    threshold_curve,
)
from cameval.metrics.dataset import MaxBoxAcc, PooledHistogram
from cameval.metrics.faithfulness import (
    ADCC,
    average_drop,
    average_gain,
    coherency,
    complexity,
    increase_in_confidence,
)
from cameval.metrics.mask_shape import MaskShape, mask_shape
from cameval.metrics.mass import relevance_mass_accuracy, relevance_mass_ratio, relevance_mass_skill
from cameval.metrics.outcome import OUTCOMES, Outcomes, containment_metrics, count_outcomes
from cameval.metrics.overlap import (
    FBeta,
    Tversky,
    dice,
    iou,
    overlap_coefficient,
    volumetric_similarity,
)
from cameval.metrics.perturbation import Deletion, Insertion
from cameval.metrics.pointing import PointingGame, pointing_game
from cameval.metrics.properties import higher_is_better, of_maps, of_masks, of_network, takes
from cameval.metrics.ranking import (
    average_precision_skill,
    iou_at_true_area,
    pixel_auroc,
    pixel_average_precision,
    relevance_rank_accuracy,
)
from cameval.metrics.rates import coverage, false_positive_rate, marked_area, precision, specificity
from cameval.metrics.road import ROAD, noisy_linear_imputation
from cameval.metrics.summary import share_above, share_below, share_equal
from cameval.metrics.surface import AverageSurfaceDistance, HausdorffDistance, SurfaceDice
from cameval.metrics.without_object import ZeroWithoutObject

__all__ = [
    "ADCC",
    "OUTCOMES",
    "ROAD",
    "AreaToCover",
    "AverageSurfaceDistance",
    "BoundaryIoU",
    "CentroidDistance",
    "Counts",
    "CoverageAtArea",
    "Deletion",
    "FBeta",
    "HausdorffDistance",
    "Insertion",
    "MaskShape",
    "MaxBoxAcc",
    "Outcomes",
    "PointingGame",
    "PooledHistogram",
    "SurfaceDice",
    "ThresholdCurve",
    "Tversky",
    "ZeroWithoutObject",
    "average_drop",
    "average_gain",
    "average_precision_skill",
    "box_intersections",
    "box_iou",
    "box_precision",
    "chance_corrected_overlap",
    "cohen_kappa",
    "coherency",
    "complexity",
    "component_boxes",
    "containment_metrics",
    "count_outcomes",
    "coverage",
    "curve_at_areas",
    "dice",
    "equivalent_radius",
    "false_positive_rate",
    "higher_is_better",
    "image_diagonal",
    "increase_in_confidence",
    "informedness",
    "iou",
    "iou_at_true_area",
    "largest_box",
    "marked_area",
    "mask_shape",  # noqa: RUF022 - sorted as Python sorts
    "matthews_correlation",
    "max_iou",
    "noisy_linear_imputation",
    "of_maps",
    "of_masks",
    "of_network",
    "overlap_coefficient",
    "pairwise_box_iou",
    "pixel_auroc",
    "pixel_average_precision",
    "pointing_game",
    "precision",
    "relevance_mass_accuracy",
    "relevance_mass_ratio",
    "relevance_mass_skill",
    "relevance_rank_accuracy",
    "score_counts",
    "share_above",
    "share_below",
    "share_equal",
    "size_standardized_iou",
    "specificity",
    "takes",
    "threshold_curve",
    "volumetric_similarity",
]

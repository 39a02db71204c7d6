"""Scores of masks, maps and networks, one for each image.

Masks: `overlap`, `weighted`, `corrected`, `outcome`, `without_object`, boxes (`box_overlap`) and
borders (`surface`, `boundary`, `centroid`). Maps: `ranking`, `pointing`, `mass`, `curves`.
Networks: `faithfulness`, `perturbation`, `road`, `adcc`. `policy` says what happens at the edges.
"""

from cameval.metrics.adcc import ADCC, coherency, complexity
from cameval.metrics.boundary import BoundaryIoU
from cameval.metrics.box_overlap import box_iou, box_precision
from cameval.metrics.boxes import box_intersections, component_boxes, largest_box, pairwise_box_iou
from cameval.metrics.centroid import CentroidDistance, equivalent_radius, image_diagonal
from cameval.metrics.corrected import (
    chance_corrected_overlap,
    cohen_kappa,
    informedness,
    matthews_correlation,
    size_standardized_iou,
)
from cameval.metrics.counts import Counts, score_counts
from cameval.metrics.curves import ThresholdCurve, curve_at_areas, threshold_curve
from cameval.metrics.faithfulness import average_drop, average_gain, increase_in_confidence
from cameval.metrics.mass import relevance_mass_accuracy, relevance_mass_ratio, relevance_mass_skill
from cameval.metrics.outcome import OUTCOMES, Outcomes, containment_metrics, count_outcomes
from cameval.metrics.overlap import (
    coverage,
    dice,
    false_positive_rate,
    iou,
    marked_area,
    overlap_coefficient,
    precision,
    specificity,
    volumetric_similarity,
)
from cameval.metrics.perturbation import Deletion, Insertion
from cameval.metrics.pointing import PointingGame, pointing_game
from cameval.metrics.policy import (
    MapMetric,
    MaskMetric,
    NetworkMetric,
    higher_is_better,
    of_maps,
    of_masks,
    of_network,
    takes,
)
from cameval.metrics.pooled import PooledHistogram
from cameval.metrics.ranking import (
    average_precision_skill,
    iou_at_true_area,
    pixel_auroc,
    pixel_average_precision,
    relevance_rank_accuracy,
)
from cameval.metrics.readings import AreaToCover, CoverageAtArea, oracle_iou
from cameval.metrics.road import ROAD, noisy_linear_imputation
from cameval.metrics.summary import share_above, share_below, share_equal
from cameval.metrics.surface import AverageSurfaceDistance, HausdorffDistance, SurfaceDice
from cameval.metrics.weighted import FBeta, Tversky
from cameval.metrics.without_object import ZeroWithoutObject
from cameval.metrics.wsol import BoxAccuracy

__all__ = [  # noqa: RUF022 - sorted as Python sorts
    "ADCC",
    "AreaToCover",
    "AverageSurfaceDistance",
    "BoundaryIoU",
    "BoxAccuracy",
    "CentroidDistance",
    "Counts",
    "CoverageAtArea",
    "Deletion",
    "FBeta",
    "HausdorffDistance",
    "Insertion",
    "MapMetric",
    "MaskMetric",
    "NetworkMetric",
    "OUTCOMES",
    "Outcomes",
    "PointingGame",
    "PooledHistogram",
    "ROAD",
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
    "matthews_correlation",
    "noisy_linear_imputation",
    "of_maps",
    "of_masks",
    "of_network",
    "oracle_iou",
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

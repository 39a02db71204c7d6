"""Scores of masks, maps and networks, one for each image.

Which metric of masks?

- How well do mask and truth overlap: `overlap` (IoU, Dice, F-beta, Tversky).
- How much of the truth is in the mask, and the reverse: `rates` (coverage, precision, area).
- Is the overlap better than chance, or than the size of the truth explains: `chance_corrected`.
- Is the object matched, missed, or is one mask inside the other: `outcome`.
- Do the bounding boxes match: `boxes`.
- Which of several objects are found, and what is marked beside them: `objects`.
- How far apart are the borders or the centers: `surface`, `boundary`, `centroid`.
- What is scored where the image has no object: `without_object`.
- Your own formula of pixel counts: `counts`. The shape of a mask: `mask_shape`.
- Any of them on volumes: `volumes`.

Which metric of maps, without a threshold?

- Does the maximum lie in the truth: `pointing`. Which of several objects have a peak: `peaks`.
- How much of the positive sum lies in the truth, and has a map the right sign there: `mass`.
- How well do the values rank the true pixels: `ranking`.
- How do scores depend on threshold or area: `curves`.
- How good are maps over a whole dataset: `dataset` (MaxBoxAcc, PxAP), `froc`.

Which metric of the network?

- Does the network still see its class in the marked part alone: `faithfulness`.
- How fast does the probability change as pixels are removed: `perturbation`, `road`.
- Several of these in one number: `faithfulness` (ADCC), `arcc`.

`properties` holds what a metric takes, its direction, its range and its title; `questions` what it
asks, and when its score misleads. `summary` counts images above or below a score.
"""

from cameval.metrics.arcc import ARCC
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
from cameval.metrics.dataset import MaxBoxAcc, PxAP
from cameval.metrics.faithfulness import (
    ADCC,
    average_drop,
    average_gain,
    coherency,
    complexity,
    increase_in_confidence,
)
from cameval.metrics.froc import FROC
from cameval.metrics.mask_shape import MaskShape, mask_shape
from cameval.metrics.mass import (
    dual_polarity_precision,
    energy_pointing_game,
    grid_pointing_game,
    relevance_mass_accuracy,
    relevance_mass_ratio,
    relevance_mass_skill,
)
from cameval.metrics.objects import FalsePositivesPerImage, ObjectF1, ObjectRecall
from cameval.metrics.outcome import (
    OUTCOMES,
    Outcomes,
    ZeroWithoutObject,
    containment_metrics,
    count_outcomes,
)
from cameval.metrics.overlap import (
    BoundaryIoU,
    FBeta,
    Tversky,
    dice,
    iou,
    overlap_coefficient,
    volumetric_similarity,
)
from cameval.metrics.peaks import pointing_recall
from cameval.metrics.perturbation import Deletion, Insertion
from cameval.metrics.pointing import pointing_game
from cameval.metrics.properties import (
    higher_is_better,
    is_pixelwise,
    of_maps,
    of_masks,
    of_network,
    takes,
    title_of,
    value_range,
    within,
)
from cameval.metrics.questions import MetricQuestion, asks, question_of
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
from cameval.metrics.volumes import on_volumes

__all__ = [
    "ADCC",
    "ARCC",
    "FROC",
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
    "FalsePositivesPerImage",
    "HausdorffDistance",
    "Insertion",
    "MaskShape",
    "MaxBoxAcc",
    "MetricQuestion",
    "ObjectF1",
    "ObjectRecall",
    "Outcomes",
    "PxAP",
    "SurfaceDice",
    "ThresholdCurve",
    "Tversky",
    "ZeroWithoutObject",
    "asks",
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
    "dual_polarity_precision",
    "energy_pointing_game",
    "equivalent_radius",
    "false_positive_rate",
    "grid_pointing_game",
    "higher_is_better",
    "image_diagonal",
    "increase_in_confidence",
    "informedness",
    "iou",
    "iou_at_true_area",
    "is_pixelwise",
    "largest_box",
    "marked_area",
    "mask_shape",
    "matthews_correlation",
    "max_iou",
    "noisy_linear_imputation",
    "of_maps",
    "of_masks",
    "of_network",
    "on_volumes",
    "overlap_coefficient",
    "pairwise_box_iou",
    "pixel_auroc",
    "pixel_average_precision",
    "pointing_game",
    "pointing_recall",
    "precision",
    "question_of",
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
    "title_of",
    "value_range",
    "volumetric_similarity",
    "within",
]

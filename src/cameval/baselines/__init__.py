"""What a score is compared with: blind maps, maps of the image, the truth on the grid, bounds.

A blind map never sees the image. A localization score says something only where it beats them. What
each baseline knows of its sample is an attribute: see `knowledge_of`.
"""

from cameval.baselines.blind import (
    GaussianBaseline,
    RandomBaseline,
    UntrainedBaseline,
    center_baseline,
    center_disc,
    center_map,
)
from cameval.baselines.bounds import area_bound, independent_iou, skill
from cameval.baselines.image_maps import edge_baseline, intensity_baseline
from cameval.baselines.mean_masks import ClassMeanBaseline, LeaveGroupOutBaseline, class_mean_masks
from cameval.baselines.properties import Knowledge, knowledge_of, knows
from cameval.baselines.truth_maps import grid_bound, reachable_iou, truth_baseline, truth_map

__all__ = [
    "ClassMeanBaseline",
    "GaussianBaseline",
    "Knowledge",
    "LeaveGroupOutBaseline",
    "RandomBaseline",
    "UntrainedBaseline",
    "area_bound",
    "center_baseline",
    "center_disc",
    "center_map",
    "class_mean_masks",
    "edge_baseline",
    "grid_bound",
    "independent_iou",
    "intensity_baseline",
    "knowledge_of",
    "knows",
    "reachable_iou",
    "skill",
    "truth_baseline",
    "truth_map",
]

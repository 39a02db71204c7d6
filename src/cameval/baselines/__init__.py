"""Baselines and upper bounds, with which the scores of a method are compared.

- Blind baselines do not see the image: `blind` (center, Gaussian, random, untrained network) and
  `mean_masks` (mean masks of other images).
- Image baselines see the image alone: `image_maps` (intensity, edges).
- The truth baseline sees the truth: `truth_maps` (the truth on the feature grid).
- `bounds`: area bound, grid bound, chance level, skill.

A localization score is meaningful only if it is above the baselines. What each baseline knows of
its sample is an attribute: see `knowledge_of`.
"""

from cameval.baselines.blind import (
    GaussianBaseline,
    RandomBaseline,
    UntrainedBaseline,
    center_baseline,
    center_disc,
    center_map,
)
from cameval.baselines.bounds import (
    area_bound,
    grid_bound,
    independent_iou,
    reachable_iou,
    skill,
)
from cameval.baselines.image_maps import edge_baseline, intensity_baseline
from cameval.baselines.mean_masks import ClassMeanBaseline, LeaveGroupOutBaseline, class_mean_masks
from cameval.baselines.properties import Knowledge, Pattern, knowledge_of, knows, pattern_of
from cameval.baselines.truth_maps import truth_baseline, truth_map

__all__ = [
    "ClassMeanBaseline",
    "GaussianBaseline",
    "Knowledge",
    "LeaveGroupOutBaseline",
    "Pattern",
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
    "pattern_of",
    "reachable_iou",
    "skill",
    "truth_baseline",
    "truth_map",
]

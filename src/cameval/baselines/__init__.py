"""What a score is held against: blind maps below it, caps and ceilings above it.

A blind map never sees the image. A localization score says something only where it beats them.
"""

from cameval.baselines.batch import Baseline, Batch
from cameval.baselines.ceilings import (
    nearest_ceiling,
    oracle_map,
    resolution_ceiling,
    resolution_oracle,
)
from cameval.baselines.defaults import default_baselines
from cameval.baselines.image_maps import edge_prior, intensity_prior
from cameval.baselines.leave_out import LeaveGroupOutPrior
from cameval.baselines.mean_masks import ClassMeanPrior, class_mean_masks
from cameval.baselines.priors import (
    GaussianPrior,
    RandomPrior,
    UntrainedPrior,
    center_disc,
    center_map,
    center_prior,
)
from cameval.baselines.scale import area_cap, independent_iou, skill

__all__ = [
    "Baseline",
    "Batch",
    "ClassMeanPrior",
    "GaussianPrior",
    "LeaveGroupOutPrior",
    "RandomPrior",
    "UntrainedPrior",
    "area_cap",
    "center_disc",
    "center_map",
    "center_prior",
    "class_mean_masks",
    "default_baselines",
    "edge_prior",
    "independent_iou",
    "intensity_prior",
    "nearest_ceiling",
    "oracle_map",
    "resolution_ceiling",
    "resolution_oracle",
    "skill",
]

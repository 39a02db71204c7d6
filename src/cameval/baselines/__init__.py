"""What a score is compared with: blind maps, maps of the image, the truth on the grid, bounds.

A blind map never sees the image. A localization score says something only where it beats them. What
each baseline knows of its sample is an attribute: see `what_it_knows`.
"""

from cameval.baselines.batch import Baseline, Batch, Knows, knows, what_it_knows
from cameval.baselines.defaults import default_baselines
from cameval.baselines.grids import grid_at_least, nearest_ceiling, oracle_map, truth_on_grid
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
    "Knows",
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
    "grid_at_least",
    "independent_iou",
    "intensity_prior",
    "knows",
    "nearest_ceiling",
    "oracle_map",
    "skill",
    "truth_on_grid",
    "what_it_knows",
]

"""What a score is held against: blind maps and masks below it, caps and ceilings above it.

A blind map never sees the image. A localization score says something only where it beats them.
"""

from cameval.baselines.batch import Baseline, Batch
from cameval.baselines.floors import (
    area_cap,
    center_disc,
    center_map,
    class_mean_masks,
    independent_iou,
)

__all__ = [
    "Baseline",
    "Batch",
    "area_cap",
    "center_disc",
    "center_map",
    "class_mean_masks",
    "independent_iou",
]

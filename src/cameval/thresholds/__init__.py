"""The arithmetic of the binarizers: rules from maps to thresholds.

A rule takes checked torch maps ``(..., H, W)`` and gives thresholds, one for each map ``(...)`` in
float64 or one for each pixel ``(..., H, W)``. `image_by_image` makes a rule of any function of one
NumPy map.
"""

from cameval.thresholds.histograms import multi_otsu, otsu
from cameval.thresholds.images import Rule, above, as_numpy, image_by_image
from cameval.thresholds.local import (
    Kernel,
    box,
    gaussian,
    local_mean,
    niblack,
    sauvola,
    smooth,
)
from cameval.thresholds.moments import mean, mean_sd, range_fraction
from cameval.thresholds.order import by_partition, by_selection, by_sorting, percentile, top_area

__all__ = [
    "Kernel",
    "Rule",
    "above",
    "as_numpy",
    "box",
    "by_partition",
    "by_selection",
    "by_sorting",
    "gaussian",
    "image_by_image",
    "local_mean",
    "mean",
    "mean_sd",
    "multi_otsu",
    "niblack",
    "otsu",
    "percentile",
    "range_fraction",
    "sauvola",
    "smooth",
    "top_area",
]

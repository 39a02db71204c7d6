"""Intervals, tests and dependence of per-image scores that respect groups.

Images of one patient are not independent, so whatever is flipped, left out or summed is a patient.
Means weigh all images alike, in tables, intervals and tests.
Numbers go in as NumPy arrays, tensors or sequences; NaN means undefined, is left out and counted.
Plain frozen records come out. Everything random has a seed.
"""

from cameval.statistics.crossval import ResampledT, corrected_resampled_t
from cameval.statistics.dependence import rank_correlation
from cameval.statistics.describe import Summary, describe, describe_columns
from cameval.statistics.difference import (
    Difference,
    difference_interval,
)
from cameval.statistics.intervals import (
    ENOUGH_GROUPS,
    Interval,
    mean_interval,
    mean_intervals,
)
from cameval.statistics.paired import (
    PairedTest,
    SignFlip,
    holm,
    paired_tests,
    sign_flip_test,
)
from cameval.statistics.regression import (
    Coefficient,
    Regression,
    clustered_regression,
    log_area_regression,
)

__all__ = [
    "ENOUGH_GROUPS",
    "Coefficient",
    "Difference",
    "Interval",
    "PairedTest",
    "Regression",
    "ResampledT",
    "SignFlip",
    "Summary",
    "clustered_regression",
    "corrected_resampled_t",
    "describe",
    "describe_columns",
    "difference_interval",
    "holm",
    "log_area_regression",
    "mean_interval",
    "mean_intervals",
    "paired_tests",
    "rank_correlation",
    "sign_flip_test",
]

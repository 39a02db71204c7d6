"""Statistics of scores per image, with groups of images that are not independent.

- Mean, interval, quartiles and counts of a column: `describe`; intervals alone: `intervals`.
- Two methods on the same images: `paired` (sign-flip tests, Holm's correction).
- Two parts of the images: `difference`.
- Two models over repeated splits: `crossval`.
- Dependence of a score on other quantities: `dependence` (rank correlation), `regression`.

Images of one patient are not independent, so patients (groups) are flipped, left out and summed,
not images. Means weigh all images equally, in tables, intervals and tests. Inputs are NumPy arrays,
tensors or sequences; NaN means undefined and is left out and counted. Results are frozen
dataclasses. Everything random has a seed.
"""

from cameval.statistics.crossval import ResampledT, corrected_resampled_t
from cameval.statistics.dependence import rank_correlation
from cameval.statistics.describe import Summary, describe, describe_columns
from cameval.statistics.difference import Difference, difference_interval
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

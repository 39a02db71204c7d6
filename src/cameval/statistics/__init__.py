"""Intervals, tests and dependence of per-image scores that respect groups.

Images of one patient are not independent, so whatever is drawn, flipped or summed is a patient.
Numbers go in as NumPy arrays, tensors or sequences; NaN means undefined, is left out and counted.
Plain frozen records come out. Everything random has a seed.
"""

from cameval.statistics.bootstrap import Interval, bootstrap_mean, bootstrap_means
from cameval.statistics.crossval import ResampledT, corrected_resampled_t
from cameval.statistics.dependence import rank_correlation
from cameval.statistics.describe import Summary, describe
from cameval.statistics.difference import Difference, bootstrap_difference
from cameval.statistics.family import PairedTest, holm, paired_tests
from cameval.statistics.paired import SignFlip, Wilcoxon, sign_flip_test, wilcoxon_test
from cameval.statistics.regression import (
    Coefficient,
    Regression,
    clustered_regression,
    log_area_regression,
)
from cameval.statistics.shape import MaskShape, mask_shape

__all__ = [
    "Coefficient",
    "Difference",
    "Interval",
    "MaskShape",
    "PairedTest",
    "Regression",
    "ResampledT",
    "SignFlip",
    "Summary",
    "Wilcoxon",
    "bootstrap_difference",
    "bootstrap_mean",
    "bootstrap_means",
    "clustered_regression",
    "corrected_resampled_t",
    "describe",
    "holm",
    "log_area_regression",
    "mask_shape",
    "paired_tests",
    "rank_correlation",
    "sign_flip_test",
    "wilcoxon_test",
]

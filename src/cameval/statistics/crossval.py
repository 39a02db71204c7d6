"""Differences between models over repeated splits of one data set."""

from dataclasses import dataclass

import numpy as np

from cameval.errors import SettingError
from cameval.statistics._inputs import (
    Values,
    as_numbers,
    check_aligned,
    check_confidence,
    mean_or_nan,
)

__all__ = ["ResampledT", "corrected_resampled_t"]


@dataclass(frozen=True)
class ResampledT:
    """A mean difference over splits, with its interval and test.

    Attributes
    ----------
    difference, low, high
        The mean and the ends of its interval.
    t, p
        Statistic and two-sided p-value.
    n
        Number of splits with a defined difference.
    n_undefined
        Number of splits without.

    Examples
    --------
    >>> from cameval.statistics import corrected_resampled_t
    >>> test = corrected_resampled_t([0.02, 0.04, 0.06], n_train=80, n_test=20)
    >>> round(test.difference, 3), test.n, test.n_undefined
    (0.04, 3, 0)
    >>> round((test.low + test.high) / 2, 3)  # the interval is symmetric
    0.04
    """

    difference: float
    low: float
    high: float
    t: float
    p: float
    n: int
    n_undefined: int


def corrected_resampled_t(
    differences: Values, *, n_train: int, n_test: int, confidence: float = 0.95
) -> ResampledT:
    """Test a difference between two models over repeated train-test splits (Nadeau-Bengio).

    Splits share training data, so their differences are not independent. The variance of the mean
    of J differences is estimated as ``(1 / J + n_test / n_train)`` times their sample variance,
    instead of ``1 / J`` times.

    Parameters
    ----------
    differences
        One number for each split: the score of one model minus that of the other on the test part.
        NaN means undefined and is left out, but counted.
    n_train, n_test
        Sizes of the two parts, in units that are independent: patients rather than images.
    confidence
        Confidence of the interval, in (0, 1).

    Returns
    -------
    ResampledT
        All numbers are NaN if no difference is defined; all but `difference` if only one is defined
        or all are equal.

    Raises
    ------
    ArrayTypeError
        If the differences are not real numbers.
    ShapeError
        If there is no value, or more than one axis.
    NonFiniteError
        If a difference is infinite.
    SettingError
        If a size is not positive or `confidence` is out of its range.

    References
    ----------
    C. Nadeau and Y. Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003).

    Examples
    --------
    >>> from cameval.statistics import corrected_resampled_t
    >>> test = corrected_resampled_t([0.02, 0.04, 0.03, 0.01, 0.05], n_train=80, n_test=20)
    >>> round(test.difference, 3), round(test.t, 3), round(test.p, 3)
    (0.03, 2.828, 0.047)
    """
    from scipy.special import stdtr, stdtrit

    if not (n_train > 0 and n_test > 0):
        raise SettingError(f"n_train and n_test must be positive, got {n_train} and {n_test}")
    check_confidence(confidence)
    numbers = as_numbers(differences, "differences")
    check_aligned(("differences", numbers))
    defined = numbers[~np.isnan(numbers)]
    mean, n = mean_or_nan(defined), defined.size
    low = high = t = p = float("nan")
    if n > 1 and np.ptp(defined) > 0:
        error = np.sqrt((1 / n + n_test / n_train) * defined.var(ddof=1))
        t = float(mean / error)
        p = float(2 * stdtr(n - 1, -abs(t)))
        margin = float(error * stdtrit(n - 1, (1 + confidence) / 2))
        low, high = mean - margin, mean + margin
    return ResampledT(mean, low, high, t, p, n, numbers.size - n)

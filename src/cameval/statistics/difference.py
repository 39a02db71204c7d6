"""Difference between the means of two parts of the images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameval.errors import ArrayTypeError
from cameval.statistics._cluster_robust import ClusterRobust, cluster_robust
from cameval.statistics._inputs import (
    Floats,
    Groups,
    Labels,
    Values,
    as_labels,
    as_numbers,
    check_aligned,
)
from cameval.statistics.intervals import Interval, interval_is_reliable, mean_intervals

__all__ = ["Difference", "difference_interval"]

NAN = float("nan")
_ROUNDING = 1e-12  # relative to the largest number


@dataclass(frozen=True)
class Difference:
    """A difference of two means with its confidence interval and the numbers of values.

    Attributes
    ----------
    estimate, low, high
        ``first - second`` and the ends of its interval.
    first, second
        The two means.
    n_first, n_second
        Number of defined values of each.
    n_groups
        Number of groups with a defined value.
    n_undefined
        Number of values that are NaN, which are in neither mean.

    Examples
    --------
    >>> from cameval.statistics import difference_interval
    >>> correct = [True, True, False, False]
    >>> found = difference_interval([0.5, 0.7, 0.1, 0.3], correct, ["a", "b", "c", "d"])
    >>> round(found.first, 2), round(found.second, 2), round(found.estimate, 2)
    (0.6, 0.2, 0.4)
    >>> found.n_groups, found.is_reliable
    (4, False)
    """

    estimate: float
    low: float
    high: float
    first: float
    second: float
    n_first: int
    n_second: int
    n_groups: int
    n_undefined: int

    @property
    def is_reliable(self) -> bool:
        """Whether there is an interval from ten groups or more; with fewer it may be too narrow."""
        return interval_is_reliable(self.n_groups, self.low, self.high)


def difference_interval(
    values: Values,
    where: NDArray[np.bool_] | Values,
    groups: Labels,
    *,
    confidence: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Difference:
    """Return the mean of some images minus the mean of the others, with an interval.

    For example of the correctly classified images and the others. A patient may have images of both
    kinds. Each end is the farther one of two intervals that take groups into account: that of the
    coefficient of a `clustered_regression` on `where`, and that from the `mean_interval` of each
    part (MOVER), which is for few or skewed values. For two values of every image, such as those of
    two methods, use `sign_flip_test`.

    Parameters
    ----------
    values
        One number for each image; NaN means undefined and is left out, but counted.
    where
        Booleans: true for the images of the first mean, false for those of the second.
    groups, confidence, bounds
        As of `mean_interval`.

    Returns
    -------
    Difference
        A mean without a value is NaN. The two ends are NaN if one of the means has fewer than two
        groups, or if its values are all equal and no bounds are known.

    Raises
    ------
    ArrayTypeError
        If the values are not real numbers, or `where` is not boolean.
    ShapeError, NonFiniteError, SettingError
        As of `mean_interval`.

    References
    ----------
    G. Y. Zou and A. Donner, "Construction of Confidence Limits about Effect Measures: A General
    Approach", Statistics in Medicine 27 (2008).

    Examples
    --------
    >>> from cameval.statistics import difference_interval
    >>> correct = [True, True, False, True, False]
    >>> interval = difference_interval([0.5, 0.6, 0.1, 0.7, 0.3], correct, [1, 1, 1, 2, 3])
    >>> round(interval.estimate, 3), interval.n_first, interval.n_second
    (0.4, 3, 2)
    """
    numbers, chosen, labels = as_numbers(values), as_labels(where, "where"), as_labels(groups)
    if chosen.dtype != np.bool_:
        raise ArrayTypeError(f"where must be boolean, got {chosen.dtype}")
    check_aligned(("values", numbers), ("where", chosen), ("groups", labels))
    if bounds is None and np.isin(numbers[~np.isnan(numbers)], (0, 1)).all():
        bounds = (0, 1)

    parts = np.column_stack([np.where(part, numbers, np.nan) for part in (chosen, ~chosen)])
    first, second = mean_intervals(parts, labels, confidence=confidence, bounds=bounds)
    defined = ~np.isnan(numbers)
    low = high = NAN
    if not np.isnan([first.low, second.low]).any():
        x = np.column_stack([np.ones(defined.sum()), chosen[defined]])
        fit = cluster_robust(numbers[defined], x, Groups.of(labels[defined]))
        low, high = _ends(fit, first, second, confidence)
        if bounds is not None:
            width = bounds[1] - bounds[0]
            low, high = max(low, -width), min(high, width)
    return Difference(
        estimate=first.estimate - second.estimate,
        low=low,
        high=high,
        first=first.estimate,
        second=second.estimate,
        n_first=first.n,
        n_second=second.n,
        n_groups=np.unique(labels[defined]).size,
        n_undefined=int((~defined).sum()),
    )


def _ends(
    fit: ClusterRobust, first: Interval, second: Interval, confidence: float
) -> tuple[float, float]:
    """Return the ends of the interval: the farther ones of regression and MOVER."""
    from scipy.special import stdtrit

    estimate = first.estimate - second.estimate
    margin = np.sqrt(fit.covariance[1, 1]) * stdtrit(fit.freedom[1], (1 + confidence) / 2)
    r = _correlation(fit.covariance)
    below = _distance(first.estimate - first.low, second.high - second.estimate, r)
    above = _distance(first.high - first.estimate, second.estimate - second.low, r)
    return float(estimate - max(margin, below)), float(estimate + max(margin, above))


def _correlation(covariance: Floats) -> float:
    """Return the correlation of the two means from the covariance of the coefficients."""
    first, second = covariance.sum(), covariance[0, 0]
    if min(first, second) <= _ROUNDING * np.abs(covariance).max():
        return 0.0
    shared = covariance[0, 0] + covariance[0, 1]
    return float(np.clip(shared / np.sqrt(first * second), -1, 1))


def _distance(one: float, other: float, correlation: float) -> float:
    """Return the distance of an end from the difference of two correlated means (MOVER)."""
    return float(np.sqrt(max(one**2 + other**2 - 2 * correlation * one * other, 0)))

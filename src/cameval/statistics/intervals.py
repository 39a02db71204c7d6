"""Confidence intervals of means of grouped images: images of a patient are not independent."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameval.errors import SettingError, ShapeError
from cameval.statistics._inputs import (
    Floats,
    Groups,
    Labels,
    Values,
    as_labels,
    as_numbers,
    check_aligned,
    check_confidence,
)

__all__ = ["ENOUGH_GROUPS", "Interval", "mean_interval", "mean_intervals"]

ENOUGH_GROUPS = 10
"""From this number of groups on, the coverage of an interval is near the nominal one."""

_ROUNDING = 1e-12  # relative to the largest number


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval and the numbers of values and groups.

    Attributes
    ----------
    estimate, low, high
        The estimate, such as a mean, and the ends of its interval.
    n
        Number of defined values.
    n_groups
        Number of groups with a defined value.
    n_undefined
        Number of values that are NaN, which are not in the estimate.

    Examples
    --------
    >>> from cameval.statistics import mean_interval
    >>> mean = mean_interval([0.2, 0.4, 0.6, float("nan")], ["a", "b", "c", "d"])
    >>> round(mean.estimate, 2), mean.n, mean.n_groups, mean.n_undefined
    (0.4, 3, 3, 1)
    >>> mean.low < 0.4 < mean.high, mean.is_reliable  # fewer than ten groups
    (True, False)

    As text it is the estimate and the ends, which are left out where they are not defined:

    >>> print(mean)
    .400 [-.097, .897]
    """

    estimate: float
    low: float
    high: float
    n: int
    n_groups: int
    n_undefined: int

    def __str__(self) -> str:
        """Return the estimate and the ends of the interval, with three decimals."""
        estimate, low, high = map(_short, (self.estimate, self.low, self.high))
        return estimate if np.isnan(self.low + self.high) else f"{estimate} [{low}, {high}]"

    @property
    def is_reliable(self) -> bool:
        """Whether there is an interval from ten groups or more; with fewer it may be too narrow."""
        return interval_is_reliable(self.n_groups, self.low, self.high)


def _short(number: float) -> str:
    """Return a number with three decimals, without the zero before the point."""
    if np.isnan(number):
        return "--"
    sign = "-" if round(number, 3) < 0 else ""
    return sign + f"{abs(number):.3f}".removeprefix("0")


def interval_is_reliable(n_groups: int, low: float, high: float) -> bool:
    """Tell whether the ends are defined and there are enough groups."""
    return n_groups >= ENOUGH_GROUPS and not np.isnan(low + high)


def mean_interval(
    values: Values,
    groups: Labels,
    *,
    strata: Labels | None = None,
    confidence: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Interval:
    """Return the mean of per-image values with a confidence interval for grouped images.

    The mean weighs all images equally. Its variance is cluster-robust (CR2), with Student's t and
    Satterthwaite's degrees of freedom for the sizes of the groups. If the values have a lower or an
    upper limit and are skewed towards the other side, as with many zeros, this interval is too
    short on the long side. There, the end is the farther one of it and of a score interval, whose
    variance grows with the distance of the mean from the limit, as that of a share does. For values
    of 0 and 1 this is Wilson's interval with the effective number of images, that is the number
    divided by the design effect. Nothing is random.

    Parameters
    ----------
    values
        One number for each image; NaN means undefined and is left out, but counted.
    groups
        The group of each image, such as its patient: integers or strings.
    strata
        The stratum of each image, for example its class, if the share of each stratum is fixed:
        then only the variance within strata counts. All images of a group must lie in one stratum.
        Strata are ignored if one of them has a single group.
    confidence
        Confidence of the interval, in (0, 1).
    bounds
        The smallest and the largest possible value, such as ``(0, 1)``; the interval ends there. By
        default unknown, but ``(0, 1)`` if all values are 0 or 1.

    Returns
    -------
    Interval
        All three numbers are NaN if no value is defined. The two ends are NaN if only one group has
        a value, or if all values are equal and no bounds are known.

    Raises
    ------
    ArrayTypeError
        If the values are not real numbers.
    ShapeError
        If there are no values, or not one group and stratum for each.
    NonFiniteError
        If a value is infinite or a group is missing.
    SettingError
        If `confidence` is out of its range, a group lies in two strata, or a value is outside
        `bounds`.

    See Also
    --------
    mean_intervals : The same for many columns at once, which is faster.

    Notes
    -----
    For equal values with known bounds, such as twelve successes of twelve, the score interval
    counts each group as one image, because the variance within groups is unknown.

    References
    ----------
    R. M. Bell and D. F. McCaffrey, "Bias Reduction in Standard Errors for Linear Regression with
    Multi-Stage Samples", Survey Methodology 28 (2002).
    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of
    the American Statistical Association 22 (1927).
    E. L. Korn and B. I. Graubard, "Confidence Intervals for Proportions with Small Expected Number
    of Positive Counts Estimated from Survey Data", Survey Methodology 24 (1998).

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.statistics import mean_interval
    >>> scores = [0.1, 0.2, 0.9, float("nan"), 0.4, 0.3]
    >>> interval = mean_interval(scores, ["ann", "ann", "bob", "bob", "eve", "joe"])
    >>> interval.n, interval.n_groups, interval.n_undefined
    (5, 4, 1)
    >>> round(interval.estimate, 3), round(interval.low, 3), round(interval.high, 3)
    (0.38, -0.278, 1.038)
    >>> all_right = mean_interval(np.ones(12), range(12))
    >>> round(all_right.low, 3), all_right.high
    (0.712, 1.0)
    """
    numbers, labels = as_numbers(values), as_labels(groups)
    check_aligned(("values", numbers), ("groups", labels))
    return _intervals(numbers[:, None], Groups.of(labels, strata), confidence, bounds)[0]


def mean_intervals(
    values: Values,
    groups: Labels,
    *,
    strata: Labels | None = None,
    confidence: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> list[Interval]:
    """Return `mean_interval` of each column, faster than column by column.

    Parameters
    ----------
    values
        One row for each image and one column for each quantity, ``(N, K)``. NaN means undefined;
        each column leaves out its own.
    groups, strata, confidence, bounds
        As of `mean_interval`.

    Returns
    -------
    list of Interval
        One for each column.

    Raises
    ------
    ArrayTypeError, ShapeError, NonFiniteError, SettingError
        As of `mean_interval`.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.statistics import mean_intervals
    >>> values = np.array([[0.1, 1.0], [0.2, np.nan], [0.9, 0.0]])
    >>> [(round(mean.estimate, 3), mean.n) for mean in mean_intervals(values, [1, 1, 2])]
    [(0.4, 3), (0.5, 2)]
    """
    numbers, labels = as_numbers(values), as_labels(groups)
    if numbers.ndim != 2 or labels.size == 0 or labels.shape != numbers.shape[:1]:
        raise ShapeError(
            "values and groups must have shapes (N, K) and (N,) with at least one row, "
            f"got {numbers.shape} and {labels.shape}"
        )
    return _intervals(numbers, Groups.of(labels, strata), confidence, bounds)


def _intervals(
    values: Floats, groups: Groups, confidence: float, bounds: tuple[float, float] | None
) -> list[Interval]:
    from scipy.special import stdtrit

    check_confidence(confidence)
    columns = np.ascontiguousarray(values.T)
    defined = ~np.isnan(columns)
    if not columns.size:
        return []
    sizes = groups.sums_of_rows(defined.astype(np.float64))
    n, n_groups = sizes.sum(1), (sizes > 0).sum(1)
    with np.errstate(all="ignore"):
        means = np.where(defined, columns, 0).sum(1) / n
        errors = np.where(defined, columns - means[:, None], 0)
        spread = (errors**2).sum(1) / n
        variance, freedom = _variance(groups.sums_of_rows(errors), sizes, spread, groups)
        limits = _limits(columns, defined, bounds)
        alike = limits.smallest == limits.largest
        known = np.isfinite(limits.high - limits.low)
        t = np.asarray(stdtrit(freedom, (1 + confidence) / 2), np.float64)
        margin = t * np.sqrt(variance)
        score = _ScoreInterval(spread, np.where(alike, 0, variance), t, _effective_groups(sizes))
        above = score.upper_end(means - limits.lower, limits.high - limits.low)
        below = score.upper_end(limits.upper - means, limits.high - limits.low)
        low = np.fmin(means - margin, limits.upper - below)
        high = np.fmax(means + margin, limits.lower + above)
        low, high = np.maximum(low, limits.low), np.minimum(high, limits.high)
    undefined = (n_groups < 2) | (alike & ~known)
    low[undefined] = high[undefined] = np.nan
    rows = zip(
        *(a.tolist() for a in (means, low, high, n.astype(int), n_groups, (~defined).sum(1))),
        strict=True,
    )
    return [Interval(*column) for column in rows]


@dataclass(frozen=True)
class _Limits:
    """Extremes of the values of each column, and of its possible values, each ``(K,)``."""

    smallest: Floats
    largest: Floats
    low: Floats
    high: Floats

    @property
    def lower(self) -> Floats:
        """The smallest possible value, or the smallest value if that is unknown."""
        return np.where(np.isfinite(self.low), self.low, self.smallest)

    @property
    def upper(self) -> Floats:
        """The largest possible value, or the largest value if that is unknown."""
        return np.where(np.isfinite(self.high), self.high, self.largest)


def _limits(
    columns: Floats, defined: NDArray[np.bool_], bounds: tuple[float, float] | None
) -> _Limits:
    smallest = np.where(defined, columns, np.inf).min(1)
    largest = np.where(defined, columns, -np.inf).max(1)
    nearly = largest - smallest <= _ROUNDING * np.maximum(np.abs(smallest), np.abs(largest))
    largest = np.where(nearly, smallest, largest)
    if bounds is not None:
        least, most = bounds
        if not least < most:
            raise SettingError(f"bounds must be two numbers in ascending order, got {bounds}")
        if (smallest < least).any() or (largest[defined.any(1)] > most).any():
            raise SettingError(
                f"values must lie within the bounds {bounds}, got values from {smallest.min()} "
                f"to {largest.max()}"
            )
        return _Limits(smallest, largest, *(np.full(len(columns), end) for end in bounds))
    shares = (~defined | (columns == 0) | (columns == 1)).all(1)
    low, high = np.where(shares, 0, -np.inf), np.where(shares, 1, np.inf)
    return _Limits(smallest, largest, low, high)


@dataclass(frozen=True)
class _ScoreInterval:
    """Score intervals for the distance of a mean from a limit of its values.

    The variance of the mean is ``v(mu) = mu (c - mu) / n`` with its distance mu from the limit. It
    is the variance of a mixture of values at the limit and values of another distribution, with an
    unknown proportion. The ratio of mean square to mean gives c, and the estimated variance gives
    n. Values of 0 and 1 have c = 1.
    """

    spread: Floats
    variance: Floats
    t: Floats
    groups: Floats

    def upper_end(self, distance: Floats, width: Floats) -> Floats:
        """Return the upper end for means at a distance; equal values could vary over `width`."""
        equal = self.variance <= 0
        c = np.where(equal, width, distance + self.spread / distance)
        n = np.where(equal, self.groups, self.spread / self.variance)
        return c * _wilson_high(distance / c, n, self.t)


def _wilson_high(share: Floats, n: Floats, t: Floats) -> Floats:
    """Return the upper end of Wilson's interval for a share of `n` values."""
    center = share + t**2 / (2 * n)
    margin = t * np.sqrt(np.maximum(share * (1 - share) / n + t**2 / (4 * n**2), 0))
    end: Floats = (center + margin) / (1 + t**2 / n)
    return end


def _effective_groups(sizes: Floats) -> Floats:
    """Return the number of equal groups that gives the same variance, if only groups differ."""
    effective: Floats = sizes.sum(1) ** 2 / (sizes**2).sum(1)
    return effective


def _variance(sums: Floats, sizes: Floats, spread: Floats, groups: Groups) -> tuple[Floats, Floats]:
    """Return the variance of each column's mean and its degrees of freedom, ``(K,)``."""
    variance, freedom = _cr2(sums, sizes, spread)
    if groups.n_strata == 1:
        return variance, freedom
    total = sizes.sum(1)
    within, fourth = np.zeros_like(variance), np.zeros_like(variance)
    for stratum in range(groups.n_strata):
        here = groups.stratum == stratum
        of_stratum = sizes[:, here]
        n = of_stratum.sum(1)
        centered = sums[:, here] - of_stratum * (sums[:, here].sum(1) / n)[:, None]
        one, its_freedom = _cr2(centered, of_stratum, spread)
        weighted = np.where(n > 0, one * (n / total) ** 2, 0)  # NaN for a single group
        within += weighted
        fourth += np.where(weighted > 0, weighted**2 / its_freedom, weighted)
    usable = ~np.isnan(within)
    return (
        np.where(usable, within, variance),
        np.where(usable & (fourth > 0), within**2 / fourth, freedom),
    )


def _cr2(sums: Floats, sizes: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Return the variance of a mean by CR2 and Satterthwaite's degrees of freedom.

    `sums` are the groups' sums of deviations from the mean. The degrees of freedom use the
    estimated correlation of images of one group.
    """
    n = sizes.sum(1)
    weights = sizes / n[:, None]
    variance = (sums**2 / (1 - weights)).sum(1) / n**2
    excess = (sizes**2).sum(1) / n - 1
    alike = np.where(excess > 0, (variance * n / spread - 1) / excess, 0)
    alike = np.clip(np.nan_to_num(alike), 0, 1)
    return variance, _freedom(weights, sizes * (1 + (sizes - 1) * alike[:, None]))


def _freedom(weights: Floats, variances: Floats) -> Floats:
    """Return Satterthwaite's degrees of freedom of the CR2 variance of a mean.

    The variance is a quadratic form ``sum(a_g e_g ** 2)`` of the groups' summed errors, which have
    the given variances. The degrees of freedom are its squared expectation over half its variance.
    """
    total, squares = variances.sum(1), 1 / (1 - weights)
    own = variances - 2 * weights * variances + weights**2 * total[:, None]
    shared = weights**2 * total[:, None] - 2 * weights * variances
    ww = (squares * weights**2).sum(1)
    vv = (squares * variances**2).sum(1)
    wv = (squares * weights * variances).sum(1)
    pairs = 2 * ww * vv + 2 * wv**2 + (total * ww) ** 2 - 4 * total * ww * wv
    pairs += (squares**2 * (own**2 - shared**2)).sum(1)
    freedom: Floats = (squares * own).sum(1) ** 2 / pairs
    return freedom

"""Intervals that respect groups: images of one patient are not independent."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cameval.errors import ShapeError
from cameval.statistics.inputs import (
    Floats,
    Groups,
    Labels,
    Values,
    as_labels,
    as_numbers,
    check_aligned,
    mean_of,
)
from cameval.statistics.resampling import Resampling, bca_levels, quantiles, total

__all__ = ["Interval", "bootstrap_mean", "bootstrap_means"]

NAN = float("nan")


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval and what it rests on.

    Attributes
    ----------
    estimate, low, high
        The estimate, such as a mean, and the ends of its interval.
    n
        Defined values.
    n_groups
        Groups with a defined value.
    n_undefined
        Values that are NaN and therefore not in the estimate.
    """

    estimate: float
    low: float
    high: float
    n: int
    n_groups: int
    n_undefined: int


def bootstrap_mean(
    values: Values,
    groups: Labels,
    *,
    strata: Labels | None = None,
    bca: bool = False,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Return the mean of per-image values with a cluster bootstrap interval.

    Whole groups (patients) are drawn with replacement, as many as there are, and all their values
    with them. The interval runs between two percentiles of the resampled means. With one image in
    each group it is the ordinary bootstrap.

    Parameters
    ----------
    values
        One number for each image; NaN means undefined and is left out, but counted.
    groups
        The group of each image: integers or strings.
    strata
        The stratum of each image, for example its class. Groups are then drawn within each stratum,
        as many as it has, so that every resample has the same mix of strata. All images of a group
        must lie in one stratum.
    bca
        Whether to correct the percentiles for bias and skewness (bias-corrected and accelerated;
        the jackknife leaves out groups). Better than plain percentiles where groups are few and the
        values skewed.
    confidence
        Share of the resampled means inside the interval, in (0, 1).
    resamples
        Number of resamples.
    seed
        Seed of the random draws; the same seed gives the same interval.

    Returns
    -------
    Interval
        NaN where nothing can be said: all three numbers if no value is defined, the two ends if
        no stratum has two groups.

    Raises
    ------
    ArrayTypeError
        If the values are not real numbers.
    ShapeError
        If there are no values, or not one group and stratum for each.
    NonFiniteError
        If a value is infinite or a group is missing.
    SettingError
        If `confidence`, `resamples` or `seed` is out of its range, or a group lies in two strata.

    See Also
    --------
    bootstrap_means : Of many columns at once, which is faster.

    References
    ----------
    A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application", sections 3.8 and
    5.3, Cambridge University Press, 1997.
    B. Efron, "Better Bootstrap Confidence Intervals", JASA 82 (1987).

    Examples
    --------
    >>> interval = bootstrap_mean([0.1, 0.2, 0.9, float("nan")], ["ann", "ann", "bob", "eve"])
    >>> interval.n, interval.n_groups, interval.n_undefined
    (3, 2, 1)
    >>> round(interval.estimate, 3), round(interval.low, 3), round(interval.high, 3)
    (0.4, 0.15, 0.9)
    """
    numbers, labels = as_numbers(values), as_labels(groups)
    check_aligned(("values", numbers), ("groups", labels))
    settings = Resampling(confidence, resamples, seed)
    return _intervals(numbers[:, None], Groups.of(labels, strata), settings, bca)[0]


def bootstrap_means(
    values: Values,
    groups: Labels,
    *,
    strata: Labels | None = None,
    bca: bool = False,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[Interval]:
    """Return `bootstrap_mean` of each column, exactly, in a fraction of the time.

    Columns with equally many groups share the random draws.

    Parameters
    ----------
    values
        One row for each image and one column for each quantity, ``(N, K)``. NaN means undefined;
        each column leaves out its own.
    groups, strata, bca, confidence, resamples, seed
        As of `bootstrap_mean`.

    Returns
    -------
    list of Interval
        One for each column.

    Raises
    ------
    ArrayTypeError, ShapeError, NonFiniteError, SettingError
        As of `bootstrap_mean`.

    Examples
    --------
    >>> values = np.array([[0.1, 1.0], [0.2, np.nan], [0.9, 0.0]])
    >>> [(round(mean.estimate, 3), mean.n) for mean in bootstrap_means(values, [1, 1, 2])]
    [(0.4, 3), (0.5, 2)]
    """
    numbers, labels = as_numbers(values), as_labels(groups)
    if numbers.ndim != 2 or labels.size == 0 or labels.shape != numbers.shape[:1]:
        raise ShapeError(
            "values and groups must have shapes (N, K) and (N,) with at least one row, "
            f"got {numbers.shape} and {labels.shape}"
        )
    settings = Resampling(confidence, resamples, seed)
    return _intervals(numbers, Groups.of(labels, strata), settings, bca)


@dataclass(frozen=True)
class _Column:
    """One column by the sums and counts of its groups with a defined value."""

    estimate: float
    sums: Floats
    counts: Floats
    sizes: tuple[int, ...]
    n_undefined: int

    @classmethod
    def of(cls, values: Floats, groups: Groups) -> "_Column":
        defined = ~np.isnan(values)
        sums, counts = groups.sums(values[defined], defined)
        present = counts > 0
        return cls(
            mean_of(values[defined]),
            sums[present],
            counts[present],
            groups.sizes(present),
            int((~defined).sum()),
        )

    def interval(self, means: Floats, settings: Resampling, bca: bool) -> Interval:
        low = high = NAN
        if means.size and bca:
            left_out = (self.sums.sum() - self.sums) / (self.counts.sum() - self.counts)
            levels = bca_levels(
                means, self.estimate, left_out, self.sizes, confidence=settings.confidence
            )
            low, high = quantiles(means, levels)
        elif means.size:
            low, high = settings.ends(means)
        n, n_groups = int(self.counts.sum()), self.counts.size
        return Interval(self.estimate, low, high, n, n_groups, self.n_undefined)


def _intervals(values: Floats, groups: Groups, settings: Resampling, bca: bool) -> list[Interval]:
    columns = [_Column.of(column, groups) for column in values.T]
    sharing: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for k, column in enumerate(columns):
        sharing[column.sizes].append(k)
    means: dict[int, Floats] = {}
    for sizes, members in sharing.items():
        resampled = np.empty((len(members), 0))
        if max(sizes) > 1:
            resampled = settings.groups(_means_of([columns[k] for k in members]), sizes)
        means |= dict(zip(members, resampled, strict=True))
    return [column.interval(means[k], settings, bca) for k, column in enumerate(columns)]


def _means_of(columns: list[_Column]) -> Callable[[Floats], Floats]:
    """Return the statistic that has the mean of each column; equal counts are added up once."""

    def means(drawn: Floats) -> Floats:
        counted: dict[bytes, Floats] = {}
        found = np.empty((len(columns), len(drawn)))
        for row, column in zip(found, columns, strict=True):
            key = column.counts.tobytes()
            if key not in counted:
                counted[key] = total(drawn, column.counts)
            row[:] = total(drawn, column.sums) / counted[key]
        return found

    return means

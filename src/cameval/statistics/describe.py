"""Summary of a column of scores: counts, mean with interval, quartiles."""

from dataclasses import dataclass

import numpy as np

from cameval.statistics._inputs import Floats, Labels, Values, as_labels, as_numbers, check_aligned
from cameval.statistics.intervals import interval_is_reliable, mean_intervals

__all__ = ["Summary", "describe", "describe_columns"]


@dataclass(frozen=True)
class Summary:
    """Counts, mean with interval, and quartiles of a column of scores.

    Attributes
    ----------
    n, n_groups, n_undefined
        Numbers of defined values, of groups with a defined value, and of values that are NaN.
    mean, low, high
        The mean and the ends of its interval.
    median, q25, q75
        The quartiles.

    Examples
    --------
    >>> from cameval.statistics import describe
    >>> summary = describe([0.1, 0.2, 0.3, 0.4, 0.5], list("abcde"))
    >>> round(summary.mean, 2), summary.q25, summary.median, summary.q75
    (0.3, 0.2, 0.3, 0.4)
    >>> summary.n_groups, summary.is_reliable  # fewer than ten groups
    (5, False)
    """

    n: int
    n_groups: int
    n_undefined: int
    mean: float
    low: float
    high: float
    median: float
    q25: float
    q75: float

    @property
    def is_reliable(self) -> bool:
        """Whether there is an interval from ten groups or more; with fewer it may be too narrow."""
        return interval_is_reliable(self.n_groups, self.low, self.high)


def describe(
    values: Values,
    groups: Labels,
    *,
    strata: Labels | None = None,
    confidence: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> Summary:
    """Return mean with interval, median, quartiles and counts of per-image values.

    Parameters
    ----------
    values, groups, strata, confidence, bounds
        As of `mean_interval`.

    Returns
    -------
    Summary
        Numbers that are undefined are NaN, as for `mean_interval`.

    Raises
    ------
    ArrayTypeError, ShapeError, NonFiniteError, SettingError
        As of `mean_interval`.

    Examples
    --------
    >>> from cameval.statistics import describe
    >>> summary = describe([0.0, 0.5, 0.7, float("nan")], [1, 1, 2, 3])
    >>> summary.n, summary.n_groups, summary.n_undefined
    (3, 2, 1)
    >>> round(summary.mean, 3), summary.median, summary.q25, summary.q75
    (0.4, 0.5, 0.25, 0.6)
    """
    numbers, labels = as_numbers(values), as_labels(groups)
    check_aligned(("values", numbers), ("groups", labels))
    return describe_columns(
        numbers[:, None], labels, strata=strata, confidence=confidence, bounds=bounds
    )[0]


def describe_columns(
    values: Values,
    groups: Labels,
    *,
    strata: Labels | None = None,
    confidence: float = 0.95,
    bounds: tuple[float, float] | None = None,
) -> list[Summary]:
    """Return `describe` of each column of ``(N, K)`` values, faster than column by column.

    Parameters
    ----------
    values, groups, strata, confidence, bounds
        As of `mean_intervals`.

    Returns
    -------
    list of Summary
        One for each column.

    Raises
    ------
    ArrayTypeError, ShapeError, NonFiniteError, SettingError
        As of `mean_interval`.

    Examples
    --------
    >>> from cameval.statistics import describe_columns
    >>> [(column.n, column.median) for column in describe_columns([[0.1, 1], [0.3, 0]], [1, 2])]
    [(2, 0.2), (2, 0.5)]
    """
    means = mean_intervals(values, groups, strata=strata, confidence=confidence, bounds=bounds)
    return [
        Summary(
            mean.n,
            mean.n_groups,
            mean.n_undefined,
            mean.estimate,
            mean.low,
            mean.high,
            *_quartiles(column),
        )
        for mean, column in zip(means, as_numbers(values).T, strict=True)
    ]


def _quartiles(values: Floats) -> tuple[float, float, float]:
    """Return median, lower and upper quartile of the defined values."""
    defined = values[~np.isnan(values)]
    if not defined.size:
        return (float("nan"),) * 3
    low, middle, high = np.quantile(defined, [0.25, 0.5, 0.75]).tolist()
    return middle, low, high

"""The summary that a table prints for one column."""

from dataclasses import dataclass

import numpy as np

from cameval.statistics.bootstrap import bootstrap_mean
from cameval.statistics.inputs import Labels, Values, as_numbers
from cameval.statistics.resampling import quantiles

__all__ = ["Summary", "describe"]


@dataclass(frozen=True)
class Summary:
    """A column of a table in a few numbers.

    Attributes
    ----------
    n, n_groups, n_undefined
        Defined values, the groups that have one, and values that are NaN.
    mean, low, high
        The mean and the ends of its interval.
    median, q25, q75
        The quartiles.
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


def describe(
    values: Values,
    groups: Labels,
    *,
    strata: Labels | None = None,
    bca: bool = False,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Summary:
    """Return mean with interval, median, quartiles and counts of per-image values.

    Parameters
    ----------
    values, groups, strata, bca, confidence, resamples, seed
        As of `bootstrap_mean`.

    Returns
    -------
    Summary
        NaN where nothing can be said, as of `bootstrap_mean`.

    Raises
    ------
    ArrayTypeError, ShapeError, NonFiniteError, SettingError
        As of `bootstrap_mean`.

    Examples
    --------
    >>> found = describe([0.0, 0.5, 0.7, float("nan")], [1, 1, 2, 3])
    >>> found.n, found.n_groups, found.n_undefined
    (3, 2, 1)
    >>> round(found.mean, 3), found.median, found.q25, found.q75
    (0.4, 0.5, 0.25, 0.6)
    """
    mean = bootstrap_mean(
        values,
        groups,
        strata=strata,
        bca=bca,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    numbers = as_numbers(values)
    q25, q75 = quantiles(numbers, [0.25, 0.75])
    return Summary(
        n=mean.n,
        n_groups=mean.n_groups,
        n_undefined=mean.n_undefined,
        mean=mean.estimate,
        low=mean.low,
        high=mean.high,
        median=float(np.nanmedian(numbers)) if mean.n else float("nan"),
        q25=q25,
        q75=q75,
    )

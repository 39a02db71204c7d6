"""Intervals that respect groups: images of one patient are not independent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cameval.errors import NonFiniteError, SettingError, ShapeError

__all__ = ["Interval", "bootstrap_mean"]

_CHUNK = 2**20  # group draws held at a time


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval and what it rests on.

    Attributes
    ----------
    estimate, low, high
        The mean and the ends of its interval.
    n
        Defined values.
    n_groups
        Groups with a defined value.
    n_undefined
        Values that are NaN and therefore not in the mean.
    """

    estimate: float
    low: float
    high: float
    n: int
    n_groups: int
    n_undefined: int


def bootstrap_mean(
    values: NDArray[np.floating[Any]] | Tensor | Sequence[float],
    groups: NDArray[Any] | Tensor | Sequence[object],
    *,
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
        there is only one group.

    Raises
    ------
    ShapeError
        If there are no values, or not one group for each.
    NonFiniteError
        If a value is infinite.
    SettingError
        If `confidence` or `resamples` is out of its range.

    References
    ----------
    A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application", section 3.8,
    Cambridge University Press, 1997.

    Examples
    --------
    >>> interval = bootstrap_mean([0.1, 0.2, 0.9, float("nan")], ["ann", "ann", "bob", "eve"])
    >>> interval.n, interval.n_groups, interval.n_undefined
    (3, 2, 1)
    >>> round(interval.estimate, 3), round(interval.low, 3), round(interval.high, 3)
    (0.4, 0.15, 0.9)
    """
    if not 0 < confidence < 1:
        raise SettingError(f"confidence must be in (0, 1), got {confidence}")
    if resamples < 1:
        raise SettingError(f"resamples must be at least 1, got {resamples}")
    numbers, labels = _as_numpy(values).astype(np.float64), _as_numpy(groups)
    if numbers.ndim != 1 or numbers.size == 0 or labels.shape != numbers.shape:
        raise ShapeError(
            "values and groups must have one shape (N,) with at least one value, "
            f"got {numbers.shape} and {labels.shape}"
        )
    if np.isinf(numbers).any():
        raise NonFiniteError("values must be finite or NaN, got infinity")

    defined = ~np.isnan(numbers)
    numbers, labels = numbers[defined], labels[defined]
    names, group = np.unique(labels, return_inverse=True)
    n_groups, n_undefined = names.size, int((~defined).sum())
    estimate = float(numbers.mean()) if numbers.size else float("nan")
    low = high = float("nan")
    if n_groups > 1:
        sums, counts = np.bincount(group, weights=numbers), np.bincount(group)
        means = _resampled_means(sums, counts, resamples, np.random.default_rng(seed))
        tail = (1 - confidence) / 2
        low, high = np.quantile(means, [tail, 1 - tail]).tolist()
    return Interval(estimate, low, high, numbers.size, n_groups, n_undefined)


def _resampled_means(
    sums: NDArray[Any], counts: NDArray[Any], resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw groups by their sums and counts alone, a limited number of resamples at a time."""
    n_groups = sums.size
    step = max(1, _CHUNK // n_groups)
    means = np.empty(resamples)
    for start in range(0, resamples, step):
        part = means[start : start + step]
        drawn = rng.integers(n_groups, size=(part.size, n_groups))
        part[:] = sums[drawn].sum(1) / counts[drawn].sum(1)
    return means


def _as_numpy(array: object) -> NDArray[Any]:
    if isinstance(array, Tensor):
        exact = array.double() if array.is_floating_point() else array
        return exact.detach().cpu().numpy()
    return np.asarray(array)

"""Rank correlation of a score with another quantity of the images."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

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
from cameval.statistics.intervals import Interval

__all__ = ["rank_correlation"]

NAN = float("nan")
_BLOCKS = 200  # largest number of parts of the jackknife
_CHUNK = 2**18  # numbers in memory at a time


def rank_correlation(
    x: Values,
    y: Values,
    groups: Labels,
    *,
    within: Labels | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Return Spearman's rank correlation within classes, with an interval for grouped images.

    For example of a metric with the area of the truth, or with the confidence of the classifier.
    Differences between classes can alone produce a correlation over all images. With `within`,
    images are ranked among those of their class; ranks, as shares of the class minus their mean of
    1/2, are then correlated over all classes. Tied values get the mean of their ranks.

    The interval is of Student's t around Fisher's z of the coefficient, whose variance is that of
    the jackknife: each group (patient) is left out once and the other images are ranked again. If
    there are more than 200 groups, several are left out together, in 200 parts.

    Parameters
    ----------
    x, y
        Two numbers for each image. NaN means undefined; an image counts where both are defined.
    groups
        The group of each image: integers or strings.
    within
        The class of each image: integers or strings. By default all images are ranked together.
    confidence
        Confidence of the interval, in (0, 1).

    Returns
    -------
    Interval
        All three numbers are NaN if in every class one of the two quantities is constant. The two
        ends are NaN if there are fewer than three groups, if the correlation is undefined without
        one of the groups, or if the coefficient is 1 or -1 without one of them.

    Raises
    ------
    ArrayTypeError
        If `x` or `y` are not real numbers.
    ShapeError
        If there are no values, or not one group and class for each.
    NonFiniteError
        If a value is infinite, or a group or class is missing.
    SettingError
        If `confidence` is out of its range.

    References
    ----------
    C. Spearman, "The Proof and Measurement of Association between Two Things", American Journal of
    Psychology 15 (1904).
    J. N. Arvesen, "Jackknifing U-Statistics", Annals of Mathematical Statistics 40 (1969).

    Examples
    --------
    >>> from cameval.statistics import rank_correlation
    >>> area, score = [0.01, 0.02, 0.03, 0.05], [0.1, 0.3, 0.2, 0.6]
    >>> interval = rank_correlation(area, score, ["ann", "ann", "bob", "eve"])
    >>> round(interval.estimate, 3), interval.n, interval.n_groups
    (0.8, 4, 3)
    >>> round(rank_correlation(area, score, [1, 2, 3, 4], within=list("ssll")).estimate, 3)
    1.0
    """
    check_confidence(confidence)
    xs, ys, labels = as_numbers(x, "x"), as_numbers(y, "y"), as_labels(groups)
    check_aligned(("x", xs), ("y", ys), ("groups", labels))
    classes = np.zeros(xs.shape, int) if within is None else as_labels(within, "within")
    check_aligned(("x", xs), ("within", classes))
    defined = ~(np.isnan(xs) | np.isnan(ys))
    n, n_undefined = int(defined.sum()), int((~defined).sum())
    if n == 0:
        return Interval(NAN, NAN, NAN, n, 0, n_undefined)
    group = Groups.of(labels[defined]).of_value
    n_groups = int(group.max()) + 1
    of_x = _ClassRanks(xs[defined], classes[defined])
    of_y = _ClassRanks(ys[defined], classes[defined])
    estimate = float(_correlation(of_x, of_y, np.ones((n, 1)))[0])
    low = high = NAN
    if not np.isnan(estimate) and n_groups > 2:
        left_out = np.concatenate(
            [_correlation(of_x, of_y, weights) for weights in _jackknife_weights(group % _BLOCKS)]
        )
        low, high = _jackknife_ends(estimate, left_out, confidence)
    return Interval(estimate, low, high, n, n_groups, n_undefined)


class _ClassRanks:
    """Ranks of values within their class, as shares minus 1/2, in parts of the images."""

    def __init__(self, values: Floats, classes: NDArray[np.generic]) -> None:
        _, of_class = np.unique(classes, return_inverse=True)
        self._order = np.lexsort((values, of_class))
        ordered, class_of = values[self._order], of_class[self._order]
        new_class = np.diff(class_of, prepend=-1) != 0
        new_value = new_class | (np.diff(ordered, prepend=np.nan) != 0)
        self._class_ends = np.append(np.flatnonzero(new_class), len(values))
        self._ends = np.append(np.flatnonzero(new_value), len(values))
        self._class_of_run = class_of[self._ends[:-1]]
        self._run = np.empty(len(values), np.intp)
        self._run[self._order] = np.cumsum(new_value) - 1

    def __call__(self, weights: Floats) -> Floats:
        """Return the ranks of N values in R parts, each of weights 0 or 1, ``(N, R)``."""
        before = np.zeros((len(weights) + 1, weights.shape[1]))  # how many values are before
        np.cumsum(weights.take(self._order, axis=0), axis=0, out=before[1:])
        _, middle = _sizes_and_middles(before, self._ends)  # of each run of ties
        of_class, center = _sizes_and_middles(before, self._class_ends)
        size = of_class.take(self._class_of_run, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = (middle - center.take(self._class_of_run, axis=0)) / size
        return np.where(weights > 0, shares.take(self._run, axis=0), 0)


def _sizes_and_middles(before: Floats, ends: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Return how many values are between the ends, and their mean rank minus 1/2."""
    at = before.take(ends, axis=0)
    sizes = np.diff(at, axis=0)
    return sizes, at[1:] - sizes / 2


def _correlation(ranks_of_x: _ClassRanks, ranks_of_y: _ClassRanks, weights: Floats) -> Floats:
    """Return the correlation in each of R parts of the images; NaN where one is constant."""
    x, y = ranks_of_x(weights), ranks_of_y(weights)
    spread = np.sqrt((x**2).sum(0) * (y**2).sum(0))
    ratio = np.full(weights.shape[1], NAN)
    np.divide((x * y).sum(0), spread, out=ratio, where=spread > 0)
    clipped: Floats = np.clip(ratio, -1, 1)
    return clipped


def _jackknife_weights(block: NDArray[np.intp]) -> Iterator[Floats]:
    """Yield weights, 0 for the images of the block that is left out, for a few blocks at a time."""
    n_blocks, step = int(block.max()) + 1, max(1, _CHUNK // block.size)
    for start in range(0, n_blocks, step):
        here = np.arange(start, min(start + step, n_blocks))
        yield (block[:, None] != here).astype(np.float64)


def _jackknife_ends(estimate: float, left_out: Floats, confidence: float) -> tuple[float, float]:
    """Return the ends by the jackknife of Fisher's z; NaN where it is infinite."""
    from scipy.special import stdtrit

    with np.errstate(divide="ignore"):
        z, others = np.arctanh(estimate), np.arctanh(left_out)
    if not np.isfinite(np.append(others, z)).all():
        return NAN, NAN
    n_parts = left_out.size
    variance = (n_parts - 1) / n_parts * ((others - others.mean()) ** 2).sum()
    margin = float(np.sqrt(variance) * stdtrit(n_parts - 1, (1 + confidence) / 2))
    return float(np.tanh(z - margin)), float(np.tanh(z + margin))

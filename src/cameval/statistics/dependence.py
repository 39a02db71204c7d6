"""How a score depends on other properties of its images: by rank."""

from collections.abc import Callable

import numpy as np

from cameval.statistics.bootstrap import Interval
from cameval.statistics.inputs import (
    Floats,
    Groups,
    Labels,
    Values,
    as_labels,
    as_numbers,
    check_aligned,
)
from cameval.statistics.resampling import Ranking, Resampling

__all__ = ["rank_correlation"]

NAN = float("nan")


def rank_correlation(
    x: Values,
    y: Values,
    groups: Labels,
    *,
    strata: Labels | None = None,
    confidence: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Interval:
    """Return Spearman's rank correlation with a cluster bootstrap interval.

    For example of a metric with the area of the truth, or with the confidence of the classifier.
    Classes differ in both: correlate within a class. Tied values share the mean of their ranks.
    Whole groups (patients) are drawn with replacement and ranked anew; resamples in which one of
    the two is constant are left out.

    Parameters
    ----------
    x, y
        Two numbers for each image. NaN means undefined; an image counts where both are defined.
    groups, strata, confidence, seed
        As of `bootstrap_mean`.
    resamples
        Number of resamples, fewer by default than elsewhere because each is ranked anew.

    Returns
    -------
    Interval
        NaN where nothing can be said: all three numbers if one of the two is constant, the two ends
        if no stratum has two groups.

    Raises
    ------
    ArrayTypeError, ShapeError, NonFiniteError, SettingError
        As of `bootstrap_mean`.

    References
    ----------
    C. Spearman, "The Proof and Measurement of Association between Two Things", American Journal of
    Psychology 15 (1904).

    Examples
    --------
    >>> area, score = [0.01, 0.02, 0.03, 0.05], [0.1, 0.3, 0.2, 0.6]
    >>> found = rank_correlation(area, score, ["ann", "ann", "bob", "eve"])
    >>> round(found.estimate, 3), found.n, found.n_groups
    (0.8, 4, 3)
    """
    settings = Resampling(confidence, resamples, seed)
    xs, ys, labels = as_numbers(x, "x"), as_numbers(y, "y"), as_labels(groups)
    check_aligned(("x", xs), ("y", ys), ("groups", labels))
    defined = ~(np.isnan(xs) | np.isnan(ys))
    grouped = Groups.of(labels, strata)
    group = grouped.of_value[defined]
    present = np.bincount(group, minlength=grouped.stratum.size) > 0
    group = np.cumsum(present)[group] - 1
    xs, ys = xs[defined], ys[defined]
    sizes = grouped.sizes(present)

    spearman = _spearman(Ranking(xs), Ranking(ys))
    estimate = low = high = NAN
    if xs.size:
        estimate = float(spearman(np.ones((1, xs.size)))[0])
    if not np.isnan(estimate) and max(sizes) > 1:
        outcome = settings.groups(lambda drawn: spearman(drawn[:, group]), sizes, width=xs.size)
        low, high = settings.ends(outcome)
    return Interval(estimate, low, high, xs.size, int(present.sum()), int(defined.size - xs.size))


def _spearman(ranks_of_x: Ranking, ranks_of_y: Ranking) -> Callable[[Floats], Floats]:
    """Return the correlation in samples that hold the values `weights` times, (R, N) to (R,).

    All sums are of multiples of a quarter, so they are exact and a constant has variance 0.
    """

    def statistic(weights: Floats) -> Floats:
        x, y, n = ranks_of_x(weights), ranks_of_y(weights), weights.sum(1)
        weighted, offset = weights * x, n * ((n + 1) / 2) ** 2
        of_x = np.einsum("rn,rn->r", weighted, x) - offset
        of_both = np.einsum("rn,rn->r", weighted, y) - offset
        of_y = np.einsum("rn,rn->r", weights * y, y) - offset
        spread = np.sqrt(of_x * of_y)
        found = np.full(len(n), NAN)
        np.divide(of_both, spread, out=found, where=spread > 0)
        return found

    return statistic

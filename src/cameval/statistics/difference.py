"""Differences between the means of two parts of the images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameval.errors import ArrayTypeError
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
from cameval.statistics.resampling import Resampling, total

__all__ = ["Difference", "bootstrap_difference"]

NAN = float("nan")


@dataclass(frozen=True)
class Difference:
    """A difference of two means with its confidence interval and what it rests on.

    Attributes
    ----------
    estimate, low, high
        ``first - second`` and the ends of its interval.
    first, second
        The two means.
    n_first, n_second
        Defined values of each.
    n_groups
        Groups with a defined value.
    n_undefined
        Values that are NaN and therefore in neither mean.
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


def bootstrap_difference(
    values: Values,
    where: NDArray[np.bool_] | Values,
    groups: Labels,
    *,
    strata: Labels | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Difference:
    """Return the mean of some images minus the mean of the others, with an interval.

    For example of the correctly classified images and the others. A patient may have images of both
    kinds: whole patients are drawn, and all their images with them. Resamples without a defined
    value of one kind are left out. For two values of every image, such as those of two methods, use
    `bootstrap_mean` on their differences, or `sign_flip_test`.

    Parameters
    ----------
    values
        One number for each image; NaN means undefined and is left out, but counted.
    where
        Booleans: true for the images of the first mean, false for those of the second.
    groups, strata, confidence, resamples, seed
        As of `bootstrap_mean`.

    Returns
    -------
    Difference
        NaN where nothing can be said: a mean without a value, the two ends if one of the means
        rests on fewer than two groups.

    Raises
    ------
    ArrayTypeError
        If the values are not real numbers, or `where` is not boolean.
    ShapeError, NonFiniteError, SettingError
        As of `bootstrap_mean`.

    References
    ----------
    A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application", section 3.8,
    Cambridge University Press, 1997.

    Examples
    --------
    >>> correct = [True, True, False, True, False]
    >>> found = bootstrap_difference([0.5, 0.6, 0.1, 0.7, 0.3], correct, [1, 1, 1, 2, 3])
    >>> round(found.estimate, 3), round(found.low, 3), round(found.high, 3)
    (0.4, 0.317, 0.525)
    """
    numbers, chosen, labels = as_numbers(values), as_labels(where, "where"), as_labels(groups)
    if chosen.dtype != np.bool_:
        raise ArrayTypeError(f"where must be boolean, got {chosen.dtype}")
    check_aligned(("values", numbers), ("where", chosen), ("groups", labels))
    settings, grouped = Resampling(confidence, resamples, seed), Groups.of(labels, strata)

    defined = ~np.isnan(numbers)
    parts = [defined & chosen, defined & ~chosen]
    means = [mean_of(numbers[part]) for part in parts]
    sums = [grouped.sums(numbers[part], part) for part in parts]
    present = (sums[0][1] + sums[1][1]) > 0
    low = high = NAN
    if min(np.count_nonzero(counts) for _, counts in sums) > 1:
        (sum_1, count_1), (sum_2, count_2) = ((s[present], c[present]) for s, c in sums)

        def difference(drawn: Floats) -> Floats:
            with np.errstate(invalid="ignore"):
                first = total(drawn, sum_1) / total(drawn, count_1)
                return first - total(drawn, sum_2) / total(drawn, count_2)

        low, high = settings.ends(settings.groups(difference, grouped.sizes(present)))
    return Difference(
        estimate=means[0] - means[1],
        low=low,
        high=high,
        first=means[0],
        second=means[1],
        n_first=int(parts[0].sum()),
        n_second=int(parts[1].sum()),
        n_groups=int(present.sum()),
        n_undefined=int((~defined).sum()),
    )

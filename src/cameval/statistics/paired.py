"""Tests of two values of the same images; the groups are what is independent."""

from dataclasses import dataclass

import numpy as np

from cameval.statistics.groupwise import (
    GroupDifferences,
    mean_and_effect_ends,
    rank_biserial,
    sign_flip_p,
    standardized,
    wilcoxon_p,
)
from cameval.statistics.inputs import (
    Groups,
    Labels,
    Values,
    as_labels,
    as_numbers,
    check_aligned,
    mean_of,
)
from cameval.statistics.resampling import Resampling

__all__ = ["SignFlip", "Wilcoxon", "sign_flip_test", "wilcoxon_test"]


@dataclass(frozen=True)
class SignFlip:
    """A difference of group means, tested by flipping signs.

    Attributes
    ----------
    difference, low, high
        Mean over the groups of the mean difference within the group, with its interval.
    p
        Two-sided p-value.
    effect, effect_low, effect_high
        The difference in standard deviations of the groups' differences (d_z), with its interval.
    n
        Images for which both values are defined.
    n_groups
        Groups with such an image.
    n_undefined
        Images without.
    """

    difference: float
    low: float
    high: float
    p: float
    effect: float
    effect_low: float
    effect_high: float
    n: int
    n_groups: int
    n_undefined: int


@dataclass(frozen=True)
class Wilcoxon:
    """Outcome of a signed-rank test of group means.

    Attributes
    ----------
    p
        Two-sided p-value.
    effect, effect_low, effect_high
        Matched-pairs rank-biserial correlation with its interval: the share of the rank sum that
        favors the first minus the share that favors the second, in [-1, 1].
    n
        Images for which both values are defined.
    n_groups
        Groups with such an image.
    n_undefined
        Images without.
    """

    p: float
    effect: float
    effect_low: float
    effect_high: float
    n: int
    n_groups: int
    n_undefined: int


def sign_flip_test(
    first: Values,
    second: Values,
    groups: Labels,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> SignFlip:
    """Test whether two values of the same images differ, by flipping the signs of whole groups.

    The difference ``first - second`` is averaged within each group (patient), then over the groups,
    so that a patient with many images weighs no more than another. If the two do not differ, each
    group's difference is as likely to be of either sign; the p-value is how often random signs give
    a mean at least as far from 0. It is exact where there are no more sign patterns than
    `resamples`, which are then all visited; elsewhere the observed pattern counts as one more
    resample. Both intervals draw groups with replacement.

    Parameters
    ----------
    first, second
        Two numbers for each image, such as the scores of two methods. NaN means undefined; an image
        counts where both are defined.
    groups
        The group of each image: integers or strings.
    confidence
        Share of the resamples inside the intervals, in (0, 1).
    resamples
        Number of resamples, of signs and of groups.
    seed
        Seed of the random draws.

    Returns
    -------
    SignFlip
        NaN where nothing can be said: all numbers if no image counts, `effect` and the ends of both
        intervals if only one group does, `effect` if all groups differ equally.

    Raises
    ------
    ArrayTypeError
        If the values are not real numbers.
    ShapeError
        If there are no values, or the three are not of one shape.
    NonFiniteError
        If a value is infinite or a group is missing.
    SettingError
        If `confidence`, `resamples` or `seed` is out of its range.

    References
    ----------
    B. Phipson and G. K. Smyth, "Permutation P-values Should Never Be Zero", Statistical
    Applications in Genetics and Molecular Biology 9 (2010).
    J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", second edition, section 2.3,
    Lawrence Erlbaum 1988.

    Examples
    --------
    >>> found = sign_flip_test([0.5, 0.7, 0.6, 0.9], [0.4, 0.4, 0.3, 0.3], [1, 1, 2, 3])
    >>> round(found.difference, 3), found.p, found.n, found.n_groups
    (0.367, 0.25, 4, 3)
    """
    settings = Resampling(confidence, resamples, seed)
    paired = _paired(first, second, groups)
    (ends,) = mean_and_effect_ends([paired.of_group], settings)
    (p,) = sign_flip_p([paired.of_group], settings)
    return SignFlip(
        difference=mean_of(paired.of_group),
        low=ends[0],
        high=ends[1],
        p=p,
        effect=standardized(paired.of_group),
        effect_low=ends[2],
        effect_high=ends[3],
        n=paired.n,
        n_groups=paired.of_group.size,
        n_undefined=paired.n_undefined,
    )


def wilcoxon_test(
    first: Values,
    second: Values,
    groups: Labels,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Wilcoxon:
    """Test whether two values of the same images differ, by the signed ranks of the groups.

    The differences ``first - second`` are averaged within each group (patient); the rest is
    ``scipy.stats.wilcoxon`` with its defaults, which drops groups without a difference.

    Parameters
    ----------
    first, second, groups, confidence, resamples, seed
        As of `sign_flip_test`; resamples serve the interval of `effect` alone.

    Returns
    -------
    Wilcoxon
        All numbers are NaN if no image counts. If no group differs, `p` is 1 and `effect` 0. The
        ends of the interval are NaN if only one group counts.

    Raises
    ------
    ArrayTypeError, ShapeError, NonFiniteError, SettingError
        As of `sign_flip_test`.

    References
    ----------
    F. Wilcoxon, "Individual Comparisons by Ranking Methods", Biometrics Bulletin 1 (1945).
    D. S. Kerby, "The Simple Difference Formula: An Approach to Teaching Nonparametric
    Correlation", Comprehensive Psychology 3 (2014).

    Examples
    --------
    >>> found = wilcoxon_test([0.5, 0.7, 0.6, 0.3], [0.4, 0.4, 0.3, 0.4], [1, 1, 2, 3])
    >>> round(found.p, 3), round(found.effect, 3)
    (0.5, 0.667)
    """
    settings = Resampling(confidence, resamples, seed)
    paired = _paired(first, second, groups)
    n_groups = paired.of_group.size
    effect, low, high = [float("nan")] * 3
    if n_groups > 0:
        effect = float(rank_biserial(paired.of_group)(np.ones((1, n_groups)))[0])
    if n_groups > 1:
        low, high = settings.ends(settings.groups(rank_biserial(paired.of_group), [n_groups]))
    return Wilcoxon(
        p=wilcoxon_p(paired.of_group),
        effect=effect,
        effect_low=low,
        effect_high=high,
        n=paired.n,
        n_groups=n_groups,
        n_undefined=paired.n_undefined,
    )


def _paired(first: Values, second: Values, groups: Labels) -> GroupDifferences:
    numbers, others, labels = (
        as_numbers(first, "first"),
        as_numbers(second, "second"),
        as_labels(groups),
    )
    check_aligned(("first", numbers), ("second", others), ("groups", labels))
    return GroupDifferences.of(numbers, others, Groups.of(labels))

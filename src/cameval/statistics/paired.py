"""Sign-flip tests of two values of the same images, single or in a family of comparisons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cameval.errors import SettingError
from cameval.statistics._inputs import (
    Floats,
    Groups,
    Labels,
    Values,
    as_labels,
    as_numbers,
    check_aligned,
)
from cameval.statistics._sign_flips import (
    FlippedMeans,
    GroupDifferences,
    Resampling,
    flip_in_families,
)
from cameval.statistics.intervals import interval_is_reliable

__all__ = ["PairedTest", "SignFlip", "holm", "paired_tests", "sign_flip_test"]


@dataclass(frozen=True)
class SignFlip:
    """A mean difference, tested by flipping signs.

    Attributes
    ----------
    difference, low, high
        Mean over the images of ``first - second``, with its interval.
    p
        Two-sided p-value.
    effect, effect_low, effect_high
        The difference in standard deviations of the images' differences (d_z), with its interval.
    n
        Number of images for which both values are defined.
    n_groups
        Number of groups with such an image.
    n_differing
        Number of these groups whose differences do not sum to 0.
    n_undefined
        Number of images for which a value is undefined.
    n_patterns
        Number of patterns of signs that `p` is a share of.
    is_exact
        Whether these are all patterns of the groups. If not, they are random ones and the observed
        one, and `p` is an estimate.
    least_p
        The smallest possible `p` with this number of patterns and of groups that differ.

    Examples
    --------
    Two groups have four patterns of signs. Two of them have a sum as far from 0 as the observed
    one, so the p-value is .5:

    >>> from cameval.statistics import sign_flip_test
    >>> test = sign_flip_test([0.5, 0.9], [0.3, 0.5], ["a", "b"])
    >>> round(test.difference, 2), test.p
    (0.3, 0.5)
    >>> test.n, test.n_differing, test.is_reliable
    (2, 2, False)
    >>> test.n_patterns, test.is_exact, test.least_p
    (4, True, 0.5)
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
    n_differing: int
    n_undefined: int
    n_patterns: int
    is_exact: bool
    least_p: float

    @property
    def is_reliable(self) -> bool:
        """Whether there is an interval and ten groups differ; with fewer it may be too narrow."""
        return interval_is_reliable(self.n_differing, self.low, self.high)


@dataclass(frozen=True)
class PairedTest(SignFlip):
    """One comparison of a family.

    Attributes
    ----------
    difference, low, high
        Mean over the images of ``first - second``, with its interval.
    p
        Two-sided p-value of `sign_flip_test`.
    effect, effect_low, effect_high
        The difference in standard deviations of the images' differences (d_z), with its interval.
    n
        Number of images for which both values are defined.
    n_groups
        Number of groups with such an image.
    n_differing
        Number of these groups whose differences do not sum to 0.
    n_undefined
        Number of images for which a value is undefined.
    n_patterns, is_exact, least_p
        How many patterns of signs `p` is a share of, whether these are all, and the smallest
        possible `p`.
    first, second
        Names of the two columns.
    p_holm, low_holm, high_holm
        The p-value corrected for the family, and the interval that agrees with it.

    Examples
    --------
    >>> from cameval.statistics import paired_tests
    >>> columns = {"a": [0.1, 0.2, 0.4], "b": [0.5, 0.5, 0.6]}
    >>> (test,) = paired_tests(columns, ["x", "y", "z"])
    >>> test.first, test.second, round(test.difference, 2)
    ('a', 'b', -0.3)
    >>> test.p, test.p_holm  # one comparison is not corrected
    (0.25, 0.25)
    """

    first: str
    second: str
    p_holm: float
    low_holm: float
    high_holm: float


def sign_flip_test(
    first: Values,
    second: Values,
    groups: Labels,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> SignFlip:
    """Test whether the means of two values of the same images differ, by flipping signs of groups.

    The difference is the mean over the images of ``first - second``, as in a table of means. If the
    two means do not differ, both signs of the summed differences of a group (patient) are equally
    likely. The p-value is the share of sign patterns with a sum at least as far from 0 as the
    observed one. It is exact up to 20 groups: all patterns are used if there are at most 2**20, or
    at most `resamples`. Else `resamples` random ones are used, and the observed pattern counts as
    one more.

    The interval contains the differences that the same test, with the same signs, does not reject:
    it excludes 0 exactly if the p-value is below 1 - `confidence`.

    Parameters
    ----------
    first, second
        Two numbers for each image, such as the scores of two methods. NaN means undefined; an image
        counts where both are defined.
    groups
        The group of each image: integers or strings.
    confidence
        Confidence of the intervals, in (0, 1).
    resamples
        Number of random patterns of signs, if not all are used.
    seed
        Seed of the random signs.

    Returns
    -------
    SignFlip
        All numbers are NaN if no image counts. The ends of both intervals are NaN if no difference
        would be rejected, as with fewer than six groups at a confidence of .95, or if no group
        differs. `effect` and its ends are NaN if all images have the same difference.

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

    Notes
    -----
    The test assumes that the differences of a group are symmetric around their mean. If they are
    skewed and groups are few, it rejects equal means slightly too often, and the interval is
    slightly too narrow.

    The interval of the effect is that of the difference in standard deviations, widened for the
    uncertainty of the standard deviation. It excludes 0 only if the p-value is below
    1 - `confidence`.

    References
    ----------
    B. Phipson and G. K. Smyth, "Permutation P-values Should Never Be Zero", Statistical
    Applications in Genetics and Molecular Biology 9 (2010).
    J. Cohen, "Statistical Power Analysis for the Behavioral Sciences", second edition, section 2.3,
    Lawrence Erlbaum 1988.
    G. Y. Zou and A. Donner, "Construction of Confidence Limits about Effect Measures: A General
    Approach", Statistics in Medicine 27 (2008).

    Examples
    --------
    >>> from cameval.statistics import sign_flip_test
    >>> test = sign_flip_test([0.5, 0.7, 0.6, 0.9], [0.4, 0.4, 0.3, 0.3], [1, 1, 2, 3])
    >>> round(test.difference, 3), test.p, test.n, test.n_groups
    (0.325, 0.25, 4, 3)
    """
    Resampling(confidence, resamples, seed)
    (flipped,) = flip_pairs(
        [(first, second, groups)], confidence=confidence, resamples=resamples, seed=seed
    )
    return flipped.test(confidence)


@dataclass(frozen=True, eq=False)
class FlippedPair:
    """Two values of the same images with flipped signs, which are tested at several levels."""

    differences: GroupDifferences
    means: FlippedMeans

    def test(self, confidence: float) -> SignFlip:
        """Return the test, with intervals of this confidence, at least that of `flip_pairs`."""
        return _sign_flip(self.differences, self.means, confidence)


def flip_pairs(
    pairs: Sequence[tuple[Values, Values, Labels]],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[FlippedPair]:
    """Flip the signs of several pairs of values, as `sign_flip_test` does, faster than one by one.

    Pairs with equally many groups have the same random signs.

    Parameters
    ----------
    pairs
        First values, second values and groups of each pair.
    confidence
        The lowest confidence at which they will be tested.
    resamples, seed
        As of `sign_flip_test`.
    """
    differences: list[GroupDifferences] = []
    known: dict[int, Groups] = {}
    for first, second, groups in pairs:
        numbers, others = as_numbers(first, "first"), as_numbers(second, "second")
        labels = as_labels(groups)
        check_aligned(("first", numbers), ("second", others), ("groups", labels))
        if id(groups) not in known:  # pairs of one model share their groups
            known[id(groups)] = Groups.of(labels)
        differences.append(GroupDifferences.of(numbers, others, known[id(groups)]))
    means = flip_in_families(differences, Resampling(confidence, resamples, seed))
    return [FlippedPair(*both) for both in zip(differences, means, strict=True)]


def paired_tests(
    columns: Mapping[str, Values],
    groups: Labels,
    *,
    reference: str | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[PairedTest]:
    """Compare columns of values of the same images, each pair or all with one.

    Each comparison is a `sign_flip_test`. The p-values are corrected by `holm` over all comparisons
    that are defined. The corrected interval is that of the same test at the level to which the
    correction lowers this comparison's, ``(1 - confidence) * p / p_holm``: it excludes 0 exactly if
    `p_holm` is below 1 - `confidence`.

    Parameters
    ----------
    columns
        At least two columns by name, with one number for each image. NaN means undefined; each
        comparison uses the images for which both of its columns are defined.
    groups
        The group of each image: integers or strings.
    reference
        Name of the column with which all others are compared, as ``other - reference``. By default
        each pair is compared, the one that comes first minus the other.
    confidence, resamples, seed
        As of `sign_flip_test`.

    Returns
    -------
    list of PairedTest
        In the order of the columns. NaN where nothing can be said, as of `sign_flip_test`.

    Raises
    ------
    SettingError
        If there are fewer than two columns, `reference` is none of them, or `confidence`,
        `resamples` or `seed` is out of its range.
    ArrayTypeError, ShapeError, NonFiniteError
        As of `sign_flip_test`.

    Examples
    --------
    >>> from cameval.statistics import paired_tests
    >>> scores = {"a": [0.1, 0.2, 0.4], "b": [0.5, 0.5, 0.6], "c": [0.1, 0.4, 0.3]}
    >>> for test in paired_tests(scores, [1, 2, 3], reference="b"):
    ...     print(test.first, test.second, round(test.difference, 3), test.p, test.p_holm)
    a b -0.3 0.25 0.5
    c b -0.267 0.25 0.5
    """
    (tests,) = compare_in_parts(
        [(columns, groups)],
        reference=reference,
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    return tests


def compare_in_parts(
    parts: Sequence[tuple[Mapping[str, Values], Labels]],
    *,
    reference: str | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[list[PairedTest]]:
    """Compare the columns of each part, as `paired_tests` does, and correct for all parts.

    Parameters
    ----------
    parts
        The columns and groups of each part of the images.
    reference, confidence, resamples, seed
        As of `paired_tests`.
    """
    settings = Resampling(confidence, resamples, seed)
    pairs: list[tuple[str, str]] = []
    paired: list[GroupDifferences] = []
    for columns, groups in parts:
        names = list(columns)
        if len(names) < 2:
            raise SettingError(f"columns must be at least two, got {names}")
        if reference is not None and reference not in columns:
            raise SettingError(f"reference must be one of {names}, got {reference!r}")
        numbers = {name: as_numbers(values, name) for name, values in columns.items()}
        labels = as_labels(groups)
        check_aligned(*numbers.items(), ("groups", labels))
        here = list(combinations(names, 2))
        if reference is not None:
            here = [(name, reference) for name in names if name != reference]
        grouped = Groups.of(labels)
        paired += [GroupDifferences.of(numbers[one], numbers[two], grouped) for one, two in here]
        pairs += here
    flipped = flip_in_families(paired, settings)
    corrected = holm([test.p for test in flipped]).tolist()
    tests = [
        _paired_test(pair, of_pair, means, p_holm, confidence)
        for pair, of_pair, means, p_holm in zip(pairs, paired, flipped, corrected, strict=True)
    ]
    size = len(tests) // len(parts)  # each part has the same columns
    return [tests[k : k + size] for k in range(0, len(tests), size)]


def holm(p_values: Values) -> Floats:
    """Return p-values corrected for their number by Holm's step-down method.

    The smallest of m p-values is multiplied by m, the next by m - 1, and so on; a
    corrected value is never below that of a smaller p-value, nor above 1.

    Parameters
    ----------
    p_values
        Numbers in [0, 1], one axis. NaN stays NaN and is not counted.

    Returns
    -------
    ndarray
        Corrected p-values in the order given.

    Raises
    ------
    ArrayTypeError
        If they are not real numbers.
    ShapeError
        If there is none, or more than one axis.
    SettingError
        If one is outside [0, 1].

    References
    ----------
    S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
    Statistics 6 (1979).

    Examples
    --------
    >>> from cameval.statistics import holm
    >>> holm([0.01, 0.04, 0.03, float("nan")])
    array([0.03, 0.06, 0.06,  nan])
    """
    p = as_numbers(p_values, "p_values")
    check_aligned(("p_values", p))
    defined = np.flatnonzero(~np.isnan(p))
    if ((p[defined] < 0) | (p[defined] > 1)).any():
        raise SettingError(f"p_values must be in [0, 1], got {p[defined]}")
    order = defined[np.argsort(p[defined], kind="stable")]
    corrected = p.copy()
    factors = np.arange(order.size, 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * p[order]), 1)
    return corrected


def _sign_flip(paired: GroupDifferences, means: FlippedMeans, confidence: float) -> SignFlip:
    alpha = _level(confidence)
    low, high = means.ends(alpha, rejected=means.p < alpha)
    effect_low, effect_high = paired.effect_ends(low, high, confidence)
    return SignFlip(
        difference=paired.mean,
        low=low,
        high=high,
        p=means.p,
        effect=paired.effect,
        effect_low=effect_low,
        effect_high=effect_high,
        n=paired.n,
        n_groups=paired.n_groups,
        n_differing=paired.n_differing,
        n_undefined=paired.n_undefined,
        n_patterns=means.n_patterns,
        is_exact=means.is_exact,
        least_p=means.least_p(paired.n_differing),
    )


def _paired_test(
    names: tuple[str, str],
    paired: GroupDifferences,
    means: FlippedMeans,
    p_holm: float,
    confidence: float,
) -> PairedTest:
    alpha = _level(confidence)
    low, high = means.ends(alpha * (means.p / p_holm), rejected=p_holm < alpha)
    return PairedTest(
        **vars(_sign_flip(paired, means, confidence)),
        first=names[0],
        second=names[1],
        p_holm=p_holm,
        low_holm=low,
        high_holm=high,
    )


def _level(confidence: float) -> float:
    """Return the level of a test: exactly .05 for .95, without a rounding error."""
    return round(1 - confidence, 15)

"""Families of tests: all pairs, or all against one, corrected for their number."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from cameval.errors import SettingError
from cameval.statistics.groupwise import (
    GroupDifferences,
    mean_and_effect_ends,
    sign_flip_p,
    standardized,
    wilcoxon_p,
)
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
from cameval.statistics.resampling import Resampling

__all__ = ["PairedTest", "holm", "paired_tests"]


@dataclass(frozen=True)
class PairedTest:
    """One comparison of a family.

    Attributes
    ----------
    first, second
        Names of the two columns.
    difference, low, high
        Mean over the groups of the mean of ``first - second`` within the group, with its interval.
    p, p_holm
        Two-sided p-value of `sign_flip_test`, as it is and corrected for the family.
    p_wilcoxon
        Two-sided p-value of `wilcoxon_test`, as it is.
    effect, effect_low, effect_high
        The difference in standard deviations of the groups' differences (d_z), with its interval.
    n
        Images for which both values are defined.
    n_groups
        Groups with such an image.
    n_undefined
        Images without.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    p_wilcoxon: float
    effect: float
    effect_low: float
    effect_high: float
    n: int
    n_groups: int
    n_undefined: int


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

    Each comparison is a `sign_flip_test` and a `wilcoxon_test`; the p-values of the former are
    corrected by `holm` over all comparisons that are defined. Intervals are not corrected.

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
    >>> scores = {"a": [0.1, 0.2, 0.4], "b": [0.5, 0.5, 0.6], "c": [0.1, 0.4, 0.3]}
    >>> for test in paired_tests(scores, [1, 2, 3], reference="b"):
    ...     print(test.first, test.second, round(test.difference, 3), test.p, test.p_holm)
    a b -0.3 0.25 0.5
    c b -0.267 0.25 0.5
    """
    settings = Resampling(confidence, resamples, seed)
    names = list(columns)
    if len(names) < 2:
        raise SettingError(f"columns must be at least two, got {names}")
    if reference is not None and reference not in columns:
        raise SettingError(f"reference must be one of {names}, got {reference!r}")
    numbers = {name: as_numbers(values, name) for name, values in columns.items()}
    labels = as_labels(groups)
    check_aligned(*numbers.items(), ("groups", labels))

    pairs = list(combinations(names, 2))
    if reference is not None:
        pairs = [(name, reference) for name in names if name != reference]
    grouped = Groups.of(labels)
    paired = [GroupDifferences.of(numbers[one], numbers[other], grouped) for one, other in pairs]
    ends, p = _shared(paired, settings)
    return [
        PairedTest(
            first=one,
            second=other,
            difference=mean_of(pair.of_group),
            low=ends[k][0],
            high=ends[k][1],
            p=p[k],
            p_holm=p_holm,
            p_wilcoxon=wilcoxon_p(pair.of_group),
            effect=standardized(pair.of_group),
            effect_low=ends[k][2],
            effect_high=ends[k][3],
            n=pair.n,
            n_groups=pair.of_group.size,
            n_undefined=pair.n_undefined,
        )
        for k, ((one, other), pair, p_holm) in enumerate(
            zip(pairs, paired, holm([p[k] for k in range(len(pairs))]).tolist(), strict=True)
        )
    ]


def holm(p_values: Values) -> Floats:
    """Return p-values corrected for their number by Holm's step-down method.

    The smallest of m p-values is multiplied by m, the next by m - 1, and so on; none ends below one
    that started smaller, or above 1.

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


def _shared(
    paired: list[GroupDifferences], settings: Resampling
) -> tuple[dict[int, tuple[float, float, float, float]], dict[int, float]]:
    """Return interval ends and p-values by index; pairs with as many groups share their draws."""
    alike: dict[int, list[int]] = defaultdict(list)
    for k, pair in enumerate(paired):
        alike[pair.of_group.size].append(k)
    ends: dict[int, tuple[float, float, float, float]] = {}
    p: dict[int, float] = {}
    for members in alike.values():
        differences = [paired[k].of_group for k in members]
        ends |= zip(members, mean_and_effect_ends(differences, settings), strict=True)
        p |= zip(members, sign_flip_p(differences, settings), strict=True)
    return ends, p

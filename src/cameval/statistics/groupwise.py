"""What the paired tests compute on one difference for each group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cameval.statistics.inputs import Floats, Groups
from cameval.statistics.resampling import Ranking, Resampling, total

__all__ = [
    "GroupDifferences",
    "mean_and_effect_ends",
    "rank_biserial",
    "sign_flip_p",
    "standardized",
    "wilcoxon_p",
]

NAN = float("nan")
_NOTHING = 1e-12  # relative to the largest number: below it there is only rounding


@dataclass(frozen=True)
class GroupDifferences:
    """The mean difference within each group that has one."""

    of_group: Floats
    n: int
    n_undefined: int

    @classmethod
    def of(cls, first: Floats, second: Floats, groups: Groups) -> "GroupDifferences":
        """Average ``first - second`` within each group, where both are defined."""
        differences = first - second
        defined = ~np.isnan(differences)
        sums, counts = groups.sums(differences[defined], defined)
        present = counts > 0
        n = int(defined.sum())
        return cls(sums[present] / counts[present], n, defined.size - n)


def standardized(differences: Floats) -> float:
    """Return the mean in standard deviations; NaN where nothing varies."""
    if differences.size < 2 or np.ptp(differences) <= _NOTHING * np.abs(differences).max():
        return NAN
    return float(differences.mean() / differences.std(ddof=1))


def mean_and_effect_ends(
    differences: Sequence[Floats], settings: Resampling
) -> list[tuple[float, float, float, float]]:
    """Return low and high of the mean, then of the standardized mean, of equally many groups."""
    n_groups = differences[0].size
    if n_groups < 2:
        return [(NAN, NAN, NAN, NAN)] * len(differences)

    def means_and_effects(drawn: Floats) -> Floats:
        found = np.empty((len(differences), 2, len(drawn)))
        for (means, effects), of_group in zip(found, differences, strict=True):
            center = of_group.mean()
            centered = of_group - center
            shift = total(drawn, centered) / n_groups
            variance = total(drawn, centered**2) / n_groups - shift**2
            variance[variance <= _NOTHING * (of_group**2).max()] = NAN
            means[:] = center + shift
            effects[:] = means / np.sqrt(variance * n_groups / (n_groups - 1))
        return found

    resampled = settings.groups(means_and_effects, [n_groups])
    return [(*settings.ends(means), *settings.ends(effects)) for means, effects in resampled]


def sign_flip_p(differences: Sequence[Floats], settings: Resampling) -> list[float]:
    """Return two-sided p-values of the means of equally many groups."""
    n_groups = differences[0].size
    if n_groups == 0:
        return [NAN] * len(differences)

    def at_least_as_far(signs: Floats) -> Floats:
        found = np.empty((len(differences), len(signs)))
        for row, of_group in zip(found, differences, strict=True):
            rounding = _NOTHING * np.abs(of_group).sum()
            row[:] = np.abs(total(signs, of_group)) >= abs(of_group.sum()) - rounding
        return found

    if 2**n_groups <= settings.resamples:
        patterns = np.arange(2 ** (n_groups - 1))[:, None]  # the other half are their mirror images
        signs: Floats = 1 - 2 * (patterns >> np.arange(n_groups) & 1).astype(np.float64)
        p = at_least_as_far(signs).mean(1)
    else:
        count = settings.signs(at_least_as_far, n_groups).sum(1)
        p = (count + 1) / (settings.resamples + 1)
    values: list[float] = p.tolist()
    return values


def wilcoxon_p(differences: Floats) -> float:
    """Return the two-sided p-value of the signed ranks; 1 where no group differs."""
    from scipy.stats import wilcoxon  # slow to import

    if differences.size == 0:
        return NAN
    nonzero = differences[differences != 0]
    return float(wilcoxon(nonzero).pvalue) if nonzero.size else 1.0


def rank_biserial(differences: Floats) -> Callable[[Floats], Floats]:
    """Return the statistic ``(R, G)`` to ``(R,)``; 0 for a resample in which no group differs."""
    differs = differences != 0
    sign, ranking = np.sign(differences[differs]), Ranking(np.abs(differences[differs]))

    def statistic(drawn: Floats) -> Floats:
        if not differs.any():
            return np.zeros(len(drawn))
        weights = drawn[:, differs]
        ranks = weights * ranking(weights)
        sums = ranks.sum(1)
        found = np.zeros(len(drawn))
        np.divide(ranks @ sign, sums, out=found, where=sums > 0)
        return found

    return statistic

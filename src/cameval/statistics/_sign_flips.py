"""Sign-flip test of a mean difference, and the interval that is consistent with it."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cameval.errors import SettingError
from cameval.statistics._inputs import Floats, Groups, check_confidence, mean_or_nan

_CHUNK = 2**16  # numbers in memory at a time, which fit into the processor's cache


@dataclass(frozen=True)
class Resampling:
    """Number of resamples, their seed, and the confidence of an interval."""

    confidence: float
    resamples: int
    seed: int

    def __post_init__(self) -> None:
        """Check the settings."""
        check_confidence(self.confidence)
        if self.resamples < 1:
            raise SettingError(f"resamples must be at least 1, got {self.resamples}")
        if self.seed < 0:
            raise SettingError(f"seed must not be negative, got {self.seed}")

    def statistics_of_flips(self, statistic: Callable[[Floats], Floats], n_groups: int) -> Floats:
        """Return a statistic for R patterns of sign flips, ``(..., R)``.

        If there are at most `resamples` patterns, all are used, but of two complementary ones only
        the first. Else `resamples` random ones are used. The pattern without a flip comes first.

        Parameters
        ----------
        statistic
            Function from ``(R, G)``, with 1 for flipped groups and else 0, to ``(..., R)``.
        n_groups
            The number of groups.
        """
        if 2**n_groups <= self.resamples:
            patterns = np.arange(2 ** (n_groups - 1))[:, None]
            return statistic((patterns >> np.arange(n_groups) & 1).astype(np.float64))
        rng = np.random.default_rng(self.seed)
        parts = [statistic(np.zeros((1, n_groups)))]
        for rows in self._parts(n_groups):
            parts.append(statistic(rng.integers(2, size=(rows, n_groups)).astype(np.float64)))
        return np.concatenate(parts, axis=-1)

    def _parts(self, width: int) -> Iterator[int]:
        step = max(1, _CHUNK // width)
        for start in range(0, self.resamples, step):
            yield min(step, self.resamples - start)


def sum_of_groups(drawn: Floats, of_group: Floats) -> Floats:
    """Sum a number of each group over the selected groups of each row, ``(R, G)`` to ``(R,)``.

    Unlike that of a matrix product, the order of addition does not depend on the number of rows.
    """
    sums: Floats = np.einsum("rg,g->r", drawn, np.ascontiguousarray(of_group))
    return sums


NAN = float("nan")


_ROUNDING = 1e-12  # relative to the largest number


@dataclass(frozen=True)
class GroupDifferences:
    """Differences of two values of each image by group, where both are defined.

    Attributes
    ----------
    sums, sizes
        Sum and number of the differences of each group that has one.
    mean, deviation
        Mean and standard deviation over the images.
    log_error
        Standard error, by group, of the logarithm of the standard deviation.
    n, n_undefined
        Numbers of images with and without a difference.
    """

    sums: Floats
    sizes: Floats
    mean: float
    deviation: float
    log_error: float
    n: int
    n_undefined: int

    @classmethod
    def of(cls, first: Floats, second: Floats, groups: Groups) -> "GroupDifferences":
        """Compute the differences and sum them within each group."""
        differences = first - second
        defined = ~np.isnan(differences)
        known = differences[defined]
        sums, sizes = groups.sums(known, defined)
        present = sizes > 0
        squares = (known - mean_or_nan(known)) ** 2
        deviation = log_error = NAN
        if known.size > 1 and np.ptp(known) > _ROUNDING * np.abs(known).max():
            deviation = float(np.sqrt(squares.sum() / (known.size - 1)))
            pulls, _ = groups.sums(squares / squares.mean() - 1, defined)
            n_groups = np.count_nonzero(present)
            if n_groups > 1:
                factor = n_groups / (n_groups - 1)
                log_error = float(np.sqrt(factor * (pulls**2).sum()) / known.size / 2)
        return cls(
            sums[present],
            sizes[present],
            mean_or_nan(known),
            deviation,
            log_error,
            known.size,
            defined.size - known.size,
        )

    @property
    def n_groups(self) -> int:
        """Number of groups with a difference."""
        return self.sums.size

    @property
    def n_differing(self) -> int:
        """Number of groups whose differences do not sum to 0."""
        if not self.sums.size:
            return 0
        return int(np.count_nonzero(np.abs(self.sums) > _ROUNDING * np.abs(self.sums).sum()))

    @property
    def effect(self) -> float:
        """The mean in standard deviations; NaN if all differences are equal."""
        return self.mean / self.deviation

    def effect_ends(self, low: float, high: float, confidence: float) -> tuple[float, float]:
        """Return the interval of the effect from the interval of the mean at this confidence.

        The standard deviation is uncertain too: the distance between the effect and an end is the
        root of the sum of the two squared distances (MOVER). So the interval of the effect contains
        0 if that of the mean does.
        """
        from scipy.special import stdtrit

        t = float(stdtrit(max(self.n_groups - 1, 1), (1 + confidence) / 2))
        from_deviation = t * self.log_error * self.effect
        below = np.hypot((self.mean - low) / self.deviation, from_deviation)
        above = np.hypot((high - self.mean) / self.deviation, from_deviation)
        return float(self.effect - below), float(self.effect + above)


@dataclass(frozen=True)
class FlippedMeans:
    """Means of flipped and of other groups over sign patterns, for p-values and intervals.

    Under the hypothesis that the mean difference is d, group sums are ``S_g - n_g d``. A pattern
    gives a sum at least as far from 0 as the observed one exactly if d lies between the mean over
    the images of the flipped groups and the mean over those of the other groups. So the p-value of
    d is the share of patterns whose two means enclose d, and the d that are not rejected form an
    interval between two order statistics of these means.

    Attributes
    ----------
    lows, highs
        The smaller and the larger mean of each pattern, each in ascending order.
    """

    lows: Floats
    highs: Floats

    @property
    def n_enclosing(self) -> int:
        """Number of patterns whose means enclose 0."""
        return int(np.count_nonzero((self.lows <= 0) & (self.highs >= 0)))

    @property
    def p(self) -> float:
        """Two-sided p-value of a difference of 0."""
        return self.n_enclosing / self.lows.size if self.lows.size else NAN

    def ends(self, level: float, *, rejected: bool) -> tuple[float, float]:
        """Return the smallest and largest difference with a p-value of at least `level`.

        NaN if every difference has one, or if no group differs. `rejected` tells whether the
        p-value of 0 is below the level, so that rounding cannot contradict it.
        """
        size = self.lows.size
        if size == 0 or np.isnan(level):
            return NAN, NAN
        needed = int(np.ceil(round(level * size, 9)))  # a whole number is not rounded up
        needed = max(needed, self.n_enclosing + 1) if rejected else min(needed, self.n_enclosing)
        needed = max(needed, 1)
        low, high = float(self.lows[needed - 1]), float(self.highs[size - needed])
        if np.isinf(low) or low == high == 0:
            return NAN, NAN
        return low, high


def flip_in_families(
    differences: Sequence[GroupDifferences], settings: Resampling
) -> list[FlippedMeans]:
    """Flip signs in all comparisons; those with equally many groups use the same patterns."""
    alike: dict[int, list[int]] = defaultdict(list)
    for k, one in enumerate(differences):
        alike[one.n_groups].append(k)
    means: dict[int, FlippedMeans] = {}
    for members in alike.values():
        means |= zip(members, _flip_signs([differences[k] for k in members], settings), strict=True)
    return [means[k] for k in range(len(differences))]


def _flip_signs(
    differences: Sequence[GroupDifferences], settings: Resampling
) -> list[FlippedMeans]:
    """Flip signs by the same patterns in several comparisons with equally many groups."""
    if differences[0].n_groups == 0:
        return [FlippedMeans(np.empty(0), np.empty(0)) for _ in differences]
    alike = {one.sizes.tobytes(): one.sizes for one in differences}
    sizes = list(alike.values())  # most comparisons have groups of the same sizes
    number = {key: k for k, key in enumerate(alike)}
    totals = [_Totals.of(one, number[one.sizes.tobytes()]) for one in differences]
    ends = settings.statistics_of_flips(
        lambda flipped: _two_means(totals, sizes, flipped), differences[0].n_groups
    )
    return [FlippedMeans(np.sort(lows), np.sort(highs)) for lows, highs in ends]


@dataclass(frozen=True)
class _Totals:
    """Sums of the groups of one comparison, with what is the same for all patterns.

    Attributes
    ----------
    sums
        The sum of the differences of each group.
    total, size
        Sum and number of all differences.
    rounding
        A sum of some groups that is not larger is only rounding.
    sizes
        Which of the sizes of groups are those of this comparison.
    """

    sums: Floats
    total: np.float64
    size: np.float64
    rounding: np.float64
    sizes: int

    @classmethod
    def of(cls, one: GroupDifferences, sizes: int) -> "_Totals":
        """Return the totals of a comparison."""
        rounding = _ROUNDING * np.abs(one.sums).sum()
        return cls(one.sums, one.sums.sum(), one.sizes.sum(), rounding, sizes)

    def means(self, sums: Floats, counts: Floats) -> Floats:
        """Divide; NaN without a group, and 0 for a sum that is only rounding."""
        means = np.full(sums.shape, NAN)
        rounded = np.where(np.abs(sums) <= self.rounding, 0, sums)
        np.divide(rounded, counts, out=means, where=counts > 0)
        return means


def _two_means(totals: Sequence[_Totals], sizes: Sequence[Floats], flipped: Floats) -> Floats:
    """Return the smaller and the larger mean, of flipped and of other groups, ``(K, 2, R)``."""
    result = np.empty((len(totals), 2, len(flipped)))
    counted = [sum_of_groups(flipped, one) for one in sizes]
    for (lows, highs), one in zip(result, totals, strict=True):
        sums, counts = sum_of_groups(flipped, one.sums), counted[one.sizes]
        means = one.means(sums, counts), one.means(one.total - sums, one.size - counts)
        lows[:], highs[:] = np.minimum(*means), np.maximum(*means)
        trivial = np.isnan(lows)  # no group is flipped, or every group
        lows[trivial], highs[trivial] = -np.inf, np.inf
    return result

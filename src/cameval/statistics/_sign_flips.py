"""Sign-flip test of a mean difference, and the interval that is consistent with it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cameval.errors import SettingError
from cameval.statistics._inputs import Floats, Groups, check_confidence, mean_or_nan

MOST_ENUMERATED = 2**20
"""If there are at most so many patterns of signs, all are used."""

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

    def enumerates(self, n_groups: int) -> bool:
        """Tell whether all patterns of signs of so many groups are used."""
        return bool(2**n_groups <= max(self.resamples, MOST_ENUMERATED))

    def sums_of_flips(self, numbers: Sequence[Floats]) -> Iterable[Floats]:
        """Return the sum over the flipped groups in R patterns of signs, ``(R,)``, of each numbers.

        All patterns are used if they are few, but of two complementary ones only the first. Else
        `resamples` random ones are used. The pattern without a flip comes first.

        Parameters
        ----------
        numbers
            One or more series of a number for each group, ``(G,)``.
        """
        n_groups = numbers[0].size
        if self.enumerates(n_groups):
            return map(_sums_of_all_flips, numbers)
        rng = np.random.default_rng(self.seed)
        parts = [np.zeros((len(numbers), 1))]
        for rows in self._parts(n_groups):
            drawn = rng.integers(2, size=(rows, n_groups)).astype(np.float64)
            parts.append(np.stack([sum_of_groups(drawn, one) for one in numbers]))
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


def _sums_of_all_flips(of_group: Floats) -> Floats:
    """Return the sums over the flipped groups in all patterns that do not flip the last group.

    Each group doubles the patterns: those without it, and the same with it.
    """
    sums = np.zeros(2 ** (of_group.size - 1))
    for k, number in enumerate(of_group[:-1]):
        np.add(sums[: 2**k], number, out=sums[2**k : 2 ** (k + 1)])
    return sums


def least_p(n_groups: int) -> float:
    """Return the least p-value of a two-sided sign-flip test in which so many groups differ.

    Examples
    --------
    >>> from cameval.statistics._sign_flips import least_p
    >>> least_p(5), least_p(6), least_p(0)
    (0.0625, 0.03125, 1.0)
    """
    return float(min(2.0 ** (1 - n_groups), 1))


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
        The smaller and the larger mean of each pattern, each in ascending order: the first ones of
        the smaller means and the last ones of the larger means, as many as the widest interval
        needs.
    size
        Number of patterns; of two complementary ones only one is counted if all are used.
    n_enclosing
        Number of patterns whose means enclose 0.
    is_exact
        Whether all patterns are used.
    """

    lows: Floats
    highs: Floats
    size: int
    n_enclosing: int
    is_exact: bool

    @classmethod
    def of(cls, lows: Floats, highs: Floats, settings: Resampling, n_groups: int) -> "FlippedMeans":
        """Sort the means of all patterns, as far as intervals of this confidence need them."""
        size = lows.size
        n_enclosing = int(np.count_nonzero((lows <= 0) & (highs >= 0)))
        kept = min(size, int((1 - settings.confidence) * size) + 2)
        if kept < size:
            lows = np.partition(lows, kept - 1)[:kept]
            highs = np.partition(highs, size - kept)[size - kept :]
        exact = settings.enumerates(n_groups)
        return cls(np.sort(lows), np.sort(highs), size, n_enclosing, exact)

    @property
    def n_patterns(self) -> int:
        """Number of patterns of signs that p is a share of."""
        return 2 * self.size if self.is_exact else self.size

    @property
    def p(self) -> float:
        """Two-sided p-value of a difference of 0."""
        return self.n_enclosing / self.size if self.size else NAN

    def least_p(self, n_differing: int) -> float:
        """Return the least p-value with these patterns, if so many groups differ.

        Random patterns may have fewer extreme ones than all patterns; then it is p.
        """
        if self.is_exact or not self.size:
            return least_p(n_differing) if self.size else NAN
        return min(self.p, max(least_p(n_differing), 1 / self.size))

    def ends(self, level: float, *, rejected: bool) -> tuple[float, float]:
        """Return the smallest and largest difference with a p-value of at least `level`.

        NaN if every difference has one, or if no group differs. `rejected` tells whether the
        p-value of 0 is below the level, so that rounding cannot contradict it.
        """
        if self.size == 0 or np.isnan(level):
            return NAN, NAN
        needed = int(np.ceil(round(level * self.size, 9)))  # a whole number is not rounded up
        needed = max(needed, self.n_enclosing + 1) if rejected else min(needed, self.n_enclosing)
        needed = max(needed, 1)
        low, high = float(self.lows[needed - 1]), float(self.highs[-needed])
        if np.isinf(low) or low == high == 0:
            return NAN, NAN
        return low, high


def flip_in_families(
    differences: Sequence[GroupDifferences], settings: Resampling
) -> list[FlippedMeans]:
    """Flip signs in all comparisons; those with equally many groups use the same patterns."""
    alike: dict[bytes, list[int]] = defaultdict(list)
    for k, one in enumerate(differences):  # most comparisons have groups of the same sizes
        alike[one.sizes.tobytes()].append(k)
    means: dict[int, FlippedMeans] = {}
    for members in alike.values():
        means |= zip(members, _flip_signs([differences[k] for k in members], settings), strict=True)
    return [means[k] for k in range(len(differences))]


def _flip_signs(
    differences: Sequence[GroupDifferences], settings: Resampling
) -> Iterator[FlippedMeans]:
    """Flip signs by the same patterns in several comparisons with groups of the same sizes."""
    sizes = differences[0].sizes
    if not sizes.size:
        yield from (FlippedMeans(np.empty(0), np.empty(0), 0, 0, True) for _ in differences)
        return
    summed = iter(settings.sums_of_flips([sizes, *(one.sums for one in differences)]))
    counted = next(summed)
    for one, sums in zip(differences, summed, strict=True):
        yield FlippedMeans.of(*_two_means(one, sums, counted), settings, one.n_groups)


def _two_means(one: GroupDifferences, sums: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return the smaller and the larger mean, of flipped and of other groups, each ``(R,)``."""
    rounding = _ROUNDING * np.abs(one.sums).sum()  # a sum that is not larger is 0
    flipped = _mean(sums, counts, rounding)
    others = _mean(one.sums.sum() - sums, one.sizes.sum() - counts, rounding)
    lows, highs = np.minimum(flipped, others), np.maximum(flipped, others)
    trivial = np.isnan(lows)  # no group is flipped, or every group
    lows[trivial], highs[trivial] = -np.inf, np.inf
    return lows, highs


def _mean(sums: Floats, counts: Floats, rounding: float) -> Floats:
    """Divide; NaN without a group, and 0 for a sum that is only rounding."""
    means = np.full(sums.shape, NAN)
    rounded = np.where(np.abs(sums) <= rounding, 0, sums)
    np.divide(rounded, counts, out=means, where=counts > 0)
    return means

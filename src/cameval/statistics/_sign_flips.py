"""Sign-flip test of one mean difference, and the interval that agrees with it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from cameval.errors import SettingError
from cameval.statistics._inputs import Floats, Groups, check_confidence, mean_of

_CHUNK = 2**16  # numbers held at a time, so that they stay in the processor's cache


@dataclass(frozen=True)
class Resampling:
    """How often to draw, from which seed, and the confidence of an interval."""

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

    def flips(self, statistic: Callable[[Floats], Floats], n_groups: int) -> Floats:
        """Return the statistic of every choice of groups whose signs are flipped, ``(..., R)``.

        Where there are no more patterns of signs than `resamples` all are visited, but for those
        that flip the others instead, the pattern without a flip first. Else that one is followed
        by `resamples` random ones.

        Parameters
        ----------
        statistic
            From ``(R, G)``, 1 for each of G groups that is flipped and else 0, to ``(..., R)``.
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


def total(drawn: Floats, of_group: Floats) -> Floats:
    """Add up a number of each group over the drawn groups, ``(R, G)`` to ``(R,)``.

    The order of addition does not depend on how many resamples there are, as that of a matrix
    product may.
    """
    sums: Floats = np.einsum("rg,g->r", drawn, np.ascontiguousarray(of_group))
    return sums


NAN = float("nan")


_NOTHING = 1e-12  # relative to the largest number: below it there is only rounding


@dataclass(frozen=True)
class GroupDifferences:
    """The differences of the images by group, where both values are defined.

    Attributes
    ----------
    sums, sizes
        Sum and number of the differences of each group that has one.
    mean, deviation
        Mean and standard deviation over the images.
    log_error
        Standard error, by group, of the logarithm of the standard deviation.
    n, n_undefined
        Images with a difference, and without.
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
        """Subtract, and add up within each group."""
        differences = first - second
        defined = ~np.isnan(differences)
        known = differences[defined]
        sums, sizes = groups.sums(known, defined)
        present = sizes > 0
        squares = (known - mean_of(known)) ** 2
        deviation = log_error = NAN
        if known.size > 1 and np.ptp(known) > _NOTHING * np.abs(known).max():
            deviation = float(np.sqrt(squares.sum() / (known.size - 1)))
            pulls, _ = groups.sums(squares / squares.mean() - 1, defined)
            n_groups = np.count_nonzero(present)
            if n_groups > 1:
                factor = n_groups / (n_groups - 1)
                log_error = float(np.sqrt(factor * (pulls**2).sum()) / known.size / 2)
        return cls(
            sums[present],
            sizes[present],
            mean_of(known),
            deviation,
            log_error,
            known.size,
            defined.size - known.size,
        )

    @property
    def n_groups(self) -> int:
        """Groups with a difference."""
        return self.sums.size

    @property
    def n_differing(self) -> int:
        """Groups whose sum of differences is not 0."""
        if not self.sums.size:
            return 0
        return int(np.count_nonzero(np.abs(self.sums) > _NOTHING * np.abs(self.sums).sum()))

    @property
    def effect(self) -> float:
        """The mean in standard deviations; NaN where nothing varies."""
        return self.mean / self.deviation

    def effect_ends(self, low: float, high: float, confidence: float) -> tuple[float, float]:
        """Return the ends for the effect from those for the mean, at this confidence.

        The standard deviation is uncertain too: each distance between the effect and an end is the
        root of the sum of the two squared distances (MOVER). The interval of the effect therefore
        holds 0 where that of the mean does.
        """
        t = float(stdtrit(max(self.n_groups - 1, 1), (1 + confidence) / 2))
        from_deviation = t * self.log_error * self.effect
        below = np.hypot((self.mean - low) / self.deviation, from_deviation)
        above = np.hypot((high - self.mean) / self.deviation, from_deviation)
        return float(self.effect - below), float(self.effect + above)


@dataclass(frozen=True)
class Flips:
    """Which hypothetical mean differences each pattern of signs supports, in ascending order.

    With ``S_g - n_g d`` as the sums under the hypothesis that the mean difference is d, the pattern
    that flips some groups gives a sum at least as far from 0 as the observed one exactly if d lies
    between the mean over the images of the flipped groups and that of the others. So the p-value of
    any d is the share of patterns whose two means enclose d, and the interval of the d that are not
    rejected runs between two order statistics of these means.
    """

    lows: Floats
    highs: Floats

    @property
    def supporting(self) -> int:
        """Patterns that support a difference of 0."""
        return int(np.count_nonzero((self.lows <= 0) & (self.highs >= 0)))

    @property
    def p(self) -> float:
        """Two-sided p-value of a difference of 0."""
        return self.supporting / self.lows.size if self.lows.size else NAN

    def ends(self, level: float, *, rejected: bool) -> tuple[float, float]:
        """Return the smallest and largest difference with a p-value of at least `level`.

        NaN where every difference has one, and where no group differs. `rejected` says whether the
        p-value of 0 is below the level; it decides where rounding would.
        """
        size = self.lows.size
        if size == 0 or np.isnan(level):
            return NAN, NAN
        needed = int(np.ceil(level * size))
        needed = max(needed, self.supporting + 1) if rejected else min(needed, self.supporting)
        needed = max(needed, 1)
        low, high = float(self.lows[needed - 1]), float(self.highs[size - needed])
        if np.isinf(low) or low == high == 0:
            return NAN, NAN
        return low, high


def flips(differences: Sequence[GroupDifferences], settings: Resampling) -> list[Flips]:
    """Flip the signs of equally many groups in several comparisons, by the same draws."""
    if not differences or differences[0].n_groups == 0:
        return [Flips(np.empty(0), np.empty(0)) for _ in differences]
    ends = settings.flips(lambda flipped: _enclosed(differences, flipped), differences[0].n_groups)
    return [Flips(np.sort(lows), np.sort(highs)) for lows, highs in ends]


def _enclosed(differences: Sequence[GroupDifferences], flipped: Floats) -> Floats:
    """Return the smaller and the larger mean of flipped groups and others, ``(K, 2, R)``."""
    found = np.empty((len(differences), 2, len(flipped)))
    counted: dict[bytes, Floats] = {}  # most comparisons are of groups of the same sizes
    for (lows, highs), one in zip(found, differences, strict=True):
        key = one.sizes.tobytes()
        if key not in counted:
            counted[key] = total(flipped, one.sizes)
        sums, sizes = total(flipped, one.sums), counted[key]
        means = [
            _means(sums, sizes, one),
            _means(one.sums.sum() - sums, one.sizes.sum() - sizes, one),
        ]
        lows[:], highs[:] = np.minimum(*means), np.maximum(*means)
        nothing = np.isnan(lows)  # no group is flipped, or every group
        lows[nothing], highs[nothing] = -np.inf, np.inf
    return found


def _means(sums: Floats, sizes: Floats, one: GroupDifferences) -> Floats:
    """Divide; NaN where there is no group, and 0 where there is only rounding."""
    rounding = _NOTHING * np.abs(one.sums).sum()
    means = np.full(sums.shape, NAN)
    np.divide(np.where(np.abs(sums) <= rounding, 0, sums), sizes, out=means, where=sizes > 0)
    return means

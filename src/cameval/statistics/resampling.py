"""Random draws of whole groups and of signs: seeded, a limited number at a time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from cameval.errors import SettingError
from cameval.statistics.inputs import Floats

__all__ = ["Ranking", "Resampling", "bca_levels", "quantiles", "total"]

_CHUNK = 2**16  # numbers held at a time, so that they stay in the processor's cache


@dataclass(frozen=True)
class Resampling:
    """How often to draw, from which seed, and how much of the outcome an interval holds."""

    confidence: float
    resamples: int
    seed: int

    def __post_init__(self) -> None:
        """Check the settings."""
        if not 0 < self.confidence < 1:
            raise SettingError(f"confidence must be in (0, 1), got {self.confidence}")
        if self.resamples < 1:
            raise SettingError(f"resamples must be at least 1, got {self.resamples}")
        if self.seed < 0:
            raise SettingError(f"seed must not be negative, got {self.seed}")

    def groups(
        self, statistic: Callable[[Floats], Floats], sizes: Sequence[int], width: int = 0
    ) -> Floats:
        """Return the statistic of every resample, ``(..., resamples)``.

        Groups are drawn with replacement, as many as there are, stratum by stratum.

        Parameters
        ----------
        statistic
            From ``(R, G)``, how often each of G groups is in each of R resamples, to ``(..., R)``.
        sizes
            Groups in each stratum.
        width
            Numbers that the statistic holds for one resample, where more than G.
        """
        rngs = [np.random.default_rng([self.seed, stratum]) for stratum in range(len(sizes))]
        parts = []
        for rows in self._parts(max(width, sum(sizes))):
            drawn = [_counts(rng, rows, size) for rng, size in zip(rngs, sizes, strict=True)]
            parts.append(statistic(np.concatenate(drawn, axis=1)))
        return np.concatenate(parts, axis=-1)

    def signs(self, statistic: Callable[[Floats], Floats], n_groups: int) -> Floats:
        """Return the statistic of every random flip of signs, ``(..., resamples)``."""
        rng = np.random.default_rng(self.seed)
        parts = [
            statistic(2 * rng.integers(2, size=(rows, n_groups)).astype(np.float64) - 1)
            for rows in self._parts(n_groups)
        ]
        return np.concatenate(parts, axis=-1)

    def ends(self, outcome: Floats) -> tuple[float, float]:
        """Return the percentiles of the defined resamples between which the interval lies."""
        tail = (1 - self.confidence) / 2
        return quantiles(outcome, [tail, 1 - tail])

    def _parts(self, width: int) -> Iterator[int]:
        step = max(1, _CHUNK // max(width, 1))
        for start in range(0, self.resamples, step):
            yield min(step, self.resamples - start)


def quantiles(outcome: Floats, levels: Sequence[float]) -> tuple[float, float]:
    """Return two quantiles of the values that are not NaN; NaN where there are none."""
    defined = outcome[~np.isnan(outcome)]
    if defined.size == 0 or np.isnan(levels).any():
        return float("nan"), float("nan")
    low, high = np.quantile(defined, levels).tolist()
    return low, high


def total(drawn: Floats, of_group: Floats) -> Floats:
    """Add up a number of each group over the drawn groups, ``(R, G)`` to ``(R,)``.

    The order of addition does not depend on how many resamples there are, as that of a matrix
    product may.
    """
    sums: Floats = np.einsum("rg,g->r", drawn, np.ascontiguousarray(of_group))
    return sums


class Ranking:
    """Mean ranks of values among samples that hold each of them any number of times.

    Tied values share the mean of their ranks, which start at 1.
    """

    def __init__(self, values: Floats) -> None:
        _, self._run = np.unique(values, return_inverse=True)
        self._order = np.argsort(self._run, kind="stable")
        self._starts = np.flatnonzero(np.diff(self._run[self._order], prepend=-1))

    def __call__(self, weights: Floats) -> Floats:
        """Return the ranks of N values in R samples that hold them `weights` times, ``(R, N)``.

        A value that a sample does not hold has a rank of no meaning.
        """
        held = weights[:, self._order]
        if self._starts.size < self._order.size:
            held = np.add.reduceat(held, self._starts, axis=1)
        ranks = np.cumsum(held, axis=1)
        ranks -= (held - 1) / 2
        return ranks[:, self._run]


def bca_levels(
    outcome: Floats, estimate: float, left_out: Floats, sizes: Sequence[int], confidence: float
) -> list[float]:
    """Return the two levels of the bias-corrected and accelerated bootstrap.

    `left_out` are the estimates without each group; the groups of a stratum follow each other.
    """
    below = (np.mean(outcome < estimate) + np.mean(outcome <= estimate)) / 2
    cubes = squares = 0.0
    for part in np.split(left_out, np.cumsum(sizes)[:-1]):
        if part.size > 1:
            pull = (part.size - 1) / part.size * (part.mean() - part)
            cubes, squares = cubes + float(np.sum(pull**3)), squares + float(np.sum(pull**2))
    acceleration = cubes / (6 * squares**1.5) if squares > 0 else 0.0
    tail = (1 - confidence) / 2
    bias = ndtri(below)
    shifted = bias + ndtri([tail, 1 - tail])
    with np.errstate(invalid="ignore"):
        levels: list[float] = ndtr(bias + shifted / (1 - acceleration * shifted)).tolist()
    return levels


def _counts(rng: np.random.Generator, rows: int, size: int) -> Floats:
    """Draw `size` of as many groups, `rows` times; return how often each was drawn."""
    drawn = rng.integers(size, size=(rows, size)) if size else np.zeros((rows, 0), np.int64)
    drawn += size * np.arange(rows)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=rows * size)
    return counts.reshape(rows, size).astype(np.float64)

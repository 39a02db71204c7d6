"""Random draws of signs: seeded, a limited number at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from cameval.errors import SettingError
from cameval.statistics.inputs import Floats, check_confidence

__all__ = ["Resampling", "total"]

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

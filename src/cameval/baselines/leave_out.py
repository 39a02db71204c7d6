"""Mean masks of the images of other groups, where there is no training part to learn from."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cameval.baselines.batch import Batch
from cameval.baselines.checksum import checksum
from cameval.baselines.mean_masks import Truth, laid, pooled
from cameval.baselines.pooling import pair
from cameval.data import Sample
from cameval.errors import DataError

__all__ = ["LeaveGroupOutPrior"]

_QUANTUM = 4096
"""Shares of a cell are kept as whole numbers of this part, so that sums are exact: a group that is
taken out leaves nothing behind, not even a rounding error that a ranking would see."""


@dataclass(frozen=True, eq=False)
class _Pile:
    """Masks laid on each other: their sum, in parts of a pixel, and their number."""

    parts: Tensor
    count: int

    def __add__(self, other: "_Pile") -> "_Pile":
        return _Pile(self.parts + other.parts, self.count + other.count)

    def __sub__(self, other: "_Pile") -> "_Pile":
        return _Pile(self.parts - other.parts, self.count - other.count)

    @property
    def mean(self) -> Tensor:
        """The mean mask, in [0, 1]."""
        return (self.parts.to(torch.float64) / (_QUANTUM * self.count)).to(torch.float32)


@dataclass(frozen=True, eq=False)
class LeaveGroupOutPrior:
    """A blind map: the mean mask of all samples of other groups, where there is no training part.

    Nothing of the tested image, nor of another image of its patient, is in its map. Made by
    :meth:`of`.

    Parameters
    ----------
    piles
        The masks laid on each other, for each group and class.
    by_class
        Take the masks of the explained class alone. A class without a mask in other groups gets the
        mean over all classes.
    """

    piles: Mapping[str, Mapping[int, _Pile]] = field(repr=False)
    by_class: bool = False
    groups: int = field(init=False)
    samples: int = field(init=False)
    checksum: str = field(init=False)
    _totals: Mapping[int, _Pile] = field(init=False, repr=False)
    _total: _Pile = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.piles) < 2:
            raise DataError(
                f"samples must be of at least two groups, got {len(self.piles)}; "
                "there is no other group to learn a mean mask from"
            )
        totals: dict[int, _Pile] = {}
        for of_group in self.piles.values():
            for label, pile in of_group.items():
                wide = _Pile(pile.parts.to(torch.int64), pile.count)
                totals[label] = totals[label] + wide if label in totals else wide
        total = _sum(totals.values())
        found = checksum(*(totals[label].parts for label in sorted(totals)))
        settings = {"_totals": totals, "_total": total, "samples": total.count, "checksum": found}
        for name, value in (settings | {"groups": len(self.piles)}).items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(
        cls,
        samples: Iterable[Sample],
        size: tuple[int, int] = (32, 32),
        *,
        by_class: bool = False,
        truth: Truth | None = None,
    ) -> "LeaveGroupOutPrior":
        """Learn the sums of masks, one sample in memory at a time.

        Parameters
        ----------
        samples
            The samples that are scored, or any others.
        size
            Grid on which sums are kept, in 4 bytes for each cell, group and class: 4 KiB each by
            default. Masks are pooled to it.
        by_class
            As for the class.
        truth
            From a sample to its mask on the part of the image that is scored, by default the whole
            mask. Where a preparation crops, ``lambda sample: preparation(sample)[1]``.

        Returns
        -------
        LeaveGroupOutPrior
            Its maps are in [0, 1].

        Raises
        ------
        DataError
            If there are fewer than two groups.
        """
        grid = pair(size, "size")
        piles: dict[str, dict[int, _Pile]] = defaultdict(dict)
        for sample in samples:
            shares = pooled(sample, grid, truth)
            pile = _Pile((shares * _QUANTUM).round().to(torch.int32), 1)
            of_group = piles[sample.group]
            known = of_group.get(sample.label)
            of_group[sample.label] = pile if known is None else known + pile
        return cls(dict(piles), by_class)

    def __call__(self, batch: Batch, /) -> Tensor:
        """Return maps ``(N, H, W)``; a sample of an unknown group has all others to learn from."""
        pairs = zip(batch.samples, batch.classes.tolist(), strict=True)
        return laid(torch.stack([self._mean(sample.group, c) for sample, c in pairs]), batch)

    def _mean(self, group: str, label: int) -> Tensor:
        own = self.piles.get(group, {})
        if self.by_class and label in self._totals:
            others = self._totals[label]
            others = others - own[label] if label in own else others
            if others.count:
                return others.mean
        return (self._total - _sum(own.values()) if own else self._total).mean


def _sum(piles: Iterable[_Pile]) -> _Pile:
    first, *rest = piles
    return sum(rest, first)

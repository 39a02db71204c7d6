"""Mean masks of the images of other groups, where there is no training part to learn from."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from cameval.baselines.batch import Batch, Knows
from cameval.baselines.checksum import checksum
from cameval.baselines.mean_masks import Truth, pool_mask, to_grid
from cameval.baselines.pooling import pair
from cameval.data import Sample
from cameval.errors import DataError

__all__ = ["LeaveGroupOutPrior"]

_QUANTUM = 4096
"""Shares of a cell are kept as whole numbers of this part, so that sums are exact: a group that is
taken out is taken out exactly, without a rounding error that a ranking would see."""


@dataclass(frozen=True, eq=False)
class _Sum:
    """The sum of masks, in parts of a pixel, and their number."""

    parts: Tensor
    count: int

    def __add__(self, other: "_Sum") -> "_Sum":
        return _Sum(self.parts + other.parts, self.count + other.count)

    def __sub__(self, other: "_Sum") -> "_Sum":
        return _Sum(self.parts - other.parts, self.count - other.count)

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
    sums
        The sums of masks, for each group and class, None where that is not known.
    by_class
        Take the masks of the explained class alone. A class without a mask in other groups gets the
        mean over all classes.
    """

    sums: Mapping[str, Mapping[int | None, _Sum]] = field(repr=False)
    by_class: bool = False
    groups: int = field(init=False)
    samples: int = field(init=False)
    checksum: str = field(init=False)
    _totals: Mapping[int | None, _Sum] = field(init=False, repr=False)
    _total: _Sum = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.sums) < 2:
            raise DataError(
                f"samples must be of at least two groups, got {len(self.sums)}; "
                "there is no other group to learn a mean mask from"
            )
        totals: dict[int | None, _Sum] = {}
        for of_group in self.sums.values():
            for label, one in of_group.items():
                wide = _Sum(one.parts.to(torch.int64), one.count)
                totals[label] = totals[label] + wide if label in totals else wide
        total = _sum(totals.values())
        found = checksum(*(totals[label].parts for label in sorted(totals, key=_none_first)))
        settings = {"_totals": totals, "_total": total, "samples": total.count, "checksum": found}
        for name, value in (settings | {"groups": len(self.sums)}).items():
            object.__setattr__(self, name, value)

    @property
    def knows(self) -> Knows:
        """``"labels"`` where the mean is that of the explained class, else ``"nothing"``."""
        return "labels" if self.by_class else "nothing"

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
        sums: dict[str, dict[int | None, _Sum]] = defaultdict(dict)
        for sample in samples:
            shares = pool_mask(sample, grid, truth)
            one = _Sum((shares * _QUANTUM).round().to(torch.int32), 1)
            of_group = sums[sample.group]
            known = of_group.get(sample.label)
            of_group[sample.label] = one if known is None else known + one
        return cls(dict(sums), by_class)

    def __call__(self, batch: Batch, /) -> Tensor:
        """Return maps ``(N, H, W)``; a sample of an unknown group has all others to learn from."""
        pairs = zip(batch.samples, batch.classes.tolist(), strict=True)
        return to_grid(torch.stack([self._mean(sample.group, c) for sample, c in pairs]), batch)

    def _mean(self, group: str, label: int) -> Tensor:
        own = self.sums.get(group, {})
        if self.by_class and label in self._totals:
            others = self._totals[label]
            others = others - own[label] if label in own else others
            if others.count:
                return others.mean
        return (self._total - _sum(own.values()) if own else self._total).mean


def _none_first(label: int | None) -> int:
    return -1 if label is None else label


def _sum(sums: Iterable[_Sum]) -> _Sum:
    first, *rest = sums
    return sum(rest, first)

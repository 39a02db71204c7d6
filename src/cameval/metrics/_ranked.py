"""Ranks of the true pixels among the pixels of a map.

A map is sorted once, and inside ``with memo():`` once for all metrics and binarizers. Equal values
are one level; -0.0 and 0.0 are equal.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from cameval._arrays import as_numpy, exact, sort_values
from cameval._memo import memoized

_LARGE = 64 * 64
"""From this number of pixels on, NumPy ranks image by image faster than torch ranks a batch."""


_SPARSE = 1 / 16
"""Up to this share of true pixels, looking each of them up is faster than sorting them along."""


class _Levels(NamedTuple):
    """Levels that hold true pixels, highest first: pixels above, pixels marked, true pixels."""

    above: NDArray[Any]
    marked: NDArray[Any]
    gained: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Ranked:
    """Levels of each map, highest first, as numbers of pixels in floating tensors ``(..., L)``.

    A level is a distinct value. All levels that hold true pixels are included, others may be; the
    last one may be repeated.

    Attributes
    ----------
    above
        Number of pixels strictly higher than the level.
    marked
        Number of pixels at least as high.
    gained
        Number of true pixels on the level.
    pixels
        Number of pixels of a map.

    Examples
    --------
    >>> maps = torch.tensor([[4.0, 3.0, 3.0, 1.0]])
    >>> ranked = Ranked.of(maps, torch.tensor([[True, True, False, False]]))
    >>> ranked.expected_hits(torch.tensor([1.0, 2.0, 3.0]))
    tensor([1.0000, 1.5000, 2.0000], dtype=torch.float64)
    """

    above: Tensor
    marked: Tensor
    gained: Tensor
    pixels: int

    @classmethod
    @memoized
    def of(cls, scores: Tensor, truth: Tensor) -> "Ranked":
        """Rank the pixels of checked maps and true masks ``(..., H, W)`` of one shape."""
        pixels = scores.shape[-2:].numel()
        rank = _rank_by_image if scores.is_cpu and pixels >= _LARGE else _rank_batch
        above, marked, gained = rank(scores, truth)
        return cls(exact(above), exact(marked), exact(gained), pixels)

    @cached_property
    def hits(self) -> Tensor:
        """Number of true pixels at least as high as the level, ``(..., L)``."""
        return self.gained.cumsum(-1)

    @cached_property
    def true(self) -> Tensor:
        """Number of true pixels of each map, ``(...)``."""
        return self.hits[..., -1]

    def expected_hits(self, budget: Tensor) -> Tensor:
        """Return the expected number of true pixels among the `budget` highest pixels.

        The expectation is over all orders of the tied pixels.

        Parameters
        ----------
        budget
            Numbers of pixels ``(..., K)``, also fractional; a part of a pixel counts by that part.
        """
        budget = budget.expand(*self.marked.shape[:-1], budget.shape[-1]).contiguous()
        whole = torch.searchsorted(self.marked, budget, right=True)
        hits = pad(self.hits, (1, 0)).gather(-1, whole)
        begun = whole.clamp(max=self.marked.shape[-1] - 1)
        above, marked, gained = (
            each.gather(-1, begun) for each in (self.above, self.marked, self.gained)
        )
        part = gained * ((budget - above) / (marked - above)).clamp(0, 1)
        return hits + part.where(whole == begun, 0)


def _rank_batch(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rank all maps at once, one entry for each pixel; a level's first entry has its hits."""
    values, order = scores.flatten(-2).sort(-1, descending=True)
    true = truth.flatten(-2).gather(-1, order).to(torch.int32)
    starts = torch.ones_like(values, dtype=torch.bool)
    starts[..., 1:] = values[..., 1:] != values[..., :-1]
    place = torch.arange(values.shape[-1], device=values.device).expand_as(values)
    above = place.where(starts, 0).cummax(-1).values
    ends = (place + 1).where(starts.roll(-1, -1), values.shape[-1])
    marked = ends.flip(-1).cummin(-1).values.flip(-1)
    hits = true.cumsum(-1)
    gained = (hits.gather(-1, marked - 1) - hits + true).where(starts, 0)
    return above, marked, gained


def _rank_by_image(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rank one map after the other, only the levels that hold true pixels."""
    pixels = scores.shape[-2:].numel()
    rows = (as_numpy(scores), as_numpy(truth), as_numpy(sort_values(scores)))
    images = zip(*(row.reshape(-1, pixels) for row in rows), strict=True)
    levels = [_levels(*image) for image in images]
    longest = max([1, *(len(each.gained) for each in levels)])
    padded = np.zeros((3, len(levels), longest))
    padded[1] = pixels
    for row, each in enumerate(levels):
        padded[:, row, : len(each.gained)] = each
    above, marked, gained = torch.from_numpy(padded).reshape(3, *scores.shape[:-2], longest)
    return above, marked, gained


def _levels(values: NDArray[Any], truth: NDArray[Any], ascending: NDArray[Any]) -> _Levels:
    if np.count_nonzero(truth) <= _SPARSE * truth.size:
        inside, gained = np.unique(values[truth], return_counts=True)
        first, end = (np.searchsorted(ascending, inside, side) for side in ("left", "right"))
    else:
        first = np.flatnonzero(np.append(True, ascending[1:] != ascending[:-1]))
        end = np.append(first[1:], truth.size)
        gained = np.add.reduceat(_sort_truth(values, truth), first, dtype=np.int64)
        held = np.flatnonzero(gained > 0)
        first, end, gained = first[held], end[held], gained[held]
    return _Levels(*(each[::-1] for each in (truth.size - end, truth.size - first, gained)))


def _sort_truth(values: NDArray[Any], truth: NDArray[Any]) -> NDArray[Any]:
    """Return the truth in ascending order of the values, in any order within a level.

    A narrower number leaves the last bit of float64 free: the truth is stored there and sorted
    along.
    """
    if values.dtype.itemsize > 4:
        return truth[np.argsort(values)]
    keys = (values.astype(np.float64) + 0.0).view(np.int64)  # + 0.0 removes -0.0
    keys |= truth
    keys.view(np.float64).sort()
    return keys & 1

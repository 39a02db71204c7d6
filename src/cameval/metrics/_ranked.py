"""Ranks of the true pixels among the pixels of a map.

A map is sorted once, and inside ``with memo():`` once for all metrics and binarizers. Equal values
are one level; -0.0 and 0.0 are equal.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from cameval._arrays import exact
from cameval._memo import memoized
from cameval._sorting import sorted_with_truth, sorts_by_image


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
    >>> import torch
    >>> from cameval.metrics._ranked import Ranked
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
        if not sorts_by_image(scores):
            above, marked, gained = _rank_batch(scores, truth)
            return cls(exact(above), exact(marked), exact(gained), pixels)
        levels = [each.levels for each in sorted_with_truth(scores, truth)]
        longest = max([1, *(len(each.gained) for each in levels)])
        padded = np.zeros((3, len(levels), longest))
        padded[1] = pixels
        for row, each in enumerate(levels):
            padded[:, row, : len(each.gained)] = each
        shape = 3, *scores.shape[:-2], longest
        above, marked, gained = torch.from_numpy(padded).reshape(shape)
        return cls(above, marked, gained, pixels)

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


@memoized
def ranked_images(scores: Tensor, truth: Tensor) -> list[Ranked]:
    """Rank the pixels of each map by itself, where that is fastest, or of all together.

    Their levels ``(n, L)`` are those of the maps ``(..., H, W)`` in the order of the batch.
    """
    if not sorts_by_image(scores):
        return [Ranked.of(*(each.reshape(-1, *each.shape[-2:]) for each in (scores, truth)))]
    pixels = scores.shape[-2:].numel()
    none = [[0.0], [pixels], [0.0]]
    found = [each.levels for each in sorted_with_truth(scores, truth)]
    arrays = [np.array(each if each.gained.size else none, np.float64) for each in found]
    images = (torch.from_numpy(each)[:, None] for each in arrays)
    return [Ranked(above, marked, gained, pixels) for above, marked, gained in images]


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

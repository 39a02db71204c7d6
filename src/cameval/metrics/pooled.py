"""Average precision of the pixels of a whole dataset, pooled into one histogram."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval.arrays import Array, as_masks, exact, maps_and_truth
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.maps import normalize_maps

__all__ = ["PooledHistogram"]


@dataclass(frozen=True, eq=False)
class PooledHistogram:
    """How many true and other pixels of a dataset have which score: what PxAP is computed from.

    Each map is scaled to [0, 1] by its own extremes. Level k holds the pixels from ``k / bins`` on
    and below the next level; the last one holds those that are 1. Statistics of disjoint images
    add, so a dataset may be read batch by batch.

    Large objects dominate pooled scores: print the mean of `pixel_average_precision` over images
    beside it. An image of an empty truth adds its false positives.

    Attributes
    ----------
    true, other
        Numbers of true and other pixels at each level, ``(bins + 1,)``, lowest first.

    References
    ----------
    J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020.

    Examples
    --------
    >>> maps = torch.tensor([[[4.0, 3.0], [2.0, 1.0]], [[0.0, 9.0], [0.0, 0.0]]])
    >>> masks = torch.tensor([[[True, False], [True, False]], [[False, True], [False, False]]])
    >>> pooled = PooledHistogram.of(maps[:1], masks[:1]) + PooledHistogram.of(maps[1:], masks[1:])
    >>> pooled.average_precision
    0.9166666666666666
    """

    true: NDArray[np.int64]
    other: NDArray[np.int64]

    @classmethod
    def of(
        cls, maps: Array, target: Array, /, ignore: Array | None = None, bins: int = 1000
    ) -> "PooledHistogram":
        """Count the pixels of maps.

        Parameters
        ----------
        maps
            Real, finite maps ``(..., H, W)``.
        target
            Boolean masks of the same shape.
        ignore
            Boolean masks of the same shape: pixels that are not counted. They still take part in
            the scaling of their map.
        bins
            Number of steps from 0 to 1.

        Raises
        ------
        ArrayTypeError
            If a mask is not boolean, or the arrays are not of one kind.
        ShapeError
            If the shapes differ.
        NonFiniteError
            If a value of the maps is NaN or infinite.
        SettingError
            If `bins` is not a positive integer.
        """
        if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
            raise SettingError(f"bins must be a positive integer, got {bins}")
        scores, truth = maps_and_truth(maps, target)
        counted = ~_check_ignored(ignore, maps, truth)
        levels = (normalize_maps(exact(scores)) * bins).to(torch.int64)
        codes = (2 * levels + truth)[counted]
        both = torch.bincount(codes, minlength=2 * (bins + 1)).cpu().numpy()
        return cls(both[1::2], both[::2])

    def __add__(self, other: "PooledHistogram") -> "PooledHistogram":
        """Count the pixels of both."""
        if self.true.shape != other.true.shape:
            raise SettingError(
                f"bins must be the same for both, got {self.true.size - 1} and "
                f"{other.true.size - 1}"
            )
        return PooledHistogram(self.true + other.true, self.other + other.other)

    @property
    def average_precision(self) -> float:
        """PxAP: the precision of all levels, weighted by the gain in coverage.

        It lies in [0, 1]; NaN if no pixel was true.
        """
        gained, hits = self.true[::-1], self.true[::-1].cumsum()
        marked = hits + self.other[::-1].cumsum()
        if not hits[-1]:
            return float("nan")
        return float((gained * (hits / np.maximum(marked, 1))).sum() / hits[-1])


def _check_ignored(ignore: Array | None, maps: Array, truth: Tensor) -> Tensor:
    if ignore is None:
        return torch.zeros_like(truth)
    if isinstance(ignore, Tensor) != isinstance(maps, Tensor):
        raise ArrayTypeError(
            "ignore and maps must both be NumPy arrays or both torch tensors, "
            f"got {type(ignore).__name__} and {type(maps).__name__}"
        )
    ignored = as_masks(ignore, "ignore")
    if ignored.shape != truth.shape:
        raise ShapeError(
            f"ignore and maps must have one shape, got {tuple(ignored.shape)} and "
            f"{tuple(truth.shape)}"
        )
    return ignored

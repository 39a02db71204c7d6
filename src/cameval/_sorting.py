"""Sorted values and order statistics of maps."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from cameval._arrays import as_numpy, exact
from cameval._memo import memo_active, memoized


def order_statistics(maps: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the values of these ranks, counted from 0, of each map.

    Within `memo` each map is sorted once for all calls.
    """
    if memo_active():
        return select_by_sorting(maps, ranks)
    flat = maps.flatten(-2)
    return (select_by_partition if flat.is_cpu else select_by_kthvalue)(flat, ranks)


def select_by_sorting(maps: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the order statistics of `ranks` from the sorted maps."""
    values = sort_values(maps)
    return [exact(values[..., rank]) for rank in ranks]


def select_by_partition(flat: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the order statistics of `ranks` by a partition, which is fastest on a CPU."""
    values = np.partition(as_numpy(flat), ranks, axis=-1)[..., ranks]
    return list(torch.from_numpy(values.astype(np.float64)).unbind(-1))


def select_by_kthvalue(flat: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the order statistics of `ranks` one by one, which is fastest on an accelerator."""
    return [exact(flat.kthvalue(rank + 1, dim=-1).values) for rank in ranks]


@memoized
def sort_values(maps: Tensor) -> Tensor:
    """Return the values of each map in ascending order, shape ``(..., H * W)``."""
    flat = maps.flatten(-2)
    if not flat.is_cpu:
        return flat.sort(-1).values
    return torch.from_numpy(np.sort(as_numpy(flat), axis=-1))

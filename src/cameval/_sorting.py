"""Pixels in the order of their values: order statistics, and the levels that hold true pixels.

On a CPU each map is sorted as integers in the order of its values, with the truth in the lowest
bit. Inside ``with memo():`` one such sort serves percentiles, Otsu's threshold and all ranks.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, cached_property
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import as_numpy, exact
from cameval._memo import memo_active, memoized, recall, remember

T = TypeVar("T")

_LARGE = 64 * 64
"""From this number of pixels on, NumPy sorts image by image faster than torch sorts a batch."""


class Levels(NamedTuple):
    """Levels that hold true pixels, highest first: pixels above, pixels marked, true pixels."""

    above: NDArray[Any]
    marked: NDArray[Any]
    gained: NDArray[Any]


@dataclass(frozen=True, eq=False)
class SortedPixels:
    """The pixels of a map in ascending order; on one level the true pixels are last.

    Attributes
    ----------
    keys
        Twice the code of each value, plus one where the pixel is true. Codes are integers in the
        order of the values, equal where values are equal; -0.0 and 0.0 have one code.
    coding
        How a value is found from its code.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval._sorting import SortedPixels
    >>> pixels = SortedPixels.of(np.array([3.0, 1.0, 3.0]), np.array([True, False, False]))
    >>> pixels.values, pixels.truth
    (array([1., 3., 3.]), array([False, False,  True]))
    """

    keys: NDArray[Any]
    coding: "_Coding"

    @classmethod
    def of(cls, values: NDArray[Any], truth: NDArray[np.bool_] | None = None) -> "SortedPixels":
        """Sort the values ``(n,)`` of a map, at least one, finite, with their truth."""
        keys, coding = _encode(values)
        keys <<= 1
        if truth is not None:
            keys |= truth
        return cls(_sort(keys), coding)

    @cached_property
    def values(self) -> NDArray[Any]:
        """The values, ``(n,)``."""
        return self.coding.decode(self.keys >> 1)

    def values_at(self, ranks: Sequence[int]) -> NDArray[Any]:
        """Return the values of ranks, counted from 0."""
        return self.coding.decode(self.keys[[*ranks]] >> 1)

    def count_below(self, limits: NDArray[Any]) -> NDArray[np.intp]:
        """Count the pixels below each of some ascending numbers from the lowest to the highest.

        The numbers are of the dtype of the values.
        """
        if self.coding.table is not None:
            below: NDArray[np.intp] = np.searchsorted(self.values, limits)
        else:
            codes = self.coding.encode(limits, self.keys.dtype)
            below = np.searchsorted(self.keys, codes << 1)
        return below

    @cached_property
    def truth(self) -> NDArray[np.bool_]:
        """Whether each pixel is true, ``(n,)``."""
        odd: NDArray[np.bool_] = (self.keys & 1).astype(np.bool_)
        return odd

    @property
    def top(self) -> tuple[int, int]:
        """The number of true pixels on the highest level, and of all its pixels."""
        level = self.keys[-1] >> 1 << 1
        first, first_true = np.searchsorted(self.keys, np.stack([level, level | 1]))
        return int(self.keys.size - first_true), int(self.keys.size - first)

    @cached_property
    def levels(self) -> Levels:
        """The levels that hold true pixels."""
        start = end = np.flatnonzero(self.truth)
        level = self.keys[end]
        gained = np.ones_like(end)
        if (level[1:] == level[:-1]).any():
            last = np.flatnonzero(np.append(level[1:] != level[:-1], True))
            gained = np.diff(last, prepend=-1)
            level, end, start = level[last], end[last], end[last - gained + 1]
        # Other pixels of the level precede its true ones.
        tied = np.flatnonzero(self.keys[start - 1] == level - 1)
        if tied.size:
            start = start.copy()
            start[tied] = np.searchsorted(self.keys, level[tied] - 1)
        pixels = self.keys.size
        return Levels(*(each[::-1] for each in (pixels - 1 - end, pixels - start, gained)))


@dataclass(frozen=True, eq=False)
class _Coding:
    """From codes to values of a dtype: an offset, or the values of the codes 0, 1, 2, ..."""

    dtype: np.dtype[Any]
    offset: int = 0
    table: NDArray[Any] | None = None

    def encode(self, values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the codes of values within the range of the map, in the dtype of its keys."""
        if self.dtype.kind != "f":
            return (values.astype(np.int64) - self.offset).astype(dtype)
        bits = (values + self.dtype.type(0)).view(_integers(self.dtype))  # 0 removes -0.0
        codes: NDArray[Any] = _flip_negative(bits).astype(dtype, copy=False)
        codes -= _wrap(self.offset, dtype)
        return codes

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Return the values of codes."""
        if self.table is not None:
            found: NDArray[Any] = self.table[codes]
            return found
        if self.dtype.kind != "f":
            return (codes.astype(np.int64) + self.offset).astype(self.dtype)
        integers = _integers(self.dtype)
        bits = (codes + _wrap(self.offset, codes.dtype)).astype(integers, copy=False)
        return _flip_negative(bits).view(self.dtype)


def _encode(values: NDArray[Any]) -> tuple[NDArray[Any], _Coding]:
    """Return integers in the order of the values that leave room for one bit, and their coding.

    The bits of a floating-point number, read as an integer, are in the order of the numbers, but
    those of negative numbers in the reverse one. Codes are stored in 32 bits if the range allows.
    """
    low, high = values.min(), values.max()
    if values.dtype.kind == "f":
        bits = (values + values.dtype.type(0)).view(_integers(values.dtype))  # 0 removes -0.0
        if low < 0:
            _flip_negative(bits)
        ends = np.array([low, high]) + values.dtype.type(0)
        first, last = map(int, _flip_negative(ends.view(bits.dtype)))
    else:
        bits, first, last = values.astype(np.int64), int(low), int(high)
    span = last - first
    if span < 2**31 and values.dtype != np.float64:
        offset = first + 2**30
        if bits.itemsize == 8:
            return (bits - offset).astype(np.int32), _Coding(values.dtype, offset)
        bits -= _wrap(offset, bits.dtype)
        return bits, _Coding(values.dtype, offset)
    if span < 2**63:
        wide = bits.astype(np.int64, copy=False)
        offset = first + 2**62
        wide -= _wrap(offset, wide.dtype)
        return wide, _Coding(values.dtype, offset)
    table, codes = np.unique(values + values.dtype.type(0), return_inverse=True)
    return codes.astype(np.int64), _Coding(values.dtype, table=table)


def _integers(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"i{dtype.itemsize}")


def _wrap(number: int, dtype: np.dtype[Any]) -> Any:
    """Return an integer modulo the range of a signed dtype, in which sums wrap around as well."""
    half = 2 ** (8 * dtype.itemsize - 1)
    return dtype.type((number + half) % (2 * half) - half)


def _flip_negative(bits: NDArray[Any]) -> NDArray[Any]:
    """Reverse the order of negative floating-point numbers' bits, in place."""
    top = 8 * bits.itemsize - 1
    bits ^= (bits >> top) & bits.dtype.type(2**top - 1)
    return bits


def _sort(keys: NDArray[Any]) -> NDArray[Any]:
    """Sort integers, in place or not."""
    if keys.dtype == np.int32 and keys.size >= _LARGE and _torch_is_faster():
        return torch.from_numpy(keys).sort().values.numpy()
    keys.sort()
    return keys


@cache
def _torch_is_faster() -> bool:
    """Tell whether torch sorts faster than NumPy, whose AVX-512 sort is slow on some processors."""
    keys = np.arange(2**16, dtype=np.int64) * 2654435761 % 2**31
    tasks = (
        lambda: torch.from_numpy(keys.astype(np.int32)).sort(),
        lambda: keys.astype(np.int32).sort(),
    )
    times = []
    for task in tasks:
        seconds = []
        for _ in range(3):
            start = perf_counter()
            task()
            seconds.append(perf_counter() - start)
        times.append(min(seconds))
    return times[0] < times[1]


# --- Several maps at once, in threads -------------------------------------------------------------
def map_in_threads(function: Callable[..., T], *rows: Iterable[Any]) -> list[T]:
    """Call a function for each image, in as many threads as torch uses.

    The function must be one of NumPy operations on large arrays, which let other threads run.
    """
    calls = [*zip(*rows, strict=True)]
    threads = min(len(calls), torch.get_num_threads())
    if threads < 2:
        return [function(*call) for call in calls]
    return [*_pool(torch.get_num_threads(), os.getpid()).map(lambda call: function(*call), calls)]


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Return the threads of a process; a process that was forked has none of its parent's."""
    return ThreadPoolExecutor(threads, thread_name_prefix="cameval")


# --- Batches of maps ------------------------------------------------------------------------------
def sorts_by_image(maps: Tensor) -> bool:
    """Tell whether maps are sorted one by one, with their truth."""
    return maps.is_cpu and maps.shape[-2:].numel() >= _LARGE


@memoized
def sorted_with_truth(maps: Tensor, truth: Tensor) -> list[SortedPixels]:
    """Sort the pixels of each map ``(..., H, W)`` on a CPU, with their truth."""
    pixels = maps.shape[-2:].numel()
    rows = (as_numpy(each).reshape(-1, pixels) for each in (maps, truth))
    found = map_in_threads(_ranked_pixels, *rows)
    remember(sorted_maps, found, maps)
    return found


def _ranked_pixels(values: NDArray[Any], truth: NDArray[np.bool_]) -> SortedPixels:
    """Sort the pixels of a map, and find the levels of its true ones."""
    pixels = SortedPixels.of(values, truth)
    _ = pixels.levels  # is kept
    return pixels


@memoized
def sorted_maps(maps: Tensor) -> list[SortedPixels]:
    """Sort the pixels of each map ``(..., H, W)`` on a CPU."""
    return map_in_threads(SortedPixels.of, as_numpy(maps).reshape(-1, maps.shape[-2:].numel()))


@memoized
def sort_values(maps: Tensor) -> Tensor:
    """Return the values of each map in ascending order, shape ``(..., H * W)``."""
    flat = maps.flatten(-2)
    if not flat.is_cpu:
        return flat.sort(-1).values
    if not sorts_by_image(maps) or not flat.numel():
        return torch.from_numpy(np.sort(as_numpy(flat), axis=-1))
    rows = [pixels.values for pixels in sorted_maps(maps)]
    return torch.from_numpy(np.stack(rows)).reshape(flat.shape)


def order_statistics(maps: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the values of these ranks, counted from 0, of each map.

    Within `memo` maps that are sorted already are not looked through again.
    """
    flat = maps.flatten(-2)
    if memo_active() and (not sorts_by_image(maps) or recall(sorted_maps, maps) is not None):
        return select_by_sorting(maps, ranks)
    return (select_by_partition if flat.is_cpu else select_by_kthvalue)(flat, ranks)


def select_by_sorting(maps: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the order statistics of `ranks` from the sorted maps."""
    if sorts_by_image(maps) and maps.numel():
        rows = np.stack([pixels.values_at(ranks) for pixels in sorted_maps(maps)])
        found = torch.from_numpy(rows.astype(np.float64)).reshape(*maps.shape[:-2], len(ranks))
        return list(found.unbind(-1))
    values = sort_values(maps)
    return [exact(values[..., rank]) for rank in ranks]


def select_by_partition(flat: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the order statistics of `ranks` by a partition, which is fastest on a CPU."""
    values = np.partition(as_numpy(flat), ranks, axis=-1)[..., ranks]
    return list(torch.from_numpy(values.astype(np.float64)).unbind(-1))


def select_by_kthvalue(flat: Tensor, ranks: Sequence[int]) -> list[Tensor]:
    """Return the order statistics of `ranks` one by one, which is fastest on an accelerator."""
    return [exact(flat.kthvalue(rank + 1, dim=-1).values) for rank in ranks]

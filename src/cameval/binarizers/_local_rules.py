"""Formulas of thresholds for each pixel, from the moments of its neighborhood.

A separable filter with its border rule is a product with a matrix along each axis, for images
``D @ map @ A.T``. The matrices are banded: they are multiplied in blocks of rows, each with the
columns that it reads.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import exact, extremes
from cameval._memo import memoized
from cameval.binarizers._base import apply_in_batches, spread

_ROWS = 64  # of a block: small enough to skip the zeros, large enough for a fast product

Block = tuple[slice, slice, Tensor]
"""Rows and columns of a filter matrix, and the weights there."""


@dataclass(frozen=True)
class Kernel:
    """Symmetric weights of a neighborhood along one axis, and the extension at the border.

    ``"reflect"`` repeats the pixel at the border, ``"mirror"`` does not, as in `scipy.ndimage`.
    """

    weights: tuple[float, ...]
    edge: Literal["reflect", "mirror"] = "reflect"

    def matrix(self, length: int) -> NDArray[np.float64]:
        """Return the filter of an axis of that length as a matrix."""
        from scipy.ndimage import correlate1d

        filtered: NDArray[Any] = correlate1d(np.eye(length), self.weights, axis=0, mode=self.edge)
        return filtered


@lru_cache(maxsize=64)
def gaussian_kernel(sd: float) -> Kernel:
    """Return the kernel of a normal distribution, cut off at four standard deviations."""
    radius = int(4 * sd + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sd) ** 2)
    return Kernel(tuple((weights / weights.sum()).tolist()))


@lru_cache(maxsize=64)
def box_kernel(size: int, edge: Literal["reflect", "mirror"] = "reflect") -> Kernel:
    """Return the kernel of an unweighted mean over `size` pixels."""
    return Kernel((1 / size,) * size, edge)


def local_mean(maps: Tensor, kernel: Kernel, offset: float, spatial_axes: int = 2) -> Tensor:
    """Return the weighted mean around each pixel minus `offset`, in the maps' floating dtype."""
    if maps.dtype in (torch.float16, torch.bfloat16):
        maps = maps.float()
    values = maps if maps.is_floating_point() else exact(maps)
    return smooth(values, kernel, spatial_axes).sub_(offset)


def niblack_threshold(maps: Tensor, window_size: int, k: float, spatial_axes: int = 2) -> Tensor:
    """Return the mean minus `k` standard deviations around each pixel."""
    mean, sd = local_moments(maps, window_size, spatial_axes)
    return _unscale_((-k * sd).add_(mean), maps, spatial_axes)


def sauvola_threshold(
    maps: Tensor, window_size: int, k: float, r: float, spatial_axes: int = 2
) -> Tensor:
    """Return Sauvola's threshold of the inverted map, which is scaled to [0, 1] first.

    In units of the scaled map it is ``1 - (1 - m) (1 + k (s / r - 1))``.
    """
    mean, sd = local_moments(maps, window_size, spatial_axes)
    threshold = (sd / r).sub_(1).mul_(k).add_(1).mul_(mean - 1).add_(1)
    return _unscale_(threshold, maps, spatial_axes)


@memoized
def local_moments(maps: Tensor, window_size: int, spatial_axes: int = 2) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation around each pixel of the maps scaled to [0, 1]."""
    window = box_kernel(window_size, "mirror")

    def scaled_moments(batch: Tensor) -> Tensor:
        low, span = _range(batch, spatial_axes)
        scaled = (exact(batch) - low).div_(span)
        mean = smooth(scaled, window, spatial_axes)
        square = smooth(scaled.square_(), window, spatial_axes)
        variance = square.addcmul_(mean, mean, value=-1).clamp_(min=0)
        return torch.stack((mean, variance.sqrt_()), dim=-spatial_axes - 1)

    moments = apply_in_batches(maps, scaled_moments, spatial_axes)
    mean, sd = moments.unbind(-spatial_axes - 1)
    return mean, sd


def _unscale_(thresholds: Tensor, maps: Tensor, spatial_axes: int) -> Tensor:
    """Bring thresholds of maps scaled to [0, 1] back to the maps' units, in place."""
    low, span = _range(maps, spatial_axes)
    return thresholds.mul_(span).add_(low)


def _range(maps: Tensor, spatial_axes: int) -> tuple[Tensor, Tensor]:
    """Return minimum and range of each map, 1 for the range of a constant one."""
    low, high = (spread(exact(extreme), spatial_axes) for extreme in extremes(maps, spatial_axes))
    span = high - low
    return low, span.where(span > 0, 1)


def smooth(maps: Tensor, kernel: Kernel, spatial_axes: int = 2) -> Tensor:
    """Filter all axes of floating maps ``(..., H, W)``, or of volumes ``(..., D, H, W)``.

    On a CPU each map is filtered separately, in the same buffers: the order in which products are
    summed depends on where an array begins in memory. So neither the batch nor the memory layout
    changes the rounding.
    """
    if spatial_axes == 3:
        return _smooth_depth(smooth(maps, kernel), kernel)
    height, width = maps.shape[-2:]
    with torch.autocast(maps.device.type, enabled=False):
        if not maps.is_cpu:
            down, across = (
                torch.from_numpy(kernel.matrix(n)).to(maps.device, maps.dtype)
                for n in (height, width)
            )
            return down @ maps @ across.T
        smoothed = torch.empty(maps.shape, dtype=maps.dtype)
        image, half, whole = (torch.empty(height, width, dtype=maps.dtype) for _ in range(3))
        for before, after in zip(
            maps.reshape(-1, height, width), smoothed.view(-1, height, width), strict=True
        ):
            image.copy_(before)
            for rows, columns, weights in _blocks(kernel, width, maps.dtype):
                torch.mm(image[:, columns], weights.T, out=half[:, rows])
            for rows, columns, weights in _blocks(kernel, height, maps.dtype):
                torch.mm(weights, half[columns], out=whole[rows])
            after.copy_(whole)
    return smoothed


def _smooth_depth(volumes: Tensor, kernel: Kernel) -> Tensor:
    """Filter the first axis of floating volumes ``(..., D, H, W)``, as `smooth` does the others."""
    depth = volumes.shape[-3]
    with torch.autocast(volumes.device.type, enabled=False):
        if not volumes.is_cpu:
            through = torch.from_numpy(kernel.matrix(depth)).to(volumes.device, volumes.dtype)
            return (through @ volumes.flatten(-2)).reshape(volumes.shape)
        smoothed = torch.empty(volumes.shape, dtype=volumes.dtype)
        flat = volumes.reshape(-1, depth, volumes.shape[-2:].numel())
        slices, whole = (torch.empty(flat.shape[1:], dtype=volumes.dtype) for _ in range(2))
        for before, after in zip(flat, smoothed.view(flat.shape), strict=True):
            slices.copy_(before)
            for rows, columns, weights in _blocks(kernel, depth, volumes.dtype):
                torch.mm(weights, slices[columns], out=whole[rows])
            after.copy_(whole)
    return smoothed


@lru_cache(maxsize=64)
def _blocks(kernel: Kernel, length: int, dtype: torch.dtype) -> tuple[Block, ...]:
    """Split the filter's matrix into blocks of rows, without the columns that are zero."""
    matrix = kernel.matrix(length)
    blocks = []
    for start in range(0, length, _ROWS):
        rows = slice(start, min(start + _ROWS, length))
        read = np.flatnonzero(matrix[rows].any(axis=0))
        columns = slice(int(read[0]), int(read[-1]) + 1)
        weights = torch.from_numpy(np.ascontiguousarray(matrix[rows, columns])).to(dtype)
        blocks.append((rows, columns, weights))
    return tuple(blocks)

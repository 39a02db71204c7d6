"""The truth baseline: the ground truth on the feature grid."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Array, restore
from cameval.baselines._pooling import Window, masks_on, pool
from cameval.baselines.properties import knows
from cameval.maps import CellCenters, upsample
from cameval.protocols import BaselineInput

__all__ = ["truth_baseline", "truth_map"]

_WHOLE = 1 - 1e-9
"""From this share on, a cell counts as wholly inside the truth: the difference to 1 is rounding."""


_DEPTH = 0.01
"""Amount by which the value of the deepest cell inside the truth exceeds 1."""


_DECIMALS = 12
"""Decimals to which maps are rounded, so that values that differ by rounding are equal."""


@knows("truth", label="truth", needs_network=True)
def truth_baseline(batch: BaselineInput, /) -> Tensor:
    """Return the truth on the network's feature grid, as a map.

    It is :func:`truth_map` on the network's cells, upsampled as the network's maps are. Binarized
    and scored like them, it shows the loss due to the coarse grid. It is not an upper bound: other
    maps on the grid can score higher, and so can a blind baseline by chance.

    Parameters
    ----------
    batch
        Images as they are evaluated.

    Returns
    -------
    Tensor
        Maps ``(N, H, W)``, or ``(N, D, H, W)``.

    Examples
    --------
    >>> truth = torch.tensor([[[True, False, False, False]]])
    >>> batch = BaselineInput([], torch.zeros(1, 3, 1, 4), truth, torch.tensor([0]), cells=(1, 2))
    >>> truth_baseline(batch)
    tensor([[[0.5000, 0.3750, 0.1250, 0.0000]]], dtype=torch.float64)
    """
    size = tuple(batch.images.shape[2:])
    return truth_map(
        batch.truth,
        batch.cells,
        cell_centers=batch.cell_centers,
        image_size=size,
        window=batch.window,
    )


def truth_map(
    truth: Array,
    cells: tuple[int, ...],
    *,
    cell_centers: CellCenters | None = None,
    image_size: tuple[int, ...] | None = None,
    window: Window | None = None,
) -> Array:
    """Return the truth on a coarse grid: pooled to the cells and upsampled.

    The value of a cell is the share of its part of the image that is true. A point of the image
    belongs to the cell with the nearest center, so cells at the edges extend to the image's edge.
    Cells are upsampled by `upsample`.

    All cells that lie wholly inside the truth would have the value 1, and a percentile among equal
    pixels marks none of them. These cells are therefore ordered by their depth inside the truth, in
    distinct steps from 1 to 1.01. The mask of a percentile then has the requested area and lies
    inside the truth, as long as there are enough such cells. Other cells are unchanged.

    Parameters
    ----------
    truth
        Boolean masks ``(..., H, W)``, or of volumes ``(..., D, H, W)``.
    cells
        Height and width of the coarse map; three lengths for volumes.
    cell_centers
        Positions of the cells in the image. By default they fill it evenly.
    image_size
        Size of the network's input, to whose pixels `cell_centers` refers; by default the size of
        the masks.
    window
        First and last pixel (exclusive) of the network's input, along each axis, that the masks
        cover, as where the input is padded. By default all of it.

    Returns
    -------
    Array
        Maps ``(..., H, W)`` in [0, 1.01], in float64, which resolves the steps. 0 for an empty
        truth.

    Raises
    ------
    ArrayTypeError
        If the masks are not boolean.
    ShapeError
        If the masks are not ``(..., H, W)``.
    SettingError
        If a size is not two or three positive integers.

    Notes
    -----
    On 100 photographs of pets with large masks, the 95th percentile of this map has a mean IoU of
    .167 on 7 x 7 cells and of .170 on 28 x 28 cells. With cells tied at 1 it is .124 and .022; a
    centered disc has .127. The area bound (`area_bound`) is .170. On 7 x 7 cells the disc is above
    the map for one of the photographs, by .0002: so the map is not a bound.

    Examples
    --------
    >>> truth_map(torch.tensor([[True, False, False, False]]), (1, 2))
    tensor([[0.5000, 0.3750, 0.1250, 0.0000]], dtype=torch.float64)
    """
    masks, axes = masks_on(truth, cells)
    coarse = _order_by_depth(pool(masks, cells, cell_centers, image_size, window), axes)
    size = tuple(masks.shape[-axes:])
    fine = upsample(coarse, size, cell_centers=cell_centers, image_size=image_size, window=window)
    return restore(fine.round(decimals=_DECIMALS), truth)


def _order_by_depth(shares: Tensor, axes: int = 2) -> Tensor:
    """Order the values of the cells that are wholly inside the truth, the deepest highest."""
    inside = shares >= _WHOLE
    if not inside.any():
        return shares
    grids = inside.reshape(-1, *inside.shape[-axes:]).cpu().numpy()
    order = np.stack([_depth_order(grid) for grid in grids]).reshape(inside.shape)
    steps = torch.from_numpy(order).to(shares)
    return torch.where(inside, 1 + _DEPTH * steps, shares)


def _depth_order(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return distinct numbers in (0, 1] for the cells inside, 1 for the deepest, and 0 elsewhere.

    The outside of the image counts as background. Of cells of one depth, those closer to the center
    of all are higher; of these the first in reading order.
    """
    from scipy import ndimage

    order = np.zeros(inside.shape)
    if count := np.count_nonzero(inside):
        within = (slice(1, -1),) * inside.ndim
        depth = ndimage.distance_transform_edt(np.pad(inside, 1))[within][inside]
        where = np.argwhere(inside)
        off_center = np.square(where - where.mean(0)).sum(1)
        ranked = np.empty(count)
        ranked[np.lexsort((off_center, -depth))] = np.arange(count, 0, -1)
        order[inside] = np.sqrt(ranked / count)  # equal steps would give equal pixels between cells
    return order

"""The ground truth on a coarse grid, and the scores that a grid can reach."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import one_hot

from cameval._arrays import Array, as_masks, as_scores, exact, restore
from cameval.baselines._pooling import axes, nearest_cells, pool
from cameval.baselines.properties import knows
from cameval.errors import SettingError
from cameval.maps import CellCenters, upsample
from cameval.metrics.curves import max_iou
from cameval.metrics.properties import undefined_without_truth
from cameval.protocols import BaselineInput

__all__ = ["grid_bound", "reachable_iou", "truth_baseline", "truth_map"]

_WHOLE = 1 - 1e-9
"""From this share on a cell lies wholly inside the truth; the rest is rounding."""


_DEPTH = 0.01
"""How much higher than 1 the deepest of the cells inside the truth is."""


_DECIMALS = 12
"""What rounding parted further down is one value again."""


@knows("truth")
def truth_baseline(batch: BaselineInput, /) -> Tensor:
    """Return the truth drawn on the network's grid: the map of a network that knows the truth.

    It is :func:`truth_map` on the network's own cells, upsampled as the maps are. Through the
    same binarizers and metrics it shows what is lost when a map draws the truth on the grid. It is
    no upper bound: other maps of the grid can score higher, and a disc that happens to fit, too.

    Parameters
    ----------
    batch
        Images as they are evaluated.

    Returns
    -------
    Tensor
        Maps ``(N, H, W)``.

    Examples
    --------
    >>> truth = torch.tensor([[[True, False, False, False]]])
    >>> batch = BaselineInput([], torch.zeros(1, 3, 1, 4), truth, torch.tensor([0]), cells=(1, 2))
    >>> truth_baseline(batch)
    tensor([[[0.5000, 0.3750, 0.1250, 0.0000]]], dtype=torch.float64)
    """
    size = tuple(batch.images.shape[2:])
    return truth_map(batch.truth, batch.cells, cell_centers=batch.cell_centers, image_size=size)


def truth_map(
    truth: Array,
    cells: tuple[int, ...],
    *,
    cell_centers: CellCenters | None = None,
    image_size: tuple[int, ...] | None = None,
) -> Array:
    """Return the truth as a coarse grid can hold it: pooled to its cells and upsampled again.

    Each cell holds the share of its part of the image that is true; a point of the image belongs to
    the cell whose center is nearest, so cells at the edges reach to the image's end. The way up is
    `upsample`.

    Cells that lie wholly inside the truth would all be 1, and a percentile that falls among equal
    pixels marks none of them. So these cells are ordered by their depth inside the truth, in
    distinct steps from 1 to 1.01: the mask of a percentile has the area that was asked for and lies
    inside the truth, as far as there are such cells. No other cell changes.

    Parameters
    ----------
    truth
        Boolean masks ``(..., H, W)``.
    cells
        Height and width of the coarse map.
    cell_centers
        Where the cells lie in the image. By default they fill it evenly.
    image_size
        Size of the network's input, in whose pixels `cell_centers` is given; by default that of the masks.

    Returns
    -------
    Array
        Maps ``(..., H, W)`` in [0, 1.01], float64 so that the steps are told apart; 0 where the
        truth is empty.

    Raises
    ------
    ArrayTypeError
        If the masks are not boolean.
    ShapeError
        If the masks are not ``(..., H, W)``.
    SettingError
        If a size is not a pair of positive integers.

    Notes
    -----
    On 100 photographs of pets with large masks the 95th percentile of this map has a mean IoU of
    .167 on 7 x 7 cells and of .170 on 28 x 28; with cells that tie at 1 it had .124 and .022, less
    than the .127 of a centered disc. The bound of the area (`area_bound`) is .170. On 7 x 7 cells the
    disc is still above the map for one of the photographs, by .0002: so it is no bound.

    Examples
    --------
    >>> truth_map(torch.tensor([[True, False, False, False]]), (1, 2))
    tensor([[0.5000, 0.3750, 0.1250, 0.0000]], dtype=torch.float64)
    """
    masks = as_masks(truth, "truth")
    coarse, size = _by_depth(pool(masks, cells, cell_centers, image_size)), tuple(masks.shape[-2:])
    fine = upsample(coarse, size, cell_centers=cell_centers, image_size=image_size)
    return restore(fine.round(decimals=_DECIMALS), truth)


def reachable_iou(
    truth: Array,
    cells: tuple[int, ...],
    *,
    cell_centers: CellCenters | None = None,
    image_size: tuple[int, ...] | None = None,
    steps: int = 100,
) -> Array:
    """IoU that some map on these cells reaches, with the best threshold: the grid reaches no less.

    The cells start as those of :func:`truth_map` and climb the IoU of a soft mask that becomes
    harder from step to step. The result is the highest `max_iou` on the way. It is a lower bound
    of what the grid can reach, never an upper one: more steps may find a better map, and a network
    may draw one.

    Parameters
    ----------
    truth, cells, cell_centers, image_size
        As for :func:`truth_map`.
    steps
        Of the ascent. With 0 it is the score of :func:`truth_map` at its best threshold.

    Returns
    -------
    Array
        One score in (0, 1] for each image, shape ``(...)``. An empty truth gives NaN.

    Raises
    ------
    ArrayTypeError
        If the masks are not boolean.
    ShapeError
        If the masks are not ``(..., H, W)``.
    SettingError
        If a size is not a pair of positive integers, or `steps` not an integer of at least 0.

    Notes
    -----
    On 50 slices with tumors of 1.5 % of the frame, the truth drawn on 7 x 7 cells has a mean IoU of
    .53 at the best threshold of each slice, and the ascent finds .79; on 14 x 14 cells .79 and .94.
    It costs about 0.2 s for an image of 224 x 224 pixels on one core.

    Examples
    --------
    >>> y, x = torch.meshgrid(torch.arange(56), torch.arange(56), indexing="ij")
    >>> truth = (y - 20).square() + (x - 31).square() < 25  # less than two cells of 49
    >>> [round(reachable_iou(truth, (7, 7), steps=steps).item(), 2) for steps in (0, 100)]
    [0.64, 0.95]
    """
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise SettingError(f"steps must be an integer of at least 0, got {steps!r}")
    masks = as_masks(truth, "truth")
    flat = masks.reshape(-1, *masks.shape[-2:])
    start = truth_map(flat, cells, cell_centers=cell_centers, image_size=image_size)
    scores = exact(max_iou(start, flat))
    for coarse in _climb(flat, cells, steps, cell_centers, image_size):
        fine = upsample(
            coarse, tuple(flat.shape[-2:]), cell_centers=cell_centers, image_size=image_size
        )
        scores = torch.maximum(scores, exact(max_iou(fine, flat)))
    return as_scores(scores.reshape(masks.shape[:-2]), truth)


def grid_bound(
    truth: Array,
    cells: tuple[int, ...],
    *,
    cell_centers: CellCenters | None = None,
    image_size: tuple[int, ...] | None = None,
) -> Array:
    """Highest IoU of any mask made of whole cells, as thresholds before the upsampling make them.

    The best union of cells takes them in the order of the share of their pixels that is true. A
    pixel belongs to the cell whose center is nearest. It is an upper bound for masks of whole cells
    and for no others: thresholds after a linear upsampling can be above it.

    Parameters
    ----------
    truth, cells, cell_centers, image_size
        As for :func:`truth_map`.

    Returns
    -------
    Array
        One score in (0, 1] for each image, shape ``(...)``. An empty truth gives NaN.

    Raises
    ------
    ArrayTypeError
        If the masks are not boolean.
    ShapeError
        If the masks are not ``(..., H, W)``.
    SettingError
        If a size is not a pair of positive integers.

    Examples
    --------
    >>> grid_bound(torch.tensor([[True, True, True, False]]), (1, 2))
    tensor(0.7500)
    """
    masks = as_masks(truth, "truth")
    rows, columns = (
        one_hot(nearest_cells(length, extent, count, cell_centers), count).to(exact(masks))
        for length, extent, count in axes(masks, cells, image_size)
    )
    found = (rows.T @ exact(masks) @ columns).flatten(-2)
    pixels = (rows.sum(0)[:, None] * columns.sum(0)).flatten().expand_as(found)
    order = (found / pixels.clamp(min=1)).argsort(-1, descending=True)
    found, pixels = (array.gather(-1, order).cumsum(-1) for array in (found, pixels))
    true = found[..., -1]
    best = (found / (pixels + true[..., None] - found)).amax(-1)
    return as_scores(undefined_without_truth(best, true), truth)


def _by_depth(shares: Tensor) -> Tensor:
    """Order the cells that are wholly inside the truth, the deepest highest."""
    inside = shares >= _WHOLE
    if not inside.any():
        return shares
    grids = inside.reshape(-1, *inside.shape[-2:]).cpu().numpy()
    order = np.stack([_depth_order(grid) for grid in grids]).reshape(inside.shape)
    steps = torch.from_numpy(order).to(shares)
    return torch.where(inside, 1 + _DEPTH * steps, shares)


def _depth_order(inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return distinct numbers in (0, 1] for the cells inside, 1 for the deepest, and 0 elsewhere.

    Of equally deep cells, with the outside of the frame as background, the one closer to the middle
    of all is deeper; of equally close ones the first.
    """
    order = np.zeros(inside.shape)
    if count := np.count_nonzero(inside):
        depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1][inside]
        where = np.argwhere(inside)
        off_center = np.square(where - where.mean(0)).sum(1)
        ranked = np.empty(count)
        ranked[np.lexsort((off_center, -depth))] = np.arange(count, 0, -1)
        order[inside] = np.sqrt(ranked / count)  # equal steps would make equal pixels between cells
    return order


def _climb(
    truth: Tensor,
    cells: tuple[int, ...],
    steps: int,
    cell_centers: CellCenters | None,
    image_size: tuple[int, ...] | None,
) -> Iterator[Tensor]:
    """Improve the cells by Adam on the IoU of ``sigmoid(k map)``, k from 2 to 50; yield some."""
    true = truth.to(torch.float32)
    rows, columns = _linear(truth, cells, cell_centers, image_size)
    area = true.sum((-2, -1), keepdim=True)
    coarse = (2 * pool(truth, cells, cell_centers, image_size) - 1).to(torch.float32)
    climber = torch.optim.Adam([coarse], lr=0.2)
    for step in range(steps):
        sharpness = 2 * 25 ** (step / steps)
        soft = (sharpness * (rows @ coarse @ columns.T)).sigmoid()
        both = (soft * true).sum((-2, -1), keepdim=True)
        either = soft.sum((-2, -1), keepdim=True) + area - both
        gain = torch.where(truth, 1 / either, -both / either.square())
        slope = gain * sharpness * soft * (1 - soft)
        coarse.grad = -(rows.T @ slope @ columns)
        climber.step()
        if (step + 1) % 20 == 0 or step + 1 == steps:
            yield coarse.clone()


def _linear(
    truth: Tensor,
    cells: tuple[int, ...],
    cell_centers: CellCenters | None,
    image_size: tuple[int, ...] | None,
) -> tuple[Tensor, Tensor]:
    """Return what `upsample` multiplies rows and columns by, ``(H, h)`` and ``(W, w)``."""
    (height, tall, h), (width, wide, w) = axes(truth, cells, image_size)
    down = upsample(
        torch.eye(h)[:, :, None], (height, 1), cell_centers=cell_centers, image_size=(tall, 1)
    )
    across = upsample(
        torch.eye(w)[:, None], (1, width), cell_centers=cell_centers, image_size=(1, wide)
    )
    return down[..., 0].T.to(truth.device), across[:, 0].T.to(truth.device)

"""What the best map on a coarse grid could score: the resolution, and not the network, decides it.

A cell of a 7 x 7 grid is a fiftieth of the image. Where objects are smaller than that, no map of
this grid outlines them, whatever the network knows.
"""

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from cameval.arrays import Array, as_masks, as_scores, exact, restore
from cameval.baselines.batch import Batch
from cameval.baselines.pooling import axes, nearest_cells, pool
from cameval.geometry import Place
from cameval.maps import upsample
from cameval.metrics.policy import undefined_without_truth
from cameval.metrics.readings import oracle_iou

__all__ = ["nearest_ceiling", "oracle_map", "resolution_ceiling", "resolution_oracle"]


def resolution_oracle(batch: Batch, /) -> Tensor:
    """Return what a network that knows the truth would draw: an oracle, above the maps.

    It is :func:`oracle_map` on the network's own cells, laid on the image as the maps are. Through
    the same binarizers and metrics it tells what the resolution leaves to be reached.

    Parameters
    ----------
    batch
        Images as they are evaluated.

    Returns
    -------
    Tensor
        Maps ``(N, H, W)`` in [0, 1]; constant where the truth is empty or everything.

    Examples
    --------
    >>> truth = torch.tensor([[[True, True, False, False]]])
    >>> batch = Batch([], torch.zeros(1, 3, 1, 4), truth, torch.tensor([0]), cells=(1, 2))
    >>> resolution_oracle(batch)
    tensor([[[1.0000, 0.7500, 0.2500, 0.0000]]])
    """
    size = tuple(batch.images.shape[2:])
    return oracle_map(batch.truth, batch.cells, place=batch.place, image_size=size)


def oracle_map(
    truth: Array,
    cells: tuple[int, ...],
    *,
    place: Place | None = None,
    image_size: tuple[int, ...] | None = None,
) -> Array:
    """Return the truth as a coarse grid can hold it: pooled to its cells and upsampled again.

    Each cell holds the share of its part of the image that is true; a point of the image belongs to
    the cell whose center is nearest, so cells at the edges reach to the image's end. The way up is
    `upsample`.

    Parameters
    ----------
    truth
        Boolean masks ``(..., H, W)``.
    cells
        Height and width of the coarse map.
    place
        Where the cells lie in the image. By default they fill it evenly.
    image_size
        Size of the network's input, in whose pixels `place` is given; by default that of the masks.

    Returns
    -------
    Array
        float32 maps ``(..., H, W)`` in [0, 1].

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
    >>> oracle_map(torch.tensor([[True, False, False, False]]), (1, 2))
    tensor([[0.5000, 0.3750, 0.1250, 0.0000]])
    """
    masks = as_masks(truth, "truth")
    coarse, size = pool(masks, cells, place, image_size), tuple(masks.shape[-2:])
    fine = upsample(coarse, size, place=place, image_size=image_size)
    return restore(fine.to(torch.float32), truth)  # what rounding parted is one value again


def resolution_ceiling(
    truth: Array,
    cells: tuple[int, ...],
    *,
    place: Place | None = None,
    image_size: tuple[int, ...] | None = None,
) -> Array:
    """IoU that a map on these cells reaches for certain, at the best threshold for each image.

    It is the best IoU of :func:`oracle_map` over all thresholds. Another map on the same cells may
    do better still, so this is a lower bound of the true ceiling; ``score / resolution_ceiling``
    tells how much of what the resolution allows was reached.

    Parameters
    ----------
    truth, cells, place, image_size
        As for :func:`oracle_map`.

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

    See Also
    --------
    nearest_ceiling : The ceiling of masks made of whole cells.

    Examples
    --------
    >>> truth = torch.tensor([[True, False, False, False]])
    >>> resolution_ceiling(truth, (1, 2)), nearest_ceiling(truth, (1, 2))
    (tensor(1.), tensor(0.5000))
    """
    masks = as_masks(truth, "truth")
    maps = oracle_map(masks, cells, place=place, image_size=image_size)
    return as_scores(oracle_iou(maps, masks), truth)


def nearest_ceiling(
    truth: Array,
    cells: tuple[int, ...],
    *,
    place: Place | None = None,
    image_size: tuple[int, ...] | None = None,
) -> Array:
    """Highest IoU of any mask made of whole cells, as thresholds before the upsampling make them.

    The best union of cells takes them in the order of the share of their pixels that is true. A
    pixel belongs to the cell whose center is nearest.

    Parameters
    ----------
    truth, cells, place, image_size
        As for :func:`oracle_map`.

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
    >>> nearest_ceiling(torch.tensor([[True, True, True, False]]), (1, 2))
    tensor(0.7500)
    """
    masks = as_masks(truth, "truth")
    rows, columns = (
        one_hot(nearest_cells(length, extent, count, place), count).to(exact(masks))
        for length, extent, count in axes(masks, cells, image_size)
    )
    found = (rows.T @ exact(masks) @ columns).flatten(-2)
    pixels = (rows.sum(0)[:, None] * columns.sum(0)).flatten().expand_as(found)
    order = (found / pixels.clamp(min=1)).argsort(-1, descending=True)
    found, pixels = (array.gather(-1, order).cumsum(-1) for array in (found, pixels))
    true = found[..., -1]
    best = (found / (pixels + true[..., None] - found)).amax(-1)
    return as_scores(undefined_without_truth(best, true), truth)

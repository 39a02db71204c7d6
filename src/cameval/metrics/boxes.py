"""Boxes of masks, and what boxes share.

A box is ``(x0, y0, x1, y1)`` in pixels and half-open: it holds the columns x0 to x1 - 1 and the
rows y0 to y1 - 1, so its area is ``(x1 - x0) * (y1 - y0)``. Nothing is added to a side.
"""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from cameval.arrays import Array, as_masks, as_scores, as_tensor, exact, restore
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.sharing import shared

__all__ = [
    "Boxes",
    "Connectivity",
    "areas",
    "box_intersections",
    "boxes_in",
    "boxes_of",
    "check_boxes",
    "component_boxes",
    "largest_box",
    "overlaps",
    "pairwise_box_iou",
    "shared_areas",
]

Boxes = NDArray[np.int64]
"""Boxes ``(n, 4)`` of one image."""

Connectivity = Literal[4, 8]
"""Which pixels are neighbors: those that share a side, or also those that share a corner."""


def component_boxes(mask: Array, /, connectivity: Connectivity = 8) -> Array:
    """Boxes of the connected components of one mask, the largest component first.

    Parameters
    ----------
    mask
        Boolean mask ``(H, W)``.
    connectivity
        8 if pixels that share a corner are connected, 4 if only those that share a side are.

    Returns
    -------
    Array
        Boxes ``(n, 4)`` as ``(x0, y0, x1, y1)``, half-open, int64. Components are in the order of
        their pixel counts; of equal ones the first is the one that the rows, read from the top,
        meet first. An empty mask has no box.

    Raises
    ------
    ArrayTypeError
        If the mask is not boolean.
    ShapeError
        If the mask has more than two axes.
    SettingError
        If `connectivity` is neither 4 nor 8.

    Examples
    --------
    >>> component_boxes(np.array([[True, False, False], [False, False, True], [False, True, True]]))
    array([[1, 1, 3, 3],
           [0, 0, 1, 1]])
    """
    tensor = as_masks(mask, "mask")
    if tensor.ndim != 2:
        raise ShapeError(
            f"mask must have shape (H, W), got {tuple(tensor.shape)}; "
            "images differ in their number of boxes, so pass one at a time"
        )
    boxes = boxes_in(tensor.cpu().numpy(), connectivity)
    return restore(torch.from_numpy(boxes), mask)


def largest_box(masks: Array, /, connectivity: Connectivity = 8) -> Array:
    """Box of each mask's largest connected component.

    Parameters
    ----------
    masks
        Boolean masks ``(..., H, W)``.
    connectivity
        8 if pixels that share a corner are connected, 4 if only those that share a side are.

    Returns
    -------
    Array
        Boxes ``(..., 4)`` as ``(x0, y0, x1, y1)``, half-open, int64; zeros, a box of no area, for
        an empty mask. Of components of one size the first row by row counts.

    Raises
    ------
    ArrayTypeError
        If the masks are not boolean.
    SettingError
        If `connectivity` is neither 4 nor 8.

    Examples
    --------
    >>> largest_box(torch.tensor([[True, False, False], [False, False, True]]), connectivity=4)
    tensor([0, 0, 1, 1])
    """
    tensor = as_masks(masks, "masks")
    largest = np.zeros((tensor.shape[:-2].numel(), 4), np.int64)
    for box, boxes in zip(largest, boxes_of(tensor, connectivity), strict=True):
        box[:] = boxes[0] if len(boxes) else 0
    return restore(torch.from_numpy(largest).reshape(*tensor.shape[:-2], 4), masks)


def box_intersections(first: Array, second: Array, /) -> Array:
    """Areas that each of the first boxes shares with each of the second ones.

    Parameters
    ----------
    first, second
        Boxes ``(..., n, 4)`` and ``(..., m, 4)`` as ``(x0, y0, x1, y1)``, half-open, of integers or
        floating numbers. Leading axes are broadcast.

    Returns
    -------
    Array
        Areas ``(..., n, m)``, 0 for boxes that only touch; int64 for integers, else float64.

    Raises
    ------
    ArrayTypeError
        If the two are not of one kind, or do not hold numbers.
    ShapeError
        If there is no last axis of four corners, or a box has its corners in the wrong order.

    Examples
    --------
    >>> box_intersections(np.array([[0, 0, 4, 4]]), np.array([[2, 1, 6, 3], [4, 0, 5, 4]]))
    array([[4, 0]])
    """
    return restore(shared_areas(*_box_pair(first, second)), first)


def pairwise_box_iou(first: Array, second: Array, /) -> Array:
    """Intersection over union of each of the first boxes with each of the second ones.

    Parameters
    ----------
    first, second
        Boxes ``(..., n, 4)`` and ``(..., m, 4)`` as ``(x0, y0, x1, y1)``, half-open, of integers or
        floating numbers. Leading axes are broadcast.

    Returns
    -------
    Array
        Scores ``(..., n, m)`` in [0, 1]. Two boxes without area score 0.

    Raises
    ------
    ArrayTypeError
        If the two are not of one kind, or do not hold numbers.
    ShapeError
        If there is no last axis of four corners, or a box has its corners in the wrong order.

    Examples
    --------
    >>> pairwise_box_iou(torch.tensor([[0, 0, 4, 4]]), torch.tensor([[2, 0, 6, 4], [0, 0, 4, 4]]))
    tensor([[0.3333, 1.0000]])
    """
    return as_scores(overlaps(*_box_pair(first, second)), first)


def boxes_in(mask: NDArray[np.bool_], connectivity: Connectivity) -> Boxes:
    """Return `component_boxes` of a NumPy mask ``(H, W)``."""
    if connectivity not in (4, 8):
        raise SettingError(f"connectivity must be 4 or 8, got {connectivity}")
    neighbors = ndimage.generate_binary_structure(2, connectivity // 4)
    labels, count = ndimage.label(mask, neighbors)
    if not count:
        return np.zeros((0, 4), np.int64)
    found = ndimage.find_objects(labels)
    boxes = np.array([(x.start, y.start, x.stop, y.stop) for y, x in found], np.int64)
    if count > 1:
        sizes = np.bincount(labels.ravel())[1:]
        boxes = boxes[np.argsort(-sizes, kind="stable")]
    return boxes


@shared
def boxes_of(masks: Tensor, connectivity: Connectivity) -> list[Boxes]:
    """Return the boxes of each mask, leading axes flattened."""
    count = masks.shape[:-2].numel()
    images = masks.cpu().numpy().reshape(count, *masks.shape[-2:])
    return [boxes_in(image, connectivity) for image in images]


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Return `pairwise_box_iou` of checked boxes."""
    both = exact(shared_areas(first, second))
    union = exact(areas(first)[..., :, None] + areas(second)[..., None, :]) - both
    return both / union.where(union > 0, 1)


def areas(boxes: Tensor) -> Tensor:
    """Return the areas of checked boxes ``(..., n, 4)``."""
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)


def shared_areas(first: Tensor, second: Tensor) -> Tensor:
    """Return `box_intersections` of checked boxes."""
    first, second = first[..., :, None, :], second[..., None, :, :]
    start = torch.maximum(first[..., :2], second[..., :2])
    stop = torch.minimum(first[..., 2:], second[..., 2:])
    return (stop - start).clamp(min=0).prod(-1)


def check_boxes(boxes: object) -> Tensor:
    """Check boxes ``(..., n, 4)``: numbers, corners in order."""
    tensor = as_tensor(boxes, "boxes")
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise ArrayTypeError(f"boxes must hold real numbers, got {tensor.dtype}")
    if tensor.ndim < 2 or tensor.shape[-1] != 4:
        raise ShapeError(f"boxes must have shape (..., n, 4), got {tuple(tensor.shape)}")
    tensor = exact(tensor) if tensor.is_floating_point() else tensor.long()
    if not (tensor[..., :2] <= tensor[..., 2:]).all():
        raise ShapeError(
            "boxes must be (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1, got a box that is not; "
            "pass two corners, not a corner and a size"
        )
    return tensor


def _box_pair(first: Any, second: Any) -> tuple[Tensor, Tensor]:
    """Check two arrays of boxes of one kind."""
    if isinstance(first, Tensor) != isinstance(second, Tensor):
        raise ArrayTypeError(
            "boxes must be two NumPy arrays or two torch tensors, "
            f"got {type(first).__name__} and {type(second).__name__}"
        )
    return check_boxes(first), check_boxes(second)

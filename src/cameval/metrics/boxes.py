"""Bounding boxes of masks: box IoU and box precision.

A box is ``(x0, y0, x1, y1)`` in pixels and half-open: it holds the columns x0 to x1 - 1 and the
rows y0 to y1 - 1, so its area is ``(x1 - x0) * (y1 - y0)``.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from cameval._arrays import Array, as_masks, as_scores, as_tensor, exact, mask_pair, restore
from cameval._memo import memoized
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.metrics.properties import of_masks, undefined_without_truth, within

__all__ = [
    "box_intersections",
    "box_iou",
    "box_precision",
    "component_boxes",
    "largest_box",
    "pairwise_box_iou",
]

Boxes = NDArray[np.int64]
"""Boxes ``(n, 4)`` of one image."""


Connectivity = Literal[4, 8]
"""Which pixels are neighbors: those that share a side, or also those that share a corner."""


def component_boxes(mask: Array, /, connectivity: Connectivity = 8) -> Array:
    """Return the boxes of the connected components of one mask, the largest component first.

    Parameters
    ----------
    mask
        Boolean mask ``(H, W)``.
    connectivity
        8 if pixels that share a corner are connected, 4 if only those that share a side are.

    Returns
    -------
    Array
        Boxes ``(n, 4)`` as ``(x0, y0, x1, y1)``, half-open, int64. Components are in
        descending order of their pixel counts; equal ones in reading order. An empty mask has no
        box.

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
    boxes = find_boxes(tensor.cpu().numpy(), connectivity)
    return restore(torch.from_numpy(boxes), mask)


def largest_box(masks: Array, /, connectivity: Connectivity = 8) -> Array:
    """Return the box of each mask's largest connected component.

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
        an empty mask. Of components of one size the first in reading order counts.

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
    for box, boxes in zip(largest, boxes_per_mask(tensor, connectivity), strict=True):
        box[:] = boxes[0] if len(boxes) else 0
    return restore(torch.from_numpy(largest).reshape(*tensor.shape[:-2], 4), masks)


def box_intersections(first: Array, second: Array, /) -> Array:
    """Return the intersection areas of each of the first boxes with each of the second ones.

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
    return restore(intersection_areas(*_box_pair(first, second)), first)


def pairwise_box_iou(first: Array, second: Array, /) -> Array:
    """Return the IoU of each of the first boxes with each of the second ones.

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
    return as_scores(iou_matrix(*_box_pair(first, second)), first)


def find_boxes(mask: NDArray[np.bool_], connectivity: Connectivity) -> Boxes:
    """Return `component_boxes` of a NumPy mask ``(H, W)``."""
    if connectivity not in (4, 8):
        raise SettingError(f"connectivity must be 4 or 8, got {connectivity}")
    neighbors = ndimage.generate_binary_structure(2, connectivity // 4)
    labels, count = ndimage.label(mask, neighbors)
    if not count:
        return np.zeros((0, 4), np.int64)
    slices = ndimage.find_objects(labels)
    boxes = np.array([(x.start, y.start, x.stop, y.stop) for y, x in slices], np.int64)
    if count > 1:
        sizes = np.bincount(labels.ravel())[1:]
        boxes = boxes[np.argsort(-sizes, kind="stable")]
    return boxes


@memoized
def boxes_per_mask(masks: Tensor, connectivity: Connectivity) -> list[Boxes]:
    """Return the boxes of each mask, leading axes flattened."""
    count = masks.shape[:-2].numel()
    images = masks.cpu().numpy().reshape(count, *masks.shape[-2:])
    return [find_boxes(image, connectivity) for image in images]


def iou_matrix(first: Tensor, second: Tensor) -> Tensor:
    """Return `pairwise_box_iou` of checked boxes."""
    both = exact(intersection_areas(first, second))
    union = exact(box_areas(first)[..., :, None] + box_areas(second)[..., None, :]) - both
    return both / union.where(union > 0, 1)


def box_areas(boxes: Tensor) -> Tensor:
    """Return the areas of checked boxes ``(..., n, 4)``."""
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)


def intersection_areas(first: Tensor, second: Tensor) -> Tensor:
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
            "boxes must be (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1, got another order; "
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


@of_masks(higher_is_better=True)
@within(0, 1)
def box_iou(pred: Array, target: Array, /, connectivity: Connectivity = 8) -> Array:
    """IoU of the box of the prediction's largest component with the truth's best-matching box.

    Each component of the truth has a box; the one with the highest score counts.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.
    connectivity
        8 if pixels that share a corner are connected, 4 if only those that share a side are.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. An empty truth gives NaN, an empty
        prediction 0.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    SettingError
        If `connectivity` is neither 4 nor 8.

    References
    ----------
    J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020.

    Examples
    --------
    >>> pred, target = torch.zeros(2, 6, 6, dtype=torch.bool)
    >>> pred[0, :4] = pred[:4, 0] = target[:4, :4] = True
    >>> iou(pred, target), box_iou(pred, target)
    (tensor(0.4375), tensor(1.))
    """
    return _best_match(iou_matrix, pred, target, connectivity)


@of_masks(higher_is_better=True)
@within(0, 1)
def box_precision(pred: Array, target: Array, /, connectivity: Connectivity = 8) -> Array:
    """Share of the predicted box inside the truth's best-matching box (IoBB).

    The predicted box is that of the prediction's largest component. Each component of the truth has
    a box; the one with the highest score counts. A box of one pixel in the right place scores 1: do
    not report it alone.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.
    connectivity
        8 if pixels that share a corner are connected, 4 if only those that share a side are.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. An empty truth gives NaN, an empty
        prediction 0.

    Raises
    ------
    ArrayTypeError
        If a mask is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    SettingError
        If `connectivity` is neither 4 nor 8.

    References
    ----------
    X. Wang et al., "ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on
    Weakly-Supervised Classification and Localization of Common Thorax Diseases", CVPR 2017.

    Examples
    --------
    >>> pred, target = torch.zeros(2, 6, 6, dtype=torch.bool)
    >>> pred[:2, :4] = target[:4, :3] = True
    >>> box_precision(pred, target)
    tensor(0.7500)
    """
    return _best_match(_share_inside, pred, target, connectivity)


def _best_match(
    formula: Callable[[Tensor, Tensor], Tensor],
    pred: Array,
    target: Array,
    connectivity: Connectivity,
) -> Array:
    """Return the best score of the largest predicted box with any true box."""
    pair = mask_pair(pred, target)
    images = zip(*(boxes_per_mask(masks, connectivity) for masks in pair), strict=True)
    best = [
        formula(torch.from_numpy(predicted[:1]), torch.from_numpy(true)).max().item()
        if len(predicted) and len(true)
        else 0.0
        for predicted, true in images
    ]
    scores = torch.tensor(best, dtype=torch.float64).reshape(pair[1].shape[:-2])
    return as_scores(undefined_without_truth(scores, pair[1].any(-1).any(-1).cpu()), pred)


def _share_inside(first: Tensor, second: Tensor) -> Tensor:
    """Return the share of each first box inside each second one."""
    return exact(intersection_areas(first, second)) / exact(box_areas(first))[..., :, None]

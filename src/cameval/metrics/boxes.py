"""Bounding boxes of masks and objects: box IoU and box precision.

A box is ``(x0, y0, x1, y1)`` in pixels and half-open: it holds the columns x0 to x1 - 1 and the
rows y0 to y1 - 1, so its area is ``(x1 - x0) * (y1 - y0)``. A box of a volume is
``(x0, y0, z0, x1, y1, z1)``, where z counts slices, the first axis.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Array, as_masks, as_scores, as_tensor, exact, mask_pair, restore
from cameval._memo import memoized
from cameval._spatial import check_spatial_axes, check_volumes
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.metrics._objects import (
    Truths,
    is_objects,
    label_components,
    pair_with_objects,
    scores_of_images,
)
from cameval.metrics.properties import of_masks, within

__all__ = [
    "box_intersections",
    "box_iou",
    "box_precision",
    "component_boxes",
    "largest_box",
    "pairwise_box_iou",
]

Boxes = NDArray[np.int64]
"""Boxes ``(n, 4)`` of one image, ``(n, 6)`` of one volume."""


Connectivity = Literal[4, 8, 6, 26]
"""Number of a pixel's neighbors: those that share a side, or also those that share a corner."""


def component_boxes(
    mask: Array, /, connectivity: Connectivity | None = None, *, spatial_axes: int = 2
) -> Array:
    """Return the boxes of the connected components of one mask, the largest component first.

    Parameters
    ----------
    mask
        Boolean mask ``(H, W)``; of a volume ``(D, H, W)``.
    connectivity
        8 if pixels that share a corner are connected, the default, 4 if only those that share a
        side are. In volumes 26 and 6.
    spatial_axes
        2 for images, 3 for volumes.

    Returns
    -------
    Array
        Boxes ``(n, 4)`` as ``(x0, y0, x1, y1)``, half-open, int64; of a volume ``(n, 6)`` as
        ``(x0, y0, z0, x1, y1, z1)``. Components are in descending order of their pixel counts;
        equal ones in reading order. An empty mask has no box.

    Raises
    ------
    ArrayTypeError
        If the mask is not boolean.
    ShapeError
        If the mask has more than two axes, or other than three for a volume.
    SettingError
        If `connectivity` or `spatial_axes` is not one of these numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.metrics import component_boxes
    >>> component_boxes(np.array([[True, False, False], [False, False, True], [False, True, True]]))
    array([[1, 1, 3, 3],
           [0, 0, 1, 1]])
    """
    tensor = as_masks(mask, "mask")
    if tensor.ndim != check_spatial_axes(spatial_axes):
        size = "(H, W)" if spatial_axes == 2 else "(D, H, W)"
        raise ShapeError(
            f"mask must have shape {size}, got {tuple(tensor.shape)}; images differ in their "
            "number of boxes, so pass one at a time, and spatial_axes=3 for a volume"
        )
    boxes = find_boxes(tensor.cpu().numpy(), connectivity)
    return restore(torch.from_numpy(boxes), mask)


def largest_box(
    masks: Array, /, connectivity: Connectivity | None = None, *, spatial_axes: int = 2
) -> Array:
    """Return the box of each mask's largest connected component.

    Parameters
    ----------
    masks
        Boolean masks ``(..., H, W)``; of volumes ``(..., D, H, W)``.
    connectivity
        8 if pixels that share a corner are connected, the default, 4 if only those that share a
        side are. In volumes 26 and 6.
    spatial_axes
        2 for images, 3 for volumes.

    Returns
    -------
    Array
        Boxes ``(..., 4)`` as ``(x0, y0, x1, y1)``, half-open, int64, or ``(..., 6)``; zeros, a box
        of no area, for an empty mask. Of components of one size the first in reading order counts.

    Raises
    ------
    ArrayTypeError
        If the masks are not boolean.
    ShapeError
        If the masks have fewer axes than a volume.
    SettingError
        If `connectivity` or `spatial_axes` is not one of these numbers.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import largest_box
    >>> largest_box(torch.tensor([[True, False, False], [False, False, True]]), connectivity=4)
    tensor([0, 0, 1, 1])
    """
    tensor = as_masks(masks, "masks")
    check_volumes(tensor, check_spatial_axes(spatial_axes), "masks")
    leading = tensor.shape[:-spatial_axes]
    largest = np.zeros((leading.numel(), 2 * spatial_axes), np.int64)
    for box, boxes in zip(largest, boxes_per_mask(tensor, connectivity, spatial_axes), strict=True):
        box[:] = boxes[0] if len(boxes) else 0
    return restore(torch.from_numpy(largest).reshape(*leading, 2 * spatial_axes), masks)


def box_intersections(first: Array, second: Array, /) -> Array:
    """Return the intersection areas of each of the first boxes with each of the second ones.

    Parameters
    ----------
    first, second
        Boxes ``(..., n, 4)`` and ``(..., m, 4)`` as ``(x0, y0, x1, y1)``, half-open, of integers or
        floating numbers; of volumes ``(..., n, 6)`` and ``(..., m, 6)`` as
        ``(x0, y0, z0, x1, y1, z1)``. Leading axes are broadcast.

    Returns
    -------
    Array
        Areas or volumes ``(..., n, m)``, 0 for boxes that only touch; int64 for integers, else
        float64.

    Raises
    ------
    ArrayTypeError
        If the two are not of one kind, or do not hold numbers.
    ShapeError
        If there is no last axis of four or six numbers, the same for both, or a box has its corners
        in the wrong order.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.metrics import box_intersections
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
        floating numbers; of volumes ``(..., n, 6)`` and ``(..., m, 6)`` as
        ``(x0, y0, z0, x1, y1, z1)``. Leading axes are broadcast.

    Returns
    -------
    Array
        Scores ``(..., n, m)`` in [0, 1]. Two boxes without area score 0.

    Raises
    ------
    ArrayTypeError
        If the two are not of one kind, or do not hold numbers.
    ShapeError
        If there is no last axis of four or six numbers, the same for both, or a box has its corners
        in the wrong order.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import pairwise_box_iou
    >>> pairwise_box_iou(torch.tensor([[0, 0, 4, 4]]), torch.tensor([[2, 0, 6, 4], [0, 0, 4, 4]]))
    tensor([[0.3333, 1.0000]])
    """
    return as_scores(iou_matrix(*_box_pair(first, second)), first)


def find_boxes(mask: NDArray[np.bool_], connectivity: Connectivity | None) -> Boxes:
    """Return `component_boxes` of a NumPy mask ``(H, W)`` or ``(D, H, W)``."""
    from scipy import ndimage

    sides, corners = (4, 8) if mask.ndim == 2 else (6, 26)
    if connectivity not in (None, sides, corners):
        raise SettingError(f"connectivity must be {sides} or {corners}, got {connectivity}")
    labels, count = label_components(mask, corners=connectivity != sides)
    if not count:
        return np.zeros((0, 2 * mask.ndim), np.int64)
    spans = [each[::-1] for each in ndimage.find_objects(labels)]  # x first
    boxes = np.array([[s.start for s in each] + [s.stop for s in each] for each in spans], np.int64)
    if count > 1:
        sizes = np.bincount(labels.ravel())[1:]
        boxes = boxes[np.argsort(-sizes, kind="stable")]
    return boxes


@memoized
def boxes_per_mask(
    masks: Tensor, connectivity: Connectivity | None, spatial_axes: int = 2
) -> list[Boxes]:
    """Return the boxes of each mask, leading axes flattened."""
    count = masks.shape[:-spatial_axes].numel()
    images = masks.cpu().numpy().reshape(count, *masks.shape[-spatial_axes:])
    return [find_boxes(image, connectivity) for image in images]


def iou_matrix(first: Tensor, second: Tensor) -> Tensor:
    """Return `pairwise_box_iou` of checked boxes."""
    both = exact(intersection_areas(first, second))
    union = exact(box_areas(first)[..., :, None] + box_areas(second)[..., None, :]) - both
    return both / union.where(union > 0, 1)


def box_areas(boxes: Tensor) -> Tensor:
    """Return the areas of checked boxes ``(..., n, 4)``, the volumes of boxes ``(..., n, 6)``."""
    axes = boxes.shape[-1] // 2
    return (boxes[..., axes:] - boxes[..., :axes]).prod(-1)


def intersection_areas(first: Tensor, second: Tensor) -> Tensor:
    """Return `box_intersections` of checked boxes."""
    axes = first.shape[-1] // 2
    first, second = first[..., :, None, :], second[..., None, :, :]
    start = torch.maximum(first[..., :axes], second[..., :axes])
    stop = torch.minimum(first[..., axes:], second[..., axes:])
    return (stop - start).clamp(min=0).prod(-1)


def check_boxes(boxes: object) -> Tensor:
    """Check boxes ``(..., n, 4)`` or ``(..., n, 6)``: numbers, corners in order."""
    tensor = as_tensor(boxes, "boxes")
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise ArrayTypeError(f"boxes must hold real numbers, got {tensor.dtype}")
    if tensor.ndim < 2 or tensor.shape[-1] not in (4, 6):
        raise ShapeError(
            "boxes must have shape (..., n, 4), or (..., n, 6) in volumes, "
            f"got {tuple(tensor.shape)}"
        )
    tensor = exact(tensor) if tensor.is_floating_point() else tensor.long()
    axes = tensor.shape[-1] // 2
    if not (tensor[..., :axes] <= tensor[..., axes:]).all():
        order = (
            "(x0, y0, x1, y1) with x0 <= x1 and y0 <= y1"
            if axes == 2
            else "(x0, y0, z0, x1, y1, z1) with x0 <= x1, y0 <= y1 and z0 <= z1"
        )
        raise ShapeError(
            f"boxes must be {order}, got another order; pass two corners, not a corner and a size"
        )
    return tensor


def _box_pair(first: Any, second: Any) -> tuple[Tensor, Tensor]:
    """Check two arrays of boxes of one kind."""
    if isinstance(first, Tensor) != isinstance(second, Tensor):
        raise ArrayTypeError(
            "boxes must be two NumPy arrays or two torch tensors, "
            f"got {type(first).__name__} and {type(second).__name__}"
        )
    pair = check_boxes(first), check_boxes(second)
    if pair[0].shape[-1] != pair[1].shape[-1]:
        raise ShapeError(
            "boxes must both be of images or both of volumes, "
            f"got {tuple(pair[0].shape)} and {tuple(pair[1].shape)}"
        )
    return pair


@of_masks(higher_is_better=True, truth="objects", title="box IoU")
@within(0, 1)
def box_iou(
    pred: Array,
    target: Array | Truths,
    /,
    connectivity: Connectivity | None = None,
    *,
    spatial_axes: int = 2,
) -> Array:
    """IoU of the box of the prediction's largest component with the truth's best-matching box.

    The truth has the box of each object, as it is annotated, so boxes that touch stay apart. If the
    truth is a mask, each of its components has a box. The box with the highest score counts.

    Parameters
    ----------
    pred
        Boolean masks ``(..., H, W)``.
    target
        True boolean masks of the same shape; or, for masks ``(N, H, W)`` or ``(N, D, H, W)``, a
        list with the :class:`cameval.data.Objects` of each image. For one mask without the axis N,
        its objects.
    connectivity
        8 if pixels that share a corner are connected, the default, 4 if only those that share a
        side are. In volumes 26 and 6.
    spatial_axes
        2 for images, 3 for volumes, if the truth is a mask. Objects have their own shape.

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
        If the shapes differ, or there are not objects for each mask.
    SettingError
        If `connectivity` or `spatial_axes` is not one of these numbers.

    References
    ----------
    J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from cameval import iou
    >>> from cameval.metrics import box_iou
    >>> pred, target = torch.zeros(2, 6, 6, dtype=torch.bool)
    >>> pred[0, :4] = pred[:4, 0] = target[:4, :4] = True
    >>> iou(pred, target), box_iou(pred, target)
    (tensor(0.4375), tensor(1.))

    Two true boxes that touch, one of which is found:

    >>> from cameval.data import Objects
    >>> objects = Objects((4, 6), given_boxes=np.array([[0, 0, 3, 4], [3, 0, 6, 4]]))
    >>> mask = np.arange(6) < np.full((4, 1), 3)
    >>> float(box_iou(mask, objects)), float(box_iou(mask, objects.union))
    (1.0, 0.5)
    """
    return _best_match(iou_matrix, pred, target, connectivity, spatial_axes)


@of_masks(higher_is_better=True, truth="objects", title="box precision")
@within(0, 1)
def box_precision(
    pred: Array,
    target: Array | Truths,
    /,
    connectivity: Connectivity | None = None,
    *,
    spatial_axes: int = 2,
) -> Array:
    """Share of the predicted box inside the truth's best-matching box (IoBB).

    The predicted box is that of the prediction's largest component. The truth has the box of each
    object, as it is annotated, or of each component of a mask; the one with the highest score
    counts. A box of one pixel in the right place scores 1: do not report it alone.

    Parameters
    ----------
    pred
        Boolean masks ``(..., H, W)``.
    target
        True boolean masks of the same shape; or, for masks ``(N, H, W)`` or ``(N, D, H, W)``, a
        list with the :class:`cameval.data.Objects` of each image. For one mask without the axis N,
        its objects.
    connectivity
        8 if pixels that share a corner are connected, the default, 4 if only those that share a
        side are. In volumes 26 and 6.
    spatial_axes
        2 for images, 3 for volumes, if the truth is a mask. Objects have their own shape.

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
        If the shapes differ, or there are not objects for each mask.
    SettingError
        If `connectivity` or `spatial_axes` is not one of these numbers.

    References
    ----------
    X. Wang et al., "ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks on
    Weakly-Supervised Classification and Localization of Common Thorax Diseases", CVPR 2017.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import box_precision
    >>> pred, target = torch.zeros(2, 6, 6, dtype=torch.bool)
    >>> pred[:2, :4] = target[:4, :3] = True
    >>> box_precision(pred, target)
    tensor(0.7500)
    """
    return _best_match(_share_inside, pred, target, connectivity, spatial_axes)


def _best_match(
    formula: Callable[[Tensor, Tensor], Tensor],
    pred: Array,
    target: Array | Truths,
    connectivity: Connectivity | None,
    spatial_axes: int,
) -> Array:
    """Return the best score of the largest predicted box with any true box."""
    if is_objects(target):
        masks, objects = pair_with_objects(as_masks(pred, "pred"), target, "pred")
        found = boxes_per_mask(masks, connectivity, masks.ndim - 1)
        pairs = zip(found, (each.boxes for each in objects), strict=True)
        best = [_best(formula, *pair) for pair in pairs]
        return scores_of_images(best, target, pred)
    masks, truth = mask_pair(pred, target)
    check_volumes(truth, check_spatial_axes(spatial_axes), "target")
    sides = (boxes_per_mask(each, connectivity, spatial_axes) for each in (masks, truth))
    best = [_best(formula, *pair) for pair in zip(*sides, strict=True)]
    scores = torch.tensor(best, dtype=torch.float64).reshape(truth.shape[:-spatial_axes])
    return as_scores(scores, pred)


def _best(
    formula: Callable[[Tensor, Tensor], Tensor], predicted: Boxes, true: NDArray[Any]
) -> float:
    """Return the best score of the first predicted box; NaN without a true one."""
    if not len(true):
        return float("nan")
    if not len(predicted):
        return 0.0
    return formula(torch.from_numpy(predicted[:1]), torch.from_numpy(true)).max().item()


def _share_inside(first: Tensor, second: Tensor) -> Tensor:
    """Return the share of each first box inside each second one."""
    return exact(intersection_areas(first, second)) / exact(box_areas(first))[..., :, None]

"""What a score is held against: blind maps and masks below it, the binarizer's cap above it.

A blind map never sees the image. A localization score says something only where it beats them.
"""

from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from cameval.arrays import Array, as_masks, as_scores, as_tensor, exact
from cameval.errors import ArrayTypeError, ClassIndexError, DataError, SettingError, ShapeError
from cameval.maps import check_size
from cameval.metrics.overlap import score_counts

__all__ = ["area_cap", "center_disc", "center_map", "class_mean_masks", "independent_iou"]


def center_map(size: tuple[int, ...]) -> Tensor:
    """Return a blind map: 1 at the center of the frame, falling with the distance to 0 at a corner.

    Any percentile of it marks a centered disc.

    Parameters
    ----------
    size
        Height and width.

    Returns
    -------
    Tensor
        A float32 map ``(H, W)``; distances are those of pixel centers to the frame's center.

    Raises
    ------
    SettingError
        If `size` is not a pair of positive integers.

    Examples
    --------
    >>> center_map((1, 5))
    tensor([[0.0000, 0.5000, 1.0000, 0.5000, 0.0000]])
    """
    distance = _squared_distance(size).to(torch.float64).sqrt()
    return (1 - distance / distance.amax().clamp(min=1)).to(torch.float32)


def center_disc(size: tuple[int, ...], area: float = 0.05) -> Tensor:
    """Return a blind mask: the centered disc whose area share is closest to `area`.

    Parameters
    ----------
    size
        Height and width.
    area
        Share of the frame, in (0, 1]. The disc is cut off where it leaves the frame.

    Returns
    -------
    Tensor
        A boolean mask ``(H, W)``, never empty.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    Examples
    --------
    >>> center_disc((3, 5), area=0.35).int()
    tensor([[0, 0, 1, 0, 0],
            [0, 1, 1, 1, 0],
            [0, 0, 1, 0, 0]], dtype=torch.int32)
    """
    if not 0 < area <= 1:
        raise SettingError(f"area must be in (0, 1], got {area}")
    distance = _squared_distance(size)
    radii: Tensor
    pixels: Tensor
    radii, pixels = torch.unique(distance, return_counts=True)
    excess = pixels.cumsum(0).to(torch.float64) - area * distance.numel()
    return distance <= radii[excess.abs().argmin()]


def class_mean_masks(masks: Array, labels: Array, num_classes: int) -> Array:
    """Return the mean mask of each class, to be used as a blind map for its images.

    Take the masks of the training images only.

    Parameters
    ----------
    masks
        Boolean masks ``(N, H, W)``.
    labels
        The class of each, integers ``(N,)`` in [0, num_classes).
    num_classes
        Number of classes C.

    Returns
    -------
    Array
        Maps ``(C, H, W)`` in [0, 1]: how often each pixel is true in a class.

    Raises
    ------
    ArrayTypeError
        If `masks` are not boolean or `labels` not integers.
    ShapeError
        If there is not one label for each mask.
    ClassIndexError
        If a label is not in [0, num_classes).
    DataError
        If a class has no mask.

    Examples
    --------
    >>> masks = torch.tensor([[[True, False]], [[True, True]], [[False, True]]])
    >>> class_mean_masks(masks, torch.tensor([0, 0, 1]), 2)
    tensor([[[1.0000, 0.5000]],
    <BLANKLINE>
            [[0.0000, 1.0000]]])
    """
    truth, classes = as_masks(masks, "masks"), as_tensor(labels, "labels")
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise ArrayTypeError(f"labels must be integers, got {classes.dtype}")
    if truth.ndim != 3 or classes.shape != truth.shape[:1]:
        raise ShapeError(
            "masks and labels must have shapes (N, H, W) and (N,), "
            f"got {tuple(truth.shape)} and {tuple(classes.shape)}"
        )
    present = set(classes.tolist())
    if strange := present - set(range(num_classes)):
        raise ClassIndexError(f"labels must be in [0, {num_classes}), got {sorted(strange)}")
    if missing := set(range(num_classes)) - present:
        raise DataError(f"every class must have a mask, got none of {sorted(missing)}")
    classes = classes.to(truth.device)
    means = [exact(truth[classes == c].view(torch.uint8)).mean(0) for c in range(num_classes)]
    return as_scores(torch.stack(means), masks)


def area_cap(pred: Array, target: Array, /) -> Array:
    """Highest IoU that a mask of the predicted area could reach on this truth.

    With area shares p and g it is ``min(p, g) / max(p, g)``. Where it is low, the binarizer and not
    the map decides the IoU: the 95th percentile marks 5 % of the frame, whatever the object's size.

    Parameters
    ----------
    pred, target
        Boolean masks of one shape ``(..., H, W)``.

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

    Examples
    --------
    >>> pred, target = torch.tensor([[[True, True, True, True]], [[False, False, False, True]]])
    >>> area_cap(pred, target)
    tensor(0.2500)
    """
    return score_counts(
        lambda n: torch.minimum(n.predicted, n.true) / torch.maximum(n.predicted, n.true),
        pred,
        target,
    )


@overload
def independent_iou(pred_area: float, true_area: float, /) -> float: ...
@overload
def independent_iou(pred_area: Array, true_area: float | Array, /) -> Array: ...
@overload
def independent_iou(pred_area: float, true_area: Array, /) -> Array: ...


def independent_iou(pred_area: Any, true_area: Any, /) -> Any:
    """Return the expected IoU of a mask independent of the truth: ``p g / (p + g - p g)``.

    It is the ratio of the expected intersection to the expected union.

    Parameters
    ----------
    pred_area, true_area
        Area shares p and g in [0, 1]: numbers or arrays that broadcast.

    Returns
    -------
    float or Array
        Of the kind of the areas. An empty truth gives NaN.

    Raises
    ------
    ArrayTypeError
        If one area is a torch tensor and the other a NumPy array.
    SettingError
        If an area is not in [0, 1].

    Examples
    --------
    >>> round(independent_iou(0.05, 0.0169), 3)
    0.013
    """
    areas: tuple[Any, Any] = pred_area, true_area
    arrays = [area for area in areas if isinstance(area, Tensor | np.ndarray)]
    if len({isinstance(area, Tensor) for area in arrays}) > 1:
        raise ArrayTypeError("areas must both be NumPy arrays or both torch tensors, got one each")
    p, g = (
        exact(area) if isinstance(area, Tensor) else torch.tensor(area, dtype=torch.float64)
        for area in areas
    )
    for name, area in (("pred_area", p), ("true_area", g)):
        if not ((area >= 0) & (area <= 1)).all():
            raise SettingError(f"{name} must be in [0, 1], got {area.tolist()}")
    expected = (p * g / (p + g - p * g)).where(g > 0, float("nan"))
    template: Any = arrays[0] if arrays else None
    return expected.item() if template is None else as_scores(expected, template)


def _squared_distance(size: tuple[int, ...]) -> Tensor:
    """Return 4 times each pixel's squared distance to the frame's center: exact integers."""
    axes = [2 * torch.arange(length) - (length - 1) for length in check_size(size)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0)

"""Shape descriptors of a mask: area, components, elongation, irrectangularity."""

from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray

from cameval._arrays import Array, as_masks, as_scores
from cameval._spatial import check_spatial_axes, check_volumes

__all__ = ["MaskShape", "mask_shape"]


@dataclass(frozen=True)
class MaskShape(Generic[Array]):
    """Descriptors of masks, one number for each.

    Attributes
    ----------
    area
        Share of the pixels in the mask.
    components
        Number of connected components; diagonal neighbors are connected.
    elongation
        Ratio of the longer to the shorter side of the smallest rectangle, at any angle, around the
        largest component; at least 1.
    irrectangularity
        Share of that rectangle outside the component, in [0, 1): 0 for a rectangle.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.metrics import mask_shape
    >>> mask = np.zeros((4, 8), bool)
    >>> mask[1:3, 2:6] = True  # a rectangle of 2 by 4 pixels
    >>> shape = mask_shape(mask)
    >>> [float(number) for number in (shape.area, shape.components, shape.elongation)]
    [0.25, 1.0, 2.0]
    """

    area: Array
    components: Array
    elongation: Array
    irrectangularity: Array


def mask_shape(masks: Array, /, *, spatial_axes: int = 2) -> MaskShape[Array]:
    """Return area, number of components, elongation and irrectangularity of masks.

    Pixels are unit squares, so that one pixel is a rectangle of elongation 1. Volumes have an area,
    their share of the voxels, and components.

    Parameters
    ----------
    masks
        Boolean masks ``(..., H, W)``.
    spatial_axes
        2 for images, 3 for volumes ``(..., D, H, W)``.

    Returns
    -------
    MaskShape
        Arrays ``(...)``. An empty mask has no component, and its elongation and irrectangularity
        are NaN; so are those of volumes, for which they are not defined. Of several largest
        components the first in reading order counts.

    Raises
    ------
    ArrayTypeError
        If the masks are not boolean arrays.
    ShapeError
        If they have no pixels.
    SettingError
        If `spatial_axes` is neither 2 nor 3.

    References
    ----------
    A. Saporta et al., "Benchmarking Saliency Methods for Chest X-Ray Interpretation", Nature
    Machine Intelligence 4 (2022).

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import mask_shape
    >>> masks = torch.zeros(2, 5, 10, dtype=torch.bool)
    >>> masks[:, :2, 2:8] = masks[1, 3:, 4] = True
    >>> shape = mask_shape(masks)
    >>> shape.area, shape.components
    (tensor([0.2400, 0.2800]), tensor([1., 2.]))
    >>> shape.elongation, shape.irrectangularity
    (tensor([3., 3.]), tensor([0., 0.]))
    """
    axes = check_spatial_axes(spatial_axes)
    tensor = as_masks(masks, "masks")
    check_volumes(tensor, axes, "masks")
    leading, shape = tensor.shape[:-axes], tensor.shape[-axes:]
    flat = tensor.reshape(leading.numel(), *shape).cpu().numpy()
    rows = np.array([_describe(mask) for mask in flat]).reshape(len(flat), 4)
    columns = torch.from_numpy(rows.T.reshape(4, *leading))
    return MaskShape(*(as_scores(column, masks) for column in columns))


def _describe(mask: NDArray[np.bool_]) -> tuple[float, int, float, float]:
    """Return the four numbers of `MaskShape` for one mask."""
    from skimage.measure import label

    parts, count = label(mask, return_num=True)
    if count == 0:
        return 0.0, 0, float("nan"), float("nan")
    if mask.ndim == 3:
        return float(mask.mean()), count, float("nan"), float("nan")
    largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    elongation, rectangle = _smallest_rectangle(largest)
    gap = max(0.0, 1 - largest.sum() / rectangle)
    return float(mask.mean()), count, elongation, gap


def _smallest_rectangle(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the elongation and area of the smallest rectangle around the pixels of a mask.

    One of its sides lies along the convex hull. Of equal ones the least elongated counts.
    """
    from scipy.spatial import ConvexHull

    rows = np.flatnonzero(mask.any(1))
    left, right = mask[rows].argmax(1), mask.shape[1] - mask[rows, ::-1].argmax(1)
    corners = np.concatenate(
        [np.column_stack([rows + down, side]) for down in (0, 1) for side in (left, right)]
    ).astype(np.float64)
    hull: NDArray[Any] = corners[ConvexHull(corners).vertices]
    along = np.diff(hull, axis=0, append=hull[:1])
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    across = along[:, ::-1] * [1, -1]
    sides = np.stack([np.ptp(hull @ direction.T, axis=0) for direction in (along, across)])
    areas = sides.prod(0)
    smallest = areas <= areas.min() * (1 + 1e-9)
    elongation = (sides.max(0) / sides.min(0))[smallest].min()
    return float(elongation), float(areas.min())

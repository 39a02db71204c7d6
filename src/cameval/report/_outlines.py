"""Outlines of masks as polygons of whole numbers, and the masks that they enclose."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import approximate_polygon, find_contours

_TOLERANCES = (1.0, 0.7, 0.4, 0.01)
"""Distances in pixels by which an outline may be simplified; the last removes only points of lines.
"""

_SHARE = 0.04
"""The same in sides of a square of the mask's area: a small mask is simplified less."""

LEAST_IOU = 0.98
"""The least IoU of a mask with the one that its outlines enclose."""


def trace_mask(mask: NDArray[np.bool_]) -> list[list[int]]:
    """Return the outlines of a mask, simplified by at most one pixel.

    Parameters
    ----------
    mask
        The mask ``(H, W)``.

    Returns
    -------
    list of list of int
        One polygon for each outline, in half pixels: x and y of the first corner, then the steps
        to each of the next. A point is inside where an odd number of polygons encloses it. With
        them the mask has an IoU of at least .98.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.report._outlines import trace_mask
    >>> trace_mask(np.ones((2, 3), bool))
    [[5, 4, -4, 0, -1, -1, 0, -2, 1, -1, 4, 0, 1, 1, 0, 2]]
    """
    if not mask.any():
        return []
    contours = find_contours(np.pad(mask, 1).astype(np.float64), 0.5)
    most = _SHARE * float(mask.sum()) ** 0.5
    *coarse, fine = _TOLERANCES
    for tolerance in (one for one in coarse if one <= most):
        corners = [_simplify(contour, tolerance) for contour in contours]
        kept = [one for one in corners if len(one) > 2]
        if _agrees(mask, fill_corners(kept, mask.shape)):
            return [_steps(one) for one in kept]
    return [_steps(_simplify(contour, fine)) for contour in contours]


def fill_outlines(outlines: Sequence[Sequence[int]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the mask that outlines of `trace_mask` enclose.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.report._outlines import fill_outlines, trace_mask
    >>> mask = np.eye(3, dtype=bool)
    >>> bool((fill_outlines(trace_mask(mask), (3, 3)) == mask).all())
    True
    """
    corners = []
    for outline in outlines:
        x, y = (list(accumulate(outline[axis::2])) for axis in (0, 1))
        corners.append(np.stack([y, x], 1))
    return fill_corners(corners, shape)


def fill_corners(
    corners: Sequence[NDArray[np.integer[Any]]], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return the mask enclosed by polygons ``(n, 2)`` of rows and columns in half pixels."""
    toggles = np.zeros((shape[0], shape[1] + 1), np.int64)
    for one in corners:
        (y, x), (y_next, x_next) = one.T, np.roll(one, -1, axis=0).T
        first, stop = np.minimum(y, y_next) // 2, np.maximum(y, y_next) // 2  # rows that it crosses
        counts = stop - first
        edges = np.repeat(np.arange(len(one)), counts)
        rows = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts) + first[edges]
        slope = (x_next - x)[edges] / (y_next - y)[edges]
        crossing = x[edges] + (2 * rows + 1 - y[edges]) * slope
        columns = np.ceil((crossing - 1) / 2).astype(np.int64).clip(0, shape[1])
        np.add.at(toggles, (rows, columns), 1)
    filled: NDArray[np.bool_] = toggles.cumsum(1)[:, :-1] % 2 == 1
    return filled


def _simplify(contour: NDArray[np.float64], tolerance: float) -> NDArray[np.int64]:
    """Return the corners of a closed contour of a padded mask, in half pixels of the mask."""
    simple = approximate_polygon(contour, tolerance)[:-1]
    corners: NDArray[np.int64] = np.rint(2 * simple).astype(np.int64) - 1
    return corners


def _agrees(mask: NDArray[np.bool_], filled: NDArray[np.bool_]) -> bool:
    either = int((mask | filled).sum())
    return int((mask & filled).sum()) >= LEAST_IOU * either


def _steps(corners: NDArray[np.int64]) -> list[int]:
    points = corners[:, ::-1]
    return np.concatenate([points[:1], np.diff(points, axis=0)]).ravel().tolist()

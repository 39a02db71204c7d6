"""Pointing at several objects: the objects that hold the highest peaks of a map."""

from math import isfinite
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from cameval._arrays import Array, exact, finite_maps
from cameval.data import Objects
from cameval.errors import SettingError
from cameval.metrics._objects import (
    Floats,
    Truths,
    label_components,
    pair_with_objects,
    scores_of_images,
)
from cameval.metrics.properties import of_maps, within

__all__ = ["pointing_recall"]


@of_maps(higher_is_better=True, truth="objects", from_sample=("spacing",), title="pointing recall")
@within(0, 1)
def pointing_recall(
    maps: Array,
    objects: Truths,
    /,
    *,
    tolerance: float = 0,
    spacing: float | tuple[float, ...] = 1.0,
) -> Array:
    """Share of the objects that hold one of the map's highest peaks, as many as there are objects.

    A map has one maximum, which is in at most one of several objects that do not overlap. With n
    objects this metric takes the n highest peaks and returns the share of the objects that hold at
    least one. `pointing_game` scores whether the maximum is in any object.

    A peak is a regional maximum: connected pixels of one value, whose neighbors all have lower
    values. Neighbors share a side, an edge or a corner. A peak of several pixels is in an object by
    the share of its pixels. Of equal peaks the score is the expectation over all orders.

    Parameters
    ----------
    maps
        Real, finite maps ``(N, H, W)``; of volumes ``(N, D, H, W)``.
    objects
        A list with the :class:`cameval.data.Objects` of each image. For one map without the axis N,
        its objects.
    tolerance
        A pixel also counts if its distance to the object is strictly below the tolerance, in the
        unit of `spacing`.
    spacing
        Distance between neighboring pixels: one number, or one for each axis.

    Returns
    -------
    Array
        Scores ``(N,)`` in [0, 1]. An image without an object gives NaN. A constant map is one peak.

    Raises
    ------
    ArrayTypeError
        If the maps hold no real numbers, or the truth is no list of objects.
    ShapeError
        If there are not objects of the maps' shape for each map.
    NonFiniteError
        If a value of the maps is NaN or infinite.
    SettingError
        If the tolerance is negative, a spacing is not positive, or one of them is not finite.

    Notes
    -----
    For one object and a unique maximum the score is that of `pointing_game`. A rough map, such as a
    gradient, has many peaks, and several of the highest may be in one object.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.data import Objects
    >>> from cameval.metrics import pointing_recall
    >>> objects = Objects.of_labels(np.array([[1, 1, 0, 2, 2]]))
    >>> float(pointing_recall(np.array([[5.0, 1.0, 0.0, 1.0, 2.0]]), objects))
    1.0
    >>> float(pointing_recall(np.array([[5.0, 1.0, 2.0, 1.0, 0.0]]), objects))
    0.5
    """
    if not (isinstance(tolerance, Real) and isfinite(tolerance) and tolerance >= 0):
        raise SettingError(f"tolerance must be a finite number of at least 0, got {tolerance}")
    values, listed = pair_with_objects(exact(finite_maps(maps)), objects, "maps")
    steps = _check_spacing(spacing, values.ndim - 1)
    scores = [
        _expected_recall(image, _reach(each, float(tolerance), steps))
        for image, each in zip(values.cpu().numpy(), listed, strict=True)
    ]
    return scores_of_images(scores, objects, maps)


def _check_spacing(spacing: float | tuple[float, ...], axes: int) -> tuple[float, ...]:
    """Return the distance between pixels along each axis."""
    steps = spacing if isinstance(spacing, tuple | list) else (spacing,) * axes
    positive = all(isinstance(step, Real) and isfinite(step) and step > 0 for step in steps)
    if len(steps) != axes or not positive:
        raise SettingError(
            f"spacing must be one finite positive number or {axes}, one for each axis, "
            f"got {spacing!r}"
        )
    return tuple(float(step) for step in steps)


def _reach(objects: Objects, tolerance: float, steps: tuple[float, ...]) -> NDArray[np.bool_]:
    """Return the pixels ``(n, ...)`` that count for each object."""
    from scipy import ndimage

    if not tolerance:
        return objects.masks
    near = [
        ndimage.distance_transform_edt(~mask, sampling=steps) < tolerance for mask in objects.masks
    ]
    return np.array(near, np.bool_).reshape(objects.masks.shape)


def _expected_recall(image: Floats, objects: NDArray[np.bool_]) -> float:
    """Return the expected share of the objects that hold one of the highest peaks."""
    count = len(objects)
    if not count:
        return float("nan")
    values, shares = _peaks(image, objects)
    taken = min(count, len(values))
    lowest = np.sort(values)[::-1][taken - 1]
    above, tied = values > lowest, values == lowest
    missed = (1 - shares[above]).prod(0)
    missed *= _mean_product(1 - shares[tied], taken - int(above.sum()))
    return float((1 - missed).mean())


def _peaks(image: Floats, objects: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return the value of each peak ``(k,)``, and the share of it in each object ``(k, n)``."""
    from skimage.morphology import local_maxima

    constant = image.min() == image.max()
    found = np.ones(image.shape, np.bool_) if constant else local_maxima(image)
    labels, count = label_components(found)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    first = np.unique(labels, return_index=True)[1][-count:]
    inside = [np.bincount(labels[each], minlength=count + 1)[1:] / sizes for each in objects]
    return image.ravel()[first], np.stack(inside, axis=1)


def _mean_product(factors: Floats, count: int) -> Floats:
    """Return the mean, over all choices of `count` of the rows, of the products of their factors.

    Row by row, the mean over choices of j of k rows is that of the choices without row k and with
    it, which are the shares 1 - j/k and j/k of all.
    """
    means = np.zeros((count + 1, factors.shape[1]))
    means[0] = 1
    for k, row in enumerate(factors, start=1):
        share = np.arange(1, count + 1)[:, None] / k
        with_row = share * row * means[:-1]
        means[1:] = np.maximum(1 - share, 0) * means[1:] + with_row
    chosen: Floats = means[count]
    return chosen

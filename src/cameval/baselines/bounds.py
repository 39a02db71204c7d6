"""Bounds of the IoU (area bound, grid bound), chance level, and skill relative to a baseline.

A cell of a 7 x 7 grid is a fiftieth of the image, so no map of this grid outlines a smaller object.
How well the best map of a grid scores is not known in general: `reachable_iou` is a lower bound of
it, and `grid_bound` is exact for masks of whole cells.
"""

from collections.abc import Iterator
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from cameval._arrays import Array, as_scores, exact
from cameval.baselines._pooling import (
    axis_lengths,
    masks_on,
    multiply_axes,
    nearest_cells,
    pool,
)
from cameval.baselines.truth_maps import truth_map
from cameval.errors import ArrayTypeError, SettingError
from cameval.maps import CellCenters, upsample
from cameval.metrics.counts import formula_of_counts, score_counts
from cameval.metrics.curves import max_iou
from cameval.metrics.overlap import iou
from cameval.metrics.properties import of_masks, undefined_without_truth, within
from cameval.metrics.questions import MetricQuestion, asks

__all__ = ["area_bound", "grid_bound", "independent_iou", "reachable_iou", "skill"]

NAN = float("nan")


@formula_of_counts
@of_masks(bounds=iou, pixelwise=True, title="area bound")
@within(0, 1)
@asks(
    MetricQuestion(
        "bound",
        "What is the highest IoU that a mask of this area can have?",
        "It says nothing of the place: a mask of this area can be anywhere.",
        falls_with_size=True,
    )
)
def area_bound(pred: Array, target: Array, /) -> Array:
    """Upper bound of the IoU of a mask, given its area: the area bound.

    With area shares p and g of prediction and truth it is ``min(p, g) / max(p, g)``: no mask of the
    predicted area has a higher `iou` with this truth. Where it is low, the binarizer and not the
    map limits the IoU: the 95th percentile marks 5 % of the image, whatever the size of the object.
    It is not a bound for masks of another area.

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
    >>> import torch
    >>> from cameval.baselines import area_bound
    >>> pred, target = torch.tensor([[[True, True, True, True]], [[False, False, False, True]]])
    >>> area_bound(pred, target)
    tensor(0.2500)
    """
    return score_counts(
        lambda n: torch.minimum(n.predicted, n.true) / torch.maximum(n.predicted, n.true),
        pred,
        target,
    )


def reachable_iou(
    truth: Array,
    cells: tuple[int, ...],
    *,
    cell_centers: CellCenters | None = None,
    image_size: tuple[int, ...] | None = None,
    steps: int = 100,
) -> Array:
    """Return an IoU that a map on these cells reaches at its best threshold: a lower bound.

    It is a lower bound of the highest IoU that maps on this grid, linearly upsampled, can have with
    one threshold for each image. It is not an upper bound of the IoU of a network's maps.

    The cells start with the values of :func:`truth_map` and are improved by gradient ascent on the
    IoU of a soft mask, which becomes sharper with each step. The result is the highest `max_iou` on
    the way. More steps may find a better map.

    Parameters
    ----------
    truth, cells, cell_centers, image_size
        As for :func:`truth_map`.
    steps
        Number of steps of the ascent. With 0 the result is the `max_iou` of :func:`truth_map`.

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
    On 50 slices with tumors of 1.5 % of the image, the truth map on 7 x 7 cells has a mean IoU of
    .53 at the best threshold of each slice, and the ascent reaches .79; on 14 x 14 cells it is .79
    and .94. The cost is about 0.2 s for an image of 224 x 224 pixels on one core.

    Examples
    --------
    >>> import torch
    >>> from cameval.baselines import reachable_iou
    >>> y, x = torch.meshgrid(torch.arange(56), torch.arange(56), indexing="ij")
    >>> truth = (y - 20).square() + (x - 31).square() < 25  # less than two cells of 49
    >>> [round(reachable_iou(truth, (7, 7), steps=steps).item(), 2) for steps in (0, 100)]
    [0.64, 0.95]
    """
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
        raise SettingError(f"steps must be an integer of at least 0, got {steps!r}")
    masks, axes = masks_on(truth, cells)
    size = tuple(masks.shape[-axes:])
    flat = masks.reshape(-1, *size)
    pixels = flat.flatten(1, -2)  # the score does not depend on their places
    start = truth_map(flat, cells, cell_centers=cell_centers, image_size=image_size)
    scores = exact(max_iou(start.flatten(1, -2), pixels))
    for coarse in _climb(flat, cells, steps, cell_centers, image_size):
        fine = upsample(coarse, size, cell_centers=cell_centers, image_size=image_size)
        scores = torch.maximum(scores, exact(max_iou(fine.flatten(1, -2), pixels)))
    return as_scores(scores.reshape(masks.shape[:-axes]), truth)


def grid_bound(
    truth: Array,
    cells: tuple[int, ...],
    *,
    cell_centers: CellCenters | None = None,
    image_size: tuple[int, ...] | None = None,
) -> Array:
    """Return the highest IoU of any mask of whole cells: the grid bound.

    It is an upper bound for masks that are unions of cells, such as those of a coarse map that is
    binarized first and then upsampled by nearest neighbor; one of these masks attains it. It is not
    a bound for maps that are upsampled linearly and then binarized: these can be above it.

    A pixel belongs to the cell with the nearest center. The best union takes the cells in the order
    of the share of their pixels that is true.

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
    >>> import torch
    >>> from cameval.baselines import grid_bound
    >>> grid_bound(torch.tensor([[True, True, True, False]]), (1, 2))
    tensor(0.7500)
    """
    masks, axes = masks_on(truth, cells)
    values = exact(masks)
    owners = [
        one_hot(nearest_cells(length, extent, count, cell_centers), count).T.to(values)
        for length, extent, count in axis_lengths(masks, cells, image_size)
    ]
    hits = multiply_axes(values, owners).flatten(-axes)
    every = torch.ones(masks.shape[-axes:]).to(values)
    pixels = multiply_axes(every, owners).flatten(-axes).expand_as(hits)
    order = (hits / pixels.clamp(min=1)).argsort(-1, descending=True)
    hits, pixels = (array.gather(-1, order).cumsum(-1) for array in (hits, pixels))
    true = hits[..., -1]
    best = (hits / (pixels + true[..., None] - hits)).amax(-1)
    return as_scores(undefined_without_truth(best, true), truth)


@overload
def independent_iou(pred_area: float, true_area: float, /) -> float: ...


@overload
def independent_iou(pred_area: Array, true_area: float | Array, /) -> Array: ...


@overload
def independent_iou(pred_area: float, true_area: Array, /) -> Array: ...


def independent_iou(pred_area: Any, true_area: Any, /) -> Any:
    """Return the IoU to expect of a mask independent of the truth: ``p g / (p + g - p g)``.

    It is the ratio of the expected intersection to the expected union: the chance level.

    Parameters
    ----------
    pred_area, true_area
        Area shares p and g in [0, 1]: numbers or arrays that broadcast.

    Returns
    -------
    float or Array
        A result of the kind of the areas. An empty truth gives NaN.

    Raises
    ------
    ArrayTypeError
        If one area is a torch tensor and the other a NumPy array.
    SettingError
        If an area is not in [0, 1].

    Examples
    --------
    >>> from cameval.baselines import independent_iou
    >>> round(independent_iou(0.05, 0.0169), 3)
    0.013
    """
    p, g = _numbers(areas=(pred_area, true_area))
    for name, area in (("pred_area", p), ("true_area", g)):
        if not ((area >= 0) & (area <= 1)).all():
            raise SettingError(f"{name} must be in [0, 1], got {area.tolist()}")
    return _restore_kind((p * g / (p + g - p * g)).where(g > 0, NAN), pred_area, true_area)


@overload
def skill(score: float, baseline: float, best: float = 1.0) -> float: ...


@overload
def skill(score: Array, baseline: float | Array, best: float | Array = 1.0) -> Array: ...


@overload
def skill(score: float, baseline: Array, best: float | Array = 1.0) -> Array: ...


def skill(score: Any, baseline: Any, best: Any = 1.0) -> Any:
    r"""Return the skill: the gain of a score over a baseline, relative to the best score.

    .. math:: \frac{M - M_\mathrm{baseline}}{M_\mathrm{best} - M_\mathrm{baseline}}

    It is 0 for the score of the baseline, negative for a worse one, and 1 for `best`. It is at most
    1 only if `best` is an upper bound.

    Parameters
    ----------
    score
        A score, or scores.
    baseline
        The score of a blind baseline on the same images.
    best
        The best possible score, 0 for distances; or an upper bound for the same masks such as
        :func:`area_bound`. With a score that is not an upper bound, such as that of
        :func:`truth_baseline` or :func:`reachable_iou`, the result can exceed 1.

    Returns
    -------
    float or Array
        A result of the kind of the scores. NaN where a score is NaN, or where baseline and best are
        equal.

    Raises
    ------
    ArrayTypeError
        If some are torch tensors and others NumPy arrays.

    Notes
    -----
    The skill of mean scores varies less than the mean of skills: where baseline and best are close,
    the skill of a single image is far from 0 and 1.

    Examples
    --------
    >>> from cameval.baselines import skill
    >>> round(skill(0.153, baseline=0.105), 3)
    0.054
    >>> round(skill(0.153, baseline=0.105, best=0.316), 3)
    0.227
    """
    m, low, high = _numbers(scores=(score, baseline, best))
    return _restore_kind(((m - low) / (high - low)).where(high != low, NAN), score, baseline, best)


def _numbers(**named: tuple[Any, ...]) -> list[Tensor]:
    """Return numbers and arrays of one kind as exact tensors."""
    ((name, values),) = named.items()
    if len({isinstance(value, Tensor) for value in values if _is_array(value)}) > 1:
        raise ArrayTypeError(f"{name} must be all NumPy arrays or all torch tensors, got both")
    return [
        exact(value) if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)
        for value in values
    ]


def _restore_kind(result: Tensor, *values: Any) -> Any:
    """Return a number for numbers, else an array of the kind of the inputs."""
    template: Any = next(filter(_is_array, values), None)
    return result.item() if template is None else as_scores(result, template)


def _is_array(value: object) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _climb(
    truth: Tensor,
    cells: tuple[int, ...],
    steps: int,
    cell_centers: CellCenters | None,
    image_size: tuple[int, ...] | None,
) -> Iterator[Tensor]:
    """Improve the cells by Adam on the IoU of ``sigmoid(k map)``, k from 2 to 50.

    Yields the cells every 20 steps and at the end.
    """
    true = truth.to(torch.float32)
    matrices = _upsampling_matrices(truth, cells, cell_centers, image_size)
    back = [matrix.T for matrix in matrices]
    axes = tuple(range(-len(matrices), 0))
    area = true.sum(axes, keepdim=True)
    coarse = (2 * pool(truth, cells, cell_centers, image_size) - 1).to(torch.float32)
    optimizer = torch.optim.Adam([coarse], lr=0.2)
    for step in range(steps):
        sharpness = 2 * 25 ** (step / steps)
        soft = (sharpness * multiply_axes(coarse, matrices)).sigmoid()
        both = (soft * true).sum(axes, keepdim=True)
        either = soft.sum(axes, keepdim=True) + area - both
        gain = torch.where(truth, 1 / either, -both / either.square())
        slope = gain * sharpness * soft * (1 - soft)
        coarse.grad = -multiply_axes(slope, back)
        optimizer.step()
        if (step + 1) % 20 == 0 or step + 1 == steps:
            yield coarse.clone()


def _upsampling_matrices(
    truth: Tensor,
    cells: tuple[int, ...],
    cell_centers: CellCenters | None,
    image_size: tuple[int, ...] | None,
) -> list[Tensor]:
    """Return the matrix of `upsample` along each axis, ``(length, cells)``."""
    matrices = []
    for length, extent, count in axis_lengths(truth, cells, image_size):
        one_cell_each = torch.eye(count)[:, :, None]
        fine = upsample(
            one_cell_each, (length, 1), cell_centers=cell_centers, image_size=(extent, 1)
        )
        matrices.append(fine[..., 0].T.to(truth.device))
    return matrices

"""Pointing game: whether the maximum of a map lies in the truth."""

from collections.abc import Sequence
from math import floor, isfinite
from numbers import Real

import torch
from torch import Tensor
from torch.nn.functional import pad

from cameval._arrays import Array, as_scores, exact, maps_and_truth
from cameval._memo import memo_active
from cameval._sorting import sorted_with_truth, sorts_by_image
from cameval.errors import SettingError
from cameval.metrics._contours import Spacing, flatten_pixels, pixel_size
from cameval.metrics.counts import count_true
from cameval.metrics.properties import of_maps, undefined_without_truth, within

__all__ = ["pointing_game"]

_AT_ONCE = 2**21
"""Rows around maxima that are compared with the truth at once. It bounds the memory."""


@of_maps(higher_is_better=True, from_sample=("spacing",), title="pointing game")
@within(0, 1)
def pointing_game(
    maps: Array,
    target: Array,
    /,
    *,
    tolerance: float = 0,
    spacing: Spacing = 1.0,
) -> Array:
    """Score whether the map's maximum lies in the truth, or within a tolerance of it.

    A maximum counts if its pixel is true, or if the distance from its center to the center of the
    nearest true pixel is strictly below the tolerance. If a map has several maxima, the score is
    the share of them that count.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``, or volumes ``(..., D, H, W)``.
    target
        Boolean masks of the same shape.
    tolerance
        A distance in the unit of `spacing`, at least 0. The reference uses 15 pixels.
    spacing
        Distance between neighboring pixels: one number, or two for rows and columns, or three for
        the slices, rows and columns of volumes. With spacings in millimeters the tolerance is in
        millimeters. `cameval.evaluate` sets the spacing of each sample that has one;
        ``partial(pointing_game, tolerance=15, spacing=1.0)`` keeps the tolerance in pixels.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``: 0 or 1 where the maximum is unique. An
        empty truth gives NaN.

    Raises
    ------
    ArrayTypeError
        If `target` is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    NonFiniteError
        If a value of the maps is NaN or infinite.
    SettingError
        If the tolerance is negative, a spacing is not positive, or one of them is not finite.

    Notes
    -----
    With tolerance 0 the code of the reference never counts a hit, because no distance is below 0.
    The reference reports the mean over classes of the accuracy.

    References
    ----------
    J. Zhang et al., "Top-Down Neural Attention by Excitation Backprop", IJCV 126 (2018).

    Examples
    --------
    >>> import torch
    >>> from cameval import pointing_game
    >>> maps = torch.tensor([[0.0, 3.0], [3.0, 1.0]])
    >>> pointing_game(maps, torch.tensor([[False, True], [False, True]]))
    tensor(0.5000)

    The maximum is two pixels, or one millimeter, beside the truth:

    >>> maps, truth = torch.tensor([[3.0, 0.0, 1.0]]), torch.tensor([[False, False, True]])
    >>> pointing_game(maps, truth, tolerance=2)
    tensor(0.)
    >>> pointing_game(maps, truth, tolerance=2, spacing=0.5)
    tensor(1.)

    The metric with its settings, as an evaluation takes it:

    >>> from functools import partial
    >>> metric = partial(pointing_game, tolerance=15)
    """
    _check_tolerance(tolerance)
    steps = pixel_size(spacing)
    scores, truth = maps_and_truth(maps, target)
    if not tolerance and len(steps) == 2 and memo_active() and sorts_by_image(scores):
        tops = [pixels.top for pixels in sorted_with_truth(scores, truth)]
        top = torch.tensor(tops, dtype=torch.float64).reshape(*scores.shape[:-2], 2)
        share = top[..., 0] / top[..., 1]
        return as_scores(undefined_without_truth(share, count_true(truth)), maps)
    flat = flatten_pixels(scores, spacing, "maps")
    top = (flat == flat.amax(-1, keepdim=True)).reshape(scores.shape)
    near = truth | _near_truth(top & ~truth, truth, tolerance, steps) if tolerance else truth
    hits, maxima, true = (
        exact(flatten_pixels(mask, spacing).sum(-1)) for mask in (top & near, top, truth)
    )
    return as_scores(undefined_without_truth(hits / maxima, true), maps)


def _check_tolerance(tolerance: float) -> None:
    if not (isinstance(tolerance, Real) and isfinite(tolerance) and tolerance >= 0):
        raise SettingError(f"tolerance must be a finite number of at least 0, got {tolerance}")


def _near_truth(
    points: Tensor, truth: Tensor, tolerance: float, steps: tuple[float, ...]
) -> Tensor:
    """Mark the points with a true pixel nearer than the tolerance.

    In each row around a point the pixels near enough are an interval. The difference of two running
    counts of the true pixels tells whether one of them lies in it.
    """
    near = torch.zeros_like(points)
    before = pad(truth.cumsum(-1, dtype=torch.int32), (1, 0))
    *lengths, width = points.shape[-len(steps) :]
    offsets, reach = (
        tensor.to(points.device) for tensor in _ball(tolerance, steps, (*lengths, width))
    )
    for some in points.nonzero().split(max(1, _AT_ONCE // len(reach))):
        *index, columns = some.T.unsqueeze(-1).unbind()
        batch, rows = index[: -len(lengths)], index[-len(lengths) :]
        around, inside = [], torch.ones_like(columns, dtype=torch.bool)
        for row, offset, length in zip(rows, offsets, lengths, strict=True):
            other = row + offset
            inside = inside & (other >= 0) & (other < length)
            around.append(other.clamp(0, length - 1))
        start, end = (columns - reach).clamp(min=0), (columns + reach + 1).clamp(max=width)
        hit = before[(*batch, *around, end)] > before[(*batch, *around, start)]
        near[tuple(some.T)] = (hit & inside).any(-1)
    return near


def _ball(tolerance: float, steps: Sequence[float], size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the offsets of rows within the tolerance, and how many columns are within it there.

    Offsets have one axis less than the image, ``(axes - 1, k)``.
    """
    furthest = [
        min(length - 1, floor(tolerance / step))
        for length, step in zip(size[:-1], steps[:-1], strict=True)
    ]
    offsets = torch.cartesian_prod(*(torch.arange(-far, far + 1) for far in furthest))
    offsets = offsets.reshape(-1, len(furthest)).T
    away = offsets.double() * torch.tensor(steps[:-1], dtype=torch.float64)[:, None]
    across = steps[-1] * torch.arange(size[-1]).double()
    distance = torch.hypot(torch.linalg.vector_norm(away, dim=0)[:, None], across)
    reach = (distance < tolerance).sum(-1) - 1
    return offsets[:, reach >= 0], reach[reach >= 0]

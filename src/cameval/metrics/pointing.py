"""Metrics of a score map: whether its maximum points at the truth.

Edge cases follow the one policy of `cameval.metrics.properties`.
"""

from dataclasses import dataclass
from math import floor, isfinite
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from cameval._arrays import Array, as_scores, exact, extremes, maps_and_truth
from cameval.errors import SettingError
from cameval.metrics.properties import Takes, of_maps, undefined_without_truth, within

__all__ = ["PointingGame", "pointing_game"]

_AT_ONCE = 4096
"""Maxima whose surroundings are looked at together, to bound the memory of a constant map."""


@of_maps(higher_is_better=True)
@within(0, 1)
def pointing_game(maps: Array, target: Array, /) -> Array:
    """Tell whether the map's maximum lies in the truth; several maxima count by their share.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

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

    References
    ----------
    J. Zhang et al., "Top-Down Neural Attention by Excitation Backprop", IJCV 126 (2018); here with
    tolerance 0.

    Examples
    --------
    >>> maps = torch.tensor([[0.0, 3.0], [3.0, 1.0]])
    >>> pointing_game(maps, torch.tensor([[False, True], [False, True]]))
    tensor(0.5000)
    """
    scores, truth = maps_and_truth(maps, target)
    top = _maxima(scores)
    return as_scores(undefined_without_truth(_share(top & truth, top), _count(truth)), maps)


@dataclass(frozen=True)
class PointingGame:
    """Tell whether the map's maximum lies in the truth or close to it.

    A maximum counts if its pixel is true, or if the distance from its center to the center of the
    nearest true pixel is strictly below the tolerance. Several maxima count by their share.

    Parameters
    ----------
    tolerance
        A distance in the unit of `spacing`; 0 makes it `pointing_game`.
    spacing
        Distance between neighboring pixels: one number, or one for the rows and one for the
        columns. With spacings in millimeters the tolerance is in millimeters.

    Raises
    ------
    SettingError
        If the tolerance is negative, a spacing is not positive, or one of them is not finite.

    Notes
    -----
    With tolerance 0 the code of the reference never counts a hit, for no distance is below 0. Its
    accuracy is the mean over classes, which is left to the table of scores.

    References
    ----------
    J. Zhang et al., "Top-Down Neural Attention by Excitation Backprop", IJCV 126 (2018).

    Examples
    --------
    The maximum is two pixels, or one millimeter, beside the truth:

    >>> maps = torch.tensor([[3.0, 0.0, 1.0, 1.0]])
    >>> truth = torch.tensor([[False, False, True, True]])
    >>> PointingGame(tolerance=2)(maps, truth), PointingGame(tolerance=2, spacing=0.5)(maps, truth)
    (tensor(0.), tensor(1.))
    """

    takes: ClassVar[Takes] = "maps"
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)

    tolerance: float = 15
    spacing: float | tuple[float, float] = 1.0

    def __post_init__(self) -> None:
        """Check the settings."""
        if not (
            isinstance(self.tolerance, Real) and self.tolerance >= 0 and isfinite(self.tolerance)
        ):
            raise SettingError(
                f"tolerance must be a finite number of at least 0, got {self.tolerance}"
            )
        steps = self._steps()
        if len(steps) != 2 or not all(
            isinstance(step, Real) and step > 0 and isfinite(step) for step in steps
        ):
            raise SettingError(
                "spacing must be one positive number, or one for rows and one for columns, "
                f"got {self.spacing}"
            )

    def __call__(self, maps: Array, target: Array, /) -> Array:
        """Return scores ``(...)`` in [0, 1] of maps and boolean masks ``(..., H, W)``.

        An empty truth gives NaN.
        """
        scores, truth = maps_and_truth(maps, target)
        top = _maxima(scores)
        near = truth | self._near(top & ~truth, truth) if self.tolerance else truth
        return as_scores(undefined_without_truth(_share(top & near, top), _count(truth)), maps)

    def _steps(self) -> tuple[float, ...]:
        both = self.spacing if isinstance(self.spacing, tuple) else (self.spacing,) * 2
        return tuple(both)

    def _near(self, points: Tensor, truth: Tensor) -> Tensor:
        """Mark the points with a true pixel nearer than the tolerance.

        In each row around a point the pixels near enough are an interval, and a running count of
        the true pixels says whether one of them is in it.
        """
        near = torch.zeros_like(points)
        before = pad(truth.cumsum(-1, dtype=torch.int32), (1, 0))
        height, width = points.shape[-2:]
        offsets, reach = (each.to(points.device) for each in self._disc(height, width))
        for some in points.nonzero().split(_AT_ONCE):
            *index, rows, columns = some.T.unsqueeze(-1).unbind()
            around = rows + offsets
            inside = (around >= 0) & (around < height)
            around = around.clamp(0, height - 1)
            start, end = (columns - reach).clamp(min=0), (columns + reach + 1).clamp(max=width)
            found = before[(*index, around, end)] > before[(*index, around, start)]
            near[tuple(some.T)] = (found & inside).any(-1)
        return near

    def _disc(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Return the rows nearer than the tolerance and, in each, how many columns are."""
        down, across = self._steps()
        furthest = min(height - 1, floor(self.tolerance / down))
        offsets = torch.arange(-furthest, furthest + 1)
        sides = down * offsets.double(), across * torch.arange(width).double()
        reach = (torch.hypot(sides[0].unsqueeze(-1), sides[1]) < self.tolerance).sum(-1) - 1
        return offsets[reach >= 0], reach[reach >= 0]


def _maxima(scores: Tensor) -> Tensor:
    _, high = extremes(scores)
    return scores == high[..., None, None]


def _share(part: Tensor, whole: Tensor) -> Tensor:
    return _count(part) / _count(whole)


def _count(mask: Tensor) -> Tensor:
    return exact(mask.sum((-2, -1)))

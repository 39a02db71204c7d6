"""Numbers that are read off the curve of a score map over all thresholds.

Tied pixels count by their expectation over all their orders. The order alone matters, so signed
raw maps are as good as scaled ones. Edge cases follow the one policy of `cameval.metrics.policy`.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor

from cameval.arrays import Array
from cameval.errors import SettingError
from cameval.metrics.order import Ranked
from cameval.metrics.policy import Takes, of_maps, within
from cameval.metrics.ranking import score_ranks

__all__ = ["AreaToCover", "CoverageAtArea", "check_share", "oracle_iou"]


@of_maps(higher_is_better=True)
@within(0, 1)
def oracle_iou(maps: Array, target: Array, /) -> Array:
    """Highest `iou` of the map over all thresholds, chosen for each image with its truth.

    It is an upper bound of the IoU of this map with one threshold for each image, and of nothing
    else: another map, or a binarizer whose threshold varies over the image, can be above it.
    Compare it with an IoU of the same map to see what the threshold costs. Masks are
    ``map > threshold``; the mask of everything is one of them, so the score is at least the truth's
    area share, and that share for a map of one value.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score in (0, 1] for each image, shape ``(...)``. An empty truth gives NaN.

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
    J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020, on
    why thresholds must be chosen on other images than those that are scored.

    Examples
    --------
    >>> maps = torch.tensor([[4.0, 3.0, 2.0, 1.0]])
    >>> oracle_iou(maps, torch.tensor([[True, False, True, False]]))
    tensor(0.6667)
    """

    def formula(ranked: Ranked) -> Tensor:
        either = ranked.marked + ranked.true.unsqueeze(-1) - ranked.hits
        return (ranked.hits / either).amax(-1)

    return score_ranks(formula, maps, target)


@dataclass(frozen=True)
class CoverageAtArea:
    """Expected share of the truth among the highest pixels, for a fixed share of all pixels.

    "Read 5 % of the image, see 72 % of the tumor". A map of one value scores `area`.

    Parameters
    ----------
    area
        Share of the pixels that are read, above 0 and at most 1. It is read as it is written, so
        0.29 of 100 pixels are 29; a part of a pixel counts by that part.

    Raises
    ------
    SettingError
        If `area` is not in that range.

    Examples
    --------
    >>> maps = torch.tensor([[4.0, 3.0, 3.0, 1.0]])
    >>> CoverageAtArea(0.5)(maps, torch.tensor([[True, True, False, False]]))
    tensor(0.7500)
    """

    takes: ClassVar[Takes] = "maps"
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)

    area: float = 0.05

    def __post_init__(self) -> None:
        """Check the setting."""
        check_share("area", self.area)

    def __call__(self, maps: Array, target: Array, /) -> Array:
        """Return scores ``(...)`` in [0, 1] of maps and boolean masks ``(..., H, W)``.

        An empty truth gives NaN.
        """
        share = check_share("area", self.area)

        def formula(ranked: Ranked) -> Tensor:
            budget = ranked.marked.new_tensor([float(share * ranked.pixels)])
            return ranked.expected_hits(budget).squeeze(-1) / ranked.true

        return score_ranks(formula, maps, target)


@dataclass(frozen=True)
class AreaToCover:
    """Smallest share of the pixels, highest first, that is expected to cover a share of the truth.

    It is the inverse of `CoverageAtArea`, so lower is better: the least area at which that reaches
    `share`. A map of one value scores `share`; a map that is higher on each true pixel than on
    every other scores `share` of the truth's area.

    Parameters
    ----------
    share
        Share of the true pixels to cover, above 0 and at most 1.

    Raises
    ------
    SettingError
        If `share` is not in that range.

    Examples
    --------
    >>> maps = torch.tensor([[4.0, 3.0, 3.0, 1.0]])
    >>> AreaToCover(0.75)(maps, torch.tensor([[True, True, False, False]]))
    tensor(0.5000)
    """

    takes: ClassVar[Takes] = "maps"
    higher_is_better: ClassVar[bool | None] = False
    value_range: ClassVar[tuple[float, float]] = (0, 1)

    share: float = 0.9

    def __post_init__(self) -> None:
        """Check the setting."""
        check_share("share", self.share)

    def __call__(self, maps: Array, target: Array, /) -> Array:
        """Return areas ``(...)`` in (0, 1] of maps and boolean masks ``(..., H, W)``.

        An empty truth gives NaN.
        """
        share = check_share("share", self.share)

        def formula(ranked: Ranked) -> Tensor:
            needed = (ranked.true * share.numerator / share.denominator).unsqueeze(-1)
            level = torch.searchsorted(ranked.hits, needed)
            above, marked, gained, hits = (
                each.gather(-1, level)
                for each in (ranked.above, ranked.marked, ranked.gained, ranked.hits)
            )
            part = (needed - (hits - gained)) / gained
            return (above + part * (marked - above)).squeeze(-1) / ranked.pixels

        return score_ranks(formula, maps, target)


def check_share(name: str, share: object, lowest: float | None = None) -> Fraction:
    """Return a share as it is written: above 0 or from `lowest` on, and at most 1."""
    if isinstance(share, Real):
        exactly = Fraction(str(share)) if isfinite(share) else Fraction(-1)
        if 0 < exactly <= 1 or exactly == lowest:
            return exactly
    interval = "(0, 1]" if lowest is None else f"[{lowest}, 1]"
    raise SettingError(f"{name} must be a number in {interval}, got {share}")

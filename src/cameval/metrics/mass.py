"""Relevance mass: how much of the positive sum of a map lies in the truth.

Negative values count as 0, so these scores depend on the map's offset. For other conventions pass
``normalize_maps(maps)`` or ``maps.abs()``.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cameval._arrays import Array, as_scores, exact, maps_and_truth
from cameval._memo import memoized
from cameval.metrics.properties import of_maps, undefined_without_truth, within

__all__ = ["relevance_mass_accuracy", "relevance_mass_ratio", "relevance_mass_skill"]


@of_maps(higher_is_better=True, pixelwise=True)
@within(0, 1)
def relevance_mass_accuracy(maps: Array, target: Array, /) -> Array:
    """Share of the map's positive sum that lies in the truth (energy-based pointing game).

    Negative values count as 0, so the score depends on the map's offset. For other conventions pass
    ``normalize_maps(maps)`` or ``maps.abs()``. A uniform map scores the truth's area share: report
    `relevance_mass_skill` or `relevance_mass_ratio` beside it.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. An empty truth gives NaN, and so does
        a map without a positive value.

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
    L. Arras et al., "CLEVR-XAI: A Benchmark Dataset for the Ground Truth Evaluation of Neural
    Network Explanations", Information Fusion 81 (2022).
    H. Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural
    Networks", CVPR Workshops 2020.

    Examples
    --------
    >>> maps = torch.tensor([[-5.0, 3.0], [0.0, 1.0]])
    >>> relevance_mass_accuracy(maps, torch.tensor([[True, True], [False, False]]))
    tensor(0.7500)
    """
    return _score_mass(lambda share, area: share, maps, target)


@of_maps(higher_is_better=True, pixelwise=True)
def relevance_mass_skill(maps: Array, target: Array, /) -> Array:
    """`relevance_mass_accuracy` beyond that of a uniform map, divided by its maximum.

    With the truth's area share g it is ``(RMA - g) / (1 - g)``: 0 for a uniform map, 1 where all
    mass is in the truth, ``-g / (1 - g)`` where none is.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score of at most 1 for each image, shape ``(...)``. A truth that is empty or covers the
        image gives NaN, and so does a map without a positive value.

    Raises
    ------
    ArrayTypeError
        If `target` is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    NonFiniteError
        If a value of the maps is NaN or infinite.

    Examples
    --------
    >>> maps = torch.tensor([[-5.0, 3.0], [0.0, 1.0]])
    >>> relevance_mass_skill(maps, torch.tensor([[True, True], [False, False]]))
    tensor(0.5000)
    """
    return _score_mass(
        lambda share, area: ((share - area) / (1 - area)).where(area < 1, float("nan")),
        maps,
        target,
    )


@of_maps(higher_is_better=True, pixelwise=True)
def relevance_mass_ratio(maps: Array, target: Array, /) -> Array:
    """Mean positive value in the truth, over that of the whole map (weighted inside-total ratio).

    With the truth's area share g it is ``RMA / g``: 1 for a uniform map, 0 where no mass is in the
    truth. Its logarithm would be infinite there.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score of at least 0 and at most the inverse of g for each image, shape ``(...)``. An
        empty truth gives NaN, and so does a map without a positive value.

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
    M. Kohlbrenner et al., "Towards Best Practice in Explaining Neural Network Decisions with LRP",
    IJCNN 2020.

    Examples
    --------
    >>> maps = torch.tensor([[-5.0, 3.0], [0.0, 1.0]])
    >>> relevance_mass_ratio(maps, torch.tensor([[True, True], [False, False]]))
    tensor(1.5000)
    """
    return _score_mass(lambda share, area: share / area, maps, target)


def _score_mass(
    formula: Callable[[Tensor, Tensor], Tensor], maps: Array, target: Array, /
) -> Array:
    share, area = _shares(*maps_and_truth(maps, target))
    return as_scores(undefined_without_truth(formula(share, area), area), maps)


@memoized
def _shares(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the truth's share of the mass and of the area."""
    mass = scores.clamp(min=0)
    inside = exact(mass * truth).sum((-2, -1))
    area = exact(truth.sum((-2, -1), dtype=torch.int64)) / truth.shape[-2:].numel()
    return inside / exact(mass).sum((-2, -1)), area

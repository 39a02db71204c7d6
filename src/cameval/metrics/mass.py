"""Relevance mass: how much of the positive sum of a map lies in the truth.

Negative values count as 0, so these scores depend on the map's offset. For other conventions pass
``normalize_maps(maps)`` or ``maps.abs()``. `dual_polarity_precision` counts them outside the truth.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cameval._arrays import Array, as_scores, exact, maps_and_truth
from cameval._memo import memoized
from cameval.metrics.properties import of_maps, undefined_without_truth, within

__all__ = [
    "dual_polarity_precision",
    "energy_pointing_game",
    "grid_pointing_game",
    "relevance_mass_accuracy",
    "relevance_mass_ratio",
    "relevance_mass_skill",
]


@of_maps(higher_is_better=True, pixelwise=True, title="relevance mass accuracy")
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
    >>> import torch
    >>> from cameval import relevance_mass_accuracy
    >>> maps = torch.tensor([[-5.0, 3.0], [0.0, 1.0]])
    >>> relevance_mass_accuracy(maps, torch.tensor([[True, True], [False, False]]))
    tensor(0.7500)
    """
    return _score_mass(lambda share, area: share, maps, target)


@of_maps(higher_is_better=True, pixelwise=True, title="relevance mass skill")
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
    >>> import torch
    >>> from cameval.metrics import relevance_mass_skill
    >>> maps = torch.tensor([[-5.0, 3.0], [0.0, 1.0]])
    >>> relevance_mass_skill(maps, torch.tensor([[True, True], [False, False]]))
    tensor(0.5000)
    """
    return _score_mass(
        lambda share, area: ((share - area) / (1 - area)).where(area < 1, float("nan")),
        maps,
        target,
    )


@of_maps(higher_is_better=True, pixelwise=True, title="relevance mass ratio")
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
    >>> import torch
    >>> from cameval.metrics import relevance_mass_ratio
    >>> maps = torch.tensor([[-5.0, 3.0], [0.0, 1.0]])
    >>> relevance_mass_ratio(maps, torch.tensor([[True, True], [False, False]]))
    tensor(1.5000)
    """
    return _score_mass(lambda share, area: share / area, maps, target)


@of_maps(higher_is_better=True, pixelwise=True, title="energy pointing game")
@within(0, 1)
def energy_pointing_game(maps: Array, target: Array, /) -> Array:
    r"""Share of the map's positive sum that lies in the truth.

    .. math:: \frac{\sum_{i \in T} \max(0, m_i)}{\sum_i \max(0, m_i)}

    It is `relevance_mass_accuracy` under the name that Score-CAM's paper gave it: the two are equal
    for every map and truth. In that paper the truth is a bounding box and the map has been
    rectified already.

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
        a map without a positive value. A uniform map scores the truth's area share.

    Raises
    ------
    ArrayTypeError, ShapeError, NonFiniteError
        As of `relevance_mass_accuracy`.

    References
    ----------
    H. Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural
    Networks", CVPR Workshops 2020.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import energy_pointing_game
    >>> maps = torch.tensor([[-5.0, 3.0], [0.0, 1.0]])
    >>> energy_pointing_game(maps, torch.tensor([[True, True], [False, False]]))
    tensor(0.7500)
    """
    return relevance_mass_accuracy(maps, target)


@of_maps(higher_is_better=True, pixelwise=True, title="grid pointing game")
@within(0, 1)
def grid_pointing_game(maps: Array, target: Array, /) -> Array:
    r"""Share of the map's positive sum that lies in the cell of its class; 0 if there is none.

    It is `energy_pointing_game`, but a map without a positive value scores 0, as in the published
    code. The truth is one cell of a mosaic of images of different classes: see
    :class:`cameval.data.MosaicDataset`. The published score is the mean over the cells of all
    mosaics. A uniform map scores 1 / n with n cells.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)`` of the whole mosaic, for the class of the cell.
    target
        Boolean masks of the same shape, true in the cell.

    Returns
    -------
    Array
        One score in [0, 1] for each map, shape ``(...)``. An empty truth gives NaN.

    Raises
    ------
    ArrayTypeError, ShapeError, NonFiniteError
        As of `relevance_mass_accuracy`.

    References
    ----------
    M. Böhle, M. Fritz, B. Schiele, "Convolutional Dynamic Alignment Networks for Interpretable
    Classifications", CVPR 2021.
    S. Rao, M. Böhle, B. Schiele, "Towards Better Understanding Attribution Methods", CVPR 2022.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import grid_pointing_game
    >>> cell = torch.tensor([[True, False], [False, False]])
    >>> grid_pointing_game(torch.tensor([[3.0, 1.0], [0.0, -2.0]]), cell)
    tensor(0.7500)
    >>> grid_pointing_game(-torch.ones(2, 2), cell)
    tensor(0.)
    """

    def formula(share: Tensor, _area: Tensor) -> Tensor:
        return share.nan_to_num(0)  # nothing over nothing: no positive value

    return _score_mass(formula, maps, target)


@of_maps(higher_is_better=True, pixelwise=True, title="dual polarity precision")
@within(0, 1)
def dual_polarity_precision(maps: Array, target: Array, /) -> Array:
    r"""Share of a signed map that is positive inside the truth or negative outside it.

    .. math:: \frac{\sum_{i \in T} \max(0, m_i) + \sum_{i \notin T} \max(0, -m_i)}{\sum_i |m_i|}

    For a map without negative values it is `relevance_mass_accuracy`.

    Parameters
    ----------
    maps
        Real, finite, signed maps ``(..., H, W)``. Zero must mean no evidence: do not scale maps to
        [0, 1] first.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. An empty truth gives NaN, and so does
        a map of zeros. The scores of a map and of its negative have the sum 1.

    Raises
    ------
    ArrayTypeError
        If `target` is not boolean, or the two are not of one kind.
    ShapeError
        If the shapes differ.
    NonFiniteError
        If a value of the maps is NaN or infinite.

    Notes
    -----
    Experimental: the formula is the reading of one sentence of the paper's abstract ("measures
    positive attributions inside the class mask and negative attributions outside it"). The full
    text was not available, and the code of its authors that was available has the positive part
    only, which is `relevance_mass_accuracy`.

    References
    ----------
    M. Cedro, M. Chlebus, "Scaling Vision Models Does Not Consistently Improve Localisation-Based
    Explanation Quality", arXiv 2605.10142 (2026).

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import dual_polarity_precision
    >>> maps = torch.tensor([[-1.0, 3.0], [-4.0, 2.0]])
    >>> dual_polarity_precision(maps, torch.tensor([[True, True], [False, False]]))
    tensor(0.7000)
    """
    share, there = _signed_shares(*maps_and_truth(maps, target))
    return as_scores(undefined_without_truth(share, there), maps)


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


@memoized
def _signed_shares(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share of the absolute sum with the right sign, and the number of true pixels."""
    signed = exact(scores)
    right = torch.where(truth, signed, -signed).clamp(min=0)
    return right.sum((-2, -1)) / signed.abs().sum((-2, -1)), truth.sum((-2, -1))

"""Metrics of a score map: how its values rank or weigh the true pixels, with no threshold.

Ties count by their expectation over all orders of the tied pixels. The order alone matters to all
but `relevance_mass_accuracy`, so signed raw maps are as good as scaled ones. Edge cases follow the
one policy of `cameval.metrics.policy`.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from cameval.arrays import Array, as_scores, exact, maps_and_truth
from cameval.metrics.policy import of_maps, undefined_without_truth

__all__ = [
    "pixel_auroc",
    "pixel_average_precision",
    "pointing_game",
    "relevance_mass_accuracy",
    "relevance_rank_accuracy",
]


@of_maps
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
    top = scores == scores.amax((-2, -1), keepdim=True)
    share = _count(top & truth) / _count(top)
    return as_scores(undefined_without_truth(share, _count(truth)), maps)


@of_maps
def relevance_mass_accuracy(maps: Array, target: Array, /) -> Array:
    """Share of the map's positive sum that lies in the truth (energy-based pointing game).

    Negative values count as 0, so the score depends on the map's offset. For the other conventions
    pass ``normalize_maps(maps)`` or ``maps.abs()``. A uniform map scores the truth's area share.

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
    scores, truth = maps_and_truth(maps, target)
    mass = exact(scores).clamp(min=0)
    share = (mass * truth).sum((-2, -1)) / mass.sum((-2, -1))
    return as_scores(undefined_without_truth(share, _count(truth)), maps)


@of_maps
def relevance_rank_accuracy(maps: Array, target: Array, /) -> Array:
    """Share of the truth among as many highest pixels as the truth has (R-precision).

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. An empty truth gives NaN.

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

    Examples
    --------
    >>> maps = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    >>> relevance_rank_accuracy(maps, torch.tensor([[True, False], [True, False]]))
    tensor(0.5000)
    """
    scores, truth = _descending(*maps_and_truth(maps, target))
    seats = truth.sum(-1, keepdim=True)
    last = scores.gather(-1, (seats - 1).clamp(min=0))
    above, tied = scores > last, scores == last
    chance = exact(seats - above.sum(-1, keepdim=True)) / tied.sum(-1, keepdim=True)
    found = (truth * (above + chance * tied)).sum(-1)
    return as_scores(found / seats.squeeze(-1), maps)


@of_maps
def pixel_auroc(maps: Array, target: Array, /) -> Array:
    """Area under the ROC curve: how often a true pixel is higher than another one.

    A tie counts half. Chance is .5 for a truth of any size, and ``pixel_auroc - .5`` is the
    integral of `informedness` over the false-alarm rate of all thresholds.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Boolean masks of the same shape.

    Returns
    -------
    Array
        One score in [0, 1] for each image, shape ``(...)``. A truth that is empty or everything
        gives NaN.

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
    J. A. Hanley and B. J. McNeil, "The Meaning and Use of the Area under a Receiver Operating
    Characteristic (ROC) Curve", Radiology 143 (1982).

    Examples
    --------
    >>> maps = torch.tensor([[4.0, 3.0], [2.0, 2.0]])
    >>> pixel_auroc(maps, torch.tensor([[False, True], [True, False]]))
    tensor(0.3750)
    """
    hits, alarms = _sweep(*maps_and_truth(maps, target))
    area = torch.trapezoid(hits, alarms, dim=-1)
    return as_scores(area / (hits[..., -1] * alarms[..., -1]), maps)


@of_maps
def pixel_average_precision(maps: Array, target: Array, /) -> Array:
    """Average precision: the precision of all thresholds, weighted by the gain in coverage.

    Chance is the truth's area share g, so print ``(score - g) / (1 - g)`` beside it. Thresholds are
    the distinct values of a map; the score does not depend on the order of tied pixels.

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
    N. Arun et al., "Assessing the Trustworthiness of Saliency Maps for Localizing Abnormalities in
    Medical Imaging", Radiology: Artificial Intelligence 3 (2021).

    Examples
    --------
    >>> maps = torch.tensor([[4.0, 3.0], [2.0, 1.0]])
    >>> pixel_average_precision(maps, torch.tensor([[True, False], [True, False]]))
    tensor(0.8333)
    """
    hits, alarms = _sweep(*maps_and_truth(maps, target))
    precision = hits / (hits + alarms).clamp(min=1)
    gained = hits.diff(dim=-1)
    return as_scores((gained * precision[..., 1:]).sum(-1) / hits[..., -1], maps)


def _descending(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the pixels' scores and truth, highest score first, ``(..., H * W)``."""
    scores, truth = scores.flatten(-2), truth.flatten(-2)
    if scores.is_cpu and scores.dtype != torch.bfloat16:  # NumPy sorts three times as fast
        order = torch.from_numpy(np.argsort(scores.numpy(), axis=-1)).flip(-1)
    else:
        order = scores.argsort(-1, descending=True)
    return scores.gather(-1, order), truth.gather(-1, order)


def _sweep(scores: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Lower a threshold through all scores: true and other pixels marked, ``(..., 1 + H * W)``.

    Both start at 0 and step where a run of equal scores ends; in between they hold their value.
    """
    scores, truth = _descending(scores, truth)
    run_ends = torch.ones_like(truth)
    run_ends[..., :-1] = scores[..., 1:] != scores[..., :-1]
    hits, alarms = (
        exact((marked.cumsum(-1) * run_ends).cummax(-1).values) for marked in (truth, ~truth)
    )
    return pad(hits, (1, 0)), pad(alarms, (1, 0))


def _count(mask: Tensor) -> Tensor:
    return exact(mask.sum((-2, -1)))

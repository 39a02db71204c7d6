"""Summaries of scores: shares of images above, below or at a level."""

import torch
from torch import Tensor

from cameval._arrays import Scores, as_tensor
from cameval.errors import ArrayTypeError

__all__ = ["share_above", "share_below", "share_equal"]


def share_above(scores: Scores, threshold: float, /) -> float:
    """Share of the defined scores that are strictly above a threshold.

    Parameters
    ----------
    scores
        Scores of any shape. NaN means undefined and is left out; report ``isnan(scores).sum()``
        with the share.
    threshold
        Compared in the dtype of the scores.

    Returns
    -------
    float
        A share in [0, 1]; NaN if no score is defined.

    Raises
    ------
    ArrayTypeError
        If `scores` is not a floating array.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import share_above
    >>> share_above(torch.tensor([0.2, 0.5, 0.7, float("nan")]), 0.5)
    0.3333333333333333
    """
    defined = _defined_scores(scores)
    return _share(defined > threshold)


def share_below(scores: Scores, threshold: float, /) -> float:
    """Share of the defined scores that are strictly below a threshold.

    Parameters
    ----------
    scores
        Scores of any shape. NaN means undefined and is left out, as in `share_above`.
    threshold
        Compared in the dtype of the scores.

    Returns
    -------
    float
        A share in [0, 1]; NaN if no score is defined.

    Raises
    ------
    ArrayTypeError
        If `scores` is not a floating array.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import share_below
    >>> share_below(torch.tensor([0.0, 0.005, 0.01, float("nan")]), 0.01)
    0.6666666666666666
    """
    defined = _defined_scores(scores)
    return _share(defined < threshold)


def share_equal(scores: Scores, value: float, /) -> float:
    """Share of the defined scores that equal a value, for example of images with an IoU of 0.

    Parameters
    ----------
    scores
        Scores of any shape. NaN means undefined and is left out, as in `share_above`.
    value
        Compared in the dtype of the scores.

    Returns
    -------
    float
        A share in [0, 1]; NaN if no score is defined.

    Raises
    ------
    ArrayTypeError
        If `scores` is not a floating array.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import share_equal
    >>> share_equal(torch.tensor([0.0, 0.005, 0.0, float("nan")]), 0)
    0.6666666666666666
    """
    defined = _defined_scores(scores)
    return _share(defined == value)


def _defined_scores(scores: Scores) -> Tensor:
    tensor = as_tensor(scores, "scores")
    if not tensor.is_floating_point():
        raise ArrayTypeError(f"scores must be floating, got {tensor.dtype}")
    return tensor[~tensor.isnan()]


def _share(chosen: Tensor) -> float:
    return chosen.cpu().to(torch.float64).mean().item()

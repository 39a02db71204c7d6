"""Calls of metrics: of torch tensors or NumPy arrays, of a batch or image by image."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import as_numpy
from cameval.errors import CamevalError, NonFiniteError, ShapeError
from cameval.metrics import takes


def score_images(
    metric: Callable[..., object], name: str, given: Tensor, truth: Tensor
) -> NDArray[np.float64]:
    """Return the score of each image, ``(N,)``.

    A metric that returns a single number for a batch is called for each image by itself.

    Parameters
    ----------
    metric, name
        A metric of masks or maps, and its label.
    given
        Predicted masks or maps ``(N, H, W)``.
    truth
        True masks ``(N, H, W)``.

    Raises
    ------
    ShapeError
        If the metric does not return one score per image.
    NonFiniteError
        If a score is infinite.
    """
    scores = _call(metric, name, given, truth)
    numbers = _as_array(scores)
    if numbers is not None and numbers.ndim == 0:
        scores = [_call(metric, name, *pair) for pair in zip(given, truth, strict=True)]
    return check_scores(scores, name, len(given))


def check_scores(scores: object, name: str, count: int) -> NDArray[np.float64]:
    """Return the scores of a metric in float64, checked to be one for each image."""
    numbers = _as_array(scores)
    if numbers is None or numbers.shape != (count,):
        came = type(scores).__name__ if numbers is None else numbers.shape
        raise ShapeError(f"metric {name} must return one score per image, ({count},), got {came}")
    if np.isinf(numbers).any():
        raise NonFiniteError(
            f"metric {name} must return numbers, or NaN where it is undefined, got infinity"
        )
    return numbers


def _as_array(scores: object) -> NDArray[np.float64] | None:
    """Return scores in float64, whether they are a tensor, an array, a list or a number."""
    if isinstance(scores, Tensor):
        numbers: NDArray[np.float64] = scores.detach().cpu().double().numpy()
        return numbers
    if isinstance(scores, list | tuple):
        scores = [one.item() if isinstance(one, Tensor) else one for one in scores]
    if not isinstance(scores, np.ndarray | np.generic | float | int | list):
        return None
    try:
        return np.asarray(scores, np.float64)
    except (TypeError, ValueError):  # words, or rows of different lengths
        return None


def _call(metric: Callable[..., object], name: str, given: Tensor, truth: Tensor) -> object:
    """Call a metric with tensors or, if it cannot take these, with NumPy arrays."""
    try:
        return metric(given, truth)
    except CamevalError:
        raise
    except Exception as error:
        if isinstance(error, TypeError | AttributeError):
            try:
                return metric(as_numpy(given), as_numpy(truth))
            except Exception as again:
                error.add_note(f"called with NumPy arrays, the metric raised {again!r}")
        error.add_note(_note(metric, name, given))
        raise


def _note(metric: Any, name: str, given: Tensor) -> str:
    note = f"metric {name!r} was called with {given.dtype} {tuple(given.shape)} and true masks"
    if takes(metric) is None:
        note += (
            "; it does not say what it takes, so these are predicted masks: decorate a metric of "
            "maps with cameval.metrics.of_maps(higher_is_better=...)"
        )
    return note

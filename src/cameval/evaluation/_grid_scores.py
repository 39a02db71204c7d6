"""Scores of the maps of one grid: images or volumes, with or without pixels that are ignored.

What needs the pixels is computed here, for the maps of all sources together. What follows from
numbers of pixels is computed by `cameval.evaluation._batch` for the grids of a batch together.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import as_numpy, exact, extremes, unwritten
from cameval._memo import memo
from cameval._sorting import sorted_maps, sorts_by_image
from cameval._spatial import (
    binarize_kept,
    for_volumes,
    kept_pixels,
    read_property,
    with_sample_settings,
    without_ignored_pixels,
)
from cameval.data import Objects
from cameval.errors import CamevalError, NonFiniteError, ShapeError
from cameval.evaluation._independence import IndependenceChecks
from cameval.evaluation._plan import Plan
from cameval.evaluation._sources import Grid
from cameval.metrics import Counts, takes
from cameval.metrics._objects import without_ignored
from cameval.metrics.counts import count_true
from cameval.metrics.properties import truth_of


@dataclass(frozen=True, eq=False)
class GridScores:
    """What was found of m maps of a grid.

    Parameters
    ----------
    rows
        The row of the batch of each map, ``(m,)``.
    numbers
        Columns of `NUMBERS`, then predicted pixels and pixels of both masks for each binarizer,
        then scores by `Plan.scored_on_pixels`, ``(m, C)``, on the device of the maps.
    """

    rows: Tensor
    numbers: Tensor


NUMBERS = ("constant", "positive", "true", "pixels")
"""Whether a map is constant and has a positive value; true pixels, and pixels that count."""


def score_grid(
    plan: Plan, maps: Tensor, grid: Grid, checks: IndependenceChecks
) -> Iterator[GridScores]:
    """Yield the scores of maps ``(k, n, H, W)``, k of each of the n rows of a grid."""
    if grid.keep is None:
        rows = grid.rows.repeat(len(maps))
        with memo():
            found = _score(plan, _Whole(grid, len(maps)), maps.flatten(0, 1), checks)
        yield GridScores(rows, found)
        return
    for row, index in enumerate(grid.rows):
        with memo():
            found = _score(plan, _Kept(grid, row, len(maps)), maps[:, row], checks)
        yield GridScores(index.repeat(len(maps)), found)


class _Whole:
    """Rows of a grid of which every pixel counts, for `repeats` maps of each row."""

    def __init__(self, grid: Grid, repeats: int) -> None:
        self.grid = grid
        self.repeats = repeats
        self.all_truth = grid.truth.repeat(repeats, *[1] * grid.axes)
        self.truth = self.pixels(self.all_truth)

    def pixels(self, arrays: Tensor) -> Tensor:
        """Return arrays as images, whose pixels may be in any places."""
        return arrays if self.grid.axes == 2 else arrays.flatten(1, 2)

    def binarize(self, binarizer: Any, maps: Tensor) -> object:
        """Return masks of maps."""
        return _fit(binarizer, self.grid)(maps)

    def score(self, metric: Any, name: str, given: Tensor) -> Tensor:
        """Return the scores of masks or maps."""
        if truth_of(metric) == "objects":
            return score_images(metric, name, given, self.grid.objects * self.repeats)
        return score_images(_fit(metric, self.grid), name, given, self.all_truth)


class _Kept:
    """One row of a grid without the pixels that are ignored, for `repeats` maps of it."""

    def __init__(self, grid: Grid, row: int, repeats: int) -> None:
        assert grid.keep is not None
        self.grid = grid
        self.row = row
        self.repeats = repeats
        self.keep = grid.keep[row]
        self.all_truth = grid.truth[row].expand(repeats, *grid.truth.shape[1:])
        self.truth = self.pixels(self.all_truth)

    def pixels(self, arrays: Tensor) -> Tensor:
        """Return the pixels that count, as images."""
        return kept_pixels(arrays, self.keep)

    def binarize(self, binarizer: Any, maps: Tensor) -> object:
        """Return masks of maps, false where pixels are ignored."""
        return binarize_kept(_fit(binarizer, self.grid), maps, self.keep)

    def score(self, metric: Any, name: str, given: Tensor) -> Tensor:
        """Return the scores of masks or maps."""
        truth: Any = self.all_truth
        if truth_of(metric) == "objects":
            objects = without_ignored(self.grid.objects[self.row], as_numpy(~self.keep))
            fitted, truth = metric, [objects] * self.repeats
        else:
            fitted = _fit(metric, self.grid)
        fitted, shown, true = without_ignored_pixels(fitted, given, truth, self.keep)
        return score_images(fitted, name, shown, true)


def _fit(thing: Any, grid: Grid) -> Any:
    """Return a metric or binarizer with the settings of a grid."""
    if grid.axes == 2:
        return with_sample_settings(thing, spacing=grid.spacing, spatial_axes=2)
    return for_volumes(thing, spacing=cast(tuple[float, float, float] | None, grid.spacing))


def _score(plan: Plan, rows: _Whole | _Kept, maps: Tensor, checks: IndependenceChecks) -> Tensor:
    """Return the numbers and scores of maps, as `GridScores` has them."""
    truth, values = rows.truth, rows.pixels(maps)
    sorts = any(read_property(one, "sorts", False) for one in plan.binarizers.values())
    if sorts and plan.of_masks and not plan.of_maps and sorts_by_image(values):
        sorted_maps(values)  # once for all binarizers; metrics of maps sort with the truth
    scores = [rows.score(metric, name, maps) for name, metric in plan.of_maps.items()]
    _check_metrics(plan.of_maps, rows, maps, checks)
    true = count_true(truth)
    low, high = extremes(values)
    numbers = [low == high, high > 0, true, torch.full_like(true, truth.shape[-2:].numel())]
    for label, binarize in plan.binarizers.items() if plan.of_masks else ():
        with unwritten(f"binarizer {label}", maps, values):
            masks = _check_masks(rows.binarize(binarize, maps), label, maps)
        checks.check_binarizer(label, binarize, _fit(binarize, rows.grid), maps)
        counts = Counts.of(rows.pixels(masks), truth)
        numbers += [counts.predicted, counts.both]
        others = plan.of_mask_pixels.items()
        scores += [rows.score(metric, name, masks) for name, metric in others]
        _check_metrics(plan.of_mask_pixels, rows, masks, checks)
    like = exact(maps.new_empty(0))
    return torch.stack([column.to(like) for column in (*numbers, *scores)], 1)


def _check_masks(masks: object, name: str, maps: Tensor) -> Tensor:
    if isinstance(masks, Tensor) and masks.shape == maps.shape and masks.dtype == torch.bool:
        return masks
    came = (
        f"{masks.dtype} {tuple(masks.shape)}" if isinstance(masks, Tensor) else type(masks).__name__
    )
    raise ShapeError(
        f"binarizer {name} must return boolean masks of shape {tuple(maps.shape)}, got {came}"
    )


def _check_metrics(
    metrics: Mapping[str, Any], rows: _Whole | _Kept, given: Tensor, checks: IndependenceChecks
) -> None:
    """Check that the score of an image does not depend on the other images of a batch."""
    for name, metric in metrics.items():
        if truth_of(metric) != "objects":
            call = partial(score_images, _fit(metric, rows.grid), name)
            checks.check_metric(name, metric, call, given, rows.all_truth)


# --- Calls of a metric ----------------------------------------------------------------------------
def score_images(
    metric: Callable[..., object], name: str, given: Tensor, truth: Tensor | Sequence[Objects]
) -> Tensor:
    """Return the score of each image, ``(N,)``, where the metric has computed it.

    A metric that returns a single number for a batch is called for each image by itself.

    Parameters
    ----------
    metric, name
        A metric of masks or maps, and its label.
    given
        Predicted masks or maps ``(N, H, W)``.
    truth
        True masks ``(N, H, W)``, or the objects of each image.

    Raises
    ------
    ShapeError
        If the metric does not return one score per image.
    """
    scores = _call(metric, name, given, truth)
    if isinstance(scores, Tensor) and scores.shape == (len(given),):
        return scores.detach()
    numbers = _as_array(scores)
    if numbers is not None and numbers.ndim == 0:
        if isinstance(truth, Tensor):
            scores = [_call(metric, name, *pair) for pair in zip(given, truth, strict=True)]
        else:
            singles = [given[k : k + 1] for k in range(len(given))]
            each = zip(singles, truth, strict=True)
            scores = [_call(metric, name, one, [objects]) for one, objects in each]
    return torch.from_numpy(check_count(scores, name, len(given)))


def check_scores(scores: object, name: str, count: int) -> NDArray[np.float64]:
    """Return the scores of a metric in float64, checked to be one for each image, and finite.

    Raises
    ------
    ShapeError
        If they are not one for each image.
    NonFiniteError
        If a score is infinite.
    """
    numbers = check_count(scores, name, count)
    check_not_infinite(numbers, name)
    return numbers


def check_count(scores: object, name: str, count: int) -> NDArray[np.float64]:
    """Return the scores of a metric in float64, checked to be one for each image."""
    numbers = _as_array(scores)
    if numbers is None or numbers.shape != (count,):
        came = type(scores).__name__ if numbers is None else numbers.shape
        raise ShapeError(f"metric {name} must return one score per image, ({count},), got {came}")
    return numbers


def check_not_infinite(numbers: NDArray[np.float64], name: str) -> None:
    """Check that no score of a metric is infinite."""
    if np.isinf(numbers).any():
        raise NonFiniteError(
            f"metric {name} must return numbers, or NaN where it is undefined, got infinity"
        )


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


def _call(
    metric: Callable[..., object], name: str, given: Tensor, truth: Tensor | Sequence[Objects]
) -> object:
    """Call a metric with tensors or, if it cannot take these, with NumPy arrays."""
    shared = (given, truth) if isinstance(truth, Tensor) else (given,)
    try:
        with unwritten(f"metric {name}", *shared):
            return metric(given, truth)
    except CamevalError:
        raise
    except Exception as error:
        if isinstance(error, TypeError | AttributeError):
            try:
                arrays = as_numpy(truth).copy() if isinstance(truth, Tensor) else truth
                return metric(as_numpy(given).copy(), arrays)
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

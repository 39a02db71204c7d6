"""Scores of the maps of one grid: images or volumes, with or without pixels that are ignored."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import as_numpy
from cameval._spatial import (
    binarize_kept,
    for_volumes,
    kept_pixels,
    with_sample_settings,
    without_ignored_pixels,
)
from cameval.data import Objects
from cameval.errors import CamevalError, NonFiniteError, ShapeError
from cameval.evaluation._plan import Plan
from cameval.evaluation._sources import Grid
from cameval.evaluation.meaning import REASONS
from cameval.maps import are_constant
from cameval.metrics import Counts, takes
from cameval.metrics._objects import without_ignored
from cameval.metrics.properties import denominator, truth_of

Found = tuple[NDArray[np.float64], NDArray[np.uint8], NDArray[np.float64], NDArray[np.bool_]]
"""Values, reason codes and weights ``(n, K)``, and which maps are constant ``(n,)``."""


def score_grid(plan: Plan, maps: Tensor, grid: Grid) -> Found:
    """Return the scores of maps ``(n, H, W)`` on a grid."""
    if grid.keep is None:
        return _score(plan, _Whole(grid), maps)
    parts = [_score(plan, _Kept(grid, row), maps[row : row + 1]) for row in range(len(maps))]
    values, codes, weights, flat = (np.concatenate(each) for each in zip(*parts, strict=True))
    return values, codes, weights, flat


@dataclass(frozen=True, eq=False)
class _Whole:
    """Rows of a grid of which every pixel counts."""

    grid: Grid

    @property
    def truth(self) -> Tensor:
        """The true masks as lists of pixels."""
        return self.pixels(self.grid.truth)

    def pixels(self, arrays: Tensor) -> Tensor:
        """Return arrays as images, whose pixels may be in any places."""
        return arrays if self.grid.axes == 2 else arrays.flatten(1, 2)

    def fit(self, thing: Any) -> Any:
        """Return a metric or binarizer for this grid."""
        grid = self.grid
        if grid.axes == 2:
            return with_sample_settings(thing, spacing=grid.spacing, spatial_axes=2)
        spacing = cast(tuple[float, float, float] | None, grid.spacing)
        return for_volumes(thing, spacing=spacing)

    def binarize(self, binarizer: Any, maps: Tensor) -> object:
        """Return masks of maps."""
        return self.fit(binarizer)(maps)

    def score(self, metric: Any, name: str, given: Tensor) -> NDArray[np.float64]:
        """Return the scores of masks or maps."""
        if truth_of(metric) == "objects":
            return score_images(metric, name, given, self.grid.objects)
        return score_images(self.fit(metric), name, given, self.grid.truth)


@dataclass(frozen=True, eq=False)
class _Kept:
    """One row of a grid, without the pixels that are ignored."""

    grid: Grid
    row: int

    @property
    def keep(self) -> Tensor:
        """The pixels that count."""
        assert self.grid.keep is not None
        return self.grid.keep[self.row]

    @property
    def truth(self) -> Tensor:
        """The pixels of the true mask that count, as an image."""
        return self.pixels(self.grid.truth[self.row : self.row + 1])

    def pixels(self, arrays: Tensor) -> Tensor:
        """Return the pixels that count, as images."""
        return kept_pixels(arrays, self.keep)

    def binarize(self, binarizer: Any, maps: Tensor) -> object:
        """Return masks of maps, false where pixels are ignored."""
        return binarize_kept(_Whole(self.grid).fit(binarizer), maps, self.keep)

    def score(self, metric: Any, name: str, given: Tensor) -> NDArray[np.float64]:
        """Return the scores of masks or maps."""
        truth: Any = self.grid.truth[self.row : self.row + 1]
        if truth_of(metric) == "objects":
            fitted = metric
            truth = [without_ignored(self.grid.objects[self.row], as_numpy(~self.keep))]
        else:
            fitted = _Whole(self.grid).fit(metric)
        fitted, shown, true = without_ignored_pixels(fitted, given, truth, self.keep)
        return score_images(fitted, name, shown, true)


def _score(plan: Plan, rows: "_Whole | _Kept", maps: Tensor) -> Found:
    """Return the scores of maps, and the reason code of each."""
    count = len(maps)
    columns: list[NDArray[np.float64]] = []
    weights: list[NDArray[np.float64]] = []
    reasons: list[NDArray[np.intp]] = []
    undefined = REASONS.index("undefined")
    truth, values = rows.truth, rows.pixels(maps)
    none = np.full(count, np.nan)
    positive = values.amax((1, 2)).cpu().numpy() > 0
    for name, metric in plan.of_maps.items():
        columns.append(rows.score(metric, name, maps))
        weights.append(none)
        reasons.append(np.where(positive, undefined, REASONS.index("map without a positive value")))
    for label, binarize in plan.binarizers.items() if plan.of_masks else ():
        masks = _check_masks(rows.binarize(binarize, maps), label, maps)
        counts = Counts.of(rows.pixels(masks), truth)  # memoized for the metrics
        marked = counts.predicted.cpu().numpy() > 0
        for name, metric in plan.of_masks.items():
            columns.append(rows.score(metric, name, masks))
            below = denominator(metric)
            weights.append(none if below is None else below(counts).double().cpu().numpy())
            reasons.append(np.where(marked, undefined, REASONS.index("empty prediction")))
    flat = are_constant(values).cpu().numpy()
    if not columns:
        empty = np.empty((count, 0))
        return empty, np.empty((count, 0), np.uint8), empty, flat
    scores = np.stack(columns, 1)
    of_truth = _reason_in_truth(truth)[:, None]
    why = np.where(of_truth > 0, of_truth, np.stack(reasons, 1))
    codes = np.where(np.isnan(scores), why, 0).astype(np.uint8)
    return scores, codes, np.stack(weights, 1), flat


def _reason_in_truth(truth: Tensor) -> NDArray[np.intp]:
    """Return the reason code that the truth gives, which precedes all others; 0 if none."""
    counts = Counts.of(truth, truth)
    empty, full = (counts.true == 0).cpu().numpy(), (counts.true == counts.pixels).cpu().numpy()
    return np.select(
        [empty, full], [REASONS.index("empty truth"), REASONS.index("truth is everything")], 0
    )


def _check_masks(masks: object, name: str, maps: Tensor) -> Tensor:
    if isinstance(masks, Tensor) and masks.shape == maps.shape and masks.dtype == torch.bool:
        return masks
    came = (
        f"{masks.dtype} {tuple(masks.shape)}" if isinstance(masks, Tensor) else type(masks).__name__
    )
    raise ShapeError(
        f"binarizer {name} must return boolean masks of shape {tuple(maps.shape)}, got {came}"
    )


# --- Calls of a metric ----------------------------------------------------------------------------
def score_images(
    metric: Callable[..., object], name: str, given: Tensor, truth: Tensor | Sequence[Objects]
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
        True masks ``(N, H, W)``, or the objects of each image.

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
        if isinstance(truth, Tensor):
            scores = [_call(metric, name, *pair) for pair in zip(given, truth, strict=True)]
        else:
            singles = [given[k : k + 1] for k in range(len(given))]
            each = zip(singles, truth, strict=True)
            scores = [_call(metric, name, one, [objects]) for one, objects in each]
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


def _call(
    metric: Callable[..., object], name: str, given: Tensor, truth: Tensor | Sequence[Objects]
) -> object:
    """Call a metric with tensors or, if it cannot take these, with NumPy arrays."""
    try:
        return metric(given, truth)
    except CamevalError:
        raise
    except Exception as error:
        if isinstance(error, TypeError | AttributeError):
            try:
                arrays = as_numpy(truth) if isinstance(truth, Tensor) else truth
                return metric(as_numpy(given), arrays)
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

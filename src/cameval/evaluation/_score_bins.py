"""Scores of many images in two-dimensional bins, and the means of each column of bins."""

from dataclasses import dataclass
from math import ceil, floor, log10

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation._score_axis import axis_ends
from cameval.evaluation._scores import clip_to_range

MOST_DOTS = 1000
"""Above this number of images scores are drawn in bins, not as dots."""


MOST_BINS = 20
"""The most bins along an axis."""


LEAST_IN_COLUMN = 5
"""A column of fewer images has no mean."""


@dataclass(frozen=True, eq=False)
class ScoreBins:
    """Counts of images by a quantity and their score.

    Parameters
    ----------
    x_edges, y_edges
        Ends of the bins, of the quantity and of the score.
    counts
        How many images are in each bin, ``(columns, rows)``.
    column
        The column of each image.
    """

    x_edges: NDArray[np.float64]
    y_edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    column: NDArray[np.intp]

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of the values of each column; NaN of fewer than five that are defined.

        Parameters
        ----------
        values
            One of each image ``(n,)``; NaN is left out.
        """
        known = np.isfinite(values)
        columns = len(self.x_edges) - 1
        counts = np.bincount(self.column[known], minlength=columns)
        sums = np.bincount(self.column[known], weights=values[known], minlength=columns)
        means = np.full(columns, np.nan)
        enough = counts >= LEAST_IN_COLUMN
        means[enough] = sums[enough] / counts[enough]
        return means


def score_bins(
    x: NDArray[np.float64],
    scores: NDArray[np.float64],
    value_range: tuple[float, float] | None,
    *,
    log: bool,
) -> ScoreBins:
    """Return the bins of images: columns of equal width, on a log scale if `log`.

    Parameters
    ----------
    x, scores
        The quantity and the score of each image ``(n,)``, finite; `x` is positive if `log`.
    value_range
        The range of the score, if it is known. Where it is finite, the axis of the scores (see
        `axis_ends`) is divided evenly.
    log
        Whether columns are of equal width in the logarithm.
    """
    scores, ends = clip_to_range(scores, value_range)
    x_edges = _log_edges(x) if log else _round_edges(x)
    if ends is not None and np.isfinite(ends).all():
        y_edges = np.linspace(*axis_ends(scores.tolist(), ends), MOST_BINS + 1)
    else:
        y_edges = _round_edges(scores)
    column = _bin_of(x, x_edges)
    counts = np.zeros((len(x_edges) - 1, len(y_edges) - 1), np.int64)
    np.add.at(counts, (column, _bin_of(scores, y_edges)), 1)
    return ScoreBins(x_edges, y_edges, counts, column)


def _bin_of(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the bin of each value; the last includes its upper end."""
    at: NDArray[np.intp] = np.searchsorted(edges, values, side="right") - 1
    return at.clip(0, len(edges) - 2)


def _log_edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends of bins from the least to the largest value."""
    low, high = float(values.min()), float(values.max())
    if high <= low * (1 + 1e-6):
        return np.array([low / 1.1, high * 1.1])
    edges: NDArray[np.float64] = np.geomspace(low, high, MOST_BINS + 1)
    edges[[0, -1]] = low, high
    return edges


def _round_edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ends of bins at round numbers, as multiples of 0.05."""
    low, high = float(values.min()), float(values.max())
    if high - low <= max(1e-9 * max(abs(low), abs(high)), 1e-300):
        half = 0.05 * (abs(low) or 1.0)
        return np.array([low - half, low + half])
    least = (high - low) / (MOST_BINS - 1)
    power = 10.0 ** floor(log10(least))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= least * (1 - 1e-9))
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    return np.arange(first, last + 1, dtype=np.float64) * step

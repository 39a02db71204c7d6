"""The ends of an axis of scores, and round numbers at it."""

from collections.abc import Iterable
from math import ceil, floor, isfinite, log10

import numpy as np

MOST_STEPS = 8
"""An axis ends after at most so many round steps."""

MARGIN = 0.03
"""Share of what is drawn that is left free beyond it."""


def axis_ends(
    numbers: Iterable[float], value_range: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Return the ends of an axis that shows 0 and all that is drawn, at round numbers.

    Parameters
    ----------
    numbers
        What is drawn: scores, ends of intervals, bounds. NaN and infinity do not count.
    value_range
        The range of the score, if it is known. The axis stays in it if all numbers do, and is all
        of it if there is nothing but 0.

    Examples
    --------
    >>> from cameval.evaluation._score_axis import axis_ends
    >>> axis_ends([0.12, 0.31], (0, 1)), axis_ends([0.12, 0.97], (0, 1))
    ((0.0, 0.35), (0.0, 1.0))
    >>> axis_ends([-0.04, 0.2], (-1, 1)), axis_ends([])
    ((-0.05, 0.25), (0.0, 1.0))
    """
    drawn = [0.0, *(float(one) for one in numbers if isfinite(one))]
    first, last = min(drawn), max(drawn)
    known = value_range if value_range is not None else (-np.inf, np.inf)
    if last - first < 1e-9:  # nothing but 0
        return (float(known[0]), float(known[1])) if all(map(isfinite, known)) else (0.0, 1.0)
    margin = MARGIN * (last - first)
    low = first - margin if first < 0 else first
    high = last + margin if last > 0 else last
    for step in _steps(high - low):
        below, above = floor(low / step + 1e-9), ceil(high / step - 1e-9)
        if above - below <= MOST_STEPS:
            low, high = round(below * step, 12), round(above * step, 12)
            break
    if known[0] <= first and last <= known[1]:
        low, high = max(low, float(known[0])), min(high, float(known[1]))
    return low, high


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers at an axis, at equal steps; `most` is the largest number of steps.

    Examples
    --------
    >>> from cameval.evaluation._score_axis import round_ticks
    >>> round_ticks(0, 1), round_ticks(0, 0.35)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 0.1, 0.2, 0.3])
    """
    step = next(one for one in _steps(high - low) if (high - low) / one <= most + 1e-9)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def _steps(span: float) -> list[float]:
    """Return steps of 1, 2 or 5 times a power of ten, the smallest first."""
    power = floor(log10(span))
    return [part * 10.0**k for k in range(power - 2, power + 2) for part in (1, 2, 5)]

"""Whether the two best methods are in another order with another binarizer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cameval.evaluation import Column
from cameval.evaluation._contents import Contents
from cameval.evaluation._scores import Scores

_LEAST = 0.1
"""A smaller difference, as a share of the mean of the best method, is not called large."""


@dataclass(frozen=True)
class OtherOrder:
    """The means of the two best methods with another binarizer than that of the best map.

    Parameters
    ----------
    binarizer
        The other binarizer.
    first, second
        The method of the best map, and the best of the others, each with its own best binarizer.
    first_mean, second_mean
        Their means with the other binarizer.
    is_reversed
        Whether the second is the better one there; otherwise the difference is less than half.
    """

    binarizer: str
    first: str
    second: str
    first_mean: float
    second_mean: float
    is_reversed: bool


def other_order(
    model: str, column: Column, contents: Contents, scores: Scores, *, higher_is_better: bool
) -> OtherOrder | None:
    """Return a binarizer with which the two best methods differ in another way, if there is one.

    Nothing is returned where the binarizer of each map was chosen for it, as then no method has
    the binarizer that suits another.
    """
    known = contents.binarizers.get(column.binarizer)
    if known is None or known.origin is not None:
        return None
    sign = 1 if higher_is_better else -1
    binarizers = [label for label, one in contents.binarizers.items() if one.origin is None]
    means: dict[str, dict[str, float]] = {}
    for method in contents.methods:
        for label in binarizers:
            score = scores.get(model, replace(column, method=method, binarizer=label))
            if score is not None and score.mean == score.mean:
                means.setdefault(method, {})[label] = sign * score.mean
    ours = means.pop(column.method, {})
    if column.binarizer not in ours or not means:
        return None
    second = max(means, key=lambda method: max(means[method].values()))
    theirs = means[second]
    if column.binarizer not in theirs:
        return None
    there = [label for label in theirs if label in ours and label != column.binarizer]
    here = ours[column.binarizer] - theirs[column.binarizer]
    found = _reversed(there, ours, theirs, here) or _smaller(there, ours, theirs, column, here)
    if found is None:
        return None
    first_mean, second_mean = sign * ours[found], sign * theirs[found]
    is_reversed = theirs[found] > ours[found]
    return OtherOrder(found, column.method, second, first_mean, second_mean, is_reversed)


def _reversed(
    there: Sequence[str], ours: dict[str, float], theirs: dict[str, float], here: float
) -> str | None:
    """Return the binarizer of the best mean with which the second method is better."""
    found = [label for label in there if here > 0 and theirs[label] > ours[label]]
    return max(found, key=theirs.__getitem__, default=None)


def _smaller(
    there: Sequence[str],
    ours: dict[str, float],
    theirs: dict[str, float],
    column: Column,
    here: float,
) -> str | None:
    """Return the best binarizer of the second method if a large difference is halved there."""
    best = max(there, key=theirs.__getitem__, default=None)
    if best is None or theirs[best] <= theirs[column.binarizer]:
        return None
    is_large = here > _LEAST * abs(ours[column.binarizer])
    return best if is_large and ours[best] - theirs[best] < here / 2 else None

"""Whether predictions are right in another order of the classes: exchanged, or counted from 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log, perm

import numpy as np
from numpy.typing import NDArray

from cameval._checks import warn_user
from cameval.data import ClassOrderWarning
from cameval.evaluation._numbers import format_percent, plain_spaces
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._scores import Images, images_by_model
from cameval.evaluation._words import one_line

_LEAST_IMAGES = 10
"""Of fewer images no order is looked for."""

_LEVEL = 0.05
"""The level of the test of a cycle, divided by the number of cycles that are as long."""

_MOST_NAMED = 4
"""The most classes of which the sentence has the names."""


@dataclass(frozen=True)
class OtherOrder:
    """An order of the classes in which far more predictions are right.

    Parameters
    ----------
    cycles
        Labels that are predicted as the next one, the last of each cycle as its first.
    given, other
        The share of right predictions in the given order, and in the other one.
    shift
        By how much all labels are higher than the predictions; 0 where classes are in cycles.
    """

    cycles: tuple[tuple[int, ...], ...]
    given: float
    other: float
    shift: int = 0

    def describe(self, class_names: Sequence[str], of_model: str = "") -> str:
        """Return what would be right, as a sentence that asks to check the order."""

        def name(label: int) -> str:
            known = 0 <= label < len(class_names)
            return one_line(class_names[label], 40) if known else f"class {label}"

        check = "check the order of the classes"
        count = sum(map(len, self.cycles))
        if self.shift:
            order = f"labels that are one {'lower' if self.shift > 0 else 'higher'}"
            check = "check whether the labels count from 0"
        elif count > _MOST_NAMED:
            order = f"{count:,} classes in another order"
        elif all(len(cycle) == 2 for cycle in self.cycles):
            pairs = [f"{name(first)} and {name(second)}" for first, second in self.cycles]
            order = f"{', and '.join(pairs)} exchanged"
        else:
            (cycle,) = self.cycles  # of at most four classes, one cycle is longer than two
            order = f"{', '.join(map(name, cycle[:-1]))} and {name(cycle[-1])} in another order"
        return (
            f"With {order} {format_percent(self.other)} would be right{of_model}, not "
            f"{format_percent(self.given)}: {check}."
        )


def other_order(images: Images) -> OtherOrder | None:
    """Return the order of the classes in which far more predictions of a model are right.

    A class is exchanged for another if more than half of the images with its label are predicted
    as that other class. Classes that are exchanged for one another are a cycle: two, or more. A
    cycle is told if the one-sided sign test over groups, whose images are more often right in the
    one order than in the other, has p below .05 divided by the number of cycles of that length, as
    the cycle is chosen by the same predictions. There is none of fewer than ten images, and none in
    a task with several labels.
    """
    if images.is_multilabel or not images.has_accuracy:
        return None
    known = images.rated
    if known.sum() < _LEAST_IMAGES:
        return None
    labels = images.labels[known]
    predicted = images.samples["predicted"].fillna(-1).to_numpy(np.int64)[known]
    _, groups = np.unique(images.groups[known], return_inverse=True)
    classes = len(np.unique(labels))
    cycles = tuple(
        cycle
        for cycle in _cycles(labels, predicted)
        if _is_shown(
            _gains(_expected([cycle], labels), labels, predicted, groups),
            perm(classes, len(cycle)) // len(cycle),
        )
    )
    shift = 0 if cycles else _shift(labels, predicted, groups)
    if not cycles and not shift:
        return None
    expected = _expected(cycles, labels) - shift
    given, other = (labels == predicted).mean(), (expected == predicted).mean()
    return OtherOrder(cycles, float(given), float(other), shift)


def _cycles(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> list[tuple[int, ...]]:
    """Return the cycles of two classes or more, from each class to the one most predicted for it.

    A class that is predicted for half of its images or fewer has none.
    """
    following = {}
    for label in np.unique(labels):
        values, counts = np.unique(predicted[labels == label], return_counts=True)
        if 2 * counts.max() > counts.sum():
            following[int(label)] = int(values[counts.argmax()])
    found, seen = [], set[int]()
    for start in following:
        path = [start]
        while path[-1] in following and following[path[-1]] not in (*path, *seen):
            path.append(following[path[-1]])
        if following.get(path[-1]) == start and len(path) > 1:
            found.append(tuple(path))
            seen.update(path)
    return found


def _expected(cycles: Sequence[Sequence[int]], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the prediction that is right for each label in the other order."""
    expected = labels.copy()
    for cycle in cycles:
        for label, following in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            expected[labels == label] = following
    return expected


def _shift(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], groups: NDArray[np.intp]
) -> int:
    """Return by how much the labels are too high, which is 1 or -1; 0 if they are not."""
    kinds, at = np.unique(labels, return_inverse=True)
    for shift in (1, -1):
        shares = np.bincount(at, weights=labels - shift == predicted) / np.bincount(at)
        moved = int((shares > 0.5).sum())
        if moved >= max(3, len(kinds) // 2 + 1) and _is_shown(
            _gains(labels - shift, labels, predicted, groups), 2
        ):
            return shift
    return 0


def _gains(
    expected: NDArray[np.int64],
    labels: NDArray[np.int64],
    predicted: NDArray[np.int64],
    groups: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Return how many more images of each group are right in the other order."""
    right = 1.0 * (expected == predicted) - (labels == predicted)
    return np.bincount(groups, weights=right).astype(np.float64)


def _is_shown(gains: NDArray[np.float64], count: int) -> bool:
    """Tell whether more groups gain than could by chance, in the best of `count` orders."""
    from scipy.special import bdtrc

    more, fewer = int((gains > 0).sum()), int((gains < 0).sum())
    if more == 0:
        return False
    p = float(bdtrc(more - 1, more + fewer, 0.5))
    return (log(p) if p > 0 else -inf) + log(count) < log(_LEVEL)


def warn_of_class_order(results: ScoreTable) -> None:
    """Warn if the predictions of a model are right in another order of the classes."""
    for images in images_by_model(results).values():
        if (found := other_order(images)) is not None:
            text = plain_spaces(found.describe(results.class_names))
            warn_user(
                f"{text} Labels are counted from 0 in the order of the network's outputs, and "
                "class_names= has the same order",
                ClassOrderWarning,
            )

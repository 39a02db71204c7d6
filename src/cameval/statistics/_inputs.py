"""Inputs of the statistics: numbers with NaN for undefined, labels and groups."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError

Floats: TypeAlias = NDArray[np.float64]


Values: TypeAlias = NDArray[Any] | Tensor | Sequence[float]


Labels: TypeAlias = NDArray[Any] | Tensor | Sequence[object]


@dataclass(frozen=True)
class Groups:
    """The group of each value as an index. Groups of one stratum have consecutive indices.

    Attributes
    ----------
    of_value
        Index of each value's group, ``(N,)``.
    stratum
        Index of each group's stratum, ascending, ``(G,)``.
    n_strata
        Number of strata.
    """

    of_value: NDArray[np.intp]
    stratum: NDArray[np.intp]
    n_strata: int

    @classmethod
    def of(cls, groups: NDArray[Any], strata: Labels | None = None) -> "Groups":
        """Return the groups, numbered in the order of stratum and name."""
        names, group = np.unique(groups, return_inverse=True)
        if strata is None:
            return cls(group, np.zeros(names.size, np.intp), 1)
        labels = as_labels(strata, "strata")
        check_aligned(("strata", labels), ("groups", groups))
        classes, stratum = np.unique(labels, return_inverse=True)
        first, last = np.full(names.size, classes.size), np.zeros(names.size, np.intp)
        np.minimum.at(first, group, stratum)
        np.maximum.at(last, group, stratum)
        if (split := np.flatnonzero(first != last)).size:
            one = split[0]
            raise SettingError(
                f"each group must lie in one stratum, got group {names[one]!r} in "
                f"{classes[first[one]]!r} and {classes[last[one]]!r}; resample without strata"
            )
        order = np.argsort(last, kind="stable")
        return cls(np.argsort(order)[group], last[order], classes.size)

    def sums_of_rows(self, rows: Floats) -> Floats:
        """Sum each row of ``(K, N)`` over the images of each group, ``(K, G)``."""
        order = np.argsort(self.of_value, kind="stable")
        starts = np.searchsorted(self.of_value[order], np.arange(self.stratum.size))
        sums: Floats = np.add.reduceat(np.ascontiguousarray(rows[:, order]), starts, axis=1)
        return sums

    def sums(self, weights: NDArray[Any], of_rows: NDArray[Any]) -> tuple[Floats, Floats]:
        """Sum and count `weights` over the groups of the rows `of_rows`."""
        group, n_groups = self.of_value[of_rows], self.stratum.size
        sums: Floats = np.bincount(group, weights=weights, minlength=n_groups).astype(np.float64)
        return sums, np.bincount(group, minlength=n_groups).astype(np.float64)


def as_numbers(values: Values, name: str = "values") -> Floats:
    """Return real numbers, finite or NaN, in float64."""
    array = _as_numpy(values)
    if array.size and array.dtype.kind not in "biuf":
        raise ArrayTypeError(
            f"{name} must be real numbers, NaN where undefined, got dtype {array.dtype}"
        )
    numbers: Floats = array.astype(np.float64)
    if np.isinf(numbers).any():
        raise NonFiniteError(f"{name} must be finite or NaN, got infinity")
    return numbers


def as_labels(labels: Labels, name: str = "groups") -> NDArray[Any]:
    """Return labels as an array and check that none is missing."""
    array = _as_numpy(labels)
    missing = array != array if array.dtype.kind in "fcOM" else np.zeros(0, bool)
    if array.dtype.kind == "O":
        missing = missing | np.array([label is None for label in array.ravel()], bool)
    if array.dtype.kind == "U" and isinstance(labels, list | tuple):  # NaN is then a text
        missing = np.array([isinstance(label, float) and label != label for label in labels], bool)
    if np.any(missing):
        raise NonFiniteError(
            f"{name} must all be known, got {int(np.sum(missing))} missing; label or drop them"
        )
    return array


def check_aligned(*named: tuple[str, NDArray[Any]]) -> None:
    """Check that the arrays have one shape ``(N,)`` with at least one value."""
    shapes = [array.shape for _, array in named]
    if len(shapes[0]) != 1 or 0 in shapes[0] or len(set(shapes)) > 1:
        raise ShapeError(
            f"{_join_words(name for name, _ in named)} must have one shape (N,) with at least one "
            f"value, got {_join_words(str(shape) for shape in shapes)}"
        )


def check_confidence(confidence: float) -> None:
    """Check that the confidence of an interval is a share."""
    if not 0 < confidence < 1:
        raise SettingError(f"confidence must be in (0, 1), got {confidence}")


def mean_or_nan(values: Floats) -> float:
    """Return the mean; NaN without a value."""
    return float(values.mean()) if values.size else float("nan")


def _join_words(words: Iterable[str]) -> str:
    *head, last = words
    return f"{', '.join(head)} and {last}" if head else str(last)


def _as_numpy(array: object) -> NDArray[Any]:
    if isinstance(array, Tensor):
        values = array.detach().cpu()
        return (values.double() if values.is_floating_point() else values).numpy()
    return np.asarray(array)

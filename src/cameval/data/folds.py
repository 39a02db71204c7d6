"""Folds for cross-validation, by group and by sample; a fold says if a group leaks.

Needs scikit-learn, as in the extra ``study``: ``pip install '.[study]'`` in a checkout.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cameval._extras import needed_by
from cameval.errors import DataError

__all__ = ["Fold", "LeakError", "folds_by_group", "folds_by_sample"]

Indices = NDArray[np.intp]


class LeakError(DataError):
    """A sample, or a group such as a patient, is in two parts of a fold."""


@dataclass(frozen=True, eq=False)
class Fold:
    """The samples of one fold, as indices.

    Parameters
    ----------
    number
        Its number, from 0.
    train, validation, test
        Indices of samples. Without validation samples nothing can be chosen before the test.
    groups
        The group of every sample, such as the patient.
    leaking
        Whether a group may be in several parts, as in folds by sample.

    Raises
    ------
    DataError
        If there are no samples to train or to test.
    LeakError
        If a sample is in two parts, or a group is and `leaking` does not allow it.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.data import Fold
    >>> train, validation, test = np.array([0, 1]), np.array([2]), np.array([3])
    >>> Fold(0, train, validation, test, np.array(["a", "a", "b", "c"])).shared
    []
    """

    number: int
    train: Indices
    validation: Indices
    test: Indices
    groups: NDArray[np.str_]
    leaking: bool = False

    def __post_init__(self) -> None:
        for name, part in (("train", self.train), ("test", self.test)):
            if not len(part):
                raise DataError(f"fold {self.number} must have samples to {name}, got none")
        every = np.concatenate([self.train, self.validation, self.test])
        if len(np.unique(every)) < len(every):
            raise LeakError(f"a sample must be in one part of fold {self.number}, got some in two")
        if self.shared and not self.leaking:
            raise LeakError(
                f"a group must be in one part of fold {self.number}, got {len(self.shared)} in "
                f"several, the first {self.shared[0]!r}"
            )

    @property
    def shared(self) -> list[str]:
        """The groups that are in more than one part."""
        parts = (self.train, self.validation, self.test)
        a, b, c = (set(self.groups[part].tolist()) for part in parts)
        return sorted((a & b) | (a & c) | (b & c))


def folds_by_group(
    labels: ArrayLike,
    groups: ArrayLike,
    count: int = 5,
    *,
    seed: int = 0,
    published: ArrayLike | None = None,
) -> list[Fold]:
    """Divide samples into folds that keep groups together, each with a validation part.

    Fold k is tested on part k and validated on part k + 1; the other parts train. The parts are
    stratified by class as far as the groups allow.

    Parameters
    ----------
    labels
        The class of each sample.
    groups
        The group of each sample, such as the patient.
    count
        Number of folds, at least 3.
    seed
        Of the order of the groups.
    published
        The part of each sample, from 0, as a data set publishes it. It is used if it has `count`
        parts and keeps groups together.

    Raises
    ------
    DataError
        If there are too few samples or groups, or a class is missing from the training part.
    MissingPackageError
        If scikit-learn is not installed.

    Examples
    --------
    >>> from cameval.data import folds_by_group
    >>> folds = folds_by_group([0, 1] * 6, list("aabbccddeeff"), count=3)
    >>> [len(fold.train) + len(fold.validation) + len(fold.test) for fold in folds]
    [12, 12, 12]
    """
    with needed_by("folds need"):
        from sklearn.model_selection import StratifiedGroupKFold

    y, names = np.asarray(labels), np.asarray(groups, dtype=str)
    parts = None if published is None else np.asarray(published)
    if parts is None or set(parts.tolist()) != set(range(count)) or _tears(names, parts):
        kind = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        parts = _numbered(len(y), kind.split(y, y, names))
    return _folds(y, names, parts, count, validate=True)


def folds_by_sample(
    labels: ArrayLike,
    groups: ArrayLike,
    count: int = 5,
    *,
    seed: int | None = 0,
    order: ArrayLike | None = None,
    stratified: bool = True,
) -> list[Fold]:
    """Divide samples into folds regardless of their groups, so that groups leak.

    Each fold tests one part and trains on all others. Scores of such folds are those of a network
    that has seen the groups, such as the patients, that it is tested on.

    Parameters
    ----------
    labels, groups, count
        As of `folds_by_group`.
    seed
        Of the random order; None divides the samples in the order given.
    order
        The indices of the samples in the order in which they are divided.
    stratified
        Whether each fold has its share of every class.

    Raises
    ------
    DataError, MissingPackageError
        As of `folds_by_group`.

    Examples
    --------
    >>> from cameval.data import folds_by_sample
    >>> folds = folds_by_sample([0, 1] * 6, list("aabbccddeeff"), count=3)
    >>> folds[0].leaking, len(folds[0].test)
    (True, 4)
    """
    with needed_by("folds need"):
        from sklearn.model_selection import KFold, StratifiedKFold

    y, names = np.asarray(labels), np.asarray(groups, dtype=str)
    arranged = np.arange(len(y)) if order is None else np.asarray(order)
    kind = (StratifiedKFold if stratified else KFold)(
        count, shuffle=seed is not None, random_state=seed
    )
    parts = np.empty(len(y), dtype=np.intp)
    parts[arranged] = _numbered(len(y), kind.split(arranged, y[arranged]))
    return _folds(y, names, parts, count, validate=False)


def _folds(
    labels: NDArray[Any], groups: NDArray[np.str_], parts: Indices, count: int, *, validate: bool
) -> list[Fold]:
    folds = []
    for number in range(count):
        test = parts == number
        validation = (parts == (number + 1) % count) & validate
        train = ~test & ~validation
        missing = set(labels.tolist()) - set(labels[train].tolist())
        if missing or not test.any():
            raise DataError(
                "every fold must have samples, and every class samples to train on, got none for "
                f"fold {number}; use fewer folds or more samples"
            )
        indices = [np.flatnonzero(part) for part in (train, validation, test)]
        folds.append(Fold(number, indices[0], indices[1], indices[2], groups, not validate))
    return folds


def _numbered(count: int, parts: Iterator[tuple[Indices, Indices]]) -> Indices:
    """Return the part of each sample."""
    numbers = np.empty(count, dtype=np.intp)
    try:
        for number, (_, test) in enumerate(parts):
            numbers[test] = number
    except ValueError as error:
        raise DataError(
            f"there must be enough samples of each class, and groups, for the folds, got: {error}"
        ) from error
    return numbers


def _tears(groups: NDArray[np.str_], parts: NDArray[Any]) -> bool:
    """Tell whether a group is in two parts."""
    pairs = set(zip(groups.tolist(), parts.tolist(), strict=True))
    return len(pairs) > len(set(groups.tolist()))

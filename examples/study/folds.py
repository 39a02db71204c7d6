"""Who is trained on, who is validated on, who is tested on.

A `Split` cannot be made with a patient in two of its parts unless it says that it leaks. What
trains takes its slices from ``split.train`` and ``split.validation``, what tests from
``split.test``; no other indices are passed.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

from cameval.errors import DataError
from study.settings import FoldOrder
from study.slices import Slices

Indices = NDArray[np.intp]


class LeakError(DataError):
    """A patient is on both sides of a split."""


@dataclass(frozen=True, eq=False)
class Split:
    """The slices of one fold, by their indices.

    Parameters
    ----------
    fold
        Its number.
    train, validation, test
        Indices of slices. Without validation slices nothing can be chosen before the test.
    patients
        The patient of every slice of the study.
    leaking
        Whether a patient may be in several parts: the paper's split by slices.

    Raises
    ------
    LeakError
        If a slice is in two parts, or a patient is and `leaking` does not allow it.
    """

    fold: int
    train: Indices
    validation: Indices
    test: Indices
    patients: NDArray[np.str_]
    leaking: bool = False

    def __post_init__(self) -> None:
        """Check that the parts are apart."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        for name, part in parts.items():
            if len(part) == 0 and name != "validation":
                raise DataError(f"fold {self.fold} must have slices to {name}, got none")
        together = np.concatenate(list(parts.values()))
        if len(set(together.tolist())) < len(together):
            raise LeakError(f"a slice must be in one part of fold {self.fold}, got some in two")
        if self.shared and not self.leaking:
            raise LeakError(
                f"a patient must be in one part of fold {self.fold}, got {len(self.shared)} in "
                f"several, the first {self.shared[0]!r}"
            )

    @property
    def shared(self) -> list[str]:
        """The patients who are in more than one part."""
        of = [
            set(self.patients[part].tolist()) for part in (self.train, self.validation, self.test)
        ]
        return sorted((of[0] & of[1]) | (of[0] & of[2]) | (of[1] & of[2]))


def splits_by_patient(slices: Slices, count: int, seed: int) -> list[Split]:
    """Split by patient: each fold is tested once, validated on once, and trained on otherwise.

    The folds are the data set's own where it has as many and they keep patients apart.
    """
    folds = slices.published_folds
    if folds is None or set(folds.tolist()) != set(range(count)) or _torn(slices, folds):
        parts = StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(
            slices.labels, slices.labels, slices.patients
        )
        folds = _fold_of_each(len(slices), parts)
    _check_classes(slices, folds, count, left_out=2)
    return [
        Split(
            fold,
            np.flatnonzero((folds != fold) & (folds != (fold + 1) % count)),
            np.flatnonzero(folds == (fold + 1) % count),
            np.flatnonzero(folds == fold),
            slices.patients,
        )
        for fold in range(count)
    ]


def splits_by_slice(
    slices: Slices, count: int, order: FoldOrder, seed: int, *, stratified: bool = True
) -> list[Split]:
    """Split by slices, whoever they are of: the networks have seen the patients.

    The paper gives the sizes of its folds and no more. `stratified` folds have each its share of
    every class; others have what the order gives them. The order is shuffled; by the numbers of the
    files; or by their names as words, in which 10 comes before 2.
    """
    arranged = np.arange(len(slices))
    if order == "lexicographic":
        arranged = np.argsort(np.array(slices.names), kind="stable")
    shuffled = order == "shuffled"
    kind = StratifiedKFold if stratified else KFold
    parts = kind(count, shuffle=shuffled, random_state=seed if shuffled else None).split(
        arranged, slices.labels[arranged]
    )
    folds = np.empty(len(slices), dtype=np.intp)
    folds[arranged] = _fold_of_each(len(slices), parts)
    _check_classes(slices, folds, count, left_out=1)
    nobody = np.array([], dtype=np.intp)
    return [
        Split(
            fold,
            np.flatnonzero(folds != fold),
            nobody,
            np.flatnonzero(folds == fold),
            slices.patients,
            leaking=True,
        )
        for fold in range(count)
    ]


def _fold_of_each(count: int, parts: Iterator[tuple[Indices, Indices]]) -> Indices:
    folds = np.empty(count, dtype=np.intp)
    try:
        for fold, (_, test) in enumerate(parts):
            folds[test] = fold
    except ValueError as error:
        raise DataError(
            f"there must be enough slices of each class, and patients, for the folds, got: {error}"
        ) from error
    return folds


def _torn(slices: Slices, folds: Indices) -> bool:
    """Tell whether a patient is in two folds."""
    pairs = set(zip(slices.patients.tolist(), folds.tolist(), strict=True))
    return len(pairs) > len(set(slices.patients.tolist()))


def _check_classes(slices: Slices, folds: Indices, count: int, left_out: int) -> None:
    for fold in range(count):
        outside = (folds != fold) & ((left_out == 1) | (folds != (fold + 1) % count))
        missing = set(range(len(slices.class_names))) - set(slices.labels[outside].tolist())
        if missing or not (folds == fold).any():
            raise DataError(
                f"every fold must have slices, and every class slices to train on, got none for "
                f"fold {fold}; use fewer folds or more slices"
            )

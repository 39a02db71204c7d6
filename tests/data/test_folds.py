"""Folds keep groups together, or say that they do not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameval.data import Fold, LeakError, folds_by_group, folds_by_sample
from cameval.errors import DataError

GROUPS = np.array([str(100 + i // 2) for i in range(60)])
LABELS = np.arange(60) % 3


@given(st.lists(st.integers(0, 20), min_size=60, max_size=60), st.integers(0, 5))
def test_no_group_is_trained_validated_and_tested_on(groups: list[int], seed: int) -> None:
    names = np.array([str(group) for group in groups])
    try:
        folds = folds_by_group(LABELS, names, 4, seed=seed)
    except DataError as error:  # drawn too unevenly
        message = str(error)
        assert "every class samples to train on" in message or "and groups" in message
        return
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(60))
    for k, fold in enumerate(folds):
        parts = [set(names[part]) for part in (fold.train, fold.validation, fold.test)]
        assert len(parts[0] | parts[1] | parts[2]) == sum(map(len, parts))
        assert len(fold.train) + len(fold.validation) + len(fold.test) == 60
        assert fold.validation.tolist() == folds[(k + 1) % 4].test.tolist()


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_a_fold_that_leaks_cannot_be_made(part: str) -> None:
    parts = {"train": np.array([0]), "validation": np.array([2]), "test": np.array([4])}
    Fold(0, *parts.values(), GROUPS)
    for other, indices in parts.items():
        if other != part:
            torn = parts | {part: np.append(parts[part], indices + 1)}  # the same group's other
            with pytest.raises(LeakError, match="a group must be in one part of fold 0"):
                Fold(0, *torn.values(), GROUPS)
            twice = parts | {part: np.append(parts[part], indices)}
            with pytest.raises(LeakError, match="a sample must be in one part"):
                Fold(0, *twice.values(), GROUPS, leaking=True)
    if part != "validation":
        empty = parts | {part: np.array([], dtype=int)}
        with pytest.raises(DataError, match=f"must have samples to {part}"):
            Fold(0, *empty.values(), GROUPS)


def test_published_folds_are_used_where_they_keep_groups_together() -> None:
    apart = np.arange(60) // 12
    folds = folds_by_group(LABELS, GROUPS, 5, published=apart)
    assert [fold.test.tolist() for fold in folds] == [
        np.flatnonzero(apart == k).tolist() for k in range(5)
    ]
    torn = np.arange(60) % 5
    own = folds_by_group(LABELS, GROUPS, 5, published=torn)
    assert not any(fold.shared for fold in own)
    assert len(folds_by_group(LABELS, GROUPS, 3, published=apart)) == 3
    other = folds_by_group(LABELS, GROUPS, 5, seed=1)
    assert [fold.test.tolist() for fold in own] != [fold.test.tolist() for fold in other]


def test_folds_by_sample_are_stratified_and_follow_the_order_given() -> None:
    labels = np.repeat([0, 1, 2], [708, 1426, 930])
    groups = np.array([str(k // 13) for k in range(3064)])
    for seed in (0, None):
        plain = folds_by_sample(labels, groups, 5, seed=seed, stratified=False)
        folds = folds_by_sample(labels, groups, 5, seed=seed)
        for one in (plain, folds):
            assert [len(fold.test) for fold in one] == [613, 613, 613, 613, 612]
        assert np.bincount(labels[folds[-1].test]).tolist() == [141, 285, 186]
        assert np.bincount(labels[plain[-1].test], minlength=3).tolist() != [141, 285, 186]
        assert folds[0].shared
        assert folds[0].leaking
        assert not len(folds[0].validation)
    assert folds[-1].test[:141].tolist() == list(range(567, 708))
    backwards = folds_by_sample(labels, groups, 5, seed=None, order=np.arange(3064)[::-1])
    assert backwards[0].test[-186:].tolist() == list(range(3064 - 186, 3064))


def test_folds_must_hold_samples_and_every_class_elsewhere() -> None:
    labels, groups = np.repeat([0, 1, 2], 20), np.repeat(["a", "b", "c"], 20)
    with pytest.raises(DataError, match="every class samples to train on"):
        folds_by_group(labels, groups, 3)
    with pytest.raises(DataError, match="enough samples of each class"):
        folds_by_sample(labels, groups, 30)

"""Which images are shown first: equal scores do not all give the first image."""

import numpy as np
import pytest

from cameval.report._image_choice import pick_rows

EVEN = np.full(6, 0.1)


def test_different_scores_are_worst_median_and_best() -> None:
    scores = np.array([0.5, np.nan, 0.1, 0.9, 0.3, 0.7])
    found = pick_rows(scores, np.arange(6), EVEN, higher_is_better=True)
    assert found == {"worst": 2, "median": 0, "best": 3}
    assert [*found] == ["worst", "median", "best"]
    less = pick_rows(scores, np.arange(6), EVEN, higher_is_better=False)
    assert less == {"worst": 3, "median": 0, "best": 2}
    assert [*pick_rows(scores, np.arange(6), EVEN, higher_is_better=None)] == [
        *("lowest", "median", "highest")
    ]


def test_of_equal_scores_one_of_a_usual_size_is_shown() -> None:
    scores, areas = np.zeros(6), np.array([0.9, 0.1, 0.5, 0.4, 0.6, 0.2])
    found = pick_rows(scores, np.arange(6), areas, higher_is_better=True)
    assert found["worst"] in (2, 3)
    assert len({*found.values()}) == 3
    again = pick_rows(scores, np.arange(6), areas, higher_is_better=True)
    assert again == found


def test_other_targets_of_a_shown_image_come_after_other_images() -> None:
    scores, images = np.zeros(6), np.array([0, 0, 0, 1, 1, 2])
    found = pick_rows(scores, images, EVEN, higher_is_better=True)
    assert {*images[[*found.values()]]} == {0, 1, 2}
    alone = pick_rows(scores, np.zeros(6, int), EVEN, higher_is_better=True)
    assert len({*alone.values()}) == 3


@pytest.mark.parametrize(("count", "names"), [(0, []), (1, ["median"]), (2, ["worst", "best"])])
def test_few_scores_give_few_images(count, names) -> None:
    scores = np.array([0.1, 0.2])[:count]
    found = pick_rows(scores, np.arange(count), EVEN[:count], higher_is_better=True)
    assert [*found] == names


def test_unknown_areas_are_no_error() -> None:
    found = pick_rows(np.zeros(3), np.arange(3), np.full(3, np.nan), higher_is_better=True)
    assert found == {"worst": 0, "median": 2, "best": 1}

"""The reachable IoU is the highest of the truth map and of every map of the ascent."""

import pytest
import torch
from torch import Tensor

from cameval.baselines import reachable_iou, truth_map
from cameval.baselines.bounds import _climb
from cameval.maps import upsample
from cameval.metrics import max_iou

SIDE = 24


def disk(radius: int, row: int, column: int = 11) -> Tensor:
    """Return the mask of a disk."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return (y - row).square() + (x - column).square() < radius**2


def ious_of_the_ascent(truth: Tensor, cells: tuple[int, int], steps: int) -> list[float]:
    """Return the IoU of the truth map, and of each map of the ascent, at its best threshold."""
    maps = [truth_map(truth[None], cells), *_climb(truth[None], cells, steps, None, None)]
    return [max_iou(upsample(coarse, (SIDE, SIDE)), truth[None]).item() for coarse in maps]


@pytest.mark.parametrize(
    ("truth", "cells", "steps", "best"),
    [
        pytest.param(disk(8, 12), (3, 3), 1, 0, id="the truth map is best after one step"),
        pytest.param(disk(8, 12), (3, 3), 20, 0, id="the truth map is best after twenty steps"),
        pytest.param(disk(3, 12), (3, 3), 40, 1, id="a map before the last is best"),
    ],
)
def test_the_best_map_counts_although_the_last_is_worse(truth, cells, steps, best) -> None:
    ious = ious_of_the_ascent(truth, cells, steps)
    assert ious[best] == max(ious) > ious[-1] + 0.005
    assert reachable_iou(truth, cells, steps=steps).item() == pytest.approx(ious[best])


def test_each_truth_of_a_batch_has_its_own_best_map() -> None:
    truths = torch.stack([disk(8, 12), disk(3, 12), disk(5, 5)])
    found = reachable_iou(truths, (3, 3), steps=40)
    expected = [max(ious_of_the_ascent(truth, (3, 3), 40)) for truth in truths]
    assert found.tolist() == pytest.approx(expected)

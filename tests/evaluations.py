"""Small things to evaluate: samples of two sizes, a network, a plan."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

import cameval
from cameval import CAMModel, GAPHead
from cameval.data import Sample
from cameval.evaluation import Preparation, Results
from cameval.metrics import of_maps

SMALL = Preparation(size=32)


def small_network(classes: int = 3) -> CAMModel:
    """Make an untrained network with 8 x 8 maps of 32 px images."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 6, 5, stride=4, padding=2), nn.ReLU())
    return CAMModel(body, GAPHead(nn.Linear(6, classes))).eval()


def samples(count: int = 7, *, sizes: tuple[int, ...] = (32, 40)) -> list[Sample]:
    """Make images with a bright box that is their truth; two samples share a group."""
    rng = np.random.default_rng(1)
    made = []
    for i in range(count):
        side = sizes[i % len(sizes)]
        image = rng.random((side, side), dtype=np.float32) / 2
        mask = np.zeros((side, side), bool)
        top, left = rng.integers(2, side - 14, 2)
        mask[top : top + 10, left : left + 12] = True
        image[mask] += 0.5
        made.append(Sample(f"image {i}", image, mask, label=i % 3, group=f"person {i // 2}"))
    return made


class Lazy(torch.utils.data.Dataset[Sample]):
    """A map-style dataset that counts what is read of it."""

    class_names = ("round", "square", "long")

    def __init__(self, made: list[Sample]) -> None:
        self.made, self.read = made, []

    def __len__(self) -> int:
        return len(self.made)

    def __getitem__(self, index: int) -> Sample:
        self.read.append(index)
        return self.made[index]


class Stream(torch.utils.data.IterableDataset[Sample]):
    """An iterable dataset."""

    def __init__(self, made: list[Sample]) -> None:
        self.made = made

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.made)


def all_known(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with "missing" for what is not known, which is equal to itself."""
    return table.astype(object).where(table.notna(), "missing")


def same(first: Results, second: Results) -> bool:
    """Tell whether two results are equal to the bit."""
    return (
        all_known(first.samples).equals(all_known(second.samples))
        and first.columns == second.columns
        and np.array_equal(first.values.view(np.int64), second.values.view(np.int64))
        and np.array_equal(first.weights, second.weights, equal_nan=True)
        and np.array_equal(first.codes, second.codes)
    )


@of_maps(higher_is_better=True)
def mean_inside(maps: Tensor, target: Tensor) -> Tensor:
    """Score maps by their mean in the truth; a metric of the user's own."""
    return (maps * target).sum((-2, -1)) / target.sum((-2, -1))


PLAN = {
    "methods": {"cam": cameval.cam, "grad": cameval.grad_cam},
    "binarizers": {"p80": cameval.PercentileBinarizer(80), "mean": cameval.MeanBinarizer()},
    "metrics": {"iou": cameval.iou, "coverage": cameval.coverage, "auroc": cameval.pixel_auroc},
}

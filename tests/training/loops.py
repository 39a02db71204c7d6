"""Batches of a training loop, and the evaluation of the same images."""

from collections.abc import Iterator
from typing import Any

import torch
from evaluations import SMALL, small_network
from evaluations import samples as make_samples
from torch import nn

from cameval import CAMModel, GAPHead, Results, cam, evaluate, grad_cam, iou, pixel_auroc
from cameval.binarizers import MeanBinarizer, PercentileBinarizer
from cameval.data import Sample

THINGS = {
    "method": [cam, grad_cam],
    "binarizer": [PercentileBinarizer(90), MeanBinarizer()],
    "metric": [iou, pixel_auroc],
}


def some_samples(count: int = 11) -> list[Sample]:
    """Make samples of two sizes, two of which have no object."""
    made = make_samples(count)
    for k in (2, 5):
        one = made[k]
        made[k] = Sample(one.name, one.image, one.mask & False, one.label, one.group)
    return made


def batches(samples: list[Sample], size: int) -> Iterator[dict[str, Any]]:
    """Yield batches as a loader would: inputs of the network, and masks of their own sizes."""
    for start in range(0, len(samples), size):
        part = samples[start : start + size]
        yield {
            "images": torch.stack([SMALL.image(one)[0] for one in part]),
            "masks": [one.mask for one in part],
            "labels": torch.tensor([one.label for one in part]),
            "groups": [one.group for one in part],
            "names": [one.name for one in part],
        }


def evaluated(net: nn.Module, samples: list[Sample], size: int, **settings: Any) -> Results:
    """Evaluate the same images with the same things."""
    things = {f"{name}s": thing for name, thing in THINGS.items()}
    given = {"prepare": SMALL, "baselines": {}, "batch_size": size, "progress": False}
    return evaluate(net, samples, **things | given | settings)


def trained_network() -> CAMModel:
    """Make a network in training mode, with layers that training changes."""
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=4, padding=2), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5)
    )
    net = CAMModel(body, GAPHead(nn.Linear(6, 3))).train()
    with torch.no_grad():
        for _ in range(5):
            net(torch.rand(8, 3, 32, 32))
    return net


__all__ = ["THINGS", "batches", "evaluated", "small_network", "some_samples", "trained_network"]

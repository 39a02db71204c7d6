"""Counts of passes through a network: of the scores of an image, and of methods by themselves."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from cameval.data import Sample
from cameval.evaluation._batch import BatchScorer
from cameval.evaluation._plan import Plan, Task
from cameval.evaluation.preparation import Prepared
from cameval.metrics import takes
from cameval.networks import Activations, CAMModel, GAPHead, ScoreTarget
from cameval.networks.activations import RecordableNetwork
from cameval.protocols import BaselineInput, CAMMethod, Metric

_SIDE = {2: 32, 3: 16}
"""Sides of the image on which passes are counted, by the number of axes."""


class _CountedFeatures(nn.Module):
    """Features that cost nothing and count the images that they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.images = 0

    def forward(self, images: Tensor) -> Tensor:
        self.images += len(images)
        return images.mean(1, keepdim=True)


def count_scoring(
    metrics: Mapping[str, Metric],
    *,
    methods: int,
    controls: int,
    maps: int = 0,
    reruns: int = 0,
    task: Task | None = None,
    outputs: int = 2,
    probabilities: bool = False,
    channels: int = 3,
    axes: int = 2,
) -> int:
    """Return the passes for one image: one for all maps, and those of metrics of the network.

    A small image is scored by a network that counts its passes, with stand-ins for the methods.
    """
    of_network = {name: one for name, one in metrics.items() if takes(one) == "network"}
    extracting = sum(_needs_extract(one) for one in of_network.values())
    passes = 1 + reruns + extracting * reruns
    if not of_network or not methods + controls + maps:
        return passes
    features = _CountedFeatures()
    model = CAMModel(features, GAPHead(nn.Linear(1, outputs))).eval()
    plan = Plan(
        target_class={"predicted": "predicted"},
        methods={f"method {k}": _mean_map for k in range(methods)},
        baselines={f"control {k}": _flat_map for k in range(controls)},
        binarizers={},
        metrics=of_network,
        maps={f"maps {k}": _given_map for k in range(maps)},
    )
    mask = np.zeros((_SIDE[axes],) * axes, bool)
    mask[(slice(2, 6),) * axes] = True
    sample = Sample("one", mask.astype(np.float32), mask, label=0)

    def prepare(one: Sample) -> Prepared:
        truth = torch.from_numpy(one.mask)
        return Prepared(truth.float().expand(channels, *truth.shape).clone(), truth)

    BatchScorer(model, plan, prepare, task=task, probabilities=probabilities)([sample])
    return passes - 1 + features.images


def _needs_extract(metric: object) -> bool:
    return bool(getattr(metric, "uses_extract", False)) and metric.extract is None  # type: ignore[attr-defined]


def _mean_map(activations: Activations, _target: ScoreTarget) -> Tensor:
    return activations.features.mean(1)


def _flat_map(batch: BaselineInput) -> Tensor:
    return batch.truth.float()


def _given_map(sample: Sample) -> Tensor:
    return torch.from_numpy(sample.mask).float()


class _CountedNetwork:
    """The network of activations, which counts the images that a method gives to it."""

    def __init__(self, network: RecordableNetwork) -> None:
        self.network = network
        self.images = 0

    def __call__(self, images: Tensor) -> Tensor:
        self.images += len(images)
        return self.network(images)

    def activations(self, images: Tensor) -> Activations:
        self.images += len(images)
        return self.network.activations(images)


def count_reruns(
    activations: Activations, methods: Mapping[str, CAMMethod], classes: Tensor
) -> int:
    """Return the passes that methods make by themselves for the activations of one image."""
    network = _CountedNetwork(activations.network)
    for method in methods.values():
        method(replace(activations, network=network), classes)
    return network.images

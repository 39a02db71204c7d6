"""Additional forward passes: outputs and scores of changed features or images, seeded noise."""

from collections.abc import Callable

import torch
from torch import Tensor

from cameval.errors import SettingError
from cameval.networks import Activations, ScoreTarget
from cameval.networks._outputs import class_probabilities


def check_no_graph(activations: Activations, method: str) -> None:
    """Check that a map is not computed as part of a loss.

    Raises
    ------
    SettingError
        If the activations carry a graph.
    """
    if activations.create_graph:
        raise SettingError(
            f"{method} must be used without create_graph, got create_graph=True: the network then "
            "runs in its own mode, and batch statistics and dropout would change the additional "
            "passes of this method; use cameval.grad_cam or another gradient method in a loss"
        )


def count_variants_per_batch(activations: Activations, batch_size: int) -> int:
    """Return how many variants of all images fit into one batch, at least one."""
    return max(1, batch_size // max(1, len(activations.images)))


def rerun_from_features(activations: Activations, features: Tensor) -> Tensor:
    """Return the network's output for variants ``(m * N, K, h, w)`` of the features.

    They are ordered by variant, then image. At an inner layer, where the layers that follow may
    also use the images, the images are repeated.
    """
    images = activations.images
    if activations.head is None:
        copies = len(features) // max(1, len(images))
        images = images.repeat(copies, *[1] * (images.ndim - 1))
    return activations.rerun(features, images)


def score_variants(activations: Activations, target: ScoreTarget, outputs: Tensor) -> Tensor:
    """Return the scores ``(m, N)`` of the network's outputs for m variants of N images.

    The target is given the outputs of one variant at a time, so that a function with one setting
    per image works.
    """
    variants = outputs.split(len(activations.images))
    return torch.stack([activations.score(target, variant) for variant in variants])


def probability_of_variants(
    activations: Activations, target: ScoreTarget, outputs: Tensor
) -> Tensor:
    """Return the probability ``(m, N)`` of each image's class for m variants of N images.

    If the target is a function of the output, its scores are returned as they are.
    """
    scores = score_variants(activations, target, outputs)
    if not isinstance(target, Tensor):
        return scores
    classes = target.to(outputs.device).repeat(len(scores))
    chances = class_probabilities(outputs).gather(1, classes[:, None])
    return chances.reshape(scores.shape)


def noise_source(
    activations: Activations, shape: tuple[int, ...], seed: int
) -> Callable[[], Tensor]:
    """Return a function that draws standard normal noise of one image's shape.

    The noise is the same on every device and for all images, so that a map does not depend on the
    other images of its batch. No global random state is changed.
    """
    generator = torch.Generator().manual_seed(seed)
    images = activations.images

    def draw() -> Tensor:
        return torch.randn(shape, generator=generator).to(images.device, images.dtype)

    return draw

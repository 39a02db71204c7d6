"""Additional forward passes: batches of images, scores of the head, noise."""

from collections.abc import Callable

import torch
from torch import Tensor

from cameval.errors import SettingError
from cameval.networks import Activations, Target


def refuse_graph(activations: Activations, method: str) -> None:
    """Refuse to be part of a loss.

    Raises
    ------
    SettingError
        If the activations carry a graph.
    """
    if activations.create_graph:
        raise SettingError(
            f"{method} must be asked for without create_graph, got create_graph=True: the network "
            "then runs in its own mode, whose batch statistics and dropout the further passes of "
            "this method would meet; use cameval.grad_cam or another gradient method in a loss"
        )


def images_at_once(activations: Activations, batch_size: int) -> int:
    """Return how many variants of all images fit into one batch, at least one."""
    return max(1, batch_size // max(1, len(activations.images)))


def rest(activations: Activations, features: Tensor) -> Tensor:
    """Run what follows the features on variants ``(m * N, K, h, w)`` of them.

    They are ordered by variant, then image. At an inner layer, where the rest of the network may
    also look at the images, the images are repeated.
    """
    images = activations.images
    if activations.head is None:
        copies = len(features) // max(1, len(images))
        images = images.repeat(copies, *[1] * (images.ndim - 1))
    return activations.rerun(features, images)


def scores_of(activations: Activations, target: Target, outputs: Tensor) -> Tensor:
    """Scores ``(m, N)`` of what the network returned on m variants of N images.

    The target sees one variant of all images at a time, so that a function with one setting per
    image works.
    """
    variants = outputs.split(len(activations.images))
    return torch.stack([activations.score(target, variant) for variant in variants])


def noise_fields(
    activations: Activations, shape: tuple[int, ...], seed: int
) -> Callable[[], Tensor]:
    """Return a source of standard normal noise of one image's shape, the same for every device.

    All images see the same noise, so that a map does not depend on the rest of its batch. No global
    random state is touched.
    """
    generator = torch.Generator().manual_seed(seed)
    images = activations.images

    def draw() -> Tensor:
        return torch.randn(shape, generator=generator).to(images.device, images.dtype)

    return draw

"""Synthetic images of the gallery, and small networks that are trained on them in seconds.

An image shows shapes on a smooth texture: a disc (class 0), a ring (class 1) or a cross (class 2).
Squares belong to no class. Shapes lie near the center more often than near the border. Images of
one group share their texture.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from cameval import GAPHead, Preparation, Sample, Target, split
from cameval.maps import CellCenters
from cameval.networks import Split

torch.set_num_threads(1)  # the trained weights do not depend on the number of cores

SHAPES = ("disc", "ring", "cross")
SIZE = 96
PREPARE = Preparation(size=None, mean=(0.5,), std=(0.25,))
"""The pixels as they are, in one channel, shifted and scaled."""

# --- Images ---------------------------------------------------------------------------------------


def shape_mask(shape: str, center: Sequence[float], radius: float) -> NDArray[np.bool_]:
    """Return the mask of a shape."""
    y, x = np.ogrid[:SIZE, :SIZE]
    dy, dx = np.abs(y + 0.5 - center[0]), np.abs(x + 0.5 - center[1])
    distance, farther, nearer = np.hypot(dy, dx), np.maximum(dy, dx), np.minimum(dy, dx)
    if shape == "square":
        return farther < 0.7 * radius
    if shape == "cross":
        return (farther < radius) & (nearer < 0.35 * radius)
    return (distance < radius) & (distance > (0.55 * radius if shape == "ring" else -1))


def draw(rng: Generator, shapes: Sequence[str], tone: float) -> tuple[Any, list[Any]]:
    """Draw shapes that do not overlap; return the image and the mask of each."""
    image = 0.3 + 0.2 * tone + 0.7 * gaussian_filter(rng.normal(size=(SIZE, SIZE)), 3 + 3 * tone)
    image += rng.normal(0, 0.03, image.shape)
    taken, masks = np.zeros(image.shape, bool), []
    for shape in shapes:
        radius = rng.uniform(9, 14)
        while True:
            center = np.clip(rng.normal(SIZE / 2, SIZE / 5, 2), 16, SIZE - 16)
            around = shape_mask("disc", center, radius + 3)
            if not (around & taken).any():
                break
            radius = max(9, radius * 0.95)
        taken |= around
        mask = shape_mask(shape, center, radius)
        image = image + rng.uniform(0.25, 0.4) * gaussian_filter(mask.astype(float), 0.7)
        masks.append(mask)
    return np.clip(image, 0, 1).astype(np.float32), masks


@cache
def samples(count: int, seed: int) -> tuple[Sample, ...]:
    """Return images with one shape and two squares, in groups of three with the same texture."""
    rng, made = np.random.default_rng(seed), []
    for n in range(count):
        tone = np.random.default_rng((seed, n // 3)).uniform()
        label = int(rng.integers(3))
        image, masks = draw(rng, [SHAPES[label], "square", "square"], tone)
        made.append(Sample(f"{seed}.{n}", image, masks[0], label, f"group {seed}.{n // 3}"))
    return tuple(made)


def tagged(sample: Sample) -> Sample:
    """Return the sample with a tag: a bright spot in the lower left corner, placed by its class."""
    assert sample.label is not None
    image, left = sample.image.copy(), 2 + 7 * sample.label
    image[SIZE - 6 : SIZE - 2, left : left + 4] = 1
    return replace(sample, image=image)


@cache
def multilabel_samples(count: int, seed: int) -> tuple[Sample, ...]:
    """Return images with any of the three shapes, or none of them."""
    rng, made = np.random.default_rng(seed), []
    for n in range(count):
        there = [k for k in range(3) if rng.uniform() < 0.5]
        image, masks = draw(rng, [*(SHAPES[k] for k in there), "square"], rng.uniform())
        truth = dict(zip(there, masks, strict=False))
        absent = np.zeros(image.shape, bool)
        targets = [Target(k, truth.get(k, absent)) for k in range(3)]
        made.append(Sample(f"{seed}.{n}", image, targets=targets))
    return tuple(made)


@cache
def volumes(count: int, seed: int) -> tuple[Sample, ...]:
    """Return volumes with a ball that is bright (class 0) or bright around a dark core (class 1).

    Slices are twice as far apart as pixels.
    """
    rng, made = np.random.default_rng(seed), []
    z, y, x = np.ogrid[:16, :40, :40]
    for n in range(count):
        label, radius = int(rng.integers(2)), rng.uniform(6, 9)
        center = rng.uniform(0.3, 0.7, 3) * (16, 40, 40)
        distance = np.sqrt((2 * (z - center[0])) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2)
        image = 0.35 + 1.2 * gaussian_filter(rng.normal(size=distance.shape), (1, 2, 2))
        image += 0.3 * (distance < radius) - 0.45 * label * (distance < 0.6 * radius)
        image = np.clip(image + rng.normal(0, 0.03, image.shape), 0, 1).astype(np.float32)
        spacing = (2.0, 1.0, 1.0)
        made.append(Sample(f"{seed}.{n}", image, distance < radius, label, spacing=spacing))
    return tuple(made)


# --- Networks -------------------------------------------------------------------------------------


class SmallNet(nn.Module):
    """Convolutions, global average pooling and one linear layer: the map is exact."""

    def __init__(
        self,
        num_classes: int,
        *,
        widths: Sequence[int] = (16, 32, 64, 64),
        strides: Sequence[int] = (2, 2, 2, 1),
        axes: int = 2,
    ) -> None:
        super().__init__()
        conv, norm = (nn.Conv2d, nn.BatchNorm2d) if axes == 2 else (nn.Conv3d, nn.BatchNorm3d)
        layers: list[nn.Module] = []
        for before, after, stride in zip((1, *widths), widths, strides, strict=False):
            layers += [conv(before, after, 3, stride, 1, bias=False), norm(after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.fc = nn.Linear(widths[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.fc(self.features(images).flatten(2).mean(2))


@split.register
def _(net: SmallNet) -> Split:
    """Declare the features, the head, and where the cells lie in the image."""
    centers = CellCenters(offset=0.5, stride=1)
    for layer in net.features:
        if isinstance(layer, nn.Conv2d):
            centers = centers.after(kernel=3, stride=layer.stride[0], padding=1)
    return Split(net.features, GAPHead(net.fc), centers)


def inputs(images: Sequence[Sample]) -> Tensor:
    """Return the images as the networks take them."""
    return torch.stack([PREPARE(sample)[0] for sample in images])


def train(
    net: nn.Module,
    images: Tensor,
    goals: Tensor,
    loss: nn.Module | None = None,
    *,
    epochs: int = 8,
    seed: int = 0,
) -> None:
    """Train a network in place, with Adam and one cycle of the learning rate."""
    loss = loss or nn.CrossEntropyLoss()
    generator = torch.Generator().manual_seed(seed)
    batches = len(images) // 16
    optimizer = torch.optim.Adam(net.parameters())
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=epochs * batches)
    net.train()
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for batch in order[: 16 * batches].view(batches, 16):
            optimizer.zero_grad()
            loss(net(images[batch]), goals[batch]).backward()
            optimizer.step()
            cycle.step()
    net.eval()


def seeded(seed: int, num_classes: int, **settings: Any) -> SmallNet:
    """Return a network with random weights, and leave the global generator as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return SmallNet(num_classes, **settings)


def labels(images: Sequence[Sample]) -> Tensor:
    """Return the class of each image."""
    return torch.tensor([sample.label for sample in images])


@cache
def classifier() -> SmallNet:
    """Return a network that was trained to tell disc, ring and cross apart."""
    net, images = seeded(0, 3), samples(600, 0)
    train(net, inputs(images), labels(images))
    return net


@cache
def shortcut_classifier() -> SmallNet:
    """Return a network that was trained on images with a tag that gives the class away."""
    net, images = seeded(3, 3), [tagged(sample) for sample in samples(600, 0)]
    train(net, inputs(images), labels(images), epochs=4)
    return net


@cache
def multilabel_classifier() -> SmallNet:
    """Return a network with one sigmoid for each of the three shapes."""
    net, images = seeded(0, 3), multilabel_samples(600, 0)
    goals = torch.tensor([[float(t.mask.any()) for t in sample.targets] for sample in images])
    train(net, inputs(images), goals, nn.BCEWithLogitsLoss())
    return net


@cache
def volume_classifier() -> SmallNet:
    """Return a network of volumes that was trained to see the dark core of a ball."""
    net, images = seeded(0, 2, widths=(8, 16, 32), strides=(2, 2, 1), axes=3), volumes(128, 0)
    train(net, inputs(images), labels(images))
    return net


# --- Figures --------------------------------------------------------------------------------------


def thin_outline(
    axes: Axes, mask: Any, color: str, *, fill: float = 0, dashed: bool = False
) -> None:
    """Draw a thin outline of a mask, and fill the mask with this opacity."""
    inside = np.asarray(mask)
    if fill:
        shade = np.broadcast_to(to_rgb(color), (*inside.shape, 3))
        axes.imshow(np.concatenate([shade, fill * inside[..., None]], -1))
    style = (0, (2, 1)) if dashed else "solid"
    axes.contour(inside, levels=[0.5], colors=color, linewidths=1, linestyles=[style])

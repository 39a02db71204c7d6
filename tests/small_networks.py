"""Small networks in float64, cut in every way, for tests that need many passes."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from cameval import CAMModel, GAPHead
from cameval.networks import Activations, LayerModel

CLASSES = 4


def body(channels: int = 6, *, volume: bool = False) -> nn.Module:
    """Convolve and rectify: features that are not negative, and some of them zero."""
    conv = nn.Conv3d if volume else nn.Conv2d
    return nn.Sequential(conv(3, channels, 3, stride=2), nn.ReLU())


def pooled(channels: int = 6) -> CAMModel:
    """End in pooling and one linear layer."""
    return CAMModel(body(channels), GAPHead(nn.Linear(channels, CLASSES)))


def curved(channels: int = 6) -> CAMModel:
    """End in a head that is neither linear nor the same at every position."""
    head = nn.Sequential(
        nn.AdaptiveAvgPool2d((2, 3)),
        nn.Flatten(),
        nn.Linear(6 * channels, 8),
        nn.Tanh(),
        nn.Linear(8, CLASSES),
    )
    return CAMModel(body(channels), head)


def inner(channels: int = 6) -> LayerModel:
    """Record a convolution that an in-place ReLU and a skip connection follow."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, channels, 3, stride=2)
            self.relu = nn.ReLU(inplace=True)
            self.second = nn.Conv2d(channels, 5, 3)
            self.fc = nn.Linear(5 + 3, CLASSES)

        def forward(self, images: Tensor) -> Tensor:
            x = torch.tanh(self.second(self.relu(self.first(images)))).mean((2, 3))
            return self.fc(torch.cat([x, images.mean((2, 3))], 1))

    return LayerModel(Net(), "first")


def stage(channels: int = 6) -> LayerModel:
    """Cut a network earlier, before an in-place ReLU that its head then begins with."""
    features = nn.Sequential(nn.Conv2d(3, channels, 3, stride=2), nn.ReLU(inplace=True))
    return LayerModel(CAMModel(features, GAPHead(nn.Linear(channels, CLASSES))), "features.0")


def volumes(channels: int = 6) -> CAMModel:
    """Build a network of volumes."""
    return CAMModel(body(channels, volume=True), GAPHead(nn.Linear(channels, CLASSES)))


CUTS: dict[str, Callable[..., CAMModel | LayerModel]] = {
    "pooled": pooled,
    "curved": curved,
    "inner": inner,
    "stage": stage,
    "volumes": volumes,
}


def small(cut: str, seed: int = 0, channels: int = 6) -> CAMModel | LayerModel:
    """Build one of the networks above, in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return CUTS[cut](channels).double().eval()


def pictures(cut: str, count: int = 3, seed: int = 0) -> Tensor:
    """Make images, or volumes, for such a network."""
    size = (7, 9, 8) if cut == "volumes" else (11, 14)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, *size, dtype=torch.float64, generator=generator)


def activations_of(cut: str, count: int = 3, seed: int = 0, channels: int = 6) -> Activations:
    """Run the network on such images."""
    return small(cut, seed, channels).activations(pictures(cut, count, seed))


def some_classes(count: int = 3) -> Tensor:
    """Choose one class for each image, all different as far as possible."""
    return torch.arange(count) % CLASSES

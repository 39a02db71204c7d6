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


class Block(nn.Module):
    """A block of a vision transformer, with the attention of torch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(channels, 16), nn.GELU(), nn.Linear(16, channels))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens after attention and MLP."""
        normalized = self.n1(tokens)
        tokens = tokens + self.attention(normalized, normalized, normalized, need_weights=False)[0]
        return tokens + self.mlp(self.n2(tokens))


class OwnViT(nn.Module):
    """A vision transformer as users write it, with patches of 4 x 4 pixels.

    Parameters
    ----------
    pool
        "token" for the class token, "mean" for the mean of the patches.
    size
        Height and width of the images.
    layers
        Linear layers of the head.
    """

    def __init__(
        self, pool: str = "token", size: tuple[int, int] = (16, 16), layers: int = 1
    ) -> None:
        super().__init__()
        self.image_size, self.pool = size, pool
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.patch = nn.Conv2d(3, 8, 4, stride=4)
            count = (size[0] // 4) * (size[1] // 4) + (pool == "token")
            self.token = nn.Parameter(torch.randn(1, 1, 8))
            self.positions = nn.Parameter(torch.randn(1, count, 8))
            self.blocks = nn.ModuleList([Block(8) for _ in range(3)])
            self.norm = nn.LayerNorm(8)
            self.hidden = nn.Linear(8, 8) if layers > 1 else nn.Identity()
            self.head = nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        tokens = self.patch(images).flatten(2).transpose(1, 2)
        if self.pool == "token":
            tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], 1)
        tokens = tokens + self.positions
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        pooled = tokens[:, 0] if self.pool == "token" else tokens.mean(1)
        return self.head(self.hidden(pooled).tanh() if self.hidden._parameters else pooled)

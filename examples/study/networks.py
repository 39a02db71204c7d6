"""The networks that compete: their names, heads, maps and grids."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args, get_type_hints

import torch
from torch import Tensor, nn
from torchvision.models import VGG, AlexNet, get_model_builder

from cameval import CAMModel, GAPHead, adapt, cam, grad_cam
from cameval.errors import DataError, SettingError
from cameval.maps import CellCenters
from cameval.networks import (
    Activations,
    ExactHead,
    PooledHead,
    ScoreTarget,
    load_network,
    network_names,
)

Head = Literal["gap", "dropout", "mlp", "conv", "no-last-pool"]
HEADS: tuple[Head, ...] = get_args(Head)
Recipe = Literal["", "gain", "longer"]

SMALL = {"small_cnn_8px": 3, "small_cnn_16px": 4}  # halvings: a cell of the map covers 8 or 16 px
OF_THE_PAPER = ("alexnet", "vgg16", "vgg19")
SINCE_THEN = ("vgg19", "resnet50", "densenet121", "convnext_tiny")

_NAME = re.compile(
    r"(?P<network>\w+)(:(?P<head>[\w-]+))?(@(?P<size>[1-9]\d*))?(\+(?P<recipe>\w+))?"
)


@dataclass(frozen=True)
class Candidate:
    """A network as it is trained, written ``NETWORK[:HEAD][@SIZE][+RECIPE]``.

    Heads: ``"gap"``, pooling and one linear layer; ``"dropout"``, with dropout between the two;
    ``"mlp"``, pooling and three linear layers, which have no class weights; ``"conv"``, the last
    pooling out and one more convolution in (Zhou's VGGnet-GAP); ``"no-last-pool"``, the last
    pooling out, which doubles the grid of the map. Recipes: ``"gain"``, attention mining beside the
    classification; ``"longer"``, twice the epochs, as many passes as ``"gain"`` needs.
    """

    network: str
    head: Head = "gap"
    size: int | None = None
    recipe: Recipe = ""

    def __str__(self) -> str:
        head = "" if self.head == "gap" else f":{self.head}"
        size = "" if self.size is None else f"@{self.size}"
        return f"{self.network}{head}{size}" + (f"+{self.recipe}" if self.recipe else "")

    @classmethod
    def parse(cls, text: str) -> "Candidate":
        """Read a candidate."""
        match = _NAME.fullmatch(text)
        head, recipe = (match["head"] or "gap", match["recipe"] or "") if match else ("", "")
        if match is None or head not in HEADS or recipe not in get_args(Recipe):
            raise SettingError(
                "a model must be written NETWORK[:HEAD][@SIZE][+RECIPE] with a head of "
                f"{', '.join(HEADS)} and gain or longer for a recipe, got {text!r}"
            )
        network, size = match["network"], int(match["size"]) if match["size"] else None
        if network not in (*SMALL, *network_names()):
            raise SettingError(f"a model must be one of `cameval models`, got {network!r}")
        if head in ("mlp", "conv", "no-last-pool") and not ends_in_linear_layers(network):
            raise SettingError(
                f"the head {head} must be of a network that ends in pooling and three linear "
                f"layers (AlexNet, VGG), got {network}"
            )
        return cls(network, head, size, recipe)  # type: ignore[arg-type]  # just checked

    @property
    def file(self) -> str:
        """The candidate as part of a file name."""
        return re.sub(r"[^\w.-]", "_", str(self))

    def build(self, pretrained: str, num_classes: int) -> CAMModel:
        """Build the network, with a fresh head.

        ``pretrained`` says where torchvision's networks start: ``"imagenet"`` (a download),
        ``"none"``, a file of weights, or a folder with a file whose name starts with the network's.
        """
        if self.network in SMALL:
            return _small_cnn(SMALL[self.network], num_classes, self.head)
        weights = _weights(self.network, pretrained)
        net = load_network(self.network, weights, features_only=True)
        if isinstance(net, VGG | AlexNet) and self.head in ("conv", "no-last-pool"):
            net.features = nn.Sequential(*list(net.features.children())[:-1])
        model = adapt(net, num_classes=num_classes).train()
        channels = model.get_submodule("head.linear").get_parameter("weight").shape[1]
        if self.head == "dropout":
            dropout = GAPHead(nn.Linear(channels, num_classes), nn.Dropout())
            return CAMModel(model.features, dropout, model.cell_centers)
        if self.head == "conv":
            more = nn.Conv2d(channels, 1024, 3, padding=1), nn.ReLU(inplace=True)
            features = nn.Sequential(*model.features.children(), *more)
            return CAMModel(features, GAPHead(nn.Linear(1024, num_classes)), model.cell_centers)
        if self.head == "mlp":
            layers = [nn.Linear(channels, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096)]
            layers += [nn.ReLU(), nn.Dropout(), nn.Linear(4096, num_classes)]
            pool = nn.AdaptiveAvgPool2d(1)
            mlp = PooledHead(pool, nn.Sequential(*layers))
            return CAMModel(model.features, mlp, model.cell_centers)
        return model

    def build_seeded(self, pretrained: str, num_classes: int, seed: int) -> CAMModel:
        """Build the network in evaluation mode, its random weights drawn from a seed."""
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            return self.build(pretrained, num_classes).eval()


def ends_in_linear_layers(network: str) -> bool:
    """Tell whether a network ends in pooling and three linear layers: AlexNet and VGG do."""
    if network in SMALL:
        return False
    kind = get_type_hints(get_model_builder(network)).get("return")
    return isinstance(kind, type) and issubclass(kind, VGG | AlexNet)


def class_map(activations: Activations, target: ScoreTarget, /) -> Tensor:
    """Class activation map; where the head has no class weights, Grad-CAM, the nearest to it."""
    method = cam if isinstance(activations.head, ExactHead) else grad_cam
    return method(activations, target)


class Grid(NamedTuple):
    """Cells of a network's maps, their place where maps are aligned by it, and its input size."""

    cells: tuple[int, int]
    cell_centers: CellCenters | None
    size: int


def grid_of(candidate: Candidate, size: int, alignment: str) -> Grid:
    """Return the grid of a network's maps; refuse an input too small for 2 x 2 cells."""
    model = candidate.build("none", 3).eval()
    try:
        with torch.no_grad():
            height, width = model.features(torch.zeros(1, 3, size, size)).shape[2:]
    except RuntimeError:
        height = width = 0
    if min(height, width) < 2:
        raise SettingError(
            f"the input must be large enough for a map of at least 2 x 2 cells, got {size} px for "
            f"{candidate}; take a larger one with --size or {candidate.network}@SIZE"
        )
    centers = model.cell_centers if alignment == "receptive_field" else None
    return Grid((height, width), centers, size)


def _weights(network: str, pretrained: str) -> str:
    """Return the weights as `load_network` takes them."""
    if pretrained in ("imagenet", "none"):
        return "DEFAULT" if pretrained == "imagenet" else "none"
    path = Path(pretrained)
    if not path.is_dir():
        return pretrained
    files = sorted(path.glob(f"{network}*.pth"))
    if not files:
        raise DataError(f"{path} must hold a file {network}*.pth, got none")
    return str(files[0])


def _small_cnn(halvings: int, num_classes: int, head: Head) -> CAMModel:
    """Build a plain convolutional network that trains without pretraining in a minute."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (*(16, 32, 64, 96)[:halvings], 96):
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        layers += [nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        channels = width
    cell = 2**halvings  # max-pooling keeps the first cell half a cell inside the image
    dropout = nn.Dropout() if head == "dropout" else None
    gap = GAPHead(nn.Linear(96, num_classes), dropout)
    return CAMModel(nn.Sequential(*layers[:-1]), gap, CellCenters(offset=cell / 2, stride=cell))

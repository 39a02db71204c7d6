"""The networks that compete: how they are named, built, and made to show where they look."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args, get_type_hints

from torch import Tensor, nn
from torchvision.models import VGG, AlexNet, get_model_builder

from cameval import CAMModel, GAPHead, adapt, cam, grad_cam
from cameval.errors import DataError, SettingError
from cameval.maps import CellCenters
from cameval.networks import Activations, ExactHead, PooledHead, Target
from cameval.networks.zoo import check_name, load_network

Head = Literal["gap", "dropout", "mlp", "conv", "no-last-pool"]
HEADS: tuple[Head, ...] = get_args(Head)
Recipe = Literal["", "gain", "longer"]

SMALL = {"small_cnn_8px": 3, "small_cnn_16px": 4}  # halvings: one cell of the map covers 8 or 16 px
OF_THE_PAPER = ("alexnet", "vgg16", "vgg19")
SINCE_THEN = ("vgg19", "resnet50", "densenet121", "convnext_tiny")

_NAME = re.compile(
    r"(?P<network>\w+)(:(?P<head>[\w-]+))?(@(?P<size>[1-9]\d*))?(\+(?P<recipe>\w+))?"
)


@dataclass(frozen=True)
class Candidate:
    """A network as it is to be trained: its head, the size of its input, and by which recipe.

    Written ``NETWORK[:HEAD][@SIZE][+RECIPE]``, as ``vgg16:no-last-pool@448`` or ``resnet50+gain``.

    Parameters
    ----------
    network
        One of torchvision's classifiers, or a small network that learns from nothing.
    head
        ``"gap"``: pooling and one linear layer. ``"dropout"``: with dropout between the two.
        ``"mlp"``: pooling and the three linear layers that AlexNet and VGG have, no class weights.
        ``"conv"``: the last pooling out, one more convolution in (Zhou's VGGnet-GAP).
        ``"no-last-pool"``: the last pooling out, which doubles the grid of the map.
    size
        Height and width of the input; None is the study's.
    recipe
        ``""``; ``"gain"``: attention mining beside the classification; ``"longer"``: twice the
        epochs, as many passes through the network as ``"gain"`` needs.
    """

    network: str
    head: Head = "gap"
    size: int | None = None
    recipe: Recipe = ""

    def __str__(self) -> str:
        """Write the candidate as it is given, without what is usual."""
        head = "" if self.head == "gap" else f":{self.head}"
        size = "" if self.size is None else f"@{self.size}"
        return f"{self.network}{head}{size}" + (f"+{self.recipe}" if self.recipe else "")

    @classmethod
    def parse(cls, text: str) -> "Candidate":
        """Read a candidate."""
        found = _NAME.fullmatch(text)
        head, recipe = (found["head"] or "gap", found["recipe"] or "") if found else ("", "")
        if found is None or head not in HEADS or recipe not in get_args(Recipe):
            raise SettingError(
                "a model must be written NETWORK[:HEAD][@SIZE][+RECIPE] with a head of "
                f"{', '.join(HEADS)} and gain or longer for a recipe, got {text!r}"
            )
        network, size = found["network"], int(found["size"]) if found["size"] else None
        if network not in SMALL:
            check_name(network)
        if head in ("mlp", "conv", "no-last-pool") and not ends_in_linear_layers(network):
            raise SettingError(
                f"the head {head} must be of a network that ends in pooling and three linear "
                f"layers (AlexNet, VGG), got {network}"
            )
        return cls(network, head, size, recipe)  # type: ignore[arg-type]  # just checked

    @property
    def file(self) -> str:
        """What the candidate's files are called."""
        return re.sub(r"[^\w.-]", "_", str(self))

    @property
    def trunk(self) -> "Candidate":
        """The same without its recipe: those with one trunk share frozen features."""
        return replace(self, recipe="")

    def build(self, pretrained: str, num_classes: int) -> CAMModel:
        """Make the network, with a fresh head.

        Parameters
        ----------
        pretrained
            Where torchvision's networks start: ``"imagenet"`` (a download), ``"none"``, a file of
            weights, or a folder with a file whose name starts with the network's.
        num_classes
            Number of classes.
        """
        if self.network in SMALL:
            return _small_cnn(SMALL[self.network], num_classes, self.head)
        net = load_network(self.network, _weights(self.network, pretrained))
        if isinstance(net, VGG | AlexNet) and self.head in ("conv", "no-last-pool"):
            net.features = nn.Sequential(*list(net.features.children())[:-1])
        model = adapt(net, num_classes=num_classes).train()
        channels = model.get_submodule("head.linear").get_parameter("weight").shape[1]
        if self.head == "dropout":
            head = GAPHead(nn.Linear(channels, num_classes), nn.Dropout())
            return CAMModel(model.features, head, model.cell_centers)
        if self.head == "conv":
            more = nn.Conv2d(channels, 1024, 3, padding=1), nn.ReLU(inplace=True)
            features = nn.Sequential(*model.features.children(), *more)
            return CAMModel(features, GAPHead(nn.Linear(1024, num_classes)), model.cell_centers)
        if self.head == "mlp":
            layers = [nn.Linear(channels, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096)]
            layers += [nn.ReLU(), nn.Dropout(), nn.Linear(4096, num_classes)]
            pool = nn.AdaptiveAvgPool2d(1)
            return CAMModel(
                model.features, PooledHead(pool, nn.Sequential(*layers)), model.cell_centers
            )
        return model


def ends_in_linear_layers(network: str) -> bool:
    """Tell whether a network ends in pooling and three linear layers: AlexNet and VGG do."""
    if network in SMALL:
        return False
    made = get_type_hints(get_model_builder(network)).get("return")
    return isinstance(made, type) and issubclass(made, VGG | AlexNet)


def class_map(activations: Activations, target: Target, /) -> Tensor:
    """Class activation map; where the head has no class weights, Grad-CAM, the nearest to it."""
    method = cam if isinstance(activations.head, ExactHead) else grad_cam
    return method(activations, target)


def _weights(network: str, pretrained: str) -> str:
    """Say in the library's words where a network starts."""
    if pretrained in ("imagenet", "none"):
        return {"imagenet": "DEFAULT", "none": "none"}[pretrained]
    path = Path(pretrained)
    if not path.is_dir():
        return pretrained
    found = sorted(path.glob(f"{network}*.pth"))
    if not found:
        raise DataError(f"{path} must hold a file {network}*.pth, got none")
    return str(found[0])


def _small_cnn(halvings: int, num_classes: int, head: Head) -> CAMModel:
    """Make a plain convolutional network that trains from nothing in a minute."""
    layers: list[nn.Module] = []
    channels = 3
    for width in (16, 32, 64, 96)[:halvings]:
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
        layers += [nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        channels = width
    layers += [nn.Conv2d(channels, 96, 3, padding=1, bias=False), nn.BatchNorm2d(96)]
    layers += [nn.ReLU(inplace=True)]
    cell = 2**halvings  # max-pooling keeps the first cell half a cell inside the image
    cell_centers = CellCenters(offset=cell / 2, stride=cell)
    dropout = nn.Dropout() if head == "dropout" else None
    return CAMModel(
        nn.Sequential(*layers), GAPHead(nn.Linear(96, num_classes), dropout), cell_centers
    )

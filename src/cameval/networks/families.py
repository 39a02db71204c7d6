"""Where each family of torchvision networks is cut; the only file that knows torchvision's classes.

A cut is declared, never guessed: ``head(features(x))`` equals ``net(x)`` bit for bit, in evaluation
mode, for every family here. The features end where the classifier's pooling begins.
"""

from collections import OrderedDict
from functools import singledispatch
from typing import NamedTuple

import torch
import torchvision.models as tv
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import MobileNetV3

from cameval.errors import UnsupportedModelError
from cameval.networks.heads import ClassMapHead, GAPHead, NormHead, PooledHead, grid_cells

__all__ = [
    "Split",
    "check_forward",
    "declared_class",
    "foreign_forward",
    "hooks_outside",
    "split",
]


class Split(NamedTuple):
    """A network in two parts: ``net(x) == head(features(x))``."""

    features: nn.Module
    head: nn.Module


@singledispatch
def split(net: nn.Module) -> Split:
    """Cut a network into features and head.

    A family is one registration: ``@split.register`` on a function whose argument is annotated with
    the network's class. Subclasses are covered. ``split.registry`` lists what is known.

    Parameters
    ----------
    net
        A network of a registered class. Its modules are shared, not copied, and not changed.

    Returns
    -------
    Split
        ``(features, head)``, with ``net(x) == head(features(x))`` bit for bit in evaluation mode.

    Raises
    ------
    UnsupportedModelError
        If no registration covers the network's class. The message shows the lines to write.

    Examples
    --------
    >>> from torchvision.models import resnet18
    >>> features, head = split(resnet18().eval())
    >>> features(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 512, 2, 2])

    A class of your own:

    >>> class TinyNet(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.body, self.fc = nn.Conv2d(3, 8, 3), nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.fc(self.body(x).mean((2, 3)))
    >>> @split.register
    ... def _(net: TinyNet):
    ...     return net.body, GAPHead(net.fc)
    >>> split(TinyNet())[1].in_channels
    8
    """
    name = type(net).__name__
    known = sorted(cls.__name__ for cls in split.registry if cls is not object)
    raise UnsupportedModelError(
        f"the network must be of a class with a declared split, got {name}. Known: "
        f"{', '.join(known)}. Declare yours:\n\n"
        f"    @cameval.split.register\n"
        f"    def _(net: {name}):\n"
        f"        return net.body, cameval.GAPHead(net.fc)  # head(features(x)) == net(x)\n\n"
        f'or explain an inner layer of it with cameval.adapt(net, layer="name.of.layer")'
    )


def declared_class(net: nn.Module) -> type | None:
    """Return the registered class whose split `net` would get, None if there is none."""
    known = (cls for cls in type(net).__mro__ if cls in split.registry and cls is not object)
    return next(known, None)


def foreign_forward(net: nn.Module) -> str | None:
    """Return who computes something else than the class whose split `net` would get, if anyone."""
    declared, forwards = declared_class(net), {"forward", "_forward", "_forward_impl"}
    if forwards & {*vars(net)}:
        return "the instance"
    lineage = type(net).__mro__
    below = lineage[: lineage.index(declared)] if declared else ()
    return next((cls.__name__ for cls in below if forwards & {*vars(cls)}), None)


def hooks_outside(net: nn.Module, *parts: nn.Module) -> list[str]:
    """Return the modules of `net` whose forward hooks would not run if only `parts` did."""
    inside = {module for part in parts for module in part.modules()}
    return [
        name or type(net).__name__
        for name, module in net.named_modules()
        if module not in inside and (module._forward_hooks or module._forward_pre_hooks)
    ]


def check_forward(net: nn.Module) -> None:
    """Refuse a subclass that computes something else than the class whose split it would inherit.

    Raises
    ------
    UnsupportedModelError
        If a subclass of a registered class, or the instance itself, overrides ``forward``.
    """
    declared, other = declared_class(net), foreign_forward(net)
    if declared and other:
        raise UnsupportedModelError(
            f"a network must compute what {declared.__name__} computes to be cut as one, got a "
            f"forward of {other}'s own; declare a split for it with @cameval.split.register, or "
            'use cameval.adapt(net, layer="name.of.layer")'
        )


def _stages(net: nn.Module, *names: str) -> nn.Sequential:
    """Chain named children, keeping their names."""
    return nn.Sequential(OrderedDict((name, net.get_submodule(name)) for name in names))


def _head(pool: nn.Module, classifier: nn.Module) -> nn.Module:
    """Return a GAPHead where the classifier is (dropout and) one linear layer on a global pool."""
    parts = [*classifier] if isinstance(classifier, nn.Sequential) else [classifier]
    *before, last = parts or [nn.Identity()]
    harmless = all(isinstance(module, nn.Dropout | nn.Identity) for module in before)
    if grid_cells(pool) == 1 and harmless and isinstance(last, nn.Linear):
        return GAPHead(last, nn.Sequential(*before) if before else None)
    return PooledHead(pool, classifier)


def _global_pool() -> nn.AdaptiveAvgPool2d:
    """Make the pool that is a function call in torchvision."""
    return nn.AdaptiveAvgPool2d(1)


@split.register(tv.AlexNet)
@split.register(tv.VGG)
@split.register(tv.EfficientNet)
@split.register(MobileNetV3)
def _(net: tv.AlexNet | tv.VGG | tv.EfficientNet | MobileNetV3) -> Split:
    return Split(net.features, _head(net.avgpool, net.classifier))


@split.register
def _(net: tv.ResNet) -> Split:
    stages = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    return Split(_stages(net, *stages), _head(net.avgpool, net.fc))


@split.register
def _(net: tv.RegNet) -> Split:
    return Split(_stages(net, "stem", "trunk_output"), _head(net.avgpool, net.fc))


@split.register
def _(net: tv.DenseNet) -> Split:
    # torchvision applies this ReLU as a function, in place, between features and pooling.
    features = nn.Sequential(OrderedDict(features=net.features, relu=nn.ReLU(inplace=True)))
    return Split(features, _head(_global_pool(), net.classifier))


@split.register
def _(net: MobileNetV2) -> Split:
    return Split(net.features, _head(_global_pool(), net.classifier))


@split.register
def _(net: tv.MNASNet) -> Split:
    return Split(net.layers, _head(_global_pool(), net.classifier))


@split.register
def _(net: tv.ShuffleNetV2) -> Split:
    stages = ("conv1", "maxpool", "stage2", "stage3", "stage4", "conv5")
    return Split(_stages(net, *stages), _head(_global_pool(), net.fc))


@split.register
def _(net: tv.SqueezeNet) -> Split:
    match [*net.classifier]:
        case [nn.Dropout() as dropout, nn.Conv2d() as conv, nn.ReLU(), pool] if (
            grid_cells(pool) == 1
        ):
            return Split(net.features, ClassMapHead(conv, dropout))
        case _:  # the user's own classifier
            return Split(net.features, nn.Sequential(net.classifier, nn.Flatten(1)))


@split.register
def _(net: tv.ConvNeXt) -> Split:
    match [*net.classifier]:
        case [nn.LayerNorm() as norm, nn.Flatten(), nn.Linear() as linear]:
            return Split(net.features, NormHead(norm, linear))
        case _:  # the user's own classifier
            return Split(net.features, nn.Sequential(net.avgpool, net.classifier))


@split.register
def _(net: tv.SwinTransformer) -> Split:
    return Split(_stages(net, "features", "norm", "permute"), _head(net.avgpool, net.head))


@split.register
def _(net: tv.MaxVit) -> Split:
    blocks = OrderedDict((f"block{i}", block) for i, block in enumerate(net.blocks))
    return Split(nn.Sequential(OrderedDict(stem=net.stem, **blocks)), net.classifier)


@split.register
def _(net: tv.GoogLeNet) -> Split:
    names = [name for name, _ in net.named_children()]
    return Split(_inception_trunk(net, names), _inception_head(net))


@split.register
def _(net: tv.Inception3) -> Split:
    names = [name for name, _ in net.named_children()]
    return Split(_inception_trunk(net, names), _inception_head(net))


class InceptionInput(nn.Module):
    """From ImageNet's normalization to the one that Google's weights were trained with."""

    def forward(self, images: Tensor) -> Tensor:
        """Shift and scale the three channels, as torchvision does under ``transform_input``."""
        scaled = [
            images[:, i : i + 1] * (std / 0.5) + (mean - 0.5) / 0.5
            for i, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)])
        ]
        return torch.cat(scaled, 1)


def _inception_trunk(net: tv.GoogLeNet | tv.Inception3, names: list[str]) -> nn.Sequential:
    """Chain the stages before the pool; the auxiliary classifiers run in training only."""
    trunk = [name for name in names[: names.index("avgpool")] if not name.lower().startswith("aux")]
    stages = _stages(net, *trunk)
    if net.transform_input:
        stages = nn.Sequential(OrderedDict(input=InceptionInput(), **dict(stages.named_children())))
    return stages


def _inception_head(net: tv.GoogLeNet | tv.Inception3) -> nn.Module:
    return _head(net.avgpool, nn.Sequential(net.dropout, net.fc))

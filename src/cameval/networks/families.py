"""Declared splits into features and head, for the families of torchvision's networks.

A cut here is declared, never guessed: ``head(features(x))`` equals ``net(x)`` bit for bit, in
evaluation mode, for every family here. The features end where the classifier's pooling begins.
Parts that the user replaced are used as they are, or make the head a general one.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import cast

import torch
import torchvision.models as tv
from torch import Tensor, nn
from torchvision.models.convnext import LayerNorm2d
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import MobileNetV3

from cameval.errors import UnsupportedModelError
from cameval.maps import CellCenters
from cameval.networks._module_types import (
    find_override,
    hooks_outside,
    is_exactly,
    runs_code_of,
    unwrap_compiled,
)
from cameval.networks.heads import ClassMapHead, GAPHead, NormHead, PooledHead, grid_cells
from cameval.networks.model import CAMModel

__all__ = ["Split", "split"]


@dataclass(frozen=True)
class Split:
    """A network in two parts: ``net(x) == head(features(x))``.

    It unpacks into the two parts: ``features, head = split(net)``.

    Parameters
    ----------
    features
        From images to the last feature maps ``(N, K, h, w)``.
    head
        From feature maps to logits ``(N, C)``.
    cell_centers
        Centers of the cells of the features, in pixels of the image. Alignment by receptive fields
        needs them; for torchvision's families they are computed where they are not given.

    Examples
    --------
    >>> from torch import nn
    >>> from cameval import GAPHead
    >>> from cameval.maps import CellCenters
    >>> from cameval.networks import Split
    >>> pixels = CellCenters(offset=0.5, stride=1)
    >>> parts = Split(nn.Conv2d(3, 8, 4, stride=4), GAPHead(nn.Linear(8, 2)), pixels.after(4, 4))
    >>> features, head = parts
    >>> parts.cell_centers
    CellCenters(offset=2.0, stride=4)
    """

    features: nn.Module
    head: nn.Module
    cell_centers: CellCenters | None = None

    def __iter__(self) -> Iterator[nn.Module]:
        """Yield features and head."""
        return iter((self.features, self.head))


@singledispatch
def split(net: nn.Module) -> Split:
    """Split a network into features and head.

    Classes of torchvision and of your own are declared; the cut of any other network is searched
    for in one trial, see `adapt`. A family is one registration: ``@split.register`` on a function
    whose argument is annotated with the network's class. It returns a :class:`Split`, or a pair of
    modules. A subclass is covered if it overrides nothing that runs; extractors compare the outputs
    of the split and of the network on their first batch. ``split.registry`` lists the registered
    classes.

    Parameters
    ----------
    net
        A network. Its modules are shared, not copied, and not changed.

    Returns
    -------
    Split
        Features and head, with ``net(x) == head(features(x))`` in evaluation mode: bit for bit of
        registered classes, else up to rounding.

    Raises
    ------
    UnsupportedModelError
        If no registration covers the network's class and no cut is proved. The message shows
        lines that add one, where the trial proves them.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from torchvision.models import resnet18
    >>> from cameval import CAMExtractor, GAPHead, split
    >>> features, head = split(resnet18().eval())
    >>> features(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 512, 2, 2])

    Your own class, with the centers of its cells, so that maps can be aligned by receptive fields:

    >>> from cameval.maps import CellCenters
    >>> from cameval.networks import Split
    >>> class TinyNet(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.body, self.fc = nn.Conv2d(3, 8, 3, stride=2), nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.fc(self.body(x).mean((2, 3)))
    >>> @split.register
    ... def _(net: TinyNet):
    ...     return Split(net.body, GAPHead(net.fc), CellCenters(offset=1.5, stride=2))
    >>> CAMExtractor(TinyNet(), alignment="receptive_field")(torch.rand(1, 3, 9, 9)).maps.shape
    torch.Size([1, 9, 9])
    """
    raise UnsupportedModelError(
        f"the network must be an nn.Module, got {type(net).__name__}; pass the network itself"
    )


def declared_class(net: nn.Module) -> type | None:
    """Return the registered class whose split applies to `net`, None if there is none."""
    known = (cls for cls in type(net).__mro__ if cls in split.registry)
    return next((cls for cls in known if cls not in (nn.Module, object)), None)


def is_declared_by_user(net: nn.Module) -> bool:
    """Tell whether the split that applies to `net` is not one of cameval's own."""
    declared = declared_class(net)
    return declared is not None and split.registry[declared] is not _OWN.get(declared)


def forward_override(net: nn.Module) -> str | None:
    """Return the class that overrides the forward of the registered class of `net`, if any does."""
    return find_override(net, declared_class(net), "_transform_input")


def check_forward(net: nn.Module) -> None:
    """Refuse a network that overrides the forward of the class whose split applies to it.

    Raises
    ------
    UnsupportedModelError
        If a subclass of a registered class, or the instance itself, overrides ``forward``.
    """
    declared, other = declared_class(net), forward_override(net)
    if declared and other:
        raise UnsupportedModelError(
            f"a network must compute what {declared.__name__} computes to be cut as one, got a "
            f"forward of {other}'s own; declare a split for it with @cameval.split.register, or "
            'use cameval.adapt(net, layer="name.of.layer")'
        )


def _stages(net: nn.Module, *names: str) -> nn.Sequential:
    """Return the named children of a network as one sequence, under their names."""
    return _sequence([(name, net.get_submodule(name)) for name in names])


def _children(module: nn.Module) -> list[nn.Module]:
    """Return the children of an ``nn.Sequential``, or the module itself if it is no such."""
    return [*module.children()] if is_exactly(module, nn.Sequential) else [module]


def _head(pool: nn.Module, classifier: nn.Module) -> nn.Module:
    """Return a GAPHead if a global pool and one linear layer are all, else a PooledHead."""
    *before, last = _children(unwrap_compiled(classifier)) or [nn.Identity()]
    harmless = all(is_exactly(module, nn.Dropout, nn.Identity) for module in before)
    linear = unwrap_compiled(last)
    if grid_cells(unwrap_compiled(pool)) == 1 and harmless and runs_code_of(linear, nn.Linear):
        return GAPHead(cast(nn.Linear, linear), nn.Sequential(*before) if before else None)
    return PooledHead(pool, classifier)


def _flattened_head(pool: nn.Module, flatten: nn.Module, classifier: nn.Module) -> nn.Module:
    """Return the head of a network in which the flattening is a module of its own."""
    if _flattens(flatten):
        return _head(pool, classifier)
    return nn.Sequential(pool, flatten, classifier)


def _flattens(module: nn.Module) -> bool:
    """Tell whether a module flattens all axes but the first."""
    return (
        is_exactly(module, nn.Flatten)
        and cast(nn.Flatten, module).start_dim == 1
        and cast(nn.Flatten, module).end_dim == -1
    )


def _global_pool() -> nn.AdaptiveAvgPool2d:
    """Return global average pooling, which these networks call as a function."""
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
    match _children(unwrap_compiled(net.classifier)):
        case [dropout, conv, relu, pool] if (
            is_exactly(dropout, nn.Dropout, nn.Identity)
            and runs_code_of(conv, nn.Conv2d)
            and is_exactly(relu, nn.ReLU)
            and grid_cells(pool) == 1
        ):
            return Split(net.features, ClassMapHead(cast(nn.Conv2d, conv), dropout))
        case _:  # the user's own classifier
            return Split(net.features, nn.Sequential(net.classifier, nn.Flatten(1)))


@split.register
def _(net: tv.ConvNeXt) -> Split:
    match _children(unwrap_compiled(net.classifier)):
        case [norm, flatten, linear] if (
            grid_cells(unwrap_compiled(net.avgpool)) == 1
            and is_exactly(norm, LayerNorm2d)
            and norm.weight is not None
            and norm.bias is not None
            and _flattens(flatten)
            and runs_code_of(linear, nn.Linear)
        ):
            return Split(net.features, NormHead(cast(nn.LayerNorm, norm), cast(nn.Linear, linear)))
        case _:  # the user's own pool or classifier
            return Split(net.features, nn.Sequential(net.avgpool, net.classifier))


@split.register
def _(net: tv.SwinTransformer) -> Split:
    head = _flattened_head(net.avgpool, net.flatten, net.head)
    return Split(_stages(net, "features", "norm", "permute"), head)


@split.register
def _(net: tv.MaxVit) -> Split:
    blocks = OrderedDict((f"block{i}", block) for i, block in enumerate(net.blocks))
    return Split(nn.Sequential(OrderedDict(stem=net.stem, **blocks)), net.classifier)


_GOOGLENET = (
    *("conv1", "maxpool1", "conv2", "conv3", "maxpool2", "inception3a", "inception3b"),
    *("maxpool3", "inception4a", "inception4b", "inception4c", "inception4d", "inception4e"),
    *("maxpool4", "inception5a", "inception5b"),
)


_INCEPTION3 = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1"),
    *("Conv2d_4a_3x3", "maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b"),
    *("Mixed_6c", "Mixed_6d", "Mixed_6e", "Mixed_7a", "Mixed_7b", "Mixed_7c"),
)
"""The stages in the order in which they run, which need not be the order of registration."""


@split.register
def _(net: tv.GoogLeNet) -> Split:
    return Split(_inception_trunk(net, _GOOGLENET), _inception_head(net))


@split.register
def _(net: tv.Inception3) -> Split:
    return Split(_inception_trunk(net, _INCEPTION3), _inception_head(net))


class InceptionInput(nn.Module):
    """Convert images from ImageNet's normalization to that of Google's weights."""

    def forward(self, images: Tensor) -> Tensor:
        """Shift and scale the three channels, as torchvision does under ``transform_input``."""
        scaled = [
            images[:, i : i + 1] * (std / 0.5) + (mean - 0.5) / 0.5
            for i, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)])
        ]
        return torch.cat(scaled, 1)


def _inception_trunk(net: tv.GoogLeNet | tv.Inception3, names: tuple[str, ...]) -> nn.Sequential:
    """Return the stages before the pool; the auxiliary classifiers run in training only."""
    stages = _stages(net, *names)
    if net.transform_input:
        stages = nn.Sequential(OrderedDict(input=InceptionInput(), **dict(stages.named_children())))
    return stages


def _inception_head(net: tv.GoogLeNet | tv.Inception3) -> nn.Module:
    return _head(net.avgpool, nn.Sequential(net.dropout, net.fc))


_OWN = dict(split.registry)
"""The registrations of this module."""

Stages = list[tuple[str, nn.Module]]


def cut_after(net: nn.Module, layer: str) -> CAMModel | None:
    """Cut `net` after the named layer, if its features are a sequence that contains the layer.

    The modules after the layer are then a head, which methods can run by itself, and no hook is
    needed. Layers inside a block (a branch, a residual) are not part of the sequence.

    Returns
    -------
    CAMModel or None
        A model of the network's own modules, None if there is no such cut.

    Examples
    --------
    >>> from torchvision.models import resnet18
    >>> from cameval.networks.families import cut_after
    >>> [name for name, _ in cut_after(resnet18(), "layer2").head.named_children()]
    ['layer3', 'layer4', 'head']
    >>> cut_after(resnet18(), "layer2.0.conv1") is None
    True
    """
    if isinstance(net, CAMModel):
        features, head = net.features, net.head
    elif declared_class(net) and not forward_override(net):
        features, head = split(net)
    else:
        return None
    target = net.get_submodule(layer)
    runs = sum(module is target for _, module in net.named_modules(remove_duplicate=False))
    parts = _divide_after(features, target)
    if runs != 1 or parts is None:
        return None
    before, after = parts
    stages = [stage for _, stage in (*before, *after)]
    if hooks_outside(net, *stages, head):
        return None  # these hooks run where the whole network does
    return CAMModel(_sequence(before), _sequence([*after, ("head", head)]) if after else head)


def _divide_after(module: nn.Module, target: nn.Module) -> tuple[Stages, Stages] | None:
    """Divide a sequence of modules after `target`, which may be in a sequence inside."""
    stages = [*module.named_children()] if is_exactly(module, nn.Sequential) else []
    for i, (name, stage) in enumerate(stages):
        if stage is target:
            return stages[: i + 1], stages[i + 1 :]
        inner = _divide_after(stage, target)
        if inner is not None:
            before, after = inner
            remaining = [(name, _sequence(after))] if after else []
            return [*stages[:i], (name, _sequence(before))], [*remaining, *stages[i + 1 :]]
    return None


def _sequence(stages: Stages) -> nn.Sequential:
    return nn.Sequential(OrderedDict(stages))

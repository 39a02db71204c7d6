"""Adaptation of a network: a model with features, a head, and recorded activations."""

import copy
from typing import TypeVar, overload

from torch import nn

from cameval._checks import check_count
from cameval.errors import SettingError, UnsupportedHeadError, UnsupportedModelError
from cameval.networks._module_types import find_override, hooks_outside, unwrap_compiled
from cameval.networks._receptive_fields import cell_centers_of
from cameval.networks.activations import identity
from cameval.networks.families import Split, check_forward, split
from cameval.networks.heads import GAPHead
from cameval.networks.layers import Grid, LayerModel
from cameval.networks.model import CAMModel

__all__ = ["adapt"]

Model = TypeVar("Model", CAMModel, LayerModel)


@overload
def adapt(net: nn.Module, *, num_classes: int | None = None) -> CAMModel: ...
@overload
def adapt(net: nn.Module, *, layer: str, grid: Grid = identity) -> LayerModel: ...
@overload
def adapt(
    net: nn.Module,
    *,
    num_classes: int | None = None,
    layer: str | None = None,
    grid: Grid = identity,
) -> CAMModel | LayerModel: ...


def adapt(
    net: nn.Module,
    *,
    num_classes: int | None = None,
    layer: str | None = None,
    grid: Grid = identity,
) -> CAMModel | LayerModel:
    """Prepare a network for class activation mapping. The network itself is never changed.

    Parameters
    ----------
    net
        A network of a family that `split` knows, or, with `layer`, any network. Modules that you
        replaced, such as the pool, are used as they are. A network that is wrapped by
        ``torch.compile``, ``DataParallel`` or ``DistributedDataParallel`` is unwrapped, and runs on
        its own device.
    num_classes
        If given, put a new, untrained head (global average pooling and one linear layer) for this
        many classes on a *copy* of the network's features: the change that Zhou et al. and the
        brain-tumor study make to AlexNet and VGG. The result shares nothing with `net` and is to be
        trained.
    layer
        If given, take the features from this inner layer (a dotted module name) instead of the last
        features.
    grid
        How the output of `layer` becomes feature maps, where it is not one: :class:`TokenGrid` for
        the tokens of a vision transformer, :func:`channels_last_grid` for Swin.

    Returns
    -------
    CAMModel or LayerModel
        Without `num_classes`, a model of the same modules: its logits equal ``net(x)`` bit for bit.
        A :class:`CAMModel` or :class:`LayerModel` is returned as it is, if it adds nothing to its
        class.

    Raises
    ------
    UnsupportedModelError
        If `split` does not know the network; the message shows how to declare it. Also if some code
        of the network would not run in the cut: forward hooks on the network itself, between
        features and head, or on all modules of the process; a ``forward`` or ``__call__`` that a
        subclass or the instance overrides.
    UnsupportedHeadError
        If a new head is asked for and the old one does not say how many channels the features have.
    LayerError
        If the network has no such layer.
    SettingError
        If `num_classes` is not positive, or both settings are given.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import resnet18, vgg11
    >>> adapt(resnet18()).head.linear.out_features
    1000
    >>> model = adapt(vgg11(), num_classes=3)
    >>> model(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 3])
    >>> adapt(resnet18(), layer="layer3").layer
    'layer3'
    """
    if layer is not None:
        if num_classes is not None:
            raise SettingError(
                f"num_classes and layer must not both be given, got {num_classes} and {layer!r}; "
                "adapt with num_classes first, then adapt the result with layer"
            )
        net = unwrap(net)
        if isinstance(net, CAMModel):  # it may be cut between its stages
            _check_own_forward(net)
        return LayerModel(net, layer, grid)
    if num_classes is not None:
        check_count("num_classes", num_classes)
    if isinstance(net, LayerModel) and num_classes is None:
        return _check_adapted(net)
    net = unwrap(net)
    model = _check_adapted(net) if isinstance(net, CAMModel) else _cut(net)
    return model if num_classes is None else _replace_head(model, num_classes)


def unwrap(net: nn.Module) -> nn.Module:
    """Return the network inside ``torch.compile`` and the data-parallel wrappers."""
    inner = unwrap_compiled(net)
    if isinstance(inner, nn.DataParallel | nn.parallel.DistributedDataParallel):
        inner = inner.module
    return inner if inner is net else unwrap(inner)


def _check_adapted(model: Model) -> Model:
    """Check that one of cameval's models runs nothing but its parts, and return it."""
    _check_own_forward(model)
    _check_hooks(model, *model.children())
    if isinstance(model, CAMModel) and model.origin is not None:
        _check_hooks(model.origin, *model.children())
    return model


def _check_own_forward(model: CAMModel | LayerModel) -> None:
    """Refuse a model that overrides ``forward``, since maps are computed from its parts alone."""
    base = CAMModel if isinstance(model, CAMModel) else LayerModel
    override = find_override(model, base)
    if override:
        raise UnsupportedModelError(
            f"a {base.__name__} must compute what its parts compute, got a forward of "
            f"{override}'s own; put what it adds into a module inside"
        )


def _check_hooks(net: nn.Module, *parts: nn.Module) -> None:
    """Refuse forward hooks that do not run if only these parts of a network do."""
    skipped = hooks_outside(net, *parts)
    if skipped:
        raise UnsupportedModelError(
            "every forward hook must run for the logits to be the network's, got hooks on "
            f"{', '.join(skipped)}, around or outside the features and the head; put them on other "
            'modules, or use cameval.adapt(net, layer="name.of.layer")'
        )


def _cut(net: nn.Module) -> CAMModel:
    """Split a network once, and put its parts into a model."""
    check_forward(net)
    parts = split(net)
    if not isinstance(parts, Split):  # a registered function may return a pair of modules
        parts = Split(*parts)
    _check_hooks(net, *parts)
    cell_centers = parts.cell_centers or cell_centers_of(net, parts.features)
    model = CAMModel(parts.features, parts.head, cell_centers).cut_from(net)
    own = set(net.modules())
    for module in model.modules():
        if module not in own:  # made by the split
            module.training = net.training
    return model


def _replace_head(model: CAMModel, num_classes: int) -> CAMModel:
    channels = getattr(model.head, "in_channels", None)
    if not isinstance(channels, int):
        raise UnsupportedHeadError(
            "the head must say how many channels it takes (in_channels) to be replaced by a new "
            f"one, got {type(model.head).__name__}; "
            f"build cameval.CAMModel(features, cameval.GAPHead(nn.Linear(channels, {num_classes})))"
        )
    features = copy.deepcopy(model.features)
    weight = next(model.parameters())
    head = GAPHead(nn.Linear(channels, num_classes, device=weight.device, dtype=weight.dtype))
    return CAMModel(features, head, model.cell_centers).train(model.training)

"""From any network to one whose class activation maps can be taken."""

import copy
from typing import TypeVar, overload

from torch import nn

from cameval.errors import SettingError, UnsupportedHeadError, UnsupportedModelError
from cameval.networks._module_types import bare, hooks_outside, overridden
from cameval.networks._receptive_fields import cell_centers_of
from cameval.networks.activations import same
from cameval.networks.families import check_forward, split
from cameval.networks.heads import GAPHead
from cameval.networks.layers import Grid, LayerModel
from cameval.networks.model import CAMModel

__all__ = ["adapt"]

Model = TypeVar("Model", CAMModel, LayerModel)


@overload
def adapt(net: nn.Module, *, num_classes: int | None = None) -> CAMModel: ...
@overload
def adapt(net: nn.Module, *, layer: str, grid: Grid = same) -> LayerModel: ...
@overload
def adapt(
    net: nn.Module, *, num_classes: int | None = None, layer: str | None = None, grid: Grid = same
) -> CAMModel | LayerModel: ...


def adapt(
    net: nn.Module, *, num_classes: int | None = None, layer: str | None = None, grid: Grid = same
) -> CAMModel | LayerModel:
    """Make a network ready for class activation mapping. The network itself is never changed.

    Parameters
    ----------
    net
        A network of a family that `split` knows, or, with `layer`, any network. Parts that you put
        in the place of its own, such as another pool, are taken as they are. One that is wrapped by
        ``torch.compile``, ``DataParallel`` or ``DistributedDataParallel`` is explained through the
        network inside, on its own device.
    num_classes
        If given, put a fresh, untrained head (global average pooling and one linear layer) for this
        many classes on a *copy* of the network's features: the change that Zhou et al. and the
        brain-tumor study make to AlexNet and VGG. The result is a network of its own, to be
        trained; training it leaves `net` as it is.
    layer
        If given, explain the network at this inner layer (a dotted module name) instead of at its
        last features.
    grid
        How the output of `layer` becomes feature maps, where it is not one: :class:`TokenGrid` for
        the tokens of a vision transformer, :func:`channels_last_grid` for Swin.

    Returns
    -------
    CAMModel or LayerModel
        Without `num_classes`, a view on the same modules: its logits equal ``net(x)`` bit for bit,
        which `check_cut` proves on given images.
        A :class:`CAMModel` or :class:`LayerModel` comes back as it is, if it adds nothing to its
        class.

    Raises
    ------
    UnsupportedModelError
        If `split` does not know the network; with the lines that would declare it. Or if forward
        hooks on the network itself, between features and head or on all modules of the process, or
        what a subclass or the instance puts in the place of ``forward`` or ``__call__``, would not
        run as they do.
    UnsupportedHeadError
        If a fresh head is asked for and the channels of the features do not follow from the old.
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
        if isinstance(net, CAMModel):  # which is cut between its stages
            _check_unchanged(net)
        return LayerModel(net, layer, grid)
    if num_classes is not None and num_classes < 1:
        raise SettingError(f"num_classes must be at least 1, got {num_classes}")
    if isinstance(net, LayerModel) and num_classes is None:
        return _as_it_is(net)
    net = unwrap(net)
    model = _as_it_is(net) if isinstance(net, CAMModel) else _cut(net)
    return model if num_classes is None else _with_fresh_head(model, num_classes)


def unwrap(net: nn.Module) -> nn.Module:
    """Return the network inside ``torch.compile`` and the data-parallel wrappers."""
    inner = bare(net)
    if isinstance(inner, nn.DataParallel | nn.parallel.DistributedDataParallel):
        inner = inner.module
    return inner if inner is net else unwrap(inner)


def _as_it_is(model: Model) -> Model:
    """Return one of cameval's models, whose parts must be all that it runs."""
    _check_unchanged(model)
    _check_hooks(model, *model.children())
    if isinstance(model, CAMModel) and model.origin is not None:
        _check_hooks(model.origin, *model.children())
    return model


def _check_unchanged(model: CAMModel | LayerModel) -> None:
    """Refuse a model with a ``forward`` of its own, since maps are made of its parts."""
    base = CAMModel if isinstance(model, CAMModel) else LayerModel
    whose = overridden(model, base)
    if whose:
        raise UnsupportedModelError(
            f"a {base.__name__} must compute what its parts compute, got a forward of {whose}'s "
            "own; put what it adds into a module inside"
        )


def _check_hooks(net: nn.Module, *parts: nn.Module) -> None:
    """Refuse forward hooks that do not run if only these parts of a network do."""
    lost = hooks_outside(net, *parts)
    if lost:
        raise UnsupportedModelError(
            "every forward hook must run for the logits to be the network's, got hooks on "
            f"{', '.join(lost)}, around or outside the features and the head; put them on other "
            'modules, or use cameval.adapt(net, layer="name.of.layer")'
        )


def _cut(net: nn.Module) -> CAMModel:
    check_forward(net)
    features, head = split(net)
    _check_hooks(net, features, head)
    model = CAMModel(features, head, cell_centers=cell_centers_of(net)).cut_from(net)
    theirs = set(net.modules())
    for module in model.modules():
        if module not in theirs:
            module.training = net.training
    return model


def _with_fresh_head(model: CAMModel, num_classes: int) -> CAMModel:
    channels = getattr(model.head, "in_channels", None)
    if not isinstance(channels, int):
        raise UnsupportedHeadError(
            "the head must say how many channels it takes (in_channels) for a fresh one to be put "
            f"in its place, got {type(model.head).__name__}; "
            f"build cameval.CAMModel(features, cameval.GAPHead(nn.Linear(channels, {num_classes})))"
        )
    features = copy.deepcopy(model.features)
    weight = next(model.parameters())
    head = GAPHead(nn.Linear(channels, num_classes, device=weight.device, dtype=weight.dtype))
    return CAMModel(features, head, model.cell_centers).train(model.training)

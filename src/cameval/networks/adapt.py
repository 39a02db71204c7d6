"""Adaptation of a network: a model with features, a head, and recorded activations."""

import copy
import warnings
from typing import TypeVar, overload

from torch import Tensor, nn

from cameval._checks import check_count
from cameval.errors import SettingError, UnsupportedHeadError, UnsupportedModelError
from cameval.networks._copies import needs_copy
from cameval.networks._module_types import (
    calls_compiled,
    find_override,
    hooks_outside,
    unwrap_compiled,
)
from cameval.networks._placement import Placement, warn_of_placement
from cameval.networks._receptive_fields import cell_centers_of
from cameval.networks._search import find_layer_name, pooled_tokens, search_cut
from cameval.networks._selection import Select, SelectedOutput, is_of_transformers, logits_of
from cameval.networks.families import (
    Split,
    check_forward,
    declared_class,
    forward_override,
    is_declared_by_user,
    split,
)
from cameval.networks.grids import Grid, TokenGrid, identity
from cameval.networks.heads import GAPHead
from cameval.networks.layers import LayerModel
from cameval.networks.model import MODELESS, CAMModel

__all__ = ["adapt"]

Model = TypeVar("Model", CAMModel, LayerModel)
Placed = TypeVar("Placed", bound=CAMModel | LayerModel)


@overload
def adapt(
    net: nn.Module,
    *,
    num_classes: int,
    select: Select | None = None,
    images: Tensor | None = None,
) -> CAMModel: ...
@overload
def adapt(
    net: nn.Module,
    *,
    layer: str | nn.Module,
    grid: Grid = identity,
    select: Select | None = None,
) -> LayerModel: ...
@overload
def adapt(
    net: nn.Module,
    *,
    num_classes: int | None = None,
    layer: str | nn.Module | None = None,
    grid: Grid = identity,
    select: Select | None = None,
    images: Tensor | None = None,
) -> CAMModel | LayerModel: ...


def adapt(
    net: nn.Module,
    *,
    num_classes: int | None = None,
    layer: str | nn.Module | None = None,
    grid: Grid = identity,
    select: Select | None = None,
    images: Tensor | None = None,
) -> CAMModel | LayerModel:
    """Prepare a network for class activation mapping. The network itself is never changed.

    Parameters
    ----------
    net
        Any network. Modules that you replaced, such as the pool, are used as they are. A network
        that is wrapped by ``torch.compile`` (with a warning: it runs uncompiled), ``DataParallel``
        or ``DistributedDataParallel`` is unwrapped, and runs on its own device. Of a classifier of
        transformers the logits are used.
    num_classes
        If given, put a new, untrained head (global average pooling and one linear layer) for this
        many classes on a *copy* of the network's features: the change that Zhou et al. and the
        brain-tumor study make to AlexNet and VGG. The result shares nothing with `net` and is to be
        trained.
    layer
        If given, take the features from this inner layer (a module of the network, or its dotted
        name) instead of the last features.
    grid
        How the output of `layer` becomes feature maps, where it is not one: :class:`TokenGrid` for
        the tokens of a vision transformer, :func:`channels_last_grid` for Swin. A
        :class:`TokenGrid` without `layer` gives the order of the tokens of a vision transformer of
        your own; then its layer is found as those of timm's.
    select
        From what the network returns to its logits ``(N, C)``, where that is not one tensor:
        ``lambda outputs: outputs["logits"]``.
    images
        Images ``(N, channels, H, W)`` for the trial, see the notes. By default random ones, of the
        size in the network's configuration or of common sizes.

    Returns
    -------
    CAMModel or LayerModel
        Without `num_classes`, a model of the same modules, whose logits are those of ``net(x)``. A
        :class:`LayerModel` where `layer` is given, where the layer is proved but the head is not
        one module, and of vision transformers whose classifier reads the class token alone; there
        the layer is the input of the last attention. A
        :class:`CAMModel` or :class:`LayerModel` is returned as it is, if it adds nothing to its
        class.

    Warns
    -----
    PlacementWarning
        If the network crops, pads, flips or turns the image before its first convolution.

    Raises
    ------
    UnsupportedModelError
        If no cut of the network is declared or proved; the message lists layers that maps can be
        taken from. Also if the network does not run on the images of the trial, or does not return
        one tensor.
    UnsupportedHeadError
        If a new head is asked for and the old one does not say how many channels the features have.
    LayerError
        If the network has no such layer.
    SettingError
        If `num_classes` is not positive, or settings are given that exclude each other; or `grid`
        is given without `layer`, and is no :class:`TokenGrid`; or `select` fails.

    Notes
    -----
    Networks of torchvision and of classes registered with `split` are cut as declared. Any other
    network is tried once, on a private copy. Its cut is *proved* if a linear layer returns the
    logits, bit for bit, and reads the mean of some layer's output, with or without a LayerNorm
    between them; then `cam` is exact. Where the head has several layers, the cut is proved if the
    first of them reads such a mean, of the last layer with positions; then gradient methods work. A
    ReLU between them that is a function is part of the features, and `layer` of the model says so:
    ``"conv5 (after ReLU)"``. ``layer="conv5"`` takes what is before it, and gives other maps. What
    is between them in training mode only, such as dropout, is not part of the cut. In each later
    pass the logits of the cut are compared with those of the network. A network that keeps timm's
    contract, and whose cut is not proved, is cut between its ``forward_features`` and its
    ``forward_head``. Its channels are ``num_features``, or else the axis with as many entries as a
    linear layer has inputs.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from torchvision.models import resnet18, vgg11
    >>> from cameval import adapt
    >>> adapt(resnet18()).head.linear.out_features
    1000
    >>> model = adapt(vgg11(), num_classes=3)
    >>> model(torch.rand(1, 3, 64, 64)).shape
    torch.Size([1, 3])
    >>> net = resnet18()
    >>> adapt(net, layer=net.layer3).layer
    'layer3'

    A network of your own, whose last layers are pooling and one linear layer:

    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.body, self.classify = nn.Conv2d(1, 8, 3), nn.Linear(8, 2)
    ...     def forward(self, x):
    ...         return self.classify(self.body(x).relu().mean((2, 3)))
    >>> model = adapt(Net())
    >>> model.features.layer, type(model.head).__name__
    ('body', 'GAPHead')
    """
    if num_classes is not None:
        check_count("num_classes", num_classes)
        if layer is not None:
            raise SettingError(
                f"num_classes and layer must not both be given, got {num_classes} and {layer!r}; "
                "adapt with num_classes first, then adapt the result with layer"
            )
    tokens = _order_of_tokens(grid) if layer is None else None
    warn_of_compiled(net)
    name = None if layer is None else find_layer_name(unwrap(net), layer)
    if isinstance(net, LayerModel) and (name, num_classes, select) == (None, None, None):
        return _check_adapted(net)
    net, prefix = _select_logits(unwrap(net), select)
    if name is not None:
        if isinstance(net, CAMModel):  # it may be cut between its stages
            _check_own_forward(net)
        return _placed(LayerModel(net, prefix + name, grid), net)
    if isinstance(net, CAMModel):
        model: CAMModel | LayerModel = _check_adapted(net)
    else:
        model = _cut(net, images, tokens)
    return model if num_classes is None else _replace_head(model, num_classes)


def _order_of_tokens(grid: Grid) -> TokenGrid | None:
    """Return the grid that is given without a layer, which must be one of tokens."""
    if grid is identity:
        return None
    if not isinstance(grid, TokenGrid):
        raise SettingError(
            f"grid without layer must be a TokenGrid, got {grid!r}; name the layer, too: "
            'cameval.adapt(net, layer="name.of.layer", grid=...)'
        )
    return grid


def _select_logits(net: nn.Module, select: Select | None) -> tuple[nn.Module, str]:
    """Return a network that returns its logits alone, and the prefix of its layers' names."""
    if select is None and is_of_transformers(net):
        select = logits_of
    return (net, "") if select is None else (SelectedOutput(net, select), "net.")


def unwrap(net: nn.Module) -> nn.Module:
    """Return the network inside ``torch.compile`` and the data-parallel wrappers."""
    inner = unwrap_compiled(net)
    if isinstance(inner, nn.DataParallel | nn.parallel.DistributedDataParallel):
        inner = inner.module
    return inner if inner is net else unwrap(inner)


def warn_of_compiled(net: nn.Module) -> None:
    """Warn that a network that is compiled as a whole runs uncompiled.

    Warns
    -----
    UserWarning
        If ``torch.compile`` or ``net.compile()`` was called on the network.
    """
    inner: nn.Module = net.net if isinstance(net, LayerModel) else net
    while True:
        if calls_compiled(inner):
            warnings.warn(
                "maps need the parts of a network, and torch.compile compiled the "
                f"{type(unwrap(inner)).__name__} as a whole: it runs uncompiled, with the same "
                "values. To run it compiled, compile its features: model = cameval.adapt(net.eval"
                "()), then model.features.compile(), and pass the model in place of the network",
                stacklevel=3,
            )
            return
        if not isinstance(inner, nn.DataParallel | nn.parallel.DistributedDataParallel):
            return
        inner = inner.module


def warn_of_compiled_parts(model: CAMModel | LayerModel, *, copied: bool) -> None:
    """Warn that compiled parts of a network run uncompiled in a private copy.

    Parameters
    ----------
    model
        A model of `adapt`.
    copied
        Whether a private copy runs in any case. Otherwise it does so in training mode, and where
        the features are those of an inner layer.

    Warns
    -----
    UserWarning
        If a part is compiled, and the copy runs.
    """
    parts = [part for part in model.modules() if calls_compiled(part)]
    if parts and (copied or not isinstance(model, CAMModel) or needs_copy(model, MODELESS)):
        warnings.warn(
            f"compiled parts of the network, {len(parts)} of them, run uncompiled, with the same "
            "values, since maps need a private copy; to run them compiled, put the network into "
            "evaluation mode, and use precision='exact' and the last features",
            stacklevel=2,
        )


def _check_adapted(model: Model) -> Model:
    """Check that one of cameval's models runs nothing but its parts, and return it."""
    _check_own_forward(model)
    _check_hooks(model, *model.children())
    if isinstance(model, CAMModel) and model.origin is not None:
        _check_hooks(model.origin, *model.children())
    if isinstance(model, LayerModel) and model.placement is None:
        _placed(model, model.net)
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


def _cut(net: nn.Module, images: Tensor | None, tokens: TokenGrid | None) -> CAMModel | LayerModel:
    """Cut a network, and put the modules that the cut made into its mode."""
    found = _find_cut(net, images) if tokens is None else search_cut(net, images, tokens)
    model = _placed(found, net)
    own = set(net.modules())
    for module in model.modules():
        if module not in own:
            module.training = net.training
    return model


def _find_cut(net: nn.Module, images: Tensor | None) -> CAMModel | LayerModel:
    """Cut a network as its class declares, or as a trial shows."""
    if declared_class(net) is None:
        return search_cut(net, images)
    try:
        return _cut_as_declared(net)
    except UnsupportedModelError as refused:
        try:
            return search_cut(net, images)
        except UnsupportedModelError as unproved:
            raise refused from unproved


def _placed(model: Placed, net: nn.Module) -> Placed:
    """Return a new model, with what its network does to the image before the layers.

    Warns
    -----
    PlacementWarning
        If a part of the image is not seen at its place.
    """
    if _sees_all(net):
        model.placement = Placement()
    if model.placement is None:
        model.placement = Placement.of_network(net)
    warn_of_placement(net, model.placement)
    return model


def _sees_all(net: nn.Module) -> bool:
    """Tell whether the network is one of torchvision's as they are, which see the whole image."""
    declared = declared_class(net) is not None and not is_declared_by_user(net)
    return declared and forward_override(net) is None


def _cut_as_declared(net: nn.Module) -> CAMModel:
    """Split a network once, and put its parts into a model."""
    check_forward(net)
    parts = split(net)
    if not isinstance(parts, Split):  # a registered function may return a pair of modules
        parts = Split(*parts)
    _check_hooks(net, *parts)
    cell_centers = parts.cell_centers or cell_centers_of(net, parts.features)
    return CAMModel(parts.features, parts.head, cell_centers).cut_from(net)


def _replace_head(model: CAMModel | LayerModel, num_classes: int) -> CAMModel:
    if isinstance(model, LayerModel):
        model = pooled_tokens(model)
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
    replaced = CAMModel(features, head, model.cell_centers).train(model.training)
    replaced.placement = model.placement
    return replaced

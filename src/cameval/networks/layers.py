"""Hooks at inner layers of any network, which record the activations there."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cameval._names import near_names
from cameval.errors import LayerError
from cameval.maps import CellCenters
from cameval.networks._copies import private_copy, refuse_changes
from cameval.networks._dtypes import run_on
from cameval.networks._folding import check_not_folded
from cameval.networks._placement import Placement
from cameval.networks._selection import own_name, own_network
from cameval.networks.activations import (
    Activations,
    check_feature_maps,
    fresh_leaf,
    recording,
)
from cameval.networks.families import cut_after
from cameval.networks.grids import Grid, are_channels_last, grid_for, identity
from cameval.networks.model import CAMModel

__all__ = ["LayerModel"]


class LayerModel(nn.Module):
    """A network whose features are the output of one of its inner layers.

    Parameters
    ----------
    net
        Any network that returns one tensor. It is shared, and never changed.
    layer
        The dotted name of one of its modules, as in ``net.named_modules()``.
    grid
        How the layer's output becomes feature maps ``(N, K, h, w)``; by default it is used as it
        is. See :class:`TokenGrid` and :func:`channels_last_grid`.
    cell_centers
        Centers of the layer's cells in the image, if they are known.

    Attributes
    ----------
    head_layers
        Names of the layers of the head, where `cameval.adapt` found the layer, and the head is
        several layers; else empty.

    Raises
    ------
    LayerError
        If the network has no such layer.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import resnet18
    >>> from cameval.networks import LayerModel
    >>> LayerModel(resnet18(), "layer3.0").activations(torch.rand(1, 3, 64, 64)).features.shape
    torch.Size([1, 256, 4, 4])
    """

    placement: Placement | None = None  # None: not looked at yet
    head_layers: tuple[str, ...] = ()

    def __init__(
        self,
        net: nn.Module,
        layer: str,
        grid: Grid = identity,
        cell_centers: CellCenters | None = None,
    ) -> None:
        super().__init__()
        check_layer(net, layer)
        self.net = net
        self.layer = layer
        self.grid = grid
        self.cell_centers = cell_centers

    def __repr__(self) -> str:
        """Return the type of the network and the layer, without the modules."""
        net = own_network(
            self.net.origin or self.net if isinstance(self.net, CAMModel) else self.net
        )
        return f"{type(self).__name__}({type(net).__name__}, {self.extra_repr()})"

    def extra_repr(self) -> str:
        """Return the name of the layer, for the repr.

        Examples
        --------
        >>> from torchvision.models import resnet18
        >>> from cameval.networks import LayerModel
        >>> LayerModel(resnet18(), "layer3")
        LayerModel(ResNet, layer='layer3')
        >>> LayerModel(resnet18(), "layer3").extra_repr()
        "layer='layer3'"
        """
        return f"layer={own_name(self.net, self.layer)!r}"

    def forward(self, images: Tensor) -> Tensor:
        """Return the output of the network."""
        outputs: Tensor = run_on(self.net, images, self.net)
        return outputs

    def activations(self, images: Tensor, *, create_graph: bool = False) -> Activations:
        """Run the network once, and record the graph from the layer on.

        If the layer is one of the stages of a declared network, the network is cut there.
        Otherwise a forward hook is put on a private copy in evaluation mode, so that the user's
        network and other threads do not see the hook.

        Parameters
        ----------
        images
            Images ``(N, channels, H, W)`` as the network expects them.
        create_graph
            Record the graph of the whole network, in its own mode, so that maps can be part of a
            loss.

        Returns
        -------
        Activations
            The layer's output as features, the logits, and the gradient between them.

        Raises
        ------
        LayerError
            If the layer did not run exactly once, or its output is no tensor ``(N, K, h, w)``.
        SettingError
            If `create_graph` is set where autograd is switched off.
        """
        cut = cut_after(self.net, self.layer) if self.grid is identity else None
        if cut is not None:
            made = cut.activations(images, create_graph=create_graph)
            _check_order(made.features, images, self.layer, self.net.get_submodule(self.layer))
            return made
        grids = {self.layer: self.grid}
        recorded = layer_activations(self.net, grids, images, create_graph=create_graph)[self.layer]
        if isinstance(recorded.network, LayerModel):
            recorded.network.head_layers = self.head_layers
        return recorded


def layer_activations(
    net: nn.Module, grids: Mapping[str, Grid], images: Tensor, *, create_graph: bool = False
) -> dict[str, Activations]:
    """Run a network once, and record the graph from the first of several layers on.

    Parameters
    ----------
    net
        Any network that returns one tensor.
    grids
        How the output of each named layer becomes feature maps.
    images
        Images ``(N, channels, H, W)`` as the network expects them.
    create_graph
        See :meth:`LayerModel.activations`.

    Returns
    -------
    dict of str to Activations
        One for each layer, in the order of `grids`.

    Raises
    ------
    LayerError
        If a layer does not exist, did not run exactly once, or its output is no feature map.
    SettingError
        If `create_graph` is set where autograd is switched off.
    """
    images = images.clone() if images.is_inference() else images
    clone = private_copy(net, create_graph=create_graph)
    sources: dict[str, list[Tensor]] = {layer: [] for layer in grids}

    def cut(layer: str, output: Any) -> Tensor:
        # Two clones: modules before may use the layer's memory (a skip connection, an identity),
        # and modules after may write to their input.
        source = _check_tensor(output, layer).clone()
        if source.dtype in (torch.float16, torch.bfloat16):
            source = source.float()
        if not source.requires_grad:
            source = fresh_leaf(source)
        sources[layer].append(source)
        torch.set_grad_enabled(True)  # until the enclosing context ends
        return source.clone().to(output.dtype)

    handles = []
    for layer in grids:
        module = check_layer(clone, layer)
        check_not_folded(module, layer)
        handles.append(module.register_forward_hook(_output_hook(partial(cut, layer))))
    guard = nullcontext() if create_graph else refuse_changes(net)
    with guard, recording(create_graph):
        outputs = run_on(clone, images, clone)
    for handle in handles:
        handle.remove()

    def rerun(layer: str, features: Tensor, inputs: Tensor) -> Tensor:
        if grids[layer] is not identity:
            raise LayerError(
                f"features of layer {layer!r} can be replaced only if they are its output, got a "
                "layer with a grid; use a gradient method"
            )
        handle = clone.get_submodule(layer).register_forward_hook(_output_hook(features.to))
        try:
            replaced: Tensor = run_on(clone, inputs, clone)
        finally:
            handle.remove()
        return replaced

    activations = {}
    for layer, grid in grids.items():
        if len(sources[layer]) != 1:
            raise LayerError(
                f"layer {layer!r} must run once in a forward pass, got {len(sources[layer])} runs; "
                "name the block around it or a module that runs once"
            )
        (source,) = sources[layer]
        made = grid_for(grid, images)
        features = check_feature_maps(made(source), f"layer {layer!r}")
        if grid is identity:
            _check_order(features, images, layer, clone.get_submodule(layer))
        activations[layer] = Activations.record(
            images,
            source,
            outputs,
            network=LayerModel(clone, layer, grid),
            rerun=partial(rerun, layer),
            grid=made,
            create_graph=create_graph,
        )
    return activations


def layer_name(net: nn.Module, layer: str | nn.Module) -> str:
    """Return the name of a layer, which is given by its name or itself.

    Raises
    ------
    LayerError
        If the network has no such layer.
    """
    if isinstance(layer, str):
        check_layer(net, layer)
        return layer
    if not isinstance(layer, nn.Module):
        raise LayerError(
            f"layer must be one layer, a module or its name, got a {type(layer).__name__}; for "
            "several layers use cameval.extractor.CAMSweep(net, methods, layers=[...])"
        )
    names: dict[nn.Module, str] = {module: name for name, module in net.named_modules()}
    name = names.get(layer)
    if not name:
        raise LayerError(
            f"layer must be a module inside the {type(net).__name__}, got a "
            f"{type(layer).__name__} that is not; take it from the network itself, as net.layer3"
        )
    return name


def check_layer(net: nn.Module, layer: str) -> nn.Module:
    """Return the module of this name; the error lists similar names.

    Raises
    ------
    LayerError
        If the network has no such layer.
    """
    modules: dict[str, nn.Module] = {name: part for name, part in net.named_modules() if name}
    if layer not in modules:
        close = near_names(layer, modules) or [*modules][-3:]
        raise LayerError(
            f"layer must name a module of {type(net).__name__}, got {layer!r}; "
            f"close names are {', '.join(map(repr, close))}"
        )
    return modules[layer]


def _check_order(features: Tensor, images: Tensor, layer: str, module: nn.Module) -> None:
    """Check that the channels of the features of a layer are not their last axis."""
    if are_channels_last(tuple(features.shape), tuple(images.shape), module):
        raise LayerError(
            f"layer {layer!r} must return (N, channels, h, w), got {tuple(features.shape)} for "
            f"images of {images.shape[2]} x {images.shape[3]}, which seems to be (N, h, w, "
            "channels); give grid=cameval.networks.channels_last_grid, or a function that returns "
            "the output if it is not"
        )


def _output_hook(function: Callable[[Any], Tensor]) -> Callable[..., Tensor]:
    """Return a forward hook that replaces a module's output by a function of it."""
    return lambda _module, _inputs, output: function(output)


def _check_tensor(output: object, layer: str) -> Tensor:
    if not isinstance(output, Tensor):
        raise LayerError(
            f"layer {layer!r} must return one tensor, got {type(output).__name__}; "
            "name one of the modules inside it"
        )
    return output

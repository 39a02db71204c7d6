"""A network hooked at inner layers: any layer of any network, several in one pass."""

import difflib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn

from cameval.errors import LayerError, SettingError, ShapeError
from cameval.maps import CellCenters
from cameval.networks._copies import private_copy, unchanged
from cameval.networks.activations import (
    Activations,
    feature_maps,
    fresh_leaf,
    recording,
    same,
)
from cameval.networks.families import cut_after

__all__ = ["Grid", "LayerModel", "TokenGrid", "channels_last_grid"]

Grid = Callable[[Tensor], Tensor]
"""From a layer's output to feature maps ``(N, K, h, w)``, by selecting and ordering its entries."""


@dataclass(frozen=True)
class TokenGrid:
    """The tokens of a vision transformer as feature maps.

    Parameters
    ----------
    skip
        Tokens before those of the patches, such as the class token.
    size
        Height and width of the grid of patches, by default a square.

    Raises
    ------
    SettingError
        If `skip` is negative or `size` not positive.

    Examples
    --------
    >>> TokenGrid()(torch.rand(2, 197, 768)).shape
    torch.Size([2, 768, 14, 14])
    """

    skip: int = 1
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.skip < 0:
            raise SettingError(f"skip must not be negative, got {self.skip}")
        if self.size is not None and min(self.size) < 1:
            raise SettingError(f"size must be positive, got {self.size}")

    def __call__(self, output: Tensor, /) -> Tensor:
        """Turn tokens ``(N, skip + h w, K)`` into maps ``(N, K, h, w)``."""
        if output.ndim != 3:
            raise ShapeError(f"tokens must have shape (N, T, K), got {tuple(output.shape)}")
        tokens = output[:, self.skip :]
        side = isqrt(tokens.shape[1])
        height, width = self.size or (side, side)
        if height * width != tokens.shape[1]:
            raise ShapeError(
                f"the {tokens.shape[1]} tokens after the first {self.skip} must fill a grid of "
                f"{height} x {width}; give TokenGrid the right skip or size"
            )
        return tokens.transpose(1, 2).reshape(*tokens.shape[::2], height, width)


def channels_last_grid(output: Tensor, /) -> Tensor:
    """Turn ``(N, h, w, K)``, as the inner layers of Swin give it, into maps ``(N, K, h, w)``.

    Examples
    --------
    >>> channels_last_grid(torch.rand(2, 7, 7, 768)).shape
    torch.Size([2, 768, 7, 7])
    """
    return output.movedim(-1, 1)


class LayerModel(nn.Module):
    """A network to be explained at one of its inner layers, reached by a hook.

    Parameters
    ----------
    net
        Any network that returns one tensor. It is shared, and never changed.
    layer
        The dotted name of one of its modules, as in ``net.named_modules()``.
    grid
        How the layer's output becomes feature maps ``(N, K, h, w)``: by default it is one. See
        :class:`TokenGrid` and :func:`channels_last_grid`.
    cell_centers
        Where the cells of the layer lie in the image, if that is known.

    Raises
    ------
    LayerError
        If the network has no such layer.

    Examples
    --------
    >>> from torchvision.models import resnet18
    >>> LayerModel(resnet18(), "layer3.0").activations(torch.rand(1, 3, 64, 64)).features.shape
    torch.Size([1, 256, 4, 4])
    """

    def __init__(
        self, net: nn.Module, layer: str, grid: Grid = same, cell_centers: CellCenters | None = None
    ) -> None:
        super().__init__()
        check_layer(net, layer)
        self.net = net
        self.layer = layer
        self.grid = grid
        self.cell_centers = cell_centers

    def forward(self, images: Tensor) -> Tensor:
        """Return what the network returns, unchanged."""
        outputs: Tensor = self.net(images)
        return outputs

    def activations(self, images: Tensor, *, create_graph: bool = False) -> Activations:
        """Run the network once, and record the graph from the layer on.

        Where the layer is a link of a declared network's chain of stages, the network is cut there.
        Elsewhere a hook finds it, on a private copy in evaluation mode, so that neither the user's
        network nor another thread ever meets it.

        Parameters
        ----------
        images
            Images ``(N, channels, H, W)`` as the network expects them.
        create_graph
            Record everything instead, in the network's own mode, so that what is made of the
            features and their gradient can be part of a loss.

        Returns
        -------
        Activations
            The layer's output as features, the logits, and the gradient between them.

        Raises
        ------
        LayerError
            If the layer did not run exactly once, or gave no tensor ``(N, K, h, w)``.
        SettingError
            If a graph is asked for where autograd is switched off.
        """
        cut = cut_after(self.net, self.layer) if self.grid is same else None
        if cut is not None:
            return cut.activations(images, create_graph=create_graph)
        grids = {self.layer: self.grid}
        return layer_activations(self.net, grids, images, create_graph=create_graph)[self.layer]


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
        If a layer does not exist, did not run exactly once, or gave no feature maps.
    SettingError
        If a graph is asked for where autograd is switched off.
    """
    images = images.clone() if images.is_inference() else images
    twin = private_copy(net, create_graph=create_graph)
    caught: dict[str, list[Tensor]] = {layer: [] for layer in grids}

    def cut(layer: str, output: Any) -> Tensor:
        # Two clones: what runs before may hold the layer's memory (a skip connection, an identity),
        # and what runs after may overwrite what it is given.
        source = _tensor(output, layer).clone()
        if not source.requires_grad:
            source = fresh_leaf(source)
        caught[layer].append(source)
        torch.set_grad_enabled(True)  # until the enclosing context ends
        return source.clone()

    handles = [
        check_layer(twin, layer).register_forward_hook(_hook(partial(cut, layer)))
        for layer in grids
    ]
    guard = nullcontext() if create_graph else unchanged(net)
    with guard, recording(create_graph):
        outputs = twin(images)
    for handle in handles:
        handle.remove()

    def rerun(layer: str, features: Tensor, shown: Tensor) -> Tensor:
        if grids[layer] is not same:
            raise LayerError(
                f"features of layer {layer!r} can be replaced only where they are its output, got "
                "a layer whose grid is made of it; use a gradient method"
            )
        handle = twin.get_submodule(layer).register_forward_hook(_hook(lambda _: features))
        try:
            replaced: Tensor = twin(shown)
        finally:
            handle.remove()
        return replaced

    found = {}
    for layer, grid in grids.items():
        if len(caught[layer]) != 1:
            raise LayerError(
                f"layer {layer!r} must run once in a forward pass, got {len(caught[layer])} runs; "
                "name the block around it or a module that runs once"
            )
        feature_maps(grid(caught[layer][0]), f"layer {layer!r}")
        found[layer] = Activations.record(
            images,
            caught[layer][0],
            outputs,
            network=LayerModel(twin, layer, grid),
            rerun=partial(rerun, layer),
            grid=grid,
            create_graph=create_graph,
        )
    return found


def check_layer(net: nn.Module, layer: str) -> nn.Module:
    """Return the module of this name, or say which names are close.

    Raises
    ------
    LayerError
        If the network has no such layer.
    """
    modules: dict[str, nn.Module] = {name: part for name, part in net.named_modules() if name}
    if layer not in modules:
        close = difflib.get_close_matches(layer, modules, n=3) or [*modules][-3:]
        raise LayerError(
            f"layer must name a module of {type(net).__name__}, got {layer!r}; "
            f"close names are {', '.join(map(repr, close))}"
        )
    return modules[layer]


def _hook(function: Callable[[Any], Tensor]) -> Callable[..., Tensor]:
    """Return a forward hook that looks at a module's output alone."""
    return lambda _module, _inputs, output: function(output)


def _tensor(output: object, layer: str) -> Tensor:
    if not isinstance(output, Tensor):
        raise LayerError(
            f"layer {layer!r} must give one tensor, got {type(output).__name__}; "
            "name one of the modules inside it"
        )
    return output

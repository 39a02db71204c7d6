"""The two ways to look inside a network: cut once by declaration, or hooked at a named layer."""

import difflib
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from cameval.errors import LayerError
from cameval.networks.activations import Activations, fresh_leaf, without_graph
from cameval.networks.copies import private_copy
from cameval.networks.heads import ClassMapHead, GAPHead, NormHead, PooledHead

__all__ = ["CAMModel", "LayerModel"]


class CAMModel(nn.Module):
    """A classifier cut in two: features, then head.

    Parameters
    ----------
    features
        From images to the last feature maps ``(N, K, h, w)``.
    head
        From feature maps to logits ``(N, C)``. A :class:`GAPHead` makes the class activation map
        exact.

    Notes
    -----
    ``model(x)`` is ``head(features(x))``: a plain network that trains, saves and moves as any
    other. Both parts may share their modules with another network; `adapt` says when they do.

    Examples
    --------
    >>> body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU())
    >>> model = CAMModel(body, GAPHead(nn.Linear(8, 2)))
    >>> model(torch.rand(4, 3, 16, 16)).shape
    torch.Size([4, 2])
    """

    def __init__(self, features: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N, C)`` of images ``(N, channels, H, W)``."""
        logits: Tensor = self.head(self.features(images))
        return logits

    def activations(self, images: Tensor) -> Activations:
        """Run the features without a graph and record the head alone.

        Always in evaluation mode: a network that is training is explained through a private copy
        and goes on training undisturbed.

        Parameters
        ----------
        images
            Images ``(N, channels, H, W)`` as the network expects them.

        Returns
        -------
        Activations
            Features, logits, and the gradient between them.

        Raises
        ------
        LayerError
            If the features are not one tensor ``(N, K, h, w)``.
        """
        model = private_copy(self) if _needs_copy(self) else self
        with without_graph():
            features = _feature_maps(model.features(images), "the features")
            leaf = fresh_leaf(features)
            with torch.enable_grad():
                # The clone lets a head begin with an in-place operation.
                return Activations.record(leaf, model.head(leaf.clone()), model.head)


class LayerModel(nn.Module):
    """A network to be explained at one of its inner layers, reached by a hook.

    Parameters
    ----------
    net
        Any network that returns logits ``(N, C)``. It is shared, and never changed.
    layer
        The dotted name of one of its modules, as in ``net.named_modules()``.

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

    def __init__(self, net: nn.Module, layer: str) -> None:
        super().__init__()
        names = [name for name, _ in net.named_modules() if name]
        if layer not in names:
            close = difflib.get_close_matches(layer, names, n=3) or names[-3:]
            raise LayerError(
                f"layer must name a module of {type(net).__name__}, got {layer!r}; "
                f"close names are {', '.join(map(repr, close))}"
            )
        self.net = net
        self.layer = layer

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the network, unchanged."""
        logits: Tensor = self.net(images)
        return logits

    def activations(self, images: Tensor) -> Activations:
        """Run the network once, and record the graph from the layer on.

        The hook lives on a private copy in evaluation mode, so that neither the user's network nor
        another thread ever meets it.

        Parameters
        ----------
        images
            Images ``(N, channels, H, W)`` as the network expects them.

        Returns
        -------
        Activations
            The layer's output as features, the logits, and the gradient between them.

        Raises
        ------
        LayerError
            If the layer did not run exactly once, or gave no tensor ``(N, K, h, w)``.
        """
        net = private_copy(self.net)
        leaves: list[Tensor] = []

        def cut(_module: nn.Module, _inputs: Any, output: Any) -> Tensor:
            # Two clones: what runs before may hold the layer's memory (a skip connection, an
            # identity), and what runs after may overwrite what it is given.
            features = _feature_maps(output, f"layer {self.layer!r}").clone()
            leaves.append(fresh_leaf(features))
            torch.set_grad_enabled(True)  # until the enclosing context ends
            return leaves[-1].clone()

        net.get_submodule(self.layer).register_forward_hook(cut)
        with without_graph():
            outputs = net(images)
        if len(leaves) != 1:
            raise LayerError(
                f"layer {self.layer!r} must run once in a forward pass, got {len(leaves)} runs; "
                "name the block around it or a module that runs once"
            )
        return Activations.record(leaves[0], outputs, head=None)


_MODELESS = (nn.Sequential, nn.Identity, CAMModel, GAPHead, ClassMapHead, NormHead, PooledHead)


def _needs_copy(net: nn.Module) -> bool:
    """Tell whether running `net` as it is would not be evaluation, or could not be recorded."""
    training = any(module.training for module in net.modules() if type(module) not in _MODELESS)
    return training or any(t.is_inference() for t in chain(net.parameters(), net.buffers()))


def _feature_maps(output: object, name: str) -> Tensor:
    if isinstance(output, Tensor) and output.ndim == 4 and output.is_floating_point():
        return output
    came = (
        f"{output.dtype} of shape {tuple(output.shape)}"
        if isinstance(output, Tensor)
        else type(output).__name__
    )
    raise LayerError(
        f"{name} must be one floating-point tensor (N, channels, h, w), got {came}; "
        "choose a layer before the pooling"
    )

"""Copies of a network with random weights."""

from collections.abc import Iterator, Sequence
from math import sqrt
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from cameval.errors import LayerError
from cameval.networks._copies import private_copy
from cameval.networks.activations import without_graph
from cameval.networks.layers import check_layer

Net = TypeVar("Net", bound=nn.Module)


_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm)


def untrained_copy(model: Net, seed: int = 0) -> Net:
    """Return a copy of a network in evaluation mode, with random weights.

    Parameters
    ----------
    model
        Any network of plain modules; it is not changed.
    seed
        Seed of the weights. The global random state is not changed, and the weights do not depend
        on the device.

    Returns
    -------
    nn.Module
        The last network of `randomized_copies`; see its notes for the distribution of the weights.

    Raises
    ------
    UnsupportedModelError
        If the network contains a compiled TorchScript module.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import resnet18
    >>> from cameval.sanity import untrained_copy
    >>> net = resnet18()
    >>> twin = untrained_copy(net, seed=1)
    >>> torch.equal(twin.fc.weight, net.fc.weight), twin.training, net.training
    (False, False, True)
    """
    copy = private_copy(model, own_buffers=False)
    generator = torch.Generator().manual_seed(seed)
    for name in reversed(weighted_modules(model)):
        _randomize(copy.get_submodule(name), generator)
    return copy


def randomized_copies(
    model: Net, seed: int = 0, layers: Sequence[str] | None = None
) -> Iterator[tuple[str, Net]]:
    """Yield copies of a network with random weights from the top down to each layer.

    Parameters
    ----------
    model
        Any network of plain modules; it is not changed.
    seed
        Seed of the weights. A layer gets the same random weights in all copies. The global random
        state is not changed, and the weights do not depend on the device.
    layers
        Names of modules, with one copy for each: all modules from the last registered one down to
        and including this one are random. By default each module that has weights of its own, which
        are many in deep networks.

    Yields
    ------
    tuple of str and nn.Module
        The name of the layer, and a copy in evaluation mode. The copy shares the weights that are
        not random with `model`.

    Raises
    ------
    LayerError
        If the network has no such layer, or the layer has no weights.
    UnsupportedModelError
        If the network contains a compiled TorchScript module.

    Notes
    -----
    The order of layers is that of ``model.named_modules()``; the last one is the top. The weights
    of linear and convolutional layers are normal with variance 2 / fan-in (He), which keeps the
    scale of the activations, and their biases are zero. Normalization layers are reset: running
    mean 0, running variance and scale 1. Any other floating-point parameter, as of an embedding or
    a scale, is normal with its own mean and standard deviation.

    References
    ----------
    J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.

    Examples
    --------
    >>> from torch import nn
    >>> from cameval.networks._randomize import randomized_copies
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3))
    >>> [name for name, _ in randomized_copies(net)]
    ['2', '0']
    """
    weighted = weighted_modules(model)
    stops = stops_of(model, weighted, layers)
    return _cascade(model, weighted, stops, seed)


def _cascade(
    model: Net, weighted: list[str], stops: dict[str, list[str]], seed: int
) -> Iterator[tuple[str, Net]]:
    generator = torch.Generator().manual_seed(seed)
    copy = private_copy(model, own_buffers=False)
    for name in reversed(weighted):
        _randomize(copy.get_submodule(name), generator)
        for stop in stops.get(name, ()):
            yield stop, private_copy(copy, own_buffers=False)


def weighted_modules(model: nn.Module) -> list[str]:
    """Return the names of modules with weights of their own, in the order of registration."""
    return [
        name
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False)) or isinstance(module, _NormBase)
    ]


def stops_of(
    model: nn.Module, weighted: list[str], layers: Sequence[str] | None
) -> dict[str, list[str]]:
    """Group the layers by their lowest module with weights."""
    if layers is None:
        return {name: [name] for name in weighted}
    stops: dict[str, list[str]] = {}
    for layer in layers:
        check_layer(model, layer)
        inside = [name for name in weighted if name == layer or name.startswith(f"{layer}.")]
        if not inside:
            raise LayerError(f"a layer to be randomized must have weights, got {layer!r}")
        stops.setdefault(inside[0], []).append(layer)
    return stops


def _randomize(module: nn.Module, generator: torch.Generator) -> None:
    """Give a module of a private copy new, random weights."""
    with without_graph():
        for tensors in (vars(module)["_parameters"], vars(module)["_buffers"]):
            for name, tensor in tensors.items():
                tensors[name] = tensor.clone() if isinstance(tensor, Tensor) else tensor
        if isinstance(module, _NORMS):
            module.reset_parameters()
            return
        parameters = vars(module)["_parameters"]
        for name, tensor in parameters.items():
            if isinstance(tensor, Tensor) and tensor.is_floating_point():
                parameters[name] = _draw_weights(module, name, tensor, generator)


def _draw_weights(
    module: nn.Module, name: str, tensor: Tensor, generator: torch.Generator
) -> Tensor:
    layer = isinstance(module, nn.Linear | _ConvNd)
    if layer and name == "bias":
        return torch.zeros_like(tensor)
    noise = torch.randn(tensor.shape, generator=generator).to(tensor.device, tensor.dtype)
    if layer and name == "weight":
        return noise * sqrt(2 / max(1, tensor[0].numel()))
    return tensor.mean() + tensor.std(correction=0) * noise

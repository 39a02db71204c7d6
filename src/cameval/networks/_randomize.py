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


def untrained(model: Net, seed: int = 0) -> Net:
    """Return a private copy in evaluation mode, all of whose weights are random.

    Parameters
    ----------
    model
        Any network of plain modules; it is not changed.
    seed
        Of the weights. No global random state is touched, and the weights do not depend on the
        device.

    Returns
    -------
    nn.Module
        The last network of `randomized_copies`, whose notes say what the weights are.

    Raises
    ------
    UnsupportedModelError
        If the network holds a compiled TorchScript module.

    Examples
    --------
    >>> from torchvision.models import resnet18
    >>> net = resnet18()
    >>> twin = untrained(net, seed=1)
    >>> torch.equal(twin.fc.weight, net.fc.weight), twin.training, net.training
    (False, False, True)
    """
    copy = private_copy(model, own_buffers=False)
    generator = torch.Generator().manual_seed(seed)
    for name in reversed(_weighted(model)):
        _randomize(copy.get_submodule(name), generator)
    return copy


def randomized_copies(
    model: Net, seed: int = 0, layers: Sequence[str] | None = None
) -> Iterator[tuple[str, Net]]:
    """Give copies of a network that are random from the top down to ever lower layers.

    Parameters
    ----------
    model
        Any network of plain modules; it is not changed.
    seed
        Of the weights. A layer gets the same random weights in all copies. No global random state
        is touched, and the weights do not depend on the device.
    layers
        Where to stop for a copy, as names of modules: everything from the last registered module
        down to this one, itself included, is random. By default each module that has weights of its
        own, which for deep networks are many.

    Yields
    ------
    tuple of str and nn.Module
        The name of the layer, and a private copy in evaluation mode. The copy shares the weights
        that are not random with `model`, and none that are.

    Raises
    ------
    LayerError
        If the network has no such layer, or the layer has no weights.
    UnsupportedModelError
        If the network holds a compiled TorchScript module.

    Notes
    -----
    Layers count in the order of ``model.named_modules()``, the last one being the top. The weights
    of linear and convolutional layers are normal with variance 2 / fan-in (He), which keeps the
    scale of what passes, and their biases zero. Normalization layers begin anew: running mean 0,
    running variance and scale 1. Any other floating-point parameter, such as an embedding or a
    scale, is normal with its own mean and spread.

    References
    ----------
    J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018.

    Examples
    --------
    >>> from cameval.networks._randomize import randomized_copies
    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3))
    >>> [name for name, _ in randomized_copies(net)]
    ['2', '0']
    """
    weighted = _weighted(model)
    stops = _stops(model, weighted, layers)
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


def _weighted(model: nn.Module) -> list[str]:
    """Names of the modules that have weights of their own, in the order of registration."""
    return [
        name
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False)) or isinstance(module, _NormBase)
    ]


def _stops(
    model: nn.Module, weighted: list[str], layers: Sequence[str] | None
) -> dict[str, list[str]]:
    """Group the layers by the lowest module with weights that is random when they are."""
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
    """Give a module of a private copy weights of its own."""
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
                parameters[name] = _drawn(module, name, tensor, generator)


def _drawn(module: nn.Module, name: str, tensor: Tensor, generator: torch.Generator) -> Tensor:
    layer = isinstance(module, nn.Linear | _ConvNd)
    if layer and name == "bias":
        return torch.zeros_like(tensor)
    noise = torch.randn(tensor.shape, generator=generator).to(tensor.device, tensor.dtype)
    if layer and name == "weight":
        return noise * sqrt(2 / max(1, tensor[0].numel()))
    return tensor.mean() + tensor.std(correction=0) * noise

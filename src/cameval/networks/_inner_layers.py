"""Activations of several inner layers of a recorded network, from one pass each way."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import _AvgPoolNd, _MaxPoolNd

from cameval._names import near_names
from cameval.errors import LayerError, SettingError
from cameval.networks._copies import Origin, private_copy, refuse_changes
from cameval.networks._module_types import runs_code_of
from cameval.networks.activations import Activations, ScoreTarget, without_graph
from cameval.networks.grids import identity
from cameval.networks.layers import LayerModel, layer_activations

Choice = Callable[[Activations], tuple[str, ...]]
"""From recorded activations to the names of layers of their network."""

_SPATIAL = (_ConvNd, _BatchNorm, nn.InstanceNorm2d, nn.GroupNorm, _MaxPoolNd, _AvgPoolNd)

_ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU),
    *(nn.Mish, nn.Softplus, nn.Tanh, nn.Sigmoid, nn.Hardswish, nn.Hardtanh),
)


def check_layers(layers: object) -> tuple[str, ...] | None:
    """Return names of layers as a tuple; None for the automatic choice."""
    if layers is None:
        return None
    names = layers if isinstance(layers, tuple | list) else ()
    if not names or not all(isinstance(name, str) and name for name in names):
        raise SettingError(
            f"layers must be a tuple of names of layers, or None, got {layers!r}; "
            "as in layers=('layer3', 'layer4')"
        )
    if len({*names}) < len(names):
        raise SettingError(f"layers must be different layers, got {layers!r}")
    return tuple(names)


def record_layers(
    activations: Activations, layers: Sequence[str] | None, target: ScoreTarget, choose: Choice
) -> list[Activations]:
    """Run the network once more, and record several of its layers, with their gradients.

    Parameters
    ----------
    activations
        The activations of the last features.
    layers
        Names of layers, as in the user's network or in the adapted one. None: those of `choose`.
    target
        The target, of whose score the gradients are taken, all in one backward pass.
    choose
        The automatic choice.

    Returns
    -------
    list of Activations
        In the order of the layers. `gradients` of the same target takes no further pass.

    Raises
    ------
    LayerError
        If a layer does not exist or its output is no feature map, or if the score does not depend
        on a layer that was named.
    """
    network = _module_of(activations)
    names = choose(activations) if layers is None else tuple(_full_name(network, n) for n in layers)
    passes = layer_activations(network, dict.fromkeys(names, identity), activations.images)
    for name, one in passes.items():
        if one.features.ndim != activations.features.ndim:
            raise LayerError(
                f"layer {name!r} must have as many axes as the features, "
                f"{activations.features.ndim}, got {one.features.ndim}"
            )
    unused = _take_gradients([*passes.values()], target)
    if unused and layers is not None:
        raise LayerError(
            f"the score must depend on each layer, got {layers[unused[0]]!r}, on which it does not "
            "depend; name a layer on the path to the output"
        )
    return [one for number, one in enumerate(passes.values()) if number not in unused]


def last_of_each_resolution(activations: Activations, count: int = 4) -> tuple[str, ...]:
    """Return the last layer at each of the coarsest resolutions up to the features, fine to coarse.

    A layer counts if it runs once, is not inside a block (a module that is no plain sequence), and
    its output is known to be ``(N, K, h, w)``: that of a convolution, normalization or pooling, of
    a block with such a module whose output has the same height and width, or of an activation
    function after one of these. The last layer of all is the features themselves.
    """
    runs = _runs_up_to_features(activations)
    axes = activations.features.ndim
    blocks = tuple(
        f"{run.name}."
        for run in runs[:-1]
        if len(run.shape) == axes and not runs_code_of(run.module, nn.Sequential)
    )
    coarsest = prod(activations.features.shape[2:])
    last: dict[tuple[int, ...], str] = {}
    known: set[tuple[int, ...]] = set()
    for number, run in enumerate(runs):
        if len(run.shape) != axes:
            continue
        if number == len(runs) - 1 or _has_channels_first(run, runs[:number], known):
            known.add(run.shape)
            if run.once and prod(run.shape[2:]) >= coarsest and not run.name.startswith(blocks):
                last[run.shape[2:]] = run.name
    fine_to_coarse = sorted(last, key=prod, reverse=True)
    return tuple(last[size] for size in fine_to_coarse[-count:])


def all_convolutions(activations: Activations) -> tuple[str, ...]:
    """Return the convolutions that run once, in the order in which they run."""
    axes = activations.features.ndim
    names = tuple(
        run.name
        for run in _runs(activations)
        if isinstance(run.module, _ConvNd) and run.once and len(run.shape) == axes
    )
    if not names:
        raise LayerError(
            "the network must have a convolution that runs once, got none; name layers=(...)"
        )
    return names


@dataclass(frozen=True, eq=False)
class _Run:
    """A run of a module in a forward pass."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    once: bool


def _runs(activations: Activations) -> list[_Run]:
    """Run a copy of the network, and list its modules that return a tensor, in order of their end.

    A module that contains others ends after them.
    """
    network = _module_of(activations)
    clone = private_copy(network)
    found: list[tuple[str, nn.Module, tuple[int, ...]]] = []

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
            shape = tuple(output.shape) if isinstance(output, Tensor) else ()
            found.append((name, module, shape))

        return hook

    for name, module in clone.named_modules():
        if name:
            module.register_forward_hook(keep(name))
    with refuse_changes(network), without_graph():
        clone(activations.images)
    names = [name for name, _, _ in found]
    return [_Run(name, module, shape, names.count(name) == 1) for name, module, shape in found]


def _runs_up_to_features(activations: Activations) -> list[_Run]:
    """Return the runs that end no later than the module whose output are the features."""
    network = _module_of(activations)
    features = f"net.{network.layer}" if isinstance(network, LayerModel) else "features"
    runs = _runs(activations)
    ends = [number for number, run in enumerate(runs) if run.name == features]
    if not ends:
        raise LayerError(
            "layers must be named for a network whose features are not the output of one module, "
            "got layers=None"
        )
    return runs[: ends[-1] + 1]


def _has_channels_first(
    run: _Run, before: Sequence[_Run], known: Collection[tuple[int, ...]]
) -> bool:
    """Tell whether an output is known to be ``(N, K, h, w)``, and not ``(N, h, w, K)``."""
    if isinstance(run.module, _SPATIAL):
        return True
    if isinstance(run.module, _ELEMENTWISE):
        return run.shape in known
    return any(
        one.name.startswith(f"{run.name}.")
        and isinstance(one.module, _SPATIAL)
        and one.shape[2:] == run.shape[2:]
        for one in before
    )


def _take_gradients(passes: Sequence[Activations], target: ScoreTarget) -> list[int]:
    """Compute the gradients of all layers in one backward pass; return the layers without one."""
    with torch.inference_mode(False), torch.enable_grad():
        total = passes[0].score(target, passes[0]._outputs).sum()
        if not total.requires_grad:
            return [*range(len(passes))]
        sources = [one._source for one in passes]
        gradients = torch.autograd.grad(total, sources, allow_unused=True, retain_graph=True)
    key = tuple(target.tolist()) if isinstance(target, Tensor) else id(target)
    for one, gradient in zip(passes, gradients, strict=True):
        if gradient is not None:
            one._known[key] = target, gradient
    return [number for number, gradient in enumerate(gradients) if gradient is None]


def _module_of(activations: Activations) -> nn.Module:
    """Return the recorded network, which must be a module for its layers to be found."""
    network: object = activations.network
    if not isinstance(network, nn.Module):
        raise LayerError(
            f"the network must be a module to have layers, got {type(network).__name__}"
        )
    return network


def _full_name(network: nn.Module, layer: str) -> str:
    """Return the name of a layer in the recorded network.

    It may be a name there; or that of a module of the user's network from which it was cut; or, as
    it may contain the user's network below a name such as ``net``, the end of a name there, of
    which the shortest path counts.
    """
    names: list[str] = [name for name, _ in network.named_modules() if name]
    if layer in names:
        return layer
    origin = vars(network).get("_origin")
    if isinstance(origin, Origin) and len(origin.modules) == len(names):
        part = dict(origin.net.named_modules()).get(layer)
        same = [name for name, one in zip(names, origin.modules, strict=True) if one is part]
        if same:
            return same[0]
    fitting: list[str] = sorted(
        (name for name in names if name.endswith(f".{layer}")), key=lambda name: name.count(".")
    )
    if fitting and [name.count(".") for name in fitting].count(fitting[0].count(".")) == 1:
        return fitting[0]
    if fitting:
        raise LayerError(
            f"layer must name one module, got {layer!r}, which may be any of "
            f"{', '.join(map(repr, fitting[:4]))}; give its full name"
        )
    close = near_names(layer, names, 2)
    close += near_names(f"features.{layer}", names)
    shown = [*dict.fromkeys(close)] or names[-3:]
    raise LayerError(
        f"layer must name a module of the network, got {layer!r}; "
        f"close names are {', '.join(map(repr, shown))}"
    )

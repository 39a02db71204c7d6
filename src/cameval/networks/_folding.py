"""Batch normalizations folded into the convolutions before them.

In evaluation mode a batch normalization is a scale and a shift of each channel. The weights of a
convolution can have them instead, if nothing else uses its output, which one pass shows.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cameval.errors import LayerError
from cameval.networks._module_types import has_hooks, is_exactly
from cameval.networks.activations import without_graph

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

_ATTRIBUTES: tuple[Any, ...] = (
    *(Tensor.shape, Tensor.dtype, Tensor.device, Tensor.ndim, Tensor.layout),
    *(Tensor.requires_grad, Tensor.is_cuda),
)
_OF_SHAPE = frozenset(
    (
        *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.is_floating_point, Tensor.is_contiguous),
        *(attribute.__get__ for attribute in _ATTRIBUTES),
    )
)
"""Functions of a tensor, and its attributes, that do not depend on its values."""

_FOLDED = "_batch_norm_folded"


@dataclass(frozen=True)
class Pair:
    """A convolution and the batch normalization after it, by name.

    Parameters
    ----------
    conv, norm
        The two.
    ends
        The modules whose output is that of the convolution: it, and sequences that end in it.
    """

    conv: str
    norm: str
    ends: tuple[str, ...]


def find_foldable(net: nn.Module, images: Tensor, kept: Collection[str] = ()) -> list[Pair]:
    """Return the batch normalizations that can be folded.

    Parameters
    ----------
    net
        A private copy of a network, in evaluation mode. It runs once, with hooks that are removed.
    images
        Images that it takes.
    kept
        Names of modules whose outputs must stay as they are.

    Returns
    -------
    list of Pair
        Both modules are exactly of torch's classes, without hooks, and run once; the normalization
        has statistics, and no other function gets the output of the convolution.
    """
    recorder = _Recorder(net, frozenset(kept))
    handles = [
        module.register_forward_hook(recorder.end, with_kwargs=True)
        for module in recorder.names
        if module is not net
    ]
    handles += [
        module.register_forward_pre_hook(recorder.begin)
        for module in recorder.names
        if type(module) in _NORMS
    ]
    try:
        with without_graph(), recorder:
            net(images.clone())
    finally:
        for handle in handles:
            handle.remove()
    return recorder.pairs()


def fold(net: nn.Module, pairs: Iterable[Pair]) -> None:
    """Fold the batch normalizations of a private copy into its convolutions, in double precision.

    A folded normalization becomes an identity.
    """
    for pair in pairs:
        conv = cast(nn.Conv2d, net.get_submodule(pair.conv))
        norm = cast(nn.BatchNorm2d, net.get_submodule(pair.norm))
        with without_graph():
            parameters = vars(conv)["_parameters"]
            parameters["weight"], parameters["bias"] = _folded_weights(conv, norm)
        for name in pair.ends:
            vars(net.get_submodule(name))[_FOLDED] = pair.norm
        _replace(net, norm, nn.Identity().eval())


def check_not_folded(module: nn.Module, layer: str) -> None:
    """Refuse a layer whose output is that of a batch normalization after it.

    Raises
    ------
    LayerError
        If the batch normalization was folded into it.
    """
    norm = vars(module).get(_FOLDED)
    if norm is not None:
        raise LayerError(
            f"layer {layer!r} must compute what it does in the network, got one with the batch "
            f"normalization {norm!r} folded into it; name the normalization, or use "
            "precision='channels_last'"
        )


def _folded_weights(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    weight, mean = conv.weight.double(), cast(Tensor, norm.running_mean).double()
    scale = (cast(Tensor, norm.running_var).double() + norm.eps).rsqrt()
    scale = scale if norm.weight is None else scale * norm.weight.double()
    shift = torch.zeros_like(mean) if norm.bias is None else norm.bias.double()
    bias = torch.zeros_like(mean) if conv.bias is None else conv.bias.double()
    axes = (-1, *(1 for _ in weight.shape[1:]))
    folded = weight * scale.reshape(axes), (bias - mean) * scale + shift
    return folded[0].to(conv.weight.dtype), folded[1].to(conv.weight.dtype)


def _replace(net: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for module in net.modules():
        for name, child in module._modules.items():
            if child is old:
                module._modules[name] = new


class _Recorder(TorchFunctionMode):
    """What gets the outputs of the convolutions of a network."""

    def __init__(self, net: nn.Module, kept: frozenset[str]) -> None:
        super().__init__()
        self.names = {module: name for name, module in net.named_modules()}
        self.kept = kept
        self.hooked = {module for module in self.names if has_hooks(module)}
        self.outputs: dict[int, tuple[str, Tensor]] = {}  # the tensors too: their ids stay taken
        self.norms: dict[str, str] = {}
        self.runs: dict[str, int] = {}
        self.ends: dict[str, list[str]] = {}
        self.used: set[str] = set()
        self._norm: nn.Module | None = None

    def begin(self, module: nn.Module, inputs: tuple[object, ...]) -> None:
        """Note the convolution whose output a batch normalization gets."""
        name = self._source(inputs[0]) if len(inputs) == 1 else None
        if name is not None and self._can_fold(module):
            if name in self.norms:
                self.used.add(name)
            self.norms[name] = self.names[module]
            self._norm = module

    def end(self, module: nn.Module, _inputs: object, _settings: object, output: object) -> None:
        """Note the output of a convolution, and what returns it."""
        name = self.names[module]
        self.runs[name] = self.runs.get(name, 0) + 1
        if module is self._norm:
            self._norm = None
        plain = is_exactly(module, *_CONVOLUTIONS) and module not in self.hooked
        if plain and isinstance(output, Tensor):
            self.outputs[id(output)] = name, output
        source = self._source(output)
        if source is not None:
            self.ends.setdefault(source, []).append(name)
            if name in self.kept:
                self.used.add(source)

    def __torch_function__(
        self,
        func: Any,
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Note each output of a convolution that a function gets."""
        kwargs = kwargs or {}
        if self._norm is None and func not in _OF_SHAPE:
            for source in filter(None, map(self._source, _flat((args, kwargs)))):
                self.used.add(source)
        return func(*args, **kwargs)

    def pairs(self) -> list[Pair]:
        """Return the batch normalizations that alone get the output of a convolution."""
        return [
            Pair(conv, norm, tuple(self.ends[conv]))
            for conv, norm in self.norms.items()
            if conv not in self.used and self.runs[conv] == 1 and self.runs[norm] == 1
        ]

    def _source(self, value: object) -> str | None:
        """Return the convolution whose output a value is."""
        name, tensor = self.outputs.get(id(value), (None, None))
        return name if value is tensor else None

    def _can_fold(self, module: nn.Module) -> bool:
        norm = cast(nn.BatchNorm2d, module)
        known = isinstance(norm.running_mean, Tensor) and isinstance(norm.running_var, Tensor)
        exact = is_exactly(module, *_NORMS) and module not in self.hooked
        return exact and known and not module.training


def _flat(value: object) -> Iterable[object]:
    """Yield the values in nested arguments."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for part in value:
            yield from _flat(part)
    else:
        yield value

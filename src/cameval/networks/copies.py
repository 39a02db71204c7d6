"""A private copy of a network: its own modules, the same tensors.

Explaining a network may need evaluation mode or a hook. Setting either on the user's modules would
be seen by the user, and by other threads. A structural copy costs a few milliseconds, shares every
weight and buffer (it follows training and ``.to``, since it is made anew at each call), and can be
thrown away.
"""

import copy
from itertools import chain
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from cameval.errors import UnsupportedModelError

__all__ = ["private_copy", "shared_tensor"]

Net = TypeVar("Net", bound=nn.Module)

_HOOKS = frozenset(name for name in vars(nn.Module()) if name.endswith("_hooks"))


def private_copy(net: Net, *, create_graph: bool = False) -> Net:
    """Return a copy of `net` in evaluation mode that shares its tensors and nothing else.

    Weights are detached, so that no graph of a forward pass asks for their gradients. With
    `create_graph` they are the network's own, and so is its mode: the copy computes, and learns,
    as the network does. The user's hooks come along, in dictionaries of the copy's own.

    Raises
    ------
    UnsupportedModelError
        If the network holds a compiled TorchScript module, which has no Python structure to copy.
    """
    memo: dict[int, Any] = {}
    twins: dict[nn.Module, nn.Module] = {}
    for module in net.modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise UnsupportedModelError(
                "the network must be a plain nn.Module to be explained in evaluation mode, got "
                f"{type(module).__name__}; pass the network that was scripted"
            )
        twins[module] = memo[id(module)] = object.__new__(type(module))
        for value in chain(_own_tensors(module), vars(module).values()):
            if isinstance(value, Tensor):
                memo[id(value)] = value if create_graph else shared_tensor(value)
    for module, twin in twins.items():
        for name, value in vars(module).items():
            vars(twin)[name] = value.copy() if name in _HOOKS else _own(value, memo)
        vars(twin)["training"] &= create_graph
    return cast(Net, twins[net])


def shared_tensor(tensor: Tensor) -> Tensor:
    """Return a tensor on the same memory that autograd may save (inference tensors are copied)."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()


def _own_tensors(module: nn.Module) -> chain[Tensor]:
    return chain(module.parameters(recurse=False), module.buffers(recurse=False))


def _own(value: Any, memo: dict[int, Any]) -> Any:
    """Copy an attribute; share what cannot be copied: a lock, a file, a list of results."""
    try:
        return copy.deepcopy(value, memo)
    except (TypeError, RuntimeError):
        return value

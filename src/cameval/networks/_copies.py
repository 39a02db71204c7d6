"""Private copies of a network: own modules and buffers, shared weights."""

import copy
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar, cast
from weakref import ReferenceType

import torch
from torch import Tensor, nn
from torch._dynamo.eval_frame import OptimizedModule
from torch.nn.parameter import is_lazy

from cameval.errors import UnsupportedModelError
from cameval.networks._module_types import hooked

Net = TypeVar("Net", bound=nn.Module)


_OWN = frozenset(vars(nn.Module()))


_HOOKS = frozenset(name for name in _OWN if name.endswith("_hooks"))


_RUN_HOOKS = ("_forward_hooks", "_forward_pre_hooks")


_HOLDERS = (nn.Module, partial, MethodType, list, tuple, dict, set)


@dataclass(frozen=True, eq=False)
class Origin:
    """The network that was cut, and the modules of the cut at that time.

    A cut whose modules were exchanged since is a network of its own, and has no origin.
    """

    net: nn.Module
    modules: tuple[nn.Module, ...]


class _Uncompiled(nn.Module):
    """What stands for a part wrapped by ``torch.compile``: the part, run as it was written."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the part."""
        return self._orig_mod(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self._modules["_orig_mod"], name)

    def __len__(self) -> int:
        return len(cast(Any, self._orig_mod))

    def __getitem__(self, index: Any) -> Any:
        return cast(Any, self._orig_mod)[index]


def needs_copy(net: nn.Module, modeless: Iterable[type[nn.Module]] = ()) -> bool:
    """Tell whether running `net` as it is would not be evaluation, or could not be recorded.

    Modules of the `modeless` classes do the same in both modes.
    """
    ignored = {*modeless}
    modules = [*net.modules(), *_unregistered(net)]
    training = any(module.training for module in modules if type(module) not in ignored)
    return training or any(t.is_inference() for t in chain(net.parameters(), net.buffers()))


def _unregistered(net: nn.Module) -> list[nn.Module]:
    """Return modules in lists and dictionaries of a network, which its `train` does not reach."""
    registered = {*net.modules()}
    held = (v for m in registered for k, v in vars(m).items() if k not in _OWN)
    rows = (
        v.values() if isinstance(v, dict) else v for v in held if type(v) in (list, tuple, dict)
    )
    return [m for row in rows for m in row if isinstance(m, nn.Module) and m not in registered]


def private_copy(net: Net, *, create_graph: bool = False, own_buffers: bool = True) -> Net:
    """Return a copy of `net` in evaluation mode that shares its weights and nothing else.

    The copy is put into evaluation mode by its own `eval`, so that flags which the network's
    `train` sets by itself follow. Weights are detached, so that no graph of a forward pass asks for
    their gradients, and buffers are copies unless `own_buffers` is False. With `create_graph` both
    are the network's own, and so is its mode: the copy computes, and learns, as the network does.
    Compiled parts run as they were written. The user's hooks come along, in dictionaries of the
    copy's own.

    Raises
    ------
    UnsupportedModelError
        If the network holds a compiled TorchScript module, which has no Python structure to copy,
        or if the copy would still run modules of the network itself.
    """
    memo: dict[int, Any] = {}
    twins: dict[nn.Module, nn.Module] = {}
    for module in net.modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise UnsupportedModelError(
                "the network must be a plain nn.Module to be explained in evaluation mode, got "
                f"{type(module).__name__}; pass the network that was scripted"
            )
        kind = _Uncompiled if isinstance(module, OptimizedModule) else type(module)
        twins[module] = memo[id(module)] = object.__new__(kind)
        for tensor in module.buffers(recurse=False):
            kept = tensor if create_graph or is_lazy(tensor) else shared_tensor(tensor)
            memo[id(tensor)] = _cloned(tensor) if own_buffers and not create_graph else kept
        # Only what has an `eval` of its own may write to its weights when it is called.
        share = _cloned if _has_own_mode(module) else shared_tensor
        for value in chain(module.parameters(recurse=False), vars(module).values()):
            if isinstance(value, Tensor):
                memo.setdefault(id(value), value if create_graph else share(value))
    for module, twin in twins.items():
        vars(twin)["training"] = module.training
        for name, value in vars(module).items():
            if name not in _OWN and (name == "_compiled_call_impl" or type(twin) is _Uncompiled):
                continue
            vars(twin)[name] = _hooks(value, memo) if name in _HOOKS else _own(value, memo)
    _check_private(twins, {id(value) for value in memo.values()})
    if not create_graph and any(module.training for module in twins):
        twins[net].eval()
    return cast(Net, twins[net])


def shared_tensor(tensor: Tensor) -> Tensor:
    """Return a tensor on the same memory that autograd may save (inference tensors are copied)."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()


@contextmanager
def unchanged(net: nn.Module, *, restore: bool = False) -> Iterator[None]:
    """Refuse a network whose weights or buffers are not what they were when the block began.

    With `restore`, which is for passes of the network itself, its buffers are put back.

    Raises
    ------
    UnsupportedModelError
        If a weight or a buffer was written to, or another buffer put in its place.
    """
    weights = [(name, p, p._version) for name, p in net.named_parameters() if _has_version(p)]
    foreign = any(not _is_library(module) or hooked(module) for module in net.modules())
    buffers = [
        _Kept(f"{prefix}.{key}" if prefix else key, module, key, buffer, restore and foreign)
        for prefix, module in net.named_modules()
        for key, buffer in module._buffers.items()
        if buffer is not None and _has_version(buffer)
    ]
    moved: list[_Kept] = []
    try:
        yield
    finally:
        moved += [kept for kept in buffers if kept.has_moved()]
        for kept in moved if restore else ():
            kept.put_back()
    names = [kept.name for kept in moved]
    names += [name for name, weight, version in weights if weight._version != version]
    if names:
        raise UnsupportedModelError(
            "a network must not write to its weights or buffers in evaluation mode, got a change "
            f"of {', '.join(names[:3])}{' and others' if names[3:] else ''}; let its forward write "
            "where self.training is true only"
        )


class _Kept:
    """A buffer, and what is needed to see that it was written to, and to put it back."""

    def __init__(self, name: str, module: nn.Module, key: str, buffer: Tensor, keep: bool) -> None:
        self.name, self.module, self.key, self.buffer = name, module, key, buffer
        self.version = buffer._version
        self.value = _cloned(buffer) if keep else None

    def has_moved(self) -> bool:
        """Tell whether the buffer was written to or exchanged."""
        if self.module._buffers.get(self.key) is not self.buffer:
            return True
        if self.buffer._version != self.version:
            return True
        # Writing through ``.data`` leaves the version as it is.
        hidden = self.value is not None and not _is_library(self.module)
        return hidden and not _same_values(self.buffer, cast(Tensor, self.value))

    def put_back(self) -> None:
        """Give the module its buffer with the value that it had, as far as that was kept."""
        self.module._buffers[self.key] = self.buffer
        if self.value is not None:
            with torch.inference_mode(False), torch.no_grad():
                self.buffer.copy_(self.value)


def _same_values(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=0, atol=0, equal_nan=True)


def _is_library(module: nn.Module) -> bool:
    """Tell whether a module's class comes with torch, torchvision or cameval.

    Those write to their buffers in training mode only.
    """
    return type(module).__module__.partition(".")[0] in ("torch", "torchvision", "cameval")


def _has_version(tensor: Tensor) -> bool:
    return not is_lazy(tensor) and not tensor.is_inference()


def _cloned(tensor: Tensor) -> Tensor:
    if is_lazy(tensor):
        return tensor
    with torch.inference_mode(False), torch.no_grad():
        return tensor.detach().clone()


def _has_own_mode(module: nn.Module) -> bool:
    """Tell whether switching the module's mode runs code of the user's."""
    kind = type(module)
    own = {"train", "eval"} & vars(module).keys()
    return bool(own) or kind.train is not nn.Module.train or kind.eval is not nn.Module.eval


def _own(value: Any, memo: dict[int, Any]) -> Any:
    """Copy an attribute; share what cannot be copied: a lock, a file, a list of results."""
    if isinstance(value, Origin):
        return None
    try:
        return copy.deepcopy(value, memo)
    except (TypeError, RuntimeError):
        return value


def _hooks(hooks: Mapping[int, Any], memo: dict[int, Any]) -> Any:
    """Copy a dictionary of hooks; methods of the network become methods of the copy."""
    found = copy.copy(hooks)
    for key, hook in hooks.items():
        if isinstance(hook, MethodType) and id(hook.__self__) in memo:
            cast(dict[int, Any], found)[key] = MethodType(hook.__func__, memo[id(hook.__self__)])
    return found


def _check_private(twins: dict[nn.Module, nn.Module], copies: set[int]) -> None:
    """Refuse a copy from whose attributes, hooks or code a module of the user's can be reached."""
    theirs, seen = {id(module) for module in twins}, set[int]()
    for module, twin in twins.items():
        own = [value for name, value in vars(twin).items() if name not in _OWN]
        hooks = [hook for name in _RUN_HOOKS for hook in vars(twin).get(name, {}).values()]
        code = [] if _is_library(module) else [*_of_the_class(type(module))]
        # A hook that only watches often belongs to an object that knows the network.
        held = [*((value, True) for value in chain(own, code)), *((hook, False) for hook in hooks)]
        for value, objects in held:
            found = _reached(value, theirs, copies, seen, objects)
            if found is not None:
                raise UnsupportedModelError(
                    "a network must be copied whole to be explained without changing it, got a "
                    f"{type(module).__name__} that holds on to the {type(found).__name__} of the "
                    "network itself (a forward of the instance's own, a function or an object that "
                    "refers to it); register it as a module, or write a class for what it computes"
                )


def _of_the_class(kind: type) -> Iterator[Any]:
    """Yield the functions, and what may hold modules, of a class and its parents below torch's."""
    for cls in kind.__mro__:
        if cls is nn.Module:
            return
        for value in vars(cls).values():
            found = value.fget if isinstance(value, property) else value
            found = getattr(found, "__func__", found)  # of static and class methods
            if isinstance(found, (FunctionType, *_HOLDERS)):
                yield found


def _reached(
    value: Any, theirs: set[int], copies: set[int], seen: set[int], objects: bool
) -> nn.Module | None:
    """Return a module of the user's that running `value` could run, None if there is none.

    Objects that are no functions are looked into only with `objects`.
    """
    waiting = deque([value])
    while waiting:
        value = waiting.popleft()
        if isinstance(value, str | bytes | int | float | type | ModuleType | Tensor | None):
            continue
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, nn.Module):
            if id(value) in theirs:
                return value
            if id(value) in copies:
                waiting.extend(v for k, v in vars(value).items() if k not in _HOOKS)
            elif any(True for _ in chain(value.parameters(), value.buffers())):
                return value
        else:
            waiting.extend(_held(value, objects))
    return None


def _held(value: Any, objects: bool) -> Iterable[Any]:
    """Yield what a container, a function or another object holds."""
    match value:
        case dict():
            return value.values()
        case list() | tuple() | set() | frozenset() | deque():
            return value
        case MethodType():
            return (value.__self__, value.__func__)
        case partial():
            return (value.func, *value.args, *value.keywords.values())
        case ReferenceType():
            return (value(),)
        case FunctionType():
            return _used(value)
    return vars(value).values() if objects and hasattr(value, "__dict__") else ()


def _used(function: FunctionType) -> Iterator[Any]:
    """Yield what a function was defined with, and the modules and functions that it names."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()
    for name in _names(function.__code__):
        value = function.__globals__.get(name)
        beside = isinstance(value, FunctionType) and value.__globals__ is function.__globals__
        if beside or isinstance(value, _HOLDERS):
            yield value


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)

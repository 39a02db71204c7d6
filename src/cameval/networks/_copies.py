"""Private copies of a network, with their own modules and buffers and shared weights.

Recording activations may need evaluation mode or a hook. On the user's modules either would be
visible to the user and to other threads. A structural copy takes a few milliseconds and shares
every weight; it follows training and ``.to``, since a new one is made at each call.
"""

import copy
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dis import get_instructions
from functools import partial
from itertools import chain
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeVar, cast
from weakref import ReferenceType

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from cameval.errors import UnsupportedModelError
from cameval.networks._module_types import (
    has_hooks,
    is_compiled,
    modules_of,
    named_modules_of,
)

Net = TypeVar("Net", bound=nn.Module)

_MODULE_ATTRIBUTES = frozenset(vars(nn.Module()))

_HOOKS = frozenset(name for name in _MODULE_ATTRIBUTES if name.endswith("_hooks"))

_FORWARD_HOOKS = ("_forward_hooks", "_forward_pre_hooks")

_CONTAINERS = (nn.Module, partial, MethodType, list, tuple, dict, set)


@dataclass(frozen=True, eq=False)
class Origin:
    """The network that was cut, and the modules of the cut and of the network at that time.

    A cut whose modules were replaced since has no origin. `places` are those of the modules of the
    network: a module, the name of a child in it, and the child.
    """

    net: nn.Module
    modules: tuple[nn.Module, ...]
    places: tuple[tuple[nn.Module, str, nn.Module], ...]


class _Uncompiled(nn.Module):
    """Replacement of a wrapper of ``torch.compile``: it runs the module inside, uncompiled."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the module inside."""
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
    """Tell whether a network must be copied: it is in training mode, or has inference tensors.

    Modules of the `modeless` classes compute the same in both modes.
    """
    ignored = {*modeless}
    modules = modules_of(net)
    if any(m.training for m in modules + _unregistered(modules) if type(m) not in ignored):
        return True
    tensors = (chain(m._parameters.values(), m._buffers.values()) for m in modules)
    return any(t.is_inference() for t in chain.from_iterable(tensors) if t is not None)


def _unregistered(modules: list[nn.Module]) -> list[nn.Module]:
    """Return modules in lists and dictionaries of modules, which `train` does not reach."""
    registered = {*modules}
    attributes = (v for m in registered for k, v in vars(m).items() if k not in _MODULE_ATTRIBUTES)
    containers = (
        v.values() if isinstance(v, dict) else v
        for v in attributes
        if type(v) in (list, tuple, dict)
    )
    values = chain.from_iterable(containers)
    return [m for m in values if isinstance(m, nn.Module) and m not in registered]


def private_copy(net: Net, *, create_graph: bool = False, own_buffers: bool = True) -> Net:
    """Return a copy of `net` in evaluation mode that shares its weights and nothing else.

    The copy is put into evaluation mode by its own `eval`, which may set flags of the user's class.
    Weights are detached, so that no graph computes their gradients, and buffers are copies unless
    `own_buffers` is False. With `create_graph` both are the network's own, and so is its mode: the
    copy computes and learns as the network does. Compiled modules run uncompiled. The user's hooks
    are kept, in dictionaries of the copy.

    Raises
    ------
    UnsupportedModelError
        If the network contains a compiled TorchScript module, which has no Python structure to
        copy, if the copy would still run modules of the network itself, or if it has no evaluation
        mode, as modules of ``torch.export``.
    """
    memo: dict[int, Any] = {}
    clones: dict[nn.Module, nn.Module] = {}
    for module in net.modules():
        if isinstance(module, torch.jit.ScriptModule):
            raise UnsupportedModelError(
                "the network must be a plain nn.Module to be copied into evaluation mode, got "
                f"{type(module).__name__}; pass the network that was scripted"
            )
        kind = _Uncompiled if is_compiled(module) else type(module)
        clones[module] = memo[id(module)] = object.__new__(kind)
        for tensor in module.buffers(recurse=False):
            shared = tensor if create_graph or is_lazy(tensor) else shared_tensor(tensor)
            memo[id(tensor)] = _clone(tensor) if own_buffers and not create_graph else shared
        # A module that overrides `eval` may write to its weights there.
        share = _clone if _overrides_mode(module) else shared_tensor
        for value in chain(module.parameters(recurse=False), vars(module).values()):
            if isinstance(value, Tensor):
                memo.setdefault(id(value), value if create_graph else share(value))
    for module, clone in clones.items():
        vars(clone)["training"] = module.training
        for name, value in vars(module).items():
            own = name not in _MODULE_ATTRIBUTES
            if own and (name == "_compiled_call_impl" or type(clone) is _Uncompiled):
                continue
            copy_value = _copy_hooks if name in _HOOKS else _copy_attribute
            vars(clone)[name] = copy_value(value, memo)
    _check_private(clones, {id(value) for value in memo.values()})
    if not create_graph and any(module.training for module in clones):
        try:
            clones[net].eval()
        except NotImplementedError as error:
            raise UnsupportedModelError(
                "the network must have an evaluation mode, got a network of type "
                f"{type(net).__name__} whose eval() is not implemented, as of torch.export; pass "
                "the network that was exported"
            ) from error
    return cast(Net, clones[net])


def shared_tensor(tensor: Tensor) -> Tensor:
    """Return a detached tensor in the same memory, for autograd; inference tensors are copied."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()


@contextmanager
def refuse_changes(net: nn.Module, *, restore: bool = False) -> Iterator[None]:
    """Refuse a network that changes its weights or buffers within the block.

    With `restore`, for passes of the network itself, its buffers are restored.

    Raises
    ------
    UnsupportedModelError
        If a weight or a buffer was written to, or a buffer was replaced.
    """
    modules = named_modules_of(net)
    weights = [
        (f"{prefix}.{key}" if prefix else key, weight, weight._version)
        for prefix, module in modules
        for key, weight in module._parameters.items()
        if weight is not None and _has_version(weight)
    ]
    custom = any(not _is_library(module) or has_hooks(module) for _, module in modules)
    buffers = [
        _SavedBuffer(f"{prefix}.{key}" if prefix else key, module, key, buffer, restore and custom)
        for prefix, module in modules
        for key, buffer in module._buffers.items()
        if buffer is not None and _has_version(buffer)
    ]
    changed: list[_SavedBuffer] = []
    try:
        yield
    finally:
        changed += [buffer for buffer in buffers if buffer.was_changed()]
        for buffer in changed if restore else ():
            buffer.restore()
    names = [buffer.name for buffer in changed]
    written = {weight: name for name, weight, was in reversed(weights) if weight._version != was}
    names += [*written.values()][::-1]  # a weight of several modules has its first name
    if names:
        raise UnsupportedModelError(
            "a network must not write to its weights or buffers in evaluation mode, got a change "
            f"of {', '.join(names[:3])}{' and others' if names[3:] else ''}; let its forward write "
            "where self.training is true only"
        )


class _SavedBuffer:
    """A buffer as it was, to detect a change of it and to undo that."""

    def __init__(self, name: str, module: nn.Module, key: str, buffer: Tensor, copy: bool) -> None:
        self.name, self.module, self.key, self.buffer = name, module, key, buffer
        self.version = buffer._version
        self.value = _clone(buffer) if copy else None

    def was_changed(self) -> bool:
        """Tell whether the buffer was written to or replaced."""
        if self.module._buffers.get(self.key) is not self.buffer:
            return True
        if self.buffer._version != self.version:
            return True
        # Writing through ``.data`` leaves the version as it is.
        if self.value is None or _is_library(self.module):
            return False
        return not torch.allclose(self.buffer, self.value, rtol=0, atol=0, equal_nan=True)

    def restore(self) -> None:
        """Put the buffer back into its module, with its value if that was copied."""
        self.module._buffers[self.key] = self.buffer
        if self.value is not None:
            with torch.inference_mode(False), torch.no_grad():
                self.buffer.copy_(self.value)


def _is_library(module: nn.Module) -> bool:
    """Tell whether a module's class is part of torch, torchvision or cameval.

    These write to their buffers in training mode only.
    """
    return type(module).__module__.partition(".")[0] in ("torch", "torchvision", "cameval")


def _has_version(tensor: Tensor) -> bool:
    return not is_lazy(tensor) and not tensor.is_inference()


def _clone(tensor: Tensor) -> Tensor:
    if is_lazy(tensor):
        return tensor
    with torch.inference_mode(False), torch.no_grad():
        return tensor.detach().clone()


def _overrides_mode(module: nn.Module) -> bool:
    """Tell whether a module overrides `train` or `eval`."""
    kind = type(module)
    own = {"train", "eval"} & vars(module).keys()
    return bool(own) or kind.train is not nn.Module.train or kind.eval is not nn.Module.eval


def _copy_attribute(value: Any, memo: dict[int, Any]) -> Any:
    """Copy an attribute, or share it if it cannot be copied, such as a lock or a file."""
    if isinstance(value, Origin):
        return None
    try:
        return copy.deepcopy(value, memo)
    except (TypeError, RuntimeError):
        return value


def _copy_hooks(hooks: Mapping[int, Any], memo: dict[int, Any]) -> Any:
    """Copy a dictionary of hooks; methods of the network become methods of the copy."""
    copies = copy.copy(hooks)
    for key, hook in hooks.items():
        if isinstance(hook, MethodType) and id(hook.__self__) in memo:
            cast(dict[int, Any], copies)[key] = MethodType(hook.__func__, memo[id(hook.__self__)])
    return copies


def _check_private(clones: dict[nn.Module, nn.Module], copies: set[int]) -> None:
    """Refuse a copy whose attributes, hooks or code refer to a module of the original."""
    originals, seen = {id(module) for module in clones}, set[int]()
    for module, clone in clones.items():
        attributes = [
            value for name, value in vars(clone).items() if name not in _MODULE_ATTRIBUTES
        ]
        hooks = [hook for name in _FORWARD_HOOKS for hook in vars(clone).get(name, {}).values()]
        code = [] if _is_library(module) else [*_class_members(type(module))]
        # A hook that only observes is often a method of an object that refers to the network.
        values = [(value, True) for value in chain(attributes, code)]
        values += [(hook, False) for hook in hooks]
        for value, objects in values:
            original = _find_original(value, originals, copies, seen, objects)
            if original is not None:
                raise UnsupportedModelError(
                    "a network must be copied whole for maps that do not change it, got a "
                    f"{type(module).__name__} with a function or an object that refers to a "
                    f"{type(original).__name__} from outside (a global, a closure, or a forward of "
                    "the instance's own); write self.name = module in __init__, and use self.name"
                )


def _class_members(kind: type) -> Iterator[Any]:
    """Yield the functions and containers of a class and of its parents up to ``nn.Module``.

    What makes or describes an instance does not run in a forward pass, and is left out.
    """
    for cls in kind.__mro__:
        if cls is nn.Module:
            return
        for name, value in vars(cls).items():
            if name in ("__init__", "__repr__", "extra_repr"):
                continue
            member = value.fget if isinstance(value, property) else value
            member = getattr(member, "__func__", member)  # of static and class methods
            if isinstance(member, (FunctionType, *_CONTAINERS)):
                yield member


def _find_original(
    value: Any, originals: set[int], copies: set[int], seen: set[int], objects: bool
) -> nn.Module | None:
    """Return a module of the original that running `value` could run, None if there is none.

    The attributes of objects other than functions are followed only with `objects`.
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
            if id(value) in originals:
                return value
            if id(value) in copies:
                waiting.extend(v for k, v in vars(value).items() if k not in _HOOKS)
            elif any(True for _ in chain(value.parameters(), value.buffers())):
                return value
        else:
            waiting.extend(_references(value, objects))
    return None


def _references(value: Any, objects: bool) -> Iterable[Any]:
    """Return the objects to which a container, a function or another object refers."""
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
            return _function_references(value)
    return vars(value).values() if objects and hasattr(value, "__dict__") else ()


def _function_references(function: FunctionType) -> Iterator[Any]:
    """Yield the closure, defaults and attributes of a function, and the globals that it names."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # an empty cell
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from vars(function).values()
    for name in _global_names(function.__code__):
        value = function.__globals__.get(name)
        same_module = isinstance(value, FunctionType) and value.__globals__ is function.__globals__
        if same_module or isinstance(value, _CONTAINERS):
            yield value


def _global_names(code: CodeType) -> Iterator[str]:
    """Yield the globals that the code of a function names, and those of functions inside it."""
    for step in get_instructions(code):
        if step.opname == "LOAD_GLOBAL":
            yield str(step.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)

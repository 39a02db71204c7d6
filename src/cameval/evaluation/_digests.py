"""Digests of contents: of functions with their code, objects, arrays, and networks.

A digest depends on what an object holds, not on how it is written: an object without a repr, an
array inside a partial and a number in a closure all count.
"""

import copyreg
import dis
import functools
import os
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import chain
from pathlib import Path
from threading import Lock, RLock
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from cameval.errors import SettingError
from cameval.networks import CAMModel
from cameval.networks._module_types import is_compiled

T = TypeVar("T")


_LIBRARIES = frozenset(
    ("cameval", "numpy", "pandas", "PIL", "scipy", "skimage", "sklearn", "torch", "torchvision")
)
"""Packages whose functions and classes are identified by name, as their versions are part of a
run; so are those of the standard library."""


_STANDARD = Path(os.__file__).parent


_INSTALLED = tuple(Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib"))


_PLAIN = frozenset((bool, int, float, complex, str, bytes, type(None), type(Ellipsis)))


_LOCKS = (type(Lock()), type(RLock()))  # they hold nothing


_EVERY_MODULE = frozenset(vars(nn.Module()))


_NOT_STRUCTURE = _EVERY_MODULE | {"_compiled_call_impl"}


_HOOKS = tuple(sorted(name for name in _EVERY_MODULE if name.endswith("_hooks")))


_NOT_OF_A_CLASS = frozenset(
    (
        *("__dict__", "__weakref__", "__doc__", "__module__", "_abc_impl", "__annotations__"),
        *("__firstlineno__", "__static_attributes__", "__slotnames__"),
    )
)


_COMPILED = (
    *(types.MethodDescriptorType, types.WrapperDescriptorType),
    types.ClassMethodDescriptorType,
)


_READ_GLOBALS = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"))


class Unidentified(SettingError):
    """A thing has no contents that can be compared, such as an open file."""


def digest_of(thing: object) -> str:
    """Return a digest of the contents of a thing, the same in every process.

    Functions count with their code, their defaults, what they close over and the globals that they
    read, of the caller's own modules too; objects with their class and state; arrays, tensors and
    networks with their values. Functions and classes of the standard library and of the packages
    whose versions are part of a run count with their names. The module of other code is not part
    of it: the same file is ``__main__`` as a script, and has its own name where it is imported.

    Raises
    ------
    Unidentified
        If a part has no contents that can be compared; the message names its class.

    Examples
    --------
    >>> from functools import partial
    >>> import numpy as np
    >>> from cameval.evaluation._digests import digest_of
    >>> low, high = (partial(np.quantile, q=np.array([share])) for share in (0.5, 0.6))
    >>> digest_of(low) == digest_of(high)
    False
    """
    return _digest(_Walk.of, thing)


def weights_hash(model: nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers, saved or not: name, dtype, shape, bytes."""
    found = sha256()
    tensors = chain(
        model.named_buffers(remove_duplicate=False), model.named_parameters(remove_duplicate=False)
    )
    for name, tensor in sorted(tensors, key=lambda named: named[0]):
        found.update(_hashed(name, _of_tensor(tensor)))
    return found.hexdigest()


def structure_of(model: nn.Module) -> str:
    """Return a digest of a network's modules: their names, classes, settings and hooks.

    The same weights in another structure, as with another stride or activation, are another
    network. Weights, buffers and whether a module trains do not count.

    Raises
    ------
    Unidentified
        If a module holds something whose contents cannot be compared.
    """
    return _digest(_Walk.structure, model)


def _digest(walk: Callable[["_Walk", T], bytes], thing: T) -> str:
    try:
        return walk(_Walk(), thing).hex()
    except RecursionError as error:
        raise Unidentified(
            "every part of a run must have contents that can be compared, got a "
            f"{_named(type(thing))}, whose parts are nested too deeply"
        ) from error


def digest_or_none(digest: Callable[[T], str], thing: T) -> str | None:
    """Return the digest of a thing, None if its contents cannot be compared."""
    try:
        return digest(thing)
    except Unidentified:
        return None


class _Walk:
    """One walk through the contents of a thing."""

    def __init__(self) -> None:
        self._modules: dict[int, bytes] = {}
        self._done: dict[int, tuple[object, bytes]] = {}  # the thing too: its id stays taken
        self._going: dict[int, int] = {}

    def of(self, thing: object) -> bytes:
        """Return the digest of a thing; one that holds itself is named by its depth."""
        if type(thing) in _PLAIN:
            return f"{type(thing).__name__} {thing!r}".encode("utf-8", "surrogatepass")
        if id(thing) in self._done:
            return self._done[id(thing)][1]
        if id(thing) in self._going:
            return _hashed("itself", str(self._going[id(thing)]))
        self._going[id(thing)] = len(self._going)
        found = self._digest_of_parts(thing)
        del self._going[id(thing)]
        self._done[id(thing)] = thing, found
        return found

    def structure(self, model: nn.Module) -> bytes:
        """Return the digest of a network without its weights."""
        if isinstance(model, torch.jit.ScriptModule):
            return _hashed("script", str(model.inlined_graph))
        parts = []
        for name, module in model.named_modules(remove_duplicate=False):
            if id(module) not in self._modules:  # a cut shares its modules with the network
                self._modules[id(module)] = self._of_module(module)
            parts.append(_hashed("part", name, self._modules[id(module)]))
        return _hashed("structure", *parts)

    def _of_module(self, module: nn.Module) -> bytes:
        """Return the digest of a module without its weights and without the modules in it."""
        own = {k: v for k, v in vars(module).items() if k not in _NOT_STRUCTURE}
        if is_compiled(module):  # what is inside is compared
            own = {}
        origin = b""
        if isinstance(module, CAMModel):  # the network that it is a cut of is compared too
            own.pop("_origin", None)
            origin = b"" if module.origin is None else self.structure(module.origin)
        hooks = [[*vars(module)[key].values()] for key in _HOOKS]
        names = [[*module._modules], [*module._parameters], [*module._buffers]]
        return _hashed("module", origin, self._all("own", type(module), own, hooks, names))

    def _all(self, kind: str, *parts: object) -> bytes:
        return _hashed(kind, *map(self.of, parts))

    def _digest_of_parts(self, thing: object) -> bytes:
        match thing:
            case Tensor():
                return _of_tensor(thing)
            case torch.Generator():
                return _of_tensor(thing.get_state())
            case nn.Module():
                return _hashed("network", self.structure(thing), weights_hash(thing))
            case types.FunctionType():
                return self._of_function(thing)
            case types.MethodType():
                return self._all("method", thing.__func__, thing.__self__)
            case types.ModuleType():
                return _hashed("module of code", thing.__name__)
            case types.CodeType():
                return self._of_code(thing)
            case type():
                return self._of_class(thing)
            case property():
                return self._all("property", thing.fget, thing.fset, thing.fdel)
            case staticmethod() | classmethod():
                return self._all(type(thing).__name__, thing.__func__)
            case torch.dtype() | torch.device():
                return _hashed(type(thing).__name__, str(thing))
        if isinstance(thing, _LOCKS):
            return _hashed("lock")
        if type(thing) is np.ndarray and not thing.dtype.hasobject:
            array = np.ascontiguousarray(thing)
            return _hashed("array", repr(array.dtype), str(thing.shape), array.tobytes())
        if type(thing) is functools.partial:
            return self._all("partial", thing.func, thing.args, thing.keywords, vars(thing))
        if type(thing) in (list, tuple):
            return self._all(type(thing).__name__, *_members(thing))
        if type(thing) in (dict, types.MappingProxyType):
            entries = dict(thing).items()  # type: ignore[call-overload]
            return _hashed("mapping", *(self._all("entry", *entry) for entry in entries))
        if type(thing) in (set, frozenset):
            return _hashed("set", *sorted(_Walk().of(member) for member in _members(thing)))
        return self._of_object(thing)

    def _of_object(self, thing: object) -> bytes:
        """Return the digest of an object by the parts that `copy` would use."""
        known = copyreg.dispatch_table.get(type(thing))
        try:
            recipe: Any = thing.__reduce_ex__(4) if known is None else known(thing)
        except Exception as error:
            raise Unidentified(
                f"every part of a run must have contents that can be compared, got a "
                f"{_named(type(thing))}, which has none"
            ) from error
        if isinstance(recipe, str):  # a name by which it is found, as a function that keeps results
            own = getattr(thing, "__dict__", None)
            if own and isinstance(wrapped := own.get("__wrapped__"), types.FunctionType):
                own = {k: v for k, v in own.items() if k != "__module__"}
                return self._all("wrapper", type(thing), recipe, wrapped, own)
            return self._all("named", type(thing), recipe, getattr(thing, "__module__", None), own)
        made, arguments, *rest = recipe
        state = _settings(type(thing), rest[0] if rest else None)
        members = [[*part] if isinstance(part, Iterator) else part for part in rest[1:3]]
        return self._all("object", type(thing), made, arguments, state, members)

    def _of_function(self, function: types.FunctionType) -> bytes:
        if _of_library(function):
            cells = map(_content_of, function.__closure__ or ())
            module = str(
                function.__globals__["__name__"]
            )  # that of a wrapper, not of what it wraps
            return self._all("function", f"{module}.{function.__qualname__}", *cells)
        names = _names_in(function.__code__)
        read = {
            name: _read_of(function.__globals__[name], names)
            for name in sorted(_globals_of(function.__code__))
            if name in function.__globals__
        }
        return self._all(
            "function",
            function.__qualname__,  # a script's own module is called __main__
            function.__code__,
            function.__defaults__,
            function.__kwdefaults__,
            [*map(_content_of, function.__closure__ or ())],
            read,
            {key: value for key, value in vars(function).items() if key != "__wrapped__"},
        )

    def _of_code(self, code: types.CodeType) -> bytes:
        names = code.co_names, code.co_varnames, code.co_freevars
        counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
        caught = code.co_exceptiontable
        return self._all("code", code.co_code, *names, code.co_consts, counts, caught)

    def _of_class(self, kind: type) -> bytes:
        if _of_library(kind):
            return _hashed("class", _named(kind))
        own = {
            key: value
            for key, value in vars(kind).items()
            if key not in _NOT_OF_A_CLASS
            and not isinstance(value, types.GetSetDescriptorType | types.MemberDescriptorType)
        }
        is_compiled = any(_is_compiled_in(kind, value) for value in own.values())
        name = _named(kind) if is_compiled else kind.__qualname__
        return self._all("class", name, kind.__bases__, own)


def _hashed(*parts: str | bytes) -> bytes:
    joined = bytearray()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        joined += len(data).to_bytes(8, "little")
        joined += data
    return sha256(joined).digest()


def _of_tensor(tensor: Tensor) -> bytes:
    try:
        plain = tensor.detach().cpu().resolve_conj().resolve_neg()
        plain = plain.dequantize() if plain.is_quantized else plain
        plain = plain if plain.layout is torch.strided else plain.to_dense()
        words = plain.contiguous().flatten().view(torch.uint8).numpy()
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        raise Unidentified(
            "every part of a run must have contents that can be compared, got a tensor on "
            f"{tensor.device}, which has none"
        ) from error
    found = sha256(f"tensor {tensor.dtype} {tuple(tensor.shape)} ".encode())
    found.update(words.data)
    return found.digest()


def _named(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _of_library(thing: Any) -> bool:
    """Tell whether a function or class is one of a package that is known by its version.

    A function belongs to the module whose globals it reads; a class to the module of its name, if
    it is there.
    """
    if isinstance(thing, types.FunctionType):
        return _is_library(str(thing.__globals__.get("__name__")))
    found: Any = sys.modules.get(str(thing.__module__))
    for name in str(thing.__qualname__).split("."):
        found = getattr(found, name, None)
    return found is thing and _is_library(str(thing.__module__))


def _is_library(module: str) -> bool:
    package = module.partition(".")[0]
    if package not in sys.stdlib_module_names:
        return package in _LIBRARIES
    file = getattr(sys.modules.get(package), "__file__", None)  # not a script that has its name
    return file is None or Path(file).is_relative_to(_STANDARD)


def _is_compiled_in(kind: type, value: object) -> bool:
    """Tell whether a value is a method of this class that has no code in Python to compare."""
    if isinstance(value, types.BuiltinFunctionType):
        return value.__self__ is kind
    return isinstance(value, _COMPILED) and value.__objclass__ is kind


def _read_of(value: object, names: set[str], outer: tuple[object, ...] = ()) -> object:
    """Return the parts of a module of the caller that a function with these names reads."""
    if not isinstance(value, types.ModuleType) or value in outer or _is_installed(value):
        return value
    own = vars(value)
    within = {name: own[name] for name in sorted(names & own.keys())}
    outer = *outer, value
    return value, {name: _read_of(one, names, outer) for name, one in within.items()}


def _is_installed(module: types.ModuleType) -> bool:
    file = getattr(module, "__file__", None)
    within = file is not None and any(Path(file).is_relative_to(folder) for folder in _INSTALLED)
    return within or _is_library(module.__name__)


def _members(thing: Any) -> list[Any]:
    return list(thing)


def _content_of(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # a name without a value yet
        return None


def _is_cached(kind: type, name: str) -> bool:
    return isinstance(getattr(kind, name, None), functools.cached_property)


def _settings(kind: type, state: object) -> object:
    """Return the state of an object without its cached properties."""
    if isinstance(state, tuple):  # of a class with slots: what has no slot, and what has one
        return tuple(_settings(kind, part) for part in state)
    if isinstance(state, dict):
        return {k: v for k, v in state.items() if not _is_cached(kind, k)} or None
    return state


def _globals_of(code: types.CodeType) -> set[str]:
    """Return the names of the globals that a function, or one inside it, reads."""
    names = {str(s.argval) for s in dis.get_instructions(code) if s.opname in _READ_GLOBALS}
    return names.union(*map(_globals_of, _codes_in(code)))


def _names_in(code: types.CodeType) -> set[str]:
    """Return the names of all globals and attributes that a function, or one inside it, reads."""
    return set(code.co_names).union(*map(_names_in, _codes_in(code)))


def _codes_in(code: types.CodeType) -> list[types.CodeType]:
    return [part for part in code.co_consts if isinstance(part, types.CodeType)]

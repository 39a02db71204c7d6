"""A pretend accelerator: tensors that say they are on a device, with their values on the CPU.

Inside ``with pretend_device() as log:`` the device ``log.device`` exists. Its tensors refuse what
an accelerator refuses: operations with CPU tensors, NumPy arrays without a copy to the host, and
with ``float64=False`` numbers of 64 bits, as Metal does. What they do is counted, with the line of
cameval that did it.

It does not show what depends on the hardware: speed, TF32, orders of summation, kernels that do not
exist, pinned memory. A copy to the host with ``non_blocking=True`` counts as a copy but not as a
synchronization, although its values are there at once.
"""

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import cameval

_PACKAGE = str(Path(cameval.__file__).parent)


_HIDDEN = torch.device("meta")
"""The device of the tensors for torch's own code, which needs no driver."""


_FRAMES = 3
"""Number of lines of cameval that are recorded of each event, the innermost first."""


_VIEWS = {
    "_reshape_alias", "_unsafe_view", "alias", "as_strided", "chunk", "detach", "diagonal",
    "expand", "expand_as", "lift", "lift_fresh", "movedim", "narrow", "permute", "reshape",
    "select", "slice", "split", "split_with_sizes", "squeeze", "t", "transpose", "unbind",
    "unflatten", "unfold", "unsqueeze", "view", "view_as",
}  # fmt: skip
"""Operations that launch no kernel."""


_SYNCHRONIZING = {
    "_linalg_check_errors", "_linalg_eigh", "_linalg_svd", "_local_scalar_dense", "_unique",
    "_unique2", "bincount", "equal", "linalg_eig", "masked_select", "nonzero", "unique_consecutive",
    "unique_dim",
}  # fmt: skip
"""Operations whose result, or its size, the host must know."""


_INDEXING = frozenset(("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"))


_TYPES = frozenset(("is_cpu", "is_cuda", "is_meta", "is_mps", "is_xpu"))
"""Attributes of tensors that name a type of device."""


@dataclass(frozen=True)
class Event:
    """Something that happened on the device.

    Attributes
    ----------
    what
        Name of the operation.
    lines
        Lines of cameval that were running, ``file:line function``, the innermost first.
    size
        Number of bytes that were copied.
    """

    what: str
    lines: tuple[str, ...]
    size: int = 0


@dataclass(eq=False)
class Log:
    """What happened on the device.

    Attributes
    ----------
    device
        The device, for ``tensor.to(log.device)`` and ``network.to(log.device)``.
    launches
        Operations that compute something.
    synchronizations
        Operations for which the host must wait: numbers and lists of values, comparisons of whole
        tensors, selections by a boolean mask, copies to the host that block.
    copies_to_host, copies_to_device
        Copies of values between the two.
    refusals
        What the device refused, also if the error was caught.
    """

    device: torch.device
    launches: list[Event] = field(default_factory=list)
    synchronizations: list[Event] = field(default_factory=list)
    copies_to_host: list[Event] = field(default_factory=list)
    copies_to_device: list[Event] = field(default_factory=list)
    refusals: list[Event] = field(default_factory=list)

    def report(self, rows: int = 40) -> str:
        """Return the numbers of all events, and the most frequent synchronizations by line."""
        kinds = ("launches", "synchronizations", "copies_to_host", "copies_to_device", "refusals")
        totals = [f"{len(getattr(self, kind))} {kind}" for kind in kinds]
        counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
        sizes: Counter[tuple[str, tuple[str, ...]]] = Counter()
        for event in self.synchronizations:
            counts[event.what, event.lines] += 1
            sizes[event.what, event.lines] += event.size
        lines = [
            f"{count:6} {sizes[key]:10} bytes  {key[0]:20} {' < '.join(key[1])}"
            for key, count in counts.most_common(rows)
        ]
        return "\n".join([", ".join(totals), *lines])


@contextmanager
def pretend_device(*, float64: bool = True) -> Iterator[Log]:
    """Make a pretend device for a block of code, its threads included.

    Parameters
    ----------
    float64
        Whether the device has numbers of 64 bits. Without them it is called ``"mps"``, as Metal's,
        else ``"xpu"``.

    Yields
    ------
    Log
        The device and what happens on it. Tensors of the device must not be used after the block.
    """
    log = Log(torch.device("xpu" if float64 else "mps"))
    run = threading.Thread.run

    def run_with_device(thread: threading.Thread) -> None:
        with _modes(log, float64):
            run(thread)

    threading.Thread.run = run_with_device  # type: ignore[assignment, method-assign]
    try:
        with _modes(log, float64):
            yield log
    finally:
        threading.Thread.run = run  # type: ignore[method-assign]


@contextmanager
def _modes(log: Log, float64: bool) -> Iterator[None]:
    with _Operations(log, float64), _Functions(log):
        yield


class _OnDevice(torch.Tensor):
    """A tensor of the device. Its values are in the CPU tensor `held`."""

    held: Tensor
    operations: "_Operations"
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, values: Tensor, operations: "_Operations") -> "_OnDevice":
        tensor: _OnDevice = torch.Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            layout=values.layout,
            device=_HIDDEN,
        )
        tensor.held, tensor.operations = values, operations
        return tensor

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        tensors = (one for one in _tensors_in(args, kwargs) if isinstance(one, _OnDevice))
        return next(tensors).operations.call(func, args, kwargs or {})


class _Operations(TorchDispatchMode):
    """Compute the operations of the device on the CPU, refuse what it refuses, and count."""

    def __init__(self, log: Log, float64: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.log, self.float64 = log, float64

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return self.call(func, args, kwargs or {})

    def call(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do one operation of torch."""
        name: str = func.overloadpacket.__name__
        tensors = _tensors_in(args, kwargs)
        asked = kwargs.get("device")
        if not any(isinstance(one, _OnDevice) for one in tensors) and not _is_hidden(asked):
            return func(*args, **kwargs)
        if name in ("_to_copy", "copy_"):
            return self._copy(name, func, args, kwargs)
        if name in _INDEXING:
            self._check_indices(name, args)
        else:
            self._check_devices(name, tensors)
        if name in _SYNCHRONIZING or _repeats_unknown(name, args, kwargs):
            self.record("synchronizations", name)
        if name not in _VIEWS:
            self.record("launches", name)
        if asked is not None:
            kwargs = {**kwargs, "device": torch.device("cpu")}
        result = func(*_on_cpu(args), **{name: _on_cpu(one) for name, one in kwargs.items()})
        return self._wrapped(result, tensors)

    def record(self, kind: str, what: str, size: int = 0) -> None:
        """Record an event with the lines of cameval that are running."""
        getattr(self.log, kind).append(Event(what, _lines(), size))

    def refuse(self, error: type[Exception], what: str, why: str) -> NoReturn:
        """Raise an error, and record it."""
        self.record("refusals", what)
        lines = " < ".join(self.log.refusals[-1].lines)
        raise error(f"{what} is refused on {self.log.device}, {why} [{lines}]")

    def wrap(self, values: Tensor) -> Tensor:
        """Return a tensor of the device."""
        if not self.float64 and values.dtype in (torch.float64, torch.complex128):
            self.refuse(TypeError, f"{values.dtype}", "there are no numbers of 64 bits")
        return _OnDevice(values, self)

    def _wrapped(self, result: Any, tensors: Sequence[Tensor]) -> Any:
        """Return results on the device; one that an operation has written into stays itself."""
        written = {id(one.held): one for one in tensors if isinstance(one, _OnDevice)}

        def wrapped(value: Tensor) -> Tensor:
            return written[id(value)] if id(value) in written else self.wrap(value)

        return _map(wrapped, result)

    def _copy(self, name: str, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do a copy with another dtype or to another device, or into another tensor."""
        if name == "copy_":
            into, source = args[:2]
            blocking = not (args[2] if len(args) > 2 else kwargs.get("non_blocking", False))
            to_device = isinstance(into, _OnDevice)
            func(*_on_cpu(args), **kwargs)
        else:
            source, asked = args[0], kwargs.get("device")
            blocking = not kwargs.get("non_blocking", False)
            to_device = isinstance(source, _OnDevice) if asked is None else _is_hidden(asked)
            cpu = {**kwargs, "device": torch.device("cpu")}
            into = func(*_on_cpu(args), **cpu)
            into = self.wrap(into) if to_device else into
        size = source.numel() * source.element_size()
        match isinstance(source, _OnDevice), to_device:
            case True, True:
                self.record("launches", name)
            case True, False:
                self.record("copies_to_host", name, size)
                if blocking:
                    self.record("synchronizations", "copy to the host", size)
            case False, True:
                self.record("copies_to_device", name, size)
        return into

    def _check_devices(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Refuse tensors of the CPU, except numbers in operations by element."""
        numbers = name not in ("cat", "stack", "mm", "bmm", "addmm")
        for one in tensors:
            if not isinstance(one, _OnDevice) and not (numbers and one.ndim == 0):
                self._refuse_mixed(name)

    def _refuse_mixed(self, name: str) -> NoReturn:
        self.refuse(RuntimeError, name, "all tensors must be on one device")

    def _check_indices(self, name: str, args: tuple[Any, ...]) -> None:
        """Refuse what cannot be indexed; count what indices cost."""
        target, indices = args[0], [one for one in args[1] if isinstance(one, Tensor)]
        if not isinstance(target, _OnDevice):
            self._refuse_mixed(name)
        values = args[2] if len(args) > 2 else None
        if values is not None and not isinstance(values, _OnDevice) and values.ndim > 0:
            self._refuse_mixed(name)
        fills = values is not None and values.numel() == 1 and len(indices) == 1
        for index in indices:
            if not isinstance(index, _OnDevice):
                self.record("copies_to_device", name, index.numel() * index.element_size())
            elif index.dtype in (torch.bool, torch.uint8) and not fills:  # else a masked_fill
                self.record("synchronizations", "boolean index")


class _Functions(TorchFunctionMode):
    """Give the device its name, and make tensors on it from Python's numbers and lists."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        first = args[0] if args and isinstance(args[0], _OnDevice) else None
        if first is not None and (special := self._special(func, first, args, kwargs)):
            return special()
        if func in (torch.tensor, torch.as_tensor) and self._is_named(kwargs.get("device")):
            kwargs["device"] = _HIDDEN if isinstance(args[0], _OnDevice) else "cpu"
            return func(*args, **kwargs).to(_HIDDEN)
        args = tuple(_HIDDEN if self._is_named(one) else one for one in args)
        if self._is_named(kwargs.get("device")):
            kwargs["device"] = _HIDDEN
        return func(*args, **kwargs)

    def _is_named(self, device: object) -> bool:
        """Tell whether this is the device, or its name."""
        name = device.type if isinstance(device, torch.device) else device
        return isinstance(name, str) and name.partition(":")[0] == self.log.device.type

    def _special(
        self, func: Any, tensor: _OnDevice, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[], Any] | None:
        """Return what to do in place of a function of torch, if anything."""
        name = getattr(func, "__name__", "")
        if name == "__get__":
            name = getattr(func.__self__, "__name__", "")
            if name == "device":
                return lambda: self.log.device
            if name in _TYPES:
                return lambda: name == f"is_{self.log.device.type}"
            return None
        match name:
            case "tolist":
                return lambda: self._list(tensor)
            case "data_ptr":
                return tensor.held.data_ptr
            case "numpy" | "__array__":
                return lambda: tensor.operations.refuse(TypeError, name, "copy to the CPU first")
            case "new_tensor":
                settings = {"dtype": tensor.dtype, **kwargs, "device": "cpu"}
                return lambda: torch.tensor(args[1], **settings).to(_HIDDEN)
            case "unravel_index":  # torch makes it of a list of numbers
                found = func(tensor.held, *args[1:], **kwargs)
                return lambda: tuple(tensor.operations.wrap(one) for one in found)
        return None

    def _list(self, tensor: _OnDevice) -> Any:
        size = tensor.numel() * tensor.element_size()
        tensor.operations.record("copies_to_host", "tolist", size)
        tensor.operations.record("synchronizations", "tolist", size)
        return tensor.held.tolist()


def _is_hidden(device: object) -> bool:
    return device is not None and torch.device(device) == _HIDDEN  # type: ignore[call-overload]


def _repeats_unknown(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Tell whether this is a repetition by a tensor, whose sum gives the size of the result."""
    return name == "repeat_interleave" and kwargs.get("output_size") is None


def _map(function: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """Apply a function to a tensor, or to all in lists and tuples; torch's own is slower."""
    if isinstance(tree, Tensor):
        return function(tree)
    return type(tree)(_map(function, one) for one in tree) if type(tree) in (list, tuple) else tree


def _on_cpu(tree: Any) -> Any:
    return _map(lambda one: one.held if isinstance(one, _OnDevice) else one, tree)


def _tensors_in(args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> list[Tensor]:
    """Return the tensors among the arguments of an operation, also those in lists."""
    found: list[Tensor] = []
    for one in (*args, *(kwargs or {}).values()):
        if isinstance(one, Tensor):
            found.append(one)
        elif type(one) in (list, tuple):
            found += [each for each in one if isinstance(each, Tensor)]
    return found


def _lines() -> tuple[str, ...]:
    """Return the innermost lines of cameval that are running."""
    found: list[str] = []
    frame = sys._getframe(1)
    while frame is not None and len(found) < _FRAMES:
        code = frame.f_code
        if code.co_filename.startswith(_PACKAGE):
            file = code.co_filename[len(_PACKAGE) + 1 :]
            found.append(f"{file}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back  # type: ignore[assignment]
    return tuple(found)

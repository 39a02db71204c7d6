"""Weights in files: reading without unpickling anything but tensors, loading whole or not at all.

A file holds a state dict (names to tensors), or a checkpoint with one in an entry of
`CHECKPOINT_ENTRIES`, as training programs and Lightning write them; or it is a ``.safetensors``
file. Names may have a prefix that wrappers put before them, such as ``module.`` of `DataParallel`,
``_orig_mod.`` of ``torch.compile``, or ``model.``, the attribute of a Lightning module. A prefix is
removed where the names and shapes without it are those of the network, and only there.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import torch
from torch import Tensor, nn

from cameval._extras import import_extra
from cameval.data._files import check_file
from cameval.errors import DataError
from cameval.networks._selection import own_network
from cameval.networks.adapt import unwrap
from cameval.networks.layers import LayerModel
from cameval.networks.model import CAMModel

__all__ = ["CHECKPOINT_ENTRIES", "load_weights", "read_weights"]

CHECKPOINT_ENTRIES = (
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
)
"""The entries of a checkpoint in which a state dict is looked for."""

DAMAGED = (  # errors of torch.load on damaged files
    *(OSError, RuntimeError, EOFError, UnpicklingError, BadZipFile, ValueError, KeyError),
    *(IndexError, AssertionError, TypeError, AttributeError, MemoryError, RecursionError),
)

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""The dtypes of weights; narrower ones have a scale that a state dict does not contain."""

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

_OF_LIGHTNING = "pytorch-lightning_version"

_COUNTER = "num_batches_tracked"
"""The last part of the names that state dicts of old versions of torch lack."""

_SHOWN = 3


def read_weights(path: str | PathLike[str]) -> dict[str, Tensor]:
    """Read the tensors of a file of weights; floating-point tensors become float32.

    Parameters
    ----------
    path
        A file of ``torch.save`` with a state dict, or with a checkpoint that has one in an entry of
        `CHECKPOINT_ENTRIES`; or a ``.safetensors`` file, which needs the extra ``safetensors``.
        Only tensors and plain values are unpickled.

    Returns
    -------
    dict of Tensor
        The tensors on the CPU, by the names in the file, prefixes included.

    Raises
    ------
    DataError
        If the file cannot be read, holds no state dict or more than one, holds objects that would
        run code of their own when read, or a tensor is not dense or not whole. The message names
        the file, and says what to save instead.
    SettingError
        If a ``.safetensors`` file is read without the package.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import torch
    >>> from torch import nn
    >>> from cameval.networks import read_weights
    >>> with TemporaryDirectory() as folder:
    ...     path = f"{folder}/checkpoint.pth"
    ...     torch.save({"model": nn.Linear(2, 3).half().state_dict(), "epoch": 7}, path)
    ...     {name: tensor.dtype for name, tensor in read_weights(path).items()}
    {'weight': torch.float32, 'bias': torch.float32}
    """
    return StateDict.of(path).tensors


def load_weights(net: nn.Module, path: str | PathLike[str]) -> None:
    """Load the weights of a file into a network, all of them or none.

    Each tensor of the network must be in the file with its shape, and each tensor of the file in
    the network, by their names without a common prefix. In a checkpoint of Lightning other parts of
    its module may have weights too, such as a loss; exactly one part must fit the network.

    Parameters
    ----------
    net
        The network, whose weights are replaced. It may be wrapped by ``torch.compile``,
        `DataParallel` or `DistributedDataParallel`. Of a model of `cameval.adapt` the file may
        also be that of the network that was adapted.
    path
        A file as for `read_weights`.

    Raises
    ------
    DataError
        If the file cannot be read, or its tensors are not those of the network: the message lists
        the first that are missing, not known or of another shape. Also if a tensor of
        floating-point weights holds integers, booleans, complex or quantized numbers, numbers of 8
        bits, NaN or infinity. The network then keeps the weights that it had.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import torch
    >>> from torch import nn
    >>> from cameval.networks import load_weights
    >>> trained, net = nn.Linear(2, 3), nn.Linear(2, 3)
    >>> with TemporaryDirectory() as folder:
    ...     path = f"{folder}/checkpoint.pth"
    ...     torch.save({"state_dict": nn.DataParallel(trained).state_dict()}, path)
    ...     load_weights(net, path)
    >>> torch.equal(net.weight, trained.weight)
    True
    """
    StateDict.of(path).load_into(net)


@dataclass(frozen=True)
class StateDict:
    """The tensors of a file, by the names in it.

    Parameters
    ----------
    path
        The file.
    tensors
        The tensors.
    of_lightning
        Whether the file is a checkpoint of Lightning, which holds all parts of a module.
    """

    path: Path
    tensors: dict[str, Tensor]
    of_lightning: bool = False

    @classmethod
    def of(cls, path: str | PathLike[str]) -> "StateDict":
        """Read a file; floating-point tensors become float32."""
        path = Path(path)
        check_file(path, "a file of weights")
        content = _read_safetensors(path) if path.suffix == ".safetensors" else _unpickle(path)
        state = _state_in(content, path)
        size = path.stat().st_size
        for name, tensor in state.items():
            _check_storage(path, name, tensor, size)
        tensors = {n: t.float() if t.dtype in _FLOATS else t for n, t in state.items()}
        return cls(path, tensors, isinstance(content, Mapping) and _OF_LIGHTNING in content)

    def load_into(
        self, net: nn.Module, what: str = "", optional: frozenset[str] = frozenset()
    ) -> None:
        """Load all tensors into a network, or raise an error and leave the network as it is.

        Tensors of these names keep their values if the file has none of them.
        """
        net = self.network_in(net)
        absent = frozenset() if self._has(optional) else optional
        own = {name: one for name, one in _tensors_of(net).items() if name not in absent}
        fitting = self._fitting(own, what or f"the network ({type(net).__name__})")
        _check_kinds(self.path, fitting, own)
        before = {name: tensor.clone() for name, tensor in own.items()}
        try:
            net.load_state_dict(fitting, strict=not absent)
        except Exception as error:
            net.load_state_dict(before, strict=False)
            raise DataError(
                f"{self.path} must hold weights that the network can load, got: {error}"
            ) from error

    def network_in(self, net: nn.Module) -> nn.Module:
        """Return the network that takes the tensors: this one if they fit, or the adapted one."""
        net = unwrap(net)
        return net if self.fits(net) else _adapted_in(net)

    def fits(self, net: nn.Module, *, without: frozenset[str] = frozenset()) -> bool:
        """Return whether the names and shapes are those of a network, without some names."""
        own = {name: one for name, one in _tensors_of(net).items() if name not in without}
        return any(_Match.of(self, prefix, own).fits for prefix in self._prefixes_of(own))

    def count_classes(self, net: nn.Module) -> int | None:
        """Return the number of classes of these weights, of a network with another number.

        That is where all names fit and some tensors differ in their first length alone, from one
        number in the network to one in the file.
        """
        own = _tensors_of(net)
        for prefix in self._prefixes_of(own):
            match = _Match.of(self, prefix, own)
            pairs = [(own[name].shape, match.found[name].shape) for name in match.others]
            counts = {(old[:1], new[:1]) for old, new in pairs}
            if match.same_names and len(counts) == 1 and all(a[1:] == b[1:] for a, b in pairs):
                ((_, new),) = counts
                return int(new[0]) if new else None
        return None

    def _fitting(self, own: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
        """Return the tensors by the names in the network."""
        matches = [_Match.of(self, prefix, own) for prefix in self._prefixes_of(own)]
        fitting = [match for match in matches if match.fits]
        if len(fitting) > 1:
            parts = " and ".join(repr(match.prefix) for match in fitting)
            raise DataError(
                f"{self.path} must hold one part that fits {what}, got {parts}; save the state "
                "dict of that part alone"
            )
        if not fitting:
            nearest = max(matches, key=lambda match: match.score, default=_Match("", {}, own, []))
            raise DataError(
                f"{self.path} must hold the weights of {what}, got {nearest.describe(self)}"
            )
        return fitting[0].found

    def _has(self, names: Iterable[str]) -> bool:
        """Return whether one of these names is in the file, after any prefix."""
        plain = [f".{_plain(name)}" for name in self.tensors]
        return any(one.endswith(f".{name}") for name in names for one in plain)

    def _prefixes_of(self, own: Mapping[str, Tensor]) -> list[str]:
        """Return what comes before a name of the network in names of the file."""
        plain = [_plain(name) for name in self.tensors]
        found: dict[str, None] = {}
        for name in map(_plain, _first_and_last(own)):
            ends = [one.removesuffix(name) for one in plain if one.endswith(name)]
            found |= dict.fromkeys(end for end in ends if not end or end.endswith("."))
        return list(found)


@dataclass(frozen=True)
class _Match:
    """The tensors of a file whose names begin with a prefix, beside those of a network.

    Parameters
    ----------
    prefix
        The beginning of the names.
    found
        The tensors that the network has, by its names.
    own
        The tensors of the network.
    strange
        The names in the file that the network does not have.
    """

    prefix: str
    found: dict[str, Tensor]
    own: Mapping[str, Tensor]
    strange: list[str]

    @classmethod
    def of(cls, state: StateDict, prefix: str, own: Mapping[str, Tensor]) -> "_Match":
        names = {_plain(name): name for name in own}
        found: dict[str, Tensor] = {}
        strange: list[str] = []
        for name, tensor in state.tensors.items():
            plain = _plain(name)
            if plain.startswith(prefix) and plain.removeprefix(prefix) in names:
                found[names[plain.removeprefix(prefix)]] = tensor
            elif plain.startswith(prefix) or not state.of_lightning:
                strange.append(name)
        return cls(prefix, found, own, strange)

    @property
    def missing(self) -> list[str]:
        """The names in the network that the file does not have."""
        absent = [name for name in self.own if name not in self.found]
        return [name for name in absent if name.rpartition(".")[2] != _COUNTER]

    @property
    def others(self) -> list[str]:
        """The names of tensors of another shape."""
        return [name for name, one in self.found.items() if one.shape != self.own[name].shape]

    @property
    def same_names(self) -> bool:
        return bool(self.found) and not self.strange and not self.missing

    @property
    def fits(self) -> bool:
        return self.same_names and not self.others

    @property
    def score(self) -> int:
        return len(self.found) - len(self.strange)

    def describe(self, state: StateDict) -> str:
        """Return what does not fit, the first of each kind."""
        if not self.found:
            return (
                f"names such as {_listed(state.tensors)}, where the network has {_listed(self.own)}"
            )
        parts = []
        if self.missing:
            parts.append(f"no {_listed(self.missing, self.own)}")
        if self.strange:
            parts.append(f"{_listed(self.strange)}, which the network does not have")
        if others := self.others:
            pairs = [
                f"{name} of {_shape(self.found[name])} for {_shape(self.own[name])}"
                for name in others[:_SHOWN]
            ]
            parts.append(f"{', '.join(pairs)}{_more(others)}")
        return "; ".join(parts)


def _first_and_last(own: Mapping[str, Tensor]) -> list[str]:
    """Return two names of a network, one of which is in a file with a new head or a new start."""
    names = [name for name in own if not name.endswith(_COUNTER)]
    return names[:1] + names[-1:]


def _adapted_in(net: nn.Module) -> nn.Module:
    """Return the network of which a model of `adapt` consists, another network as it is."""
    net = unwrap(net)
    inner = net.net if isinstance(net, LayerModel) else net
    if isinstance(net, CAMModel):
        inner = net.origin or net  # None with a new head
    inner = own_network(inner)
    return net if inner is net else _adapted_in(inner)


def _plain(name: str) -> str:
    """Return a name without the parts that ``torch.compile`` puts into it."""
    return re.sub(r"(^|\.)_orig_mod\.", r"\1", name)


def _tensors_of(net: nn.Module) -> dict[str, Tensor]:
    """Return the state dict of a network, without the extra state that is no tensor."""
    return {name: one for name, one in unwrap(net).state_dict().items() if isinstance(one, Tensor)}


def _listed(names: Iterable[str], own: Mapping[str, Tensor] | None = None) -> str:
    names = list(names)
    shown = [f"{name} {_shape(own[name])}" if own else name for name in names[:_SHOWN]]
    return ", ".join(shown) + _more(names)


def _more(names: list[str]) -> str:
    return f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


# --- Reading --------------------------------------------------------------------------------------


def _unpickle(path: Path) -> object:
    """Read what ``torch.save`` wrote, without objects that run code of their own."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        if found := re.search(r"Unsupported (?:global|class).*?GLOBAL ([\w.]+)", str(error)):
            raise DataError(
                f"{path} must be a file of weights without other objects, got a {found[1]}, which "
                "is not read since it may run code; save torch.save(net.state_dict(), path) "
                "where the file was made"
            ) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} must be a file of weights, got: {reason}") from error


def _read_safetensors(path: Path) -> object:
    safetensors = import_extra("safetensors.torch", ".safetensors files need")
    try:
        return safetensors.load_file(path, device="cpu")
    except Exception as error:  # its own error, of a class that is no Python error's
        raise DataError(f"{path} must be a file of weights, got: {error}") from error


def _state_in(content: object, path: Path) -> dict[str, Tensor]:
    """Return the state dict that a file holds, itself or in an entry."""
    if _is_state(content):
        return {str(name): tensor for name, tensor in content.items()}  # type: ignore[attr-defined]
    entries = content if isinstance(content, Mapping) else {}
    states = {name: entries[name] for name in CHECKPOINT_ENTRIES if _is_state(entries.get(name))}
    if len(states) == 1:
        return {str(name): tensor for name, tensor in next(iter(states.values())).items()}
    if states:
        came = f"{' and '.join(map(repr, states))}; save one of them alone"
        raise DataError(f"{path} must hold one state dict, got {came}")
    came = type(content).__name__
    if entries:
        came += f" with {_listed(map(repr, entries))}"
    raise DataError(
        f"{path} must hold a state dict (names to tensors), alone or as one of "
        f"{', '.join(CHECKPOINT_ENTRIES)}, got {came}; save it with "
        "torch.save(net.state_dict(), path)"
    )


def _is_state(content: Any) -> bool:
    if not isinstance(content, Mapping) or not content:
        return False
    return all(isinstance(one, Tensor) for one in content.values())


# --- Checks ---------------------------------------------------------------------------------------


def _check_kinds(path: Path, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Check that tensors have the kind of numbers that the network's own have."""
    for name, tensor in state.items():
        if not own[name].is_floating_point():
            # In a state dict that was converted as a whole, counters are floating-point too.
            floats = tensor.dtype in _FLOATS and torch.equal(tensor, tensor.trunc())
            if tensor.dtype not in _INTEGERS and not floats:
                raise DataError(f"{path} must hold whole numbers in {name}, got {tensor.dtype}")
        elif tensor.dtype not in _FLOATS:
            raise DataError(
                f"{path} must hold weights in floating point of 16 to 64 bits, "
                f"got {tensor.dtype} in {name}"
            )
        elif not tensor.isfinite().all():
            raise DataError(f"{path} must hold finite weights, got NaN or infinity in {name}")


def _check_storage(path: Path, name: str, tensor: Tensor, size: int) -> None:
    """Check that a tensor is dense, and that the file of this size contains all of its numbers."""
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized or tensor.is_nested:
        kind = "quantized" if tensor.is_quantized else f"{tensor.layout} on {tensor.device}"
        raise DataError(f"{path} must hold dense tensors, got {kind} in {name}")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise DataError(
            f"{path} must hold every number of a tensor, got {tuple(tensor.shape)} with repeated "
            f"numbers in {name}; save tensor.contiguous()"
        )
    if tensor.untyped_storage().nbytes() > size:  # some versions of torch read beyond the file
        raise DataError(
            f"{path} must hold every number of a tensor, got {tuple(tensor.shape)} in {name} from "
            f"{size} bytes; save it again with torch.save, which does not compress"
        )

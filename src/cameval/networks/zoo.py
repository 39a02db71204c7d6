"""torchvision's classifiers by name: making one, loading its weights, saying what can be seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile

import torch
import torchvision
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cameval.errors import CamevalError, DataError, SettingError, UnsupportedModelError
from cameval.geometry import Place
from cameval.networks.adapt import adapt
from cameval.networks.heads import ExactHead
from cameval.networks.model import CAMModel

__all__ = [
    "NetworkFacts",
    "check_name",
    "describe_network",
    "load_network",
    "network_names",
    "read_weights",
]

_DAMAGED = (  # what reading a damaged file of weights has been seen to raise
    *(OSError, RuntimeError, EOFError, UnpicklingError, BadZipFile, ValueError, KeyError),
    *(IndexError, AssertionError, TypeError, AttributeError),
)


def network_names() -> list[str]:
    """Return the names of torchvision's image classifiers."""
    return torchvision.models.list_models(module=torchvision.models)


def check_name(name: str) -> None:
    """Check that torchvision has a classifier of this name."""
    if name not in network_names():
        near = ", ".join(get_close_matches(name, network_names(), 4))
        raise UnsupportedModelError(
            f"a network must be one of torchvision's classifiers, got {name!r}; "
            f"near names: {near or 'none'}"
        )


def load_network(
    name: str, weights: str | PathLike[str] = "none", *, num_classes: int | None = None
) -> nn.Module:
    """Make one of torchvision's classifiers, in evaluation mode, with weights of your choice.

    Parameters
    ----------
    name
        A name of torchvision's, as ``"resnet50"``.
    weights
        ``"none"`` for random weights; ``"DEFAULT"`` or the name of another of torchvision's weights
        (``"IMAGENET1K_V1"``), downloaded once; or a file: a state dict of the network, of any
        floating precision, or of ``adapt(net, num_classes=k)``, which is then what comes back.
        Nothing but tensors is ever unpickled.
    num_classes
        The classes of the network, where they are not ImageNet's.

    Returns
    -------
    nn.Module
        The network in float32, on the CPU.

    Raises
    ------
    UnsupportedModelError
        If torchvision has no such classifier.
    DataError
        If the weights cannot be had or read, or are those of another network; the file is named.
    SettingError
        If `num_classes` is not positive.

    Examples
    --------
    >>> type(load_network("squeezenet1_1")).__name__
    'SqueezeNet'
    """
    check_name(name)
    if num_classes is not None and num_classes < 1:
        raise SettingError(f"num_classes must be at least 1, got {num_classes}")
    options: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
    if name in {"googlenet", "inception_v3"}:  # their weights expect another normalization
        options |= {"init_weights": False, "transform_input": str(weights) != "none"}
    if str(weights) == "none":
        return torchvision.models.get_model(name, weights=None, **options).eval()
    entries = torchvision.models.get_model_weights(name)
    if str(weights) in entries.__members__:
        return _downloaded(name, entries[str(weights)], options)
    path = Path(weights)
    if not path.exists():
        raise DataError(
            f"weights must be 'none', {', '.join(map(repr, ('DEFAULT', *entries.__members__)))}, "
            f"or a file, got {str(path)!r}, which does not exist"
        )
    state = read_weights(path)
    model: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    if "head.linear.weight" in state:  # of adapt(net, num_classes=k)
        model = adapt(model, num_classes=len(state["head.linear.weight"]))
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise DataError(
            f"{path} must hold the weights of {name} with {num_classes or 1000} classes, "
            f"got: {reason}"
        ) from error
    return model.eval()


def read_weights(path: str | PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict without unpickling anything but tensors; floats come back as float32.

    Raises
    ------
    DataError
        If the file is no state dict; it is named.
    """
    try:
        state: object = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path} must be a file of weights, got: {reason}") from error
    tensors = isinstance(state, Mapping) and all(isinstance(t, Tensor) for t in state.values())
    if not isinstance(state, Mapping) or not tensors or not state:
        raise DataError(
            f"{path} must hold a state dict (names to tensors), got {type(state).__name__}; save "
            "it with torch.save(net.state_dict(), path)"
        )
    return {
        str(name): tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
    }


def _downloaded(name: str, entry: Any, options: dict[str, Any]) -> nn.Module:
    if "num_classes" in options and options["num_classes"] != len(entry.meta["categories"]):
        raise SettingError(
            f"num_classes must be {len(entry.meta['categories'])} for {entry}, "
            f"got {options['num_classes']}"
        )
    try:
        return torchvision.models.get_model(name, weights=entry).eval()
    except _DAMAGED as error:
        raise DataError(
            f"the weights {entry} must be downloadable and whole, got {error}; give a file instead"
        ) from error


# --- Facts ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetworkFacts:
    """What can be seen of a network.

    Parameters
    ----------
    name
        torchvision's name.
    head
        Class of the head at the cut, or why there is none.
    exact
        Whether the class activation map is exact as the network is; else ``adapt(net,
        num_classes=k)`` gives it a head of which it is.
    cells
        Height and width of the coarse maps, None where there is no cut.
    channels
        Channels of the features.
    place
        Where the cells lie in the image, if that is known.
    """

    name: str
    head: str
    exact: bool
    cells: tuple[int, ...] | None
    channels: int | None
    place: Place | None


def describe_network(name: str, size: int = 224) -> NetworkFacts:
    """Say what can be seen of one of torchvision's classifiers, without its weights.

    Parameters
    ----------
    name
        A name of torchvision's.
    size
        Height and width of the images.

    Returns
    -------
    NetworkFacts
        The facts; computed on shapes alone, so that even large networks take little time.

    Raises
    ------
    UnsupportedModelError
        If torchvision has no such classifier.

    Examples
    --------
    >>> describe_network("resnet18").cells, describe_network("resnet18").exact
    ((7, 7), True)
    """
    check_name(name)
    with _ParametersOnMeta():
        net = torchvision.models.get_model(name, weights=None, **_quick(name))
    net = net.to("meta").eval()
    try:
        model = adapt(net)
    except CamevalError:
        return NetworkFacts(name, "no feature map at the end", False, None, None, None)
    if not isinstance(model, CAMModel):
        return NetworkFacts(name, type(model).__name__, False, None, None, None)
    try:
        with torch.no_grad():
            features = model.features(torch.empty(1, 3, size, size, device="meta"))
    except RuntimeError as error:
        raise SettingError(f"size must be large enough for {name}, got {size}: {error}") from error
    return NetworkFacts(
        name,
        type(model.head).__name__,
        isinstance(model.head, ExactHead),
        tuple(features.shape[2:]),
        features.shape[1],
        model.place,
    )


def _quick(name: str) -> dict[str, bool]:
    return {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}


class _ParametersOnMeta(TorchFunctionMode):
    """Make the parameters of new layers without memory, and leave all other tensors as they are."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)

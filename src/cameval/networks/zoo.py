"""torchvision's classifiers by name: names, weights, properties."""

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

from cameval._checks import check_count
from cameval.data._files import NOTHING, check_file, kind_at
from cameval.errors import CamevalError, DataError, SettingError, UnsupportedModelError
from cameval.maps import CellCenters
from cameval.networks.adapt import adapt
from cameval.networks.heads import ExactHead
from cameval.networks.model import CAMModel

__all__ = ["NetworkFacts", "describe_network", "load_network", "network_names"]

_DAMAGED = (  # errors of torch.load on damaged files
    *(OSError, RuntimeError, EOFError, UnpicklingError, BadZipFile, ValueError, KeyError),
    *(IndexError, AssertionError, TypeError, AttributeError, MemoryError, RecursionError),
)

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
"""The dtypes of weights; narrower ones have a scale that a state dict does not contain."""

_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


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
    name: str,
    weights: str | PathLike[str] = "none",
    *,
    num_classes: int | None = None,
    seed: int | None = None,
) -> nn.Module:
    """Build one of torchvision's classifiers in evaluation mode, with random or given weights.

    Parameters
    ----------
    name
        A name of torchvision's, as ``"resnet50"``.
    weights
        ``"none"`` for random weights; ``"DEFAULT"`` or the name of another of torchvision's weights
        (``"IMAGENET1K_V1"``), downloaded once; or a file: a state dict of the network, in floating
        point of 16 to 64 bits, or of ``adapt(net, num_classes=k)``, which is then returned. Only
        tensors are unpickled.
    num_classes
        Number of classes, by default those of ImageNet.
    seed
        Seed of the random weights; torch's generator is not changed. By default the weights are
        drawn by that generator.

    Returns
    -------
    nn.Module
        The network in float32, on the CPU.

    Raises
    ------
    UnsupportedModelError
        If torchvision has no such classifier.
    DataError
        If the weights cannot be downloaded or read, or are those of another network; the file is
        named. Also if a tensor of floating-point weights holds integers, booleans, complex or
        quantized numbers, numbers of 8 bits, NaN or infinity; the tensor is named.
    SettingError
        If `num_classes` is not positive, or the network does not fit into memory; or `seed` is
        negative.

    Examples
    --------
    >>> type(load_network("squeezenet1_1")).__name__
    'SqueezeNet'
    """
    check_name(name)
    if num_classes is not None:
        check_count("num_classes", num_classes)
    options: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
    if name in {"googlenet", "inception_v3"}:  # their weights expect another normalization
        options |= {"init_weights": False, "transform_input": str(weights) != "none"}
    if str(weights) == "none":
        return _build(name, options, seed).eval()
    entries = torchvision.models.get_model_weights(name)
    if str(weights) in entries.__members__:
        return _download(name, entries[str(weights)], options)
    path = Path(weights)
    if kind_at(path) == NOTHING:
        raise DataError(
            f"weights must be 'none', {', '.join(map(repr, ('DEFAULT', *entries.__members__)))}, "
            f"or a file, got {str(path)!r}, which does not exist"
        )
    state = read_weights(path)
    model = _build(name, options, seed)
    head = state.get("head.linear.weight")
    if head is not None and head.ndim == 2:  # of adapt(net, num_classes=k)
        model = adapt(model, num_classes=len(head))
    _check_kinds(path, state, model.state_dict())
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise DataError(
            f"{path} must hold the weights of {name} with {num_classes or 1000} classes, "
            f"got: {reason}"
        ) from error
    return model.eval()


def _build(name: str, options: dict[str, Any], seed: int | None) -> nn.Module:
    """Build a network with random weights."""
    if seed is not None and not 0 <= seed < 2**63:
        raise SettingError(f"seed must be in [0, 2**63), got {seed}")
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        try:
            model: nn.Module = torchvision.models.get_model(name, weights=None, **options)
        except (RuntimeError, MemoryError, TypeError) as error:  # too many classes for the memory
            raise SettingError(
                f"num_classes must be a number of classes that {name} can have, "
                f"got {options.get('num_classes')}: {error}"
            ) from error
    return model


def _check_kinds(path: Path, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Check that tensors have the kind of numbers that the network's own have."""
    for name, tensor in state.items():
        if name not in own:
            continue  # load_state_dict raises an error
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


def read_weights(path: str | PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict and unpickle only tensors; floating-point tensors become float32.

    Raises
    ------
    DataError
        If the file is no state dict; the message names it.
    """
    path = Path(path)
    check_file(path, "a file of weights")
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
    size = path.stat().st_size
    for name, tensor in state.items():
        _check_storage(path, str(name), tensor, size)
    return {
        str(name): tensor.float() if tensor.dtype in _FLOATS else tensor
        for name, tensor in state.items()
    }


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


def _download(name: str, entry: Any, options: dict[str, Any]) -> nn.Module:
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


# --- Properties -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetworkFacts:
    """Properties of a network that matter for class activation maps.

    Parameters
    ----------
    name
        torchvision's name.
    head
        Class of the head, or why there is none.
    exact
        Whether an exact class activation map exists; else ``adapt(net, num_classes=k)`` gives the
        network a head for which it does.
    cells
        Height and width of the coarse maps, None if the network cannot be split.
    channels
        Channels of the features.
    cell_centers
        Centers of the cells in the image, if they are known.
    """

    name: str
    head: str
    exact: bool
    cells: tuple[int, ...] | None
    channels: int | None
    cell_centers: CellCenters | None


def describe_network(name: str, size: int = 224) -> NetworkFacts:
    """Describe one of torchvision's classifiers, without its weights.

    Parameters
    ----------
    name
        A name of torchvision's.
    size
        Height and width of the images.

    Returns
    -------
    NetworkFacts
        Its properties, computed from shapes alone, so that large networks take little time.

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
        net = torchvision.models.get_model(name, weights=None, **_fast_options(name))
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
        model.cell_centers,
    )


def _fast_options(name: str) -> dict[str, bool]:
    return {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}


class _ParametersOnMeta(TorchFunctionMode):
    """Create the parameters of new layers on the meta device, and all other tensors as usual."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)

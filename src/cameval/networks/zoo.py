"""Networks by name, with their weights; properties of torchvision's classifiers."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision.models import VisionTransformer

from cameval._checks import check_count
from cameval.data._files import FOLDER, NOTHING, kind_at
from cameval.errors import CamevalError, DataError, SettingError
from cameval.maps import CellCenters
from cameval.networks._own_code import OwnNetwork
from cameval.networks._sources import (
    TIMM,
    Source,
    TimmNetwork,
    TorchvisionNetwork,
    check_name,
    network_names,
)
from cameval.networks.adapt import adapt
from cameval.networks.heads import ExactHead
from cameval.networks.model import CAMModel
from cameval.networks.weights import StateDict

__all__ = ["NetworkFacts", "describe_network", "find_weights", "load_network", "network_names"]

_NEW_HEAD = "head.linear.weight"
"""The name of the weights of the head that ``adapt(net, num_classes=k)`` makes."""


def find_weights(where: str | PathLike[str], name: str) -> str | PathLike[str]:
    """Return the file of weights of a name in a folder.

    Parameters
    ----------
    where
        A folder; anything else is returned as it is.
    name
        The name in front of the suffix ``.pth``, alone or with a hyphen and more behind it.

    Returns
    -------
    str or PathLike[str]
        The file.

    Raises
    ------
    DataError
        If a folder has no file ``NAME.pth`` or ``NAME-*.pth``, or several.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.networks import find_weights
    >>> with TemporaryDirectory() as folder:
    ...     (Path(folder) / "resnet18-f37072fd.pth").touch()
    ...     Path(find_weights(folder, "resnet18")).name
    'resnet18-f37072fd.pth'
    >>> find_weights("DEFAULT", "resnet18")
    'DEFAULT'
    """
    folder = Path(where)
    if kind_at(folder) != FOLDER:
        return where
    files = sorted(
        file
        for file in folder.iterdir()
        if file.name == f"{name}.pth"
        or (file.name.startswith(f"{name}-") and file.suffix == ".pth")
    )
    if len(files) != 1:
        raise DataError(
            f"{where} must hold one file {name}.pth or {name}-*.pth, "
            f"got {', '.join(file.name for file in files) or 'none'}"
        )
    return files[0]


def load_network(
    name: str,
    weights: str | PathLike[str] = "none",
    *,
    num_classes: int | None = None,
    seed: int | None = None,
    features_only: bool = False,
) -> nn.Module:
    """Return the network of a name in evaluation mode, with random or given weights.

    Parameters
    ----------
    name
        One of

        - a name of torchvision's, as ``"resnet50"``;
        - ``"timm:NAME"``, a name of timm's with or without the tag of its weights, as
          ``"timm:resnet18.a1_in1k"``; it needs the extra ``timm``;
        - ``"package.module:function"`` or ``"path/file.py:function"``: a function or class that is
          called without arguments, or with `num_classes` if that is given, and returns a network;
          or a network, of which a copy is used. Modules in the working directory, or beside the
          file, can be imported. *This runs the code of the module.*
    weights
        ``"none"`` for random weights, or those that your function gives its network; ``"DEFAULT"``
        for those of torchvision or timm, or the name of another of torchvision's weights
        (``"IMAGENET1K_V1"``), downloaded once; or a file as for `load_weights`, in floating point
        of 16 to 64 bits; or a folder with one file ``NAME.pth`` or ``NAME-*.pth``, where NAME is
        what `name` has after its last colon. The file may also be a state dict of
        ``adapt(net, num_classes=k)``, which is then returned. Only tensors are unpickled.
    num_classes
        Number of classes. By default that of the file of weights, if names and shapes show it; else
        that of the network as it is made, which is mostly the 1,000 of ImageNet.
    seed
        Seed of the random weights; torch's generator is not changed. By default the weights are
        drawn by that generator.
    features_only
        Whether a file of weights may lack the layers that ``adapt(net, num_classes=k)`` replaces,
        all of them. They have random weights then.

    Returns
    -------
    nn.Module
        The network, in float32 on the CPU if your own function does not return another.

    Raises
    ------
    UnsupportedModelError
        If the name stands for no network; the message lists names that are like it. Also if your
        own module or function raises an error, or returns no network.
    DataError
        If the weights cannot be downloaded or read, or are those of another network; the file is
        named. Also if a tensor of floating-point weights holds integers, booleans, complex or
        quantized numbers, numbers of 8 bits, NaN or infinity; the tensor is named.
    SettingError
        If timm is needed and not installed; `num_classes` is not positive, is not what the function
        takes, or the network does not fit into memory; or `seed` is negative.

    Examples
    --------
    >>> from cameval.networks import load_network
    >>> type(load_network("squeezenet1_1")).__name__
    'SqueezeNet'
    >>> load_network("torchvision.models:resnet18", num_classes=3).fc.out_features
    3
    """
    if num_classes is not None:
        check_count("num_classes", num_classes)
    source = _find_source(name)
    if str(weights) == "none":
        return _build(source, num_classes, seed).eval()
    if str(weights) in source.entries:
        return source.download(str(weights), num_classes).eval()
    path = Path(find_weights(weights, name.rpartition(":")[2]))
    if kind_at(path) == NOTHING:
        known = ", ".join(map(repr, ("none", *source.entries)))
        raise DataError(
            f"weights must be {known}, a file or a folder, got {str(path)!r}, which does not exist"
        )
    state = StateDict.of(path)
    model = _build(source, num_classes, seed, filled=True)
    if not state.fits(state.network_in(model)):
        head = state.tensors.get(_NEW_HEAD)
        if head is not None and head.ndim == 2:  # of adapt(net, num_classes=k)
            model = adapt(model, num_classes=len(head))
        elif (
            num_classes is None
            and (found := state.count_classes(state.network_in(model))) is not None
        ):
            model = _build_for(source, found, seed) or model
    classes = "" if num_classes is None else f" with {num_classes} classes"
    own = state.network_in(model)
    optional = _names_of_head(own) if features_only else frozenset()
    try:
        state.load_into(model, f"{name}{classes}", optional)
    except DataError as error:
        if features_only or not _lacks_the_head_alone(state, own):
            raise
        raise DataError(
            f"{error}; only the head is missing: load_network(..., features_only=True) loads the "
            "rest, and the head has random weights until you train it"
        ) from error
    return model.eval()


def _lacks_the_head_alone(state: StateDict, net: nn.Module) -> bool:
    try:
        head = _names_of_head(net)
    except CamevalError:  # no head is known
        return False
    return bool(head) and state.fits(net, without=head)


def _names_of_head(net: nn.Module) -> frozenset[str]:
    """Return the names of the tensors that ``adapt(net, num_classes=k)`` replaces."""
    model = adapt(net)
    if not isinstance(model, CAMModel):  # a layer's model has no head to replace
        return frozenset()
    kept = {id(one) for one in model.features.state_dict(keep_vars=True).values()}
    own = net.state_dict(keep_vars=True)
    return frozenset(name for name, one in own.items() if id(one) not in kept)


def _find_source(name: str) -> Source:
    """Return where the network of a name comes from."""
    if name.startswith(TIMM):
        return TimmNetwork(name.removeprefix(TIMM))
    return OwnNetwork(name) if ":" in name else TorchvisionNetwork(name)


def _build(
    source: Source, num_classes: int | None, seed: int | None, *, filled: bool = False
) -> nn.Module:
    """Build a network with random weights."""
    if seed is not None and not 0 <= seed < 2**63:
        raise SettingError(f"seed must be in [0, 2**63), got {seed}")
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return source.build(num_classes, filled=filled)


def _build_for(source: Source, num_classes: int, seed: int | None) -> nn.Module | None:
    """Build a network for the classes of a file, None if it cannot have another number."""
    try:
        return _build(source, num_classes, seed, filled=True)
    except SettingError:
        return None


# --- Properties -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class NetworkFacts:
    """Properties of a network that matter for class activation maps.

    Parameters
    ----------
    name
        torchvision's name.
    head
        Class of the head; "of the class token" where the features are the patch tokens that the
        last attention reads.
    exact
        Whether an exact class activation map exists; else ``adapt(net, num_classes=k)`` gives the
        network a head for which it does.
    cells
        Height and width of the coarse maps.
    channels
        Channels of the features.
    cell_centers
        Centers of the cells in the image, if they are known.

    Examples
    --------
    >>> from cameval.networks import describe_network
    >>> facts = describe_network("squeezenet1_1", size=224)
    >>> facts.head, facts.exact, facts.cells, facts.channels
    ('ClassMapHead', True, (13, 13), 512)
    >>> facts.cell_centers
    CellCenters(offset=15.5, stride=16.0)
    """

    name: str
    head: str
    exact: bool
    cells: tuple[int, ...]
    channels: int
    cell_centers: CellCenters | None


def describe_network(name: str, size: int = 224) -> NetworkFacts:
    """Describe one of torchvision's classifiers, without its weights.

    Parameters
    ----------
    name
        A name of torchvision's.
    size
        Height and width of the images. Vision transformers have the only size that they take.

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
    >>> from cameval.networks import describe_network
    >>> describe_network("resnet18").cells, describe_network("resnet18").exact
    ((7, 7), True)
    """
    check_name(name)
    with _ParametersOnMeta():
        net = torchvision.models.get_model(name, weights=None, **_fast_options(name))
    if isinstance(net, VisionTransformer):  # patch tokens at the input of the last attention
        cells = net.image_size // net.patch_size
        return NetworkFacts(name, "of the class token", False, (cells, cells), net.hidden_dim, None)
    model = adapt(net.to("meta").eval())
    assert isinstance(model, CAMModel)
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

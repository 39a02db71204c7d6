"""Networks, their preparation and target classes from command-line options."""

import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from cameval.cli._inputs import split_name
from cameval.cli._near_words import near_words
from cameval.distributed import own_device
from cameval.errors import (
    SettingError,
    UnsupportedHeadError,
    UnsupportedModelError,
)
from cameval.evaluation import Preparation
from cameval.networks import (
    Activations,
    CAMModel,
    LayerModel,
    adapt,
    find_weights,
    load_network,
    network_names,
)

_USUAL_SIDES = (
    *(28, 32, 48, 64, 96, 112, 128, 160, 192, 224, 227, 240, 256, 260, 299, 300, 320, 331, 336),
    *(380, 384, 448, 456, 512),
)
"""Sides of images that networks are often trained on."""

_MANY = 4
"""The number of these sides that a network takes if its size is not fixed by a linear layer."""


@dataclass(frozen=True)
class NamedNetwork:
    """A network that is evaluated.

    Parameters
    ----------
    net
        The network, in evaluation mode on its device.
    source
        Its name, as `load_network` takes it.
    prepare
        How its images are prepared.
    """

    net: nn.Module
    source: str
    prepare: Preparation


def choose_device(name: str) -> str:
    """Return the device of this process; with several GPUs each process has its own."""
    try:
        device = own_device(torch.device(name))
    except RuntimeError as error:
        raise SettingError(f"--device must be available, got {name!r}: {error}") from error
    except SettingError as error:
        raise SettingError(f"--{error}") from error
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    return str(device)


def load_networks(options: Namespace) -> dict[str, NamedNetwork]:
    """Return the networks by their names in the tables."""
    models, weights = options.model, options.weights
    if len(weights) not in (1, len(models)):
        raise SettingError(
            f"--weights must be one for all or one for each of {len(models)} models, "
            f"got {len(weights)}"
        )
    labels = _check_labels(models)
    if options.maps and len(models) > 1:
        raise SettingError(f"--maps must go with one --model, got {len(models)}")
    for source in (split_name(model)[1] for model in models):
        if ":" not in source and source not in network_names():
            load_network(source)  # raises an error that lists similar names
    loaded: dict[str, NamedNetwork] = {}
    for label, model, where in zip(labels, models, _repeat(weights, len(models)), strict=True):
        source = split_name(model)[1]
        name = label if label != model else source.rpartition(":")[2]
        net = load_network(
            source, find_weights(where, name), num_classes=options.num_classes, seed=options.seed
        )
        prepare = _preparation(net, options)
        try:
            net = net.to(options.device)
        except (RuntimeError, AssertionError) as error:
            raise SettingError(
                f"--device must be available, got {options.device!r}: {error}"
            ) from error
        net = net if options.layer is None else adapt(net, layer=options.layer)
        loaded[label] = NamedNetwork(net, source, prepare)
    return loaded


def load_checkpoints(source: str, options: Namespace) -> dict[str, nn.Module]:
    """Return other trainings of a network by the names of their files."""
    files = options.checkpoints or []
    names = [Path(file).stem for file in files]
    if again := [name for name in names if names.count(name) > 1]:
        raise SettingError(f"--checkpoints must be files of different names, got {again[0]} twice")
    if files and len(options.model) > 1:
        raise SettingError(f"--checkpoints must go with one --model, got {len(options.model)}")
    return {
        name: load_network(source, file, num_classes=options.num_classes).to(options.device)
        for name, file in zip(names, files, strict=True)
    }


def _check_labels(models: Sequence[str]) -> list[str]:
    """Return the names of networks in the tables, which differ, as do the folders of their runs."""
    labels = [split_name(model)[0] or model for model in models]
    folders = [folder_of(label) for label in labels]
    for label, folder in zip(labels, folders, strict=True):
        if folders.count(folder) > 1:
            raise SettingError(
                f"--model must name each network once, got {label} twice; name them for the "
                "tables, as in --model first=resnet18 second=resnet18"
            )
    return labels


def folder_of(label: str) -> str:
    """Return the name of the folder with the run of a network."""
    return re.sub(r"[^\w.-]+", "_", label)


def _preparation(net: nn.Module, options: Namespace) -> Preparation:
    """Return the preparation of a network's images: as asked, as timm has it, or the default."""
    if (options.mean is None) != (options.std is None):
        given = "--std" if options.mean is None else "--mean"
        raise SettingError(f"--mean and --std must both be given, got {given} alone")
    usual = Preparation.for_network(net)
    mean, std = options.mean or usual.mean, options.std or usual.std
    if len(mean) == len(std) == 1:  # one number is that of all channels
        channels = _channels_of(net, unknown=1)
        mean, std = (*mean,) * channels, (*std,) * channels
    return Preparation(
        size=usual.size if options.size is None else options.size,
        crop=options.crop,
        fit=options.fit,
        mean=tuple(mean),
        std=tuple(std),
    )


def _channels_of(net: nn.Module, *, unknown: int = 3) -> int:
    """Return the channels of a network's images, those of its first convolution."""
    first = next((m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)), None)
    return unknown if first is None else first.in_channels


def count_classes(net: nn.Module, prepare: Preparation) -> int:
    """Return the number of outputs of a network, and check that it takes the images."""
    assert isinstance(prepare.size, tuple)  # `_preparation`
    model, channels = adapt(net), len(prepare.mean)
    try:
        return _count_outputs(model, channels, prepare.size)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError) as error:
        if (needed := _other_channels(model, channels, prepare.size)) is not None:
            raise SettingError(_describe_channels(needed, channels)) from error
        raise SettingError(f"{_needed(model, prepare)}: {error}") from error


def count_cells(net: nn.Module, prepare: Preparation) -> tuple[int, ...]:
    """Return height and width of the coarse maps of a network that takes the images."""
    assert isinstance(prepare.size, tuple)  # `_preparation`
    features = _try(adapt(net), len(prepare.mean), prepare.size).features
    return tuple(features.shape[2:])


def _count_outputs(model: CAMModel | LayerModel, channels: int, size: tuple[int, ...]) -> int:
    return _try(model, channels, size).logits.shape[1]


def _try(model: CAMModel | LayerModel, channels: int, size: tuple[int, ...]) -> Activations:
    """Return the activations of an image of zeros."""
    like = next(model.parameters())
    image = torch.zeros(1, channels, *size, device=like.device, dtype=like.dtype)
    return model.activations(image)


def _other_channels(
    model: CAMModel | LayerModel, channels: int, size: tuple[int, ...]
) -> int | None:
    """Return the channels of images that a network takes, of other numbers than these."""
    needed = _channels_of(model)
    if needed == channels:
        return None
    for other in (size, *((side, side) for side in _USUAL_SIDES)):
        with suppress(RuntimeError, AssertionError):
            _count_outputs(model, needed, other)
            return needed
    return None


def _describe_channels(needed: int, given: int) -> str:
    usual = Preparation.for_channels(1)
    one = f"one number, as in --mean {usual.mean[0]} --std {usual.std[0]}"
    way = one if needed == 1 else f"{needed} numbers, or one for all"
    return (
        f"--mean must have one number for each of the network's {needed} "
        f"channel{'s' * (needed > 1)}, got {given}; give --mean and --std {way}"
    )


def _needed(model: CAMModel | LayerModel, prepare: Preparation) -> str:
    """Return which images a network takes that does not take the prepared ones."""
    assert isinstance(prepare.size, tuple)  # `_preparation`
    channels, side = len(prepare.mean), prepare.size[0]
    taken: list[int] = []
    for other in _USUAL_SIDES:
        with suppress(RuntimeError, AssertionError):
            _count_outputs(model, channels, (other, other))
            taken.append(other)
        if len(taken) == _MANY:
            break
    listed = ", ".join(map(str, taken))
    if len(taken) == _MANY:
        return (
            f"--size must be large enough for the network, got {side}; of the usual sizes it takes "
            f"{listed}, and maybe more"
        )
    if taken:
        return (
            f"--size must be one that the network takes, got {side}; of the usual sizes it takes "
            f"{listed}"
        )
    return (
        f"--size must be one that the network takes, got {side}; it takes none of the usual sizes, "
        f"{', '.join(map(str, _USUAL_SIDES))}, so give that of the images it was trained on"
    )


@contextmanager
def told_by_options() -> Iterator[None]:
    """Describe by options what Python's errors describe by arguments.

    These are an unproved layer, a network that returns several tensors, and a method that needs
    another head.
    """
    try:
        yield
    except UnsupportedHeadError as error:
        if not error.reason:
            raise
        raise SettingError(
            f"{error.reason}; use a method that works with every head, such as --method grad_cam "
            "or --method hires_cam"
        ) from error
    except UnsupportedModelError as error:
        if error.select:
            raise SettingError(
                f"the network must return one tensor, {error.reason}; let the function of --model "
                f"return cameval.adapt(net, select={error.select}) in place of the network, in a "
                "file of Python: --model file.py:function; --weights is that of the network, as "
                "before"
            ) from error
        if not error.layers:
            raise
        way = f"Name it: --layer {error.layers[0]}, with a gradient method, such as --method"
        if error.step:
            way = (
                f"Give the network without its last step, a {error.step}, by a function in a file "
                f"of Python: --model file.py:function. Or {way[0].lower()}{way[1:]}"
            )
        raise SettingError(
            f"the layer of the maps cannot be proved. {way} grad_cam; {error.reason}. Layers that "
            f"maps can be taken from, the last first: {', '.join(error.layers)}"
        ) from error


def parse_classes(words: Sequence[str] | None) -> list[Any] | None:
    """Return the target classes, indices as numbers."""
    kinds = ("predicted", "true")
    for word in words or ():
        if word not in kinds and not word.isdecimal():
            near = ", ".join(near_words(word, kinds))
            raise SettingError(
                f"--classes must be predicted, true or the index of a class, got {word!r}"
                + (f"; near name: {near}" if near else "")
            )
    return None if words is None else [int(w) if w.isdecimal() else w for w in words]


def _repeat(weights: Sequence[str], count: int) -> list[str]:
    return list(weights) * count if len(weights) == 1 else list(weights)


def names_of_weights(source: str, classes: int) -> list[str] | None:
    """Return ImageNet's names of the classes, of torchvision's networks that have as many."""
    if source not in network_names():
        return None
    for entry in torchvision.models.get_model_weights(source):
        if len(entry.meta.get("categories", ())) == classes:
            return list(entry.meta["categories"])
    return None

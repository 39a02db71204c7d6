"""Networks by name: torchvision's and timm's, and the errors that they share with your own."""

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torchvision
from torch import nn

from cameval._extras import import_extra
from cameval._names import list_near_names
from cameval.errors import DataError, SettingError, UnsupportedModelError

TIMM = "timm:"


class Source(Protocol):
    """Where the network of a name comes from."""

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of weights that can be downloaded."""

    def build(self, num_classes: int | None, *, filled: bool) -> nn.Module:
        """Return the network with random weights; `filled` tells that others replace them."""

    def download(self, entry: str, num_classes: int | None) -> nn.Module:
        """Return the network with weights that are downloaded."""


# --- torchvision ----------------------------------------------------------------------------------


def network_names() -> list[str]:
    """Return the names of torchvision's image classifiers.

    Examples
    --------
    >>> from cameval.networks import network_names
    >>> names = network_names()
    >>> "resnet50" in names, "fcn_resnet50" in names  # the second one is for segmentation
    (True, False)
    """
    return torchvision.models.list_models(module=torchvision.models)


def check_name(name: str) -> None:
    """Check that torchvision has a classifier of this name."""
    if name in network_names():
        return
    of_timm = importlib.util.find_spec("timm") is not None and _timm().is_model(name)
    near = f"{TIMM}{name}" if of_timm else list_near_names(name, network_names(), 4)
    raise UnsupportedModelError(
        f"a network must be one of torchvision's classifiers, got {name!r}; near names: {near}; "
        "other networks are named timm:NAME, package.module:function or file.py:function"
    )


@dataclass(frozen=True)
class TorchvisionNetwork:
    """One of torchvision's classifiers."""

    name: str

    def __post_init__(self) -> None:
        """Check the name."""
        check_name(self.name)

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of its weights."""
        return ("DEFAULT", *torchvision.models.get_model_weights(self.name).__members__)

    def build(self, num_classes: int | None, *, filled: bool) -> nn.Module:
        """Return the network with random weights."""
        options: dict[str, Any] = {} if num_classes is None else {"num_classes": num_classes}
        if self.name in {"googlenet", "inception_v3"}:  # their weights have another normalization
            options |= {"init_weights": False, "transform_input": filled}
        with _one_network(self.name, num_classes):
            model: nn.Module = torchvision.models.get_model(self.name, weights=None, **options)
        return model

    def download(self, entry: str, num_classes: int | None) -> nn.Module:
        """Return the network with torchvision's weights."""
        weights = torchvision.models.get_model_weights(self.name)[entry]
        _check_classes(num_classes, len(weights.meta["categories"]), str(weights))
        return _download(
            lambda: torchvision.models.get_model(self.name, weights=weights), str(weights)
        )


# --- timm -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TimmNetwork:
    """One of timm's classifiers, ``resnet18`` or with the tag of its weights, ``resnet18.a1_in1k``.

    Its own weights are ``"DEFAULT"``; of a name without a tag they are those that timm prefers.
    """

    name: str

    def __post_init__(self) -> None:
        """Check the name."""
        timm = _timm()
        architecture, _, tag = self.name.partition(".")
        if not timm.is_model(architecture):
            raise UnsupportedModelError(
                f"a network must be one of timm's classifiers, got {self.name!r}; near names: "
                f"{list_near_names(architecture, timm.list_models(), 4)}"
            )
        tags = [one.partition(".")[2] for one in timm.list_pretrained(f"{architecture}.*")]
        if tag and tag not in tags:
            raise UnsupportedModelError(
                f"the weights of timm's {architecture} must be one of {', '.join(tags) or 'none'}, "
                f"got {tag!r}"
            )

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of its weights; others are in the name of the network."""
        return ("DEFAULT",)

    def build(self, num_classes: int | None, *, filled: bool) -> nn.Module:
        """Return the network with random weights."""
        with _one_network(self.name, num_classes):
            model: nn.Module = _timm().create_model(self.name, num_classes=num_classes)
        return model

    def download(self, entry: str, num_classes: int | None) -> nn.Module:
        """Return the network with its weights, which timm downloads once."""
        timm = _timm()
        whole = f"timm's weights of {self.name}"
        known = timm.get_pretrained_cfg(self.name)
        if known is None or not known.has_weights:
            raise DataError(
                f"weights must be 'none' or a file for {self.name}, of which timm has none, "
                f"got {entry!r}"
            )
        _check_classes(num_classes, known.num_classes, whole)
        return _download(lambda: timm.create_model(self.name, pretrained=True), whole)


def _timm() -> Any:
    return import_extra("timm", "networks named timm:NAME need")


# --- Both -----------------------------------------------------------------------------------------


@contextmanager
def _one_network(name: str, num_classes: int | None) -> Iterator[None]:
    """Raise what building a network raises as an error about the number of classes."""
    try:
        yield
    except (RuntimeError, MemoryError, TypeError) as error:  # too many classes for the memory
        raise SettingError(
            f"num_classes must be a number of classes that {name} can have, "
            f"got {num_classes}: {error}"
        ) from error


def _check_classes(asked: int | None, given: int, weights: str) -> None:
    if asked not in (None, given):
        raise SettingError(f"num_classes must be {given} for {weights}, got {asked}")


def _download(load: Callable[[], nn.Module], weights: str) -> nn.Module:
    try:
        return load()
    except Exception as error:  # of the network, of the file, or of a package that downloads
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(
            f"{weights} must be downloadable and whole, got {reason}; give a file instead"
        ) from error

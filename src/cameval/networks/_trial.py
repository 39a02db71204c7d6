"""Trial images: random images of a size that a network takes, and its outputs for them."""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from cameval.errors import SettingError, UnsupportedModelError
from cameval.networks._copies import private_copy

T = TypeVar("T")

_IMAGES = 2

_SIDES = (224, 96, 64, 28, 32, 256, 299, 384, 512)
"""Sides of the images that are tried where the network names none."""

_VOLUMES = ((16, 64, 64), (64, 64, 64), (16, 112, 112), (16, 224, 224), (96, 96, 96))

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def input_channels(net: nn.Module) -> int | None:
    """Return the channels of a network's images: those of its first convolution, if it has any.

    Examples
    --------
    >>> from torch import nn
    >>> from torchvision.models import resnet18
    >>> from cameval.networks._trial import input_channels
    >>> input_channels(resnet18()), input_channels(nn.Linear(2, 2))
    (3, None)
    """
    first = _first_convolution(net)
    return None if first is None else first.in_channels


def timm_configuration(net: nn.Module) -> Mapping[str, Any]:
    """Return the configuration that timm's networks have, with the means of their images, or {}.

    It is that of the network, or of the first module in it that has one.

    Examples
    --------
    >>> from torchvision.models import resnet18
    >>> from cameval.networks._trial import timm_configuration
    >>> timm_configuration(resnet18())
    {}
    """
    found = (vars(module).get("pretrained_cfg") for module in net.modules())
    return next((one for one in found if isinstance(one, Mapping)), {})


def _first_convolution(net: nn.Module) -> nn.Conv1d | nn.Conv2d | nn.Conv3d | None:
    return next((m for m in net.modules() if isinstance(m, CONVOLUTIONS)), None)


class Tried(NamedTuple, Generic[T]):
    """A private copy of a network, trial images, and what a function made of both."""

    clone: nn.Module
    images: Tensor
    result: T


def try_network(
    net: nn.Module, images: Tensor | None, run: Callable[[nn.Module, Tensor], T]
) -> Tried[T]:
    """Run a private copy of a network on images: the given ones, or random ones.

    Parameters
    ----------
    net
        The network. It is not changed.
    images
        Images that the network takes. None: random ones, of the first size that it takes, of its
        configuration or of common sizes.
    run
        Function that runs the copy on images. The copy is in double precision where the network
        runs in it, so that two outputs that are nearly equal, as before and after a block of small
        weights, are told apart.

    Raises
    ------
    UnsupportedModelError
        If the network runs on none of the images.
    SettingError
        If the function that selects the logits fails.
    """
    reference = next(chain(net.parameters(), net.buffers()), torch.empty(0))
    if reference.is_meta:
        raise UnsupportedModelError(
            "the network must have weights to be tried, got parameters on the meta device; load "
            "them first"
        )
    tried: list[str] = []
    error: Exception | None = None
    # There is no double precision on the devices of Apple.
    dtypes = [torch.float32] if reference.device.type == "mps" else [torch.float64, torch.float32]
    for batch in candidate_images(net) if images is None else [images]:
        for dtype in dtypes:
            clone = private_copy(net).to(dtype)
            inputs = batch.detach().to(reference.device, dtype)
            try:
                with torch.random.fork_rng([reference.device] if reference.is_cuda else []):
                    return Tried(clone, inputs, run(clone, inputs))
            except (torch.OutOfMemoryError, SettingError):  # no image changes a setting
                raise
            except Exception as failure:
                error = failure
        tried.append(str(tuple(batch.shape)))
    raise UnsupportedModelError(
        f"the network must take one batch of images, got {type(error).__name__} for images of "
        f"shape {', '.join(tried)}: {str(error).splitlines()[0] if str(error) else ''}; give "
        "images that it takes, cameval.adapt(net, images=batch), or wrap a network of several "
        "inputs in a module that takes the images alone"
    ) from error


def candidate_images(net: nn.Module) -> Iterator[Tensor]:
    """Yield batches of random images ``(2, channels, H, W)``, the likeliest size first."""
    first = _first_convolution(net)
    channels = 3 if first is None else first.in_channels
    generator = torch.Generator().manual_seed(0)
    sizes: list[tuple[int, ...]] = [*_configured_sizes(net)]
    sizes += _VOLUMES if isinstance(first, nn.Conv3d) else [(side, side) for side in _SIDES]
    for size in dict.fromkeys(sizes):
        yield torch.randn(_IMAGES, channels, *size, generator=generator)


def _configured_sizes(net: nn.Module) -> Iterator[tuple[int, ...]]:
    """Yield the sizes of images in configurations, as timm and transformers store them."""
    for module in net.modules():
        values = vars(module)
        for name in ("pretrained_cfg", "default_cfg"):
            shape = values[name].get("input_size") if _is_mapping(values.get(name)) else None
            if isinstance(shape, tuple | list) and len(shape) == 3:
                yield (int(shape[1]), int(shape[2]))
        for holder in (values.get("config"), module):
            yield from _as_size(getattr(holder, "image_size", None))
            yield from _as_size(getattr(holder, "img_size", None))


def _as_size(value: Any) -> Iterator[tuple[int, ...]]:
    if isinstance(value, int) and value > 0:
        yield (value, value)
    sides = value if isinstance(value, tuple | list) and len(value) in (2, 3) else ()
    if sides and all(isinstance(side, int) and side > 0 for side in sides):
        yield tuple(sides)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)

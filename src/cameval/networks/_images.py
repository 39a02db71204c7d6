"""Checks of the images that a network is given, with errors that say what is wrong with them."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from cameval._arrays import dtype_or_type
from cameval._deferred import holds
from cameval.errors import ArrayTypeError, NonFiniteError, ShapeError
from cameval.networks._trial import input_channels

_prepared: ContextVar[bool] = ContextVar("cameval_prepared", default=False)


@contextmanager
def prepared_images() -> Iterator[None]:
    """Take images as they are, since a `Preparation` or the library itself made them."""
    token = _prepared.set(True)
    try:
        yield
    finally:
        _prepared.reset(token)


def are_prepared() -> bool:
    """Tell whether images are made by the library."""
    return _prepared.get()


def check_images(images: object) -> None:
    """Check that images are a floating-point tensor with four or five axes."""
    if not isinstance(images, Tensor) or not images.is_floating_point():
        hint = ""
        if isinstance(images, Tensor) and images.dtype == torch.uint8:
            hint = (
                "; divide by 255 and normalize as in training: (images.float() / 255 - mean) / std"
            )
        raise ArrayTypeError(
            f"images must be a floating-point torch tensor, got {dtype_or_type(images)}{hint}"
        )
    if images.ndim not in (4, 5):
        hint = "; add a batch axis with images[None]" if images.ndim == 3 else ""
        raise ShapeError(
            f"images must have shape (N, channels, H, W), got {tuple(images.shape)}{hint}"
        )


def check_finite(images: Tensor) -> None:
    """Check that no value of images is NaN or infinite; the error names the first such image."""
    finite = images.detach().isfinite()
    if not holds(finite.all()):
        strange = (~finite.flatten(1).all(1)).nonzero()[:, 0].tolist()
        raise NonFiniteError(
            f"images must be finite, got NaN or infinite values in image {strange[0]}, in "
            f"{len(strange)} of {len(images)}; look for a division by 0 where they are normalized"
        )


@contextmanager
def explain_channels(net: nn.Module, images: Tensor) -> Iterator[None]:
    """Turn the error of a network that is given another number of channels into one of the images.

    Raises
    ------
    ShapeError
        If the network fails, and its first convolution takes another number of channels.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        channels = input_channels(net)
        if channels is None or images.shape[1] == channels:
            raise
        hint = "; prepare them as the network was trained"
        if images.shape[-1] == channels:
            hint = "; the channels are the last axis: use images.movedim(-1, 1)"
        elif images.shape[1] == 1:
            ones = ", ".join(["-1"] * (images.ndim - 2))
            hint = f"; gray images can be repeated: images.expand(-1, {channels}, {ones})"
        raise ShapeError(
            f"images must have shape (N, {channels}, H, W) for this network, got "
            f"{tuple(images.shape)}{hint}"
        ) from error

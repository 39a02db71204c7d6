"""Checks of a loss's inputs, and restoration of buffers after a failure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from cameval._arrays import as_masks, check_integers, dtype_or_type, shape_or_type
from cameval.errors import ArrayTypeError, SettingError, ShapeError, UnsupportedModelError


def check_not_wrapped(model: nn.Module) -> None:
    """Check that no module is a data-parallel wrapper, whose ``forward`` would not be called."""
    for part in model.modules():
        if isinstance(part, nn.DataParallel | nn.parallel.DistributedDataParallel):
            raise UnsupportedModelError(
                f"model must be the network itself, got a {type(part).__name__}, which would not "
                "exchange the gradients of this loss; wrap a module that holds the network and "
                "returns the loss from its forward"
            )


def check_labels(labels: object, count: int) -> None:
    """Check that there is one integer for each image, and at least one image."""
    if not isinstance(labels, Tensor):
        raise ArrayTypeError(f"labels must be a torch tensor, got {type(labels).__name__}")
    check_integers(labels, "labels")
    if count == 0 or labels.shape != (count,):
        raise ShapeError(
            f"labels must be one for each of at least 1 image, shape ({count},), "
            f"got {tuple(labels.shape)}"
        )


def check_class_weights(weights: object) -> None:
    """Check that class weights are None, or finite numbers ``(C,)``, none negative, not all 0."""
    if weights is None:
        return
    if not isinstance(weights, Tensor) or not weights.is_floating_point():
        raise ArrayTypeError(
            f"class_weights must be a floating-point torch tensor, got {dtype_or_type(weights)}"
        )
    if weights.ndim != 1:
        raise ShapeError(f"class_weights must have shape (C,), got {tuple(weights.shape)}")
    if not (weights.isfinite() & (weights >= 0)).all():
        raise SettingError(f"class_weights must be finite and not negative, got {weights.tolist()}")
    if not weights.any():
        raise SettingError(
            f"class_weights must have one that is positive, got {weights.tolist()}; leave them out "
            "for equal weights"
        )


def check_masks(masks: object, weight: float, shape: tuple[int, ...]) -> Tensor | None:
    """Check boolean masks of this shape if their weight is positive; return None otherwise."""
    if (masks is not None) != (weight > 0):
        raise SettingError(
            "masks must be given if alpha_supervised is positive, and only then, got "
            f"{'no masks' if masks is None else 'masks'} with {weight}"
        )
    if masks is None:
        return None
    tensor = as_masks(masks, "masks")
    if tensor.shape != shape:
        raise ShapeError(
            f"masks must have the shape of the images' maps, {shape}, got {tuple(tensor.shape)}"
        )
    return tensor


def check_scores(scores: Any, logits: Tensor) -> Tensor:
    """Check that there is one score for each image and class."""
    if not isinstance(scores, Tensor) or scores.shape != logits.shape:
        raise ShapeError(
            "score must return one number for each image and class, shape "
            f"{tuple(logits.shape)}, got {shape_or_type(scores)}"
        )
    return scores


@contextmanager
def restore_buffers_on_failure(model: nn.Module, learning: bool) -> Iterator[None]:
    """Restore the buffers of `model` if the block fails, where `learning` is set.

    Only modules in training mode change buffers, such as batch statistics and the vectors of
    spectral norms.
    """
    saved = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        if learning and module.training
        for name, buffer in module.named_buffers(recurse=False)
        if _is_writable(buffer)
    ]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for module, name, buffer, value in saved:
                buffer.copy_(value)
                setattr(module, name, buffer)  # a module may have replaced it by a new tensor
        raise


def _is_writable(buffer: Tensor) -> bool:
    """Tell whether a buffer has values that may be written to."""
    return not is_lazy(buffer) and not buffer.is_inference()

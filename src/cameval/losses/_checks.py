"""Checks of a loss's inputs, and restoration of buffers after a failure."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from cameval._arrays import as_masks
from cameval.errors import ArrayTypeError, SettingError, ShapeError, UnsupportedModelError


def check_bare(model: nn.Module) -> None:
    """Check that no data-parallel wrapper waits for a call of its own ``forward``."""
    for part in model.modules():
        if isinstance(part, nn.DataParallel | nn.parallel.DistributedDataParallel):
            raise UnsupportedModelError(
                f"model must be the network itself, got a {type(part).__name__}, which would not "
                "exchange the gradients of this loss; wrap a module that holds the network and "
                "returns the loss from its forward"
            )


def check_labels(labels: object, count: int) -> None:
    """Check that there is one integer for each image, and an image."""
    if not isinstance(labels, Tensor):
        raise ArrayTypeError(f"labels must be a torch tensor, got {type(labels).__name__}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ArrayTypeError(f"labels must be integers, got {labels.dtype}")
    if count == 0 or labels.shape != (count,):
        raise ShapeError(
            f"labels must be one for each of at least 1 image, shape ({count},), "
            f"got {tuple(labels.shape)}"
        )


def check_class_weights(weights: object) -> None:
    """Check that class weights are none, or finite numbers ``(C,)``, none negative, not all 0."""
    if weights is None:
        return
    if not isinstance(weights, Tensor) or not weights.is_floating_point():
        came = weights.dtype if isinstance(weights, Tensor) else type(weights).__name__
        raise ArrayTypeError(f"class_weights must be a floating-point torch tensor, got {came}")
    if weights.ndim != 1:
        raise ShapeError(f"class_weights must have shape (C,), got {tuple(weights.shape)}")
    if not (weights.isfinite() & (weights >= 0)).all():
        raise SettingError(f"class_weights must be finite and not negative, got {weights.tolist()}")
    if not weights.any():
        raise SettingError(
            f"class_weights must have one that is positive, got {weights.tolist()}; leave them out "
            "to weigh all classes alike"
        )


def checked_masks(masks: object, weight: float, shape: tuple[int, ...]) -> Tensor | None:
    """Return boolean masks of this shape if they have a weight, and none otherwise."""
    if (masks is not None) != (weight > 0):
        raise SettingError(
            "masks must be given if alpha_supervised is positive, and only then, got "
            f"{'no masks' if masks is None else 'masks'} with {weight}"
        )
    if masks is None:
        return None
    found = as_masks(masks, "masks")
    if found.shape != shape:
        raise ShapeError(
            f"masks must have the shape of the images' maps, {shape}, got {tuple(found.shape)}"
        )
    return found


def checked_scores(scores: Any, logits: Tensor) -> Tensor:
    """Return a score for each image and class."""
    if not isinstance(scores, Tensor) or scores.shape != logits.shape:
        came = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
        raise ShapeError(
            "score must give one number for each image and class, shape "
            f"{tuple(logits.shape)}, got {came}"
        )
    return scores


@contextmanager
def buffers_kept_on_failure(model: nn.Module, learning: bool) -> Iterator[None]:
    """Put the buffers of `model`, if it is learning, back if what is done inside fails.

    Only modules in training mode move theirs: batch statistics, the vectors of spectral norms.
    """
    kept = [
        (module, name, buffer, buffer.detach().clone())
        for module in model.modules()
        if learning and module.training
        for name, buffer in module.named_buffers(recurse=False)
        if _may_move(buffer)
    ]
    try:
        yield
    except BaseException:
        with torch.no_grad():
            for module, name, buffer, value in kept:
                buffer.copy_(value)
                setattr(module, name, buffer)  # a module may put a new tensor in its place
        raise


def _may_move(buffer: Tensor) -> bool:
    """Tell whether a buffer has values, and ones that may be written to."""
    return not is_lazy(buffer) and not buffer.is_inference()

"""What a failed call must leave as it was: the buffers of the network."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

__all__ = ["buffers_kept_on_failure"]


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

"""A head made affine where it stands: its nonlinear layers held at what they do to one input."""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from cameval.errors import UnsupportedHeadError
from cameval.networks import GAPHead, PooledHead
from cameval.networks.plain import plain

__all__ = ["affine_twin"]

_FACTORS: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: lambda a: (a > 0).to(a.dtype),
    nn.Hardswish: lambda a: nn.functional.relu6(a + 3) / 6,
    nn.SiLU: torch.sigmoid,
    nn.Tanh: lambda a: (torch.tanh(a) / a.where(a != 0, 1)).where(a != 0, 1),
}
"""By which factor an activation function scales its input."""

_AFFINE = {
    *(nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.Flatten, nn.Dropout, nn.Identity),
    *(nn.Linear, GAPHead),
}


def affine_twin(head: nn.Module | None, features: Tensor, inputs: Tensor) -> Tensor:
    """Run a head on `inputs`, with its nonlinear layers held at what they do to `features`.

    The result is affine in `inputs`, and equals ``head(features)`` where the two are the same.

    Raises
    ------
    UnsupportedHeadError
        If the head is None, or has a layer that does not scale its inputs one by one.
    """
    for module in _layers(head):
        if type(module) in _FACTORS:
            factor = _FACTORS[type(module)](features)
            features, inputs = features * factor, inputs * factor
        elif isinstance(module, nn.LayerNorm):  # itself, not torchvision's over channels
            axes = tuple(range(-len(module.normalized_shape), 0))
            variance = features.var(axes, correction=0, keepdim=True)
            features, inputs = module(features), _shift_scale(module, inputs, axes, variance)
        else:
            features, inputs = module(features), module(inputs)
    return inputs


def _shift_scale(norm: nn.LayerNorm, inputs: Tensor, axes: tuple[int, ...], var: Tensor) -> Tensor:
    """Apply a layer normalization with the variance of other inputs."""
    normal = (inputs - inputs.mean(axes, keepdim=True)) / (var + norm.eps).sqrt()
    scaled = normal if norm.weight is None else normal * norm.weight
    return scaled if norm.bias is None else scaled + norm.bias


def _layers(head: nn.Module | None) -> list[nn.Module]:
    """Flatten a head into layers, each of which is linear or has a factor."""
    # Types as they are: a subclass may compute something else.
    if head is not None and plain(head, PooledHead):
        parts = cast(PooledHead, head)
        return [*_layers(parts.pool), nn.Flatten(1), *_layers(parts.classifier)]
    if head is not None and plain(head, nn.Sequential):
        return [layer for module in head.children() for layer in _layers(module)]
    if head is not None and plain(head, *_AFFINE, *_FACTORS, nn.LayerNorm):
        return [head]
    came = "an inner layer" if head is None else type(head).__name__
    raise UnsupportedHeadError(
        "an exact local decomposition needs a head of average pooling, linear layers, layer "
        f"normalization, ReLU, Hardswish, SiLU and Tanh, got {came}; use a gradient method such "
        "as cameval.hires_cam"
    )

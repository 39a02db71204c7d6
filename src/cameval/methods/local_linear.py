"""Exact decomposition of a logit for one image: the head is made linear at its input."""

from collections.abc import Callable
from math import prod
from typing import cast

import torch
from torch import Tensor, nn

from cameval.errors import SettingError, UnsupportedHeadError
from cameval.methods.cam import check_law, exact_maps
from cameval.networks import Activations, ExactHead, GAPHead, PooledHead, Target
from cameval.networks._module_types import plain

__all__ = ["local_linear_cam", "local_linear_constant"]

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


def local_linear_cam(activations: Activations, target: Target, /) -> Tensor:
    r"""Spread the logit over the image, exactly, by a head made linear at this image.

    With :math:`J_k` the gradient of the affine function that equals the head at this image, each
    activation function replaced by the factor :math:`\sigma(a) / a` by which it scales its input,

    .. math:: \mathrm{map}_c = h w \sum_k J_k \odot A_k, \qquad
              \operatorname{mean}_{xy}(\mathrm{map}_c) + \mathrm{constant}_c = \mathrm{logit}_c ,

    with `local_linear_constant` for the constant. On an :class:`ExactHead` it is `cam`, with the
    head's bias. Behind ReLU (AlexNet, VGG) it is ``h * w`` times `hires_cam`. For MobileNetV3 and
    MaxViT nothing else is complete. Unlike class weights, the weights are this image's own.

    Parameters
    ----------
    activations
        What the network left behind.
    target
        One class per image, shape ``(N,)``.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)`` in units of the logit, signed and unbounded. Cost: two passes through the
        head and one backward pass.

    Raises
    ------
    UnsupportedHeadError
        At an inner layer, and where the head has other layers than average pooling, flattening,
        dropout, linear layers, layer normalization, ReLU, Hardswish, SiLU and Tanh. If the map does
        not add up to the logit by more than rounding, with the measured gap, as where a hook
        changes what a layer returns.
    ClassIndexError
        If a class is not one of the network's.
    SettingError
        If the target is a function: only a class has a logit to decompose.

    Notes
    -----
    Not for comparing images: the constant takes a different share of each one's logit. Not a
    derivative either, where the head is curved: it says how the logit is made up, not how it would
    change.

    References
    ----------
    Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
    neural networks", arXiv 2011.08891, for the piecewise linear case.

    Examples
    --------
    >>> head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Tanh(), nn.Linear(8, 2))
    >>> activations = CAMModel(nn.Conv2d(3, 8, 3), head).eval().activations(torch.rand(1, 3, 8, 8))
    >>> classes = torch.tensor([1])
    >>> maps = local_linear_cam(activations, classes)
    >>> constant = local_linear_constant(activations, classes)
    >>> torch.allclose(maps.mean() + constant, activations.logits[0, 1])
    True
    """
    return _decompose(activations, target)[0]


def local_linear_constant(activations: Activations, target: Target, /) -> Tensor:
    """Return what the logit holds beside the mean of `local_linear_cam`: the share of the biases.

    Parameters
    ----------
    activations
        What the network left behind.
    target
        One class per image, shape ``(N,)``.

    Returns
    -------
    Tensor
        One number per image, shape ``(N,)``: the affine function's value on features of zeros.

    Raises
    ------
    UnsupportedHeadError
        Where `local_linear_cam` raises it.
    ClassIndexError
        If a class is not one of the network's.
    SettingError
        If the target is a function.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 8, 8))
    >>> constant = local_linear_constant(activations, torch.tensor([1]))
    >>> torch.equal(constant, model.head.bias[1:])
    True
    """
    return _decompose(activations, target)[1]


def _decompose(activations: Activations, target: Target) -> tuple[Tensor, Tensor]:
    """Return the maps and the constants."""
    if not isinstance(target, Tensor):
        raise SettingError(
            "local_linear_cam explains classes, got a function of the network's output; use a "
            "gradient method such as cameval.hires_cam"
        )
    activations.score(target)  # checks the classes
    features, head = activations.features, activations.head
    with torch.inference_mode(False), torch.enable_grad():
        if isinstance(head, ExactHead):
            maps, constants = exact_maps(head, features, target)
            slopes = None
        else:
            # The twin is affine: its gradient is the same everywhere, its value at 0 the constant.
            probe = torch.zeros_like(features).requires_grad_()
            constants = activations.score(target, affine_twin(head, features, probe))
            (slopes,) = torch.autograd.grad(
                constants.sum(), probe, create_graph=activations.create_graph
            )
            maps = (slopes * features).sum(1) * prod(features.shape[2:])
    check_law(
        *("local_linear_cam", activations, target, maps, constants),
        lambda: (
            (activations.gradients(target) if slopes is None else slopes)
            * features
            * prod(features.shape[2:])
        ),
    )
    if activations.create_graph:
        return maps, constants
    return maps.detach(), constants.detach()

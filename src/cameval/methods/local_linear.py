"""Local linear CAM: exact decomposition of a logit, by linearizing the head at each image.

A layer such as ReLU, Hardswish or Tanh multiplies each of its inputs by some number, and layer
normalization divides by one. With these numbers fixed at their values for one image, the head is an
affine function of its features and equals the head on them.
"""

from collections.abc import Callable
from math import prod
from typing import cast

import torch
from torch import Tensor, nn

from cameval.errors import UnsupportedHeadError
from cameval.methods.cam import check_class_target, check_law, describe_head, exact_maps
from cameval.networks import Activations, ExactHead, GAPHead, PooledHead, ScoreTarget
from cameval.networks._module_types import is_exactly

__all__ = ["local_linear_cam", "local_linear_constant"]

_FACTORS: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.ReLU: lambda a: (a > 0).to(a.dtype),
    nn.Hardswish: lambda a: nn.functional.relu6(a + 3) / 6,
    nn.SiLU: torch.sigmoid,
    nn.Tanh: lambda a: (torch.tanh(a) / a.where(a != 0, 1)).where(a != 0, 1),
}
"""Factor by which an activation function scales its input."""


_AFFINE = {
    *(nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.Flatten, nn.Dropout, nn.Identity),
    *(nn.Linear, GAPHead),
}


def apply_linearized(head: nn.Module, features: Tensor, inputs: Tensor) -> Tensor:
    """Apply a head to `inputs`, with its nonlinear layers replaced by their factors at `features`.

    The result is affine in `inputs`, and equals ``head(features)`` for ``inputs = features``.

    Raises
    ------
    UnsupportedHeadError
        If the head has a layer of another type than those supported.
    """
    for module in _flatten_layers(head):
        if type(module) in _FACTORS:
            factor = _FACTORS[type(module)](features)
            features, inputs = features * factor, inputs * factor
        elif isinstance(module, nn.LayerNorm):  # the exact type
            axes = tuple(range(-len(module.normalized_shape), 0))
            variance = features.var(axes, correction=0, keepdim=True)
            inputs = _normalize_with(module, inputs, axes, variance)
            features = module(features)
        else:
            features, inputs = module(features), module(inputs)
    return inputs


def _normalize_with(
    norm: nn.LayerNorm, inputs: Tensor, axes: tuple[int, ...], var: Tensor
) -> Tensor:
    """Apply a layer normalization with a given variance."""
    normal = (inputs - inputs.mean(axes, keepdim=True)) / (var + norm.eps).sqrt()
    scaled = normal if norm.weight is None else normal * norm.weight
    return scaled if norm.bias is None else scaled + norm.bias


def _flatten_layers(head: nn.Module) -> list[nn.Module]:
    """Return the layers of a head, each of which is affine or has a factor."""
    # Exact types only: a subclass may compute something else.
    if is_exactly(head, PooledHead):
        parts = cast(PooledHead, head)
        return [*_flatten_layers(parts.pool), nn.Flatten(1), *_flatten_layers(parts.classifier)]
    if is_exactly(head, nn.Sequential):
        return [layer for module in head.children() for layer in _flatten_layers(module)]
    if is_exactly(head, *_AFFINE, *_FACTORS, nn.LayerNorm):
        return [head]
    raise _unsupported(type(head).__name__)


def _unsupported(came: str) -> UnsupportedHeadError:
    reason = (
        "an exact local decomposition needs a head of average pooling, linear layers, layer "
        f"normalization, ReLU, Hardswish, SiLU and Tanh, got {came}"
    )
    error = UnsupportedHeadError(f"{reason}; use a gradient method such as cameval.hires_cam")
    error.reason = reason
    return error


def local_linear_cam(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Exact decomposition of the logit over positions, by a head linearized at each image.

    With :math:`J_k` the gradient of the affine function that equals the head at this image, each
    activation function replaced by the factor :math:`\sigma(a) / a` by which it scales its input,

    .. math:: \mathrm{map}_c = h w \sum_k J_k \odot A_k, \qquad
              \operatorname{mean}_{xy}(\mathrm{map}_c) + \mathrm{constant}_c = \mathrm{logit}_c ,

    with `local_linear_constant` for the constant. On an :class:`ExactHead` it equals `cam`, and the
    constant is the bias. With ReLU heads (AlexNet, VGG) it is ``h * w`` times `hires_cam`. For
    MobileNetV3 and MaxViT no other method decomposes the logit exactly. Unlike the class weights of
    `cam`, the weights differ between images.

    Parameters
    ----------
    activations
        Recorded activations of a batch of images.
    target
        Target class of each image, shape ``(N,)``.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)`` in units of the logit, signed and unbounded. Cost: two passes through the
        head and one backward pass.

    Raises
    ------
    UnsupportedHeadError
        At an inner layer, where the head is several layers that are no module of their own, and
        where it has other layers than average pooling, flattening, dropout, linear layers, layer
        normalization, ReLU, Hardswish, SiLU and Tanh. If map and logit differ by more than rounding
        error (the message has the gap), for example because of a hook that changes the output of a
        layer.
    ClassIndexError
        If a class is not one of the network's.
    SettingError
        If the target is a function: only the logit of a class can be decomposed.

    Notes
    -----
    Maps of different images are not comparable: the constant is a different share of each logit.
    With a head that is not piecewise linear the map is not a derivative: it decomposes the logit,
    and does not tell how the logit would change.

    References
    ----------
    Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
    neural networks", arXiv 2011.08891, for the piecewise linear case.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel
    >>> from cameval.methods import local_linear_cam, local_linear_constant
    >>> head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Tanh(), nn.Linear(8, 2))
    >>> activations = CAMModel(nn.Conv2d(3, 8, 3), head).eval().activations(torch.rand(1, 3, 8, 8))
    >>> classes = torch.tensor([1])
    >>> maps = local_linear_cam(activations, classes)
    >>> constant = local_linear_constant(activations, classes)
    >>> torch.allclose(maps.mean() + constant, activations.logits[0, 1])
    True
    """
    return _decompose(activations, target)[0]


def local_linear_constant(activations: Activations, target: ScoreTarget, /) -> Tensor:
    """Return the constant of `local_linear_cam`: the logit minus the mean of the map.

    Parameters
    ----------
    activations
        Recorded activations of a batch of images.
    target
        Target class of each image, shape ``(N,)``.

    Returns
    -------
    Tensor
        One number per image, shape ``(N,)``: the value of the linearized head at features of zeros,
        which is the contribution of the biases.

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
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import local_linear_constant
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 8, 8))
    >>> constant = local_linear_constant(activations, torch.tensor([1]))
    >>> torch.equal(constant, model.head.bias[1:])
    True
    """
    return _decompose(activations, target)[1]


def _decompose(activations: Activations, target: ScoreTarget) -> tuple[Tensor, Tensor]:
    """Return the maps and the constants."""
    classes = check_class_target("local_linear_cam", target)
    activations.score(classes)  # checks the classes
    features, head = activations.features, activations.head
    with torch.inference_mode(False), torch.enable_grad():
        if isinstance(head, ExactHead):
            maps, constants = exact_maps(head, features, classes)
            slopes = None
        elif head is None:
            raise _unsupported(describe_head(activations))
        else:
            # An affine function has the same gradient everywhere; its value at 0 is the constant.
            probe = torch.zeros_like(features).requires_grad_()
            constants = activations.score(classes, apply_linearized(head, features, probe))
            (slopes,) = torch.autograd.grad(
                constants.sum(), probe, create_graph=activations.create_graph
            )
            maps = (slopes * features).sum(1) * prod(features.shape[2:])
    check_law(
        *("local_linear_cam", activations, classes, maps, constants),
        lambda: (
            (activations.gradients(classes) if slopes is None else slopes)
            * features
            * prod(features.shape[2:])
        ),
    )
    if activations.create_graph:
        return maps, constants
    return maps.detach(), constants.detach()

r"""Exact decompositions of a logit that hold for one image: the head, made linear where it stands.

A layer such as ReLU, Hardswish or Tanh multiplies each of its inputs by some number, and layer
normalization divides by one. With those numbers held at what they are for this image, the head is
an affine function of its features, equal to the head on them.
"""

from math import prod

import torch
from torch import Tensor

from cameval.errors import SettingError
from cameval.methods.affine import affine_twin
from cameval.methods.cam import exact_maps
from cameval.methods.law import check_law
from cameval.networks import Activations, ExactHead, Target

__all__ = ["local_linear_cam", "local_linear_constant"]


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

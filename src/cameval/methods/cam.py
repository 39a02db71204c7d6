"""Class activation mapping: exact maps, or a refusal."""

from collections.abc import Callable
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from cameval._arrays import exact
from cameval.errors import SettingError, UnsupportedHeadError
from cameval.networks import Activations, ExactHead, Target
from cameval.networks._outputs import output_of, tf32
from cameval.networks.activations import check_classes, without_graph

__all__ = ["cam"]

_SIGMAS = 6.0
"""How many standard deviations of random rounding are still taken for rounding."""


def check_law(
    name: str,
    activations: Activations,
    classes: Tensor,
    maps: Tensor,
    constants: Tensor,
    terms: Callable[[], Tensor],
) -> None:
    r"""Check that ``mean(map) + constant`` is the logit of the pass, as far as rounding allows.

    Parameters
    ----------
    name
        Of the method, for the message.
    activations
        The pass whose logits the maps explain.
    classes
        The explained class of each image, ``(N,)``.
    maps, constants
        Maps ``(N, h, w)`` and what their means lack, ``(N,)``.
    terms
        Gives the absolute terms of each logit, one for each feature, in the units of the map:
        ``(N, K, h, w)``. Their mean over positions, summed over channels, is the scale of rounding
        where terms cancel. Asked for only where the maps alone do not explain the gap.

    Raises
    ------
    UnsupportedHeadError
        If an image's map breaks the law. Where logit or map are not finite, there is no gap.

    Notes
    -----
    A sum of n terms, each rounded at random by the unit roundoff u, is off by about
    :math:`\sqrt n u` times the sum of their absolute values (Higham and Mary, 2019); six times as
    much is allowed. n counts the positions, the channels, and the inputs of the head's layers.
    Where numbers are held in half precision or multiplied in TF32, sums are accumulated in single
    precision, and one rounding of that format is added for each layer.
    """
    with without_graph():
        logits, constants = exact(activations.score(classes)), exact(constants.detach())
        spread = exact(maps.detach())
        axes = tuple(range(1, spread.ndim))
        gap = (spread.mean(axes) + constants - logits).abs()
        sizes = spread.abs().mean(axes) + constants.abs() + logits.abs()
        allowed = _rounding(activations, maps)
        broken = gap > allowed * sizes  # False where a value is not finite
        if not broken.any():
            return
        summed = exact(terms().detach()).abs()
        sizes = sizes + summed.sum(1).mean(tuple(range(1, summed.ndim - 1)))
        broken = gap > allowed * sizes
        if not broken.any():
            return
        worst = int(gap.where(broken, -1).argmax())
    raise UnsupportedHeadError(
        f"{name} must add up to the logit, mean(map) + constant == logit, got a gap of "
        f"{gap[worst].item():.3g} at a logit of {logits[worst].item():.3g} in image {worst}, where "
        f"rounding explains {(allowed * sizes)[worst].item():.1g}: "
        f"{type(activations.head).__name__} does not compute what its type says, because "
        "of a subclass, a hook, or dropout at work; use a gradient method such as cameval.grad_cam "
        "or cameval.hires_cam"
    )


def _rounding(activations: Activations, maps: Tensor) -> float:
    """Return the rounding that is allowed, relative to the sum of the absolute terms."""
    layers = [] if activations.head is None else _weighted(activations.head)
    features = activations.features
    count = prod(features.shape[2:]) + features.shape[1]
    count += sum(map(_inputs, layers))
    dtypes = {features.dtype, activations.logits.dtype, maps.dtype} - {torch.float64}
    fine = torch.finfo(torch.float32 if dtypes else torch.float64).eps / 2
    coarse = max([_short(dtype) for dtype in dtypes], default=0.0)
    convolutions = any(isinstance(layer, _ConvNd) for layer in layers)
    if features.is_cuda and dtypes and tf32(convolutions=convolutions):
        coarse = max(coarse, 2.0**-11)
    if torch.is_autocast_enabled(features.device.type):
        coarse = max(coarse, _short(torch.get_autocast_dtype(features.device.type)))
    return _SIGMAS * (sqrt(count) * fine + (1 + len(layers)) * coarse)


def _short(dtype: torch.dtype) -> float:
    """Return the unit roundoff of a format that is shorter than single precision, else 0."""
    roundoff = torch.finfo(dtype).eps / 2
    return roundoff if roundoff > torch.finfo(torch.float32).eps else 0.0


def _inputs(layer: nn.Linear | _ConvNd) -> int:
    """Return how many products are summed for each output."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    return layer.in_channels // layer.groups * prod(layer.kernel_size)


def _weighted(head: nn.Module) -> list[nn.Linear | _ConvNd]:
    return [part for part in head.modules() if isinstance(part, nn.Linear | _ConvNd)]


def cam(activations: Activations, target: Target, /) -> Tensor:
    r"""Class activation map: the logit, spread over the image.

    On a head that is global average pooling and one linear layer,

    .. math:: \mathrm{CAM}_c(x, y) = \sum_k W_{ck} F_k(x, y), \qquad
              \mathrm{logit}_c = \operatorname{mean}_{xy} \mathrm{CAM}_c(x, y) + b_c .

    The maps of SqueezeNet (ReLU of the 1x1 convolution) and ConvNeXt (LayerNorm moved before the
    pool) obey the same law, with ``head.bias`` for :math:`b`. The law is checked on each call,
    against the logit of the pass.

    Parameters
    ----------
    activations
        What a network with an exact head left behind.
    target
        One class per image, shape ``(N,)``.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)`` in units of the logit: signed (evidence for and against), unbounded. No
        ReLU is applied, as in the paper. Cost: one product with the class weights, no gradient.

    Raises
    ------
    UnsupportedHeadError
        If no exact map exists: at an inner layer, and with heads such as those of AlexNet, VGG and
        MobileNetV3. If the map breaks the law by more than rounding, with the measured gap: where a
        subclass, a hook, or dropout that is at work makes the head another function than its type
        says.
    ClassIndexError
        If a class is not one of the network's.
    SettingError
        If the target is a function: only a class has class weights.

    References
    ----------
    Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> maps = cam(activations, torch.tensor([1]))
    >>> torch.allclose(maps.mean() + model.head.bias[1], activations.logits[0, 1])
    True
    """
    if not isinstance(target, Tensor):
        raise SettingError(
            "cam explains classes, got a function of the network's output; use a gradient method "
            "such as cameval.grad_cam"
        )
    check_classes(target, activations.logits)
    head = activations.head
    if not isinstance(head, ExactHead):
        came = "an inner layer" if head is None else f"a {type(head).__name__}"
        raise UnsupportedHeadError(
            "an exact class activation map needs a head that is pooling and one linear layer, got "
            f"{came}; use a gradient method such as cameval.grad_cam or cameval.hires_cam, or "
            "train cameval.adapt(net, num_classes=k), which has such a head"
        )
    maps, constants = exact_maps(head, activations.features, target)
    check_law(
        *("cam", activations, target, maps, constants),
        lambda: activations.gradients(target) * activations.features * prod(maps.shape[1:]),
    )
    return maps if activations.create_graph else maps.detach()


def exact_maps(head: ExactHead, features: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maps of classes ``(N,)`` and what their means lack of the logits ``(N,)``."""
    bias = head.bias
    column, sign = output_of(classes, len(bias))
    maps, constants = head.class_maps(features, column), bias[column]
    if sign is None:
        return maps, constants
    return maps * sign.reshape(-1, *[1] * (maps.ndim - 1)), constants * sign

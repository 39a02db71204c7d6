"""CAM: exact class activation maps, and the check that a map adds up to its logit."""

from collections.abc import Callable
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from cameval._arrays import exact
from cameval.errors import SettingError, UnsupportedHeadError
from cameval.networks import Activations, ExactHead, ScoreTarget
from cameval.networks._outputs import output_of, tf32
from cameval.networks.activations import check_classes, without_graph

__all__ = ["cam"]

_STANDARD_DEVIATIONS = 6.0
"""Gaps of up to this many standard deviations of the rounding error are accepted."""


def check_law(
    name: str,
    activations: Activations,
    classes: Tensor,
    maps: Tensor,
    constants: Tensor,
    terms: Callable[[], Tensor],
) -> None:
    r"""Check that ``mean(map) + constant == logit`` for each image, up to rounding error.

    Parameters
    ----------
    name
        Name of the method, for the error message.
    activations
        Recorded activations, with the logits.
    classes
        Target class of each image, ``(N,)``.
    maps
        Maps ``(N, h, w)``.
    constants
        Difference of the logit and the mean of the map that the formula predicts, ``(N,)``: the
        bias, or the value of a linearized head at 0.
    terms
        Function that returns the summands of each logit, one for each feature, in the units of the
        map: ``(N, K, h, w)``. It is called only if the gap is larger than the rounding error
        estimated from the maps alone.

    Raises
    ------
    UnsupportedHeadError
        If the gap of an image is larger than its rounding error. Images with an infinite or
        undefined logit or map are not checked.

    Notes
    -----
    The rounding error of a sum of n terms is about :math:`\sqrt n u` times the sum of their
    absolute values, with unit roundoff u and random rounding (Higham and Mary, 2019). Six times as
    much is accepted. n is the number of positions, channels, and inputs of the head's layers
    together.

    The sum of absolute values is first estimated from the map, whose values are sums over channels.
    If large terms of opposite signs cancel in these sums, the estimate is too low; so before a map
    is refused, the absolute values of all `terms` are added to it.

    In half precision or TF32, products are accumulated in single precision; one rounding of the
    short format is added for each layer.
    """
    with without_graph():
        logits, constants = exact(activations.score(classes)), exact(constants.detach())
        values = exact(maps.detach())
        axes = tuple(range(1, values.ndim))
        gap = (values.mean(axes) + constants - logits).abs()
        sizes = values.abs().mean(axes) + constants.abs() + logits.abs()
        allowed = _relative_rounding_error(activations, maps)
        broken = gap > allowed * sizes  # False where a value is not finite
        if not broken.any():
            return
        summands = exact(terms().detach()).abs()
        sizes = sizes + summands.sum(1).mean(tuple(range(1, summands.ndim - 1)))
        broken = gap > allowed * sizes
        if not broken.any():
            return
        worst = int(gap.where(broken, -1).argmax())
    raise UnsupportedHeadError(
        f"{name} must add up to the logit, mean(map) + constant == logit, got a gap of "
        f"{gap[worst].item():.3g} at a logit of {logits[worst].item():.3g} in image {worst}, where "
        f"rounding explains {(allowed * sizes)[worst].item():.1g}: "
        f"{type(activations.head).__name__} does not compute what its type says, because of a "
        "subclass, a hook, or active dropout; use a gradient method such as cameval.grad_cam or "
        "cameval.hires_cam"
    )


def _relative_rounding_error(activations: Activations, maps: Tensor) -> float:
    """Return the accepted rounding error, relative to the sum of the absolute terms."""
    layers = [] if activations.head is None else _weight_layers(activations.head)
    features = activations.features
    count = prod(features.shape[2:]) + features.shape[1]
    count += sum(map(_count_inputs, layers))
    dtypes = {features.dtype, activations.logits.dtype, maps.dtype} - {torch.float64}
    fine = torch.finfo(torch.float32 if dtypes else torch.float64).eps / 2
    coarse = max([_half_precision_roundoff(dtype) for dtype in dtypes], default=0.0)
    convolutions = any(isinstance(layer, _ConvNd) for layer in layers)
    if features.is_cuda and dtypes and tf32(convolutions=convolutions):
        coarse = max(coarse, 2.0**-11)
    if torch.is_autocast_enabled(features.device.type):
        autocast = torch.get_autocast_dtype(features.device.type)
        coarse = max(coarse, _half_precision_roundoff(autocast))
    return _STANDARD_DEVIATIONS * (sqrt(count) * fine + (1 + len(layers)) * coarse)


def _half_precision_roundoff(dtype: torch.dtype) -> float:
    """Return the unit roundoff of a format shorter than single precision; 0 for any other."""
    roundoff = torch.finfo(dtype).eps / 2
    return roundoff if roundoff > torch.finfo(torch.float32).eps else 0.0


def _count_inputs(layer: nn.Linear | _ConvNd) -> int:
    """Return how many products are summed for each output of a layer."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    return layer.in_channels // layer.groups * prod(layer.kernel_size)


def _weight_layers(head: nn.Module) -> list[nn.Linear | _ConvNd]:
    """Return the linear and convolutional layers of a head."""
    return [part for part in head.modules() if isinstance(part, nn.Linear | _ConvNd)]


def check_class_target(method: str, target: ScoreTarget) -> Tensor:
    """Return the target if it holds classes, and raise an error if it is a function.

    Raises
    ------
    SettingError
        If the target is a function.
    """
    if not isinstance(target, Tensor):
        raise SettingError(
            f"the target of {method} must be classes, got a function of the network's output; use "
            "a gradient method such as cameval.grad_cam or cameval.hires_cam"
        )
    return target


def cam(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Class activation map: exact decomposition of the logit over positions.

    On a head that is global average pooling and one linear layer,

    .. math:: \mathrm{CAM}_c(x, y) = \sum_k W_{ck} F_k(x, y), \qquad
              \mathrm{logit}_c = \operatorname{mean}_{xy} \mathrm{CAM}_c(x, y) + b_c .

    The maps of SqueezeNet (ReLU of the 1x1 convolution) and ConvNeXt (LayerNorm moved before the
    pooling) satisfy the same equation, with ``head.bias`` for :math:`b`. Each call checks it with
    the recorded logits.

    Parameters
    ----------
    activations
        Recorded activations of a network with an exact head.
    target
        Target class of each image, shape ``(N,)``.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)`` in units of the logit: signed (evidence for and against), unbounded. No
        ReLU is applied, as in the paper. Cost: one product with the class weights, no gradient.

    Raises
    ------
    UnsupportedHeadError
        If no exact map exists: at an inner layer, and with heads such as those of AlexNet, VGG and
        MobileNetV3. If map and logit differ by more than rounding error (the message has the gap):
        a subclass, a hook, or active dropout changes what the head computes.
    ClassIndexError
        If a class is not one of the network's.
    SettingError
        If the target is a function: only classes have class weights.

    References
    ----------
    Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead, cam
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> maps = cam(activations, torch.tensor([1]))
    >>> torch.allclose(maps.mean() + model.head.bias[1], activations.logits[0, 1])
    True
    """
    classes = check_class_target("cam", target)
    check_classes(classes, activations.logits)
    head = activations.head
    if not isinstance(head, ExactHead):
        reason = (
            "an exact class activation map needs a head that is pooling and one linear layer, got "
            f"{describe_head(activations)}"
        )
        error = UnsupportedHeadError(
            f"{reason}; use a gradient method such as cameval.grad_cam or cameval.hires_cam, or "
            "train cameval.adapt(net, num_classes=k), which has such a head"
        )
        error.reason = reason
        raise error
    maps, constants = exact_maps(head, activations.features, classes)
    check_law(
        *("cam", activations, classes, maps, constants),
        lambda: activations.gradients(classes) * activations.features * prod(maps.shape[1:]),
    )
    return maps if activations.create_graph else maps.detach()


def describe_head(activations: Activations) -> str:
    """Return what the head is that has no exact map: its type, its layers, or that it has none."""
    if activations.head is not None:
        return f"a {type(activations.head).__name__}"
    layers: tuple[str, ...] = getattr(activations.network, "head_layers", ())
    if len(layers) > 1:
        return f"a head of several layers ({', '.join(map(repr, layers))})"
    return "an inner layer"


def exact_maps(head: ExactHead, features: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maps of classes ``(N,)``, and the difference of logits and map means ``(N,)``."""
    bias = head.bias
    column, sign = output_of(classes, len(bias))
    maps, constants = head.class_maps(features, column), bias[column]
    if sign is None:
        return maps, constants
    return maps * sign.reshape(-1, *[1] * (maps.ndim - 1)), constants * sign

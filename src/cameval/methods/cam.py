"""Class activation mapping by the class weights: exact, or refused."""

from math import prod

from torch import Tensor

from cameval.errors import SettingError, UnsupportedHeadError
from cameval.methods.law import check_law
from cameval.networks import Activations, ExactHead, Target
from cameval.networks.activations import check_classes
from cameval.networks.outputs import output_of

__all__ = ["cam", "exact_maps"]


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

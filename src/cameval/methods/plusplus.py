"""Grad-CAM++ and Smooth Grad-CAM++: position weights from higher-order derivatives."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from cameval._checks import check_count, check_noise
from cameval.methods._rerun import check_no_graph, noise_source
from cameval.networks import Activations, ScoreTarget
from cameval.networks.activations import without_graph
from cameval.networks.heads import positions

__all__ = ["SmoothGradCAMpp", "grad_cam_pp"]


def grad_cam_pp(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Grad-CAM++: positive gradients, weighted for each position.

    .. math:: \operatorname{ReLU}\left(\sum_k w_k A_k\right), \qquad
              w_k = \sum_{xy} \alpha_k(x, y) \operatorname{ReLU}(g_k(x, y)), \qquad
              \alpha_k = \frac{g_k^2}{2 g_k^2 + g_k^3 \sum_{ab} A_k(a, b)}

    This is equation 19 of the paper, in which the score is the exponential of the logit and the
    rest of the network is piecewise linear. The factor :math:`e^{y_c}`, which is common to all
    :math:`w_k` of an image, is omitted. No epsilon is added: where the gradient is 0,
    :math:`\alpha` is 0. The map is not proportional to the gradient; by its formula, its shape
    depends on the scale of the logits.

    Parameters
    ----------
    activations
        Recorded activations of a batch of images.
    target
        Target class of each image, shape ``(N,)``, or a function from the network's output to one
        score per image.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, non-negative and unbounded. Cost: one backward pass through the head.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.

    Notes
    -----
    Do not use it with features that may be negative (SiLU, Hardswish, ConvNeXt, transformers): the
    denominator :math:`2 + g_k \sum A_k` may be 0 or negative there. On a head of pooling and one
    linear layer the channel weights are a saturating function of the class weights; `cam` is exact
    there.

    References
    ----------
    Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep
    Convolutional Networks", WACV 2018.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead, grad_cam_pp
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> grad_cam_pp(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    gradient, features = activations.gradients(target), activations.features
    total = features.sum(positions(features), keepdim=True)
    # g^2 cancels: alpha is 1 / (2 + g * total) where g is not 0, and relu(g) is 0 elsewhere.
    weights = (gradient.relu() / (2 + gradient * total)).sum(positions(features), keepdim=True)
    return (weights * features).sum(1).relu()


@dataclass(frozen=True)
class SmoothGradCAMpp:
    r"""Grad-CAM++ with derivatives averaged over noisy copies of the image.

    .. math:: \operatorname{ReLU}\left(\sum_k w_k A_k\right), \qquad
              w_k = \sum_{xy} \alpha_k \operatorname{ReLU}(D_k^1), \qquad
              \alpha_k = \frac{D_k^2}{2 D_k^2 + D_k^3 \sum_{ab} A_k(a, b)}

    where :math:`D_k^p` is the mean of :math:`g_k^p` over the noisy copies, and :math:`A_k` are the
    features of the image itself, without noise. Where :math:`D_k^2` is 0, so is :math:`\alpha`.

    Parameters
    ----------
    num_samples
        Number of noisy copies of each image.
    std
        Standard deviation of the noise, in units of the (normalized) images.
    seed
        Seed of the noise, which is the same for all images.

    Raises
    ------
    SettingError
        If `num_samples` is not positive or `std` is negative; in a call, with ``create_graph``.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded. Cost: `num_samples` passes through the
    network and as many backward passes through the head. The text of the paper could not be
    consulted. The formula here agrees with torchcam's, whose documentation calls the numerator
    :math:`D^2` a correction of the paper's: with :math:`D^2`, unlike with :math:`D^1`, the map
    without noise is that of Grad-CAM++. For features that may be negative, see `grad_cam_pp`.

    References
    ----------
    Omeiza et al., "Smooth Grad-CAM++: An Enhanced Inference Level Visualization Technique for Deep
    Convolutional Neural Network Models", arXiv 1908.01224.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import SmoothGradCAMpp
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> SmoothGradCAMpp(num_samples=2)(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    label: ClassVar[str] = "smooth_grad_cam_pp"

    num_samples: int = 4
    std: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("num_samples", self.num_samples)
        check_noise(self.std)

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, ``(N, h, w)``."""
        check_no_graph(activations, "SmoothGradCAMpp")
        network, images, features = (
            activations.network,
            activations.images,
            activations.features,
        )
        draw = noise_source(activations, tuple(images.shape[1:]), self.seed)
        with without_graph():
            noisy = (images + self.std * draw() for _ in range(self.num_samples))
            samples = (network.activations(copies).gradients(target) for copies in noisy)
            sums = [features.new_zeros(()) for _ in range(3)]
            for gradient in samples:
                sums = [sum_ + gradient**p for p, sum_ in enumerate(sums, start=1)]
            first, second, third = (sum_ / self.num_samples for sum_ in sums)
            total = features.sum(positions(features), keepdim=True)
            alpha = second / (2 * second + third * total).where(second > 0, 1)
            weights = (alpha * first.relu()).sum(positions(features), keepdim=True)
            return (weights * features).sum(1).relu()

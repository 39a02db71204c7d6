r"""Methods that weigh the features by the gradient of the class's logit.

Notation: :math:`A_k` is channel k of the features, :math:`g_k = \partial y_c / \partial A_k` the
gradient of the logit of class c, a map of the same size. All cost one pass through the trunk and
one backward pass through the head, which they share.
"""

from torch import Tensor

from cameval.networks import Activations, Target
from cameval.networks.heads import positions

__all__ = ["grad_cam", "grad_cam_elementwise", "hires_cam", "layer_cam", "xgrad_cam"]


def grad_cam(activations: Activations, target: Target, /) -> Tensor:
    r"""Gradient-weighted class activation map.

    .. math:: \operatorname{ReLU}\left(\sum_k \operatorname{mean}_{xy}(g_k) \, A_k\right)

    On a head that is pooling and one linear layer, without the bias, it equals
    ``relu(cam) / (h * w)``. On other heads the mean moves evidence to places that the network did
    not use: prefer `hires_cam` there.

    Parameters
    ----------
    activations
        What the network left behind.
    target
        One class per image, shape ``(N,)``, or a function from the network's output to one score
        per image.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, non-negative and unbounded. All zeros where no evidence is positive.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.

    References
    ----------
    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", ICCV 2017.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> grad_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    gradient = activations.gradients(target)
    weights = gradient.mean(positions(gradient), keepdim=True)
    return (weights * activations.features).sum(1).relu()


def hires_cam(activations: Activations, target: Target, /) -> Tensor:
    r"""High-resolution class activation map: gradient times activation, position by position.

    .. math:: \sum_k g_k \odot A_k

    It shows only places that the logit depends on. Where everything after the features is
    piecewise linear (AlexNet, VGG), its sum is the logit less the contribution of the biases. On
    pooling and one linear layer it equals ``cam / (h * w)``.

    Parameters
    ----------
    activations
        What the network left behind.
    target
        One class per image, shape ``(N,)``, or a function from the network's output to one score
        per image.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, signed and unbounded.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.

    References
    ----------
    Draelos and Carin, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
    neural networks", arXiv 2011.08891.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> hires_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    return (activations.gradients(target) * activations.features).sum(1)


def layer_cam(activations: Activations, target: Target, /) -> Tensor:
    r"""Class activation map of any layer, each position weighted by its own positive gradient.

    .. math:: \operatorname{ReLU}\left(\sum_k \operatorname{ReLU}(g_k) \odot A_k\right)

    Made for shallow layers, where one weight per channel is too coarse. It ignores evidence against
    the class.

    Parameters
    ----------
    activations
        What the network left behind.
    target
        One class per image, shape ``(N,)``, or a function from the network's output to one score
        per image.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, non-negative and unbounded.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.

    References
    ----------
    Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE
    Transactions on Image Processing 30, 2021.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> layer_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).min() >= 0
    tensor(True)
    """
    weights = activations.gradients(target).relu()
    return (weights * activations.features).sum(1).relu()


def xgrad_cam(activations: Activations, target: Target, /) -> Tensor:
    r"""Axiom-based Grad-CAM: each channel weighted by the mean gradient where it is active.

    .. math:: \sum_k w_k A_k, \qquad w_k = \frac{\sum_{xy} g_k A_k}{\sum_{xy} A_k}

    The weights make the map's sum equal to that of `hires_cam`, as its axiom of conservation asks;
    a channel whose activations sum to 0 has the weight 0. On pooling and one linear layer it equals
    ``cam / (h * w)``. The paper's map has no ReLU; that of other packages has one.

    Parameters
    ----------
    activations
        What the network left behind.
    target
        One class per image, shape ``(N,)``, or a function from the network's output to one score
        per image.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, signed and unbounded.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.

    Notes
    -----
    Not for features that may be negative (SiLU, Hardswish, ConvNeXt, transformers): a sum close to
    0 there makes the weight of its channel large, whatever the channel says.

    References
    ----------
    Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC
    2020.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> xgrad_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    gradient, features = activations.gradients(target), activations.features
    axes = positions(features)
    evidence = (gradient * features).sum(axes, keepdim=True)
    total = features.sum(axes, keepdim=True)
    weights = (evidence / total.where(total != 0, 1)).where(total != 0, 0)
    return (weights * features).sum(1)


def grad_cam_elementwise(activations: Activations, target: Target, /) -> Tensor:
    r"""Positive part of gradient times activation, channel by channel.

    .. math:: \sum_k \operatorname{ReLU}(g_k \odot A_k)

    As `hires_cam`, but evidence against the class does not cancel evidence for it. It has no paper;
    it comes from the package pytorch-grad-cam.

    Parameters
    ----------
    activations
        What the network left behind.
    target
        One class per image, shape ``(N,)``, or a function from the network's output to one score
        per image.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, non-negative and unbounded.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.

    Notes
    -----
    Not where channels work against each other: half of what they say is left out, and the map's sum
    is no longer a share of the score.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> maps = grad_cam_elementwise(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1]))
    >>> maps.shape
    torch.Size([1, 14, 14])
    """
    return (activations.gradients(target) * activations.features).relu().sum(1)

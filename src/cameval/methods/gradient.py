r"""Methods that weigh the features by the gradient of the class's logit.

Notation: :math:`A_k` is channel k of the features, :math:`g_k = \partial y_c / \partial A_k` the
gradient of the logit of class c, a map of the same size. All cost one pass through the trunk and
one backward pass through the head, which they share.
"""

from torch import Tensor

from cameval.networks import Activations, Target
from cameval.networks.heads import positions

__all__ = ["grad_cam", "hires_cam", "layer_cam"]


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

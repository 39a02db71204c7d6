r"""Gradient methods: features weighted by the gradient of the target class's logit.

Notation: :math:`A_k` is channel k of the features, :math:`g_k = \partial y_c / \partial A_k` the
gradient of the logit of class c, a map of the same size. Cost of all of them together: one pass
through the network and one backward pass through the head.
"""

import torch
from torch import Tensor

from cameval.methods._mean_gradient import mean_gradient
from cameval.methods._rerun import check_no_graph, rerun_from_features
from cameval.networks import Activations, ScoreTarget
from cameval.networks.activations import fresh_leaf, without_graph
from cameval.networks.heads import linear_head, positions

__all__ = ["grad_cam", "grad_cam_elementwise", "hires_cam", "layer_cam", "shapley_cam", "xgrad_cam"]


def grad_cam(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Gradient-weighted class activation map.

    .. math:: \operatorname{ReLU}\left(\sum_k \operatorname{mean}_{xy}(g_k) \, A_k\right)

    On a head that is pooling and one linear layer it equals ``relu(cam) / (h * w)``. On other heads
    the averaged gradient also highlights positions that the network did not use: prefer `hires_cam`
    there.

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
        Maps ``(N, h, w)``, non-negative and unbounded. All zeros where no evidence is positive.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.

    Warns
    -----
    RoundingErrorWarning
        If the mean gradients of an image are rounding error; its map is zero.

    References
    ----------
    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", ICCV 2017.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead, grad_cam
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> grad_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    weights = mean_gradient(activations, activations.gradients(target))
    return (weights * activations.features).sum(1).relu()


def hires_cam(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""High-resolution class activation map: elementwise gradient times activation.

    .. math:: \sum_k g_k \odot A_k

    Only positions that the logit depends on are highlighted. If the head is piecewise linear
    (AlexNet, VGG), the sum of the map is the logit minus the contribution of the biases. On pooling
    and one linear layer it equals ``cam / (h * w)``.

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
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead, hires_cam
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> hires_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    return (activations.gradients(target) * activations.features).sum(1)


def layer_cam(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Class activation map of any layer, each position weighted by its own positive gradient.

    .. math:: \operatorname{ReLU}\left(\sum_k \operatorname{ReLU}(g_k) \odot A_k\right)

    It is designed for shallow layers, where one weight per channel is too coarse. It ignores
    evidence against the class.

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
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead, layer_cam
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> layer_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).min() >= 0
    tensor(True)
    """
    weights = activations.gradients(target).relu()
    return (weights * activations.features).sum(1).relu()


def xgrad_cam(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Axiom-based Grad-CAM: each channel weighted by the mean gradient where it is active.

    .. math:: \sum_k w_k A_k, \qquad w_k = \frac{\sum_{xy} g_k A_k}{\sum_{xy} A_k}

    With these weights the sum of the map equals that of `hires_cam` (the axiom of conservation); a
    channel whose activations sum to 0 has the weight 0. On pooling and one linear layer it equals
    ``cam / (h * w)``. As in the paper there is no ReLU; other packages add one.

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
        Maps ``(N, h, w)``, signed and unbounded.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.

    Notes
    -----
    Do not use it with features that may be negative (SiLU, Hardswish, ConvNeXt, transformers): a
    channel whose activations sum to nearly 0 gets a large weight.

    References
    ----------
    Fu et al., "Axiom-based Grad-CAM: Towards Accurate Visualization and Explanation of CNNs", BMVC
    2020.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead, xgrad_cam
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


def grad_cam_elementwise(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Element-wise Grad-CAM: positive part of gradient times activation, summed over channels.

    .. math:: \sum_k \operatorname{ReLU}(g_k \odot A_k)

    As `hires_cam`, but evidence against the class does not cancel evidence for it. It has no paper;
    it comes from the package pytorch-grad-cam.

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
        Maps ``(N, h, w)``, non-negative and unbounded.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.

    Notes
    -----
    Evidence against the class is lost where channels have opposite signs, so the sum of the map is
    not a part of the score.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import grad_cam_elementwise
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> maps = grad_cam_elementwise(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1]))
    >>> maps.shape
    torch.Size([1, 14, 14])
    """
    return (activations.gradients(target) * activations.features).relu().sum(1)


def shapley_cam(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""ShapleyCAM: Grad-CAM, with the gradient corrected by the curvature of the score.

    .. math:: \operatorname{ReLU}\left(\sum_k w_k A_k\right), \qquad
              w_k = \operatorname{mean}_{xy}\left(g_k - \frac{1}{2} (H A)_k\right)

    where :math:`H` is the matrix of second derivatives of the score with respect to the features.
    This is the second-order estimate of the channels' Shapley values, with the exact product of H
    and A. Where the rest of the network is piecewise linear, H is 0 and the map is that of
    `grad_cam`.

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
        Maps ``(N, h, w)``, non-negative and unbounded. Cost: that of `grad_cam` on a
        :class:`GAPHead`; otherwise one more pass through the head (at an inner layer, through the
        network) and two backward passes.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.
    SettingError
        With ``create_graph``, on other heads than :class:`GAPHead`.

    Warns
    -----
    RoundingErrorWarning
        If the mean gradients of an image are rounding error; its map is zero.

    Notes
    -----
    The estimate is poor where the score is far from a quadratic function of the features. Like
    `grad_cam`, it averages over positions.

    References
    ----------
    Cai, "CAMs as Shapley Value-based Explainers", The Visual Computer 2025.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel
    >>> from cameval.methods import shapley_cam
    >>> head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 36, 4), nn.Tanh(), nn.Linear(4, 2))
    >>> activations = CAMModel(nn.Conv2d(3, 8, 3), head).eval().activations(torch.rand(1, 3, 8, 8))
    >>> shapley_cam(activations, torch.tensor([1])).shape
    torch.Size([1, 6, 6])
    """
    gradient, features = activations.gradients(target), activations.features
    if linear_head(activations.head) is None or not isinstance(target, Tensor):
        check_no_graph(activations, "shapley_cam on this network")
        with without_graph():
            gradient = gradient - _curvature(activations, target) / 2
    weights = mean_gradient(activations, gradient)
    return (weights * features).sum(1).relu()


def _curvature(activations: Activations, target: ScoreTarget) -> Tensor:
    """Return the product of the matrix of second derivatives with the features."""
    with torch.enable_grad():
        leaf = fresh_leaf(activations.features)
        # A copy: the rest of the network may begin with an in-place operation.
        outputs = rerun_from_features(activations, leaf.clone())
        total = activations.score(target, outputs).sum()
        (gradient,) = torch.autograd.grad(total, leaf, create_graph=True)
        if not gradient.requires_grad:
            return torch.zeros_like(leaf)
        (product,) = torch.autograd.grad(
            gradient, leaf, leaf.detach(), allow_unused=True, materialize_grads=True
        )
    return product

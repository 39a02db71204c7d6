"""ShapleyCAM: Grad-CAM with a second-order correction of the gradient."""

import torch
from torch import Tensor

from cameval.methods._rerun import check_no_graph, rerun_from_features
from cameval.networks import Activations, Target
from cameval.networks.activations import fresh_leaf, without_graph
from cameval.networks.heads import linear_head, positions

__all__ = ["shapley_cam"]


def shapley_cam(activations: Activations, target: Target, /) -> Tensor:
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

    Notes
    -----
    The estimate is poor where the score is far from a quadratic function of the features. Like
    `grad_cam`, it averages over positions.

    References
    ----------
    Cai, "CAMs as Shapley Value-based Explainers", The Visual Computer 2025.

    Examples
    --------
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
    weights = gradient.mean(positions(features), keepdim=True)
    return (weights * features).sum(1).relu()


def _curvature(activations: Activations, target: Target) -> Tensor:
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

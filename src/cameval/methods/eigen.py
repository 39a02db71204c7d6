"""Eigen-CAM and Eigen-Grad-CAM: projection on the first principal component."""

from math import prod

import torch
from torch import Tensor

from cameval.networks import Activations, Target
from cameval.networks.heads import positions

__all__ = ["eigen_cam", "eigen_grad_cam"]


def eigen_cam(activations: Activations, target: Target, /) -> Tensor:
    r"""Eigen-CAM: the first principal component of the features, whatever the class.

    With :math:`\tilde A` the matrix of features (positions times channels), each channel less its
    mean over the positions, and :math:`v_1` its first right singular vector,

    .. math:: \sum_k (v_1)_k \tilde A_k = \sigma_1 u_1 .

    A singular vector has no sign. Here the map is made to correlate positively, over the positions,
    with the mean of the features over the channels.

    Parameters
    ----------
    activations
        What the network left behind.
    target
        Ignored: the map is the same for every class.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, signed, of mean 0, zeros where the features do not vary. Cost: one
        decomposition of a matrix of as many rows as there are positions or channels, whichever are
        fewer; no gradient.

    Notes
    -----
    Not where the class matters: it shows what stands out, not what speaks for a class, and cannot
    tell two objects in one image apart. The paper's matrix is not centered; centering, which
    everybody's code does, keeps the mean of the features from being the first component. As part of
    a loss it has a derivative where the first singular value stands alone.

    References
    ----------
    Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> eigen_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    return _first_component(activations.features)


def eigen_grad_cam(activations: Activations, target: Target, /) -> Tensor:
    r"""Eigen-CAM of gradient times activation: the first principal component of the evidence.

    As `eigen_cam`, with :math:`g_k \odot A_k` in the place of the features. The map is made to
    correlate positively, over the positions, with :math:`\sum_k g_k \odot A_k`, the map of
    `hires_cam`.

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
        Maps ``(N, h, w)``, signed, of mean 0, zeros where the evidence does not vary. Cost: one
        backward pass through the head and one decomposition, as of `eigen_cam`.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.

    Notes
    -----
    Not where amounts matter: a component is a direction of variation, and its values do not add up
    to the score. It has no paper; it comes from the package pytorch-grad-cam.

    References
    ----------
    Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> eigen_grad_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    return _first_component(activations.gradients(target) * activations.features)


def _first_component(values: Tensor) -> Tensor:
    """Project values ``(N, K, h, w)`` on the first right singular vector of the centered matrix."""
    shape = values.shape[2:]
    precise = values if values.dtype == torch.float64 else values.float()  # no half decomposition
    centered = (precise - precise.mean(positions(values), keepdim=True)).flatten(2).mT
    if prod(shape) <= values.shape[1]:
        direction = (centered.mT @ _leading_vector(centered @ centered.mT)[..., None])[..., 0]
        length = direction.norm(dim=1, keepdim=True)
        direction = direction / length.where(length > 0, 1)
    else:
        direction = _leading_vector(centered.mT @ centered)
    component = (centered @ direction[..., None])[..., 0]
    agreement = (component * precise.flatten(2).sum(1)).sum(1, keepdim=True)
    signed: Tensor = component.where(agreement >= 0, -component)
    return signed.reshape(values.shape[:1] + shape).to(values.dtype)


def _leading_vector(gram: Tensor) -> Tensor:
    """Eigenvector of the largest eigenvalue of symmetric matrices.

    Its derivative, where one is asked for, is that of this vector alone: PyTorch's is NaN wherever
    any two eigenvalues coincide, as those of dead channels do.
    """
    values, vectors = torch.linalg.eigh(gram.detach())
    leading: Tensor = vectors[..., -1]
    others: Tensor = vectors[..., :-1]
    if not gram.requires_grad:
        return leading
    gaps = values[..., -1:] - values[..., :-1]
    turned = (others.mT @ (gram @ leading[..., None]))[..., 0] / gaps
    moved: Tensor = leading + (others @ (turned - turned.detach())[..., None])[..., 0]
    return moved

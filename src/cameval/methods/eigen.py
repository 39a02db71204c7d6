"""Eigen-CAM, Eigen-Grad-CAM and KPCA-CAM: the first principal component of the features."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from cameval._checks import positive_number
from cameval.networks import Activations, ScoreTarget
from cameval.networks.heads import positions

__all__ = ["KPCACAM", "eigen_cam", "eigen_grad_cam"]


def eigen_cam(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Eigen-CAM: first principal component of the features, independent of the class.

    With :math:`\tilde A` the matrix of features (positions times channels), each channel minus its
    mean over the positions, and :math:`v_1` its first right singular vector,

    .. math:: \sum_k (v_1)_k \tilde A_k = \sigma_1 u_1 .

    The sign of a singular vector is arbitrary. Here it is chosen so that the map correlates
    positively, over the positions, with the mean of the features over the channels.

    Parameters
    ----------
    activations
        Recorded activations of a batch of images.
    target
        Ignored: the map is the same for every class.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, signed, of mean 0, and zero where the features are constant. Cost: one
        eigendecomposition of a square matrix of the number of positions or of channels, whichever
        is smaller; no gradient.

    Notes
    -----
    It shows salient regions, not evidence for a class, and cannot separate two objects in an image.
    The paper does not center the matrix. Common implementations do, as here: without centering the
    first component is mainly the mean of the features. As part of a loss the map is differentiable
    where the first singular value is unique.

    References
    ----------
    Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead, eigen_cam
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> eigen_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    return _first_component(activations.features)


def eigen_grad_cam(activations: Activations, target: ScoreTarget, /) -> Tensor:
    r"""Eigen-Grad-CAM: first principal component of gradient times activation.

    As `eigen_cam`, with :math:`g_k \odot A_k` instead of the features. The sign is chosen so that
    the map correlates positively, over the positions, with :math:`\sum_k g_k \odot A_k`, the map of
    `hires_cam`.

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
        Maps ``(N, h, w)``, signed, of mean 0, and zero where gradient times activation is constant.
        Cost: one backward pass through the head and one decomposition as for `eigen_cam`.

    Raises
    ------
    ClassIndexError
        If a class is not one of the network's.

    Notes
    -----
    The values of a principal component do not add up to the score. The method has no paper; it
    comes from the package pytorch-grad-cam.

    References
    ----------
    Muhammad and Yeasin, "Eigen-CAM: Class Activation Map using Principal Components", IJCNN 2020.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import eigen_grad_cam
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> eigen_grad_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    return _first_component(activations.gradients(target) * activations.features)


@dataclass(frozen=True)
class KPCACAM:
    r"""KPCA-CAM: first kernel principal component of the features, independent of the class.

    As `eigen_cam`, with the products of the cells' feature vectors :math:`\tilde a_p` (each channel
    minus its mean over the positions) replaced by the sigmoid kernel

    .. math:: \kappa_{pq} = \tanh\left(\gamma \langle \tilde a_p, \tilde a_q \rangle + 1\right) .

    With :math:`\lambda, v` the largest eigenvalue and its eigenvector of the centered matrix
    :math:`\kappa`, the map is :math:`\sqrt{\lambda} \, v`. The sign is chosen as for `eigen_cam`.

    Parameters
    ----------
    gamma
        The factor :math:`\gamma`; None: one over the number of channels.

    Raises
    ------
    SettingError
        If `gamma` is not positive.

    Notes
    -----
    Maps are ``(N, h, w)``, signed, of mean 0, and zero where the features are constant. Cost: one
    eigendecomposition of a square matrix of the number of positions; no gradient. The kernel limits
    the effect of single large cells, which dominate the component of `eigen_cam`.

    Experimental: the text of the paper could not be consulted. The formula is that of
    pytorch-grad-cam, where the sign is arbitrary.

    References
    ----------
    Karmani et al., "KPCA-CAM: Visual Explainability of Deep Computer Vision Models using Kernel
    PCA", arXiv 2410.00267.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import KPCACAM
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> KPCACAM()(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    label: ClassVar[str] = "kpca_cam"
    experimental: ClassVar[bool] = True

    gamma: float | None = None

    def __post_init__(self) -> None:
        if self.gamma is not None:
            positive_number("gamma", self.gamma)

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, ``(N, h, w)``; the target is ignored."""
        features = activations.features
        values = features if features.dtype == torch.float64 else features.float()
        cells = (values - values.mean(positions(values), keepdim=True)).flatten(2)
        gamma = 1 / features.shape[1] if self.gamma is None else self.gamma
        kernel = torch.tanh(gamma * (cells.mT @ cells) + 1)
        rows = kernel.mean(1, keepdim=True)
        centered = kernel - rows - rows.mT + rows.mean(2, keepdim=True)
        direction = _leading_vector(centered)[..., None]
        largest = (direction.mT @ centered @ direction)[..., 0]
        # The root of 0 has no derivative; of constant features the map is exactly 0.
        varies = (cells != 0).flatten(1).any(1)[:, None] & (largest > 0)
        component = (largest.where(varies, 1).sqrt() * direction[..., 0]).where(varies, 0)
        agreement = (component * values.flatten(2).sum(1)).sum(1, keepdim=True)
        signed = component.where(agreement >= 0, -component)
        return signed.reshape(features.shape[:1] + features.shape[2:]).to(features.dtype)


def _first_component(values: Tensor) -> Tensor:
    """Project values ``(N, K, h, w)`` onto the first right singular vector, after centering."""
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
    """Return the eigenvector of the largest eigenvalue of symmetric matrices.

    Its derivative is computed here from the eigendecomposition: PyTorch's derivative is NaN if any
    two eigenvalues are equal, as those of dead channels are.
    """
    values, vectors = torch.linalg.eigh(gram.detach())
    leading: Tensor = vectors[..., -1]
    others: Tensor = vectors[..., :-1]
    if not gram.requires_grad:
        return leading
    gaps = values[..., -1:] - values[..., :-1]
    # First-order change of the vector: the difference below is 0 in value, not in its derivative.
    change = (others.mT @ (gram @ leading[..., None]))[..., 0] / gaps
    differentiable: Tensor = leading + (others @ (change - change.detach())[..., None])[..., 0]
    return differentiable

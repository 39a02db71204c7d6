"""Heads: from features to logits, with exact class maps where they exist.

The type of a head states whether an exact CAM exists. For a head with ``class_maps``

    ``mean over positions of class_maps(features, c)  +  bias[c]  ==  logit c``

Any other module can be a head too: gradient methods support it, and ``cam`` refuses it.
"""

from math import prod
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from cameval.errors import UnsupportedHeadError
from cameval.networks._module_types import has_hooks, is_exactly, runs_code_of

__all__ = [
    "ClassMapHead",
    "ConvHead",
    "ExactHead",
    "GAPHead",
    "MeanHead",
    "NormHead",
    "PooledHead",
]


@runtime_checkable
class ExactHead(Protocol):
    """A head whose logits are the spatial means of class maps, plus a constant.

    Any module with these two members is one; no base class is needed. Exact methods compare the sum
    with the logit in each call.
    """

    @property
    def bias(self) -> Tensor:
        """The logits less the means of the class maps, shape ``(C,)``."""

    def class_maps(self, features: Tensor, classes: Tensor) -> Tensor:
        """Return maps ``(N, h, w)`` of features ``(N, K, h, w)``, class ``classes[n]``."""


class GAPHead(nn.Module):
    """Global average pooling, then one linear layer: the head for which CAM is defined.

    Parameters
    ----------
    linear
        The classifier, ``K`` channels to ``C`` classes.
    dropout
        A module between pooling and classifier, which is the identity in evaluation mode.

    Raises
    ------
    UnsupportedHeadError
        If `linear` is not a linear layer, or of a subclass that overrides ``forward``.

    References
    ----------
    Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import GAPHead
    >>> head = GAPHead(nn.Linear(512, 3))
    >>> head(torch.rand(2, 512, 7, 7)).shape
    torch.Size([2, 3])
    """

    def __init__(self, linear: nn.Linear, dropout: nn.Module | None = None) -> None:
        super().__init__()
        if not runs_code_of(linear, nn.Linear):
            own = " with a forward of its own" if isinstance(linear, nn.Linear) else ""
            raise UnsupportedHeadError(
                f"a GAPHead must end in one nn.Linear, got {type(linear).__name__}{own}; "
                "wrap other classifiers in PooledHead"
            )
        self.dropout = nn.Identity() if dropout is None else dropout
        self.linear = linear

    @property
    def in_channels(self) -> int:
        """Channels of the features."""
        return self.linear.in_features

    @property
    def bias(self) -> Tensor:
        """The linear layer's bias (zeros where it has none), shape ``(C,)``."""
        if self.linear.bias is None:
            return self.linear.weight.new_zeros(self.linear.out_features)
        return self.linear.bias

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``(N, C)`` of features ``(N, K, h, w)``."""
        logits: Tensor = self.linear(self.dropout(features.mean(positions(features))))
        return logits

    def class_maps(self, features: Tensor, classes: Tensor) -> Tensor:
        r"""Return maps ``(N, h, w)``: :math:`\mathrm{CAM}_c = \sum_k W_{ck} F_k`.

        Examples
        --------
        The mean of the map and the bias are the logit:

        >>> import torch
        >>> from torch import nn
        >>> from cameval import GAPHead
        >>> head = GAPHead(nn.Linear(8, 3))
        >>> features, classes = torch.rand(2, 8, 7, 7), torch.tensor([2, 0])
        >>> maps = head.class_maps(features, classes)
        >>> maps.shape
        torch.Size([2, 7, 7])
        >>> logits = head(features)[[0, 1], classes]
        >>> torch.allclose(maps.mean((1, 2)) + head.bias[classes], logits, atol=1e-6)
        True
        """
        return torch.einsum("nk,nk...->n...", self.linear.weight[classes], features)


class ClassMapHead(nn.Module):
    """A 1x1 convolution to one map per class, ReLU, then global average pooling (SqueezeNet).

    Parameters
    ----------
    conv
        The 1x1 convolution, ``K`` channels to ``C`` classes.
    dropout
        A module before the convolution, which is the identity in evaluation mode.

    Examples
    --------
    The mean of a class map is the logit, since the bias is 0:

    >>> import torch
    >>> from torch import nn
    >>> from cameval.networks import ClassMapHead
    >>> head = ClassMapHead(nn.Conv2d(8, 3, 1))
    >>> features = torch.rand(2, 8, 7, 7)
    >>> maps = head.class_maps(features, torch.tensor([2, 0]))
    >>> maps.shape, head.bias
    (torch.Size([2, 7, 7]), tensor([0., 0., 0.]))
    >>> torch.allclose(maps.mean((1, 2)), head(features)[[0, 1], [2, 0]])
    True
    """

    def __init__(self, conv: nn.Conv2d, dropout: nn.Module | None = None) -> None:
        super().__init__()
        self.dropout = nn.Identity() if dropout is None else dropout
        self.conv = conv

    @property
    def in_channels(self) -> int:
        """Channels of the features."""
        return self.conv.in_channels

    @property
    def bias(self) -> Tensor:
        """Zeros, since the class maps include the convolution's bias."""
        return self.conv.weight.new_zeros(self.conv.out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``(N, C)`` of features ``(N, K, h, w)``."""
        maps = torch.relu(self.conv(self.dropout(features)))
        return maps.mean(positions(maps))

    def class_maps(self, features: Tensor, classes: Tensor) -> Tensor:
        r"""Return ``(N, h, w)``: :math:`\mathrm{CAM}_c = \mathrm{ReLU}(\mathrm{conv}(F))_c`."""
        maps = torch.relu(self.conv(features))
        return maps[torch.arange(len(classes), device=maps.device), classes]


class ConvHead(nn.Module):
    """Global average pooling, then a 1x1 convolution: one linear layer, written as a convolution.

    Parameters
    ----------
    conv
        The 1x1 convolution, ``K`` channels to ``C`` classes, without groups.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval.networks import ConvHead
    >>> head = ConvHead(nn.Conv2d(512, 3, 1))
    >>> head(torch.rand(2, 512, 7, 7)).shape
    torch.Size([2, 3])
    """

    def __init__(self, conv: nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        self.conv = conv

    @property
    def in_channels(self) -> int:
        """Channels of the features."""
        return self.conv.in_channels

    @property
    def bias(self) -> Tensor:
        """The convolution's bias (zeros where it has none), shape ``(C,)``."""
        if self.conv.bias is None:
            return self.conv.weight.new_zeros(self.conv.out_channels)
        return self.conv.bias

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``(N, C)`` of features ``(N, K, h, w)``."""
        logits: Tensor = self.conv(features.mean(positions(features), keepdim=True)).flatten(1)
        return logits

    def class_maps(self, features: Tensor, classes: Tensor) -> Tensor:
        r"""Return maps ``(N, h, w)``: :math:`\mathrm{CAM}_c = \sum_k W_{ck} F_k`.

        Examples
        --------
        The mean of the map and the bias are the logit:

        >>> import torch
        >>> from torch import nn
        >>> from cameval.networks import ConvHead
        >>> head = ConvHead(nn.Conv2d(8, 3, 1))
        >>> features, classes = torch.rand(2, 8, 7, 7), torch.tensor([2, 0])
        >>> maps = head.class_maps(features, classes)
        >>> maps.shape
        torch.Size([2, 7, 7])
        >>> logits = head(features)[[0, 1], classes]
        >>> torch.allclose(maps.mean((1, 2)) + head.bias[classes], logits, atol=1e-6)
        True
        """
        return torch.einsum("nk,nk...->n...", self.conv.weight.flatten(1)[classes], features)


class MeanHead(nn.Module):
    """Global average pooling alone: the features are the maps of the classes.

    Fully convolutional classifiers end in it, as Network in Network.

    Parameters
    ----------
    num_classes
        Number of classes, and of channels of the features.

    Examples
    --------
    >>> import torch
    >>> from cameval.networks import MeanHead
    >>> MeanHead(3)(torch.ones(2, 3, 7, 7))
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """

    bias: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("bias", torch.zeros(num_classes), persistent=False)

    @property
    def in_channels(self) -> int:
        """Channels of the features."""
        return len(self.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``(N, C)`` of features ``(N, C, h, w)``."""
        return features.mean(positions(features))

    def class_maps(self, features: Tensor, classes: Tensor) -> Tensor:
        r"""Return maps ``(N, h, w)``: :math:`\mathrm{CAM}_c = F_c`.

        Examples
        --------
        The mean of the map and the bias are the logit:

        >>> import torch
        >>> from cameval.networks import MeanHead
        >>> head = MeanHead(3)
        >>> features, classes = torch.rand(2, 3, 7, 7), torch.tensor([2, 0])
        >>> maps = head.class_maps(features, classes)
        >>> maps.shape
        torch.Size([2, 7, 7])
        >>> logits = head(features)[[0, 1], classes]
        >>> torch.allclose(maps.mean((1, 2)) + head.bias[classes], logits, atol=1e-6)
        True
        """
        return features[torch.arange(len(classes), device=features.device), classes]


class NormHead(nn.Module):
    """Global average pooling, LayerNorm over the channels, then one linear layer (ConvNeXt).

    With the statistics of the pooled vector held fixed, the normalization is linear and commutes
    with the pooling, so that exact class maps exist.

    Parameters
    ----------
    norm
        The layer normalization over ``K`` channels: torchvision's ``LayerNorm2d``, or exactly
        ``nn.LayerNorm`` of vectors.
    linear
        The classifier, ``K`` channels to ``C`` classes.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval.networks import NormHead
    >>> head = NormHead(nn.LayerNorm(8), nn.Linear(8, 3))
    >>> features, classes = torch.rand(2, 8, 7, 7), torch.tensor([2, 0])
    >>> head(features).shape
    torch.Size([2, 3])
    >>> means = head.class_maps(features, classes).mean((1, 2))
    >>> torch.allclose(means + head.bias[classes], head(features)[[0, 1], classes], atol=1e-6)
    True
    """

    def __init__(self, norm: nn.LayerNorm, linear: nn.Linear) -> None:
        super().__init__()
        self.norm = norm
        self.linear = linear

    @property
    def in_channels(self) -> int:
        """Channels of the features."""
        return self.linear.in_features

    @property
    def bias(self) -> Tensor:
        r""":math:`W \beta + b`, with the LayerNorm's shift :math:`\beta`; shape ``(C,)``."""
        bias: Tensor = self.linear(self.norm.bias)
        return bias

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``(N, C)`` of features ``(N, K, h, w)``."""
        pooled = features.mean(positions(features), keepdim=True)
        if type(self.norm) is nn.LayerNorm:
            pooled = pooled.flatten(1)
        logits: Tensor = self.linear(self.norm(pooled).flatten(1))
        return logits

    def class_maps(self, features: Tensor, classes: Tensor) -> Tensor:
        r"""Return maps ``(N, h, w)``, the class maps before the pool.

        :math:`\mathrm{CAM}_c = \sum_k W_{ck} \gamma_k (F_k - \bar F) / \sigma`, where
        :math:`\bar F` is the mean over channels at each position, and :math:`\sigma` the standard
        deviation over channels of the *pooled* features.
        """
        pooled = features.mean(positions(features), keepdim=True)
        sigma = (pooled.var(1, correction=0, keepdim=True) + self.norm.eps).sqrt()
        centered = (features - features.mean(1, keepdim=True)) / sigma
        weights = self.linear.weight[classes] * self.norm.weight
        return torch.einsum("nk,nk...->n...", weights, centered)


class PooledHead(nn.Module):
    """Pooling, flattening, then any classifier, for which no exact CAM exists.

    AlexNet, VGG (pooling to a grid, three linear layers) and MobileNetV3 (two) have such heads.

    Parameters
    ----------
    pool
        From features ``(N, K, h, w)`` to a grid of fixed size.
    classifier
        From the flattened grid to ``C`` logits.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval.networks import PooledHead
    >>> head = PooledHead(nn.AdaptiveAvgPool2d(2), nn.Linear(8 * 2 * 2, 3))
    >>> head(torch.rand(2, 8, 7, 7)).shape, head.in_channels
    (torch.Size([2, 3]), 8)
    """

    def __init__(self, pool: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.classifier = classifier

    @property
    def in_channels(self) -> int:
        """Channels of the features, from the inputs of the classifier and the size of the grid.

        Raises
        ------
        UnsupportedHeadError
            If the pool is not an adaptive average pool of fixed size, or the classifier has no
            linear layer.
        """
        first = next((m for m in self.classifier.modules() if isinstance(m, nn.Linear)), None)
        cells = grid_cells(self.pool)
        if first is None or cells is None:
            raise UnsupportedHeadError(
                "the channels of the features must follow from the head: in_channels needs an "
                f"adaptive average pool and a linear layer, got {type(self.pool).__name__} and "
                f"{type(self.classifier).__name__}; build CAMModel(features, GAPHead(...)) yourself"
            )
        return first.in_features // cells

    def forward(self, features: Tensor) -> Tensor:
        """Return logits ``(N, C)`` of features ``(N, K, h, w)``."""
        logits: Tensor = self.classifier(self.pool(features).flatten(1))
        return logits


def positions(features: Tensor) -> tuple[int, ...]:
    """Return the spatial axes of features ``(N, K, h, w, ...)``."""
    return tuple(range(2, features.ndim))


def grid_cells(pool: nn.Module) -> int | None:
    """Return the number of output cells of an adaptive average pool, None for any other module."""
    if not is_exactly(pool, nn.AdaptiveAvgPool2d):
        return None
    size = cast(nn.AdaptiveAvgPool2d, pool).output_size
    sides = size if isinstance(size, tuple) else (size, size)
    return None if None in sides else prod(side for side in sides if side is not None)


def pools_globally(head: nn.Module | None) -> bool:
    """Tell by its type whether a head depends on the features through their channel means only."""
    if head is None:
        return False
    if is_exactly(head, PooledHead):
        return grid_cells(cast(PooledHead, head).pool) == 1
    if is_exactly(head, nn.Sequential):
        children = [*head.children()]
        return bool(children) and grid_cells(children[0]) == 1
    return is_exactly(head, GAPHead, ConvHead, NormHead, MeanHead)


def linear_head(head: nn.Module | None) -> GAPHead | None:
    """Return the head if its logits are a linear function of the channel means, else None.

    This excludes heads with hooks, active dropout, or replaced modules.
    """
    if not is_exactly(head, GAPHead):
        return None
    gap_head = cast(GAPHead, head)
    parts = [*gap_head.modules()]
    inert = all(
        is_exactly(part, nn.Identity, nn.Sequential)
        or (is_exactly(part, nn.Dropout) and not part.training)
        for part in gap_head.dropout.modules()
    )
    exact = inert and runs_code_of(gap_head.linear, nn.Linear) and not any(map(has_hooks, parts))
    return gap_head if exact else None

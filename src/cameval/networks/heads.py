"""Heads: how pooled features become logits, and for which of them a class map is exact.

The type of a head tells the truth about the network. A head with ``class_maps`` obeys

    ``mean over positions of class_maps(features, c)  +  bias[c]  ==  logit c``

so that its maps *are* the logit, spread over the image. Everything else is a plain module, which
gradient methods can explain and ``cam`` refuses.
"""

from math import prod
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from cameval.errors import UnsupportedHeadError
from cameval.networks._module_types import computes_as, hooked, plain

__all__ = ["ClassMapHead", "ExactHead", "GAPHead", "NormHead", "PooledHead"]


@runtime_checkable
class ExactHead(Protocol):
    """A head whose logits are the spatial means of class maps, plus a constant.

    Any module with these two members is one: a user's own head needs no base class. Methods that
    call themselves exact compare the sum with the logit at each call.
    """

    @property
    def bias(self) -> Tensor:
        """What the logits hold beside the mean of the class maps, shape ``(C,)``."""

    def class_maps(self, features: Tensor, classes: Tensor) -> Tensor:
        """Map of class ``classes[n]`` for each image n: ``(N, K, h, w) -> (N, h, w)``."""


class GAPHead(nn.Module):
    """Global average pooling, then one linear layer: the head that makes a network CAM-capable.

    Parameters
    ----------
    linear
        The classifier, ``K`` channels to ``C`` classes.
    dropout
        What stands between pooling and classifier; the identity in evaluation mode.

    Raises
    ------
    UnsupportedHeadError
        If `linear` is not a linear layer, or of a subclass with a ``forward`` of its own.

    References
    ----------
    Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016.

    Examples
    --------
    >>> head = GAPHead(nn.Linear(512, 3))
    >>> head(torch.rand(2, 512, 7, 7)).shape
    torch.Size([2, 3])
    """

    def __init__(self, linear: nn.Linear, dropout: nn.Module | None = None) -> None:
        super().__init__()
        if not computes_as(linear, nn.Linear):
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
        """Logits ``(N, C)`` of features ``(N, K, h, w)``."""
        logits: Tensor = self.linear(self.dropout(features.mean(positions(features))))
        return logits

    def class_maps(self, features: Tensor, classes: Tensor) -> Tensor:
        r""":math:`\mathrm{CAM}_c = \sum_k W_{ck} F_k`."""
        return torch.einsum("nk,nk...->n...", self.linear.weight[classes], features)


class ClassMapHead(nn.Module):
    """A 1x1 convolution to one map per class, ReLU, then global average pooling (SqueezeNet).

    Parameters
    ----------
    conv
        The 1x1 convolution, ``K`` channels to ``C`` classes.
    dropout
        What stands before it; the identity in evaluation mode.
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
        """Zeros: the convolution's bias is inside the maps."""
        return self.conv.weight.new_zeros(self.conv.out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``(N, C)`` of features ``(N, K, h, w)``."""
        maps = torch.relu(self.conv(self.dropout(features)))
        return maps.mean(positions(maps))

    def class_maps(self, features: Tensor, classes: Tensor) -> Tensor:
        r""":math:`\mathrm{CAM}_c = \mathrm{ReLU}(\mathrm{conv}(F))_c`."""
        maps = torch.relu(self.conv(features))
        return maps[torch.arange(len(classes), device=maps.device), classes]


class NormHead(nn.Module):
    """Global average pooling, LayerNorm over the channels, then one linear layer (ConvNeXt).

    The normalization after the pool hides a linear head: with the statistics of the pooled vector
    held fixed, it moves before the pool, and the map is exact again.

    Parameters
    ----------
    norm
        The layer normalization over ``K`` channels (torchvision's ``LayerNorm2d``).
    linear
        The classifier, ``K`` channels to ``C`` classes.
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
        """Logits ``(N, C)`` of features ``(N, K, h, w)``."""
        pooled = features.mean(positions(features), keepdim=True)
        logits: Tensor = self.linear(self.norm(pooled).flatten(1))
        return logits

    def class_maps(self, features: Tensor, classes: Tensor) -> Tensor:
        r"""Map the logit before the pool.

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
    """Pooling, flattening, then any classifier: no class weights, hence no exact CAM.

    AlexNet, VGG (pooling to a grid, three linear layers) and MobileNetV3 (two) have such heads.

    Parameters
    ----------
    pool
        From features ``(N, K, h, w)`` to a grid of fixed size.
    classifier
        From the flattened grid to ``C`` logits.
    """

    def __init__(self, pool: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.classifier = classifier

    @property
    def in_channels(self) -> int:
        """Channels of the features, from the classifier's inputs and the pooled grid."""
        first = next((m for m in self.classifier.modules() if isinstance(m, nn.Linear)), None)
        cells = grid_cells(self.pool)
        if first is None or cells is None:
            raise UnsupportedHeadError(
                "the channels of the features must follow from the head: it needs an adaptive "
                f"average pool and a linear layer, got {type(self.pool).__name__} and "
                f"{type(self.classifier).__name__}; build CAMModel(features, GAPHead(...)) yourself"
            )
        return first.in_features // cells

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``(N, C)`` of features ``(N, K, h, w)``."""
        logits: Tensor = self.classifier(self.pool(features).flatten(1))
        return logits


def positions(features: Tensor) -> tuple[int, ...]:
    """Return the axes over which a feature map ``(N, K, h, w, ...)`` is spread."""
    return tuple(range(2, features.ndim))


def grid_cells(pool: nn.Module) -> int | None:
    """Return how many cells an adaptive average pool leaves, or None for any other pool.

    A subclass is another pool.
    """
    if not plain(pool, nn.AdaptiveAvgPool2d):
        return None
    size = cast(nn.AdaptiveAvgPool2d, pool).output_size
    sides = size if isinstance(size, tuple) else (size, size)
    return None if None in sides else prod(side for side in sides if side is not None)


def pools_globally(head: nn.Module | None) -> bool:
    """Tell by its type whether a head sees of its features nothing but each channel's mean."""
    if head is None:
        return False
    if plain(head, PooledHead):
        return grid_cells(cast(PooledHead, head).pool) == 1
    if plain(head, nn.Sequential):
        children = [*head.children()]
        return bool(children) and grid_cells(children[0]) == 1
    return plain(head, GAPHead, NormHead)


def linear_head(head: nn.Module | None) -> GAPHead | None:
    """Return the head if its logits are nothing but a linear layer of each channel's mean.

    That takes more than the type: no hook, no dropout at work, nothing put in its place.
    """
    if not plain(head, GAPHead):
        return None
    found = cast(GAPHead, head)
    parts = [*found.modules()]
    inert = all(
        plain(part, nn.Identity, nn.Sequential) or (plain(part, nn.Dropout) and not part.training)
        for part in found.dropout.modules()
    )
    exact = inert and computes_as(found.linear, nn.Linear) and not any(map(hooked, parts))
    return found if exact else None

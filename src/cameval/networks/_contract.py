"""timm's contract: ``net(x) == net.forward_head(net.forward_features(x))``."""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from cameval.networks.activations import without_graph
from cameval.networks.grids import Grid, channels_last_grid, identity


class ContractFeatures(nn.Module):
    """The features of a network that keeps the contract, as maps ``(N, K, h, w)``.

    Parameters
    ----------
    net
        The network. It is shared, not copied.
    grid
        How the features become feature maps.
    """

    def __init__(self, net: nn.Module, grid: Grid = identity) -> None:
        super().__init__()
        self.net = net
        self.grid = grid

    def forward(self, images: Tensor) -> Tensor:
        """Return the feature maps of images."""
        return self.grid(self.net.forward_features(images))  # type: ignore[operator]


class ContractHead(nn.Module):
    """The head of a network that keeps the contract, for which no exact map is known.

    Parameters
    ----------
    net
        The network. It is shared, not copied.
    channels
        Channels of the features.
    channels_last
        Whether the network's features are ``(N, h, w, K)``.
    """

    def __init__(self, net: nn.Module, channels: int, *, channels_last: bool = False) -> None:
        super().__init__()
        self.net = net
        self.in_channels = channels
        self.channels_last = channels_last

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits of feature maps ``(N, K, h, w)``."""
        own = features.movedim(1, -1) if self.channels_last else features
        logits: Tensor = self.net.forward_head(own)  # type: ignore[operator]
        return logits


def keeps_contract(net: nn.Module) -> bool:
    """Tell whether a network has the two methods of the contract."""
    return all(callable(getattr(net, name, None)) for name in ("forward_features", "forward_head"))


def contract_cut(
    net: nn.Module,
    clone: nn.Module,
    images: Tensor,
    logits: Tensor,
    widths: Collection[int] = (),
) -> tuple[ContractFeatures, ContractHead] | None:
    """Cut a network by its contract, if it keeps that on trial images.

    Parameters
    ----------
    net
        The network.
    clone
        A private copy of it, in evaluation mode.
    images, logits
        Trial images, and the outputs of the network for them.
    widths
        How many inputs the layers have that read a vector of each image. Where the network has no
        ``num_features``, the channels are the axis with so many entries.

    Returns
    -------
    ContractFeatures and ContractHead, or None
        None also where the features are no maps, or their layout is not known.
    """
    if not keeps_contract(net):
        return None
    with without_graph():
        features: object = clone.forward_features(images.clone())  # type: ignore[operator]
        if not isinstance(features, Tensor) or features.ndim != 4:
            return None
        outputs: object = clone.forward_head(features.clone())  # type: ignore[operator]
    if not isinstance(outputs, Tensor) or not torch.equal(outputs, logits):
        return None
    channels = getattr(net, "num_features", None)
    counts = widths if channels is None else (channels,)
    axes = [axis for axis in (1, 3) if features.shape[axis] in counts]
    if len(axes) != 1:
        return None
    last = axes == [3]
    grid = channels_last_grid if last else identity
    return ContractFeatures(net, grid), ContractHead(
        net, features.shape[axes[0]], channels_last=last
    )

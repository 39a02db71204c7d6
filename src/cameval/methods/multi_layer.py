r"""Methods over several layers: RefineCAM, Winsor-CAM, Zoom-CAM.

Each combines the maps of several layers, of which the finest gives the grid of the result. The maps
of the other layers are interpolated to it linearly (half-pixel convention). All layers are recorded
in one more pass through the network, and their gradients in one backward pass through it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import torch
from torch import Tensor

from cameval._checks import check_callable, finite_number
from cameval.errors import SettingError
from cameval.maps import normalize_maps, upsample
from cameval.methods._rerun import check_no_graph
from cameval.methods.gradient import grad_cam, hires_cam
from cameval.methods.plusplus import grad_cam_pp
from cameval.networks import Activations, ScoreTarget
from cameval.networks._inner_layers import (
    all_convolutions,
    check_layers,
    last_of_each_resolution,
    record_layers,
)
from cameval.networks.activations import without_graph
from cameval.networks.heads import positions
from cameval.protocols import CAMMethod

__all__ = ["RefineCAM", "WinsorCAM", "ZoomCAM"]


@dataclass(frozen=True)
class RefineCAM:
    r"""RefineCAM: the product of the maps of several layers, coarse to fine.

    .. math:: \prod_l n\left(U(\operatorname{ReLU}(L_l))\right) ,

    where :math:`L_l` is the map of layer l by `method`, U interpolates it to the grid of the finest
    layer, and n scales it to [0, 1].

    Parameters
    ----------
    method
        The method that computes the map of each layer. It may use features and gradients.
    layers
        Names of the layers, as in the network (``"layer3"``). None: the last layer at each of the
        four coarsest resolutions up to the features, for a ResNet ``layer1`` to ``layer4``. See
        Notes.

    Raises
    ------
    SettingError
        If `method` is not callable or `layers` no tuple of names; in a call, with ``create_graph``.
    LayerError
        In a call, if a layer does not exist, runs more than once, returns no feature map, or does
        not influence the score.

    Notes
    -----
    Maps are on the grid of the finest layer, in [0, 1]. The map is zero where the map of one layer
    has its minimum, and everywhere if that is constant. Cost: one pass through the network, forward
    and backward; with ``layers=None`` one more pass forward, which finds the layers.

    ``layers=None`` uses layers that run once, are not inside a block, and whose output is that of a
    convolution, normalization, pooling or activation function, or of a block of these. So layers of
    Swin, with channels last, are not used: there the map is that of the patches and the features.

    Experimental: the text of the paper could not be consulted. The formula is that of the authors'
    code, which interpolates to the image instead of to the finest layer. In pytorch-grad-cam 1.5
    each map is scaled before it is interpolated. torchcam scales before and not after.

    References
    ----------
    Domeniconi et al., "How to Evaluate and Refine your CAM", arXiv 2605.14641.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import resnet18
    >>> from cameval import CAMExtractor
    >>> from cameval.methods import RefineCAM
    >>> extract = CAMExtractor(resnet18(), RefineCAM(layers=("layer3", "layer4")))
    >>> extract(torch.rand(1, 3, 64, 64)).coarse.shape
    torch.Size([1, 4, 4])
    """

    label: ClassVar[str] = "refine_cam"
    experimental: ClassVar[bool] = True

    method: CAMMethod = grad_cam_pp
    layers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        check_callable("method", self.method, "cameval.methods")
        object.__setattr__(self, "layers", check_layers(self.layers))

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, on the grid of the finest layer."""
        check_no_graph(activations, "RefineCAM")
        with without_graph():
            passes = record_layers(activations, self.layers, target, last_of_each_resolution)
            maps = [self.method(one, target).relu() for one in passes]
            return torch.stack([_scaled(fine) for fine in _on_finest(maps)]).prod(0)


@dataclass(frozen=True)
class ZoomCAM:
    r"""Zoom-CAM: the maximum of the maps of several layers.

    .. math:: \max_l U\left(n\left(\operatorname{ReLU}\left(\sum_k g^l_k \odot A^l_k
              \right)\right)\right) ,

    where n scales the map of layer l, that of `hires_cam`, to [0, 1], and U interpolates it to the
    grid of the finest layer.

    Parameters
    ----------
    layers
        Names of the layers, as in the network. None: as for :class:`RefineCAM`.

    Raises
    ------
    SettingError
        If `layers` is no tuple of names; in a call, with ``create_graph``.
    LayerError
        In a call, if a layer does not exist, runs more than once, returns no feature map, or does
        not influence the score.

    Notes
    -----
    Maps are on the grid of the finest layer, in [0, 1]. Cost: as for :class:`RefineCAM`. Each layer
    contributes its maximum with equal weight, so that noise of one fine layer is in the map.

    Experimental: the text of the paper could not be consulted. The formula is that of the authors'
    code, whose layers are all the rectified convolutions of VGG-16.

    References
    ----------
    Shi et al., "Zoom-CAM: Generating Fine-grained Pixel Annotations from Image Labels", ICPR 2020;
    arXiv 2010.08644.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import resnet18
    >>> from cameval import CAMExtractor
    >>> from cameval.methods import ZoomCAM
    >>> CAMExtractor(resnet18(), ZoomCAM())(torch.rand(1, 3, 64, 64)).coarse.shape
    torch.Size([1, 16, 16])
    """

    label: ClassVar[str] = "zoom_cam"
    experimental: ClassVar[bool] = True

    layers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", check_layers(self.layers))

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, on the grid of the finest layer."""
        check_no_graph(activations, "ZoomCAM")
        with without_graph():
            passes = record_layers(activations, self.layers, target, last_of_each_resolution)
            maps = [_scaled(hires_cam(one, target).relu()) for one in passes]
            return torch.stack(_on_finest(maps)).amax(0)


@dataclass(frozen=True)
class WinsorCAM:
    r"""Winsor-CAM: the weighted sum of the Grad-CAMs of all convolutions, with bounded weights.

    .. math:: \sum_l w_l \, U\left(n\left(\operatorname{ReLU}\left(\sum_k \alpha^l_k A^l_k
              \right)\right)\right), \qquad
              \alpha^l_k = \operatorname{mean}_{xy}(g^l_k) ,

    where n scales the map of layer l to [0, 1] and U interpolates it to the grid of the finest
    layer. The importance of a layer is :math:`s_l = \operatorname{ReLU}(\operatorname{mean}_k
    \alpha^l_k)`. Of the layers with a positive importance, those above the percentile are set to
    it, and the results are scaled linearly to [0.1, 1], which are the weights; the others have
    weight 0.

    Parameters
    ----------
    percentile
        Percentile of the positive importances, in [0, 100]. A low one gives all layers equal
        weights, a high one more weight to the most important layers, which are late ones. With 0
        all weights are 1.
    layers
        Names of the layers, as in the network. None: all convolutions that run once.

    Raises
    ------
    SettingError
        If `percentile` is not in [0, 100] or `layers` no tuple of names; in a call, with
        ``create_graph``.
    LayerError
        In a call, if a layer does not exist, runs more than once, returns no feature map, or does
        not influence the score.

    Notes
    -----
    Maps are on the grid of the finest layer, non-negative, and at most the number of layers. The
    map is zero if no layer has a positive importance. Cost: one pass through the network, forward
    and backward, with the outputs of all layers in memory; with ``layers=None`` one more pass
    forward, which finds the layers. One percentile for all images is part of the method: choose it
    on other images than those of the test.

    Experimental: the text of the paper could not be consulted. The formula is that of the authors'
    code (mean of the gradients, mean of the weights), with its default percentile, 99, and the
    linear interpolation of its example.

    References
    ----------
    Wall et al., "Winsor-CAM: Human-Tunable Visual Explanations from Deep Networks via Layer-Wise
    Winsorization", IEEE Transactions on Pattern Analysis and Machine Intelligence 2026; arXiv
    2507.10846.

    Examples
    --------
    >>> import torch
    >>> from torchvision.models import resnet18
    >>> from cameval import CAMExtractor
    >>> from cameval.methods import WinsorCAM
    >>> extract = CAMExtractor(resnet18(), WinsorCAM(percentile=90))
    >>> extract(torch.rand(1, 3, 64, 64)).coarse.shape
    torch.Size([1, 32, 32])
    """

    label: ClassVar[str] = "winsor_cam"
    experimental: ClassVar[bool] = True

    percentile: float = 99.0
    layers: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= finite_number("percentile", self.percentile) <= 100:
            raise SettingError(f"percentile must be in [0, 100], got {self.percentile}")
        object.__setattr__(self, "layers", check_layers(self.layers))

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, on the grid of the finest layer."""
        check_no_graph(activations, "WinsorCAM")
        with without_graph():
            passes = record_layers(activations, self.layers, target, all_convolutions)
            gradients = [one.gradients(target) for one in passes]
            importances = [each.mean((1, *positions(each))).relu() for each in gradients]
            weights = _winsorized(torch.stack(importances, 1), self.percentile).T
            maps = _on_finest([_scaled(grad_cam(one, target)) for one in passes])
            total = torch.zeros_like(maps[0])
            for each, weight in zip(maps, weights, strict=True):
                total += weight[(..., *(None for _ in total.shape[1:]))].to(total) * each
            return total


def _winsorized(importances: Tensor, percentile: float) -> Tensor:
    """Return the weights ``(N, L)`` of importances that are not negative, on the host."""
    weights = torch.zeros(importances.shape, dtype=torch.float64)
    for row, values in enumerate(importances.cpu().double()):
        positive = values > 0
        if not positive.any():
            continue
        kept = values[positive]
        kept = kept.clamp(max=kept.quantile(percentile / 100).item())
        span = kept.max() - kept.min()
        equal = percentile == 0 or span == 0
        weights[row, positive] = 1.0 if equal else 0.1 + 0.9 * (kept - kept.min()) / span
    return weights


def _on_finest(maps: Sequence[Tensor]) -> list[Tensor]:
    """Interpolate maps of several layers to the grid of the finest."""
    size = max((tuple(each.shape[1:]) for each in maps), key=prod)
    return [each if tuple(each.shape[1:]) == size else upsample(each, size) for each in maps]


def _scaled(maps: Tensor) -> Tensor:
    """Scale each map to [0, 1]; a constant map becomes zeros."""
    scaled: Tensor = normalize_maps(maps, spatial_axes=maps.ndim - 1)
    return scaled

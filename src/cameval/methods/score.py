"""Score-CAM family: channel weights are scores of masked images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cameval._checks import check_count, check_noise
from cameval.maps import upsample
from cameval.methods._rerun import (
    check_no_graph,
    count_variants_per_batch,
    noise_source,
    score_variants,
)
from cameval.networks import Activations, ScoreTarget
from cameval.networks.activations import without_graph
from cameval.networks.heads import positions

__all__ = ["ISCAM", "SSCAM", "ScoreCAM"]

MaskChange = Callable[[Tensor], Tensor]
"""From masks in [0, 1] to the masks that the images are multiplied with."""


@dataclass(frozen=True)
class ScoreCAM:
    r"""Score-CAM: channels weighted by the score of the image masked by the channel.

    .. math:: \operatorname{ReLU}\left(\sum_k w_k A_k\right), \qquad
              w = \operatorname{softmax}_k \left(y(I \odot M_k) - y(I_0)\right) ,

    where the mask :math:`M_k` is channel k, interpolated linearly to the image (half-pixel
    convention) and then scaled to [0, 1]. The score of the baseline image :math:`I_0` is the same
    for all channels, so the softmax does not depend on it. The mask of a constant channel is zero;
    one pass serves all constant channels of an image.

    Parameters
    ----------
    batch_size
        Number of masked images in one pass.

    Raises
    ------
    SettingError
        If `batch_size` is not positive; in a call, with ``create_graph``.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded. No gradient is needed. Cost: one pass
    through the whole network per channel and image, that is hundreds to thousands of passes, far
    more than other methods: too slow for large data sets. The masked images are mostly 0, which
    is the mean color of normalized images, and may be far from the training images. Other packages
    use other conventions: pytorch-grad-cam interpolates with aligned corners, torchcam scales
    before it interpolates.

    References
    ----------
    Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks",
    CVPR Workshops 2020.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead, ScoreCAM
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> ScoreCAM(batch_size=8)(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    label: ClassVar[str] = "score_cam"

    batch_size: int = 32

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size)

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, ``(N, h, w)``."""
        check_no_graph(activations, "ScoreCAM")
        return _map_by_scores(activations, target, self.batch_size, [lambda masks: masks])


@dataclass(frozen=True)
class SSCAM:
    r"""SS-CAM: Score-CAM with noise on the masks.

    As :class:`ScoreCAM`, with the mean score over noisy masks instead of one score,

    .. math:: w = \operatorname{softmax}_k \left(
              \frac{1}{n} \sum_{i=1}^n y(I \odot (M_k + \sigma \epsilon_i))\right) .

    The noise :math:`\epsilon_i` is standard normal, one value per pixel, the same for all channels
    and images, so that the compared images differ in the channel only.

    Parameters
    ----------
    num_samples
        Number of noisy masks per channel.
    std
        Standard deviation of the noise, in units of the mask, which is in [0, 1].
    seed
        Seed of the noise.
    batch_size
        Number of masked images in one pass.

    Raises
    ------
    SettingError
        If a count is not positive or `std` is negative; in a call, with ``create_graph``.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded. Cost: `num_samples` times that of
    :class:`ScoreCAM`. With the default of 2 the noise is larger than the mask: choose a smaller
    `std` for measurements.

    Experimental: the text of the paper could not be consulted. According to secondary sources it
    has two forms, with noise on the feature maps and on the input; the formula here, noise on the
    scaled mask, and the defaults agree with torchcam's.

    References
    ----------
    Wang et al., "SS-CAM: Smoothed Score-CAM for Sharper Visual Feature Localization", arXiv
    2006.14255.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import SSCAM
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> SSCAM(num_samples=2)(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    label: ClassVar[str] = "ss_cam"
    experimental: ClassVar[bool] = True

    num_samples: int = 35
    std: float = 2.0
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        check_count("num_samples", self.num_samples)
        check_noise(self.std)
        check_count("batch_size", self.batch_size)

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, ``(N, h, w)``."""
        check_no_graph(activations, "SSCAM")
        draw = noise_source(activations, tuple(activations.images.shape[2:]), self.seed)

        def add_noise(noise: Tensor) -> MaskChange:
            return lambda masks: masks + self.std * noise

        changes = [add_noise(draw()) for _ in range(self.num_samples)]
        return _map_by_scores(activations, target, self.batch_size, changes)


@dataclass(frozen=True)
class ISCAM:
    r"""IS-CAM: Score-CAM integrated over the brightness of the mask.

    As :class:`ScoreCAM`, with the mean score over increasingly bright masks instead of one score,

    .. math:: w = \operatorname{softmax}_k \left(
              \frac{1}{n} \sum_{i=1}^n y\left(I \odot \frac{i}{n} M_k\right)\right) .

    Parameters
    ----------
    num_samples
        Number of steps of the integral.
    batch_size
        Number of masked images in one pass.

    Raises
    ------
    SettingError
        If a count is not positive; in a call, with ``create_graph``.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded. Cost: `num_samples` times that of
    :class:`ScoreCAM`. With one step it equals :class:`ScoreCAM`.

    Experimental: the text of the paper could not be consulted. torchcam accumulates the steps, so
    that its masks become brighter than the image; the formula here is the mean along a straight
    line, as in integrated gradients, and agrees with no implementation that we know.

    References
    ----------
    Naidu et al., "IS-CAM: Integrated Score-CAM for axiomatic-based explanations", arXiv 2010.03023.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import ISCAM
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> ISCAM(num_samples=2)(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    label: ClassVar[str] = "is_cam"
    experimental: ClassVar[bool] = True

    num_samples: int = 10
    batch_size: int = 32

    def __post_init__(self) -> None:
        check_count("num_samples", self.num_samples)
        check_count("batch_size", self.batch_size)

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, ``(N, h, w)``."""
        check_no_graph(activations, "ISCAM")

        def dim(share: float) -> MaskChange:
            return lambda masks: masks * share

        changes = [dim((i + 1) / self.num_samples) for i in range(self.num_samples)]
        return _map_by_scores(activations, target, self.batch_size, changes)


def _map_by_scores(
    activations: Activations, target: ScoreTarget, batch_size: int, changes: Sequence[MaskChange]
) -> Tensor:
    """Sum the channels, weighted by the softmax of their masks' scores, mean over the changes."""
    features = activations.features
    with without_graph():
        values = features.flatten(2)
        constant = values.amin(2) == values.amax(2)
        # Each image's varying channels come first; of its constant ones only the first is run.
        order = constant.int().argsort(stable=True, dim=1)
        varying = constant.shape[1] - constant.sum(1)
        turns = min(constant.shape[1], max(varying.tolist(), default=0) + 1)
        rows = torch.arange(len(features), device=features.device)
        scores = []
        for channels in order[:, :turns].T.split(count_variants_per_batch(activations, batch_size)):
            masks = _channel_masks(features[rows, channels], tuple(activations.images.shape[2:]))
            passes = [_masked_scores(activations, target, change(masks)) for change in changes]
            scores.append(torch.stack(passes).mean(0))
        turn = torch.arange(constant.shape[1], device=features.device).expand(constant.shape)
        last = varying[:, None]  # where the score of all constant channels is
        ordered = torch.cat(scores).T.gather(1, turn.minimum(last).clamp(max=turns - 1))
        weights = torch.zeros_like(ordered).scatter(1, order, ordered).softmax(1)
        return torch.einsum("nk,nk...->n...", weights, features).relu()


def _channel_masks(channels: Tensor, size: tuple[int, ...]) -> Tensor:
    """Interpolate channels ``(m, N, h, w)`` to the images' size, and scale each to [0, 1]."""
    fine = upsample(channels, size)
    axes = positions(fine)
    low = fine.amin(axes, keepdim=True)
    span = fine.amax(axes, keepdim=True) - low
    return (fine - low) / span.where(span > 0, 1)


def _masked_scores(activations: Activations, target: ScoreTarget, masks: Tensor) -> Tensor:
    """Return the scores ``(m, N)`` of the images multiplied with masks ``(m, N, H, W)``."""
    masked = (masks[:, :, None] * activations.images).flatten(0, 1)
    return score_variants(activations, target, activations.network(masked))

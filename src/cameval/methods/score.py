"""Score-CAM and its forms: a channel weighs what the network says of that channel alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cameval._checks import check_count, check_noise
from cameval.maps import upsample
from cameval.methods._rerun import images_at_once, noise_fields, refuse_graph, scores_of
from cameval.networks import Activations, Target
from cameval.networks.activations import without_graph
from cameval.networks.heads import positions

__all__ = ["ISCAM", "SSCAM", "ScoreCAM"]

Variant = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ScoreCAM:
    r"""Score-CAM: channels weighted by the score of the image seen through them.

    .. math:: \operatorname{ReLU}\left(\sum_k w_k A_k\right), \qquad
              w = \operatorname{softmax}_k \left(y(I \odot M_k) - y(I_0)\right) ,

    where the mask :math:`M_k` is channel k, interpolated linearly to the image (half-pixel
    convention) and then scaled to [0, 1]. The score of the baseline :math:`I_0` is common to all
    channels, so that the softmax does not depend on it. The mask of a constant channel is zero; all
    constant channels of an image share one pass.

    Parameters
    ----------
    batch_size
        How many masked images the network sees at once.

    Raises
    ------
    SettingError
        If `batch_size` is not positive; in a call, with ``create_graph``.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded. No gradient is needed. Cost: one pass
    through the whole network per channel and image, hundreds to thousands: far more than any other
    method here. Not on large data sets, and not where masked images, which are mostly black, are
    far from those that the network was trained on. There are other conventions: pytorch-grad-cam
    interpolates with corners aligned, torchcam scales before it interpolates.

    References
    ----------
    Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural Networks",
    CVPR Workshops 2020.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> ScoreCAM(batch_size=8)(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    batch_size: int = 32

    def __post_init__(self) -> None:
        check_count("batch_size", self.batch_size)

    def __call__(self, activations: Activations, target: Target, /) -> Tensor:
        """Map the target's score of each image."""
        refuse_graph(activations, "ScoreCAM")
        return _weighted_by_score(activations, target, self.batch_size, [lambda masks: masks])


@dataclass(frozen=True)
class SSCAM:
    r"""SS-CAM: Score-CAM with noise on the masks.

    As :class:`ScoreCAM`, with the mean over noisy masks in the place of one score,

    .. math:: w = \operatorname{softmax}_k \left(
              \frac{1}{n} \sum_{i=1}^n y(I \odot (M_k + \sigma \epsilon_i))\right) .

    The noise :math:`\epsilon_i` is standard normal, one value per pixel, the same for all channels
    and images: what is compared differs in the channel alone.

    Parameters
    ----------
    num_samples
        Noisy masks per channel.
    std
        Standard deviation of the noise, in units of the mask, which is in [0, 1].
    seed
        Of the noise.
    batch_size
        How many masked images the network sees at once.

    Raises
    ------
    SettingError
        If a count is not positive or `std` is negative; in a call, with ``create_graph``.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded. Cost: `num_samples` times that of
    :class:`ScoreCAM`. The text of the paper could not be consulted. It is said to have two forms,
    with noise on the feature maps and on the input; the formula here, noise on the scaled mask, and
    the defaults agree with torchcam's. Not for measuring: with the default of 2 the noise is larger
    than the mask.

    References
    ----------
    Wang et al., "SS-CAM: Smoothed Score-CAM for Sharper Visual Feature Localization", arXiv
    2006.14255.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> SSCAM(num_samples=2)(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    num_samples: int = 35
    std: float = 2.0
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        check_count("num_samples", self.num_samples)
        check_noise(self.std)
        check_count("batch_size", self.batch_size)

    def __call__(self, activations: Activations, target: Target, /) -> Tensor:
        """Map the target's score of each image."""
        refuse_graph(activations, "SSCAM")
        draw = noise_fields(activations, tuple(activations.images.shape[2:]), self.seed)

        def noisy(noise: Tensor) -> Variant:
            return lambda masks: masks + self.std * noise

        variants = [noisy(draw()) for _ in range(self.num_samples)]
        return _weighted_by_score(activations, target, self.batch_size, variants)


@dataclass(frozen=True)
class ISCAM:
    r"""IS-CAM: Score-CAM integrated from the black image to the masked one.

    As :class:`ScoreCAM`, with the mean over ever brighter masks in the place of one score,

    .. math:: w = \operatorname{softmax}_k \left(
              \frac{1}{n} \sum_{i=1}^n y\left(I \odot \frac{i}{n} M_k\right)\right) .

    Parameters
    ----------
    num_samples
        Steps of the integral.
    batch_size
        How many masked images the network sees at once.

    Raises
    ------
    SettingError
        If a count is not positive; in a call, with ``create_graph``.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded. Cost: `num_samples` times that of
    :class:`ScoreCAM`. With one step it is :class:`ScoreCAM`. Not where that is too slow already.
    The text of the paper could not be consulted. torchcam adds the steps up, so that its masks
    become brighter than the image; the formula here is the mean along a straight line, as that of
    integrated gradients, and agrees with no implementation that we know.

    References
    ----------
    Naidu et al., "IS-CAM: Integrated Score-CAM for axiomatic-based explanations", arXiv 2010.03023.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> ISCAM(num_samples=2)(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    num_samples: int = 10
    batch_size: int = 32

    def __post_init__(self) -> None:
        check_count("num_samples", self.num_samples)
        check_count("batch_size", self.batch_size)

    def __call__(self, activations: Activations, target: Target, /) -> Tensor:
        """Map the target's score of each image."""
        refuse_graph(activations, "ISCAM")

        def dimmed(share: float) -> Variant:
            return lambda masks: masks * share

        variants = [dimmed((i + 1) / self.num_samples) for i in range(self.num_samples)]
        return _weighted_by_score(activations, target, self.batch_size, variants)


def _weighted_by_score(
    activations: Activations, target: Target, batch_size: int, variants: Sequence[Variant]
) -> Tensor:
    """Sum the channels, weighted by the softmax of their masks' scores, mean over the variants."""
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
        for channels in order[:, :turns].T.split(images_at_once(activations, batch_size)):
            masks = _masks(features[rows, channels], tuple(activations.images.shape[2:]))
            runs = (_masked_scores(activations, target, variant(masks)) for variant in variants)
            scores.append(torch.stack([*runs]).mean(0))
        turn = torch.arange(constant.shape[1], device=features.device).expand(constant.shape)
        found = torch.cat(scores).T.gather(1, turn.minimum(varying[:, None]).clamp(max=turns - 1))
        weights = torch.zeros_like(found).scatter(1, order, found).softmax(1)
        return torch.einsum("nk,nk...->n...", weights, features).relu()


def _masks(channels: Tensor, size: tuple[int, ...]) -> Tensor:
    """Scale channels ``(m, N, h, w)``, once they have an image's size, to [0, 1]."""
    fine = upsample(channels, size)
    axes = positions(fine)
    low = fine.amin(axes, keepdim=True)
    span = fine.amax(axes, keepdim=True) - low
    return (fine - low) / span.where(span > 0, 1)


def _masked_scores(activations: Activations, target: Target, masks: Tensor) -> Tensor:
    """Scores ``(m, N)`` of the images seen through masks ``(m, N, H, W)``."""
    shown = (masks[:, :, None] * activations.images).flatten(0, 1)
    return scores_of(activations, target, activations.network(shown))

"""Faithfulness by masking: average drop, increase in confidence, average gain, ADCC.

The image is multiplied by its map, scaled to [0, 1] by the map's own extremes: where the map is
lowest, the image becomes 0, which is the mean of normalized images. Scores are of softmax
probabilities, from one pass on the images and one on the masked images. A constant map masks the
whole image. Images and maps can be volumes.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from cameval._arrays import Array, as_scores, exact, finite_maps, map_pair
from cameval.maps import are_constant, normalize_maps
from cameval.metrics._network import (
    Extract,
    Network,
    check_extract,
    check_network_inputs,
    given_extract,
    log_probabilities_of_images,
    log_probabilities_of_masked_images,
    log_probability,
    maps_of_masked_images,
)
from cameval.metrics.properties import Takes, of_maps, of_network, within

__all__ = [
    "ADCC",
    "average_drop",
    "average_gain",
    "coherency",
    "complexity",
    "increase_in_confidence",
]


@of_network(higher_is_better=False, title="average drop")
@within(0, 1)
def average_drop(network: Network, images: Tensor, maps: Tensor, classes: Tensor, /) -> Tensor:
    r"""Drop of the class's probability when the network sees only the marked part, as a share.

    .. math:: \frac{\max(0, y - o)}{y}

    with the probability y for the image and o for the image times its map, scaled to [0, 1].

    Parameters
    ----------
    network
        From images to logits ``(N, K)``.
    images
        Images ``(N, channels, H, W)``, normalized.
    maps
        Real, finite maps ``(N, H, W)``.
    classes
        The target classes, ``(N,)``.

    Returns
    -------
    Tensor
        One score in [0, 1] for each image, lower is better; the average drop of the paper is the
        mean. It is computed from log-probabilities and defined for any y.

    Raises
    ------
    ArrayTypeError
        If an argument is not a tensor of the right dtype.
    ShapeError
        If the shapes do not fit.
    ClassIndexError
        If the network has no such class.
    NonFiniteError
        If an image, a map or a logit is NaN or infinite.

    References
    ----------
    A. Chattopadhay et al., "Grad-CAM++: Generalized Gradient-Based Visual Explanations for Deep
    Convolutional Networks", WACV 2018.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import average_drop
    >>> network = lambda images: torch.stack([images.sum((1, 2, 3)), torch.zeros(1)], 1)
    >>> image, lower = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[0.0, 1.0]]])
    >>> average_drop(network, image, lower, torch.tensor([0]))  # 1 - sigmoid(2) / sigmoid(3)
    tensor([0.0754])
    """
    (clean, _), (part, _) = _clean_and_part(network, images, maps, classes)
    return as_scores((-(part - clean).expm1()).clamp(min=0), images)


@of_network(higher_is_better=True, title="increase in confidence")
@within(0, 1)
def increase_in_confidence(
    network: Network, images: Tensor, maps: Tensor, classes: Tensor, /
) -> Tensor:
    """Score 1 if the marked part alone has a higher probability than the image, else 0.

    Parameters
    ----------
    network
        From images to logits ``(N, K)``.
    images
        Images ``(N, channels, H, W)``, normalized.
    maps
        Real, finite maps ``(N, H, W)``.
    classes
        The target classes, ``(N,)``.

    Returns
    -------
    Tensor
        1 where o > y (see `average_drop`), else 0, for each image, higher is better; the increase
        in confidence of the paper is the mean.

    Raises
    ------
    ArrayTypeError
        If an argument is not a tensor of the right dtype.
    ShapeError
        If the shapes do not fit.
    ClassIndexError
        If the network has no such class.
    NonFiniteError
        If an image, a map or a logit is NaN or infinite.

    References
    ----------
    A. Chattopadhay et al., "Grad-CAM++: Generalized Gradient-Based Visual Explanations for Deep
    Convolutional Networks", WACV 2018.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import increase_in_confidence
    >>> network = lambda images: torch.stack([images.sum((1, 2, 3)), torch.zeros(1)], 1)
    >>> image, lower = torch.tensor([[[[-1.0, 3.0]]]]), torch.tensor([[[0.0, 1.0]]])
    >>> increase_in_confidence(network, image, lower, torch.tensor([0]))
    tensor([1.])
    """
    (clean, _), (part, _) = _clean_and_part(network, images, maps, classes)
    return as_scores(part > clean, images)


@of_network(higher_is_better=True, title="average gain")
@within(0, 1)
def average_gain(network: Network, images: Tensor, maps: Tensor, classes: Tensor, /) -> Tensor:
    r"""Gain of the class's probability when the network sees only the marked part, as a share.

    .. math:: \frac{\max(0, o - y)}{1 - y}

    The counterpart of `average_drop`, with the same y and o: one of the two is 0.

    Parameters
    ----------
    network
        From images to logits ``(N, K)``; one logit stands for two classes.
    images
        Images ``(N, channels, H, W)``, normalized.
    maps
        Real, finite maps ``(N, H, W)``.
    classes
        The target classes, ``(N,)``.

    Returns
    -------
    Tensor
        One score in [0, 1] for each image, higher is better. It is defined for any y.

    Raises
    ------
    ArrayTypeError
        If an argument is not a tensor of the right dtype.
    ShapeError
        If the shapes do not fit.
    ClassIndexError
        If the network has no such class.
    NonFiniteError
        If an image, a map or a logit is NaN or infinite.

    References
    ----------
    H. Zhang et al., "Opti-CAM: Optimizing Saliency Maps for Interpretability", Computer Vision and
    Image Understanding 248 (2024).

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import average_gain
    >>> network = lambda images: torch.stack([images.sum((1, 2, 3)), torch.zeros(1)], 1)
    >>> image, lower = torch.tensor([[[[-1.0, 3.0]]]]), torch.tensor([[[0.0, 1.0]]])
    >>> average_gain(network, image, lower, torch.tensor([0]))
    tensor([0.6021])
    """
    (_, clean), (_, part) = _clean_and_part(network, images, maps, classes)
    return as_scores((-(part - clean).expm1()).clamp(min=0), images)


def _clean_and_part(
    network: Network, images: Tensor, maps: Tensor, classes: Tensor
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return `log_probability` of the images and of the images times their maps."""
    images, maps, classes = check_network_inputs(images, maps, classes, volumes=True)
    return (
        log_probability(log_probabilities_of_images(network, images), classes),
        log_probability(log_probabilities_of_masked_images(network, images, maps), classes),
    )


@dataclass(frozen=True)
class ADCC:
    r"""Harmonic mean of coherency, of one minus complexity and of one minus average drop.

    .. math:: 3 \left( \frac{1}{\text{coherency}} + \frac{1}{1 - \text{complexity}}
              + \frac{1}{1 - \text{average drop}} \right)^{-1}

    See `coherency`, `complexity` and `average_drop`. It is 0 where one of the three terms is 0.

    Parameters
    ----------
    extract
        The source of the maps: a :class:`CAMExtractor`, or any function of images and classes whose
        result has ``maps`` on the images. It is called with the images times their maps. None is
        for `cameval.evaluate`, which then gives each method and baseline its own source.

    Raises
    ------
    SettingError
        If `extract` is not callable, or it is None in a call.

    Notes
    -----
    Called as ``metric(network, images, maps, classes)``, it gives one score in [0, 1] for each
    image ``(N,)``, higher is better. A constant map scores 0. With an `extract` it is valid for
    maps of this `extract` only. In `cameval.evaluate`, maps that were made elsewhere have no score,
    since they cannot be made again. The errors of a call are those of `average_drop`, and a
    `ShapeError` if `extract` gives other maps.

    Cost: two passes, one of them shared with `average_drop`, and one call of `extract`.

    References
    ----------
    S. Poppi et al., "Revisiting the Evaluation of Class Activation Mapping for Explainability: A
    Novel Metric and Experimental Analysis", CVPR Workshops 2021.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMExtractor, CAMModel, GAPHead
    >>> from cameval.metrics import ADCC
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> extract, images = CAMExtractor(model), torch.rand(4, 3, 16, 16)
    >>> result = extract(images)
    >>> ADCC(extract)(model, images, result.maps, result.classes).shape
    torch.Size([4])
    """

    label: ClassVar[str] = "adcc"
    title: ClassVar[str] = "ADCC"
    takes: ClassVar[Takes] = "network"
    uses_extract: ClassVar[bool] = True
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)

    extract: Extract | None = None

    def __post_init__(self) -> None:
        check_extract(self.extract)

    def __call__(
        self, network: Network, images: Tensor, maps: Tensor, classes: Tensor, /
    ) -> Tensor:
        """Return the score of each image, ``(N,)``."""
        extract = given_extract(self.extract, "ADCC")
        checked = check_network_inputs(images, maps, classes, volumes=True)
        drop = average_drop(network, *checked)
        again = maps_of_masked_images(extract, checked)
        pixels = [each.flatten(1, -2) for each in (checked.maps, again)]
        coherent = exact(coherency(*pixels))
        sparse, kept = exact(1 - complexity(pixels[0])), exact(1 - drop)
        return as_scores(3 / (1 / coherent + 1 / sparse + 1 / kept), images)


def coherency(maps: Array, again: Array, /) -> Array:
    """Correlation of two maps over their pixels, brought from [-1, 1] to [0, 1].

    In :class:`ADCC` the second map is that of what the first leaves of the image: a map of all that
    matters does not change when nothing else is shown.

    Parameters
    ----------
    maps, again
        Real, finite maps ``(..., H, W)`` of one shape and kind.

    Returns
    -------
    Array
        One score in [0, 1] for each pair, shape ``(...)``: 1 for maps that are equal up to scale
        and offset, .5 without correlation. A constant map has none and scores 0, the worst.

    Raises
    ------
    ArrayTypeError
        If the two are not of one kind, or not real.
    ShapeError
        If the shapes differ.
    NonFiniteError
        If a value is NaN or infinite.

    References
    ----------
    S. Poppi et al., "Revisiting the Evaluation of Class Activation Mapping for Explainability: A
    Novel Metric and Experimental Analysis", CVPR Workshops 2021.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import coherency
    >>> maps = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    >>> coherency(maps, 2 * maps + 1), coherency(maps, -maps)
    (tensor(1.), tensor(0.))
    """
    first, second = map_pair(maps, again)
    a, b = (_standardize(exact(normalize_maps(each))) for each in (first, second))
    correlation = (a * b).mean((-2, -1)).clamp(-1, 1)
    scores = ((correlation + 1) / 2).where(~(are_constant(first) | are_constant(second)), 0)
    return as_scores(scores, maps)


@of_maps(higher_is_better=False, pixelwise=True, title="complexity")
@within(0, 1)
def complexity(maps: Array, target: Array | None = None, /) -> Array:
    """Mean of a map over its pixels once it is scaled to [0, 1]: how much it marks.

    Parameters
    ----------
    maps
        Real, finite maps ``(..., H, W)``.
    target
        Not used: the truth has no part in it. It is there so that this can stand among metrics of
        maps.

    Returns
    -------
    Array
        One score in [0, 1) for each map, shape ``(...)``, low if the map marks little. A constant
        map marks nothing.

    Raises
    ------
    ArrayTypeError
        If the maps are not real.
    NonFiniteError
        If a value is NaN or infinite.

    References
    ----------
    S. Poppi et al., "Revisiting the Evaluation of Class Activation Mapping for Explainability: A
    Novel Metric and Experimental Analysis", CVPR Workshops 2021.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import complexity
    >>> complexity(torch.tensor([[0.0, 1.0], [0.0, 4.0]]))
    tensor(0.3125)
    """
    return as_scores(exact(normalize_maps(finite_maps(maps))).mean((-2, -1)), maps)


def _standardize(values: Tensor) -> Tensor:
    """Bring mean and spread of each map to 0 and 1; a constant map becomes zeros."""
    centered = values - values.mean((-2, -1), keepdim=True)
    spread = centered.square().mean((-2, -1), keepdim=True).sqrt()
    return centered / spread.where(spread > 0, 1)

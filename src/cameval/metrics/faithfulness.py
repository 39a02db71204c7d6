"""Faithfulness by masking: what is left of a class when the network sees only what the map marks.

The image is multiplied by its map, scaled to [0, 1] by the map's own extremes: where the map is
lowest, the image becomes 0, which in normalized images is the mean. All three scores come from one
pass on the images and one on their parts; inside `cameval.sharing.sharing` both are made once.

Scores are of softmax probabilities, y of the image and o of its part. A constant map, which marks
nothing, leaves nothing of the image.
"""

from torch import Tensor

from cameval.arrays import as_scores
from cameval.metrics.policy import of_network, within
from cameval.metrics.showing import (
    Network,
    log_probabilities_of_images,
    log_probabilities_of_parts,
    log_probability,
    shown,
)

__all__ = ["average_drop", "average_gain", "increase_in_confidence"]


@of_network(higher_is_better=False)
@within(0, 1)
def average_drop(network: Network, images: Tensor, maps: Tensor, classes: Tensor, /) -> Tensor:
    r"""Share of the class's probability that is lost when only the marked part is shown.

    .. math:: \frac{\max(0, y - o)}{y}

    Parameters
    ----------
    network
        From images to logits ``(N, K)``.
    images
        Images ``(N, channels, H, W)``, normalized.
    maps
        Real, finite maps ``(N, H, W)``.
    classes
        The explained classes, ``(N,)``.

    Returns
    -------
    Tensor
        One score in [0, 1] for each image, lower is better; the paper's average drop is
        the mean. Defined however small y is, for it is computed from log-probabilities.

    Raises
    ------
    ArrayTypeError
        If an argument is no tensor of the right dtype.
    ShapeError
        If the shapes do not fit.
    ClassIndexError
        If a class is not one of the network's.
    NonFiniteError
        If an image, a map or a logit is NaN or infinite.

    References
    ----------
    A. Chattopadhay et al., "Grad-CAM++: Generalized Gradient-Based Visual Explanations for Deep
    Convolutional Networks", WACV 2018.

    Examples
    --------
    >>> network = lambda images: torch.stack([images.sum((1, 2, 3)), torch.zeros(1)], 1)
    >>> image, lower = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[0.0, 1.0]]])
    >>> average_drop(network, image, lower, torch.tensor([0]))  # 1 - sigmoid(2) / sigmoid(3)
    tensor([0.0754])
    """
    (clean, _), (part, _) = _clean_and_part(network, images, maps, classes)
    return as_scores((-(part - clean).expm1()).clamp(min=0), images)


@of_network(higher_is_better=True)
@within(0, 1)
def increase_in_confidence(
    network: Network, images: Tensor, maps: Tensor, classes: Tensor, /
) -> Tensor:
    """Tell whether the marked part alone has a higher probability than the image, 1 or 0.

    Parameters
    ----------
    network
        From images to logits ``(N, K)``.
    images
        Images ``(N, channels, H, W)``, normalized.
    maps
        Real, finite maps ``(N, H, W)``.
    classes
        The explained classes, ``(N,)``.

    Returns
    -------
    Tensor
        1 where o > y, else 0, for each image, higher is better; the paper's increase in confidence
        is the mean.

    Raises
    ------
    ArrayTypeError
        If an argument is no tensor of the right dtype.
    ShapeError
        If the shapes do not fit.
    ClassIndexError
        If a class is not one of the network's.
    NonFiniteError
        If an image, a map or a logit is NaN or infinite.

    References
    ----------
    A. Chattopadhay et al., "Grad-CAM++: Generalized Gradient-Based Visual Explanations for Deep
    Convolutional Networks", WACV 2018.

    Examples
    --------
    >>> network = lambda images: torch.stack([images.sum((1, 2, 3)), torch.zeros(1)], 1)
    >>> image, lower = torch.tensor([[[[-1.0, 3.0]]]]), torch.tensor([[[0.0, 1.0]]])
    >>> increase_in_confidence(network, image, lower, torch.tensor([0]))
    tensor([1.])
    """
    (clean, _), (part, _) = _clean_and_part(network, images, maps, classes)
    return as_scores(part > clean, images)


@of_network(higher_is_better=True)
@within(0, 1)
def average_gain(network: Network, images: Tensor, maps: Tensor, classes: Tensor, /) -> Tensor:
    r"""Share of the missing probability that is won when only the marked part is shown.

    .. math:: \frac{\max(0, o - y)}{1 - y}

    The counterpart of `average_drop`: one of the two is 0.

    Parameters
    ----------
    network
        From images to logits ``(N, K)``; one logit tells two classes.
    images
        Images ``(N, channels, H, W)``, normalized.
    maps
        Real, finite maps ``(N, H, W)``.
    classes
        The explained classes, ``(N,)``.

    Returns
    -------
    Tensor
        One score in [0, 1] for each image, higher is better. Defined however near to 1 y is.

    Raises
    ------
    ArrayTypeError
        If an argument is no tensor of the right dtype.
    ShapeError
        If the shapes do not fit.
    ClassIndexError
        If a class is not one of the network's.
    NonFiniteError
        If an image, a map or a logit is NaN or infinite.

    References
    ----------
    H. Zhang et al., "Opti-CAM: Optimizing Saliency Maps for Interpretability", Computer Vision and
    Image Understanding 248 (2024).

    Examples
    --------
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
    """Return `log_probability` of the images and of their marked parts."""
    images, maps, classes = shown(images, maps, classes)
    return (
        log_probability(log_probabilities_of_images(network, images), classes),
        log_probability(log_probabilities_of_parts(network, images, maps), classes),
    )

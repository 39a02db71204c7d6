"""Input checks and class probabilities shared by the metrics that run the network.

Scores are probabilities of the target class, in float64, and never logits: logits have no zero, so
a ratio of logits is no share of a confidence.

`cameval.networks` is imported where a network is run: it needs torchvision, which the metrics of
masks and of maps do not.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cameval._arrays import finite_maps
from cameval._memo import memoized
from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.maps import normalize_maps

Network = Callable[[Tensor], Tensor]
"""From images ``(N, channels, H, W)`` to logits ``(N, K)``."""


class NetworkInputs(NamedTuple):
    """Checked inputs of a metric of the network, all on the device of the images."""

    images: Tensor
    maps: Tensor
    classes: Tensor


def check_network_inputs(
    images: object, maps: object, classes: object, *, volumes: bool = False
) -> NetworkInputs:
    """Check the images, maps and classes of a metric of the network.

    With `volumes` the images can be volumes ``(N, channels, D, H, W)``.

    Raises
    ------
    ArrayTypeError
        If an input is not a tensor, the images are not floating-point, or the classes not integers.
    ShapeError
        If the images are not ``(N, channels, H, W)``, the maps not ``(N, H, W)`` or the classes not
        ``(N,)``.
    NonFiniteError
        If images or maps hold NaN or infinity.
    """
    for name, array in (("images", images), ("maps", maps), ("classes", classes)):
        if not isinstance(array, Tensor):
            raise ArrayTypeError(f"{name} must be a torch tensor, got {type(array).__name__}")
    images, maps = finite_maps(images, "images"), finite_maps(maps)
    if not images.is_floating_point():
        raise ArrayTypeError(f"images must be floating-point, got {images.dtype}")
    if images.ndim != 4 and not (volumes and images.ndim == 5):
        raise ShapeError(
            f"images must have shape (N, channels, H, W), got {tuple(images.shape)}; "
            + (
                "this metric is not defined for volumes"
                if images.ndim == 5
                else "a single one needs a batch axis, as in images[None]"
            )
        )
    if maps.shape != (len(images), *images.shape[2:]):
        raise ShapeError(
            f"maps must have one map of the images' size for each of them, shape "
            f"{(len(images), *images.shape[2:])}, got {tuple(maps.shape)}; bring them to that size "
            "with cameval.maps.upsample"
        )
    chosen = torch.as_tensor(classes).detach()
    if chosen.is_floating_point() or chosen.dtype == torch.bool:
        raise ArrayTypeError(f"classes must be integers, got {chosen.dtype}")
    if chosen.shape != (len(images),):
        raise ShapeError(
            f"classes must have shape ({len(images)},), one per image, got {tuple(chosen.shape)}"
        )
    return NetworkInputs(images, maps.to(images.device), chosen.to(images.device, torch.int64))


def mask_images(images: Tensor, maps: Tensor) -> Tensor:
    """Return each image times its map, scaled to [0, 1] by its own extremes."""
    scaled = normalize_maps(maps, spatial_axes=images.ndim - 2)
    return images * scaled[:, None].to(images.dtype)


Extract = Callable[[Tensor, Tensor], Any]
"""A `CAMExtractor`, or a function of images and classes whose result has an attribute ``maps``."""


def check_extract(extract: Extract | None) -> None:
    """Check that the source of maps is callable, or None, which leaves it to `evaluate`."""
    if extract is not None and not callable(extract):
        raise SettingError(f"extract must be callable as extract(images, classes), got {extract!r}")


def given_extract(extract: Extract | None, metric: str) -> Extract:
    """Return the source of maps, which a call of the metric needs."""
    if extract is None:
        raise SettingError(
            "extract must be given, got None, which is for cameval.evaluate; give the "
            f"CAMExtractor of the maps, as in {metric}(extract)"
        )
    return extract


def maps_of_masked_images(extract: Extract, inputs: NetworkInputs) -> Tensor:
    """Return the maps that `extract` gives for the images times their maps, on the same device.

    Raises
    ------
    ShapeError
        If they have another shape than the maps.
    """
    images, maps, classes = inputs
    again: Tensor = extract(mask_images(images, maps), classes).maps
    if again.shape != maps.shape:
        raise ShapeError(
            f"extract must return maps of shape {tuple(maps.shape)}, got {tuple(again.shape)}"
        )
    return again.to(maps.device)


@memoized
def log_probabilities_of_images(network: Network, images: Tensor) -> Tensor:
    """Return log-probabilities ``(N, K)`` of the images."""
    return _log_probabilities(in_evaluation_mode(network), images)


@memoized
def log_probabilities_of_masked_images(network: Network, images: Tensor, maps: Tensor) -> Tensor:
    """Return log-probabilities ``(N, K)`` of the images times their maps."""
    return _log_probabilities(in_evaluation_mode(network), mask_images(images, maps))


def log_probability(log_probabilities: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log-probabilities of the class and of all other classes together, ``(N,)``.

    Both are exact also where the probability rounds to 0 or 1.
    """
    from cameval.networks.activations import check_classes

    check_classes(classes, log_probabilities)
    own = classes[:, None]
    others = log_probabilities.scatter(1, own, -torch.inf)
    return log_probabilities.gather(1, own)[:, 0], others.logsumexp(1)


def class_probabilities(
    network: Network,
    make: Callable[[Tensor, Tensor], Tensor],
    variants: int,
    classes: Tensor,
    batch_size: int,
) -> Tensor:
    """Return the probability of the class in several variants of each image, ``(N, variants)``.

    Parameters
    ----------
    network
        The network.
    make
        Function from row numbers ``(m,)`` and variant numbers ``(m,)`` to images.
    variants
        Number of variants of each image.
    classes
        The target classes, ``(N,)``.
    batch_size
        Number of images in one pass of the network.
    """
    network = in_evaluation_mode(network)
    parts = []
    for part in torch.arange(len(classes) * variants, device=classes.device).split(batch_size):
        rows, which = part // variants, part % variants
        logs = _log_probabilities(network, make(rows, which))
        parts.append(log_probability(logs, classes[rows])[0].exp())
    return torch.cat(parts).reshape(len(classes), variants)


@memoized
def in_evaluation_mode(network: Network) -> Network:
    """Return the network, or a private copy in evaluation mode if it is in training mode."""
    from cameval.networks._copies import private_copy

    if isinstance(network, nn.Module) and any(module.training for module in network.modules()):
        return private_copy(network)
    return network


def _log_probabilities(network: Network, images: Tensor) -> Tensor:
    from cameval.networks._outputs import log_class_probabilities
    from cameval.networks.activations import without_graph

    with without_graph():
        logits: object = network(images)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(images):
        came = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ShapeError(
            f"the network must return logits (N, K) for {len(images)} images, got {came}"
        )
    if not logits.isfinite().all():
        raise NonFiniteError(
            "the network's logits must be finite, got NaN or infinity; look for an overflow in it"
        )
    return log_class_probabilities(logits)

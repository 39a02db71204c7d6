"""The law of exact maps, checked on each of them: their mean and a constant are the logit."""

from collections.abc import Callable
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from cameval.arrays import exact
from cameval.errors import UnsupportedHeadError
from cameval.networks import Activations
from cameval.networks.activations import without_graph
from cameval.networks.precision import tf32

__all__ = ["check_law"]

_SIGMAS = 6.0
"""How many standard deviations of random rounding are still taken for rounding."""


def check_law(
    name: str,
    activations: Activations,
    classes: Tensor,
    maps: Tensor,
    constants: Tensor,
    terms: Callable[[], Tensor],
) -> None:
    r"""Check that ``mean(map) + constant`` is the logit of the pass, as far as rounding allows.

    Parameters
    ----------
    name
        Of the method, for the message.
    activations
        The pass whose logits the maps explain.
    classes
        The explained class of each image, ``(N,)``.
    maps, constants
        Maps ``(N, h, w)`` and what their means lack, ``(N,)``.
    terms
        Gives the absolute terms of each logit, one for each feature, in the units of the map:
        ``(N, K, h, w)``. Their mean over positions, summed over channels, is the scale of rounding
        where terms cancel. Asked for only where the maps alone do not explain the gap.

    Raises
    ------
    UnsupportedHeadError
        If an image's map breaks the law. Where logit or map are not finite, there is no gap.

    Notes
    -----
    A sum of n terms, each rounded at random by the unit roundoff u, is off by about
    :math:`\sqrt n u` times the sum of their absolute values (Higham and Mary, 2019); six times as
    much is allowed. n counts the positions, the channels, and the inputs of the head's layers.
    Where numbers are held in half precision or multiplied in TF32, sums are accumulated in single
    precision, and one rounding of that format is added for each layer.
    """
    with without_graph():
        logits, constants = exact(activations.score(classes)), exact(constants.detach())
        spread = exact(maps.detach())
        axes = tuple(range(1, spread.ndim))
        gap = (spread.mean(axes) + constants - logits).abs()
        sizes = spread.abs().mean(axes) + constants.abs() + logits.abs()
        allowed = _rounding(activations, maps)
        broken = gap > allowed * sizes  # False where a value is not finite
        if not broken.any():
            return
        summed = exact(terms().detach()).abs()
        sizes = sizes + summed.sum(1).mean(tuple(range(1, summed.ndim - 1)))
        broken = gap > allowed * sizes
        if not broken.any():
            return
        worst = int(gap.where(broken, -1).argmax())
    raise UnsupportedHeadError(
        f"{name} must add up to the logit, mean(map) + constant == logit, got a gap of "
        f"{gap[worst].item():.3g} at a logit of {logits[worst].item():.3g} in image {worst}, where "
        f"rounding explains {(allowed * sizes)[worst].item():.1g}: "
        f"{type(activations.head).__name__} does not compute what its type says, because "
        "of a subclass, a hook, or dropout at work; use a gradient method such as cameval.grad_cam "
        "or cameval.hires_cam"
    )


def _rounding(activations: Activations, maps: Tensor) -> float:
    """Return the rounding that is allowed, relative to the sum of the absolute terms."""
    layers = [] if activations.head is None else _weighted(activations.head)
    features = activations.features
    count = prod(features.shape[2:]) + features.shape[1]
    count += sum(map(_inputs, layers))
    dtypes = {features.dtype, activations.logits.dtype, maps.dtype} - {torch.float64}
    fine = torch.finfo(torch.float32 if dtypes else torch.float64).eps / 2
    coarse = max([_short(dtype) for dtype in dtypes], default=0.0)
    convolutions = any(isinstance(layer, _ConvNd) for layer in layers)
    if features.is_cuda and dtypes and tf32(convolutions=convolutions):
        coarse = max(coarse, 2.0**-11)
    if torch.is_autocast_enabled(features.device.type):
        coarse = max(coarse, _short(torch.get_autocast_dtype(features.device.type)))
    return _SIGMAS * (sqrt(count) * fine + (1 + len(layers)) * coarse)


def _short(dtype: torch.dtype) -> float:
    """Return the unit roundoff of a format that is shorter than single precision, else 0."""
    roundoff = torch.finfo(dtype).eps / 2
    return roundoff if roundoff > torch.finfo(torch.float32).eps else 0.0


def _inputs(layer: nn.Linear | _ConvNd) -> int:
    """Return how many products are summed for each output."""
    if isinstance(layer, nn.Linear):
        return layer.in_features
    return layer.in_channels // layer.groups * prod(layer.kernel_size)


def _weighted(head: nn.Module) -> list[nn.Linear | _ConvNd]:
    return [part for part in head.modules() if isinstance(part, nn.Linear | _ConvNd)]

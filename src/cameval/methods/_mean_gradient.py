"""Weights of channels: the mean gradient, unless it is rounding error."""

from math import sqrt

import torch
from torch import Tensor

from cameval._checks import warn_user
from cameval._deferred import holds
from cameval.networks import Activations
from cameval.networks._outputs import tf32
from cameval.networks.activations import without_graph
from cameval.networks.heads import positions

_ROUNDING_ERRORS = 64

_COARSE = 1e-6
"""Above the precision of 32 bits, below that of 16 bits and of TF32."""


class RoundingErrorWarning(UserWarning):
    """The mean gradients of all channels are rounding error, and the map is set to zero.

    The gradient of a score that stays as it is when a constant is added to a channel has the mean
    0. So it is before a softmax over the positions, such as the weights of an attention pooling,
    and before an instance normalization. What is computed differs from 0 by rounding, and a map
    with these weights shows nothing. Maps of zeros are counted as constant maps.

    Judged is each image: no channel has a mean above the rounding error of its absolute gradients,
    64 times the precision of their dtype. In networks of 16 bits, and of TF32, it is twice their
    precision divided by the square root of the number of positions; there the means before an
    instance normalization may be above it, and are not recognized.
    """


def mean_gradient(activations: Activations, gradient: Tensor) -> Tensor:
    """Return the mean gradient of each channel, ``(N, K, 1, 1)``; zeros if it is rounding error.

    Warns
    -----
    RoundingErrorWarning
        If the means of an image are rounding error, but its gradients are not all 0.
    """
    axes = positions(gradient)
    weights = gradient.mean(axes, keepdim=True)
    with without_graph():
        sizes = gradient.abs().mean(axes, keepdim=True)
        bound = _rounding_error(activations, gradient)
        small = (weights.abs() <= bound * sizes).flatten(1).all(1)
        noise = small & (sizes > 0).flatten(1).any(1)
        if not holds(~noise.any()):
            warn_user(
                "the mean gradient of some channel must be more than rounding error to weight it, "
                f"got less for {int(noise.sum())} of {len(noise)} images: their scores do not "
                "change when a constant is added to a channel, as before a softmax over positions "
                "or an instance normalization. Their maps are zero; name a layer before it, such "
                'as the one whose features an attention weights: cameval.adapt(net, layer="...")',
                RoundingErrorWarning,
            )
    return weights.where(~noise.reshape(-1, *(1 for _ in weights.shape[1:])), 0)


def _rounding_error(activations: Activations, gradient: Tensor) -> float:
    """Return the error of a mean, relative to the mean of absolute values."""
    dtypes = gradient.dtype, activations.logits.dtype
    coarse = max(torch.finfo(dtype).eps for dtype in dtypes)
    if gradient.is_cuda and tf32(convolutions=True):
        coarse = max(coarse, 2.0**-10)
    if coarse < _COARSE:
        return _ROUNDING_ERRORS * coarse
    return 2 * coarse / sqrt(gradient[0, 0].numel())  # their errors are independent

"""Opti-CAM: channel weights that are optimized for each image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cameval._checks import check_count, positive_number
from cameval.errors import UnsupportedModelError
from cameval.maps import upsample
from cameval.methods._rerun import check_no_graph
from cameval.networks import Activations, ScoreTarget
from cameval.networks._copies import shared_tensor

__all__ = ["OptiCAM"]


@dataclass(frozen=True)
class OptiCAM:
    r"""Opti-CAM: the combination of channels whose mask keeps the highest score.

    .. math:: S(u) = \sum_k \operatorname{softmax}(u)_k \operatorname{ReLU}(A_k), \qquad
              u^* = \arg\max_u \; y_c\left(I \odot n(S(u))\right) ,

    where n interpolates the map to the image and scales it to [0, 1]. The map is
    :math:`S(u^*)`. The maximum is searched for by Adam from u = 0, separately for each image.

    Parameters
    ----------
    steps
        Number of steps of the optimizer.
    learning_rate
        Its learning rate.

    Raises
    ------
    SettingError
        If `steps` or `learning_rate` is not positive; in a call, with ``create_graph``.
    UnsupportedModelError
        In a call, if the network has no gradient with respect to its images.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded. Cost: `steps` passes through the whole
    network, forward and backward, and one more forward. The result of the best step is used, so
    that the score is at least that of equal weights. No random numbers are used. As for
    :class:`ScoreCAM`, masked pixels have the value 0 of the normalized image, and the masked images
    may be far from the training images.

    Experimental: the text of the paper could not be consulted. Formula and settings are those of
    the authors' code, which stops early where the loss of the whole batch increases, and multiplies
    the mask with the image before its normalization.

    References
    ----------
    Zhang et al., "Opti-CAM: Optimizing saliency maps for interpretability", Computer Vision and
    Image Understanding 2024; arXiv 2301.07002.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import OptiCAM
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> OptiCAM(steps=5)(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    label: ClassVar[str] = "opti_cam"
    experimental: ClassVar[bool] = True

    steps: int = 50
    learning_rate: float = 0.1

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        positive_number("learning_rate", self.learning_rate)

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, ``(N, h, w)``."""
        check_no_graph(activations, "OptiCAM")
        with torch.inference_mode(False):
            features, images = activations.features.relu(), shared_tensor(activations.images)

            def combine(weights: Tensor) -> Tensor:
                return torch.einsum("nk,nk...->n...", weights.softmax(1), features)

            def scores(weights: Tensor) -> Tensor:
                masks = _scaled(upsample(combine(weights), tuple(images.shape[2:])))
                outputs = activations.network(images * masks[:, None])
                return activations.score(target, outputs)

            start = features.new_zeros(features.shape[:2])
            best = _maximize(scores, start, self.steps, self.learning_rate)
            with torch.no_grad():
                return combine(best)


def _maximize(
    scores: Callable[[Tensor], Tensor], start: Tensor, steps: int, learning_rate: float
) -> Tensor:
    """Maximize one score per row by Adam, and return the best rows of all steps."""
    with torch.enable_grad():
        point = start.clone().requires_grad_()
        optimizer = torch.optim.Adam([point], lr=learning_rate, maximize=True)
        best, highest = start, start.new_full(start.shape[:1], -torch.inf)
        for step in range(steps + 1):
            found = scores(point)
            better = found.detach() > highest
            best = point.detach().where(better[:, None], best)
            highest = found.detach().where(better, highest).to(highest.dtype)
            if step == steps:
                break
            if not found.requires_grad:
                raise UnsupportedModelError(
                    "the network must have a gradient with respect to its images for Opti-CAM, "
                    "got outputs without a graph; use ScoreCAM"
                )
            (point.grad,) = torch.autograd.grad(found.sum(), point)
            optimizer.step()
    return best


def _scaled(maps: Tensor) -> Tensor:
    """Scale each map to [0, 1]; a constant map becomes zeros."""
    axes = tuple(range(1, maps.ndim))
    low = maps.amin(axes, keepdim=True)
    span = maps.amax(axes, keepdim=True) - low
    return (maps - low) / span.where(span > 0, 1)

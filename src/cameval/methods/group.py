"""Group-CAM: Score-CAM on groups of channels, over a blurred image."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cameval._checks import check_count, finite_number
from cameval.errors import SettingError
from cameval.maps import upsample
from cameval.methods._mean_gradient import mean_gradient
from cameval.methods._rerun import (
    check_no_graph,
    count_variants_per_batch,
    probability_of_variants,
)
from cameval.networks import Activations, ScoreTarget
from cameval.networks.activations import without_graph
from cameval.networks.heads import positions

__all__ = ["GroupCAM"]

_RADIUS = 25
_SIGMA = 50.0


@dataclass(frozen=True)
class GroupCAM:
    r"""Group-CAM: groups of channels weighted by the score of the image that they keep sharp.

    With the weights :math:`\alpha_k = \operatorname{mean}_{xy}(g_k)` of `grad_cam`, group j has the
    map :math:`G_j = \operatorname{ReLU}\left(\sum_{k \in j} \alpha_k A_k\right)`, set to zero up
    to its percentile, and the mask :math:`M_j`, which is that map interpolated to the image and
    scaled to [0, 1]. The result is

    .. math:: \operatorname{ReLU}\left(\sum_j \left(p(I \odot M_j + B \odot (1 - M_j)) - p(B)\right)
              M_j\right) ,

    where B is the blurred image and p the softmax probability of the class. The groups are runs of
    consecutive channels of equal size.

    Parameters
    ----------
    groups
        Number of groups; fewer if the number of channels is not a multiple of it.
    percentile
        Values of a group's map up to this percentile are set to zero.
    batch_size
        Number of images in one pass.

    Raises
    ------
    SettingError
        If a count is not positive or `percentile` not in [0, 100]; in a call, with
        ``create_graph``.

    Notes
    -----
    Maps are ``(N, h, w)``, non-negative and unbounded. Cost: one backward pass through the head,
    and one pass through the network for each group and one for the blurred image, 33 by default,
    where :class:`ScoreCAM` needs one per channel. The groups, and so the map, depend on the order
    of the channels, which has no meaning. If the target is a function of the output, its value is
    used in place of the probability.

    Experimental: the text of the paper could not be consulted. The formula is that of the authors'
    code: 32 groups, percentile 70, a Gaussian of standard deviation 50 pixels in a window of 51.
    There the last ReLU is on the image, here on the feature grid; the two differ only between
    neighboring cells of opposite sign.

    References
    ----------
    Zhang et al., "Group-CAM: Group Score-Weighted Visual Explanations for Deep Convolutional
    Networks", arXiv 2103.13859.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import GroupCAM
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> GroupCAM(groups=4)(activations, torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    label: ClassVar[str] = "group_cam"
    experimental: ClassVar[bool] = True

    groups: int = 32
    percentile: float = 70.0
    batch_size: int = 32

    def __post_init__(self) -> None:
        check_count("groups", self.groups)
        check_count("batch_size", self.batch_size)
        if not 0 <= finite_number("percentile", self.percentile) <= 100:
            raise SettingError(f"percentile must be in [0, 100], got {self.percentile}")

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, ``(N, h, w)``."""
        check_no_graph(activations, "GroupCAM")
        features, images = activations.features, activations.images
        with without_graph():
            gradients = activations.gradients(target)
            weighted = mean_gradient(activations, gradients) * features
            groups = torch.stack([g.sum(1) for g in weighted.chunk(self.groups, 1)]).relu()
            groups = self._denoise(groups)
            blurred = _blur(images)

            def probability(shown: Tensor) -> Tensor:
                outputs = activations.network(shown)
                return probability_of_variants(activations, target, outputs)

            base = probability(blurred)
            total = torch.zeros_like(groups[0])
            axes = tuple(range(2, groups.ndim))
            for some in groups.split(count_variants_per_batch(activations, self.batch_size)):
                fine = upsample(some, tuple(images.shape[2:]))
                low = fine.amin(axes, keepdim=True)
                span = fine.amax(axes, keepdim=True) - low
                varies, span = span > 0, span.where(span > 0, 1)
                masks = ((fine - low) / span)[:, :, None]
                gains = probability((images * masks + blurred * (1 - masks)).flatten(0, 1)) - base
                gains = gains.to(total.dtype).reshape(low.shape).where(varies, 0)
                # Interpolation is linear: the mask on the grid is scaled as that on the image.
                total = total + (gains * (some - low.to(some)) / span.to(some)).sum(0)
            return total.relu()

    def _denoise(self, groups: Tensor) -> Tensor:
        """Set the values of each map up to its percentile to zero."""
        values = groups.flatten(2)
        values = (values.cpu() if values.device.type == "mps" else values).double()  # not on Metal
        level = values.quantile(self.percentile / 100, dim=2, keepdim=True)
        return groups.where((values > level).reshape(groups.shape).to(groups.device), 0)


def _blur(images: Tensor) -> Tensor:
    """Blur images by a Gaussian along each axis; beyond the border they are mirrored."""
    steps = torch.arange(-_RADIUS, _RADIUS + 1)
    weights = (-((steps / _SIGMA) ** 2) / 2).double().exp()
    weights = weights / weights.sum()
    for axis in positions(images):
        length = images.shape[axis]
        period = max(1, 2 * length - 2)
        places = (torch.arange(length)[:, None] + steps).abs() % period
        places = places.minimum(period - places) if length > 1 else torch.zeros_like(places)
        matrix = torch.zeros(length, length, dtype=torch.float64)
        matrix = matrix.scatter_add(1, places, weights.expand(length, -1)).to(images)
        images = (images.movedim(axis, -1) @ matrix.T).movedim(-1, axis)
    return images

"""A baseline: features weighted by chance."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cameval.errors import SettingError
from cameval.networks import Activations, Target

__all__ = ["RandomCAM", "random_cam"]


@dataclass(frozen=True)
class RandomCAM:
    r"""Channels weighted by chance: what a map owes to the features alone.

    .. math:: \sum_k w_k A_k, \qquad w_k \sim \mathcal{U}(-1, 1)

    The weights are the same for all images and classes. A method that is not better than this,
    over several seeds, does not explain the class.

    Parameters
    ----------
    seed
        Of the weights. No global random state is touched.

    Notes
    -----
    Maps are ``(N, h, w)``, signed and unbounded. Cost: one product. Not an explanation.

    See Also
    --------
    random_cam : The same, as a function without settings.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> RandomCAM(seed=3)(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    seed: int = 0

    def __post_init__(self) -> None:
        """Check the setting."""
        if not isinstance(self.seed, int):
            raise SettingError(f"seed must be an integer, got {self.seed!r}")

    def __call__(self, activations: Activations, target: Target, /) -> Tensor:
        """Map each image; the target is ignored."""
        features = activations.features
        generator = torch.Generator().manual_seed(self.seed)
        weights = 2 * torch.rand(features.shape[1], generator=generator) - 1
        return torch.einsum("k,nk...->n...", weights.to(features.device, features.dtype), features)


def random_cam(activations: Activations, target: Target, /) -> Tensor:
    """Channels weighted by chance: ``RandomCAM(seed=0)``.

    See :class:`RandomCAM` for the formula and the use of it.

    Parameters
    ----------
    activations
        What the network left behind.
    target
        Ignored.

    Returns
    -------
    Tensor
        Maps ``(N, h, w)``, signed and unbounded.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> random_cam(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """
    return RandomCAM()(activations, target)

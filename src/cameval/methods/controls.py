"""Controls: maps with random weights, and maps of another class."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cameval.errors import SettingError
from cameval.networks.activations import Activations, Target, check_classes
from cameval.protocols import CAMMethod

__all__ = ["OtherClass", "RandomCAM", "random_cam"]


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


@dataclass(frozen=True)
class OtherClass:
    """The map of the class with the highest logit among all others than the explained one.

    Scored beside the method itself, against the same masks, it tells what the explained class adds:
    a method that scores as well with the wrong class shows where there is something, not where the
    class is (class sensitivity).

    Parameters
    ----------
    method
        The method that makes the map.

    Raises
    ------
    SettingError
        If `method` is not callable; in a call, if a function of the output is explained, which has
        no other class.

    Notes
    -----
    Maps and cost are those of the method. Not an explanation of the class it is asked for.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> wrong = OtherClass(grad_cam)(activations, torch.tensor([1]))
    >>> torch.equal(wrong, grad_cam(activations, torch.tensor([0])))
    True
    """

    method: CAMMethod

    def __post_init__(self) -> None:
        if not callable(self.method):
            raise SettingError(
                f"method must be callable as method(activations, target), got {self.method!r}"
            )

    def __call__(self, activations: Activations, target: Target, /) -> Tensor:
        """Map the strongest other class of each image."""
        if not isinstance(target, Tensor):
            raise SettingError(
                "OtherClass must be given classes to explain, got a function of the output, which "
                "has no other class"
            )
        logits = activations.logits.detach()
        check_classes(target, logits)
        if logits.shape[1] == 1:
            return self.method(activations, 1 - target)
        own = target[:, None].to(logits.device)
        return self.method(activations, logits.scatter(1, own, -torch.inf).argmax(1))

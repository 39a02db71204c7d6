"""Control methods: maps with random channel weights, and maps of another class."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from cameval._checks import check_callable
from cameval.errors import SettingError
from cameval.networks.activations import Activations, ScoreTarget, check_classes
from cameval.protocols import CAMMethod

__all__ = ["OtherClass", "RandomCAM"]


@dataclass(frozen=True)
class RandomCAM:
    r"""Random channel weights: a control that shows the effect of the features alone.

    .. math:: \sum_k w_k A_k, \qquad w_k \sim \mathcal{U}(-1, 1)

    The weights are the same for all images and classes. A method that does not score higher than
    this control, over several seeds, does not explain the class.

    Parameters
    ----------
    seed
        Seed of the weights. No global random state is changed.

    Raises
    ------
    SettingError
        If `seed` is not an integer.

    Notes
    -----
    Maps are ``(N, h, w)``, signed and unbounded. The target is ignored. Cost: one product.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead
    >>> from cameval.methods import RandomCAM
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> RandomCAM(seed=3)(model.activations(torch.rand(1, 3, 16, 16)), torch.tensor([1])).shape
    torch.Size([1, 14, 14])
    """

    label: ClassVar[str] = "random_cam"

    seed: int = 0

    def __post_init__(self) -> None:
        """Check the setting."""
        if not isinstance(self.seed, int):
            raise SettingError(f"seed must be an integer, got {self.seed!r}")

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return one map per image, ``(N, h, w)``; the target is ignored."""
        features = activations.features
        generator = torch.Generator().manual_seed(self.seed)
        weights = 2 * torch.rand(features.shape[1], generator=generator) - 1
        return torch.einsum("k,nk...->n...", weights.to(features.device, features.dtype), features)


@dataclass(frozen=True)
class OtherClass:
    """Map of another class: the one with the highest logit among all but the target class.

    Score it on the same masks as the method itself to measure class sensitivity: a method that
    scores equally well for the wrong class shows salient objects, not evidence for the class.

    Parameters
    ----------
    method
        The method that computes the map.

    Raises
    ------
    SettingError
        If `method` is not callable; in a call, if the target is a function of the output, for which
        there is no other class.

    Notes
    -----
    Maps and cost are those of the method.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMModel, GAPHead, grad_cam
    >>> from cameval.methods import OtherClass
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> activations = model.activations(torch.rand(1, 3, 16, 16))
    >>> wrong = OtherClass(grad_cam)(activations, torch.tensor([1]))
    >>> torch.equal(wrong, grad_cam(activations, torch.tensor([0])))
    True
    """

    label: ClassVar[str] = "other_class"

    method: CAMMethod

    def __post_init__(self) -> None:
        check_callable("method", self.method, "cameval.methods")

    def __call__(self, activations: Activations, target: ScoreTarget, /) -> Tensor:
        """Return the map of the strongest other class of each image, ``(N, h, w)``."""
        if not isinstance(target, Tensor):
            raise SettingError(
                "the target of OtherClass must be classes, got a function of the output, for which "
                "there is no other class"
            )
        logits = activations.logits.detach()
        check_classes(target, logits)
        if logits.shape[1] == 1:
            return self.method(activations, 1 - target)
        own = target[:, None].to(logits.device)
        return self.method(activations, logits.scatter(1, own, -torch.inf).argmax(1))

"""A control: the map of the wrong class."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cameval.errors import SettingError
from cameval.methods.protocol import CAMMethod
from cameval.networks.activations import Activations, Target, check_classes

__all__ = ["OtherClass"]


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

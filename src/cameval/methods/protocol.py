"""What a class activation mapping method is: any callable of this form."""

from typing import Protocol

from torch import Tensor

from cameval.networks import Activations, Target

__all__ = ["CAMMethod"]


class CAMMethod(Protocol):
    """From what a network's pass left behind to one raw map per image.

    A method is a function ``(activations, target) -> maps``. The target is one class per image
    ``(N,)``, or a function of the network's output; the maps are ``(N, h, w)`` on the feature grid:
    signed if the formula is, never scaled. A method with settings is a frozen dataclass with this
    ``__call__``.
    """

    def __call__(self, activations: Activations, target: Target, /) -> Tensor:
        """Map the target's score of each image."""
        ...

"""What a class activation mapping method is: any callable of this form."""

from typing import Protocol

from torch import Tensor

from cameval.networks import Activations

__all__ = ["CAMMethod"]


class CAMMethod(Protocol):
    """From what a network's pass left behind to one raw map per image.

    A method is a function ``(activations, classes) -> maps`` with `classes` ``(N,)`` and maps
    ``(N, h, w)`` on the feature grid: signed if its formula is, never scaled. A method with
    settings is a frozen dataclass with this ``__call__``.
    """

    def __call__(self, activations: Activations, classes: Tensor, /) -> Tensor:
        """Map class ``classes[n]`` of image n."""

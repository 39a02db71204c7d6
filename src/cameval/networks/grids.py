"""Grids: how the output of a layer becomes feature maps."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt

from torch import Tensor

from cameval.errors import SettingError, ShapeError

__all__ = ["Grid", "TokenGrid", "channels_last_grid"]

Grid = Callable[[Tensor], Tensor]
"""From a layer's output to feature maps ``(N, K, h, w)``, by selecting and ordering its entries."""


@dataclass(frozen=True)
class TokenGrid:
    """The tokens of a vision transformer as feature maps.

    Parameters
    ----------
    skip
        Tokens before those of the patches, such as the class token.
    size
        Height and width of the grid of patches, by default a square.

    Raises
    ------
    SettingError
        If `skip` is negative or `size` not positive.

    Examples
    --------
    >>> import torch
    >>> from cameval.networks import TokenGrid
    >>> TokenGrid()(torch.rand(2, 197, 768)).shape
    torch.Size([2, 768, 14, 14])
    """

    skip: int = 1
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.skip < 0:
            raise SettingError(f"skip must not be negative, got {self.skip}")
        if self.size is not None and min(self.size) < 1:
            raise SettingError(f"size must be positive, got {self.size}")

    def __call__(self, output: Tensor, /) -> Tensor:
        """Reshape tokens ``(N, skip + h w, K)`` to maps ``(N, K, h, w)``."""
        if output.ndim != 3:
            raise ShapeError(f"tokens must have shape (N, T, K), got {tuple(output.shape)}")
        tokens = output[:, self.skip :]
        side = isqrt(tokens.shape[1])
        height, width = self.size or (side, side)
        if height * width != tokens.shape[1]:
            raise ShapeError(
                f"the {tokens.shape[1]} tokens after the first {self.skip} must fill a grid of "
                f"{height} x {width}; give TokenGrid the right skip or size"
            )
        return tokens.transpose(1, 2).reshape(*tokens.shape[::2], height, width)


def channels_last_grid(output: Tensor, /) -> Tensor:
    """Move the channels of ``(N, h, w, K)``, the output of Swin's layers, to ``(N, K, h, w)``.

    Examples
    --------
    >>> import torch
    >>> from cameval.networks import channels_last_grid
    >>> channels_last_grid(torch.rand(2, 7, 7, 768)).shape
    torch.Size([2, 768, 7, 7])
    """
    return output.movedim(-1, 1)


def identity(output: Tensor) -> Tensor:
    """Return a layer's output, which is a feature map already."""
    return output

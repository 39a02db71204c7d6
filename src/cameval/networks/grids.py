"""Grids: how the output of a layer becomes feature maps."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from torch import Tensor, nn

from cameval._arrays import same_ratio
from cameval.errors import SettingError, ShapeError
from cameval.networks._module_types import runs_code_of

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
        Height and width of the grid of patches, by default of the aspect ratio of the image.

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
    >>> TokenGrid()(torch.rand(2, 99, 768), image_size=(112, 224)).shape
    torch.Size([2, 768, 7, 14])
    """

    skip: int = 1
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.skip < 0:
            raise SettingError(f"skip must not be negative, got {self.skip}")
        if self.size is not None and min(self.size) < 1:
            raise SettingError(f"size must be positive, got {self.size}")

    def __call__(self, output: Tensor, /, *, image_size: tuple[int, int] | None = None) -> Tensor:
        """Reshape tokens ``(N, skip + h w, K)`` to maps ``(N, K, h, w)``.

        `image_size` is height and width of the image, by default those of a square. Without `size`
        the grid has its aspect ratio, to within one cell.
        """
        if output.ndim != 3:
            raise ShapeError(f"tokens must have shape (N, T, K), got {tuple(output.shape)}")
        tokens = output[:, self.skip :]
        grid = self.size or grid_of_ratio(tokens.shape[1], image_size or (1, 1))
        if grid is None or grid[0] * grid[1] != tokens.shape[1]:
            of_image = "{} x {}".format(*image_size) if image_size else "a square"
            wanted = "of {} x {}".format(*grid) if grid else f"of the aspect ratio of {of_image}"
            raise ShapeError(
                f"the {tokens.shape[1]} tokens after the first {self.skip} must fill a grid "
                f"{wanted}; give grid=TokenGrid(skip, size) with the right numbers"
            )
        return tokens.transpose(1, 2).reshape(*tokens.shape[::2], *grid)


def grid_of_ratio(count: int, image_size: tuple[int, int]) -> tuple[int, int] | None:
    """Return height and width of a number of cells of one stride that cover an image.

    Returns
    -------
    tuple of int, or None
        None if no grid of so many cells has the aspect ratio, to within one cell.

    Examples
    --------
    >>> from cameval.networks.grids import grid_of_ratio
    >>> grid_of_ratio(64, (64, 256)), grid_of_ratio(133, (100, 300)), grid_of_ratio(25, (64, 96))
    ((4, 16), (7, 19), None)
    """
    rows, columns = image_size
    grids = [(h, count // h) for h in range(1, count + 1) if count % h == 0]
    return min(
        (grid for grid in grids if same_ratio(grid, image_size)),
        key=lambda grid: abs(grid[0] * columns - grid[1] * rows),
        default=None,
    )


def grid_for(grid: Grid, images: Tensor) -> Grid:
    """Return a grid for images of one size, of whose aspect ratio that of tokens is."""
    if isinstance(grid, TokenGrid) and images.ndim == 4:
        return partial(grid, image_size=(images.shape[2], images.shape[3]))
    return grid


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


def are_channels_last(
    features: tuple[int, ...], images: tuple[int, ...], module: nn.Module | None = None
) -> bool:
    """Tell whether features of this shape are ``(N, h, w, K)``.

    They are if a layer of torch returned them whose channels are the last axis. They are by the
    shape of the images, too, if axes 1 and 2 have its ratio to within one cell, and axes 2 and 3
    cannot be the cells of one stride, with or without a border that convolutions leave out.

    Examples
    --------
    >>> from cameval.networks.grids import are_channels_last
    >>> are_channels_last((2, 14, 14, 384), (2, 3, 224, 224))
    True
    >>> are_channels_last((2, 384, 14, 14), (2, 3, 224, 224))
    False
    >>> are_channels_last((2, 5, 6, 10), (2, 3, 10, 14))  # of a stride of 1, without borders
    False
    """
    if len(features) != 4 or len(images) != 4:
        return False
    if module is not None and _is_of_last_axis(module, features[-1]):
        return True
    size = images[2], images[3]
    fits = features[1] > 1 and same_ratio(features[1:3], size)
    return fits and not _can_be_cells(features[2:], size)


def _is_of_last_axis(module: nn.Module, length: int) -> bool:
    """Tell whether a layer of torch has its channels, of this number, in the last axis."""
    if runs_code_of(module, nn.Linear):
        return True
    is_norm = runs_code_of(module, nn.LayerNorm) or runs_code_of(module, nn.RMSNorm)
    return is_norm and tuple(cast(nn.LayerNorm, module).normalized_shape) == (length,)


def _can_be_cells(cells: tuple[int, ...], pixels: tuple[int, int]) -> bool:
    """Tell whether cells of one stride can be those of an image, or of its part in a border."""
    (h, w), (height, width) = cells, pixels
    if same_ratio(cells, pixels):
        return True
    if (w - h) * (width - height) <= 0:
        return False
    stride = (width - height) / (w - h)
    border = min(height - stride * h, width - stride * w)
    return -2 * stride <= border <= min(pixels) / 2


def identity(output: Tensor) -> Tensor:
    """Return a layer's output, which is a feature map already."""
    return output

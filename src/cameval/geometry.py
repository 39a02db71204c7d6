"""Where the cells of a feature grid lie in the image.

Positions are in pixels of the network's input. Pixel k has its center at k + 0.5.
"""

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from cameval.errors import SettingError

__all__ = ["Place", "half_pixel_coordinates", "receptive_field_coordinates"]


@dataclass(frozen=True)
class Place:
    """Centers of the receptive fields: cell i of a row lies at ``offset + stride * i`` pixels.

    Parameters
    ----------
    offset
        Center of the first cell.
    stride
        Distance between neighboring cells, positive.

    Raises
    ------
    SettingError
        If `stride` is not positive, or a number is not finite.

    Examples
    --------
    The last features of a ResNet start at the very corner of the image, not half a cell inside:

    >>> Place(offset=0.5, stride=32).centers(3)
    tensor([ 0.5000, 32.5000, 64.5000])

    The place of an own network follows layer by layer from the pixels', here through a convolution
    with a padding and a pooling without one:

    >>> pixels = Place(offset=0.5, stride=1)
    >>> pixels.after(kernel=7, stride=2, padding=3).after(kernel=2, stride=2)
    Place(offset=1.5, stride=4)
    """

    offset: float
    stride: float

    def __post_init__(self) -> None:
        if not (isfinite(self.offset) and isfinite(self.stride) and self.stride > 0):
            raise SettingError(
                f"offset must be finite and stride positive, got {self.offset} and {self.stride}"
            )

    def centers(self, cells: int) -> Tensor:
        """Centers of the first `cells` cells, in pixels."""
        return self.offset + self.stride * torch.arange(cells)

    def after(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> "Place":
        """Place of the cells after one more convolution or pooling.

        Parameters
        ----------
        kernel, stride, dilation
            The layer's, along one axis.
        padding
            Cells added before the first one. What is added behind the last moves nothing.

        Returns
        -------
        Place
            Each new cell lies in the middle of the cells that it sees.
        """
        return Place(
            self.offset + self.stride * ((kernel - 1) * dilation / 2 - padding),
            self.stride * stride,
        )


def half_pixel_coordinates(length: int, cells: int) -> Tensor:
    """Cell coordinates of `length` output pixels, if `cells` cells fill the image evenly.

    This is the convention of ``align_corners=False``: cell i covers an equal part of the image and
    lies at its middle.
    """
    return (torch.arange(length, dtype=torch.float64) + 0.5) * (cells / length) - 0.5


def receptive_field_coordinates(length: int, pixels: int, place: Place) -> Tensor:
    """Cell coordinates of `length` output pixels over `pixels` of image, for cells at `place`."""
    centers = (torch.arange(length, dtype=torch.float64) + 0.5) * (pixels / length)
    return (centers - place.offset) / place.stride

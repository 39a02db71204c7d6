"""Preparation of samples: crop, resize and normalize images; the true mask for the scores."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d
from torchvision.transforms.v2.functional import resize

from cameval._checks import check_size
from cameval.data import Sample
from cameval.errors import SettingError, ShapeError

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Preparation"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


Prepare: TypeAlias = Callable[[Sample], tuple[Tensor, Tensor]]
"""From a sample to the network's input ``(channels, h, w)`` and the true mask ``(H, W)`` on the
grid on which maps are scored. Both must show the same part of the image."""


@dataclass(frozen=True)
class Preparation:
    """Crop, resize and normalize images as ImageNet's networks expect, with their masks.

    The image is cropped, and resized to `size` for the network. The maps of the network are
    upsampled to the grid of the true mask, on which they are scored: by default the mask's own
    pixels, so that the truth is not resampled.

    Parameters
    ----------
    size
        Height and width of the network's input, or one number for both. The image is resized to it
        without keeping its aspect ratio (bilinear, antialiased).
    crop
        Keep only the centered square with this share of the shorter side; torchvision's own
        transforms keep .875. By default the whole image.
    truth_size
        Height and width of the grid of the scores. A pixel is true where more than half of it is.
        By default the mask's own.
    mean, std
        For each of three channels, by default ImageNet's. Gray images get three equal channels.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    Examples
    --------
    >>> from cameval.data import phantom_samples
    >>> image, truth = Preparation(size=64)(next(phantom_samples()))
    >>> image.shape, truth.shape
    (torch.Size([3, 64, 64]), torch.Size([128, 128]))
    """

    size: int | tuple[int, int] = 224
    crop: float | None = None
    truth_size: tuple[int, int] | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        """Check the settings."""
        size = (self.size, self.size) if isinstance(self.size, int) else tuple(self.size)
        object.__setattr__(self, "size", check_size(size))
        if self.truth_size is not None:
            object.__setattr__(self, "truth_size", check_size(tuple(self.truth_size)))
        if self.crop is not None and not 0 < self.crop <= 1:
            raise SettingError(f"crop must be in (0, 1] or None, got {self.crop}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(isfinite(v) for v in values):
                raise SettingError(f"{name} must be three finite numbers, got {values}")
        if min(self.std) <= 0:
            raise SettingError(f"std must be positive, got {self.std}")

    def __call__(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """Return the network's input ``(3, h, w)`` and the true mask ``(H, W)``."""
        image, truth = torch.from_numpy(sample.image), torch.from_numpy(sample.mask)
        if image.ndim == 3 and image.shape[2] not in (1, 3):
            raise ShapeError(f"image must be gray or have 3 channels, got {image.shape[2]}")
        channels = image[None] if image.ndim == 2 else image.movedim(2, 0)
        if self.crop is not None:
            channels, truth = _crop(channels, self.crop), _crop(truth, self.crop)
        height, width = check_size(self.size)
        if channels.shape[-2:] != (height, width):
            channels = resize(channels, [height, width], antialias=True)
        if self.truth_size is not None and truth.shape != self.truth_size:
            truth = adaptive_avg_pool2d(truth[None].float(), self.truth_size)[0] > 0.5
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (channels.expand(3, -1, -1) - mean) / std, truth


def _crop(array: Tensor, share: float) -> Tensor:
    """Return the centered square with a share of the shorter side."""
    height, width = array.shape[-2:]
    side = max(1, round(share * min(height, width)))
    top, left = (height - side) // 2, (width - side) // 2
    return array[..., top : top + side, left : left + side]

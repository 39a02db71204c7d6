"""Smoothing: a map that is the mean over harmless changes of the image."""

from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from cameval.errors import SettingError

__all__ = ["augmentation_smoothing"]


def augmentation_smoothing(
    extract: Callable[[Tensor, Tensor], Any],
    images: Tensor,
    classes: Tensor,
    *,
    flip: bool = True,
    scales: Sequence[float] = (0.9, 1.0, 1.1),
) -> Tensor:
    """Mean of the raw maps over horizontal flips and changes of brightness.

    Parameters
    ----------
    extract
        A :class:`CAMExtractor`, or any function of images and classes whose result has ``maps``.
    images
        Images ``(N, channels, H, W)``.
    classes
        The classes to explain, ``(N,)`` or ``(N, k)``, the same for every variant.
    flip
        Whether each variant is also seen from left to right; its map is turned back.
    scales
        Factors of the (normalized) images.

    Returns
    -------
    Tensor
        Maps as of one call of `extract`, on the image, in the units of its method. No variant is
        scaled before the mean, so that each counts by its own evidence.

    Raises
    ------
    SettingError
        If no factor is given, or one is not a positive number.

    Notes
    -----
    Cost: one call of `extract` per variant, six by default. Not for images with a left and a right,
    where a flip changes what is seen: then ``flip=False``.

    Examples
    --------
    >>> model = CAMModel(nn.Conv2d(3, 8, 3), GAPHead(nn.Linear(8, 2))).eval()
    >>> images, classes = torch.rand(1, 3, 16, 16), torch.tensor([1])
    >>> augmentation_smoothing(CAMExtractor(model), images, classes).shape
    torch.Size([1, 16, 16])
    """
    if len(scales) == 0 or not all(scale > 0 and isfinite(scale) for scale in scales):
        raise SettingError(f"scales must be one or more positive numbers, got {scales!r}")
    variants = [extract(images * scale, classes).maps for scale in scales]
    if flip:
        mirrored = images.flip(-1)
        variants += [extract(mirrored * scale, classes).maps.flip(-1) for scale in scales]
    return torch.stack(variants).mean(0)

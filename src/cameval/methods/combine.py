"""Combined maps: fusion of several maps, and the mean over augmented images."""

from collections.abc import Callable, Sequence
from functools import reduce
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from cameval._arrays import Array, finite_maps, restore
from cameval.errors import SettingError, ShapeError
from cameval.maps import normalize_maps

__all__ = ["augmentation_smoothing", "max_fusion", "mean_fusion", "product_fusion"]


def mean_fusion(maps: Sequence[Array], /, *, spatial_axes: int = 2) -> Array:
    """Mean of several maps, each scaled to [0, 1] by its own minimum and maximum first.

    Parameters
    ----------
    maps
        One or more stacks of maps of one shape ``(..., H, W)``, already on the image.
    spatial_axes
        2 for images, 3 for volumes ``(..., D, H, W)``.

    Returns
    -------
    Array
        Maps of that shape in [0, 1], NumPy or torch as the first stack. Each map is scaled per
        image (see `normalize_maps`); a constant map counts as zeros. The result is not scaled
        again.

    Raises
    ------
    SettingError
        If no maps are given.
    ShapeError
        If their shapes differ: resize them with `upsample`, or set the size of the extractor.
    NonFiniteError
        If a value is NaN or infinite.

    Examples
    --------
    >>> import torch
    >>> from cameval.methods import mean_fusion
    >>> mean_fusion([torch.tensor([[0.0, 1.0, 4.0]]), torch.tensor([[5.0, 5.0, 7.0]])])
    tensor([[0.0000, 0.1250, 1.0000]])
    """
    return _fuse(maps, spatial_axes, lambda scaled: sum(scaled[1:], scaled[0]) / len(scaled))


def max_fusion(maps: Sequence[Array], /, *, spatial_axes: int = 2) -> Array:
    """Maximum of several maps, each scaled to [0, 1] by its own minimum and maximum first.

    Parameters
    ----------
    maps
        One or more stacks of maps of one shape ``(..., H, W)``, already on the image.
    spatial_axes
        2 for images, 3 for volumes ``(..., D, H, W)``.

    Returns
    -------
    Array
        Maps of that shape in [0, 1]: high where at least one map is high. See `mean_fusion` for the
        scaling.

    Raises
    ------
    SettingError
        If no maps are given.
    ShapeError
        If their shapes differ.
    NonFiniteError
        If a value is NaN or infinite.

    Examples
    --------
    >>> import torch
    >>> from cameval.methods import max_fusion
    >>> max_fusion([torch.tensor([[0.0, 1.0, 4.0]]), torch.tensor([[5.0, 5.0, 7.0]])])
    tensor([[0.0000, 0.2500, 1.0000]])
    """
    return _fuse(maps, spatial_axes, lambda scaled: reduce(torch.maximum, scaled))


def product_fusion(maps: Sequence[Array], /, *, spatial_axes: int = 2) -> Array:
    """Product of several maps, each scaled to [0, 1] by its own minimum and maximum first.

    Parameters
    ----------
    maps
        One or more stacks of maps of one shape ``(..., H, W)``, already on the image.
    spatial_axes
        2 for images, 3 for volumes ``(..., D, H, W)``.

    Returns
    -------
    Array
        Maps of that shape in [0, 1]: high where all maps are high, and zero where one map has its
        minimum. See `mean_fusion` for the scaling.

    Raises
    ------
    SettingError
        If no maps are given.
    ShapeError
        If their shapes differ.
    NonFiniteError
        If a value is NaN or infinite.

    Examples
    --------
    >>> import torch
    >>> from cameval.methods import product_fusion
    >>> product_fusion([torch.tensor([[0.0, 1.0, 4.0]]), torch.tensor([[5.0, 5.0, 7.0]])])
    tensor([[0., 0., 1.]])
    """
    return _fuse(maps, spatial_axes, lambda scaled: reduce(torch.mul, scaled))


def _fuse(
    maps: Sequence[Array], spatial_axes: int, fuse: Callable[[list[Tensor]], Tensor]
) -> Array:
    """Check and scale the maps, and combine them."""
    if len(maps) == 0:
        raise SettingError("maps must be one or more stacks of maps, got none")
    scaled = [normalize_maps(finite_maps(stack), spatial_axes=spatial_axes) for stack in maps]
    shapes = [tuple(stack.shape) for stack in scaled]
    if len(set(shapes)) > 1:
        raise ShapeError(
            f"maps must have one shape, got {', '.join(map(str, shapes))}; resize them with "
            "cameval.maps.upsample"
        )
    return restore(fuse(scaled), maps[0])


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
        A :class:`CAMExtractor`, or any function of images and classes whose result has an attribute
        ``maps``.
    images
        Images ``(N, channels, H, W)``.
    classes
        Target classes, ``(N,)`` or ``(N, k)``, the same for every variant.
    flip
        Whether each variant is also flipped from left to right; its map is flipped back.
    scales
        Factors that the (normalized) images are multiplied with.

    Returns
    -------
    Tensor
        Maps as of one call of `extract`, in the size of the image and the units of the method. The
        maps of the variants are not scaled before the mean.

    Raises
    ------
    SettingError
        If no factor is given, or one is not a positive number.

    Notes
    -----
    Cost: one call of `extract` per variant, six by default. Set ``flip=False`` where a flip changes
    the meaning of the image, as for organs of one side of the body.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMExtractor, CAMModel, GAPHead
    >>> from cameval.methods import augmentation_smoothing
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

"""Fusion: one map of several, of other layers or methods."""

from collections.abc import Callable, Sequence
from functools import reduce

import torch
from torch import Tensor

from cameval.arrays import Array, finite_maps, restore
from cameval.errors import SettingError, ShapeError
from cameval.maps import normalize_maps

__all__ = ["max_fusion", "mean_fusion", "product_fusion"]


def mean_fusion(maps: Sequence[Array], /) -> Array:
    """Mean of several maps, each first scaled to [0, 1] by its own minimum and maximum.

    Parameters
    ----------
    maps
        One or more stacks of maps of one shape ``(..., H, W)``, already on the image.

    Returns
    -------
    Array
        Maps of that shape in [0, 1], of the first one's kind. Each map is scaled per image (see
        `normalize_maps`), and a constant one counts as zeros; the result is not scaled again.

    Raises
    ------
    SettingError
        If no maps are given.
    ShapeError
        If their shapes differ: bring them to one size with `upsample`, or give the extractor a
        size.
    NonFiniteError
        If a value is NaN or infinite.

    Examples
    --------
    >>> mean_fusion([torch.tensor([[0.0, 1.0, 4.0]]), torch.tensor([[5.0, 5.0, 7.0]])])
    tensor([[0.0000, 0.1250, 1.0000]])
    """
    return _fuse(maps, lambda scaled: sum(scaled[1:], scaled[0]) / len(scaled))


def max_fusion(maps: Sequence[Array], /) -> Array:
    """Largest of several maps, each first scaled to [0, 1] by its own minimum and maximum.

    Parameters
    ----------
    maps
        One or more stacks of maps of one shape ``(..., H, W)``, already on the image.

    Returns
    -------
    Array
        Maps of that shape in [0, 1]: high where any is. See `mean_fusion` for the scaling.

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
    >>> max_fusion([torch.tensor([[0.0, 1.0, 4.0]]), torch.tensor([[5.0, 5.0, 7.0]])])
    tensor([[0.0000, 0.2500, 1.0000]])
    """
    return _fuse(maps, lambda scaled: reduce(torch.maximum, scaled))


def product_fusion(maps: Sequence[Array], /) -> Array:
    """Product of several maps, each first scaled to [0, 1] by its own minimum and maximum.

    Parameters
    ----------
    maps
        One or more stacks of maps of one shape ``(..., H, W)``, already on the image.

    Returns
    -------
    Array
        Maps of that shape in [0, 1]: high where all are, and zero where one has its minimum. See
        `mean_fusion` for the scaling.

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
    >>> product_fusion([torch.tensor([[0.0, 1.0, 4.0]]), torch.tensor([[5.0, 5.0, 7.0]])])
    tensor([[0., 0., 1.]])
    """
    return _fuse(maps, lambda scaled: reduce(torch.mul, scaled))


def _fuse(maps: Sequence[Array], fuse: Callable[[list[Tensor]], Tensor]) -> Array:
    if len(maps) == 0:
        raise SettingError("maps must be one or more stacks of maps, got none")
    scaled = [normalize_maps(finite_maps(each)) for each in maps]
    shapes = [tuple(each.shape) for each in scaled]
    if len(set(shapes)) > 1:
        raise ShapeError(
            f"maps must have one shape, got {', '.join(map(str, shapes))}; bring them to one size "
            "with cameval.upsample"
        )
    return restore(fuse(scaled), maps[0])

"""Metrics and binarizers of images, applied to volumes."""

from typing import TypeVar

from cameval._spatial import for_volumes

__all__ = ["on_volumes"]

T = TypeVar("T")


def on_volumes(thing: T, /, *, spacing: tuple[float, float, float] | None = None) -> T:
    """Return a metric or binarizer of images as one of volumes ``(..., D, H, W)``.

    A pixelwise one, such as `iou` or a global threshold, is applied to the voxels of each volume.
    One that depends on places gets its setting for three axes: ``spatial_axes=3``, or a `spacing`
    of three numbers. `cameval.evaluate` does the same for samples that are volumes.

    Parameters
    ----------
    thing
        A metric of masks or of maps, or a binarizer.
    spacing
        Distances between slices, rows and columns, for metrics that have a spacing. By default 1
        each. A spacing that `thing` has already stays; one number is that of all three axes.

    Returns
    -------
    Callable
        Called as `thing` is, with arrays ``(..., D, H, W)``; scores have shape ``(...)``.

    Raises
    ------
    SettingError
        If `thing` neither is pixelwise nor has a setting for the number of axes, or has a setting
        for images.

    Examples
    --------
    >>> import torch
    >>> from cameval import PercentileBinarizer, iou
    >>> from cameval.metrics import HausdorffDistance, on_volumes
    >>> pred, target = torch.zeros(2, 4, 6, 6, dtype=torch.bool)
    >>> pred[0, 2:4, 2:4] = target[0:2, 2:4, 2:4] = True
    >>> on_volumes(iou)(pred, target)
    tensor(0.5000)
    >>> on_volumes(HausdorffDistance(100), spacing=(5, 1, 1))(pred, target)
    tensor(5.)
    >>> on_volumes(PercentileBinarizer(95))(torch.rand(2, 4, 6, 6)).shape
    torch.Size([2, 4, 6, 6])
    """
    return for_volumes(thing, spacing=spacing)

"""Binarizer that keeps the largest connected component of another binarizer's masks."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from cameval._arrays import Array, as_masks, finite_maps, restore
from cameval.errors import SettingError, ShapeError
from cameval.protocols import Binarizer

__all__ = ["LargestComponent"]


@dataclass(frozen=True)
class LargestComponent:
    """Keep the largest connected component of the masks of another binarizer.

    Pixels are connected by their sides and corners. Of several largest components the first in row
    order is kept. An empty mask stays empty.

    Parameters
    ----------
    binarizer
        The binarizer whose masks are reduced: any callable from maps to masks.

    Raises
    ------
    SettingError
        If `binarizer` is not callable.
    ArrayTypeError, ShapeError
        In a call, if it does not return boolean masks of the maps' shape.

    References
    ----------
    B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016: boxes
    around the masks of ``LargestComponent(FractionOfMaxBinarizer(0.2))``.

    Examples
    --------
    >>> LargestComponent(MeanBinarizer())(torch.tensor([[9.0, 0.0, 9.0, 9.0, 0.0]]))
    tensor([[False, False,  True,  True, False]])
    """

    label: ClassVar[str] = "largest_component"

    binarizer: Binarizer

    def __post_init__(self) -> None:
        """Check the setting."""
        if not callable(self.binarizer):
            raise SettingError(f"binarizer must be callable, got {self.binarizer!r}")

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``."""
        tensor = finite_maps(maps)
        masks = as_masks(self.binarizer(tensor), "masks")
        if masks.shape != tensor.shape:
            raise ShapeError(
                f"{self.binarizer!r} must return masks of the maps' shape {tuple(tensor.shape)}, "
                f"got {tuple(masks.shape)}"
            )
        images = masks.cpu().numpy().reshape(-1, *masks.shape[-2:])
        largest = np.empty(images.shape, dtype=np.bool_)
        for image, kept in zip(images, largest, strict=True):
            kept[:] = _largest_component(image)
        return restore(torch.from_numpy(largest).reshape(masks.shape).to(tensor.device), maps)


def _largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest component of one mask; components are numbered in row order."""
    labels: NDArray[Any] = ndimage.label(mask, structure=np.ones((3, 3)))[0]
    sizes = np.bincount(labels[mask], minlength=2)
    kept: NDArray[np.bool_] = labels == max(1, int(sizes.argmax()))
    return kept

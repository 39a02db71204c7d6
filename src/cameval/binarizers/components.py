"""Binarizer that keeps the largest connected component of another binarizer's masks."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Array, as_masks, finite_maps, restore
from cameval._checks import check_callable
from cameval._spatial import binarize_kept, check_spatial_axes, check_volumes, for_volumes
from cameval.errors import ShapeError
from cameval.protocols import Binarizer

__all__ = ["LargestComponent"]


@dataclass(frozen=True)
class LargestComponent:
    """Keep the largest connected component of the masks of another binarizer.

    Pixels are connected by their sides and corners, voxels of volumes also by their edges. Of
    several largest components the first in row order is kept. An empty mask stays empty.

    Parameters
    ----------
    binarizer
        The binarizer whose masks are reduced: any callable from maps to masks.
    spatial_axes
        2 for images ``(..., H, W)``, 3 for volumes ``(..., D, H, W)``. `binarizer` is then applied
        to volumes as by `cameval.metrics.on_volumes`.

    Raises
    ------
    SettingError
        If `binarizer` is not callable, or cannot be applied to volumes where `spatial_axes` is 3.
    ArrayTypeError, ShapeError
        In a call, if it does not return boolean masks of the maps' shape.

    References
    ----------
    B. Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016: boxes
    around the masks of ``LargestComponent(FractionOfMaxBinarizer(0.2))``.

    Examples
    --------
    >>> import torch
    >>> from cameval import MeanBinarizer
    >>> from cameval.binarizers import LargestComponent
    >>> LargestComponent(MeanBinarizer())(torch.tensor([[9.0, 0.0, 9.0, 9.0, 0.0]]))
    tensor([[False, False,  True,  True, False]])
    """

    label: ClassVar[str] = "largest_component"
    from_sample: ClassVar[tuple[str, ...]] = ("spatial_axes",)

    binarizer: Binarizer
    spatial_axes: int = 2

    def __post_init__(self) -> None:
        """Check the setting."""
        check_callable("binarizer", self.binarizer, "cameval.binarizers")
        if check_spatial_axes(self.spatial_axes) == 3:
            for_volumes(self.binarizer)

    def __call__(self, maps: Array, /) -> Array:
        """Return boolean masks of maps ``(..., H, W)``, or of volumes."""
        tensor = finite_maps(maps)
        check_volumes(tensor, self.spatial_axes, "maps")
        inner = self.binarizer if self.spatial_axes == 2 else for_volumes(self.binarizer)
        masks = as_masks(inner(tensor), "masks")
        if masks.shape != tensor.shape:
            raise ShapeError(
                f"{self.binarizer!r} must return masks of the maps' shape {tuple(tensor.shape)}, "
                f"got {tuple(masks.shape)}"
            )
        return restore(self._reduce(masks), maps)

    def on_kept(self, maps: Tensor, keep: Tensor, /) -> Tensor:
        """Return masks where `keep` is true; components do not extend over ignored pixels.

        Parameters
        ----------
        maps
            Maps ``(..., H, W)``.
        keep
            Boolean masks of the same shape, false on ignored pixels.

        Returns
        -------
        Tensor
            Boolean masks of the same shape, false where `keep` is false.

        Examples
        --------
        Without the ignored pixel in the middle, the two pixels beside it are not connected:

        >>> import torch
        >>> from cameval import MeanBinarizer
        >>> from cameval.binarizers import LargestComponent
        >>> maps, keep = torch.tensor([[9.0, 9.0, 9.0, 0.0, 0.0, 0.0]]), torch.ones(1, 6).bool()
        >>> keep[0, 1] = False
        >>> LargestComponent(MeanBinarizer()).on_kept(maps, keep)
        tensor([[ True, False, False, False, False, False]])
        """
        return self._reduce(binarize_kept(self.binarizer, maps, keep))

    def _reduce(self, masks: Tensor) -> Tensor:
        """Return the largest component of each mask."""
        leading, shape = masks.shape[: -self.spatial_axes], masks.shape[-self.spatial_axes :]
        images = masks.cpu().numpy().reshape(leading.numel(), *shape)
        largest = np.empty(images.shape, dtype=np.bool_)
        for image, kept in zip(images, largest, strict=True):
            kept[:] = _largest_component(image)
        return torch.from_numpy(largest).reshape(masks.shape).to(masks.device)


def _largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest component of one mask; components are numbered in row order."""
    from scipy import ndimage

    labels: NDArray[Any] = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))[0]
    sizes = np.bincount(labels[mask], minlength=2)
    kept: NDArray[np.bool_] = labels == max(1, int(sizes.argmax()))
    return kept

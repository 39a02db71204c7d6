"""Objects beside masks and maps: checks of the pairs, connected components, their overlaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Array, as_scores
from cameval._memo import memoized
from cameval.data import Objects
from cameval.errors import ArrayTypeError, SettingError, ShapeError

Measure = Literal["coverage", "iou"]
"""How the overlap of a component and an object is measured."""


Floats = NDArray[np.float64]

Truths = Objects | Sequence[Objects]
"""The objects of one image, or of each image of a batch."""


def is_objects(target: object) -> bool:
    """Tell whether the truth is given as objects, not as a mask."""
    if isinstance(target, Objects):
        return True
    return isinstance(target, list | tuple) and all(isinstance(each, Objects) for each in target)


def pair_with_objects(
    given: Tensor, objects: object, name: str
) -> tuple[Tensor, tuple[Objects, ...]]:
    """Return checked masks or maps as ``(N, ...)``, and the objects of each.

    Parameters
    ----------
    given
        Masks or maps ``(N, H, W)`` for a list of N objects, ``(H, W)`` for one `Objects`; of
        volumes with one axis more.
    objects
        What was passed as the truth.
    name
        The name of `given` in messages.
    """
    listed: tuple[Objects, ...]
    if isinstance(objects, Objects):
        given, listed = given.unsqueeze(0), (objects,)
    elif is_objects(objects):
        listed = tuple(cast(Sequence[Objects], objects))
    else:
        came = type(objects).__name__
        if isinstance(objects, list | tuple):
            came += " of " + " and ".join(sorted({type(each).__name__ for each in objects}))
        raise ArrayTypeError(
            f"objects must be a list with one cameval.data.Objects for each image, got {came}; "
            "Target.objects has them, and Objects.of_components makes them of a mask"
        )
    if len(given) != len(listed):
        raise ShapeError(
            f"objects must be those of each image, got {len(listed)} for {name} of shape "
            f"{tuple(given.shape)}"
        )
    for number, each in enumerate(listed, start=1):
        if tuple(given.shape[1:]) != tuple(each.shape):
            raise ShapeError(
                f"objects must be of images of the same shape as {name}, got {tuple(each.shape)} "
                f"for number {number} and {tuple(given.shape[1:])}"
            )
    return given, listed


def scores_of_images(scores: Sequence[float], objects: object, template: Array) -> Array:
    """Return one score for each image; without an axis if the objects are of one image."""
    tensor = torch.tensor(scores, dtype=torch.float64)
    return as_scores(tensor[0] if isinstance(objects, Objects) else tensor, template)


def label_components(
    mask: NDArray[np.bool_], *, corners: bool = True
) -> tuple[NDArray[np.int32], int]:
    """Return the number of each pixel's connected component, from 1, and how many there are.

    Pixels are connected by their sides, and by edges and corners too if `corners`.
    """
    from scipy import ndimage

    reach = mask.ndim if corners else 1
    labels, count = ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, reach))
    return labels.astype(np.int32, copy=False), count


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Pixels that each component of a mask shares with each object.

    Attributes
    ----------
    both
        Shared pixels, ``(components, objects)``.
    components, objects
        Pixels of each.
    """

    both: Floats
    components: Floats
    objects: Floats

    @property
    def iou(self) -> Floats:
        """Shared pixels, as a share of the union of component and object."""
        union = self.components[:, None] + self.objects - self.both
        ratio: Floats = self.both / union
        return ratio

    def matches(self, measure: Measure, at_least: float) -> NDArray[np.bool_]:
        """Tell which pairs overlap, and by at least this share."""
        share = self.iou if measure == "iou" else self.both / self.objects
        return (self.both > 0) & (share >= at_least)


def overlaps_of(mask: NDArray[np.bool_], objects: Objects) -> Overlaps:
    """Return the overlaps of the components of one mask with the objects."""
    labels, count = label_components(mask)
    masks = objects.masks
    both = np.zeros((count, len(masks)))
    for column, each in enumerate(masks):
        both[:, column] = np.bincount(labels[each], minlength=count + 1)[1:]
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    areas = masks.sum(tuple(range(1, masks.ndim)))
    return Overlaps(both, sizes.astype(np.float64), areas.astype(np.float64))


@memoized
def overlaps_per_mask(masks: Tensor, objects: tuple[Objects, ...]) -> list[Overlaps]:
    """Return the overlaps of each mask ``(N, ...)``."""
    return [overlaps_of(*pair) for pair in zip(masks.cpu().numpy(), objects, strict=True)]


def check_criterion(at_least: object, measure: object) -> None:
    """Check the least overlap of a component with an object that it detects."""
    if measure not in get_args(Measure):
        raise SettingError(f"measure must be 'coverage' or 'iou', got {measure!r}")
    if not isinstance(at_least, Real) or not 0 <= float(at_least) <= 1:
        raise SettingError(f"at_least must be a number in [0, 1], got {at_least!r}")


def without_ignored(objects: Objects, ignore: NDArray[np.bool_]) -> Objects:
    """Return the objects without ignored pixels; objects that lose all pixels are left out."""
    masks = objects.masks & ~ignore
    kept = masks.any(tuple(range(1, masks.ndim)))
    boxes: NDArray[Any] | None = objects.given_boxes
    return Objects(objects.shape, None if boxes is None else boxes[kept], masks[kept])

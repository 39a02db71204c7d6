"""`Objects`: the objects of one target in one image, kept apart as masks and boxes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cameval.errors import ArrayTypeError, DataError, NonFiniteError, ShapeError

__all__ = ["Objects"]


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one target in one image. They are never merged, also where they touch.

    Objects are given by boxes, by masks, or by both. `of_labels` takes one array of object numbers,
    `of_components` one mask whose connected components are the objects.

    Parameters
    ----------
    shape
        Height and width of the image, ``(H, W)``; ``(D, H, W)`` of a volume.
    given_boxes
        Boxes ``(n, 4)`` as ``(x0, y0, x1, y1)`` in pixels, half-open: ``x1 - x0`` is the width.
        They may have fractions. In volumes ``(n, 6)`` as ``(x0, y0, z0, x1, y1, z1)``.
    given_masks
        Boolean masks ``(n, H, W)``; they may overlap.

    Raises
    ------
    ArrayTypeError
        If boxes do not hold real numbers, or masks are not boolean.
    ShapeError
        If boxes are not ``(n, 4)``, masks not of the image's size, or their numbers differ.
    NonFiniteError
        If a box holds NaN or infinity.
    DataError
        If neither is given, a box has no area or leaves the image, or a mask is empty.

    Examples
    --------
    Two boxes that touch stay two objects:

    >>> import numpy as np
    >>> from cameval.data import Objects
    >>> objects = Objects((4, 6), given_boxes=np.array([[0, 0, 3, 4], [3, 0, 6, 4]]))
    >>> len(objects), objects.masks.sum((1, 2)), bool(objects.union.all())
    (2, array([12, 12]), True)
    """

    shape: tuple[int, ...]
    given_boxes: NDArray[np.float64] | None = field(default=None, repr=False)
    given_masks: NDArray[np.bool_] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check boxes and masks."""
        if self.given_boxes is None and self.given_masks is None:
            raise DataError("objects must have boxes or masks, got neither")
        if self.given_masks is not None:
            _check_masks(self.given_masks, self.shape)
            object.__setattr__(self, "given_masks", plain_bool(self.given_masks))
        if self.given_boxes is not None:
            boxes = _check_boxes(self.given_boxes, self.shape)
            object.__setattr__(self, "given_boxes", boxes)
            if self.given_masks is not None and len(self.given_masks) != len(boxes):
                raise ShapeError(
                    "boxes and masks must be of the same objects, got "
                    f"{len(boxes)} boxes and {len(self.given_masks)} masks"
                )

    @classmethod
    def of_labels(cls, labels: NDArray[np.integer]) -> "Objects":
        """Return the objects of an array of object numbers ``(H, W)``; 0 is the background.

        Raises
        ------
        ArrayTypeError
            If the array does not hold integers.
        DataError
            If a number is negative.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval.data import Objects
        >>> Objects.of_labels(np.array([[0, 2, 7, 7]])).boxes
        array([[1., 0., 2., 1.],
               [2., 0., 4., 1.]])
        """
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
            came = getattr(labels, "dtype", type(labels).__name__)
            raise ArrayTypeError(f"object numbers must be an array of integers, got {came}")
        if labels.size and int(labels.min()) < 0:
            raise DataError(f"object numbers must be 0 or more, got {int(labels.min())}")
        numbers = np.unique(labels)
        masks = [labels == number for number in numbers[numbers > 0]]
        return cls(labels.shape, given_masks=_stack(masks, labels.shape))

    @classmethod
    def of_components(cls, mask: NDArray[np.bool_]) -> "Objects":
        """Return the connected components of a mask; pixels that share a corner are connected.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval.data import Objects
        >>> len(Objects.of_components(np.array([[True, False, True]])))
        2
        """
        from scipy import ndimage

        structure = np.ones((3,) * mask.ndim)
        labels, _ = ndimage.label(mask, structure)
        return cls.of_labels(labels)

    def __len__(self) -> int:
        """Return the number of objects."""
        given = self.given_boxes if self.given_masks is None else self.given_masks
        return 0 if given is None else len(given)

    @cached_property
    def boxes(self) -> NDArray[np.float64]:
        """Boxes ``(n, 4)``: the given ones, else those that just hold the masks."""
        if self.given_boxes is not None:
            return self.given_boxes
        masks = self.masks
        boxes = [_box_of(mask) for mask in masks]
        return np.array(boxes, np.float64).reshape(len(boxes), 2 * len(self.shape))

    @cached_property
    def masks(self) -> NDArray[np.bool_]:
        """Masks ``(n, H, W)``: the given ones, else the pixels whose centers are in the boxes."""
        if self.given_masks is not None:
            return self.given_masks
        return _stack([fill_box(box, self.shape) for box in self.boxes], self.shape)

    @cached_property
    def union(self) -> NDArray[np.bool_]:
        """The pixels of any object, ``(H, W)``."""
        if self.given_masks is not None:
            return np.asarray(self.given_masks.any(0))
        mask = np.zeros(self.shape, np.bool_)
        for box in self.boxes:
            mask |= fill_box(box, self.shape)
        return mask


def plain_bool(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask whose bytes are 0 and 1; Pillow's 1-bit pictures hold 255 for True."""
    plain = not mask.size or np.ascontiguousarray(mask).view(np.uint8).max() <= 1
    return mask if plain else mask != 0


def fill_box(box: NDArray[np.float64], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return the mask of the pixels whose centers are in a box; of a thin box, the middle pixel."""
    mask = np.zeros(tuple(shape), np.bool_)
    axes = len(shape)
    spans: list[slice] = []
    for axis, length in enumerate(shape):
        low, high = box[axes - 1 - axis], box[2 * axes - 1 - axis]
        first, last = int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))
        if last <= first:  # no pixel has its center inside
            first = int(np.clip(np.floor((low + high) / 2), 0, length - 1))
            last = first + 1
        spans.append(slice(max(first, 0), last))
    mask[tuple(spans)] = True
    return mask


def _box_of(mask: NDArray[np.bool_]) -> list[float]:
    """Return the box that just holds a mask: the lowest corner, then the highest, x first."""
    along = [np.flatnonzero(mask.any(tuple(a for a in range(mask.ndim) if a != axis)))
             for axis in range(mask.ndim)]  # fmt: skip
    backwards = along[::-1]
    return [float(at[0]) for at in backwards] + [float(at[-1]) + 1 for at in backwards]


def _stack(masks: Sequence[NDArray[np.bool_]], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return masks as one array, also if there are none."""
    return np.stack(masks) if masks else np.zeros((0, *shape), np.bool_)


def _check_masks(masks: object, shape: tuple[int, ...]) -> None:
    if not isinstance(masks, np.ndarray) or masks.dtype != np.bool_:
        came = getattr(masks, "dtype", type(masks).__name__)
        raise ArrayTypeError(f"masks of objects must be a boolean NumPy array, got {came}")
    if masks.shape[1:] != tuple(shape) or masks.ndim != len(shape) + 1:
        raise ShapeError(
            f"masks of objects must have shape (n, {', '.join(map(str, shape))}), one for each "
            f"object, got {masks.shape}"
        )
    empty = ~masks.any(tuple(range(1, masks.ndim)))
    if empty.any():
        raise DataError(
            f"masks of objects must not be empty, got number {int(empty.argmax()) + 1} without a "
            "pixel; leave it out"
        )


def _check_boxes(boxes: object, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return boxes in float64, checked."""
    axes = len(shape)
    if not isinstance(boxes, np.ndarray) or boxes.dtype.kind not in "iuf":
        came = getattr(boxes, "dtype", type(boxes).__name__)
        raise ArrayTypeError(f"boxes must be a NumPy array of real numbers, got {came}")
    if boxes.ndim != 2 or boxes.shape[1] != 2 * axes:
        raise ShapeError(f"boxes must have shape (n, {2 * axes}), got {boxes.shape}")
    found = boxes.astype(np.float64)
    if not np.isfinite(found).all():
        raise NonFiniteError("boxes must be finite, got NaN or infinity")
    low, high = found[:, :axes], found[:, axes:]
    order = "(x0, y0, x1, y1)" if axes == 2 else "(x0, y0, z0, x1, y1, z1)"
    for k, box in enumerate(found.tolist()):
        if not (low[k] < high[k]).all():
            raise DataError(
                f"boxes must be {order} with an area, got {box}; pass two corners, not a corner "
                "and a size"
            )
        if (low[k] < 0).any() or (high[k] > np.array(shape[::-1])).any():
            raise DataError(
                f"boxes must lie in the image of {shape[::-1]} pixels (width first), got {box}; "
                "clip them to the image"
            )
    return found

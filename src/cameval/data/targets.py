"""`Target`: a class, and the truth of its objects in one image."""

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval.data.objects import Objects, plain_bool
from cameval.errors import ArrayTypeError, DataError, ShapeError

__all__ = ["Target"]

_CLASSES = 2**31
"""A class index is below this number."""


_COMPARE = (
    "compare first, as in mask > 0, or mask > 127 if it was a JPEG file, which has values between"
)


@dataclass(frozen=True, eq=False)
class Target:
    """A class, and where its objects are in one image.

    The truth is a mask, boxes, or objects that are kept apart. Metrics of masks and maps see the
    union of the objects, metrics of objects each of them.

    Parameters
    ----------
    label
        Class index, counted from 0; None where the class is not known.
    mask
        Boolean array ``(H, W)``, ``(D, H, W)`` of a volume; true on the objects. It is empty where
        the image has none, a *negative*. By default the union of `instances`, or of `boxes`.
    boxes
        One box for each object: ``(n, 4)`` as ``(x0, y0, x1, y1)`` in pixels, half-open, with or
        without fractions; ``(n, 6)`` as ``(x0, y0, z0, x1, y1, z1)`` in volumes. ``(0, 4)`` for a
        negative.
    instances
        The objects: their numbers ``(H, W)`` as integers, 0 for background; or one boolean mask for
        each, ``(n, H, W)``, which may overlap. By default the connected components of the mask.

    Raises
    ------
    ArrayTypeError
        If an array is not a NumPy array of its dtype.
    ShapeError
        If the shapes do not agree.
    DataError
        If there is no truth, the label is not one class index, or the mask is another than the
        union of the instances.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Target
    >>> Target(2, np.eye(4, dtype=bool))
    Target(label=2)
    >>> Target(0, boxes=np.array([[0, 0, 3, 4], [3, 0, 6, 4]]))  # two objects, side by side
    Target(label=0)
    """

    label: int | None = None
    mask: NDArray[np.bool_] = field(default=None, repr=False)  # type: ignore[arg-type]
    boxes: NDArray[Any] | None = field(default=None, repr=False)
    instances: NDArray[Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the truth. Boxes are filled when the size of the image is known, by `Sample`."""
        object.__setattr__(self, "label", class_index(self.label, "label"))
        if self.mask is not None:
            check_dtype(self.mask, np.bool_, "mask", _COMPARE)
            object.__setattr__(self, "mask", plain_bool(self.mask))
        elif self.instances is not None:
            object.__setattr__(self, "mask", self._instances().union)
        elif self.boxes is None:
            raise DataError(
                "a target must have a mask, boxes or instances, got none; an image without the "
                "object has an empty mask"
            )
        if self.instances is not None and self.mask is not None:
            union = self._instances().union
            if union.shape != self.mask.shape or not np.array_equal(union, self.mask):
                raise DataError(
                    "mask must be the union of the instances, got another; leave it out"
                )

    @cached_property
    def objects(self) -> Objects:
        """The objects, kept apart: the instances, the boxes, or the mask's connected components.

        A box that is given with a mask has the pixels of the mask that lie in it, or all of the box
        if there are none.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval import Target
        >>> target = Target(2, np.array([[True, True, False, True]]))
        >>> len(target.objects), target.objects.boxes.astype(int).tolist()  # two components
        (2, [[0, 0, 2, 1], [3, 0, 4, 1]])
        >>> len(Target(2, instances=np.array([[1, 2, 0, 3]])).objects)  # 1 and 2 touch
        3
        """
        shape = self._mask_of_size().shape
        boxes = None if self.boxes is None else np.asarray(self.boxes)
        if self.instances is not None:
            return Objects(shape, boxes, self._instances().masks)
        if boxes is None:
            return Objects.of_components(self.mask)
        objects = Objects(shape, boxes)
        if np.array_equal(objects.union, self.mask):
            return objects
        inside = objects.masks & self.mask
        some = inside.any(tuple(range(1, inside.ndim)), keepdims=True)
        return Objects(shape, boxes, np.where(some, inside, objects.masks))

    def of_size(self, shape: tuple[int, ...]) -> "Target":
        """Return the target with a mask on an image of this size.

        Parameters
        ----------
        shape
            Height and width of the image; of a volume depth, height and width.

        Returns
        -------
        Target
            The mask of a target of boxes is the union of the boxes. A target that has a mask is
            returned itself.

        Raises
        ------
        ShapeError
            If the mask is not of this size.
        DataError
            If a box does not lie in the image.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval import Target
        >>> target = Target(2, boxes=np.array([[1, 0, 3, 2]])).of_size((2, 4))
        >>> target.mask.astype(int)
        array([[0, 1, 1, 0],
               [0, 1, 1, 0]])
        """
        if self.mask is None:
            boxes = np.asarray(self.boxes)
            mask = Objects(shape, boxes).union
            return Target(self.label, mask, boxes)
        if self.mask.shape != shape:
            raise ShapeError(
                f"mask must have the height and width of the image, got {self.mask.shape} and "
                f"{shape}"
            )
        if self.boxes is not None:
            Objects(shape, np.asarray(self.boxes))  # checks that they lie in the image
        return self

    def _mask_of_size(self) -> NDArray[np.bool_]:
        if self.mask is None:
            raise DataError(
                "a target of boxes must have the size of its image to have a mask; use the targets "
                "of a Sample, or target.of_size((height, width))"
            )
        return self.mask

    def _instances(self) -> Objects:
        """Return the objects of `instances` alone."""
        given = self.instances
        if isinstance(given, np.ndarray) and given.dtype == np.bool_:
            return Objects(given.shape[1:], given_masks=given)
        return Objects.of_labels(given)  # type: ignore[arg-type]  # it checks the type


def class_index(label: object, what: str) -> int | None:
    """Return a class index as an int, None as None, and raise a `DataError` on anything else."""
    if label is None:
        return None
    scalar = getattr(label, "ndim", None) == 0 and hasattr(label, "item")
    value: Any = label.item() if scalar else label  # type: ignore[attr-defined]
    row = isinstance(value, Sequence | Set) and not isinstance(value, str | bytes)
    if row or getattr(value, "ndim", None):
        raise DataError(
            f"{what} must be one class index or None, got {type(value).__name__} of "
            f"{len(value)} entries; an image of several classes has several targets, as in "
            "Sample(name, image, targets=[Target(2, mask), Target(5, other)])"
        )
    real = isinstance(value, Real) and not isinstance(value, bool)
    if real and 0 <= value < _CLASSES and value == int(value):
        return int(value)
    raise DataError(
        f"{what} must be a class index counted from 0, got {value!r}; "
        "leave it out, or give None, where the class is not known"
    )


def parse_class(text: str, what: str) -> int | None:
    """Return the class index that a text writes as a number, None if it is no number.

    Tables write whole numbers in many ways: 3, 3.0, 3e0. A number that is no class index is a
    `DataError`, as is one in a notation that is not plain, such as 3,0.
    """
    try:
        float(text.replace(",", "."))
    except ValueError:
        return None
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,4})?", text, re.ASCII | re.IGNORECASE):
        number = Decimal(text)
        if 0 <= number < _CLASSES and number == int(number):
            return int(number)
    raise DataError(f"{what} must be a class index from 0, got {text}; leave it empty if not known")


def check_dtype(array: object, dtype: type[np.generic], name: str, hint: str) -> None:
    if not isinstance(array, np.ndarray):
        raise ArrayTypeError(f"{name} must be a NumPy array, got {type(array).__name__}")
    came: np.dtype[Any] = array.dtype
    if came != np.dtype(dtype):
        raise ArrayTypeError(f"{name} must be {np.dtype(dtype)}, got {came}; {hint}")

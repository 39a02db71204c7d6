"""`Sample`: an image with its targets, its group, and what else is known of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from numbers import Real
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval.data.objects import plain_bool
from cameval.data.targets import Target, check_dtype
from cameval.errors import ArrayTypeError, DataError, NonFiniteError, ShapeError

__all__ = ["RESERVED_COLUMNS", "Sample"]

_BITS_OF_ONE = np.float32(1).view(np.uint32)
"""Floats that are not negative are ordered as their bits, so one comparison checks [0, 1]."""

RESERVED_COLUMNS = frozenset(
    {"model", "sample", "group", "label", "present", "predicted", "probability", "area", "correct"}
    | {"target_class", "kind", "method", "binarizer", "metric"}
    | {"value", "reason", "constant", "weight"}
)
"""Columns of the table of results, which ``Sample.info`` must not have."""

Info = str | int | float | bool | None
"""A value of a column that a user adds."""


@dataclass(frozen=True, eq=False)
class Sample:
    """An image, its targets (class and truth), and the group it belongs to.

    Most images have one target, whose mask and label are given directly. An image with several
    classes has a list of `targets`; each is scored by itself, and the network runs once.

    Parameters
    ----------
    name
        The name of the image in tables, such as a file name without suffix.
    image
        float32 array ``(H, W)`` or ``(H, W, C)`` with values in [0, 1], colors in the order of the
        network, mostly RGB (OpenCV reads BGR). A volume is ``(D, H, W)`` or ``(D, H, W, C)``, and
        its mask has three axes.
    mask
        Boolean array ``(H, W)``, true on the object. It may be empty. Of several targets, the
        pixels of any.
    label
        Class index, counted from 0; None where the class is not known. A whole number of another
        type, such as ``np.float64(3.0)``, is stored as an int. Of several targets, None.
    group
        The unit that is kept together when data is split or resampled, such as the patient. By
        default every image is its own group, with its name. Spaces around it are removed; the text
        of a missing value, such as ``"nan"``, is refused.
    targets
        In place of mask and label: one or more :class:`Target`, with different labels. Several
        objects of one class are one target.
    info
        More columns for the tables, such as ``{"view": "lateral", "age": 61}``: text, numbers,
        truth values, or None. They can be used in `Results.select`, ``summary(by=...)`` and the
        report.
    ignore
        Boolean array ``(H, W)``: pixels that count for nothing, as padding or burnt-in text. No
        threshold, metric or area uses them.
    spacing
        Distance between pixels along each axis, such as millimeters, ``(rows, columns)`` or
        ``(slices, rows, columns)``. Metrics of distances are then in this unit.

    Raises
    ------
    ArrayTypeError
        If image, mask or ignore is not a NumPy array of its dtype.
    ShapeError
        If the image is not ``(H, W)`` or ``(H, W, C)`` with at least one pixel, or the mask is not
        of its height and width.
    NonFiniteError
        If the image holds NaN or infinity.
    DataError
        If the image leaves [0, 1], the label is not one class index, name or group is empty, two
        targets have one label, all pixels are ignored, or info has a column of the tables.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample, Target
    >>> image = np.zeros((4, 6), dtype=np.float32)
    >>> Sample("x-ray 7", image, image > 0.5, label=1, group="patient 3")
    Sample(name='x-ray 7', label=1, group='patient 3')
    >>> Sample("x-ray 8", image, image > 0.5)
    Sample(name='x-ray 8', label=None, group='x-ray 8')

    Two findings in one image, the second one absent:

    >>> effusion, edema = Target(2, image < 0.5), Target(5, image > 0.5)
    >>> Sample("x-ray 9", image, targets=[effusion, edema], info={"view": "lateral"})
    Sample(name='x-ray 9', labels=(2, 5), group='x-ray 9')
    """

    name: str
    image: NDArray[np.float32] = field(repr=False)
    mask: NDArray[np.bool_] = field(default=None, repr=False)  # type: ignore[arg-type]
    label: int | None = None
    group: str = None  # type: ignore[assignment]  # None becomes the name
    targets: Sequence[Target] = field(default=(), repr=False, kw_only=True)
    info: Mapping[str, Info] = field(default_factory=dict, repr=False, kw_only=True)
    ignore: NDArray[np.bool_] | None = field(default=None, repr=False, kw_only=True)
    spacing: Sequence[float] | None = field(default=None, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        """Check all parts."""
        check_dtype(self.image, np.float32, "image", _conversion(self.image))
        _set(self, targets=self._given_targets())
        shape = self._spatial_shape()
        targets = tuple(target.of_size(shape) for target in self.targets)
        only = targets[0] if len(targets) == 1 else None
        _set(
            self,
            targets=targets,
            mask=_union(targets) if only is None else only.mask,
            label=None if only is None else only.label,
            group=self.name if self.group is None else _stripped(self.group, self.name),
        )
        if self.image.view(np.uint32).max() > _BITS_OF_ONE:
            _explain_range(self.image)
        _check_words(name=self.name, group=self.group)
        if self.group in _MISSING and self.group != self.name:
            raise DataError(
                f"group must be the name of a group, got {self.group!r}, the text of a missing "
                "value; give None where the group is not known"
            )
        _check_labels_differ(targets)
        _set(self, info=MappingProxyType(_checked_info(self.info)))
        self._check_ignore()
        if self.spacing is not None:
            _set(self, spacing=check_spacing(self.spacing, len(shape)))

    def __repr__(self) -> str:
        """Return name, label and group; of several targets, the labels."""
        if len(self.targets) == 1:
            what = f"label={self.label!r}"
        else:
            what = f"labels={tuple(target.label for target in self.targets)}"
        return f"{type(self).__name__}(name={self.name!r}, {what}, group={self.group!r})"

    def __reduce__(self) -> Any:
        """Pickle the fields, for worker processes."""
        state = {name: value for name, value in vars(self).items() if name != "info"}
        return _restore, (type(self), state | {"info": dict(self.info)})

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width of the image; depth, height and width of a volume.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval import Sample
        >>> photo = np.zeros((4, 6, 3), np.float32)  # of three channels
        >>> Sample("photo", photo, np.zeros((4, 6), bool)).shape
        (4, 6)
        """
        return self.mask.shape

    def by_target(self) -> list["Sample"]:
        """Return one sample for each target; they share the image.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval import Sample, Target
        >>> image = np.zeros((4, 6), dtype=np.float32)
        >>> both = [Target(2, image < 0.5), Target(5, image > 0.5)]
        >>> Sample("x-ray 9", image, targets=both).by_target()
        [Sample(name='x-ray 9', label=2, group='x-ray 9'), Sample(name='x-ray 9', label=5, \
group='x-ray 9')]
        """
        if len(self.targets) == 1:
            return [self]
        return [self._only(target) for target in self.targets]

    def _only(self, target: Target) -> "Sample":
        """Return this sample with one of its targets; nothing is checked again."""
        other = object.__new__(type(self))
        other.__dict__.update(vars(self))
        _set(other, targets=(target,), mask=target.mask, label=target.label)
        return other

    def _given_targets(self) -> tuple[Target, ...]:
        """Return the targets as they are given: by mask and label, or as a list."""
        if isinstance(self.targets, Target) or not isinstance(self.targets, Sequence):
            raise ArrayTypeError(
                f"targets must be a list of Target, got {type(self.targets).__name__}"
            )
        for target in self.targets:
            if not isinstance(target, Target):
                raise ArrayTypeError(
                    f"targets must be a list of Target, got one of {type(target).__name__}"
                )
        if not self.targets:
            if self.mask is None:
                raise DataError(
                    "a sample must have a mask or targets, got neither; an image without an object "
                    "has an empty mask, as in np.zeros(image.shape[:2], bool)"
                )
            return (Target(self.label, self.mask),)
        targets = tuple(self.targets)
        if self.mask is None and self.label is None:
            return targets
        # `dataclasses.replace` gives all fields: the targets, and the mask and label of them.
        if len(targets) == 1:
            same = self.mask is targets[0].mask and self.label == targets[0].label
            return targets if same else (Target(self.label, self.mask),)
        if self.label is None and np.array_equal(self.mask, _union(targets)):
            return targets
        raise DataError(
            f"a sample must have targets or mask and label, got {len(targets)} targets and a mask "
            "or label that is not theirs"
        )

    def _spatial_shape(self) -> tuple[int, ...]:
        """Return the size of the image without channels: two axes, or three of a volume."""
        shape = self.image.shape
        first = self.targets[0]
        axes = first.mask.ndim if first.mask is not None else np.shape(first.boxes)[-1] // 2
        if axes not in (2, 3) or len(shape) not in (axes, axes + 1) or 0 in shape:
            if axes == 3 or len(shape) == 4:
                raise ShapeError(
                    "image and mask must have shapes (H, W) or (H, W, C) and (H, W), or of volumes "
                    f"(D, H, W) or (D, H, W, C) and (D, H, W), got {shape} and {axes} axes"
                )
            raise ShapeError(
                f"image must have shape (H, W) or (H, W, C) with at least one pixel, got {shape}"
            )
        return shape[:axes]

    def _check_ignore(self) -> None:
        if self.ignore is None:
            return
        check_dtype(self.ignore, np.bool_, "ignore", "compare first, as in ignore > 0")
        if self.ignore.shape != self.shape:
            raise ShapeError(
                "ignore must have the height and width of the image, "
                f"got {self.ignore.shape} and {self.shape}"
            )
        _set(self, ignore=plain_bool(self.ignore))
        if self.ignore.all():
            raise DataError("ignore must leave at least one pixel, got all of them")


def check_spacing(spacing: object, axes: int) -> tuple[float, ...]:
    """Return the distances between pixels along each axis, checked."""
    numbers = tuple(spacing) if isinstance(spacing, Sequence | np.ndarray) else ()
    good = all(isinstance(n, Real) and isfinite(n) and float(n) > 0 for n in numbers)
    if len(numbers) != axes or not good:
        raise DataError(
            f"spacing must be {axes} positive numbers, one for each axis of the image, "
            f"got {spacing!r}"
        )
    return tuple(float(n) for n in numbers)


def _union(targets: Sequence[Target]) -> NDArray[np.bool_]:
    """Return the pixels of any target."""
    union: NDArray[np.bool_] = np.any([target.mask for target in targets], axis=0)
    return union


def _set(sample: Sample, **values: object) -> None:
    for name, value in values.items():
        object.__setattr__(sample, name, value)


def _restore(kind: type[Sample], state: dict[str, Any]) -> Sample:
    """Return a pickled sample; it was checked when it was made."""
    sample = object.__new__(kind)
    _set(sample, **state | {"info": MappingProxyType(state["info"])})
    return sample


_MISSING = frozenset({"nan", "NaN", "None", "<NA>", "NaT"})
"""What `str` makes of the missing values of Python, NumPy and pandas."""


def _stripped(group: str, name: str) -> str:
    """Return a group without spaces around it, but for the default; no text is refused later."""
    return group.strip(" ") if isinstance(group, str) and group != name else group


def _check_words(**words: object) -> None:
    for what, word in words.items():
        if not isinstance(word, str):
            raise DataError(f"{what} must be text, got {type(word).__name__}")
        if "\0" in word or "\r" in word or (not word.isascii() and not _is_text(word)):
            raise DataError(f"{what} must be text without NUL or carriage return, got {word!r}")
        if not word:
            out = "; leave it out where every image stands for itself" if what == "group" else ""
            raise DataError(f"{what} must not be empty, got ''{out}")


def _check_labels_differ(targets: Sequence[Target]) -> None:
    labels = [target.label for target in targets]
    if len(labels) > 1 and None in labels:
        raise DataError("each of several targets must have a label, got None")
    if again := [label for label in labels if labels.count(label) > 1]:
        raise DataError(
            f"targets must have different labels, got {again[0]} twice; several objects of a class "
            "are one target, as in Target(label, boxes=...) or Target(label, instances=...)"
        )


def _checked_info(info: object) -> dict[str, Info]:
    """Return the columns that a user adds, checked."""
    if not isinstance(info, Mapping):
        raise DataError(f"info must be a mapping of columns, got {type(info).__name__}")
    for name, value in info.items():
        _check_words(**{"name of info": name})
        if name in RESERVED_COLUMNS:
            raise DataError(
                f"info must have other names than the columns of the tables, got {name!r}; "
                "rename it"
            )
        scalar = value is None or isinstance(value, str | bool | int | float | np.generic)
        if not scalar or (isinstance(value, float) and not isfinite(value)):
            raise DataError(
                f"info must be text, finite numbers, truth values or None, got {value!r} for "
                f"{name!r}"
            )
        if isinstance(value, str) and value:
            _check_words(**{f"info {name!r}": value})
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in info.items()
    }


def _is_text(word: str) -> bool:
    """Tell whether a word can be written to a file; half of a surrogate pair cannot."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _conversion(image: object) -> str:
    """Return how an image of another dtype becomes one in [0, 1]."""
    if isinstance(image, np.ndarray) and image.dtype.kind == "f" and not (image > 1).any():
        return "convert it with image.astype(np.float32)"
    if isinstance(image, np.ndarray) and image.dtype.kind in "iu" and image.dtype != np.uint8:
        return (
            "scale it by its range, as in ((image - image.min()) / (image.max() - image.min()))"
            ".astype(np.float32)"
        )
    return "divide it by its largest possible value, as in (image / 255).astype(np.float32)"


def _explain_range(image: NDArray[np.float32]) -> None:
    """Raise the error of an image whose bits are not those of numbers in [0, 1]."""
    if not np.isfinite(image).all():
        raise NonFiniteError("image must be finite, got NaN or infinite values")
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 1:  # or else it holds a zero with a sign
        hint = (
            "scale it by its range first: image / 255 for 8 bits, else (image - image.min()) / "
            "(image.max() - image.min())"
        )
        if low < 0:
            hint = (
                "if it is normalized by mean and standard deviation, give it before Normalize; "
                "`prepare` normalizes it, see cameval.evaluation.Preparation"
            )
        raise DataError(f"image must be in [0, 1], got [{low:g}, {high:g}]; {hint}")

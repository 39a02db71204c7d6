"""`Record`: where image and truth of a sample are; `TargetRecord`: where those of a target are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from cameval.data._mask_sizes import resize_mask, resize_numbers, same_view
from cameval.data.pictures import UPRIGHT, ImageFile, MaskFile, turn_upright
from cameval.data.samples import Info, Sample
from cameval.data.targets import Target, class_index
from cameval.errors import CamevalError, DataError, SettingError

__all__ = ["MaskSource", "OrientationWarning", "Record", "TargetRecord"]


@runtime_checkable
class MaskSource(Protocol):
    """A callable that returns the mask of one image: `MaskFile`, or one of your own.

    As the instances of a `TargetRecord` it returns what `Target` takes: numbers of objects
    ``(H, W)`` as integers, or one boolean mask for each ``(n, H, W)``.
    """

    @property
    def path(self) -> Path:
        """The file that the mask comes from."""

    def __call__(self) -> NDArray[Any]:
        """Return the mask ``(H, W)``."""


MaskOrientation: TypeAlias = Literal["stored", "upright"]
"""Orientation of masks whose files note none: see `Record`."""

Missing: TypeAlias = Literal["error", "negative", "skip"]
"""What an image without a mask is to a reader."""

WITHOUT_MASK = (
    "if they have no object, set missing_masks='negative', or --missing-masks negative; if it is "
    "not drawn, missing_masks='skip', or --missing-masks skip"
)
"""What to do about images without a mask."""

Box: TypeAlias = tuple[float, ...]
"""The corners of a box: x0, y0, x1, y1 in pixels, half-open."""

_SLACK = 1.0
"""Pixels by which a box may leave the image, as rounding does; it is then clipped."""


class OrientationWarning(UserWarning):
    """A photograph is stored rotated or mirrored, and it is not known whether its mask is too."""


@dataclass(frozen=True)
class TargetRecord:
    """Where the truth of one target is: a mask, boxes, or instances; without any, a negative.

    Parameters
    ----------
    mask
        The file of the mask, or another source of it.
    boxes
        One box for each object, ``(x0, y0, x1, y1)`` in pixels, half-open. A box that leaves the
        image by up to one pixel is clipped, one without a pixel becomes the pixel that it is in.
    instances
        A source of the objects, kept apart.
    path
        The file that the boxes come from, for messages and caches.

    Raises
    ------
    DataError
        If a box is not four finite numbers, or six in volumes, or its corners are interchanged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from cameval.data import MaskFile, TargetRecord
    >>> TargetRecord(MaskFile(Path("masks/effusion/7.png"))).is_negative
    False
    >>> TargetRecord().is_negative
    True
    """

    mask: MaskSource | None = None
    boxes: Sequence[Box] | None = None
    instances: MaskSource | None = None
    path: Path | None = None

    def __post_init__(self) -> None:
        """Check the boxes."""
        if self.boxes is None:
            return
        boxes = tuple(tuple(float(side) for side in box) for box in self.boxes)
        for k, box in enumerate(boxes):
            axes = len(box) // 2
            if len(box) not in (4, 6) or not np.isfinite(box).all():
                raise DataError(f"box {k} must be four finite numbers, got {box}")
            if any(box[i] > box[axes + i] for i in range(axes)):
                raise DataError(
                    f"box {k} must be (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1, got {box}"
                )
        object.__setattr__(self, "boxes", boxes)

    @property
    def is_negative(self) -> bool:
        """Whether the image has no object of the class."""
        return self.mask is None and self.boxes is None and self.instances is None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that the truth comes from."""
        sources = [source.path for source in (self.mask, self.instances) if source is not None]
        return (*sources, *([] if self.path is None else [self.path]))


@dataclass(frozen=True)
class Record:
    """The files of one sample, and its name, label and group.

    A camera may store a photograph rotated or mirrored and note its orientation (EXIF). The image
    is always returned upright. A mask whose file notes another orientation than upright follows its
    own note. Any other mask can match the stored pixels or the upright photograph. If the sides of
    the photograph differ and the rotation swaps them, the size of the mask decides. Otherwise the
    mask is assumed to match the stored pixels and is rotated with them, unless its file notes that
    it is upright; an `OrientationWarning` is raised until `mask_orientation` is set. The same holds
    for boxes and instances.

    Parameters
    ----------
    name, label, group
        As in `Sample`.
    image
        The image's file.
    mask
        The mask's file, or another source of the mask; one that can be pickled, for workers. None
        if the image has no object: its mask is then empty.
    mask_orientation
        ``"stored"`` if masks whose files note no orientation match the pixels as stored,
        ``"upright"`` if they match the upright photograph.
    targets
        In place of mask and label: from each class index to the source of its mask, to a
        `TargetRecord`, or to None for a class that the image does not have.
    info, spacing
        As in `Sample`.
    ignore
        The source of the mask of pixels that count for nothing.
    size
        Height and width of the image that the boxes are for, where the annotation notes them. An
        image of another size is then refused.
    resize_masks
        Whether masks, instances and ignored pixels of another size are resized to the image. They
        must have its aspect ratio, to within one pixel. A pixel is true where more than half of its
        area is. By default another size is an error.

    Raises
    ------
    SettingError
        If the orientation is none of the two, or targets are given with a mask or a label.

    Examples
    --------
    An image with one finding, and without another:

    >>> from pathlib import Path
    >>> from cameval.data import ImageFile, MaskFile, Record
    >>> record = Record(
    ...     "x-ray 7",
    ...     ImageFile(Path("7.png")),
    ...     targets={2: MaskFile(Path("effusion/7.png")), 5: None},
    ... )
    >>> record.labels, [path.name for path in record.paths]
    ((2, 5), ['7.png', '7.png'])
    """

    name: str
    image: ImageFile
    mask: MaskSource | None = None
    label: int | None = None
    group: str | None = None
    mask_orientation: MaskOrientation | None = None
    targets: Mapping[int, MaskSource | TargetRecord | None] = field(
        default_factory=dict, kw_only=True
    )
    info: Mapping[str, Info] = field(default_factory=dict, kw_only=True)
    ignore: MaskSource | None = field(default=None, kw_only=True)
    spacing: Sequence[float] | None = field(default=None, kw_only=True)
    size: tuple[int, ...] | None = field(default=None, kw_only=True)
    resize_masks: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.mask_orientation not in (None, *get_args(MaskOrientation)):
            raise SettingError(
                "mask_orientation must be 'stored', 'upright' or None, "
                f"got {self.mask_orientation!r}"
            )
        if self.targets and (self.mask is not None or self.label is not None):
            raise SettingError(
                f"record {self.name!r} must have targets, or mask and label, got both"
            )
        found = {
            class_index(label, f"record {self.name!r}: a target's label"): _target_record(source)
            for label, source in self.targets.items()
        }
        object.__setattr__(self, "targets", found)
        object.__setattr__(self, "info", dict(self.info))

    @property
    def labels(self) -> tuple[int | None, ...]:
        """The class of each target."""
        return tuple(self._targets)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file that the sample is read from."""
        truths = [path for target in self._targets.values() for path in target.paths]
        ignored = [] if self.ignore is None else [self.ignore.path]
        return (self.image.path, *truths, *ignored)

    @property
    def _targets(self) -> dict[int | None, TargetRecord]:
        if not self.targets:
            return {self.label: TargetRecord(self.mask)}
        return {label: _target_record(source) for label, source in self.targets.items()}

    def read(self) -> Sample:
        """Decode image and truth.

        Returns
        -------
        Sample
            The sample.

        Raises
        ------
        DataError
            If a file is not what it should be, or a mask is not of the image's size.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from PIL import Image
        >>> from cameval.data import ImageFile, MaskFile, Record
        >>> with TemporaryDirectory() as folder:
        ...     image, mask = Path(folder) / "7.png", Path(folder) / "7_mask.png"
        ...     Image.fromarray(np.array([[0, 51, 255]], np.uint8)).save(image)
        ...     Image.fromarray(np.array([[0, 0, 255]], np.uint8)).save(mask)
        ...     sample = Record("x-ray 7", ImageFile(image), MaskFile(mask), label=2).read()
        >>> sample.image, sample.mask, sample.label
        (array([[0. , 0.2, 1. ]], dtype=float32), array([[False, False,  True]]), 2)
        """
        image, orientation = self.image.read()
        frame = _Frame(self, image.shape[:2], orientation)
        targets = [frame.target(label, source) for label, source in self._targets.items()]
        ignore = None if self.ignore is None else frame.read(self.ignore)
        try:
            return Sample(
                self.name,
                image,
                group=self.group or self.name,
                targets=targets,
                info=self.info,
                ignore=ignore,
                spacing=self.spacing,
            )
        except CamevalError as error:
            raise DataError(f"{self.image.path}: {error}") from error


def _target_record(source: MaskSource | TargetRecord | None) -> TargetRecord:
    return source if isinstance(source, TargetRecord) else TargetRecord(source)


@dataclass(frozen=True)
class _Frame:
    """The upright image of a record, and the orientation in which it is stored."""

    record: Record
    size: tuple[int, ...]
    orientation: int

    def target(self, label: int | None, source: TargetRecord) -> Target:
        """Read the truth of one target."""
        mask = None if source.mask is None else self.read(source.mask)
        instances = None if source.instances is None else self.read(source.instances)
        boxes = None if source.boxes is None else self._boxes(source)
        if source.is_negative:
            mask = np.zeros(self.size, np.bool_)
        try:
            return Target(label, mask, boxes, instances)  # type: ignore[arg-type]  # None is filled
        except CamevalError as error:
            raise DataError(
                f"{(*source.paths, self.record.image.path)[0]}: the truth of class {label} in "
                f"{self.record.name!r} must be that of one target; {error}"
            ) from error

    def read(self, source: MaskSource) -> NDArray[Any]:
        """Return a mask or instances upright, checked to be of the image's size."""
        noted: int | None = None
        if isinstance(source, MaskFile):
            mask, noted = source.read()
        else:
            mask = source()
        stacked = mask.dtype == np.bool_ and mask.ndim == len(self.size) + 1
        shape = mask.shape[1:] if stacked else mask.shape
        upright = self.orientation == UPRIGHT or noted not in (None, UPRIGHT)
        if not upright and self._is_stored(shape, noted, source.path):
            parts = mask if stacked else mask[None]
            turned = [turn_upright(part, self.orientation) for part in parts]
            if turned:
                mask = np.stack(turned) if stacked else turned[0]
                shape = turned[0].shape
        if not self._fits(shape):
            needed = "aspect ratio" if self.record.resize_masks else "height and width"
            raise DataError(
                f"{source.path}: the mask must have the {needed} of its image "
                f"{self.record.image.path}, got {shape} and {self.size}; {self._way_out(shape)}"
            )
        if shape == self.size:
            return mask
        if stacked:
            return np.array([resize_mask(part, self.size) for part in mask], np.bool_)
        return (resize_mask if mask.dtype == np.bool_ else resize_numbers)(mask, self.size)

    def _fits(self, shape: tuple[int, ...] | None) -> bool:
        """Tell whether truth of this size can be that of the upright image."""
        if shape is None or shape == self.size or not self.record.resize_masks:
            return shape == self.size
        return len(shape) == len(self.size) and 0 not in shape and same_view(shape, self.size)

    def _way_out(self, shape: tuple[int, ...] | None) -> str:
        """Return what to do with truth of another size than the image."""
        if shape is None or len(shape) != 2 or len(self.size) != 2 or 0 in shape:
            return "give a mask of this size"
        if same_view(shape, self.size):
            return "set resize_masks=True, or --resize-masks, to resize it"
        height, width = self.size
        return (
            "if it was squeezed with its image, as to a square, resize it to the image with "
            "nearest neighbors and store it: with Pillow, mask.resize("
            f"({width}, {height}), Image.Resampling.NEAREST); if it shows a part of the image, "
            "crop the image in the same way"
        )

    def _boxes(self, source: TargetRecord) -> NDArray[np.float64]:
        record, size = self.record, self.record.size
        path = source.path or record.image.path
        boxes = np.array(source.boxes, np.float64).reshape(-1, 2 * len(self.size))
        if self.orientation != UPRIGHT and self._is_stored(size, None, path):
            swapped = self.orientation in (5, 6, 7, 8)
            stored = self.size[::-1] if swapped else self.size
            boxes = turn_boxes(boxes, self.orientation, stored)
            size = None if size is None else size[::-1] if swapped else size
        if size is not None and size != self.size:
            raise DataError(
                f"{path}: boxes must be for an image of the size of {record.image.path}, got "
                f"{size} and {self.size}; boxes are not resized"
            )
        return clip_boxes(boxes, self.size, f"{path}: {record.name!r}")

    def _is_stored(self, shape: tuple[int, ...] | None, noted: int | None, path: Path) -> bool:
        """Tell whether truth of this size matches the pixels as stored, not the upright image."""
        orientation = self.orientation
        turned = shape[::-1] if shape is not None and orientation in (5, 6, 7, 8) else shape
        if self.record.mask_orientation is not None:
            return self.record.mask_orientation == "stored"
        if shape is not None and not (self._fits(shape) and self._fits(turned)):
            return self._fits(turned)
        stored = noted is None
        warn(
            f"{self.record.image.path} is stored rotated or mirrored (EXIF orientation "
            f"{orientation}) and the size of its mask {path} does not show whether the mask is "
            f"too; it is assumed to be {'stored alike' if stored else 'upright'}: set "
            "mask_orientation to 'stored' or 'upright'",
            OrientationWarning,
            stacklevel=6,
        )
        return stored


def turn_boxes(
    boxes: NDArray[np.float64], orientation: int, stored: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return boxes upright of an image of this size that is stored in an EXIF orientation."""
    x0, y0, x1, y1 = boxes.T
    height, width = stored
    if orientation in (5, 6, 7, 8):
        x0, y0, x1, y1, height, width = y0, x0, y1, x1, width, height
    if orientation in (3, 4, 7, 8):
        y0, y1 = height - y1, height - y0
    if orientation in (2, 3, 6, 7):
        x0, x1 = width - x1, width - x0
    return np.stack([x0, y0, x1, y1], axis=1)


def clip_boxes(
    boxes: NDArray[np.float64], size: tuple[int, ...], where: str
) -> NDArray[np.float64]:
    """Return boxes within an image; one without a pixel becomes the pixel that it is in.

    Raises
    ------
    DataError
        If a box leaves the image by more than one pixel.
    """
    axes = len(size)
    limit = np.array(size[::-1], np.float64)
    low, high = boxes[:, :axes], boxes[:, axes:]
    outside = (low < -_SLACK) | (high > limit + _SLACK) | (low >= limit) & (high > limit)
    if (bad := outside.any(1)).any():
        k = int(bad.argmax())
        raise DataError(
            f"{where}: box {k} must lie in the image of {size[::-1]} pixels (width first), got "
            f"{boxes[k].tolist()}"
        )
    low, high = np.clip(low, 0, limit), np.clip(high, 0, limit)
    pixel = np.clip(np.floor((low + high) / 2), 0, limit - 1)
    thin = high <= low
    return np.concatenate([np.where(thin, pixel, low), np.where(thin, pixel + 1, high)], axis=1)

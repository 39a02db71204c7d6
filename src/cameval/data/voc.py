"""PASCAL VOC: XML files of boxes, and indexed pictures of the objects' pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cameval.data._documents import Element, read_xml
from cameval.data._files import is_file, kind_at, list_folder
from cameval.data.label_tables import read_names
from cameval.data.objects import fill_box
from cameval.data.pictures import ImageFile, read_indices
from cameval.data.readers import PictureDataset, assign_group, check_choice
from cameval.data.records import Box, MaskOrientation, MaskSource, Record, TargetRecord
from cameval.errors import DataError, SettingError

__all__ = ["VOC_CLASSES", "VocDataset"]

VOC_CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
"""The 20 classes of PASCAL VOC, in the order of its segmentation indices."""

Difficult: TypeAlias = Literal["kept", "dropped", "ignored"]
"""What an object is that is marked as difficult."""

_VOID = 255
"""The index of pixels that belong to no class, at the outlines of objects."""


class VocDataset(PictureDataset):
    """Images with the objects of PASCAL VOC, or of another folder in its layout.

    The folder holds ``JPEGImages`` and ``Annotations``, and for segmentations ``SegmentationClass``
    and ``SegmentationObject``. Each class with an object in an image is a target, whose objects are
    kept apart. In the XML files the corners of a box are pixels counted from 1, and the last one
    belongs to the box; the boxes here are ``(xmin - 1, ymin - 1, xmax, ymax)``.

    With ``segmentation=True`` the objects are those of the two pictures: pixels with one index in
    ``SegmentationObject`` are an object, and their index in ``SegmentationClass`` is its class,
    counted from 1. The smallest boxes around them are their boxes. Pixels of index 255 (void) count
    for nothing.

    The XML files are checked at once. Pictures are decoded when they are asked for.

    Parameters
    ----------
    folder
        The folder of a year, such as ``VOCdevkit/VOC2012``.
    names
        The names of images, or a file with one on each line, such as
        ``"VOC2007/ImageSets/Main/test.txt"``. By default all that have an annotation.
    segmentation
        Whether the objects are those of the segmentations instead of the XML files' boxes.
    difficult
        What objects marked ``difficult`` in the XML files are: ``"kept"``, ``"dropped"`` as if they
        were not there, or ``"ignored"``: the pixels of their boxes count for nothing unless they
        are of another object.
    negatives
        Whether the classes that an image does not have are targets too, with an empty mask.
    class_names
        The classes, by default the twenty of PASCAL VOC.
    groups
        From the name of an image to its group. By default the name.
    stretch
        As in `ImageFile`.
    mask_orientation
        Orientation of boxes relative to photographs, as in `Record`.

    Raises
    ------
    SettingError
        If a setting is none of its values.
    DataError
        If a file is missing, is no XML or no annotation, or declares a document type; a class is
        not one of the names; a box has no area or leaves the image; or no image has an object. The
        message names file, line and object.

    References
    ----------
    .. [1] Everingham, M., et al. (2010). The Pascal Visual Object Classes (VOC) challenge.
       International Journal of Computer Vision 88, 303-338.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from cameval.data import VocDataset
    >>> with TemporaryDirectory() as root:
    ...     for name in ("JPEGImages", "Annotations"):
    ...         (Path(root) / name).mkdir()
    ...     Image.new("L", (6, 4)).save(Path(root) / "JPEGImages" / "000001.jpg")
    ...     _ = (Path(root) / "Annotations" / "000001.xml").write_text(
    ...         "<annotation><filename>000001.jpg</filename>"
    ...         "<size><width>6</width><height>4</height><depth>1</depth></size>"
    ...         "<object><name>dog</name><bndbox><xmin>2</xmin><ymin>1</ymin>"
    ...         "<xmax>4</xmax><ymax>3</ymax></bndbox></object></annotation>"
    ...     )
    ...     sample = VocDataset(root)[0]
    >>> sample, sample.targets[0].objects.boxes
    (Sample(name='000001', label=11, group='000001'), array([[1., 0., 4., 3.]]))
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        names: str | PathLike[str] | Sequence[str] | None = None,
        *,
        segmentation: bool = False,
        difficult: Difficult = "kept",
        negatives: bool = False,
        class_names: Sequence[str] = VOC_CLASSES,
        groups: Callable[[str], str] | None = None,
        stretch: bool = False,
        mask_orientation: MaskOrientation | None = None,
    ) -> None:
        check_choice("difficult", difficult, Difficult)
        if segmentation and difficult != "kept":
            raise SettingError(
                "difficult must be 'kept' with segmentation=True, whose pictures do not mark "
                f"difficult objects, got {difficult!r}"
            )
        folder = Path(folder)
        classes = {name: label for label, name in enumerate(class_names)}
        if len(classes) < len(class_names):
            raise SettingError(f"class_names must differ, got {list(class_names)}")
        records = []
        for name in _names(folder / "Annotations", names):
            picture = _image(folder / "JPEGImages", name)
            ignore: MaskSource | None
            size: tuple[int, int] | None
            if segmentation:
                targets, ignore = _segmented(folder, name, classes, negatives)
                size = None
            else:
                path = folder / "Annotations" / f"{name}.xml"
                size, objects = read_boxes(path, first=1, classes=classes)
                targets, ignore = _boxed(path, size, objects, difficult)
                if negatives:
                    targets |= {
                        label: TargetRecord() for label in classes.values() if label not in targets
                    }
            if not targets:
                continue
            records.append(
                Record(
                    name,
                    ImageFile(picture, stretch),
                    group=assign_group(groups, name, picture),
                    mask_orientation=mask_orientation,
                    targets=dict(sorted(targets.items())),
                    ignore=ignore,
                    size=size,
                )
            )
        if not records:
            raise DataError(
                f"{folder}: at least one image must have objects, got none; set negatives=True to "
                "keep images without"
            )
        super().__init__(records, tuple(class_names))


@dataclass(frozen=True)
class XmlObject:
    """An object of an XML file: its class, its box, and whether it is difficult."""

    label: int
    box: Box
    difficult: bool


def read_boxes(
    path: Path, first: int, classes: dict[str, int]
) -> tuple[tuple[int, int], list[XmlObject]]:
    """Read the objects of an XML file, and height and width of its image.

    Parameters
    ----------
    path
        The file.
    first
        The number of the first pixel: 0 or 1. The last pixel of a box belongs to it.
    classes
        From the names of classes to their indices.

    Raises
    ------
    DataError
        If the file is not what PASCAL VOC describes. The message names file, line and object.
    """
    root = read_xml(path, "annotation")
    size = root.only("size")
    height, width = (_side(size, side) for side in ("height", "width"))
    found = []
    for k, element in enumerate(root.all("object")):
        where = f"{element.where}: object {k}"
        name = element.word("name")
        if name not in classes:
            raise DataError(
                f"{where} must be of a known class, got {name!r}; give class_names with it"
            )
        marks = element.all("difficult")
        mark = element.number("difficult") if marks and marks[0].text.strip() else 0
        if mark not in (0, 1):
            raise DataError(f"{where}: <difficult> must be 0 or 1, got {mark:g}")
        box = element.only("bndbox")
        corners = [box.number(side) for side in ("xmin", "ymin", "xmax", "ymax")]
        x0, y0, x1, y1 = (
            corners[0] - first,
            corners[1] - first,
            *(c + 1 - first for c in corners[2:]),
        )
        if not (x0 < x1 and y0 < y1):
            raise DataError(f"{where}: its box must have an area, got {corners}")
        if x0 < -1 or y0 < -1 or x1 > width + 1 or y1 > height + 1:
            raise DataError(
                f"{where}: its box must lie in the image of {width} x {height} pixels, got "
                f"{corners}"
            )
        found.append(XmlObject(classes[name], (x0, y0, x1, y1), mark == 1))
    return (height, width), found


def _side(size: Element, name: str) -> int:
    value = size.number(name)
    if value < 1 or value != int(value):
        raise DataError(f"{size.where}: <{name}> must be a whole number from 1, got {value:g}")
    return int(value)


def boxes_by_class(path: Path, objects: Sequence[XmlObject]) -> dict[int, TargetRecord]:
    """Return a target for each class, with the boxes of its objects."""
    return {
        label: TargetRecord(boxes=[o.box for o in objects if o.label == label], path=path)
        for label in sorted({each.label for each in objects})
    }


def _boxed(
    path: Path, size: tuple[int, int], objects: list[XmlObject], difficult: Difficult
) -> tuple[dict[int, TargetRecord], "_DifficultBoxes | None"]:
    kept = [each for each in objects if difficult == "kept" or not each.difficult]
    left = [each for each in objects if difficult == "ignored" and each.difficult]
    ignore = None
    if left:
        boxes, others = tuple(each.box for each in left), tuple(each.box for each in kept)
        ignore = _DifficultBoxes(path, size, boxes, others)
    return boxes_by_class(path, kept), ignore


@dataclass(frozen=True)
class _DifficultBoxes:
    """The pixels of boxes that are not in other boxes."""

    path: Path
    size: tuple[int, int]
    boxes: tuple[Box, ...]
    others: tuple[Box, ...]

    def __call__(self) -> NDArray[np.bool_]:
        """Return the mask ``(H, W)``."""
        mask = np.zeros(self.size, np.bool_)
        for box in self.boxes:
            mask |= fill_box(np.array(box), self.size)
        for box in self.others:
            mask &= ~fill_box(np.array(box), self.size)
        return mask


@dataclass(frozen=True)
class _VocInstances:
    """The objects of one class in the pictures of a segmentation."""

    path: Path
    class_path: Path
    index: int

    def __call__(self) -> NDArray[np.intp]:
        """Return the numbers of the objects ``(H, W)``, 0 where there is none of the class."""
        numbers, classes = read_indices(self.path), read_indices(self.class_path)
        if numbers.shape != classes.shape:
            raise DataError(
                f"{self.path}: the picture must have the size of {self.class_path}, got "
                f"{numbers.shape} and {classes.shape}"
            )
        own = (classes == self.index) & (numbers != _VOID)
        if (numbers[own] == 0).any():
            raise DataError(
                f"{self.path}: pixels of class {self.index} in {self.class_path} must be of an "
                "object, got index 0 (background)"
            )
        return np.where(own, numbers, 0).astype(np.intp)


@dataclass(frozen=True)
class _Void:
    """The pixels of a segmentation that are of no class."""

    path: Path

    def __call__(self) -> NDArray[np.bool_]:
        """Return the mask ``(H, W)``."""
        return np.asarray(read_indices(self.path) == _VOID)


def _segmented(
    folder: Path, name: str, classes: dict[str, int], negatives: bool
) -> tuple[dict[int, TargetRecord], _Void]:
    by_class = folder / "SegmentationClass" / f"{name}.png"
    by_object = folder / "SegmentationObject" / f"{name}.png"
    found = np.unique(read_indices(by_class)).tolist()
    if wrong := [index for index in found if len(classes) < index < _VOID]:
        raise DataError(
            f"{by_class}: indices must be 0, {_VOID} or those of the {len(classes)} classes, "
            f"got {wrong[0]}"
        )
    targets: dict[int, TargetRecord] = {}
    for label in classes.values():
        if label + 1 in found:
            targets[label] = TargetRecord(instances=_VocInstances(by_object, by_class, label + 1))
        elif negatives:
            targets[label] = TargetRecord()
    return targets, _Void(by_class)


def _names(folder: Path, names: str | PathLike[str] | Sequence[str] | None) -> list[str]:
    """Return the names of images, in their order."""
    if names is None:
        found = [path.stem for path in list_folder(folder) if path.suffix.lower() == ".xml"]
    elif isinstance(names, str | PathLike):
        # Lists of one class have a second column: 1, -1 or 0.
        found = [line.split()[0] for line in read_names(names)]
    else:
        found = list(names)
    if not found:
        raise DataError(f"{folder}: there must be at least one image, got none")
    return found


def _image(folder: Path, name: str) -> Path:
    for suffix in (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG"):
        if is_file(folder / f"{name}{suffix}"):
            return folder / f"{name}{suffix}"
    path = folder / f"{name}.jpg"
    raise DataError(f"{path}: the image of annotation {name!r} must exist, got {kind_at(path)}")

"""Images with objects in a JSON file, as COCO writes it: boxes, polygons, run lengths."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from PIL import Image

from cameval.data._documents import is_whole, read_json, short
from cameval.data._files import is_file, kind_at
from cameval.data._shapes import Instances, Outlines, Shape, parse_box, parse_shape
from cameval.data.pictures import ImageFile
from cameval.data.readers import PictureDataset, assign_group, check_choice
from cameval.data.records import Box, MaskOrientation, Record, TargetRecord, clip_boxes
from cameval.errors import DataError, SettingError

__all__ = ["CocoDataset"]

Classes: TypeAlias = Literal["all", "largest"]
Crowds: TypeAlias = Literal["ignored", "objects", "dropped"]

_Entry = dict[str, Any]


class CocoDataset(PictureDataset):
    """Images with the objects of a COCO file, in the order of the file.

    Each category with an object in an image is a target, whose objects are kept apart with their
    masks and boxes. Labels count the categories in the order of their ids. An object's mask is its
    segmentation - polygons, or run lengths as numbers or as a compressed string - or, if that is
    missing or empty, its box; a pixel is in a polygon if its center is. Boxes are those of the
    file, clipped to the image, or else the smallest around the segmentation. The name of an image
    is its file name without suffix.

    With ``classes="largest"`` each image has one target: the category of its largest object, by the
    area of its shape. Objects marked ``iscrowd`` decide only where there are no others, and of
    equals the category with the lowest id does. The mask is the union of all objects of that
    category, crowds included.

    Everything but the images is checked at once. Images are decoded when they are asked for, as
    `cameval.data.pictures` describes.

    Parameters
    ----------
    annotations
        The JSON file.
    images
        The folder of the images, to which their file names are relative.
    classes
        ``"all"`` categories of an image are targets, or the category of its ``"largest"`` object.
    category
        Name or names of the only categories that are used. By default all are.
    negatives
        Whether the categories that an image does not have are targets too, with an empty mask.
    crowds
        What regions marked ``iscrowd`` are in ``classes="all"``: ``"ignored"`` pixels, which count
        for nothing unless they are of another object; ``"objects"``; or ``"dropped"``.
    empty_label
        The label of images without objects (of the categories), which get an empty mask. By default
        such images are left out.
    groups
        From the name of an image to its group. By default the name.
    stretch
        As in `ImageFile`: scale each image by its own minimum and maximum.
    mask_orientation
        Orientation of the shapes relative to photographs, as in `Record`.

    Raises
    ------
    SettingError
        If there is no such category, the empty label is none of the categories', or a setting is
        none of its values.
    DataError
        If the file is missing or not JSON, or an entry is not what COCO describes; an image does
        not exist or is of another size; ids come twice or refer to nothing. The message names file
        and entry.

    Examples
    --------
    >>> import json
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from cameval.data import CocoDataset
    >>> boxes = [(18, [1, 1, 3, 2]), (18, [4, 1, 2, 2]), (17, [0, 0, 1, 4])]
    >>> content = {
    ...     "images": [{"id": 7, "file_name": "1.png", "height": 4, "width": 6}],
    ...     "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}],
    ...     "annotations": [{"image_id": 7, "category_id": i, "bbox": box} for i, box in boxes],
    ... }
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("L", (6, 4)).save(Path(folder) / "1.png")
    ...     _ = (Path(folder) / "objects.json").write_text(json.dumps(content))
    ...     dataset = CocoDataset(Path(folder) / "objects.json", folder)
    ...     sample = dataset[0]
    >>> dataset.class_names, sample
    (('cat', 'dog'), Sample(name='1', labels=(0, 1), group='1'))
    >>> sample.targets[1].objects.boxes
    array([[1., 1., 4., 3.],
           [4., 1., 6., 3.]])
    """

    def __init__(
        self,
        annotations: str | PathLike[str],
        images: str | PathLike[str],
        *,
        classes: Classes = "all",
        category: str | Collection[str] | None = None,
        negatives: bool = False,
        crowds: Crowds = "ignored",
        empty_label: int | None = None,
        groups: Callable[[str], str] | None = None,
        stretch: bool = False,
        mask_orientation: MaskOrientation | None = None,
    ) -> None:
        path, folder = Path(annotations), Path(images)
        check_choice("classes", classes, Classes)
        check_choice("crowds", crowds, Crowds)
        if negatives and (classes == "largest" or empty_label is not None):
            raise SettingError(
                "negatives must be without classes='largest' and without empty_label, got both"
            )
        content = read_json(path, "with images, annotations and categories")
        names = _categories(path, content)
        wanted = _ids_called(category, names)
        if empty_label is not None and not (is_whole(empty_label, 0) and empty_label < len(names)):
            raise SettingError(
                f"empty_label must be the label of a category, below {len(names)}, "
                f"got {empty_label!r}"
            )
        choose = _Choice(
            path, {i: k for k, i in enumerate(names)}, wanted, classes, negatives, crowds
        )
        pictures = _images(path, content, folder)
        objects = _objects(path, content, pictures, names)
        records = []
        for identity, picture in pictures.items():
            truth = choose(picture, [each for each in objects[identity] if each.category in wanted])
            if truth is None and empty_label is None:
                continue
            targets, ignore = truth or ({empty_label or 0: TargetRecord(path=path)}, None)
            name = Path(picture.name).with_suffix("").as_posix()
            records.append(
                Record(
                    name,
                    ImageFile(picture.file, stretch),
                    group=assign_group(groups, name, picture.file),
                    mask_orientation=mask_orientation,
                    targets=targets,
                    ignore=ignore,
                    size=(picture.height, picture.width),
                )
            )
        if not records:
            raise DataError(
                f"{path}: at least one image must have objects of {category or 'any category'!r}, "
                "got none; set empty_label to keep images without"
            )
        super().__init__(records, tuple(names.values()))


@dataclass(frozen=True)
class _Object:
    """An annotation: its category, its shape and box, and whether it is a crowd."""

    category: int
    shape: Shape
    outlined: bool
    box: Box | None
    crowd: bool
    where: str

    def rank(self) -> tuple[bool, float, int]:
        """Return a key that is greatest for the object that decides the category of its image."""
        return not self.crowd, self.shape.area, -self.category

    def box_in(self, height: int, width: int) -> Box:
        """Return the box of the object, clipped to its image."""
        box = self.shape.box(height, width) if self.box is None else self.box
        if box is None:
            raise DataError(
                f"{self.where}: an object must have a pixel, got an empty segmentation and no box; "
                "remove the annotation"
            )
        found: Box = tuple(clip_boxes(np.array([box], float), (height, width), self.where)[0])
        return tuple(map(float, found))


@dataclass(frozen=True)
class _Choice:
    """From the objects of an image to its targets and the pixels that are ignored."""

    path: Path
    labels: Mapping[int, int]
    wanted: Collection[int]
    classes: Classes
    negatives: bool
    crowds: Crowds

    def __call__(
        self, picture: "_Picture", objects: list[_Object]
    ) -> tuple[dict[int, TargetRecord], Outlines | None] | None:
        """Return targets and ignored pixels, None if the image is left out."""
        size = (picture.height, picture.width)
        if self.classes == "largest":
            return self._largest(size, objects) if objects else None
        crowds = [each for each in objects if each.crowd and self.crowds != "objects"]
        kept = [each for each in objects if not each.crowd or self.crowds == "objects"]
        targets = {}
        for category, label in self.labels.items():
            own = [each for each in kept if each.category == category]
            if own:
                targets[label] = self._target(size, own)
            elif self.negatives and category in self.wanted:
                targets[label] = TargetRecord(path=self.path)
        ignore = None
        if crowds and self.crowds == "ignored":
            shapes = tuple(each.shape for each in crowds)
            ignore = Outlines(self.path, *size, shapes, tuple(each.shape for each in kept))
        return (targets, ignore) if targets else None

    def _largest(
        self, size: tuple[int, int], objects: list[_Object]
    ) -> tuple[dict[int, TargetRecord], None]:
        main = max(objects, key=_Object.rank).category
        shapes = tuple(each.shape for each in objects if each.category == main)
        return {self.labels[main]: TargetRecord(Outlines(self.path, *size, shapes))}, None

    def _target(self, size: tuple[int, int], objects: list[_Object]) -> TargetRecord:
        boxes = tuple(each.box_in(*size) for each in objects)
        if not any(each.outlined for each in objects):
            return TargetRecord(boxes=boxes, path=self.path)
        shapes = tuple(each.shape for each in objects)
        return TargetRecord(
            boxes=boxes, instances=Instances(self.path, *size, shapes, boxes), path=self.path
        )


def _entries(path: Path, content: _Entry, key: str) -> list[tuple[str, _Entry]]:
    """Return the entries of a list, each with the words that name it."""
    entries = content.get(key)
    if not isinstance(entries, list):
        came = "nothing" if key not in content else type(entries).__name__
        raise DataError(f"{path}: {key} must be a list, got {came}")
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise DataError(f"{path}: {key}[{i}] must be an object, got {type(entry).__name__}")
    return [(f"{path}: {key}[{i}]", entry) for i, entry in enumerate(entries)]


def _whole(entry: _Entry, key: str, where: str, least: int) -> int:
    value = entry.get(key)
    if isinstance(value, float) and value.is_integer():  # as programs write an id after a gap
        value = int(value)
    if not is_whole(value, least):
        came = short(value) if key in entry else "nothing"
        raise DataError(f"{where}.{key}: must be a whole number from {least}, got {came}")
    return value


def _text(entry: _Entry, key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        came = short(value) if key in entry else "nothing"
        raise DataError(f"{where}.{key}: must be a text that is not empty, got {came}")
    return value


def _identity(entry: _Entry, where: str, known: Mapping[int, object]) -> int:
    identity = _whole(entry, "id", where, 0)
    if identity in known:
        raise DataError(f"{where}.id: must differ from the others, got {identity} again")
    return identity


def _categories(path: Path, content: _Entry) -> dict[int, str]:
    """Return the names by id, in the order of the ids."""
    found: dict[int, str] = {}
    names: set[str] = set()
    for where, entry in _entries(path, content, "categories"):
        name = _text(entry, "name", where)
        if name in names:
            raise DataError(f"{where}.name: must differ from the others, got {name!r} again")
        names.add(name)
        found[_identity(entry, where, found)] = name
    return dict(sorted(found.items()))


def _ids_called(category: str | Collection[str] | None, classes: Mapping[int, str]) -> set[int]:
    if category is None:
        return set(classes)
    wanted = [category] if isinstance(category, str) else list(category)
    if not wanted or (wrong := [name for name in wanted if name not in classes.values()]):
        came = repr(wrong[0]) if wanted else "none"
        raise SettingError(f"category must be one of {list(classes.values())}, got {came}")
    return {identity for identity, name in classes.items() if name in wanted}


@dataclass(frozen=True)
class _Picture:
    """An image: its file, the name of that, and its size."""

    file: Path
    name: str
    height: int
    width: int


def _images(path: Path, content: _Entry, folder: Path) -> dict[int, _Picture]:
    """Return the images by id, in their order."""
    found: dict[int, _Picture] = {}
    stems: set[Path] = set()
    for where, entry in _entries(path, content, "images"):
        identity = _identity(entry, where, found)
        height, width = (_whole(entry, side, where, 1) for side in ("height", "width"))
        if Image.MAX_IMAGE_PIXELS is not None and height * width > Image.MAX_IMAGE_PIXELS:
            raise DataError(
                f"{where}: an image must have at most {Image.MAX_IMAGE_PIXELS} pixels, "
                f"got {height} x {width}; set PIL.Image.MAX_IMAGE_PIXELS higher if you trust it"
            )
        name = _text(entry, "file_name", where)
        file = folder / name
        if not is_file(file):
            raise DataError(f"{where}.file_name: must name a file, got {kind_at(file)}: {file}")
        if file.with_suffix("") in stems:
            raise DataError(f"{where}.file_name: must differ from the others, got {name!r} again")
        stems.add(file.with_suffix(""))
        found[identity] = _Picture(file, name, height, width)
    return found


def _objects(
    path: Path,
    content: _Entry,
    pictures: Mapping[int, _Picture],
    classes: Mapping[int, str],
) -> dict[int, list[_Object]]:
    """Return the objects of each image."""
    found: dict[int, list[_Object]] = {identity: [] for identity in pictures}
    known: dict[int, None] = {}
    for where, entry in _entries(path, content, "annotations"):
        if "id" in entry:
            known[_identity(entry, where, known)] = None
        image = _whole(entry, "image_id", where, 0)
        if image not in pictures:
            raise DataError(f"{where}.image_id: must be the id of an image, got {image}")
        category = _whole(entry, "category_id", where, 0)
        if category not in classes:
            raise DataError(f"{where}.category_id: must be the id of a category, got {category}")
        crowd = entry.get("iscrowd", 0)
        if not isinstance(crowd, int | float) or crowd not in (0, 1):
            raise DataError(f"{where}.iscrowd: must be 0 or 1, got {short(crowd)}")
        size = pictures[image]
        shape = parse_shape(entry, size.height, size.width, where)
        box = entry.get("bbox")
        if box is not None:
            box = parse_box(box, size.height, size.width, f"{where}.bbox")
        outlined = bool(entry.get("segmentation"))
        found[image].append(_Object(category, shape, outlined, box, bool(crowd), where))
    return found

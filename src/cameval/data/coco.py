"""Images with objects in a JSON file, as COCO writes it: boxes, polygons, run lengths."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cameval.data._files import is_file, kind_at, read_file
from cameval.data._shapes import Shape, is_whole, parse_shape, short
from cameval.data.pictures import ImageFile
from cameval.data.readers import MaskOrientation, PictureDataset, Record, assign_group
from cameval.errors import DataError, SettingError

__all__ = ["CocoDataset"]

_Entry = dict[str, Any]


@dataclass(frozen=True)
class Outlines:
    """A mask that is the union of shapes, computed when called.

    Parameters
    ----------
    path
        The file that the shapes are from.
    height, width
        The size of the mask.
    shapes
        The objects; none give an empty mask.
    """

    path: Path
    height: int
    width: int
    shapes: tuple[Shape, ...] = field(repr=False)

    def __call__(self) -> NDArray[np.bool_]:
        """Return the mask ``(H, W)``."""
        mask = np.zeros((self.height, self.width), dtype=np.bool_)
        for shape in self.shapes:
            mask |= shape(self.height, self.width)
        return mask


class CocoDataset(PictureDataset):
    """Images with the objects of a COCO file, in the order of the file.

    The category of an image is that of its largest object, by the area of its shape; objects marked
    ``iscrowd`` decide only where there are no others, and of equals the category with the lowest id
    does. The mask is the union of all objects of that category, crowds included. Labels count the
    categories in the order of their ids. An object's shape is its segmentation - polygons, or run
    lengths as numbers or as a compressed string - or, if that is missing or empty, its box; a
    pixel is in a polygon if its center is. The name of an image is its file name without suffix.

    Everything but the images is checked at once. Images are decoded when they are asked for, as
    `cameval.data.pictures` describes.

    Parameters
    ----------
    annotations
        The JSON file.
    images
        The folder of the images, to which their file names are relative.
    category
        Name of the only category that is used. By default all are.
    empty_label
        The label of images without objects (of the category), which get an empty mask. By default
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
        If there is no such category, or the empty label is none of the categories'.
    DataError
        If the file is missing or not JSON, or an entry is not what COCO describes; an image does
        not exist or is of another size; ids come twice or refer to nothing. The message names file
        and entry.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> content = {
    ...     "images": [{"id": 7, "file_name": "1.png", "height": 4, "width": 6}],
    ...     "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}],
    ...     "annotations": [{"image_id": 7, "category_id": 18, "bbox": [1, 1, 3, 2]}],
    ... }
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("L", (6, 4)).save(Path(folder) / "1.png")
    ...     _ = (Path(folder) / "objects.json").write_text(json.dumps(content))
    ...     dataset = CocoDataset(Path(folder) / "objects.json", folder)
    ...     dataset.class_names, dataset[0].label, dataset[0].mask.astype(int)
    (('cat', 'dog'), 1, array([[0, 0, 0, 0, 0, 0],
           [0, 1, 1, 1, 0, 0],
           [0, 1, 1, 1, 0, 0],
           [0, 0, 0, 0, 0, 0]]))
    """

    def __init__(
        self,
        annotations: str | PathLike[str],
        images: str | PathLike[str],
        *,
        category: str | None = None,
        empty_label: int | None = None,
        groups: Callable[[str], str] | None = None,
        stretch: bool = False,
        mask_orientation: MaskOrientation | None = None,
    ) -> None:
        path, folder = Path(annotations), Path(images)
        content = _read_json(path)
        classes = _categories(path, content)
        wanted = set(classes) if category is None else _ids_called(category, classes)
        if empty_label is not None and not (
            is_whole(empty_label, 0) and empty_label < len(classes)
        ):
            raise SettingError(
                f"empty_label must be the label of a category, below {len(classes)}, "
                f"got {empty_label!r}"
            )
        order = {identity: label for label, identity in enumerate(classes)}
        pictures = _images(path, content, folder)
        objects = _objects(path, content, pictures, classes)
        records = []
        for identity, picture in pictures.items():
            own = [item for item in objects[identity] if item.category in wanted]
            if not own and empty_label is None:
                continue
            label, shapes = empty_label or 0, tuple[Shape, ...]()
            if own:
                main = max(own, key=_Object.rank).category
                label = order[main]
                shapes = tuple(item.shape for item in own if item.category == main)
            name = Path(picture.name).with_suffix("").as_posix()
            records.append(
                Record(
                    name,
                    ImageFile(picture.file, stretch),
                    Outlines(path, picture.height, picture.width, shapes),
                    label,
                    assign_group(groups, name, picture.file),
                    mask_orientation,
                )
            )
        if not records:
            raise DataError(
                f"{path}: at least one image must have objects of {category or 'any category'!r}, "
                "got none; set empty_label to keep images without"
            )
        super().__init__(records, tuple(classes.values()))


@dataclass(frozen=True)
class _Object:
    """An annotation: its category, its shape, and whether it is a crowd."""

    category: int
    shape: Shape
    crowd: bool

    def rank(self) -> tuple[bool, float, int]:
        """Return a key that is greatest for the object that decides the category of its image."""
        return not self.crowd, self.shape.area, -self.category


def _read_json(path: Path) -> _Entry:
    raw = read_file(path, "a JSON file")
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:  # of syntax, of encoding, of depth
        raise DataError(f"{path}: the file must be JSON, {error}") from error
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: the file must hold an object with images, annotations and categories, "
            f"got {type(content).__name__}"
        )
    return content


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


def _ids_called(category: str, classes: Mapping[int, str]) -> set[int]:
    ids = {identity for identity, name in classes.items() if name == category}
    if not ids:
        raise SettingError(f"category must be one of {list(classes.values())}, got {category!r}")
    return ids


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
        if crowd not in (0, 1):
            raise DataError(f"{where}.iscrowd: must be 0 or 1, got {short(crowd)}")
        size = pictures[image]
        shape = parse_shape(entry, size.height, size.width, where)
        found[image].append(_Object(category, shape, bool(crowd)))
    return found

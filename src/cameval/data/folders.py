"""A folder of images and a folder of masks, matched by their names."""

from collections.abc import Callable, Collection, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from cameval.data._files import FOLDER, kind_at, list_folder, same_file
from cameval.data.pictures import FILE_SUFFIXES, ImageFile, MaskFile
from cameval.data.readers import (
    MaskOrientation,
    PictureDataset,
    Record,
    assign_group,
    shorten_names,
)
from cameval.data.samples import class_index
from cameval.errors import DataError

__all__ = ["FolderDataset"]


class FolderDataset(PictureDataset):
    """Images and masks in two folders, matched by their names without suffix.

    The images are either all directly in their folder, or each is in the subfolder of its class,
    and the masks are in subfolders of the same names; the names are then ``class/name``. Hidden
    files and files without a suffix of PNG, JPEG, TIFF, BMP or WebP are left out. The order is that
    of the names. `cameval.data.pictures` describes how files are decoded.

    Parameters
    ----------
    images
        The folder of images.
    masks
        The folder of masks. It may be the folder of images if there is a mask suffix.
    labels
        From the name of an image to its class index, or to None where that is not known. By
        default it is the index of the subfolder among the sorted subfolders, and None where there
        are none.
    groups
        From the name of an image to its group, such as ``lambda name: name.split("_")[0]``. By
        default the name.
    mask_suffix
        The text that follows the image's name in the name of its mask, such as ``"_mask"``.
    mask_value, mask_threshold
        As `MaskFile`'s value and threshold: which pixels of a mask are the object.
    stretch
        As in `ImageFile`: scale each image by its own minimum and maximum.
    mask_orientation
        Orientation of masks whose files note none, as in `Record`.

    Raises
    ------
    SettingError
        If a setting of the masks is out of its range.
    DataError
        If a folder is missing or holds no images, an image has no mask or no label or a mask no
        image, two files have one name, or subfolders lie beside images or in subfolders.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> with TemporaryDirectory() as root:
    ...     for path in ("images/cat/1", "images/dog/1", "masks/cat/1", "masks/dog/1"):
    ...         (Path(root) / path).parent.mkdir(parents=True)
    ...         Image.new("L", (6, 4)).save(Path(root) / f"{path}.png")
    ...     dataset = FolderDataset(Path(root) / "images", Path(root) / "masks")
    ...     dataset.names, dataset.class_names, dataset[1]
    (('cat/1', 'dog/1'), ('cat', 'dog'), Sample(name='dog/1', label=1, group='dog/1'))
    """

    def __init__(
        self,
        images: str | PathLike[str],
        masks: str | PathLike[str],
        *,
        labels: Mapping[str, int | None] | None = None,
        groups: Callable[[str], str] | None = None,
        mask_suffix: str = "",
        mask_value: int | Collection[int] | None = None,
        mask_threshold: float | None = None,
        stretch: bool = False,
        mask_orientation: MaskOrientation | None = None,
    ) -> None:
        images, masks = Path(images), Path(masks)
        pictures, classes = _search(images)
        truths, _ = _search(masks)
        if mask_suffix and same_file(images, masks):
            pictures = {n: path for n, path in pictures.items() if not n.endswith(mask_suffix)}
            truths = {n: path for n, path in truths.items() if n.endswith(mask_suffix)}
        truths = _without_suffix(truths, mask_suffix, masks)
        _check_pairs(images, pictures, masks, truths)
        super().__init__(
            [
                Record(
                    name,
                    ImageFile(path, stretch),
                    MaskFile(truths[name], mask_value, mask_threshold),
                    _label(name, labels, classes, path),
                    assign_group(groups, name, path),
                    mask_orientation,
                )
                for name, path in pictures.items()
            ],
            () if labels is not None else classes,
        )


def _search(folder: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Return the image files of a folder by name, in order, and the names of its subfolders."""
    entries = _visible(folder)
    classes = tuple(entry.name for entry in entries if kind_at(entry) == FOLDER)
    files = [entry for entry in entries if _is_picture(entry)]
    if classes and files:
        raise DataError(
            f"{folder}: images must lie in the folder or in subfolders, one for each class, got "
            f"both ({files[0].name!r} beside the folder {classes[0]!r})"
        )
    for name in classes:
        inner = _visible(folder / name)
        if deeper := [entry for entry in inner if kind_at(entry) == FOLDER]:
            raise DataError(
                f"{deeper[0]}: the folder of a class must hold no folders, got one; name the "
                "folder above the classes"
            )
        files += [entry for entry in inner if _is_picture(entry)]
    if not files:
        raise DataError(
            f"{folder}: the folder must hold images, got none of {sorted(FILE_SUFFIXES)}"
        )
    found: dict[str, Path] = {}
    for path in files:
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DataError(
                f"{path}: names without suffix must differ, got {found[name].name!r} as well"
            )
        found[name] = path
    return dict(sorted(found.items())), classes


def _visible(folder: Path) -> list[Path]:
    return [entry for entry in list_folder(folder) if not entry.name.startswith(".")]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in FILE_SUFFIXES and kind_at(path) != FOLDER


def _without_suffix(truths: dict[str, Path], suffix: str, masks: Path) -> dict[str, Path]:
    if others := [name for name in truths if not name.endswith(suffix)]:
        raise DataError(
            f"{masks}: names of masks must end in {suffix!r}, got {shorten_names(others)}"
        )
    return {name.removesuffix(suffix): path for name, path in truths.items()}


def _check_pairs(
    images: Path, pictures: Mapping[str, Path], masks: Path, truths: Mapping[str, Path]
) -> None:
    if alone := [name for name in pictures if name not in truths]:
        raise DataError(
            f"{masks}: every image must have a mask, got none for {shorten_names(alone)}"
        )
    if alone := [name for name in truths if name not in pictures]:
        raise DataError(
            f"{images}: every mask must have an image, got none for {shorten_names(alone)}"
        )


def _label(
    name: str, labels: Mapping[str, Any] | None, classes: tuple[str, ...], path: Path
) -> int | None:
    if labels is None:
        return classes.index(name.partition("/")[0]) if classes else None
    if name not in labels:
        raise DataError(f"{path}: labels must have every image, got none for {name!r}")
    return class_index(labels[name], f"{path}: the label of {name!r}")

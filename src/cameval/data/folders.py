"""A folder of images and a folder of masks, matched by their names."""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from cameval.data._files import FOLDER, kind_at, list_folder, same_file
from cameval.data._name_hints import check_rows, describe_rows
from cameval.data.mask_values import warn_of_values
from cameval.data.pictures import FILE_SUFFIXES, ImageFile, MaskFile
from cameval.data.readers import (
    PictureDataset,
    assign_group,
    check_choice,
    check_class_names,
    shorten_names,
)
from cameval.data.records import WITHOUT_MASK, MaskOrientation, Missing, Record
from cameval.data.targets import class_index
from cameval.errors import DataError, SettingError

__all__ = ["FolderDataset"]

_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
"""Names, in lower case, of the parts of a data set, which are no classes."""


class FolderDataset(PictureDataset):
    """Images in one folder and masks in others, matched by their names without suffix.

    The images are either all directly in their folder, or each is in the subfolder of its class,
    and the masks are in subfolders of the same names; the names are then ``class/name``. Subfolders
    that are no classes, such as those of patients, need `labels`. Hidden files and files without a
    suffix of PNG, JPEG, TIFF, BMP or WebP are left out. The order is that of the names.
    `cameval.data.pictures` describes how files are decoded.

    Parameters
    ----------
    images
        The folder of images.
    masks
        The folder of masks. It may be the folder of images if there is a mask suffix. For several
        targets an image, the folder of the masks of each class, by the name of the class:
        ``{"effusion": "masks/effusion", "edema": "masks/edema"}``; without `class_names` their
        labels count the names in the order given. None if no image has an object.
    labels
        A mapping or a function from the name of an image to its class index, or to None where that
        is not known. By default it is the index of the subfolder among the sorted subfolders, or
        its place in `class_names`, and None where there are no subfolders. Subfolders with the
        names of the parts of a data set, such as ``train`` and ``val``, are no classes and need
        labels or class names.
    groups
        A mapping or a function from the name of an image to its group, such as
        ``lambda name: name.split("_")[0]``. By default the name.
    mask_suffix
        The text that follows the image's name in the name of its mask, such as ``"_mask"``.
    mask_value, mask_threshold
        As `MaskFile`'s value and threshold: which pixels of a mask are the object.
    stretch
        As in `ImageFile`: scale each image by its own minimum and maximum.
    mask_orientation
        Orientation of masks whose files note none, as in `Record`.
    missing_masks
        What an image without a mask is: an ``"error"``; a ``"negative"``, an image without an
        object, whose mask is empty; or to ``"skip"``, as where the object is not drawn. The dataset
        then lacks the image, and `without_mask` has its name. It needs no label. With a folder of
        masks for each class the target of that class is left out, and an image without any.
    info
        A mapping from the name of an image to more columns of the tables, as `Sample`'s info.
    ignore
        A folder of masks of the pixels that count for nothing, such as a ruler, by the names of the
        images. An image without a file there has none.
    resize_masks
        Whether masks of another size than their image are resized, as in `Record`.
    extra_masks
        Whether masks may have no image, as where only some of the images are in the folder. Such
        masks are not read. By default they are an error.
    class_names
        The class of label 0, 1, ..., in the order of the network's outputs. Folders of classes have
        the labels of their places in it; it may name more classes than there are folders.

    Raises
    ------
    SettingError
        If a setting is out of its range, a class name comes twice, or there are labels beside the
        classes of the masks.
    DataError
        If a folder is missing or holds no images, an image has no mask, label, group or info or a
        mask no image, no row of these names an image, two files have one name, subfolders lie
        beside images or in subfolders, a class has no class name, or a subfolder without one is
        named as a part of a data set.

    Warns
    -----
    MaskValueWarning
        If masks hold other nonzero values than `mask_value`, or none of them holds it.
    UserWarning
        If rows of `labels`, `groups` or `info` name no image.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from cameval.data import FolderDataset
    >>> with TemporaryDirectory() as root:
    ...     for path in ("images/cat/1", "images/dog/1", "masks/cat/1", "masks/dog/1"):
    ...         (Path(root) / path).parent.mkdir(parents=True)
    ...         Image.new("L", (6, 4)).save(Path(root) / f"{path}.png")
    ...     dataset = FolderDataset(Path(root) / "images", Path(root) / "masks")
    ...     dataset.names, dataset.class_names, dataset[1]
    (('cat/1', 'dog/1'), ('cat', 'dog'), Sample(name='dog/1', label=1, group='dog/1'))

    Two classes an image, the second one absent:

    >>> with TemporaryDirectory() as root:
    ...     for path in ("images/1", "effusion/1"):
    ...         (Path(root) / path).parent.mkdir(parents=True)
    ...         Image.new("L", (6, 4)).save(Path(root) / f"{path}.png")
    ...     (Path(root) / "edema").mkdir()
    ...     folders = {"effusion": Path(root) / "effusion", "edema": Path(root) / "edema"}
    ...     FolderDataset(Path(root) / "images", folders, missing_masks="negative")[0]
    Sample(name='1', labels=(0, 1), group='1')
    """

    def __init__(
        self,
        images: str | PathLike[str],
        masks: str | PathLike[str] | Mapping[str, str | PathLike[str]] | None,
        *,
        labels: Mapping[str, int | None] | Callable[[str], int | None] | None = None,
        groups: Mapping[str, str] | Callable[[str], str] | None = None,
        mask_suffix: str = "",
        mask_value: int | Collection[int] | None = None,
        mask_threshold: float | None = None,
        stretch: bool = False,
        mask_orientation: MaskOrientation | None = None,
        missing_masks: Missing = "error",
        info: Mapping[str, Mapping[str, Any]] | None = None,
        ignore: str | PathLike[str] | None = None,
        resize_masks: bool = False,
        extra_masks: bool = False,
        class_names: Sequence[str] | None = None,
    ) -> None:
        check_choice("missing_masks", missing_masks, Missing)
        given = check_class_names(class_names)
        _check_kinds(labels, groups, info)
        images = Path(images)
        pictures, subfolders = _search(images)
        if labels is None:
            _check_splits([name for name in subfolders if name not in given], images)
        classes = given or (subfolders if labels is None else ())
        several = isinstance(masks, Mapping)
        places: dict[str, int] = {}
        find = _Masks(
            *(images, mask_suffix, missing_masks, extra_masks, mask_value, mask_threshold)
        )
        if isinstance(masks, Mapping):
            if labels is not None or subfolders or not masks:
                raise SettingError(
                    "masks of several classes must be one folder or more, without labels and "
                    "without subfolders of images, got "
                    f"{'no folder' if not masks else 'labels' if not subfolders else 'subfolders'}"
                )
            folders = [Path(folder) for folder in masks.values()]
            for folder in folders:
                pictures = find.only_images(pictures, folder)
            classes = given or tuple(masks)
            labeled = zip((_place(name, classes, images) for name in masks), folders, strict=True)
            by_class = {label: find(pictures, folder) for label, folder in sorted(labeled)}
        else:
            if labels is None:
                places = {name: _place(name, classes, images) for name in subfolders}
            truths = None if masks is None else Path(masks)
            pictures = pictures if truths is None else find.only_images(pictures, truths)
            by_class = {0: find(pictures, truths)}
        of_ignored = _Masks(images, "", "negative", extra_masks)
        ignored = {} if ignore is None else of_ignored(pictures, Path(ignore))
        tables = _tables(labels, groups, info)
        without_image = check_rows(tables, pictures, images)
        records, left = [], []
        for name, path in pictures.items():
            own = {label: found.get(name) for label, found in by_class.items()}
            if missing_masks == "skip":
                left += [name for mask in own.values() if mask is None]
                own = {label: mask for label, mask in own.items() if mask is not None}
                if not own:
                    continue
            _check_rows_of(name, tables, pictures, path)
            records.append(
                Record(
                    name,
                    ImageFile(path, stretch),
                    None if several else own[0],
                    None if several else _label(name, labels, places, path),
                    assign_group(groups, name, path),
                    mask_orientation,
                    targets=own if several else {},
                    info={} if info is None else info[name],
                    ignore=ignored.get(name),
                    resize_masks=resize_masks,
                )
            )
        super().__init__(records, classes)
        if without_image:
            warnings.warn(without_image, stacklevel=2)
        warn_of_values([mask for found in by_class.values() for mask in found.values()])
        self._without_mask = tuple(left)


@dataclass(frozen=True)
class _Masks:
    """The rule that finds the masks of images in a folder."""

    images: Path
    suffix: str
    missing: Missing
    extra: bool
    value: int | Collection[int] | None = None
    threshold: float | None = None

    def __call__(self, pictures: Mapping[str, Path], masks: Path | None) -> dict[str, MaskFile]:
        """Return the masks of images by name; of an image without one there is none."""
        if masks is None:
            if self.missing != "negative":
                raise SettingError(
                    "masks must be a folder, got None; set missing_masks='negative', or "
                    "--missing-masks negative, if no image has an object"
                )
            return {}
        truths, _ = _search(masks, may_be_empty=self.missing == "negative")
        if self._shared(masks):
            truths = {n: path for n, path in truths.items() if n.endswith(self.suffix)}
        truths = _without_suffix(truths, self.suffix, masks)
        if self.missing == "error" and (alone := [name for name in pictures if name not in truths]):
            raise DataError(
                f"{masks}: every image must have a mask, got none for {shorten_names(alone)}; "
                f"{_other_suffix(alone, truths) or WITHOUT_MASK}"
            )
        if alone := [name for name in truths if name not in pictures]:
            if not self.extra:
                hint = _other_suffix([name for name in pictures if name not in truths], truths)
                raise DataError(
                    f"{self.images}: every mask must have an image, got none for "
                    f"{shorten_names(alone)}{'; ' * bool(hint)}{hint}"
                )
            truths = {name: path for name, path in truths.items() if name in pictures}
        return {name: MaskFile(path, self.value, self.threshold) for name, path in truths.items()}

    def only_images(self, pictures: dict[str, Path], masks: Path) -> dict[str, Path]:
        """Return the images of a folder in which masks are too."""
        if not self._shared(masks):
            return pictures
        return {n: path for n, path in pictures.items() if not n.endswith(self.suffix)}

    def _shared(self, masks: Path) -> bool:
        return bool(self.suffix) and same_file(self.images, masks)


def _search(folder: Path, *, may_be_empty: bool = False) -> tuple[dict[str, Path], tuple[str, ...]]:
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
    if not files and not may_be_empty:
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


def _other_suffix(images: Sequence[str], masks: Collection[str]) -> str:
    """Return which suffix of masks, or which case of names, fits images without a mask."""
    if not images:
        return ""
    first = images[0]
    for mask in masks:
        suffix = mask.removeprefix(first)
        if mask != suffix and suffix and all(f"{name}{suffix}" in masks for name in images):
            return f"if masks are named so, give mask_suffix={suffix!r}, or --mask-suffix {suffix}"
    lower = {mask.lower() for mask in masks}
    if all(name.lower() in lower for name in images):
        return "the names of images and masks must have the same case"
    return ""


def _check_kinds(labels: object, groups: object, info: object) -> None:
    """Check what each of the settings is that goes from the name of an image to something."""
    either = "mapping or function"
    for name, thing, kinds, reader in (
        ("labels", labels, either, "read_labels(path)[0]"),
        ("groups", groups, either, 'read_labels(path, label=None, group="patient")[1]'),
        ("info", info, "mapping", 'read_info(path, ["view"])'),
    ):
        if thing is None or hasattr(thing, "keys") or (kinds == either and callable(thing)):
            continue
        is_path = isinstance(thing, str | PathLike)
        hint = f"; cameval.data.{reader} reads one from a CSV file" if is_path else ""
        raise SettingError(
            f"{name} must be a {kinds} from the name of an image, got {type(thing).__name__}{hint}"
        )


def _tables(labels: Any, groups: Any, info: Any) -> dict[str, Mapping[str, Any]]:
    """Return the settings that are mappings."""
    given = {"labels": labels, "groups": groups, "info": info}
    return {
        what: thing
        for what, thing in given.items()
        if thing is not None and (what == "info" or not callable(thing))
    }


def _check_rows_of(
    name: str, tables: Mapping[str, Mapping[str, Any]], images: Collection[str], path: Path
) -> None:
    """Check that each table has a row of an image."""
    for what, rows in tables.items():
        if name not in rows:
            others = describe_rows([rows], images)
            raise DataError(
                f"{path}: {what} must have every image, got none for {name!r}"
                f"{', and ' * bool(others)}{others}"
            )


def _check_splits(subfolders: Sequence[str], images: Path) -> None:
    """Check that no subfolder that is taken as a class is named as a part of a data set."""
    if parts := [name for name in subfolders if name.lower() in _SPLITS]:
        raise DataError(
            f"{images}: subfolders must be classes, got {shorten_names(parts)}, named as parts of "
            f"a data set; give one of them as the folder, such as {images / parts[0]}, or labels=, "
            "or --labels, for the images of all; if they are classes, class_names=, or "
            "--class-names"
        )


def _label(
    name: str,
    labels: Mapping[str, Any] | Callable[[str], Any] | None,
    places: Mapping[str, int],
    path: Path,
) -> int | None:
    if labels is None:
        return places.get(name.partition("/")[0])
    where = f"{path}: the label of {name!r}"
    if callable(labels):
        return class_index(labels(name), where)
    return class_index(labels[name], where)


def _place(name: str, classes: tuple[str, ...], images: Path) -> int:
    """Return the label of a class that a folder is named after."""
    if name not in classes:
        raise DataError(
            f"{images}: the folder of a class must have one of the class names, "
            f"{shorten_names(classes)}, got {name!r}"
        )
    return classes.index(name)

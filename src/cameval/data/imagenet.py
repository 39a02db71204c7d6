"""ImageNet (ILSVRC): XML files with the boxes of an image's class."""

from collections import Counter
from collections.abc import Callable
from os import PathLike
from pathlib import Path

from cameval.data._files import is_file, kind_at, list_folder, read_file
from cameval.data.pictures import FILE_SUFFIXES, ImageFile
from cameval.data.readers import PictureDataset, assign_group
from cameval.data.records import MaskOrientation, Record
from cameval.data.voc import boxes_by_class, read_boxes
from cameval.errors import DataError

__all__ = ["ImageNetDataset", "read_synsets"]


class ImageNetDataset(PictureDataset):
    r"""Images of ILSVRC with the boxes of their class, which are kept apart.

    There is one XML file for each image, with its name. Both are directly in their folders, as in
    the validation set, or in subfolders of the same names, as in the training set; the names are
    then ``subfolder/name``. Images without an XML file are left out. Of boxes, the corners are
    pixels counted from 0, and the last one belongs to the box; the boxes here are ``(xmin, ymin,
    xmax + 1, ymax + 1)``, clipped to the image.

    The XML files are checked at once. Images are decoded when they are asked for.

    Parameters
    ----------
    images
        The folder of the images, such as ``ILSVRC/Data/CLS-LOC/val``.
    annotations
        The folder of the XML files, such as ``ILSVRC/Annotations/CLS-LOC/val``.
    synsets
        A file with a class on each line in the order of their indices, such as
        ``LOC_synset_mapping.txt``: the synset, as in the XML files, and the name of the class.
    groups
        From the name of an image to its group. By default the name.
    stretch
        As in `ImageFile`.
    mask_orientation
        Orientation of boxes relative to photographs, as in `Record`.

    Raises
    ------
    DataError
        If a file is missing, is no XML or no annotation, or declares a document type; a synset is
        not in the list; or a box has no area or leaves the image. The message names file, line and
        object.

    References
    ----------
    .. [1] Russakovsky, O., et al. (2015). ImageNet Large Scale Visual Recognition Challenge.
       International Journal of Computer Vision 115, 211-252.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from cameval.data import ImageNetDataset
    >>> with TemporaryDirectory() as root:
    ...     Image.new("L", (6, 4)).save(Path(root) / "val_1.png")
    ...     _ = (Path(root) / "synsets.txt").write_text("n01440764 tench\nn01443537 goldfish\n")
    ...     _ = (Path(root) / "val_1.xml").write_text(
    ...         "<annotation><size><width>6</width><height>4</height></size>"
    ...         "<object><name>n01443537</name><bndbox><xmin>0</xmin><ymin>0</ymin>"
    ...         "<xmax>2</xmax><ymax>3</ymax></bndbox></object></annotation>"
    ...     )
    ...     dataset = ImageNetDataset(root, root, Path(root) / "synsets.txt")
    ...     sample = dataset[0]
    >>> sample, dataset.class_names
    (Sample(name='val_1', label=1, group='val_1'), ('tench', 'goldfish'))
    >>> sample.targets[0].objects.boxes
    array([[0., 0., 3., 4.]])
    """

    def __init__(
        self,
        images: str | PathLike[str],
        annotations: str | PathLike[str],
        synsets: str | PathLike[str],
        *,
        groups: Callable[[str], str] | None = None,
        stretch: bool = False,
        mask_orientation: MaskOrientation | None = None,
    ) -> None:
        names = read_synsets(synsets)
        classes = {synset: label for label, synset in enumerate(names)}
        folder = Path(annotations)
        records = []
        for path in _xml_files(folder):
            name = path.relative_to(folder).with_suffix("").as_posix()
            size, objects = read_boxes(path, first=0, classes=classes)
            if not objects:
                continue
            picture = _image(Path(images), name)
            records.append(
                Record(
                    name,
                    ImageFile(picture, stretch),
                    group=assign_group(groups, name, picture),
                    mask_orientation=mask_orientation,
                    targets=boxes_by_class(path, objects),
                    size=size,
                )
            )
        if not records:
            raise DataError(f"{folder}: the folder must hold XML files with objects, got none")
        super().__init__(records, _different(names))
        self._synsets = Path(synsets)

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that the samples are read from, the list of synsets first."""
        return (self._synsets, *super().sources)


def read_synsets(path: str | PathLike[str]) -> dict[str, str]:
    r"""Read a list of synsets and names of classes, in the order of the class indices.

    Parameters
    ----------
    path
        A text file with a class on each line: its synset, a space, and its name.

    Returns
    -------
    dict
        The name of each synset. Without a name it is the synset.

    Raises
    ------
    DataError
        If the file cannot be read, is empty, or has a synset twice.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import read_synsets
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "synsets.txt").write_text("n01440764 tench, Tinca tinca\n")
    ...     read_synsets(Path(folder) / "synsets.txt")
    {'n01440764': 'tench, Tinca tinca'}
    """
    path = Path(path)
    try:
        lines = read_file(path, "a list of synsets").decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the list of synsets must be UTF-8, got {error}") from error
    found: dict[str, str] = {}
    for line, text in enumerate(lines, start=1):
        synset, _, name = text.strip().partition(" ")
        if not synset:
            continue
        if synset in found:
            raise DataError(f"{path}, line {line}: synsets must differ, got {synset!r} again")
        found[synset] = name.strip() or synset
    if not found:
        raise DataError(f"{path}: the list must hold at least one synset, got none")
    return found


def _different(names: dict[str, str]) -> tuple[str, ...]:
    """Return names of classes; two classes of one name (crane, maillot) get their synset too."""
    times = Counter(names.values())
    return tuple(
        name if times[name] == 1 else f"{name} ({synset})" for synset, name in names.items()
    )


def _xml_files(folder: Path) -> list[Path]:
    found = []
    for entry in list_folder(folder):
        if entry.suffix.lower() == ".xml":
            found.append(entry)
        elif entry.is_dir() and not entry.name.startswith("."):
            found += [path for path in list_folder(entry) if path.suffix.lower() == ".xml"]
    return found


def _image(folder: Path, name: str) -> Path:
    """Return the image of a name; in ILSVRC the suffix is .JPEG."""
    for suffix in (".JPEG", *sorted(FILE_SUFFIXES)):
        if is_file(folder / f"{name}{suffix}"):
            return folder / f"{name}{suffix}"
    path = folder / f"{name}.JPEG"
    raise DataError(f"{path}: the image of annotation {name!r} must exist, got {kind_at(path)}")

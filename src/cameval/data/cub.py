"""CUB-200-2011: birds with one box each, and segmentations."""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias

from cameval.data._files import is_file, kind_at, read_file
from cameval.data.pictures import ImageFile, MaskFile
from cameval.data.readers import PictureDataset, assign_group, check_choice
from cameval.data.records import Box, Record, TargetRecord
from cameval.errors import DataError

__all__ = ["CubDataset"]

Split: TypeAlias = Literal["train", "test", "all"]
Truth: TypeAlias = Literal["boxes", "segmentations", "both"]


class CubDataset(PictureDataset):
    """The birds of CUB-200-2011, in the order of ``images.txt``.

    The folder holds ``images``, ``images.txt``, ``image_class_labels.txt``, ``classes.txt``,
    ``train_test_split.txt`` and ``bounding_boxes.txt``, as they are published; ``segmentations`` is
    published beside it. Each image has one bird. Its box is ``x, y, width, height`` in pixels
    counted from 0; labels are counted from 0. The name of an image is its path without suffix, such
    as ``001.Black_footed_Albatross/Black_Footed_Albatross_0046_18``.

    The tables and the existence of the files are checked at once. Images are decoded when they are
    asked for.

    Parameters
    ----------
    folder
        The folder ``CUB_200_2011``.
    split
        ``"train"``, ``"test"``, or ``"all"`` images.
    truth
        The truth of each bird: its box (``"boxes"``), its segmentation, or ``"both"``: the pixels
        of the segmentation, and the box.
    segmentations
        The folder of the segmentations, by default ``segmentations`` in the folder. Their values
        are shares of the annotators, from 0 to 255.
    mask_threshold
        Pixels with a value above it are the bird; by default those of most annotators.
    groups
        From the name of an image to its group. By default the name.
    stretch
        As in `ImageFile`.

    Raises
    ------
    SettingError
        If a setting is none of its values.
    DataError
        If a file is missing, a line is not what is described, an image has no class or no box, or
        no image is in the split. The message names file and line.

    References
    ----------
    .. [1] Wah, C., Branson, S., Welinder, P., Perona, P. and Belongie, S. (2011). The Caltech-UCSD
       Birds-200-2011 dataset. Technical report CNS-TR-2011-001, California Institute of Technology.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from cameval.data import CubDataset
    >>> lines = {
    ...     "images": "1 001.Albatross/7.jpg",
    ...     "image_class_labels": "1 1",
    ...     "classes": "1 001.Albatross",
    ...     "train_test_split": "1 0",
    ...     "bounding_boxes": "1 1.0 0.0 4.0 3.0",
    ... }
    >>> with TemporaryDirectory() as root:
    ...     (Path(root) / "images" / "001.Albatross").mkdir(parents=True)
    ...     Image.new("L", (6, 4)).save(Path(root) / "images" / "001.Albatross" / "7.jpg")
    ...     for name, text in lines.items():
    ...         _ = (Path(root) / f"{name}.txt").write_text(text)
    ...     CubDataset(root, "test")[0].targets[0].objects.boxes
    array([[1., 0., 5., 3.]])
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        split: Split = "all",
        *,
        truth: Truth = "boxes",
        segmentations: str | PathLike[str] | None = None,
        mask_threshold: float = 127,
        groups: Callable[[str], str] | None = None,
        stretch: bool = False,
    ) -> None:
        check_choice("split", split, Split)
        check_choice("truth", truth, Truth)
        folder = Path(folder)
        masks = folder / "segmentations" if segmentations is None else Path(segmentations)
        classes = _classes(folder)
        labels = _Table(folder / "image_class_labels.txt", 1)
        parts = _Table(folder / "train_test_split.txt", 1)
        boxes = _Table(folder / "bounding_boxes.txt", 4)
        images = _Table(folder / "images.txt", 1)
        records = []
        for number, (line, (file_name,)) in images.rows.items():
            if split != "all" and (parts.whole(number, 1) == 1) != (split == "train"):
                continue
            label = labels.whole(number, len(classes)) - 1
            if label < 0:
                raise labels.error(number, f"must be a class from 1 to {len(classes)}, got 0")
            path = folder / "images" / file_name
            name = Path(file_name).with_suffix("").as_posix()
            if not is_file(path):
                raise DataError(
                    f"{images.path}, line {line}: must name a file, got {kind_at(path)}"
                )
            mask = None
            if truth != "boxes":
                mask = MaskFile(masks / f"{name}.png", threshold=mask_threshold)
                if not is_file(mask.path):
                    raise DataError(f"{mask.path}: the segmentation of {name!r} must exist")
            target = TargetRecord(
                mask, None if truth == "segmentations" else [_box(boxes, number)], path=boxes.path
            )
            records.append(
                Record(
                    name,
                    ImageFile(path, stretch),
                    group=assign_group(groups, name, path),
                    mask_orientation="stored",
                    targets={label: target},
                )
            )
        if not records:
            raise DataError(f"{parts.path}: the split {split!r} must hold images, got none")
        super().__init__(records, classes)
        self._tables = tuple(table.path for table in (images, labels, parts, boxes))

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that the samples are read from, the tables first."""
        return tuple(dict.fromkeys((*self._tables, *super().sources)))


class _Table:
    """A text file whose lines are the number of an image and a fixed number of values."""

    def __init__(self, path: Path, values: int) -> None:
        self.path = path
        self.rows: dict[int, tuple[int, list[str]]] = {}
        try:
            lines = read_file(path, "a table").decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"{path}: the table must be UTF-8, got {error}") from error
        for line, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            number, *cells = text.split()
            if not _is_whole(number) or len(cells) != values:
                raise DataError(
                    f"{path}, line {line}: must be the number of an image and {values} "
                    f"{'value' if values == 1 else 'values'}, got {text[:60]!r}"
                )
            if int(number) in self.rows:
                raise DataError(f"{path}, line {line}: image {number} must come once, got it again")
            self.rows[int(number)] = (line, cells)

    def cells(self, number: int) -> list[str]:
        """Return the values of an image."""
        if number not in self.rows:
            raise DataError(f"{self.path}: every image must have a line, got none for {number}")
        return self.rows[number][1]

    def whole(self, number: int, most: int) -> int:
        """Return the one value of an image as a whole number."""
        (cell,) = self.cells(number)
        if not _is_whole(cell) or int(cell) > most:
            raise self.error(number, f"must be a whole number up to {most}, got {cell!r}")
        return int(cell)

    def error(self, number: int, problem: str) -> DataError:
        """Return the error of a line."""
        return DataError(f"{self.path}, line {self.rows[number][0]}: image {number} {problem}")


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10


def _classes(folder: Path) -> tuple[str, ...]:
    table = _Table(folder / "classes.txt", 1)
    if list(table.rows) != list(range(1, len(table.rows) + 1)):
        raise DataError(f"{table.path}: classes must be numbered from 1 in order, got others")
    return tuple(cells[0] for _, cells in table.rows.values())


def _box(table: _Table, number: int) -> Box:
    """Return the corners of an image's box."""
    cells = table.cells(number)
    try:
        x, y, width, height = map(float, cells)
    except ValueError:
        x = y = width = height = float("nan")
    if not (abs(x) < 1e9 and abs(y) < 1e9 and 0 < width < 1e9 and 0 < height < 1e9):
        raise table.error(
            number, f"must have a box x, y, width, height with an area, got {' '.join(cells)}"
        )
    return (x, y, x + width, y + height)

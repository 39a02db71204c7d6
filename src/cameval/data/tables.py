"""CSV tables: images with masks, labels, groups and names."""

import csv
from collections.abc import Collection
from io import StringIO
from os import PathLike
from pathlib import Path

from cameval.data._files import is_file, kind_at, read_file
from cameval.data.pictures import ImageFile, MaskFile
from cameval.data.readers import MaskOrientation, PictureDataset, Record
from cameval.data.samples import parse_class
from cameval.errors import DataError

__all__ = ["ManifestDataset", "read_labels", "read_names"]

_NEEDED = ("image", "mask")


_KNOWN = ("image", "mask", "name", "label", "group")


class ManifestDataset(PictureDataset):
    r"""Images and masks listed in a CSV file, in its order.

    The first line names the columns, in any order. ``image`` and ``mask`` are paths, relative to
    the folder of the CSV file. ``name`` is by default the path of the image without its suffix,
    ``group`` is by default the name. Labels are either all whole numbers from 0, or all names of
    classes, which are then counted in their sorted order. A whole number may be written as ``3.0``
    or ``3e0``, as programs write a column in which cells are empty. Without a column of labels, or
    where its cell is empty, the label is None. Other columns are left out. The table and the
    existence of the files are checked at once. Images are decoded when they are asked for, as
    `cameval.data.pictures` describes.

    Parameters
    ----------
    path
        The CSV file, in UTF-8, with commas.
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
        If the file is missing or not UTF-8, a column is missing or comes twice, or a cell that may
        not be is empty, names no file, or is no label. The message names file, line and column.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("L", (6, 4)).save(Path(folder) / "1.png")
    ...     table = Path(folder) / "index.csv"
    ...     _ = table.write_text("image,mask,name,label,group\n1.png,1.png,Tom,cat,home 3\n")
    ...     ManifestDataset(table)[0]
    Sample(name='Tom', label=0, group='home 3')
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        mask_value: int | Collection[int] | None = None,
        mask_threshold: float | None = None,
        stretch: bool = False,
        mask_orientation: MaskOrientation | None = None,
    ) -> None:
        path = Path(path)
        rows = _read_rows(path)
        files = [[_file(path, line, row, column) for column in _NEEDED] for line, row in rows]
        names = _names(path, rows)
        labels, classes = _labels(path, rows)
        super().__init__(
            [
                Record(
                    name,
                    ImageFile(image, stretch),
                    MaskFile(mask, mask_value, mask_threshold),
                    label,
                    row.get("group", name),
                    mask_orientation,
                )
                for (_, row), (image, mask), name, label in zip(
                    rows, files, names, labels, strict=True
                )
            ],
            classes,
        )
        self._path = path

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that the samples are read from, the table first."""
        return (self._path, *super().sources)


_Rows = list[tuple[int, dict[str, str]]]
"""The number of each row's line and its cells by column."""


def _cell_error(path: Path, line: int, column: str, problem: str) -> DataError:
    return DataError(f"{path}, line {line}: {column} {problem}")


def _read_text(path: Path) -> str:
    try:
        return read_file(path, "a CSV file").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: the file must be UTF-8, got byte {error.object[error.start]:#x};"
            " save it again with that encoding"
        ) from error


def _read_rows(path: Path) -> _Rows:
    reader = csv.reader(StringIO(_read_text(path), newline=""), strict=True)
    try:
        lines = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: the line must be CSV, {error}") from error
    if not lines:
        raise DataError(f"{path}: the file must begin with the names of its columns, got nothing")
    header_line, header = lines[0]
    columns = [column.strip() for column in header]
    for column in _KNOWN:
        if columns.count(column) > 1 or (column in _NEEDED and column not in columns):
            raise DataError(
                f"{path}, line {header_line}: the columns must have one {column}, got {columns}"
            )
    if len(lines) == 1:
        raise DataError(f"{path}: the file must hold at least one row, got its header alone")
    return [(line, _cells(path, line, columns, row)) for line, row in lines[1:]]


def _cells(path: Path, line: int, columns: list[str], row: list[str]) -> dict[str, str]:
    if len(row) != len(columns):
        raise DataError(
            f"{path}, line {line}: the row must have {len(columns)} cells, got {len(row)}"
        )
    cells = {
        column: cell.strip() for column, cell in zip(columns, row, strict=True) if column in _KNOWN
    }
    for column, cell in cells.items():
        if not cell and column != "label":
            raise _cell_error(path, line, column, "must not be empty, got ''")
    return cells


def _names(path: Path, rows: _Rows) -> list[str]:
    lines: dict[str, int] = {}
    for line, row in rows:
        name = row.get("name") or Path(row["image"]).with_suffix("").as_posix()
        if name in lines:
            raise _cell_error(
                path,
                line,
                "name",
                f"must differ from the others, got {name!r} as in line {lines[name]}",
            )
        lines[name] = line
    return list(lines)


def _labels(path: Path, rows: _Rows) -> tuple[list[int | None], tuple[str, ...]]:
    """Return the class of each row, and the names of the classes if they have names."""
    cells = [(line, row["label"]) for line, row in rows if row.get("label")]
    found = {cell: parse_class(cell, f"{path}, line {line}: label") for line, cell in cells}
    numbers = bool(cells) and found[cells[0][1]] is not None
    for line, cell in cells:
        if (found[cell] is not None) != numbers:
            before = "whole numbers" if numbers else "names"
            raise _cell_error(
                path,
                line,
                "label",
                f"must be all whole numbers or all names, got {cell!r} after {before}",
            )
    texts = [row.get("label", "") for _, row in rows]
    if numbers:
        return [found[text] if text else None for text in texts], ()
    classes = tuple(sorted(found))
    index = {name: i for i, name in enumerate(classes)}
    return [index.get(text) for text in texts], classes


def _file(path: Path, line: int, row: dict[str, str], column: str) -> Path:
    file = path.parent / row[column]
    if not is_file(file):
        raise _cell_error(path, line, column, f"must name a file, got {kind_at(file)}: {file}")
    return file


def read_labels(
    path: str | PathLike[str], *, name: str = "name", label: str = "label", group: str | None = None
) -> tuple[dict[str, int | None], dict[str, str]]:
    r"""Read the labels of images, and their groups if a column is named, from a CSV file.

    Parameters
    ----------
    path
        The CSV file, in UTF-8, with commas. Its first line names the columns.
    name, label, group
        The columns of the images' names, class indices and groups. An empty label is None.

    Returns
    -------
    tuple of dict
        Labels by name and groups by name, as `FolderDataset` takes them:
        ``FolderDataset(images, masks, labels=labels, groups=groups.get)``. Without a column of
        groups the second is empty.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, a name is empty or comes twice, or a label
        is not a class index. The message names file, line and column.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     table = Path(folder) / "labels.csv"
    ...     _ = table.write_text("name,label,patient\nscan 1,2,p7\nscan 2,,p8\n")
    ...     read_labels(table, group="patient")
    ({'scan 1': 2, 'scan 2': None}, {'scan 1': 'p7', 'scan 2': 'p8'})
    """
    path = Path(path)
    try:
        text = read_file(path, "a table of labels").decode("utf-8-sig")
        rows = list(csv.DictReader(StringIO(text, newline="")))
    except (DataError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} must be a table of labels as CSV in UTF-8, got {error}") from error
    for column in (name, label, *([] if group is None else [group])):
        if not rows or column not in rows[0]:
            there = ", ".join(rows[0]) if rows else "no rows"
            raise DataError(f"{path} must have a column {column!r}, got {there}")
    labels: dict[str, int | None] = {}
    groups: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        image, cell = row[name], (row[label] or "").strip()
        where = f"{path}, line {line}: {label}"
        index = parse_class(cell, where)
        if cell and index is None:
            raise DataError(f"{where} must be a class index, got {cell!r}")
        if not image or image in labels:
            raise DataError(f"{path}, line {line}: {name} must name an image once, got {image!r}")
        labels[image] = index
        if group is not None:
            groups[image] = row[group] or ""
    return labels, groups


def read_names(path: str | PathLike[str]) -> list[str]:
    r"""Read names of images from a text file, one on each line; empty lines are left out.

    Parameters
    ----------
    path
        The file, in UTF-8.

    Returns
    -------
    list of str
        The names, without white space around them.

    Raises
    ------
    DataError
        If the file cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "names.txt").write_text("scan 1\n\nscan 7\n")
    ...     read_names(Path(folder) / "names.txt")
    ['scan 1', 'scan 7']
    """
    path = Path(path)
    try:
        lines = read_file(path, "a list of names").decode("utf-8-sig").splitlines()
    except (DataError, UnicodeDecodeError) as error:
        raise DataError(f"{path} must be a list of names, got {error}") from error
    return [line.strip() for line in lines if line.strip()]

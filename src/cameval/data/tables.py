"""CSV tables: images with masks, labels, groups and names."""

import csv
import re
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from io import StringIO
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias

from cameval.data._csv import cell_error, read_csv
from cameval.data._files import is_file, kind_at, read_file
from cameval.data.pictures import ImageFile, MaskFile
from cameval.data.readers import (
    PictureDataset,
    check_choice,
    check_class_names,
    shorten_names,
)
from cameval.data.records import MaskOrientation, Missing, Record
from cameval.data.samples import Info
from cameval.data.targets import parse_class
from cameval.errors import DataError

__all__ = ["ManifestDataset", "read_info", "read_labels", "read_names"]

_NEEDED = ("image", "mask")


_KNOWN = ("image", "mask", "name", "label", "group", "ignore")

Rows: TypeAlias = Literal["images", "targets"]
"""What a row of a table is."""


class ManifestDataset(PictureDataset):
    r"""Images and masks listed in a CSV file, in its order.

    The first line names the columns, in any order. ``image`` and ``mask`` are paths, relative to
    the folder of the CSV file. ``name`` is by default the path of the image without its suffix,
    ``group`` is by default the name. Labels are either all whole numbers from 0, or all names of
    classes. A name is the class of its place in `class_names`, or without these in the sorted names
    of the table, which may be in another order than the outputs of the network. A whole number may
    be written as ``3.0`` or ``3e0``, as programs write a column in which cells are empty. Without a
    column of labels, or where its cell is empty, the label is None. ``ignore`` is the path of a
    mask of the pixels that count for nothing, such as a ruler; where it is empty, all pixels count.
    Other columns are left out, unless `info` names them. The table and the existence of the files
    are checked at once. Images are decoded when they are asked for, as `cameval.data.pictures`
    describes.

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
    missing_masks
        What an empty cell of ``mask`` is: an ``"error"``, or a ``"negative"``, an image without an
        object.
    rows
        ``"images"``, or ``"targets"``: rows with one name are then the targets of one image, each
        with its label and mask, and with the same image, group and info.
    info
        More columns that are kept, as `Sample`'s info: numbers where every cell of the column is
        one or is empty, else text. An empty cell is None.
    resize_masks
        Whether masks of another size than their image are resized, as in `Record`.
    class_names
        The class of label 0, 1, ..., in the order of the network's outputs. By default the names in
        the table in their sorted order, which may be another.

    Raises
    ------
    SettingError
        If a setting is out of its range, or a class name comes twice.
    DataError
        If the file is missing or not UTF-8, a column is missing or comes twice, or a cell that may
        not be is empty, names no file, is no label, or is a label without a class name. The message
        names file, line and column.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from cameval.data import ManifestDataset
    >>> with TemporaryDirectory() as folder:
    ...     Image.new("L", (6, 4)).save(Path(folder) / "1.png")
    ...     table = Path(folder) / "index.csv"
    ...     _ = table.write_text("image,mask,name,label,group\n1.png,1.png,Tom,cat,home 3\n")
    ...     ManifestDataset(table)[0]
    ...     ManifestDataset(table, class_names=["dog", "cat"])[0]
    Sample(name='Tom', label=0, group='home 3')
    Sample(name='Tom', label=1, group='home 3')
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        mask_value: int | Collection[int] | None = None,
        mask_threshold: float | None = None,
        stretch: bool = False,
        mask_orientation: MaskOrientation | None = None,
        missing_masks: Missing = "error",
        rows: Rows = "images",
        info: Collection[str] = (),
        resize_masks: bool = False,
        class_names: Sequence[str] | None = None,
    ) -> None:
        check_choice("missing_masks", missing_masks, Missing)
        check_choice("rows", rows, Rows)
        path = Path(path)
        wanted = [info] if isinstance(info, str) else list(info)
        table = _read_rows(path, wanted, "mask" if missing_masks == "negative" else "")
        names = _names(path, table, again=rows == "targets")
        labels, classes = _labels(path, table, check_class_names(class_names))
        columns = {column: _column(column, table) for column in wanted}
        records: dict[str, Record] = {}
        targets: dict[str, dict[int, MaskFile | None]] = {}
        for i, ((line, row), name, label) in enumerate(zip(table, names, labels, strict=True)):
            mask = None
            if row["mask"]:
                file = _file(path, line, row, "mask")
                mask = MaskFile(file, mask_value, mask_threshold)
            ignored = row.get("ignore")
            record = Record(
                name,
                ImageFile(_file(path, line, row, "image"), stretch),
                group=row.get("group", name),
                mask_orientation=mask_orientation,
                info={column: values[i] for column, values in columns.items()},
                ignore=MaskFile(_file(path, line, row, "ignore")) if ignored else None,
                resize_masks=resize_masks,
            )
            if rows == "images":
                records[name] = replace(record, mask=mask, label=label)
                continue
            if label is None:
                raise cell_error(path, line, "label", "must be given where rows are targets")
            if record != records.setdefault(name, record):
                raise cell_error(
                    path, line, "image", f"and group, info, ignore must be those of {name!r} above"
                )
            own = targets.setdefault(name, {})
            if label in own:
                raise cell_error(
                    path, line, "label", f"must differ from the others of {name!r}, got it again"
                )
            own[label] = mask
        super().__init__(
            [replace(record, targets=targets.get(name, {})) for name, record in records.items()],
            classes,
        )
        self._path = path

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that the samples are read from, the table first."""
        return (self._path, *super().sources)


_Rows = list[tuple[int, dict[str, str]]]
"""The number of each row's line and its cells by column."""


def _read_rows(path: Path, info: Collection[str] = (), may_be_empty: str = "") -> _Rows:
    lines = read_csv(path, "a CSV file")
    if not lines:
        raise DataError(f"{path}: the file must begin with the names of its columns, got nothing")
    header_line, header = lines[0]
    columns = [column.strip() for column in header]
    for column in _KNOWN:
        if columns.count(column) > 1 or (column in _NEEDED and column not in columns):
            raise DataError(
                f"{path}, line {header_line}: the columns must have one {column}, got {columns}"
            )
    for column in info:
        if columns.count(column) != 1 or column in _KNOWN:
            raise DataError(
                f"{path}, line {header_line}: the columns must have one {column}, which is none of "
                f"{', '.join(_KNOWN)}, got {columns}"
            )
    if len(lines) == 1:
        raise DataError(f"{path}: the file must hold at least one row, got its header alone")
    kept = {*_KNOWN, *info}
    if "group" not in columns and (left := [name for name in columns if name not in kept]):
        warnings.warn(
            f"{path.name} has no column group, so that each image is a group of its own; if one of "
            f"the columns that are not used ({', '.join(left)}) tells which images belong "
            "together, such as those of a patient, name it group",
            stacklevel=3,  # the line that makes the dataset
        )
    free = {"label", "ignore", may_be_empty, *info}
    return [(line, _cells(path, line, columns, row, kept, free)) for line, row in lines[1:]]


def _cells(
    path: Path, line: int, columns: list[str], row: list[str], kept: set[str], free: set[str]
) -> dict[str, str]:
    if len(row) != len(columns):
        raise DataError(
            f"{path}, line {line}: the row must have {len(columns)} cells, got {len(row)}"
        )
    cells = {
        column: cell.strip() for column, cell in zip(columns, row, strict=True) if column in kept
    }
    for column, cell in cells.items():
        if not cell and column not in free:
            out = (
                "; set missing_masks='negative', or --missing-masks negative, if the image has no "
                "object"
            )
            raise cell_error(
                path, line, column, f"must not be empty, got ''{out if column == 'mask' else ''}"
            )
    return cells


def _column(column: str, rows: _Rows) -> list[Info]:
    """Return the values of a column of info."""
    cells = [row[column] for _, row in rows]
    return [_number(cell) for cell in cells] if _is_numeric(cells) else [c or None for c in cells]


def _is_numeric(cells: list[str]) -> bool:
    found = [cell for cell in cells if cell]
    plain = re.compile(r"[+-]?(\d{1,15}(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?", re.ASCII | re.IGNORECASE)
    return bool(found) and all(plain.fullmatch(cell) for cell in found)


def _number(cell: str) -> int | float | None:
    if not cell:
        return None
    return int(cell) if cell.lstrip("+-").isdecimal() else float(cell)


def _names(path: Path, rows: _Rows, *, again: bool = False) -> list[str]:
    """Return the name of each row, which may come again where rows are targets."""
    lines: dict[str, int] = {}
    names = []
    for line, row in rows:
        name = row.get("name") or Path(row["image"]).with_suffix("").as_posix()
        names.append(name)
        if name in lines and not again:
            raise cell_error(
                path,
                line,
                "name",
                f"must differ from the others, got {name!r} as in line {lines[name]}",
            )
        lines[name] = line
    return names


def _labels(
    path: Path, rows: _Rows, given: tuple[str, ...]
) -> tuple[list[int | None], tuple[str, ...]]:
    """Return the class of each row, and the names of the classes if they have names."""
    cells = [(line, row["label"]) for line, row in rows if row.get("label")]
    found = {cell: parse_class(cell, f"{path}, line {line}: label") for line, cell in cells}
    numbers = bool(cells) and found[cells[0][1]] is not None
    for line, cell in cells:
        if (found[cell] is not None) != numbers:
            before = "whole numbers" if numbers else "names"
            raise cell_error(
                path,
                line,
                "label",
                f"must be all whole numbers or all names, got {cell!r} after {before}",
            )
    texts = [row.get("label", "") for _, row in rows]
    classes = given or (() if numbers else tuple(sorted(found)))
    index = found if numbers else {name: place for place, name in enumerate(classes)}
    for line, cell in cells if given else ():
        if index.get(cell) not in range(len(given)):
            known = f"below {len(given)}, as there are" if numbers else "one of"
            raise cell_error(
                path,
                line,
                "label",
                f"must be {known} the class names {shorten_names(given)}, got {cell!r}",
            )
    return [index.get(text) for text in texts], classes


def _file(path: Path, line: int, row: dict[str, str], column: str) -> Path:
    file = path.parent / row[column]
    if not is_file(file):
        raise cell_error(path, line, column, f"must name a file, got {kind_at(file)}: {file}")
    return file


def read_labels(
    path: str | PathLike[str],
    *,
    name: str = "name",
    label: str | None = "label",
    group: str | None = None,
    class_names: Sequence[str] | None = None,
) -> tuple[dict[str, int | None], dict[str, str]]:
    r"""Read the labels of images, and their groups if a column is named, from a CSV file.

    Parameters
    ----------
    path
        The CSV file, in UTF-8, with commas. Its first line names the columns.
    name, label, group
        The columns of the images' names, classes and groups. An empty label is None. If `label` is
        None, no labels are read, and none needs to be there.
    class_names
        The class of label 0, 1, ..., in the order of the network's outputs. Labels may then be
        these names. Without them a label is a class index.

    Returns
    -------
    tuple of dict
        Labels by name and groups by name, as `FolderDataset` takes them:
        ``FolderDataset(images, masks, labels=labels, groups=groups.get)``. Without a column of
        labels the first is empty, without a column of groups the second.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, a name is empty or comes twice, or a label
        is neither a class index nor a class name. The message names file, line and column.
    SettingError
        If a class name comes twice.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import read_labels
    >>> with TemporaryDirectory() as folder:
    ...     table = Path(folder) / "labels.csv"
    ...     _ = table.write_text("name,label,patient\nscan 1,2,p7\nscan 2,,p8\n")
    ...     read_labels(table, group="patient")
    ...     _ = table.write_text("name,label\nscan 1,glioma\n")
    ...     read_labels(table, class_names=["meningioma", "glioma"])
    ({'scan 1': 2, 'scan 2': None}, {'scan 1': 'p7', 'scan 2': 'p8'})
    ({'scan 1': 1}, {})
    """
    path = Path(path)
    classes = check_class_names(class_names)
    roles = {column: role for role, column in (("group", group), ("label", label)) if column}
    columns = [column for column in (label, group) if column is not None]
    labels: dict[str, int | None] = {}
    groups: dict[str, str] = {}
    for line, image, row in _named_rows(path, name, columns, roles):
        if label is not None:
            labels[image] = _class_of(row[label], classes, f"{path}, line {line}: {label}")
        if group is not None:
            groups[image] = row[group]
    return labels, groups


def _class_of(text: str, classes: tuple[str, ...], where: str) -> int | None:
    """Return the class that a cell names or counts; None if it is empty."""
    index = parse_class(text, where)
    if index is None and text in classes:
        return classes.index(text)
    if classes and text and (index is None or index >= len(classes)):
        raise DataError(
            f"{where} must be one of the class names {shorten_names(classes)}, or an index below "
            f"{len(classes)}, got {text!r}"
        )
    if text and index is None:
        raise DataError(
            f"{where} must be a class index, got {text!r}; if it is the name of a class, give the "
            "names in the order of the network's outputs with class_names=, or in a file with "
            "--class-names"
        )
    return index


def read_info(
    path: str | PathLike[str], columns: Collection[str], *, name: str = "name"
) -> dict[str, dict[str, Info]]:
    r"""Read columns of info about images, such as view or site, from a CSV file.

    Parameters
    ----------
    path
        The CSV file, in UTF-8, with commas. Its first line names the columns.
    columns
        The columns that are read: numbers where every cell of the column is one or is empty, else
        text. An empty cell is None.
    name
        The column of the images' names.

    Returns
    -------
    dict
        The info by name, as `FolderDataset` takes it: ``FolderDataset(images, masks, info=info)``.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, or a name is empty or comes twice.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import read_info
    >>> with TemporaryDirectory() as folder:
    ...     table = Path(folder) / "patients.csv"
    ...     _ = table.write_text("name,age,view\nscan 1,61,lateral\nscan 2,,frontal\n")
    ...     read_info(table, ["age", "view"])
    {'scan 1': {'age': 61, 'view': 'lateral'}, 'scan 2': {'age': None, 'view': 'frontal'}}
    """
    wanted = [columns] if isinstance(columns, str) else list(columns)
    rows = list(_named_rows(Path(path), name, wanted, {}))
    values = {column: _column(column, [(line, row) for line, _, row in rows]) for column in wanted}
    return {
        image: {column: values[column][k] for column in wanted}
        for k, (_, image, _) in enumerate(rows)
    }


def _named_rows(
    path: Path, name: str, columns: Collection[str], roles: Mapping[str, str]
) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Yield line, name of the image and cells of each row; names must differ.

    The argument and the option with which a column is named begin with its role.
    """
    try:
        text = read_file(path, "a table of labels").decode("utf-8-sig")
        rows = list(csv.DictReader(StringIO(text, newline="")))
    except (DataError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} must be a table of labels as CSV in UTF-8, got {error}") from error
    for column in (name, *columns):
        if not rows or column not in rows[0]:
            there = ", ".join(rows[0]) if rows else "no rows"
            role = {**roles, name: "name"}.get(column) if rows else None
            way = f"; name another with {role}=, or --{role}-column" if role else ""
            raise DataError(f"{path} must have a column {column!r}, got {there}{way}")
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        image = row[name]
        if not image or image in seen:
            raise DataError(f"{path}, line {line}: {name} must name an image once, got {image!r}")
        seen.add(image)
        yield line, image, {column: (row[column] or "").strip() for column in columns}


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
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.data import read_names
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

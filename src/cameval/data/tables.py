"""CSV tables that list images with their masks, labels, groups and names."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias

from cameval._names import near_names
from cameval.data._csv import cell_error, info_values, read_csv
from cameval.data._files import is_file, kind_at
from cameval.data.mask_values import warn_of_values
from cameval.data.pictures import ImageFile, MaskFile
from cameval.data.readers import (
    PictureDataset,
    check_choice,
    check_class_names,
    shorten_names,
)
from cameval.data.records import WITHOUT_MASK, MaskOrientation, Missing, Record
from cameval.data.targets import parse_class
from cameval.errors import DataError

__all__ = ["ClassOrderWarning", "ManifestDataset"]

_ROLES = ("image", "mask", "name", "label", "group", "ignore")
"""What a column can be; each is by default the column of this name."""

_SHOWN = 4  # classes in the warning

Rows: TypeAlias = Literal["images", "targets"]
"""What a row of a table is."""


class ClassOrderWarning(UserWarning):
    """The order of the classes may not be that of the network's outputs.

    Names of classes were numbered in their sorted order; or, at the end of
    :func:`cameval.evaluate`, far more predictions would be right in another order, or with labels
    that are all one lower or higher.
    """


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
        What an empty cell of ``mask`` is: an ``"error"``; a ``"negative"``, an image without an
        object; or to ``"skip"``, as where the object is not drawn. The dataset then lacks the
        image, and `without_mask` has its name. Where rows are targets, the target is left out, and
        an image without any.
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
    image_column, mask_column
        The columns of the images and the masks.
    name_column, label_column, group_column, ignore_column
        The columns of the rest, which must then be there. By default ``name``, ``label``, ``group``
        and ``ignore``, where there are such columns.

    Raises
    ------
    SettingError
        If a setting is out of its range, or a class name comes twice.
    DataError
        If the file is missing or not UTF-8, a column is missing or comes twice, or a cell that may
        not be is empty, names no file, is no label, or is a label without a class name. The message
        names file, line and column.

    Warns
    -----
    ClassOrderWarning
        If labels are names and `class_names` are not given.
    MaskValueWarning
        If masks hold other nonzero values than `mask_value`, or none of them holds it.
    UserWarning
        If there is no column of groups, and a column that is not used may be one.

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
    ...     ManifestDataset(table, class_names=["dog", "cat"])[0]
    Sample(name='Tom', label=1, group='home 3')

    A table with columns of other names:

    >>> with TemporaryDirectory() as folder:
    ...     Image.new("L", (6, 4)).save(Path(folder) / "1.png")
    ...     table = Path(folder) / "index.csv"
    ...     _ = table.write_text("file,segmentation,patient\n1.png,1.png,p7\n")
    ...     ManifestDataset(
    ...         table, image_column="file", mask_column="segmentation", group_column="patient"
    ...     )[0]
    Sample(name='1', label=None, group='p7')
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
        image_column: str = "image",
        mask_column: str = "mask",
        name_column: str | None = None,
        label_column: str | None = None,
        group_column: str | None = None,
        ignore_column: str | None = None,
    ) -> None:
        check_choice("missing_masks", missing_masks, Missing)
        check_choice("rows", rows, Rows)
        path = Path(path)
        given = {
            "image": image_column,
            "mask": mask_column,
            "name": name_column,
            "label": label_column,
            "group": group_column,
            "ignore": ignore_column,
        }
        wanted = [info] if isinstance(info, str) else list(info)
        table = _Table.read(path, given, wanted, "" if missing_masks == "error" else "mask")
        names = _names(table, again=rows == "targets")
        labels, classes = _labels(table, check_class_names(class_names))
        columns = {column: info_values([row[column] for _, row in table.rows]) for column in wanted}
        records: dict[str, Record] = {}
        targets: dict[str, dict[int, MaskFile | None]] = {}
        left, masks = [], []
        for i, ((line, row), name, label) in enumerate(zip(table.rows, names, labels, strict=True)):
            mask = None
            if missing_masks == "skip" and not table.cell(row, "mask"):
                left.append(name)
                continue
            if table.cell(row, "mask"):
                mask = MaskFile(table.file(line, row, "mask"), mask_value, mask_threshold)
                masks.append(mask)
            ignored = table.cell(row, "ignore")
            record = Record(
                name,
                ImageFile(table.file(line, row, "image"), stretch),
                group=table.cell(row, "group") or name,
                mask_orientation=mask_orientation,
                info={column: values[i] for column, values in columns.items()},
                ignore=MaskFile(table.file(line, row, "ignore")) if ignored else None,
                resize_masks=resize_masks,
            )
            if rows == "images":
                records[name] = replace(record, mask=mask, label=label)
                continue
            if label is None:
                raise table.error(line, "label", "must be given where rows are targets")
            if record != records.setdefault(name, record):
                raise table.error(
                    line, "image", f"and group, info, ignore must be those of {name!r} above"
                )
            own = targets.setdefault(name, {})
            if label in own:
                raise table.error(
                    line, "label", f"must differ from the others of {name!r}, got it again"
                )
            own[label] = mask
        if not records:
            raise DataError(f"{path}: one image or more must have a mask, got none of {len(left)}")
        super().__init__(
            [replace(record, targets=targets.get(name, {})) for name, record in records.items()],
            classes,
        )
        self._path, self._without_mask = path, tuple(left)
        warn_of_values(masks)

    @property
    def sources(self) -> tuple[Path, ...]:
        """Every file that the samples are read from, the table first."""
        return (self._path, *super().sources)


_Row: TypeAlias = dict[str, str]
"""The cells of a row by column."""


@dataclass(frozen=True)
class _Table:
    """The rows of a table.

    Parameters
    ----------
    path
        The file.
    columns
        The column of each role, such as ``"label"``; roles without a column are left out.
    rows
        The number of each row's line, and its cells.
    """

    path: Path
    columns: dict[str, str]
    rows: list[tuple[int, _Row]]

    @classmethod
    def read(
        cls, path: Path, given: Mapping[str, str | None], info: Collection[str], may_be_empty: str
    ) -> "_Table":
        """Read a table whose columns are given by their role; None for the role's own name."""
        lines = read_csv(path, "a CSV file")
        if not lines:
            raise DataError(
                f"{path}: the file must begin with the names of its columns, got nothing"
            )
        header_line, header = lines[0]
        names = [column.strip() for column in header]
        where = f"{path}, line {header_line}"
        columns = _columns_of_roles(where, names, given)
        for column in info:
            if names.count(column) != 1 or column in _ROLES:
                raise DataError(
                    f"{where}: the columns must have one {column}, which is none of "
                    f"{', '.join(_ROLES)}, got {', '.join(map(repr, names))}"
                )
        if len(lines) == 1:
            raise DataError(f"{path}: the file must hold at least one row, got its header alone")
        kept = {*columns.values(), *info}
        if "group" not in columns and (left := [name for name in names if name not in kept]):
            warnings.warn(
                f"{path.name} has no column group, so that each image is a group of its own; if "
                f"one of the columns that are not used ({', '.join(left)}) tells which images "
                f"belong together, such as those of a patient, give group_column={left[0]!r} or "
                "another of them",
                stacklevel=3,  # the line that makes the dataset
            )
        free = {"label", "ignore", may_be_empty}
        needed = {column for role, column in columns.items() if role not in free}
        table = cls(path, columns, [])
        for line, row in lines[1:]:
            table.rows.append((line, table._cells(line, names, row, kept, needed)))
        return table

    def cell(self, row: _Row, role: str) -> str:
        """Return the cell of a role, empty if it has no column."""
        return row[self.columns[role]] if role in self.columns else ""

    def error(self, line: int, role: str, problem: str) -> DataError:
        """Return the error of the cell of a role."""
        return cell_error(self.path, line, self.columns.get(role, role), problem)

    def file(self, line: int, row: _Row, role: str) -> Path:
        """Return the file that a cell names."""
        file = self.path.parent / self.cell(row, role)
        if not is_file(file):
            raise self.error(line, role, f"must name a file, got {kind_at(file)}: {file}")
        return file

    def _cells(
        self, line: int, names: list[str], row: list[str], kept: set[str], needed: set[str]
    ) -> _Row:
        if len(row) != len(names):
            raise DataError(
                f"{self.path}, line {line}: the row must have {len(names)} cells, got {len(row)}"
            )
        cells = {
            column: cell.strip() for column, cell in zip(names, row, strict=True) if column in kept
        }
        for column, cell in cells.items():
            if not cell and column in needed:
                way = f"; {WITHOUT_MASK}" if column == self.columns["mask"] else ""
                raise cell_error(self.path, line, column, f"must not be empty, got ''{way}")
        return cells


def _columns_of_roles(
    where: str, names: Sequence[str], given: Mapping[str, str | None]
) -> dict[str, str]:
    """Return the column of each role that has one."""
    columns = {}
    for role, own in given.items():
        column = role if own is None else own
        if names.count(column) > 1:
            raise DataError(
                f"{where}: the columns must have one {column!r}, got {', '.join(map(repr, names))};"
                " give the others another name"
            )
        if column in names:
            columns[role] = column
        elif own is not None:
            near = near_names(column, [name for name in names if name not in _ROLES], 1)
            example = f"{near[0]!r}" if near else "..."
            raise DataError(
                f"{where}: the columns must have one {column!r}, got "
                f"{', '.join(map(repr, names))}; rename a column, or give its name, as in "
                f"{role}_column={example}"
            )
    return columns


def _names(table: _Table, *, again: bool = False) -> list[str]:
    """Return the name of each row, which may come again where rows are targets."""
    lines: dict[str, int] = {}
    names = []
    for line, row in table.rows:
        name = table.cell(row, "name")
        name = name or Path(table.cell(row, "image")).with_suffix("").as_posix()
        names.append(name)
        if name in lines and not again:
            raise table.error(
                line, "name", f"must differ from the others, got {name!r} as in line {lines[name]}"
            )
        lines[name] = line
    return names


def _labels(table: _Table, given: tuple[str, ...]) -> tuple[list[int | None], tuple[str, ...]]:
    """Return the class of each row, and the names of the classes if they have names."""
    column = table.columns.get("label", "label")
    texts = [table.cell(row, "label") for _, row in table.rows]
    cells = [(line, text) for (line, _), text in zip(table.rows, texts, strict=True) if text]
    where = f"{table.path}, line"
    found = {cell: parse_class(cell, f"{where} {line}: {column}") for line, cell in cells}
    numbers = bool(cells) and found[cells[0][1]] is not None
    for line, cell in cells:
        if (found[cell] is not None) != numbers:
            before = "whole numbers" if numbers else "names"
            raise table.error(
                line,
                "label",
                f"must be all whole numbers or all names, got {cell!r} after {before}",
            )
    classes = given or (() if numbers else tuple(sorted(found)))
    index = found if numbers else {name: place for place, name in enumerate(classes)}
    for line, cell in cells if given else ():
        if index.get(cell) not in range(len(given)):
            known = f"below {len(given)}, as there are" if numbers else "one of"
            near = [] if numbers else near_names(cell, given)
            hint = f"; near names: {', '.join(near)}" if near else ""
            raise table.error(
                line,
                "label",
                f"must be {known} the class names {shorten_names(given)}, got {cell!r}{hint}",
            )
    if classes and not given:
        _warn_of_order(table.path, classes)
    return [index.get(text) for text in texts], classes


def _warn_of_order(path: Path, classes: Sequence[str]) -> None:
    shown = ", ".join(f"{label} {name!r}" for label, name in enumerate(classes[:_SHOWN]))
    more = f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else ""
    warnings.warn(
        f"the classes of {path.name} are numbered in the sorted order of their names ({shown}"
        f"{more}), and the outputs of the network may have another order; give class_names=, in "
        "the order of the outputs",
        ClassOrderWarning,
        stacklevel=4,  # the line that makes the dataset
    )

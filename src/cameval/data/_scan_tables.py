"""CSV tables of medical images: a row for each image and class."""

import csv
from collections.abc import Sequence
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

from cameval.data._files import read_file
from cameval.data.readers import shorten_names
from cameval.data.samples import Info
from cameval.data.scans import Scan, name_of
from cameval.data.targets import parse_class
from cameval.errors import CamevalError, DataError

_KNOWN = ("image", "mask", "label", "name", "group", "frame")


def read_scans(path: Path, class_names: Sequence[str] = ()) -> tuple[list[Scan], tuple[str, ...]]:
    """Return the scans of a CSV file, and the names of the classes as far as they are known.

    Labels that are names get their places in `class_names`, or without these in the sorted names of
    the table. Rows of one name are one image with several classes. Paths are relative to the folder
    of the table. Columns that have no meaning here are the scan's info: numbers where they can be,
    else text.
    """
    rows = _rows(path)
    classes = _class_names(path, rows, tuple(class_names))
    found: dict[str, list[tuple[int, dict[str, str]]]] = {}
    for line, row in rows:
        name = row.get("name") or name_of(Path(row["image"]))
        found.setdefault(name, []).append((line, row))
    return [_scan(path, name, its, classes) for name, its in found.items()], classes or tuple(
        class_names
    )


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    try:
        text = read_file(path, "a CSV file").decode("utf-8-sig")
        reader = csv.DictReader(StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: the table must be CSV in UTF-8, got {error}") from error
    except csv.Error as error:
        raise DataError(f"{path}: the table must be CSV, got {error}") from error
    columns = list(reader.fieldnames or ())
    if "image" not in columns or len(set(columns)) != len(columns) or not rows:
        raise DataError(
            f"{path}: the table must have a column image, names that differ and one row at least, "
            f"got {columns} and {len(rows)} rows"
        )
    for line, row in rows:
        if None in row or None in row.values() or not row["image"].strip():
            raise DataError(
                f"{path}, line {line}: the row must have {len(columns)} cells, and image must not "
                "be empty"
            )
    return [(line, {key: cell.strip() for key, cell in row.items()}) for line, row in rows]


def _class_names(
    path: Path, rows: list[tuple[int, dict[str, str]]], given: tuple[str, ...]
) -> tuple[str, ...]:
    cells = [(line, row["label"]) for line, row in rows if row.get("label")]
    names = [parse_class(cell, f"{path}, line {line}: label") is None for line, cell in cells]
    if len(set(names)) > 1:
        line, cell = cells[names.index(not names[0])]
        raise DataError(
            f"{path}, line {line}: label must be all whole numbers or all names, got {cell!r}"
        )
    if not names or not names[0]:
        return ()
    for line, cell in cells if given else ():
        if cell not in given:
            raise DataError(
                f"{path}, line {line}: label must be one of the class names, "
                f"{shorten_names(given)}, got {cell!r}"
            )
    return given or tuple(sorted({cell for _, cell in cells}))


def _scan(
    path: Path, name: str, rows: list[tuple[int, dict[str, str]]], classes: tuple[str, ...]
) -> Scan:
    line, first = rows[0]
    where = f"{path}, line {line}"
    shared = [column for column in first if column not in ("mask", "label")]
    for other, row in rows[1:]:
        if differs := [column for column in shared if row[column] != first[column]]:
            raise DataError(
                f"{path}, line {other}: {differs[0]} must be as in line {line}, which has the same "
                f"name {name!r}, got {row[differs[0]]!r} and {first[differs[0]]!r}; give images "
                "that differ a column name"
            )
    masks: dict[Any, Path | None] = {}
    for other, row in rows:
        text = row.get("label", "")
        label = classes.index(text) if text in classes else parse_class(text, where)
        if label in masks:
            raise DataError(
                f"{path}, line {other}: an image must have one row for each class, got "
                f"{text or 'no label'} twice for {name!r}"
            )
        masks[label] = path.parent / row["mask"] if row.get("mask") else None
    if len(masks) > 1 and None in masks:
        raise DataError(f"{where}: each row of an image with several classes must have a label")
    label, mask = next(iter(masks.items()))
    several = len(masks) > 1
    frame = first.get("frame", "")
    if frame and not (frame.isascii() and frame.isdigit()):
        raise DataError(f"{where}: frame must be a whole number from 0, got {frame!r}")
    try:
        return Scan(
            path.parent / first["image"],
            masks if several else mask,
            None if several else label,
            name,
            first.get("group") or None,
            int(frame) if frame else None,
            {key: _info(cell) for key, cell in first.items() if key not in _KNOWN},
        )
    except CamevalError as error:
        raise DataError(f"{where}: {error}") from error


def _info(cell: str) -> Info:
    """Return a cell as a number where it is one, as None where it is empty."""
    if not cell:
        return None
    try:
        number = float(cell)
    except ValueError:
        return cell
    return number if isfinite(number) else cell

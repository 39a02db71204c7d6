"""Labels, groups and names of images from text files."""

import csv
from io import StringIO
from os import PathLike
from pathlib import Path

from cameval.data._files import read_file
from cameval.data.samples import parse_class
from cameval.errors import DataError

__all__ = ["read_labels", "read_names"]


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

"""CSV tables about images: their labels, groups, info and names."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from io import StringIO
from os import PathLike
from pathlib import Path

from cameval._names import near_names
from cameval.data._csv import check_commas, info_values
from cameval.data._files import read_file
from cameval.data.pictures import FILE_SUFFIXES
from cameval.data.readers import check_class_names, shorten_names
from cameval.data.samples import Info
from cameval.data.targets import parse_class
from cameval.errors import DataError

__all__ = ["read_info", "read_labels", "read_names"]


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
        The columns of the images' names, classes and groups. If every name has the suffix of an
        image's file, such as ``.jpg``, the suffixes are removed. An empty label is None. If `label`
        is None, no labels are read, and none needs to be there.
    class_names
        The class of label 0, 1, ..., in the order of the network's outputs. Labels may then be
        these names. Without them a label is a class index.

    Returns
    -------
    tuple of dict
        Labels by name and groups by name, as `FolderDataset` takes them:
        ``FolderDataset(images, masks, labels=labels, groups=groups)``. Without a column of
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
        near = near_names(text, classes)
        raise DataError(
            f"{where} must be one of the class names {shorten_names(classes)}, or an index below "
            f"{len(classes)}, got {text!r}" + (f"; near names: {', '.join(near)}" if near else "")
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
        The column of the images' names, as for `read_labels`.

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
    values = {column: info_values([row[column] for _, _, row in rows]) for column in wanted}
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
    check_commas(path, text)
    for column in (name, *columns):
        if not rows or column not in rows[0]:
            there = ", ".join(rows[0]) if rows else "no rows"
            role = {**roles, name: "name"}.get(column) if rows else None
            way = f"; name another with {role}=, or --{role}-column" if role else ""
            raise DataError(f"{path} must have a column {column!r}, got {there}{way}")
    named = [Path(row[name] or "") for row in rows]
    of_files = all(one.suffix.lower() in FILE_SUFFIXES for one in named)
    seen: set[str] = set()
    for line, (row, file) in enumerate(zip(rows, named, strict=True), start=2):
        image = file.with_suffix("").as_posix() if of_files else row[name]
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

"""CSV files: their rows with the numbers of their lines, and errors that name a cell."""

import csv
import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from cameval.data._files import read_file
from cameval.data.samples import Info
from cameval.errors import DataError


def read_csv(path: Path, what: str) -> list[tuple[int, list[str]]]:
    """Return the number of each row's line and its cells; empty lines are left out.

    Raises
    ------
    DataError
        If the file cannot be read, is not UTF-8 or no CSV. The message names file and line.
    """
    text = _read_text(path, what)
    check_commas(path, text)
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        return [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: the line must be CSV, {error}") from error


def check_commas(path: Path, text: str) -> None:
    """Refuse a table whose first line has semicolons and no commas."""
    header = text.partition("\n")[0]
    if ";" in header and "," not in header:
        raise DataError(
            f"{path}: the columns must be separated by commas, got columns separated by "
            "semicolons; save it with commas"
        )


def cell_error(path: Path, line: int, column: str, problem: str) -> DataError:
    """Return the error of one cell."""
    return DataError(f"{path}, line {line}: {column} {problem}")


def info_values(cells: Sequence[str]) -> list[Info]:
    """Return the cells of a column of info: numbers if all are or are empty; None where empty."""
    if _are_numbers(cells):
        return [_number(cell) for cell in cells]
    return [cell or None for cell in cells]


def _are_numbers(cells: Sequence[str]) -> bool:
    found = [cell for cell in cells if cell]
    plain = re.compile(r"[+-]?(\d{1,15}(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?", re.ASCII | re.IGNORECASE)
    return bool(found) and all(plain.fullmatch(cell) for cell in found)


def _number(cell: str) -> int | float | None:
    if not cell:
        return None
    return int(cell) if cell.lstrip("+-").isdecimal() else float(cell)


def _read_text(path: Path, what: str) -> str:
    try:
        return read_file(path, what).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: the file must be UTF-8, got byte {error.object[error.start]:#x};"
            " save it again with that encoding"
        ) from error

"""Tidy tables as CSV: written and read some samples at a time."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from cameval.errors import DataError, SettingError
from cameval.evaluation._assembly import Assembly, categorical
from cameval.evaluation._run_folder import (
    is_there,
    part_of,
    raise_output_errors,
    read_json,
    write_atomically,
)
from cameval.evaluation._tables import (
    COLUMN,
    NAMES,
    SCORE,
    Parts,
    check_plain,
    info_kinds,
    is_text_of_user,
    record_of,
)
from cameval.evaluation.meaning import CONSTANT, REASONS

_ROWS = 2**16  # of the table, in memory at a time


def write_csv(parts: Parts, path: Path) -> None:
    """Write the tidy table, and the provenance as JSON."""
    if path.suffix == ".json":
        raise SettingError(f"path must not end in .json, where the provenance goes, got {path}")
    record = record_of(parts)
    with raise_output_errors("path", path):
        part = part_of(path)
        try:
            with part.open("w", encoding="utf-8", newline="") as stream:
                stream.writelines(_texts(parts))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        write_atomically(path.with_suffix(".json"), record)


def read_csv(path: Path) -> Parts:
    """Read a tidy table, and its provenance if there is a file of it."""
    tables = _tables(path)
    first = next(tables)
    beside = path.with_suffix(".json")
    provenance = read_json(beside, "the provenance of a table") if is_there(beside) else {}
    assembly = Assembly([*first.columns], provenance, str(path), str(beside))
    for table in chain([first], tables):
        assembly.add(pd.DataFrame({name: _read(table[name], assembly) for name in table.columns}))
    return assembly.finish()


# --- Writing --------------------------------------------------------------------------------------
def _texts(parts: Parts) -> Iterator[str]:
    """Yield the text of the file, in pieces."""
    own = info_kinds(parts.samples)
    header = [_quote(name) if name in own else name for name in parts.samples.columns]
    yield from _lines([[*header, *COLUMN, *SCORE]])
    yield "\n"
    columns = [f",{one}," for one in _lines(map(_quoted, map(astuple, parts.columns)))]
    flags = {
        code | constant: f",{reason},{bool(constant)},"
        for code, reason in enumerate(REASONS)
        for constant in (0, CONSTANT)
    }
    step = max(1, _ROWS // len(columns))
    for start in range(0, len(parts.samples), step):
        here = parts.rows(start, start + step)
        scores = (each.tolist() for each in (here.values, here.codes, here.weights))
        yield "".join(
            [
                f"{sample}{column}{_number(value)}{flags[code]}{_number(weight)}\n"
                for sample, *of_sample in zip(_lines(_fields(here.samples)), *scores, strict=True)
                for column, value, code, weight in zip(columns, *of_sample, strict=True)
            ]
        )


def _number(value: float) -> str:
    """Return a number with every bit, nothing for NaN."""
    return repr(value) if value == value else ""


def _fields(samples: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    """Return the fields of each row of a table of samples."""
    own = info_kinds(samples)
    columns = []
    for name in samples.columns:
        if name in NAMES:
            columns.append(quote_formulas(samples[name]))
        elif own.get(name) == "object":
            columns.append(_quote_text(samples[name]))
        else:
            numbers = _without_missing(samples[name])
            columns.append(["" if number is None else str(number) for number in numbers])
    return zip(*columns, strict=True)


class _Written(list[str]):
    """The lines that a writer of CSV has written."""

    def write(self, line: str) -> None:
        """Add a line."""
        self.append(line)


def _lines(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return rows as lines of CSV, without their ends."""
    lines = _Written()
    csv.writer(lines, lineterminator="\r\n").writerows(rows)  # both ends are quoted in a field
    return [line.removesuffix("\r\n") for line in lines]


def quote_formulas(column: pd.Series) -> list[str]:
    """Return text with an apostrophe before what a spreadsheet would read as a formula."""
    return _quoted(column.astype(str))


def _quote_text(column: pd.Series) -> list[str]:
    """Return text of a user: an apostrophe for empty text, nothing for what is missing."""
    found = _without_missing(column)
    return ["" if word is None else _quote(str(word)) or "'" for word in found]


def _without_missing(column: pd.Series) -> list[object]:
    """Return the values of a column, None for missing ones."""
    return column.astype(object).where(column.notna(), None).tolist()


def _quoted(words: Iterable[str]) -> list[str]:
    return [_quote(word) for word in words]


def _quote(word: str) -> str:
    return f"'{word}" if word.startswith(_FORMULA) else word


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


# --- Reading --------------------------------------------------------------------------------------
def _tables(path: Path) -> Iterator[pd.DataFrame]:
    """Yield some rows at a time; all is text."""
    options: dict[str, Any] = {"keep_default_na": False, "na_filter": False, "compression": None}
    try:
        check_plain(path)
        with pd.read_csv(
            path, dtype=object, chunksize=_ROWS, low_memory=False, **options
        ) as reader:
            for table in reader:
                yield table.rename(columns=_unquote)
    except (OSError, ValueError, MemoryError) as error:
        raise DataError(f"{path} must be a table of results as CSV, got {error}") from error


def _read(column: pd.Series, assembly: Assembly) -> Any:
    """Return the words of a column; all but the scores are categorical."""
    name = str(column.name)
    if name in NAMES:
        return categorical(column, _unquote)
    if is_text_of_user(name, assembly.kinds[name]):
        return categorical(column, lambda word: _unquote(word) if word else None)
    return column if name in ("value", "weight") else categorical(column)


def _unquote(word: str) -> str:
    return word.removeprefix("'")

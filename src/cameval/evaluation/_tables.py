"""Tidy tables of scores: construction, writing, reading."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import DataError, SettingError
from cameval.evaluation._info import KINDS, SAMPLE, kind_of
from cameval.evaluation._run_folder import (
    is_there,
    part_of,
    raise_output_errors,
    read_json,
    write_atomically,
)
from cameval.evaluation.meaning import CONSTANT, REASONS, Column

COLUMN = tuple(field.name for field in fields(Column))


KEY = ("model", "sample", "label")
"""The columns that tell the rows of a table of samples apart."""


SCORE = ("value", "reason", "constant", "weight")


_WORDS = ("model", "sample", "group", *COLUMN, "reason")


_KINDS: dict[str, Any] = (
    dict.fromkeys(_WORDS, "object")
    | dict.fromkeys(("label", "predicted"), "Int64")
    | dict.fromkeys(("probability", "area", "value", "weight"), "float64")
    | dict.fromkeys(("present", "constant"), "bool")
)


Parts = tuple[
    pd.DataFrame,
    tuple[Column, ...],
    NDArray[np.float64],
    NDArray[np.uint8],
    dict[str, Any],
    NDArray[np.float64],
]


def tidy(
    samples: pd.DataFrame,
    columns: Sequence[Column],
    values: NDArray[np.float64],
    codes: NDArray[np.uint8],
    weights: NDArray[np.float64],
) -> pd.DataFrame:
    """Return one row for each value, sample by sample."""
    n, k = values.shape
    table: dict[str, Any] = {}
    for name in samples.columns:
        if samples[name].dtype.kind in "biuf":
            table[name] = samples[name].array.repeat(k)
        else:  # words are kept once
            found, labels = pd.factorize(samples[name].to_numpy())
            table[name] = pd.Categorical.from_codes(np.repeat(found, k), pd.Index(labels))
    for name in COLUMN:
        found, labels = pd.factorize(np.array([getattr(c, name) for c in columns], dtype=object))
        table[name] = pd.Categorical.from_codes(np.tile(found, n), pd.Index(labels))
    table["value"] = values.ravel()
    reasons = (codes & ~np.uint8(CONSTANT)).ravel()
    table["reason"] = pd.Categorical.from_codes(reasons, pd.Index(REASONS))
    table["constant"] = ((codes & CONSTANT) > 0).ravel()
    table["weight"] = weights.ravel()
    return pd.DataFrame(table)


def untidy(table: pd.DataFrame, provenance: dict[str, Any], source: str) -> Parts:
    """Take a tidy table apart: samples, columns, values, codes, provenance and weights."""
    missing = [name for name in (*SAMPLE, *COLUMN, *SCORE) if name not in table.columns]
    if missing:
        raise DataError(
            f"{source} must have the column {missing[0]!r}, got {list(table.columns)}; evaluate "
            "again if another version of cameval wrote the file"
        )
    if table.empty:
        raise DataError(f"{source} must have at least one row, got none")
    _check_provenance(provenance, source)
    names = [name for name in table.columns if name not in (*COLUMN, *SCORE)]
    samples = table[names].drop_duplicates(list(KEY)).reset_index(drop=True)
    labels = table[[*COLUMN]].drop_duplicates().astype(object)
    columns = tuple(Column(*row) for row in labels.itertuples(index=False, name=None))
    if len(table) != len(samples) * len(columns):
        raise DataError(
            f"{source} must have one row for each of {len(samples)} samples and targets in each of "
            f"{len(columns)} columns, got {len(table)} rows"
        )
    shape = len(samples), len(columns)
    blank = (np.zeros(shape, kind) for kind in (float, np.uint8, float))
    expected = tidy(samples, columns, *blank)
    for name in (*names, *COLUMN):
        came, expected_values = (_comparable(t[name]) for t in (table, expected))
        wrong = came != expected_values
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"{source} must have its rows sample by sample, as they were written, got "
                f"{name} {table[name].iloc[row]!r} in row {row + 1}"
            )
    unknown = set(table["reason"].astype(object)) - set(REASONS)
    if unknown:
        raise DataError(f"{source}: reason must be one of {REASONS}, got {sorted(unknown)[0]!r}")
    provenance.pop("info", None)
    count = provenance.pop("rows", len(samples))
    if count != len(samples):
        raise DataError(
            f"{source} must have the {count} samples and targets of its record, got "
            f"{len(samples)}; the file was cut, or is of another table"
        )
    reasons = pd.Categorical(table["reason"].astype(object), REASONS).codes.astype(np.uint8)
    codes = reasons | np.where(table["constant"], CONSTANT, 0).astype(np.uint8)
    values, weights = (table[n].to_numpy(np.float64).reshape(shape) for n in ("value", "weight"))
    if ((weights < 0) | np.isinf(weights)).any():
        raise DataError(f"{source}: weight must be a number of pixels or missing, got another")
    return samples, columns, values, codes.reshape(shape), provenance, weights


def _comparable(column: pd.Series) -> NDArray[np.object_]:
    """Return values with None for missing ones, which then are equal."""
    found: NDArray[np.object_] = column.astype(object).where(column.notna(), None).to_numpy()
    return found


def find(
    samples: pd.DataFrame, columns: Sequence[Column], conditions: Mapping[str, Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the rows and the columns that meet all conditions."""
    rows = np.ones(len(samples), bool)
    kept = np.ones(len(columns), bool)
    for name, wanted in conditions.items():
        several = wanted if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
        if name in COLUMN:
            kept &= [getattr(column, name) in several for column in columns]
        elif name in samples.columns:
            known = [value for value in several if value is not None and value is not pd.NA]
            rows &= samples[name].isin(known).to_numpy(bool) | (
                (len(known) < len(several)) & samples[name].isna().to_numpy(bool)
            )
        else:
            raise SettingError(
                f"conditions must be on {', '.join((*samples.columns, *COLUMN))}, got {name!r}"
            )
        if not rows.any() or not kept.any():
            of_columns = [getattr(column, name, "") for column in columns]
            there = filter(None, of_columns) if name in COLUMN else samples[name]
            raise SettingError(
                f"{name} must be one of {_shorten(dict.fromkeys(there))}, got {_shorten(several)}, "
                "which leaves nothing"
            )
    return np.flatnonzero(rows), np.flatnonzero(kept)


# --- Files ----------------------------------------------------------------------------------------
def write_csv(table: pd.DataFrame, provenance: Mapping[str, Any], path: Path) -> None:
    """Write the table, and its provenance as JSON."""
    if path.suffix == ".json":
        raise SettingError(f"path must not end in .json, where the provenance goes, got {path}")
    safe = table.assign(**{name: quote_formulas(table[name]) for name in _text_columns(table)})
    own = _info_kinds(table)
    texts = {name: _quote_text(table[name]) for name, kind in own.items() if kind == "object"}
    safe = safe.assign(**texts).rename(columns={name: _quote(name) for name in own})
    with raise_output_errors("path", path):
        part = part_of(path)
        try:
            safe.to_csv(part, index=False)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        write_atomically(path.with_suffix(".json"), _json(provenance, table))


def read_csv(path: Path) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Read a tidy table, and its provenance if there is a file of it."""
    try:
        _check_plain(path)
        table = pd.read_csv(path, dtype=str, keep_default_na=False, compression=None)
    except (OSError, ValueError, MemoryError) as error:
        raise DataError(f"{path} must be a table of results as CSV, got {error}") from error
    beside = path.with_suffix(".json")
    provenance = read_json(beside, "the provenance of a table") if is_there(beside) else {}
    table = table.rename(columns=lambda name: name.removeprefix("'"))
    for name in _text_columns(table):
        table[name] = [word.removeprefix("'") for word in table[name]]
    kinds = _kinds_of(table, provenance, str(beside))
    for name in set(kinds) - set(_KINDS):
        if kinds[name] == "object":
            table[name] = [word.removeprefix("'") if word else None for word in table[name]]
    return _typed(table, kinds, str(path)), provenance, str(path)


def write_parquet(table: pd.DataFrame, provenance: Mapping[str, Any], path: Path) -> None:
    """Write the table with its provenance inside."""
    _need_pyarrow()
    table.attrs["provenance"] = _json(provenance, table)
    with raise_output_errors("path", path):
        part = part_of(path)
        try:
            table.to_parquet(part, engine="pyarrow", index=False)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def read_parquet(path: Path) -> tuple[pd.DataFrame, dict[str, Any], str]:
    """Read a tidy table and its provenance."""
    _need_pyarrow()
    try:
        _check_plain(path)
        table = pd.read_parquet(path, engine="pyarrow")
    except (OSError, ValueError, MemoryError, KeyError, TypeError) as error:
        raise DataError(f"{path} must be a table of results as Parquet, got {error}") from error
    try:
        provenance = json.loads(table.attrs.get("provenance", "{}"))
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: provenance must be JSON, got {error}") from error
    if not isinstance(provenance, dict):
        raise DataError(f"{path}: provenance must be an object, got {type(provenance).__name__}")
    return _typed(table, _kinds_of(table, provenance, str(path)), str(path)), provenance, str(path)


def _check_provenance(provenance: Mapping[str, Any], source: str) -> None:
    """Check the parts of a record that are used, if they are there."""
    settings, parts = provenance.get("settings"), provenance.get("parts")
    for name, part in (("settings", settings), ("chosen", provenance.get("chosen"))):
        if not isinstance(part, dict | None):
            raise DataError(f"{source}: {name} of its record must be an object, got {part!r:.60}")
    seed, names = ((settings or {}).get(name) for name in ("seed", "class_names"))
    if not isinstance(seed, int | None):
        raise DataError(f"{source}: seed of its record must be an integer, got {seed!r:.60}")
    if not isinstance(names, list | None) or not all(isinstance(n, str) for n in names or ()):
        raise DataError(f"{source}: class_names of its record must be words, got {names!r:.60}")
    if not isinstance(parts, list | None) or not all(isinstance(p, dict) for p in parts or ()):
        raise DataError(f"{source}: parts of its record must be records, got {parts!r:.60}")
    try:
        for part in parts or ():
            _check_provenance(part, source)
    except RecursionError as error:
        raise DataError(f"{source}: parts of its record are nested too deeply") from error


def _info_kinds(table: pd.DataFrame) -> dict[str, str]:
    """Return the kinds of the columns that users have added to a tidy table."""
    own = [name for name in table.columns if name not in _KINDS]
    return {name: kind_of(table[name]) for name in own}


def _kinds_of(table: pd.DataFrame, provenance: Mapping[str, Any], source: str) -> dict[str, str]:
    """Return the kind of each column; a column of a user that the record does not know is text."""
    recorded = provenance.get("info", {})
    if not isinstance(recorded, dict) or not set(map(str, recorded.values())) <= set(KINDS):
        raise DataError(
            f"{source}: info of its record must be the kind of each column ({', '.join(KINDS)}), "
            f"got {recorded!r:.60}"
        )
    own = [name for name in table.columns if name not in _KINDS]
    return _KINDS | {name: recorded.get(name, "object") for name in own}


def _typed(table: pd.DataFrame, kinds: Mapping[str, str], source: str) -> pd.DataFrame:
    """Return the table with the dtype that each column has in memory.

    Numbers in text are read by Python, which restores every bit.
    """
    for name in table.columns:  # `untidy` says what is missing
        column, kind = table[name], kinds[name]
        words = column.dtype.kind not in "biuf" and kind != "object"
        try:
            table[name] = [_READ[kind](value) for value in column] if words else column
            table[name] = table[name].astype(kind)  # type: ignore[call-overload]
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise DataError(f"{source}: {name} must be {kind}, got {error}") from error
        if name not in _KINDS and kind == "object":
            table[name] = table[name].where(table[name].notna(), None)
    return table


def _float(word: str) -> float:
    return float(word) if word else float("nan")


def _int(word: str) -> Any:
    if not word:
        return pd.NA
    try:
        return int(word)
    except ValueError:  # 3.0, as pandas writes integers of a column that lacks one
        if not (number := float(word)).is_integer():
            raise
        return int(number)


_READ: dict[str, Any] = {
    "Int64": _int,
    "float64": _float,
    "bool": {"True": True, "False": False}.__getitem__,
    "boolean": {"True": True, "False": False, "": pd.NA}.__getitem__,
}


def _json(provenance: Mapping[str, Any], table: pd.DataFrame) -> str:
    """Return the record of a table, with its number of samples and the kinds of info, as JSON."""
    record = {**provenance, "rows": len(table[list(KEY)].drop_duplicates())}
    if own := _info_kinds(table):
        record["info"] = own
    return json.dumps(record, indent=2, ensure_ascii=False)


def _text_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns of labels and names, which are never missing."""
    return [name for name in ("model", "sample", "group", *COLUMN) if name in table.columns]


def quote_formulas(column: pd.Series) -> list[str]:
    """Return text with an apostrophe before what a spreadsheet would read as a formula."""
    return [_quote(word) for word in column.astype(str)]


def _quote(word: str) -> str:
    return f"'{word}" if word.startswith(_FORMULA) else word


def _quote_text(column: pd.Series) -> list[str]:
    """Return text of a user: an apostrophe for empty text, nothing for what is missing."""
    return ["" if word is None else _quote(word) or "'" for word in _comparable(column)]


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


def _check_plain(path: Path) -> None:
    """Refuse anything but a plain file, such as a pipe."""
    if path.exists() and not path.is_file():
        raise OSError("a folder or another thing that is no plain file")


def _need_pyarrow() -> None:
    try:
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as error:
        raise SettingError(
            "Parquet needs pyarrow, got none; install it with pip install 'cameval[parquet]', "
            "or write CSV"
        ) from error


def _shorten(values: object) -> str:
    several = [str(value) for value in values]  # type: ignore[attr-defined]
    return ", ".join(several[:8]) + (", ..." if len(several) > 8 else "")

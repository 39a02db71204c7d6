"""Tidy tables of scores: construction, selection, kinds of columns, record."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval._names import list_near_names
from cameval.errors import DataError, SettingError
from cameval.evaluation._info import KINDS, kind_of
from cameval.evaluation.meaning import CONSTANT, REASONS, Column

COLUMN = tuple(field.name for field in fields(Column))


KEY = ("model", "sample", "label")
"""The columns that tell the rows of a table of samples apart."""


SCORE = ("value", "reason", "constant", "weight")


NAMES = ("model", "sample", "group", *COLUMN)
"""The columns of names and labels of things, which are never missing."""


_KINDS: dict[str, Any] = (
    dict.fromkeys((*NAMES, "reason"), "object")
    | dict.fromkeys(("label", "predicted"), "Int64")
    | dict.fromkeys(("probability", "area", "value", "weight"), "float64")
    | dict.fromkeys(("present", "constant"), "bool")
)


class Parts(NamedTuple):
    """The parts of results, in the order of their fields."""

    samples: pd.DataFrame
    columns: tuple[Column, ...]
    values: NDArray[np.float64]
    codes: NDArray[np.uint8]
    provenance: Mapping[str, Any]
    weights: NDArray[np.float64]

    def rows(self, start: int, stop: int) -> "Parts":
        """Return the parts of some samples."""
        at = slice(start, stop)
        return self._replace(
            samples=self.samples.iloc[at],
            values=self.values[at],
            codes=self.codes[at],
            weights=self.weights[at],
        )

    def tidy(self) -> pd.DataFrame:
        """Return the tidy table."""
        return tidy(self.samples, self.columns, self.values, self.codes, self.weights)


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


def find(
    samples: pd.DataFrame, columns: Sequence[Column], conditions: Mapping[str, Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the indices of the rows and the columns that meet all conditions."""
    rows = np.ones(len(samples), bool)
    kept = np.ones(len(columns), bool)
    for name, wanted in conditions.items():
        several = wanted if isinstance(wanted, list | tuple | set | frozenset) else [wanted]
        if name in COLUMN:
            met = np.array([getattr(column, name) in several for column in columns], bool)
            kept &= met
        elif name in samples.columns:
            known = [value for value in several if value is not None and value is not pd.NA]
            met = samples[name].isin(known).to_numpy(bool) | (
                (len(known) < len(several)) & samples[name].isna().to_numpy(bool)
            )
            rows &= met
        else:
            known_names = [*samples.columns, *COLUMN]
            near = list_near_names(name, known_names)
            raise SettingError(
                f"conditions must be on {', '.join(known_names)}, got {name!r}; near names: {near}"
            )
        if not rows.any() or not kept.any():
            of_columns = [getattr(column, name, "") for column in columns]
            there = filter(None, of_columns) if name in COLUMN else samples[name]
            others = ", which has nothing in common with the other conditions"
            raise SettingError(
                f"{name} must be one of {_shorten(dict.fromkeys(there))}, got {_shorten(several)}"
                f"{others if met.any() else ''}"
            )
    return np.flatnonzero(rows), np.flatnonzero(kept)


# --- Kinds and record -----------------------------------------------------------------------------
def info_kinds(samples: pd.DataFrame) -> dict[str, str]:
    """Return the kinds of the columns that users have added."""
    return {name: kind_of(samples[name]) for name in samples.columns if name not in _KINDS}


def is_text_of_user(name: str, kind: str) -> bool:
    """Tell whether a column of a kind is text that a user has added."""
    return name not in _KINDS and kind == "object"


def kinds_of(header: Sequence[str], provenance: Mapping[str, Any], source: str) -> dict[str, str]:
    """Return the kind of each column; a column of a user that the record does not know is text."""
    recorded = provenance.get("info", {})
    if not isinstance(recorded, dict) or not set(map(str, recorded.values())) <= set(KINDS):
        raise DataError(
            f"{source}: info of its record must be the kind of each column ({', '.join(KINDS)}), "
            f"got {recorded!r:.60}"
        )
    own = [name for name in header if name not in _KINDS]
    return _KINDS | {name: recorded.get(name, "object") for name in own}


def record_of(parts: Parts) -> str:
    """Return the record of a table, with its number of samples and the kinds of info, as JSON."""
    rows = len(parts.samples[list(KEY)].drop_duplicates())
    record = {**parts.provenance, "rows": rows}
    if own := info_kinds(parts.samples):
        record["info"] = own
    return json.dumps(record, indent=2, ensure_ascii=False)


def check_provenance(provenance: Mapping[str, Any], source: str) -> None:
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
            check_provenance(part, source)
    except RecursionError as error:
        raise DataError(f"{source}: parts of its record are nested too deeply") from error


def check_plain(path: Path) -> None:
    """Refuse anything but a plain file, such as a pipe."""
    if path.exists() and not path.is_file():
        raise OSError("a folder or another thing that is no plain file")


def _shorten(values: object) -> str:
    several = [str(value) for value in values]  # type: ignore[attr-defined]
    return ", ".join(several[:8]) + (", ..." if len(several) > 8 else "")

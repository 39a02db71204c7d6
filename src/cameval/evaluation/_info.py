"""Columns that users add to samples, ``Sample.info``: kinds, missing values, order in the table."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.data.samples import RESERVED_COLUMNS
from cameval.errors import DataError

SAMPLE = (
    *("model", "sample", "group", "label"),
    *("present", "predicted", "probability", "area"),
)
"""The columns of every table of samples. Those of users stand after the label."""


KINDS = ("boolean", "Int64", "float64", "object")
"""Dtypes of the columns of users: truth values, whole numbers, numbers, text."""


def names_of_info(samples: pd.DataFrame) -> list[str]:
    """Return the columns of a table of samples that users have added."""
    return [name for name in samples.columns if name not in SAMPLE]


def with_info(samples: pd.DataFrame, columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """Return a table of samples with these columns of users, after the label."""
    own = {name: typed(values) for name, values in columns.items()}
    table = samples.assign(**own)
    return table[[*SAMPLE[:4], *own, *SAMPLE[4:]]]


def typed(values: Sequence[Any]) -> pd.Series:
    """Return a column of a user in the narrowest kind that holds all of its values.

    Text and numbers in one column are text. What is missing is None, or any value that pandas takes
    for missing.
    """
    plain = [_plain(value) for value in values]
    kinds = {type(value) for value in plain if value is not None}
    if kinds == {bool}:
        return pd.Series(pd.array(plain, dtype="boolean"))
    if kinds == {int} and all(_fits(value) for value in plain if value is not None):
        return pd.Series(pd.array(plain, dtype="Int64"))
    if kinds and kinds <= {int, float} and float in kinds:
        return pd.Series([np.nan if v is None else float(v) for v in plain], dtype="float64")
    return pd.Series([None if value is None else str(value) for value in plain], dtype="object")


def kind_of(column: pd.Series) -> str:
    """Return the kind of a column of a user."""
    name = str(column.dtype)
    return name if name in KINDS else "object"


def columns_of_json(info: NDArray[np.str_]) -> dict[str, list[Any]]:
    """Return the columns of users of a run, from a JSON object for each row.

    Raises
    ------
    DataError
        If a text is something else.
    """
    known = {word: _read(word) for word in dict.fromkeys(info.tolist())}
    rows = [known[word] for word in info.tolist()]
    names = dict.fromkeys(name for row in known.values() for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def concatenated(parts: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of several tables of samples; a part without a column has missing values."""
    several = list(parts)
    names = dict.fromkeys(name for part in several for name in names_of_info(part))
    own: dict[str, list[Any]] = {
        name: [
            value
            for part in several
            for value in (part[name] if name in part else [None] * len(part))
        ]
        for name in names
    }
    plain = [part.drop(columns=names_of_info(part)) for part in several]
    table = pd.concat(plain, ignore_index=True)
    return with_info(table, own) if own else table


def _plain(value: Any) -> Any:
    """Return a value of Python, None where it is missing."""
    if value is None or value is pd.NA or value != value:
        return None
    return value.item() if isinstance(value, np.generic) else value


def _fits(value: int) -> bool:
    return -(2**63) <= value < 2**63


def _read(word: str) -> dict[str, Any]:
    """Return the columns of one sample."""
    try:
        found = json.loads(word)
    except (ValueError, RecursionError) as error:
        raise DataError(f"info of a sample must be JSON, got {word[:60]!r}: {error}") from error
    if not isinstance(found, dict) or not RESERVED_COLUMNS.isdisjoint(found):
        raise DataError(f"info of a sample must be columns of a user, got {word[:60]!r}")
    for name, value in found.items():
        if not isinstance(value, str | int | float | None):
            raise DataError(f"info {name!r} must be text, a number or null, got {value!r:.60}")
    return found

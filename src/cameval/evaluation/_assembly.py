"""A tidy table that is read part by part, taken apart into samples, columns and scores."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import DataError
from cameval.evaluation._info import SAMPLE
from cameval.evaluation._tables import (
    COLUMN,
    KEY,
    SCORE,
    Parts,
    check_provenance,
    is_text_of_user,
    kinds_of,
)
from cameval.evaluation.meaning import CONSTANT, REASONS, Column


class Assembly:
    """Collects the samples, columns and scores of a tidy table, of which a part is in memory.

    The rows of a table are sample by sample. All samples have the rows of the first, which are the
    columns of the results.

    Parameters
    ----------
    header
        Names of the columns of the table.
    provenance
        Its record.
    source, source_of_record
        The files, for messages.
    """

    def __init__(
        self,
        header: Sequence[str],
        provenance: Mapping[str, Any],
        source: str,
        source_of_record: str,
    ) -> None:
        missing = [name for name in (*SAMPLE, *COLUMN, *SCORE) if name not in header]
        if missing:
            raise DataError(
                f"{source} must have the column {missing[0]!r}, got {list(header)}; evaluate "
                "again if another version of cameval wrote the file"
            )
        self.kinds = kinds_of(header, provenance, source_of_record)
        check_provenance(provenance, source)
        self._provenance, self._source = dict(provenance), source
        self._names = [name for name in header if name not in (*COLUMN, *SCORE)]
        self._count = self._taken = 0  # rows that came, and rows of whole samples
        self._rest: pd.DataFrame | None = None
        self._columns: tuple[Column, ...] = ()
        self._known: set[Column] = set()
        self._samples: list[pd.DataFrame] = []
        self._scores: tuple[list[NDArray[Any]], ...] = [], [], []  # values, codes and weights
        self._wrong: tuple[str, Any, int] | None = None  # name, value and row

    def add(self, rows: pd.DataFrame) -> None:
        """Take in the next rows.

        Raises
        ------
        DataError
            If a value is not of the kind of its column.
        """
        self._count += len(rows)
        rows = _typed(rows.reset_index(drop=True), self.kinds, self._source)
        if self._rest is not None:
            rows = _joined(self._rest, rows)
        if not self._columns and (width := _rows_of_first(rows)):
            self._columns = _columns_of(rows.iloc[:width])
            self._known.update(self._columns)
        whole = len(rows) // len(self._columns) * len(self._columns) if self._columns else 0
        self._take(rows.iloc[:whole])
        self._rest = rows.iloc[whole:].reset_index(drop=True)

    def finish(self) -> Parts:
        """Return the parts of the results.

        Raises
        ------
        DataError
            If the table does not have the rows of each sample, one below the other.
        """
        if self._rest is None or not self._count:
            raise DataError(f"{self._source} must have at least one row, got none")
        if not self._columns:  # one sample
            self._columns = _columns_of(self._rest)
            self._known.update(self._columns)
            self._take(self._rest)
        elif len(self._rest):
            self._tally(self._rest)
        samples = pd.concat(self._samples, ignore_index=True)
        again = samples.duplicated(list(KEY))
        distinct = len(samples) - int(again.sum())
        if self._count != distinct * len(self._known):
            raise DataError(
                f"{self._source} must have one row for each of {distinct} samples and targets in "
                f"each of {len(self._known)} columns, got {self._count} rows"
            )
        if self._wrong is None and again.any():
            first = int(again.to_numpy().argmax())
            self._wrong = "sample", samples["sample"][first], first * len(self._columns) + 1
        if self._wrong is not None:
            name, value, row = self._wrong
            raise DataError(
                f"{self._source} must have its rows sample by sample, as they were written, got "
                f"{name} {value!r} in row {row}"
            )
        self._provenance.pop("info", None)
        count = self._provenance.pop("rows", len(samples))
        if count != len(samples):
            raise DataError(
                f"{self._source} must have the {count} samples and targets of its record, got "
                f"{len(samples)}; the file was cut, or is of another table"
            )
        values, codes, weights = (_emptied(each) for each in self._scores)
        return Parts(samples, self._columns, values, codes, self._provenance, weights)

    def _take(self, rows: pd.DataFrame) -> None:
        """Take in the rows of whole samples."""
        if not len(rows):
            return
        width = len(self._columns)
        self._wrong = self._wrong or self._first_wrong(rows, width)
        if self._wrong is not None:
            self._tally(rows)
            return
        self._taken += len(rows)
        of_samples = rows[self._names].iloc[::width]
        self._samples.append(_plain(of_samples, self.kinds))
        codes = self._reasons(rows["reason"])
        codes |= np.where(rows["constant"], CONSTANT, 0).astype(np.uint8)
        values, weights = (rows[name].to_numpy(np.float64) for name in ("value", "weight"))
        if ((weights < 0) | np.isinf(weights)).any():
            raise DataError(
                f"{self._source}: weight must be a number of pixels or missing, got another"
            )
        for known, came in zip(self._scores, (values, codes, weights), strict=True):
            known.append(came.reshape(-1, width).copy())

    def _tally(self, rows: pd.DataFrame) -> None:
        """Count the samples and columns of rows that are not in order."""
        self._samples.append(_plain(rows[self._names].drop_duplicates(list(KEY)), self.kinds))
        self._known.update(_columns_of(rows[[*COLUMN]].drop_duplicates()))

    def _first_wrong(self, rows: pd.DataFrame, width: int) -> tuple[str, Any, int] | None:
        """Return name, value and number of the first row that is not where it should be."""
        for name in (*self._names, *COLUMN):
            codes = _codes(rows[name]).reshape(-1, width)
            wrong = codes != (codes[:1] if name in COLUMN else codes[:, :1])
            if name in COLUMN:
                came = rows[name].iloc[:width]
                wrong[0] = [a != getattr(b, name) for a, b in zip(came, self._columns, strict=True)]
            if wrong.any():
                row = int(wrong.argmax())
                value = rows[name].iloc[row]
                return name, None if pd.isna(value) else value, self._taken + row + 1
        return None

    def _reasons(self, words: pd.Series) -> NDArray[np.uint8]:
        """Return the code of each reason."""
        codes, known = pd.factorize(words, use_na_sentinel=False)
        if strange := sorted(set(map(str, known)) - set(REASONS)):
            raise DataError(f"{self._source}: reason must be one of {REASONS}, got {strange[0]!r}")
        of_known = np.array([REASONS.index(word) for word in known], np.uint8)
        return of_known[codes]


def categorical(column: pd.Series, read: Callable[[Any], Any] | None = None) -> pd.Categorical:
    """Return a categorical column, with each of its words read; None is missing."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, words = column.cat.codes.to_numpy(), column.cat.categories.to_numpy(object)
    else:
        codes, words = pd.factorize(column.to_numpy(object))
    if read is not None:
        of_word, words = pd.factorize(np.array([read(word) for word in words], dtype=object))
        codes = np.append(of_word, -1)[codes]
    return pd.Categorical.from_codes(codes, pd.Index(words, dtype=object))


def _typed(table: pd.DataFrame, kinds: Mapping[str, str], source: str) -> pd.DataFrame:
    """Return rows with the kind that each column has; text is categorical.

    Numbers in text are read by Python, which restores every bit.
    """
    found: dict[str, Any] = {}
    for name in table.columns:
        column, kind = table[name], kinds[name]
        try:
            found[name] = categorical(column) if kind == "object" else _numbers(column, kind)
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise DataError(f"{source}: {name} must be {kind}, got {error}") from error
    return pd.DataFrame(found)


def _numbers(column: pd.Series, kind: str) -> Any:
    """Return numbers or truth values of a kind; text is read."""
    if column.dtype.kind in "biuf":
        return column.astype(kind)  # type: ignore[call-overload]
    if isinstance(column.dtype, pd.CategoricalDtype) and column.notna().all():
        each = _read_words(column.cat.categories.to_numpy(object), kind)
        return each.array.take(column.cat.codes)
    return _read_words(column.to_numpy(object), kind)


def _read_words(words: NDArray[np.object_], kind: str) -> pd.Series:
    """Return the numbers or truth values of text."""
    if kind == "float64":
        return pd.Series(np.where(words == "", "nan", words).astype(np.float64))
    found: pd.Series = pd.Series([_READ[kind](word) for word in words]).astype(kind)  # type: ignore[call-overload]
    return found


def _plain(samples: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Return rows of samples as results have them, with None for missing text of users."""
    found: dict[str, Any] = {}
    for name in samples.columns:
        found[name] = samples[name].reset_index(drop=True)
        if kinds[name] == "object":
            found[name] = found[name].astype(object)
        if is_text_of_user(name, kinds[name]):
            found[name] = found[name].where(found[name].notna(), None)
    return pd.DataFrame(found)


def _joined(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of two tables; text stays categorical."""
    if not len(first):
        return second
    found: dict[str, Any] = {}
    for name in second.columns:
        both = [first[name], second[name]]
        text = isinstance(second[name].dtype, pd.CategoricalDtype)
        found[name] = _joined_text(*both) if text else pd.concat(both, ignore_index=True)
    return pd.DataFrame(found)


def _joined_text(first: pd.Series, second: pd.Series) -> pd.Categorical:
    """Return the values of two categorical columns, whose words are of type object."""
    words = np.concatenate([each.cat.categories.to_numpy(object) for each in (first, second)])
    of_word, known = pd.factorize(words)
    of_word = np.append(of_word, -1)
    here = of_word[first.cat.codes.to_numpy()]
    there = second.cat.codes.to_numpy().astype(np.intp)
    there = of_word[np.where(there < 0, -1, there + len(first.cat.categories))]
    return pd.Categorical.from_codes(np.append(here, there), pd.Index(known, dtype=object))


def _rows_of_first(rows: pd.DataFrame) -> int:
    """Return the number of rows of the first sample; 0 if its end is not known."""
    key = np.stack([_codes(rows[name]) for name in KEY])
    of_first = (key == key[:, :1]).all(0)
    end = len(rows) if of_first.all() else int(of_first.argmin())
    again = pd.DataFrame({name: _codes(rows[name])[:end] for name in COLUMN}).duplicated()
    if again.any():
        return int(again.to_numpy().argmax())
    return end if end < len(rows) else 0


def _columns_of(rows: pd.DataFrame) -> tuple[Column, ...]:
    table = rows[[*COLUMN]].astype(object)
    return tuple(Column(*row) for row in table.itertuples(index=False, name=None))


def _emptied(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the concatenation of arrays, and let go of them."""
    whole = np.concatenate(arrays)
    arrays.clear()
    return whole


def _codes(column: pd.Series) -> NDArray[Any]:
    """Return a number for each value of a column, the same for equal ones."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy()
    codes: NDArray[Any] = pd.factorize(column)[0]
    return codes


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
    "bool": {"True": True, "False": False}.__getitem__,
    "boolean": {"True": True, "False": False, "": pd.NA}.__getitem__,
}

"""Tidy tables as Parquet: written and read some samples at a time; words are dictionaries."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from cameval._extras import needed_by
from cameval.errors import DataError
from cameval.evaluation._assembly import Assembly
from cameval.evaluation._run_folder import part_of, raise_output_errors
from cameval.evaluation._tables import Parts, check_plain, record_of

_ROWS = 2**18  # of the table, in memory at a time, and in a row group of the file

_ATTRIBUTES = b"PANDAS_ATTRS"  # where pandas reads DataFrame.attrs


def write_parquet(parts: Parts, path: Path) -> None:
    """Write the tidy table with the provenance inside."""
    pyarrow, parquet = _pyarrow()
    schema = _schema_of(parts)
    step = max(1, _ROWS // len(parts.columns))
    with raise_output_errors("path", path):
        part = part_of(path)
        try:
            with part.open("wb") as stream, parquet.ParquetWriter(stream, schema) as writer:
                for start in range(0, len(parts.samples), step):
                    table = parts.rows(start, start + step).tidy()
                    writer.write_table(
                        pyarrow.Table.from_pandas(table, schema, preserve_index=False)
                    )
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def read_parquet(path: Path) -> Parts:
    """Read a tidy table and its provenance."""
    _, parquet = _pyarrow()
    with _data_errors(path):
        check_plain(path)
        file = parquet.ParquetFile(path)
    with file:
        with _data_errors(path):
            schema = file.schema_arrow
            attributes = json.loads((schema.metadata or {}).get(_ATTRIBUTES, b"{}"))
            header = [*schema.empty_table().to_pandas().columns]
        assembly = Assembly(header, _provenance_in(attributes, path), str(path), str(path))
        for table in _tables(file, path):
            assembly.add(table)
    return assembly.finish()


def _schema_of(parts: Parts) -> Any:
    """Return the schema of the table, with what pandas keeps in it."""
    pyarrow, _ = _pyarrow()
    whole = parts._replace(
        columns=parts.columns[:1],
        **{name: getattr(parts, name)[:, :1] for name in ("values", "codes", "weights")},
    ).tidy()
    whole.attrs["provenance"] = record_of(parts)
    schema = pyarrow.Table.from_pandas(whole, preserve_index=False).schema
    for at, field in enumerate(schema):
        if pyarrow.types.is_dictionary(field.type):
            words = field.type.value_type
            words = pyarrow.string() if pyarrow.types.is_null(words) else words
            schema = schema.set(at, field.with_type(pyarrow.dictionary(pyarrow.int32(), words)))
    attributes = json.dumps(whole.attrs).encode()
    return schema.with_metadata({**(schema.metadata or {}), _ATTRIBUTES: attributes})


def _tables(file: Any, path: Path) -> Iterator[pd.DataFrame]:
    """Yield some rows at a time."""
    with _data_errors(path):
        for group in range(file.num_row_groups):  # each has its own dictionaries
            for batch in file.iter_batches(_ROWS, row_groups=[group]):
                yield batch.to_pandas()


def _provenance_in(attributes: object, path: Path) -> dict[str, Any]:
    """Return the provenance that is stored in the file."""
    try:
        text = attributes.get("provenance", "{}")  # type: ignore[attr-defined]
        provenance = json.loads(text)
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: provenance must be JSON, got {error}") from error
    if not isinstance(provenance, dict):
        raise DataError(f"{path}: provenance must be an object, got {type(provenance).__name__}")
    return provenance


@contextmanager
def _data_errors(path: Path) -> Iterator[None]:
    """Raise errors of reading as a `DataError`."""
    try:
        yield
    except (OSError, ValueError, MemoryError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path} must be a table of results as Parquet, got {error}") from error


def _pyarrow() -> tuple[Any, Any]:
    """Return the modules that write Parquet."""
    with needed_by("Parquet needs", "or write CSV"):
        import pyarrow
        import pyarrow.parquet
    return pyarrow, pyarrow.parquet

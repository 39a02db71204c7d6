"""Run folder: one file for each batch, written atomically; versions and dates.

A run that was interrupted continues from its last batch; two runs that write to the same folder
write the same files. Nothing in the folder is unpickled.
"""

import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np

from cameval.errors import CamevalError, DataError, OutputError, SettingError
from cameval.evaluation._arrays_file import load_arrays
from cameval.evaluation._batch import BatchScores
from cameval.evaluation._identity import differences, with_other

_PACKAGES = ("cameval", "torch", "torchvision", "numpy", "scikit-image", "scipy", "pandas")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the scores depend on."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def runs(provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the record of each run of a table, with the choices that were made for all."""
    parts = provenance.get("parts")
    if not parts:
        return [dict(provenance)]
    found = [run for part in parts for run in runs(part)]
    if not (together := provenance.get("chosen")):
        return found
    return [run | {"chosen": {**(run.get("chosen") or {}), **together}} for run in found]


def with_model_name(provenance: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the record of a table of one model with another name of the model."""
    found = dict(provenance)
    for part in ("settings", "identity"):
        record = found.get(part)
        if isinstance(record, Mapping) and "model" in record:
            found[part] = {**record, "model": name}
    if parts := found.get("parts"):
        found["parts"] = [with_model_name(one, name) for one in parts]
    return found


_DAMAGED = (
    *(OSError, EOFError, ValueError, KeyError, IndexError, TypeError, RuntimeError),
    *(BadZipFile, ZlibError, MemoryError, NotImplementedError, OverflowError),
)


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run: its record in ``run.json``, and finished batches in ``batches/``.

    Parameters
    ----------
    path
        The folder; it is created when needed.
    """

    path: Path

    def claim(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Write the record of a run, or check that it is that of the folder, and return it.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        SettingError
            If it holds another run.
        DataError
            If what it holds is damaged.
        """
        file, text = self.path / "run.json", json.dumps(record, indent=2, ensure_ascii=False)
        with raise_output_errors("out", self.path):
            (self.path / "batches").mkdir(parents=True, exist_ok=True)
            if not file.exists() and write_atomically(file, text, keep=True):
                return self.record()
        kept, asked = self.record(), json.loads(text)
        changes = differences(kept["identity"], asked["identity"])
        if not changes and kept["columns"] != asked["columns"]:
            changes = ["order of its columns"]
        if changes and not self.numbers():  # it ended before its first batch
            with raise_output_errors("out", self.path):
                write_atomically(file, text)
            return self.record()
        if changes:
            raise SettingError(
                f"out must be a new folder or one of the same run, got {self.path} with "
                f"{'; '.join(map(with_other, changes))} (in the folder and now)"
            )
        return kept

    def record(self) -> dict[str, Any]:
        """Return the record in ``run.json``.

        Raises
        ------
        DataError
            If there is none, or it cannot be read.
        """
        file = self.path / "run.json"
        if not is_there(file):
            raise DataError(f"{self.path} must hold a run (run.json), got none")
        record = read_json(file, "the record of a run")
        if not _is_record(record):
            raise DataError(
                f"{file} must be the record of a run of this version of cameval, got something else"
            )
        return record

    def numbers(self) -> list[int]:
        """Return the numbers of the finished batches."""
        files = (self.path / "batches").glob("*.npz")
        return sorted(int(file.stem) for file in files if file.stem.isdecimal())

    def has(self, number: int) -> bool:
        """Tell whether a batch is finished."""
        return self._file(number).exists()

    def write(self, number: int, scores: BatchScores) -> None:
        """Write a batch.

        Raises
        ------
        OutputError
            If it cannot be written, as on a full disk; earlier batches stay.
        """
        file = self._file(number)
        part = part_of(file)
        with raise_output_errors("out", self.path):
            try:
                with part.open("wb") as stream:
                    np.savez(stream, **{f.name: getattr(scores, f.name) for f in fields(scores)})
                part.replace(file)
            finally:
                part.unlink(missing_ok=True)

    def read(self, number: int, columns: int) -> BatchScores:
        """Return a batch of a run with this many columns.

        Raises
        ------
        DataError
            If its file is damaged.
        """
        file = self._file(number)
        try:
            arrays = load_arrays(file)
            scores = BatchScores(**{f.name: arrays[f.name] for f in fields(BatchScores)})
            scores.check(columns)
        except _DAMAGED as error:
            raise DataError(
                f"{file} must hold the scores of a batch, got {error}; delete it to compute "
                "it again"
            ) from error
        return scores

    def _file(self, number: int) -> Path:
        return self.path / "batches" / f"{number:06d}.npz"


def write_arrays(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name to a file in a folder of a run, as a whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with raise_output_errors("out", file):
        file.parent.mkdir(parents=True, exist_ok=True)
        part = part_of(file)
        try:
            with part.open("wb") as stream:
                np.savez(stream, **arrays)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)


def read_arrays(file: Path) -> dict[str, Any]:
    """Return the arrays that `write_arrays` wrote.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    try:
        return load_arrays(file)
    except _DAMAGED as error:
        raise DataError(
            f"{file} must hold arrays of a run, got {error}; delete it to compute it again"
        ) from error


def is_there(path: Path) -> bool:
    """Tell whether there is something at a path; an invalid path has nothing."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def read_json(file: Path, what: str) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises
    ------
    DataError
        If the file holds anything else; it is named.
    """
    try:
        if not file.is_file():
            raise OSError("no plain file")
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{file} must be {what} as JSON, got {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{file} must be {what}, got {type(found).__name__}")
    return found


@contextmanager
def raise_output_errors(setting: str, path: Path) -> Iterator[None]:
    """Raise system errors of writing as an `OutputError` that names the setting of the path.

    Raises
    ------
    OutputError
        If the system refuses to write.
    """
    try:
        yield
    except CamevalError:
        raise
    except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
        raise OutputError(f"{setting} must be a place that can be written, got {error}") from error


def write_atomically(file: Path, text: str, *, keep: bool = False) -> bool:
    """Write a text file as a whole or not at all; with `keep`, leave an existing file as it is.

    Returns
    -------
    bool
        Whether the text was written.
    """
    part = part_of(file)
    try:
        part.write_text(text, encoding="utf-8")
        if not keep:
            part.replace(file)
            return True
        try:
            os.link(part, file)  # fails where the file is, so that one of two writers wins
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            part.replace(file)
        return True
    finally:
        part.unlink(missing_ok=True)


def part_of(file: Path) -> Path:
    """Return a unique name for a file while it is written."""
    return file.with_name(f".{file.name[:100]}.{uuid4().hex}.part")


def _is_record(record: Mapping[str, Any]) -> bool:
    """Tell whether a record has the parts of a run that are used."""
    columns = record.get("columns")
    return (
        all(isinstance(record.get(part), dict) for part in ("settings", "identity", "meanings"))
        and isinstance(record["settings"].get("model"), str)
        and isinstance(columns, list)
        and len(columns) > 0
        and all(
            isinstance(c, list) and len(c) == 5 and all(isinstance(w, str) for w in c)
            for c in columns
        )
    )

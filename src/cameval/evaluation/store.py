"""Where a run is kept while it goes: one small file for each batch, whole or not there at all.

A run that was killed goes on where it was; two runs that write the same folder write the same
files. Nothing in the folder is ever unpickled.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile

import numpy as np

from cameval.errors import DataError, SettingError
from cameval.evaluation.scoring import BatchScores

__all__ = ["RunFolder", "part_of", "write_atomically"]

_DAMAGED = (OSError, EOFError, ValueError, KeyError, IndexError, RuntimeError, BadZipFile)


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run: ``run.json`` says what it is, ``batches/`` holds what is done.

    Parameters
    ----------
    path
        The folder; it is made when needed.
    """

    path: Path

    def claim(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Write what the run is, or check that it is the one already here; return what is kept.

        Raises
        ------
        SettingError
            If the folder holds another run.
        """
        batches = self.path / "batches"
        try:
            batches.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(f"out must be a folder that can be written, got {error}") from error
        if not (file := self.path / "run.json").exists():
            write_atomically(file, json.dumps(record, indent=2, ensure_ascii=False), keep=True)
        kept = self.record()
        changes = _differences(kept["settings"], json.loads(json.dumps(record["settings"])))
        if not changes and kept["columns"] != json.loads(json.dumps(record["columns"])):
            changes = ["order of its methods, binarizers or metrics"]
        if changes:
            raise SettingError(
                f"out must be a new folder or one of the same run, got {self.path} with another "
                f"{'; another '.join(changes)}"
            )
        return kept

    def record(self) -> dict[str, Any]:
        """Return what ``run.json`` says.

        Raises
        ------
        DataError
            If there is none, or it cannot be read.
        """
        file = self.path / "run.json"
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise DataError(f"{self.path} must hold a run (run.json), got none") from error
        except (OSError, ValueError) as error:
            raise DataError(f"{file} must be the record of a run, got {error}") from error
        if not isinstance(record, dict) or not {"settings", "columns"} <= set(record):
            raise DataError(f"{file} must be the record of a run, got something else")
        return record

    def numbers(self) -> list[int]:
        """Return the numbers of the batches that are done."""
        files = (self.path / "batches").glob("*.npz")
        return sorted(int(file.stem) for file in files if file.stem.isdecimal())

    def has(self, number: int) -> bool:
        """Tell whether a batch is done."""
        return self._file(number).exists()

    def write(self, number: int, scores: BatchScores) -> None:
        """Keep a batch."""
        file = self._file(number)
        part = part_of(file)
        try:
            with part.open("wb") as stream:
                np.savez(stream, **{f.name: getattr(scores, f.name) for f in fields(scores)})
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)

    def read(self, number: int) -> BatchScores:
        """Return a batch.

        Raises
        ------
        DataError
            If its file is damaged.
        """
        file = self._file(number)
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
                return BatchScores(**{f.name: arrays[f.name] for f in fields(BatchScores)})
        except _DAMAGED as error:
            raise DataError(
                f"{file} must hold the scores of a batch, got {error}; delete it to have it made "
                "again"
            ) from error

    def _file(self, number: int) -> Path:
        return self.path / "batches" / f"{number:06d}.npz"


def write_atomically(file: Path, text: str, *, keep: bool = False) -> None:
    """Write a text that is there whole or not at all; if told so, `keep` what is there already."""
    part = part_of(file)
    try:
        part.write_text(text, encoding="utf-8")
        if not keep:
            part.replace(file)
            return
        try:
            os.link(part, file)  # fails where the file is, so that one of two writers wins
        except FileExistsError:
            return
        except OSError:  # a file system without links
            part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def part_of(file: Path) -> Path:
    """Return a name under which a file is written before it is whole, another for each writer."""
    return file.with_name(f".{file.name}.{uuid4().hex}.part")


def _differences(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Say what differs, setting by setting."""
    return [
        f"{name} ({_short(kept.get(name))} there, {_short(asked.get(name))} now)"
        for name in sorted({*kept, *asked})
        if kept.get(name) != asked.get(name)
    ]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

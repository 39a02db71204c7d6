"""Computing time of a run: what each session that scored batches of it took."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

from cameval.errors import DataError
from cameval.evaluation._run_folder import raise_output_errors, read_json, write_atomically

Sessions = dict[str, tuple[float, int]]
"""Seconds and number of batches of each session, by a unique name."""


@dataclass
class Stopwatch:
    """The time of one session: one process that scores batches of a run.

    Parameters
    ----------
    out
        The folder of the run, or None. The sessions of a run are in its folder ``times/``, so that
        the time of a run that was interrupted is that of all its sessions. It is no part of the
        identity of the run.
    """

    out: Path | None
    name: str = field(default_factory=lambda: uuid4().hex)
    seconds: float = 0.0
    batches: int = 0

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin the time of the next batch."""
        self.began = perf_counter()

    def count(self) -> None:
        """Add the time since the last batch, as that of a batch that was scored."""
        self.seconds += perf_counter() - self.began
        self.batches += 1
        if self.out is not None:
            text = json.dumps({"seconds": self.seconds, "batches": self.batches})
            with raise_output_errors("out", self.out):
                (self.out / "times").mkdir(exist_ok=True)
                write_atomically(self.out / "times" / f"{self.name}.json", text)

    def sessions(self) -> Sessions:
        """Return this session, and the others in the folder of the run."""
        own = {self.name: (self.seconds, self.batches)} if self.batches else {}
        return {**({} if self.out is None else sessions_in(self.out)), **own}


def sessions_in(out: Path) -> Sessions:
    """Return the sessions of a run in its folder; files that cannot be read are left out."""
    found: Sessions = {}
    for file in sorted((out / "times").glob("*.json")):
        try:
            read = read_json(file, "the time of a session")
            found[file.stem] = float(read["seconds"]), int(read["batches"])
        except (DataError, KeyError, TypeError, ValueError, OverflowError):
            continue
    return found


def total_time(sessions: Iterable[Mapping[str, tuple[float, int]]]) -> dict[str, Any]:
    """Return the seconds, the batches and the number of sessions, each session counted once.

    Examples
    --------
    >>> from cameval.evaluation._times import total_time
    >>> total_time([{"a": (1.5, 2)}, {"a": (1.5, 2), "b": (0.5, 1)}])
    {'seconds': 2.0, 'batches': 3, 'sessions': 2}
    """
    every = {name: one for found in sessions for name, one in found.items()}
    return {
        "seconds": sum(seconds for seconds, _ in every.values()),
        "batches": sum(batches for _, batches in every.values()),
        "sessions": len(every),
    }

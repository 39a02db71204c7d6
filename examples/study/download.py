"""The brain tumor data of figshare: from its public record to a folder for `FigshareDataset`.

Jun Cheng, brain tumor dataset, doi 10.6084/m9.figshare.1512427, CC BY 4.0: four archives of 880 MB
together, with 3,064 slices, and the folds ``cvind.mat``. Archives and slices are on the disk at the
same time until all is checked: 1.8 GB.
"""

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cameval.data import CLASS_NAMES, FigshareDataset
from cameval.errors import DataError
from study.article import read_article, schemes_for
from study.transfer import BY_HAND, Remote, Web, size_of
from study.unpacking import check_space, created, disk_errors, unpack

RECORD_URL = "https://api.figshare.com/v2/articles/1512427"
FOLDS, NOTE = "cvind.mat", "download.json"
LONGEST_RECORD = 4 << 20  # bytes


@dataclass(frozen=True)
class Expected:
    """What must have come: how many slices of each class, in the order of `CLASS_NAMES`."""

    classes: tuple[int, ...]


PUBLISHED = Expected((708, 1426, 930))


@dataclass(frozen=True)
class Measure:
    """How many ``.mat`` files there are, and their bytes: enough to see that one is missing."""

    count: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Note:
    """What is kept beside the slices: what is being fetched, and what came once all is there."""

    record: str
    files: dict[str, dict[str, int | str]] = field(default_factory=dict)
    slices: Measure = Measure()
    classes: tuple[int, ...] = ()
    finished: str = ""  # when
    archives_stay: bool = False  # whether a call asked for that


def fetch(
    folder: str | PathLike[str],
    *,
    record: str = RECORD_URL,
    expected: Expected | None = PUBLISHED,
    keep_archives: bool = False,
    progress: bool = True,
    sleep: Callable[[float], object] = time.sleep,
) -> Path:
    """Fetch the data, verify and unpack it; or find that it is there.

    What is there is not fetched again: of a file that was broken off, only the rest is asked for;
    an archive that was put into the folder by hand is taken if its md5 is right; and a folder that
    is finished is only looked at, without the web.

    Parameters
    ----------
    folder
        Where the slices go; made if it does not exist. It must hold no ``.mat`` files but those of
        an earlier call, and no file that is to be fetched unless it is the very one; an archive
        that is not is replaced.
    record
        URL of the article in figshare's public API. Files come over https only, unless the record
        itself comes over http.
    expected
        What must have come; None takes any numbers.
    keep_archives
        Whether the archives stay in the folder, also in later calls.
    progress
        Whether to show bars, on a terminal.
    sleep
        Waits for a number of seconds before a further attempt.

    Returns
    -------
    Path
        The folder, with all slices, ``cvind.mat``, and ``download.json``, which says what was
        fetched and when.

    Raises
    ------
    DataError
        If the folder holds other data; if the record or a file cannot be had or is not what it must
        be; if the disk has too little space, or cannot be read or written; or if the slices are not
        those expected. What came is kept, and the next call goes on with it.
    """
    folder = Path(folder)
    with disk_errors(folder):
        note = _read_note(folder, record)
        note = replace(note, archives_stay=note.archives_stay or keep_archives)
        if _is_complete(folder, note):
            _check_classes(folder, note.classes, expected)
        else:
            web = Web(schemes_for(record), sleep)
            note = _bring(folder, note, web, expected, progress)
        if not note.archives_stay:
            _remove_archives(folder, note)  # also those of a call that was interrupted here
    return folder


def _bring(folder: Path, before: Note, web: Web, expected: Expected | None, progress: bool) -> Note:
    """Fetch, verify and unpack what a record names; return the note of it."""
    remotes = read_article(web.read(before.record, LONGEST_RECORD), before.record, NOTE)
    _check_overwritten(folder, remotes, before)
    note = Note(
        before.record,
        {each.name: {"size": each.size, "md5": each.md5} for each in remotes},
        archives_stay=before.archives_stay,
    )
    folder.mkdir(parents=True, exist_ok=True)
    _write_note(folder, note)
    _download(web, remotes, folder, progress)
    archives = [folder / remote.name for remote in remotes if remote.name.endswith(".zip")]
    loose = {remote.name for remote in remotes if remote.name.endswith(".mat")}
    unpacked = unpack(archives, folder, present=loose, progress=progress)
    classes = _check_slices(folder, loose.union(unpacked))
    _check_classes(folder, classes, expected)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    note = replace(note, slices=_measure(folder), classes=classes, finished=now)
    _write_note(folder, note)
    return note


def _download(web: Web, remotes: Sequence[Remote], folder: Path, progress: bool) -> None:
    """Fetch what is not there yet and verified."""
    missing = [remote for remote in remotes if not remote.is_at(folder / remote.name)]
    total = sum(remote.size for remote in missing)
    started = sum(min(size_of(each.part_in(folder)), each.size) for each in missing)
    packed = sum(remote.size for remote in remotes if remote.name.endswith(".zip"))
    # Slices have about the size of their archives; `unpack` checks again, with the true sizes.
    check_space(folder, total - started + max(0, packed - _measure(folder).bytes))
    quiet = None if progress else True  # None: unless there is a terminal
    with tqdm(total=total, desc="download", unit="B", unit_scale=True, disable=quiet) as bar:
        for remote in missing:
            bar.set_postfix_str(remote.name)
            web.download(remote, folder, bar)


# --- What is in the folder ------------------------------------------------------------------------


def _mat_files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.mat") if not path.name.startswith(".")]


def _measure(folder: Path) -> Measure:
    sizes = [path.stat().st_size for path in _mat_files(folder)]
    return Measure(len(sizes), sum(sizes))


def _read_note(folder: Path, record: str) -> Note:
    """Return what an earlier call noted, or the note of a first call; refuse a foreign folder."""
    path = folder / NOTE
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder}: a folder is needed, got a file; name another")
    if not path.exists():
        if any(file.name != FOLDS for file in _mat_files(folder)):
            raise DataError(
                f"{folder}: a folder to download to must hold no .mat files yet, got some; name "
                "another, or give this one as --data if it holds the data"
            )
        return Note(record)
    try:
        note = _note_of(json.loads(b"" if path.is_fifo() else path.read_bytes()))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: must be the note of a download, got something else; name another folder"
        ) from error
    if note.record != record:
        raise DataError(
            f"{folder}: must hold the download of {record}, got that of {note.record}; name "
            "another folder"
        )
    return note


def _note_of(fields: dict[str, Any]) -> Note:
    """Return the note that a file holds; raise a `ValueError` if a field is of another type."""
    classes = tuple(fields.pop("classes"))
    note = Note(slices=Measure(**fields.pop("slices")), classes=classes, **fields)
    numbers = (note.slices.count, note.slices.bytes, *classes)
    texts = (note.record, note.finished)
    if (
        not all(type(number) is int for number in numbers)
        or not all(isinstance(text, str) for text in texts)
        or len(classes) not in (0, len(CLASS_NAMES))
        or not isinstance(note.files, dict)
        or not isinstance(note.archives_stay, bool)
    ):
        raise ValueError("a field of another type")
    return note


def _write_note(folder: Path, note: Note) -> None:
    part = folder / f"{NOTE}.part"
    with created(part) as file:
        file.write(f"{json.dumps(asdict(note), indent=2)}\n".encode())
    part.replace(folder / NOTE)


def _check_overwritten(folder: Path, remotes: Sequence[Remote], note: Note) -> None:
    """Refuse to replace what no earlier call brought; archives, which are known by md5, may be."""
    foreign = [
        remote.name
        for remote in remotes
        if remote.name not in note.files and not remote.name.endswith(".zip")
        if (folder / remote.name).exists() and not remote.is_at(folder / remote.name)
    ]
    if foreign:
        raise DataError(
            f"{folder}: must hold no other files of the names of those to fetch, got {foreign}; "
            "move them elsewhere, or name another folder"
        )


def _remove_archives(folder: Path, note: Note) -> None:
    for path in folder.glob("*.zip"):
        if path.name in note.files:
            path.unlink()


def _is_complete(folder: Path, note: Note) -> bool:
    """Tell whether all that was fetched is still there; refuse what came on top."""
    if not note.finished:
        return False
    found = _measure(folder)
    if found.count > note.slices.count:
        raise DataError(
            f"{folder}: must hold the {note.slices.count:,} .mat files that were fetched, got "
            f"{found.count:,}; move the others elsewhere"
        )
    return found == note.slices


def _check_slices(folder: Path, fetched: Collection[str]) -> tuple[int, ...]:
    """Open every slice; return how many there are of each class."""
    strays = [path.name for path in _mat_files(folder) if path.name not in fetched]
    if strays:
        raise DataError(
            f"{folder}: must hold no .mat files but those fetched, got {sorted(strays)[:3]}; move "
            "them elsewhere and try again"
        )
    slices = FigshareDataset(folder)
    slices.folds(folder / FOLDS)
    return tuple(np.bincount(slices.labels, minlength=len(CLASS_NAMES)).tolist())


def _check_classes(folder: Path, classes: tuple[int, ...], expected: Expected | None) -> None:
    if expected is not None and classes != expected.classes:
        raise DataError(
            f"{folder}: must hold {_count(expected.classes)}, got {_count(classes)}; the record "
            f"may have changed: {BY_HAND}"
        )


def _count(classes: tuple[int, ...]) -> str:
    parts = (f"{n:,} {name}" for n, name in zip(classes, CLASS_NAMES, strict=True))
    return f"{sum(classes):,} slices ({', '.join(parts)})"

"""Records: the scores of one update, as bytes for another process, and many of them in order."""

import json
import struct
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from io import BytesIO
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from cameval.errors import DataError, SettingError
from cameval.evaluation._batch import BatchScores

_LENGTH = struct.Struct("<Q")
"""The number of bytes of a record, written before it."""

_ARRAYS = tuple(field.name for field in fields(BatchScores))


@dataclass(frozen=True, eq=False)
class Record:
    """The scores of one update: N rows, one for each image and target.

    Parameters
    ----------
    scores
        The scores. Names of samples, and groups, are empty text where they were not given.
    image
        The index of the image of each row in its batch, ``(N,)``.
    images
        The number of images of the batch.
    head
        The process, the number of processes, the model, the task, and how the target classes were
        chosen. A word that no other record has keeps records of different scores apart.
    """

    scores: BatchScores
    image: NDArray[np.int64]
    images: int
    head: dict[str, Any]

    def to_bytes(self) -> bytes:
        """Return the record as bytes, its length first."""
        file = BytesIO()
        head = self.head | {"images": self.images, "word": uuid4().hex}
        np.savez_compressed(
            file,
            head=np.array(json.dumps(head)),
            image=self.image,
            **{name: getattr(self.scores, name) for name in _ARRAYS},
        )
        content = file.getvalue()
        return _LENGTH.pack(len(content)) + content


def read_records(stream: bytes) -> Iterator[Record]:
    """Yield the records that were written one after the other.

    Raises
    ------
    DataError
        If the bytes are others.
    """
    at = 0
    try:
        while at < len(stream):
            (length,) = _LENGTH.unpack_from(stream, at)
            at += _LENGTH.size + length
            with np.load(BytesIO(stream[at - length : at]), allow_pickle=False) as file:
                head = json.loads(str(file["head"]))
                scores = BatchScores(**{name: file[name] for name in _ARRAYS})
                yield Record(scores, file["image"], head.pop("images"), head)
    except (struct.error, ValueError, KeyError, OSError, EOFError) as error:
        raise DataError(f"the state must be that of a MapScore, got {error}") from error


def merge(records: Sequence[Record]) -> BatchScores:
    """Return the rows of all records, in the order of the samples.

    The n-th image of process r of w is sample ``n * w + r``, as a `DistributedSampler` deals them
    out. Without a name it has this number. Of rows with one name and label the first counts.

    Raises
    ------
    DataError
        If there are none.
    SettingError
        If some have names and others not, or target classes were given for some only.
    """
    if not records:
        raise DataError("at least one image must be scored first, got none; call update")
    check_alike(records)
    seen: Counter[int] = Counter()
    places = []
    for record in records:
        rank, processes = record.head["rank"], record.head["processes"]
        places.append((seen[rank] + record.image) * processes + rank)
        seen[rank] += record.images
    place = np.concatenate(places)
    parts = {
        name: np.concatenate([getattr(record.scores, name) for record in records])
        for name in _ARRAYS
    }
    numbers = place.astype(np.str_)
    names = np.where(parts["sample"] == "", numbers, parts["sample"])
    groups = np.where(parts["group"] == "", names, parts["group"])
    whole = replace(BatchScores(**parts), sample=names, group=groups)
    order = _first_of_each(names, parts["label"], np.argsort(place, kind="stable"))
    return BatchScores(**{name: getattr(whole, name)[order] for name in _ARRAYS})


def check_alike(records: Iterable[Record]) -> None:
    """Check that all records have names or none, and target classes of one kind."""
    heads = [record.head for record in records]
    for what, settings in (("names", "named"), ("classes", "chosen")):
        if len({head[settings] for head in heads}) > 1:
            raise SettingError(
                f"{what} must be given in every update or in none, got both; call reset in between"
            )


def _first_of_each(
    names: NDArray[np.str_], labels: NDArray[np.int64], order: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return the order without the rows whose name and label came before."""
    seen: set[tuple[str, int]] = set()
    kept = []
    for row in order.tolist():
        key = str(names[row]), int(labels[row])
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return np.array(kept, np.intp)

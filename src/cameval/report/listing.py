"""The list of the examples in a folder: written beside their pictures, and read again."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cameval.errors import DataError
from cameval.evaluation.store import write_atomically

__all__ = ["Example", "read_examples", "write_examples"]


@dataclass(frozen=True)
class Example:
    """A picture of one sample's map and mask, and why it was chosen.

    Parameters
    ----------
    model, sample
        Whose map, and of which image.
    explained, method, binarizer, metric
        Which map and mask, and by which metric it was chosen; as of :class:`Column`.
    pick
        ``"best"``, ``"median"`` or ``"worst"``; ``"highest"`` and ``"lowest"`` of a metric that
        does not say which is better.
    label
        The true class among which it was chosen; None for all images.
    score
        Its value of the metric.
    file
        Name of the picture in ``figures/examples/``.
    """

    model: str
    sample: str
    explained: str
    method: str
    binarizer: str
    metric: str
    pick: str
    label: int | None
    score: float
    file: str


def write_examples(figures: Path, examples: Sequence[Example]) -> None:
    """Write the list of examples, whose pictures are in a folder beside it."""
    text = json.dumps({"examples": [asdict(example) for example in examples]}, indent=2)
    write_atomically(figures / "examples.json", text)


def read_examples(folder: Path) -> list[Example]:
    """Read what `draw_examples` wrote to the folder; nothing where it wrote nothing.

    Raises
    ------
    DataError
        If the file is damaged, or a picture is missing.
    """
    file = folder / "figures" / "examples.json"
    try:
        words = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{file} must be the list of the examples as JSON, got {error}; delete it to have a "
            "report without them"
        ) from error
    records = words.get("examples") if isinstance(words, dict) else None
    if not isinstance(records, list):
        raise DataError(f"{file} must hold the list examples, got {str(words)[:60]}")
    examples = [_checked(record, file) for record in records]
    for example in examples:
        if not (file.parent / "examples" / example.file).is_file():
            raise DataError(
                f"{file}: its pictures must be in {file.parent / 'examples'}, got no {example.file}"
            )
    return examples


def _checked(record: object, file: Path) -> Example:
    """Return a record as an example, if it is one."""
    if not isinstance(record, Mapping) or set(record) != {f.name for f in fields(Example)}:
        raise DataError(f"{file}: an example must have the fields of Example, got {record!r:.80}")
    words: dict[str, Any] = dict(record)
    label, score = words["label"], words["score"]
    whole = isinstance(label, int) and not isinstance(label, bool)
    good = all(isinstance(v, str) for k, v in words.items() if k not in ("label", "score"))
    if not good or not (label is None or whole) or not isinstance(score, int | float):
        raise DataError(f"{file}: an example must be words, a label, a score, got {record!r:.80}")
    if not re.fullmatch(r"[\w-]+\.png", words["file"], re.ASCII):
        raise DataError(f"{file}: file must be the name of a picture, got {words['file']!r:.80}")
    return Example(**words)

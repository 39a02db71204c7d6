"""The index of the pictures of images: which results they are of, and their files."""

import json
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cameval.errors import DataError
from cameval.evaluation import Column, Results

FOLDER, INDEX = "report_files", "index.json"

_FORMAT = 1
_FILE = {
    name: re.compile(pattern)
    for name, pattern in (
        ("thumb", r"thumb-\d{5}\.webp"),
        ("large", r"large-\d{5}\.webp"),
        ("file", r"strip-\d{5}\.webp"),
        ("part", r"part-\d{4}\.js"),
    )
}


@dataclass(frozen=True)
class Tile:
    """The picture of one target.

    Parameters
    ----------
    sample, label, count
        Which target: the name of its sample, its label, and how many rows of the same name and
        label are above it.
    thumb, large, part
        Names of files.
    place
        Its place in the part.
    aspect
        Width over height.
    remark
        What else is to be known of the picture, such as which slice of a volume it shows.
    scores
        Its score by each pair of the model; None where it is undefined.
    photo
        A digest of the photo: targets of one image and several models share its files.
    """

    sample: str
    label: int | None
    count: int
    thumb: str
    large: str
    part: str
    place: int
    aspect: float
    remark: str
    scores: list[float | None]
    photo: str


@dataclass(frozen=True)
class Strip:
    """A ready-made overlay: the number of its pair, ``"worst"`` or the like, its tile, its file."""

    pair: int
    pick: str
    tile: int
    file: str


@dataclass(frozen=True)
class ModelPictures:
    """The pictures of one model.

    Parameters
    ----------
    model
        Label of the model.
    images
        How many images were evaluated.
    rule
        How those that are drawn were chosen, as a sentence; empty if all are.
    pairs
        The target class, method, binarizer (empty for none) and metric whose scores are shown.
    tiles
        The pictures.
    strips
        Ready-made overlays of the worst, the median and the best image by the scores of pairs;
        first those of the pair with the best mean.
    """

    model: str
    images: int
    rule: str
    pairs: list[tuple[str, str, str, str]]
    tiles: list[Tile]
    strips: list[Strip]

    @property
    def files(self) -> set[str]:
        """The names of all files."""
        found = {name for tile in self.tiles for name in (tile.thumb, tile.large, tile.part)}
        return found | {strip.file for strip in self.strips}

    def column(self, pair: int, columns: Sequence[Column]) -> Column | None:
        """Return the column of results that has the scores of a pair."""
        target_class, method, binarizer, metric = self.pairs[pair]
        for binarized in (binarizer, ""):
            column = Column(target_class, "method", method, binarized, metric)
            if column in columns:
                return column
        return None

    def strips_of(self, column: Column, columns: Sequence[Column]) -> list[Strip]:
        """Return the overlays of the pair whose scores are in a column of results."""
        return [strip for strip in self.strips if self.column(strip.pair, columns) == column]

    def rows_in(self, results: Results) -> list[int | None]:
        """Return the row of each tile in results; None if they lack it or have other scores."""
        of_model = np.flatnonzero((results.samples["model"] == self.model).to_numpy())
        keys = keys_of(results)
        row_of = {keys[row]: int(row) for row in of_model}
        columns = [self.column(k, results.columns) for k in range(len(self.pairs))]
        known = [(k, results.columns.index(c)) for k, c in enumerate(columns) if c is not None]
        rows: list[int | None] = []
        for tile in self.tiles:
            row = row_of.get((tile.sample, tile.label, tile.count))
            same = known and row is not None and _same(tile, results.values[row], known)
            rows.append(row if same else None)
        return rows


def keys_of(results: Results) -> list[tuple[str, int | None, int]]:
    """Return for each row the name of its sample, its label, and which of such rows it is."""
    counts: Counter[Hashable] = Counter()
    keys = []
    samples = results.samples
    for model, sample, label in zip(
        samples["model"], samples["sample"], samples["label"].fillna(-1), strict=True
    ):
        key = str(sample), int(label)
        keys.append((key[0], None if label < 0 else key[1], counts[model, key]))
        counts[model, key] += 1
    return keys


def _same(tile: Tile, values: NDArray[np.float64], known: Sequence[tuple[int, int]]) -> bool:
    for pair, column in known:
        drawn, score = tile.scores[pair], float(values[column])
        if drawn is None or np.isnan(score):
            if not (drawn is None and np.isnan(score)):
                return False
        elif not np.isclose(drawn, score, rtol=1e-9, atol=1e-12):
            return False
    return True


def write_index(folder: Path, models: Sequence[ModelPictures]) -> None:
    """Write the index of a folder of pictures."""
    text = json.dumps(index_of(models), separators=(",", ":"), allow_nan=False)
    (folder / INDEX).write_text(text, encoding="utf-8")


def index_of(models: Sequence[ModelPictures]) -> dict[str, Any]:
    """Return the index of pictures, for JSON."""
    return {"format": _FORMAT, "models": [asdict(one) for one in models]}


def is_file_name(name: str) -> bool:
    """Whether a file of the folder, other than the index, may have this name."""
    return any(pattern.fullmatch(name) for pattern in _FILE.values())


def read_index(folder: Path) -> list[ModelPictures]:
    """Return the pictures in a folder; none if it has no index.

    Raises
    ------
    DataError
        If the index is damaged.
    """
    file = folder / INDEX
    try:
        words = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{file} must be the index of the pictures as JSON, got {error}; delete the folder to "
            "have a report without them"
        ) from error
    try:
        if words["format"] != _FORMAT:
            raise ValueError(f"the format {words['format']!r}")
        return [_model(one) for one in words["models"]]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise DataError(
            f"{file} must be an index of this version, got {type(error).__name__}: {error}; delete "
            "the folder, or draw the images again"
        ) from error


def _model(words: Mapping[str, Any]) -> ModelPictures:
    known = _checked(ModelPictures, words)
    known["pairs"] = [_pair(pair) for pair in known["pairs"]]
    known["tiles"] = [_tile(one, len(known["pairs"])) for one in known["tiles"]]
    known["strips"] = [Strip(**_checked(Strip, one)) for one in known["strips"]]
    for strip in known["strips"]:
        known["tiles"][strip.tile], known["pairs"][strip.pair]
    return ModelPictures(**known)


def _pair(words: Sequence[str]) -> tuple[str, str, str, str]:
    if len(words) != 4 or not all(isinstance(word, str) for word in words):
        raise ValueError(f"the pair {words!r:.80}")
    return (words[0], words[1], words[2], words[3])


def _tile(words: Mapping[str, Any], pairs: int) -> Tile:
    tile = Tile(**_checked(Tile, words))
    good = isinstance(tile.scores, list) and len(tile.scores) == pairs
    good = good and all(score is None or isinstance(score, int | float) for score in tile.scores)
    if not good or not isinstance(tile.place, int) or not isinstance(tile.aspect, int | float):
        raise ValueError(f"the tile {words!r:.80}")
    return tile


def _checked(kind: type, words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a record, with names of files that are of this folder."""
    if set(words) != {field.name for field in fields(kind)}:
        raise ValueError(f"a {kind.__name__} with {', '.join(words)}")
    for name, pattern in _FILE.items():
        if name in words and not pattern.fullmatch(words[name]):
            raise ValueError(f"the file {words[name]!r:.80}")
    return dict(words)

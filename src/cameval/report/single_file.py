"""Pictures of images inside the page itself: from their folder into the page, and back."""

import binascii
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cameval.errors import DataError
from cameval.evaluation import Column, Results
from cameval.report._image_choice import (
    MOST_IN_PAGE,
    choose_images,
    describe_choice,
    required_images,
)
from cameval.report._image_folder import pack_records, read_part, replace_folder, write_part
from cameval.report._image_index import (
    FOLDER,
    INDEX,
    ModelPictures,
    index_of,
    is_file_name,
    read_index,
)
from cameval.report.formatting import format_count

__all__ = ["unpack_pictures"]

LONGEST = 6_000_000
"""The most characters of all pictures in a page; above it the large ones are left out.

A mail writes an attachment in base64, so that a page of 7 MB is about 9.6 MB of mail.
"""

_BLOCK = re.compile(r'<script type="application/json" id="image-files">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, eq=False)
class PackedPictures:
    """The pictures that are inside a page.

    Parameters
    ----------
    models
        The pictures of each model; each model has one part.
    files
        Photos, overlays and parts by their names, in base64.
    """

    models: list[ModelPictures]
    files: dict[str, str]

    @property
    def has_large(self) -> bool:
        """Whether there are photos larger than the thumbnails."""
        return all(tile.large in self.files for one in self.models for tile in one.tiles)

    def json(self) -> str:
        """Return the pictures as JSON without the character <."""
        record = {"index": index_of(self.models), "files": self.files}
        text = json.dumps(record, separators=(",", ":"), allow_nan=False)
        return text.replace("<", "\\u003c")


def pack_pictures(
    folder: Path, results: Results, columns: Mapping[str, Column] | None = None
) -> PackedPictures:
    """Return the pictures of a folder that are of these results; of too many images some.

    Parameters
    ----------
    folder
        The folder of the pictures.
    results
        All results of the page.
    columns
        The column of each model whose overlays are kept, beside those of the best one; by default
        all overlays are.

    Raises
    ------
    DataError
        If the index is damaged, or a file is missing or damaged.
    """
    models: list[ModelPictures] = []
    files: dict[str, str] = {}
    for pictures in read_index(folder):
        rows = pictures.rows_in(results)
        found = _only(pictures, [k for k, row in enumerate(rows) if row is not None])
        if columns is not None:
            found = _with_strips_of(found, columns.get(pictures.model), results)
        few = _few(found)
        if not few.tiles:
            continue
        part = f"part-{len(models) + 1:04d}.js"
        files[part] = pack_records(_records(folder, few))
        tiles = [replace(tile, part=part, place=k) for k, tile in enumerate(few.tiles)]
        models.append(replace(few, tiles=tiles))
    tiles = [tile for one in models for tile in one.tiles]
    strips = {strip.file for one in models for strip in one.strips}
    files |= _encoded(folder, {tile.thumb for tile in tiles} | strips)
    names = {tile.large for tile in tiles}
    if all((folder / name).is_file() for name in names):
        large = _encoded(folder, names)
        if sum(map(len, (*files.values(), *large.values()))) <= LONGEST:
            files |= large
    return PackedPictures(models, files)


def unpack_pictures(folder: str | PathLike[str]) -> bool:
    """Write the pictures that are inside ``report.html`` to ``report_files``.

    `write_report` with ``single_file=True`` can then write the page again.
    Of the overlays of the worst, the median and the best image a page has those of its verdict, and
    those of the method and binarizer with the best mean.

    Parameters
    ----------
    folder
        The folder of the report. If it has ``report_files``, nothing is written.

    Returns
    -------
    bool
        Whether pictures were written.

    Raises
    ------
    DataError
        If the pictures are damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cameval.report import unpack_pictures
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "report.html").write_text("<h1>A page without pictures</h1>")
    ...     unpack_pictures(folder)
    False
    """
    folder = Path(folder)
    page = folder / "report.html"
    if (folder / FOLDER).exists() or not page.is_file():
        return False
    found = _BLOCK.search(page.read_text("utf-8", errors="replace"))
    if found is None:
        return False
    try:
        words: dict[str, Any] = json.loads(found[1])
        with replace_folder(folder) as part:
            for name, packed in words["files"].items():
                _write(part, name, packed)
            index = json.dumps(words["index"], separators=(",", ":"))
            (part / INDEX).write_text(index, "utf-8")
            read_index(part)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{page} must have its pictures as JSON, got {error}; delete it, or draw the images "
            "again"
        ) from error
    return True


# --- Which pictures -------------------------------------------------------------------------------


def _few(pictures: ModelPictures) -> ModelPictures:
    """Return the pictures of as many images as a page may have, chosen as `draw_images` does."""
    numbers: dict[str, int] = {}
    images = np.array([numbers.setdefault(t.sample, len(numbers)) for t in pictures.tiles], np.intp)
    if len(numbers) <= MOST_IN_PAGE:
        return pictures
    strips = pictures.strips
    pair = strips[0].pair if strips else 0
    sets = {
        strip.pair: [int(images[s.tile]) for s in strips if s.pair == strip.pair]
        for strip in strips
    }
    required = required_images(sets.values(), MOST_IN_PAGE)
    chosen = choose_images(
        np.array([tile.scores[pair] for tile in pictures.tiles], np.float64),
        np.array([-1 if tile.label is None else tile.label for tile in pictures.tiles], np.int64),
        images,
        MOST_IN_PAGE,
        required=required,
    )
    few = _only(pictures, np.flatnonzero(np.isin(images, chosen)).tolist())
    total = pictures.images if pictures.rule else len(numbers)
    more = not {*required} <= {*sets.get(pair, ())}
    rule = describe_choice(len(chosen), total, *pictures.pairs[pair][1:3], more=more)
    if pictures.rule:
        rule = f"{rule[:-1]}, among {format_count(len(numbers), 'image')} that were drawn."
    return replace(few, rule=rule)


def _with_strips_of(
    pictures: ModelPictures, column: Column | None, results: Results
) -> ModelPictures:
    """Return the pictures with the overlays of the best pair and of a column alone."""
    kept = [strip for strip in pictures.strips if strip.pair == pictures.strips[0].pair]
    if column is not None:
        others = pictures.strips_of(column, results.columns)
        kept += [strip for strip in others if strip not in kept]
    return replace(pictures, strips=kept)


def _only(pictures: ModelPictures, numbers: Sequence[int]) -> ModelPictures:
    """Return some of the pictures, with the ready-made overlays that are of them."""
    place = {number: k for k, number in enumerate(numbers)}
    first = {strip.pair for strip in pictures.strips[:1]}
    lacking = {strip.pair for strip in pictures.strips if strip.tile not in place} - first
    strips = [
        replace(strip, tile=place[strip.tile])
        for strip in pictures.strips
        if strip.tile in place and strip.pair not in lacking
    ]
    return replace(pictures, tiles=[pictures.tiles[k] for k in numbers], strips=strips)


def _records(folder: Path, pictures: ModelPictures) -> list[dict[str, Any]]:
    """Return what is drawn of each picture; targets of the same image have new places."""
    tiles = pictures.tiles
    parts = {name: read_part(folder / name) for name in sorted({tile.part for tile in tiles})}
    place = {(tile.part, tile.place): k for k, tile in enumerate(tiles)}
    records = []
    for tile in tiles:
        try:
            record = parts[tile.part][tile.place]
            others = [(tile.part, other) for other in record["others"]]
        except (IndexError, KeyError, TypeError) as error:
            raise DataError(
                f"{folder / tile.part} must have the outlines of {tile.sample!r}, got "
                f"{type(error).__name__}: {error}; draw the images again"
            ) from error
        records.append(record | {"others": [place[one] for one in others if one in place]})
    return records


# --- Files ----------------------------------------------------------------------------------------


def _encoded(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the bytes of files in base64."""
    found = {}
    for name in sorted(names):
        try:
            found[name] = b64encode((folder / name).read_bytes()).decode("ascii")
        except OSError as error:
            raise DataError(
                f"{folder / name} must be a picture, got {error}; draw the images again"
            ) from error
    return found


def _write(folder: Path, name: str, packed: str) -> None:
    """Write a file that was inside a page."""
    if not is_file_name(name):
        raise ValueError(f"the file {name!r:.80}")
    try:
        data = b64decode(packed, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{name}: {error}") from error
    if name.endswith(".js"):
        write_part(folder / name, packed)
    else:
        (folder / name).write_bytes(data)

"""Rows of tables about images that name no image, and what to do about them."""

from collections.abc import Collection, Iterable, Mapping
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from cameval.data.pictures import FILE_SUFFIXES
from cameval.errors import DataError


def describe_rows(tables: Iterable[Mapping[str, Any]], images: Collection[str]) -> str:
    """Return how many rows name no image, one of them, and what to do; empty if all name one.

    Tables with the same rows count once. The one is by preference a row whose image can be told: it
    has no row of its own, and another suffix, folder or case.

    Examples
    --------
    >>> from cameval.data._name_hints import describe_rows
    >>> describe_rows([{"a": 0, "scans/B.png": 1}], ["a", "b"])
    "1 of 2 rows without an image, such as 'scans/B.png'; write it as 'b', the name of an image"
    """
    rows = dict.fromkeys(chain.from_iterable(table.keys() for table in tables))
    alone = [row for row in rows if row not in images]
    if not alone:
        return ""
    own = {_bare(name): name for name in images if name not in rows}
    row = next((row for row in alone if _bare(row) in own), alone[0])
    if image := own.get(_bare(row)):
        way = f"write it as {image!r}, the name of an image"
    else:
        way = f"remove such rows, or write their names as those of images: {next(iter(images))!r}"
    return f"{len(alone):,} of {len(rows):,} rows without an image, such as {row!r}; {way}"


def check_rows(
    tables: Mapping[str, Mapping[str, Any]], images: Collection[str], folder: Path
) -> str:
    """Return a sentence about the rows that name no image of a folder, empty if all name one.

    Raises
    ------
    DataError
        If no row names an image.
    """
    found = describe_rows(tables.values(), images)
    if not found:
        return ""
    said = (
        f"{folder}: each row of {' and '.join(tables)} must name an image to be used, got {found}"
    )
    if not any(name in table for name in images for table in tables.values()):
        raise DataError(said)
    return said


def _bare(name: str) -> str:
    """Return a name without folder and suffix of an image, in lower case."""
    file = PurePosixPath(str(name).replace("\\", "/").casefold())
    return file.stem if file.suffix in FILE_SUFFIXES else file.name

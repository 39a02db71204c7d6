"""The folder of pictures of images: parts, photos and the index, replaced as a whole."""

import json
import os
import re
import shutil
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import compress, decompress
from zlib import error as ZlibError

from cameval.errors import DataError, SettingError
from cameval.report._drawing import Drawn
from cameval.report._files import make_folder
from cameval.report._image_index import FOLDER, INDEX, ModelPictures, read_index, write_index
from cameval.report._photos import LARGE, THUMB

IMAGES_IN_PART = 200


@dataclass(eq=False)
class FolderWriter:
    """Writes the pictures of one model into a new folder, beside those of other models.

    Parameters
    ----------
    folder
        The new folder.
    others
        The pictures of other models, whose files are in it.
    """

    folder: Path
    others: Sequence[ModelPictures]
    _photos: dict[str, tuple[str, str]] = field(default_factory=dict)
    _strips: dict[bytes, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _records: list[dict[str, Any]] = field(default_factory=list)
    _images: int = 0

    def __post_init__(self) -> None:
        for one in self.others:
            self._taken |= one.files
            self._photos |= {tile.photo: (tile.thumb, tile.large) for tile in one.tiles}

    def add_image(self, targets: Sequence[Drawn]) -> list[tuple[str, int]]:
        """Add what is drawn of the targets of an image; return the part and place of each."""
        if self._images == IMAGES_IN_PART:
            self.close_part()
        self._images += 1
        first = len(self._records)
        places = list(range(first, first + len(targets)))
        for place, drawn in zip(places, targets, strict=True):
            alike = [
                other
                for other, one in zip(places, targets, strict=True)
                if other != place and one.grid == drawn.grid and one.remark == drawn.remark
            ]
            self._records.append(drawn.record(alike))
        part = self._name("part-{:04d}.js")
        return [(part, place) for place in places]

    def close_part(self) -> None:
        """Write the records since the last part, if there are any."""
        if self._records:
            name = self._name("part-{:04d}.js")
            write_part(self.folder / name, pack_records(self._records))
            self._taken.add(name)
        self._records, self._images = [], 0

    def add_photo(self, drawn: Drawn) -> tuple[str, str, str]:
        """Write a photo in two sizes, unless it is there; return its digest and both names."""
        large = drawn.photo.webp(LARGE)
        digest = sha256(large).hexdigest()[:20]
        if digest not in self._photos:
            name = self._name("thumb-{:05d}.webp")
            pair = name, name.replace("thumb", "large")
            (self.folder / pair[0]).write_bytes(drawn.photo.webp(THUMB))
            (self.folder / pair[1]).write_bytes(large)
            self._photos[digest] = pair
            self._taken |= {*pair}
        return digest, *self._photos[digest]

    def add_strip(self, data: bytes) -> str:
        """Write a ready-made overlay, unless one of this model is the same; return its name."""
        if data not in self._strips:
            name = self._name("strip-{:05d}.webp")
            (self.folder / name).write_bytes(data)
            self._strips[data] = name
            self._taken.add(name)
        return self._strips[data]

    def _name(self, pattern: str) -> str:
        """Return the first name of a file that is not taken."""
        start = self._next.get(pattern, 1)
        number = next(k for k in range(start, 10**6) if pattern.format(k) not in self._taken)
        self._next[pattern] = number
        return pattern.format(number)

    _next: dict[str, int] = field(default_factory=dict)


@contextmanager
def new_folder(folder: Path, model: str) -> Iterator[FolderWriter]:
    """Yield a writer of the pictures of a model, and replace the folder at the end.

    Pictures of other models stay. If something fails, the folder is as it was.

    Raises
    ------
    SettingError
        If the folder cannot be made, or something else is in its place.
    DataError
        If its index is damaged.
    """
    make_folder(folder)
    others = [one for one in pictures_in(folder) if one.model != model]
    with replace_folder(folder) as part:
        for name in sorted({name for one in others for name in one.files}):
            _link(folder / FOLDER / name, part / name)
        yield FolderWriter(part, others)


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, which is the one of pictures if nothing fails."""
    part = folder / f".{FOLDER}.{os.getpid()}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        _replace(part, folder / FOLDER)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def finish(writer: FolderWriter, pictures: ModelPictures) -> None:
    """Write the index."""
    write_index(writer.folder, [*writer.others, pictures])


def remove_pictures(folder: Path) -> None:
    """Remove the folder of pictures, if there is one."""
    pictures_in(folder)
    target = folder / FOLDER
    if target.is_dir():
        shutil.rmtree(target)


def pictures_in(folder: Path) -> list[ModelPictures]:
    """Return the pictures beside a page; what is in their place must be a folder of pictures.

    Raises
    ------
    SettingError
        If something else is in its place.
    DataError
        If its index is damaged.
    """
    target = folder / FOLDER
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise SettingError(f"{target} must be a folder of pictures or not be there, got a file")
    if target.is_dir() and not (target / INDEX).is_file() and any(target.iterdir()):
        raise SettingError(
            f"{target} must be a folder of pictures or not be there, got one without {INDEX}; "
            "move it away"
        )
    return read_index(target)


# --- Parts ----------------------------------------------------------------------------------------


def pack_records(records: Sequence[dict[str, Any]]) -> str:
    """Return the records of a part as text of base64."""
    text = json.dumps(records, separators=(",", ":"), allow_nan=False)
    return b64encode(compress(text.encode("ascii"), 9)).decode("ascii")


def write_part(file: Path, packed: str) -> None:
    """Write packed records as a script that a page loads."""
    file.write_text(f'camevalPart("{file.name}","{packed}")\n', "ascii")


def read_part(file: Path) -> list[dict[str, Any]]:
    """Return the records of a part.

    Raises
    ------
    DataError
        If the file is not there, or is not a part.
    """
    try:
        found = re.search(r'","([\w+/=]+)"\)', file.read_text("ascii"))
        records: list[dict[str, Any]] = json.loads(decompress(b64decode(found[1] if found else "")))
    except (OSError, ValueError, ZlibError) as error:
        raise DataError(
            f"{file} must be a part of the pictures, got {error}; draw the images again"
        ) from error
    return records


# --- Files ----------------------------------------------------------------------------------------


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def _replace(part: Path, target: Path) -> None:
    """Put a folder in the place of another."""
    old = part.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    try:
        part.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)

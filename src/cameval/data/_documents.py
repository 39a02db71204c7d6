"""JSON and XML files as plain values, with errors that name the place.

XML can name other files and can define entities that grow to any size. Both need a document type,
so a file that declares one is refused. Nesting and size are bounded.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard
from xml.parsers import expat

from cameval.data._files import check_file, read_file
from cameval.errors import DataError

_DEEPEST = 32
"""Elements of an XML file that may lie in each other."""

_LARGEST = 2**24
"""Bytes that an XML file may have; an annotation has a few thousand."""


def read_json(path: Path, holds: str) -> dict[str, Any]:
    """Read a JSON file that holds an object; `holds` says of what, for messages."""
    raw = read_file(path, "a JSON file")
    try:
        content = json.loads(raw, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:  # of syntax, of encoding, of depth
        raise DataError(f"{path}: the file must be JSON, {error}") from error
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: the file must hold an object {holds}, got {type(content).__name__}"
        )
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys must differ; a reader that keeps one of two would hide it."""
    found = dict(pairs)
    if len(found) < len(pairs):
        again = [key for key, times in Counter(key for key, _ in pairs).items() if times > 1]
        raise ValueError(f"got the key {again[0]!r} twice in one object")
    return found


def is_whole(value: object, least: int) -> TypeGuard[int]:
    """Return whether a value of a JSON file is a whole number, from `least` on, of 63 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**63


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value of a JSON file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def short(value: object) -> str:
    """Return a value of a file in at most 60 characters."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or of too many digits
        text = type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass
class Element:
    """An element of an XML file: its name, its text, what it holds, and where it is."""

    tag: str
    where: str
    text: str = ""
    children: list["Element"] = field(default_factory=list)

    def all(self, tag: str) -> list["Element"]:
        """Return the elements of a name in this one."""
        return [child for child in self.children if child.tag == tag]

    def only(self, tag: str) -> "Element":
        """Return the one element of a name in this one."""
        found = self.all(tag)
        if len(found) != 1:
            came = "none" if not found else f"{len(found)} of them"
            raise DataError(f"{self.where}: <{self.tag}> must have one <{tag}>, got {came}")
        return found[0]

    def word(self, tag: str) -> str:
        """Return the text of the one element of a name, which must not be empty."""
        element = self.only(tag)
        if not element.text.strip() or element.children:
            raise DataError(f"{element.where}: <{tag}> must hold a text, got {self._held(element)}")
        return element.text.strip()

    def number(self, tag: str) -> float:
        """Return the number in the one element of a name."""
        text = self.word(tag)
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not abs(value) < 1e9:
            raise DataError(
                f"{self.only(tag).where}: <{tag}> must be a finite number, got {short(text)}"
            )
        return value

    @staticmethod
    def _held(element: "Element") -> str:
        return f"<{element.children[0].tag}>" if element.children else "nothing"


def read_xml(path: Path, root: str) -> Element:
    """Read an XML file whose outermost element has the name `root`.

    Raises
    ------
    DataError
        If the file is missing, too large or no XML, declares a document type, is nested too deep,
        or begins with another element. The message names file and line.
    """
    check_file(path, "an XML file")
    if path.stat().st_size > _LARGEST:
        raise DataError(
            f"{path}: an XML file must have at most {_LARGEST} bytes, got {path.stat().st_size}"
        )
    raw = read_file(path, "an XML file")
    reader = _XmlReader(path)
    try:
        found = reader.read(raw)
    except expat.ExpatError as error:
        raise DataError(f"{path}: the file must be XML, {error}") from error
    except (ValueError, LookupError) as error:  # an encoding that is not known
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: the file must be XML, {error}") from error
    if found.tag != root:
        raise DataError(f"{path}: the file must hold <{root}>, got <{found.tag}>")
    return found


class _XmlReader:
    """Build elements from the events of expat."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._top = Element("", str(path))
        self._open = [self._top]
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add_text
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def read(self, raw: bytes) -> Element:
        """Return the outermost element."""
        self._parser.Parse(raw, True)
        return self._top.children[0]

    @property
    def _where(self) -> str:
        return f"{self._path}, line {self._parser.CurrentLineNumber}"

    def _start(self, tag: str, _: dict[str, str]) -> None:
        if len(self._open) > _DEEPEST:
            raise DataError(f"{self._where}: elements must be at most {_DEEPEST} deep, got more")
        element = Element(tag, self._where)
        self._open[-1].children.append(element)
        self._open.append(element)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _add_text(self, text: str) -> None:
        self._open[-1].text += text

    def _refuse_doctype(self, *_: object) -> None:
        raise DataError(
            f"{self._where}: the file must declare no document type, as entities in it can name "
            "other files or grow without limit; remove the lines of <!DOCTYPE ...>"
        )

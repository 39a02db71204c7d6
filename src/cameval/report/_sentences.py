"""Sentences of the first screen, as parts that have looks and links."""

from dataclasses import dataclass

MOST_NAMED = 4
"""Of more networks, sentences name those with the lowest and the highest number."""


@dataclass(frozen=True)
class Part:
    """A part of a sentence; `look` is ``"net"``, ``"guess"``, ``"truth"``, ``"name"`` or empty.

    `link` is the view of the images that it is about, if any.
    """

    text: str
    look: str = ""
    link: str = ""


Sentence = tuple[Part, ...]


def plain(sentence: Sentence) -> str:
    """Return a sentence as text."""
    return "".join(part.text for part in sentence)

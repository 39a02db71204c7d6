"""Names that are like a name that nothing has, for the texts of errors."""

import re
from collections.abc import Iterable
from difflib import get_close_matches


def near_names(
    name: object, known: Iterable[object], most: int = 3, *, least: float = 0.6
) -> list[str]:
    """Return the known names that are like a name, whatever their case, underscores and hyphens.

    Parameters
    ----------
    name
        The name that was given.
    known
        The names that there are.
    most
        How many are returned at most.
    least
        How like they must be, in [0, 1], as `difflib` counts.

    Returns
    -------
    list of str
        The most similar name first.

    Examples
    --------
    >>> from cameval._names import near_names
    >>> near_names("CamExtractor", ["grad_cam", "CAMExtractor", "iou"])
    ['CAMExtractor']
    """
    by_word: dict[str, list[str]] = {}
    for one in known:
        by_word.setdefault(_plain(str(one)), []).append(str(one))
    words = get_close_matches(_plain(str(name)), list(by_word), most, least)
    return [one for word in words for one in by_word[word]][:most]


def list_near_names(name: object, known: Iterable[object], most: int = 3) -> str:
    """Return `near_names` as text, ``none`` if there are none.

    Examples
    --------
    >>> from cameval._names import list_near_names
    >>> list_near_names("labell", ["label", "group"]), list_near_names("x", ["label", "group"])
    ('label', 'none')
    """
    return ", ".join(near_names(name, known, most)) or "none"


def _plain(word: str) -> str:
    return re.sub(r"[\s_-]", "", word).lower()

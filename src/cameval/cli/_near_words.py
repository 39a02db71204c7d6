"""Known words that are like a mistyped one, for the text of errors."""

import re
from collections.abc import Collection
from difflib import get_close_matches


def near_words(name: str, known: Collection[str]) -> list[str]:
    """Return known words that are like a name, whatever its case, hyphens and signs."""
    plain = {_plain(word): word for word in known}
    return [plain[one] for one in get_close_matches(_plain(name), list(plain), 4)]


def list_near_words(name: str, known: Collection[str]) -> str:
    """Return the known words that are like a name in one text; "none" if there are none."""
    return ", ".join(near_words(name, known)) or "none"


def _plain(word: str) -> str:
    """Return a word in lower case without separators; ``grad-cam++`` is ``gradcampp``."""
    return re.sub(r"[\W_]", "", word.replace("++", "pp")).lower()

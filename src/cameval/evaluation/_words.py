"""Labels and the user's names as words of plots and pages."""

import re
from collections.abc import Mapping
from unicodedata import bidirectional

from cameval.evaluation.meaning import Column

_FIRST_STRONG, _POP = "\u2068", "\u2069"


LONGEST = 80


_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def one_line(text: object, longest: int = LONGEST) -> str:
    r"""Return a user's name on one line, shortened, with its direction of writing isolated.

    Examples
    --------
    >>> from cameval.evaluation._words import one_line
    >>> one_line("first\nsecond"), one_line("a" * 30 + "z", longest=9)
    ('first second', 'aaaaa…aaz')
    """
    line = " ".join(replace_unprintable(str(text)).split())
    if len(line) > longest:
        tail = longest // 3
        line = f"{line[: longest - tail - 1]}…{line[-tail:]}"
    if any(bidirectional(c) in ("R", "AL", "RLE", "RLO", "RLI", "LRE", "LRO") for c in line):
        return f"{_FIRST_STRONG}{line}{_POP}"
    return line


def replace_unprintable(text: str) -> str:
    r"""Replace what no text file may contain: control characters and single surrogates.

    Examples
    --------
    >>> from cameval.evaluation._words import replace_unprintable
    >>> replace_unprintable("a\x00b") == "a\ufffdb"
    True
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def counted(number: int, what: str, names: Mapping[str, str] | None = None) -> str:
    """Return a number with what it counts, in the user's word where there is one.

    Examples
    --------
    >>> from cameval.evaluation._words import counted
    >>> counted(1200, "group"), counted(2, "group", {"group": "patient"})
    ('1,200 groups', '2 patients')
    >>> counted(2, "group", {"group": "family", "groups": "families"})
    '2 families'
    """
    known = names or {}
    word = known.get(what, what)
    return f"{number:,} {one_line(word if number == 1 else known.get(f'{what}s', f'{word}s'))}"


def map_and_mask(column: Column) -> str:
    """Return the method and the binarizer of a column."""
    return ", ".join(map(one_line, filter(None, [column.method, column.binarizer])))

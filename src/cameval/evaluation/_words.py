"""Labels and the user's names as words of plots and pages."""

import re
from collections.abc import Mapping
from unicodedata import bidirectional

from cameval.evaluation.meaning import ChosenOn, Column

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
    return f"{number:,} {one_line(known.get(what, what)) if number == 1 else plural(what, known)}"


def plural(what: str, names: Mapping[str, str]) -> str:
    """Return a noun for several, in the user's word where there is one.

    Examples
    --------
    >>> from cameval.evaluation._words import plural
    >>> plural("group", {}), plural("group", {"group": "patient"})
    ('groups', 'patients')
    """
    return one_line(names.get(f"{what}s", f"{names.get(what, what)}s"))


def place_of_choice(place: ChosenOn, names: Mapping[str, str]) -> str:
    """Return on which images binarizers were chosen, in the user's word for groups.

    Examples
    --------
    >>> from cameval.evaluation._words import place_of_choice
    >>> place_of_choice("other images of the same groups", {"group": "patient"})
    'other images of the same patients'
    """
    groups = plural("group", names)
    words: dict[ChosenOn, str] = {
        "other images, perhaps of the same groups": f"other images, perhaps of the same {groups}",
        "other images of the same groups": f"other images of the same {groups}",
    }
    return words.get(place, place)


def map_and_mask(column: Column) -> str:
    """Return the method and the binarizer of a column."""
    return ", ".join(map(one_line, filter(None, [column.method, column.binarizer])))


def plain_name(name: str) -> str:
    """Return a name without what differs in spelling only: case, and zeros around a number.

    Examples
    --------
    >>> from cameval.evaluation._words import plain_name
    >>> {plain_name(one) for one in ("P7", "p7 ")}, {plain_name(one) for one in ("007", "7.0")}
    ({'p7'}, {'7'})
    """
    plain = re.sub(r"\.0+$", "", name.strip().casefold())
    return plain.lstrip("0") if plain.isdigit() else plain

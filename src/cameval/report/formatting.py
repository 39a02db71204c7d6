"""Numbers as the page writes them, for sentences and tables of your own."""

from collections.abc import Mapping

from cameval.evaluation._comparisons import ALPHA
from cameval.evaluation._numbers import (
    format_difference,
    format_interval,
    format_number,
    format_percent,
    in_percent,
)
from cameval.evaluation._words import counted
from cameval.statistics import ENOUGH_GROUPS

__all__ = [
    "format_count",
    "format_difference",
    "format_interval",
    "format_number",
    "format_p",
    "format_percent",
]


def format_whole_percent(share: float) -> str:
    """Return a share in percent without decimals, except near 0 and 100.

    Examples
    --------
    >>> from cameval.report.formatting import format_whole_percent
    >>> format_whole_percent(0.75).replace(chr(160), " ")
    '75 %'
    >>> format_whole_percent(249 / 250).replace(chr(160), " ")
    '99.6 %'
    """
    return in_percent(share, 0)


def format_p(p: float) -> str:
    """Return a p value: as a bound if it is very small, or if it is below .05 and rounds to it.

    Parameters
    ----------
    p
        The p value.

    Examples
    --------
    >>> from cameval.report import format_p
    >>> format_p(0.0001), format_p(0.0312), format_p(0.0498)
    ('< .001', '.031', '< .050')
    """
    if p < 0.001:
        return "< .001"
    if p < ALPHA and format_number(p) == format_number(ALPHA):
        return f"< {format_number(ALPHA)}"
    return format_number(p)


def format_count(count: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun.

    Parameters
    ----------
    count
        The count.
    singular, plural
        The noun; by default the plural ends in s.

    Examples
    --------
    >>> from cameval.report import format_count
    >>> format_count(1, "image"), format_count(2000, "class", "classes")
    ('1 image', '2,000 classes')
    """
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def format_interval_after(
    low: float, high: float, n_groups: int, nouns: Mapping[str, str] | None = None
) -> str:
    """Return an interval to follow a number, after a space; with the number of groups if few.

    `nouns` are the user's words for "group" and "groups".

    Examples
    --------
    >>> from cameval.report.formatting import format_interval_after
    >>> format_interval_after(0.12, 0.19, 30), format_interval_after(0.12, 0.19, 7)
    (' [.120, .190]', ' [.120, .190; only 7 groups]')
    """
    text = format_interval(low, high)
    if text and n_groups < ENOUGH_GROUPS:
        text = f"{text[:-1]}; only {counted(n_groups, 'group', nouns)}]"
    return f" {text}" if text else ""

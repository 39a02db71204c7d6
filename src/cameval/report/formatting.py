"""Numbers as the page writes them, for sentences and tables of your own."""

from math import isnan

from cameval.evaluation._comparisons import ALPHA
from cameval.evaluation._numbers import (
    MISSING,
    format_difference,
    format_interval,
    format_number,
)
from cameval.statistics import ENOUGH_GROUPS

__all__ = [
    "format_count",
    "format_difference",
    "format_interval",
    "format_number",
    "format_p",
    "format_percent",
]


def format_percent(share: float) -> str:
    """Return a share in percent, with one decimal and a no-break space.

    Parameters
    ----------
    share
        The share, in [0, 1]; NaN gives a dash.

    Examples
    --------
    >>> from cameval.report import format_percent
    >>> format_percent(0.2286).replace(chr(160), " ")
    '22.9 %'
    """
    return MISSING if isnan(share) else f"{100 * share:.1f}\u00a0%"


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


def format_interval_after(low: float, high: float, n_groups: int) -> str:
    """Return an interval to follow a number, after a space; with the number of groups if few.

    Examples
    --------
    >>> from cameval.report.formatting import format_interval_after
    >>> format_interval_after(0.12, 0.19, 30), format_interval_after(0.12, 0.19, 7)
    (' [.120, .190]', ' [.120, .190; only 7 groups]')
    """
    text = format_interval(low, high)
    if text and n_groups < ENOUGH_GROUPS:
        text = f"{text[:-1]}; only {format_count(n_groups, 'group')}]"
    return f" {text}" if text else ""

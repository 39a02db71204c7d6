"""Scores, differences and intervals as plots, pages and terminals write them."""

import re
from collections.abc import Callable, Collection, Iterable
from math import isnan

MISSING = "\u2013"
"""A dash, where there is no number."""

_MOST_DECIMALS = 9


def format_number(value: float) -> str:
    """Return a score with three decimals and without its leading zero; large numbers with one.

    Parameters
    ----------
    value
        The score; NaN gives a dash.

    Examples
    --------
    >>> from cameval.report import format_number
    >>> format_number(0.1534), format_number(-0.02), format_number(1), format_number(25.04)
    ('.153', '-.020', '1.000', '25.0')
    """
    if isnan(value):
        return MISSING
    text = f"{value:.3f}" if abs(value) < 9.9995 else f"{value:,.1f}"
    if float(text.replace(",", "")) == 0:
        return ".000"
    return _without_zero(text)


def format_difference(value: float) -> str:
    """Return a difference, with more than three decimals where these would all be 0.

    Parameters
    ----------
    value
        The difference; NaN gives a dash.

    Examples
    --------
    >>> from cameval.report import format_difference
    >>> format_difference(0.15), format_difference(-0.00021), format_difference(0)
    ('.150', '-.0002', '.000')
    """
    text = format_number(value)
    if float(f"{value:.3f}") != 0 or abs(value) < 0.5 * 10.0**-_MOST_DECIMALS or isnan(value):
        return text
    decimals = next(d for d in range(4, _MOST_DECIMALS + 1) if float(f"{value:.{d}f}") != 0)
    return _without_zero(f"{value:.{decimals}f}")


def format_interval(low: float, high: float) -> str:
    """Return an interval in brackets; an end that is not 0 is not written as 0.

    Parameters
    ----------
    low, high
        The ends. If one is NaN there is no interval, and the text is empty.

    Examples
    --------
    >>> from cameval.report import format_interval
    >>> format_interval(0.12, 0.19), format_interval(0.0002, 0.19)
    ('[.120, .190]', '[.0002, .190]')
    >>> format_interval(float("nan"), float("nan"))
    ''
    """
    if isnan(low) or isnan(high):
        return ""
    return f"[{format_difference(low)}, {format_difference(high)}]"


def format_short(value: float) -> str:
    """Return a score with two digits, for sentences and figures.

    Examples
    --------
    >>> from cameval.evaluation._numbers import format_short
    >>> format_short(0.4349), format_short(1), format_short(25.04)
    ('.43', '1.00', '25.0')
    """
    if isnan(value):
        return MISSING
    text = f"{value:.2f}" if abs(value) < 9.995 else f"{value:,.1f}"
    if float(text.replace(",", "")) == 0:
        return ".00"
    return with_minus(_without_zero(text))


def short_writer(pairs: Iterable[tuple[float, float]]) -> Callable[[float], str]:
    """Return what writes scores with two digits, or with three if two would say too little.

    Two say too little if a score is below .1 and not 0, or if the scores of a pair differ with
    three digits alone.

    Parameters
    ----------
    pairs
        Scores and those beside which they are read, such as the guess; NaN for none.

    Examples
    --------
    >>> from cameval.evaluation._numbers import short_writer
    >>> [short_writer([pair])(pair[0]) for pair in [(0.43, 0.12), (0.43, 0.08), (0.434, 0.431)]]
    ['.43', '.430', '.434']
    """
    for pair in pairs:
        known = [one for one in pair if not isnan(one)]
        texts, longer = ({write(one) for one in known} for write in (format_short, format_number))
        if len(texts) < len(longer) or any(0 < abs(one) < 0.1 for one in known):
            return lambda value: with_minus(format_number(value))
    return format_short


def format_percent(share: float) -> str:
    """Return a share in percent, with one decimal and a no-break space.

    A share that is not 0 or 1 is not written as 0 % or 100 %: it has more decimals.

    Parameters
    ----------
    share
        The share, in [0, 1]; NaN gives a dash.

    Examples
    --------
    >>> from cameval.report import format_percent
    >>> format_percent(0.2286).replace(chr(160), " ")
    '22.9 %'
    >>> format_percent(0.9996).replace(chr(160), " "), format_percent(1).replace(chr(160), " ")
    ('99.96 %', '100.0 %')
    """
    return MISSING if isnan(share) else in_percent(share, 1)


def in_percent(share: float, decimals: int) -> str:
    """Return a share with as many decimals as keep it apart from 0 and 1, and so many at least."""
    texts = [f"{100 * share:.{k}f}" for k in range(decimals, _MOST_DECIMALS)]
    apart = (text for text in texts if share in (0, 1) or float(text) not in (0, 100))
    return f"{next(apart, texts[0])}\u00a0%"


def format_level(level: float) -> str:
    """Return the level of an interval in percent, without decimals that are 0.

    Examples
    --------
    >>> from cameval.evaluation._numbers import format_level
    >>> [format_level(level).replace(chr(160), " ") for level in (0.95, 0.99167, 0.999998)]
    ['95 %', '99.17 %', '99.9998 %']
    """
    text = f"{100 * level:.2f}"
    if float(text) == 100:
        return format_percent(level)
    return f"{text.rstrip('0').rstrip('.')}\u00a0%"


def format_levels(levels: Collection[float]) -> str:
    """Return the lowest and the highest level of intervals, or the one that all have.

    Examples
    --------
    >>> from cameval.evaluation._numbers import format_levels
    >>> [format_levels(of).replace(chr(160), " ") for of in ([0.95], [0.9955, 0.9817])]
    ['95 %', '98.17 % to 99.55 %']
    """
    ends = dict.fromkeys(map(format_level, (min(levels), max(levels))))
    return " to ".join(ends)


def format_signed(value: float) -> str:
    r"""Return a difference with its sign.

    Examples
    --------
    >>> from cameval.evaluation._numbers import format_signed
    >>> format_signed(0.0151), format_signed(-0.02) == "\u2212.020", format_signed(0)
    ('+.015', True, '.000')
    """
    text = with_minus(format_difference(value))
    return f"+{text}" if value > 0 else text


def with_minus(text: str) -> str:
    r"""Return a text whose negative numbers have a minus sign instead of a hyphen.

    Examples
    --------
    >>> from cameval.evaluation._numbers import with_minus
    >>> with_minus("-.02 [-.10, .06], p-75, 3-4").replace("\u2212", "(minus)")
    '(minus).02 [(minus).10, .06], p-75, 3-4'
    """
    return re.sub(r"(?<![^\s\[(])-(?=\.?\d)", "\u2212", text)


def plain_spaces(text: str) -> str:
    r"""Return a text without no-break spaces, for messages and plain text.

    Examples
    --------
    >>> from cameval.evaluation._numbers import plain_spaces
    >>> plain_spaces("92.5\u00a0%")
    '92.5 %'
    """
    return text.replace("\u00a0", " ")


def _without_zero(text: str) -> str:
    return re.sub(r"^(-?)0\.", r"\1.", text)

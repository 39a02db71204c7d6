"""Numbers, names and files as the page writes them."""

import re
from io import BytesIO
from math import isnan
from pathlib import Path
from unicodedata import bidirectional

from matplotlib.figure import Figure

from cameval.errors import SettingError
from cameval.evaluation import Origin
from cameval.evaluation._run_folder import part_of
from cameval.statistics import ENOUGH_GROUPS

ALPHA = 0.05
"""Below this p a difference is called one."""


NOTHING = "\u2013"
"""What stands where there is no number."""


_TITLES = {
    "iou": "IoU",
    "dice": "Dice",
    "area_bound": "area cap",
    "size_standardized_iou": "sIoU",
    "pixel_auroc": "AUROC",
    "pixel_average_precision": "AP",
}


_FIRST_STRONG, _POP = "\u2068", "\u2069"


_LONGEST = 80


_MOST_DECIMALS = 9


_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def number(value: float) -> str:
    """Write a score with three decimals and no needless zero; large numbers with one.

    Examples
    --------
    >>> number(0.1534), number(-0.02), number(1), number(25.04)
    ('.153', '-.020', '1.000', '25.0')
    """
    if isnan(value):
        return NOTHING
    text = f"{value:.3f}" if abs(value) < 9.9995 else f"{value:,.1f}"
    if float(text.replace(",", "")) == 0:
        return ".000"
    return re.sub(r"^(-?)0\.", r"\1.", text)


def between(low: float, high: float) -> str:
    """Write an interval; nothing where there is none. An end that is not 0 is not written as 0.

    Examples
    --------
    >>> between(0.12, 0.19), between(0.0002, 0.19), between(float("nan"), float("nan"))
    ('[.120, .190]', '[.0002, .190]', '')
    """
    return "" if isnan(low) or isnan(high) else f"[{difference_of(low)}, {difference_of(high)}]"


def difference_of(value: float) -> str:
    """Write a difference, with more decimals than three where it would be written as 0 and is not.

    Examples
    --------
    >>> difference_of(0.15), difference_of(-0.00021), difference_of(0)
    ('.150', '-.0002', '.000')
    """
    text = number(value)
    if float(f"{value:.3f}") != 0 or abs(value) < 0.5 * 10.0**-_MOST_DECIMALS or isnan(value):
        return text
    decimals = next(d for d in range(4, _MOST_DECIMALS + 1) if float(f"{value:.{d}f}") != 0)
    return re.sub(r"^(-?)0\.", r"\1.", f"{value:.{decimals}f}")


def in_brackets(low: float, high: float, n_groups: int) -> str:
    """Write an interval for a sentence, after a space; of few groups, with their number.

    Examples
    --------
    >>> in_brackets(0.12, 0.19, 30), in_brackets(0.12, 0.19, 7)
    (' [.120, .190]', ' [.120, .190; only 7 groups]')
    """
    text = between(low, high)
    if text and n_groups < ENOUGH_GROUPS:
        text = f"{text[:-1]}; only {count_of(n_groups, 'group')}]"
    return f" {text}" if text else ""


def percent(share: float) -> str:
    """Write a share in percent, with one decimal.

    Examples
    --------
    >>> percent(0.2286).replace(chr(160), " ")
    '22.9 %'
    """
    return NOTHING if isnan(share) else f"{100 * share:.1f}\u00a0%"


def p_value(p: float) -> str:
    """Write a p-value: as a bound where it is very small, or rounds to `ALPHA` and is below it.

    Examples
    --------
    >>> p_value(0.0001), p_value(0.0312), p_value(0.0498)
    ('< .001', '.031', '< .050')
    """
    if p < 0.001:
        return "< .001"
    return f"< {number(ALPHA)}" if p < ALPHA and number(p) == number(ALPHA) else number(p)


def count_of(count: int, singular: str, plural: str | None = None) -> str:
    """Write how many there are.

    Examples
    --------
    >>> count_of(1, "image"), count_of(2000, "class", "classes")
    ('1 image', '2,000 classes')
    """
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def metric_title(label: str) -> str:
    """Write the label of a metric as a reader knows it.

    Examples
    --------
    >>> metric_title("iou"), metric_title("pointing_game"), metric_title("my_own")
    ('IoU', 'pointing game', 'my own')
    """
    return _TITLES.get(label) or name(label.replace("_", " "))


def chosen_words(origin: Origin) -> str:
    """Say on which images binarizers were chosen, and by what.

    Examples
    --------
    >>> from cameval.evaluation import Origin
    >>> chosen_words(Origin("other images", "iou", True))
    'chosen on other images by the highest mean IoU'
    """
    best = "highest" if origin.higher_is_better else "lowest"
    return f"chosen on {origin.chosen_on} by the {best} mean {metric_title(origin.metric)}"


def name(text: object, longest: int = _LONGEST) -> str:
    r"""Write a name that is the user's own: on one line, shortened, apart from what is around it.

    Examples
    --------
    >>> name("first\nsecond"), name("a" * 30 + "z", longest=9)
    ('first second', 'aaaaa…aaz')
    """
    line = " ".join(printable(str(text)).split())
    if len(line) > longest:
        tail = longest // 3
        line = f"{line[: longest - tail - 1]}…{line[-tail:]}"
    if any(bidirectional(c) in ("R", "AL", "RLE", "RLO", "RLI", "LRE", "LRO") for c in line):
        return f"{_FIRST_STRONG}{line}{_POP}"
    return line


def printable(text: str) -> str:
    r"""Replace what no file of text may hold: control characters and halves of surrogate pairs.

    Examples
    --------
    >>> printable("a\x00b") == "a\ufffdb"
    True
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def png(figure: Figure, dpi: int = 144) -> bytes:
    """Draw a figure; the same figure gives the same bytes."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def made(folder: Path) -> Path:
    """Make a folder where there is none.

    Raises
    ------
    SettingError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"folder must be one that can be written, got {error}") from error
    return folder


def write_bytes(file: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all."""
    part = part_of(file)
    try:
        part.write_bytes(data)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)

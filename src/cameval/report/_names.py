"""Labels and the user's names as words of the page."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import bidirectional

from cameval.evaluation import Column, Origin, Results
from cameval.evaluation.meaning import BinarizerMeaning, TargetClassMeaning
from cameval.report._contents import Contents

_TITLES = {
    "iou": "IoU",
    "dice": "Dice",
    "size_standardized_iou": "sIoU",
    "pixel_auroc": "AUROC",
    "pixel_average_precision": "AP",
}


_FIRST_STRONG, _POP = "\u2068", "\u2069"


_LONGEST = 80


_MOST_NAMES = 5


_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def one_line(text: object, longest: int = _LONGEST) -> str:
    r"""Return a user's name on one line, shortened, with its direction of writing isolated.

    Examples
    --------
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
    >>> replace_unprintable("a\x00b") == "a\ufffdb"
    True
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def metric_title(label: str) -> str:
    """Return the usual name of a metric.

    Examples
    --------
    >>> metric_title("iou"), metric_title("pointing_game"), metric_title("my_own")
    ('IoU', 'pointing game', 'my own')
    """
    return _TITLES.get(label) or one_line(label.replace("_", " "))


def describe_origin(origin: Origin) -> str:
    """Return on which images binarizers were chosen, and by which metric.

    Examples
    --------
    >>> from cameval.evaluation import Origin
    >>> describe_origin(Origin("other images", "iou", True))
    'chosen on other images by the highest mean IoU'
    """
    best = "highest" if origin.higher_is_better else "lowest"
    return f"chosen on {origin.chosen_on} by the {best} mean {metric_title(origin.metric)}"


def describe_binarizer(meaning: BinarizerMeaning, longest: int = _LONGEST) -> str:
    """Return the setting of a binarizer, or how the binarizers behind its label were chosen."""
    if meaning.origin is not None:
        return describe_origin(meaning.origin)
    return one_line(meaning.setting, longest)


def map_and_mask(column: Column) -> str:
    """Return the method and the binarizer of a column."""
    return ", ".join(map(one_line, filter(None, [column.method, column.binarizer])))


def first_names(samples: Iterable[str]) -> str:
    """Return the first different names of samples, and the number of those left out.

    Examples
    --------
    >>> first_names(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    different = list(dict.fromkeys(samples))
    more = len(different) - _MOST_NAMES
    shown = ", ".join(one_line(sample, 24) for sample in different[:_MOST_NAMES])
    return shown + (f" and {more:,} more" if more > 0 else "")


@dataclass(frozen=True)
class Names:
    """Words for classes, target classes, maps and models.

    Parameters
    ----------
    contents
        What was evaluated: where there is one model or one target class, it is not named.
    classes
        Names of the classes, as far as they are known.
    target_classes
        Meanings of the labels of target classes, as far as they are known.
    """

    contents: Contents
    classes: Sequence[str]
    target_classes: Mapping[str, TargetClassMeaning]

    def class_name(self, label: int) -> str:
        """Return the name of a class."""
        known = 0 <= label < len(self.classes)
        return one_line(self.classes[label]) if known else f"class {label}"

    def target_class(self, label: str) -> str:
        """Return the words for a target class."""
        meaning = self.target_classes.get(label)
        if meaning is None or not isinstance(meaning.classes, int):
            return f"the {one_line(label)} class"
        named = 0 <= meaning.classes < len(self.classes)
        return f"{'class ' * named}{self.class_name(meaning.classes)}"

    def column(self, column: Column) -> str:
        """Return method and binarizer of a column, and its target class if there are several."""
        if len(self.contents.target_classes) < 2:
            return map_and_mask(column)
        return f"{map_and_mask(column)}, {self.target_class(column.target_class)}"

    def of_model(self, model: str) -> str:
        """Return " of" and the model, if there are several."""
        return f" of {one_line(model)}" if len(self.contents.models) > 1 else ""

    def with_model(self, model: str, text: str) -> str:
        """Return a text with the model before it, if there are several."""
        shown = one_line(model) if len(self.contents.models) > 1 else ""
        return ": ".join(filter(None, [shown, text]))


def names_of(results: Results, contents: Contents) -> Names:
    """Return the words for what was evaluated."""
    return Names(contents, results.class_names, results.meanings.target_class)

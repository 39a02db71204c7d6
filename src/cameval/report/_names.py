"""Labels and the user's names as words of the page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cameval.evaluation import Column, Origin
from cameval.evaluation._contents import Contents
from cameval.evaluation._words import (
    LONGEST,
    counted,
    map_and_mask,
    one_line,
    place_of_choice,
    plural,
)
from cameval.evaluation.meaning import BinarizerMeaning, ChosenOn, TargetClassMeaning
from cameval.report._targets import Targets
from cameval.report.formatting import format_count

_MOST_NAMES = 5

_NOUNS = ("group", "groups")
"""The nouns that a user may replace."""


def first_names(samples: Iterable[str]) -> str:
    """Return the first different names of samples, and the number of those left out.

    Examples
    --------
    >>> from cameval.report._names import first_names
    >>> first_names(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    different = list(dict.fromkeys(samples))
    more = len(different) - _MOST_NAMES
    shown = ", ".join(one_line(sample, 24) for sample in different[:_MOST_NAMES])
    return shown + (f" and {more:,} more" if more > 0 else "")


def join_words(words: Sequence[str], last: str = "and") -> str:
    """Return at least one word, with commas, and "and" or another word before the last.

    Examples
    --------
    >>> from cameval.report._names import join_words
    >>> join_words(["overlap"]), join_words(["overlap", "border", "size"], "or")
    ('overlap', 'overlap, border or size')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


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
    several
        Whether an image has several targets.
    are_split
        Whether the scores are of targets with an object alone.
    is_multilabel
        Whether the task is one with several labels.
    nouns
        The user's words for "group" and "groups".
    """

    contents: Contents
    classes: Sequence[str]
    target_classes: Mapping[str, TargetClassMeaning]
    several: bool = False
    are_split: bool = False
    is_multilabel: bool = False
    nouns: Mapping[str, str] = field(default_factory=dict)

    @property
    def noun(self) -> str:
        """What a model is: a network, or a set of maps that were made elsewhere."""
        return "network" if self.contents.has_network else "set"

    @property
    def row(self) -> str:
        """What a score is of: an image, or a target if an image has several."""
        return "target" if self.several else "image"

    @property
    def with_object(self) -> str:
        """What is added to "images" or "targets" if those without an object are left out."""
        return " with an object" if self.are_split else ""

    @property
    def all_rows(self) -> str:
        """The head of a row of a table that is of all that is scored."""
        return f"all {self.row}s{self.with_object}"

    @property
    def part(self) -> str:
        """What is added to the caption of a table if targets without an object are left out."""
        return f", {self.row}s{self.with_object}" if self.are_split else ""

    def rows(self, count: int) -> str:
        """Return a number of images, or of targets if an image has several."""
        return format_count(count, self.row)

    @property
    def group(self) -> str:
        """What images are of that are not independent, such as a patient."""
        return one_line(self.nouns.get("group", "group"))

    @property
    def groups(self) -> str:
        """Several of them."""
        return plural("group", self.nouns)

    @property
    def a_group(self) -> str:
        """One of them, with its article."""
        return f"{'an' if self.group[:1].lower() in tuple('aeiou') else 'a'} {self.group}"

    def count_groups(self, count: int) -> str:
        """Return a number of groups."""
        return counted(count, "group", self.nouns)

    def chosen_on(self, place: ChosenOn) -> str:
        """Return on which images binarizers were chosen."""
        return place_of_choice(place, self.nouns)

    def class_name(self, label: int) -> str:
        """Return the name of a class."""
        known = 0 <= label < len(self.classes)
        return one_line(self.classes[label]) if known else f"class {label}"

    def target_class(self, label: str) -> str:
        """Return the words for a target class."""
        meaning = self.target_classes.get(label)
        if meaning is not None and meaning.classes == "given":
            return "the class for which they were made"
        if meaning is not None and meaning.classes == "true" and self.is_multilabel:
            return "the class of the target"
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


def names_of(targets: Targets, contents: Contents, words: Mapping[str, str] | None = None) -> Names:
    """Return the words for what was evaluated; of the user's words, those for nouns are used."""
    results, known = targets.everything, words or {}
    return Names(
        contents,
        results.class_names,
        results.meanings.target_class,
        several=bool(results.samples.duplicated(["model", "sample"]).any()),
        are_split=targets.are_split,
        is_multilabel=results.task == "multilabel",
        nouns={noun: known[noun] for noun in _NOUNS if noun in known},
    )


def describe_origin(origin: Origin, names: Names) -> str:
    """Return on which images binarizers were chosen, and by which metric."""
    best = "highest" if origin.higher_is_better else "lowest"
    each = " for each true class" if origin.by == "label" else ""
    where, metric = names.chosen_on(origin.chosen_on), names.contents.title(origin.metric)
    return f"chosen{each} on {where} by the {best} mean {metric}"


def describe_binarizer(meaning: BinarizerMeaning, names: Names, longest: int = LONGEST) -> str:
    """Return the setting of a binarizer, or how the binarizers behind its label were chosen."""
    if meaning.origin is not None:
        return describe_origin(meaning.origin, names)
    return one_line(meaning.setting, longest)

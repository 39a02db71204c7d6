"""Labels in the author's words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cameval.evaluation._words import counted, one_line, place_of_choice
from cameval.evaluation.meaning import ChosenOn, Meaning, Meanings


@dataclass(frozen=True)
class LabelWords:
    """The names of labels: the author's, or else the usual ones.

    Parameters
    ----------
    names
        The author's names, by label.
    class_names
        The names of the classes, if they are known.
    meanings
        The meanings of the labels, which have the titles of metrics.

    Examples
    --------
    >>> from cameval.evaluation._label_words import LabelWords
    >>> words = LabelWords({"cam": "CAM", "group": "patient"}, ("round", "square"))
    >>> words.several(["cam", "otsu"]), words.count(2, "group"), words.metric("my_own")
    ('CAM and otsu', '2 patients', 'my own')
    >>> words.class_name(1), words.class_name(7)
    ('square', 'class 7')
    """

    names: Mapping[str, str]
    class_names: Sequence[str]
    meanings: Meanings = field(default_factory=Meanings)

    def name(self, label: object) -> str:
        """Return a label as the author writes it, or on one line."""
        return one_line(self.names.get(str(label), label))

    def metric(self, label: str) -> str:
        """Return the name of a metric."""
        return self.name(label if label in self.names else self.meanings.title(label))

    def class_name(self, label: int) -> str:
        """Return the name of a class."""
        known = self.class_names
        return self.name(known[label] if 0 <= label < len(known) else f"class {label}")

    def count(self, number: int, what: str) -> str:
        """Return a number of things."""
        return counted(number, what, self.names)

    def place_of_choice(self, place: ChosenOn) -> str:
        """Return on which images binarizers were chosen."""
        return place_of_choice(place, self.names)

    def several(self, labels: Iterable[str]) -> str:
        """Return labels in a list."""
        return joined([self.name(label) for label in labels])

    def meant(self, things: Mapping[str, Meaning]) -> str:
        """Return labels; one without a name of the author has how it is written in Python."""
        return joined([self._meant(label, one) for label, one in things.items()])

    def _meant(self, label: str, meaning: Meaning) -> str:
        if label in self.names or meaning.setting == label:
            return self.name(label)
        return f"{self.name(label)} ({one_line(meaning.setting, 200)})"


def joined(words: Sequence[str]) -> str:
    """Return words in a list.

    Examples
    --------
    >>> from cameval.evaluation._label_words import joined
    >>> joined(["a"]), joined(["a", "b"]), joined(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last

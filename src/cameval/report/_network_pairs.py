"""Which of several networks has the better maps: each pair in the same masks, as words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cameval.evaluation._comparisons import MOST_COMPARED, Comparison, Family, Verdict
from cameval.evaluation._headline import Headline
from cameval.evaluation._numbers import with_minus
from cameval.evaluation._words import map_and_mask, one_line
from cameval.report._all_scores import describe_difference
from cameval.report._names import Names, join_words
from cameval.report._sentences import Part, Sentence
from cameval.report.sections import Block, Cell, Row, Table

LONGEST_NAME = 40
_MOST_LABELS = 3


@dataclass(frozen=True)
class NetworkPair:
    """Two networks, and the tests of their difference.

    Parameters
    ----------
    first, second
        Their labels.
    tests
        A test for each binarizer, all with the same method; at least one has a p value.
    higher_is_better
        Of the metric.
    """

    first: str
    second: str
    tests: Sequence[Comparison]
    higher_is_better: bool

    @property
    def title(self) -> str:
        """The difference in words."""
        names = (one_line(name, LONGEST_NAME) for name in (self.first, self.second))
        return " minus ".join(names)

    def labels(self, *verdicts: Verdict) -> list[str]:
        """Return the binarizers with such a verdict on the first network."""
        return [
            one_line(test.column.binarizer)
            for test in self.tests
            if test.verdict(higher_is_better=self.higher_is_better) in verdicts
        ]

    def describe(self, test: Comparison) -> str:
        """Return symbol, difference and interval of one of the tests."""
        return with_minus(describe_difference(test, higher_is_better=self.higher_is_better))


def pairs_of(headline: Headline, family: Family) -> list[NetworkPair]:
    """Return the pairs of networks whose difference was tested, if the metric has a direction."""
    higher = headline.meaning.higher_is_better
    if higher is None:
        return []
    by_names: dict[tuple[str, str], list[Comparison]] = {}
    for test in family.select("model"):
        by_names.setdefault((test.first, test.second), []).append(test)
    return [
        NetworkPair(*names, tests, higher)
        for names, tests in by_names.items()
        if not all(np.isnan(test.p) for test in tests)
    ]


def are_few(headline: Headline) -> bool:
    """Tell whether each pair has words and a figure of its own."""
    return len(headline.candidates) <= MOST_COMPARED


def describe_pairs(headline: Headline, family: Family, names: Names) -> Sentence:
    """Return which of the networks has the better maps, in a sentence for each pair."""
    pairs = pairs_of(headline, family)
    if not pairs:
        return ()
    noun = names.noun
    if are_few(headline):
        return (Part(" ".join(_describe_pair(pair, noun) for pair in pairs)),)
    clear = sum(bool(pair.labels("better", "worse")) for pair in pairs)
    masks = map_and_mask(pairs[0].tests[0].column)
    return (
        Part(
            f"Of {len(pairs):,} pairs of {noun}s, a difference is shown for {clear:,}, "
            f"with {masks} (Paired tests)."
        ),
    )


def _describe_pair(pair: NetworkPair, noun: str) -> str:
    first, second = (one_line(name, LONGEST_NAME) for name in (pair.first, pair.second))
    better, worse = pair.labels("better"), pair.labels("worse")
    n = len(pair.tests)
    if better and worse:
        ends = [
            f"those of {first} with {_listed(better, n)}",
            f"those of {second} with {_listed(worse, n)}",
        ]
        return (
            f"Which {noun}'s maps find the object better depends on the binarizer: "
            f"{'; '.join(ends)}."
        )
    if clear := better or worse:
        best, other = (first, second) if better else (second, first)
        text = f"The maps of {best} find the object better than those of {other}"
        if n == 1:
            return f"{text}."
        if len(clear) == n:
            return f"{text} with each of the {n} binarizers."
        others = pair.labels("open", "equal", "too few groups", "not tested")
        return f"{text} with {_listed(clear, n)}; with {_listed(others, n)} no difference is shown."
    if pair.labels("too few groups") and not pair.labels("open"):
        return f"The groups are too few to tell the maps of {first} from those of {second}."
    text = f"No difference between the maps of {first} and {second} is shown"
    return f"{text}{' with any binarizer' * (n > 1)}."


def _listed(labels: Sequence[str], n: int) -> str:
    """Return the labels, or how many they are if they are many."""
    if len(labels) > _MOST_LABELS:
        return f"{len(labels)} of {n} binarizers"
    return join_words(labels)


def pair_table(pairs: Sequence[NetworkPair], caption: str) -> Table:
    """Return the rows of the figure as a table."""
    blocks = [
        Block(
            [
                Row(Cell(one_line(test.column.binarizer)), [Cell(pair.describe(test))])
                for test in pair.tests
            ],
            pair.title,
        )
        for pair in pairs
    ]
    note = "p, effects and numbers of groups are under Paired tests."
    return Table(caption, ["binarizer", "difference"], blocks, [note])


def pair_lines(headline: Headline, family: Family) -> list[str]:
    """Return the difference of each pair of few networks as lines in columns."""
    if not are_few(headline):
        return []
    lines = []
    for pair in pairs_of(headline, family):
        column = pair.tests[0].column
        first, second = (one_line(name, 24) for name in (pair.first, pair.second))
        lines.append(f"  {first} minus {second}, {one_line(column.method, 20)}:")
        names = [one_line(test.column.binarizer, 24) for test in pair.tests]
        width = max(map(len, names))
        lines += [
            f"    {name:{width}} {pair.describe(test)}".rstrip()
            if width
            else f"    {pair.describe(test)}"
            for name, test in zip(names, pair.tests, strict=True)
        ]
    return lines

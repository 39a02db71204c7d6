"""Which of several networks has the better maps: each pair in the same way, as words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cameval.evaluation import Column
from cameval.evaluation._comparisons import (
    ALPHA,
    MOST_COMPARED,
    Comparison,
    Family,
    ModelPair,
    Verdict,
    mean_difference,
)
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._numbers import format_short, format_signed, with_minus
from cameval.evaluation._scores import Images, Scores
from cameval.evaluation._words import map_and_mask, one_line
from cameval.report._all_scores import describe_difference
from cameval.report._names import Names, join_words
from cameval.report._p_values import both_p, equals
from cameval.report._sentences import Part, Sentence
from cameval.report.formatting import format_p
from cameval.report.sections import Block, Cell, Row, Table

LONGEST_NAME = 40
_MOST_LABELS = 3
_CLEAR: tuple[Verdict, Verdict] = ("better", "worse")


@dataclass(frozen=True)
class PairRow:
    """A difference between two networks: what it is of, and as text; its test if there is one."""

    name: str
    said: str
    difference: float
    test: Comparison | None = None


@dataclass(frozen=True)
class NetworkPair(ModelPair):
    """Two networks, and their differences in one metric, with the same method.

    Parameters
    ----------
    first, second, metric, tests
        As of `ModelPair`.
    metric_title
        Title of the metric.
    higher_is_better
        Of the metric.
    untested
        Mean differences with the binarizers that are not tested, as another was fixed before.
    n_tests
        How many tests their p values are corrected for.
    """

    metric_title: str
    higher_is_better: bool
    untested: Mapping[str, float]
    n_tests: int

    @property
    def title(self) -> str:
        """The difference in words."""
        names = (one_line(name, LONGEST_NAME) for name in (self.first, self.second))
        return " minus ".join(names)

    def of(self, *verdicts: Verdict) -> list[Comparison]:
        """Return the tests with such a verdict on the first network."""
        return [
            test
            for test in self.tests
            if test.verdict(higher_is_better=self.higher_is_better) in verdicts
        ]

    def labels(self, *verdicts: Verdict) -> list[str]:
        """Return the binarizers with such a verdict on the first network."""
        return [one_line(test.column.binarizer) for test in self.of(*verdicts)]

    def is_clear(self, test: Comparison) -> bool:
        """Tell whether one of the tests shows a difference."""
        return test.verdict(higher_is_better=self.higher_is_better) in _CLEAR

    def rows(self) -> list[PairRow]:
        """Return the rows of a figure or table, those without a test last."""
        rows = []
        for test in self.tests:
            found = test.verdict(higher_is_better=self.higher_is_better)
            said = describe_difference(test, found)
            said += f" ({_of_pairs(test)})" if test.test.n_undefined else ""
            name = test.column.binarizer or self.metric_title
            rows.append(PairRow(one_line(name), with_minus(said), test.test.difference, test))
        for name, difference in self.untested.items():
            said = f"{format_signed(difference)} (not tested)"
            rows.append(PairRow(one_line(name), said, difference))
        return rows


def _of_pairs(test: Comparison) -> str:
    """Return how many pairs of scores are compared, and of how many."""
    one = test.test
    return f"{one.n:,} of {one.n + one.n_undefined:,} pairs"


def pairs_of(
    contents: Contents, headline: Headline, images: Mapping[str, Images], family: Family
) -> list[NetworkPair]:
    """Return the differences that were tested, by pair and metric, those of the headline first."""
    directions = {k: one.higher_is_better for k, one in contents.averaged_metrics.items()}
    pairs = []
    for pair in family.model_pairs():
        higher = directions[pair.metric]
        if higher is None or not pair.is_tested:
            continue
        others = _untested(contents, headline, pair.tests[0].column)
        differences = {
            column.binarizer: mean_difference(images[pair.first], images[pair.second], column)
            for column in others
            if column in images[pair.first].columns
        }
        known = {name: value for name, value in differences.items() if not np.isnan(value)}
        pairs.append(
            NetworkPair(
                **vars(pair),
                metric_title=contents.title(pair.metric),
                higher_is_better=higher,
                untested=known,
                n_tests=family.size,
            )
        )
    return sorted(pairs, key=lambda pair: pair.metric != headline.metric)


def _untested(contents: Contents, headline: Headline, column: Column) -> list[Column]:
    """Return the columns of the binarizers that are not tested, as another was fixed."""
    if not column.binarizer or headline.binarizer is None or not are_few(headline):
        return []
    return [
        replace(column, binarizer=label)
        for label, meaning in contents.binarizers.items()
        if label != column.binarizer and meaning.origin is None
    ]


def are_few(headline: Headline) -> bool:
    """Tell whether each pair has words and a figure of its own."""
    return len(headline.candidates) <= MOST_COMPARED


# --- Words ----------------------------------------------------------------------------------------


def describe_pairs(
    pairs: Sequence[NetworkPair], headline: Headline, scores: Scores, names: Names
) -> Sentence:
    """Return which of two networks has the better maps, or how many pairs differ, by metric."""
    if not pairs:
        return ()
    by_metric: dict[str, list[NetworkPair]] = {}
    for pair in pairs:
        by_metric.setdefault(pair.metric, []).append(pair)
    told = [
        _describe_pair(of[0], names) if len(of) == 1 else _count_pairs(of, names.noun)
        for of in by_metric.values()
    ]
    grids = _describe_grids(headline, scores) if are_few(headline) else []
    return (Part(" ".join([*told, *grids])),)


def _count_pairs(pairs: Sequence[NetworkPair], noun: str) -> str:
    """Return for how many of several pairs a difference is shown."""
    better, worse = ([bool(pair.labels(one)) for pair in pairs] for one in _CLEAR)
    clear = sum(map(any, zip(better, worse, strict=True)))
    both = sum(map(all, zip(better, worse, strict=True)))
    column, several = pairs[0].tests[0].column, len(pairs[0].tests) > 1
    masks = "at least one binarizer" if several else map_and_mask(column)
    text = (
        f"In {_where(pairs[0])}, a difference is shown for {clear:,} of {len(pairs):,} pairs of "
        f"{noun}s, with {masks}"
    )
    text += f"; for {both:,} its sign depends on the binarizer" if both else ""
    return f"{text}."


def _where(pair: NetworkPair) -> str:
    threshold = "" if pair.tests[0].column.binarizer else ", without a threshold"
    return f"{pair.metric_title}{threshold}"


def _describe_pair(pair: NetworkPair, names: Names) -> str:
    first, second = (one_line(name, LONGEST_NAME) for name in (pair.first, pair.second))
    better, worse = pair.labels("better"), pair.labels("worse")
    n = len(pair.tests)
    where = f"In {_where(pair)}"
    if len(names.contents.methods) > 1:
        where += f", for {one_line(pair.tests[0].column.method, 40)}"
    if better and worse:
        ends = f"{first} with {_listed(better, n)}; {second} with {_listed(worse, n)}"
        return f"{where}, it depends on the binarizer which has the better maps: {ends}."
    if clear := better or worse:
        best, other = (first, second) if better else (second, first)
        text = f"{where}, the maps of {best} are better than those of {other}"
        if n > 1 and len(clear) == n:
            text += f" with each of the {n} binarizers"
        elif n > 1:
            others = pair.labels("open", "equal", "too few groups", "not tested")
            text += f" with {_listed(clear, n)}; with {_listed(others, n)} no difference is shown"
    elif pair.labels("too few groups") and not pair.labels("open"):
        groups = f"the {names.groups} are too few"
        text = f"{where}, {groups} to tell the maps of {first} from those of {second}"
        if all(test.test.least_p < ALPHA for test in pair.of("too few groups")):
            text += f", after correction for {pair.n_tests:,} tests"
    else:
        text = f"{where}, no difference between the maps of {first} and {second} is shown"
        text += " with any binarizer" * (n > 1)
    return f"{text}.{_describe_missing(pair)}{_describe_untested(pair)}{_describe_p(pair)}"


def _describe_missing(pair: NetworkPair) -> str:
    """Return how many pairs are compared, where a score of one network is undefined."""
    fewest = min(pair.tests, key=lambda test: test.test.n)
    if not fewest.test.n_undefined:
        return ""
    differ = len({test.test.n for test in pair.tests}) > 1
    return f" Undefined scores leave {'as few as ' if differ else ''}{_of_pairs(fewest)}."


def _describe_p(pair: NetworkPair) -> str:
    """Return p of a pair with one test; the table has those of several."""
    (test, *others) = pair.tests
    if others:
        return ""
    binarizer = test.column.binarizer
    masks = f" with {one_line(binarizer)}" if binarizer and pair.untested else ""
    return f" Test{masks}: {both_p(test, pair.n_tests)}."


def _describe_untested(pair: NetworkPair) -> str:
    """Return the range of the differences that are not tested."""
    if not pair.untested:
        return ""
    ends = [
        format_signed(end) for end in (min(pair.untested.values()), max(pair.untested.values()))
    ]
    if len(pair.untested) == 1:
        (name,) = pair.untested
        return f" With {one_line(name)} the difference is {ends[0]} (not tested)."
    n = len(pair.untested)
    return f" With the {n} other binarizers it is {ends[0]} to {ends[1]} (not tested)."


def _describe_grids(headline: Headline, scores: Scores) -> list[str]:
    """Return what the truth scores at the grid of each network, in the masks that are tested."""
    first = next(iter(headline.candidates))
    column = headline.columns.get(first)
    best = None if column is None else scores.best_baseline(first, column, "truth")
    if column is None or best is None:
        return []
    found = {model: scores.get(model, best) for model in headline.candidates}
    means = {model: format_short(one.mean) for model, one in found.items() if one is not None}
    if len(set(means.values())) < 2 or len(means) < len(found):
        return []
    each = [f"{value} ({one_line(model, LONGEST_NAME)})" for model, value in means.items()]
    masks = f" with {one_line(column.binarizer)}" if column.binarizer else ""
    return [f"A map of the truth at the grid of each scores {join_words(each)}{masks}."]


def _listed(labels: Sequence[str], n: int) -> str:
    """Return the labels, or how many they are if they are many."""
    if len(labels) > _MOST_LABELS:
        return f"{len(labels)} of {n} binarizers"
    return join_words(labels)


# --- Rows -----------------------------------------------------------------------------------------


def pair_table(pairs: Sequence[NetworkPair], caption: str, names: Names) -> Table:
    """Return the rows of the figure as a table."""
    blocks = [
        Block(
            [Row(Cell(row.name), [Cell(row.said), *_p_cells(row, pair)]) for row in pair.rows()],
            f"{pair.metric_title}: {pair.title}",
        )
        for pair in pairs
    ]
    note = f"Effects and numbers of {names.groups} are under Paired tests."
    n_tests = pairs[0].n_tests
    p = [f"p, corrected for {n_tests:,} tests", "p alone"] if n_tests > 1 else ["p"]
    return Table(caption, ["binarizer", "difference", *p], blocks, [note])


def _p_cells(row: PairRow, pair: NetworkPair) -> list[Cell]:
    """Return p of a row, of several tests both corrected and alone."""
    if row.test is None or np.isnan(row.test.p):
        return [Cell("")] * (2 if pair.n_tests > 1 else 1)
    both = [row.test.p, *([row.test.test.p] if pair.n_tests > 1 else [])]
    return [Cell(format_p(p)) for p in both]


def pair_lines(pairs: Sequence[NetworkPair], headline: Headline, family: Family) -> list[str]:
    """Return the difference of each pair of few networks as lines in columns."""
    if not pairs or not are_few(headline):
        return []
    by_names: dict[tuple[str, str], list[NetworkPair]] = {}
    for pair in pairs:
        by_names.setdefault((pair.first, pair.second), []).append(pair)
    lines = ["  Differences, with intervals and p"]
    if family.size > 1:
        lines[0] += f" corrected for {family.size:,} tests, and p alone"
    lines[0] += ":"
    for names, both in by_names.items():
        first, second = (one_line(name, 24) for name in names)
        lines.append(f"  {first} minus {second}, {one_line(both[0].tests[0].column.method, 20)}")
        rows = [
            (one_line(row.name, 24), f"{row.said}{_both_p(row, pair)}")
            for pair in both
            for row in pair.rows()
        ]
        width = max(len(name) for name, _ in rows)
        lines += [f"    {name:{width}} {said}" for name, said in rows]
    return lines


def _both_p(row: PairRow, pair: NetworkPair) -> str:
    """Return p of a row of the terminal, of several tests both corrected and alone."""
    if row.test is None or np.isnan(row.test.p):
        return ""
    alone = f", {format_p(row.test.test.p)} alone" if pair.n_tests > 1 else ""
    return f"  p {equals(row.test.p)}{alone}"

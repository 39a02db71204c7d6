"""Paired tests of the page, corrected as one family."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.evaluation import Column
from cameval.report._format import (
    ALPHA,
    between,
    difference_of,
    metric_title,
    name,
    number,
    p_value,
)
from cameval.report._parts import in_words, map_and_mask, of_model
from cameval.report._view import ROLES, Facts
from cameval.report.sections import Block, Cell, Row, Table
from cameval.statistics import ENOUGH_GROUPS, SignFlip, holm, sign_flip_test

Kind = Literal["method", "model", "target_class"]


@dataclass(frozen=True)
class Test:
    """One paired test of the page.

    Parameters
    ----------
    kind
        What is compared.
    model
        The model whose maps are compared; of two models the second.
    first, second
        Labels of the two.
    found
        The test; its interval is of the level at which it agrees with the corrected p.
    p
        The p value, corrected for all tests of the page.
    """

    kind: Kind
    model: str
    first: str
    second: str
    found: SignFlip
    p: float


@dataclass(frozen=True)
class Family:
    """All paired tests of a page."""

    tests: Sequence[Test] = ()

    @property
    def size(self) -> int:
        """How many tests the p values are corrected for."""
        return sum(not np.isnan(test.p) for test in self.tests)

    def of(self, kind: Kind, model: str | None = None) -> list[Test]:
        """Return the tests of a kind, of one model or of all."""
        return [t for t in self.tests if t.kind == kind and model in (None, t.model)]

    def between(self, kind: Kind, model: str, first: str, second: str) -> Test | None:
        """Return the test of one label against another."""
        found = (t for t in self.of(kind, model) if (t.first, t.second) == (first, second))
        return next(found, None)


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two scores of the same images, before they are tested."""

    kind: Kind
    model: str
    first: str
    second: str
    scores: tuple[NDArray[np.float64], NDArray[np.float64]]
    groups: NDArray[np.str_]

    def tested(self, seed: int, confidence: float = 1 - ALPHA) -> SignFlip:
        return sign_flip_test(*self.scores, self.groups, seed=seed, confidence=confidence)


def family_of(facts: Facts) -> Family:
    """Test methods against each other and the baselines, models and classes explained, together.

    The interval of each difference is of the level at which it leaves out 0 exactly where the
    corrected p is below `ALPHA`.
    """
    pairs = [*_methods(facts), *_models(facts), *_explained(facts)]
    if not pairs:
        return Family()
    found = [pair.tested(facts.seed) for pair in pairs]
    corrected = holm([test.p for test in found]).tolist()
    tests = []
    for pair, test, p in zip(pairs, found, corrected, strict=True):
        at_level = pair.tested(facts.seed, 1 - ALPHA * test.p / p) if p > test.p else test
        tests.append(Test(pair.kind, pair.model, pair.first, pair.second, at_level, p))
    return Family(tests)


def _methods(facts: Facts) -> Iterator[_Pair]:
    """Yield all methods against the first, and against each baseline that a map should beat."""
    for model, column in facts.of_models():
        first = [facts.preferred.method or facts.methods[0]] if len(facts.methods) > 1 else []
        for reference in (*first, *facts.rivals):
            of_method = replace(column, kind="method", method=reference)
            of_baseline = replace(column, kind="baseline", method=reference)
            other = of_method if reference in facts.methods else of_baseline
            for method in facts.methods:
                one = replace(column, kind="method", method=method)
                both = {one, other} <= set(facts.results.columns)
                if method != reference and both:
                    scores = facts.values(model, one), facts.values(model, other)
                    groups = facts.groups(model)
                    yield _Pair("method", model, method, reference, scores, groups)


def _models(facts: Facts) -> Iterator[_Pair]:
    """Yield each pair of models, with the methods and binarizer of the first, by sample."""
    if len(facts.models) < 2 or (column := facts.best(facts.models[0])) is None:
        return
    for first, second in combinations(facts.models, 2):
        here, there = _common(facts.samples(first)["sample"], facts.samples(second)["sample"])
        if here.size:
            scores = facts.values(first, column)[here], facts.values(second, column)[there]
            yield _Pair("model", second, first, second, scores, facts.groups(first)[here])


def _common(
    first: "pd.Series[str]", second: "pd.Series[str]"
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return where the names that both have are, in the order of the first."""
    at = pd.Index(second.astype(str)).get_indexer(pd.Index(first.astype(str)))
    return np.flatnonzero(at >= 0), at[at >= 0]


def _explained(facts: Facts) -> Iterator[_Pair]:
    """Yield the maps of each class explained against those of the first."""
    for model, column in facts.of_models():
        for target_class in facts.target_class[1:]:
            scores = (
                facts.values(model, replace(column, target_class=target_class)),
                facts.values(model, column),
            )
            yield _Pair(
                "target_class",
                model,
                target_class,
                facts.target_class[0],
                scores,
                facts.groups(model),
            )


# --- Tables -------------------------------------------------------------------------------------
def test_table(facts: Facts, family: Family) -> Table | None:
    """Return differences between methods, and to the baselines."""
    blocks = []
    for model, column in facts.of_models():
        tests = family.of("method", model)
        for reference in dict.fromkeys(test.second for test in tests):
            role = f" ({ROLES[facts.baselines[reference]]})" if reference in facts.rivals else ""
            parts = [f"minus {name(reference)}{role}"]
            if len(facts.target_class) > 1:
                parts.append(facts.target_class_words(column.target_class))
            parts += [name(column.binarizer)] if column.binarizer else []
            rows = [_row(test) for test in tests if test.second == reference]
            blocks.append(Block(rows, of_model(facts, model, ", ".join(parts))))
    if not blocks:
        return None
    title = metric_title(facts.headline or "")
    chosen = (_binarizer_chosen_here(facts, column) for _, column in facts.of_models())
    note = "The binarizer was chosen by these same scores, which p does not take into account."
    return Table(
        f"Paired differences in {title}",
        ["map", *_TITLES],
        blocks,
        [*_about(family), *([note] if any(chosen) else [])],
    )


def _about(family: Family) -> list[str]:
    """Say what the numbers of a table of tests are."""
    corrected = (
        f"corrected by Holm's method for the {family.size:,} tests of this page"
        if family.size > 1
        else "of the one test of this page"
    )
    notes = [
        "Difference: the mean over the images on which both have a score. "
        f"p: sign-flip test of whole groups, {corrected}. The interval is of the level that agrees "
        f"with this p: it leaves out 0 exactly where p is below {number(ALPHA)}. Effect: the "
        "difference in standard deviations of the images' differences; its interval may hold 0 "
        "where that of the difference does not."
    ]
    if any(not np.isnan(test.p) and not test.found.trusted for test in family.tests):
        notes.append(
            "Where fewer than ten groups differ, p may be too small and the interval too narrow to "
            "trust."
        )
    return notes


def _binarizer_chosen_here(facts: Facts, column: Column) -> bool:
    """Tell whether the binarizer of the tests was chosen by the scores that are tested."""
    if not column.binarizer or facts.higher_is_better(column.metric) is None:
        return False
    if facts.preferred.binarizer is None:
        return len(facts.binarizers) > 1
    origin = facts.chosen(column.binarizer)
    return origin is not None and origin.chosen_on == "these same images"


def model_table(facts: Facts, family: Family) -> Table | None:
    """Return differences between models, each pair, with the methods and binarizer of the first."""
    tests = family.of("model")
    if not tests or (column := facts.best(facts.models[0])) is None:
        return None
    blocks = [
        Block(
            [_row(replace(test, first=test.second)) for test in tests if test.first == first],
            f"{name(first)} minus",
        )
        for first in dict.fromkeys(test.first for test in tests)
    ]
    return Table(
        f"Paired differences in {metric_title(column.metric)} between models, "
        f"{in_words(facts, column)}",
        ["model", *_TITLES],
        blocks,
        [*_about(family), *_favors(facts)],
    )


def _favors(facts: Facts) -> list[str]:
    """Say which model a comparison of models favors."""
    first = facts.models[0]
    if len(facts.candidates(first)) < 2 or facts.higher_is_better(facts.headline) is None:
        return []
    return [f"The maps and masks are those that score best on {name(first)}, which favors it."]


def explained_tests(facts: Facts, family: Family) -> Table | None:
    """Return differences between the classes that maps explain."""
    tests = family.of("target_class")
    if not tests:
        return None
    first = facts.target_class_words(facts.target_class[0])
    blocks = [
        Block(
            [
                _row(replace(test, first=facts.target_class_words(test.first)))
                for test in family.of("target_class", model)
            ],
            of_model(facts, model, map_and_mask(column)),
        )
        for model, column in facts.of_models()
        if family.of("target_class", model)
    ]
    title = metric_title(facts.headline or "")
    return Table(
        f"Paired differences in {title} to maps for {first}, all images",
        ["maps for", *_TITLES],
        blocks,
        _about(family),
    )


_TITLES = ("difference", "p", "effect", "n", "groups")


def _row(test: Test) -> Row:
    found = test.found
    undefined = f"{found.n_undefined:,} undefined" if found.n_undefined else ""
    few = not np.isnan(test.p) and found.n_differing < ENOUGH_GROUPS
    differ = "differs" if found.n_differing == 1 else "differ"
    return Row(
        Cell(name(test.first)),
        [
            Cell(difference_of(found.difference), between(found.low, found.high)),
            Cell(p_value(test.p), f"{found.n_differing} {differ}" if few else ""),
            Cell(difference_of(found.effect), between(found.effect_low, found.effect_high)),
            Cell(f"{found.n:,}", undefined),
            Cell(f"{found.n_groups:,}"),
        ],
    )

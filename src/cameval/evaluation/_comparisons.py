"""Paired tests of results, adjusted as one family, and the verdict of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline, metric_without_threshold
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._scores import Images
from cameval.evaluation.meaning import Column
from cameval.statistics import SignFlip, holm
from cameval.statistics.paired import flip_pairs

ALPHA = 0.05
"""Below this p a difference is called clear."""


CONFIDENCE = 1 - ALPHA
"""Confidence of the interval of a test that is not corrected."""


MOST_COMPARED = 3
"""Each pair of so many models is tested with every binarizer; pairs of more models with one."""


FAMILY = "paired tests of the page"
"""What the p values of a page are corrected together with."""


Kind = Literal["method", "model", "target_class"]
"""What a test compares."""


Verdict = Literal["better", "worse", "open", "too few groups", "equal", "not tested"]
"""What a test says of the first map, seen from the second."""


GuessVerdict = Verdict | Literal["noise alone"]
"""What a test says of a map, seen from the best guess."""


@dataclass(frozen=True)
class Comparison:
    """One paired test of the page.

    Parameters
    ----------
    kind
        What is compared.
    model
        The model whose maps are compared; of two models the second.
    first, second
        Labels of the two.
    column
        The column of the first, with its target class, binarizer and metric.
    uncorrected
        The test as if it were the only one, with its interval at `CONFIDENCE`.
    test
        The test; its interval is of the level at which it agrees with the adjusted p.
    level
        The confidence of the interval of `test`.
    p
        The p value, adjusted for all tests of the page.
    least
        The least adjusted p that this test could have had, with as many groups that differ and the
        other tests as they are.
    """

    kind: Kind
    model: str
    first: str
    second: str
    column: Column
    uncorrected: SignFlip
    test: SignFlip
    level: float
    p: float
    least: float

    def verdict(self, *, higher_is_better: bool) -> Verdict:
        """Return what the adjusted test says of the first, and nothing but the test."""
        if np.isnan(self.p):
            return "not tested"
        if self.test.n_differing == 0:
            return "equal"
        if self.least >= ALPHA:
            return "too few groups"
        if self.p >= ALPHA:
            return "open"
        return "better" if (self.test.difference > 0) == higher_is_better else "worse"

    def record(self) -> dict[str, Any]:
        """Return what was compared and what the test found, by the names of `Results.compare`.

        Target class, method, binarizer and metric are those of the first.
        """
        plain, at_level = self.uncorrected, self.test
        return {
            "kind": self.kind,
            "model": self.model,
            "first": self.first,
            "second": self.second,
            "target_class": self.column.target_class,
            "method": self.column.method,
            "binarizer": self.column.binarizer,
            "metric": self.column.metric,
            "difference": plain.difference,
            "low": plain.low,
            "high": plain.high,
            "p": plain.p,
            "p_holm": self.p,
            "low_holm": at_level.low,
            "high_holm": at_level.high,
            "confidence_holm": self.level,
            "n": plain.n,
            "n_groups": plain.n_groups,
            "n_differing": plain.n_differing,
            "n_undefined": plain.n_undefined,
            "n_patterns": plain.n_patterns,
            "is_exact": plain.is_exact,
            "least_p": plain.least_p,
            "is_reliable": plain.is_reliable,
        }


def judge_against_guess(
    test: Comparison, contents: Contents, *, higher_is_better: bool
) -> GuessVerdict:
    """Return what a test against the best guess says of a map.

    A map is not called better than a guess where the only guesses are random maps.
    """
    found = test.verdict(higher_is_better=higher_is_better)
    return "noise alone" if found == "better" and contents.has_noise_alone else found


def least_adjusted(tests: Sequence[SignFlip]) -> list[float]:
    """Return the least adjusted p that each test could have had, the others as they are.

    A test has its least p if no other pattern of signs is as extreme as the observed one. The
    factor of Holm's method is then that of the test's place among the others.
    """
    found = [test.p for test in tests]
    return [
        float(holm([*found[:k], test.least_p, *found[k + 1 :]])[k]) for k, test in enumerate(tests)
    ]


@dataclass(frozen=True)
class ModelPair:
    """Two models, and the tests of their difference in one metric, with the same method.

    Parameters
    ----------
    first, second
        Their labels.
    metric
        Label of the metric.
    tests
        A test for each binarizer, or one without a binarizer for a metric of maps.
    """

    first: str
    second: str
    metric: str
    tests: Sequence[Comparison]

    @property
    def is_tested(self) -> bool:
        """Whether one of the tests has a p value."""
        return not all(np.isnan(test.p) for test in self.tests)


@dataclass(frozen=True)
class Family:
    """All paired tests of a page."""

    comparisons: Sequence[Comparison] = ()

    @property
    def size(self) -> int:
        """How many tests the p values are adjusted for."""
        return sum(not np.isnan(one.p) for one in self.comparisons)

    def records(self) -> list[dict[str, Any]]:
        """Return the record of each test, with the family that its p is corrected for."""
        return [one.record() | {"family": FAMILY, "tests": self.size} for one in self.comparisons]

    def select(self, kind: Kind, model: str | None = None) -> list[Comparison]:
        """Return the tests of a kind, of one model or of all."""
        return [c for c in self.comparisons if c.kind == kind and model in (None, c.model)]

    def model_pairs(self) -> list[ModelPair]:
        """Return the tests of models, by pair and metric."""
        found: dict[tuple[str, str, str], list[Comparison]] = {}
        for one in self.select("model"):
            found.setdefault((one.first, one.second, one.column.metric), []).append(one)
        return [ModelPair(*names, tests) for names, tests in found.items()]

    def find(self, kind: Kind, model: str, first: str, second: str) -> Comparison | None:
        """Return the test of one label against another."""
        pairs = (c for c in self.select(kind, model) if (c.first, c.second) == (first, second))
        return next(pairs, None)


def seed_of(results: ScoreTable) -> int:
    """Return the seed of the run, of the first if there are several."""
    settings = results.provenance.get("settings") or {}
    return int(settings.get("seed") or 0)


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two scores of the same images, before they are tested."""

    kind: Kind
    model: str
    first: str
    second: str
    column: Column
    scores: tuple[NDArray[np.float64], NDArray[np.float64]]
    groups: NDArray[np.str_]


def compare_all(
    contents: Contents, headline: Headline, images: Mapping[str, Images], seed: int
) -> Family:
    """Test methods, baselines, models and target classes against each other, as one family.

    The interval of each difference is of the level at which it excludes 0 exactly where the
    adjusted p is below `ALPHA`.
    """
    pairs = [
        *_pairs_of_methods(contents, headline, images),
        *_pairs_of_models(contents, headline, images),
        *_pairs_of_target_classes(contents, headline, images),
    ]
    if not pairs:
        return Family()
    scores = [(*pair.scores, pair.groups) for pair in pairs]
    flipped = flip_pairs(scores, confidence=CONFIDENCE, seed=seed)
    tests = [one.test(CONFIDENCE) for one in flipped]
    adjusted = holm([test.p for test in tests]).tolist()
    comparisons = []
    for pair, signs, test, p, least in zip(
        pairs, flipped, tests, adjusted, least_adjusted(tests), strict=True
    ):
        level = 1 - ALPHA * (test.p / p) if p > test.p else CONFIDENCE
        at_level = signs.test(level) if p > test.p else test
        about = (pair.kind, pair.model, pair.first, pair.second, pair.column)
        comparisons.append(Comparison(*about, test, at_level, level, p, least))
    return Family(comparisons)


def _pairs_of_methods(
    contents: Contents, headline: Headline, images: Mapping[str, Images]
) -> Iterator[_Pair]:
    """Yield all methods with the first, and with each baseline that a map should beat."""
    methods = contents.methods
    for model, column in headline.columns.items():
        of_model = images[model]
        first = [headline.method or methods[0]] if len(methods) > 1 else []
        for reference in (*first, *contents.rivals):
            kind: Literal["method", "baseline"]
            kind = "method" if reference in methods else "baseline"
            other = replace(column, kind=kind, method=reference)
            for method in methods:
                one = replace(column, kind="method", method=method)
                if method != reference and {one, other} <= set(of_model.columns):
                    scores = of_model.values(one), of_model.values(other)
                    yield _Pair("method", model, method, reference, one, scores, of_model.groups)


def _pairs_of_models(
    contents: Contents, headline: Headline, images: Mapping[str, Images]
) -> Iterator[_Pair]:
    """Yield each pair of the models of the headline, with the same map and mask, by target.

    The method is that of the first model. Of few models, the pairs are yielded with each binarizer,
    as the sign of the difference can change with it, and in a metric that needs none.
    """
    models = [images[model] for model in headline.candidates]
    best = headline.columns.get(models[0].model) if models else None
    if best is None:
        return
    columns: Sequence[Column] = [best]
    if len(models) <= MOST_COMPARED:
        candidates = headline.candidates[models[0].model]
        columns = [one for one in candidates if one.method == best.method]
        metric = metric_without_threshold(contents, headline)
        if best.binarizer and metric is not None:
            columns = [*columns, replace(best, binarizer="", metric=metric)]
    for first, second in combinations(models, 2):
        here, there = _common(first.samples, second.samples)
        for column in columns if here.size else ():
            scores = first.values(column)[here], second.values(column)[there]
            labels = first.model, second.model
            yield _Pair("model", second.model, *labels, column, scores, first.groups[here])


def mean_difference(first: Images, second: Images, column: Column) -> float:
    """Return the mean difference of two models over the targets that both have a score of."""
    here, there = _common(first.samples, second.samples)
    differences = first.values(column)[here] - second.values(column)[there]
    defined = differences[~np.isnan(differences)]
    return float(defined.mean()) if defined.size else float("nan")


def _common(first: pd.DataFrame, second: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the positions of the targets that both have, in the order of the first."""
    here, there = (
        pd.MultiIndex.from_arrays([one["sample"].astype(str), one["label"].fillna(-1)])
        for one in (first, second)
    )
    at = there.get_indexer(here)
    return np.flatnonzero(at >= 0), at[at >= 0]


def _pairs_of_target_classes(
    contents: Contents, headline: Headline, images: Mapping[str, Images]
) -> Iterator[_Pair]:
    """Yield the maps of each target class with those of the first."""
    reference, *others = contents.target_classes
    for model, column in headline.columns.items():
        of_model = images[model]
        for label in others:
            one = replace(column, target_class=label)
            scores = of_model.values(one), of_model.values(column)
            yield _Pair("target_class", model, label, reference, one, scores, of_model.groups)

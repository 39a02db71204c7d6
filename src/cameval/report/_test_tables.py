"""Tables of paired tests: methods and baselines, models, target classes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from cameval.evaluation._comparisons import ALPHA, CONFIDENCE, Comparison, Family, ModelPair
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline, is_binarizer_chosen_here
from cameval.evaluation._numbers import format_level
from cameval.evaluation._scores import ROLES
from cameval.evaluation._words import map_and_mask, one_line
from cameval.report._names import Names, join_words
from cameval.report.formatting import (
    format_difference,
    format_interval,
    format_number,
    format_p,
)
from cameval.report.sections import Block, Cell, Row, Table
from cameval.statistics import ENOUGH_GROUPS
from cameval.statistics._sign_flips import least_p


def no_bracket(names: Names) -> str:
    """Return why a difference has no interval."""
    return (
        f"A difference has no bracket where the {names.groups} are too few for any difference to "
        "be rejected at the level of the interval, or where none differs."
    )


def _titles(names: Names) -> tuple[str, ...]:
    return ("difference", "p", "effect", "n", names.groups, f"{names.groups} that differ")


def method_tests(
    contents: Contents, headline: Headline, names: Names, family: Family
) -> Table | None:
    """Return differences between methods, and from the baselines."""
    blocks, shown = [], []
    for model, column in headline.columns.items():
        comparisons = family.select("method", model)
        shown += comparisons
        for reference in dict.fromkeys(one.second for one in comparisons):
            known = reference in contents.rivals
            role = f" ({ROLES[contents.baselines[reference]]})" if known else ""
            parts = [f"minus {one_line(reference)}{role}"]
            if len(contents.target_classes) > 1:
                parts.append(names.target_class(column.target_class))
            parts += [one_line(column.binarizer)] if column.binarizer else []
            rows = [_row(one) for one in comparisons if one.second == reference]
            blocks.append(Block(rows, names.with_model(model, ", ".join(parts))))
    if not blocks:
        return None
    chosen = (is_binarizer_chosen_here(contents, headline, c) for c in headline.columns.values())
    note = "The binarizer was chosen by these same scores, which p does not take into account."
    return Table(
        f"Paired differences in {headline.title}{names.part}",
        ["map", *_titles(names)],
        blocks,
        [*_notes(shown, family, names), *([note] if any(chosen) else [])],
    )


def model_tests(headline: Headline, names: Names, family: Family) -> list[Table]:
    """Return differences between models, with the map and mask of the first, by metric."""
    by_metric: dict[str, list[ModelPair]] = {}
    for pair in family.model_pairs():
        by_metric.setdefault(pair.metric, []).append(pair)
    return [_model_table(of, headline, names, family) for of in by_metric.values()]


def _model_table(
    pairs: Sequence[ModelPair], headline: Headline, names: Names, family: Family
) -> Table:
    """Return the tests of one metric; a row is a binarizer if there are several, else a model."""
    comparisons = [one for pair in pairs for one in pair.tests]
    column = comparisons[0].column
    if several := len(comparisons) > len(pairs):
        column = replace(column, binarizer="")
        blocks = [
            Block(
                [_row(one, one_line(one.column.binarizer)) for one in pair.tests],
                f"{one_line(pair.first)} minus {one_line(pair.second)}",
            )
            for pair in pairs
        ]
    else:
        blocks = [
            Block(
                [_row(one, one_line(one.second)) for one in comparisons if one.first == first],
                f"{one_line(first)} minus",
            )
            for first in dict.fromkeys(one.first for one in comparisons)
        ]
    reference = names.contents.models[0]
    return Table(
        f"Paired differences in {names.contents.title(column.metric)} between models, "
        f"{names.column(column)}",
        ["binarizer" if several else "model", *_titles(names)],
        blocks,
        [
            *_notes(comparisons, family, names),
            *_favored_model(headline, reference, is_of_method=several or not column.binarizer),
        ],
    )


def target_class_tests(headline: Headline, names: Names, family: Family) -> Table | None:
    """Return differences between target classes."""
    comparisons = family.select("target_class")
    if not comparisons:
        return None
    blocks = [
        Block(
            [_row(one, names.target_class(one.first)) for one in of_model],
            names.with_model(model, map_and_mask(column)),
        )
        for model, column in headline.columns.items()
        if (of_model := family.select("target_class", model))
    ]
    return Table(
        f"Paired differences in {headline.title} from maps for "
        f"{names.target_class(comparisons[0].second)}, {names.all_rows}",
        ["maps for", *_titles(names)],
        blocks,
        _notes(comparisons, family, names),
    )


def _notes(shown: Sequence[Comparison], family: Family, names: Names) -> list[str]:
    """Explain the numbers of a table of tests, and its intervals if there is one."""
    adjusted = "of the one test of this page"
    if family.size > 1:
        adjusted = f"adjusted by Holm's method for the {family.size:,} tests of this page"
    has_any = any(has_interval(one) for one in shown)
    of_effect = (
        "; its interval is of the same level, and may include 0 where that of the difference does "
        "not"
    )
    notes = [*describe_levels(shown)]
    notes.append(
        f"Difference: the mean over the {names.row}s{names.with_object} for which both have a "
        f"score. p: sign-flip test of {names.groups} with {describe_signs(shown, names)}, "
        f"{adjusted}. Effect: the difference in standard deviations of the differences of the "
        f"{names.row}s{of_effect if has_any else ''}."
    )
    if any(one.test.n and not has_interval(one) for one in shown):
        notes.append(no_bracket(names))
    notes += describe_least(shown, family, names)
    few = [one for one in shown if not np.isnan(one.p) and one.test.n_differing < ENOUGH_GROUPS]
    if few:
        narrow = " and the interval too narrow" if any(map(has_interval, few)) else ""
        notes.append(f"Where fewer than ten {names.groups} differ, p may be too small{narrow}.")
    return notes


def describe_signs(shown: Iterable[Comparison], names: Names) -> str:
    """Return which patterns of signs the p values of tests are shares of."""
    tested = [one.test for one in shown if not np.isnan(one.p)]
    drawn = [f"{one.n_patterns - 1:,}" for one in tested if not one.is_exact]
    if not drawn:
        return "all patterns of signs"
    random = f"{join_words(list(dict.fromkeys(drawn)))} random patterns of signs and the observed"
    if len(drawn) == len(tested):
        return f"{random} one"
    most = max(one.n_groups for one in tested if one.is_exact)
    return f"all patterns of signs up to {most} {names.groups}, or {random} one"


def describe_least(shown: Iterable[Comparison], family: Family, names: Names) -> list[str]:
    """Return the smallest possible p by number of groups that differ, where it is not below .05."""
    few: dict[int, list[Comparison]] = {}
    for one in shown:
        if one.least >= ALPHA and one.test.n_differing > 0:
            few.setdefault(one.test.n_differing, []).append(one)
    notes = []
    for count, tests in sorted(few.items()):
        about = "" if all(one.test.is_exact for one in tests) else "about "
        after = f" ({_few_digits(min(one.least for one in tests))} after the correction)"
        verbs = "differs has" if count == 1 else "differ have"
        notes.append(
            f"{names.count_groups(count)} that {verbs} {2**count:,} patterns of signs: no p "
            f"below {about}"
            f"{_few_digits(least_p(count))}{after if family.size > 1 else ''} is possible."
        )
    return notes


def _few_digits(p: float) -> str:
    """Return a p value with three significant digits."""
    return f"{p:.3g}".removeprefix("0")


def describe_levels(shown: Iterable[Comparison]) -> list[str]:
    """Return the level of the intervals of differences beside that of scores; empty without any."""
    levels = [one.level for one in shown if has_interval(one)]
    if not levels:
        return []
    low, high, of_scores = map(format_level, (min(levels), max(levels), CONFIDENCE))
    text = f"The interval of a difference is {low}"
    if high == of_scores:
        text += ", as those of scores are"
    elif low == high:
        text += f", wider than the {of_scores} of scores, because p is corrected"
    else:
        text += (
            f" to {high}, by test, because p is corrected; the intervals of scores are {of_scores}"
        )
    return [f"{text}. It excludes 0 exactly where p is below {format_number(ALPHA)}."]


def has_interval(one: Comparison) -> bool:
    """Tell whether the difference of a test has an interval."""
    return not (np.isnan(one.test.low) or np.isnan(one.test.high))


def notes_on_labels(contents: Contents, headline: Headline, family: Family) -> list[str]:
    """Tell whether differences from baselines that know the label, as a class mean, are tested."""
    labels = [label for label, role in contents.baselines.items() if role == "labels"]
    masks: dict[tuple[str, ...], list[str]] = {}
    for model, column in headline.columns.items():
        found = {one.second for one in family.select("method", model) if not np.isnan(one.p)}
        tested = tuple(label for label in labels if label in found)
        masks.setdefault(tested, []).append(
            f"masks by {one_line(column.binarizer)}" if column.binarizer else "maps"
        )
    notes = []
    for tested, of in masks.items():
        where = join_words(list(dict.fromkeys(of)))
        if tested:
            notes.append(
                f"Differences from {join_words([one_line(one) for one in tested])}, which "
                f"{'knows' if len(tested) == 1 else 'know'} the label, are tested in "
                f"{headline.title} of {where} alone, under Paired tests."
            )
        if others := [one_line(one) for one in labels if one not in tested]:
            notes.append(f"Differences from {join_words(others, 'or')} are not tested.")
    return list(dict.fromkeys(notes))


def _favored_model(headline: Headline, model: str, *, is_of_method: bool) -> list[str]:
    """Return which model a comparison of models favors."""
    candidates = headline.candidates[model]
    if headline.meaning.higher_is_better is None:
        return []
    if is_of_method:
        if len({one.method for one in candidates}) < 2:
            return []
        return [f"The method is the one that scores best on {one_line(model)}, which favors it."]
    if len(candidates) < 2:
        return []
    return [
        f"Method and binarizer are those that score best on {one_line(model)}, which favors it."
    ]


def _row(one: Comparison, head: str | None = None) -> Row:
    test = one.test
    undefined = f"{test.n_undefined:,} undefined" if test.n_undefined else ""
    effect_interval = format_interval(test.effect_low, test.effect_high)
    return Row(
        Cell(one_line(one.first) if head is None else head),
        [
            Cell(format_difference(test.difference), format_interval(test.low, test.high)),
            Cell(format_p(one.p)),
            Cell(format_difference(test.effect), effect_interval),
            Cell(f"{test.n:,}", undefined),
            Cell(f"{test.n_groups:,}"),
            Cell(f"{test.n_differing:,}"),
        ],
    )

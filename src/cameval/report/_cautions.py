"""What limits a verdict: guesses, choices on the same images, few groups, tests, no scores."""

from collections.abc import Mapping, Sequence, Set
from typing import Any, get_args

import numpy as np

from cameval.baselines import Pattern
from cameval.evaluation._caution_words import describe_few_groups
from cameval.evaluation._comparisons import ALPHA
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._numbers import format_short, short_writer, with_minus
from cameval.evaluation._run_folder import runs
from cameval.evaluation._words import map_and_mask, one_line
from cameval.evaluation.meaning import CONSTANT, ChosenOn, Column
from cameval.metrics.questions import BestMask
from cameval.report._choices import MethodChoice, groups_of_choice, method_choice
from cameval.report._names import Names, join_words
from cameval.report._p_values import equals
from cameval.report._sentences import MOST_NAMED, Part, Sentence, plain
from cameval.report._targets import Targets
from cameval.report._verdict import Verdict
from cameval.report.formatting import format_count, format_number, format_percent

MANY = 0.05
"""Shares of undefined scores or constant maps above this are in the line of caution."""


def chosen_by_scores(
    verdicts: Sequence[Verdict],
    targets: Targets,
    contents: Contents,
    headline: Headline,
    names: Names,
) -> Sentence:
    """Return how method and binarizer were chosen by scores."""
    recorded = runs(targets.everything.provenance)
    method = method_choice(contents, headline, recorded)
    chosen, is_optimistic = _choice(verdicts, contents, headline, names, method, recorded)
    if is_optimistic:
        return (Part(f"Optimistic: {chosen}"),)
    return (Part(chosen[0].upper() + chosen[1:]),) if chosen else ()


_BEST_MASKS: Mapping[BestMask, str] = {
    "empty": "an empty mask",
    "whole": "a mask of the whole image",
}


def one_sided(headline: Headline) -> Sentence:
    """Return that the score is best for a mask that does not depend on the truth."""
    if headline.best_mask is None:
        return ()
    text = (
        f"{_BEST_MASKS[headline.best_mask]} has the best {one_line(headline.title)}: it does not "
        "show alone that the object is found"
    )
    return (Part(f"{text[:1].upper()}{text[1:]}."),)


def few_groups(targets: Targets, names: Names) -> Sentence:
    """Return that there are fewer groups than intervals need."""
    told = describe_few_groups(targets.scored.samples, names.nouns)
    return (Part(told),) if told else ()


def many_undefined(verdicts: Sequence[Verdict], targets: Targets) -> Sentence:
    """Return how many scores are undefined and how many maps constant, if these are many."""
    told = [
        f"{format_percent(share)} of {what}"
        for share, what in shares(verdicts, targets)
        if share > MANY
    ]
    return (Part(f"{join_words(told, 'and')}."),) if told else ()


def different_images(
    verdicts: Sequence[Verdict], targets: Targets, headline: Headline, names: Names
) -> Sentence:
    """Return that the best mean is one of means over different images."""
    scored, told = targets.scored, []
    for one in verdicts:
        if one.column is None or headline.meaning.higher_is_better is None:
            continue
        of_model = (scored.samples["model"] == one.model).to_numpy()
        is_defined = ~np.isnan(scored.values[of_model])
        counts = {
            column: int(is_defined[:, scored.columns.index(column)].sum())
            for column in headline.candidates[one.model]
        }
        best = counts[one.column]
        other = max(counts, key=lambda column: abs(counts[column] - best))
        if abs(counts[other] - best) > MANY * len(is_defined):
            of = [f"{map_and_mask(c)} over {counts[c]:,}" for c in (one.column, other)]
            rows = format_count(len(is_defined), names.row)
            told.append(names.with_model(one.model, f"{' and '.join(of)} of {rows}"))
    if not told:
        return ()
    return (
        Part(
            f"Means are over different {names.row}s, without undefined scores: {told[0]}"
            f"{', and more' if len(told) > 1 else ''}. The best mean need not be that of the best "
            "map."
        ),
    )


def _compared(candidates: Sequence[Column], contents: Contents) -> Sequence[Column]:
    """Return the candidates without those whose binarizer was chosen among the others."""
    binarizers = contents.binarizers
    return [
        one for one in candidates if not one.binarizer or binarizers[one.binarizer].origin is None
    ] or candidates


def _choice(
    verdicts: Sequence[Verdict],
    contents: Contents,
    headline: Headline,
    names: Names,
    method: MethodChoice | None,
    recorded: Sequence[Mapping[str, Any]],
) -> tuple[str, bool]:
    """Return how method and binarizer were chosen by scores, and whether that is optimistic."""
    candidates = [
        _compared(of, contents) for one in verdicts if (of := headline.candidates[one.model])
    ]
    if headline.meaning.higher_is_better is None or not candidates:
        return "", False
    most = max(candidates, key=len)
    methods, binarizers = {c.method for c in most}, {c.binarizer for c in most}
    if len(most) > 1:
        what = "pairs of method and binarizer"
        if len(binarizers) == 1:
            what = "methods" if most[0].kind == "method" else "baselines"
        elif len(methods) == 1:
            what = "binarizers"
        return f"the best of {len(most)} {what}, chosen on these same images.", True
    origins = [
        origin
        for one in verdicts
        if one.column is not None
        and one.column.binarizer
        and (origin := contents.binarizers[one.column.binarizer].origin) is not None
    ]
    places = {origin.chosen_on for origin in origins}
    if method is not None and places == {method.origin.chosen_on}:
        text = f"the {method.describe()} and the thresholds were chosen on {method.place(names)}."
        return text, method.origin.chosen_on != "other images"
    if not places:
        return "", False
    order: tuple[ChosenOn, ...] = get_args(ChosenOn)
    worst = max(places, key=order.index)  # from other images to these
    where = names.chosen_on(worst)
    if worst == order[0]:
        labels = {one.column.binarizer for one in verdicts if one.column is not None}
        where = _place(labels, recorded, names) or where
    return f"the thresholds were chosen on {where}.", worst != order[0]


def _place(labels: Set[str], recorded: Sequence[Mapping[str, Any]], names: Names) -> str:
    """Return on how many other images of how many groups choices were made; "" if they differ."""
    counts = {
        (one.get("images"), one.get("groups"))
        for run in recorded
        for label, one in (run.get("chosen") or {}).items()
        if label in labels
    }
    images, groups = counts.pop() if len(counts) == 1 else (None, None)
    if not isinstance(images, int) or not isinstance(groups, int):
        return ""
    return f"{format_count(images, 'other image')} of {groups_of_choice(groups, names)}"


def shares(verdicts: Sequence[Verdict], targets: Targets) -> list[tuple[float, str]]:
    """Return the shares of undefined scores and of constant maps of the columns of the verdict."""
    scored = targets.scored
    undefined = total = constant = 0
    for one in verdicts:
        if one.column is None:
            continue
        of_model = (scored.samples["model"] == one.model).to_numpy()
        at = scored.columns.index(one.column)
        undefined += int(np.isnan(scored.values[of_model, at]).sum())
        constant += int(((scored.codes[of_model, at] & CONSTANT) > 0).sum())
        total += int(of_model.sum())
    total = max(1, total)
    return [
        (undefined / total, "the scores are undefined"),
        (constant / total, "the maps are constant"),
    ]


# --- Guesses --------------------------------------------------------------------------------------


def other_guesses(verdicts: Sequence[Verdict], names: Names, *, is_named: bool = False) -> Sentence:
    """Return which binarizer gives a better guess than that of the maps, and its mean."""
    found = [
        (one.model, other)
        for one in verdicts
        if one.guess is not None and (other := one.guess.other) is not None
    ]
    texts = [
        f"with {one_line(other.column.binarizer, 40)} a guess scores {format_number(other.mean)}"
        for _, other in found
    ]
    if not texts:
        return ()
    if is_named or len(set(texts)) > 1 or len(found) < len(verdicts):
        models: dict[str, list[str]] = {}
        for (model, _), text in zip(found[:MOST_NAMED], texts, strict=False):
            models.setdefault(text, []).append(one_line(model, 40))
        texts = [f"{text} ({join_words(whose)})" for text, whose in models.items()]
    text = ", ".join(dict.fromkeys(texts))
    return (Part(f"{text[:1].upper()}{with_minus(text[1:])}."),)


def outguessed(verdicts: Sequence[Verdict], headline: Headline, names: Names) -> Sentence:
    """Return that a guess with another binarizer has a better mean than the maps."""
    some = [one for one in verdicts if one.is_outguessed]
    told = other_guesses(some, names, is_named=len(some) < len(verdicts))
    if not told:
        return ()
    is_best = headline.method is None and headline.binarizer is None
    maps = "the best map" if is_best else "these maps"
    return (Part(f"{plain(told)[:-1]}, better than {maps} (not tested)."),)


_PATTERNS: Mapping[Pattern, str] = {
    "center": "a mark in the middle",
    "noise": "a random map",
    "mean": "the mean of other masks",
}


def describe_guess(verdicts: Sequence[Verdict], contents: Contents) -> Sentence:
    """Return what a guess is, and which baseline it is here."""
    found: dict[str, list[str]] = {}
    for one in verdicts:
        if one.guess is not None:
            found.setdefault(one.guess.column.method, []).append(one.model)
    if not found:
        return ()
    parts = [Part("Guess: the best baseline that does not see the image (here ")]
    for k, (label, models) in enumerate(found.items()):
        pattern = contents.patterns.get(label)
        what = f", {_PATTERNS[pattern]}" if pattern is not None else ""
        whose = f" for {', '.join(one_line(model, 40) for model in models)}"
        parts += [Part("; " if k else ""), Part(one_line(label, 40), "name")]
        parts.append(Part(f"{what}{whose if len(found) > 1 else ''}"))
    text = "It guesses the place, not the class."
    if any(_is_by_label(one.guess.column, contents) for one in verdicts if one.guess is not None):
        text = "It guesses the place; its threshold is that of the true class."
    parts.append(Part(f"). {text}"))
    return (*parts, *_informed(verdicts))


def _is_by_label(column: Column, contents: Contents) -> bool:
    """Tell whether a column has the binarizers that were chosen for each label."""
    known = contents.binarizers.get(column.binarizer)
    return known is not None and known.origin is not None and known.origin.by == "label"


def by_label(verdicts: Sequence[Verdict], contents: Contents) -> Sentence:
    """Return that the threshold of an image is that of its true class, if it is."""
    columns = [one.column for one in verdicts if one.column is not None]
    if not any(_is_by_label(one, contents) for one in columns):
        return ()
    return (
        Part("The threshold of each image is that of its true class, not of the predicted one."),
    )


def _informed(verdicts: Sequence[Verdict]) -> Sentence:
    """Return the mean of the best baseline that knows the class, of the first networks."""
    found: dict[str, dict[str, list[str]]] = {}
    informed = [(one.model, one.informed) for one in verdicts if one.informed is not None]
    for model, best in informed[:MOST_NAMED]:
        means = found.setdefault(best.column.method, {})
        means.setdefault(with_minus(format_short(best.mean)), []).append(one_line(model, 40))
    parts: list[Part] = []
    for k, (label, means) in enumerate(found.items()):
        several = len(verdicts) > 1
        texts = [
            f"{mean} ({join_words(models)})" if several else mean for mean, models in means.items()
        ]
        what = "" if k else ", which uses labels or predictions, not the image,"
        parts += [Part("; " if k else " "), Part(one_line(label, 40), "name")]
        parts.append(Part(f"{what} scores {join_words(texts)}"))
    return (*parts, Part(".")) if parts else ()


def out_of_reach(verdicts: Sequence[Verdict]) -> Sentence:
    """Return where no masks of the areas of the maps' masks could reach the mean of the guess."""
    found = [one for one in verdicts if one.is_out_of_reach]
    if not found:
        return ()
    whose = ""
    if len(verdicts) > 1:
        models = [one_line(one.model, 40) for one in found[:MOST_NAMED]]
        more = len(found) - len(models)
        whose = f" ({join_words([*models, *([f'{more:,} more'] if more else [])])})"
    return (
        Part(
            f"No masks of these areas can reach the mean of the best guess{whose}: the areas do "
            "not fit the objects. The binarizer, or a grid that is too coarse, may be the cause."
        ),
    )


def uncorrected(verdicts: Sequence[Verdict]) -> Sentence:
    """Return both p values of tests of which only the correction decides that nothing is shown."""
    found = [
        (one.model, comparison)
        for one in verdicts
        if one.state == "open"
        and one.guess is not None
        and (comparison := one.guess.comparison) is not None
        and comparison.test.p < ALPHA
    ]
    texts = [
        f"p {equals(test.p)} corrected for all tests of the page, p {equals(test.test.p)} alone"
        + (f" ({one_line(model, 40)})" if len(verdicts) > 1 else "")
        for model, test in found[:MOST_NAMED]
    ]
    return (Part(f"Test against the guess: {'; '.join(texts)}."),) if texts else ()


def other_orders(verdicts: Sequence[Verdict]) -> Sentence:
    """Return that the order of the two best methods, or their distance, is of the binarizer."""
    found = [(one.model, one.other_order) for one in verdicts if one.other_order is not None]
    texts = []
    for model, order in found[:MOST_NAMED]:
        write = short_writer([(order.first_mean, order.second_mean)])
        whose = f" ({one_line(model, 40)})" if len(verdicts) > 1 else ""
        what = "order of the methods" if order.is_reversed else "size of their difference"
        texts.append(
            f"With {one_line(order.binarizer, 40)} {one_line(order.second, 40)} scores "
            f"{write(order.second_mean)} and {one_line(order.first, 40)} "
            f"{write(order.first_mean)}{whose}, not tested: the {what} depends on the binarizer."
        )
    return (Part(with_minus(" ".join(texts))),) if texts else ()

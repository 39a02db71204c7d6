"""Findings and caveats in sentences, computed from the scores."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd

from cameval.evaluation import Column
from cameval.evaluation.meaning import CONSTANT, ChosenOn
from cameval.report._comparisons import Family, Test
from cameval.report._format import (
    ALPHA,
    between,
    chosen_words,
    count_of,
    difference_of,
    in_brackets,
    metric_title,
    name,
    number,
    p_value,
    percent,
)
from cameval.report._parts import shares
from cameval.report._view import Facts, Role, Score
from cameval.statistics import ENOUGH_GROUPS, mean_interval


def what_was_run(facts: Facts) -> str:
    """Say in one line what was run."""
    samples, provenance = facts.results.samples, facts.results.provenance
    models = ", ".join(name(model, 40) for model in facts.models[:6])
    if len(facts.models) > 6:
        models += f" and {len(facts.models) - 6} more"
    version = (facts.settings.get("versions") or {}).get("cameval")
    classes = samples["label"].nunique()
    parts = [
        models,
        count_of(samples["sample"].nunique(), "image"),
        count_of(samples["group"].nunique(), "group"),
        count_of(classes, "class", "classes") if classes else "no labels",
        name(str(provenance.get("started") or "")[:10], 20),
        f"cameval {name(version, 20)}" if version else "",
    ]
    return " · ".join(filter(None, parts))


def findings(facts: Facts, model: str, family: Family) -> list[str]:
    """Say what was found of one model, in paragraphs."""
    column = facts.best(model)
    if column is None:
        why = "no metric but counted categories"
        if facts.headline is not None:
            why = "no maps but those made of the truth"
        nothing = f"There is no score to sum up: the results hold {why}."
        return [f"{_classification(facts, model)} {nothing}"]
    score = facts.scores[model, column]
    first = [_classification(facts, model), _headline(facts, model, column, score)]
    if np.isnan(score.mean):
        return [" ".join(first)]
    parts = (
        _beside_baselines(facts, model, column, family),
        chain(_limits(facts, model, column), _rates(facts, model, column)),
        _dependence(facts, model, column),
    )
    return list(filter(None, [" ".join(first), *map(" ".join, parts)]))


def caveats(facts: Facts) -> list[str]:
    """Say what a reader should be careful about."""
    samples = facts.results.samples
    images, groups = samples["sample"].nunique(), samples["group"].nunique()
    found = []
    if images > 1 and groups == images:
        found.append(
            "Every image is a group of its own. If several are of one patient, the intervals are "
            "too narrow."
        )
    if groups == 1:
        found.append("There is only one group: the mean of a score has no interval.")
    elif groups < ENOUGH_GROUPS:
        found.append(f"There are only {groups} groups: intervals may be too narrow to trust.")
    undefined = int(np.isnan(facts.results.values).any(1).sum())
    if undefined:
        found.append(
            f"{_of_rows(facts, undefined)} an undefined score; the reasons are counted below."
        )
    flat = int(((facts.results.codes & CONSTANT) > 0).any(1).sum())
    if flat:
        found.append(f"{_of_rows(facts, flat)} a constant map; the maps are named below.")
    return found


def _of_rows(facts: Facts, count: int) -> str:
    several = len(facts.models) > 1
    rows = count_of(
        len(facts.results),
        "pair of image and model" if several else "image",
        "pairs of image and model" if several else None,
    )
    return f"{count:,} of {rows} {'has' if count == 1 else 'have'}"


# --- Sentences ----------------------------------------------------------------------------------
def _classification(facts: Facts, model: str) -> str:
    of = f" of {name(model)}" if len(facts.models) > 1 else ""
    if not facts.labeled(model):
        return f"The images{of} have no labels: nothing is said of right and wrong predictions."
    if not facts.classified(model):
        return (
            f"The labels of the images do not seem to be classes of {name(model)}: nothing is "
            "said of right and wrong predictions."
        )
    correct = facts.correct(model)
    known = correct | facts.wrong(model)
    right = correct[known].astype(float)
    share = mean_interval(right, facts.groups(model)[known], bounds=(0, 1))
    interval = ""
    if not np.isnan(share.low):
        few = "" if share.trusted else f"; only {count_of(share.n_groups, 'group')}"
        interval = f" [{percent(share.low)}, {percent(share.high)}{few}]"
    return (
        f"{name(model)} classifies {percent(share.estimate)}{interval} of "
        f"{count_of(share.n, 'labeled image')} as labeled."
    )


def _headline(facts: Facts, model: str, column: Column, score: Score) -> str:
    what = f"maps of {name(column.method)}"
    if column.kind == "baseline":
        what = f"maps of the baseline {name(column.method)}"
    of = f" of {name(model)}" if len(facts.models) > 1 else ""
    how = ""
    if column.binarizer:
        chosen = facts.chosen(column.binarizer) is not None
        how = f", thresholded {'as' if chosen else 'by'} {name(column.binarizer)},"
    title = metric_title(column.metric)
    subject = f"The {what}{of} for {facts.target_class_words(column.target_class)}{how}"
    if np.isnan(score.mean):
        return f"{subject} have no defined {title} on any image."
    interval = in_brackets(score.low, score.high, score.n_groups)
    return (
        f"{subject} have a mean {title} of {number(score.mean)}{interval} over "
        f"{count_of(score.n, 'image')}.{_choices(facts, model, column)}"
    )


def _choices(facts: Facts, model: str, column: Column) -> str:
    """Say what of the headline was chosen by its score, and on which images."""
    origin = facts.chosen(column.binarizer)
    text = ""
    if origin is not None:
        warning = _WARNINGS[origin.chosen_on]
        text = f" The binarizer of each map was {chosen_words(origin)}{warning}."
    candidates = facts.candidates(model)
    methods, binarizers = ({getattr(c, n) for c in candidates} for n in ("method", "binarizer"))
    if len(candidates) < 2:
        return text
    kind = column.kind if column.kind == "baseline" else "method"
    what = f"{kind.capitalize()} and binarizer are"
    if len(binarizers) == 1:
        what = f"The {kind} is"
    elif len(methods) == 1:
        what = "The binarizer is"
    combinations = " combinations" if min(len(methods), len(binarizers)) > 1 else ""
    if facts.higher_is_better(column.metric) is None:
        return f"{text} {what} the first of {len(candidates)}{combinations} that were evaluated."
    return (
        f"{text} {what} the best of {len(candidates)}{combinations} on these same images, an "
        "optimistic choice."
    )


_WARNINGS: dict[ChosenOn, str] = {
    "these same images": ", an optimistic choice",
    "other images of the same groups": ", which may be an optimistic choice",
    "other images": "",
}


_BESIDE: dict[Role, str] = {
    "nothing": "the best blind map ({})",
    "labels": "the best map made of labels alone ({})",
    "image": "the best map made of the image alone ({})",
    None: "the best of the baselines that do not say what they know ({})",
}


def _beside_baselines(facts: Facts, model: str, column: Column, family: Family) -> Iterator[str]:
    title = metric_title(column.metric)
    if "nothing" not in facts.baselines.values():
        yield (
            "No baseline that says it is blind was evaluated beside them, so it is open whether "
            "maps that know nothing of the image score as well."
        )
    if (higher := facts.higher_is_better(column.metric)) is None:
        yield (
            f"It is not known whether more {title} is better, so no map is called the best, and "
            "none better or worse than another."
        )
    if column.kind == "baseline":
        yield "No method was evaluated: these are maps of a baseline."
        return
    for role, words in _BESIDE.items():
        best = facts.best_baseline(model, column, role)
        if best is None or np.isnan(facts.scores[model, best].mean):
            continue
        test = family.between("method", model, column.method, best.method)
        of = words.format(name(best.method))
        verdict = _verdict(test, family.size, higher=bool(higher))
        yield f"{of[0].upper()}{of[1:]} scores {_of_both(facts, model, column, best)}: {verdict}."


def _of_both(facts: Facts, model: str, column: Column, best: Column) -> str:
    """Write the mean of a baseline; where it is of other images than the maps', those of both."""
    score = facts.scores[model, best]
    ours, theirs = facts.values(model, column), facts.values(model, best)
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    if not both.any() or both.sum() == score.n == facts.scores[model, column].n:
        return number(score.mean)
    means = [number(float(values[both].mean())) for values in (theirs, ours)]
    images = count_of(int(both.sum()), "image")
    return f"{means[0]}, and the maps {means[1]}, over the {images} that have a score of both"


def _verdict(test: Test | None, size: int, *, higher: bool) -> str:
    """Say how the maps compare with a baseline, by the corrected test and nothing else."""
    if test is None or np.isnan(test.p):
        return "no image has a score of both, so the two were not tested"
    found = test.found
    if found.n_differing == 0:
        return "in no group do the two differ"
    interval = between(found.low, found.high)
    parts = [f"difference {difference_of(found.difference)}{' ' * bool(interval)}{interval}"]
    p = p_value(test.p)
    parts.append(f"p {p if p[0] == '<' else '= ' + p}")
    if size > 1:
        parts.append(f"both corrected for {count_of(size, 'test')}")
    differing = count_of(found.n_differing, "group")
    if found.n_differing < ENOUGH_GROUPS:
        parts.append(f"only {differing} {'differs' if found.n_differing == 1 else 'differ'}")
    because = ", ".join(parts)
    if 2.0 ** (1 - found.n_differing) >= ALPHA:  # the least p value of all flips of signs
        return f"no test of {differing} can tell the two apart ({because})"
    if test.p >= ALPHA:
        return f"no clear difference ({because})"
    word = "better" if (found.difference > 0) == higher else "worse"
    return f"the maps are {word} ({because})"


def _limits(facts: Facts, model: str, column: Column) -> Iterator[str]:
    title = metric_title(column.metric)
    over = facts.beside(model, column, facts.bound) if column.binarizer else None
    if facts.bound and over and not np.isnan(over.mean):
        yield (
            f"The upper bound of {title} for these masks ({metric_title(facts.bound)}) has a mean "
            f"of {number(over.mean)}."
        )
    truth = facts.best_baseline(model, column, "truth")
    if truth and not np.isnan(facts.scores[model, truth].mean):
        through = " through the same binarizer" if column.binarizer else ""
        if facts.chosen(column.binarizer):
            through = " through the binarizer chosen for them"
        yield (
            f"Maps made of the true masks ({name(truth.method)}) have a mean of "
            f"{number(facts.scores[model, truth].mean)}{through}; other maps may score better."
        )


def _rates(facts: Facts, model: str, column: Column) -> Iterator[str]:
    title = metric_title(column.metric)
    if not column.binarizer or not facts.counted:
        return
    above, below = shares(facts.values(model, column))
    text = f"{title} is above .5 on {percent(above)} of the images"
    if facts.bound:
        possible, _ = shares(facts.values(model, replace(column, metric=facts.bound)))
        text += f" (its upper bound is on {percent(possible)})"
    yield f"{text}, and below .01 on {percent(below)}."


def _dependence(facts: Facts, model: str, column: Column) -> Iterator[str]:
    within = ", within classes," if facts.labeled(model) else ""
    for on, what in (
        ("area", "the area of the object"),
        ("probability", "the probability of the predicted class"),
    ):
        if found := correlation(facts, model, column, on):
            text = f"The rank correlation of {metric_title(column.metric)} with {what}{within} is"
            others = _others(facts, model, column, on) if on == "area" else ""
            yield f"{text} {found}{others}."


def _others(facts: Facts, model: str, column: Column, on: str) -> str:
    """Return the same correlation of the best blind map and of the upper bound.

    Size alone makes scores differ, also those of maps that know nothing of the image.
    """
    blind = facts.best_baseline(model, column, "nothing")
    parts = []
    if blind and (found := correlation(facts, model, blind, on)):
        parts.append(f"that of the best blind map ({name(blind.method)}) {found}")
    if facts.bound and column.binarizer:
        bound = replace(column, metric=facts.bound)
        if found := correlation(facts, model, bound, on):
            parts.append(f"that of the upper bound ({metric_title(facts.bound)}) {found}")
    return "".join(f"; {part}" for part in parts)


def correlation(facts: Facts, model: str, column: Column, on: str) -> str:
    """Write the rank correlation of a column with the area or the probability; else nothing."""
    row: pd.Series = facts.results.dependence(
        column.metric,
        on=on,
        model=model,
        target_class=column.target_class,
        method=column.method,
        binarizer=column.binarizer,
    ).iloc[0]
    if np.isnan(float(row["estimate"])):
        return ""
    interval = in_brackets(float(row["low"]), float(row["high"]), int(row["n_groups"]))
    return f"{number(float(row['estimate']))}{interval}"

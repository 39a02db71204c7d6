"""Findings in sentences, computed from the scores."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from cameval.evaluation import Column, Results
from cameval.evaluation._comparisons import Comparison, Family, Verdict
from cameval.evaluation._contents import Contents, Role
from cameval.evaluation._headline import Headline
from cameval.evaluation._scores import ROLES, Images, Score, Scores, high_and_low_shares
from cameval.evaluation._words import metric_title, one_line
from cameval.evaluation.meaning import BinarizerMeaning, ChosenOn
from cameval.report._accuracy import describe_accuracy
from cameval.report._marks import are_marked, mark_metric, share_cell
from cameval.report._names import Names, describe_origin
from cameval.report._targets import Targets
from cameval.report.formatting import (
    format_count,
    format_difference,
    format_interval,
    format_interval_after,
    format_number,
    format_p,
    format_percent,
)
from cameval.statistics import ENOUGH_GROUPS


def findings(
    targets: Targets,
    everything: Images,
    images: Images,
    contents: Contents,
    headline: Headline,
    scores: Scores,
    names: Names,
    family: Family,
) -> list[str]:
    """Return the findings of one model, in paragraphs.

    `everything` has all of its targets, `images` those that the scores are of.
    """
    accuracy = describe_accuracy(everything, names)
    column = headline.columns.get(images.model)
    if column is None:
        reason = "no metric other than counted categories"
        if headline.metric is not None:
            reason = "no maps other than those of truth baselines"
        return [f"{accuracy} There is no score to summarize: the results have {reason}.".strip()]
    score = scores.by_column[images.model, column]
    mean = describe_mean(images, column, score, names)
    if np.isnan(score.mean):
        return [f"{accuracy} {mean}".strip()]
    choice = describe_choice(
        column,
        headline.candidates[images.model],
        contents.binarizers.get(column.binarizer),
        given=contents.given,
        has_direction=headline.meaning.higher_is_better is not None,
    )
    paragraphs = (
        filter(None, [accuracy, mean, *choice]),
        compare_with_baselines(images, column, headline, scores, family, names),
        [
            *describe_bounds(images.model, column, headline, scores, contents.binarizers),
            *describe_shares(images, column, headline, names),
            *describe_marks(everything, column, contents, names),
        ],
        describe_dependence(targets.scored, images, column, headline.bound, scores),
    )
    return list(filter(None, map(" ".join, paragraphs)))


# --- Mean ----------------------------------------------------------------------------------------
def describe_mean(images: Images, column: Column, score: Score, names: Names) -> str:
    """Return the mean score of the headline's maps."""
    title, subject = metric_title(column.metric), f"The maps of {names.maps(images.model, column)}"
    if np.isnan(score.mean):
        return f"{subject} have no defined {title} on any {names.row}."
    interval = format_interval_after(score.low, score.high, score.n_groups)
    defined = ~np.isnan(images.values(column))
    count = names.scored(images.samples[defined])
    absent = int((defined & ~images.present).sum())
    if absent and absent < defined.sum():
        count += f", {absent:,} of them without an object"
    return f"{subject} have a mean {title} of {format_number(score.mean)}{interval} over {count}."


_WARNINGS: dict[ChosenOn, str] = {
    "these same images": ", an optimistic choice",
    "other images of the same groups": ", which may be an optimistic choice",
    "other images": "",
}


def describe_choice(
    column: Column,
    candidates: Sequence[Column],
    binarizer: BinarizerMeaning | None,
    *,
    given: Collection[str],
    has_direction: bool,
) -> Iterator[str]:
    """Yield which of method and binarizer was chosen by its score, and on which images.

    `given` has the labels of maps made elsewhere.
    """
    origin = None if binarizer is None else binarizer.origin
    if origin is not None:
        warning = _WARNINGS[origin.chosen_on]
        yield f"The binarizer of each map was {describe_origin(origin)}{warning}."
    if len(candidates) < 2:
        return
    methods, binarizers = {c.method for c in candidates}, {c.binarizer for c in candidates}
    kind = "baseline" if column.kind == "baseline" else "method"
    if column.kind == "method" and column.method in given:
        kind = "maps"
    chosen = f"{kind.capitalize()} and binarizer are"
    if len(binarizers) == 1:
        chosen = f"The {kind} {'are' if kind == 'maps' else 'is'}"
    elif len(methods) == 1:
        chosen = "The binarizer is"
    combinations = " combinations" if min(len(methods), len(binarizers)) > 1 else ""
    count = f"{len(candidates)}{combinations}"
    if has_direction:
        yield f"{chosen} the best of {count} on these same images, an optimistic choice."
    else:
        yield f"{chosen} the first of {count} that were evaluated."


# --- Baselines ----------------------------------------------------------------------------------
_ROLES_TO_BEAT: tuple[Role, ...] = ("nothing", "labels", "image", None)


def compare_with_baselines(
    images: Images,
    column: Column,
    headline: Headline,
    scores: Scores,
    family: Family,
    names: Names,
) -> Iterator[str]:
    """Yield how the maps compare with the best baseline of each role, by the adjusted tests."""
    if "nothing" not in scores.baselines.values():
        yield (
            "No blind baseline was evaluated, so it is not known whether maps that do not depend "
            "on the image score as well."
        )
    higher = headline.meaning.higher_is_better
    if higher is None:
        yield (
            f"It is not known whether a higher {headline.title} is better, so the maps are not "
            "ranked."
        )
    if column.kind == "baseline":
        yield "No method was evaluated: these are maps of a baseline."
        return
    for role in _ROLES_TO_BEAT:
        best = scores.best_baseline(images.model, column, role)
        if best is None or np.isnan(scores.by_column[images.model, best].mean):
            continue
        comparison = family.find("method", images.model, column.method, best.method)
        baseline = f"the best {ROLES[role]} baseline"
        means = _means_of_both(images, column, best, scores, names)
        yield describe_comparison(
            comparison, baseline, means, family.size, names.row, higher_is_better=bool(higher)
        )


def _means_of_both(
    images: Images, column: Column, best: Column, scores: Scores, names: Names
) -> str:
    """Return the baseline with its mean; if the images differ, both means on those of both."""
    label, score = one_line(best.method), scores.by_column[images.model, best]
    ours, theirs = images.values(column), images.values(best)
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    if not both.any() or both.sum() == score.n == scores.by_column[images.model, column].n:
        return f"({label}, {format_number(score.mean)})"
    our_mean, their_mean = (format_number(float(v[both].mean())) for v in (ours, theirs))
    count = names.rows(int(both.sum()))
    return f"({label}, {their_mean} against {our_mean} on the {count} that have both scores)"


_VERDICTS: Mapping[Verdict, str] = {
    "better": "clearly better",
    "worse": "clearly worse",
    "open": "no clear difference",
    "too few groups": "too few groups to tell",
}


def describe_comparison(
    comparison: Comparison | None,
    baseline: str,
    means: str,
    size: int,
    row: str,
    *,
    higher_is_better: bool,
) -> str:
    """Return a comparison of maps with a baseline as a sentence.

    Parameters
    ----------
    comparison
        The test; None if there is none.
    baseline, means
        The words for the baseline, and for its mean.
    size
        For how many tests p and interval are adjusted.
    row
        What a score is of, ``"image"`` or ``"target"``.
    higher_is_better
        Of the metric.
    """
    other = f"{baseline} {means}"
    verdict: Verdict = "not tested"
    if comparison is not None:
        verdict = comparison.verdict(higher_is_better=higher_is_better)
    if comparison is None or verdict == "not tested":
        return f"There is no test against {other}: no {row} has both scores."
    method, test = one_line(comparison.first), comparison.test
    if verdict == "equal":
        return f"{method} and {other} do not differ in any group."
    interval = format_interval(test.low, test.high)
    numbers = [f"95 % CI of the difference {interval}"] if interval else []
    numbers.append(_equation(comparison.p))
    evidence = ", ".join(numbers)
    if size > 1:
        both = "both " if interval else ""
        evidence += f", {both}adjusted for {format_count(size, 'test')}"
    if verdict == "too few groups" or test.n_differing < ENOUGH_GROUPS:
        differ = "differs" if test.n_differing == 1 else "differ"
        evidence += f"; only {format_count(test.n_differing, 'group')} {differ}"
    return f"{method} scores {_amount(test.difference)} {other}: {_VERDICTS[verdict]} ({evidence})."


def _amount(difference: float) -> str:
    """Return how much higher or lower a score is, up to the other score."""
    if difference == 0:
        return "the same on average as"
    size = format_difference(abs(difference))
    return f"{size} {'higher' if difference > 0 else 'lower'} than"


def _equation(p: float) -> str:
    text = format_p(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


# --- Bounds and dependence ----------------------------------------------------------------------
def describe_bounds(
    model: str,
    column: Column,
    headline: Headline,
    scores: Scores,
    binarizers: Mapping[str, BinarizerMeaning],
) -> Iterator[str]:
    """Yield the means of the upper bound and of the best truth baseline."""
    bound = scores.in_metric(model, column, headline.bound) if column.binarizer else None
    if headline.bound and bound and not np.isnan(bound.mean):
        yield (
            f"The upper bound of {headline.title} for these masks "
            f"({metric_title(headline.bound)}) has a mean of {format_number(bound.mean)}."
        )
    truth = scores.best_baseline(model, column, "truth")
    if truth is not None and not np.isnan(scores.by_column[model, truth].mean):
        through = ""
        if column.binarizer:
            chosen = binarizers[column.binarizer].origin is not None
            through = f" with the {'binarizer chosen for it' if chosen else 'same binarizer'}"
        yield (
            f"The best truth baseline ({one_line(truth.method)}) has a mean of "
            f"{format_number(scores.by_column[model, truth].mean)}{through}; it is no upper bound."
        )


def describe_shares(
    images: Images, column: Column, headline: Headline, names: Names
) -> Iterator[str]:
    """Yield on how many images the score is high, and on how many it is low."""
    if not column.binarizer or not headline.is_unit_score:
        return
    above, below = high_and_low_shares(images.values(column))
    text = f"{headline.title} is above .5 on {format_percent(above)} of the {names.row}s"
    if headline.bound:
        bound = images.values(replace(column, metric=headline.bound))
        text += f" (its upper bound: {format_percent(high_and_low_shares(bound)[0])})"
    yield f"{text} and below .01 on {format_percent(below)}."


def describe_marks(
    everything: Images, column: Column, contents: Contents, names: Names
) -> Iterator[str]:
    """Yield on how many negatives the masks have a mark."""
    negative = ~everything.present
    metric = mark_metric(contents, {everything.model: everything})
    if metric is None or not column.binarizer or not negative.any():
        return
    of_marks = replace(column, metric=metric)
    if of_marks not in everything.columns:
        return
    known = {**contents.mask_metrics, **contents.conventions}[metric]
    marked = are_marked(everything.values(of_marks)[negative], known)
    cell = share_cell(marked, everything.groups[negative])
    interval = f" {cell.detail}" if cell.detail else ""
    count = format_count(int(negative.sum()), names.row)
    yield f"The masks have a mark on {cell.text}{interval} of {count} without an object."


def describe_dependence(
    results: Results, images: Images, column: Column, bound: str | None, scores: Scores
) -> Iterator[str]:
    """Yield the rank correlations of the scores with size and confidence.

    That of the best blind baseline and of the upper bound follow, since scores depend on the size
    of the object even if a map does not depend on the image.
    """
    model, title = images.model, metric_title(column.metric)
    within = " within classes" if images.has_labels else ""
    correlation = format_correlation(results, model, column, "area")
    if correlation:
        text = f"The rank correlation of {title} with the area of the object{within} is"
        parts = [f"{text} {correlation}"]
        blind = scores.best_baseline(model, column, "nothing")
        if blind and (other := format_correlation(results, model, blind, "area")):
            parts.append(f"for the best blind baseline ({one_line(blind.method)}) it is {other}")
        if bound and column.binarizer:
            of_bound = replace(column, metric=bound)
            if other := format_correlation(results, model, of_bound, "area"):
                parts.append(f"for the upper bound ({metric_title(bound)}) it is {other}")
        yield "; ".join(parts) + "."
    if correlation := format_correlation(results, model, column, "probability"):
        yield (
            f"The rank correlation of {title} with the probability of the {images.rated_class}"
            f"{within} is {correlation}."
        )


def format_correlation(results: Results, model: str, column: Column, on: str) -> str:
    """Return the rank correlation of a column with the area or the probability, if defined."""
    row = results.dependence(
        column.metric,
        on=on,
        model=model,
        target_class=column.target_class,
        method=column.method,
        binarizer=column.binarizer,
    ).iloc[0]
    estimate, low, high = (float(row[key]) for key in ("estimate", "low", "high"))
    if np.isnan(estimate):
        return ""
    return f"{format_number(estimate)}{format_interval_after(low, high, int(row['n_groups']))}"

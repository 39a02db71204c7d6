"""What the numbers say, in plain words: every sentence is computed."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd

from cameval.evaluation import Column
from cameval.evaluation.origins import SAME_GROUPS, SAME_IMAGES
from cameval.report.comparisons import compared_with
from cameval.report.facts import Facts, Preferred
from cameval.report.parts import shares
from cameval.report.roles import Role
from cameval.report.scores import Score
from cameval.report.text import between, count_of, metric_title, name, number, p_value, percent
from cameval.statistics import bootstrap_mean

__all__ = ["caveats", "dependence_of", "findings", "what_was_run"]

_FEW_GROUPS = 10
_SURE = 0.05


def what_was_run(facts: Facts) -> str:
    """Say in one line what was run."""
    samples, provenance = facts.results.samples, facts.results.provenance
    models = ", ".join(name(model, 40) for model in facts.models[:6])
    if len(facts.models) > 6:
        models += f" and {len(facts.models) - 6} more"
    version = (facts.settings.get("versions") or {}).get("cameval")
    parts = [
        models,
        count_of(samples["sample"].nunique(), "image"),
        count_of(samples["group"].nunique(), "group"),
        count_of(samples["label"].nunique(), "class", "classes"),
        name(str(provenance.get("started") or "")[:10], 20),
        f"cameval {name(version, 20)}" if version else "",
    ]
    return " · ".join(filter(None, parts))


def findings(facts: Facts, model: str, family: pd.DataFrame | None) -> list[str]:
    """Say what was found of one model, in paragraphs."""
    column = facts.best(model)
    if column is None:
        why = "no metric but counted outcomes" if facts.headline is None else "no map"
        nothing = f"There is no score to sum up: the results hold {why}."
        return [f"{_classification(facts, model)} {nothing}"]
    score = facts.scores[model, column]
    first = [_classification(facts, model), _headline(facts, model, column, score)]
    if np.isnan(score.mean):
        return [" ".join(first)]
    parts = (
        _held_against(facts, model, column, family),
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
    elif groups == 1:
        found.append("There is only one group: nothing can be said of the spread of a mean.")
    elif groups < _FEW_GROUPS:
        found.append(f"There are only {groups} groups: intervals are rough.")
    undefined = int((facts.results.values != facts.results.values).any(1).sum())
    if undefined:
        found.append(f"{_of_rows(facts, undefined)} an undefined score; the reasons are below.")
    flat = int(((facts.results.codes & 0x80) > 0).any(1).sum())
    if flat:
        found.append(f"{_of_rows(facts, flat)} a constant map, whose mask is empty.")
    return found


def _of_rows(facts: Facts, count: int) -> str:
    of = "image" if len(facts.models) == 1 else "image and model"
    rows = count_of(len(facts.results), of, f"{of.split()[0]}s{of[5:]}")
    return f"{count:,} of {rows} {'has' if count == 1 else 'have'}"


# --- Sentences ----------------------------------------------------------------------------------


def _classification(facts: Facts, model: str) -> str:
    if not facts.labels_are_classes:
        return (
            f"The labels of the images are not classes of {name(model)}, so nothing is said of "
            "right and wrong predictions."
        )
    correct = facts.correct(model)
    share = bootstrap_mean(correct.astype(float), facts.groups(model), seed=facts.seed)
    interval = "" if np.isnan(share.low) else f" [{percent(share.low)}, {percent(share.high)}]"
    return (
        f"{name(model)} classifies {percent(share.estimate)}{interval} of "
        f"{count_of(share.n, 'image')} as labeled."
    )


def _headline(facts: Facts, model: str, column: Column, score: Score) -> str:
    title = metric_title(column.metric)
    if np.isnan(score.mean):
        return f"{title} is undefined on every image."
    interval = between(score.low, score.high)
    interval = f" {interval}" if interval else ""
    by = "as" if facts.chosen(column.binarizer) else "by"
    how = f" thresholded {by} {name(column.binarizer)}" if column.binarizer else ""
    what = "maps" if column.kind == "method" else "baseline maps"
    kind = "mean IoU with the true masks of" if title == "IoU" else f"mean {title} of"
    return (
        f"Its {what} of {name(column.method)}{how} reach a {kind} {number(score.mean)}{interval}."
        f"{_choices(facts, model, column)}"
    )


def _choices(facts: Facts, model: str, column: Column) -> str:
    """Say what of the headline was chosen by its score, and on which images."""
    tried, prefer = len(facts.candidates(model)), facts.preferred
    what = "They are"
    if prefer.method is not None:
        what = "The binarizer is"
    elif prefer.binarizer is not None:
        what = "The method is"
    several = "combinations " if prefer == Preferred() else ""
    text = (
        f" {what} the best of {tried} {several}on these same images, an optimistic choice."
        if tried > 1
        else ""
    )
    origin = facts.chosen(column.binarizer) if prefer.binarizer is not None else None
    if origin is None:
        return text
    by = f"{'the least ' * (origin.best == 'min')}{metric_title(origin.metric)}"
    return f" The binarizer was {origin.where} by {by}{_WARNINGS.get(origin.where, '')}.{text}"


_WARNINGS = {
    SAME_IMAGES: ", an optimistic choice",
    SAME_GROUPS: ", which may be an optimistic choice",
}
_AGAINST: dict[Role, str] = {
    "blind": "of the best blind map ({}), which never sees the image",
    "image": "of the best map made of the image without the trained network ({})",
    "other": "of the best of the other baselines ({})",
}


def _held_against(
    facts: Facts, model: str, column: Column, family: pd.DataFrame | None
) -> Iterator[str]:
    if not facts.floors:
        yield "No blind map was evaluated beside them, so it is open what this number is worth."
        return
    for role, words in _AGAINST.items():
        best = facts.best_baseline(model, column, role)
        if best is None or best == column:
            continue
        held = facts.scores[model, best]
        if np.isnan(held.mean):
            continue
        test = compared_with(family, column.method, best.method)
        count = 0 if family is None else len(family)
        verdict, because = _verdict(test, count, less=facts.less_is_better(column.metric))
        of = words.format(name(best.method))
        yield f"That is {verdict} the {number(held.mean)} {of}{because}."


def _verdict(test: "pd.Series | None", count: int, *, less: bool) -> tuple[str, str]:
    """Say how a difference stands, and what that rests on."""
    if test is None or np.isnan(test["p_holm"]):
        return "not tested against", ""
    if 2.0 ** (1 - test["n_groups"]) >= _SURE:  # the least p-value of all flips of signs
        few = count_of(int(test["n_groups"]), "group")
        return "next to", f"; with {few} no test can tell the two apart"
    difference = float(test["difference"])
    interval = between(float(test["low"]), float(test["high"]))
    p = p_value(float(test["p_holm"]))
    because = (
        f"; group by group the difference is {number(difference)}{' ' * bool(interval)}{interval}, "
        f"p {p if p[0] == '<' else '= ' + p}"
        + (f", corrected for {count_of(count, 'comparison')}" if count > 1 else "")
    )
    if test["p_holm"] >= _SURE:
        return "not clearly different from", because
    return ("better than" if (difference > 0) != less else "worse than"), because


def _limits(facts: Facts, model: str, column: Column) -> Iterator[str]:
    cap = facts.labeled("area_cap")
    over = facts.beside(model, column, cap) if column.binarizer and cap != column.metric else None
    best = facts.best_baseline(model, column, "ceiling")
    ceiling = facts.scores[model, best] if best else None
    iou = facts.labeled("iou") == column.metric
    if over and iou and not np.isnan(over.mean):
        yield f"Masks of these areas could have reached an IoU of {number(over.mean)} at most."
    if best and ceiling and not np.isnan(ceiling.mean):
        through = " and the same binarizer" if column.binarizer else ""
        if facts.chosen(column.binarizer):
            through = " and through the binarizer chosen for it"
        yield (
            f"The truth itself, on the network's own grid{through}, reaches "
            f"{number(ceiling.mean)} ({name(best.method)})."
        )


def _rates(facts: Facts, model: str, column: Column) -> Iterator[str]:
    title = metric_title(column.metric)
    if not column.binarizer or (found := shares(facts, facts.values(model, column))) is None:
        return
    text = f"{title} is above .5 on {percent(found[0])} of the images"
    cap = facts.labeled("area_cap")
    if cap and cap != column.metric and facts.labeled("iou") == column.metric:
        possible = shares(facts, facts.values(model, replace(column, metric=cap)))
        if possible:
            text += f" (the areas of the masks allow {percent(possible[0])})"
    yield f"{text}, and below .01 on {percent(found[1])}."


def _dependence(facts: Facts, model: str, column: Column) -> Iterator[str]:
    title = metric_title(column.metric)
    for on, what in (
        ("area", "the area of the object"),
        ("probability", "the network's confidence"),
    ):
        row = dependence_of(facts, model, column, on)
        low, high = float(row["low"]), float(row["high"])
        if low > 0 or high < 0:
            way = "rises" if low > 0 else "falls"
            yield (
                f"{title} {way} with {what} (rank correlation {number(float(row['estimate']))} "
                f"{between(low, high)})."
            )


def dependence_of(facts: Facts, model: str, column: Column, on: str) -> "pd.Series":
    """Return the rank correlation of a column with the area or the probability."""
    return facts.results.dependence(
        column.metric,
        on=on,
        model=model,
        explained=column.explained,
        method=column.method,
        binarizer=column.binarizer,
    ).iloc[0]

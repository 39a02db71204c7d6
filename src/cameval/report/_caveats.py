"""What was evaluated, in one line, and what a reader should be careful about."""

import numpy as np
import pandas as pd

from cameval.evaluation import Results
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import MOST_MODELS
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import CONSTANT
from cameval.report._names import Names
from cameval.report._targets import Targets
from cameval.report.formatting import format_count
from cameval.statistics import ENOUGH_GROUPS


def describe_run(results: Results, contents: Contents, names: Names) -> str:
    """Return in one line which models and images were evaluated, when, and by which version."""
    samples, provenance = results.samples, results.provenance
    who = contents.models
    if not contents.has_network and len(who) == 1:
        who = contents.methods or who
    shown = ", ".join(one_line(one, 40) for one in who[:MOST_MODELS])
    if len(who) > MOST_MODELS:
        shown += f" and {len(who) - MOST_MODELS} more"
    settings = provenance.get("settings") or {}
    version = (settings.get("versions") or {}).get("cameval")
    classes = samples["label"].nunique()
    parts = [
        shown if contents.has_network else f"maps made elsewhere: {shown}",
        format_count(samples["sample"].nunique(), "image"),
        _describe_targets(samples) if names.several else "",
        names.count_groups(samples["group"].nunique()),
        format_count(classes, "class", "classes") if classes else "no labels",
        _describe_target_class(contents, names),
        one_line(str(provenance.get("started") or "")[:10], 20),
        f"cameval {one_line(version, 20)}" if version else "",
    ]
    return " · ".join(filter(None, parts))


def _describe_target_class(contents: Contents, names: Names) -> str:
    """Return for which class the maps of the verdict are."""
    if not contents.has_network or not contents.target_classes:
        return ""
    return f"maps for {names.target_class(contents.target_classes[0])}"


def _describe_targets(samples: pd.DataFrame) -> str:
    """Return how many different targets there are, and how many of them are negatives."""
    targets = samples.drop_duplicates(["sample", "label"])
    negatives = int((~targets["present"].to_numpy(bool)).sum())
    of_them = f", {format_count(negatives, 'negative')}" if negatives else ""
    return format_count(len(targets), "target") + of_them


def caveats(targets: Targets, names: Names) -> list[str]:
    """Return what a reader should be careful about."""
    results, samples = targets.everything, targets.everything.samples
    images, groups = samples["sample"].nunique(), samples["group"].nunique()
    sentences = []
    if images > 1 and groups == images:
        sentences.append(
            f"Every image is its own {names.group}. If several images are of one {names.group}"
            f"{' (such as a patient)' * (names.group == 'group')}, the intervals are too narrow."
        )
    if groups == 1:
        sentences.append(f"There is only one {names.group}: the mean of a score has no interval.")
    elif groups < ENOUGH_GROUPS:
        sentences.append(
            f"There are only {names.count_groups(groups)}: intervals may be too narrow."
        )
    several_models = len(names.contents.models) > 1
    pairs = (f"pair of {names.row} and model", f"pairs of {names.row} and model")
    noun = pairs if several_models else (names.row, f"{names.row}s")
    if targets.n_negatives:
        sentences.append(_describe_negatives(targets, noun))
    scored = targets.scored
    undefined = int(np.isnan(scored.values).any(1).sum())
    of_methods = np.array([column.kind == "method" for column in results.columns])
    constant = int(((results.codes[:, of_methods] & CONSTANT) > 0).any(1).sum())
    for count, of, what in (
        (undefined, scored, "an undefined score; the reasons are counted below."),
        (constant, results, "a constant map of a method; all are listed below."),
    ):
        if count:
            rows = format_count(len(of), *noun)
            kind = names.with_object if of is scored else ""
            has = "has" if count == 1 else "have"
            sentences.append(f"{count:,} of {rows}{kind} {has} {what}")
    return sentences


def _describe_negatives(targets: Targets, noun: tuple[str, str]) -> str:
    """Return how many targets have no object, and where their scores are."""
    count, rows = targets.n_negatives, format_count(len(targets.everything), *noun)
    negatives = f"{count:,} of {rows} {'has' if count == 1 else 'have'} no object"
    if targets.are_split:
        return f"{negatives}. Their scores are in a section of their own."
    if count == len(targets.everything):
        return f"{negatives}: scores that need an object are undefined."
    return f"{negatives}. Where a score is defined for them, it is in the same means."

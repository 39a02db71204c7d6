"""Answers to reviewers about task, data and truth: sentences, and the same as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import pandas as pd

from cameval.evaluation import REASONS
from cameval.evaluation._comparisons import Family
from cameval.evaluation._contents import Contents, count_hidden
from cameval.evaluation._headline import Headline
from cameval.evaluation._info import names_of_info
from cameval.evaluation._run_folder import runs
from cameval.evaluation._scores import Images, Scores
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import CONSTANT
from cameval.report._info_tables import MOST_VALUES
from cameval.report._names import Names, join_words
from cameval.report._targets import Targets
from cameval.report.formatting import format_count, format_percent

_TASKS = {
    "multiclass": "one of several classes for each image",
    "binary": "one of two classes for each image",
    "multilabel": "several labels for each image, each present or absent",
}
_MOST_NAMES = 8


@dataclass(frozen=True)
class Answer:
    """What the run knows of one question of reviewers.

    Parameters
    ----------
    key
        Its key in JSON.
    question
        The question.
    sentences
        The answer.
    values
        The same as values for JSON.
    """

    key: str
    question: str
    sentences: Sequence[str]
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Known:
    """What the answers are taken from: the results of a page, and what was computed of them.

    Parameters
    ----------
    targets, contents, images, headline, scores, names, family
        As in `write_report`; `images` are those that the scores are of.
    """

    targets: Targets
    contents: Contents
    images: Mapping[str, Images]
    headline: Headline
    scores: Scores
    names: Names
    family: Family

    @property
    def runs(self) -> list[dict[str, Any]]:
        """The record of each run."""
        return runs(self.targets.everything.provenance)

    @property
    def rows(self) -> pd.DataFrame:
        """The different targets, each once."""
        return self.targets.everything.samples.drop_duplicates(["sample", "label"])


# --- Task, data, truth, network -------------------------------------------------------------------


def answer_task(known: Known) -> Answer:
    """Answer the task and the classes of the maps."""
    results, names = known.targets.everything, known.names
    task = results.task
    maps = "maps of an image classifier" if known.contents.has_network else "maps made elsewhere"
    sentences = [f"Agreement of {maps} with true masks."]
    if task is not None:
        sentences.append(f"The classifier gives {_TASKS[task]}.")
    if known.contents.has_network:
        classes = [names.target_class(label) for label in known.contents.target_classes]
        sentences.append(f"Maps are of {', and of '.join(classes)}.")
    values = {
        "task": task,
        "class_names": list(results.class_names),
        "target_classes": list(known.contents.target_classes),
    }
    return Answer("task", "What is the task?", sentences, values)


def answer_data(known: Known) -> Answer:
    """Answer how many images, groups, targets and classes there are."""
    rows, names = known.rows, known.names
    counts = {
        "images": int(rows["sample"].nunique()),
        "groups": int(rows["group"].nunique()),
        "targets": len(rows),
        "targets_with_object": int(rows["present"].sum()),
    }
    by_class = {
        int(label): int(count)
        for label, count in zip(*np.unique(rows["label"].dropna(), return_counts=True), strict=True)
    }
    images = format_count(counts["images"], "image")
    groups, such_as = names.count_groups(counts["groups"]), names.group == "group"
    sentences = [f"{images} of {groups}{' (such as patients)' * such_as}."]
    if counts["images"] == counts["groups"] > 1:
        such = " (such as a patient)" * such_as
        sentences = [f"{images}, each {names.a_group}{such} of its own."]
    if names.several:
        sentences.append(f"{format_count(len(rows), 'target')}.")
    shown = [
        f"{names.class_name(label)}: {count:,}"
        for label, count in [*by_class.items()][:_MOST_NAMES]
    ]
    if len(by_class) > _MOST_NAMES:
        shown.append(f"{len(by_class) - _MOST_NAMES:,} more classes")
    if shown:
        kind = "Targets" if names.several else "Images"
        sentences.append(f"{kind} by class: {', '.join(shown)}.")
    else:
        sentences.append("No labels are known.")
    return Answer("data", "Which data?", sentences, {**counts, "targets_by_class": by_class})


def answer_truth(known: Known) -> Answer:
    """Answer the sizes of the true objects, also in cells of the maps."""
    rows = known.rows
    areas = rows["area"][rows["present"].to_numpy(bool)].to_numpy(float)
    areas = areas[areas > 0]  # not those of which the preparation leaves no pixel
    cells = _cells(known)
    question = "Who drew the truth, and how large is it?"
    values: dict[str, Any] = {"objects": len(areas), "cells_of_maps": cells}
    if not len(areas):
        return Answer("truth", question, ["No target has a true pixel."], values)
    low, median, high = np.quantile(areas, [0.25, 0.5, 0.75]).tolist()
    sentences = [
        f"The median object has {format_percent(median)} of the scored pixels (quartiles "
        f"{format_percent(low)} and {format_percent(high)})."
    ]
    values |= {"area_median": median, "area_q25": low, "area_q75": high}
    if cells:
        least = min(prod(one) for one in cells)
        below = float((areas < 1 / least).mean())
        shape = ", ".join(" by ".join(map(str, one)) for one in cells)
        share = f"{format_percent(below)} of the objects are" if below else "no object is"
        sentences.append(
            f"The maps of the network have {shape} cells; {share} smaller than one cell."
        )
        values["share_smaller_than_a_cell"] = below
    return Answer("truth", question, sentences, values)


def _cells(known: Known) -> list[list[int]]:
    """Return the different numbers of cells of the networks' maps, as far as they are recorded."""
    recorded = [run.get("cells") for run in known.runs]
    return [list(one) for one in dict.fromkeys(tuple(one) for one in recorded if one)]


def answer_network(known: Known) -> Answer:
    """Answer the networks, by a hash of their weights."""
    question = "Which network, trained on what?"
    if not known.contents.has_network:
        question = "Where do the maps come from?"
        return Answer("network", question, ["All maps were made elsewhere."], {"models": []})
    models = []
    for run in known.runs:
        settings = run.get("settings") or {}
        models.append({name: settings.get(name) for name in ("model", "weights", "layer")})
    sentences = [
        f"{one_line(one['model'])}: weights {str(one['weights'])[:16]} (hash)"
        + (f", layer {one_line(one['layer'])}." if one["layer"] else ".")
        for one in models
        if one["weights"]
    ]
    return Answer("network", question, sentences or ["Not recorded."], {"models": models})


# --- Undefined scores, negatives, subgroups -------------------------------------------------------


def answer_undefined(known: Known) -> Answer:
    """Answer how many scores are undefined, by reason."""
    results = known.targets.everything
    reasons = results.codes & ~np.uint8(CONSTANT)
    missing = np.isnan(results.values)
    counts = {
        REASONS[code]: n for code in range(1, len(REASONS)) if (n := int((reasons == code).sum()))
    }
    total, of = int(missing.sum()), int(missing.size)
    if unexplained := total - sum(counts.values()):
        counts["no reason known"] = unexplained
    of_methods = np.array([column.kind == "method" for column in results.columns])
    is_constant = (results.codes[:, of_methods] & CONSTANT) > 0
    constant = int(is_constant.any(1).sum()) if of_methods.any() else 0
    sentences = ["Every score is defined."]
    if total:
        parts = ", ".join(f"{reason} {n:,}" for reason, n in counts.items())
        scores = format_count(of, "score")
        sentences = [
            f"{total:,} of {scores} are undefined: {parts}.",
            "They are counted, and left out of means.",
        ]
    if constant:
        rows = known.names.rows(len(results))
        sentences.append(f"A method gives a constant map on {constant:,} of {rows}.")
    values = {
        "scores": of,
        "undefined": total,
        "by_reason": counts,
        "rows": len(results),
        "rows_with_constant_map": constant,
    }
    return Answer("undefined", "Which cases are undefined?", sentences, values)


def answer_negatives(known: Known) -> Answer:
    """Answer how many targets have no object, and what is scored there."""
    question = "What of images without the object?"
    rows = known.rows
    negative = rows[~rows["present"].to_numpy(bool)]
    results = known.targets.everything
    absent = ~results.samples["present"].to_numpy(bool)
    defined = list(
        dict.fromkeys(
            column.metric
            for k, column in enumerate(results.columns)
            if absent.any() and not np.isnan(results.values[absent, k]).all()
        )
    )
    values = {
        "negatives": len(negative),
        "images": int(negative["sample"].nunique()),
        "metrics_defined": defined,
        "separate_means": known.targets.are_split,
    }
    hidden, _ = count_hidden(rows)
    values["hidden_objects"] = hidden
    told = [
        f"Of {format_count(hidden, 'object')} no true pixel is scored, after the preparation and "
        "without ignored pixels: most of their scores are undefined."
    ] * (hidden > 0)
    if not len(negative):
        row = known.names.row
        sentences = [f"There are none: each {row} has an object.", *told]
        return Answer("negatives", question, sentences, values)
    where = "Their scores are in the same means where they are defined."
    if known.targets.are_split:
        where = "Their scores are not in the means of targets with an object."
    sentences = [
        f"{len(negative):,} of {known.names.rows(len(rows))} have no true pixel.",
        "No metric of the run is defined there.",
    ]
    if defined:
        titles = join_words([known.contents.title(one) for one in defined])
        sentences[1:] = [f"Defined there: {titles}.", where]
    return Answer("negatives", question, [*sentences, *told], values)


def answer_subgroups(known: Known) -> Answer:
    """Answer the sizes of the classes and parts of the data."""
    samples = known.targets.scored.samples.drop_duplicates(["sample", "label"])
    sizes: dict[str, dict[str, int]] = {}
    left_out = []
    for name in names_of_info(samples):
        counts = samples[name].value_counts()
        if 2 <= len(counts) <= MOST_VALUES:
            sizes[name] = {str(value): int(n) for value, n in counts.sort_index().items()}
            if missing := int(samples[name].isna().sum()):
                sizes[name]["not known"] = missing
        elif len(counts) > MOST_VALUES:
            left_out.append(name)
    classes = int(samples["label"].nunique())
    sentences = []
    if classes > 1:
        sentences.append(f"{format_count(classes, 'class', 'classes')}.")
    for name, counted in sizes.items():
        parts = ", ".join(f"{one_line(value)} {n:,}" for value, n in counted.items())
        sentences.append(f"{capital(one_line(name))}: {parts}.")
    if left_out:
        sentences.append(f"Of too many values to be shown: {', '.join(map(one_line, left_out))}.")
    if sentences:
        sentences.append("Differences between them are not tested.")
    else:
        sentences = [
            "There are no classes to compare, and no column of info with 2 to "
            f"{MOST_VALUES} values."
        ]
    values = {"classes": classes, "columns": sizes, "columns_left_out": left_out}
    return Answer("subgroups", "Which subgroups, of which size?", sentences, values)


def capital(text: str) -> str:
    """Return a text with a capital letter."""
    return text[:1].upper() + text[1:]

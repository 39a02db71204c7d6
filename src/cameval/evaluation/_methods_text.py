"""A paragraph that says how results were measured, from what their runs have recorded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pandas as pd

from cameval.evaluation._choice_words import ChoiceWords, runs_of
from cameval.evaluation._contents import count_rows
from cameval.evaluation._ignored_pixels import IgnoredPixels
from cameval.evaluation._label_words import LabelWords, joined
from cameval.evaluation._left_out import LeftOut
from cameval.evaluation._numbers import format_percent, plain_spaces
from cameval.evaluation._preparation_words import describe_preparation
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._scores import images_by_model
from cameval.evaluation._slice_words import describe_slice_maps, slice_maps_of
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import BinarizerMeaning, TargetClassMeaning
from cameval.evaluation.spacings import Spacings, spaced_metrics
from cameval.statistics._sign_flips import MOST_ENUMERATED, least_p

_KNOWN = {
    "nothing": "nothing of the image",
    "labels": "the labels or predictions",
    "image": "the image",
    "truth": "the true mask",
    None: "what they do not state",
}

_ALIGNMENTS = {
    "half_pixel": "with cells that fill the image evenly",
    "receptive_field": "with each cell at the center of its receptive field",
}

_PACKAGES = ("cameval", "python", "torch", "torchvision", "numpy")


class Checks(Protocol):
    """Results of sanity checks: what `SanityResults` is, for modules that it imports."""

    @property
    def scores(self) -> ScoreTable: ...

    @property
    def similarities(self) -> pd.DataFrame: ...


def methods_text(
    results: ScoreTable, names: Mapping[str, str] | None = None, checks: Checks | None = None
) -> str:
    """Return the sentences as one paragraph."""
    words = LabelWords(names or {}, results.class_names, results.meanings)
    recorded = runs_of(results)
    spacings = Spacings.of_all({"parts": recorded})
    one = "volume" if spacings.axes == 3 else "image"
    return " ".join(
        [
            *_describe_data(results, words, one),
            *_describe_networks(recorded, words, one),
            *_describe_accuracy(results, words),
            *_describe_maps(results, words),
            *_describe_binarizers(results, words, spacings.pixels),
            *_describe_scores(results, words, one),
            *_define_metrics(results, words, spacings, one),
            *_describe_baselines(results, words),
            *(_describe_checks(checks, words) if checks is not None else ()),
            *_describe_statistics(results, words),
            *_describe_versions(recorded),
        ]
    )


def _describe_data(results: ScoreTable, words: LabelWords, one: str) -> Iterator[str]:
    """Yield the counts of images, targets and groups, and what is left out of the results."""
    counts = count_rows(results)
    shown = [words.count(counts["image"], one)]
    if counts["target"] != counts["image"]:
        shown.append(words.count(counts["target"], "target"))
    if counts["group"] == counts["image"]:
        group = words.name("group")
        yield f"The evaluation has {' with '.join(shown)}, each {one} a {group} of its own."
    else:
        groups = words.count(counts["group"], "group")
        yield f"The evaluation has {' with '.join(shown)} of {groups}."
    if left_out := LeftOut.of(results):
        yield f"Evaluated, and left out here, are {left_out}."
    if (ignored := IgnoredPixels.of(results)) is not None:
        yield plain_spaces(ignored.describe(one))


def _describe_networks(
    recorded: Sequence[Mapping[str, Any]], words: LabelWords, one: str
) -> Iterator[str]:
    """Yield what is known of each network: weights, layer, task, precision, preparation."""
    networks: dict[str, dict[str, list[str]]] = {}
    for run in recorded:
        if network := _network(run, words):
            name = words.name((run.get("settings") or {}).get("model"))
            alike = networks.setdefault(_preparation(run, one), {})
            alike.setdefault(network, []).append(name)
    shown = [network for alike in networks.values() for network in alike]
    if shown:
        yield f"The network{'s are' if len(shown) > 1 else ' is'} {joined(shown)}."
    for preparation, alike in networks.items():
        if preparation and len(networks) > 1:
            names = joined(list(dict.fromkeys(name for of in alike.values() for name in of)))
            yield f"For {names}, {preparation[0].lower()}{preparation[1:]}"
        elif preparation:
            yield preparation


def _describe_accuracy(results: ScoreTable, words: LabelWords) -> Iterator[str]:
    """Yield how many labeled images each network classifies rightly, where that is known."""
    every = images_by_model(results)
    shares = {model: one for model, one in every.items() if not np.isnan(one.accuracy)}
    for model, images in shares.items():
        several = images.samples["sample"].duplicated().any()
        what = "labeled target" if several else "labeled image"
        counted = words.count(int(images.rated.sum()), what)
        share = plain_spaces(format_percent(images.accuracy))
        by = f" by {words.name(model)}" if len(every) > 1 else ""
        yield f"Of {counted} {share} are classified right{by}."


def _network(run: Mapping[str, Any], words: LabelWords) -> str:
    """Return the name of the network of a run and what is known of it; nothing without one."""
    known = run.get("settings") or {}
    if not known.get("weights"):
        return ""
    random = "random weights, hash" if run.get("weights_are") == "random" else "weights"
    facts = [f"{random} {str(known['weights'])[:16]}"]
    if layer := known.get("layer"):
        facts.append(f"layer {one_line(layer)}")
    if task := known.get("task"):
        facts.append(f"{task} task")
    if known.get("precision") not in (None, "exact"):
        facts.append(f"precision {known['precision']}")
    return f"{words.name(known.get('model'))} ({', '.join(facts)})"


def _preparation(run: Mapping[str, Any], one: str) -> str:
    """Return how the images of a run are prepared; nothing if it is not known."""
    if preparation := run.get("preparation"):
        return describe_preparation(preparation, f"{one}s")
    prepare = (run.get("settings") or {}).get("prepare")
    return f"{one.capitalize()}s are prepared by {one_line(prepare, 300)}." if prepare else ""


def _describe_maps(results: ScoreTable, words: LabelWords) -> Iterator[str]:
    methods = {c.method for c in results.columns if c.kind == "method"}
    meanings = {k: one for k, one in results.meanings.methods.items() if k in methods}
    own = {k: one for k, one in meanings.items() if not one.given}
    if own:
        classes = {c.target_class for c in results.columns}
        of = {k: one for k, one in results.meanings.target_class.items() if k in classes}
        of_class = _of_classes(of, words)
        yield f"Maps are computed by {words.meant(own)}{of_class}."
        alignments = {
            _ALIGNMENTS[known]
            for run in runs_of(results)
            if (known := (run.get("settings") or {}).get("alignment")) in _ALIGNMENTS
        }
        aligned = f", {alignments.pop()}" if len(alignments) == 1 else ""
        yield (
            "Their values are those of the methods, neither scaled nor clipped afterwards, and are "
            f"interpolated linearly to the grid of the true mask{aligned}."
        )
    by_slices = slice_maps_of(runs_of(results))
    yield from (
        describe_slice_maps(label, record, words)
        for label, record in by_slices.items()
        if label in meanings
    )
    if given := [k for k, one in meanings.items() if one.given and k not in by_slices]:
        sources = words.several(given)
        yield f"Maps made elsewhere are {sources}; they are not scaled{_resized(results)}."


def _resized(results: ScoreTable) -> str:
    """Return how maps made elsewhere are aligned in a run by receptive fields."""
    for run in runs_of(results):
        if (run.get("settings") or {}).get("alignment") == "receptive_field":
            return (
                ", and interpolated linearly: those of the grid of the network with each cell at "
                "the center of its receptive field, others with cells that fill the image evenly"
            )
    return ""


_CLASSES = {
    "predicted": "the class that the network predicts",
    "true": "the class of the target",
}


def _of_classes(classes: Mapping[str, TargetClassMeaning], words: LabelWords) -> str:
    """Return the classes that maps are for, in words where nobody has named them."""
    if not classes:
        return ""
    parts = [
        _CLASSES[label]
        if label in _CLASSES and one.classes == label and label not in words.names
        else f"the target class {words.meant({label: one})}"
        for label, one in classes.items()
    ]
    return f", for {joined(parts)}"


def _describe_binarizers(results: ScoreTable, words: LabelWords, pixels: str) -> Iterator[str]:
    """Yield the threshold of each map: a share of its pixels, a rule, or a choice."""
    used = {c.binarizer for c in results.columns if c.binarizer}
    known = results.meanings.binarizers
    fixed = {label: one for label, one in known.items() if one.origin is None}
    if shown := {label: one for label, one in fixed.items() if label in used}:
        yield f"Masks are computed from each map by itself, by {_rules(shown, words, pixels)}."
    chosen = {label: one.origin for label, one in known.items() if one.origin and label in used}
    for label, origin in chosen.items():
        choice = ChoiceWords(label, origin, results, words)
        yield f'The binarizer "{words.name(label)}" was {choice.rule}.'
        yield from (f"{sentence}." for sentence in choice.list_chosen())
        yield from (f"{sentence}." for sentence in choice.list_best_methods())
    if chosen and fixed and not shown:  # a selection of the chosen ones
        are = "binarizers" if len(fixed) > 1 else "binarizer"
        yield f"The evaluation had the {are} {_rules(fixed, words, pixels)}."


def _rules(fixed: Mapping[str, BinarizerMeaning], words: LabelWords, pixels: str) -> str:
    """Return labels of binarizers, each with the share that it marks or its setting."""
    return joined(
        [
            words.meant({label: one})
            if one.marked is None
            else f"{words.name(label)} (at most the highest {100 * one.marked:g} % of its {pixels})"
            for label, one in fixed.items()
        ]
    )


def _undefined(results: ScoreTable, words: LabelWords) -> Iterator[str]:
    """Yield how many scores of each metric are undefined, of maps and of baselines."""
    missing = np.isnan(results.values)
    for is_map, of in ((True, "maps"), (False, "baselines")):
        for label in dict.fromkeys(column.metric for column in results.columns):
            at = [
                k
                for k, column in enumerate(results.columns)
                if column.metric == label and (column.kind == "method") == is_map
            ]
            if count := int(missing[:, at].sum()):
                size = len(missing) * len(at)
                yield f"{count:,} of {size:,} scores of {of} ({words.metric(label)})"


def _describe_scores(results: ScoreTable, words: LabelWords, one: str) -> Iterator[str]:
    titles = dict.fromkeys(words.metric(c.metric) for c in results.columns)
    one = "target" if results.samples.duplicated(["model", "sample"]).any() else one
    yield f"Scores of each {one} are {joined(list(titles))}."
    if counts := [*_undefined(results, words)]:
        yield f"{joined(counts)} are undefined and not in means."


def _define_metrics(
    results: ScoreTable, words: LabelWords, spacings: Spacings, one: str
) -> Iterator[str]:
    """Yield what each metric is that has a definition, and the unit of lengths."""
    labels = list(dict.fromkeys(c.metric for c in results.columns))
    for label in labels:
        meaning = results.meanings.metric(label)
        if meaning is not None and meaning.definition:
            yield f"The {words.metric(label)} is {meaning.definition}."
    if not spaced_metrics(results.meanings, labels) or spacings.unit is None:
        return
    pixels = spacings.pixels
    if spacings.are_mixed:
        yield (
            f"Of {words.count(spacings.known + spacings.unknown, one)} "
            f"{spacings.unknown:,} have no spacing: their lengths are in {pixels}, the others in "
            "the unit of the spacing."
        )
    elif not spacings.known:
        yield f"Lengths are in {pixels}."
    elif spacings.steps:
        steps = " x ".join(f"{step:g}" for step in spacings.steps)
        yield f"Lengths are in the unit of the spacing, which is {steps} for each {one}."
    else:
        yield f"Lengths are in the unit of the spacing of each {one}."


def _describe_baselines(results: ScoreTable, words: LabelWords) -> Iterator[str]:
    used = dict.fromkeys(c.method for c in results.columns if c.kind == "baseline")
    known: dict[str | None, list[str]] = {}
    for label in used:
        meaning = results.meanings.baselines.get(label)
        known.setdefault(None if meaning is None else meaning.knows, []).append(label)
    if known:
        parts = [
            f"{words.several(labels)} (use{'s' * (len(labels) == 1)} {_KNOWN[one]})"
            for one, labels in known.items()
        ]
        yield f"Maps are compared with the baseline{'s' * (len(used) > 1)} {'; '.join(parts)}."


def _describe_checks(checks: Checks, words: LabelWords) -> Iterator[str]:
    """Yield on which images the sanity checks were made, and what each of them compares."""
    counts, columns = count_rows(checks.scores), checks.scores.columns
    images = f"{words.count(counts['image'], 'image')} of {words.count(counts['group'], 'group')}"
    yield f"Sanity checks are made on {images}."
    maps = {
        kind: list(dict.fromkeys(c.method for c in columns if c.kind == kind))
        for kind in ("method", "baseline")
    }
    similarities = checks.similarities
    compared = list(dict.fromkeys(similarities["method"].astype(str)))
    steps = {
        str(check): list(dict.fromkeys(part["step"].astype(str)))
        for check, part in similarities.groupby("check", sort=False, observed=True)
    }
    others = []
    if "random weights" in steps:
        others.append("a network whose weights are random from some module to the last one")
    if trainings := steps.get("other training"):
        others.append(f"other trainings of the network ({words.several(trainings)})")
    if others:
        beside = " Maps of different images are compared, too." if "other image" in steps else ""
        yield (
            f"The maps of {words.several(compared)} are compared with those of {joined(others)}, "
            f"by SSIM and the rank correlation of their pixels.{beside}"
        )
    known = checks.scores.meanings.metrics
    of_checks = replace(words, meanings=checks.scores.meanings)
    faithful = [
        of_checks.metric(label)
        for label in dict.fromkeys(c.metric for c in columns)
        if label in known and known[label].takes == "network"
    ]
    if faithful:
        controls = f", and of {words.several(maps['baseline'])}" if maps["baseline"] else ""
        yield (
            f"Faithfulness to the network is measured by {joined(faithful)}, "
            f"for the maps of {words.several(maps['method'])}{controls}."
        )


def _describe_statistics(results: ScoreTable, words: LabelWords) -> Iterator[str]:
    n_groups = int(results.samples["group"].nunique())
    if n_groups < 2:
        return
    group, groups = words.name("group"), words.count(2, "group").removeprefix("2 ")
    metrics = {c.metric for c in results.columns}
    bounded = [
        label
        for label in metrics
        if (meaning := results.meanings.metric(label)) is not None and meaning.value_range
    ]
    ends = ""
    if bounded:
        ends = ", and no interval goes beyond the " + (
            "limits of the score" if len(bounded) == len(metrics) else "known limits of a score"
        )
    yield (
        f"Intervals of means are at 95 % unless stated otherwise, by {group}. Each end is the "
        "farther one of that of Student's t and that of a score interval with the same quantile of "
        "t; both have a cluster-robust variance with the correction for few clusters by Bell and "
        f"McCaffrey (CR2) and Satterthwaite's degrees of freedom{ends}."
    )
    most = MOST_ENUMERATED.bit_length() - 1
    signs = "All patterns of signs are used, so that p is exact"
    if n_groups > most:
        signs = (
            f"Up to {most} {groups} all patterns of signs are used, of more {groups} random ones "
            "(10,000 unless stated otherwise)"
        )
    elif least_p(n_groups) > 0.05:
        signs += (
            f"; {words.count(n_groups, 'group')} have {2**n_groups} patterns, so that no p below "
            f"{least_p(n_groups):.3g} is possible"
        )
    yield (
        f"Where differences are tested, the signs of the differences of whole {groups} are "
        f"flipped. {signs}. Corrected p values have Holm's correction for all tests of one table "
        "of comparisons, one figure or one report; the interval of a difference is then of the "
        "level, above 95 %, at which it excludes 0 exactly where the corrected p is below .05."
    )


def _describe_versions(recorded: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    found = [(run.get("settings") or {}).get("versions") or {} for run in recorded]
    parts = []
    for name in _PACKAGES:
        of_runs = dict.fromkeys(str(one[name]) for one in found if name in one)
        parts += [f"{name} {' and '.join(map(one_line, of_runs))}"] * bool(of_runs)
    if parts:
        yield f"Versions: {', '.join(parts)}."

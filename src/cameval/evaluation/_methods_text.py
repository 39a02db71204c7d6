"""A paragraph that says how results were measured, from what their runs have recorded."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from cameval.evaluation._run_folder import runs
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._words import metric_title, one_line
from cameval.evaluation.meaning import BinarizerMeaning, Meaning

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


def methods_text(results: ScoreTable) -> str:
    """Return the sentences as one paragraph."""
    return " ".join(
        [
            _describe_data(results),
            *_describe_networks(runs(results.provenance)),
            *_describe_maps(results),
            *_describe_binarizers(results),
            *_describe_scores(results),
            *_describe_baselines(results),
            *_describe_statistics(results),
            *_describe_versions(runs(results.provenance)),
        ]
    )


def _describe_data(results: ScoreTable) -> str:
    samples = results.samples
    counts = [_count(int(samples["sample"].nunique()), "image")]
    targets = len(samples.drop_duplicates(["sample", "label"]))
    if targets != samples["sample"].nunique():
        counts.append(_count(targets, "target"))
    groups = int(samples["group"].nunique())
    if groups == samples["sample"].nunique():
        return f"The evaluation has {' with '.join(counts)}, each image a group of its own."
    return f"The evaluation has {' with '.join(counts)} of {_count(groups, 'group')}."


def _describe_networks(recorded: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what is known of each network: weights, layer, task, precision, preparation."""
    for run in recorded:
        known = run.get("settings") or {}
        if not known.get("weights"):
            continue
        random = "random weights, hash" if run.get("weights_are") == "random" else "weights"
        facts = [f"{random} {str(known['weights'])[:16]}"]
        facts += [f"layer {one_line(known['layer'])}"] * bool(known.get("layer"))
        facts += [f"{known['task']} task"] * bool(known.get("task"))
        if known.get("precision") not in (None, "exact"):
            facts.append(f"precision {known['precision']}")
        yield f"The network is {one_line(known.get('model'))} ({', '.join(facts)})."
        if prepare := known.get("prepare"):
            yield f"Its images are prepared by {one_line(prepare, 300)}."


def _describe_maps(results: ScoreTable) -> Iterator[str]:
    methods = {c.method for c in results.columns if c.kind == "method"}
    meanings = {k: one for k, one in results.meanings.methods.items() if k in methods}
    own = {k: one for k, one in meanings.items() if not one.given}
    if own:
        classes = {c.target_class for c in results.columns}
        of = {k: one for k, one in results.meanings.target_class.items() if k in classes}
        of_class = f", with target class {_list(of)}" if of else ""
        yield f"Maps are computed by {_list(own)}{of_class}."
        alignments = {
            _ALIGNMENTS[known]
            for run in runs(results.provenance)
            if (known := (run.get("settings") or {}).get("alignment")) in _ALIGNMENTS
        }
        aligned = f", {alignments.pop()}" if len(alignments) == 1 else ""
        yield (
            "They are signed and not scaled, and are interpolated linearly to the grid of the "
            f"true mask{aligned}."
        )
    if given := {k: one for k, one in meanings.items() if one.given}:
        yield f"Maps made elsewhere are {', '.join(map(one_line, given))}; they are not scaled."


def _describe_binarizers(results: ScoreTable) -> Iterator[str]:
    used = {c.binarizer for c in results.columns if c.binarizer}
    meanings = {k: one for k, one in results.meanings.binarizers.items() if k in used}
    if fixed := {k: one for k, one in meanings.items() if one.origin is None}:
        yield f"Masks are made by {_list(fixed)}."
    for label, one in meanings.items():
        if one.origin is not None:
            yield _describe_choice(label, one, runs(results.provenance))


def _describe_choice(
    label: str, meaning: BinarizerMeaning, recorded: Sequence[Mapping[str, Any]]
) -> str:
    origin = meaning.origin
    assert origin is not None
    counts = {(run.get("chosen") or {}).get(label, {}).get("images") for run in recorded}
    count = counts.pop() if len(counts) == 1 else None
    of_images = f" ({_count(count, 'image')})" if isinstance(count, int) else ""
    each = "map and class" if origin.by == "label" else "map"
    best = "highest" if origin.higher_is_better else "lowest"
    return (
        f"The binarizer {one_line(label)} was chosen for each {each} on {origin.chosen_on}"
        f"{of_images}, by the {best} mean {metric_title(origin.metric)}."
    )


def _describe_scores(results: ScoreTable) -> Iterator[str]:
    titles = dict.fromkeys(metric_title(c.metric) for c in results.columns)
    one = "target" if results.samples.duplicated(["model", "sample"]).any() else "image"
    yield f"Scores of each {one} are {', '.join(titles)}."
    undefined, size = int(np.isnan(results.values).sum()), results.values.size
    if undefined:
        yield f"Of {size:,} scores {undefined:,} are undefined and not in means."


def _describe_baselines(results: ScoreTable) -> Iterator[str]:
    used = dict.fromkeys(c.method for c in results.columns if c.kind == "baseline")
    known: dict[str | None, list[str]] = {}
    for label in used:
        meaning = results.meanings.baselines.get(label)
        known.setdefault(None if meaning is None else meaning.knows, []).append(one_line(label))
    if known:
        parts = [f"{', '.join(labels)} (use {_KNOWN[one]})" for one, labels in known.items()]
        yield f"Maps are compared with the baselines {'; '.join(parts)}."


def _describe_statistics(results: ScoreTable) -> Iterator[str]:
    if results.samples["group"].nunique() > 1:
        yield (
            "Intervals of means are at 95 % unless stated otherwise, by group: Student's t with a "
            "cluster-robust variance and Satterthwaite's degrees of freedom, and a score interval "
            "where scores are bounded."
        )
        yield (
            "Where differences are tested, the signs of the differences of whole groups are "
            "flipped, and p values have Holm's correction for all tests of a table."
        )


def _describe_versions(recorded: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    found = [(run.get("settings") or {}).get("versions") or {} for run in recorded]
    parts = []
    for name in _PACKAGES:
        of_runs = dict.fromkeys(str(one[name]) for one in found if name in one)
        parts += [f"{name} {' and '.join(map(one_line, of_runs))}"] * bool(of_runs)
    if parts:
        yield f"Versions: {', '.join(parts)}."


def _list(things: Mapping[str, Meaning]) -> str:
    """Return labels, each with how it is written in Python where that differs."""
    return ", ".join(
        one_line(label)
        if one.setting == label
        else f"{one_line(label)} ({one_line(one.setting, 200)})"
        for label, one in things.items()
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"

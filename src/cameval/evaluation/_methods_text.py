"""A paragraph that says how results were measured, from what their runs have recorded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cameval.evaluation._contents import count_rows
from cameval.evaluation._preparation_words import describe_preparation
from cameval.evaluation._run_folder import runs
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._words import counted, metric_title, one_line
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

_MOST_MAPS = 8
"""Of more maps the chosen thresholds are not listed."""

_PACKAGES = ("cameval", "python", "torch", "torchvision", "numpy")


def methods_text(results: ScoreTable, names: Mapping[str, str] | None = None) -> str:
    """Return the sentences as one paragraph."""
    words = _Words(names or {}, results.class_names)
    recorded = runs(results.provenance)
    return " ".join(
        [
            _describe_data(results, words),
            *_describe_networks(recorded, words),
            *_describe_maps(results, words),
            *_describe_binarizers(results, words),
            *_describe_scores(results, words),
            *_describe_baselines(results, words),
            *_describe_statistics(results, words),
            *_describe_versions(recorded),
        ]
    )


@dataclass(frozen=True)
class _Words:
    """The names of labels: the user's, or else the usual ones."""

    names: Mapping[str, str]
    class_names: Sequence[str]

    def name(self, label: object) -> str:
        """Return a label as the user writes it, or on one line."""
        return one_line(self.names.get(str(label), label))

    def metric(self, label: str) -> str:
        """Return the name of a metric."""
        return self.name(label) if label in self.names else metric_title(label)

    def class_name(self, label: int) -> str:
        """Return the name of a class."""
        known = self.class_names
        return self.name(known[label] if 0 <= label < len(known) else f"class {label}")

    def count(self, number: int, what: str) -> str:
        """Return a number of things."""
        return counted(number, what, self.names)

    def several(self, labels: Iterable[str]) -> str:
        """Return labels in a list."""
        return joined([self.name(label) for label in labels])

    def meant(self, things: Mapping[str, Meaning]) -> str:
        """Return labels; one without a name of the user has how it is written in Python."""
        return joined([self._meant(label, one) for label, one in things.items()])

    def _meant(self, label: str, meaning: Meaning) -> str:
        if label in self.names or meaning.setting == label:
            return self.name(label)
        return f"{self.name(label)} ({one_line(meaning.setting, 200)})"


def joined(words: Sequence[str]) -> str:
    """Return words in a list.

    Examples
    --------
    >>> from cameval.evaluation._methods_text import joined
    >>> joined(["a"]), joined(["a", "b"]), joined(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _describe_data(results: ScoreTable, words: _Words) -> str:
    counts = count_rows(results)
    shown = [words.count(counts["image"], "image")]
    if counts["target"] != counts["image"]:
        shown.append(words.count(counts["target"], "target"))
    if counts["group"] == counts["image"]:
        group = words.name("group")
        return f"The evaluation has {' with '.join(shown)}, each image a {group} of its own."
    return f"The evaluation has {' with '.join(shown)} of {words.count(counts['group'], 'group')}."


def _describe_networks(recorded: Sequence[Mapping[str, Any]], words: _Words) -> Iterator[str]:
    """Yield what is known of each network: weights, layer, task, precision, preparation."""
    for run in recorded:
        known = run.get("settings") or {}
        if not known.get("weights"):
            continue
        random = "random weights, hash" if run.get("weights_are") == "random" else "weights"
        facts = [f"{random} {str(known['weights'])[:16]}"]
        if layer := known.get("layer"):
            facts.append(f"layer {one_line(layer)}")
        if task := known.get("task"):
            facts.append(f"{task} task")
        if known.get("precision") not in (None, "exact"):
            facts.append(f"precision {known['precision']}")
        yield f"The network is {words.name(known.get('model'))} ({', '.join(facts)})."
        if preparation := run.get("preparation"):
            yield describe_preparation(preparation)
        elif prepare := known.get("prepare"):
            yield f"Its images are prepared by {one_line(prepare, 300)}."


def _describe_maps(results: ScoreTable, words: _Words) -> Iterator[str]:
    methods = {c.method for c in results.columns if c.kind == "method"}
    meanings = {k: one for k, one in results.meanings.methods.items() if k in methods}
    own = {k: one for k, one in meanings.items() if not one.given}
    if own:
        classes = {c.target_class for c in results.columns}
        of = {k: one for k, one in results.meanings.target_class.items() if k in classes}
        of_class = f", with target class {words.meant(of)}" if of else ""
        yield f"Maps are computed by {words.meant(own)}{of_class}."
        alignments = {
            _ALIGNMENTS[known]
            for run in runs(results.provenance)
            if (known := (run.get("settings") or {}).get("alignment")) in _ALIGNMENTS
        }
        aligned = f", {alignments.pop()}" if len(alignments) == 1 else ""
        yield (
            "Their values are those of the methods, neither scaled nor clipped afterwards, and are "
            f"interpolated linearly to the grid of the true mask{aligned}."
        )
    if given := [k for k, one in meanings.items() if one.given]:
        yield f"Maps made elsewhere are {words.several(given)}; they are not scaled."


def _describe_binarizers(results: ScoreTable, words: _Words) -> Iterator[str]:
    """Yield the threshold of each map: a share of its pixels, a rule, or a choice."""
    used = {c.binarizer for c in results.columns if c.binarizer}
    meanings = {k: one for k, one in results.meanings.binarizers.items() if k in used}
    fixed = {k: one for k, one in meanings.items() if one.origin is None}
    if fixed:
        parts = [
            words.meant({label: one})
            if one.marked is None
            else f"{words.name(label)} (the highest {100 * one.marked:g} % of its pixels)"
            for label, one in fixed.items()
        ]
        yield f"Masks are computed from each map by itself, by {joined(parts)}."
    for label, one in meanings.items():
        if one.origin is not None:
            yield from _describe_choice(label, one, results, words)


def _describe_choice(
    label: str, meaning: BinarizerMeaning, results: ScoreTable, words: _Words
) -> Iterator[str]:
    """Yield how the binarizers of a label were chosen, and which each map has."""
    origin = meaning.origin
    assert origin is not None
    known = [(run.get("chosen") or {}).get(label) or {} for run in runs(results.provenance)]
    records = [one for k, one in enumerate(known) if one not in known[:k]]
    counts = [
        words.count(records[0][f"{what}s"], what)
        for what in ("image", "group")
        if len(records) == 1 and isinstance(records[0].get(f"{what}s"), int)
    ]
    of_images = f" ({' of '.join(counts)})" if counts else ""
    each = "map and class" if origin.by == "label" else "map"
    best = "highest" if origin.higher_is_better else "lowest"
    yield (
        f"The binarizer {words.name(label)} was chosen for each {each} on {origin.chosen_on}"
        f"{of_images}, by the {best} mean {words.metric(origin.metric)}."
    )
    if len(records) > 1:
        yield f"There are {len(records)} such choices, of different runs."
        return
    used = {(c.target_class, c.method) for c in results.columns if c.binarizer == label}
    several = len({target_class for target_class, _ in used}) > 1
    of_maps: dict[str, dict[str, list[str]]] = {}
    for row in (records[0].get("binarizers") or ()) if len(used) <= _MOST_MAPS else ():
        if (row["target_class"], row["method"]) in used:
            of_class = f" ({words.name(row['target_class'])} class)" * several
            here = of_maps.setdefault(words.name(row["method"]) + of_class, {})
            classes = here.setdefault(words.name(row["binarizer"]), [])
            if row.get("label") is not None:
                classes.append(words.class_name(row["label"]))
    if of_maps:
        yield f"{_list_thresholds(of_maps, by_class=origin.by == 'label')}."


def _list_thresholds(of_maps: Mapping[str, Mapping[str, Sequence[str]]], *, by_class: bool) -> str:
    """Return which binarizer each map has, in a choice by label that of each class."""
    if by_class:
        parts = [
            f"for {one} it is {', '.join(f'{b} for {joined(of)}' for b, of in each.items() if of)}"
            for one, each in of_maps.items()
        ]
        return f"F{'; '.join(parts)[1:]}"
    maps: dict[str, list[str]] = {}
    for one, (binarizer, *_) in of_maps.items():
        maps.setdefault(binarizer, []).append(one)
    return f"It is {'; '.join(f'{b} for {joined(of)}' for b, of in maps.items())}"


def _describe_scores(results: ScoreTable, words: _Words) -> Iterator[str]:
    titles = dict.fromkeys(words.metric(c.metric) for c in results.columns)
    one = "target" if results.samples.duplicated(["model", "sample"]).any() else "image"
    yield f"Scores of each {one} are {joined(list(titles))}."
    undefined, size = int(np.isnan(results.values).sum()), results.values.size
    if undefined:
        yield f"Of {size:,} scores {undefined:,} are undefined and not in means."


def _describe_baselines(results: ScoreTable, words: _Words) -> Iterator[str]:
    used = dict.fromkeys(c.method for c in results.columns if c.kind == "baseline")
    known: dict[str | None, list[str]] = {}
    for label in used:
        meaning = results.meanings.baselines.get(label)
        known.setdefault(None if meaning is None else meaning.knows, []).append(label)
    if known:
        parts = [f"{words.several(labels)} (use {_KNOWN[one]})" for one, labels in known.items()]
        yield f"Maps are compared with the baselines {'; '.join(parts)}."


def _describe_statistics(results: ScoreTable, words: _Words) -> Iterator[str]:
    if results.samples["group"].nunique() > 1:
        group = words.name("group")
        yield (
            f"Intervals of means are at 95 % unless stated otherwise, by {group}: Student's t with "
            "a cluster-robust variance and Satterthwaite's degrees of freedom, and a score "
            "interval where scores are bounded."
        )
        groups = words.count(2, "group").removeprefix("2 ")
        yield (
            f"Where differences are tested, the signs of the differences of whole {groups} are "
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

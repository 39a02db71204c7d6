"""Settings of the run, undefined scores by reason, and constant maps."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cameval.evaluation import REASONS, Results
from cameval.evaluation._run_folder import runs
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import CONSTANT, BinarizerMeaning, Meaning
from cameval.report._names import Names, describe_binarizer, first_names
from cameval.report.sections import Block, Cell, Row, Table

_ALIGNMENTS = {
    "half_pixel": "half pixel: the cells of a map divide the image evenly",
    "receptive_field": "receptive field: each cell is centered on its receptive field",
}


def list_settings(results: Results, names: Names) -> list[tuple[str, str]]:
    """Return the settings of all runs, by title."""
    settings: list[tuple[str, str]] = []
    recorded = [(run, run.get("settings") or {}) for run in runs(results.provenance)]
    for run, known in recorded:
        if known:
            described = _describe_network(run, known)
            if not names.contents.has_network:
                described = _join(["maps made elsewhere", described])
            settings.append((one_line(known.get("model", "model")), described))
            settings += _list_choices(run, names)
    meanings = results.meanings
    for title, things in (
        ("Methods", {k: one for k, one in meanings.methods.items() if not one.given}),
        ("Maps made elsewhere", {k: one for k, one in meanings.methods.items() if one.given}),
        ("Baselines", meanings.baselines),
        ("Binarizers", meanings.binarizers),
        ("Metrics", meanings.metrics),
        ("Target classes", meanings.target_class if names.contents.has_network else {}),
    ):
        if things:
            settings.append((title, _join(_describe(things, names))))
    if versions := (results.provenance.get("settings") or {}).get("versions"):
        parts = [f"{one_line(name)} {one_line(version)}" for name, version in versions.items()]
        settings.append(("Versions", _join(parts)))
    for title, key in (
        ("Alignment", "alignment"),
        ("Task", "task"),
        ("Preparation", "prepare"),
        ("Device", "device"),
        ("Precision", "precision"),
        ("Batch size", "batch_size"),
        ("Random seed", "seed"),
    ):
        of_runs = [known.get(key) for _, known in recorded]
        if values := list(dict.fromkeys(str(v) for v in of_runs if v not in (None, ""))):
            texts = [one_line(_ALIGNMENTS.get(value, value), 300) for value in values]
            settings.append((title, _join(texts)))
    return settings or [("Settings", "not recorded: these results came without a record of them")]


def list_rules(results: Results, names: Names) -> list[str]:
    """Return how maps, masks, scores and means were made, in sentences."""
    contents = names.contents
    is_given = set(contents.methods) <= contents.given
    rules = []
    if not is_given or not contents.methods:
        rules.append(
            "Maps of cameval's methods are raw: neither scaled nor clipped afterwards. They are "
            "interpolated linearly from the network's cells to the grid of the true mask, where "
            "they are scored."
        )
    if contents.given:
        rules.append(
            "Maps that were made elsewhere are not scaled. A map of another size than the true "
            "mask is interpolated linearly to its grid"
            + (
                ": with the alignment of the run if it has the grid of the network, else with "
                "cells that fill the image evenly."
                if contents.has_network
                else "."
            )
        )
    each = "each image"
    if names.several:
        each = "each target of each image"
    rules += [
        "Masks of cameval's binarizers are the pixels where the map is strictly above a "
        "threshold, which is computed for each image.",
        f"A score is computed for {each}. Pixels that a sample ignores count for nothing. "
        "Undefined scores are counted, and left out of means.",
    ]
    if names.are_split:
        rules.append(
            f"Scores of {names.row}s with an object and of negatives, which have none, are in "
            "different means, except where a table says otherwise."
        )
    rules += [
        f"A mean gives each {names.row} the same weight. Its 95 % interval is by {names.group}: "
        "cluster-robust variance, Student's t with Satterthwaite's degrees of freedom, and a "
        "score interval if values are bounded.",
        f"A paired test flips the signs of the differences of whole {names.groups}. The interval "
        "of a difference is the inversion of its test.",
    ]
    has_predictions = bool(results.samples["predicted"].notna().any())
    labels = "labels or predictions" if has_predictions or contents.has_network else "labels"
    network = "the image without the trained network" if contents.has_network else "the image"
    rules.append(
        f"A blind baseline does not use the image. Other baselines use {labels} alone, {network}, "
        "or the truth, which is the true mask, or do not state what they use."
    )
    return rules


def _describe_network(run: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    weights, layer = known.get("weights"), known.get("layer")
    return _join(
        [
            f"weights {str(weights)[:16]}" if weights else "",
            f"layer {layer}" if layer else "",
            f"on {run.get('device')}" if run.get("device") and weights else "",
            f"{run.get('started')}" if run.get("started") else "",
        ]
    )


def _list_choices(run: Mapping[str, Any], names: Names) -> list[tuple[str, str]]:
    """Return the binarizers behind each label of chosen ones."""
    settings = []
    for label, choice in (run.get("chosen") or {}).items():
        chosen = choice["binarizers"]
        several = len({one["target_class"] for one in chosen}) > 1
        maps: dict[str, list[str]] = {}
        for one in chosen:
            of_class = f" ({names.target_class(one['target_class'])})" if several else ""
            maps.setdefault(one_line(one["binarizer"]), []).append(
                f"{one_line(one['method'])}{of_class}{_of_label(one, names)}"
            )
        parts = [f"{binarizer} for {', '.join(methods)}" for binarizer, methods in maps.items()]
        settings.append((f"Chosen as {one_line(label)}", _join(parts)))
    return settings


def _of_label(chosen: Mapping[str, Any], names: Names) -> str:
    """Return the class for which a binarizer was chosen, in a choice by label."""
    if "label" not in chosen:
        return ""
    if chosen["label"] is None:
        return " (all classes)"
    why = ", as for all: no defined score" if chosen.get("fallback") else ""
    return f" ({names.class_name(chosen['label'])}{why})"


def _describe(things: Mapping[str, Meaning], names: Names) -> list[str]:
    """Return each label, with its setting if that is not the label itself."""
    return [
        one_line(label)
        if meaning.setting == label
        else f"{one_line(label)} = {_setting(meaning, names)}"
        for label, meaning in things.items()
    ]


def _setting(meaning: Meaning, names: Names) -> str:
    if isinstance(meaning, BinarizerMeaning):
        return describe_binarizer(meaning, names, 200)
    return one_line(meaning.setting, 200)


def _join(parts: Sequence[str]) -> str:
    return "; ".join(filter(None, parts))


def undefined_table(results: Results) -> Table | None:
    """Count the undefined scores by metric and reason; metrics with the same counts share a row."""
    reasons = results.codes & ~np.uint8(CONSTANT)
    present = [code for code in range(1, len(REASONS)) if (reasons == code).any()]
    if not present:
        return None
    titles_by_counts: dict[tuple[Any, ...], list[str]] = {}
    n_metrics: Counter[str] = Counter()
    for kind, binarizer, metric in dict.fromkeys(
        (c.kind, c.binarizer, c.metric) for c in results.columns
    ):
        at = [
            k
            for k, c in enumerate(results.columns)
            if (c.kind, c.binarizer, c.metric) == (kind, binarizer, metric)
        ]
        here = reasons[:, at]
        counts = tuple(int((here == code).sum()) for code in present)
        title = one_line(results.meanings.title(metric)) + (
            f", {one_line(binarizer)}" if binarizer else ""
        )
        samples = results.samples["sample"][(here > 0).max(1)]
        key = kind, counts, here.size, first_names(samples)
        titles_by_counts.setdefault(key, []).append(title)
        n_metrics[kind] += 1
    rows = []
    for (kind, counts, size, samples), titles in titles_by_counts.items():
        if any(counts):
            every = len(titles) == n_metrics[kind]
            head = "all metrics" if every and len(titles) > 1 else "; ".join(titles)
            maps = f"{kind}s" + (", each" if len(titles) > 1 else "")
            cells = [*(Cell(f"{n:,}") for n in counts), Cell(f"{size:,}"), Cell(samples)]
            rows.append(Row(Cell(head, maps), cells))
    return Table(
        "Undefined scores, by reason",
        ["metric", *(REASONS[code] for code in present), "of", "images"],
        [Block(rows)],
        ["Means leave undefined scores out. Counts are over all maps and models."],
        look="words",
    )


def constant_table(results: Results, names: Names) -> Table | None:
    """Return which methods and baselines give constant maps, and on how many images."""
    contents = names.contents
    constant = (results.codes & CONSTANT) > 0
    rows = []
    for model in contents.models:
        of_model = (results.samples["model"] == model).to_numpy()
        for target_class, kind, method in dict.fromkeys(
            (c.target_class, c.kind, c.method) for c in results.columns
        ):
            at = [
                (c.target_class, c.kind, c.method) == (target_class, kind, method)
                for c in results.columns
            ]
            where = constant[:, at].any(1) & of_model
            if where.any():
                parts = [one_line(method)]
                parts += [one_line(model)] * (len(contents.models) > 1)
                parts += [names.target_class(target_class)] * (len(contents.target_classes) > 1)
                cells = [
                    Cell(f"{int(where.sum()):,}"),
                    Cell(f"{int(of_model.sum()):,}"),
                    Cell(first_names(results.samples["sample"][where])),
                ]
                rows.append(Row(Cell(", ".join(parts), f"{kind}"), cells))
    if not rows:
        return None
    return Table(
        "Constant maps",
        ["map", "constant", "of", "images"],
        [Block(rows)],
        ["A constant map has no highest value. Binarizers of cameval give an empty mask for it."],
        look="words",
    )

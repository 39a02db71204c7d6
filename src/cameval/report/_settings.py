"""Undefined scores by reason, constant maps, and run settings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cameval.evaluation import REASONS
from cameval.evaluation._run_folder import runs
from cameval.evaluation.meaning import CONSTANT, BinarizerMeaning, Meaning
from cameval.report._format import chosen_words, metric_title, name
from cameval.report._view import Facts
from cameval.report.sections import Block, Cell, Row, Table


def undefined_table(facts: Facts) -> Table | None:
    """Count how many scores are undefined, by metric and reason."""
    results = facts.results
    reasons = results.codes & ~np.uint8(CONSTANT)
    present = [code for code in range(1, len(REASONS)) if (reasons == code).any()]
    if not present:
        return None
    alike: dict[tuple[Any, ...], list[str]] = {}
    of_kind: Counter[str] = Counter()
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
        title = metric_title(metric) + (f", {name(binarizer)}" if binarizer else "")
        key = kind, counts, here.size, facts.samples_of((here > 0).max(1))
        alike.setdefault(key, []).append(title)
        of_kind[kind] += 1
    rows = []
    for (kind, counts, size, images), titles in alike.items():
        if any(counts):
            every = len(titles) == of_kind[kind]
            head = "all metrics" if every and len(titles) > 1 else "; ".join(titles)
            each = f"{kind}s" + (", each" if len(titles) > 1 else "")
            cells = [*(Cell(f"{n:,}") for n in counts), Cell(f"{size:,}"), Cell(images)]
            rows.append(Row(Cell(head, each), cells))
    return Table(
        "Undefined scores, by reason",
        ["metric", *(REASONS[code] for code in present), "of", "images"],
        [Block(rows)],
        ["Undefined scores are in no mean. Counted over all maps and models."],
        look="words",
    )


def constant_table(facts: Facts) -> Table | None:
    """Return whose maps are constant, and on how many images."""
    results = facts.results
    flat = (results.codes & CONSTANT) > 0
    rows = []
    for model in facts.models:
        where = facts.rows(model)
        for target_class, kind, method in dict.fromkeys(
            (c.target_class, c.kind, c.method) for c in results.columns
        ):
            at = [
                (c.target_class, c.kind, c.method) == (target_class, kind, method)
                for c in results.columns
            ]
            concerned = flat[:, at].any(1) & where
            if concerned.any():
                parts = [name(method)]
                parts += [name(model)] * (len(facts.models) > 1)
                parts += [facts.target_class_words(target_class)] * (len(facts.target_class) > 1)
                cells = [
                    Cell(f"{int(concerned.sum()):,}"),
                    Cell(f"{int(where.sum()):,}"),
                    Cell(facts.samples_of(concerned)),
                ]
                rows.append(Row(Cell(", ".join(parts), f"{kind}"), cells))
    if not rows:
        return None
    return Table(
        "Constant maps",
        ["map", "constant", "of", "images"],
        [Block(rows)],
        ["A constant map has no highest place. Binarizers of cameval mark nothing in it."],
        look="words",
    )


def settings(facts: Facts) -> list[tuple[str, str]]:
    """Return what the run was made with, by title."""
    provenance = facts.results.provenance
    found: list[tuple[str, str]] = []
    for run in runs(provenance):
        known = run.get("settings") or {}
        if not known:
            continue
        layer = known.get("layer")
        network = [
            f"weights {str(known.get('weights'))[:16]}" if known.get("weights") else "",
            f"layer {layer}" if layer else "",
            f"on {run.get('device')}" if run.get("device") else "",
            f"{run.get('started')}" if run.get("started") else "",
        ]
        found.append((name(known.get("model", "model")), _joined(network)))
        found += _choices(facts, run)
    known = facts.settings
    for title, things in (
        ("Maps", facts.meanings.methods),
        ("Baselines", facts.meanings.baselines),
        ("Binarizers", facts.meanings.binarizers),
        ("Metrics", facts.meanings.metrics),
        ("Classes explained", facts.meanings.target_class),
    ):
        if things:
            found.append((title, _joined(_described(things))))
    if versions := known.get("versions"):
        parts = [f"{name(package)} {name(version)}" for package, version in versions.items()]
        found.append(("Versions", _joined(parts)))
    for title, setting in (
        ("Alignment", "alignment"),
        ("Task", "task"),
        ("Preparation", "prepare"),
        ("Batch size", "batch_size"),
        ("Seed of all that is random", "seed"),
    ):
        of_runs = [(run.get("settings") or {}).get(setting) for run in runs(provenance)]
        several = list(dict.fromkeys(map(str, filter(_given, of_runs))))
        if several:
            text = [name(_ALIGNMENTS.get(value, value), 300) for value in several]
            found.append((title, _joined(text)))
    return found or [("Settings", "not recorded: the table came without its record")]


_ALIGNMENTS = {
    "half_pixel": "half pixel: the cells of a map fill the image evenly",
    "receptive_field": "receptive field: each cell lies where its receptive field has its center",
}


def _given(value: object) -> bool:
    return value not in (None, "")


def _choices(facts: Facts, run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return which binarizers each label of chosen ones stands for."""
    found = []
    for label, choice in (run.get("chosen") or {}).items():
        several = choice["binarizers"]
        classes = {one["target_class"] for one in several}
        maps: dict[str, list[str]] = {}
        for one in several:
            of_class = (
                f" ({facts.target_class_words(one['explained'])})" if len(classes) > 1 else ""
            )
            maps.setdefault(name(one["binarizer"]), []).append(f"{name(one['method'])}{of_class}")
        parts = [f"{binarizer} for {', '.join(of)}" for binarizer, of in maps.items()]
        found.append((f"Chosen as {name(label)}", _joined(parts)))
    return found


def _described(things: Mapping[str, Meaning]) -> list[str]:
    """Write each label, and what stands behind it where that is another word."""
    return [
        name(label) if meaning.setting == label else f"{name(label)} = {_setting(meaning)}"
        for label, meaning in things.items()
    ]


def _setting(meaning: Meaning) -> str:
    if isinstance(meaning, BinarizerMeaning) and meaning.origin is not None:
        return chosen_words(meaning.origin)
    return name(meaning.setting, 200)


def _joined(parts: Sequence[str]) -> str:
    return "; ".join(filter(None, parts))

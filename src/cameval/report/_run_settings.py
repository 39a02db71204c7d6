"""The settings of the run, as terms and texts."""

from collections.abc import Mapping, Sequence
from typing import Any

from cameval.evaluation import Results
from cameval.evaluation._run_folder import runs
from cameval.evaluation.meaning import BinarizerMeaning, Meaning
from cameval.report._names import Names, describe_binarizer, one_line

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
            settings.append((one_line(known.get("model", "model")), _describe_network(run, known)))
            settings += _list_choices(run, names)
    meanings = results.meanings
    for title, things in (
        ("Methods", meanings.methods),
        ("Baselines", meanings.baselines),
        ("Binarizers", meanings.binarizers),
        ("Metrics", meanings.metrics),
        ("Target classes", meanings.target_class),
    ):
        if things:
            settings.append((title, _join(_describe(things))))
    if versions := (results.provenance.get("settings") or {}).get("versions"):
        parts = [f"{one_line(name)} {one_line(version)}" for name, version in versions.items()]
        settings.append(("Versions", _join(parts)))
    for title, key in (
        ("Alignment", "alignment"),
        ("Task", "task"),
        ("Preparation", "prepare"),
        ("Batch size", "batch_size"),
        ("Random seed", "seed"),
    ):
        of_runs = [known.get(key) for _, known in recorded]
        if values := list(dict.fromkeys(str(v) for v in of_runs if v not in (None, ""))):
            texts = [one_line(_ALIGNMENTS.get(value, value), 300) for value in values]
            settings.append((title, _join(texts)))
    return settings or [("Settings", "not recorded: these results came without a record of them")]


def _describe_network(run: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    weights, layer = known.get("weights"), known.get("layer")
    return _join(
        [
            f"weights {str(weights)[:16]}" if weights else "",
            f"layer {layer}" if layer else "",
            f"on {run.get('device')}" if run.get("device") else "",
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
                f"{one_line(one['method'])}{of_class}"
            )
        parts = [f"{binarizer} for {', '.join(methods)}" for binarizer, methods in maps.items()]
        settings.append((f"Chosen as {one_line(label)}", _join(parts)))
    return settings


def _describe(things: Mapping[str, Meaning]) -> list[str]:
    """Return each label, with its setting if that is not the label itself."""
    return [
        one_line(label) if meaning.setting == label else f"{one_line(label)} = {_setting(meaning)}"
        for label, meaning in things.items()
    ]


def _setting(meaning: Meaning) -> str:
    if isinstance(meaning, BinarizerMeaning):
        return describe_binarizer(meaning, 200)
    return one_line(meaning.setting, 200)


def _join(parts: Sequence[str]) -> str:
    return "; ".join(filter(None, parts))

"""Which method and binarizer were chosen by their scores, and on which images."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from cameval.evaluation import Column
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import BinarizerMeaning, ChosenOn
from cameval.report._names import describe_origin

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


def describe_masks(
    column: Column,
    model: str,
    binarizer: BinarizerMeaning | None,
    runs: Sequence[Mapping[str, Any]],
) -> str:
    """Return by which binarizer masks are made; of a chosen one where, and which it is.

    Parameters
    ----------
    column, model
        The map, and the label of its network.
    binarizer
        What is known of the label of its binarizer.
    runs
        The records of the runs.
    """
    if not column.binarizer:
        return ""
    origin = None if binarizer is None else binarizer.origin
    if origin is None:
        return f"masks by {one_line(column.binarizer)}"
    found = list(dict.fromkeys(_chosen_for(column, model, runs)))
    what = "a threshold for each class, " if origin.by == "label" else "threshold "
    value = f": {one_line(found[0])}" if len(found) == 1 else ""
    return f"{what}chosen on {origin.chosen_on}{value}"


def _chosen_for(column: Column, model: str, runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the binarizers that were chosen for the maps of a column."""
    for run in runs:
        record = (run.get("chosen") or {}).get(column.binarizer) or {}
        if len(runs) > 1 and record.get("model") != model:
            continue
        for row in record.get("binarizers") or ():
            here = (column.target_class, column.kind, column.method)
            if (row.get("target_class"), row.get("kind"), row.get("method")) == here:
                yield str(row["binarizer"])

"""Which method and binarizer were chosen by their scores, and on which images."""

from collections.abc import Collection, Iterator, Sequence

from cameval.evaluation import Column
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

"""Maps of volumes from a network of images in the words of a paper."""

from collections.abc import Mapping, Sequence
from typing import Any

from cameval.evaluation._label_words import LabelWords
from cameval.evaluation._preparation_words import describe_preparation
from cameval.evaluation._words import one_line


def slice_maps_of(recorded: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return by label what runs have recorded of `SliceMaps`, where all have recorded the same."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for run in recorded:
        records = run.get("slice_maps")
        for label, record in records.items() if isinstance(records, Mapping) else ():
            if isinstance(record, Mapping):
                found.setdefault(label, []).append(record)
    return {
        label: first
        for label, (first, *others) in found.items()
        if len(others) == len(recorded) - 1 and all(other == first for other in others)
    }


def describe_slice_maps(label: str, record: Mapping[str, Any], words: LabelWords) -> str:
    """Return how maps of volumes are computed from their slices."""
    network = (
        f"{one_line(record.get('network'))} (weights {str(record.get('weights'))[:16]}, layer "
        f"{one_line(record.get('layer'))})"
    )
    chosen = record.get("target_class")
    of_class = "the class of the target" if chosen is None else words.class_name(int(chosen))
    if preparation := record.get("preparation"):
        prepared = describe_preparation(preparation, "slices")
    else:
        prepared = f"Slices are prepared by {one_line(record.get('prepare'), 300)}."
    return (
        f"The maps {words.name(label)} are computed slice by slice, along the first axis, by "
        f"{one_line(record.get('method'))} of the network {network}, for {of_class}; they are not "
        f"scaled. {prepared}"
    )

"""The scores of chosen binarizers, as columns of results under a label of their own."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from cameval.errors import SettingError
from cameval.evaluation.choice import Choice, Image, Map, images_of, is_chosen, map_of, only_model
from cameval.evaluation.origins import SAME_GROUPS, SAME_IMAGES, VALIDATION, Origin
from cameval.evaluation.plan import Column

if TYPE_CHECKING:
    from cameval.evaluation.results import Results

__all__ = ["VALIDATED", "with_chosen"]

VALIDATED: Final = "validated"
"""The label that scores get if none is given; only a choice made on other images may have it."""


def with_chosen(results: "Results", choice: Choice, label: str) -> "Results":
    """Add the columns of the chosen binarizers under a label; see `Results.with_chosen`."""
    model = only_model(results)
    if model != choice.model:
        raise SettingError(
            f"results must be of the model that the choice was made for, {choice.model!r}, got "
            f"{model!r}; choose on validation results of the same network, evaluated under one name"
        )
    taken = {column.binarizer for column in results.columns}
    if not isinstance(label, str) or not label or label in taken:
        raise SettingError(
            f"label must be a word that no binarizer has yet ({', '.join(sorted(taken - {''}))}), "
            f"got {label!r}"
        )
    added = dict(_added(results, choice, label))
    if not added:
        raise SettingError("results must have a metric of masks for a binarizer, got none")
    last = {map_of(column): k for k, column in enumerate(results.columns)}
    order: list[tuple[Column, int]] = []
    for k, column in enumerate(results.columns):  # the new ones follow the others of their map
        order.append((column, k))
        if last[map_of(column)] == k:
            order += [(new, of) for new, of in added.items() if map_of(new) == map_of(column)]
    at = [k for _, k in order]
    return replace(
        results,
        columns=tuple(column for column, _ in order),
        values=results.values[:, at],
        codes=results.codes[:, at],
        provenance=_provenance(results, choice, label),
    )


def _added(results: "Results", choice: Choice, label: str) -> Iterator[tuple[Column, int]]:
    """Yield each new column, and the number of the one whose scores it has."""
    lacking: dict[Map, str] = {}
    for k, column in enumerate(results.columns):
        if not column.binarizer or is_chosen(results, column):
            continue
        binarizer = choice.binarizer(*map_of(column))
        lacking.setdefault(map_of(column), binarizer)
        if column.binarizer == binarizer:
            lacking[map_of(column)] = ""
            yield replace(column, binarizer=label), k
    for (_, kind, method), binarizer in lacking.items():
        if binarizer:
            raise SettingError(
                f"results must have the binarizer that was chosen for the {kind} {method!r}, got "
                f"no {binarizer!r}; evaluate both parts with the same binarizers"
            )


def _provenance(results: "Results", choice: Choice, label: str) -> dict[str, Any]:
    """Return the provenance with what the label stands for, and which were chosen."""
    where = _where(images_of(results), choice.images)
    if where == SAME_IMAGES and label == VALIDATED:
        raise SettingError(
            "a choice must have a label of its own where it is read on the images that it was made "
            f"on, got {label!r}; say what it is, as in label='test optimum'"
        )
    settings = dict(results.provenance.get("settings") or {})
    known = settings.get("binarizers")
    described = Origin(where, choice.best, choice.metric).words
    settings["binarizers"] = {**(known if isinstance(known, Mapping) else {}), label: described}
    chosen = {**(results.provenance.get("chosen") or {}), label: choice.record()}
    return {**results.provenance, "settings": settings, "chosen": chosen}


def _where(read: frozenset[Image], chosen_on: frozenset[Image]) -> str:
    """Say how the images that a choice is read on stand to those that it was made on."""
    common = len(read & chosen_on)
    if 0 < common < len(read):
        raise SettingError(
            "a choice must be made on other images than it is read on, or on all of them, got "
            f"{common} of {len(read)} images in both (by name, group and label); keep the parts "
            "apart, or give images of two data sets different names"
        )
    if common:
        return SAME_IMAGES
    shared = {group for _, group, _ in read} & {group for _, group, _ in chosen_on}
    grouped = any(group in shared and name != group for name, group, _ in read | chosen_on)
    return SAME_GROUPS if grouped else VALIDATION

"""Which method and binarizer were chosen by their scores, and on which images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cameval.evaluation import Column, Origin
from cameval.evaluation._chosen_methods import ChosenMethod, chosen_method
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._words import one_line
from cameval.evaluation.meaning import BinarizerMeaning, ChosenOn
from cameval.report._names import Names, describe_origin
from cameval.report._score_tables import map_row
from cameval.report.formatting import format_count, format_number
from cameval.report.sections import Block, Cell, Row, Table
from cameval.statistics import ENOUGH_GROUPS

_WARNINGS: dict[ChosenOn, str] = {
    "these same images": ", an optimistic choice",
    "other images, perhaps of the same groups": ", which may be an optimistic choice",
    "other images of the same groups": ", which may be an optimistic choice",
    "other images": "",
}


@dataclass(frozen=True)
class MethodChoice:
    """The method of a page, which is the best on the images on which its binarizers were chosen.

    Parameters
    ----------
    label
        The label of the binarizers that were chosen on these images.
    origin
        On which images, and by which metric.
    by_model
        The best method of each choice with its counts, with the model that the choice is for.
    """

    label: str
    origin: Origin
    by_model: Sequence[tuple[str, ChosenMethod]]

    def of_model(self, model: str) -> "MethodChoice":
        """Return the choices for a model; all, if none is for it."""
        found = [one for one in self.by_model if one[0] == model]
        return MethodChoice(self.label, self.origin, found or self.by_model)

    @property
    def counts(self) -> ChosenMethod | None:
        """Method and counts, if they are the same in each choice."""
        first = self.by_model[0][1]
        return first if all(one == first for _, one in self.by_model) else None

    def describe(self) -> str:
        """Return the method, and of how many it is the best."""
        method, n = self.by_model[0][1].method, {one.n_methods for _, one in self.by_model}
        return f"method {one_line(method)}" + (f" (the best of {n.pop()})" if len(n) == 1 else "")

    def place(self, names: Names) -> str:
        """Return on which images the choice was made, with their number if it is known."""
        where, counts = self.origin.chosen_on, self.counts
        if counts is None or counts.images is None or where == "these same images":
            return names.chosen_on(where)
        images = format_count(counts.images, "other image")
        if where == "other images of the same groups":
            return f"{images} of the same {names.groups}"
        if where == "other images, perhaps of the same groups":
            return f"{images}, perhaps of the same {names.groups}"
        return images + (
            "" if counts.groups is None else f" of {groups_of_choice(counts.groups, names)}"
        )

    def records(self) -> list[dict[str, Any]]:
        """Return method and counts of each choice, for JSON."""
        return [{"model": model, **asdict(one)} for model, one in self.by_model]


def groups_of_choice(groups: int, names: Names) -> str:
    """Return on how many groups a choice was made, and whether these are few."""
    few = f", fewer than {ENOUGH_GROUPS}" if groups < ENOUGH_GROUPS else ""
    return names.count_groups(groups) + few


def method_choice(
    contents: Contents, headline: Headline, runs: Sequence[Mapping[str, Any]]
) -> MethodChoice | None:
    """Return the choice of the method of a page; None if none is known.

    It is known if the page is about chosen binarizers and one method, and this method is the best
    of several in the record of each choice.
    """
    label, meaning = headline.binarizer, contents.binarizers.get(headline.binarizer or "")
    if label is None or headline.method is None or meaning is None or meaning.origin is None:
        return None
    records = [record for run in runs if (record := (run.get("chosen") or {}).get(label))]
    best = [
        (str(one.get("model")), chosen_method(one, contents.target_classes[0])) for one in records
    ]
    found = [
        (model, one)
        for model, one in best
        if one is not None and one.method == headline.method and one.n_methods > 1
    ]
    if not found or len(found) < len(best):
        return None
    return MethodChoice(label, meaning.origin, found)


def describe_choice(
    column: Column,
    candidates: Sequence[Column],
    binarizer: BinarizerMeaning | None,
    names: Names,
    *,
    has_direction: bool,
    method: MethodChoice | None = None,
) -> Iterator[str]:
    """Yield which of method and binarizer was chosen by its score, and on which images.

    `names` are the words of the page, `method` is how the method was chosen on the same images as
    the binarizer, if it was.
    """
    given = names.contents.given
    origin = None if binarizer is None else binarizer.origin
    if origin is not None and method is not None:
        each = "map and true class" if origin.by == "label" else "map"
        best = "highest" if origin.higher_is_better else "lowest"
        yield (
            f"The {method.describe()} and the binarizer of each {each} were chosen on "
            f"{method.place(names)}, by the {best} mean {names.contents.title(origin.metric)}"
            f"{_WARNINGS[origin.chosen_on]}."
        )
    elif origin is not None:
        warning = _WARNINGS[origin.chosen_on]
        yield f"The binarizer of each map was {describe_origin(origin, names)}{warning}."
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
    names: Names,
    *,
    with_method: bool = False,
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
    names
        The words of the page.
    with_method
        Whether the method was chosen on the same images.
    """
    if not column.binarizer:
        return ""
    origin = None if binarizer is None else binarizer.origin
    if origin is None:
        return f"masks by {one_line(column.binarizer)}"
    found = list(dict.fromkeys(chosen_for(column, model, runs)))
    what = "a threshold for each true class, " if origin.by == "label" else "threshold "
    what = f"method and {what}" if with_method else what
    value = f": {one_line(found[0])}" if len(found) == 1 else ""
    return f"{what}chosen on {names.chosen_on(origin.chosen_on)}{value}"


def chosen_for(column: Column, model: str, runs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the binarizers that were chosen for the maps of a column."""
    for run in runs:
        record = (run.get("chosen") or {}).get(column.binarizer) or {}
        if len(runs) > 1 and record.get("model") != model:
            continue
        for row in record.get("binarizers") or ():
            here = (column.target_class, column.kind, column.method)
            if (row.get("target_class"), row.get("kind"), row.get("method")) == here:
                yield str(row["binarizer"])


_MOST_PARTS, _MOST_ROWS = 20, 60


def choice_table(contents: Contents, names: Names, runs: Sequence[Mapping[str, Any]]) -> Table:
    """Return the binarizer that was chosen for each map, and on which images, for each choice.

    Parameters
    ----------
    contents, names
        What was evaluated, and the words of the page.
    runs
        The records of the runs; those of folds have a choice each.
    """
    choices = list(_different_choices(contents, runs))
    by_class = any(record.get("by") == "label" for _, record in choices)
    blocks, left_out = [], max(0, len(choices) - _MOST_PARTS)
    for k, (label, record) in enumerate(choices[:_MOST_PARTS]):
        images = format_count(int(record.get("images") or 0), "image")
        metric = contents.title(str(record.get("metric") or ""))
        heading = f"{one_line(label)}: by the mean {metric} of {images}"
        if len(choices) > 1:
            heading = f"choice {k + 1} of {len(choices)}, {heading}"
        rows = [
            row
            for one in record["binarizers"]
            if (row := _chosen_row(one, contents, names, by_class))
        ]
        left_out += max(0, len(rows) - _MOST_ROWS)
        blocks.append(Block(rows[:_MOST_ROWS], names.with_model(str(record["model"]), heading)))
    titles = ["map", *(["target class"] if len(contents.target_classes) > 1 else [])]
    titles += [*(["class"] if by_class else []), "binarizer", "mean"]
    notes = ["Mean: of the images on which the choice was made."]
    notes += [f"{left_out:,} choices or maps are left out."] if left_out else []
    return Table("Binarizer that was chosen for each map", titles, blocks, notes)


def _different_choices(
    contents: Contents, runs: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the label and the record of each choice, of several runs each once."""
    seen: list[tuple[str, Mapping[str, Any]]] = []
    for run in runs:
        for label, record in (run.get("chosen") or {}).items():
            if label in contents.binarizers and (label, record) not in seen:
                seen.append((label, record))
                yield label, record


def _chosen_row(
    one: Mapping[str, Any], contents: Contents, names: Names, by_class: bool
) -> Row | None:
    """Return the row of a map; nothing if the page does not have it."""
    known = contents.methods if one["kind"] == "method" else contents.baselines
    if one["method"] not in known or one["target_class"] not in contents.target_classes:
        return None
    cells = []
    if len(contents.target_classes) > 1:
        cells.append(Cell(names.target_class(one["target_class"])))
    if by_class:
        label = one.get("label")
        cells.append(Cell("all classes" if label is None else names.class_name(label)))
    cells += [Cell(one_line(one["binarizer"])), Cell(format_number(one["score"]))]
    column = Column(one["target_class"], one["kind"], one["method"], one["binarizer"], "")
    return map_row(contents, column, cells)

"""How binarizers were chosen, in the words of a paper."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cameval.evaluation._chosen_methods import chosen_method
from cameval.evaluation._label_words import LabelWords, joined
from cameval.evaluation._run_folder import runs
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation.meaning import Origin

_MOST_MAPS = 8
"""Of more maps the chosen thresholds are not listed."""

_MOST_CHOICES = 8
"""More choices, as those of many folds, are counted and not listed."""


def runs_of(results: ScoreTable) -> list[Mapping[str, Any]]:
    """Return the records of the runs whose models are in the results; of all, if none is."""
    models = set(results.samples["model"].astype(str))
    found = runs(results.provenance)
    of_models = [run for run in found if str(_settings(run).get("model")) in models]
    return list(of_models or found)


@dataclass(frozen=True)
class ChoiceWords:
    """How the binarizers of a label were chosen.

    Parameters
    ----------
    label
        The label of the chosen binarizers.
    origin
        By which metric they were chosen, and on which images.
    results
        The results that have the label.
    words
        The names of labels.
    """

    label: str
    origin: Origin
    results: ScoreTable
    words: LabelWords

    @property
    def rule(self) -> str:
        """What was chosen for what, on which images, and by which metric."""
        known = self._records
        images = f" ({self._counts(known[0])})" if self._is_one and self._counts(known[0]) else ""
        each = "map and true class" if self.origin.by == "label" else "map"
        of_networks = " of each network" if len(dict(self._choices)) > 1 else ""
        where = self.words.place_of_choice(self.origin.chosen_on)
        best = "highest" if self.origin.higher_is_better else "lowest"
        return (
            f"chosen for each {each}{of_networks} on {where}{images}, by the "
            f"{best} mean {self.words.metric(self.origin.metric)}"
        )

    def list_chosen(self) -> Iterator[str]:
        """Yield which binarizer each map has, for each choice, as sentences without a period."""
        if self._is_one:
            if listed := self._listed(self._records[0]):
                yield f"{listed[0].upper()}{listed[1:]}"
            return
        if len(self._choices) > _MOST_CHOICES:
            yield f"There are {len(self._choices)} such choices, of different runs"
            return
        models = [model for model, _ in self._choices]
        for k, (model, record) in enumerate(self._choices):
            name = self.words.name(model)
            if (of_model := models.count(model)) > 1:
                name += f", choice {models[: k + 1].count(model)} of {of_model}"
            counts, listed = self._counts(record), self._listed(record)
            on = f" (chosen on {counts})" if counts else ""
            if listed:
                yield f"For {name}{on}{':' * bool(self.origin.by)} {listed}"
            elif counts:
                yield f"For {name} it was chosen on {counts}"

    def list_best_methods(self) -> Iterator[str]:
        """Yield which method is the best on the images of the choice, if it is of several."""
        target_class = next(c.target_class for c in self.results.columns)
        found = [
            (model, best)
            for model, record in self._choices
            if (best := chosen_method(record, target_class)) is not None and best.n_methods > 1
        ]
        if not found or len(found) > _MOST_CHOICES:
            return
        way = "highest" if self.origin.higher_is_better else "lowest"
        mean = f"the {way} mean {self.words.metric(self.origin.metric)}"
        methods = list(dict.fromkeys((one.method, one.n_methods) for _, one in found))
        if len(methods) == 1:
            ((method, n),) = methods
            of_choices = "this choice" if len(found) == 1 else "each choice"
            name = self.words.name(method)
            yield f"On the images of {of_choices} {name} has {mean} of {n} methods"
        elif len({model for model, _ in found}) == len(found):
            each = [f"{self.words.name(one.method)} for {self.words.name(m)}" for m, one in found]
            yield f"The method with {mean} on the images of each choice is {joined(each)}"

    @property
    def _records(self) -> list[Mapping[str, Any]]:
        """The different records of the choice; that of a run without a record is empty."""
        known = [(run.get("chosen") or {}).get(self.label) or {} for run in runs_of(self.results)]
        return [one for k, one in enumerate(known) if one not in known[:k]]

    @property
    def _is_one(self) -> bool:
        return len(self._records) == 1

    @property
    def _choices(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The network and the record of each choice that is known."""
        return [(str(one.get("model")), one) for one in self._records if one]

    def _counts(self, record: Mapping[str, Any]) -> str:
        """Return on how many images and groups a choice was made, as far as it is known."""
        return " of ".join(
            self.words.count(record[f"{what}s"], what)
            for what in ("image", "group")
            if isinstance(record.get(f"{what}s"), int)
        )

    def _listed(self, record: Mapping[str, Any]) -> str:
        """Return which binarizer each map of the results has; nothing of too many maps."""
        columns = self.results.columns
        used = {(c.target_class, c.kind, c.method) for c in columns if c.binarizer == self.label}
        if len(used) > _MOST_MAPS:
            return ""
        several = len({target_class for target_class, *_ in used}) > 1
        words = self.words
        of_maps: dict[str, dict[str, list[str]]] = {}
        for row in record.get("binarizers") or ():
            if (row["target_class"], row["kind"], row["method"]) in used:
                of_class = f" ({words.name(row['target_class'])} class)" * several
                here = of_maps.setdefault(words.name(row["method"]) + of_class, {})
                classes = here.setdefault(words.name(row["binarizer"]), [])
                if row.get("label") is not None:
                    classes.append(words.class_name(row["label"]))
        return _join_maps(of_maps, by_class=self.origin.by == "label") if of_maps else ""


def _join_maps(of_maps: Mapping[str, Mapping[str, Sequence[str]]], *, by_class: bool) -> str:
    """Return which binarizer each map has, in a choice by label that of each class."""
    if by_class:
        return "; ".join(
            f"for {one} it is {', '.join(f'{b} for {joined(of)}' for b, of in each.items() if of)}"
            for one, each in of_maps.items()
        )
    maps: dict[str, list[str]] = {}
    for one, (binarizer, *_) in of_maps.items():
        maps.setdefault(binarizer, []).append(one)
    return f"it is {'; '.join(f'{b} for {joined(of)}' for b, of in maps.items())}"


def _settings(run: Mapping[str, Any]) -> Mapping[str, Any]:
    return run.get("settings") or {}

"""Choice of the best binarizer of each map on validation results, applied to other results."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import DataError, SettingError
from cameval.evaluation.meaning import BinarizerMeaning, ChosenOn, Column, Origin
from cameval.evaluation.results import Results

__all__ = ["Choice", "choose_binarizers"]

VALIDATED: Final = "validated"
"""The default label of chosen binarizers; only a choice made on other images may have it."""

MapKey: TypeAlias = tuple[str, str, str]
"""Target class, kind and method of a map."""

ImageKey: TypeAlias = tuple[str, str, int | None]
"""Name, group and label of an image."""


@dataclass(frozen=True)
class Choice:
    """The best binarizer of each map, and the images on which it was chosen.

    `choose_binarizers` returns one; `apply` adds the scores of the chosen binarizers to results.

    Parameters
    ----------
    metric
        The metric by which it was chosen.
    higher_is_better
        Whether the highest mean was chosen, or the lowest.
    model
        Name of the model.
    columns
        The best column of each map, that is of each target class, kind and method.
    scores
        The mean of each of these columns over the images on which it was chosen.
    images
        Name, group and label of these images.

    Examples
    --------
    >>> from cameval.evaluation import Choice, Column
    >>> column = Column("predicted", "method", "cam", "percentile:95", "iou")
    >>> Choice("iou", True, "net", (column,), (0.25,), frozenset()).to_pandas()
      target_class    kind method      binarizer metric  score
    0    predicted  method    cam  percentile:95    iou   0.25
    """

    metric: str
    higher_is_better: bool
    model: str
    columns: tuple[Column, ...]
    scores: tuple[float, ...]
    images: frozenset[ImageKey] = field(repr=False)

    def apply(self, results: Results, label: str = VALIDATED) -> Results:
        """Return results with more columns: the scores of each map with its chosen binarizer.

        Parameters
        ----------
        results
            Results of the same network, with the same binarizers, on other images.
        label
            The label of the new columns. If the results are on the images on which the choice was
            made, it must be another than the default, such as ``"test optimum"``.

        Returns
        -------
        Results
            With one more column for each map and metric of masks, whose binarizer is `label`. Its
            meaning (`Results.meanings`) is the metric of the choice, and whether the choice was
            made on other images, on other images of the same groups (patients), or on these same
            images; ``provenance["chosen"]`` is the record of the choice. So the folds of a
            cross-validation have equal columns for `concat` even if their choices differ.

        Raises
        ------
        SettingError
            If the results are of several models or of another model than the choice, the label is
            that of a binarizer, no binarizer was chosen for a map, the choice was made on a part of
            these images, or it was made on all of them and the label is the default.

        Notes
        -----
        Images are the same if name, group and label are equal, however they were prepared.
        """
        model = _only_model(results)
        if model != self.model:
            raise SettingError(
                f"results must be of the model of the choice, {self.model!r}, got "
                f"{model!r}; choose on validation results of the same network, evaluated under one "
                "name"
            )
        taken = {column.binarizer for column in results.columns}
        if not isinstance(label, str) or not label or label in taken:
            raise SettingError(
                "label must be a word that no binarizer has yet "
                f"({', '.join(sorted(taken - {''}))}), got {label!r}"
            )
        added = dict(_added(results, self, label))
        if not added:
            raise SettingError("results must have a metric of masks for a binarizer, got none")
        last = {_map_of(column): k for k, column in enumerate(results.columns)}
        order: list[tuple[Column, int]] = []
        for k, column in enumerate(results.columns):  # new ones follow the others of their map
            order.append((column, k))
            if last[_map_of(column)] == k:
                order += [(new, of) for new, of in added.items() if _map_of(new) == _map_of(column)]
        at = [k for _, k in order]
        return replace(
            results,
            columns=tuple(column for column, _ in order),
            values=results.values[:, at],
            codes=results.codes[:, at],
            weights=results.weights[:, at],
            provenance=_provenance(results, self, label),
        )

    def binarizer(self, target_class: str, kind: str, method: str) -> str:
        """Return the label of the binarizer that was chosen for a map.

        If the choice has no map of this target class, it is the binarizer that was chosen for the
        same method and the first target class.

        Raises
        ------
        SettingError
            If nothing was chosen for the method.
        """
        chosen = {_map_of(column): column.binarizer for column in self.columns}
        for of_class in (target_class, self.columns[0].target_class):
            if (found := chosen.get((of_class, kind, method))) is not None:
                return found
        known = ", ".join(dict.fromkeys(column.method for column in self.columns))
        raise SettingError(
            f"choice must have a binarizer for each map, got none for the {kind} {method!r}, only "
            f"for {known}; evaluate it on the validation data too"
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return the choice as a table, one row for each map: a :class:`Column` and its score."""
        return pd.DataFrame([asdict(column) for column in self.columns]).assign(score=self.scores)

    def record(self) -> dict[str, Any]:
        """Return the choice as a dictionary for JSON."""
        table = self.to_pandas().drop(columns="metric")
        return {
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "model": self.model,
            "images": len(self.images),
            "binarizers": table.to_dict("records"),
        }


def choose_binarizers(
    validation: Results, metric: str = "iou", *, higher_is_better: bool | None = None
) -> Choice:
    r"""Choose the binarizer of each map by its mean score.

    For each target class, kind and method, of the binarizers :math:`b`

    .. math:: \hat b = \arg\max_b \frac{1}{|D|} \sum_{i \in D} s_i(b),

    where :math:`s_i(b)` is the score of image :math:`i`, and :math:`D` the images on which it is
    defined for every binarizer. If lower values of the metric are better, it is the minimum.
    Columns that `Choice.apply` added are no candidates.

    Parameters
    ----------
    validation
        Results of one model on images that are used only for the choice.
    metric
        A metric of masks.
    higher_is_better
        By default the property of the metric (see :func:`cameval.metrics.of_masks`), which it must
        not contradict.

    Returns
    -------
    Choice
        A binarizer for each map; the first of those with equal means.

    Raises
    ------
    SettingError
        If the results are of several models or lack the metric, if the metric needs no binarizer,
        or if it is not known whether higher values of it are better.
    DataError
        If no score of a map is defined, or a score is undefined for one binarizer and defined for
        another on the same map of an image.

    Notes
    -----
    Binarizers are compared on the same images. An image with an empty truth has no score for any
    of them, and is left out. If the score of an image is undefined for some binarizers only, as
    distances are for empty masks, no mean is a fair comparison, because the missing images depend
    on the binarizer; this is an error. Either give empty masks a score, as in
    ``HausdorffDistance(penalize_empty=True)``, or leave out the binarizers with empty masks:
    ``choose_binarizers(validation.select(binarizer=[...]), ...)``.

    Applied to the results on which it was made, a choice gives the best mean of any choice of one
    binarizer for each map. Its difference from the choice made on validation data is the optimism
    of choosing on the test images::

        optimum = choose_binarizers(test).apply(test, label="test optimum")

    Examples
    --------
    ``choose_binarizers(validation).apply(test).select(binarizer="validated").summary()``
    """
    model = _only_model(validation)
    maps = list(_candidates(validation, metric))
    if not maps:
        there = dict.fromkeys(c.metric for c in validation.columns if c.binarizer)
        raise SettingError(
            f"metric must be one of the metrics of masks ({', '.join(there)}), got {metric!r}"
        )
    _check_comparable(maps, len(validation))
    direction = _direction(validation, metric, higher_is_better)
    chosen = [each.best(direction) for each in maps]
    columns, scores = zip(*chosen, strict=True)
    return Choice(metric, direction, model, columns, scores, _images_of(validation))


@dataclass(frozen=True, eq=False)
class _Candidates:
    """The columns of one map, and their scores ``(N, K)`` on images where one is defined."""

    columns: Sequence[Column]
    values: NDArray[np.float64]

    @property
    def undefined(self) -> dict[str, int]:
        """The number of images on which each binarizer has no score."""
        counts = np.isnan(self.values).sum(0).tolist()
        return {column.binarizer: n for column, n in zip(self.columns, counts, strict=True)}

    @property
    def map(self) -> str:
        """The map in words."""
        first = self.columns[0]
        return f"the {first.kind} {first.method!r} ({first.target_class} class)"

    def best(self, higher_is_better: bool) -> tuple[Column, float]:
        """Return the best column and its mean; of equals, the first."""
        pick = max if higher_is_better else min
        means = [float(self.values[:, k].copy().mean()) for k in range(len(self.columns))]
        return pick(zip(self.columns, means, strict=True), key=lambda each: each[1])


def _candidates(validation: Results, metric: str) -> Iterator[_Candidates]:
    """Yield the columns to choose from, map by map."""
    of_map: dict[MapKey, list[int]] = {}
    for k, column in enumerate(validation.columns):
        if column.binarizer and column.metric == metric and not _is_chosen(validation, column):
            of_map.setdefault(_map_of(column), []).append(k)
    for at in of_map.values():
        values = validation.values[:, at]
        some = ~np.isnan(values).all(1)
        yield _Candidates([validation.columns[k] for k in at], values[some])


def _check_comparable(maps: Sequence[_Candidates], images: int) -> None:
    """Check that every binarizer of a map has a score wherever another has one."""
    gaps = {binarizer for each in maps for binarizer, n in each.undefined.items() if n}
    for each in maps:
        metric = each.columns[0].metric
        if not len(each.values):
            raise DataError(
                f"each map must have a defined {metric} on some image to choose by, got none of "
                f"{images} for {each.map}; give empty masks a score, as penalize_empty=True does "
                "for distances, or leave the map out of both parts with results.select"
            )
        for binarizer, count in each.undefined.items():
            if count:
                whole = [label for label in each.undefined if label not in gaps]
                out = f", or leave it out, as in results.select(binarizer={whole})" if whole else ""
                raise DataError(
                    f"each binarizer of a map must have a defined {metric} wherever another has "
                    f"one, got {binarizer!r} of {each.map} undefined on {count} of "
                    f"{len(each.values)} images; give empty masks a score, as penalize_empty=True "
                    f"does for distances{out}"
                )


def _direction(results: Results, metric: str, asked: bool | None) -> bool:
    """Return whether higher values of a metric are better, by its property or as given."""
    meaning = results.meanings.metric(metric)
    said = None if meaning is None else meaning.higher_is_better
    if meaning is not None and meaning.categories:
        raise SettingError(
            f"metric must be an amount to choose by, got {metric!r}, whose scores are codes of "
            f"{', '.join(meaning.categories)}"
        )
    if asked is not None and not isinstance(asked, bool):
        raise SettingError(f"higher_is_better must be True, False or None, got {asked!r}")
    if said is None and asked is None:
        raise SettingError(
            f"metric {metric!r} must say whether higher is better if a binarizer is chosen by it; "
            "decorate it with cameval.metrics.of_masks(higher_is_better=...), or give "
            "higher_is_better"
        )
    if None not in (said, asked) and said != asked:
        raise SettingError(
            f"higher_is_better must be what the metric {metric!r} says, {said}, got {asked}"
        )
    return bool(said if asked is None else asked)


def _is_chosen(results: Results, column: Column) -> bool:
    """Tell whether a column is one that a choice has added."""
    return results.meanings.origin(column.binarizer) is not None


def _map_of(column: Column) -> MapKey:
    """Return the key of the map of a column."""
    return column.target_class, column.kind, column.method


def _only_model(results: Results) -> str:
    """Return the name of the one model that the results are of."""
    models = [str(model) for model in results.samples["model"].unique()]
    if len(models) > 1:
        raise SettingError(
            f"results must be of one model, got {len(models)}; choose for each, as in "
            f"results.select(model={models[0]!r}), and put them together with concat"
        )
    return models[0]


def _images_of(results: Results) -> frozenset[ImageKey]:
    """Return the keys of the images: name, group and label.

    Nothing that depends on the preparation is part of them: images that are scored on another grid
    are the same. Images of two data sets with equal names, groups and labels are assumed to be the
    same too, so that a choice on them is never reported as one on other images.
    """
    table = results.samples
    return frozenset(
        zip(
            table["sample"].astype(str),
            table["group"].astype(str),
            [None if pd.isna(label) else int(label) for label in table["label"]],
            strict=True,
        )
    )


def _added(results: Results, choice: Choice, label: str) -> Iterator[tuple[Column, int]]:
    """Yield each new column, and the index of the column whose scores it has."""
    lacking: dict[MapKey, str] = {}
    for k, column in enumerate(results.columns):
        if not column.binarizer or _is_chosen(results, column):
            continue
        binarizer = choice.binarizer(*_map_of(column))
        lacking.setdefault(_map_of(column), binarizer)
        if column.binarizer == binarizer:
            lacking[_map_of(column)] = ""
            yield replace(column, binarizer=label), k
    for (_, kind, method), binarizer in lacking.items():
        if binarizer:
            raise SettingError(
                f"results must have the binarizer that was chosen for the {kind} {method!r}, got "
                f"no {binarizer!r}; evaluate both parts with the same binarizers"
            )


def _provenance(results: Results, choice: Choice, label: str) -> dict[str, Any]:
    """Return the provenance with the meaning of the label and the record of the choice."""
    chosen_on = _chosen_on(_images_of(results), choice.images)
    if chosen_on == "these same images" and label == VALIDATED:
        raise SettingError(
            "a choice that is applied to the images on which it was made must have another label, "
            f"got {label!r}; give it one, as in label='test optimum'"
        )
    origin = Origin(chosen_on, choice.metric, choice.higher_is_better)
    meanings = results.meanings
    binarizers = {**meanings.binarizers, label: BinarizerMeaning("chosen for each map", origin)}
    chosen = {**(results.provenance.get("chosen") or {}), label: choice.record()}
    return {
        **results.provenance,
        "meanings": replace(meanings, binarizers=binarizers).to_record(),
        "chosen": chosen,
    }


def _chosen_on(read: frozenset[ImageKey], made_on: frozenset[ImageKey]) -> ChosenOn:
    """Return the relation of the images of a choice to those to which it is applied."""
    common = len(read & made_on)
    if 0 < common < len(read):
        raise SettingError(
            "a choice must be made on other images than it is applied to, or on all of them, got "
            f"{common} of {len(read)} images in both (by name, group and label); keep the parts "
            "apart, or give images of two data sets different names"
        )
    if common:
        return "these same images"
    shared = {group for _, group, _ in read} & {group for _, group, _ in made_on}
    grouped = any(group in shared and name != group for name, group, _ in read | made_on)
    return "other images of the same groups" if grouped else "other images"

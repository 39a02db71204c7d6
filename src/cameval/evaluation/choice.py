"""The binarizer of each map that scores best on some results, to be read on others."""

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
"""The label that scores get if none is given; only a choice made on other images may have it."""

Map: TypeAlias = tuple[str, str, str]
Image: TypeAlias = tuple[str, str, int | None]


@dataclass(frozen=True)
class Choice:
    """Which binarizer is best for each map, and where that was found out.

    `choose_binarizers` makes one; `apply` reads it on other results.

    Parameters
    ----------
    metric
        By which metric it was chosen.
    higher_is_better
        Whether the highest mean was chosen, or the lowest.
    model
        Name of the model whose maps they are.
    columns
        The best column of each map, that is of each class explained, kind and method.
    scores
        The mean of each of these columns over the images that it was chosen on.
    images
        These images: name, group and label.

    Examples
    --------
    >>> from cameval.evaluation import Choice, Column
    >>> column = Column("predicted", "method", "cam", "p95", "iou")
    >>> Choice("iou", True, "net", (column,), (0.25,), frozenset()).to_pandas()
       explained    kind method binarizer metric  score
    0  predicted  method    cam       p95    iou   0.25
    """

    metric: str
    higher_is_better: bool
    model: str
    columns: tuple[Column, ...]
    scores: tuple[float, ...]
    images: frozenset[Image] = field(repr=False)

    def apply(self, results: Results, label: str = VALIDATED) -> Results:
        """Add the scores of each map under the binarizer that was chosen for it, as more columns.

        Parameters
        ----------
        results
            Results of the same network, with the same binarizers, on other images.
        label
            Under which label the scores stand beside those of the binarizers. Results on the
            images that the choice was made on need one of their own, such as ``"test optimum"``.

        Returns
        -------
        Results
            For each map and metric of masks one column more, whose binarizer is `label`. Its
            meaning (`Results.meanings`) holds by which metric it was chosen, and whether on other
            images, on other images of the same groups (patients), or on these same images;
            ``provenance["chosen"]`` holds which. The folds of a cross-validation have equal columns
            for `concat` however they chose.

        Raises
        ------
        SettingError
            If the results are of several models or of another than the choice, the label is that
            of a binarizer, a map has no binarizer that was chosen for it, the choice was made on a
            part of these images, or on all of them and the label is the default.

        Notes
        -----
        Images are the same where name, group and label are, however they were prepared.
        """
        model = _only_model(results)
        if model != self.model:
            raise SettingError(
                f"results must be of the model that the choice was made for, {self.model!r}, got "
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
        for k, column in enumerate(results.columns):  # the new ones follow the others of their map
            order.append((column, k))
            if last[_map_of(column)] == k:
                order += [(new, of) for new, of in added.items() if _map_of(new) == _map_of(column)]
        at = [k for _, k in order]
        return replace(
            results,
            columns=tuple(column for column, _ in order),
            values=results.values[:, at],
            codes=results.codes[:, at],
            provenance=_provenance(results, self, label),
        )

    def binarizer(self, target_class: str, kind: str, method: str) -> str:
        """Return the label of the binarizer that was chosen for a map.

        Where no map of the class `target_class` was there to choose by, it is the one that was chosen
        for the same method under the class that was explained first.

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
        """Return the choice as what can be written as JSON."""
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

    For each class explained, kind and method, of the binarizers :math:`b`

    .. math:: \hat b = \arg\max_b \frac{1}{|D|} \sum_{i \in D} s_i(b),

    where :math:`s_i(b)` is the score of image :math:`i` and :math:`D` the images on which it is
    defined for every binarizer; of a metric of which less is better, the least. What
    `Choice.apply` added is no candidate.

    Parameters
    ----------
    validation
        Results on images that serve for the choice alone, of one model.
    metric
        A metric of masks.
    higher_is_better
        By default what the metric says of itself (see :func:`cameval.metrics.of_masks`). Given, it
        must not contradict the metric.

    Returns
    -------
    Choice
        A binarizer for each map. Of several that score the same, the first.

    Raises
    ------
    SettingError
        If the results are of several models or lack the metric, if the metric needs no binarizer,
        or if nobody says whether more of it is better.
    DataError
        If no score of a map is defined, or a score is undefined for one binarizer and defined for
        another on the same map of an image.

    Notes
    -----
    Binarizers are compared on the same images. Where the truth is empty the score is undefined for
    all of them, and the image is left out. Where only some leave an empty mask, as distances have
    it, neither the mean of the other images nor that of the images which all have in common is
    fair: which are missing depends on what is compared. So nothing is chosen. Either an empty mask
    gets a score, as in ``HausdorffDistance(penalize_empty=True)``, or the binarizers that leave one
    are no candidates for any map: ``choose_binarizers(validation.select(binarizer=[...]), ...)``.

    Applied to the results that it was chosen on, a choice gives the best mean that any choice of
    one binarizer for each map could have. What that is better than the choice made on validation
    data is the optimism of choosing on the images that one reports::

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
    """The columns of one map, and their scores ``(N, K)`` on images where some are defined."""

    columns: Sequence[Column]
    values: NDArray[np.float64]

    @property
    def undefined(self) -> dict[str, int]:
        """On how many of the images each binarizer has no score."""
        counts = np.isnan(self.values).sum(0).tolist()
        return {column.binarizer: n for column, n in zip(self.columns, counts, strict=True)}

    @property
    def map(self) -> str:
        """The map, in words."""
        first = self.columns[0]
        return f"the {first.kind} {first.method!r} ({first.target_class} class)"

    def best(self, higher_is_better: bool) -> tuple[Column, float]:
        """Return the best column and its mean; of equals, the first."""
        pick = max if higher_is_better else min
        means = [float(self.values[:, k].copy().mean()) for k in range(len(self.columns))]
        return pick(zip(self.columns, means, strict=True), key=lambda each: each[1])


def _candidates(validation: Results, metric: str) -> Iterator[_Candidates]:
    """Yield what there is to choose from, map by map."""
    of_map: dict[Map, list[int]] = {}
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
    """Return whether higher values of a metric are better, as it says or as was asked for."""
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
            f"metric {metric!r} must say whether higher is better for a binarizer to be chosen by "
            "it, and does not; decorate it with cameval.metrics.of_masks(higher_is_better=...), or "
            "give higher_is_better"
        )
    if None not in (said, asked) and said != asked:
        raise SettingError(
            f"higher_is_better must be what the metric {metric!r} says, {said}, got {asked}"
        )
    return bool(said if asked is None else asked)


def _is_chosen(results: Results, column: Column) -> bool:
    """Tell whether a column is one that a choice has added."""
    return results.meanings.origin(column.binarizer) is not None


def _map_of(column: Column) -> Map:
    """Return which map a column is a score of."""
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


def _images_of(results: Results) -> frozenset[Image]:
    """Return what tells the images apart: name, group and label.

    Nothing that depends on how an image was prepared is part of it: the same images, scored on
    another grid of the truth, are the same. Images of two data sets with equal names, groups and
    labels are taken for the same too: that is refused or said, and never passed for validation.
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
    """Yield each new column, and the number of the one whose scores it has."""
    lacking: dict[Map, str] = {}
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
    """Return the provenance with what the label stands for, and which were chosen."""
    chosen_on = _chosen_on(_images_of(results), choice.images)
    if chosen_on == "these same images" and label == VALIDATED:
        raise SettingError(
            "a choice must have a label of its own where it is read on the images that it was made "
            f"on, got {label!r}; say what it is, as in label='test optimum'"
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


def _chosen_on(read: frozenset[Image], made_on: frozenset[Image]) -> ChosenOn:
    """Return how the images that a choice was made on stand to those that it is read on."""
    common = len(read & made_on)
    if 0 < common < len(read):
        raise SettingError(
            "a choice must be made on other images than it is read on, or on all of them, got "
            f"{common} of {len(read)} images in both (by name, group and label); keep the parts "
            "apart, or give images of two data sets different names"
        )
    if common:
        return "these same images"
    shared = {group for _, group, _ in read} & {group for _, group, _ in made_on}
    grouped = any(group in shared and name != group for name, group, _ in read | made_on)
    return "other images of the same groups" if grouped else "other images"

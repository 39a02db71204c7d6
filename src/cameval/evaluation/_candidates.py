"""Columns of scores among which the binarizer of a map is chosen, and the images they are of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import DataError, SettingError
from cameval.evaluation.meaning import Column
from cameval.evaluation.results import Results

MapKey: TypeAlias = tuple[str, Literal["method", "baseline"], str]
"""Target class, kind and method of a map."""


ImageKey: TypeAlias = tuple[str, str, int | None]
"""Name, group and label of an image; of an image with several targets, of each."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The columns of one map, and their scores ``(N, K)`` on images where one is defined.

    Parameters
    ----------
    columns, values
        The columns and their scores.
    labels
        The label of each row, -1 if it is not known, ``(N,)``.
    groups
        The group of each row, ``(N,)``.
    """

    columns: Sequence[Column]
    values: NDArray[np.float64]
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]

    @property
    def n_groups(self) -> int:
        """The number of groups with a score."""
        return len(np.unique(self.groups))

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

    def of_label(self, label: int) -> "Candidates":
        """Return the scores of the rows of one label."""
        rows = self.labels == label
        return Candidates(self.columns, self.values[rows], self.labels[rows], self.groups[rows])

    def best(self, higher_is_better: bool) -> tuple[Column, float]:
        """Return the best column and its mean; of equals, the first."""
        pick = max if higher_is_better else min
        means = [float(self.values[:, k].copy().mean()) for k in range(len(self.columns))]
        return pick(zip(self.columns, means, strict=True), key=lambda each: each[1])


def candidates(validation: Results, metric: str) -> Iterator[Candidates]:
    """Yield the columns to choose from, map by map."""
    of_map: dict[MapKey, list[int]] = {}
    for k, column in enumerate(validation.columns):
        if column.binarizer and column.metric == metric and not is_chosen(validation, column):
            of_map.setdefault(map_of(column), []).append(k)
    labels = np.array([-1 if label is None else label for label in labels_of(validation)])
    groups = validation.samples["group"].to_numpy().astype(str)
    for at in of_map.values():
        values = validation.values[:, at]
        some = ~np.isnan(values).all(1)
        columns = [validation.columns[k] for k in at]
        yield Candidates(columns, values[some], labels[some], groups[some])


def check_comparable(maps: Sequence[Candidates], images: int) -> None:
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


def direction_of(results: Results, metric: str, asked: bool | None) -> bool:
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


def is_chosen(results: Results, column: Column) -> bool:
    """Tell whether a column is one that a choice has added."""
    return results.meanings.origin(column.binarizer) is not None


def map_of(column: Column) -> MapKey:
    """Return the key of the map of a column."""
    return column.target_class, column.kind, column.method


def only_model(results: Results) -> str:
    """Return the name of the one model that the results are of."""
    models = [str(model) for model in results.samples["model"].unique()]
    if len(models) > 1:
        raise SettingError(
            f"results must be of one model, got {len(models)}; choose for each, as in "
            f"results.select(model={models[0]!r}), and put them together with concat"
        )
    return models[0]


def labels_of(results: Results) -> list[int | None]:
    """Return the label of each row, None if it is not known."""
    return [None if pd.isna(label) else int(label) for label in results.samples["label"]]


def images_of(results: Results) -> frozenset[ImageKey]:
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
            labels_of(results),
            strict=True,
        )
    )

"""The binarizer of each map that scores best on some results, to be read on others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import DataError, SettingError
from cameval.evaluation.origins import Direction, Origin
from cameval.evaluation.plan import Column
from cameval.metrics.policy import less_is_better

if TYPE_CHECKING:
    from cameval.evaluation.results import Results

__all__ = [
    "Choice",
    "Image",
    "Map",
    "choose_binarizers",
    "images_of",
    "is_chosen",
    "map_of",
    "only_model",
]

Map: TypeAlias = tuple[str, str, str]
Image: TypeAlias = tuple[str, str, int]


@dataclass(frozen=True)
class Choice:
    """Which binarizer is best for each map, and where that was found out.

    `choose_binarizers` makes one.

    Parameters
    ----------
    metric
        By which metric it was chosen.
    best
        ``"max"`` where more of it is better, else ``"min"``.
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
    >>> Choice("iou", "max", "net", (column,), (0.25,), frozenset()).to_pandas()
       explained    kind method binarizer metric  score
    0  predicted  method    cam       p95    iou   0.25
    """

    metric: str
    best: Direction
    model: str
    columns: tuple[Column, ...]
    scores: tuple[float, ...]
    images: frozenset[Image] = field(repr=False)

    def binarizer(self, explained: str, kind: str, method: str) -> str:
        """Return the label of the binarizer that was chosen for a map.

        Where no map of the class `explained` was there to choose by, it is the one that was chosen
        for the same method under the class that was explained first.

        Raises
        ------
        SettingError
            If nothing was chosen for the method.
        """
        chosen = {map_of(column): column.binarizer for column in self.columns}
        for of_class in (explained, self.columns[0].explained):
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
            "best": self.best,
            "model": self.model,
            "images": len(self.images),
            "binarizers": table.to_dict("records"),
        }


def choose_binarizers(
    validation: "Results", metric: str = "iou", *, best: Direction | None = None
) -> Choice:
    r"""Choose the binarizer of each map by its mean score.

    For each class explained, kind and method, of the binarizers :math:`b`

    .. math:: \hat b = \arg\max_b \frac{1}{|D|} \sum_{i \in D} s_i(b),

    where :math:`s_i(b)` is the score of image :math:`i` and :math:`D` the images on which it is
    defined for every binarizer. What `Results.with_chosen` added is no candidate.

    Parameters
    ----------
    validation
        Results on images that serve for the choice alone, of one model.
    metric
        A metric of masks.
    best
        ``"max"`` or ``"min"``. By default what is better of the metric: the least of distances and
        of false alarms, the most of all others. Of a metric of your own of which less is better,
        say ``"min"``.

    Returns
    -------
    Choice
        A binarizer for each map. Of several that score the same, the first.

    Raises
    ------
    SettingError
        If the results are of several models or lack the metric, if the metric needs no binarizer,
        or if `best` is another word.
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

        optimum = test.with_chosen(choose_binarizers(test), label="test optimum")

    Examples
    --------
    ``test.with_chosen(choose_binarizers(validation)).select(binarizer="validated").summary()``
    """
    if best not in (None, "max", "min"):
        raise SettingError(
            f"best must be 'max' or 'min', or None for what is better of the metric, got {best!r}"
        )
    model = only_model(validation)
    maps = list(_candidates(validation, metric))
    if not maps:
        there = dict.fromkeys(c.metric for c in validation.columns if c.binarizer)
        raise SettingError(
            f"metric must be one of the metrics of masks ({', '.join(there)}), got {metric!r}"
        )
    _check_comparable(maps, len(validation))
    direction = best or _better(validation, metric)
    chosen = [each.best(direction) for each in maps]
    columns, scores = zip(*chosen, strict=True)
    return Choice(metric, direction, model, columns, scores, images_of(validation))


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
        return f"the {first.kind} {first.method!r} ({first.explained} class)"

    def best(self, direction: Direction) -> tuple[Column, float]:
        """Return the best column and its mean; of equals, the first."""
        pick = max if direction == "max" else min
        means = [float(self.values[:, k].copy().mean()) for k in range(len(self.columns))]
        return pick(zip(self.columns, means, strict=True), key=lambda each: each[1])


def _candidates(validation: "Results", metric: str) -> Iterator[_Candidates]:
    """Yield what there is to choose from, map by map."""
    of_map: dict[Map, list[int]] = {}
    for k, column in enumerate(validation.columns):
        if column.binarizer and column.metric == metric and not is_chosen(validation, column):
            of_map.setdefault(map_of(column), []).append(k)
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


def _better(results: "Results", metric: str) -> Direction:
    """Return the direction of a metric, known by what stands behind its label."""
    known = (results.provenance.get("settings") or {}).get("metrics")
    described = known.get(metric, metric) if isinstance(known, Mapping) else metric
    return "min" if less_is_better(str(described)) else "max"


def is_chosen(results: "Results", column: Column) -> bool:
    """Tell whether a column is one that a choice has added."""
    known = (results.provenance.get("settings") or {}).get("binarizers")
    described = known.get(column.binarizer) if isinstance(known, Mapping) else None
    return Origin.of(described) is not None


def map_of(column: Column) -> Map:
    """Return which map a column is a score of."""
    return column.explained, column.kind, column.method


def only_model(results: "Results") -> str:
    """Return the name of the one model that the results are of."""
    models = [str(model) for model in results.samples["model"].unique()]
    if len(models) > 1:
        raise SettingError(
            f"results must be of one model, got {len(models)}; choose for each, as in "
            f"results.select(model={models[0]!r}), and put them together with Results.concat"
        )
    return models[0]


def images_of(results: "Results") -> frozenset[Image]:
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
            table["label"].astype(int),
            strict=True,
        )
    )

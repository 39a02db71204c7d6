"""Binarizers that are chosen on some results, by their scores, and read on others."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import DataError, SettingError
from cameval.evaluation.plan import Column

if TYPE_CHECKING:
    from cameval.evaluation.results import Results

__all__ = [  # noqa: RUF022 - sorted as Python sorts
    "Choice",
    "SAME_IMAGES",
    "VALIDATION",
    "choose_binarizers",
    "with_chosen",
]

VALIDATION = "chosen on validation data"
SAME_IMAGES = "chosen on these same images"
"""How the setting of a label begins whose binarizers were chosen; the metric follows."""

Map: TypeAlias = tuple[str, str, str]
Image: TypeAlias = tuple[str, str, int, float]


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
        These images: name, group, label and the share of the pixels that are true.

    Examples
    --------
    >>> column = Column("predicted", "method", "cam", "p95", "iou")
    >>> Choice("iou", "max", "net", (column,), (0.25,), frozenset()).to_pandas()
       explained    kind method binarizer metric  score
    0  predicted  method    cam       p95    iou   0.25
    """

    metric: str
    best: Literal["max", "min"]
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
        chosen = {_map_of(column): column.binarizer for column in self.columns}
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
    validation: "Results", metric: str = "iou", *, best: Literal["max", "min"] = "max"
) -> Choice:
    r"""Choose the binarizer of each map by its mean score.

    For each class explained, kind and method, of the binarizers :math:`b`

    .. math:: \hat b = \arg\max_b \frac{1}{|D_b|} \sum_{i \in D_b} s_i(b),

    where :math:`s_i(b)` is the score of image :math:`i` and :math:`D_b` the images on which it is
    defined. What `Results.with_chosen` added is no candidate.

    Parameters
    ----------
    validation
        Results on images that serve for the choice alone, of one model.
    metric
        A metric of masks.
    best
        ``"min"`` where less is better, as of distances.

    Returns
    -------
    Choice
        A binarizer for each map. Of several that score the same, the first; one whose score is
        undefined on every image is never chosen.

    Raises
    ------
    SettingError
        If the results are of several models or lack the metric, if the metric needs no binarizer,
        or if `best` is another word.
    DataError
        If no score of a map is defined.

    Notes
    -----
    Applied to the results that it was chosen on, a choice gives the highest mean that any choice
    of one binarizer for each map could have. What that is above the choice made on validation data
    is the optimism of choosing on the images that one reports::

        optimum = test.with_chosen(choose_binarizers(test), label="test optimum")

    Examples
    --------
    ``test.with_chosen(choose_binarizers(validation)).select(binarizer="validated").summary()``
    """
    if best not in ("max", "min"):
        raise SettingError(f"best must be 'max' or 'min', got {best!r}")
    model = _only_model(validation)
    means: dict[Map, dict[Column, float]] = {}
    for k, column in enumerate(validation.columns):
        if column.binarizer and column.metric == metric and not _derived(validation, column):
            score = _mean(validation.values[:, k])
            means.setdefault(_map_of(column), {})[column] = score
    if not means:
        there = dict.fromkeys(c.metric for c in validation.columns if c.binarizer)
        raise SettingError(
            f"metric must be one of the metrics of masks ({', '.join(there)}), got {metric!r}"
        )
    chosen = [_best(of_map, best) for of_map in means.values()]
    scores = (means[_map_of(column)][column] for column in chosen)
    return Choice(metric, best, model, tuple(chosen), tuple(scores), _images(validation))


def with_chosen(results: "Results", choice: Choice, label: str) -> "Results":
    """Add the columns of the chosen binarizers under a label; see `Results.with_chosen`."""
    _only_model(results)
    taken = {column.binarizer for column in results.columns}
    if not isinstance(label, str) or not label or label in taken:
        raise SettingError(
            f"label must be a word that no binarizer has yet ({', '.join(sorted(taken - {''}))}), "
            f"got {label!r}"
        )
    added = dict(_added(results, choice, label))
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
        provenance=_provenance(results, choice, label),
    )


def _added(results: "Results", choice: Choice, label: str) -> Iterator[tuple[Column, int]]:
    """Yield each new column, and the number of the one whose scores it has."""
    lacking: dict[Map, str] = {}
    for k, column in enumerate(results.columns):
        if not column.binarizer or _derived(results, column):
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


def _provenance(results: "Results", choice: Choice, label: str) -> dict[str, Any]:
    """Return the provenance with what the label stands for, and which were chosen."""
    images = _images(results)
    common = len(images & choice.images)
    if 0 < common < len(images):
        raise SettingError(
            "a choice must be made on other images than it is read on, or on all of them, got "
            f"{common} of {len(images)} images in both"
        )
    settings = dict(results.provenance.get("settings") or {})
    known = settings.get("binarizers")
    described = f"{SAME_IMAGES if common else VALIDATION} by {choice.metric}"
    settings["binarizers"] = {**(known if isinstance(known, Mapping) else {}), label: described}
    chosen = {**(results.provenance.get("chosen") or {}), label: choice.record()}
    return {**results.provenance, "settings": settings, "chosen": chosen}


def _derived(results: "Results", column: Column) -> bool:
    """Tell whether a column is one that a choice has added."""
    known = (results.provenance.get("settings") or {}).get("binarizers")
    described = known.get(column.binarizer) if isinstance(known, Mapping) else None
    return str(described).startswith((VALIDATION, SAME_IMAGES))


def _best(means: Mapping[Column, float], best: Literal["max", "min"]) -> Column:
    defined = {column: mean for column, mean in means.items() if not np.isnan(mean)}
    if not defined:
        column = next(iter(means))
        raise DataError(
            f"each map must have a defined {column.metric} on some image to choose by, got none "
            f"for the {column.kind} {column.method!r}"
        )
    pick = max if best == "max" else min
    return pick(defined, key=lambda column: defined[column])  # of equals, the first


def _mean(values: NDArray[np.float64]) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if defined.size else float("nan")


def _map_of(column: Column) -> Map:
    return column.explained, column.kind, column.method


def _only_model(results: "Results") -> str:
    models = [str(model) for model in results.samples["model"].unique()]
    if len(models) > 1:
        raise SettingError(
            f"results must be of one model, got {len(models)}; choose for each, as in "
            f"results.select(model={models[0]!r}), and put them together with Results.concat"
        )
    return models[0]


def _images(results: "Results") -> frozenset[Image]:
    """Return what tells the images apart, also where two data sets have the same names."""
    table = results.samples
    return frozenset(
        zip(
            table["sample"].astype(str),
            table["group"].astype(str),
            table["label"].astype(int),
            table["area"].astype(float),
            strict=True,
        )
    )

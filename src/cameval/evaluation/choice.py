"""Choice of the best binarizer of each map on validation results, applied to other results."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import SettingError
from cameval.evaluation._candidates import (
    ImageKey,
    MapKey,
    candidates,
    check_comparable,
    direction_of,
    images_of,
    is_chosen,
    labels_of,
    map_of,
    only_model,
)
from cameval.evaluation._chosen_methods import chosen_method
from cameval.evaluation._run_folder import runs
from cameval.evaluation._words import plain_name
from cameval.evaluation.meaning import BinarizerMeaning, ChosenOn, Column, Origin
from cameval.evaluation.results import Results
from cameval.evaluation.same_data import content_keys
from cameval.statistics import ENOUGH_GROUPS

__all__ = ["Choice", "choose_binarizers"]

VALIDATED: Final = "validated"
"""The default label of chosen binarizers; only a choice made on other images may have it."""


@dataclass(frozen=True)
class Choice:
    """The best binarizer of each map, or of each map and label, and the images of the choice.

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
        The best column of each map, that is of each target class, kind and method. In a choice by
        label, the best over all labels and then the best of each label.
    scores
        The mean of each of these columns over the images on which it was chosen.
    images
        Name, group and label of these images.
    contents
        Checksums of image and truth of those with an object, where they are known.
    labels
        In a choice by label, the label of each of these columns; None for all labels together.
    fallbacks
        In a choice by label, maps and labels without a defined score. Each has the column of its
        map that is the best over all labels.
    n_groups
        The number of groups with a score, for each of these columns; empty if it is not known.
    settings
        The labels of the binarizers, each with how it is written in Python, where it is known.
    weights
        Hashes of the weights of the network, where they are known.

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
    images: frozenset[ImageKey]
    contents: frozenset[tuple[float, float]] = frozenset()
    labels: tuple[int | None, ...] = ()
    fallbacks: tuple[tuple[Column, int], ...] = ()
    n_groups: tuple[int, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    weights: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        """Return the metric, the model, and the numbers of maps, labels, images and groups.

        It says how many binarizers were chosen on fewer than ten groups.
        """
        way = "lowest" if not self.higher_is_better else "highest"
        labels = " and label" if self.by else ""
        counts = {"map": len({map_of(column) for column in self.columns})}
        counts |= {"label": len({*self.labels} - {None})} if self.by else {}
        shown = [
            f"{count:,} {name}{'s' * (count != 1)}"
            for name, count in (counts | self._counts).items()
        ]
        of_maps, others = " and ".join(shown[: len(counts)]), shown[len(counts) :]
        few = sum(count < ENOUGH_GROUPS for count in self.n_groups)
        share = f"{few} of {len(self.n_groups)} binarizers chosen"
        caution = f"; caution: {share} on fewer than {ENOUGH_GROUPS} groups" if few else ""
        return (
            f"Choice(by the {way} {self.metric} of each map{labels}: binarizers of {of_maps}, "
            f"model {self.model}, {', '.join(others)}{caution}; to_pandas() lists them)"
        )

    @property
    def _counts(self) -> dict[str, int]:
        """The numbers of images and groups."""
        return {
            "image": len({(name, group) for name, group, _ in self.images}),
            "group": len({group for _, group, _ in self.images}),
        }

    @property
    def by(self) -> Literal["label"] | None:
        """``"label"`` if each label has its own binarizers, else None."""
        return "label" if self.labels else None

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
            With one more column for each map and metric of masks, whose binarizer is `label`. In a
            choice by label, each row has the score of the binarizer of its own label. The meaning
            of the new binarizer (`Results.meanings`) is the metric of the choice, and whether the
            choice was made on other images, on other images (perhaps) of the same groups
            (patients), or on these same images; ``provenance["chosen"]`` is the record of the
            choice. So the folds of a cross-validation have equal columns for `concat` even if
            their choices differ.

        Raises
        ------
        SettingError
            If the results are of several models or of another model than the choice, by name or
            weights, a binarizer has another setting than in the choice, the label is that of a
            binarizer, no binarizer was chosen for a map, the choice was made on a part of these
            images, or it was made on all of them and the label is the default.

        Notes
        -----
        Images are the same if name, group and label are equal, however they were prepared. Images
        of the same pixels and the same truth under another name are copies, and are refused.

        Examples
        --------
        The column that is added has the scores of the chosen binarizer:

        >>> import numpy as np
        >>> from cameval import PercentileBinarizer, Sample, choose_binarizers, evaluate_maps, iou
        >>> values = np.arange(20, dtype=np.float32).reshape(4, 5) / 19
        >>> images = {"a": values, "b": values[::-1].copy()}
        >>> samples = [Sample(name, one, one > 14.5 / 19) for name, one in images.items()]
        >>> maps = {"brightness": lambda sample: sample.image}
        >>> binarizers = [PercentileBinarizer(75), PercentileBinarizer(95)]
        >>> results = evaluate_maps(maps, samples, binarizers=binarizers, metrics=iou, baselines={})
        >>> choice = choose_binarizers(results.select(sample="a"))
        >>> test = choice.apply(results.select(sample="b"))
        >>> [column.binarizer for column in test.columns]
        ['percentile:75', 'percentile:95', 'validated']
        >>> test.values.round(2).tolist()
        [[1.0, 0.2, 1.0]]
        """
        model = only_model(results)
        if model != self.model:
            raise SettingError(
                f"results must be of the model of the choice, {self.model!r}, got "
                f"{model!r}; choose on validation results of the same network, evaluated under one "
                "name"
            )
        _check_same(self, results)
        taken = {column.binarizer for column in results.columns}
        if not isinstance(label, str) or not label or label in taken:
            raise SettingError(
                "label must be a word that no binarizer has yet "
                f"({', '.join(sorted(taken - {''}))}), got {label!r}"
            )
        added = dict(_added(results, self, label))
        if not added:
            raise SettingError("results must have a metric of masks for a binarizer, got none")
        last = {map_of(column): k for k, column in enumerate(results.columns)}
        order: list[tuple[Column, NDArray[np.intp]]] = []
        for k, column in enumerate(results.columns):  # new ones follow the others of their map
            order.append((column, np.full(len(results), k)))
            if last[map_of(column)] == k:
                order += [(new, of) for new, of in added.items() if map_of(new) == map_of(column)]
        at = np.stack([of for _, of in order], 1)
        return replace(
            results,
            columns=tuple(column for column, _ in order),
            values=np.take_along_axis(results.values, at, 1),
            codes=np.take_along_axis(results.codes, at, 1),
            weights=np.take_along_axis(results.weights, at, 1),
            provenance=_provenance(results, self, label),
        )

    def binarizer(self, target_class: str, kind: str, method: str, label: int | None = None) -> str:
        """Return the label of the binarizer that was chosen for a map, or for a map and a label.

        If the choice has none for the label, or the label is None, it is the binarizer that was
        chosen over all labels. If the choice has no map of this target class, it is the binarizer
        that was chosen for the same method and the first target class.

        Raises
        ------
        SettingError
            If nothing was chosen for the method.

        Examples
        --------
        >>> from cameval.evaluation import Choice, Column
        >>> columns = (
        ...     Column("predicted", "method", "cam", "otsu", "iou"),
        ...     Column("predicted", "method", "cam", "percentile:95", "iou"),
        ... )
        >>> choice = Choice("iou", True, "net", columns, (0.2, 0.3), frozenset(), labels=(None, 2))
        >>> choice.binarizer("predicted", "method", "cam")
        'otsu'
        >>> choice.binarizer("predicted", "method", "cam", label=2)
        'percentile:95'
        >>> choice.binarizer("predicted", "method", "cam", label=0)  # it has none of its own
        'otsu'
        """
        for of_class in (target_class, self.columns[0].target_class):
            for of_label in (label, None):
                found = self._chosen.get(((of_class, kind, method), of_label))
                if found is not None:
                    return found
        known = ", ".join(dict.fromkeys(column.method for column in self.columns))
        raise SettingError(
            f"choice must have a binarizer for each map, got none for the {kind} {method!r}, only "
            f"for {known}; evaluate it on the validation data too"
        )

    def best_method(self, target_class: str | None = None) -> str:
        """Return the method with the best mean on the images of the choice, the first of equals.

        Each method has its chosen binarizer, in a choice by label that of all labels together.

        Parameters
        ----------
        target_class
            Of the maps; by default the first of the choice.

        Raises
        ------
        SettingError
            If the choice has no method of the target class.

        Examples
        --------
        >>> from cameval.evaluation import Choice, Column
        >>> columns = (
        ...     Column("predicted", "method", "cam", "otsu", "iou"),
        ...     Column("predicted", "method", "layer_cam", "percentile:95", "iou"),
        ... )
        >>> Choice("iou", True, "net", columns, (0.2, 0.3), frozenset()).best_method()
        'layer_cam'
        """
        found = chosen_method(self.record(), target_class)
        if found is None:
            known = dict.fromkeys(c.target_class for c in self.columns if c.kind == "method")
            raise SettingError(
                f"target_class must be one of the methods of the choice ({', '.join(known)}), got "
                f"{target_class!r}"
            )
        return found.method

    @cached_property
    def _chosen(self) -> dict[tuple[tuple[str, str, str], int | None], str]:
        """The binarizer of each map and label; None for all labels together."""
        labels = self.labels or (None,) * len(self.columns)
        return {
            (map_of(column), label): column.binarizer
            for column, label in zip(self.columns, labels, strict=True)
        }

    def to_pandas(self) -> pd.DataFrame:
        """Return the choice as a table, one row for each map: a :class:`Column` and its score.

        A choice by label has a row for each map and label, with the columns ``label``, which is
        missing for all labels together, and ``fallback``: whether the label has the binarizer, and
        the score, of all labels together because it had no defined score.

        ``n_groups`` is the number of groups with a score, and ``is_reliable`` whether they are ten
        or more: with fewer, other images may lead to another choice. A choice that was not made by
        `choose_binarizers` lacks both.
        """
        order = list(range(len(self.columns)))
        if self.labels:
            overall = {
                column: k
                for k, (column, label) in enumerate(zip(self.columns, self.labels, strict=True))
                if label is None
            }
            order += [overall[column] for column, _ in self.fallbacks]
        table = pd.DataFrame([asdict(self.columns[k]) for k in order])
        table["score"] = [self.scores[k] for k in order]
        if self.n_groups:
            table["n_groups"] = [self.n_groups[k] for k in order]
            table["is_reliable"] = table["n_groups"] >= ENOUGH_GROUPS
        if self.labels:
            labels = [*self.labels, *(label for _, label in self.fallbacks)]
            table.insert(0, "label", pd.Series(pd.array(labels, dtype="Int64")))
            table["fallback"] = np.arange(len(table)) >= len(self.columns)
        return table

    def record(self) -> dict[str, Any]:
        """Return the choice as a dictionary for JSON.

        Examples
        --------
        >>> from cameval.evaluation import Choice, Column
        >>> column = Column("predicted", "method", "cam", "percentile:95", "iou")
        >>> record = Choice("iou", True, "net", (column,), (0.25,), frozenset()).record()
        >>> record["metric"], record["binarizers"][0]["binarizer"], record["binarizers"][0]["score"]
        ('iou', 'percentile:95', 0.25)
        """
        table = self.to_pandas().drop(columns=["metric", "is_reliable"], errors="ignore")
        rows = table.to_dict("records")
        for row in rows:
            if "label" in row:
                row["label"] = None if pd.isna(row["label"]) else int(row["label"])
        return {
            "metric": self.metric,
            "higher_is_better": self.higher_is_better,
            "model": self.model,
            "by": self.by,
            "images": self._counts["image"],
            "groups": self._counts["group"],
            "binarizers": rows,
        }


def choose_binarizers(
    validation: Results,
    metric: str = "iou",
    *,
    by: Literal["label"] | None = None,
    higher_is_better: bool | None = None,
) -> Choice:
    r"""Choose the binarizer of each map, or of each map and label, by its mean score.

    For each target class, kind and method, of the binarizers :math:`b`

    .. math:: \hat b = \arg\max_b \frac{1}{|D|} \sum_{i \in D} s_i(b),

    where :math:`s_i(b)` is the score of image :math:`i`, and :math:`D` the images on which it is
    defined for every binarizer. If lower values of the metric are better, it is the minimum.
    Columns that `Choice.apply` added are no candidates.

    A choice on few groups (patients) varies much from one set of images to another. Where it is
    made on fewer than ten groups, the repr of the choice and ``is_reliable`` of its table say so.

    Parameters
    ----------
    validation
        Results of one model on images that are used only for the choice.
    metric
        A metric of masks.
    by
        ``"label"`` to choose for each label by itself, as thresholds are tuned for each finding of
        chest X-rays. By default each map has one binarizer.
    higher_is_better
        By default the property of the metric (see :func:`cameval.metrics.of_masks`), which it must
        not contradict.

    Returns
    -------
    Choice
        A binarizer for each map, by label for each map and label; the first of those with equal
        means.

    Raises
    ------
    SettingError
        If the results are of several models or lack the metric, if the metric needs no binarizer,
        if it is not known whether higher values of it are better, or if the choice is by label and
        no label is known.
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

    By label, :math:`D` are the rows of the label, and the choice over all labels is made too. It is
    the fallback, and ``Choice.fallbacks`` lists where it was needed: a label for which no score of
    a map is defined, such as one that is nowhere present, has the binarizer of all labels together.
    So have rows without a label, and labels of other results that the validation results lack.

    Applied to the results on which it was made, a choice gives the best mean of any choice of one
    binarizer for each map. Its difference from the choice made on validation data is the optimism
    of choosing on the test images::

        optimum = choose_binarizers(test).apply(test, label="test optimum")

    References
    ----------
    A. Saporta et al., "Benchmarking Saliency Methods for Chest X-ray Interpretation", Nature
    Machine Intelligence 4 (2022).

    Examples
    --------
    The truth is the highest quarter of the pixels, which the 75th percentile finds:

    >>> import numpy as np
    >>> from cameval import PercentileBinarizer, Sample, choose_binarizers, evaluate_maps, iou
    >>> values = np.arange(20, dtype=np.float32).reshape(4, 5) / 19
    >>> images = {"a": values, "b": values[::-1].copy()}
    >>> samples = [Sample(name, one, one > 14.5 / 19, label=0) for name, one in images.items()]
    >>> binarizers = [PercentileBinarizer(75), PercentileBinarizer(95)]
    >>> maps = {"brightness": lambda sample: sample.image}
    >>> results = evaluate_maps(maps, samples, binarizers=binarizers, metrics=iou, baselines={})
    >>> validation, test = results.select(sample="a"), results.select(sample="b")
    >>> choice = choose_binarizers(validation)
    >>> choice.to_pandas()[["method", "binarizer", "score"]]
           method      binarizer  score
    0  brightness  percentile:75    1.0
    >>> applied = choice.apply(test)
    >>> for column, value in zip(applied.columns, applied.values[0], strict=True):
    ...     print(column.binarizer, round(float(value), 2))
    percentile:75 1.0
    percentile:95 0.2
    validated 1.0

    A choice for each class, and one for all classes together, which has no label:

    >>> choose_binarizers(validation, by="label").to_pandas()[["label", "binarizer", "score"]]
       label      binarizer  score
    0   <NA>  percentile:75    1.0
    1      0  percentile:75    1.0
    """
    model = only_model(validation)
    if by not in (None, "label"):
        raise SettingError(f"by must be 'label' or None, got {by!r}")
    known = sorted(label for label in set(labels_of(validation)) if label is not None)
    if by and not known:
        raise SettingError(
            "a choice by label needs results with labels, got none; give the samples or targets a "
            "label"
        )
    maps = list(candidates(validation, metric))
    if not maps:
        there = dict.fromkeys(c.metric for c in validation.columns if c.binarizer)
        raise SettingError(
            f"metric must be one of the metrics of masks ({', '.join(there)}), got {metric!r}"
        )
    check_comparable(maps, len(validation))
    direction = direction_of(validation, metric, higher_is_better)
    chosen: list[tuple[Column, float, int | None, int]] = []
    fallbacks: list[tuple[Column, int]] = []
    for each in maps:
        overall = each.best(direction)
        chosen.append((*overall, None, each.n_groups))
        for label in known if by else ():
            if len((part := each.of_label(label)).values):
                chosen.append((*part.best(direction), label, part.n_groups))
            else:
                fallbacks.append((overall[0], label))
    columns, scores, labels, n_groups = zip(*chosen, strict=True)
    return Choice(
        metric,
        direction,
        model,
        columns,
        scores,
        images_of(validation),
        content_keys(validation),
        labels if by else (),
        tuple(fallbacks),
        n_groups,
        tuple(_settings_of(validation).items()),
        _weights_of(validation),
    )


def _settings_of(results: Results) -> dict[str, str]:
    """Return how the binarizers that are no choice are written in Python, by label."""
    known = results.meanings.binarizers
    return {label: one.setting for label, one in known.items() if one.origin is None}


def _weights_of(results: Results) -> frozenset[str]:
    """Return the hashes of the weights of the networks of results, as far as they are known."""
    found = ((run.get("settings") or {}).get("weights") for run in runs(results.provenance))
    return frozenset(str(one) for one in found if one)


def _check_same(choice: Choice, results: Results) -> None:
    """Check that results are of the network of a choice, and have its binarizers."""
    weights = _weights_of(results)
    if choice.weights and weights and not weights <= choice.weights:
        raise SettingError(
            f"results must be of the network of the choice, got {choice.model!r} with other "
            "weights; choose on validation results of the same network, and give each network a "
            "name of its own, as in evaluate(..., name='resnet50, seed 1')"
        )
    came = _settings_of(results)
    for label, setting in choice.settings:
        if came.get(label, setting) != setting:
            raise SettingError(
                f"binarizer {label!r} must be that of the choice, {setting}, got {came[label]}; "
                "evaluate both parts with the same binarizers"
            )


def _added(
    results: Results, choice: Choice, label: str
) -> Iterator[tuple[Column, NDArray[np.intp]]]:
    """Yield each new column, and the index of the column whose score each row has, ``(N,)``."""
    at = {column: k for k, column in enumerate(results.columns)}
    of_maps: dict[MapKey, list[Column]] = {}
    for column in results.columns:
        if column.binarizer and not is_chosen(results, column):
            of_maps.setdefault(map_of(column), []).append(column)
    labels = labels_of(results) if choice.by else [None] * len(results)
    number = {one: k for k, one in enumerate(dict.fromkeys(labels))}
    of_row = np.array([number[one] for one in labels])
    for key, columns in of_maps.items():
        wanted = [choice.binarizer(*key, one) for one in number]
        there = {column.binarizer for column in columns}
        if lacking := [binarizer for binarizer in wanted if binarizer not in there]:
            raise SettingError(
                f"results must have the binarizer that was chosen for the {key[1]} {key[2]!r}, got "
                f"no {lacking[0]!r}; evaluate both parts with the same binarizers"
            )
        for metric in dict.fromkeys(column.metric for column in columns):
            sources = [at.get(Column(*key, binarizer, metric), -1) for binarizer in wanted]
            if min(sources) >= 0:
                yield Column(*key, label, metric), np.array(sources)[of_row]


def _provenance(results: Results, choice: Choice, label: str) -> dict[str, Any]:
    """Return the provenance with the meaning of the label and the record of the choice."""
    chosen_on = _chosen_on(images_of(results), choice.images)
    copies = content_keys(results) & choice.contents
    if copies and chosen_on != "these same images":
        raise SettingError(
            f"a choice must be made on other images than it is applied to, got {len(copies)} with "
            "the same image and truth under another name; leave the copies out of one part"
        )
    if chosen_on == "these same images" and label == VALIDATED:
        raise SettingError(
            "a choice that is applied to the images on which it was made must have another label, "
            f"got {label!r}; give it one, as in label='test optimum'"
        )
    origin = Origin(chosen_on, choice.metric, choice.higher_is_better, choice.by)
    meanings = results.meanings
    setting = "chosen for each map and label" if choice.by else "chosen for each map"
    binarizers = {**meanings.binarizers, label: BinarizerMeaning(setting, origin)}
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
    shared = {plain_name(group) for _, group, _ in read}
    shared &= {plain_name(group) for _, group, _ in made_on}
    if any(plain_name(group) in shared and name != group for name, group, _ in read | made_on):
        return "other images of the same groups"
    if _has_groups(read) != _has_groups(made_on):
        return "other images, perhaps of the same groups"
    return "other images"


def _has_groups(images: frozenset[ImageKey]) -> bool:
    """Tell whether an image is not a group of its own."""
    return any(name != group for name, group, _ in images)

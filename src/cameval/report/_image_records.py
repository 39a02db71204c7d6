"""The scores of all images that have a picture, as the page has them: JSON for its script."""

import json
from base64 import b64encode
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.evaluation import REASONS, Column, Results
from cameval.evaluation._contents import Contents
from cameval.evaluation._scores import Images, images_by_model
from cameval.evaluation._words import one_line, replace_unprintable
from cameval.evaluation.meaning import CONSTANT
from cameval.report._image_index import ModelPictures, Tile
from cameval.report._names import Names
from cameval.report._targets import targets_of

_LONGEST_NAME = 400


@dataclass(eq=False)
class _Words:
    """Different texts, by their numbers."""

    known: dict[Hashable, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)

    def number(self, key: Hashable, text: str) -> int:
        """Return the number of a text, which has a key."""
        if key not in self.known:
            self.known[key] = len(self.texts)
            self.texts.append(text)
        return self.known[key]


@dataclass(eq=False)
class Records:
    """The records of the images of all models.

    Parameters
    ----------
    results
        All results of the page.
    names
        The words of the page.
    columns
        The column of each model that is shown first; by default the one with the best mean.
    """

    results: Results
    names: Names
    columns: Mapping[str, Column]
    _classes: _Words = field(default_factory=_Words)
    _binarizers: _Words = field(default_factory=_Words)
    _groups: _Words = field(default_factory=_Words)
    _samples: _Words = field(default_factory=_Words)
    _badges: _Words = field(default_factory=_Words)
    _predictions: _Words = field(default_factory=_Words)
    _remarks: _Words = field(default_factory=_Words)
    _arrays: _Words = field(default_factory=_Words)
    _lists: dict[str, Any] = field(default_factory=dict)
    _models: list[dict[str, Any]] = field(default_factory=list)

    def add(self, pictures: ModelPictures, tiles: Sequence[Tile], rows: Sequence[int]) -> None:
        """Add the pictures of a model, which are of these rows of the results."""
        of_model = (self.results.samples["model"] == pictures.model).to_numpy()
        at = np.searchsorted(np.flatnonzero(of_model), rows)
        images = images_by_model(self.results)[pictures.model]
        samples = images.samples.iloc[at]
        columns = [pictures.column(k, self.results.columns) for k in range(len(pictures.pairs))]
        pairs = [
            self._pair(column, k, pictures.pairs[k], images, at)
            for k, column in enumerate(columns)
            if column is not None
        ]
        of_targets: dict[str, Any] = {
            "sample": [self._sample(tile.sample) for tile in tiles],
            "group": [self._group(group) for group in samples["group"]],
            "label": [self._class(label) for label in samples["label"]],
            "badge": self._badge_numbers(images, at),
            "predicted": self._prediction_numbers(images, at),
            "right": _right(images)[at].tolist() if images.has_accuracy else None,
            "probability": _rounded(samples["probability"], 4),
            "area": _rounded(samples["area"], 5),
            "aspect": [tile.aspect for tile in tiles],
            "photo": [_number(tile.thumb) for tile in tiles],
            "part": [_number(tile.part) for tile in tiles],
            "place": [tile.place for tile in tiles],
            "remark": [self._remarks.number(t.remark, one_line(t.remark)) for t in tiles],
        }
        self._models.append(
            {
                "name": one_line(pictures.model),
                "lists": {name: self._list(values) for name, values in of_targets.items()},
                "pairs": pairs,
                "start": self._start(pictures.model, [one for one in columns if one is not None]),
                "masks": len({binarizer for _, _, binarizer, _ in pictures.pairs}),
            }
        )

    def json(self) -> str:
        """Return the records as JSON without the character <."""
        contents, metric = self.names.contents, self.metric
        meaning = contents.averaged_metrics[metric]
        multilabel = self.names.is_multilabel
        record = {
            "row": self.names.row,
            "metric": contents.title(metric),
            "higher": meaning.higher_is_better,
            "range": meaning.value_range,
            "multilabel": multilabel,
            "rated": "class of the target" if multilabel else "predicted class",
            "reasons": list(REASONS),
            "classes": self._classes.texts,
            "groups": self._groups.texts,
            "samples": self._samples.texts,
            "badges": self._badges.texts,
            "predictions": self._predictions.texts,
            "remarks": self._remarks.texts,
            "arrays": self._arrays.texts,
            "lists": list(self._lists.values()),
            "targets": [self.names.target_class(one) for one in contents.target_classes],
            "methods": [one_line(one) for one in contents.methods],
            "binarizers": self._binarizers.texts,
            "models": self._models,
        }
        text = json.dumps(record, separators=(",", ":"), allow_nan=False)
        return text.replace("<", "\\u003c")

    @property
    def has_wrong(self) -> bool:
        """Whether an image has a wrong prediction."""
        return bool(self._badges.texts)

    @property
    def metric(self) -> str:
        """The label of the metric of all scores."""
        from_pairs = (pair["metric"] for model in self._models for pair in model["pairs"])
        return str(next(from_pairs))

    def _pair(
        self,
        column: Column,
        number: int,
        pair: tuple[str, str, str, str],
        images: Images,
        at: NDArray[np.intp],
    ) -> dict[str, Any]:
        """Return the scores of a target class, method and binarizer."""
        contents = self.names.contents
        values = images.values(column)[at]
        codes = self._codes(images, column)[at]
        guess = best_guess(self.results, contents, images.model, column)
        bound = bound_of(contents, column)
        bounded = None if bound is None or bound not in images.columns else images.values(bound)
        return {
            "metric": column.metric,
            "number": number,
            "target": contents.target_classes.index(column.target_class),
            "method": contents.methods.index(column.method),
            "binarizer": self._binarizers.number(pair[2], one_line(pair[2])) if pair[2] else -1,
            "score": self._array(values, np.float64),
            "guess": -1 if guess is None else self._array(images.values(guess)[at], np.float64),
            "by": "" if guess is None else one_line(guess.method),
            "bound": -1 if bounded is None else self._array(bounded[at], np.float32),
            "why": {
                str(k): int(code & ~CONSTANT)
                for k, (code, value) in enumerate(zip(codes.tolist(), values, strict=True))
                if np.isnan(value)
            },
            "constant": np.flatnonzero(codes & CONSTANT).tolist(),
        }

    def _start(self, model: str, columns: Sequence[Column]) -> int:
        """Return the number of the pair that is shown first."""
        if (asked := self.columns.get(model)) in columns:
            return columns.index(asked)
        best = best_column(self.results, self.names.contents, model, columns)
        return 0 if best is None else columns.index(best)

    def _codes(self, images: Images, column: Column) -> NDArray[np.uint8]:
        of_model = (self.results.samples["model"] == images.model).to_numpy()
        codes: NDArray[np.uint8] = self.results.codes[of_model, self.results.columns.index(column)]
        return codes

    def _array(self, values: NDArray[np.float64], kind: type[np.floating[Any]]) -> int:
        data = np.ascontiguousarray(values, np.dtype(kind).newbyteorder("<")).tobytes()
        return self._arrays.number(data, b64encode(data).decode("ascii"))

    def _list(self, values: object) -> int:
        """Return the number of a list; models with equal lists share it."""
        key = json.dumps(values)
        self._lists.setdefault(key, values)
        return list(self._lists).index(key)

    def _sample(self, name: str) -> int:
        return self._samples.number(name, replace_unprintable(name)[:_LONGEST_NAME])

    def _group(self, group: object) -> int:
        return self._groups.number(group, one_line(group))

    def _class(self, label: Any) -> int:
        if pd.isna(label):
            return -1
        return self._classes.number(int(label), self.names.class_name(int(label)))

    def _badge_numbers(self, images: Images, at: NDArray[np.intp]) -> list[int]:
        """Return the number of what is said of a wrong prediction, -1 for none."""
        numbers = np.full(len(images.samples), -1)
        for k in np.flatnonzero(images.wrong) if images.has_accuracy else ():
            if images.is_multilabel:
                text = "not predicted" if images.present[k] else "predicted"
            else:
                text = self.names.class_name(int(images.samples["predicted"].iloc[k]))
            numbers[k] = self._badges.number(text, text)
        return [int(one) for one in numbers[at]]

    def _prediction_numbers(self, images: Images, at: NDArray[np.intp]) -> list[int] | None:
        """Return the number of the name of each predicted class that nothing else tells.

        It is -1 where the prediction is known to be right or wrong, or there is none; without any
        other number there is no list. With several labels an image has no single predicted class.
        Names that are not of all predicted classes are not those of the network's classes.
        """
        predicted = images.samples["predicted"].fillna(-1).to_numpy(np.int64)
        are_named = predicted.max(initial=-1) < images.n_named
        if images.has_accuracy:
            predicted = np.where(images.correct | images.wrong, -1, predicted)
        if images.is_multilabel or (predicted[at] < 0).all():
            return None
        numbers = []
        for label in predicted[at].tolist():
            text = self.names.class_name(label) if are_named else f"class {label}"
            numbers.append(-1 if label < 0 else self._predictions.number(text, text))
        return numbers


def best_guess(results: Results, contents: Contents, model: str, column: Column) -> Column | None:
    """Return the blind baseline with the best mean of the same metric and binarizer."""
    blind = [
        replace(column, kind="baseline", method=label)
        for label, knows in contents.baselines.items()
        if knows == "nothing"
    ]
    known = [one for one in blind if one in results.columns]
    return best_column(results, contents, model, known)


def best_column(
    results: Results, contents: Contents, model: str, columns: Sequence[Column]
) -> Column | None:
    """Return the column with the best mean of the targets whose scores are on the page.

    There is none for a metric that does not state whether more is better.
    """
    if not columns:
        return None
    higher = contents.averaged_metrics[columns[0].metric].higher_is_better
    scored = targets_of(results, contents).scored
    of_model = (scored.samples["model"] == model).to_numpy()
    means = {}
    for column in columns:
        values = scored.values[of_model, scored.columns.index(column)]
        if not np.isnan(values).all():
            means[column] = float(np.nanmean(values))
    if higher is None or not means:
        return None
    return (max if higher else min)(means, key=lambda column: means[column])


def bound_of(contents: Contents, column: Column) -> Column | None:
    """Return the column of the upper bound of the scores of a column, if there is one."""
    metrics = contents.mask_metrics.items()
    bounds = (label for label, meaning in metrics if meaning.bounds == column.metric)
    label = next(bounds, None)
    return replace(column, metric=label) if label and column.binarizer else None


def _right(images: Images) -> NDArray[np.int64]:
    """Return 1 for right predictions, 2 for wrong ones, 0 where it is not known."""
    return np.where(images.wrong, 2, np.where(images.correct, 1, 0))


def _rounded(values: "pd.Series[Any]", digits: int) -> list[float | None]:
    return [None if pd.isna(one) else round(float(one), digits) for one in values]


def _number(file: str) -> int:
    return int(file.partition("-")[2].partition(".")[0])

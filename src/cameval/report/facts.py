"""What a report asks of its results: each column's part in it, and the score of each."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import SettingError
from cameval.evaluation import Column, Results
from cameval.evaluation.origins import Origin
from cameval.metrics.outcome import OUTCOMES
from cameval.metrics.policy import less_is_better
from cameval.report.roles import Role, role_of
from cameval.report.scores import Score, scores_of
from cameval.report.text import name

__all__ = ["Facts", "MOST_CLASSES", "MOST_MODELS", "Preferred"]  # noqa: RUF022

MOST_CLASSES = 25
MOST_MODELS = 6
_MOST_NAMES = 5


@dataclass(frozen=True)
class Preferred:
    """Whose scores the page is about, fixed in advance; None means the best on these images.

    Parameters
    ----------
    binarizer, method
        Labels.
    """

    binarizer: str | None = None
    method: str | None = None


@dataclass(frozen=True, eq=False)
class Facts:
    """Results, seen as the report needs them.

    Parameters
    ----------
    results
        What is reported.
    preferred
        Which method and binarizer the page is about.
    """

    results: Results
    preferred: Preferred = Preferred()

    def __post_init__(self) -> None:
        methods = self.methods or self.floors
        for what, label, known in (
            ("binarizer", self.preferred.binarizer, self.binarizers),
            ("method", self.preferred.method, methods),
        ):
            if label is not None and label not in known:
                raise SettingError(
                    f"{what} must be one of those evaluated ({', '.join(known)}), got {label!r}"
                )

    # --- What there is ----------------------------------------------------------------------------

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings of the run, of the first where there are several."""
        return dict(self.results.provenance.get("settings") or {})

    @property
    def seed(self) -> int:
        """The seed of everything random."""
        return int(self.settings.get("seed") or 0)

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Names of the models."""
        return tuple(map(str, self.results.samples["model"].unique()))

    @cached_property
    def explained(self) -> tuple[str, ...]:
        """Which classes the maps explain."""
        return self._labels("explained")

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """Labels of the methods."""
        return tuple(dict.fromkeys(c.method for c in self.results.columns if c.kind == "method"))

    @cached_property
    def baselines(self) -> dict[str, Role]:
        """Labels of the baselines, and what each knows."""
        labels = dict.fromkeys(c.method for c in self.results.columns if c.kind == "baseline")
        return {label: role_of(self.setting("baselines", label)) for label in labels}

    @cached_property
    def floors(self) -> tuple[str, ...]:
        """Labels of the baselines that a map should beat."""
        return tuple(label for label, role in self.baselines.items() if role != "ceiling")

    @cached_property
    def outcomes(self) -> tuple[str, ...]:
        """Labels of the metrics that give codes of outcomes, which are counted."""
        return tuple(label for label in self._labels("metric") if self._is_outcome(label))

    @cached_property
    def mask_metrics(self) -> tuple[str, ...]:
        """Labels of the metrics of masks."""
        found = dict.fromkeys(c.metric for c in self.results.columns if c.binarizer)
        return tuple(label for label in found if label not in self.outcomes)

    @cached_property
    def map_metrics(self) -> tuple[str, ...]:
        """Labels of the metrics that need no threshold."""
        found = dict.fromkeys(c.metric for c in self.results.columns if not c.binarizer)
        return tuple(label for label in found if label not in self.outcomes)

    @cached_property
    def binarizers(self) -> tuple[str, ...]:
        """Labels of the binarizers, the preferred one first."""
        labels = [label for label in self._labels("binarizer") if label]
        return tuple(sorted(labels, key=lambda label: label != self.preferred.binarizer))

    @cached_property
    def headline(self) -> str | None:
        """The metric that the page is about: IoU, or the first of masks, or the first of maps."""
        if iou := self.labeled("iou"):
            return iou
        cap = self.labeled("area_cap")
        several = [label for label in (*self.mask_metrics, *self.map_metrics) if label != cap]
        return several[0] if several else cap

    def labeled(self, metric: str) -> str | None:
        """Return the label of a metric of ours, if it was evaluated."""
        for label in (*self.mask_metrics, *self.map_metrics):
            if metric in (label, self.setting("metrics", label)):
                return label
        return None

    def setting(self, part: str, label: str) -> str:
        """Return what stands behind a label, in words; the label itself if that is not known."""
        known = self.settings.get(part)
        return str(known.get(label, label)) if isinstance(known, dict) else label

    def less_is_better(self, metric: str) -> bool:
        """Tell whether a metric is a distance, or another of which less is better."""
        return less_is_better(self.setting("metrics", metric))

    # --- Scores -----------------------------------------------------------------------------------

    @cached_property
    def scores(self) -> dict[tuple[str, Column], Score]:
        """The score of each model and column."""
        return scores_of(self.results, [*self.mask_metrics, *self.map_metrics])

    def values(self, model: str, column: Column) -> NDArray[np.float64]:
        """Return the scores of a model's samples, one each."""
        values: NDArray[np.float64] = self.results.values[
            self.rows(model), self.results.columns.index(column)
        ]
        return values

    def rows(self, model: str) -> NDArray[np.bool_]:
        """Return which rows are a model's."""
        return (self.results.samples["model"] == model).to_numpy()

    def samples(self, model: str) -> pd.DataFrame:
        """Return a model's samples."""
        return self.results.samples[self.rows(model)]

    def samples_of(self, rows: NDArray[np.bool_]) -> str:
        """Name the first samples of some rows, and say how many more there are."""
        names = self.results.samples["sample"][rows].unique()
        more = len(names) - _MOST_NAMES
        several = [name(each, 24) for each in names[:_MOST_NAMES]]
        return ", ".join(several) + (f" and {more:,} more" if more > 0 else "")

    def best(self, model: str) -> Column | None:
        """Return the method and binarizer of a model that score best in the headline."""
        return self._best(model, self.candidates(model))

    def candidates(self, model: str) -> list[Column]:
        """Return the columns of a model that its headline is the best of."""
        prefer = self.preferred
        methods = (self.methods or self.floors) if prefer.method is None else (prefer.method,)
        return [
            column
            for where, column in self.scores
            if where == model
            and column.metric == self.headline
            and column.method in methods
            and column.explained == self.explained[0]
            and (prefer.binarizer is None or column.binarizer in ("", prefer.binarizer))
        ]

    def chosen(self, binarizer: str) -> Origin | None:
        """Say how the binarizers behind a label were chosen, each for its map; else None."""
        return Origin.of(self.setting("binarizers", binarizer))

    def best_baseline(self, model: str, column: Column, role: Role) -> Column | None:
        """Return the best baseline of a role, under the same binarizer and metric."""
        several = [
            replace(column, kind="baseline", method=label)
            for label, known in self.baselines.items()
            if known == role
        ]
        return self._best(model, [one for one in several if (model, one) in self.scores])

    def beside(self, model: str, column: Column, metric: str | None) -> Score | None:
        """Return the score of the same map and mask in another metric."""
        return self.scores.get((model, replace(column, metric=metric))) if metric else None

    def _best(self, model: str, columns: list[Column]) -> Column | None:
        defined = [c for c in columns if not np.isnan(self.scores[model, c].mean)]
        if not defined:
            return columns[0] if columns else None
        pick = min if self.less_is_better(defined[0].metric) else max
        return pick(defined, key=lambda column: self.scores[model, column].mean)

    # --- Classes ----------------------------------------------------------------------------------

    def class_name(self, label: int) -> str:
        """Name a class."""
        names = self.results.class_names
        return name(names[label]) if 0 <= label < len(names) else f"class {label}"

    def classes(self, model: str) -> tuple[list[int], int]:
        """Return the classes to show, and how many are left out: the most frequent are shown."""
        counts = self.samples(model)["label"].value_counts()
        chosen = sorted(counts.index, key=lambda label: (-counts[label], label))[:MOST_CLASSES]
        left_out = len(counts) - len(chosen)
        return [int(label) for label in (chosen if left_out else sorted(chosen))], left_out

    @cached_property
    def labels_are_classes(self) -> bool:
        """Whether labels and predictions name the same classes, as far as can be told."""
        samples, names = self.results.samples, self.results.class_names
        if names:
            return int(samples[["label", "predicted"]].to_numpy().max()) < len(names)
        within = samples["predicted"].max() <= samples["label"].max()
        return bool(within or (samples["predicted"] == samples["label"]).any())

    def correct(self, model: str) -> NDArray[np.bool_]:
        """Return which of a model's samples it classifies as they are labeled."""
        samples = self.samples(model)
        return (samples["label"] == samples["predicted"]).to_numpy()

    def groups(self, model: str) -> NDArray[np.str_]:
        """Return the groups of a model's samples."""
        return self.samples(model)["group"].to_numpy().astype(str)

    def of_models(self) -> Iterator[tuple[str, Column]]:
        """Yield the first models with their best columns."""
        for model in self.models[:MOST_MODELS]:
            if (column := self.best(model)) is not None:
                yield model, column

    def _labels(self, field: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(getattr(column, field) for column in self.results.columns))

    def _is_outcome(self, label: str) -> bool:
        if self.setting("metrics", label).startswith("Outcomes("):
            return True
        at = [k for k, column in enumerate(self.results.columns) if column.metric == label]
        found = self.results.values[:, at]
        codes = np.isnan(found) | np.isin(found, range(len(OUTCOMES)))
        return label.lower().startswith("outcome") and bool(codes.all())

"""What a plot of results is about: the model, the column of the best map, its guess and bound."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cameval.errors import SettingError
from cameval.evaluation._caution_words import count_ungrouped
from cameval.evaluation._comparisons import Family, compare_all, seed_of
from cameval.evaluation._contents import Contents, Role, contents_of, with_object
from cameval.evaluation._headline import (
    MOST_MODELS,
    Headline,
    headline_metric,
    headline_of,
)
from cameval.evaluation._left_out import LeftOut, describe_skipped
from cameval.evaluation._plot_marks import LONGEST, drawn
from cameval.evaluation._run_folder import runs
from cameval.evaluation._score_table import ScoreTable
from cameval.evaluation._scores import Images, Score, Scores, images_by_model, scores_of
from cameval.evaluation._undefined import Fewer, HasReasons, find_fewer, span_fewer
from cameval.evaluation._words import counted
from cameval.evaluation.meaning import Column


@dataclass(frozen=True, eq=False)
class Subject:
    """What a plot is about.

    Parameters
    ----------
    results
        The results: all models, of the metric and its bound.
    model
        The model.
    contents, headline, scores
        What was evaluated, which columns are the best, and the mean scores.
    all_images
        The images of each model, with the scores in all metrics.
    everything
        What was evaluated in all metrics.
    page
        The headline of a report, in its metric, if the plot is of it or of all models.
    names
        How labels are written, where the user says so.
    whole
        The results in all metrics, also of targets that have no score in the plot.
    given_model
        The model that the user gave, if any.
    """

    results: ScoreTable
    model: str
    contents: Contents
    headline: Headline
    scores: Scores
    all_images: Mapping[str, Images]
    everything: Contents
    page: Headline | None
    names: Mapping[str, str]
    whole: ScoreTable
    given_model: str | None = None

    @property
    def column(self) -> Column:
        """The column that the plot is about."""
        return self.headline.columns[self.model]

    @property
    def images(self) -> Images:
        """The images of the model."""
        return self.all_images[self.model]

    @property
    def title(self) -> str:
        """The usual name of the metric."""
        return self.headline.title

    @property
    def metric_name(self) -> str:
        """The name of the metric in the plot."""
        return self.names.get(self.column.metric) or drawn(self.title)

    @property
    def group(self) -> str:
        """The word for a group."""
        return self.name("group")

    def name(self, label: str, longest: int = LONGEST) -> str:
        """Return a label as the user writes it, or on one line, shortened, as it can be drawn."""
        return self.names.get(label) or drawn(label, longest)

    @property
    def value_range(self) -> tuple[float, float] | None:
        """The range of the metric, if it is known."""
        return self.headline.meaning.value_range

    @property
    def higher_is_better(self) -> bool | None:
        """Whether more of the metric is better; None if that is not known."""
        return self.headline.meaning.higher_is_better

    @property
    def row(self) -> str:
        """What a score is of: an image, or a target if an image has several."""
        several = self.results.samples.duplicated(["model", "sample"]).any()
        return "target" if several else "image"

    @property
    def methods(self) -> list[Column]:
        """The columns of all methods, with the same binarizer, the best mean first."""
        columns = [replace(self.column, kind="method", method=m) for m in self.contents.methods]
        there = [c for c in columns if self.score(c) is not None]
        if self.higher_is_better is None:
            return there
        worst = -np.inf if self.higher_is_better else np.inf
        means = {c: self.scores.by_column[self.model, c].mean for c in there}
        sign = -1 if self.higher_is_better else 1
        return sorted(there, key=lambda c: sign * (worst if np.isnan(means[c]) else means[c]))

    @cached_property
    def family(self) -> Family:
        """All paired tests in the metric, as on the page of a report in this metric."""
        if self.headline == self.page:
            return self._compare(self.judged, self.headline, self.all_images)
        return self._compare(self.judged, self.headline, images_by_model(self.results))

    @property
    def judged(self) -> Contents:
        """What was evaluated on the page of a report in this metric."""
        return self.everything if self.headline == self.page else self.contents

    @cached_property
    def page_family(self) -> Family:
        """All paired tests of the page of a report, if the plot is of all models."""
        if self.page is None or self.headline == self.page:
            return self.family
        return self._compare(self.everything, self.page, self.all_images)

    def _compare(
        self, contents: Contents, headline: Headline, images: Mapping[str, Images]
    ) -> Family:
        return compare_all(contents, headline, images, seed_of(self.results))

    def score(self, column: Column) -> Score | None:
        """Return the mean score of a column, if it was evaluated."""
        return self.scores.get(self.model, column)

    def fewer(self, columns: Iterable[Column]) -> dict[Column, Fewer]:
        """Return which columns of a plot have a mean over fewer images than others, or could have.

        They are marked with a dagger.
        """
        scores = {column: self.score(column) for column in columns}
        return find_fewer({column: one for column, one in scores.items() if one is not None})

    def span_fewer(self, several: Iterable[HasReasons]) -> str:
        """Return over how many images means are, in few words."""
        return span_fewer(several, lambda n: counted(n, self.row, self.names))

    @property
    def samples(self) -> pd.DataFrame:
        """The targets of the model that the plot is of."""
        samples = self.results.samples
        return samples[samples["model"].astype(str) == self.model]

    def count_samples(self) -> str:
        """Return of how many images and groups the plot is."""
        samples, of_model = self.samples, self.whole.samples["model"].astype(str) == self.model
        kind = " with an object" if len(samples) < of_model.sum() else ""
        images = counted(int(samples["sample"].nunique()), "image", self.names)
        groups = counted(int(samples["group"].nunique()), "group", self.names)
        if len(samples) != samples["sample"].nunique():
            targets = counted(len(samples), "target", self.names)
            return f"{targets}{kind} in {images} of {groups}"
        own, n = count_ungrouped(samples)
        if own == n > 1:
            return f"{images}{kind}"
        return f"{images}{kind}{',' * bool(kind)} of {groups}"

    def describe_left_out(self) -> str:
        """Return what was evaluated and is not in the results, but for other metrics and models."""
        left_out = LeftOut.of(self.whole.select(model=self.model))
        told = replace(left_out, metrics=(), networks=())
        return f"Evaluated, and left out here: {told}." if told else ""

    def describe_skipped(self) -> str:
        """Return how many images the command line left out."""
        told = {
            describe_skipped(run): None
            for run in runs(self.whole.provenance)
            if str((run.get("settings") or {}).get("model")) == self.model
        }
        found = "; ".join(filter(None, told))
        return f"Images are left out: {found}." if found else ""

    def best(self, role: Role) -> Column | None:
        """Return the best baseline of a role, with the same binarizer, if it has a mean."""
        found = self.scores.best_baseline(self.model, self.column, role)
        score = None if found is None else self.score(found)
        return None if score is None or np.isnan(score.mean) else found

    @cached_property
    def guess(self) -> Column | None:
        """The best blind baseline, with the same binarizer."""
        return self.best("nothing")

    def bound_of(self, column: Column) -> Column | None:
        """Return the column of the upper bound of the same masks, if there is one."""
        if not self.headline.bound or not column.binarizer:
            return None
        found = replace(column, metric=self.headline.bound)
        return found if found in self.images.columns else None

    def values(self, column: Column | None) -> NDArray[np.float64]:
        """Return the score of each image; NaN without a column."""
        if column is None:
            return np.full(len(self.images.samples), np.nan)
        return self.images.values(column)

    def class_name(self, label: int) -> str:
        """Return the name of a class."""
        names = self.results.class_names
        return names[label] if 0 <= label < len(names) else f"class {label}"

    def parts(self, *, method: bool = True) -> list[str]:
        """Return the model, the method and the binarizer, as words of a title."""
        target_class = self.column.target_class if len(self.contents.target_classes) > 1 else ""
        shown = self.names.get(target_class) or drawn(f"{target_class} class")
        return [
            self.name(self.model),
            shown if target_class else "",
            self.name(self.column.method) if method else "",
            self.name(self.column.binarizer) if self.column.binarizer else "",
        ]


def subject_of(
    results: ScoreTable,
    *,
    model: str | None,
    method: str | None,
    binarizer: str | None,
    metric: str | None,
    names: Mapping[str, str],
    of_all: bool = False,
) -> Subject:
    """Return what a plot is about.

    A plot of all models is about the first, whose best method the models are compared with, and by
    default about the binarizers that were chosen on other images, if there are such.

    Raises
    ------
    SettingError
        If there is no such model, method, binarizer or metric, if there are several models and none
        is given, or if no score can be drawn.
    """
    everything = contents_of(results)
    chosen = _one("model", model, everything.models)
    if of_all:
        chosen = everything.models[0]
    if chosen is None:
        if len(everything.models) > 1:
            raise SettingError(
                f"model must be one of {', '.join(everything.models)} where there are several, "
                "got none"
            )
        chosen = everything.models[0]
    averaged = everything.averaged_metrics
    title = _one("metric", metric, tuple(averaged)) or headline_metric(everything)
    if title is None:
        raise SettingError("a plot needs a metric whose scores are averaged, got none")
    bounds = [label for label, meaning in averaged.items() if meaning.bounds == title]
    scored = with_object(results, everything)
    table = scored.select(metric=[title, *bounds])
    contents = contents_of(table)
    if chosen not in contents.models[:MOST_MODELS]:
        contents = replace(contents, models=(chosen,))
    scores = scores_of(table, contents)
    of_maps = of_all and not contents.binarizers and binarizer in everything.binarizers
    headline = headline_of(
        contents, scores, method=method, binarizer=None if of_maps else binarizer
    )
    first = headline_metric(everything)
    page: Headline | None = headline if title == first else None
    if page is None and of_all:
        scores_there = scores_of(scored.select(metric=first), everything)
        page = headline_of(everything, scores_there, method=method, binarizer=binarizer)
    images = images_by_model(scored)
    subject = Subject(
        table, chosen, contents, headline, scores, images, everything, page, names, results, model
    )
    if chosen not in headline.columns:
        raise SettingError(
            f"{everything.title(title)} must have been evaluated with this method and binarizer, "
            f"got method {method!r} and binarizer {binarizer!r}; give another pair"
        )
    if np.isnan(subject.values(subject.column)).all():
        raise SettingError(
            f"{subject.title} of {subject.column.method} must be defined for an image to be drawn, "
            "got no defined score"
        )
    return subject


def _one(what: str, label: str | None, known: Sequence[str]) -> str | None:
    """Return a label that was evaluated, or None."""
    if label is not None and label not in known:
        raise SettingError(
            f"{what} must be one of those evaluated ({', '.join(known)}), got {label!r}"
        )
    return label

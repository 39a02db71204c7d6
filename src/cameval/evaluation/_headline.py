"""Which metric, method, binarizer and target class the findings and figures are about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cameval.errors import SettingError
from cameval.evaluation._contents import Contents, validated_binarizer
from cameval.evaluation._scores import Scores
from cameval.evaluation._words import place_of_choice
from cameval.evaluation.meaning import Column, MetricMeaning
from cameval.metrics.questions import BestMask

MOST_MODELS = 6
"""How many models the verdict, their own figures and tables by class are about."""


@dataclass(frozen=True)
class Headline:
    """Which scores the findings and figures are about.

    Parameters
    ----------
    metric
        Label of the metric: the first of masks, or of maps, that is no upper bound; None if no
        metric is averaged.
    meaning
        What is known of it.
    bound
        Label of the metric that is an upper bound of it on the same masks, if there is one.
    method, binarizer
        Labels that the caller fixed in advance, or that were chosen on other images; None for the
        best on these images.
    candidates
        The columns of each model that its headline is the best of.
    columns
        The best column of each of the first models that has one.
    title
        The title of the metric.
    """

    metric: str | None
    meaning: MetricMeaning
    bound: str | None
    method: str | None
    binarizer: str | None
    candidates: Mapping[str, Sequence[Column]]
    columns: Mapping[str, Column]
    title: str = ""

    @property
    def is_unit_score(self) -> bool:
        """Whether scores are in [0, 1] and more is better: high and low ones are then counted."""
        return self.meaning.value_range == (0, 1) and bool(self.meaning.higher_is_better)

    @property
    def best_mask(self) -> BestMask | None:
        """The mask that has the best score whatever the truth is, if one has."""
        question = self.meaning.question
        return None if question is None else question.best_mask


def headline_of(
    contents: Contents,
    scores: Scores,
    *,
    method: str | None = None,
    binarizer: str | None = None,
) -> Headline:
    """Return what the findings and figures are about.

    By default that is the binarizer chosen on other images, if there is one, and otherwise the best
    method and binarizer on these images.

    Raises
    ------
    SettingError
        If the method or the binarizer was not evaluated.
    """
    methods = contents.methods or contents.rivals
    _check_evaluated("binarizer", binarizer, tuple(contents.binarizers))
    _check_evaluated("method", method, methods)
    metric = headline_metric(contents)
    if binarizer is None and metric in contents.mask_metrics:
        binarizer = validated_binarizer(contents.binarizers)
    candidates = {
        model: candidates_of(model, contents, scores, metric, method, binarizer)
        for model in contents.models[:MOST_MODELS]
    }
    best = {model: scores.best(model, columns) for model, columns in candidates.items()}
    bounds = (label for label, meaning in contents.mask_metrics.items() if meaning.bounds == metric)
    return Headline(
        metric,
        contents.averaged_metrics[metric] if metric else MetricMeaning("", "masks"),
        next(bounds, None) if metric else None,
        method,
        binarizer,
        candidates,
        {model: column for model, column in best.items() if column is not None},
        contents.title(metric or ""),
    )


def candidates_of(
    model: str,
    contents: Contents,
    scores: Scores,
    metric: str | None,
    method: str | None,
    binarizer: str | None,
) -> list[Column]:
    """Return the columns of a model that its headline is the best of."""
    methods = contents.methods or contents.rivals
    return [
        column
        for of_model, column in scores.by_column
        if of_model == model
        and column.metric == metric
        and column.method in (methods if method is None else (method,))
        and column.target_class == contents.target_classes[0]
        and (binarizer is None or column.binarizer in ("", binarizer))
    ]


def headline_metric(contents: Contents) -> str | None:
    """Return the first metric of masks, or of maps, that is no upper bound of another."""
    metrics = contents.averaged_metrics
    scores = [label for label, meaning in metrics.items() if meaning.bounds is None]
    return next(iter(scores or metrics), None)


def metric_without_threshold(contents: Contents, headline: Headline) -> str | None:
    """Return the first metric of maps that states its direction, besides that of the headline."""
    known = (
        label
        for label, meaning in contents.map_metrics.items()
        if meaning.higher_is_better is not None and meaning.bounds is None
    )
    return next((label for label in known if label != headline.metric), None)


def is_binarizer_chosen_here(contents: Contents, headline: Headline, column: Column) -> bool:
    """Tell whether the binarizer of the tests was chosen by the scores that are tested."""
    if not column.binarizer or headline.meaning.higher_is_better is None:
        return False
    origin = contents.binarizers[column.binarizer].origin
    if origin is not None and origin.chosen_on == "these same images":
        return True
    return headline.binarizer is None and len(contents.binarizers) > 1


def describe_binarizer_choice(
    contents: Contents, headline: Headline, model: str, names: Mapping[str, str]
) -> str:
    """Return how the binarizer was chosen, if that may be optimistic; else an empty text."""
    column = headline.columns[model]
    origin = contents.binarizers[column.binarizer].origin if column.binarizer else None
    if origin is not None:
        place = place_of_choice(origin.chosen_on, names)
        return "" if origin.chosen_on == "other images" else f"binarizer: chosen on {place}"
    if not is_binarizer_chosen_here(contents, headline, column):
        return ""
    compared = {
        one.binarizer
        for one in headline.candidates[model]
        if contents.binarizers[one.binarizer].origin is None
    }
    return f"binarizer: the best of {len(compared):,} on these same images"


def _check_evaluated(what: str, label: str | None, known: Sequence[str]) -> None:
    if label is not None and label not in known:
        raise SettingError(
            f"{what} must be one of those evaluated ({', '.join(known)}), got {label!r}"
        )

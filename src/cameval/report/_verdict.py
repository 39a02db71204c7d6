"""The verdict on the maps of each network, by typed roles and one paired test."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cameval.evaluation import REASONS, Column, Results
from cameval.evaluation._comparisons import Comparison, Family, judge_against_guess
from cameval.evaluation._contents import Contents, Role
from cameval.evaluation._headline import Headline
from cameval.evaluation._numbers import short_writer
from cameval.evaluation._scores import HIGH, Images, Score, Scores
from cameval.evaluation.meaning import CONSTANT
from cameval.report._method_order import OtherOrder, other_order

_ROUNDING = 1e-9
"""Means that differ by less are equal."""

State = Literal[
    "better",
    "better, not than the image",
    "noise alone",
    "open",
    "worse",
    "too few groups",
    "no guess",
    "no score",
    "no direction",
    "no method",
]
"""What may be said of the maps of a network."""


@dataclass(frozen=True)
class OtherGuess:
    """A blind baseline with another binarizer, whose mean is better than that of the guess.

    Parameters
    ----------
    column
        Its column.
    mean
        Its mean over all its images.
    beats_maps
        Whether this is also better than the mean of the maps.
    """

    column: Column
    mean: float
    beats_maps: bool


@dataclass(frozen=True)
class Guess:
    """The best blind baseline of the same metric and binarizer.

    Parameters
    ----------
    column
        Its column.
    mean
        Its mean over the images that both have.
    comparison
        The paired test of the maps against it; None if no image has both scores.
    n_below, n_both
        On how many images the maps score worse than it, of how many that have both scores.
    n_own
        How many images have a score of it.
    other
        The best blind baseline of all binarizers, if its mean is better than that of this one.
    n_tests
        How many tests the comparison is corrected for.
    """

    column: Column
    mean: float
    comparison: Comparison | None
    n_below: int
    n_both: int
    n_own: int
    other: OtherGuess | None = None
    n_tests: int = 1


@dataclass(frozen=True)
class Informed:
    """The best baseline of the same metric and binarizer that knows the class, not the image.

    Parameters
    ----------
    column
        Its column.
    mean
        Its mean over all its images.
    """

    column: Column
    mean: float


@dataclass(frozen=True)
class Verdict:
    """What may be said of the maps of one network.

    Parameters
    ----------
    model
        Label of the model.
    state
        The verdict.
    column
        The column of its maps; None if it has none.
    score
        Its mean over all its images.
    mean
        Its mean over the images that a guess has too.
    guess
        The best guess, if there is one.
    bound
        Mean of the upper bound of these masks; NaN if there is none.
    n_high, n_defined
        On how many images the score is above one half, if the metric is a score in [0, 1], of how
        many that have a score.
    n_wrong, n_known
        How many predictions are wrong, of how many that are known to be right or wrong.
    reason
        The most frequent reason of an undefined score, if no score is defined.
    n_absent
        How many of the images with a score have no object.
    informed
        The best baseline that knows the class, if there is one.
    is_out_of_reach
        Whether the upper bound of these masks has a worse mean than the guess, over the images that
        have both. Nothing is claimed of what is no upper bound.
    other_order
        Another binarizer with which the two best methods differ in another way, if there is one.
    """

    model: str
    state: State
    column: Column | None = None
    score: Score | None = None
    mean: float = float("nan")
    guess: Guess | None = None
    bound: float = float("nan")
    n_high: int | None = None
    n_defined: int = 0
    n_wrong: int = 0
    n_known: int = 0
    reason: str = ""
    n_absent: int = 0
    informed: Informed | None = None
    is_out_of_reach: bool = False
    other_order: OtherOrder | None = None

    @property
    def is_outguessed(self) -> bool:
        """Whether a guess with another binarizer has a better mean than the maps."""
        return (
            self.guess is not None
            and self.guess.other is not None
            and (self.guess.other.beats_maps)
        )


def verdicts_of(
    results: Results,
    contents: Contents,
    images: Mapping[str, Images],
    headline: Headline,
    scores: Scores,
    family: Family,
) -> list[Verdict]:
    """Return the verdict on each network of the headline, of `results` that are scored."""
    return [
        _verdict_of(model, results, contents, images[model], headline, scores, family)
        for model in headline.candidates
    ]


def _verdict_of(
    model: str,
    results: Results,
    contents: Contents,
    images: Images,
    headline: Headline,
    scores: Scores,
    family: Family,
) -> Verdict:
    column = headline.columns.get(model)
    if column is None:
        reason = "there are no maps but of the truth"
        if headline.metric is None:
            reason = "the metrics are counted only"
        return Verdict(model, "no score", reason=reason)
    score, values = scores.by_column[model, column], images.values(column)
    defined = ~np.isnan(values)
    known = images.correct | images.wrong
    if images.is_multilabel:
        known = known & images.present
    higher = headline.meaning.higher_is_better
    guess = None
    if higher is not None and column.kind == "method" and defined.any():
        guess = _guess_of(model, column, images, scores, family, higher_is_better=higher)
    both = defined if guess is None else defined & ~np.isnan(images.values(guess.column))
    bound = scores.in_metric(model, column, headline.bound) if column.binarizer else None
    state = _state_of(model, column, guess, contents, headline, scores, family)
    if not defined.any():
        state = "no score"
    return Verdict(
        model,
        state,
        column,
        score,
        float(values[both].mean()) if both.any() else score.mean,
        guess,
        float("nan") if bound is None else bound.mean,
        int((values > HIGH).sum()) if headline.is_unit_score else None,
        int(defined.sum()),
        int((images.wrong & known).sum()) if images.has_accuracy else 0,
        int(known.sum()) if images.has_accuracy else 0,
        "" if defined.any() else _reason_of(results, model, column),
        int((defined & ~images.present).sum()),
        _informed_of(model, column, scores),
        guess is not None
        and headline.bound is not None
        and bool(higher)
        and _is_out_of_reach(images, column, guess.column, headline.bound),
        None
        if higher is None or column.kind != "method"
        else other_order(model, column, contents, scores, higher_is_better=higher),
    )


def _is_out_of_reach(images: Images, column: Column, guess: Column, bound: str) -> bool:
    """Tell whether the mean of an upper bound is below that of a guess, beyond rounding."""
    limit = replace(column, metric=bound)
    if limit not in images.columns:
        return False
    most, theirs = images.values(limit), images.values(guess)
    both = ~np.isnan(most) & ~np.isnan(theirs)
    return bool(both.any() and (most[both] - theirs[both]).mean() < -_ROUNDING)


def _informed_of(model: str, column: Column, scores: Scores) -> Informed | None:
    best = scores.best_baseline(model, column, "labels")
    mean = float("nan") if best is None else scores.by_column[model, best].mean
    return None if best is None or np.isnan(mean) else Informed(best, mean)


def _guess_of(
    model: str,
    column: Column,
    images: Images,
    scores: Scores,
    family: Family,
    *,
    higher_is_better: bool,
) -> Guess | None:
    best = scores.best_baseline(model, column, "nothing")
    if best is None or np.isnan(scores.by_column[model, best].mean):
        return None
    ours, theirs = images.values(column), images.values(best)
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    mean = float(theirs[both].mean()) if both.any() else scores.by_column[model, best].mean
    below = is_worse(ours, theirs, higher_is_better=higher_is_better)
    test = family.find("method", model, column.method, best.method)
    own = int((~np.isnan(theirs)).sum())
    other = _other_guess(model, column, best, scores, higher_is_better=higher_is_better)
    return Guess(best, mean, test, int(below.sum()), int(both.sum()), own, other, family.size)


def _other_guess(
    model: str, column: Column, guess: Column, scores: Scores, *, higher_is_better: bool
) -> OtherGuess | None:
    """Return the best blind baseline of all binarizers, if it is better than the guess."""
    columns = [
        one
        for of_model, one in scores.by_column
        if of_model == model
        and one.kind == "baseline"
        and (one.metric, one.target_class) == (column.metric, column.target_class)
        and scores.baselines.get(one.method) == "nothing"
    ]
    best = scores.best(model, columns)
    assert best is not None  # the guess is among them
    sign = 1 if higher_is_better else -1
    mean, of_guess, of_maps = (scores.by_column[model, one].mean for one in (best, guess, column))
    if not sign * mean > sign * of_guess:
        return None
    return OtherGuess(best, mean, bool(sign * mean > sign * of_maps))


def is_worse(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], *, higher_is_better: bool
) -> NDArray[np.bool_]:
    """Tell where one score is worse than another; where one is undefined it is not."""
    return ours < theirs if higher_is_better else ours > theirs


def _state_of(
    model: str,
    column: Column,
    guess: Guess | None,
    contents: Contents,
    headline: Headline,
    scores: Scores,
    family: Family,
) -> State:
    higher = headline.meaning.higher_is_better
    if higher is None:
        return "no direction"
    if column.kind == "baseline":
        return "no method"
    if guess is None or guess.comparison is None:
        return "no guess"
    found = judge_against_guess(guess.comparison, contents, higher_is_better=higher)
    if found == "not tested":
        return "no guess"
    if found == "better" and not _beats(model, column, "image", contents, scores, family, higher):
        return "better, not than the image"
    return "open" if found == "equal" else found


def _beats(
    model: str,
    column: Column,
    role: Role,
    contents: Contents,
    scores: Scores,
    family: Family,
    higher_is_better: bool,
) -> bool:
    """Tell whether maps are shown to beat the best baseline of a role, if there is one."""
    if role not in contents.baselines.values():
        return True
    best = scores.best_baseline(model, column, role)
    if best is None or np.isnan(scores.by_column[model, best].mean):
        return True
    test = family.find("method", model, column.method, best.method)
    return test is not None and test.verdict(higher_is_better=higher_is_better) == "better"


def _reason_of(results: Results, model: str, column: Column) -> str:
    """Return the most frequent reason of the undefined scores of a column."""
    of_model = (results.samples["model"] == model).to_numpy()
    codes = results.codes[of_model, results.columns.index(column)] & ~np.uint8(CONSTANT)
    known = [int(code) for code in codes if code]
    return REASONS[Counter(known).most_common(1)[0][0]] if known else "reason not known"


def writer_of(verdicts: Sequence[Verdict]) -> Callable[[float], str]:
    """Return what writes the means of the maps and of their guesses, with equally many digits."""
    return short_writer(
        (one.mean, float("nan") if one.guess is None else one.guess.mean) for one in verdicts
    )


def state_of_all(verdicts: Sequence[Verdict]) -> State | None:
    """Return the one verdict on all networks; None if there are several."""
    states = {one.state for one in verdicts}
    return states.pop() if len(states) == 1 else None

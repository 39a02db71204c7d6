"""What the paper's protocol found, one paragraph a finding; every word follows from the data."""

from collections.abc import Iterator, Sequence

import pandas as pd

from cameval import Results
from cameval.metrics import share_above, share_below
from study import paper
from study.candidates import Candidate
from study.classification import fold_scores
from study.comparisons import PageTests, ahead
from study.looking import MAP
from study.paper_tables import WITHOUT_IMAGE, best_iou, best_threshold, interval, mean_iou, signed
from study.settings import Settings
from study.slices import Slices
from study.switches import Variation
from study.training import epochs_of
from study.words import count_of, number, percent


def findings(
    settings: Settings,
    slices: Slices,
    shared: int,
    best: Candidate,
    predictions: pd.DataFrame,
    results: Results,
    varied: Sequence[tuple[Variation, pd.DataFrame]],
) -> list[str]:
    """Return the findings as paragraphs; `memoized` patients are in several folds."""
    scores = varied[0][1]
    return [
        _what_was_run(settings, slices, shared),
        " ".join(_looking(settings, best, predictions, results, scores)),
        _success(scores),
        *_open_questions(scores, varied),
        *_other_masks(settings),
    ]


def _what_was_run(settings: Settings, slices: Slices, shared: int) -> str:
    what = "phantom slices" if settings.data == "phantom" else "MRI slices"
    people = len(set(slices.patients.tolist()))
    epochs = {count_of(epochs_of(one, settings), "epoch") for one in settings.candidates}
    trained = "features frozen" if settings.freeze else " or ".join(sorted(epochs))
    chosen = (
        "The threshold is the best of five on the tested slices themselves, an optimistic choice; "
        "on which slices the paper chose, it does not say."
    )
    known = (
        f"{shared} patients are in several folds, so the networks are tested on patients that they "
        "were trained on, which favors them. The sizes of the paper's folds are those of folds by "
        "slice, too."
        if shared
        else "No patient is in several folds."
    )
    return (
        f"{len(slices):,} {what} of {people} patients in {settings.folds} folds by slice, "
        f"{trained}, seed {settings.seed}. {known} {chosen}"
    )


def _looking(
    settings: Settings,
    best: Candidate,
    predictions: pd.DataFrame,
    results: Results,
    scores: pd.DataFrame,
) -> Iterator[str]:
    accuracy = fold_scores(predictions).groupby("model")["accuracy"]
    mean, sd = accuracy.mean()[str(best)], accuracy.std()[str(best)]
    most = ", the best of the networks" if len(settings.models) > 1 else ""
    yield (
        f"{best} has an accuracy of {number(mean)} ({number(sd)}){most}; the paper's best was "
        "VGG-19 with .950 (.040)."
    )
    chosen = best_threshold(scores)
    reached = interval(scores[scores["threshold"] == chosen])
    yield (
        f"On the last fold its maps have a mean IoU of {reached.text} {reached.detail} at "
        f"{chosen}, the best of five thresholds; the paper has .153 at p95."
    )
    at = results.select(metric="iou", binarizer=chosen)
    rival = max(WITHOUT_IMAGE, key=lambda label: mean_iou(at, label))
    text = f"The best map made without the image ({rival}) has {number(mean_iou(at, rival))}"
    tests = PageTests.of(results, None, MAP) if _as_evaluated(settings) else None
    found = None if tests is None else tests.of_methods(str(best), MAP, rival)
    yield f"{text}." if found is None else f"{text}: {ahead(found)}."


def _success(scores: pd.DataFrame) -> str:
    at = scores[scores["threshold"] == best_threshold(scores)]
    iou, cap = at["iou"].to_numpy(), at["area_bound"].to_numpy()
    return (
        f"The IoU is above .5 on {percent(share_above(iou, 0.5))} of the slices (with "
        f"masks of these areas, {percent(share_above(cap, 0.5))} at most), and below .01 on "
        f"{percent(share_below(iou, 0.01))} (the paper: 42 %, 257 of 612)."
    )


def _open_questions(
    scores: pd.DataFrame, varied: Sequence[tuple[Variation, pd.DataFrame]]
) -> Iterator[str]:
    ours = best_iou(scores)
    changes = {one: best_iou(table) - ours for one, table in varied[1:]}
    if any(changes.values()):
        most = max(changes, key=lambda one: abs(changes[one]))
        yield (
            "Of the answers to what the paper leaves open, one changes most here: "
            f"{most.question}. With \u201c{most.answer}\u201d the IoU changes "
            f"by {signed(changes[most])}; the paper's .153 differs by "
            f"{signed(paper.MEAN_IOU - ours)}."
        )


def _other_masks(settings: Settings) -> Iterator[str]:
    if not _as_evaluated(settings):
        yield (
            "The study's own tables and figures have the masks that --threshold-on and --inclusive "
            "ask for. What follows under Findings, and from Masks on, is the library's evaluation "
            "of the same maps, with masks above the threshold of the upsampled map."
        )


def _as_evaluated(settings: Settings) -> bool:
    """Tell whether the study's masks are those of the library's evaluation."""
    return settings.threshold_on == "upsampled" and not settings.inclusive

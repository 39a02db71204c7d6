"""What the paper's protocol found, one paragraph a finding; every word follows from the data."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from cameval import Results, share_above, share_below
from study import paper
from study.candidates import Candidate
from study.classification import fold_scores
from study.looking import MAP
from study.paper_tables import best_iou, best_threshold, interval, signed
from study.settings import Settings
from study.slices import Slices
from study.switches import Variation
from study.training import epochs_of
from study.words import apart, count_of, number, percent

BLIND = ("center", "class mean")


def findings(
    settings: Settings,
    slices: Slices,
    shared: int,
    best: Candidate,
    predictions: pd.DataFrame,
    results: Results,
    varied: Sequence[tuple[Variation, pd.DataFrame]],
) -> list[str]:
    """Return the findings as paragraphs; `shared` patients are in several folds."""
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
    flattered = (
        f"{shared} patients are in several folds, so the networks are tested on patients that they "
        "were trained on; and the threshold is chosen on the tested slices. Both are as in the "
        "paper, and both flatter the result."
        if shared
        else "The threshold is chosen on the tested slices, as in the paper, which flatters the "
        "result."
    )
    return (
        f"{len(slices):,} {what} of {people} patients in {settings.folds} folds by slice, "
        f"{trained}, seed {settings.seed}. {flattered}"
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
        f"On the last fold its maps reach a mean IoU of {reached.text} {reached.detail} at "
        f"{chosen}, the best of five thresholds; the paper has .153 at p95."
    )
    at = results.select(metric="iou", binarizer=chosen)
    blind = {name: float(np.nanmean(at.select(method=name).values)) for name in BLIND}
    rival = max(blind, key=lambda name: blind[name])
    found = f"A map that never sees the image ({rival}) reaches {number(blind[rival])}"
    if _as_evaluated(settings):
        tests = at.compare("iou", reference=MAP, method=[MAP, *BLIND])
        found += f"; {apart(tests, MAP, rival)}"
    yield f"{found}."


def _success(scores: pd.DataFrame) -> str:
    at = scores[scores["threshold"] == best_threshold(scores)]
    iou, cap = at["iou"].to_numpy(), at["area_cap"].to_numpy()
    return (
        f"The IoU is above .5 on {percent(share_above(iou, 0.5))} of the slices, where masks of "
        f"these areas could be above it on {percent(share_above(cap, 0.5))}, and below .01 on "
        f"{percent(share_below(iou, 0.01))} (the paper: 42 %, 257 of 612)."
    )


def _open_questions(
    scores: pd.DataFrame, varied: Sequence[tuple[Variation, pd.DataFrame]]
) -> Iterator[str]:
    changes = {one: best_iou(table) - best_iou(scores) for one, table in varied[1:]}
    if any(changes.values()):
        most = max(changes, key=lambda one: abs(changes[one]))
        yield (
            f"Of what the paper leaves open, most depends here on: {most.question}. With "
            f"\u201c{most.answer}\u201d the IoU changes by {signed(changes[most])}; the paper's "
            f".153 is {signed(paper.MEAN_IOU - best_iou(scores))} away."
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

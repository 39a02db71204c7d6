"""The page of the paper's protocol: the paper's tables with its numbers beside ours."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cameval import CAMModel, Results, share_above, share_below
from cameval.report import Section, write_report
from study import figures, paper
from study.candidates import Candidate
from study.classification import fold_scores, table_2
from study.folds import Split
from study.looking import MAP
from study.paper_tables import (
    best_iou,
    best_threshold,
    class_table,
    interval,
    signed,
    switch_table,
    threshold_table,
)
from study.settings import Settings
from study.slices import Slices
from study.switches import Variation
from study.words import Tables, count_of, in_terminal, number, percent, wrapped

TITLE = "The brain-tumor study, as the paper did it"


def write(
    out: Path,
    settings: Settings,
    slices: Slices,
    splits: Sequence[Split],
    best: Candidate,
    predictions: pd.DataFrame,
    results: Results,
    varied: Sequence[tuple[Variation, pd.DataFrame]],
    model: CAMModel,
) -> Path:
    """Write the page, its tables as CSV, and a summary for the terminal; return the page."""
    names = slices.class_names
    scores = varied[0][1]
    chosen = best_threshold(scores)
    classification = table_2(predictions, settings.seed)
    thresholds = threshold_table(scores, results)
    classes = class_table(scores, names, chosen)
    switches = switch_table(varied)
    shared = len({patient for split in splits for patient in split.shared})
    lead = findings(settings, slices, shared, best, predictions, results, varied)
    size = settings.size_of(best)
    shown = figures.chosen_slices(scores, names, chosen)
    arguments = (model, slices, shown, size, settings)
    tables = Tables(out)
    sections = [
        Section(
            "classification",
            "Table 2: classification",
            f"Mean and standard deviation over {settings.folds} folds. All slices: accuracy of all "
            "together, with an interval by patient.",
            [
                tables.add(
                    "classification",
                    classification,
                    "Accuracy, and macro means of precision, recall and F1",
                )
            ],
        ),
        Section(
            "iou",
            "IoU at the five thresholds",
            f"{best} on the last fold, {len(splits[-1].test):,} slices, all of them, whether "
            "rightly classified or not. The paper prints one IoU, .153 at p95. Blind maps are "
            "thresholded where they are shown, above the threshold, however --threshold-on and "
            "--inclusive read the paper.",
            [
                tables.add("thresholds", thresholds, "Mean IoU by threshold"),
                tables.add("classes", classes, f"By class, at {chosen}, the best of these five"),
            ],
        ),
        Section(
            "switches",
            "What the paper leaves open",
            "One answer changed at a time, all else as it was run. The best of the five thresholds "
            "is chosen anew in each row, on the tested slices, as the paper chose. Another order "
            "of the slices tests other slices, and a crop may cut tumors off.",
            [tables.add("switches", switches, "How much each open question moves the result")],
        ),
        Section(
            "examples-of-the-paper",
            "Maps and masks",
            pictures=[
                figures.figure_1(*arguments, chosen),
                figures.figure_3(*arguments, scores),
            ]
            if shown
            else [],
        ),
    ]
    predictions.to_csv(out / "predictions.csv", index=False)
    scores.to_csv(out / "scores.csv", index=False)
    (out / "summary.txt").write_text(
        "\n\n".join(
            [
                "Table 2",
                in_terminal(classification),
                f"IoU of {best} on the last fold",
                in_terminal(thresholds),
                f"By class, at {chosen}",
                in_terminal(classes),
                *map(wrapped, lead),
            ]
        )
    )
    return write_report(
        results, out, title=TITLE, lead=lead, sections=sections, binarizer=chosen, method=MAP
    )


def findings(
    settings: Settings,
    slices: Slices,
    shared: int,
    best: Candidate,
    predictions: pd.DataFrame,
    results: Results,
    varied: Sequence[tuple[Variation, pd.DataFrame]],
) -> list[str]:
    """Return the findings as paragraphs; every word follows from the data."""
    what = "phantom slices" if settings.data == "phantom" else "MRI slices"
    people = len(set(slices.patients.tolist()))
    scores = varied[0][1]
    chosen = best_threshold(scores)
    at = scores[scores["threshold"] == chosen]
    trained = "features frozen" if settings.freeze else count_of(settings.epochs, "epoch")
    of_fold = fold_scores(predictions).groupby("model", sort=False)["accuracy"]
    accuracy = of_fold.mean()
    leaks = "The networks were tested on patients that they were trained on." if shared else ""
    blind = {
        name: float(np.nanmean(results.select(metric="iou", binarizer=chosen, method=name).values))
        for name in ("center", "class mean")
    }
    rival = max(blind, key=lambda name: blind[name])
    iou, mean = at["iou"].to_numpy(), interval(at)
    word = "above" if float(np.nanmean(iou)) > blind[rival] else "not above"
    said = [
        f"{len(slices):,} {what} of {people} patients in {settings.folds} folds by slice, "
        f"{trained}, seed {settings.seed}. {shared} patients are in several "
        f"folds. {leaks} Everything is chosen on the tested slices, as in the paper. These numbers "
        "are too good.",
        f"{best} classifies best, {number(accuracy[str(best)])} "
        f"({number(of_fold.std()[str(best)])}); the paper's best was VGG-19 with .950 (.040). On "
        f"the last fold its maps reach a mean IoU of {mean.text} {mean.detail} at {chosen}, the "
        f"best of five thresholds; the paper has .153 at p95. That is {word} the "
        f"{number(blind[rival])} of a map that never sees the image ({rival}).",
        f"The IoU is above .5 on {percent(share_above(iou, 0.5))} of the slices, where masks of "
        f"these areas could be above it on {percent(share_above(at['area_cap'].to_numpy(), 0.5))}, "
        f"and below .01 on {percent(share_below(iou, 0.01))} (the paper: 42 %, 257 of 612).",
    ]
    changes = {one: best_iou(table) - best_iou(scores) for one, table in varied[1:]}
    if any(changes.values()):
        most = max(changes, key=lambda one: abs(changes[one]))
        said.append(
            f"Of what the paper leaves open, most depends here on: {most.question}. With "
            f"\u201c{most.answer}\u201d the IoU changes by {signed(changes[most])}; the paper's "
            f".153 is {signed(paper.MEAN_IOU - best_iou(scores))} away."
        )
    return said

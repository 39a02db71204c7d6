"""The page of the strict protocol: findings in plain words, tables, figures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pandas as pd

from cameval import Results
from cameval.report import Section, write_report
from study import figures
from study.candidates import Candidate
from study.classification import confusion, over_folds, table_2
from study.folds import Split
from study.grids import Grid
from study.looking import MAP, OPTIMUM, VALIDATED, Looked
from study.settings import Settings
from study.slices import Slices
from study.strict_findings import findings
from study.strict_tables import (
    choice_table,
    class_table,
    model_test_table,
    model_tests,
    outcome_table,
    resolution_table,
    small_truth_table,
    threshold_table,
)
from study.words import Scores, Tables, in_terminal, wrapped

TITLE = "Where the networks look that tell brain tumors apart"
ON_THE_PAGE = ("", VALIDATED, "p95")
"""Thresholds of which the page has every table; the others are in the table of thresholds."""


def write(
    out: Path,
    settings: Settings,
    slices: Slices,
    splits: Sequence[Split],
    folds: Sequence[Looked],
    grids: Mapping[str, Grid],
) -> Path:
    """Write the page, its tables as CSV, and a summary for the terminal; return the page."""
    results = Results.concat([fold.results for fold in folds])
    fold_of = {slices.names[i]: split.fold for split in splits for i in split.test.tolist()}
    predictions = results.samples.assign(fold=results.samples["sample"].map(fold_of))
    predictions.to_csv(out / "predictions.csv", index=False)
    scores = Scores(results.select(explained="predicted"))
    best = chosen_model(folds)
    names = slices.class_names

    classification = table_2(predictions, settings.seed)
    thresholds = {model: threshold_table(scores, model) for model in grids}
    resolution = resolution_table(scores, grids, slices, settings.crop)
    tests = model_tests(results) if len(grids) > 1 else None
    lead = findings(results, scores, predictions, best, settings, resolution, tests)

    tables = Tables(out)
    sections = [
        Section(
            "classification",
            "Classification",
            f"Table 2 of the paper: {over_folds(settings.folds)} The paper's folds are by slice, "
            "so its networks had seen the patients that they were tested on; ours had not. Of all "
            "slices together the accuracy with its interval by patient.",
            [
                tables.add(
                    "classification", classification, "How well the networks tell the tumors apart"
                ),
                tables.add(
                    "confusion",
                    confusion(predictions[predictions["model"] == best], names),
                    f"What {best} takes each class for",
                ),
            ],
        ),
        Section(
            "thresholds",
            "Thresholds",
            f"IoU of the class activation map at each threshold. {VALIDATED}: the threshold that "
            f"was best on the validation patients of each fold. {OPTIMUM}: the one that turns out "
            "best on the tested slices, which nobody could have known. Blind maps see no image; "
            "the class mean is the training patients' mean mask of the class that the network "
            "predicts.",
            [
                *(
                    tables.add(f"thresholds-{_file(model)}", table, f"{model}: IoU by threshold")
                    for model, table in thresholds.items()
                ),
                tables.add(
                    "choices",
                    choice_table(folds, scores),
                    "Which threshold was chosen in each fold",
                ),
            ],
            [figures.thresholds(scores, list(grids))],
        ),
        Section(
            "tumors",
            "Kinds of tumor",
            f"{best}, at the validated threshold, and at the paper's 95th percentile.",
            [
                tables.add(
                    f"classes-{binarizer}",
                    class_table(results, best, names, binarizer),
                    f"IoU by class, {binarizer} threshold; the paper's shares are of VGG-19 at p95",
                )
                for binarizer in (VALIDATED, "p95")
            ],
        ),
        Section(
            "small",
            "Small tumors",
            "IoU mostly measures how large the tumor is beside the mask. The size-standardized IoU "
            "(sIoU) is the IoU that the same rates of hits and false alarms would give on a tumor "
            "that covers the share r of the frame. What coverage alone says must be read with "
            "care: a mask of everything covers all.",
            [
                tables.add(
                    "small-tumors",
                    small_truth_table(scores, best, VALIDATED),
                    f"{best}, validated threshold",
                ),
                tables.add(
                    "outcomes",
                    outcome_table(results, VALIDATED),
                    "What the masks are to the tumors",
                ),
            ],
        ),
        Section(
            "resolution",
            "Resolution",
            "What a map on the network's grid can reach at best: the tumors themselves, laid on "
            "the grid and enlarged as the maps are.",
            [
                tables.add(
                    "resolution",
                    resolution.drop(columns="cells"),
                    "IoU, and what the grid allows",
                )
            ],
        ),
    ]
    if tests is not None:
        sections.append(
            Section(
                "networks",
                "Networks and recipes",
                "Differences in IoU at the validated threshold, slice by slice, tested by patient.",
                [
                    tables.add(
                        "networks", model_test_table(tests), "Paired tests between the networks"
                    )
                ],
            )
        )
    scores.table.to_csv(out / "summary.csv", index=False)
    shown = on_the_page(results)
    shown.select(explained="predicted", kind="method").to_csv(out / "scores.csv")
    (out / "summary.txt").write_text(_summary(lead, classification, thresholds[best], best))
    return write_report(
        shown, out, title=TITLE, lead=lead, sections=sections, binarizer=VALIDATED, method=MAP
    )


def chosen_model(folds: Sequence[Looked]) -> str:
    """Return the model that is best on the validation slices, in the mean of the folds."""
    accuracy: dict[str, list[float]] = {}
    for fold in folds:
        accuracy.setdefault(fold.validated.model, []).append(fold.validation_accuracy)
    return max(accuracy, key=lambda model: fmean(accuracy[model]))


def _file(model: str) -> str:
    return Candidate.parse(model).file


def on_the_page(results: Results) -> Results:
    """Leave out what would make the page long: other thresholds, true classes of other maps."""
    kept = [
        k
        for k, column in enumerate(results.columns)
        if column.binarizer in ON_THE_PAGE
        and (column.explained == "predicted" or column.method == MAP)
    ]
    return replace(
        results,
        columns=tuple(results.columns[k] for k in kept),
        values=results.values[:, kept],
        codes=results.codes[:, kept],
    )


def _summary(
    lead: Sequence[str], classification: pd.DataFrame, thresholds: pd.DataFrame, best: str
) -> str:
    shown = thresholds.drop(columns=["best of image alone", "ceiling of the grid"])
    return "\n\n".join(
        [
            "Classification",
            in_terminal(classification),
            f"IoU of {best}",
            in_terminal(shown),
            *map(wrapped, lead),
        ]
    )

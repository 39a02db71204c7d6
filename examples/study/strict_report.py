"""The page of the strict protocol: findings in plain words, tables, figures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pandas as pd

from cameval import Results, concat
from cameval.report import Section, write_report
from study import figures
from study.candidates import Candidate
from study.classification import confusion, over_folds, table_2
from study.comparisons import PageTests
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
    best = chosen_model(folds)
    folds = sorted(folds, key=lambda fold: fold.validated.model != best)  # the page begins with it
    results = concat([fold.results for fold in folds])
    fold_of = {slices.names[i]: split.fold for split in splits for i in split.test.tolist()}
    predictions = results.samples.astype({"label": int, "predicted": int})
    predictions["fold"] = predictions["sample"].map(fold_of)
    predictions.to_csv(out / "predictions.csv", index=False)
    scores = Scores(results.select(target_class="predicted"))
    names = slices.class_names

    classification = table_2(predictions)
    thresholds = {model: threshold_table(scores, model) for model in grids}
    resolution = resolution_table(scores, grids, slices, settings.crop)
    shown = on_the_page(results)
    tests = PageTests.of(shown, VALIDATED, MAP)
    lead = findings(results, scores, predictions, best, settings, resolution, tests)

    tables = Tables(out)
    sections = [
        Section(
            "classification",
            "Classification",
            f"Table 2 of the paper: {over_folds(settings.folds)} The sizes of the paper's folds, "
            "613 four times and 612, are those of folds by slice, whose networks have seen the "
            "patients that they are tested on; ours have not. The last column is the accuracy of "
            "all slices together, with its interval by patient.",
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
            "best on the tested slices. Without the image: blind "
            "maps, and the class mean, the training patients' mean mask of the class that the "
            "network predicts. Truth on grid: the tumors drawn on the network's grid, at the "
            "same threshold or at one chosen for them; other maps may have more. No mask of the "
            "same area has a higher IoU than the area cap.",
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
            "The IoU depends on how large the tumor is beside the mask. The size-standardized IoU "
            "(sIoU) is the IoU that the same recall and false-positive rate would give on a tumor "
            "that covers the share r of the frame; recall and false-positive rate depend on the "
            "tumor's size themselves. Coverage alone says little: a mask of everything covers "
            "all.",
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
            "The tumors themselves, drawn on the network's grid and enlarged as the maps are, at "
            "the thresholds chosen for them and at the best threshold of each slice. Neither is a "
            "bound: a map that was found for each slice by ascent of its IoU has more, so the grid "
            "can hold at least that. Masks made of whole cells have at most the last column.",
            [
                tables.add(
                    "resolution",
                    resolution.drop(columns="cells"),
                    "IoU, and what the grid can hold",
                )
            ],
        ),
    ]
    if compared := tests.all_models():
        sections.append(
            Section(
                "networks",
                "Networks and recipes",
                "Differences in mean IoU at the validated threshold. p: sign-flip test of whole "
                "patients, Holm-corrected over the tests of IoU on this page; each interval "
                "agrees with its p.",
                [
                    tables.add(
                        "networks", model_test_table(compared), "Paired tests between the networks"
                    )
                ],
            )
        )
    scores.table.to_csv(out / "summary.csv", index=False)
    shown.select(target_class="predicted", kind="method").to_csv(out / "scores.csv")
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
        and (column.target_class == "predicted" or column.method == MAP)
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
    shown = thresholds.drop(columns=["best of image alone", "truth"])
    return "\n\n".join(
        [
            "Classification",
            in_terminal(classification),
            f"IoU of {best}",
            in_terminal(shown),
            *map(wrapped, lead),
        ]
    )

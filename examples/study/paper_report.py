"""The page of the paper's protocol: the paper's tables with its numbers beside ours."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cameval import CAMModel, Results
from cameval.report import Section, write_report
from study import figures
from study.candidates import Candidate
from study.classification import over_folds, table_2
from study.folds import Split
from study.looking import MAP
from study.paper_findings import findings
from study.paper_tables import best_threshold, class_table, switch_table, threshold_table
from study.settings import Settings
from study.slices import Slices
from study.switches import Variation
from study.words import Tables, in_terminal, wrapped

TITLE = "The brain-tumor study by the paper's protocol"


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
    classification = table_2(predictions)
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
            f"Table 2: {over_folds(settings.folds)} All slices: accuracy of all together, with an "
            "interval by patient.",
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
            "rightly classified or not. The paper prints one IoU, .153 at p95. The center of the "
            "frame and the class mean are made without the image. Their masks are above the "
            "threshold of the map at full size, whatever --threshold-on and --inclusive say. No "
            "mask of the same area has a higher IoU than the area cap.",
            [
                tables.add("thresholds", thresholds, "Mean IoU by threshold"),
                tables.add(
                    "classes",
                    classes,
                    f"By class, at {chosen}, the best of these five; the paper's shares are of "
                    "VGG-19 at p95",
                ),
            ],
        ),
        Section(
            "switches",
            "What the paper leaves open",
            "One answer changed at a time, all else as it was run. In each row the threshold is "
            "the best of the five on the tested slices themselves; on which slices the paper "
            "chose, it does not say. Folds made otherwise test other slices, and a crop "
            "may cut tumors off.",
            [tables.add("switches", switches, "How much each open question moves the result")],
        ),
        Section(
            "maps-of-slices",
            "Maps on single slices",
            pictures=[figures.draw_maps(*arguments, chosen)] if shown else [],
        ),
        Section(
            "thresholds-of-slices",
            "Thresholds on single slices",
            pictures=[figures.draw_thresholds(*arguments, scores)] if shown else [],
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
    return write_report(results, out, title=TITLE, lead=lead, sections=sections, method=MAP)

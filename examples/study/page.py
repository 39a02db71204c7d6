"""The pages of both protocols: what was run, the study's tables, and a summary as text.

The findings, figures and further tables of a page are those of `cameval.report.write_report`.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import filterfalse
from pathlib import Path
from textwrap import fill

import pandas as pd
from torch.utils.data import Subset

from cameval import CAMModel, Preparation, Results, concat
from cameval.report import Cell, Picture, Section, draw_images, page_tests, table_of, write_report
from cameval.report import format_number as number
from study import comparisons, figures, tables
from study.against import (
    against_the_paper,
    is_compared,
    paper_thresholds,
    strict_thresholds,
)
from study.data import Study, unknown
from study.evaluation import MAP, OPTIMUM, P95, PAPER_BINARIZERS, VALIDATED, FoldResult, Variation
from study.networks import Candidate, class_map, grid_of

ON_THE_PAGE = ("", VALIDATED, P95)  # thresholds of which the page has every table
OVER_FOLDS = "Classification: mean and standard deviation over folds (divided by n - 1)"
TEXTS = {
    "classification": "All slices: accuracy of all together, with an interval by patient. The "
    "paper's folds are by slice: its networks have seen the patients that they are tested on.",
    "thresholds": "Validated: the best threshold on the validation patients of each fold. Test "
    "optimum: the best on the tested slices. Truth: the tumors on the network's grid; no "
    "bound, other maps may have more. No mask of the same area exceeds the area bound.",
    "all-maps": "sIoU: the IoU of the mask if the tumor covered the share r of the frame.",
    "baselines": "Sign-flip tests of whole patients; the three tests of a class are one family, by "
    "which each p is corrected, and each interval agrees with its p. Those of all slices, with the "
    "masks of the verdict, are corrected for all tests of the page.",
    "planned": "Sign-flip tests of whole patients; each p is corrected by Holm's method for the "
    "tests of its family, and each interval agrees with its p. The last five were planned: the "
    "size-standardized IoU against the best map without the image; Otsu's and adaptive thresholds "
    "were expected to lower the IoU against percentile:95 and to raise the coverage.",
    "tumors": "The paper's shares are of VGG-19, percentile:95. At most: masks of these areas.",
    "resolution": "The tumors on the network's grid, at the thresholds chosen for them and at the "
    "best of each slice; the best map found for each slice; and masks of whole cells.",
    "iou": "The paper prints one IoU, .153 at the 95th percentile. The best threshold is chosen "
    "on the tested slices, an optimistic choice; the paper does not say on which slices it chose.",
    "switches": "One answer changed at a time, in each row with the best of the five thresholds. "
    "Other folds test other slices, and a crop may cut tumors off.",
    "masks": "The study's tables have the masks that --threshold-on and --inclusive ask for; the "
    "tests, the pictures and the library's sections have those above the upsampled threshold.",
}


PHANTOM = "Phantom: nothing clinical follows"


class Page:
    """Sections of a page, whose tables are also written as CSV and as text."""

    def __init__(self, study: Study) -> None:
        self.out = out = study.run.out
        self.banner = PHANTOM if study.settings.data == "phantom" else ""
        self.sections, self.texts = list[Section](), dict[str, str]()
        self.captions: dict[str, str] = {}
        (out / "tables").mkdir(exist_ok=True)

    def add(
        self,
        name: str,
        title: str,
        frames: Mapping[str, tuple[pd.DataFrame, str]],
        pictures: Sequence[Picture] = (),
    ) -> None:
        """Add a section with tables and their captions, and pictures."""
        for table, (frame, caption) in frames.items():
            plain = frame.map(lambda c: f"{c.text} {c.detail}".strip() if type(c) is Cell else c)
            plain.to_csv(self.out / "tables" / f"{table}.csv", index=False)
            self.captions[table] = caption
            self.texts[table] = f"{caption}\n\n{plain.to_string(index=False)}\n"
        shown = [table_of(frame, caption) for frame, caption in frames.values()]
        self.sections.append(Section(name, title, TEXTS[name], shown, pictures))

    def write(
        self,
        results: Results,
        lead: list[str],
        summary: list[str],
        *,
        title: str,
        opening: str,
        binarizer: str | None = None,
    ) -> Path:
        """Write the page, all tables as text, and a summary for the terminal; return the page."""
        lines = [fill(text, 98).replace("\u00a0", " ") + "\n" for text in lead]
        (self.out / "tables.txt").write_text("\n".join(self.texts.values()))
        (self.out / "tables" / "captions.json").write_text(json.dumps(self.captions, indent=1))
        shown = [*(self.texts[name] for name in summary), *lines]
        (self.out / "summary.txt").write_text("\n".join(shown))
        return write_report(
            results,
            self.out,
            title=title,
            banner=self.banner,
            opening=opening,
            lead=lead,
            sections=self.sections,
            binarizer=binarizer,
            method=MAP,
        )


def describe_run(study: Study) -> str:
    """Say what was run."""
    settings, slices, folds = study.settings, study.slices, study.folds
    sizes = [f"{one} ({settings.size_of(one)} px)" for one in settings.candidates]
    shared = len({patient for fold in folds for patient in fold.shared})
    training = f"at most {settings.epochs} epochs"
    if settings.freeze:
        training = "features frozen"
    elif settings.freeze_until:
        training += f" of the layers after {settings.freeze_until}"
    mining = f", GAIN with omega and sigma {settings.gain}" if settings.gain else ""
    who = f"{len(set(slices.patients.tolist()))} patients"
    lines = []
    if count := slices.unknown_patients:
        who = f"{len(set(filterfalse(unknown, slices.patients.tolist())))} known patients"
        lines = [
            f"The patients of {count:,} slices are not known; their fold stands for the patient. "
            "No interval or p value by patient of this run is to be trusted."
        ]
    kind = "phantom" if settings.data == "phantom" else "MRI"
    first = (
        f"{len(slices):,} {kind} slices of {who} in {len(folds)} folds; {shared} patients are in "
        f"several folds. {', '.join(sizes)}, {training}{mining}, seed {settings.seed}."
    )
    return " ".join([first, *lines])


def write_strict(study: Study, scored: Sequence[FoldResult]) -> Path:
    """Write page, tables and summary of the strict protocol; return the page."""
    settings, slices, folds, out = study.settings, study.slices, study.folds, study.run.out
    accuracy = pd.DataFrame([(one.validated.model, one.validation_accuracy) for one in scored])
    best = str(accuracy.groupby(0, sort=False)[1].mean().idxmax())  # on the validation patients
    scored = sorted(scored, key=lambda one: one.validated.model != best)
    results = concat([one.results for one in scored])
    predictions = results.samples.astype({"label": int, "predicted": int})
    fold_of = {slices.names[i]: fold.number for fold in folds for i in fold.test.tolist()}
    predictions["fold"] = predictions["sample"].map(fold_of)
    scores, names = tables.Scores(results), slices.class_names
    of = settings.size_of
    grids = {str(one): grid_of(one, of(one), settings.alignment) for one in settings.candidates}
    kept = results.select(binarizer=ON_THE_PAGE)
    tests = page_tests(kept, binarizer=VALIDATED, method=MAP)
    of_map = (tests["first"] == MAP) | (tests["second"] == MAP)
    own = tests[((tests["model"] == best) & of_map) | (tests["kind"] == "model")]
    planned = comparisons.planned_tests(scores, best, settings.seed)

    page = Page(study)
    if is_compared(study):
        trusted = not slices.unknown_patients
        compared = strict_thresholds(scores, best, trusted=trusted)
        at_p95 = tables.by_slice(scores, best, P95, names)
        section = against_the_paper(study, best, predictions, compared, at_p95)
        page.sections.append(section)
    of_best = predictions[predictions["model"] == best]
    classification = {
        "classification": (tables.classification_table(predictions), OVER_FOLDS),
        "confusion": (tables.confusion_table(of_best, names), f"Classes that {best} predicts"),
    }
    thresholds = {}
    for model in grids:
        table = tables.threshold_table(scores, model)
        thresholds[f"thresholds-{Candidate.parse(model).file}"] = table, f"IoU of {model}"
    thresholds["choices"] = tables.choice_table(scored, scores), "Threshold that each fold chose"
    classes = {
        f"classes-{binarizer.replace(':', '-')}": (
            tables.class_table(tables.by_slice(scores, best, binarizer, names), names),
            f"IoU of {best} by class, {binarizer} threshold",
        )
        for binarizer in (VALIDATED, P95)
    }
    resolution = tables.resolution_table(scores, grids, slices, settings.crop)
    methods = {
        f"methods-{Candidate.parse(model).file}": (
            tables.method_table(scores, model),
            f"Maps of {model} and of baselines, at the validated threshold",
        )
        for model in grids
    }
    sized = tables.size_table(scores, best), f"Size-standardized IoU of {best}"
    against = {
        f"baselines-{binarizer.replace(':', '-')}": (
            comparisons.baseline_tests(
                results.select(model=best),
                binarizer,
                names,
                settings.seed,
                own[(own["model"] == best) & (own["kind"] == "method")]
                if binarizer == VALIDATED
                else None,
            ),
            f"IoU of {best} and of baselines by class, {binarizer} threshold",
        )
        for binarizer in (VALIDATED, P95)
    }
    page.add("classification", "Classification", classification)
    page.add("thresholds", "Thresholds", thresholds)
    page.add("all-maps", "Methods and baselines", methods | {"sizes": sized})
    page.add("baselines", "Against baselines", against)
    every = comparisons.test_table(pd.concat([own, planned]))
    page.add("planned", "Planned and paired tests", {"tests": (every, f"Paired tests of {best}")})
    page.add("tumors", "Kinds of tumor", classes)
    page.add("resolution", "Resolution", {"resolution": (resolution, "IoU that the grid can hold")})

    predictions.to_csv(out / "predictions.csv", index=False)
    scores.table.to_csv(out / "summary.csv", index=False)
    kept.select(target_class="predicted", kind="method").to_csv(out / "scores.csv")
    validated, optimum = (scores.mean(best, MAP, label) for label in (VALIDATED, OPTIMUM))
    lead = [
        describe_run(study),
        f"{best}, which classifies the validation patients best, has a mean IoU of "
        f"{number(validated)} with thresholds chosen on other patients. Chosen on the "
        f"tested slices of each fold, it would read {number(optimum)}: an optimism of "
        f"{number(optimum - validated)}.",
    ]
    summary = ["classification", f"thresholds-{Candidate.parse(best).file}", "tests"]
    title = "Where networks look that classify brain tumors"
    opening = tables.describe_accuracy(predictions, best)
    return page.write(kept, lead, summary, title=title, opening=opening, binarizer=VALIDATED)


def write_paper(
    study: Study,
    model: CAMModel,
    best: Candidate,
    predictions: pd.DataFrame,
    results: Results,
    varied: Sequence[tuple[Variation, pd.DataFrame]],
) -> Path:
    """Write page, tables and summary of the paper's protocol; return the page."""
    settings, slices, folds, out = study.settings, study.slices, study.folds, study.run.out
    scores, names = varied[0][1], slices.class_names
    chosen = tables.best_threshold(scores)
    at = scores[scores["threshold"] == chosen]
    of_all = tables.ALL_ABOVE_HALF if chosen == P95 else None
    tests = page_tests(results, method=MAP)
    same = tests if chosen == comparisons.best_binarizer(results) else None
    page = Page(study)
    compared = paper_thresholds(scores, results, trusted=not slices.unknown_patients)
    at_p95 = scores[scores["threshold"] == P95]
    section = against_the_paper(study, str(best), predictions, compared, at_p95)
    page.sections.append(section)
    table = tables.classification_table(predictions)
    page.add("classification", "Table 2: classification", {"classification": (table, OVER_FOLDS)})
    iou = {
        "thresholds": (
            tables.paper_threshold_table(scores, results),
            f"IoU of {best} on the {len(folds[-1].test):,} slices of the last fold",
        ),
        "classes": (tables.class_table(at, names, of_all), f"By class, at {chosen}"),
        "tests": (comparisons.test_table(tests), "Differences of IoU at the best threshold"),
        "baselines": (
            comparisons.baseline_tests(results, chosen, names, settings.seed, same),
            f"IoU of {best} and of baselines by class, at {chosen}",
        ),
    }
    size = settings.size_of(best)
    pictures = [figures.draw_classes(slices, size, settings.crop)]
    if failures := figures.draw_failures(slices, scores, model, size, settings):
        pictures.append(failures)
    page.add("iou", "IoU at the five thresholds", iou, pictures)
    table = tables.switch_table(varied)
    page.add(
        "switches",
        "What the paper leaves open",
        {"switches": (table, "One answer changed at a time")},
    )

    grid = (size, size) if settings.truth_grid == "input" else None
    draw_images(
        results,
        Subset(slices, folds[-1].test.tolist()),
        model,
        out,
        methods={MAP: class_map},
        binarizers={chosen: PAPER_BINARIZERS[chosen]},
        prepare=Preparation(size, settings.crop, truth_size=grid),
        alignment=settings.alignment,
    )
    predictions.to_csv(out / "predictions.csv", index=False)
    scores.to_csv(out / "scores.csv", index=False)
    other = settings.threshold_on != "upsampled" or settings.inclusive
    frequent = predictions.drop_duplicates("sample")["label"].value_counts(normalize=True).iloc[0]
    of_what = (
        f"The accuracy is of the {len(slices):,} slices of all folds; always the most frequent "
        f"class would have {number(frequent)}. The maps are of the {len(folds[-1].test):,} slices "
        "of the last fold."
    )
    lead = [f"{describe_run(study)} {of_what}", TEXTS["iou"], *[TEXTS["masks"]] * other]
    summary = ["classification", "thresholds", "classes", "tests", "switches"]
    title = "The brain-tumor study by the paper's protocol"
    opening = tables.describe_accuracy(predictions, str(best))
    return page.write(results, lead, summary, title=title, opening=opening)

"""The sections of the evaluation, in the order of the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from cameval.evaluation._scores import Images
from cameval.report._accuracy import describe_accuracy, describe_brackets
from cameval.report._all_scores import all_scores_table, further_metrics
from cameval.report._answers import Known
from cameval.report._caveats import caveats
from cameval.report._chart import Charts, ChartSection
from cameval.report._charts import (
    class_section,
    confidence_section,
    guessing_section,
    size_section,
    threshold_section,
)
from cameval.report._class_tables import class_table, correctness_table, target_class_table
from cameval.report._confusion import confusion_table
from cameval.report._info_tables import info_section
from cameval.report._label_tables import means_table, positives_table
from cameval.report._negatives import negatives_section
from cameval.report._run_settings import constant_table, list_rules, list_settings, undefined_table
from cameval.report._sanity_section import sanity_section
from cameval.report._score_tables import category_table, map_table, other_table
from cameval.report._test_tables import (
    method_tests,
    model_tests,
    notes_on_labels,
    target_class_tests,
)
from cameval.report.formatting import format_count
from cameval.report.reviewers import Review, reviewers_section
from cameval.report.sections import Section, Table


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What the sections show.

    Parameters
    ----------
    known
        What the page is about.
    everything
        All targets of each model; those of `known` may be a part.
    charts
        The figures.
    reviewed
        The answers for reviewers.
    """

    known: Known
    everything: Mapping[str, Images]
    charts: Charts
    reviewed: Review


@dataclass(frozen=True)
class Fold(Section):
    """A section that is folded: with a few words beside its title, definitions and rules."""

    brief: str = ""
    definitions: Sequence[tuple[str, str]] = ()
    rules: Sequence[str] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return super().empty and not (self.definitions or self.rules)


def sections_of(of: Evaluated) -> list[Section]:
    """Return the sections that are not empty."""
    known = of.known
    labeled = positives_table(
        of.everything, known.contents, known.headline, known.scores, known.names
    )
    by_class = class_table(known.images, known.contents, known.headline, known.scores, known.names)
    sections = [
        guessing_section(of.charts),
        class_section(of.charts, _present(labeled, by_class) if _has_labels(known) else []),
        size_section(of.charts),
        threshold_section(of.charts, notes_on_labels(known.contents, known.headline, known.family)),
        confidence_section(of.charts, _folds(_predictions(of))),
        _scores(of),
        ChartSection(
            "details",
            _title_of_details(of),
            folds=_folds(
                _tests(of),
                _undefined(of),
                _folded(
                    negatives_section(
                        known.targets,
                        of.everything,
                        known.contents,
                        known.headline,
                        known.scores,
                        known.names,
                    )
                ),
                _folded(info_section(known.images, known.headline, known.scores, known.names)),
                _folded(sanity_section(known.targets.everything, known.headline, known.names)),
                _folded(reviewers_section(of.reviewed), "what reviewers ask, and what is known"),
                _protocol(of),
            ),
        ),
    ]
    return [section for section in sections if not section.empty]


def _has_labels(known: Known) -> bool:
    return any(images.has_labels for images in known.images.values())


def _title_of_details(of: Evaluated) -> str:
    tests = "Tests, undefined scores, protocol" if of.known.family.size else ""
    return tests or "Undefined scores, protocol"


def _present(*tables: Table | None) -> list[Table]:
    return [table for table in tables if table is not None]


def _noted(notes: Sequence[str], *tables: Table | None) -> list[Table]:
    """Return tables of maps and baselines with further notes."""
    return [replace(table, notes=[*table.notes, *notes]) for table in _present(*tables)]


def _folds(*folds: Section) -> list[Section]:
    return [fold for fold in folds if not fold.empty]


def _folded(section: Section, brief: str = "") -> Fold:
    return Fold(
        section.anchor,
        section.title,
        section.lead,
        section.tables,
        section.pictures,
        brief=brief,
    )


def _scores(of: Evaluated) -> ChartSection:
    """Return the table of all scores, and folded those of further metrics."""
    known = of.known
    contents, headline, scores, names = (
        known.contents,
        known.headline,
        known.scores,
        known.names,
    )
    table = all_scores_table(contents, headline, scores, names, of.charts.verdicts, known.family)
    shown = {headline.metric, headline.bound, *further_metrics(contents, headline)}
    samples = known.targets.scored.samples
    further = (
        means_table(known.targets, contents, headline, scores, names),
        other_table(contents, shown, scores, names),
        category_table(contents, known.images, names),
    )
    every = None
    if not _has_labels(known):
        every = class_table(known.images, contents, headline, scores, names)
    of_maps = map_table(contents, shown, scores, names, samples["area"])
    labels = notes_on_labels(contents, headline, known.family)
    folds = _folds(
        Fold("maps", "Maps without a threshold", tables=_noted(labels, of_maps)),
        Fold(
            "more-scores",
            "Further metrics and means",
            tables=[*_present(every), *_noted(labels, *further)],
        ),
    )
    lead = ""
    if table is not None:
        first = "highest" if headline.meaning.higher_is_better is None else "best"
        lead = (
            f"Means with 95 % intervals by {names.group}: maps of methods, then baselines by what "
            f"they use; in each part the {first} first. Click a heading to sort each part."
        )
    return ChartSection("scores", "All scores", lead, _present(table), folds=folds)


def _predictions(of: Evaluated) -> Fold:
    """Return the scores of right and wrong predictions, and of target classes."""
    known = of.known
    of_models = [of.everything[model] for model in known.headline.candidates]
    tables = _present(
        confusion_table(of_models, known.names),
        correctness_table(known.images, known.headline, known.names),
        target_class_table(known.contents, known.images, known.headline, known.names),
        target_class_tests(known.headline, known.names, known.family),
    )
    accuracy = [
        text
        for model in known.headline.candidates
        if (text := describe_accuracy(of.everything[model], known.names))
    ]
    accuracy += [text for text in [describe_brackets(of_models, known.names)] if text]
    title = "Target classes" if tables else "Accuracy"
    if any(images.has_accuracy for images in known.images.values()):
        title = "Right and wrong predictions"
        title = "Predicted targets and others" if known.names.is_multilabel else title
    return Fold("right-and-wrong", title, accuracy, tables)


def _tests(of: Evaluated) -> Fold:
    known = of.known
    tables = _present(
        method_tests(known.contents, known.headline, known.names, known.family),
        *model_tests(known.headline, known.names, known.family),
    )
    size = known.family.size
    brief = format_count(size, "comparison")
    brief += ", corrected as one family by Holm's method" if size > 1 else ""
    return Fold("tests", "Paired tests", tables=tables, brief=brief if size else "")


def _undefined(of: Evaluated) -> Fold:
    results = of.known.targets.everything
    tables = _present(undefined_table(results), constant_table(results, of.known.names))
    lead = "" if tables else "Every score is defined, and no map is constant."
    brief = "" if tables else "none; no constant map"
    return Fold("undefined", "Undefined scores and constant maps", lead, tables, brief=brief)


def _protocol(of: Evaluated) -> Fold:
    known = of.known
    return Fold(
        "methods",
        "Protocol",
        caveats(known.targets, known.names),
        brief="how the scores were computed: settings, rules, versions",
        definitions=list_settings(known.targets.everything, known.names),
        rules=list_rules(known.targets.everything, known.names),
    )

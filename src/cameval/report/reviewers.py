"""The section for reviewers: questions with answers in one table, and the same as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

from cameval.evaluation import Results
from cameval.evaluation._comparisons import compare_all, seed_of
from cameval.evaluation._contents import contents_of_page
from cameval.evaluation._headline import headline_of
from cameval.evaluation._scores import images_by_model, scores_of
from cameval.evaluation._words import one_line
from cameval.report._answers import (
    Answer,
    Known,
    answer_data,
    answer_negatives,
    answer_network,
    answer_subgroups,
    answer_task,
    answer_truth,
    answer_undefined,
)
from cameval.report._answers_on_analysis import (
    answer_baselines,
    answer_computing,
    answer_intervals,
    answer_metrics,
    answer_tests,
    answer_tuning,
    metrics_of,
)
from cameval.report._names import names_of
from cameval.report._targets import targets_of
from cameval.report.facts import StudyFacts, facts_of
from cameval.report.sections import Block, Cell, Row, Section, Table

__all__ = ["reviewer_summary"]

FORMAT: Final = "cameval reviewers"
VERSION: Final = 2
"""Version of the format of the JSON file. A change of the meaning of a key raises it."""

NOT_GIVEN: Final = "not given"

_ANSWERS = (
    *(answer_task, answer_data, answer_truth, answer_network, answer_tuning, answer_metrics),
    *(answer_undefined, answer_negatives, answer_baselines, answer_intervals, answer_tests),
    *(answer_subgroups, answer_computing),
)
"""The answers, in the order of the page."""


def reviewer_summary(
    results: Results,
    facts: StudyFacts | None = None,
    *,
    binarizer: str | None = None,
    method: str | None = None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return what reviewers ask of an evaluation, with answers, for JSON.

    `write_report` writes it to ``reviewers.json``, and shows it in the section "For reviewers".

    Parameters
    ----------
    results, binarizer, method, names
        As of :func:`write_report`.
    facts
        What only the author knows.

    Returns
    -------
    dict
        ``format``, ``version``, and ``answers``: for each of ``task``, ``data``, ``truth``,
        ``network``, ``tuning``, ``metrics``, ``undefined``, ``negatives``, ``baselines``,
        ``intervals``, ``tests``, ``subgroups`` and ``computing`` a dictionary with

        - ``question``: the question;
        - ``run``: what the run knows, as sentences;
        - ``values``: the same as names, counts and numbers; what is not known, NaN and infinite
          numbers are None;
        - ``author``: the facts of the author that belong to it, None if they are not given.

    Raises
    ------
    SettingError
        If there is no such binarizer or method.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval import Sample, evaluate_maps, iou
    >>> from cameval.report import StudyFacts, reviewer_summary
    >>> truth = np.zeros((32, 32), dtype=bool)
    >>> truth[8:24, 8:24] = True
    >>> images = np.random.default_rng(0).random((12, 32, 32), dtype=np.float32)
    >>> samples = [Sample(f"image {k}", image, truth) for k, image in enumerate(images)]
    >>> results = evaluate_maps(
    ...     {"exact": lambda one: 1.0 * one.mask}, samples, metrics=iou, progress=False
    ... )
    >>> summary = reviewer_summary(results, StudyFacts(truth_drawn_by="Two radiologists."))
    >>> summary["answers"]["truth"]["author"]["truth_drawn_by"]
    'Two radiologists.'
    """
    contents = contents_of_page(results, binarizer)
    targets = targets_of(results, contents)
    scores = scores_of(targets.scored, contents)
    headline = headline_of(contents, scores, method=method, binarizer=binarizer)
    images = images_by_model(targets.scored)
    family = compare_all(contents, headline, images, seed_of(results))
    words = names_of(targets, contents, names)
    known = Known(targets, contents, images, headline, scores, words, family)
    return to_record(review(known, facts))


@dataclass(frozen=True)
class Review:
    """The answers of a run, the facts of the author, and the questions of the metrics."""

    answers: Sequence[Answer]
    facts: StudyFacts | None
    metrics: Table | None


def review(known: Known, facts: StudyFacts | None) -> Review:
    """Return the answers to what reviewers ask, for the page and for JSON."""
    return Review([answer(known) for answer in _ANSWERS], facts, _metric_table(known))


def to_record(reviewed: Review) -> dict[str, Any]:
    """Return the answers for JSON."""
    answers = {
        answer.key: {
            "question": answer.question,
            "run": list(answer.sentences),
            "values": _plain(answer.values),
            "author": {name: value for name, _, value in facts_of(reviewed.facts, answer.key)},
        }
        for answer in reviewed.answers
    }
    return {"format": FORMAT, "version": VERSION, "answers": answers}


def reviewers_section(reviewed: Review) -> Section:
    """Return the section of the page: a table of questions, and one of metrics."""
    rows = [
        Row(Cell(one.question), [Cell(" ".join(one.sentences)), _author_cell(reviewed, one)])
        for one in reviewed.answers
    ]
    questions = Table(
        "Questions and answers",
        ["question", "what the run records", "what the author states"],
        [Block(rows)],
        look="text",
    )
    lead = "What only the author knows is shown as it was given; nothing is inferred in its place."
    tables = [questions, *([reviewed.metrics] if reviewed.metrics is not None else [])]
    return Section("reviewers", "For reviewers", f"{lead} The same is in reviewers.json.", tables)


def _author_cell(reviewed: Review, answer: Answer) -> Cell:
    """Return the facts of the author, and smaller the titles of those that are not given."""
    facts = facts_of(reviewed.facts, answer.key)
    given = [f"{title}: {one_line(value, 1000)}" for _, title, value in facts if value is not None]
    missing = [title for _, title, value in facts if value is None]
    text = " · ".join(one[:1].upper() + one[1:] for one in given)
    return Cell(text, f"{NOT_GIVEN}: {', '.join(missing)}" if missing else "")


def _metric_table(known: Known) -> Table | None:
    """Return the question of each metric, and when it misleads."""
    rows = []
    for label, meaning in metrics_of(known).items():
        asked = meaning.question
        cells = [Cell("not documented"), Cell("")]
        if asked is not None:
            cells = [Cell(asked.question), Cell(asked.misleads)]
        rows.append(Row(Cell(known.contents.title(label), asked.aspect if asked else ""), cells))
    if not rows:
        return None
    return Table(
        "What each metric asks",
        ["metric", "question", "when it misleads, or what it does not say"],
        [Block(rows)],
        look="text",
    )


def _plain(value: Any) -> Any:
    """Return values for JSON; NaN and infinite numbers are None."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    number = float(value)
    return number if isfinite(number) else None

"""The table of all scores: a row for each map and binarizer, with their differences tested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cameval.evaluation import Column
from cameval.evaluation._comparisons import (
    Comparison,
    Family,
    GuessVerdict,
    judge_against_guess,
)
from cameval.evaluation._contents import Contents
from cameval.evaluation._headline import Headline
from cameval.evaluation._numbers import format_signed
from cameval.evaluation._scores import ROLES, Score, Scores
from cameval.evaluation._words import one_line
from cameval.report._fewer import notes_on_fewer
from cameval.report._names import Names
from cameval.report._score_tables import (
    compared_cell,
    count_cells,
    map_row,
    maps_of,
    mean_cell,
    metric_heading,
    notes_on_scores,
    plain_cell,
)
from cameval.report._test_tables import describe_levels, has_interval, no_bracket, notes_on_labels
from cameval.report._verdict import Verdict
from cameval.report.formatting import format_interval
from cameval.report.sections import Block, Cell, Row, Table

_MOST_FURTHER_METRICS = 5

_SYMBOLS: Mapping[GuessVerdict, str] = {
    "better": "\u25b2",
    "worse": "\u25bc",
    "open": "\u2248",
    "equal": "=",
}


_Kind = Literal["method", "given", "control", "nothing", "labels", "image", "truth"] | None
"""What the maps of a row are; None is a baseline that does not state what it uses."""


@dataclass(frozen=True)
class BarCell(Cell):
    """A cell with a bar; `share` is its length, in [0, 1]."""

    share: float = 0.0


def further_metrics(contents: Contents, headline: Headline) -> list[str]:
    """Return the metrics that the table shows after the headline's."""
    first = {headline.metric, headline.bound}
    of = contents.mask_metrics
    if headline.metric not in of:
        of = contents.map_metrics
    return [label for label in of if label not in first][:_MOST_FURTHER_METRICS]


def all_scores_table(
    contents: Contents,
    headline: Headline,
    scores: Scores,
    names: Names,
    verdicts: Sequence[Verdict],
    family: Family,
) -> Table | None:
    """Return every map with every binarizer: a block of each kind, in it the best score first."""
    metric = headline.metric
    if metric is None:
        return None
    of_masks = metric in contents.mask_metrics
    further = further_metrics(contents, headline)
    found = [
        (score, model, column)
        for model in contents.models
        for target_class in contents.target_classes
        for binarizer in (contents.binarizers if of_masks else ("",))
        for column in maps_of(contents, target_class, binarizer, metric)
        if (score := scores.get(model, column)) is not None
    ]
    sign = -1 if headline.meaning.higher_is_better is not False else 1
    found.sort(key=lambda one: (np.isnan(one[0].mean), sign * np.nan_to_num(one[0].mean)))
    tests = tests_of(verdicts, family)
    has_tests = any((model, replace(column)) in tests for _, model, column in found)
    alike = _are_alike([score for score, _, _ in found])
    of_one = any(
        other.n != score.n
        for score, model, column in found
        for label in (headline.bound, *further)
        if (other := scores.in_metric(model, column, label)) is not None
    )
    rows: dict[_Kind, list[Row]] = {kind: [] for kind in _KINDS}
    for score, model, column in found:
        cells = _labels(model, column, contents, names, of_masks=of_masks)
        cells.append(_mean_cell(score, headline))
        if has_tests:
            cells.append(_difference_cell(tests.get((model, column)), contents, headline))
        if headline.bound:
            bound = scores.in_metric(model, column, headline.bound)
            cells.append(plain_cell(bound, score.n, names))
        others = [scores.in_metric(model, column, label) for label in further]
        cells += [compared_cell(other, score.n, names) for other in others]
        cells += [] if alike else count_cells([score])
        rows[_kind_of(contents, column)].append(map_row(contents, column, cells))
    if not found:
        return None
    whose = f" ({headline.title})" if of_one else ""
    titles = [
        "map",
        *([names.noun] * (len(contents.models) > 1)),
        *(["target class"] * (len(contents.target_classes) > 1)),
        *(["masks by"] * of_masks),
        metric_heading(metric, contents),
        *(["minus best guess"] * has_tests),
        *([contents.title(headline.bound)] if headline.bound else []),
        *(metric_heading(label, contents) for label in further),
        *([] if alike else [f"n{whose}", f"undefined{whose}", "constant maps"]),
    ]
    notes = notes_on_scores(contents, headline, scores, names)
    if alike:
        of_what = f" of {headline.title}" if of_one else ""
        notes.append(_describe_counts(found[0][0], names, of_what))
    if has_tests:
        notes.append(
            "Differences from the best guess are tested where the masks are those of the figures "
            "above: \u25b2 better, \u25bc worse, \u2248 neither is shown, "
            f"{explain_question_mark(contents, names)}, = the same."
        )
        notes += describe_levels(tests.values())
    if any(not has_interval(one) for one in tests.values()):
        notes.append(no_bracket(names))
    notes += notes_on_labels(contents, headline, family)
    caption = f"{headline.title} of all maps{names.part}"
    blocks = [Block(of_kind, _heading(kind, contents)) for kind, of_kind in rows.items() if of_kind]
    notes += notes_on_fewer(titles, blocks, names)
    return Table(caption, titles, blocks, notes, look="scores")


_KINDS: Sequence[_Kind] = ("method", "given", "control", *ROLES)


def _kind_of(contents: Contents, column: Column) -> _Kind:
    """Return what the maps of a column are, as their meanings state it."""
    if column.kind == "baseline":
        return contents.baselines[column.method]
    if column.method in contents.controls:
        return "control"
    return "given" if column.method in contents.given else "method"


def _heading(kind: _Kind, contents: Contents) -> str:
    """Return the heading of the rows of a kind."""
    network = "without the trained network" if contents.has_network else "alone"
    headings: dict[_Kind, str] = {
        "method": "methods",
        "given": "maps made elsewhere",
        "control": "controls",
        "nothing": "blind baselines: do not use the image",
        "labels": "baselines that use labels or predictions alone",
        "image": f"baselines that use the image {network}",
        None: "baselines that do not state what they use",
        "truth": "baselines that use the truth",
    }
    return headings[kind]


def _labels(
    model: str, column: Column, contents: Contents, names: Names, *, of_masks: bool
) -> list[Cell]:
    cells = [Cell(one_line(model))] * (len(contents.models) > 1)
    if len(contents.target_classes) > 1:
        cells.append(Cell(names.target_class(column.target_class)))
    return cells + [Cell(one_line(column.binarizer))] * of_masks


def _mean_cell(score: Score, headline: Headline) -> Cell:
    """Return the mean, with a bar if all scores are in [0, 1]."""
    cell = mean_cell(score)
    if headline.meaning.value_range != (0, 1) or np.isnan(score.mean):
        return cell
    share = min(1.0, max(0.0, score.mean))
    return BarCell(cell.text, cell.detail, cell.few_groups, share)


def tests_of(verdicts: Sequence[Verdict], family: Family) -> dict[tuple[str, Column], Comparison]:
    """Return the tests against the best guess, by model and column."""
    return {
        (one.model, replace(one.column, kind="method", method=test.first)): test
        for one in verdicts
        if one.column is not None and one.guess is not None
        for test in family.select("method", one.model)
        if test.second == one.guess.column.method
    }


def _difference_cell(test: Comparison | None, contents: Contents, headline: Headline) -> Cell:
    if test is None or np.isnan(test.p) or headline.meaning.higher_is_better is None:
        return Cell("")
    higher = headline.meaning.higher_is_better
    found = judge_against_guess(test, contents, higher_is_better=higher)
    return Cell(describe_difference(test, found))


def describe_difference(test: Comparison, found: GuessVerdict) -> str:
    """Return the symbol of what a test says, and its difference and interval."""
    symbol = _SYMBOLS.get(found, "?")
    interval = format_interval(test.test.low, test.test.high)
    return f"{symbol} {format_signed(test.test.difference)} {interval}".strip()


def explain_question_mark(contents: Contents, names: Names) -> str:
    """Return what the question mark of a difference from the best guess is for."""
    alone = ", or better than random maps alone" if contents.has_noise_alone else ""
    return f"? too few {names.groups} to tell{alone}"


def _are_alike(scores: Sequence[Score]) -> bool:
    return len({(one.n, one.n_undefined, one.n_constant) for one in scores}) == 1


def _describe_counts(score: Score, names: Names, of_what: str) -> str:
    parts = [
        "no score is undefined"
        if not score.n_undefined
        else f"{score.n_undefined:,} are undefined",
        "no map is constant" if not score.n_constant else f"{score.n_constant:,} maps are constant",
    ]
    return f"Each mean{of_what} is over {names.rows(score.n)}; {' and '.join(parts)}."


def headline_data(
    verdict: Verdict,
    contents: Contents,
    headline: Headline,
    scores: Scores,
    names: Names,
    family: Family,
) -> Table | None:
    """Return the rows of the figure of one network as a table."""
    if verdict.column is None or verdict.score is None:
        return None
    column, model = verdict.column, verdict.model
    tests = tests_of([verdict], family)
    rows = []
    for one in maps_of(contents, column.target_class, column.binarizer, column.metric):
        if (score := scores.get(model, one)) is None:
            continue
        cells = [mean_cell(score)]
        if verdict.guess is not None:
            cells.append(_difference_cell(tests.get((model, one)), contents, headline))
        if headline.bound:
            bound = scores.in_metric(model, one, headline.bound)
            cells.append(plain_cell(bound, score.n, names))
        rows.append(map_row(contents, one, cells))
    titles = [
        "map",
        metric_heading(column.metric, contents),
        *(["minus best guess"] if verdict.guess is not None else []),
        *([contents.title(headline.bound)] if headline.bound else []),
    ]
    notes = [
        *notes_on_labels(contents, headline, family),
        *notes_on_fewer(titles, [Block(rows)], names),
    ]
    return Table(
        names.with_model(model, f"{headline.title} of each map, {names.column(column)}"),
        titles,
        [Block(rows)],
        notes,
    )

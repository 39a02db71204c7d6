"""The best maps of each of many networks: the rows of one figure, and the same as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from cameval.evaluation import Column
from cameval.evaluation._comparisons import Comparison, judge_against_guess
from cameval.evaluation._headline import candidates_of
from cameval.evaluation._numbers import MISSING, format_short, with_minus
from cameval.evaluation._scores import Score
from cameval.evaluation._words import one_line
from cameval.report._all_scores import describe_difference
from cameval.report._answers import Known
from cameval.report._fewer import notes_on_fewer
from cameval.report._names import Names
from cameval.report._score_tables import compared_cell, plain_cell
from cameval.report._verdict import Verdict
from cameval.report._verdict_words import chip_text, symbol_of
from cameval.report.sections import Block, Cell, Row, Table


@dataclass(frozen=True)
class NetworkRow:
    """The best maps of one network.

    Parameters
    ----------
    model
        Its label.
    what
        Method and binarizer.
    score
        The mean score; None if no score is defined.
    guess, guess_label
        The mean of the best guess with the same binarizer, and which it is, if there is one.
    at_bound
        The upper bound of these masks, if there is one.
    verdict
        Symbol and chip; empty if the network is not among those that the verdict is about.
    difference
        The paired difference from the best guess, where it was tested.
    """

    model: str
    what: str
    score: Score | None
    guess: Score | None
    guess_label: str
    at_bound: Score | None
    verdict: str
    difference: str

    @property
    def bound(self) -> float:
        """Mean of the upper bound of these masks; NaN if there is none."""
        return float("nan") if self.at_bound is None else self.at_bound.mean

    @property
    def right(self) -> str:
        """What is written at the end of the row."""
        if self.score is None:
            return "no score"
        return self.difference if self.verdict else "not tested"


def network_rows(verdicts: Sequence[Verdict], known: Known) -> list[NetworkRow]:
    """Return a row for each network of the results, the best mean first."""
    by_model = {one.model: one for one in verdicts}
    rows = [_row_of(model, by_model.get(model), known) for model in known.contents.models]
    higher = known.headline.meaning.higher_is_better
    sign = 1 if higher is False else -1

    def key(row: NetworkRow) -> tuple[bool, float]:
        value = 0 if higher is None or row.score is None else sign * row.score.mean
        return row.score is None, value

    return sorted(rows, key=key)


def _row_of(model: str, verdict: Verdict | None, known: Known) -> NetworkRow:
    scores, headline = known.scores, known.headline
    column = headline.columns.get(model)
    if column is None:
        of = headline.metric, headline.method, headline.binarizer
        column = scores.best(model, candidates_of(model, known.contents, scores, *of))
    score = None if column is None else scores.get(model, column)
    if score is not None and np.isnan(score.mean):
        score = None
    guess: Column | None = None
    test: Comparison | None = None
    if verdict is not None:
        guess = None if verdict.guess is None else verdict.guess.column
        test = None if verdict.guess is None else verdict.guess.comparison
    elif column is not None and column.kind == "method":
        guess = scores.best_baseline(model, column, "nothing")
    at_guess = None if guess is None else scores.get(model, guess)
    if at_guess is not None and np.isnan(at_guess.mean):
        at_guess = None
    bound = None
    if column is not None and column.binarizer:
        bound = scores.in_metric(model, column, headline.bound)
    difference = chip = ""
    if verdict is not None:
        chip = f"{symbol_of(verdict.state)} {chip_text(verdict, headline, known.names)}"
    if test is not None and not np.isnan(test.p):
        higher = bool(headline.meaning.higher_is_better)
        found = judge_against_guess(test, known.contents, higher_is_better=higher)
        difference = with_minus(describe_difference(test, found))
    return NetworkRow(
        model,
        "" if column is None else known.names.column(column),
        score,
        at_guess,
        "" if guess is None else guess.method,
        bound,
        chip,
        difference,
    )


def describe_networks(rows: Sequence[NetworkRow], known: Known) -> str:
    """Return what the figure says, in one sentence with numbers."""
    scored = [row for row in rows if row.score is not None]
    noun = known.names.noun
    text = f"Mean {known.headline.title} of the best maps of {len(scored)} {noun}s: "
    ends = [
        f"{format_short(row.score.mean)} ({one_line(row.model, 40)})"
        for row in (scored[0], scored[-1])
        if row.score is not None
    ]
    text += f"from {ends[0]} to {ends[1]}"
    guesses = [row.guess.mean for row in scored if row.guess is not None]
    if guesses:
        low, high = format_short(min(guesses)), format_short(max(guesses))
        text += f"; best guess {low}" if low == high else f"; best guesses {low} to {high}"
    tested = [row.difference for row in scored if row.difference]
    if tested:
        better, worse = (sum(one.startswith(symbol) for one in tested) for symbol in "\u25b2\u25bc")
        text += f"; better than its best guess: {better} of {len(tested)}, worse: {worse}"
    return with_minus(f"{text}.")


def network_table(rows: Sequence[NetworkRow], known: Known) -> Table:
    """Return the rows of the figure as a table."""
    bound = known.headline.bound
    shown, names = [], known.names
    for row in rows:
        most = max((one.n for one in (row.score, row.guess, row.at_bound) if one), default=0)
        guess = plain_cell(row.guess, most, names)
        cells = [
            Cell(row.verdict or "not tested"),
            Cell(row.what),
            compared_cell(row.score, most, names),
            replace(guess, detail=one_line(row.guess_label, 24)),
            Cell(row.difference),
            *([_bound_cell(row.at_bound, most, names)] if bound else []),
        ]
        shown.append(Row(Cell(one_line(row.model, 40)), cells, "method"))
    noun = known.names.noun
    titles = [noun, "verdict", "best map", known.headline.title, "best guess", "minus best guess"]
    titles += [known.contents.title(bound)] if bound else []
    notes = notes_on_fewer(titles, [Block(shown)], names)
    return Table(f"The best maps of each {noun}", titles, [Block(shown)], notes, look="scores")


def _bound_cell(bound: Score | None, most: int, names: Names) -> Cell:
    return Cell(MISSING) if bound is None else plain_cell(bound, most, names)

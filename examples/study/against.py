"""The section of the page that compares the study with the paper, in figures."""

from collections.abc import Sequence
from math import ceil, floor, nan
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cameval import Results
from cameval.metrics import share_above, share_below
from cameval.report import ScoreFigure, ScoreMark, ScoreRow, Section
from cameval.report import format_number as number
from cameval.report import format_percent as percent
from cameval.statistics import mean_interval
from study.data import Study
from study.evaluation import CLASS_MEAN, MAP, P95, PAPER_BINARIZERS, VALIDATED
from study.networks import Candidate
from study.tables import (
    PAPER_ABOVE_HALF,
    PAPER_BELOW_HUNDREDTH,
    PAPER_IOU,
    PAPER_TABLE_2,
    Scores,
    fold_scores,
    paper_share,
)

OURS, PAPER = "this study", "the paper"
NAMES: Any = {
    "score": OURS,
    "guess": "best guess",
    "baseline": "class mean",
    "bound": "bound",
    "published": PAPER,
}


class AtThreshold(NamedTuple):
    """Mean IoUs at one threshold: of the map, of baselines, and the highest of such masks."""

    threshold: str
    iou: float
    low: float
    high: float
    guess: float
    guessed_by: str
    class_mean: float
    bound: float


def is_compared(study: Study) -> bool:
    """Tell whether the page has the section: by the paper's protocol, or on the paper's data."""
    return study.settings.protocol == "paper" or study.settings.data != "phantom"


def against_the_paper(
    study: Study,
    model: str,
    predictions: pd.DataFrame,
    thresholds: Sequence[AtThreshold],
    at_p95: pd.DataFrame,
) -> Section:
    """Return the section; `at_p95` has the label, IoU and bound of each slice."""
    names = study.slices.class_names
    figures = [
        iou_figure(thresholds, model, study.slices.unknown_patients),
        above_figure(at_p95, names),
        below_figure(at_p95, names),
        classification_figure(predictions),
    ]
    return Section("paper", "Against the paper", _lead(study, model, thresholds), figures=figures)


def _lead(study: Study, model: str, thresholds: Sequence[AtThreshold]) -> str:
    p95 = next(one for one in thresholds if one.threshold == P95)
    sentences = [
        f"At {P95}, {model} has a mean IoU of {number(p95.iou)}, the paper's VGG-19 "
        f"{number(PAPER_IOU)}; the mean IoU of masks of this area cannot exceed "
        f"{number(p95.bound)}.",
        "The paper's IoU and shares of slices are of VGG-19, in folds by slice.",
    ]
    if study.settings.protocol == "strict":
        sentences.append("The folds here are by patient.")
    if study.settings.data == "phantom":
        sentences.append("The slices here are a phantom: a difference to the paper says nothing.")
    return " ".join(sentences)


# --- Numbers at each threshold --------------------------------------------------------------------


def strict_thresholds(scores: Scores, model: str, *, trusted: bool) -> list[AtThreshold]:
    """Return the validated threshold, then those of the paper; intervals only if trusted."""
    found = []
    for name in (VALIDATED, *PAPER_BINARIZERS):
        guess = scores.best_baseline(model, name, "nothing")
        mean, low, high = scores.interval(model, MAP, name)
        if not trusted:
            low = high = nan
        guessed, class_mean = (scores.mean(model, label, name) for label in (guess, CLASS_MEAN))
        bound = scores.mean(model, MAP, name, "area_bound")
        found.append(AtThreshold(name, mean, low, high, guessed, guess, class_mean, bound))
    return found


def paper_thresholds(scores: pd.DataFrame, results: Results, *, trusted: bool) -> list[AtThreshold]:
    """Return the paper's thresholds; intervals only if trusted."""
    known = results.meanings.baselines
    blind = [label for label, meaning in known.items() if meaning.knows == "nothing"]
    found = []
    for name in PAPER_BINARIZERS:
        part = scores[scores["threshold"] == name]
        values, patients = part["iou"].to_numpy(float), part["patient"].to_numpy(str)
        interval = mean_interval(values, patients, bounds=(0, 1))
        low, high = (interval.low, interval.high) if trusted else (nan, nan)
        means = {
            label: float(
                np.nanmean(results.select(metric="iou", binarizer=name, method=label).values)
            )
            for label in (*blind, CLASS_MEAN)
        }
        guess = max(blind, key=lambda label: means[label])
        iou, bound = interval.estimate, float(part["area_bound"].mean())
        means_of = means[guess], guess, means[CLASS_MEAN]
        found.append(AtThreshold(name, iou, low, high, *means_of, bound))
    return found


# --- Figures --------------------------------------------------------------------------------------


def iou_figure(thresholds: Sequence[AtThreshold], model: str, unknown: int) -> ScoreFigure:
    """Return the mean IoU at each threshold, beside guesses, the bound and the paper."""
    rows = []
    for one in thresholds:
        marks = [
            ScoreMark("score", one.iou, one.low, one.high),
            ScoreMark("guess", one.guess, detail=f"({one.guessed_by})"),
            ScoreMark("baseline", one.class_mean),
            ScoreMark("bound", one.bound),
        ]
        marks += [ScoreMark("published", PAPER_IOU, detail="(VGG-19)")] * (one.threshold == P95)
        rows.append(ScoreRow(one.threshold, marks, apart=one.threshold == VALIDATED))
    p95 = next(one for one in thresholds if one.threshold == P95)
    label = (
        f"Mean IoU at {P95}: {model} {number(p95.iou)}, the best guess ({p95.guessed_by}) "
        f"{number(p95.guess)}, the class-mean mask {number(p95.class_mean)}, the bound "
        f"{number(p95.bound)}, the paper's VGG-19 {number(PAPER_IOU)}."
    )
    lines = "Orange lines: 95 % intervals by patient."
    if unknown:
        lines = f"No intervals: the patients of {unknown:,} slices are not known."
    caption = (
        "Best guess: the best map that sees nothing. Class mean: the mean training mask of the "
        f"predicted class. Bound: the highest mean of masks of these areas. {lines}"
    )
    values = [value for row in rows for mark in row.marks for value in (mark.value, mark.high)]
    ends = (0.0, min(1.0, ceil(10 * np.nanmax(values) + 0.1) / 10))
    return ScoreFigure(f"Mean IoU of {model} by threshold", label, rows, NAMES, ends, caption)


def above_figure(at_p95: pd.DataFrame, names: Sequence[str]) -> ScoreFigure:
    """Return the share of slices with an IoU above .5, in the bar of what was possible."""
    rows, said = [], []
    for name, part in _kinds(at_p95, names):
        ours = share_above(part["iou"].dropna().to_numpy(), 0.5)
        possible = share_above(part["area_bound"].dropna().to_numpy(), 0.5)
        published = _published(PAPER_ABOVE_HALF, name)
        marks = [ScoreMark("score", ours), ScoreMark("bound", possible), *published]
        rows.append(ScoreRow(name, marks, f"{len(part):,} slices"))
        text = f"{name} {percent(ours)} of {percent(possible)} possible"
        said.append(text + _in_brackets(published))
    label = f"Slices with an IoU above .5 at {P95}: {'; '.join(said)}."
    caption = (
        "Possible: the share of slices for which a mask of this area can have an IoU above .5. "
        "The paper gives no share of all slices."
    )
    names_here = NAMES | {"bound": "possible"}
    title = f"Slices with an IoU above .5 at {P95}"
    return ScoreFigure(
        title, label, rows, names_here, _ends(rows), caption, percent=True, bars=True
    )


def below_figure(at_p95: pd.DataFrame, names: Sequence[str]) -> ScoreFigure:
    """Return the share of slices with an IoU below .01."""
    rows, said = [], []
    for name, part in _kinds(at_p95, names):
        ours = share_below(part["iou"].dropna().to_numpy(), 0.01)
        published = _published(PAPER_BELOW_HUNDREDTH, name)
        rows.append(ScoreRow(name, [ScoreMark("score", ours), *published], f"{len(part):,} slices"))
        text = f"{name} {percent(ours)}"
        said.append(text + _in_brackets(published))
    title = f"Slices with an IoU below .01 at {P95}"
    label = f"{title}: {'; '.join(said)}."
    caption = "Lines join this study and the paper."
    return ScoreFigure(title, label, rows, NAMES, (0.0, 1.0), caption, percent=True)


def classification_figure(predictions: pd.DataFrame) -> ScoreFigure:
    """Return accuracy, precision, recall and F1 of the networks that the paper has, too.

    If it has none of them, its accuracies and those of the study are in rows of their own.
    """
    columns = ("accuracy", "precision", "recall", "F1")
    rows, said = list[ScoreRow](), list[str]()
    ours = {str(model): folds for model, folds in fold_scores(predictions).groupby("model")}
    for model, folds in ours.items():
        network = Candidate.parse(model).network
        if network not in PAPER_TABLE_2:
            continue
        for name, theirs in zip(columns, PAPER_TABLE_2[network], strict=True):
            marks = [
                _spread("score", folds[name].mean(), folds[name].std()),
                _spread("published", *theirs),
            ]
            rows.append(ScoreRow(name, marks, model))
            said.append(f"{model} {name} {marks[0].text}, the paper {marks[1].text}")
    if not rows:
        for model, folds in ours.items():
            mark = _spread("score", folds["accuracy"].mean(), folds["accuracy"].std())
            rows.append(ScoreRow("accuracy", [mark], model))
            said.append(f"{model} {mark.text}")
        for network, (theirs, *_) in PAPER_TABLE_2.items():
            mark = _spread("published", *theirs)
            rows.append(ScoreRow("accuracy", [mark], network))
            said.append(f"the paper's {network} {mark.text}")
    label = f"Mean and standard deviation over folds: {'; '.join(said)}."
    caption = "Lines through the marks: one standard deviation over folds, cut off at 1."
    values = [mark.value for row in rows for mark in row.marks]
    ends = (max(0.0, floor(10 * min(values) - 0.5) / 10), 1.0)
    return ScoreFigure("Table 2: classification", label, rows, NAMES, ends, caption)


def _spread(kind: Any, mean: float, sd: float) -> ScoreMark:
    """Return a mean with its standard deviation."""
    return ScoreMark(kind, mean, mean - sd, mean + sd, f"{number(mean)} ({number(sd)})")


def _kinds(scores: pd.DataFrame, names: Sequence[str]) -> list[tuple[str, pd.DataFrame]]:
    """Return the slices of each kind of tumor that there is, then all."""
    parts = [(name, scores[scores["label"] == name]) for name in names]
    return [*((name, part) for name, part in parts if len(part)), ("all", scores)]


def _published(shares: Any, name: str) -> list[ScoreMark]:
    """Return the paper's share, as it prints it, if it gives one."""
    if name not in shares:
        return []
    return [ScoreMark("published", shares[name], text=paper_share(shares, name))]


def _in_brackets(published: Sequence[ScoreMark]) -> str:
    return "".join(f" (the paper {mark.text})" for mark in published)


def _ends(rows: Sequence[ScoreRow]) -> tuple[float, float]:
    """Return 0 and the next tenth."""
    most = max(mark.value for row in rows for mark in row.marks)
    return 0.0, min(1.0, max(0.1, ceil(10 * most + 0.1) / 10))

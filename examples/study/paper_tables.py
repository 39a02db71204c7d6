"""The tables of the paper's protocol."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cameval import Results
from cameval.metrics import share_above, share_below
from cameval.statistics import mean_interval
from study import paper
from study.looking import CLASS_MEAN, PAPER_BINARIZERS
from study.switches import Variation
from study.words import Cell, Estimate, estimate, number, percent

MINUS = "\u2212"
WITHOUT_IMAGE = ("center", CLASS_MEAN)
"""Baselines of the paper's tables: one sees nothing, the other the predicted class alone."""


def best_threshold(scores: pd.DataFrame) -> str:
    """Return the threshold with the highest mean IoU on the tested slices."""
    return str(scores.groupby("threshold", sort=False)["iou"].mean().idxmax())


def threshold_table(scores: pd.DataFrame, results: Results) -> pd.DataFrame:
    """IoU at each of the five thresholds, beside maps without the image and the area cap."""
    rows = []
    for name in PAPER_BINARIZERS:
        one = scores[scores["threshold"] == name]
        of_name = results.select(metric="iou", binarizer=name)
        rows.append(
            {
                "threshold": name,
                "mask area": percent(one["mask_area"].mean()),
                "IoU": interval(one),
                "paper": number(paper.MEAN_IOU) if name == paper.BINARIZER else "\u2013",
                **{label: number(mean_iou(of_name, label)) for label in WITHOUT_IMAGE},
                "area cap (at most)": number(one["area_bound"].mean()),
                "coverage": number(one["coverage"].mean()),
                "IoU > .5": percent(share_above(one["iou"].to_numpy(), 0.5)),
                "IoU < .01": percent(share_below(one["iou"].to_numpy(), 0.01)),
            }
        )
    return pd.DataFrame(rows)


def class_table(scores: pd.DataFrame, names: Sequence[str], threshold: str) -> pd.DataFrame:
    """IoU of each class and the paper's two shares, with the counts that they are shares of."""
    at = scores[scores["threshold"] == threshold]
    rows = []
    for name in (*names, "all"):
        one = at if name == "all" else at[at["label"] == name]
        values = one["iou"].dropna().to_numpy()
        above, below = int((values > 0.5).sum()), int((values < 0.01).sum())
        possible = share_above(one["area_bound"].to_numpy(), 0.5)
        of_all = f"{percent(paper.CAP_ABOVE_HALF[name])} of all 3,064"
        rows.append(
            {
                "class": name,
                "slices": slices_in_words(one),
                "IoU": interval(one),
                "> .5": Cell(percent(share_above(values, 0.5)), f"{above}/{len(values)}"),
                "paper > .5": _of_paper(paper.ABOVE_HALF.get(name)),
                "> .5 at most": Cell(percent(possible), of_all if threshold == "p95" else ""),
                "< .01": Cell(percent(share_below(values, 0.01)), f"{below}/{len(values)}"),
                "paper < .01": _of_paper(paper.BELOW_HUNDREDTH[name]),
            }
        )
    return pd.DataFrame(rows)


def switch_table(varied: Sequence[tuple[Variation, pd.DataFrame]]) -> pd.DataFrame:
    """Return the result of each variation, and its difference from the study as it was run."""
    base = varied[0][1]
    once = base[base["label"] == base["predicted"]]
    right = Variation("which slices", "rightly classified alone")
    rows = []
    for variation, scores in [*varied, *([(right, once)] if len(once) else [])]:
        threshold, change = best_threshold(scores), best_iou(scores) - best_iou(base)
        one, p95 = (scores[scores["threshold"] == name] for name in (threshold, "p95"))
        rows.append(
            {
                "question": Cell(variation.question, "trained again" if variation.trains else ""),
                "answer": variation.answer,
                "slices": slices_in_words(one),
                "accuracy": number(float((one["label"] == one["predicted"]).mean())),
                "best threshold": threshold,
                "IoU": number(best_iou(scores)),
                "change": "" if scores is base else signed(change),
                "> .5": percent(share_above(one["iou"].to_numpy(), 0.5)),
                "< .01": percent(share_below(one["iou"].to_numpy(), 0.01)),
                "IoU at p95": number(float(p95["iou"].mean())),
                "area at p95": percent(float(p95["mask_area"].mean())),
                "area cap at p95": number(float(p95["area_bound"].mean())),
            }
        )
    return pd.DataFrame(rows)


def best_iou(scores: pd.DataFrame) -> float:
    """Return the highest mean IoU of the thresholds."""
    return float(scores.groupby("threshold")["iou"].mean().max())


def mean_iou(results: Results, method: str) -> float:
    """Return the mean of one method or baseline in results of IoU at one threshold."""
    return float(np.nanmean(results.select(method=method).values))


def interval(one: pd.DataFrame) -> Estimate:
    """Write the mean IoU of some slices with its interval by patient."""
    found = mean_interval(one["iou"].to_numpy(), one["patient"].to_numpy(str), bounds=(0, 1))
    return estimate(found.estimate, found.low, found.high)


def slices_in_words(one: pd.DataFrame) -> str:
    """Count slices, and those on which the IoU is undefined: a crop may leave no tumor."""
    undefined = int(one["iou"].isna().sum())
    return f"{len(one):,}" + (f" ({undefined} undefined)" if undefined else "")


def signed(value: float) -> str:
    """Write a difference with its sign; what rounds to nothing has none."""
    text = number(abs(value))
    sign = "+" if value > 0 else MINUS
    return text if text == number(0) else sign + text


def _of_paper(share: float | None) -> str:
    return "\u2013" if share is None else f"{share:.0%}".replace("%", "\u00a0%")

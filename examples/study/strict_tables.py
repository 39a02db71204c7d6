"""The tables of the strict protocol, from the scores of all slices."""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import pandas as pd
import torch

from cameval import Preparation, Results, bootstrap_mean, share_above, share_below
from cameval.baselines import nearest_ceiling, resolution_ceiling
from cameval.metrics import OUTCOMES
from study import paper
from study.grids import Grid
from study.looking import BINARIZERS, MAP, OPTIMUM, VALIDATED, WRONG_CLASS, Looked
from study.slices import Slices
from study.words import Cell, Scores, between, number, p_value, percent

BLIND = ("center", "class mean", "random")
IMAGE = ("intensity", "edges", "untrained")
CEILING = "resolution oracle"


def best_of(scores: Scores, model: str, several: Sequence[str], binarizer: str) -> str:
    """Return the map with the highest mean IoU."""
    return max(several, key=lambda method: scores.mean(model, method, binarizer))


def threshold_table(scores: Scores, model: str) -> pd.DataFrame:
    """IoU at each threshold beside the best blind map, the best map of the image, and the cap."""
    rows = []
    for binarizer in (VALIDATED, OPTIMUM, *BINARIZERS):
        blind, image = (best_of(scores, model, those, binarizer) for those in (BLIND, IMAGE))
        rows.append(
            {
                "threshold": binarizer,
                "IoU": scores.cell(model, MAP, binarizer),
                "best blind map": Cell(number(scores.mean(model, blind, binarizer)), blind),
                "best of image alone": Cell(number(scores.mean(model, image, binarizer)), image),
                "ceiling of the grid": number(scores.mean(model, CEILING, binarizer)),
                "area cap": number(scores.mean(model, MAP, binarizer, "area_cap")),
                "coverage": scores.cell(model, MAP, binarizer, "coverage"),
            }
        )
    return pd.DataFrame(rows)


def choice_table(folds: Sequence[Looked], scores: Scores) -> pd.DataFrame:
    """Which threshold each fold chose for the map, and how optimistic a choice on the test is."""
    rows: dict[str, dict[str, object]] = {}
    for part in folds:
        model = part.validated.model
        row = rows.setdefault(model, {"model": model})
        chosen, best = (
            c.binarizer("predicted", "method", MAP) for c in (part.validated, part.optimum)
        )
        row[f"fold {len(row)}"] = Cell(chosen, f"best on the test: {best}")
    for model, row in rows.items():
        gap = scores.mean(model, MAP, OPTIMUM) - scores.mean(model, MAP, VALIDATED)
        row["optimism"] = number(gap)
    return pd.DataFrame(rows.values())


def class_table(results: Results, model: str, names: Sequence[str], binarizer: str) -> pd.DataFrame:
    """IoU of each class with the paper's two success rates, beside the cap and the paper's."""
    one = results.select(model=model, explained="predicted", binarizer=binarizer)
    samples = one.samples
    values = {
        metric: one.select(metric=metric, method=MAP).values[:, 0] for metric in ("iou", "area_cap")
    }
    blind = one.select(metric="iou", method="class mean").values[:, 0]
    rows = []
    for k, name in enumerate([*names, "all"]):
        here = np.ones(len(samples), bool) if name == "all" else (samples["label"] == k).to_numpy()
        iou, cap = values["iou"][here], values["area_cap"][here]
        mean = bootstrap_mean(iou, samples["group"].to_numpy(str)[here])
        rows.append(
            {
                "class": Cell(name, f"{mean.n:,} slices"),
                "IoU": Cell(number(mean.estimate), between(mean.low, mean.high)),
                "median": number(float(np.nanmedian(iou))),
                "class-mean mask": number(float(np.nanmean(blind[here]))),
                "> .5": percent(share_above(iou, 0.5)),
                "> .5 possible": percent(share_above(cap, 0.5)),
                "paper > .5": _of_paper(paper.ABOVE_HALF, name),
                "< .01": percent(share_below(iou, 0.01)),
                "paper < .01": _of_paper(paper.BELOW_HUNDREDTH, name),
            }
        )
    return pd.DataFrame(rows)


def _of_paper(shares: Mapping[str, float], name: str) -> str:
    return f"{shares[name]:.0%}".replace("%", "\u00a0%") if name in shares else "\u2013"


def small_truth_table(scores: Scores, model: str, binarizer: str) -> pd.DataFrame:
    """Return the metrics that cope with small truths, for the map and what it must beat."""
    metrics = {
        "iou": "IoU",
        "size_standardized_iou": "sIoU, r = .05",
        "sIoU_.01": "r = .01",
        "sIoU_.10": "r = .10",
        "coverage": "coverage",
        "informedness": "informedness",
        "overlap_coefficient": "overlap coefficient",
        "volumetric_similarity": "volumetric similarity",
    }
    blind, image = (best_of(scores, model, those, binarizer) for those in (BLIND, IMAGE))
    rows = []
    for method in (MAP, WRONG_CLASS, blind, image, CEILING):
        cells = {t: scores.cell(model, method, binarizer, m) for m, t in metrics.items()}
        rows.append({"map": method} | cells)
    return pd.DataFrame(rows)


def outcome_table(results: Results, binarizer: str) -> pd.DataFrame:
    """Say what the masks are to the tumors: shares of slices with each outcome."""
    rows = []
    for model in results.samples["model"].unique():
        one = results.select(
            model=model, metric="outcome", binarizer=binarizer, method=MAP, explained="predicted"
        )
        codes = one.values[~np.isnan(one.values)]
        shares = {name: percent(float((codes == k).mean())) for k, name in enumerate(OUTCOMES)}
        rows.append({"model": model} | shares)
    return pd.DataFrame(rows)


def resolution_table(
    scores: Scores, grids: Mapping[str, Grid], slices: Slices, crop: float | None
) -> pd.DataFrame:
    """IoU beside what any map on the network's grid can reach, on all slices."""
    rows = []
    known: dict[Grid, tuple[float, float]] = {}
    for model, grid in grids.items():
        if grid not in known:
            known[grid] = ceilings(grid, slices, crop)
        best_iou, whole_cells = known[grid]
        reached = scores.mean(model, MAP, VALIDATED)
        rows.append(
            {
                "model": model,
                "input": f"{grid.size} px",
                "grid": " \u00d7 ".join(map(str, grid.cells)),
                "cells": prod(grid.cells),
                "IoU": scores.cell(model, MAP, VALIDATED),
                "truth, validated threshold": number(scores.mean(model, CEILING, VALIDATED)),
                "truth, best threshold": number(best_iou),
                "whole cells": number(whole_cells),
                "IoU / best": percent(reached / best_iou if best_iou else np.nan),
            }
        )
    return pd.DataFrame(rows)


def ceilings(grid: Grid, slices: Slices, crop: float | None) -> tuple[float, float]:
    """Return the mean IoU that the grid allows: at each slice's best threshold, in whole cells.

    On the pixels of each slice itself, on which the maps are scored.
    """
    prepare, size = Preparation(grid.size, crop), (grid.size, grid.size) if grid.place else None
    found = []
    for index in range(len(slices)):
        truth = prepare(slices[index])[1][None]
        for ceiling in (resolution_ceiling, nearest_ceiling):
            score = ceiling(truth, grid.cells, place=grid.place, image_size=size)
            found.append(float(torch.as_tensor(score)))
    best, whole = np.nanmean(np.reshape(found, (-1, 2)), axis=0)
    return float(best), float(whole)


def model_tests(results: Results) -> pd.DataFrame:
    """Test the models' IoU in pairs, each against each, by patient."""
    return results.compare(
        "iou",
        over="model",
        method=MAP,
        kind="method",
        binarizer=VALIDATED,
        explained="predicted",
    )


def model_test_table(tests: pd.DataFrame) -> pd.DataFrame:
    """Return the paired tests of the models as the page shows them."""
    return pd.DataFrame(
        {
            "model": f"{row['first']} \u2212 {row['second']}",
            "difference in IoU": Cell(number(row["difference"]), between(row["low"], row["high"])),
            "p (Holm)": p_value(row["p_holm"]),
            "patients": f"{row['n_groups']:,}",
        }
        for row in tests.to_dict("records")
    )

"""The tables of the strict protocol, from the scores of all slices."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import prod
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from cameval import Preparation, Results
from cameval.baselines import Knowledge, grid_bound, reachable_iou
from cameval.metrics import OUTCOMES, share_above, share_below
from cameval.statistics import mean_interval
from study import paper
from study.comparisons import Comparison
from study.grids import Grid
from study.looking import (
    BINARIZERS,
    CLASS_MEAN,
    MAP,
    OPTIMUM,
    TRUTH_ON_GRID,
    VALIDATED,
    WRONG_CLASS,
    Looked,
)
from study.slices import Slices
from study.words import Cell, Scores, estimate, number, p_value, percent

WITHOUT_IMAGE: tuple[Knowledge, ...] = ("nothing", "labels")
"""Blind maps, and those that know the predicted class alone."""

CLIMB = 50
"""Steps by which a good map of the grid is looked for."""


def threshold_table(scores: Scores, model: str) -> pd.DataFrame:
    """IoU at each threshold, beside the best baselines, the truth on the grid and the area cap."""
    rows = []
    for binarizer in (VALIDATED, OPTIMUM, *BINARIZERS):
        without, image = rivals(scores, model, binarizer)
        rows.append(
            {
                "threshold": binarizer,
                "IoU": scores.cell(model, MAP, binarizer),
                "best without image": Cell(number(scores.mean(model, without, binarizer)), without),
                "best of image alone": Cell(number(scores.mean(model, image, binarizer)), image),
                "truth": number(scores.mean(model, TRUTH_ON_GRID, binarizer)),
                "area cap (at most)": number(scores.mean(model, MAP, binarizer, "area_bound")),
                "coverage": scores.cell(model, MAP, binarizer, "coverage"),
            }
        )
    return pd.DataFrame(rows)


def rivals(scores: Scores, model: str, binarizer: str, metric: str = "iou") -> tuple[str, str]:
    """Return the best baseline that does not see the image, and the best that sees nothing else."""
    without, image = (
        scores.best_of(model, scores.baselines(*knows), binarizer, metric)
        for knows in (WITHOUT_IMAGE, ("image",))
    )
    return without, image


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
    """IoU of each class with the paper's two shares of slices, and what the area cap leaves."""
    one = results.select(model=model, target_class="predicted", binarizer=binarizer)
    samples = one.samples
    values = {
        metric: one.select(metric=metric, method=MAP).values[:, 0]
        for metric in ("iou", "area_bound")
    }
    class_mean = one.select(metric="iou", method=CLASS_MEAN).values[:, 0]
    labels, rows = samples["label"].to_numpy(int), []
    for k, name in enumerate([*names, "all"]):
        here = np.ones(len(samples), bool) if k == len(names) else labels == k
        iou, cap = values["iou"][here], values["area_bound"][here]
        mean = mean_interval(iou, samples["group"].to_numpy(str)[here], bounds=(0, 1))
        rows.append(
            {
                "class": Cell(name, f"{mean.n:,} slices"),
                "IoU": estimate(mean.estimate, mean.low, mean.high),
                "median": number(float(np.nanmedian(iou))),
                "class-mean mask": number(float(np.nanmean(class_mean[here]))),
                "> .5": percent(share_above(iou, 0.5)),
                "> .5 at most": percent(share_above(cap, 0.5)),
                "paper > .5": _of_paper(paper.ABOVE_HALF, name),
                "< .01": percent(share_below(iou, 0.01)),
                "paper < .01": _of_paper(paper.BELOW_HUNDREDTH, name),
            }
        )
    return pd.DataFrame(rows)


def _of_paper(shares: Mapping[str, float], name: str) -> str:
    return f"{shares[name]:.0%}".replace("%", "\u00a0%") if name in shares else "\u2013"


def small_truth_table(scores: Scores, model: str, binarizer: str) -> pd.DataFrame:
    """Return the metrics meant for small tumors, of the map and of the best baselines."""
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
    rows = []
    for method in (MAP, WRONG_CLASS, *rivals(scores, model, binarizer), TRUTH_ON_GRID):
        cells = {t: scores.cell(model, method, binarizer, m) for m, t in metrics.items()}
        rows.append({"map": method} | cells)
    return pd.DataFrame(rows)


def outcome_table(results: Results, binarizer: str) -> pd.DataFrame:
    """Say what the masks are to the tumors: shares of slices with each outcome."""
    rows = []
    for model in results.samples["model"].unique():
        one = results.select(
            model=model, metric="outcome", binarizer=binarizer, method=MAP, target_class="predicted"
        )
        codes = one.values[~np.isnan(one.values)]
        shares = {name: percent(float((codes == k).mean())) for k, name in enumerate(OUTCOMES)}
        rows.append({"model": model} | shares)
    return pd.DataFrame(rows)


def resolution_table(
    scores: Scores, grids: Mapping[str, Grid], slices: Slices, crop: float | None
) -> pd.DataFrame:
    """IoU beside that of the tumors themselves on the network's grid, on all slices."""
    rows = []
    known: dict[Grid, OnGrid] = {}
    for model, grid in grids.items():
        if grid not in known:
            known[grid] = on_grid(grid, slices, crop)
        rows.append(
            {
                "model": model,
                "input": f"{grid.size} px",
                "grid": " \u00d7 ".join(map(str, grid.cells)),
                "cells": prod(grid.cells),
                "IoU": scores.cell(model, MAP, VALIDATED),
                "truth": number(scores.mean(model, TRUTH_ON_GRID, VALIDATED)),
                "truth on grid, best threshold": number(known[grid].truth),
                "some map, at least": number(known[grid].at_least),
                "whole cells, at most": number(known[grid].whole_cells),
            }
        )
    return pd.DataFrame(rows)


class OnGrid(NamedTuple):
    """Mean IoU of maps and masks of a grid.

    Parameters
    ----------
    truth
        Of the truth on the grid, with the best threshold of each slice. No bound.
    at_least
        Of the best map that was found for each slice, with its best threshold: some map of the grid
        scores no less.
    whole_cells
        The highest of any mask that is made of whole cells. No bound for other masks.
    """

    truth: float
    at_least: float
    whole_cells: float


def on_grid(grid: Grid, slices: Slices, crop: float | None) -> OnGrid:
    """Score what a grid can hold, on the pixels of each slice, on which the maps are scored."""
    prepare, size = (
        Preparation(grid.size, crop),
        (grid.size, grid.size) if grid.cell_centers else None,
    )
    found = []
    for index in range(len(slices)):
        truth = prepare(slices[index])[1][None]
        best = partial(
            reachable_iou, truth, grid.cells, cell_centers=grid.cell_centers, image_size=size
        )
        cells = grid_bound(truth, grid.cells, cell_centers=grid.cell_centers, image_size=size)
        several = best(steps=0), best(steps=CLIMB), cells
        found.append([float(torch.as_tensor(score)) for score in several])
    drawn, at_least, whole = np.nanmean(np.reshape(found, (-1, 3)), axis=0).tolist()
    return OnGrid(drawn, at_least, whole)


def model_test_table(tests: Sequence[Comparison]) -> pd.DataFrame:
    """Return the paired tests of the models as the page shows them."""
    return pd.DataFrame(
        {
            "model": f"{test.first} \u2212 {test.second}",
            "difference in IoU": estimate(test.difference, test.low, test.high),
            "p": p_value(test.p),
            "patients": f"{test.n_groups:,}",
        }
        for test in tests
    )

"""The study's own figures: what thresholds do, on average and on single slices."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.style
import pandas as pd
from matplotlib.figure import Figure
from torch import Tensor

from cameval import CAMExtractor, CAMModel, Preparation
from cameval.plots import overlay
from cameval.report import Picture, picture_of
from cameval.report._figures import COLORS, MARKERS, STYLE
from study.candidates import class_map
from study.looking import BINARIZERS, MAP, OPTIMUM, PAPER_BINARIZERS, VALIDATED
from study.settings import Settings
from study.slices import Slices
from study.strict_tables import rivals
from study.switches import paper_masks
from study.words import Scores, number


def thresholds(scores: Scores, models: Sequence[str]) -> Picture:
    """Draw the IoU of each model at each threshold, and of the best map without the image."""
    labels = [VALIDATED, OPTIMUM, *BINARIZERS]
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(8.2, 1.2 + 0.42 * len(labels)), layout="constrained")
        axes = figure.subplots()
        for row, label in enumerate(labels):
            for k, model in enumerate(models):
                y = row + (k - (len(models) - 1) / 2) * 0.7 / max(len(models), 2)
                value = scores.mean(model, MAP, label)
                without = scores.mean(model, rivals(scores, model, label)[0], label)
                look: dict[str, Any] = {"color": COLORS[k % len(COLORS)], "markersize": 6}
                name = model if row == 0 else None
                axes.plot(value, y, MARKERS[k % len(MARKERS)], label=name, **look)
                axes.plot(without, y, MARKERS[k % len(MARKERS)], markerfacecolor="white", **look)
                axes.plot([value, without], [y, y], color=look["color"], linewidth=0.8, alpha=0.6)
        axes.set_yticks(range(len(labels)), labels)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel(
            "mean IoU: filled, the class activation map; open, the best map without the image"
        )
        figure.legend(loc="outside upper left", ncols=2)
        return picture_of(
            figure,
            "thresholds.png",
            "Mean IoU of each network at each threshold, with the best map made without the image.",
            "Mean IoU at each threshold. Filled: the class activation map. Open: the best map made "
            "without the image, at the same threshold.",
        )


def chosen_slices(scores: pd.DataFrame, names: Sequence[str], threshold: str) -> list[str]:
    """Return of each class the slice of the highest IoU among the correctly classified."""
    at = scores[(scores["threshold"] == threshold) & (scores["label"] == scores["predicted"])]
    best = [
        at[at["label"] == name].dropna(subset=["iou"]).sort_values(["iou", "slice"])
        for name in names
    ]
    return [str(rows["slice"].iloc[-1]) for rows in best if len(rows)]


def draw_maps(
    model: CAMModel,
    slices: Slices,
    chosen: Sequence[str],
    size: int,
    settings: Settings,
    threshold: str,
) -> Picture:
    """Draw, for one slice of each class: the slice, its map, and its mask with the tumor."""
    with matplotlib.style.context(STYLE):
        figure = Figure(figsize=(8.4, 2.9 * len(chosen)), layout="constrained")
        grid = figure.subplots(len(chosen), 3, squeeze=False)
        for row, name in zip(grid, chosen, strict=True):
            picture, heat, mask_of, truth, label = _looked_at(model, slices, name, size, settings)
            mask = mask_of(threshold)
            overlay(row[0], picture, truth=truth)
            overlay(row[1], picture, score_map=heat, truth=truth)
            overlay(row[2], picture, mask=mask, truth=truth)
            row[0].set_title(f"{label}, slice {name}")
            row[1].set_title("class activation map")
            row[2].set_title(f"mask at {threshold}")
        return picture_of(
            figure,
            "slices-maps.png",
            "One slice of each class with its map and its mask.",
            "Of each class the rightly classified slice of the highest IoU at "
            f"{threshold}: none is typical. White: the tumor. Dashed: the mask.",
        )


def draw_thresholds(
    model: CAMModel,
    slices: Slices,
    chosen: Sequence[str],
    size: int,
    settings: Settings,
    scores: pd.DataFrame,
) -> Picture:
    """Draw the masks of the five thresholds on one slice of each class."""
    iou = scores.set_index(["slice", "threshold"])["iou"]
    with matplotlib.style.context(STYLE):
        columns = len(PAPER_BINARIZERS)
        figure = Figure(figsize=(2.2 * columns, 2.5 * len(chosen)), layout="constrained")
        grid = figure.subplots(len(chosen), columns, squeeze=False)
        for row, name in zip(grid, chosen, strict=True):
            picture, _, mask_of, truth, _ = _looked_at(model, slices, name, size, settings)
            for axes, label in zip(row, PAPER_BINARIZERS, strict=True):
                overlay(axes, picture, mask=mask_of(label), truth=truth)
                axes.set_title(f"{label}: IoU {number(float(iou[name, label]))}")
        return picture_of(
            figure,
            "slices-thresholds.png",
            "The masks of five thresholds on one slice of each class.",
            "The masks of the five thresholds on the same slices. White: the tumor. Dashed: the "
            "mask.",
        )


def _looked_at(
    model: CAMModel, slices: Slices, name: str, size: int, settings: Settings
) -> tuple[Tensor, Tensor, Callable[[str], Tensor], Tensor, str]:
    """Return a slice at the network's input, its map, masks by threshold, its tumor, its class."""
    index = slices.names.index(name)
    sample = slices[index]
    grid = (size, size) if settings.truth_grid == "input" else None
    seen, truth = Preparation(size, settings.crop, truth_size=grid)(sample)
    device = next(model.parameters()).device
    extract = CAMExtractor(model, class_map, settings.alignment)
    result = extract(seen[None].to(device), size=(truth.shape[0], truth.shape[1]))
    shown, _ = Preparation(truth.shape[0], settings.crop, mean=(0, 0, 0), std=(1, 1, 1))(sample)

    def mask_of(threshold: str) -> Tensor:
        return paper_masks(result, threshold, settings)[0].cpu()

    picture = shown[0].clamp(0, 1)
    return picture, result.maps[0].cpu(), mask_of, truth, slices.class_of(index)

"""The paper's figures: the kinds of tumor, and masks that miss them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from skimage.morphology import isotropic_dilation
from torch import Tensor

from cameval import CAMExtractor, CAMModel, CAMResult
from cameval.plots import overlay
from cameval.report import Picture, picture_of
from cameval.report import format_number as number
from study.data import Slices
from study.evaluation import P95, paper_masks
from study.networks import class_map
from study.settings import Settings
from study.training import normalize

RED = "#ff3b30"
RING = 8  # width in pixels of the surroundings of a tumor, at 224 px
CREDIT = (
    "MRI slices: Jun Cheng, brain tumor dataset, doi 10.6084/m9.figshare.1512427, CC BY 4.0; "
    "reduced in size, with outlines drawn on them."
)


def draw_classes(slices: Slices, size: int, crop: float | None) -> Picture:
    """Draw the paper's Figure 1: of each class the slice with the median area of the tumor."""
    images, masks = slices.pictures(size, crop)
    areas = masks.double().mean((1, 2)).numpy()
    figure, axes = _figure(len(slices.class_names))
    for label, (name, ax) in enumerate(zip(slices.class_names, axes, strict=True)):
        of_class = np.flatnonzero(slices.labels == label)
        chosen = of_class[np.argsort(areas[of_class], kind="stable")[len(of_class) // 2]]
        ax.imshow(images[chosen].numpy(), cmap="gray", vmin=0, vmax=1)
        rows, columns = np.nonzero(masks[chosen].numpy())
        left, top = int(columns.min()) - 3, int(rows.min()) - 3
        width, height = int(columns.max()) + 3 - left, int(rows.max()) + 3 - top
        ax.add_patch(Rectangle((left, top), width, height, fill=False, color=RED, linewidth=1.6))
        ax.set_title(f"{name}, slice {slices.names[chosen]}", fontsize=10)
        ax.set_axis_off()
    caption = (
        "Of each class the slice with the median area of the tumor, in a red box (as Figure 1 "
    )
    alt = "Three MRI slices with a red box around the tumor"
    return picture_of(figure, "paper-figure-1.png", alt, f"{caption}of the paper). {CREDIT}")


def draw_failures(
    slices: Slices, scores: pd.DataFrame, model: CAMModel, size: int, settings: Settings
) -> list[Picture]:
    """Draw the paper's Figure 3: masks that are too large, and visible tumors that are missed.

    Both are of the 95th percentile and of right predictions. (a) Of each class, the mask with the
    lowest IoU among those with at least 95 % of the tumor. (b) Of each class, the tumor that
    differs most from its surroundings among those with an IoU below .01.
    """
    images, masks = slices.pictures(size, settings.crop)
    place = {name: k for k, name in enumerate(slices.names)}
    right = scores[(scores["threshold"] == P95) & (scores["label"] == scores["predicted"])]
    right = right.assign(place=right["slice"].map(place))
    missed = right[right["iou"] < 0.01]
    contrasts = [contrast(images[k].numpy(), masks[k].numpy()) for k in missed["place"]]
    missed = missed.assign(contrast=contrasts)
    large = right[right["coverage"] >= 0.95].sort_values("iou", kind="stable")
    visible = missed.sort_values("contrast", ascending=False, kind="stable")
    drawn = {
        "a": (
            large,
            "Masks that contain at least 95 % of the tumor and are too large: of each "
            "class the one with the lowest IoU",
        ),
        "b": (
            visible,
            "Tumors that the mask misses (IoU below .01): of each class the one that "
            "differs most from its surroundings in brightness",
        ),
    }
    extract = CAMExtractor(model, class_map, settings.alignment)
    pictures = []
    for letter, (table, caption) in drawn.items():
        chosen = table.drop_duplicates("label").sort_values("label")
        if chosen.empty:
            continue
        at = chosen["place"].to_numpy(int, copy=True)
        batch = normalize(images[at], next(model.parameters()).device)
        result = extract(batch)
        figure = _draw_masks(images[at], masks[at], result, chosen, settings)
        caption += f" (as Figure 3 ({letter}) of the paper). White: the tumor. Dashed: the mask."
        alt = f"MRI slices of {', '.join(chosen['label'])} with tumor and mask outlined"
        name = f"paper-figure-3{letter}.png"
        pictures.append(picture_of(figure, name, alt, f"{caption} {CREDIT}"))
    return pictures


def _draw_masks(
    images: Tensor, truths: Tensor, result: CAMResult, rows: pd.DataFrame, settings: Settings
) -> Figure:
    predicted = paper_masks(result, P95, settings).cpu()
    figure, axes = _figure(len(images))
    for k, (ax, row) in enumerate(zip(axes, rows.to_dict("records"), strict=True)):
        overlay(ax, images[k], score_map=result.maps[k].cpu(), mask=predicted[k], truth=truths[k])
        ax.set_title(f"{row['label']}, slice {row['slice']}\nIoU {number(row['iou'])}", fontsize=10)
    return figure


def contrast(image: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    """Return how much a tumor differs from its surroundings in brightness.

    That is the difference of the means of the tumor and of a ring around it, divided by the root of
    the mean of their variances.
    """
    ring = isotropic_dilation(mask, RING) & ~mask
    inside, around = image[mask], image[ring]
    spread = np.sqrt((inside.var() + around.var()) / 2)
    return float(abs(inside.mean() - around.mean()) / spread) if spread > 0 else 0.0


def _figure(columns: int) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(2.2 * columns, 2.6), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0].tolist()

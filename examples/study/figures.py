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
    figure, (axes,) = _figure(len(slices.class_names), 1)
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
) -> Picture | None:
    """Draw the paper's Figure 3: masks that are too large, and visible tumors that are missed.

    Both are of the 95th percentile and of right predictions. (a) Of each class, the mask with the
    lowest IoU among those with at least 95 % of the tumor. (b) Of each class, the tumor that
    differs most from its surroundings among those with an IoU below .01. There is no picture where
    there are no such slices.
    """
    images, masks = slices.pictures(size, settings.crop)
    right = scores[(scores["threshold"] == P95) & (scores["label"] == scores["predicted"])]
    place = {name: k for k, name in enumerate(slices.names)}
    right = right.assign(place=right["slice"].map(place))
    large = right[right["coverage"] >= 0.95].sort_values("iou", kind="stable")
    missed = right[right["iou"] < 0.01]
    contrasts = [contrast(images[k].numpy(), masks[k].numpy()) for k in missed["place"]]
    visible = missed.assign(contrast=contrasts).sort_values(
        "contrast", ascending=False, kind="stable"
    )
    rows = {
        letter: table.drop_duplicates("label").sort_values("label")
        for letter, table in (("a", large), ("b", visible))
        if len(table)
    }
    if not rows:
        return None
    extract = CAMExtractor(model, class_map, settings.alignment)
    figure, grid = _figure(max(len(table) for table in rows.values()), 2, rows=len(rows))
    for (letter, table), axes in zip(rows.items(), grid, strict=True):
        at = table["place"].to_numpy(int, copy=True)
        result = extract(normalize(images[at], next(model.parameters()).device))
        _draw_masks(axes, images[at], masks[at], result, f"({letter}) ", table, settings)
    caption = (
        "As Figure 3 of the paper. (a) Masks that contain at least 95 % of the tumor and are too "
        "large: of each class the one with the lowest IoU. (b) Tumors that the mask misses (IoU "
        "below .01): of each class the one that differs most from its surroundings in brightness. "
        f"Blue, dashed: the tumor. Orange: the mask. {CREDIT}"
    )
    drawn = "; ".join(
        f"({letter}) {', '.join(table['label'] + ' ' + table['slice'])}"
        for letter, table in rows.items()
    )
    alt = f"MRI slices with tumor and mask outlined: {drawn}"
    return picture_of(figure, "paper-figure-3.png", alt, caption)


def _draw_masks(
    axes: Sequence[Axes],
    images: Tensor,
    truths: Tensor,
    result: CAMResult,
    prefix: str,
    rows: pd.DataFrame,
    settings: Settings,
) -> None:
    """Draw slices with map, mask and truth in axes; hide axes that are left over."""
    predicted = paper_masks(result, P95, settings).cpu()
    for k, row in enumerate(rows.to_dict("records")):
        overlay(
            axes[k], images[k], score_map=result.maps[k].cpu(), mask=predicted[k], truth=truths[k]
        )
        title = f"{prefix}{row['label']}, slice {row['slice']}\nIoU {number(row['iou'])}"
        axes[k].set_title(title, fontsize=10)
    for ax in axes[len(rows) :]:
        ax.set_axis_off()


def contrast(image: NDArray[Any], mask: NDArray[np.bool_]) -> float:
    """Return how much a tumor differs from its surroundings in brightness.

    That is the difference of the means of the tumor and of a ring around it, divided by the root of
    the mean of their variances.
    """
    ring = isotropic_dilation(mask, RING) & ~mask
    inside, around = image[mask], image[ring]
    spread = np.sqrt((inside.var() + around.var()) / 2)
    return float(abs(inside.mean() - around.mean()) / spread) if spread > 0 else 0.0


def _figure(
    columns: int, title_lines: int, rows: int = 1
) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    """Return a figure with rows of square axes, with room for their titles."""
    height = 2.2 + 0.24 * title_lines
    figure = Figure(figsize=(2.2 * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False).tolist()

"""Titles of metrics: typed, with their settings, and of a user's own metric its own."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import pytest

import cameval
from cameval import metrics
from cameval.errors import SettingError
from cameval.metrics import (
    ADCC,
    ARCC,
    ROAD,
    AreaToCover,
    AverageSurfaceDistance,
    BoundaryIoU,
    CentroidDistance,
    CoverageAtArea,
    Deletion,
    FalsePositivesPerImage,
    FBeta,
    HausdorffDistance,
    Insertion,
    ObjectF1,
    ObjectRecall,
    Outcomes,
    SurfaceDice,
    Tversky,
    ZeroWithoutObject,
    equivalent_radius,
    image_diagonal,
    of_maps,
    of_masks,
    on_volumes,
    pointing_game,
    size_standardized_iou,
    takes,
    title_of,
)

SIZED = partial(size_standardized_iou, reference=0.1)
TITLES = {
    cameval.iou: "IoU",
    cameval.dice: "Dice",
    cameval.pixel_auroc: "AUROC",
    cameval.pixel_average_precision: "AP",
    size_standardized_iou: "sIoU",
    pointing_game: "pointing game",
    metrics.box_iou: "box IoU",
    FBeta(2): "F2",
    FBeta(0.5): "F0.5",
    Tversky(0.3, 0.7): "Tversky index (alpha 0.3, beta 0.7)",
    BoundaryIoU(): "boundary IoU (width 0.02)",
    HausdorffDistance(): "95% Hausdorff distance",
    HausdorffDistance(100): "Hausdorff distance",
    HausdorffDistance(spacing=0.49): "95% Hausdorff distance (unit of spacing 0.49 x 0.49)",
    HausdorffDistance(border="contour", penalize_empty=True): (
        "95% Hausdorff distance (contour, diagonal if empty)"
    ),
    AverageSurfaceDistance((5, 1, 1)): "average surface distance (unit of spacing 5 x 1 x 1)",
    SurfaceDice(2): "surface Dice (tolerance 2)",
    SurfaceDice(2.5, border="contour"): "surface Dice (tolerance 2.5, contour)",
    CentroidDistance(): "centroid distance",
    CentroidDistance(relative_to=equivalent_radius): "centroid distance (radii of the truth)",
    CentroidDistance(relative_to=image_diagonal): "centroid distance (image diagonals)",
    CentroidDistance(relative_to=lambda masks, spacing: masks): "centroid distance (relative)",
    CoverageAtArea(): "coverage at 5% area",
    AreaToCover(0.5): "area to cover 50%",
    ObjectRecall(): "object recall",
    ObjectRecall(0.5, "iou"): "object recall (IoU at least 0.5)",
    FalsePositivesPerImage(0.1): "false positives per image (coverage at least 0.1)",
    ObjectF1(): "object F1 (IoU at least 0.5)",
    Outcomes(): "outcome",
    Outcomes(match=0.3): "outcome (match 0.3)",
    Deletion(steps=10, batch_size=4): "deletion (steps 10)",
    Insertion(): "insertion",
    ROAD((10, 50)): "ROAD (percentiles 10 / 50)",
    ADCC(): "ADCC",
    ARCC(): "ARCC",
    ARCC(road=ROAD(noise=0.1)): "ARCC with ROAD (noise 0.1)",
    ZeroWithoutObject(cameval.iou): "IoU (0 for marks on negatives)",
    ZeroWithoutObject(FBeta(2), 1): "F2 (0 for marks on negatives, 1 without marks)",
}


@pytest.mark.parametrize(("metric", "title"), TITLES.items(), ids=TITLES.values())
def test_a_title_has_the_settings(metric, title) -> None:
    assert title_of(metric) == title
    assert title_of(partial(metric)) == title


def test_a_partial_adds_the_settings_that_differ_from_the_defaults() -> None:
    assert title_of(SIZED) == "sIoU (reference 0.1)"
    assert title_of(partial(size_standardized_iou, reference=0.05)) == "sIoU"
    assert title_of(on_volumes(SIZED)) == "sIoU (reference 0.1)"
    near = partial(pointing_game, tolerance=15, spacing=1.0)  # which a sample would set otherwise
    assert title_of(near) == "pointing game (tolerance 15, spacing 1)"
    near.title = "hit"
    assert title_of(near) == "hit"
    assert title_of(partial(near)) == "hit"


def test_every_metric_of_the_library_has_a_title() -> None:
    things = [getattr(metrics, name) for name in metrics.__all__]
    of_library = [one for one in things if takes(one) is not None]
    formula = {metrics.score_counts}  # a function of a formula, which is the user's
    without = [one for one in of_library if one not in formula and not hasattr(one, "title")]
    assert len(of_library) > 40
    assert without == []


def test_a_metric_of_ones_own_has_its_own_title_or_none() -> None:
    @of_masks(higher_is_better=True, title="tumor overlap")
    def iou(pred, target):
        return cameval.iou(pred, target)

    @of_masks(higher_is_better=True)
    def bare(pred, target):
        return cameval.iou(pred, target)

    @dataclass(frozen=True)
    class Least:
        takes: ClassVar[str] = "masks"
        title: ClassVar[str] = "least"

    assert [title_of(one) for one in (iou, bare, Least())] == ["tumor overlap", None, "least"]
    assert ZeroWithoutObject(iou).title == "tumor overlap (0 for marks on negatives)"
    assert ZeroWithoutObject(bare).title == "bare (0 for marks on negatives)"


@pytest.mark.parametrize("title", ["", " ", 3, b"IoU"])
def test_a_title_is_a_text(title) -> None:
    def metric(pred, target):
        return pred

    for decorate in (of_masks, of_maps):
        with pytest.raises(SettingError, match="title must be a non-empty text, got"):
            decorate(metric, title=title)
    metric.title = title
    with pytest.raises(SettingError, match="title must be a non-empty text, got"):
        title_of(metric)

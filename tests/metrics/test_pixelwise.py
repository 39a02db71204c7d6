"""Metrics of the pixels' values only: laws that they keep, on images, volumes and kept pixels."""

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import maps, mask_pairs, masks, shapes

from cameval import baselines, metrics
from cameval._spatial import with_sample_settings, without_ignored_pixels
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.evaluation import label_of
from cameval.metrics import (
    AreaToCover,
    AverageSurfaceDistance,
    BoundaryIoU,
    CentroidDistance,
    Counts,
    CoverageAtArea,
    FBeta,
    HausdorffDistance,
    Outcomes,
    SurfaceDice,
    Tversky,
    ZeroWithoutObject,
    dice,
    false_positive_rate,
    iou,
    is_pixelwise,
    of_masks,
    on_volumes,
    pointing_game,
    score_counts,
    takes,
)
from cameval.metrics.properties import denominator, settings_from_sample
from cameval.metrics.ranking import score_ranks

BUILT = {
    "FBeta": FBeta(2),
    "Tversky": Tversky(0.3, 0.7),
    "Outcomes": Outcomes(),
    "CoverageAtArea": CoverageAtArea(0.3),
    "AreaToCover": AreaToCover(0.7),
    "ZeroWithoutObject": ZeroWithoutObject(iou),
    "score_counts": partial(score_counts, lambda n: n.predicted / n.true),
}
OF_PLACES = {"AverageSurfaceDistance", "BoundaryIoU", "CentroidDistance", "HausdorffDistance"}
OF_PLACES |= {"SurfaceDice", "pointing_game"}
OF_PIXELS = {
    name: BUILT.get(name, metric)
    for name in metrics.__all__
    if takes(metric := getattr(metrics, name)) in ("masks", "maps")
    and is_pixelwise(BUILT.get(name, metric))
} | {
    "area_bound": baselines.area_bound,
    "score_ranks": partial(score_ranks, lambda r: r.hits.sum(-1) * 0 + r.true),
}
RATIOS = {
    **{name: OF_PIXELS[name] for name in ("iou", "dice", "coverage", "precision", "specificity")},
    **{name: OF_PIXELS[name] for name in ("false_positive_rate", "marked_area")},
    **{name: OF_PIXELS[name] for name in ("FBeta", "Tversky", "ZeroWithoutObject")},
    "ZeroWithoutObject(dice)": ZeroWithoutObject(dice, both_empty=1),
}
every_metric = pytest.mark.parametrize("metric", OF_PIXELS.values(), ids=OF_PIXELS.keys())


def test_a_metric_depends_on_places_or_on_the_values_of_pixels():
    known = {
        name
        for name in metrics.__all__
        if takes(getattr(metrics, name)) in ("masks", "maps")
        and getattr(getattr(metrics, name), "truth", "mask") == "mask"
    }
    assert known > OF_PLACES
    assert known - OF_PLACES <= set(OF_PIXELS)
    assert not OF_PLACES & set(OF_PIXELS)
    assert len(OF_PIXELS) >= 30
    assert not is_pixelwise(ZeroWithoutObject(BoundaryIoU()))
    assert is_pixelwise(partial(partial(iou)))


def same(first, second):
    torch.testing.assert_close(first, second, equal_nan=True, rtol=1e-6, atol=1e-7)


def draw_given(data, metric, shape):
    """Draw a mask, or a map whose sums are exact in any order."""
    if takes(metric) == "masks":
        return data.draw(masks(shape))
    return data.draw(maps(shape)).round()


def score_kept(metric, given, truth, keep):
    """Score masks or maps without the pixels that are ignored."""
    fitted, *arrays = without_ignored_pixels(metric, given, truth, keep)
    return fitted(*arrays)


@every_metric
@given(data=st.data())
def test_shuffling_the_pixels_changes_no_score(metric, data):
    shape = data.draw(shapes())
    pixels = torch.Size(shape).numel()
    drawn, truth = draw_given(data, metric, shape), data.draw(masks(shape))
    order = torch.tensor(data.draw(st.permutations(range(pixels))))
    shuffled = (array.flatten()[order].reshape(shape) for array in (drawn, truth))
    same(metric(*shuffled), metric(drawn, truth))
    row = (array.reshape(1, -1) for array in (drawn, truth))
    same(metric(*row), metric(drawn, truth))


@every_metric
@given(data=st.data())
def test_ignored_pixels_count_for_nothing(metric, data):
    shape = data.draw(shapes())
    pixels = torch.Size(shape).numel()
    drawn, truth = draw_given(data, metric, shape), data.draw(masks(shape))
    extra = data.draw(st.integers(0, 6))
    place = torch.tensor(data.draw(st.permutations(range(pixels + extra))))[:pixels]
    keep = torch.zeros(1, pixels + extra, dtype=torch.bool)
    keep[:, place] = True
    place = place.sort().values
    more_truth = torch.ones_like(keep)
    more = more_truth.clone() if drawn.dtype == torch.bool else torch.full(keep.shape, torch.nan)
    more[0, place], more_truth[0, place] = drawn.flatten(), truth.flatten()
    same(score_kept(metric, more, more_truth, keep), metric(drawn, truth))
    several = score_kept(
        metric, *(array.expand(2, 3, -1, -1) for array in (more, more_truth)), keep
    )
    same(several, metric(drawn, truth).expand(2, 3))


@every_metric
def test_a_volume_is_scored_as_the_list_of_its_voxels(metric):
    draw = torch.Generator().manual_seed(1)
    truth = torch.rand(2, 3, 4, 5, generator=draw) > 0.6
    given = torch.rand(2, 3, 4, 5, generator=draw).mul(8).round()
    given = given > 4 if takes(metric) == "masks" else given
    expected = metric(given.reshape(2, 1, 60), truth.reshape(2, 1, 60))
    scores = on_volumes(metric)(given, truth)
    same(scores, expected)
    assert takes(on_volumes(metric)) == takes(metric)
    np.testing.assert_allclose(on_volumes(metric)(given.numpy(), truth.numpy()), expected)
    keep = torch.rand(3, 4, 5, generator=draw) > 0.3
    kept = metric(given[:, keep][:, None], truth[:, keep][:, None])
    same(score_kept(on_volumes(metric), given, truth, keep), kept)


@pytest.mark.parametrize("metric", RATIOS.values(), ids=RATIOS.keys())
@given(pairs=st.lists(mask_pairs(), min_size=2, max_size=3))
def test_a_pooled_score_is_that_of_the_images_side_by_side(metric, pairs):
    flat = [[array.reshape(1, -1) for array in pair] for pair in pairs]
    scores = torch.stack([metric(*pair) for pair in flat]).double()
    weights = torch.stack([denominator(metric)(Counts.of(*pair)) for pair in flat])
    together = metric(*(torch.cat(arrays, 1) for arrays in zip(*flat, strict=True)))
    if scores.isnan().any() or weights.sum() == 0:
        return  # an image without a score is in no pool
    assert (weights >= 0).all()
    same((scores * weights).sum() / weights.sum(), together.double())


def test_every_ratio_of_pixel_counts_has_its_denominator():
    with_one = {name for name, metric in OF_PIXELS.items() if denominator(metric) is not None}
    assert with_one == set(RATIOS) - {"ZeroWithoutObject(dice)"}
    assert denominator(ZeroWithoutObject(BoundaryIoU())) is None


def test_a_metric_of_places_sees_background_where_pixels_are_ignored():
    pred, target = torch.zeros(2, 1, 12, dtype=torch.bool)
    pred[0, [2, 11]] = target[0, [4, 11]] = True
    keep = torch.arange(12)[None] < 10
    assert HausdorffDistance(100)(pred, target) == 2
    pred[0, 10] = True  # far from the truth without it
    assert score_kept(HausdorffDistance(100), pred, target, keep) == 2
    maps = torch.tensor([[1.0, 1.0, 1.0, 9.0]])
    truth, keep = torch.tensor([[True, False, False, True]]), torch.arange(4)[None] < 3
    assert score_kept(pointing_game, maps, truth, keep) == pytest.approx(1 / 3)
    maps[0, 3] = torch.nan
    assert score_kept(pointing_game, maps, truth, keep) == pytest.approx(1 / 3)
    assert score_kept(pointing_game, maps.nan_to_num(0).int(), truth, keep) == pytest.approx(1 / 3)


def test_settings_of_a_sample_are_those_that_the_user_left_open():
    distance = HausdorffDistance(95)
    assert settings_from_sample(distance) == ("spacing",)
    assert with_sample_settings(distance) is distance
    assert with_sample_settings(distance, spatial_axes=2) is distance
    scaled = with_sample_settings(distance, spacing=(2.0, 3.0), spatial_axes=2)
    assert scaled == HausdorffDistance(95, spacing=(2.0, 3.0))
    chosen = HausdorffDistance(95, spacing=0.5)
    assert with_sample_settings(chosen, spacing=(2.0, 3.0), spatial_axes=2) == chosen
    assert with_sample_settings(chosen, spatial_axes=3).spacing == (0.5, 0.5, 0.5)
    assert with_sample_settings(distance, spatial_axes=3).spacing == (1.0, 1.0, 1.0)
    assert with_sample_settings(BoundaryIoU(), spatial_axes=3) == BoundaryIoU(spatial_axes=3)
    assert with_sample_settings(iou, spacing=(2.0, 3.0), spatial_axes=3) is iou


def test_settings_reach_functions_partials_and_inner_metrics():
    game = with_sample_settings(pointing_game, spacing=(2.0, 3.0), spatial_axes=2)
    assert game.keywords == {"spacing": (2.0, 3.0)}
    fixed = partial(partial(pointing_game, spacing=1.0), tolerance=15)
    assert with_sample_settings(fixed, spacing=(2.0, 3.0), spatial_axes=2) is fixed
    in_volumes = with_sample_settings(fixed, spacing=(5.0, 2.0, 3.0), spatial_axes=3)
    assert in_volumes.keywords["spacing"] == (1.0, 1.0, 1.0)
    assert in_volumes.keywords["tolerance"] == 15
    outer = ZeroWithoutObject(SurfaceDice(2.0))
    assert settings_from_sample(outer) == ("spacing",)
    set_there = with_sample_settings(outer, spacing=(5.0, 1.0, 1.0), spatial_axes=3)
    assert set_there == ZeroWithoutObject(SurfaceDice(2.0, spacing=(5.0, 1.0, 1.0)))


def test_zero_without_an_object_in_volumes():
    pred = torch.zeros(3, 2, 4, 4, dtype=torch.bool)
    target = pred.clone()
    pred[0, 0, :2, :2] = target[0, :, :2, :2] = pred[1, 1, 3, 3] = True
    for metric in (ZeroWithoutObject(iou), ZeroWithoutObject(SurfaceDice(1.5))):
        scores = on_volumes(metric)(pred, target)
        assert scores[1] == 0
        assert scores[2].isnan()
        assert scores[0] == on_volumes(metric.metric)(pred, target)[0]
    assert ZeroWithoutObject(iou)(~target[1, 0].numpy(), target[1, 0].numpy()) == 0


def test_settings_that_do_not_fit_a_sample_are_refused():
    wrong = [HausdorffDistance(95, spacing=(1, 2)), BoundaryIoU(spatial_axes=3)]
    for metric, axes in zip(wrong, (3, 2), strict=True):
        with pytest.raises(SettingError, match=rf"must fit .* which has {axes} spatial axes, got"):
            with_sample_settings(metric, spatial_axes=axes)
    with pytest.raises(SettingError, match="must fit an image"):
        with_sample_settings(CentroidDistance(spacing=(5, 1, 1)), spatial_axes=2)


def test_a_metric_that_says_nothing_of_places_is_refused_for_volumes():
    @of_masks(higher_is_better=True)
    def own(pred, target):
        return (pred & target).sum((-2, -1)).float()

    with pytest.raises(SettingError, match="must be pixelwise or take spatial_axes or spacing"):
        on_volumes(own)
    marked = of_masks(partial(own), higher_is_better=True, pixelwise=True)
    ones = torch.ones(2, 3, 4, dtype=torch.bool)
    assert on_volumes(marked)(ones, ones) == 24
    with pytest.raises(ShapeError, match=r"volumes \(..., D, H, W\)"):
        on_volumes(iou)(ones[0], ones[0])
    again = on_volumes(false_positive_rate)
    assert on_volumes(again) is again
    assert on_volumes(AverageSurfaceDistance(), spacing=(5, 1, 1)).spacing == (5, 1, 1)


def test_a_label_tells_whether_the_spacing_is_that_of_the_sample():
    in_pixels = partial(pointing_game, tolerance=15, spacing=1.0)
    assert label_of(in_pixels) == "pointing_game:tolerance=15,spacing=1"
    assert label_of(partial(pointing_game, tolerance=15)) == "pointing_game:tolerance=15"
    assert label_of(BoundaryIoU()) == "boundary_iou"


@pytest.mark.parametrize("make", [torch.as_tensor, np.asarray])
@pytest.mark.parametrize("metric", [metrics.pixel_auroc, pointing_game])
def test_maps_and_truth_that_are_swapped_are_told(metric, make) -> None:
    values = make(np.linspace(0, 1, 24).reshape(4, 6))
    words = "maps must hold real numbers, got torch.bool, and target .*; give the maps first"
    with pytest.raises(ArrayTypeError, match=words):
        metric(values > 0.5, values)
    with pytest.raises(ArrayTypeError, match=r"real numbers, got torch\.bool$"):
        metric(values > 0.5, values > 0.5)

"""Baselines and bounds of volumes, of padded inputs and of several targets."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from skimage.filters import sobel
from torch import nn
from torch.nn.functional import avg_pool3d, interpolate
from torch.testing import assert_close

from cameval import CAMExtractor, CAMModel, GAPHead, cam
from cameval.baselines import (
    ClassMeanBaseline,
    GaussianBaseline,
    LeaveGroupOutBaseline,
    RandomBaseline,
    UntrainedBaseline,
    center_baseline,
    center_disc,
    center_map,
    class_mean_masks,
    edge_baseline,
    grid_bound,
    intensity_baseline,
    reachable_iou,
    truth_baseline,
    truth_map,
)
from cameval.binarizers import PercentileBinarizer
from cameval.data import Sample, Target
from cameval.errors import DataError, SettingError, ShapeError
from cameval.maps import CellCenters, upsample
from cameval.metrics import max_iou, on_volumes
from cameval.protocols import BaselineInput

SHAPE, CELLS = (6, 8, 10), (3, 2, 5)


def volume(index, seed=0):
    random = default_rng((seed, index))
    return Sample(
        f"volume {index}",
        random.random(SHAPE, np.float32),
        random.random(SHAPE) < 0.3,
        index % 2,
        f"group {index // 2}",
        spacing=(5, 1, 1),
    )


SAMPLES = [volume(index) for index in range(8)]


def batch_of(samples, grid=SHAPE):
    gray = torch.stack([torch.from_numpy(sample.image) for sample in samples])[:, None]
    truth = torch.stack([torch.from_numpy(sample.mask) for sample in samples])
    return BaselineInput(
        samples,
        gray.expand(-1, 2, -1, -1, -1),
        interpolate(truth[:, None].float(), grid)[:, 0] > 0.5,
        torch.tensor([sample.label for sample in samples]),
        CELLS,
    )


def untrained():
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv3d(2, 5, 3, stride=2, padding=1), nn.ReLU())
    return CAMModel(features, GAPHead(nn.Linear(5, 2))).eval()


BASELINES = {
    "center": center_baseline,
    "gaussian": GaussianBaseline(),
    "random": RandomBaseline(),
    "own grid": RandomBaseline((2, 3, 4)),
    "intensity": intensity_baseline,
    "edges": edge_baseline,
    "class mean": ClassMeanBaseline.of(SAMPLES, 2, CELLS),
    "leave group out": LeaveGroupOutBaseline.of(SAMPLES),
    "by class": LeaveGroupOutBaseline.of(SAMPLES, CELLS, by_class=True),
    "truth": truth_baseline,
    "untrained": UntrainedBaseline(CAMExtractor(untrained(), cam)),
}


@pytest.mark.parametrize("grid", [SHAPE, (3, 5, 7), (1, 4, 4), (12, 16, 20)])
@pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES)
def test_maps_of_volumes_are_on_the_grid_of_the_truth(baseline, grid):
    batch = batch_of(SAMPLES[:3], grid)
    maps = baseline(batch)
    assert maps.shape == (3, *grid)
    assert maps.isfinite().all()
    alone = torch.cat([baseline(batch_of([sample], grid)) for sample in SAMPLES[:3]])
    assert_close(alone, maps)


def test_center_and_gaussian_fall_with_the_distance_in_three_axes():
    z, y, x = np.meshgrid(*(np.arange(n) + 0.5 - n / 2 for n in SHAPE), indexing="ij")
    distance = np.sqrt(z**2 + y**2 + x**2)
    assert_close(center_map(SHAPE), torch.from_numpy(1 - distance / distance.max()).float())
    exponent = (z / SHAPE[0]) ** 2 + (y / SHAPE[1]) ** 2 + (x / SHAPE[2]) ** 2
    expected = torch.from_numpy(np.exp(-exponent / (2 * 0.3**2))).float()
    assert_close(GaussianBaseline(0.3)(batch_of(SAMPLES[:1]))[0], expected)
    ball = center_disc((9, 9, 9), 0.1)
    assert ball.sum() / ball.numel() == pytest.approx(0.1, abs=0.03)
    assert torch.equal(ball, ball.permute(2, 0, 1))


def test_edges_of_a_volume_are_those_of_sobel():
    batch = batch_of(SAMPLES[:1])
    expected = sobel(batch.images[0].double().mean(0).numpy())
    np.testing.assert_allclose(edge_baseline(batch)[0], expected, atol=1e-6)


def test_intensity_is_resized_along_each_axis():
    whole = torch.zeros(1, 1, 4, 4, 4)
    whole[0, 0, 2, 1, 1] = 8
    batch = BaselineInput([], whole, torch.zeros(1, 2, 2, 2) > 0, torch.tensor([0]), CELLS)
    weights = interpolate(whole[:, :, 2], (2, 2), mode="bilinear", antialias=True)[0, 0]
    depth = torch.zeros(1, 1, 4, 2)
    depth[0, 0, 2] = 1
    along = interpolate(depth, (2, 2), mode="bilinear", antialias=True)[0, 0, :, 0]
    expected = along[:, None, None] * weights
    assert_close(intensity_baseline(batch)[0], expected - expected.min())


def test_the_truth_map_of_a_volume_is_pooled_and_upsampled_along_each_axis():
    truth = torch.from_numpy(SAMPLES[0].mask)
    pooled = avg_pool3d(truth[None].double(), (2, 4, 2))
    expected = interpolate(pooled[None], SHAPE, mode="trilinear")[0, 0]
    assert_close(truth_map(truth, CELLS), expected, atol=1e-9, rtol=0)
    inside = torch.zeros(12, 12, 12, dtype=torch.bool)
    inside[2:10, 2:10, 2:10] = True
    cube = truth_map(inside, (6, 6, 6))
    assert cube.max() > 1
    assert cube.argmax() == cube.flatten().max(0).indices
    mask = on_volumes(PercentileBinarizer(95))(cube)
    assert mask.double().mean() == pytest.approx(0.05, abs=1 / 12**3)
    assert inside[mask].all()


def test_slices_alike_are_a_volume_with_the_map_of_one():
    truth = default_rng(0).random((8, 10)) < 0.4
    stacked = np.stack([truth] * 4)
    assert_close(truth_map(stacked, (2, 4, 5))[1], truth_map(truth, (4, 5)), atol=0.02, rtol=0)
    np.testing.assert_allclose(grid_bound(stacked, (4, 4, 5)), grid_bound(truth, (4, 5)))


@pytest.mark.parametrize("cell_centers", [None, CellCenters(0.5, 3)])
def test_no_union_of_cells_of_a_volume_is_above_the_grid_bound(cell_centers):
    truth = default_rng(1).random((3, 4, 4)) < 0.4
    cells = (2, 2, 2)
    centers = [
        (np.arange(2) + 0.5) * n / 2 if cell_centers is None else np.array([0.5, 3.5])
        for n in truth.shape
    ]
    nearest = [
        np.abs(np.arange(n)[:, None] + 0.5 - at).argmin(1) if n else None
        for n, at in zip(truth.shape, centers, strict=True)
    ]
    if cell_centers is None and truth.shape[0] == 3:
        nearest[0] = np.array([0, 1, 1])  # the middle slice is as near to both
    owner = nearest[0][:, None, None] * 4 + nearest[1][:, None] * 2 + nearest[2]
    best = 0.0
    for chosen in product((False, True), repeat=8):
        mask = np.array(chosen)[owner]
        best = max(best, (mask & truth).sum() / (mask | truth).sum())
    assert grid_bound(truth, cells, cell_centers=cell_centers) == pytest.approx(best)


def test_the_ascent_of_a_volume_reaches_more_than_the_truth_map():
    z, y, x = torch.meshgrid(*(torch.arange(n) for n in (12, 16, 16)), indexing="ij")
    truth = (z - 5).square() + (y - 6).square() + (x - 9).square() < 12
    start = max_iou(truth_map(truth, (3, 4, 4)).flatten(0, 1), truth.flatten(0, 1))
    assert reachable_iou(truth, (3, 4, 4), steps=0) == pytest.approx(start.item())
    reached = reachable_iou(torch.stack([truth, truth]), (3, 4, 4), steps=40)
    assert reached.shape == (2,)
    assert start + 0.05 < reached[0] <= 1


def test_mean_masks_of_volumes_are_means():
    masks = np.stack([sample.mask for sample in SAMPLES])
    labels = np.array([sample.label for sample in SAMPLES])
    means = class_mean_masks(masks, labels, 2)
    np.testing.assert_allclose(means[1], masks[labels == 1].mean(0), rtol=1e-6)
    learned = ClassMeanBaseline.of(SAMPLES, 2, SHAPE)
    np.testing.assert_allclose(learned.masks, means, atol=1e-6)
    assert ClassMeanBaseline.of(SAMPLES, 2).masks.shape == (2, 64, 64, 64)
    maps = LeaveGroupOutBaseline.of(SAMPLES, SHAPE, by_class=True)(batch_of(SAMPLES))
    others = [s.mask for s in SAMPLES if s.group != SAMPLES[0].group and s.label == 0]
    np.testing.assert_allclose(maps[0], np.mean(others, 0), atol=1e-3)


def test_each_target_of_a_sample_counts_with_its_label():
    def several(index):
        random = default_rng(index)
        targets = [Target(label, random.random((4, 6)) < 0.4) for label in (0, 1)]
        return Sample(
            f"image {index}",
            random.random((4, 6), np.float32),
            targets=targets,
            group=f"group {index // 2}",
        )

    samples = [several(index) for index in range(6)]
    single = [one for sample in samples for one in sample.by_target()]
    rows = single[:2]
    batch = BaselineInput(
        rows,
        torch.zeros(2, 3, 4, 6),
        torch.stack([torch.from_numpy(one.mask) for one in rows]),
        torch.tensor([one.label for one in rows]),
        (2, 3),
    )
    for by_class in (False, True):
        maps = LeaveGroupOutBaseline.of(samples, (4, 6), by_class=by_class)(batch)
        for row, scores in zip(rows, maps, strict=True):
            others = [
                one.mask
                for one in single
                if one.group != row.group and (one.label == row.label or not by_class)
            ]
            np.testing.assert_allclose(scores, np.mean(others, 0), atol=1e-3)
    learned = ClassMeanBaseline.of(samples, 2, (4, 6))
    means = [np.mean([one.mask for one in single if one.label == label], 0) for label in (0, 1)]
    np.testing.assert_allclose(learned.masks, means, atol=1e-6)
    part = ClassMeanBaseline.of(samples, 2, (4, 3), truth=lambda one: torch.tensor(one.mask[:, :3]))
    np.testing.assert_allclose(part.masks, np.array(means)[..., :3], atol=1e-6)


def test_maps_show_the_part_of_a_padded_input_that_is_scored():
    truth = torch.zeros(1, 8, 12, dtype=torch.bool)
    truth[0, 2:5, 6:9] = True
    images = torch.zeros(1, 2, 12, 12)
    images[:, :, 2:10] = torch.rand(8, 12, generator=torch.Generator().manual_seed(0))
    batch = BaselineInput(
        SAMPLES[:1], images, truth, torch.tensor([0]), (6, 6), window=((2, 10), (0, 12))
    )
    padded = torch.zeros(1, 12, 12, dtype=torch.bool)
    padded[:, 2:10] = truth
    whole = replace(batch, truth=padded, window=None)
    assert_close(truth_baseline(batch)[:, 1:-1], truth_baseline(whole)[:, 3:9])
    assert_close(RandomBaseline()(batch), RandomBaseline()(whole)[:, 2:10])
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.ReLU())
    network = CAMModel(features, GAPHead(nn.Linear(4, 2)), CellCenters(0.5, 2)).eval()
    for alignment in ("half_pixel", "receptive_field"):
        baseline = UntrainedBaseline(CAMExtractor(network, cam, alignment=alignment))
        assert_close(baseline(batch), baseline(whole)[:, 2:10])
    assert_close(intensity_baseline(batch)[0], images[0, 0, 2:10] - images[0, 0, 2:10].min())


def test_grids_with_another_number_of_axes_are_refused():
    batch = batch_of(SAMPLES[:2])
    with pytest.raises(SettingError, match="cells must be 3 lengths"):
        RandomBaseline((7, 7))(batch)
    with pytest.raises(SettingError, match="cells must be a pair of positive integers"):
        RandomBaseline((7, 7, 7, 7))
    with pytest.raises(SettingError, match="size must be 3 lengths"):
        LeaveGroupOutBaseline.of(SAMPLES, (32, 32))
    flat = Sample("flat", np.zeros((4, 4), np.float32), np.eye(4, dtype=bool), 0)
    for learn in (lambda some: ClassMeanBaseline.of(some, 2), LeaveGroupOutBaseline.of):
        with pytest.raises(SettingError, match="size must be 2 lengths"):
            learn([*SAMPLES, flat])
    with pytest.raises(ShapeError, match="mean masks must have the 3 spatial axes"):
        ClassMeanBaseline(torch.zeros(2, 4, 4))(batch)
    with pytest.raises(ShapeError, match="masks must have shape"):
        ClassMeanBaseline(torch.zeros(2, 4, 4, 4, 4))
    with pytest.raises(SettingError, match="image_size must have one length for each axis"):
        truth_map(batch.truth, CELLS, image_size=(4, 4))
    with pytest.raises(DataError, match="every class must have a mask, got none of"):
        ClassMeanBaseline.of(SAMPLES, 3)


def test_a_volume_of_coarse_maps_is_upsampled_along_each_axis():
    coarse = torch.rand(2, *CELLS, generator=torch.Generator().manual_seed(0))
    expected = interpolate(coarse[:, None], SHAPE, mode="trilinear")[:, 0]
    assert_close(upsample(coarse, SHAPE), expected)

"""Blind baselines and image baselines."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import default_rng
from skimage.filters import sobel
from torch import nn
from torch.nn.functional import interpolate
from torch.testing import assert_close

from cameval import CAMExtractor, CAMModel, GAPHead, cam, grad_cam
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
    independent_iou,
    intensity_baseline,
    skill,
    truth_baseline,
)
from cameval.binarizers import PercentileBinarizer
from cameval.data import Sample
from cameval.errors import ArrayTypeError, ClassIndexError, DataError, SettingError, ShapeError
from cameval.evaluation.settings import default_baselines
from cameval.maps import CellCenters, upsample
from cameval.metrics import pixel_auroc
from cameval.protocols import BaselineInput

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))

CLASSES, GRID, CELLS = 3, (12, 16), (3, 4)


def make_samples(count: int, size: tuple[int, int] = (12, 16), seed: int = 0) -> list[Sample]:
    """Return samples of three classes, four to a group."""
    random = default_rng(seed)
    return [
        Sample(
            name=f"image {i}",
            image=random.random(size, np.float32),
            mask=random.random(size) < 0.3,
            label=i % CLASSES,
            group=f"group {i // 4}",
        )
        for i in range(count)
    ]


def make_batch(samples: list[Sample], grid: tuple[int, int] = GRID) -> BaselineInput:
    """Return the samples as they are evaluated: 24 x 32 pixels for the network."""
    gray = torch.stack([torch.from_numpy(sample.image) for sample in samples])[:, None]
    truth = torch.stack([torch.from_numpy(sample.mask) for sample in samples])[:, None]
    return BaselineInput(
        samples=samples,
        images=(interpolate(gray, (24, 32)).expand(-1, 3, -1, -1) - 0.45) / 0.2,
        truth=interpolate(truth.float(), grid)[:, 0] > 0.5,
        classes=torch.tensor([sample.label for sample in samples]),
        cells=CELLS,
    )


def small_network(seed: int) -> CAMModel:
    torch.manual_seed(seed)
    features = nn.Sequential(nn.Conv2d(3, 5, 3, stride=8), nn.ReLU())
    return CAMModel(features, GAPHead(nn.Linear(5, CLASSES))).eval()


SAMPLES = make_samples(24)
PLACES = {"evenly": None, "receptive fields": CellCenters(0.5, 8)}
BASELINES = {
    **default_baselines(seed=3),
    "gaussian": GaussianBaseline(),
    "own grid": RandomBaseline(cells=(7, 7)),
    "class mean": ClassMeanBaseline.of(SAMPLES, CLASSES, (6, 8)),
    "leave group out": LeaveGroupOutBaseline.of(SAMPLES, (6, 8)),
    "leave group out by class": LeaveGroupOutBaseline.of(SAMPLES, (6, 8), by_class=True),
    "untrained": UntrainedBaseline(CAMExtractor(small_network(0), cam)),
}


@pytest.mark.parametrize("cell_centers", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("grid", [GRID, (24, 32), (1, 1), (5, 40)])
@pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES)
def test_maps_are_finite_and_on_the_grid_of_the_truth(baseline, grid, cell_centers):
    batch = replace(make_batch(SAMPLES[:3], grid), cell_centers=cell_centers)
    maps = baseline(batch)
    assert maps.shape == batch.truth.shape
    assert maps.dtype == (torch.float64 if baseline is truth_baseline else torch.float32)
    assert maps.isfinite().all()
    assert not maps.requires_grad


@pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES)
def test_a_map_depends_on_its_sample_alone(baseline):
    together = baseline(make_batch(SAMPLES))
    turned = baseline(make_batch(SAMPLES[::-1])).flip(0)
    alone = torch.cat([baseline(make_batch([sample])) for sample in SAMPLES])
    assert_close(turned, together)  # the last digits are the matrix products', as the network's
    assert_close(alone, together)


@pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES)
def test_a_baseline_changes_nothing(baseline):
    batch = make_batch(SAMPLES[:4])
    before = [batch.images.clone(), batch.truth.clone(), batch.classes.clone()]
    state = torch.get_rng_state()
    first, again = baseline(batch), baseline(batch)
    assert torch.equal(first, again)
    for old, new in zip(before, (batch.images, batch.truth, batch.classes), strict=True):
        assert torch.equal(old, new)
    assert torch.equal(state, torch.get_rng_state())


def test_the_defaults_need_no_training_and_pass_the_seed_on():
    assert default_baselines()["random"] == RandomBaseline(seed=0)
    assert default_baselines(5)["random"] == RandomBaseline(seed=5)
    assert default_baselines()["truth"] is truth_baseline


# --- Of the size alone ----------------------------------------------------------------------------


def test_the_center_baseline_is_the_center_map():
    maps = center_baseline(make_batch(SAMPLES[:2], (5, 9)))
    assert torch.equal(maps[0], center_map((5, 9)))
    assert torch.equal(maps[1], maps[0])


@given(sizes, st.floats(0.05, 3))
def test_the_gaussian_is_scaled_with_the_image(grid, sigma):
    scores = GaussianBaseline(sigma)(make_batch(SAMPLES[:1], grid))[0].double().numpy()
    y, x = (np.arange(length) + 0.5 - length / 2 for length in grid)
    exponent = np.add.outer((y / grid[0]) ** 2, (x / grid[1]) ** 2) / (2 * sigma**2)
    np.testing.assert_allclose(scores, np.exp(-exponent), rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("sigma", [0, -1, float("inf"), float("nan")])
def test_a_gaussian_has_a_width(sigma):
    with pytest.raises(SettingError, match="sigma must be positive and finite, got"):
        GaussianBaseline(sigma)


# --- Of chance ------------------------------------------------------------------------------------


def test_random_maps_are_upsampled_as_those_of_the_network():
    corners = CellCenters(0.5, 8)  # a cell at every eighth pixel
    batch = replace(make_batch(SAMPLES[:2], (24, 32)), cell_centers=corners)
    maps = RandomBaseline()(batch)
    assert_close(upsample(maps[:, ::8, ::8], (24, 32), cell_centers=corners), maps)
    evenly = RandomBaseline(CELLS)(batch)
    assert_close(evenly, RandomBaseline()(replace(batch, cell_centers=None)))


def test_random_maps_differ_between_samples_and_seeds():
    batch = make_batch(SAMPLES)
    maps = torch.cat([RandomBaseline(seed=seed)(batch) for seed in (0, 1, -1)]).flatten(1)
    assert len(maps.unique(dim=0)) == 3 * len(SAMPLES)
    renamed = [replace(sample, name=f"{sample.name}b") for sample in SAMPLES]
    assert not torch.equal(RandomBaseline()(make_batch(renamed)), RandomBaseline()(batch))


def test_random_maps_are_uniform_chance():
    batch = replace(make_batch(SAMPLES), cells=GRID)
    draws = RandomBaseline()(batch).flatten().sort().values.double().numpy()
    distance = np.abs(draws - (np.arange(draws.size) + 0.5) / draws.size).max()
    assert distance < 1.63 / draws.size**0.5  # Kolmogorov and Smirnov at the 1 % level
    assert pixel_auroc(RandomBaseline()(batch), batch.truth).mean() == pytest.approx(0.5, abs=0.02)


def test_random_maps_are_drawn_by_seed_and_name():
    batch = replace(make_batch(SAMPLES[:1], (1, 3)), cells=(1, 3))
    drawn = default_rng(int(sha256(b"7 image 0").hexdigest(), 16)).random((1, 1, 3), np.float32)
    assert_close(RandomBaseline(seed=7)(batch), torch.from_numpy(drawn))
    assert_close(torch.from_numpy(drawn), torch.tensor([[[0.19111723, 0.9541859, 0.03047699]]]))


def test_random_maps_have_cells_and_a_seed():
    for cells in ((0, 7), (7,), 7):
        with pytest.raises(SettingError, match="cells must be a pair of positive integers"):
            RandomBaseline(cells)
    with pytest.raises(SettingError, match=r"seed must be an integer, got 0\.5"):
        RandomBaseline(seed=0.5)


# --- Of the image ---------------------------------------------------------------------------------


def test_intensity_is_what_the_network_saw_above_its_darkest_pixel():
    batch = make_batch(SAMPLES[:3], (24, 32))
    gray = batch.images.double().mean(1)
    lowest = torch.stack([image.min() for image in gray])[:, None, None]
    assert_close(intensity_baseline(batch).double(), gray - lowest, atol=1e-5, rtol=0)


def test_intensity_is_averaged_on_a_coarser_grid():
    image = torch.zeros(1, 3, 24, 32)
    image[..., 8] = 1  # a line between the points that plain interpolation reads
    batch = replace(make_batch(SAMPLES[:1], (6, 8)), images=image)
    triangle = [1 - 2.5 / 4, 1 - 1.5 / 4]  # weights of the pixel in the two nearest cells
    expected = torch.tensor([0, *triangle, 0, 0, 0, 0, 0]) / 4
    assert_close(intensity_baseline(batch)[0], expected.expand(6, 8))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_edges_are_those_of_sobel(height, width, seed):
    image = torch.from_numpy(default_rng(seed).random((1, 3, height, width), np.float32))
    truth = torch.zeros(1, height, width, dtype=torch.bool)
    batch = BaselineInput(SAMPLES[:1], image, truth, torch.tensor([0]), (1, 1))
    expected = sobel(image[0].double().mean(0).numpy())
    np.testing.assert_allclose(edge_baseline(batch)[0], expected, atol=1e-6)


# --- Of an untrained network ----------------------------------------------------------------------


def test_maps_of_an_untrained_network_are_of_the_target_classes():
    batch = replace(make_batch(SAMPLES[:2], (5, 6)), classes=torch.tensor([2, 0]))
    extract = CAMExtractor(small_network(1), grad_cam)
    expected = extract(batch.images, classes=[2, 0], size=(5, 6)).maps
    assert torch.equal(UntrainedBaseline(extract)(batch), expected)


def test_an_untrained_network_itself_is_no_extractor() -> None:
    with pytest.raises(ArrayTypeError, match=r"got CAMModel; wrap the network, as in Untrained"):
        UntrainedBaseline(small_network(0))


def test_the_repr_of_an_untrained_network_tells_its_weights():
    first, same, other = (UntrainedBaseline(CAMExtractor(small_network(s), cam)) for s in (1, 1, 2))
    assert repr(first) == repr(same) != repr(other)
    assert repr(first).startswith("UntrainedBaseline(cam, half_pixel, weights=")


# --- Of the masks of other images -----------------------------------------------------------------


def test_class_means_of_samples_are_those_of_their_masks():
    masks = np.stack([sample.mask for sample in SAMPLES])
    labels = np.array([sample.label for sample in SAMPLES])
    learned = ClassMeanBaseline.of(iter(SAMPLES), CLASSES, GRID)
    np.testing.assert_allclose(learned.masks, class_mean_masks(masks, labels, CLASSES), atol=1e-7)
    batch = replace(make_batch(SAMPLES[:2]), classes=torch.tensor([2, 0]))
    assert_close(learned(batch), learned.masks[[2, 0]])


def test_class_means_are_pooled_and_resized():
    learned = ClassMeanBaseline.of(SAMPLES, CLASSES, (3, 4))
    masks = torch.stack([torch.from_numpy(s.mask) for s in SAMPLES if s.label == 1]).double()
    blocks = masks.reshape(-1, 3, 4, 4, 4).mean((0, 2, 4)).float()
    assert_close(learned.masks[1], blocks)
    batch = replace(make_batch(SAMPLES[:1], (24, 32)), classes=torch.tensor([1]))
    resized = interpolate(blocks[None, None], (24, 32), mode="bilinear")[:, 0]
    assert_close(learned(batch), resized)


def test_mean_masks_are_of_the_part_that_is_scored():
    def crop(sample):
        return torch.from_numpy(sample.mask)[3:9, 4:12]

    cropped = [replace(s, mask=s.mask[3:9, 4:12], image=s.image[3:9, 4:12]) for s in SAMPLES]
    batch = make_batch(SAMPLES[:5])
    for learn in (
        lambda samples, **how: ClassMeanBaseline.of(samples, CLASSES, (3, 4), **how),
        lambda samples, **how: LeaveGroupOutBaseline.of(samples, (3, 4), **how),
    ):
        assert torch.equal(learn(SAMPLES, truth=crop)(batch), learn(cropped)(batch))
        assert not torch.equal(learn(SAMPLES)(batch), learn(cropped)(batch))


def test_class_means_need_classes():
    with pytest.raises(DataError, match=r"every class must have a mask, got none of \[3, 4\]"):
        ClassMeanBaseline.of(SAMPLES, 5)
    with pytest.raises(ClassIndexError, match=r"\[0, 2\), got 2 of sample 'image 2'"):
        ClassMeanBaseline.of(SAMPLES, 2)
    batch = replace(make_batch(SAMPLES[:2]), classes=torch.tensor([-1, 3]))
    with pytest.raises(ClassIndexError, match=r"must be in \[0, 3\).*got \[-1, 3\]"):
        BASELINES["class mean"](batch)
    with pytest.raises(ArrayTypeError, match=r"masks must be a floating .* got torch.bool"):
        ClassMeanBaseline(torch.ones(1, 2, 2, dtype=torch.bool))
    with pytest.raises(ShapeError, match=r"must have shape \(C, h, w\), .* got \(2, 2\)"):
        ClassMeanBaseline(torch.ones(2, 2))


@pytest.mark.parametrize("by_class", [False, True])
def test_the_mean_of_the_other_groups_is_the_mean_of_the_other_groups(by_class):
    maps = LeaveGroupOutBaseline.of(iter(SAMPLES), GRID, by_class=by_class)(make_batch(SAMPLES))
    for sample, scores in zip(SAMPLES, maps, strict=True):
        others = [
            other.mask
            for other in SAMPLES
            if other.group != sample.group and (other.label == sample.label or not by_class)
        ]
        np.testing.assert_allclose(scores, np.mean(others, 0), atol=1e-7)


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("size", [(5, 7), (32, 32)])
def test_nothing_of_the_own_group_leaks(by_class, size):
    changed = make_samples(4, seed=1)  # other masks for the first group
    assert {sample.group for sample in changed} == {SAMPLES[0].group}
    batch = make_batch(SAMPLES[:4])
    before = LeaveGroupOutBaseline.of(SAMPLES, size, by_class=by_class)
    after = LeaveGroupOutBaseline.of(changed + SAMPLES[4:], size, by_class=by_class)
    assert torch.equal(before(batch), after(batch))
    rest = make_batch(SAMPLES[4:])
    assert not torch.equal(before(rest), after(rest))
    assert repr(before) != repr(after)


def test_a_group_that_nobody_knows_learns_from_all():
    stranger = replace(SAMPLES[0], group="stranger")
    maps = LeaveGroupOutBaseline.of(SAMPLES, GRID)(make_batch([stranger]))
    np.testing.assert_allclose(maps[0], np.mean([s.mask for s in SAMPLES], 0), atol=1e-7)


def test_a_class_without_a_mask_elsewhere_gets_the_mean_of_all():
    samples = [replace(s, label=0 if s.group == "group 0" else 1) for s in SAMPLES]
    batch = replace(make_batch(samples[:2]), classes=torch.tensor([0, 917]))
    pooled = LeaveGroupOutBaseline.of(samples, GRID)(batch)
    assert torch.equal(LeaveGroupOutBaseline.of(samples, GRID, by_class=True)(batch), pooled)


def test_masks_of_any_size_are_learned_from():
    mixed = make_samples(4, (30, 21)) + [replace(s, group="b") for s in make_samples(4, (7, 50))]
    maps = LeaveGroupOutBaseline.of(mixed, (1, 1))(make_batch(mixed[:1], (2, 2)))
    expected = np.mean([sample.mask.mean() for sample in mixed[4:]])
    np.testing.assert_allclose(maps, expected, atol=1 / 8192)


def test_samples_without_a_label_have_a_mean_mask_but_no_class():
    unlabeled = [replace(sample, label=None) for sample in SAMPLES]
    batch = make_batch(SAMPLES[:5])
    for by_class in (False, True):
        learned = LeaveGroupOutBaseline.of(unlabeled, GRID, by_class=by_class)
        assert torch.equal(learned(batch), LeaveGroupOutBaseline.of(SAMPLES, GRID)(batch))
    with pytest.raises(DataError, match="every sample must have a label, got none of 'image 0'"):
        ClassMeanBaseline.of(unlabeled, CLASSES)


def test_there_must_be_another_group():
    for samples in ([], SAMPLES[:4]):
        with pytest.raises(DataError, match="samples must be of at least two groups, got"):
            LeaveGroupOutBaseline.of(samples)


@given(sizes)
def test_the_center_map_falls_with_the_distance_to_the_center(size):
    scores = center_map(size)
    assert scores.shape == size
    assert scores.dtype == torch.float32
    y, x = np.indices(size)
    distance = np.hypot(y - (size[0] - 1) / 2, x - (size[1] - 1) / 2)
    order = np.argsort(distance.ravel(), kind="stable")
    assert (np.diff(scores.numpy().ravel()[order]) <= 0).all()
    assert torch.equal(scores, scores.flip(0))
    assert torch.equal(scores, scores.flip(1))


@pytest.mark.parametrize("size", [(1, 1), (7, 7), (3, 9)])
def test_the_center_map_is_one_at_the_center_and_zero_at_the_corners(size):
    scores = center_map(size)
    assert scores[size[0] // 2, size[1] // 2] == 1
    assert scores[0, 0] == (size == (1, 1))


@pytest.mark.parametrize("percentile", [50, 90, 95])
def test_a_percentile_of_the_center_map_is_a_centered_disc(percentile):
    mask = PercentileBinarizer(percentile)(center_map((224, 224)))
    share = mask.double().mean().item()
    assert torch.equal(mask, center_disc((224, 224), share))
    assert share == pytest.approx(1 - percentile / 100, abs=3e-4)


@given(sizes, st.floats(0.001, 1))
def test_no_other_disc_is_closer_to_the_asked_area(size, area):
    disc = center_disc(size, area)
    y, x = np.indices(size)
    distance = (2 * y - size[0] + 1) ** 2 + (2 * x - size[1] + 1) ** 2
    areas = [(distance <= radius).sum() for radius in np.unique(distance)]
    wanted = area * distance.size
    assert abs(disc.sum().item() - wanted) == min(abs(got - wanted) for got in areas)
    assert torch.equal(disc, torch.from_numpy(distance <= distance[disc.numpy()].max()))


def test_a_disc_of_everything_is_everything():
    assert center_disc((5, 8), 1).all()


@pytest.mark.parametrize("area", [0, -0.1, 1.1, float("nan")])
def test_the_area_of_a_disc_is_a_share(area):
    with pytest.raises(SettingError, match=r"area must be in \(0, 1\], got"):
        center_disc((5, 5), area)


def test_images_have_pixels():
    for make in (center_map, center_disc):
        with pytest.raises(SettingError, match="size must be a pair of positive integers"):
            make((0, 5))


def test_the_mean_mask_of_a_class_is_the_mean_of_its_masks():
    generator = torch.Generator().manual_seed(0)
    masks = torch.rand(20, 5, 4, generator=generator) > 0.5
    labels = torch.arange(20) % 3
    means = class_mean_masks(masks, labels, 3)
    for c in range(3):
        assert_close(means[c], masks[labels == c].float().mean(0))
    from_numpy = class_mean_masks(masks.numpy(), labels.numpy(), 3)
    assert from_numpy.dtype == np.float64
    np.testing.assert_allclose(from_numpy, means, rtol=1e-6)


def test_class_means_need_a_label_for_each_mask_and_masks_for_each_class():
    masks, labels = np.ones((3, 2, 2), bool), np.array([0, 1, 1])
    with pytest.raises(DataError, match=r"every class must have a mask, got none of \[2, 3\]"):
        class_mean_masks(masks, labels, 4)
    with pytest.raises(ClassIndexError, match=r"labels must be in \[0, 1\), got \[1\]"):
        class_mean_masks(masks, labels, 1)
    with pytest.raises(ShapeError, match=r"got \(3, 2, 2\) and \(2,\)"):
        class_mean_masks(masks, labels[:2], 2)
    with pytest.raises(ShapeError, match=r"got \(2, 2\) and \(2,\)"):
        class_mean_masks(masks[0], labels[:2], 2)
    for strange in (labels.astype(float), labels > 0, labels * 1j):
        with pytest.raises(ArrayTypeError, match="labels must be integers"):
            class_mean_masks(masks, strange, 2)
    with pytest.raises(ArrayTypeError, match="masks must be boolean"):
        class_mean_masks(masks.astype(int), labels, 2)


def test_a_random_mask_has_the_expected_iou():
    generator = torch.Generator().manual_seed(0)
    pred = torch.rand(2000, 2000, generator=generator) < 0.3
    target = torch.rand(2000, 2000, generator=generator) < 0.1
    seen = ((pred & target).sum() / (pred | target).sum()).item()
    assert independent_iou(0.3, 0.1) == pytest.approx(seen, abs=1e-3)


def test_expected_ious_take_numbers_and_arrays():
    areas = np.array([0.0, 0.05, 1.0])
    expected = [np.nan, 0.0025 / 0.0975, 0.05]
    np.testing.assert_allclose(independent_iou(0.05, areas), expected)
    from_torch = independent_iou(torch.full((3,), 0.05), torch.from_numpy(areas))
    assert_close(from_torch, torch.tensor(expected, dtype=torch.float32), equal_nan=True)
    assert independent_iou(np.array([0.0, 1.0]), 0.2).tolist() == [0, 0.2]
    assert np.isnan(independent_iou(0.5, 0.0))


def test_areas_are_shares_of_one_kind():
    with pytest.raises(SettingError, match=r"true_area must be in \[0, 1\], got 1.5"):
        independent_iou(0.5, 1.5)
    with pytest.raises(SettingError, match=r"pred_area must be in"):
        independent_iou(float("nan"), 0.5)
    with pytest.raises(ArrayTypeError, match="areas must be all NumPy arrays or all torch"):
        independent_iou(np.array([0.1]), torch.tensor([0.1]))


@given(st.floats(-2, 2), st.floats(-1, 0.5), st.floats(0.6, 2))
def test_skill_is_the_share_of_the_gain(share, low, best):
    score = low + share * (best - low)
    assert skill(score, low, best) == pytest.approx(share, abs=1e-9)


def test_skill_is_0_for_the_baseline_and_1_for_the_best():
    scores = np.array([0.2, 1.0, 0.6, 0.0, np.nan])
    np.testing.assert_allclose(skill(scores, 0.2), [0, 1, 0.5, -0.25, np.nan])
    assert skill(3.0, baseline=12.0, best=0.0) == 0.75  # a distance
    assert np.isnan(skill(0.5, baseline=1.0))
    paired = skill(torch.tensor([0.5, 0.5]), torch.tensor([0.0, 0.25]), torch.tensor([1.0, 0.25]))
    assert_close(paired, torch.tensor([0.5, float("nan")]), equal_nan=True)
    with pytest.raises(ArrayTypeError, match="scores must be all NumPy arrays or all torch"):
        skill(scores, torch.zeros(5))

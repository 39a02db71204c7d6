"""Relevance mass under its other names, and with the sign: loops, laws, the grid pointing game."""

import itertools

import numpy as np
import pytest
import torch
from evaluations import small_network
from hypothesis import given
from hypothesis import strategies as st
from strategies import maps as drawn_maps

from cameval import CAMExtractor, Preparation, cam, evaluate, grad_cam, relevance_mass_accuracy
from cameval._memo import memo
from cameval.data import MosaicDataset, Sample
from cameval.errors import ArrayTypeError, ShapeError
from cameval.evaluation import label_of
from cameval.metrics import dual_polarity_precision, energy_pointing_game, grid_pointing_game

METRICS = (energy_pointing_game, grid_pointing_game, dual_polarity_precision)


@st.composite
def maps_and_masks(draw):
    one_map = draw(drawn_maps(dtype=torch.float64))
    bits = draw(st.lists(st.booleans(), min_size=one_map.numel(), max_size=one_map.numel()))
    return one_map, torch.tensor(bits).reshape(one_map.shape)


def by_pixels(one_map, truth):
    """Add up the four sums, pixel by pixel."""
    sums = {(sign, inside): 0.0 for sign in (1, -1) for inside in (True, False)}
    for at in np.ndindex(tuple(one_map.shape)):
        value = one_map[at].item()
        sums[1 if value > 0 else -1, bool(truth[at])] += abs(value)
    return sums


@given(maps_and_masks())
def test_the_three_are_sums_over_pixels(pair):
    one_map, truth = pair
    sums = by_pixels(one_map, truth)
    positive, total = sums[1, True] + sums[1, False], sum(sums.values())
    energy, game, dual = (metric(one_map, truth).item() for metric in METRICS)
    np.testing.assert_equal(energy, relevance_mass_accuracy(one_map, truth).item())
    if not truth.any():
        assert np.isnan([energy, game, dual]).all()
        return
    expected = sums[1, True] / positive if positive else np.nan
    assert energy == pytest.approx(expected, rel=1e-6, nan_ok=True)
    assert game == pytest.approx(0.0 if np.isnan(expected) else expected, rel=1e-6)
    both = (sums[1, True] + sums[-1, False]) / total if total else np.nan
    assert dual == pytest.approx(both, rel=1e-6, nan_ok=True)


@given(maps_and_masks(), st.floats(0.1, 10))
def test_dual_polarity_obeys_its_laws(pair, scale):
    one_map, truth = pair
    if not truth.any() or not one_map.any():
        return
    score = dual_polarity_precision(one_map, truth).item()
    assert dual_polarity_precision(-one_map, truth).item() == pytest.approx(1 - score, abs=1e-6)
    scaled = dual_polarity_precision(scale * one_map, truth).item()
    assert scaled == pytest.approx(score, abs=1e-6)
    rectified = one_map.clamp(min=0)
    expected = relevance_mass_accuracy(one_map, truth)
    torch.testing.assert_close(dual_polarity_precision(rectified, truth), expected, equal_nan=True)


@pytest.mark.parametrize("metric", METRICS)
def test_kinds_batches_and_errors(metric):
    maps = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    truth = torch.rand(2, 3, 4, 5, generator=torch.Generator().manual_seed(1)) > 0.5
    scores = metric(maps, truth)
    assert scores.shape == (2, 3)
    found = metric(maps.numpy(), truth.numpy())
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, scores, rtol=1e-6)
    assert isinstance(metric(maps[0, 0].numpy(), truth[0, 0].numpy()), np.floating)
    with memo():
        assert torch.equal(metric(maps, truth), scores)
        assert torch.equal(metric(maps, truth), scores)
    whole = metric((10 * maps).to(torch.int8), truth)
    torch.testing.assert_close(whole, metric((10 * maps).trunc(), truth))
    with pytest.raises(ArrayTypeError, match="target must be boolean"):
        metric(maps, maps)
    with pytest.raises(ShapeError, match="one shape"):
        metric(maps, truth[0])


def test_each_has_a_label_of_its_own():
    names = ["energy_pointing_game", "grid_pointing_game", "dual_polarity_precision"]
    assert [label_of(metric) for metric in METRICS] == names


def pictures(count=9, side=16):
    """Make images of three classes, each with a color and a texture of its own."""
    rng = np.random.default_rng(3)
    made = []
    for k in range(count):
        image = rng.random((side, side, 3), dtype=np.float32) / 2
        image[..., k % 3] += 0.5
        made.append(Sample(f"image {k}", image, np.zeros((side, side), bool), label=k % 3))
    return made


@pytest.mark.parametrize("method", [cam, grad_cam])
def test_the_grid_pointing_game_is_a_loop_over_cells(method):
    """Of a network of our own, with maps that are upsampled and cut by hand."""
    network, made = small_network(), {one.name: one for one in pictures()}
    mosaics = MosaicDataset(list(made.values()), grid=(1, 3), seed=4)
    prepare = Preparation(size=None, mean=(0.5,) * 3, std=(0.25,) * 3)
    results = evaluate(
        network,
        mosaics,
        methods=method,
        metrics=[grid_pointing_game, energy_pointing_game],
        baselines={},
        classes="true",
        task="multiclass",
        prepare=prepare,
        progress=False,
    )
    scores = []
    for names in mosaics.names:
        row = np.concatenate([made[name].image for name in names], 1)
        image = (torch.from_numpy(row).movedim(-1, 0)[None] - 0.5) / 0.25
        for k, name in enumerate(names):
            wanted = torch.tensor([made[name].label])
            positive = CAMExtractor(network, method)(image, wanted).maps[0].clamp(min=0)
            inside = positive[:, 16 * k : 16 * (k + 1)].sum()
            scores.append((inside / positive.sum()).item() if positive.any() else 0.0)
    table = results.select(metric="grid_pointing_game")
    np.testing.assert_allclose(table.values[:, 0], scores, rtol=1e-5)
    assert table.summary()["mean"].item() == pytest.approx(np.mean(scores))
    assert table.summary()["n_groups"].item() == len(mosaics)
    energy = results.select(metric="energy_pointing_game").values[:, 0]
    defined = ~np.isnan(energy)
    np.testing.assert_array_equal(energy[defined], table.values[defined, 0])
    assert (table.values[~defined, 0] == 0).all()


def test_a_uniform_map_scores_the_share_of_a_cell():
    for rows, columns in itertools.product((1, 2, 3), (2, 4)):
        cell = torch.zeros(6 * rows, 5 * columns, dtype=torch.bool)
        cell[:6, 5:10] = True
        score = grid_pointing_game(torch.ones(cell.shape), cell)
        assert score.item() == pytest.approx(1 / (rows * columns))

"""Faithfulness: hand-computed toys, naive loops, exact removal under ties, and nothing changed."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import trapezoid
from scipy.ndimage import correlate1d
from small_networks import CLASSES, pictures, small, some_classes
from strategies import maps as drawn_maps
from strategies import masks
from torch import nn

from cameval import CAMExtractor, grad_cam, normalize_maps
from cameval._memo import memo
from cameval.errors import (
    ArrayTypeError,
    ClassIndexError,
    NonFiniteError,
    SettingError,
    ShapeError,
)
from cameval.metrics._network import in_evaluation_mode
from cameval.metrics.faithfulness import (
    ADCC,
    average_drop,
    average_gain,
    coherency,
    complexity,
    increase_in_confidence,
)
from cameval.metrics.perturbation import Deletion, Insertion, pixel_ranks
from cameval.metrics.properties import takes
from cameval.metrics.road import ROAD, noisy_linear_imputation

CUTS = ["pooled", "curved", "inner"]
EXTRACT = CAMExtractor(small("curved"), grad_cam)
METRICS = {
    "average_drop": average_drop,
    "increase_in_confidence": increase_in_confidence,
    "average_gain": average_gain,
    "deletion": Deletion(steps=7, batch_size=5),
    "insertion": Insertion(steps=7, batch_size=5, kernel_size=3, sigma=1.0),
    "road": ROAD(batch_size=5),
    "adcc": ADCC(EXTRACT),
}
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())


def some_maps(count=3, seed=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 11, 14, dtype=torch.float64, generator=generator)


def linear(weights):
    """Give class 0 the probability sum(weights * image), for images of one channel."""
    weights = torch.tensor(weights, dtype=torch.float64)

    def network(images):
        share = (images[:, 0].double() * weights).sum((1, 2))
        return torch.stack([share, 1 - share], 1).clamp(min=1e-300).log()

    return network


ROW = linear([[0.4, 0.3, 0.2, 0.1]])
ONES = torch.ones(1, 1, 1, 4)
FIRST = torch.tensor([0])


def probability(network, images, classes):
    logits = network(images).detach()
    return logits.softmax(1)[torch.arange(len(images)), classes]


# --- What is left when only the marked part is shown --------------------------------------------


@pytest.mark.parametrize("cut", CUTS)
def test_the_three_are_the_formulas_of_two_probabilities(cut):
    network, images, maps, classes = small(cut), pictures(cut), some_maps(), some_classes()
    low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    part = images * ((maps - low) / (high - low))[:, None]
    y, o = (probability(network, shown, classes) for shown in (images, part))
    given = network, images, maps, classes
    expected = torch.clamp(y - o, min=0) / y
    torch.testing.assert_close(average_drop(*given).double(), expected, rtol=1e-5, atol=1e-7)
    expected = torch.clamp(o - y, min=0) / (1 - y)
    torch.testing.assert_close(average_gain(*given).double(), expected, rtol=1e-5, atol=1e-7)
    assert increase_in_confidence(*given).tolist() == (o > y).double().tolist()


def test_drop_and_gain_by_hand():
    maps = torch.tensor([[[5.0, 3.0, 1.0, 1.0]]])  # scaled: 1, 1/2, 0, 0
    image = 0.8 * ONES
    y, o = 0.8, 0.8 * (0.4 + 0.15)
    assert average_drop(ROW, image, maps, FIRST).item() == pytest.approx((y - o) / y)
    assert average_gain(ROW, image, maps, FIRST).item() == 0
    assert increase_in_confidence(ROW, image, maps, FIRST).item() == 0
    second = torch.tensor([1])
    assert average_drop(ROW, image, maps, second).item() == 0
    assert average_gain(ROW, image, maps, second).item() == pytest.approx((y - o) / y)
    assert increase_in_confidence(ROW, image, maps, second).item() == 1


@pytest.mark.parametrize("size", [50.0, 2000.0])
def test_probabilities_that_round_to_zero_or_one_still_divide(size):
    def network(images):
        return torch.stack([images.sum((1, 2, 3)), 0 * images.sum((1, 2, 3))], 1)

    image, maps = torch.tensor([[[[size, size]]]]), torch.tensor([[[1.0, 0.0]]])
    lost = 1 - math.exp(-size)  # of class 1 the part keeps far more: nothing is lost
    assert average_gain(network, image, maps, FIRST).item() == 0
    assert average_drop(network, image, maps, torch.tensor([1])).item() == 0
    assert average_drop(network, -image, maps, FIRST).item() == 0
    assert average_gain(network, -image, maps, torch.tensor([1])).item() == 0
    assert average_gain(network, -image, maps, FIRST).item() == pytest.approx(
        math.exp(-size), rel=1e-5
    )
    assert average_drop(network, image, 1 - maps, FIRST).item() == pytest.approx(
        math.exp(-size), abs=1e-6
    )
    towards = torch.tensor([[[[-size, 2 * size]]]])  # only the second pixel helps
    assert average_gain(network, towards, 1 - maps, FIRST).item() == pytest.approx(lost)


def test_one_logit_tells_two_classes():
    def one(images):
        return images.mean((2, 3))

    def two(images):
        return torch.cat([torch.zeros(len(images), 1), one(images)], 1)

    images = torch.randn(4, 1, 2, 3, generator=torch.Generator().manual_seed(0))
    maps, classes = images[:, 0].abs(), torch.tensor([0, 1, 1, 0])
    for metric in (average_gain, average_drop, increase_in_confidence):
        found = metric(one, images, maps, classes)
        torch.testing.assert_close(found, metric(two, images, maps, classes))
    assert (average_gain(one, images, maps, classes) > 0).any()


def test_a_constant_map_leaves_nothing_of_the_image():
    network, images, classes = small("curved"), pictures("curved"), some_classes()
    y, o = (probability(network, x, classes) for x in (images, 0 * images))
    found = average_drop(network, images, 0 * some_maps() + 3, classes).double()
    torch.testing.assert_close(found, (y - o).clamp(min=0) / y, rtol=1e-5, atol=1e-7)


def test_inside_memo_the_network_runs_once_on_images_and_masked_images():
    network, images, maps, classes = (
        small("pooled"),
        pictures("pooled"),
        some_maps(),
        some_classes(),
    )
    seen = []

    def counting(shown):
        seen.append(shown)
        return network(shown)

    metrics = [average_drop, increase_in_confidence, average_gain, ADCC(EXTRACT)]
    alone = [metric(counting, images, maps, classes) for metric in metrics]
    assert len(seen) == 8
    seen.clear()
    with memo():
        together = [metric(counting, images, maps, classes) for metric in metrics]
        assert len(seen) == 2
        average_drop(counting, images, -maps, classes)
        assert len(seen) == 3
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one, other)


# --- Deletion and insertion ---------------------------------------------------------------------


def test_deletion_by_hand():
    best, worst = torch.tensor([[[4.0, 3, 2, 1]]]), torch.tensor([[[1.0, 2, 3, 4]]])
    # The curves are 1, .6, .3, .1, 0 and 1, .9, .7, .4, 0.
    metric = Deletion(steps=4)
    assert metric(ROW, ONES, best, FIRST).item() == pytest.approx(0.375)
    assert metric(ROW, ONES, worst, FIRST).item() == pytest.approx(0.625)
    assert Deletion(steps=2)(ROW, ONES, best, FIRST).item() == pytest.approx(0.4)
    assert Deletion(steps=2)(ROW, ONES, worst, FIRST).item() == pytest.approx(0.6)
    assert Deletion(steps=1)(ROW, ONES, best, FIRST).item() == pytest.approx(0.5)
    assert Deletion(steps=99)(ROW, ONES, best, FIRST).item() == pytest.approx(0.375)
    fractions, curve = metric.curve(ROW, ONES, best, FIRST)
    assert fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
    torch.testing.assert_close(curve[0], torch.tensor([1, 0.6, 0.3, 0.1, 0]).double())
    half = Deletion(steps=4, fill=0.5)(ROW, ONES, best, FIRST).item()
    assert half == pytest.approx(0.375 / 2 + 0.5)


def test_steps_that_do_not_divide_the_pixels_weigh_their_own_width():
    fractions, curve = Deletion(steps=3).curve(ROW, ONES, torch.tensor([[[4.0, 3, 2, 1]]]), FIRST)
    assert fractions.tolist() == [0, 0.25, 0.5, 1]
    torch.testing.assert_close(curve[0], torch.tensor([1, 0.6, 0.3, 0]).double())
    area = Deletion(steps=3)(ROW, ONES, torch.tensor([[[4.0, 3, 2, 1]]]), FIRST).item()
    assert area == pytest.approx(0.25 * 0.8 + 0.25 * 0.45 + 0.5 * 0.15)


def test_insertion_by_hand():
    image = torch.tensor([[[[1.0, 0, 0, 0]]]])
    metric = Insertion(steps=4, kernel_size=3, sigma=1e9)  # the mean of three pixels
    blurred = torch.tensor([[2 / 3, 1 / 3, 0, 0]]).double()  # the border is repeated
    fractions, curve = metric.curve(ROW, image, torch.tensor([[[4.0, 3, 2, 1]]]), FIRST)
    values = [(blurred[0, 0] * 0.4 + blurred[0, 1] * 0.3).item(), 0.4 + 0.1, 0.4, 0.4, 0.4]
    torch.testing.assert_close(curve[0], torch.tensor(values).double(), rtol=1e-6, atol=1e-7)
    assert fractions.tolist() == [0, 0.25, 0.5, 0.75, 1]
    area = sum((a + b) / 8 for a, b in pairwise(values))
    score = metric(ROW, image, torch.tensor([[[4.0, 3, 2, 1]]]), FIRST)
    assert score.item() == pytest.approx(area, rel=1e-6)


def naive_curve(network, start, end, one_map, of_class, steps):
    """Change one pixel after the other, for one image and a map without ties."""
    pixels = sorted(np.ndindex(one_map.shape), key=lambda at: -one_map[at].item())
    now, found = start.clone(), []
    for count in range(len(pixels) + 1):
        if count:
            y, x = pixels[count - 1]
            now[:, y, x] = end[:, y, x]
        if count in [step * len(pixels) // steps for step in range(steps + 1)]:
            found.append((count / len(pixels), probability(network, now[None], of_class).item()))
    return found


@pytest.mark.parametrize("cut", CUTS)
def test_both_are_the_naive_loop(cut):
    network, images, maps, classes = small(cut), pictures(cut), some_maps(), some_classes()
    weights = np.exp(-(np.arange(-5, 6) ** 2) / 50)
    blurred = images.numpy()
    for axis in (2, 3):
        blurred = correlate1d(blurred, weights / weights.sum(), axis=axis, mode="nearest")
    for metric, starts, ends in (
        (Deletion(steps=9, batch_size=4, fill=0.3), images, torch.full_like(images, 0.3)),
        (Insertion(steps=9, batch_size=64), torch.from_numpy(blurred), images),
    ):
        fractions, curves = metric.curve(network, images, maps, classes)
        scores = metric(network, images, maps, classes)
        for i in range(len(images)):
            naive = naive_curve(network, starts[i], ends[i], maps[i], classes[i : i + 1], 9)
            x, y = zip(*naive, strict=True)
            np.testing.assert_allclose(fractions, x)
            np.testing.assert_allclose(curves[i], y, rtol=1e-10)
            assert scores[i].item() == pytest.approx(trapezoid(y, x), rel=1e-6)


# --- The order of tied pixels -------------------------------------------------------------------


@given(drawn_maps(), st.integers(0, 3))
def test_ranks_are_a_permutation_that_never_passes_a_higher_pixel(one_map, seed):
    ranks = pixel_ranks(one_map[None], seed)[0]
    assert sorted(ranks.flatten().tolist()) == list(range(one_map.numel()))
    in_order = one_map.flatten()[ranks.flatten().argsort()]
    assert (in_order.diff() <= 0).all()


@given(drawn_maps(shape=(3, 4, 5)), st.integers(0, 3))
def test_ranks_do_not_depend_on_the_batch(maps, seed):
    together = pixel_ranks(maps, seed)
    alone = torch.cat([pixel_ranks(one[None], seed) for one in maps])
    assert torch.equal(together, alone)


def test_sixty_percent_zeros_are_removed_in_part_and_favor_no_side():
    maps = torch.zeros(1, 10, 20)
    maps[:, :4] = torch.arange(80.0, 0, -1).reshape(1, 4, 20)  # 40 % of the pixels
    for count in (20, 60, 80, 100, 140):
        removed = pixel_ranks(maps, seed=0) < count
        assert removed.sum() == count
        assert removed[:, :4].sum() == min(count, 80)
    halves = []
    for seed in range(40):  # 60 of the 120 zeros go: 30 of them from the left on average
        removed = pixel_ranks(maps, seed) < 140
        halves.append(removed[0, 4:, :10].sum().item())
    assert len(set(halves)) > 3
    assert abs(np.mean(halves) - 30) < 1.5


def test_a_constant_map_scores_the_mean_of_random_orders():
    metric = [Deletion(steps=4, seed=seed) for seed in range(60)]
    scores = [each(ROW, ONES, 0 * ONES[0], FIRST).item() for each in metric]
    assert np.mean(scores) == pytest.approx(0.5, abs=0.04)  # the expectation of all orders
    assert {round(score, 6) for score in scores} != {0.5}


# --- ROAD ---------------------------------------------------------------------------------------


def dense_imputation(image, removed):
    """Solve the same mean-of-neighbors equations over all pixels, known ones included."""
    height, width = removed.shape
    pixels = list(np.ndindex(height, width))
    matrix, right = np.zeros((len(pixels),) * 2), np.zeros((len(pixels), len(image)))
    for row, (y, x) in enumerate(pixels):
        matrix[row, row] = 1
        if not removed[y, x]:
            right[row] = image[:, y, x]
            continue
        weights = {}
        for other in pixels:
            far = abs(other[0] - y) + abs(other[1] - x)
            if max(abs(other[0] - y), abs(other[1] - x)) == 1:
                weights[other] = {1: 1 / 6, 2: 1 / 12}[far]
        for other, weight in weights.items():
            matrix[row, pixels.index(other)] -= weight / sum(weights.values())
    return np.linalg.solve(matrix, right).T.reshape(image.shape)


@given(masks().filter(lambda removed: not removed.all()), st.integers(0, 5))
def test_imputation_solves_the_dense_system(removed, seed):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(2, *removed.shape, dtype=torch.float64, generator=generator)
    found = noisy_linear_imputation(image[None], removed[None], noise=0.0)[0]
    np.testing.assert_allclose(found, dense_imputation(image.numpy(), removed.numpy()), atol=1e-9)
    assert torch.equal(found[:, ~removed], image[:, ~removed])


def test_noise_is_seeded_small_and_the_same_for_every_image():
    images, removed = torch.rand(3, 2, 30, 30), torch.rand(3, 30, 30) < 0.6
    filled = noisy_linear_imputation(images, removed, noise=0.0)
    noisy = noisy_linear_imputation(images, removed, noise=0.1, seed=4)
    assert torch.equal(noisy, noisy_linear_imputation(images, removed, noise=0.1, seed=4))
    assert not torch.equal(noisy, noisy_linear_imputation(images, removed, noise=0.1, seed=5))
    alone = [
        noisy_linear_imputation(images[i : i + 1], removed[i : i + 1], noise=0.1, seed=4)
        for i in range(3)
    ]
    assert torch.equal(noisy, torch.cat(alone))
    noise = noisy - filled
    for image, mask in zip(noise, removed, strict=True):
        assert not image[:, ~mask].any()
        assert image[:, mask].std().item() == pytest.approx(0.1, rel=0.1)
    both = removed[0] & removed[1]
    torch.testing.assert_close(noise[0][:, both], noise[1][:, both], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("cut", CUTS)
def test_road_is_the_naive_loop(cut):
    network, images, maps, classes = small(cut), pictures(cut), some_maps(), some_classes()
    metric = ROAD(percentiles=(10, 35, 90), noise=0.05, seed=2, batch_size=4)
    most, least = metric.curves(network, images, maps, classes)
    scores = metric(network, images, maps, classes)
    pixels = maps[0].numel()
    for i in range(len(images)):
        order, terms = maps[i].flatten().argsort(descending=True), []
        for j, percent in enumerate((10, 35, 90)):
            count, pair = round(percent / 100 * pixels), []
            for chosen in (order[:count], order[pixels - count :]):
                gone = torch.zeros(pixels, dtype=torch.bool)
                gone[chosen] = True
                gone = gone.reshape(1, *maps[i].shape)
                filled = noisy_linear_imputation(images[i : i + 1], gone, noise=0.05, seed=2)
                pair.append(probability(network, filled, classes[i : i + 1]).item())
            assert [most[i, j].item(), least[i, j].item()] == pytest.approx(pair, rel=1e-9)
            terms.append((pair[1] - pair[0]) / 2)
        assert scores[i].item() == pytest.approx(np.mean(terms), rel=1e-5, abs=1e-8)


def test_road_turns_its_sign_with_the_map_and_removes_tied_pixels_by_number():
    network, images, classes = small("curved"), pictures("curved"), some_classes()
    maps = some_maps()
    given = network, images, maps, classes
    turned = ROAD(percentiles=(30, 70))(network, images, -maps, classes)
    torch.testing.assert_close(ROAD(percentiles=(30, 70))(*given), -turned, rtol=1e-5, atol=1e-7)
    shares = []

    def counting(shown):
        shares.extend(((shown - images[:1]) != 0).any(1).double().mean((1, 2)).tolist())
        return network(shown)

    rectified = (maps[:1] - maps[:1].flatten().quantile(0.6)).clamp(min=0)
    assert (rectified == 0).double().mean() > 0.59
    ROAD(percentiles=(10, 30, 50))(counting, images[:1], rectified, classes[:1])
    expected = [round(percent / 100 * 154) / 154 for percent in (10, 30, 50)] * 2
    assert shares == pytest.approx(expected)


def test_road_keeps_at_least_one_pixel():
    metric = ROAD(percentiles=(99.9,), noise=0.0)
    image = torch.tensor([[[[0.9, 0.2, 0.3, 0.4]]]])
    most, least = metric.curves(ROW, image, torch.tensor([[[4.0, 3, 2, 1]]]), FIRST)
    assert (most.item(), least.item()) == pytest.approx((0.4, 0.9))
    score = metric(ROW, ONES[..., :1, :1] * 0 + 1, torch.ones(1, 1, 1), FIRST)
    assert score.item() == 0


# --- ADCC ---------------------------------------------------------------------------------------


def test_adcc_is_the_harmonic_mean_of_its_terms():
    network, images, classes = EXTRACT.model, pictures("curved", 6), some_classes(6)
    maps = EXTRACT(images, classes).maps
    again = EXTRACT(images * normalize_maps(maps)[:, None], classes).maps
    drop = average_drop(network, images, maps, classes).tolist()
    scores = ADCC(EXTRACT)(network, images, maps, classes).tolist()
    for i, score in enumerate(scores):
        if maps[i].min() == maps[i].max() or again[i].min() == again[i].max():
            assert score == 0
            continue
        r = np.corrcoef(maps[i].flatten(), again[i].flatten())[0, 1]
        scaled = (maps[i] - maps[i].min()) / (maps[i].max() - maps[i].min())
        terms = [(r + 1) / 2, 1 - scaled.mean().item(), 1 - drop[i]]
        assert score == pytest.approx(3 / sum(1 / term for term in terms), rel=1e-4)
        assert min(terms) <= score <= max(terms)
    assert sum(score > 0 for score in scores) >= 3


class Returning:
    """Return the same maps for everything."""

    def __init__(self, maps):
        self.maps = maps

    def __call__(self, images, classes):
        """Return what has maps."""
        return self


def test_adcc_is_zero_where_a_term_is():
    best = torch.tensor([[[4.0, 3, 2, 1]]])
    assert ADCC(Returning(-best))(ROW, ONES, best, FIRST).item() < 1e-6  # coherency
    assert ADCC(Returning(best))(ROW, ONES, 0 * best, FIRST).item() == 0  # a constant map
    blind = linear([[1.0, 0.0, 0.0, 0.0]])
    assert ADCC(Returning(-best))(blind, ONES, -best, FIRST).item() < 1e-6  # drop of everything


def test_volumes_are_masked_as_a_whole():
    network, volumes, classes = small("volumes"), pictures("volumes"), some_classes()
    extract = CAMExtractor(network)
    maps = extract(volumes, classes).maps
    low, high = maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
    masked = volumes * ((maps - low) / (high - low))[:, None]
    whole, part = (
        network(shown).detach().softmax(1).gather(1, classes[:, None])[:, 0]
        for shown in (volumes, masked)
    )
    expected = ((whole - part) / whole).clamp(min=0)
    drops = average_drop(network, volumes, maps, classes).double()
    torch.testing.assert_close(drops, expected, atol=1e-6, rtol=0)
    again = extract(masked, classes).maps
    scores = ADCC(extract)(network, volumes, maps, classes).tolist()
    for i, score in enumerate(scores):
        r = np.corrcoef(maps[i].flatten(), again[i].flatten())[0, 1]
        size = ((maps[i] - low[i]) / (high[i] - low[i])).mean().item()
        terms = [(r + 1) / 2, 1 - size, 1 - expected[i].item()]
        assert score == pytest.approx(3 / sum(1 / term for term in terms), rel=1e-4)
    with pytest.raises(ShapeError, match="extract must return maps of shape"):
        ADCC(Returning(maps[:, 0]))(network, volumes, maps, classes)
    for metric in (Deletion(steps=3), Insertion(steps=3)):
        with pytest.raises(ShapeError, match="this metric is not defined for volumes"):
            metric(network, volumes, maps, classes)


@given(drawn_maps(dtype=torch.float64), st.floats(0.1, 10), st.floats(-5, 5))
def test_coherency_and_complexity(one_map, scale, offset):
    flat = (one_map == one_map.flatten()[0]).all()
    up, down = coherency(one_map, scale * one_map + offset), coherency(one_map, -one_map)
    assert up.item() == pytest.approx(0 if flat else 1, abs=1e-6)
    assert down.item() == pytest.approx(0, abs=1e-6)
    size = complexity(one_map)
    assert 0 <= size < 1
    assert complexity(scale * one_map + offset) == pytest.approx(size.item(), abs=1e-5)
    assert complexity(-one_map).item() == pytest.approx(0 if flat else 1 - size.item(), abs=1e-6)


def test_coherency_is_the_correlation_and_keeps_the_kind():
    maps, again = some_maps().numpy(), some_maps(seed=6).numpy()
    found = coherency(maps, again)
    assert isinstance(found, np.ndarray)
    pearson = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps, again, strict=True)]
    np.testing.assert_allclose(found, (np.array(pearson) + 1) / 2)
    assert isinstance(complexity(maps), np.ndarray)
    with pytest.raises(ArrayTypeError, match="maps and again must both be"):
        coherency(maps, torch.zeros(3, 11, 14))
    with pytest.raises(ShapeError, match="maps and again must have one shape"):
        coherency(maps, again[:2])
    with pytest.raises(NonFiniteError, match="again must be finite"):
        coherency(maps, again * np.nan)


# --- All of them --------------------------------------------------------------------------------


@every_metric
def test_they_are_metrics_of_the_network(metric):
    assert takes(metric) == "network"


@every_metric
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_batch_is_its_images_one_by_one(metric, dtype):
    network = small("curved").to(dtype)
    images, maps = pictures("curved", 4).to(dtype), some_maps(4).to(dtype)
    classes = some_classes(4)
    if isinstance(metric, ADCC):
        metric = ADCC(CAMExtractor(network))
    together = metric(network, images, maps, classes)
    assert together.shape == (4,)
    assert together.dtype == torch.get_default_dtype()
    alone = [
        metric(network, images[i : i + 1], maps[i : i + 1], classes[i : i + 1]) for i in range(4)
    ]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-6)


@every_metric
def test_no_images_give_no_scores(metric):
    network, images, maps = small("curved"), pictures("curved"), some_maps()
    if isinstance(metric, ADCC):
        metric = ADCC(Returning(maps[:0]))
    assert metric(network, images[:0], maps[:0], some_classes(0)).shape == (0,)


@every_metric
def test_a_seed_repeats_and_scores_stay_in_their_range(metric):
    given = small("curved"), pictures("curved"), some_maps().round(), some_classes()
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = metric(*given)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(metric(*given), first)
    low, high = (-0.5, 0.5) if isinstance(metric, ROAD) else (0, 1)
    assert ((first >= low) & (first <= high)).all()


def state(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def normalized():
    """Make a network that would learn, and forget, by being shown images while it trains."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, CLASSES),
    ).double()


@every_metric
def test_a_network_in_training_mode_is_run_in_evaluation_mode_and_not_changed(metric):
    network = normalized().train()
    before = state(network)
    given = pictures("curved"), some_maps(), some_classes()
    images = given[0].clone()
    training = metric(network, *given)
    assert all(module.training for module in network.modules())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(given[0], images)
    assert torch.equal(training, metric(network.eval(), *given))


class Failing(nn.Module):
    """Fail once the statistics have been seen."""

    def __init__(self):
        super().__init__()
        self.net = normalized()

    def forward(self, images):
        """Raise."""
        self.net(images)
        raise RuntimeError("in the middle")


@every_metric
def test_a_failure_leaves_the_network_as_it_was(metric):
    network = Failing().train()
    before = state(network)
    with pytest.raises(RuntimeError, match="in the middle"):
        metric(network, pictures("curved"), some_maps(), some_classes())
    assert all(module.training for module in network.modules())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_network_runs_without_a_graph_also_on_inference_tensors():
    grads = []

    def network(images):
        grads.append((torch.is_grad_enabled(), images.requires_grad))
        return small("curved")(images)

    given = pictures("curved"), some_maps(), some_classes()
    with torch.inference_mode():
        frozen = tuple(each.clone() for each in given)
        found = [metric(network, *frozen) for metric in METRICS.values()]
    for metric, score in zip(METRICS.values(), found, strict=True):
        live = given[0].clone().requires_grad_()
        again = metric(network, live, given[1], given[2])
        assert torch.equal(again, score)
        assert not again.requires_grad
    assert set(grads) == {(False, False)}


@every_metric
def test_wrong_arguments_are_named(metric):
    network, images, maps, classes = (
        small("curved"),
        pictures("curved"),
        some_maps(),
        some_classes(),
    )
    cases = [
        (ArrayTypeError, "images must be a torch tensor", (images.numpy(), maps, classes)),
        (ArrayTypeError, "maps must be a torch tensor", (images, maps.numpy(), classes)),
        (ArrayTypeError, "classes must be a torch tensor", (images, maps, [0, 1, 2])),
        (ArrayTypeError, "images must be floating-point", (images.long(), maps, classes)),
        (ArrayTypeError, "classes must be integers", (images, maps, classes.double())),
        (ShapeError, r"images must have shape \(N, channels", (images[0], maps[:1], classes[:1])),
        (ShapeError, r"\(3, 11, 14\), got \(3, 7, 7\)", (images, maps[:, :7, :7], classes)),
        (ShapeError, r"\(3, 11, 14\), got \(1, 11, 14\)", (images, maps[:1], classes)),
        (ShapeError, r"classes must have shape \(3,\)", (images, maps, classes[:1])),
        (ClassIndexError, r"in \[0, 4\), got 4", (images, maps, classes + 2)),
        (ClassIndexError, "got -1", (images, maps, classes - 1)),
        (NonFiniteError, "maps must be finite", (images, maps / 0, classes)),
        (NonFiniteError, "images must be finite", (images * torch.nan, maps, classes)),
    ]
    for error, words, arguments in cases:
        with pytest.raises(error, match=words):
            metric(network, *arguments)


def test_a_network_that_returns_no_finite_logits_is_named():
    given = ONES, ONES[0], FIRST
    with pytest.raises(NonFiniteError, match="logits must be finite"):
        average_drop(lambda images: images.mean((2, 3)) / 0, *given)
    with pytest.raises(ShapeError, match=r"logits \(N, K\) for 1 images, got \(1, 1, 1, 4\)"):
        average_drop(lambda images: images, *given)
    with pytest.raises(ShapeError, match="got tuple"):
        average_drop(lambda images: (images,), *given)


def test_only_a_network_that_trains_is_copied():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert in_evaluation_mode(net.eval()) is net
    assert in_evaluation_mode(net.forward) == net.forward
    copy = in_evaluation_mode(net.train())
    assert copy is not net
    assert not any(module.training for module in copy.modules())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Deletion(steps=0), "steps must be a positive integer, got 0"),
        (lambda: Deletion(batch_size=2.0), "batch_size must be a positive integer"),
        (lambda: Deletion(fill=math.nan), "fill must be finite"),
        (lambda: Insertion(steps=-1), "steps must be"),
        (lambda: Insertion(batch_size=0), "batch_size must be"),
        (lambda: Insertion(kernel_size=4), "kernel_size must be odd, got 4"),
        (lambda: Insertion(sigma=0), "sigma must be positive"),
        (lambda: ROAD(percentiles=()), "percentiles must be one or more"),
        (lambda: ROAD(percentiles=(0, 50)), r"in \(0, 100\)"),
        (lambda: ROAD(percentiles=(50, 100)), r"in \(0, 100\)"),
        (lambda: ROAD(noise=-1), "noise must be finite and not negative"),
        (lambda: ROAD(batch_size=0), "batch_size must be"),
        (lambda: ADCC("cam"), "extract must be callable"),
        (
            lambda: noisy_linear_imputation(ONES, ONES[:, 0] < 0, noise=math.inf),
            "noise must be finite",
        ),
    ],
)
def test_settings_out_of_range_are_named(make, words):
    with pytest.raises(SettingError, match=words):
        make()


def test_imputation_names_what_is_wrong():
    removed = torch.zeros(1, 1, 4, dtype=torch.bool)
    with pytest.raises(ArrayTypeError, match="images must be a floating-point"):
        noisy_linear_imputation(ONES.long(), removed)
    with pytest.raises(ArrayTypeError, match="removed must be boolean"):
        noisy_linear_imputation(ONES, removed.float())
    with pytest.raises(ShapeError, match="images and removed must have shapes"):
        noisy_linear_imputation(ONES, removed[..., :3])
    with pytest.raises(ShapeError, match="at least one pixel"):
        noisy_linear_imputation(ONES, ~removed)


@pytest.mark.parametrize(
    "metric",
    [Deletion(steps=5, batch_size=4), Insertion(steps=5, batch_size=4), ROAD(batch_size=4)],
)
def test_no_batch_is_larger_than_asked_for(metric):
    network, sizes = small("curved"), []

    def counting(images):
        sizes.append(len(images))
        return network(images)

    metric(counting, pictures("curved"), some_maps(), some_classes())
    assert max(sizes) == 4
    assert sum(sizes) == 3 * (8 if isinstance(metric, ROAD) else 6)


def test_a_network_that_answers_always_the_same_gains_and_loses_nothing():
    def network(images):
        return torch.tensor([[0.3, -0.2, 1.1]], dtype=torch.float64).expand(len(images), 3)

    given = network, pictures("pooled"), some_maps(), some_classes() % 3
    for metric in (increase_in_confidence, average_drop, average_gain):
        assert metric(*given).tolist() == [0, 0, 0]


def test_a_constant_map_coheres_with_none():
    flat, varied = torch.full((1, 3, 4), 2.0), torch.arange(12.0).reshape(1, 3, 4)
    assert coherency(flat, varied).tolist() == [0]
    assert coherency(varied, flat).tolist() == [0]
    assert coherency(flat, flat).tolist() == [0]
    assert coherency(varied, varied).tolist() == [1]

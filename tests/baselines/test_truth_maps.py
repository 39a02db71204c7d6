"""The truth on a coarse grid: pooling against sampled points, bounds against every mask."""

from itertools import islice, product

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import distance_transform_edt
from strategies import mask_pairs, masks
from torch.nn.functional import adaptive_avg_pool2d, interpolate
from torch.testing import assert_close

from cameval import iou
from cameval.baselines import (
    area_bound,
    center_map,
    grid_bound,
    reachable_iou,
    truth_baseline,
    truth_map,
)
from cameval.baselines._pooling import pool
from cameval.baselines.bounds import _climb
from cameval.baselines.truth_maps import _order_by_depth
from cameval.binarizers import (
    AdaptiveBinarizer,
    FractionOfMaxBinarizer,
    MeanBinarizer,
    MeanSDBinarizer,
    MedianBinarizer,
    OtsuBinarizer,
    PercentileBinarizer,
    TopAreaBinarizer,
)
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.maps import CellCenters, upsample
from cameval.metrics import false_positive_rate, marked_area, max_iou
from cameval.protocols import BaselineInput

NAN = float("nan")
grids = st.tuples(st.integers(1, 4), st.integers(1, 4))
places = st.none() | st.builds(
    CellCenters,
    offset=st.integers(-8, 24).map(lambda eighths: eighths / 8),
    stride=st.integers(2, 24).map(lambda eighths: eighths / 8),
)


def centers(length: int, cells: int, cell_centers: CellCenters | None) -> np.ndarray:
    """Return the positions of cells along an axis of an image."""
    if cell_centers is None:
        return (np.arange(cells) + 0.5) * length / cells
    return cell_centers.offset + cell_centers.stride * np.arange(cells)


def best_of_all_unions(truth, owner):
    """Try every set of cells; `owner` tells each pixel's."""
    names = np.unique(owner)
    best = 0.0
    for chosen in product([False, True], repeat=len(names)):
        marked = np.isin(owner, names[np.array(chosen)])
        if (marked | truth).any():
            best = max(best, (marked & truth).sum() / (marked | truth).sum())
    return best


# --- Pooling --------------------------------------------------------------------------------------


@given(masks(), grids, places)
def test_a_cell_holds_the_share_of_the_points_nearest_to_it(truth, cells, cell_centers):
    fine = 420  # points in a pixel; every border of even cells falls between two of them
    shares = []
    for length, count in zip(truth.shape, cells, strict=True):
        points = (np.arange(length * fine) + 0.5) / fine
        distance = np.abs(points[:, None] - centers(length, count, cell_centers))
        member = distance.argmin(1)[:, None] == np.arange(count)
        share = member.reshape(length, fine, count).sum(1).astype(float)
        for cell in np.flatnonzero(share.sum(0) == 0):  # it lies beyond the image
            share[0 if centers(length, count, cell_centers)[cell] < length / 2 else -1, cell] = 1
        shares.append(share / share.sum(0))
    expected = shares[0].T @ truth.double().numpy() @ shares[1]
    np.testing.assert_allclose(pool(truth, cells, cell_centers), expected, atol=0.02)


@given(grids, grids, st.integers(0, 99))
def test_pooling_to_whole_blocks_is_average_pooling(cells, block, seed):
    size = (2, cells[0] * block[0], cells[1] * block[1])
    truth = torch.rand(size, generator=torch.Generator().manual_seed(seed)) < 0.4
    assert_close(pool(truth, cells), adaptive_avg_pool2d(truth.double(), cells))


@given(masks(), grids)
def test_even_cells_keep_the_area(truth, cells):
    assert_close(pool(truth, cells).mean(), truth.double().mean())


@given(masks(), grids)
def test_even_cells_are_a_place_like_any_other(truth, cells):
    side = max(truth.shape)
    square = torch.zeros(side, side, dtype=torch.bool)
    square[: truth.shape[0], : truth.shape[1]] = truth
    stride = side / cells[0]
    cell_centers = CellCenters(stride / 2, stride)
    assert_close(pool(square, (cells[0],) * 2, cell_centers), pool(square, (cells[0],) * 2))
    assert_close(
        truth_map(square, (cells[0],) * 2, cell_centers=cell_centers),
        truth_map(square, (cells[0],) * 2),
    )


@given(masks(), grids, places.filter(bool))
def test_places_are_in_pixels_of_the_image(truth, cells, cell_centers):
    doubled = CellCenters(2 * cell_centers.offset, 2 * cell_centers.stride)
    image_size = (2 * truth.shape[0], 2 * truth.shape[1])
    assert_close(
        truth_map(truth, cells, cell_centers=doubled, image_size=image_size),
        truth_map(truth, cells, cell_centers=cell_centers),
    )
    assert_close(
        grid_bound(truth, cells, cell_centers=doubled, image_size=image_size),
        grid_bound(truth, cells, cell_centers=cell_centers),
        equal_nan=True,
    )


# --- Truth maps -----------------------------------------------------------------------------------


@given(masks(), grids, places)
def test_the_truth_map_is_upsampled_as_maps_are(truth, cells, cell_centers):
    shares = pool(truth, cells, cell_centers)
    scores = truth_map(truth, cells, cell_centers=cell_centers)
    assert scores.dtype == torch.float64
    low = upsample(shares, tuple(truth.shape), cell_centers=cell_centers)
    high = upsample(
        shares + 0.01 * (shares > 1 - 1e-9), tuple(truth.shape), cell_centers=cell_centers
    )
    assert ((scores > low - 1e-9) & (scores < high + 1e-9)).all()
    if (shares < 1 - 1e-9).all():
        assert_close(scores, low, atol=1e-11, rtol=0)


@given(masks((8, 8)), st.sampled_from([(2, 2), (4, 4), (8, 8), (4, 2)]))
def test_cells_inside_the_truth_are_told_apart_and_no_others_change(truth, cells):
    shares = pool(truth, cells)
    inside, ordered = shares == 1, _order_by_depth(shares)
    assert len(ordered[inside].unique()) == inside.sum()
    assert torch.equal(ordered[~inside], shares[~inside])
    assert (ordered[inside] > 1).all()


def test_the_deepest_cell_is_the_highest():
    truth = torch.zeros(70, 70, dtype=torch.bool)
    truth[10:60, 20:70] = True  # 5 x 5 cells, the middle one of them has three around it
    coarse = _order_by_depth(pool(truth, (7, 7)))
    assert divmod(coarse.argmax().item(), 7) == (3, 4)
    rings = [coarse[3 - k : 4 + k, 4 - k : 5 + k].amin().item() for k in range(3)]
    assert rings[0] == pytest.approx(1.01)
    assert rings == sorted(rings, reverse=True)
    assert rings[2] > 1 > coarse[0].amax()


def order_by_scipy(inside):
    """Return the rank of each cell inside, 1 for the deepest, by SciPy's distances; 0 elsewhere."""
    ranks = np.zeros(inside.shape, int)
    where = np.argwhere(inside)
    if len(where):
        deep = distance_transform_edt(np.pad(inside, 1))[(slice(1, -1),) * inside.ndim][inside]
        off_center = np.square(where - where.mean(0)).sum(1)
        ranks[tuple(where[np.lexsort((off_center, -deep))].T)] = np.arange(1, len(where) + 1)
    return ranks


@pytest.mark.parametrize("shape", [(5, 7), (1, 9), (14, 14), (3, 5, 4)])
def test_depth_is_the_distance_to_the_nearest_cell_outside_or_to_the_edge(shape):
    drawn = np.random.default_rng(0).random((60, *shape))
    inside = drawn < np.linspace(0, 1, 60).reshape(-1, *[1] * len(shape))
    inside[0], inside[-1] = False, True
    ordered = _order_by_depth(torch.from_numpy(inside).double(), len(shape)).numpy()
    for cells, values in zip(inside, ordered, strict=True):
        ranks, count = order_by_scipy(cells), cells.sum()
        expected = np.where(cells, 1 + 0.01 * np.sqrt((count + 1 - ranks) / max(count, 1)), 0)
        assert np.array_equal(values, expected)


def test_on_a_grid_of_pixels_the_truth_map_is_the_truth():
    truth = torch.rand(3, 6, 5, generator=torch.Generator().manual_seed(0)) < 0.5
    assert torch.equal(truth_map(truth, (6, 5)).floor().bool(), truth)
    assert reachable_iou(truth, (6, 5)).tolist() == [1, 1, 1]
    assert grid_bound(truth, (6, 5)).tolist() == [1, 1, 1]


def test_the_cells_of_a_resnet_reach_to_the_ends_of_the_image():
    truth = torch.zeros(1, 96, dtype=torch.bool)
    truth[:, 90:] = True  # beyond the window of 32 pixels around the last center, 64.5
    cell_centers = CellCenters(0.5, 32)
    assert_close(pool(truth, (1, 3), cell_centers)[0], torch.tensor([0, 0, 6 / 47.5]).double())
    truth = torch.arange(96)[None] < 10
    assert_close(pool(truth, (1, 3), cell_centers)[0], torch.tensor([10 / 16.5, 0, 0]).double())


def test_the_truth_map_of_a_batch_lies_where_the_maps_lie():
    truth = torch.zeros(2, 48, 48, dtype=torch.bool)
    truth[0, :8, :8] = truth[1, 30:, 20:31] = True
    for cell_centers in (None, CellCenters(0.5, 32)):
        batch = BaselineInput(
            [], torch.zeros(2, 3, 96, 96), truth, torch.tensor([0, 1]), (3, 3), cell_centers
        )
        expected = truth_map(truth, (3, 3), cell_centers=cell_centers, image_size=(96, 96))
        assert torch.equal(truth_baseline(batch), expected)
    corner = truth_baseline(batch)[0].flatten().argmax()
    assert corner == 0  # the first cell of such a network lies in the corner


# --- What a grid can reach ------------------------------------------------------------------------


@given(masks(min_true=1), grids, places)
def test_no_union_of_cells_is_above_the_grid_bound(truth, cells, cell_centers):
    while cells[0] * cells[1] > 9:  # 512 unions
        cells = (cells[0] - 1, cells[1] - 1)
    nearest = []
    for length, count in zip(truth.shape, cells, strict=True):
        position = (np.arange(length) + 0.5)[:, None]
        distance = np.abs(position - centers(length, count, cell_centers)).round(9)
        nearest.append(count - 1 - distance[:, ::-1].argmin(1))  # between two cells: the second
    owner = nearest[0][:, None] * cells[1] + nearest[1]
    expected = best_of_all_unions(truth.numpy(), owner)
    assert grid_bound(truth, cells, cell_centers=cell_centers).item() == pytest.approx(
        expected, abs=1e-6
    )


@given(masks(min_true=1), grids, places)
def test_without_steps_the_reachable_iou_is_that_of_the_truth_map(truth, cells, cell_centers):
    scores = truth_map(truth, cells, cell_centers=cell_centers)
    ious = [iou(scores >= value, truth).item() for value in scores.unique()]
    found = reachable_iou(truth, cells, cell_centers=cell_centers, steps=0).item()
    assert found == pytest.approx(max(ious))


@given(masks(min_true=1), grids, places, st.sampled_from([1, 7, 30]))
def test_steps_never_lower_what_the_grid_reaches(truth, cells, cell_centers, steps):
    start = reachable_iou(truth, cells, cell_centers=cell_centers, steps=0)
    found = reachable_iou(truth, cells, cell_centers=cell_centers, steps=steps)
    assert start <= found <= 1


@given(masks(min_true=1), grids, places)
def test_a_grid_reaches_no_less_than_marking_everything(truth, cells, cell_centers):
    area = truth.double().mean().item()
    for reached in (grid_bound, reachable_iou):
        score = reached(truth, cells, cell_centers=cell_centers).item()
        assert area - 1e-6 <= score <= 1
    assert grid_bound(truth, (1, 1), cell_centers=cell_centers).item() == pytest.approx(area)


@given(masks((12, 12), min_true=1), st.sampled_from([(1, 2), (1, 3), (2, 4), (3, 6), (4, 12)]))
def test_finer_cells_raise_the_grid_bound(truth, cells):
    coarse, fine = ((count, count) for count in cells)
    assert grid_bound(truth, fine) >= grid_bound(truth, coarse) - 1e-6


@pytest.mark.parametrize("cell_centers", [None, CellCenters(0.5, 9)])
def test_what_the_ascent_finds_is_the_iou_of_a_map_on_these_cells(cell_centers):
    y, x = torch.meshgrid(torch.arange(56), torch.arange(56), indexing="ij")
    truth = torch.stack([(y - a) ** 2 + (x - 31) ** 2 < a for a in (20, 25, 33)])
    *_, coarse = _climb(truth, (7, 7), 60, cell_centers, None)
    assert coarse.shape == (3, 7, 7)
    reached = max_iou(upsample(coarse, (56, 56), cell_centers=cell_centers), truth)
    assert (reachable_iou(truth, (7, 7), cell_centers=cell_centers, steps=60) >= reached).all()
    drawn = reachable_iou(truth, (7, 7), cell_centers=cell_centers, steps=0)
    assert (reached > drawn + 0.1).all()  # the truth drawn on the grid is no bound from above


def test_the_slope_of_the_ascent_is_that_of_the_soft_iou():
    truth = torch.rand(2, 9, 8, generator=torch.Generator().manual_seed(0)) < 0.4
    first, _ = islice(_climb(truth, (3, 4), 40, None, None), 2)
    coarse = (2 * pool(truth, (3, 4)) - 1).float().requires_grad_()
    climber = torch.optim.Adam([coarse], lr=0.2)
    for step in range(20):  # by autograd
        fine = interpolate(coarse[:, None], (9, 8), mode="bilinear")[:, 0]
        soft = (2 * 25 ** (step / 40) * fine).sigmoid()
        both = (soft * truth).sum((-2, -1))
        score = both / (soft.sum((-2, -1)) + truth.sum((-2, -1)) - both)
        climber.zero_grad()
        (-score.sum()).backward()
        climber.step()
    assert_close(first, coarse.detach(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [-1, 1.5, True, "100", None])
def test_steps_are_a_number_of_steps(steps):
    with pytest.raises(SettingError, match="steps must be an integer of at least 0, got"):
        reachable_iou(torch.ones(4, 4, dtype=torch.bool), (2, 2), steps=steps)


def test_worked_examples():
    truth = torch.tensor([[True, True, True, False]])
    assert grid_bound(truth, (1, 2)).item() == 0.75
    # Shares 1 and 1/2 become 1, 7/8, 5/8, 1/2: the first three pixels are the truth.
    assert reachable_iou(truth, (1, 2), steps=0).item() == 1
    middle = torch.tensor([[False, True, True, False]])
    assert grid_bound(middle, (1, 2)).item() == 0.5
    assert 0.5 <= reachable_iou(middle, (1, 2)).item() <= 2 / 3 + 1e-6  # of all maps of two cells
    shifted = CellCenters(
        0, 2
    )  # cells at 0 and 2: two pixels around 2 and beyond belong to the second
    assert grid_bound(middle, (1, 2), cell_centers=shifted).item() == pytest.approx(2 / 3)


@pytest.mark.parametrize("reached", [grid_bound, reachable_iou])
def test_with_an_empty_truth_there_is_nothing_to_reach(reached):
    truth = torch.stack([torch.zeros(4, 4), torch.ones(4, 4)]).bool()
    assert_close(reached(truth, (2, 2)), torch.tensor([NAN, 1]), equal_nan=True)
    assert truth_map(truth, (2, 2))[0].count_nonzero() == 0


@pytest.mark.parametrize("reached", [grid_bound, reachable_iou])
def test_axes_in_front_and_kinds_of_arrays_are_kept(reached):
    truth = torch.rand(2, 3, 8, 9, generator=torch.Generator().manual_seed(0)) < 0.3
    scores = reached(truth, (2, 3))
    assert scores.shape == (2, 3)
    one = torch.stack([reached(mask, (2, 3)) for mask in truth.flatten(0, 1)])
    assert_close(scores.flatten(), one)
    from_numpy = reached(truth.numpy(), (2, 3))
    assert from_numpy.dtype == np.float64
    np.testing.assert_allclose(from_numpy, scores, rtol=1e-6)
    assert isinstance(truth_map(truth.numpy(), (2, 3)), np.ndarray)


@pytest.mark.parametrize("function", [truth_map, grid_bound, reachable_iou])
def test_masks_and_sizes_are_checked(function):
    truth = torch.ones(4, 4, dtype=torch.bool)
    with pytest.raises(ArrayTypeError, match=r"truth must be boolean, got torch\.float32"):
        function(truth.float(), (2, 2))
    with pytest.raises(ShapeError, match="truth must have shape"):
        function(truth[0], (2, 2))
    with pytest.raises(ShapeError, match=r"truth must be volumes \(..., D, H, W\)"):
        function(truth, (2, 2, 2))
    for cells in ((0, 2), (2,), 2, (2, 2, 2, 2), (2, 2.0)):
        with pytest.raises(SettingError, match="cells must be a pair of positive integers"):
            function(truth, cells)
    with pytest.raises(SettingError, match="image_size must be a pair of positive integers"):
        function(truth, (2, 2), image_size=(8,))


@given(mask_pairs(min_true=1))
def test_no_mask_is_above_its_area_bound(pair):
    pred, truth = pair
    assert iou(pred, truth) <= area_bound(pred, truth)
    p, g = pred.sum().item(), truth.sum().item()
    assert area_bound(pred, truth).item() == pytest.approx(min(p, g) / max(p, g))


# --- What is called an upper bound ----------------------------------------------------------------

SIZE = (224, 224)
Y, X = torch.meshgrid(torch.arange(224), torch.arange(224), indexing="ij")
ONE_THRESHOLD = {
    "mean": MeanBinarizer(),
    "median": MedianBinarizer(),
    **{f"p{q}": PercentileBinarizer(q) for q in (75, 90, 95, 98)},
    "otsu": OtsuBinarizer(),
    "mean + 2 sd": MeanSDBinarizer(2),
    "20 % of the maximum": FractionOfMaxBinarizer(0.2),
    "5 % of the area": TopAreaBinarizer(0.05),
}
BINARIZERS = {**ONE_THRESHOLD, "adaptive": AdaptiveBinarizer()}


def disc(y, x, radius):
    return (Y - y).square() + (X - x).square() < radius**2


def square(top, left, side):
    return ((Y - top).clamp(0, side - 1) == Y - top) & ((X - left).clamp(0, side - 1) == X - left)


SHAPES = torch.stack(
    [
        *(square(top, left, 128) for top, left in ((48, 48), (0, 0), (91, 17), (96, 96))),
        *(disc(y, x, 70) for y, x in ((112, 112), (100, 130), (75, 75), (147, 90))),
        *(disc(y, x, 96) for y, x in ((112, 112), (100, 119))),
        *(square(20, 30, 180), disc(112, 112, 120), Y >= 0, square(0, 0, 112)),
    ]
)
SMALL_SHAPES = torch.stack(
    [disc(60, 150, 9), disc(111, 111, 14), square(180, 5, 20), square(3, 3, 3)]
)


def pets(folder):
    """Return the middle squares of the masks of photographs, on 224 x 224 pixels."""
    found = []
    for path in sorted((folder / "data" / "pets" / "masks").iterdir()):
        mask = torch.from_numpy(np.array(Image.open(path).convert("L")))
        mask, side = mask > mask.max() / 2, min(mask.shape)
        top, left = ((length - side) // 2 for length in mask.shape)
        middle = mask[top : top + side, left : left + side]
        index = (torch.arange(224) + 0.5) * side / 224
        found.append(middle[index.long()][:, index.long()])
    return torch.stack(found)


def tumors(folder):
    """Return a sixth of the masks of slices, on 224 x 224 pixels."""
    with h5py.File(folder / "data" / "figshare" / "slices_224.h5") as packed:
        bits = np.unpackbits(packed["mask_packbits"][::6], axis=1)
    return torch.from_numpy(bits.reshape(-1, *SIZE).astype(bool))


@pytest.fixture(scope="module", params=["shapes", "pets", "tumors"])
def truths(request):
    """Return all masks at hand of one kind."""
    if request.param == "shapes":
        return torch.cat([SHAPES, SMALL_SHAPES])
    return {"pets": pets, "tumors": tumors}[request.param](request.getfixturevalue("shared_data"))


def blind_maps(truths):
    """Return maps that know nothing of their image: centers, corners, chance, and the mean."""
    wide, draw = center_map((448, 448)), torch.Generator().manual_seed(0)
    corners = [wide[y : y + 224, x : x + 224] for y in (0, 60, 224) for x in (0, 164, 224)]
    chance = [upsample(torch.rand(7, 7, generator=draw), SIZE) for _ in range(3)]
    squeezed = torch.exp(-((X - 112) / 30.0).square() - ((Y - 112) / 70.0).square())
    return torch.stack(
        [center_map(SIZE), squeezed, *corners, *chance, truths.double().mean(0).float()]
    )


def test_no_blind_mask_is_above_its_area_bound(truths):
    for binarize in BINARIZERS.values():
        for mask in binarize(blind_maps(truths)):
            masks_ = mask.expand(truths.shape)
            assert (iou(masks_, truths) <= area_bound(masks_, truths)).all()


def test_no_threshold_is_above_the_bound_of_its_map(truths):
    some = truths[:: max(1, len(truths) // 20)]
    for scores in blind_maps(truths):
        bound = max_iou(scores.expand(some.shape), some)
        for binarize in ONE_THRESHOLD.values():
            assert (iou(binarize(scores[None]).expand(some.shape), some) <= bound).all()


@pytest.mark.parametrize("cells", [(7, 7), (13, 13), (28, 28)])
def test_no_blind_mask_of_whole_cells_is_above_the_grid_bound(truths, cells):
    bound = grid_bound(truths, cells)
    rows, columns = (((torch.arange(224) + 0.5) * count / 224).long() for count in cells)
    for scores in blind_maps(truths):
        coarse = interpolate(scores[None, None], cells, mode="area")[0]
        for binarize in ONE_THRESHOLD.values():
            mask = binarize(coarse)[0][rows][:, columns]
            assert (iou(mask.expand(truths.shape), truths) <= bound + 1e-6).all()


@pytest.mark.parametrize("cells", [(7, 7), (13, 13), (28, 28)])
@pytest.mark.parametrize("percentile", [95, 98])
def test_a_percentile_of_the_truth_map_has_its_area_inside_the_truth(cells, percentile):
    binarize = PercentileBinarizer(percentile)
    drawn, blind = binarize(truth_map(SHAPES, cells)), binarize(blind_maps(SHAPES))
    share = marked_area(drawn, SHAPES)
    assert_close(share, torch.full_like(share, 1 - percentile / 100), atol=1e-4, rtol=0)
    assert (false_positive_rate(drawn, SHAPES).nan_to_num() == 0).all()
    for mask in blind:
        masks_ = mask.expand(SHAPES.shape)
        assert (iou(drawn, SHAPES) >= iou(masks_, SHAPES)).all()


@pytest.mark.parametrize(("cells", "least"), [((7, 7), 0.99), ((13, 13), 0.995), ((28, 28), 0.999)])
def test_on_large_masks_the_truth_map_is_near_the_area_bound(truths, cells, least):
    large = truths[truths.double().mean((1, 2)) > 0.1]
    if not len(large):
        pytest.skip("no mask here covers a tenth of its image")
    drawn = PercentileBinarizer(95)(truth_map(large, cells))
    assert iou(drawn, large).mean() >= least * area_bound(drawn, large).mean()

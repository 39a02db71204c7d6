"""Boxes and box metrics against flood fill, torchvision, and worked examples."""

from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import maps, mask_pairs, masks, shapes
from torch.testing import assert_close
from torchvision.ops import box_iou as torchvision_box_iou

from cameval.data import Objects
from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.metrics.boxes import (
    box_intersections,
    box_iou,
    box_precision,
    component_boxes,
    largest_box,
    pairwise_box_iou,
)
from cameval.metrics.dataset import MaxBoxAcc, PxAP

METRICS = [box_iou, box_precision]
every_metric = pytest.mark.parametrize("metric", METRICS)
NAN = float("nan")
connectivities = st.sampled_from([4, 8])


def drawn(*rows):
    """Mask whose true pixels are drawn as #."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def flood(mask, connectivity):
    """Components as sets of pixels, found by walking, largest first, then row by row."""
    left = {(y, x) for y, x in product(*map(range, mask.shape)) if mask[y, x]}
    components = []
    while left:
        component, edge = set(), [min(left)]
        while edge:
            y, x = edge.pop()
            if (y, x) in left:
                left.remove((y, x))
                component.add((y, x))
                steps = product((-1, 0, 1), repeat=2)
                edge += [(y + i, x + j) for i, j in steps if connectivity == 8 or not i * j]
        components.append(component)
    return sorted(components, key=lambda pixels: (-len(pixels), min(pixels)))


def hull(component):
    ys, xs = zip(*component, strict=True)
    return min(xs), min(ys), max(xs) + 1, max(ys) + 1


def inside(box):
    """Pixels of a box."""
    x0, y0, x1, y1 = box
    return set(product(range(y0, y1), range(x0, x1)))


def naive_iou(first, second):
    return len(inside(first) & inside(second)) / len(inside(first) | inside(second))


def naive_precision(first, second):
    return len(inside(first) & inside(second)) / len(inside(first))


@st.composite
def boxes(draw):
    """Boxes of at least one pixel."""
    rows = draw(st.lists(st.tuples(*[st.integers(0, 6)] * 4), max_size=4))
    ends = np.array(rows, np.int64).reshape(-1, 2, 2)
    return np.concatenate([ends.min(1), ends.max(1) + 1], 1)


# Boxes of masks


def test_boxes_are_half_open_columns_before_rows_and_the_largest_first():
    mask = drawn("#.....", "...##.", "...###", "......")
    assert component_boxes(mask).tolist() == [[3, 1, 6, 3], [0, 0, 1, 1]]
    assert largest_box(mask).tolist() == [3, 1, 6, 3]


def test_corners_connect_unless_told_otherwise():
    mask = drawn("#..", ".#.", ".#.")
    assert component_boxes(mask).tolist() == [[0, 0, 2, 3]]
    assert component_boxes(mask, connectivity=4).tolist() == [[1, 1, 2, 3], [0, 0, 1, 1]]


def test_of_equal_components_the_first_row_by_row_is_the_largest():
    mask = drawn("..#..", "..#..", "#...#", "#...#")
    assert component_boxes(mask).tolist() == [[2, 0, 3, 2], [0, 2, 1, 4], [4, 2, 5, 4]]


@given(masks(), connectivities)
def test_components_are_those_of_a_walk(mask, connectivity):
    expected = [list(hull(each)) for each in flood(mask, connectivity)]
    assert component_boxes(mask, connectivity).tolist() == expected
    assert largest_box(mask, connectivity).tolist() == (expected or [[0] * 4])[0]


def test_a_snake_is_one_component():
    turns = ["#######", "......#", "#######", "#......"] * 5
    assert component_boxes(drawn(*turns), connectivity=4).tolist() == [[0, 0, 7, 20]]


@given(masks(min_true=1), st.integers(0, 3), st.integers(0, 3))
def test_boxes_move_with_their_mask(mask, down, right):
    moved = torch.nn.functional.pad(mask, (right, 2, down, 1))
    shift = torch.tensor([right, down, right, down])
    assert torch.equal(component_boxes(moved), component_boxes(mask) + shift)


def test_boxes_are_of_the_masks_kind_and_keep_leading_axes():
    mask = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0)) > 0.6
    found = largest_box(mask)
    assert (found.shape, found.dtype) == ((2, 3, 4), torch.int64)
    assert found[1, 2].tolist() == component_boxes(mask[1, 2])[0].tolist()
    array = largest_box(mask.numpy())
    assert isinstance(array, np.ndarray)
    np.testing.assert_array_equal(array, found)
    assert largest_box(mask[:0]).shape == (0, 3, 4)
    assert component_boxes(np.zeros((2, 2), bool)).shape == (0, 4)
    assert component_boxes(torch.zeros(2, 2, dtype=torch.bool)).shape == (0, 4)


def test_boxes_want_boolean_masks_and_a_known_connectivity():
    mask = np.ones((1, 2, 2), bool)
    with pytest.raises(ShapeError, match=r"mask must have shape \(H, W\), got \(1, 2, 2\)"):
        component_boxes(mask)
    with pytest.raises(ArrayTypeError, match="mask must be boolean"):
        component_boxes(mask[0].astype(float))
    with pytest.raises(ArrayTypeError, match="masks must be boolean"):
        largest_box(mask.astype(int))
    for measure in (largest_box, partial(box_iou, mask), partial(MaxBoxAcc.of, mask * 1.0)):
        with pytest.raises(SettingError, match="connectivity must be 4 or 8, got 6"):
            measure(mask, connectivity=6)


# Arithmetic of boxes


@given(boxes(), boxes())
def test_pairs_of_boxes_are_sets_of_pixels_and_torchvisions(first, second):
    areas = [[len(inside(one) & inside(two)) for two in second] for one in first]
    shape = len(first), len(second)
    np.testing.assert_array_equal(
        box_intersections(first, second), np.array(areas, int).reshape(shape)
    )
    reference = torchvision_box_iou(torch.tensor(first).double(), torch.tensor(second).double())
    np.testing.assert_allclose(pairwise_box_iou(first, second), reference, rtol=1e-15)
    np.testing.assert_allclose(
        pairwise_box_iou(second, first), pairwise_box_iou(first, second).T, rtol=1e-15
    )


def test_boxes_that_touch_share_nothing_and_boxes_without_area_score_nothing():
    square, beside, flat = [0, 0, 2, 2], [2, 0, 4, 2], [1, 1, 1, 1]
    assert box_intersections(np.array([square]), np.array([beside, flat])).tolist() == [[0, 0]]
    assert pairwise_box_iou(np.array([flat]), np.array([flat, square])).tolist() == [[0, 0]]


def test_boxes_broadcast_keep_their_kind_and_do_not_overflow():
    first = torch.tensor([[[0, 0, 4, 4]], [[0, 0, 2, 2]]])
    second = torch.tensor([[0, 0, 2, 4], [0, 0, 1, 1], [5, 5, 6, 6]])
    areas = box_intersections(first, second)
    assert areas.tolist() == [[[8, 1, 0]], [[4, 1, 0]]]
    assert areas.dtype == torch.int64
    scores = pairwise_box_iou(first, second)
    assert scores.dtype == torch.get_default_dtype()
    assert_close(scores, torch.tensor([[[1 / 2, 1 / 16, 0]], [[1 / 2, 1 / 4, 0]]]))
    whole = np.array([[0, 0, 255, 255]], np.uint8)
    assert box_intersections(whole, whole).item() == 255**2
    assert box_intersections(whole.astype(np.float16), whole / 2.0).item() == 127.5**2
    large = np.array([[0, 0, 60000, 60000]], np.uint16)
    assert pairwise_box_iou(large, large).item() == 1


def test_boxes_that_are_none_are_refused():
    box = np.array([[0, 0, 2, 2]])
    with pytest.raises(ShapeError, match=r"boxes must have shape \(..., n, 4\), or .*got \(4,\)"):
        box_intersections(box[0], box)
    with pytest.raises(ShapeError, match=r"got \(1, 3\)"):
        pairwise_box_iou(box, box[:, :3])
    for wrong in (np.array([[5, 5, 2, 9]]), np.array([[5, 5, 9, 2]]), np.array([[0, NAN, 1, 1]])):
        with pytest.raises(ShapeError, match="pass two corners, not a corner and a size"):
            pairwise_box_iou(box, wrong)
    with pytest.raises(ArrayTypeError, match="boxes must be two NumPy arrays or two torch"):
        box_intersections(box, torch.from_numpy(box))
    with pytest.raises(ArrayTypeError, match="boxes must hold real numbers"):
        box_intersections(box, box > 0)


# Metrics of masks


def test_the_box_of_the_largest_component_meets_the_best_box_of_the_truth():
    pred = drawn("#.....", "..##..", "..##..", "......")
    target = drawn("######", "..#...", "......", ".....#")
    assert box_iou(pred, target) == 2 / 14  # 6 x 2 and 2 x 2 share 2 of 14 pixels
    assert box_precision(pred, target) == 2 / 4
    several = drawn("######", "......", "..##..", "....#.")
    assert box_iou(pred, several, connectivity=4) == 2 / 4
    assert box_precision(pred, several, connectivity=4) == 2 / 4
    assert box_iou(pred, several) == 2 / 8  # its lower two touch at a corner


@given(mask_pairs(min_true=1), connectivities)
def test_scores_are_those_of_sets_of_pixels(pair, connectivity):
    pred, target = (flood(mask, connectivity) for mask in pair)
    for metric, naive in ((box_iou, naive_iou), (box_precision, naive_precision)):
        best = max(naive(hull(pred[0]), hull(true)) for true in target) if pred else 0
        arrays = (mask.numpy() for mask in pair)
        assert metric(*arrays, connectivity=connectivity) == pytest.approx(best, rel=1e-15)


@given(masks(min_true=1))
def test_the_truth_itself_is_perfect(mask):
    assert box_iou(mask, mask) == box_precision(mask, mask) == 1


@given(mask_pairs(min_true=1))
def test_the_precision_is_no_less_than_the_iou(pair):
    assert box_iou(*pair) <= box_precision(*pair)


SOME, NONE, ALL = ([True, False], [False, False], [True, True])


@pytest.mark.parametrize(
    ("pred", "target", "expected"),
    [  # box_iou, box_precision
        (NONE, NONE, [NAN, NAN]),
        (SOME, NONE, [NAN, NAN]),
        (ALL, NONE, [NAN, NAN]),
        (NONE, SOME, [0, 0]),
        (ALL, SOME, [0.5, 0.5]),
        (NONE, ALL, [0, 0]),
        (SOME, ALL, [0.5, 1]),
        (ALL, ALL, [1, 1]),
        (SOME, SOME, [1, 1]),
        ([False, True], SOME, [0, 0]),
    ],
)
def test_edge_cases(pred, target, expected):
    scores = [metric(np.array([pred]), np.array([target])) for metric in METRICS]
    np.testing.assert_array_equal(scores, expected)


@every_metric
def test_a_batch_is_scored_image_by_image_whatever_its_axes(metric):
    pred, target = torch.rand(2, 6, 5, 4, generator=torch.Generator().manual_seed(1)) > 0.7
    pred[0], target[1] = False, False
    expected = torch.stack([metric(*pair) for pair in zip(pred, target, strict=True)])
    assert_close(metric(pred, target), expected, rtol=0, atol=0, equal_nan=True)
    assert_close(metric(pred.mT, target.mT), expected, rtol=0, atol=0, equal_nan=True)
    folded = metric(pred.reshape(2, 3, 5, 4), target.reshape(2, 3, 5, 4))
    assert_close(folded, expected.reshape(2, 3), rtol=0, atol=0, equal_nan=True)
    assert metric(pred[:0], target[:0]).shape == (0,)
    scores = metric(pred.numpy(), target.numpy())
    assert (type(scores), scores.dtype) == (np.ndarray, np.float64)
    np.testing.assert_allclose(scores, expected, rtol=1e-7)
    assert isinstance(metric(pred[0].numpy(), target[0].numpy()), np.float64)


@every_metric
def test_only_boolean_masks_of_one_shape_and_kind_are_scored(metric):
    mask = torch.eye(3, dtype=torch.bool)
    with pytest.raises(ShapeError, match=r"got \(3, 3\) and \(2, 3\)"):
        metric(mask, mask[:2])
    with pytest.raises(ArrayTypeError, match="pred must be boolean"):
        metric(mask.float(), mask)
    with pytest.raises(ArrayTypeError, match="both be NumPy arrays or both torch tensors"):
        metric(mask, mask.numpy())


# Box accuracy of a dataset

STAIRS = np.array([[0.0, 2.0, 4.0, 1.0]])  # scaled: 0, .5, 1, .25
TWO = np.array([[False, True, True, False]])


def test_the_iou_of_a_staircase_rises_and_falls():
    steps = MaxBoxAcc.of(STAIRS, TWO, thresholds=[0, 0.25, 0.3, 0.5, 0.6, 1])
    assert steps.largest.tolist() == [[2 / 4, 2 / 3, 1, 1, 1 / 2, 1 / 2]]
    assert steps.any_box.tolist() == steps.largest.tolist()
    assert steps.curve(0.7).tolist() == [0, 0, 1, 1, 0, 0]
    assert steps.best_threshold(0.7) == 0.3
    assert steps.accuracy_at(0.6, 0.5) == 1
    assert steps.accuracy_at(0.6, 0.51) == 0


def test_two_images_share_one_threshold():
    sharp = np.array([[0.0, 10.0, 9.0, 1.0]])  # right from .1 + to .9
    soft = np.array([[0.0, 1.0, 20.0, 0.0]])  # right up to .05
    both = MaxBoxAcc.of(np.stack([sharp, soft]), np.stack([TWO, TWO]))
    assert both.max_box_acc(0.9) == 0.5
    assert both.best_threshold(0.9) == 0.01
    assert both.max_box_acc(0.3) == 1
    assert both.max_box_acc(0.5) == 1
    assert both.max_box_acc_v2((0.5, 0.9)) == 0.75
    assert both.max_box_acc_v2() == np.mean([1, 1, 0.5])
    assert both.images == 2


def test_the_second_version_takes_whichever_component_fits():
    maps = np.array([[5.0, 5.0, 5.0, 0.0, 5.0]])
    mask = np.array([[False, False, False, False, True]])
    accuracy = MaxBoxAcc.of(maps, mask)
    assert accuracy.max_box_acc(0.5) == 0
    assert accuracy.max_box_acc_v2() == 1
    assert accuracy.accuracy_at(0.5, any_box=True) == 1
    assert accuracy.best_threshold(0.5, any_box=True) == 0.01
    assert accuracy.accuracy_at(0, 0.2, any_box=True) == accuracy.accuracy_at(0, 0.2) == 1


def test_each_delta_of_the_second_version_has_its_own_threshold():
    wide = MaxBoxAcc.of(STAIRS, TWO, thresholds=[0.0, 1.0])
    narrow = MaxBoxAcc.of(
        np.array([[0.0, 0.0, 0.0, 1.0]]), np.array([[False, False, False, True]]), thresholds=[0, 1]
    )
    both = wide + narrow  # IoU .5, .25 at 0 and .5, 1 at 1
    assert both.max_box_acc_v2((0.2, 0.7)) == (1 + 0.5) / 2
    assert both.best_threshold(0.2, any_box=True) == 0
    assert both.best_threshold(0.7, any_box=True) == 1


def test_the_scaled_map_meets_the_printed_thresholds():
    tenths = np.arange(11.0)[None]
    for k in range(11):
        mask = tenths >= k
        for scale in (1.0, 3.0, -7.0):
            maps = (tenths if scale > 0 else tenths[:, ::-1]) * scale + 5
            assert MaxBoxAcc.of(maps, mask).accuracy_at(k / 10, 1) == 1


def naive_accuracy(image, mask, threshold, connectivity):
    span = image.max() - image.min()
    if span == 0:
        return 0.0, 0.0
    marked = flood((image - image.min()) / span >= threshold, connectivity)
    true = [hull(each) for each in flood(mask, connectivity)]
    best = [max(naive_iou(hull(each), box) for box in true) for each in marked]
    return best[0], max(best)


@given(st.data(), connectivities)
def test_overlaps_are_those_of_thresholding_again(data, connectivity):
    shape = data.draw(shapes())
    image = data.draw(maps(shape, torch.float64)).numpy()
    mask = data.draw(masks(shape, min_true=1)).numpy()
    grid = [0, 0.1, 0.25, 0.5, 0.51, 0.9, 1]
    accuracy = MaxBoxAcc.of(image, mask, thresholds=grid, connectivity=connectivity)
    expected = [naive_accuracy(image, mask, threshold, connectivity) for threshold in grid]
    np.testing.assert_allclose(
        np.stack([accuracy.largest[0], accuracy.any_box[0]], 1), expected, rtol=1e-15
    )


def test_batches_add_up_to_the_dataset():
    draw = torch.Generator().manual_seed(3)
    images = torch.rand(7, 9, 8, generator=draw)
    truth = torch.rand(7, 9, 8, generator=draw) > 0.8
    truth[2] = False
    whole = MaxBoxAcc.of(images, truth)
    parts = [MaxBoxAcc.of(images[i : i + 3], truth[i : i + 3]) for i in (0, 3, 6)]
    total = parts[0] + parts[1] + parts[2]
    for field in ("thresholds", "largest", "any_box", "undefined"):
        np.testing.assert_array_equal(getattr(total, field), getattr(whole, field))
    array = MaxBoxAcc.of(images.numpy().reshape(7, 1, 9, 8), truth.numpy().reshape(7, 1, 9, 8))
    np.testing.assert_array_equal(array.any_box, whole.any_box)
    assert (whole.images, whole.undefined) == (6, 1)


def test_constant_maps_miss_and_empty_truths_are_left_out():
    flat = MaxBoxAcc.of(np.ones((2, 3, 3)), np.ones((2, 3, 3), bool))
    assert (flat.max_box_acc(0.01), flat.max_box_acc_v2(), flat.images) == (0, 0, 2)
    none = MaxBoxAcc.of(STAIRS, np.zeros_like(TWO))
    assert (none.images, none.undefined) == (0, 1)
    assert np.isnan([none.max_box_acc(), none.max_box_acc_v2(), none.accuracy_at(0.5)]).all()
    assert np.isnan(none.best_threshold())
    assert (none + MaxBoxAcc.of(STAIRS, TWO)).max_box_acc(1) == 1
    assert MaxBoxAcc.of(np.zeros((0, 2, 2)), np.zeros((0, 2, 2), bool)).images == 0


def test_annotated_boxes_may_overlap_and_leave_pixels():
    wide = MaxBoxAcc.of_boxes(STAIRS, [np.array([[1, 0, 3, 1]])])
    np.testing.assert_array_equal(wide.largest, MaxBoxAcc.of(STAIRS, TWO).largest)
    both = MaxBoxAcc.of_boxes(STAIRS, [torch.tensor([[0, 0, 4, 1], [1.5, 0, 2.5, 1]])])
    assert both.accuracy_at(0, 1) == 1
    assert both.largest[0, -1] == pytest.approx(1 / 3)
    assert MaxBoxAcc.of_boxes(STAIRS, [np.zeros((0, 4))]).undefined == 1


def test_what_cannot_be_measured_is_refused():
    accuracy = MaxBoxAcc.of(STAIRS, TWO)
    with pytest.raises(SettingError, match=r"one of the grid's 101, got 0\.123"):
        accuracy.accuracy_at(0.123)
    with pytest.raises(SettingError, match=r"delta must be in \(0, 1\], got 0"):
        accuracy.max_box_acc(0)
    with pytest.raises(SettingError, match="thresholds must be the same for both"):
        accuracy + MaxBoxAcc.of(STAIRS, TWO, thresholds=[0.5])
    for grid in ([], [-0.1, 0.5], [0.5, 1.1], [NAN], [[0.5]]):
        with pytest.raises(SettingError, match=r"thresholds must be a sequence of numbers in \[0"):
            MaxBoxAcc.of(STAIRS, TWO, thresholds=grid)
    for grid in ([0.5, 0.5], [0.5, 0.4]):
        with pytest.raises(SettingError, match="thresholds must increase"):
            MaxBoxAcc.of(STAIRS, TWO, thresholds=grid)
    with pytest.raises(ShapeError, match="got 2 arrays for 1 maps"):
        MaxBoxAcc.of_boxes(STAIRS, [np.ones((1, 4))] * 2)
    with pytest.raises(ShapeError, match="maps and target must have one shape"):
        MaxBoxAcc.of(STAIRS, TWO[:, :3])
    with pytest.raises(NonFiniteError):
        MaxBoxAcc.of(STAIRS * NAN, TWO)
    with pytest.raises(ArrayTypeError, match="target must be boolean"):
        MaxBoxAcc.of(STAIRS, STAIRS)


# Objects, and boxes in volumes

TOUCHING = np.array([[0, 0, 3, 4], [3, 0, 6, 4]])


def test_a_perfect_box_beside_a_touching_one_is_correct():
    objects = Objects((4, 6), given_boxes=TOUCHING)
    maps = np.where(np.arange(6) < 3, 2.0, 1.0) * np.ones((1, 4, 1))
    found = MaxBoxAcc.of_objects(maps, [objects])
    assert found.max_box_acc(1) == found.max_box_acc_v2((1,)) == 1
    assert MaxBoxAcc.of(maps, objects.union[None]).max_box_acc(0.51) == 1  # of the whole image
    assert MaxBoxAcc.of(maps, objects.union[None]).accuracy_at(1, 0.51) == 0
    same = MaxBoxAcc.of_boxes(maps, [TOUCHING])
    np.testing.assert_array_equal(found.any_box, same.any_box)
    np.testing.assert_array_equal(found.largest, same.largest)


@given(st.data(), st.booleans())
def test_overlaps_with_objects_are_those_with_a_list_of_boxes(data, ignoring):
    shape = data.draw(shapes())
    count = data.draw(st.integers(1, 3))
    images = np.stack([data.draw(maps(shape, torch.float64)).numpy() for _ in range(count)])
    listed = [Objects.of_components(data.draw(masks(shape)).numpy()) for _ in range(count)]
    ignored = np.stack([data.draw(masks(shape)).numpy() for _ in range(count)]) & ignoring
    grid = [0, 0.3, 0.5, 1]
    found = MaxBoxAcc.of_objects(images, listed, ignore=ignored, thresholds=grid)
    rows = []
    for image, objects, without in zip(images, listed, ignored, strict=True):
        true = [hull(set(map(tuple, np.argwhere(mask)))) for mask in objects.masks]
        if true:
            rows.append([naive_best(image, true, without, threshold) for threshold in grid])
    expected = np.array(rows).reshape(-1, len(grid), 2)
    np.testing.assert_allclose(found.largest, expected[..., 0], rtol=1e-15)
    np.testing.assert_allclose(found.any_box, expected[..., 1], rtol=1e-15)
    assert found.undefined == count - len(rows)


def naive_best(image, true, without, threshold):
    """Return the IoU of the largest and of the best component of the pixels that count."""
    kept = image[~without]
    if not kept.size or kept.min() == kept.max():
        return 0.0, 0.0
    scaled = (image - kept.min()) / (kept.max() - kept.min())
    marked = flood((scaled >= threshold) & ~without, 8)
    best = [max(naive_iou(hull(each), box) for box in true) for each in marked]
    return best[0], max(best)


def test_boxes_of_volumes_count_slices_last():
    volume = np.zeros((5, 4, 3), bool)
    volume[1:3, 0:3, 1] = volume[3, 3, 2] = True
    assert component_boxes(volume, spatial_axes=3).tolist() == [[1, 0, 1, 3, 4, 4]]
    apart = [[1, 0, 1, 2, 3, 3], [2, 3, 3, 3, 4, 4]]
    assert component_boxes(volume, 6, spatial_axes=3).tolist() == apart
    assert largest_box(torch.from_numpy(volume[None]), 6, spatial_axes=3).tolist() == apart[:1]
    assert largest_box(volume[:0][None], spatial_axes=2).shape == (1, 0, 4)
    first, second = np.array([apart[0]]), np.array([[1, 1, 0, 3, 3, 2], apart[1]])
    assert box_intersections(first, second).tolist() == [[2, 0]]  # 1 x 2 x 1
    assert pairwise_box_iou(first, second).tolist() == [[2 / (6 + 8 - 2), 0]]
    target = np.zeros_like(volume)
    target[0:2, 1:3, 1:3] = True
    for truth in (target[None], [Objects.of_components(target)]):
        assert box_iou(volume[None], truth, 6, spatial_axes=3).tolist() == [2 / 12]
        assert box_precision(volume[None], truth, 6, spatial_axes=3).tolist() == [2 / 6]


def test_volumes_are_asked_for_and_fit():
    volume = np.ones((2, 3, 4), bool)
    with pytest.raises(ShapeError, match=r"mask must have shape \(H, W\).*spatial_axes=3 for a"):
        component_boxes(volume)
    with pytest.raises(ShapeError, match=r"mask must have shape \(D, H, W\), got \(3, 4\)"):
        component_boxes(volume[0], spatial_axes=3)
    with pytest.raises(SettingError, match="connectivity must be 6 or 26, got 8"):
        component_boxes(volume, 8, spatial_axes=3)
    with pytest.raises(ShapeError, match="boxes must both be of images or both of volumes"):
        box_intersections(np.zeros((1, 4)), np.zeros((1, 6)))
    with pytest.raises(ShapeError, match="x0 <= x1, y0 <= y1 and z0 <= z1"):
        pairwise_box_iou(np.zeros((1, 6)), np.array([[0, 0, 2, 1, 1, 1]]))
    for metric in (largest_box, partial(box_iou, volume), partial(MaxBoxAcc.of, volume * 1.0)):
        with pytest.raises(SettingError, match="spatial_axes must be 2 for images or 3 for"):
            metric(volume, spatial_axes=4)
    with pytest.raises(ShapeError, match="volumes"):
        box_iou(volume[0], volume[0], spatial_axes=3)
    with pytest.raises(ShapeError, match=r"one array \(n, 6\) for each map, got 1 arrays for 1"):
        MaxBoxAcc.of_boxes(np.zeros((1, 2, 3, 4)), [np.ones((1, 4))], spatial_axes=3)


def test_max_box_acc_of_volumes_is_that_of_their_boxes():
    volume = np.zeros((4, 5, 6))
    volume[1:3, 2:4, 0:5] = 1
    volume[3, 0, 5] = 2
    objects = Objects(volume.shape, given_boxes=np.array([[0, 2, 1, 5, 4, 3]]))
    found = MaxBoxAcc.of_objects(volume, objects, thresholds=[0, 0.5, 0.7])
    whole, object_ = 4 * 5 * 6, 2 * 2 * 5
    assert found.largest[0].tolist() == pytest.approx([object_ / whole, 1, 0])
    assert found.any_box[0].tolist() == pytest.approx([object_ / whole, 1, 0])
    for same in (
        MaxBoxAcc.of(volume, objects.union, thresholds=[0, 0.5, 0.7], spatial_axes=3),
        MaxBoxAcc.of_boxes(
            volume, [objects.boxes], thresholds=[0, 0.5, 0.7], spatial_axes=3, connectivity=26
        ),
    ):
        np.testing.assert_array_equal(same.largest, found.largest)


def test_pxap_of_objects_is_that_of_their_union():
    draw = np.random.default_rng(2)
    images, ignored = draw.random((3, 5, 6)), draw.random((3, 5, 6)) > 0.7
    listed = [Objects.of_components(draw.random((5, 6)) > 0.7) for _ in images]
    unions = np.stack([each.union for each in listed])
    found = PxAP.of_objects(images, listed, ignore=ignored)
    expected = PxAP.of(images, unions, ignore=ignored)
    np.testing.assert_array_equal(found.true, expected.true)
    np.testing.assert_array_equal(found.other, expected.other)
    torched = PxAP.of_objects(torch.from_numpy(images), listed, ignore=torch.from_numpy(ignored))
    np.testing.assert_array_equal(torched.true, expected.true)
    volume = Objects((3, 5, 6), given_masks=unions[None])
    whole = PxAP.of_objects(images, volume)  # one scale for all slices
    flat = PxAP.of(images.reshape(1, -1), unions.reshape(1, -1))
    np.testing.assert_array_equal(whole.true, flat.true)
    assert PxAP.of_objects(images[:0], []).true.sum() == 0

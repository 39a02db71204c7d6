"""Metrics of objects against sets of pixels, all matchings, and all orders of peaks."""

from itertools import combinations, permutations, product
from math import comb

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import masks

from cameval.data import Objects
from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.metrics import pointing_game
from cameval.metrics.boxes import box_iou, box_precision
from cameval.metrics.froc import FROC
from cameval.metrics.objects import FalsePositivesPerImage, ObjectF1, ObjectRecall
from cameval.metrics.peaks import pointing_recall
from cameval.metrics.properties import truth_of

METRICS = [ObjectRecall(), ObjectRecall(0.4, "iou"), ObjectF1(0.3), FalsePositivesPerImage(0.5)]
every_metric = pytest.mark.parametrize("metric", METRICS, ids=repr)
MEASURES = st.sampled_from(["coverage", "iou"])
SHARES = st.sampled_from([0, 0.25, 0.5, 0.75, 1])
NAN = float("nan")


@st.composite
def image_sizes(draw):
    """Shapes of images and of volumes."""
    sides = draw(st.lists(st.integers(1, 4), min_size=2, max_size=3))
    return tuple(sides) if len(sides) == 3 else (sides[0] + 1, sides[1] + 1)


@st.composite
def object_masks(draw, shape, least=0):
    """Masks of up to four objects, which may touch, overlap, and have several parts."""
    count = draw(st.integers(least, 4))
    drawn = [draw(masks(shape, min_true=1)).numpy() for _ in range(count)]
    return np.stack(drawn) if drawn else np.zeros((0, *shape), bool)


@st.composite
def scenes(draw, least=0):
    """Draw a mask and the objects of its image."""
    shape = draw(image_sizes())
    return draw(masks(shape)).numpy(), Objects(shape, given_masks=draw(object_masks(shape, least)))


def drawn(*rows):
    """Return the mask whose true pixels are drawn as #."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def walk(mask):
    """Components as sets of pixels; pixels that share a corner are connected."""
    left, components = set(map(tuple, np.argwhere(mask))), []
    while left:
        component, edge = set(), [min(left)]
        while edge:
            at = edge.pop()
            if at in left:
                left.remove(at)
                component.add(at)
                steps = product((-1, 0, 1), repeat=mask.ndim)
                edge += [tuple(map(sum, zip(at, step, strict=True))) for step in steps]
        components.append(component)
    return components


def pixels(objects):
    return [set(map(tuple, np.argwhere(mask))) for mask in objects.masks]


def share(component, one, measure):
    both = len(component & one)
    return both / len(component | one) if measure == "iou" else both / len(one)


def detects(component, one, measure, at_least):
    return bool(component & one) and share(component, one, measure) >= at_least


# Recall, false positives, F1


@given(scenes(), SHARES, MEASURES)
def test_objects_are_detected_one_by_one(scene, at_least, measure):
    mask, objects = scene
    found, true = walk(mask), pixels(objects)
    hits = [any(detects(c, o, measure, at_least) for c in found) for o in true]
    false = sum(not any(detects(c, o, measure, at_least) for o in true) for c in found)
    recall = ObjectRecall(at_least, measure)(mask, objects)
    if true:
        assert recall == pytest.approx(sum(hits) / len(true))
    else:
        assert np.isnan(recall)
    assert FalsePositivesPerImage(at_least, measure)(mask, objects) == false


def best_matching(found, true, at_least):
    """Pairs of the largest one-to-one matching, of all that there are."""
    few, many = sorted([found, true], key=len)
    return max(
        sum(share(a, b, "iou") >= at_least for a, b in zip(few, order, strict=True))
        for order in permutations(many, len(few))
    )


@given(scenes(least=1), st.sampled_from([0.1, 0.25, 0.5, 1]))
def test_the_f1_score_is_that_of_the_best_of_all_matchings(scene, at_least):
    mask, objects = scene
    found, true = walk(mask), pixels(objects)
    expected = 2 * best_matching(found, true, at_least) / (len(found) + len(true))
    assert ObjectF1(at_least)(mask, objects) == pytest.approx(expected)


def test_a_component_is_matched_once_and_a_greedy_choice_is_not_enough():
    labels = np.array([[1, 1, 1, 1, 1, 0], [2, 2, 0, 0, 0, 0]])
    objects = Objects.of_labels(labels)
    both = np.array([[True] * 5 + [False], [True, True, False, False, False, False]])
    assert ObjectRecall(0.2, "iou")(both, objects) == 1  # one component detects the two
    assert ObjectF1(0.2)(both, objects) == 2 / 3  # but is one of three
    # IoU of the components with the objects: .5 and .25; .4 and 0. Greedy would match one pair.
    large, small = drawn("#######.."), drawn("#........")
    overlapping = Objects((1, 9), given_masks=np.stack([large, small]))
    found = drawn("##.####..")  # the IoU of its parts: 2/7 and 1/2, 4/7 and 0
    assert ObjectF1(0.25)(found, overlapping) == 1
    assert ObjectF1(0.55)(found, overlapping) == 0.5


@given(scenes(least=1), st.randoms(use_true_random=False))
def test_the_order_of_objects_does_not_matter(scene, random):
    mask, objects = scene
    order = list(range(len(objects)))
    random.shuffle(order)
    other = Objects(objects.shape, given_masks=objects.masks[order])
    for metric in METRICS:
        assert metric(mask, objects) == pytest.approx(metric(mask, other), nan_ok=True)
    maps = np.random.default_rng(len(order)).integers(0, 3, mask.shape).astype(float)
    assert pointing_recall(maps, objects) == pytest.approx(pointing_recall(maps, other))


@given(masks(min_true=1))
def test_the_truth_itself_is_perfect(mask):
    objects = Objects.of_components(mask.numpy())
    for metric in (ObjectRecall(), ObjectRecall(1, "iou"), ObjectF1(1), box_iou, box_precision):
        assert metric(mask.numpy(), objects) == 1
    assert FalsePositivesPerImage(1, "iou")(mask.numpy(), objects) == 0


def test_without_objects_only_false_positives_are_defined():
    none = Objects((1, 3), given_masks=np.zeros((0, 1, 3), bool))
    some, empty = np.array([[True, False, True]]), np.zeros((1, 3), bool)
    for metric in (ObjectRecall(), ObjectF1(), box_iou, box_precision):
        assert np.isnan(metric(some, none))
        assert np.isnan(metric(empty, none))
    assert FalsePositivesPerImage()(some, none) == 2
    assert FalsePositivesPerImage()(empty, none) == 0
    one = Objects.of_components(some[:, ::-1])
    for metric in (ObjectRecall(), ObjectF1(), box_iou, box_precision):
        assert metric(empty, one) == 0


@every_metric
def test_batches_are_images_one_by_one_of_either_kind(metric):
    draw = np.random.default_rng(5)
    batch = draw.random((4, 6, 7)) > 0.7
    listed = [Objects.of_components(draw.random((6, 7)) > 0.8) for _ in batch]
    scores = metric(batch, listed)
    assert (type(scores), scores.dtype, scores.shape) == (np.ndarray, np.float64, (4,))
    np.testing.assert_array_equal(scores, [metric(*pair) for pair in zip(batch, listed)])  # noqa: B905
    tensors = metric(torch.from_numpy(batch), listed)
    assert tensors.dtype == torch.get_default_dtype()
    np.testing.assert_allclose(tensors, scores, rtol=1e-6)
    assert metric(batch[:0], []).shape == (0,)
    assert isinstance(metric(batch[0], listed[0]), np.float64)
    assert truth_of(metric) == "objects"


@pytest.mark.parametrize(
    "metric", [*METRICS, box_iou, pointing_recall, lambda *pair: FROC.of(*pair)]
)
def test_only_objects_of_the_same_images_are_taken(metric):
    objects = Objects.of_components(np.eye(3, dtype=bool))
    given_ = np.eye(3, dtype=bool)[None]
    if metric not in (*METRICS, box_iou):
        given_ = given_.astype(float)
    with pytest.raises(ShapeError, match="objects must be those of each image, got 2 for"):
        metric(given_, [objects, objects])
    with pytest.raises(
        ShapeError, match=r"of the same shape .*got \(3, 3\) for number 1 and \(3, "
    ):
        metric(given_[..., :2], [objects])
    if metric is not box_iou:
        with pytest.raises(ArrayTypeError, match=r"got list of Objects and ndarray; Target\.obj"):
            metric(given_, [objects, np.eye(3)])
        with pytest.raises(ArrayTypeError, match="got ndarray; Target"):
            metric(given_, np.eye(3, dtype=bool)[None])


def test_settings_are_checked():
    for setting in (-0.1, 1.1, NAN, "half", None):
        for make in (ObjectRecall, FalsePositivesPerImage, ObjectF1):
            with pytest.raises(SettingError, match="at_least must be a number in"):
                make(setting)
    with pytest.raises(SettingError, match=r"at_least must be a number in \(0, 1\], got 0"):
        ObjectF1(0)
    for make in (ObjectRecall, FalsePositivesPerImage):
        with pytest.raises(SettingError, match="measure must be 'coverage' or 'iou', got 'dice'"):
            make(0.5, "dice")
    with pytest.raises(ArrayTypeError, match="pred must be boolean"):
        ObjectRecall()(np.eye(3), Objects.of_components(np.eye(3, dtype=bool)))


# Boxes of objects


@given(st.data())
def test_boxes_of_objects_are_the_annotated_ones(data):
    shape = data.draw(image_sizes())
    mask = data.draw(masks(shape)).numpy()
    objects = Objects(shape, given_masks=data.draw(object_masks(shape)))
    if not len(objects):
        assert np.isnan(box_iou(mask, objects))
        return
    sizes = sorted(walk(mask), key=lambda component: (-len(component), min(component)))
    for metric, measure in ((box_iou, "iou"), (box_precision, "precision")):
        if sizes:
            box = hull(sizes[0])
            best = max(share_of_boxes(box, hull(true), measure) for true in pixels(objects))
        else:
            best = 0
        assert metric(mask, objects) == pytest.approx(best, rel=1e-15)


def hull(component):
    """All pixels of the box of some pixels."""
    spans = [range(min(axis), max(axis) + 1) for axis in zip(*component, strict=True)]
    return set(product(*spans))


def share_of_boxes(first, second, measure):
    both = len(first & second)
    return both / len(first | second) if measure == "iou" else both / len(first)


@given(masks(), masks(shape=(5, 4)), masks(shape=(5, 4), min_true=1))
def test_a_mask_and_the_objects_of_its_components_score_the_same(one, pred, target):
    for metric in (box_iou, box_precision):
        same = metric(pred.numpy(), Objects.of_components(target.numpy()))
        assert metric(pred.numpy(), target.numpy()) == same
        itself = metric(one.numpy(), Objects.of_components(one.numpy()))
        np.testing.assert_equal(metric(one.numpy(), one.numpy()), itself)


def test_boxes_that_touch_or_have_fractions_stay_as_they_are():
    objects = Objects((4, 6), given_boxes=np.array([[0, 0, 3, 4], [3, 0, 6, 4]]))
    left = np.arange(6) < np.full((4, 1), 3)
    assert box_iou(left, objects) == box_iou(~left, objects) == 1
    assert box_iou(left, objects.union) == 0.5
    fraction = Objects((4, 6), given_boxes=np.array([[0.0, 0.0, 1.5, 4.0]]))
    assert box_iou(left, fraction) == 0.5


# Pointing at several objects


def regional_maxima(image):
    """Return sets of pixels of one value with no higher neighbor, found by walking over equals."""
    found = []
    for value in np.unique(image):
        for level in walk(image == value):
            around = {
                tuple(np.add(at, step))
                for at in level
                for step in product((-1, 0, 1), repeat=image.ndim)
            }
            near = [image[at] for at in around if all(0 <= i < n for i, n in zip(at, image.shape))]  # noqa: B905
            if max(near) == value:
                found.append((value, level))
    return found


def naive_pointing_recall(image, objects):
    """Return the mean over all choices of the highest peaks, and over all pixels of each peak."""
    peaks, true = regional_maxima(image), pixels(objects)
    taken = min(len(true), len(peaks))
    values = sorted((value for value, _ in peaks), reverse=True)
    choices = [c for c in combinations(peaks, taken)
               if sorted((v for v, _ in c), reverse=True) == values[:taken]]  # fmt: skip
    total = 0.0
    for choice in choices:
        for one in true:
            missed = np.prod([1 - len(level & one) / len(level) for _, level in choice])
            total += 1 - missed
    return total / len(choices) / len(true)


@given(st.data())
def test_pointing_recall_is_the_mean_over_all_choices_of_peaks(data):
    shape = data.draw(image_sizes())
    objects = Objects(shape, given_masks=data.draw(object_masks(shape, least=1)))
    flat = data.draw(st.lists(st.integers(0, 3), min_size=int(np.prod(shape)),
                              max_size=int(np.prod(shape))))  # fmt: skip
    image = np.array(flat, float).reshape(shape)
    if comb(len(regional_maxima(image)), len(objects)) > 500:
        return
    expected = naive_pointing_recall(image, objects)
    assert pointing_recall(image, objects) == pytest.approx(expected, abs=1e-12)


@given(masks(min_true=1), st.randoms(use_true_random=False), st.sampled_from([0, 1.5, 3]))
def test_one_object_is_the_pointing_game(mask, random, tolerance):
    values = list(range(mask.numel()))
    random.shuffle(values)
    image = np.array(values, float).reshape(mask.shape)
    objects = Objects(tuple(mask.shape), given_masks=mask.numpy()[None])
    expected = pointing_game(image, mask.numpy(), tolerance=tolerance)
    assert pointing_recall(image, objects, tolerance=tolerance) == expected


def test_two_objects_need_two_peaks():
    objects = Objects.of_labels(np.array([[1, 1, 0, 2, 2, 0, 0, 0]]))

    def score(row, **settings):
        return pointing_recall(np.array([row], float), objects, **settings)

    assert score([9, 8, 0, 1, 2, 0, 0, 0]) == 1
    assert score([9, 8, 7, 6, 5, 4, 3, 2]) == 0.5  # one peak
    assert score([9, 0, 0, 0, 2, 0, 3, 0]) == 0.5  # the third peak does not count
    assert score([9, 0, 0, 0, 2, 0, 2, 0]) == 0.75  # of equal peaks either one
    assert score([0, 0, 0, 0, 2, 0, 3, 0], tolerance=3) == 0.5
    assert score([0, 0, 0, 0, 2, 0, 3, 0], tolerance=3, spacing=(1, 2)) == 0.5
    assert score([0, 0, 0, 0, 0, 0, 3, 0], tolerance=3, spacing=(1, 1)) == 0.5
    assert score([0, 0, 0, 0, 0, 0, 3, 0], tolerance=3, spacing=(1, 2)) == 0
    assert score([4] * 8) == pytest.approx(2 / 8)
    none = Objects((1, 8), given_masks=np.zeros((0, 1, 8), bool))
    assert np.isnan(pointing_recall(np.ones((1, 8)), none))


def test_pointing_recall_checks_its_input():
    objects = Objects.of_components(np.eye(3, dtype=bool))
    for tolerance in (-1, NAN, float("inf"), "5"):
        with pytest.raises(SettingError, match="tolerance must be a finite number of at least 0"):
            pointing_recall(np.eye(3), objects, tolerance=tolerance)
    for spacing in (0, -1.0, NAN, (1.0,), (1.0, 1.0, 1.0), (1.0, 0.0)):
        with pytest.raises(SettingError, match="spacing must be one finite positive number or 2"):
            pointing_recall(np.eye(3), objects, spacing=spacing)
    with pytest.raises(NonFiniteError):
        pointing_recall(np.eye(3) * NAN, objects)
    with pytest.raises(ArrayTypeError, match="maps must hold real numbers"):
        pointing_recall(np.eye(3, dtype=bool), objects)


# FROC


def naive_counts(images, listed, ignored, thresholds, at_least, measure):
    """Count detected objects and false positives at each threshold, image by image."""
    rows = []
    for threshold in thresholds:
        detected = false = 0
        for image, objects, without in zip(images, listed, ignored, strict=True):
            kept = image[~without]
            low, high = (kept.min(), kept.max()) if kept.size else (0, 0)
            if low == high:
                continue
            found = walk(((image - low) / (high - low) > threshold) & ~without)
            true = [one - set(map(tuple, np.argwhere(without))) for one in pixels(objects)]
            true = [one for one in true if one]
            detected += sum(any(detects(c, o, measure, at_least) for c in found) for o in true)
            false += sum(not any(detects(c, o, measure, at_least) for o in true) for c in found)
        rows.append((detected, false))
    return np.array(rows).T


@st.composite
def map_scenes(draw):
    """Draw maps, objects and ignored pixels of a few images of one size."""
    shape = draw(image_sizes())
    count = draw(st.integers(1, 3))
    size = count * int(np.prod(shape))
    values = draw(st.lists(st.integers(-2, 4), min_size=size, max_size=size))
    maps = np.array(values, float).reshape(count, *shape)
    listed = [Objects(shape, given_masks=draw(object_masks(shape))) for _ in range(count)]
    ignored = np.stack([draw(masks(shape)).numpy() for _ in range(count)])
    return maps, listed, ignored & draw(st.booleans())


@given(map_scenes(), SHARES, MEASURES)
def test_froc_counts_are_those_of_a_loop_over_thresholds(scene, at_least, measure):
    maps, listed, ignored = scene
    grid = [0, 0.1, 0.25, 0.5, 0.9, 1]
    froc = FROC.of(
        maps, listed, ignore=ignored, thresholds=grid, at_least=at_least, measure=measure
    )
    expected = naive_counts(maps, listed, ignored, grid, at_least, measure)
    np.testing.assert_array_equal([froc.detected, froc.false_positives], expected)
    assert froc.images == len(maps)
    kept = [(each.masks & ~without) for each, without in zip(listed, ignored, strict=True)]
    assert froc.objects == sum(each.any() for image in kept for each in image)


@given(map_scenes())
def test_disjoint_images_add(scene):
    maps, listed, ignored = scene
    whole = FROC.of(maps, listed, ignore=ignored)
    parts = [FROC.of(*part[:2], ignore=part[2]) for part in zip(maps, listed, ignored, strict=True)]
    total = sum(parts[1:], parts[0])
    for name in ("thresholds", "detected", "false_positives", "objects", "images", "criterion"):
        np.testing.assert_array_equal(getattr(total, name), getattr(whole, name))
    torched = FROC.of(torch.from_numpy(maps), listed, ignore=torch.from_numpy(ignored))
    np.testing.assert_array_equal(torched.detected, whole.detected)


def test_the_sensitivity_is_the_best_with_so_few_false_positives():
    froc = FROC(
        thresholds=np.array([0.1, 0.2, 0.3, 0.4]),
        detected=np.array([3, 4, 2, 1]),
        false_positives=np.array([8, 6, 2, 1]),
        objects=5,
        images=2,
    )
    rates, sensitivity = froc.curve()
    assert rates.tolist() == [4, 3, 1, 0.5]
    assert sensitivity.tolist() == [0.6, 0.8, 0.4, 0.2]
    found = [froc.sensitivity_at(rate) for rate in (0, 0.49, 0.5, 1, 2.9, 3, 8)]
    assert found == [0, 0, 0.2, 0.4, 0.4, 0.8, 0.8]
    assert froc.mean_sensitivity() == pytest.approx((0 + 0 + 0.2 + 0.4 + 0.4 + 0.8 + 0.8) / 7)
    assert froc.mean_sensitivity([1, 3]) == pytest.approx(0.6)


def test_values_are_compared_where_maps_are_not_scaled():
    objects = Objects.of_labels(np.array([[1, 0, 0, 0]]))
    sick, well = np.array([[0.9, 0.1, 0.1, 0.2]]), np.array([[0.1, 0.1, 0.3, 0.1]])
    none = Objects((1, 4), given_masks=np.zeros((0, 1, 4), bool))
    froc = FROC.of(np.stack([sick, well]), [objects, none], scale=False, thresholds=[0.15, 0.5])
    assert froc.curve()[0].tolist() == [1, 0]
    assert froc.curve()[1].tolist() == [1, 1]
    assert froc.sensitivity_at(0) == 1
    scaled = FROC.of(np.stack([sick, well]), [objects, none])
    assert scaled.sensitivity_at(0.49) == 0  # the healthy image always has its maximum
    assert scaled.sensitivity_at(0.5) == 1


def test_froc_without_objects_and_with_wrong_settings():
    none = Objects((1, 2), given_masks=np.zeros((0, 1, 2), bool))
    froc = FROC.of(np.array([[1.0, 2.0]]), none)
    assert np.isnan(froc.sensitivity_at(8))
    assert np.isnan(froc.mean_sensitivity())
    assert froc.curve()[0].max() == 1
    assert np.isnan(FROC.of(np.zeros((0, 1, 2)), []).curve()[0]).all()
    with pytest.raises(SettingError, match="false_positives must be 0 or more, got -1"):
        froc.sensitivity_at(-1)
    with pytest.raises(SettingError, match="thresholds must be given where maps are not scaled"):
        FROC.of(np.ones((1, 2)), none, scale=False)
    for grid in ([], [1, 1], [2, 1], [0, NAN], [[1]]):
        with pytest.raises(SettingError, match="thresholds must be increasing finite numbers"):
            FROC.of(np.ones((1, 2)), none, scale=False, thresholds=grid)
    with pytest.raises(SettingError, match=r"thresholds must be a sequence of numbers in \[0"):
        FROC.of(np.ones((1, 2)), none, thresholds=[2.0])
    with pytest.raises(SettingError, match="at_least, measure and scale must be the same for both"):
        froc + FROC.of(np.ones((1, 2)), none, at_least=0.5)
    with pytest.raises(SettingError, match="thresholds must be the same for both"):
        froc + FROC.of(np.ones((1, 2)), none, thresholds=[0.5])
    with pytest.raises(ShapeError, match="ignore and maps must have one shape"):
        FROC.of(np.ones((1, 2)), none, ignore=np.zeros((2, 2), bool))
    with pytest.raises(ArrayTypeError, match="ignore must be boolean"):
        FROC.of(np.ones((1, 2)), none, ignore=np.zeros((1, 2)))
    with pytest.raises(ArrayTypeError, match="ignore and maps must both be NumPy arrays or both"):
        FROC.of(np.ones((1, 2)), none, ignore=torch.zeros(1, 2, dtype=torch.bool))


def test_one_mask_of_ignored_pixels_counts_for_all_maps_of_froc():
    rng = np.random.default_rng(0)
    maps, ignore = rng.random((3, 6, 7)), rng.random((6, 7)) < 0.3
    objects = [Objects.of_components(rng.random((6, 7)) < 0.4) for _ in range(3)]
    found = FROC.of(maps, objects, ignore=ignore)
    expected = FROC.of(maps, objects, ignore=np.stack([ignore] * 3))
    np.testing.assert_array_equal(found.detected, expected.detected)
    np.testing.assert_array_equal(found.false_positives, expected.false_positives)
    assert found.objects == expected.objects

"""Centroids, surface distances and bands against all pairs of pixels, SciPy and scikit-image."""

from functools import partial
from itertools import product
from math import hypot, inf, pi, sqrt

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import directed_hausdorff
from skimage.measure import marching_cubes, mesh_surface_area
from skimage.metrics import hausdorff_distance
from strategies import mask_pairs, masks
from torch.nn.functional import pad
from torch.testing import assert_close

from cameval._memo import memo
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.metrics import iou
from cameval.metrics._contours import contour_elements
from cameval.metrics.centroid import CentroidDistance, equivalent_radius, image_diagonal
from cameval.metrics.overlap import BoundaryIoU
from cameval.metrics.surface import AverageSurfaceDistance, HausdorffDistance, SurfaceDice

METRICS = [
    CentroidDistance(),
    HausdorffDistance(),
    AverageSurfaceDistance(),
    SurfaceDice(tolerance=1),
    BoundaryIoU(),
    HausdorffDistance(border="contour"),
    AverageSurfaceDistance(border="contour"),
    SurfaceDice(tolerance=1, border="contour"),
]
every_metric = pytest.mark.parametrize("metric", METRICS, ids=repr)
NAN = float("nan")
spacings = st.sampled_from([1.0, 0.49, (1.0, 3.0), (0.7, 0.2)])


def drawn(*rows):
    """Mask whose true pixels are drawn as #."""
    return np.array([[pixel == "#" for pixel in row] for row in rows])


def double(metric, pair):
    """Score in float64, as NumPy gets it."""
    return float(metric(*(mask.numpy() for mask in pair)))


def pixels(mask):
    return {(y, x) for y, x in product(*map(range, mask.shape)) if mask[y, x]}


def border(mask):
    """Pixels that miss one of their four neighbors."""
    inside = pixels(mask)
    return sorted(
        (y, x) for y, x in inside if not {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} <= inside
    )


def directed(here, there, spacing):
    rows, columns = spacing if isinstance(spacing, tuple) else (spacing, spacing)
    return [min(hypot((y - v) * rows, (x - u) * columns) for v, u in there) for y, x in here]


def all_pairs(pair, spacing):
    """Distances of all border pixels by comparing each with each, in both directions."""
    first, second = (border(mask) for mask in pair)
    return directed(first, second, spacing), directed(second, first, spacing)


def quantile(values, percentile):
    """Linear interpolation between order statistics."""
    ordered, place = sorted(values), (len(values) - 1) * percentile / 100
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


both_some = mask_pairs(min_true=1).filter(lambda pair: bool(pair[0].any()))

# References


@given(both_some, spacings, st.sampled_from([5, 50, 95, 100]))
def test_hausdorff_distances_are_quantiles_of_all_pairs(pair, spacing, percentile):
    expected = max(quantile(each, percentile) for each in all_pairs(pair, spacing))
    found = double(HausdorffDistance(percentile, spacing), pair)
    assert found == pytest.approx(expected, rel=1e-12)


@given(both_some, spacings)
def test_average_distances_are_means_of_all_pairs(pair, spacing):
    there, back = all_pairs(pair, spacing)
    expected = sum(there + back) / len(there + back)
    assert double(AverageSurfaceDistance(spacing), pair) == pytest.approx(expected, rel=1e-12)


@given(both_some, st.integers(0, 4), st.sampled_from([1.0, (1.0, 3.0)]))
def test_surface_dice_counts_all_pairs(pair, tolerance, spacing):
    there, back = all_pairs(pair, spacing)
    near = sum(distance <= tolerance for distance in there + back)
    assert double(SurfaceDice(tolerance, spacing), pair) == near / len(there + back)


@given(both_some)
def test_the_hausdorff_distance_is_scipys_and_scikit_images(pair):
    points = [np.array(border(mask), float) for mask in pair]
    found = double(HausdorffDistance(100), pair)
    expected = max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
    assert found == pytest.approx(expected, rel=1e-12)
    images = [np.zeros(mask.shape, bool) for mask in pair]
    for image, mask in zip(images, pair, strict=True):
        image[tuple(np.transpose(border(mask)))] = True
    assert found == pytest.approx(hausdorff_distance(*images), rel=1e-12)


@given(both_some, spacings)
def test_centroids_are_scipys_centers_of_mass(pair, spacing):
    first, second = (ndimage.center_of_mass(mask.numpy()) for mask in pair)
    apart = np.subtract(first, second) * spacing
    found = double(CentroidDistance(spacing), pair)
    assert found == pytest.approx(hypot(*apart), rel=1e-12, abs=1e-12)


def eroded(mask, times):
    return ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=times, border_value=0)


@given(both_some, st.sampled_from([0.02, 0.3, 0.5, 1.0]))
def test_bands_are_what_repeated_erosion_removes(pair, width):
    times = max(1, round(width * hypot(*pair[0].shape)))
    first, second = (mask.numpy() & ~eroded(mask.numpy(), times) for mask in pair)
    expected = (first & second).sum() / (first | second).sum()
    assert double(BoundaryIoU(width), pair) == expected


# Worked examples


def test_a_square_one_pixel_larger_all_around():
    pred, target = np.zeros((2, 9, 9), bool)
    pred[1:8, 1:8] = target[2:7, 2:7] = True  # borders of 24 and 16 pixels, one apart
    assert HausdorffDistance(100)(pred, target) == sqrt(2)  # at the corners
    assert HausdorffDistance(50)(pred, target) == 1
    mean = (20 + 4 * sqrt(2) + 16) / 40
    assert AverageSurfaceDistance()(pred, target) == pytest.approx(mean, rel=1e-15)
    assert SurfaceDice(tolerance=1)(pred, target) == 36 / 40
    assert SurfaceDice(tolerance=0.9)(pred, target) == 0
    assert SurfaceDice(tolerance=sqrt(2))(pred, target) == 1
    assert BoundaryIoU()(pred, target) == 0
    assert BoundaryIoU(width=2 / hypot(9, 9))(pred, target) == 16 / (40 + 24 - 16)
    assert CentroidDistance()(pred, target) == 0


def test_a_square_shifted_by_three_and_four():
    pred, target = np.zeros((2, 12, 16), bool)
    pred[5:9, 7:11] = target[2:6, 3:7] = True
    assert CentroidDistance()(pred, target) == 5
    assert CentroidDistance(spacing=0.5)(pred, target) == 2.5
    assert CentroidDistance(spacing=(4, 4 / 3))(pred, target) == pytest.approx(hypot(12, 16 / 3))
    assert CentroidDistance(relative_to=image_diagonal)(pred, target) == 5 / 20
    radii = CentroidDistance(spacing=(2, 3), relative_to=equivalent_radius)
    assert radii(pred, target) == pytest.approx(hypot(6, 12) / sqrt(16 * 6 / pi), rel=1e-15)
    assert HausdorffDistance(100)(pred, target) == 5


def test_the_edge_of_the_image_is_part_of_the_border():
    everything, hollow = np.ones((5, 5), bool), np.ones((5, 5), bool)
    hollow[1:4, 1:4] = False  # the edge of the image alone
    assert HausdorffDistance(100)(everything, hollow) == 0
    assert BoundaryIoU()(everything, hollow) == 1
    half, dot = drawn("###..", "###..", "###.."), drawn("#....", ".....", ".....")
    # the border of the half is its frame: all pixels but (1, 1)
    expected = sum(hypot(y, x) for y, x in product(range(3), repeat=2) if (y, x) != (1, 1)) / 9
    assert AverageSurfaceDistance()(half, dot) == pytest.approx(expected, rel=1e-15)


def test_holes_have_a_border_too():
    full, holed = np.zeros((2, 9, 9), bool)
    full[1:8, 1:8] = holed[1:8, 1:8] = True
    holed[4, 4] = False
    assert HausdorffDistance(100)(holed, full) == 2  # from the four around the hole
    assert SurfaceDice(tolerance=1)(holed, full) == 48 / 52


def test_only_the_share_beyond_the_percentile_is_forgiven():
    pred, target = np.zeros((2, 1, 201), bool)
    pred[0, :100:2] = target[0, :100:2] = True
    pred[0, 200] = True  # 1 of 51 border pixels is 102 pixels away
    assert HausdorffDistance(95)(pred, target) == 0
    assert HausdorffDistance(100)(pred, target) == 102
    assert HausdorffDistance(99)(pred, target) == pytest.approx(51)


def test_a_tolerance_in_millimeters_is_one_in_pixels():
    for apart, size in product(range(1, 8), (0.1, 0.3, 0.49, 0.7)):
        pred, target = np.zeros((2, 1, 40), bool)
        pred[0, 13], target[0, 13 + apart] = True, True
        length = round(apart * size, 6)  # as one writes it: .3, not .1 * 3
        assert SurfaceDice(length, spacing=size)(pred, target) == 1
        assert SurfaceDice(length * 0.999, spacing=size)(pred, target) == 0


def test_the_default_band_is_two_percent_of_the_diagonal():
    pred, target = np.ones((2, 224, 224), bool)
    target[6:-6, 6:-6] = False  # a frame of 6 pixels; .02 * 224 * sqrt(2) = 6.3
    assert BoundaryIoU()(pred, target) == 1
    target[5:-5, 5:-5] = False
    assert BoundaryIoU()(pred, target) == (224**2 - 214**2) / (224**2 - 212**2)


# Laws


@every_metric
@given(both_some)
def test_scores_are_symmetric(metric, pair):
    assert double(metric, pair) == pytest.approx(double(metric, pair[::-1]), rel=1e-12, abs=1e-12)


@every_metric
@given(masks(min_true=1))
def test_the_truth_itself_is_perfect(metric, mask):
    assert double(metric, (mask, mask)) == isinstance(metric, (SurfaceDice, BoundaryIoU))


@every_metric
@given(both_some, st.integers(0, 4), st.integers(0, 4))
def test_scores_do_not_depend_on_the_place(metric, pair, down, right):
    there, here = (
        [pad(mask, (x, 9 - x, y, 9 - y)) for mask in pair] for x, y in ((right, down), (4, 2))
    )
    expected = double(metric, here)
    assert double(metric, there) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(both_some, st.sampled_from([0.49, 2, 10]))
def test_distances_scale_with_the_spacing(pair, factor):
    for kind in (CentroidDistance, HausdorffDistance, AverageSurfaceDistance):
        one = double(kind(spacing=1.0), pair)
        assert double(kind(spacing=factor), pair) == pytest.approx(factor * one, rel=1e-12)
        uneven = double(kind(spacing=(1.0, 2.0)), pair)
        scaled = double(kind(spacing=(factor, 2.0 * factor)), pair)
        assert scaled == pytest.approx(factor * uneven, rel=1e-12)
    for length in (image_diagonal, equivalent_radius):
        relative = CentroidDistance(relative_to=length)
        scaled = CentroidDistance(spacing=factor, relative_to=length)
        assert double(scaled, pair) == pytest.approx(double(relative, pair), rel=1e-12, abs=1e-12)


@given(both_some)
def test_rows_come_before_columns(pair):
    turned = [mask.mT for mask in pair]
    for kind in (CentroidDistance, HausdorffDistance, AverageSurfaceDistance):
        expected = double(kind(spacing=(1.0, 3.0)), pair)
        assert double(kind(spacing=(3.0, 1.0)), turned) == pytest.approx(expected, abs=1e-12)


@given(both_some)
def test_distances_are_ordered_and_shares_grow_with_the_tolerance(pair):
    lengths = [double(HausdorffDistance(q), pair) for q in (5, 50, 95, 100)]
    assert lengths == sorted(lengths)
    assert double(AverageSurfaceDistance(), pair) <= lengths[-1] * (1 + 1e-12)
    assert lengths[-1] < hypot(*pair[0].shape)
    shares = [double(SurfaceDice(t), pair) for t in (0, 1, 2, lengths[-1], inf)]
    assert shares == sorted(shares)
    assert shares[-2] == shares[-1] == 1


@given(both_some)
def test_the_widest_band_is_the_mask(pair):
    assert double(BoundaryIoU(width=1), pair) == double(iou, pair)


@given(both_some)
def test_memo_changes_nothing(pair):
    alone = [metric(*pair) for metric in METRICS]
    with memo():
        assert [metric(*pair) for metric in METRICS] == alone
        assert [metric(*pair) for metric in METRICS] == alone


# Edges

SOME, NONE, ALL = ([True, False], [False, False], [True, True])


@pytest.mark.parametrize(
    ("pred", "target", "expected"),
    [  # centroid, HD95, ASSD, surface Dice at 0.5, boundary IoU
        (NONE, NONE, [NAN] * 5),
        (SOME, NONE, [NAN] * 5),
        (ALL, NONE, [NAN] * 5),
        (NONE, SOME, [NAN, NAN, NAN, 0, 0]),
        (NONE, ALL, [NAN, NAN, NAN, 0, 0]),
        (ALL, SOME, [0.5, 0.95, 1 / 3, 2 / 3, 0.5]),
        (SOME, ALL, [0.5, 0.95, 1 / 3, 2 / 3, 0.5]),
        (ALL, ALL, [0, 0, 0, 1, 1]),
        (SOME, SOME, [0, 0, 0, 1, 1]),
        ([False, True], SOME, [1, 1, 1, 0, 0]),
    ],
)
def test_edge_cases(pred, target, expected):
    pred, target = np.array([pred]), np.array([target])
    metrics = [*METRICS[:3], SurfaceDice(0.5), METRICS[4]]
    scores = np.array([metric(pred, target) for metric in metrics])
    np.testing.assert_allclose(scores, expected, rtol=1e-15)
    diagonal = hypot(1 * 2, 2 * 3)
    for kind, plain in zip(
        (CentroidDistance, HausdorffDistance, AverageSurfaceDistance), scores[:3], strict=True
    ):
        score = kind(spacing=(2.0, 3.0), penalize_empty=True)(pred, target)
        missed = target.any() and not pred.any()
        wanted = diagonal if missed else plain * 3  # all apart in columns
        np.testing.assert_allclose(score, wanted, rtol=1e-15)


def test_the_penalty_is_divided_as_the_distances_are():
    pred, target = np.zeros((2, 3, 4), bool)
    target[1, 1] = True
    for length, expected in ((image_diagonal, 1), (equivalent_radius, 5 * sqrt(pi))):
        metric = CentroidDistance(0.5, relative_to=length, penalize_empty=True)
        assert metric(pred, target) == pytest.approx(expected, rel=1e-15)


@every_metric
def test_a_batch_is_scored_image_by_image_whatever_its_axes(metric):
    pred, target = torch.rand(2, 6, 5, 4, generator=torch.Generator().manual_seed(1)) > 0.7
    pred[0], target[1] = False, False
    expected = torch.stack([metric(*pair) for pair in zip(pred, target, strict=True)])
    same = {"rtol": 0, "atol": 0, "equal_nan": True}
    assert_close(metric(pred, target), expected, **same)
    assert_close(metric(pred.mT, target.mT), expected, equal_nan=True)
    folded = metric(pred.reshape(2, 3, 5, 4), target.reshape(2, 3, 5, 4))
    assert_close(folded, expected.reshape(2, 3), **same)
    assert metric(pred[:0], target[:0]).shape == (0,)
    assert expected.dtype == torch.get_default_dtype()
    scores = metric(pred.numpy(), target.numpy())
    assert (type(scores), scores.dtype) == (np.ndarray, np.float64)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
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


@pytest.mark.parametrize(
    "spacing", [0, -1, NAN, inf, (1, 0), (1, NAN), (1, 1, 0), (1,), (1, 1, 1, 1), "mm", None]
)
def test_a_spacing_is_one_to_three_positive_numbers(spacing):
    for make in (
        CentroidDistance,
        lambda spacing: HausdorffDistance(spacing=spacing),
        AverageSurfaceDistance,
        lambda spacing: SurfaceDice(1, spacing),
    ):
        with pytest.raises(SettingError, match="spacing must be one positive number, or two"):
            make(spacing)


def test_settings_have_their_ranges():
    for percentile in (0, -5, 100.1, NAN):
        with pytest.raises(SettingError, match=r"percentile must be in \(0, 100\], got"):
            HausdorffDistance(percentile)
    for tolerance in (-1, NAN):
        with pytest.raises(SettingError, match="tolerance must be at least 0, got"):
            SurfaceDice(tolerance)
    for width in (0, -0.1, 1.1, NAN):
        with pytest.raises(SettingError, match=r"width must be in \(0, 1\], got"):
            BoundaryIoU(width)
    with pytest.raises(SettingError, match="relative_to must be None or a function"):
        CentroidDistance(relative_to="diagonal")


# Volumes


def some_volumes(*shape, seed=0):
    pred, target = torch.rand(2, *shape, generator=torch.Generator().manual_seed(seed)) > 0.6
    return pred.numpy(), target.numpy()


SPACINGS = [(1.0, 1.0, 1.0), (5.0, 1.0, 1.0), (2.5, 0.49, 0.7)]


def test_two_voxels_one_slice_apart_are_one_slice_apart():
    pred, target = np.zeros((2, 1, 4, 8, 8), bool)
    pred[0, 1, 4, 4] = target[0, 2, 4, 4] = True
    spacing = (5, 1, 1)
    for distance in (HausdorffDistance(100, spacing), HausdorffDistance(95, spacing)):
        assert distance(pred, target) == [5]
    for kind in (AverageSurfaceDistance, CentroidDistance):
        assert kind(spacing)(pred, target) == [5]
    assert SurfaceDice(4.9, spacing)(pred, target) == [0]
    assert SurfaceDice(5, spacing)(pred, target) == [1]
    assert HausdorffDistance(100, (1, 5, 1))(pred, target) == [1]


def test_without_a_third_number_slices_are_images_of_their_own():
    pred, target = some_volumes(2, 3, 5, 4)
    for metric in METRICS:
        expected = [
            [metric(*pair) for pair in zip(*two, strict=True)]
            for two in zip(pred, target, strict=True)
        ]
        np.testing.assert_array_equal(metric(pred, target), expected)
        assert np.shape(expected) == (2, 3)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(4))
def test_distances_in_volumes_are_those_of_all_pairs_of_voxels(spacing, seed):
    pair = some_volumes(4, 5, 3, seed=seed)
    points = []
    for mask in pair:
        inside = set(map(tuple, np.argwhere(mask).tolist()))
        steps = [
            tuple(sign * (axis == k) for k in range(3)) for axis in range(3) for sign in (1, -1)
        ]
        edge = [p for p in inside if any(tuple(np.add(p, step)) not in inside for step in steps)]
        points.append(np.array(sorted(edge)) * spacing)
    apart = np.linalg.norm(points[0][:, None] - points[1], axis=-1)
    there, back = apart.min(1), apart.min(0)
    for percentile in (50, 95, 100):
        expected = max(quantile(each, percentile) for each in (there, back))
        assert HausdorffDistance(percentile, spacing)(*pair) == pytest.approx(expected, rel=1e-12)
    together = np.concatenate([there, back])
    assert AverageSurfaceDistance(spacing)(*pair) == pytest.approx(together.mean(), rel=1e-12)
    assert SurfaceDice(1, spacing)(*pair) == pytest.approx((together <= 1).mean(), rel=1e-12)
    apart = np.subtract(*(ndimage.center_of_mass(mask) for mask in pair)) * spacing
    assert CentroidDistance(spacing)(*pair) == pytest.approx(np.linalg.norm(apart), rel=1e-12)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_the_hausdorff_distance_of_volumes_is_scipys(spacing):
    pair = some_volumes(6, 7, 8)
    points = [np.argwhere(mask & ~ndimage.binary_erosion(mask)) * spacing for mask in pair]
    both = (directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])
    assert HausdorffDistance(100, spacing)(*pair) == pytest.approx(max(both), rel=1e-12)


@pytest.mark.parametrize("width", [0.02, 0.2, 0.5])
def test_bands_of_volumes_are_what_repeated_erosion_removes(width):
    pred, target = some_volumes(2, 7, 8, 9)
    pred[1] |= ndimage.binary_dilation(target[1])
    pixels = max(1, round(width * sqrt(7**2 + 8**2 + 9**2)))
    cube = np.ones((3, 3, 3))
    expected = []
    for pair in zip(pred, target, strict=True):
        first, second = (
            mask & ~ndimage.binary_erosion(mask, cube, iterations=pixels) for mask in pair
        )
        expected.append((first & second).sum() / (first | second).sum())
    np.testing.assert_allclose(BoundaryIoU(width, spatial_axes=3)(pred, target), expected)
    assert BoundaryIoU(width)(pred, target).shape == (2, 7)
    with pytest.raises(ShapeError, match=r"pred must be volumes \(..., D, H, W\)"):
        BoundaryIoU(width, spatial_axes=3)(pred[0, 0], target[0, 0])
    with pytest.raises(SettingError, match="spatial_axes must be 2 for images or 3 for volumes"):
        BoundaryIoU(spatial_axes=1)


def test_lengths_of_volumes():
    volume = torch.zeros(2, 3, 4, 12, dtype=torch.bool)
    volume[0, 0, :2, :3] = True
    assert image_diagonal(volume, (1, 1, 1)).tolist() == [13, 13]
    assert image_diagonal(volume, (4, 1, 0.5)).tolist() == pytest.approx([sqrt(144 + 16 + 36)] * 2)
    radius, none = equivalent_radius(volume, (2, 1, 0.5)).tolist()
    assert 4 / 3 * pi * radius**3 == pytest.approx(6)
    assert none == 0
    empty = HausdorffDistance(spacing=(1, 1, 1), penalize_empty=True)
    assert empty(torch.zeros_like(volume), volume)[0] == 13


def test_volumes_are_scored_one_by_one_whatever_their_axes():
    pred, target = some_volumes(6, 4, 5, 3)
    pred[0], target[1] = False, False
    kinds = [HausdorffDistance, AverageSurfaceDistance, CentroidDistance]
    settings = {"spacing": (5.0, 1.0, 0.5)}
    metrics = [kind(**settings) for kind in kinds] + [SurfaceDice(1, **settings)]
    metrics += [HausdorffDistance(border="contour", **settings)]
    for metric in metrics:
        expected = np.array([metric(*pair) for pair in zip(pred, target, strict=True)])
        np.testing.assert_array_equal(metric(pred, target), expected)
        folded = metric(pred.reshape(2, 3, 4, 5, 3), target.reshape(2, 3, 4, 5, 3))
        np.testing.assert_array_equal(folded, expected.reshape(2, 3))
        assert metric(pred[:0], target[:0]).shape == (0,)
        assert np.isnan(expected[1])
        assert np.isfinite(expected[2:]).all()


def test_three_numbers_need_volumes():
    mask = torch.eye(3, dtype=torch.bool)
    for kind in (HausdorffDistance, AverageSurfaceDistance, CentroidDistance):
        with pytest.raises(
            ShapeError, match=r"masks must be volumes .* got \(3, 3\); give two numbers"
        ):
            kind(spacing=(5, 1, 1))(mask, mask)


# Contours


def contour_by_hand(mask, down, across):
    """Return the middles and lengths of the pieces of a contour, window by window."""
    height, width = mask.shape
    inside = np.pad(mask, 1)
    elements = []
    for y, x in product(range(height + 1), range(width + 1)):
        window = inside[y : y + 2, x : x + 2]
        if window.all() or not window.any():
            continue
        # The line cuts each side of the window between a pixel inside and one outside, in its
        # middle, and joins the cuts; around one pixel of two across a corner it has two pieces.
        cuts = []
        for (a, b), at in {
            ((0, 0), (0, 1)): (0, 0.5),
            ((1, 0), (1, 1)): (1, 0.5),
            ((0, 0), (1, 0)): (0.5, 0),
            ((0, 1), (1, 1)): (0.5, 1),
        }.items():
            if window[a] != window[b]:
                cuts.append((at[0] * down, at[1] * across))
        if len(cuts) == 2:
            length = hypot(cuts[0][0] - cuts[1][0], cuts[0][1] - cuts[1][1])
        else:  # all four sides
            length = 2 * hypot(down / 2, across / 2)
        elements.append((y * down, x * across, length))
    return np.array(elements)


def weighted_all_pairs(pair, spacing):
    first, second = (contour_by_hand(mask, *spacing) for mask in pair)
    apart = np.linalg.norm(first[:, None, :2] - second[:, :2], axis=-1)
    return (apart.min(1), first[:, 2]), (apart.min(0), second[:, 2])


@given(both_some, st.sampled_from([(1.0, 1.0), (0.49, 0.49), (5.0, 1.0), (0.7, 2.0)]))
def test_contours_are_weighed_by_their_length(pair, spacing):
    pair = [mask.numpy() for mask in pair]
    sides = weighted_all_pairs(pair, spacing)
    distances, lengths = (np.concatenate(each) for each in zip(*sides, strict=True))
    found = AverageSurfaceDistance(spacing, border="contour")(*pair)
    assert found == pytest.approx((distances * lengths).sum() / lengths.sum(), rel=1e-12)
    for tolerance in (0, 1, 2):
        expected = lengths[distances <= tolerance].sum() / lengths.sum()
        found = SurfaceDice(tolerance, spacing, border="contour")(*pair)
        assert found == pytest.approx(expected, rel=1e-12)
    for percentile in (37, 96.3, 100):
        reached = []
        for each, weights in sides:  # the least distance within which so much of the contour lies
            share = [weights[each <= d].sum() / weights.sum() for d in each]
            least = percentile / 100 * (1 - 1e-12)
            reached.append(min(d for d, part in zip(each, share, strict=True) if part >= least))
        found = HausdorffDistance(percentile, spacing, border="contour")(*pair)
        assert found == pytest.approx(max(reached), rel=1e-12)


def test_a_square_has_the_length_of_its_sides_with_cut_corners():
    mask = np.zeros((9, 9), bool)
    mask[2:6, 3:8] = True
    where, lengths = contour_elements(mask, (5.0, 2.0))
    assert where.shape == lengths.shape == (10, 10)
    assert where.sum() == 2 * 3 + 2 * 4 + 4
    assert lengths.sum() == pytest.approx(2 * 3 * 5 + 2 * 4 * 2 + 4 * hypot(2.5, 1))
    assert (lengths > 0).tolist() == where.tolist()
    full = np.ones((3, 3), bool)  # the edge of the image is a contour too
    assert contour_elements(full, (1.0, 1.0))[1].sum() == pytest.approx(8 + 4 * sqrt(0.5))


def test_a_box_has_the_area_of_its_sides_with_cut_edges():
    down, rows, columns = size = (5.0, 2.0, 0.5)
    one = np.ones((1, 1, 1), bool)  # an octahedron with half of each step as its axes
    a, b, c = (step / 2 for step in size)
    corner = sqrt((a * b) ** 2 + (b * c) ** 2 + (a * c) ** 2) / 2
    assert contour_elements(one, size)[1].sum() == pytest.approx(8 * corner, rel=1e-12)
    box = np.ones((3, 4, 6), bool)
    faces = 2 * (2 * 3 * down * rows + 2 * 5 * down * columns + 3 * 5 * rows * columns)
    edges = 4 * (
        2 * down * hypot(rows, columns) / 2
        + 3 * rows * hypot(down, columns) / 2
        + 5 * columns * hypot(down, rows) / 2
    )
    where, areas = contour_elements(box, size)
    assert areas.sum() == pytest.approx(faces + edges + 8 * corner, rel=1e-12)
    assert where.sum() == 4 * 5 * 7 - 2 * 3 * 5


@pytest.mark.parametrize("size", [(1.0, 1.0, 1.0), (5.0, 1.0, 0.3)])
def test_a_volume_and_its_complement_have_one_surface(size):
    inside = np.pad(np.random.default_rng(0).random((5, 6, 4)) < 0.5, 1)
    (where, areas), (around, others) = (contour_elements(m, size) for m in (inside, ~inside))
    core = (slice(1, -1),) * 3
    assert (where[core] == around[core]).all()
    np.testing.assert_allclose(areas[core], others[core], rtol=1e-12)
    smooth = ndimage.gaussian_filter(np.random.default_rng(1).random((12, 12, 12)), 2)
    blob = np.pad(smooth > np.median(smooth), 1)
    mesh = marching_cubes(blob.astype(float), 0.5, spacing=size, method="lorensen")[:2]
    assert contour_elements(blob, size)[1].sum() == pytest.approx(
        mesh_surface_area(*mesh), rel=0.02
    )


def test_unequal_pixels_are_where_the_conventions_differ():
    def moved(size, by):
        y, x = np.mgrid[: round(80 / size[0]), : round(80 / size[1])]
        at = (y + 0.5) * size[0] - 40 - by[0], (x + 0.5) * size[1] - 40 - by[1]
        return np.hypot(*at) < 20

    table = {((5, 1), (0, 3)): (0.90, 1.27, 0.83, 0.69), ((5, 1), (3, 0)): (2.09, 1.50, 0.62, 0.73)}
    table[(1, 1), (3, 0)] = 1.83, 1.68, 0.48, 0.61
    for (size, by), expected in table.items():
        pair = moved(size, by), moved(size, (0, 0))
        found = [AverageSurfaceDistance(size, border=b)(*pair) for b in ("pixels", "contour")]
        found += [SurfaceDice(2, size, border=b)(*pair) for b in ("pixels", "contour")]
        assert found == pytest.approx(expected, abs=0.006)
        hausdorff = [HausdorffDistance(95, size, border=b)(*pair) for b in ("pixels", "contour")]
        assert hausdorff[0] == hausdorff[1]


@pytest.mark.parametrize("border", ["contours", None, 1])
def test_a_border_is_of_pixels_or_a_contour(border):
    for make in (HausdorffDistance, AverageSurfaceDistance, partial(SurfaceDice, 1)):
        with pytest.raises(SettingError, match="border must be 'pixels' or 'contour', got"):
            make(border=border)

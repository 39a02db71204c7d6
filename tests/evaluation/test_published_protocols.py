"""Published protocols against their formulas, written out in loops."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label as connected

from cameval import Sample, Target, center_map
from cameval.errors import ArrayTypeError, NonFiniteError, SettingError, ShapeError
from cameval.evaluation.chexlocalize import CheXlocalizeProtocol
from cameval.evaluation.published_protocols import (
    PointingProtocol,
    WSOLProtocol,
    kang_protocol,
)
from cameval.metrics import PxAP

NAN = float("nan")
SHAPE = (20, 24)


def image(shape=SHAPE):
    return np.zeros(shape, np.float32)


def boxes_in(draw, count, shape=SHAPE):
    """Return boxes of whole pixels within an image."""
    height, width = shape
    x = np.sort(draw.permuted(np.tile(np.arange(width + 1), (count, 1)), axis=1)[:, :2], 1)
    y = np.sort(draw.permuted(np.tile(np.arange(height + 1), (count, 1)), axis=1)[:, :2], 1)
    return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], 1)


def smooth(draw, shape=SHAPE):
    return ndimage.gaussian_filter(draw.normal(size=shape), 2)


# WSOL


def box_set(x0, y0, x1, y1):
    return set(product(range(int(x0), int(x1)), range(int(y0), int(y1))))


def naive_wsol(pairs, ious, bins):
    """Return MaxBoxAcc, MaxBoxAcc at each IoU with any box, image by image and threshold."""
    first, every = np.zeros(bins), np.zeros((len(ious), bins))
    for values, sample in pairs:
        scaled = (values - values.min()) / (values.max() - values.min())
        true = [box_set(*box) for box in sample.targets[0].boxes]
        for step in range(bins):
            labels = connected(scaled >= step / bins, connectivity=2)
            parts = [np.argwhere(labels == k) for k in range(1, labels.max() + 1)]
            parts.sort(key=len, reverse=True)
            hulls = [box_set(*p.min(0)[::-1], *p.max(0)[::-1] + 1) for p in parts]
            best = [max(len(h & t) / len(h | t) for t in true) for h in hulls]
            first[step] += best[0] >= 0.5
            every[:, step] += [max(best) >= iou for iou in ious]
    return first.max() / len(pairs), every.max(1) / len(pairs)


def test_wsol_is_its_formula():
    draw = np.random.default_rng(0)
    samples = [
        Sample(str(n), image(), targets=[Target(n % 2, boxes=boxes_in(draw, 1 + n % 3))])
        for n in range(12)
    ]
    pairs = [(smooth(draw), sample) for sample in samples]
    scores = WSOLProtocol(step=1 / 25)(pairs)
    v1, each = naive_wsol(pairs, (0.3, 0.5, 0.7), 25)
    assert 0 < v1 < 1
    assert scores.max_box_acc == pytest.approx(v1)
    assert list(scores.max_box_acc_at.values()) == pytest.approx(each.tolist())
    assert scores.max_box_acc_v2 == pytest.approx(each.mean())
    maps, masks = np.stack([m for m, _ in pairs]), np.stack([s.mask for s in samples])
    assert scores.px_ap == PxAP.of(maps, masks, bins=25).average_precision
    assert scores.n == 12
    assert WSOLProtocol(step=1 / 25)((torch.from_numpy(m), s) for m, s in pairs) == scores


def test_a_perfect_box_beside_a_touching_one_is_correct():
    touching = Target(0, boxes=np.array([[0, 0, 12, 20], [12, 0, 24, 20]]))
    sample = Sample("two", image(), targets=[touching])
    left = np.arange(24.0) < np.full((20, 1), 12)
    scores = WSOLProtocol((1.0,))([(left * 1.0, sample)])
    assert scores.max_box_acc == scores.max_box_acc_v2 == 1


def test_the_center_map_needs_no_network():
    draw = np.random.default_rng(1)
    sizes = [(30, 40), (41, 33), (24, 24)]
    samples = [
        Sample(str(n), image(size), targets=[Target(0, boxes=boxes_in(draw, 2, size))])
        for n, size in enumerate(sizes * 3)
    ]
    pairs = [(center_map(sample.shape), sample) for sample in samples]
    scores = WSOLProtocol(step=0.02)(pairs)
    v1, each = naive_wsol([(m.numpy().astype(float), s) for m, s in pairs], (0.3, 0.5, 0.7), 50)
    assert scores.max_box_acc == pytest.approx(v1)
    assert scores.max_box_acc_v2 == pytest.approx(each.mean())


def test_wsol_without_objects_and_ignored_pixels():
    none = Sample("none", image(), np.zeros(SHAPE, bool), 0)
    scores = WSOLProtocol()([(smooth(np.random.default_rng(0)), none)])
    assert np.isnan([scores.max_box_acc, scores.max_box_acc_v2, scores.px_ap]).all()
    assert scores.n == 0
    assert np.isnan(WSOLProtocol()([]).px_ap)
    ignore = np.zeros(SHAPE, bool)
    ignore[:, 12:] = True
    values = np.zeros(SHAPE)
    values[5:10, 3:8], values[:, 12:] = 1, 50
    sample = Sample("text", image(), values == 1, 0, ignore=ignore)
    scores = WSOLProtocol()([(values, sample)])
    assert scores.max_box_acc == scores.px_ap == 1
    values[:, 12:] = NAN
    assert WSOLProtocol()([(values, sample)]) == scores


def test_wsol_settings_are_checked():
    for ious in ((), (0,), (1.1,), (NAN,)):
        with pytest.raises(SettingError, match="ious must be"):
            WSOLProtocol(ious)
    for step in (0, 0.3, 2, -0.1, NAN):
        with pytest.raises(SettingError, match="step must be"):
            WSOLProtocol(step=step)


# Pointing game


def naive_pointing(pairs, tolerance):
    """Return hits by class of all and of difficult images, from distances of all pixels."""
    every, difficult = {}, {}
    for maps, sample in pairs:
        for values, target in zip(maps, sample.targets, strict=True):
            at = np.argwhere(values == values.max())
            true = np.argwhere(target.mask)
            if not len(true):
                continue
            gaps = np.hypot(*(at[:, None] - true).transpose(2, 0, 1)).min(1)
            hit = np.mean((gaps < tolerance) | (gaps == 0))
            every.setdefault(target.label, []).append(hit)
            area = sum((y1 - y0) * (x1 - x0) for x0, y0, x1, y1 in target.boxes)
            others = [t for t in sample.targets if t.label != target.label and t.mask.any()]
            if area < values.size / 4 and others:
                difficult.setdefault(target.label, []).append(hit)
    return every, difficult


@pytest.mark.parametrize("tolerance", [0, 3, 15])
def test_the_pointing_game_is_the_mean_over_classes(tolerance):
    draw = np.random.default_rng(2)
    pairs = []
    for n in range(20):
        targets = [
            Target(int(k), boxes=boxes_in(draw, int(draw.integers(0, 3))))
            for k in draw.permutation(4)[: 1 + n % 3]
        ]
        sample = Sample(str(n), image(), targets=targets)
        pairs.append((draw.integers(0, 40, (len(targets), *SHAPE)), sample))
    scores = PointingProtocol(tolerance)(pairs)
    every, difficult = naive_pointing(pairs, tolerance)
    assert 0 < scores.n_difficult < scores.n == sum(map(len, every.values()))
    assert scores.n_difficult == sum(map(len, difficult.values()))
    assert scores.by_class == pytest.approx({k: np.mean(v) for k, v in every.items()})
    assert scores.accuracy == pytest.approx(np.mean([np.mean(v) for v in every.values()]))
    hard = [np.mean(v) for v in difficult.values()]
    assert scores.accuracy_difficult == pytest.approx(np.mean(hard))


def test_an_image_is_difficult_for_small_objects_beside_other_classes():
    def difficult(*targets):
        sample = Sample("s", image((8, 8)), targets=targets)
        return sorted(PointingProtocol()([(center_map((8, 8)), sample)]).by_class_difficult)

    small, quarter = np.array([[0, 0, 4, 3]]), np.array([[0, 0, 4, 4]])
    assert difficult(Target(0, boxes=small)) == []
    assert difficult(Target(0, boxes=small), Target(1, boxes=quarter)) == [0]
    two = np.array([[0, 0, 4, 2], [0, 2, 4, 4]])
    assert difficult(Target(0, boxes=two), Target(1, boxes=small)) == [1]
    absent = Target(1, np.zeros((8, 8), bool))
    assert difficult(Target(0, boxes=small), absent) == []


def test_pointing_without_objects_with_ignored_pixels_and_in_volumes():
    empty = PointingProtocol()([(image(), Sample("none", image(), np.zeros(SHAPE, bool), 0))])
    assert np.isnan([empty.accuracy, empty.accuracy_difficult]).all()
    assert (empty.n, empty.by_class) == (0, {})
    values, ignore = np.zeros(SHAPE), np.zeros(SHAPE, bool)
    values[0, 0], values[19, 23], ignore[0, 0] = 9, 5, True
    sample = Sample("text", image(), values == 5, 0, ignore=ignore)
    assert PointingProtocol()([(values, sample)]).accuracy == 1
    volume = Sample("v", np.zeros((2, 3, 4), np.float32), np.ones((2, 3, 4), bool))
    with pytest.raises(ShapeError, match=r"got a volume \(2, 3, 4\) for sample 'v'"):
        PointingProtocol()([(np.zeros((2, 3, 4)), volume)])
    with pytest.raises(SettingError, match="tolerance must not be negative"):
        PointingProtocol(-1)


# CheXlocalize


def chest_samples(seed, count=16):
    """Return maps and samples of three findings; the third is never present."""
    draw = np.random.default_rng(seed)
    pairs = []
    for n in range(count):
        masks = [smooth(draw) > 0.05, smooth(draw) > 0.08, np.zeros(SHAPE, bool)]
        masks = [mask & (draw.random() > 0.3) for mask in masks]
        maps = np.stack([2 * mask + 6 * smooth(draw) for mask in masks])
        maps[draw.integers(3)] *= draw.random() > 0.3  # constant: the class is not predicted
        targets = [Target(k, mask) for k, mask in enumerate(masks)]
        pairs.append((maps, Sample(str(n), image(), targets=targets, group=f"p{n // 2}")))
    return pairs


def segment(values, threshold):
    span = values.max() - values.min()
    if span == 0:
        return np.zeros(values.shape, bool)
    if threshold is None:
        return values > threshold_otsu(values)
    return (values - values.min()) / span > threshold


def published_iou(pred, true, true_pos_only):
    union = (pred | true).sum()
    if true_pos_only and (not pred.any() or not true.any()):
        return NAN
    return (pred & true).sum() / union if union else NAN


def test_chexlocalize_thresholds_have_the_best_mean_iou_on_validation():
    pairs, protocol = chest_samples(0), CheXlocalizeProtocol()
    thresholds = protocol.tune(pairs)
    assert thresholds[2] is None
    for finding in (0, 1):
        means = [
            np.nanmean([
                published_iou(segment(maps[finding], t), s.targets[finding].mask, True)
                for maps, s in pairs
            ])
            for t in protocol.grid
        ]  # fmt: skip
        assert thresholds[finding] == protocol.grid[int(np.argmax(means))]
    assert protocol.tune([]) == {}


def test_chexlocalize_scores_are_the_published_formulas():
    thresholds = {0: 0.4, 1: 0.6}
    pairs = chest_samples(1)
    scores = CheXlocalizeProtocol()(pairs, thresholds)
    assert scores.thresholds == {0: 0.4, 1: 0.6, 2: None}
    for finding in range(3):
        cut = thresholds.get(finding)
        both = [(segment(maps[finding], cut), s.targets[finding].mask) for maps, s in pairs]
        for found, only in ((scores.iou, True), (scores.iou_all, False)):
            each = np.array([published_iou(*pair, only) for pair in both])
            interval = found[finding]
            assert interval.n == (~np.isnan(each)).sum()
            assert interval.n_undefined == np.isnan(each).sum()
            expected = each[~np.isnan(each)].mean() if interval.n else NAN
            np.testing.assert_allclose(interval.estimate, expected)
        hits = [m[finding] for m, _ in pairs]
        hits = [true[np.unravel_index(v.argmax(), v.shape)] if v.any() else true.mean()
                for v, (_, true) in zip(hits, both, strict=True) if true.any()]  # fmt: skip
        np.testing.assert_allclose(
            scores.pointing[finding].estimate, np.mean(hits) if hits else NAN
        )
    assert scores.iou_all[2].estimate == 0  # every mark is on a negative
    assert np.isnan([scores.iou[2].low, scores.iou[2].high, scores.pointing[2].high]).all()


def test_the_bootstrap_is_of_images_or_of_groups():
    pairs = chest_samples(3, 40)
    protocol = CheXlocalizeProtocol(replicates=4000)
    scores = protocol(pairs, {0: 0.4, 1: 0.6})
    values = np.array([published_iou(segment(m[0], 0.4), s.targets[0].mask, True)
                       for m, s in pairs])  # fmt: skip
    draw = np.random.default_rng(9)
    means = np.sort([np.nanmean(draw.choice(values, len(values))) for _ in range(4000)])
    found = scores.iou[0]
    assert found.low == pytest.approx(means[99], abs=0.01)
    assert found.high == pytest.approx(means[3899], abs=0.01)
    assert str(protocol(pairs, {0: 0.4, 1: 0.6})) == str(scores)
    assert replace(protocol, seed=1)(pairs, {0: 0.4, 1: 0.6}).iou[0] != found
    # Each image twice, in one group: images pretend to be twice as many, groups do not.
    twice = [(m, replace(s, name=f"{s.name} {k}", group=s.name)) for m, s in pairs for k in "ab"]
    by_image = protocol(twice, {0: 0.4, 1: 0.6}).iou[0]
    by_group = replace(protocol, unit="group")(twice, {0: 0.4, 1: 0.6}).iou[0]
    assert by_image.estimate == by_group.estimate == pytest.approx(found.estimate)
    width = found.high - found.low
    assert by_group.high - by_group.low == pytest.approx(width, rel=0.1)
    assert by_image.high - by_image.low == pytest.approx(width / 2**0.5, rel=0.1)
    assert (by_image.n_groups, by_group.n_groups) == (by_image.n, found.n)


def test_the_ends_are_the_order_statistics_of_the_released_code():
    protocol = CheXlocalizeProtocol()
    assert protocol._percentiles(np.arange(1000.0)[::-1]) == (24, 974)
    assert protocol._percentiles(np.array([3.0])) == (3, 3)


def test_targets_given_one_by_one_are_of_one_image():
    pairs = chest_samples(4)
    thresholds = {0: 0.4, 1: 0.6}
    apart = [
        (values, one) for maps, s in pairs for values, one in zip(maps, s.by_target(), strict=True)
    ]
    protocol = CheXlocalizeProtocol(replicates=50)
    assert str(protocol(apart, thresholds)) == str(protocol(pairs, thresholds))
    alike = [(maps, replace(s, name="same")) for maps, s in pairs]
    assert str(protocol(alike, thresholds)) == str(protocol(pairs, thresholds))


def test_chexlocalize_leaves_out_ignored_pixels():
    ignore = np.zeros(SHAPE, bool)
    ignore[:, 20:] = True
    pairs, cut = chest_samples(5, 6), np.s_[:, :20]
    with_text, cropped = [], []
    for maps, sample in pairs:
        masks = [target.mask for target in sample.targets]
        loud = np.where(ignore, 99, maps)
        with_text.append((loud, replace(sample, ignore=ignore)))
        targets = [Target(k, mask[cut].copy()) for k, mask in enumerate(masks)]
        small = Sample(sample.name, image((20, 20)), targets=targets)
        cropped.append((maps[:, :, :20], small))
    protocol = CheXlocalizeProtocol(replicates=50)
    thresholds = protocol.tune(cropped)
    assert protocol.tune(with_text) == thresholds
    found, expected = protocol(with_text, thresholds), protocol(cropped, thresholds)
    np.testing.assert_equal([vars(i) for i in found.iou_all.values()],
                            [vars(i) for i in expected.iou_all.values()])  # fmt: skip


def test_chexlocalize_settings_are_checked():
    for grid in ((), (1.0,), (-0.1,), (0.5, 0.4), (0.5, 0.5), (NAN,)):
        with pytest.raises(SettingError, match="grid must be"):
            CheXlocalizeProtocol(grid)
    with pytest.raises(SettingError, match="replicates must be a positive integer"):
        CheXlocalizeProtocol(replicates=0)
    for confidence in (0, 1, NAN):
        with pytest.raises(SettingError, match="confidence must be"):
            CheXlocalizeProtocol(confidence=confidence)
    with pytest.raises(SettingError, match="unit must be 'sample' or 'group', got 'image'"):
        CheXlocalizeProtocol(unit="image")
    for thresholds, words in (
        ({"Edema": 0.5}, "as those of tune have, got 'Edema'"),
        ({True: 0.5}, "labels .* as keys, .* got True"),
        ({0: 1.0}, r"None or in \[0, 1\), got 1.0 for 0"),
        ({0: NAN}, "threshold must be"),
    ):
        with pytest.raises(SettingError, match=words):
            CheXlocalizeProtocol()([], thresholds)


# The paper


def test_the_papers_five_thresholds_are_numpys():
    draw = np.random.default_rng(6)
    pairs = [(smooth(draw), Sample(str(n), image(), smooth(draw) > 0.1, 0)) for n in range(5)]
    pairs.append((smooth(draw), Sample("none", image(), np.zeros(SHAPE, bool), 0)))
    rules = {
        "mean": np.mean,
        "median": np.median,
        **{f"percentile:{p}": lambda v, p=p: np.percentile(v, p) for p in (75, 90, 95)},
    }
    expected = {
        label: np.mean([published_iou(v > rule(v), s.mask, False) for v, s in pairs[:5]])
        for label, rule in rules.items()
    }
    scores = kang_protocol(pairs)
    assert scores.mean_iou == pytest.approx(expected)
    assert scores.best == max(expected, key=expected.get)
    assert scores.n == 5
    nothing = kang_protocol(pairs[5:])
    assert (nothing.best, nothing.n) == ("", 0)
    assert np.isnan(list(nothing.mean_iou.values())).all()


# Pairs


@pytest.mark.parametrize(
    "protocol",
    [WSOLProtocol(), PointingProtocol(), kang_protocol, CheXlocalizeProtocol().tune],
    ids=["wsol", "pointing", "kang", "chexlocalize"],
)
def test_what_is_no_map_with_its_sample_is_refused(protocol):
    sample = Sample("x-ray 7", image(), np.ones(SHAPE, bool), 0)
    with pytest.raises(ArrayTypeError, match=r"must be an iterable of maps .* got function"):
        protocol(image)
    for pair, came in (
        (sample, "one Sample"),
        ((sample, image()), "a tuple of Sample, ndarray"),
        ((image(),), "a tuple of ndarray"),
        ((), "a tuple of nothing"),
    ):
        with pytest.raises(ArrayTypeError, match=f"got {came} as number 2"):
            protocol([(image(), sample), pair])
    for shape in ((20, 23), (2, *SHAPE), (480,), ()):
        with pytest.raises(ShapeError, match=r"got \(.*\) for sample 'x-ray 7'; resize"):
            protocol([(np.zeros(shape), sample)])
    with pytest.raises(NonFiniteError, match="that of sample 'x-ray 7'"):
        protocol([(np.full(SHAPE, NAN), sample)])
    with pytest.raises(ArrayTypeError, match=r"real numbers, got torch\.bool for sample 'x-ray 7'"):
        protocol([(np.ones(SHAPE, bool), sample)])
    with pytest.raises(ArrayTypeError, match="the map of sample 'x-ray 7' must be a NumPy array"):
        protocol([("map.npy", sample)])

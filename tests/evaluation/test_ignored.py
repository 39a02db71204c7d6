"""Pixels that are ignored, and volumes, in an evaluation."""

from typing import Any

import numpy as np
import pytest
import torch
from evaluations import SMALL, samples, small_network
from torch import nn

import cameval
from cameval import CAMModel, GAPHead, Preparation, Sample, Target, evaluate
from cameval.baselines import center_baseline, intensity_baseline, truth_baseline
from cameval.binarizers import LargestComponent
from cameval.evaluation import default_metrics
from cameval.metrics import HausdorffDistance, SurfaceDice, box_iou, marked_area

PARTS: dict[str, Any] = {
    "methods": {"cam": cameval.cam},
    "binarizers": {"p80": cameval.PercentileBinarizer(80), "otsu": cameval.OtsuBinarizer()},
    "metrics": default_metrics() | {"marked_area": marked_area},
    "baselines": {"center": center_baseline, "intensity": intensity_baseline},
    "progress": False,
}


def with_border(sample: Sample, width: int) -> tuple[Sample, Sample]:
    """Return a sample with ignored columns at its right, and the sample without them."""
    outside = np.zeros(sample.shape, bool)
    outside[:, -width:] = True
    ignoring = Sample(sample.name, sample.image, sample.mask, sample.label, ignore=outside)
    return ignoring, sample


def test_scores_of_pixels_are_those_without_the_ignored_ones() -> None:
    width = 8
    pairs = [with_border(sample, width) for sample in samples(4)]
    parts = PARTS | {"baselines": {"center": center_baseline}}
    results = evaluate(small_network(), [a for a, _ in pairs], prepare=SMALL, **parts)
    net = small_network()
    for row, (_, sample) in enumerate(pairs):
        image, truth = SMALL(sample)
        maps = cameval.CAMExtractor(net, cameval.cam)(image[None], size=sample.shape).maps
        center = cameval.center_map(sample.shape)[None]
        for method, whole in (("cam", maps), ("center", center)):
            kept, true = whole[..., :-width], truth[None, :, :-width]
            for name, metric in PARTS["metrics"].items():
                if cameval.metrics.takes(metric) == "maps":
                    expected = {"": metric(kept, true)}
                else:
                    expected = {
                        label: metric(binarize(kept), true)
                        for label, binarize in PARTS["binarizers"].items()
                    }
                for label, value in expected.items():
                    found = results.select(method=method, metric=name, binarizer=label).values[row]
                    np.testing.assert_allclose(found[0], float(value), rtol=1e-6, equal_nan=True)
        area = results.samples["area"][row]
        assert area == pytest.approx(float(truth[:, :-width].double().mean()), abs=1e-12)


def test_what_is_ignored_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    made, changed = [], []
    for sample in samples(4):
        ignoring, _ = with_border(sample, 8)
        made.append(ignoring)
        mask = sample.mask.copy()
        mask[:, -8:] = rng.random(mask[:, -8:].shape) < 0.5
        changed.append(
            Sample(sample.name, sample.image, mask, sample.label, ignore=ignoring.ignore)
        )
    parts = PARTS | {
        "binarizers": PARTS["binarizers"] | {"largest": LargestComponent(cameval.MeanBinarizer())},
        "metrics": PARTS["metrics"] | {"hd": HausdorffDistance(), "box": box_iou},
    }
    first, second = (
        evaluate(small_network(), each, prepare=SMALL, **parts) for each in (made, changed)
    )
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.codes, second.codes)


def test_nothing_ignored_is_as_no_ignore() -> None:
    made = samples(4)
    none = [
        Sample(s.name, s.image, s.mask, s.label, s.group, ignore=np.zeros(s.shape, bool))
        for s in made
    ]
    first, second = (
        evaluate(small_network(), each, prepare=SMALL, **PARTS) for each in (made, none)
    )
    np.testing.assert_array_equal(first.values, second.values)


# --- Padding --------------------------------------------------------------------------------------


def test_padding_is_not_on_the_grid_of_the_scores() -> None:
    image = np.random.default_rng(0).random((20, 40), np.float32)
    sample = Sample("wide", image, image > 0.9, label=1)
    prepared = Preparation(size=32, fit="pad").prepare(sample)
    assert prepared.image.shape == (3, 32, 32)
    assert prepared.window == ((8, 24), (0, 32))
    assert (prepared.image[:, :8] == 0).all()
    assert (prepared.image[:, 24:] == 0).all()
    assert prepared.truth.shape == (20, 40)


def test_maps_of_a_padded_image_are_those_of_the_part_that_shows_it() -> None:
    net = small_network()
    image = np.random.default_rng(0).random((32, 64), np.float32)
    sample = Sample("wide", image, image > 0.9, label=1)
    prepare = Preparation(size=64, fit="pad")
    whole = cameval.CAMExtractor(net, cameval.cam)(prepare.prepare(sample).image[None]).maps
    inside = whole[:, 16:48]
    for alignment in ("half_pixel",):
        results = evaluate(
            cameval.CAMExtractor(net, cameval.cam, alignment=alignment),
            [sample],
            prepare=prepare,
            **PARTS | {"methods": None, "metrics": [cameval.pixel_auroc], "baselines": {}},
        )
        expected = cameval.pixel_auroc(inside, torch.from_numpy(sample.mask)[None])
        assert results.values[0, 0] == pytest.approx(float(expected), abs=1e-9)


def test_baselines_of_a_padded_image_see_the_image_alone() -> None:
    image = np.random.default_rng(0).random((32, 64), np.float32)
    sample = Sample("wide", image, image > 0.9, label=1)
    parts = PARTS | {"methods": {}, "metrics": {"auroc": cameval.pixel_auroc}}
    padded = evaluate(small_network(), [sample], prepare=Preparation(64, fit="pad"), **parts)
    squeezed = evaluate(small_network(), [sample], prepare=Preparation((32, 64)), **parts)
    np.testing.assert_allclose(padded.values, squeezed.values, atol=1e-9)


def test_a_crop_has_the_aspect_ratio_of_the_input() -> None:
    image = np.random.default_rng(0).random((20, 40), np.float32)
    sample = Sample("wide", image, image > 0.5)
    prepared = Preparation(size=(10, 10), fit="crop").prepare(sample)
    assert prepared.truth.equal(torch.from_numpy(sample.mask[:, 10:30]))
    prepared = Preparation(size=(10, 30), fit="crop").prepare(sample)
    assert prepared.truth.shape == (13, 40)


def test_a_larger_grid_does_not_shrink_the_truth() -> None:
    mask = np.zeros((5, 5), np.bool_)
    mask[1:4, 1:4] = True  # nine pixels of 1.4 x 1.4 new ones: from 1.4 to 5.6
    sample = Sample("small", np.zeros((5, 5), np.float32), mask)
    _, truth = Preparation(size=None, truth_size=(7, 7))(sample)
    expected = np.zeros((7, 7), np.bool_)
    expected[1:6, 1:6] = True  # a share of .6 of pixels 1 and 5 along each side
    expected[1, [1, 5]] = expected[5, [1, 5]] = False  # .36 of those in the corners
    np.testing.assert_array_equal(truth.numpy(), expected)


@pytest.mark.parametrize("setting", [{"fit": "crop"}, {"truth_size": (10, 10)}])
def test_negatives_and_objects_outside_a_crop_have_no_object(setting: dict[str, Any]) -> None:
    image, ids = np.zeros((20, 40), np.float32), np.zeros((20, 40), np.int64)
    ids[:, :4], ids[:, 15:25] = 1, 2
    cut = Preparation(size=(10, 10), **setting)
    for instances, whole in ((ids, 2), (np.where(ids == 1, 1, 0), 1), (np.zeros_like(ids), 0)):
        sample = Sample("wide", image, targets=[Target(0, instances=instances)])
        prepared = cut.prepare(sample)
        assert prepared.objects is not None
        cropped = [k for k in np.unique(instances[:, 10:30]) if k]
        assert len(prepared.objects) == (len(cropped) if "fit" in setting else whole)
    negative = cut.prepare(Sample("healthy", image, image > 0))
    assert negative.objects is not None
    assert not len(negative.objects)


def test_photographs_of_mixed_shapes_are_evaluated_at_once() -> None:
    rng = np.random.default_rng(0)
    made = []
    for k, shape in enumerate([(40, 30), (30, 40), (33, 47), (40, 30)]):
        image = rng.random((*shape, 3), np.float32)
        made.append(Sample(str(k), image, image[..., 0] > 0.8, label=k % 3))
    for fit in ("squeeze", "crop", "pad"):
        results = evaluate(small_network(), made, prepare=Preparation(32, fit=fit), **PARTS)
        assert np.isfinite(results.values).all()
        one = evaluate(small_network(), made[2:3], prepare=Preparation(32, fit=fit), **PARTS)
        np.testing.assert_allclose(one.values[0], results.values[2], rtol=0, atol=1e-6)


# --- Volumes --------------------------------------------------------------------------------------


def volume_network(classes: int = 2) -> CAMModel:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv3d(1, 4, 3, stride=2, padding=1), nn.ReLU())
    return CAMModel(body, GAPHead(nn.Linear(4, classes))).eval()


def volumes(count: int = 3) -> list[Sample]:
    rng = np.random.default_rng(0)
    made = []
    for k in range(count):
        image = rng.random((6, 16, 12), np.float32) / 2
        mask = np.zeros(image.shape, bool)
        mask[1:4, 3 + k : 9, 2:7] = True
        image[mask] += 0.4
        made.append(Sample(f"scan {k}", image, mask, label=k % 2, spacing=(5, 1, 1)))
    return made


GRAY = Preparation(size=None, mean=(0.5,), std=(0.25,))


def test_volumes_are_scored_as_their_parts_are() -> None:
    made, net = volumes(), volume_network()
    metrics = default_metrics() | {
        "hd": HausdorffDistance(100),
        "surface": SurfaceDice(2.0),
        "box": box_iou,
    }
    parts = PARTS | {
        "metrics": metrics,
        "baselines": PARTS["baselines"] | {"truth": truth_baseline},
        "binarizers": {"p80": cameval.PercentileBinarizer(80), "otsu": cameval.OtsuBinarizer()},
    }
    results = evaluate(net, made, prepare=GRAY, **parts)
    images = torch.stack([GRAY(sample)[0] for sample in made])
    maps = cameval.CAMExtractor(net, cameval.cam)(images, classes=net(images).argmax(1)).maps
    assert maps.shape == (3, 6, 16, 12)
    truth = torch.from_numpy(np.stack([sample.mask for sample in made]))
    flat = [each.flatten(1)[:, None] for each in (maps, truth)]
    masks = cameval.PercentileBinarizer(80)(flat[0])

    def found(metric: str, binarizer: str = "p80") -> np.ndarray:
        return results.select(method="cam", metric=metric, binarizer=binarizer).values[:, 0]

    np.testing.assert_allclose(found("iou"), cameval.iou(masks, flat[1]), rtol=1e-6)
    np.testing.assert_allclose(
        found("pixel_auroc", ""), cameval.pixel_auroc(*flat), rtol=1e-6, atol=1e-9
    )
    in_space = masks.reshape(maps.shape)
    spaced = HausdorffDistance(100, spacing=(5, 1, 1))(in_space, truth)
    np.testing.assert_allclose(found("hd"), spaced, rtol=1e-6)
    spaced = SurfaceDice(2.0, spacing=(5, 1, 1))(in_space, truth)
    np.testing.assert_allclose(found("surface"), spaced, rtol=1e-6)
    assert np.isfinite(results.values).all()


def test_a_volume_has_several_targets_too() -> None:
    one = volumes(1)[0]
    boxes = np.array([[2, 3, 1, 7, 9, 4], [7, 3, 1, 9, 9, 4]])
    sample = Sample("a", one.image, targets=[Target(0, one.mask), Target(1, boxes=boxes)])
    parts = PARTS | {"metrics": {"box": box_iou, "iou": cameval.iou}}
    results = evaluate(volume_network(), [sample], prepare=GRAY, task="multilabel", **parts)
    assert len(results) == 2
    assert np.isfinite(results.values).all()


def test_volumes_are_resized_along_every_axis() -> None:
    image = np.linspace(0, 1, 8 * 10 * 12, dtype=np.float32).reshape(8, 10, 12)
    sample = Sample("a", image, image > 0.5)
    prepare = Preparation((4, 5, 6), truth_size=(4, 5, 6), mean=(0.0,), std=(1.0,))
    small, truth = prepare(sample)
    assert small.shape == (1, 4, 5, 6)
    assert truth.shape == (4, 5, 6)
    inner = image.reshape(4, 2, 5, 2, 6, 2).mean((1, 3, 5))
    np.testing.assert_allclose(small[0, 1:-1, 1:-1, 1:-1], inner[1:-1, 1:-1, 1:-1], atol=1e-3)


def test_the_size_of_a_volume_has_three_numbers() -> None:
    with pytest.raises(cameval.errors.ShapeError, match="give three for volumes"):
        Preparation(size=32)(volumes(1)[0])
    with pytest.raises(cameval.errors.ShapeError, match=r"see cameval\.evaluation\.SliceMaps and"):
        Preparation(size=32)(volumes(1)[0])
    image = Sample("image", np.ones((4, 4), np.float32), np.ones((4, 4), bool))
    with pytest.raises(cameval.errors.ShapeError, match=r"give two for images$"):
        Preparation(size=(4, 4, 4))(image)


@pytest.mark.parametrize("size", [None, (8, 16, 16)])
def test_a_volume_in_a_network_of_images_is_refused_with_advice(size) -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    prepare = Preparation(size, mean=(0.0,), std=(1.0,))
    with pytest.raises(cameval.errors.ShapeError, match=r"got one of images; .*SliceMaps"):
        evaluate(net, volumes(2), prepare=prepare, progress=False)

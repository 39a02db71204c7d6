"""`SliceMaps`: the map of a volume is that of each of its slices, on their own pixels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cameval import (
    CAMExtractor,
    CAMModel,
    GAPHead,
    PercentileBinarizer,
    Preparation,
    Sample,
    concat,
    evaluate_maps,
    grad_cam,
    iou,
)
from cameval.errors import DataError, SettingError, ShapeError
from cameval.evaluation import Prepared, SliceMaps
from cameval.metrics import HausdorffDistance
from cameval.sanity import untrained_copy
from cameval.target_classes import all_classes

GRAY = Preparation(size=None, mean=(0.4,), std=(0.2,))
PADDED = Preparation(size=32, mean=(0.4,), std=(0.2,), fit="pad")


def network() -> CAMModel:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 5, 3, stride=2, padding=1), nn.ReLU())
    return CAMModel(body, GAPHead(nn.Linear(5, 3)))


def volume(name: str = "scan", label: int | None = 2, depth: int = 7) -> Sample:
    rng = np.random.default_rng(len(name))
    image = rng.random((depth, 32, 24), np.float32)
    mask = np.zeros(image.shape, np.bool_)
    mask[2:4, 8:20, 6:15] = True
    return Sample(name, image, mask, label, spacing=(5, 1, 1))


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_each_slice_has_the_map_of_its_image(batch_size: int) -> None:
    scan, extract = volume(), CAMExtractor(network(), method=grad_cam)
    found = SliceMaps(extract, GRAY, batch_size=batch_size)(scan)
    assert found.shape == scan.shape
    for plane, own in zip(scan.image, found, strict=True):
        alone = extract(torch.from_numpy((plane - 0.4) / 0.2)[None, None].float(), classes=2)
        torch.testing.assert_close(own, alone.maps[0])


def test_the_padding_of_a_slice_is_not_part_of_its_map() -> None:
    scan, extract = volume(), CAMExtractor(network(), method=grad_cam)
    found = SliceMaps(extract, PADDED)(scan)
    inputs = torch.zeros(7, 1, 32, 32)
    inputs[..., 4:28] = torch.from_numpy((scan.image - 0.4) / 0.2)[:, None]
    torch.testing.assert_close(found, extract(inputs, classes=2).maps[..., 4:28])


def test_the_target_class_is_the_label_or_the_given_one() -> None:
    scan, extract = volume(), CAMExtractor(network(), method=grad_cam)
    images = torch.from_numpy((scan.image - 0.4) / 0.2)[:, None].float()
    every = extract(images, classes=all_classes).maps
    torch.testing.assert_close(SliceMaps(extract, GRAY)(scan), every[:, 2])
    torch.testing.assert_close(SliceMaps(extract, GRAY, target_class=0)(scan), every[:, 0])
    with pytest.raises(DataError, match="'scan' must have a label"):
        SliceMaps(extract, GRAY)(volume(label=None))


def test_scores_are_those_of_the_volume() -> None:
    scans = [volume("first"), volume("second one", depth=9)]
    source = SliceMaps(CAMExtractor(network(), method=grad_cam), GRAY)
    results = evaluate_maps(
        source,
        scans,
        binarizers=PercentileBinarizer(90),
        metrics=[iou, HausdorffDistance(100)],
        baselines={},
        progress=False,
    )
    for scan, (overlap, distance) in zip(scans, results.values, strict=True):
        values = source(scan).numpy()
        marked = values > np.percentile(values, 90)
        both, either = (marked & scan.mask).sum(), (marked | scan.mask).sum()
        assert overlap == pytest.approx(both / either)
        assert distance == pytest.approx(
            max(_farthest(scan.mask, marked), _farthest(marked, scan.mask))
        )


def _farthest(these: np.ndarray, those: np.ndarray) -> float:
    """Return the longest way in mm from a voxel of one mask to the nearest one of the other."""
    here, there = (np.argwhere(mask) * (5, 1, 1) for mask in (these, those))
    return float(np.linalg.norm(here[:, None] - there[None], axis=2).min(1).max())


def test_a_run_of_slice_maps_is_resumed(tmp_path: Path) -> None:
    def run(target_class: int) -> object:
        source = SliceMaps(CAMExtractor(network()), GRAY, target_class)
        return evaluate_maps(
            {"slices": source}, [volume()], metrics=[iou], out=tmp_path, progress=False
        )

    run(1)
    run(1)
    with pytest.raises(SettingError, match="'slices' has other contents"):
        run(0)


def test_malformed_inputs_are_named() -> None:
    extract = CAMExtractor(network())
    with pytest.raises(SettingError, match="extract must be a CAMExtractor, got CAMModel"):
        SliceMaps(network())  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="batch_size must be a whole number from 1, got 0"):
        SliceMaps(extract, batch_size=0)
    image = np.zeros((8, 8), np.float32)
    with pytest.raises(ShapeError, match="'flat' must be a volume"):
        SliceMaps(extract, GRAY)(Sample("flat", image, image > 0, 1))
    with pytest.raises(ShapeError, match=r"whole slices of \(32, 24\).*'scan, slice 0'"):
        SliceMaps(extract, Preparation(size=16, fit="crop", mean=(0.4,), std=(0.2,)))(volume())
    color = Sample("scan", np.ones((2, 8, 8, 3), np.float32), np.ones((2, 8, 8), np.bool_), 1)
    two_channels = Preparation(size=16, mean=(0.4, 0.4), std=(0.2, 0.2))
    with pytest.raises(ShapeError, match="sample 'scan, slice 0': image must be gray or have 2"):
        SliceMaps(extract, two_channels)(color)


def test_a_function_of_your_own_prepares_slices() -> None:
    scan, extract = volume(), CAMExtractor(network(), method=grad_cam)

    def prepare(plane: Sample) -> Prepared:
        assert plane.spacing == (1, 1)
        return Prepared(torch.from_numpy(plane.image)[None] - 1, torch.from_numpy(plane.mask))

    expected = extract(torch.from_numpy(scan.image)[:, None] - 1, classes=2).maps
    torch.testing.assert_close(SliceMaps(extract, prepare)(scan), expected)


def test_the_methods_text_has_network_weights_layer_and_preparation() -> None:
    make = SliceMaps(CAMExtractor(network(), method=grad_cam), PADDED)
    other = SliceMaps(CAMExtractor(network(), method=grad_cam), lambda one: PADDED(one), 1)
    results = evaluate_maps(
        {"ours": make, "own preparation": other, "theirs": lambda one: one.image},
        [volume("one"), volume("two b")],
        binarizers=PercentileBinarizer(95),
        metrics=iou,
        baselines={},
        progress=False,
    )
    text = results.methods_text(names={"ours": "Grad-CAM"})
    record = results.provenance["slice_maps"]["ours"]
    assert (
        "The maps Grad-CAM are computed slice by slice, along the first axis, by grad_cam of the "
        f"network CAMModel (weights {record['weights'][:16]}, layer features), for the class of "
        "the target; they are not scaled. Slices are resized to 32 x 32 pixels (with the aspect"
    ) in text
    assert ", for class 1; they are not scaled. Slices are prepared by " in text
    assert "Maps made elsewhere are theirs; they are not scaled." in text
    assert "The evaluation has 2 volumes" in text
    assert "highest 5 % of its voxels" in text
    again = concat([results])
    assert again.methods_text(names={"ours": "Grad-CAM"}) == text
    torch.manual_seed(3)
    weights = SliceMaps(CAMExtractor(untrained_copy(network(), 1), method=grad_cam)).record()
    assert weights["weights"] != record["weights"]

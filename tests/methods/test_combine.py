"""Targets, fusion and smoothing."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_networks import pictures, small, some_classes
from strategies import maps
from torch import nn

from cameval import CAMExtractor, CAMModel, GAPHead, hires_cam, normalize_maps
from cameval.errors import ClassIndexError, NonFiniteError, SettingError, ShapeError
from cameval.methods import (
    FinerTarget,
    augmentation_smoothing,
    max_fusion,
    mean_fusion,
    product_fusion,
)


@given(st.data())
def test_finer_target_is_a_difference_to_the_nearest_logits(data: st.DataObject) -> None:
    row = st.permutations([-3.2, 0.5, 1.0, 4.0, 9.5])  # no two as far from a third
    rows = data.draw(st.lists(row, min_size=1, max_size=3))
    logits = torch.tensor(rows)
    similar, strength = data.draw(st.integers(1, 4)), data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    classes = torch.tensor(
        data.draw(st.lists(st.integers(0, 4), min_size=len(rows), max_size=len(rows)))
    )
    found = FinerTarget(classes, similar, strength)(logits)
    for row, chosen, score in zip(rows, classes.tolist(), found.tolist(), strict=True):
        others = [value for index, value in enumerate(row) if index != chosen]
        nearest = sorted(others, key=lambda value: abs(value - row[chosen]))[:similar]
        assert score == pytest.approx(row[chosen] - strength * sum(nearest) / similar)


def test_a_finer_map_is_the_difference_of_the_maps() -> None:
    extract = CAMExtractor(small("pooled"), method=hires_cam)
    images = pictures("pooled")
    found = extract(images, target=FinerTarget(1, similar=3)).maps
    rest = [extract(images, classes=c).maps for c in (0, 2, 3)]
    torch.testing.assert_close(found, extract(images, classes=1).maps - sum(rest) / 3)


def test_finer_target_refuses_what_it_cannot_do() -> None:
    logits = torch.zeros(2, 3)
    with pytest.raises(SettingError, match="less than the network's 3 classes, got 3"):
        FinerTarget(0)(logits)
    with pytest.raises(ClassIndexError, match="got 3"):
        FinerTarget(3, similar=1)(logits)
    with pytest.raises(ShapeError, match="one per image"):
        FinerTarget(torch.tensor([0, 1, 2]), similar=1)(logits)
    with pytest.raises(SettingError, match="similar must be a positive integer"):
        FinerTarget(0, similar=0)
    with pytest.raises(SettingError, match="strength must be finite"):
        FinerTarget(0, strength=float("inf"))


FUSIONS = {mean_fusion: np.mean, max_fusion: np.max, product_fusion: np.prod}


@pytest.mark.parametrize("fuse", FUSIONS)
@given(data=st.data())
def test_fusion_is_of_maps_scaled_one_by_one(fuse, data: st.DataObject) -> None:
    """B6: a map a thousand times larger, or another image, does not change the rest."""
    shape = (2, 3, 4)
    first, second = data.draw(maps(shape)).double(), data.draw(maps(shape)).double()
    found = fuse([first, second])
    expected = [
        FUSIONS[fuse]([normalize_maps(m[n].numpy()) for m in (first, second)], axis=0)
        for n in range(2)
    ]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    torch.testing.assert_close(fuse([1024 * first, second]), found)
    arrays = fuse([first.numpy(), second.numpy()])
    assert isinstance(arrays, np.ndarray)
    np.testing.assert_array_equal(arrays, found.numpy())


@pytest.mark.parametrize("fuse", FUSIONS)
def test_fusion_refuses_what_does_not_align(fuse) -> None:
    with pytest.raises(SettingError, match="got none"):
        fuse([])
    with pytest.raises(ShapeError, match=r"\(2, 3\), \(3, 2\); resize them with"):
        fuse([torch.zeros(2, 3), torch.zeros(3, 2)])
    with pytest.raises(NonFiniteError):
        fuse([torch.tensor([[float("nan")]])])


def test_smoothing_is_the_mean_of_maps_turned_back() -> None:
    extract = CAMExtractor(small("curved"), method=hires_cam)
    images, classes = pictures("curved"), some_classes()
    found = augmentation_smoothing(extract, images, classes, scales=(0.5, 2.0))
    expected = [extract(images * scale, classes).maps for scale in (0.5, 2.0)]
    expected += [extract(images.flip(3) * scale, classes).maps.flip(2) for scale in (0.5, 2.0)]
    torch.testing.assert_close(found, torch.stack(expected).mean(0))
    still = augmentation_smoothing(extract, images, classes, flip=False, scales=[1])
    assert torch.equal(still, extract(images, classes).maps)
    assert not torch.allclose(found, still)


def test_smoothing_does_not_move_a_map_that_turns_with_its_image() -> None:
    model = CAMModel(nn.Identity(), GAPHead(nn.Linear(3, 4))).double().eval()
    extract = CAMExtractor(model, method=hires_cam)
    images, classes = pictures("pooled"), some_classes()
    found = augmentation_smoothing(extract, images, classes)
    torch.testing.assert_close(found, extract(images, classes).maps)


@pytest.mark.parametrize("scales", [(), (1.0, 0.0), (-1.0,), (float("nan"),), (float("inf"),)])
def test_smoothing_checks_its_factors(scales: tuple[float, ...]) -> None:
    extract = CAMExtractor(small("pooled"))
    with pytest.raises(SettingError, match="scales must be one or more positive numbers"):
        augmentation_smoothing(extract, pictures("pooled"), some_classes(), scales=scales)

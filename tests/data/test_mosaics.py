"""Mosaics: what is in the cells, which images are chosen, and what is refused."""

from collections import Counter

import numpy as np
import pytest
import torch
from evaluations import Lazy
from torch.nn.functional import interpolate

from cameval.data import MosaicDataset, Prediction, Sample, Target
from cameval.errors import DataError, SettingError, ShapeError


def pictures(count=20, classes=5, size=(6, 8), channels=3):
    rng = np.random.default_rng(0)
    shape = size if channels is None else (*size, channels)
    return [
        Sample(f"image {k}", rng.random(shape, dtype=np.float32), np.eye(*size) > 0, k % classes)
        for k in range(count)
    ]


def test_each_cell_is_an_image_and_the_truth_of_its_class():
    made = {one.name: one for one in pictures()}
    mosaics = MosaicDataset(list(made.values()), grid=(2, 2))
    assert len(mosaics) >= 3
    for number, names in enumerate(mosaics.names):
        sample = mosaics[number]
        assert sample.info["images"] == ", ".join(names)
        assert sample.image.shape == (12, 16, 3)
        assert sum(target.mask.astype(int) for target in sample.targets).tolist() == [[1] * 16] * 12
        for k, (name, target) in enumerate(zip(names, sample.targets, strict=True)):
            y, x = 6 * (k // 2), 8 * (k % 2)
            one = made[name]
            np.testing.assert_array_equal(sample.image[y : y + 6, x : x + 8], one.image)
            assert target.mask[y : y + 6, x : x + 8].all()
            assert target.label == one.label
        assert len({target.label for target in sample.targets}) == 4
    assert mosaics[-1].name == f"mosaic {len(mosaics)}"
    assert max(Counter(name for names in mosaics.names for name in names).values()) == 1


def test_the_seed_decides_and_count_takes_the_first():
    made = pictures()
    first, again = (MosaicDataset(made, seed=7) for _ in range(2))
    assert first.names == again.names
    assert MosaicDataset(made, seed=7, count=2).names == first.names[:2]
    assert {MosaicDataset(made, seed=seed).names for seed in range(4)} != {first.names}
    every = [MosaicDataset(made, (1, 5), seed=seed) for seed in range(20)]
    assert {len(mosaics) for mosaics in every} == {4}  # all images are used
    label_of = {one.name: one.label for one in made}
    first_cells = Counter(label_of[names[0]] for mosaics in every for names in mosaics.names)
    assert set(first_cells) == set(range(5))  # each class comes in each cell


def test_only_confident_right_images_are_chosen():
    made = pictures()
    predictions = {
        one.name: Prediction(one.label if k % 2 else (one.label + 1) % 5, 0.4 + k / 40)
        for k, one in enumerate(made)
    } | {"image 19": Prediction()}
    mosaics = MosaicDataset(made, (1, 2), predictions=predictions, confidence=0.6)
    used = {name for names in mosaics.names for name in names}
    assert used <= {f"image {k}" for k in (9, 11, 13, 15, 17)}  # .6 itself is not above .6
    del predictions["image 11"]
    mosaics = MosaicDataset(made, (1, 2), predictions=predictions, confidence=0.6)
    assert "image 11" not in {name for names in mosaics.names for name in names}
    some = [f"image {k}" for k in range(10)]
    mosaics = MosaicDataset(made, (1, 5), names=some)
    assert sorted(name for names in mosaics.names for name in names) == sorted(some)


def test_images_are_resized_to_the_cell_and_gray_ones_stay_gray():
    mosaics = MosaicDataset(pictures(channels=None), (1, 2), size=(3, 5))
    sample, (name, _) = mosaics[0], mosaics.names[0]
    assert sample.image.shape == (3, 10)
    image = next(one.image for one in pictures(channels=None) if one.name == name)
    expected = interpolate(
        torch.from_numpy(image)[None, None], (3, 5), mode="bilinear", antialias=True
    )
    np.testing.assert_allclose(sample.image[:, :5], expected[0, 0], atol=1e-6)
    mixed = pictures(10) + [
        Sample(f"gray {k}", one.image, one.mask, one.label)
        for k, one in enumerate(pictures(10, channels=None))
    ]
    whole = MosaicDataset(mixed, (1, 5))[0].image
    assert whole.shape == (6, 40, 3)


def test_a_dataset_that_knows_its_labels_is_read_mosaic_by_mosaic():
    data = Lazy(pictures(12, classes=3))
    data.names = tuple(one.name for one in data.made)
    data.labels = np.array([one.label for one in data.made])
    mosaics = MosaicDataset(data, (1, 2))
    assert data.read == []
    assert mosaics.class_names == ("round", "square", "long")
    _ = mosaics[1]
    assert len(data.read) == 2


def test_what_is_wrong_is_named():
    made = pictures()
    for settings, words in [
        ({"grid": (1, 1)}, "at least two cells"),
        ({"grid": (2, 0)}, "grid must be two positive integers"),
        ({"size": (3,)}, "size must be two positive integers"),
        ({"confidence": 1.0}, r"confidence must be in \[0, 1\)"),
        ({"count": 0}, "count must be a positive integer"),
        ({"names": ["image 0", "scan 5"]}, "names must be of samples, got 'scan 5'"),
    ]:
        with pytest.raises(SettingError, match=words):
            MosaicDataset(made, **settings)
    with pytest.raises(DataError, match=r"images of 6 classes for each of 1 mosaics.* 5 classes"):
        MosaicDataset(made, (2, 3))
    with pytest.raises(DataError, match="each of 9 mosaics"):
        MosaicDataset(made, count=9)
    two = Sample("two", made[0].image, targets=[Target(0, made[0].mask), Target(1, made[0].mask)])
    for strange in (two, Sample("none", made[0].image, made[0].mask)):
        with pytest.raises(DataError, match="must have one label"):
            MosaicDataset([*made, strange])
    others = [
        Sample(f"large {k}", np.ones((9, 9, 3), np.float32), np.eye(9) > 0, 5 + k % 2)
        for k in range(60)
    ]
    with pytest.raises(ShapeError, match="images of a mosaic must have one size"):
        list(MosaicDataset([*made, *others], (1, 5)))
    volumes = [
        Sample(f"v {k}", np.ones((3, 4, 5), np.float32), np.ones((3, 4, 5), bool), k)
        for k in range(2)
    ]
    with pytest.raises(ShapeError, match="got a volume"):
        MosaicDataset(volumes, (1, 2))[0]

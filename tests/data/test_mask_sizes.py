"""Masks of another size than their image, and masks of ignored pixels, in records and readers."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from cameval.data import (
    FolderDataset,
    ImageFile,
    ManifestDataset,
    MaskFile,
    OrientationWarning,
    PictureDataset,
    Record,
    TargetRecord,
    cached,
)
from cameval.data._mask_sizes import resize_mask, resize_numbers, same_view
from cameval.errors import DataError

LENGTHS = st.integers(1, 7)
MASKS = st.tuples(LENGTHS, LENGTHS).flatmap(lambda shape: arrays(np.bool_, shape))
SIZE = (6, 8)


def write(path: Path, array: np.ndarray, orientation: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.asarray(array, np.uint8))
    exif = picture.getexif()
    if orientation is not None:
        exif[0x0112] = orientation
    picture.save(path, exif=exif)
    return path


# The rule


@given(MASKS, LENGTHS, LENGTHS)
def test_a_pixel_is_true_where_more_than_half_of_its_area_is(
    mask: np.ndarray, height: int, width: int
) -> None:
    h, w = mask.shape
    fine = np.kron(mask, np.ones((height, width), int))  # both grids divide this one
    areas = fine.reshape(height, h, width, w).sum((1, 3))
    np.testing.assert_array_equal(resize_mask(mask, (height, width)), 2 * areas > h * w)


@given(MASKS, LENGTHS)
def test_a_larger_mask_is_repeated_and_the_inverse_undoes_it(mask: np.ndarray, factor: int) -> None:
    h, w = mask.shape
    larger = resize_mask(mask, (factor * h, factor * w))
    np.testing.assert_array_equal(larger, mask.repeat(factor, 0).repeat(factor, 1))
    np.testing.assert_array_equal(resize_mask(larger, mask.shape), mask)


@given(arrays(np.bool_, (3, 4, 2)), LENGTHS)
def test_volumes_are_resized_along_each_axis(mask: np.ndarray, length: int) -> None:
    areas = np.kron(mask, np.ones((length, 1, 1), int)).reshape(length, 3, 4, 2).sum(1)
    np.testing.assert_array_equal(resize_mask(mask, (length, 4, 2)), 2 * areas > 3)


def test_numbers_of_objects_are_resized_each_by_itself() -> None:
    numbers = np.array([[1, 1, 1, 2, 2, 2, 2, 3]])
    assert resize_numbers(numbers, (1, 4)).tolist() == [[1, 0, 2, 0]]
    assert resize_numbers(numbers, (1, 16)).tolist() == [numbers.repeat(2).tolist()]


@pytest.mark.parametrize(
    ("mask", "image", "same"),
    [
        ((3, 4), (6, 8), True),
        ((167, 250), (333, 500), True),  # rounded
        ((333, 500), (167, 250), True),
        ((224, 224), (333, 500), False),
        ((8, 6), (6, 8), False),
    ],
)
def test_a_view_has_the_ratio_of_the_image(
    mask: tuple[int, int], image: tuple[int, int], same: bool
) -> None:
    assert same_view(mask, image) is same


# Records


@pytest.fixture
def image(tmp_path: Path) -> ImageFile:
    return ImageFile(write(tmp_path / "1.png", np.arange(48).reshape(SIZE)))


def test_masks_instances_and_ignored_pixels_are_resized(tmp_path: Path, image: ImageFile) -> None:
    small = np.zeros((3, 4), np.bool_)
    small[1, 1:3] = True
    source = MaskFile(write(tmp_path / "mask.png", small * 255))

    class Numbers:
        path = tmp_path / "numbers"

        def __call__(self) -> np.ndarray:
            return small.astype(int) * [1, 1, 2, 2]

    class Stack(Numbers):
        def __call__(self) -> np.ndarray:
            return np.stack([small & (np.ones(4) == [1, 1, 0, 0]), small])

    targets = {0: source, 1: TargetRecord(instances=Numbers()), 2: TargetRecord(instances=Stack())}
    sample = Record("x", image, targets=targets, ignore=source, resize_masks=True).read()
    large = small.repeat(2, 0).repeat(2, 1)
    np.testing.assert_array_equal(sample.targets[0].mask, large)
    np.testing.assert_array_equal(sample.ignore, large)
    for target, areas in zip(sample.targets[1:], ([4, 4], [4, 8]), strict=True):
        assert target.objects.masks.sum((1, 2)).tolist() == areas
        np.testing.assert_array_equal(target.mask, large)


def test_another_size_is_told_with_the_way_out(tmp_path: Path, image: ImageFile) -> None:
    half = MaskFile(write(tmp_path / "half.png", np.ones((3, 4))))
    with pytest.raises(DataError, match=r"half\.png: .* got \(3, 4\) and \(6, 8\); set resize_m"):
        Record("x", image, half).read()
    square = MaskFile(write(tmp_path / "square.png", np.ones((40, 40))))
    for resize_masks, needed in ((True, "aspect ratio"), (False, "height and width")):
        with pytest.raises(DataError) as caught:
            Record("x", image, square, resize_masks=resize_masks).read()
        said = str(caught.value)
        assert f"square.png: the mask must have the {needed} of its image" in said
        assert "resize_masks" not in said
        (code,) = re.findall(r"mask\.resize\(.*NEAREST\)", said)
        with Image.open(square.path) as mask:
            eval(code, {"mask": mask, "Image": Image}).save(tmp_path / "whole.png")
        whole = MaskFile(tmp_path / "whole.png")
        assert Record("x", image, whole, resize_masks=resize_masks).read().mask.all()


@pytest.mark.parametrize("orientation", range(2, 9))
def test_smaller_masks_of_turned_photographs_are_turned_first(
    tmp_path: Path, orientation: int
) -> None:
    stored, small = np.zeros(SIZE), np.zeros((3, 4), np.bool_)
    small[0, :3] = True
    photo = ImageFile(write(tmp_path / "1.jpg", stored, orientation))
    mask = MaskFile(write(tmp_path / "1.png", small * 255))
    settings = {} if orientation in (5, 6, 7, 8) else {"mask_orientation": "stored"}
    found = Record("x", photo, mask, resize_masks=True, **settings).read()
    exact = MaskFile(write(tmp_path / "2.png", small.repeat(2, 0).repeat(2, 1) * 255))
    expected = Record("x", photo, exact, mask_orientation="stored").read()
    np.testing.assert_array_equal(found.mask, expected.mask)


def test_a_square_photograph_that_is_turned_is_not_decided_by_its_mask(tmp_path: Path) -> None:
    photo = ImageFile(write(tmp_path / "1.jpg", np.zeros((8, 8)), 6))
    mask = MaskFile(write(tmp_path / "1.png", np.eye(4) * 255))
    with pytest.warns(OrientationWarning):
        Record("x", photo, mask, resize_masks=True).read()


# Readers


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write(tmp_path / "images" / f"{name}.png", np.arange(48).reshape(SIZE))
        write(tmp_path / "masks" / f"{name}.png", np.eye(3, 4) * 255)
    write(tmp_path / "rulers" / "b.png", np.eye(6, 8) * 255)
    lines = ["image,mask,ignore"]
    lines += [f"images/{n}.png,masks/{n}.png,{r}" for n, r in (("a", ""), ("b", "rulers/b.png"))]
    (tmp_path / "index.csv").write_text("\n".join(lines))
    return tmp_path


def of_folders(folder: Path, **settings: bool) -> PictureDataset:
    return FolderDataset(folder / "images", folder / "masks", ignore=folder / "rulers", **settings)  # type: ignore[arg-type]


def of_table(folder: Path, **settings: bool) -> PictureDataset:
    return ManifestDataset(folder / "index.csv", **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("read", [of_folders, of_table])
def test_readers_resize_masks_and_ignore_pixels(folder: Path, read) -> None:
    with pytest.raises(DataError, match="set resize_masks=True, or --resize-masks, to resize it"):
        read(folder)[0]
    dataset = read(folder, resize_masks=True)
    first, second = dataset
    np.testing.assert_array_equal(first.mask, np.eye(3, 4, dtype=bool).repeat(2, 0).repeat(2, 1))
    assert first.ignore is None
    np.testing.assert_array_equal(second.ignore, np.eye(6, 8, dtype=bool))
    assert folder / "rulers" / "b.png" in dataset.sources
    assert dataset.settings != read(folder).settings
    kept = cached(dataset, folder / "kept.h5")
    np.testing.assert_array_equal(kept[1].ignore, second.ignore)


def test_ignored_pixels_without_an_image_are_told(folder: Path) -> None:
    write(folder / "rulers" / "c.png", np.eye(6, 8) * 255)
    with pytest.raises(DataError, match="every mask must have an image, got none for 'c'"):
        of_folders(folder)
    text = (folder / "index.csv").read_text().replace("rulers/b.png", "rulers/d.png")
    (folder / "index.csv").write_text(text)
    with pytest.raises(DataError, match="line 3: ignore must name a file, got no such file"):
        of_table(folder)

"""Photographs that a camera stored turned or mirrored, beside masks that may be so too."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from cameval.data import (
    CocoDataset,
    FolderDataset,
    ImageFile,
    ManifestDataset,
    MaskFile,
    OrientationWarning,
    cached,
)
from cameval.data.pictures import turn_upright
from cameval.errors import DataError, SettingError

RNG = np.random.default_rng(0)
WIDE, SQUARE = (6, 10), (8, 8)


def object_in(shape: tuple[int, int]) -> np.ndarray:
    """Return a mask that no turn and no mirror leaves as it is."""
    mask = np.zeros(shape, bool)
    mask[1, 1:5] = mask[1:4, 1] = True
    return mask


def save(path: Path, pixels: np.ndarray, orientation: int | None = None) -> Path:
    """Write pixels as they are, with a note of how a camera held them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Return what Pillow makes of stored pixels."""
    picture = Image.fromarray(pixels)
    picture.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


def folders(root: Path, **settings):
    return FolderDataset(root / "images", root / "masks", **settings)


def manifest(root: Path, **settings):
    (root / "list.csv").write_text("image,mask\nimages/a.png,masks/a.png\n")
    return ManifestDataset(root / "list.csv", **settings)


def pair(root: Path, photograph, mask, orientation: int, own: int | None = None) -> None:
    save(root / "images" / "a.png", photograph, orientation)
    save(root / "masks" / "a.png", mask.astype(np.uint8) * 255, own)


def together(sample) -> bool:
    """Return whether the bright pixels are the object."""
    return np.array_equal(sample.image > 0.5, sample.mask)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [WIDE, SQUARE])
def test_arrays_are_turned_as_pillow_turns_pictures(orientation, shape):
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(turn_upright(pixels, orientation), upright(pixels, orientation))


@pytest.mark.parametrize("reader", [folders, manifest])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("stored", [True, False])
def test_the_size_of_a_mask_tells_whether_it_is_turned(tmp_path, reader, orientation, stored):
    mask = object_in(WIDE)
    pair(
        tmp_path,
        mask.astype(np.uint8) * 255,
        mask if stored else turn_upright(mask, orientation),
        orientation,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sample = reader(tmp_path)[0]
    assert sample.image.shape == WIDE[::-1]
    assert together(sample)


@pytest.mark.parametrize("reader", [folders, manifest])
@pytest.mark.parametrize(
    ("orientation", "shape"),
    [*((o, WIDE) for o in (2, 3, 4)), *((o, SQUARE) for o in range(2, 9))],
)
def test_where_nothing_tells_a_mask_is_of_the_stored_pixels_and_that_is_said(
    tmp_path, reader, orientation, shape
):
    mask = object_in(shape)
    pair(tmp_path, mask.astype(np.uint8) * 255, mask, orientation)
    with pytest.warns(OrientationWarning, match=r"a.png .*set mask_orientation"):
        assert together(reader(tmp_path)[0])


@pytest.mark.parametrize("reader", [folders, manifest])
@pytest.mark.parametrize("shape", [WIDE, SQUARE])
@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("setting", ["stored", "upright"])
@pytest.mark.parametrize("own", [None, 1])
def test_a_setting_decides_in_silence(tmp_path, reader, shape, orientation, setting, own):
    mask = object_in(shape)
    there = mask if setting == "stored" else turn_upright(mask, orientation)
    pair(tmp_path, mask.astype(np.uint8) * 255, there, orientation, own)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert together(reader(tmp_path, mask_orientation=setting)[0])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("own", range(2, 9))
def test_a_mask_follows_its_own_note(tmp_path, orientation, own):
    mask = object_in(SQUARE)
    right = turn_upright(mask, orientation)
    inverse = {6: 8, 8: 6}.get(own, own)
    pair(tmp_path, mask.astype(np.uint8) * 255, turn_upright(right, inverse), orientation, own)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert together(folders(tmp_path)[0])


def test_a_mask_that_notes_that_it_is_upright_is_left_and_that_is_said(tmp_path):
    mask = object_in(WIDE)
    pair(tmp_path, mask.astype(np.uint8) * 255, turn_upright(mask, 3), 3, own=1)
    with pytest.warns(OrientationWarning, match="assumed to be upright"):
        assert together(folders(tmp_path)[0])


def test_a_photograph_that_is_upright_says_nothing(tmp_path):
    mask = object_in(WIDE)
    for orientation in (1, 0, 9):
        pair(tmp_path, mask.astype(np.uint8) * 255, mask, orientation)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert together(folders(tmp_path)[0])


def test_a_mask_of_neither_size_is_refused(tmp_path):
    pair(tmp_path, np.zeros(WIDE, np.uint8), np.zeros((6, 9), bool), 6)
    with pytest.raises(DataError, match="the mask must have the height and width of its image"):
        folders(tmp_path)[0]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_note_is_read_from_every_format(tmp_path, suffix, orientation):
    pixels = object_in((32, 48)).astype(np.uint8) * 255
    path = save(tmp_path / f"1.{suffix}", pixels, orientation)
    image, noted = ImageFile(path).read()
    image = image if image.ndim == 2 else image[..., 0]  # WebP has color
    assert noted == orientation
    assert image.shape == upright(pixels, orientation).shape
    mask, noted = MaskFile(path, threshold=127).read()
    assert noted == orientation
    np.testing.assert_array_equal(mask, image > 0.5)


def objects(root: Path, shape: tuple[int, int], orientation: int, height: int, width: int, **more):
    """Write a photograph with one object at its upper left, and a COCO file that has its size."""
    mask = np.zeros(shape, np.uint8)
    mask[1:3, 1:5] = 255
    save(root / "a.png", mask, orientation)
    box = [1, 1, 4, 2]
    if (height, width) != shape:  # drawn on the upright photograph
        rows, columns = np.nonzero(turn_upright(mask, orientation))
        box = [int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": height, "width": width}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": box}],
    }
    (root / "o.json").write_text(json.dumps(content))
    return CocoDataset(root / "o.json", root, **more)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
@pytest.mark.parametrize("size", [WIDE, WIDE[::-1]])
def test_the_size_that_coco_notes_tells_too(tmp_path, orientation, size):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert together(objects(tmp_path, WIDE, orientation, *size)[0])


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_shapes_of_coco_are_of_the_stored_pixels_where_nothing_tells(tmp_path, orientation):
    with pytest.warns(OrientationWarning):
        assert together(objects(tmp_path, WIDE, orientation, *WIDE)[0])
    sample = objects(tmp_path, WIDE, orientation, *WIDE, mask_orientation="upright")[0]
    assert sample.mask[1, 1]


def test_the_setting_is_checked_and_part_of_what_a_cache_is_of(tmp_path):
    mask = object_in(WIDE)
    pair(tmp_path, mask.astype(np.uint8) * 255, mask, 3)
    with pytest.raises(SettingError, match="mask_orientation must be 'stored', 'upright' or None"):
        folders(tmp_path, mask_orientation="turned")
    stored = folders(tmp_path, mask_orientation="stored")
    again = folders(tmp_path, mask_orientation="upright")
    assert together(cached(stored, tmp_path / "c.h5")[0])
    assert not together(cached(again, tmp_path / "c.h5")[0])

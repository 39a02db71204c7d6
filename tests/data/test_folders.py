"""Image and mask files, and the folders that they lie in."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torch.utils.data import DataLoader

from cameval.data import (
    FolderDataset,
    ImageFile,
    ManifestDataset,
    MaskFile,
    MaskValueWarning,
    PictureDataset,
    Record,
    cached,
    read_info,
    read_labels,
)
from cameval.errors import DataError, SettingError

GRAY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 11
COLOR = np.stack([GRAY, 255 - GRAY, GRAY // 2], axis=-1)
TRUTH = GRAY > 100


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = array if isinstance(array, Image.Image) else Image.fromarray(array)
    picture.save(path, **options)
    return path


def indexed(indices):
    """Return a palette picture in which index 1 is black and index 2 white."""
    picture = Image.fromarray(np.asarray(indices, dtype=np.uint8))
    picture.putpalette([9, 9, 9, 0, 0, 0, 255, 255, 255] + [7] * 759)
    return picture


@pytest.fixture
def folders(tmp_path):
    for name in ("b", "a", "c"):
        save(tmp_path / "images" / f"{name}.png", COLOR)
        save(tmp_path / "masks" / f"{name}.png", TRUTH)
    (tmp_path / "images" / ".hidden.png").write_bytes(b"hidden")
    (tmp_path / "masks" / "notes.txt").write_text("no mask")
    return tmp_path / "images", tmp_path / "masks"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("deep")


# One image


@pytest.mark.parametrize(
    ("suffix", "options"),
    [("png", {}), ("tif", {}), ("TIFF", {"compression": "tiff_lzw"}), ("bmp", {})],
)
@pytest.mark.parametrize("raw", [GRAY, COLOR], ids=["gray", "color"])
def test_eight_bits_are_divided_by_255_in_every_format(tmp_path, suffix, options, raw):
    image = ImageFile(save(tmp_path / f"1.{suffix}", raw, **options))()
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, raw.astype(np.float32) / 255)


def test_webp_without_loss_is_exact(tmp_path):
    image = ImageFile(save(tmp_path / "1.webp", COLOR, lossless=True))()
    np.testing.assert_array_equal(image, COLOR.astype(np.float32) / 255)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_a_jpeg_is_near(tmp_path, mode):
    picture = Image.new("RGB", (32, 16), (200, 100, 50)).convert(mode)
    image = ImageFile(save(tmp_path / "1.jpg", picture, quality=95))()
    expected = np.asarray(picture if mode == "L" else picture.convert("RGB")) / 255
    assert np.abs(image - expected).max() < 0.02


@given(raw=arrays(np.uint16, (3, 5)), suffix=st.sampled_from(["png", "tif"]))
def test_sixteen_bits_are_divided_by_65535(place, raw, suffix):
    image = ImageFile(save(place / f"1.{suffix}", raw))()
    np.testing.assert_array_equal(image, (raw / 65535.0).astype(np.float32))


def test_stretching_scales_by_the_images_own_range(tmp_path):
    raw = np.array([[300, 1300, 2300]], dtype=np.uint16)
    assert ImageFile(save(tmp_path / "1.png", raw), stretch=True)().tolist() == [[0, 0.5, 1]]
    signed = np.array([[-5, 0, 5]], dtype=np.int32)
    assert ImageFile(save(tmp_path / "2.tif", signed), stretch=True)().tolist() == [[0, 0.5, 1]]
    floats = np.array([[-2.0, 0.0, 2.0]], dtype=np.float32)
    assert ImageFile(save(tmp_path / "3.tif", floats), stretch=True)().tolist() == [[0, 0.5, 1]]
    color = np.array([[[10, 20, 30]]], dtype=np.uint8)
    assert ImageFile(save(tmp_path / "4.png", color), stretch=True)().tolist() == [[[0, 0.5, 1]]]
    flat = np.full((2, 2), 77, dtype=np.uint8)
    assert not ImageFile(save(tmp_path / "5.png", flat), stretch=True)().any()


def test_floating_point_in_the_unit_range_is_kept(tmp_path):
    raw = np.array([[0.0, 0.3, 1.0]], dtype=np.float32)
    np.testing.assert_array_equal(ImageFile(save(tmp_path / "1.tif", raw))(), raw)


def test_a_bilevel_image_is_black_and_white(tmp_path):
    np.testing.assert_array_equal(ImageFile(save(tmp_path / "1.png", TRUTH))(), TRUTH)


def test_alpha_is_dropped(tmp_path):
    alpha = np.zeros((4, 6, 1), dtype=np.uint8)
    path = save(tmp_path / "1.png", np.concatenate([COLOR, alpha], axis=-1))
    np.testing.assert_array_equal(ImageFile(path)(), COLOR.astype(np.float32) / 255)
    path = save(tmp_path / "2.png", Image.fromarray(np.stack([GRAY, GRAY // 3], axis=-1)))
    np.testing.assert_array_equal(ImageFile(path)(), GRAY.astype(np.float32) / 255)


def test_a_palette_image_has_its_colors(tmp_path):
    image = ImageFile(save(tmp_path / "1.png", indexed([[1, 2]])))()
    assert image.tolist() == [[[0, 0, 0], [1, 1, 1]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_that_the_camera_noted_is_followed(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = {  # what a viewer does with the stored rows
        1: GRAY,
        2: GRAY[:, ::-1],
        3: GRAY[::-1, ::-1],
        4: GRAY[::-1],
        5: GRAY.T,
        6: np.rot90(GRAY, -1),
        7: GRAY[::-1, ::-1].T,
        8: np.rot90(GRAY),
    }[orientation]
    path = save(tmp_path / "1.png", GRAY, exif=exif)
    np.testing.assert_array_equal(ImageFile(path)(), turned.astype(np.float32) / 255)
    path = save(tmp_path / "2.png", GRAY, exif=exif)
    np.testing.assert_array_equal(MaskFile(path, threshold=100)(), turned > 100)


def test_the_first_picture_of_a_camera_s_file_is_its_image(tmp_path):
    pictures = [Image.fromarray(COLOR), Image.fromarray(COLOR[::-1])]
    pictures[0].save(tmp_path / "1.jpg", "MPO", save_all=True, append_images=pictures[1:])
    assert ImageFile(tmp_path / "1.jpg")().shape == (4, 6, 3)


# One mask


@pytest.mark.parametrize(
    "raw",
    [
        TRUTH,
        TRUTH.astype(np.uint8),
        TRUTH.astype(np.uint8) * 255,
        TRUTH.astype(np.uint16) * 65535,
        TRUTH.astype(np.float32),
        np.repeat(TRUTH[..., None].astype(np.uint8) * 255, 3, axis=2),
        np.stack([TRUTH.astype(np.uint8) * 255, np.full((4, 6), 255, np.uint8)], axis=-1),
        indexed(TRUTH),
    ],
    ids=["bool", "0/1", "0/255", "0/65535", "float", "equal channels", "opaque", "indexed"],
)
def test_a_mask_of_zeros_and_ones_needs_no_setting(tmp_path, raw):
    mask = MaskFile(save(tmp_path / "1.tif", raw))()
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, TRUTH)


@pytest.mark.parametrize("value", [0, 1, 255])
def test_a_mask_may_be_empty_or_everything(tmp_path, value):
    mask = MaskFile(save(tmp_path / "1.png", np.full((2, 3), value, np.uint8)))()
    assert mask.shape == (2, 3)
    assert mask.all() == mask.any() == (value > 0)


def test_values_of_an_indexed_mask_are_chosen_by_index_not_by_color(tmp_path):
    indices = np.array([[0, 1, 2, 1]])
    path = save(tmp_path / "1.png", indexed(indices))
    np.testing.assert_array_equal(MaskFile(path, value=1)(), indices == 1)
    np.testing.assert_array_equal(MaskFile(path, value=[1, 2])(), indices > 0)
    np.testing.assert_array_equal(MaskFile(path, value=0)(), indices == 0)
    assert not MaskFile(path, value=200)().any()


def test_a_threshold_cleans_a_jpeg(tmp_path):
    truth = np.zeros((32, 48), dtype=np.uint8)
    truth[7:20, 11:30] = 255
    path = save(tmp_path / "1.jpg", truth, quality=60)
    with pytest.raises(DataError, match=r"1.jpg: the mask must hold 0 and one of .*mask_threshold"):
        MaskFile(path)()
    np.testing.assert_array_equal(MaskFile(path, threshold=127)(), truth > 0)


def test_a_threshold_is_strict(tmp_path):
    path = save(tmp_path / "1.png", np.array([[99, 100, 101]], dtype=np.uint8))
    assert MaskFile(path, threshold=100)().tolist() == [[False, False, True]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"value": 1, "threshold": 2}, "only one of mask value and mask threshold"),
        ({"value": -1}, "whole numbers from 0, got -1"),
        ({"value": [1, 2.5]}, "whole numbers from 0"),
        ({"value": True}, "whole numbers from 0"),
        ({"value": []}, "one number or more, got none"),
        ({"threshold": float("nan")}, "must be finite, got nan"),
    ],
)
def test_settings_of_a_mask_are_checked(tmp_path, settings, words):
    with pytest.raises(SettingError, match=words):
        MaskFile(tmp_path / "1.png", **settings)


# Folders


def test_images_and_masks_are_matched_by_name(folders):
    dataset = FolderDataset(*folders)
    assert dataset.names == dataset.groups == ("a", "b", "c")
    assert dataset.labels.tolist() == [None, None, None]
    assert dataset.class_names == ()
    assert [sample.name for sample in dataset] == ["a", "b", "c"]
    assert dataset[-1].name == "c"
    np.testing.assert_array_equal(dataset[0].mask, TRUTH)
    np.testing.assert_array_equal(dataset[0].image, COLOR.astype(np.float32) / 255)
    assert len(dataset.sources) == 6
    assert repr(dataset) == "FolderDataset(3 images)"
    with pytest.raises(IndexError, match=r"index must be in \[-3, 3\), got 3"):
        dataset[3]


def test_labels_and_groups_may_be_given(folders):
    labels = {"a": 2, "b": np.int64(0), "c": 1, "elsewhere": 5}
    with pytest.warns(UserWarning, match="got 1 of 4 rows without an image, such as 'elsewhere'; "):
        FolderDataset(*folders, labels=labels)
    del labels["elsewhere"]
    dataset = FolderDataset(*folders, labels=labels, groups=lambda name: f"patient {name < 'c'}")
    assert dataset.labels.tolist() == [2, 0, 1]
    assert dataset.groups == ("patient True", "patient True", "patient False")
    given = dict(zip(dataset.names, dataset.groups, strict=True))
    assert FolderDataset(*folders, labels=labels, groups=given).groups == dataset.groups
    assert dataset[0].label == 2


def test_labels_are_given_by_a_function_or_a_series(folders):
    function = FolderDataset(
        *folders, labels=lambda name: None if name == "b" else "abc".index(name)
    )
    assert function.labels.tolist() == [0, None, 2]
    series = FolderDataset(*folders, labels=pd.Series([2, 0, 1], ["a", "b", "c"]))
    assert series.labels.tolist() == [2, 0, 1]
    with pytest.raises(DataError, match="the label of 'a' must be a class index counted from 0"):
        FolderDataset(*folders, labels=lambda name: name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": [0, 1, 2]}, "labels must be a mapping or function from the name.*, got list"),
        ({"groups": "x"}, "groups must be a mapping or function from the name of an .*, got str"),
        ({"info": lambda name: {}}, "info must be a mapping from the name.*, got function"),
    ],
)
def test_what_goes_from_the_name_of_an_image_is_checked(settings, message, folders):
    with pytest.raises(SettingError, match=message):
        FolderDataset(*folders, **settings)


def test_groups_by_name_must_have_each_image(folders):
    groups = pd.Series({"a": "x", "b": "y", "c": "x"})
    assert FolderDataset(*folders, groups=groups).groups == ("x", "y", "x")
    with pytest.raises(DataError, match=r"groups must have every image, got none for 'c'$"):
        FolderDataset(*folders, groups=groups[:2])


def test_the_reader_of_a_table_is_told_for_a_path(folders, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("name,label,patient,view\na,2,p,x\nb,0,p,x\nc,1,q,y\n")
    for setting, start, reader in (
        ("labels", "labels must be a mapping or function .*, got str", "read_labels(path)[0]"),
        ("groups", "groups must be .*", 'read_labels(path, label=None, group="patient")[1]'),
        ("info", "info must be a mapping from .*", 'read_info(path, ["view"])'),
    ):
        words = f"{start}; {re.escape(f'cameval.data.{reader} reads one from a CSV file')}"
        with pytest.raises(SettingError, match=words):
            FolderDataset(*folders, **{setting: str(path)})
    dataset = FolderDataset(
        *folders,
        labels=read_labels(path)[0],
        groups=read_labels(path, label=None, group="patient")[1],
        info=read_info(path, ["view"]),
    )
    assert dataset.labels.tolist() == [2, 0, 1]
    assert dataset.groups == ("p", "p", "q")
    assert dict(dataset[2].info) == {"view": "y"}


# Rows without an image


def test_rows_that_name_no_image_are_told_once(folders):
    names = ["a", "b", "c", "y", "z"]
    info = {name: {"site": 1} for name in names}
    with pytest.warns(UserWarning, match="each row") as caught:
        FolderDataset(*folders, labels=dict.fromkeys(names, 0), info=info)
    assert [(str(one.message), one.filename) for one in caught] == [
        (
            f"{folders[0]}: each row of labels and info must name an image to be used, got 2 of 5 "
            "rows without an image, such as 'y'; remove such rows, or write their names as those "
            "of images: 'a'",
            __file__,
        )
    ]


@pytest.mark.parametrize("row", ["b.png", "images/b", "B", "scans\\B.JPG"])
def test_a_row_of_another_suffix_folder_or_case_is_told(folders, row):
    labels = {"a": 0, row: 0, "z": 0, "c": 1}
    words = (
        "b.png: labels must have every image, got none for 'b', and 2 of 4 rows without an image, "
        f"such as {row!r}; write it as 'b', the name of an image"
    )
    with pytest.raises(DataError, match=f"{re.escape(words)}$"):
        FolderDataset(*folders, labels=labels)


def test_a_table_of_which_no_row_names_an_image_is_refused(folders):
    words = (
        f"{folders[0]}: each row of groups must name an image to be used, got 3 of 3 rows without "
        "an image, such as 'a.png'; write it as 'a', the name of an image"
    )
    with pytest.raises(DataError, match=f"^{re.escape(words)}$"):
        FolderDataset(*folders, groups={f"{name}.png": "x" for name in "abc"})
    with pytest.raises(DataError, match=r"a.png: labels must have every image, got none for 'a'$"):
        FolderDataset(*folders, labels={})


# Values of masks


def write_masks(folder, values):
    """Write images, masks that hold 0 and these values, and a table of both."""
    rows = ["image,mask,group"]
    for k, held in enumerate(values):
        save(folder / "images" / f"{k:02d}.png", GRAY)
        mask = np.zeros((4, 6), np.uint8)
        mask.flat[: len(held)] = held
        save(folder / "masks" / f"{k:02d}.png", mask)
        rows.append(f"images/{k:02d}.png,masks/{k:02d}.png,g")
    (folder / "table.csv").write_text("\n".join(rows))


@pytest.mark.parametrize("reader", ["folders", "table"])
@pytest.mark.parametrize(
    ("values", "value", "said"),
    [
        (
            [[255], [255]],
            1,
            "1: of 2 masks, 0 hold it and 2 hold other nonzero values (255), which are left out; ",
        ),
        (
            [[1], [1, 2], [], [7]],
            [3, 1],
            "1, 3: of 4 masks, 2 hold one of them and 2 hold other nonzero values (2, 7), which ",
        ),
        ([[2]], 1, "1: of 1 mask, 0 hold it and 1 holds other nonzero values (2), which are "),
        ([[], []], 1, "1: of 2 masks, 0 hold it; if the object has other values, give all of "),
        ([[1]] + [[1, 2, 3, 4, 5, 6, 7, 8]] * 59, 1, "(2, 3, 4, 5, 6, 7, ...), which are left "),
        ([[2]] + [[1]] * 59, 1, "of 50 masks at equal steps of 60, 49 hold it and 1 holds other "),
        ([[1]] * 59 + [[2]], 1, None),  # the last of 60 is not read
        ([[1], []], 1, None),
        ([[255], [9]], 0, None),
        ([[1], [2]], None, None),
    ],
)
def test_masks_of_other_values_are_told_once(tmp_path, reader, values, value, said):
    write_masks(tmp_path, values)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if reader == "table":
            dataset = ManifestDataset(tmp_path / "table.csv", mask_value=value)
        else:
            dataset = FolderDataset(tmp_path / "images", tmp_path / "masks", mask_value=value)
    assert len(dataset) == len(values)
    assert [(one.category, one.filename) for one in caught] == (
        [] if said is None else [(MaskValueWarning, __file__)]
    )
    for one in caught:
        assert said in str(one.message)
        assert str(one.message).startswith("mask_value must have all values of the object, got ")


def test_damaged_masks_are_told_when_they_are_read(tmp_path):
    write_masks(tmp_path, [[1]])
    (tmp_path / "masks" / "00.png").write_bytes(b"no mask")
    dataset = FolderDataset(tmp_path / "images", tmp_path / "masks", mask_value=1)
    with pytest.raises(DataError, match="must be a PNG"):
        dataset[0]


def test_an_error_names_the_suffix_or_case_of_masks_that_fits(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.png", GRAY)
        save(tmp_path / "masks" / f"{name}_mask.png", TRUTH)
        save(tmp_path / "upper" / f"{name.upper()}.png", TRUTH)
    where, hint = tmp_path / "images", "give mask_suffix='_mask', or --mask-suffix _mask"
    with pytest.raises(DataError, match=f"every image must have .*'a', 'b'; if .*{hint}"):
        FolderDataset(where, tmp_path / "masks")
    with pytest.raises(DataError, match=f"every mask must have an image, .*; if .*{hint}"):
        FolderDataset(where, tmp_path / "masks", missing_masks="skip")
    assert len(FolderDataset(where, tmp_path / "masks", mask_suffix="_mask")) == 2
    with pytest.raises(DataError, match=r"every image .*; the names of images and masks must have"):
        FolderDataset(where, tmp_path / "upper")


def test_a_mask_suffix_may_tell_masks_from_images_in_one_folder(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / f"{name}.jpg", GRAY)
        save(tmp_path / f"{name}_mask.png", TRUTH)
    dataset = FolderDataset(tmp_path, tmp_path, mask_suffix="_mask")
    assert dataset.names == ("a", "b")
    np.testing.assert_array_equal(dataset[1].mask, TRUTH)


def test_subfolders_are_classes(tmp_path):
    for name in ("dog/1", "cat/2", "cat/1"):
        save(tmp_path / "images" / f"{name}.png", GRAY)
        save(tmp_path / "masks" / f"{name}.bmp", TRUTH)
    (tmp_path / "images" / "ape").mkdir()
    dataset = FolderDataset(tmp_path / "images", tmp_path / "masks")
    assert dataset.class_names == ("ape", "cat", "dog")
    assert dataset.names == ("cat/1", "cat/2", "dog/1")
    assert dataset.labels.tolist() == [1, 1, 2]
    assert dataset[2].label == 2
    assert repr(dataset) == "FolderDataset(3 images, 3 named classes)"
    labels = dict.fromkeys(dataset.names, 7)
    dataset = FolderDataset(tmp_path / "images", tmp_path / "masks", labels=labels)
    assert dataset.labels.tolist() == [7, 7, 7]
    assert dataset.class_names == ()


@pytest.mark.parametrize("part", ["train", "Training", "VAL", "valid", "validation", "test"])
def test_a_part_of_a_data_set_is_no_class(tmp_path, part):
    for name in (f"{part}/1", "zebra/1"):
        save(tmp_path / "images" / f"{name}.png", GRAY)
        save(tmp_path / "masks" / f"{name}.png", TRUTH)
    where = tmp_path / "images", tmp_path / "masks"
    with pytest.raises(DataError, match=f"must be classes, got {part!r}, named .*images/{part}, "):
        FolderDataset(*where)
    labels = {f"{part}/1": 1, "zebra/1": 0}
    assert sorted(FolderDataset(*where, labels=labels).labels) == [0, 1]
    assert len(FolderDataset(*where, class_names=[part, "zebra"])) == 2  # said to be one
    assert FolderDataset(*(folder / part for folder in where)).names == ("1",)


# Negatives, several classes


@pytest.fixture
def findings(tmp_path):
    """Write three images, masks of two classes for some of them, and an empty folder."""
    for path in ("images/a", "images/b", "images/c", "edema/a", "mass/a", "mass/c"):
        raw = np.zeros((4, 6), np.uint8)
        raw[0, : len(path)] = 255
        (tmp_path / path).parent.mkdir(exist_ok=True)
        Image.fromarray(raw).save(tmp_path / f"{path}.png")
    (tmp_path / "none").mkdir()
    return tmp_path


def test_images_without_a_mask_are_negatives_where_it_is_set(findings):
    dataset = FolderDataset(
        findings / "images",
        findings / "mass",
        labels=dict.fromkeys("abc", 3),
        missing_masks="negative",
    )
    assert [bool(sample.mask.any()) for sample in dataset] == [True, False, True]
    assert dataset.labels.tolist() == [3, 3, 3]
    assert len(dataset.sources) == 5
    with pytest.raises(DataError, match=r"got none for 'b'; if they have no object, set"):
        FolderDataset(findings / "images", findings / "mass")
    with pytest.raises(
        SettingError, match="missing_masks must be 'error' or 'negative' or 'skip', got None"
    ):
        FolderDataset(findings / "images", findings / "mass", missing_masks=None)


def test_images_without_a_mask_are_skipped_where_it_is_set(findings):
    dataset = FolderDataset(
        findings / "images", findings / "mass", labels={"a": 3, "c": 4}, missing_masks="skip"
    )
    assert dataset.names == ("a", "c")
    assert dataset.without_mask == ("b",)
    assert dataset.labels.tolist() == [3, 4]
    folders = {"mass": findings / "mass", "edema": findings / "edema"}
    several = FolderDataset(findings / "images", folders, missing_masks="skip")
    assert several.names == ("a", "c")
    assert several.target_labels == ((0, 1), (0,))
    assert several.without_mask == ("b", "b", "c")
    with pytest.raises(SettingError, match="masks must be a folder, got None"):
        FolderDataset(findings / "images", None, missing_masks="skip")


@pytest.mark.parametrize("masks", ["none", None])
def test_healthy_images_need_no_mask(findings, masks):
    masks = None if masks is None else findings / masks
    dataset = FolderDataset(findings / "images", masks, missing_masks="negative")
    assert [bool(sample.mask.any()) for sample in dataset] == [False] * 3
    with pytest.raises((DataError, SettingError), match=r"missing_masks|must hold images"):
        FolderDataset(findings / "images", masks)


def test_a_folder_for_each_class_gives_several_targets(findings, tmp_path):
    folders = {"mass": findings / "mass", "edema": findings / "edema"}
    dataset = FolderDataset(
        findings / "images",
        folders,
        missing_masks="negative",
        info={name: {"site": name.upper(), "age": 3} for name in "abc"},
    )
    assert dataset.class_names == ("mass", "edema")
    assert dataset.target_labels == ((0, 1),) * 3
    assert dataset.labels.tolist() == [None] * 3
    found = [[int(target.mask.sum()) for target in sample.targets] for sample in dataset]
    assert found == [[6, 6], [0, 0], [6, 0]]
    assert dict(dataset[2].info) == {"site": "C", "age": 3}
    copy = cached(dataset, tmp_path / "c.h5")
    assert [[int(t.mask.sum()) for t in sample.targets] for sample in copy] == found
    with pytest.raises(
        DataError, match=r"mass: every image must have a mask, got none for 'b'; if they"
    ):
        FolderDataset(findings / "images", {"mass": findings / "images", **folders})
    for wrong in ({"labels": {"a": 0}}, {}):
        with pytest.raises(SettingError, match="masks of several classes must be one folder"):
            FolderDataset(findings / "images", folders if wrong else {}, **wrong)
    with pytest.raises(DataError, match=r"b.png: info must have every image, got none for 'b'"):
        FolderDataset(findings / "images", None, missing_masks="negative", info={"a": {}})


def test_folders_of_classes_have_the_places_of_the_class_names(findings):
    folders = {"mass": findings / "mass", "edema": findings / "edema"}
    names = ("edema", "cyst", "mass")
    dataset = FolderDataset(
        findings / "images", folders, missing_masks="negative", class_names=names
    )
    assert dataset.class_names == names
    assert dataset.target_labels == ((0, 2),) * 3
    found = [{t.label: int(t.mask.sum()) for t in sample.targets} for sample in dataset]
    assert found == [{0: 6, 2: 6}, {0: 0, 2: 0}, {0: 0, 2: 6}]
    words = "images: the folder of a class must have one of the class names, 'mass', got 'edema'"
    with pytest.raises(DataError, match=words):
        FolderDataset(findings / "images", folders, missing_masks="negative", class_names=["mass"])
    with pytest.raises(SettingError, match="class_names must differ, got 'a' more than once"):
        FolderDataset(findings / "images", folders, class_names=["a", "a"])


def test_subfolders_of_images_have_the_places_of_the_class_names(tmp_path):
    for name in ("dog/1", "cat/1"):
        save(tmp_path / "images" / f"{name}.png", COLOR)
        save(tmp_path / "masks" / f"{name}.png", TRUTH)
    where = tmp_path / "images", tmp_path / "masks"
    dataset = FolderDataset(*where, class_names=["dog", "bee", "cat"])
    assert dict(zip(dataset.names, dataset.labels, strict=True)) == {"cat/1": 2, "dog/1": 0}
    assert dataset.class_names == ("dog", "bee", "cat")
    with pytest.raises(DataError, match="must have one of the class names, 'dog', got 'cat'"):
        FolderDataset(*where, class_names=["dog"])
    given = FolderDataset(*where, labels={"cat/1": 1, "dog/1": 1}, class_names=["no", "yes"])
    assert (given.labels.tolist(), given.class_names) == ([1, 1], ("no", "yes"))
    with pytest.raises(DataError, match="labels must be below 1, the number of classes, got 1"):
        FolderDataset(*where, labels={"cat/1": 1, "dog/1": 0}, class_names=["no"])


def test_class_names_without_labels_are_kept(folders):
    dataset = FolderDataset(*folders, class_names=["no", "yes"])
    assert dataset.labels.tolist() == [None] * 3
    assert dataset.class_names == ("no", "yes")


def test_workers_read_what_one_process_reads(folders):
    dataset = FolderDataset(*folders, groups=lambda name: name, mask_value=[1, 255])
    loader = DataLoader(pickle.loads(pickle.dumps(dataset)), 2, collate_fn=list, num_workers=1)
    read = [sample for batch in loader for sample in batch]
    assert [sample.name for sample in read] == ["a", "b", "c"]
    np.testing.assert_array_equal(read[0].image, dataset[0].image)


def test_records_of_ones_own_make_a_dataset(tmp_path):
    image = ImageFile(save(tmp_path / "1.png", GRAY))
    mask = MaskFile(tmp_path / "1.png", threshold=100)
    records = [Record(name, image, mask, 1, "g") for name in ("x", "y")]
    dataset = PictureDataset(iter(records), ["a", "b"])
    np.testing.assert_array_equal(dataset[1].mask, TRUTH)
    assert dataset.sources == (tmp_path / "1.png",)
    with pytest.raises(DataError, match="labels must be below 1"):
        PictureDataset(records, ["a"])
    with pytest.raises(DataError, match="names must differ, got 'x' more than once"):
        PictureDataset([records[0], records[0]])
    with pytest.raises(DataError, match="at least one record, got none"):
        PictureDataset([])


@pytest.mark.filterwarnings("ignore::cameval.data.MaskValueWarning")
def test_equal_settings_are_equal_text_and_others_are_not(folders):
    texts = [
        FolderDataset(*folders, **settings).settings
        for settings in (
            {},
            {},
            {"stretch": True},
            {"mask_value": 1},
            {"mask_threshold": 1},
            {"groups": str.upper},
            {"labels": {"a": 1, "b": 0, "c": 0}},
        )
    ]
    assert texts[0] == texts[1]
    assert len(set(texts)) == len(texts) - 1


def test_real_photos_have_masks_of_their_size(shared_data):
    folder = shared_data / "data" / "pets"
    if not folder.is_dir():
        pytest.skip(f"real data: {folder} is no folder")
    dataset = FolderDataset(folder / "images", folder / "masks")
    assert len(dataset) == 100
    for sample in dataset:
        assert sample.image.shape == (*sample.mask.shape, 3)
        assert max(sample.mask.shape) == 320
        assert 0 < sample.mask.mean() < 1

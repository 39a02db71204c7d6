"""Datasets listed in a CSV file; what is wrong with one is in test_malformed."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cameval.data import ClassOrderWarning, ManifestDataset
from cameval.errors import DataError, SettingError

GRAY = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("1.png", "sub/1.png", "2.png"):
        Image.fromarray(GRAY).save(tmp_path / name)
        Image.fromarray(GRAY > 5).save(tmp_path / f"{name[:-4]}_mask.png")
    return tmp_path


def write(folder, text, encoding="utf-8"):
    path = folder / "index.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_image_and_mask_are_enough(folder):
    path = write(folder, "image,mask\n1.png,1_mask.png\nsub/1.png,sub/1_mask.png\n")
    dataset = ManifestDataset(path)
    assert dataset.names == dataset.groups == ("1", "sub/1")
    assert dataset.labels.tolist() == [None, None]
    assert dataset.class_names == ()
    np.testing.assert_array_equal(dataset[1].mask, GRAY > 5)
    np.testing.assert_array_equal(dataset[1].image, GRAY.astype(np.float32) / 255)
    assert dataset.sources[0] == path
    assert len(dataset.sources) == 5


def test_columns_come_in_any_order_and_others_are_left_out(folder):
    path = write(
        folder,
        "group, label ,age,mask,image,name\r\n"
        'p1,cat,,1_mask.png,1.png,"Tom, the first"\r\n'
        "\r\n"
        "p1,ape,7,2_mask.png,2.png,Bo\r\n",
        encoding="utf-8-sig",
    )
    with pytest.warns(ClassOrderWarning):
        dataset = ManifestDataset(path)
    assert dataset.names == ("Tom, the first", "Bo")
    assert dataset.groups == ("p1", "p1")
    assert dataset.class_names == ("ape", "cat")
    assert dataset.labels.tolist() == [1, 0]
    assert dataset[0].label == 1


def test_whole_numbers_are_labels_as_they_are(folder):
    text = "image,mask,label\n1.png,1_mask.png,7\n2.png,2_mask.png,0\n"
    dataset = ManifestDataset(write(folder, text))
    assert dataset.labels.tolist() == [7, 0]
    assert dataset.class_names == ()


def test_whole_numbers_may_be_written_as_floats(folder):
    written = ["0.0", "1.", "2e0", "3.000", "+4", "1.0E1", " 6.0 "]
    rows = "".join(f"1.png,1_mask.png,{text},{i}\n" for i, text in enumerate(written))
    dataset = ManifestDataset(write(folder, f"image,mask,label,name\n{rows}"))
    assert dataset.labels.tolist() == [0, 1, 2, 3, 4, 10, 6]
    assert dataset.class_names == ()


@pytest.mark.parametrize(("first", "label", "classes"), [("2.0", 2, ()), ("cat", 0, ("cat",))])
def test_an_empty_label_is_not_known(folder, first, label, classes):
    rows = f"1.png,1_mask.png,{first}\n2.png,2_mask.png,\n"
    path = write(folder, f"image,mask,label\n{rows}")
    dataset = ManifestDataset(path, class_names=classes)
    assert dataset.labels.tolist() == [label, None]
    assert [sample.label for sample in dataset] == [label, None]
    assert dataset.class_names == classes


def test_names_have_their_places_in_the_class_names(folder):
    rows = "1.png,1_mask.png,cat\n2.png,2_mask.png,ape\nsub/1.png,sub/1_mask.png,\n"
    path = write(folder, f"image,mask,label\n{rows}")
    names = ("dog", "cat", "bee", "ape")
    dataset = ManifestDataset(path, class_names=names)
    assert dataset.labels.tolist() == [1, 3, None]
    assert dataset.class_names == names
    with pytest.warns(ClassOrderWarning):
        assert ManifestDataset(path).labels.tolist() == [1, 0, None]
    with pytest.warns(ClassOrderWarning):
        assert ManifestDataset(path, class_names=[]).class_names == ("ape", "cat")
    words = "index.csv, line 3: label must be one of the class names 'cat', 'dog', got 'ape'"
    with pytest.raises(DataError, match=words):
        ManifestDataset(path, class_names=["cat", "dog"])
    with pytest.raises(SettingError, match="class_names must differ, got 'cat' more than once"):
        ManifestDataset(path, class_names=["cat", "ape", "cat"])


def test_the_order_of_names_that_is_assumed_is_told(folder):
    rows = "".join(f"1.png,1_mask.png,{label},{label}\n" for label in "fbdace")
    path = write(folder, f"image,mask,label,name\n{rows}")
    words = r"classes of index\.csv .*\(0 'a', 1 'b', 2 'c', 3 'd' and 2 more\), .* class_names="
    with pytest.warns(ClassOrderWarning, match=words) as told:
        ManifestDataset(path)
    assert [one.filename for one in told] == [__file__]
    ManifestDataset(path, class_names="fedcba")  # no warning: it would be an error


def test_numbers_are_places_in_the_class_names(folder):
    path = write(folder, "image,mask,label\n1.png,1_mask.png,0\n2.png,2_mask.png,2.0\n")
    dataset = ManifestDataset(path, class_names=["dog", "cat", "ape"])
    assert dataset.labels.tolist() == [0, 2]
    assert dataset.class_names == ("dog", "cat", "ape")
    words = "line 3: label must be below 2, as there are the class names 'dog', 'cat', got '2.0'"
    with pytest.raises(DataError, match=words):
        ManifestDataset(path, class_names=["dog", "cat"])


def test_class_names_without_labels_are_kept(folder):
    dataset = ManifestDataset(write(folder, "image,mask\n1.png,1_mask.png\n"), class_names="ab")
    assert (dataset.labels.tolist(), dataset.class_names) == ([None], ("a", "b"))


def test_targets_have_the_places_of_the_class_names(folder):
    rows = "2.png,2_mask.png,edema\n2.png,1_mask.png,mass\n"
    path = write(folder, f"image,mask,label\n{rows}")
    dataset = ManifestDataset(path, rows="targets", class_names=["mass", "nodule", "edema"])
    assert {t.label: t.mask.sum() for t in dataset[0].targets} == {2: 6, 0: 6}


def test_paths_may_be_absolute(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    text = f"image,mask\n{folder / '1.png'},{folder / '1_mask.png'}\n"
    assert len(ManifestDataset(write(elsewhere, text))) == 1


@pytest.mark.filterwarnings("ignore::cameval.data.MaskValueWarning")
def test_settings_of_masks_and_images_are_passed_on(folder):
    path = write(folder, "image,mask\n1.png,1.png\n")
    np.testing.assert_array_equal(ManifestDataset(path, mask_value=3)[0].mask, GRAY == 3)
    np.testing.assert_array_equal(ManifestDataset(path, mask_threshold=3)[0].mask, GRAY > 3)
    image = ManifestDataset(path, mask_value=3, stretch=True)[0].image
    np.testing.assert_array_equal(image, (GRAY / 11).astype(np.float32))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("names")


@settings(max_examples=50)
@given(st.lists(st.text("ab ,;'\"\n\r\t\0\u2028é日", min_size=1), min_size=1, max_size=5))
def test_names_that_csv_can_write_are_read(place, names):
    names = list(dict.fromkeys(name.strip() for name in names if name.strip()))
    if not names:
        return
    Image.fromarray(GRAY > 5).save(place / "1.png")
    with (place / "index.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([["image", "mask", "name"], *[["1.png", "1.png", n] for n in names]])
    assert ManifestDataset(place / "index.csv").names == tuple(names)


# Negatives, several targets, more columns


def test_an_empty_mask_is_a_negative_where_it_is_set(folder):
    path = write(folder, "image,mask,label\n1.png,,0\n2.png,2_mask.png,0\n")
    dataset = ManifestDataset(path, missing_masks="negative")
    assert [bool(sample.mask.any()) for sample in dataset] == [False, True]
    assert dataset.labels.tolist() == [0, 0]
    with pytest.raises(
        DataError, match="line 2: mask must not be empty, got ''; if they have no object"
    ):
        ManifestDataset(path)


def test_an_image_without_a_mask_is_skipped_where_it_is_set(folder):
    path = write(folder, "image,mask,label\n1.png,,0\n2.png,2_mask.png,0\n")
    dataset = ManifestDataset(path, missing_masks="skip")
    assert (dataset.names, dataset.without_mask) == (("2",), ("1",))
    rows = "image,mask,label\n2.png,2_mask.png,0\n2.png,,1\n1.png,,1\n"
    several = ManifestDataset(write(folder, rows), rows="targets", missing_masks="skip")
    assert (several.names, several.target_labels) == (("2",), ((0,),))
    assert several.without_mask == ("2", "1")
    path = write(folder, "image,mask\n1.png,\n")
    with pytest.raises(DataError, match="one image or more must have a mask, got none of 1"):
        ManifestDataset(path, missing_masks="skip")


def test_a_class_in_another_case_and_semicolons_are_told(folder):
    path = write(folder, "image,mask,label\n1.png,2_mask.png,Cat\n")
    with pytest.raises(DataError, match="got 'Cat'; near names: cat"):
        ManifestDataset(path, class_names=["dog", "cat"])
    path = write(folder, "image;mask\n1.png;2_mask.png\n")
    with pytest.raises(DataError, match="separated by semicolons; save it with commas"):
        ManifestDataset(path)


def test_rows_of_one_name_may_be_targets_of_one_image(folder):
    path = write(
        folder,
        "image,mask,label,group\n2.png,2_mask.png,edema,p\n1.png,,mass,q\n2.png,,mass,p\n",
    )
    with pytest.warns(ClassOrderWarning):
        dataset = ManifestDataset(path, rows="targets", missing_masks="negative")
    assert dataset.names == ("2", "1")
    assert dataset.class_names == ("edema", "mass")
    assert dataset.target_labels == ((0, 1), (1,))
    assert [[bool(t.mask.any()) for t in s.targets] for s in dataset] == [[True, False], [False]]
    assert dataset.groups == ("p", "q")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            "2.png,2_mask.png,1,p\n1.png,1_mask.png,,p\n",
            "line 3: label must be given where rows are",
        ),
        ("2.png,2_mask.png,1,p\n2.png,2_mask.png,1,p\n", "line 3: label must differ .* of '2'"),
        (
            "2.png,2_mask.png,1,p\n2.png,2_mask.png,2,q\n",
            "line 3: image and group, info, ignore must be",
        ),
    ],
)
def test_targets_that_contradict_each_other_are_told(folder, rows, words):
    with pytest.raises(DataError, match=rf"index.csv, {words}"):
        ManifestDataset(write(folder, f"image,mask,label,group\n{rows}"), rows="targets")


def test_more_columns_are_info_if_they_are_named(folder):
    path = write(
        folder,
        "image,mask,group,age,view,code,share\n1.png,1_mask.png,p,61,lateral,07,.5\n"
        "2.png,2_mask.png,q,,,a,1e-3\n",
    )
    dataset = ManifestDataset(path, info=["view", "age", "code", "share"])
    assert dict(dataset[0].info) == {"view": "lateral", "age": 61, "code": "07", "share": 0.5}
    assert dict(dataset[1].info) == {"view": None, "age": None, "code": "a", "share": 0.001}
    assert dict(ManifestDataset(path, info="age")[0].info) == {"age": 61}
    assert not ManifestDataset(path)[0].info
    for column in ("sex", "mask"):
        with pytest.raises(
            DataError, match=f"line 1: the columns must have one {column}, which is"
        ):
            ManifestDataset(path, info=[column])


def test_columns_that_may_be_groups_are_told(folder):
    row = "1.png,1_mask.png,p,61\n"
    path = write(folder, f"image,mask,patient,age\n{row}")
    words = r"no column group, .* not used \(patient, age\) .* give group_column='patient' or"
    with pytest.warns(UserWarning, match=words) as told:
        dataset = ManifestDataset(path)
    assert len(told) == 1
    assert told[0].filename == __file__
    assert dataset[0].group == dataset[0].name
    with pytest.warns(UserWarning, match=r"not used \(age\)"):
        ManifestDataset(path, info=["patient"])
    ManifestDataset(path, info=["patient", "age"])
    ManifestDataset(write(folder, f"image,mask,group,age\n{row}"))


def test_columns_may_have_names_of_your_own(folder):
    path = write(
        folder,
        "file,segmentation,id,diagnosis,patient,ruler,label,mask\n"
        "1.png,1_mask.png,Tom,1,p,,x,y\n2.png,2_mask.png,Bo,0,p,sub/1_mask.png,x,y\n",
    )
    columns = {
        "image": "file",
        "mask": "segmentation",
        "name": "id",
        "label": "diagnosis",
        "group": "patient",
        "ignore": "ruler",
    }
    named = {f"{role}_column": column for role, column in columns.items()}
    dataset = ManifestDataset(path, info=["patient"], **named)
    assert dataset.names == ("Tom", "Bo")
    assert dataset.groups == ("p", "p")
    assert dataset.labels.tolist() == [1, 0]
    np.testing.assert_array_equal(dataset[1].mask, GRAY > 5)
    assert dataset[0].ignore is None
    np.testing.assert_array_equal(dataset[1].ignore, GRAY > 5)
    assert dict(dataset[0].info) == {"patient": "p"}


@pytest.mark.parametrize(
    ("header", "settings", "words"),
    [
        ("Image,mask", {}, "one 'image', got 'Image', 'mask'; .* as in image_column='Image'"),
        ("image,mask_path", {}, "one 'mask', got .*; .* as in mask_column='mask_path'"),
        ("image,other", {}, r"one 'mask', got .*; .* as in mask_column=\.\.\."),
        (
            "image,mask,patients",
            {"group_column": "patient"},
            "one 'patient', got 'image', 'mask', 'patients'; .* as in group_column='patients'",
        ),
        ("img,img", {"image_column": "img"}, "one 'img', got 'img', 'img'; give the others"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_a_near_one(folder, header, settings, words):
    cells = ",".join("1_mask.png" for _ in header.split(","))
    path = write(folder, f"{header}\n{cells}\n")
    with pytest.raises(DataError, match=f"index.csv, line 1: the columns must have {words}"):
        ManifestDataset(path, **settings)


def test_errors_of_cells_name_the_column_of_your_own(folder):
    path = write(folder, "image,cut,class\n1.png,1_mask.png,2.5\n")
    with pytest.raises(DataError, match="line 2: class must be a class index"):
        ManifestDataset(path, mask_column="cut", label_column="class")
    path = write(folder, "image,cut\n1.png,\n")
    words = "line 2: cut must not be empty, got ''; if they have no object, set missing_masks"
    with pytest.raises(DataError, match=words):
        ManifestDataset(path, mask_column="cut")
    ManifestDataset(path, mask_column="cut", missing_masks="negative")
    path = write(folder, "image,cut\n1.png,3.png\n")
    with pytest.raises(DataError, match="line 2: cut must name a file, got no such file"):
        ManifestDataset(path, mask_column="cut")


def test_settings_of_rows_are_checked(folder):
    path = write(folder, "image,mask\n1.png,1_mask.png\n")
    for name in ("rows", "missing_masks"):
        with pytest.raises(SettingError, match=f"{name} must be '"):
            ManifestDataset(path, **{name: "?"})

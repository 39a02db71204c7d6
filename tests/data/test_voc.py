"""PASCAL VOC against hand data: boxes, difficult objects, segmentations, and broken files."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cameval.data import VOC_CLASSES, VocDataset, cached
from cameval.data._documents import read_xml
from cameval.errors import DataError, SettingError

HEIGHT, WIDTH = 5, 8
DOG, CAT, PERSON = (VOC_CLASSES.index(name) for name in ("dog", "cat", "person"))


def item(name="dog", box=(2, 1, 4, 3), difficult=None):
    corners = "".join(
        f"<{side}>{value}</{side}>"
        for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    mark = "" if difficult is None else f"<difficult>{difficult}</difficult>"
    return f"<object><name>{name}</name>{mark}<bndbox>{corners}</bndbox></object>"


SIZE = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"


@pytest.fixture
def write(tmp_path):
    """Return a function that writes an image and its annotation."""
    for name in ("JPEGImages", "Annotations", "SegmentationClass", "SegmentationObject"):
        (tmp_path / name).mkdir()

    def writer(name, *items, text=None):
        Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
        content = f"<annotation>{SIZE}{''.join(items)}</annotation>" if text is None else text
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "Annotations" / f"{name}.xml").write_bytes(raw)
        return tmp_path

    return writer


def draw(folder: Path, name: str, array) -> None:
    """Write an indexed picture with a palette."""
    picture = Image.fromarray(np.asarray(array, np.uint8)).convert("P")
    picture.putdata(np.asarray(array).ravel().tolist())
    picture.putpalette([value for i in range(256) for value in (i, 255 - i, 7)])
    picture.save(folder / f"{name}.png")


# Boxes


def test_pixels_counted_from_one_become_half_open_boxes(write):
    sample = VocDataset(write("1", item(box=(1, 1, WIDTH, HEIGHT)), item(box=(2, 1, 2, 1))))[0]
    assert sample.label == DOG
    assert sample.targets[0].objects.boxes.tolist() == [[0, 0, WIDTH, HEIGHT], [1, 0, 2, 1]]
    assert sample.targets[0].objects.masks.sum((1, 2)).tolist() == [WIDTH * HEIGHT, 1]


def test_each_class_is_a_target_in_the_order_of_the_classes(write):
    folder = write("b", item("person"), item("cat", (3, 3, 5, 5)), item("person", (1, 1, 1, 1)))
    write("a", item("dog"))
    dataset = VocDataset(folder)
    assert dataset.names == dataset.groups == ("a", "b")
    assert dataset.class_names == VOC_CLASSES
    assert dataset.target_labels == ((DOG,), (CAT, PERSON))
    assert [len(target.objects) for target in dataset[1].targets] == [1, 2]


def test_fractions_and_a_pixel_too_much_are_kept_and_clipped(write):
    sample = VocDataset(write("1", item(box=(0, 1.5, 8.5, 5))))[0]
    assert sample.targets[0].objects.boxes.tolist() == [[0, 0.5, 8, 5]]


def test_difficult_objects_are_kept_dropped_or_ignored(write):
    folder = write("1", item(), item("cat", (3, 1, 8, 2), difficult=1), item(difficult=0))
    assert VocDataset(folder).target_labels == ((CAT, DOG),)
    assert VocDataset(folder, difficult="dropped")[0].ignore is None
    sample = VocDataset(folder, difficult="ignored")[0]
    assert sample.label == DOG
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[:2, 2:] = True
    expected[:3, 1:4] = False  # the dog
    np.testing.assert_array_equal(sample.ignore, expected)
    write("1", item(difficult=1))
    with pytest.raises(DataError, match="at least one image must have objects, got none; set"):
        VocDataset(folder, difficult="dropped")


def test_images_without_objects_are_left_out_or_negatives(write):
    folder = write("1", item())
    write("2")
    assert VocDataset(folder).names == ("1",)
    dataset = VocDataset(folder, negatives=True, class_names=["cat", "dog"])
    assert dataset.target_labels == ((0, 1), (0, 1))
    assert [[bool(t.mask.any()) for t in s.targets] for s in dataset] == [
        [False, True],
        [False] * 2,
    ]


def test_names_come_from_a_file_or_a_list(write):
    for name in "abc":
        folder = write(name, item())
    (folder / "dog_val.txt").write_text("c  1\na -1\n")
    assert VocDataset(folder, folder / "dog_val.txt").names == ("c", "a")
    assert VocDataset(folder, ["b"]).names == ("b",)


def test_the_dataset_travels_and_is_cached(write, tmp_path):
    folder = write("1", item(), item("cat", difficult=1))
    dataset = VocDataset(folder, difficult="ignored")
    assert [path.name for path in dataset.sources] == ["1.jpg", "1.xml"]
    for other in (pickle.loads(pickle.dumps(dataset)), cached(dataset, tmp_path / "c.h5")):
        np.testing.assert_array_equal(other[0].ignore, dataset[0].ignore)
        np.testing.assert_array_equal(other[0].mask, dataset[0].mask)
    assert VocDataset(folder).settings != dataset.settings


# Segmentations


def test_objects_of_a_segmentation_are_kept_apart_and_void_is_ignored(write):
    folder = write("1", item())
    classes, numbers = np.zeros((2, HEIGHT, WIDTH), int)
    classes[0, :4], numbers[0, :2], numbers[0, 2:4] = DOG + 1, 1, 2  # two dogs side by side
    classes[2:, 6:], numbers[2:, 6:] = CAT + 1, 3
    classes[1], numbers[1] = 255, 255
    draw(folder / "SegmentationClass", "1", classes)
    draw(folder / "SegmentationObject", "1", numbers)
    dataset = VocDataset(folder, segmentation=True)
    sample = dataset[0]
    assert [target.label for target in sample.targets] == [CAT, DOG]
    assert sample.targets[0].objects.boxes.tolist() == [[6, 2, 8, 5]]
    assert sample.targets[1].objects.boxes.tolist() == [[0, 0, 2, 1], [2, 0, 4, 1]]
    np.testing.assert_array_equal(sample.ignore, classes == 255)
    assert len(dataset.sources) == 3
    some = VocDataset(folder, segmentation=True, negatives=True)[0]
    assert len(some.targets) == 20
    with pytest.raises(DataError, match=r"1.png: indices must be 0, 255 or those of the 2 classes"):
        VocDataset(folder, segmentation=True, class_names=["a", "b"])


def test_pictures_that_contradict_each_other_are_told(write):
    folder = write("1")
    classes = np.full((HEIGHT, WIDTH), DOG + 1)
    draw(folder / "SegmentationClass", "1", classes)
    draw(folder / "SegmentationObject", "1", np.zeros((HEIGHT, WIDTH)))
    with pytest.raises(DataError, match=r"SegmentationObject/1.png: pixels of class 12 in .*1.png"):
        VocDataset(folder, segmentation=True)[0]
    draw(folder / "SegmentationObject", "1", np.ones((2, 2)))
    with pytest.raises(DataError, match=r"SegmentationObject/1.png: .* \(2, 2\) and \(5, 8\)"):
        VocDataset(folder, segmentation=True)[0]


# Broken files

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><annotation>&c;</annotation>'
)
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><size>&x;</size></annotation>'


def nested(depth):
    return "<annotation>" + "<a>" * depth + "</a>" * depth + "</annotation>"


def with_size(text, *items):
    return f"<annotation>{text}{''.join(items)}</annotation>"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the file must be XML, no element found"),
        ("<annotation>", "the file must be XML, no element found: line 1"),
        ("{}", "the file must be XML, not well-formed"),
        ("<annotation></b>", "the file must be XML, mismatched tag: line 1, column 14"),
        (b"<annotation>\xff\xfe</annotation>", "the file must be XML, not well-formed"),
        ('<?xml version="1.0" encoding="x-none"?><a/>', "the file must be XML, unknown encoding"),
        (BOMB, "1.xml, line 1: the file must declare no document type, .* remove the lines of <!D"),
        (OUTSIDE, "1.xml, line 1: the file must declare no document type"),
        ("<!DOCTYPE annotation SYSTEM 'a.dtd'>\n<annotation/>", "must declare no document type"),
        ("<annotation>&x;</annotation>", "the file must be XML, undefined entity"),
        (nested(40), "1.xml, line 1: elements must be at most 32 deep, got more"),
        (nested(100_000), "1.xml, line 1: elements must be at most 32 deep, got more"),
        ("<html></html>", "the file must hold <annotation>, got <html>"),
        ("<annotation></annotation>", "1.xml, line 1: <annotation> must have one <size>, got none"),
        (with_size(SIZE + SIZE), "<annotation> must have one <size>, got 2 of them"),
        (with_size("\n<size><width>8</width></size>"), "1.xml, line 2: <size> must have one <heig"),
        (with_size(SIZE.replace(">5<", ">0<")), "<height> must be a whole number from 1, got 0"),
        (with_size(SIZE.replace(">5<", ">5.5<")), "<height> must be a whole number .* got 5.5"),
        (with_size(SIZE.replace(">5<", ">five<")), "<height> must be a finite number, got 'five'"),
        (
            with_size(SIZE, item("zebu")),
            "line 1: object 0 must be of a known class, got 'zebu'; gi",
        ),
        (with_size(SIZE, item(), item("")), "<name> must hold a text, got nothing"),
        (with_size(SIZE, item("<b>x</b>")), "<name> must hold a text, got <b>"),
        (with_size(SIZE, "<object/>"), "<object> must have one <name>, got none"),
        (with_size(SIZE, "<object><name>dog</name></object>"), "must have one <bndbox>, got none"),
        (
            with_size(SIZE, item(), item(box=(4, 1, 2, 3))),
            "object 1: its box must have an area, got",
        ),
        (with_size(SIZE, item(box=(2, 1, 1, 3))), "object 0: its box must have an area"),
        (
            with_size(SIZE, item(box=(2, 1, 14, 3))),
            "object 0: its box must lie in the image of 8 x 5",
        ),
        (with_size(SIZE, item(box=(-3, 1, 4, 3))), "object 0: its box must lie in the image"),
        (with_size(SIZE, item(box=("nan", 1, 4, 3))), "<xmin> must be a finite number, got 'nan'"),
        (
            with_size(SIZE, item(box=("1e99", 1, 4, 3))),
            "<xmin> must be a finite number, got '1e99'",
        ),
        (with_size(SIZE, item(difficult=2)), "object 0: <difficult> must be 0 or 1, got 2"),
        (with_size(SIZE, item(difficult="no")), "<difficult> must be a finite number, got 'no'"),
    ],
)
def test_an_annotation_that_is_none_is_told(write, text, words):
    folder = write("1", text=text)
    with pytest.raises(DataError, match=words) as raised:
        VocDataset(folder)
    assert str(raised.value).startswith(str(folder / "Annotations" / "1.xml"))


def test_a_file_larger_than_any_annotation_is_not_read(write):
    folder = write("1", text="<annotation>" + " " * 2**24)
    with pytest.raises(DataError, match=r"1.xml: an XML file must have at most 16777216 bytes"):
        VocDataset(folder)


@given(st.binary(max_size=200))
def test_no_bytes_get_past_the_errors_of_ours(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.xml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"any.xml"):
        read_xml(path, "annotation")


def lose_the_image(folder):
    (folder / "JPEGImages" / "1.jpg").unlink()


def lose_the_annotation(folder):
    (folder / "Annotations" / "1.xml").unlink()


def rename_the_annotation(folder):
    (folder / "Annotations" / "1.xml").rename(folder / "Annotations" / "2.xml")


def change_the_image(folder):
    Image.new("L", (3, 3)).save(folder / "JPEGImages" / "1.jpg")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lose_the_image, "1.jpg: the image of annotation '1' must exist, got no such file"),
        (lose_the_annotation, "Annotations: there must be at least one image, got none"),
        (rename_the_annotation, "2.jpg: the image of annotation '2' must exist"),
        (change_the_image, r"1.xml: boxes must be for .*1.jpg, got \(5, 8\) and \(3, 3\)"),
    ],
)
def test_files_that_are_missing_or_of_other_sizes_are_told(write, change, words):
    folder = write("1", item())
    change(folder)
    with pytest.raises(DataError, match=words):
        VocDataset(folder)[0]


def test_an_image_twice_and_a_name_without_a_file_are_told(write):
    folder = write("1", item())
    with pytest.raises(DataError, match="names must differ, got '1' more than once"):
        VocDataset(folder, ["1", "1"])
    with pytest.raises(DataError, match=r"2.jpg: the image of annotation '2' must exist, got no"):
        VocDataset(folder, ["2"])
    with pytest.raises(DataError, match=r"1.png: the file must exist"):
        VocDataset(folder, segmentation=True)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"difficult": "no"}, "difficult must be 'kept' or 'dropped' or 'ignored', got 'no'"),
        ({"difficult": "ignored", "segmentation": True}, "difficult must be 'kept' with segm"),
        ({"class_names": ["dog", "dog"]}, r"class_names must differ, got \['dog', 'dog'\]"),
    ],
)
def test_settings_that_are_none_are_told(write, settings, words):
    with pytest.raises(SettingError, match=words):
        VocDataset(write("1", item()), **settings)

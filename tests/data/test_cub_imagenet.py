"""CUB-200-2011 and ImageNet against hand data, and broken files of both."""

import pickle

import numpy as np
import pytest
from PIL import Image

from cameval.data import CubDataset, ImageNetDataset, cached, read_synsets
from cameval.errors import DataError, SettingError

HEIGHT, WIDTH = 5, 8


# CUB-200-2011

TABLES = {
    "images": "1 001.Auk/a.jpg\n2 002.Jay/b.jpg\n3 002.Jay/c.jpg\n",
    "image_class_labels": "1 1\n2 2\n3 2\n",
    "classes": "1 001.Auk\n2 002.Jay\n",
    "train_test_split": "1 1\n2 0\n3 1\n",
    "bounding_boxes": "1 1.0 0.0 4.0 3.0\n2 0.5 0.0 7.5 5.0\n3 2.0 2.0 6.9 1.0\n",
}


@pytest.fixture
def birds(tmp_path):
    """Return a function that writes three birds, with changed tables."""

    def writer(**changes):
        for name, text in (TABLES | changes).items():
            if text is not None:
                raw = text if isinstance(text, bytes) else text.encode()
                (tmp_path / f"{name}.txt").write_bytes(raw)
        for kind, suffix in (("images", "jpg"), ("segmentations", "png")):
            for path in ("001.Auk/a", "002.Jay/b", "002.Jay/c"):
                file = tmp_path / kind / f"{path}.{suffix}"
                file.parent.mkdir(parents=True, exist_ok=True)
                shares = np.zeros((HEIGHT, WIDTH), np.uint8)
                shares[1, 1:4] = 51, 153, 255  # the share of the annotators
                Image.fromarray(shares).save(file)
        return tmp_path

    return writer


def test_each_bird_has_a_box_and_its_class(birds):
    dataset = CubDataset(birds())
    assert dataset.names == ("001.Auk/a", "002.Jay/b", "002.Jay/c")
    assert dataset.class_names == ("001.Auk", "002.Jay")
    assert dataset.labels.tolist() == [0, 1, 1]
    boxes = [sample.targets[0].objects.boxes.tolist() for sample in dataset]
    assert boxes == [[[1, 0, 5, 3]], [[0.5, 0, 8, 5]], [[2, 2, 8, 3]]]  # the last one is clipped
    assert dataset[0].mask.sum() == 12


def test_splits_are_those_of_the_table(birds):
    folder = birds()
    assert CubDataset(folder, "train").names == ("001.Auk/a", "002.Jay/c")
    assert CubDataset(folder, "test").names == ("002.Jay/b",)


def test_segmentations_are_the_pixels_of_most_annotators(birds):
    folder = birds()
    for truth, box in (("segmentations", [2, 1, 4, 2]), ("both", [1, 0, 5, 3])):
        target = CubDataset(folder, truth=truth)[0].targets[0]
        assert np.argwhere(target.mask).tolist() == [[1, 2], [1, 3]]
        assert target.objects.boxes.tolist() == [box]
    some = CubDataset(folder, truth="segmentations", mask_threshold=0)
    assert some[0].mask.sum() == 3


def test_birds_travel_and_are_cached(birds, tmp_path):
    dataset = CubDataset(birds(), truth="both")
    assert [path.name for path in dataset.sources][:4] == [
        "images.txt",
        "image_class_labels.txt",
        "train_test_split.txt",
        "bounding_boxes.txt",
    ]
    assert len(dataset.sources) == 4 + 6
    for other in (pickle.loads(pickle.dumps(dataset)), cached(dataset, tmp_path / "c.h5")):
        assert other[2].targets[0].objects.boxes.tolist() == [[2, 2, 8, 3]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": None}, "images.txt: the file must exist"),
        ({"images": ""}, "must hold images, got none"),
        ({"images": b"1 \xff.jpg"}, "images.txt: the table must be UTF-8"),
        ({"images": "1 a b.jpg"}, "images.txt, line 1: must be the number of an image and 1"),
        ({"images": "one a.jpg"}, "images.txt, line 1: must be the number of an image and 1 value"),
        ({"images": "1 001.Auk/a.jpg\n\n1 002.Jay/b.jpg"}, "line 3: image 1 must come once"),
        ({"images": "1 001.Auk/z.jpg"}, "images.txt, line 1: must name a file, got no such file"),
        ({"images": "1 001.Auk/a.jpg\n2 001.Auk/a.jpg"}, "names must differ, got '001.Auk/a' more"),
        ({"image_class_labels": "1 1\n"}, "labels.txt: every image must have a line, .* 2"),
        ({"image_class_labels": "1 9\n"}, "line 1: image 1 must be a whole number up to 2"),
        ({"image_class_labels": "1 0\n"}, "line 1: image 1 must be a class from 1 to 2, got 0"),
        ({"image_class_labels": "1 -1\n"}, "must be a whole number up to 2, got '-1'"),
        ({"classes": "2 001.Auk\n1 002.Jay\n"}, "classes.txt: classes must be numbered from 1"),
        ({"bounding_boxes": "1 1 1 3\n"}, "boxes.txt, line 1: must be the number .* and 4 values"),
        ({"bounding_boxes": "1 1 1 3 0\n"}, "image 1 must have a box .* an area, got 1 1 3 0"),
        ({"bounding_boxes": "1 1 1 nan 2\n"}, "image 1 must have a box"),
        ({"bounding_boxes": "1 a b c d\n"}, "image 1 must have a box .* got a b c d"),
        ({"bounding_boxes": "1 1 1 30 2\n2 0 0 1 1\n3 0 0 1 1"}, "Auk/a': box 0 must lie in the"),
    ],
)
def test_tables_of_birds_that_are_none_are_told(birds, changes, words):
    with pytest.raises(DataError, match=words):
        CubDataset(birds(**changes))[0]


def test_splits_and_segmentations_that_are_not_there_are_told(birds):
    folder = birds(train_test_split="1 1\n2 2\n3 1")
    with pytest.raises(
        DataError, match=r"train_test_split.txt, line 2: image 2 must be a whole num"
    ):
        CubDataset(folder, "test")
    with pytest.raises(DataError, match=r"a.png: the segmentation of '001.Auk/a' must exist"):
        CubDataset(folder, truth="both", segmentations=folder / "none")
    for settings in ({"split": "val"}, {"truth": "masks"}):
        with pytest.raises(SettingError, match="must be"):
            CubDataset(folder, **settings)


# ImageNet

SYNSETS = "n01 tench, Tinca tinca\nn02 crane\nn03 crane\n"


def annotation(*items):
    boxes = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
        f"<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
        for name, x0, y0, x1, y1 in items
    )
    return (
        f"<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
        f"{boxes}</annotation>"
    )


@pytest.fixture
def photos(tmp_path):
    """Return a function that writes photographs and their annotations by name."""

    def writer(**texts):
        (tmp_path / "synsets.txt").write_text(SYNSETS)
        for name, text in texts.items():
            path = name.replace("__", "/")
            for kind in ("images", "boxes"):
                (tmp_path / kind / path).parent.mkdir(parents=True, exist_ok=True)
            image = tmp_path / "images" / f"{path}.JPEG"
            Image.new("RGB", (WIDTH, HEIGHT)).save(image)
            (tmp_path / "boxes" / f"{path}.xml").write_text(text)
        return tmp_path / "images", tmp_path / "boxes", tmp_path / "synsets.txt"

    return writer


def test_boxes_of_one_class_are_kept_apart(photos):
    dataset = ImageNetDataset(
        *photos(
            val_2=annotation(("n03", 0, 0, 3, 4), ("n03", 4, 0, 7, 4)),
            val_1=annotation(("n01", 2, 1, 2, 1), ("n02", 0, 0, 8, 5)),
            val_3=annotation(),
        )
    )
    assert dataset.names == ("val_1", "val_2")  # one has no objects
    assert dataset.class_names == ("tench, Tinca tinca", "crane (n02)", "crane (n03)")
    assert dataset.target_labels == ((0, 1), (2,))
    assert dataset[1].targets[0].objects.boxes.tolist() == [[0, 0, 4, 5], [4, 0, 8, 5]]
    first = dataset[0].targets
    assert first[0].objects.boxes.tolist() == [[2, 1, 3, 2]]
    assert first[1].objects.boxes.tolist() == [[0, 0, 8, 5]]  # clipped


def test_subfolders_are_part_of_the_names(photos, tmp_path):
    dataset = ImageNetDataset(*photos(n01__a=annotation(("n01", 0, 0, 1, 1))))
    assert dataset.names == ("n01/a",)
    assert [path.name for path in dataset.sources] == ["synsets.txt", "a.JPEG", "a.xml"]
    assert cached(dataset, tmp_path / "c.h5")[0].targets[0].objects.boxes.tolist() == [[0, 0, 2, 2]]


def test_annotations_and_images_that_are_not_there_are_told(photos, tmp_path):
    with pytest.raises(DataError, match=r"val.xml, line 1: object 1 must be of a known class, got"):
        ImageNetDataset(*photos(val=annotation(("n01", 0, 0, 1, 1), ("n99", 0, 0, 1, 1))))
    places = photos(val=annotation(("n01", 0, 0, 1, 1)))
    (tmp_path / "images" / "val.JPEG").unlink()
    with pytest.raises(DataError, match=r"val.JPEG: the image of annotation 'val' must exist"):
        ImageNetDataset(*places)
    (tmp_path / "boxes" / "val.xml").unlink()
    with pytest.raises(DataError, match="boxes: the folder must hold XML files with objects"):
        ImageNetDataset(*places)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the list must hold at least one synset, got none"),
        (b"n01 a\nn01 b", "synsets.txt, line 2: synsets must differ, got 'n01' again"),
        (b"\xff", "the list of synsets must be UTF-8"),
    ],
)
def test_lists_of_synsets_that_are_none_are_told(tmp_path, content, words):
    (tmp_path / "synsets.txt").write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_synsets(tmp_path / "synsets.txt")


def test_a_synset_without_a_name_is_its_name(tmp_path):
    (tmp_path / "synsets.txt").write_text("n01\n\nn02 a b\n")
    assert read_synsets(tmp_path / "synsets.txt") == {"n01": "n01", "n02": "a b"}

"""Objects in COCO's JSON against matplotlib's polygons, run-length arithmetic and hand data."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Outline
from PIL import Image
from run_lengths import encode

from cameval.data import CocoDataset
from cameval.data._shapes import Polygons, Runs, run_lengths
from cameval.errors import DataError, SettingError

HEIGHT, WIDTH = 5, 8
BOX = [1, 1, 3, 2]


def content(*annotations, images=1):
    return {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH}
            for i in range(images)
        ],
        "categories": [
            {"id": 9, "name": "zebra"},
            {"id": 3, "name": "dog"},
            {"id": 5, "name": "cat"},
        ],
        "annotations": [{"image_id": 0} | annotation for annotation in annotations],
    }


@pytest.fixture
def read(tmp_path):
    def reader(*annotations, images=1, **settings):
        for i in range(images):
            Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / f"{i}.png")
        path = tmp_path / "objects.json"
        path.write_text(json.dumps(content(*annotations, images=images)))
        return CocoDataset(path, tmp_path, **settings)

    return reader


# Shapes


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", []),
        ("0", [0]),
        ("123", [1, 2, 3]),
        ("?0", [15, 0]),  # 15 is the largest number of one character
        ("`0", [16]),  # 16 would look negative in one character
        ("o0", [31]),
        ("P1", [32]),
        ("1231", [1, 2, 3, 3]),  # from the fourth on a difference: 2 + 1
        ("123O", [1, 2, 3, 1]),  # 2 - 1
        ("PPP1", [32768 + 0]),
    ],
)
def test_compressed_runs_by_hand(text, counts):
    assert run_lengths(text) == counts


@pytest.mark.parametrize("text", ["/", "1é", "p", "12P"])
def test_text_that_is_no_run_length_is_told(text):
    with pytest.raises(ValueError, match=r"no such character|cut off"):
        run_lengths(text)


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 70))))
def test_runs_are_the_mask_down_the_columns(mask):
    counts, text = encode(mask)
    assert run_lengths(text) == counts
    runs = Runs(tuple(counts))
    np.testing.assert_array_equal(runs(*mask.shape), mask)
    assert runs.area == mask.sum()


@given(
    st.lists(
        # quarters off the centers of pixels: no center on an edge that is upright or level
        st.tuples(st.integers(0, 2 * WIDTH), st.integers(0, 2 * HEIGHT)),
        min_size=3,
        max_size=3,
        unique=True,
    )
)
def test_a_triangle_covers_the_centers_inside_it(points):
    corners = np.array(points) / 2 + 0.123 * np.array([[1, 0], [0, 1], [1, 1]])
    mask = Polygons((tuple(corners.reshape(-1)),))(HEIGHT, WIDTH)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    centers = np.stack([columns, rows], axis=-1).reshape(-1, 2)
    inside = Outline(corners).contains_points(centers).reshape(HEIGHT, WIDTH)
    np.testing.assert_array_equal(mask, inside)


def test_a_box_of_whole_pixels_covers_these(read):
    mask = read({"category_id": 3, "bbox": BOX})[0].mask
    assert mask.sum() == 6
    assert mask[1:3, 1:4].all()


def test_the_edge_belongs_to_the_object(read):
    mask = read({"category_id": 3, "bbox": [1.5, 0.5, 2, 2]}, classes="largest")[0].mask
    assert mask.sum() == 9
    assert mask[0:3, 1:4].all()


def test_an_object_between_centers_has_no_pixels(read):
    box = {"category_id": 3, "bbox": [1.6, 1.6, 0.3, 0.3]}
    assert not read(box, classes="largest")[0].mask.any()


def test_an_object_between_centers_that_is_kept_apart_has_the_pixel_it_is_in(read):
    thin = [[1.6, 1.6, 1.9, 1.6, 1.9, 1.9]]
    for shape in ({}, {"segmentation": thin}):
        target = read({"category_id": 3, "bbox": [1.6, 1.6, 0.3, 0.3]} | shape)[0].targets[0]
        assert np.argwhere(target.mask).tolist() == [[1, 1]]
        assert target.objects.boxes.tolist() == [[1.6, 1.6, 1.6 + 0.3, 1.6 + 0.3]]


def test_a_polygon_of_two_parts_is_their_union(read):
    parts = [[0, 0, 2, 0, 2, 2, 0, 2], [1, 0, 4, 0, 4, 1, 1, 1]]
    mask = read({"category_id": 3, "segmentation": parts})[0].mask
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[:2, :2] = expected[0, 1:4] = True
    np.testing.assert_array_equal(mask, expected)


def test_rounding_past_the_edge_is_cut(read):
    assert read({"category_id": 3, "bbox": [-0.4, 0, WIDTH + 0.9, HEIGHT]})[0].mask.all()


@pytest.mark.parametrize("compressed", [False, True])
def test_runs_are_read_in_both_forms(read, compressed):
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[1:4, 2] = truth[2, 2:6] = True
    runs = {"size": [HEIGHT, WIDTH], "counts": encode(truth)[compressed]}
    mask = read({"category_id": 3, "segmentation": runs, "bbox": [0, 0, 1, 1]})[0].mask
    np.testing.assert_array_equal(mask, truth)


# Images


def test_labels_count_categories_by_id(read):
    dataset = read({"category_id": 5, "bbox": BOX})
    assert dataset.class_names == ("dog", "cat", "zebra")
    assert dataset[0].label == 1
    assert dataset[0].name == dataset[0].group == "0"


def test_the_largest_object_decides_and_all_of_its_category_are_the_mask(read):
    dataset = read(
        {"category_id": 5, "bbox": [0, 0, 2, 2]},
        {"category_id": 3, "bbox": [4, 0, 4, 2]},
        {"category_id": 3, "bbox": [0, 4, 1, 1]},
        {"category_id": 9, "bbox": [0, 0, 8, 5], "iscrowd": 1},
        classes="largest",
    )
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[:2, 4:] = expected[4, 0] = True
    assert dataset[0].label == 0
    np.testing.assert_array_equal(dataset[0].mask, expected)


def test_of_equal_objects_the_lowest_category_decides(read):
    boxes = [{"category_id": i, "bbox": BOX} for i in (9, 5)]
    for order in (boxes, boxes[::-1]):
        assert read(*order, classes="largest")[0].label == 1


def test_a_crowd_is_part_of_the_mask_and_decides_where_it_is_alone(read):
    crowd = {"category_id": 5, "bbox": [0, 0, 8, 1], "iscrowd": 1}
    one = {"classes": "largest"}
    assert read(crowd, **one)[0].label == 1
    assert read(crowd, {"category_id": 3, "bbox": BOX}, **one)[0].label == 0
    assert read(crowd, {"category_id": 5, "bbox": BOX}, **one)[0].mask.sum() == 8 + 6


def test_one_category_may_be_all_that_counts(read):
    objects = [
        {"category_id": 5, "bbox": BOX},
        {"category_id": 3, "bbox": [0, 0, 8, 5]},
        {"category_id": 3, "bbox": BOX, "image_id": 1},
    ]
    dataset = read(*objects, images=3, category="cat")
    assert dataset.names == ("0",)
    assert dataset.labels.tolist() == [1]
    assert dataset[0].mask.sum() == 6
    with pytest.raises(SettingError, match=r"one of \['dog', 'cat', 'zebra'\], got 'cow'"):
        read(*objects, images=3, category="cow")


def test_images_without_objects_are_left_out_or_get_a_label(read):
    box = {"category_id": 5, "bbox": BOX, "image_id": 1}
    assert read(box, images=3).names == ("1",)
    dataset = read(box, images=3, empty_label=2)
    assert dataset.labels.tolist() == [2, 1, 2]
    assert [bool(sample.mask.any()) for sample in dataset] == [False, True, False]
    for label in (3, -1, True, 0.0):
        with pytest.raises(SettingError, match="empty_label must be the label of a category"):
            read(box, images=3, empty_label=label)


def test_the_dataset_travels_and_knows_its_sources(read):
    dataset = read({"category_id": 5, "bbox": BOX}, groups=lambda name: f"group {name}")
    again = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(again[0].mask, dataset[0].mask)
    assert again[0].group == "group 0"
    assert [path.name for path in dataset.sources] == ["0.png", "objects.json"]


# All categories of an image


def test_every_category_is_a_target_whose_objects_are_kept_apart(read):
    sample = read(
        {"category_id": 5, "bbox": [0, 0, 2, 2]},
        {"category_id": 3, "bbox": [4, 0, 2, 2]},
        {"category_id": 5, "bbox": [2, 0, 2, 2]},
    )[0]
    assert [target.label for target in sample.targets] == [0, 1]
    dog, cat = (target.objects for target in sample.targets)
    assert dog.boxes.tolist() == [[4, 0, 6, 2]]
    assert cat.boxes.tolist() == [[0, 0, 2, 2], [2, 0, 4, 2]]  # they touch, and stay two
    assert cat.masks.sum((1, 2)).tolist() == [4, 4]


@given(st.data())
def test_masks_and_boxes_are_those_of_a_loop_over_the_annotations(place, data):
    count = data.draw(st.integers(1, 5))
    truths = [data.draw(arrays(bool, (HEIGHT, WIDTH)).filter(np.any)) for _ in range(count)]
    categories = [data.draw(st.sampled_from([3, 5, 9])) for _ in range(count)]
    boxed = [data.draw(st.booleans()) for _ in range(count)]
    side = st.floats(0.1, 3)
    corner = st.floats(-0.9, 3)
    boxes = [[data.draw(s) for s in (corner, corner, side, side)] for _ in range(count)]
    annotations = []
    for i in range(count):
        runs = {"size": [HEIGHT, WIDTH], "counts": encode(truths[i])[data.draw(st.booleans())]}
        annotation = {"category_id": categories[i], "segmentation": runs}
        annotations.append(annotation | ({"bbox": boxes[i]} if boxed[i] else {}))
    path = place / "objects.json"
    path.write_text(json.dumps(content(*annotations)))
    sample = CocoDataset(path, place)[0]
    labels = {3: 0, 5: 1, 9: 2}
    assert [t.label for t in sample.targets] == sorted({labels[each] for each in categories})
    for target in sample.targets:
        own = [i for i in range(count) if labels[categories[i]] == target.label]
        np.testing.assert_array_equal(target.objects.masks, [truths[i] for i in own])
        for i, box in zip(own, target.objects.boxes, strict=True):
            rows, columns = np.nonzero(truths[i])
            x, y, w, h = boxes[i]
            expected = [max(x, 0), max(y, 0), min(x + w, WIDTH), min(y + h, HEIGHT)]
            if not boxed[i]:
                expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            if expected[2] > expected[0] and expected[3] > expected[1]:
                np.testing.assert_allclose(box, expected)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("coco")
    Image.new("L", (WIDTH, HEIGHT)).save(folder / "0.png")
    return folder


CROWD = {"category_id": 5, "bbox": [0, 0, 8, 2], "iscrowd": 1}


def test_crowds_are_ignored_where_they_are_no_other_object(read):
    sample = read(CROWD, {"category_id": 3, "bbox": BOX})[0]
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[:2] = True
    expected[1:3, 1:4] = False
    np.testing.assert_array_equal(sample.ignore, expected)
    assert [target.label for target in sample.targets] == [0]


def test_crowds_may_be_objects_or_dropped(read):
    dog = {"category_id": 3, "bbox": BOX}
    sample = read(CROWD, dog, crowds="objects")[0]
    assert sample.ignore is None
    assert [(t.label, t.mask.sum()) for t in sample.targets] == [(0, 6), (1, 16)]
    sample = read(CROWD, dog, crowds="dropped")[0]
    assert sample.ignore is None
    assert [t.label for t in sample.targets] == [0]
    with pytest.raises(DataError, match="at least one image must have objects"):
        read(CROWD)


def test_categories_that_an_image_does_not_have_may_be_negatives(read):
    dataset = read({"category_id": 5, "bbox": BOX}, images=2, negatives=True)
    assert dataset.target_labels == ((0, 1, 2), (0, 1, 2))
    assert [[bool(t.mask.any()) for t in sample.targets] for sample in dataset] == [
        [False, True, False],
        [False, False, False],
    ]
    some = read({"category_id": 5, "bbox": BOX}, negatives=True, category=["cat", "dog"])
    assert some.target_labels == ((0, 1),)
    assert some.labels.tolist() == [None]


def test_a_box_without_a_side_of_a_drawn_object_is_the_pixel_it_is_in(read):
    line = {"category_id": 5, "bbox": [2, 1, 3, 0], "segmentation": [[2, 1, 5, 1, 5, 1]]}
    assert read(line)[0].targets[0].objects.boxes.tolist() == [[2, 1, 5, 2]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"classes": "some"}, "classes must be 'all' or 'largest', got 'some'"),
        ({"crowds": None}, "crowds must be 'ignored' or 'objects' or 'dropped', got None"),
        ({"category": []}, "category must be one of .* got none"),
        ({"category": ["cat", "cow"]}, "category must be one of .* got 'cow'"),
        ({"negatives": True, "empty_label": 1}, "negatives must be without"),
        ({"negatives": True, "classes": "largest"}, "negatives must be without"),
    ],
)
def test_settings_that_are_none_are_told(read, settings, words):
    with pytest.raises(SettingError, match=words):
        read({"category_id": 5, "bbox": BOX}, **settings)

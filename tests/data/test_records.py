"""Records with several targets, boxes, instances and ignored pixels, also of turned photographs."""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from cameval.data import (
    ImageFile,
    MaskFile,
    OrientationWarning,
    PictureDataset,
    Record,
    TargetRecord,
    cached,
)
from cameval.data.objects import fill_box
from cameval.data.pictures import turn_upright
from cameval.data.records import clip_boxes, turn_boxes
from cameval.errors import DataError, SettingError

SIZE = (5, 8)


@dataclass(frozen=True)
class Given:
    """A source of truth that is at hand."""

    path: Path
    array: np.ndarray

    def __call__(self) -> np.ndarray:
        """Return the truth."""
        return self.array


def write(folder: Path, name: str, array: np.ndarray, orientation: int | None = None) -> Path:
    picture = Image.fromarray(np.asarray(array, np.uint8))
    exif = picture.getexif()
    if orientation is not None:
        exif[0x0112] = orientation
    picture.save(folder / name, exif=exif)
    return folder / name


@pytest.fixture
def image(tmp_path) -> ImageFile:
    return ImageFile(write(tmp_path, "1.png", np.arange(40).reshape(SIZE)))


# Targets


def test_a_record_has_a_target_for_each_class(tmp_path, image) -> None:
    mask = np.eye(*SIZE, dtype=bool)
    numbers = np.zeros(SIZE, int)
    numbers[0, :2], numbers[0, 2:4] = 1, 2
    record = Record(
        "x",
        image,
        group="patient",
        targets={
            7: MaskFile(write(tmp_path, "mask.png", mask * 255)),
            2: None,
            4: TargetRecord(boxes=[(0, 0, 3, 2), (3, 0, 5.5, 2)], path=tmp_path / "boxes.txt"),
            5: TargetRecord(instances=Given(tmp_path / "numbers.png", numbers)),
        },
        info={"view": "lateral"},
        ignore=Given(tmp_path / "ignore.png", mask),
        spacing=(2, 1),
    )
    sample = record.read()
    assert [target.label for target in sample.targets] == [7, 2, 4, 5]
    first, negative, boxed, numbered = sample.targets
    np.testing.assert_array_equal(first.mask, mask)
    assert not negative.mask.any()
    assert boxed.objects.boxes.tolist() == [[0, 0, 3, 2], [3, 0, 5.5, 2]]
    assert len(numbered.objects) == 2
    assert (sample.group, dict(sample.info), sample.spacing) == (
        "patient",
        {"view": "lateral"},
        (2, 1),
    )
    np.testing.assert_array_equal(sample.ignore, mask)
    assert [path.name for path in record.paths] == [
        "1.png",
        "mask.png",
        "boxes.txt",
        "numbers.png",
        "ignore.png",
    ]


def test_a_record_without_a_mask_is_a_negative(image) -> None:
    sample = Record("x", image, label=3).read()
    assert sample.label == 3
    assert sample.shape == SIZE
    assert not sample.mask.any()


def test_datasets_of_several_targets_travel_and_are_cached(tmp_path, image) -> None:
    write(tmp_path, "mask.png", np.eye(*SIZE) * 255)
    mask = MaskFile(tmp_path / "mask.png")
    records = [
        Record("x", image, targets={1: mask, 0: None}, info={"age": 61}),
        Record("y", image, mask, 1),
        Record("z", image),
    ]
    dataset = PictureDataset(records, ["no", "yes"])
    assert dataset.labels.tolist() == [None, 1, None]
    assert dataset.target_labels == ((1, 0), (1,), (None,))
    assert [path.name for path in dataset.sources] == ["1.png", "mask.png"]
    again = pickle.loads(pickle.dumps(dataset))
    copy = cached(dataset, tmp_path / "c.h5")
    assert copy.target_labels == dataset.target_labels
    for i in range(3):
        for other in (again[i], copy[i]):
            assert [t.label for t in other.targets] == [t.label for t in dataset[i].targets]
            np.testing.assert_array_equal(other.mask, dataset[i].mask)
            assert other.info == dataset[i].info
    with pytest.raises(DataError, match="labels must be below 1, the number of classes, got 1"):
        PictureDataset(records, ["no"])


def test_other_targets_are_other_settings(image) -> None:
    def settings(**changes: object) -> str:
        return PictureDataset([Record("x", image, **changes)]).settings

    variants = [
        {},
        {"targets": {1: None}},
        {"targets": {2: None}},
        {"targets": {1: TargetRecord(boxes=[(0, 0, 1, 1)])}},
        {"targets": {1: TargetRecord(boxes=[(0, 0, 1, 2)])}},
        {"info": {"age": 1}},
        {"spacing": (1, 1)},
    ]
    assert len({settings(**variant) for variant in variants}) == len(variants)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"label": 1, "targets": {1: None}}, "record 'x' must have targets, or mask and label"),
        ({"mask_orientation": "left"}, "mask_orientation must be 'stored', 'upright' or None"),
    ],
)
def test_settings_that_are_none_are_told(image, changes, words) -> None:
    with pytest.raises(SettingError, match=words):
        Record("x", image, **changes)


@pytest.mark.parametrize("label", [-1, 0.5, "cat", True])
def test_a_target_of_no_class_is_told(image, label) -> None:
    with pytest.raises(DataError, match="record 'x': a target's label must be a class index"):
        Record("x", image, targets={label: None})


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([(0, 0, 1)], r"box 0 must be four finite numbers"),
        ([(0, 0, 1, 1), (0, 0, np.inf, 1)], r"box 1 must be four finite numbers"),
        ([(3, 0, 1, 1)], r"box 0 must be \(x0, y0, x1, y1\) with x0 <= x1"),
    ],
)
def test_boxes_that_are_none_are_told(boxes, words) -> None:
    with pytest.raises(DataError, match=words):
        TargetRecord(boxes=boxes)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda p: Given(p, np.zeros((4, 8), bool)), r"own.png: the mask .* got \(4, 8\) and"),
        (
            lambda p: TargetRecord(instances=Given(p, np.zeros((2, 4, 8), bool))),
            r"own.png: the mask must .* got \(4, 8\) and \(5, 8\)",
        ),
        (
            lambda p: TargetRecord(instances=Given(p, np.zeros((2, *SIZE), bool))),
            r"own.png: the truth of class 1 in 'x' .* got number 1 without a pixel",
        ),
        (
            lambda p: TargetRecord(instances=Given(p, np.full(SIZE, -1))),
            r"own.png: the truth of class 1 in 'x' .* object numbers must be 0 or more, got -1",
        ),
        (
            lambda p: Given(p, np.zeros(SIZE, np.uint8)),
            r"own.png: the truth of class 1 in 'x' must .* mask must be bool, got uint8",
        ),
        (
            lambda p: TargetRecord(boxes=[(0, 0, 3, 9)], path=p),
            r"own.png: 'x': box 0 must lie in the image of \(8, 5\) pixels .* got \[0.0, 0.0, 3",
        ),
        (
            lambda p: TargetRecord(boxes=[(8.2, 0, 9, 1)], path=p),
            r"own.png: 'x': box 0 must lie in the image",
        ),
    ],
)
def test_truth_that_does_not_fit_the_image_is_told(tmp_path, image, source, words) -> None:
    record = Record("x", image, targets={1: source(tmp_path / "own.png"), 2: None})
    with pytest.raises(DataError, match=words):
        record.read()


def test_boxes_for_an_image_of_another_size_are_told(tmp_path, image) -> None:
    boxes = TargetRecord(boxes=[(0, 0, 1, 1)], path=tmp_path / "1.xml")
    with pytest.raises(DataError, match=r"1.xml: boxes must be for .*1.png, got \(8, 5\) and"):
        Record("x", image, targets={0: boxes}, size=(8, 5)).read()


def test_an_image_of_which_all_is_ignored_is_told(tmp_path, image) -> None:
    record = Record("x", image, ignore=Given(tmp_path / "i.png", np.ones(SIZE, bool)))
    with pytest.raises(DataError, match=r"1.png: ignore must leave at least one pixel"):
        record.read()


# Boxes


SIDES = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(SIDES, st.data(), st.integers(1, 8))
def test_boxes_are_turned_as_their_pixels_are(size, data, orientation) -> None:
    low = [data.draw(st.integers(0, side - 1)) for side in size[::-1]]
    high = [
        data.draw(st.integers(start + 1, side)) for start, side in zip(low, size[::-1], strict=True)
    ]
    box = np.array([[*low, *high]], np.float64)
    mask = turn_upright(fill_box(box[0], size), orientation)
    turned = turn_boxes(box, orientation, size)
    np.testing.assert_array_equal(fill_box(turned[0], mask.shape), mask)
    rows, columns = np.nonzero(mask)
    assert turned[0].tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@given(
    SIDES,
    arrays(np.float64, (3, 4), elements=st.floats(-1, 7)),
)
def test_clipped_boxes_have_an_area_in_the_image(size, corners) -> None:
    boxes = np.concatenate(
        [np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])], 1
    )
    limit = np.array(size[::-1])
    fits = (boxes[:, 2:] <= limit + 1).all() and not (
        (boxes[:, :2] >= limit) & (boxes[:, 2:] > limit)
    ).any()
    if not fits:
        with pytest.raises(DataError, match="must lie in the image"):
            clip_boxes(boxes, size, "here")
        return
    clipped = clip_boxes(boxes, size, "here")
    assert (clipped[:, :2] >= 0).all()
    assert (clipped[:, 2:] <= limit).all()
    assert (clipped[:, :2] < clipped[:, 2:]).all()
    inside = (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= limit).all()
    if inside and (boxes[:, :2] < boxes[:, 2:]).all():
        np.testing.assert_array_equal(clipped, boxes)


# Turned photographs


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["boxes", "numbers", "masks"])
def test_truth_of_a_turned_photograph_is_turned_with_it(tmp_path, orientation, kind) -> None:
    stored = np.zeros(SIZE, bool)
    stored[1:3, 2:7] = True
    path = write(tmp_path, "1.jpg", stored * 200, orientation)
    source = {
        "boxes": TargetRecord(boxes=[(2, 1, 7, 3)], path=path),
        "numbers": TargetRecord(instances=Given(path, stored.astype(int))),
        "masks": TargetRecord(instances=Given(path, stored[None])),
    }[kind]
    expected = turn_upright(stored, orientation)
    record = Record("x", ImageFile(path), targets={0: source}, mask_orientation="stored", size=SIZE)
    np.testing.assert_array_equal(record.read().mask, expected)
    swapped = orientation in (5, 6, 7, 8)
    record = Record("x", ImageFile(path), targets={0: source}, size=SIZE)
    if swapped:  # the size decides
        np.testing.assert_array_equal(record.read().mask, expected)
    else:
        with pytest.warns(OrientationWarning, match="assumed to be stored alike"):
            np.testing.assert_array_equal(record.read().mask, expected)


def test_boxes_of_an_unknown_size_need_the_setting(tmp_path) -> None:
    path = write(tmp_path, "1.jpg", np.zeros(SIZE), 6)
    boxes = TargetRecord(boxes=[(0, 0, 2, 1)], path=path)
    upright = Record("x", ImageFile(path), targets={0: boxes}, mask_orientation="upright").read()
    assert upright.targets[0].objects.boxes.tolist() == [[0, 0, 2, 1]]
    with pytest.warns(OrientationWarning):
        stored = Record("x", ImageFile(path), targets={0: boxes}).read()
    assert stored.targets[0].objects.boxes.tolist() == [[4, 0, 5, 2]]

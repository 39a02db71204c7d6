"""`Sample` with several targets, `Target` with boxes and instances, `Objects`."""

import pickle
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from cameval import Sample, Target
from cameval.data import Objects
from cameval.errors import ArrayTypeError, CamevalError, DataError, NonFiniteError, ShapeError

IMAGE = np.zeros((6, 8), np.float32)
MASK = np.zeros((6, 8), bool)
MASK[1:3, 2:5] = True
EMPTY = np.zeros((6, 8), bool)


# --- Objects --------------------------------------------------------------------------------------


@st.composite
def boxes(draw: st.DrawFn) -> NDArray[np.float64]:
    """Draw boxes with fractions in an image of 6 x 8 pixels."""
    made = []
    for _ in range(draw(st.integers(1, 4))):
        box = []
        for length in (8, 6):
            low = draw(st.floats(0, length - 0.25))
            box.append((low, draw(st.floats(min(low + 0.2, length), length))))
        made.append([box[0][0], box[1][0], box[0][1], box[1][1]])
    return np.array(made)


@given(boxes())
def test_a_box_holds_the_pixels_whose_centers_it_has(found) -> None:
    objects = Objects((6, 8), found)
    for (x0, y0, x1, y1), mask in zip(found.tolist(), objects.masks, strict=True):
        expected = np.zeros((6, 8), bool)
        for row in range(6):
            for column in range(8):
                expected[row, column] = x0 <= column + 0.5 < x1 and y0 <= row + 0.5 < y1
        if expected.any():
            assert np.array_equal(mask, expected)
        else:  # a thin box has one row or column of pixels
            assert 1 <= mask.sum() <= 8
    assert np.array_equal(objects.union, objects.masks.any(0))
    assert np.array_equal(objects.boxes, found)


@given(st.integers(0, 2**16 - 1))
def test_objects_of_labels_are_the_masks_of_their_numbers(seed) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, (5, 7)) * 3
    objects = Objects.of_labels(labels)
    numbers = [n for n in np.unique(labels).tolist() if n]
    assert len(objects) == len(numbers)
    for number, mask, box in zip(numbers, objects.masks, objects.boxes, strict=True):
        assert np.array_equal(mask, labels == number)
        rows, columns = ndimage.find_objects(mask.astype(int))[0]
        assert box.tolist() == [columns.start, rows.start, columns.stop, rows.stop]


def test_objects_of_a_volume_have_boxes_of_six_numbers() -> None:
    labels = np.zeros((3, 4, 5), int)
    labels[1:3, 2, 1:4] = 1
    assert Objects.of_labels(labels).boxes.tolist() == [[1, 2, 1, 4, 3, 3]]
    boxes = np.array([[1, 2, 1, 4, 3, 3]])
    assert np.array_equal(Objects((3, 4, 5), boxes).union, labels > 0)


def test_components_touch_at_corners() -> None:
    assert len(Objects.of_components(np.eye(3, dtype=bool))) == 1
    assert len(Objects.of_components(EMPTY)) == 0
    assert Objects.of_components(EMPTY).boxes.shape == (0, 4)
    assert not Objects.of_components(EMPTY).union.any()


BAD_OBJECTS = {
    "nothing": ({}, DataError, "boxes or masks, got neither"),
    "boxes as a list": ({"given_boxes": [[0, 0, 1, 1]]}, ArrayTypeError, "got list"),
    "boxes of words": ({"given_boxes": np.array([["a"] * 4])}, ArrayTypeError, "real numbers"),
    "three numbers": ({"given_boxes": np.zeros((1, 3))}, ShapeError, r"\(n, 4\), got \(1, 3\)"),
    "one box flat": ({"given_boxes": np.zeros(4)}, ShapeError, r"got \(4,\)"),
    "NaN": ({"given_boxes": np.array([[0, 0, np.nan, 1]])}, NonFiniteError, "finite"),
    "a corner and a size": (
        {"given_boxes": np.array([[4, 4, 2, 2]])},
        DataError,
        "with an area.*not a corner and a size",
    ),
    "no area": ({"given_boxes": np.array([[1, 1, 1, 3]])}, DataError, "with an area"),
    "outside": ({"given_boxes": np.array([[0, 0, 9, 2]])}, DataError, "clip them"),
    "negative": ({"given_boxes": np.array([[-1, 0, 2, 2]])}, DataError, "clip them"),
    "masks of numbers": ({"given_masks": np.zeros((1, 6, 8))}, ArrayTypeError, "boolean"),
    "one mask flat": ({"given_masks": MASK}, ShapeError, r"shape \(n, 6, 8\)"),
    "an empty mask": ({"given_masks": np.stack([MASK, EMPTY])}, DataError, "number 2 without"),
    "of two numbers": (
        {"given_masks": MASK[None], "given_boxes": np.array([[0, 0, 1, 1], [0, 0, 2, 2]])},
        ShapeError,
        "2 boxes and 1 masks",
    ),
}


@pytest.mark.parametrize(("parts", "error", "message"), BAD_OBJECTS.values(), ids=BAD_OBJECTS)
def test_objects_are_checked(parts, error, message) -> None:
    with pytest.raises(error, match=message):
        Objects((6, 8), **parts)


@pytest.mark.parametrize("labels", [np.zeros((2, 2)), [[1]], np.array([[-1]])])
def test_numbers_of_objects_are_checked(labels) -> None:
    with pytest.raises(CamevalError, match="object numbers must be"):
        Objects.of_labels(labels)


# --- Targets --------------------------------------------------------------------------------------


def test_a_target_of_a_mask_has_its_components_as_objects() -> None:
    mask = MASK.copy()
    mask[5, 7] = True
    (target,) = Sample("a", IMAGE, mask, 1).targets
    assert target.label == 1
    assert target.objects.boxes.tolist() == [[2, 1, 5, 3], [7, 5, 8, 6]]


def test_a_target_of_boxes_has_their_union_as_mask() -> None:
    boxes = np.array([[0, 0, 3, 4], [3, 0, 6, 4]])
    sample = Sample("a", IMAGE, targets=[Target(1, boxes=boxes)])
    assert sample.label == 1
    assert sample.mask[:4, :6].all()
    assert sample.mask.sum() == 24
    assert len(sample.targets[0].objects) == 2


def test_a_box_with_a_mask_has_the_pixels_of_the_mask() -> None:
    target = Target(1, MASK, boxes=np.array([[0, 0, 6, 6], [6, 0, 8, 6]])).of_size((6, 8))
    assert np.array_equal(target.objects.masks[0], MASK)
    assert target.objects.masks[1].all(0)[6:].all()  # without a pixel of the mask, all of the box


def test_instances_are_numbers_or_masks() -> None:
    other = np.roll(MASK, 2, 1)
    masks = Target(0, instances=np.stack([MASK, other]))
    assert np.array_equal(masks.mask, MASK | other)
    assert len(masks.objects) == 2
    numbers = Target(0, instances=MASK * 4 + np.roll(MASK, 3, 1) * 7)
    assert len(numbers.objects) == 2
    boxes = np.array([[2.0, 1, 5, 3.5]])
    assert Target(0, boxes=boxes, instances=MASK[None]).objects.boxes.tolist() == boxes.tolist()


@pytest.mark.parametrize(
    "target",
    [
        Target(1, EMPTY),
        Target(1, boxes=np.zeros((0, 4))),
        Target(1, instances=np.zeros((6, 8), int)),
    ],
)
def test_a_negative_has_no_object(target) -> None:
    sample = Sample("a", IMAGE, targets=[target])
    assert not sample.mask.any()
    assert len(sample.targets[0].objects) == 0


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "must have a mask, boxes or instances"),
        ({"label": -1, "mask": MASK}, "class index"),
        ({"label": [1, 2], "mask": MASK}, "several targets"),
        ({"mask": MASK * 1}, "mask must be bool"),
        ({"mask": MASK, "instances": np.roll(MASK, 1, 0)[None]}, "union of the instances"),
        ({"instances": MASK * 1.0}, "object numbers must be"),
    ],
)
def test_targets_are_checked(parts: dict[str, Any], message) -> None:
    with pytest.raises(CamevalError, match=message):
        Target(**parts)


def test_a_target_of_boxes_alone_has_no_size() -> None:
    with pytest.raises(DataError, match=r"target.of_size\(\(height, width\)\)"):
        _ = Target(1, boxes=np.array([[0, 0, 1, 1]])).objects


# --- Samples --------------------------------------------------------------------------------------

PAIR = [Target(2, MASK), Target(5, EMPTY)]


def test_a_sample_of_several_targets_has_their_union_and_no_label() -> None:
    sample = Sample("a", IMAGE, targets=PAIR, info={"view": "ap"}, group="p")
    assert sample.label is None
    assert np.array_equal(sample.mask, MASK)
    one, other = sample.by_target()
    assert (one.label, other.label) == (2, 5)
    assert not other.mask.any()
    assert one.image is other.image is sample.image
    assert one.info == sample.info
    assert one.group == "p"


def test_a_sample_can_be_pickled_and_changed() -> None:
    sample = Sample("a", IMAGE, targets=PAIR, info={"age": 3}, spacing=(1, 2), ignore=MASK)
    again = pickle.loads(pickle.dumps(sample))
    assert again.info == {"age": 3}
    assert [target.label for target in again.targets] == [2, 5]
    brighter = replace(sample, image=IMAGE + 0.5)
    assert [target.label for target in brighter.targets] == [2, 5]
    moved = replace(Sample("b", IMAGE, MASK, 1), mask=EMPTY)
    assert not moved.targets[0].mask.any()
    with pytest.raises(DataError, match="2 targets and a mask or label that is not theirs"):
        replace(sample, label=1)


@pytest.mark.parametrize(
    ("parts", "error", "message"),
    [
        ({}, DataError, "must have a mask or targets, got neither"),
        ({"targets": Target(1, MASK)}, ArrayTypeError, "a list of Target, got Target"),
        ({"targets": 7}, ArrayTypeError, "a list of Target, got int"),
        ({"targets": [MASK]}, ArrayTypeError, "got one of ndarray"),
        ({"targets": [Target(1, MASK), Target(1, EMPTY)]}, DataError, "got 1 twice"),
        ({"targets": [Target(1, MASK), Target(None, EMPTY)]}, DataError, "must have a label"),
        ({"targets": [Target(1, MASK[1:])]}, ShapeError, r"got \(5, 8\) and \(6, 8\)"),
        ({"targets": [Target(1, boxes=np.array([[0, 0, 20, 2]]))]}, DataError, "clip them"),
        ({"mask": MASK, "ignore": MASK * 1}, ArrayTypeError, "ignore must be bool"),
        ({"mask": MASK, "ignore": MASK[1:]}, ShapeError, "ignore must have the height"),
        ({"mask": MASK, "ignore": ~EMPTY}, DataError, "at least one pixel"),
        ({"mask": MASK, "spacing": 1}, DataError, "spacing must be 2 positive numbers"),
        ({"mask": MASK, "spacing": (1, 2, 3)}, DataError, "spacing must be 2"),
        ({"mask": MASK, "spacing": (1, 0)}, DataError, "spacing must be 2"),
        ({"mask": MASK, "info": [1]}, DataError, "info must be a mapping"),
        ({"mask": MASK, "info": {"label": 1}}, DataError, "other names than the columns"),
        ({"mask": MASK, "info": {3: 1}}, DataError, "name of info must be text"),
        ({"mask": MASK, "info": {"a": [1]}}, DataError, "got \\[1\\] for 'a'"),
        ({"mask": MASK, "info": {"a": float("nan")}}, DataError, "finite numbers"),
        ({"mask": MASK, "info": {"a": Fraction(1, 3)}}, DataError, "got Fraction"),
        ({"mask": np.zeros((2, 6, 8), bool)}, ShapeError, "volumes"),
    ],
)
def test_samples_are_checked(parts: dict[str, Any], error, message) -> None:
    with pytest.raises(error, match=message):
        Sample("a", IMAGE, **parts)


def test_a_volume_has_three_axes_with_or_without_channels() -> None:
    mask = np.zeros((2, 4, 5), bool)
    for shape in ((2, 4, 5), (2, 4, 5, 3)):
        sample = Sample("scan", np.zeros(shape, np.float32), mask, spacing=(5, 1, 1))
        assert sample.shape == (2, 4, 5)
    flat = Sample("photo", np.zeros((4, 5, 3), np.float32), np.zeros((4, 5), bool))
    assert flat.shape == (4, 5)


def test_spaces_around_a_group_are_removed() -> None:
    assert Sample("a ", IMAGE, IMAGE > 0.5, group=" 97737 ").group == "97737"
    with pytest.raises(DataError, match="group must not be empty"):
        Sample("a", IMAGE, IMAGE > 0.5, group=" ")


@pytest.mark.parametrize("group", ["nan", "None", "<NA>", str(np.datetime64("NaT"))])
def test_the_text_of_a_missing_value_is_no_group(group) -> None:
    with pytest.raises(DataError, match="the text of a missing value; give None where the group"):
        Sample("a", IMAGE, IMAGE > 0.5, group=group)
    assert Sample(group, IMAGE, IMAGE > 0.5).group == group  # an image of this name


@pytest.mark.parametrize("name", ["0 ", " ", "None"])
def test_a_group_that_is_the_name_stays_it(name: str) -> None:
    image, mask = np.zeros((4, 4), np.float32), np.ones((4, 4), bool)
    alone = Sample(name, image, mask)
    assert alone.group == name == Sample(name, image, mask, group=alone.group).group

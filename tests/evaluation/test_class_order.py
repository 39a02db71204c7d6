"""A wrong order of the classes: which orders are told, the caution of the report, the warning."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pages import made
from torch import nn

from cameval import CAMModel, GAPHead, Preparation, Sample, evaluate, evaluate_maps, iou
from cameval.data import ClassOrderWarning
from cameval.evaluation._class_order import OtherOrder, other_order
from cameval.evaluation._scores import Images
from cameval.report import verdict_lines

NAMES = ("meningioma", "glioma", "pituitary")
SAID = "With meningioma and glioma exchanged 93.3 % would be right, not 40.0 %"


def images(labels, predicted, groups=None) -> Images:
    """Make images of a model with these labels and predictions."""
    n = len(labels)
    table = {
        "sample": [f"image {i}" for i in range(n)],
        "group": [f"group {i}" for i in (range(n) if groups is None else groups)],
        "label": labels,
        "predicted": predicted,
        "present": True,
    }
    empty = np.zeros((n, 0))
    return Images("net", pd.DataFrame(table), (), empty, empty.astype(np.uint8), 0)


def exchanged(labels) -> np.ndarray:
    """Return right predictions, with the first two classes exchanged."""
    return np.array([1, 0, *range(2, 100)])[labels]


def tried() -> tuple[np.ndarray, np.ndarray]:
    """Return labels and predictions of 15 images, 6 of them right, 14 with two exchanged."""
    labels = np.arange(15) % 3
    predicted = exchanged(labels)
    predicted[0] = 0
    return labels, predicted


def test_two_exchanged_classes_are_found() -> None:
    found = other_order(images(*tried()))
    assert found == OtherOrder(((0, 1),), 6 / 15, 14 / 15)
    assert found.describe(NAMES).replace("\u00a0", " ").startswith(SAID)
    assert "With class 0 and class 1 exchanged" in found.describe(())


def test_longer_cycles_and_several_are_found() -> None:
    labels = np.arange(60) % 3
    found = other_order(images(labels, (labels + 1) % 3))
    assert found == OtherOrder(((0, 1, 2),), 0, 1)
    assert found.describe(NAMES).startswith(
        "With meningioma, glioma and pituitary in another order"
    )
    labels = np.arange(120) % 4
    found = other_order(images(labels, labels ^ 1))
    assert found is not None
    assert found.cycles == ((0, 1), (2, 3))
    assert found.describe("abcd").startswith("With a and b, and c and d exchanged ")
    labels = np.arange(200) % 5
    found = other_order(images(labels, (labels + 1) % 5))
    assert found is not None
    assert found.describe("abcde").startswith("With 5 classes in another order ")


@pytest.mark.parametrize(
    "predict",
    [
        lambda labels: labels,
        lambda labels: np.ones_like(labels),  # one class for all images
        lambda labels: np.where(labels == 0, 1, labels),  # a class that is never predicted
        lambda labels: np.where(np.arange(len(labels)) % 5 < 3, labels, exchanged(labels)),
    ],
)
def test_other_mistakes_are_no_order(predict) -> None:
    labels = np.arange(90) % 3
    assert other_order(images(labels, predict(labels))) is None


def test_few_images_and_few_groups_show_no_order() -> None:
    labels = np.arange(9) % 2
    assert other_order(images(labels, 1 - labels)) is None
    labels = np.arange(60) % 2
    assert other_order(images(labels, 1 - labels, np.arange(60) % 4)) is None  # p = .0625
    assert other_order(images(labels, 1 - labels, np.arange(60) % 5)) is not None  # p = .03125


def test_the_number_of_possible_orders_counts() -> None:
    labels = np.arange(40) % 20
    assert other_order(images(labels, exchanged(labels))) is None  # of 4 images, among 190 pairs


@pytest.mark.parametrize(("shift", "word"), [(1, "lower"), (-1, "higher")])
def test_labels_that_count_from_another_number_are_told(shift, word) -> None:
    predicted = np.repeat(np.arange(3, 43, 4), 4)
    right = predicted.copy()
    right[::8] += shift
    found = other_order(images(predicted + shift, right))
    assert found == OtherOrder((), 5 / 40, 35 / 40, shift)
    text = found.describe(()).replace("\u00a0", " ")
    assert text == (
        f"With labels that are one {word} 87.5 % would be right, not 12.5 %: check whether the "
        "labels count from 0."
    )
    assert other_order(images((predicted + shift) // 20 * 20, right)) is None
    one_class = np.full(40, 2)
    assert other_order(images(one_class + np.arange(40) // 36, one_class - 1)) is None
    few = np.arange(12) % 3 + 5  # three labels, of which two are one too high
    assert other_order(images(few, np.where(few == 5, 9, few - 1))) is None


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("count", [15, 60])
def test_predictions_at_random_are_seldom_told(classes, count) -> None:
    rng = np.random.default_rng(classes)
    labels = np.arange(count) % classes
    told = [
        other_order(images(labels, rng.integers(0, classes, count))) is not None for _ in range(100)
    ]
    assert np.mean(told) <= 0.07


def test_without_labels_or_with_several_there_is_no_order() -> None:
    labels, predicted = tried()
    one = images(labels, predicted)
    assert other_order(replace(one, is_multilabel=True)) is None
    assert other_order(images(np.full(15, np.nan), predicted)) is None


def test_the_caution_of_the_first_screen_and_of_the_terminal_names_them() -> None:
    results = made(15, groups=15, label=lambda i: i % 3)
    samples = results.samples.assign(predicted=tried()[1])
    text = " ".join(" ".join(verdict_lines(replace(results, samples=samples))).split())
    text = text.replace("\u00a0", " ")
    assert "exchanged 93.3 % would be right, not 40.0 %: check the order of the classes." in text
    assert "by chance" not in text
    assert text.index("exchanged") > text.index("guess")  # below the verdict
    right = replace(results, samples=results.samples.assign(predicted=tried()[0]))
    assert "exchanged" not in " ".join(verdict_lines(right))


def colors(labels) -> list[Sample]:
    """Make images of which one channel is the brightest."""
    made_ = []
    for i, label in enumerate(labels):
        image = np.zeros((32, 32, 3), np.float32)
        image[8:24, 8:24, i % 3] = 1
        made_.append(Sample(f"image {i}", image, image.any(axis=2), label=int(label)))
    return made_


def color_network() -> nn.Module:
    body = nn.Conv2d(3, 3, 4, stride=4, bias=False)
    body.weight.data = torch.eye(3)[..., None, None].expand(3, 3, 4, 4).clone() / 16
    head = nn.Linear(3, 3)
    head.weight.data, head.bias.data = torch.eye(3), torch.zeros(3)
    return CAMModel(body, GAPHead(head)).eval()


PLAN = {"metrics": iou, "baselines": {}, "progress": False, "class_names": NAMES}


def test_evaluate_warns_at_the_line_of_the_user() -> None:
    options = {**PLAN, "prepare": Preparation(size=32, mean=(0, 0, 0), std=(1, 1, 1))}
    evaluate(color_network(), colors(np.arange(15) % 3), **options)  # in the right order
    with pytest.warns(ClassOrderWarning) as told:
        evaluate(color_network(), colors(exchanged(np.arange(15) % 3)), **options)
    assert [one.category for one in told] == [ClassOrderWarning]
    assert told[0].filename == __file__
    assert "With meningioma and glioma exchanged 100.0 % would be right, not 33.3 %" in str(
        told[0].message
    )


def test_given_predictions_are_judged_too() -> None:
    labels, predicted = tried()
    given = {f"image {i}": int(one) for i, one in enumerate(predicted)}
    with pytest.warns(ClassOrderWarning, match=SAID) as told:
        evaluate_maps(lambda one: 1.0 * one.mask, colors(labels), predictions=given, **PLAN)
    assert told[0].filename == __file__

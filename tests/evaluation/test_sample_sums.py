"""Copies of images, and other images or truths under the same name, are told."""

from dataclasses import replace

import numpy as np
import pytest
from evaluations import samples, small_network

from cameval import Results, Sample, choose_binarizers, concat, evaluate, grad_cam, iou
from cameval.binarizers import OtsuBinarizer, PercentileBinarizer
from cameval.errors import SettingError
from cameval.evaluation import Preparation
from cameval.evaluation._sample_sums import image_sum, truth_sum
from cameval.evaluation.same_data import count_copies, count_differing
from cameval.report import verdict_lines


def run(made: list[Sample], name: str = "net") -> Results:
    return evaluate(
        small_network(),
        made,
        methods=[grad_cam],
        metrics=[iou],
        binarizers=[PercentileBinarizer(75), OtsuBinarizer()],
        prepare=Preparation(size=32),
        name=name,
        progress=False,
    )


def said(results: Results) -> str:
    return " ".join(" ".join(verdict_lines(results)).split())


def renamed(made: list[Sample], end: str) -> list[Sample]:
    return [replace(one, name=one.name + end, group=one.group + end) for one in made]


@pytest.fixture(scope="module")
def made() -> list[Sample]:
    return samples(8, sizes=(32,))


@pytest.fixture(scope="module")
def results(made) -> Results:
    return run(made)


def test_copies_in_other_groups_are_counted_and_told(made, results, tmp_path) -> None:
    copied = run([*made, *renamed(made[:3], " again")])
    assert count_copies(copied) == (3, 0, 11)
    text = "3 of 11 images are copies of others, with the same truth, in another group"
    copied.to_csv(tmp_path / "results.csv")
    assert text in said(copied)
    assert text in said(Results.from_csv(tmp_path / "results.csv"))
    assert count_copies(results) == (0, 0, 8)
    assert "copies" not in said(results)


def test_copies_in_one_group_are_told_and_images_without_an_object_are_none(made) -> None:
    same_group = [replace(one, name=f"{one.name} again") for one in made[:2]]
    blank = np.zeros((32, 32), np.float32)
    empty = [Sample(f"blank {k}", blank, blank > 1, label=0, group=f"blank {k}") for k in range(3)]
    table = run([*made, *same_group, *empty])
    assert count_copies(table) == (0, 2, 13)
    assert "2 of 13 images are copies of others, with the same truth, in the same group" in said(
        table
    )


def test_a_choice_on_copies_is_refused(made, results) -> None:
    choice = choose_binarizers(results, metric="iou")
    copies = run(renamed(made[:3], " again"))
    with pytest.raises(SettingError, match="got 3 with the same image and truth under another"):
        choice.apply(copies)
    others = run(renamed(samples(16, sizes=(32,))[8:], " other"))
    assert choice.apply(others).meanings.origin("validated").chosen_on == "other images"


def test_networks_on_other_truths_or_images_are_told(made, results) -> None:
    moved = [replace(one, mask=np.roll(one.mask, 3, 0), targets=()) for one in made]
    mirrored = [replace(one, image=one.image[:, ::-1].copy()) for one in made]
    truths, images = (concat([results, run(other, "other")]) for other in (moved, mirrored))
    assert count_differing(truths) == {"truth": (8, 8)}
    assert count_differing(images) == {"image": (8, 8)}
    assert "scored on different true masks (8 of 8): their scores are not comparable" in said(
        truths
    )
    assert "scored on different images of the same name (8 of 8)" in said(images)
    with pytest.warns(UserWarning, match="8 of 8 samples have different images in different mode"):
        images.compare("iou", over="model", method="grad_cam", binarizer="otsu")
    same = concat([results, run(made, "other")])
    assert not count_differing(same)
    assert "not comparable" not in said(same)


def test_networks_on_other_crops_are_told(made, results) -> None:
    crop = Preparation(size=32, crop=0.75)
    cropped = evaluate(
        small_network(),
        made,
        methods=[grad_cam],
        metrics=[iou],
        binarizers=[PercentileBinarizer(75), OtsuBinarizer()],
        prepare=crop,
        name="cropped",
        progress=False,
    )
    both = concat([results, cropped])
    assert not count_differing(both)
    assert "scored on different parts or grids of the true masks (8 of 8)" in said(both)
    assert "parts or grids" not in said(concat([results, results.renamed("other")]))


def test_networks_on_a_part_of_the_images_are_told(made) -> None:
    both = concat([run(made[:6]), run(made[2:], "other")])
    assert "The networks have only 4 of 8 images in common" in said(both)
    assert "images in common" not in said(concat([run(made[:6]), run(made[:6], "other")]))


def test_the_sums_are_of_the_contents(made) -> None:
    one = made[0]
    other = replace(one, name="other", group="other")
    assert (image_sum(one), truth_sum(one)) == (image_sum(other), truth_sum(other))
    changed = one.image.copy()
    changed[0, 0] = 1 - changed[0, 0]
    other = replace(one, image=changed)
    assert image_sum(other) != image_sum(one)
    assert truth_sum(other) == truth_sum(one)
    moved = replace(one, mask=np.roll(one.mask, 1, 0), targets=())
    assert truth_sum(moved) != truth_sum(one)

"""Functions for `prepare` that show image and mask at different places."""

import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluations import samples, small_network
from torch import Tensor
from torch.nn.functional import interpolate, pad

from cameval import Sample, concat, evaluate, evaluate_maps, grad_cam, iou
from cameval.evaluation import Preparation, PreparationWarning, Prepared, Results
from cameval.evaluation.preparation_check import PreparationOverlap
from cameval.report import verdict_lines

SAMPLE = Sample("a", np.zeros((64, 80), np.float32), np.zeros((64, 80), bool))


def both(sample: Sample) -> tuple[Tensor, Tensor]:
    image = torch.from_numpy(np.array(sample.image))[None].expand(3, -1, -1)
    return (image - 0.45) / 0.225, torch.from_numpy(np.array(sample.mask))


def of_image(change: Callable[[Tensor], Tensor]):
    """Return a preparation that changes the image alone."""

    def prepare(sample: Sample) -> tuple[Tensor, Tensor]:
        image, mask = both(sample)
        return change(image), mask

    return prepare


def of_both(change: Callable[[Tensor], Tensor]):
    """Return a preparation that changes image and mask."""

    def prepare(sample: Sample) -> tuple[Tensor, Tensor]:
        image, mask = both(sample)
        return change(image), change(mask[None].float())[0] > 0.5

    return prepare


MOVED: dict[str, Callable[[Tensor], Tensor]] = {
    "crop": lambda x: x[:, 8:-8, 10:-10],
    "flip": lambda x: x.flip(-1),
    "upside down": lambda x: x.flip(-2),
    "turn": lambda x: x.rot90(1, (1, 2)),
    "padding": lambda x: pad(x, (12,) * 4),
}
SAME: dict[str, Callable[[Tensor], Tensor]] = {
    "nothing": lambda x: x,
    "smaller": lambda x: interpolate(x[None], (16, 16), mode="bilinear", antialias=True)[0],
    "larger": lambda x: interpolate(x[None], (224, 224), mode="bicubic")[0],
    "inverted": lambda x: -x,
}


@pytest.mark.parametrize("kind", MOVED)
def test_what_moves_the_image_alone_is_seen(kind: str) -> None:
    assert PreparationOverlap.of(of_image(MOVED[kind]), SAMPLE).is_low
    overlap = PreparationOverlap.of(of_both(MOVED[kind]), SAMPLE)
    assert overlap.iou == 1


@pytest.mark.parametrize("kind", SAME)
def test_sizes_and_values_of_the_image_are_free(kind: str) -> None:
    overlap = PreparationOverlap.of(of_image(SAME[kind]), SAMPLE)
    assert overlap.iou is not None
    assert overlap.iou > 0.9


def test_a_window_tells_the_padding() -> None:
    def prepare(sample: Sample, *, told: bool = True) -> Prepared:
        image, mask = both(sample)
        window = ((12, 12 + mask.shape[0]), (0, mask.shape[1])) if told else None
        return Prepared(pad(image, (0, 0, 12, 12)), mask, window=window)

    assert PreparationOverlap.of(prepare, SAMPLE).iou == 1
    assert PreparationOverlap.of(lambda one: prepare(one, told=False), SAMPLE).is_low


def test_color_images_and_volumes_are_judged() -> None:
    color = replace(SAMPLE, image=np.zeros((64, 80, 3), np.float32))
    volume = Sample("v", np.zeros((4, 64, 80), np.float32), np.zeros((4, 64, 80), bool))

    def flips(sample: Sample, axes: tuple[int, ...] = (-1,)) -> tuple[Tensor, Tensor]:
        image = torch.from_numpy(np.array(sample.image))
        image = image.permute(2, 0, 1) if sample is color or image.shape[-1] == 3 else image[None]
        return image.flip(axes), torch.from_numpy(np.array(sample.mask))

    for sample in (color, volume):
        assert PreparationOverlap.of(flips, sample).is_low
        assert PreparationOverlap.of(lambda one: flips(one, ()), sample).iou == 1


def test_what_cannot_be_judged_is_not() -> None:
    def fails(sample: Sample) -> tuple[Tensor, Tensor]:
        raise ValueError("no such file")

    def by_name(sample: Sample) -> tuple[Tensor, Tensor]:
        image, mask = both(SAMPLE)
        return image + len(sample.name), mask

    def own_truth(sample: Sample) -> tuple[Tensor, Tensor]:
        image, mask = both(sample)
        return image, torch.zeros_like(mask)

    for prepare in (fails, by_name, own_truth, Preparation(size=32)):
        assert PreparationOverlap.of(prepare, SAMPLE).iou is None


def run(change: Callable[[Tensor], Tensor], name: str) -> Results:
    return evaluate(
        small_network(),
        samples(6, sizes=(32,)),
        methods=[grad_cam],
        metrics=[iou],
        prepare=of_image(change),
        name=name,
        progress=False,
    )


def test_an_evaluation_warns_and_its_verdict_says_it(tmp_path) -> None:
    with pytest.warns(PreparationWarning, match=r"has an IoU of 0\.\d\d; crop, flip and turn"):
        flipped = run(MOVED["flip"], "flipped")
    flipped.to_csv(tmp_path / "results.csv")
    text = "The preparation shows image and mask at different places: a box in both has an IoU of"
    for results in (flipped, Results.from_csv(tmp_path / "results.csv")):
        assert text in " ".join(verdict_lines(results))
    with warnings.catch_warnings():
        warnings.simplefilter("error", PreparationWarning)
        plain = run(SAME["nothing"], "plain")
    assert text not in " ".join(verdict_lines(plain))
    assert text in " ".join(verdict_lines(concat([plain, flipped])))


def test_maps_made_elsewhere_are_prepared_by_such_functions_too() -> None:
    maps = {"theirs": lambda sample: np.float32(sample.mask)}
    with pytest.warns(PreparationWarning):
        evaluate_maps(maps, samples(2, sizes=(32,)), metrics=[iou], prepare=of_image(MOVED["flip"]))

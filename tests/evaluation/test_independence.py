"""A binarizer or metric that mixes the maps of a batch is refused, however the maps come."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cameval import (
    Results,
    Sample,
    SkimageBinarizer,
    cam,
    evaluate,
    evaluate_maps,
    iou,
    pixel_auroc,
)
from cameval.binarizers import LargestComponent
from cameval.errors import SettingError
from cameval.evaluation import Preparation
from cameval.metrics import of_maps, of_masks, of_network


def above_mean_of_batch(maps: Tensor) -> Tensor:
    return maps > maps.mean()


def above_half_of_largest(maps: Tensor) -> Tensor:
    return maps > maps.max() / 2


def above_normalized(maps: Tensor) -> Tensor:
    return (maps - maps.min()) / (maps.max() - maps.min()) > 0.5


def above_first(maps: Tensor) -> Tensor:
    return maps > maps[:1].mean((-2, -1), keepdim=True)


def above_last(maps: Tensor) -> Tensor:
    return maps > maps[-1:].mean((-2, -1), keepdim=True)


def above_quantile(maps: Tensor) -> Tensor:
    return maps > maps.flatten().quantile(0.9)


def above_mean(maps: Tensor) -> Tensor:
    return maps > maps.mean((-2, -1), keepdim=True)


MIXING = [
    above_mean_of_batch,
    above_half_of_largest,
    above_normalized,
    above_first,
    above_last,
    above_quantile,
]


def samples(count: int = 4, shape: tuple[int, ...] = (16, 20), step: int = 0) -> list[Sample]:
    draw = np.random.default_rng(0)
    found = []
    for k in range(count):
        size = (*shape[:-1], shape[-1] + step * k)
        truth = np.zeros(size, dtype=bool)
        truth[..., 4:10, 5:12] = True
        found.append(Sample(f"{k}", draw.random(size, dtype=np.float32), truth))
    return found


def evaluated(data: list[Sample], **settings: Any) -> Results:
    given = {"baselines": {}, "progress": False, "batch_size": 4, "metrics": iou} | settings
    return evaluate_maps({"image": lambda one: one.image}, data, **given)


@pytest.mark.parametrize("binarizer", MIXING)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_binarizer_that_mixes_maps_is_refused(
    binarizer: Callable[[Tensor], Tensor], batch_size: int
) -> None:
    words = rf"got masks of {binarizer.__name__} that depend .* map.mean\(\(-2, -1\), keepdim=True"
    with pytest.raises(SettingError, match=words):
        evaluated(samples(), binarizers=[binarizer], batch_size=batch_size)


@of_maps(higher_is_better=True)
def writes_into_maps(maps: Tensor, truth: Tensor) -> Tensor:
    return maps.sub_(maps.amin()).neg_().mean((-2, -1))


@of_masks
def writes_into_masks(masks: Tensor, truth: Tensor) -> Tensor:
    return masks.logical_or_(truth).double().mean((-2, -1))


@of_masks
def writes_into_truth(masks: Tensor, truth: Tensor) -> Tensor:
    return truth.logical_not_().double().mean((-2, -1))


def binarizes_in_place(maps: Tensor) -> Tensor:
    return maps.sub_(0.5) > 0


@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("kind", [writes_into_maps, writes_into_masks, writes_into_truth])
def test_a_metric_that_writes_into_what_it_is_given_is_refused(kind, step) -> None:
    words = rf"metric {kind.__name__} must not write .* got a tensor that it changed; work on"
    with pytest.raises(SettingError, match=words):
        evaluated(samples(step=step), metrics=[kind, iou])


def test_a_binarizer_that_writes_into_maps_is_refused() -> None:
    with pytest.raises(SettingError, match="binarizer binarizes_in_place must not write into"):
        evaluated(samples(), binarizers=binarizes_in_place)


def test_a_binarizer_that_writes_beside_ignored_pixels_is_refused() -> None:
    @dataclass(frozen=True)
    class InPlace:
        pixelwise: ClassVar[bool] = True

        def __call__(self, maps: Tensor) -> Tensor:
            return binarizes_in_place(maps)

    outside = np.zeros((16, 20), dtype=bool)
    outside[:3] = True
    data = [Sample(one.name, one.image, one.mask, ignore=outside) for one in samples()]
    with pytest.raises(SettingError, match="binarizer in_place must not write into"):
        evaluated(data, binarizers={"in_place": InPlace()})


def test_a_metric_of_arrays_has_arrays_of_its_own() -> None:
    @of_maps(higher_is_better=True)
    def of_arrays(maps: Any, truth: Any) -> Any:
        if isinstance(maps, Tensor):
            raise TypeError("arrays, please")
        maps -= 1
        return maps.mean((-2, -1))

    data = samples()
    alone = evaluated(data, metrics=pixel_auroc)
    both = evaluated(data, metrics=[of_arrays, pixel_auroc])
    np.testing.assert_array_equal(both.values[:, 1], alone.values[:, 0])


def test_methods_baselines_and_metrics_of_the_network_must_not_write() -> None:
    def of_features(activations: Any, classes: Tensor) -> Tensor:
        return activations.features.mul_(-1).mean(1)

    def of_truth(given: Any) -> Tensor:
        return given.truth.logical_not_().float()

    def of_images(given: Any) -> Tensor:
        return given.images.zero_().mean(1)

    @of_network(higher_is_better=True)
    def blank(network: Any, images: Tensor, maps: Tensor, classes: Tensor) -> Tensor:
        return images.zero_().mean((1, 2, 3))

    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    prepare = Preparation(size=(16, 20), mean=(0.0,), std=(1.0,))
    for what, options in {
        "a method": {"methods": of_features},
        "baseline of_truth": {"baselines": of_truth},
        "baseline of_images": {"baselines": of_images},
        "metric blank": {"metrics": [blank]},
    }.items():
        given = {"methods": cam, "metrics": iou, "baselines": {}, "progress": False} | options
        with pytest.raises(SettingError, match=f"{what} must not write into what it is given"):
            evaluate(net.eval(), samples(), prepare=prepare, **given)


def test_maps_of_different_sizes_are_checked() -> None:
    with pytest.raises(SettingError, match="independently of the others"):
        evaluated(samples(step=3), binarizers=above_mean_of_batch)


def test_maps_with_ignored_pixels_are_checked() -> None:
    outside = np.zeros((16, 20), dtype=bool)
    outside[:3] = True
    data = [Sample(one.name, one.image, one.mask, ignore=outside) for one in samples()]
    with pytest.raises(SettingError, match="independently of the others"):
        evaluated(data, binarizers=above_mean_of_batch)
    assert np.isfinite(evaluated(data, binarizers=above_mean).values).all()


def test_volumes_are_checked() -> None:
    @dataclass(frozen=True)
    class AboveMean:
        axes: tuple[int, ...] | None
        spatial_axes: int = 2
        from_sample: ClassVar[tuple[str, ...]] = ("spatial_axes",)

        def __call__(self, maps: Tensor) -> Tensor:
            return maps > (maps.mean() if self.axes is None else maps.mean(self.axes, keepdim=True))

    @dataclass(frozen=True)
    class Pixelwise(AboveMean):
        from_sample: ClassVar[tuple[str, ...]] = ()
        pixelwise: ClassVar[bool] = True

    data = samples(shape=(4, 16, 20))
    with pytest.raises(SettingError, match=r"three axes: map.mean\(\(-3, -2, -1\), keepdim=True"):
        evaluated(data, binarizers=AboveMean(None))
    with pytest.raises(SettingError, match=r"two axes: map.mean\(\(-2, -1\), keepdim=True"):
        evaluated(data, binarizers=Pixelwise(None))
    for good in (AboveMean((-3, -2, -1)), Pixelwise((-2, -1))):
        assert np.isfinite(evaluated(data, binarizers=good).values).all()


def test_a_mixing_function_in_a_binarizer_of_the_library_is_found() -> None:
    with pytest.raises(SettingError, match="independently of the others"):
        evaluated(samples(), binarizers=LargestComponent(above_mean_of_batch))


def test_constant_maps_are_not_judged_and_the_next_batch_is() -> None:
    first, *others = samples()
    flat = Sample("flat", np.full_like(first.image, 0.1), first.mask)
    with pytest.raises(SettingError, match="independently of the others"):
        evaluated([flat, *others], binarizers=above_mean_of_batch, batch_size=1)
    evaluated([flat], binarizers=above_mean_of_batch)


@pytest.mark.parametrize("scale", [1.0, -1.0, 1e-6, 1e6])
def test_each_map_by_itself_is_accepted(scale: float) -> None:
    data = samples()
    own = SkimageBinarizer(lambda image: float(image.mean()))
    for binarizer in (above_mean, own, LargestComponent(above_mean), lambda maps: maps > 0.5):
        given = {"image": lambda one: scale * one.image}
        results = evaluate_maps(given, data, binarizers={"b": binarizer}, metrics=iou)
        assert results.values.shape[0] == len(data)


def test_values_of_the_check_are_in_the_range_of_the_maps() -> None:
    def strict(maps: Tensor) -> Tensor:
        assert ((maps >= 0) & (maps <= 1)).all()
        assert (maps.flatten(1).amax(1) > maps.flatten(1).amin(1)).all()
        calls.append(len(maps))
        return maps > 0.5

    calls: list[int] = []
    evaluated(samples(), binarizers=strict, batch_size=2)
    assert calls == [2, 3, 3, 2]  # once in a run


def test_a_binarizer_with_random_numbers_is_not_called_mixing() -> None:
    def noisy(maps: Tensor) -> Tensor:
        return maps > torch.rand_like(maps)

    evaluated(samples(), binarizers=noisy)


def test_metrics_that_mix_images_are_refused() -> None:
    @of_masks(higher_is_better=True)
    def by_all_marked(pred: Tensor, target: Tensor) -> Tensor:
        return (pred & target).sum((-2, -1)) / pred.sum()

    @of_masks(higher_is_better=True)
    def by_all_true(pred: Tensor, target: Tensor) -> Tensor:
        return (pred & target).sum((-2, -1)) / target.sum()

    @of_maps(higher_is_better=True)
    def inside(maps: Tensor, target: Tensor) -> Tensor:
        return (maps * target).sum((-2, -1)) / maps.sum()

    for metric in (by_all_marked, by_all_true, inside):
        words = f"got scores of {metric.__name__} that depend on the other images"
        with pytest.raises(SettingError, match=words):
            evaluated(samples(), binarizers=above_mean, metrics=metric)


def test_metrics_of_each_image_are_accepted() -> None:
    @of_masks(higher_is_better=True)
    def share(pred: Tensor, target: Tensor) -> Tensor:
        return (pred & target).sum((-2, -1)) / target.sum((-2, -1))

    @of_masks(higher_is_better=True)
    def single(pred: Tensor, target: Tensor) -> float:
        return float((pred & target).sum() / target.sum())

    @of_maps(higher_is_better=True)
    def inside(maps: Tensor, target: Tensor) -> Tensor:
        return (maps * target).sum((-2, -1)) / maps.sum((-2, -1))

    results = evaluated(samples(), binarizers=above_mean, metrics=[share, single, inside])
    assert np.isfinite(results.values).all()

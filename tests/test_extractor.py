"""The extractor: shapes, target classes, grad modes, threads, checks of inputs."""

import copy
import threading

import numpy as np
import pytest
import torch
from families import family, images, state
from torch import Tensor, nn
from torch.nn.functional import interpolate

from cameval import (
    CAMExtractor,
    CAMModel,
    CAMSweep,
    GAPHead,
    PercentileBinarizer,
    Preparation,
    Sample,
    ScoreCAM,
    adapt,
    cam,
    evaluate,
    grad_cam,
    hires_cam,
    iou,
    layer_cam,
)
from cameval.baselines import UntrainedBaseline
from cameval.errors import (
    ArrayTypeError,
    ClassIndexError,
    SettingError,
    ShapeError,
    UnsupportedModelError,
)
from cameval.extractor import ImageRangeWarning

METHODS = [cam, grad_cam, hires_cam, layer_cam]


@pytest.mark.parametrize("method", METHODS)
def test_results_have_the_documented_shapes(method) -> None:
    batch = images("resnet", 3)
    result = CAMExtractor(family("resnet"), method)(batch)
    assert result.maps.shape == (3, 96, 128)
    assert result.coarse.shape == (3, 3, 4)
    assert result.logits.shape == (3, 1000)
    assert result.classes.shape == (3,)
    assert result.maps.dtype == result.coarse.dtype == torch.float32
    assert not any(t.requires_grad for t in vars(result).values())


def test_the_target_class_is_the_predicted_class_by_default() -> None:
    extract, batch = CAMExtractor(family("resnet"), cam), images("resnet")
    predicted = extract(batch)
    assert torch.equal(predicted.classes, family("resnet")(batch).argmax(1))
    for classes in (7, [7, 7], np.array([7, 7]), torch.tensor([7, 7], dtype=torch.int32)):
        given = extract(batch, classes=classes)
        assert given.classes.tolist() == [7, 7]
        assert torch.equal(given.coarse, extract(batch, 7).coarse)
    assert not torch.equal(given.coarse, predicted.coarse)


def test_maps_are_the_coarse_maps_upsampled_and_nothing_else() -> None:
    extract, batch = CAMExtractor(family("resnet"), cam), images("resnet")
    result = extract(batch, extract(batch).logits.argmin(1), size=(50, 61))
    expected = interpolate(result.coarse[:, None], (50, 61), mode="bilinear", align_corners=False)
    torch.testing.assert_close(result.maps, expected[:, 0])
    assert result.maps.min() < 0


def test_doubles_stay_doubles() -> None:
    net = copy.deepcopy(family("squeezenet")).double()
    assert CAMExtractor(net)(images("any").double()).maps.dtype == torch.float64


@pytest.mark.parametrize("layer", [None, "features.3"])
@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_maps_do_not_depend_on_the_grad_mode(guard, layer: str | None) -> None:
    net, batch = family("squeezenet"), images("any")
    extract = CAMExtractor(adapt(net, layer=layer), grad_cam)
    expected = extract(batch, [1, 2])
    with guard():
        labels = torch.tensor([1, 2])  # an inference tensor under inference_mode
        inside = batch.clone()
        found = extract(inside, labels)
    assert torch.equal(found.maps, expected.maps)
    assert not found.maps.is_inference()
    later = extract(inside, labels)
    assert torch.equal(later.maps, expected.maps)


@pytest.mark.parametrize("layer", [None, "features.3"])
def test_maps_of_a_frozen_network_are_the_same(layer: str | None) -> None:
    net = copy.deepcopy(family("squeezenet")).requires_grad_(False)
    found = CAMExtractor(adapt(net, layer=layer))(images("any"))
    expected = CAMExtractor(adapt(family("squeezenet"), layer=layer))(images("any"))
    assert torch.equal(found.maps, expected.maps)


@pytest.mark.parametrize("layer", [None, "features"])
def test_weights_may_be_inference_tensors(layer: str | None) -> None:
    original = family("mobilenet_v3")
    with torch.inference_mode():
        net = copy.deepcopy(original)
        for module in net.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                setattr(module, name, nn.Parameter(parameter.clone()))
    assert next(net.parameters()).is_inference()
    found = CAMExtractor(adapt(net, layer=layer))(images("any"))
    expected = CAMExtractor(adapt(family("mobilenet_v3"), layer=layer))(images("any"))
    torch.testing.assert_close(found.maps, expected.maps)


@pytest.mark.parametrize("layer", [None, "features.5"])
def test_threads_can_share_an_extractor(layer: str | None) -> None:
    net = copy.deepcopy(family("mobilenet_v2"))
    extract = CAMExtractor(adapt(net, layer=layer))
    batches = [images("any", count=1, seed=seed) for seed in range(4)]
    expected = [extract(batch).maps for batch in batches]
    before, wrong = state(net), []

    def work(index: int) -> None:
        for _ in range(6):
            try:
                if not torch.equal(extract(batches[index]).maps, expected[index]):
                    wrong.append(f"thread {index}: other values")
            except Exception as error:  # the test reports what a thread cannot raise
                wrong.append(f"thread {index}: {error!r}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert state(net) == before


def test_maps_in_one_thread_do_not_change_predictions_in_another() -> None:
    net = copy.deepcopy(family("resnet"))
    batch = images("resnet", count=1)
    with torch.no_grad():
        expected = net(batch)
    wrong: list[str] = []

    def predict() -> None:
        with torch.no_grad():
            for _ in range(10):
                logits = net(batch)
                if not torch.equal(logits, expected) or logits.requires_grad:
                    wrong.append("disturbed")

    thread = threading.Thread(target=predict)
    thread.start()
    extract = CAMExtractor(adapt(net, layer="layer2"))
    while thread.is_alive():
        extract(batch)
    thread.join()
    assert not wrong


def test_a_function_can_be_the_method() -> None:
    def strongest_channel(activations, classes: Tensor) -> Tensor:
        return activations.features.amax(1)

    result = CAMExtractor(family("vgg"), strongest_channel)(images("vgg"))
    assert result.coarse.shape == (2, 3, 4)


def test_a_method_that_returns_another_shape_is_refused() -> None:
    extract = CAMExtractor(family("squeezenet"), lambda activations, classes: activations.features)
    with pytest.raises(ShapeError, match=r"must return maps of shape \(N, h, w\) with N = 2"):
        extract(images("any"))


def test_maps_with_exchanged_axes_are_refused() -> None:
    extract = CAMExtractor(family("vgg"), lambda activations, _: activations.features.mean(1).mT)
    words = r"as the features have them, \(3, 4\), got \(4, 3\), which is \(N, w, h\); exchange"
    with pytest.raises(ShapeError, match=words):
        extract(images("vgg"))
    finer = CAMExtractor(
        family("vgg"), lambda activations, _: activations.features.mean(1).repeat(1, 2, 2).mT
    )
    assert finer(images("vgg")).coarse.shape == (2, 8, 6)


def test_no_images_are_no_probabilities(recwarn) -> None:
    CAMExtractor(family("vgg"))(images("vgg")[:0])
    assert not recwarn.list


def test_activations_are_freed_after_the_call() -> None:
    import weakref

    kept = []

    def spy(activations, classes: Tensor) -> Tensor:
        kept.append(weakref.ref(activations.features))
        return grad_cam(activations, classes)

    result = CAMExtractor(family("resnet"), spy)(images("resnet"))
    assert result.maps is not None
    assert kept[0]() is None


@pytest.mark.parametrize(
    ("batch", "error", "words"),
    [
        (torch.zeros(3, 64, 64), ShapeError, r"got \(3, 64, 64\); add a batch axis"),
        (torch.zeros(64, 64), ShapeError, r"got \(64, 64\)$"),
        (
            torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
            ArrayTypeError,
            r"got torch.uint8; divide by 255 and normalize .*: \(images.float\(\) / 255 - mean",
        ),
        (np.zeros((1, 3, 64, 64), np.float32), ArrayTypeError, "got ndarray"),
    ],
)
def test_images_are_checked(batch, error, words: str) -> None:
    with pytest.raises(error, match=words):
        CAMExtractor(family("squeezenet"))(batch)


@pytest.mark.parametrize(
    ("classes", "error"),
    [
        (1000, ClassIndexError),
        (-1, ClassIndexError),
        ([0, 1, 2], ShapeError),
        ([[0, 1]], ShapeError),
        ([0.5, 1.0], ArrayTypeError),
        ([True, False], ArrayTypeError),
    ],
)
def test_classes_are_checked(classes, error) -> None:
    with pytest.raises(error, match="classes must"):
        CAMExtractor(family("squeezenet"))(images("any"), classes)


def test_the_predicted_classes_have_a_word() -> None:
    extract, batch = CAMExtractor(family("squeezenet")), images("any")
    assert torch.equal(extract(batch, "predicted").maps, extract(batch).maps)
    sweep = CAMSweep(family("squeezenet"), {"cam": cam})
    assert torch.equal(sweep(batch, "predicted")["features", "cam"].classes, extract(batch).classes)
    with pytest.raises(SettingError, match="or 'predicted', got 'true'; of the true classes give"):
        extract(batch, "true")
    net = CAMModel(nn.Conv2d(3, 4, 3), nn.Sequential(GAPHead(nn.Linear(4, 1)), nn.Sigmoid()))
    with pytest.raises(UnsupportedModelError, match="sigmoid"):
        CAMExtractor(net)(batch, "predicted")


def test_settings_are_checked() -> None:
    with pytest.raises(ArrayTypeError, match="got str"):
        CAMExtractor("resnet18")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="method must be callable"):
        CAMExtractor(family("squeezenet"), "grad_cam")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"method must be an instance, .*; write ScoreCAM\(\)"):
        CAMExtractor(family("squeezenet"), ScoreCAM)  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="method must be callable"):
        CAMSweep(family("squeezenet"), "grad_cam")  # type: ignore[arg-type]
    with pytest.raises(UnsupportedModelError, match=r"must take one batch .* Linear|mat1"):
        CAMExtractor(nn.Linear(3, 2))
    with pytest.raises(SettingError, match="size"):
        CAMExtractor(family("squeezenet"))(images("any"), size=(0, 5))


def test_a_constant_image_gives_a_constant_map() -> None:
    net = CAMModel(nn.Conv2d(3, 4, 1), GAPHead(nn.Linear(4, 2))).eval()
    maps = CAMExtractor(net, cam)(torch.full((1, 3, 9, 7), 0.3), size=(31, 33)).maps
    assert maps.min() == maps.max()


def test_the_classes_of_a_result_are_its_own() -> None:
    torch.manual_seed(0)
    extract = CAMExtractor(CAMModel(nn.Identity(), GAPHead(nn.Linear(3, 4))).eval())
    batch = torch.rand(2, 3, 4, 4)
    for labels in (
        torch.tensor([1, 2]),
        np.array([1, 2]),
        torch.tensor([[1, 0], [2, 3]]),
    ):
        expected = extract(batch, labels).classes.tolist()
        result = extract(batch, labels)
        labels += 1
        assert result.classes.tolist() == expected


def _small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    ).eval()


@pytest.mark.parametrize(
    "extract",
    [CAMExtractor(_small()), CAMSweep(_small(), [layer_cam], layers=["1"])],
    ids=["one", "many"],
)
def test_pixels_up_to_255_are_warned_of_once_in_each_call(extract) -> None:
    pixels = torch.linspace(0, 255, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)
    for _ in range(2):
        with pytest.warns(ImageRangeWarning, match=r"got values from 0 to 255; divide") as told:
            extract(pixels, 1)
        assert len(told) == 1
        assert told[0].filename == __file__


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (-2.2, 2.7), (-1024, 1024), (0, 50), (-0.1, 255), (3, 3)],
    ids=str,
)
def test_other_ranges_of_values_are_not_warned_of(low: float, high: float) -> None:
    CAMExtractor(_small())(torch.linspace(low, high, 3 * 8 * 8).reshape(1, 3, 8, 8), 1)


def test_the_evaluation_does_not_warn_of_pixels_that_its_preparation_makes() -> None:
    mask = np.zeros((16, 16), bool)
    mask[4:8, 4:8] = True
    sample = Sample("one", np.random.default_rng(0).random((16, 16, 3), np.float32), mask, label=0)
    evaluate(
        _small(),
        [sample],
        methods=[cam],
        binarizers=[PercentileBinarizer(90)],
        metrics=[iou],
        baselines=[UntrainedBaseline(CAMExtractor(_small(), cam))],
        prepare=Preparation(mean=(0, 0, 0), std=(1 / 255,) * 3),
    )


@pytest.mark.parametrize(
    "classes", [["cat", "dog"], np.array(["cat", "dog"]), [None, 1], [[0, 1], [0]]], ids=str
)
def test_classes_that_are_no_indices_are_refused(classes) -> None:
    with pytest.raises(ArrayTypeError, match=r"classes must be class indices.*got .*class_names"):
        CAMExtractor(_small())(torch.rand(2, 3, 8, 8), classes)


def test_a_module_of_torch_export_is_refused() -> None:
    exported = torch.export.export(_small(), (torch.rand(1, 3, 8, 8),)).module()
    for model in (lambda: adapt(exported), lambda: CAMExtractor(exported)):
        with pytest.raises(UnsupportedModelError, match="pass the network that was exported"):
            model()

"""What is given in another form is accepted where it is clear; else the error says what to do."""

import numpy as np
import pytest
import torch
from evaluations import SMALL, samples
from torch import nn
from torchvision.models import resnet18

from cameval import CAMExtractor, Sample, adapt, evaluate, grad_cam, iou, layer_cam
from cameval.errors import ArrayTypeError, DataError, LayerError, NonFiniteError, ShapeError
from cameval.extractor import CAMSweep
from cameval.methods import ScoreCAM

MASK = np.ones((4, 6), np.bool_)


def network(channels: int = 3) -> nn.Sequential:
    """Make a network of named stages."""
    net = nn.Sequential()
    net.add_module("stem", nn.Conv2d(channels, 4, 3))
    net.add_module("extractor", nn.Sequential(nn.ReLU(), nn.Conv2d(4, 5, 3)))
    net.add_module("pool", nn.AdaptiveAvgPool2d(1))
    net.add_module("flat", nn.Flatten())
    net.add_module("head", nn.Linear(5, 3))
    return net.eval()


def test_an_image_that_looks_normalized_is_to_be_given_before_that() -> None:
    image = np.linspace(-2, 2, 24, dtype=np.float32).reshape(4, 6)
    with pytest.raises(DataError, match=r"got \[-2, 2\]; .*before Normalize; `prepare` normalizes"):
        Sample("a", image, MASK)
    with pytest.raises(DataError, match=r"\[3, 3\]; scale it by its range first: image / 255"):
        Sample("a", np.full((4, 6), 3, np.float32), MASK)
    with pytest.raises(ArrayTypeError, match=r"got float64; divide it .* \(image / 255\)\.astype"):
        Sample("a", np.full((4, 6), 200.0), MASK)
    with pytest.raises(ArrayTypeError, match=r"got float64; convert it with image\.astype"):
        Sample("a", np.full((4, 6), 0.5), MASK)


def test_an_image_of_another_dtype_is_told_how_it_is_converted() -> None:
    with pytest.raises(ArrayTypeError, match=r"got float64; .* image.astype\(np.float32\)$"):
        Sample("a", np.zeros((4, 6)), MASK)
    with pytest.raises(ArrayTypeError, match=r"got uint8; divide it .*\(image / 255\).astype"):
        Sample("a", np.zeros((4, 6), np.uint8), MASK)


@pytest.mark.parametrize("take", [CAMExtractor, lambda net: CAMSweep(net, grad_cam, "stem")])
def test_images_of_other_channels_are_no_error_of_a_convolution(take) -> None:
    extract = take(network())
    with pytest.raises(ShapeError, match=r"got \(2, 9, 8, 3\); .*use images.movedim\(-1, 1\)"):
        extract(torch.rand(2, 9, 8, 3))
    with pytest.raises(ShapeError, match=r"\(N, 3, H, W\).*images.expand\(-1, 3, -1, -1\)"):
        extract(torch.rand(2, 1, 9, 8))
    with pytest.raises(ShapeError, match="prepare them as the network was trained"):
        extract(torch.rand(2, 4, 9, 8))
    with pytest.raises(RuntimeError, match=r"[Kk]ernel size"):  # of the network, as it is
        extract(torch.rand(2, 3, 2, 2))


def test_what_a_network_makes_of_other_channels_is_its_own_business() -> None:
    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.net(images.expand(-1, 3, -1, -1))

    assert CAMExtractor(Repeated())(torch.rand(2, 1, 9, 8)).maps.shape == (2, 9, 8)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_images_that_are_not_finite_are_refused(value: float) -> None:
    images = torch.rand(3, 3, 9, 8)
    images[1, 0, 4, 4] = value
    for take in (CAMExtractor(network()), CAMSweep(network(), grad_cam)):
        with pytest.raises(NonFiniteError, match="in image 1, in 1 of 3"):
            take(images)


def test_several_layers_are_for_a_sweep() -> None:
    net = network()
    with pytest.raises(LayerError, match=r"got a list; for several layers use .*CAMSweep\("):
        adapt(net, layer=[net.stem])  # type: ignore[call-overload]


def test_of_a_layer_that_is_not_there_those_with_maps_are_listed() -> None:
    for take in (
        lambda: adapt(network(), layer="layer4"),
        lambda: CAMSweep(network(), grad_cam, "layer4"),
    ):
        with pytest.raises(
            LayerError, match=r"got 'layer4'; .*the last first: extractor, extractor.0"
        ):
            take()


def test_a_sweep_takes_methods_and_layers_as_evaluate_and_adapt_do() -> None:
    net, images = network(), torch.rand(2, 3, 9, 8)
    expected = CAMSweep(net, {"grad_cam": grad_cam, "layer_cam": layer_cam}, ["stem"])(images)
    for layers in ("stem", net.stem, [net.stem]):
        found = CAMSweep(net, [grad_cam, layer_cam], layers)(images)
        assert found.keys() == expected.keys() == {("stem", "grad_cam"), ("stem", "layer_cam")}
        assert all(torch.equal(found[key].maps, expected[key].maps) for key in found)
    assert [*CAMSweep(net, ScoreCAM())(images)] == [("features", "score_cam")]
    with pytest.raises(ValueError, match="methods must have different names, got 'grad_cam' twice"):
        CAMSweep(net, [grad_cam, grad_cam])


class MobileProduct(nn.Module):
    """A network of the user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.net(images)


def test_tables_name_a_network_and_the_layer_that_was_given() -> None:
    net = MobileProduct().eval()
    parts = {"methods": grad_cam, "metrics": iou, "baselines": {}, "prepare": SMALL}
    at_layer = adapt(net, layer="net.stem")
    selected = adapt(net, layer="net.stem", select=lambda outputs: outputs)
    for given, name in [
        (net, "MobileProduct"),
        (at_layer, "MobileProduct at net.stem"),
        (CAMExtractor(at_layer), "MobileProduct at net.stem"),
        (selected, "MobileProduct at net.stem"),
        (adapt(adapt(net), layer="features"), "MobileProduct at features"),
    ]:
        results = evaluate(given, samples(2), progress=False, **parts)
        assert results.samples["model"].tolist() == [name, name]
    assert repr(CAMExtractor(at_layer)) == (
        "CAMExtractor(MobileProduct at net.stem, method=grad_cam)"
    )


def test_a_cut_tells_its_layer() -> None:
    net = MobileProduct().eval()
    assert adapt(net, layer="net.stem").layer == "net.stem"
    assert adapt(net).layer == "net.extractor"
    assert adapt(net, select=lambda outputs: outputs).layer == "net.extractor"
    assert adapt(resnet18()).layer == "layer4"
    assert adapt(net, num_classes=2).layer == "net.extractor"


def test_the_layer_of_a_declared_cut_is_that_of_the_maps() -> None:
    net, images = resnet18().eval(), torch.rand(1, 3, 64, 64)
    cut = adapt(net)
    again = adapt(net, layer=cut.layer)
    found = again.activations(images).features
    torch.testing.assert_close(found, cut.activations(images).features)

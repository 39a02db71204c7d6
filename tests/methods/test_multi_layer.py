"""RefineCAM, Winsor-CAM and Zoom-CAM, against loops over images and layers with plain hooks."""

import copy
from functools import reduce

import numpy as np
import pytest
import torch
from families import reference_at_layer
from small_networks import pictures, small, some_classes
from torch import Tensor, nn
from torch.nn import functional as F

from cameval import CAMExtractor, adapt, eigen_cam, grad_cam, hires_cam, layer_cam
from cameval.errors import LayerError, SettingError
from cameval.evaluation import label_of
from cameval.methods import RefineCAM, WinsorCAM, ZoomCAM
from cameval.networks import LayerModel

LAYERS = ("first", "second", "third")


class Net(nn.Module):
    """Three resolutions; an in-place operation follows a layer, and a skip connection another."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(5, 6, 3, stride=2, padding=1)
        self.third = nn.Conv2d(6, 4, 3, stride=2, padding=1)
        self.aside = nn.Conv2d(6, 4, 1)
        self.head = nn.Linear(4 + 6, 4)
        self.unused = nn.Conv2d(6, 2, 1)

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        x = self.second(self.relu(self.first(images)))
        self.unused(x)
        y = torch.tanh(self.third(x.tanh()))
        pooled = torch.cat([y.mean((2, 3)), x.square().mean((2, 3))], 1)
        return self.head(pooled)


def made(seed: int = 0) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Net().double().eval()


def shown(count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, 12, 16, dtype=torch.float64, generator=generator)


def scaled(one: Tensor) -> Tensor:
    return (
        torch.zeros_like(one)
        if one.min() == one.max()
        else (one - one.min()) / (one.max() - one.min())
    )


def stretched(one: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(one[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]


def recorded(net: nn.Module, layer: str) -> tuple[Tensor, Tensor]:
    return reference_at_layer(net, layer, shown(), some_classes())


def found(method, net: nn.Module | None = None, layer: str = "third") -> Tensor:
    activations = LayerModel(net or made(), layer).activations(shown())
    return method(activations, some_classes())


def per_image(net: nn.Module, layers: tuple[str, ...], one_map) -> list[list[Tensor]]:
    """Return a map for each image and layer: ``one_map(activation, gradient)`` of one image."""
    passes = [recorded(net, layer) for layer in layers]
    return [[one_map(a[n], g[n]) for a, g in passes] for n in range(3)]


@pytest.mark.parametrize("layers", [LAYERS, ("third", "first"), ("second",)])
def test_refine_cam_is_a_product_over_layers(layers: tuple[str, ...]) -> None:
    net = made()
    maps = per_image(net, layers, lambda a, g: (g.relu() * a).sum(0).relu())
    finest = max((tuple(one.shape) for one in maps[0]), key=np.prod)
    expected = [
        reduce(torch.mul, [scaled(stretched(one, finest)) for one in image]) for image in maps
    ]
    torch.testing.assert_close(
        found(RefineCAM(layer_cam, layers=layers), net), torch.stack(expected)
    )


def test_zoom_cam_is_a_maximum_over_layers() -> None:
    net = made()
    maps = per_image(net, LAYERS, lambda a, g: (g * a).sum(0).relu())
    expected = [
        reduce(torch.maximum, [stretched(scaled(one), (12, 16)) for one in image]) for image in maps
    ]
    torch.testing.assert_close(found(ZoomCAM(layers=LAYERS), net), torch.stack(expected))


@pytest.mark.parametrize("percentile", [0, 30, 50, 90, 100])
def test_winsor_cam_is_a_sum_with_bounded_weights(percentile: float) -> None:
    net = made(2)
    layers = (*LAYERS[:2], "relu", "third")
    maps = per_image(net, layers, lambda a, g: (g.mean((1, 2))[:, None, None] * a).sum(0).relu())
    importances = per_image(net, layers, lambda _, g: max(g.mean().item(), 0.0))
    expected = []
    for image, values in zip(maps, importances, strict=True):
        positive = [value for value in values if value > 0]
        top = np.percentile(positive, percentile) if positive else 0.0
        kept = [min(value, top) for value in values]
        least = min((k for k in kept if k > 0), default=0.0)
        total = torch.zeros(12, 16, dtype=torch.float64)
        for one, value in zip(image, kept, strict=True):
            if value > 0:
                weight = 1.0 if top == least else 0.1 + 0.9 * (value - least) / (top - least)
                total += weight * stretched(scaled(one), (12, 16))
        expected.append(total)
    assert {sum(v > 0 for v in values) for values in importances} & {2, 3, 4}
    torch.testing.assert_close(
        found(WinsorCAM(percentile, layers=layers), net), torch.stack(expected)
    )


def test_winsor_cam_uses_all_convolutions_that_influence_the_score() -> None:
    named = found(WinsorCAM(90, layers=LAYERS))
    assert torch.equal(found(WinsorCAM(90)), named)
    assert named.any()


def test_gradients_of_all_layers_take_one_backward_pass(monkeypatch) -> None:
    activations = LayerModel(made(), "third").activations(shown())
    calls = []
    grad = torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: calls.append(0) or grad(*a, **k))
    for method in (RefineCAM(layers=LAYERS), ZoomCAM(layers=LAYERS), WinsorCAM(layers=LAYERS)):
        calls.clear()
        method(activations, some_classes())
        assert len(calls) == 1


def test_the_class_matters_and_the_layers_do() -> None:
    net = made()
    activations = LayerModel(net, "third").activations(shown())
    for method in (RefineCAM(layers=LAYERS), ZoomCAM(layers=LAYERS), WinsorCAM(layers=LAYERS)):
        one, other = (method(activations, some_classes().roll(k)) for k in (0, 1))
        assert not torch.equal(one, other)
    two = RefineCAM(hires_cam, ("second", "third"))(activations, some_classes())
    assert two.shape == (3, 6, 8)


def test_names_are_those_of_the_users_network_or_of_the_adapted_one() -> None:
    from torchvision.models import resnet18

    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = resnet18().eval()
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    maps = [
        CAMExtractor(model, RefineCAM(layers=layers))(images, 5).coarse
        for model, layers in [
            (net, ("layer3", "layer4")),
            (net, ("features.layer3", "features.layer4")),
            (adapt(net), ("layer3", "layer4")),
            (copy.deepcopy(net).train(), ("layer3", "layer4")),
            (LayerModel(net, "layer4.1"), ("layer3", "layer4")),
        ]
    ]
    assert all(torch.equal(one, maps[0]) for one in maps)
    automatic = CAMExtractor(net, RefineCAM())(images, 5).coarse
    stages = RefineCAM(layers=("layer1", "layer2", "layer3", "layer4"))
    assert torch.equal(automatic, CAMExtractor(net, stages)(images, 5).coarse)
    assert automatic.shape == (1, 16, 16)


def test_names_that_do_not_exist_are_refused_with_close_ones() -> None:
    with pytest.raises(LayerError, match=r"got 'secnd'; close names are 'net.second'"):
        found(RefineCAM(layers=("secnd",)))
    with pytest.raises(LayerError, match="each layer, got 'unused'"):
        found(RefineCAM(layers=("third", "unused")))
    with pytest.raises(LayerError, match="must run once in a forward pass, got 0 runs"):
        found(RefineCAM(layers=("aside",)))


def test_a_name_that_may_be_several_modules_is_refused() -> None:
    block = nn.Sequential()
    block.add_module("conv", nn.Conv2d(3, 3, 1))
    other = nn.Sequential()
    other.add_module("conv", nn.Conv2d(3, 3, 1))
    model = adapt(small("pooled"))
    model.features = nn.Sequential(block, other, nn.Conv2d(3, 6, 1))
    activations = model.double().eval().activations(pictures("pooled"))
    with pytest.raises(LayerError, match=r"may be any of 'features.0.conv', 'features.1.conv'"):
        RefineCAM(layers=("conv",))(activations, some_classes())
    assert RefineCAM(layers=("0.conv",))(activations, some_classes()).shape == (3, 11, 14)


@pytest.mark.parametrize("layers", ["layer3", (), (3,), ("", "a"), {"a"}])
@pytest.mark.parametrize("cls", [RefineCAM, WinsorCAM, ZoomCAM])
def test_layers_are_a_tuple_of_names(cls, layers) -> None:
    with pytest.raises(SettingError, match="layers must be a tuple of names of layers, or None"):
        cls(layers=layers)


def test_other_settings_are_checked() -> None:
    with pytest.raises(SettingError, match=r"layers must be different layers, got \('a', 'a'\)"):
        ZoomCAM(layers=("a", "a"))
    with pytest.raises(SettingError, match="method must be callable"):
        RefineCAM(None)
    for percentile in (-1, 101, float("nan")):
        with pytest.raises(SettingError, match="percentile must be"):
            WinsorCAM(percentile)
    assert ZoomCAM(layers=["a"]) == ZoomCAM(layers=("a",))
    assert hash(RefineCAM(layers=["a"])) == hash(RefineCAM(layers=("a",)))


def test_a_constant_map_of_a_layer_makes_the_product_zero() -> None:
    net = made()
    with torch.no_grad():
        net.second.weight.zero_()
        net.second.bias.fill_(1)
    assert not found(RefineCAM(eigen_cam, ("first", "second")), net).any()


def test_maps_of_another_grid_have_no_cell_centers() -> None:
    from torchvision.models import resnet18

    net, images = resnet18().eval(), torch.rand(1, 3, 64, 64)
    with pytest.raises(SettingError, match=r"on the feature grid \(2, 2\) .* got \(16, 16\)"):
        CAMExtractor(net, RefineCAM(), alignment="receptive_field")(images)
    one = RefineCAM(layers=("layer4",))
    assert CAMExtractor(net, one, alignment="receptive_field")(images).coarse.shape == (1, 2, 2)


def test_labels_have_the_settings() -> None:
    assert label_of(WinsorCAM(90)) == "winsor_cam:90"
    assert label_of(RefineCAM(grad_cam)) == "refine_cam:grad_cam"
    assert label_of(RefineCAM(layers=("a", "b"))) != label_of(RefineCAM())

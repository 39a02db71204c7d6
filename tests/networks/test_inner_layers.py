"""The automatic choice of layers, on the networks of torchvision."""

import pytest
import torch
from families import family, images, reference_at_layer, state
from torch import Tensor, nn

from cameval import adapt
from cameval.networks import LayerModel
from cameval.networks._inner_layers import (
    all_convolutions,
    last_of_each_resolution,
    record_layers,
)

TRUNK = {
    "resnet": ["layer1", "layer2", "layer3"],
    "resnext": ["layer1", "layer2", "layer3"],
    "vgg": ["9", "14", "19"],
    "squeezenet": ["1", "4", "7"],
    "googlenet": ["conv3", "inception3b", "inception4e"],
    "mobilenet_v2": ["3", "6", "13"],
    "mobilenet_v3": ["1", "3", "8"],
    "shufflenet": ["maxpool", "stage2", "stage3"],
    "convnext": ["1", "3", "5"],
    "regnet": [f"trunk_output.block{k}" for k in (1, 2, 3)],
    "densenet": [f"features.transition{k}.conv" for k in (1, 2, 3)],
}


@pytest.mark.parametrize("name", TRUNK)
def test_the_layers_of_each_resolution_are_on_the_trunk(name: str) -> None:
    activations = adapt(family(name)).activations(images(name, 1))
    found = last_of_each_resolution(activations)
    assert found == (*(f"features.{layer}" for layer in TRUNK[name]), "features")


def test_layers_with_channels_last_are_not_chosen() -> None:
    activations = adapt(family("swin")).activations(images("swin", 1))
    assert last_of_each_resolution(activations) == ("features.features.0.0", "features")


class Wrapped(nn.Module):
    """A network that no family declares, around one."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = family("resnet")

    def forward(self, batch: Tensor) -> Tensor:  # noqa: D102
        return self.inner(2 * batch)


def test_an_inner_layer_is_the_last_of_its_network() -> None:
    inside = LayerModel(Wrapped(), "inner.layer3").activations(images("resnet", 1))
    expected = ("net.inner.layer1", "net.inner.layer2", "net.inner.layer3")
    assert last_of_each_resolution(inside)[-3:] == expected
    stage = adapt(family("resnet"), layer="layer3").activations(images("resnet", 1))
    assert last_of_each_resolution(stage)[-2:] == ("features.layer2", "features")


def test_all_convolutions_are_those_of_the_network() -> None:
    net = family("resnet")
    expected = [n for n, part in net.named_modules() if isinstance(part, torch.nn.Conv2d)]
    found = all_convolutions(adapt(net).activations(images("resnet", 1)))
    assert sorted(found) == sorted(f"features.{name}" for name in expected)


@pytest.mark.parametrize("name", ["resnet", "densenet", "squeezenet"])
def test_activations_and_gradients_are_those_of_hooks(name: str) -> None:
    net, batch, classes = family(name), images(name), torch.tensor([3, 5])
    before = state(net)
    activations = adapt(net).activations(batch)
    passes = record_layers(activations, None, classes, last_of_each_resolution)
    names = last_of_each_resolution(activations)[:-1]
    assert str(state(net)) == str(before)
    for layer, one in zip(names, passes, strict=False):
        user = layer if name == "squeezenet" else layer.removeprefix("features.")
        feature, gradient = reference_at_layer(net, user, batch, classes)
        torch.testing.assert_close(one.features, feature)
        torch.testing.assert_close(one.gradients(classes), gradient)

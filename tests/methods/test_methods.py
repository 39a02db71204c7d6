"""Gradient methods and CAM on real families, against identities and an independent computation."""

import copy

import pytest
import torch
from families import EXACT, FAMILIES, GAP, family, images, reference_at_layer
from torch import nn

from cameval import adapt, cam, grad_cam, hires_cam, layer_cam
from cameval.errors import UnsupportedHeadError
from cameval.networks.activations import identity
from cameval.networks.layers import layer_activations


def both_extremes(logits: torch.Tensor) -> list[torch.Tensor]:
    return [logits.argmax(1), logits.argmin(1)]


@pytest.mark.parametrize("name", EXACT)
def test_cam_obeys_its_law(name: str) -> None:
    model = adapt(copy.deepcopy(family(name)).double())
    activations = model.activations(images(name).double())
    for classes in both_extremes(activations.logits):
        maps = cam(activations, classes)
        logits = activations.logits.gather(1, classes[:, None])[:, 0]
        torch.testing.assert_close(maps.mean((1, 2)) + model.head.bias[classes], logits)
        assert not maps.requires_grad


@pytest.mark.parametrize("name", GAP)
def test_gradient_methods_are_the_cam_on_pooling_and_one_linear_layer(name: str) -> None:
    activations = adapt(copy.deepcopy(family(name)).double()).activations(images(name).double())
    for classes in both_extremes(activations.logits):
        maps = cam(activations, classes)
        cells = maps[0].numel()
        torch.testing.assert_close(grad_cam(activations, classes), maps.relu() / cells)
        torch.testing.assert_close(hires_cam(activations, classes), maps / cells)


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - set(EXACT)))
def test_cam_is_refused_where_it_is_not_exact(name: str) -> None:
    activations = adapt(family(name)).activations(images(name, count=1))
    with pytest.raises(UnsupportedHeadError, match=r"(PooledHead|Sequential).*num_classes=k"):
        cam(activations, torch.tensor([0]))


def test_cam_is_refused_at_an_inner_layer() -> None:
    batch = images("resnet", count=1)
    activations = adapt(family("resnet"), layer="layer4.1.conv1").activations(batch)
    with pytest.raises(UnsupportedHeadError, match="an inner layer"):
        cam(activations, torch.tensor([0]))


def test_the_textbook_formula_is_not_exact_on_convnext() -> None:
    """What the rewrite is for: class weights times features miss the logit."""
    model = adapt(copy.deepcopy(family("convnext")).double())
    activations = model.activations(images("convnext").double())
    classes = activations.logits.argmax(1)
    weights = model.head.linear.weight[classes]
    naive = torch.einsum("nk,nkhw->nhw", weights, activations.features).mean((1, 2))
    logits = activations.logits.gather(1, classes[:, None])[:, 0]
    assert (naive + model.head.linear.bias[classes] - logits).abs().max() > 0.1 * logits.std()


@pytest.mark.parametrize("name", ["alexnet", "vgg"])
def test_hires_cam_sums_to_the_logit_less_the_biases(name: str) -> None:
    net = copy.deepcopy(family(name)).double()
    for module in net.classifier:
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
    activations = adapt(net).activations(images(name).double())
    classes = activations.logits.argmax(1)
    logits = activations.logits.gather(1, classes[:, None])[:, 0]
    torch.testing.assert_close(hires_cam(activations, classes).sum((1, 2)), logits)
    missed = (grad_cam(activations, classes).sum((1, 2)) - logits).abs()
    assert missed.min() > 0.01 * logits.abs().max(), "Grad-CAM has no such law here"


IN_PLACE = {  # layers whose output the next operation overwrites
    "vgg": "features.18",
    "vgg_bn": "features.26",
    "resnet": "layer4.1.bn2",
    "densenet": "features.norm5",
    "googlenet": "inception5b.branch1.bn",
    "mobilenet_v2": "features.18.1",
    "mobilenet_v3": "features.12.1",
    "shufflenet": "conv5.1",
    "efficientnet": "features.8.1",
    "regnet": "trunk_output.block4.block4-5.f.b.0",
    "convnext": "features.7.2.block.0",
    "squeezenet": "features.12.squeeze",
}


@pytest.mark.parametrize(("name", "layer"), IN_PLACE.items())
def test_a_layer_before_an_in_place_operation_keeps_its_own_values(name: str, layer: str) -> None:
    net, batch = copy.deepcopy(family(name)).double(), images(name).double()
    classes = adapt(net)(batch).argmax(1)
    features, gradient = reference_at_layer(net, layer, batch, classes)
    for activations in (
        adapt(net, layer=layer).activations(batch),
        layer_activations(net, {layer: identity}, batch)[layer],
    ):
        torch.testing.assert_close(activations.features, features)
        torch.testing.assert_close(activations.gradients(classes), gradient)
        expected = (gradient.mean((2, 3), keepdim=True) * features).sum(1).relu()
        torch.testing.assert_close(grad_cam(activations, classes), expected)
        torch.testing.assert_close(hires_cam(activations, classes), (gradient * features).sum(1))
        expected = (gradient.relu() * features).sum(1).relu()
        torch.testing.assert_close(layer_cam(activations, classes), expected)


def test_densenets_features_are_those_that_are_pooled() -> None:
    """Its last ReLU is a function, applied in place after the last module."""
    net, batch = family("densenet"), images("densenet")
    features = adapt(net).activations(batch).features
    assert features.min() == 0
    with torch.no_grad():
        assert torch.equal(features, net.features(batch).relu())


def test_an_identity_that_hands_on_its_input_keeps_its_values() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.keep = nn.Conv2d(3, 4, 3), nn.Identity()
            self.fc = nn.Linear(4, 2)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            x = self.conv(batch)
            y = self.keep(x)
            x *= 0  # in place, on the memory that the layer handed on
            return self.fc((x + y).mean((2, 3)))

    net, batch = Skip().eval(), images("any")
    found = adapt(net, layer="keep").activations(batch)
    assert torch.equal(found.features, net.conv(batch))


def test_gradients_may_be_asked_for_again() -> None:
    activations = adapt(family("resnet")).activations(images("resnet"))
    first = activations.gradients(torch.tensor([1, 2]))
    activations.gradients(torch.tensor([3, 4]))
    assert torch.equal(activations.gradients(torch.tensor([1, 2])), first)
    with torch.inference_mode():
        assert torch.equal(activations.gradients(torch.tensor([1, 2])), first)

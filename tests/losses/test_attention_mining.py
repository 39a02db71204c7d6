"""Losses with a map in them: the paper's formula in plain torch, cases by hand, and what they do.

`by_hand` writes attention mining down once more, with nothing of cameval but the network's parts.
"""

import copy
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from small_networks import CLASSES, pictures, small, some_classes
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import squeezenet1_1

from cameval import CAMExtractor, CAMModel, GAPHead, adapt, grad_cam, normalize_maps
from cameval.errors import (
    ArrayTypeError,
    ClassIndexError,
    SettingError,
    ShapeError,
    UnsupportedModelError,
)
from cameval.losses import AttentionMining
from cameval.networks import LayerModel, PooledHead

GAIN = AttentionMining(omega=10.0, sigma=0.5)


def curved_head(channels: int = 6) -> PooledHead:
    """Classify as VGG does, with bends in place of kinks: its second derivatives are not 0."""
    layers = [nn.Linear(6 * channels, 8), nn.Softplus(), nn.Linear(8, CLASSES)]
    return PooledHead(nn.AdaptiveAvgPool2d((2, 3)), nn.Sequential(*layers))


def network(head: str) -> CAMModel:
    """Build a small network in float64 with features that are not negative."""
    model = small("pooled")
    if head == "curved":
        with torch.random.fork_rng():
            torch.manual_seed(1)
            model = CAMModel(model.features, curved_head().double()).eval()
    return model


def batch(count: int = 3) -> tuple[Tensor, Tensor]:
    return pictures("pooled", count), some_classes(count)


# --- The formula once more ------------------------------------------------------------------------

Weights = Callable[[CAMModel, Tensor, Tensor], Tensor]


def weights_of_the_layer(model: CAMModel, features: Tensor, labels: Tensor) -> Tensor:
    """Take the class weights of a head that is pooling and one linear layer: no derivative."""
    return model.head.linear.weight[labels] / features[0, 0].numel()


def weights_by_derivative(
    model: CAMModel, features: Tensor, labels: Tensor, *, create_graph: bool = True
) -> Tensor:
    scores = model.head(features).gather(1, labels[:, None]).sum()
    (gradient,) = torch.autograd.grad(scores, features, create_graph=create_graph)
    return gradient.mean((2, 3))


def constant_weights(model: CAMModel, features: Tensor, labels: Tensor) -> Tensor:
    leaf = features.detach().requires_grad_()
    return weights_by_derivative(model, leaf, labels, create_graph=False)


def by_hand(
    model: CAMModel,
    images: Tensor,
    labels: Tensor,
    weights: Weights,
    omega: float = 10.0,
    sigma: float = 0.5,
) -> Tensor:
    features = model.features(images)
    maps = (weights(model, features, labels)[:, :, None, None] * features).sum(1).relu()
    maps = F.interpolate(maps[:, None], images.shape[2:], mode="bilinear", align_corners=False)
    flat = maps.flatten(1)
    low, high = flat.min(1).values, flat.max(1).values
    scaled = (maps - low[:, None, None, None]) / (high - low)[:, None, None, None]
    hidden = images * (1 - 1 / (1 + torch.exp(-omega * (scaled - sigma))))
    scores = torch.exp(model(hidden)) / torch.exp(model(hidden)).sum(1, keepdim=True)
    own = torch.stack([scores[n, label] for n, label in enumerate(labels)])
    return F.cross_entropy(model.head(features), labels) + own.mean()


def gradients(loss: Tensor, model: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, [*model.parameters()]))


@pytest.mark.parametrize("head", ["pooled", "curved"])
@pytest.mark.parametrize(("omega", "sigma"), [(10.0, 0.5), (3.0, 0.7), (30.0, 0.2)])
def test_it_is_the_formula(head: str, omega: float, sigma: float) -> None:
    model = network(head)
    found = AttentionMining(omega, sigma)(model, *batch()).total
    expected = by_hand(model, *batch(), weights_by_derivative, omega, sigma)
    torch.testing.assert_close(found, expected)
    for mine, theirs in zip(gradients(found, model), gradients(expected, model), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_on_pooling_and_one_layer_the_layers_weights_give_the_same_gradient() -> None:
    """The layer's own weights stand in the place of a derivative."""
    model = network("pooled")
    found = GAIN(model, *batch()).total
    first_order = by_hand(model, *batch(), weights_of_the_layer)
    for mine, theirs in zip(gradients(found, model), gradients(first_order, model), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize(("head", "training"), [("pooled", False), ("pooled", True), ("curved", 0)])
def test_only_a_nonlinear_head_has_a_second_derivative(head, training, monkeypatch) -> None:
    """What is differentiated within the loss depends on the features again, or does not."""
    model, taken = network(head), []
    if head == "pooled":
        model.head.dropout = nn.Dropout(0.5)
        model.train(training)

    def grad(output: Tensor, features: Tensor, **settings) -> tuple[Tensor, ...]:
        taken.append((*derivative(output, features, **settings), features))
        return taken[-1][:1]

    derivative = torch.autograd.grad
    with monkeypatch.context() as patched:
        patched.setattr(torch.autograd, "grad", grad)
        GAIN(model, *batch())
    ((weights, features),) = taken
    second = derivative(weights.sum(), features, allow_unused=True, retain_graph=True)[0]
    assert (second is None) == (head == "pooled")
    last = model.head.linear if head == "pooled" else model.head.classifier[-1]
    assert derivative(weights.square().sum(), last.weight)[0].any()


def test_the_gradient_is_that_of_finite_differences_through_the_weights_of_the_map() -> None:
    model, (images, labels) = network("curved"), batch()
    found = gradients(GAIN(model, images, labels).total, model)
    constant = gradients(by_hand(model, images, labels, constant_weights), model)
    generator = torch.Generator().manual_seed(0)
    directions = [torch.randn(p.shape, generator=generator) for p in model.parameters()]

    def slope(of: list[Tensor]) -> float:
        return sum((g * d).sum().item() for g, d in zip(of, directions, strict=True))

    def loss(step: float) -> float:
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for parameter, direction in zip(moved.parameters(), directions, strict=True):
                parameter += step * direction
        return GAIN(moved, images, labels).total.item()

    differences = (loss(1e-6) - loss(-1e-6)) / 2e-6
    assert slope(found) == pytest.approx(differences, rel=1e-6)
    assert slope(constant) != pytest.approx(differences, rel=1e-3)


def test_the_gradient_flows_through_the_map_into_the_first_pass() -> None:
    """With the second pass frozen, what is left goes through the map alone."""
    model, (images, labels) = network("pooled"), batch()
    mined = gradients(GAIN(model, images, labels).mining, model)
    hidden: list[Tensor] = []
    with model.features.register_forward_pre_hook(lambda _, inputs: hidden.append(inputs[0])):
        GAIN(model, images, labels)
    scores = model(hidden[1].detach()).softmax(1).gather(1, labels[:, None]).mean()
    second = gradients(scores, model)
    assert not torch.allclose(mined[0], second[0], rtol=0.1)


# --- By hand --------------------------------------------------------------------------------------


def two_pixels() -> tuple[CAMModel, Tensor, Tensor]:
    """Show (1, 3) to a network whose features are the image and whose logits are (2 mean, 0)."""
    conv, linear = nn.Conv2d(1, 1, 1, bias=False), nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        conv.weight[:] = 1
        linear.weight[:] = torch.tensor([[2.0], [0.0]])
    model = CAMModel(conv, GAPHead(linear)).double()
    return model, torch.tensor([[[[1.0, 3.0]]]], dtype=torch.float64), torch.tensor([0])


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_two_pixels_by_hand() -> None:
    """The map is (0, 1), the soft mask (1/4, 3/4), and (3/4, 3/4) is left."""
    model, images, labels = two_pixels()
    loss = AttentionMining(omega=2 * math.log(3), sigma=0.5, alpha=0.5)(model, images, labels)
    assert loss.maps.tolist() == [[[0.0, 1.0]]]
    assert loss.logits.tolist() == [[4.0, 0.0]]
    assert loss.classification.item() == pytest.approx(-math.log(sigmoid(4)))
    assert loss.mining.item() == pytest.approx(sigmoid(1.5))
    assert loss.supervision.item() == 0
    assert loss.total.item() == pytest.approx(-math.log(sigmoid(4)) + 0.5 * sigmoid(1.5))


@pytest.mark.parametrize(
    "fill",
    [
        *(1.0, (1.0,), np.float32(1.0), np.array(1.0), np.array([1.0])),
        *(torch.tensor(1.0), torch.tensor([1]), torch.ones(1, requires_grad=True)),
    ],
)
def test_the_fill_replaces_the_removed_regions(fill) -> None:
    """(1, 3 - 3/4 * 2) is left of the two pixels: a mean of 5/4."""
    loss = AttentionMining(omega=2 * math.log(3), sigma=0.5, fill=fill)(*two_pixels())
    assert loss.mining.item() == pytest.approx(sigmoid(2.5))


def test_each_channel_has_its_fill() -> None:
    given = torch.tensor([1.0, 2.0, 3.0])
    gain, shown = AttentionMining(1e9, 0.4, fill=given), []
    given.zero_()  # it was copied
    model, (images, labels) = network("pooled"), batch()
    with model.features.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0])):
        maps = gain(model, images, labels).maps
    fill = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)[None, :, None, None]
    torch.testing.assert_close(shown[1], images.where((maps < 0.4)[:, None], fill))


def test_the_score_can_be_set() -> None:
    gain = AttentionMining(2 * math.log(3), 0.5, score=lambda logits: logits)
    assert gain(*two_pixels()).mining.item() == pytest.approx(1.5)


def test_a_steep_mask_is_a_hard_one() -> None:
    """At a large omega, what lies above sigma is gone, and the rest is untouched."""
    model, (images, labels), shown = network("pooled"), batch(), []
    with model.features.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0])):
        maps = AttentionMining(omega=1e9, sigma=0.3)(model, images, labels).maps
    attended = (maps > 0.3)[:, None]
    assert attended.any()
    assert not attended.all()
    assert torch.equal(shown[0], images)
    assert torch.equal(shown[1], images.masked_fill(attended, 0))


def test_maps_are_those_of_the_extractor_scaled() -> None:
    model, (images, labels) = network("curved"), batch()
    maps = CAMExtractor(model, grad_cam)(images, labels).maps
    torch.testing.assert_close(GAIN(model, images, labels).maps, normalize_maps(maps))


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_a_constant_map_removes_next_to_nothing(value: float) -> None:
    model = CAMModel(nn.Identity(), GAPHead(nn.Linear(3, 2)))
    images = torch.full((1, 3, 8, 8), value, requires_grad=True)
    nn.init.ones_(model.head.linear.weight)
    loss = GAIN(model, images, torch.tensor([1]))
    assert not loss.maps.any()
    kept = model(images * (1 - sigmoid(-5)))
    torch.testing.assert_close(loss.mining, kept.softmax(1)[0, 1])
    assert torch.autograd.grad(loss.total, images)[0].isfinite().all()


def test_a_map_that_is_constant_up_to_rounding_is_constant() -> None:
    model = CAMModel(nn.Identity(), GAPHead(nn.Linear(1, 2)))
    nn.init.ones_(model.head.linear.weight)
    images = torch.ones(2, 1, 8, 8)
    images[0, 0, 2, 3] += 2**-23
    images[1, 0, 2, 3] += 2**-21
    assert GAIN(model, images, torch.tensor([0, 0])).maps.amax((1, 2)).tolist() == [0, 1]


# --- The settings ---------------------------------------------------------------------------------


def test_without_mining_it_is_cross_entropy() -> None:
    model, (images, labels) = network("curved"), batch()
    loss = AttentionMining(10, 0.5, alpha=0)(model, images, labels)
    expected = F.cross_entropy(model(images), labels)
    assert torch.equal(loss.total, expected)
    assert 0 < loss.mining < 1
    for mine, theirs in zip(gradients(loss.total, model), gradients(expected, model), strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("score", [torch.softmax, lambda logits, _: logits * math.nan])
def test_mining_with_weight_0_is_computed_but_not_added(score) -> None:
    model, (images, labels) = network("curved"), batch()
    gain = AttentionMining(10, 0.5, alpha=0, score=lambda logits: score(logits, 1))
    loss = gain(model, images, labels)
    assert not loss.mining.requires_grad
    assert torch.equal(loss.total, F.cross_entropy(model(images), labels))
    assert all(gradient.isfinite().all() for gradient in gradients(loss.total, model))


def test_a_batch_of_classes_without_weight_has_nothing_to_classify() -> None:
    model, (images, labels) = network("pooled"), batch()
    weights = torch.tensor([0.0, 0.0, 0.0, 1.0])
    loss = AttentionMining(10, 0.5, class_weights=weights)(model, images, labels)
    assert loss.classification.item() == 0
    assert torch.equal(loss.total, loss.mining)
    plain = GAIN(model, images, labels).mining
    for mine, theirs in zip(gradients(loss.total, model), gradients(plain, model), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_class_weights_weigh_the_classification_alone() -> None:
    model, (images, labels) = network("pooled"), batch()
    weights = torch.tensor([1.0, 5.0, 0.5, 2.0])
    plain = GAIN(model, images, labels)
    weighted = AttentionMining(10, 0.5, class_weights=weights)(model, images, labels)
    expected = F.cross_entropy(model(images), labels, weights.double())
    torch.testing.assert_close(weighted.classification, expected)
    assert torch.equal(weighted.mining, plain.mining)


def test_masks_are_used_only_with_alpha_supervised() -> None:
    """The map (0, 1) of the two pixels against a mask of the first one: off by 1 everywhere."""
    masks = torch.tensor([[[True, False]]])
    loss = AttentionMining(10, 0.5, alpha=2, alpha_supervised=3)(*two_pixels(), masks=masks)
    assert loss.supervision.item() == 1
    assert loss.total.item() == pytest.approx((loss.classification + 2 * loss.mining + 3).item())
    model, (images, labels) = network("pooled"), batch()
    masks = torch.rand(3, 11, 14) > 0.5
    loss = AttentionMining(10, 0.5, alpha_supervised=3)(model, images, labels, masks=masks)
    torch.testing.assert_close(loss.supervision, F.mse_loss(loss.maps, masks.double()))
    assert torch.autograd.grad(loss.supervision, model.features[0].weight)[0].any()
    with pytest.raises(SettingError, match=r"masks must be given .* got no masks with 3.0"):
        AttentionMining(10, 0.5, alpha_supervised=3)(model, images, labels)
    with pytest.raises(SettingError, match=r"and only then, got masks with 0.0"):
        GAIN(model, images, labels, masks=masks)


# --- What it does ---------------------------------------------------------------------------------


def blobs(count: int = 12) -> tuple[Tensor, Tensor]:
    """Plant a blob in noise, half of it strong and half weak: bright in one class, dark in one."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    images = 0.1 * torch.randn(count, 1, 16, 16, generator=generator)
    corners = torch.randint(0, 10, (count, 2), generator=generator).tolist()
    for image, sign, (y, x) in zip(images, (2 * labels - 1).tolist(), corners, strict=True):
        image[0, y : y + 6, x : x + 3] += sign
        image[0, y : y + 6, x + 3 : x + 6] += sign / 2
    return images, labels


def trained(alpha: float, steps: int = 25) -> CAMModel:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
    model = CAMModel(nn.Sequential(*layers), GAPHead(nn.Linear(8, 2)))
    optimizer, gain = torch.optim.Adam(model.parameters(), lr=0.02), AttentionMining(10, 0.5, alpha)
    for _ in range(steps):
        optimizer.zero_grad()
        gain(model, *blobs()).total.backward()
        optimizer.step()
    return model


def test_training_with_mining_leaves_less_evidence_outside_the_map() -> None:
    with torch.no_grad(), torch.random.fork_rng():
        with torch.enable_grad():
            models = {alpha: trained(alpha) for alpha in (0.0, 1.0)}
        losses = {alpha: GAIN(model, *blobs()) for alpha, model in models.items()}
    assert losses[0.0].mining > 0.75
    assert losses[1.0].mining < 0.55
    for loss in losses.values():
        assert torch.equal(loss.logits.argmax(1), blobs()[1])


# --- What is left alone ---------------------------------------------------------------------------


def with_batch_norm() -> CAMModel:
    body = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6), nn.ReLU())
    return CAMModel(body, GAPHead(nn.Linear(6, CLASSES), nn.Dropout(0.5))).double()


def flags(model: nn.Module) -> list[object]:
    modules = [(m.training, [*m._forward_hooks], [*m._forward_pre_hooks]) for m in model.modules()]
    return [*modules, *(p.requires_grad for p in model.parameters())]


@pytest.mark.parametrize("training", [True, False])
def test_inputs_and_settings_of_the_network_are_not_changed(training: bool) -> None:
    model, (images, labels) = with_batch_norm().train(training), batch()
    masks, weights = torch.rand(3, 11, 14) > 0.5, torch.rand(CLASSES)
    gain = AttentionMining(10, 0.5, alpha_supervised=1, class_weights=weights)
    owned = [images, labels, masks, weights, *model.parameters()]
    before, marks = [tensor.clone() for tensor in owned], flags(model)
    gain(model, images, labels, masks=masks).total.backward()
    assert all(map(torch.equal, owned, before))
    assert flags(model) == marks
    assert images.grad is None
    assert all(parameter.grad is not None for parameter in model.parameters())
    with pytest.raises(ClassIndexError):
        gain(model, images, labels + 2, masks=masks)
    assert flags(model) == marks


class RunningMean(nn.Module):
    """Subtract a mean that each batch in training mode replaces by a new tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        """Shift images."""
        if self.training:
            self.mean = images.mean((0, 2, 3), keepdim=True).detach()
        return images - self.mean


def interrupted(_: Tensor) -> Tensor:
    raise KeyboardInterrupt


@pytest.mark.parametrize("cut", ["model", "stage", "hook"])
@pytest.mark.parametrize(
    ("settings", "shift", "error"),
    [
        ({}, 2, ClassIndexError),
        ({}, -1, ClassIndexError),
        ({"class_weights": torch.ones(3)}, 0, ShapeError),
        ({"score": lambda logits: logits[:, 0]}, 0, ShapeError),
        ({"score": interrupted}, 0, KeyboardInterrupt),
    ],
)
def test_a_call_that_fails_does_not_change_the_batch_statistics(
    cut, settings, shift, error
) -> None:
    model, (images, labels) = with_batch_norm(), batch()
    model.features.insert(0, RunningMean())
    stage, hook = LayerModel(model, "features.2"), LayerModel(model, "features.2", lambda x: x)
    shown = {"model": model, "stage": stage, "hook": hook}[cut]
    buffers, before = [*model.buffers()], copy.deepcopy(model.state_dict())
    with pytest.raises(error):
        AttentionMining(10, 0.5, **settings)(shown, images, labels + shift)
    assert len(buffers) == 4
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(new is old for new, old in zip(model.buffers(), buffers, strict=True))


def test_features_of_one_position_do_not_change_the_batch_statistics() -> None:
    body = nn.Sequential(nn.Conv2d(3, 6, (11, 14)), nn.BatchNorm2d(6))
    model = CAMModel(body, GAPHead(nn.Linear(6, CLASSES))).double()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ShapeError, match="at least 2 positions"):
        GAIN(model, *batch())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_lazy_modules_are_given_their_shape_by_the_first_call() -> None:
    body = nn.Sequential(nn.Conv2d(3, 6, 3), nn.LazyBatchNorm2d())
    model = CAMModel(body, GAPHead(nn.Linear(6, CLASSES)))
    GAIN(model, batch()[0].float(), batch()[1]).total.backward()
    assert body[1].num_batches_tracked == 2


def test_batch_statistics_are_updated_twice_in_training_mode_only() -> None:
    model = with_batch_norm()
    norm = model.features[1]
    GAIN(model.train(), *batch())
    assert norm.num_batches_tracked == 2
    before = copy.deepcopy(norm.state_dict())
    GAIN(model.eval(), *batch())
    with torch.no_grad():
        GAIN(model.train(), *batch())
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    assert model.training


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_without_autograd_both_passes_are_in_evaluation_mode(guard) -> None:
    model = with_batch_norm()
    expected = GAIN(model.eval(), *batch())
    with guard():
        images, labels = batch()
        loss = GAIN(model.train(), images, labels)
    torch.testing.assert_close(loss.total, expected.total)
    assert not loss.total.requires_grad
    assert not loss.maps.requires_grad


def test_batches_may_be_inference_tensors() -> None:
    model = network("pooled")
    with torch.inference_mode():
        images, labels = batch()
        masks, weights = torch.ones(3, 11, 14, dtype=torch.bool), torch.ones(CLASSES).double()
    gain = AttentionMining(10, 0.5, class_weights=weights, alpha_supervised=1)
    loss = gain(model, images, labels, masks=masks)
    assert gradients(loss.total, model)[0].any()
    torch.testing.assert_close(loss.mining, GAIN(model, *batch()).mining)


# --- Any network, device, precision ---------------------------------------------------------------


def test_a_declared_network_is_trained_as_it_is() -> None:
    torch.manual_seed(0)
    net = squeezenet1_1(num_classes=3).eval()
    images, labels = torch.randn(2, 3, 64, 64), torch.tensor([0, 2])
    loss = GAIN(net, images, labels)
    loss.total.backward()
    assert net.features[0].weight.grad.any()
    assert loss.maps.shape == (2, 64, 64)
    assert torch.equal(loss.total, GAIN(adapt(net), images, labels).total)


@pytest.mark.parametrize("cut", ["inner", "stage", "volumes"])
def test_inner_layers_and_volumes_are_mined(cut: str) -> None:
    model, labels = small(cut), some_classes()
    images = pictures(cut)
    loss = GAIN(model, images, labels)
    assert loss.maps.shape == (3, *images.shape[2:])
    assert loss.maps.amax() == 1
    first = next(model.parameters())
    (gradient,) = torch.autograd.grad(loss.total, first)
    step = torch.zeros_like(first)
    step.view(-1)[0] = 1e-6
    values = []
    for sign in (1, -2):
        with torch.no_grad():
            first += sign * step
        values.append(GAIN(model, images, labels).total.item())
    expected = (values[0] - values[1]) / 2e-6
    assert gradient.view(-1)[0].item() == pytest.approx(expected, rel=1e-4)


def test_frozen_features_leave_the_head_to_learn() -> None:
    model = network("pooled")
    model.features.requires_grad_(False)
    loss = GAIN(model, *batch()).total
    expected = by_hand(model, *batch(), weights_of_the_layer)
    weight = model.head.linear.weight
    torch.testing.assert_close(
        torch.autograd.grad(loss, weight), torch.autograd.grad(expected, weight)
    )


def test_under_autocast_the_loss_is_in_single_precision() -> None:
    model = network("curved").float()
    images, labels = batch()[0].float(), batch()[1]
    exact = GAIN(model, images, labels)
    gain = AttentionMining(10, 0.5, class_weights=torch.ones(CLASSES))
    with torch.autocast("cpu", torch.bfloat16):
        loss = gain(model, images, labels)
    assert loss.logits.dtype == torch.bfloat16
    assert loss.total.dtype == torch.float32
    torch.testing.assert_close(loss.total, exact.total, rtol=0.03, atol=0.03)
    loss.total.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_a_network_in_half_precision_is_supported() -> None:
    model = network("pooled").bfloat16()
    loss = GAIN(model, batch()[0].bfloat16(), batch()[1])
    parts = loss.maps, loss.total, loss.classification, loss.mining
    assert {part.dtype for part in parts} == {torch.float32}
    loss.total.backward()
    assert model.features[0].weight.grad.any()


# --- Several processes ----------------------------------------------------------------------------


def test_a_data_parallel_network_is_refused() -> None:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(network("pooled"))
        for model in (wrapped, nn.DataParallel(network("pooled")), nn.Sequential(wrapped)):
            with pytest.raises(UnsupportedModelError, match="wrap a module that holds the network"):
                GAIN(model, *batch())
    finally:
        dist.destroy_process_group()


DATA_PARALLEL = """
import sys
sys.path.insert(0, {tests!r})
import torch, torch.distributed as dist
from torch import nn
from losses.test_attention_mining import GAIN, batch, network

class Step(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
    def forward(self, images, labels):
        return GAIN(self.model, images, labels).total

torch.set_num_threads(1)
dist.init_process_group("gloo")
model = network("curved")
images, labels = batch(4)
step = nn.parallel.DistributedDataParallel(Step(model))
mine = slice(2 * dist.get_rank(), 2 * dist.get_rank() + 2)
step(images[mine], labels[mine]).backward()
alone = network("curved")
GAIN(alone, images, labels).total.backward()
for ours, theirs in zip(model.parameters(), alone.parameters(), strict=True):
    torch.testing.assert_close(ours.grad, theirs.grad)
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_exchange_the_gradients_of_a_wrapped_loss(tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(DATA_PARALLEL.format(tests=str(Path(__file__).parents[1])))
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script]
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"omega": 0}, SettingError, "omega must be positive, got 0"),
        ({"omega": -1}, SettingError, "omega must be positive, got -1"),
        ({"omega": math.inf}, SettingError, "omega must be a finite number, got inf"),
        ({"omega": "10"}, SettingError, "omega must be a finite number, got 10"),
        ({"sigma": 0}, SettingError, r"sigma must be in \(0, 1\), got 0"),
        ({"sigma": 1}, SettingError, r"sigma must be in \(0, 1\), got 1"),
        ({"sigma": math.nan}, SettingError, "sigma must be a finite number, got nan"),
        ({"alpha": -0.1}, SettingError, "alpha must not be negative, got -0.1"),
        ({"alpha_supervised": -1}, SettingError, "alpha_supervised must not be negative, got -1"),
        ({"fill": math.nan}, SettingError, "fill must be a finite number, got nan"),
        ({"fill": (0, None)}, SettingError, "each number of fill must be a finite number"),
        ({"fill": np.array(math.nan)}, SettingError, "fill must be a finite number, got nan"),
        ({"fill": torch.tensor(1j)}, SettingError, "fill must be a finite number, got 1j"),
        ({"fill": torch.ones(1, 2)}, SettingError, r"each number of fill .* got \[1.0, 1.0\]"),
        ({"score": "logit"}, SettingError, r"score must be callable as score\(logits\)"),
        ({"class_weights": [1.0]}, ArrayTypeError, "class_weights must be .* got list"),
        ({"class_weights": torch.ones(2).int()}, ArrayTypeError, "got torch.int32"),
        ({"class_weights": torch.ones(2, 1)}, ShapeError, r"shape \(C,\), got \(2, 1\)"),
        ({"class_weights": torch.tensor([-1.0])}, SettingError, r"not negative, got \[-1.0\]"),
        ({"class_weights": torch.tensor([math.inf])}, SettingError, r"be finite .* got \[inf\]"),
        ({"class_weights": torch.zeros(2)}, SettingError, r"positive, got \[0.0, 0.0\]; leave"),
        ({"class_weights": torch.ones(0)}, SettingError, r"positive, got \[\]"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], error, message: str) -> None:
    with pytest.raises(error, match=message):
        AttentionMining(**{"omega": 10.0, "sigma": 0.5} | settings)


def test_omega_and_sigma_have_no_default() -> None:
    for given in ({}, {"omega": 10.0}, {"sigma": 0.5}):
        with pytest.raises(TypeError, match="missing"):
            AttentionMining(**given)


IMAGES = pictures("pooled")
LABELS = some_classes()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((IMAGES[0], LABELS), ShapeError, r"images must have shape \(N, channels, H, W\)"),
        ((IMAGES.int(), LABELS), ArrayTypeError, "images must be a floating-point torch tensor"),
        ((IMAGES, LABELS[:2]), ShapeError, r"shape \(3,\), got \(2,\)"),
        ((IMAGES, LABELS[:, None]), ShapeError, r"shape \(3,\), got \(3, 1\)"),
        ((IMAGES[:0], LABELS[:0]), ShapeError, r"at least 1 image, shape \(0,\), got \(0,\)"),
        ((IMAGES, LABELS.double()), ArrayTypeError, "labels must be integers, got torch.float64"),
        ((IMAGES, LABELS > 0), ArrayTypeError, "labels must be integers, got torch.bool"),
        ((IMAGES, [0, 1, 2]), ArrayTypeError, "labels must be a torch tensor, got list"),
        ((IMAGES, LABELS + 2), ClassIndexError, r"classes must be in \[0, 4\), got 4"),
        ((IMAGES, LABELS - 1), ClassIndexError, r"classes must be in \[0, 4\), got -1"),
    ],
)
def test_batches_are_checked(arguments, error, message: str) -> None:
    with pytest.raises(error, match=message):
        GAIN(network("pooled"), *arguments)


@pytest.mark.parametrize(
    ("masks", "error", "message"),
    [
        (torch.ones(3, 11, 13) > 0, ShapeError, r"\(3, 11, 14\), got \(3, 11, 13\)"),
        (torch.ones(3, 1, 11, 14) > 0, ShapeError, r"\(3, 11, 14\), got \(3, 1, 11, 14\)"),
        (torch.ones(3, 11, 14), ArrayTypeError, "masks must be boolean, got torch.float32"),
    ],
)
def test_masks_are_checked(masks: Tensor, error, message: str) -> None:
    with pytest.raises(error, match=message):
        AttentionMining(10, 0.5, alpha_supervised=1)(network("pooled"), *batch(), masks=masks)


def test_settings_that_depend_on_the_network_are_checked() -> None:
    model = network("pooled")
    for settings, message in [
        ({"fill": (0.0, 0.0)}, "the images' 3 channels, got 2"),
        ({"class_weights": torch.ones(3)}, "the network's 4 classes, got 3"),
        ({"score": lambda logits: logits[:, 0]}, r"shape \(3, 4\), got \(3,\)"),
        ({"score": lambda logits: None}, r"shape \(3, 4\), got NoneType"),
    ]:
        with pytest.raises(ShapeError, match=message):
            AttentionMining(10, 0.5, **settings)(model, *batch())


def test_networks_are_checked() -> None:
    with pytest.raises(UnsupportedModelError, match="must take one batch of images"):
        GAIN(nn.Linear(2, 2), *batch())
    hooked = network("pooled")
    hooked.register_forward_hook(lambda _module, _images, logits: 2 * logits)
    with pytest.raises(UnsupportedModelError, match="hooks on CAMModel"):
        GAIN(hooked, *batch())
    with pytest.raises(ArrayTypeError, match=r"an nn\.Module, got str"):
        GAIN("resnet18", *batch())  # type: ignore[arg-type]
    single = CAMModel(nn.Conv2d(3, 6, (11, 14)), GAPHead(nn.Linear(6, 4))).double()
    with pytest.raises(ShapeError, match=r"at least 2 positions .* got \(3, 6, 1, 1\)"):
        GAIN(single, *batch())


def test_a_layer_model_of_any_network_is_supported() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 9 * 12, 4))
    loss = GAIN(LayerModel(net.double(), "0"), *batch())
    assert gradients(loss.mining, net)[0].any()

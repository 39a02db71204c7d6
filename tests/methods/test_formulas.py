"""Each formula against a reference that is spelled out by hand, or made by NumPy."""

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from families import FAMILIES, GAP, family
from hypothesis import given
from hypothesis import strategies as st
from small_networks import activations_of, pictures, small, some_classes
from torch import Tensor, nn
from torchvision.models.convnext import LayerNorm2d

from cameval import (
    CAMModel,
    GAPHead,
    adapt,
    cam,
    eigen_cam,
    grad_cam,
    grad_cam_pp,
    hires_cam,
    xgrad_cam,
)
from cameval.errors import SettingError, UnsupportedHeadError
from cameval.methods import (
    FinerTarget,
    RandomCAM,
    SmoothGradCAMpp,
    eigen_grad_cam,
    grad_cam_elementwise,
    local_linear_cam,
    local_linear_constant,
    shapley_cam,
)
from cameval.networks import Activations, PooledHead

CUTS = ["pooled", "curved", "inner", "stage"]


def pieces(activations: Activations, classes: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Features and gradient of each image, by a gradient of its own."""
    return list(zip(activations.features, activations.gradients(classes), strict=True))


@pytest.mark.parametrize("cut", ["pooled", "curved"])
@given(seed=st.integers(0, 20), scale=st.sampled_from([1e-3, 1.0, 1e3]))
def test_grad_cam_pp_is_equation_19_at_every_scale_of_the_head(
    cut: str, seed: int, scale: float
) -> None:
    model, classes = small(cut, seed), some_classes()
    last = model.head.linear if cut == "pooled" else model.head[-1]
    with torch.no_grad():
        last.weight.mul_(scale)
    activations = model.activations(pictures(cut, seed=seed))
    found = grad_cam_pp(activations, classes)
    for n, (features, gradient) in enumerate(pieces(activations, classes)):
        channels, height, width = features.shape
        expected = torch.zeros(height, width, dtype=torch.float64)
        for k in range(channels):
            total = sum(features[k].flatten().tolist())
            weight = 0.0
            for y in range(height):
                for x in range(width):
                    g = gradient[k, y, x].item()
                    if g != 0:
                        alpha = g**2 / (2 * g**2 + g**3 * total)
                        weight += alpha * max(g, 0)
            expected += weight * features[k]
        torch.testing.assert_close(found[n], expected.relu())


def test_grad_cam_pp_differs_from_what_never_divides() -> None:
    """B2: the weights are not g^2 relu(g)."""
    activations, classes = activations_of("curved"), some_classes()
    gradient, features = activations.gradients(classes), activations.features
    undivided = (gradient**2 * gradient.relu()).sum((2, 3), keepdim=True)
    wrong = (undivided * features).sum(1).relu().flatten(1)
    found = grad_cam_pp(activations, classes).flatten(1)
    assert torch.cosine_similarity(wrong, found).min() < 0.999


@pytest.mark.parametrize("cut", CUTS)
def test_xgrad_cam_is_its_formula_and_conserves_the_evidence(cut: str) -> None:
    activations, classes = activations_of(cut), some_classes()
    found = xgrad_cam(activations, classes)
    for n, (features, gradient) in enumerate(pieces(activations, classes)):
        expected = torch.zeros_like(features[0])
        for k in range(len(features)):
            weight = (gradient[k] * features[k]).sum() / features[k].sum()
            expected += weight * features[k] if features[k].sum() != 0 else 0
        torch.testing.assert_close(found[n], expected)
    torch.testing.assert_close(found.sum((1, 2)), hires_cam(activations, classes).sum((1, 2)))


def test_a_dead_channel_has_no_weight_in_xgrad_cam() -> None:
    model = small("curved")
    with torch.no_grad():
        model.features[0].weight[2] = 0
        model.features[0].bias[2] = -1
    activations = model.activations(pictures("curved"))
    assert (activations.features[:, 2] == 0).all()
    found = xgrad_cam(activations, some_classes())
    assert found.isfinite().all()
    assert found.any()


def test_a_channel_that_sums_to_zero_has_no_weight_in_xgrad_cam() -> None:
    features = torch.tensor([[[[1.0, -1.0]], [[1.0, 2.0]]]])
    head = nn.Sequential(nn.Flatten(), nn.Linear(4, 1, bias=False))
    with torch.no_grad():
        head[1].weight[:] = torch.tensor([[5.0, 3.0, 1.0, 4.0]])  # a gradient for each position
    activations = CAMModel(nn.Identity(), head).eval().activations(features)
    weight = (1 * 1 + 4 * 2) / (1 + 2)
    found = xgrad_cam(activations, torch.tensor([1]))
    torch.testing.assert_close(found, weight * features[:, 1])


@pytest.mark.parametrize("cut", CUTS)
def test_grad_cam_elementwise_sums_the_positive_products(cut: str) -> None:
    activations, classes = activations_of(cut), some_classes()
    gradient, features = activations.gradients(classes).numpy(), activations.features.numpy()
    expected = np.maximum(gradient * features, 0).sum(1)
    found = grad_cam_elementwise(activations, classes)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)
    assert (found >= hires_cam(activations, classes)).all()


def behind(name: str) -> Activations:
    """Run the head of a family, in float64, on features made up for it."""
    head = copy.deepcopy(adapt(family(name)).head).double()
    channels = getattr(head, "in_channels", 512)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, channels, 3, 4, dtype=torch.float64, generator=generator).relu()
    return CAMModel(nn.Identity(), head).eval().activations(5 * features)


@pytest.mark.parametrize("name", GAP)
def test_on_pooling_and_one_linear_layer_four_methods_are_one(name: str) -> None:
    """B8: users take it for a bug that CAM, Grad-CAM, HiResCAM and XGrad-CAM coincide."""
    activations = behind(name)
    classes = activations.logits.argmax(1)
    maps = cam(activations, classes)
    cells = maps[0].numel()
    torch.testing.assert_close(hires_cam(activations, classes) * cells, maps)
    torch.testing.assert_close(grad_cam(activations, classes) * cells, maps.relu())
    torch.testing.assert_close(xgrad_cam(activations, classes) * cells, maps)
    torch.testing.assert_close(shapley_cam(activations, classes) * cells, maps.relu())
    torch.testing.assert_close(local_linear_cam(activations, classes), maps)


def svd_reference(values: np.ndarray) -> np.ndarray:
    """Project ``(K, h, w)`` on the first right singular vector of the centered matrix."""
    matrix = values.reshape(len(values), -1).T
    centered = matrix - matrix.mean(0)
    _, _, right = np.linalg.svd(centered, full_matrices=False)
    component = centered @ right[0]
    sign = 1 if (component * matrix.sum(1)).sum() >= 0 else -1
    return (sign * component).reshape(values.shape[1:])


@pytest.mark.parametrize("channels", [6, 40])  # fewer and more than the positions, 5 x 6
@given(seed=st.integers(0, 20))
def test_eigen_methods_are_the_singular_vector_of_numpy(channels: int, seed: int) -> None:
    activations = activations_of("curved", seed=seed, channels=channels)
    classes = some_classes()
    found, of_evidence = eigen_cam(activations, classes), eigen_grad_cam(activations, classes)
    for n, (features, gradient) in enumerate(pieces(activations, classes)):
        expected = torch.from_numpy(svd_reference(features.numpy()))
        torch.testing.assert_close(found[n], expected)
        expected = torch.from_numpy(svd_reference((gradient * features).numpy()))
        torch.testing.assert_close(of_evidence[n], expected)


def test_eigen_cam_does_not_know_the_class_and_points_at_what_is_active() -> None:
    activations = activations_of("curved")
    maps = eigen_cam(activations, some_classes())
    assert torch.equal(maps, eigen_cam(activations, some_classes().flip(0)))
    torch.testing.assert_close(maps.mean((1, 2)), torch.zeros(3, dtype=torch.float64))
    assert ((maps * activations.features.mean(1)).sum((1, 2)) > 0).all()


@pytest.mark.parametrize("channels", [2, 12])
def test_eigen_cam_of_features_that_do_not_vary_is_zero(channels: int) -> None:
    features = torch.ones(1, channels, 2, 3)
    model = CAMModel(nn.Identity(), GAPHead(nn.Linear(channels, 2))).eval()
    assert not eigen_cam(model.activations(features), torch.tensor([0])).any()


def test_eigen_cam_works_in_half_precision() -> None:
    features = torch.rand(1, 4, 3, 3, generator=torch.Generator().manual_seed(0)).bfloat16()
    model = CAMModel(nn.Identity(), GAPHead(nn.Linear(4, 2))).bfloat16().eval()
    found = eigen_cam(model.activations(features), torch.tensor([0]))
    expected = torch.from_numpy(svd_reference(features[0].float().numpy()))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found[0], expected.bfloat16())


def score_of_features(
    activations: Activations, classes: Tensor, n: int, features: Tensor
) -> Tensor:
    outputs = activations.rerun(features[None].clone(), activations.images[n : n + 1])
    return outputs[0, classes[n]]


def test_shapley_cam_is_the_gradient_less_half_the_curvature() -> None:
    for cut in ("curved", "inner"):
        activations, classes = activations_of(cut, count=2, channels=3), some_classes(2)
        found = shapley_cam(activations, classes)
        for n, (features, gradient) in enumerate(pieces(activations, classes)):
            hessian = torch.autograd.functional.hessian(
                partial(score_of_features, activations, classes, n), features
            )
            size = features.numel()
            product = hessian.reshape(size, size) @ features.flatten()
            weights = (gradient - product.reshape(features.shape) / 2).mean((1, 2))
            expected = torch.einsum("k,khw->hw", weights, features).relu()
            torch.testing.assert_close(found[n], expected)
        assert (found - grad_cam(activations, classes)).abs().max() > 1e-3 * found.max()


def test_shapley_cam_is_grad_cam_where_the_rest_is_piecewise_linear() -> None:
    model = small("curved")
    model.head[3] = nn.ReLU()
    activations, classes = model.activations(pictures("curved")), some_classes()
    torch.testing.assert_close(shapley_cam(activations, classes), grad_cam(activations, classes))
    model = CAMModel(model.features, model.head[:2]).eval()  # no curvature, not even of zero
    activations = model.activations(pictures("curved"))
    torch.testing.assert_close(shapley_cam(activations, classes), grad_cam(activations, classes))


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - {"vgg", "vgg_bn"}))  # as AlexNet's
def test_local_linear_cam_is_the_logit_for_every_family(name: str) -> None:
    activations = behind(name)
    check_completeness(activations, activations.logits.argmax(1))


def check_completeness(activations: Activations, classes: Tensor) -> None:
    maps = local_linear_cam(activations, classes)
    constant = local_linear_constant(activations, classes)
    logits = activations.logits.gather(1, classes[:, None])[:, 0]
    torch.testing.assert_close(maps.mean((1, 2)) + constant, logits)
    assert not maps.requires_grad
    assert not constant.requires_grad


def test_local_linear_cam_of_mobilenet_v3_is_its_written_out_decomposition() -> None:
    activations = behind("mobilenet_v3")
    first, _, _, second = activations.head.classifier
    classes = activations.logits.argmax(1)
    with torch.no_grad():
        hidden = first(activations.features.mean((2, 3)))
        factor = nn.functional.relu6(hidden + 3) / 6
        weights = (second.weight[classes] * factor) @ first.weight
        expected = torch.einsum("nk,nkhw->nhw", weights, activations.features)
        constant = (second.weight[classes] * factor) @ first.bias + second.bias[classes]
    torch.testing.assert_close(local_linear_cam(activations, classes), expected)
    torch.testing.assert_close(local_linear_constant(activations, classes), constant)
    gradient_map = hires_cam(activations, classes) * expected[0].numel()
    assert (gradient_map - expected).abs().max() > 0.1 * expected.abs().max()


def test_local_linear_cam_behind_relu_is_the_gradient_times_the_activation() -> None:
    activations = behind("alexnet")
    classes = activations.logits.argmax(1)
    expected = hires_cam(activations, classes) * activations.features[0, 0].numel()
    torch.testing.assert_close(local_linear_cam(activations, classes), expected)


@pytest.mark.parametrize("layer", [nn.ReLU, nn.Hardswish, nn.SiLU, nn.Tanh])
@pytest.mark.parametrize("norm", [nn.LayerNorm(5), nn.LayerNorm(5, elementwise_affine=False)])
def test_local_linear_cam_knows_the_factor_of_each_layer(layer, norm) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = nn.Sequential(
            nn.Linear(6, 5), norm, nn.Sequential(layer(), nn.Dropout()), nn.Linear(5, 4)
        )
    head = PooledHead(nn.AvgPool2d((5, 6)), classifier)
    model = CAMModel(small("pooled").features, head).double().eval()
    check_completeness(model.activations(pictures("pooled")), some_classes())


def test_the_factor_of_tanh_is_one_at_zero() -> None:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Tanh(), nn.Linear(6, 4))
    activations = CAMModel(nn.Identity(), head).eval().activations(torch.zeros(3, 6, 2, 2))
    maps = local_linear_cam(activations, some_classes())
    assert torch.equal(maps, torch.zeros(3, 2, 2))
    assert torch.equal(local_linear_constant(activations, some_classes()), head[3].bias[:3])


def test_local_linear_cam_reaches_through_a_stage_of_the_network() -> None:
    activations = activations_of("stage")
    assert activations.features.min() < 0
    check_completeness(activations, some_classes())


def test_local_linear_cam_does_not_take_a_subclass_for_its_base() -> None:
    """ConvNeXt's normalization is over the channels, wherever they are."""
    classifier = nn.Sequential(LayerNorm2d(6), nn.Flatten(), nn.Linear(6, 4))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), classifier)
    activations = CAMModel(nn.Identity(), head).eval().activations(torch.rand(3, 6, 2, 2))
    with pytest.raises(UnsupportedHeadError, match="LayerNorm2d"):
        local_linear_cam(activations, some_classes())


def test_local_linear_cam_refuses_what_it_cannot_decompose() -> None:
    with pytest.raises(UnsupportedHeadError, match=r"an inner layer; use .*hires_cam"):
        local_linear_cam(activations_of("inner"), some_classes())
    head = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    activations = CAMModel(nn.Identity(), head).eval().activations(torch.rand(3, 6, 2, 2))
    with pytest.raises(UnsupportedHeadError, match="AdaptiveMaxPool2d"):
        local_linear_cam(activations, some_classes())
    with pytest.raises(SettingError, match="got a function"):
        local_linear_cam(activations_of("pooled"), lambda logits: logits.sum(1))


def test_random_cam_is_a_sum_with_weights_of_its_seed() -> None:
    activations, classes = activations_of("pooled"), some_classes()
    weights = 2 * torch.rand(6, generator=torch.Generator().manual_seed(5)) - 1
    expected = sum(
        w * channel
        for w, channel in zip(weights.double(), activations.features.unbind(1), strict=True)
    )
    torch.testing.assert_close(RandomCAM(seed=5)(activations, classes), expected)
    assert torch.equal(RandomCAM()(activations, classes), RandomCAM(0)(activations, classes))
    assert not torch.equal(RandomCAM()(activations, classes), RandomCAM(1)(activations, classes))


def test_smooth_grad_cam_pp_without_noise_is_grad_cam_pp() -> None:
    activations, classes = activations_of("curved"), some_classes()
    found = SmoothGradCAMpp(num_samples=2, std=0)(activations, classes)
    torch.testing.assert_close(found, grad_cam_pp(activations, classes))


def test_smooth_grad_cam_pp_sums_clean_activations_with_noisy_gradients() -> None:
    """B3: neither the activations nor the derivatives are those of the last noisy pass."""
    model, classes, batch = small("curved"), some_classes(), pictures("curved")
    activations = model.activations(batch)
    before = activations.features.clone()
    found = SmoothGradCAMpp(num_samples=3, std=0.7, seed=4)(activations, classes)
    assert torch.equal(activations.features, before)
    generator = torch.Generator().manual_seed(4)
    gradients = []
    for _ in range(3):
        noise = torch.randn(batch.shape[1:], generator=generator).double()
        noisy = model.features(batch + 0.7 * noise).detach().requires_grad_()
        model.head(noisy).gather(1, classes[:, None]).sum().backward()
        gradients.append(noisy.grad)
    model.zero_grad()
    powers = [torch.stack([g**p for g in gradients]).mean(0) for p in (1, 2, 3)]
    total = before.sum((2, 3), keepdim=True)
    alpha = powers[1] / (2 * powers[1] + total * powers[2])
    weights = (alpha.nan_to_num() * powers[0].relu()).sum((2, 3), keepdim=True)
    torch.testing.assert_close(found, (weights * before).sum(1).relu())
    assert not torch.equal(found, SmoothGradCAMpp(3, 0.7, seed=5)(activations, classes))


def test_smooth_grad_cam_pp_works_at_an_inner_layer() -> None:
    activations, classes = activations_of("inner"), some_classes()
    expected = grad_cam_pp(activations, classes)
    torch.testing.assert_close(SmoothGradCAMpp(2, std=0)(activations, classes), expected)
    noisy = SmoothGradCAMpp(2)(activations, classes)
    assert not torch.equal(noisy, expected)
    assert torch.equal(noisy, SmoothGradCAMpp(2)(activations, classes))


def test_similar_classes_are_weighed_alike_or_by_their_probability() -> None:
    logits = torch.tensor([[3.0, 2.5, -9.0, 2.0], [0.0, 4.0, 3.0, 1.0]], dtype=torch.float64)
    alike = FinerTarget(classes=torch.tensor([0, 1]), similar=2, strength=0.5)
    expected = torch.tensor([3 - 0.5 * (2.5 + 2) / 2, 4 - 0.5 * (3 + 1) / 2], dtype=torch.float64)
    torch.testing.assert_close(alike(logits), expected)
    weighted = replace(alike, weighting="probability")
    shares = logits.softmax(1)
    for row, own, others in [(0, 0, [1, 3]), (1, 1, [2, 3])]:
        share = shares[row, others] / shares[row, others].sum()
        differences = logits[row, own] - 0.5 * logits[row, others]
        torch.testing.assert_close(weighted(logits)[row], (share * differences).sum())
    with pytest.raises(SettingError, match="weighting must be one of mean, probability, got 'max'"):
        FinerTarget(0, weighting="max")  # type: ignore[arg-type]

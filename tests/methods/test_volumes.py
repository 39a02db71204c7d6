"""Maps of networks of volumes: the exact law, one slice against an image, upsampling, fusions."""

import numpy as np
import pytest
import torch
from small_networks import small
from torch import nn
from torch.nn.functional import interpolate
from torch.testing import assert_close

from cameval import (
    CAMExtractor,
    CAMModel,
    GAPHead,
    ScoreCAM,
    cam,
    eigen_cam,
    grad_cam,
    grad_cam_pp,
    hires_cam,
    layer_cam,
    xgrad_cam,
)
from cameval.evaluation import label_of
from cameval.maps import normalize_maps
from cameval.methods import (
    KPCACAM,
    AblationCAM,
    GroupCAM,
    OptiCAM,
    ReciproCAM,
    RefineCAM,
    WinsorCAM,
    ZoomCAM,
    eigen_grad_cam,
    grad_cam_elementwise,
    lafam,
    local_linear_cam,
    max_fusion,
    mean_fusion,
    product_fusion,
    shapley_cam,
)
from cameval.networks import pooled_features

METHODS = [
    *(cam, grad_cam, grad_cam_pp, xgrad_cam, hires_cam, layer_cam, eigen_cam, eigen_grad_cam),
    *(grad_cam_elementwise, shapley_cam, local_linear_cam, AblationCAM(), ScoreCAM()),
    *(lafam, GroupCAM(groups=3), OptiCAM(steps=3), ReciproCAM(), RefineCAM(), WinsorCAM()),
    *(KPCACAM(), ZoomCAM()),
]
SIZE = (9, 12, 10)


class Features(nn.Sequential):
    """Two convolutions of volumes with strides, and rectification."""

    def __init__(self, kernel: tuple[int, int, int] = (3, 3, 3)) -> None:
        half = [(length - 1) // 2 for length in kernel]
        strides = tuple(2 if length > 1 else 1 for length in kernel)
        super().__init__(
            nn.Conv3d(1, 4, kernel, stride=strides, padding=half),
            nn.ReLU(),
            nn.Conv3d(4, 6, kernel, padding=half),
            nn.ReLU(),
        )


def network(kernel: tuple[int, int, int] = (3, 3, 3)) -> CAMModel:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return CAMModel(Features(kernel), GAPHead(nn.Linear(6, 3))).double().eval()


def shown(size: tuple[int, ...] = SIZE) -> torch.Tensor:
    return torch.rand(2, 1, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(5))


def test_the_mean_of_the_map_and_the_bias_are_the_logit() -> None:
    net, images = network(), shown()
    classes = torch.tensor([[0, 1, 2], [2, 0, 1]])
    result = CAMExtractor(net, cam)(images, classes=classes)
    assert result.coarse.shape == (2, 3, 5, 6, 5)
    assert result.maps.shape == (2, 3, *SIZE)
    means = result.coarse.mean((-3, -2, -1)) + net.head.linear.bias[classes]
    assert_close(means, net(images).gather(1, classes), rtol=0, atol=1e-12)
    expected = interpolate(result.coarse, SIZE, mode="trilinear", align_corners=False)
    assert_close(result.maps, expected, rtol=0, atol=1e-12)


def test_on_pooling_and_one_linear_layer_gradient_maps_are_the_exact_map() -> None:
    net, images, classes = network(), shown(), torch.tensor([1, 2])
    exact = CAMExtractor(net, cam)(images, classes=classes).coarse
    cells = exact[0].numel()
    hires = CAMExtractor(net, hires_cam)(images, classes=classes).coarse
    assert_close(hires * cells, exact.clamp(min=0) if (hires >= 0).all() else exact)
    grads = CAMExtractor(net, grad_cam)(images, classes=classes).coarse
    assert_close(grads * cells, exact.clamp(min=0))


@pytest.mark.parametrize("method", METHODS, ids=label_of)
def test_a_volume_of_one_slice_has_the_map_of_the_image(method) -> None:
    deep, flat = network((1, 3, 3)), network((1, 3, 3))
    layers = []
    for layer in flat.features:
        if not isinstance(layer, nn.Conv3d):
            layers.append(layer)
            continue
        one = nn.Conv2d(
            *layer.weight.shape[1::-1],
            3,
            stride=layer.stride[1:],
            padding=layer.padding[1:],
        ).double()
        with torch.no_grad():
            one.weight.copy_(layer.weight[:, :, 0])
            one.bias.copy_(layer.bias)
        layers.append(one)
    head = GAPHead(nn.Linear(6, 3).double())
    head.load_state_dict(flat.head.state_dict())
    plain = CAMModel(nn.Sequential(*layers), head).eval()
    images, classes = shown((1, 12, 10)), torch.tensor([0, 2])
    found = CAMExtractor(deep, method)(images, classes=classes)
    expected = CAMExtractor(plain, method)(images[:, :, 0], classes=classes)
    assert expected.coarse.shape == (2, 6, 5)
    assert_close(found.coarse[:, 0], expected.coarse)
    assert_close(found.maps[:, 0], expected.maps)


@pytest.mark.parametrize("method", METHODS, ids=label_of)
@pytest.mark.parametrize("order", [(2, 0, 1), (1, 0, 2)])
def test_turning_the_axes_of_network_and_volume_turns_the_map(method, order) -> None:
    net, turned = network(), network()
    axes = (0, 1, *(2 + axis for axis in order))
    with torch.no_grad():
        for layer, other in zip(net.features, turned.features, strict=True):
            if isinstance(layer, nn.Conv3d):
                other.weight.copy_(layer.weight.permute(axes))
    images, classes = shown(), torch.tensor([1, 2])
    found = CAMExtractor(turned, method)(images.permute(axes), classes=classes).maps
    expected = CAMExtractor(net, method)(images, classes=classes).maps
    assert_close(found, expected.permute(0, *(1 + axis for axis in order)))


def test_fusions_scale_volumes_as_a_whole() -> None:
    draw = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 2, 3, 4, 5, generator=draw)
    one, two = (normalize_maps(each, spatial_axes=3) for each in (first, second))
    assert_close(mean_fusion([first, second], spatial_axes=3), (one + two) / 2)
    assert_close(max_fusion([first, second], spatial_axes=3), torch.maximum(one, two))
    assert_close(product_fusion([first, second], spatial_axes=3), one * two)
    assert not np.allclose(mean_fusion([first, second]), (one + two) / 2)


def test_features_of_volumes_are_pooled_over_all_positions() -> None:
    net = small("volumes")
    volumes = torch.rand(3, 3, 7, 9, 8, dtype=torch.float64)
    expected = net.features(volumes).mean((2, 3, 4))
    assert_close(pooled_features(net, volumes.split(2)), expected)

"""Grids: the axes of a layer's output, and tokens of images that are no squares."""

import re

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer

import cameval
from cameval import CAMExtractor, adapt, grad_cam, hires_cam
from cameval.errors import LayerError, ShapeError, UnsupportedModelError
from cameval.extractor import CAMSweep
from cameval.networks import LayerModel, TokenGrid, channels_last_grid


class ChannelsLast(nn.Module):
    """Normalize the channels, which are the last axis, and read their maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 32, 8, stride=8), nn.LayerNorm(32)
        self.head = nn.Sequential(nn.Linear(32, 16), nn.GELU(), nn.Linear(16, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.norm(self.conv(images).permute(0, 2, 3, 1)).amax((1, 2)))


def test_a_layer_whose_channels_are_last_is_told_by_the_aspect_ratio() -> None:
    net, images = ChannelsLast().eval(), torch.rand(2, 3, 64, 96)
    said = r"layer 'norm' must return \(N, channels, h, w\), got \(2, 8, 12, 32\) for images of 64"
    at = {"layer": "norm"}
    with pytest.raises(LayerError, match=said):
        CAMExtractor(adapt(net, **at), grad_cam)(images)
    with pytest.raises(LayerError, match=said):
        CAMSweep(net, [grad_cam], layers=["norm"])(images)
    found = CAMExtractor(adapt(net, **at, grid=channels_last_grid), hires_cam)(images, 1)
    kept: list[Tensor] = []
    handle = net.norm.register_forward_hook(lambda _m, _i, out: kept.append(out))
    score = net(images)[:, 1].sum()
    handle.remove()
    (gradient,) = torch.autograd.grad(score, kept)
    torch.testing.assert_close(found.coarse, (kept[0] * gradient).sum(-1).detach())


def test_a_layer_of_anisotropic_cells_is_taken_as_it_is() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 5, 3, stride=(4, 1)), nn.Tanh(), nn.Flatten(), nn.Linear(5 * 8 * 30, 2)
    )
    found = CAMExtractor(adapt(net, layer="1"), grad_cam)(torch.rand(2, 3, 32, 32))
    assert found.coarse.shape == (2, 8, 30)


def test_if_the_shape_misleads_a_function_says_that_the_output_is_a_map() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=(4, 1)), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 8 * 30, 2)
    )
    images = torch.rand(2, 3, 32, 32)
    with pytest.raises(LayerError, match="or a function that returns the output if it is not"):
        CAMExtractor(adapt(net, layer="1"), grad_cam)(images)
    model = adapt(net, layer="1", grid=lambda output: output)
    assert CAMExtractor(model, grad_cam)(images).coarse.shape == (2, 8, 30)


def test_a_layer_whose_channels_are_last_is_proposed_with_its_grid() -> None:
    net = ChannelsLast().eval()
    with pytest.raises(UnsupportedModelError) as caught:
        adapt(net)
    (code,) = re.findall(r"Name it: (cameval\.adapt\(.*?\))\. ", str(caught.value))
    assert code == 'cameval.adapt(net, layer="norm", grid=cameval.networks.channels_last_grid)'
    model = eval(code, {"cameval": cameval, "net": net})
    assert CAMExtractor(model, grad_cam)(torch.rand(2, 3, 64, 64)).coarse.shape == (2, 8, 8)
    assert re.search(r"    conv  \(32, \d+, \d+\)(\n|$)", str(caught.value))


class Patches(nn.Module):
    """Tokens of patches of 4 x 4 pixels, of images of any size, with a class token or without."""

    def __init__(self, *, skip: int = 0) -> None:
        super().__init__()
        self.patch, self.mix = nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 8)
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 3)
        self.first = nn.Parameter(torch.randn(1, skip, 8))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of the mean of the tokens."""
        tokens = self.patch(images).flatten(2).mT
        tokens = self.norm(self.mix(torch.cat([self.first.expand(len(tokens), -1, -1), tokens], 1)))
        return self.head(tokens[:, self.first.shape[1] :].mean(1))


@pytest.mark.parametrize("size", [(16, 16), (8, 32), (32, 8), (12, 20), (28, 112)])
@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("trial", [(16, 16), (8, 32)])
def test_tokens_have_the_aspect_ratio_of_each_image(size, skip, trial) -> None:
    net = Patches(skip=skip).eval()
    model = adapt(net, grid=TokenGrid(skip=skip), images=torch.randn(2, 3, *trial))
    images = torch.randn(2, 3, *size)
    found = CAMExtractor(model, grad_cam)(images, 1)
    net.patch.register_forward_hook(lambda _m, _i, out: kept.append(out))
    kept: list[Tensor] = []
    net(images)
    tokens = net.norm(net.mix(kept[0].movedim(1, -1)))
    weights = net.head.weight[1] / tokens[0, ..., 0].numel()
    torch.testing.assert_close(found.coarse, (tokens @ weights).relu().detach())


def test_tokens_that_fill_no_grid_of_the_ratio_are_refused() -> None:
    net = Patches(skip=1).eval()
    said = (
        "the 25 tokens after the first 0 must fill a grid of the aspect ratio of 16 x 24; give "
        r"grid=TokenGrid\(skip, size\) with the right numbers"
    )
    with pytest.raises(ShapeError, match=said):
        LayerModel(net, "norm", TokenGrid(skip=0)).activations(torch.randn(2, 3, 16, 24))
    with pytest.raises(ShapeError, match="the 24 tokens after the first 1 must fill a grid of 5 x"):
        TokenGrid(size=(5, 5))(torch.rand(2, 25, 8))
    with pytest.raises(ShapeError, match="must fill a grid of the aspect ratio of a square"):
        TokenGrid()(torch.rand(2, 25, 8))


class Wrapped(nn.Module):
    """A network with a temperature."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:
        """Return calibrated logits."""
        return self.net(images) / 2


class Windows(nn.Module):
    """A residual branch of tokens inside maps whose channels are last; it keeps the contract."""

    num_features = 8

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.inner = nn.Conv2d(3, 8, 4, stride=4), nn.LayerNorm(8)
        self.mix, self.norm, self.head = nn.Linear(8, 8), nn.LayerNorm(8), nn.Linear(8, 3)

    def forward_features(self, images: Tensor) -> Tensor:
        """Return feature maps ``(N, h, w, K)``."""
        maps = self.patch(images).movedim(1, -1)
        tokens = maps.flatten(1, 2)
        tokens = tokens + self.mix(self.inner(tokens)).tanh()
        return self.norm(tokens.reshape(maps.shape))

    def forward_head(self, maps: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(maps.amax((1, 2)))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.forward_head(self.forward_features(images))


def test_a_transformer_in_a_wrapper_is_not_cut_at_a_side_branch() -> None:
    net = Windows().eval()
    assert CAMExtractor(adapt(net), grad_cam)(torch.rand(2, 3, 32, 32)).coarse.shape == (2, 8, 8)
    with pytest.raises(UnsupportedModelError) as caught:
        adapt(Wrapped(net))
    call = 'cameval.adapt(net, layer="net.norm", grid=cameval.networks.channels_last_grid)'
    assert f"Name it: {call}" in str(caught.value)


@pytest.mark.parametrize("pool", ["token", "mean", "maximum"])
def test_a_wrapped_vision_transformer_has_the_layer_of_its_own(pool: str) -> None:
    class Pooled(VisionTransformer):
        def forward(self, images: Tensor) -> Tensor:
            tokens = self.encoder(
                torch.cat(
                    [self.class_token.expand(len(images), -1, -1), self._process_input(images)], 1
                )
            )
            return self.heads(tokens[:, 1:].mean(1) if pool == "mean" else tokens[:, 1:].amax(1))

    options = {"num_layers": 2, "num_heads": 2, "hidden_dim": 8, "mlp_dim": 8, "num_classes": 3}
    kind = VisionTransformer if pool == "token" else Pooled
    net = kind(image_size=16, patch_size=4, **options).eval()
    nn.init.normal_(net.heads.head.weight)
    if pool == "token":
        assert adapt(Wrapped(net)).layer == f"net.{adapt(net).layer}"
        assert adapt(net).layer == "encoder.layers.encoder_layer_1.ln_1"
        return
    with pytest.raises(UnsupportedModelError) as caught:  # the order of own tokens is not known
        adapt(Wrapped(net))
    way = 'layer="net.encoder", grid=' if pool == "maximum" else "cameval.adapt(net, grid="
    assert f"{way}cameval.networks.TokenGrid(skip=1)" in str(caught.value)


def test_one_logit_without_a_column_is_told() -> None:
    class Squeezed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 8, 3, 2), nn.Linear(8, 1)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.conv(images).mean((2, 3))).squeeze(1)

    net = Squeezed().eval()
    said = r"in the Squeezed the outputs are \(N,\): let it return \(N, 1\), without a last squeeze"
    with pytest.raises(UnsupportedModelError, match=said):
        adapt(net)
    extract, images = CAMExtractor(adapt(net, layer="conv")), torch.rand(2, 3, 64, 64)
    with pytest.raises(ShapeError, match=r"got shape \(2,\); let it return \(N, 1\), without"):
        extract(images)
    assert extract(images, target=lambda logits: logits).maps.abs().max() > 0


def test_a_batch_normalization_of_the_batch_is_refused() -> None:
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3), norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    ).eval()
    said = r"the BatchNorm2d '.*1' without running statistics, which uses those of the batch; train"
    for given in (net, adapt(net, layer="1")):
        with pytest.raises(UnsupportedModelError, match=said):
            CAMExtractor(given)(torch.rand(2, 3, 16, 16))


def test_a_pooling_before_a_head_of_two_layers_is_no_layer_of_maps() -> None:
    class Usual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.Conv2d(6, 5, 3, 2))
            self.pool, self.first, self.last = nn.AdaptiveAvgPool2d(1), nn.Linear(5, 4), None
            self.relu, self.last = nn.ReLU(), nn.Linear(4, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.last(self.relu(self.first(self.pool(self.body(images)).flatten(1))))

    model = adapt(Usual().eval())
    assert (model.layer, model.head_layers) == ("body", ("first", "last"))

"""Networks in other memory formats, with folded batch normalizations, and in bfloat16."""

import copy
from collections.abc import Callable

import pytest
import torch
from families import family, images, state
from small_networks import pictures, small
from torch import Tensor, nn

from cameval import CAMExtractor, CAMModel, GAPHead, ScoreCAM, adapt, cam, grad_cam
from cameval.errors import LayerError, SettingError, UnsupportedModelError
from cameval.methods import ZoomCAM
from cameval.networks import _precision
from cameval.networks._folding import find_foldable
from cameval.networks._precision import check_precision, check_supported, in_precision

ALL = ["channels_last", "folded", "bfloat16"]
CPU = torch.device("cpu")
CLASSES = torch.tensor([1, 2])


def count_norms(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


def layout_of(net: nn.Module) -> list[object]:
    return [(t.stride(), t.dtype) for t in (*net.parameters(), *net.buffers())]


# --- Copies that compute the same -----------------------------------------------------------------


@pytest.mark.parametrize("precision", ["channels_last", "folded"])
@pytest.mark.parametrize("name", ["resnet", "densenet", "mobilenet_v3", "googlenet", "shufflenet"])
def test_maps_are_equal_to_rounding_in_double_precision(name: str, precision: str) -> None:
    net = copy.deepcopy(family(name)).double()
    model, batch = adapt(net), images(name).double()
    before, layout = state(net), layout_of(net)
    changed = in_precision(model, precision, batch[:1])
    expected, found = model.activations(batch), changed.activations(batch)
    assert state(net) == before
    assert layout_of(net) == layout
    for one in ("logits", "features"):
        a, b = getattr(expected, one), getattr(found, one)
        assert (a - b).abs().max() <= 1e-12 * a.abs().max()
    a, b = grad_cam(expected, CLASSES), grad_cam(found, CLASSES)
    assert (a - b).abs().max() <= 1e-12 * a.abs().max()


@pytest.mark.parametrize(("name", "left"), [("resnet", 0), ("densenet", 62)])
def test_norms_that_alone_follow_a_convolution_are_folded(name: str, left: int) -> None:
    net = family(name)
    changed = in_precision(adapt(net), "folded", images(name, 1))
    assert count_norms(changed) == left
    assert count_norms(net) > left


@pytest.mark.parametrize("precision", ["channels_last", "folded"])
def test_weights_of_a_copy_have_the_channels_last(precision: str) -> None:
    changed = in_precision(adapt(family("resnet")), precision, images("resnet", 1))
    weights = [weight for weight in changed.parameters() if weight.ndim == 4]
    assert weights
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)


def test_volumes_have_the_channels_last_too() -> None:
    changed = in_precision(small("volumes"), "channels_last", pictures("volumes"))
    assert changed.features[0].weight.is_contiguous(memory_format=torch.channels_last_3d)


def test_a_network_is_itself_in_exact_precision() -> None:
    model = small("pooled")
    assert in_precision(model, "exact", pictures("pooled")) is model


# --- What is not folded ---------------------------------------------------------------------------


class Block(nn.Module):
    """A convolution and a batch normalization, called in different ways."""

    def __init__(self, call: Callable[["Block", Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.other, self.again = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        """Features of images."""
        return self.call(self, x).relu()


def plain(b: Block, x: Tensor) -> Tensor:
    return b.norm(b.conv(x))


def skipped(b: Block, x: Tensor) -> Tensor:
    y = b.conv(x)
    return b.norm(y) + y


def returned_in_part(b: Block, x: Tensor) -> Tensor:
    y = b.conv(x)
    return torch.cat([b.norm(y), y[:, :0]], 1)


def rectified(b: Block, x: Tensor) -> Tensor:
    return b.norm(b.conv(x).relu())


def twice(b: Block, x: Tensor) -> Tensor:
    return b.norm(b.conv(x)) + b.conv(x + 1)


def normalized_twice(b: Block, x: Tensor) -> Tensor:
    y = b.conv(x)
    return b.norm(y) + b.again(y)


def norm_twice(b: Block, x: Tensor) -> Tensor:
    return b.norm(b.other(b.norm(b.conv(x))))


def by_weight(b: Block, x: Tensor) -> Tensor:
    return b.norm(b.conv(x)) + nn.functional.conv2d(x, b.conv.weight, padding=1)


class Scaled(nn.BatchNorm2d):
    """A batch normalization that does something else."""

    def forward(self, x: Tensor) -> Tensor:
        """Return twice of it."""
        return 2 * super().forward(x)


def subclassed(b: Block) -> None:
    b.norm = Scaled(4)


def hooked_norm(b: Block) -> None:
    b.norm.register_forward_hook(lambda _m, _i, output: output + 1)


def hooked_conv(b: Block) -> None:
    b.conv.register_forward_hook(lambda _m, _i, output: output + 1)


def without_statistics(b: Block) -> None:
    b.norm = nn.BatchNorm2d(4, track_running_stats=False)


def block(call: Callable[[Block, Tensor], Tensor]) -> Block:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Block(call)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -1, 1)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, -2, 2)
                nn.init.uniform_(module.bias, -1, 1)
    return net.double().eval()


def folds(net: Block) -> list[str]:
    """Return the convolutions that are folded, and check that the logits stay the same."""
    batch = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model = CAMModel(net, GAPHead(nn.Linear(4, 3).double())).eval()
    changed = in_precision(model, "folded", batch[:1])
    torch.testing.assert_close(changed(batch), model(batch))
    torch.testing.assert_close(changed.activations(batch).logits, model(batch).detach())
    return [n for n, m in changed.features.named_modules() if isinstance(m, nn.Identity)]


def test_a_norm_that_alone_gets_the_output_is_folded() -> None:
    assert folds(block(plain)) == ["norm"]


@pytest.mark.filterwarnings("ignore:precision='folded' must have")
@pytest.mark.parametrize(
    "call",
    [skipped, returned_in_part, rectified, twice, normalized_twice, norm_twice, by_weight],
    ids=lambda call: call.__name__,
)
def test_a_norm_that_is_not_alone_is_left(call: Callable[[Block, Tensor], Tensor]) -> None:
    assert folds(block(call)) == []


@pytest.mark.filterwarnings("ignore:precision='folded' must have")
@pytest.mark.parametrize(
    "change",
    [subclassed, hooked_norm, hooked_conv, without_statistics],
    ids=lambda change: change.__name__,
)
def test_a_norm_of_another_kind_is_left(change: Callable[[Block], None]) -> None:
    net = block(plain)
    change(net)
    assert folds(net.double().eval()) == []


def test_shapes_are_no_use_of_values() -> None:
    def reads(b: Block, x: Tensor) -> Tensor:
        y = b.conv(x)
        assert y.ndim == y.dim() == 4
        assert y.shape == y.size()
        return b.norm(y)

    assert folds(block(reads)) == ["norm"]


def test_a_network_without_batch_norms_is_told() -> None:
    with pytest.warns(UserWarning, match="must have a batch normalization that alone"):
        in_precision(small("pooled"), "folded", pictures("pooled"))


def test_the_layer_of_the_maps_keeps_its_output() -> None:
    net, batch = block(plain), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    with pytest.warns(UserWarning, match="must have a batch normalization"):
        changed = in_precision(adapt(net, layer="conv"), "folded", batch)
    features = changed.activations(batch).features
    torch.testing.assert_close(features, adapt(net, layer="conv").activations(batch).features)
    assert find_foldable(net, batch, ["conv"]) == []


def test_an_inner_layer_that_another_was_folded_into_is_refused() -> None:
    net = family("resnet")
    changed = in_precision(adapt(net), "folded", images("resnet", 1))
    recorded, expected = changed.activations(images("resnet")), adapt(net)
    fused = ZoomCAM(("layer2", "layer3"))(recorded, CLASSES)
    exact = ZoomCAM(("layer2", "layer3"))(expected.activations(images("resnet")), CLASSES)
    assert (fused - exact).abs().max() <= 1e-4 * exact.abs().max()
    with pytest.raises(LayerError, match=r"'features.conv1' must compute .*'features.bn1' folded"):
        ZoomCAM(("conv1", "layer3"))(recorded, CLASSES)


# --- bfloat16 -------------------------------------------------------------------------------------


def test_in_bfloat16_the_head_and_the_norms_keep_their_precision() -> None:
    net, batch = family("resnet"), images("resnet")
    before = state(net), layout_of(net)
    model = adapt(net)
    lowered = in_precision(model, "bfloat16", batch[:1])
    assert {w.dtype for w in lowered.head.parameters()} == {torch.float32}
    assert lowered.features.conv1.weight.dtype == torch.bfloat16
    assert lowered.features.bn1.running_mean.dtype == torch.float32
    recorded, expected = lowered.activations(batch), model.activations(batch)
    assert {recorded.features.dtype, recorded.logits.dtype} == {torch.float32}
    gap = (recorded.logits - expected.logits).abs().max() / expected.logits.abs().max()
    assert 1e-5 < gap < 0.02
    assert (state(net), layout_of(net)) == before


@pytest.mark.parametrize("precision", ALL)
@pytest.mark.parametrize("name", ["resnet", "squeezenet"])
@pytest.mark.filterwarnings("ignore:precision='folded' must have")
def test_cam_is_exact_in_every_precision(name: str, precision: str) -> None:
    batch = images(name)
    recorded = in_precision(adapt(family(name)), precision, batch[:1]).activations(batch)
    maps = cam(recorded, CLASSES)  # it refuses a map that does not add up, in single precision
    assert maps.dtype == torch.float32
    wanted = recorded.logits.gather(1, CLASSES[:, None])[:, 0] - recorded.head.bias[CLASSES]
    scale = maps.abs().mean((1, 2)) + wanted.abs()
    assert ((maps.mean((1, 2)) - wanted).abs() <= 1e-5 * scale).all()


@pytest.mark.parametrize("precision", ALL)
@pytest.mark.parametrize("layer", ["layer3", "layer3.0.conv1"])
def test_maps_of_inner_layers_in_every_precision(layer: str, precision: str) -> None:
    net, batch = family("resnet"), images("resnet")
    model = adapt(net, layer=layer)
    found = in_precision(model, precision, batch[:1]).activations(batch)
    expected = model.activations(batch)
    tolerance = 0.05 if precision == "bfloat16" else 1e-4
    for a, b in zip(
        (expected.features, grad_cam(expected, CLASSES)),
        (found.features, grad_cam(found, CLASSES)),
        strict=True,
    ):
        assert b.dtype == torch.float32
        assert (a - b).abs().max() <= tolerance * a.abs().max()


class Switching(nn.Module):
    """A network that is cut by proof; of bright images the logits are others."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.norm, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images."""
        pooled = self.norm(self.body(x)).relu().mean((2, 3))
        return self.fc(-5 * pooled if x.mean() > 10 else pooled)


@pytest.mark.parametrize("precision", ALL)
def test_a_proof_is_compared_in_each_pass_in_every_precision(precision: str) -> None:
    net, batch = Switching().eval(), images("any")
    model = adapt(net)
    changed = in_precision(model, precision, batch[:1])
    expected, found = model.activations(batch).logits, changed.activations(batch).logits
    assert found.dtype == torch.float32
    assert (expected - found).abs().max() <= 0.02 * expected.abs().max()
    with pytest.raises(UnsupportedModelError, match="must give what the network gives"):
        changed.activations(batch + 20)


# --- What the machine has -------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["_is_avx512_bf16_supported", "_is_amx_tile_supported"])
def test_bfloat16_needs_units(monkeypatch, unit: str) -> None:
    monkeypatch.setattr(_precision.platform, "machine", lambda: "x86_64")
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    with pytest.raises(SettingError, match=r"must have units for bfloat16 .* got cpu, .*; use"):
        check_supported("bfloat16", CPU)
    check_supported("folded", CPU)
    monkeypatch.setattr(torch.cpu, unit, lambda: True)
    check_supported("bfloat16", CPU)


def test_a_precision_is_one_of_four() -> None:
    with pytest.raises(SettingError, match="must be one of exact, channels_last, folded, bfloat16"):
        check_precision("half")


def test_a_network_that_does_not_run_with_the_channels_last_is_refused() -> None:
    class Viewing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(len(x), -1)

    head = nn.Sequential(nn.AdaptiveAvgPool2d(2), Viewing(), nn.Linear(32, 2))
    model = CAMModel(nn.Conv2d(3, 8, 3), head).eval()
    with pytest.raises(SettingError, match=r"must run with precision='channels_last', got view"):
        in_precision(model, "channels_last", images("any"))


# --- Networks that are in another precision themselves --------------------------------------------


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("cut", ["pooled", "curved", "inner", "stage"])
def test_images_are_cast_to_the_dtype_of_the_network(cut: str, dtype: torch.dtype) -> None:
    model, batch = small(cut).to(dtype), pictures(cut).float()
    result = CAMExtractor(model, grad_cam)(batch, 1)
    expected = CAMExtractor(model, grad_cam)(batch.to(dtype), 1)
    assert torch.equal(result.maps, expected.maps)
    assert torch.equal(result.logits, expected.logits)
    assert result.logits.dtype == dtype
    assert result.maps.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


def test_masked_images_are_cast_as_well() -> None:
    model, batch = small("pooled").bfloat16(), pictures("pooled").bfloat16()
    found = CAMExtractor(model, ScoreCAM())(batch, 1).coarse
    expected = CAMExtractor(small("pooled"), ScoreCAM())(batch.double(), 1).coarse
    assert (found - expected).abs().max() <= 0.05 * expected.abs().max()


def test_a_network_that_casts_images_itself_gets_them_as_they_are() -> None:
    class Casting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3).bfloat16()

        def forward(self, x: Tensor) -> Tensor:
            assert x.dtype == torch.float32
            return self.conv((x - 0.5).bfloat16())

    model = CAMModel(Casting(), GAPHead(nn.Linear(4, 2).bfloat16())).eval()
    assert CAMExtractor(model)(images("any"), 1).maps.isfinite().all()

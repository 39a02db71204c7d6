"""Target classes and functions, and several maps from one pass."""

import copy
from dataclasses import dataclass

import pytest
import torch
import torchvision.models as tv
from families import family, images, reference_at_layer, state
from torch import Tensor, nn

from cameval import (
    CAMExtractor,
    CAMModel,
    CAMSweep,
    GAPHead,
    adapt,
    cam,
    grad_cam,
    hires_cam,
    layer_cam,
)
from cameval.errors import (
    ArrayTypeError,
    LayerError,
    SettingError,
    ShapeError,
)
from cameval.networks import TokenGrid, channels_last_grid
from cameval.target_classes import TopClasses, all_classes

METHODS = {"cam": cam, "grad_cam": grad_cam, "hires_cam": hires_cam, "layer_cam": layer_cam}


class Counting(nn.Module):
    """A body that counts its passes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.passes = nn.Conv2d(3, 6, 3), 0

    def forward(self, batch: Tensor) -> Tensor:
        """Features of images."""
        self.passes += 1
        return self.conv(batch).relu()


def counting_model(classes: int = 4) -> CAMModel:
    return CAMModel(Counting(), GAPHead(nn.Linear(6, classes))).eval()


# --- targets ------------------------------------------------------------------------------------


def test_a_function_that_picks_a_class_is_that_class() -> None:
    extract, batch = CAMExtractor(family("vgg"), hires_cam), images("vgg")
    by_class = extract(batch, classes=7)
    by_function = extract(batch, target=lambda logits: logits[:, 7])
    assert torch.equal(by_class.maps, by_function.maps)
    assert by_function.classes.tolist() == [-1, -1]


def test_maps_of_a_sum_are_sums_of_maps_where_the_method_is_linear() -> None:
    extract, batch = CAMExtractor(family("vgg"), hires_cam), images("vgg")
    both = extract(batch, target=lambda logits: logits[:, 3] + 2 * logits[:, 5])
    parts = extract(batch, classes=3).coarse + 2 * extract(batch, classes=5).coarse
    torch.testing.assert_close(both.coarse, parts)


def test_the_target_of_a_segmentation_is_a_function_of_its_output() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1)).eval()
    extract = CAMExtractor(adapt(net, layer="1"), hires_cam)
    batch = images("any")
    result = extract(batch, target=lambda out: out[:, 1, :10, :10].sum((1, 2)))
    assert result.maps.shape == (2, 96, 128)
    assert result.maps[:, 10:, 10:].abs().max() == 0  # nothing outside the region matters
    with pytest.raises(ShapeError, match="give a function of its output"):
        extract(batch)
    with pytest.raises(ShapeError, match="give a function of its output"):
        extract(batch, classes=1)


def test_a_target_need_not_be_hashable() -> None:
    @dataclass
    class Of:
        index: int

        def __call__(self, logits: Tensor) -> Tensor:
            return logits[:, self.index]

    extract, batch = CAMExtractor(family("vgg"), hires_cam), images("vgg")
    assert torch.equal(extract(batch, target=Of(7)).maps, extract(batch, 7).maps)


def test_targets_are_checked() -> None:
    extract, batch = CAMExtractor(family("squeezenet"), grad_cam), images("any")
    with pytest.raises(ShapeError, match=r"one score per image, shape \(2,\), got \(2, 1000\)"):
        extract(batch, target=lambda logits: logits)
    with pytest.raises(ShapeError, match="got float"):
        extract(batch, target=lambda logits: 1.0)
    with pytest.raises(SettingError, match="both"):
        extract(batch, classes=1, target=lambda logits: logits[:, 1])
    with pytest.raises(SettingError, match="target of cam must be classes"):
        CAMExtractor(family("squeezenet"), cam)(batch, target=lambda logits: logits[:, 1])


# --- several classes ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS.values())
def test_maps_of_several_classes_equal_those_of_single_classes(method) -> None:
    model, batch = counting_model(), images("any")
    extract = CAMExtractor(model, method)
    every = extract(batch, classes=all_classes)
    assert model.features.passes == 1
    assert every.maps.shape == (2, 4, 96, 128)
    assert every.classes.tolist() == [[0, 1, 2, 3]] * 2
    for c in range(4):
        single = extract(batch, classes=c)
        assert torch.equal(every.coarse[:, c], single.coarse)
        assert torch.equal(every.maps[:, c], single.maps)


def test_the_top_classes_come_highest_first() -> None:
    result = CAMExtractor(family("resnet"), cam)(images("resnet"), classes=TopClasses(3))
    assert torch.equal(result.classes, result.logits.argsort(1, descending=True)[:, :3])
    with pytest.raises(SettingError, match="count must be a positive integer, got 0"):
        TopClasses(0)
    with pytest.raises(SettingError, match="at most the network's 4 classes"):
        CAMExtractor(counting_model())(images("any"), classes=TopClasses(5))


def test_the_top_classes_may_be_all_of_them() -> None:
    logits = torch.tensor([[0.5, 2.0, -1.0], [3.0, 1.0, 2.0]])
    assert TopClasses(3)(logits).tolist() == [[1, 0, 2], [0, 2, 1]]
    one_logit = logits[:, :1]  # stands for two classes
    assert TopClasses(2)(one_logit).tolist() == [[1, 0], [1, 0]]
    for count, outputs in ((4, logits), (3, one_logit)):
        message = f"count must be at most the network's {count - 1}"
        with pytest.raises(SettingError, match=message):
            TopClasses(count)(outputs)


# --- several methods and layers -----------------------------------------------------------------


def test_a_sweep_shares_one_pass_and_equals_single_calls() -> None:
    model, batch = counting_model(), images("any")
    results = CAMSweep(model, METHODS)(batch, classes=[1, 2])
    assert model.features.passes == 1
    assert list(results) == [("features", name) for name in METHODS]
    for name, method in METHODS.items():
        single = CAMExtractor(model, method)(batch, classes=[1, 2])
        assert torch.equal(results["features", name].maps, single.maps)


def test_gradient_methods_share_one_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    backward = torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda *a, **k: calls.append(1) or backward(*a, **k)
    )
    CAMSweep(family("vgg"), METHODS | {"cam": grad_cam})(images("vgg"))
    assert len(calls) == 1


def test_a_sweep_is_aligned_as_an_extractor() -> None:
    model = adapt(family("squeezenet"))
    batch = images("squeezenet")
    for alignment in ("half_pixel", "receptive_field"):
        (swept,) = CAMSweep(model, {"grad": grad_cam}, alignment=alignment)(batch).values()
        single = CAMExtractor(model, grad_cam, alignment)(batch)
        assert torch.equal(swept.maps, single.maps)
    assert not torch.equal(swept.maps, CAMExtractor(model, grad_cam)(batch).maps)


def test_layers_share_one_pass() -> None:
    net, batch = copy.deepcopy(family("resnet")).double(), images("resnet").double()
    before = state(net)
    passes: list[int] = []
    handle = net.conv1.register_forward_hook(lambda *_: passes.append(1))
    layers = ["layer3", "layer1.0", "layer4.1.bn2"]
    sweep = CAMSweep(net, {"hires": hires_cam, "grad": grad_cam}, layers)
    results = sweep(batch)
    assert passes == [1, 1]  # once more in the first call, to see whether the outputs are the same
    sweep(batch)
    handle.remove()
    assert passes == [1, 1, 1]
    assert [layer for layer, _ in results][::2] == layers
    for layer in layers:
        features, gradient = reference_at_layer(net, layer, batch, results[layer, "hires"].classes)
        torch.testing.assert_close(results[layer, "hires"].coarse, (features * gradient).sum(1))
    after = state(net)
    assert before == after


def test_a_parallel_branch_is_a_layer_too() -> None:
    net, batch = copy.deepcopy(family("googlenet")).double(), images("googlenet").double()
    layers = ["inception5b.branch2", "inception5b.branch1"]
    results = CAMSweep(net, {"hires": hires_cam}, layers)(batch)
    for layer in layers:
        features, gradient = reference_at_layer(net, layer, batch, results[layer, "hires"].classes)
        torch.testing.assert_close(results[layer, "hires"].coarse, (features * gradient).sum(1))


def test_a_sweep_checks_its_settings() -> None:
    with pytest.raises(SettingError, match="at least one layer"):
        CAMSweep(family("resnet"), METHODS, [])
    with pytest.raises(SettingError, match="method must be callable"):
        CAMSweep(family("resnet"), {"cam": "cam"})  # type: ignore[dict-item]
    with pytest.raises(ArrayTypeError, match="got str"):
        CAMSweep("resnet", METHODS)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match=r"got \(2, 0\)"):
        CAMSweep(counting_model(), METHODS)(images("any"), torch.zeros(2, 0, dtype=torch.int64))
    with pytest.raises(SettingError, match="at least one method"):
        CAMSweep(family("resnet"), {})
    with pytest.raises(LayerError, match="'layer9'"):
        CAMSweep(family("resnet"), METHODS, ["layer9"])
    with pytest.raises(SettingError, match="cell centers must be known"):
        CAMSweep(family("resnet"), METHODS, ["layer4"], alignment="receptive_field")
    with pytest.raises(SettingError, match="must be one of half_pixel, receptive_field"):
        CAMExtractor(family("resnet"), cam, alignment="corners")  # type: ignore[arg-type]


# --- maps within a loss -------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [None, "features.conv"])
@pytest.mark.parametrize("method", [grad_cam, hires_cam, layer_cam])
def test_a_map_can_be_part_of_a_loss(method, layer: str | None) -> None:
    """The gradient of a loss on the map equals finite differences."""
    model = counting_model().double()
    target_class = model if layer is None else adapt(model, layer=layer)
    extract, batch = CAMExtractor(target_class, method), images("any")[:1, :, :9, :9].double()

    def loss() -> Tensor:
        return extract(batch, classes=1, create_graph=True).maps.square().sum()

    weight = model.features.conv.weight
    (gradient,) = torch.autograd.grad(loss(), weight)
    step = 1e-6
    with torch.no_grad():
        weight[2, 1, 0, 0] += step
    upper = loss().item()
    with torch.no_grad():
        weight[2, 1, 0, 0] -= 2 * step
    lower = loss().item()
    torch.testing.assert_close(
        gradient[2, 1, 0, 0].item(), (upper - lower) / (2 * step), rtol=1e-5, atol=1e-7
    )


def test_a_network_learns_from_its_cam() -> None:
    model = counting_model().train()
    extract, batch = CAMExtractor(model, cam), images("any")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    truth = torch.zeros(2, 96, 128)
    truth[:, :48] = 1
    losses = []
    for _ in range(5):
        loss = (extract(batch, classes=0, create_graph=True).maps - truth).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert model.training


def test_batch_statistics_are_learned_through_an_inner_layer_as_in_training() -> None:
    nets = [copy.deepcopy(family("mobilenet_v2")).train() for _ in range(2)]
    batch = images("any")
    torch.manual_seed(0)
    adapt(nets[0], layer="features").activations(batch, create_graph=True)
    torch.manual_seed(0)
    nets[1](batch)
    for mine, theirs in zip(nets[0].buffers(), nets[1].buffers(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode])
def test_a_graph_needs_autograd(guard) -> None:
    with guard(), pytest.raises(SettingError, match="where autograd is on"):
        CAMExtractor(counting_model(), cam)(images("any"), create_graph=True)


def test_without_a_graph_nothing_learns() -> None:
    result = CAMExtractor(counting_model(), cam)(images("any"))
    assert not result.maps.requires_grad
    assert not result.logits.requires_grad


# --- tokens, volumes, wrappers, precision -------------------------------------------------------


def test_the_tokens_of_a_vision_transformer_become_a_grid() -> None:
    torch.manual_seed(0)
    net = tv.VisionTransformer(32, 8, 2, 2, 16, 32, num_classes=5).eval()
    nn.init.normal_(net.heads.head.weight)
    model = adapt(net, layer="encoder.layers.encoder_layer_0", grid=TokenGrid())
    batch = torch.randn(2, 3, 32, 32)
    result = CAMExtractor(model, hires_cam)(batch, classes=[0, 1])
    assert result.coarse.shape == (2, 4, 4)
    features, gradient = reference_at_layer(
        net, "encoder.layers.encoder_layer_0", batch, torch.tensor([0, 1])
    )
    expected = (features * gradient)[:, 1:].sum(2).reshape(2, 4, 4)
    torch.testing.assert_close(result.coarse, expected)


def test_inner_layers_of_swin_become_a_grid() -> None:
    model = adapt(family("swin"), layer="features.5", grid=channels_last_grid)
    result = CAMExtractor(model, grad_cam)(images("swin"))
    assert result.coarse.shape == (2, 6, 8)
    assert result.coarse.max() > 0


def test_grids_are_checked() -> None:
    with pytest.raises(ShapeError, match="the 5 tokens after the first 1 must fill a grid of"):
        TokenGrid()(torch.rand(1, 6, 8))
    assert TokenGrid(skip=0, size=(2, 3))(torch.rand(1, 6, 8)).shape == (1, 8, 2, 3)
    with pytest.raises(ShapeError, match=r"\(N, T, K\)"):
        TokenGrid()(torch.rand(6, 8))
    with pytest.raises(SettingError, match="skip"):
        TokenGrid(skip=-1)
    with pytest.raises(SettingError, match="size"):
        TokenGrid(size=(0, 2))
    tokens = adapt(family("swin"), layer="features.5").activations
    with pytest.raises(LayerError, match="which seems to be"):  # (N, h, w, K)
        tokens(images("swin"))


@pytest.mark.parametrize("method", METHODS.values())
def test_volumes_give_volumes(method) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv3d(1, 4, 3, stride=2), nn.ReLU())
    model = CAMModel(body, GAPHead(nn.Linear(4, 2))).eval()
    volume = torch.randn(2, 1, 9, 11, 13)
    result = CAMExtractor(model, method)(volume)
    assert result.coarse.shape == (2, 4, 5, 6)
    assert result.maps.shape == (2, 9, 11, 13)
    if method is cam:
        logits = result.coarse.mean((1, 2, 3)) + model.head.bias[result.classes]
        torch.testing.assert_close(logits, result.logits.amax(1))


@pytest.mark.filterwarnings("ignore:maps need the parts of a network, and torch.compile")
def test_wrapped_networks_are_unwrapped() -> None:
    net, batch = family("squeezenet"), images("any")
    expected = CAMExtractor(net, grad_cam)(batch)
    for wrapped in (nn.DataParallel(net), torch.compile(net, backend="eager")):
        assert torch.equal(CAMExtractor(wrapped, grad_cam)(batch).maps, expected.maps)
        inner = CAMExtractor(adapt(wrapped, layer="features"), grad_cam)(batch)
        torch.testing.assert_close(inner.maps, expected.maps)
        swept = CAMSweep(wrapped, {"grad_cam": grad_cam}, ["features"])(batch)
        torch.testing.assert_close(swept["features", "grad_cam"].maps, expected.maps)
    assert CAMExtractor(torch.compile(net, backend="eager"))(batch).maps.shape == (2, 96, 128)


@pytest.mark.parametrize("method", METHODS.values())
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_close_to_full(method, dtype: torch.dtype) -> None:
    net = copy.deepcopy(family("resnet"))
    classes = torch.tensor([1, 2])
    expected = CAMExtractor(net, method)(images("resnet"), classes).coarse
    found = CAMExtractor(net.to(dtype), method)(images("resnet").to(dtype), classes)
    assert found.coarse.dtype == dtype
    assert found.maps.dtype == torch.float32
    error = (found.coarse.float() - expected).norm() / expected.norm()
    assert error < (0.1 if dtype == torch.bfloat16 else 0.02)


def test_autocast_is_close_to_full_precision() -> None:
    extract, batch, classes = CAMExtractor(family("resnet"), grad_cam), images("resnet"), [1, 2]
    expected = extract(batch, classes).coarse
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = extract(batch, classes).coarse
    error = (found.float() - expected).norm() / expected.norm()
    assert error < 0.1


@pytest.mark.parametrize("method", METHODS.values())
def test_channels_last_gives_the_same_maps(method) -> None:
    net = copy.deepcopy(family("resnet")).double()
    batch, classes = images("resnet").double(), [1, 2]
    expected = CAMExtractor(net, method)(batch, classes).maps
    net, batch = (x.to(memory_format=torch.channels_last) for x in (net, batch))
    torch.testing.assert_close(CAMExtractor(net, method)(batch, classes).maps, expected)

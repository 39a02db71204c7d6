"""Cuts that are proved by a trial, of networks of any class."""

import copy
import functools
import re
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision.models as tv
from families import state
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, layer_norm, relu, silu

from cameval import CAMExtractor, CAMModel, GAPHead, adapt, cam, grad_cam, split
from cameval.errors import LayerError, SettingError, UnsupportedHeadError, UnsupportedModelError
from cameval.networks import ConvHead, LayerModel, MeanHead, NormHead, TokenGrid
from cameval.networks._trial import input_channels, try_network

CHANNELS, CLASSES = 5, 3

BODIES = {
    "relu": lambda n: n.conv2(n.conv1(n.images).relu()).relu(),
    "in place": lambda n: n.conv2(n.conv1(n.images).relu_()).relu_(),
    "signed": lambda n: n.norm(n.conv2(torch.tanh(n.conv1(n.images)))),
    "block": lambda n: n.block(n.conv1(n.images)),
    "residual": lambda n: n.norm(n.conv2(x := n.conv1(n.images)) + x),
    "small block": lambda n: (x := n.act(n.conv1(n.images))) + 1e-6 * n.conv2(x),
    "module used twice": lambda n: n.act(n.conv2(n.act(n.conv1(n.images)))),
    "channels last": lambda n: n.norm(n.conv1(n.images)).movedim(1, -1),
    "a flip inside": lambda n: n.conv2(n.conv1(n.images)).flip(-1),
    "half the channels": lambda n: torch.cat([n.conv1(n.images)[:, :3], n.images[:, :2]], 1),
}

POOLS = {
    "mean": lambda x: x.mean((2, 3)),
    "adaptive": lambda x: adaptive_avg_pool2d(x, 1).flatten(1),
    "flat": lambda x: x.flatten(2).mean(2),
    "local, then all": lambda x: avg_pool2d(x, 2).mean((2, 3)),
    "sum": lambda x: x.sum((2, 3)),
    "maximum": lambda x: x.amax((2, 3)),
    "corner": lambda x: x[:, :, 0, 0],
    "log of sum": lambda x: x.flatten(2).logsumexp(2),
    "clamped": lambda x: x.mean((2, 3)).clamp(-1, 1),
    "without its border": lambda x: x[:, :, 1:-1, 1:-1].mean((2, 3)),
    "attention": lambda x: (x.flatten(2).softmax(2) * x.flatten(2)).sum(2),
}

HEADS = {
    "linear": lambda n, z: n.linear(z),
    "dropout": lambda n, z: n.linear(n.dropout(z)),
    "norm": lambda n, z: n.linear(n.layer_norm(z)),
    "convolution": lambda n, z: n.point(z[:, :, None, None]).flatten(1),
    "mlp": lambda n, z: n.linear(n.hidden(z).relu()),
    "twice": lambda n, z: 2 * n.linear(z),
    "sigmoid": lambda n, z: n.linear(z).sigmoid(),
    "with the images": lambda n, z: n.linear(z) + n.images.mean((1, 2, 3))[:, None],
    "bounded": lambda n, z: n.linear(z).clamp(-2, 2),
    "unit length": lambda n, z: n.linear(z / z.norm(dim=1, keepdim=True)),
    "mean of the maps": lambda n, z: z,
}

HOOKS = {
    "none": lambda n: None,
    "observer": lambda n: n.conv1.register_forward_hook(lambda *_: None),
    "scaled images": lambda n: n.register_forward_pre_hook(lambda _, given: (3 * given[0],)),
    "scaled features": lambda n: n.conv1.register_forward_hook(lambda _m, _i, out: 2 * out),
    "shifted logits": lambda n: n.register_forward_hook(lambda _m, _i, out: out + 1),
    "wrong linear": lambda n: n.linear.register_forward_hook(lambda _m, _i, out: out.square()),
}

PROVED = {"mean", "adaptive", "flat", "local, then all"}


class Network(nn.Module):
    """A network put together of a body, a pool and a head."""

    def __init__(self, body: str, pool: str, head: str) -> None:
        super().__init__()
        self.parts = BODIES[body], POOLS[pool], HEADS[head]
        self.conv1 = nn.Conv2d(3, CHANNELS, 3, padding=1)
        self.conv2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.act = nn.LeakyReLU(0.2)
        self.block = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(CHANNELS, CHANNELS, 1))
        self.dropout = nn.Dropout(0.5)
        self.layer_norm = nn.LayerNorm(CHANNELS)
        self.hidden = nn.Linear(CHANNELS, CHANNELS)
        self.linear = nn.Linear(CHANNELS, CLASSES)
        self.point = nn.Conv2d(CHANNELS, CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        body, pool, head = self.parts
        view = View(self, images)
        x = body(view)
        if x.shape[1] != CHANNELS or x.shape[-1] == CHANNELS:
            x = x.movedim(-1, 1)
        return head(view, pool(x))


class View:
    """The modules of a network, with the images."""

    def __init__(self, net: Network, images: Tensor) -> None:
        self.net, self.images = net, images

    def __getattr__(self, name: str) -> nn.Module:
        return getattr(self.net, name)


def make(body: str = "relu", pool: str = "mean", head: str = "linear", seed: int = 0) -> Network:
    """Make a network in evaluation mode, with normalization that is not the identity."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        net = Network(body, pool, head).eval()
        net.norm.running_mean.normal_()
        net.norm.running_var.uniform_(0.5, 2)
        net.layer_norm.weight.uniform_(0.5, 2)
        net.layer_norm.bias.normal_()
    return net


def images(seed: int, scale: float = 1.0, count: int = 3) -> Tensor:
    """Make images of a size that is not that of the trial."""
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(count, 3, 10, 14, generator=generator)


TRIAL = images(7, count=2)


@pytest.mark.filterwarnings("ignore::cameval.extractor.NormalizedTwiceWarning")
@settings(max_examples=150, deadline=None)
@given(
    body=st.sampled_from(sorted(BODIES)),
    pool=st.sampled_from(sorted(POOLS)),
    head=st.sampled_from(sorted(HEADS)),
    hook=st.sampled_from(sorted(HOOKS)),
    seed=st.integers(0, 1000),
    scale=st.sampled_from([0.1, 1.0, 20.0]),
)
def test_a_cut_is_right_or_refused(
    body: str, pool: str, head: str, hook: str, seed: int, scale: float
) -> None:
    net, batch = make(body, pool, head, seed), images(seed, scale)
    HOOKS[hook](net)
    expected = net(batch).detach()
    classes = torch.arange(3) % expected.shape[1]
    try:
        model = adapt(net, images=TRIAL)
        if isinstance(model, LayerModel):  # of a head of several layers, which has no CAM
            assert head in ("mlp", "norm")
            assert pool in {*PROVED, "clamped"}  # no trial image reaches the clamp
            assert torch.equal(CAMExtractor(model, grad_cam)(batch, classes).logits, expected)
            return
        result = CAMExtractor(model, cam)(batch, classes)
    except UnsupportedModelError:
        easy = head in ("linear", "dropout", "convolution") and hook in ("none", "observer")
        assert not (pool in PROVED and easy and body in ("block", "signed", "relu"))
        return
    assert torch.equal(result.logits, expected)
    close = functools.partial(torch.testing.assert_close, rtol=1e-4, atol=1e-4 * scale)
    close(model.head(model.features(batch)).detach(), expected)
    law = result.coarse.mean((1, 2)) + model.head.bias[classes]
    close(law.detach(), expected.gather(1, classes[:, None])[:, 0])


@pytest.mark.parametrize("pool", sorted(PROVED))
@pytest.mark.parametrize("body", sorted(set(BODIES) - {"half the channels", "small block"}))
def test_pooling_and_one_linear_layer_are_proved(body: str, pool: str) -> None:
    net = make(body, pool)
    model = adapt(net, images=TRIAL)
    assert isinstance(model, CAMModel)
    assert type(model.head) is GAPHead
    assert model.head.linear is net.linear


def test_the_maps_are_those_of_hooks_and_autograd() -> None:
    net, batch = make("block"), images(1)
    kept: list[Tensor] = []
    handle = net.block.register_forward_hook(lambda _m, _i, out: kept.append(out))
    logits = net(batch)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits[:, 1].sum(), kept[0])
    expected = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1).relu()
    assert adapt(net).features.layer == "block"
    result = CAMExtractor(net, grad_cam)(batch, 1)
    assert torch.equal(result.coarse, expected)
    weights = net.linear.weight[1][None, :, None, None]
    found = CAMExtractor(net, cam)(batch, 1).coarse
    torch.testing.assert_close(found, (weights * kept[0]).sum(1).detach())


def test_of_a_module_that_runs_twice_the_last_run_is_taken() -> None:
    net, batch = make("module used twice"), images(2)
    model = adapt(net, images=TRIAL)
    assert (model.features.layer, model.features.run) == ("act", 1)
    assert torch.equal(model(batch), net(batch))
    assert torch.equal(model.activations(batch).features, model.features(batch))


def test_a_relu_that_is_a_function_is_part_of_the_features() -> None:
    net, batch = make("in place"), images(2)
    model = adapt(net)
    features = model.features(batch)
    assert model.layer == "conv2 (after ReLU)"
    assert "layer='conv2 (after ReLU)'" in repr(model)
    assert (features >= 0).all()
    torch.testing.assert_close(features, relu(net.conv2(net.conv1(batch).relu())))


def test_a_network_with_a_new_head_must_be_adapted_again() -> None:
    net, batch = make(), images(2)
    model = adapt(net)
    assert model.activations(batch).logits.shape == net(batch).shape
    net.linear = nn.Linear(net.linear.in_features, 7).to(batch.dtype)
    with pytest.raises(
        UnsupportedModelError, match="must have the modules that it had when it was"
    ):
        CAMExtractor(model)(batch)
    assert CAMExtractor(adapt(net))(batch).logits.shape == (len(batch), 7)
    model.head = GAPHead(net.linear)  # a head that is put in on purpose
    assert model.activations(batch).logits.shape == (len(batch), 7)


@pytest.mark.parametrize("part", ["fc", "layer4", "avgpool"])
def test_a_declared_network_with_other_modules_must_be_adapted_again(part: str) -> None:
    net, batch = tv.resnet18(num_classes=4).eval(), images(2).float()
    extractor = CAMExtractor(net)
    extractor(batch)
    net.extra = nn.Linear(2, 2)  # no module of then is missing
    extractor(batch)
    others = {"fc": nn.Linear(512, 7), "layer4": nn.Sequential(nn.Conv2d(256, 512, 3), nn.ReLU())}
    setattr(net, part, others.get(part, nn.AdaptiveMaxPool2d(1)))
    with pytest.raises(UnsupportedModelError, match="adapt it again"):
        extractor(batch)


def test_a_block_of_small_weights_is_not_left_out() -> None:
    net = make("block")
    with torch.no_grad():  # almost the identity
        net.block = nn.Sequential(nn.Identity(), Scaled(1 + 1e-7))
    assert adapt(net).features.layer == "block"


class Scaled(nn.Module):
    """Multiply by a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Multiply."""
        return x * self.factor


class Flip(nn.Module):
    """Mirror the maps."""

    def forward(self, x: Tensor) -> Tensor:
        """Mirror."""
        return x.flip(-1)


def test_of_outputs_with_one_mean_the_first_is_taken() -> None:
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh()),
        Flip(),
        nn.AvgPool2d(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    model = adapt(net, images=images(0)[..., :12])
    assert model.features.layer == "0"
    assert model.features(images(3)).shape == (3, 4, 8, 12)


@pytest.mark.parametrize(("head", "kind"), [("norm", NormHead), ("convolution", ConvHead)])
def test_other_heads_are_exact(head: str, kind: type[nn.Module]) -> None:
    net, batch = make("block", head=head), images(4)
    model = adapt(net)
    assert type(model.head) is kind
    result = CAMExtractor(model, cam)(batch, 2)
    law = result.coarse.mean((1, 2)) + model.head.bias[2]
    torch.testing.assert_close(law.detach(), net(batch)[:, 2].detach())


def test_a_fully_convolutional_network_needs_no_linear_layer() -> None:
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model, batch = adapt(net), images(5)
    assert type(model.head) is MeanHead
    result = CAMExtractor(model, cam)(batch, torch.tensor([0, 1, 0]))
    expected = net[:2](batch)
    assert torch.equal(result.coarse, torch.stack([expected[0, 0], expected[1, 1], expected[2, 0]]))


def test_a_step_that_only_some_images_reach_is_found_in_later_passes() -> None:
    net = make("block", "clamped")
    extract = CAMExtractor(adapt(net, images=0.01 * TRIAL), cam)
    extract(0.01 * images(1))
    with pytest.raises(UnsupportedModelError, match="which was equal for random images"):
        extract(1000 * images(1))


def test_a_wrapped_network_is_found_inside() -> None:
    net = nn.Sequential(Scaled(0.5), tv.resnet18(num_classes=4)).eval()
    model = adapt(net)
    assert model.features.layer == "1.layer4"
    batch = images(6)
    direct = CAMExtractor(net[1], cam)(0.5 * batch, 1)
    assert torch.equal(CAMExtractor(net, cam)(batch, 1).maps, direct.maps)


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (
            nn.Sequential(make("block"), nn.Sigmoid()),
            r"proved\. Give the network without its last step, a sigmoid\. Or name .* "
            r"'1' changes the output of .*'0.linear'",
        ),
        (
            nn.Sequential(make("block"), nn.LogSoftmax(1)),
            r"proved\. Give the network without its last step, a logarithm of the softmax\. Or ",
        ),
        (make("block", "maximum"), "neither the linear layer 'linear' nor a layer before it reads"),
        (make("block", head="twice"), "no linear layer returns the logits"),
    ],
)
def test_without_a_proof_the_error_says_why_and_lists_layers(net: nn.Module, reason: str) -> None:
    with pytest.raises(UnsupportedModelError, match=rf"(?s){reason}") as caught:
        adapt(net)
    found = re.match(
        r"the layer of the maps cannot be proved\. (?:Give .*\. Or n|N)ame it: "
        r'cameval\.adapt\(net, layer="(\S+)"\)',
        str(caught.value),
    )
    assert found
    assert adapt(net, layer=found[1]).activations(TRIAL).features.shape[:2] == (2, 5)
    assert "(5, 224, 224)" in str(caught.value)


@pytest.mark.parametrize("kind", ["silu", "sum", "cat"])
def test_features_that_a_function_returns_need_a_module(kind: str) -> None:
    class Foreign(nn.Module):
        def __init__(self, after: nn.Module | None) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
            self.after = after
            self.fc = nn.Linear(16 if kind == "cat" else 8, 4)

        def forward(self, images: Tensor) -> Tensor:
            first = self.first(images).relu()
            second = self.second(first)
            if kind == "silu":
                last = silu(second) if self.after is None else self.after(second)
            else:
                last = first + second if kind == "sum" else torch.cat([first, second], 1)
                last = last if self.after is None else self.after(last)
            return self.fc(last.mean((2, 3)))

    with pytest.raises(UnsupportedModelError, match=r"a module, such as nn\.SiLU\(\), or pass its"):
        adapt(Foreign(None).eval())
    model = adapt(Foreign(nn.SiLU() if kind == "silu" else nn.Identity()).eval())
    assert model.layer == "after"
    CAMExtractor(model, method=cam)(images(2).float())


def test_the_error_names_the_full_path_of_a_layer() -> None:
    class Foreign(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = tv.resnet18(num_classes=4)

        def forward(self, images: Tensor) -> Tensor:
            return self.backbone(images).softmax(1)

    with pytest.raises(UnsupportedModelError, match=r'layer="backbone.layer4"'):
        adapt(Foreign())


def test_a_layer_may_be_a_module() -> None:
    net = tv.resnet18()
    assert adapt(net, layer=net.layer3[0]).layer == "layer3.0"
    with pytest.raises(LayerError, match="must be a module inside the ResNet, got a Conv2d"):
        adapt(net, layer=nn.Conv2d(3, 3, 1))


class Dictionary(nn.Module):
    """Return a dictionary with logits and something else."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = make("block")

    def forward(self, images: Tensor) -> dict[str, object]:
        """Return both."""
        return {"out": self.inner(images), "aux": None}


def test_the_logits_are_selected_among_several_outputs() -> None:
    net, batch = Dictionary().eval(), images(8)
    with pytest.raises(UnsupportedModelError, match=r"'out' \(2, 3\), 'aux' None.*\['out'\]"):
        adapt(net)
    expected = CAMExtractor(net.inner, cam)(batch, 1)
    model = adapt(net, select=lambda outputs: outputs["out"])
    assert torch.equal(CAMExtractor(model, cam)(batch, 1).maps, expected.maps)
    at_layer = adapt(net, select=lambda outputs: outputs["out"], layer="inner.conv1")
    assert at_layer.activations(batch).features.shape == (3, 5, 10, 14)
    same = adapt(net, select=lambda outputs: outputs["out"], layer=net.inner.conv1)
    assert same.layer == at_layer.layer


class Outputs(nn.Module):
    """Return tensors of some shapes, by key, by index or by attribute."""

    def __init__(self, kind: type, shapes: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.kind, self.shapes = kind, shapes

    def forward(self, images: Tensor) -> object:
        """Return all of them."""
        tensors = [self.conv(images).mean() * torch.ones(shape) for shape in self.shapes.values()]
        if self.kind is SimpleNamespace:
            return SimpleNamespace(**dict(zip(self.shapes, tensors, strict=True)))
        return self.kind(tensors if self.kind is tuple else zip(self.shapes, tensors, strict=True))


@pytest.mark.parametrize(
    ("kind", "shapes", "proposed"),
    [
        (dict, {"embedding": (2, 8), "logits": (2, 3)}, "outputs['logits']"),
        (dict, {"embedding": (2, 8), "classes": (2, 3)}, "outputs['<key>']"),
        (dict, {"maps": (2, 8, 4, 4), "classes": (2, 3)}, "outputs['classes']"),
        (dict, {"logits": (2, 3), "out": (2, 3)}, "outputs['<key>']"),
        (tuple, {"maps": (2, 8, 4, 4), "classes": (2, 3)}, "outputs[1]"),
        (tuple, {"embedding": (2, 8), "logits": (2, 3)}, "outputs[<index>]"),
        (SimpleNamespace, {"embedding": (2, 8), "logits": (2, 3)}, "outputs.logits"),
    ],
)
def test_outputs_are_listed_and_only_what_can_be_logits_is_proposed(
    kind: type, shapes: dict[str, tuple[int, ...]], proposed: str
) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        adapt(Outputs(kind, shapes), images=TRIAL)
    message = str(caught.value)
    assert message.endswith(f"select=lambda outputs: {proposed})")
    assert all(str(shape) in message for shape in shapes.values())
    assert kind is tuple or all(repr(name) in message for name in shapes)


class TwoLayers(nn.Module):
    """End in the mean and two linear layers: in one module, or with functions between them."""

    def __init__(self, *, one_module: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 5, 3), nn.Tanh())
        self.one_module = one_module
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 3)
        if one_module:
            self.head = nn.Sequential(self.first, nn.ReLU(), nn.Dropout(), self.last)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        pooled = self.features(images).mean((2, 3))
        return self.head(pooled) if self.one_module else self.last(self.first(pooled).relu())


@pytest.mark.parametrize("one_module", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_before_a_head_of_two_layers_the_layer_is_proved(one_module: bool, training: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net, batch = TwoLayers(one_module=one_module).train(training), images(2)
    before = state(net)
    model = adapt(net)
    layer = model.layer if isinstance(model, LayerModel) else model.features.layer
    assert (layer, isinstance(model, CAMModel)) == ("features", one_module)
    result = CAMExtractor(net, grad_cam)(batch, 1)
    expected = CAMExtractor(adapt(net, layer="features"), grad_cam)(batch, 1)
    torch.testing.assert_close(result.maps, expected.maps)
    assert result.maps.abs().max() > 0
    assert torch.equal(result.logits, copy.deepcopy(net).eval()(batch))
    assert state(net) == before
    with pytest.raises(UnsupportedHeadError, match="one linear layer"):
        CAMExtractor(net, cam)(batch, 1)


def test_the_mean_inside_a_block_is_not_that_of_the_head() -> None:
    class Gated(nn.Module):
        """Squeeze and excite, then flatten: two linear layers read a mean, but not the last."""

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.squeeze = nn.Conv2d(3, 5, 3), nn.Linear(5, 5)
            self.after = nn.Conv2d(5, 2, 3)
            self.fc = nn.Linear(2 * 6 * 10, 3)

        def forward(self, images: Tensor) -> Tensor:
            x = self.conv(images)
            gated = x * self.squeeze(x.mean((2, 3))).sigmoid()[:, :, None, None]
            return self.fc(self.after(gated).flatten(1))

    with pytest.raises(UnsupportedModelError, match=r'layer="after"') as caught:
        adapt(Gated(), images=TRIAL)
    assert "cameval.split.register" not in str(caught.value)  # these layers are not all


def test_a_layer_on_which_the_logits_do_not_depend_is_not_proved() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.other = nn.Conv2d(3, 5, 3), nn.Conv2d(3, 4, 3)
            self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 3)

        def forward(self, images: Tensor) -> Tensor:
            x = self.conv(images).amax((2, 3))
            return self.last(x + 0 * self.first(self.other(images).mean((2, 3))))

    with pytest.raises(UnsupportedModelError, match="cannot be proved"):
        adapt(Unused(), images=TRIAL)


def test_a_network_of_two_inputs_is_told_what_to_do() -> None:
    class Two(nn.Module):
        def forward(self, images: Tensor, ages: Tensor) -> Tensor:
            return images.mean((2, 3)) + ages

    with pytest.raises(UnsupportedModelError, match="wrap a network of several inputs"):
        adapt(Two())


def test_a_new_head_is_put_on_a_copy() -> None:
    net = make("block")
    before = state(net)
    model = adapt(net, num_classes=7)
    assert model(images(0)).shape == (3, 7)
    assert not any(module.training for module in model.modules())
    assert not {p.data_ptr() for p in model.parameters()} & {p.data_ptr() for p in net.parameters()}
    model.train()
    model(images(0)).sum().backward()
    assert model.head.linear.weight.grad is not None
    assert model.features.net.conv1.weight.grad is not None
    assert state(net) == before


@pytest.mark.parametrize("training", [False, True])
def test_the_network_is_not_changed(training: bool) -> None:
    net = make("signed").train(training)
    before = state(net)
    extract = CAMExtractor(net, cam)
    extract(images(0))
    assert state(net) == before


def test_the_trial_draws_no_random_numbers_of_the_user() -> None:
    class Noisy(Network):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + torch.rand(())

    net = Noisy("relu", "mean", "linear").eval()
    known = torch.get_rng_state()
    with pytest.raises(UnsupportedModelError, match="same output twice"):
        adapt(net, images=TRIAL)
    assert torch.equal(torch.get_rng_state(), known)


def test_layers_of_a_selected_network_have_the_names_of_the_user() -> None:
    net = Dictionary().eval()
    net.inner.parts = (*net.inner.parts[:1], POOLS["maximum"], HEADS["linear"])
    with pytest.raises(UnsupportedModelError, match=r'layer="inner.block", select=') as caught:
        adapt(net, select=lambda outputs: outputs["out"], images=TRIAL)
    assert "'inner.linear'" in str(caught.value)  # as the user knows it
    assert "split.register" not in str(caught.value)  # it is called for the class of `net` alone


def test_a_cut_is_in_the_mode_of_its_network() -> None:
    for mode in (False, True):
        for net in (make("block"), OwnContract(), small_vit()):
            model = adapt(net.train(mode))
            assert {module.training for module in model.modules()} == {mode}


def test_in_training_mode_maps_are_those_of_evaluation_mode() -> None:
    net, batch = make("signed", head="dropout"), images(9)
    expected = CAMExtractor(net, cam)(batch, 0).maps
    assert torch.equal(CAMExtractor(copy.deepcopy(net).train(), cam)(batch, 0).maps, expected)


def test_maps_can_be_part_of_a_loss() -> None:
    net, batch = make("block"), images(10)
    CAMExtractor(net, grad_cam)(batch, 0, create_graph=True).maps.sum().backward()
    assert net.conv1.weight.grad is not None


def test_half_precision_is_proved_too() -> None:
    net = make("block").to(torch.bfloat16)
    assert type(adapt(net).head) is GAPHead
    assert adapt(net)(images(0).bfloat16()).dtype == torch.bfloat16


class OwnContract(nn.Module):
    """Keep timm's contract, with two linear layers in the head."""

    num_features = CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.net = make("block", head="mlp")

    def forward_features(self, images: Tensor) -> Tensor:
        """Return the features."""
        return self.net.block(self.net.conv1(images))

    def forward_head(self, features: Tensor) -> Tensor:
        """Return the logits of features."""
        return self.net.linear(self.net.hidden(features.mean((2, 3))).relu())

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.forward_head(self.forward_features(images))


def test_timms_contract_is_kept_by_networks_of_any_class() -> None:
    net, batch = OwnContract().eval(), images(11)
    model = adapt(net)
    assert torch.equal(model(batch), net(batch))
    maps = CAMExtractor(net, grad_cam)(batch, 1).coarse
    assert torch.equal(maps, CAMExtractor(net, grad_cam)(batch, 1).coarse)
    assert adapt(net, num_classes=2)(batch).shape == (3, 2)


@pytest.mark.parametrize("last", [False, True])
def test_the_contract_needs_no_number_of_features_where_the_head_shows_it(last: bool) -> None:
    class Bare(OwnContract):
        num_features = None

        def forward_features(self, images: Tensor) -> Tensor:
            features = super().forward_features(images)
            return features.movedim(1, -1) if last else features

        def forward_head(self, features: Tensor) -> Tensor:
            return super().forward_head(features.movedim(-1, 1) if last else features)

    net, batch = Bare().eval(), images(11)
    model = adapt(net)
    assert model.head.in_channels == CHANNELS
    assert torch.equal(model(batch), net(batch))
    assert model.features(batch).shape == (3, CHANNELS, *batch.shape[2:])


def test_a_contract_that_is_not_kept_is_refused() -> None:
    class Broken(OwnContract):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + 1

    with pytest.raises(UnsupportedModelError, match="no linear layer returns the logits"):
        adapt(Broken().eval())


def small_vit(**settings: int) -> tv.VisionTransformer:
    """Make a small vision transformer with a head that is not zero."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        net = tv.VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=5, **settings).eval()
        net.heads.head.weight.normal_()
    return net


def test_a_vision_transformer_is_read_where_its_last_attention_reads() -> None:
    model = adapt(small_vit())
    assert isinstance(model, LayerModel)
    assert (model.layer, model.grid) == ("encoder.layers.encoder_layer_2.ln_1", TokenGrid(1))
    batch = torch.randn(2, 3, 32, 32)
    net = small_vit()
    kept: list[Tensor] = []
    net.get_submodule(model.layer).register_forward_hook(lambda _m, _i, out: kept.append(out))
    (gradient,) = torch.autograd.grad(net(batch)[:, 3].sum(), kept)
    grids = [TokenGrid(1)(each) for each in (kept[0], gradient)]
    expected = (grids[1].mean((2, 3), keepdim=True) * grids[0]).sum(1).relu()
    found = CAMExtractor(model, grad_cam)(batch, 3).coarse
    torch.testing.assert_close(found, expected.detach())
    wrapped = adapt(nn.Sequential(Scaled(1.0), small_vit()))
    assert wrapped.layer == f"1.{model.layer}"


def test_a_vision_transformer_before_training_is_read_at_the_same_layer() -> None:
    net = tv.VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=5)  # its head is zero
    assert adapt(net).layer == "encoder.layers.encoder_layer_2.ln_1"


def test_a_vision_transformer_gets_a_head_on_its_last_tokens() -> None:
    model = adapt(small_vit(), num_classes=2)
    assert model.features.layer == "encoder.ln"
    result = CAMExtractor(model, cam)(torch.randn(2, 3, 32, 32), 1)
    assert result.coarse.shape == (2, 4, 4)


def test_channels_and_sizes_of_the_trial() -> None:
    assert input_channels(nn.Sequential(nn.Identity(), nn.Conv2d(7, 2, 1))) == 7
    sizes: list[tuple[int, ...]] = []

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3, padding=1)
            self.fc = nn.Linear(4, 2)

        def forward(self, images: Tensor) -> Tensor:
            sizes.append(tuple(images.shape))
            return self.fc(avg_pool2d(self.conv(images).relu(), 28).flatten(1))

    assert type(adapt(Small().eval()).head) is GAPHead
    assert (2, 1, 28, 28) in sizes
    assert sizes[-1][2:] == (28, 28)
    small = Small().eval()
    small.image_size = 28
    sizes.clear()
    try_network(small, None, lambda net, batch: net(batch))
    assert sizes == [(2, 1, 28, 28)]


def test_layer_and_num_classes_exclude_each_other() -> None:
    with pytest.raises(SettingError, match="must not both be given"):
        adapt(make(), num_classes=2, layer="conv1")  # type: ignore[call-overload]


def test_split_finds_the_same_cut() -> None:
    net, batch = make("block"), images(13)
    features, head = split(net)
    assert torch.equal(head(features(batch)), net(batch))
    with pytest.raises(UnsupportedModelError, match="other tokens count too"):
        split(small_vit())
    with pytest.raises(UnsupportedModelError, match=r"must be an nn\.Module, got str"):
        split("resnet18")


def test_a_layer_norm_reference() -> None:
    net, batch = make("block", head="norm"), images(12)
    pooled = net.block(net.conv1(batch)).mean((2, 3))
    normalized = layer_norm(pooled, (CHANNELS,), net.layer_norm.weight, net.layer_norm.bias)
    torch.testing.assert_close(adapt(net)(batch), net.linear(normalized))


class Pooled(nn.Module):
    """A network without a layer that returns feature maps."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of the maxima of the channels."""
        return self.fc(images.amax((2, 3)))


def test_a_network_without_feature_maps_is_told_no_layer() -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        adapt(Pooled())
    assert "No layer of it returns feature maps; in the Pooled" in str(caught.value)
    assert "name.of.layer" not in str(caught.value)
    assert "Layers that" not in str(caught.value)


WRAPPED = """
from torch import nn

net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))

class Wrapped(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.net = inner

    def forward(self, images):
        return {forward}

wrapped = Wrapped(net)
"""


def test_an_attribute_with_the_name_of_a_global_is_not_the_global() -> None:
    names: dict[str, Any] = {}
    exec(WRAPPED.format(forward="self.net(images)"), names)
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(adapt(names["wrapped"])(images), names["net"].eval()(images))
    exec(WRAPPED.format(forward="net(images)"), names)
    with pytest.raises(UnsupportedModelError, match="refers to a Sequential from outside"):
        adapt(names["wrapped"])


def test_a_global_that_is_registered_when_a_network_is_made_is_its_own() -> None:
    names: dict[str, Any] = {}
    code = WRAPPED.replace("self, inner", "self, inner=None").replace("= inner", "= net")
    exec(code.format(forward="self.net(images)"), names)
    images = torch.rand(2, 3, 16, 16)
    assert torch.equal(adapt(names["wrapped"])(images), names["net"].eval()(images))

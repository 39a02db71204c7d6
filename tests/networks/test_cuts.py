"""Cuts give the outputs of the network, and private copies share only its weights."""

import copy
import functools
import pickle
import threading
import types
import weakref
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv
from families import FAMILIES, family, images, state
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from cameval import CAMExtractor, CAMModel, CAMSweep, GAPHead, adapt, cam, grad_cam, split
from cameval.errors import CamevalError, UnsupportedModelError
from cameval.networks._copies import private_copy
from cameval.networks._cuts import check_cut

BATCH = images("any")


def fresh(name: str) -> nn.Module:
    return copy.deepcopy(family(name))


def refused_or_right(net: nn.Module) -> str:
    """Tell how the extractor and the cut behave; a wrong logit fails."""
    with torch.no_grad():
        expected = net(BATCH)
    try:
        model = adapt(net)
    except CamevalError:
        return "refused"
    with torch.no_grad():
        same = torch.equal(model(BATCH), expected)
    try:
        found = CAMExtractor(net)(BATCH).logits
    except CamevalError:
        assert not same
        return "compared"
    assert same
    assert torch.equal(found, expected)
    return "right"


class GeM(nn.AdaptiveAvgPool2d):
    """Pool by a power mean."""

    def __init__(self) -> None:
        super().__init__(1)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return super().forward(x.clamp(min=1e-6) ** 3) ** (1 / 3)


POOLED = [n for n in FAMILIES if hasattr(family(n), "avgpool")]


@pytest.mark.parametrize("pool", [lambda: nn.AdaptiveMaxPool2d(1), GeM], ids=["max", "gem"])
@pytest.mark.parametrize("name", sorted(set(POOLED) - {"alexnet", "vgg", "vgg_bn"}))
def test_a_replaced_pool_is_part_of_the_network(name: str, pool: Callable[[], nn.Module]) -> None:
    net = fresh(name)
    net.avgpool = pool()
    assert refused_or_right(net.eval()) == "right"
    assert not isinstance(adapt(net).head, GAPHead)


def test_other_parts_between_features_and_logits_are_part_of_the_network() -> None:
    net = fresh("swin")
    net.flatten = nn.Sequential(nn.Flatten(1), nn.LayerNorm(768, elementwise_affine=False))
    assert refused_or_right(net.eval()) == "right"
    net = fresh("googlenet")
    net.dropout = nn.Hardswish()
    assert refused_or_right(net.eval()) == "right"
    net = fresh("convnext")
    net.classifier[0] = nn.GroupNorm(1, 768)
    assert refused_or_right(net.eval()) == "right"


def register_again(net: nn.Module, *names: str) -> nn.Module:
    """Delete and set children again, which changes the order of registration."""
    for name in names:
        child = getattr(net, name)
        delattr(net, name)
        setattr(net, name, child)
    return net


@pytest.mark.parametrize(
    ("name", "children"),
    [
        ("googlenet", ["conv1"]),
        ("googlenet", ["inception4a", "avgpool", "maxpool1"]),
        ("inception_v3", ["Mixed_5b", "Conv2d_1a_3x3"]),
        ("inception_v3", ["avgpool"]),
        ("resnet", ["layer2", "conv1"]),
        ("shufflenet", ["stage3"]),
        ("maxvit", ["stem"]),
    ],
)
def test_a_cut_does_not_depend_on_the_order_of_registration(name, children) -> None:
    net, batch = register_again(fresh(name), *children), images(name, 1)
    with torch.no_grad():
        expected = net(batch)
        assert torch.equal(adapt(net)(batch), expected)
    check_cut(adapt(net), batch, expected)


def test_a_sequence_in_another_order_changes_the_cut_and_the_network_alike() -> None:
    net = fresh("resnet")
    net.layer1 = nn.Sequential(net.layer1[1], net.layer1[0])
    assert refused_or_right(net) == "right"
    assert not torch.equal(adapt(net)(BATCH), family("resnet")(BATCH))


class Twice(tv.SqueezeNet):
    """Change the call."""

    def __call__(self, *args: Tensor) -> Tensor:  # noqa: D102
        return 2 * super().__call__(*args)


class Wrapped(tv.SqueezeNet):
    """Change what torch calls."""

    def _call_impl(self, *args: Tensor) -> Tensor:
        return 2 * super()._call_impl(*args)


class Hidden(tv.SqueezeNet):
    """Change an attribute on the way."""

    def __getattr__(self, name: str) -> object:
        found = super().__getattr__(name)
        return nn.Sequential(found, nn.Tanh()) if name == "classifier" else found


class Colder(tv.Inception3):
    """Change the normalization of the input."""

    def _transform_input(self, x: Tensor) -> Tensor:
        return x / 2


@pytest.mark.parametrize("kind", [Twice, Wrapped])
def test_a_network_that_overrides_its_call_is_refused(kind: type[tv.SqueezeNet]) -> None:
    assert refused_or_right(kind(num_classes=3).eval()) == "refused"


def test_a_network_that_overrides_the_input_transform_is_cut_by_proof() -> None:
    net = Colder(num_classes=3, transform_input=True, init_weights=False).eval()
    assert refused_or_right(net) == "right"


def test_a_change_that_no_type_shows_is_compared() -> None:
    assert refused_or_right(Hidden(num_classes=3).eval()) in ("compared", "right")


@pytest.mark.parametrize("attribute", ["forward", "_forward_impl", "_call_impl"])
def test_a_patched_instance_is_refused(attribute: str) -> None:
    net = fresh("resnet")
    original = getattr(net, attribute)
    setattr(net, attribute, lambda x: 2 * original(x))
    assert refused_or_right(net) == "refused"


def test_a_patched_class_is_compared_on_the_first_batch(monkeypatch) -> None:
    net, original = fresh("resnet"), tv.ResNet._forward_impl
    monkeypatch.setattr(tv.ResNet, "_forward_impl", lambda self, x: 2 * original(self, x))
    assert refused_or_right(net) == "compared"
    for take in (CAMExtractor(net), CAMSweep(net, {"grad_cam": grad_cam})):
        with pytest.raises(UnsupportedModelError, match=r"must give what .* got a .* patched"):
            take(BATCH)
    assert CAMExtractor(net, check=False)(BATCH).maps.isfinite().all()
    assert CAMSweep(net, {"grad_cam": grad_cam}, check=False)(BATCH)
    with pytest.raises(UnsupportedModelError, match="must give what"):
        CAMExtractor(adapt(net, layer="layer3"))(BATCH)
    with pytest.raises(UnsupportedModelError, match="must give what"):
        CAMExtractor(adapt(net))(BATCH)


def test_a_wrong_registered_split_is_detected_by_the_comparison() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.body(x).relu().mean((2, 3)))

    split.register(Gated, lambda net: (net.body, GAPHead(net.fc)))
    told = (
        "the declaration for Gated computes something else than the network: is a step .* missing"
    )
    with pytest.raises(UnsupportedModelError, match=told) as caught:
        CAMExtractor(Gated().eval())(BATCH)
    assert "patched" not in str(caught.value)


def test_the_comparison_is_made_once_and_may_be_switched_off() -> None:
    class Counting(tv.SqueezeNet):
        passes = 0

    def count(*_: object) -> None:
        Counting.passes += 1

    net = Counting(num_classes=3).eval()
    net.features[0].register_forward_hook(count)
    extract = CAMExtractor(net)
    extract(BATCH)
    assert Counting.passes == 2
    extract(BATCH)
    assert Counting.passes == 3
    CAMExtractor(net, check=False)(BATCH)
    assert Counting.passes == 4


def test_a_network_that_was_changed_since_it_was_adapted_is_compared() -> None:
    net = fresh("resnet")
    model = adapt(net)
    net.layer4 = nn.Sequential(net.layer4, nn.Tanh())
    with pytest.raises(UnsupportedModelError, match="adapt it again"):
        check_cut(model, BATCH)
    net.avgpool.register_forward_hook(lambda _m, _i, output: 2 * output)
    with pytest.raises(UnsupportedModelError, match="hooks on avgpool"):
        CAMExtractor(model, check=False)


def test_a_cut_that_became_a_network_of_its_own_is_not_compared() -> None:
    net = fresh("squeezenet")
    model = adapt(net)
    model.head = GAPHead(nn.Linear(512, 2))
    check_cut(model.eval(), BATCH)
    assert CAMExtractor(model, cam)(BATCH, 0).logits.shape == (2, 2)
    check_cut(adapt(net, num_classes=3), BATCH)
    check_cut(copy.deepcopy(adapt(net)), BATCH)
    own = CAMModel(nn.Conv2d(3, 4, 3), GAPHead(nn.Linear(4, 2))).eval()
    check_cut(own, BATCH)


def test_active_dropout_is_refused_and_the_random_state_is_not_changed() -> None:
    class Noisy(nn.Dropout):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, 0.5, training=True)

    net = fresh("mobilenet_v2")
    net.classifier[0] = Noisy()
    before = state(net)
    with pytest.raises(UnsupportedModelError, match="same output twice"):
        CAMExtractor(net)(BATCH)
    assert state(net) == before
    model = adapt(net)
    logits = model.activations(BATCH).logits
    known = torch.get_rng_state()
    with pytest.raises(UnsupportedModelError, match="same output twice"):
        check_cut(model, BATCH, logits)
    assert torch.equal(torch.get_rng_state(), known)


class AlwaysDropping(nn.Module):
    """A network whose dropout is always on, as a function or as a module."""

    def __init__(self, is_function: bool) -> None:
        super().__init__()
        self.is_function = is_function
        self.conv, self.relu, self.drop = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Dropout(0.5)
        self.fc = nn.Linear(8, 5)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        features = self.relu(self.conv(images)).mean((2, 3))
        if self.is_function:
            return self.fc(F.dropout(features, 0.5))
        self.drop.train()
        return self.fc(self.drop(features))


@pytest.mark.parametrize("is_function", [True, False])
def test_active_dropout_is_refused_with_a_named_layer(is_function: bool) -> None:
    net = AlwaysDropping(is_function).eval()
    for make in (
        lambda: CAMExtractor(adapt(net)),
        lambda: CAMExtractor(adapt(net, layer="relu")),
        lambda: CAMSweep(net, [grad_cam], ["relu", "conv"]),
    ):
        with pytest.raises(UnsupportedModelError, match="same output twice"):
            make()(BATCH)
    CAMExtractor(adapt(net, layer="relu"), check=False)(BATCH)
    if is_function:
        with pytest.raises(UnsupportedModelError, match="same output twice"):
            adapt(net)


def test_an_output_of_another_shape_or_type_is_refused(monkeypatch) -> None:
    net, original = fresh("squeezenet"), tv.SqueezeNet.forward
    monkeypatch.setattr(tv.SqueezeNet, "forward", lambda self, x: original(self, x)[:, :5])
    with pytest.raises(UnsupportedModelError, match=r"shapes \(2, 1000\) and \(2, 5\)"):
        CAMExtractor(net)(BATCH)
    monkeypatch.setattr(tv.SqueezeNet, "forward", lambda self, x: {"out": original(self, x)})
    with pytest.raises(UnsupportedModelError, match="one tensor, got a dict of 1: 'out'"):
        CAMExtractor(net)(BATCH)


@pytest.mark.parametrize(
    "register", [register_module_forward_hook, register_module_forward_pre_hook]
)
def test_hooks_on_all_modules_are_refused_where_they_would_not_run(register) -> None:
    net = fresh("squeezenet")
    extract = CAMExtractor(net)
    handle = register(lambda *_: None)
    try:
        with pytest.raises(UnsupportedModelError, match="a global hook"):
            extract(BATCH)
        assert torch.equal(adapt(net).activations(BATCH).logits, net(BATCH))
        assert adapt(net, layer="features.3").activations(BATCH).logits.shape == (2, 1000)
    finally:
        handle.remove()
    assert extract(BATCH).maps.isfinite().all()


# --- copies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [None, "layer2", "layer2.0.conv1"])
def test_a_compiled_part_runs_uncompiled(layer: str | None) -> None:
    expected = CAMExtractor(adapt(fresh("resnet"), layer=layer))(BATCH, 1)
    net = fresh("resnet").train()
    net.layer3.compile(backend="eager")
    net.layer4 = torch.compile(net.layer4, backend="eager")
    net.layer4._orig_mod[0] = torch.compile(net.layer4._orig_mod[0], backend="eager")
    net.fc = torch.compile(net.fc, backend="eager")
    before = state(net)
    found = CAMExtractor(adapt(net, layer=layer))(BATCH, 1)
    assert state(net) == before
    torch.testing.assert_close(found.coarse, expected.coarse)
    torch.testing.assert_close(found.logits, expected.logits)
    if layer is None:
        torch.testing.assert_close(
            CAMExtractor(net, cam)(BATCH, 1).coarse,
            CAMExtractor(fresh("resnet"), cam)(BATCH, 1).coarse,
        )


def test_a_copy_of_a_compiled_part_contains_nothing_compiled() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), torch.compile(nn.Sequential(nn.BatchNorm2d(4))))
    net[0].compile(backend="eager")
    twin = private_copy(net)
    assert "_compiled_call_impl" not in vars(twin[0])
    assert not any(isinstance(m, torch._dynamo.OptimizedModule) for m in twin.modules())
    assert [name for name, _ in twin.named_modules()] == [name for name, _ in net.named_modules()]
    assert len(twin[1]) == 1
    assert isinstance(twin[1][0], nn.BatchNorm2d)
    assert not twin.training


class Holding(nn.Module):
    """A network with further attributes beside its modules."""

    def __init__(self, hold: Callable[["Holding"], None]) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 2)
        hold(self)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images."""
        return self.fc(self.norm(self.conv(x)).mean((2, 3)))

    def again(self, x: Tensor) -> Tensor:
        """Do the same under another name."""
        return self.fc(self.norm(self.conv(x)).mean((2, 3)))


def closure(net: Holding) -> None:
    net.forward = lambda x: net.again(x)


def default(net: Holding) -> None:
    net.forward = lambda x, again=net.again: again(x)


def partial_of_a_closure(net: Holding) -> None:
    net.forward = functools.partial(lambda add, x: net.again(x) + add, 0)


def weak(net: Holding) -> None:
    net.parent = weakref.ref(net.norm)


def locked(net: Holding) -> None:
    net.kept = [threading.Lock(), net.norm]  # cannot be copied


class Box:
    """An object with a module that cannot be copied."""

    def __init__(self, module: nn.Module) -> None:
        self.lock, self.module = threading.Lock(), module


def boxed(net: Holding) -> None:
    net.box = Box(net.norm)


def compiled_forward(net: Holding) -> None:
    net.forward = torch.compile(net.forward, backend="eager")


def hooking(net: Holding) -> None:
    net.conv.register_forward_hook(lambda _m, _i, output: net.norm(output))


def mode_switch(net: Holding) -> None:
    net.train = lambda mode=True: nn.Module.train(net, mode)


def nested(net: Holding) -> None:
    def outer(x: Tensor) -> Tensor:
        def inner() -> Tensor:
            return net.norm(x)

        return inner()

    net.things = {"a": [(outer,)]}


REFUSED = [
    *(closure, default, partial_of_a_closure, weak, locked, boxed, compiled_forward, hooking),
    *(mode_switch, nested),
]


@pytest.mark.parametrize("hold", REFUSED, ids=lambda hold: hold.__name__)
def test_a_copy_that_would_run_the_networks_own_modules_is_refused(hold) -> None:
    net = Holding(hold).train()
    before = state(net)
    with pytest.raises(UnsupportedModelError, match="must be copied whole"):
        adapt(net, layer="conv").activations(BATCH)
    assert state(net) == before


def bound(net: Holding) -> None:
    net.forward = net.again


def bound_partial(net: Holding) -> None:
    net.forward = functools.partial(net.again)


def method_of_another(net: Holding) -> None:
    net.forward = types.MethodType(lambda self, x: self.again(x), net)


def listed(net: Holding) -> None:
    net.layers = [net.conv, {"norm": net.norm}]


def unregistered(net: Holding) -> None:
    net.others = [nn.Conv2d(4, 4, 1).eval(), nn.BatchNorm2d(4)]


def bound_hook(net: Holding) -> None:
    net.conv.register_forward_hook(types.MethodType(lambda self, _m, _i, out: self.norm(out), net))


def harmless(net: Holding) -> None:
    relu = nn.ReLU()
    net.act = lambda x: relu(x)


@pytest.mark.parametrize(
    "hold",
    [bound, bound_partial, method_of_another, listed, unregistered, bound_hook, harmless],
    ids=lambda hold: hold.__name__,
)
def test_a_network_with_attributes_that_can_be_copied_is_copied(hold) -> None:
    torch.manual_seed(0)
    net = Holding(hold)
    with torch.no_grad():
        expected = net.eval()(BATCH)
    net.train()
    before = state(net)
    found = adapt(net, layer="conv").activations(BATCH).logits
    assert state(net) == before
    net.eval()
    with torch.no_grad():
        assert torch.equal(found, net(BATCH))
    assert found.shape == expected.shape


def test_a_class_whose_code_closes_over_modules_is_refused() -> None:
    shared = nn.BatchNorm2d(4)

    class Closing(Holding):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(shared(self.conv(x)).mean((2, 3)))

    net = Closing(lambda _: None)
    before = shared.running_mean.clone()
    with pytest.raises(UnsupportedModelError, match="must be copied whole"):
        adapt(net, layer="conv").activations(BATCH)
    assert torch.equal(shared.running_mean, before)


def test_a_class_with_modules_as_attributes_is_refused() -> None:
    class Sharing(Holding):
        norms = (nn.BatchNorm2d(4),)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.norms[0](self.conv(x)).mean((2, 3)))

    with pytest.raises(UnsupportedModelError, match="must be copied whole"):
        adapt(Sharing(lambda _: None), layer="conv").activations(BATCH)


def test_a_cut_survives_pickling_and_is_still_compared() -> None:
    model = pickle.loads(pickle.dumps(adapt(fresh("squeezenet"))))
    assert isinstance(model.origin, tv.SqueezeNet)
    check_cut(model, BATCH)
    assert not any("origin" in name for name in model.state_dict())


def test_a_network_that_fails_on_the_images_is_refused() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)
            self.bias = nn.Parameter(torch.zeros(4, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            if self.bias.dtype != x.dtype:
                raise RuntimeError("two dtypes")
            return self.fc((self.body(x) + self.bias).mean((2, 3)))

    split.register(Scaled, lambda net: (net.body, GAPHead(net.fc)))
    model = adapt(Scaled().eval()).double()
    with pytest.raises(UnsupportedModelError, match=r"must run on the images.*two dtypes"):
        check_cut(model, BATCH.double())


def test_a_copy_calls_the_train_method_of_the_network() -> None:
    class Switching(Holding):
        noisy = True

        def train(self, mode: bool = True) -> "Switching":
            self.noisy = mode
            return super().train(mode)

        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + (torch.randn(2) if self.noisy else 0)

    torch.manual_seed(0)
    net = Switching(lambda _: None)
    with torch.no_grad():
        expected = net.eval()(BATCH)
    net.train()
    found = adapt(net, layer="conv").activations(BATCH).logits
    assert torch.equal(found, expected)
    assert net.noisy
    assert net.training


def test_a_train_method_that_changes_weights_changes_those_of_the_copy() -> None:
    class Merging(nn.Linear):
        merged = False

        def train(self, mode: bool = True) -> "Merging":
            if mode == self.merged:
                self.weight.data += -1 if mode else 1
                self.merged = not mode
            return super().train(mode)

    net = Holding(lambda net: setattr(net, "fc", Merging(4, 2))).train()
    before = net.fc.weight.detach().clone()
    found = adapt(net, layer="conv").activations(BATCH).logits
    assert torch.equal(net.fc.weight, before)
    with torch.no_grad():
        assert torch.equal(found, net.eval()(BATCH))


class Remembering(nn.Module):
    """A head that writes to a buffer whenever it runs."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.fc, self.how = nn.Linear(4, 2), how
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Count, and classify."""
        if self.how == "in place":
            self.seen += 1
        elif self.how == "data":
            self.seen.data.add_(1)
        elif self.how == "exchange":
            self.seen = self.seen + 1
        elif self.how == "weight":
            with torch.no_grad():
                self.fc.weight.add_(0)
        return self.fc(x.mean((2, 3)))


@pytest.mark.parametrize("how", ["in place", "data", "exchange"])
def test_a_change_of_a_buffer_in_evaluation_mode_is_undone_and_refused(how: str) -> None:
    model = CAMModel(nn.Conv2d(3, 4, 3), Remembering(how)).eval()
    kept = model.head.seen
    with pytest.raises(UnsupportedModelError, match=r"got a change of head\.seen"):
        CAMExtractor(model)(BATCH)
    assert model.head.seen is kept
    assert kept == 0


@pytest.mark.parametrize("how", ["in place", "data", "exchange"])
@pytest.mark.parametrize("mode", [True, False])
def test_a_copy_has_its_own_buffers(how: str, mode: bool) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), Remembering(how)).train(mode)
    before = state(net)
    assert adapt(net, layer="0").activations(BATCH).logits.shape == (2, 2)
    assert state(net) == before
    assert net[1].seen == 0


@pytest.mark.parametrize("mode", [True, False])
def test_a_change_of_a_weight_in_evaluation_mode_is_refused(mode: bool) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), Remembering("weight")).train(mode)
    with pytest.raises(UnsupportedModelError, match=r"got a change of 1\.fc\.weight"):
        adapt(net, layer="0").activations(BATCH)


def test_a_statistic_that_a_parent_module_changes_is_restored() -> None:
    class Drifting(Holding):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                self.norm.running_mean.add_(1)
            return self.norm(self.conv(x))

    model = CAMModel(Drifting(lambda _: None), GAPHead(nn.Linear(4, 2))).eval()
    kept = model.features.norm.running_mean
    before = kept.clone()
    with pytest.raises(UnsupportedModelError, match=r"norm\.running_mean"):
        model.activations(BATCH)
    assert torch.equal(kept, before)


class _Listed(nn.Module):
    """A normalization in a list, which no `eval` of the network reaches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = [nn.BatchNorm2d(width)]

    def forward(self, x: Tensor) -> Tensor:
        """Normalize by the batch."""
        return self.norms[0](x)


@pytest.mark.parametrize("mode", [True, False])
def test_a_module_that_is_not_registered_is_not_changed_either(mode: bool) -> None:
    net = tv.resnet18(num_classes=3).train(mode)
    net.layer4 = nn.Sequential(net.layer4, _Listed(512))
    norm = net.layer4[1].norms[0]
    before = {key: value.clone() for key, value in norm.state_dict().items()}
    CAMExtractor(net)(torch.rand(2, 3, 64, 64))
    assert norm.training
    assert all(torch.equal(value, before[key]) for key, value in norm.state_dict().items())


def test_a_failing_pass_leaves_buffers_as_they_were() -> None:
    class Failing(Remembering):
        def forward(self, x: Tensor) -> Tensor:
            super().forward(x)
            raise RuntimeError("on purpose")

    model = CAMModel(nn.Conv2d(3, 4, 3), Failing("in place")).eval()
    with pytest.raises(RuntimeError, match="on purpose"):
        model.activations(BATCH)
    assert model.head.seen == 0


@pytest.mark.parametrize(("factor", "told"), [(1.0, False), (1 + 1e-7, False), (1.001, True)])
def test_a_gap_of_more_than_rounding_is_told(factor: float, told: bool) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.body(x).mean((2, 3))) * factor

    torch.manual_seed(0)
    net = Scaled().eval()
    model = CAMModel(net.body, GAPHead(net.fc)).cut_from(net)
    with pytest.raises(UnsupportedModelError, match="a difference of") if told else nullcontext():
        CAMExtractor(model)(BATCH)

"""The law of exact maps: their mean and the bias are the logit, or the map is refused."""

import copy
import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
import torchvision.models as tv
from families import EXACT, family, images
from small_networks import body
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from cameval import CAMExtractor, CAMModel, GAPHead, adapt, cam
from cameval.errors import UnsupportedHeadError
from cameval.methods import AblationCAM, grad_cam, local_linear_cam, shapley_cam
from cameval.networks import LayerModel, PooledHead
from cameval.networks.heads import linear_head, pools_globally

CLASSES = torch.tensor([1, 2])


class Cosine(nn.Linear):
    """Compare directions."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return 10 * F.linear(F.normalize(x), F.normalize(self.weight))


class Adapted(nn.Linear):
    """Add a product of low rank, as LoRA does."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.down = nn.Parameter(torch.randn(1, inputs) / 10)
        self.up = nn.Parameter(torch.randn(outputs, 1) / 10)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return super().forward(x) + x @ self.down.T @ self.up.T


class Always(nn.Dropout):
    """Drop in evaluation mode too."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return F.dropout(x, self.p, training=True)


class Called(nn.Linear):
    """Change the call, not the forward."""

    def __call__(self, *args: Tensor) -> Tensor:  # noqa: D102
        return 2 * super().__call__(*args)


def net_with(head: nn.Module) -> nn.Module:
    net = copy.deepcopy(family("resnet"))
    net.fc = head
    return net.eval()


@pytest.mark.parametrize(
    "head",
    [
        lambda: Cosine(512, 3, bias=False),
        lambda: Adapted(512, 3),
        lambda: Called(512, 3),
        lambda: nn.Sequential(Always(0.5), nn.Linear(512, 3)),
        lambda: nn.Sequential(nn.Dropout(0.5), Cosine(512, 3)),
    ],
    ids=["cosine", "adapted", "called", "dropout", "cosine behind dropout"],
)
def test_a_subclass_in_the_head_is_no_linear_head(head: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    net, batch = net_with(head()), images("resnet")
    assert isinstance(adapt(net).head, PooledHead)
    with pytest.raises(UnsupportedHeadError, match="got a PooledHead"):
        CAMExtractor(net, cam, check=False)(batch, CLASSES)
    with pytest.raises(UnsupportedHeadError):
        CAMExtractor(net, local_linear_cam, check=False)(batch, CLASSES)
    with pytest.raises(UnsupportedHeadError, match=r"of its own|got Sequential"):
        GAPHead(net.fc)


@pytest.mark.parametrize("method", [cam, local_linear_cam])
@pytest.mark.parametrize("where", ["head", "head.linear", "head.dropout"])
def test_a_hook_in_the_head_is_noticed_and_the_gap_is_told(method, where: str) -> None:
    net = net_with(nn.Sequential(nn.Dropout(), nn.Linear(512, 3)))
    model, batch = adapt(net), images("resnet")
    honest = model.activations(batch)
    maps = method(honest, CLASSES)
    model.get_submodule(where).register_forward_hook(lambda _m, _i, output: output * 1.01)
    hooked = model.activations(batch)
    with pytest.raises(UnsupportedHeadError, match="got a gap of") as raised:
        method(hooked, CLASSES)
    told = float(re.search(r"gap of ([0-9.e+-]+)", str(raised.value))[1])
    sums = maps.mean((1, 2)) + net.fc[1].bias[CLASSES]
    gaps = (hooked.logits.gather(1, CLASSES[:, None])[:, 0] - sums).abs()
    assert told == pytest.approx(gaps.max().item(), rel=1e-2)


def test_a_hook_that_only_watches_breaks_no_law() -> None:
    net, seen = net_with(nn.Linear(512, 3)), []
    net.fc.register_forward_hook(lambda *_: seen.append(1))
    assert CAMExtractor(net, cam)(images("resnet"), 0).maps.isfinite().all()
    assert seen


@pytest.mark.parametrize("method", [cam, local_linear_cam])
def test_a_head_of_the_users_with_a_wrong_bias_is_refused(method) -> None:
    class Shifted(GAPHead):
        @property
        def bias(self) -> Tensor:
            return super().bias + 1e-3

    torch.manual_seed(0)
    model = CAMModel(body(), Shifted(nn.Linear(6, 4))).eval()
    activations = model.activations(images("any"))
    with pytest.raises(UnsupportedHeadError, match=r"got a gap of 0\.001 "):
        method(activations, CLASSES)


def test_a_linear_layer_that_was_exchanged_in_the_head_is_noticed() -> None:
    torch.manual_seed(0)
    model = CAMModel(body(), GAPHead(nn.Linear(6, 4))).eval()
    model.head.linear = Adapted(6, 4)
    with pytest.raises(UnsupportedHeadError, match="gap"):
        cam(model.activations(images("any")), CLASSES)


def test_dropout_that_is_always_on_is_noticed_without_a_comparison() -> None:
    torch.manual_seed(0)
    model = CAMModel(body(), GAPHead(nn.Linear(6, 4), Always(0.5))).eval()
    with pytest.raises(UnsupportedHeadError, match="gap"):
        CAMExtractor(model, cam)(images("any"), CLASSES)


def test_active_dropout_in_a_loss_is_noticed() -> None:
    torch.manual_seed(0)
    model = CAMModel(body(), GAPHead(nn.Linear(6, 4), nn.Dropout(0.5))).train()
    activations = model.activations(images("any"), create_graph=True)
    with pytest.raises(UnsupportedHeadError, match="active dropout"):
        cam(activations, CLASSES)


def weight_normed() -> nn.Module:
    return parametrizations.weight_norm(nn.Linear(512, 3))


def old_weight_normed() -> nn.Module:
    return nn.utils.weight_norm(nn.Linear(512, 3))


class Renamed(nn.Linear):
    """Add nothing that runs."""


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("head", [weight_normed, old_weight_normed, lambda: Renamed(512, 3)])
def test_a_head_that_is_linear_after_all_has_an_exact_map(head) -> None:
    torch.manual_seed(0)
    net, batch = net_with(head()), images("resnet")
    result = CAMExtractor(net, cam)(batch, CLASSES)
    total = result.coarse.mean((1, 2)) + net.fc.bias[CLASSES]
    torch.testing.assert_close(total, result.logits.gather(1, CLASSES[:, None])[:, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", EXACT)
def test_rounding_is_no_breach(name: str, dtype: torch.dtype) -> None:
    net = copy.deepcopy(family(name)).to(dtype)
    activations = adapt(net).activations(images(name, 1).to(dtype))
    for classes in (activations.logits.argmax(1), activations.logits.argmin(1)):
        assert cam(activations, classes).isfinite().all()


@pytest.mark.parametrize("name", ["alexnet", "vgg", "mobilenet_v3", "maxvit", "convnext"])
def test_rounding_is_no_breach_of_the_local_law(name: str) -> None:
    activations = adapt(family(name)).activations(images(name, 1))
    assert local_linear_cam(activations, activations.logits.argmax(1)).isfinite().all()


def test_terms_that_cancel_are_taken_for_what_they_are() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(512, 2)
    with torch.no_grad():
        linear.weight[:, 256:] = -linear.weight[:, :256]
    model = CAMModel(nn.Identity(), GAPHead(linear)).eval()
    half = 1e4 * torch.rand(1, 256, 7, 7)
    activations = model.activations(torch.cat([half, half * (1 + 1e-6)], 1))
    assert cam(activations, torch.tensor([0])).isfinite().all()
    activations.head.linear.register_forward_hook(lambda _m, _i, output: output + 10)
    again = model.activations(torch.cat([half, half], 1))
    with pytest.raises(UnsupportedHeadError, match="gap of 10"):
        cam(again, torch.tensor([0]))


def test_a_map_that_is_not_finite_is_not_called_a_breach() -> None:
    model = CAMModel(body(), GAPHead(nn.Linear(6, 4))).eval()
    activations = model.activations(torch.full((2, 3, 11, 14), torch.nan))
    assert cam(activations, CLASSES).isnan().all()


def test_the_law_costs_no_pass() -> None:
    class Counting(nn.Conv2d):
        passes = 0

        def forward(self, x: Tensor) -> Tensor:
            type(self).passes += 1
            return super().forward(x)

    model = CAMModel(Counting(3, 6, 3), GAPHead(nn.Linear(6, 4))).eval()
    CAMExtractor(model, cam)(images("any"), 0)
    assert Counting.passes == 1


# --- shortcuts of methods -------------------------------------------------------------------------


def altered(kind: str) -> CAMModel:
    torch.manual_seed(0)
    model = CAMModel(body(), GAPHead(nn.Linear(6, 4))).double().eval()
    if kind == "hook":
        model.head.linear.register_forward_hook(lambda _m, _i, output: output.tanh())
    elif kind == "subclass":
        model.head.linear = Cosine(6, 4, bias=False).double()
    else:
        model.head.forward = lambda x: x.amax((2, 3))[:, :4]  # type: ignore[method-assign]
    return model


@pytest.mark.parametrize("kind", ["hook", "subclass", "instance"])
@pytest.mark.parametrize("method", [AblationCAM(), shapley_cam])
def test_a_shortcut_for_linear_heads_is_not_taken_for_another(method, kind: str) -> None:
    """The same score by a function, which takes no shortcut."""
    activations = altered(kind).activations(images("any").double())
    assert linear_head(activations.head) is None
    long_way = method(activations, lambda logits: logits.gather(1, CLASSES[:, None])[:, 0])
    torch.testing.assert_close(method(activations, CLASSES), long_way)
    assert long_way.abs().max() > 0


def test_ablation_on_means_is_only_for_heads_that_see_means_alone() -> None:
    class Powered(nn.AdaptiveAvgPool2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x**3).clamp(min=1e-6) ** (1 / 3)

    torch.manual_seed(0)
    model = CAMModel(body(), PooledHead(Powered(1), nn.Linear(6, 4))).double().eval()
    assert not pools_globally(model.head)
    activations = model.activations(images("any").double())
    found = AblationCAM()(activations, CLASSES)
    features, score = activations.features, activations.score(CLASSES)
    drops = []
    for channel in range(6):
        kept = features.clone()
        kept[:, channel] = 0
        drops.append(score - activations.score(CLASSES, model.head(kept).detach()))
    weights = torch.stack(drops, 1) / score.abs()[:, None]
    torch.testing.assert_close(found, torch.einsum("nk,nkhw->nhw", weights, features).relu())


def test_gradient_methods_explain_a_head_that_cam_refuses() -> None:
    torch.manual_seed(0)
    net, batch = net_with(Cosine(512, 3, bias=False)), images("resnet")
    result = CAMExtractor(net, grad_cam)(batch, CLASSES)
    with torch.no_grad():
        assert torch.equal(result.logits, net(batch))
    inner = LayerModel(net, "layer4").activations(batch)
    torch.testing.assert_close(result.coarse, grad_cam(inner, CLASSES))


def test_squeezenet_with_a_convolution_of_the_users_is_told_for_what_it_is() -> None:
    class Doubled(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    net = tv.squeezenet1_1(num_classes=3).eval()
    net.classifier[1] = Doubled(512, 3, 1)
    with pytest.raises(UnsupportedHeadError, match="got a Sequential"):
        CAMExtractor(net, cam)(images("any"), 0)
    with torch.no_grad():
        assert torch.equal(adapt(net)(images("any")), net(images("any")))

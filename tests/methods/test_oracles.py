"""Other libraries: where we agree, and where we differ and they are wrong.

They come with the extra ``oracle``. Layers are those that no in-place operation follows, unless the
test is about that; networks are small and in float32, as two of the three work in nothing else.
"""

import copy
import warnings
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cameval import (
    ScoreCAM,
    adapt,
    cam,
    eigen_cam,
    grad_cam,
    grad_cam_pp,
    hires_cam,
    layer_cam,
    normalize_maps,
    split,
    xgrad_cam,
)
from cameval.maps import upsample
from cameval.methods import (
    ISCAM,
    KPCACAM,
    AblationCAM,
    RefineCAM,
    WinsorCAM,
    eigen_grad_cam,
    grad_cam_elementwise,
    shapley_cam,
)
from cameval.networks import GAPHead, LayerModel, PooledHead, Split

REASON = "the extra 'oracle' is not installed"
CLASSES = torch.tensor([1, 0, 3])


def peer(name: str) -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=REASON)


class Net(nn.Module):
    """A network as the peers know them; `curve` makes its head neither linear nor pooled."""

    def __init__(self, *, curve: bool, stride: int = 2, inplace: bool = False) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 5, 3, stride=stride, padding=1)
        self.relu = nn.ReLU(inplace=inplace)
        self.second = nn.Conv2d(5, 7, 3, stride=stride, padding=1)
        self.last = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d((2, 2) if curve else (1, 1))
        self.mlp = nn.Sequential(nn.Linear(28, 9), nn.Tanh()) if curve else nn.Identity()
        self.fc = nn.Linear(9 if curve else 7, 4)

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        x = self.last(self.second(self.relu(self.first(images))))
        return self.fc(self.mlp(self.pool(x).flatten(1)))


@split.register
def _(net: Net) -> Split:
    classifier = nn.Sequential(net.mlp, net.fc)
    curved = isinstance(net.mlp, nn.Sequential)
    head = PooledHead(net.pool, classifier) if curved else GAPHead(net.fc)
    return Split(nn.Sequential(net.first, net.relu, net.second, net.last), head)


def made(*, curve: bool, stride: int = 2, inplace: bool = False) -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = Net(curve=curve, stride=stride, inplace=inplace).eval()
        with torch.no_grad():
            net.fc.weight.mul_(8)
            net.fc.bias.fill_(2)  # the scores of the classes are positive
        assert (net(shown())[torch.arange(3), CLASSES] > 0).all()
    return net


def shown() -> Tensor:
    return torch.randn(3, 3, 12, 16, generator=torch.Generator().manual_seed(0))


def ours(net: Net, method, layer: str = "last") -> Tensor:
    return method(LayerModel(net, layer).activations(shown()), CLASSES)


def as_grad_cam_shows_it(maps: Tensor) -> Tensor:
    """Rectified, scaled, enlarged and scaled again, with an epsilon of 1e-7 each time."""

    def scaled(values: Tensor) -> Tensor:
        values = values - values.amin((1, 2), keepdim=True)
        return values / (1e-7 + values.amax((1, 2), keepdim=True))

    return scaled(upsample(scaled(maps.relu()), (12, 16)))


def theirs(name: str, net: Net, layer: str = "last", **settings: object) -> Tensor:
    """Make the maps of pytorch-grad-cam, on a copy: it leaves gradients behind."""
    library = peer("pytorch_grad_cam")
    targets = peer("pytorch_grad_cam.utils.model_targets")
    twin = copy.deepcopy(net)
    method = getattr(library, name)(twin, [twin.get_submodule(layer)], **settings)
    chosen = [targets.ClassifierOutputTarget(c) for c in CLASSES.tolist()]
    return torch.from_numpy(np.asarray(method(shown(), chosen), dtype=np.float32))


def of_torchcam(name: str, net: Net, layer: str = "last", **settings: object) -> Tensor:
    """Make the raw maps of torchcam."""
    method = getattr(peer("torchcam.methods"), name)
    with method(copy.deepcopy(net), layer, **settings) as extractor:
        scores = extractor.model(shown().requires_grad_())
        return extractor(CLASSES.tolist(), scores, normalized=False)[0].detach()


@pytest.mark.parametrize("curve", [False, True])
@pytest.mark.parametrize("layer", ["first", "relu", "second", "last"])
def test_grad_cam_is_captums(curve: bool, layer: str) -> None:
    net = made(curve=curve)
    attribution = peer("captum.attr").LayerGradCam(net, net.get_submodule(layer))
    expected = attribution.attribute(shown(), CLASSES, relu_attributions=True)[:, 0]
    torch.testing.assert_close(ours(net, grad_cam, layer), expected)


def test_before_an_in_place_operation_captum_agrees_and_the_others_do_not() -> None:
    """B1: pytorch-grad-cam pairs the overwritten activation with the gradient before it."""
    net = made(curve=True, inplace=True)
    expected = ours(made(curve=True), grad_cam, "first")
    torch.testing.assert_close(ours(net, grad_cam, "first"), expected)
    attribution = peer("captum.attr").LayerGradCam(net, net.first)
    captums = attribution.attribute(shown(), CLASSES, relu_attributions=True)[:, 0]
    torch.testing.assert_close(captums, expected)
    wrong = theirs("GradCAM", net, "first")
    assert (wrong - as_grad_cam_shows_it(expected)).abs().max() > 0.01
    assert (of_torchcam("GradCAM", net, "first") - expected).abs().max() > 0.01 * expected.max()


@pytest.mark.parametrize("curve", [False, True])
@pytest.mark.parametrize(
    ("method", "name"),
    [(grad_cam, "GradCAM"), (layer_cam, "LayerCAM"), (xgrad_cam, "XGradCAM")],
)
def test_gradient_methods_are_torchcams(method, name: str, curve: bool) -> None:
    net = made(curve=curve)
    torch.testing.assert_close(ours(net, method).relu(), of_torchcam(name, net))


def test_cam_is_torchcams() -> None:
    net = made(curve=False)
    found = cam(adapt(net).activations(shown()), CLASSES)
    torch.testing.assert_close(found, of_torchcam("CAM", net, fc_layer="fc"))


@pytest.mark.parametrize("curve", [False, True])
@pytest.mark.parametrize(
    ("method", "name"),
    [
        (AblationCAM(), "AblationCAM"),
        (grad_cam, "GradCAM"),
        (grad_cam_elementwise, "GradCAMElementWise"),
        (hires_cam, "HiResCAM"),
        (layer_cam, "LayerCAM"),
        (shapley_cam, "ShapleyCAM"),
        (xgrad_cam, "XGradCAM"),
    ],
)
def test_methods_are_those_of_grad_cam(method, name: str, curve: bool) -> None:
    net = made(curve=curve)
    expected = as_grad_cam_shows_it(ours(net, method))
    torch.testing.assert_close(theirs(name, net), expected)


@pytest.mark.parametrize("curve", [False, True])
@pytest.mark.parametrize(
    ("method", "name"),
    [(eigen_cam, "EigenCAM"), (eigen_grad_cam, "EigenGradCAM"), (KPCACAM(), "KPCA_CAM")],
)
def test_eigen_methods_are_those_of_grad_cam_up_to_their_sign(
    method, name: str, curve: bool
) -> None:
    net = made(curve=curve)
    raw, found = ours(net, method), theirs(name, net)
    for n in range(3):
        either = [as_grad_cam_shows_it(sign * raw[n : n + 1])[0] for sign in (1, -1)]
        distance = [(found[n] - one).abs().max() for one in either]
        torch.testing.assert_close(found[n], either[int(np.argmin(distance))])


def with_epsilon(activations, target) -> Tensor:
    """Grad-CAM++ as pytorch-grad-cam has it: eq. 19 with 1e-6 in the denominator."""
    g, features = activations.gradients(target), activations.features
    total = features.sum((2, 3), keepdim=True)
    alpha = g**2 / (2 * g**2 + total * g**3 + 1e-6)
    weights = (g.relu() * alpha).sum((2, 3), keepdim=True)
    return (weights * features).sum(1)


@pytest.mark.parametrize("curve", [False, True])
def test_grad_cam_pp_is_that_of_grad_cam_with_its_epsilon(curve: bool) -> None:
    net = made(curve=curve)
    expected = as_grad_cam_shows_it(ours(net, with_epsilon))
    torch.testing.assert_close(theirs("GradCAMPlusPlus", net), expected)


def test_the_epsilon_of_grad_cams_grad_cam_pp_is_not_small() -> None:
    """B13: gradients of a thousandth are no match for it."""
    net = made(curve=True)
    with torch.no_grad():
        net.fc.weight.mul_(0.02)
    found, wrong = as_grad_cam_shows_it(ours(net, grad_cam_pp)), theirs("GradCAMPlusPlus", net)
    assert (found - wrong).abs().max() > 0.02
    torch.testing.assert_close(wrong, as_grad_cam_shows_it(ours(net, with_epsilon)))


def test_torchcams_grad_cam_pp_never_divides() -> None:
    """B2: its weights are those of no paper."""
    net = made(curve=True)

    def undivided(activations, target) -> Tensor:
        g = activations.gradients(target)
        weights = (g**2 * g.relu()).sum((2, 3), keepdim=True)
        return (weights * activations.features).sum(1).relu()

    wrong = of_torchcam("GradCAMpp", net)
    torch.testing.assert_close(wrong, ours(net, undivided))
    difference = normalize_maps(wrong) - normalize_maps(ours(net, grad_cam_pp))
    assert difference.abs().max() > 0.01


def test_grad_cam_turns_ablation_round_where_the_score_is_negative() -> None:
    """B5: it divides by the score with its sign."""
    net = made(curve=False)
    expected = normalize_maps(ours(net, AblationCAM()))
    with torch.no_grad():
        net.fc.bias.fill_(-4)
    assert (net(shown()) < 0).all()
    right, wrong = ours(net, AblationCAM()), theirs("AblationCAM", net)
    torch.testing.assert_close(normalize_maps(right), expected)
    assert (wrong - as_grad_cam_shows_it(right)).abs().max() > 0.5


def test_score_cams_agree_where_nothing_is_interpolated() -> None:
    net = made(curve=True, stride=1)
    raw = ours(net, ScoreCAM())
    torch.testing.assert_close(of_torchcam("ScoreCAM", net), raw)
    torch.testing.assert_close(theirs("ScoreCAM", net), as_grad_cam_shows_it(raw))
    torch.testing.assert_close(of_torchcam("ISCAM", net, num_samples=1), raw)


def test_score_cams_are_three_conventions_where_something_is() -> None:
    """Ours: half-pixel interpolation first, then each channel scaled on the image."""
    net = made(curve=True)
    raw = ours(net, ScoreCAM())
    assert (of_torchcam("ScoreCAM", net) - raw).abs().max() > 1e-4 * raw.max()
    assert (theirs("ScoreCAM", net) - as_grad_cam_shows_it(raw)).abs().max() > 1e-4


def test_torchcams_iscam_makes_its_masks_brighter_than_the_image() -> None:
    net = made(curve=True, stride=1)
    right, wrong = ours(net, ISCAM(num_samples=4)), of_torchcam("ISCAM", net, num_samples=4)
    assert (right - wrong).abs().max() > 1e-3 * right.max()


def test_torchcams_smooth_grad_cam_pp_cannot_be_repeated() -> None:
    """B3: its noise is not seeded, and its activations are those of the last noisy pass."""
    first, second = (of_torchcam("SmoothGradCAMpp", made(curve=True)) for _ in range(2))
    assert not torch.equal(first, second)


def over_layers(net: Net, method) -> Tensor:
    return method(adapt(net).activations(shown()), CLASSES)


def refined(net: Net, layers: list[str], base: str) -> Tensor:
    """Make torchcam's product over layers, on the grid of the finest."""
    library = peer("torchcam.methods")
    with library.RefineCAM(copy.deepcopy(net), layers, base_method=getattr(library, base)) as made:
        scores = made.base_cam.model(shown().requires_grad_())
        return made(CLASSES.tolist(), scores, normalized=False)[0].detach()


@pytest.mark.parametrize(
    ("method", "base"), [(grad_cam, "GradCAM"), (layer_cam, "LayerCAM"), (xgrad_cam, "XGradCAM")]
)
def test_refine_cam_is_torchcams_where_nothing_is_interpolated(method, base: str) -> None:
    net = made(curve=True)
    found = over_layers(net, RefineCAM(method, ("second", "last")))
    torch.testing.assert_close(found, refined(net, ["second", "last"], base), atol=1e-6, rtol=1e-5)


def test_torchcams_refine_cam_does_not_scale_after_the_interpolation() -> None:
    """The maximum of an interpolated map is less than 1 there, as no cell lies on the maximum."""
    net = made(curve=True)
    right = over_layers(net, RefineCAM(grad_cam, ("relu", "last")))
    wrong = refined(net, ["relu", "last"], "GradCAM")
    assert right.shape == wrong.shape == (3, 6, 8)
    assert (right - wrong).abs().max() > 0.01


def test_grad_cams_refine_cam_scales_on_the_image() -> None:
    """Its loop that rescales each map has no effect; the maps are in [0, 1] already."""
    library = peer("pytorch_grad_cam")
    targets = peer("pytorch_grad_cam.utils.model_targets")
    net = made(curve=True)
    twin = copy.deepcopy(net)
    layers = [twin.second, twin.last]
    chosen = [targets.ClassifierOutputTarget(c) for c in CLASSES.tolist()]
    theirs = library.RefineCAM(twin, layers, base_method=library.GradCAM)(shown(), chosen)
    each = [as_grad_cam_shows_it(ours(net, grad_cam, layer)) for layer in ("second", "last")]
    product = each[0] * each[1]
    top = product.amax((1, 2), keepdim=True)
    torch.testing.assert_close(torch.from_numpy(np.float32(theirs)), product / top)


def test_winsor_cam_with_equal_weights_is_the_sum_of_grad_cams_of_captum() -> None:
    net = made(curve=True)
    library = peer("captum.attr")
    total = torch.zeros(3, 6, 8)
    importances = []
    for layer in ("first", "relu"):
        module = net.get_submodule(layer)
        raw = library.LayerGradCam(net, module).attribute(shown(), CLASSES, relu_attributions=True)[
            :, 0
        ]
        gradient = library.LayerGradientXActivation(net, module, multiply_by_inputs=False)
        importances.append(gradient.attribute(shown(), CLASSES).mean((1, 2, 3)))
        total += normalize_maps(raw) * (importances[-1] > 0)[:, None, None]
    assert (torch.stack(importances) > 0).any()
    found = over_layers(net, WinsorCAM(0, layers=("first", "relu")))
    torch.testing.assert_close(found, total, atol=1e-6, rtol=1e-5)

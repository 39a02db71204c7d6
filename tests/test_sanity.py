"""Sanity checks: random copies, similarity of maps, cascading randomization."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata
from small_networks import pictures, small, some_classes
from torch import nn
from torchvision.models import resnet18

from cameval import CAMExtractor, CAMModel, GAPHead, eigen_cam, grad_cam, hires_cam
from cameval.errors import (
    ArrayTypeError,
    ClassIndexError,
    LayerError,
    NonFiniteError,
    SettingError,
    ShapeError,
    UnsupportedModelError,
)
from cameval.methods import RandomCAM
from cameval.methods.controls import OtherClass
from cameval.sanity import (
    cascading_randomization,
    random_pair_similarity,
    randomized_copies,
    repeatability,
    untrained_copy,
)


def network():
    """Build a network with layers of every kind, with weights that no fresh one has."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        net = nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Sequential(nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.GroupNorm(2, 6), nn.ReLU()),
            nn.Flatten(2),
            nn.LayerNorm(49),
            nn.PReLU(6),
            nn.Flatten(),
            nn.Linear(6 * 49, 5),
        )
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor))
        net[1].num_batches_tracked.fill_(9)
    return net


STOPS = ["8", "6", "5", "3.1", "3.0", "1", "0"]


def snapshot(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def same_state(net, state):
    return all(torch.equal(state[name], value) for name, value in net.state_dict().items())


# --- Random copies ------------------------------------------------------------------------------


def test_copies_are_random_from_the_top_down_and_trained_below():
    net = network().train()
    before, pointers = snapshot(net), {p.data_ptr() for p in net.state_dict().values()}
    copies = list(randomized_copies(net, seed=3))
    assert [name for name, _ in copies] == STOPS
    for stop, (name, copy) in enumerate(copies):
        assert not any(module.training for module in copy.modules())
        for key, value in copy.state_dict().items():
            layer = key.rpartition(".")[0]
            if layer in STOPS[: stop + 1]:
                assert not torch.equal(value, before[key]), (name, key)
                assert value.data_ptr() not in pointers
            else:
                assert value.data_ptr() == net.state_dict()[key].data_ptr(), (name, key)
    assert same_state(net, before)
    assert all(module.training for module in net.modules())
    assert all(isinstance(parameter, nn.Parameter) for parameter in net.parameters())


def test_a_layer_is_random_in_the_same_way_in_every_copy_and_in_the_untrained_one():
    net = network()
    copies = [copy.state_dict() for _, copy in randomized_copies(net, seed=3)]
    for key, value in copies[0].items():
        if key.startswith("8."):
            assert all(torch.equal(copy[key], value) for copy in copies)
    last = untrained_copy(net, seed=3).state_dict()
    assert all(torch.equal(last[key], value) for key, value in copies[-1].items())
    chosen = dict(randomized_copies(net, seed=3, layers=["3", "0"]))
    assert list(chosen) == ["3", "0"]
    assert all(torch.equal(copies[4][key], v) for key, v in chosen["3"].state_dict().items())
    assert all(torch.equal(copies[6][key], v) for key, v in chosen["0"].state_dict().items())


def test_seeds_repeat_and_differ_and_touch_no_global_state():
    net = network()
    state = torch.random.get_rng_state()
    one, again, other = (untrained_copy(net, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert same_state(again, one.state_dict())
    assert not torch.equal(other[8].weight, one[8].weight)


def test_the_distribution_of_random_weights():
    net = nn.Sequential(
        nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.Linear(400, 300), nn.Embedding(500, 40)
    )
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.mul_(3).add_(5)
    conv, norm, linear, embedding = untrained_copy(net)
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (32 * 9)), rel=0.05)
    assert linear.weight.std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.05)
    assert not conv.bias.any()
    assert not linear.bias.any()
    assert norm.running_mean.tolist() == norm.bias.tolist() == [0] * 64
    assert norm.running_var.tolist() == norm.weight.tolist() == [1] * 64
    assert norm.num_batches_tracked == 0
    assert embedding.weight.mean().item() == pytest.approx(5, abs=0.1)
    assert embedding.weight.std().item() == pytest.approx(3, rel=0.05)


def test_a_copy_computes_like_any_network_of_its_family():
    net = resnet18(num_classes=3).train()
    images = torch.rand(2, 3, 64, 64)
    twin = untrained_copy(net, seed=1)
    with torch.no_grad():
        logits = twin(images)
    assert logits.isfinite().all()
    assert logits.std() > 0.01
    assert CAMExtractor(twin)(images).maps.shape == (2, 64, 64)
    stops = [name for name, _ in randomized_copies(net, layers=["conv1", "layer4", "fc"])]
    assert stops == ["fc", "layer4", "conv1"]
    assert net.training
    assert net.bn1.num_batches_tracked == 0


def test_layers_that_cannot_be_randomized_are_refused():
    with pytest.raises(LayerError, match="layer must name a module of Sequential, got 'head'"):
        randomized_copies(network(), layers=["head"])
    with pytest.raises(LayerError, match="must have weights, got '2'"):
        randomized_copies(network(), layers=["2"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_network_is_refused():
    class Script(torch.jit.ScriptModule):
        pass

    with pytest.raises(UnsupportedModelError, match=r"plain nn\.Module"):
        untrained_copy(nn.Sequential(Script()))


# --- Similarity ---------------------------------------------------------------------------------


def naive_similarity(a, b):
    """Write SSIM and Spearman's correlation out as their papers do."""
    scaled = [(each - each.min()) / max(np.ptp(each), 1e-300) for each in (a, b)]

    def mean(values):
        return gaussian_filter(values, 1.5, truncate=3.5)[5:-5, 5:-5]

    (ma, mb), (aa, bb) = map(mean, scaled), (mean(each**2) for each in scaled)
    ab = mean(scaled[0] * scaled[1])
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * ma * mb + c1) * (2 * (ab - ma * mb) + c2)
    below = (ma**2 + mb**2 + c1) * (aa - ma**2 + bb - mb**2 + c2)
    ranks = [rankdata(each.ravel()) for each in (a, b)]
    return (top / below).mean(), np.corrcoef(*ranks)[0, 1]


@given(st.integers(0, 1000), st.booleans())
def test_similarity_is_its_definition(seed, ties):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 13, 17))
    b = b + rng.normal() * a
    a, b = (a.round(), b.round()) if ties else (a, b)
    found = repeatability(a, b)
    assert [float(each) for each in found] == pytest.approx(naive_similarity(a, b), abs=1e-9)
    turned = [float(each) for each in repeatability(b, a)]
    assert turned == pytest.approx([float(each) for each in found], rel=1e-12, abs=1e-12)


def test_similarity_keeps_axes_and_kind_and_is_one_by_one():
    a, b = torch.rand(2, 2, 3, 12, 14)
    found = repeatability(a, b)
    assert found.ssim.shape == found.spearman.shape == (2, 3)
    assert isinstance(found.ssim, torch.Tensor)
    single = repeatability(a[1, 2], b[1, 2])
    assert (single.ssim, single.spearman) == (found.ssim[1, 2], found.spearman[1, 2])
    arrays = repeatability(a.numpy(), b.numpy())
    assert isinstance(arrays.ssim, np.ndarray)
    np.testing.assert_allclose(arrays.ssim, found.ssim, rtol=1e-6)


def test_a_constant_map_has_no_rank_correlation():
    varied, flat = torch.rand(12, 12), torch.ones(12, 12)
    for pair in ((varied, flat), (flat, varied), (flat, flat)):
        found = repeatability(*pair)
        assert found.spearman.isnan()
        assert found.ssim <= 1
    assert repeatability(flat, 3 * flat).ssim == 1
    turned = repeatability(varied, -varied)
    assert turned.spearman == -1
    assert turned.ssim < 0


def test_wrong_maps_are_refused():
    maps = torch.rand(2, 12, 12)
    with pytest.raises(NonFiniteError, match="again must be finite"):
        repeatability(maps, maps / 0)
    with pytest.raises(ShapeError, match="one shape"):
        repeatability(maps, maps[:1])
    with pytest.raises(ArrayTypeError, match="both be NumPy arrays or both torch"):
        repeatability(maps, maps.numpy())
    with pytest.raises(ShapeError, match=r"at least 11 for SSIM, got \(10, 12\)"):
        repeatability(maps[:, :10], maps[:, :10])
    with pytest.raises(ShapeError, match=r"\(N, H, W\)"):
        random_pair_similarity(maps[0])
    with pytest.raises(ShapeError, match="at least 11"):
        random_pair_similarity(maps[:1, :7])
    with pytest.raises(SettingError, match="pairs must be"):
        random_pair_similarity(maps, pairs=0)


def test_random_pairs_are_of_different_images_and_repeat():
    maps = torch.rand(2, 12, 12)
    expected = [float(each) for each in repeatability(maps[0], maps[1])]
    assert random_pair_similarity(maps, pairs=7) == pytest.approx(expected, rel=1e-5)
    many = torch.rand(5, 12, 12)
    assert random_pair_similarity(many, seed=3) == random_pair_similarity(many, seed=3)
    assert random_pair_similarity(many, seed=3) != random_pair_similarity(many, seed=4)
    pairs = [repeatability(a, b) for i, a in enumerate(many) for b in many[:i]]
    mean = np.mean([[each.ssim, each.spearman] for each in pairs], axis=0)
    assert random_pair_similarity(many, pairs=500) == pytest.approx(mean, abs=0.01)
    assert all(math.isnan(each) for each in random_pair_similarity(maps[:1]))
    half_flat = torch.stack([maps[0], maps[1], torch.zeros(12, 12)])
    assert random_pair_similarity(half_flat)[1] == pytest.approx(expected[1], rel=1e-5)


# --- The cascade --------------------------------------------------------------------------------


def test_the_cascade_compares_each_random_network_with_the_original():
    extract, images = CAMExtractor(small("curved"), hires_cam), pictures("curved", 4)
    before = snapshot(extract.model)
    result = extract(images)
    cascade = cascading_randomization(extract, images, seed=5)
    assert cascade.layers == ("head.4", "head.2", "features.0")
    assert cascade.ssim.shape == cascade.spearman.shape == (3, 4)
    for stop, (_, copy) in enumerate(randomized_copies(extract.model, seed=5)):
        maps = CAMExtractor(copy, hires_cam)(images, result.classes).maps
        found = repeatability(result.maps.numpy(), maps.numpy())
        np.testing.assert_array_equal(cascade.ssim[stop], found.ssim)
        np.testing.assert_array_equal(cascade.spearman[stop], found.spearman)
    level = random_pair_similarity(result.maps, seed=5)
    assert (cascade.random_ssim, cascade.random_spearman) == level
    assert same_state(extract.model, before)
    assert torch.equal(extract(images).maps, result.maps)
    rows = cascade.records()
    assert len(rows) == 12
    assert rows[5] == {
        "layer": "head.2",
        "image": 1,
        "ssim": cascade.ssim[1, 1],
        "spearman": cascade.spearman[1, 1],
    }


def test_the_cascade_detects_a_method_that_ignores_the_head():
    images = pictures("curved", 4)
    blind = cascading_randomization(CAMExtractor(small("curved"), RandomCAM()), images)
    assert (blind.ssim[:2] == 1).all()
    assert (blind.ssim[2] < 1).all()
    seeing = cascading_randomization(CAMExtractor(small("curved"), hires_cam), images)
    assert (seeing.ssim < 1).all()
    eigen = CAMExtractor(small("curved"), eigen_cam)
    assert (cascading_randomization(eigen, images, layers=["head"]).spearman > 0.999).all()


def test_constant_maps_of_a_random_network_have_no_rank_correlation():
    cascade = cascading_randomization(
        CAMExtractor(small("pooled"), grad_cam), pictures("pooled", 8), seed=1
    )
    flat = []
    extract = CAMExtractor(small("pooled"), grad_cam)
    original = extract(pictures("pooled", 8))
    for _, copy in randomized_copies(extract.model, seed=1):
        maps = CAMExtractor(copy, grad_cam)(pictures("pooled", 8), original.classes).maps
        either = torch.stack([maps.flatten(1).std(1) == 0, original.maps.flatten(1).std(1) == 0])
        flat.append(either.any(0).tolist())
    assert np.isnan(cascade.spearman).tolist() == flat


def test_the_classes_are_kept_and_one_per_image():
    extract, images = CAMExtractor(small("curved"), hires_cam), pictures("curved")
    given = cascading_randomization(extract, images, classes=2, layers=["head.4"])
    (_, copy), *_ = randomized_copies(extract.model)
    maps = [CAMExtractor(net, hires_cam)(images, 2).maps.numpy() for net in (extract.model, copy)]
    np.testing.assert_array_equal(given.ssim[0], repeatability(*maps).ssim)
    with pytest.raises(ShapeError, match="one per image"):
        cascading_randomization(extract, images, classes=[[0, 1]] * 3)
    with pytest.raises(LayerError, match="must name a module"):
        cascading_randomization(extract, images, layers=["nowhere"])


def test_a_failure_in_the_cascade_does_not_change_the_network():
    extract, images = CAMExtractor(small("curved"), hires_cam), pictures("curved")
    before = snapshot(extract.model)
    calls = []

    def failing(activations, target):
        calls.append(target)
        if len(calls) == 3:
            raise RuntimeError("third map")
        return hires_cam(activations, target)

    with pytest.raises(RuntimeError, match="third map"):
        cascading_randomization(CAMExtractor(extract.model, failing), images)
    assert same_state(extract.model, before)
    assert not any(module._forward_hooks for module in extract.model.modules())


# --- The wrong class ----------------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["pooled", "curved", "inner"])
def test_the_other_class_has_the_highest_logit_of_the_other_classes(cut):
    activations = small(cut).activations(pictures(cut, 8))
    for target in (some_classes(8), activations.logits.argmax(1)):
        others = []
        for row, own in zip(activations.logits.tolist(), target.tolist(), strict=True):
            others.append(max((c for c in range(4) if c != own), key=lambda c, row=row: row[c]))
        expected = hires_cam(activations, torch.tensor(others))
        assert torch.equal(OtherClass(hires_cam)(activations, target), expected)


def test_the_other_class_needs_classes():
    activations = small("curved").activations(pictures("curved"))
    with pytest.raises(SettingError, match="got a function of the output"):
        OtherClass(grad_cam)(activations, lambda logits: logits.sum(1))
    with pytest.raises(ClassIndexError, match=r"in \[0, 4\), got 9"):
        OtherClass(grad_cam)(activations, torch.tensor([0, 9, 1]))
    with pytest.raises(SettingError, match="method must be callable"):
        OtherClass("grad_cam")


def test_the_two_classes_of_one_logit_are_each_others_other_class():
    torch.manual_seed(0)
    single = CAMModel(nn.Conv2d(3, 2, 3), GAPHead(nn.Linear(2, 1))).eval()
    activations = single.activations(torch.rand(2, 3, 9, 9))
    found = OtherClass(hires_cam)(activations, torch.tensor([0, 1]))
    assert torch.equal(found, hires_cam(activations, torch.tensor([1, 0])))
    assert torch.equal(found[0], -hires_cam(activations, torch.tensor([0, 0]))[0])

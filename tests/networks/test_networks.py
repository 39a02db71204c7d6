"""Cut networks: logits and class maps are exact, and the user's network is not changed."""

import copy
import threading
from collections import OrderedDict

import pytest
import torch
import torchvision.models as tv
from families import EXACT, FAMILIES, family, images, state
from torch import Tensor, nn

import cameval
from cameval import CAMModel, GAPHead, adapt, split
from cameval.errors import (
    ArrayTypeError,
    LayerError,
    SettingError,
    ShapeError,
    UnsupportedHeadError,
    UnsupportedModelError,
)
from cameval.maps import CellCenters, upsample
from cameval.networks import LayerModel, PooledHead, Split
from cameval.networks._copies import private_copy
from cameval.networks.activations import identity
from cameval.networks.families import cut_after
from cameval.networks.layers import layer_activations


class Tiny(nn.Module):
    """A network that no family knows, whose body starts in place and holds a module twice."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.mix = nn.Conv2d(8, 8, 1)
        self.unused = nn.Conv2d(8, 8, 1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(8, classes)
        self.in_a_list = [self.mix]  # not registered, as in networks found in the wild

    def forward(self, images: Tensor) -> Tensor:
        """Logits of images."""
        features = self.relu(self.in_a_list[0](self.relu(self.norm(self.conv(images)))))
        return self.fc(self.drop(features.mean((2, 3))))


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_bit_identical_to_the_network(name: str) -> None:
    net, batch = family(name), images(name)
    with torch.no_grad():
        expected = net(batch)
        model = adapt(net)
        assert torch.equal(model(batch), expected)
        features, head = split(net)
        assert torch.equal(head(features(batch)), expected)
    assert torch.equal(model.activations(batch).logits, expected)
    assert not model.training


@pytest.mark.parametrize("name", FAMILIES)
def test_no_call_changes_the_network(name: str) -> None:
    net, batch = family(name), images(name, count=1)
    before = state(net)
    activations = adapt(net).activations(batch)
    activations.gradients(activations.logits.argmax(1))
    layer = next(n for n, m in net.named_modules() if isinstance(m, nn.Conv2d))
    adapt(net, layer=layer).activations(batch)
    assert state(net) == before


@pytest.mark.parametrize("name", EXACT)
def test_class_maps_average_to_the_logits_less_the_bias(name: str) -> None:
    net, batch = copy.deepcopy(family(name)).double(), images(name).double()
    model = adapt(net)
    activations = model.activations(batch)
    for classes in (activations.logits.argmax(1), activations.logits.argmin(1)):
        maps = model.head.class_maps(activations.features, classes)
        assert maps.shape == (2, *activations.features.shape[2:])
        total = maps.mean((1, 2)) + model.head.bias[classes]
        torch.testing.assert_close(total, activations.logits.gather(1, classes[:, None])[:, 0])
    spread = activations.logits.std()
    assert spread > 1e-3, "the law says nothing about logits that are all alike"


@pytest.mark.parametrize("name", FAMILIES)
def test_a_new_head_trains_on_a_copy(name: str) -> None:
    net = family(name)
    before = state(net)
    torch.manual_seed(0)
    if name == "maxvit":
        with pytest.raises(UnsupportedHeadError, match="in_channels"):
            adapt(net, num_classes=3)
        return
    model = adapt(net, num_classes=3)
    assert isinstance(model.head, GAPHead)
    batch, truth = images(name), torch.tensor([0, 2])
    with torch.no_grad():  # a step that is small for this network's features
        rate = 0.1 / model.features(batch).mean((2, 3)).square().sum(1).max().item()
    optimizer = torch.optim.SGD(model.head.parameters(), lr=rate)
    losses = []
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(batch), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(p.grad is not None for p in model.features.parameters() if p.requires_grad)
    assert state(net) == before


@pytest.mark.parametrize("name", ["alexnet", "vgg"])
def test_the_papers_change_makes_alexnet_and_vgg_exact(name: str) -> None:
    model = adapt(copy.deepcopy(family(name)).double(), num_classes=3)
    activations = model.activations(images(name).double())
    classes = activations.logits.argmax(1)
    maps = model.head.class_maps(activations.features, classes)
    chosen = activations.logits.gather(1, classes[:, None])[:, 0]
    torch.testing.assert_close(maps.mean((1, 2)) + model.head.bias[classes], chosen)


@pytest.mark.slow
@pytest.mark.parametrize("name", tv.list_models(module=tv))
def test_every_builder_is_cut_or_refused(name: str) -> None:
    with torch.device("cpu" if "regnet" in name else "meta"):
        kwargs = {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}
        net = tv.get_model(name, **kwargs).eval()
        if "vit_" in name and name != "maxvit_t":
            with pytest.raises(UnsupportedModelError, match="VisionTransformer"):
                adapt(net)
            return
        size = 224 if name == "maxvit_t" else 128
        batch = torch.zeros(1, 3, size, size)
    with torch.no_grad():
        assert adapt(net)(batch).shape == (1, 1000)


# --- networks that are not as torchvision built them ------------------------------------------


def test_the_error_for_an_unknown_network_names_its_last_step() -> None:
    class Stranger(Tiny):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).sigmoid()

    with pytest.raises(UnsupportedModelError, match=r"Stranger 'fc' .* last step, a sigmoid"):
        adapt(Stranger())


def test_a_registered_network_is_cut() -> None:
    class Known(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
            self.fc = nn.Linear(4, 2)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.body(images).mean((2, 3)))

    @split.register
    def _(net: Known) -> tuple[nn.Module, nn.Module]:
        return net.body, GAPHead(net.fc)

    net, batch = Known().eval(), images("known")
    assert torch.equal(adapt(net)(batch), net(batch))
    assert Known in split.registry
    with pytest.raises(SettingError, match=r"cell centers must be known .*networks\.Split"):
        cameval.CAMExtractor(net, alignment="receptive_field")


def test_a_registered_split_may_have_cell_centers() -> None:
    class Shifted(nn.Module):
        """The first cell lies at pixel 2.5, not in the middle of the first four pixels."""

        def __init__(self, stride: int = 4) -> None:
            super().__init__()
            self.body = nn.Conv2d(3, 4, 5, stride)
            self.fc = nn.Linear(4, 2)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.body(images).mean((2, 3)))

    @split.register
    def _(net: Shifted) -> Split:
        centers = CellCenters(0.5, 1).after(5, net.body.stride[0])
        return Split(net.body, GAPHead(net.fc), centers)

    net, batch = Shifted().eval(), torch.rand(2, 3, 25, 33)
    assert adapt(net).cell_centers == CellCenters(2.5, 4)
    assert adapt(Shifted(stride=2)).cell_centers == CellCenters(2.5, 2)
    assert adapt(net, num_classes=3).cell_centers == CellCenters(2.5, 4)
    aligned = cameval.CAMExtractor(net, cameval.cam, alignment="receptive_field")(batch, 1)
    expected = upsample(aligned.coarse, (25, 33), cell_centers=CellCenters(2.5, 4))
    assert torch.equal(aligned.maps, expected)
    assert not torch.allclose(cameval.CAMExtractor(net, cameval.cam)(batch, 1).maps, expected)


def test_declared_cell_centers_replace_computed_ones() -> None:
    class Declared(tv.SqueezeNet):
        pass

    def declare(net: Declared) -> Split:
        features, head = split.dispatch(tv.SqueezeNet)(net)
        return Split(features, head, CellCenters(1, 16))

    assert adapt(Declared()).cell_centers == CellCenters(17.5, 16)
    split.register(Declared, declare)
    assert adapt(Declared()).cell_centers == CellCenters(1, 16)


def test_a_network_is_split_once_by_adapt_and_by_an_extractor() -> None:
    class Counted(Tiny):
        splits = 0

    @split.register
    def _(net: Counted) -> Split:
        Counted.splits += 1
        return Split(nn.Sequential(net.conv, net.mix), GAPHead(net.fc), CellCenters(0.5, 1))

    model = adapt(Counted().eval())
    assert Counted.splits == 1
    extract = cameval.CAMExtractor(model, alignment="receptive_field", check=False)
    cameval.CAMSweep(model, {"cam": cameval.cam})
    extract(images("any"))
    assert Counted.splits == 1
    cameval.CAMExtractor(Counted().eval(), check=False)(images("any"))
    assert Counted.splits == 2


def test_a_subclass_with_a_forward_of_its_own_is_refused() -> None:
    class Doubled(tv.SqueezeNet):
        def forward(self, images: Tensor) -> Tensor:
            return 2 * super().forward(images)

    with pytest.raises(UnsupportedModelError, match="Doubled's own"):
        adapt(Doubled())
    patched = tv.squeezenet1_1()
    patched.forward = lambda batch: 2 * batch  # type: ignore[method-assign]
    with pytest.raises(UnsupportedModelError, match="the instance's own"):
        adapt(patched)


def test_a_subclass_without_one_is_cut_as_its_parent() -> None:
    class Renamed(tv.SqueezeNet):
        pass

    assert adapt(Renamed()).head.in_channels == 512


CHAIN = nn.Sequential


@pytest.mark.parametrize(
    ("build", "attribute", "classifier", "head"),
    [
        (tv.resnet18, "fc", nn.Linear(512, 3), GAPHead),
        (tv.resnet18, "fc", CHAIN(nn.Dropout(), nn.Linear(512, 3)), GAPHead),
        (tv.resnet18, "fc", CHAIN(nn.Linear(512, 8), nn.ReLU(), nn.Linear(8, 3)), PooledHead),
        (tv.resnet18, "fc", nn.Identity(), PooledHead),
        (tv.resnet18, "avgpool", nn.AdaptiveMaxPool2d(1), PooledHead),
        (tv.vgg11, "classifier", CHAIN(nn.Linear(25088, 3)), PooledHead),
        (
            tv.squeezenet1_1,
            "classifier",
            CHAIN(nn.Conv2d(512, 3, 1), nn.AdaptiveAvgPool2d(1)),
            CHAIN,
        ),
        (tv.convnext_tiny, "classifier", CHAIN(nn.Flatten(1), nn.Linear(768, 3)), CHAIN),
    ],
)
def test_the_head_has_the_type_of_a_replaced_classifier(build, attribute, classifier, head) -> None:
    net = build().eval()
    setattr(net, attribute, classifier)
    net.eval()
    batch = images("any")
    model = adapt(net)
    assert isinstance(model.head, head)
    with torch.no_grad():
        assert torch.equal(model(batch), net(batch))


def test_unsupported_heads_are_refused() -> None:
    with pytest.raises(UnsupportedHeadError, match="one nn\\.Linear, got ReLU"):
        GAPHead(nn.ReLU())  # type: ignore[arg-type]
    with pytest.raises(UnsupportedHeadError, match="MaxPool2d"):
        adapt(
            CAMModel(nn.Conv2d(3, 8, 3), PooledHead(nn.MaxPool2d(2), nn.Linear(8, 2))),
            num_classes=2,
        )
    no_bias = GAPHead(nn.Linear(4, 2, bias=False))
    assert torch.equal(no_bias.bias, torch.zeros(2))


def test_adapt_checks_its_settings() -> None:
    with pytest.raises(SettingError, match="num_classes must be a positive integer, got 0"):
        adapt(tv.squeezenet1_1(), num_classes=0)
    with pytest.raises(SettingError, match="both"):
        adapt(tv.squeezenet1_1(), num_classes=2, layer="features")
    model = adapt(tv.squeezenet1_1())
    assert adapt(model) is model
    inner = adapt(model, layer="features.0")
    assert adapt(inner) is inner


def test_without_a_fresh_head_the_modules_are_the_networks_own() -> None:
    net = family("resnet")
    assert set(adapt(net).features.children()) < set(net.children())


# --- inner layers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("alexnet", "features"),
        ("vgg", "features"),
        ("resnet", "layer4"),
        ("squeezenet", "features"),
        ("googlenet", "inception5b"),
        ("inception_v3", "Mixed_7c"),
        ("mobilenet_v2", "features"),
        ("mobilenet_v3", "features"),
        ("mnasnet", "layers"),
        ("shufflenet", "conv5"),
        ("efficientnet", "features"),
        ("regnet", "trunk_output"),
        ("convnext", "features"),
        ("swin", "permute"),
    ],
)
def test_a_layer_by_name_equals_the_split_at_the_same_place(name: str, layer: str) -> None:
    net, batch = family(name), images(name)
    cut = adapt(net).activations(batch)
    hooked = layer_activations(net, {layer: identity}, batch)[layer]
    assert hooked.head is None
    classes = cut.logits.argmax(1)
    for found in (hooked, adapt(net, layer=layer).activations(batch)):
        assert torch.equal(cut.features, found.features)
        assert torch.equal(cut.logits, found.logits)
        torch.testing.assert_close(cut.gradients(classes), found.gradients(classes))


@pytest.mark.parametrize(
    ("name", "layer", "tail"),
    [
        ("resnet", "layer2", ["layer3", "layer4", "head"]),
        ("resnet", "layer3.0", ["layer3", "layer4", "head"]),
        ("vgg", "features.18", ["19", "20", "head"]),
        ("densenet", "features.denseblock3", ["features", "relu", "head"]),
        ("resnet", "layer3.0.conv1", None),
        ("vgg", "classifier.0", None),
        ("resnet", "layer4.1.relu", None),
    ],
)
def test_a_declared_network_is_cut_between_its_stages(name, layer, tail) -> None:
    net, batch = family(name), images(name)
    cut = cut_after(net, layer)
    if tail is None:
        assert cut is None
        return
    assert [child for child, _ in cut.head.named_children()] == tail
    hooked = layer_activations(net, {layer: identity}, batch)[layer]
    found = cut.activations(batch)
    assert torch.equal(found.features, hooked.features)
    assert torch.equal(found.logits, hooked.logits)
    others = torch.rand_like(found.features)
    with torch.no_grad():
        torch.testing.assert_close(found.rerun(others, batch), hooked.rerun(others, batch))


def test_layer_models_predict_as_the_network() -> None:
    net, batch = family("resnet"), images("resnet")
    assert torch.equal(adapt(net, layer="layer2")(batch), net(batch))


def test_the_error_for_an_unknown_layer_lists_similar_names() -> None:
    with pytest.raises(LayerError, match=r"got 'layer5'; close names are 'layer\d'"):
        adapt(family("resnet"), layer="layer5")
    with pytest.raises(LayerError, match="got ''"):
        adapt(family("resnet"), layer="")


def test_a_layer_must_run_once_and_give_feature_maps() -> None:
    batch = images("resnet")
    with pytest.raises(LayerError, match="got 2 runs"):
        adapt(family("resnet"), layer="layer4.1.relu").activations(batch)
    with pytest.raises(LayerError, match=r"float32 of shape \(2, 1000\)"):
        adapt(family("resnet"), layer="fc").activations(batch)
    with pytest.raises(LayerError, match="got 0 runs"):
        adapt(Tiny().eval(), layer="unused").activations(batch)


def test_a_layer_without_effect_on_the_output_is_refused() -> None:
    class Ignoring(Tiny):
        def forward(self, images: Tensor) -> Tensor:
            self.mix(self.conv(images))
            return self.fc(self.conv(images[:, :, 1:]).mean((2, 3)))

    activations = adapt(Ignoring().eval(), layer="mix").activations(images("any"))
    with pytest.raises(LayerError, match="must depend on the features"):
        activations.gradients(torch.tensor([0, 1]))


def test_a_network_must_return_one_tensor_with_a_row_for_each_image() -> None:
    class Dictionary(Tiny):
        def forward(self, images: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
            return {"out": super().forward(images)}

    class Summing(Tiny):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).sum(0)

    batch = images("any")
    with pytest.raises(UnsupportedModelError, match="got a dict of 1: 'out'"):
        adapt(Dictionary().eval(), layer="conv").activations(batch)
    with pytest.raises(ShapeError, match=r"one row for each of 2 images, got shape \(3,\)"):
        adapt(Summing().eval(), layer="conv").activations(batch)


# --- the user's objects -----------------------------------------------------------------------


def test_a_network_in_training_mode_runs_in_evaluation_mode_and_is_not_changed() -> None:
    net = copy.deepcopy(family("mobilenet_v2"))
    batch = images("any")
    expected = adapt(net).activations(batch)
    net.train()
    before = state(net)
    for model in (adapt(net), adapt(net, layer="features")):
        found = model.activations(batch)
        assert torch.equal(found.logits, expected.logits)
        assert torch.equal(found.features, expected.features)
    assert state(net) == before


def test_a_private_copy_has_the_current_weights_of_the_network() -> None:
    net, batch = Tiny().eval(), images("any")
    model = adapt(net, layer="conv")
    first = model.activations(batch).logits
    with torch.no_grad():
        net.fc.weight.mul_(2)
        net.fc.bias.mul_(2)
    assert torch.equal(model.activations(batch).logits, 2 * first)
    net.double()
    assert model.activations(batch.double()).logits.dtype == torch.float64


def test_a_private_copy_contains_no_module_of_the_network() -> None:
    net = Tiny()
    twin = private_copy(net)
    assert not set(net.modules()) & set(twin.modules())
    assert twin.in_a_list == [twin.mix]
    for mine, theirs in zip(twin.parameters(), net.parameters(), strict=True):
        assert mine.data_ptr() == theirs.data_ptr()
    assert net.training
    assert not any(module.training for module in twin.modules())


def test_a_private_copy_shares_what_cannot_be_copied() -> None:
    net = Tiny()
    net.lock = threading.Lock()  # type: ignore[assignment]
    net.table = torch.ones(2)  # a tensor that is neither parameter nor buffer
    twin = private_copy(net)
    assert twin.lock is net.lock
    assert twin.table.data_ptr() == net.table.data_ptr()


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated:FutureWarning")
def test_a_scripted_network_is_refused() -> None:
    net = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 2, 3)))
    net.add_module("scripted", torch.jit.script(nn.ReLU()))
    with pytest.raises(UnsupportedModelError, match="pass the network that was scripted"):
        private_copy(net)


def test_hooks_and_gradients_of_the_user_survive() -> None:
    net, batch = copy.deepcopy(family("resnet")), images("resnet")
    seen: list[str] = []
    net.layer4.register_forward_hook(lambda *_: seen.append("layer4"))
    net(batch).sum().backward()
    net.conv1.weight.requires_grad_(False)
    seen.clear()
    before = state(net)
    adapt(net).activations(batch).gradients(torch.tensor([0, 1]))
    adapt(net, layer="layer3").activations(batch).gradients(torch.tensor([0, 1]))
    after = state(net)
    assert seen == ["layer4", "layer4"]
    for old, new in zip(before[1], after[1], strict=True):  # type: ignore[call-overload]
        assert old[:5] == new[:5]
        assert (old[5] is None and new[5] is None) or torch.equal(old[5], new[5])
    assert (before[0], before[2:]) == (after[0], after[2:])


def test_hooks_that_a_cut_would_skip_are_refused() -> None:
    net, batch = copy.deepcopy(family("resnet")), images("resnet")
    net.register_forward_pre_hook(lambda _module, inputs: ((inputs[0] - 0.5) * 4,))
    with torch.no_grad():
        expected = net(batch)
    model = adapt(net)  # by proof: the whole network runs, its hooks included
    assert torch.equal(model.activations(batch).logits, expected)
    assert torch.equal(model(batch), expected)
    assert torch.equal(adapt(net, layer="layer4").activations(batch).logits, expected)
    other = copy.deepcopy(family("resnet"))
    other.avgpool.register_forward_hook(lambda _module, _inputs, output: output * 2)
    with pytest.raises(UnsupportedModelError, match="avgpool"):
        adapt(other)


def own_model(kind: str, base: type[CAMModel] = CAMModel) -> CAMModel | LayerModel:
    body = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), relu=nn.ReLU()))
    model = base(body, GAPHead(nn.Linear(4, 2))).eval()
    return adapt(model, layer="features.conv") if kind == "LayerModel" else model


@pytest.mark.parametrize("kind", ["CAMModel", "LayerModel"])
@pytest.mark.parametrize("which", ["register_forward_hook", "register_forward_pre_hook"])
def test_hooks_on_a_model_of_cameval_are_refused(kind: str, which: str) -> None:
    model, batch = own_model(kind), images("any")
    extract = cameval.CAMExtractor(model)
    handle = getattr(model, which)(lambda *_: None)
    for take in (adapt, cameval.CAMExtractor, lambda _: extract(batch)):
        with pytest.raises(UnsupportedModelError, match=f"hooks on {kind}, around"):
            take(model)
    if kind == "CAMModel":
        with pytest.raises(UnsupportedModelError, match="hooks on CAMModel"):
            adapt(model, num_classes=3)
    handle.remove()
    assert adapt(model) is model


def test_hooks_inside_a_model_of_cameval_run() -> None:
    model, batch, seen = own_model("CAMModel"), images("any"), []
    model.features.register_forward_hook(lambda *_: seen.append("features"))
    model.head.register_forward_pre_hook(lambda *_: seen.append("head"))
    cameval.CAMExtractor(model)(batch)
    assert seen == ["features", "head"]


def test_a_hook_on_a_model_of_cameval_runs_for_maps_of_its_layers() -> None:
    model, batch = own_model("CAMModel"), images("any")
    model.register_forward_pre_hook(lambda _module, inputs: ((inputs[0] - 0.5) * 4,))
    with torch.no_grad():
        expected = model(batch)
    found = adapt(model, layer="features.conv").activations(batch).logits
    assert torch.equal(found, expected)


def test_a_model_of_cameval_that_overrides_forward_is_refused() -> None:
    class Doubled(CAMModel):
        def forward(self, images: Tensor) -> Tensor:
            return 2 * super().forward(images)

    class Twice(LayerModel):
        def forward(self, images: Tensor) -> Tensor:
            return 2 * super().forward(images)

    class Renamed(CAMModel):
        pass

    doubled = own_model("CAMModel", Doubled)
    for settings in ({}, {"num_classes": 3}, {"layer": "features.conv"}):
        with pytest.raises(UnsupportedModelError, match=r"a CAMModel must .* Doubled's own; put"):
            adapt(doubled, **settings)
    patched = own_model("CAMModel")
    patched.forward = lambda batch: 2 * batch  # type: ignore[method-assign]
    with pytest.raises(UnsupportedModelError, match="the instance's own"):
        adapt(patched)
    with pytest.raises(UnsupportedModelError, match=r"a LayerModel must .* of Twice's own"):
        adapt(Twice(own_model("CAMModel"), "features.conv"))
    renamed = own_model("CAMModel", Renamed)
    assert adapt(renamed) is renamed


def test_a_network_that_stores_its_results_is_copied_in_training_mode() -> None:
    class Keeping(Tiny):
        kept: list[Tensor]

        def forward(self, images: Tensor) -> Tensor:
            features = self.conv(images)
            self.kept = [features]  # a result with a graph, in a list
            return self.fc(features.mean((2, 3)))

    net, batch = Keeping().train(), images("any")
    net(batch)
    assert adapt(net, layer="conv").activations(batch).features.shape[1] == 8


def test_images_may_be_inference_tensors() -> None:
    class Gated(Tiny):
        def forward(self, images: Tensor) -> Tensor:
            return self.fc((self.conv(images) * images.mean(1, keepdim=True)).mean((2, 3)))

    with torch.inference_mode():
        batch = images("any")
    activations = adapt(Gated().eval(), layer="conv").activations(batch)
    assert activations.gradients(torch.tensor([0, 1])).abs().max() > 0


@pytest.mark.parametrize("layer", [None, "conv"])
def test_a_failing_network_is_not_changed(layer: str | None) -> None:
    class Failing(Tiny):
        def forward(self, images: Tensor) -> Tensor:
            super().forward(images)
            raise RuntimeError("on purpose")

    net = Failing()
    body = nn.Sequential(net, nn.Conv2d(3, 3, 1))
    model = CAMModel(body, GAPHead(nn.Linear(3, 2))) if layer is None else adapt(net, layer=layer)
    before = state(net)
    with pytest.raises(RuntimeError, match="on purpose"):
        model.activations(images("any"))
    assert state(net) == before


def test_features_that_are_not_maps_are_refused() -> None:
    model = CAMModel(nn.Flatten(), nn.Linear(3, 2)).eval()
    with pytest.raises(LayerError, match="choose a layer before the pooling"):
        model.activations(images("any"))


def test_a_head_may_begin_in_place() -> None:
    torch.manual_seed(0)
    body = nn.Conv2d(3, 4, 3)
    head = nn.Sequential(nn.ReLU(inplace=True), GAPHead(nn.Linear(4, 2)))
    batch, classes = images("any"), torch.tensor([0, 1])
    found = CAMModel(body, head).eval().activations(batch)
    features = body(batch).detach().requires_grad_()
    logits = head[1](features.relu())
    assert torch.equal(found.features, features)
    (expected,) = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), features)
    torch.testing.assert_close(found.gradients(classes), expected)


def test_errors_are_also_the_builtin_ones() -> None:
    assert issubclass(UnsupportedModelError, TypeError)
    assert issubclass(ArrayTypeError, cameval.errors.CamevalError)
    assert isinstance(LayerError("x"), ValueError)
    assert isinstance(adapt(Tiny(), layer="conv"), LayerModel)


class Overwriting(nn.Module):
    """Overwrite the input or the output of a layer after the layer has run."""

    def __init__(self, *, what: str) -> None:
        super().__init__()
        self.what = what
        self.conv = nn.Conv2d(3, 4, 3)
        self.passing = nn.Identity()
        self.fc = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        before = self.conv(images)
        after = self.passing(before)  # the same memory
        total = after.sin().mean((2, 3)) if self.what == "output after use" else 0
        (before if self.what == "input" else after).mul_(3).add_(1)
        return self.fc(after.cos().mean((2, 3)) + total)


@pytest.mark.parametrize("what", ["input", "output", "output after use"])
@pytest.mark.parametrize("create_graph", [False, True])
def test_features_that_the_network_overwrites_later_are_those_of_the_layer(
    what: str, create_graph: bool
) -> None:
    torch.manual_seed(0)
    net = Overwriting(what=what).double().eval()
    batch = torch.randn(2, 3, 5, 6, dtype=torch.float64)
    found = LayerModel(net, "passing").activations(batch, create_graph=create_graph)
    with torch.no_grad():
        assert torch.equal(found.features, net.conv(batch))
        if what != "input":  # through its input the network overwrites its own features alone
            assert torch.equal(found.logits, net(batch))

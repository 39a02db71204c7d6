"""Methods for transformers, against an explicit transformer, timm and transformers."""

import copy
import gc
import warnings
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import SwinTransformer, VisionTransformer, resnet18

from cameval import CAMExtractor, adapt
from cameval.errors import ClassIndexError, LayerError, SettingError, UnsupportedModelError
from cameval.methods import LeGrad, attention_relevance, attention_rollout
from cameval.networks import LayerModel, TokenGrid, channels_last_grid
from cameval.protocols import CAMMethod
from cameval.target_classes import all_classes

METHODS: dict[str, CAMMethod] = {
    "rollout": attention_rollout,
    "relevance": attention_relevance,
    "legrad": LeGrad(),
    "legrad, own pooling": LeGrad(pooling="network"),
    "legrad, two blocks": LeGrad(last_blocks=2),
}
CLASSES, HEADS, WIDTH, DEPTH = 5, 2, 12, 3
SETTINGS = {"num_heads": HEADS, "num_classes": CLASSES}


def randomize(net: nn.Module, seed: int = 0) -> nn.Module:
    """Draw all weights: torchvision's own head is zero at first."""
    generator = torch.Generator().manual_seed(seed)
    net = net.double().eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0, 0.4, generator=generator)
    return net


def vit(seed: int = 0) -> VisionTransformer:
    net = VisionTransformer(
        image_size=32, patch_size=8, num_layers=DEPTH, hidden_dim=WIDTH, mlp_dim=16, **SETTINGS
    )
    return randomize(net, seed)


def pictures(count: int = 3, size: tuple[int, int] = (32, 32)) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, *size, dtype=torch.float64, generator=generator)


def inner(net: nn.Module, layer: str = "encoder.layers") -> LayerModel:
    return adapt(net, layer=layer, grid=TokenGrid())


def maps_of(method: CAMMethod, net: nn.Module, classes: Tensor | None = None, **more) -> Tensor:
    classes = torch.tensor([0, 3, 4]) if classes is None else classes
    return method(inner(net, **more).activations(pictures()), classes)


# An explicit transformer of torchvision's weights, one image and one head at a time.


def normalize(tokens: Tensor, norm: nn.LayerNorm) -> Tensor:
    centered = tokens - tokens.mean(-1, keepdim=True)
    scale = (centered**2).mean(-1, keepdim=True) + norm.eps
    return centered / scale**0.5 * norm.weight + norm.bias


def explicit(net: VisionTransformer, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Return attention ``(heads, T, T)`` and tokens ``(T, K)`` of each block."""
    kernel, side = net.conv_proj.weight, 8
    patches = [
        (image[:, y : y + side, x : x + side] * kernel).sum((1, 2, 3)) + net.conv_proj.bias
        for y in range(0, 32, side)
        for x in range(0, 32, side)
    ]
    tokens = torch.stack([net.class_token[0, 0], *patches]) + net.encoder.pos_embedding[0]
    attention, outputs = [], []
    for block in net.encoder.layers:
        entry = normalize(tokens, block.ln_1)
        own = block.self_attention
        q, k, v = (entry @ own.in_proj_weight.T + own.in_proj_bias).split(WIDTH, 1)
        size = WIDTH // HEADS
        rows, mixed = [], []
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            weights = (q[:, part] @ k[:, part].T / size**0.5).exp()
            rows.append(weights / weights.sum(1, keepdim=True))
        both = torch.stack(rows)
        for head in range(HEADS):
            mixed.append(both[head] @ v[:, head * size : (head + 1) * size])
        tokens = tokens + own.out_proj(torch.cat(mixed, 1))
        tokens = tokens + block.mlp(normalize(tokens, block.ln_2))
        attention.append(both)
        outputs.append(tokens)
    return attention, outputs


def classify(net: VisionTransformer, token: Tensor) -> Tensor:
    return normalize(token, net.encoder.ln) @ net.heads.head.weight.T + net.heads.head.bias


def rollout_by_hand(net: VisionTransformer, image: Tensor, _: int) -> Tensor:
    product = torch.eye(17, dtype=torch.float64)
    for attention in explicit(net, image)[0]:
        step = attention.mean(0) + torch.eye(17)
        product = (step / step.sum(1, keepdim=True)) @ product
    torch.testing.assert_close(product.sum(1), torch.ones_like(product[0]))
    return product[0, 1:]


def relevance_by_hand(net: VisionTransformer, image: Tensor, target: int) -> Tensor:
    attention, tokens = explicit(net, image)
    score = classify(net, tokens[-1][0])[target]
    gradients = torch.autograd.grad(score, attention)
    relevance = torch.eye(17, dtype=torch.float64)
    for weights, gradient in zip(attention, gradients, strict=True):
        mean = torch.zeros(17, 17, dtype=torch.float64)
        for head in range(HEADS):
            mean += (weights[head] * gradient[head]).clamp(min=0) / HEADS
        relevance = relevance + mean @ relevance
    return relevance[0, 1:]


def legrad_by_hand(
    net: VisionTransformer, image: Tensor, target: int, own: bool = False, last: int = DEPTH
) -> Tensor:
    attention, tokens = explicit(net, image)
    total = torch.zeros(17, dtype=torch.float64)
    for weights, after in list(zip(attention, tokens, strict=True))[-last:]:
        score = classify(net, after[0] if own else after.mean(0))[target]
        (gradient,) = torch.autograd.grad(score, weights, retain_graph=True)
        for head in range(HEADS):
            for query in range(17):
                total += gradient[head, query].clamp(min=0) / (HEADS * 17 * last)
    return total[1:]


BY_HAND: dict[str, Callable[..., Tensor]] = {
    "rollout": rollout_by_hand,
    "relevance": relevance_by_hand,
    "legrad": legrad_by_hand,
    "legrad, own pooling": lambda *given: legrad_by_hand(*given, own=True),
    "legrad, two blocks": lambda *given: legrad_by_hand(*given, last=2),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_map_is_the_formula_on_an_explicit_transformer(name: str) -> None:
    net, classes = vit(), [0, 3, 4]
    found = maps_of(METHODS[name], net, torch.tensor(classes))
    expected = [BY_HAND[name](net, *pair) for pair in zip(pictures(), classes, strict=True)]
    torch.testing.assert_close(found, torch.stack(expected).reshape(3, 4, 4).detach())
    assert found.min() >= 0
    assert found.any()


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_is_its_images_one_by_one_and_twice_the_same(name: str) -> None:
    net, batch, classes = inner(vit()), pictures(), torch.tensor([0, 3, 4])
    together = METHODS[name](net.activations(batch), classes)
    alone = [METHODS[name](net.activations(batch[n : n + 1]), classes[n : n + 1]) for n in range(3)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert torch.equal(METHODS[name](net.activations(batch), classes), together)


@pytest.mark.parametrize("name", METHODS)
def test_surroundings_mode_and_frozen_weights_change_nothing(name: str) -> None:
    net = vit()
    expected = maps_of(METHODS[name], net)
    assert expected.grad_fn is None
    frozen = copy.deepcopy(net).requires_grad_(False)
    with torch.no_grad():
        torch.testing.assert_close(maps_of(METHODS[name], frozen), expected)
    with torch.inference_mode():
        classes = torch.tensor([0, 3, 4])
        result = CAMExtractor(inner(frozen), METHODS[name])(pictures(), classes)
    torch.testing.assert_close(result.coarse, expected)
    assert not result.maps.is_inference()
    training = copy.deepcopy(net).train()
    training.encoder.dropout.p = 0.5
    torch.testing.assert_close(maps_of(METHODS[name], training), expected)
    assert training.encoder.layers[0].training


@pytest.mark.parametrize("name", METHODS)
def test_nothing_of_the_network_is_changed_or_held(name: str) -> None:
    net, batch = vit(), pictures()
    before = copy.deepcopy(net.state_dict())
    activations = inner(net).activations(batch)
    known = weakref.ref(activations.features)
    maps = METHODS[name](activations, torch.tensor([0, 3, 4]))
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    del activations
    if known() is not None:  # a cycle holds it
        gc.collect()
    assert known() is None
    assert maps.shape == (3, 4, 4)


@pytest.mark.parametrize("name", METHODS)
def test_float32_is_float64_to_rounding(name: str) -> None:
    net = vit()
    single = inner(copy.deepcopy(net).float()).activations(pictures().float())
    found = METHODS[name](single, torch.tensor([0, 3, 4]))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), maps_of(METHODS[name], net), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", sorted(METHODS.keys() - {"rollout"}))
def test_the_target_is_a_class_or_a_function_of_the_output(name: str) -> None:
    net, classes = vit(), torch.tensor([0, 3, 4])

    def own(outputs: Tensor) -> Tensor:
        return outputs[torch.arange(3), classes]

    activations = inner(net).activations(pictures())
    expected = METHODS[name](activations, classes)
    torch.testing.assert_close(METHODS[name](activations, own), expected)
    assert not torch.allclose(METHODS[name](activations, torch.tensor([1, 1, 1])), expected)
    with pytest.raises(ClassIndexError, match="got 5"):
        METHODS[name](activations, torch.tensor([0, 1, 5]))
    with pytest.raises(LayerError, match="depend on the attention"):
        METHODS[name](activations, lambda outputs: torch.ones(len(outputs)))


def test_rollout_is_the_same_for_all_classes() -> None:
    result = CAMExtractor(inner(vit()), attention_rollout)(pictures(), all_classes)
    assert result.maps.shape == (3, CLASSES, 32, 32)
    assert torch.equal(result.coarse, result.coarse[:, :1].expand_as(result.coarse))
    assert (result.coarse.sum((-2, -1)) < 1).all()


@pytest.mark.parametrize("name", METHODS)
def test_a_loss_is_refused(name: str) -> None:
    activations = inner(vit()).activations(pictures(), create_graph=True)
    with pytest.raises(SettingError, match="without create_graph"):
        METHODS[name](activations, torch.tensor([0, 3, 4]))


def test_settings_are_checked() -> None:
    with pytest.raises(SettingError, match="pooling must be one of mean, network, got 'token'"):
        LeGrad(pooling="token")
    with pytest.raises(SettingError, match="last_blocks must be a positive integer, got 0"):
        LeGrad(last_blocks=0)
    with pytest.raises(SettingError, match="at most the 3 blocks of the network, got 4"):
        maps_of(LeGrad(last_blocks=4), vit())


@pytest.mark.parametrize("name", METHODS)
def test_the_order_of_heads_and_classes_does_not_matter(name: str) -> None:
    net = vit()
    other, order = copy.deepcopy(net), torch.tensor([4, 2, 0, 1, 3])
    with torch.no_grad():
        for weight in (other.heads.head.weight, other.heads.head.bias):
            weight.copy_(weight[order])
        for block in other.encoder.layers:
            own = block.self_attention
            for weight in (own.in_proj_weight, own.in_proj_bias):
                weight.copy_(weight.unflatten(0, (3, HEADS, -1)).flip(1).reshape(weight.shape))
            mixed = own.out_proj.weight.unflatten(1, (HEADS, -1)).flip(1).flatten(1)
            own.out_proj.weight.copy_(mixed)
    moved = order.argsort()[torch.tensor([0, 3, 4])]
    expected = maps_of(METHODS[name], net)
    torch.testing.assert_close(maps_of(METHODS[name], other, moved), expected)


# What is not a transformer with attention between all tokens.


def swin() -> nn.Module:
    return SwinTransformer([4, 4], 8, [1, 1], [2, 2], [4, 4], num_classes=CLASSES).eval()


@pytest.mark.parametrize(
    ("build", "at"),
    [
        (swin, {"layer": "features.3", "grid": channels_last_grid}),
        (resnet18, {"layer": "layer4"}),
    ],
)
def test_networks_without_attention_between_all_tokens_are_refused(build, at) -> None:
    activations = adapt(build(), **at).activations(torch.rand(1, 3, 64, 64))
    for method in METHODS.values():
        with pytest.raises(UnsupportedModelError, match=r"got (Swin|Your)\w+\. Known: "):
            method(activations, torch.tensor([0]))


class Wrapped(nn.Module):
    """Normalize the images, and apply a function to the logits."""

    def __init__(self, net: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.inner, self.last = net, last

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        return self.last(self.inner((images - 0.5) / 0.25))


def test_a_transformer_is_found_inside_other_modules() -> None:
    net, classes = vit(), torch.tensor([0, 3, 4])
    wrapped = Wrapped(net, nn.Identity())
    expected = adapt(net, layer="encoder.layers", grid=TokenGrid())
    images = (pictures() - 0.5) / 0.25
    for method in METHODS.values():
        found = maps_of(method, wrapped, layer="inner.encoder.layers")
        torch.testing.assert_close(found, method(expected.activations(images), classes))


def test_legrad_needs_the_logits_of_the_transformer_itself() -> None:
    wrapped = Wrapped(vit(), nn.Softmax(1))
    assert maps_of(attention_relevance, wrapped, layer="inner.encoder.layers").any()
    with pytest.raises(UnsupportedModelError, match="output of the network must be that of its"):
        maps_of(LeGrad(), wrapped, layer="inner.encoder.layers")


def test_two_transformers_are_refused() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = vit(), vit(1)

        def forward(self, images: Tensor) -> Tensor:
            return self.one(images) + self.two(images)

    with pytest.raises(UnsupportedModelError, match="one vision transformer, got 2"):
        maps_of(attention_rollout, Both(), layer="one.encoder.layers")


# timm and transformers.


def to_timm(net: VisionTransformer) -> nn.Module:
    """Copy the weights of torchvision's transformer into timm's."""
    timm = pytest.importorskip("timm")
    other = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=WIDTH, depth=DEPTH, mlp_ratio=16 / WIDTH, **SETTINGS
    )
    names = {
        **{"conv_proj": "patch_embed.proj", "class_token": "cls_token", "encoder.ln": "norm"},
        **{"encoder.pos_embedding": "pos_embed", "heads.head": "head"},
        **{"self_attention.in_proj_": "attn.qkv.", "self_attention.out_proj": "attn.proj"},
        **{"mlp.0": "mlp.fc1", "mlp.3": "mlp.fc2", "ln_1": "norm1", "ln_2": "norm2"},
        "encoder.layers.encoder_layer_": "blocks.",
    }
    state = {}
    for name, value in net.state_dict().items():
        for old, new in names.items():
            name = name.replace(old, new)
        state[name] = value
    other.load_state_dict(state)
    return other.double().eval()


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", METHODS)
def test_timm_gives_the_maps_of_torchvision(name: str, fused: bool) -> None:
    net = vit()
    other = to_timm(net)
    for block in other.blocks:
        block.attn.fused_attn = fused
    for both in (net, other):
        for module in both.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = 1e-6
    found = maps_of(METHODS[name], other, layer="blocks")
    torch.testing.assert_close(found, maps_of(METHODS[name], net))


def to_transformers(net: VisionTransformer, attention: str) -> nn.Module:
    """Copy the weights of torchvision's transformer into that of transformers, for its logits."""
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        **{"hidden_size": WIDTH, "num_hidden_layers": DEPTH, "num_attention_heads": HEADS},
        **{"intermediate_size": 16, "image_size": 32, "patch_size": 8, "layer_norm_eps": 1e-6},
        **{"hidden_act": "gelu", "num_labels": CLASSES, "attn_implementation": attention},
    )
    other = transformers.ViTForImageClassification(config)
    blocks = other.vit.layers if hasattr(other.vit, "layers") else other.vit.encoder.layer
    with torch.no_grad():
        pairs = [
            (other.vit.embeddings.patch_embeddings.projection, net.conv_proj),
            (other.vit.layernorm, net.encoder.ln),
            (other.classifier, net.heads.head),
        ]
        for block, own in zip(blocks, net.encoder.layers, strict=True):
            linear = [m for m in block.modules() if isinstance(m, nn.Linear)]
            *projections, out, first, second = linear
            pairs += [(block.layernorm_before, own.ln_1), (block.layernorm_after, own.ln_2)]
            pairs += [(out, own.self_attention.out_proj), (first, own.mlp[0])]
            pairs += [(second, own.mlp[3])]
            for key in ("weight", "bias"):
                parts = getattr(own.self_attention, f"in_proj_{key}").chunk(3)
                for projection, part in zip(projections, parts, strict=True):
                    getattr(projection, key).data = part.clone()
        for to, source in pairs:
            to.load_state_dict(source.state_dict())
        other.vit.embeddings.cls_token.data = net.class_token.data
        other.vit.embeddings.position_embeddings.data = net.encoder.pos_embedding.data
    return other.double().eval()


class Logits(nn.Module):
    """Select the logits of a classifier of transformers."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        return self.net(images).logits


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", METHODS)
def test_transformers_gives_the_maps_of_torchvision(name: str, attention: str) -> None:
    net = vit()
    for module in net.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-6
    other = to_transformers(net, attention)
    torch.testing.assert_close(other(pictures()).logits, net(pictures()))
    found = maps_of(METHODS[name], Logits(other), layer="net.vit.layernorm")
    torch.testing.assert_close(found, maps_of(METHODS[name], net), rtol=1e-5, atol=1e-6)


def relevance_of(
    attention: list[Tensor], score: Tensor, rows: slice, prefix: int, grid: tuple[int, int]
) -> Tensor:
    """Compute relevance with full matrices, from attention that is part of a graph."""
    gradients = torch.autograd.grad(score.sum(), attention)
    total = torch.eye(attention[0].shape[-1], dtype=torch.float64)
    for weights, gradient in zip(attention, gradients, strict=True):
        total = total + (weights * gradient).relu().mean(1) @ total
    return total[:, rows].mean(1)[:, prefix:].reshape(-1, *grid).detach()


def timm_net(name: str) -> tuple[nn.Module, slice, int, tuple[int, int]]:
    timm = pytest.importorskip("timm")
    common = {"patch_size": 8, "embed_dim": WIDTH, "depth": 2, **SETTINGS}
    if name == "distilled":
        net = timm.models.deit.VisionTransformerDistilled(img_size=32, **common)
        return randomize(net), slice(0, 2), 2, (4, 4)
    if name == "average":
        net = timm.models.VisionTransformer(img_size=(32, 16), global_pool="avg", **common)
        return randomize(net), slice(1, None), 1, (4, 2)
    if name == "registers":
        net = timm.models.VisionTransformer(
            img_size=32, reg_tokens=3, init_values=0.1, qk_norm=True, **common
        )
        return randomize(net), slice(0, 1), 4, (4, 4)
    if name == "checkpointed":
        net = timm.models.VisionTransformer(img_size=32, **common)
        net.set_grad_checkpointing()
        return randomize(net), slice(0, 1), 1, (4, 4)
    if name == "any size":
        net = timm.models.VisionTransformer(img_size=32, dynamic_img_size=True, **common)
        return randomize(net), slice(0, 1), 1, (6, 3)
    net = timm.models.eva.Eva(img_size=32, use_rot_pos_emb=True, **{**common, "embed_dim": 16})
    return randomize(net), slice(1, None), 1, (4, 4)


@pytest.mark.parametrize(
    "name", ["distilled", "average", "registers", "checkpointed", "any size", "eva"]
)
def test_relevance_of_timm_is_that_of_its_own_attention(name: str) -> None:
    net, rows, prefix, grid = timm_net(name)
    images = pictures(size=(8 * grid[0], 8 * grid[1]))
    classes = torch.tensor([0, 3, 4])
    model = adapt(net, layer="norm", grid=TokenGrid(prefix, grid))
    activations = model.activations(images)
    found = {
        name: method(activations, classes) for name, method in METHODS.items() if "two" not in name
    }
    assert all(maps.shape == (3, *grid) for maps in found.values())
    assert torch.equal(LeGrad(last_blocks=2)(activations, classes), found["legrad"])
    if grid != (6, 3):  # elsewhere the cut of the network itself knows the grid
        cut = CAMExtractor(net, attention_relevance)(images, classes).coarse
        torch.testing.assert_close(cut, found["relevance"])
    seen: list[Tensor] = []
    if name == "checkpointed":
        assert net.grad_checkpointing
        net.set_grad_checkpointing(False)
    for block in net.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda _m, _i, output: seen.append(output))
    score = net(images)[torch.arange(3), classes]
    expected = relevance_of(seen, score, rows, prefix, grid)
    torch.testing.assert_close(found["relevance"], expected)


@pytest.mark.parametrize("teacher", [False, True])
def test_relevance_of_deit_is_that_of_transformers_own_attention(teacher: bool) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.DeiTConfig(
        **{"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": HEADS},
        **{"intermediate_size": 16, "image_size": 32, "patch_size": 8, "num_labels": CLASSES},
        attn_implementation="eager",
    )
    kind = "DeiTForImageClassification" + ("WithTeacher" if teacher else "")
    net = randomize(getattr(transformers, kind)(config))
    classes = torch.tensor([0, 3, 4])
    model = adapt(Logits(net), layer="net.deit.layernorm", grid=TokenGrid(2))
    activations = model.activations(pictures())
    outputs = net(pictures(), output_attentions=True)
    score = outputs.logits[torch.arange(3), classes]
    rows = slice(0, 2) if teacher else slice(0, 1)
    expected = relevance_of(list(outputs.attentions), score, rows, 2, (4, 4))
    found = attention_relevance(activations, classes)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert LeGrad()(activations, classes).any()
    assert attention_rollout(activations, classes).any()


def test_attentional_pooling_is_refused() -> None:
    timm = pytest.importorskip("timm")
    net = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=WIDTH, depth=2, global_pool="map", **SETTINGS
    )
    activations = inner(net.eval(), "blocks").activations(pictures().float())
    for method in METHODS.values():
        with pytest.raises(UnsupportedModelError, match="got attentional pooling"):
            method(activations, torch.tensor([0, 3, 4]))


def test_timm_swin_is_refused() -> None:
    timm = pytest.importorskip("timm")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = timm.create_model("swin_tiny_patch4_window7_224", img_size=56, depths=(1, 1, 1, 1))
    model = adapt(net.eval(), layer="norm", grid=lambda output: output.movedim(-1, 1))
    with pytest.raises(UnsupportedModelError, match="got SwinTransformer"):
        attention_rollout(model.activations(torch.rand(1, 3, 56, 56)), torch.tensor([0]))

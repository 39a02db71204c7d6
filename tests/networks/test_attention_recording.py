"""Explicit attention is that of torch's fused functions; what cannot be read is refused."""

import copy
import threading
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cameval.errors import SettingError, UnsupportedModelError
from cameval.networks import (
    Activations,
    LayerModel,
    TokenGrid,
    TransformerParts,
    transformer_parts,
)
from cameval.networks._attention import Reach, per_head, record_attention

T, WIDTH, HEADS = 6, 8, 2


class Block(nn.Module):
    """A block whose attention is computed by a function of (N, heads, T, size)."""

    def __init__(self, attend: Callable[..., Tensor]) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.attend = attend

    def forward(self, tokens: Tensor) -> Tensor:  # noqa: D102
        parts = self.qkv(tokens).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = self.attend(*parts.unbind())
        return tokens + self.out(mixed.transpose(1, 2).flatten(2))


class Net(nn.Module):
    """Two blocks over a grid of patches, and the mean of the tokens."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, WIDTH, 2, stride=2)
        self.blocks = nn.ModuleList(blocks)
        self.fc = nn.Linear(WIDTH, 5)
        self.prefix, self.factor = 0, 1.0

    def forward(self, images: Tensor) -> Tensor:  # noqa: D102
        tokens = self.embed(images).flatten(2).mT
        for block in self.blocks:
            tokens = block(tokens)
        return self.factor * self.fc(tokens.mean(1))


@transformer_parts.register
def _(net: Net) -> TransformerParts:
    def classify(tokens: Tensor) -> Tensor:
        return net.fc(tokens.mean(1))

    return TransformerParts([*net.blocks], net.embed, classify, net.prefix, slice(None))


def images(count: int = 3) -> Tensor:
    return torch.randn(
        count, 3, 4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )


def net_of(*blocks: nn.Module) -> Net:
    torch.manual_seed(0)
    net = Net(*blocks)
    for weight in net.parameters():
        nn.init.normal_(weight, 0, 0.5)
    return net.double().eval()


def activations_of(net: nn.Module, layer: str = "embed") -> Activations:
    return LayerModel(net, layer).activations(images())


def recorded(net: nn.Module, reach: Reach = "network") -> tuple[list[Tensor], Tensor]:
    """Return the attention ``(N, heads, T, T)`` of each block, and the outputs."""
    found = record_attention(activations_of(net), lambda a, _tokens, _parts: a, reach=reach)
    return [per_head(attention, 3) for attention in found.kept], found.outputs


def matrix(query: Tensor, key: Tensor, mask: Tensor | float = 0.0, scale: float = 0.5) -> Tensor:
    return (query @ key.mT * scale + mask).softmax(-1)


LOWER = torch.ones(T, T, dtype=torch.bool).tril()
BIAS = torch.linspace(-1, 1, T * T, dtype=torch.float64).reshape(T, T)


def fused(**settings) -> Callable[..., Tensor]:
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **settings)


def shared_keys(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key[:, :1], value[:, :1], enable_gqa=True)


WAYS: dict[str, tuple[Callable[..., Tensor], Callable[..., Tensor]]] = {
    "fused": (fused(), matrix),
    "scale": (fused(scale=0.3), lambda q, k: matrix(q, k, scale=0.3)),
    "causal": (fused(is_causal=True), lambda q, k: matrix(q, k, LOWER.double().log())),
    "mask": (fused(attn_mask=LOWER), lambda q, k: matrix(q, k, LOWER.double().log())),
    "bias": (fused(attn_mask=BIAS), lambda q, k: matrix(q, k, BIAS)),
    "shared keys": (shared_keys, lambda q, k: matrix(q, k[:, :1])),
    "method": (lambda q, k, v: (q @ k.mT / 2).softmax(-1) @ v, matrix),
    "function": (lambda q, k, v: F.softmax(q @ k.mT / 2, dim=3) @ v, matrix),
    "torch": (lambda q, k, v: torch.softmax(input=q @ k.mT / 2, dim=-1) @ v, matrix),
    "module": (lambda q, k, v: nn.Softmax(dim=-1)(q @ k.mT / 2) @ v, matrix),
    "three axes": (
        lambda q, k, v: torch.bmm(
            torch.bmm(q.flatten(0, 1), k.flatten(0, 1).mT).div(2).softmax(-1), v.flatten(0, 1)
        ).unflatten(0, (3, HEADS)),
        matrix,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_attention_and_its_gradient_are_those_of_the_formula(way: str) -> None:
    attend, formula = WAYS[way]
    net = net_of(Block(attend), Block(attend))
    attention, outputs = recorded(net)
    torch.testing.assert_close(outputs, net(images()))
    tokens, expected = net.embed(images()).flatten(2).mT, []
    for block in net.blocks:
        q, k, v = block.qkv(tokens).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4).unbind()
        expected.append(formula(q, k))
        v = v[:, :1] if way == "shared keys" else v
        mixed = expected[-1] @ v
        tokens = tokens + block.out(mixed.transpose(1, 2).flatten(2))
    score = net.fc(tokens.mean(1))[:, 2].sum()
    gradients = torch.autograd.grad(score, expected)
    kept = record_attention(activations_of(net), lambda a, _t, _p: a, reach="network")
    found = torch.autograd.grad(kept.outputs[:, 2].sum(), kept.kept)
    for pair in zip(attention, expected, strict=True):
        torch.testing.assert_close(*pair)
    for gradient, right in zip(found, gradients, strict=True):
        torch.testing.assert_close(per_head(gradient, 3), right)


class Encoded(nn.Module):
    """A block with torch's nn.MultiheadAttention."""

    def __init__(self, weights: bool, average: bool = True, **settings) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, **settings)
        self.weights, self.average = weights, average
        self.seen: list[Tensor] = []

    def forward(self, tokens: Tensor) -> Tensor:  # noqa: D102
        first = self.attention.batch_first
        entry = tokens if first else tokens.transpose(0, 1)
        mixed, weights = self.attention(
            entry, entry, entry, need_weights=self.weights, average_attn_weights=self.average
        )
        # The weights are used, so that their values matter.
        extra = 0 if weights is None else weights.flatten(1).sum(1)[:, None, None] * 1e-2
        return tokens + (mixed if first else mixed.transpose(0, 1)) + extra


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("weights", [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize("bias", [True, False])
def test_multi_head_attention_is_that_of_torch(
    first: bool, weights: tuple[bool, bool], bias: bool
) -> None:
    net = net_of(*(Encoded(*weights, batch_first=first, bias=bias) for _ in range(2)))
    attention, outputs = recorded(net)
    torch.testing.assert_close(outputs, net(images()))
    tokens = net.embed(images()).flatten(2).mT
    for block, found in zip(net.blocks, attention, strict=True):
        own = copy.deepcopy(block.attention)
        entry = tokens if first else tokens.transpose(0, 1)
        _, expected = own(entry, entry, entry, average_attn_weights=False)
        torch.testing.assert_close(found, expected)
        tokens = block(tokens)


def test_the_fast_paths_of_torch_are_not_taken() -> None:
    blocks = [nn.TransformerEncoderLayer(WIDTH, HEADS, 12, batch_first=True) for _ in range(2)]
    net = net_of(*blocks).requires_grad_(False)
    attention, outputs = recorded(net, "none")
    torch.testing.assert_close(outputs, net(images()))
    for each in attention:
        torch.testing.assert_close(each.sum(-1), torch.ones_like(each[..., 0]))


def test_the_graph_reaches_as_far_as_it_is_asked_to() -> None:
    net = net_of(Block(fused()), Block(fused()))
    for reach in ("none", "block", "network"):
        graphs = []

        def read(attention: Tensor, tokens: Tensor, _: TransformerParts, graphs=graphs) -> Tensor:
            graphs.append((attention.requires_grad, tokens.requires_grad))
            return attention

        found = record_attention(activations_of(net), read, reach=reach)
        assert graphs == [(reach != "none", reach != "none")] * 2
        assert found.outputs.requires_grad == (reach == "network")
        assert found.grid == (2, 3)
        assert found.classified


def test_neither_the_network_nor_torch_is_changed() -> None:
    net = net_of(Block(fused()), Block(fused())).train()
    before, functions = copy.deepcopy(net.state_dict()), (F.scaled_dot_product_attention, F.softmax)
    recorded(net)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert all(module.training for module in net.modules())
    assert (F.scaled_dot_product_attention, F.softmax) == functions
    assert torch.is_grad_enabled()


def test_threads_share_a_network() -> None:
    net = net_of(Block(fused()), Block(fused()))
    expected, _ = recorded(net)
    found: list[list[Tensor]] = []
    threads = [threading.Thread(target=lambda: found.append(recorded(net)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for attention in found:
        for pair in zip(attention, expected, strict=True):
            assert torch.equal(*pair)


def test_the_users_hooks_run() -> None:
    net = net_of(Block(fused()), Block(fused()))
    net.blocks[0].register_forward_hook(lambda _m, _i, output: 2 * output)
    attention, outputs = recorded(net)
    torch.testing.assert_close(outputs, net(images()))
    assert len(attention) == 2


def windows(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    split = [part.unflatten(2, (2, 3)).transpose(1, 2).flatten(0, 1) for part in (q, k, v)]
    return fused()(*split).unflatten(0, (-1, 2)).transpose(1, 2).flatten(2, 3)


def coarser(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return fused()(q, k[:, :, ::2], v[:, :, ::2])


REFUSED = {
    "windows": (windows, r"between all its 6 tokens, .* got \(6, 2, 3, 3\)"),
    "coarser keys": (coarser, r"got \(3, 2, 6, 3\)"),
    "no attention": (lambda q, _k, v: q + v, "got none"),
    "two": (lambda q, k, v: fused()(q, k, v) + fused()(k, q, v), r"6, 6\), \(3, 2, 6, 6\)"),
    "over queries": (lambda q, k, v: (q @ k.mT).softmax(-2) @ v, "got none"),
}


@pytest.mark.parametrize("way", REFUSED)
def test_other_attention_is_refused(way: str) -> None:
    attend, message = REFUSED[way]
    with pytest.raises(UnsupportedModelError, match=message):
        recorded(net_of(Block(fused()), Block(attend)))


class Crossed(Encoded):
    """A block whose queries are other tokens than its keys."""

    def forward(self, tokens: Tensor) -> Tensor:  # noqa: D102
        return tokens + self.attention(2 * tokens, tokens, tokens, need_weights=False)[0]


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (Crossed(False, batch_first=True), "another key or value than the query"),
        (Encoded(False, batch_first=True, add_bias_kv=True), "got bias_k, bias_v"),
        (Encoded(False, batch_first=True, add_zero_attn=True), "got add_zero_attn"),
    ],
)
def test_other_multi_head_attention_is_refused(block: nn.Module, message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        recorded(net_of(block))


def test_blocks_may_share_their_weights_but_run_as_often_as_they_are_listed() -> None:
    block = Block(fused())
    shared, apart = net_of(block, block), net_of(Block(fused()), Block(fused()))
    for each in apart.blocks:
        each.load_state_dict(block.state_dict())
    for name in ("embed", "fc"):
        apart.get_submodule(name).load_state_dict(shared.get_submodule(name).state_dict())
    for pair in zip(recorded(shared)[0], recorded(apart)[0], strict=True):
        torch.testing.assert_close(*pair)

    class Twice(Net):
        def forward(self, batch: Tensor) -> Tensor:
            tokens = self.embed(batch).flatten(2).mT
            return self.fc(self.blocks[0](self.blocks[0](tokens)).mean(1))

    torch.manual_seed(0)
    with pytest.raises(UnsupportedModelError, match="got 1 runs of it and 2 of its blocks"):
        recorded(Twice(Block(fused())).double().eval())


def test_wrong_parts_are_refused() -> None:
    net = net_of(Block(fused()), Block(fused()))
    net.prefix = 1
    with pytest.raises(
        UnsupportedModelError, match=r"grid \(h, w\) of 5 tokens .* got \[\(2, 3\)\]"
    ):
        recorded(net)
    net.prefix, net.factor = 0, 2.0
    with pytest.raises(UnsupportedModelError, match="must be what its parts compute"):
        recorded(net)


def test_a_network_with_noise_is_refused() -> None:
    net = net_of(Block(lambda q, k, v: F.dropout(fused()(q, k, v), 0.5)))
    with pytest.raises(UnsupportedModelError, match="same output with explicit attention"):
        recorded(net)


def test_a_transformer_may_run_in_parts_if_its_output_is_that_of_the_network() -> None:
    class Cut(nn.Module):
        def __init__(self, net: Net, fc: nn.Module) -> None:
            super().__init__()
            self.inner, self.fc = net, fc

        def forward(self, batch: Tensor) -> Tensor:
            tokens = self.inner.embed(batch).flatten(2).mT
            return self.fc(self.inner.blocks[0](tokens).mean(1))

    net = net_of(Block(fused()))
    activations = activations_of(Cut(net, net.fc), "inner.embed")
    found = record_attention(activations, lambda a, *_: a, reach="none")
    assert torch.equal(found.kept[0], recorded(net)[0][0])
    activations = activations_of(Cut(net, nn.Linear(WIDTH, 2).double()), "inner.embed")
    with pytest.raises(UnsupportedModelError, match="must be what its parts compute"):
        record_attention(activations, lambda a, *_: a, reach="none")


def test_parts_are_checked() -> None:
    net = net_of(Block(fused()))
    with pytest.raises(SettingError, match="prefix must not be negative, got -1"):
        TransformerParts([*net.blocks], net.embed, net.fc, -1, slice(None))
    with pytest.raises(SettingError, match="at least one block"):
        TransformerParts([], net.embed, net.fc, 0, slice(None))


def test_an_unknown_class_is_told_how_to_register() -> None:
    with pytest.raises(UnsupportedModelError, match=r"def _\(net: Linear\)") as found:
        transformer_parts(nn.Linear(2, 2))
    assert "VisionTransformer" in str(found.value)
    net = nn.Sequential(nn.Conv2d(3, 4, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(UnsupportedModelError, match="got Sequential"):
        record_attention(
            LayerModel(net.double(), "0").activations(images()), lambda a, *_: a, reach="none"
        )


def test_tokens_may_be_features_of_a_layer() -> None:
    net = net_of(Block(fused()), Block(fused()))
    model = LayerModel(net, "blocks.1", TokenGrid(skip=0, size=(2, 3)))
    found = record_attention(model.activations(images()), lambda a, *_: a, reach="none")
    assert found.to_map(torch.arange(12.0).reshape(2, 6)).shape == (2, 2, 3)

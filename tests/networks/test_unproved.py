"""What the error for a network without a proven cut says, and that its code works."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.utils.checkpoint
from small_networks import Block, OwnViT
from torch import Tensor, nn

import cameval
from cameval import CAMExtractor, CAMModel, adapt, cam, grad_cam
from cameval.errors import SettingError, UnsupportedHeadError, UnsupportedModelError
from cameval.methods import attention_rollout, local_linear_cam
from cameval.networks import (
    LayerModel,
    TokenGrid,
    TransformerParts,
    channels_last_grid,
    transformer_parts,
)


def message(net: nn.Module, **options: Any) -> str:
    """Return the error of a network."""
    with pytest.raises(UnsupportedModelError) as caught:
        adapt(net, **options)
    return str(caught.value)


def proposed(text: str, net: nn.Module, **names: Any) -> CAMModel | LayerModel:
    """Run the call of `adapt` that a message proposes."""
    (code,) = re.findall(r": (cameval\.adapt\(.*?\))(?:, (?:if|with)|\. )", text)
    found: CAMModel | LayerModel = eval(code, {"cameval": cameval, "net": net, **names})
    return found


def listed(text: str) -> dict[str, str]:
    """Return the layers that a message lists, each with what follows its name."""
    return dict(re.findall(r"^    ([\w.]+)  (\(.*)$", text, re.MULTILINE))


SIZES = {"square": (16, 16), "oblong": (16, 24)}


@pytest.mark.parametrize("shape", SIZES)
def test_of_an_own_transformer_with_a_class_token_the_last_tokens_are_proposed(shape: str) -> None:
    size = SIZES[shape]
    net = OwnViT("token", size).eval()
    text = message(net)
    grid = r"grid=cameval\.networks\.TokenGrid\(skip=1\)"
    assert re.search(rf'cameval\.adapt\(net, layer="blocks\.2\.n1", {grid}\), if', text)
    assert "in the order of the patches" in text
    assert "register" not in text
    model, batch = proposed(text, net), torch.randn(2, 3, *size)
    maps = CAMExtractor(model, grad_cam)(batch, 1).coarse
    assert maps.shape == (2, size[0] // 4, size[1] // 4)
    assert maps.abs().max() > 0
    layers = listed(text)
    assert [*layers][:2] == ["blocks.2.n1", "blocks.1"]
    assert [*layers][-1] == "patch"
    for name, rest in layers.items():
        if "grid=" in rest:
            order = eval(rest.split("grid=")[1], {"TokenGrid": TokenGrid})
            at = adapt(net, layer=name, grid=order).activations(batch)
            assert at.gradients(torch.tensor([0, 1])).abs().max() > 0


class Checkpointed(Block):
    """A block whose values are computed once more for its gradient."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the tokens of the block."""
        return torch.utils.checkpoint.checkpoint(super().forward, tokens, use_reentrant=False)


@pytest.mark.parametrize("pool", ["token", "mean"])
def test_blocks_with_gradient_checkpoints_are_listed_as_those_without(pool: str) -> None:
    net = OwnViT(pool).eval()
    layers = listed(message(net))
    for block in net.blocks:
        block.__class__ = Checkpointed
    assert listed(message(net)) == layers


def test_a_layer_that_the_logits_do_not_read_is_not_listed() -> None:
    layers = listed(message(OwnViT("token").eval()))
    assert not {"norm", "blocks.2", "blocks.2.n2", "blocks.2.mlp"} & {*layers}


@pytest.mark.parametrize("shape", SIZES)
def test_of_a_mean_of_tokens_the_order_is_asked_for_and_makes_the_map_exact(shape: str) -> None:
    size = SIZES[shape]
    net, batch = OwnViT("mean", size).eval(), torch.randn(2, 3, *size)
    text = message(net)
    assert "'head' reads a mean of tokens, whose order is not known" in text
    assert "neither" not in text
    assert re.search(r"TokenGrid\(skip=0\)\), with which cameval.cam is exact", text)
    model = proposed(text, net)
    assert isinstance(model, CAMModel)
    assert model.layer == "norm"
    result = CAMExtractor(model, cam)(batch, 2)
    law = result.coarse.mean((1, 2)) + net.head.bias[2]
    torch.testing.assert_close(law.detach(), net(batch)[:, 2].detach())
    kept: list[Tensor] = []
    handle = net.norm.register_forward_hook(lambda _m, _i, out: kept.append(out))
    net(batch)
    handle.remove()
    expected = (kept[0] @ net.head.weight[2]).reshape(result.coarse.shape)  # row by row
    torch.testing.assert_close(result.coarse, expected.detach())


def test_images_that_were_given_are_in_the_proposal() -> None:
    net, batch = OwnViT("mean").eval(), torch.randn(2, 3, 16, 16)
    del net.image_size
    text = message(net, images=batch)
    assert "TokenGrid(skip=0), images=images)" in text
    assert proposed(text, net, images=batch).layer == "norm"


def test_before_a_head_of_two_layers_a_mean_of_tokens_is_read_once_its_order_is_known() -> None:
    net, batch = OwnViT("mean", layers=2).eval(), torch.randn(2, 3, 16, 16)
    text = message(net)
    assert "'hidden' reads a mean of tokens" in text
    assert "exact" not in text
    model = proposed(text, net)
    assert isinstance(model, LayerModel)
    assert model.layer == "norm"
    assert CAMExtractor(model, grad_cam)(batch, 1).coarse.shape == (2, 4, 4)
    for method in (cam, local_linear_cam):
        with pytest.raises(
            UnsupportedHeadError, match=r"head of several layers \('hidden', 'head'"
        ):
            CAMExtractor(model, method)(batch, 1)


def test_a_known_order_of_tokens_finds_the_last_attention() -> None:
    net = OwnViT("token").eval()
    model = adapt(net, grid=TokenGrid(skip=1))
    assert (model.layer, model.grid) == ("blocks.2.n1", TokenGrid(skip=1))
    message(net, grid=TokenGrid(skip=3))  # 14 tokens are no square


def test_a_grid_without_a_layer_must_be_of_tokens() -> None:
    with pytest.raises(SettingError, match="grid without layer must be a TokenGrid"):
        adapt(OwnViT(), grid=channels_last_grid)


def test_methods_of_attention_are_mentioned_until_the_parts_are_registered() -> None:
    class Registered(OwnViT):
        pass

    net = Registered("token").eval()
    before = message(net)
    assert "cameval.networks.transformer_parts" in before

    @transformer_parts.register
    def _(net: Registered) -> TransformerParts:
        return TransformerParts(
            blocks=[*net.blocks],
            patches=net.patch,
            classify=lambda tokens: net.head(net.norm(tokens)[:, 0]),
            prefix=1,
            pooled=slice(0, 1),
        )

    after = message(net)
    assert "transformer_parts" not in after
    assert listed(after) == listed(before)
    assert CAMExtractor(proposed(after, net), attention_rollout)(
        torch.rand(1, 3, 16, 16)
    ).coarse.any()


class Ending(nn.Module):
    """A network without a mean: a pool, a head and a last step."""

    def __init__(self, pool: nn.Module | None, step: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU())
        self.pool = nn.Identity() if pool is None else pool
        self.fc1, self.act, self.cls = nn.LazyLinear(6), nn.ReLU(), nn.Linear(6, 3)
        self.image_size, self.step = 16, step

    def forward(self, images: Tensor) -> Tensor:
        """Return what the last step makes of the logits."""
        pooled = self.pool(self.body(images)).flatten(1)
        return self.step(self.cls(self.act(self.fc1(pooled))))


def ending(pool: nn.Module | None, step: Callable[[Tensor], Tensor] = lambda x: x) -> Ending:
    """Make such a network."""
    net = Ending(pool, step).eval()
    net(torch.rand(1, 3, 16, 16))
    return net


@pytest.mark.parametrize(
    ("pool", "head"),
    [(nn.AdaptiveMaxPool2d(1), "PooledHead(net.pool, "), (None, "nn.Sequential(nn.Flatten(), ")],
)
def test_a_declaration_that_is_printed_gives_the_logits(pool: nn.Module | None, head: str) -> None:
    class Declared(Ending):
        pass

    net, batch = Declared(pool, lambda x: x).eval(), torch.randn(2, 3, 16, 16)
    net(batch)
    text = message(net)
    assert head in text
    code = text.split("head:\n\n")[1].replace("\n    ", "\n").strip()
    exec(code, {"cameval": cameval, "nn": nn, "Declared": Declared})
    model = adapt(net)
    assert isinstance(model, CAMModel)
    assert torch.equal(model(batch), net(batch))
    assert CAMExtractor(model, grad_cam)(batch, 1).maps.shape == (2, 16, 16)


class Flat(Ending):
    """Two linear layers, with a ReLU that is a function."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.cls(self.fc1(self.body(images).flatten(1)).relu())


def test_a_declaration_that_lacks_a_step_is_not_printed() -> None:
    net = Flat(None, lambda x: x).eval()
    net(torch.rand(1, 3, 16, 16))
    text = message(net)
    assert [*listed(text)] == ["body"]
    assert "register" not in text
    assert "CAMModel" not in text


@pytest.mark.parametrize(
    ("step", "word"),
    [
        (torch.sigmoid, "sigmoid"),
        (lambda x: x.softmax(1), "softmax"),
        (lambda x: x.log_softmax(1), "logarithm of the softmax"),
    ],
)
def test_a_last_step_is_named(step: Callable[[Tensor], Tensor], word: str) -> None:
    text = message(ending(nn.AdaptiveAvgPool2d(1), step))
    assert f"proved. Give the network without its last step, a {word}. Or name it" in text
    assert f"'cls' returns the logits before the last step, a {word}." in text
    assert "register" not in text


def test_another_last_step_is_not_called_one() -> None:
    text = message(ending(nn.AdaptiveAvgPool2d(1), lambda x: 2 * x))
    assert "no linear layer returns the logits" in text


def test_tokens_that_no_convolution_embeds_are_a_mean_too() -> None:
    class Unfolded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Sequential(nn.Linear(48, 8), nn.Tanh()), nn.Linear(8, 3)
            self.image_size = 16

        def forward(self, images: Tensor) -> Tensor:
            patches = nn.functional.unfold(images, 4, stride=4).transpose(1, 2)
            return self.head(self.embed(patches).mean(1))

    net = Unfolded().eval()
    text = message(net)
    assert "No layer of it returns feature maps" in text
    assert "'head' reads a mean of tokens" in text
    model = proposed(text, net)
    assert CAMExtractor(model, cam)(torch.rand(1, 3, 16, 16), 1).coarse.shape == (1, 4, 4)


class Outputs(nn.Module):
    """Return logits and an embedding by key."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return both."""
        pooled = self.conv(images).mean((2, 3))
        return {"logits": self.fc(pooled), "embedding": pooled}


def test_a_select_that_fails_is_told_the_keys() -> None:
    with pytest.raises(SettingError) as caught:
        adapt(Outputs(), select=lambda outputs: outputs["logit"])
    assert str(caught.value) == (
        "select failed with KeyError 'logit'; the network returns the keys 'logits', 'embedding'"
    )
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (lambda x: (x, x), "the indices 0, 1"),
        (lambda x: x, r"one tensor of shape \(2, 3\)"),
    ],
)
def test_a_select_that_fails_is_told_what_there_is(
    returned: Callable[[Tensor], object], told: str
) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3)

        def forward(self, images: Tensor) -> object:
            return returned(self.conv(images).mean((2, 3)))

    with pytest.raises(SettingError, match=f"the network returns {told}"):
        adapt(Net(), select=lambda outputs: outputs.nothing)


def test_the_layer_is_in_the_repr_of_both_models() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.conv(images).mean((2, 3)))

    proved, named = adapt(Net()), adapt(Net(), layer="conv")
    assert (type(proved), proved.layer) == (CAMModel, "conv")
    assert (type(named), named.layer) == (LayerModel, "conv")
    assert repr(proved) == "CAMModel(Net, layer='conv', channels=4)"
    assert repr(named) == "LayerModel(Net, layer='conv')"
    assert repr(LayerModel(proved, "head")) == "LayerModel(Net, layer='head')"
    built = CAMModel(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Flatten(), nn.LazyLinear(2)))
    assert repr(built) == "CAMModel(features=Conv2d, head=Sequential)"

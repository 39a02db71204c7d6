"""Layers that a part of the logits does not pass are told apart, and not recommended."""

import copy
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cameval import adapt
from cameval.cli._networks import told_by_options
from cameval.errors import SettingError, UnsupportedModelError

SIDE = "side branch: part of the logits does not pass here"


class Weighted(nn.Module):
    """A network whose features are weighted by a function of them."""

    def __init__(self, kind: str, channels: int = 6) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU())
        self.reduce = nn.Conv2d(8, channels, 1)
        self.score, self.gate = nn.Conv2d(channels, 1, 1), nn.Conv2d(channels, channels, 1)
        self.tokens = nn.Sequential(nn.Linear(channels, 5), nn.Tanh())
        self.token_score = nn.Sequential(nn.Linear(5, 1))
        self.fc = nn.Linear(channels, 3)
        self.kind, self.image_size = kind, 32

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        maps = self.reduce(self.trunk(images))
        if self.kind == "softmax":
            weights = self.score(maps).flatten(2).softmax(2)
        elif self.kind == "tokens":
            weights = self.token_score(self.tokens(maps.flatten(2).mT)).mT.softmax(2)
        elif self.kind == "scalar gate":
            weights = self.score(maps).sigmoid().flatten(2)
        else:
            weights = self.gate(maps).sigmoid().flatten(2)
        return self.fc((weights * maps.flatten(2)).sum(2))


KINDS = {
    "softmax": ["score"],
    "scalar gate": ["score"],
    "gate": ["gate"],
    "tokens": ["tokens"],
}


def refused(net: nn.Module) -> UnsupportedModelError:
    """Return the error of a network."""
    with pytest.raises(UnsupportedModelError) as caught:
        adapt(net)
    return caught.value


def lines(error: UnsupportedModelError) -> dict[str, str]:
    """Return the layers that an error lists, each with what follows its name."""
    return dict(re.findall(r"^    ([\w.]+)  (\(.*)$", str(error), re.MULTILINE))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("zeros", [False, True], ids=["random", "zero weights"])
def test_what_is_weighted_is_recommended_and_not_its_weights(kind: str, zeros: bool) -> None:
    net = Weighted(kind).eval()
    if zeros:  # as some networks have them before training
        nn.init.zeros_(net.fc.weight)
    error = refused(net)
    assert 'Name it: cameval.adapt(net, layer="reduce").' in str(error)
    marked = [name for name, rest in lines(error).items() if SIDE in rest]
    assert marked == (KINDS[kind] if kind != "tokens" or not zeros else [])
    assert error.layers[0] == "reduce"
    assert not {*marked} & {*error.layers}


def test_the_command_line_recommends_the_same_layer() -> None:
    with pytest.raises(SettingError, match="Name it: --layer reduce, "), told_by_options():
        adapt(Weighted("softmax").eval())


def test_a_layer_of_one_channel_is_never_recommended() -> None:
    net = nn.Sequential(nn.Conv2d(3, 1, 3), nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(4, 2))
    error = refused(net.eval())
    assert [*lines(error)][-1] == "0"
    assert "layer=" not in str(error)
    assert "Build cameval.CAMModel" in str(error)
    assert error.layers == ()


class TwoTrunks(nn.Module):
    """Two branches from the image on: there is no layer that all passes."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 5, 3)
        self.fc, self.image_size = nn.Linear(9, 2), 16

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.fc(torch.cat([self.one(images), self.two(images)], 1).amax((2, 3)))


def test_a_side_branch_is_recommended_if_there_is_nothing_else() -> None:
    error = refused(TwoTrunks().eval())
    assert 'Name it: cameval.adapt(net, layer="two")' in str(error)
    assert all(SIDE in rest for rest in lines(error).values())
    assert error.layers == ("two", "one")


class TwoScales(nn.Module):
    """A network whose head reads two scales, which part after the first layer."""

    def __init__(self, shapes: int) -> None:
        super().__init__()
        self.low = nn.Conv2d(3, 4, 3, padding=1)
        self.high = nn.Sequential(*(nn.Conv2d(4 + k, 5 + k, 3, padding=1) for k in range(shapes)))
        self.fc, self.image_size = nn.Linear(8 + shapes, 2), 16

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        low = self.low(images)
        return self.fc(torch.cat([low, self.high(low)], 1).amax((2, 3)))


@pytest.mark.parametrize("shapes", [2, 9])
def test_a_layer_before_many_shapes_of_side_branches_is_found(shapes: int) -> None:
    error = refused(TwoScales(shapes).eval())
    assert error.layers == ("low",)
    assert 'Name it: cameval.adapt(net, layer="low")' in str(error)
    assert len(lines(error)) <= 7


@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_as_before(fails: bool) -> None:
    net = Weighted("softmax").train()
    runs: list[int] = []

    def hook(*_: object) -> None:
        runs.append(1)
        if fails and len(runs) == 3:
            raise RuntimeError("a hook that fails in its third run")

    net.gate.requires_grad_(False)
    net.score.register_forward_hook(hook)
    before = copy.deepcopy(net.state_dict())
    hooks = {
        name: (len(part._forward_hooks), len(part._forward_pre_hooks))
        for name, part in net.named_modules()
    }
    refused(net)
    assert len(runs) > 2
    assert all(part.training for part in net.modules())
    assert hooks == {
        name: (len(part._forward_hooks), len(part._forward_pre_hooks))
        for name, part in net.named_modules()
    }
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert [weight.requires_grad for weight in net.gate.parameters()] == [False, False]
    assert all(weight.grad is None for weight in net.parameters())


@pytest.mark.parametrize(
    "make", [lambda: torch.zeros(1, 3, 32, 32), lambda: torch.rand(1, 3, 9, 9)]
)
def test_one_image_suffices(make: Callable[[], Tensor]) -> None:
    with pytest.raises(UnsupportedModelError, match='layer="reduce"'):
        adapt(Weighted("gate").eval(), images=make())

"""Networks that crop, pad, flip or turn the image before their layers are told."""

import warnings
from collections.abc import Callable

import pytest
import torch
from evaluations import samples
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad
from torchvision.models import ResNet18_Weights, resnet18

from cameval import CAMExtractor, CAMModel, adapt, concat, evaluate, grad_cam, iou
from cameval.evaluation import Preparation, Results
from cameval.networks import LayerModel, PlacementWarning
from cameval.networks._placement import Placement
from cameval.report import verdict_lines

Step = Callable[[Tensor], Tensor]


class Net(nn.Module):
    """A small network with a step before its layers."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=4, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.fc = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.fc(self.body(self.step(images)).mean((2, 3)))


ALL = {"top", "bottom", "left", "right"}

MOVED: dict[str, tuple[Step, dict[str, set[str]]]] = {
    "crop": (lambda x: x[:, :, 20:-20, 20:-20], {"unseen": ALL}),
    "crop of the left": (lambda x: x[..., 20:], {"unseen": {"left"}}),
    "crop of the bottom": (lambda x: x[:, :, :-20], {"unseen": {"bottom"}}),
    "zoom": (lambda x: interpolate(x[:, :, 20:-20, 20:-20], (224, 224)), {"unseen": ALL}),
    "flip": (lambda x: x.flip(-1), {"opposite": {"left", "right"}}),
    "upside down": (lambda x: x.flip(-2), {"opposite": {"top", "bottom"}}),
    "half a turn": (lambda x: x.flip(-1, -2), {"opposite": ALL}),
    "quarter of a turn": (lambda x: x.rot90(1, (2, 3)), {"elsewhere": ALL}),
    "transposed": (lambda x: x.mT, {"elsewhere": ALL}),
    "padded": (lambda x: pad(x, (24,) * 4), {"elsewhere": ALL}),
    "rolled": (lambda x: x.roll(60, -1), {"elsewhere": {"left", "right"}}),
}

AT_ITS_PLACE: dict[str, Step] = {
    "nothing": lambda x: x,
    "normalized": lambda x: (x - 0.45) / 0.225,
    "normalized by the image": lambda x: (x - x.mean((1, 2, 3), True)) / x.std(),
    "range of the image": lambda x: (x - x.amin((1, 2, 3), True)) / x.amax((1, 2, 3), True),
    "clamped": lambda x: x.clamp(0, 1),
    "gray": lambda x: x.mean(1, keepdim=True).expand(-1, 3, -1, -1),
    "smaller": lambda x: interpolate(x, (32, 32)),
    "much smaller": lambda x: interpolate(x, (16, 16), mode="nearest-exact"),
    "larger": lambda x: interpolate(x, (300, 300), mode="bicubic", antialias=True),
    "of another shape": lambda x: interpolate(x, (64, 128), mode="bilinear"),
    "crop of 4 of 224 pixels": lambda x: x[:, :, 4:-4, 4:-4],
    "mixed columns": lambda x: (
        x @ torch.randn(224, 224, generator=torch.Generator().manual_seed(0))
    ),
}


@pytest.mark.parametrize("kind", MOVED)
def test_what_moves_the_image_is_told(kind: str) -> None:
    step, expected = MOVED[kind]
    net = Net(step).eval()
    with pytest.warns(PlacementWarning, match="a Net whose first convolution "):
        model = adapt(net)
    found = model.placement.places
    places = {place: {s for s, p in found.items() if p == place} for place in found.values()}
    assert places == expected
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert adapt(model) is model  # it was told once


@pytest.mark.parametrize("kind", AT_ITS_PLACE)
def test_what_stays_at_its_place_is_not_told(kind: str) -> None:
    assert not adapt(Net(AT_ITS_PLACE[kind]).eval(), layer="body").placement


def test_every_kind_of_model_is_told() -> None:
    step = MOVED["crop"][0]
    net = Net(step).eval()

    class Crop(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return step(images)

    models: list[Callable[[], CAMModel | LayerModel]] = [
        lambda: adapt(net, layer="body.1"),
        lambda: adapt(LayerModel(net, "body.1")),
        lambda: adapt(nn.Sequential(Crop(), resnet18()).eval(), layer="1.layer3"),
        lambda: adapt(nn.Sequential(ResNet18_Weights.DEFAULT.transforms(), resnet18()).eval()),
    ]
    for make in models:
        with pytest.warns(PlacementWarning, match="does not see the margin at the top, bottom"):
            assert set(make().placement.places) == ALL
    with pytest.warns(PlacementWarning):
        assert adapt(net, num_classes=2).placement
    with pytest.warns(PlacementWarning):
        CAMExtractor(net)


def test_volumes_and_networks_that_cannot_be_judged() -> None:
    class Volumes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.fc = nn.Conv3d(1, 4, 3), nn.Linear(4, 2)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(self.body(images[:, :, 4:, :, 8:]).relu().mean((2, 3, 4)))

    with pytest.warns(PlacementWarning):
        model = adapt(Volumes().eval())
    assert model.placement.places == {"first slices": "unseen", "left": "unseen"}
    assert not Placement.of_network(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)))
    assert not Placement.of_network(nn.Sequential(nn.Conv2d(3, 2, 900)))  # no trial fits
    assert not Placement.of_network(Net(MOVED["crop"][0]).to("meta"))
    patches = nn.Sequential(nn.Unfold(8, stride=8), nn.Conv1d(192, 4, 1))
    assert not Placement.of(patches, torch.rand(1, 3, 32, 32))


def test_the_network_is_not_changed_and_nothing_is_drawn() -> None:
    net = Net(MOVED["crop"][0]).train()
    torch.manual_seed(0)
    with pytest.warns(PlacementWarning):
        adapt(net, layer="body.0")
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(1), drawn)
    assert net.training
    assert not any(module._forward_pre_hooks for module in net.modules())


def run(net: nn.Module, name: str) -> Results:
    return evaluate(
        net,
        samples(6, sizes=(64,)),
        methods=[grad_cam],
        metrics=[iou],
        prepare=Preparation(size=64),
        name=name,
        progress=False,
    )


def test_the_verdict_and_stored_results_tell_it(tmp_path) -> None:
    with pytest.warns(PlacementWarning):
        crops = run(Net(MOVED["crop"][0]).eval(), "crops")
    text = (
        "The first convolution does not see the margin at the top, bottom, left, right of the "
        "image: the maps are at other places than what was seen."
    )
    crops.to_csv(tmp_path / "results.csv")
    for results in (crops, Results.from_csv(tmp_path / "results.csv")):
        assert text in " ".join(" ".join(verdict_lines(results)).split())
    plain = run(Net(AT_ITS_PLACE["nothing"]).eval(), "plain")
    assert "first convolution" not in " ".join(verdict_lines(plain))
    both = " ".join(" ".join(verdict_lines(concat([plain, crops]))).split())
    assert "The first convolution of crops does not see the margin" in both

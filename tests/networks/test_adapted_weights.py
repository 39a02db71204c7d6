"""Files of weights in models of `adapt`: those of the network that was adapted fit, too."""

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from cameval import CAMModel, adapt
from cameval.errors import DataError
from cameval.networks import LayerModel, load_network, load_weights


class Outputs(nn.Module):
    """A network that always returns a dictionary."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 5, 4)
        self.classify = nn.Linear(4, num_classes)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return logits and features."""
        features = self.body(images).relu().mean((2, 3))
        return {"logits": self.classify(features), "features": features}


def logits_of(outputs: dict[str, Tensor]) -> Tensor:
    return outputs["logits"]


def selected(num_classes: int = 3) -> nn.Module:
    return adapt(Outputs(num_classes).eval(), select=logits_of)


MODELS = {
    "selected": (Outputs, selected),
    "named layer": (
        Outputs,
        lambda: adapt(Outputs().eval(), layer="body", select=logits_of),
    ),
    "declared": (lambda: resnet18(num_classes=3), lambda: adapt(resnet18(num_classes=3).eval())),
    "inner layer": (
        lambda: resnet18(num_classes=3),
        lambda: adapt(resnet18(num_classes=3).eval(), layer="layer3"),
    ),
}


@pytest.mark.parametrize("kind", MODELS)
def test_weights_of_the_adapted_network_are_loaded(tmp_path, kind) -> None:
    make, make_adapted = MODELS[kind]
    torch.manual_seed(0)
    trained, model = make().eval(), make_adapted()
    images = torch.rand(2, 3, 64, 64)
    expected = trained(images)
    expected = expected if isinstance(expected, Tensor) else logits_of(expected)
    torch.save({"state_dict": nn.DataParallel(trained).state_dict()}, tmp_path / "w.pth")
    assert not torch.equal(model(images), expected)
    load_weights(model, tmp_path / "w.pth")
    assert isinstance(model, CAMModel | LayerModel)
    assert torch.equal(model(images), expected)
    assert torch.equal(model.activations(images).logits, expected)


def test_weights_of_the_model_itself_are_still_loaded(tmp_path) -> None:
    trained, model = selected(), selected()
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    load_weights(model, tmp_path / "w.pth")
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(model(images), trained(images))


def test_weights_of_another_network_are_told_by_its_names(tmp_path) -> None:
    torch.save(nn.Linear(2, 3).state_dict(), tmp_path / "w.pth")
    with pytest.raises(DataError, match=r"weights of the network \(Outputs\), .*body.weight"):
        load_weights(selected(), tmp_path / "w.pth")


def test_the_number_of_classes_is_that_of_the_file(tmp_path) -> None:
    torch.save(Outputs(7).state_dict(), tmp_path / "w.pth")
    net = load_network(f"{__name__}:selected", tmp_path / "w.pth")
    assert net(torch.rand(1, 3, 32, 32)).shape == (1, 7)

"""Networks that normalize images themselves, and get images that are normalized already."""

import warnings

import pytest
import torch
from evaluations import samples
from torch import Tensor, nn

from cameval import CAMExtractor, concat, evaluate, grad_cam, iou
from cameval.evaluation import Preparation, Results
from cameval.extractor import CAMSweep, NormalizedTwiceWarning
from cameval.report import verdict_lines

ONCE = Preparation(size=64, mean=(0, 0, 0), std=(1, 1, 1))
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class Net(nn.Module):
    """A network that scales its images."""

    def __init__(self, slope: float | Tensor = 1, offset: float | Tensor = 0) -> None:
        super().__init__()
        self.slope, self.offset = (
            torch.as_tensor(value, dtype=torch.float32).reshape(1, -1, 1, 1)
            for value in (slope, offset)
        )
        self.body, self.fc = nn.Conv2d(3, 8, 5, stride=4, padding=2), nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        scaled = images * self.slope.to(images) + self.offset.to(images)
        return self.fc(self.body(scaled).relu().mean((2, 3)))


def normalizing() -> Net:
    return Net(1 / STD, -MEAN / STD).eval()


def run(net: nn.Module, prepare: Preparation, name: str) -> Results:
    return evaluate(
        net,
        samples(6, sizes=(64,)),
        methods=[grad_cam],
        metrics=[iou],
        prepare=prepare,
        name=name,
        progress=False,
    )


def test_an_extractor_warns_of_images_that_are_normalized_twice() -> None:
    images = torch.rand(2, 3, 64, 64)
    normalized = (images - MEAN.reshape(3, 1, 1)) / STD.reshape(3, 1, 1)
    for extract in (
        CAMExtractor(normalizing()),
        CAMSweep(normalizing(), {"grad_cam": grad_cam}),
        CAMSweep(normalizing(), {"grad_cam": grad_cam}, ["body"]),
    ):
        with pytest.warns(NormalizedTwiceWarning, match=r"values up to 1\d\.?\d* at the first"):
            extract(normalized)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            extract(images)
            extract(40 * images)  # as they are before any normalization


@pytest.mark.parametrize(
    ("slope", "offset"),
    [
        (1, 0),
        (0.458, -0.03),  # from the normalization of ImageNet to [-1, 1]
        (2.2, 0.2),  # from [-1, 1] to the normalization of ImageNet
    ],
)
def test_networks_that_rescale_normalized_images_get_no_warning(slope, offset) -> None:
    images = 2 * torch.rand(2, 3, 64, 64) - 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CAMExtractor(Net(slope, offset).eval())(images)


def test_an_evaluation_warns_and_its_verdict_says_it(tmp_path) -> None:
    with pytest.warns(NormalizedTwiceWarning, match="images must be normalized once"):
        twice = run(normalizing(), Preparation(size=64), "twice")
    text = "The images are normalized twice: by the preparation, and by the network itself."
    twice.to_csv(tmp_path / "results.csv")
    for results in (twice, Results.from_csv(tmp_path / "results.csv")):
        assert text in " ".join(verdict_lines(results))
    once = run(normalizing(), ONCE, "once")
    assert "normalized twice" not in " ".join(verdict_lines(once))
    plain = run(Net().eval(), Preparation(size=64), "plain")
    assert "normalized twice" not in " ".join(verdict_lines(plain))
    both = " ".join(verdict_lines(concat([once, twice])))
    assert "The images of twice are normalized twice" in both

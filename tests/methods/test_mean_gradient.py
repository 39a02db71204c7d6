"""Mean gradients that are rounding error give maps of zeros and a warning."""

import warnings

import pytest
import torch
from torch import Tensor, nn

from cameval import CAMExtractor, adapt, evaluate, grad_cam, iou
from cameval.binarizers import PercentileBinarizer
from cameval.data import Sample
from cameval.methods import GroupCAM, RoundingErrorWarning, hires_cam, shapley_cam

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


class Pooled(nn.Module):
    """Attention pooling, or an instance normalization; both take no constant from a channel."""

    def __init__(self, kind: str = "softmax") -> None:
        super().__init__()
        torch.manual_seed(3)
        self.body = nn.Sequential(nn.Conv2d(3, 16, 5, 2), nn.ReLU(), nn.Conv2d(16, 8, 3))
        self.score, self.kind = nn.Conv2d(8, 1, 1), kind
        self.norm, self.fc = nn.InstanceNorm2d(8), nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        maps = self.body(images)
        if self.kind == "norm":
            return self.fc(self.norm(maps).relu().mean((2, 3)))
        weights = self.score(maps).flatten(2)
        weights = weights.softmax(2) if self.kind == "softmax" else weights.sigmoid()
        return self.fc((weights * maps.flatten(2)).sum(2))


def batch(count: int = 3) -> Tensor:
    return torch.randn(count, 3, 40, 40, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("method", [grad_cam, shapley_cam, GroupCAM(groups=1)])
def test_the_map_at_the_scores_of_a_softmax_is_zero(dtype: torch.dtype, method) -> None:
    if method is shapley_cam and dtype not in (torch.float64, torch.float32):
        pytest.skip("its second derivatives are those of 16 bits")
    model = adapt(Pooled().eval().to(dtype), layer="score")
    with pytest.warns(RoundingErrorWarning, match="got less for 3 of 3 images") as told:
        maps = method(model.activations(batch().to(dtype)), torch.tensor([0, 1, 2]))
    assert len(told) == 1
    assert told[0].filename == __file__
    assert not maps.any()


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_the_map_before_an_instance_normalization_is_zero(dtype: torch.dtype) -> None:
    model = adapt(Pooled("norm").eval().to(dtype), layer="body")
    with pytest.warns(RoundingErrorWarning):
        maps = grad_cam(model.activations(batch().to(dtype)), torch.tensor([0, 1, 2]))
    assert not maps.any()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("kind", "layer"), [("softmax", "body"), ("sigmoid", "score"), ("sigmoid", "body")]
)
def test_other_maps_are_the_formula_bit_for_bit(dtype, kind: str, layer: str) -> None:
    model = adapt(Pooled(kind).eval().to(dtype), layer=layer)
    activations, classes = model.activations(batch().to(dtype)), torch.tensor([0, 1, 2])
    gradient = activations.gradients(classes)
    expected = (gradient.mean((2, 3), keepdim=True) * activations.features).sum(1).relu()
    assert torch.equal(grad_cam(activations, classes), expected)


def test_other_images_of_the_batch_keep_their_maps() -> None:
    net, images = Pooled().eval(), batch()
    activations = adapt(net, layer="score").activations(images)

    def score(logits: Tensor) -> Tensor:
        return logits[:, 0] + activations._source.sum((1, 2, 3)) * torch.tensor([0.0, 1.0, 0.0])

    with pytest.warns(RoundingErrorWarning, match="got less for 2 of 3 images"):
        maps = grad_cam(activations, score)
    assert maps.flatten(1).any(1).tolist() == [False, bool((maps[1] > 0).any()), False]
    assert (activations.features[1] > 0).any() == maps[1].any()


def test_gradients_that_are_zero_are_no_rounding_error() -> None:
    net = Pooled().eval()
    nn.init.zeros_(net.fc.weight)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not grad_cam(
            adapt(net, layer="score").activations(batch()), torch.zeros(3).long()
        ).any()


def test_methods_without_a_mean_are_as_they_were() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        maps = CAMExtractor(adapt(Pooled().eval(), layer="score"), hires_cam)(batch(), 1).coarse
    assert maps.any()


def test_the_evaluation_counts_them_as_constant_maps() -> None:
    mask = torch.zeros(40, 40, dtype=torch.bool)
    mask[10:20, 10:20] = True
    samples = [
        Sample(f"{number}", image.sigmoid().movedim(0, -1).numpy(), mask.numpy(), label=0)
        for number, image in enumerate(batch(2))
    ]
    with pytest.warns(RoundingErrorWarning):
        results = evaluate(
            adapt(Pooled().eval(), layer="score"),
            samples,
            methods=[grad_cam],
            binarizers=[PercentileBinarizer(90)],
            metrics=[iou],
        )
    table = results.to_pandas()
    assert table[table["method"] == "grad_cam"]["constant"].all()

"""Networks whose images have one channel, or many."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2yuv
from torch import Tensor, nn

from cameval import CAMExtractor, Preparation, Sample, adapt, evaluate, grad_cam, iou
from cameval.errors import ShapeError


class Net(nn.Module):
    """A network of images of some number of channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 3, padding=1)
        self.fc = nn.Linear(4, 2)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.fc(self.conv(images).relu().mean((2, 3)))


def sample(channels: int) -> Sample:
    """Make a sample with an object in its middle."""
    shape = (20, 30) if channels == 1 else (20, 30, channels)
    image = np.random.default_rng(0).random(shape, np.float32)
    mask = np.zeros((20, 30), bool)
    mask[5:15, 10:20] = True
    return Sample("one", image, mask, label=1)


@pytest.mark.parametrize(("channels", "of_image"), [(1, 1), (1, 3), (3, 3), (3, 1), (5, 5), (5, 1)])
def test_the_default_preparation_follows_the_network(channels: int, of_image: int) -> None:
    net, one = Net(channels).eval(), sample(of_image)
    found = evaluate(net, [one], metrics=iou, baselines={})
    prepare = Preparation.for_channels(channels)
    expected = evaluate(net, [one], metrics=iou, baselines={}, prepare=prepare)
    assert (found.values == expected.values).all()
    assert prepare(one)[0].shape == (channels, 224, 224)
    by_extractor = evaluate(CAMExtractor(net, grad_cam), [one], metrics=iou, baselines={})
    assert (by_extractor.values == expected.values).all()


def test_a_single_channel_of_a_color_image_is_its_luma() -> None:
    one = sample(3)
    prepare = Preparation(size=(20, 30), mean=(0.0,), std=(1.0,))
    expected = rgb2yuv(one.image)[..., 0]
    np.testing.assert_allclose(prepare(one)[0][0].numpy(), expected, atol=1e-3)
    gray = np.repeat(one.image[..., :1], 3, axis=2)
    same = Preparation(size=(20, 30), mean=(0.0,), std=(1.0,))(Sample("g", gray, one.mask, 1))[0]
    torch.testing.assert_close(same[0], torch.from_numpy(gray[..., 0]))


def test_images_of_another_number_of_channels_are_refused() -> None:
    with pytest.raises(ShapeError, match="must be gray or have 5 channels, got 3"):
        evaluate(Net(5).eval(), [sample(3)], metrics=iou, baselines={})


def test_a_network_of_which_the_logits_are_selected_has_its_own_name() -> None:
    class Pair(Net):
        def forward(self, images: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
            return super().forward(images), None

    model = adapt(Pair(3).eval(), select=lambda outputs: outputs[0])
    results = evaluate(CAMExtractor(model, grad_cam), [sample(3)], metrics=iou, baselines={})
    assert results.samples["model"].tolist() == ["Pair"]


@pytest.mark.parametrize(
    "form",
    [
        lambda net: net,
        adapt,
        lambda net: adapt(net, layer="conv"),
        CAMExtractor,
        nn.DataParallel,
        nn.Sequential,
    ],
)
def test_a_network_of_timm_is_given_images_of_its_configuration(form) -> None:
    net, half = Net(3).eval(), (0.5,) * 3
    net.pretrained_cfg = {"input_size": (3, 48, 40), "mean": half, "std": half}
    data, settings = [sample(3)], {"baselines": {}, "metrics": iou, "progress": False}
    found = evaluate(form(net), data, **settings)
    prepare = Preparation((48, 40), mean=half, std=half)
    expected = evaluate(form(net), data, prepare=prepare, **settings)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.provenance["preparation"] == expected.provenance["preparation"]


def test_a_configuration_of_other_channels_gives_the_size_alone() -> None:
    net = Net(1)
    net.pretrained_cfg = {"input_size": (3, 96, 96), "mean": (0.5,) * 3, "std": (0.5,) * 3}
    found = Preparation.for_network(net)
    assert (found.size, found.mean) == ((96, 96), Preparation.for_channels(1).mean)

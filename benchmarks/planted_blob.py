"""Measure where class activation maps see a blob whose place is known.

Images of smooth noise, half of them with one bright blob at a random place. On the frozen features
of a torchvision network a linear head (global average pooling, then logistic regression) learns to
tell whether there is a blob. Its class activation map is then laid on images that it has not seen,
in both alignments, and the centroid of the map is compared with that of the blob::

    python benchmarks/planted_blob.py
    python benchmarks/planted_blob.py --families resnet18 vgg11 --images 48
    python benchmarks/planted_blob.py --border --images 128

Trunks are untrained, with batch-norm statistics of the images. Where ``CAMEVAL_TEST_DATA`` or
``--data`` names a folder with ``weights/mobilenet_v2-*.pth`` and ``weights/squeezenet1_0-*.pth``,
these trained trunks are used too. Each trunk is used twice: as it is, and with all its convolution
kernels mirrored. What the kernels' own asymmetry shifts then cancels, what the grid shifts remains.

From each map the mean map of blob-free training images is taken away, and the centroid is that of
the upper half of what is left: what lies above the middle between median and maximum, weighted by
how far. Blobs keep a quarter of the side away from the borders, where every map is cut; with
``--border`` they lie anywhere, and the errors are told by how near the border a blob is, along the
axis that leads to it. Needs scikit-learn (the ``study`` extra).
"""

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torchvision.models as tv
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torchvision.models.convnext import CNBlock
from torchvision.models.mobilenetv2 import mobilenet_v2
from torchvision.models.mobilenetv3 import mobilenet_v3_small
from torchvision.transforms.functional import gaussian_blur

from cameval import CAMModel, adapt
from cameval.maps import CellCenters, upsample

BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "resnet18": tv.resnet18,
    "resnext50_32x4d": tv.resnext50_32x4d,
    "wide_resnet50_2": tv.wide_resnet50_2,
    "regnet_y_400mf": tv.regnet_y_400mf,
    "mobilenet_v2": mobilenet_v2,
    "mobilenet_v3_small": mobilenet_v3_small,
    "mnasnet0_5": tv.mnasnet0_5,
    "shufflenet_v2_x1_0": tv.shufflenet_v2_x1_0,
    "efficientnet_b0": tv.efficientnet_b0,
    "efficientnet_v2_s": tv.efficientnet_v2_s,
    "densenet121": tv.densenet121,
    "googlenet": lambda: tv.googlenet(init_weights=False),
    "inception_v3": lambda: tv.inception_v3(init_weights=False),
    "alexnet": tv.alexnet,
    "squeezenet1_0": tv.squeezenet1_0,
    "squeezenet1_1": tv.squeezenet1_1,
    "vgg11": tv.vgg11,
    "vgg11_bn": tv.vgg11_bn,
    "convnext_tiny": tv.convnext_tiny,
    "swin_t": tv.swin_t,
}
DEFAULT = [
    *("resnet18", "regnet_y_400mf", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5"),
    *("shufflenet_v2_x1_0", "efficientnet_b0", "densenet121", "googlenet", "inception_v3"),
    *("alexnet", "squeezenet1_0", "squeezenet1_1", "vgg11_bn", "convnext_tiny", "swin_t"),
]

EDGE = 32  # pixels from a border


def plant(
    count: int, size: int, generator: torch.Generator, margin: float = 0.25
) -> tuple[Tensor, Tensor, Tensor]:
    """Make images, tell which have a blob (every second one), and where it is: ``(N, 2)``, (x, y).

    Blobs keep the margin, a share of the side, away from the borders. An image without a blob has
    the noise of the next one, which has a blob. Pixel k has its center at k + 0.5.
    """
    noise = torch.randn(count // 2, 3, size, size, generator=generator)
    noise = gaussian_blur(noise, [19, 19], [3.0, 3.0])
    images = (noise / noise.std()).repeat_interleave(2, 0)
    centers = (margin + (1 - 2 * margin) * torch.rand(count, 2, generator=generator)) * size
    pixels = torch.arange(size) + 0.5
    spread = 2 * (size / 20) ** 2
    across = torch.exp(-((pixels - centers[:, :1]) ** 2) / spread)
    down = torch.exp(-((pixels - centers[:, 1:]) ** 2) / spread)
    has_blob = torch.arange(count) % 2 == 1
    blobs = 10.0 * down[:, :, None] * across[:, None, :]
    return images + has_blob[:, None, None, None] * blobs[:, None], has_blob, centers


def centroids(maps: Tensor) -> Tensor:
    """Centroids ``(N, 2)``, (x, y) in pixels, of the upper half of maps ``(N, H, W)``."""
    median = maps.flatten(1).median(1).values
    level = (median + maps.amax((1, 2))) / 2
    weight = (maps - level[:, None, None]).clamp(min=0)
    total = weight.sum((1, 2))
    x = (weight.sum(1) @ (torch.arange(maps.shape[2]) + 0.5)) / total
    y = (weight.sum(2) @ (torch.arange(maps.shape[1]) + 0.5)) / total
    return torch.stack((x, y), 1)


@torch.no_grad()
def mirrored(net: nn.Module) -> nn.Module:
    """Mirror all convolution kernels, in place."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.copy_(module.weight.flip(-2, -1))
    return net


@torch.no_grad()
def calibrated(net: nn.Module, images: Tensor) -> nn.Module:
    """Give an untrained network the batch-norm statistics of the images, in place."""
    net.eval()
    for module in net.modules():
        if isinstance(module, CNBlock):  # else its blocks do next to nothing
            module.layer_scale.fill_(1.0)
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain average
            module.train()
    adapt(net).features(images)
    return net.eval()


def trained(net: nn.Module, file: Path) -> nn.Module:
    """Load the weights of a file into a network."""
    weights = torch.load(file, weights_only=True)
    net.load_state_dict({key: value.float() for key, value in weights.items()})
    return net.eval()


@dataclass(frozen=True)
class Outcome:
    """What one trunk gives: the errors of map centroids on unseen images, ``(N, 2)``, in pixels.

    `where` is where the blobs are.
    """

    accuracy: float
    cells: int
    cell_centers: CellCenters
    half_pixel: Tensor
    receptive_field: Tensor
    where: Tensor


@torch.inference_mode()
def examine(net: nn.Module, images: Tensor, has_blob: Tensor, centers: Tensor) -> Outcome:
    """Train a linear head on one half of the images, look at its maps of the other; and swap."""
    model = adapt(net.to(memory_format=torch.channels_last), num_classes=2)
    assert isinstance(model, CAMModel)
    assert model.cell_centers is not None
    features = torch.cat([model.features(batch) for batch in images.split(16)])
    fold = torch.arange(len(images)) < len(images) // 2
    hits, maps, true = 0.0, [], []
    for train in (fold, ~fold):
        pooled = features.mean((2, 3)).numpy()
        head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        head.fit(pooled[train], has_blob[train])
        hits += head.score(pooled[~train], has_blob[~train]) / 2
        weight = torch.from_numpy(head[-1].coef_[0] / head[0].scale_).float()
        coarse = torch.einsum("k,nkhw->nhw", weight, features)
        maps.append(coarse[~train & has_blob] - coarse[train & ~has_blob].mean(0))
        true.append(centers[~train & has_blob])
    coarse, where = torch.cat(maps), torch.cat(true)
    size = tuple(images.shape[2:])
    found = [
        centroids(upsample(coarse, size, cell_centers=cell_centers))
        for cell_centers in (None, model.cell_centers)
    ]
    errors = found[0] - where, found[1] - where
    return Outcome(hits, coarse.shape[-1], model.cell_centers, *errors, where)


def row(label: str, outcomes: Sequence[Outcome]) -> str:
    """One line of the table: a network's trunks taken together."""
    first = outcomes[0]
    accuracy = sum(outcome.accuracy for outcome in outcomes) / len(outcomes)
    cells = [
        label,
        f"{first.cell_centers.offset:g}, {first.cell_centers.stride:g}",
        str(first.cells),
    ]
    cells.append(f"{100 * accuracy:.0f} %")
    for alignment in ("half_pixel", "receptive_field"):
        errors = torch.cat([getattr(outcome, alignment) for outcome in outcomes])
        means, spread = errors.mean(0), errors.std(0) / len(errors) ** 0.5
        cells += [f"{m:+.1f} ± {s:.1f}" for m, s in zip(means, spread, strict=True)]
        cells.append(f"{errors.norm(dim=1).mean():.1f}")
    return f"| {' | '.join(cells)} |"


def border_row(label: str, outcomes: Sequence[Outcome], size: int) -> str:
    """One line of the table by distance from the border: mean and mean absolute errors."""
    accuracy = sum(outcome.accuracy for outcome in outcomes) / len(outcomes)
    where = torch.cat([outcome.where for outcome in outcomes]).flatten()
    zones = [where < EDGE, where > size - EDGE, (where - size / 2).abs() < size / 2 - 2 * EDGE]
    cells = [label, f"{100 * accuracy:.0f} %"]
    for zone in zones:
        for alignment in ("half_pixel", "receptive_field"):
            errors = torch.cat([getattr(outcome, alignment) for outcome in outcomes]).flatten()
            cells.append(f"{errors[zone].mean():+.1f} ({errors[zone].abs().mean():.1f})")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print one line for each network."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--families", nargs="+", choices=BUILDERS, default=DEFAULT)
    parser.add_argument("--images", type=int, default=96, help="per trunk; half have a blob")
    parser.add_argument("--size", type=int, default=224, help="side in pixels; Inception's is 299")
    parser.add_argument("--trunks", type=int, default=1, help="untrained ones, each used twice")
    parser.add_argument("--border", action="store_true", help="blobs anywhere, errors by zone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=os.environ.get("CAMEVAL_TEST_DATA"))
    options = parser.parse_args()

    if options.border:
        print("| network | accuracy | left and top: half-pixel | receptive field", end=" ")
        print("| right and bottom: half-pixel | receptive field", end=" ")
        print("| middle: half-pixel | receptive field |")
    else:
        print("| network | place | cells | accuracy | half-pixel dx | dy | distance", end=" ")
        print("| receptive field dx | dy | distance |")
    print("|---" * (8 if options.border else 10) + "|")
    margin = 0.0 if options.border else 0.25
    for name in options.families:
        size = 299 if name == "inception_v3" else options.size
        generator = torch.Generator().manual_seed(options.seed)
        images, has_blob, centers = plant(4 * (options.images // 4), size, generator, margin)
        line = partial(border_row, size=size) if options.border else row
        outcomes = []
        for trunk in range(options.trunks):
            torch.manual_seed(options.seed + trunk)
            net = BUILDERS[name]()
            for _ in range(2):
                calibrated(mirrored(net), images[:16])
                outcomes.append(examine(net, images, has_blob, centers))
        print(line(name, outcomes), flush=True)
        for file in Path(options.data or "nowhere", "weights").glob(f"{name}-*.pth"):
            net = trained(BUILDERS[name](), file)
            outcomes = [examine(mirrored(net), images, has_blob, centers) for _ in range(2)]
            print(line(f"{name}, ImageNet", outcomes), flush=True)


if __name__ == "__main__":
    main()

"""Cost of three targets an image, as a ratio to one target.

The same images are evaluated with one target and with three, whose classes differ: Grad-CAM, two
binarizers and the metrics of masks; then everything that `evaluate` does by default. The network
runs once for each batch, whatever the number of targets. What a run does once is measured with one
image and subtracted. Tasks are interleaved in one process in shuffled order; ratios of medians, and
in brackets of minima.

    python benchmarks/targets.py --images 16 --rounds 9
"""

import argparse
import platform
import statistics
import sys
from itertools import islice
from typing import Any

import numpy as np
import torch
import torchvision
from speed import Task, interleave

import cameval
from cameval import Preparation, Sample, Target, evaluate, metrics
from cameval.data import phantom_samples

PLANS: dict[str, dict[str, Any]] = {
    "grad_cam, masks": {
        "methods": {"grad_cam": cameval.grad_cam},
        "binarizers": {
            "percentile:95": cameval.PercentileBinarizer(95),
            "otsu": cameval.OtsuBinarizer(),
        },
        "metrics": [
            *(metrics.iou, metrics.dice, metrics.coverage, metrics.precision, metrics.informedness),
            *(metrics.size_standardized_iou, metrics.overlap_coefficient),
            metrics.volumetric_similarity,
        ],
        "baselines": {},
    },
    "the defaults": {},
}
GOAL = "grad_cam, masks"


def with_targets(sample: Sample, count: int) -> Sample:
    """Return the image with masks of so many classes."""
    masks = [np.roll(sample.mask, 9 * k, axis=1) for k in range(count)]
    return Sample(
        sample.name,
        sample.image,
        group=sample.group,
        targets=[Target(k, mask) for k, mask in enumerate(masks)],
    )


def tasks(network: str, count: int, size: int) -> dict[str, Task]:
    """Return the evaluations with one and with three targets, of all images and of one."""
    torch.manual_seed(0)
    net = torchvision.models.get_model(network).eval()
    made = list(islice(phantom_samples(seed=0, size=size), count))

    def evaluation(samples: list[Sample], options: dict[str, Any]) -> Task:
        return lambda: evaluate(
            net,
            samples,
            task="multilabel",
            prepare=Preparation(size=size),
            batch_size=count,
            progress=False,
            **options,
        )

    measured: dict[str, Task] = {}
    for name, options in PLANS.items():
        for targets in (1, 3):
            samples = [with_targets(sample, targets) for sample in made]
            measured[f"{name}, {targets}"] = evaluation(samples, options)
            measured[f"{name}, {targets}, one image"] = evaluation(samples[:1], options)
    return measured


def main() -> int:
    """Print the ratios, and whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(
        f"{options.network}, {options.images} images at {options.size}, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, {platform.machine()}; three targets against one"
    )
    seconds = interleave(tasks(options.network, options.images, options.size), options.rounds)
    ratios: dict[str, float] = {}
    for name in PLANS:
        (one, three), (least_one, least_three) = (
            [of(seconds[f"{name}, {n}"]) - of(seconds[f"{name}, {n}, one image"]) for n in (1, 3)]
            for of in (statistics.median, min)
        )
        ratios[name] = three / one
        per_image = 1e3 / (options.images - 1)
        print(
            f"{name:18} {ratios[name]:5.2f} ({least_three / least_one:.2f})   "
            f"{per_image * one:6.1f} and {per_image * three:6.1f} ms an image"
        )
    met = "met" if ratios[GOAL] <= 1.3 else "missed"
    print(f"goal: {GOAL}: three targets at most 1.3 times one: {met}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

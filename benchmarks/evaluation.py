"""Cost of an evaluation, as a ratio to the forward pass on the same images.

Gradient CAMs x 6 binarizers x 8 metrics on every image: maps, masks, scores and reasons, from
samples in memory to the table. What a run does once (the check of the network, the hash of its
weights) is measured with one image and subtracted: the ratio is the cost of further images. The
tasks are interleaved in one process in shuffled order; ratios of medians, and in brackets of
minima.

    python benchmarks/evaluation.py --images 32 --rounds 9
"""

import argparse
import platform
import statistics
import sys
from itertools import islice

import torch
import torchvision
from speed import GRADIENT_METHODS, Task, interleave

import cameval
from cameval import evaluate, metrics
from cameval.data import Sample, phantom_samples
from cameval.evaluation import Preparation
from cameval.protocols import Metric

BINARIZERS: dict[str, cameval.protocols.Binarizer] = {
    "mean": cameval.MeanBinarizer(),
    "median": cameval.MedianBinarizer(),
    "percentile:90": cameval.PercentileBinarizer(90),
    "percentile:95": cameval.PercentileBinarizer(95),
    "otsu": cameval.OtsuBinarizer(),
    "adaptive": cameval.AdaptiveBinarizer(),
}
OF_MASKS: dict[str, Metric] = {
    "iou": metrics.iou,
    "dice": metrics.dice,
    "coverage": metrics.coverage,
    "precision": metrics.precision,
    "informedness": metrics.informedness,
    "size_standardized_iou": metrics.size_standardized_iou,
    "overlap_coefficient": metrics.overlap_coefficient,
    "volumetric_similarity": metrics.volumetric_similarity,
}
RANKING: dict[str, Metric] = {
    "iou": metrics.iou,
    "coverage": metrics.coverage,
    "precision": metrics.precision,
    "size_standardized_iou": metrics.size_standardized_iou,
    "pointing_game": metrics.pointing_game,
    "relevance_mass_accuracy": metrics.relevance_mass_accuracy,
    "pixel_auroc": metrics.pixel_auroc,
    "pixel_average_precision": metrics.pixel_average_precision,
}
GOAL = "4 gradient CAMs"
ONE = ", one image"
GRIDS = {
    "grad_cam": (["grad_cam"], OF_MASKS),
    GOAL: (["grad_cam", "grad_cam_pp", "hires_cam", "layer_cam"], OF_MASKS),
    f"{len(GRADIENT_METHODS)} gradient CAMs": (GRADIENT_METHODS, OF_MASKS),
    "grad_cam, ranking": (["grad_cam"], RANKING),
    "4 gradient CAMs, ranking": (["grad_cam", "grad_cam_pp", "hires_cam", "layer_cam"], RANKING),
}


def tasks(network: str, count: int, size: int) -> dict[str, Task]:
    """Return the bare forward pass, and the evaluations of all images and of one."""
    torch.manual_seed(0)
    net = torchvision.models.get_model(network).eval()
    prepare = Preparation(size=size)
    samples: list[Sample] = list(islice(phantom_samples(seed=0, size=size), count))
    images = torch.stack([prepare(sample)[0] for sample in samples])

    def forward() -> object:
        with torch.inference_mode():
            return net(images)

    def evaluation(part: list[Sample], names: list[str], scores: dict[str, Metric]) -> Task:
        return lambda: evaluate(
            net,
            part,
            methods={name: getattr(cameval.methods, name) for name in names},
            binarizers=BINARIZERS,
            metrics=scores,
            baselines={},
            prepare=prepare,
            batch_size=count,
            progress=False,
        )

    measured: dict[str, Task] = {"forward": forward}
    for name, grid in GRIDS.items():
        measured[name] = evaluation(samples, *grid)
        measured[f"{name}{ONE}"] = evaluation(samples[:1], *grid)
    return measured


def main() -> int:
    """Print the table, and whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(
        f"{options.network}, {options.images} images at {options.size}, torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads, {platform.machine()}; 6 binarizers x 8 metrics"
    )
    seconds = interleave(tasks(options.network, options.images, options.size), options.rounds)
    forward = [times / options.images for times in seconds["forward"]]
    print(f"{'forward':26} {1:5.2f}          {1e3 * statistics.median(forward):6.1f} ms an image")
    ratios: dict[str, float] = {}
    for name in GRIDS:
        median, least = (
            (of(seconds[name]) - of(seconds[f"{name}{ONE}"])) / (options.images - 1)
            for of in (statistics.median, min)
        )
        ratios[name] = median / statistics.median(forward)
        print(
            f"{name:26} {ratios[name]:5.2f} ({least / min(forward):.2f})   "
            f"{1e3 * median:6.1f} ms an image"
        )
    print(
        f"goal: {GOAL} at most 1.25 forward passes: {'met' if ratios[GOAL] <= 1.25 else 'missed'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

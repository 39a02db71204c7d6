"""What a whole evaluation costs, as a ratio to the bare forward pass on the same images.

Gradient CAMs x 6 binarizers x 8 metrics on every image: maps, masks, scores and reasons, from
samples in memory to the arrays that a run keeps. Interleaved with the forward pass in one process,
in shuffled order; the ratio of medians, and in brackets of minima.

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
from cameval import adapt, metrics
from cameval.data import phantom_samples
from cameval.evaluation import Preparation
from cameval.evaluation._batch import score_batch
from cameval.evaluation._plan import Plan
from cameval.protocols import Metric

BINARIZERS: dict[str, cameval.protocols.Binarizer] = {
    "mean": cameval.MeanBinarizer(),
    "median": cameval.MedianBinarizer(),
    "p90": cameval.PercentileBinarizer(90),
    "p95": cameval.PercentileBinarizer(95),
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
GRIDS = {
    "grad_cam": (["grad_cam"], OF_MASKS),
    GOAL: (["grad_cam", "grad_cam_pp", "hires_cam", "layer_cam"], OF_MASKS),
    f"{len(GRADIENT_METHODS)} gradient CAMs": (GRADIENT_METHODS, OF_MASKS),
    "grad_cam, ranking": (["grad_cam"], RANKING),
    "4 gradient CAMs, ranking": (["grad_cam", "grad_cam_pp", "hires_cam", "layer_cam"], RANKING),
}


def tasks(network: str, count: int, size: int) -> dict[str, Task]:
    """Return the bare forward pass and the evaluations."""
    torch.manual_seed(0)
    net = torchvision.models.get_model(network).eval()
    model, prepare = adapt(net), Preparation(size=size)
    samples = list(islice(phantom_samples(seed=0, size=size), count))
    images = torch.stack([prepare(sample)[0] for sample in samples])

    def forward() -> object:
        with torch.inference_mode():
            return net(images)

    def evaluation(names: list[str], scores: dict[str, Metric]) -> Task:
        methods = {name: getattr(cameval, name) for name in names}
        plan = Plan({"predicted": "predicted"}, methods, {}, BINARIZERS, scores)
        device = torch.device("cpu")
        return lambda: score_batch(model, plan, prepare, samples, cell_centers=None, device=device)

    return {"forward": forward} | {name: evaluation(*grid) for name, grid in GRIDS.items()}


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
    floor = seconds["forward"]
    for name, times in seconds.items():
        median = statistics.median(times) / statistics.median(floor)
        per_image = 1e3 * statistics.median(times) / options.images
        minima = min(times) / min(floor)
        print(f"{name:26} {median:5.2f} ({minima:.2f})   {per_image:6.1f} ms an image")
    cost = statistics.median(seconds[GOAL]) / statistics.median(floor)
    print(f"goal: {GOAL} at most 1.25 forward passes: {'met' if cost <= 1.25 else 'missed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

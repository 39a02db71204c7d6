"""Cost of whole evaluations, as a ratio to the bare forward pass on the same images.

100 images at their own sizes, in memory, are evaluated from the call to the table: preparation,
network, maps, masks, scores, and what a run does once (the trial of the network, the hash of its
weights). All tasks of a network are interleaved in one process in shuffled order. Printed are
ratios of medians, and in brackets of minima; a digit is reliable if the two agree.

The images are photographs where ``CAMEVAL_TEST_DATA`` names a folder with ``data/pets``, else noise
of the same sizes with ellipses as truth. Peers are measured where they are installed.

    python benchmarks/evaluation.py --networks resnet18 mobilenet_v2 --rounds 5

With ``--history FILE`` the ratios are added to a table: date, commit, machine.
"""

import argparse
import csv
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from speed import GRADIENT_METHODS, Task, interleave
from torch import nn

import cameval
from cameval import CAMExtractor, Preparation, Sample, evaluate
from cameval.data import phantom_samples

BATCH = 16
MASKS: dict[str, Any] = {
    "binarizers": [cameval.PercentileBinarizer(95), cameval.OtsuBinarizer()],
    "metrics": cameval.iou,
    "baselines": {},
}
EIGHT = {name: getattr(cameval.methods, name) for name in GRADIENT_METHODS}

DEFAULTS = "evaluate, defaults"
IOU = "evaluate, IoU only"
METHODS = "evaluate, eight methods, IoU only"
LARGE = "evaluate, defaults, masks of 512 px"
SINGLE = "grad_cam, one image"
PEER = "pytorch-grad-cam, scikit-image, IoU only"

GOALS = {
    ("resnet18", DEFAULTS): 1.5,
    ("resnet18", IOU): 1.1,
    ("resnet18", METHODS): 1.5,
    ("resnet18", LARGE): 2.5,
    ("mobilenet_v2", DEFAULTS): 2.5,
    ("mobilenet_v2", IOU): 1.3,
    ("mobilenet_v2", METHODS): 2.0,
    ("mobilenet_v3_large", SINGLE): 1.1,
}


def photographs(count: int) -> list[Sample]:
    """Return photographs with their masks, or noise of such sizes with ellipses."""
    folder = Path(os.environ.get("CAMEVAL_TEST_DATA", "none"), "data", "pets")
    if not folder.is_dir():
        return [_ellipse(number) for number in range(count)]
    found = []
    for file in sorted((folder / "masks").iterdir())[:count]:
        (photograph,) = (folder / "images").glob(f"{file.stem}.*")
        image = np.asarray(Image.open(photograph).convert("RGB"), np.float32) / 255
        found.append(Sample(file.stem, image, np.asarray(Image.open(file)) > 0))
    return found


def _ellipse(number: int) -> Sample:
    random = np.random.default_rng(number)
    height, width = [(240, 320), (213, 320), (320, 240), (320, 213)][number % 4]
    size = height + 8 * (number % 5), width
    rows, columns = np.indices(size)
    middle, axes = random.uniform(0.4, 0.6, 2), random.uniform(0.2, 0.4, 2)
    away = (rows / size[0] - middle[0]) ** 2 / axes[0] ** 2
    away += (columns / size[1] - middle[1]) ** 2 / axes[1] ** 2
    return Sample(f"{number}", random.random((*size, 3), np.float32), away < 1)


def tasks(name: str, count: int) -> dict[str, tuple[Task, str]]:
    """Return each task of a network, and the task that it is a ratio to."""
    torch.manual_seed(0)
    net = torchvision.models.get_model(name).eval()
    if name == "mobilenet_v3_large":
        image = torch.randn(1, 3, 224, 224)
        extract = CAMExtractor(net, cameval.grad_cam)
        one = "forward, one image"
        many = {one: _forward(net, image, 20), SINGLE: lambda: [extract(image) for _ in range(20)]}
        return {task: (run, one) for task, run in many.items()}
    samples = photographs(count)
    prepare = Preparation()
    images = torch.stack([prepare(sample)[0] for sample in samples])

    def evaluation(given: list[Sample], **options: Any) -> Task:
        return lambda: evaluate(net, given, batch_size=BATCH, progress=False, **options)

    found = {
        "forward": _forward(net, images),
        IOU: evaluation(samples, **MASKS),
        METHODS: evaluation(samples, methods=EIGHT, **MASKS),
        DEFAULTS: evaluation(samples),
    }
    if find_spec("pytorch_grad_cam"):
        found[PEER] = _peer(net, images, samples)
    measured = {task: (run, "forward") for task, run in found.items()}
    if name == "resnet18":
        large = [*islice(phantom_samples(seed=0, size=512), count // 2)]
        inputs = torch.stack([prepare(sample)[0] for sample in large])
        measured["forward, 512"] = _forward(net, inputs), "forward, 512"
        measured[LARGE] = evaluation(large), "forward, 512"
    return measured


def _forward(net: nn.Module, images: torch.Tensor, repeats: int = 1) -> Task:
    def run() -> None:
        with torch.inference_mode():
            for _ in range(repeats):
                for batch in images.split(BATCH):
                    net(batch)

    return run


def _peer(net: nn.Module, images: torch.Tensor, samples: list[Sample]) -> Task:
    """Return the same scores by other libraries, as their documentation shows it."""
    from pytorch_grad_cam import GradCAM
    from skimage.filters import threshold_otsu
    from skimage.transform import resize

    layer: Any = net.layer4 if hasattr(net, "layer4") else net.features

    def run() -> list[float]:
        scores = []
        with GradCAM(net, [layer]) as peer:
            for start in range(0, len(images), BATCH):
                maps = peer(images[start : start + BATCH])
                for sample, coarse in zip(samples[start : start + BATCH], maps, strict=True):
                    values = resize(coarse, sample.mask.shape, order=1)
                    for threshold in (np.percentile(values, 95), threshold_otsu(values)):
                        mask = values > threshold
                        scores.append((mask & sample.mask).sum() / (mask | sample.mask).sum())
        return scores

    return run


def ratios(name: str, count: int, rounds: int) -> dict[str, tuple[float, float]]:
    """Measure the tasks of a network; print and return their ratios of medians and of minima."""
    given = tasks(name, count)
    seconds = interleave({task: run for task, (run, _) in given.items()}, rounds)
    found = {}
    for task, (_, floor) in given.items():
        ratio, least = (of(seconds[task]) / of(seconds[floor]) for of in (statistics.median, min))
        if task == floor:
            images = {"forward": count, "forward, 512": count // 2}.get(task, 20)
            note = f"{1e3 * statistics.median(seconds[task]) / images:.1f} ms an image"
        else:
            found[task] = ratio, least
            goal = GOALS.get((name, task))
            note = "" if goal is None else f"goal {goal}: {_verdict(ratio, least, goal)}"
        print(f"{name:20} {task:42} {ratio:5.2f} ({least:.2f})  {note}", flush=True)
    return found


def _verdict(ratio: float, least: float, goal: float) -> str:
    if max(ratio, least) <= goal:
        return "met"
    return "missed" if min(ratio, least) > goal else "met by one of the two"


def add_to_history(file: Path, found: Mapping[tuple[str, str], tuple[float, float]]) -> None:
    """Add a row for each ratio."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    machine = f"{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    new = not file.exists()
    with file.open("a", newline="") as stream:
        table = csv.writer(stream)
        if new:
            table.writerow(["date", "commit", "machine", "network", "task", "medians", "minima"])
        for (network, task), pair in found.items():
            numbers = [f"{ratio:.3f}" for ratio in pair]
            table.writerow([date.today().isoformat(), commit, machine, network, task, *numbers])


def _processor() -> str:
    """Return the name of the processor and its widest instructions, as far as Linux tells."""
    lines = Path("/proc/cpuinfo")
    text = lines.read_text() if lines.exists() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return (
        f"{names[0] if names else platform.machine()} ({torch.backends.cpu.get_cpu_capability()})"
    )


def main() -> int:
    """Measure, print, and add to the history."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    networks = ["resnet18", "mobilenet_v2", "mobilenet_v3_large"]
    parser.add_argument("--networks", nargs="+", default=networks, choices=networks)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--history", type=Path)
    given = parser.parse_args()
    print(f"{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    found = {
        (name, task): pair
        for name in given.networks
        for task, pair in ratios(name, given.images, given.rounds).items()
    }
    if given.history is not None:
        add_to_history(given.history, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())

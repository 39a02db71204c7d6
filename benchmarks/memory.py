"""How much memory a map takes, beside the bare forward pass. Linux only.

Each task runs in a process of its own: the network and the batch are made, one small image warms
the libraries up, the kernel's record of the peak is reset, and the task runs once.

    python benchmarks/memory.py --network resnet50 --batch 8
"""

import argparse
import gc
import subprocess
import sys
from itertools import islice
from pathlib import Path

import torch
import torchvision

import cameval
from cameval import CAMExtractor, CAMSweep, Preparation, evaluate
from cameval.data import phantom_samples

TASKS = (
    *("forward", "cam", "grad_cam", "all gradient methods", "evaluate", "captum"),
    "pytorch-grad-cam",
)
STATUS = Path("/proc/self/status")


def field(name: str) -> float:
    """Return a line of the kernel's record of this process, in MiB."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def run(task: str, network: str, batch: torch.Tensor) -> object:
    """Do one task; what it returns is what a user would hold afterwards."""
    net = torchvision.models.get_model(network).eval()
    warm = batch[:1, :, :64, :64]
    samples = {}
    if task == "evaluate":  # three batches: one is scored beside the forward pass of the next
        sizes = batch.shape[-1], warm.shape[-1]
        made = {size: phantom_samples(seed=0, size=size) for size in sizes}
        samples = {size: [*islice(each, 3 * len(batch))] for size, each in made.items()}

    def once(images: torch.Tensor) -> object:
        match task:
            case "forward":
                with torch.inference_mode():
                    return net(images)
            case "cam":
                return CAMExtractor(net, cameval.cam)(images)
            case "grad_cam":
                return CAMExtractor(net, cameval.grad_cam)(images)
            case "all gradient methods":
                from speed import methods

                return CAMSweep(net, methods())(images)
            case "evaluate":
                size = images.shape[-1]
                options = {"prepare": Preparation(size=size), "batch_size": len(batch)}
                return evaluate(net, samples[size], progress=False, **options)
            case "captum":
                from captum.attr import LayerGradCam

                return LayerGradCam(net, net.layer4).attribute(images, target=0)
            case _:
                from pytorch_grad_cam import GradCAM

                peer = GradCAM(net, [net.layer4])
                return peer(images), peer

    once(warm)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before = field("VmRSS")
    kept = once(batch)
    peak = field("VmHWM") - before
    gc.collect()
    print(f"{peak:.0f} {field('VmRSS') - before:.0f}")
    return kept


def main() -> None:
    """Measure each task in a process of its own and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--network", default="resnet50", help="a ResNet of torchvision")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        torch.manual_seed(0)
        run(given.task, given.network, torch.randn(given.batch, 3, 224, 224))
        return
    print(f"{given.network}, {given.batch} images of 224 px, CPU\n")
    print("| task | peak above start, MiB | ratio | still held, MiB |\n| --- | --- | --- | --- |")
    floor = None
    for task in TASKS:
        command = [sys.executable, __file__, "--network", given.network, "--task", task]
        command += ["--batch", str(given.batch)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"| {task} | not installed | | |")
            continue
        peak, held = map(float, done.stdout.split())
        floor = floor or peak
        print(f"| {task} | {peak:.0f} | {peak / floor:.2f} | {held:.0f} |", flush=True)


if __name__ == "__main__":
    main()

"""What a map costs, as a ratio to the bare forward pass of the same network on the same batch.

Machines are noisy, so everything is measured interleaved in one process, in shuffled order, and
only ratios are printed: of medians, and in brackets of minima. Believe a digit where the two agree.

    python benchmarks/speed.py --networks resnet18 --batches 1 8
"""

import argparse
import gc
import platform
import random
import statistics
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec

import torch
import torchvision
from torch import Tensor, nn

import cameval
from cameval import CAMExtractor, CAMModel, CAMSweep, adapt
from cameval.protocols import CAMMethod

Task = Callable[[], object]

NETWORKS = ["resnet18", "resnet50", "densenet121", "mobilenet_v3_large", "vgg19"]
GRADIENT_METHODS = [
    "grad_cam",
    "grad_cam_pp",
    "xgrad_cam",
    "hires_cam",
    "layer_cam",
    "grad_cam_elementwise",
    "eigen_cam",
    "eigen_grad_cam",
]


def methods() -> dict[str, CAMMethod]:
    """Return the eight gradient methods."""
    return {name: getattr(cameval, name) for name in GRADIENT_METHODS}


def tasks(name: str, net: nn.Module, batch: Tensor) -> dict[str, Task]:
    """Return everything to be timed on one network and batch, the bare forward pass first."""
    model = adapt(net)
    last = batch.to(memory_format=torch.channels_last)
    twin = torchvision.models.get_model(name).eval().to(batch.device)
    twin.load_state_dict(net.state_dict())
    twin.to(memory_format=torch.channels_last)

    def forward(network: nn.Module, images: Tensor) -> Task:
        def run() -> Tensor:
            with torch.inference_mode():
                logits: Tensor = network(images)
                return logits

        return run

    def extract(method: CAMMethod, network: nn.Module, images: Tensor) -> Task:
        extractor = CAMExtractor(network, method)
        return lambda: extractor(images)

    found: dict[str, Task] = {"forward": forward(net, batch)}
    exact = isinstance(model.head, cameval.networks.ExactHead)
    if exact:
        found["cam"] = extract(cameval.cam, net, batch)
    found["grad_cam"] = extract(cameval.grad_cam, net, batch)
    sweep = CAMSweep(net, methods())
    found[f"{len(methods())} gradient methods"] = lambda: sweep(batch)
    if isinstance(model.head, cameval.GAPHead):
        found["ablation_cam"] = extract(cameval.methods.ablation_cam, net, batch)
    found["forward, channels last"] = forward(twin, last)
    found["grad_cam, channels last"] = extract(cameval.grad_cam, twin, last)
    return found | peers(name, net, model, batch)


def peers(name: str, net: nn.Module, model: CAMModel, batch: Tensor) -> dict[str, Task]:
    """Return Grad-CAM by other libraries, where they are installed (the extra ``oracle``)."""
    layer = net.get_submodule("layer4" if name.startswith("resnet") else "features")
    classes = [int(c) for c in model(batch).argmax(1)]
    found: dict[str, Task] = {}
    if find_spec("pytorch_grad_cam"):
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        peer = GradCAM(net, [layer])
        targets = [ClassifierOutputTarget(c) for c in classes]
        found["pytorch-grad-cam"] = lambda: peer(batch, targets)
    if find_spec("captum"):
        from captum.attr import LayerGradCam

        captum = LayerGradCam(net, layer)
        found["captum"] = lambda: captum.attribute(batch, target=torch.tensor(classes))
    return found


def interleave(tasks: Mapping[str, Task], rounds: int) -> dict[str, list[float]]:
    """Time every task once in each round, in shuffled order, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for index in range(rounds + 1):
        for name in random.sample([*tasks], len(tasks)):
            gc.collect()
            start = time.perf_counter()
            tasks[name]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if index:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def row(network: str, size: int, seconds: Mapping[str, list[float]]) -> dict[str, str]:
    """Return ratios to the forward pass: of medians, and in brackets of minima."""
    floor = seconds["forward"]
    cells = {
        "network": network,
        "batch": str(size),
        "forward, ms/image": f"{1e3 * statistics.median(floor) / size:.1f}",
    }
    for name, times in seconds.items():
        if name != "forward":
            median = statistics.median(times) / statistics.median(floor)
            cells[name] = f"{median:.2f} ({min(times) / min(floor):.2f})"
    return cells


def goals(network: str, size: int) -> dict[str, float]:
    """Return what each task should cost at most, in forward passes."""
    single = 1.2 if size == 1 else 1.05  # with one image of a small network, every call counts
    found = {"cam": single, "grad_cam": single, "ablation_cam": single}
    found[f"{len(methods())} gradient methods"] = 1.3
    if network in {"resnet18", "densenet121"}:
        found["grad_cam, channels last"] = 0.85
    return found


REASONS = {
    "vgg19": "the gradient reads the weights of three large linear layers once more",
    "mobilenet_v3_large": "the forward pass is so short that the arithmetic of the maps counts",
}


def missed(network: str, size: int, seconds: Mapping[str, list[float]]) -> list[str]:
    """Say which goals both the ratio of medians and that of minima miss, and why."""
    floor, found = seconds["forward"], []
    for task, goal in goals(network, size).items():
        if task in seconds:
            median = statistics.median(seconds[task]) / statistics.median(floor)
            least = min(seconds[task]) / min(floor)
            if min(median, least) > goal:
                reason = REASONS.get(network, "no reason known: measure again on a quiet machine")
                ratios = f"{median:.2f} ({least:.2f}) against {goal}"
                found.append(f"{network} x {size}, {task}: {ratios}; {reason}")
    return found


def table(rows: list[dict[str, str]]) -> str:
    """Write rows as a Markdown table."""
    columns = list(dict.fromkeys(column for cells in rows for column in cells))
    lines = [columns, ["---"] * len(columns)]
    lines += [[cells.get(column, "") for column in columns] for cells in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    random.seed(0)
    torch.manual_seed(0)
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, "
        f"{given.device}; {given.size} px, {given.rounds} rounds. Ratios to the forward pass under "
        "inference_mode: of medians (of minima).\n",
        flush=True,
    )
    rows, misses = [], []
    for name in given.networks:
        net = torchvision.models.get_model(name).eval().to(given.device)
        for size in given.batches:
            batch = torch.randn(size, 3, given.size, given.size, device=given.device)
            seconds = interleave(tasks(name, net, batch), given.rounds)
            rows.append(row(name, size, seconds))
            misses += missed(name, size, seconds)
            print(f"{name} x {size}: {rows[-1]}", flush=True)
    print("\n" + table(rows))
    print("\nGoals missed by medians and minima alike:")
    print("\n".join(f"- {miss}" for miss in misses) or "none")


if __name__ == "__main__":
    main()

"""Time and memory of the work on a large table of scores: files, summaries, the report. Linux only.

The scores are made up, in the columns of a real run of the defaults: groups, labels, negatives,
undefined scores with their reasons, columns of info. They are in the folder of a run, one file for
each batch. Each task runs in a process of its own: it loads the results, the kernel's record of the
peak is reset, and the task runs once.

    python benchmarks/scale.py --samples 50000 --columns 120
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count as numbers
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from memory import field
from numpy.typing import NDArray
from torch import nn

from cameval import Preparation, Results, Sample, choose_binarizers, concat, evaluate
from cameval.evaluation.meaning import REASONS, Meanings
from cameval.report import write_report

CLASSES = [f"finding {k}" for k in range(14)]
VIEWS = ("PA", "AP", "lateral")
NO_LABEL = -1
CONSTANT = 0x80  # the bit of the codes of constant maps


# --- Made-up scores -------------------------------------------------------------------------------
def real_run(folder: Path) -> dict[str, Any]:
    """Evaluate one image by default, and return the record of the run."""
    torch.manual_seed(0)
    trunk = [nn.Conv2d(3, 8, 5, stride=4, padding=2), nn.ReLU()]
    net = nn.Sequential(
        *trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, len(CLASSES))
    ).eval()
    mask = np.zeros((64, 64), bool)
    mask[16:40, 24:48] = True
    image = np.random.default_rng(0).random(mask.shape, dtype=np.float32)
    sample = Sample("image", image, mask, label=0, group="person")
    settings: dict[str, Any] = {"out": folder, "class_names": CLASSES, "progress": False}
    evaluate(net, [sample], prepare=Preparation(size=64), **settings)
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return record


def set_columns(record: dict[str, Any], count: int) -> None:
    """Give a record so many columns: those of the run, then those of further methods."""
    columns = record["columns"]
    first = [column for column in columns if column[2] == columns[0][2]]
    for number in numbers():
        if len(columns) >= count:
            break
        label = f"method {number}"
        columns += [[target, kind, label, *rest] for target, kind, _, *rest in first]
        record["meanings"]["methods"][label] = {"setting": label, "given": False}
    record["columns"] = columns[:count]


def batches(record: dict[str, Any], samples: int, size: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the arrays of each batch of a run."""
    rng = np.random.default_rng(0)
    metrics = [column[-1] for column in record["columns"]]
    of = [Meanings.of(record["meanings"]).metrics[metric] for metric in metrics]
    without_object = np.array([one.without_object is not None for one in of])
    gaps = np.array([metric == "precision" for metric in metrics])
    ratio = np.array([one.takes == "masks" and one.bounds is None for one in of])
    means = rng.uniform(0.1, 0.7, len(metrics))
    for start in range(0, samples, size):
        number = np.arange(start, min(start + size, samples))
        n, shape = len(number), (len(number), len(metrics))
        label = np.where(rng.random(n) < 0.02, NO_LABEL, rng.integers(0, len(CLASSES), n))
        right = (rng.random(n) < 0.8) & (label >= 0)
        present = rng.random(n) > 0.06
        area = np.where(present, rng.beta(1, 12, n) + 1e-4, 0.0)
        effect = rng.normal(0, 0.1, n) + np.log10(area + 0.01) / 10
        values = (means + effect[:, None] + rng.normal(0, 0.1, shape)).clip(0, 1)
        codes = np.zeros(shape, np.uint8)
        codes[(rng.random(shape) < 0.05) & gaps] = REASONS.index("empty prediction")
        codes[~present[:, None] & ~without_object] = REASONS.index("empty truth")
        values[codes > 0] = np.nan
        codes[rng.random(n) < 0.005] |= CONSTANT
        yield {
            "sample": np.array([f"image {k:06d}" for k in number]),
            "group": np.array([f"person {k // 3:05d}" for k in number]),
            "label": label,
            "predicted": np.where(right, label, rng.integers(0, len(CLASSES), n)),
            "probability": rng.uniform(0.3, 1, n),
            "area": area,
            "present": present,
            "info": np.array([json.dumps(info) for info in infos(rng, n)]),
            "checksum": rng.integers(0, 2**32, n, np.uint32),
            "values": values,
            "codes": codes,
            "weights": np.where(ratio, rng.integers(500, 20_000, shape), np.nan),
        }


def infos(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    """Return columns of info: text, whole numbers of which some are missing, numbers, truths."""
    return [
        {
            "view": VIEWS[rng.integers(len(VIEWS))],
            "age": None if rng.random() < 0.05 else int(rng.integers(18, 95)),
            "dose": round(float(rng.normal(1, 0.2)), 4),
            "portable": bool(rng.random() < 0.3),
        }
        for _ in range(n)
    ]


def make_runs(folder: Path, samples: int, columns: int, size: int) -> None:
    """Write the folder of a run that is complete, and of one with a third of its batches."""
    record = real_run(folder / "complete")
    set_columns(record, columns)
    record["settings"]["samples"] = samples
    (folder / "running" / "batches").mkdir(parents=True)
    for name in ("complete", "running"):
        (folder / name / "run.json").write_text(json.dumps(record, indent=2))
    for number, arrays in enumerate(batches(record, samples, size)):
        for name in ("complete", "running") if 3 * number * size < samples else ("complete",):
            np.savez(folder / name / "batches" / f"{number:06d}.npz", **arrays)


# --- Tasks ----------------------------------------------------------------------------------------
def choose(results: Results) -> Results:
    """Choose binarizers on one half of the groups, and apply the choice to the other half."""
    groups = list(results.samples["group"].unique())
    first, second = (results.select(group=groups[k::2]) for k in range(2))
    return choose_binarizers(first).apply(second)


def halves(results: Results) -> Results:
    """Concatenate the results of two halves of the groups."""
    groups = list(results.samples["group"].unique())
    return concat([results.select(group=groups[k::2]) for k in range(2)])


ONE_MASK = {"binarizer": "percentile:95"}
TASKS: dict[str, Callable[[Path, Results], object]] = {
    "repr": lambda _, results: repr(results),
    "select": lambda _, results: results.select(present=True),
    "summary": lambda _, results: results.summary(),
    "summary by label": lambda _, results: results.summary("label"),
    "summary by class_name": lambda _, results: results.summary("class_name"),
    "summary by present, correct": lambda _, results: results.summary(["present", "correct"]),
    "summary by view": lambda _, results: results.summary("view"),
    "pivot": lambda _, results: results.pivot("iou"),
    "compare": lambda _, results: results.compare("iou", **ONE_MASK),
    "dependence": lambda _, results: results.dependence("iou"),
    "choose and apply": lambda _, results: choose(results),
    "select halves and concat": lambda _, results: halves(results),
    "write_report": lambda folder, results: write_report(results, folder / "report"),
    "to_pandas": lambda _, results: results.to_pandas(),
    "to_csv": lambda folder, results: results.to_csv(folder / "table.csv"),
    "to_parquet": lambda folder, results: results.to_parquet(folder / "table.parquet"),
}
READING: dict[str, Callable[[Path], object]] = {
    "load, complete": lambda folder: Results.load(folder / "complete"),
    "load, running": lambda folder: Results.load(folder / "running"),
    "from_csv": lambda folder: Results.from_csv(folder / "table.csv"),
    "from_parquet": lambda folder: Results.from_parquet(folder / "table.parquet"),
}


def measure(task: str, folder: Path) -> None:
    """Do one task; print its seconds, its peak above the start, and what is held afterwards."""
    results = Results.load(folder / "complete") if task in TASKS else None
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    before, began, worked = field("VmRSS"), perf_counter(), process_time()
    kept = READING[task](folder) if results is None else TASKS[task](folder, results)
    seconds, work = perf_counter() - began, process_time() - worked
    peak = field("VmHWM") - before
    gc.collect()
    held = field("VmRSS") - before
    del kept
    print(f"{seconds:.2f} {work:.2f} {peak:.0f} {held:.0f}")


def main() -> None:
    """Measure each task in a process of its own and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--columns", type=int, default=120)
    parser.add_argument("--batch", type=int, default=16, help="samples in a file of the run")
    parser.add_argument("--tasks", nargs="*", default=[*TASKS, *READING], help="those to measure")
    parser.add_argument("--folder", type=Path, help="where the runs are made, or already are")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.task:
        measure(given.task, given.folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        if not (folder / "complete").exists():
            make_runs(folder, given.samples, given.columns, given.batch)
        print(f"{given.samples:,} samples x {given.columns} columns, batches of {given.batch}\n")
        print("| task | seconds | of the CPU | peak above start, MiB | still held, MiB |")
        print("| --- | --- | --- | --- | --- |")
        for task in given.tasks:
            command = [sys.executable, __file__, "--folder", str(folder), "--task", task]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            failed = f"failed: {done.stderr.strip()[-200:]!r} | | | "
            cells = " | ".join(done.stdout.split()[-4:])
            print(f"| {task} | {failed if done.returncode else cells} |", flush=True)


if __name__ == "__main__":
    main()

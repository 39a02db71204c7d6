"""What it costs to start: an import of cameval, and the help of the command line.

Each figure is of fresh Python processes, in which files are in the cache of the system: seconds of
the clock, and of the processor. The imports are measured inside the process, after ``import torch,
torchvision``, so that they are what cameval adds; the commands as a whole, with Python's own
start. Printed are medians, and in brackets minima. Ends with an error if the median of the seconds
of the processor misses a goal.

    python benchmarks/start.py --runs 9
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time

IMPORTS = [
    ("import cameval", 0.3),
    ("from cameval import iou", 0.3),
    ("from cameval import Sample, OtsuBinarizer, iou", 0.3),
    ("from cameval import CAMExtractor, grad_cam", 0.3),
    ("from cameval import evaluate", None),
    ("from cameval import *", None),
]
"""Imports, and what each may cost, in seconds."""

COMMANDS = [("--version", 0.5), ("--help", 0.5), ("evaluate --help", None)]
"""Words after ``python -m cameval``, and what each may cost, in seconds."""

_TIMED = """
import time
import torch, torchvision
wall, processor = time.perf_counter(), time.process_time()
{code}
print(time.perf_counter() - wall, time.process_time() - processor)
"""

Times = list[tuple[float, float]]
"""Seconds of the clock and of the processor."""


def time_import(code: str) -> tuple[float, float]:
    """Return what an import costs after torch and torchvision."""
    command = [sys.executable, "-c", _TIMED.format(code=code)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall, processor = map(float, done.stdout.split())
    return wall, processor


def time_command(*words: str) -> tuple[float, float]:
    """Return what a process of Python costs."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return wall, used


def row(what: str, times: Times, goal: float | None = None) -> bool:
    """Print median and minimum of both kinds of seconds, and tell whether the goal is met."""
    kinds = [*zip(*times, strict=True)]
    cells = [f"{statistics.median(kind):6.3f} ({min(kind):.3f})" for kind in kinds]
    print(f"{what:47}  {'  '.join(cells)}  {'' if goal is None else f'<= {goal}'}", flush=True)
    return goal is None or statistics.median(kinds[1]) <= goal


def processes(runs: int, *words: str) -> Times:
    """Return what several processes of Python cost, one after the other."""
    return [time_command(*words) for _ in range(runs)]


def main() -> int:
    """Print the tables, and return 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="processes a figure (5)")
    runs = parser.parse_args().runs

    time_import("from cameval import *")  # compiles the files, and reads them
    print(f"{'after import torch, torchvision':47}  clock           processor       goal")
    found = [row(code, [time_import(code) for _ in range(runs)], goal) for code, goal in IMPORTS]

    print(f"\n{'a whole process':47}  clock           processor       goal")
    for code in ("pass", "import torch", "from cameval import iou", "import torch, torchvision"):
        row(code, processes(runs, "-c", code))
    for words, goal in COMMANDS:
        found.append(
            row(f"cameval {words}", processes(runs, "-m", "cameval", *words.split()), goal)
        )
    return 0 if all(found) else 1


if __name__ == "__main__":
    sys.exit(main())

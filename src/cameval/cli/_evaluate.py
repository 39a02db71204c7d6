"""``cameval evaluate``: from options to tables and a report."""

import os
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from cameval.baselines import LeaveGroupOutBaseline, UntrainedBaseline
from cameval.cli import _inputs as inputs
from cameval.cli._words import BASELINES, BINARIZERS, METHODS, METRICS, Maker, found
from cameval.data._files import FILE, FOLDER, NOTHING, kind_at, writing
from cameval.errors import SettingError
from cameval.evaluation import Preparation, Results, concat, evaluate
from cameval.evaluation._run_folder import part_of
from cameval.extractor import CAMExtractor
from cameval.networks import adapt
from cameval.protocols import Baseline
from cameval.sanity import untrained

_MOST_THREADS = 1024


def run(options: Namespace) -> int:
    """Evaluate each network, write the tables and the report, and print the summary."""
    prepare = _preparation(options)
    out = Path(options.out)
    _check_place(out, options)
    with _threads(options.threads), _processes(options):
        nets = inputs.networks(options)
        dataset = inputs.samples(options)
        parts: list[Results] = []
        for name, net in nets.items():
            parts.append(_evaluate(name, net, dataset, prepare, options))
        if dist.is_initialized() and dist.get_rank() > 0:
            return 0
        results = concat(parts)
        results.to_csv(out / "results.csv")
        if options.parquet:
            results.to_parquet(out / "results.parquet")
        table = results.summary()
        part = part_of(out / "summary.csv")
        table.to_csv(part, index=False)
        part.replace(out / "summary.csv")
        _print(results)
        if not options.no_report:
            _report(results, nets, dataset, prepare, options)
        print(f"\ntables: {out / 'results.csv'}, {out / 'summary.csv'}")
    return 0


def _check_place(out: Path, options: Namespace) -> None:
    """Check that results can be written, before the work of a day is done for them."""
    files = ["results.csv", "results.json", "summary.csv"]
    files += ["results.parquet"] if options.parquet else []
    files += [] if options.no_report else ["report.html"]
    folders = ["runs"] if options.no_report else ["runs", "figures"]
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        for name in (*files, *folders):
            came, wanted = kind_at(out / name), FOLDER if name in folders else FILE
            if came not in (NOTHING, wanted):
                raise SettingError(f"{out / name} must be {wanted} or not be there, got {came}")
        with TemporaryFile(dir=out):
            pass


def _evaluate(
    name: str, net: nn.Module, dataset: Any, prepare: Preparation, options: Namespace
) -> Results:
    classes = _classes(net, options)
    return evaluate(
        net,
        dataset,
        methods=found(options.method, METHODS, "--method"),
        binarizers=found(options.binarizer, BINARIZERS, "--binarizer"),
        metrics=None if options.metric is None else found(options.metric, METRICS, "--metric"),
        baselines=_baselines(net, dataset, prepare, options),
        classes=options.classes,
        prepare=prepare,
        alignment=options.alignment,
        batch_size=options.batch_size,
        workers=options.workers,
        out=Path(options.out) / "runs" / name,
        name=name,
        class_names=inputs.class_names(dataset, name, classes),
        seed=options.seed,
        task=None if options.task == "auto" else options.task,
    )


def _baselines(
    net: nn.Module, dataset: Any, prepare: Preparation, options: Namespace
) -> dict[str, Baseline] | None:
    """Return the baselines that are asked for; two of them are made of the data and the network."""
    if options.baseline is None:
        return None

    def mean_mask(by_class: bool = False) -> Baseline:
        return LeaveGroupOutBaseline.of(
            dataset, by_class=by_class, truth=lambda sample: prepare(sample)[1]
        )

    def untrained_network() -> Baseline:
        method = next(iter(found(options.method, METHODS, "--method").values()))
        return UntrainedBaseline(
            CAMExtractor(untrained(net, options.seed), method, options.alignment)
        )

    made = {"mean_mask": Maker(mean_mask), "untrained": Maker(untrained_network)}
    return found(options.baseline, BASELINES | made, "--baseline")


def _preparation(options: Namespace) -> Preparation:
    return Preparation(size=options.size, crop=options.crop)


def _classes(net: nn.Module, options: Namespace) -> int:
    """Return how many classes a network tells apart."""
    device = next(net.parameters()).device
    image = torch.zeros(1, 3, options.size, options.size, device=device)
    try:
        return adapt(net).activations(image).logits.shape[1]
    except RuntimeError as error:
        raise SettingError(
            f"--size must be large enough for the network, got {options.size}: {error}"
        ) from error


def _report(
    results: Results,
    nets: dict[str, nn.Module],
    dataset: Any,
    prepare: Preparation,
    options: Namespace,
) -> None:
    try:
        from cameval.report import draw_examples, write_report
    except ModuleNotFoundError as error:
        raise SettingError(
            f"the report needs {error.name}, got none; install it with pip install "
            "'cameval[report]', or ask for --no-report"
        ) from error
    folder = Path(options.out)
    name = next(iter(nets))
    method, binarizer = options.method[0], options.binarizer[0]
    draw_examples(
        results.select(model=name),
        dataset,
        nets[name],
        folder,
        method=(method, found([method], METHODS, "--method")[method]),
        binarizer=(binarizer, found([binarizer], BINARIZERS, "--binarizer")[binarizer]),
        prepare=prepare,
        alignment=options.alignment,
    )
    print(f"report: {write_report(results, folder)}")


def _print(results: Results) -> None:
    """Print the means with their intervals, the headline metric first."""
    table = results.summary()
    metric = "iou" if "iou" in set(table["metric"]) else table["metric"].iloc[0]
    shown = table[table["metric"] == metric]
    print(f"{metric}: mean [95 % interval by group]\n")
    titles = ("model", "target_class", "method", "binarizer", "score", "n", "undefined", "constant")
    rows = [
        (
            row["model"],
            row["target_class"],
            f"{row['method']} (baseline)" if row["kind"] == "baseline" else row["method"],
            row["binarizer"],
            f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]",
            str(row["n"]),
            str(row["n_undefined"]),
            str(row["n_constant"]),
        )
        for row in shown.to_dict("records")
    ]
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for cells in (titles, ["-" * width for width in widths], *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(line.rstrip())


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Compute with so many threads."""
    before = torch.get_num_threads()
    if count is not None and not 1 <= count <= _MOST_THREADS:
        raise SettingError(f"--threads must be at least 1 and at most {_MOST_THREADS}, got {count}")
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _processes(options: Namespace) -> Iterator[None]:
    """Join the other processes where ``torchrun`` has started several."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield
        return
    on_gpu = str(options.device).startswith("cuda")
    if on_gpu:
        local = int(os.environ.get("LOCAL_RANK", "0"))
        options.device = f"cuda:{local}"
        torch.cuda.set_device(local)
    try:
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(days=7))
    except (RuntimeError, ValueError) as error:
        raise SettingError(
            f"the processes must find each other, as torchrun lets them, got: {error}"
        ) from error
    try:
        yield
    finally:
        dist.destroy_process_group()

"""The commands ``evaluate``, ``report`` and ``models``: from options to tables and pages."""

import os
import stat
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from cameval.baselines import LeaveGroupOutBaseline, UntrainedBaseline
from cameval.cli._inputs import class_names, load_networks, load_samples
from cameval.cli._words import BASELINES, BINARIZERS, METHODS, METRICS, OF_THE_RUN, parse_words
from cameval.distributed import own_device, process_group, rank
from cameval.errors import OutputError, SettingError
from cameval.evaluation import Preparation, Results, concat, evaluate
from cameval.extractor import CAMExtractor
from cameval.networks import adapt, describe_network, network_names
from cameval.protocols import Baseline
from cameval.sanity import untrained_copy

_TITLES = ("network", "head", "CAM", "grid", "channels", "first cell", "stride")


def list_models(options: Namespace) -> int:
    """Print the table of networks."""
    names = options.name or network_names()
    bar = tqdm(names, desc="models", leave=False, disable=None)
    print_table(_TITLES, [_row(name, options.size) for name in bar])
    print(
        f"\nAt {options.size} px. CAM: exact for the network as it is, or for a new head trained "
        "after\nadapt(net, num_classes=k). First cell: px from the image's edge to the center of "
        "the first cell's\nreceptive field."
    )
    return 0


def rewrite_report(options: Namespace) -> int:
    """Write the report of the results.csv in a folder."""
    try:
        from cameval.report import write_report
    except ModuleNotFoundError as error:
        raise SettingError(
            f"the report needs {error.name}, which is not installed; install it with pip install "
            "'cameval[report]'"
        ) from error
    folder = Path(options.folder)
    results = Results.from_csv(folder / "results.csv")
    print(f"report: {write_report(results, folder, title=options.title)}")
    return 0


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text in aligned columns."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for cells in (titles, ["-" * width for width in widths], *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(line.rstrip())


def _row(name: str, size: int) -> list[str]:
    facts = describe_network(name, size)
    if facts.cells is None:
        return [facts.name, facts.head, "no", "", "", "", ""]
    centers = facts.cell_centers
    return [
        facts.name,
        facts.head,
        "exact" if facts.exact else "new head",
        " x ".join(map(str, facts.cells)),
        str(facts.channels),
        "" if centers is None else _shorten(centers.offset),
        "" if centers is None else _shorten(centers.stride),
    ]


def _shorten(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


MOST_THREADS = 1024


def evaluate_networks(options: Namespace) -> int:
    """Evaluate each network, write the tables and the report, and print the summary."""
    prepare = Preparation(size=options.size, crop=options.crop)
    out = Path(options.out)
    _check_output(out, options)
    with _set_threads(options.threads), process_group():
        options.device = _choose_device(options.device)
        nets = load_networks(options)
        dataset = load_samples(options)
        parts = [_evaluate(name, net, dataset, prepare, options) for name, net in nets.items()]
        if rank() > 0:
            return 0
        results = concat(parts)
        results.to_csv(out / "results.csv")
        if options.parquet:
            results.to_parquet(out / "results.parquet")
        _write_summary(results, out / "summary.csv")
        _print_means(results)
        if not options.no_report:
            _write_report(results, nets, dataset, prepare, options)
        print(f"\ntables: {out / 'results.csv'}, {out / 'summary.csv'}")
    return 0


def _check_output(out: Path, options: Namespace) -> None:
    """Check that the results can be written, before the work begins."""
    files = ["results.csv", "results.json", "summary.csv"]
    files += ["results.parquet"] if options.parquet else []
    files += [] if options.no_report else ["report.html"]
    folders = ["runs"] if options.no_report else ["runs", "figures"]
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in (*files, *folders):
            wanted = "a folder" if name in folders else "a file"
            came = _describe_path(out / name)
            if came not in (None, wanted):
                raise SettingError(f"{out / name} must be {wanted} or not be there, got {came}")
        with TemporaryFile(dir=out):
            pass
    except (OSError, ValueError) as error:  # a path with NUL is a ValueError
        if isinstance(error, SettingError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise OutputError(f"{str(out)!r} must be writable, got {reason or error}") from error


def _describe_path(path: Path) -> str | None:
    """Return what is at a path, None if there is nothing."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFREG: "a file", stat.S_IFIFO: "a named pipe"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _choose_device(name: str) -> str:
    """Return the device of this process; with several GPUs each process has its own."""
    try:
        device = own_device(torch.device(name))
    except RuntimeError as error:
        raise SettingError(f"--device must be available, got {name!r}: {error}") from error
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    return str(device)


def _evaluate(
    name: str, net: nn.Module, dataset: Any, prepare: Preparation, options: Namespace
) -> Results:
    methods = parse_words(options.method, METHODS, "--method")
    metrics = options.metric
    return evaluate(
        CAMExtractor(net, alignment=options.alignment),
        dataset,
        methods=methods,
        binarizers=parse_words(options.binarizer, BINARIZERS, "--binarizer"),
        metrics=None if metrics is None else parse_words(metrics, METRICS, "--metric"),
        baselines=_make_baselines(net, dataset, prepare, options),
        classes=options.classes,
        prepare=prepare,
        task=None if options.task == "auto" else options.task,
        batch_size=options.batch_size,
        workers=options.workers,
        out=Path(options.out) / "runs" / name,
        name=name,
        class_names=class_names(dataset, name, _count_classes(net, options)),
        seed=options.seed,
    )


def _make_baselines(
    net: nn.Module, dataset: Any, prepare: Preparation, options: Namespace
) -> dict[str, Baseline] | None:
    """Return the baselines that are asked for; two of them need the data and the network."""
    if options.baseline is None:
        return None

    def mean_mask(by_class: bool = False) -> Baseline:
        return LeaveGroupOutBaseline.of(
            dataset, by_class=by_class, truth=lambda sample: prepare(sample)[1]
        )

    def untrained_network() -> Baseline:
        method = next(iter(parse_words(options.method, METHODS, "--method").values()))
        copy = untrained_copy(net, options.seed)
        return UntrainedBaseline(CAMExtractor(copy, method, alignment=options.alignment))

    makers = dict(zip(OF_THE_RUN, (mean_mask, untrained_network), strict=True))
    return parse_words(options.baseline, BASELINES, "--baseline", makers)


def _count_classes(net: nn.Module, options: Namespace) -> int:
    """Return the number of outputs of a network."""
    device = next(net.parameters()).device
    image = torch.zeros(1, 3, options.size, options.size, device=device)
    try:
        return adapt(net).activations(image).logits.shape[1]
    except RuntimeError as error:
        raise SettingError(
            f"--size must be large enough for the network, got {options.size}: {error}"
        ) from error


def _write_summary(results: Results, path: Path) -> None:
    """Write the means with intervals, so that a file is there as a whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    results.summary().to_csv(part, index=False)
    part.replace(path)


def _write_report(
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
            f"the report needs {error.name}, which is not installed; install it with pip install "
            "'cameval[report]', or use --no-report"
        ) from error
    folder = Path(options.out)
    name = next(iter(nets))
    method, binarizer = options.method[0], options.binarizer[0]
    draw_examples(
        results.select(model=name),
        dataset,
        nets[name],
        folder,
        method=(method, parse_words([method], METHODS, "--method")[method]),
        binarizer=(binarizer, parse_words([binarizer], BINARIZERS, "--binarizer")[binarizer]),
        prepare=prepare,
        alignment=options.alignment,
    )
    print(f"report: {write_report(results, folder)}")


def _print_means(results: Results) -> None:
    """Print the means of one metric with their intervals: IoU, or the first one."""
    table = results.summary()
    metric = "iou" if "iou" in set(table["metric"]) else table["metric"].iloc[0]
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
        for row in table[table["metric"] == metric].to_dict("records")
    ]
    print_table(titles, rows)


@contextmanager
def _set_threads(count: int | None) -> Iterator[None]:
    """Compute with this many threads until the end of the block."""
    before = torch.get_num_threads()
    if count is not None and not 1 <= count <= MOST_THREADS:
        raise SettingError(f"--threads must be at least 1 and at most {MOST_THREADS}, got {count}")
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""Tables that are printed: columns of text, the networks, and the means of a run."""

from argparse import Namespace
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from cameval.evaluation import Results
from cameval.networks import describe_network, network_names

_NETWORKS = ("network", "head", "CAM", "grid", "channels", "first cell", "stride")


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text in aligned columns."""
    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    for cells in (titles, ["-" * width for width in widths], *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(line.rstrip())


def list_models(options: Namespace) -> int:
    """Print the table of networks."""
    names = options.name or network_names()
    bar = tqdm(names, desc="models", leave=False, disable=None)
    print_table(_NETWORKS, [_row(name, options.size) for name in bar])
    print(
        f"\nAt {options.size} px. CAM: exact for the network as it is, or for a new head trained "
        "after\nadapt(net, num_classes=k). First cell: px from the image's edge to the center of "
        "the first cell's\nreceptive field."
    )
    return 0


def _row(name: str, size: int) -> list[str]:
    facts = describe_network(name, size)
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


def print_means(results: Results, *, of_network: bool) -> None:
    """Print how many samples there are, and the means of one metric with their intervals.

    The metric is IoU, or the first one. Targets without an object have a table of their own, of the
    first metric that is defined for them. Where maps were made elsewhere, a metric of masks is
    followed by one of the maps themselves: the pointing game, or the first one.
    """
    model = results.samples["model"].iloc[0]
    one = results.samples[results.samples["model"] == model]
    images, targets, present = one["sample"].nunique(), len(one), int(one["present"].sum())
    counts = _count(images, "image")
    if targets > images:
        counts += f", {_count(targets, 'target')}"
    if present < targets:
        counts += f": {present} with an object, {targets - present} without"
    print(f"{counts}\n")
    if present == targets:
        _print_block(results, "", of_network=of_network)
        return
    if present:
        of_positives = results.select(present=True)
        _print_block(of_positives, " of targets with an object", of_network=of_network)
        print()
    of_negatives = results.select(present=False)
    if np.isnan(of_negatives.values).all():
        print(
            "targets without an object: none of the metrics is defined for them;\n"
            "false_positive_rate and marked_area are"
        )
    else:
        _print_block(of_negatives, " of targets without an object", of_network=of_network)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _print_block(results: Results, which: str, *, of_network: bool) -> None:
    """Print the means of some targets."""
    table = results.summary()
    defined = table[table["n"] > 0]["metric"]
    known = list(table["metric"] if defined.empty else defined)
    kinds = results.meanings.metrics
    of_maps = [name for name in known if name in kinds and kinds[name].takes == "maps"]
    others = [name for name in known if name not in of_maps]
    if of_network or not (of_maps and others):
        _print_metric(table, _choose(known, "iou"), which, of_network=of_network)
        return
    _print_metric(table, _choose(others, "iou"), which, of_network=of_network)
    print()
    _print_metric(table, _choose(of_maps, "pointing_game"), which, of_network=of_network)


def _choose(labels: Sequence[str], best: str) -> str:
    return best if best in labels else labels[0]


def _print_metric(table: pd.DataFrame, metric: str, which: str, *, of_network: bool) -> None:
    """Print the means of a metric."""
    print(f"{metric}{which}: mean [95 % interval by group]\n")
    columns = ["model", "target_class"] if of_network else []
    rows = [
        (
            *(row[column] for column in columns),
            f"{row['method']} (baseline)" if row["kind"] == "baseline" else row["method"],
            row["binarizer"],
            _format_mean(row),
            str(row["n"]),
            str(row["n_undefined"]),
            str(row["n_constant"]),
        )
        for row in table[table["metric"] == metric].to_dict("records")
    ]
    source = "method" if of_network else "maps"
    titles = (*columns, source, "binarizer", "score", "n", "undefined", "constant")
    print_table(titles, rows)


def _format_mean(row: Mapping[Hashable, Any]) -> str:
    """Return a mean with its interval, which a single group does not have."""
    if row["n"] == 0:
        return "undefined"
    if np.isnan(row["low"]):
        return f"{row['mean']:.3f} [one group]"
    return f"{row['mean']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"

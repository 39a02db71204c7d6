"""What is printed: columns of text, the networks, and the verdict of a run."""

import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence

from tqdm import tqdm

from cameval.evaluation import Results
from cameval.networks import describe_network, network_names
from cameval.report import verdict_lines

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


def print_verdict(
    results: Results,
    *,
    binarizer: str | None = None,
    method: str | None = None,
    names: Mapping[str, str] | None = None,
) -> None:
    """Print the verdict of the report: a row for each network, and the headline.

    The symbols are ASCII where the output is not Unicode.
    """
    is_unicode = _encoding().lower().startswith("utf")
    print_lines(
        verdict_lines(
            results,
            binarizer=binarizer,
            method=method,
            names=names,
            ascii_only=not is_unicode,
        )
    )


def print_lines(lines: Iterable[str]) -> None:
    """Print lines; what the output cannot encode is replaced."""
    encoding = _encoding()
    for line in lines:
        print(line.encode(encoding, "replace").decode(encoding))


def _encoding() -> str:
    return getattr(sys.stdout, "encoding", None) or "ascii"

"""``cameval models`` and ``cameval report``, and the tables that commands print."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from cameval.errors import SettingError
from cameval.evaluation import Results
from cameval.networks import describe_network, network_names

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

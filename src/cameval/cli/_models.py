"""``cameval models`` and ``cameval report``."""

from argparse import Namespace

from tqdm import tqdm

from cameval.networks.zoo import NetworkFacts, describe_network, network_names

_TITLES = ("network", "head", "CAM", "grid", "channels", "first cell", "stride")


def run(options: Namespace) -> int:
    """Print the table."""
    names = options.name or network_names()
    bar = tqdm(names, desc="models", leave=False, disable=None)
    rows = [_row(describe_network(name, options.size)) for name in bar]
    widths = [max(map(len, column)) for column in zip(_TITLES, *rows, strict=True)]
    for row in (_TITLES, ["-" * width for width in widths], *rows):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())
    print(
        f"\nAt {options.size} px. CAM: exact as the network is, or after adapt(net, num_classes=k) "
        "has given it a\nnew, trained head. First cell: px from the image's edge to the center of "
        "its receptive field."
    )
    return 0


def _row(facts: NetworkFacts) -> list[str]:
    if facts.cells is None:
        return [facts.name, facts.head, "no", "", "", "", ""]
    cell_centers = facts.cell_centers
    return [
        facts.name,
        facts.head,
        "exact" if facts.exact else "new head",
        " x ".join(map(str, facts.cells)),
        str(facts.channels),
        "" if cell_centers is None else _short(cell_centers.offset),
        "" if cell_centers is None else _short(cell_centers.stride),
    ]


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)

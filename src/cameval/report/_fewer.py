"""Cells of means that are over fewer images than their row says, and the note about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cameval.evaluation._undefined import Fewer, describe_fewer
from cameval.report._names import Names
from cameval.report.sections import Block, Cell
from cameval.statistics import Summary


@dataclass(frozen=True)
class FewerCell(Cell):
    """A mean with a mark, as it is over fewer images than its row says.

    Parameters
    ----------
    fewer
        The counts.
    fewer_text
        The counts in words.
    """

    fewer: Fewer | None = None
    fewer_text: str = ""


def mark_fewer(
    cell: Cell, score: Summary | None, n: int, reasons: Mapping[str, int], names: Names
) -> Cell:
    """Return a cell, with a mark if its mean is over fewer than `n` images."""
    fewer = None if score is None else Fewer.of(score, n, reasons)
    if fewer is None:
        return cell
    text = describe_fewer([fewer], names.rows)
    return FewerCell(cell.text, cell.detail, cell.few_groups, fewer, text)


def has_fewer(blocks: Sequence[Block]) -> bool:
    """Tell whether a cell of a table is marked."""
    return any(
        isinstance(cell, FewerCell) for block in blocks for row in block.rows for cell in row.cells
    )


def notes_on_fewer(titles: Sequence[str], blocks: Sequence[Block], names: Names) -> list[str]:
    """Return the note on marked cells, with the counts of each column that has one."""
    found: dict[str, list[Fewer]] = {}
    for k, title in enumerate(titles[1:]):
        for cell in (row.cells[k] for block in blocks for row in block.rows):
            if isinstance(cell, FewerCell) and cell.fewer is not None:
                found.setdefault(title, []).append(cell.fewer)
    if not found:
        return []
    columns = [f"{title}: {describe_fewer(of, names.rows)}." for title, of in found.items()]
    what = f"\u2020 Over fewer {names.row}s, as the score is undefined for the others."
    return [" ".join([what, *columns])]

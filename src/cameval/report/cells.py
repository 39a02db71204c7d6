"""Tables as a page shows them, and how one is made of a data frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import pandas as pd

from cameval.errors import SettingError
from cameval.report.text import NOTHING, number

__all__ = ["Block", "Cell", "Row", "Table", "table_of"]

_LOOKS_OF_ROWS = ("", "method", "baseline", "truth", "total")
_LOOKS_OF_TABLES = ("", "lead", "words")


@dataclass(frozen=True)
class Cell:
    """What stands in a cell of a table.

    Parameters
    ----------
    text
        What stands there, plain text.
    detail
        What stands smaller under it, as an interval.
    few
        Whether `detail` is an interval of fewer than ten groups. It is marked, and the table says
        that it may be too narrow to trust.
    """

    text: str
    detail: str = ""
    few: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "few", bool(self.few and self.detail))


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Parameters
    ----------
    head
        Its head, at the left.
    cells
        Its other cells, one for each title but the first.
    look
        ``"method"``, ``"baseline"`` (gray), ``"truth"`` (gray, marked), ``"total"`` (bold, under
        a line), or nothing.
    """

    head: Cell
    cells: Sequence[Cell]
    look: str = ""

    def __post_init__(self) -> None:
        _check_look(self.look, _LOOKS_OF_ROWS)


@dataclass(frozen=True)
class Block:
    """Rows of a table under a heading of their own, or under none.

    Parameters
    ----------
    rows
        The rows.
    heading
        What stands above them across the table.
    """

    rows: Sequence[Row]
    heading: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page; `table_of` makes one of a data frame.

    Parameters
    ----------
    caption
        What the table shows; it stands above it.
    titles
        Titles of all columns, that of the heads of the rows first.
    blocks
        The rows, in blocks.
    notes
        Sentences that stand small below.
    look
        ``"lead"`` where the first score of each method stands out, ``"words"`` where the last cell
        is running text, or nothing.

    Raises
    ------
    SettingError
        If a row has more or fewer cells than there are titles, or there is no such look.
    """

    caption: str
    titles: Sequence[str]
    blocks: Sequence[Block]
    notes: Sequence[str] = ()
    look: str = ""

    def __post_init__(self) -> None:
        _check_look(self.look, _LOOKS_OF_TABLES)
        due = len(self.titles) - 1
        for row in (row for block in self.blocks for row in block.rows):
            if len(row.cells) != due:
                raise SettingError(
                    f"rows of {self.caption!r} must have a cell for each of the {due} titles after "
                    f"the first, got {len(row.cells)} in the row {row.head.text!r}"
                )

    @property
    def few(self) -> bool:
        """Whether a cell is marked as an interval of few groups."""
        rows = (row for block in self.blocks for row in block.rows)
        return any(cell.few for row in rows for cell in (row.head, *row.cells))


def table_of(
    frame: pd.DataFrame,
    caption: str,
    *,
    notes: Sequence[str] = (),
    head: str | None = None,
    look: str = "",
    looks: Sequence[str] = (),
) -> Table:
    """Make a table of a data frame, whose first column holds the heads of the rows.

    Parameters
    ----------
    frame
        The data, without its index. A cell may be text, a number, None, or a :class:`Cell`. Whole
        numbers are written whole, others with three decimals, what is missing as a dash.
    caption, notes, look
        As of :class:`Table`.
    head
        Title above the heads of the rows; by default the name of the first column.
    looks
        How the rows look, one for each, as of :class:`Row`; by default plain.

    Returns
    -------
    Table
        One block of rows.

    Raises
    ------
    SettingError
        If the frame has no row, has fewer than two columns or holds something else, or if `looks`
        has another length.

    Examples
    --------
    >>> import pandas as pd
    >>> from cameval.report import table_of
    >>> frame = pd.DataFrame({"fold": ["first", "all"], "IoU": [0.25, 0.31], "n": [120, 1200]})
    >>> table = table_of(frame, "IoU by fold", looks=["", "total"])
    >>> [[cell.text for cell in row.cells] for row in table.blocks[0].rows]
    [['.250', '120'], ['.310', '1,200']]
    """
    if frame.empty or frame.shape[1] < 2:
        raise SettingError(
            f"frame of {caption!r} must have at least one row and two columns, got {frame.shape}"
        )
    if looks and len(looks) != len(frame):
        raise SettingError(f"looks must be one for each of the {len(frame)} rows, got {len(looks)}")
    titles = [str(title) for title in frame.columns]
    rows = []
    for k, values in enumerate(frame.itertuples(index=False, name=None)):
        first, *others = map(_cell, values)
        rows.append(Row(first, others, looks[k] if looks else ""))
    titles[0] = titles[0] if head is None else head
    return Table(caption, titles, [Block(rows)], notes, look)


def _cell(value: object) -> Cell:
    if isinstance(value, Cell):
        return value
    if isinstance(value, str):
        return Cell(value)
    if value is None or value is pd.NA or value is pd.NaT:
        return Cell(NOTHING)
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no")
    if isinstance(value, Integral):
        return Cell(f"{int(value):,}")
    if isinstance(value, Real):
        return Cell(number(float(value)))
    raise SettingError(
        f"cells must be text, numbers, None or Cell, got {type(value).__name__}; write it as text"
    )


def _check_look(look: str, known: Sequence[str]) -> None:
    if look not in known:
        raise SettingError(f"look must be one of {', '.join(known[1:])}, or '', got {look!r}")

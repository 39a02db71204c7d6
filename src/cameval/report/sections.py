"""Sections of a page: paragraphs, figures, tables and pictures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cameval.errors import SettingError
from cameval.evaluation._numbers import MISSING
from cameval.report._files import draw_png
from cameval.report.formatting import format_number
from cameval.report.score_figure import ScoreFigure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Block", "Cell", "Picture", "Row", "Section", "Table", "picture_of", "table_of"]

_LOOKS_OF_ROWS = ("", "method", "baseline", "truth", "total")


_LOOKS_OF_TABLES = ("", "lead", "words", "text", "scores")


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Parameters
    ----------
    text
        Its text.
    detail
        Smaller text below it, such as an interval.
    few_groups
        Whether `detail` is an interval of fewer than ten groups. It is then marked, and a note
        says that it may be too narrow.

    Examples
    --------
    >>> from cameval.report import Cell
    >>> Cell(".46", "[.42, .50]")
    Cell(text='.46', detail='[.42, .50]', few_groups=False)
    """

    text: str
    detail: str = ""
    few_groups: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "few_groups", bool(self.few_groups and self.detail))


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Parameters
    ----------
    head
        Its first cell.
    cells
        Its other cells, one for each title but the first.
    look
        ``"method"``, ``"baseline"`` (gray), ``"truth"`` (gray, marked), ``"total"`` (bold, with a
        line above), or empty.

    Examples
    --------
    >>> from cameval.report import Cell, Row
    >>> Row(Cell("glioma"), [Cell("285"), Cell(".119")]).head.text
    'glioma'
    """

    head: Cell
    cells: Sequence[Cell]
    look: str = ""

    def __post_init__(self) -> None:
        _check_look(self.look, _LOOKS_OF_ROWS)


@dataclass(frozen=True)
class Block:
    """Rows of a table with a heading.

    Parameters
    ----------
    rows
        The rows.
    heading
        Text above them across the table; by default none.

    Examples
    --------
    >>> from cameval.report import Block, Cell, Row
    >>> Block([Row(Cell("center"), [Cell(".099")])], heading="baselines").heading
    'baselines'
    """

    rows: Sequence[Row]
    heading: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page; `table_of` makes one from a data frame.

    Parameters
    ----------
    caption
        What the table shows.
    titles
        Titles of all columns, that of the heads of the rows first.
    blocks
        The rows, in blocks.
    notes
        Sentences below the table, in small type.
    look
        ``"lead"`` to print the first score of each method bold, ``"words"`` if the last cells are
        sentences, ``"text"`` if all cells are, ``"scores"`` if readers may sort the rows, or
        empty.

    Raises
    ------
    SettingError
        If a row has more or fewer cells than there are titles, or there is no such look.

    Examples
    --------
    >>> from cameval.report import Block, Cell, Row, Table
    >>> rows = [Row(Cell("cam"), [Cell(".124")]), Row(Cell("center"), [Cell(".099")])]
    >>> table = Table("Mean IoU", ["map", "IoU"], [Block(rows)])
    >>> [row.head.text for block in table.blocks for row in block.rows]
    ['cam', 'center']
    """

    caption: str
    titles: Sequence[str]
    blocks: Sequence[Block]
    notes: Sequence[str] = ()
    look: str = ""

    def __post_init__(self) -> None:
        _check_look(self.look, _LOOKS_OF_TABLES)
        expected = len(self.titles) - 1
        for row in (row for block in self.blocks for row in block.rows):
            if len(row.cells) != expected:
                raise SettingError(
                    f"rows of {self.caption!r} must have a cell for each of the {expected} titles "
                    f"after the first, got {len(row.cells)} in the row {row.head.text!r}"
                )

    @property
    def has_few_groups(self) -> bool:
        """Whether a cell is marked as an interval of few groups."""
        rows = (row for block in self.blocks for row in block.rows)
        return any(cell.few_groups for row in rows for cell in (row.head, *row.cells))


def table_of(
    frame: pd.DataFrame,
    caption: str,
    *,
    notes: Sequence[str] = (),
    head: str | None = None,
    look: str = "",
    looks: Sequence[str] = (),
) -> Table:
    """Return a data frame as a table; its first column has the heads of the rows.

    Parameters
    ----------
    frame
        The data, without its index. A cell may be text, a number, None, or a :class:`Cell`.
        Integers are printed as they are, other numbers with three decimals, missing values as a
        dash.
    caption, notes, look
        As of :class:`Table`.
    head
        Title above the heads of the rows; by default the name of the first column.
    looks
        The look of each row, as of :class:`Row`; by default plain.

    Returns
    -------
    Table
        One block of rows.

    Raises
    ------
    SettingError
        If the frame has no row or fewer than two columns, if a cell is something else, or if
        `looks` has another length.

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
        return Cell(MISSING)
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no")
    if isinstance(value, Integral):
        return Cell(f"{int(value):,}")
    if isinstance(value, Real):
        return Cell(format_number(float(value)))
    raise SettingError(
        f"cells must be text, numbers, None or Cell, got {type(value).__name__}; write it as text"
    )


def _check_look(look: str, known: Sequence[str]) -> None:
    if look not in known:
        raise SettingError(f"look must be one of {', '.join(known[1:])}, or '', got {look!r}")


_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A picture of a page; `picture_of` makes one from a figure.

    Parameters
    ----------
    file
        Name of its file in ``figures/``: letters, digits, ``-`` and ``_``, then ``.png``.
    alt
        What it shows, in words, for readers who cannot see it.
    caption
        Text below it.
    data
        The bytes of a PNG file.

    Raises
    ------
    SettingError
        If `file` is no such name, `alt` is empty, or the bytes are not those of a PNG file.

    Examples
    --------
    >>> from io import BytesIO
    >>> from PIL import Image
    >>> from cameval.report import Picture
    >>> file = BytesIO()
    >>> Image.new("L", (8, 8)).save(file, "png")
    >>> Picture("folds.png", "A black square", "Nothing yet", file.getvalue()).file
    'folds.png'
    """

    file: str
    alt: str
    caption: str
    data: bytes

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w-]+\.png", self.file, re.ASCII):
            raise SettingError(
                "file must be the name of a picture, as 'folds.png', of letters, digits, - and _, "
                f"got {self.file!r}"
            )
        if not self.alt.strip():
            raise SettingError(f"alt must say in words what {self.file} shows, got {self.alt!r}")
        if not self.data.startswith(_PNG):
            raise SettingError(
                f"data of {self.file} must be the bytes of a PNG file, got {self.data[:8]!r}; "
                "picture_of makes one from a figure"
            )


@dataclass(frozen=True)
class Section:
    """A section of the page: paragraphs, figures, tables, pictures. An empty one is left out.

    Parameters
    ----------
    anchor
        Its name in addresses, as in ``report.html#anchor``: a letter, then letters, digits, ``-``
        and ``_``.
    title
        Its title, also in the navigation.
    lead
        A paragraph of plain text, or several.
    tables, pictures, figures
        What follows the paragraphs: the figures first.

    Raises
    ------
    SettingError
        If `anchor` is no such name, the title is empty, or a table, picture or figure is something
        else.

    Examples
    --------
    >>> from cameval.report import Section
    >>> Section("folds", "Folds", ["Each fold was held out once.", "No patient is in two."]).title
    'Folds'
    """

    anchor: str
    title: str
    lead: str | Sequence[str] = ""
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    figures: Sequence[ScoreFigure] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][\w-]*", self.anchor, re.ASCII | re.IGNORECASE):
            raise SettingError(
                f"anchor must be a letter, then letters, digits, - and _, got {self.anchor!r}"
            )
        if not self.title.strip():
            raise SettingError(f"title must say what is in {self.anchor!r}, got {self.title!r}")
        for what, kind, maker in (
            ("tables", Table, "table_of"),
            ("pictures", Picture, "picture_of"),
            ("figures", ScoreFigure, "ScoreFigure"),
        ):
            came = getattr(self, what)
            several = came if isinstance(came, Sequence) else [came]
            strange = [thing for thing in several if not isinstance(thing, kind)]
            if several is not came or strange:
                raise SettingError(
                    f"{what} of {self.anchor!r} must be a list of {kind.__name__}, got "
                    f"{type((strange or several)[0]).__name__}; {maker} makes one"
                )

    @property
    def paragraphs(self) -> list[str]:
        """The paragraphs of the lead that are not blank."""
        several = [self.lead] if isinstance(self.lead, str) else self.lead
        return [paragraph for paragraph in several if paragraph.strip()]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.paragraphs or self.tables or self.pictures or self.figures)


def picture_of(figure: "Figure", file: str, alt: str, caption: str) -> Picture:
    """Return a figure of matplotlib as a picture.

    Parameters
    ----------
    figure
        The figure; it is not closed. The page is made for widths of 6 to 7 inches.
    file, alt, caption
        As of :class:`Picture`.

    Returns
    -------
    Picture
        The picture, 144 dots per inch; the same figure gives the same bytes.

    Raises
    ------
    SettingError
        As of :class:`Picture`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from cameval.report import picture_of
    >>> figure = Figure(figsize=(6.4, 3))
    >>> _ = figure.subplots().plot([0.21, 0.25, 0.23])
    >>> picture_of(figure, "folds.png", "A line over three folds.", "IoU of each fold.").file
    'folds.png'
    """
    return Picture(file, alt, caption, draw_png(figure))

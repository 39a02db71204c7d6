"""`ScoreFigure`: a figure of your own, with rows of marks on one axis."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan, nan
from typing import Literal, get_args

from cameval.errors import SettingError

__all__ = ["ScoreFigure", "ScoreMark", "ScoreRow"]

MarkKind = Literal["score", "guess", "baseline", "bound", "published"]
"""What a mark is: the colors and shapes are those of the other figures of the page."""


@dataclass(frozen=True)
class ScoreMark:
    """A number in a row of a `ScoreFigure`.

    Parameters
    ----------
    kind
        ``"score"`` (orange dot), ``"guess"`` (gray diamond), ``"baseline"`` (hollow gray diamond),
        ``"bound"`` (blue tick), or ``"published"`` (hollow square), a number from elsewhere.
    value
        The number; with NaN there is no mark.
    low, high
        Ends of a line through the mark, such as an interval; NaN for none.
    text
        What is written of it; by default the number with three decimals, or in percent with one,
        and in the table the ends of its line.
    detail
        More in the table of the figure, such as what the baseline is.

    Raises
    ------
    SettingError
        If there is no such kind, or the value or one end alone is infinite.

    Examples
    --------
    >>> from cameval.report import ScoreMark
    >>> ScoreMark("score", 0.124, 0.075, 0.176).kind
    'score'
    """

    kind: MarkKind
    value: float
    low: float = nan
    high: float = nan
    text: str = ""
    detail: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(MarkKind):
            kinds = ", ".join(get_args(MarkKind))
            raise SettingError(f"kind must be one of {kinds}, got {self.kind!r}")
        if not (isnan(self.value) or isfinite(self.value)):
            raise SettingError(f"value must be finite or NaN, got {self.value}")
        if isnan(self.low) != isnan(self.high) or self.low > self.high:
            raise SettingError(
                f"low and high must be in this order, or both NaN, got {self.low} and {self.high}"
            )


@dataclass(frozen=True)
class ScoreRow:
    """A row of a `ScoreFigure`.

    Parameters
    ----------
    name
        Its name.
    marks
        Its numbers, at most one of each kind.
    detail
        Smaller text below the name.
    apart
        Whether a line separates it from the rows below.

    Raises
    ------
    SettingError
        If the name is empty, or there are two marks of a kind.

    Examples
    --------
    >>> from cameval.report import ScoreMark, ScoreRow
    >>> ScoreRow("glioma", [ScoreMark("score", 0.112)], detail="285 slices").name
    'glioma'
    """

    name: str
    marks: Sequence[ScoreMark]
    detail: str = ""
    apart: bool = False

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise SettingError(f"name must say what the row is, got {self.name!r}")
        kinds = [mark.kind for mark in self.marks]
        if twice := [kind for kind in kinds if kinds.count(kind) > 1]:
            raise SettingError(
                f"marks of {self.name!r} must be of different kinds, got {twice[0]!r} twice"
            )

    def find(self, kind: MarkKind) -> ScoreMark | None:
        """Return the mark of a kind that has a number.

        Examples
        --------
        >>> from cameval.report import ScoreMark, ScoreRow
        >>> row = ScoreRow("95th percentile", [ScoreMark("score", 0.12)])
        >>> row.find("score").value, row.find("bound")
        (0.12, None)
        """
        return next((m for m in self.marks if m.kind == kind and not isnan(m.value)), None)


@dataclass(frozen=True)
class ScoreFigure:
    """A figure of a `Section`: rows of marks on one axis, drawn as SVG in two widths.

    The page shows the numbers of each row at its end, and folded below the figure as a table.

    Parameters
    ----------
    title
        What it shows.
    label
        What it says, in one sentence with numbers, for readers who cannot see it.
    rows
        The rows, the first at the top.
    names
        What a mark of each kind is, in a word or two: for the legend and the table.
    ends
        The ends of the axis. A line beyond them is cut off.
    caption
        Text below it.
    percent
        Whether the numbers are shares, to be written in percent.
    bars
        Whether a bar from the left end to the bound is drawn: what was possible. Otherwise a line
        joins the score with the bound, or with the published number if there is no bound.

    Raises
    ------
    SettingError
        If the title or label is empty, there are no rows, a kind of mark has no name, the ends are
        not in order, or a mark is beyond them.

    Examples
    --------
    >>> from cameval.report import ScoreFigure, ScoreMark, ScoreRow, Section
    >>> marks = [ScoreMark("score", 0.124), ScoreMark("published", 0.153)]
    >>> figure = ScoreFigure(
    ...     "Mean IoU",
    ...     "At the 95th percentile: this study .124, the paper .153.",
    ...     [ScoreRow("percentile:95", marks)],
    ...     {"score": "this study", "published": "the paper"},
    ...     ends=(0, 0.4),
    ... )
    >>> section = Section("paper", "Against the paper", figures=[figure])
    >>> section.empty
    False
    """

    title: str
    label: str
    rows: Sequence[ScoreRow]
    names: Mapping[MarkKind, str]
    ends: tuple[float, float] = (0.0, 1.0)
    caption: str = ""
    percent: bool = False
    bars: bool = False

    def __post_init__(self) -> None:
        for what in ("title", "label"):
            if not getattr(self, what).strip():
                raise SettingError(f"{what} must say what the figure shows, got ''")
        if not self.rows:
            raise SettingError(f"rows of {self.title!r} must be at least one, got none")
        low, high = self.ends
        if not (isfinite(low) and isfinite(high) and low < high):
            raise SettingError(f"ends must be finite and in order, got {self.ends}")
        for name, mark in ((row.name, mark) for row in self.rows for mark in row.marks):
            if not self.names.get(mark.kind, "").strip():
                raise SettingError(f"names must have one for {mark.kind!r}, got {self.names}")
            if not isnan(mark.value) and not low <= mark.value <= high:
                raise SettingError(
                    f"marks must be between the ends {self.ends}, got {mark.value} in the row "
                    f"{name!r}; give other ends"
                )

    @property
    def kinds(self) -> list[MarkKind]:
        """The kinds of marks that it has, in the order of their columns."""
        present = {mark.kind for row in self.rows for mark in row.marks}
        return [kind for kind in get_args(MarkKind) if kind in present]

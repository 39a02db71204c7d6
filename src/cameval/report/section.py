"""Sections of a page: paragraphs, tables and pictures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from cameval.errors import SettingError
from cameval.report.cells import Table
from cameval.report.files import png

__all__ = ["Picture", "Section", "picture_of"]

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A picture of a page; `picture_of` makes one of a figure.

    Parameters
    ----------
    file
        Name of its file in ``figures/``: letters, digits, ``-`` and ``_``, then ``.png``.
    alt
        What it shows, in words, for who cannot see it.
    caption
        What stands below it.
    data
        The bytes of a PNG file.

    Raises
    ------
    SettingError
        If the name is another, `alt` is empty, or the bytes are not those of a PNG file.
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
                "picture_of draws one of a figure"
            )


@dataclass(frozen=True)
class Section:
    """A part of the page: paragraphs, then tables, then pictures; with nothing it is left out.

    Parameters
    ----------
    anchor
        What addresses it, as in ``report.html#anchor``: a letter, then letters, digits, ``-`` and
        ``_``.
    title
        Its title, here and in the navigation.
    lead
        A paragraph of plain text, or several.
    tables, pictures
        What it shows.

    Raises
    ------
    SettingError
        If the anchor is another, the title is empty, or a table or picture is something else.

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
        """The paragraphs of the lead that say something."""
        several = [self.lead] if isinstance(self.lead, str) else self.lead
        return [paragraph for paragraph in several if paragraph.strip()]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.paragraphs or self.tables or self.pictures)


def picture_of(figure: Figure, file: str, alt: str, caption: str) -> Picture:
    """Draw a figure of matplotlib as a picture.

    Parameters
    ----------
    figure
        The figure; it is not closed. Widths of 6 to 7 inches suit the page.
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
    return Picture(file, alt, caption, png(figure))

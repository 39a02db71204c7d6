"""Folders, files and pictures, written whole or not at all."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from cameval.errors import SettingError
from cameval.evaluation._run_folder import part_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_png(figure: "Figure", dpi: int = 144) -> bytes:
    """Return a figure as the bytes of a PNG file; the same figure gives the same bytes."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def make_folder(folder: Path) -> Path:
    """Make a folder if there is none, and return it.

    Raises
    ------
    SettingError
        If it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"folder must be one that can be written, got {error}") from error
    return folder


def write_bytes(file: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    part = part_of(file)
    try:
        part.write_bytes(data)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)

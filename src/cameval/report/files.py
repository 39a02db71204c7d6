"""Files that are there whole or not at all, and figures as PNG."""

from io import BytesIO
from pathlib import Path

from matplotlib.figure import Figure

from cameval.errors import SettingError
from cameval.evaluation.store import part_of

__all__ = ["made", "png", "write_bytes"]


def png(figure: Figure, dpi: int = 144) -> bytes:
    """Draw a figure; the same figure gives the same bytes."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def made(folder: Path) -> Path:
    """Make a folder where there is none.

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
    """Write a file that is there whole or not at all."""
    part = part_of(file)
    try:
        part.write_bytes(data)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)

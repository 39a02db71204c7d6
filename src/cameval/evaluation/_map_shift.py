"""How far half-pixel maps lie from the centers of the receptive fields of their cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cameval.maps import CellCenters

RECORD = "map_shift"
"""Where the record of a run has it."""

FAR = 1 / 4
"""From which share of a cell on a shift is told."""


@dataclass(frozen=True)
class MapShift:
    """Half-pixel centers minus centers of receptive fields, in the middle of the image.

    Parameters
    ----------
    pixels
        Of each axis, in pixels of the network's input; positive is down or right.
    size
        Shape of the input.
    cells
        Number of cells of each axis.

    Examples
    --------
    >>> from cameval.evaluation._map_shift import MapShift
    >>> from cameval.maps import CellCenters
    >>> shift = MapShift.of_cells(CellCenters(offset=0.5, stride=32), (224, 224), (7, 7))
    >>> shift.pixels, shift.is_far
    ((15.5, 15.5), True)
    """

    pixels: tuple[float, ...]
    size: tuple[int, ...]
    cells: tuple[int, ...]

    @classmethod
    def of_cells(
        cls, centers: CellCenters, size: Sequence[int], cells: Sequence[int]
    ) -> "MapShift":
        """Return the shift of maps whose cells fill the image evenly."""
        pixels = tuple(
            n / 2 - (centers.offset + centers.stride * (k - 1) / 2)
            for n, k in zip(size, cells, strict=True)
        )
        return cls(pixels, tuple(size), tuple(cells))

    @classmethod
    def of_run(cls, run: Mapping[str, Any]) -> "MapShift | None":
        """Return what the record of a run has; None if it has none."""
        found = run.get(RECORD)
        if not isinstance(found, Mapping):
            return None
        parts = [tuple(found.get(name) or ()) for name in ("pixels", "size", "cells")]
        return cls(*parts) if len({*map(len, parts)}) == 1 and parts[0] else None

    def to_record(self) -> dict[str, Any]:
        """Return what the record of a run has of it."""
        return {RECORD: {name: list(value) for name, value in vars(self).items()}}

    @property
    def is_far(self) -> bool:
        """Whether it is more than a quarter of a cell along some axis."""
        steps = (n / k for n, k in zip(self.size, self.cells, strict=True))
        return any(abs(px) > FAR * step for px, step in zip(self.pixels, steps, strict=True))

    def __str__(self) -> str:
        """Return the shift in words: of rows and columns, or of the axes of a volume."""
        shown = [f"{px:+.1f}".replace("-", "\u2212") for px in self.pixels]
        sizes = [f"{n:,}" for n in self.size]
        if len({*zip(shown, sizes, strict=True)}) == 1 and len(self.pixels) == 2:
            where = "right and down" if self.pixels[0] > 0 else "left and up"
            return f"{abs(self.pixels[0]):.1f} of {sizes[0]} pixels too far {where}"
        return f"shifted by {' x '.join(shown)} of {' x '.join(sizes)} pixels"

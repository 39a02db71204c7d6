"""The grids of the networks' maps."""

from typing import NamedTuple

import torch

from cameval.errors import SettingError
from cameval.maps import CellCenters
from study.candidates import Candidate
from study.settings import Settings


class Grid(NamedTuple):
    """Cells of a network's maps, their place where maps are aligned by it, and its input's size."""

    cells: tuple[int, int]
    cell_centers: CellCenters | None
    size: int


def grid_of(candidate: Candidate, size: int) -> tuple[int, int]:
    """Return height and width of a network's maps; they do not depend on its weights."""
    model = candidate.build("none", 3).eval()
    try:
        with torch.no_grad():
            cells = model.features(torch.zeros(1, 3, size, size)).shape[2:]
    except RuntimeError as error:
        raise SettingError(
            f"the input must be large enough for {candidate}, got {size} px: {error}"
        ) from error
    return int(cells[0]), int(cells[1])


def grids_of(settings: Settings) -> dict[str, Grid]:
    """Return the grid of each network's maps."""
    grids: dict[str, Grid] = {}
    for candidate in settings.candidates:
        size = settings.size_of(candidate)
        cell_centers = candidate.build("none", 3).cell_centers
        aligned_by = cell_centers if settings.alignment == "receptive_field" else None
        grids[str(candidate)] = Grid(grid_of(candidate, size), aligned_by, size)
    return grids

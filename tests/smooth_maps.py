"""Smooth maps for the tests: random coarse maps, interpolated."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def smooth_maps(
    n: int = 6,
    size: tuple[int, int] = (40, 50),
    cells: int = 7,
    mode: str = "bilinear",
    *,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> Tensor:
    """Return maps ``(n, H, W)`` of `cells` times `cells` normal numbers each."""
    coarse = torch.randn(n, 1, cells, cells, generator=torch.Generator().manual_seed(seed))
    return interpolate(coarse, size=size, mode=mode)[:, 0].to(dtype)

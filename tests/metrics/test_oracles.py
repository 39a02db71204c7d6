"""Distances in volumes against MONAI, with voxels that are not cubes.

MONAI comes with the extra ``oracle``.
"""

import warnings
from types import ModuleType

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from cameval.metrics import AverageSurfaceDistance, HausdorffDistance, SurfaceDice

SPACINGS = [(5.0, 1.0, 1.0), (1.0, 1.0, 1.0), (2.5, 0.49, 0.7)]
SEEDS = range(4)


@pytest.fixture(scope="module")
def monai() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("monai", reason="the extra 'oracle' is not installed")
        return pytest.importorskip("monai.metrics")


def blobs(seed: int, size: tuple[int, int, int] = (9, 24, 20)) -> tuple[Tensor, Tensor]:
    """Draw two smooth masks that overlap, ``(2, D, H, W)``, some of which reach the edges."""
    draw = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(draw.normal(size=(2, 2, *size)), (0, 0, 1, 3, 3))
    noise[1] += 2 * noise[0]
    pred, target = torch.from_numpy(noise > noise.std() * 0.7)
    return pred, target


def theirs(function, pair: tuple[Tensor, Tensor], *args, **settings) -> Tensor:
    """Call MONAI, which takes masks of one class as ``(N, 1, D, H, W)``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = (mask[:, None].float() for mask in pair)
        return function(*given, *args, include_background=True, **settings)[:, 0].double()


def check(ours: Tensor, oracle: Tensor) -> None:
    assert ours.isfinite().all()
    torch.testing.assert_close(ours.double(), oracle, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("percentile", [95, 100])
def test_hausdorff_distances_are_monais(monai, spacing, seed, percentile) -> None:
    pair = blobs(seed)
    function = monai.compute_hausdorff_distance
    oracle = theirs(function, pair, percentile=percentile, spacing=spacing)
    check(HausdorffDistance(percentile, spacing)(*pair), oracle)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("spacing", SPACINGS)
def test_average_distances_are_monais(monai, spacing, seed) -> None:
    pair = blobs(seed)
    function = monai.compute_average_surface_distance
    oracle = theirs(function, pair, symmetric=True, spacing=spacing)
    check(AverageSurfaceDistance(spacing)(*pair), oracle)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("tolerance", [0.9, 2.2, 5.1])
def test_surface_dice_is_monais(monai, spacing, seed, tolerance) -> None:
    pair = blobs(seed)
    function = monai.compute_surface_dice
    oracle = theirs(function, pair, [tolerance], spacing=spacing)
    check(SurfaceDice(tolerance, spacing)(*pair), oracle)
    voxels = theirs(function, pair, [tolerance], spacing=spacing, use_subvoxels=True)
    check(SurfaceDice(tolerance, spacing, border="contour")(*pair), voxels)

"""Distances between the borders of two masks.

The border of a mask is its pixels with a background pixel above, below, left or right of them (the
mask minus its 4-connected erosion). What lies outside the image is background, so pixels of a mask
at the frame belong to its border. Distances run between centers of border pixels, from each to the
nearest of the other mask, and are in the unit of `spacing`: in mm for ``spacing=0.49`` and pixels
of 0.49 mm, in pixels by default. Edge cases follow the one policy of `cameval.metrics.policy`.

Distances are exact Euclidean transforms on the CPU, image by image; metrics of one pair of masks
share them inside ``with sharing():``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from cameval.arrays import Array, as_scores, mask_pair
from cameval.errors import SettingError
from cameval.metrics.centroid import Length, Spacing, image_diagonal, pixel_size
from cameval.metrics.policy import undefined_without_truth
from cameval.sharing import shared

__all__ = ["AverageSurfaceDistance", "HausdorffDistance", "SurfaceDice"]

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
_Formula: TypeAlias = Callable[[Floats, Floats], float]


@dataclass(frozen=True)
class HausdorffDistance:
    """Percentile of the distances between two borders, the worse of both directions.

    ``max(percentile(d(P, G)), percentile(d(G, P)))``, where d(P, G) are the distances of the pixels
    of the prediction's border to the truth's. Percentiles are taken of each direction by itself and
    interpolated linearly. Lower is better.

    Parameters
    ----------
    percentile
        In (0, 100]; 95 is the usual robust form, 100 the Hausdorff distance.
    spacing
        Distance between pixels, of rows and columns if two numbers are given.
    penalize_empty
        Give an empty prediction the diagonal of the image instead of NaN.

    Raises
    ------
    SettingError
        If `percentile` is not in (0, 100], or `spacing` not one or two positive numbers.

    References
    ----------
    D. P. Huttenlocher et al., "Comparing Images Using the Hausdorff Distance", IEEE Trans. PAMI 15
    (1993).
    L. Maier-Hein et al., "Metrics Reloaded: Recommendations for Image Analysis Validation", Nature
    Methods 21 (2024).

    Examples
    --------
    >>> pred, target = torch.zeros(2, 1, 8, dtype=torch.bool)
    >>> pred[0, 0] = target[0, 0] = target[0, 5] = True
    >>> HausdorffDistance(100)(pred, target), HausdorffDistance(50, spacing=0.5)(pred, target)
    (tensor(5.), tensor(1.2500))
    """

    percentile: float = 95
    spacing: Spacing = 1.0
    penalize_empty: bool = False

    def __post_init__(self) -> None:
        pixel_size(self.spacing)
        if not 0 < self.percentile <= 100:
            raise SettingError(f"percentile must be in (0, 100], got {self.percentile}")

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return one distance for each image, shape ``(...)``.

        Parameters
        ----------
        pred, target
            Boolean masks of one shape ``(..., H, W)``.

        Returns
        -------
        Array
            Lengths from 0 on. An empty truth gives NaN, and so does an empty prediction unless
            `penalize_empty`.
        """
        return _by_distances(
            lambda *both: float(max(np.percentile(each, self.percentile) for each in both)),
            pred,
            target,
            self.spacing,
            empty=image_diagonal if self.penalize_empty else None,
        )


@dataclass(frozen=True)
class AverageSurfaceDistance:
    """Mean distance between two borders (average symmetric surface distance, ASSD).

    ``(sum d(P, G) + sum d(G, P)) / (|border of P| + |border of G|)``: the mean over the pixels of
    both borders, so the longer border weighs more. Lower is better.

    Parameters
    ----------
    spacing
        Distance between pixels, of rows and columns if two numbers are given.
    penalize_empty
        Give an empty prediction the diagonal of the image instead of NaN.

    Raises
    ------
    SettingError
        If `spacing` is not one or two positive numbers.

    References
    ----------
    T. Heimann et al., "Comparison and Evaluation of Methods for Liver Segmentation from CT
    Datasets", IEEE Trans. Medical Imaging 28 (2009).

    Examples
    --------
    >>> pred, target = torch.zeros(2, 1, 8, dtype=torch.bool)
    >>> pred[0, 0] = target[0, 0] = target[0, 6] = True
    >>> AverageSurfaceDistance()(pred, target)
    tensor(2.)
    """

    spacing: Spacing = 1.0
    penalize_empty: bool = False

    def __post_init__(self) -> None:
        pixel_size(self.spacing)

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return one distance for each image, shape ``(...)``.

        Parameters
        ----------
        pred, target
            Boolean masks of one shape ``(..., H, W)``.

        Returns
        -------
        Array
            Lengths from 0 on. An empty truth gives NaN, and so does an empty prediction unless
            `penalize_empty`.
        """
        return _by_distances(
            lambda *both: float(np.concatenate(both).mean()),
            pred,
            target,
            self.spacing,
            empty=image_diagonal if self.penalize_empty else None,
        )


@dataclass(frozen=True)
class SurfaceDice:
    """Share of both borders that lies within a tolerance of the other (normalized surface Dice).

    The pixels of both borders count together, one each, as in `AverageSurfaceDistance`. The
    original weighs them by the length of the contour that they stand for.

    Parameters
    ----------
    tolerance
        The largest distance that is still good, in the unit of `spacing`, at least 0. Half a cell
        of the map's grid is what a map can resolve; the disagreement of human readers is what the
        truth can.
    spacing
        Distance between pixels, of rows and columns if two numbers are given.

    Raises
    ------
    SettingError
        If `tolerance` is negative, or `spacing` not one or two positive numbers.

    References
    ----------
    S. Nikolov et al., "Clinically Applicable Segmentation of Head and Neck Anatomy for
    Radiotherapy: Deep Learning Algorithm Development and Validation Study", Journal of Medical
    Internet Research 23 (2021).

    Examples
    --------
    >>> pred, target = torch.zeros(2, 1, 8, dtype=torch.bool)
    >>> pred[0, 1] = target[0, 0] = target[0, 6] = True
    >>> SurfaceDice(tolerance=1)(pred, target)
    tensor(0.6667)
    """

    tolerance: float
    spacing: Spacing = 1.0

    def __post_init__(self) -> None:
        pixel_size(self.spacing)
        if not self.tolerance >= 0:
            raise SettingError(f"tolerance must be at least 0, got {self.tolerance}")

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return one score for each image, shape ``(...)``.

        Parameters
        ----------
        pred, target
            Boolean masks of one shape ``(..., H, W)``.

        Returns
        -------
        Array
            Scores in [0, 1]. An empty truth gives NaN, an empty prediction 0.
        """
        near = self.tolerance * (1 + 1e-9)  # three pixels of .49 mm lie within 1.47 mm
        return _by_distances(
            lambda *both: float((np.concatenate(both) <= near).mean()),
            pred,
            target,
            self.spacing,
            empty=_zero,
        )


def _by_distances(
    formula: _Formula,
    pred: Array,
    target: Array,
    spacing: Spacing,
    *,
    empty: Length | None,
) -> Array:
    """Score each image by a formula on d(P, G) and d(G, P), an empty prediction by `empty`."""
    found, true = mask_pair(pred, target)
    pairs = _distances(found, true, pixel_size(spacing))
    scores = torch.tensor(
        [formula(*pair) if pair else float("nan") for pair in pairs], dtype=torch.float64
    )
    scores = scores.reshape(true.shape[:-2])
    some, defined = (masks.any(-1).any(-1).cpu() for masks in (found, true))
    if empty is not None:
        scores = scores.where(some, empty(true, spacing).cpu())
    return as_scores(undefined_without_truth(scores, defined), pred)


@shared
def _distances(
    pred: Tensor, target: Tensor, size: tuple[float, float]
) -> list[tuple[Floats, Floats] | None]:
    """Return d(P, G) and d(G, P) of each image, leading axes flattened; None if a mask is empty."""
    count = pred.shape[:-2].numel()
    images = (masks.cpu().numpy().reshape(count, *masks.shape[-2:]) for masks in (pred, target))
    return [_both_ways(found, true, size) for found, true in zip(*images, strict=True)]


def _both_ways(pred: Mask, target: Mask, size: tuple[float, float]) -> tuple[Floats, Floats] | None:
    """Measure in the hull of both masks, which holds both borders."""
    if not (pred.any() and target.any()):
        return None
    hull = ndimage.find_objects((pred | target).astype(np.int8))[0]
    first, second = _border(pred[hull]), _border(target[hull])
    return _nearest(first, second, size), _nearest(second, first, size)


def _nearest(here: Mask, there: Mask, size: tuple[float, float]) -> Floats:
    """Distances of the pixels of one mask to the nearest ones of another."""
    distances: Floats = ndimage.distance_transform_edt(~there, sampling=size)
    return distances[here]


def _border(mask: Mask) -> Mask:
    """Pixels of a mask that its 4-connected erosion removes, with background around the image."""
    inside: Mask = ndimage.binary_erosion(mask, border_value=0)
    return mask & ~inside


def _zero(target: Tensor, spacing: Spacing) -> Tensor:
    """Return the worst score of a share, whatever the lengths."""
    return torch.zeros_like(image_diagonal(target, spacing))

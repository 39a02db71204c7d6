"""Distances between the borders of two masks.

By default, with ``border="pixels"``, the border of a mask consists of its pixels with a background
pixel above, below, left or right (the mask minus its 4-connected erosion; in volumes also in front
or behind). Distances run from the center of each border pixel to the nearest border pixel of the
other mask, and every pixel counts once. This is the convention of MetricsReloaded and of MONAI.

With ``border="contour"`` the border is the line between the pixels, or the surface in volumes,
divided into small elements. Distances run between the corners of pixels where elements lie, and an
element counts by its length or area. This is the convention of DeepMind's
`surface-distance <https://github.com/google-deepmind/surface-distance>`_; its percentiles are not
interpolated.

The two differ most where pixels are not square: a border pixel then represents a piece of contour
whose length depends on its direction. For a disc of 40 mm and the same disc moved by 3 mm:

===================  ===================  ============  =============
pixels (mm)          disc is moved along  ASSD (mm)     surface Dice
===================  ===================  ============  =============
5 x 1                the shorter side     .90 / 1.27    .83 / .69
5 x 1                the longer side      2.09 / 1.50   .62 / .73
1 x 1                either side          1.83 / 1.68   .48 / .61
===================  ===================  ============  =============

(pixels / contour; surface Dice at a tolerance of 2 mm). The 95th percentile is the same in all
rows.

The outside of the image is background, so pixels of a mask at the edge of the image belong to its
border. Lengths are in the unit of `spacing`: in mm for ``spacing=0.49`` and pixels of 0.49 mm, in
pixels by default. With three numbers masks are volumes ``(..., D, H, W)``, and the first number is
the distance between slices.

Distances are exact Euclidean distance transforms on the CPU, image by image. Inside
``with memo():`` they are computed once for all metrics of a pair of masks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import ClassVar, Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from cameval._arrays import Array, as_scores, mask_pair
from cameval._memo import memoized
from cameval.errors import SettingError
from cameval.metrics._contours import (
    Floats,
    Mask,
    Spacing,
    contour_elements,
    flatten_pixels,
    pixel_size,
)
from cameval.metrics.centroid import (
    EMPTY_WORDS,
    Length,
    image_diagonal,
    spacing_words,
    takes_spacing,
    with_words,
)
from cameval.metrics.properties import Takes, Unit, undefined_without_truth

__all__ = ["AverageSurfaceDistance", "HausdorffDistance", "SurfaceDice"]

Border: TypeAlias = Literal["pixels", "contour"]
"""Elements of a border: pixels, or pieces of the line between them."""

_Formula: TypeAlias = Callable[[Floats, Floats], float]
"""Function of d(P, G) and d(G, P), each ``(2, points)``: distances, and lengths or areas."""


@dataclass(frozen=True)
class HausdorffDistance:
    """Percentile of the distances between two borders (Hausdorff distance, HD95).

    ``max(percentile(d(P, G)), percentile(d(G, P)))``, where d(P, G) are the distances of the pixels
    of the prediction's border to the border of the truth. Percentiles are computed for each
    direction. They are interpolated linearly, but not on contours. Lower is better.

    Parameters
    ----------
    percentile
        In (0, 100]; 95 is the usual robust form, 100 is the Hausdorff distance.
    spacing
        Distance between pixels: one number, or two for rows and columns, or three for the slices,
        rows and columns of volumes.
    penalize_empty
        Whether an empty prediction gets the diagonal of the image instead of NaN.
    border
        ``"pixels"``, which count once each, or ``"contour"``, whose elements count by their length
        (area in volumes).

    Raises
    ------
    SettingError
        If `percentile` is not in (0, 100], `spacing` not one to three positive numbers, or `border`
        another word.

    References
    ----------
    D. P. Huttenlocher et al., "Comparing Images Using the Hausdorff Distance", IEEE Trans. PAMI 15
    (1993).
    L. Maier-Hein et al., "Metrics Reloaded: Recommendations for Image Analysis Validation", Nature
    Methods 21 (2024).

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import HausdorffDistance
    >>> pred, target = torch.zeros(2, 1, 8, dtype=torch.bool)
    >>> pred[0, 0] = target[0, 0] = target[0, 5] = True
    >>> HausdorffDistance(100)(pred, target), HausdorffDistance(50, spacing=0.5)(pred, target)
    (tensor(5.), tensor(1.2500))
    """

    label: ClassVar[str] = "hausdorff_distance"
    takes: ClassVar[Takes] = "masks"
    higher_is_better: ClassVar[bool | None] = False
    value_range: ClassVar[tuple[float, float]] = (0, inf)
    from_sample: ClassVar[tuple[str, ...]] = ("spacing",)

    percentile: float = 95
    spacing: Spacing = 1.0
    penalize_empty: bool = False
    border: Border = "pixels"

    def __post_init__(self) -> None:
        _check_settings(self.spacing, self.border)
        if not 0 < self.percentile <= 100:
            raise SettingError(f"percentile must be in (0, 100], got {self.percentile}")

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        share = f"{self.percentile:g}% " if self.percentile < 100 else ""
        settings = [*spacing_words(self.spacing), *_border_words(self.border)]
        settings += ["diagonal if empty"] * self.penalize_empty
        return with_words(f"{share}Hausdorff distance", settings)

    @property
    def unit(self) -> Unit | None:
        """The unit of the distance: that of each sample's spacing, or None if one is chosen."""
        return "spacing" if takes_spacing(self.spacing) else None

    @property
    def definition(self) -> str:
        """What the distance is, in the words of a paper."""
        one, weighted = _element_words(self.border)
        if self.percentile < 100:
            text = (
                f"the larger of two {self.percentile:g} % percentiles: that of the distances from "
                f"each {one} of the mask to the nearest one of the truth, and that of those from "
                f"the truth to the mask{weighted}"
            )
        else:
            text = f"the largest distance from a {one} of mask or truth to the nearest of the other"
        return text + EMPTY_WORDS * self.penalize_empty

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return one distance for each image, shape ``(...)``.

        Parameters
        ----------
        pred, target
            Boolean masks of one shape ``(..., H, W)``, or ``(..., D, H, W)``.

        Returns
        -------
        Array
            Lengths from 0 on. An empty truth gives NaN, and so does an empty prediction unless
            `penalize_empty`.
        """
        return _by_distances(
            lambda *both: max(self._percentile(*each) for each in both),
            pred,
            target,
            self.spacing,
            self.border,
            empty=image_diagonal if self.penalize_empty else None,
        )

    def _percentile(self, distances: Floats, measures: Floats) -> float:
        if self.border == "pixels":
            return float(np.percentile(distances, self.percentile))
        order = distances.argsort()
        share = measures[order].cumsum() / measures.sum()
        place = min(int(share.searchsorted(self.percentile / 100)), len(order) - 1)
        return float(distances[order[place]])


@dataclass(frozen=True)
class AverageSurfaceDistance:
    """Mean distance between two borders (average symmetric surface distance, ASSD).

    ``(sum d(P, G) + sum d(G, P)) / (|border of P| + |border of G|)``: the mean over the pixels, or
    the contour's elements, of both borders, so the longer border weighs more. Lower is better.

    Parameters
    ----------
    spacing
        Distance between pixels: one number, or two for rows and columns, or three for the slices,
        rows and columns of volumes.
    penalize_empty
        Whether an empty prediction gets the diagonal of the image instead of NaN.
    border
        ``"pixels"``, which count once each, or ``"contour"``, whose elements count by their length
        (area in volumes).

    Raises
    ------
    SettingError
        If `spacing` is not one to three positive numbers, or `border` another word.

    References
    ----------
    T. Heimann et al., "Comparison and Evaluation of Methods for Liver Segmentation from CT
    Datasets", IEEE Trans. Medical Imaging 28 (2009).

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import AverageSurfaceDistance
    >>> pred, target = torch.zeros(2, 1, 8, dtype=torch.bool)
    >>> pred[0, 0] = target[0, 0] = target[0, 6] = True
    >>> AverageSurfaceDistance()(pred, target)
    tensor(2.)
    """

    label: ClassVar[str] = "average_surface_distance"
    takes: ClassVar[Takes] = "masks"
    higher_is_better: ClassVar[bool | None] = False
    value_range: ClassVar[tuple[float, float]] = (0, inf)
    from_sample: ClassVar[tuple[str, ...]] = ("spacing",)

    spacing: Spacing = 1.0
    penalize_empty: bool = False
    border: Border = "pixels"

    def __post_init__(self) -> None:
        _check_settings(self.spacing, self.border)

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        settings = [*spacing_words(self.spacing), *_border_words(self.border)]
        settings += ["diagonal if empty"] * self.penalize_empty
        return with_words("average surface distance", settings)

    @property
    def unit(self) -> Unit | None:
        """The unit of the distance: that of each sample's spacing, or None if one is chosen."""
        return "spacing" if takes_spacing(self.spacing) else None

    @property
    def definition(self) -> str:
        """What the distance is, in the words of a paper."""
        one, weighted = _element_words(self.border)
        text = (
            f"the mean distance from each {one} of mask and truth, taken together, to the nearest "
            f"one of the other{weighted}"
        )
        return text + EMPTY_WORDS * self.penalize_empty

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return one distance for each image, shape ``(...)``.

        Parameters
        ----------
        pred, target
            Boolean masks of one shape ``(..., H, W)``, or ``(..., D, H, W)``.

        Returns
        -------
        Array
            Lengths from 0 on. An empty truth gives NaN, and so does an empty prediction unless
            `penalize_empty`.
        """
        return _by_distances(
            lambda *both: _weighted_mean(*np.concatenate(both, axis=1)),
            pred,
            target,
            self.spacing,
            self.border,
            empty=image_diagonal if self.penalize_empty else None,
        )


@dataclass(frozen=True)
class SurfaceDice:
    """Share of both borders that lies within a tolerance of the other (normalized surface Dice).

    Both borders count together, as in `AverageSurfaceDistance`. The original metric is the one with
    ``border="contour"``.

    Parameters
    ----------
    tolerance
        The largest distance that counts as agreement, in the unit of `spacing`, at least 0. Useful
        values are half a cell of the feature grid, which is the resolution of the map, and the
        disagreement of human readers, which is the accuracy of the truth.
    spacing
        Distance between pixels: one number, or two for rows and columns, or three for the slices,
        rows and columns of volumes.
    border
        ``"pixels"``, which count once each, or ``"contour"``, whose elements count by their length
        (area in volumes).

    Raises
    ------
    SettingError
        If `tolerance` is negative, `spacing` not one to three positive numbers, or `border` another
        word.

    References
    ----------
    S. Nikolov et al., "Clinically Applicable Segmentation of Head and Neck Anatomy for
    Radiotherapy: Deep Learning Algorithm Development and Validation Study", Journal of Medical
    Internet Research 23 (2021).

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import SurfaceDice
    >>> pred, target = torch.zeros(2, 1, 8, dtype=torch.bool)
    >>> pred[0, 1] = target[0, 0] = target[0, 6] = True
    >>> SurfaceDice(tolerance=1)(pred, target)
    tensor(0.6667)
    """

    label: ClassVar[str] = "surface_dice"
    takes: ClassVar[Takes] = "masks"
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)
    from_sample: ClassVar[tuple[str, ...]] = ("spacing",)

    tolerance: float
    spacing: Spacing = 1.0
    border: Border = "pixels"

    def __post_init__(self) -> None:
        _check_settings(self.spacing, self.border)
        if not self.tolerance >= 0:
            raise SettingError(f"tolerance must be at least 0, got {self.tolerance}")

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        settings = [f"tolerance {self.tolerance:g}", *spacing_words(self.spacing)]
        return with_words("surface Dice", [*settings, *_border_words(self.border)])

    @property
    def unit(self) -> Unit | None:
        """The unit of the tolerance: that of each sample's spacing, or None if one is chosen."""
        return "spacing" if takes_spacing(self.spacing) else None

    @property
    def definition(self) -> str:
        """What the score is, in the words of a paper."""
        one, weighted = _element_words(self.border)
        return (
            f"the share of mask and truth, each {one} of both taken together, that is at most "
            f"{self.tolerance:g} from the nearest one of the other{weighted}"
        )

    def __call__(self, pred: Array, target: Array, /) -> Array:
        """Return one score for each image, shape ``(...)``.

        Parameters
        ----------
        pred, target
            Boolean masks of one shape ``(..., H, W)``, or ``(..., D, H, W)``.

        Returns
        -------
        Array
            Scores in [0, 1]. An empty truth gives NaN, an empty prediction 0.
        """
        tolerance = self.tolerance * (1 + 1e-9)  # three pixels of .49 mm lie within 1.47 mm
        return _by_distances(
            lambda *both: _share_within(tolerance, *np.concatenate(both, axis=1)),
            pred,
            target,
            self.spacing,
            self.border,
            empty=_zero_score,
        )


def _by_distances(
    formula: _Formula,
    pred: Array,
    target: Array,
    spacing: Spacing,
    border: Border,
    *,
    empty: Length | None,
) -> Array:
    """Score each image by a formula of both directions; an empty prediction scores `empty`."""
    predicted, true = mask_pair(pred, target)
    nonempty, defined = (
        flatten_pixels(masks, spacing).any(-1).cpu() for masks in (predicted, true)
    )
    pairs = _distances(predicted, true, pixel_size(spacing), border)
    scores = torch.tensor(
        [formula(*pair) if pair else float("nan") for pair in pairs], dtype=torch.float64
    )
    scores = scores.reshape(defined.shape)
    if empty is not None:
        scores = scores.where(nonempty, empty(true, spacing).cpu())
    return as_scores(undefined_without_truth(scores, defined), pred)


@memoized
def _distances(
    pred: Tensor, target: Tensor, size: tuple[float, ...], border: Border
) -> list[tuple[Floats, Floats] | None]:
    """Return `_border_distances` of each image, leading axes flattened."""
    axes = pred.shape[-len(size) :]
    count = pred.shape[: -len(size)].numel()
    images = (masks.cpu().numpy().reshape(count, *axes) for masks in (pred, target))
    return [_border_distances(p, g, size, border) for p, g in zip(*images, strict=True)]


def _border_distances(
    pred: Mask, target: Mask, size: tuple[float, ...], border: Border
) -> tuple[Floats, Floats] | None:
    """Return d(P, G) and d(G, P) with the lengths or areas of the points; None for an empty mask.

    Each is an array ``(2, points)``. Both are computed in the bounding box of both masks.
    """
    from scipy import ndimage

    if not (pred.any() and target.any()):
        return None
    box = ndimage.find_objects((pred | target).astype(np.int8))[0]
    if border == "pixels":
        (first, one), (second, other) = (_border(mask[box]) for mask in (pred, target))
    else:
        (first, one), (second, other) = (
            contour_elements(mask[box], size) for mask in (pred, target)
        )
    forth = _nearest_distances(first, second, size)
    back = _nearest_distances(second, first, size)
    return np.stack([forth, one[first]]), np.stack([back, other[second]])


def _nearest_distances(here: Mask, there: Mask, size: tuple[float, ...]) -> Floats:
    """Return the distances from the points of one border to the nearest points of another."""
    from scipy import ndimage

    distances: Floats = ndimage.distance_transform_edt(~there, sampling=size)
    return distances[here]


def _border(mask: Mask) -> tuple[Mask, Floats]:
    """Return the pixels that a 4-connected erosion removes, and a length of 1 for each."""
    from scipy import ndimage

    inside: Mask = ndimage.binary_erosion(mask, border_value=0)
    return mask & ~inside, np.ones(mask.shape)


def _weighted_mean(distances: Floats, measures: Floats) -> float:
    return float(np.average(distances, weights=measures))


def _share_within(tolerance: float, distances: Floats, measures: Floats) -> float:
    """Return the share of both borders that is not farther away than the tolerance."""
    return float(measures[distances <= tolerance].sum() / measures.sum())


def _zero_score(target: Tensor, spacing: Spacing) -> Tensor:
    """Return 0 for each image: the worst score of a share."""
    return torch.zeros_like(image_diagonal(target, spacing))


def _element_words(border: Border) -> tuple[str, str]:
    """Return what distances run from, and how it is weighted, as words of a definition."""
    if border == "pixels":
        return "border pixel (next to the background along an axis)", ""
    return "element of the contour", ", weighted by the length of the elements (area in volumes)"


def _border_words(border: Border) -> list[str]:
    """Return the words of a title for a border that is not the default."""
    return ["contour"] if border == "contour" else []


def _check_settings(spacing: Spacing, border: object) -> None:
    pixel_size(spacing)
    if border not in get_args(Border):
        raise SettingError(f"border must be 'pixels' or 'contour', got {border!r}")

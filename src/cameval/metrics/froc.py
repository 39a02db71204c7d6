"""FROC: share of the detected objects against false positives per image, over thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cameval._arrays import Array, exact, finite_maps
from cameval.errors import SettingError
from cameval.metrics._objects import (
    Floats,
    Measure,
    Truths,
    check_criterion,
    overlaps_of,
    pair_with_objects,
    without_ignored,
)
from cameval.metrics.dataset import check_grid, ignored_pixels, scale_kept

__all__ = ["FROC"]

LUNA16_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per image at which LUNA16 averages the sensitivity."""


@dataclass(frozen=True, eq=False)
class FROC:
    """Free-response ROC of maps over a dataset: detected objects and false positives.

    At each threshold the mask is ``map > threshold``. An object is detected if a connected
    component of the mask overlaps it; a component that detects no object is a false positive, also
    in images without an object. Several components on one object count once, and none of them is a
    false positive.

    By default maps are scaled to [0, 1] by their own extremes, so every map that is not constant
    marks something at each threshold below 1. Where the values of different images compare, such
    as probabilities, use ``scale=False``.

    Objects of disjoint images add, so a dataset can be read batch by batch.

    Attributes
    ----------
    thresholds
        The grid of thresholds, ``(T,)``.
    detected, false_positives
        Numbers of detected objects and of false positives at each threshold, ``(T,)``.
    objects, images
        Numbers of all objects and of all images.
    criterion
        The settings with which objects are counted: `at_least`, `measure` and `scale` of `of`.

    Notes
    -----
    Components merge as the threshold falls, so the numbers of false positives need not increase. At
    the lowest thresholds the mask of a smooth map is nearly the whole image: one component, which
    covers every object. Where masks can be so large, use ``measure="iou"``.

    References
    ----------
    D. Chakraborty, "Maximum Likelihood Analysis of Free-Response Receiver Operating Characteristic
    (FROC) Data", Medical Physics 16 (1989).
    A. A. A. Setio et al., "Validation, Comparison, and Combination of Algorithms for Automatic
    Detection of Pulmonary Nodules in Computed Tomography Images: The LUNA16 Challenge", Medical
    Image Analysis 42 (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.data import Objects
    >>> from cameval.metrics import FROC
    >>> objects = Objects.of_labels(np.array([[1, 1, 0, 0, 2, 0, 0]]))
    >>> first = np.array([[9.0, 8.0, 0.0, 4.0, 0.0, 0.0, 0.0]])
    >>> second = np.array([[2.0, 0.0, 8.0, 0.0, 6.0, 0.0, 0.0]])
    >>> froc = FROC.of(first, objects) + FROC.of(second, objects)
    >>> froc.sensitivity_at(0), froc.sensitivity_at(0.5), froc.sensitivity_at(1)
    (0.0, 0.5, 0.75)
    """

    thresholds: Floats
    detected: NDArray[np.int64]
    false_positives: NDArray[np.int64]
    objects: int
    images: int
    criterion: tuple[float, Measure, bool] = (0.0, "coverage", True)

    @classmethod
    def of(
        cls,
        maps: Array,
        objects: Truths,
        /,
        *,
        ignore: Array | None = None,
        thresholds: Sequence[float] | Floats | None = None,
        scale: bool = True,
        at_least: float = 0.0,
        measure: Measure = "coverage",
    ) -> "FROC":
        """Count the detected objects and the false positives of maps.

        Parameters
        ----------
        maps
            Real, finite maps ``(N, H, W)``; of volumes ``(N, D, H, W)``.
        objects
            A list with the :class:`cameval.data.Objects` of each image. For one map without the
            axis N, its objects.
        ignore
            Boolean masks of the maps' shape, or one for all maps. Their pixels are neither marked
            nor part of an object, and do not affect the scaling; an object without other pixels is
            not counted.
        thresholds
            Increasing numbers; in [0, 1] if maps are scaled, by default 0 to 1 in steps of .01.
        scale
            Whether maps are scaled to [0, 1]. Without, `thresholds` must be given.
        at_least, measure
            The overlap with which a component detects an object, as for `ObjectRecall`.

        Raises
        ------
        ArrayTypeError
            If the maps hold no real numbers, or the truth is no list of objects.
        ShapeError
            If there are not objects of the maps' shape for each map.
        NonFiniteError
            If a value of the maps is NaN or infinite.
        SettingError
            If a setting is out of its range.
        """
        check_criterion(at_least, measure)
        grid = check_grid(thresholds) if scale else _check_raw_grid(thresholds)
        values, listed = pair_with_objects(exact(finite_maps(maps)), objects, "maps")
        images = values.cpu().numpy()
        counts = np.zeros((2, len(grid)), np.int64)
        number = 0
        for image, truth, ignored in zip(
            images, listed, ignored_pixels(ignore, maps, images.shape), strict=True
        ):
            kept = truth if ignored is None else without_ignored(truth, ignored)
            number += len(kept)
            scaled = scale_kept(image, ignored) if scale else image
            last, found = -1, np.zeros(2, np.int64)
            for step, threshold in enumerate(grid):
                mask = scaled > threshold
                if ignored is not None:
                    mask &= ~ignored
                if (marked := int(np.count_nonzero(mask))) != last:
                    last = marked
                    pairs = overlaps_of(mask, kept).matches(measure, at_least)
                    found = np.array([pairs.any(0).sum(), (~pairs.any(1)).sum()])
                counts[:, step] += found
        criterion = (float(at_least), measure, bool(scale))
        return cls(grid, counts[0], counts[1], number, len(images), criterion)

    def __add__(self, other: "FROC") -> "FROC":
        """Add the counts of disjoint images."""
        if self.criterion != other.criterion:
            raise SettingError(
                "at_least, measure and scale must be the same for both, got "
                f"{self.criterion} and {other.criterion}"
            )
        if not np.array_equal(self.thresholds, other.thresholds):
            raise SettingError("thresholds must be the same for both, got two different grids")
        return FROC(
            self.thresholds,
            self.detected + other.detected,
            self.false_positives + other.false_positives,
            self.objects + other.objects,
            self.images + other.images,
            self.criterion,
        )

    def curve(self) -> tuple[Floats, Floats]:
        """Return the false positives per image and the sensitivity at each threshold.

        Returns
        -------
        false_positives : ndarray
            Mean number of false positives per image, ``(T,)``; NaN without images.
        sensitivity : ndarray
            Share of all objects that are detected, ``(T,)``; NaN without objects.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval.data import Objects
        >>> from cameval.metrics import FROC
        >>> objects = Objects.of_labels(np.array([[1, 0, 0, 0]]))
        >>> froc = FROC.of(np.array([[2.0, 0.0, 4.0, 0.0]]), objects, thresholds=[0, 0.5, 1])
        >>> froc.curve()  # at 0 a hit and a false positive, at .5 a false positive, at 1 nothing
        (array([1., 1., 0.]), array([1., 0., 0.]))
        """
        return _ratio(self.false_positives, self.images), _ratio(self.detected, self.objects)

    def sensitivity_at(self, false_positives: float) -> float:
        """Return the highest sensitivity with at most so many false positives per image.

        It is 0 if each threshold has more, because a mask can be empty, and NaN without objects.

        Raises
        ------
        SettingError
            If the number is negative or NaN.
        """
        if not false_positives >= 0:
            raise SettingError(f"false_positives must be 0 or more, got {false_positives}")
        if not self.objects:
            return float("nan")
        rates, sensitivity = self.curve()
        return float(sensitivity[rates <= false_positives].max(initial=0))

    def mean_sensitivity(self, rates: Sequence[float] = LUNA16_RATES) -> float:
        """Return the mean of the sensitivities at several numbers of false positives per image.

        The default numbers, 1/8 to 8, are those of the LUNA16 challenge (CPM, the competition
        performance metric).

        Parameters
        ----------
        rates
            Numbers of false positives per image, at least 0.

        Returns
        -------
        float
            The mean, in [0, 1]; NaN without objects.

        Raises
        ------
        SettingError
            If a number is negative or NaN.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval.data import Objects
        >>> from cameval.metrics import FROC
        >>> objects = Objects.of_labels(np.array([[1, 0, 0, 0]]))
        >>> froc = FROC.of(np.array([[2.0, 0.0, 4.0, 0.0]]), objects)
        >>> froc.mean_sensitivity(rates=[0.5, 1])  # 0 and 1
        0.5
        >>> round(froc.mean_sensitivity(), 3)  # 1 at 1, 2, 4 and 8, of seven numbers
        0.571
        """
        return float(np.mean([self.sensitivity_at(rate) for rate in rates]))


def _ratio(counts: NDArray[np.int64], total: int) -> Floats:
    return counts / total if total else np.full(len(counts), np.nan)


def _check_raw_grid(thresholds: Sequence[float] | Floats | None) -> Floats:
    """Return the thresholds of maps that are not scaled."""
    if thresholds is None:
        raise SettingError(
            "thresholds must be given where maps are not scaled, got None; pass the values to "
            "compare the maps with, or scale=True"
        )
    grid = np.array(thresholds, np.float64)
    if grid.ndim != 1 or not len(grid) or not np.isfinite(grid).all() or (np.diff(grid) <= 0).any():
        raise SettingError("thresholds must be increasing finite numbers, got other values")
    return grid

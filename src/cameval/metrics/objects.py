"""Metrics of objects: the detected share, false positives, and the matched F1 score.

They compare the connected components of a mask with the objects of the truth, one by one. Pixels
are connected by sides, edges and corners, in images and volumes. The union of the objects is not
used, so objects that touch stay apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from numbers import Real
from typing import ClassVar

from cameval._arrays import Array, as_masks
from cameval.errors import SettingError
from cameval.metrics._objects import (
    Measure,
    Overlaps,
    Truths,
    check_criterion,
    overlaps_per_mask,
    pair_with_objects,
    scores_of_images,
)
from cameval.metrics.properties import Takes, Truth

__all__ = ["FalsePositivesPerImage", "ObjectF1", "ObjectRecall"]


@dataclass(frozen=True)
class ObjectRecall:
    """Share of the objects that a mask detects.

    An object is detected if one connected component of the mask overlaps it, by at least
    `at_least`. A component can detect several objects; a mask of the whole image detects all, so
    report `FalsePositivesPerImage` or the marked area beside it.

    Parameters
    ----------
    at_least
        Least overlap, in [0, 1]. With 0 a single shared pixel is enough.
    measure
        ``"coverage"``: the share of the object in the component. ``"iou"``: the intersection over
        union of the two.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.data import Objects
    >>> from cameval.metrics import ObjectRecall
    >>> objects = Objects.of_labels(np.array([[1, 1, 2, 2, 0, 3]]))
    >>> mask = np.array([[False, True, True, True, False, False]])
    >>> float(ObjectRecall()(mask, objects)), float(ObjectRecall(0.6)(mask, objects))
    (0.6666666666666666, 0.3333333333333333)
    """

    label: ClassVar[str] = "object_recall"
    takes: ClassVar[Takes] = "masks"
    truth: ClassVar[Truth] = "objects"
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)

    at_least: float = 0.0
    measure: Measure = "coverage"

    def __post_init__(self) -> None:
        """Check the settings."""
        check_criterion(self.at_least, self.measure)

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return _title("object recall", self.measure, self.at_least)

    def __call__(self, pred: Array, objects: Truths, /) -> Array:
        """Return the share of the objects of each image that are detected.

        Parameters
        ----------
        pred
            Boolean masks ``(N, H, W)``; of volumes ``(N, D, H, W)``.
        objects
            A list with the :class:`cameval.data.Objects` of each image. For one mask without the
            axis N, its objects.

        Returns
        -------
        Array
            Scores ``(N,)`` in [0, 1]. An image without an object gives NaN, an empty mask 0.

        Raises
        ------
        ArrayTypeError
            If the masks are not boolean, or the truth is no list of objects.
        ShapeError
            If there are not objects of the masks' shape for each mask.
        """
        return _score(self._share, pred, objects)

    def _share(self, found: Overlaps) -> float:
        if not len(found.objects):
            return float("nan")
        return float(found.matches(self.measure, self.at_least).any(0).mean())


@dataclass(frozen=True)
class FalsePositivesPerImage:
    """Number of connected components of a mask that detect no object.

    It is defined without an object: then every component is a false positive. The mean over images
    is the number of false positives per image.

    Parameters
    ----------
    at_least, measure
        The overlap with which a component detects an object, as for `ObjectRecall`.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.data import Objects
    >>> from cameval.metrics import FalsePositivesPerImage
    >>> objects = Objects.of_labels(np.array([[1, 1, 0, 0, 0, 0]]))
    >>> mask = np.array([[False, True, False, True, False, True]])
    >>> float(FalsePositivesPerImage()(mask, objects))
    2.0
    """

    label: ClassVar[str] = "false_positives_per_image"
    takes: ClassVar[Takes] = "masks"
    truth: ClassVar[Truth] = "objects"
    higher_is_better: ClassVar[bool | None] = False
    value_range: ClassVar[tuple[float, float]] = (0, inf)

    at_least: float = 0.0
    measure: Measure = "coverage"

    def __post_init__(self) -> None:
        """Check the settings."""
        check_criterion(self.at_least, self.measure)

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return _title("false positives per image", self.measure, self.at_least)

    def __call__(self, pred: Array, objects: Truths, /) -> Array:
        """Return the number of false positives in each image.

        Parameters and errors are those of `ObjectRecall`.

        Returns
        -------
        Array
            Whole numbers ``(N,)`` as floating numbers. An empty mask has 0.
        """
        return _score(self._count, pred, objects)

    def _count(self, found: Overlaps) -> float:
        return float((~found.matches(self.measure, self.at_least).any(1)).sum())


@dataclass(frozen=True)
class ObjectF1:
    r"""F1 score of the connected components of a mask, matched with the objects one to one.

    A component and an object can be matched if their IoU is at least `at_least`. As many pairs as
    possible are matched. With TP pairs, c components and n objects the score is

    .. math:: \mathrm{F}_1 = \frac{2\,\mathrm{TP}}{c + n}.

    This is the recognition quality of panoptic segmentation. From an IoU of .5 on, objects that do
    not overlap have at most one match, apart from ties at .5.

    Parameters
    ----------
    at_least
        Least IoU of a match, in (0, 1].

    Raises
    ------
    SettingError
        If the setting is out of its range.

    References
    ----------
    A. Kirillov et al., "Panoptic Segmentation", CVPR 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from cameval.data import Objects
    >>> from cameval.metrics import ObjectF1
    >>> objects = Objects.of_labels(np.array([[1, 1, 0, 2, 2, 0, 0]]))
    >>> mask = np.array([[True, True, False, False, False, False, True]])
    >>> float(ObjectF1()(mask, objects))
    0.5
    """

    label: ClassVar[str] = "object_f1"
    takes: ClassVar[Takes] = "masks"
    truth: ClassVar[Truth] = "objects"
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)

    at_least: float = 0.5

    def __post_init__(self) -> None:
        """Check the setting."""
        if not isinstance(self.at_least, Real) or not 0 < self.at_least <= 1:
            raise SettingError(f"at_least must be a number in (0, 1], got {self.at_least!r}")

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return _title("object F1", "iou", self.at_least)

    def __call__(self, pred: Array, objects: Truths, /) -> Array:
        """Return the F1 score of each image.

        Parameters and errors are those of `ObjectRecall`.

        Returns
        -------
        Array
            Scores ``(N,)`` in [0, 1]. An image without an object gives NaN, an empty mask 0.
        """
        return _score(self._f1, pred, objects)

    def _f1(self, found: Overlaps) -> float:
        from scipy.optimize import linear_sum_assignment

        if not len(found.objects):
            return float("nan")
        pairs = found.matches("iou", self.at_least)
        matched = int(pairs[linear_sum_assignment(pairs, maximize=True)].sum())
        return 2 * matched / sum(pairs.shape)


def _title(name: str, measure: Measure, at_least: float) -> str:
    """Return a name with the overlap that is needed, if more than a shared pixel is."""
    words = {"coverage": "coverage", "iou": "IoU"}
    return f"{name} ({words[measure]} at least {at_least:g})" if at_least else name


def _score(formula: Callable[[Overlaps], float], pred: Array, objects: Truths) -> Array:
    """Return the formula of the overlaps for each image."""
    masks, listed = pair_with_objects(as_masks(pred, "pred"), objects, "pred")
    scores = [formula(found) for found in overlaps_per_mask(masks, listed)]
    return scores_of_images(scores, objects, pred)

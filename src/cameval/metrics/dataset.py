"""Metrics of maps over a whole dataset: MaxBoxAcc and PxAP."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import Array, Maps, as_masks, exact, finite_maps, maps_and_truth, restore
from cameval._checks import check_count
from cameval._spatial import check_spatial_axes, check_volumes
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.maps import normalize_maps
from cameval.metrics._objects import Truths, pair_with_objects
from cameval.metrics.boxes import Boxes, Connectivity, boxes_per_mask, check_boxes, find_boxes

__all__ = ["MaxBoxAcc", "PxAP"]

Floats = NDArray[np.float64]

Mask = NDArray[np.bool_]


class _Hits(NamedTuple):
    """IoU with the best true box, at each threshold."""

    largest: Floats
    any_box: Floats


@dataclass(frozen=True, eq=False)
class MaxBoxAcc:
    """Box accuracy of thresholded maps over a dataset, for a grid of thresholds (MaxBoxAcc).

    A map is scaled to [0, 1] by its own extremes. At the threshold t its mask is ``map >= t``, as
    published; the binarizers mark ``map > t``. A box is correct if its IoU with any true box of the
    image is at least delta. MaxBoxAcc takes the box of the mask's largest component; MaxBoxAccV2
    takes the component whose box fits best. `of_objects` and `of_boxes` take the annotated boxes,
    `of` one box for each component of a mask, where boxes that touch are one.

    The maximum is over thresholds on the images that are scored. Choose `best_threshold` on
    validation images and report `accuracy_at` on the test images.

    Objects of disjoint images add, so a dataset can be read batch by batch.

    Attributes
    ----------
    thresholds
        The grid of thresholds, ``(T,)``.
    largest
        IoU of the largest component's box with the best true box, ``(N, T)``.
    any_box
        Highest IoU of any component's box with any true box, ``(N, T)``.
    undefined
        Number of images without a true box; they are left out.

    Notes
    -----
    A constant map has no box and counts as incorrect at each threshold. The released code of the
    reference rounds maps to 256 levels, resizes them and adds a pixel to each box; this class does
    not.

    References
    ----------
    J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020.
    J. Choe et al., "Evaluation for Weakly Supervised Object Localization: Protocol, Metrics, and
    Datasets", arXiv:2007.04178 (2020).

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import MaxBoxAcc
    >>> maps = torch.tensor([[[0.0, 2.0, 4.0, 1.0]], [[1.0, 1.0, 1.0, 1.0]]])
    >>> masks = torch.tensor([[[False, True, True, False]], [[True, True, False, False]]])
    >>> accuracy = MaxBoxAcc.of(maps[:1], masks[:1]) + MaxBoxAcc.of(maps[1:], masks[1:])
    >>> accuracy.max_box_acc(0.5), accuracy.best_threshold(0.7)
    (0.5, 0.26)
    """

    thresholds: Floats
    largest: Floats
    any_box: Floats
    undefined: int = 0

    @classmethod
    def of(
        cls,
        maps: Array,
        masks: Array,
        *,
        thresholds: Sequence[float] | Floats | None = None,
        connectivity: Connectivity | None = None,
        spatial_axes: int = 2,
    ) -> "MaxBoxAcc":
        """Compare maps with masks. Each component of a mask has a true box.

        Parameters
        ----------
        maps
            Real, finite maps ``(..., H, W)``; the leading axes count images.
        masks
            Boolean masks of the same shape.
        thresholds
            Increasing numbers in [0, 1]; by default 0 to 1 in steps of .01.
        connectivity
            8 if pixels that share a corner are connected, the default, 4 if only those that share a
            side are. In volumes 26 and 6.
        spatial_axes
            2 for images, 3 for volumes ``(..., D, H, W)``.

        Raises
        ------
        ArrayTypeError
            If `masks` is not boolean, or the two are not of one kind.
        ShapeError
            If the shapes differ.
        NonFiniteError
            If a value of the maps is NaN or infinite.
        SettingError
            If a setting is out of its range.
        """
        scores, truth = maps_and_truth(maps, masks)
        check_volumes(truth, check_spatial_axes(spatial_axes), "masks")
        size = truth.shape[-spatial_axes:]
        boxes = boxes_per_mask(truth, connectivity, spatial_axes)
        return cls._of(exact(scores).reshape(-1, *size), boxes, thresholds, connectivity)

    @classmethod
    def of_objects(
        cls,
        maps: Array,
        objects: Truths,
        *,
        ignore: Array | None = None,
        thresholds: Sequence[float] | Floats | None = None,
        connectivity: Connectivity | None = None,
    ) -> "MaxBoxAcc":
        """Compare maps with the boxes of objects.

        Parameters
        ----------
        maps
            Real, finite maps ``(N, H, W)``; of volumes ``(N, D, H, W)``.
        objects
            A list with the :class:`cameval.data.Objects` of each image. For one map without the
            axis N, its objects.
        ignore
            Boolean masks of the maps' shape, or one for all maps. Their pixels are not marked and
            do not affect the scaling of their map; the true boxes stay as they are.
        thresholds, connectivity
            As for `of`.

        Returns
        -------
        MaxBoxAcc
            The IoUs of the images with an object.

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

        Examples
        --------
        Two objects that touch have two boxes; their union would have one:

        >>> import numpy as np
        >>> from cameval.data import Objects
        >>> from cameval.metrics import MaxBoxAcc
        >>> objects = Objects.of_labels(np.array([[1, 1, 2, 2, 0, 0]]))
        >>> maps = np.array([[9.0, 9.0, 0.0, 0.0, 0.0, 0.0]])
        >>> MaxBoxAcc.of_objects(maps, objects).max_box_acc(0.7)
        1.0
        >>> MaxBoxAcc.of(maps, objects.union).max_box_acc(0.7)
        0.0
        """
        images, listed = pair_with_objects(exact(finite_maps(maps)), objects, "maps")
        ignored = ignored_pixels(ignore, maps, tuple(images.shape))
        return cls._of(images, [each.boxes for each in listed], thresholds, connectivity, ignored)

    @classmethod
    def of_boxes(
        cls,
        maps: Maps,
        boxes: Sequence[object],
        *,
        thresholds: Sequence[float] | Floats | None = None,
        connectivity: Connectivity | None = None,
        spatial_axes: int = 2,
    ) -> "MaxBoxAcc":
        """Compare maps with annotated boxes.

        Parameters
        ----------
        maps
            Real, finite maps ``(..., H, W)``; the leading axes count images.
        boxes
            For each image, in order, an array ``(n, 4)`` of its boxes as ``(x0, y0, x1, y1)``,
            half-open, in pixels of the map; of volumes ``(n, 6)`` as
            ``(x0, y0, z0, x1, y1, z1)``.
        thresholds, connectivity, spatial_axes
            As for `of`.

        Returns
        -------
        MaxBoxAcc
            The IoUs of the images with a box.

        Raises
        ------
        ArrayTypeError, NonFiniteError
            If maps or boxes do not hold numbers.
        ShapeError
            If there is not one array of boxes for each map.
        SettingError
            If a setting is out of its range.

        Examples
        --------
        >>> import numpy as np
        >>> import torch
        >>> from cameval.metrics import MaxBoxAcc
        >>> maps = torch.tensor([[[0.0, 2.0, 4.0, 1.0]]])
        >>> accuracy = MaxBoxAcc.of_boxes(maps, [np.array([[1, 0, 3, 1]])])
        >>> accuracy.max_box_acc(), accuracy.images
        (1.0, 1)
        """
        values = exact(finite_maps(maps))
        check_volumes(values, check_spatial_axes(spatial_axes), "maps")
        images = values.reshape(-1, *values.shape[-spatial_axes:])
        true = [check_boxes(each).cpu().numpy().astype(np.float64) for each in boxes]
        width = 2 * spatial_axes
        if len(true) != len(images) or any(each.shape[1:] != (width,) for each in true):
            raise ShapeError(
                f"boxes must hold one array (n, {width}) for each map, got "
                f"{len(true)} arrays for {len(images)} maps, of shapes "
                f"{sorted({each.shape for each in true})}"
            )
        return cls._of(images, true, thresholds, connectivity)

    @classmethod
    def _of(
        cls,
        images: Tensor,
        boxes: Sequence[NDArray[Any]],
        thresholds: Sequence[float] | Floats | None,
        connectivity: Connectivity | None,
        ignored: Sequence[Mask | None] | None = None,
    ) -> "MaxBoxAcc":
        """Compare checked maps ``(N, ...)`` with boxes."""
        grid = check_grid(thresholds)
        arrays = images.cpu().numpy()
        hits = [
            _hits(image, true.astype(np.float64), grid, connectivity, without)
            for image, true, without in zip(
                arrays, boxes, ignored or [None] * len(arrays), strict=True
            )
            if len(true)
        ]
        largest, any_box = np.array(hits).reshape(-1, 2, len(grid)).transpose(1, 0, 2)
        return cls(grid, largest, any_box, len(arrays) - len(hits))

    def __add__(self, other: "MaxBoxAcc") -> "MaxBoxAcc":
        """Combine two sets of images."""
        if not np.array_equal(self.thresholds, other.thresholds):
            raise SettingError("thresholds must be the same for both, got two different grids")
        return MaxBoxAcc(
            self.thresholds,
            np.concatenate([self.largest, other.largest]),
            np.concatenate([self.any_box, other.any_box]),
            self.undefined + other.undefined,
        )

    @property
    def images(self) -> int:
        """Number of images with a true box."""
        return len(self.largest)

    def curve(self, delta: float = 0.5, *, any_box: bool = False) -> Floats:
        """Return the share of the images with a correct box at each threshold, ``(T,)``.

        Parameters
        ----------
        delta
            Smallest IoU of a correct box, in (0, 1].
        any_box
            Whether to take the best box of all components instead of that of the largest one.

        Returns
        -------
        ndarray
            Shares in [0, 1]; NaN if no image has a true box.

        Raises
        ------
        SettingError
            If `delta` is not in (0, 1].

        Examples
        --------
        >>> import torch
        >>> from cameval.metrics import MaxBoxAcc
        >>> maps = torch.tensor([[[0.0, 2.0, 4.0, 1.0]]])
        >>> masks = torch.tensor([[[False, True, True, False]]])
        >>> MaxBoxAcc.of(maps, masks, thresholds=[0.25, 0.5, 1]).curve(0.7)  # IoU 2/3, 1 and 1/2
        array([0., 1., 0.])
        """
        if not 0 < delta <= 1:
            raise SettingError(f"delta must be in (0, 1], got {delta}")
        correct = (self.any_box if any_box else self.largest) >= delta
        return correct.mean(0) if len(correct) else np.full(len(self.thresholds), np.nan)

    def max_box_acc(self, delta: float = 0.5) -> float:
        """Return MaxBoxAcc: the accuracy at the best threshold for these images.

        Raises
        ------
        SettingError
            If `delta` is not in (0, 1].
        """
        return float(self.curve(delta).max())

    def max_box_acc_v2(self, deltas: Sequence[float] = (0.3, 0.5, 0.7)) -> float:
        """Return MaxBoxAccV2: the mean over `deltas` of the best accuracy with any box.

        Raises
        ------
        SettingError
            If one of `deltas` is not in (0, 1].

        Examples
        --------
        The largest component is beside the object, and the other one has the object's box:

        >>> import torch
        >>> from cameval.metrics import MaxBoxAcc
        >>> maps = torch.tensor([[[2.0, 2.0, 0.0, 4.0]]])
        >>> masks = torch.tensor([[[False, False, False, True]]])
        >>> accuracy = MaxBoxAcc.of(maps, masks, thresholds=[0.5])
        >>> accuracy.max_box_acc(), accuracy.max_box_acc_v2()
        (0.0, 1.0)
        """
        return float(np.mean([self.curve(delta, any_box=True).max() for delta in deltas]))

    def best_threshold(self, delta: float = 0.5, *, any_box: bool = False) -> float:
        """Return the threshold of the highest accuracy; the lowest of several, NaN without images.

        Parameters
        ----------
        delta, any_box
            As for `curve`.
        """
        if not self.images:
            return float("nan")
        return float(self.thresholds[self.curve(delta, any_box=any_box).argmax()])

    def accuracy_at(self, threshold: float, delta: float = 0.5, *, any_box: bool = False) -> float:
        """Return the accuracy at one threshold of the grid, for example one chosen on other images.

        Parameters
        ----------
        threshold
            One of `thresholds`.
        delta, any_box
            As for `curve`.

        Raises
        ------
        SettingError
            If the threshold is not in the grid.

        Examples
        --------
        >>> import torch
        >>> from cameval.metrics import MaxBoxAcc
        >>> maps = torch.tensor([[[0.0, 2.0, 4.0, 1.0]], [[0.0, 4.0, 2.0, 1.0]]])
        >>> masks = torch.tensor([[[False, True, True, False]], [[False, True, False, False]]])
        >>> validation, test = MaxBoxAcc.of(maps[:1], masks[:1]), MaxBoxAcc.of(maps[1:], masks[1:])
        >>> threshold = validation.best_threshold(0.7)
        >>> threshold, test.accuracy_at(threshold, 0.7), test.max_box_acc(0.7)
        (0.26, 0.0, 1.0)
        """
        near = np.flatnonzero(np.isclose(self.thresholds, threshold, rtol=0, atol=1e-9))
        if not len(near):
            raise SettingError(
                f"threshold must be one of the grid's {len(self.thresholds)}, got {threshold}; "
                "pass thresholds that include it to MaxBoxAcc.of"
            )
        return float(self.curve(delta, any_box=any_box)[near[0]])


def _hits(
    image: Floats,
    true: Floats,
    grid: Floats,
    connectivity: Connectivity | None,
    ignored: Mask | None = None,
) -> _Hits:
    """Return the IoU with the best true box of one map at each threshold.

    Boxes are computed only where the mask changes. Masks shrink as the threshold rises, so each is
    computed in the bounding box of the previous one, whose corner becomes the origin.
    """
    hits = _Hits(np.zeros(len(grid)), np.zeros(len(grid)))
    axes = image.ndim
    scaled = scale_kept(image, ignored)
    if scaled.max() <= 0:  # constant, or everything is ignored
        return hits
    if ignored is not None:
        scaled = np.where(ignored, -1, scaled)
    marked, best = -1, (0.0, 0.0)
    for step, threshold in enumerate(grid):
        mask = scaled >= threshold
        if (count := int(np.count_nonzero(mask))) != marked:
            marked, boxes = count, find_boxes(mask, connectivity)
            overlaps = _best_overlaps(boxes, true)
            best = overlaps[0], overlaps.max()
            corner, end = boxes[:, :axes].min(0), boxes[:, axes:].max(0)
            window = tuple(slice(*span) for span in zip(corner[::-1], end[::-1], strict=True))
            scaled, true = scaled[window], true - np.tile(corner, 2)
        hits.largest[step], hits.any_box[step] = best
    return hits


def _best_overlaps(boxes: Boxes, true: Floats) -> Floats:
    """Return the highest IoU of each box with a true box."""
    axes = boxes.shape[1] // 2
    start = np.maximum(boxes[:, None, :axes], true[:, :axes])
    stop = np.minimum(boxes[:, None, axes:], true[:, axes:])
    both = (stop - start).clip(0).prod(-1)
    areas, true_areas = ((each[:, axes:] - each[:, :axes]).prod(-1) for each in (boxes, true))
    best: Floats = (both / (areas[:, None] + true_areas - both)).max(-1)
    return best


def scale_kept(image: Floats, ignored: Mask | None) -> Floats:
    """Return one map scaled to [0, 1] by the extremes of the pixels that are not ignored.

    Ignored pixels are 0, and so is a map that is constant.
    """
    kept = image if ignored is None else image[~ignored]
    low, high = (kept.min(), kept.max()) if kept.size else (0.0, 0.0)
    if low == high:
        return np.zeros_like(image)
    scaled = (image - low) / (high - low)
    return scaled if ignored is None else np.where(ignored, 0, scaled)


def ignored_pixels(
    ignore: Array | None, maps: Array, shape: tuple[int, ...]
) -> list[Mask] | list[None]:
    """Return the ignored pixels of each map ``(N, ...)``; None if there are none."""
    if ignore is None:
        return [None] * shape[0]
    check_same_kind(ignore, maps)
    masks: Mask = as_masks(ignore, "ignore").cpu().numpy()
    if masks.shape not in (shape, shape[1:]):
        raise ShapeError(
            f"ignore and maps must have one shape, got {masks.shape} and {tuple(maps.shape)}; "
            "give one mask for each map, or one (H, W) for all"
        )
    return list(np.broadcast_to(masks, shape))


def check_grid(thresholds: Sequence[float] | Floats | None) -> Floats:
    """Return increasing thresholds in [0, 1], by default in steps of .01."""
    if thresholds is None:
        return np.arange(101) / 100
    grid = np.array(thresholds, np.float64)
    if grid.ndim != 1 or not len(grid) or not ((grid >= 0) & (grid <= 1)).all():
        raise SettingError("thresholds must be a sequence of numbers in [0, 1], got other values")
    if not (np.diff(grid) > 0).all():
        raise SettingError("thresholds must increase, got a step that does not")
    return grid


@dataclass(frozen=True, eq=False)
class PxAP:
    """Pixel average precision over all pixels of a dataset (PxAP), from histograms of the scores.

    Each map is scaled to [0, 1] by its own extremes. Bin k holds the pixels from ``k / bins`` on,
    below the next bin; the last bin holds those that are 1. Objects of disjoint images add, so a
    dataset can be read batch by batch.

    Large objects dominate pooled scores: report the mean of `pixel_average_precision` over images
    beside it. An image with an empty truth adds its false positives.

    Attributes
    ----------
    true, other
        Numbers of true and other pixels in each bin, ``(bins + 1,)``, lowest first.

    References
    ----------
    J. Choe et al., "Evaluating Weakly Supervised Object Localization Methods Right", CVPR 2020.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import PxAP
    >>> maps = torch.tensor([[[4.0, 3.0], [2.0, 1.0]], [[0.0, 9.0], [0.0, 0.0]]])
    >>> masks = torch.tensor([[[True, False], [True, False]], [[False, True], [False, False]]])
    >>> pooled = PxAP.of(maps[:1], masks[:1]) + PxAP.of(maps[1:], masks[1:])
    >>> pooled.average_precision
    0.9166666666666666
    """

    true: NDArray[np.int64]
    other: NDArray[np.int64]

    @classmethod
    def of(
        cls, maps: Array, target: Array, /, ignore: Array | None = None, bins: int = 1000
    ) -> "PxAP":
        """Count the pixels of maps.

        Parameters
        ----------
        maps
            Real, finite maps ``(..., H, W)``.
        target
            Boolean masks of the same shape.
        ignore
            Boolean masks of the same shape: pixels that are not counted. They still affect the
            scaling of their map.
        bins
            Number of bins from 0 to 1.

        Raises
        ------
        ArrayTypeError
            If a mask is not boolean, or the arrays are not of one kind.
        ShapeError
            If the shapes differ.
        NonFiniteError
            If a value of the maps is NaN or infinite.
        SettingError
            If `bins` is not a positive integer.
        """
        check_count("bins", bins)
        scores, truth = maps_and_truth(maps, target)
        counted = ~_check_ignored(ignore, maps, truth)
        levels = (normalize_maps(exact(scores)) * bins).to(torch.int64)
        codes = (2 * levels + truth)[counted]
        both = torch.bincount(codes, minlength=2 * (bins + 1)).cpu().numpy()
        return cls(both[1::2], both[::2])

    @classmethod
    def of_objects(
        cls, maps: Array, objects: Truths, /, ignore: Array | None = None, bins: int = 1000
    ) -> "PxAP":
        """Count the pixels of maps; the pixels of any object are true.

        Parameters
        ----------
        maps
            Real, finite maps ``(N, H, W)``. Volumes ``(N, D, H, W)`` are scaled as a whole.
        objects
            A list with the :class:`cameval.data.Objects` of each image. For one map without the
            axis N, its objects.
        ignore, bins
            As for `of`.

        Raises
        ------
        ArrayTypeError, ShapeError, NonFiniteError, SettingError
            As for `of`, and if there are not objects of the maps' shape for each map.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval.data import Objects
        >>> from cameval.metrics import PxAP
        >>> objects = Objects((1, 4), np.array([[0, 0, 1, 1], [2, 0, 3, 1]]))  # pixels 0 and 2
        >>> pooled = PxAP.of_objects(np.array([[4.0, 1.0, 3.0, 2.0]]), objects)
        >>> int(pooled.true.sum()), int(pooled.other.sum()), pooled.average_precision
        (2, 2, 1.0)
        """
        images, listed = pair_with_objects(finite_maps(maps), objects, "maps")
        size = images.shape[1:]
        unions = np.array([each.union for each in listed], np.bool_).reshape(images.shape)
        truth = torch.from_numpy(unions).to(images.device)
        rows = (len(images), size[:-1].numel(), size[-1])  # a volume is one image
        without = None if ignore is None else ignore.reshape(rows)
        values, true = (restore(each.reshape(rows), maps) for each in (images, truth))
        return cls.of(values, true, ignore=without, bins=bins)

    def __add__(self, other: "PxAP") -> "PxAP":
        """Add the counts of disjoint images."""
        if self.true.shape != other.true.shape:
            raise SettingError(
                f"bins must be the same for both, got {self.true.size - 1} and "
                f"{other.true.size - 1}"
            )
        return PxAP(self.true + other.true, self.other + other.other)

    @property
    def average_precision(self) -> float:
        """PxAP: the sum over thresholds of precision times the gain in recall, in [0, 1].

        NaN if no pixel is true.
        """
        gained, hits = self.true[::-1], self.true[::-1].cumsum()
        marked = hits + self.other[::-1].cumsum()
        if not hits[-1]:
            return float("nan")
        return float((gained * (hits / np.maximum(marked, 1))).sum() / hits[-1])


def _check_ignored(ignore: Array | None, maps: Array, truth: Tensor) -> Tensor:
    if ignore is None:
        return torch.zeros_like(truth)
    check_same_kind(ignore, maps)
    ignored = as_masks(ignore, "ignore")
    if ignored.shape != truth.shape:
        raise ShapeError(
            f"ignore and maps must have one shape, got {tuple(ignored.shape)} and "
            f"{tuple(truth.shape)}"
        )
    return ignored


def check_same_kind(ignore: object, maps: object) -> None:
    """Check that both are NumPy arrays, or both torch tensors."""
    if isinstance(ignore, Tensor) != isinstance(maps, Tensor):
        raise ArrayTypeError(
            "ignore and maps must both be NumPy arrays or both torch tensors, "
            f"got {type(ignore).__name__} and {type(maps).__name__}"
        )

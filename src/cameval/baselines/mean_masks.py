"""Mean masks of other images, by class: baselines that learn the usual position."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from cameval._arrays import Array, array_sum, as_masks, as_scores, as_tensor, checksum, exact
from cameval.baselines._pooling import check_axes, check_cells, pool
from cameval.baselines.properties import Knowledge, Pattern
from cameval.data import Sample
from cameval.errors import ArrayTypeError, ClassIndexError, DataError, ShapeError
from cameval.maps import upsample
from cameval.protocols import BaselineInput

__all__ = ["ClassMeanBaseline", "LeaveGroupOutBaseline", "class_mean_masks"]

Truth = Callable[[Sample], Tensor]
"""Function from a sample to its true mask on the part of the image that is scored."""


@dataclass(frozen=True, eq=False)
class ClassMeanBaseline:
    """Baseline that uses labels or predictions: the mean mask of the target class in training.

    It knows the target class (``knows`` is ``"labels"``), which may be the true label. It does not
    see the image, and is not a blind baseline.

    Parameters
    ----------
    masks
        One map for each class, ``(C, h, w)``, or ``(C, d, h, w)`` of volumes, as `class_mean_masks`
        or :meth:`of` return them. They are resized to the grid of the scores (linear, cells fill
        the image evenly).
    sources
        Checksums of the images whose masks they are of, as :meth:`of` notes them. An evaluation of
        one of these images is refused.

    Raises
    ------
    ArrayTypeError
        If `masks` are not a floating tensor.
    ShapeError
        If `masks` are neither ``(C, h, w)`` nor ``(C, d, h, w)``.

    Examples
    --------
    >>> import torch
    >>> from cameval.baselines import ClassMeanBaseline
    >>> from cameval.protocols import BaselineInput
    >>> baseline = ClassMeanBaseline(torch.tensor([[[1.0, 0.5]], [[0.0, 1.0]]]))
    >>> batch = BaselineInput(
    ...     [], torch.zeros(2, 3, 1, 2), torch.zeros(2, 1, 2).bool(), torch.tensor([1, 0]), (1, 1)
    ... )
    >>> baseline(batch)
    tensor([[[0.0000, 1.0000]],
    <BLANKLINE>
            [[1.0000, 0.5000]]])
    """

    label: ClassVar[str] = "class_mean"
    knows: ClassVar[Knowledge] = "labels"
    pattern: ClassVar[Pattern] = "mean"

    masks: Tensor = field(repr=False)
    sources: frozenset[int] = field(default=frozenset(), repr=False)
    checksum: str = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.masks, Tensor) or not self.masks.is_floating_point():
            came = self.masks.dtype if isinstance(self.masks, Tensor) else type(self.masks).__name__
            raise ArrayTypeError(f"masks must be a floating torch tensor of mean masks, got {came}")
        if self.masks.ndim not in (3, 4) or 0 in self.masks.shape:
            raise ShapeError(
                "masks must have shape (C, h, w), or (C, d, h, w) of volumes, "
                f"got {tuple(self.masks.shape)}"
            )
        object.__setattr__(self, "checksum", checksum(self.masks))

    @classmethod
    def of(
        cls,
        samples: Iterable[Sample],
        num_classes: int,
        size: tuple[int, ...] | None = None,
        *,
        truth: Truth | None = None,
    ) -> "ClassMeanBaseline":
        """Compute the mean masks of training samples, one sample in memory at a time.

        Parameters
        ----------
        samples
            The training images. They must not include images that are scored. A sample with several
            targets counts once for each.
        num_classes
            Number of classes C. Each class must have a target.
        size
            Grid of the means; masks are pooled to it. By default 64 cells along each axis.
        truth
            Function from a sample with one target to its mask on the part of the image that is
            scored, by default the whole mask. If the preparation crops,
            ``lambda sample: preparation(sample).truth``.

        Returns
        -------
        ClassMeanBaseline
            A baseline with maps in [0, 1].

        Raises
        ------
        ClassIndexError
            If a label is not in [0, num_classes).
        DataError
            If a class has no target, or a target no label.

        Examples
        --------
        >>> import numpy as np
        >>> from cameval import Sample
        >>> from cameval.baselines import ClassMeanBaseline
        >>> image = np.zeros((1, 2), np.float32)
        >>> samples = [
        ...     Sample("a", image, np.array([[True, False]]), label=0),
        ...     Sample("b", image, np.array([[True, True]]), label=0),
        ... ]
        >>> ClassMeanBaseline.of(samples, num_classes=1, size=(1, 2)).masks
        tensor([[[1.0000, 0.5000]]])
        """
        sums: list[Tensor | None] = [None] * num_classes
        counts, sources = [0] * num_classes, set()
        for sample in _targets(samples):
            if sample.label is None:
                raise DataError(
                    f"every sample must have a label, got none of {sample.name!r}; "
                    "leave it out, or use LeaveGroupOutBaseline, which needs no labels"
                )
            if sample.label >= num_classes:
                raise ClassIndexError(
                    f"labels must be in [0, {num_classes}), "
                    f"got {sample.label} of sample {sample.name!r}"
                )
            shares = pool_mask(sample, size, truth, cells=64)
            size = tuple(shares.shape)
            known = sums[sample.label]
            sums[sample.label] = shares if known is None else known + shares
            counts[sample.label] += 1
            sources.add(array_sum(sample.image))
        if missing := [label for label, count in enumerate(counts) if count == 0]:
            raise DataError(f"every class must have a mask, got none of {missing}")
        means = [one / n for one, n in zip(sums, counts, strict=True) if one is not None]
        return cls(torch.stack(means).to(torch.float32), frozenset(sources))

    def __call__(self, batch: BaselineInput, /) -> Tensor:
        """Return maps ``(N, H, W)``, chosen by ``batch.classes``."""
        classes = batch.classes.to(self.masks.device)
        if outside := sorted({c for c in classes.tolist() if not 0 <= c < len(self.masks)}):
            raise ClassIndexError(
                f"target classes must be in [0, {len(self.masks)}), the classes of the mean "
                f"masks, got {outside}"
            )
        return to_grid(self.masks[classes], batch)


def class_mean_masks(masks: Array, labels: Array, num_classes: int) -> Array:
    """Return the mean mask of each class, a baseline for images of the class.

    Use the masks of the training images only.

    Parameters
    ----------
    masks
        Boolean masks ``(N, H, W)``, or of volumes ``(N, D, H, W)``.
    labels
        The class of each mask, integers ``(N,)`` in [0, num_classes).
    num_classes
        Number of classes C.

    Returns
    -------
    Array
        Maps ``(C, H, W)``, or ``(C, D, H, W)``, in [0, 1]: the frequency with which each pixel is
        true in a class.

    Raises
    ------
    ArrayTypeError
        If `masks` are not boolean or `labels` not integers.
    ShapeError
        If there is not one label for each mask.
    ClassIndexError
        If a label is not in [0, num_classes).
    DataError
        If a class has no mask.

    Examples
    --------
    >>> import torch
    >>> from cameval.baselines import class_mean_masks
    >>> masks = torch.tensor([[[True, False]], [[True, True]], [[False, True]]])
    >>> class_mean_masks(masks, torch.tensor([0, 0, 1]), 2)
    tensor([[[1.0000, 0.5000]],
    <BLANKLINE>
            [[0.0000, 1.0000]]])
    """
    truth, classes = as_masks(masks, "masks"), as_tensor(labels, "labels")
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise ArrayTypeError(f"labels must be integers, got {classes.dtype}")
    if truth.ndim not in (3, 4) or classes.shape != truth.shape[:1]:
        raise ShapeError(
            "masks and labels must have shapes (N, H, W), or (N, D, H, W), and (N,), "
            f"got {tuple(truth.shape)} and {tuple(classes.shape)}"
        )
    present = set(classes.tolist())
    if strange := present - set(range(num_classes)):
        raise ClassIndexError(f"labels must be in [0, {num_classes}), got {sorted(strange)}")
    if missing := set(range(num_classes)) - present:
        raise DataError(f"every class must have a mask, got none of {sorted(missing)}")
    classes = classes.to(truth.device)
    means = [exact(truth[classes == c].view(torch.uint8)).mean(0) for c in range(num_classes)]
    return as_scores(torch.stack(means), masks)


def _targets(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Yield a sample for each target of each sample."""
    for sample in samples:
        yield from sample.by_target()


def pool_mask(
    sample: Sample, size: tuple[int, ...] | None, truth: Truth | None, cells: int
) -> Tensor:
    """Return the share of each cell of a grid that is true; by default `cells` along each axis."""
    mask = as_masks(sample.mask if truth is None else truth(sample), "truth")
    grid = (cells,) * mask.ndim if size is None else size
    return pool(mask.cpu(), check_cells(grid, "size", mask.ndim))


def to_grid(means: Tensor, batch: BaselineInput) -> Tensor:
    """Upsample one mean mask for each sample to the grid of the scores."""
    check_axes(means, batch.truth, "mean masks")
    return upsample(means.to(batch.truth.device), tuple(batch.truth.shape[1:]))


_QUANTUM = 4096
"""Shares of a cell are stored as multiples of the inverse of this number. So sums are exact, and a
group can be subtracted without a rounding error, which would change rankings."""


@dataclass(frozen=True, eq=False)
class _Sum:
    """The sum of masks, in multiples of ``1 / _QUANTUM``, and their number."""

    parts: Tensor
    count: int

    def __add__(self, other: "_Sum") -> "_Sum":
        return _Sum(self.parts + other.parts, self.count + other.count)

    def __sub__(self, other: "_Sum") -> "_Sum":
        return _Sum(self.parts - other.parts, self.count - other.count)

    @property
    def mean(self) -> Tensor:
        """The mean mask, in [0, 1]."""
        return (self.parts.to(torch.float64) / (_QUANTUM * self.count)).to(torch.float32)


@dataclass(frozen=True, eq=False)
class LeaveGroupOutBaseline:
    """Blind baseline: the mean mask of the samples of other groups, for data without training part.

    The map of a target does not use its mask, or any other mask of its group (patient). Create it
    with :meth:`of`.

    Parameters
    ----------
    sums
        The sums of masks for each group and class. The class is None for samples without a label.
    by_class
        Whether to use the masks of the target class only. A class without a mask in other groups
        gets the mean over all classes.

    Examples
    --------
    The map of a sample is the mean mask of the other patients:

    >>> import numpy as np
    >>> import torch
    >>> from cameval import Sample
    >>> from cameval.baselines import LeaveGroupOutBaseline
    >>> from cameval.protocols import BaselineInput
    >>> image = np.zeros((1, 2), np.float32)
    >>> samples = [
    ...     Sample("a", image, np.array([[True, False]]), group="patient 1"),
    ...     Sample("b", image, np.array([[False, True]]), group="patient 2"),
    ...     Sample("c", image, np.array([[True, True]]), group="patient 3"),
    ... ]
    >>> baseline = LeaveGroupOutBaseline.of(samples, size=(1, 2))
    >>> truth = torch.zeros(1, 1, 2).bool()
    >>> baseline(BaselineInput(samples[:1], truth[None].float(), truth, torch.tensor([0]), (1, 1)))
    tensor([[[0.5000, 1.0000]]])
    >>> baseline.knows, baseline.groups, baseline.samples
    ('nothing', 3, 3)
    """

    label: ClassVar[str] = "mean_mask"
    pattern: ClassVar[Pattern] = "mean"

    sums: Mapping[str, Mapping[int | None, _Sum]] = field(repr=False)
    by_class: bool = False
    groups: int = field(init=False)
    samples: int = field(init=False)
    checksum: str = field(init=False)
    _totals: Mapping[int | None, _Sum] = field(init=False, repr=False)
    _total: _Sum = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.sums) < 2:
            raise DataError(
                f"samples must be of at least two groups, got {len(self.sums)}; "
                "a mean mask of other groups does not exist"
            )
        totals: dict[int | None, _Sum] = {}
        for of_group in self.sums.values():
            for label, one in of_group.items():
                wide = _Sum(one.parts.to(torch.int64), one.count)
                totals[label] = totals[label] + wide if label in totals else wide
        total = _sum(totals.values())
        digits = checksum(*(totals[label].parts for label in sorted(totals, key=_sort_key)))
        settings = {"_totals": totals, "_total": total, "samples": total.count, "checksum": digits}
        for name, value in (settings | {"groups": len(self.sums)}).items():
            object.__setattr__(self, name, value)

    @property
    def knows(self) -> Knowledge:
        """``"labels"`` if the mean is that of the target class, else ``"nothing"``."""
        return "labels" if self.by_class else "nothing"

    @classmethod
    def of(
        cls,
        samples: Iterable[Sample],
        size: tuple[int, ...] | None = None,
        *,
        by_class: bool = False,
        truth: Truth | None = None,
    ) -> "LeaveGroupOutBaseline":
        """Compute the sums of masks, one sample in memory at a time.

        Parameters
        ----------
        samples
            The samples that are scored, or any others. Each of several targets counts with its
            label.
        size
            Grid of the sums; masks are pooled to it. By default 32 cells along each axis. Sums take
            4 bytes for each cell, group and class: 4 KiB for each group and class of images by
            default, 128 KiB of volumes.
        by_class
            As for `LeaveGroupOutBaseline`.
        truth
            Function from a sample with one target to its mask on the part of the image that is
            scored, by default the whole mask. If the preparation crops,
            ``lambda sample: preparation(sample).truth``.

        Returns
        -------
        LeaveGroupOutBaseline
            A baseline with maps in [0, 1].

        Raises
        ------
        DataError
            If there are fewer than two groups.
        """
        sums: dict[str, dict[int | None, _Sum]] = defaultdict(dict)
        for sample in _targets(samples):
            shares = pool_mask(sample, size, truth, cells=32)
            size = tuple(shares.shape)
            one = _Sum((shares * _QUANTUM).round().to(torch.int32), 1)
            of_group = sums[sample.group]
            known = of_group.get(sample.label)
            of_group[sample.label] = one if known is None else known + one
        return cls(dict(sums), by_class)

    def __call__(self, batch: BaselineInput, /) -> Tensor:
        """Return maps ``(N, H, W)``. A sample of an unknown group gets the mean of all groups."""
        pairs = zip(batch.samples, batch.classes.tolist(), strict=True)
        return to_grid(torch.stack([self._mean(sample.group, c) for sample, c in pairs]), batch)

    def _mean(self, group: str, label: int) -> Tensor:
        own = self.sums.get(group, {})
        if self.by_class and label in self._totals:
            others = self._totals[label]
            others = others - own[label] if label in own else others
            if others.count:
                return others.mean
        return (self._total - _sum(own.values()) if own else self._total).mean


def _sort_key(label: int | None) -> int:
    """Sort None before all labels."""
    return -1 if label is None else label


def _sum(sums: Iterable[_Sum]) -> _Sum:
    first, *rest = sums
    return sum(rest, first)

"""Mean masks: where objects of a class usually are, learned from the training masks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from cameval.arrays import Array, as_masks, as_scores, as_tensor, exact
from cameval.baselines.batch import Batch, Knows
from cameval.baselines.checksum import checksum
from cameval.baselines.pooling import pair, pool
from cameval.data import Sample
from cameval.errors import ArrayTypeError, ClassIndexError, DataError, ShapeError
from cameval.maps import upsample

__all__ = ["ClassMeanPrior", "Truth", "class_mean_masks", "pool_mask", "to_grid"]

Truth = Callable[[Sample], Tensor]
"""From a sample to its true mask on the part of the image that is scored."""


@dataclass(frozen=True, eq=False)
class ClassMeanPrior:
    """A blind map: the mean mask of the class that is explained, over the training images.

    It knows the class that each map explains (``knows`` is ``"labels"``), which may be the true
    label, and nothing else of the image.

    Parameters
    ----------
    masks
        One map for each class, ``(C, h, w)``, as `class_mean_masks` or :meth:`of` give them. They
        are resized to the grid of the scores (bilinear, cells fill the image evenly).

    Raises
    ------
    ArrayTypeError
        If `masks` are not a floating tensor.
    ShapeError
        If `masks` are not ``(C, h, w)``.
    """

    knows: ClassVar[Knows] = "labels"

    masks: Tensor = field(repr=False)
    checksum: str = field(init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.masks, Tensor) or not self.masks.is_floating_point():
            came = self.masks.dtype if isinstance(self.masks, Tensor) else type(self.masks).__name__
            raise ArrayTypeError(f"masks must be a floating torch tensor of mean masks, got {came}")
        if self.masks.ndim != 3 or 0 in self.masks.shape:
            raise ShapeError(f"masks must have shape (C, h, w), got {tuple(self.masks.shape)}")
        object.__setattr__(self, "checksum", checksum(self.masks))

    @classmethod
    def of(
        cls,
        samples: Iterable[Sample],
        num_classes: int,
        size: tuple[int, int] = (64, 64),
        *,
        truth: Truth | None = None,
    ) -> "ClassMeanPrior":
        """Learn the mean masks of training samples, one sample in memory at a time.

        Parameters
        ----------
        samples
            The training images, and none of those that are scored.
        num_classes
            Number of classes C; every one must have a sample.
        size
            Grid on which means are kept; masks are pooled to it.
        truth
            From a sample to its mask on the part of the image that is scored, by default the whole
            mask. Where a preparation crops, ``lambda sample: preparation(sample)[1]``.

        Returns
        -------
        ClassMeanPrior
            Its maps are in [0, 1].

        Raises
        ------
        ClassIndexError
            If a label is not in [0, num_classes).
        DataError
            If a class has no sample, or a sample no label.
        """
        grid = pair(size, "size")
        sums = torch.zeros(num_classes, *grid, dtype=torch.float64)
        counts = torch.zeros(num_classes, 1, 1, dtype=torch.float64)
        for sample in samples:
            if sample.label is None:
                raise DataError(
                    f"every sample must have a label, got none of {sample.name!r}; "
                    "leave it out, or take LeaveGroupOutPrior, which needs no labels"
                )
            if sample.label >= num_classes:
                raise ClassIndexError(
                    f"labels must be in [0, {num_classes}), "
                    f"got {sample.label} of sample {sample.name!r}"
                )
            sums[sample.label] += pool_mask(sample, grid, truth)
            counts[sample.label] += 1
        if missing := (counts.flatten() == 0).nonzero().flatten().tolist():
            raise DataError(f"every class must have a mask, got none of {missing}")
        return cls((sums / counts).to(torch.float32))

    def __call__(self, batch: Batch, /) -> Tensor:
        """Return maps ``(N, H, W)``, chosen by ``batch.classes``."""
        classes = batch.classes.to(self.masks.device)
        if outside := sorted({c for c in classes.tolist() if not 0 <= c < len(self.masks)}):
            raise ClassIndexError(
                f"explained classes must be in [0, {len(self.masks)}), the classes of the mean "
                f"masks, got {outside}"
            )
        return to_grid(self.masks[classes], batch)


def class_mean_masks(masks: Array, labels: Array, num_classes: int) -> Array:
    """Return the mean mask of each class, to be used as a blind map for its images.

    Take the masks of the training images only.

    Parameters
    ----------
    masks
        Boolean masks ``(N, H, W)``.
    labels
        The class of each, integers ``(N,)`` in [0, num_classes).
    num_classes
        Number of classes C.

    Returns
    -------
    Array
        Maps ``(C, H, W)`` in [0, 1]: how often each pixel is true in a class.

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
    >>> masks = torch.tensor([[[True, False]], [[True, True]], [[False, True]]])
    >>> class_mean_masks(masks, torch.tensor([0, 0, 1]), 2)
    tensor([[[1.0000, 0.5000]],
    <BLANKLINE>
            [[0.0000, 1.0000]]])
    """
    truth, classes = as_masks(masks, "masks"), as_tensor(labels, "labels")
    if classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool:
        raise ArrayTypeError(f"labels must be integers, got {classes.dtype}")
    if truth.ndim != 3 or classes.shape != truth.shape[:1]:
        raise ShapeError(
            "masks and labels must have shapes (N, H, W) and (N,), "
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


def pool_mask(sample: Sample, size: tuple[int, int], truth: Truth | None) -> Tensor:
    """Return the share of each cell of a grid that is true."""
    mask = as_masks(sample.mask if truth is None else truth(sample), "truth")
    return pool(mask.cpu(), size)


def to_grid(means: Tensor, batch: Batch) -> Tensor:
    """Upsample one mean mask for each sample to the grid of the scores."""
    return upsample(means.to(batch.truth.device), tuple(batch.truth.shape[1:]))

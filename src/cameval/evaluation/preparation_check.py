"""Whether a function of the user's that prepares samples shows image and mask at the same place."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from cameval._checks import warn_user
from cameval.data import Sample, Target
from cameval.evaluation.preparation import Preparation, Prepare, Prepared

__all__ = ["PreparationWarning"]

RECORD = "overlap_of_preparation"
"""Where the record of a run has it."""

_LEAST = 0.85

_BOX = ((1 / 8, 5 / 8), (1 / 4, 7 / 8))
"""From where to where the box goes, as parts of rows and columns."""


class PreparationWarning(UserWarning):
    """A function that prepares samples shows image and mask at different places.

    The function is tried once, on the first sample, whose image and mask are replaced by the same
    box. Their IoU must be at least .85 after it, where the image is brighter or darker than the
    middle of its range. A crop, a flip or a rotation must be made of the image and of the mask, as
    :class:`~cameval.Preparation` does; padding is told by the window of
    :class:`~cameval.evaluation.Prepared`.

    A function that fails on this sample, or does not use its image and mask, is not judged.
    """


@dataclass(frozen=True)
class PreparationOverlap:
    """The IoU of a box in the image with the same box in the mask, after a preparation.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from cameval import Sample
    >>> from cameval.evaluation.preparation_check import PreparationOverlap
    >>> def flips(sample):
    ...     image = torch.from_numpy(sample.image).flip(-1)
    ...     return image[None].expand(3, -1, -1), torch.from_numpy(sample.mask)
    >>> sample = Sample("a", np.zeros((32, 32), np.float32), np.zeros((32, 32), bool))
    >>> overlap = PreparationOverlap.of(flips, sample)
    >>> round(overlap.iou, 2), overlap.is_low
    (0.67, True)
    """

    iou: float | None = None

    @classmethod
    def of(cls, prepare: Prepare, sample: Sample) -> "PreparationOverlap":
        """Try a preparation on a sample with one target; nothing is known of some."""
        if type(prepare) is Preparation:
            return cls()
        with suppress(Exception):  # what fails on a box alone is no mistake
            box = _box(sample.mask.shape)
            boxed, no_image, no_mask = (
                _prepared(prepare, sample, *pair)
                for pair in ((box, box), (np.zeros_like(box), box), (box, ~box))
            )
            used = not torch.equal(boxed.image, no_image.image)
            if used and not torch.equal(boxed.truth, no_mask.truth):
                return cls(_overlap(boxed))
        return cls()

    @classmethod
    def of_run(cls, run: Mapping[str, Any]) -> "PreparationOverlap":
        """Return what the record of a run has."""
        found = run.get(RECORD)
        return cls(float(found) if isinstance(found, int | float) else None)

    def to_record(self) -> dict[str, Any]:
        """Return what the record of a run has of it; nothing if it is not known."""
        return {} if self.iou is None else {RECORD: self.iou}

    @property
    def is_low(self) -> bool:
        """Whether image and mask are at different places."""
        return self.iou is not None and self.iou < _LEAST


def warn_of_preparation(run: Mapping[str, Any]) -> None:
    """Warn if the preparation of a run shows image and mask at different places."""
    overlap = PreparationOverlap.of_run(run)
    if overlap.is_low:
        warn_user(
            "prepare must show the same part of image and mask, got a function after which a box "
            f"in both has an IoU of {overlap.iou:.2f}; crop, flip and turn the mask with the "
            "image, or use cameval.Preparation",
            PreparationWarning,
        )


def _box(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return a box of a mask's shape; of a volume it goes through all slices."""
    box = np.zeros(shape, bool)
    rows, columns = (
        slice(round(low * size), round(high * size))
        for (low, high), size in zip(_BOX, shape[-2:], strict=True)
    )
    box[..., rows, columns] = True
    return box


def _prepared(
    prepare: Prepare, sample: Sample, shown: NDArray[np.bool_], mask: NDArray[np.bool_]
) -> Prepared:
    """Prepare a sample with another image and mask."""
    axes = sample.image.ndim - shown.ndim  # of the channels
    image = np.broadcast_to(shown.reshape(shown.shape + (1,) * axes), sample.image.shape)
    made = Sample(
        sample.name,
        np.array(image, dtype=np.float32),
        targets=[Target(sample.targets[0].label, mask)],
        group=sample.group,
        info=sample.info,
        ignore=sample.ignore,
        spacing=sample.spacing,
    )
    found = prepare(made)
    return found if isinstance(found, Prepared) else Prepared(*found)


def _overlap(prepared: Prepared) -> float:
    """Return the IoU of the part of the image that is above, or below, the middle of its range."""
    image = prepared.image.double().mean(0)
    if prepared.window is not None:
        image = image[tuple(slice(*ends) for ends in prepared.window)]
    truth = _resized(prepared.truth, image.shape)
    above = image > (image.min() + image.max()) / 2
    return max(_iou(above, truth), _iou(~above, truth))


def _resized(mask: Tensor, shape: torch.Size) -> Tensor:
    return interpolate(mask[None, None].double(), tuple(shape), mode="nearest-exact")[0, 0] > 0.5


def _iou(one: Tensor, other: Tensor) -> float:
    return float((one & other).sum() / max(1, int((one | other).sum())))

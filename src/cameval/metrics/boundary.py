"""Boundary IoU: overlap of the borders of two masks."""

from dataclasses import dataclass
from math import hypot
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pad

from cameval._arrays import Array, mask_pair, restore
from cameval._memo import memoized
from cameval.errors import SettingError
from cameval.metrics.overlap import iou
from cameval.metrics.properties import Takes

__all__ = ["BoundaryIoU"]


@dataclass(frozen=True)
class BoundaryIoU:
    """IoU of the bands along the inside of both borders (boundary IoU).

    The band of a mask consists of its pixels with background within d pixels in chessboard distance
    (the mask minus d erosions by a square of 3 x 3). The outside of the image is background. The
    width d is `width` times the image's diagonal, rounded to whole pixels, at least 1. For masks no
    wider than twice d the bands are the masks, and the score is the `iou`. Slices of a volume are
    scored one by one.

    Parameters
    ----------
    width
        Width of the band as a share of the image's diagonal, in (0, 1]. The paper's is .02: 6
        pixels of a 224 x 224 image.

    Raises
    ------
    SettingError
        If `width` is not in (0, 1].

    References
    ----------
    B. Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation", CVPR
    2021, as in the released code; the text has Euclidean bands.

    Examples
    --------
    >>> pred, target = torch.zeros(2, 9, 9, dtype=torch.bool)
    >>> pred[1:8, 1:8] = target[1:8, 1:7] = True
    >>> iou(pred, target), BoundaryIoU()(pred, target)
    (tensor(0.8571), tensor(0.5862))
    """

    label: ClassVar[str] = "boundary_iou"
    takes: ClassVar[Takes] = "masks"
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)

    width: float = 0.02

    def __post_init__(self) -> None:
        if not 0 < self.width <= 1:
            raise SettingError(f"width must be in (0, 1], got {self.width}")

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
        pair = mask_pair(pred, target)
        pixels = max(1, round(self.width * hypot(*pair[0].shape[-2:])))
        predicted, true = (_band(masks, pixels) for masks in pair)
        return iou(restore(predicted, pred), restore(true, pred))


@memoized
def _band(masks: Tensor, pixels: int) -> Tensor:
    """Return the pixels that have background within a square of ``2 * pixels + 1`` around them."""
    side = 2 * pixels + 1
    background = pad((~masks).int(), (pixels + 1, pixels) * 2, value=1)
    for axis in (-2, -1):  # the sum over a window is the difference of two running sums
        total = background.cumsum(axis, dtype=torch.int32)
        steps = total.shape[axis] - side
        background = total.narrow(axis, side, steps) - total.narrow(axis, 0, steps)
    return masks & (background > 0)

"""How far the middle of a predicted mask lies from the middle of the true one.

Lengths are in the unit of `spacing`, the distance between neighboring pixels: one number, or one
between rows and one between columns. With ``spacing=0.49`` of an image with pixels of 0.49 mm they
are in mm; with 1 they are in pixels. Edge cases follow the one policy of `cameval.metrics.policy`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot, isfinite, pi
from numbers import Real
from typing import TypeAlias

import torch
from torch import Tensor

from cameval.arrays import Array, as_scores, exact, mask_pair
from cameval.errors import SettingError
from cameval.metrics.policy import undefined_without_truth

__all__ = [
    "CentroidDistance",
    "Length",
    "Spacing",
    "equivalent_radius",
    "image_diagonal",
    "pixel_size",
]

Spacing: TypeAlias = float | tuple[float, float]
"""Distance between pixels; of two numbers the first is between rows, the second between columns."""

Length: TypeAlias = Callable[[Tensor, Spacing], Tensor]
"""From true masks ``(..., H, W)`` and a spacing to one length for each image ``(...)``."""


def image_diagonal(target: Tensor, spacing: Spacing = 1.0) -> Tensor:
    """Diagonal of the image, ``hypot(H * rows, W * columns)``.

    Parameters
    ----------
    target
        Masks ``(..., H, W)``, a torch tensor; only the shape matters.
    spacing
        Distance between pixels.

    Returns
    -------
    Tensor
        The same length for each image, shape ``(...)``.

    Examples
    --------
    >>> image_diagonal(torch.zeros(2, 30, 40, dtype=torch.bool))
    tensor([50., 50.], dtype=torch.float64)
    """
    rows, columns = pixel_size(spacing)
    height, width = target.shape[-2:]
    return torch.full_like(exact(target[..., 0, 0]), hypot(height * rows, width * columns))


def equivalent_radius(target: Tensor, spacing: Spacing = 1.0) -> Tensor:
    """Radius of the disk that has the truth's area, ``sqrt(area / pi)``.

    Parameters
    ----------
    target
        Boolean masks ``(..., H, W)``, a torch tensor.
    spacing
        Distance between pixels.

    Returns
    -------
    Tensor
        One length for each image, shape ``(...)``; 0 for an empty mask.

    Examples
    --------
    >>> equivalent_radius(torch.ones(10, 10, dtype=torch.bool), spacing=0.5)
    tensor(2.8209, dtype=torch.float64)
    """
    rows, columns = pixel_size(spacing)
    return (exact(target.sum((-2, -1))) * (rows * columns / pi)).sqrt()


@dataclass(frozen=True)
class CentroidDistance:
    """Distance between the centroids of the predicted and the true mask; lower is better.

    The centroid is the mean position of all pixels of a mask, of whatever number of components.

    Parameters
    ----------
    spacing
        Distance between pixels, of rows and columns if two numbers are given.
    relative_to
        A length to divide by, such as `equivalent_radius` (1 is then about a radius beside the
        middle of the truth) or `image_diagonal`. By default the distance is in the unit of
        `spacing`.
    penalize_empty
        Give an empty prediction the diagonal of the image, divided as the distances are, instead
        of NaN.

    Raises
    ------
    SettingError
        If `spacing` is not one or two positive numbers, or `relative_to` is no function.

    Examples
    --------
    >>> pred, target = torch.zeros(2, 4, 8, dtype=torch.bool)
    >>> pred[1, 1] = target[1, 4] = target[1, 6] = True
    >>> CentroidDistance()(pred, target), CentroidDistance(spacing=(1, 0.5))(pred, target)
    (tensor(4.), tensor(2.))
    >>> from cameval.metrics.centroid import equivalent_radius
    >>> CentroidDistance(relative_to=equivalent_radius)(pred, target)
    tensor(5.0133)
    """

    spacing: Spacing = 1.0
    relative_to: Length | None = None
    penalize_empty: bool = False

    def __post_init__(self) -> None:
        pixel_size(self.spacing)
        if not (self.relative_to is None or callable(self.relative_to)):
            raise SettingError(
                "relative_to must be None or a function of masks and spacing, "
                f"got {self.relative_to!r}; for example equivalent_radius"
            )

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
        found, true = mask_pair(pred, target)
        apart = _centroid(found, self.spacing) - _centroid(true, self.spacing)
        distance = torch.hypot(*apart.unbind(-1))
        if self.penalize_empty:
            some = found.any(-1).any(-1)
            distance = distance.where(some, image_diagonal(true, self.spacing))
        if self.relative_to is not None:
            distance = distance / self.relative_to(true, self.spacing)
        return as_scores(undefined_without_truth(distance, true.any(-1).any(-1)), pred)


def pixel_size(spacing: Spacing) -> tuple[float, float]:
    """Check a spacing and return it between rows and between columns."""
    match spacing:
        case (Real(), Real()):
            rows, columns = map(float, spacing)
        case Real():
            rows = columns = float(spacing)
        case _:
            rows = columns = float("nan")
    if not all(isfinite(each) and each > 0 for each in (rows, columns)):
        raise SettingError(
            "spacing must be a positive number, or two of them for rows and columns, "
            f"got {spacing!r}"
        )
    return rows, columns


def _centroid(masks: Tensor, spacing: Spacing) -> Tensor:
    """Return the mean row and column of the marked pixels, ``(..., 2)``; NaN if there is none."""
    height, width = masks.shape[-2:]
    pixels = exact(masks.sum((-2, -1)))
    by_row, by_column = exact(masks.sum(-1)), exact(masks.sum(-2))
    rows = (by_row * torch.arange(height, device=masks.device)).sum(-1)
    columns = (by_column * torch.arange(width, device=masks.device)).sum(-1)
    size = torch.tensor(pixel_size(spacing), dtype=pixels.dtype, device=masks.device)
    return torch.stack([rows, columns], -1) / pixels[..., None] * size

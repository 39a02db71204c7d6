"""How far the middle of a predicted mask lies from the middle of the true one.

Lengths are in the unit of `spacing`, the distance between neighboring pixels: one number, or one
between rows and one between columns. With ``spacing=0.49`` of an image with pixels of 0.49 mm they
are in mm; with 1 they are in pixels. With three numbers, ``spacing=(5, 0.49, 0.49)``, masks are
volumes ``(..., D, H, W)`` and not stacks of images: the first is the distance between slices. Edge
cases follow the one policy of `cameval.metrics.properties`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot, isfinite, pi, prod
from numbers import Real
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from cameval._arrays import Array, as_scores, exact, mask_pair
from cameval.errors import SettingError, ShapeError
from cameval.metrics.properties import Takes, undefined_without_truth

__all__ = ["CentroidDistance", "equivalent_radius", "image_diagonal"]

Spacing: TypeAlias = float | tuple[float, float] | tuple[float, float, float]
"""Distance between pixels; of two numbers the first is between rows, the second between columns.

Of three the first is between slices: then masks are volumes ``(..., D, H, W)``.
"""

Length: TypeAlias = Callable[[Tensor, Spacing], Tensor]
"""From true masks and a spacing to one length for each image or volume ``(...)``."""


def image_diagonal(target: Tensor, spacing: Spacing = 1.0) -> Tensor:
    """Diagonal of the image, ``hypot(H * rows, W * columns)``, or of the volume.

    Parameters
    ----------
    target
        Masks ``(..., H, W)``, or ``(..., D, H, W)`` with a spacing of three numbers, a torch
        tensor; only the shape matters.
    spacing
        Distance between pixels.

    Returns
    -------
    Tensor
        The same length for each image or volume, shape ``(...)``.

    Examples
    --------
    >>> image_diagonal(torch.zeros(2, 30, 40, dtype=torch.bool))
    tensor([50., 50.], dtype=torch.float64)
    """
    size = pixel_size(spacing)
    sides = [n * step for n, step in zip(target.shape[-len(size) :], size, strict=True)]
    return torch.full_like(exact(over_images(target, spacing)[..., 0]), hypot(*sides))


def equivalent_radius(target: Tensor, spacing: Spacing = 1.0) -> Tensor:
    """Radius of the disk that has the truth's area, ``sqrt(area / pi)``, or of the ball.

    Of a volume it is that of the ball with the truth's volume, ``cbrt(3 volume / (4 pi))``.

    Parameters
    ----------
    target
        Boolean masks ``(..., H, W)``, or ``(..., D, H, W)`` with a spacing of three numbers, a
        torch tensor.
    spacing
        Distance between pixels.

    Returns
    -------
    Tensor
        One length for each image or volume, shape ``(...)``; 0 for an empty mask.

    Examples
    --------
    >>> equivalent_radius(torch.ones(10, 10, dtype=torch.bool), spacing=0.5)
    tensor(2.8209, dtype=torch.float64)
    """
    size = pixel_size(spacing)
    content = exact(over_images(target, spacing).sum(-1)) * prod(size)
    return (content / pi).sqrt() if len(size) == 2 else (content * 3 / (4 * pi)) ** (1 / 3)


@dataclass(frozen=True)
class CentroidDistance:
    """Distance between the centroids of the predicted and the true mask; lower is better.

    The centroid is the mean position of all pixels of a mask, of whatever number of components.

    Parameters
    ----------
    spacing
        Distance between pixels, of rows and columns if two numbers are given, and of the slices,
        rows and columns of volumes if three are.
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
        If `spacing` is not one to three positive numbers, or `relative_to` is no function.

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

    takes: ClassVar[Takes] = "masks"
    higher_is_better: ClassVar[bool | None] = False

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
            Boolean masks of one shape ``(..., H, W)``, or ``(..., D, H, W)``.

        Returns
        -------
        Array
            Lengths from 0 on. An empty truth gives NaN, and so does an empty prediction unless
            `penalize_empty`.
        """
        found, true = mask_pair(pred, target)
        apart = _centroid(found, self.spacing) - _centroid(true, self.spacing)
        distance = torch.linalg.vector_norm(apart, dim=-1)
        if self.penalize_empty:
            some = over_images(found, self.spacing).any(-1)
            distance = distance.where(some, image_diagonal(true, self.spacing))
        if self.relative_to is not None:
            distance = distance / self.relative_to(true, self.spacing)
        defined = over_images(true, self.spacing).any(-1)
        return as_scores(undefined_without_truth(distance, defined), pred)


def pixel_size(spacing: Spacing) -> tuple[float, ...]:
    """Check a spacing and return it along each axis of an image, or of a volume."""
    match spacing:
        case (Real(), Real()) | (Real(), Real(), Real()):
            size = tuple(map(float, spacing))
        case Real():
            size = (float(spacing), float(spacing))
        case _:
            size = (float("nan"),)
    if not all(isfinite(each) and each > 0 for each in size):
        raise SettingError(
            "spacing must be a positive number, or two of them for rows and columns, or three of "
            f"them for slices, rows and columns, got {spacing!r}"
        )
    return size


def over_images(masks: Tensor, spacing: Spacing) -> Tensor:
    """Return masks with one axis of pixels, ``(..., pixels)``, that of images or of volumes."""
    axes = len(pixel_size(spacing))
    if masks.ndim < axes:
        raise ShapeError(
            "masks must be volumes (..., D, H, W) where the spacing has three numbers, "
            f"got {tuple(masks.shape)}; give two numbers for images"
        )
    return masks.flatten(-axes)


def _centroid(masks: Tensor, spacing: Spacing) -> Tensor:
    """Return the mean place of the marked pixels along each axis; NaN if there is none."""
    size = pixel_size(spacing)
    axes = tuple(range(-len(size), 0))
    pixels = exact(over_images(masks, spacing).sum(-1))
    places = []
    for axis, step in zip(axes, size, strict=True):
        along = exact(masks.sum(tuple(other for other in axes if other != axis)))
        index = torch.arange(masks.shape[axis], device=masks.device)
        places.append((along * index).sum(-1) / pixels * step)
    return torch.stack(places, -1)

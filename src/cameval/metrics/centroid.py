"""Distance between the centroids of two masks, and lengths to compare it with.

Lengths are in the unit of `spacing`, the distance between neighboring pixels: in mm for
``spacing=0.49`` and pixels of 0.49 mm, in pixels by default. With three numbers masks are volumes
``(..., D, H, W)``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import hypot, inf, pi, prod
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from cameval._arrays import Array, as_scores, exact, mask_pair
from cameval.errors import SettingError
from cameval.metrics._contours import Spacing, flatten_pixels, pixel_size
from cameval.metrics.properties import Takes, Unit, undefined_without_truth

__all__ = ["CentroidDistance", "equivalent_radius", "image_diagonal"]

Length: TypeAlias = Callable[[Tensor, Spacing], Tensor]
"""Function from true masks and a spacing to one length for each image or volume ``(...)``."""


def image_diagonal(target: Tensor, spacing: Spacing = 1.0) -> Tensor:
    """Return the diagonal of the image, ``hypot(H * rows, W * columns)``, or of the volume.

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
    >>> import torch
    >>> from cameval.metrics import image_diagonal
    >>> image_diagonal(torch.zeros(2, 30, 40, dtype=torch.bool))
    tensor([50., 50.], dtype=torch.float64)
    """
    size = pixel_size(spacing)
    sides = [n * step for n, step in zip(target.shape[-len(size) :], size, strict=True)]
    return torch.full_like(exact(flatten_pixels(target, spacing)[..., 0]), hypot(*sides))


def equivalent_radius(target: Tensor, spacing: Spacing = 1.0) -> Tensor:
    """Return the radius of the disk with the truth's area, ``sqrt(area / pi)``.

    For a volume it is the radius of the ball with the truth's volume, ``cbrt(3 volume / (4 pi))``.

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
    >>> import torch
    >>> from cameval.metrics import equivalent_radius
    >>> equivalent_radius(torch.ones(10, 10, dtype=torch.bool), spacing=0.5)
    tensor(2.8209, dtype=torch.float64)
    """
    size = pixel_size(spacing)
    content = exact(flatten_pixels(target, spacing).sum(-1)) * prod(size)
    return (content / pi).sqrt() if len(size) == 2 else (content * 3 / (4 * pi)) ** (1 / 3)


EMPTY_WORDS = "; an empty mask has the diagonal of the image in its place"
"""What the definition of a distance says of `penalize_empty`."""


def spacing_words(spacing: Spacing) -> list[str]:
    """Return the unit of lengths for a title if the spacing is chosen; samples tell it otherwise.

    Examples
    --------
    >>> from cameval.metrics.centroid import spacing_words
    >>> spacing_words(1.0), spacing_words((5, 0.5, 0.5))
    ([], ['unit of spacing 5 x 0.5 x 0.5'])
    """
    if takes_spacing(spacing):
        return []
    return [f"unit of spacing {' x '.join(f'{step:g}' for step in pixel_size(spacing))}"]


def takes_spacing(spacing: Spacing) -> bool:
    """Tell whether a spacing is the default, which each sample that has one replaces."""
    return spacing == 1.0


def with_words(name: str, words: Sequence[str]) -> str:
    """Return a name with its settings in parentheses, if there are any."""
    return f"{name} ({', '.join(words)})" if words else name


@dataclass(frozen=True)
class CentroidDistance:
    """Distance between the centroids of the predicted and the true mask; lower is better.

    The centroid is the mean position of all pixels of a mask, over all its components.

    Parameters
    ----------
    spacing
        Distance between pixels, of rows and columns if two numbers are given, and of the slices,
        rows and columns of volumes if three are.
    relative_to
        A length to divide by: `equivalent_radius`, so that 1 is one radius of the truth, or
        `image_diagonal`. By default the distance is in the unit of `spacing`.
    penalize_empty
        Whether an empty prediction gets the diagonal of the image, divided as the distances are,
        instead of NaN.

    Raises
    ------
    SettingError
        If `spacing` is not one to three positive numbers, or `relative_to` is not a function.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import CentroidDistance
    >>> pred, target = torch.zeros(2, 4, 8, dtype=torch.bool)
    >>> pred[1, 1] = target[1, 4] = target[1, 6] = True
    >>> CentroidDistance()(pred, target), CentroidDistance(spacing=(1, 0.5))(pred, target)
    (tensor(4.), tensor(2.))
    >>> from cameval.metrics import equivalent_radius
    >>> CentroidDistance(relative_to=equivalent_radius)(pred, target)
    tensor(5.0133)
    """

    label: ClassVar[str] = "centroid_distance"
    takes: ClassVar[Takes] = "masks"
    higher_is_better: ClassVar[bool | None] = False
    value_range: ClassVar[tuple[float, float]] = (0, inf)
    from_sample: ClassVar[tuple[str, ...]] = ("spacing",)

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

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        words = spacing_words(self.spacing)
        if self.relative_to is not None:
            words = ["relative"]
        if self.relative_to is equivalent_radius:
            words = ["radii of the truth"]
        elif self.relative_to is image_diagonal:
            words = ["image diagonals"]
        words += ["diagonal if empty"] * self.penalize_empty
        return with_words("centroid distance", words)

    @property
    def unit(self) -> Unit | None:
        """The unit of the distance: that of each sample's spacing, or None."""
        own = takes_spacing(self.spacing) and self.relative_to is None
        return "spacing" if own else None

    @property
    def definition(self) -> str:
        """What the distance is, in the words of a paper."""
        text = "the distance between the centroids of mask and truth"
        if self.relative_to is equivalent_radius:
            text += ", divided by the radius of a disc with the area of the truth (a ball in 3D)"
        elif self.relative_to is image_diagonal:
            text += ", divided by the diagonal of the image"
        elif self.relative_to is not None:
            text += ", divided by a length of the truth"
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
        predicted, true = mask_pair(pred, target)
        difference = _centroid(predicted, self.spacing) - _centroid(true, self.spacing)
        distance = torch.linalg.vector_norm(difference, dim=-1)
        if self.penalize_empty:
            nonempty = flatten_pixels(predicted, self.spacing).any(-1)
            distance = distance.where(nonempty, image_diagonal(true, self.spacing))
        if self.relative_to is not None:
            distance = distance / self.relative_to(true, self.spacing)
        defined = flatten_pixels(true, self.spacing).any(-1)
        return as_scores(undefined_without_truth(distance, defined), pred)


def _centroid(masks: Tensor, spacing: Spacing) -> Tensor:
    """Return the mean position of the pixels of a mask along each axis; NaN for an empty mask."""
    size = pixel_size(spacing)
    axes = tuple(range(-len(size), 0))
    pixels = exact(flatten_pixels(masks, spacing).sum(-1))
    means = []
    for axis, step in zip(axes, size, strict=True):
        along = exact(masks.sum(tuple(other for other in axes if other != axis)))
        index = torch.arange(masks.shape[axis], device=masks.device)
        means.append((along * index).sum(-1) / pixels * step)
    return torch.stack(means, -1)

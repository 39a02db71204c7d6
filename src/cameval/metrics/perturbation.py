"""Deletion and insertion: the class's probability as pixels are removed or added by the map."""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from cameval._arrays import as_scores, exact
from cameval._checks import check_count
from cameval._memo import memoized
from cameval._spatial import with_changed_settings
from cameval.errors import SettingError
from cameval.metrics._network import Network, check_network_inputs, class_probabilities
from cameval.metrics.properties import Takes

__all__ = ["Deletion", "Insertion"]


@dataclass(frozen=True)
class Deletion:
    """Area under the curve of the class's probability as pixels are deleted, the highest first.

    Pixels are replaced by `fill`, in steps of equal size, from none to all. The area is computed by
    the trapezoidal rule over the fraction deleted.

    Parameters
    ----------
    steps
        Number of steps, at least 1. It is limited to the number of pixels. After step k of n, the
        first ``floor(k / n * pixels)`` pixels are changed. RISE uses 224 steps, one row each.
    fill
        Value of deleted pixels in all channels; 0 is the mean of normalized images.
    seed
        Seed of the order of tied pixels. See the notes.
    batch_size
        Number of images in one pass of the network.

    Raises
    ------
    SettingError
        If a count is not positive or `fill` is not finite.

    Notes
    -----
    Called as ``metric(network, images, maps, classes)``, it gives one score in [0, 1] for each
    image ``(N,)``, lower is better. It costs ``steps + 1`` passes per image. The errors of a call
    are those of `average_drop`.

    Each step deletes an exact number of pixels. Tied pixels, which rectified maps have many of, are
    deleted in a random order of the positions. It depends on `seed` and is the same for every image
    and batch; unlike the order in memory it favors no side. A constant map scores as such a random
    order; the mean over several seeds estimates the expectation over all orders.

    Images with deleted pixels differ from the training images, so a fast drop may come from the
    deletion itself. :class:`ROAD` fills pixels in a less visible way.

    References
    ----------
    V. Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC
    2018.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import Deletion
    >>> def network(images):  # the probability of class 0 is the mean of the image
    ...     mean = images.mean((1, 2, 3))
    ...     return torch.stack([mean, 1 - mean], 1).log().clamp(min=-99)
    >>> image, maps = torch.tensor([[[[0.8, 0.4]]]]), torch.tensor([[[2.0, 1.0]]])
    >>> Deletion(steps=2)(network, image, maps, torch.tensor([0]))  # over .6, .2 and 0
    tensor([0.2500])
    """

    label: ClassVar[str] = "deletion"
    takes: ClassVar[Takes] = "network"
    higher_is_better: ClassVar[bool | None] = False
    value_range: ClassVar[tuple[float, float]] = (0, 1)

    steps: int = 50
    fill: float = 0.0
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_count("batch_size", self.batch_size)
        if not isfinite(self.fill):
            raise SettingError(f"fill must be finite, got {self.fill}")

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return with_changed_settings("deletion", self, "steps", "fill", "seed")

    def curve(
        self, network: Network, images: Tensor, maps: Tensor, classes: Tensor, /
    ) -> tuple[Tensor, Tensor]:
        """Return the fractions deleted ``(S,)`` and the probabilities there ``(N, S)``, float64.

        Examples
        --------
        >>> import torch
        >>> from cameval.metrics import Deletion
        >>> def network(images):  # the probability of class 0 is the mean of the image
        ...     mean = images.mean((1, 2, 3))
        ...     return torch.stack([mean, 1 - mean], 1).log().clamp(min=-99)
        >>> image, maps = torch.tensor([[[[0.8, 0.4]]]]), torch.tensor([[[2.0, 1.0]]])
        >>> fractions, curve = Deletion(steps=2).curve(network, image, maps, torch.tensor([0]))
        >>> fractions.tolist(), curve.round(decimals=4).tolist()
        ([0.0, 0.5, 1.0], [[0.6, 0.2, 0.0]])
        """
        images, maps, classes = check_network_inputs(images, maps, classes)
        start, end = images, torch.full_like(images, self.fill)
        return _curve(self, network, start, end, maps, classes)

    def __call__(
        self, network: Network, images: Tensor, maps: Tensor, classes: Tensor, /
    ) -> Tensor:
        """Return the area for each image, ``(N,)``."""
        return _area(*self.curve(network, images, maps, classes), images)


@dataclass(frozen=True)
class Insertion:
    """Area under the curve of the class's probability as pixels are inserted, the highest first.

    It starts with the blurred image and ends with the image, in steps of equal size. The area is
    computed by the trapezoidal rule over the fraction inserted.

    Parameters
    ----------
    steps
        Number of steps, at least 1. It is limited to the number of pixels. After step k of n, the
        first ``floor(k / n * pixels)`` pixels are changed. RISE uses 224 steps, one row each.
    kernel_size
        Side of the Gaussian kernel that blurs the image, in pixels, odd; 11 in the paper.
    sigma
        Standard deviation of the kernel, in pixels; 5 in the paper.
    seed
        Seed of the order of tied pixels, as for :class:`Deletion`.
    batch_size
        Number of images in one pass of the network.

    Raises
    ------
    SettingError
        If a count is not positive, `kernel_size` not odd, or `sigma` not positive.

    Notes
    -----
    Called as ``metric(network, images, maps, classes)``, it gives one score in [0, 1] for each
    image ``(N,)``, higher is better. Cost, ties and errors are those of :class:`Deletion`. The blur
    repeats the border of the image; the paper's code pads with zeros, which leaves a frame.

    References
    ----------
    V. Petsiuk et al., "RISE: Randomized Input Sampling for Explanation of Black-box Models", BMVC
    2018.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import Insertion
    >>> def network(images):  # the probability of class 0 is the first pixel
    ...     return torch.stack([images[:, 0, 0, 0], 1 - images[:, 0, 0, 0]], 1).log()
    >>> image, maps = torch.tensor([[[[0.9, 0.1]]]]), torch.tensor([[[2.0, 1.0]]])
    >>> metric = Insertion(steps=2, kernel_size=3, sigma=1e6)  # the blurred pixel is 1.9 / 3
    >>> metric(network, image, maps, torch.tensor([0]))
    tensor([0.8333])
    """

    label: ClassVar[str] = "insertion"
    takes: ClassVar[Takes] = "network"
    higher_is_better: ClassVar[bool | None] = True
    value_range: ClassVar[tuple[float, float]] = (0, 1)

    steps: int = 50
    kernel_size: int = 11
    sigma: float = 5.0
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        check_count("steps", self.steps)
        check_count("batch_size", self.batch_size)
        check_count("kernel_size", self.kernel_size)
        if self.kernel_size % 2 == 0:
            raise SettingError(f"kernel_size must be odd, got {self.kernel_size}")
        if not 0 < self.sigma < float("inf"):
            raise SettingError(f"sigma must be positive and finite, got {self.sigma}")

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return with_changed_settings("insertion", self, "steps", "kernel_size", "sigma", "seed")

    def curve(
        self, network: Network, images: Tensor, maps: Tensor, classes: Tensor, /
    ) -> tuple[Tensor, Tensor]:
        """Return the fractions inserted ``(S,)`` and the probabilities there, ``(N, S)``.

        Examples
        --------
        >>> import torch
        >>> from cameval.metrics import Insertion
        >>> def network(images):  # the probability of class 0 is the first pixel
        ...     return torch.stack([images[:, 0, 0, 0], 1 - images[:, 0, 0, 0]], 1).log()
        >>> image, maps = torch.tensor([[[[0.9, 0.1]]]]), torch.tensor([[[2.0, 1.0]]])
        >>> metric = Insertion(steps=2, kernel_size=3, sigma=1e6)  # the blurred pixel is 1.9 / 3
        >>> fractions, curve = metric.curve(network, image, maps, torch.tensor([0]))
        >>> fractions.tolist(), curve.round(decimals=3).tolist()
        ([0.0, 0.5, 1.0], [[0.633, 0.9, 0.9]])
        """
        images, maps, classes = check_network_inputs(images, maps, classes)
        start, end = _blur(images, self.kernel_size, self.sigma), images
        return _curve(self, network, start, end, maps, classes)

    def __call__(
        self, network: Network, images: Tensor, maps: Tensor, classes: Tensor, /
    ) -> Tensor:
        """Return the area for each image, ``(N,)``."""
        return _area(*self.curve(network, images, maps, classes), images)


@memoized
def pixel_ranks(maps: Tensor, seed: int) -> Tensor:
    """Rank the pixels of checked maps ``(N, H, W)``, 0 for the highest, ties in a seeded order.

    The order among ties is one permutation of the positions, the same for all maps of a size and on
    every device, so that a map's ranks do not depend on the rest of its batch.
    """
    flat = maps.flatten(1)
    shuffle = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(seed))
    shuffle = shuffle.to(maps.device)
    order = shuffle[flat[:, shuffle].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(flat.shape[1], device=maps.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).reshape(maps.shape)


def _curve(
    metric: Deletion | Insertion,
    network: Network,
    start: Tensor,
    end: Tensor,
    maps: Tensor,
    classes: Tensor,
) -> tuple[Tensor, Tensor]:
    """Replace the start image by the end image in the order of the map; return the curve."""
    ranks = pixel_ranks(maps, metric.seed)
    pixels = ranks.shape[1:].numel()
    steps = min(metric.steps, pixels)
    counts = torch.arange(steps + 1, device=ranks.device) * pixels // steps

    def replace(rows: Tensor, which: Tensor) -> Tensor:
        replaced = ranks[rows] < counts[which][:, None, None]
        return torch.where(replaced[:, None], end[rows], start[rows])

    curve = class_probabilities(network, replace, len(counts), classes, metric.batch_size)
    return exact(counts) / pixels, curve


def _area(fractions: Tensor, curve: Tensor, images: Tensor) -> Tensor:
    return as_scores(torch.trapezoid(curve, fractions, dim=1), images)


def _blur(images: Tensor, kernel_size: int, sigma: float) -> Tensor:
    """Blur images with a Gaussian kernel, along one axis after the other."""
    half = kernel_size // 2
    offsets = torch.arange(-half, half + 1, device=images.device, dtype=images.dtype)
    kernel = (-(offsets**2) / (2 * sigma**2)).exp()
    kernel = kernel / kernel.sum()
    padded = pad(images, (half,) * 4, mode="replicate").flatten(0, 1)[:, None]
    fine = conv2d(conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
    return fine.reshape(images.shape)

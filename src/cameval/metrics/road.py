"""ROAD: remove the highest and the lowest pixels and fill them from their neighbors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import as_masks, as_scores, finite_maps
from cameval._checks import check_count
from cameval._spatial import with_changed_settings
from cameval.errors import ArrayTypeError, SettingError, ShapeError
from cameval.metrics._network import Network, check_network_inputs, class_probabilities
from cameval.metrics.perturbation import pixel_ranks
from cameval.metrics.properties import Takes

if TYPE_CHECKING:
    from scipy.sparse import csc_array

__all__ = ["ROAD", "noisy_linear_imputation"]

_NEIGHBORS = [
    (dy, dx, 1 / 6 if dy * dx == 0 else 1 / 12)
    for dy in (-1, 0, 1)
    for dx in (-1, 0, 1)
    if (dy, dx) != (0, 0)
]


@dataclass(frozen=True)
class ROAD:
    r"""Remove and debias: difference between removing the lowest and the highest pixels.

    .. math:: \frac{1}{|Q|} \sum_{q \in Q} \frac{p^\text{least}_q - p^\text{most}_q}{2}

    where :math:`p_q` is the class's probability after removing q percent of the pixels, the least
    relevant first or the most relevant first. Removed pixels are filled by
    `noisy_linear_imputation`, which hides the shape of the removed region.

    Parameters
    ----------
    percentiles
        Percentages of the pixels to remove, each in (0, 100).
    noise
        Standard deviation of the noise on the filled pixels, in units of the images.
    seed
        Seed of the noise, and of the order of tied pixels as for :class:`Deletion`.
    batch_size
        Number of images that are filled and passed to the network at once.

    Raises
    ------
    SettingError
        If there is no percentile or one is out of range, `noise` is negative or not finite, or
        `batch_size` not positive.

    Notes
    -----
    Called as ``metric(network, images, maps, classes)``, it gives one score in [-0.5, 0.5] for each
    image ``(N,)``, higher is better, around 0 for a random order of the pixels. The errors of a
    call are those of `average_drop`. Pixels are removed by rank, so that the number removed is
    exact also for maps with many ties; at least one pixel is kept.

    The paper reports the accuracy of the network on a dataset, for each percentage and order;
    `curves` returns the probabilities for it. The combined score is that of pytorch-grad-cam. The
    probability of the full image cancels in it and is not computed.

    Cost: two passes for each percentile, and two sparse systems, each factored once for all
    channels. For 224 x 224 pixels each takes about 0.1 s on one core.

    References
    ----------
    Y. Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML
    2022.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import ROAD
    >>> network = lambda images: torch.stack([images[:, 0, 0, 0], -images[:, 0, 0, 0]], 1)
    >>> image, maps = torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4)
    >>> image[..., 0, 0], maps[..., 0, 0] = 5.0, 1.0  # the map marks the pixel that is used
    >>> ROAD(noise=0.0)(network, image, maps, torch.tensor([0]))
    tensor([0.2500])
    """

    label: ClassVar[str] = "road"
    takes: ClassVar[Takes] = "network"
    higher_is_better: ClassVar[bool | None] = True

    percentiles: tuple[float, ...] = (20.0, 40.0, 60.0, 80.0)
    noise: float = 0.01
    seed: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "percentiles", tuple(self.percentiles))
        if not self.percentiles or not all(0 < each < 100 for each in self.percentiles):
            raise SettingError(
                f"percentiles must be one or more numbers in (0, 100), got {self.percentiles}"
            )
        _check_noise(self.noise)
        check_count("batch_size", self.batch_size)

    @property
    def title(self) -> str:
        """The name with its settings, for reports and plots."""
        return with_changed_settings("ROAD", self, "percentiles", "noise", "seed")

    def curves(
        self, network: Network, images: Tensor, maps: Tensor, classes: Tensor, /
    ) -> tuple[Tensor, Tensor]:
        """Return the probabilities after removing the most, and the least, relevant pixels.

        Both are ``(N, number of percentiles)``.

        Examples
        --------
        >>> import torch
        >>> from cameval.metrics import ROAD
        >>> network = lambda images: torch.stack([images[:, 0, 0, 0], -images[:, 0, 0, 0]], 1)
        >>> image, maps = torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4)
        >>> image[..., 0, 0], maps[..., 0, 0] = 5.0, 1.0  # the map marks the pixel that is used
        >>> most, least = ROAD(percentiles=(20, 50), noise=0.0).curves(
        ...     network, image, maps, torch.tensor([0])
        ... )
        >>> most.tolist(), least.round(decimals=3).tolist()  # without the pixel it is .5
        ([[0.5, 0.5]], [[1.0, 1.0]])
        """
        images, maps, classes = check_network_inputs(images, maps, classes)
        ranks = pixel_ranks(maps, self.seed)
        pixels = ranks.shape[1:].numel()
        shares = torch.tensor(self.percentiles, dtype=torch.float64) / 100
        counts = (shares * pixels).round().long().clamp(max=pixels - 1).to(ranks.device)

        def remove(rows: Tensor, which: Tensor) -> Tensor:
            count = counts[which % len(counts)][:, None, None]
            most = (which < len(counts))[:, None, None]
            removed = torch.where(most, ranks[rows] < count, ranks[rows] >= pixels - count)
            return _impute(images[rows], removed, self.noise, self.seed)

        both = class_probabilities(network, remove, 2 * len(counts), classes, self.batch_size)
        return both[:, : len(counts)], both[:, len(counts) :]

    def __call__(
        self, network: Network, images: Tensor, maps: Tensor, classes: Tensor, /
    ) -> Tensor:
        """Return the combined score of each image, ``(N,)``."""
        most, least = self.curves(network, images, maps, classes)
        return as_scores((least - most).mean(1) / 2, images)


def noisy_linear_imputation(
    images: Tensor, removed: Tensor, *, noise: float = 0.01, seed: int = 0
) -> Tensor:
    """Fill each removed pixel with the weighted mean of its neighbors, plus a little noise.

    Weights are 1/6 for the four neighbors that share a side and 1/12 for the four that share a
    corner. At the image's border the remaining weights are rescaled to sum to 1. Removed neighbors
    count with their filled values, so all values are solutions of one sparse linear system.

    Parameters
    ----------
    images
        Floating images ``(N, channels, H, W)``.
    removed
        Boolean masks ``(N, H, W)``, true where all channels are to be filled.
    noise
        Standard deviation of the normal noise on the filled pixels, in units of the images.
    seed
        Seed of the noise. Every image of a batch gets the same noise, so that a result does not
        depend on the other images. The global random state is not changed.

    Returns
    -------
    Tensor
        Images of the same shape, dtype and device; pixels that are not removed are unchanged.

    Raises
    ------
    ArrayTypeError
        If the images are not floating-point tensors, or the masks not boolean tensors.
    ShapeError
        If the shapes do not fit, or all pixels of an image are removed.
    NonFiniteError
        If a value of the images is NaN or infinite.
    SettingError
        If `noise` is negative or not finite.

    References
    ----------
    Y. Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods", ICML
    2022.

    Examples
    --------
    >>> import torch
    >>> from cameval.metrics import noisy_linear_imputation
    >>> image, removed = torch.tensor([[[[1.0, 9.0, 3.0]]]]), torch.tensor([[[False, True, False]]])
    >>> noisy_linear_imputation(image, removed, noise=0.0)
    tensor([[[[1., 2., 3.]]]])
    """
    if not isinstance(images, Tensor) or not images.is_floating_point():
        came = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise ArrayTypeError(f"images must be a floating-point torch tensor, got {came}")
    images, masks = finite_maps(images, "images"), as_masks(removed, "removed")
    if images.ndim != 4 or masks.shape != (len(images), *images.shape[2:]):
        raise ShapeError(
            "images and removed must have shapes (N, channels, H, W) and (N, H, W), "
            f"got {tuple(images.shape)} and {tuple(masks.shape)}"
        )
    if masks.flatten(1).all(1).any():
        raise ShapeError("removed must leave at least one pixel of each image, got none left")
    _check_noise(noise)
    return _impute(images, masks, noise, seed)


def _impute(images: Tensor, removed: Tensor, noise: float, seed: int) -> Tensor:
    """Return `noisy_linear_imputation` of checked arguments."""
    pairs = zip(images.cpu().double().numpy(), removed.cpu().numpy(), strict=True)
    filled = torch.from_numpy(np.array([_fill(*pair) for pair in pairs]).reshape(images.shape))
    generator = torch.Generator().manual_seed(seed)
    field = torch.randn(images.shape[1:], generator=generator, dtype=torch.float64)
    changed = (filled + noise * field).to(images.dtype).to(images.device)
    return torch.where(removed[:, None].to(images.device), changed, images)


def _fill(image: NDArray[np.float64], removed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Fill the removed pixels of an image ``(channels, H, W)`` by solving the system."""
    from scipy.sparse.linalg import splu

    matrix, known = _system(image, removed)
    filled = image.copy()
    if len(known):  # The matrix is symmetric and diagonally dominant: no pivoting is needed.
        options = {"SymmetricMode": True}
        factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
        filled[:, removed] = factors.solve(known).T
    return filled


def _system(
    image: NDArray[np.float64], removed: NDArray[np.bool_]
) -> tuple[csc_array[Any], NDArray[np.float64]]:
    """Return the matrix ``(n, n)`` for n removed pixels, and right-hand sides ``(n, channels)``.

    A row states that a pixel times the sum of its weights is the weighted sum of its neighbors.
    """
    from scipy.sparse import coo_array

    y, x = np.nonzero(removed)
    rows = np.arange(len(y), dtype=np.int32)  # the integers that SuperLU works with
    number = np.full(np.add(removed.shape, 2), -1, np.int32)  # -1: not removed, or outside
    number[1:-1, 1:-1][removed] = rows
    inside = np.pad(np.ones(removed.shape, bool), 1)
    values = np.pad(image * ~removed, ((0, 0), (1, 1), (1, 1)))
    total, known = np.zeros(len(y)), np.zeros((len(y), len(image)))
    entries = []
    for dy, dx, weight in _NEIGHBORS:
        there = y + 1 + dy, x + 1 + dx
        total += weight * inside[there]
        known += weight * values[:, *there].T
        at = number[there]
        linked = at >= 0
        entries.append((rows[linked], at[linked], np.full(linked.sum(), -weight)))
    entries.append((rows, rows, total))
    i, j, weights = (np.concatenate(column) for column in zip(*entries, strict=True))
    return coo_array((weights, (i, j)), shape=(len(y), len(y))).tocsc(), known


def _check_noise(noise: float) -> None:
    if not 0 <= noise < float("inf"):
        raise SettingError(f"noise must be finite and not negative, got {noise!r}")

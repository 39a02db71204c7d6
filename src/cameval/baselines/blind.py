"""Blind baselines: center, Gaussian and random maps, and maps of an untrained network."""

from dataclasses import dataclass
from hashlib import sha256
from math import isfinite
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cameval._arrays import checksum
from cameval._checks import check_size
from cameval.baselines._pooling import check_cells
from cameval.baselines.properties import Knowledge, Pattern, knows
from cameval.errors import ArrayTypeError, SettingError
from cameval.extractor import CAMExtractor
from cameval.maps import upsample
from cameval.networks import adapt
from cameval.networks._images import prepared_images
from cameval.protocols import BaselineInput

__all__ = [
    "GaussianBaseline",
    "RandomBaseline",
    "UntrainedBaseline",
    "center_baseline",
    "center_disc",
    "center_map",
]


def center_map(size: tuple[int, ...]) -> Tensor:
    """Return a center map: 1 at the center of the image, falling linearly to 0 at the corners.

    Its mask at any percentile is a centered disc, in volumes a ball.

    Parameters
    ----------
    size
        Height and width; depth, height and width of a volume.

    Returns
    -------
    Tensor
        A float32 map ``(H, W)``, or ``(D, H, W)``; distances are measured from pixel centers to the
        image's center.

    Raises
    ------
    SettingError
        If `size` is not two or three positive integers.

    Examples
    --------
    >>> from cameval import center_map
    >>> center_map((1, 5))
    tensor([[0.0000, 0.5000, 1.0000, 0.5000, 0.0000]])
    """
    distance = _squared_distance(size).to(torch.float64).sqrt()
    return (1 - distance / distance.amax().clamp(min=1)).to(torch.float32)


def center_disc(size: tuple[int, ...], area: float = 0.05) -> Tensor:
    """Return a blind mask: the centered disc, or ball, whose area share is closest to `area`.

    Parameters
    ----------
    size
        Height and width; depth, height and width of a volume.
    area
        Share of the image, in (0, 1]. The disc is clipped at the image's edges.

    Returns
    -------
    Tensor
        A boolean mask ``(H, W)``, or ``(D, H, W)``, never empty.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    Examples
    --------
    >>> from cameval.baselines import center_disc
    >>> center_disc((3, 5), area=0.35).int()
    tensor([[0, 0, 1, 0, 0],
            [0, 1, 1, 1, 0],
            [0, 0, 1, 0, 0]], dtype=torch.int32)
    """
    if not 0 < area <= 1:
        raise SettingError(f"area must be in (0, 1], got {area}")
    distance = _squared_distance(size)
    radii: Tensor
    pixels: Tensor
    radii, pixels = torch.unique(distance, return_counts=True)
    excess = pixels.cumsum(0).to(torch.float64) - area * distance.numel()
    return distance <= radii[excess.abs().argmin()]


@knows("nothing", label="center", pattern="center")
def center_baseline(batch: BaselineInput, /) -> Tensor:
    """Return `center_map` for every image: the guess that objects are in the center.

    Parameters
    ----------
    batch
        Images as they are evaluated.

    Returns
    -------
    Tensor
        Maps ``(N, H, W)`` in [0, 1], all the same.

    Examples
    --------
    >>> import torch
    >>> from cameval.baselines import center_baseline
    >>> from cameval.protocols import BaselineInput
    >>> batch = BaselineInput(
    ...     [], torch.zeros(1, 3, 1, 5), torch.zeros(1, 1, 5).bool(), torch.tensor([0]), (1, 1)
    ... )
    >>> center_baseline(batch)
    tensor([[[0.0000, 0.5000, 1.0000, 0.5000, 0.0000]]])
    """
    return center_map(tuple(batch.truth.shape[1:])).to(batch.truth.device).expand(batch.truth.shape)


@dataclass(frozen=True)
class GaussianBaseline:
    r"""Blind baseline: a Gaussian at the center of the image, scaled with the size of the image.

    .. math:: \exp\left(-\frac{x^2}{2 (\sigma W)^2} - \frac{y^2}{2 (\sigma H)^2}\right)

    Its level lines are ellipses with the aspect ratio of the image; those of `center_map` are
    circles. Volumes have a third term for the depth.

    Parameters
    ----------
    sigma
        Standard deviation along each axis, as a share of the image's length. The order of the
        pixels does not depend on it, so it changes no ranking or percentile; it changes the mass.

    Raises
    ------
    SettingError
        If `sigma` is not positive and finite.

    Examples
    --------
    >>> import torch
    >>> from cameval.baselines import GaussianBaseline
    >>> from cameval.protocols import BaselineInput
    >>> batch = BaselineInput(
    ...     [], torch.zeros(1, 3, 1, 5), torch.zeros(1, 1, 5).bool(), torch.tensor([0]), (1, 1)
    ... )
    >>> GaussianBaseline(sigma=0.2)(batch)
    tensor([[[0.1353, 0.6065, 1.0000, 0.6065, 0.1353]]])
    """

    label: ClassVar[str] = "gaussian"
    knows: ClassVar[Knowledge] = "nothing"
    pattern: ClassVar[Pattern] = "center"

    sigma: float = 0.25

    def __post_init__(self) -> None:
        if not (isfinite(self.sigma) and self.sigma > 0):
            raise SettingError(f"sigma must be positive and finite, got {self.sigma}")

    def __call__(self, batch: BaselineInput, /) -> Tensor:
        """Return maps ``(N, H, W)`` in [0, 1], all the same."""
        product = torch.ones(())
        for length in batch.truth.shape[1:]:
            product = product[..., None] * self._along(length)
        return product.to(batch.truth.device).expand(batch.truth.shape)

    def _along(self, length: int) -> Tensor:
        shares = (torch.arange(length) - (length - 1) / 2) / (self.sigma * length)
        return torch.exp(-shares.square() / 2)


@dataclass(frozen=True)
class RandomBaseline:
    """Blind baseline: uniform random numbers on a coarse grid, upsampled as the network's maps are.

    The map of a sample depends only on `seed` and the name of the sample, not on batches, processes
    or the order of the samples.

    Parameters
    ----------
    cells
        Height and width of a coarse grid that fills the image evenly, three lengths for volumes.
        By default the cells and cell centers of the network.
    seed
        An integer. The global random state is not changed.

    Raises
    ------
    SettingError
        If a setting is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from cameval import Sample
    >>> from cameval.baselines import RandomBaseline
    >>> from cameval.protocols import BaselineInput
    >>> sample = Sample("x-ray 7", np.zeros((8, 8), np.float32), np.zeros((8, 8), bool))
    >>> truth = torch.from_numpy(sample.mask)[None]
    >>> batch = BaselineInput([sample], torch.zeros(1, 3, 8, 8), truth, torch.tensor([0]), (2, 2))
    >>> maps = RandomBaseline()(batch)
    >>> maps.shape, torch.equal(maps, RandomBaseline()(batch))
    (torch.Size([1, 8, 8]), True)
    >>> torch.equal(maps, RandomBaseline(seed=1)(batch))
    False
    """

    label: ClassVar[str] = "random"
    knows: ClassVar[Knowledge] = "nothing"
    pattern: ClassVar[Pattern] = "noise"

    cells: tuple[int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.cells is not None:
            check_cells(self.cells, "cells")
        if not isinstance(self.seed, int):
            raise SettingError(f"seed must be an integer, got {self.seed!r}")

    def __call__(self, batch: BaselineInput, /) -> Tensor:
        """Return maps ``(N, H, W)`` in [0, 1)."""
        cells, cell_centers = (
            (batch.cells, batch.cell_centers) if self.cells is None else (self.cells, None)
        )
        check_cells(cells, "cells", batch.truth.ndim - 1)
        coarse = np.stack([self._draw(sample.name, cells) for sample in batch.samples])
        return upsample(
            torch.from_numpy(coarse).to(batch.truth.device),
            tuple(batch.truth.shape[1:]),
            cell_centers=cell_centers,
            image_size=tuple(batch.images.shape[2:]),
            window=batch.window,
        )

    def _draw(self, name: str, cells: tuple[int, ...]) -> NDArray[np.float32]:
        seed = int.from_bytes(sha256(f"{self.seed} {name}".encode()).digest())
        return np.random.default_rng(seed).random(cells, np.float32)


@dataclass(frozen=True, eq=False, repr=False)
class UntrainedBaseline:
    """The maps of an untrained network of the same architecture.

    Parameters
    ----------
    extractor
        Extractor of a network with untrained or randomized weights, on the device of the images.
        Its method and alignment should be those of the maps that it is compared with.

    Raises
    ------
    ArrayTypeError
        If `extractor` is not a `CAMExtractor`, for example the network itself.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from cameval import CAMExtractor, CAMModel, GAPHead, cam
    >>> from cameval.baselines import UntrainedBaseline
    >>> from cameval.protocols import BaselineInput
    >>> from cameval.sanity import untrained_copy
    >>> body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> model = CAMModel(body, GAPHead(nn.Linear(8, 2))).eval()
    >>> baseline = UntrainedBaseline(CAMExtractor(untrained_copy(model), cam))
    >>> batch = BaselineInput(
    ...     [], torch.rand(2, 3, 8, 8), torch.zeros(2, 8, 8).bool(), torch.tensor([0, 1]), (6, 6)
    ... )
    >>> baseline(batch).shape
    torch.Size([2, 8, 8])
    """

    label: ClassVar[str] = "untrained"
    knows: ClassVar[Knowledge] = "image"

    extractor: CAMExtractor

    def __post_init__(self) -> None:
        if not isinstance(self.extractor, CAMExtractor):
            raise ArrayTypeError(
                f"extractor must be a CAMExtractor, got {type(self.extractor).__name__}; wrap the "
                "network, as in UntrainedBaseline(CAMExtractor(net, method))"
            )

    def __call__(self, batch: BaselineInput, /) -> Tensor:
        """Return maps ``(N, H, W)`` of the target classes."""
        size = tuple(batch.truth.shape[1:])
        with prepared_images():
            result = self.extractor(batch.images, classes=batch.classes, size=size)
        if batch.window is None:
            return result.maps
        aligned = self.extractor.alignment == "receptive_field"
        return upsample(
            result.coarse,
            size,
            cell_centers=adapt(self.extractor.model).cell_centers if aligned else None,
            image_size=tuple(batch.images.shape[2:]),
            window=batch.window,
        )

    def __repr__(self) -> str:
        net = self.extractor.model
        method = getattr(self.extractor.method, "__name__", repr(self.extractor.method))
        sums = checksum(*net.state_dict().values())
        return f"UntrainedBaseline({method}, {self.extractor.alignment}, weights={sums})"


def _squared_distance(size: tuple[int, ...]) -> Tensor:
    """Return 4 times each pixel's squared distance to the image's center, exact integers."""
    axes = [2 * torch.arange(length) - (length - 1) for length in check_size(size)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0)

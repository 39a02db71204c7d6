"""Image baselines: intensity and edges, computed from the image without the network.

They are computed from the network's input, which shows exactly the part of the image that is
scored; a preparation may have cropped it.
"""

from functools import reduce
from math import sqrt

import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from cameval._memo import memoized
from cameval.baselines.properties import knows
from cameval.protocols import BaselineInput

__all__ = ["edge_baseline", "intensity_baseline"]


@knows("image", label="intensity")
def intensity_baseline(batch: BaselineInput, /) -> Tensor:
    """Return the intensity of each image: high on bright objects, such as tumors with contrast.

    Parameters
    ----------
    batch
        Images as they are evaluated.

    Returns
    -------
    Tensor
        Maps ``(N, H, W)``, or ``(N, D, H, W)``: the mean over the channels of the network's input,
        resized to the grid of the truth (linear along each axis, antialiased), minus its minimum.

    Examples
    --------
    >>> import torch
    >>> from cameval.baselines import intensity_baseline
    >>> from cameval.protocols import BaselineInput
    >>> images = torch.tensor([[[[-1.0, 0.0, 3.0]], [[0.0, 0.0, 1.0]]]])
    >>> truth = torch.zeros(1, 1, 3, dtype=torch.bool)
    >>> batch = BaselineInput([], images, truth, classes=torch.tensor([0]), cells=(1, 1))
    >>> intensity_baseline(batch)
    tensor([[[0.0000, 0.5000, 2.5000]]])
    """
    return _intensity(batch.shown.detach(), tuple(batch.truth.shape[1:])).to(batch.truth.device)


@memoized
def _intensity(shown: Tensor, size: tuple[int, ...]) -> Tensor:
    """Return the mean over the channels of images, resized, minus its minimum."""
    gray = shown.float().mean(1, keepdim=True)
    if tuple(gray.shape[2:]) != size:
        gray = _resize(gray, size)
    gray = gray.squeeze(1)
    return gray - gray.amin(tuple(range(1, gray.ndim)), keepdim=True)


@knows("image", label="edges")
def edge_baseline(batch: BaselineInput, /) -> Tensor:
    """Return the strength of the edges of each image: Sobel magnitude of `intensity_baseline`.

    Parameters
    ----------
    batch
        Images as they are evaluated.

    Returns
    -------
    Tensor
        Maps ``(N, H, W)``, or ``(N, D, H, W)``, of at least 0.

    References
    ----------
    J. Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, which compares saliency maps
    with an edge detector.

    Examples
    --------
    >>> import torch
    >>> from cameval.baselines import edge_baseline
    >>> from cameval.protocols import BaselineInput
    >>> images = torch.tensor([[[[0.0, 0.0, 4.0, 4.0]]]])
    >>> truth = torch.zeros(1, 1, 4, dtype=torch.bool)
    >>> batch = BaselineInput([], images, truth, classes=torch.tensor([0]), cells=(1, 1))
    >>> edge_baseline(batch)
    tensor([[[0.0000, 2.8284, 2.8284, 0.0000]]])
    """
    gray = intensity_baseline(batch)[:, None]
    axes = gray.ndim - 2
    gray = pad(gray, (1, 1) * axes, mode="replicate").squeeze(1)
    slopes = []
    for axis in range(1, axes + 1):
        smooth = gray
        for other in range(1, axes + 1):
            smooth = smooth if other == axis else _smooth(smooth, other)
        slopes.append(_difference(smooth, axis))
    return reduce(torch.hypot, slopes) / sqrt(axes)


def _resize(gray: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize images ``(N, 1, H, W)``, or volumes slice by slice and then along the depth."""
    if len(size) == 2:
        resized: Tensor = interpolate(
            gray, list(size), mode="bilinear", align_corners=False, antialias=True
        )
        return resized
    depth, *plane = size
    slices = _resize(gray.transpose(1, 2).flatten(0, 1), (plane[0], plane[1]))
    count = plane[0] * plane[1]
    columns = slices.reshape(len(gray), 1, -1, count)
    return _resize(columns, (depth, count)).reshape(len(gray), 1, *size)


def _smooth(array: Tensor, axis: int) -> Tensor:
    """Average three neighbors with the weights 1, 2, 1."""
    length = array.shape[axis] - 2
    first, middle, last = (array.narrow(axis, start, length) for start in range(3))
    return (first + 2 * middle + last) / 4


def _difference(array: Tensor, axis: int) -> Tensor:
    """Return the difference of the two neighbors of each pixel."""
    length = array.shape[axis] - 2
    return array.narrow(axis, 2, length) - array.narrow(axis, 0, length)
